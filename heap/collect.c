/* heap/collect.c -- the collection: flip, copy, forward, scan, sweep (Cheney 1970, over lists of chunks). */
#include "heap/internal.h"

#include "base/clock.h"

enum { PIECE = HEAP_WORK / 16 }; /* references scanned, or words copied, of a large object between two heap_worked */

/* ---- Copying */

/* Small objects are most objects: moves of a fixed size beat memcpy's dispatch. */
static inline void move(uint8_t *to, const uint8_t *from, uint32_t size)
{
    switch (size) {
    case 8:
        memcpy(to, from, 8);
        return;
    case 12:
        memcpy(to, from, 12);
        return;
    case 16:
        memcpy(to, from, 16);
        return;
    case 20:
        memcpy(to, from, 20);
        return;
    case 24:
        memcpy(to, from, 24);
        return;
    case 28:
        memcpy(to, from, 28);
        return;
    case 32:
        memcpy(to, from, 32);
        return;
    default:
        memcpy(to, from, size);
        return;
    }
}

static __attribute__((noinline)) void next_chunk(struct heap_visitor *v)
{
    struct heap *h = v->heap;
    uint32_t start = heap_open_chunk(h, v->top);
    v->top = start;
    v->end = start + HEAP_CHUNK;
    if (v->scan_chunk == 0) { /* the first one: scanning begins here */
        v->scan_chunk = h->space.current;
        v->scan = start;
    }
    heap_worked(h, HEAP_CHUNK);
}

static inline void set_forward(struct heap_visitor *v, uint32_t old, uint32_t header, uint32_t at)
{
    heap_store_head(v->from + old, (struct heap_head){.header = header | HEAP_FORWARDED, .word = at});
}

static inline uint32_t copy(struct heap_visitor *v, uint32_t old, uint32_t header, uint32_t size)
{
    if (size > v->end - v->top) next_chunk(v);
    uint32_t at = v->top;
    v->top = at + size;
    move(v->to + at, v->from + old, size);
    set_forward(v, old, header, at);
    return at;
}

/* A compacting collection copies a large object that lies high (two fingers: one at the runs from above, one at the
 * holes from below), if a hole is long enough and the reserve can spare the chunks. 0: it stays. */
static uint32_t copy_large(struct heap_visitor *v, uint32_t old, uint32_t header, uint32_t size)
{
    struct heap *h = v->heap;
    uint32_t n = heap_chunks_for(size), c = heap_chunk_of(old);
    if (n > v->compact_chunks || c + n <= v->compact_below) return 0;
    uint32_t start = heap_find_run(h, n, v->compact_below);
    if (start == 0) return 0;
    heap_take_run(h, start, size, false);
    v->compact_chunks -= n;
    uint32_t at = heap_chunk_start(start);
    for (uint32_t done = 0, piece; done < size; done += piece) {
        piece = size - done < PIECE * 4 ? size - done : PIECE * 4;
        memcpy(v->to + at + done, v->from + old + done, piece);
        heap_worked(h, piece);
    }
    h->last_copied += size;
    set_forward(v, old, header, at);
    return at;
}

/* A large object keeps its place and changes its label, in the side table: it may be met again, unforwarded. */
static uint32_t forward_large(struct heap_visitor *v, uint32_t old, uint32_t header, uint32_t size)
{
    struct heap *h = v->heap;
    uint32_t c = heap_chunk_of(old);
    CHECK_DEBUG(heap_kind_of(h, c) == CHUNK_RUN && heap_chunk_start(c) == old);
    if (h->label[c] == heap_label(CHUNK_RUN, h->space.id)) return old;
    uint32_t at = v->compact_chunks == 0 ? 0 : copy_large(v, old, header, size);
    if (at == 0) heap_relabel_run(h, c);
    return at == 0 ? old : at;
}

static __attribute__((noinline)) uint32_t forward_big(struct heap_visitor *v, uint32_t old, uint32_t header,
                                                      uint32_t size)
{
    if (size > HEAP_MEDIUM_MAX) return forward_large(v, old, header, size);
    v->heap->space.medium += size;
    return copy(v, old, header, size);
}

/* Where the object at `old` in the old space is in the new one. */
static inline uint32_t forward(struct heap_visitor *v, uint32_t old)
{
    struct heap_head head = heap_load_head(v->from + old);
    if (head.header & HEAP_FORWARDED) return head.word;
    CHECK_DEBUG(old % 4 == 0 && heap_chunk_of(old) < v->heap->mapped_end);
    uint32_t desc = head.header >> 1;
    const struct heap_desc *d = &v->descs[desc];
    CHECK_DEBUG(d->kind != HEAP_FREE);
    if (v->marks != NULL) v->marks[desc] = 1;
    uint64_t size = heap_object_size(d, head.word);
    if (size > HEAP_SMALL_MAX) return forward_big(v, old, head.header, (uint32_t)size);
    /* A slot visited twice would be copied out of the new space. */
    CHECK_DEBUG(v->heap->label[heap_chunk_of(old)] == heap_label(CHUNK_SMALL, v->heap->from.id));
    return copy(v, old, head.header, (uint32_t)size);
}

void heap_visit_ref(struct heap_visitor *v, uint32_t *slot)
{
    heap_ref r = {*slot};
    v->roots++;
    if (v->check != NULL)
        heap_check_root(v, r.bits);
    else if (v->reach != NULL)
        heap_reach_root(v, r.bits);
    else if (heap_is_object(r))
        *slot = forward(v, r.bits);
}

void heap_visit_func(struct heap_visitor *v, uint32_t func)
{
    struct heap *h = v->heap;
    heap_walk_step(v->walk);
    if (h->emb.func != NULL) h->emb.func(h->emb.ctx, v, func);
}

/* ---- Scanning */

static inline void scan_ref(struct heap_visitor *v, uint8_t *slot)
{
    heap_ref r = {heap_load_slot(slot)};
    if (!heap_is_object(r)) return;
    uint32_t at = forward(v, r.bits);
    if (at != r.bits) heap_store_slot(slot, at);
}

static inline void scan_fixed(struct heap_visitor *v, const struct heap_desc *d, uint8_t *object)
{
    for (uint32_t i = 0; i < d->nrefs; i++) scan_ref(v, object + d->offsets[i]);
    for (uint32_t i = d->nrefs; i < d->nrefs + d->nfuncs; i++) {
        heap_visit_func(v, heap_load_slot(object + d->offsets[i]));
    }
}

static void scan_elements(struct heap_visitor *v, uint8_t elem, uint8_t *at, uint32_t count)
{
    if (elem == HEAP_SLOT_REF) {
        for (uint32_t i = 0; i < count; i++) scan_ref(v, at + (size_t)i * 4);
    } else if (elem == HEAP_SLOT_FUNC) {
        for (uint32_t i = 0; i < count; i++) heap_visit_func(v, heap_load_slot(at + (size_t)i * 4));
    }
}

/* Scans one bumped object; returns its size. */
static inline uint32_t scan_object(struct heap_visitor *v, uint8_t *object)
{
    struct heap_head head = heap_load_head(object);
    const struct heap_desc *d = &v->descs[head.header >> 1];
    if (d->kind == HEAP_FIXED) {
        scan_fixed(v, d, object);
        return d->size;
    }
    if (d->kind == HEAP_ARRAY) {
        scan_elements(v, d->elem, object + HEAP_ARRAY_DATA, head.word);
        return (uint32_t)heap_array_size(d, head.word);
    }
    CHECK_DEBUG(d->kind == HEAP_EXTERN); /* its link is not a reference */
    return HEAP_EXTERN_SIZE;
}

/* Scans to the allocation pointer; false when it was there already. */
static bool scan_chunks(struct heap_visitor *v)
{
    struct heap *h = v->heap;
    uint32_t begun_chunk = v->scan_chunk, begun = v->scan;
    while (v->scan_chunk != 0) {
        bool current = v->scan_chunk == h->space.current;
        uint32_t at = v->scan, end = current ? v->top : h->chunk[v->scan_chunk].top;
        while (at < end) at += scan_object(v, v->to + at);
        v->scan = at;
        if (v->scan_chunk != h->space.current) { /* closed, perhaps by that scan: then `end` was too low */
            if (v->scan < h->chunk[v->scan_chunk].top) continue;
            v->scan_chunk = h->chunk[v->scan_chunk].next;
            v->scan = heap_chunk_start(v->scan_chunk);
        } else if (v->scan == v->top) {
            break;
        }
    }
    return v->scan_chunk != begun_chunk || v->scan != begun;
}

static void scan_large(struct heap_visitor *v, uint8_t *object)
{
    struct heap_head head = heap_load_head(object);
    const struct heap_desc *d = &v->descs[head.header >> 1];
    if (d->kind == HEAP_FIXED) {
        scan_fixed(v, d, object);
        heap_worked(v->heap, d->nrefs * 4);
        return;
    }
    if (d->elem == HEAP_SLOT_DATA) return;
    for (uint32_t done = 0, count; done < head.word; done += count) {
        count = head.word - done < PIECE ? head.word - done : PIECE;
        scan_elements(v, d->elem, object + HEAP_ARRAY_DATA + (size_t)done * 4, count);
        heap_worked(v->heap, count * 4);
    }
}

/* Scans the next large object that was reached; false when there is none. */
static bool scan_next_run(struct heap_visitor *v)
{
    struct heap *h = v->heap;
    uint32_t c = v->run_scanned == 0 ? h->space.runs.head : h->chunk[v->run_scanned].next;
    if (c == 0) return false;
    v->run_scanned = c;
    scan_large(v, v->to + heap_chunk_start(c));
    return true;
}

static void scan(struct heap_visitor *v)
{
    bool more = true;
    while (more) {
        more = scan_chunks(v);
        more = scan_next_run(v) || more;
    }
}

void heap_visit_roots(struct heap_visitor *v, void (*caught_up)(struct heap_visitor *v))
{
    const struct heap_embedder *emb = &v->heap->emb;
    emb->roots(emb->ctx, v);
    do {
        caught_up(v);
    } while (emb->more_roots != NULL && emb->more_roots(emb->ctx, v));
}

/* ---- The collection */

/* For large objects to be copied into low holes, every free chunk is made cold, and small objects are copied to high
 * chunks. What .reserve does not need for those may be spent on large objects. */
static void prepare_compaction(struct heap *h, struct heap_visitor *v)
{
    heap_chill(h, h->warm.count);
    heap_sort_cold(h);
    uint64_t need = h->resident + heap_chunks_to_copy(h->space.retired, h->space.medium);
    v->compact_chunks = h->committed > need ? h->committed - (uint32_t)need : 0;
    v->compact_below = HEAP_FIRST + h->space.run_chunks;
}

/* Closes the mutator's chunk. */
static void retire(struct heap *h)
{
    struct heap_space *s = &h->space;
    heap_account_bump(h);
    if (s->current == 0) return;
    h->chunk[s->current].top = h->mutator->top;
    s->retired += h->mutator->top - heap_chunk_start(s->current);
}

/* The spaces change roles: everything is in the old one now. */
static void flip(struct heap *h, struct heap_visitor *v)
{
    h->from = h->space;
    h->space = (struct heap_space){.base = h->from.base, .id = !h->from.id};
    *h->mutator = (struct heap_mutator){.base = h->from.base}; /* nothing can be bumped meanwhile */
    h->last_copied = 0;
    v->from = h->from.base;
    v->to = h->space.base;
}

static uint64_t filled(const struct heap_space *s, uint32_t top)
{
    return s->retired + (s->current == 0 ? 0 : top - heap_chunk_start(s->current));
}

/* Once per collection, in every build: what came out fits what was reserved for it. */
static void assert_reserve(const struct heap *h, const struct heap_visitor *v)
{
    uint64_t reserved = heap_chunks_to_copy(h->from.retired, h->from.medium);
    CHECK(filled(&h->space, v->top) <= h->from.retired); /* nothing was copied twice */
    CHECK(h->space.medium <= h->from.medium);
    CHECK(h->space.small.count <= reserved);
    CHECK(h->resident <= h->committed);
    CHECK(v->run_scanned == h->space.runs.tail);
}

/* The new space becomes the mutator's. Its current chunk is opened up to the end if that is within .reserve. */
static void resume(struct heap *h, const struct heap_visitor *v)
{
    uint32_t c = h->space.current;
    h->end = v->top;
    if (c != 0 && heap_required_to(h, heap_chunk_end(c), 0) <= h->committed) h->end = heap_chunk_end(c);
    h->last_copied += filled(&h->space, v->top);
    h->live = filled(&h->space, v->top) + h->space.run_bytes;
    h->bump_from = v->top;
    h->allocated_then = h->stats.bytes_allocated;
    heap_publish(h, v->top);
}

static void report(struct heap *h, uint64_t begun)
{
    uint64_t pause = clock_ns(CLOCK_MONOTONIC) - begun - h->away_ns;
    h->stats.collections++;
    h->stats.bytes_copied += h->last_copied;
    h->stats.pause_ns_total += pause;
    if (pause > h->stats.pause_ns_max) h->stats.pause_ns_max = pause;
    if (h->emb.collected == NULL) return;
    struct heap_stats stats;
    heap_get_stats(h, &stats);
    h->emb.collected(h->emb.ctx, &stats);
}

void heap_collect_cycle(struct heap *h, bool compact)
{
    CHECK(h->magic == HEAP_MAGIC && !h->collecting);
    struct heap_visitor v = {.heap = h, .descs = h->descs.at, .marks = h->descs.marks};
    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    h->collecting = true;
    h->away_ns = 0;
    retire(h);
    if (compact) prepare_compaction(h, &v);
    flip(h, &v);
    heap_visit_roots(&v, scan);
    heap_extern_sweep(h, &v);
    assert_reserve(h, &v);
    h->collecting = false;
    resume(h, &v);
    heap_policy_resize(h, v.roots);
    heap_extern_report(h); /* reads the old space */
    heap_release_space(h, &h->from);
    report(h, begun);
}

void heap_collect(struct heap *h) { heap_collect_cycle(h, false); }
