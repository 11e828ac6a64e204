/* tests/unit/server/scheduler/scheduler_test.c -- the scheduler's policy, with activations that only pretend to be
 * guests. */
#include <check.h>
#include <string.h>

#include "base/clock.h"
#include "server/scheduler/scheduler.h"
#include "tests/unit/suite.h"

enum { VM = 64 << 10, SLICE = 10 };

static struct scheduler sched;
static int finished;

/* A guest loop: polls as the engine does. Ends when stopped. */
struct fake {
    struct activation act;
    uint64_t laps;
    enum hemi_status ended;
    bool wait_once;
};

static void endless(struct activation *a)
{
    struct fake *f = (struct fake *)a;
    for (;;) {
        f->laps++;
        if (!sched.poll) continue;
        f->ended = scheduler_yield(&sched);
        if (f->ended != HEMI_OK) return;
    }
}

static void quick(struct activation *a)
{
    struct fake *f = (struct fake *)a;
    if (f->wait_once) f->ended = scheduler_wait(&sched);
    f->laps++;
}

static void done(struct activation *a)
{
    (void)a;
    finished++;
}

static void begin(struct fake *f, void (*run)(struct activation *))
{
    f->act.run = run;
    f->act.done = done;
    ck_assert(scheduler_start(&sched, &f->act, &sched.ready));
}

static void setup(void)
{
    scheduler_init(&sched, SLICE, VM, 200);
    finished = 0;
}
static void teardown(void) { scheduler_deinit(&sched); }

START_TEST(runs_in_order_of_arrival)
{
    static struct fake f[3];
    memset(f, 0, sizeof f);
    for (int i = 0; i < 3; i++) begin(&f[i], quick);
    ck_assert(!scheduler_turn(&sched));
    ck_assert_int_eq(finished, 3);
    ck_assert_uint_eq(sched.live, 0);
}
END_TEST

START_TEST(waits_until_woken)
{
    static struct fake f;
    f = (struct fake){.wait_once = true};
    begin(&f, quick);
    ck_assert(!scheduler_turn(&sched));
    ck_assert_int_eq(finished, 0);
    scheduler_wake(&f.act);
    scheduler_wake(&f.act); /* a second wake changes nothing */
    ck_assert(!scheduler_turn(&sched));
    ck_assert_int_eq(finished, 1);
    ck_assert_int_eq(f.ended, HEMI_OK);
}
END_TEST

START_TEST(stop_ends_waiting_and_running)
{
    static struct fake w, e;
    w = (struct fake){.wait_once = true};
    memset(&e, 0, sizeof e);
    begin(&w, quick);
    begin(&e, endless);
    scheduler_turn(&sched);
    scheduler_stop(&w.act, HEMI_CANCELLED);
    scheduler_stop(&w.act, HEMI_DEADLINE); /* the first reason stays */
    scheduler_stop(&e.act, HEMI_DEADLINE);
    scheduler_turn(&sched);
    ck_assert_int_eq(finished, 2);
    ck_assert_int_eq(w.ended, HEMI_CANCELLED);
    ck_assert_int_eq(e.ended, HEMI_DEADLINE);
}
END_TEST

/* What was stopped has only to unwind: it does not wait for the slices of its connection's other calls. */
START_TEST(a_stopped_one_goes_before_its_own_kind)
{
    enum { LOOPS = 5 };
    static struct fake loops[LOOPS];
    static struct run_queue connection;
    memset(loops, 0, sizeof loops);
    runqueue_init(&connection, &sched.ready);
    for (int i = 0; i < LOOPS; i++) {
        loops[i].act.run = endless;
        loops[i].act.done = done;
        ck_assert(scheduler_start(&sched, &loops[i].act, &connection));
    }
    while (loops[LOOPS - 1].laps == 0) scheduler_turn(&sched);
    scheduler_stop(&loops[LOOPS - 1].act, HEMI_CANCELLED);
    scheduler_turn(&sched);
    ck_assert_int_eq(loops[LOOPS - 1].ended, HEMI_CANCELLED);
    for (int i = 0; i < LOOPS - 1; i++) scheduler_stop(&loops[i].act, HEMI_CANCELLED);
    while (finished < LOOPS) scheduler_turn(&sched);
}
END_TEST

START_TEST(fresh_goes_before_fifty_loops)
{
    enum { LOOPS = 50 };
    static struct fake loops[LOOPS], call;
    memset(loops, 0, sizeof loops);
    for (int i = 0; i < LOOPS; i++) begin(&loops[i], endless);
    for (int i = 0; i < 2 * LOOPS; i++) scheduler_turn(&sched);
    for (int i = 0; i < LOOPS; i++) ck_assert_msg(loops[i].laps > 0, "loop %d never ran", i);
    for (int i = 0; i < 20; i++) {
        scheduler_turn(&sched); /* the request arrives while a loop runs: at worst at a turn's beginning */
        memset(&call, 0, sizeof call);
        begin(&call, quick);
        scheduler_turn(&sched);
        ck_assert_msg(call.act.state == ACTIVATION_DONE, "a new request did not run in the next turn");
    }
    for (int i = 0; i < LOOPS; i++) scheduler_stop(&loops[i].act, HEMI_CANCELLED);
    for (int i = 0; i < 100 && sched.live; i++) scheduler_turn(&sched);
    ck_assert_uint_eq(sched.live, 0);
    for (int i = 0; i < LOOPS; i++) ck_assert_int_eq(loops[i].ended, HEMI_CANCELLED);
}
END_TEST

START_TEST(round_robin_is_fair)
{
    enum { LOOPS = 4 };
    static struct fake loops[LOOPS];
    memset(loops, 0, sizeof loops);
    for (int i = 0; i < LOOPS; i++) begin(&loops[i], endless);
    for (int i = 0; i < 12 * LOOPS; i++) scheduler_turn(&sched);
    uint32_t least = UINT32_MAX, most = 0;
    for (int i = 0; i < LOOPS; i++) {
        if (loops[i].act.slices < least) least = loops[i].act.slices;
        if (loops[i].act.slices > most) most = loops[i].act.slices;
        scheduler_stop(&loops[i].act, HEMI_CANCELLED);
    }
    ck_assert_uint_gt(least, 5);
    ck_assert_uint_le(most - least, 2);
    while (sched.live) scheduler_turn(&sched);
}
END_TEST

static struct fake stream[400];
static int streamed;
static void keep_coming(void *ctx)
{
    (void)ctx;
    while (streamed < 400 && !sched.ready.fresh.head) begin(&stream[streamed++], endless);
}

START_TEST(steady_new_work_does_not_starve_the_old)
{
    static struct fake old;
    memset(&old, 0, sizeof old);
    memset(stream, 0, sizeof stream);
    begin(&old, endless);
    scheduler_turn(&sched);
    uint32_t had = old.act.slices;
    sched.between = keep_coming; /* there is always something fresh */
    for (int i = 0; i < 20; i++) scheduler_turn(&sched);
    sched.between = NULL;
    ck_assert_uint_ge(old.act.slices, had + 1);
    scheduler_stop(&old.act, HEMI_CANCELLED);
    for (int i = 0; i < streamed; i++)
        if (stream[i].act.state != ACTIVATION_NEW) scheduler_stop(&stream[i].act, HEMI_CANCELLED);
    while (sched.live) scheduler_turn(&sched);
}
END_TEST

static struct fake doomed;
static void end_the_doomed(void *ctx)
{
    (void)ctx;
    if (doomed.act.stop == HEMI_OK) scheduler_stop(&doomed.act, HEMI_CLOSED);
}

/* A flush may find that the client is gone, which ends what was about to run. */
START_TEST(what_a_callback_ends_is_not_run)
{
    memset(&doomed, 0, sizeof doomed);
    begin(&doomed, endless);
    scheduler_turn(&sched); /* it used up a slice or two */
    uint32_t had = doomed.act.slices;
    ck_assert_uint_gt(had, 0);
    sched.before_used = end_the_doomed;
    for (int i = 0; i < 3 && sched.live; i++) scheduler_turn(&sched);
    ck_assert_uint_eq(sched.live, 0);
    ck_assert_int_eq(doomed.ended, HEMI_CLOSED);
    ck_assert_uint_eq(doomed.act.slices, had);
}
END_TEST

START_TEST(timer_stops_when_idle)
{
    static struct fake f;
    memset(&f, 0, sizeof f);
    begin(&f, quick);
    scheduler_turn(&sched);
    ck_assert(sched.armed);
    uint64_t began = clock_ms();
    while (sched.armed && clock_ms() - began < 1000) {
    }
    ck_assert(!sched.armed);
    uint32_t ticks = sched.ticks;
    began = clock_ms();
    while (clock_ms() - began < 30) {
    }
    ck_assert_uint_eq(sched.ticks, ticks);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *tc = tcase_create("scheduler");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, runs_in_order_of_arrival);
    tcase_add_test(tc, waits_until_woken);
    tcase_add_test(tc, stop_ends_waiting_and_running);
    tcase_add_test(tc, a_stopped_one_goes_before_its_own_kind);
    tcase_add_test(tc, fresh_goes_before_fifty_loops);
    tcase_add_test(tc, round_robin_is_fair);
    tcase_add_test(tc, steady_new_work_does_not_starve_the_old);
    tcase_add_test(tc, what_a_callback_ends_is_not_run);
    tcase_add_test(tc, timer_stops_when_idle);
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
