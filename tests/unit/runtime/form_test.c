/* tests/unit/runtime/form_test.c -- form.c reads a module that was refused once more, for its form alone. What it finds
 * malformed must be what decoding finds malformed: of each mutation of a module that has something of everything, once
 * behind types that are valid, and once behind one that is not, so that nobody but form.c sees the rest. */
#include "client/wat/wat.h"
#include "runtime/runtime.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct engine *e;
static struct rt_error err;

static void setup(void)
{
    struct engine_options opt = {0};
    ck_assert_int_eq(engine_new(&opt, &e), HEMI_OK);
}
static void teardown(void) { engine_free(e); }

/* A struct may extend $s, and not $f, a function. */
#define TYPES(super)                                                                                                   \
    "(module $m (type $f (func))\n"                                                                                    \
    "(rec (type $a (array (mut i8))) (type $s (sub (struct (field i16) (field (mut (ref null $a)))))))\n"              \
    "(type $first (sub " super " (struct (field i16) (field (mut (ref null $a))))))\n"                                 \
    "(rec (type $z (sub final $s (struct (field i16) (field (mut (ref null $a))) (field i8)))) (type (array i16)))\n"  \
    "(type $r (func (param i32) (result i32 (ref null $f)))) (type (sub (func (param (ref $a)))))\n"                   \
    "(type $fs (array (mut funcref))) (type $d (struct (field i64) (field v128)))\n"
/* All kinds of sections, segments and immediates. */
#define REST                                                                                                           \
    "(import \"m\" \"f\" (func $im (type $f))) (import \"m\" \"t\" (table 1 2 funcref))\n"                             \
    "(import \"m\" \"m\" (memory 1)) (import \"m\" \"g\" (global $ig (mut (ref null $s))))\n"                          \
    "(import \"m\" \"e\" (tag $ie (param i32)))\n"                                                                     \
    "(table $t 3 (ref null func)) (table $u 3 (ref $f) (ref.func $im)) (table $w i64 1 externref)\n"                   \
    "(memory $n 1 2) (memory $l i64 1) (memory 0) (memory $k 1) (tag $x (param i32)) (global $g i32 (i32.const 1))\n"  \
    "(global $h (mut f64) (f64.const 2)) (global (ref null extern) (ref.null extern))\n"                               \
    "(export \"f\" (func $im)) (export \"t\" (table $t)) (export \"m\" (memory $n)) (export \"g\" (global $g))\n"      \
    "(export \"x\" (tag $x)) (start $im)\n"                                                                            \
    "(elem $p func $im $im) (elem (table 0) (i32.const 0) func $im) (elem (table $t) (i32.const 0) func $im)\n"        \
    "(elem declare func $im) (elem (table 0) (i32.const 0) funcref (ref.func $im) (item ref.null func))\n"             \
    "(elem $q (ref null func) (ref.func $im)) (elem (table $u) (i32.const 0) (ref $f) (ref.func $im))\n"               \
    "(elem declare funcref (ref.func $im))\n"                                                                          \
    "(data $i \"abc\") (data (i32.const 1) \"d\") (data (memory $k) (i32.const 1) \"\")\n"                             \
    "(func (param i32 anyref) (result i32) (local i64 f32) (local (ref null $s))\n"                                    \
    "  (drop (block $c (result anyref) (br_on_cast $c anyref (ref $s) (local.get 1))))\n"                              \
    "  (drop (block $c (result anyref) (br_on_cast_fail $c anyref (ref null $s) (local.get 1))))\n"                    \
    "  (block $ok (block $all (block $one (result i32)\n"                                                              \
    "    (try_table (catch $x $one) (catch_all $all) (call $im) (br $ok)) (unreachable)) (drop)))\n"                   \
    "  (block $two (result i32 exnref) (try_table (catch_ref $x $two) (throw $x (i32.const 1)))\n"                     \
    "    (unreachable)) (throw_ref))\n"                                                                                \
    "(func (param i32) (loop (block $o (loop $i (br_if $o (i32.const 1)) (br_table $o $i $o (local.get 0))))))\n"      \
    "(func (if (i32.const 1) (then (nop)) (else (nop))) (if (i32.const 1) (then (block (nop))))\n"                     \
    "  (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3))))\n"                                      \
    "(func (param i32) (result i32 (ref null $f))\n"                                                                   \
    "  (local.get 0) (block (type $r) (param i32) (result i32 (ref null $f)) (ref.null $f)))\n"                        \
    "(func (call_indirect $t (type $f) (i32.const 0)) (call_ref $f (ref.func $im)) (return_call $im))\n"               \
    "(func (param i32) (i32.store8 $n offset=5 (local.get 0) (i32.load8_u $l align=1 (i64.const 3)))\n"                \
    "  (v128.store8_lane $n offset=1 3 (local.get 0) (v128.const i32x4 1 2 3 4))\n"                                    \
    "  (drop (i8x16.extract_lane_u 15 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n"                          \
    "    (v128.const i32x4 1 2 3 4) (v128.load (local.get 0)))))\n"                                                    \
    "  (drop (f32.add (f32.const 1) (f32.const 2))) (drop (i64.add (i64.const -5) (i64.const 6)))\n"                   \
    "  (memory.copy $n $l (i32.const 0) (i64.const 0) (i32.const 0)) (memory.fill $n (i32.const 0) (i32.const 0)\n"    \
    "  (i32.const 0)) (memory.init $n $i (i32.const 0) (i32.const 0) (i32.const 0)) (data.drop $i)\n"                  \
    "  (drop (memory.grow $n (i32.const 0))) (table.copy $t 0 (i32.const 0) (i32.const 0) (i32.const 0))\n"            \
    "  (table.init $t $p (i32.const 0) (i32.const 0) (i32.const 0)) (elem.drop $p)\n"                                  \
    "  (table.set $t (i32.const 0) (table.get $u (i32.const 0))) (drop (table.size $w)))\n"                            \
    "(func (local (ref null $s) (ref null $a)) (local.set 0 (struct.new $s (i32.const 1) (local.get 1)))\n"            \
    "  (drop (struct.get_u $s 0 (local.get 0))) (drop (array.new_fixed $a 2 (i32.const 1) (i32.const 2)))\n"           \
    "  (drop (array.new_data $a $i (i32.const 0) (i32.const 1)))\n"                                                    \
    "  (drop (array.new_elem $fs $q (i32.const 0) (i32.const 1)))\n"                                                   \
    "  (array.init_data $a $i (local.get 1) (i32.const 0) (i32.const 0) (i32.const 0))\n"                              \
    "  (array.copy $a $a (local.get 1) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 0))\n"                     \
    "  (drop (ref.test (ref null $s) (local.get 0))) (drop (ref.cast (ref struct) (local.get 0)))\n"                   \
    "  (global.set $h (f64.const 3)) (global.set $ig (local.get 0)) (drop (ref.is_null (ref.null any)))))"

struct bytes {
    uint8_t *at;
    size_t n;
};

static struct bytes assemble(const char *text)
{
    struct bytes b;
    struct wat_error wrong;
    int status = wat_assemble(text, strlen(text), NULL, &b.at, &b.n, &wrong);
    ck_assert_msg(status == HEMI_OK, "%u:%u: %s", wrong.line, wrong.column, wrong.message);
    return b;
}

static enum hemi_status decode(const uint8_t *at, size_t n)
{
    struct module *m;
    enum hemi_status status = module_new(e, at, n, &m, &err);
    module_unref(m);
    return status;
}

/* The same bytes but one, in the types. What is beyond a limit may be either. */
static void compare(const struct bytes *valid, const struct bytes *invalid, size_t n, size_t at)
{
    enum hemi_status status = decode(valid->at, n);
    bool malformed = status == HEMI_INVALID_MODULE && err.malformed;
    char message[sizeof err.message];
    if (status == HEMI_LIMIT) return;
    snprintf(message, sizeof message, "%s", status == HEMI_OK ? "is valid" : err.message);
    ck_assert_int_eq(decode(invalid->at, n), HEMI_INVALID_MODULE);
    ck_assert_msg(err.malformed == malformed, "byte %zu is %#x: %s, and for its form alone %s", at, valid->at[at],
                  message, err.message);
}

START_TEST(what_decoding_calls_malformed_is_malformed_by_its_form_and_nothing_else)
{
    struct bytes valid = assemble(TYPES("$s") REST), invalid = assemble(TYPES("$f") REST);
    size_t differs = 0;
    ck_assert_uint_eq(valid.n, invalid.n);
    while (valid.at[differs] == invalid.at[differs]) differs++;
    ck_assert_mem_eq(valid.at + differs + 1, invalid.at + differs + 1, valid.n - differs - 1);
    ck_assert_msg(decode(valid.at, valid.n) == HEMI_OK, "%s", err.message);
    compare(&valid, &invalid, valid.n, 0);
    for (size_t at = differs + 1; at < valid.n; at++) {
        uint8_t was = valid.at[at];
        compare(&valid, &invalid, at, at);
        for (unsigned i = 0; i < 24; i++) {
            unsigned value = i < 8 ? was ^ 1u << i : i < 10 ? was + 2 * i - 17 : i - 10;
            valid.at[at] = invalid.at[at] = (uint8_t)value;
            compare(&valid, &invalid, valid.n, at);
        }
        valid.at[at] = invalid.at[at] = was;
    }
    free(valid.at);
    free(invalid.at);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("form");
    TCase *c = tcase_create("form");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, what_decoding_calls_malformed_is_malformed_by_its_form_and_nothing_else);
    suite_add_tcase(s, c);
    return run_suite(s);
}
