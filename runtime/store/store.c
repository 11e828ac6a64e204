/* runtime/store/store.c -- stores: making and freeing, budget, ids of instances and functions, poll, statistics. */
#include "runtime/store/store.h"
#include "base/check.h"
#include "base/release.h"
#include "runtime/engine/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slots hold values in the machine's order and heap objects in little-endian order (heap.h .bytes); on the targets that
 * we build for these are the same. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "slots and heap objects share one byte order");

enum { HEAP_LIMIT_DEFAULT = 256 << 20, TABLE_LIMIT_DEFAULT = 10000000, INSTANCE_LIMIT_DEFAULT = 10000 };
enum { HOST_UNITS = 2 /* of a host function, for what the embedder lets go of */ };
enum { FUNC_BLOCKS_MAX = 1 << (32 - FUNC_BLOCK_SHIFT) };
#define MEMORY_LIMIT_DEFAULT (UINT64_C(4) << 30)

enum hemi_status error_set(struct rt_error *err, enum hemi_status status, const char *format, ...)
{
    if (err == NULL) return status;
    *err = (struct rt_error){.status = status};
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

/* ---- Budget (.accounted) */
static bool charge(void *ctx, int64_t delta)
{
    struct store *s = ctx;
    bool allowed = s->opt.charge == NULL || s->opt.charge(s->opt.ctx, delta);
    if (delta > 0) s->charge_refused = !allowed;
    return allowed;
}

bool store_charge(struct store *s, int64_t delta)
{
    if (!charge(s, delta)) return false;
    CHECK(delta >= 0 || s->charged >= (uint64_t)-delta, ".accounted");
    s->charged += (uint64_t)delta;
    return true;
}

bool store_map(struct store *s, int32_t delta) { return s->opt.map == NULL || s->opt.map(s->opt.ctx, delta); }

void *store_alloc(struct store *s, size_t size)
{
    size_t whole = sizeof(struct store_block) + size;
    if (!store_charge(s, (int64_t)whole)) return NULL;
    struct store_block *b = engine_zeroed(s->engine, whole);
    if (b == NULL) {
        store_charge(s, -(int64_t)whole);
        return NULL;
    }
    b->next = s->blocks;
    b->size = whole;
    s->blocks = b;
    return b->bytes;
}

bool store_grow(struct store *s, void **array, size_t size, uint32_t used, uint32_t *capacity)
{
    CHECK(used <= *capacity || *capacity == 0, ".accounted"); /* numbers begin with 1 */
    if (used < *capacity) return true;
    if (*capacity > UINT32_MAX / 2) return false;
    uint32_t more = *capacity == 0 ? 8 : *capacity * 2;
    int64_t delta = (int64_t)((more - *capacity) * size);
    if (!store_charge(s, delta)) return false;
    char *at = realloc(*array, more * size);
    if (at == NULL) {
        store_charge(s, -delta);
        return false;
    }
    memset(at + *capacity * size, 0, (size_t)delta);
    *array = at;
    *capacity = more;
    return true;
}

enum hemi_status store_hold_type(struct store *s, valtype t)
{
    if (!vt_is_ref(t) || ht_is_abstract(vt_heap(t))) return HEMI_OK;
    if (!store_grow(s, (void **)&s->types, sizeof *s->types, s->ntypes, &s->types_capacity)) return HEMI_NO_MEMORY;
    types_ref(s->engine->types, vt_heap(t));
    s->types[s->ntypes++] = vt_heap(t);
    return HEMI_OK;
}

/* ---- Ids (vm.h .func): 0 is nobody's instance, and block 0 nobody's functions. */
static enum hemi_status blocks_take(struct store *s, struct instance *in, uint32_t ndefined)
{
    uint32_t nblocks = (ndefined + FUNC_BLOCK - 1) >> FUNC_BLOCK_SHIFT;
    if (s->nfunc_blocks == 0) s->nfunc_blocks = 1;
    if (nblocks > FUNC_BLOCKS_MAX - s->nfunc_blocks) return HEMI_LIMIT;
    in->func_base = s->nfunc_blocks << FUNC_BLOCK_SHIFT;
    CHECK((in->func_base & (FUNC_BLOCK - 1)) == 0 && in->func_base != 0, ".func");
    for (uint32_t i = 0; i < nblocks; i++) {
        if (!store_grow(s, (void **)&s->vm.func_blocks, sizeof(struct instance *), s->nfunc_blocks,
                        &s->func_blocks_capacity))
            return HEMI_NO_MEMORY;
        s->vm.func_blocks[s->nfunc_blocks++] = in;
    }
    return HEMI_OK;
}

enum hemi_status store_register(struct store *s, struct instance *in, uint32_t ndefined)
{
    CHECK(in->id == 0, ".numbered");
    if (s->ninstances == 0) s->ninstances = 1;
    if (!store_grow(s, (void **)&s->vm.instances, sizeof in, s->ninstances, &s->instances_capacity))
        return HEMI_NO_MEMORY;
    in->id = s->ninstances;
    s->vm.instances[s->ninstances++] = in;
    return blocks_take(s, in, ndefined);
}

/* ---- Polls */
uint32_t store_poll(struct store *s)
{
    const struct activation *a = s->activation;
    const char *exit_fp = s->vm.exit_fp;
    CHECK(s->vm.pending.status == HEMI_OK, ".pending");
    CHECK(!heap_is_collecting(s->heap), ".alone");
    enum hemi_status status = engine_poll(s->engine);
    CHECK(s->activation == a && s->vm.exit_fp == exit_fp, ".poll");
    CHECK(s->vm.pending.status == HEMI_OK && !heap_is_collecting(s->heap), ".poll");
    return status == HEMI_OK ? VM_OK : vm_stop(&s->vm, status);
}

uint32_t rt_poll(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)in, (void)slots, (void)a, (void)b;
    return store_poll(vm->store);
}

/* A collection cannot be given up half way: what the engine answers shows again at the next poll of the guest. */
static void heap_poll(void *ctx)
{
    struct store *s = ctx;
    const struct activation *a = s->activation;
    (void)engine_poll(s->engine);
    CHECK(s->activation == a, ".poll");
}

static void extern_dead(void *ctx, uint64_t id)
{
    struct store *s = ctx;
    if (s->opt.extern_dead != NULL) s->opt.extern_dead(s->opt.ctx, id);
}

/* ---- Making and freeing */
static void options_fill(struct store_options *o)
{
    if (o->heap_limit == 0) o->heap_limit = HEAP_LIMIT_DEFAULT;
    if (o->memory_limit == 0) o->memory_limit = MEMORY_LIMIT_DEFAULT;
    if (o->table_limit == 0) o->table_limit = TABLE_LIMIT_DEFAULT;
    if (o->instance_limit == 0) o->instance_limit = INSTANCE_LIMIT_DEFAULT;
    struct store_limit_names *names = &o->names;
    if (names->heap == NULL) names->heap = "heap";
    if (names->stack == NULL) names->stack = "stack";
    if (names->memory == NULL) names->memory = "memories";
    if (names->table == NULL) names->table = "tables";
    if (names->instances == NULL) names->instances = "instances";
}

static enum hemi_status heap_make(struct store *s)
{
    struct heap_options opt = {.limit_bytes = s->opt.heap_limit,
                               .growth_percent = s->opt.gc_growth,
                               .stress_every = s->opt.gc_stress,
                               .extern_desc = TYPE_EXTERN_DESC};
    struct heap_embedder emb = {
        .ctx = s, .roots = roots_visit, .poll = heap_poll, .extern_dead = extern_dead, .charge = charge};
    return heap_new(&opt, &emb, types_descs(s->engine->types), &s->vm.heap, &s->heap) == HEAP_OK ? HEMI_OK
                                                                                                 : HEMI_NO_MEMORY;
}

enum hemi_status store_new(struct engine *e, const struct store_options *opt, struct store **out)
{
    *out = NULL;
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) return HEMI_NO_MEMORY;
    if (opt != NULL) s->opt = *opt;
    options_fill(&s->opt);
    s->engine = e;
    s->descs = e->types->descs;
    s->vm.store = s;
    s->vm.poll = e->poll;
    s->vm.rtypes = e->types->rtypes;
    s->vm.opcode_counts = e->opcode_counts;
    s->vm.helpers = vm_helpers;
    s->vm.move = memmove;
    s->vm.set = memset;
    s->nothing.store = s;
    s->nothing.guarded = true;
    s->roots.prev = s->roots.next = &s->roots;
    if (!store_map(s, STORE_MAPPINGS)) goto fail_map;
    if (!store_charge(s, sizeof *s)) goto fail_charge;
    if (heap_make(s) != HEMI_OK) goto fail_heap;
    e->nstores++;
    *out = s;
    return HEMI_OK;
fail_heap:
    store_charge(s, -(int64_t)s->charged);
fail_charge:
    store_map(s, -STORE_MAPPINGS);
fail_map:
    free(s);
    return HEMI_NO_MEMORY;
}

/* The parts of store_free_some. Each takes what it has freed out of its list, so that the next call goes on there. */
static bool heap_some(struct store *s, uint32_t *units)
{
    if (s->heap != NULL && heap_free_some(s->heap, units)) return true;
    s->heap = NULL;
    return false;
}

static bool hosts_some(struct store *s, uint32_t *units)
{
    for (struct host_func *h; (h = s->host_funcs) != NULL; s->host_funcs = h->next) {
        if (!release_unit(units)) return true;
        release_units(units, HOST_UNITS);
        if (h->opt.drop != NULL) h->opt.drop(h->opt.ctx);
    }
    for (struct host_type *t; (t = s->host_types) != NULL; s->host_types = t->next) {
        if (types_free_some(s->engine->types, units) || !release_unit(units)) return true;
        types_drop(s->engine->types, t->decl.type);
    }
    CHECK(s->host_funcs == NULL && s->host_types == NULL, ".accounted");
    return types_free_some(s->engine->types, units);
}

static bool instance_some(struct store *s, struct instance *in, uint32_t *units)
{
    if (in->host != NULL) return false; /* its module is the store's own */
    for (uint32_t n = in->elems != NULL ? in->module->nelems : 0; s->ending.elem < n; s->ending.elem++) {
        struct elem_inst *e = &in->elems[s->ending.elem];
        if (!release_unit(units) || release_block((void **)&e->items, &s->ending.given, units)) return true;
        elem_inst_drop(s, e);
        CHECK_DEBUG(e->items == NULL && e->room == 0, ".accounted");
    }
    if (module_free_some((struct module *)(uintptr_t)in->module, units)) return true;
    s->ending.elem = 0;
    return false;
}

static bool instances_some(struct store *s, uint32_t *units)
{
    for (; s->ninstances > 1; s->ninstances--)
        if (!release_unit(units) || instance_some(s, s->vm.instances[s->ninstances - 1], units)) return true;
    return false;
}

static bool memories_some(struct store *s, uint32_t *units)
{
    for (struct memory *m; (m = s->memories) != NULL; s->memories = m->next)
        if (!release_unit(units) || memory_free_some(m, units)) return true;
    return false;
}

static bool tables_some(struct store *s, uint32_t *units)
{
    for (struct table *t; (t = s->tables) != NULL; s->tables = t->next)
        if (!release_unit(units) || table_free_some(t, &s->ending.given, units)) return true;
    return false;
}

static bool types_some(struct store *s, uint32_t *units)
{
    for (; s->ntypes > 0; s->ntypes--) {
        if (types_free_some(s->engine->types, units) || !release_unit(units)) return true;
        types_drop(s->engine->types, s->types[s->ntypes - 1]);
    }
    return types_free_some(s->engine->types, units);
}

static bool blocks_some(struct store *s, uint32_t *units)
{
    for (struct store_block *b; (b = s->blocks) != NULL;) {
        struct store_block *next = b->next;
        size_t size = b->size;
        if (!release_unit(units) || release_block((void **)&s->blocks, &s->ending.given, units)) return true;
        s->blocks = next;
        store_charge(s, -(int64_t)size);
    }
    return false;
}

static bool arrays_some(struct store *s, uint32_t *units)
{
    const struct {
        void *at;
        uint32_t *capacity;
        size_t size;
    } arrays[] = {{&s->types, &s->types_capacity, sizeof *s->types},
                  {&s->tags, &s->tags_capacity, sizeof *s->tags},
                  {&s->vm.instances, &s->instances_capacity, sizeof *s->vm.instances},
                  {&s->vm.func_blocks, &s->func_blocks_capacity, sizeof *s->vm.func_blocks}};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        if (release_block(arrays[i].at, &s->ending.given, units)) return true;
        store_charge(s, -(int64_t)(*arrays[i].capacity * arrays[i].size));
        *arrays[i].capacity = 0;
    }
    return release_block((void **)&s->host_type_buckets, &s->ending.given, units);
}

bool store_free_some(struct store *s, uint32_t *units)
{
    static bool (*const parts[])(struct store *s, uint32_t *units) = {
        heap_some, hosts_some, instances_some, memories_some, tables_some, types_some, blocks_some, arrays_some};
    enum { PARTS = sizeof parts / sizeof parts[0] };
    if (s == NULL) return false;
    CHECK(s->activation == NULL && s->vm.exit_fp == NULL, ".activation");
    CHECK(s->vm.pending.status == HEMI_OK && s->unfinished == NULL, ".whole");
    for (; s->ending.part < PARTS; s->ending.part++)
        if (parts[s->ending.part](s, units)) return true;
    CHECK(s->charged == sizeof *s, ".accounted");
    store_charge(s, -(int64_t)s->charged);
    store_map(s, -STORE_MAPPINGS);
    s->engine->nstores--;
    free(s);
    return false;
}

void store_free(struct store *s)
{
    uint32_t units = UINT32_MAX;
    while (store_free_some(s, &units)) units = UINT32_MAX;
}

/* ---- The heap, for the embedder */
void store_collect(struct store *s) { heap_collect(s->heap); }
void store_trim(struct store *s) { heap_trim(s->heap); }
bool store_trim_some(struct store *s, uint32_t *units) { return heap_trim_some(s->heap, units); }

void store_get_stats(const struct store *s, struct store_stats *out)
{
    *out = (struct store_stats){.memory_bytes = s->memory_bytes, .instances = s->nguests, .host_calls = s->host_calls};
    heap_get_stats(s->heap, &out->heap);
}
