/* server/requests/store.c -- modules, stores and instances. */
#include <stdlib.h>
#include <string.h>

#include "proto/counters.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "server/requests/link.h"
#include "server/requests/rows.h"
#include "server/wasi/wasi.h"
#include "server/worker/connection.h"
#include "server/worker/totals.h"
#include "server/worker/upload.h"
#include "server/worker/values.h"

/* ---- modules */

/* Space for a module that is about to come, under a handle that is free. Errors of content poison it. */
static enum proto_error begin_module(struct request *r, uint32_t id, uint64_t total)
{
    const struct tenant_limits *limits = &r->conn->worker->boot->limits;
    const char *why = NULL;
    enum proto_error e = request_promise(r, id, OBJECT_MODULE, &r->makes);
    r->makes_id = id;
    if (e != PROTO_OK || r->reply.error.status != HEMI_OK) return e;
    if (total > limits->module_size) {
        request_limit(r, "module_size", total, " bytes", limits->module_size);
    } else if (r->conn->nmodules >= limits->modules) {
        request_limit(r, "modules", (uint64_t)r->conn->nmodules + 1, " on this connection", limits->modules);
    } else if (r->fd >= 0) {
        r->makes->upload = upload_map(r->conn, r->fd, total, &why);
    } else {
        r->makes->upload = upload_new(r->conn, total);
    }
    if (r->makes->upload || r->reply.error.status != HEMI_OK) return PROTO_OK;
    request_fail(r, why ? HEMI_ARGUMENT : HEMI_NO_MEMORY, "%s", why ? why : "no memory for a module");
    return PROTO_OK;
}

/* The module that chunks are coming for. NULL: a status is set (or *e). */
static struct object *find_module(struct request *r, uint32_t id, uint64_t total, enum proto_error *e)
{
    struct object *o = handles_get(&r->conn->handles, id);
    *e = PROTO_OK;
    if (!o) {
        *e = begin_module(r, id, total);
        return *e == PROTO_OK && r->reply.error.status == HEMI_OK ? r->makes : NULL;
    }
    if (o->kind != OBJECT_MODULE || o->bound || (o->upload && o->upload->complete)) {
        *e = PROTO_HANDLE; /* in use */
        return NULL;
    }
    if (!o->upload) { /* an earlier chunk failed */
        r->reply.failed_request = o->outcome->root;
        request_fail(r, HEMI_DEPENDENCY_FAILED, "an earlier chunk of this module failed");
        return NULL;
    }
    r->makes = object_ref(o);
    r->makes_id = id;
    r->chunk = o->outcome; /* and from here on this request is the one that makes it */
    o->outcome = outcome_ref(r->outcome);
    return o;
}

static void poison_module(struct object *o)
{
    upload_bury(o->upload, NULL);
    o->upload = NULL;
}

static void take_chunk(struct request *r, struct object *o, uint64_t offset, uint64_t total)
{
    struct upload *u = o->upload;
    if (u->mapped) return;
    if (total != u->total || offset != u->have || r->raw_length > u->total - u->have) {
        request_fail(r, HEMI_ARGUMENT, "a chunk of %zu bytes at %llu does not continue the %llu of %llu received",
                     r->raw_length, (unsigned long long)offset, (unsigned long long)u->have,
                     (unsigned long long)u->total);
        poison_module(o);
        return;
    }
    if (upload_append(u, r->raw, r->raw_length)) return;
    request_fail(r, HEMI_NO_MEMORY, "no memory for %zu more bytes of a module of %llu", r->raw_length,
                 (unsigned long long)u->total);
    poison_module(o);
}

enum proto_error read_module_data(struct request *r)
{
    const Hemi__V1__ModuleData *b = (const Hemi__V1__ModuleData *)r->body;
    enum proto_error e;
    struct object *o = find_module(r, b->module, b->total, &e);
    if (o) take_chunk(r, o, b->offset, b->total);
    return e;
}

enum hemi_status run_module_data(struct request *r)
{
    (void)r; /* done when it was read, so that chunks are in order */
    return HEMI_OK;
}

enum proto_error read_module_new(struct request *r)
{
    const Hemi__V1__ModuleNew *b = (const Hemi__V1__ModuleNew *)r->body;
    enum proto_error e;
    if (r->fd != -1 && r->raw_length > 0) return PROTO_RAW;
    struct object *o = find_module(r, b->module, b->total, &e);
    if (!o) return e;
    if (r->fd != -1 && !o->upload->mapped) return PROTO_RAW; /* chunks and a descriptor */
    take_chunk(r, o, o->upload->have, b->total);
    if (r->reply.error.status != HEMI_OK) return PROTO_OK;
    if (o->upload->have != o->upload->total) {
        request_fail(r, HEMI_ARGUMENT, "%llu of %llu bytes received", (unsigned long long)o->upload->have,
                     (unsigned long long)o->upload->total);
        poison_module(o);
        return PROTO_OK;
    }
    o->upload->complete = true;
    return PROTO_OK;
}

/* The module has a copy. */
static void free_bytes(struct request *r, struct upload *u)
{
    uint32_t units = GRAVE_UNITS;
    while (upload_free_bytes(u, &units)) {
        units = GRAVE_UNITS;
        scheduler_yield(&r->conn->worker->sched);
    }
}

enum hemi_status request_types_limit(struct request *r, uint64_t more)
{
    return request_share_limit(r, POOL_TYPES, &r->conn->types, more);
}

/* A function type that a tag has makes one more, of the exception's layout. */
static enum hemi_status claim_layouts(struct upload *u, struct module *m)
{
    uint32_t most = m->ntags < m->ntypes ? m->ntags : m->ntypes;
    if (upload_claim_types(u, most)) return HEMI_OK;
    module_unref(m);
    return HEMI_LIMIT;
}

enum hemi_status run_module_new(struct request *r)
{
    struct object *o = r->makes;
    struct module *m;
    struct engine *e = r->conn->worker->engine;
    enum hemi_status status;
    if (o->upload->mapped)
        status = module_new(e, o->upload->bytes, o->upload->total, &m, &r->reply.error);
    else
        status = module_take(e, upload_take_bytes(o->upload), o->upload->total, &m, &r->reply.error);
    if (status == HEMI_OK) status = claim_layouts(o->upload, m);
    if (status != HEMI_OK) {
        if (o->upload->types_refused) request_types_limit(r, o->upload->types_refused);
        upload_bury(o->upload, NULL);
        o->upload = NULL;
        return status;
    }
    free_bytes(r, o->upload);
    o->u.module = m;
    o->bound = true;
    return HEMI_OK;
}

/* ---- stores */

enum proto_error read_store_new(struct request *r)
{
    const Hemi__V1__StoreNew *b = (const Hemi__V1__StoreNew *)r->body;
    struct connection *c = r->conn;
    if (!share_allows(&c->worker->pools[POOL_STORES], &c->share_of_stores, 1))
        request_share_limit(r, POOL_STORES, &c->share_of_stores, 1);
    struct wstore *s = wstore_new(c, b->store);
    if (!s) return PROTO_NO_MEMORY;
    wstore_join(s, r);
    s->failed = r->reply.error.status != HEMI_OK;
    r->makes_id = b->store;
    return request_promise(r, b->store, OBJECT_STORE, &r->makes);
}

static bool is_less(uint64_t wish, uint64_t limit) { return wish > 0 && wish < limit; }
static uint64_t least(uint64_t wish, uint64_t limit) { return is_less(wish, limit) ? wish : limit; }

/* A limit is called as the store's option or the tenant's, whichever it is that sets it. */
static struct store_limit_names limit_names(const Hemi__V1__StoreNew *b, const struct tenant_limits *limits)
{
#define NAME(wish, limit) (is_less(b->wish, limits->limit) ? #wish : #limit)
    return (struct store_limit_names){.heap = NAME(heap_bytes, heap),
                                      .stack = NAME(stack_bytes, stack),
                                      .memory = NAME(memory_bytes, linear_memory),
                                      .table = NAME(table_elements, table_elements),
                                      .instances = NAME(instances, instances)};
#undef NAME
}

enum {
    GC_GROWTH_MAX = 10000,    /* per cent; a wish of 0 is the heap's own default, not this */
    HEAP_WISH_MIN = 64 << 10, /* bytes; a smaller wish is rounded up */
    STACK_UNIT = 16           /* so is that for a stack, to one of these */
};

/* 0: nothing was asked for. */
static size_t stack_of(uint64_t asked, uint64_t limit)
{
    uint64_t bytes = asked == 0 || asked >= STACK_UNIT ? asked : STACK_UNIT;
    return (size_t)least(bytes, limit) / STACK_UNIT * STACK_UNIT;
}

enum hemi_status run_store_new(struct request *r)
{
    const Hemi__V1__StoreNew *b = (const Hemi__V1__StoreNew *)r->body;
    const struct tenant_limits *limits = &r->conn->worker->boot->limits;
    uint64_t heap = b->heap_bytes == 0 || b->heap_bytes > HEAP_WISH_MIN ? b->heap_bytes : HEAP_WISH_MIN;
    struct store_options opt = {
        .names = limit_names(b, limits),
        .heap_limit = least(heap, limits->heap),
        .memory_limit = least(b->memory_bytes, limits->linear_memory),
        .table_limit = least(b->table_elements, limits->table_elements),
        .instance_limit = (uint32_t)least(b->instances, limits->instances),
        .gc_stress = b->gc_stress_every,
        .gc_growth = b->gc_growth_percent < GC_GROWTH_MAX ? b->gc_growth_percent : GC_GROWTH_MAX,
    };
    r->store->stack = stack_of(b->stack_bytes, limits->stack);
    enum hemi_status status = wstore_open(r->store, &opt);
    r->store->failed = status != HEMI_OK;
    r->makes->bound = status == HEMI_OK;
    return status == HEMI_OK ? status : request_fail(r, status, "no memory for a store");
}

/* In order: it queues in the store's lane like any other request to it. */
enum proto_error read_store_close(struct request *r)
{
    const Hemi__V1__StoreClose *b = (const Hemi__V1__StoreClose *)r->body;
    if (b->in_order && r->uses[0]) request_join_store(r, r->uses[0], b->store);
    return PROTO_OK;
}

/* Waits for nothing but the unwinding of what it stops: of everything, or, in order, of what came after it. */
enum hemi_status run_store_close(struct request *r)
{
    struct wstore *s = r->uses[0]->store;
    if (s->closing) return request_fail(r, HEMI_HANDLE, "the store is closed already");
    if (r->store) request_let_go_store(r);
    s->closer = r;
    s->closing = true;
    if (s->busy > 0)
        wstore_stop(s, HEMI_CLOSED);
    else
        request_finish_close(r);
    return HEMI_OK;
}

enum hemi_status run_store_gc(struct request *r)
{
    store_collect(r->store->store);
    return r->act.stop;
}

enum hemi_status run_store_stats(struct request *r)
{
    const struct connection *c = r->conn;
    uint64_t n[COUNTERS] = {0};
    if (r->store)
        totals_of_store(n, r->store);
    else
        for (const struct wstore *s = LIST_FIRST(&c->stores); s; s = LIST_NEXT(s, of_conn)) totals_of_store(n, s);
    totals_of_connection(n, c);
    uint8_t *raw = request_raw(r, sizeof n);
    if (!raw) return HEMI_NO_MEMORY;
    for (int i = 0; i < COUNTERS; i++) wire_put_u64(raw + 8 * i, n[i]);
    return HEMI_OK;
}

/* ---- instances */

enum hemi_status run_instance_new(struct request *r)
{
    struct module *m = r->uses[1]->u.module;
    if (r->npins > m->nimports)
        return request_fail(r, HEMI_ARGUMENT, "%u imports given, the module has %u", r->npins, m->nimports);
    struct rt_extern *imports = calloc(m->nimports > 0 ? m->nimports : 1, sizeof *imports);
    if (!imports) return request_fail(r, HEMI_NO_MEMORY, "no memory for imports");
    enum hemi_status status = request_link(r, m, imports);
    struct instance *in;
    if (status == HEMI_OK) status = instance_new(r->store->store, m, imports, request_stack(r), &in, &r->reply.error);
    free(imports);
    if (status != HEMI_OK) {
        request_trace(r, 0);
        return status;
    }
    r->makes->u.instance = in;
    r->makes->bound = true;
    return HEMI_OK;
}

/* ---- WASI */

/* Streams are there from the reading on: frames for them may follow at once. */
static enum proto_error make_stream(struct request *r, int fd, uint32_t id, uint64_t credit)
{
    struct wasi *w = wasi_of(r->inside);
    if (id == 0) return PROTO_OK;
    if (fd == 2 && w && w->fds[1].stream && w->fds[1].stream->id == id) {
        w->fds[2].stream = w->fds[1].stream;
        w->fds[2].stream->refs++;
        return PROTO_OK;
    }
    if (!stream_id_free(r->conn, id)) return PROTO_STREAM;
    stream_id_used(r->conn, id); /* also when nothing comes of it */
    if (!w || !r->store) return PROTO_OK;
    if (!stream_has_room(r->conn)) {
        request_limit(r, "handles", r->conn->handles.max + 1ull, " streams on this connection", r->conn->handles.max);
        return PROTO_OK;
    }
    w->fds[fd].stream = stream_new(r->conn, r->store, id, fd == 0, credit);
    if (!w->fds[fd].stream) request_fail(r, HEMI_NO_MEMORY, "no memory for a stream");
    return PROTO_OK;
}

enum proto_error read_wasi_new(struct request *r)
{
    const Hemi__V1__WasiNew *b = (const Hemi__V1__WasiNew *)r->body;
    struct wasi *w = NULL;
    bool malformed = false;
    if (r->store && r->reply.error.status == HEMI_OK) {
        w = wasi_new(r->store, r->raw, r->raw_length, b->args, b->envs, &malformed);
        if (malformed) return PROTO_RAW;
        if (w) r->inside = &w->inside;
        if (!w || !wasi_charge(w)) request_fail(r, HEMI_NO_MEMORY, "no memory for a WASI object");
    }
    for (int fd = 0; w && fd < WASI_FDS; fd++) w->fds[fd].terminal = b->terminals >> fd & 1;
    enum proto_error e = make_stream(r, 0, b->stdin_stream, 0);
    if (e == PROTO_OK) e = make_stream(r, 1, b->stdout_stream, b->output_credit);
    if (e == PROTO_OK) e = make_stream(r, 2, b->stderr_stream, b->output_credit);
    return e;
}

enum hemi_status run_wasi_new(struct request *r)
{
    r->makes->u.inside = r->inside;
    r->makes->bound = true;
    r->inside = NULL;
    return HEMI_OK;
}
