/* tests/sweep/sweep.h -- makes the nth allocation, or the nth descriptor, of a process fail.
 *
 * A program that links sweep.c has malloc and its kin, mmap, and every call that makes a descriptor or a process pass
 * through it, whoever calls them: also the libraries. There is a plan for the test's own process, one for a daemon that
 * it forks and one for that daemon's workers (again the same program, with --worker); sweep_share lets all of them see
 * the plans, so that a test arms a daemon while it serves.
 *
 * A sweep is the same scenario with n = 1, 2, ... until nothing was left to fail. In CI it takes every nth step
 * (sweep_first, sweep_next) from an offset that the seed gives; HEMI_SWEEP=full takes all, HEMI_SWEEP=N those
 * from the Nth on (CONTRIBUTING.md). */
#ifndef HEMI_TESTS_SWEEP_H
#define HEMI_TESTS_SWEEP_H

#include <stdbool.h>

enum sweep_kind { SWEEP_MEMORY, SWEEP_DESCRIPTORS };
enum sweep_who { SWEEP_SELF, SWEEP_DAEMON, SWEEP_WORKER };

/* Puts the plans where children, and the workers that they start, see them. `path` is a file to be made. */
bool sweep_share(const char *path);
/* This process, just forked, is the daemon from now on. */
void sweep_become_daemon(void);

/* The nth call of this kind from now on fails; with `stays`, those after it, too, until sweep_disarm. */
void sweep_arm(enum sweep_who who, enum sweep_kind kind, long n, bool stays);
/* Nothing fails any more. Did anything? */
bool sweep_disarm(enum sweep_who who);

/* The n to begin with, and the one after `n`, of a sweep that takes every `stride`th. */
long sweep_first(long stride);
long sweep_next(long n, long stride);

#endif
