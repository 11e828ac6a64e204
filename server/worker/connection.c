/* server/worker/connection.c -- a connection: its beginning, reading, its end. What it sends: connection_send.c. */
#include "server/worker/connection.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/release.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "server/worker/control.h"
#include "server/worker/hostcall.h"
#include "server/worker/stream.h"
#include "server/worker/totals.h"

enum {
    LINGER_MS = 2000,
    BYTES_PER_UNIT = 1024,
    SEARCHED_PER_UNIT = 16, /* edges */
    END_UNITS = 4           /* of a store */
};

/* ---- reading */

static enum proto_error begin_drop(struct connection *c, const struct frame *f)
{
    if (f->raw_length % 8 != 0) return PROTO_RAW;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < f->raw_length; i += 8) sum += wire_get_u32(f->raw + i + 4);
    if (sum > DROP_IDS_MAX) return PROTO_RAW;
    for (uint32_t i = 0; i < f->raw_length; i += 8) {
        uint32_t first = wire_get_u32(f->raw + i), n = wire_get_u32(f->raw + i + 4);
        if (n > 0 && first > UINT32_MAX - (n - 1)) return PROTO_RAW;
    }
    c->drop = (struct drop){.ranges = f->raw, .left = f->raw_length};
    return PROTO_OK;
}

/* True: no units were left for some; the frame stays in the reader's buffer until there are. */
static bool drop_some(struct connection *c, uint32_t *units)
{
    struct drop *d = &c->drop;
    while (d->left > 0 || d->count > 0) {
        if (!release_unit(units)) return true;
        if (d->count > 0) {
            const struct object *o = handles_get(&c->handles, d->first);
            if (o) release_units(units, object_units(o));
            handles_drop(&c->handles, d->first++);
            d->count--;
            continue;
        }
        d->first = wire_get_u32(d->ranges);
        d->count = wire_get_u32(d->ranges + 4);
        d->ranges += 8;
        d->left -= 8;
    }
    return false;
}

static enum proto_error handle(struct connection *c, const struct frame *f)
{
    switch (f->head.type) {
    case FRAME_CANCEL:
        requests_cancel(c, ((const Hemi__V1__Cancel *)f->body)->request);
        return PROTO_OK;
    case FRAME_INTERRUPT:
        requests_interrupt(c);
        return PROTO_OK;
    case FRAME_DROP:
        return begin_drop(c, f);
    case FRAME_HOST_REPLY:
        return hostcall_reply(c, f);
    case FRAME_STREAM_DATA:
    case FRAME_STREAM_CREDIT:
    case FRAME_STREAM_EOF:
        return stream_frame(c, f);
    default:
        return request_read(c, f);
    }
}

static void read_error(struct connection *c, enum proto_error e)
{
    if (e == PROTO_END || e == PROTO_IO)
        connection_end(c, HEMI_CLOSED, PROTO_OK, NULL);
    else
        connection_end(c, e == PROTO_NO_MEMORY ? HEMI_NO_MEMORY : HEMI_PROTOCOL, e, NULL);
}

static void take(struct connection *c, const struct frame *f, uint32_t *units)
{
    struct worker *w = c->worker;
    uint32_t ids = w->ids;
    w->searched = 0;
    c->frames_in++;
    enum proto_error e = handle(c, f);
    release_units(units,
                  f->raw_length / BYTES_PER_UNIT + w->searched / SEARCHED_PER_UNIT + (w->ids - ids) / IDS_PER_UNIT);
    if (e != PROTO_OK) read_error(c, e);
}

static bool pin_some(struct connection *c, uint32_t *units)
{
    enum proto_error e = request_read_on(c, units);
    if (e != PROTO_OK) read_error(c, e);
    return c->pinning;
}

/* True: no units were left for some. */
static bool take_frames(struct connection *c, uint32_t *units)
{
    struct frame f;
    while (!c->ending) {
        if (drop_some(c, units) || pin_some(c, units) || !release_unit(units)) return true;
        switch (frame_reader_next(&c->in, &f)) {
        case FRAME_NONE:
            return false;
        case FRAME_FAILED:
            read_error(c, c->in.error);
            return false;
        default:
            take(c, &f, units);
        }
    }
    return false;
}

/* Until a read did not fill the buffer: the kernel has no more then, and asking would cost a call. True: it has, or
 * there are frames left. */
static bool read_some(struct connection *c, uint32_t *units)
{
    for (bool full = true;;) {
        if (take_frames(c, units)) return true;
        if (c->ending || !full) return false;
        if (*units == 0) return true;
        c->reads++;
        page_count(&c->worker->boot->page->reads_total);
        if (!frame_reader_recv(&c->in, c->fd)) return false;
        full = c->in.end == c->in.capacity;
    }
}

/* The worker's list of connections to read from. */
static void queue_read(struct connection *c)
{
    struct worker *w = c->worker;
    if (c->to_read) return;
    c->to_read = true;
    c->read_next = NULL;
    c->read_prev = w->to_read.tail;
    *(w->to_read.tail ? &w->to_read.tail->read_next : &w->to_read.head) = c;
    w->to_read.tail = c;
}

static void unqueue_read(struct connection *c)
{
    struct worker *w = c->worker;
    if (!c->to_read) return;
    c->to_read = false;
    *(c->read_prev ? &c->read_prev->read_next : &w->to_read.head) = c->read_next;
    *(c->read_next ? &c->read_next->read_prev : &w->to_read.tail) = c->read_prev;
}

uint32_t connections_read(struct worker *w)
{
    struct connection *c;
    uint32_t used = 0, ids = w->ids;
    while (used + (w->ids - ids) / IDS_PER_UNIT < READ_UNITS && (c = w->to_read.head)) {
        uint32_t units = READ_UNITS_EACH;
        unqueue_read(c);
        if (read_some(c, &units) && !c->ending) queue_read(c);
        used += READ_UNITS_EACH - units + 1;
    }
    return used;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *c = poll->data;
    if (status < 0) {
        connection_end(c, HEMI_CLOSED, PROTO_OK, NULL);
        return;
    }
    if (events & UV_READABLE) queue_read(c); /* .always-reads */
    if (events & UV_WRITABLE) connection_mark_flush(c);
}

void connection_watch(struct connection *c)
{
    int events = c->ending ? 0 : UV_READABLE;
    if (frame_writer_pending(&c->out) > 0 && c->out.error == PROTO_OK) events |= UV_WRITABLE;
    if (!c->polling || events == c->events) return;
    c->events = events;
    if (events)
        uv_poll_start(&c->poll, events, on_poll);
    else
        uv_poll_stop(&c->poll);
}

/* ---- beginning */

/* What it is granted of what it wishes for: at least what the protocol promises, at most what the tenant has. */
static uint64_t grant(uint64_t wish, uint64_t usual, uint64_t least, uint64_t most)
{
    uint64_t n = wish ? wish : usual;
    if (n > most) n = most;
    return n < least ? least : n;
}

static void set_windows(struct connection *c, const struct hello *hello)
{
    const struct tenant_limits *limits = &c->worker->boot->limits;
    c->window.requests_max =
        (uint32_t)grant(hello->window_requests, WINDOW_DEFAULT_REQUESTS, WINDOW_MIN_REQUESTS, limits->window_requests);
    c->window.bytes_max = grant(hello->window_bytes, WINDOW_DEFAULT_BYTES, WINDOW_MIN_BYTES, limits->window_bytes);
    c->nested = (struct window){.bytes_max = WINDOW_NESTED_BYTES, .requests_max = WINDOW_NESTED_REQUESTS};
}

static void welcome(struct connection *c, const struct hello *hello)
{
    static const char version[] = "hemid " HEMI_VERSION;
    Hemi__V1__Welcome body = HEMI__V1__WELCOME__INIT;
    body.minor = hello->minor < PROTO_MINOR ? hello->minor : PROTO_MINOR;
    body.window_requests = c->window.requests_max;
    body.window_bytes = c->window.bytes_max;
    body.nested_requests = c->nested.requests_max;
    body.nested_bytes = c->nested.bytes_max;
    body.server = (ProtobufCBinaryData){sizeof version - 1, (uint8_t *)(uintptr_t)version};
    connection_send(c, &(struct frame_out){.type = FRAME_WELCOME, .body = &body.base, .fd = -1});
}

static void connection_free(struct connection *c)
{
    account_unref(c->account);
    free(c);
}

struct connection *connection_new(struct worker *w, int fd, uint64_t id, const uint8_t *hello_bytes, size_t hello_len)
{
    struct hello hello = {0};
    size_t need;
    struct connection *c = calloc(1, sizeof *c);
    if (c) {
        c->account = account_new(w);
        frame_writer_init(&c->out);
    }
    if (!c || !c->account || !frame_writer_keep(&c->out, CLOSE_BYTES_MAX)) {
        if (c) connection_free(c);
        close(fd);
        return NULL;
    }
    c->worker = w;
    c->id = id;
    c->fd = fd;
    runqueue_init(&c->runs, &w->sched.ready);
    c->output_max = w->boot->limits.output;
    c->handles.account = c->account;
    c->handles.max = (uint32_t)w->boot->limits.handles;
    handles_begin(&c->handles);
    frame_reader_init(&c->in, FRAME_C2W, FRAME_OPEN);
    LIST_INSERT_HEAD(&w->connections, c, link);
    w->nconnections++;
    w->served++;
    page_count(&w->boot->page->connections_total);
    enum proto_error e = hello_read(hello_bytes, hello_len, &hello, &need);
    set_windows(c, &hello);
    if (e == PROTO_OK && need == hello_len)
        welcome(c, &hello);
    else
        connection_end(c, HEMI_PROTOCOL, PROTO_HELLO, NULL);
    return c;
}

void connection_start(struct connection *c)
{
    c->polling = true;
    c->poll.data = c;
    if (uv_poll_init(&c->worker->loop, &c->poll, c->fd) != 0) {
        c->polling = false;
        connection_end(c, HEMI_INTERNAL, PROTO_IO, "the socket cannot be polled");
        return;
    }
    connection_watch(c);
}

/* ---- the end */

static void linger_over(struct timeout *t)
{
    struct connection *c = (struct connection *)(void *)((char *)t - offsetof(struct connection, linger));
    c->out.error = PROTO_END; /* what is not out by now stays here */
    connection_mark_flush(c);
}

static void send_close(struct connection *c, enum hemi_status status, enum proto_error error, const char *text)
{
    char line[256];
    if (!text) text = error != PROTO_OK ? proto_error_text(error) : "";
    size_t len = strlen(text) < sizeof line ? strlen(text) : sizeof line - 1;
    memcpy(line, text, len);
    Hemi__V1__Close body = HEMI__V1__CLOSE__INIT;
    body.status = status;
    body.error = status == HEMI_PROTOCOL ? error : 0;
    body.text = (ProtobufCBinaryData){len, (uint8_t *)line};
    if (frame_writer_put_last(&c->out, &(struct frame_out){.type = FRAME_CLOSE, .body = &body.base, .fd = -1}) > 0)
        c->frames_out++;
}

void connection_end(struct connection *c, enum hemi_status status, enum proto_error error, const char *text)
{
    if (c->ending) return;
    send_close(c, status, error, text);
    c->ending = true;
    c->worker->nending++;
    c->end_status = status;
    timeout_set(&c->worker->timeouts, &c->linger, worker_now_ms(c->worker) + LINGER_MS, linger_over);
    requests_stop_all(c, HEMI_CLOSED);
    connection_mark_flush(c);
}

static void poll_closed(uv_handle_t *handle) { connection_free(handle->data); }

/* The parts of forget_some: each takes out of its list what it is done with. */
static bool forget_calls(struct connection *c, uint32_t *units)
{
    while (c->calls.used > 0) {
        if (!release_unit(units)) return true;
        hostcall_unref(idmap_pop(&c->calls));
    }
    while (c->deaths) {
        if (!release_unit(units)) return true;
        struct wstore *s = c->deaths;
        c->deaths = s->next_death;
        wstore_unref(s);
    }
    return false;
}

static bool forget_stores(struct connection *c, uint32_t *units)
{
    struct wstore *s;
    while ((s = LIST_FIRST(&c->stores))) {
        if (!release_unit(units)) return true;
        release_units(units, END_UNITS);
        wstore_end(s);
    }
    return false;
}

static bool forget_handles(struct connection *c, uint32_t *units) { return handles_drop_some(&c->handles, units); }

static bool forget_some(struct corpse *corpse, uint32_t *units)
{
    struct connection *c = (struct connection *)(void *)((char *)corpse - offsetof(struct connection, corpse));
    if (c->pins_buried > 0 || connection_settle(c, true, units) || forget_calls(c, units) || forget_handles(c, units) ||
        streams_forget_some(c, units) || forget_stores(c, units))
        return true;
    free(c->unread);
    idmap_deinit(&c->calls);
    idmap_deinit(&c->streams);
    handles_deinit(&c->handles);
    outcome_unref(c->last);
    idmap_deinit(&c->requests);
    c->emptied = true;
    return false;
}

static void leave_worker(struct connection *c)
{
    struct worker *w = c->worker;
    totals_keep_connection(c);
    LIST_REMOVE(c, link);
    w->nconnections--;
    w->nending--;
    CHECK(runqueue_empty(&c->runs) && c->stacks.used == 0 && c->types.used == 0 && c->promised == 0);
    connection_output_end(c);
    for (struct connection **at = &w->to_flush; *at; at = &(*at)->next_flush) {
        if (*at != c) continue;
        *at = c->next_flush;
        break;
    }
    unqueue_read(c);
    requests_stop_forget(&c->stopping);
    timeout_remove(&w->timeouts, &c->linger);
}

bool connection_reap(struct connection *c)
{
    if (!c->ending || c->nrequests > 0) return false;
    if (!c->buried) {
        c->buried = true;
        grave_bury(&c->worker->grave, &c->corpse, forget_some);
    }
    if (!c->emptied) return false;
    if (frame_writer_pending(&c->out) > 0 && c->out.error == PROTO_OK) return false;
    leave_worker(c);
    frame_fds_discard(c->fd);
    frame_reader_deinit(&c->in);
    frame_writer_deinit(&c->out);
    control_closed(c->worker, c->id, c->end_status);
    if (!c->polling) {
        close(c->fd);
        connection_free(c);
        return true;
    }
    uv_poll_stop(&c->poll);
    close(c->fd);
    uv_close((uv_handle_t *)&c->poll, poll_closed);
    return true;
}
