/* server/worker/handles_map.c -- ids to pointers: linear probing, removal by shifting back.
 *
 * Clients choose the ids, so the hash is keyed: ids that were chosen to fall next to each other would make every
 * look-up a walk through all of them, on the one thread that serves others too. For the same thread's sake a map that
 * changes its size does not move all of its entries at once: a few go with each change, from `old` to `now` (.moving in
 * handles.h). */
#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "proto/keyed.h"
#include "server/worker/handles.h"

enum { BITS_MIN = 4, BITS_KEPT = 8 /* a table no larger is never made smaller */, MOVE_STEP = 4, MOVE_SCAN = 64 };

/* This process's, never 0. */
static uint64_t key(void)
{
    static uint64_t k;
    while (k == 0) CHECK(getrandom(&k, sizeof k, 0) == (ssize_t)sizeof k);
    return k;
}

/* ---- one table */

static uint32_t slot_of(const struct idmap_table *t, uint64_t id)
{
    return (uint32_t)(keyed_hash(id, key()) >> (64 - t->bits));
}

static uint32_t mask(const struct idmap_table *t) { return (1u << t->bits) - 1; }

/* The entry with this id, or the free one where it would go. */
static struct idmap_entry *find(const struct idmap_table *t, uint64_t id)
{
    uint32_t i = slot_of(t, id);
    while (t->entries[i].value && t->entries[i].id != id) i = (i + 1) & mask(t);
    return &t->entries[i];
}

/* NULL: it is not there. */
static struct idmap_entry *look_up(const struct idmap_table *t, uint64_t id)
{
    struct idmap_entry *e = t->entries ? find(t, id) : NULL;
    return e && e->value ? e : NULL;
}

static void *remove_at(struct idmap_table *t, uint32_t hole)
{
    void *value = t->entries[hole].value;
    for (uint32_t i = (hole + 1) & mask(t); t->entries[i].value; i = (i + 1) & mask(t)) {
        uint32_t home = slot_of(t, t->entries[i].id);
        if (((i - home) & mask(t)) < ((i - hole) & mask(t))) continue; /* its probe path starts behind the hole */
        t->entries[hole] = t->entries[i];
        hole = i;
    }
    t->entries[hole].value = NULL;
    t->used--;
    return value;
}

/* Takes an entry out, on from where the last one was; false: none among the next `scan` slots. */
static bool pop(struct idmap_table *t, uint32_t scan, struct idmap_entry *out)
{
    for (; scan > 0; scan--, t->popped++) {
        *out = t->entries[t->popped & mask(t)];
        if (!out->value) continue;
        remove_at(t, t->popped & mask(t));
        return true;
    }
    return false;
}

static void table_free(struct idmap_table *t)
{
    free(t->entries);
    *t = (struct idmap_table){0};
}

/* ---- changing its size */

static void move_some(struct idmap *m, uint32_t n)
{
    struct idmap_entry e;
    while (m->old.used > 0 && n > 0 && pop(&m->old, MOVE_SCAN, &e)) {
        *find(&m->now, e.id) = e;
        m->now.used++;
        n--;
    }
    if (m->old.used == 0) table_free(&m->old);
}

/* False: no memory, nothing changed. */
static bool resize(struct idmap *m, uint32_t bits)
{
    struct idmap_table fresh = {.bits = bits};
    while (m->old.entries) move_some(m, UINT32_MAX); /* .moving: done long before in the life of a map */
    fresh.entries = calloc((size_t)1 << bits, sizeof *fresh.entries);
    if (!fresh.entries) return false;
    m->old = m->now;
    m->now = fresh;
    move_some(m, MOVE_STEP);
    return true;
}

static bool full(const struct idmap_table *t) { return !t->entries || t->used >= (1u << t->bits) / 4 * 3; }

static void shrink(struct idmap *m)
{
    if (m->old.entries || m->now.bits <= BITS_KEPT || m->now.used >= (1u << m->now.bits) / 8) return;
    (void)resize(m, m->now.bits - 1); /* without memory it stays as large */
}

/* ---- the map */

void *idmap_get(const struct idmap *m, uint64_t id)
{
    const struct idmap_entry *e = look_up(&m->now, id);
    if (!e) e = look_up(&m->old, id);
    return e ? e->value : NULL;
}

bool idmap_put(struct idmap *m, uint64_t id, void *value)
{
    struct idmap_entry *e = look_up(&m->now, id);
    if (!e) e = look_up(&m->old, id);
    if (e) {
        e->value = value;
        return true;
    }
    if (m->old.entries) move_some(m, MOVE_STEP);
    if (full(&m->now) && !resize(m, m->now.entries ? m->now.bits + 1 : BITS_MIN)) return false;
    *find(&m->now, id) = (struct idmap_entry){id, value};
    m->now.used++;
    m->used++;
    return true;
}

void *idmap_remove(struct idmap *m, uint64_t id)
{
    struct idmap_table *t = &m->now;
    struct idmap_entry *e = look_up(t, id);
    if (!e) e = look_up(t = &m->old, id);
    if (!e) return NULL;
    void *value = remove_at(t, (uint32_t)(e - t->entries));
    m->used--;
    if (m->old.entries) move_some(m, MOVE_STEP);
    shrink(m);
    return value;
}

void *idmap_pop(struct idmap *m)
{
    struct idmap_entry e;
    if (m->used == 0) return NULL;
    m->used--;
    struct idmap_table *t = m->old.used > 0 ? &m->old : &m->now;
    while (!pop(t, UINT32_MAX, &e)) continue;
    return e.value;
}

void idmap_deinit(struct idmap *m)
{
    table_free(&m->now);
    table_free(&m->old);
    *m = (struct idmap){0};
}
