/* server/worker/account.h -- what a connection has of its worker's memory and mappings.
 *
 * School of checking: TRUSTED: asserted.
 *
 * Whatever is charged for a client is in its connection's ACCOUNT, a share of two pools (share.h). The worker's sum of
 * all that is announced has beside them what other pools bound: output, the stacks that a connection may count on,
 * requests that are not answered, but for large raw parts.
 *
 * Invariants:
 *   .outlives    An account lives until everything charged to it was given back: each holder counts, also in the grave.
 *   .no-overdraw While the sum exceeds `memory`, nobody gets more than what he may count on. */
#ifndef HEMI_SERVER_WORKER_ACCOUNT_H
#define HEMI_SERVER_WORKER_ACCOUNT_H

#include "proto/tables/status.h"
#include "server/worker/share.h"

struct rt_error;
struct worker;

struct account {
    struct worker *worker;
    uint32_t refs;
    struct share memory, mappings;
    bool refused; /* by its share, since this was last looked at */
    enum share_pool by;
    uint64_t asked; /* how many more it was refused */
};

/* NULL: no memory. */
struct account *account_new(struct worker *w);
struct account *account_ref(struct account *a);
void account_unref(struct account *a);

/* Bytes. What is lacking is looked for in idle stacks and in the grave: on a fiber in all of it, which may yield, else
 * in some. False: refused. */
bool account_charge(struct account *a, int64_t delta);
/* The same, beyond its share too: for that without which what it has cannot end. */
bool account_charge_beyond(struct account *a, int64_t delta);
/* The same for what was promised before: it is not refused. */
void account_add(struct account *a, int64_t delta);
/* Mappings of the kernel's. False: refused. */
bool account_map(struct account *a, int32_t delta);
/* Something failed with `status`. When that was for its share, it is LIMIT, and the message names the pool. */
enum hemi_status account_explain(struct account *a, enum hemi_status status, struct rt_error *err);

/* For what counts in the sum only: it has a pool of its own, is there already, or guaranteed, and is not refused. */
void worker_account(struct worker *w, int64_t delta);

/* Of `limits.memory`: the rest is lent. */
#define MEMORY_SET_ASIDE(memory) ((memory) / 4)

#endif
