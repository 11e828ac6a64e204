#include "server/worker/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "server/worker/state.h"

enum { LOOP_SLICES = 3 /* of the grave, by which the loop stops at most to charge for something */ };

struct account *account_new(struct worker *w)
{
    struct account *a = calloc(1, sizeof *a);
    if (a) *a = (struct account){.worker = w, .refs = 1};
    return a;
}

struct account *account_ref(struct account *a)
{
    a->refs++;
    return a;
}

void account_unref(struct account *a)
{
    if (!a || --a->refs > 0) return;
    CHECK(a->memory.used == 0 && a->mappings.used == 0, ".outlives");
    free(a);
}

/* ---- memory */

/* Idle stacks count when there is to be more, and are given back before that fails. */
static bool sum_fits(const struct worker *w, int64_t delta)
{
    const struct fiber_pool *stacks = &w->sched.fibers;
    uint64_t most = w->boot->limits.memory, used = w->memory_used + stacks->nidle * (uint64_t)stacks->vm_size;
    return delta <= 0 || (used <= most && (uint64_t)delta <= most - used);
}

static bool share_fits(const struct worker *w, const struct account *a, int64_t delta)
{
    return delta <= 0 || share_allows(&w->pools[POOL_MEMORY], &a->memory, (uint64_t)delta);
}

/* What was closed must not be missing from what is opened next. */
static void dig_for(struct worker *w, const struct account *a, int64_t delta)
{
    for (int slices = 0; w->grave.head && !(sum_fits(w, delta) && share_fits(w, a, delta)); slices++) {
        if (!w->sched.running && slices == LOOP_SLICES) return;
        grave_dig(&w->grave);
        if (w->sched.running) scheduler_yield(&w->sched); /* told to stop, it does so at its next poll */
    }
}

static void make_room(struct worker *w, const struct account *a, int64_t delta)
{
    while (!sum_fits(w, delta) && fiber_pool_shrink(&w->sched.fibers))
        if (w->sched.poll) scheduler_yield(&w->sched);
    dig_for(w, a, delta);
}

/* .no-overdraw */
static bool may_have(const struct account *a, int64_t delta)
{
    const struct worker *w = a->worker;
    if (delta <= 0 || a->memory.used + (uint64_t)delta <= w->pools[POOL_MEMORY].least) return true;
    return sum_fits(w, delta) && share_fits(w, a, delta);
}

static void refuse(struct account *a, enum share_pool by, int64_t asked)
{
    a->asked = (uint64_t)asked;
    a->refused = true;
    a->by = by;
}

bool account_charge(struct account *a, int64_t delta)
{
    struct worker *w = a->worker;
    make_room(w, a, delta);
    if (!may_have(a, delta)) {
        refuse(a, POOL_MEMORY, delta);
        return false;
    }
    account_add(a, delta);
    return true;
}

bool account_charge_beyond(struct account *a, int64_t delta)
{
    make_room(a->worker, a, delta);
    if (!sum_fits(a->worker, delta)) {
        refuse(a, POOL_MEMORY, delta);
        return false;
    }
    account_add(a, delta);
    return true;
}

void account_add(struct account *a, int64_t delta)
{
    share_set(&a->worker->pools[POOL_MEMORY], &a->memory, a->memory.used + (uint64_t)delta);
    worker_account(a->worker, delta);
}

void worker_account(struct worker *w, int64_t delta) { w->memory_used += (uint64_t)delta; }

/* ---- mappings */

bool account_map(struct account *a, int32_t delta)
{
    struct pool *pool = &a->worker->pools[POOL_MAPPINGS];
    if (delta > 0 && !share_allows(pool, &a->mappings, (uint64_t)delta)) {
        refuse(a, POOL_MAPPINGS, delta);
        return false;
    }
    share_set(pool, &a->mappings, a->mappings.used + (uint64_t)(int64_t)delta);
    return true;
}

/* ---- refusals */

enum hemi_status account_explain(struct account *a, enum hemi_status status, struct rt_error *err)
{
    bool refused = a->refused;
    a->refused = false;
    bool heap = status == HEMI_TRAP && err->trap == TRAP_HEAP_EXHAUSTED;
    if (!refused || (status != HEMI_NO_MEMORY && !heap)) return status;
    size_t used = heap ? strlen(err->message) : 0, room = sizeof err->message - used;
    if (heap) used += (size_t)snprintf(err->message + used, room, "; ") < room ? 2 : 0;
    share_explain(a->by, &a->worker->pools[a->by], a->by == POOL_MAPPINGS ? &a->mappings : &a->memory, a->asked,
                  err->message + used, sizeof err->message - used);
    if (!heap) err->status = HEMI_LIMIT;
    return err->status;
}
