/* u32 ids to pointers: open addressing, linear probing, deletion by shifting back. The worker chooses some of the ids,
 * so each table has a key of its own. */
#include <stdlib.h>
#include <sys/random.h>

#include "client/lib/internal.h"
#include "proto/keyed.h"

#define KEPT_CAPACITY 1024u /* a table no larger is never made smaller */

static uint32_t slot_of(const struct idmap *m, uint32_t id)
{
    return (uint32_t)(keyed_hash(id, m->key) >> 32) & (m->capacity - 1);
}

/* Where the system has no random bytes to give, an address is better than nothing. */
static uint64_t fresh_key(const struct idmap *m)
{
    uint64_t key;
    if (getrandom(&key, sizeof key, GRND_NONBLOCK) != (ssize_t)sizeof key) key = (uintptr_t)m;
    return key;
}

void idmap_deinit(struct idmap *m)
{
    free(m->cells);
    *m = (struct idmap){0};
}

/* The cell that has `id`, or the free one where it belongs. */
static struct idmap_cell *find(const struct idmap *m, uint32_t id)
{
    uint32_t at = slot_of(m, id);
    while (m->cells[at].id != 0 && m->cells[at].id != id) at = (at + 1) & (m->capacity - 1);
    return &m->cells[at];
}

static bool resize(struct idmap *m, uint32_t capacity)
{
    struct idmap other = {.key = m->capacity ? m->key : fresh_key(m), .capacity = capacity, .count = m->count};
    other.cells = calloc(capacity, sizeof *other.cells);
    if (!other.cells) return false;
    for (uint32_t i = 0; i < m->capacity; i++)
        if (m->cells[i].id != 0) *find(&other, m->cells[i].id) = m->cells[i];
    free(m->cells);
    *m = other;
    return true;
}

/* Enough room for one more, and not far too much. */
static bool fit(struct idmap *m)
{
    if (4 * (uint64_t)(m->count + 1) > 3 * (uint64_t)m->capacity) return resize(m, m->capacity ? 2 * m->capacity : 16);
    if (m->capacity > KEPT_CAPACITY && m->count < m->capacity / 8) (void)resize(m, m->capacity / 2);
    return true; /* a table that cannot be made smaller stays */
}

bool idmap_put(struct idmap *m, uint32_t id, void *value)
{
    if (!fit(m)) return false;
    struct idmap_cell *cell = find(m, id);
    if (cell->id == 0) m->count++;
    *cell = (struct idmap_cell){.id = id, .value = value};
    return true;
}

void *idmap_get(const struct idmap *m, uint32_t id)
{
    if (m->count == 0 || id == 0) return NULL;
    const struct idmap_cell *cell = find(m, id);
    return cell->id == id ? cell->value : NULL;
}

void *idmap_take(struct idmap *m, uint32_t id)
{
    if (m->count == 0 || id == 0) return NULL;
    struct idmap_cell *cell = find(m, id);
    if (cell->id != id) return NULL;
    void *value = cell->value;
    uint32_t hole = (uint32_t)(cell - m->cells), mask = m->capacity - 1;
    for (uint32_t at = (hole + 1) & mask; m->cells[at].id != 0; at = (at + 1) & mask) {
        uint32_t home = slot_of(m, m->cells[at].id);
        if (((at - home) & mask) < ((at - hole) & mask)) continue; /* it sits between its home and the hole */
        m->cells[hole] = m->cells[at];
        hole = at;
    }
    m->cells[hole] = (struct idmap_cell){0};
    m->count--;
    if (m->count == 0 && m->capacity > KEPT_CAPACITY) idmap_deinit(m);
    return value;
}
