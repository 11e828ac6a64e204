/* runtime/load/segments.c -- element, data count, code and data sections (3.0, 5.5.12 to 5.5.16). */
#include "runtime/load/load.h"
#include <stdlib.h>

/* ---- Element segments */

static void read_offset(struct decoder *d, struct cursor *c, bool is64, struct const_expr *out)
{
    decode_const_expr(d, c, is64 ? VT_I64 : VT_I32, out);
}

static void read_active_table(struct decoder *d, struct cursor *c, struct elem_seg *s, uint32_t flags)
{
    const struct module *m = d->module;
    uint32_t offset = cursor_offset(c);
    s->table = flags & ELEM_EXPLICIT ? cursor_u32(c) : 0;
    if (cursor_ok(c) && s->table >= m->ntables)
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown table %u", s->table);
    if (cursor_ok(c)) read_offset(d, c, m->tables[s->table].limits.is64, &s->offset);
}

static void read_elem_type(struct decoder *d, struct cursor *c, struct elem_seg *s, uint32_t flags)
{
    uint32_t offset = cursor_offset(c);
    bool is_typed = flags & (ELEM_NOT_ACTIVE | ELEM_EXPLICIT);
    if (flags & ELEM_EXPRESSIONS) {
        s->type = is_typed ? decode_reftype(d, c) : VT_REF(true, HT_FUNC);
    } else {
        s->type = VT_REF(false, HT_FUNC);
        if (is_typed && cursor_u8(c) != 0) malformed_at(c, offset, "malformed element kind");
    }
    if (cursor_ok(c) && s->mode == SEG_ACTIVE &&
        !valtype_matches(d->engine->types, s->type, d->module->tables[s->table].type))
        invalid_at(c, offset, "type mismatch: the elements do not fit the table");
}

static void read_func_item(struct decoder *d, struct cursor *c, struct const_expr *item)
{
    uint32_t offset = cursor_offset(c), f = cursor_u32(c);
    if (!cursor_ok(c)) return;
    if (f >= d->module->nfuncs) {
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown function %u", f);
        return;
    }
    *item = (struct const_expr){
        .kind = CONST_FUNC, .type = VT_REF(false, d->module->funcs[f].type), .index = f, .offset = offset};
    func_declare(d, c, f);
}

static void read_items(struct decoder *d, struct cursor *c, struct elem_seg *s, bool expressions)
{
    uint32_t n = cursor_count(c, LIMIT_ELEM_ITEMS), cap = 0;
    if (!decoder_reserve(c, (void **)&s->items, &cap, 0, n, sizeof *s->items)) return;
    s->plain = true;
    for (; s->count < n && decoder_poll(d, c); s->count++, d->module->items++) {
        struct const_expr *item = &s->items[s->count];
        if (expressions)
            decode_const_expr(d, c, s->type, item);
        else
            read_func_item(d, c, item);
        if (item->kind != CONST_VAL && item->kind != CONST_FUNC) s->plain = false;
    }
}

static void read_elem(struct decoder *d, struct cursor *c, struct elem_seg *s)
{
    uint32_t offset = cursor_offset(c), flags = cursor_u32(c);
    *s = (struct elem_seg){0};
    if (flags > 7) cursor_foreign(c, offset, MARK_SEGMENT, flags, "malformed elements segment kind");
    if (!(flags & ELEM_NOT_ACTIVE)) {
        s->mode = SEG_ACTIVE;
        read_active_table(d, c, s, flags);
    } else {
        s->mode = flags & ELEM_EXPLICIT ? SEG_DECLARED : SEG_PASSIVE;
    }
    if (!cursor_ok(c)) return;
    read_elem_type(d, c, s, flags);
    read_items(d, c, s, flags & ELEM_EXPRESSIONS);
}

void decode_elems(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t n = cursor_count(c, LIMIT_ELEM_SEGMENTS), cap = 0;
    if (!decoder_reserve(c, (void **)&m->elems, &cap, 0, n, sizeof *m->elems)) return;
    while (m->nelems < n && decoder_poll(d, c)) {
        read_elem(d, c, &m->elems[m->nelems]);
        m->nelems++;
    }
}

/* ---- Data segments */

void decode_data_count(struct decoder *d, struct cursor *c)
{
    uint32_t offset = cursor_offset(c);
    d->ndata = cursor_u32(c);
    d->has_data_count = true;
    cursor_limit(c, offset, LIMIT_DATA_SEGMENTS, d->ndata);
}

static void read_data(struct decoder *d, struct cursor *c, struct data_seg *s)
{
    const struct module *m = d->module;
    uint32_t offset = cursor_offset(c), flags = cursor_u32(c);
    *s = (struct data_seg){0};
    if (flags > DATA_EXPLICIT) cursor_foreign(c, offset, MARK_SEGMENT, flags, "malformed data segment kind");
    s->mode = flags == DATA_PASSIVE ? SEG_PASSIVE : SEG_ACTIVE;
    s->memory = flags == DATA_EXPLICIT ? cursor_u32(c) : 0;
    if (cursor_ok(c) && s->mode == SEG_ACTIVE && s->memory >= m->nmemories)
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown memory %u", s->memory);
    if (cursor_ok(c) && s->mode == SEG_ACTIVE) read_offset(d, c, m->memories[s->memory].limits.is64, &s->offset);
    s->size = cursor_u32(c);
    s->bytes = cursor_bytes(c, s->size);
}

void decode_datas(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t offset = cursor_offset(c), n = cursor_count(c, LIMIT_DATA_SEGMENTS), cap = 0;
    d->has_data = true;
    if (cursor_ok(c) && d->has_data_count && n != d->ndata)
        malformed_at(c, offset, "data count and data section have inconsistent lengths");
    if (!decoder_reserve(c, (void **)&m->datas, &cap, 0, n, sizeof *m->datas)) return;
    while (m->ndatas < n && decoder_poll(d, c)) {
        read_data(d, c, &m->datas[m->ndatas]);
        m->ndatas++;
    }
}

/* ---- Code */

static void read_code(struct decoder *d, struct cursor *c, uint32_t func)
{
    struct module *m = d->module;
    uint32_t offset = cursor_offset(c), size = cursor_u32(c);
    if (!cursor_limit(c, offset, LIMIT_FUNCTION_BYTES, size)) return;
    offset = cursor_offset(c);
    struct cursor body = cursor_sub(c, size);
    if (cursor_ok(c)) {
        m->funcs[func].body_offset = offset;
        m->funcs[func].body_size = size;
        validate_function(d->validator, func, body, body.end == c->end);
    }
    if (cursor_ok(c)) return;
    d->err->has_func = true;
    d->err->func = func;
}

void decode_code(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t offset = cursor_offset(c), n = cursor_u32(c);
    d->has_code = true;
    if (cursor_ok(c) && n != m->nfuncs - m->nimported_funcs)
        malformed_at(c, offset, "function and code section have inconsistent lengths");
    if (!decoder_code_begin(d, c)) return;
    m->code = engine_zeroed(d->engine, (m->nfuncs + (size_t)1) * sizeof *m->code);
    if (!m->code) cursor_fail(c, HEMI_NO_MEMORY, offset, "no memory for %u functions", m->nfuncs);
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) read_code(d, c, m->nimported_funcs + i);
}
