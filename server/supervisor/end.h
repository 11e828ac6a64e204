/* server/supervisor/end.h -- how a worker ended, or why it did not start, in words: for the log and for its clients. */
#ifndef HEMI_SERVER_SUPERVISOR_END_H
#define HEMI_SERVER_SUPERVISOR_END_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

struct child;

/* How one ended that was not to, in words: "its jail failed". Borrowed, until the next call. */
const char *child_exit_text(const siginfo_t *info);

/* Why child_start or child_make failed. Borrowed, until the next call. */
const char *child_start_text(int status);

/* Logs how it ended, and keeps that for clients that it had not adopted (tenant->lost). */
void child_tell_end(struct child *worker, const siginfo_t *info, const struct rusage *usage, bool orderly);

#endif
