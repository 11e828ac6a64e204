/* server/supervisor/prove.c -- one worker is started and ended before the daemon says that it is ready.
 *
 * What keeps every worker from starting (no fork, a system call that a service manager's filter lacks, a required step
 * of the jail) is the operator's to know at once, not the first client's. The worker is the first tenant's in all but
 * its number, 0; no client is given to it. */
#include "server/supervisor/prove.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/common/inherited.h"
#include "server/common/log.h"
#include "server/supervisor/child.h"
#include "server/supervisor/end.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"

#define LOOK_MS 100u /* between two looks for SIGTERM, which is held (.held) */

struct proof {
    struct child worker;
    bool ready;
    char error[256]; /* what it said last that was one: the step of the jail that failed */
};

static struct log_about about(const struct proof *proof)
{
    return (struct log_about){.tenant = proof->worker.tenant->config.name, .pid = proof->worker.pid, .limited = true};
}

static void hear(struct proof *proof, const struct handover_msg *msg)
{
    const struct handover_log *log = &msg->u.log;
    struct log_about what = about(proof);
    if (msg->type == HANDOVER_STATUS && msg->u.status.phase == HANDOVER_READY) proof->ready = true;
    if (msg->type != HANDOVER_LOG) return;
    log_event((enum log_level)log->level, "worker-says", &what, "%.*s", (int)log->len, log->text);
    if (log->level >= LOG_ERROR) snprintf(proof->error, sizeof proof->error, "%.*s", (int)log->len, log->text);
}

/* Until it is ready, or has ended, which closes its end, or we are told to stop. Returns false when nothing came in
 * time. */
static bool listen_to(struct proof *proof, uint64_t timeout_ms)
{
    struct handover_msg msg;
    struct pollfd control = {.fd = proof->worker.control, .events = POLLIN};
    for (uint64_t end = clock_ms() + timeout_ms, now; (now = clock_ms()) < end;) {
        if (inherited_told_to_stop()) return true;
        if (poll(&control, 1, (int)(end - now < LOOK_MS ? end - now : LOOK_MS)) <= 0) continue;
        int status = handover_recv(control.fd, HANDOVER_UP, &msg);
        if (status == 1) hear(proof, &msg);
        if (proof->ready || (status != 1 && status != -EAGAIN)) return true;
    }
    return false;
}

/* What a sanitizer, libc or the kernel's loader wrote, cut to fit. */
static void hear_stderr(struct proof *proof)
{
    char text[1024];
    struct log_about what = about(proof);
    ssize_t got = read(proof->worker.log, text, sizeof text);
    if (got > 0) log_event(LOG_WARNING, "worker-stderr", &what, "%.*s", (int)got, text);
}

/* Its end is ours to wait for: the loop does not run yet. */
static void end(struct proof *proof, siginfo_t *info)
{
    char words[PAGE_WORDS];
    struct child *w = &proof->worker;
    syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
    while (waitid(P_PIDFD, (id_t)w->pidfd, info, WEXITED) != 0 && errno == EINTR) continue;
    hear_stderr(proof);
    size_t len = page_take_words(w->page, words);
    if (len > 0) snprintf(proof->error, sizeof proof->error, "%.*s", (int)len, words);
    close(w->pidfd);
    close(w->control);
    close(w->log);
    page_free(w->page);
}

static int fail(const struct proof *proof, const char *why)
{
    log_event(LOG_ERROR, "cannot-start", NULL, "no worker can start: %s%s%s", why, proof->error[0] != 0 ? ": " : "",
              proof->error);
    return -EPERM;
}

int supervisor_prove(struct supervisor *s)
{
    struct proof proof = {.worker = {.tenant = &s->tenants[0]}};
    siginfo_t info = {0};
    int status = child_make(&proof.worker);
    if (status != 0) return fail(&proof, child_start_text(status));
    bool in_time = listen_to(&proof, s->config.options.start_timeout);
    end(&proof, &info);
    if (proof.ready || inherited_told_to_stop()) return 0;
    return fail(&proof, in_time ? child_exit_text(&info) : "it was not ready within start_timeout");
}
