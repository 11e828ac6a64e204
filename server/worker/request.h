/* server/worker/request.h -- what clients ask for: one row per request, its life from frame to reply.
 *
 * School of checking: everything in a frame is a PEER's. Errors of form are an enum proto_error, which ends the
 * connection; errors of content are a REPLY with a status. Nothing asserts on either.
 *
 * Life of a request: READ (its frame is checked, handles are pinned, what it makes is promised) -> queued in its LANE
 * -> when it is the lane's first and all it depends on is done: STARTED, at once or on a fiber -> FINISHED (REPLY, the
 * outcome is published, the next in the lane starts). A request is answered exactly once and freed after that.
 *
 * Invariants:
 *   .one-reply    request_finish is called exactly once per request, on the thread's own stack or a fiber of another.
 *   .in-order     While the handles of a frame are being looked up, no other frame of its connection is read.
 *   .default-deny A frame type without a row (requests/rows.c) has no handler and ends the connection.
 *   .no-hang      A request waits for a stack only while a call of its own connection runs, which will give one back;
 *                 else it is refused with LIMIT. For output it waits as long as its own client does not read. Neither
 *                 waits for what another connection holds.
 *   .no-cycle     When a request starts to wait, nothing it waits for waits for it (server/worker/request_wait.c). */
#ifndef HEMI_SERVER_WORKER_REQUEST_H
#define HEMI_SERVER_WORKER_REQUEST_H

#include <sys/queue.h>

#include "proto/frame.h"
#include "runtime/runtime.h"
#include "server/scheduler/scheduler.h"
#include "server/scheduler/timeouts.h"
#include "server/worker/handles.h"
#include "server/worker/stores.h"

struct host_call;

enum { REPLY_RAW_INLINE = 64 };

/* What the reply will say. */
struct reply {
    struct rt_error error; /* status, trap, offset, message... */
    char *text;            /* owned; a message that is too long for `error`, which has its beginning; NULL: none */
    uint32_t failed_request;
    uint32_t trace_entries; /* at the end of the raw part */
    uint64_t value;
    uint8_t *raw; /* `few`, or allocated */
    bool raw_owned;
    bool values_counted; /* the externs among the request's values: else the reply says values_unread */
    size_t raw_length;
    uint8_t few[REPLY_RAW_INLINE];
};

struct request {
    struct connection *conn;
    LIST_ENTRY(request) of_conn;
    const struct frame_info *info;
    const struct request_row *row;
    uint32_t id;
    uint32_t bytes;    /* of its frame, for the window */
    uint32_t depth;    /* host calls it is inside of */
    uint32_t kept;     /* of those, in its connection's account */
    uint64_t promised; /* of its connection's */
    bool started, answered, nested;
    bool passes;                  /* it keeps nothing, for it is answered in the turn in which it came */
    bool sheltered;               /* its stack is of those kept for host calls */
    bool lent;                    /* its stack is in its connection's account */
    enum hemi_status result;      /* of run() on a fiber */
    struct host_call *parent;     /* counted; NULL: none */
    LIST_ENTRY(request) sibling;  /* of the same parent */
    struct wstore *store;         /* counted; NULL: touches none */
    LIST_ENTRY(request) of_store; /* of the same store */
    struct lane *lane, own_lane;
    struct request *lane_prev, *lane_next;
    struct activation act;     /* when the row runs on a fiber */
    struct host_call *calling; /* its outstanding host call, if any */
    struct timeout deadline;
    bool cut; /* the deadline is the tenant's limit, which is less than was asked for */
    struct outcome *outcome;
    struct outcome *previous;    /* IF_PREVIOUS_OK: of the request before it */
    struct outcome *chunk;       /* of the one that brought the module's chunk before this one's */
    struct outcome *waiting_for; /* on that one's list of waiters */
    LIST_ENTRY(request) wait;
    struct object *uses[3]; /* handles in the body, in the row's order; NULL: 0 was given */
    struct object *makes;   /* promised; NULL: none */
    uint32_t makes_id;
    struct object **pins;          /* one per value or import in the raw part; NULL entries: none */
    uint32_t npins, pinned, ready; /* looked up so far (connection.pinning); depends on none of the first any more */
    struct object **results;       /* promised for references among results */
    uint32_t nresults, results_id;
    struct inside *inside; /* WASI_NEW: made when read, since frames for its streams may follow */
    struct reply reply;
    struct request *visit_next; /* server/worker/request_wait.c */
    uint32_t visited;
    bool ancestor;
    const ProtobufCMessage *body; /* flat; allocated with the request */
    uint8_t *raw;                 /* a copy */
    size_t raw_length;
    int fd; /* while it is read: what came with it, or FRAME_FD_LOST; then -1 */
};

/* How a row says where in the body a handle is. */
struct request_use {
    uint16_t field; /* offset in the body's struct; 0: unused */
    uint8_t kind;   /* enum object_kind it must have; OBJECT_ANY: any */
    bool optional;  /* 0 may be given */
};

struct request_row {
    uint16_t type;
    uint16_t deadline; /* offset of deadline_ms; 0: none */
    struct request_use uses[3];
    struct request_use makes;
    enum values_in { RAW_OTHER, RAW_VALUES, RAW_HANDLES } raw;
    bool fiber;     /* may be long or collect: runs as an activation */
    bool interrupt; /* INTERRUPT ends it */
    /* Bytes that its reply may have, when that may be many. NULL: few. */
    uint64_t (*promises)(const struct request *r);
    /* What the columns above cannot say; at reading. NULL: nothing. */
    enum proto_error (*read)(struct request *r);
    /* Does it. Fills r->reply but for the status. */
    enum hemi_status (*run)(struct request *r);
    /* Units of STRETCH_start beside the usual; its connection's turn of reading pays them too, so that those that come
     * behind from others need not wait for many. NULL: none. */
    uint32_t (*units)(const struct connection *c);
    bool late;       /* run only begins it, unless it fails; something else finishes it */
    bool ends_store; /* does not count among those that use the store it names, unless it joins by itself */
};
const struct request_row *request_row(unsigned type);

/* ---- server/worker/request_read.c */
/* A request's frame has come. */
enum proto_error request_read(struct connection *c, const struct frame *f);
/* Goes on with one that names many (connection.pinning), as far as *units allow. */
enum proto_error request_read_on(struct connection *c, uint32_t *units);
/* Promises an object under an id that the client chose. */
enum proto_error request_promise(struct request *r, uint32_t id, enum object_kind kind, struct object **out);
/* From now on the request uses the store of `o`, which has this handle; a request uses one store at most. */
void request_join_store(struct request *r, const struct object *o, uint32_t id);

/* Counts what its row says in the stretch under way. */
void request_count_units(struct request *r);

/* ---- server/worker/request_start.c: its beginning */
/* The lane may have something to start. Idempotent. lane_unmark before its owner is freed. */
void lane_mark(struct worker *w, struct lane *l);
void lane_unmark(struct lane *l);
/* Looks at the lanes that were marked since the last time, and starts what can start. */
void requests_pump(struct worker *w);
/* Once in a turn of the loop: marks lanes whose connections may go on, or can wait no longer (.no-hang). */
void requests_feed(struct worker *w);

/* ---- server/worker/request.c: the life of a request from there to its answer */
/* Ends an unanswered request with this status, as soon as it can be; queued ones at once. */
void request_stop(struct request *r, enum hemi_status why);
/* Answers, publishes, frees. */
void request_finish(struct request *r, enum hemi_status status);
/* Ends its store, takes the store's handle away, and finishes. */
void request_finish_close(struct request *closer);
/* It runs, and from now on neither uses its store nor holds it. */
void request_let_go_store(struct request *r);
/* CANCEL. */
void requests_cancel(struct connection *c, uint32_t id);
/* INTERRUPT; the end of a connection, and of a store: what was read before is ended, in the next stretches. */
void requests_interrupt(struct connection *c);
void requests_stop_all(struct connection *c, enum hemi_status why);
void requests_stop_store(struct wstore *s, enum hemi_status why);
/* One stretch of that; the units it took. */
uint32_t requests_stop_some(struct worker *w);
/* Its requests are gone. Idempotent. */
void requests_stop_forget(struct stopping *s);
/* Puts a formatted message into the reply and returns `status`. */
enum hemi_status request_fail(struct request *r, enum hemi_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* LIMIT, with LIMIT_MESSAGE: `option` allows `most`. */
enum hemi_status request_limit(struct request *r, const char *option, uint64_t asked, const char *what, uint64_t most);
/* LIMIT: its connection may not have `more` of a pool. */
enum hemi_status request_share_limit(struct request *r, enum share_pool which, const struct share *share,
                                     uint64_t more);
/* request_fail with a text of up to PROTO_TEXT_MAX bytes. */
enum hemi_status request_fail_long(struct request *r, enum hemi_status status, const char *text);
/* Room for a reply's raw part of `n` bytes; NULL: no memory. */
uint8_t *request_raw(struct request *r, size_t n);
/* The request whose activation this is. */
struct request *request_of(struct activation *a);

/* ---- server/worker/request_wait.c */
/* May `r`, which is queued in its lane, wait? DEADLOCK if for itself (.no-cycle), LIMIT if that would be too long to
 * find out. */
enum hemi_status request_check_waiting(struct request *r);

/* ---- one function per row: server/requests/rows.h */
#endif
