/* runtime/store/verify.c -- a store's invariants, executable: ids, lists and counts, and that every table, global,
 * segment, struct, array and exception which can be reached holds what its type allows, so no null where there is none.
 *
 * Frames are verified before the heap, which visits them as roots, and the heap before a reference is followed. */
#include "runtime/store/verify.h"
#include "runtime/engine/engine.h"

#include <stdio.h>

void complain(struct check *k, const char *what, uint32_t which)
{
    if (k->ok && k->len > 0) snprintf(k->why, k->len, "%s %u", what, which);
    k->ok = false;
}

bool func_valid(const struct store *s, uint32_t id)
{
    if (id == 0) return true;
    uint32_t block = id >> FUNC_BLOCK_SHIFT;
    if (block >= s->nfunc_blocks || s->vm.func_blocks[block] == NULL) return false;
    const struct module *m = s->vm.func_blocks[block]->module;
    return id - s->vm.func_blocks[block]->func_base < m->nfuncs - m->nimported_funcs;
}

/* ---- Ids and lists: these look into no object */
static void check_instances(struct check *k)
{
    const struct store *s = k->store;
    for (uint32_t id = 1; id < s->ninstances; id++, heap_walk_step(k->walk))
        if (s->vm.instances[id] == NULL || s->vm.instances[id]->id != id) complain(k, "instance without its id:", id);
    for (const struct root *r = s->roots.next; r != &s->roots && k->ok; r = r->next, heap_walk_step(k->walk)) {
        if (r->next->prev != r) complain(k, "root list broken at", r->bits);
        if (r->slot == HEAP_SLOT_FUNC && !func_valid(s, r->bits)) complain(k, "root holds no function:", r->bits);
    }
}

static void check_counts(struct check *k)
{
    uint64_t elems = 0;
    for (const struct table *t = k->store->tables; t != NULL; t = t->next, heap_walk_step(k->walk)) {
        if ((uint64_t)t->size + t->filling > t->capacity) complain(k, "table larger than its capacity:", t->size);
        elems += t->size;
    }
    if (elems != k->store->table_elems) complain(k, "tables' elements miscounted:", (uint32_t)elems);
}

/* ---- Types */
static void check_ref(struct check *k, uint32_t bits, valtype type, const char *what)
{
    heap_walk_step(k->walk);
    if ((bits == 0 && vt_nullable(type)) || (bits == k->last && type == k->last_type)) return;
    bool is_func = valtype_slot(k->store->engine->types, type) == HEAP_SLOT_FUNC;
    if (is_func && !func_valid(k->store, bits))
        complain(k, what, bits);
    else if (!store_ref_is(k->store, (union val){.u64 = {bits, 0}}, type))
        complain(k, what, bits);
    k->last = bits;
    k->last_type = type;
}

static void check_tables(struct check *k)
{
    for (const struct table *t = k->store->tables; t != NULL && k->ok; t = t->next)
        for (uint64_t i = 0; i < (uint64_t)t->size + t->filling && k->ok; i++)
            check_ref(k, t->elems[i], t->type, "table holds a value of another type:");
}

static void check_globals(struct check *k)
{
    for (const struct global *g = k->store->globals; g != NULL && k->ok; g = g->next)
        check_ref(k, g->val.ref, g->type, "global holds a value of another type:");
}

static void check_segments(struct check *k)
{
    for (uint32_t id = 1; id < k->store->ninstances; id++) {
        const struct instance *in = k->store->vm.instances[id];
        heap_walk_step(k->walk);
        for (uint32_t i = 0; in->elems != NULL && i < in->module->nelems; i++)
            for (uint32_t n = 0; n < in->elems[i].count && k->ok; n++)
                check_ref(k, in->elems[i].items[n], in->module->elems[i].type,
                          "segment holds a value of another type:");
    }
}

static uint32_t load(const uint8_t *at)
{
    uint32_t bits;
    __builtin_memcpy(&bits, at, sizeof bits);
    return bits;
}

static void check_array(struct check *k, const uint8_t *at, const struct field *f)
{
    uint32_t n = load(at + HEAP_ARRAY_LENGTH);
    for (uint32_t i = 0; i < n && k->ok; i++)
        check_ref(k, load(at + f->offset + (uint64_t)i * f->size), f->type, "array holds a value of another type:");
}

static void check_object(void *ctx, heap_ref r)
{
    struct check *k = ctx;
    const struct store *s = k->store;
    const struct rtype *t = &s->vm.rtypes[heap_object_desc(s->vm.heap.base, r)];
    const uint8_t *at = s->vm.heap.base + r.bits;
    heap_walk_step(k->walk);
    if (s->unfinished != NULL && s->unfinished->bits == r.bits) return; /* .whole */
    for (uint32_t i = 0; i < t->nfields && k->ok; i++) {
        const struct field *f = &t->fields[i];
        if (!vt_is_ref(f->type)) continue;
        if (t->kind == TYPE_ARRAY)
            check_array(k, at, f);
        else
            check_ref(k, load(at + f->offset), f->type, "struct or exception holds a value of another type:");
    }
}

bool store_verify(struct store *s, struct heap_walk *walk, char *why, size_t len)
{
    struct check k = {.store = s, .walk = walk, .why = why, .len = len, .ok = true};
    check_instances(&k);
    check_counts(&k);
    if (k.ok) verify_frames(&k);
    if (!k.ok || !heap_verify(s->heap, walk, why, len)) return false;
    check_tables(&k);
    check_globals(&k);
    check_segments(&k);
    if (k.ok) heap_each_reached(s->heap, walk, check_object, &k);
    return k.ok;
}
