/* Validation: one accepted and one refused use of each rule, the polymorphic stack, local initialisation, and 10,000
 * mutated modules. Modules are written as text and assembled. */
#include "client/wat/wat.h"
#include "runtime/engine/engine.h"
#include "runtime/validate/impl.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct engine *e;
static struct rt_error err;

static void setup(void) { ck_assert_int_eq(engine_new(NULL, &e), HEMI_OK); }
static void teardown(void) { engine_free(e); }

static void assemble(const char *text, uint8_t **bytes, size_t *n)
{
    struct wat_error we;
    int status = wat_assemble(text, strlen(text), "test", bytes, n, &we);
    ck_assert_msg(status == 0, "%s\n%u:%u: %s", text, we.line, we.column, we.message);
}

static enum hemi_status validate(const char *text)
{
    uint8_t *bytes;
    size_t n;
    struct module *m;
    assemble(text, &bytes, &n);
    enum hemi_status status = module_new(e, bytes, n, &m, &err);
    module_unref(m);
    free(bytes);
    return status;
}

/* What the bodies below may use. */
#define PRELUDE                                                                                                        \
    "(module"                                                                                                          \
    " (type $f (func (param i32) (result i32))) (type $v (func))"                                                      \
    " (type $s (sub (struct (field i32) (field (mut i64)) (field i8) (field (mut (ref null eq))))))"                   \
    " (type $s2 (sub $s (struct (field i32) (field (mut i64)) (field i8) (field (mut (ref null eq))) (field f32))))"   \
    " (type $a (array (mut i8))) (type $ai (array i64)) (type $ar (array (mut anyref))) (type $nd (struct (field "     \
    "(ref any))))"                                                                                                     \
    " (tag $e (param i32 f32)) (tag $none)"                                                                            \
    " (memory 1) (table $t 1 funcref) (table $x 1 externref) (table $i 1 anyref)"                                      \
    " (global $g (mut i32) (i32.const 0)) (global $c i64 (i64.const 0))"                                               \
    " (func $id (type $f) (local.get 0)) (func $nop) (func $hidden)"                                                   \
    " (data $d \"abc\") (elem $el funcref (ref.func $id)) (elem $ela anyref (ref.null any)) (elem declare func $nop)"

struct body {
    const char *text;  /* what comes after PRELUDE */
    const char *error; /* the start of its message; NULL: accepted */
};

static void check_bodies(const struct body *bodies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[4096];
        snprintf(text, sizeof text, PRELUDE " %s)", bodies[i].text);
        enum hemi_status status = validate(text);
        const char *want = bodies[i].error;
        if (!want)
            ck_assert_msg(status == HEMI_OK, "%s: %s", bodies[i].text, err.message);
        else
            ck_assert_msg(status == HEMI_INVALID_MODULE && strncmp(err.message, want, strlen(want)) == 0,
                          "%s: wanted %s, got %s", bodies[i].text, want, err.message);
    }
}
#define CHECK_BODIES(bodies) check_bodies(bodies, sizeof(bodies) / sizeof *(bodies))

START_TEST(numeric_rows)
{
    static const struct body bodies[] = {
        {"(func (result i32) i32.const 1 i32.const 2 i32.add)", NULL},
        {"(func (result i32) i32.const 1 i64.const 2 i32.add)", "type mismatch: expected i32, found i64 in i32.add"},
        {"(func (result i32) i32.const 1 i32.add)", "type mismatch: expected i32, found nothing in i32.add"},
        {"(func (result f64) i32.const 1)", "type mismatch: expected f64, found i32 in end"},
        {"(func v128.const i64x2 1 2 i32.const 1 i32x4.add drop)",
         "type mismatch: expected v128, found i32 in i32x4.add"},
        {"(func i32.const 1)", "type mismatch: values remaining"},
        {"(func (result i64) f32.const 1 i64.trunc_sat_f32_s)", NULL},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(unreachable_code_is_polymorphic)
{
    static const struct body bodies[] = {
        {"(func (result i32) unreachable)", NULL},
        {"(func (result i32) unreachable i32.add)", NULL},
        {"(func (result i32) unreachable f32.const 0 i32.add)", "type mismatch: expected i32, found f32"},
        {"(func (result i64) return i32.const 1)", "type mismatch"},
        {"(func (result i32) (block (result i32) (br 0 (i32.const 1)) drop select))", NULL},
        {"(func (drop (ref.as_non_null (unreachable))))", NULL},
        {"(func (result (ref $s)) unreachable ref.as_non_null)", NULL},
        {"(func unreachable (block (result i32) (i32.const 1)))", "type mismatch: values remaining"},
        {"(func (result anyref) unreachable any.convert_extern)", NULL},
        {"(func (result i32) unreachable br_on_null 0 drop)", NULL},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(blocks_and_branches)
{
    static const struct body bodies[] = {
        {"(func (result i32) (block (result i32) (br_if 0 (i32.const 1) (i32.const 2))))", NULL},
        {"(func (param i32) (loop (param i32) (br_if 0 (local.get 0)) drop) )", "type mismatch"},
        {"(func (param i32) local.get 0 (loop (param i32) drop (br 0 (i32.const 1))))", NULL},
        {"(func (br 1))", "unknown label 1 in br"},
        {"(func (if (i32.const 1) (then (nop)) (else (nop))))", NULL},
        {"(func (result i32) (if (result i32) (i32.const 1) (then (i32.const 1))))", "type mismatch"},
        {"(func (result i32) i32.const 7 (if (param i32) (result i32) (i32.const 1) (then)))", NULL},
        {"(func (result i32) (if (result i32) (i32.const 1) (then (i32.const 1)) (else (i64.const 1))))",
         "type mismatch"},
        {"(func (block (block (br_table 0 1 0 (i32.const 1)))))", NULL},
        {"(func (result i32) (block (result i32) (block (br_table 0 1 (i32.const 1))) (i32.const 1)))",
         "type mismatch"},
        {"(func (result i32) (block (result i64) (unreachable) (br_table 0 1)) drop (i32.const 1))", NULL},
        {"(func (result i32) (return (i32.const 1)))", NULL},
        {"(func (result i32) (return (f32.const 1)))", "type mismatch"},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(calls)
{
    static const struct body bodies[] = {
        {"(func (result i32) (call $id (i32.const 1)))", NULL},
        {"(func (result i32) (call $id (f32.const 1)))", "type mismatch"},
        {"(func (call 99))", "unknown function 99 in call"},
        {"(func (result i32) (call_indirect $t (type $f) (i32.const 1) (i32.const 0)))", NULL},
        {"(func (result i32) (call_indirect $x (type $f) (i32.const 1) (i32.const 0)))", "type mismatch"},
        {"(func (param (ref null $f)) (result i32) (call_ref $f (i32.const 1) (local.get 0)))", NULL},
        {"(func (param funcref) (result i32) (call_ref $f (i32.const 1) (local.get 0)))", "type mismatch"},
        {"(func (call_ref $s (unreachable)))", "unknown type 2"},
        {"(func (result i32) (return_call $id (i32.const 1)))", NULL},
        {"(func (result i64) (return_call $id (i32.const 1)))", "type mismatch"},
        {"(func (param (ref $f)) (result i32) (return_call_ref $f (i32.const 1) (local.get 0)))", NULL},
        {"(func (result i32) (return_call_indirect $t (type $f) (i32.const 1) (i32.const 1)))", NULL},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(locals_and_globals)
{
    static const struct body bodies[] = {
        {"(func (local i32) (local.set 0 (i32.const 1)))", NULL},
        {"(func (local i32) (local.set 1 (i32.const 1)))", "unknown local 1 in local.set"},
        {"(func (local i32) (drop (local.tee 0 (f32.const 1))))", "type mismatch"},
        {"(func (param (ref $s)) (drop (local.get 0)))", NULL},
        {"(func (local (ref $s)) (drop (local.get 0)))", "uninitialized local 0 in local.get"},
        {"(func (param (ref $s)) (local (ref $s)) (local.set 1 (local.get 0)) (drop (local.get 1)))", NULL},
        {"(func (param (ref $s)) (local (ref $s)) (block (local.set 1 (local.get 0)) (drop (local.get 1)))"
         " (drop (local.get 1)))",
         "uninitialized local 1"},
        {"(func (param (ref $s)) (local (ref $s)) (if (i32.const 1) (then (local.set 1 (local.get 0)))"
         " (else (drop (local.get 1)))))",
         "uninitialized local 1"},
        {"(func (global.set $g (i32.const 1)))", NULL},
        {"(func (global.set $c (i64.const 1)))", "immutable global 1 in global.set"},
        {"(func (drop (global.get 9)))", "unknown global 9"},
        {"(func (result i32) (select (i32.const 1) (i32.const 2) (i32.const 3)))", NULL},
        {"(func (param anyref) (drop (select (local.get 0) (local.get 0) (i32.const 3))))", "type mismatch"},
        {"(func (param anyref) (drop (select (result anyref) (local.get 0) (local.get 0) (i32.const 3))))", NULL},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(memories_and_tables)
{
    static const struct body bodies[] = {
        {"(func (result i64) (i64.load offset=4294967295 align=8 (i32.const 0)))", NULL},
        {"(func (i32.store8 (i32.const 0) (i32.const 0)) (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
         NULL},
        {"(func (drop (i32.load (f32.const 0))))", "type mismatch"},
        {"(func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)) (data.drop $d))", NULL},
        {"(func (data.drop 7))", "unknown data segment 7"},
        {"(func (memory.copy (i32.const 0) (i32.const 0) (i64.const 0)))", "type mismatch"},
        {"(func (drop (table.get $t (i32.const 0))) (table.set $x (i32.const 0) (ref.null extern)))", NULL},
        {"(func (table.set $x (i32.const 0) (ref.null func)))", "type mismatch"},
        {"(func (table.init $t $el (i32.const 0) (i32.const 0) (i32.const 0)) (elem.drop $el))", NULL},
        {"(func (table.init $x $el (i32.const 0) (i32.const 0) (i32.const 0)))", "type mismatch"},
        {"(func (table.copy $t $x (i32.const 0) (i32.const 0) (i32.const 0)))", "type mismatch"},
        {"(func (result i32) (table.grow $t (ref.null func) (i32.const 0)))", NULL},
        {"(func (table.fill $t (i32.const 0) (ref.null func) (table.size $t)))", NULL},
        {"(func (drop (table.get 9 (i32.const 0))))", "unknown table 9"},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(references)
{
    static const struct body bodies[] = {
        {"(func (result (ref $f)) (ref.func $id))", NULL},
        {"(func (drop (ref.func $nop)))", NULL},
        {"(func (drop (ref.func $hidden)))", "undeclared function reference 2"},
        {"(func (result i32) (ref.eq (ref.null none) (ref.i31 (i32.const 1))))", NULL},
        {"(func (param externref) (result i32) (ref.eq (local.get 0) (local.get 0)))", "type mismatch"},
        {"(func (param anyref) (result i32) (ref.test (ref $s) (local.get 0)))", NULL},
        {"(func (param funcref) (result i32) (ref.test (ref $s) (local.get 0)))", "type mismatch"},
        {"(func (param anyref) (result (ref $s)) (ref.cast (ref $s) (local.get 0)))", NULL},
        {"(func (param anyref) (result (ref $s)) (ref.cast (ref null $s) (local.get 0)))", "type mismatch"},
        {"(func (param (ref null $s)) (result (ref $s)) (block (br_on_null 0 (local.get 0)) return) unreachable)",
         NULL},
        {"(func (param anyref) (result (ref any)) (br_on_non_null 0 (local.get 0)) unreachable)", NULL},
        {"(func (param anyref) (br_on_non_null 0 (local.get 0)))", "type mismatch"},
        {"(func (param (ref null $s)) (result (ref $s2)) (br_on_cast 0 (ref null $s) (ref $s2) (local.get 0)) "
         "unreachable)",
         NULL},
        {"(func (param (ref null $s)) (result (ref $s2)) (br_on_cast_fail 0 (ref null $s) (ref $s2) (local.get 0)))",
         "type mismatch"},
        {"(func (param anyref) (result anyref) (br_on_cast_fail 0 anyref (ref $s) (local.get 0)))", NULL},
        {"(func (param (ref $s)) (drop (br_on_cast 0 (ref $s) (ref any) (local.get 0))))", "type mismatch"},
        {"(func (param anyref) (result i32) (i31.get_s (local.get 0)))", "type mismatch"},
        {"(func (param (ref extern)) (result (ref any)) (any.convert_extern (local.get 0)))", NULL},
        {"(func (param externref) (result (ref any)) (any.convert_extern (local.get 0)))", "type mismatch"},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(objects)
{
    static const struct body bodies[] = {
        {"(func (result (ref $s)) (struct.new $s (i32.const 1) (i64.const 2) (i32.const 3) (ref.null none)))", NULL},
        {"(func (drop (struct.new $s (i32.const 1) (i32.const 2) (i32.const 3) (ref.null none))))", "type mismatch"},
        {"(func (drop (struct.new_default $s)))", NULL},
        {"(func (drop (struct.new_default $nd)))", "type mismatch: field 0 has no default"},
        {"(func (drop (struct.new_default $a)))", "unknown type 4"},
        {"(func (param (ref null $s2)) (result i64) (struct.get $s 1 (local.get 0)))", NULL},
        {"(func (param (ref null $s)) (result i32) (struct.get_u $s 2 (local.get 0)))", NULL},
        {"(func (param (ref null $s)) (result i32) (struct.get $s 2 (local.get 0)))",
         "type mismatch: the field is packed"},
        {"(func (param (ref null $s)) (result i32) (struct.get_s $s 0 (local.get 0)))",
         "type mismatch: the field is not packed"},
        {"(func (param (ref null $s)) (result i32) (struct.get $s 9 (local.get 0)))", "unknown field 9"},
        {"(func (param (ref $s)) (struct.set $s 0 (local.get 0) (i32.const 1)))", "immutable field 0"},
        {"(func (param (ref $s)) (struct.set $s 1 (local.get 0) (i64.const 1)))", NULL},
        {"(func (result (ref $a)) (array.new $a (i32.const 1) (i32.const 3)))", NULL},
        {"(func (result (ref $ai)) (array.new_fixed $ai 2 (i64.const 1) (i64.const 3)))", NULL},
        {"(func (result (ref $ai)) (array.new_fixed $ai 2 (i64.const 1)))", "type mismatch"},
        {"(func (result (ref $a)) (array.new_data $a $d (i32.const 1) (i32.const 3)))", NULL},
        {"(func (drop (array.new_data $ar $d (i32.const 1) (i32.const 3))))", "array type is not numeric or vector"},
        {"(func (drop (array.new_elem $ar $ela (i32.const 1) (i32.const 3))))", NULL},
        {"(func (drop (array.new_elem $ar $el (i32.const 1) (i32.const 3))))", "type mismatch"},
        {"(func (param (ref $ai)) (array.set $ai (local.get 0) (i32.const 0) (i64.const 0)))", "immutable array"},
        {"(func (param (ref $a)) (result i32) (array.get_s $a (local.get 0) (i32.const 0)))", NULL},
        {"(func (param (ref $a)) (result i32) (array.len (local.get 0)))", NULL},
        {"(func (param (ref $a)) (array.fill $a (local.get 0) (i32.const 0) (i32.const 0) (i32.const 0)))", NULL},
        {"(func (param (ref $a) (ref $ai)) (array.copy $a $ai (local.get 0) (i32.const 0) (local.get 1) (i32.const 0)"
         " (i32.const 0)))",
         "array types do not match"},
        {"(func (param (ref $a)) (array.init_data $a $d (local.get 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
         NULL},
        {"(func (param (ref $ar)) (array.init_elem $ar $ela (local.get 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
         NULL},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(exceptions)
{
    static const struct body bodies[] = {
        {"(func (throw $e (i32.const 1) (f32.const 2)))", NULL},
        {"(func (throw $e (i32.const 1)))", "type mismatch"},
        {"(func (throw 9))", "unknown tag 9"},
        {"(func (param exnref) (throw_ref (local.get 0)))", NULL},
        {"(func (result i32 f32) (try_table (result i32 f32) (catch $e 0) (throw $none)))", NULL},
        {"(func (result i32) (try_table (catch $e 0)) (i32.const 1))", "type mismatch"},
        {"(func (result (ref exn)) (try_table (catch_all_ref 0) (catch_ref $none 0)) unreachable)", NULL},
        {"(func (try_table (catch_all 0)))", NULL},
        {"(func (try_table (catch_all 3)))", "unknown label 3"},
        /* UBSan: a loop that takes nothing has no list of what it takes, and no place after it */
        {"(func (loop $l (try_table (catch_all $l) (catch $none $l))))", NULL},
        {"(func (loop $l (try_table (catch_all_ref $l))))", "type mismatch"},
    };
    CHECK_BODIES(bodies);
}
END_TEST

START_TEST(constant_expressions)
{
    static const struct body bodies[] = {
        {"(global i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))", NULL},
        {"(global i64 (i64.sub (global.get $c) (i64.const 3)))", NULL},
        {"(global i32 (global.get $g))", "constant expression required"},
        {"(global i32 (i32.div_s (i32.const 1) (i32.const 3)))", "constant expression required"},
        {"(global (ref $s) (struct.new $s (i32.const 1) (global.get $c) (i32.const 3) (ref.i31 (i32.const 1))))", NULL},
        {"(global (ref $ar) (array.new_fixed $ar 2 (struct.new_default $s) (array.new_default $a (i32.const 9))))",
         NULL},
        {"(global externref (extern.convert_any (ref.i31 (i32.const 1))))", NULL},
        {"(global funcref (ref.func $hidden)) (func (drop (ref.func $hidden)))", NULL},
        {"(table 3 (ref $f) (ref.func $id))", NULL},
        {"(elem (table $i) (i32.const 0) anyref (item (struct.new_default $s)))", NULL},
        {"(data (i64.const 0) \"x\")", "type mismatch"},
    };
    CHECK_BODIES(bodies);
}
END_TEST

/* Each address, size and offset has the address type of its memory or table; a copy's length the smaller of two. */
START_TEST(address_types)
{
#define BOTH_MEMORIES "(memory $m32 1) (memory $m64 i64 1)"
#define BOTH_TABLES "(table $t32 1 funcref) (table $t64 i64 1 funcref)"
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"(func (drop (i32.load $m64 (i64.const 0))) (i32.store8 $m64 (i64.const 0) (i32.const 0)))", NULL},
        {"(func (drop (i32.load $m64 (i32.const 0))))", "type mismatch"},
        {"(func (drop (i32.load $m32 (i64.const 0))))", "type mismatch"},
        {"(func (drop (i32.load $m64 offset=0xFFFFFFFFFFFFFFFF (i64.const 0))))", NULL},
        {"(func (drop (i32.load $m32 offset=0x100000000 (i32.const 0))))", "offset out of range"},
        {"(func (result i64) (memory.grow $m64 (memory.size $m64)))", NULL},
        {"(func (result i32) (memory.grow $m32 (memory.size $m32)))", NULL},
        {"(func (result i32) (memory.size $m64))", "type mismatch"},
        {"(func (memory.fill $m64 (i64.const 0) (i32.const 0) (i64.const 0)))", NULL},
        {"(func (memory.fill $m64 (i64.const 0) (i32.const 0) (i32.const 0)))", "type mismatch"},
        {"(func (memory.copy $m64 $m64 (i64.const 0) (i64.const 0) (i64.const 0)))", NULL},
        {"(func (memory.copy $m64 $m32 (i64.const 0) (i32.const 0) (i32.const 0)))", NULL},
        {"(func (memory.copy $m32 $m64 (i32.const 0) (i64.const 0) (i32.const 0)))", NULL},
        {"(func (memory.copy $m32 $m64 (i32.const 0) (i64.const 0) (i64.const 0)))", "type mismatch"},
        {"(data $d \"x\") (func (memory.init $m64 $d (i64.const 0) (i32.const 0) (i32.const 0)))", NULL},
        {"(data $d \"x\") (func (memory.init $m64 $d (i64.const 0) (i64.const 0) (i64.const 0)))", "type mismatch"},
        {"(data (memory $m64) (i64.const 0) \"x\")", NULL},
        {"(data (memory $m64) (i32.const 0) \"x\")", "type mismatch"},
        {"(func (drop (i32.load 2 (i32.const 0))))", "unknown memory 2"},
        {"(func (result funcref) (table.get $t64 (i64.const 0)))", NULL},
        {"(func (result funcref) (table.get $t64 (i32.const 0)))", "type mismatch"},
        {"(func (table.set $t64 (i64.const 0) (ref.null func)))", NULL},
        {"(func (result i64) (table.grow $t64 (ref.null func) (table.size $t64)))", NULL},
        {"(func (table.fill $t64 (i64.const 0) (ref.null func) (i64.const 0)))", NULL},
        {"(func (table.copy $t64 $t32 (i64.const 0) (i32.const 0) (i32.const 0)))", NULL},
        {"(func (table.copy $t32 $t64 (i32.const 0) (i64.const 0) (i32.const 0)))", NULL},
        {"(func (table.copy $t32 $t64 (i32.const 0) (i64.const 0) (i64.const 0)))", "type mismatch"},
        {"(elem $e funcref) (func (table.init $t64 $e (i64.const 0) (i32.const 0) (i32.const 0)))", NULL},
        {"(elem $e funcref) (func (table.init $t64 $e (i32.const 0) (i32.const 0) (i32.const 0)))", "type mismatch"},
        {"(elem (table $t64) (i64.const 0) func)", NULL},
        {"(elem (table $t64) (i32.const 0) func)", "type mismatch"},
        {"(func (call_indirect $t64 (i64.const 0)))", NULL},
        {"(func (call_indirect $t64 (i32.const 0)))", "type mismatch"},
        {"(func (return_call_indirect $t64 (i64.const 0)))", NULL},
        {"(memory i64 0 0x1000000000000) (table i64 0 0xFFFFFFFFFFFFFFFF funcref)", NULL},
        {"(memory i64 0 0x1000000000001)", "memory size"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024];
        snprintf(text, sizeof text, "(module " BOTH_MEMORIES BOTH_TABLES " %s)", rows[i].text);
        enum hemi_status status = validate(text), want = rows[i].error ? HEMI_INVALID_MODULE : HEMI_OK;
        bool same = !rows[i].error || strncmp(err.message, rows[i].error, strlen(rows[i].error)) == 0;
        ck_assert_msg(status == want && same, "%s: %s", rows[i].text, status ? err.message : "accepted");
    }
#undef BOTH_MEMORIES
#undef BOTH_TABLES
}
END_TEST

/* Each row that has no signature has a function of its own, and only those have one. */
START_TEST(every_irregular_row_has_a_handler)
{
    uint8_t handled[OP_COUNT] = {0};
#define X(op, function) handled[OP_##op]++;
    VALIDATE_HANDLERS(X)
#undef X
    for (uint32_t op = 0; op < OP_COUNT; op++)
        ck_assert_msg(handled[op] == (strcmp(opcode_rows[op].sig, "X") == 0), "%s", opcode_rows[op].name);
}
END_TEST

/* ---- Mutations */

static uint64_t rng;
static uint32_t next(uint32_t below)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 32) % below);
}

/* Valid, and with something of everything. */
static const char SUBJECT[] =
    PRELUDE " (func (export \"a\") (param i32 i64 (ref null $s) anyref) (result i32) (local f64 (ref $s))"
            "  (loop $l (br_if $l (i32.eqz (local.get 0))))"
            "  (drop (block $cast (result anyref) (br_on_cast $cast anyref (ref $s2) (local.get 3))))"
            "  (block $caught (result i32 f32) (try_table (catch $e $caught) (call $nop)) unreachable) drop drop"
            "  (i32.add (struct.get $s 0 (local.get 2)) (call $id (i32.const 3))))"
            " (func $big (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.load8_u (i32.const 3)))"
            "  (else (br_table 0 0 (i32.const 1) (local.get 0)))))"
            " (global anyref (array.new_fixed $ar 1 (struct.new_default $s)))"
            " (elem (table $t) (i32.const 0) func $id $nop) (data (i32.const 2) \"hello\") (start $nop))";

static void mutate(uint8_t *bytes, size_t *n)
{
    uint32_t times = 1 + next(4);
    for (uint32_t i = 0; i < times; i++) {
        uint32_t at = next((uint32_t)*n);
        switch (next(5)) {
        case 0:
            bytes[at] = (uint8_t)next(256);
            break;
        case 1:
            bytes[at] ^= (uint8_t)(1u << next(8));
            break;
        case 2:
            bytes[at] = (uint8_t)(bytes[at] + 1);
            break;
        case 3:
            memmove(bytes + at, bytes + at + 1, --*n - at);
            break;
        default:
            if (next(10) == 0) *n = at + 1;
            break;
        }
        if (*n < 2) *n = 2;
    }
}

/* Nothing crashes, and whatever is refused says why. ASan and UBSan watch in the sanitize build. */
START_TEST(mutated_modules)
{
    const char *given = getenv("HEMI_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("HEMI_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    rng = seed * 2 + 1;
    uint8_t *bytes;
    size_t n, size;
    uint32_t accepted = 0;
    assemble(SUBJECT, &bytes, &n);
    uint8_t *copy = malloc(n);
    struct module *m;
    ck_assert_msg(module_new(e, bytes, n, &m, &err) == HEMI_OK, "%s", err.message);
    module_unref(m);
    for (uint32_t i = 0; i < 10000; i++) {
        memcpy(copy, bytes, n);
        size = n;
        mutate(copy, &size);
        enum hemi_status status = module_new(e, copy, size, &m, &err);
        ck_assert(status == HEMI_OK || (m == NULL && err.message[0] != 0));
        accepted += status == HEMI_OK;
        module_unref(m);
        ck_assert_uint_eq(e->types->ngroups, 0);
    }
    printf("%u of 10000 still valid\n", accepted);
    ck_assert_uint_gt(accepted, 0);
    ck_assert_uint_lt(accepted, 10000);
    free(copy);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("validate");
    TCase *c = tcase_create("validate");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, numeric_rows);
    tcase_add_test(c, unreachable_code_is_polymorphic);
    tcase_add_test(c, blocks_and_branches);
    tcase_add_test(c, calls);
    tcase_add_test(c, locals_and_globals);
    tcase_add_test(c, memories_and_tables);
    tcase_add_test(c, references);
    tcase_add_test(c, objects);
    tcase_add_test(c, exceptions);
    tcase_add_test(c, constant_expressions);
    tcase_add_test(c, address_types);
    tcase_add_test(c, every_irregular_row_has_a_handler);
    tcase_add_test(c, mutated_modules);
    suite_add_tcase(s, c);
    return run_suite(s);
}
