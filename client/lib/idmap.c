/* u32 ids to pointers: open addressing, linear probing, deletion by shifting back. */
#include <stdlib.h>

#include "client/lib/internal.h"

static uint32_t slot_of(const struct idmap *m, uint32_t id) { return (id * 0x9E3779B1u) & (m->capacity - 1); }

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

static bool grow(struct idmap *m)
{
    struct idmap wider = {.capacity = m->capacity ? 2 * m->capacity : 16, .count = m->count};
    wider.cells = calloc(wider.capacity, sizeof *wider.cells);
    if (!wider.cells) return false;
    for (uint32_t i = 0; i < m->capacity; i++)
        if (m->cells[i].id != 0) *find(&wider, m->cells[i].id) = m->cells[i];
    free(m->cells);
    *m = wider;
    return true;
}

bool idmap_put(struct idmap *m, uint32_t id, void *value)
{
    if (4 * (uint64_t)(m->count + 1) > 3 * (uint64_t)m->capacity && !grow(m)) return false;
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
    return value;
}
