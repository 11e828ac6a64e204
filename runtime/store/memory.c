/* runtime/store/memory.c -- linear memories: reservation, growth, bulk primitives, and the embedder's view. */
#include "base/check.h"
#include "base/release.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <string.h>
#include <sys/mman.h>

static uint64_t pages_to_bytes(uint64_t pages) { return pages << WASM_PAGE_SHIFT; }

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

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* More than the memory needs now: as long as the engine's other memories have left room, and the system has it. */
static bool reserve_ahead(struct memory *m, uint64_t bytes)
{
    struct engine *e = m->store->engine;
    uint64_t counted = bytes < MEMORY_AHEAD_LEAST ? MEMORY_AHEAD_LEAST : bytes;
    if (counted > MEMORY_AHEAD_MAX - e->reserved_ahead || reserve(m, bytes) != HEMI_OK) return false;
    e->reserved_ahead += counted;
    m->ahead = counted;
    return true;
}

/* What makes the memory a guarded one. Else, or when that is refused: all that it may ever need if that is at most 4
 * GiB; a larger one moves when it has grown out of what it has. When that is refused, too: what it needs now. */
static enum hemi_status reserve_first(struct memory *m, uint64_t min)
{
    bool can = m->store->engine->scheme == SCHEME_GUARDED && !m->type.is64;
    m->guarded = can && reserve_ahead(m, MEMORY_GUARDED_BYTES);
    if (m->guarded) return HEMI_OK;
    uint64_t first = least(pages_to_bytes(m->max_pages), MEMORY_RESERVED_FIRST);
    return first > min && reserve_ahead(m, first) ? HEMI_OK : reserve(m, min);
}

/* May the memory need more address space than it has? Then its accessible bytes are kept one mapping of the kernel's,
 * because mremap moves no more than one. */
static bool may_move(const struct memory *m) { return pages_to_bytes(m->max_pages) > m->reserved; }

/* Makes the first `size` bytes accessible, within what is reserved. */
static bool stretch(struct memory *m, uint64_t size)
{
    if (m->size == 0 || !may_move(m)) return mprotect(m->base + m->size, size - m->size, PROT_READ | PROT_WRITE) == 0;
    munmap(m->base + m->size, size - m->size);
    if (mremap(m->base, m->size, size, 0) != MAP_FAILED) return true;
    munmap(m->base + size, m->reserved - size); /* behind a gap, it is of no use */
    m->reserved = m->size;
    return false;
}

/* Moves the memory to where there is room for `size` bytes, if possible for twice as much as it had (but:
 * MEMORY_EXACT_MAX). Its pages go along, and the first `size` bytes become accessible. */
static bool move(struct memory *m, uint64_t size)
{
    const struct memory old = *m;
    bool is_exact = m->ahead == 0 && size <= MEMORY_EXACT_MAX;
    uint64_t more = is_exact ? size : least(pages_to_bytes(m->max_pages), 2 * old.reserved);
    if ((more <= size || reserve(m, more) != HEMI_OK) && reserve(m, size) != HEMI_OK) return false;
    bool moved = old.size == 0 ? mprotect(m->base, size, PROT_READ | PROT_WRITE) == 0
                               : mremap(old.base, old.size, size, MREMAP_MAYMOVE | MREMAP_FIXED, m->base) != MAP_FAILED;
    if (moved) {
        if (old.reserved != old.size) munmap(old.base + old.size, old.reserved - old.size);
    } else {
        munmap(m->base, m->reserved);
        *m = old;
    }
    return moved;
}

/* Does the store's limit allow `delta` more bytes? */
static bool is_allowed(const struct store *s, uint64_t delta) { return delta <= s->opt.memory_limit - s->memory_bytes; }

static enum hemi_status extend(struct memory *m, uint64_t pages)
{
    struct store *s = m->store;
    uint64_t delta = pages_to_bytes(pages);
    if (delta == 0) return HEMI_OK;
    if (!is_allowed(s, delta)) return HEMI_LIMIT;
    if (!store_charge(s, (int64_t)delta)) return HEMI_NO_MEMORY;
    if (delta > m->reserved - m->size ? !move(m, m->size + delta) : !stretch(m, m->size + delta)) {
        store_charge(s, -(int64_t)delta);
        return HEMI_NO_MEMORY;
    }
    m->size += delta;
    s->memory_bytes += delta;
    CHECK(m->size <= m->reserved && s->memory_bytes <= s->opt.memory_limit, ".accounted");
    CHECK(!m->guarded || m->reserved == MEMORY_GUARDED_BYTES, ".base");
    return HEMI_OK;
}

/* What the binary format allows, and what the address space has room for. */
static uint64_t pages_valid(const struct limits *l) { return l->is64 ? MEMORY64_PAGES_VALID : MEMORY_PAGES_MAX; }
static uint64_t pages_possible(const struct limits *l) { return l->is64 ? MEMORY64_PAGES_MAX : MEMORY_PAGES_MAX; }

/* As if none of it had been reserved; nothing of it is accessible yet. */
static void unreserve(struct memory *m)
{
    if (m->reserved != 0) munmap(m->base, m->reserved);
    CHECK(m->store->engine->reserved_ahead >= m->ahead && m->size == 0, ".accounted");
    m->store->engine->reserved_ahead -= m->ahead;
    m->reserved = m->ahead = 0;
    m->guarded = false;
    store_map(m->store, -MEMORY_MAPPINGS);
}

enum hemi_status memory_init(struct store *s, struct memory *m, const struct limits *l, struct rt_error *err)
{
    unsigned long long min = l->min;
    m->store = s;
    m->type = *l;
    m->max_pages = least(l->has_max ? l->max : UINT64_MAX, pages_possible(l));
    if (min > m->max_pages || !is_allowed(s, pages_to_bytes(min))) return memory_explain(s, NULL, min, err);
    if (!store_map(s, MEMORY_MAPPINGS)) return error_set(err, HEMI_NO_MEMORY, "no mappings for a memory");
    enum hemi_status status = reserve_first(m, pages_to_bytes(min));
    if (status != HEMI_OK) {
        unreserve(m);
        return error_set(err, status, "no address space for a memory");
    }
    status = extend(m, min);
    if (status != HEMI_OK) {
        unreserve(m);
        return error_set(err, status, "a memory of %llu pages", min);
    }
    m->next = s->memories; /* from here on store_free unmaps it */
    s->memories = m;
    return HEMI_OK;
}

bool memory_free_some(struct memory *m, uint32_t *units)
{
    struct store *s = m->store;
    if (m->reserved > m->size) {
        munmap(m->base + m->size, m->reserved - m->size);
        release_units(units, RELEASE_CALL_UNITS);
    }
    CHECK(m->reserved >= m->size, ".accounted");
    uint64_t before = m->size;
    bool more = release_mapping((char *)m->base, &m->size, units);
    m->reserved = m->size;
    CHECK(s->memory_bytes >= before - m->size && s->engine->reserved_ahead >= m->ahead, ".accounted");
    s->memory_bytes -= before - m->size;
    store_charge(s, -(int64_t)(before - m->size));
    s->engine->reserved_ahead -= m->ahead;
    m->ahead = 0;
    if (!more) store_map(s, -MEMORY_MAPPINGS);
    return more;
}

uint32_t memory_move(struct memory *to, uint64_t at, const struct memory *from, uint64_t from_at, uint64_t n)
{
    CHECK(memory_within(to, at, n) && memory_within(from, from_at, n), ".bulk");
    if (n > 0 && n <= BULK_STEP) { /* nearly always: one piece, and no poll */
        memmove(to->base + at, from->base + from_at, n);
        return VM_OK;
    }
    struct bulk b = bulk_start(n, to == from && at > from_at);
    while (bulk_next(&b, to->store)) memmove(to->base + at + b.at, from->base + from_at + b.at, b.len);
    CHECK(memory_within(to, at, n) && memory_within(from, from_at, n), ".poll");
    return bulk_end(to->store);
}

uint32_t memory_set(struct memory *m, uint64_t at, uint8_t byte, uint64_t n)
{
    CHECK(memory_within(m, at, n), ".bulk");
    if (n > 0 && n <= BULK_STEP) {
        memset(m->base + at, byte, n);
        return VM_OK;
    }
    struct bulk b = bulk_start(n, false);
    while (bulk_next(&b, m->store)) memset(m->base + at + b.at, byte, b.len);
    CHECK(memory_within(m, at, n), ".poll");
    return bulk_end(m->store);
}

uint32_t memory_put(struct memory *m, uint64_t at, const uint8_t *bytes, uint64_t n)
{
    CHECK(memory_within(m, at, n), ".bulk");
    struct bulk b = bulk_start(n, false);
    while (bulk_next(&b, m->store)) memcpy(m->base + at + b.at, bytes + b.at, b.len);
    CHECK(memory_within(m, at, n), ".poll");
    return bulk_end(m->store);
}

enum hemi_status memory_new(struct store *s, const struct limits *l, struct memory **out)
{
    *out = NULL;
    if (l->min > pages_valid(l) || (l->has_max && (l->max < l->min || l->max > pages_valid(l)))) return HEMI_ARGUMENT;
    struct memory *m = store_alloc(s, sizeof *m);
    if (m == NULL) return HEMI_NO_MEMORY;
    enum hemi_status status = memory_init(s, m, l, NULL);
    if (status == HEMI_OK) *out = m;
    return status;
}

const struct limits *memory_type(const struct memory *m) { return &m->type; }

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
