#include "server/worker/hostcall.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/hemi.pb-c.h"
#include "proto/tables/limits.h"
#include "runtime/runtime.h"
#include "server/worker/connection.h"
#include "server/worker/values.h"

/* A host function's context; the engine drops it with the store. */
struct host_func_ctx {
    struct wstore *store; /* borrowed: outlives its engine store */
    uint64_t host;
    valtype *types; /* params, results */
    uint32_t nparams, nresults;
};

/* ---- life of a call */

struct host_call *hostcall_ref(struct host_call *h)
{
    h->refs++;
    return h;
}

void hostcall_unref(struct host_call *h)
{
    if (!h || --h->refs > 0) return;
    CHECK(LIST_EMPTY(&h->children));
    lane_unmark(&h->lane);
    if (!h->store->ended) values_settle(h->store, h->types, h->ncounted, h->raw);
    values_unpin(h->npins, h->pins);
    free(h->raw);
    wstore_unref(h->store);
    free(h);
}

static struct host_call *call_new(struct request *r, const struct host_func_ctx *f)
{
    struct connection *c = r->conn;
    struct host_call *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    *h = (struct host_call){.refs = 1,
                            .conn = c,
                            .store = wstore_ref(f->store),
                            .window = c->nested,
                            .depth = r->depth + 1,
                            .types = f->types + f->nparams,
                            .nresults = f->nresults};
    do h->id = ++c->next_call;
    while (h->id == 0 || idmap_get(&c->calls, h->id));
    if (!idmap_put(&c->calls, h->id, h)) {
        hostcall_unref(h);
        return NULL;
    }
    hostcall_ref(h);
    h->request = r;
    r->calling = h;
    return h;
}

void hostcall_add_child(struct host_call *h, struct request *r)
{
    r->parent = hostcall_ref(h);
    LIST_INSERT_HEAD(&h->children, r, sibling);
}

void hostcall_remove_child(struct host_call *h, struct request *r)
{
    LIST_REMOVE(r, sibling);
    r->parent = NULL;
    if (h->request) scheduler_wake(&h->request->act);
    hostcall_unref(h);
}

/* The caller is to stop: nothing made inside the call may go on. The client still owes its reply. */
static void abandon(struct host_call *h)
{
    for (struct request *child = LIST_FIRST(&h->children), *next; child; child = next) {
        uint32_t before = h->conn->nrequests;
        next = LIST_NEXT(child, sibling);
        request_stop(child, HEMI_CANCELLED);
        if (h->conn->nrequests != before) next = LIST_FIRST(&h->children); /* it, and perhaps others, are gone */
    }
}

/* .nest */
static enum hemi_status wait_for_reply(struct host_call *h)
{
    struct request *r = h->request;
    struct scheduler *s = &r->conn->worker->sched;
    while (r->act.stop == HEMI_OK && !(h->replied && LIST_EMPTY(&h->children))) scheduler_wait(s);
    if (r->act.stop == HEMI_OK) return HEMI_OK;
    abandon(h);
    while (h->nested > 0) scheduler_wait(s);
    return r->act.stop;
}

/* ---- arguments and results */

/* Gives every reference among the arguments that is an object a handle of its own. On failure the handles made so far
 * stay until the connection drops them: the caller unbinds them. */
static bool write_args(const struct host_func_ctx *f, const union val *args, uint8_t *raw, uint32_t *handles)
{
    struct connection *c = f->store->conn;
    for (uint32_t i = 0; i < f->nparams; i++) {
        uint8_t class_ = vt_is_ref(f->types[i]) ? value_class(f->store, f->types[i]) : 0;
        bool object = vt_is_ref(f->types[i]) && args[i].ref != 0 &&
                      (class_ == WIRE_CLASS_FUNC || !heap_is_i31((heap_ref){args[i].ref}));
        handles[i] = 0;
        if (object) {
            struct object *o = object_new(OBJECT_REF, f->store, NULL);
            if (!o) return false;
            object_bind_ref(o, class_slot(class_), args[i].ref, class_);
            handles[i] = handles_bind_new(&c->handles, o);
            object_unref(o);
            if (handles[i] == 0) return false;
        }
        value_write(f->store, f->types[i], args[i], handles[i], raw + (size_t)i * WIRE_VALUE_BYTES);
    }
    return true;
}

static enum hemi_status send_call(const struct host_func_ctx *f, struct host_call *h, const union val *args)
{
    struct connection *c = h->conn;
    enum { FEW = 8 };
    uint32_t few[FEW], *handles = f->nparams <= FEW ? few : calloc(f->nparams, sizeof *handles);
    uint8_t few_raw[FEW * WIRE_VALUE_BYTES];
    uint8_t *raw = f->nparams <= FEW ? few_raw : calloc(f->nparams, WIRE_VALUE_BYTES);
    enum hemi_status status = HEMI_NO_MEMORY;
    if (handles && raw) {
        memset(handles, 0, f->nparams * sizeof *handles);
        Hemi__V1__HostCall body = HEMI__V1__HOST_CALL__INIT;
        body.host = f->host;
        body.request = h->request->id;
        body.store = f->store->handle;
        struct frame_out out = {.type = FRAME_HOST_CALL,
                                .request = h->id,
                                .body = &body.base,
                                .raw = raw,
                                .raw_length = f->nparams * (size_t)WIRE_VALUE_BYTES,
                                .fd = -1};
        if (!write_args(f, args, raw, handles)) {
            status = HEMI_LIMIT;
            for (uint32_t i = 0; i < f->nparams; i++)
                if (handles[i] != 0) handles_drop(&c->handles, handles[i]);
        } else if (connection_send(c, &out)) {
            status = HEMI_OK;
        }
    }
    if (handles != few) free(handles);
    if (raw != few_raw) free(raw);
    return status;
}

static enum hemi_status read_results(const struct host_func_ctx *f, struct host_call *h, union val *results,
                                     struct rt_error *err)
{
    struct values v = {0};
    if (h->raw_length != f->nresults * (size_t)WIRE_VALUE_BYTES) {
        return rt_fail(err, HEMI_HOST, "a host function gave %zu values where %u are due",
                       h->raw_length / WIRE_VALUE_BYTES, f->nresults);
    }
    enum hemi_status status = values_read(f->store, f->types + f->nparams, f->nresults, h->raw, h->pins, &v, err);
    if (status == HEMI_OK) memcpy(results, v.vals, f->nresults * sizeof *results);
    values_deinit(&v); /* nothing collects until the engine has the results */
    if (status != HEMI_OK && status != HEMI_NO_MEMORY) status = HEMI_HOST;
    return status;
}

static enum hemi_status throw_exception(const struct host_func_ctx *f, struct host_call *h, struct rt_error *err)
{
    static const valtype exn = VT_REF(false, HT_EXN);
    struct values v = {0};
    enum hemi_status status = h->raw_length != WIRE_VALUE_BYTES
                                  ? rt_fail(err, HEMI_HOST, "a host function threw nothing")
                                  : values_read(f->store, &exn, 1, h->raw, h->pins, &v, err);
    if (status == HEMI_OK && v.vals[0].ref == 0) status = rt_fail(err, HEMI_HOST, "a host function threw null");
    if (status == HEMI_OK) {
        store_throw(f->store->store, v.vals[0].ref);
        status = HEMI_EXCEPTION;
    } else {
        status = HEMI_HOST;
    }
    values_deinit(&v);
    return status;
}

static enum hemi_status take_reply(const struct host_func_ctx *f, struct host_call *h, union val *results,
                                   struct rt_error *err)
{
    switch (h->status) {
    case HEMI_OK:
        return read_results(f, h, results, err);
    case HEMI_EXCEPTION:
        return throw_exception(f, h, err);
    case HEMI_EXIT:
        err->exit_code = h->exit_code;
        return HEMI_EXIT;
    default: /* HOST or TRAP */
        err->trap = TRAP_HOST_TRAP;
        return rt_fail(err, h->status, "%s", h->message[0] ? h->message : "host function failed");
    }
}

/* ---- the call itself: on the guest's fiber */

static enum hemi_status make_call(const struct host_func_ctx *f, struct host_call *h, const union val *args,
                                  union val *results, struct rt_error *err)
{
    struct connection *c = h->conn;
    enum hemi_status status = send_call(f, h, args);
    if (status != HEMI_OK) {
        hostcall_unref(idmap_remove(&c->calls, h->id)); /* the client never heard of it */
        return rt_fail(err, status, "no room for a host call's arguments");
    }
    c->host_calls++;
    page_count(&c->worker->boot->page->host_calls_total);
    status = wait_for_reply(h);
    if (status != HEMI_OK)
        return rt_fail(err, status, "stopped while waiting for host function %llu", (unsigned long long)f->host);
    return take_reply(f, h, results, err);
}

static enum hemi_status host_call(void *ctx, struct store *store, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    const struct host_func_ctx *f = ctx;
    struct connection *c = f->store->conn;
    struct request *r = request_of(c->worker->sched.running);
    (void)store, (void)caller;
    CHECK(r && r->conn == c);
    if (r->depth >= c->worker->nesting_max)
        return rt_fail(err, HEMI_LIMIT, LIMIT_MESSAGE, "nesting", r->depth + 1ull, " host calls inside one another",
                       (unsigned long long)c->worker->nesting_max);
    enum hemi_status status = connection_wait_output(c);
    if (status != HEMI_OK) return status;
    if (c->calls.used >= HOST_CALLS_MAX)
        return rt_fail(err, HEMI_LIMIT, LIMIT_MESSAGE, "host calls", HOST_CALLS_MAX + 1ull, " outstanding",
                       (unsigned long long)HOST_CALLS_MAX);
    struct host_call *h = call_new(r, f);
    if (!h) return rt_fail(err, HEMI_NO_MEMORY, "no memory for a host call");
    status = make_call(f, h, args, results, err);
    h->request = NULL;
    r->calling = NULL;
    hostcall_unref(h);
    return status;
}

static void drop(void *ctx)
{
    struct host_func_ctx *f = ctx;
    free(f->types);
    free(f);
}

enum hemi_status hostcall_func_new(struct wstore *s, uint64_t host, uint32_t type_id, const valtype *vals,
                                   uint32_t nparams, uint32_t nresults, uint32_t *func)
{
    if (!share_allows(&s->conn->worker->pools[POOL_TYPES], &s->conn->types, 1)) return HEMI_LIMIT;
    struct host_func_ctx *f = calloc(1, sizeof *f);
    if (!f) return HEMI_NO_MEMORY;
    size_t n = (size_t)nparams + nresults;
    *f = (struct host_func_ctx){.store = s, .host = host, .nparams = nparams, .nresults = nresults};
    f->types = malloc(n > 0 ? n * sizeof *f->types : 1);
    if (!f->types) {
        free(f);
        return HEMI_NO_MEMORY;
    }
    memcpy(f->types, vals, n * sizeof *f->types);
    struct host_func_options opt = {.ctx = f, .call = host_call, .drop = drop};
    enum hemi_status status = type_id == TYPE_NONE ? host_func_new(s->store, vals, nparams, nresults, &opt, func)
                                                   : host_func_new_typed(s->store, type_id, &opt, func);
    wstore_count_types(s);
    if (status != HEMI_OK) drop(f);
    return status;
}

/* ---- HOST_REPLY */

static bool reply_status_allowed(uint32_t status)
{
    return status == HEMI_OK || status == HEMI_HOST || status == HEMI_TRAP || status == HEMI_EXCEPTION ||
           status == HEMI_EXIT;
}

/* There is no answer to a reply, in which the client could be told that they did not count: so they always do. */
static bool count_externs(struct host_call *h, uint32_t n)
{
    if (h->store->ended || h->status != HEMI_OK) return true;
    uint32_t due = n < h->nresults ? n : h->nresults;
    if (!values_count(h->store, h->types, due, h->raw)) return false;
    h->ncounted = due;
    return true;
}

static enum proto_error keep_reply(struct host_call *h, const Hemi__V1__HostReply *body, const struct frame *f)
{
    uint32_t n = f->raw_length / WIRE_VALUE_BYTES;
    h->replied = true;
    h->status = (enum hemi_status)body->status;
    h->exit_code = body->exit_code;
    size_t len = body->message.len < sizeof h->message - 1 ? body->message.len : sizeof h->message - 1;
    if (len > 0) memcpy(h->message, body->message.data, len);
    h->message[len] = 0;
    h->raw = malloc(f->raw_length > 0 ? f->raw_length : 1);
    if (!h->raw) return PROTO_NO_MEMORY;
    if (f->raw_length > 0) memcpy(h->raw, f->raw, f->raw_length);
    h->raw_length = f->raw_length;
    if (!values_pin(&h->conn->handles, h->raw, n, &h->pins)) return PROTO_NO_MEMORY;
    h->npins = n;
    return count_externs(h, n) ? PROTO_OK : PROTO_NO_MEMORY;
}

enum proto_error hostcall_reply(struct connection *c, const struct frame *f)
{
    const Hemi__V1__HostReply *body = (const Hemi__V1__HostReply *)f->body;
    if (f->raw_length % WIRE_VALUE_BYTES != 0) return PROTO_RAW;
    if (!reply_status_allowed(body->status)) return PROTO_BODY;
    struct host_call *h = idmap_remove(&c->calls, f->head.request);
    if (!h) return PROTO_REQUEST_ID;
    enum proto_error e = keep_reply(h, body, f);
    if (h->request) scheduler_wake(&h->request->act);
    hostcall_unref(h); /* the map's; an abandoned call ends here */
    return e;
}
