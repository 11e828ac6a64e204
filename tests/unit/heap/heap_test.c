/* tests/unit/heap/heap_test.c -- the heap's interface, function by function. */
#include "tests/unit/heap_support.h"

static const struct heap_options none;

START_TEST(reference_encodings)
{
    ck_assert(heap_is_null(heap_null()));
    ck_assert(!heap_is_object(heap_null()));
    ck_assert(heap_is_i31(heap_i31(5)));
    ck_assert(!heap_is_object(heap_i31(5)));
    ck_assert_uint_eq(heap_i31_u(heap_i31(0x7fffffff)), 0x7fffffff);
    ck_assert_int_eq(heap_i31_s(heap_i31(0x7fffffff)), -1);
    ck_assert_int_eq(heap_i31_s(heap_i31(0xffffffff)), -1);
    ck_assert_int_eq(heap_i31_s(heap_i31(0x3fffffff)), 0x3fffffff);
    ck_assert_uint_eq(heap_i31_u(heap_i31(0x80000001)), 1);
}
END_TEST

START_TEST(a_heap_that_never_allocates_has_no_chunks)
{
    struct world *w = world_new(none);
    ck_assert_uint_eq(stats_of(w).bytes_committed, 0);
    ck_assert_uint_eq(w->m.top, w->m.limit);
    ck_assert_int_le(w->charged, 4096);
    ck_assert(heap_is_null(heap_bump(&w->m, D_PAIR, 12)));
    heap_collect(w->heap);
    heap_trim(w->heap);
    world_verify(w);
    world_free(w);
}
END_TEST

START_TEST(objects_come_zeroed_and_aligned)
{
    struct world *w = world_new(none);
    static const uint8_t zero[LARGE_SIZE];
    for (int round = 0; round < 200; round++) {
        for (uint32_t d = D_LEAF; d <= D_LARGE; d++) {
            heap_ref r = must_alloc(w, d);
            uint32_t size = descs[d].size;
            ck_assert_uint_eq(r.bits % 4, 0);
            ck_assert_uint_ge(r.bits, HEAP_NULL_BYTES);
            ck_assert_uint_eq(heap_object_desc(w->m.base, r), d);
            ck_assert_mem_eq(at(w, r.bits) + 4, zero, size - 4);
            memset(at(w, r.bits) + 4, 0x55, size - 4); /* garbage by the next round */
            for (uint32_t i = 0; i < descs[d].nrefs; i++) set(w, r.bits, descs[d].offsets[i], 0);
        }
    }
    world_verify(w);
    world_free(w);
}
END_TEST

START_TEST(bumping_is_declined_only_when_it_must)
{
    struct world *w = world_new_calm(none);
    must_alloc(w, D_LEAF);
    uint32_t top = w->m.top;
    heap_ref r = heap_bump(&w->m, D_LEAF, 8);
    ck_assert_int_eq(heap_is_null(r), HEAP_STRESS);
    ck_assert_uint_eq(w->m.top, HEAP_STRESS ? top : top + 8);
    ck_assert(heap_is_null(heap_bump(&w->m, D_I8, HEAP_BUMP_MAX + 4)));
    world_free(w);

    struct heap_mutator edge = {.base = NULL, .top = UINT32_MAX - 7, .limit = UINT32_MAX - 3};
    ck_assert(heap_is_null(heap_bump(&edge, D_LEAF, 8))); /* no wrap to 0 */
    ck_assert_uint_eq(edge.top, UINT32_MAX - 7);
}
END_TEST

START_TEST(arrays_of_every_element_kind)
{
    struct world *w = world_new(none);
    static const uint32_t lengths[] = {0, 1, 2, 3, 5, 100, 1000, 5000, 20000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        w->nroots = 0;
        for (uint32_t d = D_REFS; d <= D_FUNCS; d++) {
            heap_ref r = must_alloc_array(w, d, lengths[i]);
            w->roots[w->nroots++] = r.bits;
            ck_assert_uint_eq(heap_array_length(w->m.base, r), lengths[i]);
            uint32_t bytes = lengths[i] * descs[d].elem_size;
            ck_assert(all_are(w, r.bits, bytes, 0));
            /* In an array of references the pattern 0x?d.... is odd: an i31. */
            if (d == D_REFS)
                for (uint32_t b = 0; b < lengths[i]; b++) set(w, r.bits, 8 + b * 4, b * 2 + 1);
            else
                memset(at(w, r.bits) + HEAP_ARRAY_DATA, (int)d, bytes);
        }
        heap_collect(w->heap);
        world_verify(w);
        for (uint32_t d = D_REFS; d <= D_FUNCS; d++) {
            uint32_t r = w->roots[d - D_REFS], bytes = lengths[i] * descs[d].elem_size;
            ck_assert_uint_eq(heap_array_length(w->m.base, (heap_ref){r}), lengths[i]);
            if (d != D_REFS) ck_assert(all_are(w, r, bytes, (uint8_t)d));
            uint32_t wrong = 0;
            for (uint32_t b = 0; d == D_REFS && b < lengths[i]; b++) wrong += get(w, r, 8 + b * 4) != b * 2 + 1;
            ck_assert_uint_eq(wrong, 0);
        }
    }
    world_free(w);
}
END_TEST

START_TEST(sizes_that_can_never_fit)
{
    struct world *w = world_new((struct heap_options){.limit_bytes = 1 << 20});
    heap_ref r = {5};
    ck_assert_int_eq(heap_alloc_array(w->heap, D_V128, UINT32_MAX, &r), HEAP_TOO_LARGE);
    ck_assert(heap_is_null(r));
    ck_assert_int_eq(heap_alloc_array(w->heap, D_V128, UINT32_MAX / 16, &r), HEAP_TOO_LARGE);
    ck_assert_int_eq(heap_alloc_array(w->heap, D_V128, UINT32_MAX / 16 + 1, &r), HEAP_TOO_LARGE);
    ck_assert_int_eq(heap_alloc_array(w->heap, D_I8, UINT32_MAX, &r), HEAP_TOO_LARGE);
    ck_assert_int_eq(heap_alloc_array(w->heap, D_I8, UINT32_MAX - 8, &r), HEAP_TOO_LARGE);
    ck_assert_int_eq(heap_alloc_array(w->heap, D_I8, UINT32_MAX - 12, &r), HEAP_TOO_LARGE);
    ck_assert_int_eq(heap_alloc_array(w->heap, D_I8, 1 << 20, &r), HEAP_TOO_LARGE);
    ck_assert_int_eq(heap_alloc_array(w->heap, D_I8, (1 << 20) - 8, &r), HEAP_OK);
    world_verify(w);
    world_free(w);
}
END_TEST

START_TEST(a_chain_survives_and_the_rest_does_not)
{
    struct world *w = world_new_calm(none);
    enum { N = 50000 };
    w->nroots = 1;
    for (uint32_t i = 0; i < N; i++) {
        heap_ref r = must_alloc(w, D_NODE);
        set(w, r.bits, 4, w->roots[0]);
        set(w, r.bits, 8, i);
        set(w, r.bits, 12, r.bits); /* a cycle of one */
        w->roots[0] = r.bits;
        must_alloc(w, D_PAIR); /* garbage between */
    }
    heap_collect(w->heap);
    world_verify(w);
    struct heap_stats s = stats_of(w);
    ck_assert_uint_eq(s.bytes_live, N * 24);
    ck_assert_uint_eq(s.bytes_allocated, N * 36);
    uint32_t r = w->roots[0];
    for (uint32_t i = N; i-- > 0; r = get(w, r, 4)) {
        ck_assert_uint_eq(get(w, r, 8), i);
        ck_assert_uint_eq(get(w, r, 12), r);
    }
    ck_assert_uint_eq(r, 0);
    w->roots[0] = 0;
    heap_collect(w->heap);
    ck_assert_uint_eq(stats_of(w).bytes_live, 0);
    world_verify(w);
    world_free(w);
}
END_TEST

START_TEST(sharing_is_kept)
{
    struct world *w = world_new(none);
    w->nroots = 3;
    w->roots[0] = must_alloc(w, D_PAIR).bits;
    w->roots[1] = must_alloc(w, D_PAIR).bits;
    w->roots[2] = w->roots[0];
    set(w, w->roots[0], 4, w->roots[1]);
    set(w, w->roots[1], 4, w->roots[0]);
    set(w, w->roots[1], 8, heap_i31(99).bits);
    uint32_t before = w->roots[0];
    heap_collect(w->heap);
    ck_assert_uint_ne(w->roots[0], before); /* everything small moves: stale references show */
    ck_assert_uint_eq(w->roots[2], w->roots[0]);
    ck_assert_uint_eq(get(w, w->roots[0], 4), w->roots[1]);
    ck_assert_uint_eq(get(w, w->roots[1], 4), w->roots[0]);
    ck_assert_uint_eq(get(w, w->roots[1], 8), heap_i31(99).bits);
    world_free(w);
}
END_TEST

START_TEST(large_objects_stay_where_they_are)
{
    struct world *w = world_new(none);
    w->nroots = 2;
    w->roots[0] = must_alloc_array(w, D_REFS, 100000).bits;
    uint32_t big = w->roots[0];
    for (uint32_t i = 0; i < 100; i++) {
        heap_ref r = must_alloc(w, D_LEAF);
        set(w, r.bits, 4, i);
        ck_assert_uint_eq(w->roots[0], big);
        set(w, big, 8 + i * 999 * 4, r.bits);
    }
    set(w, big, 8 + 99999 * 4, big);   /* itself: met again after its relabelling */
    must_alloc_array(w, D_I8, 300000); /* a dead one */
    uint64_t copied = stats_of(w).bytes_copied;
    heap_collect(w->heap);
    ck_assert_uint_eq(w->roots[0], big);
    ck_assert_uint_eq(stats_of(w).bytes_copied - copied, 800);
    ck_assert_uint_eq(stats_of(w).bytes_live, 800 + 8 + 400000);
    for (uint32_t i = 0; i < 100; i++) ck_assert_uint_eq(get(w, get(w, big, 8 + i * 999 * 4), 4), i);
    ck_assert_uint_eq(get(w, big, 8 + 99999 * 4), big);
    world_verify(w);
    w->roots[0] = 0;
    heap_collect(w->heap);
    ck_assert_uint_eq(stats_of(w).bytes_live, 0);
    world_verify(w);
    world_free(w);
}
END_TEST

/* A long chain through large objects only: their scan is a list, too, not a stack. */
START_TEST(large_objects_reach_each_other)
{
    struct world *w = world_new_calm(none);
    enum { N = 500 };
    w->nroots = 1;
    for (uint32_t i = 0; i < N; i++) {
        heap_ref r = must_alloc(w, D_LARGE), leaf;
        set(w, r.bits, HEAP_CHUNK, w->roots[0]);
        w->roots[0] = r.bits;
        leaf = must_alloc(w, D_LEAF);
        set(w, leaf.bits, 4, i);
        set(w, w->roots[0], LARGE_SIZE - 4, leaf.bits);
        must_alloc(w, D_LARGE);
    }
    for (int round = 0; round < 3; round++) {
        heap_collect(w->heap);
        world_verify(w);
        uint32_t r = w->roots[0];
        for (uint32_t i = N; i-- > 0; r = get(w, r, HEAP_CHUNK)) {
            ck_assert_uint_eq(get(w, get(w, r, LARGE_SIZE - 4), 4), i);
        }
        ck_assert_uint_eq(r, 0);
    }
    world_free(w);
}
END_TEST

/* Dead runs are allocated in again: neither the window nor the charge creeps. */
START_TEST(runs_are_used_again)
{
    struct world *w = world_new_calm(none);
    w->nroots = 8;
    uint32_t mapped = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        w->roots[i % 8] = must_alloc_array(w, D_I8, (2 + i % 5) * HEAP_CHUNK).bits;
        must_alloc(w, D_MEDIUM);
        if (i == 400) mapped = w->heap->mapped_end;
    }
    ck_assert_uint_le(w->heap->mapped_end, mapped + mapped / 2);
    /* Full: the search fails, and has to be made again once there are holes. */
    w->heap->window_end = w->heap->mapped_end;
    heap_ref r;
    uint32_t n = 8;
    while (heap_alloc_array(w->heap, D_I8, 2 * HEAP_CHUNK, &r) == HEAP_OK) {
        w->roots[n++] = r.bits;
        w->nroots = n;
        ck_assert_uint_lt(n, ROOTS);
    }
    uint32_t highest = 0;
    for (uint32_t i = 0; i < n; i++) highest = w->roots[i] > highest ? w->roots[i] : highest;
    for (uint32_t i = 0; i < n; i++) w->roots[i] = w->roots[i] == highest ? highest : 0;
    must_alloc_array(w, D_I8, 2 * HEAP_CHUNK);
    for (uint32_t i = 0; i < n; i++) ck_assert(w->roots[i] == 0 || w->roots[i] == highest); /* not by compacting */
    world_verify(w);
    world_free(w);
}
END_TEST

/* A window with room for little more than the limit, full of runs with holes between: a new run fits only when the
 * large objects are copied together. */
START_TEST(holes_are_closed_by_copying_large_objects)
{
    enum { RUNS = 40, LENGTH = 3 * HEAP_CHUNK - 100 };
    struct world *w = world_new_calm((struct heap_options){.limit_bytes = 1024 * HEAP_CHUNK});
    w->heap->window_end = HEAP_FIRST + 3 * RUNS + 6;
    w->nroots = RUNS + 1;
    for (uint32_t i = 0; i < RUNS; i++) {
        w->roots[i] = must_alloc_array(w, D_I8, LENGTH).bits;
        memset(at(w, w->roots[i]) + 8, (int)i, LENGTH);
    }
    w->roots[RUNS] = must_alloc(w, D_PAIR).bits;
    for (uint32_t i = 0; i < RUNS; i += 2) w->roots[i] = 0;
    set(w, w->roots[RUNS], 4, w->roots[RUNS - 1]);
    heap_ref r = must_alloc_array(w, D_REFS, 12 * HEAP_CHUNK / 4 - 10); /* longer than any hole */
    world_verify(w);
    ck_assert_uint_eq(heap_array_length(w->m.base, r), 12 * HEAP_CHUNK / 4 - 10);
    ck_assert_uint_gt(stats_of(w).bytes_copied, LENGTH);
    for (uint32_t i = 1; i < RUNS; i += 2) {
        ck_assert_uint_eq(heap_array_length(w->m.base, (heap_ref){w->roots[i]}), LENGTH);
        ck_assert(all_are(w, w->roots[i], LENGTH, (uint8_t)i));
    }
    ck_assert_uint_eq(get(w, w->roots[RUNS], 4), w->roots[RUNS - 1]);
    heap_collect(w->heap);
    world_verify(w);
    world_free(w);
}
END_TEST

/* The window's last bytes: no offset wraps, nothing ends at 2^32. The memory is never touched. */
START_TEST(four_gigabytes)
{
    if (HEAP_STRESS) return; /* poison would touch all of it */
    struct world *w = world_new((struct heap_options){.limit_bytes = UINT64_MAX});
    uint64_t most = (uint64_t)(HEAP_WINDOW_END - HEAP_FIRST) * HEAP_CHUNK;
    heap_ref r;
    ck_assert_int_eq(heap_alloc_array(w->heap, D_I8, (uint32_t)most - 7, &r), HEAP_TOO_LARGE);
    w->nroots = 2;
    w->roots[0] = must_alloc_array(w, D_I8, (uint32_t)(most - 8 * HEAP_CHUNK)).bits;
    ck_assert_uint_eq(w->roots[0], HEAP_NULL_BYTES);
    at(w, w->roots[0])[8 + (most - 8 * HEAP_CHUNK) - 1] = 42;
    w->roots[1] = must_alloc(w, D_PAIR).bits;
    while (heap_alloc(w->heap, D_PAIR, 12, &r) == HEAP_OK && stats_of(w).collections < 50) set(w, r.bits, 4, 0);
    heap_collect(w->heap);
    heap_collect(w->heap);
    ck_assert_uint_eq(at(w, w->roots[0])[8 + (most - 8 * HEAP_CHUNK) - 1], 42);
    ck_assert_uint_gt(w->roots[1], w->roots[0]);
    w->roots[0] = 0;
    heap_collect(w->heap);
    heap_trim(w->heap); /* cold again, so that nobody clears it */
    w->roots[0] = must_alloc_array(w, D_I8, (uint32_t)(most / 2)).bits;
    world_free(w);
}
END_TEST

START_TEST(externrefs_have_identity_and_die_once)
{
    struct world *w = world_new(none);
    w->nroots = 1;
    w->roots[0] = must_alloc_array(w, D_REFS, IDS).bits;
    for (uint32_t id = 0; id < IDS; id++) {
        heap_ref r = must_extern(w, id);
        ck_assert_uint_eq(heap_extern_id(w->heap, r), id);
        set(w, w->roots[0], 8 + id * 4, r.bits);
    }
    for (uint32_t id = 0; id < IDS; id++) {
        ck_assert_uint_eq(must_extern(w, id).bits, get(w, w->roots[0], 8 + id * 4));
    }
    ck_assert_uint_eq(stats_of(w).externs_made, IDS);
    world_verify(w);
    for (uint32_t id = 0; id < IDS; id += 3) set(w, w->roots[0], 8 + id * 4, 0);
    heap_collect(w->heap);
    world_verify(w);
    for (uint32_t id = 0; id < IDS; id++) ck_assert_uint_eq(w->dead[id], id % 3 == 0);
    for (uint32_t id = 1; id < IDS; id += 3) {
        ck_assert_uint_eq(must_extern(w, id).bits, get(w, w->roots[0], 8 + id * 4));
    }
    must_extern(w, 0); /* again: another object, which may die again */
    heap_collect(w->heap);
    ck_assert_uint_eq(w->dead[0], 2);
    ck_assert_uint_eq(w->dead[3], 1);
    struct heap_stats s = stats_of(w);
    ck_assert_uint_eq(s.externs_live, IDS - (IDS + 2) / 3);
    ck_assert_uint_eq(s.externs_made - s.externs_dead, s.externs_live);
    uint64_t reported = w->deaths;
    heap_free(w->heap); /* the rest */
    ck_assert_uint_eq(w->deaths - reported, s.externs_live);
    ck_assert_uint_eq(w->dead[1], 1);
    ck_assert_uint_eq(w->dead[0], 2);
    free(w);
}
END_TEST

START_TEST(functions_are_reported_and_reach_late_roots)
{
    struct world *w = world_new_calm(none);
    w->nroots = 1;
    w->late = must_alloc(w, D_NODE).bits;
    set(w, w->late, 8, 1234);
    set(w, w->late, 16, 100);
    w->roots[0] = must_alloc_array(w, D_FUNCS, 3).bits;
    set(w, w->roots[0], 8, 5);
    set(w, w->roots[0], 12, 7); /* reaches `late` */
    set(w, w->roots[0], 16, 9);
    memset(w->marks, 0, sizeof w->marks);
    heap_collect(w->heap);
    ck_assert_uint_eq(w->funcs, 4);
    ck_assert_uint_eq(w->func_sum, 121);
    ck_assert_uint_eq(get(w, w->late, 8), 1234);
    ck_assert_uint_eq(w->marks[D_NODE] + w->marks[D_FUNCS], 2);
    ck_assert_uint_eq(w->marks[D_PAIR], 0);
    world_verify(w);
    ck_assert_uint_eq(w->func_sum, 121); /* verifying is a trace, too */
    set(w, w->roots[0], 12, 8);
    memset(w->marks, 0, sizeof w->marks);
    heap_collect(w->heap);
    ck_assert_uint_eq(w->funcs, 3);
    ck_assert_uint_eq(w->marks[D_NODE], 0);
    world_free(w);
}
END_TEST

/* Yielding: about once every HEAP_WORK bytes, in copying, scanning, clearing and sweeping alike. */
START_TEST(long_work_polls)
{
    struct world *w = world_new_calm(none);
    w->nroots = 1;
    for (uint32_t i = 0; i < 40 * HEAP_WORK / 12; i++) {
        heap_ref r = must_alloc(w, D_PAIR);
        set(w, r.bits, 4, w->roots[0]);
        w->roots[0] = r.bits;
    }
    w->polls = 0;
    heap_collect(w->heap);
    ck_assert_uint_ge(w->polls, 39);
    ck_assert_uint_le(w->polls, 42);
    w->roots[0] = 0;
    w->roots[0] = must_alloc_array(w, D_REFS, 10 * HEAP_WORK).bits;
    w->polls = 0;
    heap_collect(w->heap);
    ck_assert_uint_ge(w->polls, 39);
    w->roots[0] = 0;
    heap_collect(w->heap);
    w->polls = 0;
    must_alloc_array(w, D_I8, 10 * HEAP_WORK); /* in warm memory: has to be cleared */
    ck_assert_uint_ge(w->polls, 9);
    world_free(w);
}
END_TEST

/* Each dead one is looked at twice: as it is swept, and as it is reported. */
START_TEST(sweeping_externrefs_polls)
{
    enum { DEAD = HEAP_WORK / 16, SWEPT = 64, REPORTED = 512 };
    struct world *w = world_new_calm(none);
    heap_ref r;
    for (uint64_t id = 1; id <= DEAD; id++) ck_assert_int_eq(heap_extern(w->heap, id, &r), HEAP_OK);
    w->polls = w->deaths = 0;
    heap_collect(w->heap);
    ck_assert_uint_eq(w->deaths, DEAD);
    ck_assert_uint_ge(w->polls, DEAD / (HEAP_WORK / (SWEPT + REPORTED)));
    world_free(w);
}
END_TEST

static void many_roots(void *ctx, struct heap_visitor *v)
{
    (void)ctx;
    uint32_t null = 0;
    for (uint32_t i = 0; i < 1u << 20; i++) heap_visit_ref(v, &null);
}

/* A collection looks at each root: so a million of them are a reason to wait, however little lives. */
START_TEST(many_roots_on_little_data_are_visited_rarely)
{
    struct world *w = world_new_calm((struct heap_options){.growth_percent = 100});
    w->heap->emb.roots = many_roots;
    heap_collect(w->heap);
    uint64_t before = w->collections;
    for (uint32_t i = 0; i < (8u << 20) / 12; i++) must_alloc(w, D_PAIR); /* half of what the roots cost */
    ck_assert_uint_eq(w->collections, before);
    world_free(w);
}
END_TEST

START_TEST(it_grows_with_what_lives_and_shrinks_when_idle)
{
    struct world *w = world_new_calm(none);
    enum { N = 200000 };
    w->nroots = 1;
    for (uint32_t i = 0; i < N; i++) {
        heap_ref r = must_alloc(w, D_PAIR);
        set(w, r.bits, 4, w->roots[0]);
        w->roots[0] = r.bits;
    }
    struct heap_stats grown = stats_of(w);
    ck_assert_uint_ge(grown.bytes_committed, N * 12);
    ck_assert_uint_lt(grown.collections, 40); /* geometric, not one per chunk */
    ck_assert_uint_lt(grown.bytes_copied, 2 * grown.bytes_allocated);
    /* Steady state: garbage is taken from warm chunks, at F = 2 about a third of it is live. */
    for (uint32_t i = 0; i < 10 * N; i++) must_alloc(w, D_PAIR);
    struct heap_stats steady = stats_of(w);
    ck_assert_uint_le(steady.bytes_committed, 5 * N * 12);
    ck_assert_uint_eq(steady.bytes_charged, (uint64_t)w->charged);
    w->roots[0] = 0;
    heap_collect(w->heap);
    heap_trim(w->heap);
    struct heap_stats idle = stats_of(w);
    ck_assert_uint_le(idle.bytes_committed, HEAP_YOUNG_MIN * HEAP_CHUNK);
    ck_assert_int_lt(w->charged, HEAP_YOUNG_MIN * HEAP_CHUNK + N / 4);
    ck_assert_uint_eq(idle.bytes_peak, steady.bytes_peak);
    world_verify(w);
    heap_trim(w->heap); /* nothing left to give */
    ck_assert_uint_eq(stats_of(w).bytes_committed, idle.bytes_committed);
    for (uint32_t i = 0; i < N; i++) { /* and it grows again, on memory that was given back */
        heap_ref r = must_alloc(w, D_PAIR);
        if (get(w, r.bits, 8) != 0) ck_abort_msg("not zeroed");
        set(w, r.bits, 4, w->roots[0]);
        w->roots[0] = r.bits;
    }
    world_verify(w);
    world_free(w);
}
END_TEST

START_TEST(trimming_between_bursts_keeps_what_lives)
{
    struct world *w = world_new_calm(none);
    w->nroots = 8;
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            w->roots[i] = must_alloc_array(w, D_I32, 1 + (round * 7919 + i * 104729) % 60000).bits;
            set(w, w->roots[i], 8, round);
            for (uint32_t j = 0; j < 300; j++) must_alloc(w, D_MEDIUM);
        }
        if (round % 3 == 0) heap_collect(w->heap);
        heap_trim(w->heap);
        world_verify(w);
        for (uint32_t i = 0; i < 8; i++) ck_assert_uint_eq(get(w, w->roots[i], 8), round);
    }
    world_free(w);
}
END_TEST

START_TEST(stress_every_counts_allocations)
{
    struct world *w = world_new((struct heap_options){.stress_every = 7});
    for (int i = 0; i < 70; i++) must_alloc(w, D_PAIR);
    ck_assert_uint_eq(stats_of(w).collections, 10);
    ck_assert_uint_eq(w->m.top, w->m.limit); /* so that heap_bump declines */
    world_free(w);
    w = world_new(none);
    for (int i = 0; i < 70; i++) must_alloc(w, D_PAIR);
    ck_assert_uint_eq(stats_of(w).collections, HEAP_STRESS ? 70 : 0);
    world_free(w);
}
END_TEST

START_TEST(many_heaps_at_once)
{
    enum { MOST = 200 };
    static struct world w[MOST];
    uint32_t n = 0;
    for (; n < MOST; n++) {
        struct heap_options opt = {.limit_bytes = 4 << 20, .stress_every = n % 5};
        if (world_try_init(&w[n], &opt) != HEAP_OK) break; /* valgrind has room for 31 windows */
        w[n].nroots = 1;
    }
    ck_assert_uint_ge(n, 16);
    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < n; i++) {
            heap_ref r = must_alloc(&w[i], D_NODE);
            set(&w[i], r.bits, 4, w[i].roots[0]);
            set(&w[i], r.bits, 8, i * 1000 + round);
            w[i].roots[0] = r.bits;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        heap_collect(w[i].heap);
        world_verify(&w[i]);
        uint32_t r = w[i].roots[0];
        for (uint32_t round = 300; round-- > 0; r = get(&w[i], r, 4))
            ck_assert_uint_eq(get(&w[i], r, 8), i * 1000 + round);
        ck_assert_uint_le(stats_of(&w[i]).bytes_committed, 8 * 16384); /* a small heap stays small */
        heap_free(w[i].heap);
        ck_assert_int_eq(w[i].charged, 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap");
    TCase *c = tcase_create("interface");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, reference_encodings);
    tcase_add_test(c, a_heap_that_never_allocates_has_no_chunks);
    tcase_add_test(c, objects_come_zeroed_and_aligned);
    tcase_add_test(c, bumping_is_declined_only_when_it_must);
    tcase_add_test(c, arrays_of_every_element_kind);
    tcase_add_test(c, sizes_that_can_never_fit);
    tcase_add_test(c, a_chain_survives_and_the_rest_does_not);
    tcase_add_test(c, sharing_is_kept);
    tcase_add_test(c, large_objects_stay_where_they_are);
    tcase_add_test(c, large_objects_reach_each_other);
    tcase_add_test(c, runs_are_used_again);
    tcase_add_test(c, holes_are_closed_by_copying_large_objects);
    tcase_add_test(c, four_gigabytes);
    tcase_add_test(c, externrefs_have_identity_and_die_once);
    tcase_add_test(c, functions_are_reported_and_reach_late_roots);
    tcase_add_test(c, long_work_polls);
    tcase_add_test(c, sweeping_externrefs_polls);
    tcase_add_test(c, many_roots_on_little_data_are_visited_rarely);
    tcase_add_test(c, it_grows_with_what_lives_and_shrinks_when_idle);
    tcase_add_test(c, trimming_between_bursts_keeps_what_lives);
    tcase_add_test(c, stress_every_counts_allocations);
    tcase_add_test(c, many_heaps_at_once);
    suite_add_tcase(s, c);
    return run_suite(s);
}
