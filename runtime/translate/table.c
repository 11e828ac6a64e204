/* runtime/translate/table.c -- what bodies.def says to the translator: for each opcode, its handlers. */
#include "runtime/translate/impl.h"

#define CHARS_i 'i'
#define CHARS_I 'I'
#define CHARS_f 'f'
#define CHARS_F 'F'
#define CHARS_D 'D'

const struct body_row body_rows[OP_COUNT] = {
#define BODIES_OWN_ROWS
#define UNARY(name, tr, ta, flags, ...)                                                                                \
    [OP_##name] = {BODY_UNARY, CHARS_##tr, CHARS_##ta, 0, flags, VM_##name##_S_R, OP_COUNT, OP_COUNT},
#define BINARY(name, tr, ta, tb, flags, ...)                                                                           \
    [OP_##name] = {BODY_BINARY, CHARS_##tr, CHARS_##ta, CHARS_##tb, flags, VM_##name##_SS_R, OP_COUNT, OP_COUNT},
#define COMPARE(name, t, inverse, swapped, ...)                                                                        \
    [OP_##name] = {BODY_COMPARE, 'i', CHARS_##t, CHARS_##t, 0, VM_##name##_SS_R, OP_##inverse, OP_##swapped},
#define TEST(name, t, ...) [OP_##name] = {BODY_TEST, 'i', CHARS_##t, 0, 0, VM_##name##_S_R, OP_COUNT, OP_COUNT},
#define LOAD(name, tr, ctype) [OP_##name] = {BODY_LOAD, CHARS_##tr, 'i', 0, TRAPS, VM_##name##_S_R, OP_COUNT, OP_COUNT},
#define STORE(name, tb, ctype)                                                                                         \
    [OP_##name] = {BODY_STORE, 0, 'i', CHARS_##tb, TRAPS, VM_##name##_SS, OP_COUNT, OP_COUNT},
#define SIMD(name, size, flags, ...) [OP_##name] = {BODY_SIMD, 0, 0, 0, flags, VM_##name, OP_COUNT, OP_COUNT},
#include "runtime/code/bodies.def"
};

const struct helped_row helped_rows[OP_COUNT] = {
#define BODIES_OWN_ROWS
#define HELPED(name, helper, params, results, a, b)                                                                    \
    [OP_##name] = {true, HELPER_##helper, params, results, ARG_##a, ARG_##b},
#include "runtime/code/bodies.def"
};

static const bool special[OP_COUNT] = {
#define X(op, function) [OP_##op] = true,
    TRANSLATE_HANDLERS(X)
#undef X
};

bool tr_covers(enum opcode op) { return special[op] || helped_rows[op].is || body_rows[op].class != BODY_NONE; }
