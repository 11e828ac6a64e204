/* tests/unit/client/wat_disassemble_test.c -- the disassembler: what its text looks like, names, exact numbers, errors
 * with their places, bounds on text, and modules that were damaged at random. Round trips of whole suites:
 * wat_roundtrip_test.c. */
#include "client/wat/wat.h"
#include "proto/tables/status.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct wat_options defaults, no_names = {.no_names = true};

static uint8_t *assemble(const char *text, size_t *size)
{
    struct wat_error err;
    uint8_t *out;
    int status = wat_assemble(text, strlen(text), NULL, &out, size, &err);
    ck_assert_msg(status == HEMI_OK, "%s: %u:%u: %s", text, err.line, err.column, err.message);
    return out;
}

static char *disassemble(const struct wat_options *options, const uint8_t *bytes, size_t size)
{
    struct wat_error err;
    char *out;
    size_t length;
    int status = wat_disassemble(options, bytes, size, NULL, &out, &length, &err);
    ck_assert_msg(status == HEMI_OK, "at byte %llu: %s", (unsigned long long)err.offset, err.message);
    ck_assert_uint_eq(strlen(out), length);
    return out;
}

/* The text comes back as `wanted`, between "(module" and ")". */
static void ck_text_with(const struct wat_options *options, const char *text, const char *wanted)
{
    size_t size;
    uint8_t *bytes = assemble(text, &size);
    char *actual = disassemble(options, bytes, size), *whole = malloc(strlen(wanted) + 16);
    sprintf(whole, "(module%s)\n", wanted);
    ck_assert_msg(strcmp(actual, whole) == 0, "%s:\nwanted %s\ngot    %s", text, whole, actual);
    free(whole);
    free(actual);
    free(bytes);
}

static void ck_text(const char *text, const char *wanted) { ck_text_with(&defaults, text, wanted); }

static void ck_refused(const char *bytes, size_t size, uint64_t offset, const char *message)
{
    struct wat_error err;
    char *out;
    size_t length;
    int status = wat_disassemble(&defaults, (const uint8_t *)bytes, size, "m.wasm", &out, &length, &err);
    ck_assert_int_eq(status, HEMI_INVALID_MODULE);
    ck_assert_ptr_null(out);
    ck_assert_str_eq(err.file, "m.wasm");
    ck_assert_str_eq(err.message, message);
    ck_assert_uint_eq(err.offset, offset);
}

/* What stands behind magic and version. */
#define REFUSED(bytes, offset, message)                                                                                \
    ck_refused("\0asm\1\0\0\0" bytes, sizeof "\0asm\1\0\0\0" bytes - 1, offset, message)

START_TEST(fields)
{
    ck_text("(module)", "");
    ck_text("(module $m)", " $m");
    ck_text("(type (sub final (func (param i32 (ref null 0)) (result v128))))",
            "\n  (type (;0;) (func (param i32 (ref null 0)) (result v128)))");
    ck_text("(rec (type $a (sub (struct (field $x (mut i8)) (field i64)))) (type (sub $a (array i16)))) (rec)",
            "\n  (rec"
            "\n    (type $a (;0;) (sub (struct (field $x (mut i8)) (field i64))))"
            "\n    (type (;1;) (sub $a (array i16))))"
            "\n  (rec)");
    ck_text("(import \"a\\u{e9}\" \"\\n\\\"\\\\\" (func (param $p i32)))",
            "\n  (type (;0;) (func (param i32)))"
            "\n  (import \"a\xc3\xa9\" \"\\0a\\\"\\\\\" (func (;0;) (type 0) (param i32)))");
    ck_text("(table $t i64 1 2 (ref null func) ref.null func) (memory 3) (global (mut exnref) ref.null exn) (tag)",
            "\n  (type (;0;) (func))"
            "\n  (table $t (;0;) i64 1 2 funcref ref.null func)"
            "\n  (memory (;0;) 3)"
            "\n  (tag (;0;) (type 0))"
            "\n  (global (;0;) (mut exnref) ref.null exn)");
    ck_text("(memory $m (export \"m\") 1) (memory 1) (data $d (i32.const 0) \"a\\00\") (data (memory 1) (i32.const 1))"
            " (data \"\")",
            "\n  (memory $m (;0;) 1)"
            "\n  (memory (;1;) 1)"
            "\n  (export \"m\" (memory $m))"
            "\n  (data $d (;0;) (offset i32.const 0) \"a\\00\")"
            "\n  (data (;1;) (memory 1) (offset i32.const 1) \"\")"
            "\n  (data (;2;) \"\")");
    ck_text("(func $f) (start $f) (elem declare func $f) (elem (i32.const 0) $f 0) (elem externref)",
            "\n  (type (;0;) (func))"
            "\n  (start $f)"
            "\n  (elem (;0;) declare func $f)"
            "\n  (elem (;1;) (offset i32.const 0) func $f $f)"
            "\n  (elem (;2;) externref)"
            "\n  (func $f (;0;) (type 0))");
}
END_TEST

START_TEST(code)
{
    ck_text("(func $f (param $a i32) (param i32 i64) (result i32) (local f32 f32) (local $b f32) (local i32)"
            "  (if $l (result i32) (local.get $a) (then (br_if $l (local.get 1) (i32.const 1))) (else unreachable)))",
            "\n  (type (;0;) (func (param i32 i32 i64) (result i32)))"
            "\n  (func $f (;0;) (type 0) (param $a i32) (param i32 i64) (result i32)"
            "\n    (local f32 f32) (local $b f32)"
            "\n    (local i32)"
            "\n    local.get $a"
            "\n    if $l (result i32)"
            "\n      local.get 1"
            "\n      i32.const 1"
            "\n      br_if $l"
            "\n    else"
            "\n      unreachable"
            "\n    end)");
    ck_text("(tag $e) (func block (param i32) (result i32) end (try_table (catch $e 0) (catch_all_ref 1)))",
            "\n  (type (;0;) (func))"
            "\n  (type (;1;) (func (param i32) (result i32)))"
            "\n  (tag $e (;0;) (type 0))"
            "\n  (func (;0;) (type 0)"
            "\n    block (type 1) (param i32) (result i32)"
            "\n    end"
            "\n    try_table (catch $e 0) (catch_all_ref 1)"
            "\n    end)");
    ck_text(
        "(memory 1) (memory $n i64 1) (func i32.load8_u offset=5 i32.load $n align=1 memory.copy 0 0 memory.copy 1 0)",
        "\n  (type (;0;) (func))"
        "\n  (memory (;0;) 1)"
        "\n  (memory $n (;1;) i64 1)"
        "\n  (func (;0;) (type 0)"
        "\n    i32.load8_u offset=5"
        "\n    i32.load $n align=1"
        "\n    memory.copy"
        "\n    memory.copy $n 0)");
    ck_text("(func select (result) select (result i32) ref.test (ref 0) ref.cast anyref br_on_cast 0 anyref (ref i31))",
            "\n  (type (;0;) (func))"
            "\n  (func (;0;) (type 0)"
            "\n    select (result)"
            "\n    select (result i32)"
            "\n    ref.test (ref 0)"
            "\n    ref.cast anyref"
            "\n    br_on_cast 0 anyref (ref i31))");
}
END_TEST

/* A label is written by name where that means its block, and by number where a block further inside has the name too.
 */
START_TEST(labels_that_shadow)
{
    ck_text("(func block $a block $b block $a br $a br 2 br $b br 3 end br $a end end)", "\n  (type (;0;) (func))"
                                                                                         "\n  (func (;0;) (type 0)"
                                                                                         "\n    block $a"
                                                                                         "\n      block $b"
                                                                                         "\n        block $a"
                                                                                         "\n          br $a"
                                                                                         "\n          br 2"
                                                                                         "\n          br $b"
                                                                                         "\n          br 3"
                                                                                         "\n        end"
                                                                                         "\n        br $a"
                                                                                         "\n      end"
                                                                                         "\n    end)");
}
END_TEST

START_TEST(names)
{
    ck_text("(func $\"two words\") (global $+-*/ i32 global.get $+-*/)", "\n  (type (;0;) (func))"
                                                                         "\n  (global $+-*/ (;0;) i32 global.get $+-*/)"
                                                                         "\n  (func $\"two words\" (;0;) (type 0))");
    ck_text_with(&no_names, "(module $m (func $f (param $p i32) block $l br $l end local.get $p))",
                 "\n  (type (;0;) (func (param i32)))"
                 "\n  (func (;0;) (type 0) (param i32)"
                 "\n    block"
                 "\n      br 0"
                 "\n    end"
                 "\n    local.get 0)");
}
END_TEST

/* wasm-tools takes no text that has characters which turn the order of others around; nobody sees what it says. */
START_TEST(invisible_characters_are_escaped)
{
    ck_text("(func) (export \"a\\u{e9}\\u{202e}\\u{200b}\\u{2028}\\u{feff}\\u{1f600}\\u{85}\" (func 0))",
            "\n  (type (;0;) (func))"
            "\n  (export \"a\u00e9\\u{202e}\\u{200b}\\u{2028}\\u{feff}\U0001f600\\u{85}\" (func 0))"
            "\n  (func (;0;) (type 0))");
}
END_TEST

#define TWO_FUNCTIONS "(func) (func) (func) (@custom \"name\" "

/* Names that repeat an earlier one, are empty or out of range do not count; a malformed section has none from there on.
 */
START_TEST(bad_names)
{
#define TEXT(a, b, c)                                                                                                  \
    "\n  (type (;0;) (func))\n  (func" a " (;0;) (type 0))\n  (func" b " (;1;) (type 0))\n  (func" c " (;2;) (type "   \
    "0))"
    ck_text(TWO_FUNCTIONS "\"\\01\\0a\\03\\00\\01x\\01\\01x\\02\\01y\")", TEXT(" $x", "", " $y"));
    ck_text(TWO_FUNCTIONS "\"\\01\\09\\03\\00\\00\\01\\01x\\09\\01y\")", TEXT("", " $x", ""));
    ck_text(TWO_FUNCTIONS "\"\\01\\07\\02\\01\\01x\\00\\01y\")", TEXT("", " $x", ""));
    ck_text(TWO_FUNCTIONS "\"\\01\\07\\02\\00\\01x\\01\\01\\ff\")", TEXT("", "", ""));
    ck_text(TWO_FUNCTIONS "\"\\01\\04\\01\\00\\01x\\02\\ff\")", TEXT(" $x", "", ""));
    ck_text(TWO_FUNCTIONS "\"\\01\\ff\")", TEXT("", "", ""));
}
END_TEST

START_TEST(customs)
{
    ck_text(
        "(@custom \"b\" (before first) \"\\00x\") (type (func)) (@custom \"t\\\"\" (after type)) (@custom \"e\" \"1\")",
        "\n  (type (;0;) (func))"
        "\n  (@custom \"b\" (before first) \"\\00x\")"
        "\n  (@custom \"t\\\"\" (after type) \"\")"
        "\n  (@custom \"e\" (after type) \"1\")");
}
END_TEST

static void ck_float(const char *type, const char *literal, const char *wanted)
{
    char text[160], whole[200];
    snprintf(text, sizeof text, "(global %s %s.const %s)", type, type, literal);
    snprintf(whole, sizeof whole, "\n  (global (;0;) %s %s.const %s)", type, type, wanted);
    ck_text(text, whole);
}

/* Exact, short, and the same in every locale. */
START_TEST(floats)
{
    const char *locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        if (!setlocale(LC_ALL, locales[i])) continue;
        ck_float("f32", "0x1.8p-3", "0.1875");
        ck_float("f32", "0.1", "0.1");
        ck_float("f32", "16777217", "16777216");
        ck_float("f64", "0.1", "0.1");
        ck_float("f64", "-0x0p0", "-0");
        ck_float("f64", "0x1p-1074", "4.94065645841247e-324");
        ck_float("f64", "0x1.fffffffffffffp1023", "1.7976931348623157e+308");
        ck_float("f64", "1e300", "1e+300");
        ck_float("f32", "-inf", "-inf");
        ck_float("f32", "nan", "nan");
        ck_float("f32", "-nan:0x7fffff", "-nan:0x7fffff");
        ck_float("f64", "nan:0x1", "nan:0x1");
    }
    setlocale(LC_ALL, "C");
}
END_TEST

#define FOREIGN(message, proposal)                                                                                     \
    message " (it belongs to the proposal `" proposal "`, which is not part of WebAssembly 3.0)"

START_TEST(errors)
{
    ck_refused("", 0, 0, "not a binary module of version 1");
    ck_refused("\0asm\2\0\0\0", 8, 0, "not a binary module of version 1");
    REFUSED("\x7f\0", 8, "malformed section id");
    REFUSED("\x0e\0", 8, FOREIGN("malformed section id", "reference-typed strings"));
    REFUSED("\1\0\1\0", 10, "unexpected section");
    REFUSED("\1\5\0", 10, "length out of bounds");
    REFUSED("\1\1\5", 10, "length out of bounds");
    REFUSED("\1\2\0\0", 11, "section size mismatch");
    REFUSED("\1\x80\x80\x80\x80\x80\0", 9, "integer representation too long");
    REFUSED("\1\x80\x80\x80\x80\x10", 9, "integer too large");
    REFUSED("\1\3\1\x41\0", 11, "malformed definition type");
    REFUSED("\1\3\1\x61\0", 11, FOREIGN("malformed definition type", "reference-typed strings"));
    REFUSED("\2\5\1\0\0\7\0", 13, "malformed import kind");
    REFUSED("\7\4\1\0\5\0", 12, "malformed export kind");
    REFUSED("\5\3\1\2\0", 11, FOREIGN("malformed limits flags", "threads"));
    REFUSED("\0\2\1\xff", 10, "malformed UTF-8 encoding");
    REFUSED("\x0c\1\1", 10, "data count and data section have inconsistent lengths");
    REFUSED("\1\4\1\x60\0\0\3\2\1\0", 18, "function and code section have inconsistent lengths");
    REFUSED("\4\7\1\x40\0\x70\0\0\x0b", 16, "an empty initialiser has no text");
}
END_TEST

/* A function's code, in a module of one function of type () -> (). */
static void ck_code_refused(const char *body, size_t size, uint64_t offset, const char *message)
{
    char module[128] = "\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a";
    module[19] = (char)(size + 3);
    module[20] = 1;
    module[21] = (char)(size + 1);
    memcpy(module + 23, body, size); /* behind no locals */
    ck_refused(module, 23 + size, 23 + offset, message);
}

#define CODE_REFUSED(code, offset, message) ck_code_refused(code, sizeof code - 1, offset, message)

START_TEST(errors_in_code)
{
    CODE_REFUSED("\xff\x0b", 0, "illegal opcode");
    CODE_REFUSED("\x01\xfd\xff\x7f\x0b", 1, "illegal opcode");
    CODE_REFUSED("\x01\xfc\x09\x00\x0b", 1, "data count section required");
    CODE_REFUSED("\x05\x0b", 0, "else without if");
    CODE_REFUSED("\x04\x40\x05\x05\x0b\x0b", 3, "else without if");
    CODE_REFUSED("\x02\x40\x0b", 3, "unexpected end");
    CODE_REFUSED("\x0b\x0b", 1, "section size mismatch");
    CODE_REFUSED("\x28\x80\x01\0\x0b", 1, "malformed memop flags");
    CODE_REFUSED("\x41\xff\xff\xff\xff\x4f\x0b", 1, "integer too large");
    CODE_REFUSED("\x1f\x40\1\4\0\x0b\x0b", 3, "malformed catch clause");
    CODE_REFUSED("\xd0\x10\x0b\x0b\x0b", 3, "section size mismatch");
    CODE_REFUSED("\x02\x60\x0b\x0b", 1, "malformed reference type");
}
END_TEST

/* Text is bounded by the module's size, whatever the module says of locals, and however deep it nests. */
START_TEST(bounds)
{
    struct wat_error err;
    char *out;
    size_t length;
    static const uint8_t locals[] = "\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a\x0a\1\x08\1\xff\xff\xff\xff\x0f\x7f\x0b";
    ck_assert_int_eq(wat_disassemble(&defaults, locals, sizeof locals - 1, NULL, &out, &length, &err),
                     HEMI_INVALID_MODULE);
    ck_assert_str_eq(err.message, "too many locals");
    enum { DEPTH = 200000 };
    char *deep = malloc(DEPTH * 10 + 32), *at = stpcpy(deep, "(func ");
    for (unsigned i = 0; i < DEPTH; i++) at = stpcpy(at, "block ");
    for (unsigned i = 0; i < DEPTH; i++) at = stpcpy(at, "end ");
    stpcpy(at, ")");
    size_t size;
    uint8_t *bytes = assemble(deep, &size);
    char *text = disassemble(&defaults, bytes, size);
    ck_assert_uint_lt(strlen(text), size * 256);
    free(text);
    free(bytes);
    free(deep);
    enum { NAME = 100000, CALLS = 20000 };
    char *wordy = malloc(NAME + CALLS * 8 + 64);
    at = stpcpy(wordy, "(func $");
    memset(at, 'x', NAME);
    at = stpcpy(at + NAME, " ");
    for (unsigned i = 0; i < CALLS; i++) at = stpcpy(at, "call 0 ");
    stpcpy(at, ")");
    bytes = assemble(wordy, &size);
    ck_assert_int_eq(wat_disassemble(&defaults, bytes, size, NULL, &out, &length, &err), HEMI_LIMIT);
    ck_assert_ptr_null(out);
    free(bytes);
    free(wordy);
}
END_TEST

/* ---- damage */

static const char everything[] =
    "(module $m (rec (type $s (sub (struct (field $x (mut i8)) (field f64)))) (type $a (array (ref null $s))))"
    " (import \"a\" \"b\" (func $imp (param i32))) (import \"a\" \"t\" (table 1 externref))"
    " (memory $m 1) (memory i64 1 2) (data $d (i32.const 8) \"hello\\80\") (table $t 1 (ref null func) ref.null func)"
    " (tag $e (param i64)) (global $g (mut f32) f32.const nan:0x5) (@custom \"c\" (after func) \"abc\")"
    " (func $f (export \"f\") (param $p i32) (result i32) (local $v v128) (local i64 i64)"
    "   block $out (result i32) loop $in (try_table (catch $e 0) (catch_all $in)) br $out end unreachable end"
    "   (if $c (local.get $p) (then (call_indirect (type $f) (i32.const 1) (i32.const 0)) drop) (else br 0))"
    "   (drop (struct.get_u $s $x (struct.new_default $s))) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))"
    "   (local.set $v (v128.const f32x4 1 2 3 4)) (v128.store offset=8 (i32.const 0) (local.get $v))"
    "   (br_table 0 0 (i32.const 3)) (drop (ref.cast (ref null $s) (ref.null any))))"
    " (type $f (func)) (elem $el (i32.const 0) $f $imp) (elem externref (item ref.null extern)) (start $n) (func $n))";

static uint64_t seed_of_this_run(void)
{
    const char *given = getenv("HEMI_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 0x9E3779B97F4A7C15u;
    printf("HEMI_SEED=0x%llx\n", (unsigned long long)seed);
    return seed;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Whatever is refused has a place in the module; whatever is not assembles to something that stays as it is. */
static void ck_damaged(const uint8_t *bytes, size_t size)
{
    struct wat_error err;
    char *text;
    size_t length, again_size;
    uint8_t *again;
    int status = wat_disassemble(&defaults, bytes, size, NULL, &text, &length, &err);
    if (status != HEMI_OK) {
        ck_assert_int_eq(status, HEMI_INVALID_MODULE);
        ck_assert_uint_le(err.offset, size);
        return;
    }
    status = wat_assemble(text, length, NULL, &again, &again_size, &err);
    ck_assert_msg(status == HEMI_OK, "%u:%u: %s in\n%s", err.line, err.column, err.message, text);
    char *second = disassemble(&defaults, again, again_size);
    size_t third_size;
    uint8_t *third = assemble(second, &third_size);
    ck_assert_msg(third_size == again_size && memcmp(third, again, third_size) == 0, "unstable:\n%s\n%s", text, second);
    free(third);
    free(second);
    free(again);
    free(text);
}

START_TEST(damaged)
{
    size_t size;
    uint8_t *module = assemble(everything, &size);
    uint64_t random = seed_of_this_run();
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = round % 8 ? size : next_random(&random) % (size + 1);
        uint8_t *exact = malloc(length ? length : 1);
        memcpy(exact, module, length);
        for (unsigned n = next_random(&random) % 4; length && n > 0; n--)
            exact[next_random(&random) % length] ^= (uint8_t)(1u << next_random(&random) % 8);
        for (unsigned n = next_random(&random) % 2; length && n > 0; n--)
            exact[next_random(&random) % length] = (uint8_t)next_random(&random);
        ck_damaged(exact, length);
        free(exact);
    }
    free(module);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wat_disassemble");
    TCase *tests = tcase_create("disassembler");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, fields);
    tcase_add_test(tests, code);
    tcase_add_test(tests, labels_that_shadow);
    tcase_add_test(tests, names);
    tcase_add_test(tests, invisible_characters_are_escaped);
    tcase_add_test(tests, bad_names);
    tcase_add_test(tests, customs);
    tcase_add_test(tests, floats);
    tcase_add_test(tests, errors);
    tcase_add_test(tests, errors_in_code);
    tcase_add_test(tests, bounds);
    tcase_add_test(tests, damaged);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
