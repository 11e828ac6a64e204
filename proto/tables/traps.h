/* proto/tables/traps.h -- why a guest trapped. Numbers are on the wire: never renumber or reuse one. Pure data.
 * The texts are those that the official test-suite expects (as prefixes). */
#ifndef HEMI_TABLES_TRAPS_H
#define HEMI_TABLES_TRAPS_H

/* name, number, text */
#define WASM_TRAPS(X)                                                                                                  \
    X(NONE, 0, "no trap")                                                                                              \
    X(UNREACHABLE, 1, "unreachable")                                                                                   \
    X(DIV_ZERO, 2, "integer divide by zero")                                                                           \
    X(INT_OVERFLOW, 3, "integer overflow")                                                                             \
    X(CONVERSION, 4, "invalid conversion to integer")                                                                  \
    X(MEMORY_BOUNDS, 5, "out of bounds memory access")                                                                 \
    X(TABLE_BOUNDS, 6, "out of bounds table access")                                                                   \
    X(UNDEFINED_ELEMENT, 7, "undefined element")                                                                       \
    X(UNINITIALIZED, 8, "uninitialized element")                                                                       \
    X(INDIRECT_TYPE, 9, "indirect call type mismatch")                                                                 \
    X(STACK_OVERFLOW, 10, "call stack exhausted")                                                                      \
    X(NULL_REFERENCE, 11, "null reference")                                                                            \
    X(NULL_FUNCTION, 12, "null function reference")                                                                    \
    X(NULL_STRUCTURE, 13, "null structure reference")                                                                  \
    X(NULL_ARRAY, 14, "null array reference")                                                                          \
    X(NULL_I31, 15, "null i31 reference")                                                                              \
    X(NULL_EXCEPTION, 16, "null exception reference")                                                                  \
    X(CAST, 17, "cast failure")                                                                                        \
    X(ARRAY_BOUNDS, 18, "out of bounds array access")                                                                  \
    X(ALLOCATION, 19, "allocation size too large")                                                                     \
    X(HEAP_EXHAUSTED, 20, "garbage-collected heap exhausted")                                                          \
    X(HOST_TRAP, 21, "host function failed")

/* How much of a backtrace is kept: its innermost and its outermost frames. */
enum { TRACE_INNERMOST = 48, TRACE_OUTERMOST = 16, TRACE_ENTRIES_MAX = TRACE_INNERMOST + 1 + TRACE_OUTERMOST };

/* What an entry of a backtrace is. Numbers are on the wire. name, number, meaning */
#define TRACE_KINDS(X)                                                                                                 \
    X(FUNC, 0, "a function of a module")                                                                               \
    X(CONST, 1, "a constant expression of a module")                                                                   \
    X(HOST, 2, "a host function; its names are those of the first import that it served")                              \
    X(MORE, 3, "so many frames are left out here")
enum trace_kind {
#define X(name, number, meaning) TRACE_##name = number,
    TRACE_KINDS(X)
#undef X
};

enum wasm_trap {
#define X(name, number, text) TRAP_##name = number,
    WASM_TRAPS(X)
#undef X
};

#endif
