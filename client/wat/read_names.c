/* client/wat/read_names.c -- the name section as the disassembler uses it. A name counts if it is not empty, valid
 * UTF-8 and the only one of its spelling in its space (labels may be alike: blocks shadow each other). */
#include "client/wat/disassembler.h"

#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b)
{
    const struct entry_name *left = a, *right = b;
    size_t common = left->bytes.length < right->bytes.length ? left->bytes.length : right->bytes.length;
    int order = memcmp(left->bytes.bytes, right->bytes.bytes, common);
    if (order != 0) return order;
    if (left->bytes.length != right->bytes.length) return left->bytes.length < right->bytes.length ? -1 : 1;
    return left->index < right->index ? -1 : left->index > right->index;
}

static int by_index(const void *a, const void *b)
{
    const struct entry_name *left = a, *right = b;
    return left->index < right->index ? -1 : left->index > right->index;
}

static bool same(const struct entry_name *a, const struct entry_name *b)
{
    return a->bytes.length == b->bytes.length && memcmp(a->bytes.bytes, b->bytes.bytes, a->bytes.length) == 0;
}

/* Numbers the different names; where they must be unique, of those alike only the one of the least index is left. */
static void sort_out(struct name_list *names, bool labels)
{
    uint32_t kept = 0;
    names->distinct = 0;
    if (names->count == 0) return;
    qsort(names->list, names->count, sizeof *names->list, by_bytes);
    for (uint32_t i = 0; i < names->count; i++) {
        bool repeated = i > 0 && same(&names->list[kept - 1], &names->list[i]);
        if (repeated && !labels) continue;
        names->distinct += !repeated;
        names->list[kept] = names->list[i];
        names->list[kept++].alike = names->distinct - 1;
    }
    names->count = kept;
    qsort(names->list, names->count, sizeof *names->list, by_index);
}

/* index, name, index, name...; indices at or above `limit` and those out of order are ignored, and all if malformed. */
static void read_map(struct dis *d, struct input *in, uint32_t limit, bool labels, struct name_list *out)
{
    uint32_t left = input_count(in, 2);
    int64_t last = -1;
    out->count = 0;
    for (; left > 0 && input_ok(in); left--) {
        uint32_t index = input_u32(in);
        struct slice bytes = input_name(in);
        if (!input_ok(in) || bytes.length == 0 || index >= limit || index <= last) continue;
        if (!dis_grow(d, &out->list, out->count, &out->capacity, sizeof *out->list)) return;
        out->list[out->count++] = (struct entry_name){index, 0, bytes};
        last = index;
    }
    if (!input_ok(in)) out->count = 0;
    sort_out(out, labels);
}

/* A map of maps: only where each begins. */
static void read_maps(struct dis *d, struct input *in, struct name_maps *out)
{
    out->end = in->end;
    for (uint32_t left = input_count(in, 2); left > 0 && input_ok(in); left--) {
        uint32_t index = input_u32(in);
        const uint8_t *at = in->at;
        for (uint32_t names = input_count(in, 2); names > 0 && input_ok(in); names--) {
            input_u32(in);
            input_name(in);
        }
        bool ascends = out->count == 0 || out->list[out->count - 1].index < index;
        if (!input_ok(in) || !ascends) continue;
        if (!dis_grow(d, &out->list, out->count, &out->capacity, sizeof *out->list)) return;
        out->list[out->count++] = (struct entry_map){.index = index, .at = at};
    }
}

static void read_subsection(struct dis *d, uint8_t id, struct input *in)
{
    static const enum space_kind spaces[NAMES_END] = {
#define X(kind, word, names) [names] = SPACE_##kind,
        WAT_SPACES(X)
#undef X
    };
    if (id == NAMES_MODULE)
        d->module_name = input_name(in);
    else if (id == NAMES_FIELDS)
        read_maps(d, in, &d->fields);
    else if (id < NAMES_END && spaces[id] == SPACE_LOCAL)
        read_maps(d, in, &d->locals);
    else if (id < NAMES_END && spaces[id] == SPACE_LABEL)
        read_maps(d, in, &d->labels);
    else if (id < NAMES_END)
        read_map(d, in, d->counts[spaces[id]], false, &d->names[spaces[id]]);
}

void names_read(struct dis *d, struct slice section)
{
    struct input in = input_of(section);
    int last = -1;
    while (input_left(&in) > 0 && input_ok(&in)) {
        uint8_t id = input_byte(&in);
        struct input content = input_of(input_take(&in, input_u32(&in)));
        if (!input_ok(&in) || id <= last) return;
        read_subsection(d, id, &content);
        last = id;
    }
}

static struct entry_map *find_map(const struct name_maps *maps, uint32_t index)
{
    uint32_t low = 0, high = maps->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (maps->list[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < maps->count && maps->list[low].index == index ? &maps->list[low] : NULL;
}

void names_of_entry(struct dis *d, const struct name_maps *maps, uint32_t index, uint32_t limit, struct name_list *out)
{
    const struct entry_map *map = find_map(maps, index);
    out->count = out->distinct = 0;
    if (!map) return;
    struct input in = {.at = map->at, .end = maps->end};
    read_map(d, &in, limit, maps == &d->labels, out);
}

const struct entry_name *names_of_field(struct dis *d, uint32_t type, uint32_t field)
{
    struct entry_map *map = find_map(&d->fields, type);
    if (!map || type >= d->type_count || d->types[type].code != 0x5F) return NULL;
    if (!map->read) names_of_entry(d, &d->fields, type, d->types[type].count, &map->names);
    map->read = true;
    return names_lookup(&map->names, field);
}

const struct entry_name *names_lookup(const struct name_list *names, uint32_t index)
{
    uint32_t low = 0, high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (names->list[middle].index == index) return &names->list[middle];
        if (names->list[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void names_free(struct name_list *names)
{
    free(names->list);
    *names = (struct name_list){0};
}

void names_free_maps(struct name_maps *maps)
{
    for (uint32_t i = 0; i < maps->count; i++) names_free(&maps->list[i].names);
    free(maps->list);
    *maps = (struct name_maps){0};
}
