/* tests/wast/daemon.h -- a private hemid, for as long as the runner runs: one tenant with one worker per connection
 * that the runner uses at a time, limits that no script reaches by accident.
 *
 * Ownership: daemon_start makes a process and a scratch directory, daemon_stop ends and removes both. One thread. */
#ifndef HEMI_WAST_DAEMON_H
#define HEMI_WAST_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon_options {
    unsigned tenants;
    bool no_fault_checks; /* configuration rows of these names */
    bool canonical_nans, count_opcodes;
};

struct daemon {
    pid_t pid;
    char dir[64];
};

/* Starts the hemid of the build that this program is of, and waits until it answers. False: a message was printed. */
bool daemon_start(struct daemon *d, const struct daemon_options *opt);
/* The socket of tenant i. */
void daemon_socket(const struct daemon *d, unsigned i, char *out, size_t size);
/* Prints the last lines of the daemon's log. */
void daemon_print_log(const struct daemon *d);
/* Ends it. False, with the log printed: it did not end well, or its log holds a sanitizer's report. Idempotent. */
bool daemon_stop(struct daemon *d);

#endif
