/* client/wat/namesec.c -- the name section (specification, appendix "Custom Sections", and the proposal that extends it
 * to labels and all index spaces): what traces and the disassembler call things. Identifiers are all it holds. */
#include "client/wat/assembler.h"

#include <stdlib.h>
#include <string.h>

static void add_name(struct wat *w, struct name_map *map, uint32_t index, struct name name)
{
    bin_unsigned(w, &map->bytes, index);
    bin_name(w, &map->bytes, name);
    map->count++;
}

static int by_index(const void *a, const void *b)
{
    const struct symbol *left = a, *right = b;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* All names of a space, in the order of their indices. */
static void add_space(struct wat *w, struct name_map *map, const struct space *space)
{
    struct symbol *sorted = space->used ? malloc(space->used * sizeof *sorted) : NULL;
    uint32_t count = 0;
    if (space->used && !sorted) {
        wat_no_memory(w);
        return;
    }
    for (uint32_t i = 0; i < space->capacity && sorted; i++)
        if (space->slots[i].name.bytes) sorted[count++] = space->slots[i];
    if (sorted) qsort(sorted, count, sizeof *sorted, by_index);
    for (uint32_t i = 0; i < count; i++) add_name(w, map, sorted[i].index, sorted[i].name);
    free(sorted);
}

/* An entry of `outer` that is a map of its own; empty ones are left out. Empties the inner map. */
static void add_map(struct wat *w, struct name_map *outer, uint32_t index, struct name_map *inner)
{
    if (inner->count) {
        bin_unsigned(w, &outer->bytes, index);
        bin_unsigned(w, &outer->bytes, inner->count);
        bin_bytes(w, &outer->bytes, inner->bytes.data, inner->bytes.length);
        outer->count++;
    }
    inner->bytes.length = inner->count = 0;
}

/* Labels are numbered as their blocks begin. */
void names_of_label(struct wat *w, struct name name)
{
    if (name.bytes) add_name(w, &w->labels_of_function, w->blocks, name);
    w->blocks++;
}

void names_of_function(struct wat *w, uint32_t function)
{
    struct name_map locals = {0};
    add_space(w, &locals, &w->spaces[SPACE_LOCAL]);
    add_map(w, &w->local_names, function, &locals);
    add_map(w, &w->label_names, function, &w->labels_of_function);
    bin_deinit(&locals.bytes);
}

static void add_subsection(struct wat *w, struct buffer *out, unsigned id, const struct name_map *map)
{
    struct buffer count = {0};
    if (!map->count) return;
    bin_unsigned(w, &count, map->count);
    bin_byte(w, out, id);
    bin_unsigned(w, out, count.length + map->bytes.length);
    bin_bytes(w, out, count.data, count.length);
    bin_bytes(w, out, map->bytes.data, map->bytes.length);
    bin_deinit(&count);
}

static void add_module_name(struct wat *w, struct buffer *out)
{
    struct buffer name = {0};
    if (!w->module_name.bytes) return;
    bin_name(w, &name, w->module_name);
    bin_byte(w, out, NAMES_MODULE);
    bin_unsigned(w, out, name.length);
    bin_bytes(w, out, name.data, name.length);
    bin_deinit(&name);
}

static void add_space_names(struct wat *w, struct buffer *out, enum space_kind kind, unsigned id)
{
    struct name_map map = {0};
    add_space(w, &map, &w->spaces[kind]);
    add_subsection(w, out, id, &map);
    bin_deinit(&map.bytes);
}

static void add_field_names(struct wat *w, struct buffer *out)
{
    struct name_map types = {0}, fields = {0};
    for (uint32_t i = 0; i < w->type_count; i++) {
        add_space(w, &fields, &w->types[i].field_names);
        add_map(w, &types, i, &fields);
    }
    add_subsection(w, out, NAMES_FIELDS, &types);
    bin_deinit(&types.bytes);
    bin_deinit(&fields.bytes);
}

/* Subsections come in the order of their ids. */
static void add_subsections(struct wat *w, struct buffer *out)
{
    static const enum space_kind spaces[NAMES_END] = {
#define X(kind, word, names) [names] = SPACE_##kind,
        WAT_SPACES(X)
#undef X
    };
    add_module_name(w, out);
    for (unsigned id = NAMES_MODULE + 1; id < NAMES_END; id++) {
        if (id == NAMES_FIELDS)
            add_field_names(w, out);
        else if (spaces[id] == SPACE_LOCAL || spaces[id] == SPACE_LABEL)
            add_subsection(w, out, id, spaces[id] == SPACE_LOCAL ? &w->local_names : &w->label_names);
        else
            add_space_names(w, out, spaces[id], id);
    }
}

void bin_names(struct wat *w, struct buffer *out)
{
    struct buffer body = {0};
    add_subsections(w, &body);
    if (body.length) bin_custom(w, out, (struct name){"name", 4}, body.data, body.length);
    bin_deinit(&body);
}
