/* runtime/binary/types.c -- value types, heap types, and the type section with its recursion groups (3.0, 5.3, 5.5.4).
 */
#include "runtime/binary/decoder.h"
#include <stdlib.h>

/* ---- Types where they are used */

/* The abstract heap type that a byte stands for, or HT_BOT. */
static uint32_t heaptype_of_byte(uint8_t byte)
{
    switch (byte) {
#define X(name, code, text, top, bottom)                                                                               \
    case code:                                                                                                         \
        return HT_##name;
        WASM_HEAPTYPES(X)
#undef X
    default:
        return HT_BOT;
    }
}

valtype valtype_of_byte(uint8_t byte)
{
    switch (byte) {
    case 0x7F:
        return VT_I32;
    case 0x7E:
        return VT_I64;
    case 0x7D:
        return VT_F32;
    case 0x7C:
        return VT_F64;
    case 0x7B:
        return VT_V128;
    default: {
        uint32_t heap = heaptype_of_byte(byte);
        return heap == HT_BOT ? VT_BOT : VT_REF(true, heap);
    }
    }
}

uint32_t decode_type_id(struct decoder *d, struct cursor *c, uint64_t local, uint32_t offset)
{
    if (local < d->module->ntypes) return d->module->types[local];
    if (local - d->rec_start < d->rec_count) return TYPE_REC((uint32_t)local - d->rec_start);
    if (cursor_ok(c)) cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown type %llu", (unsigned long long)local);
    return 0;
}

uint32_t decode_heaptype(struct decoder *d, struct cursor *c, uint32_t *local)
{
    uint32_t offset = cursor_offset(c);
    int64_t code = cursor_s33(c);
    *local = UINT32_MAX;
    if (code >= 0) {
        *local = (uint32_t)code;
        return decode_type_id(d, c, (uint64_t)code, offset);
    }
    uint32_t heap = code >= -64 ? heaptype_of_byte((uint8_t)(code & 0x7F)) : HT_BOT;
    if (heap == HT_BOT) cursor_foreign(c, offset, MARK_TYPE, (uint32_t)code & 0x7F, "malformed heap type");
    return heap;
}

static valtype decode_long_ref(struct decoder *d, struct cursor *c, bool nullable)
{
    uint32_t local, heap = decode_heaptype(d, c, &local);
    return VT_REF(nullable, heap);
}

static valtype decode_any_type(struct decoder *d, struct cursor *c, const char *error)
{
    uint32_t offset = cursor_offset(c);
    uint8_t byte = cursor_u8(c);
    if (byte == BYTE_REF || byte == BYTE_REF_NULL) return decode_long_ref(d, c, byte == BYTE_REF_NULL);
    valtype t = valtype_of_byte(byte);
    if (t == VT_BOT) cursor_foreign(c, offset, MARK_TYPE, byte, error);
    return t;
}

valtype decode_valtype(struct decoder *d, struct cursor *c) { return decode_any_type(d, c, "malformed value type"); }

valtype decode_reftype(struct decoder *d, struct cursor *c)
{
    uint32_t offset = cursor_offset(c);
    valtype t = decode_any_type(d, c, "malformed reference type");
    if (!vt_is_ref(t)) malformed_at(c, offset, "malformed reference type");
    return t;
}

uint32_t decode_typeidx(struct decoder *d, struct cursor *c, enum type_kind kind)
{
    uint32_t offset = cursor_offset(c), local = cursor_u32(c);
    uint32_t id = decode_type_id(d, c, local, offset);
    if (cursor_ok(c) && d->engine->types->rtypes[id].kind != kind)
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown type %u: not of the kind wanted here", local);
    return cursor_ok(c) ? id : 0;
}

/* ---- The type section. The parts of one group's definitions are gathered in growing arrays, reused by the next. */

struct group {
    struct type_def *defs;
    valtype *vals;
    struct field *fields;
    uint32_t *starts; /* where vals or fields of defs[i] begin, in those here */
    uint8_t *depths;  /* supertypes above defs[i] */
    uint32_t cap_defs, nvals, cap_vals, nfields, cap_fields, cap_starts, cap_depths;
};

static uint32_t read_vals(struct decoder *d, struct cursor *c, struct group *g, enum wasm_limit limit)
{
    uint32_t n = cursor_count(c, limit);
    if (!decoder_reserve(c, (void **)&g->vals, &g->cap_vals, g->nvals, n, sizeof *g->vals)) return 0;
    for (uint32_t i = 0; i < n; i++) g->vals[g->nvals++] = decode_valtype(d, c);
    return n;
}

static struct field read_field(struct decoder *d, struct cursor *c)
{
    struct field f = {0};
    uint8_t byte = c->at < c->end ? *c->at : 0;
    if (byte == BYTE_I8 || byte == BYTE_I16) {
        f.type = byte == BYTE_I8 ? VT_I8 : VT_I16;
        c->at++;
    } else {
        f.type = decode_valtype(d, c);
    }
    uint32_t offset = cursor_offset(c);
    uint8_t mut = cursor_u8(c);
    if (mut > 1) cursor_foreign(c, offset, MARK_MUTABILITY, mut, "malformed mutability");
    f.mut = mut == 1;
    return f;
}

static uint32_t read_fields(struct decoder *d, struct cursor *c, struct group *g, uint32_t n)
{
    if (!decoder_reserve(c, (void **)&g->fields, &g->cap_fields, g->nfields, n, sizeof *g->fields)) return 0;
    for (uint32_t i = 0; i < n; i++) g->fields[g->nfields++] = read_field(d, c);
    return n;
}

static void read_composite(struct decoder *d, struct cursor *c, struct group *g, struct type_def *def, uint32_t *start)
{
    uint32_t offset = cursor_offset(c);
    uint8_t code = cursor_u8(c);
    switch (code) {
    case BYTE_FUNC:
        def->kind = TYPE_FUNC;
        *start = g->nvals;
        def->nparams = read_vals(d, c, g, LIMIT_PARAMS);
        def->nresults = read_vals(d, c, g, LIMIT_RESULTS);
        break;
    case BYTE_STRUCT:
        def->kind = TYPE_STRUCT;
        *start = g->nfields;
        def->nfields = read_fields(d, c, g, cursor_count(c, LIMIT_FIELDS));
        break;
    case BYTE_ARRAY:
        def->kind = TYPE_ARRAY;
        *start = g->nfields;
        def->nfields = read_fields(d, c, g, 1);
        break;
    default:
        cursor_foreign(c, offset, MARK_TYPE, code, "malformed composite type");
    }
}

/* Type i of the group has one supertype more above it than its own: that is known once the group is canonical, or from
 * its place in the group. */
static void count_supers(struct decoder *d, struct cursor *c, struct group *g, uint32_t i, uint32_t offset)
{
    uint32_t super = g->defs[i].super, above = 0;
    if (!cursor_ok(c)) return;
    if (super != TYPE_NONE)
        above = 1u + (type_is_rec(super) ? g->depths[super - TYPE_REC_BASE] : d->engine->types->rtypes[super].depth);
    if (cursor_limit(c, offset, LIMIT_SUPERS, above)) g->depths[i] = (uint8_t)above;
}

/* The declared supertype: at most one, and declared before type number `self`. */
static uint32_t read_super(struct decoder *d, struct cursor *c, uint32_t self)
{
    uint32_t offset = cursor_offset(c), n = cursor_u32(c);
    if (n > 1) {
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "sub type: more than one supertype");
        return TYPE_NONE;
    }
    if (n == 0) return TYPE_NONE;
    offset = cursor_offset(c);
    uint32_t local = cursor_u32(c);
    if (local >= self && cursor_ok(c))
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "unknown type %u: a supertype must come first", local);
    return decode_type_id(d, c, local, offset);
}

static void read_subtype(struct decoder *d, struct cursor *c, struct group *g, uint32_t i)
{
    struct type_def *def = &g->defs[i];
    uint32_t offset = cursor_offset(c);
    uint8_t byte = c->at < c->end ? *c->at : 0;
    *def = (struct type_def){.final = byte != BYTE_SUB, .super = TYPE_NONE};
    if (byte == BYTE_SUB || byte == BYTE_SUB_FINAL) {
        c->at++;
        def->super = read_super(d, c, d->rec_start + i);
    }
    count_supers(d, c, g, i, offset);
    read_composite(d, c, g, def, &g->starts[i]);
}

enum { CHECK_STEPS = 4 /* as bytes, for polls */ };

static void check_group(struct decoder *d, struct cursor *c, uint32_t first, uint32_t n, uint32_t offset)
{
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) {
        uint32_t type = d->module->types[first + i];
        const struct rtype *t = types_get(d->engine->types, type);
        d->poll_at -= CHECK_STEPS + t->nfields + t->nparams + t->nresults;
        if (types_matches_decl(d->engine->types, type)) continue;
        cursor_fail(c, HEMI_INVALID_MODULE, offset, "sub type: type %u does not match its supertype", first + i);
    }
}

static bool may_declare(const struct engine_options *opt, uint32_t n)
{
    return !opt->types_claim || opt->types_claim(opt->ctx, n);
}

/* A type in the engine's tables and in its buckets, with the block that its display is in. */
#define TYPE_BYTES                                                                                                     \
    (sizeof(struct rtype) + sizeof(struct heap_desc) + sizeof(struct type_link) + 4 * TYPE_DISPLAY_INLINE + 24)

static void intern_group(struct decoder *d, struct cursor *c, struct group *g, uint32_t n, uint32_t offset)
{
    struct module *m = d->module;
    for (uint32_t i = 0; i < n; i++) {
        struct type_def *def = &g->defs[i];
        if (def->nparams + def->nresults > 0) def->vals = g->vals + g->starts[i];
        if (def->nfields > 0) def->fields = g->fields + g->starts[i];
    }
    if (n == 0) return;
    enum hemi_status status = HEMI_LIMIT;
    if (may_declare(&d->engine->options, n)) status = types_intern(d->engine->types, g->defs, n, m->types + m->ntypes);
    if (status == HEMI_LIMIT) {
        cursor_beyond(c, offset, LIMIT_ENGINE_TYPES);
    } else if (status != HEMI_OK) {
        cursor_fail(c, status, offset, "%s",
                    status == HEMI_NO_MEMORY ? "no memory for types" : "declaring types was stopped");
    } else {
        m->ntypes += n;
        m->types_bytes += n * TYPE_BYTES + g->nvals * sizeof *g->vals + g->nfields * (sizeof *g->fields + 4);
        check_group(d, c, m->ntypes - n, n, offset);
    }
}

static void read_group(struct decoder *d, struct cursor *c, struct group *g)
{
    struct module *m = d->module;
    uint32_t offset = cursor_offset(c), n = 1;
    if (c->at < c->end && *c->at == BYTE_REC) {
        c->at++;
        n = cursor_count(c, LIMIT_GROUP_TYPES);
    }
    if (!cursor_limit(c, offset, LIMIT_TYPES, (uint64_t)m->ntypes + n)) return;
    g->nvals = g->nfields = 0;
    if (!decoder_reserve(c, (void **)&m->types, &d->cap_types, m->ntypes, n, sizeof *m->types) ||
        !decoder_reserve(c, (void **)&g->defs, &g->cap_defs, 0, n, sizeof *g->defs) ||
        !decoder_reserve(c, (void **)&g->starts, &g->cap_starts, 0, n, sizeof *g->starts) ||
        !decoder_reserve(c, (void **)&g->depths, &g->cap_depths, 0, n, sizeof *g->depths))
        return;
    d->rec_start = m->ntypes;
    d->rec_count = n;
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) read_subtype(d, c, g, i);
    d->rec_count = 0;
    if (cursor_ok(c)) intern_group(d, c, g, n, offset);
}

void decode_types(struct decoder *d, struct cursor *c)
{
    struct group g = {0};
    uint32_t n = cursor_count(c, LIMIT_TYPES);
    for (uint32_t i = 0; i < n && decoder_poll(d, c); i++) read_group(d, c, &g);
    void *const arrays[] = {g.defs, g.vals, g.fields, g.starts, g.depths};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) engine_release(d->engine, arrays[i]);
}
