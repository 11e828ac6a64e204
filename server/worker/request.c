/* server/worker/request.c -- the life of a request: its end. */
#include "server/worker/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/release.h"
#include "proto/hemi.pb-c.h"
#include "proto/tables/limits.h"
#include "server/worker/connection.h"
#include "server/worker/hostcall.h"
#include "server/worker/values.h"

enum { PINS_BURIED_MIN = 256 };

/* ---- small things */

struct request *request_of(struct activation *a)
{
    return a ? (struct request *)(void *)((char *)a - offsetof(struct request, act)) : NULL;
}

enum hemi_status request_fail(struct request *r, enum hemi_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->reply.error.message, sizeof r->reply.error.message, format, args);
    va_end(args);
    r->reply.error.status = status;
    return status;
}

enum hemi_status request_limit(struct request *r, const char *option, uint64_t asked, const char *what, uint64_t most)
{
    return request_fail(r, HEMI_LIMIT, LIMIT_MESSAGE, option, (unsigned long long)asked, what,
                        (unsigned long long)most);
}

enum hemi_status request_share_limit(struct request *r, enum share_pool which, const struct share *share, uint64_t more)
{
    struct rt_error *err = &r->reply.error;
    share_explain(which, &r->conn->worker->pools[which], share, more, err->message, sizeof err->message);
    return err->status = HEMI_LIMIT;
}

enum hemi_status request_fail_long(struct request *r, enum hemi_status status, const char *text)
{
    free(r->reply.text);
    r->reply.text = strdup(text); /* if there is no memory, its beginning has to do */
    return request_fail(r, status, "%s", text);
}

uint8_t *request_raw(struct request *r, size_t n)
{
    CHECK(!r->reply.raw);
    r->reply.raw_owned = n > sizeof r->reply.few;
    r->reply.raw = r->reply.raw_owned ? malloc(n) : r->reply.few;
    if (!r->reply.raw)
        request_fail(r, HEMI_NO_MEMORY, "no memory for a reply of %zu bytes", n);
    else
        r->reply.raw_length = n;
    return r->reply.raw;
}

/* ---- waiting for others */

static void stop_waiting(struct request *r)
{
    struct outcome *o = r->waiting_for;
    if (!o) return;
    LIST_REMOVE(r, wait);
    r->waiting_for = NULL;
    outcome_unref(o);
}

static void publish(struct request *r, enum hemi_status status)
{
    struct outcome *o = r->outcome;
    o->done = true;
    o->pending = NULL;
    o->status = status;
    if (status == HEMI_DEPENDENCY_FAILED) o->root = r->reply.failed_request;
    for (struct request *waiter; (waiter = LIST_FIRST(&o->waiters));) {
        stop_waiting(waiter); /* `o` stays: the request has a reference */
        lane_mark(r->conn->worker, waiter->lane);
    }
}

/* ---- the end */

/* It will never be: a store ends with its last request, and a module's bytes are not needed. */
static void give_up(struct request *r, struct object *o)
{
    if (r->row->type == FRAME_STORE_NEW) r->store->failed = true;
    if (r->row->type == FRAME_MODULE_NEW && !o->bound) object_clear(o);
}

/* What was promised: a success may have bound less than was set aside, and that is unbound again; after a failure all
 * of it stays, poisoned. */
static void settle_promises(struct request *r, enum hemi_status status)
{
    struct handle_table *t = &r->conn->handles;
    if (r->makes) {
        if (status != HEMI_OK) give_up(r, r->makes);
        bool chunk = r->makes->kind == OBJECT_MODULE; /* then more come, or one of them failed */
        if (status == HEMI_OK && !r->makes->bound && !chunk) handles_unbind(t, r->makes_id, r->makes);
        object_unref(r->makes);
    }
    for (uint32_t i = 0; i < r->nresults; i++) {
        if (status == HEMI_OK && !r->results[i]->bound) handles_unbind(t, r->results_id + i, r->results[i]);
        object_unref(r->results[i]);
    }
    r->conn->worker->ids += r->nresults;
    free(r->results);
    r->makes = NULL;
    r->results = NULL;
    r->nresults = 0;
}

static void send_reply(struct request *r, enum hemi_status status)
{
    const struct reply *reply = &r->reply;
    bool raw = status == HEMI_OK || status == HEMI_EXCEPTION || reply->trace_entries > 0;
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.status = status;
    if (status == HEMI_TRAP) body.trap = reply->error.trap;
    if (status == HEMI_HOST) body.trap = TRAP_HOST_TRAP;
    if (status == HEMI_EXIT) body.exit_code = reply->error.exit_code;
    if (status == HEMI_DEPENDENCY_FAILED) body.failed_request = reply->failed_request;
    if (status == HEMI_OK) body.value = reply->value;
    body.values_unread = status != HEMI_OK && r->row->raw == RAW_VALUES && !reply->values_counted;
    if (status != HEMI_OK && reply->error.has_offset) body.offset_plus_1 = reply->error.offset + 1;
    if (status != HEMI_OK && reply->error.has_func) body.function_plus_1 = (uint64_t)reply->error.func + 1;
    body.malformed = status == HEMI_INVALID_MODULE && reply->error.malformed;
    body.trace_entries = status != HEMI_OK ? reply->trace_entries : 0;
    if (status != HEMI_OK) {
        const char *text = reply->text ? reply->text : reply->error.message;
        size_t len = strlen(text);
        body.message = (ProtobufCBinaryData){len, len ? (uint8_t *)(uintptr_t)text : NULL};
    }
    struct frame_out out = {.type = FRAME_REPLY,
                            .request = r->id,
                            .body = &body.base,
                            .raw = raw ? reply->raw : NULL,
                            .raw_length = raw ? reply->raw_length : 0,
                            .fd = -1};
    connection_send(r->conn, &out);
}

static void leave_lane(struct request *r)
{
    struct lane *l = r->lane;
    if (!l) return;
    lane_remove(l, r);
    if (l != &r->own_lane) lane_mark(r->conn->worker, l);
}

static void leave_store(struct request *r)
{
    struct wstore *s = r->store;
    if (!s) return;
    wstore_leave(s, r);
    if (s->busy == 0 && s->closer) request_finish_close(s->closer);
    if (s->busy == 0 && s->failed) wstore_end(s);
    wstore_unref(s);
}

static void leave_parent(struct request *r)
{
    struct host_call *h = r->parent;
    if (!h) return;
    if (r->nested) h->nested--;
    hostcall_remove_child(h, r);
}

static void leave_connection(struct request *r)
{
    struct connection *c = r->conn;
    connection_answered(c, r->parent, r->bytes);
    idmap_remove(&c->requests, r->id);
    if (c->stopping.at == r) c->stopping.at = LIST_NEXT(r, of_conn);
    LIST_REMOVE(r, of_conn);
    if (c->pinning == r) c->pinning = NULL;
    c->nrequests--;
    worker_account(c->worker, -(int64_t)(r->bytes - r->kept));
    account_add(c->account, -(int64_t)r->kept);
    timeout_remove(&c->worker->timeouts, &r->deadline);
}

static void request_free(struct request *r)
{
    lane_unmark(&r->own_lane);
    for (size_t i = 0; i < sizeof r->uses / sizeof r->uses[0]; i++) object_unref(r->uses[i]);
    outcome_unref(r->outcome);
    outcome_unref(r->previous);
    outcome_unref(r->chunk);
    if (r->reply.raw_owned) free(r->reply.raw);
    free(r->reply.text);
    free(r);
}

struct buried_pins {
    struct corpse corpse;
    struct connection *conn; /* which waits for it at its end */
    struct object **pins;
    uint32_t n;
    size_t given;
};

static bool unpin_some(struct corpse *corpse, uint32_t *units)
{
    struct buried_pins *b = (struct buried_pins *)(void *)((char *)corpse - offsetof(struct buried_pins, corpse));
    while (b->n > 0) {
        if (!release_unit(units)) return true;
        struct object *o = b->pins[--b->n];
        if (o) release_units(units, object_units(o));
        object_unref(o);
    }
    if (release_block((void **)&b->pins, &b->given, units)) return true;
    b->conn->pins_buried--;
    free(b);
    return false;
}

/* False: they are few, or there is no memory for it. */
static bool bury_pins(struct request *r)
{
    struct connection *c = r->conn;
    struct buried_pins *b = r->npins > PINS_BURIED_MIN ? malloc(sizeof *b) : NULL;
    if (!b) return false;
    *b = (struct buried_pins){.conn = c, .pins = r->pins, .n = r->npins};
    c->pins_buried++;
    grave_bury(&c->worker->grave, &b->corpse, unpin_some);
    return true;
}

static void release_pins(struct request *r)
{
    if (r->pins) r->conn->worker->ids += r->npins;
    if (r->pins && !bury_pins(r)) values_unpin(r->npins, r->pins);
    r->pins = NULL;
}

/* Who asked for no deadline, or for a later one, is told whose it is. */
static void explain_deadline(struct request *r)
{
    char *text = r->reply.error.message;
    size_t n = strlen(text);
    snprintf(text + n, sizeof r->reply.error.message - n, "%sthe tenant's limit, deadline: %llu ms", n ? "; " : "",
             (unsigned long long)r->conn->worker->boot->limits.deadline);
}

void request_finish(struct request *r, enum hemi_status status)
{
    CHECK(!r->answered, ".one-reply");
    r->answered = true;
    status = account_explain(r->conn->account, status, &r->reply.error);
    if (status == HEMI_DEADLINE && r->cut) explain_deadline(r);
    if (status == HEMI_TRAP || status == HEMI_HOST) page_count(&r->conn->worker->boot->page->traps_total);
    stop_waiting(r);
    publish(r, status);
    settle_promises(r, status);
    if (r->inside) r->inside->ops->abandon(r->inside);
    release_pins(r);
    connection_promise(r, 0);
    send_reply(r, status);
    leave_lane(r);
    leave_connection(r);
    leave_parent(r);
    leave_store(r);
    request_free(r);
}

/* What was promised under the store's handle is no more than that: after the answer it may be used anew. */
void request_finish_close(struct request *closer)
{
    struct object *o = closer->uses[0];
    o->store->closer = NULL;
    wstore_end(o->store);
    handles_unbind(&closer->conn->handles, ((const Hemi__V1__StoreClose *)closer->body)->store, o);
    request_finish(closer, HEMI_OK);
}

void request_let_go_store(struct request *r)
{
    struct wstore *s = r->store;
    leave_lane(r);
    wstore_leave(s, r);
    wstore_unref(s);
}

void request_stop(struct request *r, enum hemi_status why)
{
    if (r->answered) return;
    if (!r->started) {
        request_fail(r, why, "stopped before it began");
        request_finish(r, why);
    } else if (r->row->fiber) {
        scheduler_stop(&r->act, why);
    }
}

/* ---- stopping many */

static void begin_stopping(struct worker *w, struct stopping *s, struct stopping as)
{
    requests_stop_forget(s);
    if (!as.at) return;
    *s = as;
    s->listed = true;
    LIST_INSERT_HEAD(&w->stopping_some, s, link);
}

void requests_stop_forget(struct stopping *s)
{
    if (!s->listed) return;
    LIST_REMOVE(s, link);
    *s = (struct stopping){0};
}

uint32_t requests_stop_some(struct worker *w)
{
    uint32_t units = STOP_UNITS;
    for (struct stopping *s; (s = LIST_FIRST(&w->stopping_some)) && release_unit(&units);) {
        struct request *r = s->at;
        uint32_t ids = w->ids;
        if (!r) {
            requests_stop_forget(s);
            continue;
        }
        s->at = s->of_store ? LIST_NEXT(r, of_store) : LIST_NEXT(r, of_conn);
        if (!s->interrupt || r->row->interrupt) request_stop(r, s->why); /* `s` may be gone with it */
        release_units(&units, (w->ids - ids) / IDS_PER_UNIT);
    }
    return STOP_UNITS - units;
}

void requests_interrupt(struct connection *c)
{
    begin_stopping(c->worker, &c->stopping,
                   (struct stopping){.at = LIST_FIRST(&c->all_requests), .why = HEMI_INTERRUPTED, .interrupt = true});
}

void requests_stop_all(struct connection *c, enum hemi_status why)
{
    begin_stopping(c->worker, &c->stopping, (struct stopping){.at = LIST_FIRST(&c->all_requests), .why = why});
}

void requests_stop_store(struct wstore *s, enum hemi_status why)
{
    begin_stopping(s->worker, &s->stopping,
                   (struct stopping){.at = LIST_FIRST(&s->requests), .why = why, .of_store = true});
}

void requests_cancel(struct connection *c, uint32_t id)
{
    struct request *r = idmap_get(&c->requests, id);
    if (r) request_stop(r, HEMI_CANCELLED);
}
