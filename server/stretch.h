/* server/stretch.h -- how long a worker's loop thread was away from its descriptors, by kind of work.
 *
 * School of checking: TRUSTED.
 *
 * Rule (.short): between two looks at its descriptors the thread spends a few milliseconds of CPU time on work of its
 * own; slices of guests and collections have their own rules (scheduler.h). Time cannot be tested on a busy machine, so
 * every kind also counts units of work, of which one takes a microsecond at the very most, and those have a limit. Both
 * are shown by INFO: the longest stretch of each kind in CPU time, and the most units. */
#ifndef HEMI_SERVER_STRETCH_H
#define HEMI_SERVER_STRETCH_H

#include <stdint.h>

#include "server/grave.h"

/* name, most units of one stretch, what a unit is */
#define STRETCH_KINDS(X)                                                                                               \
    X(grave, GRAVE_UNITS, "a page given back, a small block freed or an entry looked at of what was buried")

enum stretch_kind {
#define X(name, most, unit) STRETCH_##name,
    STRETCH_KINDS(X)
#undef X
        STRETCH_COUNT
};

struct stretches {
    struct stretch {
        uint64_t ns; /* CPU time */
        uint32_t units;
    } longest[STRETCH_COUNT];
    uint64_t wall_ns, cpu_ns; /* when the one under way began */
};

/* The next stretch begins here. */
void stretch_begin(struct stretches *s);
/* One of this kind is over, and the next one begins. */
void stretch_end(struct stretches *s, enum stretch_kind kind, uint32_t units);
const char *stretch_name(enum stretch_kind kind);
uint32_t stretch_most(enum stretch_kind kind);

#endif
