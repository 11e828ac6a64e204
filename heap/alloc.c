/* heap/alloc.c -- allocation: bumping, taking chunks and runs, and collecting when that is due. */
#include "heap/internal.h"

static bool is_medium(uint32_t size) { return size > HEAP_SMALL_MAX; }

/* Room in the current chunk, which is opened up to its end again if the reserve had stopped short of it. */
static bool room_here(struct heap *h, uint32_t size)
{
    uint32_t c = h->space.current;
    if (c == 0 || heap_chunk_end(c) - h->mutator->top < size) return false;
    uint32_t medium = is_medium(size) ? size : 0;
    if (heap_commit(h, heap_required_to(h, heap_chunk_end(c), medium)) != HEAP_OK) return false;
    h->end = heap_chunk_end(c);
    heap_publish(h, h->mutator->top);
    return true;
}

/* Room in another chunk. .reserve: committed before it is taken. */
static bool room_next(struct heap *h, uint32_t size)
{
    const struct heap_space *s = &h->space;
    uint64_t bytes = s->retired + HEAP_CHUNK;
    if (s->current != 0) bytes += h->mutator->top - heap_chunk_start(s->current);
    uint64_t medium = s->medium + (is_medium(size) ? size : 0);
    if (heap_commit(h, heap_required(bytes, medium, s->small.count + 1, s->run_chunks)) != HEAP_OK) return false;
    heap_account_bump(h);
    uint32_t start = heap_open_chunk(h, h->mutator->top);
    h->end = start + HEAP_CHUNK;
    h->bump_from = start;
    h->young_used++;
    heap_publish(h, start);
    return true;
}

static enum heap_status make_room(struct heap *h, uint32_t size)
{
    if (room_here(h, size)) return HEAP_OK;
    if (!heap_policy_due(h, 1) && room_next(h, size)) return HEAP_OK;
    heap_collect_cycle(h, false);
    if (!heap_policy_worthwhile(h, size)) return HEAP_NO_MEMORY;
    return room_here(h, size) || room_next(h, size) ? HEAP_OK : HEAP_NO_MEMORY;
}

static void set_header(struct heap *h, uint32_t desc, uint32_t at)
{
    heap_store_head(h->space.base + at, (struct heap_head){.header = desc << 1, .word = 0});
}

static enum heap_status alloc_bumped(struct heap *h, uint32_t desc, uint32_t size, heap_ref *out)
{
    if (is_medium(size) || (uint64_t)h->mutator->top + size > h->end) {
        enum heap_status status = make_room(h, size);
        if (status != HEAP_OK) return status;
        if (is_medium(size)) h->space.medium += size;
    }
    uint32_t at = h->mutator->top;
    uint8_t *p = h->space.base + at;
    if (HEAP_STRESS) CHECK(heap_is_poison(p, size));
    heap_publish(h, at + size);
    memset(p, 0, size);
    set_header(h, desc, at);
    *out = (heap_ref){at};
    return HEAP_OK;
}

/* `*holes`: the memory is there, but no run of chunks is long enough. */
static uint32_t take_large(struct heap *h, uint32_t size, bool *holes)
{
    uint32_t n = heap_chunks_for(size);
    *holes = false;
    if (heap_commit(h, heap_required_to(h, h->end, 0) + n) != HEAP_OK) return 0;
    uint32_t start = heap_find_run(h, n, UINT32_MAX);
    *holes = start == 0;
    if (start == 0) return 0;
    heap_take_run(h, start, size, true);
    h->young_used += n;
    h->stats.bytes_allocated += size;
    return start;
}

static enum heap_status alloc_large(struct heap *h, uint32_t desc, uint32_t size, heap_ref *out)
{
    uint32_t n = heap_chunks_for(size), start = 0;
    bool holes = false;
    if (n > h->limit || n > h->window_end - HEAP_FIRST) return HEAP_TOO_LARGE;
    if (!heap_policy_due(h, n)) start = take_large(h, size, &holes);
    if (start == 0) {
        heap_collect_cycle(h, false);
        if (!heap_policy_worthwhile(h, size)) return HEAP_NO_MEMORY;
        start = take_large(h, size, &holes);
    }
    if (start == 0 && holes) { /* what is free now is room to copy other large objects into */
        heap_map_window(h);
        heap_collect_cycle(h, true);
        start = take_large(h, size, &holes);
    }
    if (start == 0) return HEAP_NO_MEMORY;
    set_header(h, desc, heap_chunk_start(start));
    *out = (heap_ref){heap_chunk_start(start)};
    return HEAP_OK;
}

static void stress(struct heap *h)
{
    if (h->stress_dense != 0 && --h->stress_dense == 0) h->stress_every = HEAP_STRESS_SPARSE;
    h->stress_left = h->stress_every;
    heap_collect_cycle(h, false);
}

enum heap_status heap_alloc(struct heap *h, uint32_t desc, uint32_t size, heap_ref *out)
{
    CHECK_DEBUG(h->magic == HEAP_MAGIC && !h->collecting);
    CHECK_DEBUG(size >= sizeof(struct heap_head) && size % 4 == 0);
    CHECK_DEBUG(h->descs.at[desc].kind != HEAP_FREE);
    *out = heap_null();
    if (h->stress_every != 0 && --h->stress_left == 0) stress(h);
    return size > HEAP_MEDIUM_MAX ? alloc_large(h, desc, size, out) : alloc_bumped(h, desc, size, out);
}

enum heap_status heap_alloc_array(struct heap *h, uint32_t desc, uint32_t length, heap_ref *out)
{
    CHECK_DEBUG(h->descs.at[desc].kind == HEAP_ARRAY);
    uint64_t size = heap_array_size(&h->descs.at[desc], length);
    *out = heap_null();
    if (size > UINT32_MAX - 3) return HEAP_TOO_LARGE;
    enum heap_status status = heap_alloc(h, desc, (uint32_t)size, out);
    if (status == HEAP_OK) memcpy(h->space.base + out->bits + 4, &length, sizeof length);
    return status;
}
