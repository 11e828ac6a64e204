/* The loop: sending, receiving, sleeping, and running callbacks when they may. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/lib/internal.h"

int64_t now_ms(void) { return (int64_t)clock_ms(); }

void client_end(hemi_client *c, hemi_status status, const char *format, ...)
{
    if (c->ended != HEMI_OK) return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->ended_text, sizeof c->ended_text, format, args);
    va_end(args);
    c->ended = status;
    if (c->socket >= 0) close(c->socket);
    c->socket = -1;
    host_calls_end(c);
    requests_end(c);
    externs_end(c, NULL);
    c->funcs_due = true;
}

/* ---- receiving */
static enum proto_error welcome(hemi_client *c, const Hemi__V1__Welcome *body)
{
    if (body->window_requests < WINDOW_MIN_REQUESTS || body->window_bytes < WINDOW_MIN_BYTES) return PROTO_WINDOW;
    if (body->nested_requests == 0 || body->nested_bytes < FRAME_MAX) return PROTO_WINDOW;
    c->window.requests_max = body->window_requests;
    c->window.bytes_max = body->window_bytes;
    c->nested_requests = body->nested_requests;
    c->nested_bytes = body->nested_bytes;
    c->reader.state = FRAME_OPEN;
    c->welcomed = true;
    return PROTO_OK;
}

static void closed_by_peer(hemi_client *c, const Hemi__V1__Close *body)
{
    hemi_status status = body->status == HEMI_OK ? HEMI_CLOSED : (hemi_status)body->status;
    if (body->text.len > 0)
        client_end(c, status, "%.*s", (int)body->text.len, (const char *)body->text.data);
    else
        client_end(c, status, "the daemon closed the connection: %s", hemi_status_text(status));
}

static enum proto_error reply(hemi_client *c, const struct frame *f)
{
    const Hemi__V1__Reply *body = (const Hemi__V1__Reply *)f->body;
    struct request *r = idmap_get(&c->requests, f->head.request);
    if (!r || r->answered) return PROTO_REQUEST_ID;
    bool carries = body->status == HEMI_OK || body->status == HEMI_EXCEPTION || body->trace_entries != 0;
    if (!carries && f->raw_length != 0) return PROTO_RAW;
    request_answered(c, r, body, f);
    return PROTO_OK;
}

static enum proto_error deaths(hemi_client *c, const struct frame *f)
{
    const Hemi__V1__Death *body = (const Hemi__V1__Death *)f->body;
    if (f->raw_length % 16 != 0) return PROTO_RAW;
    for (uint32_t at = 0; at < f->raw_length; at += 16) {
        const uint8_t *notice = f->raw + at;
        if (wire_get_u32(notice + 12) != 0) return PROTO_RESERVED;
        if (!externs_died(c, body->store, wire_get_u64(notice), wire_get_u32(notice + 8))) return PROTO_DEATH;
    }
    return PROTO_OK;
}

static enum proto_error received(hemi_client *c, const struct frame *f)
{
    switch ((enum frame_type)f->head.type) {
    case FRAME_WELCOME:
        return welcome(c, (const Hemi__V1__Welcome *)f->body);
    case FRAME_CLOSE:
        closed_by_peer(c, (const Hemi__V1__Close *)f->body);
        return PROTO_OK;
    case FRAME_REPLY:
        return reply(c, f);
    case FRAME_DEATH:
        return deaths(c, f);
    case FRAME_HOST_CALL:
        return host_call_received(c, f);
    case FRAME_STREAM_DATA:
    case FRAME_STREAM_CREDIT:
    case FRAME_STREAM_EOF:
        return stream_received(c, f);
    default:
        return PROTO_TYPE; /* the reader lets nothing else through */
    }
}

#define NO_HEMID "what listens there is no hemid, or of another version"

static void reading_failed(hemi_client *c, enum proto_error e)
{
    bool lost = e == PROTO_END || e == PROTO_TRUNCATED || e == PROTO_IO;
    if (lost && c->welcomed)
        client_end(c, HEMI_WORKER_LOST, "the worker died: the connection ended without a word");
    else if (lost)
        client_end(c, HEMI_CONNECT,
                   "what listens there ended the connection without a WELCOME: the daemon died, or it is no hemid");
    else if (e == PROTO_NO_MEMORY)
        client_end(c, HEMI_NO_MEMORY, "out of memory while receiving");
    else
        client_end(c, HEMI_PROTOCOL, "%s: %s", c->welcomed ? "the worker broke the protocol" : NO_HEMID,
                   proto_error_text(e));
}

/* Handles every whole frame that is here. */
static void handle_frames(hemi_client *c)
{
    struct frame f;
    while (c->ended == HEMI_OK) {
        enum frame_next next = frame_reader_next(&c->reader, &f);
        if (next == FRAME_NONE) return;
        if (next == FRAME_FAILED) {
            reading_failed(c, c->reader.error);
            return;
        }
        enum proto_error e = received(c, &f);
        if (e == PROTO_NO_MEMORY)
            reading_failed(c, e);
        else if (e != PROTO_OK)
            client_end(c, HEMI_PROTOCOL, "%s: %s: %s", c->welcomed ? "the worker broke the protocol" : NO_HEMID,
                       f.info->name, proto_error_text(e));
    }
}

/* One read and what it brought. False: nothing was there. */
static bool receive(hemi_client *c)
{
    if (c->ended != HEMI_OK || !frame_reader_recv(&c->reader, c->socket)) return false;
    c->stats.reads++;
    handle_frames(c);
    return true;
}

/* ---- sending */
static void want_events(hemi_client *c)
{
    if (c->poll_fd < 0 || c->socket < 0) return;
    uint32_t events = EPOLLIN | (c->send_blocked ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event e = {.events = events};
    if (events != c->poll_events) epoll_ctl(c->poll_fd, EPOLL_CTL_MOD, c->socket, &e);
    c->poll_events = events;
}

bool send_queued(hemi_client *c)
{
    if (c->ended != HEMI_OK) return true;
    requests_begin(c);
    drops_flush(c);
    c->send_blocked = false;
    while (frame_writer_pending(&c->writer) > 0 && !c->send_blocked) {
        if (frame_writer_send(&c->writer, c->socket)) {
            c->stats.writes++;
            c->sent_since_sleep = true;
        } else {
            c->send_blocked = true;
        }
    }
    if (c->writer.error == PROTO_IO)
        client_end(c, c->welcomed ? HEMI_WORKER_LOST : HEMI_CONNECT, "sending failed: %s", strerror(errno));
    if (c->writer.error == PROTO_LENGTH)
        client_end(c, HEMI_INTERNAL, "sending failed: %s", proto_error_text(c->writer.error));
    if (c->writer.error == PROTO_END) c->send_blocked = false; /* only the reading side says how it ended */
    want_events(c);
    return !c->send_blocked;
}

size_t writer_try(hemi_client *c, const struct frame_out *f, uint8_t **raw)
{
    size_t size = frame_writer_reserve(&c->writer, f, raw);
    if (size == 0 && c->writer.error == PROTO_NO_MEMORY) c->writer.error = PROTO_OK;
    return size;
}

static bool is_interrupted(const hemi_client *c) { return atomic_load_explicit(&c->interrupted, memory_order_relaxed); }

/* Only a wakeup: `interrupted`, which was set before it, is what counts. */
static void empty_wake(hemi_client *c)
{
    uint64_t count;
    ssize_t n = read(c->wake, &count, sizeof count);
    (void)n;
}

/* Ends what is waited for here, whether the worker does its part or not. */
static void take_interrupt(hemi_client *c)
{
    empty_wake(c); /* first: one that comes in between is this one, or wakes again */
    atomic_store(&c->interrupted, false);
    c->interrupts++;
    requests_interrupt(c);
    struct frame_out f = {.type = FRAME_INTERRUPT};
    if (frame_writer_put(&c->writer, &f) == 0) client_end(c, HEMI_NO_MEMORY, "out of memory while interrupting");
}

/* An interrupt waits until there is something to interrupt. True: there was. */
static bool pass_interrupt(hemi_client *c)
{
    if (!is_interrupted(c) || c->unanswered == 0 || c->ended != HEMI_OK) return false;
    take_interrupt(c);
    return true;
}

void hemi_client_interrupt(hemi_client *c)
{
    if (!c || !origin_is_here(&c->origin)) return; /* the eventfd is the parent's, too */
    int saved = errno;
    uint64_t one = 1;
    atomic_store(&c->interrupted, true);
    ssize_t n = write(c->wake, &one, sizeof one);
    (void)n; /* full means that the wakeup is already there */
    errno = saved;
}

/* ---- callbacks that wait for the outermost level */
static bool due(const hemi_client *c)
{
    return !c->running && !c->in_due && !c->forked && (c->done_first || externs_due(c) || host_funcs_due(c));
}

static void run_done(hemi_client *c)
{
    while (c->done_first) {
        struct request *r = c->done_first;
        c->done_first = r->done_next;
        if (!c->done_first) c->done_last = &c->done_first;
        void (*done)(hemi_client *, hemi_ticket, void *) = r->done;
        r->done = NULL;
        done(c, r->id, r->done_env);
        if (!client_is_back(c)) return;
    }
}

/* .outermost */
static bool run_due(hemi_client *c)
{
    if (!due(c)) return false;
    c->in_due = true;
    run_done(c);
    if (!c->forked) externs_run(c);
    if (!c->forked) host_funcs_run(c);
    c->in_due = false;
    return true;
}

/* ---- one step of a wait */
static int timeout_until(int64_t until)
{
    if (until == 0) return -1;
    int64_t left = until - now_ms();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static void sleep_until(hemi_client *c, int64_t until)
{
    struct pollfd fds[2] = {{.fd = c->socket, .events = POLLIN}, {.fd = c->wake, .events = POLLIN}};
    bool wants_out = frame_writer_pending(&c->writer) > 0 && c->writer.error == PROTO_OK;
    if (wants_out) fds[0].events |= POLLOUT;
    if (c->sent_since_sleep) c->stats.round_trips++;
    c->sent_since_sleep = false;
    if (poll(fds, 2, timeout_until(until)) <= 0) return; /* EINTR: the caller looks again */
    if (fds[1].revents) empty_wake(c);
    if (fds[0].revents & ~POLLOUT) receive(c);
}

/* What is given at once wakes nobody to ask for more: asks until there is none now, or no credit is left. A callback
 * that blocks for input holds back nothing that was to be sent before. */
static void feed_and_send(hemi_client *c)
{
    send_queued(c);
    while (inputs_feed(c)) send_queued(c);
}

hemi_status step(hemi_client *c, const struct request *waited, int64_t until)
{
    if (c->ended != HEMI_OK) return c->ended;
    if (host_call_run_one(c, waited) || run_due(c)) return c->ended;
    bool passed = pass_interrupt(c); /* then who waits looks at it first */
    feed_and_send(c);
    if (c->ended == HEMI_OK && !passed) sleep_until(c, until);
    return c->ended;
}

hemi_status hemi_flush(hemi_client *c)
{
    ENTER(c, refusal);
    hemi_status status = usable(c, NULL);
    if (status != HEMI_OK) return status;
    uint32_t interrupts = c->interrupts;
    while (!send_queued(c)) {
        if (is_interrupted(c)) take_interrupt(c);
        if (c->interrupts != interrupts) return interrupted(c);
        if (step(c, NULL, 0) != HEMI_OK) break;
    }
    return usable(c, NULL);
}

/* ---- event loops */
int hemi_client_fd(hemi_client *c)
{
    ENTER(c, -1);
    if (c->poll_fd >= 0) return c->poll_fd;
    c->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->poll_fd < 0) return -1;
    c->poll_events = EPOLLIN;
    struct epoll_event e = {.events = EPOLLIN};
    if ((c->socket >= 0 && epoll_ctl(c->poll_fd, EPOLL_CTL_ADD, c->socket, &e) != 0) ||
        epoll_ctl(c->poll_fd, EPOLL_CTL_ADD, c->wake, &e) != 0) {
        close(c->poll_fd);
        c->poll_fd = -1;
        return -1;
    }
    want_events(c);
    return c->poll_fd;
}

int hemi_client_events(const hemi_client *c)
{
    ENTER(c, 0);
    return POLLIN; /* the descriptor watches for both directions itself */
}

int hemi_client_timeout(const hemi_client *c)
{
    int64_t first = 0;
    ENTER(c, -1);
    for (uint32_t i = 0; i < c->requests.capacity; i++) {
        const struct request *r = c->requests.cells[i].value;
        if (c->requests.cells[i].id == 0 || r->answered || r->given_up || r->give_up_at == 0) continue;
        if (first == 0 || r->give_up_at < first) first = r->give_up_at;
    }
    return timeout_until(first);
}

bool hemi_client_pending(const hemi_client *c)
{
    ENTER(c, false);
    if (due(c)) return true;
    if (c->ended != HEMI_OK) return false;
    if (c->calls && !c->running) return true;
    return c->ndrops > 0 || (frame_writer_pending(&c->writer) > 0 && !c->send_blocked && c->writer.error == PROTO_OK);
}

hemi_status hemi_client_dispatch(hemi_client *c)
{
    ENTER(c, refusal);
    if (c->quiet || c->running || c->in_due) return fail(c, HEMI_BUSY, "not inside a callback");
    empty_wake(c);
    pass_interrupt(c);
    receive(c);
    while (host_call_run_one(c, NULL)) continue;
    requests_expire(c);
    feed_and_send(c);
    run_due(c);
    send_queued(c);
    return usable(c, NULL);
}
