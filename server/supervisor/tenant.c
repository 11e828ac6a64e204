/* server/supervisor/tenant.c -- a tenant: who it is, which worker gets a connection, when a worker is replaced. */
#include "server/supervisor/tenant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/tables/limits.h"
#include "server/common/log.h"
#include "server/supervisor/end.h"
#include "server/supervisor/state.h"

#define STABLE_MS 10000 /* a worker that lived this long does not count as part of a crash loop */
#define DOUBLINGS_MAX 20

/* ---- identity */

/* Compares all bytes, whatever differs, so that the time taken tells nothing about the token. */
static bool token_matches(const struct tenant_config *tenant, const struct hello *hello)
{
    uint8_t theirs[CONFIG_TOKEN_MAX] = {0};
    _Static_assert(CONFIG_TOKEN_MAX == HELLO_TOKEN_MAX, "every token fits HELLO");
    memcpy(theirs, hello->token, hello->token_length);
    uint64_t differs = tenant->token_len ^ hello->token_length;
    for (size_t i = 0; i < CONFIG_TOKEN_MAX; i++) differs |= (uint64_t)(tenant->token[i] ^ theirs[i]);
    return differs == 0 && tenant->token_len > 0;
}

static bool uid_matches(const struct tenant_config *tenant, uid_t uid)
{
    for (uint32_t i = 0; i < tenant->uids.count; i++)
        if (tenant->uids.at[i] == uid) return true;
    return false;
}

/* A peer from another pid namespace (pid 0) has a uid that somebody there chose. */
static bool uid_means_something(const struct ucred *peer)
{
    return peer->pid != 0 && !config_uid_is_overflow(peer->uid);
}

struct tenant *tenant_identify(struct supervisor *s, const struct client *client, const struct hello *hello)
{
    struct tenant *found = NULL;
    bool by_uid = hello->token_length == 0 && uid_means_something(&client->peer);
    for (size_t i = 0; i < s->ntenants; i++) {
        struct tenant *tenant = &s->tenants[i];
        if (hello->token_length > 0 && token_matches(&tenant->config, hello)) found = tenant;
        if (by_uid && uid_matches(&tenant->config, client->peer.uid)) found = tenant;
    }
    return found;
}

/* ---- handing over */

static uint64_t load_of(const struct child *worker) { return worker->connections + worker->nhanded; }

/* The worker with the least to do that can be given a connection now; NULL if none can. */
static struct child *find_worker(const struct tenant *tenant, const struct child *except)
{
    struct child *worker, *best = NULL;
    TAILQ_FOREACH(worker, &tenant->workers, link)
    {
        if (worker == except || worker->leaving || worker->full || worker->starved) continue;
        if (worker->nhanded >= tenant->supervisor->config.options.handover_window) continue;
        if (best == NULL || load_of(worker) < load_of(best)) best = worker;
    }
    return best;
}

struct child *tenant_other_worker(const struct tenant *tenant, const struct child *worker)
{
    return find_worker(tenant, worker);
}

/* As find_worker, but starts another one instead of sharing while the tenant may have more. */
static struct child *choose_worker(struct tenant *tenant)
{
    struct child *best = find_worker(tenant, NULL), *started;
    bool room = tenant->nworkers < tenant->config.limits.workers && !tenant->resting;
    if (!room || (best != NULL && load_of(best) == 0)) return best;
    int status = child_start(tenant, &started);
    if (status == 0) return started;
    struct log_about what = {.tenant = tenant->config.name};
    snprintf(tenant->lost, sizeof tenant->lost, "%s", child_start_text(status));
    log_event(LOG_ERROR, "worker-not-started", &what, "%s", tenant->lost);
    tenant_crashed(tenant, false, 0);
    return best;
}

/* A private client has one worker. */
static unsigned tries_of(const struct tenant *tenant)
{
    const struct supervisor *s = tenant->supervisor;
    return s->serves_private ? 1 : (unsigned)s->config.options.handover_tries;
}

/* "WHAT: why the last one was lost". */
static void refuse_lost(struct tenant *tenant, struct client *client, const char *what)
{
    char why[256];
    snprintf(why, sizeof why, "%s: %s", what, tenant->lost);
    client_refuse(client, HEMI_WORKER_LOST, why);
}

static void refuse_not_started(struct tenant *tenant, struct client *client)
{
    refuse_lost(tenant, client, "no worker of this tenant can start");
}

/* .told-at-once */
static void refuse_while_resting(struct tenant *tenant)
{
    struct client *client;
    if (!tenant->resting || tenant->nworkers > 0 || tenant->failures < tries_of(tenant)) return;
    while ((client = TAILQ_FIRST(&tenant->waiting)) != NULL) {
        TAILQ_REMOVE(&tenant->waiting, client, link);
        tenant->nwaiting--;
        refuse_not_started(tenant, client);
    }
}

void tenant_pump(struct tenant *tenant)
{
    struct client *client;
    struct child *worker;
    while (!TAILQ_EMPTY(&tenant->waiting) && (worker = choose_worker(tenant)) != NULL) {
        /* Starting a worker may have failed, and that may have refused clients. */
        if ((client = TAILQ_FIRST(&tenant->waiting)) == NULL) return;
        TAILQ_REMOVE(&tenant->waiting, client, link);
        tenant->nwaiting--;
        if (child_hand(worker, client) == 0) continue;
        TAILQ_INSERT_HEAD(&tenant->waiting, client, link);
        tenant->nwaiting++;
    }
    refuse_while_resting(tenant);
}

/* At the front: it was on its way before. However often that happens, and for whatever reason, it is counted. The
 * caller pumps when it has given them all. */
void tenant_give_again(struct tenant *tenant, struct client *client)
{
    client->turns = 0;
    if (tenant->supervisor->draining) {
        client_refuse(client, HEMI_DRAINING, HANDOVER_DRAIN_TEXT);
    } else if (++client->tries < tries_of(tenant)) {
        TAILQ_INSERT_HEAD(&tenant->waiting, client, link);
        tenant->nwaiting++;
    } else if (tenant->failures > 0) {
        refuse_not_started(tenant, client);
    } else {
        refuse_lost(tenant, client, "every worker that was to adopt it was lost, the last one");
    }
}

void tenant_give(struct tenant *tenant, struct client *client)
{
    client->turns = 0;
    uint64_t most = tenant->supervisor->config.options.handover_queue;
    if (tenant->nwaiting >= most) {
        char why[128];
        snprintf(why, sizeof why, LIMIT_MESSAGE, "handover_queue", (unsigned long long)tenant->nwaiting + 1,
                 " connections that wait for this tenant's worker", (unsigned long long)most);
        client_refuse(client, HEMI_LIMIT, why);
        return;
    }
    TAILQ_INSERT_TAIL(&tenant->waiting, client, link);
    tenant->nwaiting++;
    tenant_pump(tenant);
}

void tenant_refuse(struct client *client, enum hemi_status status, const char *why)
{
    TAILQ_REMOVE(&client->tenant->waiting, client, link);
    client->tenant->nwaiting--;
    client_refuse(client, status, why);
}

void tenant_refuse_waiting(struct tenant *tenant, enum hemi_status status, const char *why)
{
    struct client *client;
    while ((client = TAILQ_FIRST(&tenant->waiting)) != NULL) tenant_refuse(client, status, why);
}

/* ---- after a crash */

static void on_rested(uv_timer_t *timer)
{
    struct tenant *tenant = timer->data;
    tenant->resting = false;
    if (!tenant->supervisor->draining) tenant_pump(tenant);
}

/* The first crash costs no pause, but a turn of the loop; then restart_delay, doubled per crash in a row. */
static uint64_t rest_ms(const struct tenant *tenant)
{
    const struct daemon_options *options = &tenant->supervisor->config.options;
    if (tenant->crashes < 2) return 0;
    unsigned doublings = tenant->crashes - 2 < DOUBLINGS_MAX ? tenant->crashes - 2 : DOUBLINGS_MAX;
    uint64_t delay = options->restart_delay << doublings;
    return delay < options->restart_delay_max ? delay : options->restart_delay_max;
}

/* A worker that never became ready was nobody's fault that waits, but they cannot wait for ever. */
static void count_tries(struct tenant *tenant)
{
    struct client_list still = TAILQ_HEAD_INITIALIZER(still);
    struct client *client;
    while ((client = TAILQ_FIRST(&tenant->waiting)) != NULL) {
        TAILQ_REMOVE(&tenant->waiting, client, link);
        if (++client->tries < tries_of(tenant)) {
            TAILQ_INSERT_TAIL(&still, client, link);
            continue;
        }
        tenant->nwaiting--;
        refuse_not_started(tenant, client);
    }
    TAILQ_CONCAT(&tenant->waiting, &still, link);
}

static void rest(struct tenant *tenant, uint64_t ms)
{
    struct log_about what = {.tenant = tenant->config.name};
    if (tenant->supervisor->closed) return;
    tenant->resting = true;
    uv_timer_start(&tenant->rest, on_rested, ms, 0);
    if (ms > 0)
        log_event(LOG_WARNING, "restart-delayed", &what, "%u workers lost in a row, %" PRIu64 " ms until the next",
                  tenant->crashes, ms);
}

void tenant_crashed(struct tenant *tenant, bool was_ready, uint64_t lived_ms)
{
    if (lived_ms >= STABLE_MS) tenant->crashes = 0;
    if (tenant->crashes < UINT32_MAX) tenant->crashes++;
    tenant->failures = was_ready ? 0 : tenant->failures + (tenant->failures < UINT32_MAX);
    rest(tenant, rest_ms(tenant));
    if (!was_ready) count_tries(tenant);
}
