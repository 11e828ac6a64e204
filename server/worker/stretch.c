#include "server/worker/stretch.h"

#include "base/clock.h"

static const struct {
    const char *name;
    uint32_t most;
} kinds[] = {
#define X(name, most, unit) {#name, most},
    STRETCH_KINDS(X)
#undef X
};

const char *stretch_name(enum stretch_kind kind) { return kinds[kind].name; }

uint32_t stretch_most(enum stretch_kind kind) { return kinds[kind].most; }

void stretch_begin(struct stretches *s)
{
    s->wall_ns = clock_ns(CLOCK_MONOTONIC);
    s->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* CPU time takes a system call, and is never more than the time on the wall; so it is asked for only when that is
 * longer than what was seen. Then `cpu_ns` may be older than the stretch, by others that were not as long. */
void stretch_end(struct stretches *s, enum stretch_kind kind, uint32_t units)
{
    struct stretch *longest = &s->longest[kind];
    uint64_t wall = clock_ns(CLOCK_MONOTONIC), ns = wall - s->wall_ns;
    s->wall_ns = wall;
    if (units > longest->units) longest->units = units; /* .short is kept where this is within stretch_most */
    if (ns <= longest->ns) return;
    uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (cpu - s->cpu_ns < ns) ns = cpu - s->cpu_ns;
    s->cpu_ns = cpu;
    if (ns > longest->ns) longest->ns = ns;
}
