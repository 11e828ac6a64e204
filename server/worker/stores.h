/* server/worker/stores.h -- a store as its connection sees it: lanes (who may use it next), extern counts, its end.
 *
 * School of checking: TRUSTED, asserted; ids of externs are a peer's and mean nothing here.
 *
 * A LANE is a queue of requests of which one at a time is active. A store's own lane has those that no host call
 * shelters; each outstanding host call has a lane of its own for requests made inside it on the same store, which nest
 * on new fibers; a request that touches no store has one for itself. So "innermost host call only" needs no check: an
 * outer call's lane is busy as long as an inner one is outstanding.
 *
 * Invariants:
 *   .lane-order   Requests of a lane start in the order in which they were read, one after the other.
 *   .counted      A store's struct lives while an object or request refers to it, also after it ended; what is behind
 *                 it (`store`) nobody uses any more when the store has ended, and the grave frees it.
 *   .extern-count For every extern id: `received` is how often its id came since its last death notice (or ever), and
 *                 an id with something received and nothing on its way into the heap is alive there, else it was
 *                 reported. */
#ifndef HEMI_SERVER_WORKER_STORES_H
#define HEMI_SERVER_WORKER_STORES_H

#include <sys/queue.h>

#include "runtime/runtime.h"
#include "server/scheduler/runqueue.h"
#include "server/worker/account.h"
#include "server/worker/grave.h"
#include "server/worker/handles.h"

struct connection;
struct worker;

struct lane {
    struct request *head, *tail; /* waiting */
    struct request *active;
    uint32_t sheltered; /* of those that wait: made inside a host call */
    struct lane_list *list;
    struct lane *list_prev, *list_next;
    bool turn; /* marked because it is the first of those that waited for a stack or for output */
};

/* Lanes to look at, or that wait for one thing. A lane is in one list, or none. */
struct lane_list {
    struct lane *head, *tail;
};

/* A walk through the requests of a connection, or of a store, which are to end with `why`; it goes on where it was. */
struct stopping {
    LIST_ENTRY(stopping) link; /* with the worker, while listed */
    struct request *at;        /* the next one; NULL: it is over */
    enum hemi_status why;
    bool listed;    /* with the worker */
    bool of_store;  /* those of a store */
    bool interrupt; /* only those that INTERRUPT ends */
};

/* Ids received and not reported dead. */
struct extern_count {
    uint64_t id;
    uint32_t received;
    uint32_t on_way; /* of these, in requests not answered yet */
    bool live;       /* an object in the heap has it */
};

struct wstore {
    uint32_t refs;
    struct connection *conn; /* until ended */
    struct worker *worker;
    struct account *account;    /* counted */
    LIST_ENTRY(wstore) of_conn; /* until ended */
    uint32_t handle;
    struct store *store; /* NULL before STORE_NEW ran and after the end */
    size_t stack;        /* bytes of VM stack of its activations */
    bool closing;        /* STORE_CLOSE was read, or the connection is ending: takes nothing new */
    bool failed;         /* STORE_NEW failed: never had a store behind it */
    bool ended;
    struct run_queue runs; /* its activations, in the connection's */
    struct lane lane;
    struct request *closer;        /* STORE_CLOSE waiting for `busy` to become 0 */
    uint32_t busy;                 /* unanswered requests that touch it */
    LIST_HEAD(, request) requests; /* these */
    struct stopping stopping;
    LIST_HEAD(, object) objects; /* handles.h .of-store */
    LIST_HEAD(, stream) streams; /* stream.h .open */
    struct idmap externs;        /* id -> struct extern_count */
    uint8_t *deaths;             /* notices not sent yet, 16 bytes each */
    size_t deaths_used, deaths_capacity;
    struct wstore *next_death;
    bool death_listed;
    uint64_t calls;
    struct corpse corpse;
    bool verified;       /* in the grave */
    uint32_t host_types; /* of its connection's share of types */
    bool resting;        /* on the worker's list of stores that nothing touches, the one longest first */
    struct wstore *rest_prev, *rest_next;
    uint64_t resting_since_ms;
};

/* On the connection's list, with one reference for that. NULL: no memory. */
struct wstore *wstore_new(struct connection *conn, uint32_t handle);
struct wstore *wstore_ref(struct wstore *s);
void wstore_unref(struct wstore *s);
struct engine *wstore_engine(const struct wstore *s);
/* Makes the store behind it. */
enum hemi_status wstore_open(struct wstore *s, const struct store_options *limits);
/* Takes it from its connection and buries it, with what its objects hold. Nothing may use it (busy == 0). Idempotent.
 */
void wstore_end(struct wstore *s);
/* Ends every unanswered request that touches it, with `why`: some now, the rest in the next turns. */
void wstore_stop(struct wstore *s, enum hemi_status why);
/* A request touches it, until it is answered. */
void wstore_join(struct wstore *s, struct request *r);
void wstore_leave(struct wstore *s, struct request *r);
/* Takes it off the list of those that rest. Idempotent. */
void wstore_rouse(struct wstore *s);

/* It has one host function more. */
void wstore_count_types(struct wstore *s);

/* ---- externs */
/* A value with this id came in a frame for this store. False: no memory. */
bool wstore_extern_received(struct wstore *s, uint64_t id);
/* That value's request is done with it. */
void wstore_extern_settled(struct wstore *s, uint64_t id);
/* Notices not sent are forgotten. */
void wstore_deaths_free(struct wstore *s);
/* As store_extern, for an id that was received. */
enum hemi_status wstore_extern(struct wstore *s, uint64_t id, struct root *out);

/* ---- lanes */
void lane_push(struct lane *l, struct request *r);
void lane_remove(struct lane *l, struct request *r); /* waiting or active */

#endif
