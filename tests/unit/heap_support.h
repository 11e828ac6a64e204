/* tests/unit/heap_support.h -- a small embedder for the heap's tests: a descriptor of every shape, roots, a budget,
 * and counters of what the heap reported.
 */
#ifndef HEMI_TESTS_HEAP_SUPPORT_H
#define HEMI_TESTS_HEAP_SUPPORT_H

#include "heap/heap.h"
#include "heap/internal.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    D_FREE,
    D_LEAF,   /* 8 bytes: header, data */
    D_PAIR,   /* 12: header, ref, ref */
    D_NODE,   /* 24: header, ref, data, ref, func, data */
    D_MEDIUM, /* copied, but counted */
    D_LARGE,  /* a struct in a run of its own */
    D_REFS,
    D_I8,
    D_I16,
    D_I32,
    D_I64,
    D_V128,
    D_FUNCS,
    D_EXTERN,
    D_COUNT
};

enum { MEDIUM_SIZE = HEAP_SMALL_MAX + 484, LARGE_SIZE = HEAP_CHUNK + HEAP_MEDIUM_MAX + 12, ROOTS = 512, IDS = 4096 };

static const uint32_t pair_offsets[] = {4, 8};
static const uint32_t node_offsets[] = {4, 12, 16};
static const uint32_t medium_offsets[] = {4, MEDIUM_SIZE - 4};
static const uint32_t large_offsets[] = {4, HEAP_CHUNK, LARGE_SIZE - 4, 8};
static const uint32_t desc_count = D_COUNT;

static const struct heap_desc descs[D_COUNT] = {
    [D_LEAF] = {.kind = HEAP_FIXED, .size = 8},
    [D_PAIR] = {.kind = HEAP_FIXED, .size = 12, .nrefs = 2, .offsets = pair_offsets},
    [D_NODE] = {.kind = HEAP_FIXED, .size = 24, .nrefs = 2, .nfuncs = 1, .offsets = node_offsets},
    [D_MEDIUM] = {.kind = HEAP_FIXED, .size = MEDIUM_SIZE, .nrefs = 2, .offsets = medium_offsets},
    [D_LARGE] = {.kind = HEAP_FIXED, .size = LARGE_SIZE, .nrefs = 3, .nfuncs = 1, .offsets = large_offsets},
    [D_REFS] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_REF, .elem_size = 4},
    [D_I8] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_DATA, .elem_size = 1},
    [D_I16] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_DATA, .elem_size = 2},
    [D_I32] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_DATA, .elem_size = 4},
    [D_I64] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_DATA, .elem_size = 8},
    [D_V128] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_DATA, .elem_size = 16},
    [D_FUNCS] = {.kind = HEAP_ARRAY, .elem = HEAP_SLOT_FUNC, .elem_size = 4},
    [D_EXTERN] = {.kind = HEAP_EXTERN},
};

struct world {
    struct heap *heap;
    struct heap_mutator m;
    uint8_t marks[D_COUNT];
    uint32_t roots[ROOTS];
    uint32_t nroots;
    /* The instances of func_reached: `late` is a root slot once function 7 was reached. */
    uint64_t funcs, func_sum;
    uint32_t late;
    bool late_reached, late_visited;
    /* Budget */
    int64_t charged, charged_most, budget;
    uint32_t charge_calls, refuse_at; /* refuse the Nth increase; 0: none */
    /* Reports */
    uint64_t polls, collections, deaths;
    uint8_t dead[IDS]; /* times that an id below IDS died */
};

static inline void world_roots(void *ctx, struct heap_visitor *v)
{
    struct world *w = ctx;
    w->late_reached = w->late_visited = false;
    w->funcs = w->func_sum = 0;
    for (uint32_t i = 0; i < w->nroots; i++) heap_visit_ref(v, &w->roots[i]);
}

static inline void world_func(void *ctx, struct heap_visitor *v, uint32_t func)
{
    struct world *w = ctx;
    (void)v;
    w->funcs++;
    w->func_sum += func;
    if (func == 7) w->late_reached = true;
}

static inline bool world_more_roots(void *ctx, struct heap_visitor *v)
{
    struct world *w = ctx;
    if (!w->late_reached || w->late_visited) return false;
    w->late_visited = true;
    heap_visit_ref(v, &w->late);
    return true;
}

static inline void world_poll(void *ctx) { ((struct world *)ctx)->polls++; }

static inline void world_extern_dead(void *ctx, uint64_t id)
{
    struct world *w = ctx;
    w->deaths++;
    if (id < IDS) w->dead[id]++;
}

static inline bool world_charge(void *ctx, int64_t delta)
{
    struct world *w = ctx;
    if (delta > 0) {
        w->charge_calls++;
        if (w->charge_calls == w->refuse_at) return false;
        if (w->budget != 0 && w->charged + delta > w->budget) return false;
    }
    w->charged += delta;
    if (w->charged > w->charged_most) w->charged_most = w->charged;
    if (w->charged < 0) ck_abort_msg("more returned than charged");
    return true;
}

static inline void world_collected(void *ctx, const struct heap_stats *stats)
{
    struct world *w = ctx;
    ck_assert_uint_eq(stats->collections, ++w->collections);
}

static inline enum heap_status world_try_init(struct world *w, const struct heap_options *opt)
{
    struct heap_options o = *opt;
    o.extern_desc = D_EXTERN;
    struct heap_embedder emb = {.ctx = w,
                                .roots = world_roots,
                                .poll = world_poll,
                                .extern_dead = world_extern_dead,
                                .charge = world_charge,
                                .collected = world_collected,
                                .func = world_func,
                                .more_roots = world_more_roots};
    struct heap_descs d = {.at = descs, .marks = w->marks, .count = &desc_count};
    return heap_new(&o, &emb, d, &w->m, &w->heap);
}

static inline struct world *world_new(struct heap_options opt)
{
    struct world *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(world_try_init(w, &opt), HEAP_OK);
    return w;
}

/* As world_new, collecting only when the policy says so, in the stress build, too. */
static inline struct world *world_new_calm(struct heap_options opt)
{
    if (HEAP_STRESS) opt.stress_every = UINT32_MAX;
    return world_new(opt);
}

static inline void world_free(struct world *w)
{
    heap_free(w->heap);
    ck_assert_int_eq(w->charged, 0);
    free(w);
}

static inline void world_verify(struct world *w)
{
    char why[200] = "";
    ck_assert_msg(heap_verify(w->heap, NULL, why, sizeof why), "heap_verify: %s", why);
}

static inline heap_ref must_alloc(struct world *w, uint32_t desc)
{
    heap_ref r;
    enum heap_status status = heap_alloc(w->heap, desc, descs[desc].size, &r);
    if (status != HEAP_OK) ck_abort_msg("status %d", status);
    return r;
}

static inline heap_ref must_alloc_array(struct world *w, uint32_t desc, uint32_t length)
{
    heap_ref r;
    enum heap_status status = heap_alloc_array(w->heap, desc, length, &r);
    if (status != HEAP_OK) ck_abort_msg("status %d", status);
    return r;
}

static inline heap_ref must_extern(struct world *w, uint64_t id)
{
    heap_ref r;
    enum heap_status status = heap_extern(w->heap, id, &r);
    if (status != HEAP_OK) ck_abort_msg("status %d", status);
    return r;
}

static inline uint8_t *at(const struct world *w, uint32_t bits) { return w->m.base + bits; }
static inline uint32_t get(const struct world *w, uint32_t object, uint32_t offset)
{
    return heap_load_slot(at(w, object) + offset);
}
static inline void set(const struct world *w, uint32_t object, uint32_t offset, uint32_t value)
{
    heap_store_slot(at(w, object) + offset, value);
}

/* One assertion for many bytes: Check writes each one to a pipe. */
static inline bool all_are(const struct world *w, uint32_t object, uint32_t bytes, uint8_t value)
{
    const uint8_t *p = at(w, object) + HEAP_ARRAY_DATA;
    return bytes == 0 || (p[0] == value && memcmp(p, p + 1, bytes - 1) == 0);
}

static inline struct heap_stats stats_of(const struct world *w)
{
    struct heap_stats s;
    heap_get_stats(w->heap, &s);
    return s;
}

/* ---- Randomness: HEMI_SEED repeats a run */

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint32_t rng_below(struct rng *r, uint32_t n) { return (uint32_t)(rng_next(r) % n); }

static inline struct rng rng_seeded(const char *test)
{
    const char *given = getenv("HEMI_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
    printf("%s: HEMI_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return (struct rng){seed};
}

#endif
