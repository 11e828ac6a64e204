#include "server/worker/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/release.h"
#include "proto/hemi.pb-c.h"
#include "server/worker/connection.h"

/* NULL: none is open with this id. That of an ended store waits in the grave. */
static struct stream *look_up(const struct connection *c, uint32_t id)
{
    struct stream *s = idmap_get(&c->streams, id);
    return s && !s->store->ended ? s : NULL;
}

bool stream_id_free(const struct connection *c, uint32_t id) { return id != 0 && !look_up(c, id); }

void stream_id_used(struct connection *c, uint32_t id)
{
    if (id > c->last_stream) c->last_stream = id;
}

/* An input stream has a buffer, which counts against the budget. */
static bool make_buffer(struct stream *s)
{
    if (!account_charge(s->store->account, STREAM_INPUT_BYTES)) return false;
    s->data = malloc(STREAM_INPUT_BYTES);
    if (!s->data) account_charge(s->store->account, -STREAM_INPUT_BYTES);
    return s->data != NULL;
}

bool stream_has_room(const struct connection *c) { return c->streams.used < c->handles.max; }

struct stream *stream_new(struct connection *c, struct wstore *store, uint32_t id, bool input, uint64_t credit)
{
    struct stream *old = idmap_get(&c->streams, id);
    if (old) stream_end(old);
    struct stream *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (struct stream){.conn = c, .store = store, .id = id, .refs = 1, .input = input, .credit = credit};
    if ((input && !make_buffer(s)) || !idmap_put(&c->streams, id, s)) {
        stream_unref(s);
        return NULL;
    }
    s->refs++;
    LIST_INSERT_HEAD(&store->streams, s, of_store);
    stream_id_used(c, id);
    return s;
}

void stream_unref(struct stream *s)
{
    if (!s || --s->refs > 0) return;
    if (s->data) account_charge(s->store->account, -STREAM_INPUT_BYTES);
    free(s->data);
    free(s);
}

static void wake(struct stream *s)
{
    if (s->waiter) scheduler_wake(s->waiter);
}

/* ---- frames */

static enum proto_error on_data(struct stream *s, const struct frame *f)
{
    if (!s->input || s->eof) return PROTO_STREAM;
    if (f->raw_length == 0) return PROTO_RAW;
    if (f->raw_length > s->credit) return PROTO_CREDIT;
    s->credit -= f->raw_length;
    CHECK(f->raw_length <= STREAM_INPUT_BYTES - s->end, ".granted");
    memcpy(s->data + s->end, f->raw, f->raw_length);
    s->end += f->raw_length;
    return PROTO_OK;
}

static enum proto_error on_credit(struct stream *s, uint64_t bytes)
{
    if (s->input) return PROTO_STREAM;
    if (bytes > UINT64_MAX - s->credit) return PROTO_CREDIT;
    s->credit += bytes;
    return PROTO_OK;
}

static enum proto_error on_eof(struct stream *s)
{
    if (!s->input || s->eof) return PROTO_STREAM;
    s->eof = true;
    return PROTO_OK;
}

static uint32_t stream_id(const struct frame *f)
{
    switch (f->head.type) {
    case FRAME_STREAM_DATA:
        return ((const Hemi__V1__StreamData *)f->body)->stream;
    case FRAME_STREAM_CREDIT:
        return ((const Hemi__V1__StreamCredit *)f->body)->stream;
    default:
        return ((const Hemi__V1__StreamEof *)f->body)->stream;
    }
}

enum proto_error stream_frame(struct connection *c, const struct frame *f)
{
    struct stream *s = look_up(c, stream_id(f));
    if (!s) return stream_id(f) != 0 && stream_id(f) <= c->last_stream ? PROTO_OK : PROTO_STREAM;
    enum proto_error e;
    switch (f->head.type) {
    case FRAME_STREAM_DATA:
        e = on_data(s, f);
        break;
    case FRAME_STREAM_CREDIT:
        e = on_credit(s, ((const Hemi__V1__StreamCredit *)f->body)->bytes);
        break;
    default:
        e = on_eof(s);
        break;
    }
    wake(s);
    return e;
}

/* ---- ends */

static void forget(struct stream *s)
{
    s->closed = true;
    wake(s);
    LIST_REMOVE(s, of_store);
    idmap_remove(&s->conn->streams, s->id);
    stream_unref(s);
}

void stream_close(struct stream *s)
{
    if (s->closed) return;
    if (s->store->ended) {
        forget(s);
        return;
    }
    Hemi__V1__StreamEof body = HEMI__V1__STREAM_EOF__INIT;
    body.stream = s->id;
    connection_send(s->conn, &(struct frame_out){.type = FRAME_STREAM_EOF, .body = &body.base, .fd = -1});
    forget(s);
}

void stream_end(struct stream *s)
{
    if (!s->closed) forget(s);
}

bool streams_end_some(struct wstore *store, uint32_t *units)
{
    struct stream *s;
    while ((s = LIST_FIRST(&store->streams))) {
        if (!release_unit(units)) return true;
        release_units(units, STREAM_UNITS);
        forget(s);
    }
    return false;
}

bool streams_forget_some(struct connection *c, uint32_t *units)
{
    while (c->streams.used > 0) {
        if (!release_unit(units)) return true;
        release_units(units, STREAM_UNITS);
        forget(idmap_pop(&c->streams));
    }
    return false;
}

/* ---- on a fiber */

static enum hemi_status wait(struct stream *s)
{
    struct scheduler *sched = &s->conn->worker->sched;
    s->waiter = sched->running;
    enum hemi_status stop = scheduler_wait(sched);
    s->waiter = NULL;
    return stop;
}

enum hemi_status stream_reserve(struct stream *s, size_t n, uint8_t **at, size_t *room)
{
    *room = 0;
    for (;;) {
        enum hemi_status stop = connection_wait_output(s->conn);
        if (stop != HEMI_OK) return stop;
        if (s->closed) return HEMI_OK;
        if (s->credit > 0) break;
        if ((stop = wait(s)) != HEMI_OK) return stop;
    }
    if (n > s->credit) n = (size_t)s->credit;
    if (n > STREAM_CHUNK) n = STREAM_CHUNK;
    Hemi__V1__StreamData body = HEMI__V1__STREAM_DATA__INIT;
    body.stream = s->id;
    struct frame_out out = {.type = FRAME_STREAM_DATA, .body = &body.base, .raw_length = n, .fd = -1};
    *at = connection_reserve(s->conn, &out);
    if (!*at) return HEMI_NO_MEMORY;
    s->credit -= n;
    *room = n;
    return HEMI_OK;
}

/* Grants a whole buffer's worth; the client may have been granted some before and not used it. */
static void grant(struct stream *s)
{
    s->begin = s->end = 0;
    if (s->credit > 0) return;
    Hemi__V1__StreamCredit body = HEMI__V1__STREAM_CREDIT__INIT;
    body.stream = s->id;
    body.bytes = s->credit = STREAM_INPUT_BYTES;
    connection_send(s->conn, &(struct frame_out){.type = FRAME_STREAM_CREDIT, .body = &body.base, .fd = -1});
}

bool stream_ready(const struct stream *s) { return s->begin != s->end || s->eof || s->closed; }

void stream_watch(struct stream *s)
{
    if (!stream_ready(s)) grant(s);
    s->waiter = s->conn->worker->sched.running;
}

void stream_unwatch(struct stream *s) { s->waiter = NULL; }

enum hemi_status stream_await(struct stream *s, const uint8_t **at, size_t *n)
{
    while (!stream_ready(s)) {
        grant(s);
        enum hemi_status stop = wait(s);
        if (stop != HEMI_OK) return stop;
    }
    *at = s->data + s->begin;
    *n = s->end - s->begin;
    return HEMI_OK;
}

void stream_consume(struct stream *s, size_t n) { s->begin += (uint32_t)n; }
