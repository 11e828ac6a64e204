/* Entries of backtraces. */
#include "proto/trace.h"

#include "proto/value.h"

#include <string.h>

uint8_t *trace_record_write(const struct trace_record *e, uint8_t *out)
{
    out[0] = e->kind;
    out[1] = 0;
    wire_put_u16(out + 2, e->module_length);
    wire_put_u16(out + 4, e->name_length);
    wire_put_u16(out + 6, 0);
    wire_put_u32(out + 8, e->instance);
    wire_put_u32(out + 12, e->index);
    wire_put_u64(out + 16, e->offset);
    uint8_t *at = out + TRACE_FIXED_BYTES;
    if (e->module_length) memcpy(at, e->module, e->module_length);
    at += e->module_length;
    if (e->name_length) memcpy(at, e->name, e->name_length);
    return at + e->name_length;
}

enum proto_error trace_record_read(const uint8_t *in, size_t n, struct trace_record *out)
{
    if (n < TRACE_FIXED_BYTES) return PROTO_RAW;
    *out = (struct trace_record){.kind = in[0],
                                 .module_length = wire_get_u16(in + 2),
                                 .name_length = wire_get_u16(in + 4),
                                 .instance = wire_get_u32(in + 8),
                                 .index = wire_get_u32(in + 12),
                                 .offset = wire_get_u64(in + 16)};
    if (in[1] != 0 || wire_get_u16(in + 6) != 0 || out->kind > TRACE_MORE || trace_record_size(out) > n)
        return PROTO_RAW;
    out->module = in + TRACE_FIXED_BYTES;
    out->name = out->module + out->module_length;
    return PROTO_OK;
}
