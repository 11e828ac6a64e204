/* tests/unit/runtime/instance_test.c -- instantiation: linking, initialisers, segments, start functions, failures half
 * way. */
#include "tests/unit/rig.h"

/* ---- Linking */
START_TEST(imports_are_matched_by_kind_and_type)
{
    struct rig r;
    rig_init(&r);
    struct instance *a = rig_instance(&r,
                                      "(module (func (export \"f\") (param i32)) (memory (export \"m\") 2 3)"
                                      " (global (export \"g\") i32 (i32.const 4)) (table (export \"t\") 5 funcref)"
                                      " (tag (export \"e\") (param i64)))",
                                      NULL);
    struct rt_extern f = rig_export(a, "f"), m = rig_export(a, "m"), g = rig_export(a, "g"), t = rig_export(a, "t"),
                     e = rig_export(a, "e");
    struct instance *in;
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (func (param i32)))", &f, &in), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (func (param i64) (result i32)))", &f, &in), HEMI_LINK);
    ck_assert_str_eq(r.err.message,
                     "incompatible import type: import 0 \"x\" \"y\" (func): wanted (func (param i64) (result i32)), "
                     "got (func (param i32))");
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (func))", &m, &in), HEMI_LINK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (memory 2 3))", &m, &in), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (memory 1))", &m, &in), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (memory 3))", &m, &in), HEMI_LINK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (memory 1 2))", &m, &in), HEMI_LINK);
    ck_assert_str_eq(r.err.message,
                     "incompatible import type: import 0 \"x\" \"y\" (memory): wanted (memory 1 2), got (memory 2 3)");
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (global i32))", &g, &in), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (global (mut i32)))", &g, &in), HEMI_LINK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (table 5 funcref))", &t, &in), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (table 5 externref))", &t, &in), HEMI_LINK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (tag (param i64)))", &e, &in), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (tag))", &e, &in), HEMI_LINK);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_grown_memory_is_imported_at_its_size)
{
    struct rig r;
    rig_init(&r);
    struct instance *a = rig_instance(&r, "(memory (export \"m\") 1 5)", NULL), *in;
    struct rt_extern m = rig_export(a, "m");
    uint64_t old;
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (memory 3))", &m, &in), HEMI_LINK);
    ck_assert_int_eq(memory_grow(m.memory, 2, &old), HEMI_OK);
    ck_assert_int_eq(rig_try(&r, "(import \"x\" \"y\" (memory 3))", &m, &in), HEMI_OK);
    rig_deinit(&r);
}
END_TEST

START_TEST(exports_are_found_and_listed)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r, "(func (export \"\")) (func (export \"b\") (export \"c\"))", NULL);
    struct rt_extern x, y;
    struct name name;
    ck_assert(instance_export(in, "", 0, &x));
    ck_assert(!instance_export(in, "d", 1, &x));
    ck_assert_uint_eq(instance_export_count(in), 3);
    ck_assert(instance_export(in, "b", 1, &x));
    instance_export_at(in, 2, &name, &y);
    ck_assert_uint_eq(name.len, 1);
    ck_assert_int_eq(name.at[0], 'c');
    ck_assert_uint_eq(x.func, y.func);
    rig_deinit(&r);
}
END_TEST

/* ---- Initialisers */
static const char constants[] =
    "(type $s (struct (field i32) (field (ref null $s)))) (type $a (array (ref null $s))) (type $v (array i32))"
    "(global $g0 i32 (i32.const 1))"
    "(global $g1 (ref $s) (struct.new $s (i32.add (global.get $g0) (i32.const 2)) (ref.null $s)))"
    "(global $g2 (ref $a) (array.new_fixed $a 2 (global.get $g1) (struct.new $s (i32.const 4) (global.get $g1))))"
    "(global $g3 (ref $v) (array.new $v (i32.const 7) (i32.const 16)))"
    "(table $t 64 (ref null $s) (struct.new $s (i32.const 9) (ref.null $s)))"
    "(elem (table $t) (i32.const 0) (ref null $s) (item (global.get $g1)) (item (struct.new_default $s))"
    "  (item (struct.new $s (i32.const 5) (global.get $g1))))"
    "(func (export \"t\") (param i32) (result i32) (struct.get $s 0 (table.get $t (local.get 0))))"
    "(func (export \"deep\") (param i32) (result i32)"
    "  (struct.get $s 0 (struct.get $s 1 (array.get $a (global.get $g2) (i32.const 1)))))"
    "(func (export \"same\") (result i32) (ref.eq (global.get $g1) (struct.get $s 1 (table.get $t (i32.const 2)))))"
    "(func (export \"v\") (param i32) (result i32) (array.get $v (global.get $g3) (local.get 0)))"
    "(func (export \"len\") (result i32) (array.len (global.get $g3)))";

START_TEST(constant_expressions_allocate_and_survive_collections)
{
    for (uint32_t stress = 0; stress < 4; stress++) {
        struct rig r;
        rig_init_with(&r, (struct store_options){.gc_stress = stress});
        struct instance *in = rig_instance(&r, constants, NULL);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(rig_ok(&r, in, "t", 0), 3);
            ck_assert_uint_eq(rig_ok(&r, in, "t", 1), 0);
            ck_assert_uint_eq(rig_ok(&r, in, "t", 2), 5);
            ck_assert_uint_eq(rig_ok(&r, in, "t", 3), 9);
            ck_assert_uint_eq(rig_ok(&r, in, "t", 63), 9);
            ck_assert_uint_eq(rig_ok(&r, in, "deep", 0), 3);
            ck_assert_uint_eq(rig_ok(&r, in, "same", 0), 1);
            ck_assert_uint_eq(rig_ok(&r, in, "v", 15), 7);
            ck_assert_uint_eq(rig_ok(&r, in, "len", 0), 16);
            store_collect(r.store);
        }
        rig_deinit(&r);
    }
}
END_TEST

START_TEST(a_segment_is_evaluated_once)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(
        &r,
        "(type $s (struct (field i32))) (table $t 4 (ref null $s))"
        "(elem $e (ref null $s) (item (struct.new $s (i32.const 1))) (item (struct.new $s (i32.const 2)))"
        "  (item (ref.null $s)))"
        "(func (export \"init\") (param i32) (table.init $t $e (local.get 0) (i32.const 0) (i32.const 2)))"
        "(func (export \"same\") (result i32) (ref.eq (table.get $t (i32.const 0)) (table.get $t (i32.const 2))))"
        "(func (export \"get\") (param i32) (result i32) (struct.get $s 0 (table.get $t (local.get 0))))"
        "(func (export \"drop\") (elem.drop $e))",
        NULL);
    rig_ok(&r, in, "init", 0);
    store_collect(r.store);
    rig_ok(&r, in, "init", 2);
    ck_assert_uint_eq(rig_ok(&r, in, "same", 0), 1);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 3), 2);
    int64_t before = r.charged;
    rig_ok(&r, in, "drop", 0);
    ck_assert_int_eq(r.charged, before - 12);
    rig_trap(&r, in, TABLE_BOUNDS, "init", 0);
    rig_deinit(&r);
}
END_TEST

/* Its elements are in the table, and a table.init finds none left. */
START_TEST(an_active_segment_is_dropped)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r,
                                       "(type $s (struct (field i32))) (table $t 4 (ref null $s))"
                                       "(elem $e (table $t) (i32.const 1) (ref null $s)"
                                       "  (item (struct.new $s (i32.const 7))))"
                                       "(func (export \"init\")"
                                       "  (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)))"
                                       "(func (export \"get\") (result i32)"
                                       "  (struct.get $s 0 (table.get $t (i32.const 1))))",
                                       NULL);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 0), 7);
    rig_trap(&r, in, TABLE_BOUNDS, "init", 0);
    rig_deinit(&r);
}
END_TEST

/* Constants alone become values when the module is read: nothing is translated, and nothing runs at instantiation. */
START_TEST(plain_constants_are_no_code)
{
    struct rig r;
    rig_init(&r);
    struct module *plain = rig_module(&r, "(global i32 (i32.const 1)) (global i64 (i64.const -1)) (func $f)"
                                          "(global funcref (ref.func $f)) (global externref (ref.null extern))"
                                          "(table 2 funcref) (elem (i32.const 0) $f $f)");
    struct module *sum = rig_module(&r, "(global i32 (i32.add (i32.const 1) (i32.const 2)))");
    ck_assert_uint_eq(plain->nconst_code, 0);
    ck_assert_uint_eq(sum->nconst_code, 1);
    module_unref(plain);
    module_unref(sum);
    rig_deinit(&r);
}
END_TEST

/* A segment that allocates while its first elements must stay alive and move. */
START_TEST(a_long_segment_is_reachable_while_it_is_filled)
{
    enum { N = 300 };
    char *text = malloc(N * 64 + 1000), *at = text;
    at += sprintf(at, "(type $s (struct (field i32))) (elem $e (ref $s)");
    for (int i = 0; i < N; i++) at += sprintf(at, "(item (struct.new $s (i32.const %d)))", i);
    sprintf(at,
            ") (table $t %d (ref null $s)) (func (export \"get\") (param i32) (result i32)"
            " (table.init $t $e (i32.const 0) (i32.const 0) (i32.const %d))"
            " (struct.get $s 0 (table.get $t (local.get 0))))",
            N, N);
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(&r, text, NULL);
    for (uint32_t i = 0; i < N; i++) ck_assert_uint_eq(rig_ok(&r, in, "get", i), i);
    rig_deinit(&r);
    free(text);
}
END_TEST

START_TEST(imported_globals_and_functions_in_initialisers)
{
    struct rig r;
    rig_init(&r);
    struct instance *a = rig_instance(&r,
                                      "(func (export \"f\") (result i32) (i32.const 77))"
                                      "(global (export \"g\") i32 (i32.const 2))",
                                      NULL);
    struct rt_extern imports[2] = {rig_export(a, "f"), rig_export(a, "g")};
    struct instance *in =
        rig_instance(&r,
                     "(import \"a\" \"f\" (func $f (result i32))) (import \"a\" \"g\" (global $g i32))"
                     "(table 8 funcref) (elem (global.get $g) func $f $own) (elem declare func $f)"
                     "(func $own (result i32) (i32.const 78)) (global $r (export \"r\") funcref (ref.func $f))"
                     "(func (export \"at\") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))",
                     imports);
    ck_assert_uint_eq(rig_ok(&r, in, "at", 2), 77);
    ck_assert_uint_eq(rig_ok(&r, in, "at", 3), 78);
    rig_trap(&r, in, UNINITIALIZED, "at", 4);
    rig_trap(&r, in, UNDEFINED_ELEMENT, "at", 8);
    ck_assert_uint_eq(global_get(rig_export(in, "r").global).func, imports[0].func);
    rig_deinit(&r);
}
END_TEST

/* ---- Failures half way */
START_TEST(a_segment_out_of_bounds_leaves_what_was_written)
{
    struct rig r;
    rig_init(&r);
    struct instance *a = rig_instance(&r, "(memory (export \"m\") 1) (table (export \"t\") 4 funcref)", NULL), *in;
    struct rt_extern imports[2] = {rig_export(a, "m"), rig_export(a, "t")};
    static const char head[] = "(import \"a\" \"m\" (memory 1)) (import \"a\" \"t\" (table 4 funcref))"
                               "(func $f (result i32) (i32.const 5))";
    char text[600];
    sprintf(text, "%s (elem (i32.const 1) func $f) (data (i32.const 3) \"abc\") (data (i32.const 65534) \"xyz\")",
            head);
    ck_assert_int_eq(rig_try(&r, text, imports, &in), HEMI_TRAP);
    ck_assert_int_eq(r.err.trap, TRAP_MEMORY_BOUNDS);
    ck_assert_str_eq(r.err.message, "out of bounds memory access in data segment 1");
    ck_assert(r.err.has_offset);
    char bytes[4] = {0};
    ck_assert_int_eq(memory_read(imports[0].memory, 3, bytes, 3), HEMI_OK);
    ck_assert_str_eq(bytes, "abc");
    ck_assert_int_eq(memory_read(imports[0].memory, 65534, bytes, 2), HEMI_OK);
    ck_assert_int_eq(bytes[0], 0);
    /* The function of the failed instance lives on in the table. */
    union val v, result;
    ck_assert_int_eq(table_get(imports[1].table, 1, &v), HEMI_OK);
    ck_assert_int_eq(rt_call(r.store, v.func, NULL, &result, r.stack, &r.err), HEMI_OK);
    ck_assert_uint_eq(result.i32, 5);
    sprintf(text, "%s (elem (i32.const 2) func $f) (elem (i32.const 4) func $f) (data (i32.const 3) \"no\")", head);
    ck_assert_int_eq(rig_try(&r, text, imports, &in), HEMI_TRAP);
    ck_assert_int_eq(r.err.trap, TRAP_TABLE_BOUNDS);
    ck_assert_int_eq(table_get(imports[1].table, 2, &v), HEMI_OK);
    ck_assert_uint_ne(v.func, 0);
    ck_assert_int_eq(memory_read(imports[0].memory, 3, bytes, 1), HEMI_OK);
    ck_assert_int_eq(bytes[0], 'a');
    rig_deinit(&r);
}
END_TEST

START_TEST(the_start_function_runs_and_may_trap)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r,
                                       "(global $g (mut i32) (i32.const 1)) (func $s (global.set $g (i32.const 2)))"
                                       "(start $s) (func (export \"g\") (result i32) (global.get $g))",
                                       NULL);
    ck_assert_uint_eq(rig_ok(&r, in, "g", 0), 2);
    ck_assert_int_eq(rig_try(&r, "(func $s (export \"s\") unreachable) (start $s)", NULL, &in), HEMI_TRAP);
    ck_assert_int_eq(r.err.trap, TRAP_UNREACHABLE);
    ck_assert_str_eq(r.err.message, "unreachable in \"s\" (function 0)");
    rig_deinit(&r);
}
END_TEST

START_TEST(an_initialiser_that_exhausts_the_heap_traps)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.heap_limit = 1 << 20});
    struct instance *in;
    static const char *const texts[] = {
        "(type $a (array i32)) (global (ref $a) (array.new_default $a (i32.const 10000000)))",
        "(type $a (array i32)) (elem (ref $a) (item (array.new_default $a (i32.const 10000000))))",
        "(type $a (array i32)) (table 1 (ref $a) (array.new $a (i32.const 1) (i32.const 10000000)))",
    };
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(rig_try(&r, texts[i], NULL, &in), HEMI_TRAP);
        ck_assert(r.err.trap == TRAP_HEAP_EXHAUSTED || r.err.trap == TRAP_ALLOCATION);
        ck_assert_ptr_nonnull(strstr(r.err.message, "in a constant expression"));
    }
    rig_deinit(&r);
}
END_TEST

START_TEST(limits_refuse_instances)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.instance_limit = 2, .memory_limit = 65536, .table_limit = 8});
    struct instance *in;
    ck_assert_int_eq(rig_try(&r, "(memory 2)", NULL, &in), HEMI_LIMIT);
    ck_assert_int_eq(rig_try(&r, "(table 9 funcref)", NULL, &in), HEMI_LIMIT);
    ck_assert_int_eq(rig_try(&r, "(table 8 funcref) (memory 1)", NULL, &in), HEMI_LIMIT);
    ck_assert_ptr_nonnull(strstr(r.err.message, "instances: 3 asked for, at most 2"));
    rig_deinit(&r);
}
END_TEST

START_TEST(instantiation_is_cancelled_at_a_poll)
{
    struct rig r;
    rig_init(&r);
    char *text = malloc(100 + 65 * 1024), *at = text;
    at += sprintf(at, "(memory 1) (table 5000 funcref) (func $f) (elem (i32.const 0) func");
    for (int i = 0; i < 5000; i++) at += sprintf(at, " $f");
    sprintf(at, ")");
    struct module *m = rig_module(&r, text);
    struct instance *in;
    r.yields = 0;
    r.yield_at = 2;
    r.yield_after = HEMI_CANCELLED;
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in, &r.err), HEMI_CANCELLED);
    r.yield_at = 0;
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in, &r.err), HEMI_OK);
    module_unref(m);
    free(text);
    rig_deinit(&r);
}
END_TEST

/* A million globals, or segments of one element, were 30 ms and more without a poll. */
START_TEST(many_small_things_are_made_with_polls)
{
    static const char *const rows[] = {"(global i32 (i32.const 7))", "(elem (i32.const 0) func 0)",
                                       "(elem (ref null func) (item (ref.null func)))", "(data (i32.const 0) \"x\")"};
    enum { MANY = 9000 };
    struct rig r;
    rig_init(&r);
    char *text = malloc(100 + strlen(rows[_i]) * MANY + MANY), *at = text;
    at += sprintf(at, "(memory 1) (table 5 funcref) (func)");
    for (int i = 0; i < MANY; i++) at += sprintf(at, "%s", rows[_i]);
    struct module *m = rig_module(&r, text);
    struct instance *in;
    r.yields = 0;
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in, &r.err), HEMI_OK);
    ck_assert_uint_ge(r.yields, MANY / 1024);
    module_unref(m);
    free(text);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("instance");
    TCase *c = tcase_create("instance");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, imports_are_matched_by_kind_and_type);
    tcase_add_test(c, a_grown_memory_is_imported_at_its_size);
    tcase_add_test(c, exports_are_found_and_listed);
    tcase_add_test(c, constant_expressions_allocate_and_survive_collections);
    tcase_add_test(c, a_segment_is_evaluated_once);
    tcase_add_test(c, an_active_segment_is_dropped);
    tcase_add_test(c, plain_constants_are_no_code);
    tcase_add_test(c, a_long_segment_is_reachable_while_it_is_filled);
    tcase_add_test(c, imported_globals_and_functions_in_initialisers);
    tcase_add_test(c, a_segment_out_of_bounds_leaves_what_was_written);
    tcase_add_test(c, the_start_function_runs_and_may_trap);
    tcase_add_test(c, an_initialiser_that_exhausts_the_heap_traps);
    tcase_add_test(c, limits_refuse_instances);
    tcase_add_test(c, instantiation_is_cancelled_at_a_poll);
    tcase_add_loop_test(c, many_small_things_are_made_with_polls, 0, 4);
    suite_add_tcase(s, c);
    return run_suite(s);
}
