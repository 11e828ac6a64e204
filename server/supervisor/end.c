/* server/supervisor/end.c -- how a worker ended, or why it did not start, in words: for the log and for its clients. */
#include "server/supervisor/end.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/common/log.h"
#include "server/supervisor/child.h"
#include "server/supervisor/state.h"
#include "server/supervisor/tenant.h"

static const char *exit_text(int code, bool orderly)
{
    if (code == WORKER_EXIT_OK && orderly) return "in order";
    switch (code) {
#define X(name, status, text)                                                                                          \
    case status:                                                                                                       \
        return text;
        WORKER_EXITS(X)
#undef X
    default:
        return "with an unknown status";
    }
}

/* SIGKILL that we did not send is the kernel's for memory more often than anybody's. */
static const char *signal_text(const struct child *w, int number)
{
    if (number == SIGKILL && w->killed != NULL) return w->killed;
    if (number == SIGKILL) return "killed from outside, perhaps for memory";
    if (number == SIGSYS) return "a system call that its jail forbids";
    return strsignal(number);
}

static const char *end_text(const struct child *w, const siginfo_t *info, bool orderly)
{
    return info->si_code == CLD_EXITED ? exit_text(info->si_status, orderly) : signal_text(w, info->si_status);
}

const char *child_exit_text(const siginfo_t *info)
{
    static const struct child nobody;
    return end_text(&nobody, info, false);
}

const char *child_start_text(int status)
{
    if (status == -EFBIG) return "File too large (RLIMIT_FSIZE is below the size of a worker's page)";
    if (status == -EMFILE) return "no descriptors are left (RLIMIT_NOFILE)";
    return strerror(-status);
}

/* Whatever its words are: a worker could tell its clients itself. */
static void keep_for_clients(const struct child *w, const char *end, const char *words, size_t len)
{
    char detail[160];
    log_escape(words, len, detail, sizeof detail);
    snprintf(w->tenant->lost, sizeof w->tenant->lost, "%s%s%s", end, len > 0 || w->error[0] != 0 ? ": " : "",
             len > 0 ? detail : w->error);
}

void child_tell_end(struct child *w, const siginfo_t *info, const struct rusage *usage, bool orderly)
{
    char words[PAGE_WORDS];
    const char *end = end_text(w, info, orderly);
    struct log_about what = {.tenant = w->tenant->config.name, .pid = w->pid};
    size_t len = page_take_words(w->page, words);
    log_event(orderly ? LOG_INFO : LOG_ERROR, orderly ? "worker-ended" : "worker-lost", &what,
              "%s %d, %s; %" PRIu64 " connections%s; lived %" PRIu64 " ms, at most %ld KiB resident%s%.*s",
              info->si_code == CLD_EXITED ? "exit" : "signal", info->si_status, end, w->connections,
              orderly ? "" : " lost", uv_now(&w->tenant->supervisor->loop) - w->started_ms, usage->ru_maxrss,
              len > 0 ? "; last words: " : "", (int)len, words);
    keep_for_clients(w, end, words, len);
}
