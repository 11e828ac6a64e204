/* runtime/types/table.h -- the inside of struct types: the type table. For runtime/ alone, which may read it.
 *
 * School: TRUSTED, checked. An engine owns one; modules, stores and host functions borrow it and hold references on
 * groups.
 * Invariants:
 *   .fixed  `rtypes`, `descs` and `links` are address-space reservations of TYPES_MAX entries. They never move; their
 *           first `committed` entries are accessible. Entries from `ntypes` on have never been used and are zero.
 *   .ids    A type id indexes all three. Id 0 is never given out, so no object has a zero header; TYPE_EXTERN_DESC is
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
#ifndef HEMI_RUNTIME_TYPES_TABLE_H
#define HEMI_RUNTIME_TYPES_TABLE_H

#include "runtime/types/types.h"

enum { TYPE_EXTERN_DESC = 1, TYPE_FIRST_ID = 2, TYPE_RUN_CLASSES = 21 /* TYPES_MAX is 2^20 */ };

/* What only the registry needs to know of a type; `next` and `hash` are kept on a group's first type. */
struct type_link {
    uint32_t hash;
    uint32_t next;   /* next group in the same bucket or of the dead, or TYPE_NONE */
    uint32_t *parts; /* owned: the heap descriptor's `offsets`, and behind them the type's arrays, in one piece */
};

struct types {
    struct types_options options;
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
};

static inline struct heap_descs types_descs(const struct types *ts)
{
    return (struct heap_descs){.at = ts->descs, .marks = NULL, .count = &ts->ntypes};
}

#endif
