/* server/config_apart.c -- reads the configuration in a process of its own.
 *
 * libconfig checks none of its allocations, its scanner ends the process for some files, and a file may be a pipe that
 * nobody writes to. So a copy of this process reads the file and sends back what it found, or fails to. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/config.h"

#define READ_TIMEOUT_MS 10000

/* What is sent, followed by the tenants; both ends are one program, so that structs are their own encoding. */
struct finding {
    int status;
    struct config_error error;
    struct config config;
};

static bool write_all(int fd, const void *bytes, size_t len)
{
    for (const uint8_t *at = bytes; len > 0;) {
        ssize_t wrote = write(fd, at, len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        at += wrote;
        len -= (size_t)wrote;
    }
    return true;
}

/* The child. Should it die, its parent says so: no handler, report or core of our own. */
static void read_and_send(struct config *config, const char *file, int fd)
{
    static struct finding finding;
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    finding.status = config_load(config, file, &finding.error);
    finding.config = *config;
    bool sent = write_all(fd, &finding, sizeof finding) &&
                write_all(fd, config->tenants, config->ntenants * sizeof *config->tenants);
    _exit(sent ? 0 : 1);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Exactly `len` bytes before the deadline. */
static bool read_all(int fd, void *bytes, size_t len, int64_t deadline)
{
    for (uint8_t *at = bytes; len > 0;) {
        int64_t left = deadline - now_ms();
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (left <= 0 || (poll(&readable, 1, (int)left) < 0 && errno != EINTR)) return false;
        ssize_t got = readable.revents != 0 ? read(fd, at, len) : 0;
        if (got < 0 && errno == EINTR) continue;
        if (readable.revents != 0 && got <= 0) return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}

/* 0, -EINVAL or -errno as config_load, with the parent's own tenants; -EPROTO when the child sent less. */
static int receive(struct config *config, struct config_error *error, int fd)
{
    static struct finding finding;
    int64_t deadline = now_ms() + READ_TIMEOUT_MS;
    if (!read_all(fd, &finding, sizeof finding, deadline)) return -EPROTO;
    *error = finding.error;
    if (finding.status != 0) return finding.status;
    size_t bytes = finding.config.ntenants * sizeof *config->tenants;
    struct tenant_config *tenants = calloc(1, bytes + 1);
    if (tenants == NULL) return -ENOMEM;
    if (!read_all(fd, tenants, bytes, deadline)) {
        free(tenants);
        return -EPROTO;
    }
    *config = finding.config;
    config->tenants = tenants;
    return 0;
}

__attribute__((format(printf, 3, 4))) static int fail(struct config_error *error, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

static int died(const char *file, int ended, struct config_error *error)
{
    if (WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL)
        return fail(error, -EINVAL, "%s: could not be read within %d s", file, READ_TIMEOUT_MS / 1000);
    if (WIFSIGNALED(ended))
        return fail(error, -ENOMEM, "%s: its parser died of signal %d: out of memory?", file, WTERMSIG(ended));
    return fail(error, -EINVAL, "%s: its parser gave up", file);
}

/* The signals that come meanwhile are the parent's, whose handlers the child would run, too. */
static pid_t fork_reader(struct config *config, const char *file, const int pipe_fds[2])
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t child = fork();
    int error = errno;
    if (child == 0) read_and_send(config, file, pipe_fds[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return child;
}

int config_load_apart(struct config *config, const char *file, struct config_error *error)
{
    int pipe_fds[2], ended = 0;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) return fail(error, -errno, "%s: pipe: %s", file, strerror(errno));
    pid_t child = fork_reader(config, file, pipe_fds);
    if (child < 0) {
        int status = fail(error, -errno, "%s: fork: %s", file, strerror(errno));
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return status;
    }
    close(pipe_fds[1]);
    int status = receive(config, error, pipe_fds[0]);
    close(pipe_fds[0]);
    if (status == -EPROTO) kill(child, SIGKILL); /* without effect if it has ended */
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) continue;
    if (status == -ENOMEM && error->text[0] == 0) fail(error, status, "%s: out of memory", file);
    return status == -EPROTO ? died(file, ended, error) : status;
}
