/* server/worker/worker.h -- the seam between a worker's start and its inside.
 *
 * A worker is one process of one tenant. It serves the connections that it has adopted: it reads their frames as
 * requests (request.h; what each one does is a row of requests/), runs guests on fibers (scheduler/), and owns their
 * stores until they end (grave.h). state.h is its inside, with the order of a turn of its loop.
 *
 * boot.c is the first code of the process: it takes its fixed descriptors, reads BOOT, maps the shared page, enters the
 * jail and calls worker_main. So worker_main runs INSIDE the jail from its first line (.jail-first):
 *   - allowed system calls: JAIL_SYSCALLS in server/jail/seccomp.h (libuv's loop with uv_poll, timers and async is
 *     covered; uv_fs, uv_spawn, uv_queue_work, threads, opening anything, isatty are not);
 *   - memory: mmap/mprotect/munmap/madvise without PROT_EXEC; private writable mappings count against RLIMIT_DATA
 *     (PROT_NONE reservations do not);
 *   - fstat() of glibc is newfstatat, which is refused: use lseek or syscall(SYS_fstat) for a memfd's size;
 *   - logs: HANDOVER_LOG messages, or stderr (a nonblocking pipe that the supervisor reads and caps).
 *
 * School of checking: what clients send is a PEER's and what guests pass is untrusted: error returns, never checks;
 * each header says where that begins. Our own state is checked (CHECK): a worker that stops costs its tenant only.
 * Owners: a worker owns its connections, from ADOPTED on, and its stores; nothing that another worker could reach.
 * This room includes neither requests/ nor wasi/, which are built on it: it knows the one by its table (request.h,
 * request_row), the other by what can be done with an object of it (handles.h, struct inside).
 *
 * Invariants:
 *   .adopt-before-read  A worker reads from a connection only after it has sent ADOPTED.
 *   .control-nonblock   A worker never waits for the supervisor.
 */
#ifndef HEMI_SERVER_WORKER_WORKER_H
#define HEMI_SERVER_WORKER_WORKER_H

#include "proto/limits.h"
#include "server/common/heritage.h"
#include "server/config/config.h"
#include "server/jail/jail.h"

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
