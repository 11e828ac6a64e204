/* proto/externs.h -- entries that describe imports, exports and single objects with their types (raw part of the
 * answers R_EXTERNS). Layout of an entry, little-endian, entries follow one another without padding:
 *
 *   0 u8 kind (enum extern_kind)   8 u16 results R              32 module name, M bytes (imports only)
 *   1 u8 flags (EXTERN_...)       10 u16 zero                      name, N bytes
 *   2 u16 module name length M    12 u32 wire type: elements       u32[P] wire types of the parameters
 *   4 u16 name length N              of a table, content of a      u32[R] wire types of the results
 *   6 u16 parameters P               global, any other reference
 *                                 16 u64 min, 24 u64 max (pages of a memory, elements of a table)
 *
 * School of checking: decoding never trusts (PROTO_RAW); an entry decoded borrows the bytes. Threads: pure functions.
 */
#ifndef HEMI_PROTO_EXTERNS_H
#define HEMI_PROTO_EXTERNS_H

#include "proto/tables/types.h"
#include "proto/value.h"

#define EXTERN_FIXED_BYTES 32u

enum { EXTERN_HAS_MAX = 1, EXTERN_64 = 2, EXTERN_MUTABLE = 4, EXTERN_SHARED = 8 };

struct extern_entry {
    uint8_t kind, flags;
    uint16_t module_length, name_length, nparams, nresults;
    uint32_t type; /* wire type */
    uint64_t min, max;
    const uint8_t *module, *name;
    const uint8_t *types; /* nparams, then nresults, u32 each: read with extern_type() */
};

static inline uint32_t extern_type(const struct extern_entry *e, unsigned i)
{
    return wire_get_u32(e->types + 4 * (size_t)i);
}
static inline size_t extern_entry_size(const struct extern_entry *e)
{
    return EXTERN_FIXED_BYTES + (size_t)e->module_length + e->name_length + 4 * ((size_t)e->nparams + e->nresults);
}
/* Writes an entry (extern_entry_size bytes of room); `types` NULL: they are left for the caller, at *types. */
size_t extern_entry_write(const struct extern_entry *e, uint8_t *out, uint8_t **types);
/* Reads the entry at the front of n bytes; *used is its size. */
enum proto_error extern_entry_read(const uint8_t *in, size_t n, struct extern_entry *out, size_t *used);

#endif
