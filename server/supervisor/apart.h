/* server/supervisor/apart.h -- a configuration that is read in a process of its own.
 *
 * libconfig checks none of its allocations, its scanner ends the process for some files, and a file, or the directory
 * of users, may be on a network that does not answer. So a copy of this process does all that and sends back what it
 * found, or fails to; who waits for it need not stop for that.
 *
 * School of checking: as config.h. The copy ends with its parent. Threads: none here is thread-safe.
 */
#ifndef HEMI_SERVER_SUPERVISOR_APART_H
#define HEMI_SERVER_SUPERVISOR_APART_H

#include "server/config/config.h"

#define CONFIG_READ_TIMEOUT_MS 10000

/* What the copy does; returns as config_load, which it calls. */
typedef int (*config_loader)(const void *what, struct config *config, struct config_error *error);

struct config_apart;

/* Starts the copy; `file` is what messages call it (borrowed). Returns 0 or -errno and `error`. */
int config_apart_new(config_loader load, const void *what, const char *file, struct config_apart **out,
                     struct config_error *error);

/* Takes some of what has come, without waiting. Returns -EAGAIN when there is more to come; otherwise as the loader,
 * with a configuration to deinit if that is 0, or -EINVAL or -ENOMEM if the copy has died. */
int config_apart_read(struct config_apart *apart, struct config *config, struct config_error *error);

/* Kills the copy if it has not ended. Returns false, and frees nothing, while it has not. */
bool config_apart_end(struct config_apart *apart);

/* The same without waiting for its end: this process ends, too. */
void config_apart_free(struct config_apart *apart);

/* Reads and waits, CONFIG_READ_TIMEOUT_MS at most. Returns as config_apart_read. */
int config_load_apart(config_loader load, const void *what, const char *file, struct config *config,
                      struct config_error *error);

#endif
