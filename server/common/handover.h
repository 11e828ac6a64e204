/* server/common/handover.h -- the control messages between the supervisor and a worker, and how they travel.
 *
 * The channel is a SOCK_SEQPACKET socket pair: one message per packet, at most one descriptor with it, only for the
 * types that declare one. Both ends are the same executable, so a message is a fixed-layout C struct behind a header;
 * length, type and direction are checked all the same, because a worker may be taken over by its guest.
 *
 * School of checking: the supervisor reads a PEER's bytes here: error returns, never assertions.
 *
 * The protocol:
 *   BOOT      down, first: who you are. Read before the jail.
 *   STATUS    up: READY once the jail is closed and the loop runs; IDLE before an idle exit; DRAINED after DRAIN.
 *   ADOPT     down, with the connection's socket and the HELLO that was read from it (.hello-exact: not one byte more).
 *   ADOPTED   up: the worker has the socket and answers for it. It has read nothing from the socket before it sent
 *             this (.adopt-before-read), so a worker that dies first loses none of the client's bytes: the supervisor
 *             still has its copy and hands it to another worker. On ADOPTED the supervisor closes its copy.
 *   NOT_ADOPTED up: the worker has not taken that connection, and why; nothing was read from it. The supervisor gives
 *             its copy to another worker, or refuses it by name.
 *   CLOSED    up: that connection has ended, with the status of its CLOSE.
 *   DRAIN     down: take nothing new, say CLOSE(DRAINING) to clients as their work ends, exit within the timeout.
 *   STOP      down: close everything with CLOSE(DRAINING) now and exit with 0.
 *   LOG       up: a line for the log.
 *   ASK       down: does your loop turn? One question at a time. A count in the page could be forged by a thread or a
 *             guest that has taken the process over and stopped its loop.
 *   ANSWER    up: it does; the question's nonce comes back.
 * A worker's phases come in one order: READY or JAIL_FAILED first and once, then IDLE or DRAINED, once; it speaks of
 * connections after READY only (.phase-order). One that does otherwise is not the program that was started.
 * The worker never blocks on this channel (.control-nonblock): the supervisor may be stopped. End of file means that
 * the supervisor is gone: the worker exits.
 */
#ifndef HEMI_SERVER_COMMON_HANDOVER_H
#define HEMI_SERVER_COMMON_HANDOVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/config/config.h"

/* name, number, sender (DOWN from the supervisor, UP from the worker), descriptors, body struct */
#define HANDOVER_MESSAGES(X)                                                                                           \
    X(BOOT, 1, DOWN, 0, boot)                                                                                          \
    X(ADOPT, 2, DOWN, 1, adopt)                                                                                        \
    X(DRAIN, 3, DOWN, 0, drain)                                                                                        \
    X(STOP, 4, DOWN, 0, stop)                                                                                          \
    X(STATUS, 5, UP, 0, status)                                                                                        \
    X(ADOPTED, 6, UP, 0, adopted)                                                                                      \
    X(CLOSED, 7, UP, 0, closed)                                                                                        \
    X(LOG, 8, UP, 0, log)                                                                                              \
    X(NOT_ADOPTED, 9, UP, 0, not_adopted)                                                                              \
    X(ASK, 10, DOWN, 0, ask)                                                                                           \
    X(ANSWER, 11, UP, 0, answer)

enum handover_type {
#define X(name, number, sender, fds, body) HANDOVER_##name = number,
    HANDOVER_MESSAGES(X)
#undef X
};

enum handover_side { HANDOVER_DOWN, HANDOVER_UP };

enum handover_phase { HANDOVER_READY = 1, HANDOVER_IDLE = 2, HANDOVER_DRAINED = 3, HANDOVER_JAIL_FAILED = 4 };

/* Why a worker has not adopted a connection. */
enum handover_reason {
    HANDOVER_NO_DESCRIPTOR = 1, /* its table is full: the connection's socket was lost on the way */
    HANDOVER_NO_MEMORY = 2,
    HANDOVER_LEAVING = 3 /* it ends, and had said so before */
};

#define HANDOVER_HELLO_MAX 1024u /* at least proto/hello.h's greatest HELLO */
#define HANDOVER_LOG_MAX 1024u
#define HANDOVER_DRAIN_TEXT "the daemon is shutting down" /* what clients are told, by either side */
#define HANDOVER_HOOK_MAX 64u

struct handover_boot {
    char tenant[64];
    uint64_t generation;     /* of this tenant's workers, from 1 */
    int32_t supervisor;      /* pid */
    uint32_t private_client; /* 1: hemid --private-fd, one client only */
    uint32_t need_landlock;
    uint32_t handovers; /* descriptors that may be on their way to this worker */
    uint32_t own_user;  /* 1: it is to be uid and gid, without groups; need_rights: or not to start */
    uint32_t need_rights;
    uint32_t uid, gid;
    struct tenant_limits limits;
    char hook[HANDOVER_HOOK_MAX]; /* builds with HEMI_JAIL_TEST: what to misbehave with */
    int32_t hook_target;          /* and against which pid */
    uint32_t zero;
};

struct handover_adopt {
    uint64_t connection; /* unique in this supervisor's life */
    uint32_t uid;        /* the peer's, for logs; (uid_t)-1 when unknown */
    uint32_t hello_len;
    uint8_t hello[HANDOVER_HELLO_MAX]; /* as read from the socket */
};

struct handover_adopted {
    uint64_t connection;
};

struct handover_not_adopted {
    uint64_t connection;
    uint32_t reason; /* enum handover_reason */
    uint32_t zero;
};

struct handover_closed {
    uint64_t connection;
    uint32_t status; /* enum hemi_status */
    uint32_t zero;
};

struct handover_ask {
    uint64_t nonce; /* random, not 0 */
};

struct handover_answer {
    uint64_t nonce;
};

struct handover_drain {
    uint64_t timeout_ms;
};

struct handover_stop {
    uint64_t zero;
};

struct handover_status {
    uint32_t phase; /* enum handover_phase */
    uint32_t connections;
    uint32_t stores;
    uint32_t zero;
};

struct handover_log {
    uint32_t level; /* enum log_level */
    uint32_t len;
    char text[HANDOVER_LOG_MAX]; /* not ended by NUL; any bytes */
};

struct handover_msg {
    uint16_t type; /* enum handover_type */
    int fd;        /* the descriptor that travels with ADOPT, else -1 */
    union {
#define X(name, number, sender, fds, body) struct handover_##body body;
        HANDOVER_MESSAGES(X)
#undef X
    } u;
};

#define HANDOVER_BYTES_MAX (8u + sizeof(((struct handover_msg *)0)->u))

/* A connected pair: both ends nonblocking and close-on-exec. Returns 0 or -errno. */
int handover_pair(int *supervisor, int *worker);

/* Lays `msg` out in `out` (HANDOVER_BYTES_MAX bytes). Returns the length. `msg` is our own: its type and lengths are
 * asserted. The descriptor is not part of the bytes. */
size_t handover_encode(const struct handover_msg *msg, uint8_t *out);

/* Reads a message that `sender` may send. Returns 0, or -EPROTO for any other bytes. Sets msg->fd to -1. */
int handover_decode(const uint8_t *bytes, size_t len, enum handover_side sender, struct handover_msg *msg);

/* Sends one message, with msg->fd for ADOPT. Returns 0, -EAGAIN when the channel is full (nothing was sent),
 * -ETOOMANYREFS when too many descriptors are in flight, -EPIPE or another -errno when the peer is gone.
 * The caller keeps msg->fd. */
int handover_send(int control, const struct handover_msg *msg);

/* Receives one message that `sender` sent. Returns 1 with a message, whose fd the caller then owns, or which is -1
 * where a declared descriptor found no room in our table; 0 at the end; -EAGAIN when there is none or no memory for it
 * now; -EPROTO for a malformed one or unasked-for descriptors (they are closed); -errno. */
int handover_recv(int control, enum handover_side sender, struct handover_msg *msg);

/* The message's name, for logs; "?" for an unknown type. */
const char *handover_name(uint16_t type);

#endif
