/* tests/unit/runtime/simd_test.c -- every SIMD row that computes lanes from lanes, against plain C on one lane at a
 * time, over random and extreme operands. HEMI_SEED repeats a run. */
#include "proto/tables/opcodes.h"
#include "runtime/code/simd.h"
#include "runtime/translate/impl.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

union lanes {
    T_v v;
    int8_t i8[16];
    uint8_t u8[16];
    int16_t i16[8];
    uint16_t u16[8];
    int32_t i32[4];
    uint32_t u32[4];
    int64_t i64[2];
    uint64_t u64[2];
    float f32[4];
    double f64[2];
};

/* What an instruction has beside its operands: immediates, and the memory it accesses. */
struct setting {
    uint32_t lane, address, more, offset; /* more: how much of the address is added by the load */
    uint8_t shuffle[16], memory[64];
};
static struct setting now;
static uint32_t next_size;

/* ---- The rows as functions */
#define FIELD_SLOT(off) ((size_t)ld16(pc + (off)) * SLOT_BYTES)
#define FIELD_U16(off) ((uint32_t)ld16(pc + (off)))
#define FIELD_U32(off) ld32(pc + (off))
#define FIELD_U64(off) ld64(pc + (off))
#define MEMORY_ACCESS_ANY(at, address, width) uint8_t *at = now.memory + (address) + FIELD_U64(IMM + 4)
#define LOAD_MEMORY(tr, ctype, to, address)                                                                            \
    do {                                                                                                               \
        ctype v_;                                                                                                      \
        memcpy(&v_, now.memory + (address) + FIELD_U32(IMM), sizeof v_);                                               \
        to = (T_##tr)v_;                                                                                               \
    } while (0)
#define STORE_MEMORY(ctype, address, value)                                                                            \
    do {                                                                                                               \
        ctype v_ = (ctype)(value);                                                                                     \
        memcpy(now.memory + (address) + FIELD_U32(IMM), &v_, sizeof v_);                                               \
    } while (0)
#define NEXT(size)                                                                                                     \
    do {                                                                                                               \
        next_size = (size);                                                                                            \
        return;                                                                                                        \
    } while (0)

#define BODIES_OWN_ROWS
#define SIMD(name, size, flags, ...) static void run_##name(const uint8_t *pc, char *fp) __VA_ARGS__
#define SIMD_FORM(name, form, size, ...) static void run_##name##_##form(const uint8_t *pc, char *fp) __VA_ARGS__
#include "runtime/code/bodies.def"

/* A row's handlers, by form: the row's own, and those of SIMD_FORM. */
enum form { FORM_ALL, FORM_0, FORM_SUM_SS, FORM_SUM_SC, FORM_C, FORM_32, FORMS };
static const struct row {
    const char *name;
    void (*run)(const uint8_t *pc, char *fp);
    uint32_t size, flags;
} rows[FORMS][OP_COUNT] = {
#define BODIES_OWN_ROWS
#define SIMD(name, size, flags, ...) [FORM_ALL][OP_##name] = {#name, run_##name, size, flags},
#define SIMD_FORM(name, form, size, ...) [FORM_##form][OP_##name] = {#name "_" #form, run_##name##_##form, size, 0},
#include "runtime/code/bodies.def"
};

/* ---- The same in plain C */

/* LANES(name, as, n, expression of x, y, z: the lane of each operand; k: its number) */
#define LANES(name, as, n, ...)                                                                                        \
    static void plain_##name(union lanes *d, const union lanes *o)                                                     \
    {                                                                                                                  \
        for (int k = 0; k < (n); k++) {                                                                                \
            __typeof__(d->as[0]) x = o[0].as[k], y = o[1].as[k], z = o[2].as[k];                                       \
            (void)x, (void)y, (void)z;                                                                                 \
            d->as[k] = (__typeof__(x))(__VA_ARGS__);                                                                   \
        }                                                                                                              \
    }
/* CHANGE: the lanes of the result are of another type than those of the operands, and anything may be named. */
#define CHANGE(name, as, n, ...)                                                                                       \
    static void plain_##name(union lanes *d, const union lanes *o)                                                     \
    {                                                                                                                  \
        const union lanes *a = &o[0], *b = &o[1], *c = &o[2];                                                          \
        (void)a, (void)b, (void)c;                                                                                     \
        for (int k = 0; k < (n); k++) d->as[k] = (__typeof__(d->as[0]))(__VA_ARGS__);                                  \
    }
/* NUMBER: not lanes. BITS: an i32, bit by bit. */
#define NUMBER(name, ...)                                                                                              \
    static void plain_##name(union lanes *d, const union lanes *o)                                                     \
    {                                                                                                                  \
        const union lanes *a = o;                                                                                      \
        d->u64[0] = (__VA_ARGS__);                                                                                     \
    }
#define BITS(name, n, ...)                                                                                             \
    static void plain_##name(union lanes *d, const union lanes *o)                                                     \
    {                                                                                                                  \
        const union lanes *a = o;                                                                                      \
        uint32_t r = 0;                                                                                                \
        for (int k = 0; k < (n); k++) r |= (uint32_t)(__VA_ARGS__) << k;                                               \
        d->u64[0] = r;                                                                                                 \
    }

typedef void lanes_function(union lanes *d, const union lanes *x);

static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }
static int64_t truncated(double v, int64_t low, int64_t high)
{
    if (isnan(v)) return 0;
    if (v <= (double)low) return low;
    return v >= (double)high ? high : (int64_t)v;
}
static int64_t wrapping_abs(int64_t v) { return v < 0 ? (int64_t)(0 - (uint64_t)v) : v; }
/* IEEE 754-2019 minimum and maximum. */
static double minimum(double x, double y)
{
    if (isnan(x) || isnan(y)) return NAN;
    return x < y || (x == y && signbit(x)) ? x : y;
}
static double maximum(double x, double y)
{
    if (isnan(x) || isnan(y)) return NAN;
    return x > y || (x == y && !signbit(x)) ? x : y;
}
static int popcount8(uint8_t v) { return __builtin_popcount(v); }
static int64_t q15mulr(int64_t x, int64_t y) { return clamp((x * y + 0x4000) >> 15, INT16_MIN, INT16_MAX); }
static int64_t dot8(const union lanes *a, const union lanes *b, int k)
{
    int sum = a->i8[2 * k] * b->i8[2 * k] + a->i8[2 * k + 1] * b->i8[2 * k + 1];
    return clamp(sum, INT16_MIN, INT16_MAX);
}

#define COMPARES(shape, s, u, n)                                                                                       \
    LANES(shape##_EQ, s, n, -(x == y))                                                                                 \
    LANES(shape##_NE, s, n, -(x != y))                                                                                 \
    LANES(shape##_LT_S, s, n, -(x < y))                                                                                \
    LANES(shape##_GT_S, s, n, -(x > y))                                                                                \
    LANES(shape##_LE_S, s, n, -(x <= y))                                                                               \
    LANES(shape##_GE_S, s, n, -(x >= y))
#define COMPARES_U(shape, u, n)                                                                                        \
    LANES(shape##_LT_U, u, n, -(x < y))                                                                                \
    LANES(shape##_GT_U, u, n, -(x > y))                                                                                \
    LANES(shape##_LE_U, u, n, -(x <= y))                                                                               \
    LANES(shape##_GE_U, u, n, -(x >= y))                                                                               \
    LANES(shape##_MIN_U, u, n, x < y ? x : y)                                                                          \
    LANES(shape##_MAX_U, u, n, x > y ? x : y)
#define MIN_MAX_S(shape, s, n)                                                                                         \
    LANES(shape##_MIN_S, s, n, x < y ? x : y)                                                                          \
    LANES(shape##_MAX_S, s, n, x > y ? x : y)
/* b's first lane counts, modulo the width. */
#define INTEGERS(shape, s, u, n, width)                                                                                \
    CHANGE(shape##_SPLAT, u, n, a->u[0])                                                                               \
    LANES(shape##_ABS, s, n, wrapping_abs(x))                                                                          \
    LANES(shape##_NEG, u, n, 0u - x)                                                                                   \
    LANES(shape##_ADD, u, n, x + y)                                                                                    \
    LANES(shape##_SUB, u, n, x - y)                                                                                    \
    CHANGE(shape##_SHL, u, n, a->u[k] << (b->u32[0] % (width)))                                                        \
    CHANGE(shape##_SHR_S, s, n, a->s[k] >> (b->u32[0] % (width)))                                                      \
    CHANGE(shape##_SHR_U, u, n, a->u[k] >> (b->u32[0] % (width)))                                                      \
    static void plain_##shape##_ALL_TRUE(union lanes *d, const union lanes *o)                                         \
    {                                                                                                                  \
        d->u64[0] = 1;                                                                                                 \
        for (int k = 0; k < (n); k++)                                                                                  \
            if (o->u[k] == 0) d->u64[0] = 0;                                                                           \
    }                                                                                                                  \
    BITS(shape##_BITMASK, n, a->s[k] < 0)                                                                              \
    COMPARES(shape, s, u, n)
#define SATURATING(shape, s, u, n, width)                                                                              \
    LANES(shape##_ADD_SAT_S, s, n, clamp(x + y, -(1 << ((width) - 1)), (1 << ((width) - 1)) - 1))                      \
    LANES(shape##_SUB_SAT_S, s, n, clamp(x - y, -(1 << ((width) - 1)), (1 << ((width) - 1)) - 1))                      \
    LANES(shape##_ADD_SAT_U, u, n, clamp(x + y, 0, (1 << (width)) - 1))                                                \
    LANES(shape##_SUB_SAT_U, u, n, clamp(x - y, 0, (1 << (width)) - 1))                                                \
    LANES(shape##_AVGR_U, u, n, (x + y + 1) / 2)
#define WIDENING(shape, of, s, u, n, from_s, from_u)                                                                   \
    CHANGE(shape##_EXTEND_LOW_##of##_S, s, n, a->from_s[k])                                                            \
    CHANGE(shape##_EXTEND_HIGH_##of##_S, s, n, a->from_s[k + (n)])                                                     \
    CHANGE(shape##_EXTEND_LOW_##of##_U, u, n, a->from_u[k])                                                            \
    CHANGE(shape##_EXTEND_HIGH_##of##_U, u, n, a->from_u[k + (n)])                                                     \
    CHANGE(shape##_EXTMUL_LOW_##of##_S, s, n, (int64_t)a->from_s[k] * b->from_s[k])                                    \
    CHANGE(shape##_EXTMUL_HIGH_##of##_S, s, n, (int64_t)a->from_s[k + (n)] * b->from_s[k + (n)])                       \
    CHANGE(shape##_EXTMUL_LOW_##of##_U, u, n, (uint64_t)a->from_u[k] * b->from_u[k])                                   \
    CHANGE(shape##_EXTMUL_HIGH_##of##_U, u, n, (uint64_t)a->from_u[k + (n)] * b->from_u[k + (n)])
#define PAIRWISE(shape, of, s, u, n, from_s, from_u)                                                                   \
    CHANGE(shape##_EXTADD_PAIRWISE_##of##_S, s, n, a->from_s[2 * k] + a->from_s[2 * k + 1])                            \
    CHANGE(shape##_EXTADD_PAIRWISE_##of##_U, u, n, a->from_u[2 * k] + a->from_u[2 * k + 1])
#define FLOATS(shape, f, i, n, suffix)                                                                                 \
    CHANGE(shape##_SPLAT, i, n, a->i[0])                                                                               \
    CHANGE(shape##_EQ, i, n, -(a->f[k] == b->f[k]))                                                                    \
    CHANGE(shape##_NE, i, n, -(a->f[k] != b->f[k]))                                                                    \
    CHANGE(shape##_LT, i, n, -(a->f[k] < b->f[k]))                                                                     \
    CHANGE(shape##_GT, i, n, -(a->f[k] > b->f[k]))                                                                     \
    CHANGE(shape##_LE, i, n, -(a->f[k] <= b->f[k]))                                                                    \
    CHANGE(shape##_GE, i, n, -(a->f[k] >= b->f[k]))                                                                    \
    CHANGE(shape##_ABS, i, n, a->i[k] & ~((__typeof__(a->i[0]))1 << (128 / (n) - 1)))                                  \
    CHANGE(shape##_NEG, i, n, a->i[k] ^ (__typeof__(a->i[0]))1 << (128 / (n) - 1))                                     \
    LANES(shape##_CEIL, f, n, ceil##suffix(x))                                                                         \
    LANES(shape##_FLOOR, f, n, floor##suffix(x))                                                                       \
    LANES(shape##_TRUNC, f, n, trunc##suffix(x))                                                                       \
    LANES(shape##_NEAREST, f, n, rint##suffix(x))                                                                      \
    LANES(shape##_SQRT, f, n, sqrt##suffix(x))                                                                         \
    LANES(shape##_ADD, f, n, x + y)                                                                                    \
    LANES(shape##_SUB, f, n, x - y)                                                                                    \
    LANES(shape##_MUL, f, n, x *y)                                                                                     \
    LANES(shape##_DIV, f, n, x / y)                                                                                    \
    LANES(shape##_MIN, f, n, minimum(x, y))                                                                            \
    LANES(shape##_MAX, f, n, maximum(x, y))                                                                            \
    CHANGE(shape##_PMIN, i, n, b->f[k] < a->f[k] ? b->i[k] : a->i[k])                                                  \
    CHANGE(shape##_PMAX, i, n, a->f[k] < b->f[k] ? b->i[k] : a->i[k])                                                  \
    CHANGE(shape##_RELAXED_MADD, f, n, a->f[k] * b->f[k] + c->f[k])                                                    \
    CHANGE(shape##_RELAXED_NMADD, f, n, -(a->f[k] * b->f[k]) + c->f[k])                                                \
    LANES(shape##_RELAXED_MIN, f, n, minimum(x, y))                                                                    \
    LANES(shape##_RELAXED_MAX, f, n, maximum(x, y))
#define TRUNC_F32(name_s, name_u)                                                                                      \
    CHANGE(name_s, i32, 4, truncated(a->f32[k], INT32_MIN, INT32_MAX))                                                 \
    CHANGE(name_u, u32, 4, truncated(a->f32[k], 0, UINT32_MAX))
#define TRUNC_F64(name_s, name_u)                                                                                      \
    CHANGE(name_s, i32, 4, k < 2 ? truncated(a->f64[k & 1], INT32_MIN, INT32_MAX) : 0)                                 \
    CHANGE(name_u, u32, 4, k < 2 ? truncated(a->f64[k & 1], 0, UINT32_MAX) : 0)

INTEGERS(I8X16, i8, u8, 16, 8)
INTEGERS(I16X8, i16, u16, 8, 16)
INTEGERS(I32X4, i32, u32, 4, 32)
INTEGERS(I64X2, i64, u64, 2, 64)
COMPARES_U(I8X16, u8, 16)
COMPARES_U(I16X8, u16, 8)
COMPARES_U(I32X4, u32, 4)
MIN_MAX_S(I8X16, i8, 16)
MIN_MAX_S(I16X8, i16, 8)
MIN_MAX_S(I32X4, i32, 4)
SATURATING(I8X16, i8, u8, 16, 8)
SATURATING(I16X8, i16, u16, 8, 16)
WIDENING(I16X8, I8X16, i16, u16, 8, i8, u8)
WIDENING(I32X4, I16X8, i32, u32, 4, i16, u16)
WIDENING(I64X2, I32X4, i64, u64, 2, i32, u32)
PAIRWISE(I16X8, I8X16, i16, u16, 8, i8, u8)
PAIRWISE(I32X4, I16X8, i32, u32, 4, i16, u16)
FLOATS(F32X4, f32, u32, 4, f)
FLOATS(F64X2, f64, u64, 2, )
TRUNC_F32(I32X4_TRUNC_SAT_F32X4_S, I32X4_TRUNC_SAT_F32X4_U)
TRUNC_F32(I32X4_RELAXED_TRUNC_F32X4_S, I32X4_RELAXED_TRUNC_F32X4_U)
TRUNC_F64(I32X4_TRUNC_SAT_F64X2_S_ZERO, I32X4_TRUNC_SAT_F64X2_U_ZERO)
TRUNC_F64(I32X4_RELAXED_TRUNC_F64X2_S_ZERO, I32X4_RELAXED_TRUNC_F64X2_U_ZERO)

CHANGE(I8X16_SWIZZLE, u8, 16, b->u8[k] < 16 ? a->u8[b->u8[k] & 15] : 0)
CHANGE(I8X16_RELAXED_SWIZZLE, u8, 16, b->u8[k] < 16 ? a->u8[b->u8[k] & 15] : 0)
LANES(I8X16_POPCNT, u8, 16, popcount8(x))
LANES(I16X8_MUL, u16, 8, (uint32_t)x *y)
LANES(I32X4_MUL, u32, 4, x *y)
LANES(I64X2_MUL, u64, 2, x *y)
LANES(I16X8_Q15MULR_SAT_S, i16, 8, q15mulr(x, y))
LANES(I16X8_RELAXED_Q15MULR_S, i16, 8, q15mulr(x, y))
CHANGE(I8X16_NARROW_I16X8_S, i8, 16, clamp(k < 8 ? a->i16[k & 7] : b->i16[k & 7], INT8_MIN, INT8_MAX))
CHANGE(I8X16_NARROW_I16X8_U, u8, 16, clamp(k < 8 ? a->i16[k & 7] : b->i16[k & 7], 0, UINT8_MAX))
CHANGE(I16X8_NARROW_I32X4_S, i16, 8, clamp(k < 4 ? a->i32[k & 3] : b->i32[k & 3], INT16_MIN, INT16_MAX))
CHANGE(I16X8_NARROW_I32X4_U, u16, 8, clamp(k < 4 ? a->i32[k & 3] : b->i32[k & 3], 0, UINT16_MAX))
CHANGE(I32X4_DOT_I16X8_S, i32, 4,
       (int64_t)a->i16[2 * k] * b->i16[2 * k] + (int64_t)a->i16[2 * k + 1] * b->i16[2 * k + 1])
CHANGE(I16X8_RELAXED_DOT_I8X16_I7X16_S, i16, 8, dot8(a, b, k))
CHANGE(I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S, u32, 4, c->u32[k] + (uint32_t)(dot8(a, b, 2 * k) + dot8(a, b, 2 * k + 1)))
LANES(V128_NOT, u64, 2, ~x)
LANES(V128_AND, u64, 2, x &y)
LANES(V128_ANDNOT, u64, 2, x & ~y)
LANES(V128_OR, u64, 2, x | y)
LANES(V128_XOR, u64, 2, x ^ y)
LANES(V128_BITSELECT, u64, 2, (x & z) | (y & ~z))
LANES(I8X16_RELAXED_LANESELECT, u64, 2, (x & z) | (y & ~z))
LANES(I16X8_RELAXED_LANESELECT, u64, 2, (x & z) | (y & ~z))
LANES(I32X4_RELAXED_LANESELECT, u64, 2, (x & z) | (y & ~z))
LANES(I64X2_RELAXED_LANESELECT, u64, 2, (x & z) | (y & ~z))
BITS(V128_ANY_TRUE, 1, (a->u64[k] | a->u64[1]) != 0)
CHANGE(F32X4_CONVERT_I32X4_S, f32, 4, a->i32[k])
CHANGE(F32X4_CONVERT_I32X4_U, f32, 4, a->u32[k])
CHANGE(F64X2_CONVERT_LOW_I32X4_S, f64, 2, a->i32[k])
CHANGE(F64X2_CONVERT_LOW_I32X4_U, f64, 2, a->u32[k])
CHANGE(F32X4_DEMOTE_F64X2_ZERO, f32, 4, k < 2 ? a->f64[k & 1] : 0)
CHANGE(F64X2_PROMOTE_LOW_F32X4, f64, 2, a->f32[k])

/* Lanes by number. */
CHANGE(I8X16_SHUFFLE, u8, 16, now.shuffle[k] < 16 ? a->u8[now.shuffle[k] & 15] : b->u8[now.shuffle[k] & 15])
NUMBER(I8X16_EXTRACT_LANE_S, (uint32_t)a->i8[now.lane])
NUMBER(I8X16_EXTRACT_LANE_U, a->u8[now.lane])
NUMBER(I16X8_EXTRACT_LANE_S, (uint32_t)a->i16[now.lane])
NUMBER(I16X8_EXTRACT_LANE_U, a->u16[now.lane])
NUMBER(I32X4_EXTRACT_LANE, a->u32[now.lane])
NUMBER(F32X4_EXTRACT_LANE, a->u32[now.lane])
NUMBER(I64X2_EXTRACT_LANE, a->u64[now.lane])
NUMBER(F64X2_EXTRACT_LANE, a->u64[now.lane])
#define REPLACE(name, as, n) CHANGE(name, as, n, k == (int)now.lane ? b->as[0] : a->as[k])
REPLACE(I8X16_REPLACE_LANE, u8, 16)
REPLACE(I16X8_REPLACE_LANE, u16, 8)
REPLACE(I32X4_REPLACE_LANE, u32, 4)
REPLACE(F32X4_REPLACE_LANE, u32, 4)
REPLACE(I64X2_REPLACE_LANE, u64, 2)
REPLACE(F64X2_REPLACE_LANE, u64, 2)

/* Memory. */
static uint8_t *at(int k) { return now.memory + now.address + now.offset + k; }
#define EXTENDING(name, from_s, from_u, s, u, n)                                                                       \
    CHANGE(name##_S, s, n, ((union lanes){.u64 = {ld64(at(0))}}).from_s[k])                                            \
    CHANGE(name##_U, u, n, ((union lanes){.u64 = {ld64(at(0))}}).from_u[k])
EXTENDING(V128_LOAD8X8, i8, u8, i16, u16, 8)
EXTENDING(V128_LOAD16X4, i16, u16, i32, u32, 4)
EXTENDING(V128_LOAD32X2, i32, u32, i64, u64, 2)
CHANGE(V128_LOAD, u8, 16, *at(k))
CHANGE(V128_LOAD32_ZERO, u8, 16, k < 4 ? *at(k) : 0)
CHANGE(V128_LOAD64_ZERO, u8, 16, k < 8 ? *at(k) : 0)
#define LANE_MEMORY(width, as)                                                                                         \
    CHANGE(V128_LOAD##width##_SPLAT, u8, 16, *at(k % ((width) / 8)))                                                   \
    CHANGE(V128_LOAD##width##_LANE, as, 128 / (width), k == (int)now.lane ? ld##width(at(0)) : b->as[k])               \
    static void plain_V128_STORE##width##_LANE(union lanes *d, const union lanes *o)                                   \
    {                                                                                                                  \
        (void)d;                                                                                                       \
        memcpy(at(0), &o[1].as[now.lane], (width) / 8);                                                                \
    }
LANE_MEMORY(8, u8)
LANE_MEMORY(16, u16)
LANE_MEMORY(32, u32)
LANE_MEMORY(64, u64)
static void plain_V128_STORE(union lanes *d, const union lanes *o)
{
    (void)d;
    memcpy(at(0), &o[1], 16);
}

/* A row without a plain_ function does not compile. */
static lanes_function *const plain[OP_COUNT] = {
#define BODIES_OWN_ROWS
#define SIMD(name, ...) [OP_##name] = plain_##name,
#include "runtime/code/bodies.def"
};

/* ---- Operands */

static uint64_t state;
static uint64_t draw(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static void seed(void)
{
    const char *given = getenv("HEMI_SEED");
    state = given ? strtoull(given, NULL, 0) : 20260101;
    printf("HEMI_SEED=%llu\n", (unsigned long long)state);
    state |= 1;
}

#define PICK(table) (table)[draw() % (sizeof(table) / sizeof *(table))]
static uint32_t extreme32(void)
{
    static const uint32_t f32[] = {0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001,
                                   0xFFA00000, 0x7FFFFFFF, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x3F000000,
                                   0xBF000000, 0x3F800000, 0xBF800000, 0x3FC00000, 0x4F000000, 0x4EFFFFFF, 0xCF000000,
                                   0xCF000001, 0x4F800000, 0x4F7FFFFF, 0x4B000000, 0x4AFFFFFF, 0x7F7FFFFF};
    return PICK(f32);
}
static uint64_t extreme64(void)
{
    static const uint64_t f64[] = {
        0x0000000000000000, 0x8000000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000,
        0xFFF8000000000000, 0x7FF0000000000001, 0xFFF4000000000000, 0x7FFFFFFFFFFFFFFF, 0x0000000000000001,
        0x3FE0000000000000, 0xBFE0000000000000, 0x3FF0000000000000, 0xBFF0000000000000, 0x3FF8000000000000,
        0x41E0000000000000, 0x41DFFFFFFFC00000, 0x41DFFFFFFFE00000, 0xC1E0000000000000, 0xC1E0000000200000,
        0xC1E0000000100000, 0x41F0000000000000, 0x41EFFFFFFFE00000, 0x41EFFFFFFFF00000, 0x4330000000000000,
        0x432FFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF, 0x36A0000000000000, 0x47EFFFFFF0000000, 0x380FFFFFC0000000};
    return PICK(f64);
}
/* Lanes of one kind: of 1, 2, 4 or 8 bytes, random, extreme, or with a magnitude in which fractions matter. */
static union lanes operand(void)
{
    static const uint8_t bytes[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 63, 64, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF};
    static const uint16_t halves[] = {0,      1,      2,      255,    256,    0x7FFE, 0x7FFF,
                                      0x8000, 0x8001, 0xFF00, 0xFFFF, 0x4000, 0x00FF};
    union lanes o = {.u64 = {draw(), draw()}};
    uint32_t kind = (uint32_t)(draw() % 8);
    for (int k = 0; k < 16 && kind == 1; k++) o.u8[k] = PICK(bytes);
    for (int k = 0; k < 8 && kind == 2; k++) o.u16[k] = PICK(halves);
    for (int k = 0; k < 4 && kind == 3; k++) o.u32[k] = extreme32();
    for (int k = 0; k < 2 && kind == 4; k++) o.u64[k] = extreme64();
    for (int k = 0; k < 4 && kind == 5; k++) o.u32[k] = (o.u32[k] & 0x807FFFFF) | (uint32_t)(120 + draw() % 40) << 23;
    for (int k = 0; k < 2 && kind == 6; k++) o.u64[k] = (o.u64[k] & 0x800FFFFFFFFFFFFF) | (1015 + draw() % 64) << 52;
    if (kind == 7) memset(o.u8 + draw() % 16, 0, draw() % 2 ? 1 : 0);
    return o;
}

static void draw_setting(enum opcode op)
{
    uint32_t width = opcode_rows[op].width;
    if (width > 0) now.lane = (uint32_t)(draw() % (16 / width));
    now.address = (uint32_t)(draw() % 20);
    now.more = (uint32_t)draw();
    now.offset = (uint32_t)(draw() % 20);
    for (int k = 0; k < 16; k++) now.shuffle[k] = (uint8_t)(draw() % 32);
    for (int k = 0; k < 8; k++) {
        uint64_t bytes = draw();
        memcpy(now.memory + 8 * k, &bytes, 8);
    }
}

/* ---- Running a row as an instruction in a frame: operands in slots 0, 2, 4, the result in a slot that may overlap. */

static uint8_t *put(uint8_t *to, const void *from, size_t n) { return memcpy(to, from, n), to + n; }

static bool accesses_memory(enum opcode op)
{
    return opcode_rows[op].imm == IMM_MEMARG || opcode_rows[op].imm == IMM_MEMARG_LANE;
}

static uint8_t *put_u16(uint8_t *to, uint32_t v) { return put(to, &(uint16_t){(uint16_t)v}, 2); }
static uint8_t *put_u32(uint8_t *to, uint32_t v) { return put(to, &v, 4); }

/* The operands are in slots 0, 2 and 4. In a sum, a is the first part of the address and c the second. */
static uint8_t *put_operands(uint8_t *to, enum opcode op, enum form form, const union lanes *o)
{
    for (uint32_t k = 0; opcode_rows[op].sig[k] != '_'; k++)
        to = form == FORM_C && k == 1 ? put_u32(to, o[1].u32[0]) : put_u16(to, 2 * k);
    if (form == FORM_SUM_SS) to = put_u16(to, 4);
    if (form == FORM_SUM_SC) to = put_u32(to, now.more);
    return to;
}

static uint8_t *put_shuffle(uint8_t *to, enum form form)
{
    if (form != FORM_32) return put(to, now.shuffle, sizeof now.shuffle);
    for (uint32_t k = 0; k < 16; k += 4) to = put_u16(put_u16(to, now.shuffle[k] / 8u), now.shuffle[k] % 8u);
    return to;
}

static uint8_t *put_immediates(uint8_t *to, enum opcode op, enum form form)
{
    const uint64_t offset = now.offset;
    enum opcode_imm imm = opcode_rows[op].imm;
    if (imm == IMM_SHUFFLE) to = put_shuffle(to, form);
    if (accesses_memory(op)) to = form == FORM_ALL ? put(put_u32(to, 0), &offset, 8) : put_u32(to, now.offset);
    if (imm == IMM_LANE || imm == IMM_MEMARG_LANE) to = put_u16(to, now.lane);
    return to;
}

/* What is where the result goes, before and after. */
static void run(enum opcode op, enum form form, const union lanes *o, union lanes *before, union lanes *after)
{
    const struct row *row = &rows[form][op];
    uint16_t dest = (uint16_t)(draw() % 7);
    uint8_t insn[40] = {0}, *to = put(insn + AT_D, &dest, sizeof dest);
    union lanes frame[4] = {o[0], o[1], o[2], {.u64 = {draw(), draw()}}}, want[4];
    if (form != FORM_32) to = put_operands(to, op, form, o);
    to = put_immediates(to, op, form);
    char *result = (char *)frame + dest * SLOT_BYTES;
    memcpy(before, result, sizeof *before);
    memcpy(want, frame, sizeof frame);
    row->run(insn, (char *)frame);
    memcpy(after, result, sizeof *after);
    memcpy((char *)want + dest * SLOT_BYTES, after, sizeof *after);
    bool sized = next_size == row->size && to == insn + next_size;
    if (!sized || memcmp(want, frame, sizeof frame) != 0) ck_abort_msg("%s: %s", row->name, sized ? "slots" : "size");
}

/* ---- Comparing */

/* Where the row may make a NaN, any quiet one will do for another. */
static bool same_lane32(uint32_t got, uint32_t want)
{
    return got == want || (isnan(f32_of(want)) && isnan(f32_of(got)) && (got & 0x400000u) != 0);
}
static bool same_lane64(uint64_t got, uint64_t want)
{
    return got == want || (isnan(f64_of(want)) && isnan(f64_of(got)) && (got & 0x8000000000000u) != 0);
}
static bool same(const union lanes *got, const union lanes *want, uint32_t flags)
{
    bool equal = true;
    for (int k = 0; k < 4 && (flags & NAN32); k++) equal &= same_lane32(got->u32[k], want->u32[k]);
    for (int k = 0; k < 2 && (flags & NAN64); k++) equal &= same_lane64(got->u64[k], want->u64[k]);
    return flags & (NAN32 | NAN64) ? equal : got->u64[0] == want->u64[0] && got->u64[1] == want->u64[1];
}

static const char *text(const union lanes *v)
{
    static char texts[8][40];
    static int next;
    char *to = texts[next++ % 8];
    snprintf(to, sizeof texts[0], "%016llx%016llx", (unsigned long long)v->u64[1], (unsigned long long)v->u64[0]);
    return to;
}

/* What only some operands and settings can say. */
static void fit(enum opcode op, enum form form, union lanes *o)
{
    bool sum = form == FORM_SUM_SS || form == FORM_SUM_SC;
    if (sum) o[2].u64[0] = now.more;
    if (accesses_memory(op)) o[0].u64[0] = now.address - (sum ? now.more : 0);
    for (uint32_t k = 0; k < 16 && form == FORM_32; k++)
        now.shuffle[k] = (uint8_t)((now.shuffle[k & ~3u] & ~3u) + (k & 3u));
}

/* Runs the row's handler once on random operands; says what is wrong. */
static bool check(enum opcode op, enum form form)
{
    draw_setting(op);
    union lanes o[3] = {operand(), operand(), operand()}, got, want;
    fit(op, form, o);
    struct setting start = now;
    run(op, form, o, &want, &got);
    struct setting end = now;
    now = start;
    plain[op](&want, o);
    if (same(&got, &want, rows[FORM_ALL][op].flags) && memcmp(&now, &end, sizeof now) == 0) return true;
    printf("%s(%s, %s, %s) lane %u = %s, not %s\n", rows[form][op].name, text(&o[0]), text(&o[1]), text(&o[2]),
           now.lane, text(&got), text(&want));
    fflush(stdout);
    return false;
}

enum { ROUNDS = 20000 };
START_TEST(every_row_computes_what_plain_c_does)
{
    static const int handlers[FORMS] = {255, 22, 13, 13, 12, 1}; /* v128.const has no body */
    seed();
    for (enum form form = 0; form < FORMS; form++) {
        int tried = 0, wrong = 0;
        for (int op = 0; op < OP_COUNT; op++) {
            if (rows[form][op].run == NULL) continue;
            tried++;
            bool right = true;
            for (int i = 0; i < ROUNDS && right; i++) right = check((enum opcode)op, form);
            wrong += !right;
        }
        ck_assert_int_eq(wrong, 0);
        ck_assert_int_eq(tried, handlers[form]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("simd");
    TCase *t = tcase_create("simd");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_row_computes_what_plain_c_does);
    suite_add_tcase(s, t);
    return run_suite(s);
}
