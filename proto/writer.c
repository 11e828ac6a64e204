/* Writing frames: one contiguous queue of bytes, and the descriptors that go with some of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/grow.h"
#include "proto/frame.h"
#include "proto/hemi.pb-c.h"

#define WRITER_CAPACITY_MIN 16384u
#define WRITER_CAPACITY_IDLE (256u << 10) /* an emptied buffer above this is given back */

static const Hemi__V1__Empty empty_body = HEMI__V1__EMPTY__INIT;

void frame_writer_init(struct frame_writer *w) { memset(w, 0, sizeof *w); }

void frame_writer_deinit(struct frame_writer *w)
{
    for (unsigned i = 0; i < w->nfds; i++) close(w->fds[i].fd);
    free(w->fds);
    free(w->buffer);
    memset(w, 0, sizeof *w);
}

static bool out_of_memory(struct frame_writer *w)
{
    if (w->error == PROTO_OK) w->error = PROTO_NO_MEMORY;
    return false;
}

/* Makes room for n more bytes at the end of the queue, and for what is kept for its last frame. */
static bool make_room(struct frame_writer *w, size_t n)
{
    n += w->kept;
    if (n <= w->capacity - w->end) return true;
    size_t queued = w->end - w->begin;
    if (w->begin > 0) {
        memmove(w->buffer, w->buffer + w->begin, queued);
        w->begin = 0;
        w->end = queued;
    }
    if (n <= w->capacity - queued) return true;
    return GROW(w->buffer, queued, n, w->capacity, WRITER_CAPACITY_MIN) || out_of_memory(w);
}

bool frame_writer_keep(struct frame_writer *w, size_t n)
{
    w->kept = n;
    return make_room(w, 0);
}

bool frame_writer_bytes(struct frame_writer *w, const void *bytes, size_t n)
{
    if (!make_room(w, n)) return false;
    memcpy(w->buffer + w->end, bytes, n);
    w->end += n;
    return true;
}

static bool queue_fd(struct frame_writer *w, int fd)
{
    if (!GROW(w->fds, w->nfds, 1, w->fds_capacity, 4)) return out_of_memory(w);
    w->fds[w->nfds].position = w->position + (w->end - w->begin);
    w->fds[w->nfds++].fd = fd;
    return true;
}

static const ProtobufCMessage *body_of(const struct frame_out *f) { return f->body ? f->body : &empty_body.base; }

size_t frame_size(const struct frame_out *f)
{
    return FRAME_HEADER_BYTES + protobuf_c_message_get_packed_size(body_of(f)) + f->raw_length;
}

/* Does the frame keep its row's caps? Ours always do; a defect must not reach the peer. */
static bool lawful(const struct frame_out *f, size_t body_length)
{
    const struct frame_info *info = frame_info(f->type);
    bool with_fd = (f->flags & FRAME_FLAG_FD) != 0;
    return info && body_of(f)->descriptor == info->body && body_length <= info->body_max &&
           f->raw_length <= info->raw_max && (!with_fd || info->fds);
}

/* A frame's header and body; its raw part follows. Returns how many bytes these two are. */
static size_t lay_out(const struct frame_out *f, size_t body_length, uint8_t *at)
{
    struct frame_header head = {.length = (uint32_t)(body_length + f->raw_length),
                                .type = f->type,
                                .flags = f->flags,
                                .request = f->request,
                                .parent = f->parent,
                                .body_length = (uint32_t)body_length};
    frame_header_write(&head, at);
    protobuf_c_message_pack(body_of(f), at + FRAME_HEADER_BYTES);
    return FRAME_HEADER_BYTES + body_length;
}

size_t frame_pack(const struct frame_out *f, uint8_t *out, size_t room)
{
    size_t size = frame_size(f);
    bool ours = lawful(f, size - FRAME_HEADER_BYTES - f->raw_length);
    CHECK(ours);
    if (!ours || size > room) return 0;
    size_t at = lay_out(f, size - FRAME_HEADER_BYTES - f->raw_length, out);
    if (f->raw_length != 0) memcpy(out + at, f->raw, f->raw_length);
    return size;
}

size_t frame_writer_reserve(struct frame_writer *w, const struct frame_out *f, uint8_t **raw)
{
    size_t size = frame_size(f), body_length = size - FRAME_HEADER_BYTES - f->raw_length;
    bool with_fd = (f->flags & FRAME_FLAG_FD) != 0;
    bool ours = lawful(f, body_length);
    CHECK(ours);
    if (!ours && w->error == PROTO_OK) w->error = PROTO_LENGTH;
    if (!ours || !make_room(w, size) || (with_fd && !queue_fd(w, f->fd))) {
        if (with_fd) close(f->fd);
        return 0;
    }
    uint8_t *at = w->buffer + w->end;
    *raw = at + lay_out(f, body_length, at);
    w->end += size;
    return size;
}

size_t frame_writer_put(struct frame_writer *w, const struct frame_out *f)
{
    uint8_t *raw;
    size_t size = frame_writer_reserve(w, f, &raw);
    if (size != 0 && f->raw_length != 0) memcpy(raw, f->raw, f->raw_length);
    return size;
}

size_t frame_writer_put_last(struct frame_writer *w, const struct frame_out *f)
{
    if (w->error == PROTO_NO_MEMORY) w->error = PROTO_OK; /* what did not fit was not queued: the rest is whole */
    w->kept = 0;
    return frame_writer_put(w, f);
}

/* What one sendmsg may carry: up to the next descriptor's frame, which begins its own (.once). */
static size_t next_piece(const struct frame_writer *w, bool *with_fd)
{
    size_t queued = w->end - w->begin;
    unsigned next = 0;
    *with_fd = w->nfds > 0 && w->fds[0].position == w->position;
    if (*with_fd) next = 1;
    if (next < w->nfds && w->fds[next].position - w->position < queued)
        return (size_t)(w->fds[next].position - w->position);
    return queued;
}

/* The buffer is empty, and larger than it need be. */
static void give_back(struct frame_writer *w)
{
    size_t capacity = w->kept;
    uint8_t *smaller = capacity > 0 ? realloc(w->buffer, capacity) : NULL;
    if (capacity > 0 && !smaller) return;
    if (capacity == 0) free(w->buffer);
    w->buffer = smaller;
    w->capacity = capacity;
}

static void sent(struct frame_writer *w, size_t n, bool with_fd)
{
    if (with_fd) {
        close(w->fds[0].fd);
        w->nfds--;
        memmove(&w->fds[0], &w->fds[1], w->nfds * sizeof *w->fds);
    }
    w->begin += n;
    w->position += n;
    if (w->begin < w->end) return;
    w->begin = w->end = 0;
    if (w->capacity > WRITER_CAPACITY_IDLE) give_back(w);
}

static void attach_fd(struct msghdr *message, void *control, size_t size, int fd)
{
    memset(control, 0, size);
    message->msg_control = control;
    message->msg_controllen = size;
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

bool frame_writer_send(struct frame_writer *w, int socket)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    if (w->error != PROTO_OK) return false;
    if (w->begin == w->end) return true;
    bool with_fd;
    struct iovec io = {.iov_base = w->buffer + w->begin, .iov_len = next_piece(w, &with_fd)};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
    if (with_fd) attach_fd(&message, &control, sizeof control, w->fds[0].fd);
    ssize_t n;
    do {
        n = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS)) return false;
    if (n < 0) {
        w->error = errno == EPIPE || errno == ECONNRESET ? PROTO_END : PROTO_IO;
        return false;
    }
    sent(w, (size_t)n, with_fd);
    return true;
}
