/* Connecting: which socket, HELLO, WELCOME. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/lib/internal.h"

#define TIMEOUT_MS 10000
#define BACKLOG_RETRY_MS 10

/* Also where that cannot be told: connecting then says why. */
static bool may_exist(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* The session's own daemon comes before the system's, and is named where there is neither. */
size_t hemi_socket_path(char *out, size_t size)
{
    static const char system[] = "/run/hemi/hemi.sock";
    const char *path = getenv("HEMI_SOCKET"), *dir = getenv("XDG_RUNTIME_DIR");
    char own[sizeof((struct sockaddr_un *)0)->sun_path];
    bool has_own = dir && *dir && snprintf(own, sizeof own, "%s/hemi/hemi.sock", dir) > 0;
    int n;
    if (!out) size = 0;
    if (path && *path)
        n = snprintf(out, size, "%s", path);
    else if (has_own && (may_exist(own) || !may_exist(system)))
        n = snprintf(out, size, "%s/hemi/hemi.sock", dir);
    else
        n = snprintf(out, size, "%s", system);
    return n < 0 ? 0 : (size_t)n;
}

static hemi_client *client_new(const struct hemi_connect_options *o)
{
    hemi_client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    origin_init(&c->origin);
    handles_init(c);
    c->socket = c->poll_fd = -1;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake < 0) {
        origin_deinit(&c->origin);
        free(c);
        return NULL;
    }
    c->no_memfd = o->no_memfd;
    c->max_nesting = o->max_nesting ? o->max_nesting : PROTO_NESTING_MAX;
    c->window = (struct window){.requests_max = WINDOW_INITIAL_REQUESTS, .bytes_max = WINDOW_INITIAL_BYTES};
    c->nested_requests = WINDOW_NESTED_REQUESTS;
    c->nested_bytes = WINDOW_NESTED_BYTES;
    c->done_last = &c->done_first;
    c->calls_last = &c->calls;
    frame_reader_init(&c->reader, FRAME_W2C, FRAME_GREETING);
    frame_writer_init(&c->writer);
    return c;
}

/* A full backlog is EAGAIN on Unix sockets: try again until the time is up. */
static int connect_until(const struct sockaddr_un *address, int64_t until)
{
    for (;;) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) return -1;
        if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) return fd;
        int error = errno;
        close(fd);
        errno = error;
        if ((error != EAGAIN && error != EINTR) || now_ms() >= until) return -1;
        poll(NULL, 0, BACKLOG_RETRY_MS);
    }
}

static hemi_status end_connect(hemi_client *c, hemi_status status, const char *what, const char *why)
{
    client_end(c, status, "%s: %s", what, why);
    return fail(c, c->ended, "%s", c->ended_text);
}

/* What is wrong with a path, and what to do. */
static const char *connect_text(const char *path, int error)
{
    struct stat info;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "no daemon: there is no such socket; start hemid, or name the socket that it listens at";
    case ECONNREFUSED:
        if (stat(path, &info) == 0 && !S_ISSOCK(info.st_mode)) return "no daemon: this is no socket";
        return "no daemon: nobody listens at this socket any more; start hemid again";
    case EACCES:
    case EPERM:
        return "no permission: the modes and groups of the socket and of its folders say who may connect";
    case EPROTOTYPE:
        return "no daemon: a socket of another kind than hemid's";
    case EAGAIN:
        return "the daemon takes no connections: those that wait for it fill its backlog";
    default:
        return strerror(error);
    }
}

static hemi_status open_path(hemi_client *c, const char *path, int64_t until)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        client_end(c, HEMI_ARGUMENT, "%.64s...: a path of %zu bytes, a Unix socket's has at most %zu", path,
                   strlen(path), sizeof address.sun_path - 1);
        return fail(c, c->ended, "%s", c->ended_text);
    }
    strcpy(address.sun_path, path);
    c->socket = connect_until(&address, until);
    return c->socket >= 0 ? HEMI_OK : end_connect(c, HEMI_CONNECT, path, connect_text(path, errno));
}

static hemi_status say_hello(hemi_client *c, const struct hemi_connect_options *o)
{
    struct hello hello = {.major = PROTO_MAJOR,
                          .minor = PROTO_MINOR,
                          .token_length = (uint16_t)o->token_length,
                          .window_requests = o->window_requests,
                          .window_bytes = o->window_bytes};
    if (o->token_length) memcpy(hello.token, o->token, o->token_length);
    uint8_t bytes[HELLO_MAX];
    size_t n = hello_write(&hello, bytes);
    explicit_bzero(hello.token, sizeof hello.token);
    if (!frame_writer_bytes(&c->writer, bytes, n)) return end_connect(c, HEMI_NO_MEMORY, "connecting", "out of memory");
    send_queued(c);
    return HEMI_OK;
}

static hemi_status wait_for_welcome(hemi_client *c, int64_t until)
{
    while (!c->welcomed && c->ended == HEMI_OK) {
        if (now_ms() >= until)
            return end_connect(c, HEMI_DEADLINE, "connecting",
                               "no WELCOME came in time: what listens there hangs, or is no hemid");
        step(c, NULL, until);
    }
    return usable(c, NULL);
}

static hemi_status greet(hemi_client *c, const struct hemi_connect_options *o, int64_t until)
{
    hemi_status status = say_hello(c, o);
    if (status != HEMI_OK || o->no_welcome) return status;
    return wait_for_welcome(c, until);
}

/* A client, and the options as they are now. *out is a client also when those are wrong. */
static hemi_status begin(const struct hemi_connect_options *from, struct hemi_connect_options *options,
                         hemi_client **out)
{
    char wrong[OPTIONS_WRONG_MAX];
    bool fine = options_copy(OPTIONS_connect, from, options, wrong);
    *out = client_new(options);
    if (!*out) return HEMI_NO_MEMORY;
    if (!fine) return end_connect(*out, HEMI_ARGUMENT, "connecting", wrong);
    if (options->token_length > HELLO_TOKEN_MAX)
        return end_connect(*out, HEMI_ARGUMENT, "the token", "longer than 256 bytes");
    if (options->token_length > 0 && !options->token)
        return end_connect(*out, HEMI_ARGUMENT, "the token", "NULL, with a length");
    return HEMI_OK;
}

static int64_t time_limit(const struct hemi_connect_options *o)
{
    return now_ms() + (o->timeout_ms ? o->timeout_ms : TIMEOUT_MS);
}

/* What no daemon said is told of its socket. */
static hemi_status at_socket(hemi_client *c, const char *path, hemi_status status)
{
    bool is_ours = status == HEMI_CONNECT || status == HEMI_PROTOCOL || status == HEMI_DEADLINE;
    return is_ours ? fail(c, status, "%s: %s", path, c->ended_text) : status;
}

hemi_status hemi_connect(const struct hemi_connect_options *options, hemi_client **out)
{
    struct hemi_connect_options o;
    char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    if (!out) return HEMI_ARGUMENT;
    hemi_status status = begin(options, &o, out);
    if (status != HEMI_OK) return status;
    int64_t until = time_limit(&o);
    if (!o.socket) hemi_socket_path(path, sizeof path);
    const char *where = o.socket ? o.socket : path;
    status = open_path(*out, where, until);
    return status == HEMI_OK ? at_socket(*out, where, greet(*out, &o, until)) : status;
}

/* What is to be a stream socket and is not; NULL: it is one. */
static const char *descriptor_text(int fd)
{
    int type;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return strerror(errno);
    return type == SOCK_STREAM ? NULL : "a socket of another kind than hemid's";
}

/* A number that is no descriptor is looked at, and forgotten, before the client opens one of its own under it. */
hemi_status hemi_connect_fd(int fd, const struct hemi_connect_options *options, hemi_client **out)
{
    struct hemi_connect_options o;
    const char *wrong = descriptor_text(fd);
    bool is_open = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
    hemi_status status = out ? begin(options, &o, out) : HEMI_ARGUMENT;
    if (status == HEMI_OK && wrong) status = end_connect(*out, HEMI_ARGUMENT, "the descriptor", wrong);
    if (status != HEMI_OK) {
        if (is_open) close(fd);
        return status;
    }
    (*out)->socket = fd;
    return greet(*out, &o, time_limit(&o));
}
