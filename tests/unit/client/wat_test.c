/* tests/unit/client/wat_test.c -- the assembler: encodings byte for byte, errors with their places, numerals, depth,
 * and texts that were damaged at random. */
#include "client/wat/lexer.h"
#include "client/wat/number.h"
#include "client/wat/wat.h"
#include "proto/tables/status.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- chance: HEMI_SEED repeats a run */

static uint64_t state;

static uint32_t next(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static void seed(void)
{
    const char *given = getenv("HEMI_SEED");
    state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 0x9E3779B97F4A7C15u;
    if (!state) state = 1;
    printf("HEMI_SEED=0x%llx\n", (unsigned long long)state);
    fflush(stdout);
}

static int assemble(const char *text, uint8_t **out, size_t *size, struct wat_error *err)
{
    static const struct wat_options options = {.no_names = true};
    return wat_assemble_with(&options, text, strlen(text), "test.wat", out, size, err);
}

/* The module's bytes behind magic and version, as hexadecimal digits. */
static void ck_bytes(const char *text, const char *hex)
{
    struct wat_error err;
    uint8_t *out;
    size_t size;
    int status = assemble(text, &out, &size, &err);
    ck_assert_msg(status == HEMI_OK, "%s: %u:%u: %s", text, err.line, err.column, err.message);
    ck_assert_uint_ge(size, 8);
    char *actual = calloc(1, size * 2 + 1);
    for (size_t i = 8; i < size; i++) sprintf(actual + (i - 8) * 2, "%02x", out[i]);
    ck_assert_msg(strcmp(actual, hex) == 0, "%s:\n  wanted %s\n  got    %s", text, hex, actual);
    free(actual);
    free(out);
}

static void ck_refused(const char *text, unsigned line, unsigned column, const char *message)
{
    struct wat_error err;
    uint8_t *out;
    size_t size;
    int status = assemble(text, &out, &size, &err);
    ck_assert_msg(status == HEMI_INVALID_MODULE, "%s: wanted \"%s\", got status %d", text, message, status);
    ck_assert_ptr_null(out);
    ck_assert_str_eq(err.file, "test.wat");
    ck_assert_msg(strncmp(err.message, message, strlen(message)) == 0, "%s: wanted \"%s\", got \"%s\"", text, message,
                  err.message);
    ck_assert_msg(err.line == line && err.column == column, "%s: at %u:%u, not %u:%u", text, err.line, err.column, line,
                  column);
}

/* Two texts for the same module. */
static void ck_same(const char *a, const char *b)
{
    uint8_t *out[2];
    size_t size[2];
    struct wat_error err;
    ck_assert_msg(assemble(a, &out[0], &size[0], &err) == HEMI_OK, "%s: %s", a, err.message);
    ck_assert_msg(assemble(b, &out[1], &size[1], &err) == HEMI_OK, "%s: %s", b, err.message);
    ck_assert_msg(size[0] == size[1] && memcmp(out[0], out[1], size[0]) == 0, "%s\ndiffers from\n%s", a, b);
    free(out[0]);
    free(out[1]);
}

static void ck_names(const char *text, const char *hex)
{
    struct wat_error err;
    uint8_t *out;
    size_t size;
    ck_assert_msg(wat_assemble(text, strlen(text), NULL, &out, &size, &err) == HEMI_OK, "%s: %s", text, err.message);
    uint8_t *names = memmem(out, size, "\4name", 5);
    ck_assert_ptr_nonnull(names);
    char actual[512] = "";
    for (uint8_t *at = names + 5; at < out + size; at++) sprintf(actual + strlen(actual), "%02x", *at);
    ck_assert_str_eq(actual, hex);
    free(out);
}

START_TEST(encodings)
{
    ck_bytes("", "");
    ck_bytes("(module)", "");
    ck_bytes("(module $name)", "");
    ck_bytes("(func)", "010401600000"
                       "03020100"
                       "0a040102000b");
    ck_bytes("(type (func (param i32 i64) (result f32 f64)))", "010801"
                                                               "60027f7e027d7c");
    ck_bytes("(rec (type $a (struct (field (ref null $a)) (field (mut i8)))) (type (array (mut i16))))",
             "010d01"
             "4e02"
             "5f0263000078015e7701");
    ck_bytes("(rec)", "0103014e00");
    ck_bytes("(type $a (sub (func))) (type (sub final $a (func)))", "010c02"
                                                                    "5000600000"
                                                                    "4f0100600000");
    ck_bytes("(type (sub final (func)))", "010401600000");
    ck_bytes("(memory i64 1 2)", "05040105"
                                 "0102");
    ck_bytes("(table 1 (ref null func) (ref.null func))", "040901"
                                                          "4000"
                                                          "700001"
                                                          "d0700b");
    ck_bytes("(import \"a\" \"b\" (tag (param i32)))", "010501"
                                                       "60017f00"
                                                       "020801"
                                                       "016101620400"
                                                       "00");
    ck_bytes("(global (mut i32) (i32.const -1))", "060601"
                                                  "7f01"
                                                  "417f0b");
}
END_TEST

/* What scripts have, and what stands for a module in another form. */
START_TEST(module_forms)
{
    ck_bytes("(module definition $m (rec))", "0103014e00");
    ck_bytes("(module $m binary \"\\00asm\" \"\\01\\00\\00\\00\" \"any\")", "616e79");
    ck_bytes("(module definition quote \"(type (func))\" \"(rec)\")", "010602600000"
                                                                      "4e00");
    ck_bytes("(module quote \"(module (rec))\")", "0103014e00");
    ck_bytes("(module quote)", "");
    ck_refused("(module quote\n \"(func)\" \"x\")", 1, 9, "in the quoted text, at 2:1: expected a module field");
    ck_refused("(module quote \"(module quote)\")", 1, 9, "in the quoted text, at 1:9: expected a module field");
    ck_refused("(module binary \"\" 1)", 1, 19, "expected a string or \")\", got \"1\"");
    ck_refused("(module instance)", 1, 9, "expected a module field, got \"instance\"");
}
END_TEST

START_TEST(segments)
{
    ck_bytes("(table 1 funcref) (elem (i32.const 0)) ", "040401700001"
                                                        "0906010041000b00");
    ck_bytes("(elem funcref (ref.null func))", "0907010570"
                                               "01d0700b");
    ck_bytes("(elem declare func)", "090401030000");
    ck_bytes("(elem externref)", "0904010"
                                 "56f00");
    ck_bytes("(table 1 externref) (elem (table 0) (offset i32.const 0) externref)", "0404016f0001"
                                                                                    "0908010600"
                                                                                    "41000b6f00");
    ck_bytes("(table (ref null $t) (elem $f)) (type $t (func)) (func $f (type $t))", "010401600000"
                                                                                     "03020100"
                                                                                     "040601630001"
                                                                                     "0101"
                                                                                     "090c010600"
                                                                                     "41000b"
                                                                                     "6300"
                                                                                     "01d2000b"
                                                                                     "0a040102000b");
    ck_bytes("(memory (data \"ab\" \"\\63\"))", "0504010101"
                                                "01"
                                                "0b0901"
                                                "0041000b"
                                                "03616263");
    ck_bytes("(memory 0) (memory 0) (data (memory 1) (i32.const 1) \"\")", "0505020000"
                                                                           "0000"
                                                                           "0b07010201"
                                                                           "41010b00");
    ck_bytes("(data \"\\u{20ac}\\t\\'\")", "0b08010105"
                                           "e282ac0927");
}
END_TEST

START_TEST(abbreviations)
{
    ck_same("(func (export \"a\") (export \"b\"))", "(func) (export \"a\" (func 0)) (export \"b\" (func 0))");
    ck_same("(func $f (import \"a\" \"b\") (param i32))", "(import \"a\" \"b\" (func (param $x i32)))");
    ck_same("(global $g (export \"x\") (import \"a\" \"b\") (mut i64))",
            "(import \"a\" \"b\" (global (mut i64))) (export \"x\" (global 0))");
    ck_same("(func (param i32 i64) (result i32) local.get 0)",
            "(type $t (func (param i32) (param i64) (result i32))) (func (type $t) (local.get 0))");
    ck_same("(func (param $x i32) (local $y i32) (local.set $y (local.get $x)))",
            "(func (param i32) (local i32) local.get 0 local.set 1)");
    ck_same("(table funcref (elem $f $f)) (func $f)",
            "(table 2 2 funcref) (elem (table 0) (offset (i32.const 0)) func $f $f) (func $f)");
    ck_same("(func (drop (i32.add (i32.const 1) (i32.const 2))))", "(func i32.const 1 i32.const 2 i32.add drop)");
    ck_same("(func (if (i32.const 1) (then nop) (else unreachable)))",
            "(func i32.const 1 if nop else unreachable end)");
    ck_same("(func (block $a (block $b (br $a))))", "(func block block br 1 end end)");
    ck_same("(memory 1) (func (drop (i32.load (i32.const 0))))",
            "(memory 1) (func (drop (i32.load 0 offset=0 align=4 (i32.const 0))))");
    ck_same("(global anyref (ref.null any)) (global nullref (ref.null none))",
            "(global (ref null any) (ref.null any)) (global (ref null none) (ref.null none))");
}
END_TEST

/* The first plain function type that fits is used; others with the same parameters are not plain. */
START_TEST(implicit_types)
{
    ck_bytes("(type (sub (func))) (type (struct)) (type (func)) (func)", "010b03"
                                                                         "5000600000"
                                                                         "5f00"
                                                                         "600000"
                                                                         "03020102"
                                                                         "0a040102000b");
    ck_bytes("(rec (type (func)) (type (func))) (func)", "010c02"
                                                         "4e02600000600000"
                                                         "600000"
                                                         "03020102"
                                                         "0a040102000b");
    ck_bytes("(func (block (param i32) (result i32)) )", "010902"
                                                         "600000"
                                                         "60017f017f"
                                                         "03020100"
                                                         "0a070105000201"
                                                         "0b0b");
}
END_TEST

/* A type use may name a type that a later one adds. Its parameters were once not counted, so that names of locals stood
 * for others, and those written beside it were refused. */
START_TEST(implicit_types_named_before_they_are_added)
{
    ck_same("(func (type 0) (local $x i32) local.get $x drop) (func (param i64))",
            "(type (func (param i64))) (func (type 0) (local i32) local.get 1 drop) (func (type 0))");
    ck_same("(func (type 0) (param i64) block (param i64) drop end) (export \"\" (func 0)) (data \"x\")",
            "(type (func (param i64))) (func (type 0) block (type 0) drop end) (export \"\" (func 0)) (data \"x\")");
    ck_names("(func $f (type 0) (local $x i32) (block $b)) (func (param i64))", "0104010001660206"
                                                                                "0100010101780306"
                                                                                "010001000162");
    ck_refused("(type (struct)) (func (type 0) (param i32))", 1, 29, "unknown type 0");
    ck_refused("(func (type 1) (param i32)) (func (param i64))", 1, 13, "unknown type 1");
    ck_refused("(func (type 0) (param i32)) (func (param i64))", 1, 13, "inline function type differs from type 0");
}
END_TEST

START_TEST(instructions)
{
    static const struct {
        const char *text, *hex;
    } rows[] = {
        {"(i32.const 0x8000_0000)", "418080808078"},
        {"(i64.const -0x8000_0000_0000_0000)", "42808080808080808080"
                                               "7f"},
        {"(f32.const nan:0x200000)", "430000a07f"},
        {"(f64.const -0x1.8p-1022)", "44000000000000"
                                     "1880"},
        {"(v128.const i16x8 1 -1 0 0 0 0 0 2)", "fd0c0100ffff00000000000000000000"
                                                "0200"},
        {"(i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31)", "fd0d000102030405060708090a0b0c0d0e1f"},
        {"(v128.load8_lane 3)", "fd54000003"},
        {"(v128.load8_lane 0 3)", "fd54000003"},
        {"(v128.load8_lane 1 offset=2 3)", "fd5440010203"},
        {"(i32.load16_u 1 offset=8 align=1)", "2f400108"},
        {"(memory.copy 1 0)", "fc0a0100"},
        {"(table.init 7)", "fc0c0700"},
        {"(call_indirect 1 (type 0))", "110001"},
        {"(select (result i32))", "1c017f"},
        {"(select)", "1b"},
        {"(ref.test (ref null 0))", "fb1500"},
        {"(ref.test i31ref)", "fb156c"},
        {"(ref.cast (ref eq))", "fb166d"},
        {"(br_on_cast 0 anyref (ref struct))", "fb1801006e6b"},
        {"(br_table 0 1 2)", "0e020001"
                             "02"},
        {"(try_table (catch 0 0) (catch_all_ref 0) (catch_ref 1 0))", "1f4003"
                                                                      "000000"
                                                                      "0300"
                                                                      "010100"
                                                                      "0b"},
        {"(f32x4.relaxed_madd)", "fd8502"},
        {"(return_call_ref 0)", "1500"},
        {"(throw_ref)", "0a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200], hex[200];
        size_t bytes = strlen(rows[i].hex) / 2;
        snprintf(text, sizeof text, "(func %s)", rows[i].text);
        snprintf(hex, sizeof hex,
                 "0104016000000302010"
                 "00a%02zx01%02zx00%s0b",
                 bytes + 4, bytes + 2, rows[i].hex);
        ck_bytes(text, hex);
    }
}
END_TEST

/* Instructions that name a data segment need the data count, before the code. */
/* Custom sections go where they say; by themselves, to the end. */
START_TEST(customs)
{
    ck_bytes("(@custom \"a\") (@custom \"b\" (before first) \"x\" \"\\00\")", "00040162"
                                                                              "7800"
                                                                              "00020161");
    ck_bytes("(module (@custom \"a\" (after type)) (type (func)) (@custom \"b\" (before type)) "
             "(@custom \"c\" (after last)) (@custom \"d\" (before datacount)) (@custom (;;) \"e\" (after type)))",
             "00020162"
             "010401600000"
             "00020161"
             "00020165"
             "00020164"
             "00020163");
    ck_bytes("(@customs \"a\") (@a (@custom)) (@\"custom\" 1)", "");
    ck_refused("(@custom)", 1, 9, "expected a string, got \")\"");
    ck_refused("(module\n (@custom bla))", 2, 11, "expected a string, got \"bla\"");
    ck_refused("(@custom \"\\df\")", 1, 10, "malformed UTF-8 encoding");
    ck_refused("(@custom \"a\" here)", 1, 14, "expected \")\", got \"here\"");
    ck_refused("(@custom \"a\" (type))", 1, 14, "expected \")\", got \"(type\"");
    ck_refused("(@custom \"a\" (after))", 1, 20, "expected last or a section's name, got \")\"");
    ck_refused("(@custom \"a\" (before types))", 1, 22, "expected first or a section's name, got \"types\"");
    ck_refused("(@custom \"a\" ,)", 1, 14, "expected \")\", got \",\"");
    ck_refused("(func) (type (@custom \"a\") $t (func))", 1, 14, "misplaced @custom annotation");
    ck_refused("(func (@custom \"a\"))", 1, 7, "misplaced @custom annotation");
    ck_refused("(@custom \"a\") (module)", 1, 1, "misplaced @custom annotation");
    ck_refused("(module) (@custom \"a\")", 1, 10, "misplaced @custom annotation");
}
END_TEST

/* Subsection, bytes, names: each space has its own, in the order of their numbers. */
START_TEST(name_section)
{
    ck_names("(module $m)", "0002016d");
    ck_names("(func $f) (func) (func $\"\\c3\\a9\")", "010802000166"
                                                      "0202c3a9");
    ck_names("(import \"\" \"\" (func)) (func (param i32) (param $a i32) (local $b f32))", "02090101"
                                                                                           "02010161"
                                                                                           "020162");
    ck_names("(func block $a block end loop $b end end (if $c (block $d (i32.const 0)) (then)))",
             "030f01000400016102016203016404"
             "0163");
    ck_names("(type $t (struct (field i32) (field $x i32)))", "0404010001740a0601000101"
                                                              "0178");
    ck_names("(table $t 1 funcref) (memory $m 1) (global $g i32 i32.const 0) (elem $e func) (data $d \"\") (tag $x)",
             "05040100017406040100016d070401000167080401000165090401000164"
             "0b0401000178");
}
END_TEST

START_TEST(data_count)
{
    ck_bytes("(func (memory.init 1 7)) (data \"\")", "010401600000"
                                                     "03020100"
                                                     "0c0101"
                                                     "0a08010600"
                                                     "fc080701"
                                                     "0b"
                                                     "0b03010100");
}
END_TEST

START_TEST(errors)
{
    ck_refused("(module\n  (func\n    (local.get $x)))", 3, 16, "unknown local $x");
    ck_refused("(func (i32.addd))", 1, 8, "expected an instruction, got \"i32.addd\"");
    ck_refused("(func (block $a)\n (br $a))", 2, 6, "unknown label $a");
    ck_refused("(func $f) (func $f)", 1, 17, "duplicate func $f");
    ck_refused("(func (param $x i32) (local $x i32))", 1, 29, "duplicate local $x");
    /* Constant expressions once saw the locals of the function before them. */
    ck_refused("(func (param $x i32)) (global i32 local.get $x)", 1, 45, "unknown local $x");
    ck_refused("(func block $a end $b)", 1, 20, "mismatching label $b");
    ck_refused("(func) (import \"\" \"\" (func))", 1, 16, "import after function");
    ck_refused("(start 0) (start 0)", 1, 18, "multiple start sections");
    ck_refused("(func (i32.const 4294967296))", 1, 18, "constant out of range");
    ck_refused("(func (drop (i32.load align=3 (i32.const 0))))", 1, 23, "alignment must be a power of two");
    ck_refused("(type (func)) (func (type 0) (param i32))", 1, 27, "inline function type");
    ck_refused("(module", 1, 1, "unclosed parenthesis");
    ck_refused("(module))", 1, 9, "expected the end of the text, got \")\"");
    ck_refused("(module) (func)", 1, 10, "expected the end of the text, got \"(func\"");
    ck_refused("(func \"", 1, 7, "unclosed string");
    ck_refused("(; (; ;)", 1, 1, "unclosed comment");
    ck_refused("(@a (b)", 1, 1, "unclosed annotation");
    ck_refused("(func \x01)", 1, 7, "illegal character U+0001");
    ck_refused("\ufeff(module)", 1, 1, "not WebAssembly, but text with a byte order mark");
    ck_refused("(data \"a\tb\")", 1, 9, "illegal character U+0009 in a string: expected an escape");
    ck_refused("\r\r\n\n(\rfoo)", 4, 1, "expected a module field, got \"(\"");
    ck_refused("(func $f,)", 1, 7, "expected an instruction or \")\", got \"$f,\"");
    ck_refused("(func (call $f[))(func $f[)", 1, 13, "expected a func index or name, got \"$f[\"");
    ck_refused("(data \"\\zz\")", 1, 8, "illegal escape");
    ck_refused(";; \xff", 1, 4, "malformed UTF-8 encoding");
    ck_refused("(export \"\\ff\" (func 0))", 1, 9, "malformed UTF-8 encoding");
    ck_refused("(func nop) nop", 1, 12, "expected a module field, got \"nop\"");
    ck_refused("(func (if (i32.const 1)))", 1, 24, "expected an operand or (then, got \")\"");
    ck_refused("(func block)", 1, 12, "expected an instruction or end, got \")\"");
    ck_refused("(func end)", 1, 7, "unexpected token end");
    ck_refused("(func local.get)", 1, 16, "expected a local index or name, got \")\"");
    ck_refused("(func (local i33))", 1, 14, "expected a value type, got \"i33\"");
    ck_refused("(func ref.null)", 1, 15, "expected a heap type, got \")\"");
    ck_refused("(func elem.drop)", 1, 16, "expected an elem index or name, got \")\"");
    ck_refused("(func)\n(fun)", 2, 1, "expected a module field, got \"(fun\"");
    ck_refused("(memory)", 1, 8, "expected a minimum size or (data, got \")\"");
    ck_refused("(func i32.const x)", 1, 17, "expected a 32-bit integer, got \"x\"");
    ck_refused("(func f32.const 0x)", 1, 17, "expected a 32-bit float, got \"0x\"");
    ck_refused("(func i8x16.extract_lane_s 256)", 1, 28, "constant out of range: expected a lane index");
    ck_refused("(func v128.const i32x3)", 1, 18, "expected a vector's shape, got \"i32x3\"");
    ck_refused("(func (block $a) br $a)", 1, 21, "unknown label $a");
    ck_refused("(import \"\" \"\" (type))", 1, 15, "expected (func, (table, (memory, (global or (tag, got \"(type\"");
    ck_refused("(type (array i8)", 1, 1, "unclosed parenthesis");
    ck_refused("(type (i32))", 1, 7, "expected (func, (struct or (array, got \"(i32\"");
    ck_refused("(type $s (struct (field $a i32))) (func (struct.get $s $b))", 1, 56, "unknown field $b");
}
END_TEST

static void ck_integer(const char *text, unsigned bits, uint64_t wanted)
{
    uint64_t v;
    ck_assert_int_eq(number_integer(text, strlen(text), bits, &v), NUMBER_OK);
    ck_assert_uint_eq(v, wanted);
}

static void ck_not_integer(const char *text, unsigned bits, enum number_status wanted)
{
    uint64_t v;
    ck_assert_int_eq(number_integer(text, strlen(text), bits, &v), wanted);
}

static void ck_float(const char *text, unsigned bits, uint64_t wanted)
{
    uint64_t v;
    ck_assert_int_eq(number_float(text, strlen(text), bits, &v), NUMBER_OK);
    ck_assert_msg(v == wanted, "%s: 0x%llx", text, (unsigned long long)v);
}

static void ck_not_float(const char *text, unsigned bits, enum number_status wanted)
{
    uint64_t v;
    ck_assert_int_eq(number_float(text, strlen(text), bits, &v), wanted);
}

START_TEST(integers)
{
    ck_integer("0", 8, 0);
    ck_integer("255", 8, 255);
    ck_integer("-128", 8, 128);
    ck_integer("+0x7f", 8, 127);
    ck_integer("0xFFFF_FFFF_FFFF_FFFF", 64, UINT64_MAX);
    ck_integer("-0", 32, 0);
    ck_not_integer("256", 8, NUMBER_RANGE);
    ck_not_integer("-129", 8, NUMBER_RANGE);
    ck_not_integer("+128", 8, NUMBER_RANGE);
    ck_not_integer("18446744073709551616", 64, NUMBER_RANGE);
    ck_not_integer("99999999999999999999999999999999", 64, NUMBER_RANGE);
    ck_not_integer("", 32, NUMBER_MALFORMED);
    ck_not_integer("-", 32, NUMBER_MALFORMED);
    ck_not_integer("0x", 32, NUMBER_MALFORMED);
    ck_not_integer("1__0", 32, NUMBER_MALFORMED);
    ck_not_integer("1_", 32, NUMBER_MALFORMED);
    ck_not_integer("_1", 32, NUMBER_MALFORMED);
    ck_not_integer("0a", 32, NUMBER_MALFORMED);
    ck_not_integer("99999999999999999999x", 64, NUMBER_MALFORMED);
}
END_TEST

/* The rounding of `digits` * 2^exponent, or that it is out of range. */
static void ck_hex(const char *digits, int exponent, unsigned bits, uint64_t wanted)
{
    char text[96];
    uint64_t infinity = bits == 64 ? 0x7FF0000000000000 : 0x7F800000;
    snprintf(text, sizeof text, "0x%sp%d", digits, exponent);
    if (wanted < infinity)
        ck_float(text, bits, wanted);
    else
        ck_not_float(text, bits, NUMBER_RANGE);
}

/* Numbers at, just below and just above the middle between two neighbours, of random ones of every magnitude. glibc's
 * strtof loses the last digits of those below the least normal number. */
START_TEST(hexadecimal_floats_round_to_nearest_even)
{
    seed();
    for (unsigned i = 0; i < 20000; i++) {
        unsigned bits = i % 2 ? 64 : 32, fraction = bits == 64 ? 52 : 23, bias = bits == 64 ? 1023 : 127;
        uint64_t random = (uint64_t)next(UINT32_MAX) << 32 | next(UINT32_MAX);
        uint64_t low = random & (((uint64_t)1 << fraction) - 1), field = i % 3 ? random >> 53 & (2 * bias + 1) : 0;
        uint64_t pattern = field << fraction | low, twice = (low | (uint64_t)(field != 0) << fraction) * 2;
        if (field > 2 * bias) continue;
        int exponent = (int)(field ? field : 1) - (int)(bias + fraction) - 1;
        char digits[64];
        snprintf(digits, sizeof digits, "%llx", (unsigned long long)twice + 1);
        ck_hex(digits, exponent, bits, pattern + (pattern & 1));
        snprintf(digits, sizeof digits, "%llx.0000000000000000000001", (unsigned long long)twice + 1);
        ck_hex(digits, exponent, bits, pattern + 1);
        snprintf(digits, sizeof digits, "000000%llx.ffffffffffffffffffffff", (unsigned long long)twice);
        ck_hex(digits, exponent, bits, pattern);
    }
    ck_float("0x1.000001p-150", 32, 1);
    ck_float("0x1p-150", 32, 0);
    ck_float("0x0p+99999999999999999999", 32, 0);
    ck_float("0x1p-99999999999999999999", 64, 0);
    ck_not_float("0x1p99999999999999999999", 64, NUMBER_RANGE);
    ck_not_float("0x1.ffffffp127", 32, NUMBER_RANGE);
}
END_TEST

START_TEST(floats)
{
    ck_float("1", 32, 0x3F800000);
    ck_float("1.", 64, 0x3FF0000000000000);
    ck_float("-0", 32, 0x80000000);
    ck_float("0x1.000001p0", 32, 0x3F800000);           /* a tie: to even */
    ck_float("0x1.0000010000000001p0", 32, 0x3F800001); /* just above the tie */
    ck_float("1e-50", 32, 0);
    ck_float("4.9e-324", 64, 1);
    ck_float("0x1p-149", 32, 1);
    ck_float("3.4028235e38", 32, 0x7F7FFFFF);
    ck_float("340282356779733642748073463979561713663", 32, 0x7F7FFFFF);
    ck_float("1_0.0_1e+0_1", 64, 0x4059066666666666);
    ck_float("-inf", 64, 0xFFF0000000000000);
    ck_float("nan", 32, 0x7FC00000);
    ck_float("-nan:0x1", 32, 0xFF800001);
    ck_float("nan:0xfffffffffffff", 64, 0x7FFFFFFFFFFFFFFF);
    ck_not_float("1e39", 32, NUMBER_RANGE);
    ck_not_float("0x1p1024", 64, NUMBER_RANGE);
    ck_not_float("nan:0x0", 32, NUMBER_RANGE);
    ck_not_float("nan:0x800000", 32, NUMBER_RANGE);
    ck_not_float("nan:1", 32, NUMBER_MALFORMED);
    ck_not_float("0x", 32, NUMBER_MALFORMED);
    ck_not_float("1e", 32, NUMBER_MALFORMED);
    ck_not_float(".5", 32, NUMBER_MALFORMED);
    ck_not_float("1._5", 32, NUMBER_MALFORMED);
    ck_not_float("infinity", 32, NUMBER_MALFORMED);
    ck_not_float("0x1p", 64, NUMBER_MALFORMED);
    ck_not_float("1p3", 64, NUMBER_MALFORMED);
}
END_TEST

/* Nesting costs no C stack, in comments, annotations, folded instructions and blocks. */
START_TEST(depth)
{
    enum { DEPTH = 300000 };
    static const struct {
        const char *before, *open, *middle, *close, *after;
        int status;
    } rows[] = {
        {"", "(;", "", ";)", "", HEMI_OK},
        {"(@a ", "(", "", ")", ")", HEMI_OK},
        {"(func (drop ", "(i32.eqz ", "(i32.const 0)", ")", "))", HEMI_OK},
        {"(func ", "(block ", "", ")", ")", HEMI_OK},
        {"(func ", "block ", "", "end ", ")", HEMI_OK},
        {"", "(", "", ")", "", HEMI_INVALID_MODULE},
        {"(func ", "(if ", "", ")", ")", HEMI_INVALID_MODULE},
        {"(type ", "(sub ", "", ")", ")", HEMI_INVALID_MODULE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = 64 + DEPTH * (strlen(rows[i].open) + strlen(rows[i].close));
        char *text = malloc(size), *at = stpcpy(text, rows[i].before);
        for (unsigned d = 0; d < DEPTH; d++) at = stpcpy(at, rows[i].open);
        at = stpcpy(at, rows[i].middle);
        for (unsigned d = 0; d < DEPTH; d++) at = stpcpy(at, rows[i].close);
        stpcpy(at, rows[i].after);
        struct wat_error err;
        uint8_t *out;
        ck_assert_int_eq(assemble(text, &out, &size, &err), rows[i].status);
        free(out);
        free(text);
    }
}
END_TEST

/* Finding the signature of many functions, or a name among many, takes no longer for each. */
START_TEST(many_names)
{
    enum { COUNT = 100000 };
    char *text = malloc(COUNT * 60), *at = text;
    for (unsigned i = 0; i < COUNT; i++)
        at += sprintf(at, "(func $f%u (param %s %s) (call $f%u))", i, i & 1 ? "i32" : "i64", i & 2 ? "f32" : "f64",
                      i / 2);
    struct wat_error err;
    uint8_t *out;
    size_t size;
    ck_assert_int_eq(assemble(text, &out, &size, &err), HEMI_OK);
    free(out);
    free(text);
}
END_TEST

/* ---- damaged texts */

/* One of: another byte, a byte less, a piece repeated or removed, a token put in. */
static size_t damage(char *text, size_t length, size_t room)
{
    static const char *const pieces[] = {"(",    ")",        "\"",    "$x",   "0",      "-1",        "(func",
                                         "end",  "(type 0)", "(;",    "(@x",  "\\",     "i32.const", "(elem",
                                         "\x80", "else",     "(then", "null", "(param", "0x1p9999"};
    size_t at = next((uint32_t)length), span = 1 + next(40);
    if (span > length - at) span = length - at;
    switch (next(5)) {
    case 0:
        text[at] = (char)next(256);
        return length;
    case 1:
        memmove(text + at, text + at + 1, length - at - 1);
        return length - 1;
    case 2:
        if (length + span > room) return length;
        memmove(text + at + span, text + at, length - at);
        return length + span;
    case 3:
        memmove(text + at, text + at + span, length - at - span);
        return length - span;
    default: {
        const char *piece = pieces[next(sizeof pieces / sizeof *pieces)];
        size_t size = strlen(piece);
        if (length + size > room) return length;
        memmove(text + at + size, text + at, length - at);
        memcpy(text + at, piece, size);
        return length + size;
    }
    }
}

static const char everything[] =
    "(module $m (type $f (func (param i32) (result i32))) (rec (type $s (sub (struct (field $a (mut i32)) (field (ref "
    "null"
    " $s))))) (type $t (sub final $s (struct (field (mut i32)) (field (ref null $s)) (field i8))))) (type $v (array "
    "(mut"
    " i16)))\n (import \"m\" \"n\" (func $i (type $f))) (table $tab 3 funcref) (table (export \"t\") i64 1 (ref null "
    "$s)"
    " (ref.null $s)) (memory $mem 1 2) (tag $e (param i32)) (global $g (export \"g\") (mut i64) (i64.const 7))\n (elem"
    " $el (table $tab) (offset (i32.const 0)) func $i $h) (elem declare func $h) (data $d \"x\\00\\u{41}\") (data"
    " (i32.const 1) \"y\") (start $z) (func $z) (func $h (export \"h\") (type $f) (local $l (ref null $s)) (local "
    "f64)\n"
    " (block $b (result i32) (br_table $b 0 $b (local.get 0) (i32.const 1))) (drop) (try_table (catch $e 0) (catch_all "
    "0)"
    " (throw $e (i32.const 3))) loop $k br $k end $k (if (result i32) (i32.const 1) (then (i32.const 2)) (else "
    "(i32.const"
    " 3))) (local.set $l (struct.new $s (i32.const 1) (ref.null $s))) (struct.set $s $a (ref.as_non_null (local.get "
    "$l))"
    " (i32.const 4)) (call_indirect $tab (type $f) (i32.const 0)) (i32.store8 $mem offset=4 align=1 (i32.const 0)"
    " (i32.const 1)) (v128.const f32x4 1 0x1p-3 nan inf) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))"
    " (br_on_cast 0 (ref null $s) (ref $t)) (select (result i32)) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 "
    "15)"
    " (array.new_fixed $v 2) ref.test (ref null $s) (@note (a \"b\")) (; c ;) ;; d\n))";

START_TEST(undamaged)
{
    struct wat_error err;
    uint8_t *out;
    size_t size;
    int status = assemble(everything, &out, &size, &err);
    ck_assert_msg(status == HEMI_OK, "%u:%u: %s", err.line, err.column, err.message);
    free(out);
}
END_TEST

START_TEST(damaged)
{
    static char text[2 * sizeof everything];
    unsigned good = 0;
    seed();
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = sizeof everything - 1, size;
        memcpy(text, everything, length);
        for (uint32_t times = 1 + next(3); times > 0; times--) length = damage(text, length, sizeof text);
        char *exact = malloc(length + !length); /* so that the sanitizer sees a read beyond the end */
        memcpy(exact, text, length);
        struct wat_error err;
        uint8_t *out;
        int status = wat_assemble(exact, length, NULL, &out, &size, &err);
        ck_assert(status == HEMI_OK || status == HEMI_INVALID_MODULE);
        ck_assert((status == HEMI_OK) == (out != NULL));
        ck_assert(status == HEMI_OK || (err.line > 0 && err.message[0]));
        good += status == HEMI_OK;
        free(out);
        free(exact);
    }
    ck_assert_uint_gt(good, 0); /* else the damage tests nothing but the lexer */
}
END_TEST

/* Cut anywhere, a text is refused, never half accepted: the parentheses do not match. */
START_TEST(truncated)
{
    for (size_t length = 1; length < sizeof everything - 1; length++) {
        struct wat_error err;
        uint8_t *out;
        size_t size;
        ck_assert_int_eq(wat_assemble(everything, length, NULL, &out, &size, &err), HEMI_INVALID_MODULE);
    }
}
END_TEST

START_TEST(project_modules)
{
    struct dirent *entry;
    unsigned count = 0;
    DIR *folder = opendir(HEMI_MODULES_DIR);
    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder))) {
        if (!strstr(entry->d_name, ".wat")) continue;
        char path[4096], *text = malloc(1 << 20);
        snprintf(path, sizeof path, "%s/%s", HEMI_MODULES_DIR, entry->d_name);
        FILE *in = fopen(path, "rb");
        ck_assert_ptr_nonnull(in);
        size_t length = fread(text, 1, 1 << 20, in), size;
        fclose(in);
        struct wat_error err;
        uint8_t *out;
        int status = wat_assemble(text, length, path, &out, &size, &err);
        ck_assert_msg(status == HEMI_OK, "%s:%u:%u: %s", path, err.line, err.column, err.message);
        free(out);
        free(text);
        count++;
    }
    closedir(folder);
    ck_assert_uint_gt(count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wat");
    TCase *tests = tcase_create("assembler");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, encodings);
    tcase_add_test(tests, module_forms);
    tcase_add_test(tests, segments);
    tcase_add_test(tests, abbreviations);
    tcase_add_test(tests, implicit_types);
    tcase_add_test(tests, implicit_types_named_before_they_are_added);
    tcase_add_test(tests, instructions);
    tcase_add_test(tests, customs);
    tcase_add_test(tests, name_section);
    tcase_add_test(tests, data_count);
    tcase_add_test(tests, errors);
    tcase_add_test(tests, integers);
    tcase_add_test(tests, floats);
    tcase_add_test(tests, hexadecimal_floats_round_to_nearest_even);
    tcase_add_test(tests, depth);
    tcase_add_test(tests, many_names);
    tcase_add_test(tests, undamaged);
    tcase_add_test(tests, damaged);
    tcase_add_test(tests, truncated);
    tcase_add_test(tests, project_modules);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
