#include "server/scheduler/timeouts.h"

#include <stddef.h>

void timeouts_init(struct timeouts *ts) { *ts = (struct timeouts){.next_ms = UINT64_MAX}; }

/* ---- the heap (.heap) */

/* Where the n-th one of the tree hangs, counted from 1 in breadth: below n's highest bit, each bit says which way. */
static struct timeout **place(struct timeouts *ts, uint32_t n, struct timeout **parent)
{
    struct timeout **at = &ts->root;
    *parent = NULL;
    for (uint32_t bit = (1u << (31 - __builtin_clz(n))) >> 1; bit != 0; bit >>= 1) {
        *parent = *at;
        at = n & bit ? &(*at)->right : &(*at)->left;
    }
    return at;
}

/* Whatever hangs `was` hangs `now` instead. */
static void rehang(struct timeouts *ts, struct timeout *parent, const struct timeout *was, struct timeout *now)
{
    if (!parent)
        ts->root = now;
    else if (parent->left == was)
        parent->left = now;
    else
        parent->right = now;
    if (now) now->parent = parent;
}

static void adopt_children(struct timeout *t)
{
    if (t->left) t->left->parent = t;
    if (t->right) t->right->parent = t;
}

static void swap_with_parent(struct timeouts *ts, struct timeout *t)
{
    struct timeout *p = t->parent, *left = t->left, *right = t->right;
    rehang(ts, p->parent, p, t);
    t->left = p->left == t ? p : p->left;
    t->right = p->right == t ? p : p->right;
    p->left = left;
    p->right = right;
    adopt_children(t);
    adopt_children(p);
}

static struct timeout *earlier(struct timeout *a, struct timeout *b)
{
    if (!a || !b) return a ? a : b;
    return b->at_ms < a->at_ms ? b : a;
}

static void settle(struct timeouts *ts, struct timeout *t)
{
    struct timeout *child;
    while (t->parent && t->at_ms < t->parent->at_ms) swap_with_parent(ts, t);
    while ((child = earlier(t->left, t->right)) && child->at_ms < t->at_ms) swap_with_parent(ts, child);
}

/* ---- */

void timeout_set(struct timeouts *ts, struct timeout *t, uint64_t at_ms, void (*fire)(struct timeout *t))
{
    timeout_remove(ts, t);
    *t = (struct timeout){.at_ms = at_ms, .fire = fire, .set = true};
    *place(ts, ++ts->count, &t->parent) = t;
    settle(ts, t);
    if (at_ms >= ts->next_ms) return;
    ts->next_ms = at_ms;
    ts->changed = true;
}

void timeout_remove(struct timeouts *ts, struct timeout *t)
{
    struct timeout *parent;
    if (!t->set) return;
    struct timeout **end = place(ts, ts->count--, &parent), *last = *end;
    *end = NULL;
    if (last != t) {
        last->left = t->left;
        last->right = t->right;
        rehang(ts, t->parent, t, last);
        adopt_children(last);
        settle(ts, last);
    }
    t->set = false;
    t->parent = t->left = t->right = NULL;
}

uint32_t timeouts_fire(struct timeouts *ts, uint64_t now_ms, uint32_t most)
{
    uint32_t fired = 0;
    for (struct timeout *t; fired < most && (t = ts->root) && t->at_ms <= now_ms; fired++) {
        timeout_remove(ts, t);
        t->fire(t);
    }
    ts->next_ms = ts->root ? ts->root->at_ms : UINT64_MAX;
    ts->changed = true;
    return fired;
}
