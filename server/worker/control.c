/* server/worker/control.c -- messages between a worker and its supervisor (handover.h). */
#include "server/worker/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "proto/tables/limits.h"
#include "server/worker/connection.h"
#include "server/worker/state.h"

/* .reserved: whoever adopts a connection makes room first for all that may ever be said of it, so that nothing is lost
 * for memory. Phases, an answer and one refusal need room beside that. */
#define CONTROL_SPARE 8u

static void set_events(struct worker *w);

static struct handover_msg expand(const struct worker *w, const struct control_message *m)
{
    struct handover_msg msg = {.type = m->type, .fd = -1};
    switch (m->type) {
    case HANDOVER_ADOPTED:
        msg.u.adopted.connection = m->about;
        break;
    case HANDOVER_NOT_ADOPTED:
        msg.u.not_adopted = (struct handover_not_adopted){.connection = m->about, .reason = m->code};
        break;
    case HANDOVER_CLOSED:
        msg.u.closed = (struct handover_closed){.connection = m->about, .status = m->code};
        break;
    case HANDOVER_ANSWER:
        msg.u.answer.nonce = m->about;
        break;
    default:
        CHECK(m->type == HANDOVER_STATUS);
        msg.u.status = (struct handover_status){m->code, w->nconnections, w->nstores, 0};
        break;
    }
    return msg;
}

/* .adopt-before-read: only now may the connection be read. */
static void sent(struct worker *w, const struct control_message *m)
{
    if (m->type != HANDOVER_ADOPTED) return;
    for (struct connection *c = LIST_FIRST(&w->connections); c; c = LIST_NEXT(c, link))
        if (c->id == m->about && !c->polling) return connection_start(c);
}

/* False: the channel is full. A channel that is gone swallows everything; its end is seen when it is read. */
static bool try_send(struct worker *w, const struct control_message *m)
{
    struct handover_msg msg = expand(w, m);
    int r = handover_send(w->boot->control_fd, &msg);
    if (r == -EAGAIN || r == -ENOMEM || r == -ENOBUFS) return false;
    if (r == 0) sent(w, m);
    return true;
}

/* Room for this many messages beside those that wait. */
static bool reserve(struct worker *w, uint64_t more)
{
    struct outbox *o = &w->outbox;
    uint64_t wanted = o->count + more;
    if (wanted <= o->capacity) return true;
    struct control_message *grown = realloc(o->at, (size_t)(2 * wanted) * sizeof *grown);
    if (!grown) return false;
    o->at = grown;
    o->capacity = 2 * wanted;
    return true;
}

static void post(struct worker *w, struct control_message m)
{
    struct outbox *o = &w->outbox;
    if (w->boot->control_fd < 0) return;
    if (o->count == 0 && try_send(w, &m)) return;
    CHECK(o->count < o->capacity, ".reserved");
    o->at[o->count++] = m;
    set_events(w);
}

void control_flush(struct worker *w)
{
    struct outbox *o = &w->outbox;
    uint64_t done = 0;
    if (w->boot->control_fd < 0) return;
    while (done < o->count && try_send(w, &o->at[done])) done++;
    o->count -= done;
    memmove(o->at, o->at + done, (size_t)o->count * sizeof *o->at);
    set_events(w);
}

void control_closed(struct worker *w, uint64_t connection, enum hemi_status status)
{
    post(w, (struct control_message){.type = HANDOVER_CLOSED, .code = status, .about = connection});
}

void control_phase(struct worker *w, enum handover_phase phase)
{
    post(w, (struct control_message){.type = HANDOVER_STATUS, .code = phase});
}

static void not_adopted(struct worker *w, uint64_t connection, enum handover_reason reason)
{
    post(w, (struct control_message){.type = HANDOVER_NOT_ADOPTED, .code = reason, .about = connection});
}

static void refuse_crowd(const struct worker *w, struct connection *c)
{
    char why[96];
    snprintf(why, sizeof why, LIMIT_MESSAGE, "connections", (unsigned long long)w->nconnections, " of this worker",
             (unsigned long long)w->boot->limits.connections);
    connection_end(c, HEMI_LIMIT, PROTO_OK, why);
}

/* The supervisor has its copy until it hears ADOPTED, so whatever is missing here costs this connection only. */
static void adopt(struct worker *w, const struct handover_msg *msg)
{
    const struct handover_adopt *a = &msg->u.adopt;
    if (msg->fd < 0) return not_adopted(w, a->connection, HANDOVER_NO_DESCRIPTOR);
    if (w->draining || w->stopping) {
        close(msg->fd);
        return not_adopted(w, a->connection, HANDOVER_LEAVING);
    }
    if (!reserve(w, (uint64_t)w->nconnections + 2 + CONTROL_SPARE)) {
        close(msg->fd);
        return not_adopted(w, a->connection, HANDOVER_NO_MEMORY);
    }
    struct connection *c = connection_new(w, msg->fd, a->connection, a->hello, a->hello_len);
    if (!c) return not_adopted(w, a->connection, HANDOVER_NO_MEMORY);
    if (w->nconnections > w->boot->limits.connections) refuse_crowd(w, c);
    post(w, (struct control_message){.type = HANDOVER_ADOPTED, .about = a->connection});
}

static void handle(struct worker *w, const struct handover_msg *msg)
{
    switch (msg->type) {
    case HANDOVER_ADOPT:
        adopt(w, msg);
        break;
    case HANDOVER_DRAIN:
        worker_drain(w, msg->u.drain.timeout_ms);
        break;
    case HANDOVER_ASK:
        post(w, (struct control_message){.type = HANDOVER_ANSWER, .about = msg->u.ask.nonce});
        break;
    case HANDOVER_STOP:
        worker_stop(w, HEMI_DRAINING, HANDOVER_DRAIN_TEXT);
        break;
    default:
        break; /* BOOT again: not from our supervisor; harmless */
    }
}

/* The supervisor is gone, or what comes from there makes no sense: an end in order, which does not wait long for
 * anybody (LINGER_MS). */
static void orphaned(struct worker *w, int exit_status)
{
    uv_poll_stop(&w->control);
    w->exit_status = exit_status;
    worker_stop(w, HEMI_DRAINING, "the daemon has ended");
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct worker *w = poll->data;
    (void)status;
    if (events & UV_WRITABLE) control_flush(w);
    struct handover_msg msg;
    int r = 1;
    /* Nothing new is taken on before the supervisor has room for what there is to say: so what waits is bounded. */
    while (w->outbox.count == 0 && (r = handover_recv(w->boot->control_fd, HANDOVER_DOWN, &msg)) == 1) handle(w, &msg);
    if (r != 1 && r != -EAGAIN) orphaned(w, r == 0 ? WORKER_EXIT_OK : WORKER_EXIT_ERROR);
}

static void set_events(struct worker *w)
{
    bool writes = w->outbox.count > 0;
    if (writes == w->control_writes || !w->control.data) return;
    w->control_writes = writes;
    uv_poll_start(&w->control, writes ? UV_WRITABLE : UV_READABLE, on_control);
}

int control_start(struct worker *w)
{
    if (!reserve(w, CONTROL_SPARE)) return WORKER_EXIT_MEMORY;
    if (uv_poll_init(&w->loop, &w->control, w->boot->control_fd) != 0) return WORKER_EXIT_ERROR;
    w->control.data = w;
    uv_poll_start(&w->control, UV_READABLE, on_control);
    control_phase(w, HANDOVER_READY);
    return 0;
}

void control_deinit(struct worker *w)
{
    free(w->outbox.at);
    w->outbox = (struct outbox){0};
}
