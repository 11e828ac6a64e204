/* tests/wast/spectest.c -- the host module that the scripts import from: a few printers, globals, tables, a memory. */
#include "tests/wast/session.h"

#include <string.h>

/* Printers print nothing: what they are given is not part of any assertion. */
static enum hemi_status ignore(void *ctx, struct store *store, struct instance *caller, const union val *args,
                               union val *results, struct rt_error *err)
{
    (void)ctx, (void)store, (void)caller, (void)args, (void)results, (void)err;
    return HEMI_OK;
}

static const struct printer {
    const char *name;
    valtype params[2];
    uint32_t count;
} printers[] = {
    {"print", {0, 0}, 0},
    {"print_i32", {VT_I32, 0}, 1},
    {"print_i64", {VT_I64, 0}, 1},
    {"print_f32", {VT_F32, 0}, 1},
    {"print_f64", {VT_F64, 0}, 1},
    {"print_i32_f32", {VT_I32, VT_F32}, 2},
    {"print_f64_f64", {VT_F64, VT_F64}, 2},
};

static const struct constant {
    const char *name;
    valtype type;
    union val value;
} constants[] = {
    {"global_i32", VT_I32, {.i32 = 666}},
    {"global_i64", VT_I64, {.i64 = 666}},
    {"global_f32", VT_F32, {.f32 = 666.6f}},
    {"global_f64", VT_F64, {.f64 = 666.6}},
};

static const struct spectest_table {
    const char *name;
    bool is64;
} tables[] = {{"table", false}, {"table64", true}};

static struct rt_extern *export(struct session *s, const char *name, uint8_t kind)
{
    struct spectest_export *e = &s->spectest[s->spectest_count++];
    e->name = name;
    e->ext.kind = kind;
    return &e->ext;
}

static bool functions(struct session *s)
{
    const struct host_func_options opt = {.call = ignore};
    for (size_t i = 0; i < sizeof printers / sizeof *printers; i++) {
        struct rt_extern *ext = export(s, printers[i].name, EXTERN_FUNC);
        if (host_func_new(s->store, printers[i].params, printers[i].count, 0, &opt, &ext->func)) return false;
    }
    return true;
}

static bool globals(struct session *s)
{
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        struct rt_extern *ext = export(s, constants[i].name, EXTERN_GLOBAL);
        if (global_new(s->store, constants[i].type, false, constants[i].value, &ext->global)) return false;
    }
    return true;
}

bool spectest_init(struct session *s)
{
    struct limits limits = {.min = 1, .max = 2, .has_max = true};
    const union val null = {.u64 = {0, 0}};
    if (!functions(s) || !globals(s)) return false;
    if (memory_new(s->store, &limits, &export(s, "memory", EXTERN_MEMORY)->memory)) return false;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        limits = (struct limits){.min = 10, .max = 20, .has_max = true, .is64 = tables[i].is64};
        struct rt_extern *ext = export(s, tables[i].name, EXTERN_TABLE);
        enum hemi_status status = table_new(s->store, VT_REF(1, HT_FUNC), &limits, null, &ext->table);
        if (status && !limits.is64) return false;
        if (status) s->spectest_count--; /* tables of 64-bit indices may not be built yet: then nobody can import it */
    }
    return true;
}
