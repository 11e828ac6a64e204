#include "server/worker/grave.h"

#include <stddef.h>

static void push(struct grave *g, struct corpse *c)
{
    c->next = NULL;
    *(g->tail ? &g->tail->next : &g->head) = c;
    g->tail = c;
}

void grave_bury(struct grave *g, struct corpse *c, bool (*free_some)(struct corpse *c, uint32_t *units))
{
    c->free_some = free_some;
    push(g, c);
}

uint32_t grave_dig(struct grave *g)
{
    uint32_t units = GRAVE_UNITS;
    while (g->head && units > 0) {
        struct corpse *c = g->head; /* off the list, for it may be gone, or bury others */
        g->head = c->next;
        if (!g->head) g->tail = NULL;
        if (c->free_some(c, &units)) push(g, c);
    }
    return GRAVE_UNITS - units;
}

void grave_empty(struct grave *g)
{
    while (g->head) grave_dig(g);
}
