/* server/worker/verifier.h -- in builds with CHECK_DEBUG: whatever a store went through, it must be consistent at its
 * end.
 *
 * School of checking: TRUSTED.
 *
 * A worker has one. The walk through a store (store_verify) may be a long one, so it has a fiber of its own, apart from
 * those of the scheduler, and goes on for some steps each time it is asked to. It verifies one store at a time: those
 * that are buried meanwhile wait in the grave. */
#ifndef HEMI_SERVER_WORKER_VERIFIER_H
#define HEMI_SERVER_WORKER_VERIFIER_H

#include "runtime/runtime.h"
#include "server/scheduler/fiber.h"

struct verifier {
    struct fiber_pool fibers;
    struct fiber *fiber; /* under way; NULL: none is */
    struct store *store; /* this one */
    struct heap_walk walk;
    uint32_t *units;
};

void verifier_init(struct verifier *v);
/* No store may be under way. */
void verifier_deinit(struct verifier *v);
/* Verifies `s`, which nobody uses or changes any more, as far as *units go. True: it is not done, ask again; false: it
 * is (or there was no memory to), and sound, else the process is gone with last words. In release it does nothing. */
bool verifier_some(struct verifier *v, struct store *s, uint32_t *units);

#endif
