/* heap/verify.c -- the heap's invariants, executable: labels, lists, objects, references, roots, externrefs, poison.
 *
 * It reads a heap that may be corrupt, so nothing found in the heap is used before it is checked.
 */
#include "heap/internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { KINDS = CHUNK_TAIL + 1 };

struct heap_check {
    struct heap *heap;
    struct heap_walk *walk;
    struct heap_bits starts; /* an object starts here */
    uint64_t externs;
    uint32_t counted[KINDS]; /* chunks by label */
    bool ok;
    bool lacks_memory; /* and gave up: nothing is known to be wrong */
    bool scanned;      /* the objects' references */
    char *why;
    size_t len;
};

/* Keeps the first finding. */
static __attribute__((format(printf, 2, 3))) bool fail(struct heap_check *k, const char *format, ...)
{
    if (!k->ok) return false;
    k->ok = false;
    va_list args;
    va_start(args, format);
    if (k->len > 0) vsnprintf(k->why, k->len, format, args);
    va_end(args);
    return false;
}

static void mark_start(struct heap_check *k, uint32_t at)
{
    if (heap_bits_set(&k->starts, at)) return;
    k->lacks_memory = true;
    k->ok = false;
}

static bool is_start(const struct heap_check *k, uint32_t at) { return heap_bits_has(&k->starts, at); }

/* ---- Chunks */

static void count_labels(struct heap_check *k)
{
    const struct heap *h = k->heap;
    if (h->mapped_end > h->table && h->table != 0) fail(k, "mapped to chunk %u of %u", h->mapped_end, h->table);
    for (uint32_t c = 0; k->ok && c < h->table; c++) {
        heap_walk_step(k->walk);
        uint32_t kind = h->label[c] >> 1;
        bool outside = c < HEAP_FIRST || c >= h->mapped_end;
        if (kind >= KINDS)
            fail(k, "chunk %u has label %u", c, h->label[c]);
        else if (outside != (kind == CHUNK_NONE))
            fail(k, "chunk %u of %u has kind %u", c, h->mapped_end, kind);
        else
            k->counted[kind]++;
    }
}

static void check_list(struct heap_check *k, const struct heap_list *l, uint8_t label, uint8_t mask, const char *name)
{
    const struct heap *h = k->heap;
    uint32_t before = 0, n = 0;
    for (uint32_t c = l->head; c != 0; before = c, c = h->chunk[c].next, n++) {
        heap_walk_step(k->walk);
        if (c >= h->table || n >= l->count)
            fail(k, "%s list: no end after %u chunks", name, n);
        else if ((h->label[c] & mask) != label)
            fail(k, "%s list: chunk %u has label %u", name, c, h->label[c]);
        else if (h->chunk[c].prev != before)
            fail(k, "%s list: chunk %u is not behind %u", name, c, before);
        if (!k->ok) return; /* what is behind it may be anywhere */
    }
    if (k->ok && (n != l->count || before != l->tail)) fail(k, "%s list: %u chunks, not %u", name, n, l->count);
}

static void check_chunks(struct heap_check *k)
{
    const struct heap *h = k->heap;
    const struct heap_space *s = &h->space;
    count_labels(k);
    check_list(k, &h->cold, heap_label(CHUNK_COLD, 0), 0xFE, "cold");
    check_list(k, &h->warm, heap_label(CHUNK_WARM, 0), 0xFE, "warm");
    check_list(k, &s->small, heap_label(CHUNK_SMALL, s->id), 0xFF, "small");
    check_list(k, &s->runs, heap_label(CHUNK_RUN, s->id), 0xFF, "run");
    if (!k->ok) return;
    const uint32_t *n = k->counted;
    if (n[CHUNK_COLD] != h->cold.count || n[CHUNK_WARM] != h->warm.count) fail(k, "free chunks in no list");
    if (n[CHUNK_SMALL] != s->small.count || n[CHUNK_RUN] != s->runs.count) fail(k, "used chunks in no list");
    if (n[CHUNK_RUN] + n[CHUNK_TAIL] != s->run_chunks) fail(k, "%u chunks of runs", s->run_chunks);
    if (h->resident != h->warm.count + s->small.count + s->run_chunks) fail(k, "%u chunks resident", h->resident);
    if (h->resident > h->committed) fail(k, ".resident: %u of %u", h->resident, h->committed);
    if (h->committed > h->mapped_end - HEAP_FIRST) fail(k, "%u committed, not all mapped", h->committed);
    if (s->small.tail != s->current) fail(k, "the current chunk %u is not the last", s->current);
    if (heap_required_to(h, h->end, 0) > h->committed) fail(k, ".reserve: %u committed", h->committed);
}

/* ---- Objects */

/* Size of the object at `at`, which has to end at or before `end`; 0: it is no object. */
static uint32_t check_object(struct heap_check *k, uint32_t at, uint32_t end)
{
    const struct heap *h = k->heap;
    struct heap_head head = heap_load_head(h->space.base + at);
    uint32_t desc = head.header >> 1;
    if (head.header & HEAP_FORWARDED) return fail(k, "object %#x: header %#x is forwarded", at, head.header);
    if (h->descs.count != NULL && desc >= *h->descs.count) return fail(k, "object %#x: descriptor %u", at, desc);
    const struct heap_desc *d = &h->descs.at[desc];
    if (d->kind == HEAP_FREE || d->kind > HEAP_EXTERN) return fail(k, "object %#x: descriptor %u is free", at, desc);
    heap_walk_step(k->walk);
    uint64_t size = heap_object_size(d, head.word);
    if (size < sizeof head || size > end - at) {
        return fail(k, "object %#x: %llu bytes, %u left", at, (unsigned long long)size, end - at);
    }
    k->externs += d->kind == HEAP_EXTERN;
    mark_start(k, at);
    return (uint32_t)size;
}

static void check_poison(struct heap_check *k, uint32_t at, uint32_t end)
{
    if (!HEAP_STRESS || !k->ok) return;
    heap_walk_step(k->walk);
    if (!heap_is_poison(k->heap->window + at, end - at)) fail(k, "free memory written at %#x to %#x", at, end);
}

static uint32_t top_of(const struct heap *h, uint32_t c)
{
    return c == h->space.current ? h->mutator->top : h->chunk[c].top;
}

static void check_small(struct heap_check *k, uint32_t c)
{
    uint32_t top = top_of(k->heap, c), at = heap_chunk_start(c);
    if (top < at || top > heap_chunk_end(c)) fail(k, "chunk %u: top %#x", c, top);
    while (k->ok && at < top) {
        uint32_t size = check_object(k, at, top);
        if (size > HEAP_MEDIUM_MAX) fail(k, "object %#x: %u bytes in a shared chunk", at, size);
        at += size;
    }
    check_poison(k, top, heap_chunk_end(c));
}

static void check_run(struct heap_check *k, uint32_t c)
{
    const struct heap *h = k->heap;
    uint32_t at = heap_chunk_start(c), top = h->chunk[c].top;
    uint32_t n = heap_chunks_for(top - at);
    if (top <= at || c + n > h->mapped_end) fail(k, "run %u: top %#x", c, top);
    for (uint32_t i = 1; k->ok && i < n; i++) {
        heap_walk_step(k->walk);
        if (heap_kind_of(h, c + i) != CHUNK_TAIL) fail(k, "run %u: chunk %u has label %u", c, c + i, h->label[c + i]);
    }
    uint32_t size = k->ok ? check_object(k, at, top) : 0;
    if (k->ok && (size != top - at || size <= HEAP_MEDIUM_MAX)) fail(k, "run %u: %u bytes of %u", c, size, top - at);
    check_poison(k, top, heap_chunk_end(c + n - 1));
}

static void check_free(struct heap_check *k)
{
    for (uint32_t c = k->heap->warm.head; k->ok && c != 0; c = k->heap->chunk[c].next) {
        check_poison(k, heap_chunk_start(c), heap_chunk_end(c));
    }
}

static void check_objects(struct heap_check *k)
{
    const struct heap *h = k->heap;
    for (uint32_t c = h->space.small.head; k->ok && c != 0; c = h->chunk[c].next) check_small(k, c);
    for (uint32_t c = h->space.runs.head; k->ok && c != 0; c = h->chunk[c].next) check_run(k, c);
    check_free(k);
}

/* ---- References */

static void check_slot(struct heap_check *k, uint32_t object, uint32_t offset)
{
    heap_ref r = {heap_load_slot(k->heap->space.base + object + offset)};
    heap_walk_step(k->walk);
    if (heap_is_object(r) && !is_start(k, r.bits)) {
        fail(k, "object %#x: the reference at +%u is %#x, not an object", object, offset, r.bits);
    }
}

/* Every slot of one object (.ref); returns its size. */
static uint32_t check_slots(struct heap_check *k, struct heap_visitor *v, uint32_t at)
{
    const struct heap *h = k->heap;
    struct heap_head head = heap_load_head(h->space.base + at);
    const struct heap_desc *d = &h->descs.at[head.header >> 1];
    heap_walk_step(k->walk);
    for (uint32_t i = 0; d->kind == HEAP_FIXED && i < d->nrefs + d->nfuncs; i++) {
        if (i < d->nrefs)
            check_slot(k, at, d->offsets[i]);
        else
            heap_visit_func(v, heap_load_slot(h->space.base + at + d->offsets[i]));
    }
    for (uint32_t i = 0; d->kind == HEAP_ARRAY && d->elem != HEAP_SLOT_DATA && i < head.word; i++) {
        uint32_t offset = HEAP_ARRAY_DATA + i * 4;
        if (d->elem == HEAP_SLOT_REF)
            check_slot(k, at, offset);
        else
            heap_visit_func(v, heap_load_slot(h->space.base + at + offset));
    }
    return (uint32_t)heap_object_size(d, head.word);
}

/* Takes the place of the scan in a trace: every object, dead ones too, when the roots have been visited. */
static void check_references(struct heap_visitor *v)
{
    struct heap_check *k = v->check;
    const struct heap *h = k->heap;
    if (k->scanned) return;
    k->scanned = true;
    for (uint32_t c = h->space.small.head; k->ok && c != 0; c = h->chunk[c].next) {
        for (uint32_t at = heap_chunk_start(c); at < top_of(h, c);) at += check_slots(k, v, at);
    }
    for (uint32_t c = h->space.runs.head; k->ok && c != 0; c = h->chunk[c].next) {
        check_slots(k, v, heap_chunk_start(c));
    }
}

void heap_check_root(struct heap_visitor *v, uint32_t bits)
{
    struct heap_check *k = v->check;
    heap_walk_step(k->walk);
    if (heap_is_object((heap_ref){bits}) && !is_start(k, bits)) {
        fail(k, "root %llu is %#x, not an object", (unsigned long long)v->roots, bits);
    }
}

/* ---- Externrefs */

static bool check_extern(struct heap_check *k, uint32_t at, uint32_t bucket)
{
    const struct heap *h = k->heap;
    if (!is_start(k, at)) return fail(k, "externref set: %#x is not an object", at);
    uint32_t header = heap_load_head(h->space.base + at).header;
    if (h->descs.at[header >> 1].kind != HEAP_EXTERN) return fail(k, "externref set: %#x is no externref", at);
    uint64_t id = heap_extern_id(h, (heap_ref){at});
    if (heap_extern_bucket(h, id) != bucket) return fail(k, "externref %#x is in bucket %u", at, bucket);
    return true;
}

/* An object that is in the heap, in the right bucket, and as many of them as there are: each exactly once. */
static void check_externs(struct heap_check *k)
{
    const struct heap *h = k->heap;
    uint64_t n = 0;
    for (uint32_t i = 0; i < h->externs.buckets; i++) {
        heap_walk_step(k->walk);
        for (uint32_t at = h->externs.heads[i]; k->ok && at != 0; n++) {
            heap_walk_step(k->walk);
            if (n >= h->externs.count)
                fail(k, "externref set: more than %llu", (unsigned long long)h->externs.count);
            else if (check_extern(k, at, i))
                at = heap_load_head(h->space.base + at).word;
        }
    }
    if (k->ok && (n != h->externs.count || n != k->externs)) {
        fail(k, "externrefs: %llu in the set, %llu in the heap", (unsigned long long)n, (unsigned long long)k->externs);
    }
}

bool heap_verify(struct heap *h, struct heap_walk *walk, char *why, size_t len)
{
    CHECK(h->magic == HEAP_MAGIC && !h->collecting);
    struct heap_check k = {.heap = h, .walk = walk, .why = why, .len = len};
    struct heap_visitor v = {.heap = h, .check = &k, .walk = walk, .descs = h->descs.at};
    k.ok = heap_bits_init(&k.starts, h->mapped_end);
    k.lacks_memory = !k.ok;
    if (k.ok) check_chunks(&k);
    if (k.ok) check_objects(&k);
    if (k.ok) check_externs(&k);
    if (k.ok) heap_visit_roots(&v, check_references);
    heap_bits_deinit(&k.starts, walk);
    return k.ok || k.lacks_memory;
}
