/* server/scheduler/runqueue.h -- who is next: round robin among connections, within each among its stores, then among
 * calls.
 *
 * School of checking: TRUSTED: asserted.
 *
 * A queue has nodes: leaves, which run, or further queues. A node is linked while it has something ready. Each is
 * granted a SLICE at a time, in units, and pays for what runs below it. One that has some of its slice left is FRESH;
 * one that has used it up is behind all that have not, and is granted another when its turn comes. So what comes newly
 * goes before what runs for long, and whoever waits lets each other node of its queue use up one slice at most:
 *
 * Invariants:
 *   .one-round  Between a node's becoming ready and its being taken, each other node of the queue pays for a slice or
 *               less. What is left of a slice is kept by one that is not ready for a while, or ever new ones would go
 *               before the rest for ever; it is topped up when all that waited when it left have had their turn.
 *   .linked     A node is linked exactly while something below it is ready; so a queue that nothing is ready in may be
 *               freed. */
#ifndef HEMI_SERVER_SCHEDULER_RUNQUEUE_H
#define HEMI_SERVER_SCHEDULER_RUNQUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { RUN_SLICE = 4096 /* units; the least that can be paid is 1 */ };

struct run_list {
    struct run_node *head, *tail;
};

struct run_node {
    struct run_node *prev, *next;
    struct run_list *list;   /* NULL: nothing is ready here */
    struct run_queue *up;    /* that it is a node of; NULL: the outermost queue's own */
    struct run_queue *inner; /* that it stands for; NULL: a leaf */
    uint32_t left;           /* of its slice */
    uint64_t turn;           /* how many turns had been given out when it used up its slice, or left */
};

struct run_queue {
    struct run_list fresh, used;
    uint64_t turns, served; /* given out; the last one whose time has come */
    struct run_node node;   /* in the queue above */
};

/* `up`: NULL for the outermost one. */
void runqueue_init(struct run_queue *q, struct run_queue *up);
void runqueue_leaf_init(struct run_node *leaf, struct run_queue *up);
static inline bool runqueue_empty(const struct run_queue *q) { return !q->fresh.head && !q->used.head; }

/* The leaf is ready, or is not any more. */
void runqueue_add(struct run_node *leaf);
void runqueue_remove(struct run_node *leaf);
/* It goes before the rest of its outermost node's, but not before other nodes of the outermost queue. */
void runqueue_hasten(struct run_node *leaf);
/* The leaf that is next; NULL: none is ready. */
struct run_node *runqueue_first(const struct run_queue *outermost);
/* Takes it out; it may run for `units`, then others have their turn. */
struct run_node *runqueue_take(struct run_queue *outermost, uint32_t *units);
/* What it has run for; before it is added again. Its queues must still be there. */
void runqueue_pay(struct run_node *leaf, uint32_t units);

#endif
