/* tests/unit/lingerer.h -- a descriptor whose close waits, and passing descriptors. */
#ifndef HEMI_TESTS_UNIT_LINGERER_H
#define HEMI_TESTS_UNIT_LINGERER_H

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A TCP connection whose last close waits for a peer that does not read; -1 where there is no network. */
static inline int make_lingerer(int *peer)
{
    static const char bytes[65536];
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    *peer = -1;
    if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&name, len) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&name, &len) != 0 || connect(fd, (struct sockaddr *)&name, len) != 0)
        return -1;
    *peer = accept(listener, NULL, NULL);
    close(listener);
    while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) continue;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 3600}, sizeof(struct linger)), 0);
    return fd;
}

#define PASSED_MAX 253

/* Passes `count` copies. False: the peer has closed already. */
static inline bool say_with(int fd, const void *bytes, size_t len, int passed, unsigned count)
{
    _Alignas(struct cmsghdr) char ancillary[CMSG_SPACE(PASSED_MAX * sizeof(int))] = {0};
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ancillary, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
    for (unsigned i = 0; i < count; i++) memcpy(CMSG_DATA(c) + i * sizeof passed, &passed, sizeof passed);
    ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    ck_assert_msg(sent == (ssize_t)len || errno == EPIPE, "sendmsg: %s", strerror(errno));
    return sent >= 0;
}

#endif
