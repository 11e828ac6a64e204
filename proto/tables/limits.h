/* proto/tables/limits.h -- how large modules and their parts may be. Pure data. A module beyond one of them is refused
 * with LIMIT, naming it, its value and the place; none is a limit of the WebAssembly specification, which allows an
 * implementation to have them (3.0, A.2). Most are those of the JavaScript interface; smaller ones bound time or memory
 * per byte of module. docs/limits.md shows them; both are checked by tests/unit/runtime/limits_test.c. */
#ifndef HEMI_TABLES_LIMITS_H
#define HEMI_TABLES_LIMITS_H

/* name, value, text */
#define WASM_LIMITS(X)                                                                                                 \
    X(MODULE_BYTES, 1u << 30, "bytes of a module")                                                                     \
    X(TYPES, 250000, "types")                                                                                          \
    X(GROUP_TYPES, 250000, "types in a recursion group")                                                               \
    X(ENGINE_TYPES, 1u << 20, "different types of all modules together")                                               \
    X(PARAMS, 1000, "parameters of a function type")                                                                   \
    X(RESULTS, 1000, "results of a function type")                                                                     \
    X(FIELDS, 10000, "fields of a structure type")                                                                     \
    X(SUPERS, 63, "supertypes above a type")                                                                           \
    X(IMPORTS, 65536, "imports")                                                                                       \
    X(FUNCTIONS, 1000000, "functions")                                                                                 \
    X(TABLES, 10000, "tables")                                                                                         \
    X(MEMORIES, 100, "memories")                                                                                       \
    X(TAGS, 1000000, "tags")                                                                                           \
    X(GLOBALS, 1000000, "globals")                                                                                     \
    X(EXPORTS, 1000000, "exports")                                                                                     \
    X(ELEM_SEGMENTS, 1000000, "element segments")                                                                      \
    X(ELEM_ITEMS, 10000000, "elements of a segment")                                                                   \
    X(DATA_SEGMENTS, 100000, "data segments")                                                                          \
    X(NAME_BYTES, 65535, "bytes of a name")                                                                            \
    X(FUNCTION_BYTES, 7654321, "bytes of a function")                                                                  \
    X(LOCALS, 50000, "locals of a function")                                                                           \
    X(MODULE_LOCALS, 50000000, "locals of all functions together")                                                     \
    X(FRAME_SLOTS, 60000, "slots in a function's frame")                                                               \
    X(CODE_BYTES, 1u << 27, "bytes that a function is translated to")                                                  \
    X(LIVE_REFS, 1u << 24, "references kept over the calls of a function, counted at each")                            \
    X(NESTING, 50000, "nested blocks")                                                                                 \
    X(OPERANDS, 65536, "operands on the stack of a function")                                                          \
    X(BR_TABLE, 65520, "labels of a br_table")                                                                         \
    X(CATCHES, 10000, "catch clauses of a try_table")                                                                  \
    X(NEW_FIXED, 10000, "operands of array.new_fixed")

/* What is said of a limit that an option sets or that has another name: the name, how many were asked for, of what (a
 * text that begins with a space, or is empty), and how many there may be at most. */
#define LIMIT_MESSAGE "%s: %llu%s asked for, at most %llu"

/* LIMIT_TYPES is a row, WASM_MAX_TYPES its value. */
enum wasm_limit_value {
#define X(name, value, text) WASM_MAX_##name = value,
    WASM_LIMITS(X)
#undef X
};

enum wasm_limit {
#define X(name, value, text) LIMIT_##name,
    WASM_LIMITS(X) LIMIT_COUNT
#undef X
};

#endif
