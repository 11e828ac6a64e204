/* server/worker_control.c -- messages between a worker and its supervisor (handover.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/session.h"
#include "server/worker_state.h"

/* Waiting until the channel has room. */
struct worker_message {
    struct worker_message *next;
    struct handover_msg msg;
};

static void set_events(struct worker *w);

/* .adopt-before-read: only now may the connection be read. */
static void sent(struct worker *w, const struct handover_msg *msg)
{
    if (msg->type != HANDOVER_ADOPTED) return;
    for (struct connection *c = w->connections; c; c = c->next)
        if (c->id == msg->u.adopted.connection && !c->polling) connection_start(c);
}

/* False: the channel is full. A channel that is gone swallows everything; its end is seen when it is read. */
static bool try_send(struct worker *w, const struct handover_msg *msg)
{
    int r = handover_send(w->boot->control_fd, msg);
    if (r == -EAGAIN || r == -ETOOMANYREFS) return false;
    if (r == 0) sent(w, msg);
    return true;
}

static void queue(struct worker *w, const struct handover_msg *msg)
{
    struct worker_message *m = malloc(sizeof *m);
    if (!m) return; /* the supervisor counts a connection too many until this worker ends */
    m->next = NULL;
    m->msg = *msg;
    *(w->out_tail ? &w->out_tail->next : &w->out_head) = m;
    w->out_tail = m;
}

static void post(struct worker *w, const struct handover_msg *msg)
{
    if (w->boot->control_fd < 0) return;
    if (w->out_head || !try_send(w, msg)) queue(w, msg);
    set_events(w);
}

void control_flush(struct worker *w)
{
    while (w->out_head && try_send(w, &w->out_head->msg)) {
        struct worker_message *m = w->out_head;
        w->out_head = m->next;
        if (!w->out_head) w->out_tail = NULL;
        free(m);
    }
    if (w->boot->control_fd >= 0) set_events(w);
}

void control_closed(struct worker *w, uint64_t connection, enum hemi_status status)
{
    struct handover_msg msg = {.type = HANDOVER_CLOSED, .fd = -1};
    msg.u.closed = (struct handover_closed){.connection = connection, .status = status};
    post(w, &msg);
}

void control_phase(struct worker *w, enum handover_phase phase)
{
    struct handover_msg msg = {.type = HANDOVER_STATUS, .fd = -1};
    msg.u.status = (struct handover_status){.phase = phase, .connections = w->nconnections, .stores = w->nstores};
    post(w, &msg);
}

static void adopt(struct worker *w, struct handover_msg *msg)
{
    const struct handover_adopt *a = &msg->u.adopt;
    struct connection *c = connection_new(w, msg->fd, a->connection, a->hello, a->hello_len);
    struct handover_msg reply = {.type = HANDOVER_ADOPTED, .fd = -1, .u.adopted.connection = a->connection};
    if (!c) {
        post(w, &reply);
        control_closed(w, a->connection, HEMI_NO_MEMORY);
        return;
    }
    if (w->draining || w->stopping)
        connection_end(c, HEMI_DRAINING, PROTO_OK, "the daemon is shutting down");
    else if (w->nconnections > w->boot->limits.connections)
        connection_end(c, HEMI_LIMIT, PROTO_OK, "connections: the tenant has as many as it may");
    post(w, &reply);
}

static void handle(struct worker *w, struct handover_msg *msg)
{
    switch (msg->type) {
    case HANDOVER_ADOPT:
        adopt(w, msg);
        break;
    case HANDOVER_DRAIN:
        worker_drain(w, msg->u.drain.timeout_ms);
        break;
    case HANDOVER_STOP:
        worker_stop(w, HEMI_DRAINING, "the daemon is shutting down");
        break;
    default:
        break; /* BOOT again: not from our supervisor; harmless */
    }
}

/* The supervisor is gone: clients are told as far as a write now goes. */
static void orphaned(struct worker *w)
{
    uv_poll_stop(&w->control);
    w->exit_status = WORKER_EXIT_OK;
    for (struct connection *c = w->connections; c; c = c->next) {
        connection_end(c, HEMI_DRAINING, PROTO_OK, "the daemon has ended");
        connection_flush(c);
    }
    uv_stop(&w->loop);
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct worker *w = poll->data;
    (void)status;
    if (events & UV_WRITABLE) control_flush(w);
    struct handover_msg msg;
    int r;
    while ((r = handover_recv(w->boot->control_fd, HANDOVER_DOWN, &msg)) == 1) handle(w, &msg);
    if (r != -EAGAIN) orphaned(w);
}

static void set_events(struct worker *w)
{
    bool writes = w->out_head != NULL;
    if (writes == w->control_writes || !w->control.data) return;
    w->control_writes = writes;
    uv_poll_start(&w->control, UV_READABLE | (writes ? UV_WRITABLE : 0), on_control);
}

int control_start(struct worker *w)
{
    if (uv_poll_init(&w->loop, &w->control, w->boot->control_fd) != 0) return WORKER_EXIT_ERROR;
    w->control.data = w;
    uv_poll_start(&w->control, UV_READABLE, on_control);
    control_phase(w, HANDOVER_READY);
    return 0;
}

void control_deinit(struct worker *w)
{
    while (w->out_head) {
        struct worker_message *m = w->out_head;
        w->out_head = m->next;
        free(m);
    }
    w->out_tail = NULL;
}
