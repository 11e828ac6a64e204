/* heap/internal.h -- what the files of heap/ share: the heap's state, chunks, and the paper's small verbs.
 *
 * heap.h holds the design notes and the tagged invariants that are cited here. Nothing outside heap/ includes this,
 * except unit tests that plant corruption or shrink a window.
 */
#ifndef HEMI_HEAP_INTERNAL_H
#define HEMI_HEAP_INTERNAL_H

#include <string.h>

#include "base/check.h"
#include "heap/heap.h"

/* ---- Constants */

#ifdef HEMI_STRESS
enum { HEAP_STRESS = 1, HEAP_CHUNK = 4096, HEAP_WORK = 16 * 1024 };
#else
enum { HEAP_STRESS = 0, HEAP_CHUNK = 16 * 1024, HEAP_WORK = 256 * 1024 };
#endif

enum {
    HEAP_SMALL_MAX = HEAP_CHUNK / 16,          /* bytes; larger objects are medium: counted for .reserve */
    HEAP_MEDIUM_MAX = HEAP_CHUNK / 2,          /* bytes; larger objects are large: a run of chunks each */
    HEAP_FIRST = HEAP_NULL_BYTES / HEAP_CHUNK, /* .nullpage: the first chunk that may be mapped */
    HEAP_YOUNG_MIN = 16,                       /* chunks allocated between two collections, at least */
    HEAP_YIELD = 16,                           /* a forced collection must leave room for 1/16 of what it copied */
    HEAP_POISON = 0xFB, /* fills free memory in the stress build; odd, so never an object's offset */
    HEAP_MAGIC = 0x48656d69,
    HEAP_MAGIC_ENDING = 0x48656d6a, /* heap_free_some has begun */
};

/* Chunk numbers: 0 is never a chunk, so it ends lists. The window's last chunk stays unused, so that the end of every
 * chunk fits 32 bits. */
#define HEAP_WINDOW_BYTES ((uint64_t)1 << 32)
#define HEAP_WINDOW_END ((uint32_t)(HEAP_WINDOW_BYTES / HEAP_CHUNK - 1))

_Static_assert(HEAP_STRESS || HEAP_BUMP_MAX <= HEAP_SMALL_MAX, "heap_bump must not make medium objects (.reserve)");
_Static_assert(HEAP_NULL_BYTES % HEAP_CHUNK == 0, "the null page is whole chunks");

/* ---- Chunks */

/* A chunk's label is (kind << 1) | space. The space bit means something for SMALL and RUN only. */
enum heap_chunk_kind {
    CHUNK_NONE = 0, /* not mapped */
    CHUNK_COLD,     /* mapped and free; no memory behind it: reads as zero */
    CHUNK_WARM,     /* mapped and free, memory behind it; in the stress build it holds poison */
    CHUNK_SMALL,    /* small and medium objects, bumped */
    CHUNK_RUN,      /* the first chunk of a large object */
    CHUNK_TAIL,     /* the other chunks of a large object; its space is the RUN's */
};

/* Links of the one list that a chunk is in, and for SMALL and RUN the offset behind its last object. That is not kept
 * up for the chunk that is allocated in now. */
struct heap_chunk {
    uint32_t next, prev, top;
};

struct heap_list {
    uint32_t head, tail, count;
};

/* One semi-space. Between collections only `heap.space` has any chunks. */
struct heap_space {
    uint8_t *base;
    uint32_t id;            /* 0 or 1: the space bit of its chunks' labels */
    uint32_t current;       /* chunk being bumped in; 0: none yet */
    struct heap_list small; /* in the order opened (.scan) */
    struct heap_list runs;  /* one entry per large object */
    uint32_t run_chunks;    /* chunks of all runs */
    uint64_t run_bytes;     /* bytes of all large objects */
    uint64_t retired;       /* bytes filled in the SMALL chunks before `current` */
    uint64_t medium;        /* bytes of medium objects, at most (dead ones are counted until a collection) */
};

/* The externref set: bucket heads, chained through the objects' link words. `buckets` is a power of two or 0. */
struct heap_externs {
    uint32_t *heads;
    uint32_t buckets;
    uint32_t dead;  /* during a collection: chain of dead objects in the from-space */
    uint32_t ended; /* at the end of the heap: chains reported so far */
    uint64_t count;
};

struct heap {
    uint32_t magic;
    struct heap_mutator *mutator;
    uint32_t end; /* end of what may be bumped in the current chunk: mutator->limit unless bumping is off */
    struct heap_space space;
    struct heap_space from; /* the space being evacuated, during a collection */
    bool collecting;
    struct heap_descs descs;
    struct heap_embedder emb;
    uint32_t extern_desc;
    struct heap_externs externs;

    /* Chunks (space.c) */
    uint8_t *window;
    uint8_t *label;           /* one per chunk below `table` */
    struct heap_chunk *chunk; /* the same */
    uint32_t table;           /* entries of both */
    uint32_t mapped_end;      /* chunks from HEAP_FIRST up to here are mapped */
    uint32_t window_end;      /* chunks from here on are not used */
    uint32_t limit;           /* most chunks committed */
    uint32_t committed;       /* chunks charged */
    uint32_t resident;        /* chunks used and warm (.resident) */
    uint32_t hole_hint;       /* where the search for a run starts */
    uint32_t hole_fail;       /* no run this long is free; UINT32_MAX: not known */
    struct heap_list warm, cold;
    uint64_t charged; /* bytes told to emb.charge */
    bool trimming;    /* heap_trim_some has begun */

    /* Policy */
    uint32_t growth_percent;
    uint32_t young;       /* chunks that may be taken between two collections */
    uint32_t young_used;  /* chunks taken since the last one */
    uint64_t last_copied; /* bytes the last collection copied */
    uint32_t stress_every, stress_left;
    uint32_t stress_dense; /* collections left until the default stress gets sparse; 0: it stays as it is */

    /* Yielding */
    uint32_t work;    /* bytes worked on since the last poll */
    uint64_t away_ns; /* time spent in poll */

    /* Statistics; `stats` holds what is not derived on reading */
    uint32_t bump_from;      /* mutator->top when the current chunk was last accounted for */
    uint64_t live;           /* bytes that survived the last collection */
    uint64_t allocated_then; /* stats.bytes_allocated at the last collection */
    struct heap_stats stats;
};

/* What a visit does: collect (forward the slot), check it (heap_verify), or follow it (heap_each_reached). */
struct heap_check;
struct heap_reach;
struct heap_visitor {
    struct heap *heap;
    struct heap_check *check; /* NULL: not heap_verify */
    struct heap_reach *reach; /* NULL: not heap_each_reached; with neither: collecting */
    struct heap_walk *walk;   /* of those two */
    const struct heap_desc *descs;
    uint8_t *marks;
    uint8_t *from, *to;        /* bases: what is read from the old space, what is written to the new one */
    uint32_t top, end;         /* the new space's current chunk */
    uint32_t scan_chunk, scan; /* .scan: chunk (0: none opened yet) and offset in it */
    uint32_t run_scanned;      /* last scanned entry of the new space's runs; 0: none */
    uint64_t roots;            /* slots visited by the embedder */
    uint32_t compact_chunks;   /* chunks that large objects may still be copied into */
    uint32_t compact_below;    /* the chunk where all large objects would end if they were packed */
};

static inline uint32_t heap_chunk_of(uint32_t at) { return at / HEAP_CHUNK; }
static inline uint32_t heap_chunk_start(uint32_t c) { return c * HEAP_CHUNK; }
static inline uint32_t heap_chunk_end(uint32_t c) { return (c + 1) * HEAP_CHUNK; }
static inline uint32_t heap_chunks_for(uint64_t bytes) { return (uint32_t)((bytes + HEAP_CHUNK - 1) / HEAP_CHUNK); }
static inline uint8_t heap_label(enum heap_chunk_kind kind, uint32_t space) { return (uint8_t)(kind << 1 | space); }
static inline enum heap_chunk_kind heap_kind_of(const struct heap *h, uint32_t c)
{
    return (enum heap_chunk_kind)(h->label[c] >> 1);
}
static inline bool heap_is_free_chunk(const struct heap *h, uint32_t c)
{
    enum heap_chunk_kind kind = heap_kind_of(h, c);
    return kind == CHUNK_COLD || kind == CHUNK_WARM;
}

/* ---- Objects */

/* An object's first 8 bytes (.header): loaded and stored at once. */
struct heap_head {
    uint32_t header;
    uint32_t word; /* forwarded: the new offset; else an array's length, an externref's link, or the first field */
};
enum { HEAP_FORWARDED = 1 };

static inline struct heap_head heap_load_head(const uint8_t *p)
{
    struct heap_head head;
    memcpy(&head, p, sizeof head);
    return head;
}
static inline void heap_store_head(uint8_t *p, struct heap_head head) { memcpy(p, &head, sizeof head); }

/* .bytes */
static inline uint32_t heap_le32(uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(v);
#else
    return v;
#endif
}
static inline uint32_t heap_load_slot(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return heap_le32(v);
}
static inline void heap_store_slot(uint8_t *p, uint32_t v)
{
    v = heap_le32(v);
    memcpy(p, &v, sizeof v);
}

static inline uint64_t heap_array_size(const struct heap_desc *d, uint32_t length)
{
    return (HEAP_ARRAY_DATA + (uint64_t)length * d->elem_size + 3) & ~(uint64_t)3;
}
static inline uint64_t heap_object_size(const struct heap_desc *d, uint32_t word)
{
    if (d->kind == HEAP_FIXED) return d->size;
    return d->kind == HEAP_ARRAY ? heap_array_size(d, word) : HEAP_EXTERN_SIZE;
}

/* ---- space.c: chunks, labels, runs, and the system's memory */

/* Reserves the window, all of it inaccessible. HEAP_NO_MEMORY. */
enum heap_status heap_space_init(struct heap *h);
void heap_space_deinit(struct heap *h);
/* heap_free_some's parts: the window's memory, and the reports of externrefs. */
bool heap_space_end_some(struct heap *h, uint32_t *units);
/* How many chunks go back to the system at once; takes their units. */
uint32_t heap_end_step(uint32_t *units);
/* Tells the embedder's budget what the heap now costs; false (and nothing told) when it refuses an increase. */
bool heap_settle(struct heap *h);
/* .reserve: the most chunks that copying `bytes` takes, `medium` of them in medium objects. */
uint64_t heap_chunks_to_copy(uint64_t bytes, uint64_t medium);
/* The chunks to be committed (.reserve) so that SMALL chunks holding `bytes`, `medium` of them in medium objects, and
 * `run_chunks` chunks of large objects can be collected. */
uint64_t heap_required(uint64_t bytes, uint64_t medium, uint32_t small_chunks, uint32_t run_chunks);
/* Commits at least `want` chunks: limit, charge, mapping. HEAP_NO_MEMORY: nothing changed. */
enum heap_status heap_commit(struct heap *h, uint64_t want);
/* Closes the current chunk, filled up to `top`, and makes a committed free one the current one: returns its start.
 * Cannot fail: .reserve. */
uint32_t heap_open_chunk(struct heap *h, uint32_t top);
/* Finds `n` free chunks in a row; 0: there are none. For a new object `end` is UINT32_MAX, and more is mapped if need
 * be; else it is a chunk before which the run has to end. */
uint32_t heap_find_run(struct heap *h, uint32_t n, uint32_t end);
/* Labels those chunks as a large object of `bytes` bytes in the current space; clears it if asked to. Committed. */
void heap_take_run(struct heap *h, uint32_t start, uint32_t bytes, bool clear);
/* Frees every chunk of a space that was evacuated: they are warm now (.resident). */
void heap_release_space(struct heap *h, struct heap_space *s);
/* Moves a large object's run from the old space to the current one. */
void heap_relabel_run(struct heap *h, uint32_t start);
/* Gives the memory of up to `n` warm chunks back to the system, highest first; they are cold then. */
void heap_chill(struct heap *h, uint32_t n);
/* Whether `n` bytes are all poison. */
bool heap_is_poison(const uint8_t *p, uint32_t n);
/* Maps all of the window if the system and the budget allow it. */
void heap_map_window(struct heap *h);
/* Brings the cold list into order, highest chunks first. */
void heap_sort_cold(struct heap *h);
/* Unmaps cold chunks at the window's end and lowers the charge to what .reserve and .resident need. */
void heap_shrink(struct heap *h);
/* Sets the mutator's window from `top` and h->end. */
void heap_publish(struct heap *h, uint32_t top);
/* heap_required for the chunks in use now, with the current chunk filled up to `end`. */
uint64_t heap_required_to(const struct heap *h, uint32_t end, uint64_t more_medium);

/* ---- collect.c, policy.c, extern.c */

/* One collection. `compact`: also copy high large objects into low holes, and small ones to the window's end. */
void heap_collect_cycle(struct heap *h, bool compact);
/* Counts work and lets the embedder yield every HEAP_WORK bytes. */
void heap_worked(struct heap *h, uint32_t bytes);
/* Adds what the mutator bumped to the statistics. */
void heap_account_bump(struct heap *h);

/* Whether taking `chunks` more should wait for a collection. */
bool heap_policy_due(const struct heap *h, uint32_t chunks);
/* After a collection: sets the next young size. `roots` is how many root slots it visited. */
void heap_policy_resize(struct heap *h, uint64_t roots);
/* After a forced collection, for an allocation of `size` bytes: commits room enough to be worth it; false: there is
 * none, fail rather than thrash. */
bool heap_policy_worthwhile(struct heap *h, uint32_t size);

/* Rebuilds the set from its forwarded objects; chains up the dead ones. */
void heap_extern_sweep(struct heap *h, const struct heap_visitor *v);
/* Reports the chain of dead ones, from the old space, which is still intact. */
void heap_extern_report(struct heap *h);
bool heap_extern_end_some(struct heap *h, uint32_t *units);
uint32_t heap_extern_bucket(const struct heap *h, uint64_t id);

/* heap_visit_ref for a visitor that checks (verify.c) or follows (reach.c). */
void heap_check_root(struct heap_visitor *v, uint32_t bits);
void heap_reach_root(struct heap_visitor *v, uint32_t bits);
/* bits.c: one bit for each 4 bytes of `chunks` chunks; a chunk's are made when the first of them is set. */
struct heap_bits {
    uint8_t **of;
    uint32_t chunks;
};
/* False: no memory; deinit is due all the same. */
bool heap_bits_init(struct heap_bits *b, uint32_t chunks);
void heap_bits_deinit(struct heap_bits *b, struct heap_walk *walk);
/* False: no memory. `at` is in one of the chunks. */
bool heap_bits_set(struct heap_bits *b, uint32_t at);
/* `at` may be anything. */
bool heap_bits_has(const struct heap_bits *b, uint32_t at);
/* In the order of addresses. */
void heap_bits_each(const struct heap_bits *b, struct heap_walk *walk, void (*seen)(void *ctx, heap_ref object),
                    void *ctx);
/* Calls the embedder's roots, and more_roots until it has none. */
void heap_visit_roots(struct heap_visitor *v, void (*caught_up)(struct heap_visitor *v));

#endif
