/* runtime/engine/engine.h -- the inside of struct engine, for runtime/ alone (others see runtime.h).
 *
 * School: TRUSTED, checked. The engine owns the type table; modules and stores borrow it.
 * Invariants:
 *   .counted  Modules, stores and the references on each module and type group are counted where they are taken and let
 *             go: so engine_free can insist that all are gone. */
#ifndef HEMI_RUNTIME_ENGINE_ENGINE_H
#define HEMI_RUNTIME_ENGINE_ENGINE_H

#include "runtime/runtime.h"
#include "runtime/types/table.h"

struct engine {
    struct engine_options options;
    uint8_t scheme;                /* enum scheme: what modules are translated to, unless a memory cannot be guarded */
    const volatile uint32_t *poll; /* options.poll, or a flag that is never set; for vm->poll */
    struct types *types;
    uint64_t seed; /* of hashes, random: a module cannot aim at one bucket */
    uint32_t nmodules, nstores;
    uint64_t reserved_ahead; /* bytes of address space: MEMORY_AHEAD_MAX */
    uint64_t *opcode_counts; /* options.count_opcodes: OP_COUNT of them, else NULL */
};

/* A poll point of long work. HEMI_OK: go on. Anything else: unwind the work with it. May switch fibers. Without
 * options.poll the embedder is asked each time, with it only when the flag is set. */
enum hemi_status engine_poll(struct engine *e);
/* As calloc and free, with such polls between when the block is large; what these answer shows again at the next one.
 * The system gives zeroes for nothing, but malloc often has a large block of what was freed before. */
void *engine_zeroed(struct engine *e, size_t bytes);
void engine_release(struct engine *e, void *block);

#endif
