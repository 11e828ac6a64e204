/* server/supervisor/door.c -- listening sockets, and who is about to say HELLO at each.
 *
 * Peers that say nothing are counted per door and user: whoever has most of them loses the oldest (.own-crowd), so that
 * a crowd keeps out nobody but itself. */
#include "server/supervisor/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/common/log.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"

#define ACCEPTS_PER_TURN 64

/* ---- greeters */

static struct greeter *find_greeter(const struct door *door, uid_t uid)
{
    struct greeter *greeter;
    LIST_FOREACH(greeter, &door->greeters, link) if (greeter->uid == uid) break;
    return greeter;
}

static struct greeter *get_greeter(struct door *door, uid_t uid)
{
    struct greeter *greeter = find_greeter(door, uid);
    if (greeter != NULL || (greeter = calloc(1, sizeof *greeter)) == NULL) return greeter;
    greeter->door = door;
    greeter->uid = uid;
    TAILQ_INIT(&greeter->clients);
    LIST_INSERT_HEAD(&door->greeters, greeter, link);
    return greeter;
}

void door_leave(struct client *client)
{
    struct greeter *greeter = client->greeter;
    TAILQ_REMOVE(&greeter->clients, client, link);
    greeter->door->ngreeting--;
    client->supervisor->ngreeting--;
    client->greeter = NULL;
    if (--greeter->count > 0) return;
    LIST_REMOVE(greeter, link);
    free(greeter);
}

/* The user with most peers, counting the one who comes; of equals that one, else whose oldest is the oldest. */
static struct greeter *largest_crowd(const struct door *door, uid_t newcomer)
{
    struct greeter *greeter, *best = NULL;
    uint64_t most = 0;
    LIST_FOREACH(greeter, &door->greeters, link)
    {
        bool own = greeter->uid == newcomer;
        uint64_t count = greeter->count + own;
        bool older = best != NULL && TAILQ_FIRST(&greeter->clients)->id < TAILQ_FIRST(&best->clients)->id;
        if (count < most || (count == most && !own && (best->uid == newcomer || !older))) continue;
        best = greeter;
        most = count;
    }
    return best;
}

/* .own-crowd. Returns false when nobody can be sent away. */
static bool shed(struct door *door, uid_t newcomer, const char *why)
{
    struct greeter *crowd = largest_crowd(door, newcomer);
    if (crowd == NULL) return false;
    client_refuse_greeting(TAILQ_FIRST(&crowd->clients), HEMI_LIMIT, why);
    return true;
}

static bool make_room(struct door *door, struct client *client)
{
    struct supervisor *s = door->supervisor;
    if (door->ngreeting >= s->config.options.hello_pending)
        shed(door, client->peer.uid, "hello_pending: too many peers are about to say HELLO at this socket");
    if (!fd_pool_take(&s->pool, &door->share) &&
        (!shed(door, client->peer.uid, FDS_REFUSED) || !fd_pool_take(&s->pool, &door->share)))
        return false;
    client->share = &door->share;
    return true;
}

bool door_join(struct door *door, struct client *client)
{
    if (!make_room(door, client)) {
        client_refuse(client, HEMI_LIMIT, FDS_REFUSED);
        return false;
    }
    struct greeter *greeter = get_greeter(door, client->peer.uid);
    if (greeter == NULL) {
        client_refuse(client, HEMI_NO_MEMORY, "the supervisor has no memory");
        return false;
    }
    TAILQ_INSERT_TAIL(&greeter->clients, client, link);
    client->greeter = greeter;
    greeter->count++;
    door->ngreeting++;
    door->supervisor->ngreeting++;
    return true;
}

void doors_refuse_greeting(struct supervisor *s, enum hemi_status status, const char *why)
{
    struct greeter *greeter;
    for (size_t i = 0; i < s->ndoors; i++)
        while ((greeter = LIST_FIRST(&s->doors[i].greeters)) != NULL)
            client_refuse_greeting(TAILQ_FIRST(&greeter->clients), status, why);
}

/* ---- accepting */

/* No descriptor is left: gives up the reserve for as long as it takes to say so to whoever comes first. */
static void refuse_one(const struct door *door)
{
    struct supervisor *s = door->supervisor;
    if (s->reserve < 0) s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC); /* somebody was faster last time */
    if (s->reserve < 0) return;
    close(s->reserve);
    int fd = accept4(door->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) client_refuse_fd(door, fd, HEMI_LIMIT, "the supervisor has no descriptors left");
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_door(uv_poll_t *poll, int status, int events)
{
    struct door *door = poll->data;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(door->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            client_accept(door, fd);
        else if (errno == EMFILE || errno == ENFILE)
            return refuse_one(door);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* ---- opening and closing */

int doors_init(struct supervisor *s)
{
    s->doors = calloc(s->ntenants + 1, sizeof *s->doors);
    return s->doors != NULL ? 0 : -ENOMEM;
}

struct door *door_new(struct supervisor *s, struct tenant *tenant)
{
    struct door *door = &s->doors[s->ndoors++];
    door->supervisor = s;
    door->tenant = tenant;
    LIST_INIT(&door->greeters);
    return door;
}

static int open_door(struct supervisor *s, const struct socket_options *socket, struct tenant *tenant)
{
    struct config_error error;
    struct door *door = door_new(s, tenant);
    struct log_about what = {.tenant = tenant != NULL ? tenant->config.name : NULL};
    int status = listen_open(socket, (int)s->config.options.backlog, &door->listener, &error);
    if (status != 0) {
        log_event(LOG_ERROR, "cannot-listen", &what, "%s", error.text);
        return status;
    }
    if ((status = uv_poll_init(&s->loop, &door->poll, door->listener.fd)) != 0) {
        log_event(LOG_ERROR, "cannot-listen", &what, "%s: %s", socket->path, uv_strerror(status));
        listen_close(&door->listener);
        return status;
    }
    door->open = true;
    door->poll.data = door;
    uv_poll_start(&door->poll, UV_READABLE, on_door);
    log_event(LOG_INFO, "listening", &what, "%s", socket->path);
    return 0;
}

int doors_open(struct supervisor *s)
{
    int status = 0;
    if (s->config.default_socket) listen_make_directory(s->config.socket.path);
    if (s->config.socket.path[0] != 0) status = open_door(s, &s->config.socket, NULL);
    for (size_t i = 0; i < s->ntenants && status == 0; i++)
        if (s->tenants[i].config.has_socket) status = open_door(s, &s->tenants[i].config.socket, &s->tenants[i]);
    return status;
}

/* .own-socket */
void doors_close(struct supervisor *s)
{
    for (size_t i = 0; i < s->ndoors; i++) {
        struct door *door = &s->doors[i];
        if (!door->open) continue;
        door->open = false;
        uv_close((uv_handle_t *)&door->poll, NULL);
        listen_close(&door->listener);
    }
}
