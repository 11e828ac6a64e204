/* server/supervisor/child.c -- one worker as its supervisor sees it: start, messages, end. */
#include "server/supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "server/common/log.h"
#include "server/jail/jail.h"
#include "server/supervisor/closer.h"
#include "server/supervisor/end.h"
#include "server/supervisor/spawn.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"
#include "server/supervisor/watch.h"

#define MESSAGES_PER_TURN 64 /* of one worker, before others get their turn */
#define LINES_PER_TURN 64    /* of its standard error */
#define LINES_AT_END 1024
#define LOG_BYTES 512 /* read at once; each may be a line */
#define RETRY_MS 10
#define LOOK_MS 50        /* between two looks whether a tracer has let go of a worker that has ended */
#define END_GRACE_MS 2000 /* from the end of the control socket until a worker that stays is killed */

static struct log_about about(const struct child *w)
{
    return (struct log_about){.tenant = w->tenant->config.name, .pid = w->pid};
}

/* ---- closing */

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *w = handle->data;
    if (--w->handles > 0) return;
    struct supervisor *s = w->tenant->supervisor;
    CHECK(TAILQ_EMPTY(&w->handed));
    fd_pool_return(&s->pool, w->borrowed);
    free(w);
    s->nworkers--;
    supervisor_check_done(s);
}

static void child_close(struct child *w)
{
    uv_close((uv_handle_t *)&w->timer, on_handle_closed);
    uv_poll_t *polls[] = {&w->on_end, &w->on_control, &w->on_log};
    for (size_t i = 0; i < sizeof polls / sizeof *polls; i++)
        if (polls[i]->data != NULL) uv_close((uv_handle_t *)polls[i], on_handle_closed);
    close(w->pidfd);
    closer_close(w->control, fd_pool_unclosed(&w->tenant->supervisor->pool, NULL));
    close(w->log);
    page_free(w->page);
    w->page = NULL;
}

/* A timer of its own; `ms` are counted in our turns (.own-turns). */
static void wait_for(struct child *w, uv_timer_cb act, uint64_t ms)
{
    uint64_t turn = patience_turn_ms(ms, PATIENCE_TURNS);
    w->turns = 0;
    uv_timer_start(&w->timer, act, turn, turn);
}

/* It gets nothing new from now on. */
static void child_leave(struct child *w)
{
    if (w->leaving) return;
    w->leaving = true;
    CHECK(w->tenant->nworkers > 0);
    w->tenant->nworkers--;
}

/* ---- messages */

static void on_control(uv_poll_t *poll, int status, int events);

/* Writable is asked for only while something could not be sent. */
static void watch_control(struct child *w)
{
    int events = UV_READABLE | (w->full ? UV_WRITABLE : 0);
    uv_poll_start(&w->on_control, events, on_control);
}

static void handed_remove(struct child *w, struct client *client)
{
    TAILQ_REMOVE(&w->handed, client, link);
    w->nhanded--;
}

static struct client *find_handed(const struct child *w, uint64_t connection)
{
    struct client *client;
    TAILQ_FOREACH(client, &w->handed, link) if (client->id == connection) break;
    return client;
}

/* .one-copy: ours is closed here. */
static bool on_adopted(struct child *w, uint64_t connection)
{
    struct client *client = find_handed(w, connection);
    if (client == NULL) return false;
    struct log_about what = {
        .tenant = w->tenant->config.name, .pid = w->pid, .connection = connection, .limited = true};
    log_event(LOG_DEBUG, "connection-adopted", &what, "uid %u", client->peer.uid);
    handed_remove(w, client);
    client_free(client);
    w->connections++;
    return true;
}

/* One more worker may try, if there is one that can: else the client is told what is missing. */
static void hand_elsewhere(struct child *w, struct client *client, enum hemi_status status, const char *why)
{
    struct child *other = client->declined++ == 0 ? tenant_other_worker(w->tenant, w) : NULL;
    if (other == NULL || child_hand(other, client) != 0) client_refuse(client, status, why);
}

static bool on_not_adopted(struct child *w, const struct handover_not_adopted *not_adopted)
{
    struct client *client = find_handed(w, not_adopted->connection);
    if (client == NULL) return false;
    handed_remove(w, client);
    switch (not_adopted->reason) {
    case HANDOVER_LEAVING:
        child_leave(w);
        snprintf(w->tenant->lost, sizeof w->tenant->lost, "it was about to end");
        tenant_give_again(w->tenant, client);
        break;
    case HANDOVER_NO_MEMORY:
        hand_elsewhere(w, client, HEMI_NO_MEMORY, "the tenant's worker has no memory for it");
        break;
    default:
        hand_elsewhere(w, client, HEMI_LIMIT, "the tenant's worker has no descriptors left");
        break;
    }
    return true;
}

static bool on_closed(struct child *w, const struct handover_closed *closed)
{
    if (w->connections == 0) return false;
    w->connections--;
    if (w->tenant->supervisor->serves_private) child_drain(w);
    struct log_about what = {
        .tenant = w->tenant->config.name, .pid = w->pid, .connection = closed->connection, .limited = true};
    log_event(LOG_DEBUG, "connection-closed", &what, "status %u", closed->status);
    return true;
}

static void on_ready(struct child *w)
{
    struct log_about what = about(w);
    w->ready = true;
    w->starved = false;
    w->tenant->failures = 0;
    uv_timer_stop(&w->timer);
    log_event(LOG_DEBUG, "worker-ready", &what, "after %" PRIu64 " ms",
              uv_now(&w->tenant->supervisor->loop) - w->started_ms);
}

/* .phase-order */
static bool on_phase(struct child *w, enum handover_phase phase)
{
    struct log_about what = about(w);
    bool starting = phase == HANDOVER_READY || phase == HANDOVER_JAIL_FAILED;
    if (w->parting || starting == w->ready) return false;
    if (phase == HANDOVER_READY) return on_ready(w), true;
    w->parting = true;
    child_leave(w);
    if (phase == HANDOVER_JAIL_FAILED) log_event(LOG_ERROR, "worker-not-jailed", &what, "a required step failed");
    return true;
}

/* Returns false for what this worker may not say now. */
static bool on_message(struct child *w, const struct handover_msg *msg)
{
    struct log_about what = about(w);
    switch (msg->type) {
    case HANDOVER_STATUS:
        return on_phase(w, msg->u.status.phase);
    case HANDOVER_ADOPTED:
        return w->ready && on_adopted(w, msg->u.adopted.connection);
    case HANDOVER_NOT_ADOPTED:
        return w->ready && on_not_adopted(w, &msg->u.not_adopted);
    case HANDOVER_CLOSED:
        return w->ready && on_closed(w, &msg->u.closed);
    case HANDOVER_ANSWER:
        return w->ready && child_answered(w, msg->u.answer.nonce);
    case HANDOVER_LOG:
        what.limited = true;
        log_event(msg->u.log.level, "worker-says", &what, "%.*s", (int)msg->u.log.len, msg->u.log.text);
        if (!w->ready && msg->u.log.level >= LOG_ERROR)
            log_escape(msg->u.log.text, msg->u.log.len, w->error, sizeof w->error);
        return true;
    default:
        return false;
    }
}

/* Reads what is there. Returns false when the channel has ended or is broken. */
static bool read_control(struct child *w, unsigned most)
{
    struct handover_msg msg;
    for (unsigned i = 0; i < most; i++) {
        int status = handover_recv(w->control, HANDOVER_UP, &msg);
        if (status == -EAGAIN) return true;
        if (status == 1 && on_message(w, &msg)) continue;
        if (status == 1 || status == -EPROTO) child_kill(w, "it broke the control protocol");
        return false;
    }
    return true;
}

static void on_end_grace(uv_timer_t *timer)
{
    struct child *w = timer->data;
    if (patience_over(&w->turns)) child_kill(w, "it lost its control socket");
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct child *w = poll->data;
    bool open = status == 0;
    if (open && (events & UV_READABLE) != 0) open = read_control(w, MESSAGES_PER_TURN);
    if (!open) {
        uv_poll_stop(&w->on_control);
        child_leave(w);
        if (w->killed == NULL) wait_for(w, on_end_grace, END_GRACE_MS);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        w->full = false;
        if (w->draining) child_drain(w);
        watch_control(w);
    }
    tenant_pump(w->tenant);
}

/* ---- standard error */

static void log_line(struct child *w)
{
    struct log_about what = about(w);
    what.limited = true;
    if (w->line_len > 0) log_event(LOG_WARNING, "worker-stderr", &what, "%.*s", (int)w->line_len, w->line);
    w->line_len = 0;
}

/* Returns the number of lines. */
static unsigned log_bytes(struct child *w, const char *bytes, size_t len)
{
    unsigned lines = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n') w->line[w->line_len++] = bytes[i];
        if (bytes[i] != '\n' && w->line_len < sizeof w->line) continue;
        log_line(w);
        lines++;
    }
    return lines;
}

/* Returns false at the end. It is lines that take time, and a worker may write many short ones. */
static bool read_log(struct child *w, unsigned most)
{
    char bytes[LOG_BYTES];
    for (unsigned lines = 0; lines < most;) {
        ssize_t got = read(w->log, bytes, sizeof bytes);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        lines += log_bytes(w, bytes, (size_t)got);
    }
    return true;
}

static void on_log(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status != 0 || !read_log(poll->data, LINES_PER_TURN)) uv_poll_stop(poll);
}

/* ---- the end */

/* Its clients that it had not adopted go to another one: first in line, in their order. */
static void hand_all_again(struct child *w)
{
    struct client *client;
    while ((client = TAILQ_LAST(&w->handed, client_list)) != NULL) {
        handed_remove(w, client);
        tenant_give_again(w->tenant, client);
    }
}

/* It said that it would end, or was told to: all else is a loss, whatever its exit status. */
static bool ended_in_order(const struct child *w, const siginfo_t *info)
{
    return info->si_code == CLD_EXITED && info->si_status == WORKER_EXIT_OK && w->ready && (w->parting || w->draining);
}

static void on_look_again(uv_timer_t *timer) { child_reap(timer->data); }

static void look_again(struct child *w) { uv_timer_start(&w->timer, on_look_again, LOOK_MS, LOOK_MS); }

/* The process may take its time, or never end; its connections do not wait for that. */
static void on_killed(uv_timer_t *timer)
{
    struct child *w = timer->data;
    (void)read_control(w, UINT32_MAX);
    snprintf(w->tenant->lost, sizeof w->tenant->lost, "%s", w->killed);
    hand_all_again(w);
    if (!w->tenant->supervisor->draining) tenant_pump(w->tenant);
    if (w->kept) look_again(w);
}

/* .drain-control, .adopt-before-read: once the socket is shut down it can adopt nothing more, so what it has said by
 * now is all. That is read later: the caller may be in the middle of it. */
void child_kill(struct child *w, const char *why)
{
    child_leave(w);
    if (w->ended || w->killed != NULL) return;
    w->killed = why;
    syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
    shutdown(w->control, SHUT_RDWR);
    uv_timer_start(&w->timer, on_killed, 0, 0);
}

static void child_ended(struct child *w, const siginfo_t *info, const struct rusage *usage)
{
    struct tenant *tenant = w->tenant;
    struct supervisor *s = tenant->supervisor;
    w->ended = true;
    /* .drain-control: the process is gone, so this reads to the end. */
    (void)read_control(w, UINT32_MAX);
    (void)read_log(w, LINES_AT_END);
    log_line(w);
    bool orderly = ended_in_order(w, info);
    child_tell_end(w, info, usage, orderly);
    child_leave(w);
    TAILQ_REMOVE(&tenant->workers, w, link);
    if (!orderly && s->serves_private) s->status = 1;
    if (!orderly) tenant_crashed(tenant, w->ready, uv_now(&s->loop) - w->started_ms);
    hand_all_again(w);
    child_close(w);
    if (!s->draining) tenant_pump(tenant);
}

void child_abandon(struct child *w)
{
    struct supervisor *s = w->tenant->supervisor;
    struct log_about what = about(w);
    if (w->ended) return;
    log_event(LOG_ERROR, "worker-left", &what, "it was killed and has not ended: %s", process_state(w->pid));
    w->ended = true;
    s->status = 1;
    child_leave(w);
    TAILQ_REMOVE(&w->tenant->workers, w, link);
    hand_all_again(w);
    child_close(w);
}

void child_reap(struct child *w)
{
    siginfo_t info = {0};
    struct rusage usage = {0};
    if (w->ended) return;
    if (syscall(SYS_waitid, P_PIDFD, w->pidfd, &info, WEXITED | WNOHANG, &usage) != 0 || info.si_pid == 0) return;
    child_ended(w, &info, &usage);
}

/* A process that is traced is its tracer's to reap first, but its descriptor says all that time that it has ended. */
static void on_end(uv_poll_t *poll, int status, int events)
{
    struct child *w = poll->data;
    struct log_about what = about(w);
    (void)status;
    (void)events;
    child_reap(w);
    if (w->ended) return;
    uv_poll_stop(&w->on_end);
    log_event(LOG_WARNING, "worker-kept", &what, "it has ended, and who traces it has not let go of it");
    w->kept = true;
    child_kill(w, "it had ended");
    if (!uv_is_active((uv_handle_t *)&w->timer)) look_again(w); /* else on_killed does */
}

/* ---- the start */

static void on_start_timeout(uv_timer_t *timer)
{
    struct child *w = timer->data;
    if (patience_over(&w->turns)) child_kill(w, "it did not become ready in time");
}

/* Test builds misbehave on request: HEMI_TEST_HOOK says how, HEMI_TEST_TENANT which tenant's workers, and the target is
 * another tenant's worker if there is one. Number 0 is supervisor_prove's. */
static void set_hook(const struct tenant *tenant, struct handover_boot *boot)
{
#ifdef HEMI_JAIL_TEST
    const struct supervisor *s = tenant->supervisor;
    const char *hook = getenv("HEMI_TEST_HOOK"), *only = getenv("HEMI_TEST_TENANT");
    if (hook == NULL || boot->generation == 0 || (only != NULL && strcmp(only, tenant->config.name) != 0)) return;
    snprintf(boot->hook, sizeof boot->hook, "%s", hook);
    boot->hook_target = getpid();
    for (size_t i = 0; i < s->ntenants; i++)
        if (&s->tenants[i] != tenant && !TAILQ_EMPTY(&s->tenants[i].workers))
            boot->hook_target = TAILQ_FIRST(&s->tenants[i].workers)->pid;
#else
    (void)tenant;
    (void)boot;
#endif
}

static int send_boot(const struct tenant *tenant, int control, uint64_t generation)
{
    const struct supervisor *s = tenant->supervisor;
    struct handover_msg msg = {.type = HANDOVER_BOOT, .fd = -1};
    struct handover_boot *boot = &msg.u.boot;
    snprintf(boot->tenant, sizeof boot->tenant, "%s", tenant->config.name);
    boot->generation = generation;
    boot->supervisor = getpid();
    boot->private_client = s->serves_private;
    boot->need_landlock = s->config.options.landlock == NEED_REQUIRE;
    boot->own_user = s->config.options.worker_user[0] != 0 || jail_may_change_user();
    boot->need_rights = s->config.options.rights == NEED_REQUIRE;
    boot->uid = tenant->config.worker_uid;
    boot->gid = tenant->config.worker_gid;
    boot->handovers = (uint32_t)s->config.options.handover_window;
    boot->limits = tenant->config.limits;
    set_hook(tenant, boot);
    return handover_send(control, &msg);
}

/* Everything that the process is started with; our ends go to `w`, the other ends are closed. */
int child_make(struct child *w)
{
    struct tenant *tenant = w->tenant;
    int pipes[2] = {-1, -1}, page_fd = -1, control = -1, status;
    if ((status = page_new(&page_fd, &w->page)) != 0) return status;
    if ((status = handover_pair(&w->control, &control)) != 0) goto fail_page;
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) {
        status = -errno;
        goto fail_control;
    }
    struct spawn spawn = {.exe = tenant->supervisor->exe,
                          .self = tenant->supervisor->given->self,
                          .tenant = tenant->config.name,
                          .control = control,
                          .log = pipes[1],
                          .page = page_fd,
                          .words = w->page};
    if ((status = send_boot(tenant, w->control, w->generation)) != 0) goto fail_pipe;
    if ((status = child_spawn(&spawn, &w->pid, &w->pidfd)) != 0) goto fail_pipe;
    w->log = pipes[0];
    close(pipes[1]);
    close(control);
    close(page_fd);
    return 0;
fail_pipe:
    close(pipes[0]);
    close(pipes[1]);
fail_control:
    close(w->control);
    close(control);
fail_page:
    close(page_fd);
    page_free(w->page);
    return status;
}

static int watch_fd(struct child *w, uv_poll_t *poll, int fd)
{
    int status = uv_poll_init(&w->tenant->supervisor->loop, poll, fd);
    if (status != 0) return status;
    poll->data = w;
    w->handles++;
    return 0;
}

/* Returns 0, or -errno when the kernel has no room for one more watched descriptor. */
static int watch(struct child *w)
{
    int status;
    uv_timer_init(&w->tenant->supervisor->loop, &w->timer);
    w->timer.data = w;
    w->handles = 1;
    if ((status = watch_fd(w, &w->on_end, w->pidfd)) != 0) return status;
    if ((status = watch_fd(w, &w->on_control, w->control)) != 0) return status;
    if ((status = watch_fd(w, &w->on_log, w->log)) != 0) return status;
    uv_poll_start(&w->on_end, UV_READABLE, on_end);
    uv_poll_start(&w->on_log, UV_READABLE, on_log);
    watch_control(w);
    wait_for(w, on_start_timeout, w->tenant->supervisor->config.options.start_timeout);
    return 0;
}

/* A process that cannot be watched: it has hardly begun, so its end is waited for. */
static void abandon(struct child *w)
{
    siginfo_t info;
    syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
    while (syscall(SYS_waitid, P_PIDFD, w->pidfd, &info, WEXITED, NULL) != 0 && errno == EINTR) continue;
    w->ended = true;
    child_close(w);
}

int child_start(struct tenant *tenant, struct child **out)
{
    struct supervisor *s = tenant->supervisor;
    struct child *w = calloc(1, sizeof *w);
    if (w == NULL) return -ENOMEM;
    w->tenant = tenant;
    w->generation = ++tenant->generation;
    TAILQ_INIT(&w->handed);
    int status = fd_pool_admit_worker(&s->pool, s->nworkers, &w->borrowed) ? child_make(w) : -EMFILE;
    if (status != 0) {
        fd_pool_return(&s->pool, w->borrowed);
        free(w);
        return status;
    }
    w->started_ms = uv_now(&s->loop);
    s->nworkers++;
    if ((status = watch(w)) != 0) return abandon(w), status;
    TAILQ_INSERT_TAIL(&tenant->workers, w, link);
    tenant->nworkers++;
    struct log_about what = about(w);
    log_event(LOG_INFO, "worker-started", &what, "number %" PRIu64 " of this tenant", w->generation);
    *out = w;
    return 0;
}

/* ---- to the worker */

/* Descriptors in flight count against the uid, whoever sent them: only time tells when there is room again. */
static void on_retry(uv_timer_t *timer)
{
    struct child *w = timer->data;
    w->starved = false;
    tenant_pump(w->tenant);
}

int child_hand(struct child *w, struct client *client)
{
    struct handover_msg msg = {.type = HANDOVER_ADOPT, .fd = client->fd};
    msg.u.adopt.connection = client->id;
    msg.u.adopt.uid = client->peer.uid;
    msg.u.adopt.hello_len = (uint32_t)client->hello_len;
    memcpy(msg.u.adopt.hello, client->hello, client->hello_len);
    int status = handover_send(w->control, &msg);
    if (status == 0) {
        TAILQ_INSERT_TAIL(&w->handed, client, link);
        w->nhanded++;
        client->turns = 0;
        return 0;
    }
    if (status == -EAGAIN) {
        w->full = true;
        watch_control(w);
    } else if (status == -ETOOMANYREFS) {
        w->starved = true;
        if (w->ready) uv_timer_start(&w->timer, on_retry, RETRY_MS, 0);
    } else {
        child_leave(w); /* it has ended, and will be reaped */
    }
    return status;
}

void child_drain(struct child *w)
{
    struct handover_msg msg = {.type = HANDOVER_DRAIN, .fd = -1};
    msg.u.drain.timeout_ms = w->tenant->supervisor->config.options.drain_timeout;
    w->draining = true;
    child_leave(w);
    if (w->told) return;
    int status = handover_send(w->control, &msg);
    w->told = status == 0;
    if (status == -EAGAIN && !w->full) {
        w->full = true;
        watch_control(w);
    }
}
