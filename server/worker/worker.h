/* server/worker/worker.h -- the seam between a worker's start and its inside.
 *
 * server/worker/boot.c is the first code of a worker process: it takes its fixed descriptors, reads BOOT, maps the
 * shared page, enters the jail and calls worker_main. So worker_main runs INSIDE the jail from its first line
 * (.jail-first):
 *   - allowed system calls: JAIL_SYSCALLS in server/jail/seccomp.h (libuv's loop with uv_poll, timers and async is
 * covered; uv_fs, uv_spawn, uv_queue_work, threads, opening anything, isatty are not);
 *   - memory: mmap/mprotect/munmap/madvise without PROT_EXEC; private writable mappings count against RLIMIT_DATA
 *     (PROT_NONE reservations do not);
 *   - fstat() of glibc is newfstatat, which is refused: use lseek or syscall(SYS_fstat) for a memfd's size;
 *   - logs: HANDOVER_LOG messages, or stderr (a nonblocking pipe that the supervisor reads and caps).
 */
#ifndef HEMI_SERVER_WORKER_WORKER_H
#define HEMI_SERVER_WORKER_WORKER_H

#include "proto/limits.h"
#include "server/common/handover.h"
#include "server/common/page.h"
#include "server/config/config.h"
#include "server/jail/jail.h"

/* The descriptors that a worker is started with; everything else is closed. 0 and 1 are /dev/null. */
enum worker_fd { WORKER_FD_LOG = 2, WORKER_FD_CONTROL = 3, WORKER_FD_PAGE = 4, WORKER_FD_FIRST_FREE = 5 };

/* Exit statuses of a worker, which its supervisor names in the log. */
enum worker_exit {
    WORKER_EXIT_OK = 0,      /* idle, drained, stopped, or the supervisor is gone */
    WORKER_EXIT_BOOT = 70,   /* no valid BOOT, no page */
    WORKER_EXIT_JAIL = 71,   /* a required step of the jail failed */
    WORKER_EXIT_MEMORY = 72, /* no memory to go on */
    WORKER_EXIT_ERROR = 73,  /* anything else: see its last words */
    WORKER_EXIT_HOOK = 80    /* builds with HEMI_JAIL_TEST: 80 + how a hook ended */
};

/* Everything points into memory that lives as long as the process. */
struct worker_boot {
    int control_fd;    /* SOCK_SEQPACKET, nonblocking; messages of handover.h; end of file: exit */
    struct page *page; /* shared; the worker writes, see page.h */
    int log_fd;        /* stderr: nonblocking pipe */
    const char *tenant;
    uint64_t generation;  /* counts this tenant's workers from 1 */
    uint64_t descriptors; /* RLIMIT_NOFILE; 0: unknown, nothing is made ready for it */
    uint64_t mappings;    /* that the kernel gives a process; 0: unknown */
    bool private_client;  /* one client only: exit when its connection has closed */
    struct tenant_limits limits;
    const struct jail_report *jail; /* steps and kernel features, for `hemi info` */
    const char *hook;               /* test builds only, else NULL */
};

/* Bytes of data that a worker may have beyond what it starts with: `memory`, and what the buffers of its connections
 * can come to (output in buffers that double, unanswered requests, the frame that is read, twice when it moves), so
 * that one who has used up `memory` ends nobody's connection. */
static inline uint64_t worker_data_max(const struct tenant_limits *limits)
{
    return limits->memory + limits->memory / 2 + limits->connections * (limits->window_bytes + 2 * FRAME_MAX);
}

/* Serves connections until it is told to stop; returns the exit status (enum worker_exit). Sends STATUS(READY) when it
 * can take ADOPT. Single-threaded. */
int worker_main(const struct worker_boot *boot);

#endif
