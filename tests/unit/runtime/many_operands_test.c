/* tests/unit/runtime/many_operands_test.c -- calls, blocks, branches, tail calls, exceptions and structures with so
 * many operands that the translator moves them as a whole, and just not so many; in both memory schemes, and with a
 * collection at every allocation. Every operand is different and is weighed by its place. */
#include "tests/unit/rig.h"
#include <stdarg.h>

enum { TEXT = 1 << 20, KINDS = 5 };

struct text {
    char *at;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->at + t->len, TEXT - t->len, format, args);
    va_end(args);
    ck_assert_uint_lt(t->len, TEXT);
}

/* Operand i is of kind i % KINDS: its type, what makes it of the number i, and what makes an i64 of it. */
static const struct {
    const char *type, *before, *after, *to_i64;
} kinds[KINDS] = {{"i32", "i32.const ", "", "i64.extend_i32_u"},
                  {"i64", "i64.const ", "", "nop"},
                  {"f64", "f64.const ", "", "i64.trunc_f64_u"},
                  {"(ref null $box)", "i32.const ", " struct.new $box", "struct.get $box 0 i64.extend_i32_u"},
                  {"v128", "v128.const i64x2 0 ", "", "i64x2.extract_lane 1"}};

static void say_types(struct text *t, const char *what, uint32_t n)
{
    say(t, " (%s", what);
    for (uint32_t i = 0; i < n; i++) say(t, " %s", kinds[i % KINDS].type);
    say(t, ")");
}

static void say_values(struct text *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) say(t, " %s%u%s", kinds[i % KINDS].before, i, kinds[i % KINDS].after);
    say(t, "\n");
}

static void say_locals(struct text *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) say(t, " local.get %u", i);
    say(t, "\n");
}

/* [operands] -> [i64]: the sum of (i + 1) times operand i, in two forms. */
static uint64_t sum(uint32_t n)
{
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++) s += (i + 1) * i;
    return s;
}

static void say_sum(struct text *t, uint32_t n)
{
    say(t, "(func $sum (type $take) i64.const 0");
    for (uint32_t i = 0; i < n; i++)
        say(t, " local.get %u %s i64.const %u i64.mul i64.add", i, kinds[i % KINDS].to_i64, i + 1);
    say(t, ")\n");
}

static void say_fields_sum(struct text *t, uint32_t n)
{
    say(t, "(func $fields (param (ref $all)) (result i64) i64.const 0");
    for (uint32_t i = 0; i < n; i++)
        say(t, " local.get 0 struct.get $all %u %s i64.const %u i64.mul i64.add", i, kinds[i % KINDS].to_i64, i + 1);
    say(t, ")\n");
}

/* Each takes a condition and returns the sum of all operands, whatever it is; the operands lie one too high for their
 * labels, so that they must move. "OUT" leaves the block with the sum. */
#define OUT " call $sum local.set $r drop local.get $r return"
static const struct {
    const char *name, *body;
} tests[] = {
    {"call", "call $make call $pass call $sum"},
    {"call_above", "i64.const 5 call $make call $pass call $sum i64.add i64.const 5 i64.sub"},
    {"call_values", "VALUES call $pass call $pass call $sum"},
    {"call_indirect", "call $make i32.const 0 call_indirect (type $change) call $sum"},
    {"call_indirect_local", "call $make local.get $c local.get $c i32.sub call_indirect (type $change) call $sum"},
    {"call_ref", "call $make ref.func $pass call_ref $change call $sum"},
    {"tail", "VALUES return_call $sum"},
    {"tail_made", "i32.const 1 call $make return_call $sum"},
    {"br", "block (type $give) i32.const 9 VALUES br 0 end call $sum"},
    {"br_if", "block (type $give) i32.const 9 VALUES local.get $c br_if 0" OUT " end call $sum"},
    {"br_if_made", "block (type $give) i32.const 9 call $make local.get $c br_if 0" OUT " end call $sum"},
    {"br_if_compared",
     "block (type $give) i32.const 9 VALUES local.get $c i32.const 1 i32.eq br_if 0" OUT " end call $sum"},
    {"br_if_in_place", "block (type $give) VALUES local.get $c br_if 0 call $pass end call $sum"},
    {"br_table",
     "block (type $give) i32.const 9 block (type $give) i32.const 8 VALUES local.get $c br_table 0 1 0 end" OUT
     " end call $sum"},
    {"if", "VALUES local.get $c if (type $change) call $pass else call $pass call $pass end call $sum"},
    {"if_without_else", "call $make local.get $c if (type $change) call $pass end call $sum"},
    {"nested", "VALUES block (type $change) block (type $change) call $pass end end call $sum"},
    {"loop", "VALUES loop (type $change) block (type $change) call $pass local.get $n i32.const 1"
             " i32.add local.tee $n i32.const 4 i32.lt_u br_if 1 end end call $sum"},
    {"loop_moved", "VALUES loop (type $take) call $sum local.set $r i32.const 9 VALUES local.get $n i32.const 1 i32.add"
                   " local.tee $n i32.const 4 i32.lt_u br_if 0" OUT " end"},
    {"br_on_null", "block (type $give) i32.const 9 VALUES ref.null any br_on_null 0 drop" OUT " end call $sum"},
    {"br_on_non_null",
     "block (type $give_any) i32.const 9 VALUES local.get $c ref.i31 br_on_non_null 0" OUT " end drop call $sum"},
    {"br_on_cast", "block (type $give_any) i32.const 9 VALUES local.get $c ref.i31 br_on_cast 0 anyref i31ref drop" OUT
                   " end drop call $sum"},
    {"br_on_cast_fail", "block (type $give_any) i32.const 9 VALUES local.get $c ref.i31 br_on_cast_fail 0 anyref "
                        "(ref struct) drop" OUT " end drop call $sum"},
    {"catch", "block (type $give) i32.const 9 try_table (catch $e 0) VALUES throw $e end unreachable end call $sum"},
    {"struct", "VALUES struct.new $all call $fields"},
    {"struct_made", "i32.const 9 call $make struct.new $all call $fields return"},
    {"return", "local.get $c call $many call $sum"},
};

static void say_body(struct text *t, const char *body, uint32_t n)
{
    for (const char *at = body, *values; *at; at = values) {
        values = strstr(at, "VALUES");
        say(t, "%.*s", (int)(values ? (size_t)(values - at) : strlen(at)), at);
        if (!values) break;
        say_values(t, n);
        values += strlen("VALUES");
    }
}

static void say_definitions(struct text *t, uint32_t n)
{
    say(t, "(type $box (struct (field i32))) (type $give (func");
    say_types(t, "result", n);
    say(t, ")) (type $give_any (func");
    say_types(t, "result", n);
    say(t, " (result anyref))) (type $change (func");
    say_types(t, "param", n);
    say_types(t, "result", n);
    say(t, ")) (type $take (func");
    say_types(t, "param", n);
    say(t, " (result i64))) (type $thrown (func");
    say_types(t, "param", n);
    say(t, ")) (tag $e (type $thrown)) (type $all (struct");
    for (uint32_t i = 0; i < n; i++) say(t, " (field %s)", kinds[i % KINDS].type);
    say(t, ")) (table funcref (elem $pass))\n(func $make (type $give)");
    say_values(t, n);
    say(t, ")\n(func $pass (type $change)");
    say_locals(t, n);
    say(t, ")\n(func $many (param i32)");
    say_types(t, "result", n);
    say(t, " i32.const 9");
    say_values(t, n);
    say(t, "local.get 0 br_if 0 call $pass return)\n");
    say_sum(t, n);
    say_fields_sum(t, n);
}

static char *module_text(uint32_t n)
{
    struct text t = {.at = malloc(TEXT)};
    say(&t, "(module ");
    say_definitions(&t, n);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        say(&t, "(func (export \"%s\") (param $c i32) (result i64) (local $r i64) (local $n i32)\n", tests[i].name);
        say_body(&t, tests[i].body, n);
        say(&t, ")\n");
    }
    say(&t, ")");
    return t.at;
}

static void check_all(struct rig *r, struct instance *in, uint32_t n)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        for (uint32_t condition = 0; condition < 2; condition++) {
            union val out = {0};
            enum hemi_status status = rig_call(r, in, tests[i].name, (uint32_t[4]){condition}, &out);
            ck_assert_msg(status == HEMI_OK, "%s with %u operands: %s", tests[i].name, n, r->err.message);
            ck_assert_msg(out.i64 == sum(n), "%s with %u operands, %u: %llu instead of %llu", tests[i].name, n,
                          condition, (unsigned long long)out.i64, (unsigned long long)sum(n));
        }
    }
}

static void check_count(uint32_t n, bool explicit_checks, uint32_t stress)
{
    struct rig r;
    rig_init_engine(&r, (struct engine_options){.explicit_checks = explicit_checks},
                    (struct store_options){.gc_stress = stress});
    char *text = module_text(n);
    struct instance *in = rig_instance(&r, text, NULL);
    free(text);
    check_all(&r, in, n);
    rig_deinit(&r);
}

START_TEST(operands_arrive_however_many_they_are)
{
    static const uint32_t counts[] = {2, 9, 12, 13, 14, 15, 16, 17, 18, 31, 64, 100, 333};
    check_count(counts[_i], false, 0);
    check_count(counts[_i], true, 0);
    check_count(counts[_i], false, 1);
}
END_TEST

/* A call, block or branch with a thousand operands has a few bytes. What it is translated to must not be a thousand
 * times as large: a module of one megabyte took four gigabytes. */
START_TEST(a_thousand_operands_cost_no_code_each)
{
    static const struct {
        const char *before, *unit, *after;
    } shapes[] = {
        {"call $make", " call $pass", " call $drop"},
        {"", " call $make call $drop", ""},
        {"block (type $give) i32.const 9 call $make", " local.get 0 br_if 0", " call $drop drop return end call $drop"},
        {"call $make", " block (type $change) end", " call $drop"},
        {"call $make", " local.get 0 if (type $change) else end", " call $drop"},
        {"call $make", " struct.new $all drop call $make", " call $drop"},
        {"call $make", " array.new_fixed $bytes 1000 drop call $make", " call $drop"},
    };
    enum { UNITS = 1000, N = 1000 };
    struct rig r;
    rig_init(&r);
    struct text t = {.at = malloc(TEXT)};
    say(&t, "(module (type $give (func (result");
    for (uint32_t i = 0; i < N; i++) say(&t, " i32");
    say(&t, "))) (type $change (func (param");
    for (uint32_t i = 0; i < N; i++) say(&t, " i32");
    say(&t, ") (result");
    for (uint32_t i = 0; i < N; i++) say(&t, " i32");
    say(&t, "))) (type $lose (func (param");
    for (uint32_t i = 0; i < N; i++) say(&t, " i32");
    say(&t, "))) (type $all (struct");
    for (uint32_t i = 0; i < N; i++) say(&t, " (field i32)");
    say(&t, ")) (type $bytes (array i8)) (func $make (type $give) unreachable) (func $pass (type $change) unreachable) "
            "(func $drop (type $lose))\n");
    uint32_t count = sizeof shapes / sizeof *shapes;
    for (uint32_t i = 0; i < count; i++) {
        say(&t, "(func (param i32) %s", shapes[i].before);
        for (uint32_t k = 0; k < UNITS; k++) say(&t, "%s", shapes[i].unit);
        say(&t, "%s)\n", shapes[i].after);
    }
    say(&t, ")");
    struct module *m = rig_module(&r, t.at);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_msg(m->code[3 + i].size < 200 * UNITS, "%s: %u bytes of code", shapes[i].unit, m->code[3 + i].size);
    module_unref(m);
    free(t.at);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("many_operands");
    TCase *c = tcase_create("many_operands");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, operands_arrive_however_many_they_are, 0, 13);
    tcase_add_test(c, a_thousand_operands_cost_no_code_each);
    suite_add_tcase(s, c);
    return run_suite(s);
}
