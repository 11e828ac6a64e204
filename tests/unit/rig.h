/* tests/unit/rig.h -- what tests of runtime/ start from: an engine, a store, a VM stack, and modules from text.
 * Each test owns one rig; failures of the setting itself fail the test at once. */
#ifndef HEMI_TESTS_RIG_H
#define HEMI_TESTS_RIG_H

#include "client/wat/wat.h"
#include "runtime/runtime.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RIG_STACK = 256 * 1024 };

struct rig {
    struct engine *engine;
    struct store *store;
    struct vm_stack stack;
    struct rt_error err;
    uint32_t yields;              /* how often the engine asked */
    enum hemi_status yield_after; /* answered from yield number `yield_at` on, if that is not 0 */
    uint32_t yield_at;
    int64_t charged, charge_max; /* the budget's balance, and its limit if not 0 */
    uint64_t dead[64];           /* externrefs reported dead */
    uint32_t ndead;
};

static inline enum hemi_status rig_yield(void *ctx)
{
    struct rig *r = ctx;
    r->yields++;
    return r->yield_at != 0 && r->yields >= r->yield_at ? r->yield_after : HEMI_OK;
}

static inline bool rig_charge(void *ctx, int64_t delta)
{
    struct rig *r = ctx;
    if (delta > 0 && r->charge_max != 0 && r->charged + delta > r->charge_max) return false;
    r->charged += delta;
    return true;
}

static inline void rig_dead(void *ctx, uint64_t id)
{
    struct rig *r = ctx;
    r->dead[r->ndead++ % 64] = id;
}

static inline void rig_init_engine(struct rig *r, struct engine_options eopt, struct store_options opt)
{
    *r = (struct rig){.stack = {malloc(RIG_STACK), RIG_STACK}};
    eopt.yield = rig_yield;
    eopt.ctx = r;
    ck_assert_int_eq(engine_new(&eopt, &r->engine), HEMI_OK);
    opt.ctx = r;
    opt.extern_dead = rig_dead;
    opt.charge = rig_charge;
    ck_assert_int_eq(store_new(r->engine, &opt, &r->store), HEMI_OK);
}
/* HEMI_FAULT_CHECKS=off: in the explicit memory scheme, which valgrind needs. */
static inline void rig_init_with(struct rig *r, struct store_options opt)
{
    const char *checks = getenv("HEMI_FAULT_CHECKS");
    rig_init_engine(r, (struct engine_options){.explicit_checks = checks && strcmp(checks, "off") == 0}, opt);
}
static inline void rig_init(struct rig *r) { rig_init_with(r, (struct store_options){0}); }

/* Everything must be consistent, and given back. */
static inline void rig_deinit(struct rig *r)
{
    char why[200] = "";
    ck_assert_msg(store_verify(r->store, NULL, why, sizeof why), "%s", why);
    store_free(r->store);
    ck_assert_int_eq(r->charged, 0);
    engine_free(r->engine);
    free(r->stack.base);
}

static inline struct module *rig_module(struct rig *r, const char *text)
{
    uint8_t *bytes;
    size_t n;
    struct wat_error we;
    int status = wat_assemble(text, strlen(text), "test", &bytes, &n, &we);
    ck_assert_msg(status == 0, "%u:%u: %s", we.line, we.column, we.message);
    struct module *m;
    status = module_new(r->engine, bytes, n, &m, &r->err);
    ck_assert_msg(status == HEMI_OK, "%s at %llu", r->err.message, (unsigned long long)r->err.offset);
    free(bytes);
    return m;
}

/* Instantiates; the store keeps the module. */
static inline enum hemi_status rig_try(struct rig *r, const char *text, const struct rt_extern *imports,
                                       struct instance **in)
{
    struct module *m = rig_module(r, text);
    enum hemi_status status = instance_new(r->store, m, imports, r->stack, in, &r->err);
    module_unref(m);
    return status;
}
static inline struct instance *rig_instance(struct rig *r, const char *text, const struct rt_extern *imports)
{
    struct instance *in;
    enum hemi_status status = rig_try(r, text, imports, &in);
    ck_assert_msg(status == HEMI_OK, "%d: %s", status, r->err.message);
    return in;
}

static inline struct rt_extern rig_export(struct instance *in, const char *name)
{
    struct rt_extern x;
    ck_assert_msg(instance_export(in, name, strlen(name), &x), "no export %s", name);
    return x;
}

/* Calls an export with up to four i32 or reference arguments; *out is its only result. */
static inline enum hemi_status rig_call(struct rig *r, struct instance *in, const char *name, const uint32_t args[4],
                                        union val *out)
{
    union val vals[4] = {{.i32 = args[0]}, {.i32 = args[1]}, {.i32 = args[2]}, {.i32 = args[3]}}, results[16];
    memset(results, 0, sizeof results);
    struct rt_extern x = rig_export(in, name);
    enum hemi_status status = rt_call(r->store, x.func, vals, results, r->stack, &r->err);
    *out = results[0];
    return status;
}
#define RIG_ARGS(...) ((uint32_t[4]){__VA_ARGS__})
#define rig_ok(r, in, name, ...)                                                                                       \
    __extension__({                                                                                                    \
        union val out_;                                                                                                \
        enum hemi_status status_ = rig_call(r, in, name, RIG_ARGS(__VA_ARGS__), &out_);                                \
        ck_assert_msg(status_ == HEMI_OK, "%s: %d %s", name, status_, (r)->err.message);                               \
        out_.i32;                                                                                                      \
    })
#define rig_trap(r, in, trap_, name, ...)                                                                              \
    do {                                                                                                               \
        union val out_;                                                                                                \
        ck_assert_int_eq(rig_call(r, in, name, RIG_ARGS(__VA_ARGS__), &out_), HEMI_TRAP);                              \
        ck_assert_msg((r)->err.trap == TRAP_##trap_, "%s: %s", name, (r)->err.message);                                \
    } while (0)

#endif
