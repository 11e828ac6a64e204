/* server/supervisor/state.h -- the supervisor's state; for supervisor/ only.
 *
 * Ownership: the supervisor owns doors and tenants; a door owns the clients that say HELLO at it; a tenant owns its
 * workers and the clients that wait; a worker owns the clients on their way to it (handed). A client is in exactly one
 * list; its descriptor is closed when it leaves the last (.one-copy), and counts in one share of the pool: its door's,
 * then its tenant's. Structures that hold libuv handles are freed when the last handle's close
 * callback has run.
 *
 * .told-at-once: a client waits for something that can happen. When no worker can start, those that wait are refused
 * with the reason after handover_tries starts, and whoever comes while the tenant rests is refused at once.
 */
#ifndef HEMI_SERVER_SUPERVISOR_STATE_H
#define HEMI_SERVER_SUPERVISOR_STATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <uv.h>

#include "proto/hello.h"
#include "proto/tables/status.h"
#include "server/common/heritage.h"
#include "server/common/log.h"
#include "server/config/config.h"
#include "server/supervisor/fd_pool.h"
#include "server/supervisor/listen.h"
#include "server/supervisor/supervisor.h"

_Static_assert(HANDOVER_HELLO_MAX >= HELLO_MAX, "ADOPT carries every HELLO");

struct supervisor;
struct tenant;
struct child;

TAILQ_HEAD(client_list, client);
TAILQ_HEAD(child_list, child);

/* A client is a connection that no worker has adopted yet; a child is a worker as its supervisor sees it. */
struct client {
    TAILQ_ENTRY(client) link;
    struct supervisor *supervisor;
    struct tenant *tenant;   /* from its door, or once identified; NULL before */
    struct greeter *greeter; /* while HELLO is read */
    struct fd_share *share;  /* that its descriptor counts in; NULL: it is about to be refused */
    int fd;
    uint64_t id;
    struct ucred peer;
    unsigned tries;    /* workers that ended with it on the way */
    unsigned declined; /* workers that could not take it */
    unsigned turns;    /* of our loop, waited for HELLO, then for a worker, then for that one to adopt it */
    unsigned handles;
    bool gone;        /* freed when its handles are closed */
    uv_poll_t poll;   /* while HELLO is read */
    uv_timer_t timer; /* its deadline */
    size_t hello_len;
    uint8_t hello[HELLO_MAX];
};

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

struct tenant {
    struct supervisor *supervisor;
    struct tenant_config config;
    struct child_list workers;
    unsigned nworkers; /* that are not leaving */
    struct client_list waiting;
    unsigned nwaiting;
    struct fd_share share; /* of those that wait or are on their way */
    uint64_t generation;
    unsigned crashes;  /* in a row */
    unsigned failures; /* of these, in a row, those of workers that did not become ready */
    bool resting;      /* no new worker until `rest` fires */
    uv_timer_t rest;
    char lost[224]; /* why the last worker was lost, or could not be started */
};

/* The peers of one user that are about to say HELLO at one door, oldest first; there is at least one. */
struct greeter {
    LIST_ENTRY(greeter) link;
    struct door *door;
    uid_t uid;
    uint64_t count;
    struct client_list clients;
};

/* A listening socket; or, not open, where the private client came from. */
struct door {
    struct listener listener;
    struct supervisor *supervisor;
    struct tenant *tenant; /* whose it is; NULL: the shared one */
    uv_poll_t poll;
    bool open;
    LIST_HEAD(greeter_list, greeter) greeters;
    uint64_t ngreeting;
    struct fd_share share; /* of those that say HELLO */
};

/* SIGHUP's. */
struct reload {
    uv_timer_t timer;
    struct config_apart *apart; /* that reads; NULL: none */
    unsigned turns;
    bool answered; /* its end is waited for */
    bool again;    /* SIGHUP came meanwhile */
};

struct supervisor {
    uv_loop_t loop;
    const struct supervisor_options *given;
    struct config config;
    int exe;     /* our own executable */
    int reserve; /* a descriptor to give up when there are no more, so that a connection can be refused */
    struct tenant *tenants;
    size_t ntenants;
    struct door *doors;
    size_t ndoors;
    uint64_t ngreeting; /* at all doors */
    struct fd_pool pool;
    uv_poll_t presized;
    unsigned nworkers; /* processes */
    uint64_t next_connection;
    uv_signal_t signals[4];
    uv_timer_t drain, watch, wait;
    struct reload reload;
    unsigned drain_turns;
    bool draining;
    bool stopping_now; /* SIGTERM came again */
    bool serves_private;
    bool closed; /* nothing more can come: the loop runs out */
    int status;  /* exit status */
};

/* --- supervisor.c --- */

/* A worker process is gone, or a client left: ends a drain or a private service that waited for that. */
void supervisor_check_done(struct supervisor *s);
void supervisor_drain(struct supervisor *s, const char *why);
void supervisor_for_each_worker(struct supervisor *s, void (*act)(struct child *worker));

uint64_t supervisor_count_workers(const struct config *config);

/* What supervisor_load does, where files and the directory of users may hang or end the process (a config_loader). */
int supervisor_load_here(const void *options, struct config *config, struct config_error *error);

/* --- server/supervisor/reload.c --- */

/* Reads the configuration again, or once more when it is being read. */
void reload_begin(struct supervisor *s);
void reload_init(struct supervisor *s);
void reload_close(struct supervisor *s);

/* --- server/supervisor/watch.c --- */

/* .own-turns: a timer that waits fires this often until patience is over. */
#define PATIENCE_TURNS 4u

/* How long one turn is; at least 1 ms. */
uint64_t patience_turn_ms(uint64_t ms, unsigned turns);

/* Counts a turn. */
bool patience_over(unsigned *turns);

/* Asks workers whether they are alive, and counts how long connections wait; start again after a reload. */
void watch_init(struct supervisor *s);
void watch_start(struct supervisor *s);
void watch_close(struct supervisor *s);

/* What the kernel says that a process does, in words. */
const char *process_state(pid_t pid);

/* Returns false when that was not what it was asked. */
bool child_answered(struct child *worker, uint64_t nonce);

/* --- server/supervisor/client.c --- */

/* Takes over a connected socket: reads HELLO, identifies, hands over. */
void client_accept(struct door *door, int fd);

/* Sends CLOSE(status), closes and forgets a client that is in no list. */
void client_refuse(struct client *client, enum hemi_status status, const char *why);

/* Refuses a connection that nothing is known of yet but where it came from. */
void client_refuse_fd(const struct door *door, int fd, enum hemi_status status, const char *why);

/* Closes and forgets a client that is in no list. */
void client_free(struct client *client);

/* The same for one whose HELLO is still read. */
void client_refuse_greeting(struct client *client, enum hemi_status status, const char *why);

/* --- server/supervisor/door.c --- */

#define FDS_REFUSED "nofile: others have the supervisor's descriptors, and this socket or tenant its share of them"

/* Room for every door that the configuration can have. Returns 0 or -ENOMEM. */
int doors_init(struct supervisor *s);

/* A door that is not open. */
struct door *door_new(struct supervisor *s, struct tenant *tenant);

/* Opens all. Returns 0 or a negative errno, which is logged. */
int doors_open(struct supervisor *s);
void doors_close(struct supervisor *s);

/* A client is about to say HELLO; another one may have to go for it. Returns false when it was refused instead. */
bool door_join(struct door *door, struct client *client);

/* Its HELLO has come, or will not. It keeps its share. */
void door_leave(struct client *client);

/* Refuses everybody whose HELLO is still read. */
void doors_refuse_greeting(struct supervisor *s, enum hemi_status status, const char *why);

/* --- server/supervisor/tenant.c --- */

/* The tenant that a client is, by token or user id; NULL for none. */
struct tenant *tenant_identify(struct supervisor *s, const struct client *client, const struct hello *hello);

/* Queues a client, and hands over what can be. */
void tenant_give(struct tenant *tenant, struct client *client);

/* Refuses one that waits for a worker, or everybody. */
void tenant_refuse(struct client *client, enum hemi_status status, const char *why);
void tenant_refuse_waiting(struct tenant *tenant, enum hemi_status status, const char *why);

/* A worker of this tenant, not `worker`, that can be given a connection now; NULL if there is none. */
struct child *tenant_other_worker(const struct tenant *tenant, const struct child *worker);

/* Hands waiting clients to workers, starting some as needed. While none can start, they are told so (.told-at-once). */
void tenant_pump(struct tenant *tenant);

/* Queues one again whose worker ended, or ends, before it took it; or refuses it, saying why. */
void tenant_give_again(struct tenant *tenant, struct client *client);

/* A worker ended in disorder, or could not be started, as tenant->lost says: rests before the next start, and counts a
 * try of everybody that waits when it never became ready. */
void tenant_crashed(struct tenant *tenant, bool was_ready, uint64_t lived_ms);

/* --- server/supervisor/prove.c --- */

/* Starts a worker and ends it. Returns 0, or -errno when it did not become ready, which is in the log then. */
int supervisor_prove(struct supervisor *s);

/* --- server/supervisor/child.c --- */

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

/* --- server/supervisor/end.c --- */

/* How one ended that was not to, in words: "its jail failed". Borrowed, until the next call. */
const char *child_exit_text(const siginfo_t *info);

/* Why child_start or child_make failed. Borrowed, until the next call. */
const char *child_start_text(int status);

/* Logs how it ended, and keeps that for clients that it had not adopted (tenant->lost). */
void child_tell_end(struct child *worker, const siginfo_t *info, const struct rusage *usage, bool orderly);

/* --- server/supervisor/spawn.c --- */

/* What a new process is started with. */
struct spawn {
    int exe;
    const char *self;
    const char *tenant;
    int control, log, page; /* become WORKER_FD_*; stay the caller's */
    struct page *words;     /* where the new process says why it is not executed */
};

/* fork and exec with --worker. Returns 0, the pid and a pidfd, or -errno. */
int child_spawn(const struct spawn *spawn, pid_t *pid, int *pidfd);

/* Opens our own executable. Returns a descriptor, or -1 (no /proc, no descriptor): then argv[0] must have a path. */
int child_open_exe(const char *self);
bool child_has_path(const char *self);

#endif
