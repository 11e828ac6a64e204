/* server/worker/info.c -- INFO: what is in force, as JSON. Keys may be added, never change their meaning. */
#include "server/worker/info.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/tables/opcodes.h"
#include "server/worker/connection.h"
#include "server/worker/state.h"
#include "server/worker/totals.h"

/* cJSON leaves out what it has no memory for, and says so to nobody. */
static bool incomplete;

static void *take(size_t n)
{
    void *p = malloc(n);
    incomplete |= p == NULL;
    return p;
}

static void add_limits(cJSON *to, const struct tenant_limits *limits)
{
#define X(name, kind, def, min, max, doc) cJSON_AddNumberToObject(to, #name, (double)limits->name);
    LIMIT_OPTIONS(X)
#undef X
}

static void add_jail(cJSON *steps, cJSON *features, const struct jail_report *jail)
{
    for (uint32_t i = 0; jail && i < jail->nsteps; i++) {
        cJSON *step = cJSON_CreateObject();
        cJSON_AddStringToObject(step, "name", jail->steps[i].name);
        cJSON_AddStringToObject(step, "wanted", jail->steps[i].wanted);
        cJSON_AddStringToObject(step, "got", jail->steps[i].got);
        cJSON_AddNumberToObject(step, "error", jail->steps[i].error);
        cJSON_AddBoolToObject(step, "required", jail->steps[i].required);
        if (!cJSON_AddItemToArray(steps, step)) cJSON_Delete(step);
    }
    for (uint32_t i = 0; jail && i < jail->nfeatures; i++)
        cJSON_AddStringToObject(features, jail->features[i].key, jail->features[i].value);
}

static void add_worker(cJSON *to, const struct worker *w)
{
    const struct page *p = w->boot->page;
    struct engine_stats engine = engine_get_stats(w->engine);
    cJSON_AddNumberToObject(to, "pid", getpid());
    cJSON_AddNumberToObject(to, "generation", (double)w->boot->generation);
    cJSON_AddNumberToObject(to, "connections", w->nconnections);
    cJSON_AddNumberToObject(to, "stores", w->nstores);
    cJSON_AddNumberToObject(to, "modules", engine.modules);
    cJSON_AddNumberToObject(to, "types", engine.types);
    cJSON_AddNumberToObject(to, "type_ids", engine.type_ids);
    cJSON_AddNumberToObject(to, "memory_bytes", (double)w->memory_used);
    cJSON_AddStringToObject(to, "memory_scheme", engine_guarded(w->engine) ? "guarded" : "explicit");
    cJSON_AddNumberToObject(to, "activations", w->sched.live);
    cJSON_AddNumberToObject(to, "stacks", w->sched.fibers.nlive);
    cJSON_AddNumberToObject(to, "requests_total",
                            (double)atomic_load_explicit(&p->requests_total, memory_order_relaxed));
    cJSON_AddNumberToObject(to, "calls_total", (double)atomic_load_explicit(&p->calls_total, memory_order_relaxed));
    cJSON_AddNumberToObject(to, "reads_total", (double)atomic_load_explicit(&p->reads_total, memory_order_relaxed));
    cJSON_AddNumberToObject(to, "writes_total", (double)atomic_load_explicit(&p->writes_total, memory_order_relaxed));
}

static void add_totals(cJSON *to, const struct worker *w)
{
    uint64_t n[COUNTERS];
    totals_of_worker(n, w);
#define X(name, kind, text) cJSON_AddNumberToObject(to, #name, (double)n[COUNTER_##name]);
    HEMI_COUNTERS(X)
#undef X
}

static void add_share(cJSON *to, enum share_pool pool, const struct worker *w, const struct share *s)
{
    const struct pool *p = &w->pools[pool];
    cJSON *share = cJSON_AddObjectToObject(to, pool_name(pool));
    cJSON_AddNumberToObject(share, "used", (double)s->used);
    cJSON_AddNumberToObject(share, "least", (double)p->least);
    cJSON_AddNumberToObject(share, "lendable", (double)p->lendable);
    cJSON_AddNumberToObject(share, "lent", (double)p->lent);
}

static void add_connection(cJSON *to, const struct connection *c)
{
    cJSON_AddNumberToObject(to, "window_requests", c->window.requests_max);
    cJSON_AddNumberToObject(to, "window_bytes", (double)c->window.bytes_max);
    cJSON_AddNumberToObject(to, "stores", c->nstores);
    cJSON_AddNumberToObject(to, "handles", c->handles.map.used);
    cJSON_AddNumberToObject(to, "modules", c->nmodules);
    cJSON_AddNumberToObject(to, "streams", c->streams.used);
    cJSON_AddNumberToObject(to, "requests", c->nrequests);
    cJSON_AddNumberToObject(to, "host_calls_outstanding", c->calls.used);
    cJSON_AddNumberToObject(to, "reads", (double)c->reads);
    cJSON_AddNumberToObject(to, "writes", (double)c->writes);
    cJSON_AddNumberToObject(to, "frames_in", (double)c->frames_in);
    cJSON_AddNumberToObject(to, "frames_out", (double)c->frames_out);
    cJSON_AddNumberToObject(to, "host_calls", (double)c->host_calls);
    cJSON_AddNumberToObject(to, "externs_dead", (double)c->externs_dead);
    cJSON *shares = cJSON_AddObjectToObject(to, "shares");
    add_share(shares, POOL_STACKS, c->worker, &c->stacks);
    add_share(shares, POOL_OUTPUT, c->worker, &c->output);
    add_share(shares, POOL_TYPES, c->worker, &c->types);
    add_share(shares, POOL_MEMORY, c->worker, &c->account->memory);
    add_share(shares, POOL_MAPPINGS, c->worker, &c->account->mappings);
    add_share(shares, POOL_STORES, c->worker, &c->share_of_stores);
}

static void add_stretches(cJSON *to, const struct stretches *s)
{
    for (int kind = 0; kind < STRETCH_COUNT; kind++) {
        cJSON *one = cJSON_AddObjectToObject(to, stretch_name((enum stretch_kind)kind));
        cJSON_AddNumberToObject(one, "longest_us", (double)s->longest[kind].ns / 1000);
        cJSON_AddNumberToObject(one, "most_units", s->longest[kind].units);
        cJSON_AddNumberToObject(one, "units_limit", stretch_most((enum stretch_kind)kind));
    }
}

static void add_opcodes(cJSON *to, const uint64_t *counts)
{
    for (uint32_t op = 0; op < OP_COUNT; op++) cJSON_AddNumberToObject(to, opcode_rows[op].text, (double)counts[op]);
}

char *worker_info(const struct connection *c)
{
    const struct worker *w = c->worker;
    cJSON_InitHooks(&(cJSON_Hooks){take, free});
    incomplete = false;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "version", HEMI_VERSION);
    cJSON_AddStringToObject(root, "tenant", w->boot->tenant);
    add_worker(cJSON_AddObjectToObject(root, "worker"), w);
    add_totals(cJSON_AddObjectToObject(root, "totals"), w);
    add_connection(cJSON_AddObjectToObject(root, "connection"), c);
    add_limits(cJSON_AddObjectToObject(root, "limits"), &w->boot->limits);
    add_stretches(cJSON_AddObjectToObject(root, "stretches"), &w->stretches);
    cJSON *jail = cJSON_AddObjectToObject(root, "jail");
    add_jail(cJSON_AddArrayToObject(jail, "steps"), cJSON_AddObjectToObject(jail, "features"), w->boot->jail);
    const uint64_t *opcodes = engine_opcode_counts(w->engine);
    if (opcodes) add_opcodes(cJSON_AddObjectToObject(root, "opcodes"), opcodes);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!incomplete) return text;
    free(text);
    return NULL;
}
