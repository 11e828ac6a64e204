/* base/clock.h -- what a clock shows, as one number. Any thread. */
#ifndef HEMI_BASE_CLOCK_H
#define HEMI_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Since some moment in the past, whatever is done to the time of day. */
static inline uint64_t clock_ms(void) { return clock_ns(CLOCK_MONOTONIC) / 1000000; }

#endif
