/* proto/tables/opcodes.h -- the instructions as an enum and as a table of rows, both generated from opcodes.def.
 * Pure data: nothing here allocates or fails, and every thread may read it. */
#ifndef HEMI_TABLES_OPCODES_H
#define HEMI_TABLES_OPCODES_H

#include <stdint.h>

/* OP_I32_ADD..., dense from 0 in the order of the rows. Not the binary opcode, and not stable between versions. */
enum opcode {
#define OP(name, prefix, code, text, imm, sig) OP_##name,
#include "proto/tables/opcodes.def"
    OP_COUNT
};

/* What follows an opcode in the binary format: name, meaning. */
#define WASM_IMMEDIATES(X)                                                                                             \
    X(NONE, "nothing")                                                                                                 \
    X(BLOCK, "block type")                                                                                             \
    X(LABEL, "label index")                                                                                            \
    X(LABELS, "vector of label indices, then the default label")                                                       \
    X(FUNC, "function index")                                                                                          \
    X(TYPE, "type index")                                                                                              \
    X(CALL_INDIRECT, "type index, table index")                                                                        \
    X(LOCAL, "local index")                                                                                            \
    X(GLOBAL, "global index")                                                                                          \
    X(TABLE, "table index")                                                                                            \
    X(TABLE_TABLE, "destination table index, source table index")                                                      \
    X(ELEM_TABLE, "element segment index, table index")                                                                \
    X(ELEM, "element segment index")                                                                                   \
    X(MEM, "memory index")                                                                                             \
    X(MEM_MEM, "destination memory index, source memory index")                                                        \
    X(DATA_MEM, "data segment index, memory index")                                                                    \
    X(DATA, "data segment index")                                                                                      \
    X(MEMARG, "alignment exponent (bit 6: a memory index follows), offset")                                            \
    X(MEMARG_LANE, "as MEMARG, then a lane byte")                                                                      \
    X(LANE, "lane byte")                                                                                               \
    X(SHUFFLE, "16 lane bytes")                                                                                        \
    X(I32, "signed LEB128, 32 bits")                                                                                   \
    X(I64, "signed LEB128, 64 bits")                                                                                   \
    X(F32, "4 bytes")                                                                                                  \
    X(F64, "8 bytes")                                                                                                  \
    X(V128, "16 bytes")                                                                                                \
    X(HEAPTYPE, "heap type")                                                                                           \
    X(SELECT_TYPES, "vector of value types")                                                                           \
    X(TYPE_FIELD, "type index, field index")                                                                           \
    X(TYPE_N, "type index, number of operands")                                                                        \
    X(TYPE_DATA, "type index, data segment index")                                                                     \
    X(TYPE_ELEM, "type index, element segment index")                                                                  \
    X(TYPE_TYPE, "destination type index, source type index")                                                          \
    X(BR_CAST, "flags byte (bit 0: from nullable, bit 1: to nullable), label, from heap type, to heap type")           \
    X(TAG, "tag index")                                                                                                \
    X(TRY_TABLE, "block type, vector of catch clauses")

enum opcode_imm {
#define X(name, meaning) IMM_##name,
    WASM_IMMEDIATES(X)
#undef X
};

struct opcode_row {
    const char *name; /* "I32_ADD" */
    const char *text; /* "i32.add" */
    const char *sig;  /* "ii_i", or "X" */
    uint16_t code;    /* after the prefix, if there is one */
    uint8_t prefix;   /* 0, 0xFB, 0xFC or 0xFD */
    uint8_t imm;      /* enum opcode_imm */
    uint8_t width;    /* bytes of the memory access or lane, 0 where there is neither */
};

/* Indexed by enum opcode. Weak, so that all files that include this header share one copy without a file of code. */
__attribute__((weak, visibility("hidden"))) extern const struct opcode_row opcode_rows[OP_COUNT];
__attribute__((weak, visibility("hidden"))) const struct opcode_row opcode_rows[OP_COUNT] = {
#define OPW(name, prefix, code, text, imm, sig, width) {#name, text, #sig, code, prefix, IMM_##imm, width},
#define OP(name, prefix, code, text, imm, sig) OPW(name, prefix, code, text, imm, sig, 0)
#include "proto/tables/opcodes.def"
};

#endif
