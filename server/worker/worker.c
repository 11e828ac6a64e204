/* server/worker/worker.c -- a worker's loop: see server/worker/state.h for the order of a turn. */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/release.h"
#include "server/common/loop.h"
#include "server/worker/connection.h"
#include "server/worker/control.h"
#include "server/worker/malloc_top.h"
#include "server/worker/state.h"
#include "server/worker/upload.h"

enum { BEAT_MS = 500, MAPPED_BLOCK = 4 << 20, TRIM_BEATS = 4, FIBERS_MIN = 128, FIBERS_MAX = 8192 };
enum { MAPPINGS_USUAL = 65530, MAPPINGS_OURS = 4096 };

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define LEAKS_CHECKED true
#endif
#endif
#ifndef LEAKS_CHECKED
#define LEAKS_CHECKED false
#endif

/* ---- the turn */

static void flush_all(struct worker *w)
{
    while (w->to_flush) {
        struct connection *c = w->to_flush;
        w->to_flush = c->next_flush;
        c->flushing = false;
        connection_flush(c);
    }
}

/* Memory of what has not been used for some beats goes back to the system, a stretch of it at a time. */
static void trim(struct worker *w)
{
    uint32_t units = TRIM_UNITS;
    struct wstore *s;
    if (!w->trims && !w->sched.fibers.surplus) return;
    stretch_begin(&w->stretches);
    fiber_pool_free_some(&w->sched.fibers, &units);
    uint64_t before = worker_now_ms(w) - TRIM_BEATS * BEAT_MS;
    while ((s = w->resting.head) && s->resting_since_ms <= before && release_unit(&units))
        if (!store_trim_some(s->store, &units)) wstore_rouse(s);
    w->trims = s && s->resting_since_ms <= before;
    if (w->sched.live == 0 && fiber_pool_trim(&w->sched.fibers, &units)) w->trims = true;
    if (!w->grave.head && malloc_top_trim(&units)) w->trims = true;
    stretch_end(&w->stretches, STRETCH_trim, TRIM_UNITS - units);
}

static void dig(struct worker *w)
{
    if (!w->grave.head) return;
    stretch_begin(&w->stretches);
    stretch_end(&w->stretches, STRETCH_grave, grave_dig(&w->grave));
    w->trims = w->trims || !w->grave.head;
}

static void reap(struct worker *w)
{
    if (w->nending == 0 && !w->draining) return; /* however many are idle */
    for (struct connection *c = LIST_FIRST(&w->connections), *next; c; c = next) {
        next = LIST_NEXT(c, link);
        if (w->draining && !c->ending && c->nrequests == 0)
            connection_end(c, HEMI_DRAINING, PROTO_OK, HANDOVER_DRAIN_TEXT);
        connection_reap(c);
    }
}

static void maybe_leave(struct worker *w)
{
    if (w->nconnections > 0) {
        w->idle_since_ms = 0;
        return;
    }
    if (w->draining && !w->stopping) control_phase(w, HANDOVER_DRAINED);
    if (w->boot->private_client && w->served > 0) w->stopping = true;
    if (w->draining || w->stopping) uv_stop(&w->loop);
    if (w->idle_since_ms == 0) w->idle_since_ms = worker_now_ms(w);
}

/* What input brought, and what can begin now. */
static void take_input(struct worker *w)
{
    struct stretches *s = &w->stretches;
    stretch_begin(s);
    stretch_end(s, STRETCH_read, connections_read(w));
    stretch_end(s, STRETCH_stop, requests_stop_some(w));
    w->started = 0;
    requests_pump(w);
    stretch_end(s, STRETCH_start, w->started);
}

static void on_check(uv_check_t *check)
{
    struct worker *w = check->data;
    take_input(w);
    if (scheduler_ready(&w->sched)) scheduler_turn(&w->sched);
    requests_pump(w);
    flush_all(w);
    requests_feed(w);
    dig(w);
    trim(w);
    reap(w);
    maybe_leave(w);
}

static void on_idle(uv_idle_t *idle) { (void)idle; /* its being active keeps the loop from sleeping */ }

static void on_timer(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    uint32_t units = TIMEOUT_UNITS, ids = w->ids;
    stretch_begin(&w->stretches);
    while (units > 0 && timeouts_fire(&w->timeouts, worker_now_ms(w), 1) > 0) {
        release_units(&units, 1 + (w->ids - ids) / IDS_PER_UNIT);
        ids = w->ids;
    }
    stretch_end(&w->stretches, STRETCH_timeouts, TIMEOUT_UNITS - units);
}

static void set_timer(struct worker *w)
{
    if (!w->timeouts.changed) return;
    w->timeouts.changed = false;
    if (w->timeouts.next_ms == UINT64_MAX) {
        uv_timer_stop(&w->timer);
        return;
    }
    uint64_t now = worker_now_ms(w), at = w->timeouts.next_ms;
    uv_timer_start(&w->timer, on_timer, at > now ? at - now : 0, 0);
}

/* Whatever is to be done in the check phase must not wait for input (.buried). */
static void on_prepare(uv_prepare_t *prepare)
{
    struct worker *w = prepare->data;
    set_timer(w);
    bool busy = w->pump.head || scheduler_ready(&w->sched) || w->to_flush || w->to_read.head ||
                !LIST_EMPTY(&w->stopping_some) || w->grave.head || w->trims || w->sched.fibers.surplus ||
                (w->timeouts.root && w->timeouts.next_ms <= worker_now_ms(w));
    if (busy == w->idling) return;
    w->idling = busy;
    if (busy)
        uv_idle_start(&w->idle, on_idle);
    else
        uv_idle_stop(&w->idle);
}

/* ---- the beat */

static void store(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

static void publish_counters(struct worker *w)
{
    struct page *p = w->boot->page;
    uint64_t handles = 0;
    for (const struct connection *c = LIST_FIRST(&w->connections); c; c = LIST_NEXT(c, link))
        handles += c->handles.map.used;
    store(&p->connections, w->nconnections);
    store(&p->stores, w->nstores);
    store(&p->handles, handles);
    store(&p->memory_bytes, w->memory_used);
}

static void on_beat(uv_timer_t *beat)
{
    struct worker *w = beat->data;
    publish_counters(w);
    w->trims = true;
    control_flush(w);
    uint64_t longest = w->boot->limits.idle_exit;
    if (longest == 0 || w->stopping || w->idle_since_ms == 0) return;
    if (worker_now_ms(w) - w->idle_since_ms < longest) return;
    control_phase(w, HANDOVER_IDLE);
    w->stopping = true;
    uv_stop(&w->loop);
}

/* ---- ends */

void worker_stop(struct worker *w, enum hemi_status why, const char *text)
{
    w->stopping = true;
    for (struct connection *c = LIST_FIRST(&w->connections); c; c = LIST_NEXT(c, link))
        connection_end(c, why, PROTO_OK, text);
    if (LIST_EMPTY(&w->connections)) uv_stop(&w->loop);
}

static void drain_over(struct timeout *t)
{
    struct worker *w = (struct worker *)(void *)((char *)t - offsetof(struct worker, drain_end));
    worker_stop(w, HEMI_DRAINING, HANDOVER_DRAIN_TEXT);
}

void worker_drain(struct worker *w, uint64_t timeout_ms)
{
    if (w->draining) return;
    w->draining = true;
    timeout_set(&w->timeouts, &w->drain_end, worker_now_ms(w) + timeout_ms, drain_over);
}

/* ---- start */

static uint32_t fibers_max(const struct tenant_limits *limits)
{
    uint64_t n = limits->memory / limits->stack;
    if (n < 4 * limits->connections) n = 4 * limits->connections; /* of which half are guaranteed */
    return (uint32_t)(n < FIBERS_MIN ? FIBERS_MIN : n > FIBERS_MAX ? FIBERS_MAX : n);
}

/* For memories and stores: of what the kernel gives a process, without what stacks, large blocks and we need. */
static uint64_t mappings_max(const struct worker_boot *boot)
{
    uint64_t all = boot->mappings ? boot->mappings : MAPPINGS_USUAL;
    uint64_t ours =
        FIBER_MAPPINGS * (uint64_t)fibers_max(&boot->limits) + boot->limits.memory / MAPPED_BLOCK + MAPPINGS_OURS;
    return ours < all - all / 4 ? all - ours : all / 4;
}

void worker_init_pools(struct worker *w)
{
    const struct tenant_limits *limits = &w->boot->limits;
    uint64_t members = w->boot->private_client ? 1 : limits->connections;
    const uint64_t sizes[POOLS] = {[POOL_STACKS] = fibers_max(limits),      [POOL_OUTPUT] = limits->memory / 4,
                                   [POOL_TYPES] = WASM_MAX_ENGINE_TYPES,    [POOL_MEMORY] = limits->memory,
                                   [POOL_MAPPINGS] = mappings_max(w->boot), [POOL_STORES] = limits->stores};
    w->stacks_borrowed_max = limits->memory / limits->stack / 2;
    for (int i = 0; i < POOLS; i++) {
        uint64_t aside = i == POOL_MEMORY ? MEMORY_SET_ASIDE(sizes[i]) : sizes[i] / 2;
        pool_init(&w->pools[i], sizes[i], aside, members);
    }
}

static void between(void *ctx) { requests_pump(ctx); }
static void before_used(void *ctx) { flush_all(ctx); }

static int init_loop(struct worker *w)
{
    uint64_t descriptors = w->boot->descriptors;
    if (uv_loop_init(&w->loop) != 0) return WORKER_EXIT_MEMORY;
    if (descriptors > 0 && loop_presize(&w->loop, &w->presized, descriptors) != 0) return WORKER_EXIT_MEMORY;
    uv_check_init(&w->loop, &w->check);
    uv_prepare_init(&w->loop, &w->prepare);
    uv_idle_init(&w->loop, &w->idle);
    uv_timer_init(&w->loop, &w->beat);
    uv_timer_init(&w->loop, &w->timer);
    w->check.data = w->prepare.data = w->idle.data = w->beat.data = w->timer.data = w;
    uv_check_start(&w->check, on_check);
    uv_prepare_start(&w->prepare, on_prepare);
    uv_timer_start(&w->beat, on_beat, 0, BEAT_MS);
    return 0;
}

/* Freed blocks are joined when they are freed, not some 100,000 of them at once when a large one is. Large blocks grow
 * by remapping, and leave nothing when they are freed. */
static void init_malloc(void)
{
    mallopt(M_MXFAST, 0);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BLOCK);
    malloc_top_init();
}

int worker_init(struct worker *w, const struct worker_boot *boot)
{
    init_malloc();
    memset(w, 0, sizeof *w);
    w->boot = boot;
    w->nesting_max = (uint32_t)(boot->limits.nesting < PROTO_NESTING_MAX ? boot->limits.nesting : PROTO_NESTING_MAX);
    timeouts_init(&w->timeouts);
    worker_init_pools(w);
    int failed = init_loop(w);
    if (failed) return failed;
    scheduler_init(&w->sched, (uint32_t)boot->limits.slice, (size_t)boot->limits.stack, fibers_max(&boot->limits));
    verifier_init(&w->verifier);
    w->sched.between = between;
    w->sched.before_used = before_used;
    w->sched.ctx = w;
    struct engine_options opt = {.yield = scheduler_yield,
                                 .ctx = &w->sched,
                                 .poll = &w->sched.poll,
                                 .types_claim = module_types_claim,
                                 .module_charge = module_charge_account,
                                 .module_gone = module_gone_from_account,
                                 .explicit_checks = boot->limits.fault_checks == SWITCH_OFF,
                                 .canonical_nans = boot->limits.canonical_nans == SWITCH_ON,
                                 .count_opcodes = boot->limits.count_opcodes == SWITCH_ON};
    return engine_new(&opt, &w->engine) == HEMI_OK ? 0 : WORKER_EXIT_MEMORY;
}

int worker_run(struct worker *w)
{
    uv_run(&w->loop, UV_RUN_DEFAULT);
    control_flush(w);
    return w->exit_status;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void worker_deinit(struct worker *w)
{
    CHECK(w->nconnections == 0);
    grave_empty(&w->grave);
    control_deinit(w);
    uv_walk(&w->loop, close_handle, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    engine_free(w->engine);
    verifier_deinit(&w->verifier);
    scheduler_deinit(&w->sched);
}

/* Signals to the whole process group are the supervisor's business: it drains. */
static void ignore_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

int worker_main(const struct worker_boot *boot)
{
    static struct worker w;
    ignore_signals();
    int status = worker_init(&w, boot);
    if (status == 0) status = control_start(&w);
    if (status != 0) return status;
    status = worker_run(&w);
    if (w.nconnections == 0 && (LEAKS_CHECKED || !w.grave.head)) worker_deinit(&w); /* else the system is quicker */
    return status;
}
