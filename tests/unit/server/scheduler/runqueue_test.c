/* tests/unit/server/scheduler/runqueue_test.c -- who waits how long for whom, counted in slices: no clock in here. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/scheduler/runqueue.h"
#include "tests/unit/suite.h"

enum { CONNS = 8, STORES = 300, LEAVES = CONNS * STORES };

static struct run_queue all, conns[CONNS], stores[CONNS][STORES];
static struct run_node leaves[CONNS][STORES];
static uint64_t paid[CONNS]; /* by each connection */

static void setup(void)
{
    memset(paid, 0, sizeof paid);
    runqueue_init(&all, NULL);
    for (int c = 0; c < CONNS; c++) {
        runqueue_init(&conns[c], &all);
        for (int s = 0; s < STORES; s++) {
            runqueue_init(&stores[c][s], &conns[c]);
            runqueue_leaf_init(&leaves[c][s], &stores[c][s]);
        }
    }
}

static int conn_of(const struct run_node *leaf) { return (int)((leaf - &leaves[0][0]) / STORES); }

/* The next one runs for at most `most` of what it may. */
static struct run_node *run(uint32_t most)
{
    uint32_t units;
    struct run_node *n = runqueue_take(&all, &units);
    if (!n) return NULL;
    if (most < units) units = most;
    runqueue_pay(n, units);
    paid[conn_of(n)] += units;
    return n;
}

/* It spins: uses up what it may, and is ready again. */
static struct run_node *spin(void)
{
    struct run_node *n = run(RUN_SLICE);
    runqueue_add(n);
    return n;
}

/* How many slices the others run before the leaf does; it is taken then. */
static double waits(struct run_node *leaf)
{
    uint64_t before = 0, after = 0;
    for (int c = 0; c < CONNS; c++) before += paid[c];
    while (runqueue_first(&all) != leaf) spin();
    for (int c = 0; c < CONNS; c++) after += paid[c];
    ck_assert_ptr_eq(run(1), leaf);
    return (double)(after - before) / (double)RUN_SLICE;
}

static void add_spinners(int conn, int n)
{
    for (int s = 0; s < n; s++) runqueue_add(&leaves[conn][s]);
}

START_TEST(three_hundred_new_calls_of_one_connection_are_one)
{
    add_spinners(0, STORES);
    runqueue_add(&leaves[1][0]);
    ck_assert_double_le(waits(&leaves[1][0]), 1);
    for (int i = 0; i < 1000; i++) spin(); /* all of them have used up slices */
    runqueue_add(&leaves[1][0]);
    ck_assert_double_le(waits(&leaves[1][0]), 1);
    runqueue_add(&leaves[1][0]); /* this one spins, too */
    uint64_t before[2] = {paid[0], paid[1]};
    for (int i = 0; i < 1000; i++) spin();
    uint64_t first = paid[0] - before[0], second = paid[1] - before[1];
    ck_assert_uint_le(first > second ? first - second : second - first, 2 * RUN_SLICE);
}
END_TEST

START_TEST(another_is_served_within_as_many_slices_as_connections_are_busy)
{
    for (int busy = 1; busy < CONNS; busy++) {
        setup();
        for (int c = 1; c <= busy; c++) add_spinners(c, c == 1 ? STORES : c);
        for (int i = 0; i < 200; i++) {
            for (int k = i % 7; k > 0; k--) spin();
            runqueue_add(&leaves[0][0]);
            ck_assert_double_le(waits(&leaves[0][0]), busy + 1);
        }
    }
}
END_TEST

START_TEST(stores_of_a_connection_take_turns)
{
    struct run_node calls[50];
    for (int i = 0; i < 50; i++) { /* fifty calls in one store, one in another */
        runqueue_leaf_init(&calls[i], &stores[0][0]);
        runqueue_add(&calls[i]);
    }
    runqueue_add(&leaves[0][1]);
    int turns = 0, total = 1000;
    for (int i = 0; i < total; i++) {
        uint32_t units;
        struct run_node *n = runqueue_take(&all, &units);
        runqueue_pay(n, units);
        runqueue_add(n);
        turns += n == &leaves[0][1];
    }
    ck_assert_int_ge(turns, total / 2 - 1);
    ck_assert_int_le(turns, total / 2 + 1);
}
END_TEST

START_TEST(what_is_new_goes_before_what_runs_for_long)
{
    add_spinners(1, 50);
    add_spinners(2, 50);
    for (int i = 0; i < 200; i++) spin();
    for (int i = 0; i < 20; i++) {
        spin();
        runqueue_add(&leaves[0][i]);
        ck_assert_ptr_eq(run(1), &leaves[0][i]);
    }
}
END_TEST

/* Two that give way just before their slices end, in turns, are always new, and yet not always first. */
START_TEST(nobody_is_always_new)
{
    runqueue_add(&leaves[1][0]);
    runqueue_add(&leaves[0][0]);
    for (int i = 0; i < 10000; i++) {
        struct run_node *n = run(RUN_SLICE - 1);
        if (n == &leaves[1][0])
            runqueue_add(n);
        else
            runqueue_add(&leaves[0][i % STORES]);
    }
    ck_assert_uint_gt(paid[1] * 100, (paid[0] + paid[1]) * 45);
}
END_TEST

/* .one-round: what has run while nobody waited is not held against it. */
START_TEST(who_is_alone_owes_nothing)
{
    uint32_t units;
    runqueue_add(&leaves[0][0]);
    for (int i = 0; i < 10; i++) {
        struct run_node *n = runqueue_take(&all, &units);
        ck_assert_uint_eq(units, RUN_SLICE);
        runqueue_pay(n, RUN_SLICE - 1);
        runqueue_add(n);
    }
}
END_TEST

/* .one-round: topped up when all that waited when it left have had their turn. */
START_TEST(who_comes_back_after_a_round_has_a_whole_slice)
{
    uint32_t units;
    for (int c = 0; c < 3; c++) add_spinners(c, 1);
    for (int i = 0; i < 9; i++) spin();
    while (runqueue_first(&all) != &leaves[0][0]) spin();
    run(RUN_SLICE - 1);
    for (int i = 0; i < 4; i++) spin();
    runqueue_add(&leaves[0][0]);
    while (runqueue_first(&all) != &leaves[0][0]) spin();
    runqueue_take(&all, &units);
    ck_assert_uint_eq(units, RUN_SLICE);
}
END_TEST

START_TEST(what_is_to_end_goes_before_its_connection_s_others)
{
    add_spinners(0, STORES);
    add_spinners(1, 1);
    for (int i = 0; i < 1000; i++) spin();
    runqueue_hasten(&leaves[0][123]);
    ck_assert_double_le(waits(&leaves[0][123]), 2);
}
END_TEST

/* A new call of a store that has used up its slice. */
START_TEST(what_is_new_and_to_end_takes_its_store_along)
{
    struct run_node leaf;
    int before = 0;
    add_spinners(0, 50);
    for (int i = 0; i < 225 || stores[0][0].node.list != &conns[0].used; i++) spin();
    runqueue_leaf_init(&leaf, &stores[0][0]);
    runqueue_add(&leaf);
    runqueue_hasten(&leaf);
    for (; runqueue_first(&all) != &leaf; before++) spin();
    ck_assert_int_le(before, 1);
    runqueue_remove(&leaf);
}
END_TEST

/* Enough to unwind; or who is stopped would get more than its part. */
START_TEST(what_is_to_end_gets_one_unit)
{
    struct run_node *n;
    uint32_t units;
    add_spinners(0, 3);
    for (int i = 0; i < 10; i++) spin();
    runqueue_hasten(&leaves[0][1]);
    while ((n = runqueue_take(&all, &units)) != &leaves[0][1]) {
        runqueue_pay(n, units);
        runqueue_add(n);
    }
    ck_assert_uint_eq(units, 1);
}
END_TEST

/* .one-round, whatever happens: no connection pays for more than a slice while another waits to be taken. */
START_TEST(random_work_waits_one_round_at_most)
{
    uint64_t began[CONNS][CONNS];
    bool ready[CONNS] = {false};
    unsigned seed = (unsigned)_i + 1;
    memset(began, 0, sizeof began);
    for (int step = 0; step < 20000; step++) {
        int c = rand_r(&seed) % CONNS, s = rand_r(&seed) % (c + 1);
        struct run_node *leaf = &leaves[c][s];
        if (rand_r(&seed) % 3 == 0) {
            if (leaf->list)
                runqueue_remove(leaf);
            else
                runqueue_add(leaf);
            if (leaf->list && rand_r(&seed) % 8 == 0) runqueue_hasten(leaf);
            if (!ready[c]) memcpy(began[c], paid, sizeof paid);
            ready[c] = conns[c].node.list != NULL;
            continue;
        }
        struct run_node *n = run((uint32_t)(rand_r(&seed) % 2 ? RUN_SLICE : rand_r(&seed) % RUN_SLICE));
        if (!n) continue;
        int taken = conn_of(n);
        for (int other = 0; other < CONNS && ready[taken]; other++)
            if (other != taken) ck_assert_uint_le(paid[other] - began[taken][other], RUN_SLICE);
        if (rand_r(&seed) % 2) runqueue_add(n);
        memcpy(began[taken], paid, sizeof paid);
        ready[taken] = conns[taken].node.list != NULL;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runqueue");
    TCase *tc = tcase_create("runqueue");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, three_hundred_new_calls_of_one_connection_are_one);
    tcase_add_test(tc, another_is_served_within_as_many_slices_as_connections_are_busy);
    tcase_add_test(tc, stores_of_a_connection_take_turns);
    tcase_add_test(tc, what_is_new_goes_before_what_runs_for_long);
    tcase_add_test(tc, nobody_is_always_new);
    tcase_add_test(tc, who_is_alone_owes_nothing);
    tcase_add_test(tc, who_comes_back_after_a_round_has_a_whole_slice);
    tcase_add_test(tc, what_is_new_and_to_end_takes_its_store_along);
    tcase_add_test(tc, what_is_to_end_gets_one_unit);
    tcase_add_test(tc, what_is_to_end_goes_before_its_connection_s_others);
    tcase_add_loop_test(tc, random_work_waits_one_round_at_most, 0, 20);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
