#include "server/scheduler.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "server/server.h"

/* ---- slices ---- */

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
        if (s->ticks - s->slice_began >= SCHEDULER_TICKS) s->poll = 1;
    } else if (++s->idle_ticks >= 2 * SCHEDULER_TICKS) {
        set_timer(0); /* setitimer is a bare system call */
        s->armed = 0;
    }
}

/* `running` is set before `armed` is looked at, so the handler cannot disarm in between. */
static void slice_begin(struct scheduler *s, struct activation *a)
{
    s->slice_began = s->ticks;
    s->poll = a->stop != HEMI_OK;
    s->running = a;
    if (s->armed) return;
    s->armed = 1;
    s->idle_ticks = 0;
    set_timer(s->slice_ms * 1000 / SCHEDULER_TICKS);
}

static bool slice_over(const struct scheduler *s) { return s->ticks - s->slice_began >= SCHEDULER_TICKS; }

void scheduler_init(struct scheduler *s, uint32_t slice_ms, size_t vm_stack, uint32_t fibers_max)
{
    memset(s, 0, sizeof *s);
    s->slice_ms = slice_ms;
    fiber_pool_init(&s->fibers, vm_stack, fibers_max);
    SERVER_ASSERT(!slice_owner); /* .one-thread: the signal is that thread's */
    slice_owner = s;
    struct sigaction act = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    SERVER_ASSERT(sigaction(SIGALRM, &act, NULL) == 0);
}

void scheduler_deinit(struct scheduler *s)
{
    SERVER_ASSERT(s->live == 0 && !s->running);
    set_timer(0);
    slice_owner = NULL;
    signal(SIGALRM, SIG_DFL);
    fiber_pool_deinit(&s->fibers);
}

/* ---- queues ---- */

static void push(struct activation_queue *q, struct activation *a)
{
    a->state = ACTIVATION_READY;
    a->queue = q;
    a->next = NULL;
    a->prev = q->tail;
    *(q->tail ? &q->tail->next : &q->head) = a;
    q->tail = a;
}

static void unqueue(struct activation *a)
{
    struct activation_queue *q = a->queue;
    *(a->prev ? &a->prev->next : &q->head) = a->next;
    *(a->next ? &a->next->prev : &q->tail) = a->prev;
    a->next = a->prev = NULL;
    a->queue = NULL;
}

/* NULL: it is empty. */
static struct activation *pop(struct activation_queue *q)
{
    struct activation *a = q->head;
    if (a) unqueue(a);
    return a;
}

static void entry(void *arg)
{
    struct activation *a = arg;
    a->run(a);
}

bool scheduler_start(struct scheduler *s, struct activation *a)
{
    SERVER_ASSERT(a->state == ACTIVATION_NEW);
    a->fiber = fiber_take(&s->fibers, entry, a);
    if (!a->fiber) return false;
    a->scheduler = s;
    s->live++;
    push(&s->fresh, a);
    return true;
}

void scheduler_wake(struct activation *a)
{
    if (a->state == ACTIVATION_WAITING) push(&a->scheduler->fresh, a);
}

void scheduler_stop(struct activation *a, enum hemi_status why)
{
    SERVER_ASSERT(why != HEMI_OK);
    if (a->stop != HEMI_OK) return;
    a->stop = why;
    struct scheduler *s = a->scheduler;
    if (a->queue == &s->used) { /* it need not wait its turn to unwind */
        unqueue(a);
        push(&s->fresh, a);
    }
    scheduler_wake(a);
}

/* ---- running ---- */

static void run(struct scheduler *s, struct activation *a)
{
    SERVER_ASSERT(a->state == ACTIVATION_READY);
    slice_begin(s, a);
    a->state = ACTIVATION_RUNNING;
    bool done = fiber_resume(a->fiber);
    s->running = NULL;
    if (done) {
        fiber_give(a->fiber);
        a->fiber = NULL;
        a->state = ACTIVATION_DONE;
        s->live--;
        a->done(a); /* may free it */
    }
    if (s->between) s->between(s->ctx);
}

bool scheduler_turn(struct scheduler *s)
{
    uint32_t began = s->ticks;
    while (s->fresh.head && s->ticks - began < SCHEDULER_TICKS) run(s, pop(&s->fresh));
    if (!s->used.head) return s->fresh.head != NULL;
    if (!s->fresh.head || ++s->passed_over >= SCHEDULER_PATIENCE) {
        s->passed_over = 0;
        if (s->before_used) s->before_used(s->ctx);
        struct activation *a = pop(&s->used); /* .look-again */
        if (a) run(s, a);
    }
    return scheduler_ready(s);
}

enum hemi_status scheduler_wait(struct scheduler *s)
{
    struct activation *a = s->running;
    SERVER_ASSERT(a);
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
        push(&s->used, a);
        fiber_suspend(a->fiber);
    }
    s->poll = a->stop != HEMI_OK;
    return a->stop;
}
