/* runtime/table.c -- tables: one implementation of each operation, for instructions and for the embedder.
 *
 * What a table holds is told by its slot kind; both kinds are 32-bit ids, so growing, filling and copying are the same
 * for both, and only the collector asks which. Elements are reached by index, never through a pointer that is kept. */
#include "runtime/engine.h"
#include "runtime/release.h"
#include "runtime/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAPPED_MIN = 1 << 18, PAGE_BYTES = 4096 };

bool table_within(const struct table *t, uint64_t at, uint64_t n) { return n <= t->size && at <= t->size - n; }

/* A table has at most 2^32 - 1 elements, whatever its address type allows. */
static uint64_t size_max(const struct table *t)
{
    return t->limits.has_max && t->limits.max < UINT32_MAX ? t->limits.max : UINT32_MAX;
}

/* A large table is a mapping, which grows zeroed and without a copy. */
static bool resize_mapping(struct table *t, uint64_t bytes)
{
    void *at;
    if (t->mapped != 0) {
        at = mremap(t->elems, t->mapped, bytes, MREMAP_MAYMOVE);
    } else {
        if (!store_map(t->store, TABLE_MAPPINGS)) return false;
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at != MAP_FAILED && t->elems != NULL) memcpy(at, t->elems, (size_t)t->capacity * 4);
        if (at != MAP_FAILED)
            free(t->elems);
        else
            store_map(t->store, -TABLE_MAPPINGS);
    }
    if (at == MAP_FAILED) return false;
    t->elems = at;
    t->mapped = bytes;
    return true;
}

/* The new elements are null. */
static bool resize(struct table *t, uint32_t capacity)
{
    uint64_t bytes = (uint64_t)capacity * 4;
    if (bytes >= MAPPED_MIN) return resize_mapping(t, (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1));
    uint32_t *elems = realloc(t->elems, bytes);
    if (elems == NULL) return false;
    memset(elems + t->capacity, 0, bytes - (uint64_t)t->capacity * 4);
    t->elems = elems;
    return true;
}

/* Room for `size` elements: doubled, so that growing by one is cheap, but not beyond what the table may ever hold. */
static enum hemi_status reserve(struct table *t, uint32_t size)
{
    if (size <= t->capacity) return HEMI_OK;
    uint64_t most = size_max(t), doubled = (uint64_t)t->capacity * 2;
    uint32_t capacity = (uint32_t)(doubled > most ? most : doubled);
    if (capacity < size) capacity = size;
    int64_t delta = (int64_t)(capacity - t->capacity) * 4;
    if (!store_charge(t->store, delta)) return HEMI_NO_MEMORY;
    if (!resize(t, capacity)) {
        store_charge(t->store, -delta);
        return HEMI_NO_MEMORY;
    }
    t->capacity = capacity;
    return HEMI_OK;
}

enum hemi_status table_extend(struct table *t, uint64_t delta)
{
    struct store *s = t->store;
    if (delta > size_max(t) - t->size || delta > s->opt.table_limit - s->table_elems) return HEMI_LIMIT;
    enum hemi_status status = reserve(t, t->size + (uint32_t)delta);
    if (status != HEMI_OK) return status;
    t->size += (uint32_t)delta; /* elements beyond the size have always been null: tables never shrink */
    s->table_elems += delta;
    return HEMI_OK;
}

enum hemi_status table_init(struct store *s, struct table *t, valtype type, const struct limits *l,
                            struct rt_error *err)
{
    t->store = s;
    t->type = type;
    t->slot = (uint8_t)valtype_slot(s->engine, type);
    t->limits = *l;
    assert(t->slot != HEAP_SLOT_DATA);
    t->next = s->tables;
    s->tables = t;
    enum hemi_status status = table_extend(t, l->min);
    if (status == HEMI_LIMIT) error_set(err, status, "table_limit: %llu elements", (unsigned long long)l->min);
    if (status == HEMI_NO_MEMORY) error_set(err, status, "a table of %llu elements", (unsigned long long)l->min);
    return status;
}

bool table_free_some(struct table *t, size_t *given, uint32_t *units)
{
    struct store *s = t->store;
    bool is_mapping = t->mapped != 0;
    bool more = is_mapping ? release_mapping((char *)t->elems, &t->mapped, units)
                           : release_block((void **)&t->elems, given, units);
    if (more) return true;
    if (is_mapping) store_map(s, -TABLE_MAPPINGS);
    t->elems = NULL;
    store_charge(s, -(int64_t)t->capacity * 4);
    s->table_elems -= t->size;
    t->size = t->capacity = 0;
    return false;
}

uint32_t table_move(struct table *to, uint64_t at, const struct table *from, uint64_t from_at, uint64_t n)
{
    assert(table_within(to, at, n) && table_within(from, from_at, n));
    struct bulk b = bulk_start(n * 4, to == from && at > from_at);
    while (bulk_next(&b, to->store)) memmove(to->elems + at + b.at / 4, from->elems + from_at + b.at / 4, b.len);
    return bulk_end(to->store);
}

uint32_t table_set_all(struct table *t, uint64_t at, const uint32_t *bits, uint64_t n)
{
    assert(table_within(t, at, n));
    struct bulk b = bulk_start(n * 4, false);
    while (bulk_next(&b, t->store)) {
        uint32_t *to = t->elems + at + b.at / 4, value = *bits;
        for (uint64_t i = 0; i < b.len / 4; i++) to[i] = value;
    }
    return bulk_end(t->store);
}

uint32_t table_put(struct table *t, uint64_t at, const struct elem_inst *e, uint64_t from, uint64_t n)
{
    assert(table_within(t, at, n) && from <= e->count && n <= e->count - from);
    struct bulk b = bulk_start(n * 4, false);
    while (bulk_next(&b, t->store)) memcpy(t->elems + at + b.at / 4, e->items + from + b.at / 4, b.len);
    return bulk_end(t->store);
}

/* ---- The embedder's view */
static bool fits(const struct table *t, union val v) { return store_ref_is(t->store, v, t->type); }

/* The embedder's fill runs outside any activation: what a poll answers does not end it. */
static void set_plain(struct table *t, uint32_t at, uint32_t bits)
{
    for (uint32_t i = at, end; bits != 0 && i < t->size; i = end) {
        end = t->size - i > BULK_STEP / 4 ? i + BULK_STEP / 4 : t->size;
        for (uint32_t k = i; k < end; k++) t->elems[k] = bits;
        if (end < t->size) (void)engine_poll(t->store->engine);
    }
}

enum hemi_status table_new(struct store *s, valtype type, const struct limits *l, union val init, struct table **out)
{
    *out = NULL;
    uint64_t valid = l->is64 ? UINT64_MAX : UINT32_MAX;
    if (!vt_is_ref(type) || l->min > valid || (l->has_max && (l->max < l->min || l->max > valid))) return HEMI_ARGUMENT;
    if (!store_ref_is(s, init, type)) return HEMI_ARGUMENT;
    enum hemi_status status = store_hold_type(s, type);
    if (status != HEMI_OK) return status;
    struct table *t = store_alloc(s, sizeof *t);
    if (t == NULL) return HEMI_NO_MEMORY;
    status = table_init(s, t, type, l, NULL);
    if (status != HEMI_OK) return status;
    set_plain(t, 0, init.ref);
    *out = t;
    return HEMI_OK;
}

valtype table_type(const struct table *t, struct limits *l)
{
    if (l != NULL) *l = t->limits;
    return t->type;
}

uint32_t table_size(const struct table *t) { return t->size; }

enum hemi_status table_get(const struct table *t, uint64_t i, union val *out)
{
    if (i >= t->size) return HEMI_ARGUMENT;
    *out = (union val){.u64 = {t->elems[i], 0}};
    return HEMI_OK;
}

enum hemi_status table_set(struct table *t, uint64_t i, union val v)
{
    if (i >= t->size || !fits(t, v)) return HEMI_ARGUMENT;
    t->elems[i] = v.ref;
    return HEMI_OK;
}

enum hemi_status table_grow(struct table *t, uint64_t delta, union val init, uint32_t *old)
{
    if (!fits(t, init)) return HEMI_ARGUMENT;
    uint32_t size = t->size;
    enum hemi_status status = table_extend(t, delta);
    if (status != HEMI_OK) return status;
    set_plain(t, size, init.ref);
    *old = size;
    return HEMI_OK;
}
