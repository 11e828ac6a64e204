/* server/supervisor/apart.c -- reads the configuration in a process of its own. */
#include "server/supervisor/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/common/inherited.h"

#define LOOK_MS 100 /* between two looks for SIGTERM, which may be held (.held) */

/* What is sent, followed by the tenants; both ends are one program, so that structs are their own encoding. */
struct finding {
    int status;
    struct config_error error;
    struct config config;
};

struct config_apart {
    const char *file;
    pid_t child; /* 0: it has been reaped */
    int ended;   /* its wait status */
    int fd;
    size_t got; /* bytes of all that is sent */
    struct finding finding;
    struct tenant_config *tenants; /* from when the finding is complete */
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
static void read_and_send(config_loader load, const void *what, int fd, pid_t parent)
{
    static struct finding finding;
    const struct rlimit seconds = {CONFIG_READ_TIMEOUT_MS / 1000, CONFIG_READ_TIMEOUT_MS / 1000};
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    (void)setrlimit(RLIMIT_CPU, &seconds);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    config_set_defaults(&finding.config);
    finding.status = load(what, &finding.config, &finding.error);
    const struct config *config = &finding.config;
    bool sent = write_all(fd, &finding, sizeof finding) &&
                (finding.status != 0 || write_all(fd, config->tenants, config->ntenants * sizeof *config->tenants));
    _exit(sent ? 0 : 1);
}

/* ---- the start */

/* The signals that come meanwhile are the parent's, whose handlers the child would run, too. */
static pid_t fork_reader(config_loader load, const void *what, int fd)
{
    sigset_t all, before;
    pid_t parent = getpid();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t child = fork();
    int error = errno;
    if (child == 0) read_and_send(load, what, fd, parent);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return child;
}

int config_apart_new(config_loader load, const void *what, const char *file, struct config_apart **out,
                     struct config_error *error)
{
    int pipe_fds[2], status;
    struct config_apart *apart = calloc(1, sizeof *apart);
    if (apart == NULL) return config_fail(error, -ENOMEM, "%s: out of memory", file);
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        status = config_fail(error, -errno, "%s: pipe: %s", file, strerror(errno));
        free(apart);
        return status;
    }
    fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
    *apart = (struct config_apart){.file = file, .fd = pipe_fds[0], .child = fork_reader(load, what, pipe_fds[1])};
    status = apart->child < 0 ? config_fail(error, -errno, "%s: fork: %s", file, strerror(errno)) : 0;
    close(pipe_fds[1]);
    if (status == 0) return *out = apart, 0;
    close(apart->fd);
    free(apart);
    return status;
}

/* ---- the end */

/* Whether it has ended and been reaped; as process 1 the daemon may have reaped it as an orphan. */
static bool reaped(struct config_apart *apart, int options)
{
    pid_t got = 0;
    while (apart->child != 0 && (got = waitpid(apart->child, &apart->ended, options)) < 0 && errno == EINTR) continue;
    if (got != 0) apart->child = 0;
    return apart->child == 0;
}

static void release(struct config_apart *apart)
{
    close(apart->fd);
    if (apart->tenants != NULL) explicit_bzero(apart->tenants, apart->finding.config.ntenants * sizeof *apart->tenants);
    free(apart->tenants);
    free(apart);
}

bool config_apart_end(struct config_apart *apart)
{
    if (!reaped(apart, WNOHANG)) kill(apart->child, SIGKILL);
    if (!reaped(apart, WNOHANG)) return false;
    release(apart);
    return true;
}

void config_apart_free(struct config_apart *apart)
{
    if (!reaped(apart, WNOHANG)) kill(apart->child, SIGKILL);
    release(apart);
}

/* ---- reading */

/* The other end is closed: it has died, or is about to. */
static int died(struct config_apart *apart, struct config_error *error)
{
    if (reaped(apart, 0) && WIFSIGNALED(apart->ended))
        return config_fail(error, -ENOMEM, "%s: its parser died of signal %d: out of memory?", apart->file,
                           WTERMSIG(apart->ended));
    return config_fail(error, -EINVAL, "%s: its parser gave up", apart->file);
}

static size_t tenants_size(const struct config_apart *apart)
{
    return apart->finding.config.ntenants * sizeof *apart->tenants;
}

/* Where the next bytes go. Returns their number, 0 when all have come. */
static size_t next_part(struct config_apart *apart, uint8_t **at)
{
    const size_t head = sizeof apart->finding;
    if (apart->got < head) {
        *at = (uint8_t *)&apart->finding + apart->got;
        return head - apart->got;
    }
    if (apart->finding.status != 0) return 0;
    *at = (uint8_t *)apart->tenants + (apart->got - head);
    return tenants_size(apart) - (apart->got - head);
}

/* Returns 0, -EAGAIN, or -EPROTO at the end of file. */
static int read_some(struct config_apart *apart, uint8_t *at, size_t len)
{
    ssize_t got = read(apart->fd, at, len);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return -EAGAIN;
    if (got <= 0) return -EPROTO;
    apart->got += (size_t)got;
    if (apart->got != sizeof apart->finding || apart->finding.status != 0) return 0;
    apart->tenants = calloc(1, tenants_size(apart) + 1);
    return apart->tenants != NULL ? 0 : -ENOMEM;
}

int config_apart_read(struct config_apart *apart, struct config *config, struct config_error *error)
{
    uint8_t *at;
    size_t len = next_part(apart, &at);
    int status = len > 0 ? read_some(apart, at, len) : 0;
    if (status == -EPROTO) return died(apart, error);
    if (status == -ENOMEM) return config_fail(error, status, "%s: out of memory", apart->file);
    if (status != 0 || next_part(apart, &at) > 0) return -EAGAIN;
    *error = apart->finding.error;
    if (apart->finding.status == -ENOMEM && error->text[0] == 0)
        return config_fail(error, -ENOMEM, "%s: out of memory", apart->file);
    if (apart->finding.status != 0) return apart->finding.status;
    *config = apart->finding.config;
    config->tenants = apart->tenants;
    apart->tenants = NULL;
    return 0;
}

int config_load_apart(config_loader load, const void *what, const char *file, struct config *config,
                      struct config_error *error)
{
    struct config_apart *apart;
    int status = config_apart_new(load, what, file, &apart, error);
    if (status != 0) return status;
    const uint64_t end = clock_ms() + CONFIG_READ_TIMEOUT_MS;
    bool stop = false;
    while ((status = config_apart_read(apart, config, error)) == -EAGAIN && clock_ms() < end &&
           !(stop = inherited_told_to_stop()))
        (void)poll(&(struct pollfd){.fd = apart->fd, .events = POLLIN}, 1, LOOK_MS);
    if (status == -EAGAIN && stop)
        status = config_fail(error, -EINTR, "%s: told to stop while it was read", file);
    else if (status == -EAGAIN)
        status = config_fail(error, -EINVAL, "%s: could not be read within %d s", file, CONFIG_READ_TIMEOUT_MS / 1000);
    while (status == 0 && !reaped(apart, 0)) continue;
    config_apart_free(apart);
    return status;
}
