/* server/supervisor/state.h -- the supervisor's state, and what its loop offers the rest of this room.
 *
 * Ownership: the supervisor owns doors (door.h) and tenants (tenant.h); a door owns the clients that say HELLO at it; a
 * tenant owns its workers (child.h) and the clients that wait; a worker owns the clients on their way to it. Structures
 * that hold libuv handles are freed when the last handle's close callback has run. */
#ifndef HEMI_SERVER_SUPERVISOR_STATE_H
#define HEMI_SERVER_SUPERVISOR_STATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "server/config/config.h"
#include "server/supervisor/fd_pool.h"
#include "server/supervisor/reload.h"
#include "server/supervisor/supervisor.h"

struct child;
struct door;
struct tenant;

struct supervisor {
    uv_loop_t loop;
    const struct supervisor_options *given;
    struct config config;
    int exe;     /* our own executable */
    int reserve; /* a descriptor to give up when there are no more, so that a connection can be refused */
    struct tenant *tenants;
    size_t ntenants;
    struct door *doors;
    size_t ndoors;
    uint64_t ngreeting; /* at all doors */
    struct fd_pool pool;
    uv_poll_t presized;
    unsigned nworkers; /* processes */
    uint64_t next_connection;
    uv_signal_t signals[4];
    uv_timer_t drain, watch, wait;
    struct reload reload;
    unsigned drain_turns;
    bool draining;
    bool stopping_now; /* SIGTERM came again */
    bool serves_private;
    bool closed; /* nothing more can come: the loop runs out */
    int status;  /* exit status */
};

/* A worker process is gone, or a client left: ends a drain or a private service that waited for that. */
void supervisor_check_done(struct supervisor *s);
void supervisor_drain(struct supervisor *s, const char *why);
void supervisor_for_each_worker(struct supervisor *s, void (*act)(struct child *worker));

uint64_t supervisor_count_workers(const struct config *config);

/* What supervisor_load does, where files and the directory of users may hang or end the process (a config_loader). */
int supervisor_load_here(const void *options, struct config *config, struct config_error *error);

#endif
