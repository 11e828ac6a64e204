/* runtime/store/table.c -- tables: one implementation of each operation, for instructions and for the embedder.
 *
 * What a table holds is told by its slot kind; both kinds are 32-bit ids, so growing, filling and copying are the same
 * for both, and only the collector asks which. Elements are reached by index, never through a pointer that is kept. */
#include "base/check.h"
#include "base/release.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAPPED_MIN = 1 << 18, PAGE_BYTES = 4096, UNITS_PER_POLL = 1024 };

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
    CHECK(capacity >= size && capacity > t->capacity, ".whole");
    if (!resize(t, capacity)) {
        store_charge(t->store, -delta);
        return HEMI_NO_MEMORY;
    }
    t->capacity = capacity;
    return HEMI_OK;
}

static uint32_t step_of(uint32_t left) { return left < BULK_STEP / 4 ? left : BULK_STEP / 4; }

/* Up to the first `n` elements beyond the size become *bits; what they were is made null again if a poll says no. */
static enum hemi_status fill_beyond(struct table *t, uint32_t n, const uint32_t *bits)
{
    enum hemi_status status = HEMI_OK;
    while (t->filling < n && status == HEMI_OK) {
        uint32_t step = step_of(n - t->filling), *to = t->elems + t->size + t->filling, value = *bits;
        for (uint32_t i = 0; i < step; i++) to[i] = value;
        t->filling += step;
        CHECK_DEBUG(t->filling <= n && t->filling <= t->capacity - t->size, ".whole");
        if (t->filling < n) status = engine_poll(t->store->engine);
    }
    return status;
}

/* What a poll answers does not end what is ending. */
static void empty_beyond(struct table *t)
{
    while (t->filling > 0) {
        uint32_t step = step_of(t->filling);
        CHECK_DEBUG(step > 0 && t->filling <= t->capacity - t->size, ".whole");
        t->filling -= step;
        memset(t->elems + t->size + t->filling, 0, (size_t)step * 4);
        if (t->filling > 0) (void)engine_poll(t->store->engine);
    }
}

enum hemi_status table_extend(struct table *t, uint64_t delta, const uint32_t *bits)
{
    struct store *s = t->store;
    const uint32_t size = t->size;
    CHECK(t->filling == 0, ".whole");
    if (delta > size_max(t) - t->size || delta > s->opt.table_limit - s->table_elems) return HEMI_LIMIT;
    enum hemi_status status = reserve(t, t->size + (uint32_t)delta);
    if (status == HEMI_OK && *bits != 0) status = fill_beyond(t, (uint32_t)delta, bits);
    if (status != HEMI_OK) {
        empty_beyond(t);
        CHECK(t->size == size && t->filling == 0, ".whole");
        return status;
    }
    CHECK(t->size == size, ".poll");
    t->filling = 0;
    t->size += (uint32_t)delta;
    s->table_elems += delta;
    CHECK(t->size <= t->capacity && s->table_elems <= s->opt.table_limit, ".accounted");
    return HEMI_OK;
}

void table_init(struct store *s, struct table *t, valtype type, const struct limits *l)
{
    t->store = s;
    t->type = type;
    t->slot = (uint8_t)valtype_slot(s->engine->types, type);
    t->limits = *l;
    CHECK(t->slot != HEAP_SLOT_DATA && t->elems == NULL, ".rooted");
    t->next = s->tables;
    s->tables = t;
}

enum hemi_status table_start(struct table *t, const uint32_t *bits, struct rt_error *err)
{
    unsigned long long min = t->limits.min;
    enum hemi_status status = table_extend(t, min, bits);
    if (status == HEMI_LIMIT) return table_explain(t->store, NULL, min, err);
    if (status == HEMI_NO_MEMORY) return error_set(err, status, "a table of %llu elements", min);
    return status == HEMI_OK ? status : error_set(err, status, "making a table of %llu elements was stopped", min);
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
    CHECK(s->table_elems >= t->size, ".accounted");
    s->table_elems -= t->size;
    t->size = t->capacity = 0;
    return false;
}

uint32_t table_move(struct table *to, uint64_t at, const struct table *from, uint64_t from_at, uint64_t n)
{
    CHECK(table_within(to, at, n) && table_within(from, from_at, n), ".bulk");
    CHECK_DEBUG(to->slot == from->slot && to->store == from->store, ".bulk");
    struct bulk b = bulk_start(n * 4, to == from && at > from_at);
    while (bulk_next(&b, to->store)) memmove(to->elems + at + b.at / 4, from->elems + from_at + b.at / 4, b.len);
    CHECK(table_within(to, at, n) && table_within(from, from_at, n), ".poll");
    return bulk_end(to->store);
}

uint32_t table_set_all(struct table *t, uint64_t at, const uint32_t *bits, uint64_t n)
{
    CHECK(table_within(t, at, n), ".bulk");
    struct bulk b = bulk_start(n * 4, false);
    while (bulk_next(&b, t->store)) {
        uint32_t *to = t->elems + at + b.at / 4, value = *bits;
        for (uint64_t i = 0; i < b.len / 4; i++) to[i] = value;
    }
    CHECK(table_within(t, at, n), ".poll");
    return bulk_end(t->store);
}

uint32_t table_put(struct table *t, uint64_t at, const struct elem_inst *e, uint64_t from, uint64_t n)
{
    CHECK(table_within(t, at, n) && from <= e->count && n <= e->count - from, ".bulk");
    CHECK_DEBUG(n == 0 || t->slot == e->slot, ".bulk");
    struct bulk b = bulk_start(n * 4, false);
    while (bulk_next(&b, t->store)) memcpy(t->elems + at + b.at / 4, e->items + from + b.at / 4, b.len);
    CHECK(table_within(t, at, n) && n <= e->count, ".poll");
    return bulk_end(t->store);
}

/* ---- The embedder's view */
static bool fits(const struct table *t, union val v) { return store_ref_is(t->store, v, t->type); }

/* A value of the embedder's while it is written to a table: a root, in case a poll lets something collect. */
static enum hemi_status extend_with(struct table *t, uint64_t delta, union val v)
{
    struct root r;
    root_init(t->store, &r, t->slot, v.ref);
    enum hemi_status status = table_extend(t, delta, &r.bits);
    root_deinit(&r);
    return status;
}

/* The store's newest table has come to nothing: its elements do not stay until the store ends. */
static void give_up(struct store *s, struct table *t)
{
    size_t given = 0;
    uint32_t units = UNITS_PER_POLL;
    CHECK(s->tables == t && t->filling == 0, ".whole");
    while (table_free_some(t, &given, &units)) {
        units = UNITS_PER_POLL;
        (void)engine_poll(s->engine);
    }
    s->tables = t->next;
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
    table_init(s, t, type, l);
    status = extend_with(t, l->min, init);
    if (status == HEMI_OK)
        *out = t;
    else
        give_up(s, t);
    return status;
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
    enum hemi_status status = extend_with(t, delta, init);
    if (status == HEMI_OK) *old = size;
    return status;
}
