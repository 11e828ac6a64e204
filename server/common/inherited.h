/* server/common/inherited.h -- what a process has from whoever started it, apart from its arguments.
 *
 * Daemons are started by shells, service managers, supervisors and programs that embed them, all of which leave
 * something of their own behind an exec: signals that are ignored or blocked, timers that run, a umask. The daemon and
 * its workers mean the same whoever that was, so those are put back first of all (.same-start). What is an operator's
 * to choose stays as it is: resource limits (each pool says what it does with less), priority, processors, the current
 * directory (relative paths are meant from it), the parent-death signal.
 *
 * What would end or reload the daemon is held from the first line of main until the loop watches for it (.held), so
 * that a signal in the middle of a start is obeyed like any other. Workers and whatever runs no loop let go of it.
 *
 * Async-signal-safe, and cannot fail.
 */
#ifndef HEMI_SERVER_COMMON_INHERITED_H
#define HEMI_SERVER_COMMON_INHERITED_H

#include <stdbool.h>

/* Ends what was inherited, and holds; signals that a failed write raises are ignored from here on, since each write
 * says it. */
void inherited_reset(void);

/* SIGHUP, SIGINT and SIGTERM wait, or come. */
void inherited_hold(void);
void inherited_release(void);

/* SIGINT or SIGTERM waits. */
bool inherited_told_to_stop(void);

#endif
