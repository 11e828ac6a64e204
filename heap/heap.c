/* heap/heap.c -- making and freeing heaps, and statistics. */
#include "heap/internal.h"

#include <stdlib.h>

#include "base/clock.h"

static uint32_t limit_chunks(uint64_t bytes)
{
    uint64_t chunks = (bytes == 0 ? (uint64_t)1 << 30 : bytes) / HEAP_CHUNK;
    uint64_t most = HEAP_WINDOW_END - HEAP_FIRST;
    return (uint32_t)(chunks < most ? chunks : most);
}

static void set_options(struct heap *h, const struct heap_options *opt)
{
    h->limit = limit_chunks(opt->limit_bytes);
    h->growth_percent = opt->growth_percent == 0 ? 200 : opt->growth_percent;
    bool by_default = opt->stress_every == 0 && HEAP_STRESS;
    h->stress_every = by_default ? 1 : opt->stress_every;
    h->stress_dense = by_default ? HEAP_STRESS_DENSE : 0;
    h->stress_left = h->stress_every;
    h->young = HEAP_YOUNG_MIN;
    h->extern_desc = opt->extern_desc;
}

enum heap_status heap_new(const struct heap_options *opt, const struct heap_embedder *emb, struct heap_descs descs,
                          struct heap_mutator *m, struct heap **out)
{
    CHECK(emb->roots != NULL && descs.at != NULL);
    *out = NULL;
    struct heap *h = calloc(1, sizeof *h);
    if (h == NULL) return HEAP_NO_MEMORY;
    h->mutator = m;
    h->emb = *emb;
    h->descs = descs;
    set_options(h, opt);
    if (h->limit < 2) goto no_limit; /* one chunk, and one to copy it to */
    if (heap_space_init(h) != HEAP_OK) goto no_window;
    if (!heap_settle(h)) goto no_budget;
    heap_publish(h, 0); /* nothing is mapped before the first allocation */
    h->magic = HEAP_MAGIC;
    *out = h;
    return HEAP_OK;

no_budget:
    heap_space_deinit(h);
no_window:
no_limit:
    free(h);
    return HEAP_NO_MEMORY;
}

bool heap_free_some(struct heap *h, uint32_t *units)
{
    CHECK((h->magic == HEAP_MAGIC || h->magic == HEAP_MAGIC_ENDING) && !h->collecting);
    h->magic = HEAP_MAGIC_ENDING;
    if (heap_extern_end_some(h, units) || heap_space_end_some(h, units)) return true;
    h->magic = 0;
    heap_space_deinit(h);
    if (h->emb.charge != NULL && h->charged != 0) h->emb.charge(h->emb.ctx, -(int64_t)h->charged);
    *h->mutator = (struct heap_mutator){0};
    free(h);
    return false;
}

void heap_free(struct heap *h)
{
    uint32_t units = UINT32_MAX;
    while (h != NULL && heap_free_some(h, &units)) units = UINT32_MAX;
}

void heap_account_bump(struct heap *h)
{
    h->stats.bytes_allocated += h->mutator->top - h->bump_from;
    h->bump_from = h->mutator->top;
}

void heap_get_stats(const struct heap *h, struct heap_stats *out)
{
    *out = h->stats;
    if (!h->collecting) out->bytes_allocated += h->mutator->top - h->bump_from;
    out->bytes_live = h->live + out->bytes_allocated - h->allocated_then;
    out->bytes_committed = (uint64_t)h->resident * HEAP_CHUNK;
    out->externs_live = h->externs.count;
    out->bytes_charged = h->charged;
}

bool heap_is_collecting(const struct heap *h) { return h->collecting; }

void heap_worked(struct heap *h, uint32_t bytes)
{
    h->work += bytes;
    if (h->work < HEAP_WORK) return;
    h->work = 0;
    if (h->emb.poll == NULL) return;
    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    h->emb.poll(h->emb.ctx);
    h->away_ns += clock_ns(CLOCK_MONOTONIC) - begun;
}
