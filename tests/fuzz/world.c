/* tests/fuzz/world.c -- one module, its surroundings, its calls, its log. */
#include "tests/fuzz/world.h"

#include "tests/fuzz/generate.h"

#include "runtime/engine/engine.h"
#include "runtime/runtime.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 128 << 10, STEPS = 200000, MAX_IMPORTS = 256, MAX_VALUES = 64, CALLS = 2 };

struct world {
    struct engine *engine;
    struct store *store;
    struct vm_stack stack;
    struct world_log *log;
    uint64_t steps; /* polls so far */
    bool inconclusive;
};

__attribute__((format(printf, 2, 3))) static void note(struct world_log *log, const char *format, ...)
{
    va_list args;
    size_t room = sizeof log->text - log->len;
    va_start(args, format);
    int n = vsnprintf(log->text + log->len, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= room)
        log->full = true;
    else
        log->len += (size_t)n;
}

static enum hemi_status on_yield(void *ctx)
{
    struct world *w = ctx;
    return ++w->steps > STEPS ? HEMI_DEADLINE : HEMI_OK;
}

static bool world_init(struct world *w, const struct world_options *opt, struct world_log *log)
{
    static const volatile uint32_t always = 1;
    static _Alignas(16) char stack[STACK_BYTES];
    struct engine_options engine = {.yield = on_yield,
                                    .ctx = w,
                                    .poll = &always,
                                    .explicit_checks = opt->explicit_checks,
                                    .canonical_nans = true,
                                    .count_opcodes = opt->count_opcodes};
    struct store_options store = {
        .heap_limit = 64 << 20, .memory_limit = 32 << 20, .table_limit = 100000, .gc_stress = opt->gc_stress};
    *w = (struct world){.log = log, .stack = {stack, sizeof stack}};
    log->len = 0;
    log->full = false;
    return engine_new(&engine, &w->engine) == HEMI_OK && store_new(w->engine, &store, &w->store) == HEMI_OK;
}

static void verify(struct store *s)
{
    char why[256] = "";
    if (store_verify(s, NULL, why, sizeof why)) return;
    fprintf(stderr, "the store is not sound: %s\n", why);
    abort();
}

static void world_deinit(struct world *w)
{
    verify(w->store);
    store_free(w->store);
    if (w->engine->types->ngroups != 0) {
        fprintf(stderr, "%u groups of types were left\n", w->engine->types->ngroups);
        abort();
    }
    engine_free(w->engine);
}

/* ---- Values */

static void note_ref(struct world *w, valtype type, union val v)
{
    static const char *const kinds[] = {"free", "func", "struct", "array", "exn", "extern"};
    enum heap_slot slot = valtype_slot(w->engine->types, type);
    if (v.ref == 0) {
        note(w->log, " null");
        return;
    }
    uint32_t ht = vt_heap(store_ref_type(w->store, v, slot));
    if (slot == HEAP_SLOT_REF && (v.ref & 1u) != 0)
        note(w->log, " i31:%x", v.ref);
    else if (ht_is_abstract(ht))
        note(w->log, " ref:%x", ht);
    else
        note(w->log, " %s", kinds[types_get(w->engine->types, ht)->kind]);
}

static void note_val(struct world *w, valtype type, union val v)
{
    if (vt_is_ref(type))
        note_ref(w, type, v);
    else if (type == VT_V128)
        note(w->log, " %" PRIx64 "%016" PRIx64, v.u64[1], v.u64[0]);
    else
        note(w->log, " %" PRIx64, valtype_size(type) == 8 ? v.i64 : v.i32);
}

/* ---- Surroundings */

static bool all_defaultable(const valtype *types, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!valtype_defaultable(types[i])) return false;
    return true;
}

static enum hemi_status host_call(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    const struct rtype *type = ctx;
    (void)caller, (void)args;
    verify(s); /* with the frames that wait for this */
    if (!all_defaultable(type->vals + type->nparams, type->nresults)) {
        err->trap = TRAP_HOST_TRAP;
        return HEMI_TRAP;
    }
    memset(results, 0, type->nresults * sizeof *results);
    return HEMI_OK;
}

static enum hemi_status meet_func(struct world *w, uint32_t type, struct rt_extern *out)
{
    const struct rtype *rtype = types_get(w->engine->types, type);
    struct host_func_options opt = {.call = host_call, .ctx = (void *)(uintptr_t)rtype};
    return host_func_new_typed(w->store, type, &opt, &out->func);
}

static enum hemi_status meet(struct world *w, const struct module *m, const struct import *import,
                             struct rt_extern *out)
{
    union val zero = {0};
    out->kind = import->kind;
    switch (import->kind) {
    case EXTERN_FUNC:
        return meet_func(w, m->funcs[import->index].type, out);
    case EXTERN_TABLE: {
        const struct table_decl *t = &m->tables[import->index];
        if (!valtype_defaultable(t->type)) return HEMI_LINK;
        return table_new(w->store, t->type, &t->limits, zero, &out->table);
    }
    case EXTERN_MEMORY:
        return memory_new(w->store, &m->memories[import->index].limits, &out->memory);
    case EXTERN_GLOBAL: {
        const struct global_decl *g = &m->globals[import->index];
        if (!valtype_defaultable(g->type)) return HEMI_LINK;
        return global_new(w->store, g->type, g->mut, zero, &out->global);
    }
    default:
        return tag_new(w->store, m->tags[import->index], &out->tag);
    }
}

/* ---- Calls */

static void note_status(struct world *w, enum hemi_status status, const struct rt_error *err)
{
    if (status == HEMI_LIMIT || status == HEMI_NO_MEMORY || status == HEMI_DEADLINE) w->inconclusive = true;
    note(w->log, " status %d", status);
    if (status == HEMI_TRAP) note(w->log, " trap %d", err->trap);
    if (status == HEMI_TRAP && err->has_offset) note(w->log, " at %" PRIu64, err->offset);
}

static union val argument(valtype type, uint32_t round, uint32_t i)
{
    static const uint64_t numbers[] = {5, 0x80000001, 0x4010000000000000, 3};
    union val v = {0};
    if (vt_is_ref(type)) return v;
    v.u64[0] = numbers[(round + i) % 4];
    if (valtype_size(type) == 4) v.u64[0] = (uint32_t)v.u64[0];
    if (type == VT_V128) v.u64[1] = numbers[(round + i + 1) % 4];
    return v;
}

static void call(struct world *w, const struct name *name, uint32_t func, uint32_t round)
{
    const struct rtype *type = func_type(w->store, func, NULL);
    union val args[MAX_VALUES], results[MAX_VALUES];
    struct rt_error err = {0};
    if (type->nparams > MAX_VALUES || type->nresults > MAX_VALUES || !all_defaultable(type->vals, type->nparams))
        return;
    for (uint32_t i = 0; i < type->nparams; i++) args[i] = argument(type->vals[i], round, i);
    memset(results, 0, sizeof results);
    note(w->log, "%.*s:", (int)name->len, name->at);
    enum hemi_status status = rt_call(w->store, func, args, results, w->stack, &err);
    note_status(w, status, &err);
    for (uint32_t i = 0; status == HEMI_OK && i < type->nresults; i++)
        note_val(w, type->vals[type->nparams + i], results[i]);
    note(w->log, "\n");
}

/* ---- The final state */

static void note_memory(struct world *w, const struct memory *m)
{
    enum { BLOCK = 4096 };
    uint8_t block[BLOCK];
    uint64_t size = memory_pages(m) << 16, hash = 14695981039346656037u;
    for (uint64_t at = 0; at < size; at += BLOCK) {
        if (memory_read(m, at, block, BLOCK) != HEMI_OK) abort();
        for (uint32_t i = 0; i < BLOCK; i++) hash = (hash ^ block[i]) * 1099511628211u;
    }
    note(w->log, " %" PRIu64 " bytes %" PRIx64, size, hash);
}

static void note_table(struct world *w, const struct table *t)
{
    struct limits limits;
    valtype type = table_type(t, &limits);
    uint32_t n = table_size(t);
    note(w->log, " %u elements", n);
    for (uint32_t i = 0; i < n && i < 64; i++) {
        union val v;
        if (table_get(t, i, &v) != HEMI_OK) abort();
        note_val(w, type, v);
    }
}

static void note_state(struct world *w, struct instance *in)
{
    for (uint32_t i = 0; i < instance_export_count(in); i++) {
        struct name name;
        struct rt_extern x;
        bool mut;
        instance_export_at(in, i, &name, &x);
        note(w->log, "%.*s =", (int)name.len, name.at);
        if (x.kind == EXTERN_MEMORY) note_memory(w, x.memory);
        if (x.kind == EXTERN_TABLE) note_table(w, x.table);
        if (x.kind == EXTERN_GLOBAL) note_val(w, global_type(x.global, &mut), global_get(x.global));
        note(w->log, "\n");
    }
}

/* Generated modules stop when a global that they export is used up. */
static void refuel(struct instance *in)
{
    struct rt_extern x;
    bool mut;
    if (instance_export(in, "fuel", 4, &x) && x.kind == EXTERN_GLOBAL && global_type(x.global, &mut) == VT_I32 && mut)
        global_set(x.global, (union val){.i32 = FUEL});
}

static void call_all(struct world *w, struct instance *in)
{
    for (uint32_t round = 0; round < CALLS; round++) {
        for (uint32_t i = 0; i < instance_export_count(in) && !w->inconclusive && !w->log->full; i++) {
            struct name name;
            struct rt_extern x;
            instance_export_at(in, i, &name, &x);
            if (x.kind != EXTERN_FUNC) continue;
            refuel(in);
            call(w, &name, x.func, round);
        }
    }
}

/* ---- One run */

static void run(struct world *w, struct module *m)
{
    struct rt_extern imports[MAX_IMPORTS];
    struct instance *in = NULL;
    struct rt_error err = {0};
    w->inconclusive = m->nimports > MAX_IMPORTS;
    for (uint32_t i = 0; i < m->nimports && !w->inconclusive; i++)
        w->inconclusive = meet(w, m, &m->imports[i], &imports[i]) != HEMI_OK;
    if (w->inconclusive) return;
    enum hemi_status status = instance_new(w->store, m, imports, w->stack, &in, &err);
    note(w->log, "instance:");
    note_status(w, status, &err);
    note(w->log, "\n");
    if (status != HEMI_OK) return;
    call_all(w, in);
    note_state(w, in);
}

/* A refusal names itself, and a place inside the module. */
static void check_refusal(enum hemi_status status, const struct rt_error *err, size_t size)
{
    bool known =
        status == HEMI_INVALID_MODULE || status == HEMI_LIMIT || status == HEMI_NO_MEMORY || status == HEMI_DEADLINE;
    bool told = status == HEMI_NO_MEMORY || status == HEMI_DEADLINE || err->message[0] != 0;
    if (known && told && (!err->has_offset || err->offset <= size)) return;
    fprintf(stderr, "a refusal that makes no sense: status %d, \"%s\" at %" PRIu64 " of %zu\n", status, err->message,
            err->offset, size);
    abort();
}

enum world_end world_run(const uint8_t *bytes, size_t size, const struct world_options *opt, struct world_log *log)
{
    struct world w;
    struct module *m;
    struct rt_error err = {0};
    if (!world_init(&w, opt, log)) abort();
    enum hemi_status status = module_new(w.engine, bytes, size, &m, &err);
    if (status == HEMI_OK) {
        run(&w, m);
        module_unref(m);
    } else {
        check_refusal(status, &err, size);
        note(log, "refused: %s at %" PRIu64 "\n", err.message, err.offset);
    }
    world_deinit(&w);
    return status != HEMI_OK ? WORLD_INVALID : w.inconclusive || log->full ? WORLD_INCONCLUSIVE : WORLD_DONE;
}

/* ---- Comparing */

static void report(const struct world_log *a, const struct world_log *b, const char *how)
{
    size_t at = 0, line;
    while (at < a->len && at < b->len && a->text[at] == b->text[at]) at++;
    for (line = at; line > 0 && a->text[line - 1] != '\n'; line--) continue;
    fprintf(stderr, "%s differs from guard pages without stress:\n- %.*s\n+ %.*s\n", how,
            (int)strcspn(a->text + line, "\n"), a->text + line, (int)strcspn(b->text + line, "\n"), b->text + line);
    abort();
}

bool world_compare(const uint8_t *bytes, size_t size)
{
    static struct world_log first, other;
    static const struct {
        const char *name;
        struct world_options opt;
    } ways[] = {
        {"explicit checks", {.explicit_checks = true}},
        {"collecting at every allocation", {.gc_stress = 1}},
        {"counting opcodes", {.count_opcodes = true}},
    };
    enum world_end end = world_run(bytes, size, &(struct world_options){.gc_stress = UINT32_MAX}, &first);
    if (end != WORLD_DONE) return end != WORLD_INVALID;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        end = world_run(bytes, size, &ways[i].opt, &other);
        if (end == WORLD_INCONCLUSIVE) continue;
        if (first.len != other.len || memcmp(first.text, other.text, first.len) != 0)
            report(&first, &other, ways[i].name);
    }
    return true;
}
