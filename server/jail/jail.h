/* server/jail/jail.h -- how a worker locks itself up before it reads a byte from a client.
 *
 * A vtable of steps, run in order by the worker itself: each says what was wanted and what was got. A step that the
 * policy requires and that fails refuses the start; every other one is reported (`hemi info`).
 *
 * School of checking: what the kernel grants or refuses is a status in the step's row, never checked: a system may lack
 * any of it. Owner: the process that is jailed has nothing to give back. Threads: before there are others.
 * This room includes no other one of the server's: what is to be kept out is said by jail_policy.
 *
 * Invariants:
 *   .jail-first   jail_enter returns before the worker receives its first client descriptor.
 *   .jail-always  no build leaves the jail out: sanitizer builds add named rows to the system-call table
 *                 (server/jail/seccomp.h), nothing else.
 *   .jail-self    the filter compares tgkill's and kill's target with the pid of the process that installed it, so the
 *                 jail is entered after the last fork.
 * What the worker may call afterwards is JAIL_SYSCALLS in server/jail/seccomp.h; notably nothing that opens, connects,
 * executes, forks, or makes memory executable.
 */
#ifndef HEMI_SERVER_JAIL_JAIL_H
#define HEMI_SERVER_JAIL_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A build with a sanitizer, which wants more of the system than a worker. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JAIL_SANITIZER 1
#endif
#endif

#define JAIL_STEPS_MAX 24
#define JAIL_FEATURES_MAX 24

/* One step's outcome. Texts are short and ended by NUL. */
struct jail_step {
    char name[24];
    char wanted[64];
    char got[64];
    int32_t error;    /* 0, or the errno with which it failed */
    uint8_t required; /* its failure refuses the start */
};

/* What was found, as key and value ("landlock_abi", "6"). */
struct jail_feature {
    char key[24];
    char value[64];
};

struct jail_report {
    uint32_t nsteps;
    uint32_t nfeatures;
    struct jail_step steps[JAIL_STEPS_MAX];
    struct jail_feature features[JAIL_FEATURES_MAX];
};

/* What the jail is asked for. */
struct jail_policy {
    uint64_t memory;    /* bytes of data beyond what the process has now */
    uint32_t files;     /* RLIMIT_NOFILE, above the highest descriptor in use */
    int keep_fds;       /* descriptors from this number on are closed */
    bool need_landlock; /* refuse to start without it */
    bool own_user;      /* give up the supervisor's user, groups and bounding set (jail_may_change_user) */
    bool need_rights;   /* refuse to start when that is not possible */
    uid_t uid;          /* who to be instead */
    gid_t gid;
    pid_t supervisor; /* whose death ends this process, after the change too */
};

/* Whether this process is one whose workers get users of their own: root, or who may change users. */
bool jail_may_change_user(void);

/* Notes the kernel's features; before jail_enter, since it reads /proc. Never fails. */
void jail_probe(struct jail_report *report);

/* Runs all steps. Returns 0, or -EPERM when a required one failed (its row says why): the process must then end. */
int jail_enter(const struct jail_policy *policy, struct jail_report *report);

/* One line per step: "seccomp: wanted 60 calls, got 60 calls". For logs. `index` below report->nsteps. */
void jail_step_line(const struct jail_report *report, uint32_t index, char *out, size_t size);

#endif
