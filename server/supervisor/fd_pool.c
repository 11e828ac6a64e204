/* server/supervisor/fd_pool.c -- arithmetic of descriptors; see fd_pool.h. */
#include "server/supervisor/fd_pool.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/check.h"

#define POLLED_AT_ONCE 512u

static uint64_t shares_of(const struct fd_needs *needs) { return needs->doors + needs->tenants; }

/* Before any connection. */
static uint64_t fixed_of(const struct fd_needs *needs)
{
    return needs->own + FDS_PER_DOOR * needs->doors + FDS_PER_WORKER * needs->workers + FDS_TO_START + FDS_RESERVE;
}

uint64_t fd_pool_least(const struct fd_needs *needs) { return fixed_of(needs) + shares_of(needs); }

uint64_t fd_pool_most(const struct fd_pool *pool) { return fixed_of(&pool->needs) + pool->total; }

static uint64_t min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t max(uint64_t a, uint64_t b) { return a > b ? a : b; }

bool fd_pool_init(struct fd_pool *pool, const struct fd_needs *needs)
{
    uint64_t shares = shares_of(needs);
    CHECK(shares > 0);
    if (fd_pool_least(needs) > needs->limit) return false;
    uint64_t total = min(needs->limit - fixed_of(needs), max(needs->connections, shares));
    uint64_t guaranteed = max(1, min(FDS_GUARANTEED_MAX, total / 2 / shares));
    *pool = (struct fd_pool){
        .needs = *needs, .total = total, .guaranteed = guaranteed, .lendable = total - guaranteed * shares};
    return true;
}

bool fd_pool_set_workers(struct fd_pool *pool, uint64_t workers)
{
    struct fd_needs needs = pool->needs;
    needs.workers = workers;
    uint64_t kept = pool->guaranteed * shares_of(&needs);
    if (fixed_of(&needs) + kept > needs.limit) return false;
    pool->needs = needs;
    pool->total = min(needs.limit - fixed_of(&needs), max(needs.connections, kept));
    pool->lendable = pool->total - kept; /* what is lent beyond that comes back by and by */
    return true;
}

bool fd_pool_borrow(struct fd_pool *pool, uint64_t count)
{
    if (pool->lent + count > pool->lendable) return false;
    pool->lent += count;
    return true;
}

void fd_pool_return(struct fd_pool *pool, uint64_t count)
{
    CHECK(pool->lent >= count);
    pool->lent -= count;
}

/* .guaranteed */
bool fd_pool_take(struct fd_pool *pool, struct fd_share *share)
{
    uint64_t unclosed = atomic_load(&share->unclosed), others = atomic_load(&pool->unclosed);
    bool may = share->used < pool->guaranteed
                   ? share->used + unclosed < pool->guaranteed
                   : pool->lent + unclosed + others < pool->lendable && fd_pool_borrow(pool, 1);
    share->used += may;
    return may;
}

void fd_pool_give(struct fd_pool *pool, struct fd_share *share)
{
    CHECK(share->used > 0);
    if (share->used > pool->guaranteed) fd_pool_return(pool, 1);
    share->used--;
}

_Atomic uint32_t *fd_pool_unclosed(struct fd_pool *pool, struct fd_share *share)
{
    return share != NULL ? &share->unclosed : &pool->unclosed;
}

/* .can-start */
bool fd_pool_admit_worker(struct fd_pool *pool, uint64_t processes, uint64_t *borrowed)
{
    *borrowed = 0;
    if (processes < pool->needs.workers + FDS_REPLACEMENTS) return true;
    if (!fd_pool_borrow(pool, FDS_PER_WORKER)) return false;
    *borrowed = FDS_PER_WORKER;
    return true;
}

uint64_t fd_count_open(uint64_t limit)
{
    struct pollfd fds[POLLED_AT_ONCE];
    uint64_t count = 0;
    for (uint64_t first = 0; first < limit; first += POLLED_AT_ONCE) {
        nfds_t n = (nfds_t)min(POLLED_AT_ONCE, limit - first);
        for (nfds_t i = 0; i < n; i++) fds[i] = (struct pollfd){.fd = (int)(first + i)};
        while (poll(fds, n, 0) < 0 && errno == EINTR) continue;
        for (nfds_t i = 0; i < n; i++) count += (fds[i].revents & POLLNVAL) == 0;
    }
    return count;
}
