/* server/supervisor/client.c -- a connection from accept until a worker adopts it: HELLO, identity, refusal.
 *
 * A PEER's bytes: whatever is wrong with them ends in client_refuse. */
#include "server/supervisor/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/hemi.pb-c.h"
#include "server/common/log.h"
#include "server/supervisor/closer.h"
#include "server/supervisor/door.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"
#include "server/supervisor/watch.h"

/* Names of statuses, for the log. */
static const char *status_text(enum hemi_status status)
{
    switch (status) {
#define X(name, number, text, meaning)                                                                                 \
    case HEMI_##name:                                                                                                  \
        return text;
        HEMI_STATUSES(X)
#undef X
    }
    return "?";
}

/* ---- refusing */

/* One nonblocking write, for which no memory is needed: a peer that does not even have room for this much gets nothing.
 */
static void send_close(int fd, enum hemi_status status, enum proto_error error, const char *why)
{
    Hemi__V1__Close close_body = HEMI__V1__CLOSE__INIT;
    uint8_t bytes[512];
    char text[256];
    size_t len = strlen(why);
    if (len > sizeof text) len = sizeof text;
    memcpy(text, why, len);
    close_body.status = status;
    close_body.error = error;
    close_body.text = (ProtobufCBinaryData){.len = len, .data = (uint8_t *)text};
    struct frame_out frame = {.type = FRAME_CLOSE, .body = &close_body.base, .fd = -1};
    size_t size = frame_pack(&frame, bytes, sizeof bytes);
    if (size > 0) (void)send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    if (--client->handles == 0 && client->gone) free(client);
}

/* Stops reading HELLO; the handles close by themselves. */
static void stop_reading(struct client *client)
{
    if (client->handles == 0 || uv_is_closing((uv_handle_t *)&client->poll)) return;
    uv_close((uv_handle_t *)&client->poll, on_handle_closed);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
}

void client_free(struct client *client)
{
    struct supervisor *s = client->supervisor;
    stop_reading(client);
    closer_close(client->fd, fd_pool_unclosed(&s->pool, client->share));
    if (client->share != NULL) fd_pool_give(&s->pool, client->share);
    client->gone = true;
    if (client->handles == 0) free(client);
    supervisor_check_done(s);
}

static void refuse(struct client *client, enum hemi_status status, enum proto_error error, const char *why)
{
    struct log_about what = {.tenant = client->tenant != NULL ? client->tenant->config.name : NULL,
                             .connection = client->id,
                             .status = status_text(status),
                             .limited = true};
    log_event(LOG_WARNING, "client-refused", &what, "%s (uid %u, pid %d)", why, client->peer.uid, client->peer.pid);
    send_close(client->fd, status, error, why);
    shutdown(client->fd, SHUT_RD); /* nothing comes after the look of who closes it */
    if (client->supervisor->serves_private) client->supervisor->status = 1;
    client_free(client);
}

void client_refuse(struct client *client, enum hemi_status status, const char *why)
{
    refuse(client, status, PROTO_OK, why);
}

void client_refuse_fd(const struct door *door, int fd, enum hemi_status status, const char *why)
{
    struct log_about what = {.tenant = door->tenant != NULL ? door->tenant->config.name : NULL,
                             .status = status_text(status),
                             .limited = true};
    log_event(LOG_WARNING, "client-refused", &what, "%s", why);
    send_close(fd, status, PROTO_OK, why);
    shutdown(fd, SHUT_RD);
    closer_close(fd, fd_pool_unclosed(&door->supervisor->pool, NULL));
}

/* ---- HELLO */

static void leave_greeting(struct client *client)
{
    door_leave(client);
    stop_reading(client);
}

void client_refuse_greeting(struct client *client, enum hemi_status status, const char *why)
{
    leave_greeting(client);
    client_refuse(client, status, why);
}

/* From its door's share to its tenant's. */
static bool change_share(struct client *client)
{
    struct fd_pool *pool = &client->supervisor->pool;
    fd_pool_give(pool, client->share);
    client->share = NULL;
    if (!fd_pool_take(pool, &client->tenant->share)) return false;
    client->share = &client->tenant->share;
    return true;
}

static void refuse_unknown(struct client *client, bool has_token)
{
    char why[128];
    snprintf(why, sizeof why, "no tenant has user id %u; clients of others need a token", (unsigned)client->peer.uid);
    client_refuse(client, HEMI_DENIED,
                  has_token ? "no tenant has this token: it is not what any token_file holds" : why);
}

/* HELLO is whole: whose connection is it? */
static void greeted(struct client *client, const struct hello *hello)
{
    leave_greeting(client);
    if (client->tenant == NULL) client->tenant = tenant_identify(client->supervisor, client, hello);
    if (client->tenant == NULL) {
        refuse_unknown(client, hello->token_length > 0);
        return;
    }
    if (!change_share(client)) return client_refuse(client, HEMI_LIMIT, FDS_REFUSED);
    struct log_about what = {.tenant = client->tenant->config.name, .connection = client->id, .limited = true};
    log_event(LOG_DEBUG, "client-accepted", &what, "uid %u, pid %d", client->peer.uid, client->peer.pid);
    tenant_give(client->tenant, client);
}

static void misgreeted(struct client *client, enum proto_error error)
{
    enum hemi_status status = error == PROTO_VERSION ? HEMI_VERSION_MISMATCH : HEMI_PROTOCOL;
    leave_greeting(client);
    refuse(client, status, error, proto_error_text(error));
}

/* Reads at most `want` bytes, never blocking. Returns their number, 0 at the end, -1 when nothing is there now, -2 for
 * descriptors: none may come before WELCOME. They are seen by a look at what waits, at the message behind HELLO too,
 * and never received: who receives them has to close them, which may take as long as the peer likes (.close-apart). */
static ssize_t receive(int fd, uint8_t *out, size_t want)
{
    struct iovec iov = {out, want};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t got;
    while ((got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_PEEK)) < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? -1 : 0;
    if ((header.msg_flags & MSG_CTRUNC) != 0) return -2;
    return got == 0 ? 0 : recv(fd, out, (size_t)got, MSG_DONTWAIT);
}

/* .hello-exact: asks hello_read how many bytes are needed in all, and reads exactly those. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->data;
    struct hello hello;
    size_t need;
    (void)events;
    (void)status; /* an error shows when reading */
    for (;;) {
        enum proto_error error = hello_read(client->hello, client->hello_len, &hello, &need);
        if (error != PROTO_OK) return misgreeted(client, error);
        if (need == client->hello_len) return greeted(client, &hello);
        ssize_t got = receive(client->fd, client->hello + client->hello_len, need - client->hello_len);
        if (got == -1) return;
        if (got == -2) return misgreeted(client, PROTO_FD_UNEXPECTED);
        if (got == 0) {
            leave_greeting(client);
            return client_free(client);
        }
        client->hello_len += (size_t)got;
    }
}

/* .own-turns */
static void on_deadline(uv_timer_t *timer)
{
    struct client *client = timer->data;
    if (patience_over(&client->turns)) client_refuse_greeting(client, HEMI_DEADLINE, "no HELLO came in time");
}

/* ---- accepting */

static void watch(struct client *client)
{
    struct supervisor *s = client->supervisor;
    uv_timer_init(&s->loop, &client->timer);
    client->handles = 2;
    client->poll.data = client->timer.data = client;
    uv_poll_start(&client->poll, UV_READABLE, on_readable);
    uint64_t turn = patience_turn_ms(s->config.options.hello_timeout, PATIENCE_TURNS);
    uv_timer_start(&client->timer, on_deadline, turn, turn);
}

void client_accept(struct door *door, int fd)
{
    struct supervisor *s = door->supervisor;
    struct client *client = calloc(1, sizeof *client);
    socklen_t len = sizeof client->peer;
    if (client == NULL) return client_refuse_fd(door, fd, HEMI_NO_MEMORY, "the supervisor has no memory");
    client->supervisor = s;
    client->tenant = door->tenant;
    client->fd = fd;
    client->id = ++s->next_connection;
    client->peer = (struct ucred){.uid = (uid_t)-1, .gid = (gid_t)-1};
    /* Without credentials the peer is nobody, which is what this leaves. */
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &len);
    if (uv_poll_init(&s->loop, &client->poll, fd) != 0)
        return client_refuse(client, HEMI_NO_MEMORY, "cannot be polled");
    watch(client);
    /* HELLO is often there already; whoever has said it is not one of a crowd that says nothing. */
    if (door_join(door, client)) on_readable(&client->poll, 0, UV_READABLE);
}
