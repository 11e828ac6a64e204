/* tests/fuzz/generate.c -- the sections of a generated module: the fixed surroundings and the drawn signatures. */
#include "tests/fuzz/generate.h"

#include <stdlib.h>
#include <string.h>

uint32_t gen_pick(struct gen *g, uint32_t n)
{
    if (g->left == 0 || n <= 1) return 0;
    uint32_t v = *g->in++;
    g->left--;
    if (n > 256 && g->left > 0) {
        v = v << 8 | *g->in++;
        g->left--;
    }
    return v % n;
}

/* ---- Bytes */

void put_bytes(struct bytes *b, const void *at, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = 2 * (b->len + n) + 64;
        b->at = realloc(b->at, b->cap);
        if (b->at == NULL) abort();
    }
    if (n > 0) memcpy(b->at + b->len, at, n);
    b->len += n;
}

void put_u8(struct bytes *b, uint32_t v) { put_bytes(b, &(uint8_t){(uint8_t)v}, 1); }

void put_u32(struct bytes *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) put_u8(b, (uint32_t)(v & 0x7F) | 0x80);
    put_u8(b, (uint32_t)v);
}

void put_s64(struct bytes *b, int64_t v)
{
    for (; v < -64 || v > 63; v >>= 7) put_u8(b, (uint32_t)(v & 0x7F) | 0x80);
    put_u8(b, (uint32_t)(v & 0x7F));
}

const char *gen_type_binary(uint32_t type, size_t *len)
{
    static const struct {
        const char *at;
        size_t len;
    } rows[] = {
#define X(name, binary) {binary, sizeof(binary) - 1},
        GEN_TYPES(X)
#undef X
    };
    *len = rows[type].len;
    return rows[type].at;
}

void put_type(struct bytes *b, uint32_t type)
{
    size_t len;
    const char *at = gen_type_binary(type, &len);
    put_bytes(b, at, len);
}

static void put_section(struct bytes *out, uint32_t id, struct bytes *body)
{
    put_u8(out, id);
    put_u32(out, body->len);
    put_bytes(out, body->at, body->len);
    free(body->at);
    *body = (struct bytes){0};
}

#define PUT(b, literal) put_bytes(b, literal, sizeof(literal) - 1)

/* ---- Types */

static void put_fields(struct bytes *b, uint32_t n)
{
    static const char *const fields[] = {
#define X(type, binary) binary,
        GEN_FIELDS(X)
#undef X
    };
    static const uint8_t lengths[] = {
#define X(type, binary) sizeof(binary) - 1,
        GEN_FIELDS(X)
#undef X
    };
    put_u8(b, 0x5F);
    put_u32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        put_bytes(b, fields[i], lengths[i]);
        put_u8(b, 1);
    }
}

static void put_aggregates(struct bytes *b)
{
    PUT(b, "\x4E\x07"); /* rec, 7 types */
    PUT(b, "\x50\x00"); /* sub: open, no supertype */
    put_fields(b, FIELDS_BASE);
    PUT(b, "\x4F\x01\x00"); /* sub final BASE */
    put_fields(b, FIELDS_DERIVED);
    PUT(b, "\x5E\x7F\x01\x5E\x78\x01\x5E\x6E\x01\x5E\x7B\x01\x5E\x7C\x01");
}

static void draw_func_types(struct gen *g)
{
    g->ntypes = 1 + gen_pick(g, FUNC_TYPES_MAX);
    for (uint32_t i = 0; i < g->ntypes; i++) {
        struct gen_func_type *t = &g->types[i];
        t->nparams = (uint8_t)gen_pick(g, VALUES_MAX);
        t->nresults = (uint8_t)gen_pick(g, VALUES_MAX);
        for (uint32_t k = 0; k < t->nparams + t->nresults; k++) t->vals[k] = (uint8_t)gen_pick(g, G_TYPES);
    }
}

static void put_values(struct bytes *b, const uint8_t *types, uint32_t n)
{
    put_u32(b, n);
    for (uint32_t i = 0; i < n; i++) put_type(b, types[i]);
}

/* The drawn types, then those of the two tags. */
static void put_types(struct gen *g, struct bytes *out)
{
    struct bytes b = {0};
    put_u32(&b, 1 + g->ntypes + TAGS); /* the recursion group is one entry */
    put_aggregates(&b);
    for (uint32_t i = 0; i < g->ntypes; i++) {
        put_u8(&b, 0x60);
        put_values(&b, g->types[i].vals, g->types[i].nparams);
        put_values(&b, g->types[i].vals + g->types[i].nparams, g->types[i].nresults);
    }
    PUT(&b, "\x60\x01\x7F\x00\x60\x02\x6E\x7C\x00");
    put_section(out, 1, &b);
}

/* ---- Everything but functions */

static void put_tables_and_memories(struct gen *g, struct bytes *out)
{
    struct bytes b = {0};
    PUT(&b, "\x03\x70\x01\x08\x40\x6E\x01\x08\x40\x6E\x05\x04\x20");
    put_section(out, 4, &b);
    PUT(&b, "\x03\x01\x01\x03\x05\x01\x02\x01\x00\x01");
    put_section(out, 5, &b);
    put_u32(&b, TAGS);
    for (uint32_t i = 0; i < TAGS; i++) {
        put_u8(&b, 0);
        put_u32(&b, TYPE_FIRST_FUNC + g->ntypes + i);
    }
    put_section(out, 13, &b);
}

static void put_default(struct bytes *b, uint32_t type)
{
    static const char zeros[16];
    size_t len;
    const char *binary = gen_type_binary(type, &len);
    switch (type) {
    case G_I32:
        PUT(b, "\x41\x00");
        break;
    case G_I64:
        PUT(b, "\x42\x00");
        break;
    case G_F32:
        PUT(b, "\x43\x00\x00\x00\x00");
        break;
    case G_F64:
        put_u8(b, 0x44);
        put_bytes(b, zeros, 8);
        break;
    case G_V128:
        PUT(b, "\xFD\x0C");
        put_bytes(b, zeros, 16);
        break;
    default: /* ref.null of the heap type, which is what follows the prefix of a nullable reference */
        put_u8(b, 0xD0);
        put_bytes(b, binary + len - 1, 1);
    }
}

static void put_globals(struct bytes *out)
{
    struct bytes b = {0};
    put_u32(&b, GLOBALS_FIRST + G_TYPES);
    PUT(&b, "\x7F\x01\x41");
    put_s64(&b, FUEL);
    put_u8(&b, 0x0B);
    for (uint32_t t = 0; t < G_TYPES; t++) {
        put_type(&b, t);
        put_u8(&b, 1);
        put_default(&b, t);
        put_u8(&b, 0x0B);
    }
    put_section(out, 6, &b);
}

static void put_export(struct bytes *b, char kind, uint32_t index)
{
    char name[4] = {kind == 0   ? 'f'
                    : kind == 1 ? 't'
                    : kind == 2 ? 'm'
                                : 'g',
                    (char)('a' + index / 16), (char)('a' + index % 16)};
    if (kind == 3 && index == GLOBAL_FUEL) memcpy(name, "fuel", 4);
    size_t len = kind == 3 && index == GLOBAL_FUEL ? 4 : 3;
    put_u32(b, len);
    put_bytes(b, name, len);
    put_u8(b, (uint32_t)kind);
    put_u32(b, index);
}

static void put_exports(struct gen *g, struct bytes *out)
{
    struct bytes b = {0};
    uint32_t nglobals = GLOBALS_FIRST + G_TYPES;
    put_u32(&b, g->nfuncs + TABLES + MEMORIES + nglobals);
    for (uint32_t i = 0; i < g->nfuncs; i++) put_export(&b, 0, i);
    for (uint32_t i = 0; i < TABLES; i++) put_export(&b, 1, i);
    for (uint32_t i = 0; i < MEMORIES; i++) put_export(&b, 2, i);
    for (uint32_t i = 0; i < nglobals; i++) put_export(&b, 3, i);
    put_section(out, 7, &b);
}

/* An active segment fills the function table; the passive ones hold functions, and i31s and structures. */
static void put_elems(struct gen *g, struct bytes *out)
{
    struct bytes b = {0};
    PUT(&b, "\x03\x01\x00"); /* 0: passive, functions */
    put_u32(&b, g->nfuncs);
    for (uint32_t i = 0; i < g->nfuncs; i++) put_u32(&b, i);
    PUT(&b, "\x05\x6E\x03\x41\x07\xFB\x1C\x0B\xFB\x01\x00\x0B\xD0\x6E\x0B"); /* 1: passive, anyref expressions */
    PUT(&b, "\x00\x41\x00\x0B");                                             /* 2: active, table 0 from 0 */
    uint32_t n = g->nfuncs < 8 ? g->nfuncs : 8;
    put_u32(&b, n);
    for (uint32_t i = 0; i < n; i++) put_u32(&b, i);
    put_section(out, 9, &b);
}

static void put_data(struct bytes *out)
{
    struct bytes b = {0};
    PUT(&b, "\x02\x01\x14"
            "passive bytes 012345");
    PUT(&b, "\x00\x41\x10\x0B\x0C"
            "active bytes");
    put_section(out, 11, &b);
}

/* ---- Functions */

static void begin_function(struct gen *g, uint32_t func)
{
    const struct gen_func_type *t = &g->types[g->func_types[func]];
    g->func = func;
    g->code.len = 0;
    g->nlabels = g->depth = 0;
    g->budget = 400;
    g->nlocals = t->nparams;
    memcpy(g->locals, t->vals, t->nparams);
    uint32_t more = 2 + gen_pick(g, LOCALS_MAX - 1);
    for (uint32_t i = 0; i < more; i++) g->locals[g->nlocals++] = (uint8_t)gen_pick(g, G_TYPES);
}

static void put_function(struct gen *g, struct bytes *out)
{
    struct bytes b = {0};
    uint32_t nparams = g->types[g->func_types[g->func]].nparams;
    put_u32(&b, g->nlocals - nparams);
    for (uint32_t i = nparams; i < g->nlocals; i++) {
        put_u32(&b, 1);
        put_type(&b, g->locals[i]);
    }
    put_bytes(&b, g->code.at, g->code.len);
    put_u32(out, b.len);
    put_bytes(out, b.at, b.len);
    free(b.at);
}

static void put_functions(struct gen *g, struct bytes *out, struct bytes *bodies)
{
    struct bytes b = {0};
    put_u32(&b, g->nfuncs);
    for (uint32_t i = 0; i < g->nfuncs; i++) put_u32(&b, TYPE_FIRST_FUNC + g->func_types[i]);
    put_section(out, 3, &b);
    put_u32(bodies, g->nfuncs);
    for (uint32_t i = 0; i < g->nfuncs; i++) {
        begin_function(g, i);
        generate_body(g);
        put_function(g, bodies);
    }
}

void generate_module(const uint8_t *input, size_t size, struct bytes *out)
{
    struct gen g = {.in = input, .left = size};
    struct bytes bodies = {0}, count = {0};
    draw_func_types(&g);
    g.nfuncs = 2 + gen_pick(&g, FUNCS_MAX - 1);
    for (uint32_t i = 0; i < g.nfuncs; i++) g.func_types[i] = (uint8_t)gen_pick(&g, g.ntypes);
    *out = (struct bytes){0};
    PUT(out, "\0asm\1\0\0\0");
    put_types(&g, out);
    put_functions(&g, out, &bodies);
    put_tables_and_memories(&g, out);
    put_globals(out);
    put_exports(&g, out);
    put_elems(&g, out);
    put_u32(&count, DATA_SEGMENTS);
    put_section(out, 12, &count);
    put_section(out, 10, &bodies);
    put_data(out);
    free(g.code.at);
}
