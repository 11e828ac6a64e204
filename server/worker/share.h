/* server/worker/share.h -- what the connections of a worker have in common, so that none of them can use it all up.
 *
 * School of checking: TRUSTED: asserted.
 *
 * A POOL is a number of things; a SHARE is how many of them one connection uses. A part of each pool is set aside
 * (half; of memory a quarter): each connection that there may be can count on the same part of that (`least`), whatever
 * the others do. The rest is lent: a connection may borrow three quarters of what the others have left of it. So there
 * is always something left for one more, and who is refused can be told which pool it was.
 *
 * Invariants:
 *   .guaranteed  share_allows is true as long as the share does not get larger than `least`.
 *   .lent        pool->lent is the sum of what shares have beyond `least`. It may exceed `lendable` only by what was
 *                taken without asking. */
#ifndef HEMI_SERVER_WORKER_SHARE_H
#define HEMI_SERVER_WORKER_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name; of what; how many there are; what a connection may count on with the usual configuration; beyond its share */
#define SHARE_POOLS(X)                                                                                                 \
    X(STACKS, "stacks", "calls and other long requests that have begun, each on a stack of its own",                   \
      "`memory` / `stack`, at least 4 for each connection, from 128 to 8192",                                          \
      "2: a call and one inside its host call",                                                                        \
      "a request waits for a call of the same connection that runs; when none does: LIMIT")                            \
    X(OUTPUT, "output", "bytes that wait for the client to read them, or will", "`memory` / 4", "512 KiB",             \
      "guests that write, and requests whose reply may be large, wait for the connection's own client")                \
    X(TYPES, "types", "types that its modules declare, and layouts of exceptions, and types of its host functions",    \
      "1048576", "2048", "modules and host functions are refused: LIMIT")                                              \
    X(MEMORY, "memory", "bytes of its stores, modules, handles and streams, of requests that wait, stacks beyond 2",   \
      "`memory`", "1 MiB", "growing a memory or table gives -1, allocating traps, other requests: LIMIT")              \
    X(MAPPINGS, "mappings", "2 for each linear memory, 4 for each store, 1 for each large table",                      \
      "vm.max_map_count, without 5 for each of the stacks, 1 for each 4 MiB of `memory`, and 4096", "109",             \
      "memories, stores and instances with memories are refused: LIMIT")                                               \
    X(STORES, "stores", "stores", "`stores`", "1", "LIMIT")

enum share_pool {
#define X(name, ...) POOL_##name,
    SHARE_POOLS(X)
#undef X
        POOLS
};

struct pool {
    uint64_t size, least, lendable, lent;
};
struct share {
    uint64_t used;
};

/* For as many members, at most, between whom `aside` of the things are divided: what is left of it, and the rest, is
 * lent. A single member may count on all. */
void pool_init(struct pool *p, uint64_t size, uint64_t aside, uint64_t members);
const char *pool_name(enum share_pool pool);

/* May it have `n` more? */
bool share_allows(const struct pool *p, const struct share *s, uint64_t n);
/* That it may not, with LIMIT_MESSAGE and the pool's name. */
void share_explain(enum share_pool which, const struct pool *p, const struct share *s, uint64_t n, char *out,
                   size_t size);
/* How many it has from now on; whoever sets more than share_allows says does so for a reason. */
void share_set(struct pool *p, struct share *s, uint64_t used);

#endif
