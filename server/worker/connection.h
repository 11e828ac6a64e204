/* server/worker/connection.h -- one client's connection inside the worker: reading, the window, writing, the end.
 *
 * School of checking: everything read is a PEER's; an error of form ends this connection with CLOSE and disturbs
 * nobody.
 *
 * States. OPEN: requests are taken. ENDING: nothing is read any more; what runs is being stopped, and when it has
 * unwound what the connection has is buried; CLOSE and what was written before it still go out. When the grave has
 * emptied it and that is out, the connection is freed.
 *
 * Invariants:
 *   .always-reads  An open connection is read whenever it is readable, in its turn; what is bounded is what it may have
 *                  unanswered (the window), so memory is bounded too.
 *   .output-cap    Whoever produces output of its own accord (guests' output, host calls) first waits until there is
 *                  room: less than `output_max`, and less than the connection's share of the worker's output. A request
 *                  whose reply may be large does not begin before, and counts as if it were written from then on, so
 *                  that no finished reply waits on a fiber. Answers to the rest are bounded by the window.
 *   .unread        A request counts in its window until its reply was written, for only then can its client have read
 *                  it: one that never reads runs out of window.
 *   .one-flush     Frames queued during a turn of the loop go out together at its end: one sendmsg. */
#ifndef HEMI_SERVER_WORKER_CONNECTION_H
#define HEMI_SERVER_WORKER_CONNECTION_H

#include <sys/queue.h>
#include <uv.h>

#include "proto/frame.h"
#include "proto/window.h"
#include "server/worker/handles.h"
#include "server/worker/request.h"
#include "server/worker/state.h"
#include "server/worker/stores.h"

#define CLOSE_BYTES_MAX 512u /* of the CLOSE that we send: memory for it is kept, so that no end is without one */

/* An activation that waits until output has room; lives on its fiber. */
struct output_wait {
    struct output_wait *next;
    struct activation *act;
};

struct connection {
    struct worker *worker;
    struct account *account;     /* counted */
    LIST_ENTRY(connection) link; /* of the worker */
    uint64_t id;                 /* the supervisor's */
    int fd;
    uv_poll_t poll;
    int events; /* what it polls for */
    bool polling, ending, flushing, buried, emptied;
    enum hemi_status end_status;
    struct corpse corpse;
    struct timeout linger; /* how long CLOSE may take to go out */
    bool to_read;          /* on the worker's list of those with something to read */
    struct connection *read_prev, *read_next;
    struct frame_reader in;
    struct drop { /* what is left of a DROP; its ranges are still in `in` */
        const uint8_t *ranges;
        uint32_t left; /* bytes of them */
        uint32_t first, count;
    } drop;
    struct frame_writer out;
    uint64_t output_max;
    uint64_t promised;                   /* bytes of replies that requests under way will make */
    struct share output;                 /* those, and what is written and not sent */
    struct share stacks;                 /* what its activations claim (server/worker/request_start.c) */
    uint32_t stacks_outer, stacks_inner; /* of them: outside host calls, inside */
    struct share share_of_stores;        /* `nstores` */
    struct share types;                  /* of its modules, and of its stores' host functions */
    struct lane_list stalled;            /* lanes whose next request waits for output, or for a stack: */
    struct lane_list starved, sheltered; /* the latter with one made inside a host call */
    struct output_wait *output_waits;
    struct window window, nested; /* nested: what each host call gets */
    struct unread {               /* .unread: answered, in the order of their replies */
        uint64_t position;        /* where in the stream the reply ends */
        struct host_call *parent; /* counted; whose window it counts in, or NULL */
        uint32_t bytes;
    } *unread;
    uint32_t unread_begin, unread_end, unread_capacity;
    struct handle_table handles;
    struct idmap requests;             /* id -> request, unanswered */
    LIST_HEAD(, request) all_requests; /* unanswered */
    struct stopping stopping;
    uint32_t nrequests;
    struct outcome *last;    /* of the request read last */
    struct request *pinning; /* that one, while not all of its many handles are looked up (.in-order) */
    uint32_t pins_buried;    /* lists of handles in the grave: what they hold may count among ours */
    struct idmap calls;      /* id -> host_call, outstanding */
    uint32_t next_call;
    struct idmap streams;  /* id -> stream */
    uint32_t last_stream;  /* the highest id that was ever used */
    struct run_queue runs; /* its stores', and activations of no store */
    LIST_HEAD(, wstore) stores;
    uint32_t nstores, nmodules;
    struct wstore *deaths; /* with notices to send */
    struct connection *next_flush;
    uint64_t reads, writes, frames_in, frames_out;
    uint64_t calls_made, host_calls, externs_dead;
};

/* Takes over the socket. HELLO is read from `hello`; what is wrong with it ends the connection at once, in its own
 * words. NULL: no memory (the socket is closed). Nothing is read before connection_start (handover.h
 * .adopt-before-read). */
struct connection *connection_new(struct worker *w, int fd, uint64_t id, const uint8_t *hello, size_t hello_len);
void connection_start(struct connection *c);

/* Reads from those that have something, in turn, for one stretch; the units it took. */
uint32_t connections_read(struct worker *w);

/* Ends it in an orderly way: CLOSE with this status and text, then everything is stopped and freed. */
void connection_end(struct connection *c, enum hemi_status status, enum proto_error error, const char *text);
/* Frees what can be freed of an ending connection. True: the connection is gone. */
bool connection_reap(struct connection *c);

/* Polls for what there is to read, or to write. */
void connection_watch(struct connection *c);

/* ---- server/worker/connection_send.c */
/* Queues a frame; it is sent at the end of the turn. False: no memory, the connection ends. */
bool connection_send(struct connection *c, const struct frame_out *f);
/* A request's reply was queued (.unread). `parent`: the host call that it named, or NULL. */
void connection_answered(struct connection *c, struct host_call *parent, uint32_t bytes);
/* As connection_send, with room for a raw part, to be filled in before anything else is sent. NULL: as above. */
uint8_t *connection_reserve(struct connection *c, const struct frame_out *f);
/* The request's reply will have up to so many bytes; 0: it has come to nothing, or is about to be sent. */
void connection_promise(struct request *r, uint64_t bytes);
/* May `n` more bytes be produced? (.output-cap) */
bool connection_output_room(const struct connection *c, uint64_t n);
/* On a fiber: waits until output may be produced (.output-cap). OK, or why the activation is to stop. */
enum hemi_status connection_wait_output(struct connection *c);
/* Sends what is queued; called at the end of a turn for each marked connection. */
void connection_flush(struct connection *c);
void connection_mark_flush(struct connection *c);
/* Forgets replies that are written; at the end of the connection all of them. True: no units were left for some. */
bool connection_settle(struct connection *c, bool all, uint32_t *units);
/* It has left: nothing of it counts as output. */
void connection_output_end(struct connection *c);

#endif
