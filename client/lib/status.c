/* Statuses, traps, and what the last failure was. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/internal.h"
#include "proto/tables/status.h"
#include "proto/tables/traps.h"

/* hemi.h spells the statuses out for its readers; here they are held against the table. */
#define X(name, number, text, meaning) _Static_assert(HEMI_##name == number, "hemi.h: " #name);
HEMI_STATUSES(X)
#undef X

const char *hemi_status_text(hemi_status status)
{
    switch (status) {
#define X(name, number, text, meaning)                                                                                 \
    case HEMI_##name:                                                                                                  \
        return text;
        HEMI_STATUSES(X)
#undef X
    }
    return "unknown status";
}

const char *hemi_trap_text(unsigned trap)
{
    switch (trap) {
#define X(name, number, text)                                                                                          \
    case number:                                                                                                       \
        return text;
        WASM_TRAPS(X)
#undef X
    default:
        return "unknown trap";
    }
}

const char *hemi_version(void) { return HEMI_VERSION; }

static void failure_deinit(hemi_client *c, struct failure *f)
{
    free(f->trace);
    if (!f->exception_given) hemi_drop(c, &f->exception);
}

void failure_free(hemi_client *c, struct failure *f)
{
    if (f) failure_deinit(c, f);
    free(f);
}

void failure_move(hemi_client *c, struct failure *f)
{
    failure_deinit(c, &c->last);
    c->last = *f;
    memset(f, 0, offsetof(struct failure, text));
}

hemi_status fail(hemi_client *c, hemi_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    failure_deinit(c, &c->last);
    memset(&c->last, 0, offsetof(struct failure, text));
    c->last.status = status;
    vsnprintf(c->last.text, sizeof c->last.text, format, args);
    va_end(args);
    return status;
}

hemi_status fail_null(hemi_client *c, const char *what) { return fail(c, HEMI_ARGUMENT, "`%s` is NULL", what); }

/* ---- what the last failure was */
hemi_status hemi_client_status(const hemi_client *c)
{
    ENTER(c, refusal);
    return c->last.status;
}

const char *hemi_client_error(const hemi_client *c)
{
    ENTER(c, refusal_text(refusal));
    return c->last.text;
}

unsigned hemi_client_trap(const hemi_client *c)
{
    ENTER(c, 0);
    return c->last.trap;
}

bool hemi_client_malformed(const hemi_client *c)
{
    ENTER(c, false);
    return c->last.malformed;
}

int32_t hemi_client_exit_code(const hemi_client *c)
{
    ENTER(c, 0);
    return c->last.exit_code;
}

hemi_ticket hemi_client_failed_request(const hemi_client *c)
{
    ENTER(c, 0);
    return c->last.failed_request;
}

hemi_status hemi_client_ended(const hemi_client *c)
{
    ENTER(c, refusal);
    return c->ended;
}

hemi_val hemi_client_exception(hemi_client *c)
{
    ENTER(c, hemi_null(HEMI_CLASS_EXN));
    c->last.exception_given = true;
    return c->last.exception.kind == HEMI_REF ? c->last.exception : hemi_null(HEMI_CLASS_EXN);
}

bool hemi_client_offset(const hemi_client *c, uint64_t *offset)
{
    if (offset) *offset = 0;
    ENTER(c, false);
    if (offset) *offset = c->last.offset_plus_1 - 1;
    return c->last.offset_plus_1 != 0;
}

bool hemi_client_function(const hemi_client *c, uint32_t *function)
{
    if (function) *function = 0;
    ENTER(c, false);
    if (function) *function = (uint32_t)(c->last.function_plus_1 - 1);
    return c->last.function_plus_1 != 0;
}
