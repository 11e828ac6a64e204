/* runtime/module/code_at.c -- whose code a pc is in, without looking at every function: a trap must not cost more in a
 * large module. */
#include "runtime/engine/engine.h"
#include "runtime/module/module.h"

#include <stdlib.h>

enum { STEPS_PER_POLL = 65536 /* under a millisecond */ };

/* All code that the module has of its own. */
static uint32_t ncodes(const struct module *m) { return m->nfuncs - m->nimported_funcs + m->nconst_code; }

static enum hemi_status step(struct engine *e, uint32_t *steps)
{
    return ++*steps % STEPS_PER_POLL == 0 ? engine_poll(e) : HEMI_OK;
}

static enum hemi_status list(struct module *m, const struct code **to, uint32_t *steps)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs && status == HEMI_OK; i++) {
        *to++ = &m->code[i];
        status = step(m->engine, steps);
    }
    for (uint32_t i = 0; i < m->nconst_code && status == HEMI_OK; i++) {
        *to++ = &m->const_code[i];
        status = step(m->engine, steps);
    }
    return status;
}

/* Merges [0, half) and [half, n), which are sorted; mostly they need not be, since code is made in this order. */
static enum hemi_status merge(struct engine *e, const struct code **at, uint32_t half, uint32_t n,
                              const struct code **room, uint32_t *steps)
{
    enum hemi_status status = step(e, steps);
    if (at[half - 1]->bytes < at[half]->bytes) return status;
    for (uint32_t i = 0; i < half && status == HEMI_OK; i++) {
        room[i] = at[i];
        status = step(e, steps);
    }
    for (uint32_t to = 0, left = 0, right = half; left < half && status == HEMI_OK; to++) {
        at[to] = right < n && at[right]->bytes < room[left]->bytes ? at[right++] : room[left++];
        status = step(e, steps);
    }
    return status;
}

static enum hemi_status sort(struct engine *e, const struct code **at, uint32_t n, const struct code **room,
                             uint32_t *steps)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t half = 1; half < n && status == HEMI_OK; half *= 2)
        for (uint32_t i = 0; n - i > half && status == HEMI_OK; i += n - i < 2 * half ? n - i : 2 * half)
            status = merge(e, at + i, half, n - i < 2 * half ? n - i : 2 * half, room, steps);
    return status;
}

enum hemi_status module_order_code(struct module *m)
{
    uint32_t n = ncodes(m), steps = 0;
    if (n == 0) return HEMI_OK;
    m->code_order = engine_zeroed(m->engine, n * sizeof *m->code_order);
    const struct code **room = malloc(n * sizeof *room);
    enum hemi_status status = m->code_order && room ? list(m, m->code_order, &steps) : HEMI_NO_MEMORY;
    if (status == HEMI_OK) status = sort(m->engine, m->code_order, n, room, &steps);
    free(room);
    return status;
}

/* The explicit scheme's is in one piece, in order. */
static const struct code *nth(const struct module *m, bool explicit, uint32_t i)
{
    return explicit ? &m->explicit_code[m->nimported_funcs + i] : m->code_order[i];
}

const struct code *module_code_at(const struct module *m, const struct code *among, const uint8_t *pc)
{
    bool explicit = among != NULL && among == m->explicit_code;
    uint32_t first = 0, end = ncodes(m);
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        const struct code *c = nth(m, explicit, middle);
        if (pc >= c->bytes && pc - c->bytes < (ptrdiff_t)c->size) return c;
        if (pc < c->bytes)
            end = middle;
        else
            first = middle + 1;
    }
    return NULL;
}
