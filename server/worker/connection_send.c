/* server/worker/connection_send.c -- what a connection sends: frames, notices of deaths, and when there is room for
 * them (.output-cap, .unread, .one-flush). */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/grow.h"
#include "base/release.h"
#include "proto/hemi.pb-c.h"
#include "server/worker/connection.h"
#include "server/worker/hostcall.h"

enum { SETTLED_PER_TURN = 4096, UNREAD_KEPT = 1024 };

/* At the end of the turn (.one-flush). */
void connection_mark_flush(struct connection *c)
{
    if (c->flushing) return;
    c->flushing = true;
    c->next_flush = c->worker->to_flush;
    c->worker->to_flush = c;
}

static void account_output(struct connection *c, uint64_t used)
{
    worker_account(c->worker, (int64_t)(used - c->output.used));
    share_set(&c->worker->pools[POOL_OUTPUT], &c->output, used);
}

static void output_changed(struct connection *c) { account_output(c, frame_writer_pending(&c->out) + c->promised); }

void connection_output_end(struct connection *c) { account_output(c, 0); }

void connection_promise(struct request *r, uint64_t bytes)
{
    r->conn->promised += bytes - r->promised;
    r->promised = bytes;
    output_changed(r->conn);
}

bool connection_output_room(const struct connection *c, uint64_t n)
{
    if (c->output.used == 0) return true;
    return c->output.used < c->output_max && share_allows(&c->worker->pools[POOL_OUTPUT], &c->output, n);
}

static void no_memory(struct connection *c)
{
    connection_end(c, HEMI_NO_MEMORY, PROTO_NO_MEMORY, "no memory for output");
}

bool connection_send(struct connection *c, const struct frame_out *f)
{
    if (c->ending) return false;
    if (frame_writer_put(&c->out, f) == 0) {
        no_memory(c);
        return false;
    }
    c->frames_out++;
    output_changed(c);
    connection_mark_flush(c);
    return true;
}

uint8_t *connection_reserve(struct connection *c, const struct frame_out *f)
{
    uint8_t *raw;
    if (c->ending) return NULL;
    if (frame_writer_reserve(&c->out, f, &raw) == 0) {
        no_memory(c);
        return NULL;
    }
    c->frames_out++;
    output_changed(c);
    connection_mark_flush(c);
    return raw;
}

static bool unread_room(struct connection *c)
{
    uint32_t used = c->unread_end - c->unread_begin;
    if (c->unread_end < c->unread_capacity) return true;
    if (c->unread_begin == 0 || c->unread_begin < c->unread_capacity / 2)
        return GROW(c->unread, c->unread_end, 1, c->unread_capacity, 64);
    memmove(c->unread, c->unread + c->unread_begin, used * sizeof *c->unread);
    c->unread_begin = 0;
    c->unread_end = used;
    return true;
}

static void give_back(struct connection *c, struct host_call *parent, uint32_t bytes)
{
    window_give(parent ? &parent->window : &c->window, bytes);
}

void connection_answered(struct connection *c, struct host_call *parent, uint32_t bytes)
{
    if (c->ending || !unread_room(c)) { /* without memory for it, it counts as read */
        give_back(c, parent, bytes);
        return;
    }
    c->unread[c->unread_end++] = (struct unread){.position = c->out.position + frame_writer_pending(&c->out),
                                                 .parent = parent ? hostcall_ref(parent) : NULL,
                                                 .bytes = bytes};
}

bool connection_settle(struct connection *c, bool all, uint32_t *units)
{
    while (c->unread_begin < c->unread_end) {
        struct unread u = c->unread[c->unread_begin];
        if (!all && u.position > c->out.position) return false;
        if (!release_unit(units)) return true;
        c->unread_begin++;
        give_back(c, u.parent, u.bytes);
        hostcall_unref(u.parent);
    }
    c->unread_begin = c->unread_end = 0;
    if (c->unread_capacity > UNREAD_KEPT) {
        free(c->unread);
        c->unread = NULL;
        c->unread_capacity = 0;
    }
    return false;
}

enum hemi_status connection_wait_output(struct connection *c)
{
    struct scheduler *s = &c->worker->sched;
    struct activation *a = s->running;
    CHECK(a);
    while (a->stop == HEMI_OK && !connection_output_room(c, 1)) {
        struct output_wait wait = {.next = c->output_waits, .act = a};
        c->output_waits = &wait;
        scheduler_wait(s);
        /* Whoever wakes for output has taken the whole list; else this one is still on it. */
        for (struct output_wait **at = &c->output_waits; *at; at = &(*at)->next) {
            if (*at != &wait) continue;
            *at = wait.next;
            break;
        }
    }
    return a->stop;
}

static void wake_producers(struct connection *c)
{
    struct output_wait *all = c->output_waits;
    if (!all || frame_writer_pending(&c->out) > c->output_max / 2 || !connection_output_room(c, 1)) return;
    c->output_waits = NULL;
    while (all) {
        struct output_wait *next = all->next; /* it is on that activation's stack, which does not run meanwhile */
        scheduler_wake(all->act);
        all = next;
    }
}

static void send_deaths(struct connection *c)
{
    while (c->deaths && connection_output_room(c, 1)) {
        struct wstore *s = c->deaths;
        size_t most = frame_info(FRAME_DEATH)->raw_max / 16 * 16;
        size_t n = s->deaths_used < most ? s->deaths_used : most;
        if (n > 0) {
            Hemi__V1__Death body = HEMI__V1__DEATH__INIT;
            body.store = s->handle;
            struct frame_out f = {.type = FRAME_DEATH, .body = &body.base, .raw = s->deaths, .raw_length = n, .fd = -1};
            if (!connection_send(c, &f)) return;
            s->deaths_used -= n;
            memmove(s->deaths, s->deaths + n, s->deaths_used);
        }
        if (s->deaths_used > 0) continue;
        wstore_deaths_free(s); /* a burst of them leaves nothing behind */
        s->death_listed = false;
        c->deaths = s->next_death;
        wstore_unref(s);
    }
}

static void send_some(struct connection *c)
{
    while (frame_writer_pending(&c->out) > 0 && c->out.error == PROTO_OK) {
        size_t before = frame_writer_pending(&c->out);
        c->writes++;
        page_count(&c->worker->boot->page->writes_total);
        if (!frame_writer_send(&c->out, c->fd)) break;
        if (frame_writer_pending(&c->out) == before) break;
    }
}

void connection_flush(struct connection *c)
{
    if (!c->ending) send_deaths(c);
    send_some(c);
    output_changed(c);
    uint32_t units = SETTLED_PER_TURN;
    if (connection_settle(c, false, &units)) connection_mark_flush(c);
    if (c->out.error != PROTO_OK && !c->ending) connection_end(c, HEMI_CLOSED, PROTO_OK, NULL);
    wake_producers(c);
    connection_watch(c);
}
