/* tests/unit/runtime/runtime_test.c -- calls: traps and what they say, host functions in the middle of guests,
 * unwinding through both, interruption, stack overflow, and frames that the collector has to update. */
#include "tests/unit/rig.h"

/* ---- Host functions: one callback whose behaviour is data */
struct host {
    struct rig *rig;
    struct instance *in; /* called back, if not NULL */
    const char *callee;
    enum hemi_status answer;
    enum wasm_trap trap;
    uint32_t calls;
    bool collect;
    struct instance *caller; /* of the last call */
};

static enum hemi_status host_call(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    struct host *h = ctx;
    h->calls++;
    h->caller = caller;
    if (h->collect) store_collect(s);
    if (h->answer != HEMI_OK) {
        err->exit_code = 9;
        err->trap = h->trap;
        return h->answer;
    }
    results[0] = (union val){.u64 = {args[0].i32, 0}};
    if (h->in == NULL) return HEMI_OK;
    struct vm_stack stack = {malloc(32768), 32768};
    enum hemi_status status = rt_call(s, rig_export(h->in, h->callee).func, args, results, stack, err);
    free(stack.base);
    if (h->collect) store_collect(s);
    return status;
}

static struct rt_extern host_new(struct host *h, const valtype *types, uint32_t nparams, uint32_t nresults)
{
    struct host_func_options opt = {h, host_call, NULL};
    struct rt_extern x = {.kind = EXTERN_FUNC};
    ck_assert_int_eq(host_func_new(h->rig->store, types, nparams, nresults, &opt, &x.func), HEMI_OK);
    return x;
}
static const valtype i32_to_i32[2] = {VT_I32, VT_I32};

/* ---- Traps */
START_TEST(a_trap_says_what_and_where)
{
    struct rig r;
    rig_init(&r);
    struct instance *in =
        rig_instance(&r,
                     "(func $inner (export \"inner\") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))"
                     "(func (export \"outer\") (param i32) (result i32) (call $inner (local.get 0)))"
                     "(func (export \"sum\") (param i32 i32) (result i32 i64)"
                     "  (i32.add (local.get 0) (local.get 1)) (i64.const -1))",
                     NULL);
    rig_trap(&r, in, DIV_ZERO, "outer", 0);
    ck_assert_msg(strncmp(r.err.message, "integer divide by zero in \"inner\" (function 0)", 46) == 0, "%s",
                  r.err.message);
    ck_assert(r.err.has_func && r.err.func == 0);
    ck_assert(r.err.has_offset && r.err.offset > 8);
    ck_assert_uint_eq(rig_ok(&r, in, "outer", 1), 1);
    union val args[2] = {{.i32 = 40}, {.i32 = 2}}, results[2];
    ck_assert_int_eq(rt_call(r.store, rig_export(in, "sum").func, args, results, r.stack, NULL), HEMI_OK);
    ck_assert_uint_eq(results[0].i64, 42);
    ck_assert_uint_eq(results[1].i64, UINT64_MAX);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_trap_in_a_helper_names_its_callers)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(
        &r,
        "(memory 1) (func $fill (export \"fill\") (memory.fill (i32.const 65536) (i32.const 0) (i32.const 1)))"
        "(func $middle (export \"middle\") (call $fill)) (func (export \"outer\") (call $middle))",
        NULL);
    rig_trap(&r, in, MEMORY_BOUNDS, "outer", 0);
    ck_assert_str_eq(r.err.message, "out of bounds memory access in \"fill\" (function 0), called from \"middle\" "
                                    "(function 1), called from \"outer\" (function 2)");
    rig_deinit(&r);
}
END_TEST

START_TEST(runaway_recursion_exhausts_the_vm_stack_only)
{
    struct rig r;
    rig_init(&r);
    struct instance *in =
        rig_instance(&r,
                     "(func $f (export \"f\") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))"
                     "(func $t (export \"tail\") (param i32) (result i32)"
                     "  (if (result i32) (local.get 0) (then (return_call $t (i32.sub (local.get 0) (i32.const 1))))"
                     "    (else (i32.const 5))))",
                     NULL);
    for (int i = 0; i < 3; i++) rig_trap(&r, in, STACK_OVERFLOW, "f", 0);
    ck_assert_uint_eq(rig_ok(&r, in, "tail", 1000000), 5);
    rig_deinit(&r);
}
END_TEST

/* ---- Host functions between guests */
static const char nesting[] = "(import \"h\" \"f\" (func $h (param i32) (result i32)))"
                              "(func (export \"down\") (param i32) (result i32)"
                              "  (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1000))"
                              "    (else (i32.add (local.get 0) (call $h (i32.sub (local.get 0) (i32.const 1)))))))";

START_TEST(guests_and_hosts_call_each_other)
{
    struct rig r;
    rig_init(&r);
    struct host h = {.rig = &r, .callee = "down", .collect = true};
    struct rt_extern x = host_new(&h, i32_to_i32, 1, 1);
    h.in = rig_instance(&r, nesting, &x);
    ck_assert_uint_eq(rig_ok(&r, h.in, "down", 10), 1055);
    ck_assert_uint_eq(h.calls, 10);
    ck_assert_ptr_eq(h.caller, h.in);
    struct store_stats stats;
    store_get_stats(r.store, &stats);
    ck_assert_uint_eq(stats.host_calls, 10);
    union val out;
    ck_assert_int_eq(rig_call(&r, h.in, "down", RIG_ARGS(100000), &out), HEMI_LIMIT);
    ck_assert_uint_eq(rig_ok(&r, h.in, "down", 3), 1006);
    rig_deinit(&r);
}
END_TEST

/* The frames of a call are scanned, and its stack's limit holds, also while and after another call nests in it. */
START_TEST(an_outer_call_keeps_its_references_and_its_stack)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct host h = {.rig = &r, .callee = "inner", .collect = true};
    struct rt_extern x = host_new(&h, i32_to_i32, 1, 1);
    h.in = rig_instance(
        &r,
        "(import \"h\" \"f\" (func $h (param i32) (result i32))) (type $s (struct (field i32) (field (ref null $s))))"
        "(func (export \"inner\") (param i32) (result i32)"
        "  (struct.get $s 0 (struct.new $s (local.get 0) (struct.new $s (i32.const 1) (ref.null $s)))))"
        "(func (export \"outer\") (param i32) (result i32) (local $r (ref null $s))"
        "  (local.set $r (struct.new $s (i32.const 7) (struct.new $s (i32.const 8) (ref.null $s))))"
        "  (i32.add (call $h (local.get 0)) (struct.get $s 0 (struct.get $s 1 (local.get $r)))))"
        "(func $down (param i32) (result i32) (if (result i32) (local.get 0)"
        "  (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))"
        "(func (export \"deep\") (param i32) (result i32) (drop (call $h (i32.const 1))) (call $down (local.get 0)))",
        &x);
    ck_assert_uint_eq(rig_ok(&r, h.in, "outer", 100), 108);
    ck_assert_uint_eq(rig_ok(&r, h.in, "deep", 1000), 1000);
    rig_trap(&r, h.in, STACK_OVERFLOW, "deep", 100000);
    rig_deinit(&r);
}
END_TEST

START_TEST(what_a_host_function_returns_unwinds_the_guest)
{
    struct rig r;
    rig_init(&r);
    struct host h = {.rig = &r};
    struct rt_extern x = host_new(&h, i32_to_i32, 1, 1);
    struct instance *in = rig_instance(&r,
                                       "(import \"h\" \"f\" (func $h (param i32) (result i32)))"
                                       "(func (export \"f\") (param i32) (result i32)"
                                       "  (block $c (try_table (catch_all $c) (return (call $h (local.get 0)))))"
                                       "  (i32.const -1))",
                                       &x);
    ck_assert_uint_eq(rig_ok(&r, in, "f", 6), 6);
    union val out;
    h.answer = HEMI_EXIT;
    ck_assert_int_eq(rig_call(&r, in, "f", RIG_ARGS(1), &out), HEMI_EXIT);
    ck_assert_int_eq(r.err.exit_code, 9);
    h.answer = HEMI_TRAP;
    h.trap = TRAP_CAST;
    rig_trap(&r, in, CAST, "f", 1);
    h.answer = HEMI_CANCELLED;
    ck_assert_int_eq(rig_call(&r, in, "f", RIG_ARGS(1), &out), HEMI_CANCELLED);
    ck_assert_str_eq(r.err.message, "cancelled in \"f\" (function 1)");
    rig_deinit(&r);
}
END_TEST

START_TEST(an_exception_passes_through_a_host_function)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct host h = {.rig = &r, .callee = "throw", .collect = true};
    struct rt_extern x = host_new(&h, i32_to_i32, 1, 1);
    h.in =
        rig_instance(&r,
                     "(import \"h\" \"f\" (func $h (param i32) (result i32))) (tag $e (param i32))"
                     "(func (export \"throw\") (param i32) (result i32) (throw $e (local.get 0)))"
                     "(func (export \"catch\") (param i32) (result i32)"
                     "  (block $c (result i32) (try_table (catch $e $c) (return (call $h (local.get 0)))) unreachable)"
                     "  (i32.add (i32.const 1)))",
                     &x);
    ck_assert_uint_eq(rig_ok(&r, h.in, "catch", 70), 71);
    union val out;
    ck_assert_int_eq(rig_call(&r, h.in, "throw", RIG_ARGS(1), &out), HEMI_EXCEPTION);
    rig_deinit(&r);
}
END_TEST

/* ---- Interruption */
static const volatile uint32_t poll_set = 1;

START_TEST(an_endless_loop_is_interrupted)
{
    struct rig r;
    rig_init(&r);
    store_free(r.store);
    engine_free(r.engine);
    struct engine_options opt = {.yield = rig_yield, .ctx = &r, .poll = &poll_set};
    ck_assert_int_eq(engine_new(&opt, &r.engine), HEMI_OK);
    struct store_options sopt = {.ctx = &r, .charge = rig_charge};
    ck_assert_int_eq(store_new(r.engine, &sopt, &r.store), HEMI_OK);
    struct instance *in = rig_instance(&r,
                                       "(type $s (struct)) (func (export \"loop\") (loop $l (br $l)))"
                                       "(func $f (export \"recurse\") (return_call $f))"
                                       "(func (export \"alloc\") (loop $l (drop (struct.new $s)) (br $l)))",
                                       NULL);
    static const char *const names[] = {"loop", "recurse", "alloc"};
    for (int i = 0; i < 3; i++) {
        union val out;
        r.yields = 0;
        r.yield_at = 1000;
        r.yield_after = HEMI_INTERRUPTED;
        ck_assert_int_eq(rig_call(&r, in, names[i], RIG_ARGS(0), &out), HEMI_INTERRUPTED);
        ck_assert_uint_eq(r.yields, 1000);
        ck_assert_msg(strncmp(r.err.message, "interrupted in ", 15) == 0, "%s", r.err.message);
    }
    rig_deinit(&r);
}
END_TEST

/* ---- Frames and the collector */
START_TEST(locals_temporaries_and_arguments_move)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct host h = {.rig = &r, .collect = true};
    struct rt_extern x = host_new(&h, i32_to_i32, 1, 1);
    struct instance *in =
        rig_instance(&r,
                     "(import \"h\" \"f\" (func $h (param i32) (result i32)))"
                     "(type $n (struct (field i32) (field (ref null $n)) (field (ref null $n))))"
                     "(func $tree (export \"tree\") (param $d i32) (result (ref $n))"
                     "  (if (result (ref $n)) (i32.eqz (local.get $d))"
                     "    (then (struct.new $n (i32.const 1) (ref.null $n) (ref.null $n)))"
                     "    (else (struct.new $n (call $h (i32.const 1))"
                     "      (call $tree (i32.sub (local.get $d) (i32.const 1)))"
                     "      (call $tree (i32.sub (local.get $d) (i32.const 1)))))))"
                     "(func $sum (param $t (ref null $n)) (result i32)"
                     "  (if (result i32) (ref.is_null (local.get $t)) (then (call $h (i32.const 0)))"
                     "    (else (i32.add (i32.add (call $sum (struct.get $n 1 (local.get $t)))"
                     "      (call $sum (struct.get $n 2 (local.get $t)))) (struct.get $n 0 (local.get $t))))))"
                     "(func (export \"run\") (param i32) (result i32) (local $t (ref null $n)) (local $u (ref null $n))"
                     "  (local.set $t (call $tree (local.get 0)))"
                     "  (local.set $u (local.get $t))"
                     "  (drop (call $tree (i32.const 2)))"
                     "  (if (i32.eqz (ref.eq (local.get $t) (local.get $u))) (then unreachable))"
                     "  (i32.add (call $sum (local.get $t)) (call $sum (local.get $u))))",
                     &x);
    ck_assert_uint_eq(rig_ok(&r, in, "run", 6), 2 * 127);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_returned_reference_is_rooted_by_the_caller)
{
    struct rig r;
    rig_init(&r);
    struct instance *in =
        rig_instance(&r,
                     "(type $s (struct (field i32))) (func (export \"new\") (param i32) (result anyref)"
                     "  (struct.new $s (local.get 0)))"
                     "(func (export \"get\") (param (ref null $s)) (result i32)"
                     "  (struct.get $s 0 (local.get 0)))"
                     "(func (export \"id\") (param externref) (result externref) (local.get 0))",
                     NULL);
    uint32_t bits = rig_ok(&r, in, "new", 64);
    struct root root, x;
    root_init(r.store, &root, HEAP_SLOT_REF, bits);
    store_collect(r.store);
    ck_assert_uint_eq(rig_ok(&r, in, "get", root.bits), 64);
    ck_assert(!vt_nullable(store_ref_type(r.store, (union val){.ref = root.bits}, HEAP_SLOT_REF)));
    ck_assert_int_eq(store_extern(r.store, 5, &x), HEMI_OK);
    union val out;
    ck_assert_int_eq(rig_call(&r, in, "get", RIG_ARGS(x.bits), &out), HEMI_ARGUMENT);
    ck_assert_int_eq(rig_call(&r, in, "get", RIG_ARGS(heap_i31(3).bits), &out), HEMI_ARGUMENT);
    ck_assert_uint_eq(rig_ok(&r, in, "id", x.bits), x.bits);
    rig_trap(&r, in, NULL_STRUCTURE, "get", 0);
    root_deinit(&root);
    root_deinit(&x);
    rig_deinit(&r);
    ck_assert_uint_eq(r.ndead, 1);
}
END_TEST

START_TEST(two_stores_share_a_module)
{
    struct rig r;
    rig_init(&r);
    struct store *second;
    ck_assert_int_eq(store_new(r.engine, NULL, &second), HEMI_OK);
    struct module *m = rig_module(&r, "(global $g (mut i32) (i32.const 0)) (func (export \"inc\") (result i32)"
                                      " (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))");
    struct instance *a, *b, *c;
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &a, &r.err), HEMI_OK);
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &b, &r.err), HEMI_OK);
    ck_assert_int_eq(instance_new(second, m, NULL, r.stack, &c, &r.err), HEMI_OK);
    module_unref(m);
    ck_assert_uint_eq(rig_ok(&r, a, "inc", 0), 1);
    ck_assert_uint_eq(rig_ok(&r, a, "inc", 0), 2);
    ck_assert_uint_eq(rig_ok(&r, b, "inc", 0), 1);
    union val result;
    ck_assert_int_eq(rt_call(second, rig_export(c, "inc").func, NULL, &result, r.stack, &r.err), HEMI_OK);
    ck_assert_uint_eq(result.i32, 1);
    store_free(second);
    ck_assert_uint_eq(rig_ok(&r, a, "inc", 0), 3);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runtime");
    TCase *c = tcase_create("runtime");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_trap_says_what_and_where);
    tcase_add_test(c, a_trap_in_a_helper_names_its_callers);
    tcase_add_test(c, runaway_recursion_exhausts_the_vm_stack_only);
    tcase_add_test(c, guests_and_hosts_call_each_other);
    tcase_add_test(c, an_outer_call_keeps_its_references_and_its_stack);
    tcase_add_test(c, what_a_host_function_returns_unwinds_the_guest);
    tcase_add_test(c, an_exception_passes_through_a_host_function);
    tcase_add_test(c, an_endless_loop_is_interrupted);
    tcase_add_test(c, locals_temporaries_and_arguments_move);
    tcase_add_test(c, a_returned_reference_is_rooted_by_the_caller);
    tcase_add_test(c, two_stores_share_a_module);
    suite_add_tcase(s, c);
    return run_suite(s);
}
