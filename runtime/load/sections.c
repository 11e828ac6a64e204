/* runtime/load/sections.c -- a module's sections in their order. */
#include "proto/tables/files.h"
#include "runtime/load/load.h"
#include <stdio.h>
#include <string.h>

/* Rows in the order in which sections must come: id, function. */
#define SECTIONS(X)                                                                                                    \
    X(1, decode_types)                                                                                                 \
    X(2, decode_imports)                                                                                               \
    X(3, decode_functions)                                                                                             \
    X(4, decode_tables)                                                                                                \
    X(5, decode_memories)                                                                                              \
    X(13, decode_tags)                                                                                                 \
    X(6, decode_globals)                                                                                               \
    X(7, decode_exports)                                                                                               \
    X(8, decode_start)                                                                                                 \
    X(9, decode_elems)                                                                                                 \
    X(12, decode_data_count)                                                                                           \
    X(10, decode_code)                                                                                                 \
    X(11, decode_datas)

static const struct {
    uint8_t id;
    void (*read)(struct decoder *d, struct cursor *c);
} sections[] = {
#define X(number, function) {number, function},
    SECTIONS(X)
#undef X
};

/* Its place in the order; false: no such section, or out of order. */
static bool section_rank(struct decoder *d, struct cursor *c, uint8_t id, uint32_t offset)
{
    uint32_t rank = 0, count = sizeof sections / sizeof *sections;
    while (rank < count && sections[rank].id != id) rank++;
    if (rank == count) {
        char text[40];
        snprintf(text, sizeof text, "malformed section id: %u", id);
        cursor_foreign(c, offset, MARK_SECTION, id, text);
    } else if (rank < d->last_rank) {
        cursor_malformed(c, offset, "unexpected content after last section: section %u out of order", id);
    } else {
        d->last_rank = rank + 1;
    }
    return cursor_ok(c);
}

bool decode_section_head(struct decoder *d, struct cursor *c, uint8_t *id, struct cursor *section)
{
    if (!cursor_ok(c) || c->at == c->end) return false;
    uint32_t offset = cursor_offset(c);
    *id = cursor_u8(c);
    uint32_t size = cursor_u32(c);
    if (!cursor_ok(c)) return false;
    *section = cursor_sub(c, size);
    return cursor_ok(c) && (*id == SECTION_CUSTOM || section_rank(d, c, *id, offset));
}

static void refuse_file(struct cursor *c)
{
    size_t left = cursor_left(c);
    const char *error = left < 4 ? "unexpected end" : "magic header not detected";
    const char *file = left > 0 ? file_not_binary(c->at, left) : "empty";
    cursor_malformed(c, 0, file ? "%s: not WebAssembly, but %s" : "%s: not WebAssembly", error, file);
}

static void refuse_version(struct cursor *c, uint32_t version, uint32_t layer)
{
    char text[64];
    snprintf(text, sizeof text, layer ? "unknown binary version %u, layer %u: no module" : "unknown binary version %u",
             version, layer);
    cursor_foreign(c, 4, MARK_LAYER, layer, text);
}

static void decode_header(struct cursor *c)
{
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    if (cursor_left(c) < 4 || memcmp(c->at, magic, 4) != 0) {
        refuse_file(c);
        return;
    }
    c->at += 4;
    if (cursor_left(c) < 4) {
        malformed_at(c, 4, "unexpected end");
        return;
    }
    uint32_t version = (uint32_t)cursor_fixed(c, 2), layer = (uint32_t)cursor_fixed(c, 2);
    if (version != 1 || layer != 0) refuse_version(c, version, layer);
}

/* What only the whole module shows. */
static void decode_finish(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    if (!cursor_ok(c)) return;
    if (!d->has_code && m->nfuncs > m->nimported_funcs)
        malformed_at(c, cursor_offset(c), "function and code section have inconsistent lengths");
    if (d->has_data_count && !d->has_data && d->ndata > 0)
        malformed_at(c, cursor_offset(c), "data count and data section have inconsistent lengths");
}

bool decode_module(struct decoder *d)
{
    struct module *m = d->module;
    struct cursor c = {
        .base = m->bytes, .at = m->bytes, .end = m->bytes + m->size, .err = d->err, .end_text = "unexpected end"};
    m->start = UINT32_MAX;
    d->poll_at = DECODE_POLL_BYTES;
    decode_header(&c);
    uint8_t id;
    struct cursor section;
    while (decode_section_head(d, &c, &id, &section)) {
        if (id == SECTION_CUSTOM) { /* only its name is checked */
            cursor_name(&section);
        } else {
            sections[d->last_rank - 1].read(d, &section);
            cursor_done(&section, "section size mismatch");
        }
        decoder_poll(d, &c);
    }
    decode_finish(d, &c);
    return cursor_ok(&c);
}
