/* server/scheduler_timeouts.h -- moments at which something is to happen: deadlines, guests that sleep.
 *
 * School of checking: TRUSTED. A timeout is embedded by its owner, who removes it before it goes. The list's owner asks
 * when the next one is due and fires those that are; no clock or timer in here, so that tests bring their own.
 * Setting and removing are O(1); firing looks at each. */
#ifndef HEMI_SERVER_SCHEDULER_TIMEOUTS_H
#define HEMI_SERVER_SCHEDULER_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

struct timeout {
    struct timeout *prev, *next;
    uint64_t at_ms;
    void (*fire)(struct timeout *t); /* it has been removed by then */
    bool set;
};

struct timeouts {
    struct timeout *head;
    uint64_t next_ms; /* nothing fires before this; UINT64_MAX: nothing is set */
    bool changed;     /* next_ms became earlier: the timer must be set anew */
};

void timeouts_init(struct timeouts *ts);
void timeout_set(struct timeouts *ts, struct timeout *t, uint64_t at_ms, void (*fire)(struct timeout *t));
void timeout_remove(struct timeouts *ts, struct timeout *t); /* idempotent */
void timeouts_fire(struct timeouts *ts, uint64_t now_ms);

#endif
