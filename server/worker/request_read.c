/* server/worker/request_read.c -- from a frame to a request in its lane: what it names is looked up and pinned, what it
 * makes is promised. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/release.h"
#include "server/worker/connection.h"
#include "server/worker/hostcall.h"
#include "server/worker/request.h"
#include "server/worker/values.h"

enum {
    RAW_FREE = 4096, /* smaller raw parts are bounded by the window alone */
    PINS_AT_ONCE = 256,
    PINS_PER_UNIT = 8 /* looked up */
};

static uint32_t body_u32(const struct request *r, uint16_t offset)
{
    uint32_t v;
    memcpy(&v, (const char *)r->body + offset, sizeof v);
    return v;
}

enum proto_error request_promise(struct request *r, uint32_t id, enum object_kind kind, struct object **out)
{
    struct object *o = object_new(kind, r->store, r->outcome);
    if (!o) return PROTO_NO_MEMORY;
    *out = o;
    switch (handles_bind(&r->conn->handles, id, o)) {
    case HANDLE_OK:
        return PROTO_OK;
    case HANDLE_TAKEN:
        return PROTO_HANDLE;
    case HANDLE_NO_MEMORY:
        return PROTO_NO_MEMORY;
    case HANDLE_REFUSED:
        if (r->reply.error.status == HEMI_OK) request_fail(r, HEMI_NO_MEMORY, "no memory for a handle");
        return PROTO_OK;
    default:
        break;
    }
    if (r->reply.error.status == HEMI_OK)
        request_limit(r, "handles", (uint64_t)r->conn->handles.map.used + 1, " on this connection",
                      r->conn->handles.max);
    return PROTO_OK;
}

/* All that a request names must be of one store. */
void request_join_store(struct request *r, const struct object *o, uint32_t id)
{
    struct wstore *s = o->store;
    if (!s || s->failed) return; /* of a failed store: poisoned */
    if (s->closing) {
        request_fail(r, HEMI_HANDLE, "handle %u: its store is closed", id);
    } else if (r->store && r->store != s) {
        request_fail(r, HEMI_HANDLE, "handle %u is of another store", id);
    } else if (!r->store) {
        wstore_join(s, r);
    }
}

static struct object *look_up(struct request *r, uint32_t id, const char *what)
{
    struct object *o = handles_get(&r->conn->handles, id);
    if (!o) {
        request_fail(r, HEMI_HANDLE, "no %s has handle %u", what, id);
        return NULL;
    }
    if (!r->row->ends_store) request_join_store(r, o, id);
    return object_ref(o);
}

static void read_uses(struct request *r)
{
    for (size_t i = 0; i < sizeof r->uses / sizeof r->uses[0]; i++) {
        const struct request_use *u = &r->row->uses[i];
        if (u->field == 0) continue;
        uint32_t id = body_u32(r, u->field);
        if (id != 0 || !u->optional) r->uses[i] = look_up(r, id, object_kind_text((enum object_kind)u->kind));
    }
}

static void pin(struct request *r, uint32_t i)
{
    uint32_t id = wire_get_u32(r->raw + 4 * (size_t)i);
    if (id != 0) r->pins[i] = look_up(r, id, "object");
}

static enum proto_error read_handles(struct request *r)
{
    if (r->raw_length % 4 != 0) return PROTO_RAW;
    r->npins = (uint32_t)(r->raw_length / 4);
    r->pins = r->npins > 0 ? calloc(r->npins, sizeof *r->pins) : NULL;
    if (r->npins > 0 && !r->pins) return PROTO_NO_MEMORY;
    if (r->npins > PINS_AT_ONCE) r->conn->pinning = r;
    for (uint32_t i = 0; i < r->npins && !r->conn->pinning; i++) pin(r, i);
    return PROTO_OK;
}

static enum proto_error read_values(struct request *r)
{
    if (r->raw_length % WIRE_VALUE_BYTES != 0) return PROTO_RAW;
    uint32_t n = (uint32_t)(r->raw_length / WIRE_VALUE_BYTES);
    if (!values_pin(&r->conn->handles, r->raw, n, &r->pins)) return PROTO_NO_MEMORY;
    r->npins = n;
    return PROTO_OK;
}

/* What the request makes is promised after all that it names was looked up. */
static enum proto_error promise(struct request *r)
{
    const struct request_row *row = r->row;
    enum proto_error e = row->read ? row->read(r) : PROTO_OK;
    if (e != PROTO_OK || row->makes.field == 0) return e;
    r->makes_id = body_u32(r, row->makes.field);
    if (r->makes_id == 0 && row->makes.optional) return PROTO_OK;
    return request_promise(r, r->makes_id, (enum object_kind)row->makes.kind, &r->makes);
}

static enum proto_error resolve(struct request *r)
{
    const struct request_row *row = r->row;
    enum proto_error e = PROTO_OK;
    if (r->fd == FRAME_FD_LOST) request_fail(r, HEMI_LIMIT, "descriptors: the worker's table is full");
    read_uses(r);
    if (row->raw == RAW_HANDLES) e = read_handles(r);
    if (row->raw == RAW_VALUES) e = read_values(r);
    return e == PROTO_OK && !r->conn->pinning ? promise(r) : e;
}

static void past_deadline(struct timeout *t)
{
    request_stop((struct request *)(void *)((char *)t - offsetof(struct request, deadline)), HEMI_DEADLINE);
}

static void set_deadline(struct request *r)
{
    uint64_t ms = r->row->deadline ? body_u32(r, r->row->deadline) : 0;
    uint64_t longest = r->conn->worker->boot->limits.deadline;
    r->cut = longest > 0 && (ms == 0 || ms > longest) && r->row->fiber;
    if (r->cut) ms = longest;
    struct worker *w = r->conn->worker;
    if (ms > 0) timeout_set(&w->timeouts, &r->deadline, worker_now_ms(w) + ms, past_deadline);
}

static void enqueue(struct request *r)
{
    struct host_call *h = r->parent;
    struct lane *l = &r->own_lane;
    if (r->store) {
        r->nested = h && h->request && h->store == r->store && !r->row->ends_store;
        if (r->nested) h->nested++;
        l = r->nested ? &h->lane : &r->store->lane;
    }
    lane_push(l, r); /* .lane-order */
    enum hemi_status status = h ? request_check_waiting(r) : HEMI_OK;
    if (status != HEMI_OK) {
        request_finish(r, status);
        return;
    }
    lane_mark(r->conn->worker, l);
}

/* A chunk was copied when it was read, and is answered in this turn unless it waits for others. */
static bool passes(const struct request *r)
{
    const struct request *before = r->chunk ? r->chunk->pending : NULL;
    return r->row->type == FRAME_MODULE_DATA && !r->previous && (!before || before->passes);
}

static bool keep_raw(struct request *r)
{
    r->passes = passes(r);
    if (r->raw_length <= RAW_FREE || r->passes) return true;
    if (!account_charge(r->conn->account, (int64_t)r->raw_length)) return false;
    r->kept = (uint32_t)r->raw_length;
    worker_account(r->conn->worker, -(int64_t)r->kept); /* where all of the frame is */
    return true;
}

static struct request *request_new(struct connection *c, const struct frame *f)
{
    size_t body = (f->info->body->sizeof_message + 15) & ~(size_t)15;
    struct request *r = malloc(sizeof *r + body + f->raw_length);
    if (!r) return NULL;
    memset(r, 0, sizeof *r);
    r->conn = c;
    r->info = f->info;
    r->id = f->head.request;
    r->bytes = frame_bytes(f);
    r->fd = f->fd;
    char *at = (char *)(r + 1);
    memcpy(at, f->body, f->info->body->sizeof_message); /* flat: requests have numbers only */
    r->body = (const ProtobufCMessage *)(void *)at;
    r->raw = (uint8_t *)at + body;
    r->raw_length = f->raw_length;
    if (f->raw_length > 0) memcpy(r->raw, f->raw, f->raw_length);
    r->outcome = outcome_new(r, r->id);
    if (!r->outcome || !idmap_put(&c->requests, r->id, r)) {
        outcome_unref(r->outcome);
        free(r);
        return NULL;
    }
    return r;
}

static void join_connection(struct request *r, const struct frame *f)
{
    struct connection *c = r->conn;
    worker_account(c->worker, r->bytes);
    LIST_INSERT_HEAD(&c->all_requests, r, of_conn);
    c->nrequests++;
    if (f->head.flags & FRAME_FLAG_IF_PREVIOUS_OK && c->last) r->previous = outcome_ref(c->last);
    outcome_unref(c->last);
    c->last = outcome_ref(r->outcome);
}

/* What the frame alone tells, before anything is kept of it. */
static enum proto_error admit(struct connection *c, const struct frame *f, struct host_call **parent)
{
    *parent = NULL;
    if (!request_row(f->head.type)) return PROTO_TYPE; /* .default-deny */
    if (f->head.request == 0 || idmap_get(&c->requests, f->head.request)) return PROTO_REQUEST_ID;
    if (f->head.parent != 0) {
        *parent = idmap_get(&c->calls, f->head.parent);
        if (!*parent) return PROTO_PARENT;
    }
    struct window *window = *parent ? &(*parent)->window : &c->window;
    return window_take(window, frame_bytes(f)) ? PROTO_OK : PROTO_WINDOW;
}

/* All of its frame was looked at: it is answered at once, or queued. */
static void admitted(struct request *r)
{
    const struct host_call *parent = r->parent;
    if (parent && hostcall_over(parent)) request_fail(r, HEMI_CANCELLED, "host call %u was abandoned", parent->id);
    if (r->reply.error.status == HEMI_OK && !keep_raw(r))
        request_fail(r, HEMI_NO_MEMORY, "no memory for a request of %u bytes", r->bytes);
    if (r->reply.error.status != HEMI_OK) {
        request_finish(r, r->reply.error.status);
        return;
    }
    set_deadline(r);
    enqueue(r);
}

enum proto_error request_read(struct connection *c, const struct frame *f)
{
    struct host_call *parent;
    enum proto_error e = admit(c, f, &parent);
    struct request *r = e == PROTO_OK ? request_new(c, f) : NULL;
    if (!r) {
        if (f->fd >= 0) frame_fd_close(f->fd);
        return e == PROTO_OK ? PROTO_NO_MEMORY : e;
    }
    r->row = request_row(f->head.type);
    request_count_units(r);
    join_connection(r, f);
    if (parent) {
        hostcall_add_child(parent, r);
        r->depth = parent->depth;
    }
    page_count(&c->worker->boot->page->requests_total);
    e = resolve(r);
    if (r->fd >= 0) frame_fd_close(r->fd); /* whatever it was for: none waits in a queue */
    r->fd = -1;
    if (e != PROTO_OK) return e; /* the connection ends, and the request with it */
    if (!c->pinning) admitted(r);
    return PROTO_OK;
}

enum proto_error request_read_on(struct connection *c, uint32_t *units)
{
    struct request *r = c->pinning;
    if (!r) return PROTO_OK;
    for (; r->pinned < r->npins && *units > 0; r->pinned++) {
        if (r->pinned % PINS_PER_UNIT == 0) release_unit(units);
        pin(r, r->pinned);
    }
    if (r->pinned < r->npins) return PROTO_OK;
    c->pinning = NULL;
    enum proto_error e = promise(r);
    if (e == PROTO_OK) admitted(r);
    return e;
}
