/* Requests: queued when their window has room, kept in a table until they are answered and taken. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "client/lib/internal.h"

#define GIVE_UP_AFTER_MS 1000
#define INTERRUPT_GIVE_UP_MS 200 /* "at once", but for a worker that lives and says where its guest was */
#define SEND_AT_BYTES 65536u
#define SMALL_REQUEST_BYTES 1024u

static hemi_status ended(hemi_client *c) { return fail(c, c->ended, "%s", c->ended_text); }

hemi_status usable(hemi_client *c, const hemi_store *s)
{
    if (c->quiet) return fail(c, HEMI_BUSY, "not inside a stream callback");
    if (c->ended != HEMI_OK) return ended(c);
    if (s && s->closed) return fail(c, HEMI_CLOSED, "the store is closed");
    return HEMI_OK;
}

hemi_status interrupted(hemi_client *c) { return fail(c, HEMI_INTERRUPTED, "interrupted before it was sent"); }

/* ---- sending */
/* NULL: that of a host call which was answered, and its window went with it. */
static struct window *window_of(hemi_client *c, uint32_t parent)
{
    if (parent == 0) return &c->window;
    struct host_call *call = idmap_get(&c->host_calls, parent);
    return call ? &call->window : NULL;
}

/* .window */
static hemi_status wait_for_room(hemi_client *c, uint32_t parent, uint64_t bytes)
{
    uint32_t interrupts = c->interrupts;
    while (!window_fits(window_of(c, parent), bytes)) {
        hemi_status status = step(c, NULL, 0);
        if (status != HEMI_OK) return ended(c);
        if (c->interrupts != interrupts) return interrupted(c);
    }
    return HEMI_OK;
}

static uint32_t fresh_id(hemi_client *c)
{
    do {
        c->last_request++;
    } while (c->last_request == 0 || idmap_get(&c->requests, c->last_request));
    return c->last_request;
}

static void request_free(hemi_client *c, struct request *r)
{
    if (r->answer.node) node_count_down(r->answer.node);
    store_let_go(r->store);
    failure_free(c, r->failure);
    free(r->externs);
    free(r);
}

/* Unless it is given up before. */
static void give_up_after(struct request *r, int64_t ms, hemi_status status)
{
    int64_t at = now_ms() + ms;
    if (r->give_up_at != 0 && r->give_up_at <= at) return;
    r->give_up_at = at;
    r->give_up_for = status;
}

/* The request's record, in the table, before its frame is. */
static struct request *record(hemi_client *c, const struct sending *s)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->id = fresh_id(c);
    r->type = s->f.type;
    r->parent = s->f.parent;
    r->first_handle = s->first_handle;
    r->handles = s->handles;
    if (!idmap_put(&c->requests, r->id, r)) {
        free(r);
        return NULL;
    }
    r->store = store_hold(s->store);
    r->answer = s->answer;
    if (r->answer.node) r->answer.node->counts++;
    r->deadline_ms = c->deadline_ms;
    return r;
}

void requests_begin(hemi_client *c)
{
    while (c->begun_request != c->last_request) {
        struct request *r = idmap_get(&c->requests, ++c->begun_request);
        if (r && r->deadline_ms != 0) give_up_after(r, r->deadline_ms + (int64_t)GIVE_UP_AFTER_MS, HEMI_DEADLINE);
    }
}

static hemi_status out_of_memory(hemi_client *c) { return fail(c, HEMI_NO_MEMORY, "out of memory"); }

/* Writes the frame, all of it or nothing: only memory can be missing now. Its descriptor is the writer's in any case.
 */
static hemi_status queue(hemi_client *c, struct sending *s, struct request *r)
{
    uint8_t *raw;
    s->f.request = r->id;
    if (s->values && !vals_reserve(r, s->values->at, s->values->count)) return out_of_memory(c);
    size_t size = writer_try(c, &s->f, &raw);
    if (size == 0) return out_of_memory(c);
    r->bytes = size;
    bool taken = window_take(window_of(c, r->parent), size);
    CHECK(taken);
    c->stats.requests++;
    c->unanswered++;
    if (s->values)
        vals_write(c, r, s->values->at, s->values->count, raw);
    else if (s->f.raw_length)
        memcpy(raw, s->f.raw, s->f.raw_length);
    return HEMI_OK;
}

static hemi_status prepare(hemi_client *c, struct sending *s)
{
    hemi_status status = usable(c, s->store);
    if (status != HEMI_OK) return status;
    if (s->values) s->f.raw_length = s->values->count * WIRE_VALUE_BYTES;
    s->f.parent = c->running ? c->running->call->id : 0;
    if (c->chained && !s->plain) s->f.flags |= FRAME_FLAG_IF_PREVIOUS_OK;
    status = wait_for_room(c, s->f.parent, frame_size(&s->f));
    if (status != HEMI_OK) return status;
    return s->values ? vals_check(c, s->store, s->values->at, s->values->types, s->values->count) : HEMI_OK;
}

/* It is as if it had never been asked for. */
static hemi_status undo(hemi_client *c, const struct sending *s, struct request *r, hemi_status status)
{
    if (r) {
        idmap_take(&c->requests, r->id);
        request_free(c, r);
    }
    if (s->handles) handles_release(c, s->first_handle, s->handles);
    return status;
}

hemi_status request_new(hemi_client *c, struct sending *s, struct request **out)
{
    hemi_status status = prepare(c, s);
    struct request *r = NULL;
    if (status == HEMI_OK) {
        r = record(c, s);
        if (!r) status = out_of_memory(c);
    }
    if (status != HEMI_OK && (s->f.flags & FRAME_FLAG_FD) != 0) close(s->f.fd);
    if (status == HEMI_OK) status = queue(c, s, r);
    if (status != HEMI_OK) return undo(c, s, r, status);
    *out = r;
    return HEMI_OK;
}

hemi_status request_finish(hemi_client *c, struct request *r, hemi_ticket *ticket)
{
    if (!ticket) return hemi_wait(c, r->id);
    *ticket = r->id;
    if (frame_writer_pending(&c->writer) >= SEND_AT_BYTES) send_queued(c);
    return HEMI_OK;
}

hemi_status request_run(hemi_client *c, struct sending *s, hemi_ticket *ticket)
{
    struct request *r;
    hemi_status status = request_new(c, s, &r);
    return status == HEMI_OK ? request_finish(c, r, ticket) : status;
}

hemi_status request_answered_here(hemi_client *c, hemi_ticket *ticket)
{
    struct request *r = record(c, &(struct sending){.plain = true});
    if (!r) return out_of_memory(c);
    r->answered = true;
    *ticket = r->id;
    return HEMI_OK;
}

/* ---- answers */
static void set_failure(hemi_client *c, struct request *r, hemi_status status, const char *text, size_t length)
{
    failure_free(c, r->failure);
    r->status = status;
    r->failure = calloc(1, sizeof *r->failure);
    if (!r->failure) return; /* the status alone must do */
    r->failure->status = status;
    if (length > PROTO_TEXT_MAX) length = PROTO_TEXT_MAX;
    if (length) memcpy(r->failure->text, text, length);
}

static void drop_promises(hemi_client *c, struct request *r)
{
    for (uint32_t i = 0; i < r->handles; i++) handle_drop(c, r->first_handle + i);
}

static void refused(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply)
{
    set_failure(c, r, (hemi_status)reply->status, (const char *)reply->message.data, reply->message.len);
    if (r->failure) {
        r->failure->trap = reply->trap;
        r->failure->exit_code = reply->exit_code;
        r->failure->offset_plus_1 = reply->offset_plus_1;
        r->failure->function_plus_1 = reply->function_plus_1;
        r->failure->malformed = reply->malformed;
        r->failure->failed_request = reply->failed_request;
    }
    if (reply->values_unread)
        for (size_t i = 0; i < r->nexterns; i++) externs_unsent(c, r->externs[i]);
}

/* The exception that ended a call: one value, under the first handle set aside, or under one of the worker's; or under
 * none, when it could not keep it. The other handles set aside are good for nothing. */
static hemi_status take_exception(hemi_client *c, struct request *r, const uint8_t *raw, size_t length)
{
    static const hemi_type exnref = HEMI_TYPE_EXNREF;
    struct wire_reference ref = {0};
    hemi_val exception;
    if (length != 0 && length != WIRE_VALUE_BYTES) return HEMI_PROTOCOL;
    if (length != 0 && wire_get_reference(raw, FRAME_W2C, &ref) != PROTO_OK) return HEMI_PROTOCOL;
    bool promised = r->handles > 0 && ref.handle != 0;
    for (uint32_t i = promised; i < r->handles; i++) handle_drop(c, r->first_handle + i);
    if (ref.handle == 0) return HEMI_OK;
    hemi_status status = vals_read(c, r->store, promised ? r : NULL, &exnref, 1, raw, &exception);
    if (status != HEMI_OK) return status;
    if (r->failure)
        r->failure->exception = exception;
    else
        hemi_drop(c, &exception);
    return HEMI_OK;
}

static void list_done(hemi_client *c, struct request *r)
{
    r->done_next = NULL;
    *c->done_last = r;
    c->done_last = &r->done_next;
}

static void answered(hemi_client *c, struct request *r)
{
    r->answered = true;
    c->unanswered--;
    if (r->forgotten) {
        idmap_take(&c->requests, r->id);
        request_free(c, r);
    } else if (r->done && !r->given_up) {
        list_done(c, r);
    }
}

void requests_interrupt(hemi_client *c)
{
    for (uint32_t i = 0; i < c->requests.capacity; i++) {
        struct request *r = c->requests.cells[i].value;
        if (c->requests.cells[i].id != 0 && !r->answered) give_up_after(r, INTERRUPT_GIVE_UP_MS, HEMI_INTERRUPTED);
    }
}

bool requests_expire(hemi_client *c)
{
    int64_t now = now_ms();
    bool any = false;
    for (uint32_t i = 0; i < c->requests.capacity; i++) {
        struct request *r = c->requests.cells[i].value;
        if (c->requests.cells[i].id == 0 || r->answered || r->given_up || !r->done) continue;
        if (r->give_up_at == 0 || now < r->give_up_at) continue;
        r->given_up = any = true;
        list_done(c, r);
    }
    return any;
}

static hemi_status take(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    bool unwanted = r->forgotten || r->refused_for != HEMI_OK;
    if (unwanted && !r->answer.ours) { /* what came with the answer is let go */
        drop_promises(c, r);
        return HEMI_OK;
    }
    if (r->answer.take) return r->answer.take(c, r, reply, f);
    return f->raw_length == 0 || r->type == FRAME_PING ? HEMI_OK : HEMI_PROTOCOL;
}

static hemi_status take_failure(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    size_t used;
    refused(c, r, reply);
    if (r->answer.refused) r->answer.refused(r->answer.node, reply->failed_request ? reply->failed_request : r->id);
    hemi_status status = trace_read(r->failure, reply->trace_entries, f->raw, f->raw_length, &used);
    if (status != HEMI_OK) return status;
    if (reply->status == HEMI_EXCEPTION) return take_exception(c, r, f->raw + used, f->raw_length - used);
    drop_promises(c, r);
    return used == f->raw_length ? HEMI_OK : HEMI_PROTOCOL;
}

/* Whatever the answer is: a program whose output was lost has failed. The backtrace of a cancelled one stays. */
static void tell_refusal(hemi_client *c, struct request *r)
{
    if (!r->failure) set_failure(c, r, r->refused_for, "", 0);
    r->status = r->refused_for;
    if (!r->failure) return;
    r->failure->status = r->refused_for;
    r->failure->trap = 0;
    snprintf(r->failure->text, sizeof r->failure->text, "standard %s was not taken: %s", r->refused_what,
             hemi_status_text(r->refused_for));
}

void request_answered(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    struct window *window = window_of(c, r->parent);
    if (window) window_give(window, r->bytes);
    hemi_status taken = reply->status == HEMI_OK ? take(c, r, reply, f) : take_failure(c, r, reply, f);
    if (r->refused_for != HEMI_OK) tell_refusal(c, r);
    if (taken == HEMI_OK)
        answered(c, r);
    else if (taken == HEMI_NO_MEMORY)
        client_end(c, HEMI_NO_MEMORY, "out of memory while receiving"); /* which answers it, too */
    else
        client_end(c, HEMI_PROTOCOL, "the answer to request %u (%s) is malformed", r->id, frame_type_name(r->type));
}

hemi_status take_value(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    uint64_t *to = r->answer.to;
    if (to) *to = reply->value;
    return f->raw_length == 0 ? HEMI_OK : HEMI_PROTOCOL;
}

void requests_end(hemi_client *c)
{
    for (uint32_t i = 0; i < c->requests.capacity;) {
        struct request *r = c->requests.cells[i].value;
        if (c->requests.cells[i].id == 0 || r->answered) {
            i++;
            continue;
        }
        set_failure(c, r, c->ended, c->ended_text, strlen(c->ended_text));
        bool gone = r->forgotten;
        answered(c, r); /* removes forgotten ones, which may shift another into this cell */
        if (!gone) i++;
    }
}

void requests_deinit(hemi_client *c)
{
    for (uint32_t i = 0; i < c->requests.capacity; i++)
        if (c->requests.cells[i].id != 0) request_free(c, c->requests.cells[i].value);
    idmap_deinit(&c->requests);
}

/* ---- tickets */
static struct request *ticket_of(const hemi_client *c, hemi_ticket ticket)
{
    struct request *r = idmap_get(&c->requests, ticket);
    return r && !r->forgotten ? r : NULL;
}

static hemi_status no_request(hemi_client *c, hemi_ticket ticket)
{
    return fail(c, HEMI_ARGUMENT, "ticket %u was waited for or forgotten before, or never made", ticket);
}

/* Waiting for something that is queued behind the very guest that called us. */
static bool waits_for_itself(const hemi_client *c, const struct request *r)
{
    for (const struct hemi_caller *at = c->running; at && at->call->id != r->parent; at = at->outer)
        if (r->store && at->call->store == r->store->node.handle) return true;
    return false;
}

static void undo_done(hemi_client *c, struct request *r)
{
    for (struct request **at = &c->done_first; *at; at = &(*at)->done_next) {
        if (*at != r) continue;
        *at = r->done_next;
        if (!*at) c->done_last = at;
        return;
    }
}

/* Takes an answered request's outcome and forgets the request. */
static hemi_status outcome(hemi_client *c, struct request *r)
{
    hemi_status status = c->forked ? c->ended : r->status;
    if (c->forked)
        fail(c, status, "%s", c->ended_text);
    else if (r->failure)
        failure_move(c, r->failure);
    else if (status != HEMI_OK)
        fail(c, status, "%s", hemi_status_text(status));
    if (r->done) undo_done(c, r);
    idmap_take(&c->requests, r->id);
    request_free(c, r);
    return status;
}

static hemi_status cancel(hemi_client *c, struct request *r, hemi_status status)
{
    Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
    body.request = r->id;
    struct frame_out f = {.type = FRAME_CANCEL, .body = &body.base};
    uint8_t *raw;
    give_up_after(r, GIVE_UP_AFTER_MS, status);
    return writer_try(c, &f, &raw) == 0 ? out_of_memory(c) : HEMI_OK;
}

bool request_refused(const hemi_client *c, uint32_t id)
{
    const struct request *r = idmap_get(&c->requests, id);
    return r && !r->answered && r->refused_for != HEMI_OK;
}

/* Requests to one store run in order: it is the oldest. */
static struct request *running_in(const hemi_client *c, const hemi_store *s)
{
    struct request *first = NULL;
    for (uint32_t i = 0; i < c->requests.capacity; i++) {
        struct request *r = c->requests.cells[i].value;
        if (c->requests.cells[i].id == 0 || r->answered || r->store != s) continue;
        if (r->type != FRAME_CALL && r->type != FRAME_INSTANCE_NEW) continue;
        if (!first || (int32_t)(r->id - first->id) < 0) first = r;
    }
    return first;
}

uint32_t program_refuse(hemi_client *c, const hemi_store *s, hemi_status status, const char *what)
{
    struct request *r = running_in(c, s);
    if (!r) return 0;
    r->refused_for = status;
    r->refused_what = what;
    cancel(c, r, status);
    return r->id;
}

/* The worker did not even keep the deadline, or end what it was told to: it is stopped, or too busy to read. */
static hemi_status give_up(hemi_client *c, struct request *r)
{
    hemi_ticket id = r->id;
    hemi_status status = r->give_up_for;
    const char *name = frame_type_name(r->type);
    if (status == HEMI_DEADLINE && cancel(c, r, status) == HEMI_OK) send_queued(c);
    hemi_forget(c, id);
    return fail(c, status, "%s: the worker has not answered request %u (%s)", hemi_status_text(status), id, name);
}

hemi_status hemi_wait(hemi_client *c, hemi_ticket ticket)
{
    ENTER(c, refusal);
    if (c->quiet) return fail(c, HEMI_BUSY, "not inside a stream callback");
    struct request *r = ticket_of(c, ticket);
    if (!r) return no_request(c, ticket);
    if (!r->answered && waits_for_itself(c, r))
        return fail(c, HEMI_DEADLOCK, "request %u waits for the call that is running here", ticket);
    requests_begin(c);
    while (!r->answered) {
        bool late =
            r->give_up_at != 0 && now_ms() >= r->give_up_at; /* looks once more: a callback may have taken long */
        step(c, r, r->give_up_at);
        r = ticket_of(c, ticket); /* a callback may have waited for it, or forgotten it */
        if (!r) return fail(c, HEMI_ARGUMENT, "a callback took ticket %u", ticket);
        if (late && !r->answered) return give_up(c, r);
    }
    return outcome(c, r);
}

bool hemi_ready(const hemi_client *c, hemi_ticket ticket)
{
    ENTER(c, true); /* nor would hemi_wait wait */
    const struct request *r = ticket_of(c, ticket);
    return !r || r->answered || (r->give_up_at != 0 && now_ms() >= r->give_up_at);
}

void hemi_forget(hemi_client *c, hemi_ticket ticket)
{
    ENTER(c, );
    struct request *r = ticket_of(c, ticket);
    if (!r) return;
    r->forgotten = true;
    if (!r->answered) return;
    if (r->done) undo_done(c, r);
    idmap_take(&c->requests, r->id);
    request_free(c, r);
}

hemi_status hemi_cancel(hemi_client *c, hemi_ticket ticket)
{
    ENTER(c, refusal);
    struct request *r = ticket_of(c, ticket);
    if (!r) return no_request(c, ticket);
    if (r->answered || c->ended != HEMI_OK) return HEMI_OK;
    hemi_status status = cancel(c, r, HEMI_CANCELLED);
    send_queued(c);
    return status;
}

hemi_status hemi_then(hemi_client *c, hemi_ticket ticket, void (*done)(hemi_client *, hemi_ticket, void *), void *env)
{
    ENTER(c, refusal);
    if (!done) return fail_null(c, "done");
    struct request *r = ticket_of(c, ticket);
    if (!r) return no_request(c, ticket);
    if (r->done) return fail(c, HEMI_ARGUMENT, "ticket %u has a callback already", ticket);
    r->done = done;
    r->done_env = env;
    if (r->answered) list_done(c, r);
    return HEMI_OK;
}

bool hemi_would_block(const hemi_client *c)
{
    ENTER(c, false);
    uint32_t parent = c->running ? c->running->call->id : 0;
    const struct host_call *call = parent ? idmap_get(&c->host_calls, parent) : NULL;
    return !window_fits(call ? &call->window : &c->window, SMALL_REQUEST_BYTES);
}
