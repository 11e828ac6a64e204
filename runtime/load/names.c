/* runtime/load/names.c -- the module's name and its functions' out of the custom section "name" (3.0, A.4.1), or out
 * of the exports. Nothing in that section can make a module invalid, so what is malformed is passed over: what a
 * subsection says before its first error counts, and so do the subsections after it. */
#include "runtime/load/load.h"
#include <stdlib.h>
#include <string.h>

enum { SUBSECTION_MODULE = 0, SUBSECTION_FUNCTIONS = 1, NAMES_PER_POLL = 4096 };

static bool have_names(struct module *m)
{
    if (!m->func_names) m->func_names = engine_zeroed(m->engine, m->nfuncs * sizeof *m->func_names);
    return m->func_names != NULL;
}

static enum hemi_status read_function_names(struct engine *e, struct module *m, struct cursor *c)
{
    uint32_t n = cursor_u32(c);
    if (!have_names(m)) return HEMI_NO_MEMORY;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t func = cursor_u32(c);
        struct name name = cursor_name(c);
        if (!cursor_ok(c)) break;
        if (func < m->nfuncs) m->func_names[func] = name;
        enum hemi_status status = i % NAMES_PER_POLL == NAMES_PER_POLL - 1 ? engine_poll(e) : HEMI_OK;
        if (status != HEMI_OK) return status;
    }
    return HEMI_OK;
}

static enum hemi_status read_subsection(struct engine *e, struct module *m, uint8_t id, struct cursor *c)
{
    if (id == SUBSECTION_FUNCTIONS) return read_function_names(e, m, c);
    if (id == SUBSECTION_MODULE) m->own_name = cursor_name(c);
    return HEMI_OK;
}

/* They come in increasing order, each at most once: what does not is not read. */
static enum hemi_status read_subsections(struct engine *e, struct module *m, struct cursor *c)
{
    for (int last = -1; cursor_ok(c) && c->at < c->end;) {
        uint8_t id = cursor_u8(c);
        uint32_t size = cursor_u32(c);
        struct cursor sub = cursor_sub(c, size);
        enum hemi_status status = cursor_ok(c) && id > last ? read_subsection(e, m, id, &sub) : HEMI_OK;
        if (status != HEMI_OK) return status;
        if (id > last) last = id;
        if (cursor_left(c) > 0) c->err->status = HEMI_OK; /* the error of a subsection ends that one only */
    }
    return HEMI_OK;
}

static bool is_name_section(struct cursor *c)
{
    struct name name = cursor_name(c);
    return cursor_ok(c) && name.len == 4 && memcmp(name.at, "name", 4) == 0;
}

/* Now, not when a trace asks: there it would cost the number of exports for each frame. */
static enum hemi_status name_exports(struct engine *e, struct module *m)
{
    for (uint32_t i = 0; i < m->nexports; i++) {
        const struct export *x = &m->exports[i];
        enum hemi_status status = i % NAMES_PER_POLL == NAMES_PER_POLL - 1 ? engine_poll(e) : HEMI_OK;
        if (status != HEMI_OK) return status;
        if (x->kind != EXTERN_FUNC) continue;
        if (!have_names(m)) return HEMI_NO_MEMORY;
        if (m->func_names[x->index].at == NULL) m->func_names[x->index] = x->name;
    }
    return HEMI_OK;
}

static enum hemi_status read_name_section(struct engine *e, struct module *m)
{
    struct rt_error ignored = {.status = HEMI_OK};
    struct cursor c = {
        .base = m->bytes, .at = m->bytes + 8, .end = m->bytes + m->size, .err = &ignored, .end_text = ""};
    while (cursor_ok(&c) && c.at < c.end) {
        uint8_t id = cursor_u8(&c);
        uint32_t size = cursor_u32(&c);
        struct cursor section = cursor_sub(&c, size);
        if (id == 0 && cursor_ok(&c) && is_name_section(&section)) return read_subsections(e, m, &section);
        /* A custom section with a bad name is skipped like any other. */
        if (cursor_left(&c) > 0) ignored.status = HEMI_OK;
    }
    return HEMI_OK;
}

enum hemi_status decode_names(struct engine *e, struct module *m)
{
    if (m->size < 8 || m->nfuncs == 0) return HEMI_OK;
    enum hemi_status status = read_name_section(e, m);
    return status == HEMI_OK ? name_exports(e, m) : status;
}
