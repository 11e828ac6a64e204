/* tests/unit/server/scheduler/fiber_test.c -- fibers: switching, reuse, stacks, guards. */
#include <check.h>
#include <signal.h>
#include <string.h>

#include "server/scheduler/fiber.h"
#include "tests/unit/suite.h"

enum { VM = 64 << 10 };

struct probe {
    struct fiber *fiber;
    int steps, count;
    double sum;
};

static void counting(void *arg)
{
    struct probe *p = arg;
    double x = 1.5;
    for (int i = 0; i < p->steps; i++) {
        p->count++;
        x += i;
        fiber_suspend(p->fiber);
    }
    p->sum = x;
}

START_TEST(switches_and_ends)
{
    struct fiber_pool pool;
    fiber_pool_init(&pool, VM, 8);
    struct probe p = {.steps = 5};
    p.fiber = fiber_take(&pool, counting, &p);
    ck_assert_ptr_nonnull(p.fiber);
    for (int i = 1; i <= 5; i++) {
        ck_assert(!fiber_resume(p.fiber));
        ck_assert_int_eq(p.count, i);
    }
    ck_assert(fiber_resume(p.fiber));
    ck_assert(p.sum == 1.5 + 0 + 1 + 2 + 3 + 4);
    fiber_give(p.fiber);
    fiber_pool_deinit(&pool);
}
END_TEST

START_TEST(interleaves_and_reuses)
{
    enum { N = 100 };
    struct fiber_pool pool;
    fiber_pool_init(&pool, VM, N);
    static struct probe p[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            p[i] = (struct probe){.steps = i};
            p[i].fiber = fiber_take(&pool, counting, &p[i]);
            ck_assert_ptr_nonnull(p[i].fiber);
        }
        ck_assert_ptr_null(fiber_take(&pool, counting, NULL)); /* the pool is exhausted */
        for (int step = 0; step <= N; step++)
            for (int i = 0; i < N; i++)
                if (step <= i) ck_assert_int_eq(fiber_resume(p[i].fiber), step == i);
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(p[i].count, i);
            fiber_give(p[i].fiber);
        }
        ck_assert_uint_eq(pool.nidle, FIBER_IDLE_MAX);
        ck_assert(!fiber_pool_trim(&pool, &(uint32_t){UINT32_MAX}));
    }
    fiber_pool_deinit(&pool);
}
END_TEST

static void fill_vm(void *arg)
{
    struct probe *p = arg;
    memset(p->fiber->vm, 0xAB, VM);
}

START_TEST(vm_stack_is_writable_and_trimmed)
{
    struct fiber_pool pool;
    fiber_pool_init(&pool, VM, 1);
    struct probe p = {0};
    p.fiber = fiber_take(&pool, fill_vm, &p);
    ck_assert(fiber_resume(p.fiber));
    fiber_give(p.fiber);
    ck_assert(!fiber_pool_trim(&pool, &(uint32_t){UINT32_MAX}));
    p.fiber = fiber_take(&pool, fill_vm, &p);
    ck_assert_int_eq(p.fiber->vm[VM / 2], 0);
    ck_assert(fiber_resume(p.fiber));
    fiber_give(p.fiber);
    fiber_pool_deinit(&pool);
}
END_TEST

/* Those beyond what a pool keeps are not unmapped whole; until they are gone, they may be taken again. */
START_TEST(surplus_stacks_are_freed_in_slices)
{
    enum { N = FIBER_IDLE_MAX + 4, SLICE = 64 };
    struct fiber_pool pool;
    static struct probe p[N];
    fiber_pool_init(&pool, VM, N);
    for (int i = 0; i < N; i++) {
        p[i] = (struct probe){.steps = 0};
        p[i].fiber = fiber_take(&pool, fill_vm, &p[i]);
        ck_assert(fiber_resume(p[i].fiber));
    }
    for (int i = 0; i < N; i++) fiber_give(p[i].fiber);
    ck_assert_uint_eq(pool.nidle, FIBER_IDLE_MAX);
    ck_assert_uint_eq(pool.nlive, N);
    uint32_t calls = 0, units;
    do {
        units = SLICE;
        calls++;
    } while (fiber_pool_free_some(&pool, &units));
    ck_assert_uint_eq(pool.nlive, FIBER_IDLE_MAX);
    ck_assert_uint_ge(calls, (N - FIBER_IDLE_MAX) * (VM / 4096) / SLICE);
    while (fiber_pool_shrink(&pool)) continue;
    struct fiber *last = pool.surplus, *again = fiber_take(&pool, fill_vm, &p[0]);
    ck_assert_ptr_eq(again, last);
    p[0].fiber = again;
    ck_assert(fiber_resume(again));
    fiber_give(again);
    fiber_pool_deinit(&pool);
}
END_TEST

static int recurse(volatile int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    return depth == 0 ? frame[0] : recurse(depth - 1) + frame[0];
}

static void deep(void *arg)
{
    struct probe *p = arg;
    p->count = recurse((int)(fiber_native_size(VM) / (FIBER_ASAN ? 1024 : 512)) - 64);
    p->steps = 1;
}

START_TEST(native_stack_is_as_large_as_said)
{
    struct fiber_pool pool;
    fiber_pool_init(&pool, VM, 1);
    struct probe p = {0};
    p.fiber = fiber_take(&pool, deep, &p);
    ck_assert(fiber_resume(p.fiber));
    ck_assert_int_eq(p.steps, 1);
    fiber_give(p.fiber);
    fiber_pool_deinit(&pool);
}
END_TEST

static void past_vm(void *arg)
{
    struct probe *p = arg;
    *(volatile char *)(p->fiber->vm + VM) = 1;
}

START_TEST(guards_fault) /* expects SIGSEGV */
{
    struct fiber_pool pool;
    fiber_pool_init(&pool, VM, 1);
    signal(SIGSEGV, SIG_DFL);
    struct probe p = {0};
    p.fiber = fiber_take(&pool, past_vm, &p);
    fiber_resume(p.fiber);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fiber");
    TCase *tc = tcase_create("fiber");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, switches_and_ends);
    tcase_add_test(tc, interleaves_and_reuses);
    tcase_add_test(tc, vm_stack_is_writable_and_trimmed);
    tcase_add_test(tc, surplus_stacks_are_freed_in_slices);
    tcase_add_test(tc, native_stack_is_as_large_as_said);
    tcase_add_test_raise_signal(tc, guards_fault, SIGSEGV);
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
