/* The primes below a million, by Eratosthenes, over bytes. */
#include "lib.h"

enum { LIMIT = 1000000, ROUNDS = 12 };
static u8 composite[LIMIT];

static NOINLINE u32 count_primes(void)
{
    u32 n = 0;
    fill(composite, 0, LIMIT);
    for (u32 i = 2; i < LIMIT; i++) {
        if (composite[i]) continue;
        n++;
        for (u32 k = 2 * i; k < LIMIT; k += i) composite[k] = 1;
    }
    return n;
}

EXPORT(run) u32 run(void)
{
    u32 sum = 0;
    for (u32 i = 0; i < ROUNDS; i++) sum += count_primes();
    return sum;
}
