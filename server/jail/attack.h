/* server/jail/attack.h -- what code that has taken over a worker would try; builds with HEMI_JAIL_TEST only.
 *
 * Run inside the jail; each attack either ends the process (SIGSYS) or comes back with an errno. An attack that works
 * says so with ATTACK_SUCCEEDED. Tests compare with the row's expectation.
 */
#ifndef HEMI_SERVER_JAIL_ATTACK_H
#define HEMI_SERVER_JAIL_ATTACK_H

#ifdef HEMI_JAIL_TEST

#include <stddef.h>
#include <sys/types.h>

enum attack_outcome {
    ATTACK_KILLED, /* the process dies of SIGSYS */
    ATTACK_DENIED  /* the call fails */
};

#define ATTACK_SUCCEEDED 0 /* what attack_run returns when the attack worked */

struct attack {
    const char *name;
    enum attack_outcome expected;
    int (*run)(pid_t target); /* 0 when it worked, else an errno */
};

/* All attacks. */
const struct attack *attack_table(size_t *count);

const struct attack *attack_find(const char *name);

/* What attacks need that the jail would not let them get: a writable memfd, shared memory. Before jail_enter. */
void attack_prepare(void);

/* Descriptors that attack_prepare opened must survive close_range: it puts them below this number. */
#define ATTACK_FD_KEEP 8

#endif
#endif
