#include "server/scheduler_timeouts.h"

#include <stddef.h>

void timeouts_init(struct timeouts *ts) { *ts = (struct timeouts){.next_ms = UINT64_MAX}; }

void timeout_set(struct timeouts *ts, struct timeout *t, uint64_t at_ms, void (*fire)(struct timeout *t))
{
    timeout_remove(ts, t);
    *t = (struct timeout){.next = ts->head, .at_ms = at_ms, .fire = fire, .set = true};
    if (t->next) t->next->prev = t;
    ts->head = t;
    if (at_ms >= ts->next_ms) return;
    ts->next_ms = at_ms;
    ts->changed = true;
}

void timeout_remove(struct timeouts *ts, struct timeout *t)
{
    if (!t->set) return;
    *(t->prev ? &t->prev->next : &ts->head) = t->next;
    if (t->next) t->next->prev = t->prev;
    t->set = false;
    t->prev = t->next = NULL;
}

/* Firing one may set or remove any other, so the search starts again after each. */
static struct timeout *find_due(const struct timeouts *ts, uint64_t now_ms)
{
    struct timeout *t = ts->head;
    while (t && t->at_ms > now_ms) t = t->next;
    return t;
}

void timeouts_fire(struct timeouts *ts, uint64_t now_ms)
{
    struct timeout *t;
    while ((t = find_due(ts, now_ms))) {
        timeout_remove(ts, t);
        t->fire(t);
    }
    ts->next_ms = UINT64_MAX;
    for (t = ts->head; t; t = t->next)
        if (t->at_ms < ts->next_ms) ts->next_ms = t->at_ms;
    ts->changed = true;
}
