/* tests/sweep/sweep.c -- see sweep.h. What is here under a name of libc's stands before libc's own in this program. */
#include "tests/sweep/sweep.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOCATOR(name) ___interceptor_##name
#endif
#endif
#ifndef ALLOCATOR
#define ALLOCATOR(name) __libc_##name
#endif
#define EXPORTED __attribute__((visibility("default")))
#define PAGE_VARIABLE "HEMI_SWEEP_PAGE"

/* The sanitizers' own start calls some of these. */
#pragma clang attribute push(__attribute__((no_sanitize("address", "undefined"))), apply_to = function)

struct plan {
    _Atomic int kind;
    _Atomic long left; /* calls of that kind until the one that fails; 0: none will */
    _Atomic bool reached, stays;
};

static struct plan own_plans[3];
static struct plan *plans = own_plans;
static enum sweep_who role = SWEEP_SELF;
static char shared_path[256];

/* ---- plans */

void sweep_arm(enum sweep_who who, enum sweep_kind kind, long n, bool stays)
{
    plans[who].reached = false;
    plans[who].stays = stays;
    plans[who].kind = (int)kind;
    plans[who].left = n;
}

bool sweep_disarm(enum sweep_who who)
{
    plans[who].left = 0;
    plans[who].stays = false;
    return plans[who].reached;
}

void sweep_become_daemon(void) { role = SWEEP_DAEMON; }

static bool fails(enum sweep_kind kind)
{
    struct plan *p = &plans[role];
    if (p->kind != (int)kind) return false;
    if (p->left > 0 && --p->left == 0)
        p->reached = true;
    else if (!p->stays || !p->reached)
        return false;
    return true;
}

static bool no_descriptor(void)
{
    if (!fails(SWEEP_DESCRIPTORS)) return false;
    errno = EMFILE;
    return true;
}

static _Thread_local bool sanitizer_asks;

static bool no_memory(void)
{
    if (sanitizer_asks || !fails(SWEEP_MEMORY)) return false;
    errno = ENOMEM;
    return true;
}

/* HEMI_SWEEP: the n to begin with, of a sweep without gaps; 0 where CI's steps are taken. */
static long given(void)
{
    const char *how = getenv("HEMI_SWEEP");
    if (how == NULL) return 0;
    return strcmp(how, "full") == 0 ? 1 : strtol(how, NULL, 10);
}

long sweep_first(long stride)
{
    const char *seed = getenv("HEMI_SEED");
    if (given() > 0) return given();
    return 1 + (long)((seed ? strtoul(seed, NULL, 10) : 0) % (unsigned long)stride);
}

long sweep_next(long n, long stride) { return n + (given() > 0 ? 1 : stride); }

/* ---- what libc does */

void *ALLOCATOR(malloc)(size_t);
void *ALLOCATOR(calloc)(size_t, size_t);
void *ALLOCATOR(realloc)(void *, size_t);

#define REAL(name) real_##name()
#define FIND(name)                                                                                                     \
    static __typeof__(&name) real_##name(void)                                                                         \
    {                                                                                                                  \
        static __typeof__(&name) found;                                                                                \
        if (!found) *(void **)&found = dlsym(RTLD_NEXT, #name);                                                        \
        return found;                                                                                                  \
    }
FIND(open)
FIND(openat)
FIND(fopen)
FIND(socket)
FIND(socketpair)
FIND(pipe2)
FIND(accept4)
FIND(memfd_create)
FIND(epoll_create1)
FIND(eventfd)
FIND(dup)
FIND(fcntl)
FIND(recvmsg)
FIND(fork)
FIND(mmap)
FIND(mprotect)
FIND(syscall)
FIND(pthread_getattr_np)

/* ---- memory */

/* The sanitizer asks for each new thread, and ends the process when libc has no memory to say where the stack is. */
EXPORTED int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
    sanitizer_asks = true;
    int error = REAL(pthread_getattr_np)(thread, attr);
    sanitizer_asks = false;
    return error;
}

EXPORTED void *malloc(size_t n) { return no_memory() ? NULL : ALLOCATOR(malloc)(n); }
EXPORTED void *calloc(size_t count, size_t n) { return no_memory() ? NULL : ALLOCATOR(calloc)(count, n); }
EXPORTED void *realloc(void *old, size_t n) { return no_memory() ? NULL : ALLOCATOR(realloc)(old, n); }

EXPORTED void *reallocarray(void *old, size_t count, size_t size)
{
    size_t n;
    if (!__builtin_mul_overflow(count, size, &n)) return realloc(old, n);
    errno = ENOMEM;
    return NULL;
}

EXPORTED void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    return no_memory() ? MAP_FAILED : REAL(mmap)(at, n, protection, flags, fd, offset);
}

EXPORTED int mprotect(void *at, size_t n, int protection)
{
    return no_memory() ? -1 : REAL(mprotect)(at, n, protection);
}

/* ---- descriptors and processes */

EXPORTED int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return no_descriptor() ? -1 : REAL(open)(path, flags, mode);
}

EXPORTED int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return no_descriptor() ? -1 : REAL(openat)(dir, path, flags, mode);
}

EXPORTED FILE *fopen(const char *path, const char *mode) { return no_descriptor() ? NULL : REAL(fopen)(path, mode); }
EXPORTED int socket(int family, int type, int protocol)
{
    return no_descriptor() ? -1 : REAL(socket)(family, type, protocol);
}
EXPORTED int socketpair(int family, int type, int protocol, int pair[2])
{
    return no_descriptor() ? -1 : REAL(socketpair)(family, type, protocol, pair);
}
EXPORTED int pipe2(int pair[2], int flags) { return no_descriptor() ? -1 : REAL(pipe2)(pair, flags); }
EXPORTED int accept4(int fd, struct sockaddr *address, socklen_t *n, int flags)
{
    return no_descriptor() ? -1 : REAL(accept4)(fd, address, n, flags);
}
EXPORTED int memfd_create(const char *name, unsigned flags)
{
    return no_descriptor() ? -1 : REAL(memfd_create)(name, flags);
}
EXPORTED int epoll_create1(int flags) { return no_descriptor() ? -1 : REAL(epoll_create1)(flags); }
EXPORTED int eventfd(unsigned count, int flags) { return no_descriptor() ? -1 : REAL(eventfd)(count, flags); }
EXPORTED int dup(int fd) { return no_descriptor() ? -1 : REAL(dup)(fd); }

EXPORTED int fcntl(int fd, int command, ...)
{
    va_list ap;
    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && no_descriptor()) return -1;
    return REAL(fcntl)(fd, command, argument);
}

EXPORTED pid_t fork(void)
{
    if (!no_descriptor()) return REAL(fork)();
    errno = EAGAIN;
    return -1;
}

/* A full table loses the descriptors that a message brings, and the message says so. */
EXPORTED ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
    ssize_t got = REAL(recvmsg)(fd, header, flags);
    struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(header) : NULL;
    if (c == NULL || c->cmsg_type != SCM_RIGHTS || !fails(SWEEP_DESCRIPTORS)) return got;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
        int lost;
        memcpy(&lost, (char *)c + at, sizeof lost);
        close(lost);
    }
    header->msg_controllen = 0;
    header->msg_flags |= MSG_CTRUNC;
    return got;
}

/* A worker gets no environment, yet it is to know of the plans. */
static long execute(long fd, long path, char *const *arguments, char *const *environment, long flags)
{
    char variable[sizeof shared_path + sizeof PAGE_VARIABLE + 1];
    char *more[8];
    size_t n = 0;
    while (environment[n] != NULL && n < sizeof more / sizeof *more - 2) more[n] = environment[n], n++;
    snprintf(variable, sizeof variable, "%s=%s", PAGE_VARIABLE, shared_path);
    more[n] = variable;
    more[n + 1] = NULL;
    return REAL(syscall)(SYS_execveat, fd, path, arguments, more, flags);
}

EXPORTED long syscall(long number, ...)
{
    va_list ap;
    long a[6];
    va_start(ap, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_pidfd_open && no_descriptor()) return -1;
    if (number == SYS_execveat && shared_path[0] != 0)
        return execute(a[0], a[1], (char *const *)a[2], (char *const *)a[3], a[4]);
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- sharing */

static bool map_plans(const char *path)
{
    int fd = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool sized = ftruncate(fd, sizeof own_plans) == 0;
    void *at = sized ? REAL(mmap)(NULL, sizeof own_plans, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (at == MAP_FAILED) return false;
    plans = at;
    snprintf(shared_path, sizeof shared_path, "%s", path);
    return true;
}

bool sweep_share(const char *path) { return map_plans(path); }

__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *path = getenv(PAGE_VARIABLE);
    if (argc > 1 && strcmp(argv[1], "--worker") == 0) role = SWEEP_WORKER;
    if (path != NULL && role == SWEEP_WORKER && !map_plans(path)) abort();
}

#pragma clang attribute pop
