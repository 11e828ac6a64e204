/* tests/unit/runtime/store_test.c -- stores without any module: memories, tables, globals, roots, externrefs, host
 * functions.
 */
#include <signal.h>
#include <string.h>

#include "base/check.h"
#include "runtime/code/vm.h"
#include "runtime/engine/engine.h"
#include "tests/unit/rig.h"

static const struct limits one_to_three = {.min = 1, .max = 3, .has_max = true};

START_TEST(memory_grows_to_its_maximum_and_keeps_its_bytes)
{
    struct rig r;
    rig_init(&r);
    struct memory *m;
    ck_assert_int_eq(memory_new(r.store, &one_to_three, &m), HEMI_OK);
    ck_assert_int_eq(memory_write(m, 65535, "x", 1), HEMI_OK);
    ck_assert_int_eq(memory_write(m, 65536, "x", 1), HEMI_ARGUMENT);
    ck_assert_int_eq(memory_write(m, UINT64_MAX, "x", 1), HEMI_ARGUMENT);
    uint64_t old = 99;
    ck_assert_int_eq(memory_grow(m, 2, &old), HEMI_OK);
    ck_assert_uint_eq(old, 1);
    ck_assert_int_eq(memory_grow(m, 1, &old), HEMI_LIMIT);
    char both[2] = "??";
    ck_assert_int_eq(memory_read(m, 65535, both, 2), HEMI_OK);
    ck_assert_int_eq(both[0], 'x');
    ck_assert_int_eq(both[1], 0);
    struct store_stats stats;
    store_get_stats(r.store, &stats);
    ck_assert_uint_eq(stats.memory_bytes, 3 * 65536);
    rig_deinit(&r);
}
END_TEST

/* Memories of one store took all address space for their guards, and no other store found room for its heap. */
START_TEST(many_memories_leave_address_space)
{
    struct rig r;
    rig_init(&r);
    uint32_t many = engine_guarded(r.engine) ? 20000 : 1000; /* valgrind has no more than 5000 mappings */
    struct memory *m;
    struct store *other;
    for (uint32_t i = 0; i < many; i++) ck_assert_int_eq(memory_new(r.store, &one_to_three, &m), HEMI_OK);
    ck_assert(!m->guarded);
    ck_assert_int_eq(memory_write(m, 65535, "x", 1), HEMI_OK);
    ck_assert_int_eq(memory_grow(m, 2, &(uint64_t){0}), HEMI_OK);
    char was;
    ck_assert_int_eq(memory_read(m, 65535, &was, 1), HEMI_OK);
    ck_assert_int_eq(was, 'x');
    ck_assert_int_eq(store_new(r.engine, &(struct store_options){0}, &other), HEMI_OK);
    store_free(r.store);
    ck_assert_int_eq(store_new(r.engine, &(struct store_options){0}, &r.store), HEMI_OK);
    ck_assert_int_eq(memory_new(r.store, &one_to_three, &m), HEMI_OK);
    ck_assert_int_eq(m->guarded, engine_guarded(r.engine));
    store_free(other);
    rig_deinit(&r);
}
END_TEST

START_TEST(limits_of_memory_and_budget_refuse_and_change_nothing)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.memory_limit = 2 * 65536, .table_limit = 10});
    struct memory *m;
    ck_assert_int_eq(memory_new(r.store, &(struct limits){.min = 3}, &m), HEMI_LIMIT);
    ck_assert_int_eq(memory_new(r.store, &(struct limits){.min = 65537}, &m), HEMI_ARGUMENT);
    ck_assert_int_eq(memory_new(r.store, &(struct limits){.min = 1}, &m), HEMI_OK);
    r.charge_max = r.charged + 1000;
    uint64_t old;
    ck_assert_int_eq(memory_grow(m, 1, &old), HEMI_NO_MEMORY);
    ck_assert_uint_eq(memory_pages(m), 1);
    r.charge_max = 0;
    ck_assert_int_eq(memory_grow(m, 1, &old), HEMI_OK);
    ck_assert_int_eq(memory_grow(m, 1, &old), HEMI_LIMIT);
    struct table *t;
    union val null = {.u64 = {0, 0}};
    ck_assert_int_eq(table_new(r.store, VT_REF(true, HT_ANY), &(struct limits){.min = 11}, null, &t), HEMI_LIMIT);
    rig_deinit(&r);
}
END_TEST

/* Only its first and last pages are ever touched. */
START_TEST(a_memory_of_more_than_4_gib_moves_and_keeps_its_bytes)
{
    enum { GIB_PAGES = 1 << 14 };
    const uint64_t gib = UINT64_C(1) << 30;
    struct rig r;
    rig_init_with(&r, (struct store_options){.memory_limit = 12 * gib});
    struct memory *m;
    const struct limits huge = {.min = 1, .max = UINT64_C(1) << 48, .has_max = true, .is64 = true};
    ck_assert_int_eq(memory_new(r.store, &huge, &m), HEMI_OK);
    ck_assert_uint_le(m->reserved, 4 * gib); /* whatever the module says */
    ck_assert_int_eq(memory_write(m, 65535, "x", 1), HEMI_OK);
    uint64_t old;
    ck_assert_int_eq(memory_grow(m, UINT64_C(1) << 48, &old), HEMI_LIMIT);
    ck_assert_int_eq(memory_grow(m, UINT64_MAX, &old), HEMI_LIMIT);
    const uint8_t *was = m->base;
    ck_assert_int_eq(memory_grow(m, 5 * GIB_PAGES, &old), HEMI_OK);
    ck_assert(m->base != was);
    ck_assert_int_eq(memory_write(m, 5 * gib + 65535, "y", 1), HEMI_OK);
    ck_assert_int_eq(memory_grow(m, 6 * GIB_PAGES, &old), HEMI_OK);
    ck_assert_uint_eq(old, 5 * GIB_PAGES + 1);
    ck_assert_int_eq(memory_write(m, 11 * gib + 65535, "z", 1), HEMI_OK);
    ck_assert_int_eq(memory_write(m, 11 * gib + 65536, "z", 1), HEMI_ARGUMENT);
    ck_assert_int_eq(memory_grow(m, 1 * GIB_PAGES, &old), HEMI_LIMIT);
    char three[3];
    ck_assert_int_eq(memory_read(m, 65535, three, 1), HEMI_OK);
    ck_assert_int_eq(memory_read(m, 5 * gib + 65535, three + 1, 1), HEMI_OK);
    ck_assert_int_eq(memory_read(m, 11 * gib + 65535, three + 2, 1), HEMI_OK);
    ck_assert_mem_eq(three, "xyz", 3);
    rig_deinit(&r);
}
END_TEST

START_TEST(limits_of_the_address_type)
{
    struct rig r;
    rig_init(&r);
    struct memory *m;
    struct table *t;
    union val null = {.u64 = {0, 0}};
    const valtype type = VT_REF(true, HT_FUNC);
    const struct {
        struct limits limits;
        enum hemi_status memory, table;
    } rows[] = {
        {{.min = 0, .max = UINT64_C(1) << 48, .has_max = true, .is64 = true}, HEMI_OK, HEMI_OK},
        {{.min = 0, .max = (UINT64_C(1) << 48) + 1, .has_max = true, .is64 = true}, HEMI_ARGUMENT, HEMI_OK},
        {{.min = 0, .max = UINT64_MAX, .has_max = true, .is64 = true}, HEMI_ARGUMENT, HEMI_OK},
        {{.min = 0, .max = 65537, .has_max = true}, HEMI_ARGUMENT, HEMI_OK},
        {{.min = 0, .max = UINT64_C(1) << 32, .has_max = true}, HEMI_ARGUMENT, HEMI_ARGUMENT},
        {{.min = UINT64_C(1) << 48, .max = UINT64_MAX, .is64 = true}, HEMI_LIMIT, HEMI_LIMIT},
        {{.min = UINT64_C(1) << 40, .max = UINT64_MAX, .is64 = true}, HEMI_LIMIT, HEMI_LIMIT},
        {{.min = UINT64_C(1) << 32, .max = UINT64_MAX, .is64 = false}, HEMI_ARGUMENT, HEMI_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(memory_new(r.store, &rows[i].limits, &m), rows[i].memory);
        ck_assert_int_eq(table_new(r.store, type, &rows[i].limits, null, &t), rows[i].table);
    }
    rig_deinit(&r);
}
END_TEST

START_TEST(tables_hold_what_their_type_says)
{
    struct rig r;
    rig_init(&r);
    struct table *t;
    union val null = {.u64 = {0, 0}}, seven = {.ref = heap_i31(7).bits}, v;
    ck_assert_int_eq(table_new(r.store, VT_REF(false, HT_I31), &one_to_three, null, &t), HEMI_ARGUMENT);
    ck_assert_int_eq(table_new(r.store, VT_REF(false, HT_I31), &one_to_three, seven, &t), HEMI_OK);
    ck_assert_int_eq(table_set(t, 0, null), HEMI_ARGUMENT);
    ck_assert_int_eq(table_set(t, 1, seven), HEMI_ARGUMENT);
    uint32_t old = 99;
    union val nine = {.ref = heap_i31(9).bits};
    ck_assert_int_eq(table_grow(t, 2, nine, &old), HEMI_OK);
    ck_assert_uint_eq(old, 1);
    ck_assert_int_eq(table_grow(t, 1, nine, &old), HEMI_LIMIT);
    ck_assert_int_eq(table_get(t, 0, &v), HEMI_OK);
    ck_assert_uint_eq(v.ref, seven.ref);
    ck_assert_int_eq(table_get(t, 2, &v), HEMI_OK);
    ck_assert_uint_eq(v.ref, nine.ref);
    ck_assert_int_eq(table_get(t, 3, &v), HEMI_ARGUMENT);
    rig_deinit(&r);
}
END_TEST

START_TEST(tables_grow_by_one_many_times)
{
    struct rig r;
    rig_init(&r);
    struct table *t;
    union val null = {.u64 = {0, 0}}, v;
    ck_assert_int_eq(table_new(r.store, VT_REF(true, HT_EXTERN), &(struct limits){.min = 0}, null, &t), HEMI_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        struct root x;
        uint32_t old;
        ck_assert_int_eq(store_extern(r.store, i, &x), HEMI_OK);
        ck_assert_int_eq(table_grow(t, 1, (union val){.ref = x.bits}, &old), HEMI_OK);
        ck_assert_uint_eq(old, i);
        root_deinit(&x);
    }
    store_collect(r.store);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t id = 0;
        ck_assert_int_eq(table_get(t, i, &v), HEMI_OK);
        ck_assert(store_extern_id(r.store, v.ref, &id));
        ck_assert_uint_eq(id, i);
    }
    ck_assert_uint_eq(r.ndead, 0);
    rig_deinit(&r);
    ck_assert_uint_eq(r.ndead, 1000);
}
END_TEST

START_TEST(globals_are_typed_and_rooted)
{
    struct rig r;
    rig_init(&r);
    struct root x;
    ck_assert_int_eq(store_extern(r.store, 42, &x), HEMI_OK);
    struct global *g, *fixed;
    ck_assert_int_eq(global_new(r.store, VT_REF(true, HT_EXTERN), true, (union val){.ref = x.bits}, &g), HEMI_OK);
    ck_assert_int_eq(global_new(r.store, VT_I64, false, (union val){.i64 = 5}, &fixed), HEMI_OK);
    root_deinit(&x);
    root_deinit(&x);
    store_collect(r.store);
    uint64_t id = 0;
    ck_assert(store_extern_id(r.store, global_get(g).ref, &id));
    ck_assert_uint_eq(id, 42);
    ck_assert_int_eq(global_set(fixed, (union val){.i64 = 6}), HEMI_ARGUMENT);
    ck_assert_int_eq(global_set(g, (union val){.u64 = {0, 0}}), HEMI_OK);
    store_collect(r.store);
    ck_assert_uint_eq(r.ndead, 1);
    ck_assert_uint_eq(r.dead[0], 42);
    rig_deinit(&r);
    ck_assert_uint_eq(r.ndead, 1);
}
END_TEST

START_TEST(an_externref_is_the_same_object_while_it_lives)
{
    struct rig r;
    rig_init(&r);
    struct root a, b, c;
    ck_assert_int_eq(store_extern(r.store, 7, &a), HEMI_OK);
    store_collect(r.store);
    ck_assert_int_eq(store_extern(r.store, 7, &b), HEMI_OK);
    ck_assert_int_eq(store_extern(r.store, 8, &c), HEMI_OK);
    ck_assert_uint_eq(a.bits, b.bits);
    ck_assert_uint_ne(a.bits, c.bits);
    union val v = {.ref = a.bits};
    ck_assert(store_ref_is(r.store, v, VT_REF(false, HT_EXTERN)));
    ck_assert(store_ref_is(r.store, v, VT_REF(false, HT_ANY)));
    ck_assert(!store_ref_is(r.store, v, VT_REF(true, HT_EQ)));
    ck_assert(!store_ref_is(r.store, v, VT_REF(true, HT_NOEXTERN)));
    root_deinit(&a);
    store_collect(r.store);
    ck_assert_uint_eq(r.ndead, 0);
    root_deinit(&b);
    root_deinit(&c);
    store_collect(r.store);
    ck_assert_uint_eq(r.ndead, 2);
    rig_deinit(&r);
}
END_TEST

/* ---- Host functions, called directly */
struct host {
    struct rig *rig;
    uint32_t self, depth, drops;
    enum hemi_status answer;
    union val result;
};

static enum hemi_status host_call(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    (void)s, (void)caller;
    struct host *h = ctx;
    if (h->answer == HEMI_EXIT) err->exit_code = 3;
    if (h->answer == HEMI_HOST) strcpy(err->message, "the disc is full");
    results[0] = h->result.u64[0] != 0 ? h->result : (union val){.u64 = {args[0].i64 + 1, 0}};
    return h->answer;
}
static void host_drop(void *ctx) { ((struct host *)ctx)->drops++; }

static enum hemi_status host_nest(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    (void)caller;
    struct host *h = ctx;
    if (args[0].i64 == 0) return HEMI_OK;
    store_collect(s);
    struct vm_stack stack = {malloc(4096), 4096};
    union val less = {.u64 = {args[0].i64 - 1, 0}};
    enum hemi_status status = rt_call(s, h->self, &less, results, stack, err);
    results[0].i64 += args[0].i64;
    free(stack.base);
    return status;
}

START_TEST(a_host_function_answers_and_fails)
{
    struct rig r;
    rig_init(&r);
    struct host h = {.rig = &r};
    uint32_t f;
    struct host_func_options opt = {&h, host_call, host_drop};
    valtype types[2] = {VT_I64, VT_I64};
    ck_assert_int_eq(host_func_new(r.store, types, 1, 1, &opt, &f), HEMI_OK);
    union val arg = {.i64 = 41}, result;
    ck_assert_int_eq(rt_call(r.store, f, &arg, &result, r.stack, &r.err), HEMI_OK);
    ck_assert_uint_eq(result.i64, 42);
    h.answer = HEMI_EXIT;
    ck_assert_int_eq(rt_call(r.store, f, &arg, &result, r.stack, &r.err), HEMI_EXIT);
    ck_assert_int_eq(r.err.exit_code, 3);
    h.answer = HEMI_TRAP;
    ck_assert_int_eq(rt_call(r.store, f, &arg, &result, r.stack, &r.err), HEMI_TRAP);
    ck_assert_int_eq(r.err.trap, TRAP_HOST_TRAP);
    h.answer = HEMI_HOST;
    ck_assert_int_eq(rt_call(r.store, f, &arg, &result, r.stack, &r.err), HEMI_HOST);
    ck_assert_str_eq(r.err.message, "the disc is full");
    h.answer = HEMI_EXCEPTION; /* there is none to pass on */
    ck_assert_int_eq(rt_call(r.store, f, &arg, &result, r.stack, &r.err), HEMI_HOST);
    struct store_stats stats;
    store_get_stats(r.store, &stats);
    ck_assert_uint_eq(stats.host_calls, 5);
    rig_deinit(&r);
    ck_assert_uint_eq(h.drops, 1);
}
END_TEST

START_TEST(reference_arguments_and_results_are_checked)
{
    struct rig r;
    rig_init(&r);
    struct host h = {.rig = &r, .result = {.ref = heap_i31(1).bits}};
    uint32_t f;
    struct host_func_options opt = {&h, host_call, host_drop};
    valtype types[2] = {VT_REF(false, HT_I31), VT_REF(true, HT_STRUCT)};
    ck_assert_int_eq(host_func_new(r.store, types, 1, 1, &opt, &f), HEMI_OK);
    union val null = {.u64 = {0, 0}}, i31 = {.ref = heap_i31(5).bits}, result;
    ck_assert_int_eq(rt_call(r.store, f, &null, &result, r.stack, &r.err), HEMI_ARGUMENT);
    ck_assert_str_eq(r.err.message, "argument 0 is not a (ref i31)");
    ck_assert_int_eq(rt_call(r.store, f, &i31, &result, r.stack, &r.err), HEMI_ARGUMENT);
    ck_assert_int_eq(rt_call(r.store, 0, &i31, &result, r.stack, &r.err), HEMI_ARGUMENT);
    rig_deinit(&r);
}
END_TEST

START_TEST(calls_nest_through_host_functions_up_to_a_limit)
{
    struct rig r;
    rig_init(&r);
    struct host h = {.rig = &r};
    struct host_func_options opt = {&h, host_nest, host_drop};
    valtype types[2] = {VT_I64, VT_I64};
    ck_assert_int_eq(host_func_new(r.store, types, 1, 1, &opt, &h.self), HEMI_OK);
    union val arg = {.i64 = 10}, result;
    ck_assert_int_eq(rt_call(r.store, h.self, &arg, &result, r.stack, &r.err), HEMI_OK);
    ck_assert_uint_eq(result.i64, 55);
    arg.i64 = 100000;
    ck_assert_int_eq(rt_call(r.store, h.self, &arg, &result, r.stack, &r.err), HEMI_LIMIT);
    ck_assert_ptr_nonnull(strstr(r.err.message, "nesting: "));
    arg.i64 = 3;
    ck_assert_int_eq(rt_call(r.store, h.self, &arg, &result, r.stack, &r.err), HEMI_OK);
    ck_assert_uint_eq(result.i64, 6);
    struct vm_stack tiny = {r.stack.base, 16};
    ck_assert_int_eq(rt_call(r.store, h.self, &arg, &result, tiny, &r.err), HEMI_TRAP);
    ck_assert_int_eq(r.err.trap, TRAP_STACK_OVERFLOW);
    rig_deinit(&r);
}
END_TEST

START_TEST(host_functions_of_one_type_are_told_apart)
{
    struct rig r;
    rig_init(&r);
    struct host h[200];
    uint32_t f[200];
    valtype types[2] = {VT_I64, VT_I64};
    for (uint32_t i = 0; i < 200; i++) {
        h[i] = (struct host){.rig = &r, .result = {.i64 = i + 1}};
        struct host_func_options opt = {&h[i], host_call, host_drop};
        ck_assert_int_eq(host_func_new(r.store, types, 1, 1, &opt, &f[i]), HEMI_OK);
    }
    for (uint32_t i = 0; i < 200; i++) {
        union val arg = {.i64 = 0}, result;
        ck_assert_int_eq(rt_call(r.store, f[i], &arg, &result, r.stack, &r.err), HEMI_OK);
        ck_assert_uint_eq(result.i64, i + 1);
    }
    rig_deinit(&r);
    for (uint32_t i = 0; i < 200; i++) ck_assert_uint_eq(h[i].drops, 1);
}
END_TEST

/* The set of externrefs kept the size that it once had. */
START_TEST(a_burst_of_externs_leaves_no_table)
{
#ifdef HEMI_STRESS /* collects all the time */
    enum { BURST = 5000, SLACK = 256 << 10 };
#else
    enum { BURST = 100000, SLACK = 256 << 10 };
#endif
    static struct root roots[BURST];
    struct rig r;
    rig_init(&r);
    int64_t before = 0;
    for (int round = 0; round < 2; round++) {
        uint32_t n = round == 0 ? 100 : BURST;
        for (uint32_t i = 0; i < n; i++) ck_assert_int_eq(store_extern(r.store, 1 + i, &roots[i]), HEMI_OK);
        for (uint32_t i = 0; i < n; i++) root_deinit(&roots[i]);
        for (int i = 0; i < 3; i++) store_collect(r.store);
        store_trim(r.store);
        if (round == 0) before = r.charged;
    }
    ck_assert_int_le(r.charged, before + SLACK);
    struct root again;
    ck_assert_int_eq(store_extern(r.store, 7, &again), HEMI_OK);
    root_deinit(&again);
    rig_deinit(&r);
}
END_TEST

/* A handle that was dropped while its store's collection was at its root left the list of roots through a null, and was
 * written to after it had been freed. */
#ifdef HEMI_STRESS /* collects all the time, and yields more often */
enum { OWNERS = 3000 };
#else
enum { OWNERS = 40000 };
#endif
static struct owners {
    struct root *at[OWNERS]; /* NULL: dropped */
    uint32_t first, yields;
} owners;

static enum hemi_status drop_every_second(void *ctx)
{
    struct owners *o = ctx;
    if (o->yields++ > 0) return HEMI_OK;
    for (uint32_t i = o->first; i < OWNERS; i += 2) {
        root_deinit(o->at[i]);
        free(o->at[i]);
        o->at[i] = NULL;
    }
    return HEMI_OK;
}

START_TEST(roots_may_be_dropped_while_a_collection_visits_them)
{
    struct rig r;
    rig_init(&r);
    owners = (struct owners){.first = (uint32_t)_i};
    for (uint32_t i = 0; i < OWNERS; i++) {
        owners.at[i] = malloc(sizeof *owners.at[i]);
        ck_assert_int_eq(store_extern(r.store, 1 + i, owners.at[i]), HEMI_OK);
    }
    r.engine->options.yield = drop_every_second;
    r.engine->options.ctx = &owners;
    store_collect(r.store);
    ck_assert_uint_gt(owners.yields, 0);
    store_collect(r.store); /* whatever the first had reached already */
    struct store_stats stats;
    store_get_stats(r.store, &stats);
    ck_assert_uint_eq(stats.heap.externs_live, OWNERS / 2);
    for (uint32_t i = 1 - owners.first; i < OWNERS; i += 2) {
        uint64_t id = 0;
        ck_assert(store_extern_id(r.store, owners.at[i]->bits, &id));
        ck_assert_uint_eq(id, 1 + i);
        root_deinit(owners.at[i]);
        free(owners.at[i]);
    }
    rig_deinit(&r);
}
END_TEST

static void expected_panic(const char *message)
{
    if (strstr(message, "(.alone)") != NULL) raise(SIGUSR1); /* what the test expects */
}

static enum hemi_status make_a_root(void *ctx)
{
    static struct root made;
    root_init(ctx, &made, HEAP_SLOT_REF, 0);
    return HEMI_OK;
}

/* Nobody would visit it. */
START_TEST(a_root_made_while_a_collection_yields_panics)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t i = 0; i < OWNERS; i++) {
        owners.at[i] = malloc(sizeof *owners.at[i]);
        ck_assert_int_eq(store_extern(r.store, 1 + i, owners.at[i]), HEMI_OK);
    }
    check_set_last_words(expected_panic);
    r.engine->options.yield = make_a_root;
    r.engine->options.ctx = r.store;
    store_collect(r.store);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *c = tcase_create("store");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, memory_grows_to_its_maximum_and_keeps_its_bytes);
    tcase_add_test(c, many_memories_leave_address_space);
    tcase_add_test(c, limits_of_memory_and_budget_refuse_and_change_nothing);
    tcase_add_test(c, a_memory_of_more_than_4_gib_moves_and_keeps_its_bytes);
    tcase_add_test(c, limits_of_the_address_type);
    tcase_add_test(c, tables_hold_what_their_type_says);
    tcase_add_test(c, tables_grow_by_one_many_times);
    tcase_add_test(c, globals_are_typed_and_rooted);
    tcase_add_test(c, an_externref_is_the_same_object_while_it_lives);
    tcase_add_test(c, a_host_function_answers_and_fails);
    tcase_add_test(c, reference_arguments_and_results_are_checked);
    tcase_add_test(c, calls_nest_through_host_functions_up_to_a_limit);
    tcase_add_test(c, host_functions_of_one_type_are_told_apart);
    tcase_add_test(c, a_burst_of_externs_leaves_no_table);
    tcase_add_loop_test(c, roots_may_be_dropped_while_a_collection_visits_them, 0, 2);
    tcase_add_test_raise_signal(c, a_root_made_while_a_collection_yields_panics, SIGUSR1);
    suite_add_tcase(s, c);
    return run_suite(s);
}
