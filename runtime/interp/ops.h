/* runtime/interp/ops.h -- what the helpers of ops_*.c share: operands in frame slots. Slot numbers count from the
 * instruction's first operand; a v128 takes two. */
#ifndef HEMI_RUNTIME_INTERP_OPS_H
#define HEMI_RUNTIME_INTERP_OPS_H

#include "runtime/store/store.h"
#include <string.h>

static inline uint64_t slot_u64(const char *slots, uint32_t i)
{
    uint64_t v;
    memcpy(&v, slots + i * SLOT_BYTES, sizeof v);
    return v;
}
static inline uint32_t slot_u32(const char *slots, uint32_t i) { return (uint32_t)slot_u64(slots, i); }
/* An address or a size, of a memory or table with this address type. */
static inline uint64_t slot_addr(const char *slots, uint32_t i, bool is64)
{
    return is64 ? slot_u64(slots, i) : slot_u32(slots, i);
}
static inline void slot_put(char *slots, uint32_t i, uint64_t v) { memcpy(slots + i * SLOT_BYTES, &v, sizeof v); }
/* Where a growing instruction puts its failure: -1 of its address type. */
static inline void slot_put_grown(char *slots, bool grown, uint64_t old, bool is64)
{
    slot_put(slots, 0, grown ? old : is64 ? UINT64_MAX : UINT32_MAX);
}
static inline uint32_t *slot_bits(char *slots, uint32_t i) { return (uint32_t *)(void *)(slots + i * SLOT_BYTES); }

#endif
