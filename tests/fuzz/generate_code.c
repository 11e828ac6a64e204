/* tests/fuzz/generate_code.c -- function bodies: expressions of a wanted type, and statements, by tables of
 * productions. */
#include "tests/fuzz/generate.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 7, ROWS_MAX = 512 };

static void expr(struct gen *g, uint32_t type);
static void statements(struct gen *g);

/* ---- Writing instructions */

static void op(struct gen *g, enum opcode o)
{
    const struct opcode_row *row = &opcode_rows[o];
    if (row->prefix != 0) {
        put_u8(&g->code, row->prefix);
        put_u32(&g->code, row->code);
    } else {
        put_u8(&g->code, row->code);
    }
}
static void op_index(struct gen *g, enum opcode o, uint32_t index)
{
    op(g, o);
    put_u32(&g->code, index);
}
static void op_indices(struct gen *g, enum opcode o, uint32_t a, uint32_t b)
{
    op_index(g, o, a);
    put_u32(&g->code, b);
}
static void i32_const(struct gen *g, int32_t v)
{
    op(g, OP_I32_CONST);
    put_s64(&g->code, v);
}
static void i64_const(struct gen *g, int64_t v)
{
    op(g, OP_I64_CONST);
    put_s64(&g->code, v);
}
static void heap_type(struct gen *g, uint32_t type)
{
    size_t len;
    const char *at = gen_type_binary(type, &len);
    put_bytes(&g->code, at + len - 1, 1);
}
static void op_heap(struct gen *g, enum opcode o, uint32_t type)
{
    op(g, o);
    heap_type(g, type);
}

/* ---- Labels and blocks */

static void block_type(struct gen *g, uint32_t type)
{
    if (type == G_VOID)
        put_u8(&g->code, 0x40);
    else
        put_type(&g->code, type);
}
static bool can_nest(const struct gen *g) { return g->nlabels < LABELS_MAX; }
/* `label` is what a branch to it must bring. */
static void open(struct gen *g, enum opcode o, uint32_t result, uint32_t label)
{
    op(g, o);
    block_type(g, result);
    g->labels[g->nlabels++] = (uint8_t)label;
}
static void close(struct gen *g)
{
    op(g, OP_END);
    g->nlabels--;
}
/* A label of this type, as seen from here; -1: none. */
static int find_label(struct gen *g, uint32_t type)
{
    uint32_t skip = gen_pick(g, 4);
    int found = -1;
    for (uint32_t i = 0; i < g->nlabels; i++) {
        if (g->labels[g->nlabels - 1 - i] != type) continue;
        found = (int)i;
        if (skip-- == 0) break;
    }
    return found;
}

static void burn_fuel(struct gen *g)
{
    op_index(g, OP_GLOBAL_GET, GLOBAL_FUEL);
    op(g, OP_I32_EQZ);
    op(g, OP_IF);
    put_u8(&g->code, 0x40);
    op(g, OP_UNREACHABLE);
    op(g, OP_END);
    op_index(g, OP_GLOBAL_GET, GLOBAL_FUEL);
    i32_const(g, 1);
    op(g, OP_I32_SUB);
    op_index(g, OP_GLOBAL_SET, GLOBAL_FUEL);
}

/* ---- Leaves */

static uint64_t interesting(struct gen *g, uint32_t bits)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      7,
                                      0xFF,
                                      0x80,
                                      0x7FFF,
                                      0x8000,
                                      0xFFFF,
                                      0x10000,
                                      0x7FFFFFFF,
                                      0x80000000,
                                      0xFFFFFFFF,
                                      UINT64_MAX,
                                      1ull << 63,
                                      INT64_MAX,
                                      0x7FC00000,
                                      0x3F800000,
                                      0xFF800001,
                                      0x7FF0000000000000,
                                      0xFFF8000000000001,
                                      0x3FF0000000000000,
                                      0x41DFFFFFFFC00000,
                                      0x4F000000};
    uint32_t i = gen_pick(g, 32);
    uint64_t v = i < sizeof values / sizeof *values ? values[i] : (uint64_t)gen_pick(g, 65536) * 0x9E3779B97F4A7C15u;
    return bits == 32 ? v & 0xFFFFFFFF : v;
}

static void constant(struct gen *g, uint32_t type)
{
    uint64_t v[2];
    switch (type) {
    case G_I32:
        i32_const(g, (int32_t)interesting(g, 32));
        break;
    case G_I64:
        i64_const(g, (int64_t)interesting(g, 64));
        break;
    case G_F32:
        op(g, OP_F32_CONST);
        v[0] = interesting(g, 32);
        put_bytes(&g->code, v, 4);
        break;
    case G_F64:
        op(g, OP_F64_CONST);
        v[0] = interesting(g, 64);
        put_bytes(&g->code, v, 8);
        break;
    case G_V128:
        op(g, OP_V128_CONST);
        v[0] = interesting(g, 64);
        v[1] = interesting(g, 64);
        put_bytes(&g->code, v, 16);
        break;
    default:
        op_heap(g, OP_REF_NULL, type);
    }
}

static bool local_of(struct gen *g, uint32_t type, uint32_t *local)
{
    uint32_t skip = gen_pick(g, 3);
    bool found = false;
    for (uint32_t i = 0; i < g->nlocals; i++) {
        if (g->locals[i] != type) continue;
        *local = i;
        found = true;
        if (skip-- == 0) break;
    }
    return found;
}
static void leaf(struct gen *g, uint32_t type)
{
    uint32_t local;
    if (gen_pick(g, 2) == 0 && local_of(g, type, &local))
        op_index(g, OP_LOCAL_GET, local);
    else
        constant(g, type);
}
static void make_global_get(struct gen *g, uint32_t t) { op_index(g, OP_GLOBAL_GET, GLOBALS_FIRST + t); }
static void make_local_tee(struct gen *g, uint32_t t)
{
    uint32_t local;
    expr(g, t);
    if (local_of(g, t, &local)) op_index(g, OP_LOCAL_TEE, local);
}

/* ---- Regular rows: numbers, vectors, accesses */

struct row_list {
    uint16_t n, at[ROWS_MAX];
};
static struct row_list by_result[G_NUMBERS + 1]; /* the last: no result, stores */
static char signatures[OP_COUNT][8];             /* of rows in a list: operands */

static uint32_t type_of_char(char c)
{
    static const char chars[] = "iIfFv";
    return (uint32_t)(strchr(chars, c) - chars);
}
static bool is_regular(const struct opcode_row *row)
{
    return row->sig[0] != 'X' && (row->imm == IMM_NONE || row->imm == IMM_MEMARG || row->imm == IMM_MEMARG_LANE ||
                                  row->imm == IMM_LANE || row->imm == IMM_SHUFFLE);
}
static void list_rows(void)
{
    for (uint16_t o = 0; o < OP_COUNT; o++) {
        const struct opcode_row *row = &opcode_rows[o];
        const char *result = strchr(row->sig, '_');
        if (!is_regular(row) || o == OP_NOP || result == NULL) continue;
        memcpy(signatures[o], row->sig, (size_t)(result - row->sig));
        struct row_list *list = &by_result[result[1] == 0 ? G_NUMBERS : type_of_char(result[1])];
        list->at[list->n++] = o;
    }
}

/* Mostly within the memory. */
static void address(struct gen *g, uint32_t memory)
{
    static const int32_t masks[MEMORIES] = {0xFFFF, 0xFFFF, 0x3FFF};
    bool is64 = memory == MEMORY_64;
    expr(g, is64 ? G_I64 : G_I32);
    if (gen_pick(g, 32) == 31) return;
    if (is64)
        i64_const(g, masks[memory]);
    else
        i32_const(g, masks[memory]);
    op(g, is64 ? OP_I64_AND : OP_I32_AND);
}

static void immediates(struct gen *g, const struct opcode_row *row, uint32_t memory)
{
    bool lane = row->imm == IMM_LANE || row->imm == IMM_MEMARG_LANE;
    if (row->imm == IMM_MEMARG || row->imm == IMM_MEMARG_LANE) {
        put_u32(&g->code, memory == 0 ? 0 : 0x40);
        if (memory != 0) put_u32(&g->code, memory);
        put_u32(&g->code, gen_pick(g, 32) == 31 ? interesting(g, memory == MEMORY_64 ? 64 : 32) : gen_pick(g, 64));
    }
    if (lane) put_u8(&g->code, gen_pick(g, 16u / row->width));
    for (uint32_t i = 0; row->imm == IMM_SHUFFLE && i < 16; i++) put_u8(&g->code, gen_pick(g, 32));
}

static void regular(struct gen *g, uint32_t o)
{
    const struct opcode_row *row = &opcode_rows[o];
    bool accesses = row->imm == IMM_MEMARG || row->imm == IMM_MEMARG_LANE;
    uint32_t memory = accesses ? gen_pick(g, MEMORIES) : 0;
    for (const char *c = signatures[o]; *c != 0; c++) {
        if (accesses && c == signatures[o])
            address(g, memory);
        else
            expr(g, type_of_char(*c));
    }
    op(g, (enum opcode)o);
    immediates(g, row, memory);
}
static void make_row(struct gen *g, uint32_t t)
{
    const struct row_list *list = &by_result[t == G_VOID ? G_NUMBERS : t];
    regular(g, list->at[gen_pick(g, list->n)]);
}

/* ---- Control with a result */

static void make_block(struct gen *g, uint32_t t)
{
    open(g, OP_BLOCK, t, t);
    statements(g);
    expr(g, t);
    close(g);
}
static void make_if(struct gen *g, uint32_t t)
{
    expr(g, G_I32);
    open(g, OP_IF, t, t);
    expr(g, t);
    op(g, OP_ELSE);
    statements(g);
    expr(g, t);
    close(g);
}
static void make_select(struct gen *g, uint32_t t)
{
    expr(g, t);
    expr(g, t);
    expr(g, G_I32);
    if (t < G_NUMBERS && gen_pick(g, 2) == 0) {
        op(g, OP_SELECT);
        return;
    }
    op_index(g, OP_SELECT_T, 1);
    put_type(&g->code, t);
}
static void make_br(struct gen *g, uint32_t t)
{
    int label = find_label(g, t);
    if (label < 0) {
        leaf(g, t);
        return;
    }
    expr(g, t);
    op_index(g, OP_BR, (uint32_t)label);
}
static void make_br_if(struct gen *g, uint32_t t)
{
    int label = find_label(g, t);
    expr(g, t);
    if (label < 0) return;
    expr(g, G_I32);
    op_index(g, OP_BR_IF, (uint32_t)label);
}
static void make_br_table(struct gen *g, uint32_t t)
{
    int label = find_label(g, t), other = find_label(g, t);
    expr(g, t);
    if (label < 0) return;
    expr(g, G_I32);
    op_index(g, OP_BR_TABLE, 1);
    put_u32(&g->code, (uint32_t)label);
    put_u32(&g->code, (uint32_t)other);
}

/* A turn of a loop that gives a value: it is gone round while a condition holds and there is fuel. */
static void make_loop(struct gen *g, uint32_t t)
{
    open(g, OP_LOOP, t, G_VOID);
    burn_fuel(g);
    statements(g);
    expr(g, G_I32);
    op_index(g, OP_BR_IF, 0);
    expr(g, t);
    close(g);
}

static void arguments(struct gen *g, const struct gen_func_type *type)
{
    for (uint32_t i = 0; i < type->nparams; i++) expr(g, type->vals[i]);
}
/* Of several results the wanted one is kept; without one a leaf comes instead. */
static void take_result(struct gen *g, const struct gen_func_type *type, uint32_t t)
{
    const uint8_t *results = type->vals + type->nparams;
    uint32_t local, i = type->nresults;
    for (; i > 0 && results[i - 1] != t; i--) op(g, OP_DROP);
    if (i > 1 && local_of(g, t, &local)) {
        op_index(g, OP_LOCAL_SET, local);
        for (i--; i > 0; i--) op(g, OP_DROP);
        op_index(g, OP_LOCAL_GET, local);
        return;
    }
    if (i == 1) return;
    for (; i > 0; i--) op(g, OP_DROP);
    if (t != G_VOID) leaf(g, t);
}
static void make_call(struct gen *g, uint32_t t)
{
    uint32_t func = gen_pick(g, g->nfuncs);
    const struct gen_func_type *type = &g->types[g->func_types[func]];
    arguments(g, type);
    op_index(g, OP_CALL, func);
    take_result(g, type, t);
}
static void make_call_indirect(struct gen *g, uint32_t t)
{
    uint32_t func = gen_pick(g, g->nfuncs), index = g->func_types[func];
    arguments(g, &g->types[index]);
    if (gen_pick(g, 16) == 15)
        expr(g, G_I32);
    else
        i32_const(g, (int32_t)func);
    op_indices(g, OP_CALL_INDIRECT, TYPE_FIRST_FUNC + index, TABLE_FUNC);
    take_result(g, &g->types[index], t);
}
static void make_call_ref(struct gen *g, uint32_t t)
{
    uint32_t func = gen_pick(g, g->nfuncs), index = g->func_types[func];
    arguments(g, &g->types[index]);
    if (gen_pick(g, 8) != 7) {
        op_index(g, OP_REF_FUNC, func);
    } else {
        expr(g, G_FUNC);
        op_index(g, OP_REF_CAST_NULL, TYPE_FIRST_FUNC + index);
    }
    op_index(g, OP_CALL_REF, TYPE_FIRST_FUNC + index);
    take_result(g, &g->types[index], t);
}

/* ---- Exceptions */

static void throw(struct gen * g)
{
    if (gen_pick(g, 2) == 0) {
        expr(g, G_I32);
        op_index(g, OP_THROW, TAG_I32);
    } else {
        expr(g, G_ANY);
        expr(g, G_F64);
        op_index(g, OP_THROW, TAG_ANY_F64);
    }
}
static void maybe_throw(struct gen *g)
{
    if (gen_pick(g, 2) == 0) throw(g);
}
/* Inside a block that takes what the clause brings. */
static void try_table(struct gen *g, uint32_t kind, uint32_t tag, uint32_t result)
{
    op(g, OP_TRY_TABLE);
    block_type(g, result);
    put_u32(&g->code, 1);
    put_u8(&g->code, kind);
    if (kind < 2) put_u32(&g->code, tag);
    put_u32(&g->code, 0);
    g->labels[g->nlabels++] = (uint8_t)result;
}
static void make_caught_i32(struct gen *g, uint32_t t)
{
    open(g, OP_BLOCK, t, t);
    try_table(g, 0, TAG_I32, t);
    statements(g);
    maybe_throw(g);
    expr(g, t);
    close(g);
    close(g);
}
static void make_caught_exn(struct gen *g, uint32_t t)
{
    open(g, OP_BLOCK, t, t);
    try_table(g, 3, 0, G_VOID);
    statements(g);
    maybe_throw(g);
    close(g);
    leaf(g, t);
    close(g);
}
/* Everything is caught and forgotten. */
static void make_caught_all(struct gen *g, uint32_t t)
{
    open(g, OP_BLOCK, G_VOID, G_VOID);
    try_table(g, 2, 0, G_VOID);
    statements(g);
    maybe_throw(g);
    close(g);
    close(g);
    if (t != G_VOID) expr(g, t);
}

/* ---- References and objects */

static const uint8_t field_types[] = {
#define X(type, binary) G_##type,
    GEN_FIELDS(X)
#undef X
};
static const uint8_t element_types[] = {G_I32, G_I32, G_ANY, G_V128, G_F64}; /* INTS... */

/* Mostly an object where only structures and arrays help. */
static void object(struct gen *g, uint32_t type)
{
    uint32_t local;
    if (gen_pick(g, 12) == 11) {
        expr(g, type);
    } else if (type <= G_DERIVED) {
        op_index(g, OP_STRUCT_NEW_DEFAULT, type - G_BASE);
        if (local_of(g, type, &local)) op_index(g, OP_LOCAL_TEE, local);
    } else {
        i32_const(g, (int32_t)gen_pick(g, 24) + 6);
        op_index(g, OP_ARRAY_NEW_DEFAULT, type - G_BASE);
        if (local_of(g, type, &local)) op_index(g, OP_LOCAL_TEE, local);
    }
}
static void index_value(struct gen *g)
{
    if (gen_pick(g, 16) == 15)
        expr(g, G_I32);
    else
        i32_const(g, (int32_t)gen_pick(g, 6));
}
static void make_struct_get(struct gen *g, uint32_t t)
{
    uint32_t first = gen_pick(g, FIELDS_DERIVED);
    for (uint32_t k = 0; k < FIELDS_DERIVED; k++) {
        uint32_t field = (first + k) % FIELDS_DERIVED;
        if (field_types[field] != t) continue;
        bool packed = field == FIELD_I8 || field == FIELD_I16;
        uint32_t type = field < FIELDS_BASE ? gen_pick(g, 2) : TYPE_DERIVED;
        object(g, G_BASE + type);
        op_indices(g, !packed ? OP_STRUCT_GET : gen_pick(g, 2) ? OP_STRUCT_GET_S : OP_STRUCT_GET_U, type, field);
        return;
    }
    leaf(g, t);
}
static uint32_t array_of(struct gen *g, uint32_t t)
{
    if (t == G_I32) return G_INTS + gen_pick(g, 2);
    return t == G_ANY ? G_REFS : t == G_V128 ? G_VECTORS : G_DOUBLES;
}
static void make_array_get(struct gen *g, uint32_t t)
{
    uint32_t array = array_of(g, t);
    object(g, array);
    index_value(g);
    op_index(g, array != G_BYTES ? OP_ARRAY_GET : gen_pick(g, 2) ? OP_ARRAY_GET_S : OP_ARRAY_GET_U, array - G_BASE);
}
static void make_struct(struct gen *g, uint32_t t)
{
    uint32_t n = t == G_BASE ? FIELDS_BASE : FIELDS_DERIVED;
    if (gen_pick(g, 3) == 0) {
        op_index(g, OP_STRUCT_NEW_DEFAULT, t - G_BASE);
        return;
    }
    for (uint32_t i = 0; i < n; i++) leaf(g, field_types[i]);
    op_index(g, OP_STRUCT_NEW, t - G_BASE);
}
static void make_array(struct gen *g, uint32_t t)
{
    uint32_t type = t - G_BASE, n = gen_pick(g, 20);
    switch (gen_pick(g, 4)) {
    case 0:
        i32_const(g, (int32_t)n);
        op_index(g, OP_ARRAY_NEW_DEFAULT, type);
        return;
    case 1:
        expr(g, element_types[t - G_INTS]);
        i32_const(g, (int32_t)n * 20);
        op_index(g, OP_ARRAY_NEW, type);
        return;
    case 2:
        for (uint32_t i = 0; i < n; i++) leaf(g, element_types[t - G_INTS]);
        op_indices(g, OP_ARRAY_NEW_FIXED, type, n);
        return;
    default:
        i32_const(g, (int32_t)gen_pick(g, 3));
        i32_const(g, (int32_t)gen_pick(g, 4));
        op_indices(g, t == G_REFS ? OP_ARRAY_NEW_ELEM : OP_ARRAY_NEW_DATA, type, t == G_REFS ? ELEM_ANY : 0);
    }
}
static void make_i31(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, G_I32);
    op(g, OP_REF_I31);
}
static void make_ref_func(struct gen *g, uint32_t t)
{
    (void)t;
    op_index(g, OP_REF_FUNC, gen_pick(g, g->nfuncs));
}
/* A value of a subtype does. */
static void make_subtype(struct gen *g, uint32_t t)
{
    static const uint8_t below_any[] = {G_EQ, G_I31, G_BASE, G_DERIVED, G_INTS, G_BYTES, G_REFS, G_VECTORS, G_DOUBLES};
    if (t == G_BASE)
        expr(g, G_DERIVED);
    else
        expr(g, below_any[t == G_EQ ? 1 + gen_pick(g, 8) : gen_pick(g, 9)]);
}
static void make_from_any(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, G_ANY);
    op(g, OP_EXTERN_CONVERT_ANY);
}
static void make_from_extern(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, G_EXTERN);
    op(g, OP_ANY_CONVERT_EXTERN);
}
static void make_table_get(struct gen *g, uint32_t t)
{
    uint32_t table = t == G_FUNC ? TABLE_FUNC : TABLE_ANY + gen_pick(g, 2);
    if (table == TABLE_ANY64)
        i64_const(g, gen_pick(g, 6));
    else
        index_value(g);
    op_index(g, OP_TABLE_GET, table);
}
/* The value if the cast succeeds, else another. */
static void make_br_on_cast(struct gen *g, uint32_t t)
{
    bool fail = gen_pick(g, 2) != 0;
    open(g, OP_BLOCK, fail ? G_ANY : t, fail ? (uint32_t)G_ANY : t);
    if (fail) {
        open(g, OP_BLOCK, t, t);
    }
    expr(g, G_ANY);
    op(g, fail ? OP_BR_ON_CAST_FAIL : OP_BR_ON_CAST);
    put_u8(&g->code, 3);
    put_u32(&g->code, fail ? 1 : 0);
    heap_type(g, G_ANY);
    heap_type(g, t);
    if (fail) {
        close(g);
        op_heap(g, OP_REF_CAST_NULL, G_ANY);
        close(g);
        op_heap(g, OP_REF_CAST_NULL, t);
        return;
    }
    op(g, OP_DROP);
    leaf(g, t);
    close(g);
}
static void make_cast(struct gen *g, uint32_t t)
{
    expr(g, gen_pick(g, 8) == 7 ? (uint32_t)G_ANY : t);
    op_heap(g, OP_REF_CAST_NULL, t);
}
static void make_non_null(struct gen *g, uint32_t t)
{
    open(g, OP_BLOCK, t, t);
    expr(g, t);
    op_index(g, OP_BR_ON_NON_NULL, 0);
    leaf(g, t);
    close(g);
}

/* ---- Numbers from references, memories and tables */

static void make_is_null(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, G_ANY + gen_pick(g, G_TYPES - G_ANY));
    op(g, OP_REF_IS_NULL);
}
static void make_ref_eq(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, G_EQ);
    expr(g, G_EQ);
    op(g, OP_REF_EQ);
}
static void make_ref_test(struct gen *g, uint32_t t)
{
    static const uint8_t to[] = {G_EQ, G_I31, G_BASE, G_DERIVED, G_INTS, G_REFS};
    (void)t;
    expr(g, G_ANY);
    op_heap(g, gen_pick(g, 2) ? OP_REF_TEST : OP_REF_TEST_NULL, to[gen_pick(g, sizeof to)]);
}
static void make_array_len(struct gen *g, uint32_t t)
{
    (void)t;
    object(g, G_INTS + gen_pick(g, G_TYPES - G_INTS));
    op(g, OP_ARRAY_LEN);
}
static void make_i31_get(struct gen *g, uint32_t t)
{
    (void)t;
    make_i31(g, 0);
    op(g, gen_pick(g, 2) ? OP_I31_GET_S : OP_I31_GET_U);
}
static void make_sizes(struct gen *g, uint32_t t)
{
    uint32_t memory = t == G_I64 ? MEMORY_64 : gen_pick(g, 2) * 2, table = t == G_I64 ? TABLE_ANY64 : gen_pick(g, 2);
    switch (gen_pick(g, 4)) {
    case 0:
        op_index(g, OP_MEMORY_SIZE, memory);
        return;
    case 1:
        op_index(g, OP_TABLE_SIZE, table);
        return;
    case 2:
        constant(g, t);
        op_index(g, OP_MEMORY_GROW, memory);
        return;
    default:
        expr(g, table == TABLE_FUNC ? G_FUNC : G_ANY);
        constant(g, t);
        op_index(g, OP_TABLE_GROW, table);
    }
}

/* ---- Statements */

static void do_local_set(struct gen *g, uint32_t t)
{
    uint32_t local = gen_pick(g, g->nlocals);
    (void)t;
    expr(g, g->locals[local]);
    op_index(g, OP_LOCAL_SET, local);
}
static void do_global_set(struct gen *g, uint32_t t)
{
    uint32_t type = gen_pick(g, G_TYPES);
    (void)t;
    expr(g, type);
    op_index(g, OP_GLOBAL_SET, GLOBALS_FIRST + type);
}
static void do_drop(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, gen_pick(g, G_TYPES));
    op(g, OP_DROP);
}
static void do_struct_set(struct gen *g, uint32_t t)
{
    uint32_t type = gen_pick(g, 2), field = gen_pick(g, type == TYPE_BASE ? FIELDS_BASE : FIELDS_DERIVED);
    (void)t;
    object(g, G_BASE + type);
    expr(g, field_types[field]);
    op_indices(g, OP_STRUCT_SET, type, field);
}
static void do_array_set(struct gen *g, uint32_t t)
{
    uint32_t array = G_INTS + gen_pick(g, G_TYPES - G_INTS);
    (void)t;
    object(g, array);
    index_value(g);
    expr(g, element_types[array - G_INTS]);
    op_index(g, OP_ARRAY_SET, array - G_BASE);
}
static void do_array_bulk(struct gen *g, uint32_t t)
{
    uint32_t array = G_INTS + gen_pick(g, G_TYPES - G_INTS), kind = gen_pick(g, 3);
    (void)t;
    object(g, array);
    index_value(g);
    if (kind == 0) {
        expr(g, element_types[array - G_INTS]);
    } else {
        if (kind == 1) object(g, array);
        index_value(g);
    }
    index_value(g);
    if (kind == 0)
        op_index(g, OP_ARRAY_FILL, array - G_BASE);
    else if (kind == 1)
        op_indices(g, OP_ARRAY_COPY, array - G_BASE, array - G_BASE);
    else if (array == G_REFS)
        op_indices(g, OP_ARRAY_INIT_ELEM, array - G_BASE, ELEM_ANY);
    else
        op_indices(g, OP_ARRAY_INIT_DATA, array - G_BASE, 0);
}
static void number_of(struct gen *g, bool is64, uint32_t below)
{
    uint32_t n = gen_pick(g, below);
    if (is64)
        i64_const(g, n);
    else
        i32_const(g, (int32_t)n);
}
static void do_memory_bulk(struct gen *g, uint32_t t)
{
    uint32_t to = gen_pick(g, MEMORIES), from = gen_pick(g, MEMORIES), kind = gen_pick(g, 4);
    (void)t;
    if (kind == 3) {
        op_index(g, OP_DATA_DROP, gen_pick(g, 16) == 15 ? 0 : 1);
        return;
    }
    address(g, to);
    if (kind == 0) {
        expr(g, G_I32);
        number_of(g, to == MEMORY_64, 400);
        op_index(g, OP_MEMORY_FILL, to);
    } else if (kind == 1) {
        address(g, from);
        number_of(g, to == MEMORY_64 && from == MEMORY_64, 400);
        op_indices(g, OP_MEMORY_COPY, to, from);
    } else {
        number_of(g, false, 10);
        number_of(g, false, 12);
        op_indices(g, OP_MEMORY_INIT, 0, to);
    }
}
static void do_table_set(struct gen *g, uint32_t t)
{
    uint32_t table = gen_pick(g, TABLES);
    (void)t;
    number_of(g, table == TABLE_ANY64, 9);
    expr(g, table == TABLE_FUNC ? G_FUNC : G_ANY);
    op_index(g, OP_TABLE_SET, table);
}
static void do_table_bulk(struct gen *g, uint32_t t)
{
    uint32_t to = gen_pick(g, TABLES), kind = gen_pick(g, 4);
    uint32_t from = to == TABLE_FUNC ? TABLE_FUNC : TABLE_ANY + gen_pick(g, 2);
    bool is64 = to == TABLE_ANY64, from64 = from == TABLE_ANY64;
    (void)t;
    if (kind == 3) {
        op_index(g, OP_ELEM_DROP, gen_pick(g, 16) == 15 ? ELEM_FUNC : ELEM_ANY);
        return;
    }
    number_of(g, is64, 8);
    if (kind == 0) {
        expr(g, to == TABLE_FUNC ? G_FUNC : G_ANY);
        number_of(g, is64, 8);
        op_index(g, OP_TABLE_FILL, to);
    } else if (kind == 1) {
        number_of(g, from64, 8);
        number_of(g, is64 && from64, 6);
        op_indices(g, OP_TABLE_COPY, to, from);
    } else {
        number_of(g, false, 3);
        number_of(g, false, 3);
        op_indices(g, OP_TABLE_INIT, to == TABLE_FUNC ? ELEM_FUNC : ELEM_ANY, to);
    }
}
static void do_if(struct gen *g, uint32_t t)
{
    (void)t;
    expr(g, G_I32);
    open(g, OP_IF, G_VOID, G_VOID);
    statements(g);
    if (gen_pick(g, 2) == 0) {
        op(g, OP_ELSE);
        statements(g);
    }
    close(g);
}
static void do_loop(struct gen *g, uint32_t t)
{
    (void)t;
    open(g, OP_LOOP, G_VOID, G_VOID);
    burn_fuel(g);
    statements(g);
    expr(g, G_I32);
    op_index(g, OP_BR_IF, 0);
    close(g);
}
static void do_br_if(struct gen *g, uint32_t t)
{
    int label = find_label(g, G_VOID);
    (void)t;
    if (label < 0) return;
    /* The label may be a loop's. */
    burn_fuel(g);
    expr(g, G_I32);
    op_index(g, OP_BR_IF, (uint32_t)label);
}
/* A condition that seldom holds. */
static void seldom(struct gen *g)
{
    expr(g, G_I32);
    i32_const(g, 15);
    op(g, OP_I32_AND);
    i32_const(g, 13);
    op(g, OP_I32_EQ);
}
static void do_leave(struct gen *g, uint32_t t)
{
    const struct gen_func_type *type = &g->types[g->func_types[g->func]];
    (void)t;
    seldom(g);
    open(g, OP_IF, G_VOID, G_VOID);
    switch (gen_pick(g, 4)) {
    case 0:
        throw(g);
        break;
    case 1:
        op(g, OP_UNREACHABLE);
        break;
    case 2:
        for (uint32_t i = 0; i < type->nresults; i++) expr(g, type->vals[type->nparams + i]);
        op(g, OP_RETURN);
        break;
    default:
        expr(g, G_EXN);
        op(g, OP_THROW_REF);
    }
    close(g);
}
/* To a function with the same results: itself, if no other has them. */
static void do_return_call(struct gen *g, uint32_t t)
{
    uint32_t func = g->func, index = g->func_types[func];
    (void)t;
    seldom(g);
    open(g, OP_IF, G_VOID, G_VOID);
    arguments(g, &g->types[index]);
    switch (gen_pick(g, 3)) {
    case 0:
        op_index(g, OP_RETURN_CALL, func);
        break;
    case 1:
        i32_const(g, (int32_t)func);
        op_indices(g, OP_RETURN_CALL_INDIRECT, TYPE_FIRST_FUNC + index, TABLE_FUNC);
        break;
    default:
        op_index(g, OP_REF_FUNC, func);
        op_index(g, OP_RETURN_CALL_REF, TYPE_FIRST_FUNC + index);
    }
    close(g);
}

/* ---- The productions: weight, the types it can make, function */

#define BIT(t) (1u << (t))
#define ALL ((1u << G_TYPES) - 1)
#define NUMBERS ((1u << G_NUMBERS) - 1)
#define ANYS (BIT(G_EQ) | BIT(G_I31) | STRUCTS | ARRAYS)
#define STRUCTS (BIT(G_BASE) | BIT(G_DERIVED))
#define ARRAYS (BIT(G_INTS) | BIT(G_BYTES) | BIT(G_REFS) | BIT(G_VECTORS) | BIT(G_DOUBLES))
#define FIELD_TYPES (NUMBERS | BIT(G_BASE) | BIT(G_ANY) | BIT(G_EXTERN) | BIT(G_FUNC) | BIT(G_INTS))
struct production {
    uint32_t weight, types;
    void (*make)(struct gen *g, uint32_t type);
};
static const struct production expressions[] = {
    {6, ALL, leaf},
    {1, ALL, make_global_get},
    {1, ALL, make_local_tee},
    {10, NUMBERS, make_row},
    {1, ALL, make_block},
    {1, ALL, make_if},
    {1, ALL, make_select},
    {1, ALL, make_br},
    {1, ALL, make_br_if},
    {1, ALL, make_br_table},
    {1, ALL, make_loop},
    {1, ALL, make_call},
    {1, ALL, make_call_indirect},
    {1, ALL, make_call_ref},
    {1, ALL, make_caught_all},
    {1, BIT(G_I32), make_caught_i32},
    {4, BIT(G_EXN), make_caught_exn},
    {3, FIELD_TYPES, make_struct_get},
    {3, BIT(G_I32) | BIT(G_ANY) | BIT(G_V128) | BIT(G_F64), make_array_get},
    {6, STRUCTS, make_struct},
    {6, ARRAYS, make_array},
    {3, BIT(G_I31), make_i31},
    {3, BIT(G_FUNC), make_ref_func},
    {4, BIT(G_ANY) | BIT(G_EQ) | BIT(G_BASE), make_subtype},
    {3, BIT(G_EXTERN), make_from_any},
    {1, BIT(G_ANY), make_from_extern},
    {2, BIT(G_FUNC) | BIT(G_ANY), make_table_get},
    {2, ANYS, make_br_on_cast},
    {1, ANYS, make_cast},
    {1, ALL & ~NUMBERS, make_non_null},
    {1, BIT(G_I32), make_is_null},
    {1, BIT(G_I32), make_ref_eq},
    {1, BIT(G_I32), make_ref_test},
    {1, BIT(G_I32), make_array_len},
    {1, BIT(G_I32), make_i31_get},
    {1, BIT(G_I32) | BIT(G_I64), make_sizes},
};
static const struct production actions[] = {
    {3, 0, do_local_set},  {2, 0, do_global_set}, {1, 0, do_drop},        {3, 0, make_row},
    {2, 0, do_struct_set}, {2, 0, do_array_set},  {2, 0, do_array_bulk},  {2, 0, do_memory_bulk},
    {1, 0, do_table_set},  {1, 0, do_table_bulk}, {2, 0, do_if},          {1, 0, do_loop},
    {1, 0, do_br_if},      {1, 0, do_leave},      {1, 0, do_return_call}, {1, 0, make_caught_all},
    {1, 0, make_call},
};

static void choose(struct gen *g, const struct production *rows, size_t n, uint32_t type)
{
    uint32_t total = 0;
    bool any = type == G_VOID;
    for (size_t i = 0; i < n; i++) total += any || (rows[i].types & BIT(type)) ? rows[i].weight : 0;
    uint32_t pick = gen_pick(g, total);
    for (size_t i = 0; i < n; i++) {
        uint32_t weight = any || (rows[i].types & BIT(type)) ? rows[i].weight : 0;
        if (pick < weight) {
            rows[i].make(g, type);
            return;
        }
        pick -= weight;
    }
}

static bool spend(struct gen *g)
{
    if (g->depth >= DEPTH_MAX || g->budget == 0 || g->left == 0 || g->nlabels + 3 > LABELS_MAX || !can_nest(g))
        return false;
    g->budget--;
    return true;
}
static void expr(struct gen *g, uint32_t type)
{
    if (!spend(g)) {
        leaf(g, type);
        return;
    }
    g->depth++;
    choose(g, expressions, sizeof expressions / sizeof *expressions, type);
    g->depth--;
}
static void statements(struct gen *g)
{
    for (uint32_t n = gen_pick(g, 4); n > 0 && spend(g); n--) {
        g->depth++;
        choose(g, actions, sizeof actions / sizeof *actions, G_VOID);
        g->depth--;
    }
}

void generate_body(struct gen *g)
{
    const struct gen_func_type *type = &g->types[g->func_types[g->func]];
    if (by_result[G_I32].n == 0) list_rows();
    burn_fuel(g);
    for (uint32_t i = 0; i < 3; i++) statements(g);
    for (uint32_t i = 0; i < type->nresults; i++) expr(g, type->vals[type->nparams + i]);
    op(g, OP_END);
}
