/* runtime/memory.c -- linear memories: reservation, growth, bulk primitives, and the embedder's view. */
#include "runtime/store.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t pages_to_bytes(uint64_t pages) { return pages << WASM_PAGE_SHIFT; }

bool memory_within(const struct memory *m, uint64_t at, uint64_t n) { return n <= m->size && at <= m->size - n; }

/* Address space only: nothing is accessible, and nothing counts against RLIMIT_DATA, until it is grown into. */
static enum hemi_status reserve(struct memory *m, uint64_t bytes)
{
    if (bytes == 0) return HEMI_OK;
    void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return HEMI_NO_MEMORY;
    m->base = at;
    m->reserved = bytes;
    return HEMI_OK;
}

static enum hemi_status extend(struct memory *m, uint64_t pages)
{
    struct store *s = m->store;
    uint64_t delta = pages_to_bytes(pages);
    if (delta == 0) return HEMI_OK;
    if (delta > m->reserved - m->size || delta > s->opt.memory_limit - s->memory_bytes) return HEMI_LIMIT;
    if (!store_charge(s, (int64_t)delta)) return HEMI_NO_MEMORY;
    if (mprotect(m->base + m->size, delta, PROT_READ | PROT_WRITE) != 0) {
        store_charge(s, -(int64_t)delta);
        return HEMI_NO_MEMORY;
    }
    m->size += delta;
    s->memory_bytes += delta;
    return HEMI_OK;
}

enum hemi_status memory_init(struct store *s, struct memory *m, const struct limits *l, struct rt_error *err)
{
    m->store = s;
    m->type = *l;
    m->max_pages = l->has_max && l->max < MEMORY_PAGES_MAX ? l->max : MEMORY_PAGES_MAX;
    if (l->min > m->max_pages)
        return error_set(err, HEMI_LIMIT, "a memory of %llu pages is larger than %u", (unsigned long long)l->min,
                         MEMORY_PAGES_MAX);
    enum hemi_status status = reserve(m, pages_to_bytes(m->max_pages));
    if (status != HEMI_OK) return error_set(err, status, "no address space for a memory");
    m->next = s->memories; /* from here on store_free unmaps it */
    s->memories = m;
    status = extend(m, l->min);
    if (status == HEMI_LIMIT) error_set(err, status, "memory_limit: %llu pages", (unsigned long long)l->min);
    if (status == HEMI_NO_MEMORY) error_set(err, status, "a memory of %llu pages", (unsigned long long)l->min);
    return status;
}

void memory_deinit(struct memory *m)
{
    if (m->reserved != 0) munmap(m->base, m->reserved);
    m->store->memory_bytes -= m->size;
    m->base = NULL;
    m->size = m->reserved = 0;
}

uint32_t memory_move(struct memory *to, uint64_t at, const struct memory *from, uint64_t from_at, uint64_t n)
{
    assert(memory_within(to, at, n) && memory_within(from, from_at, n));
    struct bulk b = bulk_start(n, to == from && at > from_at);
    while (bulk_next(&b, to->store)) memmove(to->base + at + b.at, from->base + from_at + b.at, b.len);
    return bulk_end(to->store);
}

uint32_t memory_set(struct memory *m, uint64_t at, uint8_t byte, uint64_t n)
{
    assert(memory_within(m, at, n));
    struct bulk b = bulk_start(n, false);
    while (bulk_next(&b, m->store)) memset(m->base + at + b.at, byte, b.len);
    return bulk_end(m->store);
}

uint32_t memory_put(struct memory *m, uint64_t at, const uint8_t *bytes, uint64_t n)
{
    assert(memory_within(m, at, n));
    struct bulk b = bulk_start(n, false);
    while (bulk_next(&b, m->store)) memcpy(m->base + at + b.at, bytes + b.at, b.len);
    return bulk_end(m->store);
}

enum hemi_status memory_new(struct store *s, const struct limits *l, struct memory **out)
{
    *out = NULL;
    if (l->min > MEMORY_PAGES_MAX || (l->has_max && l->max < l->min)) return HEMI_ARGUMENT;
    struct memory *m = store_alloc(s, sizeof *m);
    if (m == NULL) return HEMI_NO_MEMORY;
    enum hemi_status status = memory_init(s, m, l, NULL);
    if (status == HEMI_OK) *out = m;
    return status;
}

uint64_t memory_pages(const struct memory *m) { return m->size >> WASM_PAGE_SHIFT; }

enum hemi_status memory_grow(struct memory *m, uint64_t delta, uint64_t *old_pages)
{
    uint64_t old = memory_pages(m);
    if (delta > m->max_pages - old) return HEMI_LIMIT;
    enum hemi_status status = extend(m, delta);
    if (status == HEMI_OK) *old_pages = old;
    return status;
}

enum hemi_status memory_read(const struct memory *m, uint64_t at, void *to, size_t n)
{
    if (!memory_within(m, at, n)) return HEMI_ARGUMENT;
    if (n != 0) memcpy(to, m->base + at, n);
    return HEMI_OK;
}

enum hemi_status memory_write(struct memory *m, uint64_t at, const void *from, size_t n)
{
    if (!memory_within(m, at, n)) return HEMI_ARGUMENT;
    if (n != 0) memcpy(m->base + at, from, n);
    return HEMI_OK;
}
