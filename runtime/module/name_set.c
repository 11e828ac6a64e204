#include "runtime/module/name_set.h"

#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/module/module.h"

bool name_set_init(struct name_set *s, uint32_t n, struct engine *e)
{
    uint32_t size = 16;
    while (size < 2 * n) size *= 2;
    *s = (struct name_set){.slots = engine_zeroed(e, size * sizeof *s->slots), .mask = size - 1, .seed = e->seed};
    return s->slots != NULL;
}

static uint32_t name_hash(const struct name_set *s, struct name name)
{
    uint64_t h = s->seed;
    for (uint32_t i = 0; i < name.len; i++) h = (h ^ (uint8_t)name.at[i]) * 0x9E3779B97F4A7C15u, h ^= h >> 32;
    return (uint32_t)h;
}

/* The slot with this name, or the free one where it would go. */
static uint32_t find(const struct name_set *s, const struct export *exports, struct name name)
{
    uint32_t at = name_hash(s, name) & s->mask;
    for (; s->slots[at] != 0; at = (at + 1) & s->mask) {
        struct name other = exports[s->slots[at] - 1].name;
        if (other.len == name.len && (name.len == 0 || memcmp(other.at, name.at, name.len) == 0)) break;
    }
    return at;
}

bool name_set_add(struct name_set *s, const struct export *exports, uint32_t index)
{
    uint32_t at = find(s, exports, exports[index].name);
    if (s->slots[at] != 0) return false;
    s->slots[at] = index + 1;
    return true;
}

const struct export *name_set_find(const struct name_set *s, const struct export *exports, struct name name)
{
    uint32_t at = s->slots != NULL ? find(s, exports, name) : 0;
    return s->slots != NULL && s->slots[at] != 0 ? &exports[s->slots[at] - 1] : NULL;
}
