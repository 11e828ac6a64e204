/* runtime/engine/engine.h -- the inside of struct engine, for runtime/ alone (others see runtime.h).
 *
 * School: TRUSTED, asserted. The engine owns the type table; modules and stores borrow it and count themselves here, so
 * that engine_free can insist that they are gone.
 * Invariants:
 *   .fixed  `rtypes`, `descs` and `links` are address-space reservations of TYPES_MAX entries. They never move; their
 *           first `committed` entries are accessible. Entries from `ntypes` on have never been used and are zero.
 *   .ids    A type id indexes all three. Id 0 is never given out, so no object has a zero header; ENGINE_EXTERN_DESC is
 *           the descriptor of externref objects. A recursion group's ids are consecutive.
 *   .free   Unused ids below `ntypes`, and no others below it but 0, have kind TYPE_FREE. They form runs without
 *           neighbours. A run of 2^k to 2^(k+1) - 1 ids is in list k: its first id has its length in group_size, the
 *           next run's first id in group, and the one's before in super (or TYPE_NONE); its last id has the first in
 *           refs. Of ids that were just taken, only the first and the last have a kind before the group gives them one.
 *   .dead   A group that nothing names is in no bucket; it is on the list `dead`, linked by `next`, and who dropped the
 *           last reference goes on with types_free_some until there is none on it. The first is being freed, from its
 *           last type on: `dead_left` of its types are still there.
 *   .refs   rtypes[group].refs counts modules and host functions that name the group, and each mention of one of its
 *           types in another live group. */
#ifndef HEMI_RUNTIME_ENGINE_ENGINE_H
#define HEMI_RUNTIME_ENGINE_ENGINE_H

#include "runtime/runtime.h"
#include "runtime/types/types.h"

enum { ENGINE_EXTERN_DESC = 1, ENGINE_FIRST_TYPE = 2, TYPE_RUN_CLASSES = 21 /* TYPES_MAX is 2^20 */ };

/* What only the type registry needs to know of a type; `next` and `hash` are kept on a group's first type. */
struct type_link {
    uint32_t hash;
    uint32_t next;   /* next group in the same bucket or of the dead, or TYPE_NONE */
    uint32_t *parts; /* owned: the heap descriptor's `offsets`, and behind them the type's arrays, in one piece */
};

struct engine {
    struct engine_options options;
    uint8_t scheme;                /* enum scheme: what modules are translated to, unless a memory cannot be guarded */
    const volatile uint32_t *poll; /* options.poll, or a flag that is never set; for vm->poll */
    struct rtype *rtypes;
    struct heap_desc *descs;
    struct type_link *links;
    uint32_t ntypes; /* ids below are in use or free; .fixed */
    uint32_t committed;
    uint32_t ntypes_used;                 /* of those ids, how many are in use */
    uint32_t free_runs[TYPE_RUN_CLASSES]; /* .free; TYPE_NONE when there is none */
    uint32_t *buckets;                    /* first group with this hash, or TYPE_NONE; nbuckets is a power of two */
    uint32_t nbuckets, ngroups;           /* groups: in buckets */
    uint64_t groups_changed;              /* counts what came into a bucket and what left one */
    uint32_t dead, dead_left;             /* .dead */
    uint64_t seed;                        /* of the type hash, random: a module cannot aim at one bucket */
    uint32_t nmodules, nstores;
    uint64_t reserved_ahead; /* bytes of address space: MEMORY_AHEAD_MAX */
    uint64_t *opcode_counts; /* options.count_opcodes: OP_COUNT of them, else NULL */
};

/* A poll point of long work. HEMI_OK: go on. Anything else: unwind the work with it. May switch fibers. Without
 * options.poll the embedder is asked each time, with it only when the flag is set. */
enum hemi_status engine_poll(struct engine *e);
/* As calloc and free, with such polls between when the block is large; what these answer shows again at the next one.
 * The system gives zeroes for nothing, but malloc often has a large block of what was freed before. */
void *engine_zeroed(struct engine *e, size_t bytes);
void engine_release(struct engine *e, void *block);
static inline struct heap_descs engine_descs(const struct engine *e)
{
    return (struct heap_descs){.at = e->descs, .marks = NULL, .count = &e->ntypes};
}

/* types.c: the registry's part of an engine. types_init reserves the tables; types_deinit expects no group left. */
enum hemi_status types_init(struct engine *e);
void types_deinit(struct engine *e);

#endif
