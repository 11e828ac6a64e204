/* tests/unit/heap/heap_limit_test.c -- running out of memory: at the limit, in the wider budget, in the system; and
 * what collecting close to the limit may cost.
 */
#include "tests/unit/heap_support.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* What each sweep tries to do, one allocation after the other: objects of every size, all of them kept alive, and an
 * externref in between. Returns how many steps succeeded before the first failure. */
enum { STEPS = 400 };

static enum heap_status step(struct world *w, uint32_t i)
{
    static const uint32_t kinds[] = {D_PAIR, D_MEDIUM, D_NODE, D_LARGE, D_LEAF, D_EXTERN, D_REFS, D_NODE};
    uint32_t desc = kinds[i % 8];
    heap_ref r, link;
    enum heap_status status = desc == D_EXTERN ? heap_extern(w->heap, i, &r)
                              : desc == D_REFS ? heap_alloc_array(w->heap, desc, i * 8, &r)
                                               : heap_alloc(w->heap, desc, descs[desc].size, &r);
    if (status != HEAP_OK) return status;
    w->roots[1] = r.bits;
    status = heap_alloc(w->heap, D_PAIR, 12, &link);
    if (status != HEAP_OK) return status;
    set(w, link.bits, 4, w->roots[0]);
    set(w, link.bits, 8, w->roots[1]);
    w->roots[0] = link.bits;
    return HEAP_OK;
}

static uint32_t run_steps(struct world *w, enum heap_status *status)
{
    w->nroots = 2;
    for (uint32_t i = 0; i < STEPS; i++) {
        *status = step(w, i);
        if (*status != HEAP_OK) return i;
    }
    return STEPS;
}

static void check_steps(struct world *w, uint32_t steps)
{
    uint32_t n = 0;
    for (uint32_t r = w->roots[0]; r != 0; r = get(w, r, 4)) n++;
    ck_assert_uint_eq(n, steps);
    world_verify(w);
    heap_collect(w->heap);
    world_verify(w);
    w->roots[0] = w->roots[1] = 0; /* what failed can be done once there is room again */
    heap_collect(w->heap);
    heap_ref r;
    ck_assert_int_eq(heap_alloc(w->heap, D_PAIR, 12, &r), HEAP_OK);
}

START_TEST(no_memory_at_every_limit)
{
    uint32_t steps = 0, before = 0;
    uint64_t chunks = 2;
    for (; steps < STEPS; chunks += 1 + chunks / 16) {
        struct world *w =
            world_new((struct heap_options){.limit_bytes = chunks * HEAP_CHUNK, .stress_every = HEAP_STRESS ? 5 : 0});
        enum heap_status status = HEAP_OK;
        steps = run_steps(w, &status);
        ck_assert(steps == STEPS || status == HEAP_NO_MEMORY || (status == HEAP_TOO_LARGE && chunks < 4));
        ck_assert_uint_le(stats_of(w).bytes_peak, chunks * HEAP_CHUNK);
        ck_assert_uint_ge(steps + 8, before); /* more room, more steps: give or take what policy lets be garbage */
        before = steps;
        check_steps(w, steps);
        world_free(w);
    }
    ck_assert_uint_gt(chunks, 20);
}
END_TEST

START_TEST(limits_too_low_for_a_heap)
{
    struct world w = {0};
    for (uint64_t bytes = 1; bytes < 2 * HEAP_CHUNK; bytes += 1000) {
        ck_assert_int_eq(world_try_init(&w, &(struct heap_options){.limit_bytes = bytes}), HEAP_NO_MEMORY);
        ck_assert_ptr_null(w.heap);
    }
    ck_assert_int_eq(w.charged, 0);
    ck_assert_int_eq(world_try_init(&w, &(struct heap_options){.limit_bytes = 2 * HEAP_CHUNK}), HEAP_OK);
    w.nroots = 1;
    w.roots[0] = must_alloc(&w, D_LEAF).bits;
    for (int i = 0; i < 5000; i++) must_alloc(&w, D_PAIR);
    heap_free(w.heap);
}
END_TEST

/* The budget refuses the first, second, third ... increase, once each; whatever fails, the rest goes on. */
START_TEST(every_charge_refused_once)
{
    uint32_t calls = 1;
    for (uint32_t refuse = 1; refuse <= calls; refuse++) {
        struct world *w = calloc(1, sizeof *w);
        w->refuse_at = refuse;
        struct heap_options opt = {.limit_bytes = 16 << 20, .stress_every = HEAP_STRESS ? 9 : 0};
        enum heap_status status = world_try_init(w, &opt);
        if (status != HEAP_OK) {
            ck_assert_uint_eq(refuse, 1);
            ck_assert_int_eq(status, HEAP_NO_MEMORY);
            ck_assert_int_eq(w->charged, 0);
            calls = 2;
            free(w);
            continue;
        }
        w->nroots = 2;
        uint32_t steps = 0;
        for (uint32_t i = 0; i < STEPS; i++) steps += step(w, i) == HEAP_OK;
        ck_assert_uint_ge(steps, STEPS - 1); /* most refusals cost a collection, or mapping ahead, and no step */
        calls = w->charge_calls > calls ? w->charge_calls : calls;
        check_steps(w, steps);
        ck_assert_uint_eq(stats_of(w).bytes_charged, (uint64_t)w->charged);
        world_free(w);
    }
    ck_assert_uint_gt(calls, 5);
}
END_TEST

START_TEST(every_budget)
{
    uint32_t steps = 0;
    for (int64_t budget = 4 * HEAP_CHUNK + 16384; steps < STEPS; budget += budget / 8) {
        struct world *w = calloc(1, sizeof *w);
        w->budget = budget;
        struct heap_options opt = {.stress_every = HEAP_STRESS ? 9 : 0};
        ck_assert_int_eq(world_try_init(w, &opt), HEAP_OK);
        enum heap_status status = HEAP_OK;
        steps = run_steps(w, &status);
        ck_assert(steps == STEPS || status == HEAP_NO_MEMORY);
        ck_assert_int_le(w->charged_most, budget);
        ck_assert_uint_lt(stats_of(w).bytes_peak, (uint64_t)budget);
        check_steps(w, steps);
        world_free(w);
    }
}
END_TEST

/* Not everything that runs this program enforces RLIMIT_DATA: valgrind does not. */
static bool refuses_data(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED) munmap(p, size);
    return p == MAP_FAILED;
}

/* The system refuses: no more data segment. What is committed already is enough for any collection. */
START_TEST(the_system_refuses)
{
#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
    return; /* the sanitizer's own memory is data, too */
#endif
    struct world *w = world_new_calm((struct heap_options){0});
    w->nroots = 1;
    for (int i = 0; i < 1000; i++) must_alloc(w, D_NODE);
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_DATA, &limit), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &(struct rlimit){.rlim_cur = 8 << 20, .rlim_max = limit.rlim_max}), 0);
    if (!refuses_data(64 << 20)) {
        world_free(w);
        return;
    }
    heap_ref r;
    enum heap_status status = HEAP_OK;
    uint32_t n = 0;
    for (; n < 10000000; n++) {
        status = heap_alloc(w->heap, D_NODE, 24, &r);
        if (status != HEAP_OK) break;
        set(w, r.bits, 4, w->roots[0]);
        set(w, r.bits, 8, n);
        w->roots[0] = r.bits;
    }
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &limit), 0);
    ck_assert_int_eq(status, HEAP_NO_MEMORY);
    heap_collect(w->heap);
    world_verify(w);
    uint32_t at_node = w->roots[0];
    for (uint32_t i = n; i-- > 0; at_node = get(w, at_node, 4)) {
        if (get(w, at_node, 8) != i) ck_abort_msg("node %u is lost", i);
    }
    for (int i = 0; i < 1000; i++) must_alloc(w, D_NODE);
    world_free(w);
}
END_TEST

/* The worst packing: sizes that fill a chunk just beyond what the next object leaves room for, in an order that
 * changes with each collection. .reserve is asserted in every build. */
START_TEST(adversarial_packing)
{
    struct rng rng = rng_seeded("adversarial_packing");
    for (int round = 0; round < 30; round++) {
        struct world *w = world_new_calm((struct heap_options){.limit_bytes = 600 * HEAP_CHUNK});
        w->nroots = ROOTS;
        heap_ref r;
        for (int i = 0; i < 20000; i++) {
            uint32_t kind = rng_below(&rng, 4), bytes;
            if (kind == 0)
                bytes = HEAP_SMALL_MAX - HEAP_ARRAY_DATA;
            else if (kind == 1)
                bytes = HEAP_MEDIUM_MAX - HEAP_ARRAY_DATA;
            else if (kind == 2)
                bytes = HEAP_SMALL_MAX + 4;
            else
                bytes = rng_below(&rng, HEAP_MEDIUM_MAX + 100);
            if (heap_alloc_array(w->heap, D_I8, bytes, &r) != HEAP_OK) break;
            w->roots[rng_below(&rng, ROOTS)] = r.bits;
            if (i % 1000 == 0) {
                for (uint32_t j = ROOTS - 1; j > 0; j--) { /* the order in which they are copied */
                    uint32_t k = rng_below(&rng, j + 1), bits = w->roots[j];
                    w->roots[j] = w->roots[k];
                    w->roots[k] = bits;
                }
                heap_collect(w->heap);
                heap_collect(w->heap);
            }
        }
        world_verify(w);
        world_free(w);
    }
}
END_TEST

/* Close to the limit an allocation fails before copying costs more than HEAP_YIELD bytes per byte allocated. */
START_TEST(no_thrashing_near_the_limit)
{
    struct world *w = world_new_calm((struct heap_options){.limit_bytes = 2000 * HEAP_CHUNK});
    w->nroots = 1;
    heap_ref r;
    while (heap_alloc(w->heap, D_NODE, 24, &r) == HEAP_OK) {
        set(w, r.bits, 4, w->roots[0]);
        w->roots[0] = r.bits;
    }
    struct heap_stats full = stats_of(w);
    ck_assert_uint_gt(full.bytes_live, 2000 * HEAP_CHUNK / 3); /* a limit is worth nearly half of it in live data */
    ck_assert_uint_lt(full.bytes_copied, (HEAP_YIELD + 1) * full.bytes_allocated);
    for (int cut = 0; cut < 30; cut++) { /* at each fill from here down */
        for (int i = 0; i < 2000; i++) w->roots[0] = get(w, w->roots[0], 4);
        struct heap_stats before = stats_of(w);
        uint64_t failures = 0;
        for (int i = 0; i < 50000; i++) failures += heap_alloc(w->heap, D_PAIR, 12, &r) != HEAP_OK;
        struct heap_stats after = stats_of(w);
        uint64_t copied = after.bytes_copied - before.bytes_copied;
        uint64_t allocated = after.bytes_allocated - before.bytes_allocated;
        ck_assert_uint_le(copied, (HEAP_YIELD + 2) * allocated + (failures + 2) * full.bytes_live);
        if (failures == 50000) cut--; /* still full: not a fill that tells anything */
    }
    world_verify(w);
    world_free(w);
}
END_TEST

/* Large objects need no copy reserve: they may fill nearly all of the limit. */
START_TEST(large_objects_fill_the_limit)
{
    struct world *w = world_new_calm((struct heap_options){.limit_bytes = 1000 * HEAP_CHUNK});
    w->nroots = ROOTS;
    uint32_t n = 0;
    heap_ref r;
    while (n < ROOTS - 1 && heap_alloc_array(w->heap, D_I8, 4 * HEAP_CHUNK - 8, &r) == HEAP_OK) {
        w->roots[n++] = r.bits;
    }
    ck_assert_uint_ge(n, 245);
    uint64_t copied = stats_of(w).bytes_copied;
    heap_collect(w->heap);
    ck_assert_uint_eq(stats_of(w).bytes_copied, copied);
    world_verify(w);
    for (uint32_t i = 0; i < n; i += 2) w->roots[i] = 0; /* every other one: runs of the same size fit again */
    for (uint32_t i = 0; i < n; i += 2) w->roots[i] = must_alloc_array(w, D_I8, 4 * HEAP_CHUNK - 8).bits;
    world_verify(w);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap_limit");
    TCase *c = tcase_create("limits");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, no_memory_at_every_limit);
    tcase_add_test(c, limits_too_low_for_a_heap);
    tcase_add_test(c, every_charge_refused_once);
    tcase_add_test(c, every_budget);
    tcase_add_test(c, the_system_refuses);
    tcase_add_test(c, adversarial_packing);
    tcase_add_test(c, no_thrashing_near_the_limit);
    tcase_add_test(c, large_objects_fill_the_limit);
    suite_add_tcase(s, c);
    return run_suite(s);
}
