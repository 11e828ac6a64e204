/* server/scheduler/fiber.h -- native stacks for activations, each with its VM stack, and switching between them.
 *
 * School of checking: TRUSTED (our own scheduler): asserted.
 *
 * Who owns what: a pool owns every fiber it made; a fiber taken belongs to its taker until it is given back. A fiber is
 * given back only after its entry has returned (.unwound), so C frames on it may own things.
 *
 * Layout of a fiber's mapping, from low to high addresses, each part a multiple of the page size:
 *     guard | native stack (grows down) | guard | VM stack (grows up) | guard
 * Both stacks are committed lazily. They are mapped as stacks (MAP_GROWSDOWN), so that neither their reservation nor
 * stacks that are idle count as data against RLIMIT_DATA: whoever takes a fiber counts it himself.
 *
 * Invariants:
 *   .unwound   A fiber is never abandoned: whoever wants it to end resumes it with a status to unwind with.
 *   .derived   Native stack need = FIBER_NATIVE_BASE (our own C frames, a signal frame) + the greatest number of guest
 *              frames the VM stack can hold x FIBER_NATIVE_PER_FRAME (the worst frame of a call handler). So a guest
 *              always meets the VM stack's limit first, which is a trap.
 *   .flat      Fibers are resumed from the thread's own stack only, never from one another. */
#ifndef HEMI_SERVER_SCHEDULER_FIBER_H
#define HEMI_SERVER_SCHEDULER_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/module/code.h"

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#else
#define FIBER_ASAN 0
#endif

#ifndef __x86_64__
#include <ucontext.h>
#endif

enum {
    FIBER_VM_FRAME_MIN = VM_DELTA_MIN * SLOT_BYTES, /* bytes of VM stack of the smallest guest frame */
    FIBER_NATIVE_PER_FRAME = FIBER_ASAN ? 256 : 64, /* bytes of native stack per guest frame: 48 of them are used */
    FIBER_NATIVE_BASE = FIBER_ASAN ? 1 << 20 : 256 << 10,
    FIBER_IDLE_MAX = 64 /* unused fibers that a pool keeps */
};

struct fiber {
    struct fiber *next; /* in the pool */
    struct fiber_pool *pool;
    char *map;
    size_t map_size;
    char *native; /* lowest address */
    size_t native_size;
    char *vm; /* VM stack, pool->vm_size bytes */
    void (*entry)(void *arg);
    void *arg;
    bool done;
    size_t kept; /* bytes of the mapping, from its end on, that may hold pages: it ran since it was last trimmed */
#ifdef __x86_64__
    void *sp, *back;
#else
    ucontext_t context, back;
#endif
#if FIBER_ASAN
    void *fake;
    const void *back_bottom;
    size_t back_size;
#endif
};

enum { FIBER_MAPPINGS = 5 /* of the kernel's: two stacks, and what guards them */ };

struct fiber_pool {
    struct fiber *idle, *surplus; /* surplus: to be freed, or taken when no other is idle */
    uint32_t nidle, nlive;        /* live: made and not freed, idle ones and surplus included */
    uint32_t max;
    size_t vm_size;
};

/* `vm_size`: bytes of each VM stack (rounded up to pages). `max`: most fibers alive at once. */
void fiber_pool_init(struct fiber_pool *pool, size_t vm_size, uint32_t max);
/* All fibers must have been given back. */
void fiber_pool_deinit(struct fiber_pool *pool);
/* Returns the memory of idle fibers' stacks to the system, as base/release.h. True: there is more. */
bool fiber_pool_trim(struct fiber_pool *pool, uint32_t *units);
/* Makes an idle fiber surplus. False: there is none. */
bool fiber_pool_shrink(struct fiber_pool *pool);
/* Frees what is surplus, as base/release.h: one unmapping of a stack of 64 MiB that was used takes 13 ms. True:
 * there is more. */
bool fiber_pool_free_some(struct fiber_pool *pool, uint32_t *units);

/* A fiber that will run entry(arg) when first resumed; NULL when the pool is exhausted or memory is out. */
struct fiber *fiber_take(struct fiber_pool *pool, void (*entry)(void *arg), void *arg);
/* Its entry must have returned, or never have been started. */
void fiber_give(struct fiber *f);

/* Runs the fiber until it suspends (false) or its entry returns (true). From the thread's own stack only. */
bool fiber_resume(struct fiber *f);
/* Back to who resumed `f`; called on `f`. Returns when it is resumed. */
void fiber_suspend(struct fiber *f);

/* Bytes of native stack for a VM stack of `vm_size` bytes (.derived). */
size_t fiber_native_size(size_t vm_size);

#endif
