/* server/worker/boot.h -- a worker's first steps, from exec to worker_main.
 *
 * The process starts with the descriptors of enum worker_fd and BOOT waiting on the control socket. It checks that its
 * supervisor is alive, maps the shared page, installs what leaves last words (a failed assertion, a fatal signal),
 * enters the jail and calls the worker. All failures are exit statuses (enum worker_exit).
 */
#ifndef HEMI_SERVER_WORKER_BOOT_H
#define HEMI_SERVER_WORKER_BOOT_H

#include "server/worker/worker.h"

typedef int (*worker_function)(const struct worker_boot *boot);

/* Whether this process was started as a worker (`hemid --worker TENANT`). */
int boot_is_worker(int argc, char **argv);

/* Runs the worker and returns its exit status. `worker` is worker_main, or a test's. */
int boot_worker(worker_function worker);

#endif
