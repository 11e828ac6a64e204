/* proto/trace.h -- entries of a backtrace (raw part of a REPLY that tells of a failure, after the exception if there is
 * one), innermost first. Layout of an entry, little-endian, entries follow one another without padding:
 *
 *   0 u8 kind (enum trace_kind)    6 u16 zero              16 u64 byte offset in the module
 *   1 u8 zero                      8 u32 instance          24 module name, M bytes
 *   2 u16 module name length M    12 u32 index or count       name, N bytes
 *   4 u16 name length N
 *
 * School of checking: decoding never trusts (PROTO_RAW); an entry decoded borrows the bytes. Threads: pure functions.
 */
#ifndef HEMI_PROTO_TRACE_H
#define HEMI_PROTO_TRACE_H

#include "proto/frame.h"
#include "proto/tables/traps.h"

#define TRACE_FIXED_BYTES 24u
#define TRACE_NAME_MAX 256u /* bytes; longer names are cut */

struct trace_record {
    uint8_t kind;
    uint16_t module_length, name_length;
    uint32_t instance, index;
    uint64_t offset;
    const uint8_t *module, *name;
};

static inline size_t trace_record_size(const struct trace_record *e)
{
    return TRACE_FIXED_BYTES + (size_t)e->module_length + e->name_length;
}
/* Writes an entry (trace_record_size bytes of room) and returns where it ends. */
uint8_t *trace_record_write(const struct trace_record *e, uint8_t *out);
/* Reads the entry at the front of n bytes. */
enum proto_error trace_record_read(const uint8_t *in, size_t n, struct trace_record *out);

#endif
