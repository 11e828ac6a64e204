/* server/handles_map.c -- ids to pointers: linear probing, removal by shifting back.
 *
 * Clients choose the ids, so the hash is keyed: ids that were chosen to fall next to each other would make every
 * look-up a walk through all of them, on the one thread that serves others too. */
#include <stdlib.h>
#include <sys/random.h>

#include "server/handles.h"
#include "server/server.h"

enum { BITS_MIN = 4 };

/* This process's, never 0. */
static uint64_t key(void)
{
    static uint64_t k;
    while (k == 0) SERVER_ASSERT(getrandom(&k, sizeof k, 0) == (ssize_t)sizeof k);
    return k;
}

/* Both steps mix with the key: one multiplication alone keeps neighbours near each other. */
static uint32_t slot_of(const struct idmap *m, uint64_t id)
{
    uint64_t x = (id ^ m->key) * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 32 ^ m->key) * 0xD6E8FEB86659FD93u;
    return (uint32_t)(x >> (64 - m->bits));
}

static uint32_t mask(const struct idmap *m) { return (1u << m->bits) - 1; }

/* The entry with this id, or the free one where it would go. */
static uint32_t find(const struct idmap *m, uint64_t id)
{
    uint32_t i = slot_of(m, id);
    while (m->entries[i].value && m->entries[i].id != id) i = (i + 1) & mask(m);
    return i;
}

static bool grow(struct idmap *m)
{
    struct idmap bigger = {.bits = m->entries ? m->bits + 1 : BITS_MIN, .used = m->used, .key = key()};
    bigger.entries = calloc((size_t)1 << bigger.bits, sizeof *bigger.entries);
    if (!bigger.entries) return false;
    for (uint32_t i = 0; m->entries && i <= mask(m); i++)
        if (m->entries[i].value) bigger.entries[find(&bigger, m->entries[i].id)] = m->entries[i];
    free(m->entries);
    *m = bigger;
    return true;
}

void *idmap_get(const struct idmap *m, uint64_t id) { return m->entries ? m->entries[find(m, id)].value : NULL; }

bool idmap_put(struct idmap *m, uint64_t id, void *value)
{
    if ((!m->entries || m->used >= (1u << m->bits) / 4 * 3) && !grow(m)) return false;
    struct idmap_entry *e = &m->entries[find(m, id)];
    if (!e->value) m->used++;
    *e = (struct idmap_entry){id, value};
    return true;
}

static void *remove_at(struct idmap *m, uint32_t hole)
{
    void *value = m->entries[hole].value;
    for (uint32_t i = (hole + 1) & mask(m); m->entries[i].value; i = (i + 1) & mask(m)) {
        uint32_t home = slot_of(m, m->entries[i].id);
        if (((i - home) & mask(m)) < ((i - hole) & mask(m))) continue; /* its probe path starts behind the hole */
        m->entries[hole] = m->entries[i];
        hole = i;
    }
    m->entries[hole].value = NULL;
    m->used--;
    return value;
}

void *idmap_remove(struct idmap *m, uint64_t id)
{
    if (!m->entries) return NULL;
    uint32_t i = find(m, id);
    return m->entries[i].value ? remove_at(m, i) : NULL;
}

void *idmap_pop(struct idmap *m)
{
    if (m->used == 0) return NULL;
    while (!m->entries[m->popped & mask(m)].value) m->popped++; /* on from where the last one was */
    return remove_at(m, m->popped & mask(m));
}

void idmap_deinit(struct idmap *m)
{
    free(m->entries);
    *m = (struct idmap){0};
}
