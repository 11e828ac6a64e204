/* tests/fuzz/world.h -- runs a module by itself and writes down everything that can be seen of it, so that two ways of
 * running it can be compared: each export's calls with their results or traps, then what memories, tables and globals
 * hold. References appear as what they are, not as bits, which a collection may change.
 *
 * Imports are met by the plainest thing of the type: functions that return zeros and nulls, empty tables. One thread.
 */
#ifndef HEMI_FUZZ_WORLD_H
#define HEMI_FUZZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world_options {
    bool explicit_checks; /* engine_options */
    bool count_opcodes;
    uint32_t gc_stress; /* store_options */
};

enum world_end {
    WORLD_DONE,
    WORLD_INVALID,      /* the module was refused; `log` says how */
    WORLD_INCONCLUSIVE, /* a limit of this run (steps, memory) was met, which another run may not meet */
};

enum { WORLD_LOG = 1 << 18 };
struct world_log {
    size_t len;
    bool full;
    char text[WORLD_LOG];
};

/* Ends the process if a store is not sound in the end, or an error makes no sense. */
enum world_end world_run(const uint8_t *bytes, size_t size, const struct world_options *opt, struct world_log *log);

/* All the ways of running a module agree on it, or the process ends, saying where they differ. False: refused. */
bool world_compare(const uint8_t *bytes, size_t size);

#endif
