/* Sessions: a connection to the daemon at its socket, or to a private one started for as long as this program runs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/tool/tool.h"

#define PRIVATE_FD 3
#define DAEMON_EXIT_MS 3000

/* ---- tokens */
static int read_token(const char *path, char *token, size_t size, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, token, size) : -1;
    if (n < 0) {
        int status = fail_with(EXIT_FILE, "%s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return status;
    }
    close(fd);
    while (n > 0 && (token[n - 1] == '\n' || token[n - 1] == '\r')) n--;
    *length = (size_t)n;
    return n > 0 ? 0 : fail_with(EXIT_FILE, "%s: no token is in it", path);
}

/* ---- the private daemon */
/* Beside this program, else wherever PATH finds it. Only returns on failure. */
static void exec_daemon(const struct tool_options *o)
{
    char path[PATH_MAX], number[16];
    const char *argv[4 + RAISE_WORDS] = {"hemid", "--private-fd", number};
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "hemid");
    snprintf(number, sizeof number, "%d", PRIVATE_FD);
    limits_raise(o, argv + 3);
    if (n > 0) {
        path[n] = 0;
        char *slash = strrchr(path, '/');
        strcpy(slash ? slash + 1 : path, "hemid");
        execv(path, (char *const *)(uintptr_t)argv);
    }
    execvp("hemid", (char *const *)(uintptr_t)argv);
}

/* In the child: its socket at a known number, no terminal of ours, no signals from our keyboard. */
static void become_daemon(const struct tool_options *o, int socket, int failed)
{
    int null = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    if (failed == PRIVATE_FD) failed = fcntl(failed, F_DUPFD_CLOEXEC, PRIVATE_FD + 1);
    if (socket == PRIVATE_FD)
        fcntl(socket, F_SETFD, 0);
    else
        dup2(socket, PRIVATE_FD);
    exec_daemon(o);
    int error = errno;
    ssize_t n = write(failed, &error, sizeof error);
    (void)n;
    _exit(127);
}

/* 0, or the exit status. *socket is our end of the connection. */
static int start_daemon(struct session *s, const struct tool_options *o, int *socket)
{
    int pair[2], failed[2], error = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || pipe2(failed, O_CLOEXEC) != 0)
        return fail_with(EXIT_NO_DAEMON, "cannot start a daemon: %s", strerror(errno));
    s->daemon = fork();
    if (s->daemon == 0) become_daemon(o, pair[1], failed[1]);
    error = s->daemon < 0 ? errno : 0;
    close(pair[1]);
    close(failed[1]);
    ssize_t n = error ? 0 : read(failed[0], &error, sizeof error); /* ends when exec has closed the pipe */
    (void)n;
    close(failed[0]);
    *socket = pair[0];
    if (error == 0) return 0;
    close(pair[0]);
    return fail_with(EXIT_NO_DAEMON, "cannot start hemid: %s", strerror(error));
}

/* It exits by itself once its one client is gone; not for ever is that waited for. */
static void wait_for_daemon(pid_t daemon)
{
    for (int waited = 0; waited < DAEMON_EXIT_MS; waited += 10) {
        if (waitpid(daemon, NULL, WNOHANG) != 0) return;
        poll(NULL, 0, 10);
    }
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
}

/* ---- sessions */
static int connected(struct session *s, hemi_status status, const char *where)
{
    if (status == HEMI_OK) return 0;
    return s->client ? tell_no_session(s->client, where) : fail_with(EXIT_LIMIT, "%s: out of memory", where);
}

static int open_private(struct session *s, const struct tool_options *o, const struct hemi_connect_options *options)
{
    int socket, status = start_daemon(s, o, &socket);
    if (status != 0) return status;
    return connected(s, hemi_connect_fd(socket, options, &s->client), "private hemid");
}

/* Nobody named a socket, and at the usual places there is none; one that nobody answers at is another matter. */
static bool needs_private(const struct tool_options *o, char *path, size_t size)
{
    struct stat info;
    const char *named = getenv("HEMI_SOCKET");
    if (!o->starts_daemon || o->values[OPTION_SOCKET] || (named && *named)) return false;
    hemi_socket_path(path, size);
    return stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

int session_open(struct session *s, const struct tool_options *o)
{
    char token[257], path[PATH_MAX];
    struct hemi_connect_options options = {.socket = o->values[OPTION_SOCKET]};
    *s = (struct session){0};
    if (o->values[OPTION_TOKEN_FILE]) {
        int status = read_token(o->values[OPTION_TOKEN_FILE], token, sizeof token, &options.token_length);
        if (status != 0) return status;
        options.token = token;
    }
    bool private = needs_private(o, path, sizeof path);
    if (private && !o->values[OPTION_QUIET]) tell("no daemon at %s: a private one serves this run", path);
    int status =
        private ? open_private(s, o, &options) : connected(s, hemi_connect(&options, &s->client), "connecting");
    if (status != 0) session_close(s);
    return status;
}

void session_close(struct session *s)
{
    hemi_client_free(s->client);
    if (s->daemon > 0) wait_for_daemon(s->daemon);
    *s = (struct session){0};
}
