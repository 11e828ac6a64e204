/* server/requests/code.c -- MODULE_CODE: a function's translated code, as text, a piece at a time. */
#include <string.h>

#include "proto/hemi.pb-c.h"
#include "server/requests/rows.h"

enum { CODE_PIECE = 64 << 10 };
_Static_assert(CODE_PIECE >= MODULE_LINE_MAX, "a line always fits");

uint64_t promises_code(const struct request *r)
{
    (void)r;
    return CODE_PIECE;
}

/* The raw part's name, else `function`. */
static enum hemi_status find(struct request *r, const struct module *m, uint32_t *func)
{
    const Hemi__V1__ModuleCode *b = (const Hemi__V1__ModuleCode *)r->body;
    *func = b->function;
    if (r->raw_length > 0 && !module_find_func(m, (const char *)r->raw, r->raw_length, func))
        return request_fail(r, HEMI_NOT_FOUND, "no function is exported as that, or has that name");
    if (*func >= m->nfuncs) return request_fail(r, HEMI_NOT_FOUND, "function %u: the module has %u", *func, m->nfuncs);
    if (*func >= m->nimported_funcs) return HEMI_OK;
    return request_fail(r, HEMI_ARGUMENT, "function %u is imported: its code is elsewhere", *func);
}

enum hemi_status run_module_code(struct request *r)
{
    const Hemi__V1__ModuleCode *b = (const Hemi__V1__ModuleCode *)r->body;
    const struct module *m = r->uses[0]->u.module;
    uint32_t func, at = b->at;
    size_t used;
    enum hemi_status status = find(r, m, &func);
    if (status != HEMI_OK) return status;
    uint8_t *raw = request_raw(r, CODE_PIECE);
    if (!raw) return HEMI_NO_MEMORY;
    status = module_list(m, func, &at, (char *)raw, CODE_PIECE, &used);
    if (status == HEMI_ARGUMENT) return request_fail(r, status, "at %u: no reply gave that place", b->at);
    r->reply.raw_length = used;
    r->reply.value = at;
    return status;
}
