/* tests/fuzz/generate.h -- makes a valid module out of any bytes: what the differential fuzzer runs.
 *
 * Every choice takes a byte of the input, so that a fuzzer's mutation of the input is a mutation of the program; when
 * the input is used up every choice is the first one, which ends the program soon. Equal inputs make equal modules.
 *
 * The module imports nothing and ends by itself: a global holds fuel, which each function entry and each turn of a loop
 * uses up, and without fuel it traps; it is exported as "fuel", so that each call can start with a full tank. All
 * modules have the same types, memories, tables, tags and globals (generate.c); the functions differ. Numeric and SIMD
 * instructions are drawn from the rows of opcodes.def. */
#ifndef HEMI_FUZZ_GENERATE_H
#define HEMI_FUZZ_GENERATE_H

#include "proto/tables/opcodes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *at;
    size_t len, cap;
};

/* Makes the module; the caller frees out->at. Never fails but for memory, on which it ends the process. */
void generate_module(const uint8_t *input, size_t size, struct bytes *out);

/* ---- Between generate.c and generate_code.c */

/* What a value can be, in the generator's universe: name, binary form. The numbers come first. */
/* clang-format off */
#define GEN_TYPES(X)                                                                                                   \
    X(I32, "\x7F")                                                                                                     \
    X(I64, "\x7E")                                                                                                     \
    X(F32, "\x7D")                                                                                                     \
    X(F64, "\x7C")                                                                                                     \
    X(V128, "\x7B")                                                                                                    \
    X(ANY, "\x6E")                                                                                                     \
    X(EQ, "\x6D")                                                                                                      \
    X(I31, "\x6C")                                                                                                     \
    X(FUNC, "\x70")                                                                                                    \
    X(EXTERN, "\x6F")                                                                                                  \
    X(EXN, "\x69")                                                                                                     \
    X(BASE, "\x63\x00")                                                                                                \
    X(DERIVED, "\x63\x01")                                                                                             \
    X(INTS, "\x63\x02")                                                                                                \
    X(BYTES, "\x63\x03")                                                                                               \
    X(REFS, "\x63\x04")                                                                                                \
    X(VECTORS, "\x63\x05")                                                                                             \
    X(DOUBLES, "\x63\x06")
/* clang-format on */
enum gen_type {
#define X(name, binary) G_##name,
    GEN_TYPES(X)
#undef X
        G_TYPES,
    G_VOID = G_TYPES
};
enum { G_NUMBERS = G_V128 + 1 };

/* Type indices: the aggregates, in the order of GEN_TYPES from BASE on, then the function types. */
enum { TYPE_BASE, TYPE_DERIVED, TYPE_INTS, TYPE_BYTES, TYPE_REFS, TYPE_VECTORS, TYPE_DOUBLES, TYPE_FIRST_FUNC };
enum { FUNC_TYPES_MAX = 8, FUNCS_MAX = 10, VALUES_MAX = 4, LOCALS_MAX = 8, LABELS_MAX = 40 };
enum { GLOBAL_FUEL, GLOBALS_FIRST }; /* then one global of each type, in order */
enum { TABLE_FUNC, TABLE_ANY, TABLE_ANY64, TABLES };
enum { MEMORY_32, MEMORY_64, MEMORY_SMALL, MEMORIES };
enum { TAG_I32, TAG_ANY_F64, TAGS };
enum { DATA_SEGMENTS = 2, ELEM_FUNC = 0, ELEM_ANY = 1, FUEL = 300 };

/* Fields of BASE, which DERIVED extends by the last two. */
#define GEN_FIELDS(X)                                                                                                  \
    X(I32, "\x7F")                                                                                                     \
    X(I64, "\x7E")                                                                                                     \
    X(I32, "\x78")                                                                                                     \
    X(F64, "\x7C")                                                                                                     \
    X(I32, "\x77")                                                                                                     \
    X(BASE, "\x63\x00")                                                                                                \
    X(V128, "\x7B")                                                                                                    \
    X(F32, "\x7D")                                                                                                     \
    X(ANY, "\x6E")                                                                                                     \
    X(EXTERN, "\x6F")                                                                                                  \
    X(FUNC, "\x70")                                                                                                    \
    X(INTS, "\x63\x02")
enum { FIELDS_DERIVED = 12, FIELDS_BASE = 10, FIELD_I8 = 2, FIELD_I16 = 4 };

struct gen_func_type {
    uint8_t nparams, nresults;
    uint8_t vals[2 * VALUES_MAX]; /* enum gen_type: parameters, then results */
};

struct gen {
    const uint8_t *in;
    size_t left;
    struct bytes code; /* of the function being made */
    uint32_t ntypes, nfuncs;
    struct gen_func_type types[FUNC_TYPES_MAX];
    uint8_t func_types[FUNCS_MAX];
    uint32_t func; /* being made */
    uint32_t nlocals;
    uint8_t locals[2 * VALUES_MAX + LOCALS_MAX];
    uint32_t nlabels;
    uint8_t labels[LABELS_MAX]; /* what a branch to it needs: a type or G_VOID */
    uint32_t depth, budget;     /* nesting of expressions; instructions left for this function */
};

uint32_t gen_pick(struct gen *g, uint32_t n); /* 0..n-1 */
const char *gen_type_binary(uint32_t type, size_t *len);
void put_u8(struct bytes *b, uint32_t v);
void put_bytes(struct bytes *b, const void *at, size_t n);
void put_u32(struct bytes *b, uint64_t v); /* LEB128, unsigned; also for 64 bits */
void put_s64(struct bytes *b, int64_t v);  /* LEB128, signed */
void put_type(struct bytes *b, uint32_t type);

/* generate_code.c: the body of g->func into g->code, without its local declarations. */
void generate_body(struct gen *g);

#endif
