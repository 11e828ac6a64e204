/* server/supervisor/supervisor.h -- the daemon's own process, from its options to its exit status. */
#ifndef HEMI_SERVER_SUPERVISOR_SUPERVISOR_H
#define HEMI_SERVER_SUPERVISOR_SUPERVISOR_H

#include "server/config/config.h"

enum { SUPERVISOR_RAISES = 16 };

/* What the command line says. Texts are borrowed for as long as the supervisor runs. */
struct supervisor_options {
    const char *config_file;               /* NULL: the configuration without a file */
    const char *socket;                    /* --socket, or NULL: the path rules */
    const char *self;                      /* argv[0], for where /proc is missing */
    int private_fd;                        /* --private-fd: a connected socket, served alone; -1: listen */
    const char *raises[SUPERVISOR_RAISES]; /* --raise, config_raise; for a private daemon without a file */
    unsigned nraises;
    int log_level; /* --log-level, or -1: the configuration's */
};

/* The configuration that these options mean: file or default, --socket and --log-level applied, checked.
 * Returns 0 or a negative errno with `error` set. `config` must hold the defaults; deinit it in either case. */
int supervisor_load(const struct supervisor_options *options, struct config *config, struct config_error *error);

/* Runs until SIGTERM or SIGINT, or until the private client is gone. Returns the exit status: 0; 1 when it could not
 * start or the private client's worker was lost; 2 for a bad configuration. */
int supervisor_run(const struct supervisor_options *options);

#endif
