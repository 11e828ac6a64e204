/* Entries of imports and exports. */
#include "proto/externs.h"
#include "base/check.h"

size_t extern_entry_write(const struct extern_entry *e, uint8_t *out, uint8_t **types)
{
    CHECK(e->kind < EXTERN_KINDS && e->nparams <= PROTO_PARAMS_MAX && e->nresults <= PROTO_PARAMS_MAX);
    out[0] = e->kind;
    out[1] = e->flags;
    wire_put_u16(out + 2, e->module_length);
    wire_put_u16(out + 4, e->name_length);
    wire_put_u16(out + 6, e->nparams);
    wire_put_u16(out + 8, e->nresults);
    wire_put_u16(out + 10, 0);
    wire_put_u32(out + 12, e->type);
    wire_put_u64(out + 16, e->min);
    wire_put_u64(out + 24, e->max);
    uint8_t *at = out + EXTERN_FIXED_BYTES;
    if (e->module_length) memcpy(at, e->module, e->module_length);
    at += e->module_length;
    if (e->name_length) memcpy(at, e->name, e->name_length);
    at += e->name_length;
    if (types) *types = at;
    if (e->types) memcpy(at, e->types, 4 * ((size_t)e->nparams + e->nresults));
    return extern_entry_size(e);
}

/* Which types, counts and flags a kind may have. */
static bool entry_lawful(const struct extern_entry *e)
{
    bool callable = e->kind == EXTERN_FUNC || e->kind == EXTERN_TAG;
    bool typed = e->kind == EXTERN_TABLE || e->kind == EXTERN_GLOBAL || e->kind == EXTERN_REF;
    if (e->kind >= EXTERN_KINDS || (e->flags & ~15u)) return false;
    if (e->nparams > PROTO_PARAMS_MAX || e->nresults > PROTO_PARAMS_MAX) return false;
    if (!callable && (e->nparams || e->nresults)) return false;
    return typed ? wire_type_check(e->type) == PROTO_OK : e->type == 0;
}

enum proto_error extern_entry_read(const uint8_t *in, size_t n, struct extern_entry *out, size_t *used)
{
    if (n < EXTERN_FIXED_BYTES) return PROTO_RAW;
    *out = (struct extern_entry){.kind = in[0],
                                 .flags = in[1],
                                 .module_length = wire_get_u16(in + 2),
                                 .name_length = wire_get_u16(in + 4),
                                 .nparams = wire_get_u16(in + 6),
                                 .nresults = wire_get_u16(in + 8),
                                 .type = wire_get_u32(in + 12),
                                 .min = wire_get_u64(in + 16),
                                 .max = wire_get_u64(in + 24)};
    if (wire_get_u16(in + 10) != 0 || !entry_lawful(out) || extern_entry_size(out) > n) return PROTO_RAW;
    out->module = in + EXTERN_FIXED_BYTES;
    out->name = out->module + out->module_length;
    out->types = out->name + out->name_length;
    for (unsigned i = 0; i < (unsigned)out->nparams + out->nresults; i++)
        if (wire_type_check(extern_type(out, i)) != PROTO_OK) return PROTO_RAW;
    *used = extern_entry_size(out);
    return PROTO_OK;
}
