/* Reading frames: a buffer that grows as bytes really come, and the descriptors that came with them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "proto/frame.h"
#include "proto/value.h"

#define READER_CAPACITY_MIN 65536u
#define DISCARD_BYTES 16384u
#define DISCARDS_MAX 64u       /* more than a socket's buffer has */
#define READER_SMALL_READS 16u /* after so many a buffer that was larger is given back */

void frame_reader_init(struct frame_reader *r, enum frame_sender from, enum frame_state state)
{
    memset(r, 0, offsetof(struct frame_reader, arena)); /* the arena needs no zeroing */
    r->from = from;
    r->state = state;
    r->arena.used = 0;
}

void frame_fd_close(int fd)
{
    if (fd == FRAME_FD_LOST) return;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){0, 0}, sizeof(struct linger));
    close(fd);
}

static void close_fds(struct frame_reader *r)
{
    for (unsigned i = 0; i < r->nfds; i++) frame_fd_close(r->fds[i].fd);
    r->nfds = 0;
}

void frame_reader_deinit(struct frame_reader *r)
{
    close_fds(r);
    free(r->buffer);
    r->buffer = NULL;
    r->begin = r->end = r->capacity = 0;
}

static enum frame_next fail(struct frame_reader *r, enum proto_error error)
{
    if (r->error == PROTO_OK) r->error = error;
    close_fds(r);
    return FRAME_FAILED;
}

/* The frame under way fits, or at least twice what has come: a claimed length alone costs no memory. */
static size_t wanted_capacity(const struct frame_reader *r)
{
    size_t have = r->end - r->begin, want = READER_CAPACITY_MIN;
    if (have >= FRAME_HEADER_BYTES) {
        size_t frame = FRAME_HEADER_BYTES + (size_t)wire_get_u32(r->buffer + r->begin);
        size_t grown = 2 * have;
        if (frame > FRAME_MAX) frame = FRAME_MAX;
        if (frame > want) want = frame < grown ? frame : grown;
    }
    return want < have + FRAME_HEADER_BYTES ? have + FRAME_HEADER_BYTES : want;
}

/* Between frames, when no large one has come for a while. */
static void shrink(struct frame_reader *r)
{
    if (r->small < READER_SMALL_READS || r->begin != r->end || r->capacity <= READER_CAPACITY_MIN) return;
    free(r->buffer);
    r->buffer = NULL;
    r->begin = r->end = r->capacity = 0;
}

uint8_t *frame_reader_room(struct frame_reader *r, size_t *room)
{
    shrink(r);
    size_t want = wanted_capacity(r);
    if (r->begin > 0 && r->begin + want > r->capacity) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (want > r->capacity) {
        uint8_t *grown = realloc(r->buffer, want);
        if (!grown) {
            fail(r, PROTO_NO_MEMORY);
            return NULL;
        }
        r->buffer = grown;
        r->capacity = want;
    }
    *room = r->capacity - r->end;
    return r->buffer + r->end;
}

void frame_reader_fed(struct frame_reader *r, size_t n)
{
    CHECK(n <= r->capacity - r->end);
    uint64_t first = r->position + (r->end - r->begin);
    for (unsigned i = 0; i < r->nfds; i++)
        if (r->fds[i].first == first) r->fds[i].last = first + n;
    r->end += n;
    r->small = r->end - r->begin < READER_CAPACITY_MIN ? r->small + 1 : 0;
}

void frame_reader_fed_fd(struct frame_reader *r, int fd)
{
    if (r->error != PROTO_OK || r->nfds == FRAME_FDS_MAX) {
        frame_fd_close(fd);
        fail(r, PROTO_FD_UNEXPECTED);
        return;
    }
    uint64_t first = r->position + (r->end - r->begin);
    r->fds[r->nfds].first = r->fds[r->nfds].last = first;
    r->fds[r->nfds++].fd = fd;
}

void frame_reader_fed_end(struct frame_reader *r) { r->ended = true; }

/* A descriptor whose read lies wholly before the next frame was claimed by nobody (.once). */
static bool fd_orphaned(const struct frame_reader *r) { return r->nfds > 0 && r->fds[0].last <= r->position; }

/* The frame under way goes on beyond all that came, so no other frame begins there (.one-fd). */
static bool fd_of_no_frame(const struct frame_reader *r)
{
    return r->nfds > 1 || (r->nfds == 1 && r->fds[0].first > r->position);
}

static enum frame_next nothing_more(struct frame_reader *r)
{
    if (fd_of_no_frame(r)) return fail(r, PROTO_FD_UNEXPECTED);
    if (!r->ended) return FRAME_NONE;
    return fail(r, r->begin == r->end ? PROTO_END : PROTO_TRUNCATED);
}

/* The descriptor that came with the read in which this frame begins (.once). */
static enum proto_error claim_fd(struct frame_reader *r, struct frame *out)
{
    out->fd = -1;
    if (!(out->head.flags & FRAME_FLAG_FD)) return PROTO_OK;
    if (r->nfds == 0 || r->fds[0].first > r->position) return PROTO_FD_MISSING;
    out->fd = r->fds[0].fd;
    r->nfds--;
    memmove(&r->fds[0], &r->fds[1], r->nfds * sizeof r->fds[0]);
    return PROTO_OK;
}

enum frame_next frame_reader_next(struct frame_reader *r, struct frame *out)
{
    if (r->error != PROTO_OK) return FRAME_FAILED;
    if (fd_orphaned(r)) return fail(r, PROTO_FD_UNEXPECTED);
    size_t have = r->end - r->begin;
    if (have < FRAME_HEADER_BYTES) return nothing_more(r);
    const uint8_t *at = r->buffer + r->begin;
    enum proto_error e = frame_header_read(at, r->from, r->state, &out->head, &out->info);
    if (e != PROTO_OK) return fail(r, e);
    if (have < frame_bytes(out)) return nothing_more(r);

    at += FRAME_HEADER_BYTES;
    out->raw = at + out->head.body_length;
    out->raw_length = out->head.length - out->head.body_length;
    e = proto_unpack(&r->arena, out->info->body, at, out->head.body_length, &out->body);
    if (e != PROTO_OK) return fail(r, e);
    e = claim_fd(r, out);
    if (e != PROTO_OK) return fail(r, e);
    r->begin += frame_bytes(out);
    r->position += frame_bytes(out);
    return FRAME_READY;
}

static void close_passed(struct frame_reader *nobody, int fd)
{
    (void)nobody;
    frame_fd_close(fd);
}

/* Takes the descriptors out of the control data; whatever is not SCM_RIGHTS has no business here. Returns whether there
 * were any. */
static bool take_passed(struct msghdr *message, void (*take)(struct frame_reader *r, int fd), struct frame_reader *r)
{
    bool any = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            take(r, fd);
            any = true;
        }
    }
    return any;
}

/* Where some were cut off and none is there, the table of descriptors had no room for the one that may come at a time.
 */
static void take_control(struct frame_reader *r, struct msghdr *message)
{
    bool any = take_passed(message, frame_reader_fed_fd, r);
    if (!(message->msg_flags & MSG_CTRUNC)) return;
    if (any)
        fail(r, PROTO_FD_TRUNCATED);
    else
        frame_reader_fed_fd(r, FRAME_FD_LOST);
}

/* Room for all that can be passed at once: what does not fit is closed by the kernel, in this thread. */
union passed {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FRAME_FDS_PASSED_MAX * sizeof(int))];
};

void frame_fds_discard(int socket)
{
    uint8_t bytes[DISCARD_BYTES];
    union passed control;
    struct iovec io = {bytes, sizeof bytes};
    shutdown(socket, SHUT_RD);
    for (unsigned i = 0; i < DISCARDS_MAX; i++) {
        struct msghdr message = {
            .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) return;
        take_passed(&message, close_passed, NULL);
    }
}

bool frame_reader_recv(struct frame_reader *r, int socket)
{
    union passed control;
    size_t room;
    uint8_t *at = frame_reader_room(r, &room);
    if (!at) return true;
    struct iovec io = {.iov_base = at, .iov_len = room};
    struct msghdr message = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;
    do {
        n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (n < 0 && errno == ECONNRESET) { /* the peer died with our bytes unread: an end like any other */
        frame_reader_fed_end(r);
        return true;
    }
    if (n < 0) {
        fail(r, PROTO_IO);
        return true;
    }
    take_control(r, &message);
    if (n == 0) frame_reader_fed_end(r);
    frame_reader_fed(r, (size_t)n);
    return true;
}
