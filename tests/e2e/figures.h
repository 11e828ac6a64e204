/* tests/e2e/figures.h -- what a daemon holds, as INFO and /proc have it: to be the same after others came and went.
 * What only root may see, a worker's descriptors and mappings, is 0 for others. */
#ifndef HEMI_TESTS_E2E_FIGURES_H
#define HEMI_TESTS_E2E_FIGURES_H

#include "tests/e2e/support.h"

/* name, where it is from: a key of INFO's "worker" */
#define FIGURES_INFO(X)                                                                                                \
    X(pid)                                                                                                             \
    X(connections)                                                                                                     \
    X(stores)                                                                                                          \
    X(modules)                                                                                                         \
    X(memory_bytes)                                                                                                    \
    X(activations)

struct figures {
#define X(name) long name;
    FIGURES_INFO(X)
#undef X
    long descriptors;            /* of the worker */
    long supervisor_descriptors; /* of the supervisor */
};

/* `client` is of the worker that is meant. */
void figures_take(const struct daemon *d, hemi_client *client, struct figures *out);
/* Waits until the figures are those again; fails the test, with both, when they do not come to be. */
void figures_await(const struct daemon *d, hemi_client *client, const struct figures *base, const char *when);

/* Of a process, from /proc: KiB resident, KiB of anonymous memory resident, descriptors, mappings. */
struct footprint {
    long rss_kb, anon_kb, descriptors, mappings;
};
void footprint_take(pid_t pid, struct footprint *out);

/* A failing test cannot say what the daemon did: it names the log, and main() prints its tail when tests failed. The
 * first call is main()'s. */
void log_watch(const struct daemon *d); /* NULL: none yet */
void log_print_tail(void);

#endif
