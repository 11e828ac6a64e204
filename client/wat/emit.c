/* client/wat/emit.c -- the binary format: bytes, LEB128, types, sections (specification 5). */
#include "base/grow.h"
#include "client/wat/assembler.h"

#include <stdlib.h>
#include <string.h>

void bin_bytes(struct wat *w, struct buffer *b, const void *bytes, size_t length)
{
    if (!GROW(b->data, b->length, length, b->capacity, 64)) {
        wat_no_memory(w);
        return;
    }
    if (length) memcpy(b->data + b->length, bytes, length);
    b->length += length;
}

void bin_byte(struct wat *w, struct buffer *b, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    bin_bytes(w, b, &value, 1);
}

void bin_unsigned(struct wat *w, struct buffer *b, uint64_t value)
{
    for (; value > 0x7F; value >>= 7) bin_byte(w, b, (unsigned)(value & 0x7F) | 0x80);
    bin_byte(w, b, (unsigned)value);
}

void bin_signed(struct wat *w, struct buffer *b, int64_t value)
{
    while (value < -64 || value > 63) {
        bin_byte(w, b, (unsigned)(value & 0x7F) | 0x80);
        value >>= 7;
    }
    bin_byte(w, b, (unsigned)(value & 0x7F));
}

void bin_little(struct wat *w, struct buffer *b, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) bin_byte(w, b, (unsigned)(value >> 8 * i) & 0xFF);
}

void bin_name(struct wat *w, struct buffer *b, struct name name)
{
    bin_unsigned(w, b, name.length);
    bin_bytes(w, b, name.bytes, name.length);
}

void bin_heaptype(struct wat *w, struct buffer *b, uint32_t ht)
{
    if (ht_is_abstract(ht))
        bin_byte(w, b, ht - HT_FIRST_ABSTRACT);
    else
        bin_signed(w, b, ht);
}

void bin_valtype(struct wat *w, struct buffer *b, valtype type)
{
    static const uint8_t codes[] = {
#define X(name, value, code, text, size) [value] = code,
        WASM_VALKINDS(X)
#undef X
    };
    if (!vt_is_ref(type)) {
        bin_byte(w, b, codes[vt_kind(type)]);
        return;
    }
    if (!vt_nullable(type))
        bin_byte(w, b, 0x64);
    else if (!ht_is_abstract(vt_heap(type)))
        bin_byte(w, b, 0x63);
    bin_heaptype(w, b, vt_heap(type));
}

void bin_opcode(struct wat *w, struct buffer *b, enum opcode op)
{
    const struct opcode_row *row = &opcode_rows[op];
    if (row->prefix) bin_byte(w, b, row->prefix);
    if (row->prefix)
        bin_unsigned(w, b, row->code);
    else
        bin_byte(w, b, row->code);
}

struct buffer *bin_entry(struct wat *w, enum section section)
{
    w->entries[section]++;
    bool places_itself = section == SECTION_TYPE || section == SECTION_CODE;
    if (!places_itself) wat_add_place(w, &w->places[section], w->sections[section].length, w->field);
    return &w->sections[section];
}

static void emit_values(struct wat *w, struct buffer *b, const valtype *values, uint32_t count)
{
    bin_unsigned(w, b, count);
    for (uint32_t i = 0; i < count; i++) bin_valtype(w, b, values[i]);
}

static void emit_comptype(struct wat *w, struct buffer *b, const struct wat_type *type)
{
    bin_byte(w, b, type->code);
    if (type->code == 0x60) {
        emit_values(w, b, type->values, type->params);
        emit_values(w, b, type->values + type->params, type->results);
        return;
    }
    if (type->code == 0x5F) bin_unsigned(w, b, type->fields);
    for (uint32_t i = 0; i < type->fields; i++) {
        bin_valtype(w, b, type->field_list[i].type);
        bin_byte(w, b, type->field_list[i].mutable);
    }
}

static void emit_subtype(struct wat *w, struct buffer *b, const struct wat_type *type)
{
    if (!type->final || type->supers) {
        bin_byte(w, b, type->final ? 0x4F : 0x50);
        bin_unsigned(w, b, type->supers);
        for (uint32_t s = 0; s < type->supers; s++) bin_unsigned(w, b, type->super_list[s]);
    }
    emit_comptype(w, b, type);
}

void bin_types(struct wat *w)
{
    for (uint32_t i = 0; i < w->group_count; i++) {
        const struct wat_group *group = &w->groups[i];
        struct buffer *b = bin_entry(w, SECTION_TYPE);
        if (group->count > 0) wat_add_place(w, &w->places[SECTION_TYPE], b->length, w->types[group->first].text);
        if (group->is_rec) bin_byte(w, b, 0x4E);
        if (group->is_rec) bin_unsigned(w, b, group->count);
        for (uint32_t t = 0; t < group->count; t++) {
            const struct wat_type *type = &w->types[group->first + t];
            wat_add_place(w, &w->places[SECTION_TYPE], b->length, type->text);
            emit_subtype(w, b, type);
        }
    }
}

static void emit_section(struct wat *w, struct buffer *out, enum section section, unsigned id)
{
    const struct buffer *body = &w->sections[section];
    struct buffer count = {0};
    bool vector = section != SECTION_START && section != SECTION_DATA_COUNT;
    if (vector) bin_unsigned(w, &count, w->entries[section]);
    if (count.length + body->length > UINT32_MAX) wat_fail(w, HEMI_LIMIT, NULL, "a section has 4 GiB or more");
    bin_byte(w, out, id);
    bin_unsigned(w, out, count.length + body->length);
    bin_bytes(w, out, count.data, count.length);
    w->starts[section] = out->length;
    bin_bytes(w, out, body->data, body->length);
    bin_deinit(&count);
}

void bin_custom(struct wat *w, struct buffer *b, struct name name, const void *bytes, size_t length)
{
    struct buffer head = {0};
    bin_name(w, &head, name);
    if (head.length + length > UINT32_MAX) wat_fail(w, HEMI_LIMIT, NULL, "a section has 4 GiB or more");
    bin_byte(w, b, 0);
    bin_unsigned(w, b, head.length + length);
    bin_bytes(w, b, head.data, head.length);
    bin_bytes(w, b, bytes, length);
    bin_deinit(&head);
}

static void append(struct wat *w, struct buffer *out, const struct buffer *bytes)
{
    bin_bytes(w, out, bytes->data, bytes->length);
}

void bin_module(struct wat *w, struct buffer *out)
{
    bin_bytes(w, out, "\0asm\1\0\0\0", 8);
#define X(name, id, word)                                                                                              \
    append(w, out, &w->customs[SECTION_##name][0]);                                                                    \
    if (w->entries[SECTION_##name]) emit_section(w, out, SECTION_##name, id);                                          \
    append(w, out, &w->customs[SECTION_##name][1]);
    WAT_SECTIONS(X)
#undef X
}

void bin_deinit(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}
