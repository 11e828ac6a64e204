#include "server/scheduler/runqueue.h"

#include <stddef.h>

#include "base/check.h"

void runqueue_init(struct run_queue *q, struct run_queue *up)
{
    *q = (struct run_queue){.node = {.up = up, .inner = q}};
}

void runqueue_leaf_init(struct run_node *leaf, struct run_queue *up) { *leaf = (struct run_node){.up = up}; }

/* ---- one list */

static void append(struct run_list *l, struct run_node *n)
{
    n->list = l;
    n->next = NULL;
    n->prev = l->tail;
    *(l->tail ? &l->tail->next : &l->head) = n;
    l->tail = n;
}

static void unlink_node(struct run_node *n)
{
    struct run_list *l = n->list;
    *(n->prev ? &n->prev->next : &l->head) = n->next;
    *(n->next ? &n->next->prev : &l->tail) = n->prev;
    n->prev = n->next = NULL;
    n->list = NULL;
}

static void move(struct run_node *n, struct run_list *to)
{
    unlink_node(n);
    append(to, n);
}

/* ---- a node in its queue */

static void join(struct run_node *n)
{
    struct run_queue *q = n->up;
    if (q->served >= n->turn) n->left = RUN_SLICE; /* .one-round */
    if (n->left == 0) n->turn = ++q->turns;
    append(n->left > 0 ? &q->fresh : &q->used, n);
}

static void leave(struct run_node *n)
{
    if (n->left > 0) n->turn = n->up->turns;
    unlink_node(n);
}

static void grant(struct run_node *n)
{
    struct run_queue *q = n->up;
    if (n->turn > q->served) q->served = n->turn;
    n->left = RUN_SLICE;
}

void runqueue_add(struct run_node *leaf)
{
    CHECK(!leaf->list && !leaf->inner);
    for (struct run_node *n = leaf; n->up && !n->list; n = &n->up->node) join(n); /* .linked */
}

void runqueue_remove(struct run_node *leaf)
{
    CHECK(leaf->list && !leaf->inner);
    struct run_node *n = leaf;
    do leave(n);
    while ((n = &n->up->node)->up && runqueue_empty(n->inner)); /* .linked */
}

void runqueue_hasten(struct run_node *leaf)
{
    for (struct run_node *n = leaf; n->up && n->up->node.up; n = &n->up->node) {
        if (n->list != &n->up->used) continue;
        n->left = 1;
        move(n, &n->up->fresh);
    }
}

/* ---- the next one */

static struct run_node *head(const struct run_queue *q) { return q->fresh.head ? q->fresh.head : q->used.head; }

struct run_node *runqueue_first(const struct run_queue *q)
{
    struct run_node *n = head(q);
    while (n && n->inner) n = head(n->inner);
    return n;
}

struct run_node *runqueue_take(struct run_queue *q, uint32_t *units)
{
    struct run_node *n;
    *units = RUN_SLICE;
    while ((n = head(q))) {
        if (n->list == &q->used) grant(n);
        move(n, &q->fresh);
        if (n->left < *units) *units = n->left;
        if (!n->inner) break;
        q = n->inner;
    }
    if (n) runqueue_remove(n);
    return n;
}

void runqueue_pay(struct run_node *leaf, uint32_t units)
{
    for (struct run_node *n = leaf; n->up; n = &n->up->node) {
        if (n->left == 0) continue;
        n->left -= units < n->left ? units : n->left;
        if (n->left > 0) continue;
        n->turn = ++n->up->turns;
        if (n->list) move(n, &n->up->used);
    }
}
