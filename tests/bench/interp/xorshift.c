/* 64-bit integers in a loop without memory. */
#include "lib.h"

EXPORT(run) u64 run(void)
{
    u64 x = 88172645463325252u, sum = 0;
    for (u32 i = 0; i < 20000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += x;
    }
    return sum;
}
