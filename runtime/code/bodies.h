/* runtime/code/bodies.h -- what the instruction bodies are written with: fields, operands, and inline C that both forms
 * share.
 *
 * School: TRUSTED: bodies run validated code. Nothing here calls a function of the C library: a stencil may refer to
 * its holes, the table of helpers and constants only. */
#ifndef HEMI_RUNTIME_CODE_BODIES_H
#define HEMI_RUNTIME_CODE_BODIES_H

#include "runtime/code/vm.h"
#include <float.h>
#include <string.h>

#define VM_NONE __attribute__((preserve_none))
#define VM_TAIL __attribute__((musttail))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ALWAYS static inline __attribute__((always_inline, unused))

/* Where an instruction's fields are: {s32 handler, u16 d, operands, immediates}. */
enum { AT_HANDLER = 0, AT_D = 4, AT_A = 6 };

typedef uint32_t T_i;
typedef uint64_t T_I;
typedef float T_f;
typedef double T_F;
typedef uint64_t T_D;

/* Bytes of an operand of a kind and type. */
#define SZ_S_i 2
#define SZ_S_I 2
#define SZ_S_f 2
#define SZ_S_F 2
#define SZ_S_D 2
#define SZ_R_i 0
#define SZ_R_I 0
#define SZ_R_f 0
#define SZ_R_F 0
#define SZ_R_D 0
#define SZ_C_i 4
#define SZ_C_I 4
#define SZ_C_f 4
#define SZ_C_F 8
#define SZ_C_D 8

#define LOADER(name, type)                                                                                             \
    ALWAYS type name(const void *at)                                                                                   \
    {                                                                                                                  \
        type v;                                                                                                        \
        __builtin_memcpy(&v, at, sizeof v);                                                                            \
        return v;                                                                                                      \
    }
LOADER(ld8, uint8_t)
LOADER(ld16, uint16_t)
LOADER(ld32, uint32_t)
LOADER(ld64, uint64_t)
LOADER(lds32, int32_t)
LOADER(ldf32, float)
LOADER(ldf64, double)
#undef LOADER
ALWAYS void st8(void *at, uint8_t v) { __builtin_memcpy(at, &v, 1); }
ALWAYS void st16(void *at, uint16_t v) { __builtin_memcpy(at, &v, 2); }
ALWAYS void st32(void *at, uint32_t v) { __builtin_memcpy(at, &v, 4); }
ALWAYS void st64(void *at, uint64_t v) { __builtin_memcpy(at, &v, 8); }
ALWAYS float f32_of(uint32_t bits) { return ldf32(&bits); }
ALWAYS double f64_of(uint64_t bits) { return ldf64(&bits); }
ALWAYS uint32_t f32_bits(float v) { return ld32(&v); }
ALWAYS uint64_t f64_bits(double v) { return ld64(&v); }

/* A v128 in its two slots, or anywhere else. */
typedef uint64_t T_v __attribute__((vector_size(16)));
ALWAYS T_v ldv(const void *at)
{
    T_v v;
    __builtin_memcpy(&v, at, sizeof v);
    return v;
}
ALWAYS void stv(void *at, T_v v) { __builtin_memcpy(at, &v, sizeof v); }

/* Four slots. Volatile, like all loops over slots here, so that no call of memset comes of it. */
typedef uint64_t two_slots __attribute__((vector_size(16), aligned(8)));
ALWAYS void zero4(char *slots)
{
    volatile two_slots *at = (volatile two_slots *)(void *)slots;
    at[0] = at[1] = (two_slots){0};
}

/* A value and the 64 bits that a slot or r0 holds. 32-bit values are zero-extended: a narrower store followed by a
 * 64-bit load of the slot would stall store forwarding. */
#define BITS_i(v) ((uint64_t)(uint32_t)(v))
#define BITS_I(v) ((uint64_t)(v))
#define BITS_f(v) ((uint64_t)f32_bits(v))
#define BITS_F(v) f64_bits(v)
#define BITS_D(v) ((uint64_t)(v))
#define VALUE_i(bits) ((uint32_t)(bits))
#define VALUE_I(bits) (bits)
#define VALUE_f(bits) f32_of((uint32_t)(bits))
#define VALUE_F(bits) f64_of(bits)
#define VALUE_D(bits) (bits)

#define SLOT(off) (fp + FIELD_SLOT(off))
#define READ_S_i(off) ld32(SLOT(off))
#define READ_S_I(off) ld64(SLOT(off))
#define READ_S_f(off) ldf32(SLOT(off))
#define READ_S_F(off) ldf64(SLOT(off))
#define READ_S_D(off) ld64(SLOT(off))
#define READ_R_i(off) VALUE_i(r0)
#define READ_R_I(off) VALUE_I(r0)
#define READ_R_f(off) VALUE_f(r0)
#define READ_R_F(off) VALUE_F(r0)
#define READ_R_D(off) VALUE_D(r0)
#define READ_C_i(off) FIELD_U32(off)
#define READ_C_I(off) ((uint64_t)(int64_t)(int32_t)FIELD_U32(off))
#define READ_C_f(off) f32_of(FIELD_U32(off))
#define READ_C_F(off) f64_of(FIELD_U64(off))
#define READ_C_D(off) FIELD_U64(off)
#define READ_S_v(off) ldv(SLOT(off))
#define PUT_S_v(v) stv(SLOT(AT_D), v)
#define PUT_S_i(v) PUT_S(BITS_i(v))
#define PUT_S_I(v) PUT_S(BITS_I(v))
#define RESULT_R(bits) r0 = (bits)
#define RESULT_S(bits) st64(SLOT(AT_D), r0 = (bits))
#define PUT_S(bits) st64(SLOT(AT_D), bits)

/* ---- Safepoints (code.h .safepoint). D is the offset of the u16 field with the delta, S of the u32 with the site. */
#define WRITE_SITE(callee_fp, S)                                                                                       \
    do {                                                                                                               \
        st32((callee_fp) - 8, FIELD_U32(S));                                                                           \
        st32((callee_fp) - 4, in->id);                                                                                 \
    } while (0)
#define SAFEPOINT(D, S)                                                                                                \
    do {                                                                                                               \
        WRITE_SITE(SLOT(D), S);                                                                                        \
        vm->exit_fp = SLOT(D);                                                                                         \
    } while (0)
/* Calls a helper at a safepoint; unwinds if it fails. Everything derived from in, vm and mem is reloaded (vm.h .base).
 */
#define CALL_HELPER(name, D, S, slots, a, b)                                                                           \
    do {                                                                                                               \
        SAFEPOINT(D, S);                                                                                               \
        if (UNLIKELY(HELPER(name)(vm, in, slots, a, b))) UNWIND(FIELD_U32(S));                                         \
        mem = in->mem0;                                                                                                \
    } while (0)
#define POLL(D, S)                                                                                                     \
    do {                                                                                                               \
        if (UNLIKELY(*vm->poll)) CALL_HELPER(poll, D, S, fp, 0, 0);                                                    \
    } while (0)

/* ---- Numbers. WebAssembly 3.0, 4.3 "Numerics". Each operation is rounded once, to its own type (-ffp-contract=off, no
 * x87), and NaNs and zeros' signs count. */
_Static_assert(FLT_EVAL_METHOD == 0, "floats are computed in a wider type");
#ifdef __FAST_MATH__
#error "floats must be exact"
#endif

ALWAYS uint32_t clz32(uint32_t v) { return v == 0 ? 32u : (uint32_t)__builtin_clz(v); }
ALWAYS uint32_t ctz32(uint32_t v) { return v == 0 ? 32u : (uint32_t)__builtin_ctz(v); }
ALWAYS uint64_t clz64(uint64_t v) { return v == 0 ? 64u : (uint64_t)__builtin_clzll(v); }
ALWAYS uint64_t ctz64(uint64_t v) { return v == 0 ? 64u : (uint64_t)__builtin_ctzll(v); }
ALWAYS uint32_t rotl32(uint32_t v, uint32_t n) { return (v << (n & 31u)) | (v >> (-n & 31u)); }
ALWAYS uint64_t rotl64(uint64_t v, uint64_t n) { return (v << (n & 63u)) | (v >> (-n & 63u)); }

#define CANONICAL_NAN32 0x7FC00000u
#define CANONICAL_NAN64 0x7FF8000000000000u

/* Minimum and maximum: a NaN wins (quieted by the addition), and -0 is less than +0. */
#define MIN_MAX(type, suffix, bits_of, value_of)                                                                       \
    ALWAYS type min_##suffix(type a, type b)                                                                           \
    {                                                                                                                  \
        if (a != a || b != b) return a + b;                                                                            \
        if (a == b) return value_of(bits_of(a) | bits_of(b));                                                          \
        return a < b ? a : b;                                                                                          \
    }                                                                                                                  \
    ALWAYS type max_##suffix(type a, type b)                                                                           \
    {                                                                                                                  \
        if (a != a || b != b) return a + b;                                                                            \
        if (a == b) return value_of(bits_of(a) & bits_of(b));                                                          \
        return a > b ? a : b;                                                                                          \
    }
MIN_MAX(float, f32, f32_bits, f32_of)
MIN_MAX(double, f64, f64_bits, f64_of)
#undef MIN_MAX

/* Rounding without the C library. Values of magnitude `whole` and more are integral already; adding and subtracting it
 * rounds smaller ones to nearest, ties to even. The sign is put back so that -0.3 becomes -0. */
#define ROUNDING(type, suffix, itype, whole, bits_of, value_of, sign)                                                  \
    ALWAYS type signed_like_##suffix(type v, type s)                                                                   \
    {                                                                                                                  \
        return value_of((bits_of(v) & ~(sign)) | (bits_of(s) & (sign)));                                               \
    }                                                                                                                  \
    ALWAYS bool is_integral_##suffix(type v) { return !(value_of(bits_of(v) & ~(sign)) < (whole)); }                   \
    ALWAYS type quiet_##suffix(type v) { return v != v ? v + v : v; }                                                  \
    ALWAYS type trunc_##suffix(type v)                                                                                 \
    {                                                                                                                  \
        if (is_integral_##suffix(v)) return quiet_##suffix(v);                                                         \
        return signed_like_##suffix((type)(itype)v, v);                                                                \
    }                                                                                                                  \
    ALWAYS type floor_##suffix(type v)                                                                                 \
    {                                                                                                                  \
        if (is_integral_##suffix(v)) return quiet_##suffix(v);                                                         \
        type t = (type)(itype)v;                                                                                       \
        return signed_like_##suffix(t > v ? t - 1 : t, v);                                                             \
    }                                                                                                                  \
    ALWAYS type ceil_##suffix(type v)                                                                                  \
    {                                                                                                                  \
        if (is_integral_##suffix(v)) return quiet_##suffix(v);                                                         \
        type t = (type)(itype)v;                                                                                       \
        return signed_like_##suffix(t < v ? t + 1 : t, v);                                                             \
    }                                                                                                                  \
    ALWAYS type nearest_##suffix(type v)                                                                               \
    {                                                                                                                  \
        if (is_integral_##suffix(v)) return quiet_##suffix(v);                                                         \
        type big = signed_like_##suffix(whole, v);                                                                     \
        return signed_like_##suffix((v + big) - big, v);                                                               \
    }
ROUNDING(float, f32, int32_t, 0x1p23f, f32_bits, f32_of, 0x80000000u)
ROUNDING(double, f64, int64_t, 0x1p52, f64_bits, f64_of, 0x8000000000000000u)
#undef ROUNDING

/* ---- Types and objects. */
#define HEAP(ref, off) (vm->heap.base + (ref) + (off))

/* Is canonical type `id` the type `want` or a proper subtype of it? */
ALWAYS bool type_is(const struct vm *vm, uint32_t id, uint32_t want)
{
    if (LIKELY(id == want)) return true;
    const struct rtype *t = &vm->rtypes[id];
    uint32_t depth = vm->rtypes[want].depth;
    return (depth < TYPE_DISPLAY_INLINE || depth <= t->depth) && t->display[depth] == want;
}
ALWAYS bool is_object(uint32_t ref) { return ref != 0 && (ref & 1u) == 0; }
ALWAYS uint32_t object_desc(const struct vm *vm, uint32_t ref) { return ld32(HEAP(ref, 0)) >> 1; }
ALWAYS bool object_is_exactly(const struct vm *vm, uint32_t ref, uint32_t want)
{
    return is_object(ref) && object_desc(vm, ref) == want;
}
ALWAYS bool object_is(const struct vm *vm, uint32_t ref, uint32_t want)
{
    return is_object(ref) && type_is(vm, object_desc(vm, ref), want);
}
ALWAYS bool func_is(const struct vm *vm, uint32_t id, uint32_t want)
{
    return id != 0 && type_is(vm, func_code(vm, id)->type, want);
}
/* Abstract heap types below `any` as sets of what an object can be: bit 0 an i31, bit k an object whose type has
 * kind k (enum type_kind). */
enum {
    KINDS_I31 = 1u,
    KINDS_STRUCT = 1u << TYPE_STRUCT,
    KINDS_ARRAY = 1u << TYPE_ARRAY,
    KINDS_EQ = KINDS_I31 | KINDS_STRUCT | KINDS_ARRAY
};
ALWAYS bool object_has_kind(const struct vm *vm, uint32_t ref, uint32_t kinds)
{
    if (ref == 0) return false;
    if (ref & 1u) return (kinds & KINDS_I31) != 0;
    return ((kinds >> vm->rtypes[object_desc(vm, ref)].kind) & 1u) != 0;
}

/* Element stores of the four sizes that fields and elements have, but for those of v128. */
#define ST_1(at, v) st8(at, (uint8_t)(v))
#define ST_2(at, v) st16(at, (uint16_t)(v))
#define ST_4(at, v) st32(at, v)
#define ST_8(at, v) st64(at, v)

/* Bytes up to which an array is made and filled by the body itself, not by a helper (which polls). */
enum { ARRAY_INLINE_BYTES = 1024 };
/* The same for memory.copy and memory.fill. */
enum { BULK_INLINE_BYTES = 4096 };
ALWAYS uint32_t array_bytes(uint32_t length, uint32_t size) { return (HEAP_ARRAY_DATA + length * size + 3u) & ~3u; }

#endif
