/* server/supervisor/spawn.h -- makes a worker process: fork, fixed descriptors, exec (.single-thread). */
#ifndef HEMI_SERVER_SUPERVISOR_SPAWN_H
#define HEMI_SERVER_SUPERVISOR_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "server/common/page.h"

/* What a new process is started with. */
struct spawn {
    int exe;
    const char *self;
    const char *tenant;
    int control, log, page; /* become WORKER_FD_*; stay the caller's */
    struct page *words;     /* where the new process says why it is not executed */
};

/* fork and exec with --worker. Returns 0, the pid and a pidfd, or -errno. */
int child_spawn(const struct spawn *spawn, pid_t *pid, int *pidfd);

/* Opens our own executable. Returns a descriptor, or -1 (no /proc, no descriptor): then argv[0] must have a path. */
int child_open_exe(const char *self);
bool child_has_path(const char *self);

#endif
