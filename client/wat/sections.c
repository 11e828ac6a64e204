/* client/wat/sections.c -- pass 1 of the disassembler: where the sections are, and how much each index space has. */
#include "base/grow.h"
#include "client/wat/disassembler.h"

#include <stdlib.h>
#include <string.h>

bool dis_ok(const struct dis *d) { return d->status == HEMI_OK && input_ok(&d->in) && d->out.status == HEMI_OK; }

void dis_fail(struct dis *d, const uint8_t *where, const char *message) { input_fail(&d->in, where, message); }

void dis_foreign(struct dis *d, const uint8_t *where, enum proposal_place place, uint32_t code, const char *message)
{
    input_foreign(&d->in, where, place, code, message);
}

bool dis_grow(struct dis *d, void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t room = *capacity;
    if (!grow_array(list, size, &room, room + 1, 16, UINT32_MAX)) {
        d->status = HEMI_NO_MEMORY;
        return false;
    }
    *capacity = (uint32_t)room;
    return true;
}

bool dis_begin_section(struct dis *d, enum section section)
{
    if (!dis_ok(d) || !d->sections[section].bytes) return false;
    d->in = input_of(d->sections[section]);
    return true;
}

void dis_end_section(struct dis *d)
{
    if (input_left(&d->in)) dis_fail(d, d->in.at, "section size mismatch");
}

/* ---- types: what functions' parameters are */

static void skip_values(struct dis *d, uint32_t count)
{
    for (; count > 0 && dis_ok(d); count--) dis_valtype(d);
}

static void read_field(struct dis *d)
{
    dis_storage_type(d);
    uint8_t mutable = input_byte(&d->in);
    if (mutable > 1) dis_foreign(d, d->in.at - 1, MARK_MUTABILITY, mutable, "malformed mutability");
}

static void read_comptype(struct dis *d, struct dis_type *type)
{
    const uint8_t *start = d->in.at;
    type->code = input_byte(&d->in);
    if (type->code == 0x60) {
        type->params = d->in.at;
        type->count = input_count(&d->in, 1);
        skip_values(d, type->count);
        skip_values(d, input_count(&d->in, 1));
        type->end = d->in.at;
    } else if (type->code == 0x5F) {
        type->count = input_count(&d->in, 2);
        for (uint32_t i = 0; i < type->count && dis_ok(d); i++) read_field(d);
    } else if (type->code == 0x5E) {
        read_field(d);
    } else {
        dis_foreign(d, start, MARK_TYPE, type->code, "malformed definition type");
    }
}

static void read_subtype(struct dis *d)
{
    struct dis_type type = {0};
    uint8_t code = input_peek(&d->in);
    if (code == 0x50 || code == 0x4F) {
        input_byte(&d->in);
        for (uint32_t left = input_count(&d->in, 1); left > 0 && dis_ok(d); left--) input_u32(&d->in);
    }
    read_comptype(d, &type);
    if (dis_grow(d, &d->types, d->type_count, &d->type_capacity, sizeof *d->types)) d->types[d->type_count++] = type;
}

static void read_types(struct dis *d)
{
    if (!dis_begin_section(d, SECTION_TYPE)) return;
    for (uint32_t left = input_count(&d->in, 2); left > 0 && dis_ok(d); left--) {
        uint32_t members = 1;
        if (input_peek(&d->in) == 0x4E) {
            input_byte(&d->in);
            members = input_count(&d->in, 2);
        }
        for (; members > 0 && dis_ok(d); members--) read_subtype(d);
    }
    dis_end_section(d);
    d->counts[SPACE_TYPE] = d->type_count;
}

/* ---- index spaces */

void dis_skip_limits(struct dis *d)
{
    uint8_t flags = input_byte(&d->in);
    input_u64(&d->in);
    if (flags & 1) input_u64(&d->in);
}

static void skip_import(struct dis *d)
{
    static const enum space_kind spaces[] = {SPACE_FUNC, SPACE_TABLE, SPACE_MEMORY, SPACE_GLOBAL, SPACE_TAG};
    input_name(&d->in);
    input_name(&d->in);
    uint8_t kind = input_byte(&d->in);
    if (kind == EXTERN_TABLE || kind == EXTERN_GLOBAL) dis_valtype(d);
    if (kind == EXTERN_TABLE || kind == EXTERN_MEMORY)
        dis_skip_limits(d);
    else if (kind == EXTERN_GLOBAL || kind == EXTERN_TAG)
        input_byte(&d->in);
    if (kind == EXTERN_FUNC || kind == EXTERN_TAG) input_u32(&d->in);
    if (kind > EXTERN_TAG)
        dis_foreign(d, d->in.at - 1, MARK_IMPORT, kind, "malformed import kind");
    else
        d->imported[spaces[kind]]++;
}

static uint32_t section_count(struct dis *d, enum section section)
{
    return dis_begin_section(d, section) ? input_count(&d->in, 1) : 0;
}

static void count_spaces(struct dis *d)
{
    static const struct {
        enum section section;
        enum space_kind space;
    } rows[] = {
        {SECTION_FUNC, SPACE_FUNC}, {SECTION_TABLE, SPACE_TABLE},   {SECTION_MEMORY, SPACE_MEMORY},
        {SECTION_TAG, SPACE_TAG},   {SECTION_GLOBAL, SPACE_GLOBAL}, {SECTION_ELEM, SPACE_ELEM},
        {SECTION_DATA, SPACE_DATA},
    };
    for (uint32_t left = section_count(d, SECTION_IMPORT); left > 0 && dis_ok(d); left--) skip_import(d);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        d->counts[rows[i].space] = d->imported[rows[i].space] + section_count(d, rows[i].section);
}

/* Sections that must agree in length. */
static void check_counts(struct dis *d)
{
    uint32_t functions = section_count(d, SECTION_FUNC), bodies = section_count(d, SECTION_CODE);
    if (functions != bodies && dis_ok(d))
        dis_fail(d, d->sections[SECTION_CODE].bytes ? d->sections[SECTION_CODE].bytes : d->bytes + d->size,
                 "function and code section have inconsistent lengths");
    if (!dis_begin_section(d, SECTION_DATA_COUNT)) return;
    const uint8_t *start = d->in.at;
    if (input_u32(&d->in) != d->counts[SPACE_DATA])
        dis_fail(d, start, "data count and data section have inconsistent lengths");
    dis_end_section(d);
}

/* ---- sections */

static int section_of(uint8_t id)
{
    static const uint8_t ids[] = {
#define X(name, id, word) id,
        WAT_SECTIONS(X)
#undef X
    };
    for (int i = 0; i < SECTION_COUNT; i++)
        if (ids[i] == id) return i;
    return -1;
}

static void found_custom(struct dis *d, struct slice content, int after)
{
    struct input in = input_of(content);
    struct dis_custom custom = {.after = after, .name = input_name(&in)};
    custom.bytes = input_take(&in, input_left(&in));
    if (!input_ok(&in))
        dis_fail(d, in.failed_at, in.message);
    else if (dis_grow(d, &d->customs, d->custom_count, &d->custom_capacity, sizeof *d->customs))
        d->customs[d->custom_count++] = custom;
}

static void find_section(struct dis *d, int *last)
{
    const uint8_t *start = d->in.at;
    uint8_t id = input_byte(&d->in);
    struct slice content = input_take(&d->in, input_u32(&d->in));
    if (!input_ok(&d->in)) return;
    int section = section_of(id);
    if (id == 0) {
        found_custom(d, content, *last);
    } else if (section <= *last) {
        dis_foreign(d, start, MARK_SECTION, id, section < 0 ? "malformed section id" : "unexpected section");
    } else {
        *last = section;
        d->sections[section] = content;
    }
}

bool dis_is_name_section(const struct dis_custom *custom)
{
    return custom->name.length == 4 && memcmp(custom->name.bytes, "name", 4) == 0;
}

void dis_find_sections(struct dis *d)
{
    int last = -1;
    d->in = input_of((struct slice){d->bytes, d->size});
    if (d->size < 8 || memcmp(d->bytes, "\0asm\1\0\0\0", 8) != 0)
        dis_foreign(d, d->bytes, MARK_LAYER, d->size < 8 ? 0 : d->bytes[6], "not a binary module of version 1");
    else
        d->in.at += 8;
    while (input_left(&d->in) && dis_ok(d)) find_section(d, &last);
    read_types(d);
    count_spaces(d);
    check_counts(d);
    bool named = false;
    for (uint32_t i = 0; i < d->custom_count && dis_ok(d); i++) {
        if (named || d->no_names || !dis_is_name_section(&d->customs[i])) continue;
        names_read(d, d->customs[i].bytes);
        named = true;
    }
}
