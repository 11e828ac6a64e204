/* runtime/engine/engine.c -- an engine's life, and its poll points. */
#include "runtime/engine/engine.h"
#include "base/check.h"
#include "base/release.h"
#include "proto/tables/opcodes.h"
#include "runtime/engine/faults.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { ZERO_STEP = 1 << 20, UNITS_PER_POLL = 1024 };

static const volatile uint32_t never_set;

static enum hemi_status poll(void *engine) { return engine_poll(engine); }

enum hemi_status engine_new(const struct engine_options *opt, struct engine **out)
{
    *out = NULL;
    struct engine *e = calloc(1, sizeof *e);
    if (!e) return HEMI_NO_MEMORY;
    if (opt) e->options = *opt;
    e->scheme = !e->options.explicit_checks && faults_install() ? SCHEME_GUARDED : SCHEME_EXPLICIT;
    e->poll = e->options.poll ? e->options.poll : &never_set;
    /* A seed that cannot be had only makes hash collisions easier to find. */
    if (getrandom(&e->seed, sizeof e->seed, GRND_NONBLOCK) < 0) e->seed = (uint64_t)(uintptr_t)e;
    if (e->options.count_opcodes) e->opcode_counts = calloc(OP_COUNT, sizeof *e->opcode_counts);
    bool counted = e->opcode_counts || !e->options.count_opcodes;
    struct types_options types = {.seed = e->seed, .poll = poll, .ctx = e};
    enum hemi_status status = counted ? types_new(&types, &e->types) : HEMI_NO_MEMORY;
    if (status != HEMI_OK) {
        free(e->opcode_counts);
        free(e);
        return status;
    }
    *out = e;
    return HEMI_OK;
}

void engine_free(struct engine *e)
{
    if (!e) return;
    CHECK(e->nmodules == 0 && e->nstores == 0 && e->reserved_ahead == 0, ".counted");
    types_free(e->types);
    free(e->opcode_counts);
    free(e);
}

struct engine_stats engine_get_stats(const struct engine *e)
{
    return (struct engine_stats){e->nmodules, e->nstores, e->types->ntypes_used, e->types->ntypes - TYPE_FIRST_ID};
}

struct types *engine_types(const struct engine *e) { return e->types; }

bool engine_guarded(const struct engine *e) { return e->scheme == SCHEME_GUARDED; }

const uint64_t *engine_opcode_counts(const struct engine *e) { return e->opcode_counts; }

enum hemi_status engine_poll(struct engine *e)
{
    if (!e->options.yield || (e->options.poll && !*e->poll)) return HEMI_OK;
    return e->options.yield(e->options.ctx);
}

void *engine_zeroed(struct engine *e, size_t bytes)
{
    if (bytes <= ZERO_STEP) return calloc(1, bytes);
    char *block = malloc(bytes);
    for (size_t at = 0; block && at < bytes; at += ZERO_STEP) {
        memset(block + at, 0, bytes - at < ZERO_STEP ? bytes - at : ZERO_STEP);
        (void)engine_poll(e);
    }
    return block;
}

void engine_release(struct engine *e, void *block)
{
    size_t given = 0;
    uint32_t units = UNITS_PER_POLL;
    while (release_block(&block, &given, &units)) {
        (void)engine_poll(e);
        units = UNITS_PER_POLL;
    }
}
