/* server/supervisor/fd_pool.h -- who may have how many of the supervisor's descriptors.
 *
 * The number comes from the real RLIMIT_NOFILE. First comes what must always be there: the daemon's own descriptors,
 * its doors, those of every worker that the configuration allows, what starting one more takes, and a reserve. The rest
 * is for connections that no worker has adopted yet. Each door (for peers that say HELLO) and each tenant (for its
 * connections that wait, or are on their way) has a SHARE: a guaranteed number is its own, and beyond that it borrows
 * from what is guaranteed to nobody, while that lasts. So whoever floods a door gets LIMIT, and nobody else does.
 *
 * Ownership: the pool counts and owns nothing. School of checking: TRUSTED; the counts are our own (CHECK).
 *
 * Invariants:
 *   .guaranteed  Whatever others take, a share gets its guaranteed number.
 *   .can-start   Whatever connections take, a new worker can be started: also in place of one that does not end.
 */
#ifndef HEMI_SERVER_SUPERVISOR_FD_POOL_H
#define HEMI_SERVER_SUPERVISOR_FD_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDS_PER_DOOR 2u     /* the socket, its lock file */
#define FDS_PER_WORKER 3u   /* its pidfd, control socket, standard error */
#define FDS_TO_START 7u     /* page, control socket and standard error at both ends, pidfd */
#define FDS_REPLACEMENTS 4u /* workers more than are allowed, while others have not ended yet */
/* Replacements; what the child of a start opens in its copy of the table; one connection to refuse; files of a reload.
 */
#define FDS_RESERVE (FDS_REPLACEMENTS * FDS_PER_WORKER + 10u + 1u + 5u)
#define FDS_GUARANTEED_MAX 64u

/* What the configuration asks for. */
struct fd_needs {
    uint64_t limit; /* RLIMIT_NOFILE */
    uint64_t own;   /* open before any door is */
    uint64_t doors, tenants, workers;
    uint64_t connections; /* that could ever be greeting, waiting or on their way, by their own limits */
};

struct fd_share {
    uint64_t used;
    _Atomic uint32_t unclosed; /* given back, and not closed yet (closer.h) */
};

struct fd_pool {
    struct fd_needs needs;
    uint64_t total;      /* for connections */
    uint64_t guaranteed; /* to each share */
    uint64_t lendable;   /* total without what is guaranteed */
    uint64_t lent;
    _Atomic uint32_t unclosed; /* of nobody's share */
};

/* The fixed minimum, with one connection for each door and tenant. */
uint64_t fd_pool_least(const struct fd_needs *needs);

/* More than are ever open, so a bound of their numbers too: the kernel gives the lowest. */
uint64_t fd_pool_most(const struct fd_pool *pool);

/* Divides what there is. Returns false when the fixed minimum does not fit. */
bool fd_pool_init(struct fd_pool *pool, const struct fd_needs *needs);

/* The configuration now allows this many workers. Returns false, and changes nothing, when they do not fit. */
bool fd_pool_set_workers(struct fd_pool *pool, uint64_t workers);

/* One descriptor for a share. Returns false when it has its own already and there is nothing left to borrow. */
bool fd_pool_take(struct fd_pool *pool, struct fd_share *share);
void fd_pool_give(struct fd_pool *pool, struct fd_share *share);
/* Where who closes that share's descriptor, or one of nobody's (NULL), counts it until it is closed. */
_Atomic uint32_t *fd_pool_unclosed(struct fd_pool *pool, struct fd_share *share);

/* `count` descriptors of those that are guaranteed to nobody. */
bool fd_pool_borrow(struct fd_pool *pool, uint64_t count);
void fd_pool_return(struct fd_pool *pool, uint64_t count);

/* Whether a worker may be started beside `processes`; *borrowed says what is to be returned when it is gone. */
bool fd_pool_admit_worker(struct fd_pool *pool, uint64_t processes, uint64_t *borrowed);

/* Descriptors open in this process, below `limit`. */
uint64_t fd_count_open(uint64_t limit);

#endif
