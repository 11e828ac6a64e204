/* The product of two matrices of doubles. */
#include "lib.h"

enum { N = 200, ROUNDS = 4 };
static double a[N][N], b[N][N], c[N][N];

static NOINLINE void multiply(void)
{
    for (u32 i = 0; i < N; i++)
        for (u32 j = 0; j < N; j++) {
            double sum = 0;
            for (u32 k = 0; k < N; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

EXPORT(run) u32 run(void)
{
    u32 state = 1;
    double trace = 0;
    for (u32 i = 0; i < N; i++)
        for (u32 j = 0; j < N; j++) {
            a[i][j] = (double)(next_random(&state) & 1023u) / 64;
            b[i][j] = (double)(next_random(&state) & 1023u) / 128;
        }
    for (u32 round = 0; round < ROUNDS; round++) {
        multiply();
        a[round][0] = c[N - 1][round] / 4096;
    }
    for (u32 i = 0; i < N; i++) trace += c[i][i];
    return (u32)(i64)(trace * 16);
}
