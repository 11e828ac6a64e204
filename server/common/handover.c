/* server/common/handover.c -- control messages as bytes, and as packets on the control socket. */
#include "server/common/handover.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"

#define FDS_RECEIVED_MAX 4 /* more than any type declares, so that what is unasked for is seen and closed */

/* What precedes every body. */
struct header {
    uint16_t type;
    uint16_t zero;
    uint32_t length; /* of the whole message */
};

struct row {
    const char *name;
    enum handover_side sender;
    unsigned fds;
    size_t size; /* of the body; of ADOPT and LOG the largest */
};

static const struct row rows[] = {
#define X(name, number, sender, fds, body) [number] = {#name, HANDOVER_##sender, fds, sizeof(struct handover_##body)},
    HANDOVER_MESSAGES(X)
#undef X
};

/* Fixed layout: both ends agree on every byte, so there is no padding to leak. */
_Static_assert(sizeof(struct header) == 8, "header");
_Static_assert(sizeof(struct handover_adopt) == 16 + HANDOVER_HELLO_MAX, "adopt");
_Static_assert(sizeof(struct handover_log) == 8 + HANDOVER_LOG_MAX, "log");
_Static_assert(sizeof(struct handover_status) == 16, "status");
_Static_assert(sizeof(struct handover_boot) == 104 + sizeof(struct tenant_limits) + HANDOVER_HOOK_MAX + 8, "boot");

static const struct row *find_row(uint16_t type)
{
    if (type >= sizeof rows / sizeof rows[0] || rows[type].name == NULL) return NULL;
    return &rows[type];
}

const char *handover_name(uint16_t type)
{
    const struct row *row = find_row(type);
    return row != NULL ? row->name : "?";
}

/* The body's length: ADOPT and LOG end where their bytes end. SIZE_MAX when the length in it is too large. */
static size_t body_length(const struct handover_msg *msg, const struct row *row)
{
    switch (msg->type) {
    case HANDOVER_ADOPT:
        if (msg->u.adopt.hello_len > HANDOVER_HELLO_MAX) return SIZE_MAX;
        return offsetof(struct handover_adopt, hello) + msg->u.adopt.hello_len;
    case HANDOVER_LOG:
        if (msg->u.log.len > HANDOVER_LOG_MAX) return SIZE_MAX;
        return offsetof(struct handover_log, text) + msg->u.log.len;
    default:
        return row->size;
    }
}

/* The shortest body of a type: what body_length looks at must be there. */
static size_t body_least(uint16_t type, const struct row *row)
{
    if (type == HANDOVER_ADOPT) return offsetof(struct handover_adopt, hello);
    if (type == HANDOVER_LOG) return offsetof(struct handover_log, text);
    return row->size;
}

static bool body_lawful(const struct handover_msg *msg)
{
    switch (msg->type) {
    case HANDOVER_BOOT:
        return memchr(msg->u.boot.tenant, 0, sizeof msg->u.boot.tenant) != NULL &&
               memchr(msg->u.boot.hook, 0, sizeof msg->u.boot.hook) != NULL && msg->u.boot.zero == 0;
    case HANDOVER_CLOSED:
        return msg->u.closed.zero == 0;
    case HANDOVER_NOT_ADOPTED:
        return msg->u.not_adopted.reason >= HANDOVER_NO_DESCRIPTOR && msg->u.not_adopted.reason <= HANDOVER_LEAVING &&
               msg->u.not_adopted.zero == 0;
    case HANDOVER_STATUS:
        return msg->u.status.phase >= HANDOVER_READY && msg->u.status.phase <= HANDOVER_JAIL_FAILED &&
               msg->u.status.zero == 0;
    case HANDOVER_LOG:
        return msg->u.log.level <= LOG_ERROR;
    default:
        return true;
    }
}

size_t handover_encode(const struct handover_msg *msg, uint8_t *out)
{
    const struct row *row = find_row(msg->type);
    CHECK(row != NULL);
    size_t len = body_length(msg, row);
    CHECK(len != SIZE_MAX && body_lawful(msg));
    struct header header = {.type = msg->type, .length = (uint32_t)(sizeof header + len)};
    memcpy(out, &header, sizeof header);
    memcpy(out + sizeof header, &msg->u, len);
    return sizeof header + len;
}

int handover_decode(const uint8_t *bytes, size_t len, enum handover_side sender, struct handover_msg *msg)
{
    struct header header;
    if (len < sizeof header) return -EPROTO;
    memcpy(&header, bytes, sizeof header);
    const struct row *row = find_row(header.type);
    if (row == NULL || row->sender != sender || header.zero != 0 || header.length != len) return -EPROTO;
    size_t body = len - sizeof header;
    if (body > row->size || body < body_least(header.type, row)) return -EPROTO;
    memset(msg, 0, sizeof *msg);
    msg->type = header.type;
    msg->fd = -1;
    memcpy(&msg->u, bytes + sizeof header, body);
    return body_length(msg, row) == body && body_lawful(msg) ? 0 : -EPROTO;
}

int handover_pair(int *supervisor, int *worker)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -errno;
    *supervisor = pair[0];
    *worker = pair[1];
    return 0;
}

int handover_send(int control, const struct handover_msg *msg)
{
    uint8_t bytes[HANDOVER_BYTES_MAX];
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {bytes, handover_encode(msg, bytes)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    CHECK((find_row(msg->type)->fds == 1) == (msg->fd >= 0));
    if (msg->fd >= 0) {
        header.msg_control = ancillary;
        header.msg_controllen = sizeof ancillary;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        *cmsg = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(cmsg), &msg->fd, sizeof(int));
    }
    while (sendmsg(control, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        if (errno != EINTR) return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return 0;
}

/* Takes every descriptor out of the control data. Returns how many; those beyond FDS_RECEIVED_MAX the kernel closed. */
static size_t collect_fds(struct msghdr *header, int fds[FDS_RECEIVED_MAX])
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here && count < FDS_RECEIVED_MAX; i++)
            memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return count;
}

/* What a type declares must have come, but for one that our full table has lost. */
static int check_fds(const struct handover_msg *msg, size_t nfds, bool lost)
{
    unsigned declared = find_row(msg->type)->fds;
    if (lost) return declared == 1 && nfds == 0 ? 0 : -EPROTO;
    return declared == nfds ? 0 : -EPROTO;
}

int handover_recv(int control, enum handover_side sender, struct handover_msg *msg)
{
    uint8_t bytes[HANDOVER_BYTES_MAX];
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(FDS_RECEIVED_MAX * sizeof(int))];
    struct iovec iov = {bytes, sizeof bytes};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ancillary, .msg_controllen = sizeof ancillary};
    int fds[FDS_RECEIVED_MAX];
    ssize_t got;
    /* A peer that ends with messages of ours unread makes the kernel say ECONNRESET, once, before what the peer had
     * sent: that is still to be read (.drain-control). */
    while ((got = recvmsg(control, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 &&
           (errno == EINTR || errno == ECONNRESET))
        continue;
    if (got < 0) return errno == EWOULDBLOCK || errno == ENOMEM || errno == ENOBUFS ? -EAGAIN : -errno;
    size_t nfds = collect_fds(&header, fds);
    if (got == 0 && nfds == 0 && (header.msg_flags & MSG_CTRUNC) == 0) return 0;
    int status = (header.msg_flags & MSG_TRUNC) != 0 ? -EPROTO : handover_decode(bytes, (size_t)got, sender, msg);
    if (status == 0) status = check_fds(msg, nfds, (header.msg_flags & MSG_CTRUNC) != 0);
    if (status == 0 && nfds == 1) return msg->fd = fds[0], 1;
    while (nfds > 0) close(fds[--nfds]);
    return status == 0 ? 1 : status;
}
