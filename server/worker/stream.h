/* server/worker/stream.h -- one-way, credit-limited streams of bytes between a guest's WASI object and the client.
 *
 * School of checking: data, credit and ends come from a PEER: PROTO_CREDIT, PROTO_STREAM.
 * Ownership: WASI objects hold streams, the connection's map and their store's list know them until they end: when
 * the guest closes the last descriptor, when the WASI object goes, or with the store. An ended stream leaves nothing
 * behind: frames for it may still be on their way, and so the worker ignores those for ids up to the highest one that
 * was ever used (connection.last_stream) and that are not in use.
 *
 * Invariants:
 *   .granted  Input that came never exceeds what was granted, and no more is granted than fits `data`.
 *   .open     A stream is in the map and on its store's list exactly as long as it is not `closed`. Those of an ended
 *             store are closed by the grave, and do not count before: their ids are free. */
#ifndef HEMI_SERVER_WORKER_STREAM_H
#define HEMI_SERVER_WORKER_STREAM_H

#include <sys/queue.h>

#include "proto/frame.h"
#include "server/scheduler/scheduler.h"

struct connection;
struct wstore;

enum { STREAM_INPUT_BYTES = 65536, STREAM_CHUNK = 65536, STREAM_UNITS = 3 /* of one that ends */ };

struct stream {
    struct connection *conn;
    struct wstore *store;        /* borrowed: it ends the stream */
    LIST_ENTRY(stream) of_store; /* .open */
    uint32_t id, refs;           /* refs: WASI objects and the connection's map */
    bool input, eof, closed;
    uint64_t credit;           /* output: what may be sent; input: what the client may still send */
    struct activation *waiter; /* the fiber that waits for data or credit */
    uint8_t *data;             /* input: STREAM_INPUT_BYTES, [begin, end) is unread */
    uint32_t begin, end;
};

/* Whether a client may give this id to a new stream. */
bool stream_id_free(const struct connection *c, uint32_t id);
/* A connection may have as many streams as handles. */
bool stream_has_room(const struct connection *c);
/* NULL: no memory. One reference for the caller. */
struct stream *stream_new(struct connection *c, struct wstore *s, uint32_t id, bool input, uint64_t credit);
void stream_unref(struct stream *s); /* NULL is allowed */
/* The client has used this id, for a stream or for one that came to nothing. */
void stream_id_used(struct connection *c, uint32_t id);
/* Frames from the client. */
enum proto_error stream_frame(struct connection *c, const struct frame *f);
/* The worker's side ends a stream, of either direction, and says so: STREAM_EOF. Idempotent. */
void stream_close(struct stream *s);
/* Ends one whose maker failed, saying nothing. Idempotent. */
void stream_end(struct stream *s);
/* Ends those of an ended store, or of an ended connection, saying nothing. True: no units were left for some. */
bool streams_end_some(struct wstore *store, uint32_t *units);
bool streams_forget_some(struct connection *c, uint32_t *units);

/* On a fiber. Waits until at least one byte may be sent, and reserves room for at most `n`: *room bytes at *at, to be
 * filled in at once. *room 0: the stream is closed. OK, or why the activation is to stop. */
enum hemi_status stream_reserve(struct stream *s, size_t n, uint8_t **at, size_t *room);
/* On a fiber. Waits for input; *n bytes at *at (0: end of file) until stream_consume. */
enum hemi_status stream_await(struct stream *s, const uint8_t **at, size_t *n);
void stream_consume(struct stream *s, size_t n);
/* Input: would stream_await return at once? */
bool stream_ready(const struct stream *s);
/* On a fiber, which it wakes whenever input comes or ends: asks the client for some. To be followed by stream_unwatch
 * before anything else of the stream. */
void stream_watch(struct stream *s);
void stream_unwatch(struct stream *s);

#endif
