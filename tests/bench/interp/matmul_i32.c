/* The product of two matrices of 32-bit integers. */
#include "lib.h"

enum { N = 200, ROUNDS = 4 };
static u32 a[N][N], b[N][N], c[N][N];

static NOINLINE void multiply(void)
{
    for (u32 i = 0; i < N; i++)
        for (u32 j = 0; j < N; j++) {
            u32 sum = 0;
            for (u32 k = 0; k < N; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

EXPORT(run) u32 run(void)
{
    u32 state = 1, sum = 0;
    for (u32 i = 0; i < N; i++)
        for (u32 j = 0; j < N; j++) a[i][j] = next_random(&state), b[i][j] = next_random(&state);
    for (u32 round = 0; round < ROUNDS; round++) {
        multiply();
        a[round][0] ^= c[N - 1][round];
    }
    for (u32 i = 0; i < N; i++)
        for (u32 j = 0; j < N; j++) sum = mix(sum, c[i][j]);
    return sum;
}
