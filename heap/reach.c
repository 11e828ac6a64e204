/* heap/reach.c -- every object that the roots reach, in a sound heap that stays as it is. */
#include "base/grow.h"
#include "heap/internal.h"

#include <stdlib.h>

struct heap_reach {
    struct heap_bits marks; /* met */
    uint32_t *waiting;      /* objects that were met, and whose slots are still to be followed */
    size_t n, capacity;
    bool ok; /* memory was enough */
};

static void follow(struct heap_reach *k, uint32_t bits)
{
    if (!k->ok || !heap_is_object((heap_ref){bits}) || heap_bits_has(&k->marks, bits)) return;
    k->ok = heap_bits_set(&k->marks, bits) && GROW(k->waiting, k->n, 1, k->capacity, 1024);
    if (k->ok) k->waiting[k->n++] = bits;
}

void heap_reach_root(struct heap_visitor *v, uint32_t bits)
{
    heap_walk_step(v->walk);
    follow(v->reach, bits);
}

static void follow_slots(struct heap_visitor *v, uint32_t at)
{
    const uint8_t *object = v->heap->space.base + at;
    struct heap_head head = heap_load_head(object);
    const struct heap_desc *d = &v->descs[head.header >> 1];
    bool is_array = d->kind == HEAP_ARRAY && d->elem != HEAP_SLOT_DATA;
    uint32_t n = is_array ? head.word : d->kind == HEAP_FIXED ? d->nrefs + d->nfuncs : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits = heap_load_slot(object + (is_array ? HEAP_ARRAY_DATA + (size_t)i * 4 : d->offsets[i]));
        if (is_array ? d->elem == HEAP_SLOT_REF : i < d->nrefs)
            heap_reach_root(v, bits);
        else
            heap_visit_func(v, bits);
    }
}

static void follow_all(struct heap_visitor *v)
{
    struct heap_reach *k = v->reach;
    while (k->ok && k->n > 0) follow_slots(v, k->waiting[--k->n]);
}

bool heap_each_reached(struct heap *h, struct heap_walk *walk, void (*seen)(void *ctx, heap_ref object), void *ctx)
{
    CHECK(!h->collecting);
    struct heap_reach k = {.ok = true};
    struct heap_visitor v = {.heap = h, .reach = &k, .walk = walk, .descs = h->descs.at};
    k.ok = heap_bits_init(&k.marks, h->mapped_end);
    if (k.ok) heap_visit_roots(&v, follow_all);
    if (k.ok) heap_bits_each(&k.marks, walk, seen, ctx); /* when all are met */
    free(k.waiting);
    heap_bits_deinit(&k.marks, walk);
    return k.ok;
}
