/* heap/policy.c -- when to collect, when to give up, when to give memory back. */
#include "heap/internal.h"

bool heap_policy_due(const struct heap *h, uint32_t chunks)
{
    return h->young_used != 0 && (uint64_t)h->young_used + chunks > h->young;
}

/* The cost of a collection is what it copies and scans, and the roots: at 16 bytes each, so that many handles on
 * little data do not make it collect all the time. */
void heap_policy_resize(struct heap *h, uint64_t roots)
{
    uint64_t work = h->live + 16 * roots;
    uint64_t young = (work * h->growth_percent / 100 + HEAP_CHUNK - 1) / HEAP_CHUNK;
    if (young < HEAP_YOUNG_MIN) young = HEAP_YOUNG_MIN;
    h->young = young < UINT32_MAX ? (uint32_t)young : UINT32_MAX;
    h->young_used = 0;
}

bool heap_policy_worthwhile(struct heap *h, uint32_t size)
{
    uint64_t room = h->last_copied / HEAP_YIELD;
    if (size >= room) return true; /* then the allocation itself pays for the collection, if it succeeds */
    const struct heap_space *s = &h->space;
    uint32_t top = h->mutator->top;
    uint64_t here = s->current == 0 ? 0 : h->end - top;
    if (room <= here) return true;
    uint64_t more = (room - here) / (HEAP_CHUNK - HEAP_SMALL_MAX) + 1;
    uint64_t bytes = s->retired + (s->current == 0 ? 0 : h->end - heap_chunk_start(s->current)) + more * HEAP_CHUNK;
    uint64_t chunks = s->small.count + more;
    if (chunks > h->limit) return false;
    return heap_commit(h, heap_required(bytes, s->medium, (uint32_t)chunks, s->run_chunks)) == HEAP_OK;
}

bool heap_trim_some(struct heap *h, uint32_t *units)
{
    CHECK(h->magic == HEAP_MAGIC && !h->collecting);
    uint32_t used = h->resident - h->warm.count;
    h->trimming = h->warm.count > HEAP_YOUNG_MIN && (h->trimming || h->warm.count > HEAP_YOUNG_MIN + used / 8);
    while (h->trimming) {
        if (*units == 0) return true;
        uint32_t n = h->warm.count - HEAP_YOUNG_MIN, most = heap_end_step(units);
        heap_chill(h, n < most ? n : most);
        h->trimming = n > most;
    }
    heap_shrink(h);
    return false;
}

void heap_trim(struct heap *h)
{
    uint32_t units = UINT32_MAX;
    while (heap_trim_some(h, &units)) units = UINT32_MAX;
}
