/* server/supervisor/tenant.h -- who may use the daemon: its workers, and the clients that wait for one.
 *
 * Ownership: the supervisor's, from its start to its end; it owns its workers and the clients that wait.
 *
 * Invariant:
 *   .told-at-once  A client waits for something that can happen. When no worker can start, those that wait are refused
 *                  with the reason after handover_tries starts, and whoever comes while the tenant rests is refused at
 *                  once. */
#ifndef HEMI_SERVER_SUPERVISOR_TENANT_H
#define HEMI_SERVER_SUPERVISOR_TENANT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "server/config/config.h"
#include "server/supervisor/child.h"
#include "server/supervisor/client.h"
#include "server/supervisor/fd_pool.h"

struct tenant {
    struct supervisor *supervisor;
    struct tenant_config config;
    struct child_list workers;
    unsigned nworkers; /* that are not leaving */
    struct client_list waiting;
    unsigned nwaiting;
    struct fd_share share; /* of those that wait or are on their way */
    uint64_t generation;
    unsigned crashes;  /* in a row */
    unsigned failures; /* of these, in a row, those of workers that did not become ready */
    bool resting;      /* no new worker until `rest` fires */
    uv_timer_t rest;
    char lost[224]; /* why the last worker was lost, or could not be started */
};

/* The tenant that a client is, by token or user id; NULL for none. */
struct tenant *tenant_identify(struct supervisor *s, const struct client *client, const struct hello *hello);

/* Queues a client, and hands over what can be. */
void tenant_give(struct tenant *tenant, struct client *client);

/* Refuses one that waits for a worker, or everybody. */
void tenant_refuse(struct client *client, enum hemi_status status, const char *why);
void tenant_refuse_waiting(struct tenant *tenant, enum hemi_status status, const char *why);

/* A worker of this tenant, not `worker`, that can be given a connection now; NULL if there is none. */
struct child *tenant_other_worker(const struct tenant *tenant, const struct child *worker);

/* Hands waiting clients to workers, starting some as needed. While none can start, they are told so (.told-at-once). */
void tenant_pump(struct tenant *tenant);

/* Queues one again whose worker ended, or ends, before it took it; or refuses it, saying why. */
void tenant_give_again(struct tenant *tenant, struct client *client);

/* A worker ended in disorder, or could not be started, as tenant->lost says: rests before the next start, and counts a
 * try of everybody that waits when it never became ready. */
void tenant_crashed(struct tenant *tenant, bool was_ready, uint64_t lived_ms);

#endif
