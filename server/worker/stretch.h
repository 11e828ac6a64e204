/* server/worker/stretch.h -- how long a worker's loop thread was away from its descriptors, by kind of work.
 *
 * School of checking: TRUSTED.
 *
 * Rule (.short): between two looks at its descriptors the thread spends a few milliseconds of CPU time on work of its
 * own; slices of guests and collections have their own rules (scheduler.h). Time cannot be tested on a busy machine, so
 * every kind also counts units of work, of which one takes a microsecond at the very most, and those have a limit. Both
 * are shown by INFO: the longest stretch of each kind in CPU time, and the most units. */
#ifndef HEMI_SERVER_WORKER_STRETCH_H
#define HEMI_SERVER_WORKER_STRETCH_H

#include <stdint.h>

#include "server/worker/grave.h"

enum { IDS_PER_UNIT = 2 /* that a request sets aside or lets go of */ };

/* A stretch of reading ends when a connection has used up its part of what is left; its last frame may go beyond. */
enum { READ_UNITS = 1024, READ_UNITS_EACH = 256, READ_UNITS_MORE = READ_UNITS_EACH + 1 };
/* As a stretch of starting does with its last request, which counts as so much at most. */
enum { START_UNITS = 1024, START_UNITS_MORE = 768 };
enum { TIMEOUT_UNITS = 512, STOP_UNITS = 512, TRIM_UNITS = 4096 };

/* name, most units of one stretch, what a unit is */
#define STRETCH_KINDS(X)                                                                                               \
    X(read, READ_UNITS + READ_UNITS_MORE, "a frame, a KiB of its raw part or an id of a DROP")                         \
    X(timeouts, TIMEOUT_UNITS, "a timeout fired")                                                                      \
    X(stop, STOP_UNITS, "a request stopped by INTERRUPT or with its store or connection")                              \
    X(start, START_UNITS + START_UNITS_MORE, "a request started, 4 KiB of its raw part or two of its ids")             \
    X(trim, TRIM_UNITS, "a page given back of stores, stacks and blocks that are not used")                            \
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
