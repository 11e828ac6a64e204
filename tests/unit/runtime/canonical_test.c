/* tests/unit/runtime/canonical_test.c -- the engine option canonical_nans: with it every float instruction gives what
 * it gives without, but for NaNs that it makes, which are the canonical one. HEMI_SEED repeats a run. */
#include "proto/tables/opcodes.h"
#include "runtime/code/bodies.h"
#include "tests/unit/rig.h"
#include <stdarg.h>

/* ---- Which instructions */

/* Operands and immediates are plain, and the result is a float or lanes of floats. */
static bool is_float_row(const struct opcode_row *row)
{
    bool regular = row->imm == IMM_NONE && row->sig[0] != 'X';
    return regular && row->text[0] == 'f' && strchr("fFv", row->sig[strlen(row->sig) - 1]) != NULL;
}

/* These give an operand, or a part of it, or never a NaN (3.0, 4.3.3: "fneg", "fabs", "fcopysign", "fpmin", "fpmax").
 */
static bool only_moves(const struct opcode_row *row)
{
    static const char *const names[] = {"abs",     "neg", "copysign", "pmin", "pmax", "splat", "reinterpret",
                                        "convert", "eq",  "ne",       "lt",   "gt",   "le",    "ge"};
    const char *name = strchr(row->text, '.') + 1;
    size_t n = strcspn(name, "_");
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strlen(names[k]) == n && strncmp(name, names[k], n) == 0) return true;
    return false;
}

/* ---- A module with a function for each: six i64, two for an operand, to two i64 */

struct text {
    char *at;
    size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->at + t->len, t->cap - t->len, format, args);
    va_end(args);
    ck_assert(t->len < t->cap);
}

static void say_operand(struct text *t, char type, int k)
{
    switch (type) {
    case 'f':
        say(t, " (f32.reinterpret_i32 (i32.wrap_i64 (local.get %d)))", 2 * k);
        break;
    case 'F':
        say(t, " (f64.reinterpret_i64 (local.get %d))", 2 * k);
        break;
    case 'i':
        say(t, " (i32.wrap_i64 (local.get %d))", 2 * k);
        break;
    case 'I':
        say(t, " (local.get %d)", 2 * k);
        break;
    default:
        say(t, " (i64x2.replace_lane 1 (i64x2.splat (local.get %d)) (local.get %d))", 2 * k, 2 * k + 1);
    }
}

static void say_call(struct text *t, const struct opcode_row *row)
{
    say(t, "(%s", row->text);
    for (int k = 0; row->sig[k] != '_'; k++) say_operand(t, row->sig[k], k);
    say(t, ")");
}

static void say_function(struct text *t, const struct opcode_row *row)
{
    char result = row->sig[strlen(row->sig) - 1];
    say(t, "(func (export \"%s\") (param i64 i64 i64 i64 i64 i64) (result i64 i64) (local $r v128)\n", row->text);
    if (result == 'v') {
        say(t, "(local.set $r ");
        say_call(t, row);
        say(t, ") (i64x2.extract_lane 0 (local.get $r)) (i64x2.extract_lane 1 (local.get $r)))\n");
        return;
    }
    say(t, result == 'F' ? "(i64.reinterpret_f64 " : "(i64.extend_i32_u (i32.reinterpret_f32 ");
    say_call(t, row);
    say(t, result == 'F' ? ") (i64.const 0))\n" : ")) (i64.const 0))\n");
}

static char *module_text(void)
{
    struct text t = {.at = malloc(1 << 20), .cap = 1 << 20};
    say(&t, "(module ");
    for (uint32_t op = 0; op < OP_COUNT; op++)
        if (is_float_row(&opcode_rows[op])) say_function(&t, &opcode_rows[op]);
    say(&t, ")");
    return t.at;
}

/* ---- Operands */

static uint64_t state;
static uint64_t draw(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}
static void seed(void)
{
    const char *given = getenv("HEMI_SEED");
    state = given ? strtoull(given, NULL, 0) : 20260102;
    printf("HEMI_SEED=%llu\n", (unsigned long long)state);
    state |= 1;
}
/* NaNs of all kinds, infinities, zeros, ones, anything: one of 64 bits or two of 32. */
static uint64_t operand(void)
{
    static const uint32_t few32[] = {0x7F800000, 0xFF800000, 0x00000000, 0x80000000, 0x7FC00000,
                                     0xFFC00000, 0x7FA00001, 0xFFC12345, 0x3F800000, 0xBF800000};
    static const uint64_t few64[] = {0x7FF0000000000000, 0xFFF0000000000000, 0x0000000000000000, 0x8000000000000000,
                                     0x7FF8000000000000, 0xFFF8000000000000, 0x7FF4000000000001, 0xFFF8123456789ABC,
                                     0x3FF0000000000000, 0xBFF0000000000000};
    if (draw() % 4 == 0) return draw();
    if (draw() % 2 == 0) return few64[draw() % 10];
    return few32[draw() % 10] | (uint64_t)few32[draw() % 10] << 32;
}

/* ---- Comparing */

static bool is_nan(uint64_t bits, bool wide)
{
    return wide ? f64_of(bits) != f64_of(bits) : f32_of((uint32_t)bits) != f32_of((uint32_t)bits);
}
static uint64_t canonical(uint64_t bits, bool wide)
{
    if (wide) return is_nan(bits, true) ? CANONICAL_NAN64 : bits;
    uint64_t low = is_nan(bits, false) ? CANONICAL_NAN32 : bits & UINT32_MAX;
    return low | (is_nan(bits >> 32, false) ? (uint64_t)CANONICAL_NAN32 : bits >> 32) << 32;
}

static void call(struct rig *r, struct instance *in, const char *name, const union val *args, union val *out)
{
    ck_assert_int_eq(rt_call(r->store, rig_export(in, name).func, args, out, r->stack, &r->err), HEMI_OK);
}

/* Returns how often the option made a difference. */
static uint32_t check(struct rig *rigs, struct instance **in, const struct opcode_row *row)
{
    uint32_t differences = 0;
    bool wide = row->text[1] == '6';
    for (int i = 0; i < 3000; i++) {
        union val args[6], off[2], on[2];
        for (int k = 0; k < 6; k++) args[k] = (union val){.i64 = operand()};
        call(&rigs[0], in[0], row->text, args, off);
        call(&rigs[1], in[1], row->text, args, on);
        for (int k = 0; k < 2; k++) {
            uint64_t want = only_moves(row) ? off[k].i64 : canonical(off[k].i64, wide);
            if (on[k].i64 != want)
                ck_abort_msg("%s: %llx, not %llx", row->text, (unsigned long long)on[k].i64, (unsigned long long)want);
            differences += on[k].i64 != off[k].i64;
        }
    }
    return differences;
}

START_TEST(arithmetic_makes_the_canonical_nan_only)
{
    struct rig rigs[2];
    struct instance *in[2];
    char *text = module_text();
    for (int k = 0; k < 2; k++) {
        rig_init_engine(&rigs[k], (struct engine_options){.canonical_nans = k == 1}, (struct store_options){0});
        in[k] = rig_instance(&rigs[k], text, NULL);
    }
    free(text);
    seed();
    uint32_t tried = 0;
    for (uint32_t op = 0; op < OP_COUNT; op++) {
        const struct opcode_row *row = &opcode_rows[op];
        if (!is_float_row(row)) continue;
        uint32_t differences = check(rigs, in, row);
        ck_assert_msg((differences == 0) == only_moves(row), "%s: no NaN was made", row->text);
        tried++;
    }
    ck_assert_uint_eq(tried, 98);
    for (int k = 0; k < 2; k++) rig_deinit(&rigs[k]);
}
END_TEST

/* What an x86-64 machine calls the default NaN has its sign set. */
START_TEST(invalid_operations_make_a_positive_nan)
{
    struct rig r;
    rig_init_engine(&r, (struct engine_options){.canonical_nans = true}, (struct store_options){0});
    struct instance *in =
        rig_instance(&r,
                     "(module (func (export \"div\") (param f32) (result i32)"
                     "  (i32.reinterpret_f32 (f32.div (local.get 0) (local.get 0))))"
                     " (func (export \"chain\") (param f32) (result i32) (local f32)"
                     "  (local.set 1 (f32.sqrt (f32.sub (f32.mul (local.get 0) (f32.const inf)) (f32.const 1))))"
                     "  (i32.reinterpret_f32 (f32.neg (local.get 1))))"
                     " (func (export \"lanes\") (param f32) (result i32) (local v128)"
                     "  (local.set 1 (f32x4.splat (local.get 0)))"
                     "  (local.set 1 (f32x4.div (local.get 1) (local.get 1)))"
                     "  (i32x4.extract_lane 3 (local.get 1))))",
                     NULL);
    ck_assert_uint_eq(rig_ok(&r, in, "div", 0), 0x7FC00000);
    ck_assert_uint_eq(rig_ok(&r, in, "chain", 0), 0xFFC00000);
    ck_assert_uint_eq(rig_ok(&r, in, "lanes", 0), 0x7FC00000);
    ck_assert_uint_eq(rig_ok(&r, in, "div", 0x3F800000), 0x3F800000);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("canonical");
    TCase *t = tcase_create("canonical");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, arithmetic_makes_the_canonical_nan_only);
    tcase_add_test(t, invalid_operations_make_a_positive_nan);
    suite_add_tcase(s, t);
    return run_suite(s);
}
