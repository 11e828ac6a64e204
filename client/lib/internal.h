/* client/lib/internal.h -- what the files of libhemi share.
 *
 * School of checking: what the worker sends is a PEER's bytes: a defect ends the connection with HEMI_PROTOCOL, nothing
 * asserts on it. What the caller passes is checked where it can be and answered with a status. Own state is asserted.
 *
 * Who owns what: a client owns everything made from it (.owned: the list `nodes`); a request borrows the caller's
 * buffers until it is answered and taken, or forgotten, and holds a count on its store and on what it makes or calls.
 * What is of a store, its externs' slots too, holds a count on it; a store holds one on itself until it is closed, a
 * WASI object one for each stream (.counted). A store without counts is kept for a little while, so that who uses a
 * store after its close is told so.
 *
 * Invariants, cited by tag:
 *   .window    No request is queued that its window has no room for (proto/window.h).
 *   .chain     Inside a host function only host calls are run that descend from it or from what is waited for.
 *   .outermost Finalizers and `done` callbacks run with no host function on the stack, outside of frame processing.
 *   .once      A finalizer is taken out of its slot before it is called.
 *   .order     Drops are queued after every frame that used the handles dropped; ids are reused only after 2^31 others.
 *   .sent      An extern id's count is how often it was written into frames minus how often the worker accounted for
 *              it.
 *   .inside    A public function has the client to itself: client->owner is its thread, and client->inside how many of
 *              them are under way in it (callbacks call more). Who finds another thread, or himself in a child of the
 *              client's process, looks at nothing and returns a status. A function of the program's may return in a
 *              child only: so after each of them client_is_back is asked.
 *   .quiet     Stream callbacks may not call the client (client->quiet): they run in the middle of reading frames.
 */
#ifndef HEMI_CLIENT_INTERNAL_H
#define HEMI_CLIENT_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "hemi.h"

#include "proto/counters.h"
#include "proto/externs.h"
#include "proto/frame.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "proto/window.h"

/* ---- idmap.c: u32 ids (not 0) to pointers, open addressing */
struct idmap {
    struct idmap_cell {
        uint32_t id;
        void *value;
    } *cells;
    uint64_t key;             /* of the hash, while there are cells */
    uint32_t capacity, count; /* capacity: 0 or a power of two */
};
void idmap_deinit(struct idmap *m);
bool idmap_put(struct idmap *m, uint32_t id, void *value); /* false: no memory; may make the table smaller */
void *idmap_get(const struct idmap *m, uint32_t id);       /* NULL: absent */
void *idmap_take(struct idmap *m, uint32_t id);            /* removes; moves others only to cells before them */

/* ---- enter.c */
/* Where a client was made: not in a child that was forked since. */
struct origin {
    pid_t pid;
    uint8_t *mark; /* a byte that is 0 in children; NULL: the pid must do */
};
void origin_init(struct origin *o);
void origin_deinit(struct origin *o);
bool origin_is_here(const struct origin *o); /* for signal handlers, too */

/* .inside. Without OK nothing of the client may be looked at. NULL allowed. */
hemi_status client_enter(const hemi_client *client);
void client_leave(hemi_client *const *client);
/* After each of the program's functions that was called. False in a child that it forked and returned in: there the
 * client has ended, and calls nothing any more (.inside). */
bool client_is_back(hemi_client *c);
const char *refusal_text(hemi_status refusal);

/* How a public function begins: it returns `refused`, in which `refusal` is why, or has the client until it returns. */
#define ENTER(client, refused)                                                                                         \
    hemi_status refusal = client_enter(client);                                                                        \
    if (refusal != HEMI_OK) return refused;                                                                            \
    hemi_client *const entered __attribute__((cleanup(client_leave), unused)) = (hemi_client *)(uintptr_t)(client)
/* The same where *out is made. */
#define ENTER_FOR(client, out)                                                                                         \
    if (out) *(out) = NULL;                                                                                            \
    ENTER(client, refusal);                                                                                            \
    if (!(out)) return fail_null(client, #out)
/* The same where there may be a ticket: 0 until the request is made. */
#define ENTER_ASKING(client, ticket)                                                                                   \
    if (ticket) *(ticket) = 0;                                                                                         \
    ENTER(client, refusal)
#define ENTER_MAKING(client, out, ticket)                                                                              \
    if (ticket) *(ticket) = 0;                                                                                         \
    ENTER_FOR(client, out)
#define CLIENT_OF(thing) ((thing) ? (thing)->node.client : NULL)

/* ---- handles.c: which handle ids are in use, scopes, batched drops */
struct handle_block;
struct handle_space {
    struct idmap blocks; /* block number + 1 -> block; those that have an id in use, and the cursor's */
    uint32_t cursor;     /* the block that is allocated from */
};
struct drop_range {
    uint32_t first, count;
};
struct hemi_scope {
    hemi_client *client;
    struct hemi_scope *outer;
    bool of_host; /* a host function's own, which ends when that returns */
    uint32_t *ids;
    size_t count, capacity;
};
void handles_init(hemi_client *c); /* ids begin elsewhere for each of a process's clients: one's are not another's */
uint32_t handles_new(hemi_client *c, uint32_t count);    /* consecutive ids; 0: no memory */
bool handle_live(const hemi_client *c, uint32_t handle); /* is it ours to use? */
/* Marks one that the worker chose. PROTOCOL: it is in use, or not for the worker to choose. NO_MEMORY. */
hemi_status handle_adopt(hemi_client *c, uint32_t handle);
void handle_refuse(hemi_client *c, uint32_t handle); /* drops one that the worker chose, adopted or not */
void handle_drop(hemi_client *c, uint32_t handle);   /* 0 allowed */
void handles_release(hemi_client *c, uint32_t first, uint32_t count); /* ids that the worker never bound */
bool scope_add(hemi_client *c, uint32_t handle);                      /* to the innermost scope, if any */
void scope_init(struct hemi_scope *s, hemi_client *c, bool of_host);
void scope_end(struct hemi_scope *s);
void drops_flush(hemi_client *c); /* queues what is pending as DROP frames (.order) */
void handles_deinit(hemi_client *c);

/* ---- status.c */
struct failure {
    hemi_status status;
    unsigned trap;
    int32_t exit_code;
    uint64_t offset_plus_1, function_plus_1;
    uint32_t failed_request;
    bool malformed;
    hemi_val exception;
    bool exception_given;           /* the caller has it, and drops it */
    struct hemi_trace_entry *trace; /* owned; one block with its names; NULL: none */
    size_t ntrace;
    char text[PROTO_TEXT_MAX + 1];
};
/* Makes f the client's last failure; the trace and the exception are its now. */
void failure_move(hemi_client *c, struct failure *f);
void failure_free(hemi_client *c, struct failure *f); /* NULL allowed */
/* Records a failure of the caller's as the client's last one, and returns its status. */
hemi_status fail(hemi_client *c, hemi_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

hemi_status fail_null(hemi_client *c, const char *what); /* ARGUMENT: a pointer that must not be NULL is */

/* ---- externs.c: objects of the client's that guests hold */
struct extern_table {
    struct extern_slot *slots;
    uint32_t count, capacity, free_head; /* free_head: slot + 1 */
    uint32_t due_head;                   /* slots whose finalizer is due; + 1 */
    uint32_t generation;                 /* of the slot taken last: ids are not used again soon */
    uint32_t *index;                     /* by pointer and store: slot + 1, open addressing */
    uint32_t index_capacity, live;
};
bool externs_live(const hemi_client *c, const hemi_store *s, uint64_t id);
const hemi_store *externs_store(const hemi_client *c, uint64_t id); /* NULL: it does not live */
bool externs_pointer(const hemi_client *c, const hemi_store *s, uint64_t id, void **pointer);
void externs_sent(hemi_client *c, uint64_t id);
void externs_dropped(hemi_client *c, uint64_t id); /* what hemi_extern_new gave once */
void externs_unsent(hemi_client *c, uint64_t id);  /* the worker never looked at it */
bool externs_died(hemi_client *c, uint32_t store, uint64_t id, uint32_t times);
void externs_end(hemi_client *c, const hemi_store *s); /* of a store; NULL: all */
bool externs_due(const hemi_client *c);
void externs_run(hemi_client *c); /* .outermost */
void externs_deinit(hemi_client *c);

/* ---- options.c */
/* The structures of options, and what each had in the first release (docs/abi.md). */
#define OPTIONS(X)                                                                                                     \
    X(connect, 56)                                                                                                     \
    X(store, 56)                                                                                                       \
    X(wasi, 88)                                                                                                        \
    X(func, 64)                                                                                                        \
    X(wat, 16)
enum options_kind {
#define X(name, first) OPTIONS_##name,
    OPTIONS(X)
#undef X
};
enum { OPTIONS_WRONG_MAX = 160 };
/* Copies the caller's (NULL: none) into the library's form. False, or ARGUMENT: `wrong` or the client says what is. */
bool options_copy(enum options_kind kind, const void *from, void *to, char *wrong);
hemi_status options_take(hemi_client *c, enum options_kind kind, const void *from, void *to);

/* ---- entries.c */
struct entries {
    struct hemi_entry *at;
    size_t count, capacity;
};
hemi_status entries_read(struct entries *list, const uint8_t *raw, size_t n); /* appends; PROTOCOL, NO_MEMORY */
void entries_deinit(struct entries *list);
/* An entry of a function with these types. False: no memory. */
bool entries_add_func(struct entries *list, const hemi_type *params, size_t nparams, const hemi_type *results,
                      size_t nresults);

/* ---- trace.c */
/* Reads n entries from the front of a raw part; *used: their size. f: where they are kept, NULL: nowhere; without
 * memory they are not. PROTOCOL. */
hemi_status trace_read(struct failure *f, size_t n, const uint8_t *raw, size_t length, size_t *used);

/* ---- what a client owns */
enum node_kind { NODE_MODULE, NODE_STORE, NODE_INSTANCE, NODE_OBJECT, NODE_WASI, NODE_FUNC };
struct node {
    struct node *next, **link;
    hemi_client *client;
    enum node_kind kind;
    uint32_t handle;
    uint32_t counts; /* the caller's, and those of .counted */
};
struct hemi_module {
    struct node node;
    struct entries imports, exports;
    bool have_imports, have_exports;
};
struct hemi_store {
    struct node node;
    struct hemi_wasi *wasis;
    bool closed, failed; /* failed: STORE_NEW */
};
struct hemi_instance {
    struct node node;
    hemi_store *store; /* counted, here and below */
    struct entries exports;
    bool have_exports;
};
struct hemi_object {
    struct node node;
    hemi_store *store;
    struct entries entry; /* none or one */
    hemi_ticket failed;   /* the request in which its making failed; 0: none */
};
struct hemi_wasi {
    struct node node;
    hemi_store *store;
    struct hemi_wasi_options options;
    uint32_t streams[3]; /* by file descriptor number; 0: none */
    uint64_t credit[3];  /* in: what we may send; out, err: what the worker may still send */
    uint64_t used[3];    /* out, err: received since credit was last given */
    uint64_t window;
    bool in_ended;
    uint32_t refused; /* the request whose output was not taken last */
    struct hemi_wasi *next_of_store, **link_of_store;
    struct hemi_wasi *next_input; /* in client->inputs */
    bool wants_input;
};
/* A host function: lives until its store has ended. */
struct host_func {
    struct node node;
    hemi_store *store;
    struct entries entry;
    hemi_host_function function;
    void (*env_free)(void *env);
    void *env;
};
enum { CLOSED_STORES = 16 };
void *node_new(hemi_client *c, enum node_kind kind,
               size_t size);    /* with a fresh handle, but for NODE_FUNC; NULL: no memory */
void node_free(struct node *n); /* unlinks, drops the handle, frees its parts */
void node_count_down(struct node *n);
hemi_store *store_hold(hemi_store *s); /* NULL allowed, here too: */
void store_let_go(hemi_store *s);

/* ---- request.c */
struct request;
typedef hemi_status take_fn(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f);
/* Where an answer goes. All is borrowed, but for the node. */
struct answer {
    take_fn *take; /* on success; NULL: there is nothing to take. PROTOCOL: the answer is malformed */
    void *to;
    size_t count;
    struct node *node; /* counted; what it makes or calls */
    /* On failure, with the request that it began with; NULL: nothing follows from it. */
    void (*refused)(struct node *node, hemi_ticket root);
    bool ours; /* it is all about the node: taken also when the caller has forgotten it */
};
struct request {
    uint32_t id, parent;
    uint16_t type;
    bool answered, forgotten, given_up;
    hemi_store *store; /* counted */
    uint64_t bytes;
    uint32_t deadline_ms;    /* 0: none */
    int64_t give_up_at;      /* ms; 0: never */
    hemi_status give_up_for; /* DEADLINE, CANCELLED, INTERRUPTED, or why its output was refused */
    hemi_status refused_for; /* not OK: its guest's output was not taken, and so it fails */
    const char *refused_what;
    hemi_status status;
    struct failure *failure; /* NULL also when memory was out */
    struct answer answer;
    uint32_t first_handle, handles; /* set aside for references among the results */
    uint64_t *externs;              /* ids counted in this request */
    size_t nexterns;
    void (*done)(hemi_client *, hemi_ticket, void *);
    void *done_env;
    struct request *done_next;
};
/* Values that a request carries as its raw part. */
struct values {
    const hemi_val *at;
    const hemi_type *types; /* what they must be; NULL: not known */
    size_t count;
};
/* Queues a request with body f->body; its raw part is `values` if not NULL, else f->raw. Waits for room in the window,
 * and checks the values after that, since a wait may run anything. `store` may be NULL, and `answer` (nothing to take).
 * handles: how many handles are set aside from first_handle on for references among the results. On failure nothing is
 * kept, and the handles set aside are free again. */
struct sending {
    struct frame_out f;
    hemi_store *store;
    const struct values *values;
    struct answer answer;
    uint32_t first_handle, handles;
    bool plain; /* not subject to hemi_client_set_chained */
};
hemi_status request_new(hemi_client *c, struct sending *s, struct request **out);
/* With a ticket: hands it out. Without: waits. */
hemi_status request_finish(hemi_client *c, struct request *r, hemi_ticket *ticket);
/* Both. */
hemi_status request_run(hemi_client *c, struct sending *s, hemi_ticket *ticket);
/* A ticket for what needed no request. */
hemi_status request_answered_here(hemi_client *c, hemi_ticket *ticket);
void request_answered(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f);
void requests_begin(hemi_client *c);     /* those queued are sent now: the time of their deadlines runs */
bool requests_expire(hemi_client *c);    /* `done` for those that the client gives up; true: there are some */
void requests_interrupt(hemi_client *c); /* those unanswered are given up soon */
void requests_end(hemi_client *c);       /* all unanswered ones fail as the connection did */
void requests_deinit(hemi_client *c);
/* ARGUMENT, CLOSED, BUSY or what ended the connection: may this client and store (may be NULL) be used now? */
hemi_status usable(hemi_client *c, const hemi_store *s);
/* The guest that runs in this store cannot write (`what`: "output"): its request is to end, and fails with `status`.
 * Returns its id; 0: none runs. */
uint32_t program_refuse(hemi_client *c, const hemi_store *s, hemi_status status, const char *what);
bool request_refused(const hemi_client *c, uint32_t id); /* and not answered yet */
hemi_status interrupted(hemi_client *c);                 /* says it */
/* Take functions that several files use. */
take_fn take_value; /* u64 *to, may be NULL */

/* ---- value.c */
/* Checks values against types (NULL: unknown, kinds are taken as they are). */
hemi_status vals_check(hemi_client *c, const hemi_store *s, const hemi_val *vals, const hemi_type *types, size_t n);
void ref_write(const hemi_ref *r, uint8_t *raw); /* of a checked one */
/* Room in r for the extern ids among checked values. False: no memory. */
bool vals_reserve(struct request *r, const hemi_val *vals, size_t n);
/* Writes checked values, counting extern ids (.sent), into r too if not NULL, where there is room. */
void vals_write(hemi_client *c, struct request *r, const hemi_val *vals, size_t n, uint8_t *raw);
/* Reads values; references are adopted into the innermost scope. r: whose set-aside handles they must have; NULL: the
 * worker chose them. NO_MEMORY: those that the worker chose and nobody got are dropped. */
hemi_status vals_read(hemi_client *c, const hemi_store *s, struct request *r, const hemi_type *types, size_t n,
                      const uint8_t *raw, hemi_val *out);
size_t vals_count_refs(const hemi_type *types, size_t n);
/* What results are while they are awaited: references are promises under the handles set aside. */
void vals_promise(const struct request *r, const hemi_type *types, size_t n, hemi_val *out);
hemi_val val_zero(hemi_type type);

/* ---- host.c */
struct host_call {
    uint32_t id, request, store;
    hemi_deferred *deferred; /* its answer comes later */
    struct host_func *func;
    struct window window; /* of requests that name it */
    uint8_t *args;
    struct host_call *next; /* in client->calls */
};
struct hemi_caller {
    hemi_client *client;
    struct host_call *call;
    struct hemi_caller *outer;
    hemi_deferred *deferred;
    bool exits; /* with: */
    int32_t exit_code;
    hemi_val exception;
    char text[PROTO_TEXT_MAX + 1];
};
struct hemi_deferred {
    hemi_client *client;
    struct host_call *call; /* NULL: answered, for its host function failed after it was made; in client->spoilt */
    struct hemi_deferred *next;
};
enum proto_error host_call_received(hemi_client *c, const struct frame *f);
/* Runs one host call that may run now (.chain). False: there is none. */
bool host_call_run_one(hemi_client *c, const struct request *waited);
void host_calls_end(hemi_client *c);    /* forgets those not begun */
void host_calls_deinit(hemi_client *c); /* and those never answered */
bool host_funcs_due(const hemi_client *c);
void host_funcs_run(hemi_client *c); /* frees environments of ended stores (.outermost) */

/* ---- wasi.c */
enum proto_error stream_received(hemi_client *c, const struct frame *f);
bool inputs_feed(hemi_client *c);   /* true: something was queued */
void wasi_end(struct hemi_wasi *w); /* its streams are no more */
void wasi_unlink(struct hemi_wasi *w);

/* ---- loop.c */
int64_t now_ms(void);
/* Does what can be done, then sleeps at most until `until` (ms; 0: for ever) for more. waited may be NULL. */
hemi_status step(hemi_client *c, const struct request *waited, int64_t until);
/* As frame_writer_reserve; 0: no memory, nothing was queued, and the connection goes on. */
size_t writer_try(hemi_client *c, const struct frame_out *f, uint8_t **raw);
bool send_queued(hemi_client *c); /* one or more non-blocking writes; false: the socket is full */
void client_end(hemi_client *c, hemi_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct hemi_client {
    struct origin origin;
    _Atomic uintptr_t owner; /* .inside; 0: nobody */
    uint32_t inside;
    int socket, wake; /* wake: the eventfd of hemi_client_interrupt */
    int poll_fd;      /* epoll over both, made by hemi_client_fd; -1: none */
    uint32_t poll_events;
    _Atomic bool interrupted;
    uint32_t interrupts; /* how many were passed on */
    bool welcomed, quiet, no_memfd, send_blocked;
    bool in_due; /* finalizers or `done` callbacks are running */
    bool forked; /* this is the copy in a child that a callback forked */
    bool chained;
    uint32_t deadline_ms, max_nesting, depth;
    hemi_status ended; /* HEMI_OK while the connection stands */
    char ended_text[PROTO_TEXT_MAX + 1];
    struct failure last;

    struct frame_reader reader;
    struct frame_writer writer;
    struct window window;
    uint32_t nested_requests;
    uint64_t nested_bytes;

    struct idmap requests; /* unanswered, or answered and not yet taken */
    uint32_t last_request, begun_request, unanswered;
    struct request *done_first, **done_last;
    struct idmap host_funcs; /* by host id */
    uint32_t last_host_func;
    struct idmap host_calls;               /* outstanding */
    struct host_call *calls, **calls_last; /* received, not begun */
    struct hemi_caller *running;           /* innermost */
    struct hemi_deferred *spoilt;
    struct idmap streams;
    uint32_t last_stream;
    struct hemi_wasi *inputs; /* whose guests want input */

    struct handle_space ours, theirs;
    struct drop_range *drops;
    size_t ndrops, drops_capacity;
    uint32_t drop_ids;
    struct hemi_scope *scope;

    struct extern_table externs;
    struct node *nodes;
    hemi_store *closed_stores[CLOSED_STORES]; /* a ring of the last ones, whose memory is still there */
    uint32_t next_closed;
    bool funcs_due, sent_since_sleep;
    struct hemi_client_stats stats;
};

#endif
