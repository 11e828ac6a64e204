/* heap/reach.c -- every object that the roots reach, in a sound heap that stays as it is. */
#include "heap/internal.h"

#include <stdlib.h>

struct heap_reach {
    struct heap *heap;
    uint8_t *marks;    /* one bit for each 4 bytes of the window that are mapped: seen */
    uint32_t *waiting; /* objects that are marked, and whose slots are still to be followed */
    size_t n, capacity;
    bool ok; /* memory was enough */
};

static void follow(struct heap_reach *k, uint32_t bits)
{
    if (!k->ok || !heap_is_object((heap_ref){bits})) return;
    uint8_t *mark = &k->marks[bits / 32], bit = (uint8_t)(1u << (bits / 4 % 8));
    if (*mark & bit) return;
    *mark |= bit;
    if (k->n == k->capacity) {
        size_t more = k->capacity == 0 ? 1024 : 2 * k->capacity;
        uint32_t *at = realloc(k->waiting, more * sizeof *at);
        k->ok = at != NULL;
        if (!k->ok) return;
        k->waiting = at;
        k->capacity = more;
    }
    k->waiting[k->n++] = bits;
}

void heap_reach_root(struct heap_visitor *v, uint32_t bits) { follow(v->reach, bits); }

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
            follow(v->reach, bits);
        else
            heap_visit_func(v, bits);
    }
}

static void follow_all(struct heap_visitor *v)
{
    struct heap_reach *k = v->reach;
    while (k->ok && k->n > 0) follow_slots(v, k->waiting[--k->n]);
}

/* What is marked is seen when all is marked: in the order of addresses. */
static void see(const struct heap_reach *k, void (*seen)(void *ctx, heap_ref object), void *ctx)
{
    uint32_t end = heap_chunk_start(k->heap->mapped_end);
    for (uint32_t at = 0; at < end; at += 32)
        for (uint32_t bits = k->marks[at / 32]; bits != 0; bits &= bits - 1)
            seen(ctx, (heap_ref){at + 4 * (uint32_t)__builtin_ctz(bits)});
}

bool heap_each_reached(struct heap *h, void (*seen)(void *ctx, heap_ref object), void *ctx)
{
    CHECK(!h->collecting);
    struct heap_reach k = {.heap = h, .ok = true};
    struct heap_visitor v = {.heap = h, .reach = &k, .descs = h->descs.at};
    k.marks = calloc(h->mapped_end, HEAP_CHUNK / 32);
    if (k.marks == NULL) return false;
    heap_visit_roots(&v, follow_all);
    if (k.ok) see(&k, seen, ctx);
    free(k.waiting);
    free(k.marks);
    return k.ok;
}
