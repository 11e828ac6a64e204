/* proto/tables/types.h -- value types as both sides of the socket and the engine write them. Pure data.
 *
 * A valtype is 32 bits: kind (bits 0-3), nullable (bit 4), heap type (bits 8-31, references only). A heap type is an
 * abstract one (HT_ANY...) or, below HT_FIRST_ABSTRACT, a type id: inside the engine the canonical id, never a
 * module-local index. (WebAssembly 3.0, 2.3 Types.) */
#ifndef HEMI_TABLES_TYPES_H
#define HEMI_TABLES_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t valtype;

/* name, kind value, binary code, text, bytes in memory */
#define WASM_VALKINDS(X)                                                                                               \
    X(BOT, 0, 0x00, "bot", 0)                                                                                          \
    X(I32, 1, 0x7F, "i32", 4)                                                                                          \
    X(I64, 2, 0x7E, "i64", 8)                                                                                          \
    X(F32, 3, 0x7D, "f32", 4)                                                                                          \
    X(F64, 4, 0x7C, "f64", 8)                                                                                          \
    X(V128, 5, 0x7B, "v128", 16)                                                                                       \
    X(REF, 6, 0x00, "ref", 4)                                                                                          \
    X(I8, 7, 0x78, "i8", 1)                                                                                            \
    X(I16, 8, 0x77, "i16", 2)

enum valkind {
#define X(name, value, code, text, size) VK_##name = value,
    WASM_VALKINDS(X)
#undef X
};

/* name, binary code, text, top of its hierarchy, is it a bottom */
#define WASM_HEAPTYPES(X)                                                                                              \
    X(NOEXN, 0x74, "noexn", EXN, 1)                                                                                    \
    X(NOFUNC, 0x73, "nofunc", FUNC, 1)                                                                                 \
    X(NOEXTERN, 0x72, "noextern", EXTERN, 1)                                                                           \
    X(NONE, 0x71, "none", ANY, 1)                                                                                      \
    X(FUNC, 0x70, "func", FUNC, 0)                                                                                     \
    X(EXTERN, 0x6F, "extern", EXTERN, 0)                                                                               \
    X(ANY, 0x6E, "any", ANY, 0)                                                                                        \
    X(EQ, 0x6D, "eq", ANY, 0)                                                                                          \
    X(I31, 0x6C, "i31", ANY, 0)                                                                                        \
    X(STRUCT, 0x6B, "struct", ANY, 0)                                                                                  \
    X(ARRAY, 0x6A, "array", ANY, 0)                                                                                    \
    X(EXN, 0x69, "exn", EXN, 0)

#define HT_FIRST_ABSTRACT 0xFFFF00u
enum heaptype {
#define X(name, code, text, top, bottom) HT_##name = HT_FIRST_ABSTRACT + code,
    WASM_HEAPTYPES(X)
#undef X
};

#define VT_MAKE(kind) ((valtype)(kind))
#define VT_I32 VT_MAKE(VK_I32)
#define VT_I64 VT_MAKE(VK_I64)
#define VT_F32 VT_MAKE(VK_F32)
#define VT_F64 VT_MAKE(VK_F64)
#define VT_V128 VT_MAKE(VK_V128)
#define VT_I8 VT_MAKE(VK_I8)
#define VT_I16 VT_MAKE(VK_I16)
#define VT_BOT VT_MAKE(VK_BOT)
#define VT_REF(nullable, ht) ((valtype)VK_REF | ((nullable) ? 16u : 0u) | ((valtype)(ht) << 8))

static inline enum valkind vt_kind(valtype t) { return (enum valkind)(t & 15u); }
static inline bool vt_is_ref(valtype t) { return vt_kind(t) == VK_REF; }
static inline bool vt_nullable(valtype t) { return (t & 16u) != 0; }
static inline uint32_t vt_heap(valtype t) { return t >> 8; }
static inline bool ht_is_abstract(uint32_t ht) { return ht >= HT_FIRST_ABSTRACT; }

/* What instances import and export; EXTERN_REF is any other reference (only on the wire). Binary format's numbers. */
enum extern_kind { EXTERN_FUNC, EXTERN_TABLE, EXTERN_MEMORY, EXTERN_GLOBAL, EXTERN_TAG, EXTERN_REF, EXTERN_KINDS };

#endif
