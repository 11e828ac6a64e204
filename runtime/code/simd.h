/* runtime/code/simd.h -- what the SIMD bodies are written with: SIMDe's functions (simde_wasm_*), and ours (simd_*) for
 * what SIMDe 0.7.4 has wrong or not at all. bodies_simd.def says which row uses which.
 *
 * Compiled for the baseline of the architecture (x86-64: SSE2, AArch64: NEON), so there is nothing to ask of the
 * machine at run time. A T_v is 16 bytes with lane 0 first, as in linear memory.
 *
 * School: TRUSTED, as bodies.h; nothing here traps, allocates or calls a function of the C library. The last is why
 * rounding is ours: SIMDe rounds most shapes through libm, which a stencil may not call.
 *
 * Ours           because SIMDe, on x86-64
 * MIN MAX        returns the second of -0 and +0, and a signalling NaN as it is
 * CEIL FLOOR TRUNC NEAREST
 *                calls libm for five of the eight, and loses the sign of a zero in f64x2.ceil
 * Q15MULR_SAT    saturates 0x7FFF, which is right already, and not 0x8000, which is not
 * I64X2_ALL_TRUE compares as doubles, for which some lanes that are not zero are
 * I32X4_TRUNC_SAT_F32X4_U
 *                makes 0x80000000 of values above it
 * relaxed rows   chooses what the machine does; ours are the same everywhere (docs/design-notes.md)
 * SWIZZLE        makes a branch and a byte in memory of each lane (SSE2 has no instruction for it)
 * lanes by number, shuffle
 *                takes lane numbers that are constants of the compiler's, not of the module's */
#ifndef HEMI_RUNTIME_CODE_SIMD_H
#define HEMI_RUNTIME_CODE_SIMD_H

#include "runtime/code/bodies.h"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything" /* as for any header of the system's: its code is not ours to mend */
#include <simde/wasm/simd128.h>
#pragma clang diagnostic pop

typedef float lanes_f32 __attribute__((vector_size(16)));
typedef double lanes_f64 __attribute__((vector_size(16)));
typedef int32_t lanes_i32 __attribute__((vector_size(16)));
typedef int64_t lanes_i64 __attribute__((vector_size(16)));
typedef uint32_t lanes_u32 __attribute__((vector_size(16)));

/* Any value with the bits of `set` where `mask` is all ones and those of `clear` where it is zero. */
#define LANES_WHERE(mask, set, clear) simde_wasm_v128_bitselect((T_v)(set), (T_v)(clear), (T_v)(mask))

/* Minimum and maximum, and rounding: as in bodies.h, for all lanes at once. `whole` is where floats become integral. */
#define FLOAT_LANES(shape, type, itype, whole, nan)                                                                    \
    ALWAYS T_v simd_##shape##_or_nan(type a, type b, T_v r) { return LANES_WHERE((a != a) | (b != b), a + b, r); }     \
    ALWAYS T_v simd_##shape##_canonical(T_v v) { return LANES_WHERE((type)v != (type)v, (itype){0} + (nan), v); }      \
    ALWAYS T_v simd_##shape##_min(T_v va, T_v vb)                                                                      \
    {                                                                                                                  \
        type a = (type)va, b = (type)vb;                                                                               \
        T_v r = LANES_WHERE(a > b, vb, (itype)va | (itype)vb);                                                         \
        return simd_##shape##_or_nan(a, b, LANES_WHERE(a < b, va, r));                                                 \
    }                                                                                                                  \
    ALWAYS T_v simd_##shape##_max(T_v va, T_v vb)                                                                      \
    {                                                                                                                  \
        type a = (type)va, b = (type)vb;                                                                               \
        T_v r = LANES_WHERE(a < b, vb, (itype)va & (itype)vb);                                                         \
        return simd_##shape##_or_nan(a, b, LANES_WHERE(a > b, va, r));                                                 \
    }                                                                                                                  \
    ALWAYS type simd_##shape##_signed_like(type v, type s) { return (type)LANES_WHERE(-(type){0}, s, v); }             \
    ALWAYS type simd_##shape##_half_even(type v)                                                                       \
    {                                                                                                                  \
        type big = simd_##shape##_signed_like((type){0} + (whole), v);                                                 \
        return (v + big) - big;                                                                                        \
    }                                                                                                                  \
    ALWAYS T_v simd_##shape##_rounded(type v, type rounded)                                                            \
    {                                                                                                                  \
        type size = (type)simde_wasm_##shape##_abs((T_v)v);                                                            \
        T_v r = LANES_WHERE(size < (whole), simd_##shape##_signed_like(rounded, v), v);                                \
        return simd_##shape##_or_nan(v, v, r);                                                                         \
    }                                                                                                                  \
    ALWAYS T_v simd_##shape##_nearest(T_v v)                                                                           \
    {                                                                                                                  \
        return simd_##shape##_rounded((type)v, simd_##shape##_half_even((type)v));                                     \
    }                                                                                                                  \
    ALWAYS T_v simd_##shape##_floor(T_v v)                                                                             \
    {                                                                                                                  \
        type r = simd_##shape##_half_even((type)v);                                                                    \
        return simd_##shape##_rounded((type)v, (type)LANES_WHERE(r > (type)v, r - 1, r));                              \
    }                                                                                                                  \
    ALWAYS T_v simd_##shape##_ceil(T_v v)                                                                              \
    {                                                                                                                  \
        type r = simd_##shape##_half_even((type)v);                                                                    \
        return simd_##shape##_rounded((type)v, (type)LANES_WHERE(r < (type)v, r + 1, r));                              \
    }                                                                                                                  \
    ALWAYS T_v simd_##shape##_trunc(T_v v)                                                                             \
    {                                                                                                                  \
        type size = (type)simde_wasm_##shape##_abs(v), r = simd_##shape##_half_even(size);                             \
        return simd_##shape##_rounded((type)v, (type)LANES_WHERE(r > size, r - 1, r));                                 \
    }
FLOAT_LANES(f32x4, lanes_f32, lanes_i32, 0x1p23f, CANONICAL_NAN32)
FLOAT_LANES(f64x2, lanes_f64, lanes_i64, 0x1p52, CANONICAL_NAN64)
#undef FLOAT_LANES

ALWAYS uint32_t simd_i64x2_all_true(T_v v)
{
    lanes_i64 a = (lanes_i64)v;
    return (a[0] != 0) & (a[1] != 0);
}

/* Half of the double product, rounded; only that of two minima is too large. */
ALWAYS T_v simd_i16x8_q15mulr_sat(T_v a, T_v b)
{
    T_v half = simde_wasm_i32x4_splat(0x4000);
    T_v low = simde_wasm_i32x4_add(simde_wasm_i32x4_extmul_low_i16x8(a, b), half);
    T_v high = simde_wasm_i32x4_add(simde_wasm_i32x4_extmul_high_i16x8(a, b), half);
    return simde_wasm_i16x8_narrow_i32x4(simde_wasm_i32x4_shr(low, 15), simde_wasm_i32x4_shr(high, 15));
}

/* Values from 2^31 on are brought into the range of signed numbers, and back; what is too large stays so. */
ALWAYS T_v simd_u32x4_trunc_sat_f32x4(T_v v)
{
    lanes_i32 big = (lanes_f32)v >= 0x1p31f;
    lanes_f32 shift = (lanes_f32)(big & (lanes_i32)((lanes_f32){0} + 0x1p31f));
    T_v low = simde_wasm_i32x4_trunc_sat_f32x4((T_v)((lanes_f32)v - shift));
    return (T_v)((lanes_i32)simde_wasm_i32x4_max(low, simde_wasm_i32x4_splat(0)) | (big & INT32_MIN));
}

/* ---- Relaxed rows. Products of signed lanes, the sum of two of them saturated. */
ALWAYS T_v simd_i16x8_relaxed_dot(T_v a, T_v b)
{
    T_v odd = simde_wasm_i16x8_mul(simde_wasm_i16x8_shr(a, 8), simde_wasm_i16x8_shr(b, 8));
    T_v even_a = simde_wasm_i16x8_shr(simde_wasm_i16x8_shl(a, 8), 8);
    T_v even_b = simde_wasm_i16x8_shr(simde_wasm_i16x8_shl(b, 8), 8);
    return simde_wasm_i16x8_add_sat(simde_wasm_i16x8_mul(even_a, even_b), odd);
}
ALWAYS T_v simd_i32x4_relaxed_dot_add(T_v a, T_v b, T_v c)
{
    return simde_wasm_i32x4_add(simde_wasm_i32x4_extadd_pairwise_i16x8(simd_i16x8_relaxed_dot(a, b)), c);
}

/* ---- Lanes by number. What is made of a vector in parts stays in registers until it is whole: a load of 16 bytes
 * behind a store of fewer waits for it. */

/* Eight of the 32 bytes at a and b, by their numbers (below 32), which are the bytes of `numbers`. */
ALWAYS uint64_t simd_pick(const uint8_t *a, const uint8_t *b, uint64_t numbers)
{
    uint64_t r = 0;
    for (uint32_t k = 0; k < 64; k += 8) {
        uint32_t number = (uint32_t)(numbers >> k) & 31u;
        r |= (uint64_t)(number < 16 ? a : b)[number & 15u] << k;
    }
    return r;
}
ALWAYS T_v simd_i8x16_swizzle(const uint8_t *a, T_v b)
{
    T_v there = simde_wasm_u8x16_lt(b, simde_wasm_i8x16_splat(16));
    return (T_v){simd_pick(a, a, b[0]), simd_pick(a, a, b[1])} & there;
}

/* simd_with_TYPE(v, number, to): v with another lane of that type. */
#define WITH_LANE(type, compared, ...)                                                                                 \
    ALWAYS T_v simd_with_##type(T_v v, uint32_t number, type to)                                                       \
    {                                                                                                                  \
        typedef type lanes __attribute__((vector_size(16)));                                                           \
        typedef compared numbers __attribute__((vector_size(16)));                                                     \
        return LANES_WHERE(((numbers){__VA_ARGS__}) == (compared)number, (lanes){0} + to, v);                          \
    }
WITH_LANE(uint8_t, uint8_t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
WITH_LANE(uint16_t, uint16_t, 0, 1, 2, 3, 4, 5, 6, 7)
WITH_LANE(uint32_t, uint32_t, 0, 1, 2, 3)
WITH_LANE(uint64_t, uint32_t, 0, 0, 1, 1)
#undef WITH_LANE

#endif
