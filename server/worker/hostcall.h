/* server/worker/hostcall.h -- functions whose bodies are in the client, and their calls.
 *
 * School of checking: HOST_REPLY is a PEER's: form ends the connection, content traps the guest.
 *
 * Life of a call: the guest's fiber makes it, sends HOST_CALL, and waits. Requests that name it as parent are its
 * children; those on its own store run in its lane, on fibers of their own, while the caller waits. It ends when the
 * client's HOST_REPLY has come and all children are answered; or, when the caller is to stop, once the children on its
 * own store have been stopped (they are deeper in the same store). It is then ABANDONED: the client still owes the
 * reply.
 *
 * Invariants:
 *   .nest  The caller's fiber goes on only when no request is in the call's lane. */
#ifndef HEMI_SERVER_WORKER_HOSTCALL_H
#define HEMI_SERVER_WORKER_HOSTCALL_H

#include <sys/queue.h>

#include "proto/window.h"
#include "server/worker/request.h"

enum { HOST_CALLS_MAX = 1 << 16 /* outstanding on one connection, abandoned ones included */ };

struct host_call {
    uint32_t refs; /* the connection's map, the caller, each child */
    uint32_t id;
    struct request *request; /* whose activation waits; NULL: abandoned */
    struct connection *conn;
    struct wstore *store; /* counted */
    struct lane lane;
    struct window window;
    LIST_HEAD(, request) children; /* unanswered requests that name it */
    uint32_t nested;               /* those of them that touch its store */
    uint32_t depth;
    bool replied;
    enum hemi_status status; /* the reply's */
    int32_t exit_code;
    char message[240];
    uint8_t *raw; /* its values */
    size_t raw_length;
    struct object **pins;
    uint32_t npins;
    const valtype *types;        /* of its results; borrowed from its function, which lives as long as its store */
    uint32_t nresults, ncounted; /* of the values whose externs are counted */
};

/* Makes a host function of a store. `type_id` or, if it is TYPE_NONE, `vals`. */
enum hemi_status hostcall_func_new(struct wstore *s, uint64_t host, uint32_t type_id, const valtype *vals,
                                   uint32_t nparams, uint32_t nresults, uint32_t *func);
/* HOST_REPLY has come. */
enum proto_error hostcall_reply(struct connection *c, const struct frame *f);
struct host_call *hostcall_ref(struct host_call *h);
void hostcall_unref(struct host_call *h);
/* Abandoned, or about to be: nothing more may be made inside it, or its client could keep the caller for ever. */
static inline bool hostcall_over(const struct host_call *h) { return !h->request || h->request->act.stop != HEMI_OK; }
/* A child was read, or answered. */
void hostcall_add_child(struct host_call *h, struct request *r);
void hostcall_remove_child(struct host_call *h, struct request *r);

#endif
