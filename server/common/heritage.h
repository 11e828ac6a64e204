/* server/common/heritage.h -- all that crosses from the supervisor to a worker's process, and all that comes back.
 *
 *   what                   made by                      taken by          until
 *   the executable, argv   supervisor/spawn.c: execve   worker/boot.c     a worker is `hemid --worker TENANT`
 *   environment, signals   supervisor/spawn.c           libc              nothing of the daemon's own goes on
 * (.same-start) descriptors            WORKER_FDS                   worker/boot.c     every other one is closed BOOT,
 * then the rest    handover.h                   worker/control.c  either end closes: .die-together the shared page
 * page.h                       both              the supervisor, who reads it last, unmaps it the log's lines standard
 * error, a pipe       supervisor/       it ends with the process the exit status        WORKER_EXITS supervisor/end.c
 * it is reaped
 *
 * Memory does not cross: a worker is executed afresh, so it has no copy of what its supervisor knew of others.
 *
 * This room, common/, holds what both sides of that fork are made of: the messages (handover), the page, the log, last
 * words, and what any process of ours does with what it inherited. It includes neither supervisor/ nor worker/.
 *
 * School of checking: whatever a worker sent, wrote to the page or exited with is a PEER's for its supervisor, for a
 * guest may have taken the worker over: error returns, never checks. What the supervisor gives is trusted by the
 * worker. Our own state is checked (CHECK). Owners: the supervisor makes and keeps its ends of all of this
 * (supervisor/state.h); a worker has its own, from BOOT to its exit.
 *
 * Invariants:
 *   .die-together  A worker ends when its supervisor does: PDEATHSIG, and end of file on the control socket.
 *   .same-start    The daemon and its workers mean the same whatever their parents ignored, blocked or timed.
 */
#ifndef HEMI_SERVER_COMMON_HERITAGE_H
#define HEMI_SERVER_COMMON_HERITAGE_H

#include "server/common/handover.h"
#include "server/common/page.h"

/* argv[1] of a worker; argv[2], for who looks at processes, is the tenant. */
#define WORKER_FLAG "--worker"

/* name, number, what it is; in their order */
#define WORKER_FDS(X)                                                                                                  \
    X(INPUT, 0, "/dev/null")                                                                                           \
    X(OUTPUT, 1, "/dev/null")                                                                                          \
    X(LOG, 2, "a pipe whose lines the supervisor logs; nonblocking")                                                   \
    X(CONTROL, 3, "messages of handover.h; SOCK_SEQPACKET, nonblocking")                                               \
    X(PAGE, 4, "page.h; closed once it is mapped")

enum worker_fd {
#define X(name, number, what) WORKER_FD_##name = number,
    WORKER_FDS(X)
#undef X
        WORKER_FD_FIRST_FREE
};

/* name, exit status, what the log and waiting clients are told of one that was not to end */
#define WORKER_EXITS(X)                                                                                                \
    X(OK, 0, "without having said so") /* idle, drained, stopped, or the supervisor is gone */                         \
    X(BOOT, 70, "it could not start")  /* no valid BOOT, no page */                                                    \
    X(JAIL, 71, "its jail failed")     /* a required step did */                                                       \
    X(MEMORY, 72, "out of memory")                                                                                     \
    X(ERROR, 73, "by an error of its own")   /* anything else: see its last words */                                   \
    X(EXEC, 127, "it could not be executed") /* before it was a worker at all */

enum worker_exit {
#define X(name, status, text) WORKER_EXIT_##name = status,
    WORKER_EXITS(X)
#undef X
        WORKER_EXIT_HOOK = 80 /* builds with HEMI_JAIL_TEST: 80 + how a hook ended */
};

#endif
