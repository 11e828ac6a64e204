/* Backtraces of the guests that failed. */
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/internal.h"
#include "proto/tables/printable.h"
#include "proto/trace.h"

#define X(name, number, meaning) _Static_assert(HEMI_TRACE_##name == number, "hemi.h: " #name);
TRACE_KINDS(X)
#undef X

static const char *put_name(char **at, const uint8_t *bytes, size_t n)
{
    char *name = *at;
    memcpy(name, bytes, n);
    name[n] = 0;
    *at += n + 1;
    return name;
}

static void put_entry(struct hemi_trace_entry *out, const struct trace_record *e, char **names)
{
    *out = (struct hemi_trace_entry){.kind = (hemi_trace_kind)e->kind,
                                     .instance = e->instance,
                                     .index = e->index,
                                     .offset = e->offset,
                                     .module_length = e->module_length,
                                     .name_length = e->name_length};
    out->module = put_name(names, e->module, e->module_length);
    out->name = put_name(names, e->name, e->name_length);
}

hemi_status trace_read(struct failure *f, size_t n, const uint8_t *raw, size_t length, size_t *used)
{
    struct trace_record e;
    size_t names = 0;
    *used = 0;
    for (size_t i = 0; i < n; i++) {
        if (trace_record_read(raw + *used, length - *used, &e) != PROTO_OK) return HEMI_PROTOCOL;
        names += (size_t)e.module_length + e.name_length + 2;
        *used += trace_record_size(&e);
    }
    if (n == 0 || !f || !(f->trace = malloc(n * sizeof *f->trace + names))) return HEMI_OK;
    char *at = (char *)(f->trace + n);
    for (f->ntrace = 0; f->ntrace < n; f->ntrace++) {
        trace_record_read(raw, length, &e);
        put_entry(&f->trace[f->ntrace], &e, &at);
        raw += trace_record_size(&e);
        length -= trace_record_size(&e);
    }
    return HEMI_OK;
}

size_t hemi_client_trace(const hemi_client *client, const struct hemi_trace_entry **out)
{
    if (out) *out = NULL;
    ENTER(client, 0);
    if (out) *out = client->last.trace;
    return client->last.ntrace;
}

/* The function's name, or what it is known by without one. */
static void name_text(const struct hemi_trace_entry *e, char *out, size_t size)
{
    const char *dot = e->module_length > 0 ? "." : "";
    if (e->kind == HEMI_TRACE_CONST)
        snprintf(out, size, "%s%sconst[%u]", e->module, dot, e->index);
    else if (e->kind == HEMI_TRACE_FUNC && e->name_length == 0)
        snprintf(out, size, "%s%sfunc[%u]", e->module, dot, e->index);
    else
        snprintf(out, size, "%s%s%s", e->module, dot, e->name);
    printable(out, size); /* names are a guest's */
}

size_t hemi_trace_text(const struct hemi_trace_entry *e, char *out, size_t size)
{
    char name[4 * (2 * TRACE_NAME_MAX + 32)]; /* escapes are longer */
    int n;
    if (!out) size = 0;
    if (!e) {
        if (size > 0) *out = 0;
        return 0;
    }
    name_text(e, name, sizeof name);
    if (e->kind == HEMI_TRACE_MORE)
        n = snprintf(out, size, "... %u more ...", e->index);
    else if (e->kind == HEMI_TRACE_HOST)
        n = snprintf(out, size, "%s (host)", *name ? name : "a function");
    else
        n = snprintf(out, size, "%s at 0x%llx", name, (unsigned long long)e->offset);
    return n < 0 ? 0 : (size_t)n;
}
