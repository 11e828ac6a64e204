#include "server/worker/verifier.h"

#include "base/check.h"
#include "base/release.h"

#ifdef HEMI_ASSERTS
enum { VERIFIES = 1 };
#else
enum { VERIFIES = 0 };
#endif
enum { VM_BYTES = 4096 /* of the fiber: no guest runs on it */ };

static void pause_walk(void *ctx)
{
    struct verifier *v = ctx;
    release_units(v->units, HEAP_WALK_STEPS);
    if (*v->units == 0) fiber_suspend(v->fiber);
}

static void walk_store(void *arg)
{
    struct verifier *v = arg;
    char why[256] = "";
    if (!store_verify(v->store, &v->walk, why, sizeof why)) check_failed(__FILE_NAME__, __LINE__, why, "");
}

void verifier_init(struct verifier *v)
{
    *v = (struct verifier){.walk = {.pause = pause_walk, .ctx = v}};
    fiber_pool_init(&v->fibers, VM_BYTES, 1);
}

void verifier_deinit(struct verifier *v)
{
    CHECK(!v->fiber);
    fiber_pool_deinit(&v->fibers);
}

static bool begin(struct verifier *v, struct store *s)
{
    v->fiber = fiber_take(&v->fibers, walk_store, v);
    v->store = s;
    return v->fiber;
}

static bool resume(struct verifier *v, uint32_t *units)
{
    v->units = units;
    if (!fiber_resume(v->fiber)) return true;
    fiber_give(v->fiber);
    v->fiber = NULL;
    return false;
}

bool verifier_some(struct verifier *v, struct store *s, uint32_t *units)
{
    if (!VERIFIES) return false;
    if (*units == 0) return true;
    if (v->fiber && v->store != s) { /* its turn comes */
        release_unit(units);
        return true;
    }
    return (v->fiber || begin(v, s)) && resume(v, units);
}
