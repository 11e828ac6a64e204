#include "server/scheduler/scheduler.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>

#include "base/check.h"

enum { TICK_UNITS = RUN_SLICE / SCHEDULER_TICKS };

/* ---- slices */

static struct scheduler *slice_owner; /* whose ticks SIGALRM counts */

static void set_timer(uint32_t us)
{
    struct itimerval t = {{0, (suseconds_t)us}, {0, (suseconds_t)us}};
    setitimer(ITIMER_REAL, &t, NULL);
}

static void on_tick(int signo)
{
    (void)signo;
    struct scheduler *s = slice_owner;
    if (!s) return;
    s->ticks++;
    if (s->running) {
        s->idle_ticks = 0;
        if (s->ticks - s->slice_began >= s->slice_ticks) s->poll = 1;
    } else if (++s->idle_ticks >= 2 * SCHEDULER_TICKS) {
        set_timer(0); /* setitimer is a bare system call */
        s->armed = 0;
    }
}

/* `running` is set before `armed` is looked at, so the handler cannot disarm in between. */
static void slice_begin(struct scheduler *s, struct activation *a, uint32_t ticks)
{
    s->slice_began = s->ticks;
    s->slice_ticks = ticks;
    s->poll = a->stop != HEMI_OK;
    s->running = a;
    if (s->armed) return;
    s->armed = 1;
    s->idle_ticks = 0;
    set_timer(s->slice_ms * 1000 / SCHEDULER_TICKS);
}

static bool slice_over(const struct scheduler *s) { return s->ticks - s->slice_began >= s->slice_ticks; }

void scheduler_init(struct scheduler *s, uint32_t slice_ms, size_t vm_stack, uint32_t fibers_max)
{
    memset(s, 0, sizeof *s);
    s->slice_ms = slice_ms;
    runqueue_init(&s->ready, NULL);
    fiber_pool_init(&s->fibers, vm_stack, fibers_max);
    CHECK(!slice_owner); /* .one-thread: the signal is that thread's */
    slice_owner = s;
    struct sigaction act = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    CHECK(sigaction(SIGALRM, &act, NULL) == 0);
}

void scheduler_deinit(struct scheduler *s)
{
    CHECK(s->live == 0 && !s->running);
    set_timer(0);
    slice_owner = NULL;
    signal(SIGALRM, SIG_DFL);
    fiber_pool_deinit(&s->fibers);
}

/* ---- activations */

static struct activation *activation_of(struct run_node *n)
{
    return n ? (struct activation *)(void *)((char *)n - offsetof(struct activation, node)) : NULL;
}

static void make_ready(struct activation *a)
{
    a->state = ACTIVATION_READY;
    runqueue_add(&a->node);
}

static void entry(void *arg)
{
    struct activation *a = arg;
    a->run(a);
}

bool scheduler_start(struct scheduler *s, struct activation *a, struct run_queue *queue)
{
    CHECK(a->state == ACTIVATION_NEW);
    a->fiber = fiber_take(&s->fibers, entry, a);
    if (!a->fiber) return false;
    a->scheduler = s;
    s->live++;
    runqueue_leaf_init(&a->node, queue);
    make_ready(a);
    return true;
}

void scheduler_wake(struct activation *a)
{
    if (a->state == ACTIVATION_WAITING) make_ready(a);
}

void scheduler_stop(struct activation *a, enum hemi_status why)
{
    CHECK(why != HEMI_OK);
    if (a->stop != HEMI_OK) return;
    a->stop = why;
    if (a->state == ACTIVATION_READY) runqueue_hasten(&a->node); /* it need not wait long to unwind */
    scheduler_wake(a);
}

/* ---- running */

static void finish(struct scheduler *s, struct activation *a)
{
    fiber_give(a->fiber);
    a->fiber = NULL;
    a->state = ACTIVATION_DONE;
    s->live--;
    a->done(a); /* may free it */
}

/* What runs for less than a tick pays, on average, for the ticks that it is there for, and at least for one unit. */
static void pay(const struct scheduler *s, struct activation *a)
{
    uint32_t ticks = s->ticks - s->slice_began;
    runqueue_pay(&a->node, ticks == 0 ? 1 : ticks < SCHEDULER_TICKS ? ticks * TICK_UNITS : RUN_SLICE);
}

/* True: it used up a slice. */
static bool run(struct scheduler *s, struct activation *a, uint32_t units)
{
    CHECK(a->state == ACTIVATION_READY);
    slice_begin(s, a, (units + TICK_UNITS - 1) / TICK_UNITS);
    a->state = ACTIVATION_RUNNING;
    bool done = fiber_resume(a->fiber), more = !done && a->state == ACTIVATION_RUNNING;
    s->running = NULL;
    pay(s, a);
    if (more) make_ready(a);
    if (done) finish(s, a);
    if (s->between) s->between(s->ctx);
    return more;
}

/* NULL: nothing is ready. */
static struct activation *next(struct scheduler *s, uint32_t *units)
{
    struct activation *a = activation_of(runqueue_first(&s->ready));
    if (a && a->slices > 0 && s->before_used) s->before_used(s->ctx);
    return activation_of(runqueue_take(&s->ready, units)); /* .look-again */
}

bool scheduler_turn(struct scheduler *s)
{
    uint32_t began = s->ticks, units;
    bool used = false;
    while (!used && s->ticks - began < SCHEDULER_TICKS) {
        struct activation *a = next(s, &units);
        if (!a) return false;
        used = run(s, a, units);
    }
    return scheduler_ready(s);
}

enum hemi_status scheduler_wait(struct scheduler *s)
{
    struct activation *a = s->running;
    CHECK(a);
    a->state = ACTIVATION_WAITING;
    fiber_suspend(a->fiber);
    return a->stop;
}

enum hemi_status scheduler_yield(void *ctx)
{
    struct scheduler *s = ctx;
    struct activation *a = s->running;
    if (!a) { /* work that the event loop itself does is short */
        s->poll = 0;
        return HEMI_OK;
    }
    if (slice_over(s)) {
        a->slices++;
        fiber_suspend(a->fiber);
    }
    s->poll = a->stop != HEMI_OK;
    return a->stop;
}
