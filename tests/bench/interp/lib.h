/* tests/bench/interp/lib.h -- what the benchmark programs share. They are compiled for wasm32 without a C library; each
 * exports run(), whose result contest.py compares with the expected one. */
#ifndef HEMI_BENCH_LIB_H
#define HEMI_BENCH_LIB_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#define EXPORT(name) __attribute__((export_name(#name)))
#define NOINLINE __attribute__((noinline))

static inline void fill(void *to, u8 v, u32 n)
{
    u8 *at = to;
    for (u32 i = 0; i < n; i++) at[i] = v;
}

static inline void copy(void *to, const void *from, u32 n)
{
    u8 *t = to;
    const u8 *f = from;
    for (u32 i = 0; i < n; i++) t[i] = f[i];
}

/* The next of a fixed sequence of numbers (Marsaglia's xorshift32). */
static inline u32 next_random(u32 *state)
{
    u32 x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static inline u32 mix(u32 sum, u32 v) { return (sum ^ v) * 16777619u; }

#endif
