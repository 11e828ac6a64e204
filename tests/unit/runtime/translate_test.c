/* tests/unit/runtime/translate_test.c -- the translator: every row is covered, random code computes what a model of it
 * computes, frame maps, limits. HEMI_SEED repeats a run. */
#include "runtime/translate/impl.h"
#include "tests/unit/rig.h"
#include <stdarg.h>
#include <time.h>

START_TEST(every_row_is_translated)
{
    for (uint32_t op = 0; op < OP_COUNT; op++)
        ck_assert_msg(tr_covers((enum opcode)op), "%s has no translation", opcode_rows[op].text);
}
END_TEST

/* ---- Random functions of i32 and i64, written as text while a model computes what they give */

enum {
    NLOCALS = 6,
    MEMORY = 4096,
    TEXT = 1 << 20,
    ROUNDS = 300
}; /* locals 0-2 are i32, 3-5 i64; 0, 1, 3, 4 parameters */

struct model {
    uint64_t locals[NLOCALS], global;
    uint8_t memory[MEMORY];
};
struct gen {
    uint64_t state;
    struct model m;
    char *text;
    size_t len;
};

static uint32_t rnd(struct gen *g, uint32_t below)
{
    g->state ^= g->state << 13;
    g->state ^= g->state >> 7;
    g->state ^= g->state << 17;
    return (uint32_t)(g->state >> 32) % below;
}

__attribute__((format(printf, 2, 3))) static void say(struct gen *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g->len += (size_t)vsnprintf(g->text + g->len, TEXT - g->len, format, args);
    va_end(args);
    ck_assert_uint_lt(g->len, TEXT);
}

static uint64_t gen32(struct gen *g, uint32_t depth);
static uint64_t gen64(struct gen *g, uint32_t depth);
static uint64_t gen(struct gen *g, bool wide, uint32_t depth) { return wide ? gen64(g, depth) : gen32(g, depth); }

static uint64_t interesting(struct gen *g, bool wide)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      31,
                                      0x7FFFFFFF,
                                      0x80000000,
                                      0xFFFFFFFF,
                                      0x100000000,
                                      0x8000000000000000,
                                      0xFFFFFFFFFFFFFFFF,
                                      0xFFFFFFFF80000000,
                                      12345};
    uint64_t v = rnd(g, 3) == 0 ? g->state : values[rnd(g, sizeof values / sizeof *values)];
    return wide ? v : (uint32_t)v;
}

static uint64_t leaf(struct gen *g, bool wide)
{
    uint32_t local = rnd(g, NLOCALS / 2) + (wide ? 3 : 0);
    if (rnd(g, 3) > 0) {
        say(g, "(local.get %u)", local);
        return g->m.locals[local];
    }
    uint64_t v = interesting(g, wide);
    say(g, wide ? "(i64.const 0x%llx)" : "(i32.const 0x%llx)", (unsigned long long)v);
    return v;
}

#define BINARY_OPS(X)                                                                                                  \
    X("add", a + b)                                                                                                    \
    X("sub", a - b)                                                                                                    \
    X("mul", a *b) X("and", a &b) X("or", a | b) X("xor", a ^ b) X("shl", a << (b & mask)) X("shr_u", a >> (b & mask))

static uint64_t binary(struct gen *g, bool wide, uint32_t depth)
{
    static const char *const names[] = {
#define X(name, value) name,
        BINARY_OPS(X)
#undef X
    };
    uint32_t op = rnd(g, sizeof names / sizeof *names), mask = wide ? 63 : 31;
    say(g, "(i%d.%s ", wide ? 64 : 32, names[op]);
    uint64_t a = gen(g, wide, depth - 1), b = gen(g, wide, depth - 1);
    say(g, ")");
    const uint64_t values[] = {
#define X(name, value) value,
        BINARY_OPS(X)
#undef X
    };
    return wide ? values[op] : (uint32_t)values[op];
}

static uint64_t comparison(struct gen *g, uint32_t depth)
{
    static const char *const names[] = {"eq", "ne", "lt_u", "gt_u", "le_u", "ge_u", "lt_s", "ge_s"};
    uint32_t op = rnd(g, 8);
    bool wide = rnd(g, 2);
    say(g, "(i%d.%s ", wide ? 64 : 32, names[op]);
    uint64_t a = gen(g, wide, depth - 1), b = gen(g, wide, depth - 1);
    say(g, ")");
    int64_t sa = wide ? (int64_t)a : (int32_t)a, sb = wide ? (int64_t)b : (int32_t)b;
    const bool values[] = {a == b, a != b, a<b, a> b, a <= b, a >= b, sa < sb, sa >= sb};
    return values[op];
}

static uint64_t eqz(struct gen *g, uint32_t depth)
{
    bool wide = rnd(g, 4) == 0;
    say(g, "(i%d.eqz ", wide ? 64 : 32);
    uint64_t a = wide ? gen64(g, depth - 1) : rnd(g, 2) ? comparison(g, depth) : gen32(g, depth - 1);
    say(g, ")");
    return a == 0;
}

static uint64_t condition(struct gen *g, uint32_t depth)
{
    uint32_t kind = rnd(g, 3);
    return kind == 0 ? comparison(g, depth) : kind == 1 ? eqz(g, depth) : gen32(g, depth - 1);
}

static uint64_t tee(struct gen *g, bool wide, uint32_t depth)
{
    uint32_t local = rnd(g, NLOCALS / 2) + (wide ? 3 : 0);
    say(g, "(local.tee %u ", local);
    uint64_t v = gen(g, wide, depth - 1);
    say(g, ")");
    return g->m.locals[local] = v;
}

static uint64_t select_of(struct gen *g, bool wide, uint32_t depth)
{
    say(g, "(select ");
    uint64_t a = gen(g, wide, depth - 1), b = gen(g, wide, depth - 1), c = condition(g, depth);
    say(g, ")");
    return c ? a : b;
}

/* Writes something that is not executed: the model must not notice. */
static void unexecuted(struct gen *g, bool wide, uint32_t depth)
{
    struct model m = g->m;
    gen(g, wide, depth - 1);
    g->m = m;
}

static uint64_t if_of(struct gen *g, bool wide, uint32_t depth)
{
    say(g, "(if (result %s) ", wide ? "i64" : "i32");
    bool taken = condition(g, depth) != 0;
    uint64_t v = 0;
    for (int arm = 0; arm < 2; arm++) {
        say(g, arm == 0 ? "(then " : "(else ");
        if (taken == (arm == 0))
            v = gen(g, wide, depth - 1);
        else
            unexecuted(g, wide, depth);
        say(g, ")");
    }
    say(g, ")");
    return v;
}

/* A block left early by br_if with a value, or at its end. */
static uint64_t block(struct gen *g, bool wide, uint32_t depth)
{
    say(g, "(block (result %s) (drop (br_if 0 ", wide ? "i64" : "i32");
    uint64_t early = gen(g, wide, depth - 1);
    bool leaves = condition(g, depth) != 0;
    say(g, "))");
    struct model m = g->m;
    uint64_t late = gen(g, wide, depth - 1);
    if (leaves) g->m = m;
    say(g, ")");
    return leaves ? early : late;
}

static uint64_t table_of(struct gen *g, uint32_t depth)
{
    say(g, "(block (result i32) (i32.add (i32.const 1) (block (result i32) (br_table 0 1 0 ");
    uint64_t v = gen32(g, depth - 1), index = gen32(g, depth - 1);
    say(g, "))))");
    return index == 1 ? v : (uint32_t)(v + 1);
}

/* $mix (i32 i64 i32) -> i64, and $two -> i64 i32 */
static uint64_t call(struct gen *g, uint32_t depth)
{
    say(g, "(call $mix ");
    uint64_t a = gen32(g, depth - 1), b = gen64(g, depth - 1), c = gen32(g, depth - 1);
    say(g, ")");
    g->m.global += b;
    return (a * 31 + b) ^ (c << 7);
}

static uint64_t two(struct gen *g, uint32_t depth)
{
    say(g, "(i64.add (i64.extend_i32_u (call $two ");
    uint64_t a = gen64(g, depth - 1);
    say(g, ")))");
    return a * 3 + (uint32_t)(a >> 5);
}

static uint64_t loop(struct gen *g, uint32_t depth)
{
    uint32_t n = rnd(g, 4) + 1;
    say(g, "(local.set 4 ");
    uint64_t v = g->m.locals[4] = gen64(g, depth - 1);
    say(g, ") (global.set $n (i32.const %u)) ", n);
    say(g, "(loop (result i64) (local.set 4 (i64.mul (local.get 4) (i64.const 7)))"
           " (global.set $n (i32.sub (global.get $n) (i32.const 1))) (br_if 0 (global.get $n)) (local.get 4))");
    for (uint32_t i = 0; i < n; i++) v *= 7;
    return g->m.locals[4] = v;
}

static uint64_t memory(struct gen *g, uint32_t depth)
{
    say(g, "(block (result i32) (i32.store16 offset=3 (i32.const 5) ");
    uint64_t v = gen32(g, depth - 1);
    memcpy(g->m.memory + 8, &v, 2);
    say(g, ") (i32.load16_s offset=8 (i32.const 0)))");
    return (uint32_t)(int16_t)v;
}

/* An address that is a sum in one of the ways that an instruction knows; local 2 is between 0x400 and 0x4FF. */
static uint32_t sum(struct gen *g)
{
    static const char *const texts[] = {"(local.get 2) (i32.const 16)", "(local.get 2) (i32.const -0x400)",
                                        "(local.get 2) (local.get 2)"};
    uint32_t kind = rnd(g, 6), p = (uint32_t)g->m.locals[2];
    uint32_t values[] = {p + 16, p - 0x400, p + p};
    if (kind < 3) {
        say(g, "(i32.add %s)", texts[kind]);
        return values[kind];
    }
    say(g, "(i32.add %s(i32.and (i32.const 255) ", kind == 3 ? "(local.get 2) " : "");
    uint32_t low = (uint32_t)leaf(g, false) & 255;
    say(g, ") %s)", kind == 3 ? "" : kind == 4 ? "(local.get 2)" : "(i32.const 0x500)");
    return low + (kind < 5 ? p : 0x500);
}

static uint64_t set_pointer(struct gen *g, uint32_t depth)
{
    say(g, "(local.set 2 (i32.or (i32.const 0x400) (i32.and (i32.const 255) ");
    uint64_t low = gen32(g, depth - 1) & 255;
    say(g, "))) ");
    return g->m.locals[2] = 0x400 | low;
}

/* Stores and loads at sums. */
static uint64_t sums(struct gen *g, bool wide, uint32_t depth)
{
    uint32_t offset = rnd(g, 3) * 7, narrow = rnd(g, 2);
    say(g, "(block (result %s) ", wide ? "i64" : "i32");
    set_pointer(g, depth);
    say(g, "(i%d.store%s offset=%u ", wide ? 64 : 32, narrow ? "8" : "", offset);
    uint32_t at = sum(g) + offset;
    uint64_t v = leaf(g, wide);
    memcpy(g->m.memory + at, &v, narrow ? 1 : wide ? 8 : 4);
    say(g, ") (i%d.load%s offset=%u ", wide ? 64 : 32, narrow ? "8_s" : "", offset);
    at = sum(g) + offset;
    say(g, "))");
    v = 0;
    memcpy(&v, g->m.memory + at, wide ? 8 : 4);
    if (narrow) v = (uint64_t)(int64_t)(int8_t)v;
    return wide ? v : (uint32_t)v;
}

/* x = x ^ (x << c), x + (x << c) and so on, with a local or an expression, in both orders. */
static uint64_t shifted(struct gen *g, bool wide, uint32_t depth)
{
    uint32_t bits = wide ? 64 : 32, n = rnd(g, 70), left = rnd(g, 2), add = rnd(g, 2), first = rnd(g, 2);
    uint64_t b = 0;
    say(g, "(i%u.%s ", bits, add ? "add" : "xor");
    if (!first) b = leaf(g, wide);
    say(g, "(i%u.%s ", bits, left ? "shl" : "shr_u");
    uint64_t a = gen(g, wide, depth - 1);
    say(g, " (i%u.const %u))", bits, n);
    if (first) b = leaf(g, wide);
    say(g, ")");
    a = wide ? left ? a << (n & 63) : a >> (n & 63) : left ? (uint32_t)a << (n & 31) : (uint32_t)a >> (n & 31);
    a = add ? a + b : a ^ b;
    return wide ? a : (uint32_t)a;
}

/* ---- Counting loops: a local is stepped and compared with a constant, with another local, or with itself. */

static bool compare32(uint32_t op, uint32_t a, uint32_t b)
{
    int32_t sa = (int32_t)a, sb = (int32_t)b;
    const bool values[] = {a == b, a != b, sa<sb, a<b, sa> sb, a> b, sa <= sb, a <= b, sa >= sb, a >= b, a == 0};
    return values[op];
}

static const char *const compare32_names[] = {"i32.eq",   "i32.ne",   "i32.lt_s", "i32.lt_u", "i32.gt_s", "i32.gt_u",
                                              "i32.le_s", "i32.le_u", "i32.ge_s", "i32.ge_u", "i32.eqz"};
enum { COMPARE_EQZ = 10 };

struct counting {
    uint32_t op, start, step, bound, kind; /* 0 constant, 1 local 1, 2 the local itself */
};

/* Locals 2 and 1 count and bound; 5 sums up. Gives how often the loop runs, at most `most` times. */
static uint32_t run_counting(const struct counting *c, struct model *m, uint32_t most)
{
    uint32_t i = c->start, n = 0;
    bool again = true;
    for (; again && n < most; n++) {
        m->locals[5] = m->locals[5] * 3 + i;
        i += c->step;
        again = compare32(c->op, i, c->kind == 2 ? i : c->bound);
    }
    m->locals[2] = i;
    m->locals[1] = c->bound;
    return n;
}

static uint64_t counting(struct gen *g)
{
    enum { MOST = 50 };
    struct counting c = {rnd(g, COMPARE_EQZ + 1), (uint32_t)interesting(g, false), rnd(g, 9) - 4,
                         (uint32_t)interesting(g, false), rnd(g, 3)};
    if (rnd(g, 2)) c.bound = c.start + rnd(g, 20) * c.step;
    struct model m = g->m;
    if (run_counting(&c, &m, MOST) == MOST) c = (struct counting){1, 0, 1, 3, 0};
    uint32_t times = run_counting(&c, &g->m, MOST);
    char test[80];
    const char *bound = c.op == COMPARE_EQZ ? ""
                        : c.kind == 0       ? "(i32.const %u)"
                        : c.kind == 1       ? "(local.get 1)"
                                            : "(local.get 2)";
    int n = snprintf(test, sizeof test, "(%s (local.get 2) ", compare32_names[c.op]);
    snprintf(test + n, sizeof test - (size_t)n, bound, c.bound);
    say(g,
        "(local.set 2 (i32.const %u)) (local.set 1 (i32.const %u)) (block $out (loop $again "
        "(local.set 5 (i64.add (i64.mul (local.get 5) (i64.const 3)) (i64.extend_i32_u (local.get 2))))"
        " (local.set 2 (i32.add (local.get 2) (i32.const %u)))",
        c.start, c.bound, c.step);
    if (rnd(g, 2)) { /* and of another local, which is not compared */
        say(g, " (local.set 0 (i32.add (local.get 0) (i32.const 3)))");
        g->m.locals[0] = (uint32_t)(g->m.locals[0] + 3 * times);
    }
    if (rnd(g, 2))
        say(g, rnd(g, 2) ? " (br_if $again %s))))" : " (br_if $again (i32.eqz (i32.eqz %s))))))", test);
    else /* and a step right before the jump */
        say(g, " (br_if $out (i32.eqz %s))) (local.set 2 (i32.add (local.get 2) (i32.const 0))) (br $again)))", test);
    say(g, " (local.get 5)");
    return g->m.locals[5];
}

static uint64_t gen32(struct gen *g, uint32_t depth)
{
    if (depth == 0 || rnd(g, 6) == 0) return leaf(g, false);
    switch (rnd(g, 14)) {
    case 0:
        return tee(g, false, depth);
    case 1:
        return select_of(g, false, depth);
    case 2:
        return if_of(g, false, depth);
    case 3:
        return block(g, false, depth);
    case 4:
        return comparison(g, depth);
    case 5:
        return eqz(g, depth);
    case 6:
        return rnd(g, 2) ? memory(g, depth) : sums(g, false, depth);
    case 9:
        return shifted(g, false, depth);
    case 7:
        return table_of(g, depth);
    case 8: {
        say(g, "(i32.wrap_i64 ");
        uint64_t v = gen64(g, depth - 1);
        say(g, ")");
        return (uint32_t)v;
    }
    default:
        return binary(g, false, depth);
    }
}

static uint64_t gen64(struct gen *g, uint32_t depth)
{
    if (depth == 0 || rnd(g, 6) == 0) return leaf(g, true);
    switch (rnd(g, 16)) {
    case 0:
        return tee(g, true, depth);
    case 1:
        return select_of(g, true, depth);
    case 2:
        return if_of(g, true, depth);
    case 3:
        return block(g, true, depth);
    case 4:
        return call(g, depth);
    case 5:
        return two(g, depth);
    case 6:
        return loop(g, depth);
    case 7: {
        say(g, "(global.get $g)");
        return g->m.global;
    }
    case 9:
        return shifted(g, true, depth);
    case 10:
        return sums(g, true, depth);
    case 11:
        return counting(g);
    case 8: {
        say(g, "(i64.extend_i32_u ");
        uint64_t v = gen32(g, depth - 1);
        say(g, ")");
        return v;
    }
    default:
        return binary(g, true, depth);
    }
}

static uint64_t gen_module(struct gen *g, const union val args[4])
{
    g->len = 0;
    g->m = (struct model){.locals = {args[0].i32, args[1].i32, 0, args[2].i64, args[3].i64, 0}};
    say(g, "(module (memory 1) (global $g (mut i64) (i64.const 0)) (global $n (mut i32) (i32.const 0))"
           " (func $mix (param i32 i64 i32) (result i64) (global.set $g (i64.add (global.get $g) (local.get 1)))"
           "  (i64.xor (i64.add (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const 31)) (local.get 1))"
           "   (i64.shl (i64.extend_i32_u (local.get 2)) (i64.const 7))))"
           " (func $two (param i64) (result i64 i32) (i64.mul (local.get 0) (i64.const 3))"
           "  (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 5))))"
           " (func (export \"f\") (param i32 i32 i64 i64) (result i64)"
           "  (call $body (local.get 0) (local.get 1) (i32.const 0) (local.get 2) (local.get 3) (i64.const 0)))"
           " (func $body (param i32 i32 i32 i64 i64 i64) (result i64) ");
    uint64_t v = gen64(g, 7);
    say(g, "))");
    return v;
}

static uint64_t seed(void)
{
    const char *s = getenv("HEMI_SEED");
    uint64_t v = s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL) * 0x9E3779B97F4A7C15u;
    printf("HEMI_SEED=%llu\n", (unsigned long long)v);
    fflush(stdout);
    return v | 1;
}

START_TEST(random_code_computes_what_the_model_does)
{
    struct rig r;
    struct gen g = {.state = seed(), .text = malloc(TEXT)};
    for (int i = 0; i < ROUNDS; i++) {
        union val args[4] = {{.i64 = interesting(&g, false)},
                             {.i64 = interesting(&g, false)},
                             {.i64 = interesting(&g, true)},
                             {.i64 = interesting(&g, true)}},
                  out[1];
        uint64_t state = g.state, expected = gen_module(&g, args);
        rig_init(&r);
        struct instance *in = rig_instance(&r, g.text, NULL);
        ck_assert_int_eq(rt_call(r.store, rig_export(in, "f").func, args, out, r.stack, &r.err), HEMI_OK);
        ck_assert_msg(out[0].i64 == expected, "HEMI_SEED=%llu: %llx, not %llx\n%.2000s", (unsigned long long)state,
                      (unsigned long long)out[0].i64, (unsigned long long)expected, g.text);
        rig_deinit(&r);
    }
    free(g.text);
}
END_TEST

/* ---- Frames */

static const struct site *site_of(const struct module *m, uint32_t func, uint32_t number)
{
    for (uint32_t i = 1; i < m->nsites; i++)
        if (m->sites[i].func == func && number-- == 0) return &m->sites[i];
    ck_abort_msg("no such site");
}

START_TEST(a_site_lists_the_references_below_the_arguments)
{
    struct rig r;
    rig_init(&r);
    struct module *m = rig_module(&r, "(module (func $f (param i32 externref) (result funcref externref) unreachable)"
                                      " (func (param externref) (local funcref)"
                                      "  (call $f (i32.const 0) (local.get 0))" /* one function, one reference */
                                      "  (drop (drop (call $f (i32.const 1) (local.get 0)))) drop drop))");
    const struct code *c = &m->code[1];
    ck_assert_uint_eq(c->nlocal_refs, 1);
    ck_assert_uint_eq(c->nlocal_funcs, 1);
    ck_assert_uint_eq(c->local_refs[0], 0);
    ck_assert_uint_eq(c->local_refs[1], 1);
    const struct site *first = site_of(m, 1, 1), *second = site_of(m, 1, 2); /* 0 is the entry */
    ck_assert_uint_eq(first->nrefs + first->nfuncs, 0);
    ck_assert_uint_eq(second->nrefs, 1);
    ck_assert_uint_eq(second->nfuncs, 1);
    ck_assert_uint_eq(m->live_slots[second->live], 3); /* locals 0, 1; results at home: 2, 3 */
    ck_assert_uint_eq(m->live_slots[second->live + 1], 2);
    ck_assert_uint_ge(first->delta, VM_DELTA_MIN);
    ck_assert_uint_eq(second->region, REGION_NONE);
    module_unref(m);
    rig_deinit(&r);
}
END_TEST

static enum hemi_status with_operands(struct rig *r, uint32_t n)
{
    char *text = malloc(n * 20 + 100);
    size_t len = (size_t)sprintf(text, "(module (func (local i32) ");
    for (uint32_t i = 0; i < n; i++) len += (size_t)sprintf(text + len, "local.get 0 ");
    for (uint32_t i = 0; i < n; i++) len += (size_t)sprintf(text + len, "drop ");
    sprintf(text + len, "))");
    uint8_t *bytes;
    size_t size;
    struct wat_error we;
    ck_assert_int_eq(wat_assemble(text, strlen(text), "test", &bytes, &size, &we), 0);
    struct module *m;
    enum hemi_status status = module_new(r->engine, bytes, size, &m, &r->err);
    if (status == HEMI_OK) module_unref(m);
    free(bytes);
    free(text);
    return status;
}

START_TEST(a_frame_has_a_limit)
{
    struct rig r;
    rig_init(&r);
    ck_assert_int_eq(with_operands(&r, 50000), HEMI_OK);
    ck_assert_int_eq(with_operands(&r, FRAME_SLOTS_MAX), HEMI_LIMIT);
    rig_deinit(&r);
}
END_TEST

/* Offsets of traps come from pc, with instructions taken back and patched in between. */
START_TEST(a_trap_knows_its_place)
{
    struct rig r;
    rig_init(&r);
    struct instance *in =
        rig_instance(&r,
                     "(module (func (export \"f\") (param i32) (result i32)"
                     " (if (i32.eqz (i32.lt_s (local.get 0) (i32.const 5))) (then (return (i32.const 1))))"
                     " (i32.div_u (i32.const 7) (local.get 0))))",
                     NULL);
    ck_assert_uint_eq(rig_ok(&r, in, "f", 9), 1);
    ck_assert_uint_eq(rig_ok(&r, in, "f", 2), 3);
    rig_trap(&r, in, DIV_ZERO, "f", 0);
    const struct module *m = instance_module(in);
    ck_assert_uint_eq(m->bytes[r.err.offset], 0x6E); /* i32.div_u */
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("translate");
    TCase *tc = tcase_create("translate");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, every_row_is_translated);
    tcase_add_test(tc, random_code_computes_what_the_model_does);
    tcase_add_test(tc, a_site_lists_the_references_below_the_arguments);
    tcase_add_test(tc, a_frame_has_a_limit);
    tcase_add_test(tc, a_trap_knows_its_place);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
