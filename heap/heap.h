/* heap/heap.h -- the semi-space copying collector: public interface of heap/.
 *
 * School of checking: TRUSTED. Everything passed in comes from our own runtime, so broken preconditions are
 * checked (base/check.h: CHECK where it is once per collection or chunk, CHECK_DEBUG per object). Running out of memory
 * is not a broken precondition: it is a status.
 *
 * Who owns what: a heap owns its window (address-space reservation), its chunks, its externref set and its free
 * list. It borrows the descriptor table and the callbacks of its embedder for its whole life. It knows descriptors
 * (how large an object is and where its references are), never Wasm types, and does no I/O.
 *
 * Invariants, cited by tag where the code relies on them:
 *   .ref        A reference is a u32: 0 null; low bit 1 an i31 (31 payload bits above it); else the byte offset of
 *               a 4-aligned object inside the window.
 *   .header     An object starts with a u32: (descriptor index << 1) | forwarded. A forwarded object keeps its new
 *               offset in the next 4 bytes, so no object is smaller than 8 bytes.
 *   .nullpage   The window's first 256 KiB are never mapped: no object is so large that an access to a field of null
 *               could reach beyond.
 *   .rebase     Nobody holds `mutator->base`, `top` or `limit` over anything that may allocate or collect.
 *   .reserve    Before a chunk is taken, what is used plus the worst case of the other space, packing waste included,
 *               is committed: within the limit, charged, and mapped. So a collection never runs out half way.
 *   .bytes      References and function ids inside objects are stored in little-endian order on every target.
 *   .scan       Cheney's: everything in the new space below the scan pointer refers to the new space only; what lies
 *               between it and the allocation pointer is still to be scanned. Both only move forward, over the list of
 *               chunks in the order opened. Relabelled runs have a list and a scan pointer of their own.
 *   .resident   Chunks with memory behind them (used and warm) never exceed the committed ones.
 *
 * Design notes
 *   Algorithm. C. J. Cheney, "A nonrecursive list compacting algorithm", CACM 13(11), 1970, over chunked semi-spaces:
 *   a space is a list of chunks out of one reservation, and the scan pointer walks the new space's list. When a
 *   collection ends, the old space's chunks go to the free list, warm and mapped, and are the next to be allocated in:
 *   memory in use is live + F x live, not twice that.
 *
 *   Sizes. Small objects (up to a sixteenth of a chunk) and medium ones (up to half a chunk) are bumped into chunks and
 *   copied. A large object has a run of chunks of its own, which is relabelled in the side table instead of copied, so
 *   it needs no copy reserve. When no run of free chunks is long enough for a new large object, a compacting collection
 *   copies large objects towards the window's start as far as the reserve allows.
 *
 *   Chunks. Free ones are warm (memory behind them) or cold (none: fresh, or given back). `committed` chunks are what
 *   the embedder was charged for; it covers the resident ones (used and warm) and .reserve at all times, so neither
 *   the limit, the budget nor the system can refuse anything during a collection. A heap that never allocated has its
 *   reservation and nothing else.
 *
 *   Reserve. A chunk that is closed because a small object did not fit is full up to that object's size; one closed by
 *   a medium object wastes less than that object. So copying U bytes, M of them in medium objects, takes at most
 *   (U + M) / (chunk - medium bound) + 1 chunks. The heap knows U exactly and counts M.
 *
 *   Policy. The next collection comes after max(a minimum, live x F/100) more bytes. One that the limit or the budget
 *   forces must leave room for a sixteenth of what it copied, else the allocation fails: copying costs at most 16 bytes
 *   per byte allocated, also close to the limit.
 *
 *   Externrefs. One object per live id. The set is an array of bucket heads; the chains run through the objects' link
 *   words. Sweeping walks the chains: forwarded objects stay, the others are chained up, through the old space, and
 *   reported once the collection is complete. No other structure grows with the number of objects.
 *
 *   Bases. The copying code takes what it reads from the from-base and what it writes to the to-base. They are equal
 *   while every heap has one window for life; a heap that moves to another window changes the to-base, nothing else.
 *
 *   Files. heap.c: making, freeing, statistics. space.c: chunks, labels, runs, the system's memory. alloc.c. collect.c:
 *   the paper. extern.c. policy.c. verify.c: the invariants, executable. reach.c: what roots reach. bits.c: what
 *   those two have met. internal.h: what they share.
 *
 *   Stress build (HEMI_STRESS). Chunks shrink, every allocation collects first, evacuated chunks are filled with poison
 *   and every allocation must land on poison.
 *
 * Threads: one heap, one thread at a time.
 */
#ifndef HEMI_HEAP_HEAP_H
#define HEMI_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reference as the heap sees it (.ref). Wrapped so that it never mixes with integers by accident. */
typedef struct heap_ref {
    uint32_t bits;
} heap_ref;

static inline heap_ref heap_null(void) { return (heap_ref){0}; }
static inline bool heap_is_null(heap_ref r) { return r.bits == 0; }
static inline bool heap_is_i31(heap_ref r) { return (r.bits & 1u) != 0; }
static inline bool heap_is_object(heap_ref r) { return r.bits != 0 && (r.bits & 1u) == 0; }
static inline heap_ref heap_i31(uint32_t value) { return (heap_ref){(value << 1) | 1u}; }
static inline uint32_t heap_i31_u(heap_ref r) { return r.bits >> 1; }
static inline int32_t heap_i31_s(heap_ref r) { return (int32_t)r.bits >> 1; }

/* What a slot holds, for descriptors (heap objects) and for the runtime's own root maps alike. */
enum heap_slot { HEAP_SLOT_DATA, HEAP_SLOT_REF, HEAP_SLOT_FUNC };

enum heap_kind {
    HEAP_FREE = 0, /* an unused descriptor: no object has it */
    HEAP_FIXED,    /* `size` bytes; references at the listed offsets */
    HEAP_ARRAY,    /* header, u32 length, then length x elem_size bytes */
    HEAP_EXTERN,   /* header, intrusive link, u64 host id: 16 bytes; owned by the heap's externref set */
};

/* How to size and scan an object. The embedder fills these in; the heap only reads them. */
struct heap_desc {
    uint8_t kind;       /* enum heap_kind */
    uint8_t elem;       /* HEAP_ARRAY: enum heap_slot of the elements */
    uint16_t elem_size; /* HEAP_ARRAY: 1, 2, 4, 8 or 16 */
    uint32_t size;      /* HEAP_FIXED: bytes including the header, a multiple of 4, at least 8 */
    uint32_t nrefs;     /* HEAP_FIXED: number of reference offsets at `offsets` */
    uint32_t nfuncs;    /* HEAP_FIXED: number of function-id offsets, right after those */
    const uint32_t *offsets;
};

/* The descriptor table: `at` and `marks` never move during a heap's life; entries may be added at any time. */
struct heap_descs {
    const struct heap_desc *at;
    uint8_t *marks; /* may be NULL; else marks[i] is set to 1 when a collection finds an object of descriptor i */
    const uint32_t *count; /* may be NULL; else how many descriptors there are now: heap_verify checks indices by it */
};

/* The mutator's view: lives in the embedder's hot structure, written by the heap (.rebase).
 * Offsets, not pointers: an object at offset o is at base + o. */
struct heap_mutator {
    uint8_t *base;  /* from-base of the window */
    uint32_t top;   /* next free byte */
    uint32_t limit; /* end of the current chunk */
};

enum heap_status {
    HEAP_OK = 0,
    HEAP_NO_MEMORY, /* the limit, the budget or the system refused; nothing changed */
    HEAP_TOO_LARGE, /* the object can never fit (size overflow or larger than the limit) */
};

struct heap;
struct heap_visitor;

/* Handed to the roots callback. One function per kind of slot: a slot is never reinterpreted. */
void heap_visit_ref(struct heap_visitor *v, uint32_t *slot); /* a heap reference; updated in place */
void heap_visit_func(struct heap_visitor *v, uint32_t func); /* a function id: marks, never moves */

struct heap_stats {
    uint64_t collections;
    uint64_t bytes_allocated; /* in all, since the heap was made */
    uint64_t bytes_copied;    /* in all */
    uint64_t bytes_live;      /* after the last collection, plus what was allocated since */
    uint64_t bytes_committed; /* chunks with memory behind them now */
    uint64_t bytes_peak;      /* most ever committed */
    uint64_t externs_live;    /* slots of the externref set in use */
    uint64_t externs_made;
    uint64_t externs_dead;   /* swept so far */
    uint64_t pause_ns_total; /* time in collections, without what `poll` spent elsewhere */
    uint64_t pause_ns_max;
    uint64_t bytes_charged; /* what `charge` was told: committed, copy reserve, tables */
};

/* What the heap asks of, and reports to, its embedder. `ctx` is passed through. All but `roots` may be NULL.
 * A trace is: `roots` once, then `func` for what is reached, then `more_roots` until it returns false. A collection is
 * one trace, then `extern_dead` for each, then `collected`. heap_verify makes a trace that changes no slot and is
 * followed by nothing, so `roots` has to reset what the embedder marks in a trace. */
struct heap_embedder {
    void *ctx;
    /* Visit every root exactly once; must not allocate. */
    void (*roots)(void *ctx, struct heap_visitor *v);
    /* Called every 256 KiB or so of copying, scanning or clearing so that long work can yield (it may switch fibers,
     * also out of `roots`); must not touch this heap. */
    void (*poll)(void *ctx);
    /* An externref object died. Called after the collection is complete; must not allocate in this heap. */
    void (*extern_dead)(void *ctx, uint64_t id);
    /* Charges (delta > 0) or returns (delta < 0) bytes against a wider budget; false refuses, returns are never
     * refused. Covers the chunks with memory behind them, the copy reserve, side tables and an estimate of the page
     * tables. The sum over a heap's life is zero. Never called during a collection. */
    bool (*charge)(void *ctx, int64_t delta);
    /* After each collection, with the statistics as they now stand. */
    void (*collected)(void *ctx, const struct heap_stats *stats);
    /* A HEAP_SLOT_FUNC slot holding `func` was reached (any value, also the 0 of fresh memory). */
    void (*func)(void *ctx, struct heap_visitor *v, uint32_t func);
    /* The scan has caught up: visit the roots that became reachable since (through `func`); false: there were none. */
    bool (*more_roots)(void *ctx, struct heap_visitor *v);
};

enum { HEAP_STRESS_DENSE = 20000, HEAP_STRESS_SPARSE = 1009 };

/* Zero means the default in every field. */
struct heap_options {
    uint64_t limit_bytes;    /* most memory the heap may commit, copy reserve included, in whole chunks (16 KiB; in
                              * the stress build 4 KiB); default 1 GiB, at most 4 GiB - 256 KiB */
    uint32_t growth_percent; /* F: next collection after live x F/100 more bytes; default 200 */
    uint32_t stress_every;   /* collect at every Nth allocation (heap_bump declines then); 0 = never, but in the stress
                              * build at every one of the first HEAP_STRESS_DENSE, then at every HEAP_STRESS_SPARSE-th, so
                              * that whole programs end; UINT32_MAX is as good as never */
    uint32_t extern_desc;    /* index of the HEAP_EXTERN descriptor */
};

/* Makes a heap that writes its allocation window into *m (which must outlive it). `emb` and `opt` are copied.
 * Fails with HEAP_NO_MEMORY, also when the limit is below two chunks; *out is NULL then. */
enum heap_status heap_new(const struct heap_options *opt, const struct heap_embedder *emb, struct heap_descs descs,
                          struct heap_mutator *m, struct heap **out);
/* Frees everything; externrefs still alive are reported dead first. NULL is allowed. */
void heap_free(struct heap *h);
/* The same in pieces: frees as much as *units allow, one for an externref or 4 KiB of memory, which it takes from them.
 * True: more is left, and nothing else may be done with the heap. What is freed is returned to `charge` as it goes. */
bool heap_free_some(struct heap *h, uint32_t *units);

/* Allocates `size` bytes (header included, multiple of 4, >= 8) with descriptor `desc`; the rest is zeroed. An array's
 * size includes its length word, which the caller stores before anything may collect: use heap_alloc_array.
 * May collect: every reference the caller holds elsewhere than in a root is stale afterwards, whatever is returned.
 * HEAP_NO_MEMORY leaves the heap usable; HEAP_TOO_LARGE means that no collection could help. */
enum heap_status heap_alloc(struct heap *h, uint32_t desc, uint32_t size, heap_ref *out);
/* As heap_alloc for an array of `length` elements; computes the size (HEAP_TOO_LARGE on overflow), sets the length. */
enum heap_status heap_alloc_array(struct heap *h, uint32_t desc, uint32_t length, heap_ref *out);

enum { HEAP_BUMP_MAX = 1024 }; /* larger objects are medium ones, which heap_alloc counts (.reserve) */

/* The inline fast path: bumps, or returns null and changes nothing. The caller falls back to heap_alloc.
 * The memory is NOT zeroed by this function: the caller stores every field. In stress builds it always declines. */
static inline heap_ref heap_bump(struct heap_mutator *m, uint32_t desc, uint32_t size)
{
    uint32_t at = m->top;
    if (size > HEAP_BUMP_MAX || (uint64_t)at + size > m->limit) return heap_null();
    m->top = at + size;
    uint32_t header = desc << 1;
    __builtin_memcpy(m->base + at, &header, 4);
    return (heap_ref){at};
}

/* Externrefs. The same id is the same object for as long as that object lives (identity). May collect, and fails, as
 * heap_alloc does. An id whose object is unreachable but not yet swept gets that same object. */
enum heap_status heap_extern(struct heap *h, uint64_t id, heap_ref *out);
uint64_t heap_extern_id(const struct heap *h, heap_ref r); /* r must be a HEAP_EXTERN object */

/* Collects now. Never fails: .reserve. */
void heap_collect(struct heap *h);
/* Gives free chunks back to the system, and their charge to the embedder. Call it when the store has idled for a while
 * (a second, say): it keeps a minimum, and does nothing for less than an eighth of what is in use. */
void heap_trim(struct heap *h);
/* The same in pieces, as heap_free_some, but the heap may be used between them. True: more is left. */
bool heap_trim_some(struct heap *h, uint32_t *units);
void heap_get_stats(const struct heap *h, struct heap_stats *out);
/* A long walk that only looks. Every HEAP_WALK_STEPS slots, objects or chunks it calls `pause`, which may do anything
 * else (switch stacks, say), but nobody may change what is walked before the walk is over. NULL: it does not pause. */
enum { HEAP_WALK_STEPS = 1024 };
struct heap_walk {
    void (*pause)(void *ctx);
    void *ctx;
    uint32_t steps; /* since the last pause */
};
static inline void heap_walk_step(struct heap_walk *walk)
{
    if (walk == NULL || ++walk->steps < HEAP_WALK_STEPS) return;
    walk->steps = 0;
    walk->pause(walk->ctx);
}

/* Walks every label, object, reference, root and externref; returns true (also when it has no memory for
 * its bitmap), or false with what and where in `why`. Garbage not yet collected is walked, too. Not during a
 * collection. */
bool heap_verify(struct heap *h, struct heap_walk *walk, char *why, size_t len);

/* Calls `seen` once with every object that the roots reach. The heap is sound (heap_verify), nothing may change it
 * meanwhile, and `seen` may only look. False: no memory, and not all were seen. */
bool heap_each_reached(struct heap *h, struct heap_walk *walk, void (*seen)(void *ctx, heap_ref object), void *ctx);

/* Is a collection under way? Asked in its polls. */
bool heap_is_collecting(const struct heap *h);

static inline uint32_t heap_object_desc(const uint8_t *base, heap_ref r)
{
    uint32_t header;
    __builtin_memcpy(&header, base + r.bits, 4);
    return header >> 1;
}
static inline uint32_t heap_array_length(const uint8_t *base, heap_ref r)
{
    uint32_t n;
    __builtin_memcpy(&n, base + r.bits + 4, 4);
    return n;
}
enum { HEAP_ARRAY_LENGTH = 4, HEAP_ARRAY_DATA = 8, HEAP_EXTERN_SIZE = 16, HEAP_NULL_BYTES = 256 * 1024 };

#endif
