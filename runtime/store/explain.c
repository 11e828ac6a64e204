/* runtime/store/explain.c -- which limit of a store it was, by the name that whoever set it knows it by. */
#include "proto/tables/limits.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

enum hemi_status error_limit(struct rt_error *err, const char *name, uint64_t asked, const char *what, uint64_t most)
{
    return error_set(err, HEMI_LIMIT, LIMIT_MESSAGE, name, (unsigned long long)asked, what, (unsigned long long)most);
}

static uint64_t sum(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
static uint64_t bytes_of(uint64_t pages)
{
    return pages > UINT64_MAX >> WASM_PAGE_SHIFT ? UINT64_MAX : pages << WASM_PAGE_SHIFT;
}

enum hemi_status memory_explain(const struct store *s, const struct memory *old, uint64_t pages, struct rt_error *err)
{
    uint64_t whole = old ? sum(memory_pages(old), pages) : pages;
    uint64_t most = old ? old->max_pages : MEMORY64_PAGES_MAX;
    if (whole > most) return error_limit(err, "size of a memory", whole, " pages", most);
    return error_limit(err, s->opt.names.memory, sum(s->memory_bytes, bytes_of(pages)),
                       " bytes of all linear memories together", s->opt.memory_limit);
}

enum hemi_status table_explain(const struct store *s, const struct table *old, uint64_t elements, struct rt_error *err)
{
    uint64_t whole = old ? sum(old->size, elements) : elements;
    uint64_t most = old && old->limits.has_max && old->limits.max < UINT32_MAX ? old->limits.max : UINT32_MAX;
    if (whole > most) return error_limit(err, "size of a table", whole, " elements", most);
    return error_limit(err, s->opt.names.table, sum(s->table_elems, elements), " elements of all tables together",
                       s->opt.table_limit);
}

/* Of the activation that runs. */
static uint64_t stack_bytes(const struct store *s)
{
    return s->activation ? (uint64_t)(s->vm.stack_limit - s->activation->fp) + ENTRY_BYTES : 0;
}

void text_limit_of_trap(struct text *t, const struct store *s, enum wasm_trap trap)
{
    if (trap == TRAP_ALLOCATION || (trap == TRAP_HEAP_EXHAUSTED && !s->charge_refused))
        text_add(t, " (%s: at most %llu bytes)", s->opt.names.heap, (unsigned long long)s->opt.heap_limit);
    else if (trap == TRAP_STACK_OVERFLOW && stack_bytes(s) > 0)
        text_add(t, " (%s: at most %llu bytes)", s->opt.names.stack, (unsigned long long)stack_bytes(s));
}
