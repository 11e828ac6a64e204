/* heap/space.c -- chunks: their labels and lists, runs of them, and the system's memory behind them. */
#include "heap/internal.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    GUARD_BYTES = HEAP_NULL_BYTES,     /* behind the window: a wide access at the highest offset faults, too */
    PAGE_TABLE_BYTES = 4096,           /* one page of page table ... */
    PAGE_TABLE_SPAN = 2 * 1024 * 1024, /* ... for this much memory, and one more for the window */
    STEP_MIN = 4,
    STEP_MAX = 256, /* chunks mapped ahead, so that a growing heap makes few system calls */
    TABLE_MIN = 32,
    END_STEP = 16 * 1024 * 1024 / HEAP_CHUNK, /* chunks unmapped at once: a few milliseconds at most */
    END_UNITS = HEAP_CHUNK / 4096,
    END_CALL_UNITS = 32, /* the first unmapping of a window, of the largest part, and the last one */
};

/* ---- Lists of chunks */

static void list_push_head(struct heap *h, struct heap_list *l, uint32_t c)
{
    h->chunk[c].prev = 0;
    h->chunk[c].next = l->head;
    if (l->head != 0)
        h->chunk[l->head].prev = c;
    else
        l->tail = c;
    l->head = c;
    l->count++;
}

static void list_push_tail(struct heap *h, struct heap_list *l, uint32_t c)
{
    h->chunk[c].prev = l->tail;
    h->chunk[c].next = 0;
    if (l->tail != 0)
        h->chunk[l->tail].next = c;
    else
        l->head = c;
    l->tail = c;
    l->count++;
}

static void list_remove(struct heap *h, struct heap_list *l, uint32_t c)
{
    struct heap_chunk *k = &h->chunk[c];
    if (k->prev != 0)
        h->chunk[k->prev].next = k->next;
    else
        l->head = k->next;
    if (k->next != 0)
        h->chunk[k->next].prev = k->prev;
    else
        l->tail = k->prev;
    l->count--;
}

static void set_label(struct heap *h, uint32_t c, enum heap_chunk_kind kind)
{
    h->label[c] = heap_label(kind, h->space.id);
}

/* ---- Poison (stress build) */

static void poison(struct heap *h, uint32_t c)
{
    if (HEAP_STRESS) memset(h->window + heap_chunk_start(c), HEAP_POISON, HEAP_CHUNK);
}

bool heap_is_poison(const uint8_t *p, uint32_t n)
{
    return n == 0 || (p[0] == HEAP_POISON && memcmp(p, p + 1, n - 1) == 0);
}

/* ---- Charge */

/* What the heap costs: committed chunks, side tables, the externref set's buckets, page tables (an estimate). */
static uint64_t cost(const struct heap *h)
{
    uint64_t bytes = sizeof *h + (uint64_t)h->committed * HEAP_CHUNK;
    bytes += (uint64_t)h->table * (sizeof *h->label + sizeof *h->chunk);
    bytes += (uint64_t)h->externs.buckets * sizeof *h->externs.heads;
    if (h->mapped_end > HEAP_FIRST) {
        uint64_t mapped = (uint64_t)(h->mapped_end - HEAP_FIRST) * HEAP_CHUNK;
        bytes += (2 + mapped / PAGE_TABLE_SPAN) * PAGE_TABLE_BYTES;
    }
    return bytes;
}

bool heap_settle(struct heap *h)
{
    uint64_t now = cost(h);
    int64_t delta = (int64_t)(now - h->charged);
    if (delta == 0) return true;
    if (h->emb.charge != NULL && !h->emb.charge(h->emb.ctx, delta) && delta > 0) return false;
    h->charged = now;
    return true;
}

/* ---- Mapping */

enum heap_status heap_space_init(struct heap *h)
{
    CHECK(HEAP_CHUNK % sysconf(_SC_PAGESIZE) == 0);
    size_t size = HEAP_WINDOW_BYTES + GUARD_BYTES;
    void *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return HEAP_NO_MEMORY;
    madvise(at, size, MADV_NOHUGEPAGE); /* a 2 MiB page behind a 16 KiB heap; where unknown, there are none */
    h->window = at;
    h->mapped_end = HEAP_FIRST;
    h->window_end = HEAP_WINDOW_END;
    h->hole_hint = HEAP_FIRST;
    h->hole_fail = UINT32_MAX;
    h->space.base = h->window;
    return HEAP_OK;
}

uint32_t heap_end_step(uint32_t *units)
{
    uint32_t chunks = *units / END_UNITS < END_STEP ? *units / END_UNITS + 1 : END_STEP;
    *units -= chunks * END_UNITS < *units ? chunks * END_UNITS : *units;
    return chunks;
}

/* From the end of what is mapped; what is behind it, without pages, goes first. */
bool heap_space_end_some(struct heap *h, uint32_t *units)
{
    if (h->window_end != 0) {
        size_t mapped = heap_chunk_start(h->mapped_end);
        munmap(h->window + mapped, HEAP_WINDOW_BYTES + GUARD_BYTES - mapped);
        h->window_end = 0;
        *units -= END_CALL_UNITS < *units ? END_CALL_UNITS : *units;
    }
    while (h->mapped_end > HEAP_FIRST) {
        if (*units == 0) return true;
        uint32_t step = h->mapped_end - HEAP_FIRST, most = heap_end_step(units);
        if (step > most) step = most;
        h->mapped_end -= step;
        munmap(h->window + heap_chunk_start(h->mapped_end), (size_t)step * HEAP_CHUNK);
        if (h->committed > h->mapped_end - HEAP_FIRST) h->committed = h->mapped_end - HEAP_FIRST;
        heap_settle(h);
    }
    return false;
}

void heap_space_deinit(struct heap *h)
{
    size_t rest = h->window_end != 0 ? HEAP_WINDOW_BYTES + GUARD_BYTES : heap_chunk_start(h->mapped_end);
    if (h->window != NULL) munmap(h->window, rest);
    free(h->label);
    free(h->chunk);
    h->window = NULL;
    h->label = NULL;
    h->chunk = NULL;
    h->table = 0;
    h->committed = 0;
    h->mapped_end = HEAP_FIRST;
}

static bool grow_table(struct heap *h, uint32_t end)
{
    if (end <= h->table) return true;
    uint32_t n = h->table < TABLE_MIN ? TABLE_MIN : h->table;
    while (n < end) n *= 2;
    uint8_t *label = realloc(h->label, n * sizeof *label);
    if (label == NULL) return false;
    h->label = label;
    struct heap_chunk *chunk = realloc(h->chunk, n * sizeof *chunk);
    if (chunk == NULL) return false;
    h->chunk = chunk;
    memset(label + h->table, CHUNK_NONE, n - h->table);
    memset(chunk + h->table, 0, (n - h->table) * sizeof *chunk);
    h->table = n;
    return true;
}

static void shrink_table(struct heap *h)
{
    if (h->table / 4 < h->mapped_end || h->table / 4 < TABLE_MIN) return;
    h->table /= 2;
    while (h->table / 4 >= h->mapped_end && h->table / 4 >= TABLE_MIN) h->table /= 2;
    uint8_t *label = realloc(h->label, h->table * sizeof *label);
    if (label != NULL) h->label = label; /* else it stays longer than needed */
    struct heap_chunk *chunk = realloc(h->chunk, h->table * sizeof *chunk);
    if (chunk != NULL) h->chunk = chunk;
}

static bool map_exactly_to(struct heap *h, uint32_t end)
{
    uint32_t begin = h->mapped_end;
    if (!grow_table(h, end)) return false;
    h->mapped_end = end;
    if (!heap_settle(h)) goto refused;
    size_t size = (size_t)(end - begin) * HEAP_CHUNK;
    if (mprotect(h->window + heap_chunk_start(begin), size, PROT_READ | PROT_WRITE) != 0) goto unmapped;
    for (uint32_t c = begin; c < end; c++) {
        set_label(h, c, CHUNK_COLD);
        list_push_tail(h, &h->cold, c);
    }
    h->hole_fail = UINT32_MAX;
    return true;

unmapped:
    h->mapped_end = begin;
    heap_settle(h);
refused:
    h->mapped_end = begin;
    return false;
}

static bool map_to(struct heap *h, uint32_t end)
{
    if (end <= h->mapped_end) return true;
    if (end > h->window_end) return false;
    uint32_t step = (h->mapped_end - HEAP_FIRST) / 8;
    if (step < STEP_MIN) step = STEP_MIN;
    if (step > STEP_MAX) step = STEP_MAX;
    uint32_t ahead = h->mapped_end + step;
    if (ahead > h->window_end) ahead = h->window_end;
    return (ahead > end && map_exactly_to(h, ahead)) || map_exactly_to(h, end);
}

void heap_map_window(struct heap *h)
{
    if (h->mapped_end < h->window_end) map_exactly_to(h, h->window_end);
}

/* ---- Reserve */

/* Derived in heap.h; what fits one chunk is packed into one. */
uint64_t heap_chunks_to_copy(uint64_t bytes, uint64_t medium)
{
    if (bytes <= HEAP_CHUNK) return bytes != 0;
    return (bytes + medium) / (HEAP_CHUNK - HEAP_SMALL_MAX) + 1;
}

/* A collection may pack worse than the mutator did, so its result may take all of `copy`, and has to be collectable
 * in turn: hence not small_chunks + copy. Large objects are relabelled and need nothing. */
uint64_t heap_required(uint64_t bytes, uint64_t medium, uint32_t small_chunks, uint32_t run_chunks)
{
    uint64_t copy = heap_chunks_to_copy(bytes, medium);
    return run_chunks + (small_chunks > copy ? small_chunks : copy) + copy;
}

uint64_t heap_required_to(const struct heap *h, uint32_t end, uint64_t more_medium)
{
    const struct heap_space *s = &h->space;
    uint64_t bytes = s->retired + (s->current == 0 ? 0 : end - heap_chunk_start(s->current));
    return heap_required(bytes, s->medium + more_medium, s->small.count, s->run_chunks);
}

enum heap_status heap_commit(struct heap *h, uint64_t want)
{
    if (want <= h->committed) return HEAP_OK;
    CHECK(!h->collecting, ".reserve");
    if (want > h->limit || !map_to(h, HEAP_FIRST + (uint32_t)want)) return HEAP_NO_MEMORY;
    uint32_t before = h->committed;
    h->committed = (uint32_t)want;
    if (heap_settle(h)) return HEAP_OK;
    h->committed = before;
    return HEAP_NO_MEMORY;
}

/* A cold chunk gets memory. */
static void warm_up(struct heap *h, uint32_t c)
{
    h->resident++;
    CHECK(h->resident <= h->committed, ".resident");
    uint64_t bytes = (uint64_t)h->resident * HEAP_CHUNK;
    if (bytes > h->stats.bytes_peak) h->stats.bytes_peak = bytes;
    poison(h, c);
}

/* ---- Chunks and runs */

uint32_t heap_open_chunk(struct heap *h, uint32_t top)
{
    struct heap_space *s = &h->space;
    if (s->current != 0) {
        h->chunk[s->current].top = top;
        s->retired += top - heap_chunk_start(s->current);
    }
    bool warm = h->warm.count != 0; /* the last one freed first: it is in the caches */
    struct heap_list *l = warm ? &h->warm : &h->cold;
    uint32_t c = l->head;
    CHECK(c != 0, ".reserve");
    list_remove(h, l, c);
    if (!warm) warm_up(h, c);
    set_label(h, c, CHUNK_SMALL);
    list_push_tail(h, &s->small, c);
    s->current = c;
    return heap_chunk_start(c);
}

static uint32_t find_hole(const struct heap *h, uint32_t begin, uint32_t end, uint32_t n)
{
    uint32_t length = 0;
    for (uint32_t c = begin; c < end; c++) {
        length = heap_is_free_chunk(h, c) ? length + 1 : 0;
        if (length == n) return c + 1 - n;
    }
    return 0;
}

/* Next fit; remembers the length for which it found none until chunks are freed or mapped. */
static uint32_t next_hole(struct heap *h, uint32_t n)
{
    if (n >= h->hole_fail) return 0;
    uint32_t again = h->hole_hint + n - 1 < h->mapped_end ? h->hole_hint + n - 1 : h->mapped_end;
    uint32_t start = find_hole(h, h->hole_hint, h->mapped_end, n);
    if (start == 0) start = find_hole(h, HEAP_FIRST, again, n);
    if (start == 0)
        h->hole_fail = n;
    else
        h->hole_hint = start + n;
    return start;
}

/* The free chunks at the end of what is mapped, and more behind them. */
static uint32_t extend_run(struct heap *h, uint32_t n)
{
    uint32_t start = h->mapped_end;
    while (start > HEAP_FIRST && heap_is_free_chunk(h, start - 1)) start--;
    if (n > h->window_end - start) return 0;
    return map_to(h, start + n) ? start : 0;
}

uint32_t heap_find_run(struct heap *h, uint32_t n, uint32_t end)
{
    if (end <= h->mapped_end) return find_hole(h, HEAP_FIRST, end, n);
    if (n == 1 && h->warm.head != 0) return h->warm.head;
    uint32_t start = next_hole(h, n);
    return start != 0 ? start : extend_run(h, n);
}

static uint32_t count_cold(const struct heap *h, uint32_t start, uint32_t n)
{
    uint32_t cold = 0;
    for (uint32_t c = start; c < start + n; c++) cold += heap_kind_of(h, c) == CHUNK_COLD;
    return cold;
}

/* .resident: using cold chunks needs a higher charge, or fewer warm chunks elsewhere. Ends: with no warm chunk left,
 * what is used and the run fit by .reserve. */
static void make_resident(struct heap *h, uint32_t start, uint32_t n)
{
    uint32_t wanted = h->resident + count_cold(h, start, n);
    if (h->collecting || heap_commit(h, wanted) == HEAP_OK) return;
    while (wanted > h->committed) {
        CHECK(h->warm.count != 0);
        heap_chill(h, wanted - h->committed);
        wanted = h->resident + count_cold(h, start, n);
    }
}

/* Zeroes what the object fills of a chunk; a cold chunk is zero already, unless it was poisoned. */
static void clear_chunk(struct heap *h, uint32_t c, uint32_t top, bool warm)
{
    uint32_t end = heap_chunk_end(c) < top ? heap_chunk_end(c) : top;
    uint8_t *p = h->window + heap_chunk_start(c);
    if (HEAP_STRESS) CHECK(heap_is_poison(p, HEAP_CHUNK));
    if (warm || HEAP_STRESS) {
        memset(p, 0, end - heap_chunk_start(c));
        heap_worked(h, HEAP_CHUNK);
    }
}

void heap_take_run(struct heap *h, uint32_t start, uint32_t bytes, bool clear)
{
    struct heap_space *s = &h->space;
    uint32_t n = heap_chunks_for(bytes), top = heap_chunk_start(start) + bytes;
    make_resident(h, start, n);
    for (uint32_t c = start; c < start + n; c++) {
        bool warm = heap_kind_of(h, c) == CHUNK_WARM;
        list_remove(h, warm ? &h->warm : &h->cold, c);
        if (!warm) warm_up(h, c);
        set_label(h, c, c == start ? CHUNK_RUN : CHUNK_TAIL);
        if (clear) clear_chunk(h, c, top, warm);
    }
    h->chunk[start].top = top;
    list_push_tail(h, &s->runs, start);
    s->run_chunks += n;
    s->run_bytes += bytes;
}

void heap_relabel_run(struct heap *h, uint32_t start)
{
    struct heap_space *to = &h->space;
    uint32_t bytes = h->chunk[start].top - heap_chunk_start(start), n = heap_chunks_for(bytes);
    list_remove(h, &h->from.runs, start);
    list_push_tail(h, &to->runs, start);
    to->run_chunks += n;
    to->run_bytes += bytes;
    set_label(h, start, CHUNK_RUN);
}

static void release_chunk(struct heap *h, uint32_t c)
{
    set_label(h, c, CHUNK_WARM);
    list_push_head(h, &h->warm, c);
    poison(h, c);
}

static void release_run(struct heap *h, uint32_t start)
{
    uint32_t n = heap_chunks_for(h->chunk[start].top - heap_chunk_start(start));
    for (uint32_t c = start + n; c-- > start;) release_chunk(h, c);
}

void heap_release_space(struct heap *h, struct heap_space *s)
{
    for (uint32_t c = s->runs.head, next; c != 0; c = next) {
        next = h->chunk[c].next;
        release_run(h, c);
    }
    for (uint32_t c = s->small.head, next; c != 0; c = next) {
        next = h->chunk[c].next;
        release_chunk(h, c);
    }
    *s = (struct heap_space){0};
    h->hole_fail = UINT32_MAX;
}

/* ---- Giving back */

static void chill_range(struct heap *h, uint32_t start, uint32_t end)
{
    int failed = madvise(h->window + heap_chunk_start(start), (size_t)(end - start) * HEAP_CHUNK, MADV_DONTNEED);
    CHECK(failed == 0); /* the range is ours and not locked; cold chunks have to read as zero */
    for (uint32_t c = end; c-- > start;) {
        list_remove(h, &h->warm, c);
        set_label(h, c, CHUNK_COLD);
        list_push_head(h, &h->cold, c);
    }
    h->resident -= end - start;
}

void heap_chill(struct heap *h, uint32_t n)
{
    for (uint32_t end = h->mapped_end, start; end > HEAP_FIRST && n > 0; end = start) {
        start = end;
        while (start > HEAP_FIRST && heap_kind_of(h, start - 1) == CHUNK_WARM && end - start < n) start--;
        if (start == end)
            start--;
        else {
            chill_range(h, start, end);
            n -= end - start;
        }
    }
}

void heap_sort_cold(struct heap *h)
{
    h->cold = (struct heap_list){0};
    for (uint32_t c = HEAP_FIRST; c < h->mapped_end; c++) {
        if (heap_kind_of(h, c) == CHUNK_COLD) list_push_head(h, &h->cold, c);
    }
}

static void unmap_from(struct heap *h, uint32_t end)
{
    size_t size = (size_t)(h->mapped_end - end) * HEAP_CHUNK;
    if (mprotect(h->window + heap_chunk_start(end), size, PROT_NONE) != 0) return; /* cold anyway */
    for (uint32_t c = end; c < h->mapped_end; c++) {
        list_remove(h, &h->cold, c);
        set_label(h, c, CHUNK_NONE);
    }
    h->mapped_end = end;
    if (h->hole_hint > end) h->hole_hint = HEAP_FIRST;
}

void heap_shrink(struct heap *h)
{
    uint64_t want = heap_required_to(h, h->end, 0);
    if (want < h->resident) want = h->resident;
    CHECK(want <= h->committed);
    uint32_t end = h->mapped_end;
    while (end > HEAP_FIRST + want && heap_kind_of(h, end - 1) == CHUNK_COLD) end--;
    if (h->mapped_end - end > (h->mapped_end - HEAP_FIRST) / 8) unmap_from(h, end);
    shrink_table(h);
    h->committed = (uint32_t)want;
    heap_settle(h);
}

void heap_publish(struct heap *h, uint32_t top)
{
    struct heap_mutator *m = h->mutator;
    m->base = h->space.base;
    m->top = top;
    m->limit = HEAP_STRESS || h->stress_every != 0 ? top : h->end; /* every allocation has to reach heap_alloc */
}
