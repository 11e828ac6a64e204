#include "server/worker/stores.h"
#include "base/grow.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/release.h"
#include "proto/value.h"
#include "server/worker/connection.h"
#include "server/worker/request.h"
#include "server/worker/state.h"
#include "server/worker/stream.h"
#include "server/worker/totals.h"

/* ---- life */

static void count_stores(struct connection *c, uint32_t n)
{
    struct worker *w = c->worker;
    w->nstores += n - c->nstores;
    c->nstores = n;
    share_set(&w->pools[POOL_STORES], &c->share_of_stores, n);
}

struct wstore *wstore_new(struct connection *conn, uint32_t handle)
{
    struct wstore *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->refs = 1;
    s->conn = conn;
    s->worker = conn->worker;
    s->account = account_ref(conn->account);
    runqueue_init(&s->runs, &conn->runs);
    s->handle = handle;
    LIST_INSERT_HEAD(&conn->stores, s, of_conn);
    count_stores(conn, conn->nstores + 1);
    return s;
}

struct wstore *wstore_ref(struct wstore *s)
{
    s->refs++;
    return s;
}

void wstore_unref(struct wstore *s)
{
    if (--s->refs > 0) return;
    CHECK(s->ended && s->busy == 0 && !s->lane.list);
    CHECK(runqueue_empty(&s->runs));
    account_unref(s->account);
    free(s);
}

struct engine *wstore_engine(const struct wstore *s) { return s->worker->engine; }

static void extern_dead(void *ctx, uint64_t id);

static bool charge(void *ctx, int64_t delta)
{
    const struct wstore *s = ctx;
    return account_charge(s->account, delta);
}

static bool map(void *ctx, int32_t delta)
{
    const struct wstore *s = ctx;
    return account_map(s->account, delta);
}

enum hemi_status wstore_open(struct wstore *s, const struct store_options *limits)
{
    struct store_options opt = *limits;
    struct worker *w = s->conn->worker;
    opt.ctx = s;
    opt.extern_dead = extern_dead;
    opt.charge = charge;
    opt.map = map;
    enum hemi_status status = store_new(w->engine, &opt, &s->store);
    if (status == HEMI_OK) page_count(&w->boot->page->stores_total);
    return status;
}

void wstore_deaths_free(struct wstore *s)
{
    free(s->deaths);
    s->deaths = NULL;
    s->deaths_used = s->deaths_capacity = 0;
}

/* handles.h .of-store */
static bool clear_objects(struct wstore *s, uint32_t *units)
{
    for (struct object *o; (o = LIST_FIRST(&s->objects));) {
        if (!release_unit(units)) return true;
        release_units(units, object_units(o));
        object_clear(o);
        object_unlink(o);
    }
    return false;
}

static bool forget_externs(struct wstore *s, uint32_t *units)
{
    while (s->externs.used > 0) {
        if (!release_unit(units)) return true;
        free(idmap_pop(&s->externs));
    }
    idmap_deinit(&s->externs);
    return false;
}

/* fiber.h .flat: whoever digs on a fiber leaves it to the loop. */
static bool verify_some(struct wstore *s, uint32_t *units)
{
    if (s->verified || !s->store) return false;
    if (s->worker->sched.running) release_units(units, *units);
    if (verifier_some(&s->worker->verifier, s->store, units)) return true;
    s->verified = true;
    return false;
}

static bool free_some(struct corpse *corpse, uint32_t *units)
{
    struct wstore *s = (struct wstore *)(void *)((char *)corpse - offsetof(struct wstore, corpse));
    if (verify_some(s, units)) return true;
    if (streams_end_some(s, units) || clear_objects(s, units) || store_free_some(s->store, units)) return true;
    s->store = NULL;
    if (forget_externs(s, units)) return true;
    wstore_unref(s);
    return false;
}

static void share_types(struct wstore *s, uint32_t host_types)
{
    struct share *share = &s->conn->types;
    share_set(&s->conn->worker->pools[POOL_TYPES], share, share->used + host_types - s->host_types);
    s->host_types = host_types;
}

void wstore_count_types(struct wstore *s) { share_types(s, store_host_types(s->store)); }

void wstore_end(struct wstore *s)
{
    if (s->ended) return;
    CHECK(s->busy == 0 && !s->lane.active);
    struct connection *c = s->conn;
    s->ended = s->closing = true;
    lane_unmark(&s->lane);
    requests_stop_forget(&s->stopping);
    wstore_rouse(s);
    totals_keep_store(s);
    wstore_deaths_free(s); /* a client that closes a store, or its connection, takes everything for dead */
    share_types(s, 0);
    LIST_REMOVE(s, of_conn);
    count_stores(c, c->nstores - 1);
    grave_bury(&c->worker->grave, &s->corpse, free_some);
}

void wstore_stop(struct wstore *s, enum hemi_status why)
{
    s->closing = true;
    requests_stop_store(s, why);
}

static void rest(struct wstore *s)
{
    struct worker *w = s->worker;
    s->resting = true;
    s->resting_since_ms = worker_now_ms(w);
    s->rest_next = NULL;
    s->rest_prev = w->resting.tail;
    *(w->resting.tail ? &w->resting.tail->rest_next : &w->resting.head) = s;
    w->resting.tail = s;
}

void wstore_rouse(struct wstore *s)
{
    struct worker *w = s->worker;
    if (!s->resting) return;
    s->resting = false;
    *(s->rest_prev ? &s->rest_prev->rest_next : &w->resting.head) = s->rest_next;
    *(s->rest_next ? &s->rest_next->rest_prev : &w->resting.tail) = s->rest_prev;
}

void wstore_join(struct wstore *s, struct request *r)
{
    wstore_rouse(s);
    r->store = wstore_ref(s);
    s->busy++;
    LIST_INSERT_HEAD(&s->requests, r, of_store);
}

void wstore_leave(struct wstore *s, struct request *r)
{
    if (s->stopping.at == r) s->stopping.at = LIST_NEXT(r, of_store);
    LIST_REMOVE(r, of_store);
    r->store = NULL;
    if (--s->busy == 0) rest(s);
}

/* ---- externs */

static void list_deaths(struct wstore *s)
{
    if (s->death_listed) return;
    s->death_listed = true;
    wstore_ref(s);
    s->next_death = s->conn->deaths;
    s->conn->deaths = s;
    connection_mark_flush(s->conn);
}

enum { DEATH_BYTES = 16, DEATHS_FIRST = 64 * DEATH_BYTES };

/* A notice that does not fit into memory would leave the client with an object it never finalises: the connection
 * ends instead, which finalises everything. */
static void notice(struct wstore *s, const struct extern_count *e)
{
    if (s->ended) return;
    if (!GROW(s->deaths, s->deaths_used, DEATH_BYTES, s->deaths_capacity, DEATHS_FIRST)) {
        connection_end(s->conn, HEMI_NO_MEMORY, PROTO_NO_MEMORY, "no memory for death notices");
        return;
    }
    uint8_t *at = s->deaths + s->deaths_used;
    wire_put_u64(at, e->id);
    wire_put_u32(at + 8, e->received);
    wire_put_u32(at + 12, 0);
    s->deaths_used += DEATH_BYTES;
    s->conn->externs_dead++;
    list_deaths(s);
}

/* .extern-count */
static void settle(struct wstore *s, struct extern_count *e)
{
    if (e->on_way > 0 || e->live) return;
    if (e->received > 0) notice(s, e);
    idmap_remove(&s->externs, e->id);
    free(e);
}

static void extern_dead(void *ctx, uint64_t id)
{
    struct wstore *s = ctx;
    struct extern_count *e = idmap_get(&s->externs, id);
    if (!e) return; /* the store is ending */
    e->live = false;
    settle(s, e);
}

bool wstore_extern_received(struct wstore *s, uint64_t id)
{
    struct extern_count *e = idmap_get(&s->externs, id);
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e) return false;
        e->id = id;
        if (!idmap_put(&s->externs, id, e)) {
            free(e);
            return false;
        }
    }
    e->received++;
    e->on_way++;
    return true;
}

void wstore_extern_settled(struct wstore *s, uint64_t id)
{
    struct extern_count *e = idmap_get(&s->externs, id);
    if (!e) return; /* the store has ended */
    e->on_way--;
    settle(s, e);
}

enum hemi_status wstore_extern(struct wstore *s, uint64_t id, struct root *out)
{
    enum hemi_status status = store_extern(s->store, id, out);
    struct extern_count *e = idmap_get(&s->externs, id);
    CHECK(e);
    if (status == HEMI_OK) e->live = true;
    return status;
}

/* ---- lanes */

void lane_push(struct lane *l, struct request *r)
{
    r->lane = l;
    l->sheltered += r->parent != NULL;
    r->lane_next = NULL;
    r->lane_prev = l->tail;
    *(l->tail ? &l->tail->lane_next : &l->head) = r;
    l->tail = r;
}

void lane_remove(struct lane *l, struct request *r)
{
    r->lane = NULL;
    if (l->active == r) {
        l->active = NULL;
        return;
    }
    l->sheltered -= r->parent != NULL;
    *(r->lane_prev ? &r->lane_prev->lane_next : &l->head) = r->lane_next;
    *(r->lane_next ? &r->lane_next->lane_prev : &l->tail) = r->lane_prev;
    r->lane_prev = r->lane_next = NULL;
}
