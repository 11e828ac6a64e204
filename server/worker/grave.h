/* server/worker/grave.h -- what has ended and takes long to free: stores, modules, connections.
 *
 * School of checking: TRUSTED.
 *
 * A worker has one grave. Whatever may hold more than a few small blocks is not freed where it ends: its owner buries
 * it and gives it up, and it is freed in slices of GRAVE_UNITS (base/release.h says what a unit is), one in each
 * turn of the loop, while other work goes on. They take turns, so a large one delays nobody's end for long.
 *
 * What is buried no longer counts among its connection's or worker's stores, modules and connections; its memory stays
 * charged until it is given back, so the budget is never exceeded. Whoever finds the budget used up digs before he is
 * refused (account_charge).
 *
 * Invariants:
 *   .buried  Nothing but the grave refers to what a corpse still owns; the loop does not sleep while one is there. */
#ifndef HEMI_SERVER_WORKER_GRAVE_H
#define HEMI_SERVER_WORKER_GRAVE_H

#include <stdbool.h>
#include <stdint.h>

enum { GRAVE_UNITS = 4096 };

/* Embedded in what is buried. */
struct corpse {
    struct corpse *next;
    /* Frees as much as *units allow, which it uses up. True: more is left; else the corpse may be gone with it. */
    bool (*free_some)(struct corpse *c, uint32_t *units);
};

struct grave {
    struct corpse *head, *tail;
};

void grave_bury(struct grave *g, struct corpse *c, bool (*free_some)(struct corpse *c, uint32_t *units));
/* Frees one slice; the units that took. */
uint32_t grave_dig(struct grave *g);
/* Frees everything. */
void grave_empty(struct grave *g);

#endif
