/* server/scheduler/scheduler.h -- who runs next: activations on fibers, in slices, on one thread.
 *
 * School of checking: TRUSTED: asserted.
 * Owners: an activation is its starter's, who zeroes it and keeps it until `done`; its fiber is the scheduler's.
 *
 * This room, scheduler/, knows neither connections nor stores: fiber.h has the stacks, runqueue.h the order, timeouts.h
 * what is due; tests run them without a worker.
 *
 * An activation is work that may take long or wait: a guest call, a module's validation, an instantiation, a
 * collection. The event loop calls scheduler_turn between looking for input; a turn lasts about one or two slices.
 *
 * Policy: round robin by connection, then by store, then by call (runqueue.h), so that with B busy connections another
 * one is served within B + 1 slices, however many stores spin on each. What became ready newly (started, or woken from
 * waiting) goes before what used up a slice; and a turn ends after each used-up slice, so that input waits one slice at
 * most.
 *
 * Slices: an interval timer (SIGALRM) counts ticks while anything runs and raises `poll`, which the engine looks at;
 * the handler does nothing else. It stops itself when nothing has run for some ticks, so that short calls cost no
 * system call.
 *
 * Invariants:
 *   .stop-sticky  A stop status, once set, stays: the activation sees it at every poll point and wait until it ends.
 *   .look-again   A callback may start, stop and end any activation, so a queue is looked at after it, not before.
 *   .one-thread   Only the thread that made the scheduler calls any of this. */
#ifndef HEMI_SERVER_SCHEDULER_SCHEDULER_H
#define HEMI_SERVER_SCHEDULER_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/tables/status.h"
#include "server/scheduler/fiber.h"
#include "server/scheduler/runqueue.h"

enum { SCHEDULER_TICKS = 4 /* per slice */ };

enum activation_state { ACTIVATION_NEW, ACTIVATION_READY, ACTIVATION_RUNNING, ACTIVATION_WAITING, ACTIVATION_DONE };

/* Embedded by its owner; zeroed before scheduler_start. */
struct activation {
    struct run_node node;
    struct scheduler *scheduler;
    struct fiber *fiber;
    void (*run)(struct activation *a);  /* on the fiber */
    void (*done)(struct activation *a); /* on the thread's own stack, after run returned; may free the owner */
    enum hemi_status stop;              /* not OK: unwind with it (.stop-sticky) */
    uint8_t state;                      /* enum activation_state */
    uint32_t slices;                    /* used up so far */
};

struct scheduler {
    volatile uint32_t poll; /* the engine's flag */
    /* Shared with the signal handler. */
    volatile uint32_t ticks, slice_began, slice_ticks, idle_ticks, armed;
    struct activation *volatile running;
    struct run_queue ready; /* of queues, or activations */
    struct fiber_pool fibers;
    uint32_t live; /* started and not done */
    uint32_t slice_ms;
    /* Called on the thread's own stack after each activation gave way; may start and wake others. NULL: not. */
    void (*between)(void *ctx);
    /* Called before one that used up a slice gets another: what the new ones did need not wait for it. NULL: not. */
    void (*before_used)(void *ctx);
    void *ctx;
};

/* Takes SIGALRM's disposition; one scheduler per process at a time. */
void scheduler_init(struct scheduler *s, uint32_t slice_ms, size_t vm_stack, uint32_t fibers_max);
/* No activation may be live. */
void scheduler_deinit(struct scheduler *s);

/* Makes `a` ready, in `queue`, which is in `ready` or is that itself and outlives it. False: no fiber to be had
 * (nothing changed). */
bool scheduler_start(struct scheduler *s, struct activation *a, struct run_queue *queue);
/* Makes a waiting activation ready; anything else stays as it is. */
void scheduler_wake(struct activation *a);
/* Sets the status to unwind with, unless there is one, and wakes. */
void scheduler_stop(struct activation *a, enum hemi_status why);

/* Runs what is ready for about one turn. True: more is ready. */
bool scheduler_turn(struct scheduler *s);
static inline bool scheduler_ready(const struct scheduler *s) { return !runqueue_empty(&s->ready); }

/* On a fiber: waits until woken. Returns the stop status (OK: none); may return spuriously, so wait in a loop. */
enum hemi_status scheduler_wait(struct scheduler *s);
/* On a fiber or not: the engine's yield hook (ctx is the scheduler). */
enum hemi_status scheduler_yield(void *ctx);

#endif
