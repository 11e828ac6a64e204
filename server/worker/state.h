/* server/worker/state.h -- the inside of one worker process: loop, engine, scheduler, connections, budget.
 *
 * School of checking: TRUSTED. One thread; nothing here is shared with another.
 *
 * A turn of the loop: timers and input (frames are read, requests queued) -> requests_pump -> scheduler_turn, with
 * requests_pump after each activation -> death notices and output are flushed -> what has ended is buried, and a slice
 * of what is buried is freed. */
#ifndef HEMI_SERVER_WORKER_STATE_H
#define HEMI_SERVER_WORKER_STATE_H

#include <sys/queue.h>
#include <uv.h>

#include "proto/counters.h"
#include "runtime/runtime.h"
#include "server/scheduler/scheduler.h"
#include "server/scheduler/timeouts.h"
#include "server/worker/account.h"
#include "server/worker/grave.h"
#include "server/worker/stores.h"
#include "server/worker/stretch.h"
#include "server/worker/verifier.h"
#include "server/worker/worker.h"

struct worker {
    const struct worker_boot *boot;
    uv_loop_t loop;
    uv_check_t check;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t beat, timer;
    uv_poll_t control, presized;
    bool idling, control_writes;
    struct scheduler sched;
    struct timeouts timeouts;
    struct grave grave;
    struct verifier verifier;
    struct stretches stretches;
    struct engine *engine;
    LIST_HEAD(, connection) connections;
    struct connection *to_flush;
    struct connection_list {
        struct connection *head, *tail;
    } to_read;
    LIST_HEAD(, stopping) stopping_some;
    struct wstore_list {
        struct wstore *head, *tail;
    } resting;
    bool feeds;       /* a lane of some connection waits for a stack or for output */
    uint32_t nending; /* connections that are */
    bool trims;       /* something is to be trimmed in the next turn, too */
    uint32_t started; /* units of STRETCH_start in this turn */
    uint32_t nconnections, nstores, served, nesting_max;
    struct lane_list pump; /* lanes to look at */
    struct pool pools[POOLS];
    uint64_t stacks_borrowed_max; /* while so many are in use, none is lent except inside host calls */
    uint64_t memory_used;         /* what the engine and we have announced */
    uint64_t ended[COUNTERS];     /* of stores and connections that are no more (totals.h) */
    struct outbox {
        struct control_message *at; /* control.h */
        uint64_t count, capacity;
    } outbox; /* waits for room in the control socket; oldest first */
    bool draining, stopping;
    uint64_t idle_since_ms; /* without connections; 0: has some */
    struct timeout drain_end;
    int exit_status;
    uint32_t visit;    /* server/worker/request_wait.c */
    uint32_t searched; /* edges followed there for the frame being read */
    uint32_t ids;      /* looked up, set aside or settled for requests, as ever: what they cost beside their frames */
};

static inline uint64_t worker_now_ms(struct worker *w) { return uv_now(&w->loop); }

/* worker.c, for tests too: everything but the control socket. `boot` must outlive it. 0, or an exit status. */
int worker_init(struct worker *w, const struct worker_boot *boot);
/* For tests that change limits: while nothing is lent. */
void worker_init_pools(struct worker *w);
/* Runs the loop until the worker is told to stop; the exit status. */
int worker_run(struct worker *w);
void worker_deinit(struct worker *w);
/* Ends all connections with CLOSE(why, text); worker_run returns when they are gone. */
void worker_stop(struct worker *w, enum hemi_status why, const char *text);
/* Takes nothing new, lets what runs end, then stops; at the timeout at once. */
void worker_drain(struct worker *w, uint64_t timeout_ms);

#endif
