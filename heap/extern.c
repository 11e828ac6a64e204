/* heap/extern.c -- the externref set: one object per live id, and who died.
 *
 * The set's chains run through the objects' link words, so a live externref costs one slot of `heads` outside the
 * heap, and sweeping finds the dead in the old space with no record of its own.
 */
#include "heap/internal.h"

#include <stdlib.h>

enum {
    BUCKETS_MIN = 16,
    BUCKETS_KEPT = 1024 /* not made fewer */,
    LINK = 4,
    ID = 8,
    SWEEP_WORK = 64 /* bytes that one object counts as */,
    REPORT_WORK = 512 /* and one that is reported dead */
};

_Static_assert(HEAP_EXTERN_SIZE <= HEAP_SMALL_MAX, "externrefs are always copied");

static uint32_t load_link(const uint8_t *base, uint32_t at) { return heap_load_head(base + at).word; }

static void store_link(uint8_t *base, uint32_t at, uint32_t link) { memcpy(base + at + LINK, &link, sizeof link); }

static uint64_t load_id(const uint8_t *base, uint32_t at)
{
    uint64_t id;
    memcpy(&id, base + at + ID, sizeof id);
    return id;
}

/* Ids may be pointers or counters: every bit of them has to reach the low ones. */
uint32_t heap_extern_bucket(const struct heap *h, uint64_t id)
{
    id ^= id >> 32;
    id *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(id >> 32) & (h->externs.buckets - 1);
}

static void insert(struct heap *h, uint8_t *base, uint32_t at)
{
    uint32_t *head = &h->externs.heads[heap_extern_bucket(h, load_id(base, at))];
    store_link(base, at, *head);
    *head = at;
}

static uint32_t lookup(const struct heap *h, uint64_t id)
{
    if (h->externs.buckets == 0) return 0;
    const uint8_t *base = h->space.base;
    uint32_t at = h->externs.heads[heap_extern_bucket(h, id)];
    while (at != 0 && load_id(base, at) != id) at = load_link(base, at);
    return at;
}

static void rehash(struct heap *h, uint8_t *base, const uint32_t *heads, uint32_t buckets)
{
    for (uint32_t i = 0; i < buckets; i++) {
        for (uint32_t at = heads[i], next; at != 0; at = next) {
            next = load_link(base, at);
            insert(h, base, at);
            if (h->collecting) heap_worked(h, SWEEP_WORK);
        }
    }
}

/* After a burst that has died: far fewer heads will do. Without memory for them the old ones do, too. */
static void shrink(struct heap *h, uint8_t *base)
{
    struct heap_externs *e = &h->externs;
    uint32_t *before = e->heads, nbefore = e->buckets, buckets = nbefore;
    while (buckets > BUCKETS_KEPT && e->count < buckets / 8) buckets /= 2;
    uint32_t *heads = buckets < nbefore ? calloc(buckets, sizeof *heads) : NULL;
    if (heads == NULL) return;
    e->heads = heads;
    e->buckets = buckets;
    rehash(h, base, before, nbefore);
    free(before);
}

/* Doubles the heads. Only the first time can it fail: later, longer chains will do. */
static bool grow(struct heap *h)
{
    struct heap_externs *e = &h->externs;
    if (e->count < e->buckets || e->buckets > UINT32_MAX / 4) return true;
    struct heap_externs before = *e;
    uint32_t *heads = calloc(before.buckets == 0 ? BUCKETS_MIN : before.buckets * 2, sizeof *heads);
    if (heads == NULL) return before.buckets != 0;
    e->heads = heads;
    e->buckets = before.buckets == 0 ? BUCKETS_MIN : before.buckets * 2;
    if (!heap_settle(h)) goto refused;
    rehash(h, h->space.base, before.heads, before.buckets);
    free(before.heads);
    return true;

refused:
    *e = before;
    free(heads);
    return before.buckets != 0;
}

enum heap_status heap_extern(struct heap *h, uint64_t id, heap_ref *out)
{
    CHECK_DEBUG(h->magic == HEAP_MAGIC && h->descs.at[h->extern_desc].kind == HEAP_EXTERN);
    *out = (heap_ref){lookup(h, id)};
    if (!heap_is_null(*out)) return HEAP_OK;
    if (!grow(h)) return HEAP_NO_MEMORY;
    enum heap_status status = heap_alloc(h, h->extern_desc, HEAP_EXTERN_SIZE, out);
    if (status != HEAP_OK) return status;
    memcpy(h->space.base + out->bits + ID, &id, sizeof id);
    insert(h, h->space.base, out->bits);
    h->externs.count++;
    h->stats.externs_made++;
    return HEAP_OK;
}

uint64_t heap_extern_id(const struct heap *h, heap_ref r)
{
    CHECK_DEBUG(h->descs.at[heap_object_desc(h->space.base, r)].kind == HEAP_EXTERN);
    return load_id(h->space.base, r.bits);
}

/* One object of an old chain; returns the next one. A copied object's link is intact in the copy (.header). */
static uint32_t sweep(struct heap *h, const struct heap_visitor *v, uint32_t *head, uint32_t at)
{
    struct heap_head object = heap_load_head(v->from + at);
    if (object.header & HEAP_FORWARDED) {
        uint32_t next = load_link(v->to, object.word);
        store_link(v->to, object.word, *head);
        *head = object.word;
        return next;
    }
    store_link(v->from, at, h->externs.dead);
    h->externs.dead = at;
    h->externs.count--;
    h->stats.externs_dead++;
    return object.word;
}

void heap_extern_sweep(struct heap *h, const struct heap_visitor *v)
{
    for (uint32_t i = 0; i < h->externs.buckets; i++) {
        uint32_t at = h->externs.heads[i];
        h->externs.heads[i] = 0;
        while (at != 0) {
            at = sweep(h, v, &h->externs.heads[i], at);
            heap_worked(h, SWEEP_WORK);
        }
    }
    shrink(h, v->to);
}

void heap_extern_report(struct heap *h)
{
    const uint8_t *base = h->from.base;
    uint32_t at = h->externs.dead;
    h->externs.dead = 0;
    while (at != 0 && h->emb.extern_dead != NULL) {
        uint64_t id = load_id(base, at);
        at = load_link(base, at);
        h->emb.extern_dead(h->emb.ctx, id);
        heap_worked(h, REPORT_WORK);
    }
}

bool heap_extern_end_some(struct heap *h, uint32_t *units)
{
    struct heap_externs *e = &h->externs;
    while (e->ended < e->buckets && h->emb.extern_dead != NULL) {
        if (*units == 0) return true;
        --*units;
        uint32_t at = e->heads[e->ended];
        if (at == 0) {
            e->ended++;
            continue;
        }
        e->heads[e->ended] = load_link(h->space.base, at);
        h->emb.extern_dead(h->emb.ctx, load_id(h->space.base, at));
    }
    free(e->heads);
    *e = (struct heap_externs){0};
    return false;
}
