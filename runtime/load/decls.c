/* runtime/load/decls.c -- the sections that declare: imports, functions, tables, memories, tags, globals, exports,
 * start (3.0, 5.5.5 to 5.5.11). */
#include "runtime/load/load.h"
#include <stdlib.h>
#include <string.h>

/* ---- Types of declarations */

/* `bound` is what a 32-bit and a 64-bit one may have at most. */
static struct limits read_limits(struct cursor *c, enum proposal_place place, uint64_t bound32, uint64_t bound64,
                                 const char *text)
{
    uint32_t offset = cursor_offset(c);
    uint8_t flags = cursor_u8(c);
    if (flags & ~(LIMITS_MAX | LIMITS_64)) cursor_foreign(c, offset, place, flags, "malformed limits flags");
    struct limits l = {.has_max = flags & LIMITS_MAX, .is64 = (flags & LIMITS_64) != 0, .max = UINT64_MAX};
    l.min = cursor_u64(c);
    if (l.has_max) l.max = cursor_u64(c);
    uint64_t bound = l.is64 ? bound64 : bound32;
    if (l.min > bound || (l.has_max && l.max > bound)) invalid_at(c, offset, text);
    if (l.min > l.max) invalid_at(c, offset, "size minimum must not be greater than maximum");
    return l;
}

static struct limits read_memory_limits(struct cursor *c)
{
    return read_limits(c, MARK_MEMORY_LIMITS, 1u << 16, 1ull << 48, "memory size must be at most 65536 pages (4 GiB)");
}

static struct limits read_table_limits(struct cursor *c)
{
    return read_limits(c, MARK_TABLE_LIMITS, UINT32_MAX, UINT64_MAX, "table size");
}

static valtype read_global_type(struct decoder *d, struct cursor *c, bool *mut)
{
    valtype t = decode_valtype(d, c);
    uint32_t offset = cursor_offset(c);
    uint8_t byte = cursor_u8(c);
    if (byte > 1) cursor_foreign(c, offset, MARK_MUTABILITY, byte, "malformed mutability");
    *mut = byte == 1;
    return t;
}

/* ---- Adding one to an index space. Limits count imports, too. */

#define ADD(d, c, array, n, cap, limit)                                                                                \
    (cursor_limit(c, cursor_offset(c), limit, (uint64_t)(n) + 1) &&                                                    \
     decoder_reserve(c, (void **)&(array), &(cap), n, 1, sizeof *(array)))

static void add_func(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t type = decode_typeidx(d, c, TYPE_FUNC);
    if (ADD(d, c, m->funcs, m->nfuncs, d->cap_funcs, LIMIT_FUNCTIONS))
        m->funcs[m->nfuncs++] = (struct func_decl){.type = type};
}

static void add_table(struct decoder *d, struct cursor *c, bool has_init)
{
    struct module *m = d->module;
    struct table_decl t = {.type = decode_reftype(d, c), .has_init = has_init};
    t.limits = read_table_limits(c);
    if (has_init) decode_const_expr(d, c, t.type, &t.init);
    if (ADD(d, c, m->tables, m->ntables, d->cap_tables, LIMIT_TABLES)) m->tables[m->ntables++] = t;
}

static void add_memory(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    struct memory_decl mem = {.limits = read_memory_limits(c)};
    if (ADD(d, c, m->memories, m->nmemories, d->cap_memories, LIMIT_MEMORIES)) m->memories[m->nmemories++] = mem;
}

static void add_global(struct decoder *d, struct cursor *c, bool imported)
{
    struct module *m = d->module;
    struct global_decl g = {0};
    g.type = read_global_type(d, c, &g.mut);
    if (!imported) decode_const_expr(d, c, g.type, &g.init);
    if (ADD(d, c, m->globals, m->nglobals, d->cap_globals, LIMIT_GLOBALS)) m->globals[m->nglobals++] = g;
}

static void add_tag(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t offset = cursor_offset(c);
    if (cursor_u8(c) != 0) malformed_at(c, offset, "malformed tag attribute");
    uint32_t type = decode_typeidx(d, c, TYPE_FUNC);
    if (cursor_ok(c) && d->engine->types->rtypes[type].nresults > 0)
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "non-empty tag result type" PROPOSAL_REMARK,
                    proposal_text(PROPOSAL_STACK_SWITCHING));
    if (ADD(d, c, m->tags, m->ntags, d->cap_tags, LIMIT_TAGS)) m->tags[m->ntags++] = type;
}

/* Room for those that a section declares, at once: what has grown is copied again and again. */
#define EXPECT(c, array, n, cap, more) decoder_reserve(c, (void **)&(array), &(cap), n, more, sizeof *(array))

/* ---- Sections */

static void read_import(struct decoder *d, struct cursor *c, struct import *i)
{
    struct module *m = d->module;
    *i = (struct import){.module = cursor_name(c)};
    i->name = cursor_name(c);
    uint32_t offset = cursor_offset(c);
    i->kind = cursor_u8(c);
    switch (i->kind) {
    case EXTERN_FUNC:
        add_func(d, c);
        i->index = m->nimported_funcs++;
        break;
    case EXTERN_TABLE:
        add_table(d, c, false);
        i->index = m->nimported_tables++;
        break;
    case EXTERN_MEMORY:
        add_memory(d, c);
        i->index = m->nimported_memories++;
        break;
    case EXTERN_GLOBAL:
        add_global(d, c, true);
        i->index = m->nimported_globals++;
        break;
    case EXTERN_TAG:
        add_tag(d, c);
        i->index = m->nimported_tags++;
        break;
    default:
        cursor_foreign(c, offset, MARK_IMPORT, i->kind, "malformed import kind");
    }
}

void decode_imports(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t n = cursor_count(c, LIMIT_IMPORTS), cap = 0;
    if (!decoder_reserve(c, (void **)&m->imports, &cap, 0, n, sizeof *m->imports)) return;
    while (m->nimports < n && decoder_poll(d, c)) {
        read_import(d, c, &m->imports[m->nimports]);
        m->nimports++;
    }
}

void decode_functions(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t n = cursor_count(c, LIMIT_FUNCTIONS);
    if (!EXPECT(c, m->funcs, m->nfuncs, d->cap_funcs, n)) return;
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) add_func(d, c);
}

static void read_table(struct decoder *d, struct cursor *c)
{
    uint32_t offset = cursor_offset(c);
    bool has_init = c->at < c->end && *c->at == BYTE_TABLE_INIT;
    if (has_init) {
        c->at++;
        if (cursor_u8(c) != 0) malformed_at(c, offset, "malformed table: zero byte expected");
    }
    add_table(d, c, has_init);
    const struct module *m = d->module;
    if (cursor_ok(c) && !has_init && !valtype_defaultable(m->tables[m->ntables - 1].type))
        invalid_at(c, offset, "type mismatch: a table of non-nullable references needs an initial value");
}

void decode_tables(struct decoder *d, struct cursor *c)
{
    uint32_t n = cursor_count(c, LIMIT_TABLES);
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) read_table(d, c);
}

void decode_memories(struct decoder *d, struct cursor *c)
{
    uint32_t n = cursor_count(c, LIMIT_MEMORIES);
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) add_memory(d, c);
}

void decode_tags(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t n = cursor_count(c, LIMIT_TAGS);
    if (!EXPECT(c, m->tags, m->ntags, d->cap_tags, n)) return;
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) add_tag(d, c);
}

void decode_globals(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t n = cursor_count(c, LIMIT_GLOBALS);
    if (!EXPECT(c, m->globals, m->nglobals, d->cap_globals, n)) return;
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) add_global(d, c, false);
}

void decode_start(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t offset = cursor_offset(c), f = cursor_u32(c);
    if (!cursor_ok(c)) return;
    if (f >= m->nfuncs) {
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown function %u: start function", f);
        return;
    }
    const struct rtype *t = types_get(d->engine->types, m->funcs[f].type);
    if (t->nparams + t->nresults > 0) invalid_at(c, offset, "start function must have no parameters and no results");
    m->start = f;
}

/* ---- Exports */

static void check_export(struct decoder *d, struct cursor *c, const struct export *x, uint32_t offset)
{
    const struct module *m = d->module;
    const struct {
        uint32_t count;
        const char *text;
    } spaces[] = {[EXTERN_FUNC] = {m->nfuncs, "function"},
                  [EXTERN_TABLE] = {m->ntables, "table"},
                  [EXTERN_MEMORY] = {m->nmemories, "memory"},
                  [EXTERN_GLOBAL] = {m->nglobals, "global"},
                  [EXTERN_TAG] = {m->ntags, "tag"}};
    if (!cursor_ok(c)) return;
    if (x->kind > EXTERN_TAG) {
        malformed_at(c, offset, "malformed export kind");
    } else if (x->index >= spaces[x->kind].count) {
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown %s %u: export \"%.*s\"", spaces[x->kind].text, x->index,
                    (int)(x->name.len < 80 ? x->name.len : 80), x->name.at);
    } else if (x->kind == EXTERN_FUNC) {
        func_declare(d, c, x->index);
    }
}

static void read_export(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    struct export *x = &m->exports[m->nexports];
    uint32_t start = cursor_offset(c);
    x->name = cursor_name(c);
    uint32_t offset = cursor_offset(c);
    x->kind = cursor_u8(c);
    x->index = cursor_u32(c);
    check_export(d, c, x, offset);
    if (!cursor_ok(c)) return;
    if (name_set_add(&m->export_names, m->exports, m->nexports))
        m->nexports++;
    else
        cursor_fail(c, HEMI_INVALID_MODULE, start, "duplicate export name \"%.*s\"",
                    (int)(x->name.len < 80 ? x->name.len : 80), x->name.at);
}

void decode_exports(struct decoder *d, struct cursor *c)
{
    struct module *m = d->module;
    uint32_t n = cursor_count(c, LIMIT_EXPORTS), cap = 0;
    if (!decoder_reserve(c, (void **)&m->exports, &cap, 0, n, sizeof *m->exports)) return;
    if (!name_set_init(&m->export_names, n, d->engine)) {
        cursor_fail(c, HEMI_NO_MEMORY, cursor_offset(c), "declaring exports");
        return;
    }
    while (m->nexports < n && decoder_poll(d, c)) read_export(d, c);
}
