/* server/supervisor/child.h -- a worker as its supervisor sees it: its process, what it says, its end.
 *
 * Ownership: its tenant's, as long as the process is there; it owns the clients on their way to it (handed), our ends
 * of what the process was started with (common/heritage.h), and is freed when the last of its handles is closed.
 *
 * School of checking: what it says and how it ends is a PEER's: one that does not behave as the program that was
 * started is killed. */
#ifndef HEMI_SERVER_SUPERVISOR_CHILD_H
#define HEMI_SERVER_SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "server/common/heritage.h"
#include "server/supervisor/client.h"

struct tenant;

TAILQ_HEAD(child_list, child);

struct child {
    TAILQ_ENTRY(child) link;
    struct tenant *tenant;
    pid_t pid;
    int pidfd, control, log;
    struct page *page;
    uint64_t generation;
    unsigned handles;
    uv_poll_t on_end, on_control, on_log;
    uv_timer_t timer; /* until READY: start_timeout; after the control socket ended: until it is killed */
    struct client_list handed;
    unsigned nhanded;
    uint64_t connections; /* adopted, not closed */
    uint64_t borrowed;    /* descriptors to be returned to the pool */
    uint64_t started_ms;
    uint64_t asked;      /* ASK's nonce; 0: it was answered */
    unsigned unanswered; /* turns */
    unsigned turns;      /* of what its timer waits for */
    bool ready;
    bool parting;  /* it said IDLE or DRAINED */
    bool leaving;  /* gets nothing new: idle exit, drain, broken */
    bool full;     /* its control socket is */
    bool starved;  /* too many descriptors are in flight */
    bool draining; /* DRAIN is to be sent, or was */
    bool told;     /* DRAIN was sent */
    bool kept;     /* it has ended, but cannot be reaped yet */
    bool ended;
    const char *killed; /* why we killed it, or NULL */
    char error[160];    /* what it said last, before READY, that was an error */
    size_t line_len;
    char line[512]; /* of its standard error, so far */
};

/* Makes the process of w->tenant's worker number w->generation, with our ends of what it is started with: pid, pidfd,
 * control, log, page. Returns 0 or -errno. */
int child_make(struct child *w);

/* Starts a worker. Returns 0 or -errno. */
int child_start(struct tenant *tenant, struct child **out);

/* Sends ADOPT. Returns 0 (the client is in worker->handed), or -errno (it is in no list; the worker is marked). */
int child_hand(struct child *worker, struct client *client);

/* Tells it to end; it exits when its clients are told. */
void child_drain(struct child *worker);

/* SIGKILL; what it has not adopted goes to other workers, whether it can end or not. `why` is logged when it has ended;
 * a constant. */
void child_kill(struct child *worker, const char *why);

/* Reaps it if it has ended. */
void child_reap(struct child *worker);

/* Goes without a worker that was killed and has not ended; the daemon's exit status says so. */
void child_abandon(struct child *worker);

#endif
