/* server/scheduler/timeouts.h -- moments at which something is to happen: deadlines, guests that sleep.
 *
 * School of checking: TRUSTED. A timeout is embedded by its owner, who removes it before it goes. The owner of the heap
 * asks when the next one is due and fires those that are; no clock or timer in here, so that tests bring their own.
 *
 * Invariant:
 *   .heap  They are a binary heap that is linked through them, so that nothing is allocated: a complete tree in which
 *          none is due before its parent. Setting, removing and firing one take a step for each of its levels. */
#ifndef HEMI_SERVER_SCHEDULER_TIMEOUTS_H
#define HEMI_SERVER_SCHEDULER_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

struct timeout {
    struct timeout *parent, *left, *right; /* .heap */
    uint64_t at_ms;
    void (*fire)(struct timeout *t); /* it has been removed by then */
    bool set;
};

struct timeouts {
    struct timeout *root;
    uint32_t count;
    uint64_t next_ms; /* nothing fires before this; UINT64_MAX: nothing is set */
    bool changed;     /* next_ms became earlier: the timer must be set anew */
};

void timeouts_init(struct timeouts *ts);
void timeout_set(struct timeouts *ts, struct timeout *t, uint64_t at_ms, void (*fire)(struct timeout *t));
void timeout_remove(struct timeouts *ts, struct timeout *t); /* idempotent */
/* Fires those that are due, the first ones first, but no more than `most`; next_ms says whether some are left. Returns
 * how many it fired. */
uint32_t timeouts_fire(struct timeouts *ts, uint64_t now_ms, uint32_t most);

#endif
