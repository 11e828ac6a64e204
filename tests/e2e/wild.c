/* tests/e2e/wild.c -- a wild client's connection and its model: sending, receiving, checking (wild.h). */
#include "tests/e2e/wild.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/trace.h"
#include "proto/value.h"
#include "tests/e2e/support.h"

/* ---- drawing, saying */

uint32_t wild_draw(struct wild *c, uint32_t below)
{
    struct wild_process *p = c->process;
    return (uint32_t)(test_random(p->late ? &p->late_draws : &p->draws) % below);
}

void wild_say(struct wild *c, const char *format, ...)
{
    struct wild_report *r = c->process->report;
    char *line = r->line[r->lines++ % WILD_LINES];
    int n = snprintf(line, sizeof r->line[0], "%u: ", c->number);
    va_list ap;
    va_start(ap, format);
    vsnprintf(line + n, sizeof r->line[0] - (size_t)n, format, ap);
    va_end(ap);
}

void wild_found(struct wild *c, const char *format, ...)
{
    struct wild_report *r = c->process->report;
    int n = snprintf(r->finding, sizeof r->finding, "connection %u: ", c->number);
    va_list ap;
    va_start(ap, format);
    vsnprintf(r->finding + n, sizeof r->finding - (size_t)n, format, ap);
    va_end(ap);
    _exit(1);
}

uint8_t wild_pattern(uint64_t of, size_t i) { return (uint8_t)(of * 31 + i * 7 + (of >> 8)); }

/* ---- the model */

struct wild_thing *wild_pick(struct wild *c, enum wild_kind kind, int sort)
{
    struct wild_thing *found = NULL;
    unsigned seen = 0;
    for (unsigned i = 0; i < c->nthings; i++) {
        struct wild_thing *t = &c->things[i];
        if (t->kind == kind && (sort < 0 || t->sort == sort) && wild_draw(c, ++seen) == 0) found = t;
    }
    return found;
}

struct wild_thing *wild_find(struct wild *c, uint32_t handle)
{
    for (unsigned i = 0; i < c->nthings; i++)
        if (c->things[i].handle == handle) return &c->things[i];
    return NULL;
}

struct wild_thing *wild_add(struct wild *c, uint32_t handle, enum wild_kind kind, unsigned sort, uint32_t store)
{
    if (c->nthings == WILD_THINGS) return NULL;
    struct wild_thing *t = &c->things[c->nthings++];
    *t = (struct wild_thing){
        .handle = handle ? handle : ++c->next_handle, .store = store, .kind = (uint8_t)kind, .sort = (uint8_t)sort};
    return t;
}

void wild_remove(struct wild *c, struct wild_thing *t) { *t = c->things[--c->nthings]; }

void wild_free(struct wild *c, uint32_t handle)
{
    if (c->nfree < WILD_FREE) c->free[c->nfree++] = handle;
}

uint32_t wild_stream_id(struct wild *c)
{
    return c->nfree_streams > 0 && wild_draw(c, 2) ? c->free_streams[--c->nfree_streams] : ++c->next_stream;
}

static void stream_forget(struct wild *c, struct wild_stream *s)
{
    if (c->nfree_streams < WILD_FREE) c->free_streams[c->nfree_streams++] = s->id;
    *s = c->streams[--c->nstreams];
}

struct wild_store *wild_store_of(struct wild *c, uint32_t handle)
{
    for (unsigned i = 0; i < c->nstores; i++)
        if (c->stores[i].handle == handle) return &c->stores[i];
    return NULL;
}

struct wild_stream *wild_stream_of(struct wild *c, uint32_t id)
{
    for (unsigned i = 0; i < c->nstreams; i++)
        if (c->streams[i].id == id) return &c->streams[i];
    return NULL;
}

static struct wild_call *call_of(struct wild *c, uint32_t id)
{
    for (unsigned i = 0; i < c->ncalls; i++)
        if (c->calls[i].id == id) return &c->calls[i];
    return NULL;
}

/* ---- opening, closing */

bool wild_dial(struct wild *c, size_t hello_bytes)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    uint8_t bytes[HELLO_MAX];
    struct wild fresh = {.process = c->process, .number = c->number, .fd = -1};
    *c = fresh;
    c->mood = wild_draw(c, 3) ? WILD_PLAIN : (enum wild_mood)wild_draw(c, WILD_MOODS);
    c->restraint = 1 + wild_draw(c, wild_draw(c, 4) && c->mood == WILD_PLAIN ? 40 : WILD_ASKED - 1);
    c->window = (struct window){.requests_max = WINDOW_INITIAL_REQUESTS, .bytes_max = WINDOW_INITIAL_BYTES};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", c->process->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) wild_found(c, "socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        if (!c->process->report->may_end) wild_found(c, "connect: %s", strerror(errno));
        close(fd);
        return false;
    }
    size_t n = hello_write(&hello, bytes);
    c->fd = fd;
    frame_writer_init(&c->w);
    frame_reader_init(&c->r, FRAME_W2C, FRAME_GREETING);
    if (send(fd, bytes, hello_bytes < n ? hello_bytes : n, MSG_NOSIGNAL) < 0) wild_hang_up(c);
    c->process->report->connections++;
    return c->fd >= 0;
}

void wild_hang_up(struct wild *c)
{
    if (c->fd < 0) return;
    close(c->fd);
    c->fd = -1;
    frame_writer_deinit(&c->w);
    frame_reader_deinit(&c->r);
}

/* ---- sending */

static void put(struct wild *c, const struct frame_out *f)
{
    if (frame_writer_put(&c->w, f) == 0 && c->w.error == PROTO_NO_MEMORY) wild_found(c, "the client has no memory");
}

uint32_t wild_ask(struct wild *c, unsigned type, unsigned flags, const void *body, const void *raw, size_t n, int fd,
                  const struct wild_asked *asked)
{
    struct wild_call *parent = asked->parent ? call_of(c, asked->parent) : NULL;
    struct window *window = parent ? &parent->window : &c->window;
    struct frame_out f = {.type = (uint16_t)type,
                          .flags = (uint16_t)flags,
                          .request = c->next_id + 1,
                          .parent = asked->parent,
                          .body = body,
                          .raw = raw,
                          .raw_length = n,
                          .fd = fd};
    size_t bytes = frame_size(&f);
    if (c->nasked == WILD_ASKED || c->nasked >= c->restraint || !window_take(window, bytes)) {
        if (fd >= 0) close(fd);
        return 0;
    }
    struct wild_asked *a = &c->asked[c->nasked++];
    *a = *asked;
    a->id = ++c->next_id;
    a->bytes = (uint32_t)bytes;
    a->type = (uint16_t)type;
    a->action = c->process->action;
    put(c, &f);
    c->process->report->asked++;
    wild_say(c, "%s %u%s%s of %u makes %u in %u", frame_type_name(type), a->id, asked->parent ? " nested" : "",
             flags & FRAME_FLAG_IF_PREVIOUS_OK ? " chained" : "", asked->store, asked->makes, asked->parent);
    return a->id;
}

void wild_tell(struct wild *c, unsigned type, uint32_t id, const void *body, const void *raw, size_t n)
{
    struct frame_out f = {.type = (uint16_t)type, .request = id, .body = body, .raw = raw, .raw_length = n, .fd = -1};
    put(c, &f);
}

static void drop_now(struct wild *c, uint32_t handle)
{
    uint8_t range[8];
    wire_put_u32(range, handle);
    wire_put_u32(range + 4, 1);
    wild_tell(c, FRAME_DROP, 0, NULL, range, sizeof range);
}

/* ---- replies */

static void settle_handle(struct wild *c, const struct wild_asked *a, const Hemi__V1__Reply *r)
{
    struct wild_thing *t = a->makes ? wild_find(c, a->makes) : NULL;
    if (t == NULL) return;
    t->maker = 0;
    if (r->status == HEMI_OK) return;
    t->kind = r->status == HEMI_EXCEPTION ? WILD_EXCEPTION : WILD_SPENT;
    if (a->type == FRAME_STORE_NEW && wild_store_of(c, a->makes)) wild_store_of(c, a->makes)->closing = true;
}

static void check_exception(struct wild *c, const struct frame *f, const struct wild_asked *a)
{
    struct wire_reference ref;
    if (f->raw_length < WIRE_VALUE_BYTES) wild_found(c, "an exception without a value");
    if (wire_get_reference(f->raw + f->raw_length - WIRE_VALUE_BYTES, FRAME_W2C, &ref) != PROTO_OK ||
        ref.kind != WIRE_HANDLE || ref.class_ != WIRE_CLASS_EXN)
        wild_found(c, "reply %u: an exception that is none", a->id);
    if (ref.handle >= HANDLE_WORKER && !wild_add(c, ref.handle, WILD_EXCEPTION, 0, a->store)) drop_now(c, ref.handle);
}

static void check_result(struct wild *c, const struct frame *f, const struct wild_asked *a)
{
    uint32_t value;
    switch (a->check) {
    case WILD_CHECK_I32:
        if (f->raw_length != WIRE_VALUE_BYTES || wire_get_number(f->raw, &value, 4) != PROTO_OK)
            wild_found(c, "reply %u (%s) is no i32", a->id, frame_type_name(a->type));
        if (value != (uint32_t)a->expected)
            wild_found(c, "reply %u (%s): %u, not %u", a->id, frame_type_name(a->type), value, (uint32_t)a->expected);
        break;
    case WILD_CHECK_BYTES:
        if (f->raw_length != a->length)
            wild_found(c, "reply %u (%s): %u bytes, not %u", a->id, frame_type_name(a->type), f->raw_length, a->length);
        for (size_t i = 0; i < f->raw_length; i++)
            if (f->raw[i] != wild_pattern(a->expected, i))
                wild_found(c, "reply %u (%s): byte %zu is %u, not %u", a->id, frame_type_name(a->type), i, f->raw[i],
                           wild_pattern(a->expected, i));
        break;
    default:
        break;
    }
}

/* The checks that hold only if this request succeeded are off; extern ids that were not looked at did not travel. */
static void after_failure(struct wild *c, const struct wild_asked *a, const Hemi__V1__Reply *r)
{
    struct wild_store *s = wild_store_of(c, a->store);
    for (unsigned i = 0; i < c->nasked; i++)
        if (c->asked[i].after == a->id) c->asked[i].check = WILD_CHECK_NONE;
    if (r->values_unread && s && a->extern_id) {
        if (s->sent[a->extern_id] == 0) wild_found(c, "reply %u: values unread of an id that is not there", a->id);
        s->sent[a->extern_id]--;
    }
}

/* Or it was cancelled, and the store is still there. */
static void store_closed(struct wild *c, uint32_t store, bool closed)
{
    struct wild_store *s = wild_store_of(c, store);
    if (s) s->closing = false;
    if (!closed) return;
    for (unsigned i = 0; i < c->nstreams;)
        if (c->streams[i].store == store)
            stream_forget(c, &c->streams[i]);
        else
            i++;
    if (s) *s = c->stores[--c->nstores];
    struct wild_thing *t = wild_find(c, store);
    if (t == NULL) return;
    wild_remove(c, t);
    wild_free(c, store);
}

static void on_reply(struct wild *c, const struct frame *f)
{
    const Hemi__V1__Reply *r = (const Hemi__V1__Reply *)f->body;
    struct wild_report *report = c->process->report;
    unsigned at = 0;
    while (at < c->nasked && c->asked[at].id != f->head.request) at++;
    if (at == c->nasked) wild_found(c, "a reply to %u, which was not asked", f->head.request);
    struct wild_asked a = c->asked[at];
    c->asked[at] = c->asked[--c->nasked];
    struct wild_call *parent = a.parent ? call_of(c, a.parent) : NULL;
    if (!a.parent) window_give(&c->window, a.bytes);
    if (parent) window_give(&parent->window, a.bytes);
    report->answered++;
    report->actions[a.action][0]++;
    report->statuses[r->status < 32 ? r->status : 31]++;
    struct wild_store *s = wild_store_of(c, a.store);
    bool closed = a.store && (!s || s->closing);
    if (r->status == HEMI_INTERNAL || (r->status == HEMI_HANDLE && !closed) || r->status == HEMI_WORKER_LOST ||
        r->status > HEMI_VERSION_MISMATCH)
        wild_found(c, "reply %u (%s): status %u: %.*s", a.id, frame_type_name(a.type), r->status, (int)r->message.len,
                   (const char *)r->message.data);
    settle_handle(c, &a, r);
    if (a.type == FRAME_STORE_CLOSE) store_closed(c, a.store, r->status == HEMI_OK || r->status == HEMI_HANDLE);
    if (r->status == HEMI_OK) {
        report->succeeded++;
        report->actions[a.action][1]++;
        check_result(c, f, &a);
    } else {
        after_failure(c, &a, r);
        if (r->status == HEMI_EXCEPTION) check_exception(c, f, &a);
    }
}

/* ---- the rest of what comes */

static void on_host_call(struct wild *c, const struct frame *f)
{
    const Hemi__V1__HostCall *body = (const Hemi__V1__HostCall *)f->body;
    bool known = false;
    for (unsigned i = 0; i < c->nasked; i++) known |= c->asked[i].id == body->request;
    if (!known) wild_found(c, "host call %u of request %u, which is answered", f->head.request, body->request);
    c->process->report->host_calls++;
    struct wire_reference ref = {0};
    bool extern_ = body->host == 0 && f->raw_length == WIRE_VALUE_BYTES;
    if (extern_ && wire_get_reference(f->raw, FRAME_W2C, &ref) != PROTO_OK) wild_found(c, "a host call's argument");
    if (ref.handle && !wild_add(c, ref.handle, WILD_REF, 'e', body->store)) drop_now(c, ref.handle);
    if (c->ncalls == WILD_CALLS) wild_answer(c, wild_draw(c, WILD_CALLS), true);
    c->calls[c->ncalls++] = (struct wild_call){
        .id = f->head.request, .request = body->request, .store = body->store, .host = body->host, .window = c->nested};
}

void wild_answer(struct wild *c, unsigned at, bool orderly)
{
    static const uint8_t otherwise[] = {HEMI_HOST, HEMI_TRAP, HEMI_EXIT, HEMI_EXCEPTION};
    Hemi__V1__HostReply body = HEMI__V1__HOST_REPLY__INIT;
    uint8_t raw[WIRE_VALUE_BYTES] = {0};
    struct wild_call call = c->calls[at];
    struct wild_thing *thrown = orderly ? NULL : wild_pick(c, WILD_EXCEPTION, -1);
    c->calls[at] = c->calls[--c->ncalls];
    if (!orderly) body.status = otherwise[wild_draw(c, sizeof otherwise)];
    if (body.status == HEMI_EXCEPTION && (!thrown || thrown->store != call.store)) body.status = HEMI_HOST;
    if (body.status == HEMI_EXCEPTION)
        wire_put_reference(
            raw, &(struct wire_reference){.kind = WIRE_HANDLE, .class_ = WIRE_CLASS_EXN, .handle = thrown->handle});
    else if (call.host == 0)
        wire_put_reference(raw, &(struct wire_reference){.kind = WIRE_NULL, .class_ = WIRE_CLASS_EXTERN});
    else
        wire_put_number(raw, &(uint32_t){4711}, 4);
    bool value = body.status == HEMI_OK || body.status == HEMI_EXCEPTION;
    wild_say(c, "HOST_REPLY %u status %u", call.id, body.status);
    wild_tell(c, FRAME_HOST_REPLY, call.id, &body, raw, value ? sizeof raw : 0);
}

static void on_death(struct wild *c, const struct frame *f)
{
    struct wild_store *s = wild_store_of(c, ((const Hemi__V1__Death *)f->body)->store);
    for (size_t at = 0; at + 16 <= f->raw_length; at += 16) {
        uint64_t id = wire_get_u64(f->raw + at);
        uint32_t times = wire_get_u32(f->raw + at + 8);
        c->process->report->deaths++;
        if (!s) wild_found(c, "a death notice for a store that is none");
        if (id >= WILD_EXTERNS || s->sent[id] < times)
            wild_found(c, "extern %llu died %u times and was sent less often", (unsigned long long)id, times);
        s->sent[id] -= times;
    }
}

static void on_stream(struct wild *c, const struct frame *f)
{
    bool data = f->head.type == FRAME_STREAM_DATA, credit = f->head.type == FRAME_STREAM_CREDIT;
    uint32_t id = data     ? ((const Hemi__V1__StreamData *)f->body)->stream
                  : credit ? ((const Hemi__V1__StreamCredit *)f->body)->stream
                           : ((const Hemi__V1__StreamEof *)f->body)->stream;
    struct wild_stream *s = wild_stream_of(c, id);
    if (!s) wild_found(c, "%s for stream %u, which is none", frame_type_name(f->head.type), id);
    if ((data && s->input) || (credit && !s->input))
        wild_found(c, "%s on the wrong side of stream %u", frame_type_name(f->head.type), id);
    if (data && f->raw_length > s->credit)
        wild_found(c, "%u bytes on %llu of credit", f->raw_length, (unsigned long long)s->credit);
    if (data) s->credit -= f->raw_length;
    if (credit) s->credit += ((const Hemi__V1__StreamCredit *)f->body)->bytes;
    if (!data && !credit) stream_forget(c, s);
    c->process->report->streamed += data ? f->raw_length : 0;
}

static void on_welcome(struct wild *c, const struct frame *f)
{
    const Hemi__V1__Welcome *w = (const Hemi__V1__Welcome *)f->body;
    c->welcome = true;
    c->r.state = FRAME_OPEN;
    c->window.requests_max = w->window_requests;
    c->window.bytes_max = w->window_bytes;
    c->nested = (struct window){.requests_max = w->nested_requests, .bytes_max = w->nested_bytes};
}

static void on_close(struct wild *c, const struct frame *f)
{
    const Hemi__V1__Close *body = (const Hemi__V1__Close *)f->body;
    bool refused = body->status == HEMI_LIMIT || body->status == HEMI_NO_MEMORY;
    bool expected = c->process->report->may_end || c->closing || (refused && c->process->report->tight);
    if (!expected)
        wild_found(c, "CLOSE with status %u, error %u: %.*s", body->status, body->error, (int)body->text.len,
                   (const char *)body->text.data);
    c->closing = true;
}

static void on_frame(struct wild *c, const struct frame *f)
{
    switch (f->head.type) {
    case FRAME_WELCOME:
        return on_welcome(c, f);
    case FRAME_CLOSE:
        return on_close(c, f);
    case FRAME_REPLY:
        return on_reply(c, f);
    case FRAME_HOST_CALL:
        return on_host_call(c, f);
    case FRAME_DEATH:
        return on_death(c, f);
    default:
        return on_stream(c, f);
    }
}

static void ended(struct wild *c)
{
    bool lost = c->r.error == PROTO_END || c->r.error == PROTO_TRUNCATED || c->r.error == PROTO_IO;
    if (!lost) wild_found(c, "the worker sent %s", proto_error_text(c->r.error));
    if (!c->closing && !c->process->report->may_end)
        wild_found(c, "the connection ended without a word (%s), %u requests unanswered", proto_error_text(c->r.error),
                   c->nasked);
    wild_hang_up(c);
}

void wild_pump(struct wild *c, int ms)
{
    enum frame_next next = FRAME_NONE;
    struct frame f;
    if (c->fd < 0) return;
    bool writes = frame_writer_pending(&c->w) > 0 && c->w.error == PROTO_OK;
    struct pollfd p = {.fd = c->fd, .events = (short)((c->deaf ? 0 : POLLIN) | (writes ? POLLOUT : 0))};
    poll(&p, 1, ms);
    while (frame_writer_pending(&c->w) > 0 && c->w.error == PROTO_OK && frame_writer_send(&c->w, c->fd)) continue;
    if (c->deaf) return;
    c->process->late = true;
    for (unsigned i = 0; i < 4 && frame_reader_recv(&c->r, c->fd); i++) {
        while ((next = frame_reader_next(&c->r, &f)) == FRAME_READY) on_frame(c, &f);
        if (next == FRAME_FAILED) break;
    }
    c->process->late = false;
    if (next == FRAME_FAILED) ended(c);
}

/* ---- the end in order */

static void cancel_some(struct wild *c, bool all)
{
    for (unsigned i = 0; i < c->nasked; i++) {
        Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
        if (c->asked[i].cancelled || !(all || c->asked[i].endless)) continue;
        c->asked[i].cancelled = true;
        body.request = c->asked[i].id;
        wild_tell(c, FRAME_CANCEL, 0, &body, NULL, 0);
    }
}

void wild_settle(struct wild *c)
{
    double end = now_ms() + 60000 * slowness();
    unsigned still = 0; /* looks without a reply */
    c->deaf = false;
    wild_say(c, "settles: %u requests, %u host calls", c->nasked, c->ncalls);
    while (c->fd >= 0 && (c->nasked > 0 || c->ncalls > 0)) {
        unsigned before = c->nasked;
        while (c->ncalls > 0) wild_answer(c, 0, true);
        cancel_some(c, still > 3);
        wild_pump(c, still > 3 ? 100 : 20);
        still = c->nasked == before ? still + 1 : 0;
        if (now_ms() > end)
            wild_found(c, "%u requests stay unanswered, one is %s %u", c->nasked, frame_type_name(c->asked[0].type),
                       c->asked[0].id);
    }
}
