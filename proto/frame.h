/* proto/frame.h -- frames: header, body, raw part; reading and writing them without I/O of their own.
 *
 * School of checking: bytes from a peer are never trusted: every defect is an enum proto_error, nothing asserts on
 * them, and after an error the reader yields nothing more. What our own side passes to a writer is asserted.
 *
 * Who owns what: a reader owns its buffer and the descriptors it was fed until a frame claims them; a frame returned by
 * frame_reader_next borrows the reader's memory until the next call on that reader, and owns its descriptor (close it
 * or take it). A writer owns what is queued, descriptors included. Threads: one object, one thread at a time.
 *
 * Invariants, cited by tag:
 *   .cap      Both parts of a frame are checked against its type's caps when its header is read, before its bytes are
 *             waited for or unpacked.
 *   .arena    A body is unpacked into PROTO_ARENA_BYTES and nothing else, however it is made.
 *   .once     A descriptor belongs to exactly one frame: that whose first byte it came with. Also one that was lost,
 *             for our table of descriptors was full: its frame says so, and nothing else is wrong.
 *   .one-fd   Between two reads a reader holds at most one descriptor: that of the frame under way.
 */
#ifndef HEMI_PROTO_FRAME_H
#define HEMI_PROTO_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frames.h"
#include "proto/limits.h"

/* name, number, text. Numbers are on the wire (Close.error): never renumber or reuse one. */
#define PROTO_ERRORS(X)                                                                                                \
    X(OK, 0, "no error")                                                                                               \
    X(END, 1, "the stream ended")                                                                                      \
    X(TRUNCATED, 2, "the stream ended inside a frame")                                                                 \
    X(LENGTH, 3, "length and body length contradict each other")                                                       \
    X(TYPE, 4, "unknown frame type")                                                                                   \
    X(SENDER, 5, "this side may not send this frame type")                                                             \
    X(STATE, 6, "this frame type is not allowed now")                                                                  \
    X(FLAGS, 7, "unknown or misplaced flag")                                                                           \
    X(RESERVED, 8, "a reserved field is not zero")                                                                     \
    X(BODY_CAP, 9, "the body is longer than its type allows")                                                          \
    X(RAW_CAP, 10, "the raw part is longer than its type allows")                                                      \
    X(BODY, 11, "the body does not parse")                                                                             \
    X(FIELD, 12, "the body has an unknown field")                                                                      \
    X(REQUEST_ID, 13, "a request id is zero, in use, or does not belong here")                                         \
    X(PARENT, 14, "the parent names no outstanding host call")                                                         \
    X(RAW, 15, "the raw part is not what its type says")                                                               \
    X(VALUE, 16, "a value is malformed")                                                                               \
    X(WINDOW, 17, "more unanswered requests or bytes than the window allows")                                          \
    X(CREDIT, 18, "more stream data than the credit allows")                                                           \
    X(STREAM, 19, "no such stream, or it has ended")                                                                   \
    X(FD_UNEXPECTED, 20, "a descriptor came without a frame that declares it")                                         \
    X(FD_MISSING, 21, "a frame declares a descriptor that did not come")                                               \
    X(FD_TRUNCATED, 22, "descriptors or control data were cut off")                                                    \
    X(HELLO, 23, "the first bytes are not a HELLO")                                                                    \
    X(VERSION, 24, "another major version")                                                                            \
    X(HANDLE, 25, "a handle id is zero, in use, or outside the client's range")                                        \
    X(DEATH, 26, "a death notice counts more than was sent")                                                           \
    X(NO_MEMORY, 27, "out of memory")                                                                                  \
    X(IO, 28, "the socket failed; errno says how")

enum proto_error {
#define X(name, number, text) PROTO_##name = number,
    PROTO_ERRORS(X)
#undef X
};

/* Static texts; never NULL, also for numbers that name nothing. */
const char *proto_error_text(enum proto_error e);
const char *frame_type_name(unsigned type); /* "CALL"; "?" if unknown */

/* What a row of proto/frames.h says, at run time. */
struct frame_info {
    uint16_t type;
    uint8_t sender; /* enum frame_sender */
    uint8_t fds;
    uint8_t credit;
    uint8_t states; /* enum frame_state bits */
    uint8_t answer; /* enum frame_answer */
    uint32_t body_max, raw_max;
    const ProtobufCMessageDescriptor *body;
    const char *name;
    const char *raw_text;
};

/* The row of `type`, or NULL. frame_table lists all rows in table order. */
const struct frame_info *frame_info(unsigned type);
const struct frame_info *frame_table(size_t *count);
static inline bool frame_is_request(const struct frame_info *i) { return i->answer <= FRAME_R_JSON; }

struct frame_header {
    uint32_t length; /* of everything after the header */
    uint16_t type;
    uint16_t flags;
    uint32_t request;
    uint32_t parent;
    uint32_t body_length;
};

void frame_header_write(const struct frame_header *h, uint8_t out[FRAME_HEADER_BYTES]);
/* Reads and checks a header against its row (.cap), the sender and the state; *info is its row. */
enum proto_error frame_header_read(const uint8_t in[FRAME_HEADER_BYTES], enum frame_sender from, enum frame_state state,
                                   struct frame_header *h, const struct frame_info **info);

/* ---- unpacking (.arena) */
struct proto_arena {
    size_t used;
    _Alignas(16) uint8_t bytes[PROTO_ARENA_BYTES];
};
/* Unpacks a body into the arena, whose former content is forgotten. Errors: BODY, FIELD. The message lives as long as
 * the arena is neither reused nor freed; it is not freed by itself. */
enum proto_error proto_unpack(struct proto_arena *arena, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                              size_t length, const ProtobufCMessage **out);

/* ---- reading */
struct frame {
    struct frame_header head;
    const struct frame_info *info;
    const ProtobufCMessage *body; /* of type info->body */
    const uint8_t *raw;           /* borrowed */
    uint32_t raw_length;
    int fd; /* -1: none */
};
#define FRAME_FD_LOST (-2) /* of a frame that has one */
static inline uint32_t frame_bytes(const struct frame *f) { return FRAME_HEADER_BYTES + f->head.length; }

struct frame_reader {
    uint8_t *buffer;
    size_t begin, end, capacity;
    uint64_t position; /* stream position of buffer[begin] */
    struct {
        uint64_t first, last; /* stream positions of the read that brought it: its frame begins there (.once) */
        int fd;               /* or FRAME_FD_LOST */
    } fds[FRAME_FDS_MAX];
    unsigned nfds;
    enum frame_sender from;
    enum frame_state state; /* set by the owner as the connection advances */
    enum proto_error error; /* sticky */
    bool ended;
    unsigned small; /* reads in a row that a small buffer would have been enough for */
    struct proto_arena arena;
};

/* `from` is who sends what is read. Allocates nothing yet; cannot fail. */
void frame_reader_init(struct frame_reader *r, enum frame_sender from, enum frame_state state);
void frame_reader_deinit(struct frame_reader *r); /* also closes unclaimed descriptors */

/* Room for at least FRAME_HEADER_BYTES bytes, as much as the frame under way needs and more; NULL when memory is out
 * (PROTO_NO_MEMORY sticks). Invalidates frames returned before. Then frame_reader_fed says how many bytes came. */
uint8_t *frame_reader_room(struct frame_reader *r, size_t *room);
void frame_reader_fed(struct frame_reader *r, size_t n);
/* The read about to be reported by frame_reader_fed brought this descriptor (or FRAME_FD_LOST). Owned from here on. */
void frame_reader_fed_fd(struct frame_reader *r, int fd);

/* Closes a descriptor that came from a peer. The last close of a socket that lingers would wait for somebody else. */
void frame_fd_close(int fd);

/* Receives what waits at a socket that is about to be closed, and closes the descriptors that are among it. */
void frame_fds_discard(int socket);

void frame_reader_fed_end(struct frame_reader *r);

enum frame_next { FRAME_NONE, FRAME_READY, FRAME_FAILED };
/* FRAME_READY: *out is a frame. FRAME_NONE: feed more. FRAME_FAILED: r->error says why (PROTO_END after an orderly end
 * between frames); it stays so. */
enum frame_next frame_reader_next(struct frame_reader *r, struct frame *out);

/* One recvmsg into the reader (never blocks, close-on-exec, MSG_CTRUNC checked). True: something came, or the end, or
 * an error (now in the reader): call frame_reader_next. False: nothing to read now. */
bool frame_reader_recv(struct frame_reader *r, int socket);

/* ---- writing */
struct frame_writer {
    uint8_t *buffer;
    size_t begin, end, capacity;
    uint64_t position; /* stream position of buffer[begin] */
    struct {
        uint64_t position; /* of its frame's first byte */
        int fd;
    } *fds;
    unsigned nfds, fds_capacity;
    size_t kept;            /* bytes of the buffer that only the last frame may use */
    enum proto_error error; /* sticky: IO or NO_MEMORY or END (the peer is gone) */
};

void frame_writer_init(struct frame_writer *w);
void frame_writer_deinit(struct frame_writer *w);
static inline size_t frame_writer_pending(const struct frame_writer *w) { return w->end - w->begin; }

struct frame_out {
    uint16_t type;
    uint16_t flags;
    uint32_t request;
    uint32_t parent;
    const ProtobufCMessage *body; /* NULL: Empty */
    const void *raw;              /* may be NULL with raw_length 0 */
    size_t raw_length;
    int fd; /* with FRAME_FLAG_FD: given away, also on failure */
};
/* Queues a frame, which must keep its row's caps (asserted; in release PROTO_LENGTH sticks). Returns the frame's size
 * in bytes, or 0 when memory is out (nothing is queued then; PROTO_NO_MEMORY sticks in w->error). */
size_t frame_writer_put(struct frame_writer *w, const struct frame_out *f);
/* As frame_writer_put, but leaves the raw part to the caller: *raw points at f->raw_length bytes to be filled in before
 * any other call on `w`. f->raw is not looked at. */
size_t frame_writer_reserve(struct frame_writer *w, const struct frame_out *f, uint8_t **raw);
/* Keeps n bytes for one last frame, which can be queued when there is no memory any more. False: no memory. */
bool frame_writer_keep(struct frame_writer *w, size_t n);
/* Queues the last frame, of at most the bytes kept, behind what was queued before memory was out. */
size_t frame_writer_put_last(struct frame_writer *w, const struct frame_out *f);
/* Lays a frame without a descriptor out in `out`; its size, or 0 when that is more than `room`. */
size_t frame_pack(const struct frame_out *f, uint8_t *out, size_t room);
/* The size that a frame would have. */
size_t frame_size(const struct frame_out *f);
/* Queues bytes that are no frame (HELLO). False when memory is out. */
bool frame_writer_bytes(struct frame_writer *w, const void *bytes, size_t n);

/* One sendmsg (never blocks, no SIGPIPE). True: progress or nothing queued; false: the socket is full, or w->error. */
bool frame_writer_send(struct frame_writer *w, int socket);

#endif
