/* server/supervisor/supervisor.c -- the supervisor's loop: configuration, doors, signals, draining. */
#include "server/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "server/common/inherited.h"
#include "server/common/log.h"
#include "server/common/loop.h"
#include "server/supervisor/apart.h"
#include "server/supervisor/child.h"
#include "server/supervisor/client.h"
#include "server/supervisor/closer.h"
#include "server/supervisor/door.h"
#include "server/supervisor/notify.h"
#include "server/supervisor/prove.h"
#include "server/supervisor/reload.h"
#include "server/supervisor/spawn.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"
#include "server/supervisor/watch.h"

#define NOFILE_MOST (1 << 20) /* descriptors that the daemon makes use of */
#define NOFILE_LOOKED_AT 4096 /* what was inherited has low numbers */
#define KILL_GRACE_MS 500     /* after drain_timeout, in which workers say CLOSE themselves */
#define END_TIMEOUT_MS 2000   /* from SIGKILL until a worker that has not ended is left behind */

/* ---- configuration */

/* A tenant without a socket of its own needs the shared one. */
static bool needs_shared_socket(const struct config *config)
{
    for (size_t i = 0; i < config->ntenants; i++)
        if (!config->tenants[i].has_socket) return true;
    return false;
}

static int set_shared_socket(const struct supervisor_options *options, struct config *config,
                             struct config_error *error)
{
    bool wanted = options->socket != NULL || (config->socket.path[0] == 0 && needs_shared_socket(config));
    if (!wanted || listen_path(options->socket, config->socket.path, &config->default_socket) == 0) return 0;
    snprintf(error->text, sizeof error->text, "the socket's path is longer than 107 bytes");
    return -ENAMETOOLONG;
}

int supervisor_load_here(const void *given, struct config *config, struct config_error *error)
{
    const struct supervisor_options *options = given;
    const char *file = options->config_file;
    int status = file != NULL ? config_load(config, file, error) : 0;
    if (status == 0 && config->ntenants == 0) status = config_default(config, config->socket.path, error);
    if (status == 0) status = set_shared_socket(options, config, error);
    if (status == 0) status = config_check(config, file != NULL ? file : "command line", error);
    if (options->log_level >= 0) config->options.log_level = (uint64_t)options->log_level;
    return status;
}

int supervisor_load(const struct supervisor_options *options, struct config *config, struct config_error *error)
{
    if (options->config_file == NULL) return supervisor_load_here(options, config, error);
    return config_load_apart(supervisor_load_here, options, options->config_file, config, error);
}

uint64_t supervisor_count_workers(const struct config *config)
{
    uint64_t count = 0;
    for (size_t i = 0; i < config->ntenants; i++) count += config->tenants[i].limits.workers;
    return count;
}

/* ---- the end */

static bool anybody_waits(const struct supervisor *s)
{
    for (size_t i = 0; i < s->ntenants; i++)
        if (s->tenants[i].nwaiting > 0) return true;
    return s->ngreeting > 0;
}

/* Closes what keeps the loop alive. One more SIGTERM while the process ends must not kill it, which a signal without a
 * watcher would: its exit status would be lost. */
static void close_loop(struct supervisor *s)
{
    s->closed = true;
    inherited_hold();
    doors_close(s);
    for (size_t i = 0; i < s->ntenants; i++) uv_close((uv_handle_t *)&s->tenants[i].rest, NULL);
    for (size_t i = 0; i < sizeof s->signals / sizeof s->signals[0]; i++)
        if (s->signals[i].loop != NULL) uv_close((uv_handle_t *)&s->signals[i], NULL);
    uv_close((uv_handle_t *)&s->drain, NULL);
    watch_close(s);
    reload_close(s);
}

void supervisor_check_done(struct supervisor *s)
{
    if (s->closed || (!s->draining && !s->serves_private)) return;
    if (s->nworkers == 0 && !anybody_waits(s)) close_loop(s);
}

void supervisor_for_each_worker(struct supervisor *s, void (*act)(struct child *worker))
{
    for (size_t i = 0; i < s->ntenants; i++) {
        struct child *worker, *next;
        for (worker = TAILQ_FIRST(&s->tenants[i].workers); worker != NULL; worker = next) {
            next = TAILQ_NEXT(worker, link);
            act(worker);
        }
    }
}

static void kill_late(struct child *worker) { child_kill(worker, "it did not end when told to"); }

/* What the kernel cannot end now (a frozen container, a dead network file system) ends when it can. */
static void on_end_timeout(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    if (patience_over(&s->drain_turns)) supervisor_for_each_worker(s, child_abandon);
}

static void kill_all(struct supervisor *s)
{
    uint64_t turn = patience_turn_ms(END_TIMEOUT_MS, PATIENCE_TURNS);
    supervisor_for_each_worker(s, kill_late);
    s->drain_turns = 0;
    if (!s->closed) uv_timer_start(&s->drain, on_end_timeout, turn, turn);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct supervisor *s = timer->data;
    if (patience_over(&s->drain_turns)) kill_all(s);
}

void supervisor_drain(struct supervisor *s, const char *why)
{
    if (s->draining) {
        log_event(LOG_WARNING, "stopping-now", NULL, "%s again", why);
        if (!s->stopping_now) kill_all(s);
        s->stopping_now = true;
        return;
    }
    s->draining = true;
    notify("STOPPING=1\nSTATUS=draining %u workers", s->nworkers);
    log_event(LOG_INFO, "draining", NULL, "%s; %u workers", why, s->nworkers);
    doors_close(s);
    doors_refuse_greeting(s, HEMI_DRAINING, HANDOVER_DRAIN_TEXT);
    for (size_t i = 0; i < s->ntenants; i++) tenant_refuse_waiting(&s->tenants[i], HEMI_DRAINING, HANDOVER_DRAIN_TEXT);
    supervisor_for_each_worker(s, child_drain);
    uint64_t turn = patience_turn_ms(s->config.options.drain_timeout + KILL_GRACE_MS, PATIENCE_TURNS);
    if (!s->closed) uv_timer_start(&s->drain, on_drain_timeout, turn, turn);
    supervisor_check_done(s);
}

/* ---- signals */

/* As process 1 of a container, also other people's orphans are ours to reap. WNOWAIT shows who it is first, so that a
 * worker is reaped by its own code. */
static void reap_orphans(struct supervisor *s)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        struct child *worker, *ours = NULL;
        for (size_t i = 0; i < s->ntenants; i++)
            TAILQ_FOREACH(worker, &s->tenants[i].workers, link) if (worker->pid == info.si_pid) ours = worker;
        if (ours != NULL)
            child_reap(ours);
        else
            waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
        info = (siginfo_t){0};
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct supervisor *s = signal->data;
    switch (number) {
    case SIGHUP:
        reload_begin(s);
        break;
    case SIGCHLD:
        reap_orphans(s);
        break;
    default:
        supervisor_drain(s, number == SIGTERM ? "SIGTERM" : "SIGINT");
        break;
    }
}

/* Without its watcher a signal would end us. Returns 0 or a negative errno. */
static int watch_signals(struct supervisor *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i] == SIGCHLD && getpid() != 1) continue;
        int status = uv_signal_init(&s->loop, &s->signals[i]);
        if (status != 0) return status;
        s->signals[i].data = s;
        if ((status = uv_signal_start(&s->signals[i], on_signal, numbers[i])) != 0) return status;
    }
    return 0;
}

/* ---- the start */

static int make_tenants(struct supervisor *s)
{
    s->tenants = calloc(s->config.ntenants, sizeof *s->tenants);
    if (s->tenants == NULL) return -ENOMEM;
    for (size_t i = 0; i < s->config.ntenants; i++) {
        struct tenant *tenant = &s->tenants[s->ntenants++];
        tenant->supervisor = s;
        tenant->config = s->config.tenants[i];
        TAILQ_INIT(&tenant->workers);
        TAILQ_INIT(&tenant->waiting);
        uv_timer_init(&s->loop, &tenant->rest);
        tenant->rest.data = tenant;
    }
    return 0;
}

/* Connections cost descriptors; takes what the hard limit allows. Returns what there is. */
static uint64_t raise_nofile(void)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < NOFILE_MOST ? limit.rlim_max : NOFILE_MOST;
    if (limit.rlim_cur > soft && setrlimit(RLIMIT_NOFILE, &limit) == 0) soft = limit.rlim_cur;
    return soft;
}

static struct fd_needs needs_of(const struct supervisor *s)
{
    const struct daemon_options *options = &s->config.options;
    struct fd_needs needs = {
        .limit = raise_nofile(), .tenants = s->ntenants, .workers = supervisor_count_workers(&s->config)};
    needs.own = fd_count_open(needs.limit < NOFILE_LOOKED_AT ? needs.limit : NOFILE_LOOKED_AT);
    needs.doors = s->given->private_fd >= 0 || s->config.socket.path[0] != 0;
    for (size_t i = 0; i < s->ntenants; i++) needs.doors += s->tenants[i].config.has_socket;
    needs.connections = needs.doors * options->hello_pending + needs.tenants * options->handover_queue +
                        needs.workers * options->handover_window;
    return needs;
}

/* Divides the descriptors that there really are; of those of a private daemon there is nothing to tell. */
static int divide_descriptors(struct supervisor *s)
{
    struct fd_needs needs = needs_of(s);
    const struct fd_pool *pool = &s->pool;
    if (!fd_pool_init(&s->pool, &needs)) {
        log_event(LOG_ERROR, "cannot-start", NULL,
                  "the limit on open files (RLIMIT_NOFILE) is %" PRIu64 ", and at least %" PRIu64
                  " are needed: for %" PRIu64 " sockets, %" PRIu64 " workers and a reserve",
                  needs.limit, fd_pool_least(&needs), needs.doors, needs.workers);
        return -EMFILE;
    }
    if (s->given->private_fd < 0)
        log_event(LOG_INFO, "descriptors", NULL,
                  "of %" PRIu64 ", %" PRIu64 " are for connections that no worker has adopted yet: %" PRIu64
                  " for each of %" PRIu64 " sockets and %" PRIu64 " tenants, %" PRIu64 " for whoever comes",
                  needs.limit, pool->total, pool->guaranteed, needs.doors, needs.tenants, pool->lendable);
    int status = loop_presize(&s->loop, &s->presized, fd_pool_most(pool));
    if (status != 0) log_event(LOG_ERROR, "cannot-start", NULL, "the event loop: %s", strerror(-status));
    return status;
}

/* Closed standard descriptors would be given to sockets. */
static void fill_standard_fds(void)
{
    int fd;
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO) continue;
    if (fd > STDERR_FILENO) close(fd);
}

static int open_exe(struct supervisor *s)
{
    s->exe = child_open_exe(s->given->self);
    if (s->exe >= 0 || child_has_path(s->given->self)) return 0;
    int error = errno;
    log_event(LOG_ERROR, "cannot-start", NULL, "its own executable cannot be opened: %s", strerror(error));
    return -error;
}

/* What close_loop closes comes first. */
static int init(struct supervisor *s)
{
    log_configure(&s->config.options);
    uv_timer_init(&s->loop, &s->drain);
    s->drain.data = s;
    watch_init(s);
    reload_init(s);
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int status = open_exe(s);
    if (status != 0) return status;
    status = watch_signals(s);
    if (status == 0) status = make_tenants(s);
    if (status == 0) status = doors_init(s);
    if (status == 0) status = closer_start();
    const char *what = status == 0 ? "the log's thread: " : "";
    if (status == 0) status = log_start(&s->config);
    if (status != 0) log_event(LOG_ERROR, "cannot-start", NULL, "%s%s", what, strerror(-status));
    return status != 0 ? status : divide_descriptors(s);
}

static void deinit(struct supervisor *s)
{
    CHECK(uv_loop_close(&s->loop) == 0);
    if (s->exe >= 0) close(s->exe);
    if (s->reserve >= 0) close(s->reserve);
    if (s->tenants != NULL) explicit_bzero(s->tenants, s->ntenants * sizeof *s->tenants);
    free(s->tenants);
    free(s->doors);
    config_deinit(&s->config);
}

/* What keeps a descriptor from being the one client's, or NULL. */
static const char *not_a_client(int fd)
{
    int type = 0, listens = 0;
    struct sockaddr_storage peer;
    socklen_t len = sizeof type, peer_len = sizeof peer;
    if (fcntl(fd, F_GETFD) < 0) return "is not open";
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM) return "is no stream socket";
    len = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || listens != 0)
        return "listens: it is no client";
    return getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 ? NULL : "is not connected";
}

/* The one client, and the first tenant, whoever that is: the descriptor says that it may. */
static int serve_private(struct supervisor *s)
{
    int fd = s->given->private_fd;
    const char *why = not_a_client(fd);
    if (why != NULL) {
        log_event(LOG_ERROR, "cannot-serve", NULL, "descriptor %d %s", fd, why);
        return -EINVAL;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    s->serves_private = true;
    client_accept(door_new(s, &s->tenants[0]), fd);
    return 0;
}

static int load(struct supervisor *s)
{
    struct config_error error = {""};
    config_set_defaults(&s->config);
    bool private = s->given->private_fd >= 0 && s->given->config_file == NULL;
    for (unsigned i = 0; i < s->given->nraises; i++) config_raise(&s->config, s->given->raises[i]);
    int status = private ? config_private(&s->config) : supervisor_load(s->given, &s->config, &error);
    if (private && status == 0) status = config_check(&s->config, "--private-fd", &error);
    if (s->given->log_level >= 0) s->config.options.log_level = (uint64_t)s->given->log_level;
    if (status != 0) log_complain("%s", error.text[0] != 0 ? error.text : strerror(-status));
    return status;
}

/* libuv aborts where it has no memory for its watchers, or no descriptor for its signals. */
static void on_abort(int number)
{
    static const char why[] = "hemid: cannot start: no memory or no descriptors for the event loop\n";
    (void)number;
    if (write(STDERR_FILENO, why, sizeof why - 1) < 0) _exit(1);
    _exit(1);
}

static int init_loop(struct supervisor *s)
{
    signal(SIGABRT, on_abort);
    int failed = uv_loop_init(&s->loop);
    if (failed != 0) fprintf(stderr, "hemid: event loop: %s\n", uv_strerror(failed));
    return failed != 0 ? 1 : 0;
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor s = {.given = options, .exe = -1, .reserve = -1};
    fill_standard_fds();
    int status = load(&s);
    if (status == 0) status = init_loop(&s);
    if (status != 0) {
        config_deinit(&s.config);
        return status == -EINTR ? 0 : status < 0 ? 2 : 1;
    }
    status = init(&s);
    if (status == 0) status = options->private_fd >= 0 ? serve_private(&s) : doors_open(&s);
    if (status == 0 && options->private_fd < 0) status = supervisor_prove(&s);
    signal(SIGABRT, SIG_DFL);
    if (status != 0) {
        s.status = 1;
        close_loop(&s);
    } else if (options->private_fd < 0 && !inherited_told_to_stop()) {
        log_event(LOG_INFO, "ready", NULL, "hemid " HEMI_VERSION ", %zu tenants", s.ntenants);
        notify_ready(s.ntenants);
    }
    if (!s.closed) inherited_release();
    uv_run(&s.loop, UV_RUN_DEFAULT);
    if (options->private_fd < 0) log_event(LOG_INFO, "stopped", NULL, "exit status %d", s.status);
    closer_stop();
    deinit(&s);
    log_stop();
    return s.status;
}
