/* tests/unit/runtime/v128_test.c -- v128 as a value: calls from and to the embedder, collections, and random functions
 * that mix it with numbers, against a model. */
#include "tests/unit/rig.h"
#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

/* ---- Calls */

static const char mixed[] =
    "(module (import \"\" \"\" (func $host (param i32 v128 f64 v128) (result v128 i64 v128)))"
    " (func (export \"call\") (param v128 v128) (result v128 i64 v128)"
    "  (call $host (i32.const 5) (local.get 0) (f64.const 2.5) (local.get 1)))"
    " (func (export \"tail\") (param v128 v128) (result v128 i64 v128)"
    "  (return_call $host (i32.const 5) (local.get 0) (f64.const 2.5) (local.get 1)))"
    " (func (export \"small\") (result v128 i64 v128)"
    "  (return_call $host (i32.const 5) (v128.const i64x2 1 2) (f64.const 2.5) (v128.const i64x2 3 4))))";

/* (i, a, f, b) -> (b, i + f * 2, a) */
static enum hemi_status turn(void *ctx, struct store *s, struct instance *caller, const union val *args,
                             union val *results, struct rt_error *err)
{
    (void)ctx, (void)s, (void)caller, (void)err;
    results[0] = args[3];
    results[1].i64 = args[0].i32 + (uint64_t)(args[2].f64 * 2);
    results[2] = args[1];
    return HEMI_OK;
}

static void check_val(union val v, uint64_t low, uint64_t high)
{
    ck_assert_uint_eq(v.u64[0], low);
    ck_assert_uint_eq(v.u64[1], high);
}

START_TEST(host_functions_take_and_give_v128)
{
    static const valtype types[] = {VT_I32, VT_V128, VT_F64, VT_V128, VT_V128, VT_I64, VT_V128};
    struct rig r;
    rig_init(&r);
    struct rt_extern host = {.kind = EXTERN_FUNC};
    ck_assert_int_eq(host_func_new(r.store, types, 4, 3, &(struct host_func_options){.call = turn}, &host.func), 0);
    struct instance *in = rig_instance(&r, mixed, &host);
    union val args[2] = {{.u64 = {1, 2}}, {.u64 = {3, 4}}}, out[3];
    static const char *const names[] = {"call", "tail", "small"};
    for (size_t i = 0; i < 3; i++) {
        memset(out, 0xEE, sizeof out);
        ck_assert_int_eq(rt_call(r.store, rig_export(in, names[i]).func, args, out, r.stack, &r.err), HEMI_OK);
        check_val(out[0], 3, 4);
        check_val(out[1], 10, 0);
        check_val(out[2], 1, 2);
    }
    rig_deinit(&r);
}
END_TEST

/* ---- Limits: a v128 counts as two slots, and what is too much is refused before it is laid out. */

START_TEST(frames_of_v128_locals_are_limited_by_their_slots)
{
    static const struct {
        uint32_t n;
        enum hemi_status status;
    } rows[] = {{29000, HEMI_OK}, {30000, HEMI_LIMIT}, {50000, HEMI_LIMIT}};
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* (func (local v128 x n)), with n as a LEB128 of 3 bytes */
        uint32_t n = rows[i].n;
        uint8_t bytes[] = {0, 'a', 's', 'm', 1,  0, 0, 0, 1, 4,    1,    0x60, 0,    0,
                           3, 2,   1,   0,   10, 8, 1, 6, 1, 0x80, 0x80, 0,    0x7B, 11};
        bytes[23] = (uint8_t)(n | 0x80), bytes[24] = (uint8_t)(n >> 7 | 0x80), bytes[25] = (uint8_t)(n >> 14);
        struct module *m = NULL;
        ck_assert_int_eq(module_new(r.engine, bytes, sizeof bytes, &m, &r.err), rows[i].status);
        if (rows[i].status == HEMI_OK) module_unref(m);
    }
    rig_deinit(&r);
}
END_TEST

/* ---- Collections */

static const char objects[] =
    "(module (type $s (struct (field (mut v128)) (field (mut (ref null $s))) (field (mut v128))))"
    " (type $a (array (mut v128))) (tag $t (param v128 (ref $s) v128))"
    " (func $throw (param v128) (param $list (ref $s))"
    "  (throw $t (local.get 0) (local.get 1) (v128.const i64x2 7 70)))"
    /* n structures, each made while those before it, v128s and an array are only on the stack; then their sum */
    " (func (export \"list\") (param $k v128) (param $n i32) (result v128) (local $l (ref null $s)) (local $sum v128)"
    "  (loop $more"
    "   (local.set $k (i64x2.add (local.get $k) (v128.const i64x2 1 2)))"
    "   (local.set $l (struct.new $s (local.get $k) (local.get $l)"
    "    (array.get $a (array.new $a (local.get $k) (i32.const 90)) (i32.const 89))))"
    "   (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    "  (loop $next"
    "   (local.set $sum (i64x2.add (local.get $sum)"
    "    (i64x2.add (struct.get $s 0 (local.get $l)) (struct.get $s 2 (local.get $l)))))"
    "   (br_if $next (i32.eqz (ref.is_null (local.tee $l (struct.get $s 1 (local.get $l)))))))"
    "  (local.get $sum))"
    " (func (export \"caught\") (param $v v128) (param i32) (result v128)"
    "  (local $l (ref $s)) (local $a v128) (local $b v128)"
    "  (block $h (result v128 (ref $s) v128)"
    "   (try_table (catch $t $h) (call $throw (local.get $v)"
    "    (struct.new $s (v128.const i64x2 3 30) (ref.null $s) (v128.const i64x2 4 40))))"
    "   (unreachable))"
    "  (local.set $b) (local.set $l) (local.set $a)"
    "  (drop (array.new_default $a (i32.const 50)))"
    "  (i64x2.add (i64x2.add (local.get $a) (local.get $b))"
    "   (i64x2.add (struct.get $s 0 (local.get $l)) (struct.get $s 2 (local.get $l))))))";

static union val call_wide(struct rig *r, struct instance *in, const char *name, uint64_t low, uint32_t n)
{
    union val args[2] = {{.u64 = {low, 0}}, {.i32 = n}}, out;
    enum hemi_status status = rt_call(r->store, rig_export(in, name).func, args, &out, r->stack, &r->err);
    ck_assert_msg(status == HEMI_OK, "%s: %s", name, r->err.message);
    return out;
}

START_TEST(objects_of_v128_over_collections)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(&r, objects, NULL);
    check_val(call_wide(&r, in, "list", 0, 40), 40 * 41, 2 * 40 * 41);
    check_val(call_wide(&r, in, "caught", 100, 0), 114, 140);
    rig_deinit(&r);
}
END_TEST

/* ---- Random functions. The text is written while a model executes it. */

enum { TYPES = 3, LOCALS = 9, STACK = 60, TEXT_MAX = 1 << 18 };
static const char *const name_of[TYPES] = {"i32", "i64", "v128"};
struct cell {
    uint8_t type;
    uint64_t bits[2];
};
struct state {
    struct cell locals[LOCALS], stack[STACK];
    uint32_t nstack;
};
struct writer {
    char text[TEXT_MAX];
    size_t n;
    struct state s;
};

static uint64_t rng;
static uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 11) % n);
}

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    w->n += (size_t)vsnprintf(w->text + w->n, TEXT_MAX - w->n, format, args);
    va_end(args);
    ck_assert_uint_lt(w->n, TEXT_MAX);
}

static struct cell *top(struct writer *w, uint32_t down) { return &w->s.stack[w->s.nstack - 1 - down]; }
static bool has(struct writer *w, uint32_t n, uint32_t floor) { return w->s.nstack >= floor + n; }

static void push_cell(struct writer *w, struct cell c) { w->s.stack[w->s.nstack++] = c; }

static struct cell random_cell(uint8_t type)
{
    struct cell c = {type, {below(1000), below(3)}};
    if (below(4) == 0) c.bits[0] = 0;
    if (below(3) == 0) c.bits[0] = type == 0 ? 0xFFFFFFF0u + below(16) : rng;
    if (type != 2) c.bits[1] = 0;
    return c;
}

static void put_const(struct writer *w, uint8_t type)
{
    struct cell c = random_cell(type);
    if (type == 2)
        put(w, "v128.const i64x2 %" PRIu64 " %" PRIu64 "\n", c.bits[0], c.bits[1]);
    else
        put(w, "%s.const %" PRIu64 "\n", name_of[type], c.bits[0]);
    push_cell(w, c);
}

static void put_get(struct writer *w, uint32_t local)
{
    put(w, "local.get %u\n", local);
    push_cell(w, w->s.locals[local]);
}

/* local.set or local.tee of the top, if a local has its type; they come in threes. */
static void put_set(struct writer *w, bool tee)
{
    uint32_t local = 3 * below(LOCALS / 3) + top(w, 0)->type;
    put(w, "local.%s %u\n", tee ? "tee" : "set", local);
    w->s.locals[local] = *top(w, 0);
    if (!tee) w->s.nstack--;
}

/* With the operand below, if that has the same type, or with a local. */
static void put_add(struct writer *w, bool below_too)
{
    if (!below_too || top(w, 0)->type != top(w, 1)->type) put_get(w, 3 * below(LOCALS / 3) + top(w, 0)->type);
    struct cell *a = top(w, 1), *b = top(w, 0);
    put(w, "%s.add\n", a->type == 2 ? "i64x2" : name_of[a->type]);
    a->bits[0] += b->bits[0];
    a->bits[1] += b->bits[1];
    if (a->type == 0) a->bits[0] = (uint32_t)a->bits[0];
    w->s.nstack--;
}

/* By a constant or by a local. */
static void put_shift(struct writer *w)
{
    uint32_t local = 3 * below(LOCALS / 3), constant = below(130);
    bool by_local = below(3) == 0;
    uint32_t count = (by_local ? (uint32_t)w->s.locals[local].bits[0] : constant) % 64;
    put(w, by_local ? "local.get %u\ni64x2.shl\n" : "i32.const %u\ni64x2.shl\n", by_local ? local : constant);
    for (uint32_t k = 0; k < 2; k++) top(w, 0)->bits[k] <<= count;
}

/* Of any bytes, or of groups of four: from anywhere, or as lanes. */
static void put_shuffle(struct writer *w)
{
    uint8_t from[32], to[16];
    uint32_t kind = below(3);
    memcpy(from, top(w, 1)->bits, 16);
    memcpy(from + 16, top(w, 0)->bits, 16);
    put(w, "i8x16.shuffle");
    for (uint32_t k = 0, lane = 0; k < 16; k++) {
        lane = kind == 0 ? below(32) : k % 4 != 0 ? lane + 1 : kind == 1 ? below(29) : 4 * below(8);
        put(w, " %u", lane);
        to[k] = from[lane];
    }
    put(w, "\n");
    w->s.nstack--;
    memcpy(top(w, 0)->bits, to, sizeof to);
}

/* The memory has its own addresses in it, of a byte each. The address is a sum that wraps. */
static void put_load(struct writer *w)
{
    uint32_t a = 3 * below(LOCALS / 3), b = 3 * below(LOCALS / 3), offset = below(3), address = below(200);
    uint32_t more = address - (uint32_t)w->s.locals[a].bits[0];
    uint8_t bytes[16];
    if (a == b || below(2)) {
        put(w, "local.get %u\ni32.const %u\n", a, more);
    } else {
        put(w, "i32.const %u\nlocal.set %u\nlocal.get %u\nlocal.get %u\n", more, b, a, b);
        w->s.locals[b].bits[0] = more;
    }
    put(w, "i32.add\nv128.load offset=%u\n", offset);
    for (uint32_t k = 0; k < 16; k++) bytes[k] = (uint8_t)(address + offset + k);
    struct cell c = {2, {0}};
    memcpy(c.bits, bytes, sizeof bytes);
    push_cell(w, c);
}

static void put_select(struct writer *w)
{
    bool first = top(w, 0)->bits[0] != 0;
    if (below(2))
        put(w, "select\n");
    else
        put(w, "select (result %s)\n", name_of[top(w, 1)->type]);
    if (!first) *top(w, 2) = *top(w, 1);
    w->s.nstack -= 2;
}

static void put_types(struct writer *w, const char *what, uint32_t from, uint32_t n)
{
    if (n == 0) return;
    put(w, "(%s", what);
    for (uint32_t i = 0; i < n; i++) put(w, " %s", name_of[w->s.stack[from + i].type]);
    put(w, ")");
}

static void put_code(struct writer *w, uint32_t floor, uint32_t steps, uint32_t depth);

static void put_away(struct writer *w, uint32_t floor)
{
    while (w->s.nstack > floor) {
        if (below(4)) {
            put_set(w, false);
            continue;
        }
        put(w, "drop\n");
        w->s.nstack--;
    }
}

/* Leaves operands of the types that were there at first. */
static void restore(struct writer *w, const struct state *old, uint32_t floor)
{
    put_away(w, floor);
    for (uint32_t i = floor; i < old->nstack; i++) {
        uint8_t type = old->stack[i].type;
        below(4) ? put_get(w, 3 * below(LOCALS / 3) + type) : put_const(w, type);
    }
}

/* The topmost operands go through a block that control may leave early by a branch that takes them along. */
static void put_block(struct writer *w, uint32_t floor, uint32_t depth)
{
    uint32_t have = w->s.nstack - floor, n = below((have < 4 ? have : 4) + 1), from = w->s.nstack - n;
    uint32_t condition = 3 * below(LOCALS / 3);
    bool always = below(4) == 0, leaves = always || w->s.locals[condition].bits[0] != 0;
    put(w, "block ");
    put_types(w, "param", from, n);
    put_types(w, "result", from, n);
    put(w, "\nlocal.get %u\n", condition);
    put(w, always ? "br_table 0 0 0\n" : "br_if 0\n");
    struct state before = w->s;
    if (!always) {
        put_code(w, from, 12, depth + 1);
        restore(w, &before, from);
    }
    put(w, "end\n");
    if (leaves) w->s = before;
}

static void put_if(struct writer *w, uint32_t floor, uint32_t depth)
{
    uint32_t have = w->s.nstack - floor, n = below((have < 4 ? have : 4) + 1), from = w->s.nstack - n;
    uint32_t condition = 3 * below(LOCALS / 3);
    bool yes = w->s.locals[condition].bits[0] != 0;
    put(w, "local.get %u\nif ", condition);
    put_types(w, "param", from, n);
    put_types(w, "result", from, n);
    put(w, "\n");
    struct state before = w->s;
    put_code(w, from, 10, depth + 1);
    restore(w, &before, from);
    struct state then = w->s;
    w->s = before;
    put(w, "else\n");
    put_code(w, from, 10, depth + 1);
    restore(w, &before, from);
    put(w, "end\n");
    if (yes) w->s = then;
}

/* $turn: (i32, v128, i64) -> (v128, i64, i32); thrown and caught it keeps its order. */
static void put_call(struct writer *w, bool thrown)
{
    if (thrown) put(w, "block (result i32 v128 i64)\ntry_table (catch $t 0)\n");
    uint32_t at = w->s.nstack;
    static const uint8_t types[] = {0, 2, 1};
    for (uint32_t i = 0; i < 3; i++) put_get(w, 3 * below(LOCALS / 3) + types[i]);
    struct cell *c = &w->s.stack[at], old[3] = {c[0], c[1], c[2]};
    put(w, thrown ? "call $throw\nend\nunreachable\nend\n" : "call $turn\n");
    if (!thrown) c[0] = old[1], c[1] = old[2], c[2] = old[0];
}

/* Tries to. */
static bool put_one(struct writer *w, uint32_t floor, uint32_t depth)
{
    bool room = w->s.nstack + 3 < STACK, one = has(w, 1, floor), two = has(w, 2, floor), three = has(w, 3, floor);
    switch (below(16)) {
    case 0:
        return room && (put_const(w, (uint8_t)below(TYPES)), true);
    case 1:
    case 2:
    case 3:
        return room && (put_get(w, below(LOCALS)), true);
    case 4:
    case 5:
        return one && (put_set(w, false), true);
    case 6:
        return one && (put_set(w, true), true);
    case 7:
    case 8:
        return room && one && (put_add(w, two), true);
    case 9:
        return three && top(w, 0)->type == 0 && top(w, 1)->type == top(w, 2)->type && (put_select(w), true);
    case 10:
        if (depth > 2) return false;
        below(2) ? put_block(w, floor, depth) : put_if(w, floor, depth);
        return true;
    case 11:
        return one && (put(w, "call $same_%s\n", name_of[top(w, 0)->type]), true);
    case 12:
        return one && top(w, 0)->type == 2 && (put_shift(w), true);
    case 13:
        return two && top(w, 0)->type == 2 && top(w, 1)->type == 2 && (put_shuffle(w), true);
    case 14:
        return room && (put_load(w), true);
    default:
        return room && (put_call(w, below(4) == 0), true);
    }
}

static void put_code(struct writer *w, uint32_t floor, uint32_t steps, uint32_t depth)
{
    for (uint32_t i = 0; i < steps; i++) put_one(w, floor, depth);
}

static void put_module(struct writer *w, uint32_t nparams)
{
    static const char *const results = "(result i32 i64 v128 i32 i64 v128 i32 i64 v128)";
    w->n = 0;
    w->s.nstack = 0;
    put(w, "(module (tag $t (param i32 v128 i64))\n"
           "(func $turn (param i32 v128 i64) (result v128 i64 i32) local.get 1 local.get 2 local.get 0)\n"
           "(func $same_i32 (param i32) (result i32) local.get 0)\n"
           "(func $same_i64 (param i64) (result i64) local.get 0)\n"
           "(func $same_v128 (param v128) (result v128) local.get 0)\n"
           "(func $throw (param i32 v128 i64) local.get 0 local.get 1 local.get 2 throw $t)\n"
           "(memory 1) (data (i32.const 0) \"");
    for (uint32_t i = 0; i < 256; i++) put(w, "\\%02x", i);
    put(w, "\")\n(func (export \"f\")");
    for (uint32_t i = 0; i < LOCALS; i++) {
        if (i == nparams) put(w, " %s", results);
        put(w, " (%s %s)", i < nparams ? "param" : "local", name_of[i % TYPES]);
    }
    put(w, "%s\n", nparams == LOCALS ? results : "");
    put_code(w, 0, 80, 0);
    put_away(w, 0);
    for (uint32_t i = 0; i < LOCALS; i++) put(w, "local.get %u\n", i);
    put(w, "))");
}

START_TEST(random_functions_agree_with_a_model)
{
    static struct writer w;
    const char *seed = getenv("HEMI_SEED");
    uint64_t first = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    printf("HEMI_SEED=%" PRIu64 "\n", first);
    struct rig r;
    rig_init(&r);
    for (uint32_t round = 0; round < 400; round++) {
        rng = (first + round) * 0x9E3779B97F4A7C15u | 1;
        uint32_t nparams = below(LOCALS + 1);
        union val args[LOCALS] = {0}, out[LOCALS] = {0};
        for (uint32_t i = 0; i < LOCALS; i++) {
            w.s.locals[i] = i < nparams ? random_cell((uint8_t)(i % TYPES)) : (struct cell){(uint8_t)(i % TYPES), {0}};
            memcpy(args[i].u64, w.s.locals[i].bits, sizeof args[i].u64);
        }
        put_module(&w, nparams);
        struct instance *in = rig_instance(&r, w.text, NULL);
        enum hemi_status status = rt_call(r.store, rig_export(in, "f").func, args, out, r.stack, &r.err);
        ck_assert_msg(status == HEMI_OK, "round %u: %s\n%.2000s", round, r.err.message, w.text);
        for (uint32_t i = 0; i < LOCALS; i++)
            ck_assert_msg(memcmp(out[i].u64, w.s.locals[i].bits, 16) == 0, "round %u, local %u\n%.2000s", round, i,
                          w.text);
    }
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("v128");
    TCase *t = tcase_create("values");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, host_functions_take_and_give_v128);
    tcase_add_test(t, frames_of_v128_locals_are_limited_by_their_slots);
    tcase_add_test(t, objects_of_v128_over_collections);
    tcase_add_test(t, random_functions_agree_with_a_model);
    suite_add_tcase(s, t);
    return run_suite(s);
}
