/* tests/unit/runtime/interp_test.c -- what running code does beyond numbers: exceptions, tail calls, the stack's end,
 * polls, traps, casts, references over collections. */
#include "runtime/code/bodies.h"
#include "tests/unit/rig.h"

/* ---- Rounding and minima, against the C library */
#include <math.h>

static bool same32(float a, float b) { return (a != a && b != b) || f32_bits(a) == f32_bits(b); }
static bool same64(double a, double b) { return (a != a && b != b) || f64_bits(a) == f64_bits(b); }

START_TEST(rounding_is_exact)
{
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 2000000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        float f = f32_of((uint32_t)x);
        /* exponents near the interesting ones half of the time */
        double d = f64_of(i & 1 ? x : (x & 0x800FFFFFFFFFFFFFu) | (uint64_t)(1020 + x % 60) << 52);
        ck_assert(same32(floor_f32(f), floorf(f)) && same32(ceil_f32(f), ceilf(f)));
        ck_assert(same32(trunc_f32(f), truncf(f)) && same32(nearest_f32(f), rintf(f)));
        ck_assert(same64(floor_f64(d), floor(d)) && same64(ceil_f64(d), ceil(d)));
        ck_assert(same64(trunc_f64(d), trunc(d)) && same64(nearest_f64(d), rint(d)));
    }
    ck_assert_uint_eq(f64_bits(min_f64(0.0, -0.0)), f64_bits(-0.0));
    ck_assert_uint_eq(f64_bits(max_f64(-0.0, 0.0)), f64_bits(0.0));
    ck_assert(isnan(min_f32(NAN, -INFINITY)) && isnan(max_f32(1, NAN)));
    ck_assert_uint_eq(f32_bits(nearest_f32(-0.5f)), 0x80000000u);
    ck_assert_uint_eq(f64_bits(ceil_f64(-0.7)), 0x8000000000000000u);
}
END_TEST

/* ---- Exceptions */
static const char thrower[] = "(module (tag $a (export \"a\") (param i32 i64)) (tag $b (export \"b\"))"
                              " (func (export \"throw\") (param i32) (if (local.get 0) (then (throw $a (local.get 0) "
                              "(i64.const 8)))) (throw $b)))";

/* The store kept the last exception that nothing caught as a root, and with it whatever it carried. */
START_TEST(an_uncaught_exception_is_no_root)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(
        &r, "(module (tag $e (param externref)) (func (export \"fail\") (param externref) (throw $e (local.get 0))))",
        NULL);
    struct root root;
    union val out;
    ck_assert_int_eq(store_extern(r.store, 42, &root), HEMI_OK);
    ck_assert_int_eq(rig_call(&r, in, "fail", RIG_ARGS(root.bits), &out), HEMI_EXCEPTION);
    root_deinit(&root);
    ck_assert_uint_ne(store_thrown(r.store), 0);
    store_collect(r.store);
    ck_assert_uint_eq(r.ndead, 1);
    ck_assert_uint_eq(store_thrown(r.store), 0);
    rig_deinit(&r);
}
END_TEST

START_TEST(exceptions_are_caught_by_identity_innermost_first)
{
    struct rig r;
    rig_init(&r);
    struct instance *t = rig_instance(&r, thrower, NULL), *other = rig_instance(&r, thrower, NULL);
    struct rt_extern imports[] = {rig_export(t, "throw"), rig_export(t, "a"), rig_export(other, "a"),
                                  rig_export(t, "b")};
    struct instance *in = rig_instance(
        &r,
        "(module (import \"\" \"\" (func $throw (param i32))) (import \"\" \"\" (tag $a (param i32 i64)))"
        " (import \"\" \"\" (tag $wrong (param i32 i64))) (import \"\" \"\" (tag $b))"
        " (func (export \"payload\") (param i32) (result i32) (local $keep i32) (local.set $keep (i32.const 100))"
        "  (i32.add (local.get $keep) (block $h (result i32 i64)"
        "   (block $w (result i32 i64) (try_table (catch $wrong $w) (catch $a $h) (call $throw (local.get 0))) "
        "unreachable)"
        "   (return (i32.add (i32.wrap_i64) (i32.const -1000))))"
        "   (drop)))"
        " (func (export \"nested\") (param i32) (result i32)"
        "  (block $outer (try_table (catch_all $outer)"
        "   (block $inner (try_table (catch $b $inner) (call $throw (local.get 0))) (return (i32.const 1)))"
        "   (return (i32.const 2)))) (i32.const 3))"
        " (func (export \"again\") (param i32) (result i32) (local $e exnref)"
        "  (block $h (result exnref) (try_table (catch_all_ref $h) (call $throw (local.get 0))) unreachable)"
        "  (local.set $e)"
        "  (block $g (result i32 i64 exnref) (try_table (catch_ref $a $g) (throw_ref (local.get $e))) unreachable)"
        "  (drop) (drop))"
        " (func (export \"loop\") (param $n i32) (result i32)"
        "  (loop $l (if (i32.eqz (local.get $n)) (then (return (i32.const 77))))"
        "   (local.set $n (i32.sub (local.get $n) (i32.const 1)))"
        "   (try_table (catch $b $l) (call $throw (i32.const 0)))) (i32.const 0))"
        " (func (export \"null\") (throw_ref (ref.null exn))))",
        imports);
    ck_assert_uint_eq(rig_ok(&r, in, "payload", 7), 107);
    union val out;
    ck_assert_int_eq(rig_call(&r, in, "payload", RIG_ARGS(0), &out), HEMI_EXCEPTION);
    ck_assert_uint_eq(rig_ok(&r, in, "nested", 0), 2);
    ck_assert_uint_eq(rig_ok(&r, in, "nested", 5), 3);
    ck_assert_uint_eq(rig_ok(&r, in, "again", 41), 41);
    ck_assert_int_eq(rig_call(&r, in, "again", RIG_ARGS(0), &out), HEMI_EXCEPTION);
    ck_assert_uint_eq(rig_ok(&r, in, "loop", 1000), 77);
    rig_trap(&r, in, NULL_EXCEPTION, "null", 0);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_trap_is_not_caught)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r,
                                       "(module (func $t (unreachable)) (func (export \"f\") (result i32)"
                                       " (block $h (try_table (catch_all $h) (call $t))) (i32.const 1)))",
                                       NULL);
    rig_trap(&r, in, UNREACHABLE, "f", 0);
    rig_deinit(&r);
}
END_TEST

/* ---- Tail calls and the stack's end */
START_TEST(tail_calls_run_for_ever_also_between_instances)
{
    struct rig r;
    rig_init(&r);
    struct instance *a =
        rig_instance(&r,
                     "(module (type $t (func (param i32 funcref i32) (result i32))) (table (export \"t\") 2 funcref)"
                     " (func $down (export \"down\") (param $n i32) (param $a i64) (param $b i64) (result i32)"
                     "  (if (i32.eqz (local.get $n)) (then (return (i32.wrap_i64 (local.get $a)))))"
                     "  (return_call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $b) (i64.add (local.get "
                     "$a) (i64.const 1))))"
                     " (func (export \"self\") (param i32) (result i32)"
                     "  (return_call $down (local.get 0) (i64.const 0) (i64.const 0)))"
                     " (func (export \"ping\") (type $t)"
                     "  (if (i32.eqz (local.get 0)) (then (return (local.get 2))))"
                     "  (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (local.get 1)"
                     "   (i32.add (local.get 2) (i32.const 1)) (i32.const 1))))",
                     NULL);
    struct rt_extern imports[] = {rig_export(a, "t"), rig_export(a, "ping")};
    struct instance *b =
        rig_instance(&r,
                     "(module (type $t (func (param i32 funcref i32) (result i32)))"
                     " (import \"\" \"\" (table 2 funcref)) (import \"\" \"\" (func $ping (type $t)))"
                     " (elem (i32.const 1) $pong)"
                     " (func $pong (export \"pong\") (type $t) (local i64 i64 i64)"
                     "  (if (i32.eqz (local.get 0)) (then (return (local.get 2))))"
                     "  (return_call $ping (i32.sub (local.get 0) (i32.const 1)) (ref.func $pong) (i32.add (local.get "
                     "2) (i32.const 3))))"
                     " (func (export \"run\") (param i32) (result i32)"
                     "  (i32.add (i32.const 1) (call $ping (local.get 0) (ref.null func) (i32.const 0)))))",
                     imports);
    ck_assert_uint_eq(rig_ok(&r, a, "self", 1000000), 500000);
    ck_assert_uint_eq(rig_ok(&r, b, "run", 1000000), 2000001);
    rig_deinit(&r);
}
END_TEST

START_TEST(recursion_ends_in_a_trap_and_the_store_goes_on)
{
    struct rig r;
    rig_init(&r);
    struct instance *in =
        rig_instance(&r,
                     "(module (type $t (func)) (table funcref (elem $i)) (func $f (export \"f\") (call $f))"
                     " (func $i (export \"i\") (call_indirect (type $t) (i32.const 0)))"
                     " (func $wide (export \"wide\") (param i32) (result i32) (local i64 i64 i64 i64 i64 i64 i64 i64)"
                     "  (i32.add (call $wide (local.get 0)) (call $wide (local.get 0))))"
                     " (func (export \"ok\") (result i32) (i32.const 5)))",
                     NULL);
    for (int i = 0; i < 3; i++) {
        rig_trap(&r, in, STACK_OVERFLOW, "f", 0);
        rig_trap(&r, in, STACK_OVERFLOW, "i", 0);
        rig_trap(&r, in, STACK_OVERFLOW, "wide", 0);
        ck_assert_uint_eq(rig_ok(&r, in, "ok", 0), 5);
    }
    rig_deinit(&r);
}
END_TEST

/* ---- Polls: with the flag set, every loop head and entry asks. */
struct polled {
    uint32_t flag, asked;
};
static enum hemi_status stop_at_1000(void *ctx)
{
    struct polled *p = ctx;
    return ++p->asked >= 1000 ? HEMI_CANCELLED : HEMI_OK;
}

START_TEST(every_endless_program_can_be_stopped)
{
    static const char *const bodies[] = {
        "(loop $l (br $l))",
        "(loop $l (br_if $l (i32.const 1)))",
        "(loop $l (br_if $l (i32.eqz (local.get 0))))",
        "(loop $l (br_if $l (f64.lt (f64.const 0) (f64.convert_i32_s (i32.const 1)))))",
        "(loop $l (br_table $l $l (i32.const 0)))",
        "(i32.const 4) (loop $l (param i32) (drop) (br $l (i32.const 1)))",
        "(loop $l (block (br_on_null $l (ref.null any)) (drop)))",
        "(loop $l (try_table (catch_all $l) (throw $e)))",
        "(return_call $f)",
        "(loop $l (call $g) (br $l))",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct polled p = {.flag = 1};
        struct rig r;
        rig_init(&r);
        struct engine_options opt = {.yield = stop_at_1000, .ctx = &p, .poll = &p.flag};
        struct engine *own;
        struct store *s;
        ck_assert_int_eq(engine_new(&opt, &own), HEMI_OK);
        ck_assert_int_eq(store_new(own, &(struct store_options){0}, &s), HEMI_OK);
        char text[400];
        snprintf(text, sizeof text, "(module (tag $e) (func $g) (func $f (export \"f\") (local i32) %s))", bodies[i]);
        uint8_t *bytes;
        size_t size;
        struct wat_error we;
        ck_assert_int_eq(wat_assemble(text, strlen(text), "test", &bytes, &size, &we), 0);
        struct module *m;
        struct instance *in;
        uint32_t flag = p.flag;
        p.flag = 0;
        ck_assert_msg(module_new(own, bytes, size, &m, &r.err) == HEMI_OK, "%s: %s", text, r.err.message);
        ck_assert_int_eq(instance_new(s, m, NULL, r.stack, &in, &r.err), HEMI_OK);
        p.flag = flag;
        p.asked = 0;
        ck_assert_msg(rt_call(s, rig_export(in, "f").func, NULL, NULL, r.stack, &r.err) == HEMI_CANCELLED, "%s", text);
        ck_assert_uint_eq(p.asked, 1000);
        module_unref(m);
        store_free(s);
        engine_free(own);
        free(bytes);
        rig_deinit(&r);
    }
}
END_TEST

/* ---- References live in temporaries over collections at every kind of safepoint. */
START_TEST(operands_survive_collections)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(
        &r,
        "(module (type $p (struct (field (mut i32)) (field (ref null $p)))) (type $a (array (mut (ref null $p))))"
        " (type $b (array (mut i8))) (type $f (func (param (ref $p)) (result i32))) (table 1 (ref null $p))"
        " (func $new (param i32) (result (ref $p)) (struct.new $p (local.get 0) (ref.null $p)))"
        " (func $get (type $f) (drop (call $new (i32.const 0))) (struct.get $p 0 (local.get 0)))"
        " (elem declare func $get)"
        " (func (export \"f\") (param i32) (result i32) (local $x (ref null $p)) (local $v (ref null $a))"
        "  (local.set $x (call $new (i32.const 1)))"
        "  (i32.add (struct.get $p 0 (call $new (i32.const 20)))" /* allocations on both sides */
        "   (i32.add (struct.get $p 0 (struct.new $p (i32.const 300) (call $new (i32.const 9))))"
        "    (i32.add (struct.get $p 0 (struct.get $p 1 (struct.new $p (i32.const 7) (local.get $x))))"
        "     (i32.add (call_ref $f (call $new (i32.const 4000)) (ref.func $get))"
        "      (block (result i32)"
        "       (local.set $v (array.new_fixed $a 3 (call $new (i32.const 5)) (local.get $x) (call $new (i32.const "
        "6))))"
        "       (array.set $a (local.get $v) (i32.const 1) (call $new (i32.const 50000)))"
        "       (drop (array.new $a (array.get $a (local.get $v) (i32.const 0)) (i32.const 300)))"
        "       (drop (table.grow (call $new (i32.const 2)) (i32.const 3)))"
        "       (drop (array.new_default $b (local.get 0)))"
        "       (struct.get $p 0 (array.get $a (local.get $v) (i32.const 1)))))))))"
        " (func (export \"t\") (result i32) (struct.get $p 0 (table.get (i32.const 3)))))",
        NULL);
    for (uint32_t n = 1; n < 3000; n += 700) ck_assert_uint_eq(rig_ok(&r, in, "f", n), 54321);
    ck_assert_uint_eq(rig_ok(&r, in, "t", 0), 2);
    rig_deinit(&r);
}
END_TEST

/* ---- Casts: final and open types, abstract ones, i31, functions; as values, traps and branches. */
START_TEST(casts_follow_the_hierarchy)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(
        &r,
        "(module (rec (type $a (sub (struct))) (type $b (sub $a (struct (field i32)))) (type $c (sub final $b (struct "
        "(field i32) (field i64)))))"
        " (type $v (array i8)) (type $f (func)) (func $fn (type $f)) (elem declare func $fn)"
        " (func $make (param i32) (result anyref)"
        "  (block (block (block (block (block (block (br_table 0 1 2 3 4 5 (local.get 0)))"
        "   (return (ref.null none))) (return (struct.new $a))) (return (struct.new $b (i32.const 1))))"
        "   (return (struct.new $c (i32.const 1) (i64.const 2)))) (return (array.new_default $v (i32.const 3))))"
        "  (ref.i31 (i32.const -7)))"
        " (func (export \"test\") (param i32) (result i32) (local $r anyref) (local $m i32)"
        "  (local.set $r (call $make (local.get 0)))"
        "  (local.set $m (i32.or (ref.test (ref $a) (local.get $r)) (i32.shl (ref.test (ref null $b) (local.get $r)) "
        "(i32.const 1))))"
        "  (local.set $m (i32.or (local.get $m) (i32.shl (ref.test (ref $c) (local.get $r)) (i32.const 2))))"
        "  (local.set $m (i32.or (local.get $m) (i32.shl (ref.test (ref eq) (local.get $r)) (i32.const 3))))"
        "  (local.set $m (i32.or (local.get $m) (i32.shl (ref.test structref (local.get $r)) (i32.const 4))))"
        "  (local.set $m (i32.or (local.get $m) (i32.shl (ref.test (ref array) (local.get $r)) (i32.const 5))))"
        "  (local.set $m (i32.or (local.get $m) (i32.shl (ref.test (ref i31) (local.get $r)) (i32.const 6))))"
        "  (if (ref.test (ref null none) (local.get $r)) (then (local.set $m (i32.or (local.get $m) (i32.const 128)))))"
        "  (if (i32.eqz (ref.test (ref any) (local.get $r))) (then (local.set $m (i32.or (local.get $m) (i32.const "
        "256)))))"
        "  (block $is (result (ref $b)) (drop (br_on_cast $is anyref (ref $b) (local.get $r))) (return (local.get $m)))"
        "  (drop) (i32.or (local.get $m) (i32.const 512)))"
        " (func (export \"cast\") (param i32) (result i32)"
        "  (struct.get $b 0 (ref.cast (ref $b) (call $make (local.get 0)))))"
        " (func (export \"func\") (result i32) (i32.add (ref.test (ref $f) (ref.func $fn)) (ref.test (ref null $f) "
        "(ref.null func)))))",
        NULL);
    static const uint32_t expected[] = {2 + 16 + 128 + 256,       1 + 8 + 16, 1 + 2 + 8 + 16 + 512,
                                        1 + 2 + 4 + 8 + 16 + 512, 8 + 32,     8 + 64};
    for (uint32_t i = 0; i < 6; i++) ck_assert_uint_eq(rig_ok(&r, in, "test", i), expected[i]);
    for (uint32_t i = 0; i < 6; i++) {
        if (i == 2 || i == 3)
            ck_assert_uint_eq(rig_ok(&r, in, "cast", i), 1);
        else
            rig_trap(&r, in, CAST, "cast", i);
    }
    ck_assert_uint_eq(rig_ok(&r, in, "func", 0), 2);
    rig_deinit(&r);
}
END_TEST

/* ---- Addresses are added in 64 bits; every width is checked at its end. */
START_TEST(memory_is_checked_at_every_width)
{
    static const struct {
        const char *op;
        uint32_t width;
    } loads[] = {{"i32.load8_u", 1}, {"i32.load16_u", 2}, {"i32.load", 4}};
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < 3; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "(module (memory 1 1) (func (export \"at\") (param i32) (result i32) (%s (local.get 0)))"
                 " (func (export \"far\") (param i32) (result i32) (%s offset=0xffffffff (local.get 0))))",
                 loads[i].op, loads[i].op);
        struct instance *in = rig_instance(&r, text, NULL);
        ck_assert_uint_eq(rig_ok(&r, in, "at", 65536 - loads[i].width), 0);
        rig_trap(&r, in, MEMORY_BOUNDS, "at", 65537 - loads[i].width);
        rig_trap(&r, in, MEMORY_BOUNDS, "at", UINT32_MAX);
        rig_trap(&r, in, MEMORY_BOUNDS, "far", 1);
        rig_trap(&r, in, MEMORY_BOUNDS, "far", UINT32_MAX);
    }
    rig_deinit(&r);
}
END_TEST

/* Made where others have been: the bodies that allocate inline clear what the heap does not. */
START_TEST(default_fields_are_zero_where_objects_were)
{
    enum { MANY = 100000 };
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(
        &r,
        "(type $s (struct (field (mut i32)) (field (mut i64)) (field (mut i32))))"
        "(func (export \"fill\") (param i32) (result i32) (loop $more"
        "  (drop (struct.new $s (i32.const -1) (i64.const -1) (i32.const -1)))"
        "  (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 0))"
        "(func (export \"bits\") (param i32) (result i32) (local $x (ref null $s)) (local $bits i32) (loop $more"
        "  (local.set $x (struct.new_default $s))"
        "  (local.set $bits (i32.or (local.get $bits) (i32.or (struct.get $s 0 (local.get $x))"
        "    (i32.or (i32.wrap_i64 (struct.get $s 1 (local.get $x))) (struct.get $s 2 (local.get $x))))))"
        "  (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
        "  (local.get $bits))",
        NULL);
    rig_ok(&r, in, "fill", MANY);
    store_collect(r.store);
    ck_assert_uint_eq(rig_ok(&r, in, "bits", MANY), 0);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("interp");
    TCase *tc = tcase_create("interp");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, rounding_is_exact);
    tcase_add_test(tc, an_uncaught_exception_is_no_root);
    tcase_add_test(tc, exceptions_are_caught_by_identity_innermost_first);
    tcase_add_test(tc, a_trap_is_not_caught);
    tcase_add_test(tc, tail_calls_run_for_ever_also_between_instances);
    tcase_add_test(tc, recursion_ends_in_a_trap_and_the_store_goes_on);
    tcase_add_test(tc, every_endless_program_can_be_stopped);
    tcase_add_test(tc, operands_survive_collections);
    tcase_add_test(tc, default_fields_are_zero_where_objects_were);
    tcase_add_test(tc, casts_follow_the_hierarchy);
    tcase_add_test(tc, memory_is_checked_at_every_width);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
