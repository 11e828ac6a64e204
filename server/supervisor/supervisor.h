/* server/supervisor/supervisor.h -- the daemon's own process, from its options to its exit status.
 *
 * `hemid` is the SUPERVISOR: it listens, learns from the socket, a token or the peer's uid which tenant a connection
 * belongs to, reads exactly its HELLO and hands the socket to that tenant's WORKER, a process of its own that is made
 * here (spawn.c) and lives in worker/. From then on the client and the worker talk without the supervisor, which
 * watches whether its workers do, and reaps them. All that crosses between the two processes: common/heritage.h.
 * This room never includes worker/ or runtime/: it runs no guest and reads no frame.
 *
 * School of checking: bytes from a client, from a worker or from the configuration's file are a PEER's: error returns,
 * never checks. Our own state is checked (CHECK): a supervisor whose state is broken must not go on handing out
 * connections.
 * Owners: the supervisor owns listening sockets and their lock files; connections until they are adopted; per worker
 * its pidfd, control socket, log pipe and shared page. Inside: state.h.
 *
 * Invariants:
 *   .hello-exact    The supervisor takes exactly HELLO's bytes from a connection.
 *   .one-copy       After ADOPTED the supervisor has no descriptor of that connection.
 *   .drain-control  When a worker ends, its control socket is read to the end before its un-adopted connections are
 *                   handed over again; so ADOPTED is never missed.
 *   .close-apart    The supervisor's loop receives no descriptor of a peer and closes no connection: see closer.h.
 *   .own-socket     A socket file is unlinked only by the daemon that holds its lock file.
 *   .single-thread  A worker has one thread. The supervisor has three: the main one makes every worker (PDEATHSIG is
 *                   the creating thread's, and this one lasts as long as the process), the log's only writes lines
 *                   (.log-apart), the closer's only closes (.close-apart). The log's may hold any lock when the main
 *                   one forks: a worker-to-be makes only async-signal-safe calls until exec; the copy that reads the
 *                   configuration (apart.h) has malloc, which survives a fork, and needs no more.
 */
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
