/* tests/unit/runtime/ops_test.c -- the helpers behind bulk, GC and exception instructions, through guest code. Where a
 * result can be computed another way, a random sequence is compared with a plain model; HEMI_SEED repeats one. */
#include "runtime/store/store.h"
#include "tests/unit/rig.h"
#include <time.h>

static uint64_t seed;
static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}
static void seed_print(void)
{
    const char *given = getenv("HEMI_SEED");
    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("HEMI_SEED=%llu\n", (unsigned long long)seed);
}

/* ---- Memory */
static const char memory_text[] =
    "(memory (export \"m\") 2 4) (data $d \"0123456789\")"
    "(func (export \"fill\") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))"
    "(func (export \"copy\") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))"
    "(func (export \"init\") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))"
    "(func (export \"drop\") (data.drop $d))"
    "(func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))";

START_TEST(memory_operations_agree_with_a_model)
{
    enum { SIZE = 2 * 65536 };
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r, memory_text, NULL);
    struct memory *m = rig_export(in, "m").memory;
    uint8_t *model = calloc(1, SIZE), *now = malloc(SIZE);
    for (int i = 0; i < 300; i++) {
        uint32_t n = random_below(i % 3 == 0 ? 5000 : 300), to = random_below(SIZE - n), from = to + random_below(600);
        if (from > SIZE - n) from = SIZE - n;
        if (random_below(2)) {
            uint32_t swap = to;
            to = from, from = swap;
        }
        if (random_below(2)) {
            rig_ok(&r, in, "fill", to, i | 0x100, n);
            memset(model + to, i, n);
        } else {
            rig_ok(&r, in, "copy", to, from, n);
            memmove(model + to, model + from, n);
        }
    }
    ck_assert_int_eq(memory_read(m, 0, now, SIZE), HEMI_OK);
    ck_assert_int_eq(memcmp(model, now, SIZE), 0);
    free(model);
    free(now);
    rig_deinit(&r);
}
END_TEST

START_TEST(memory_operations_check_bounds_before_writing)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r, memory_text, NULL);
    struct memory *m = rig_export(in, "m").memory;
    char c[4] = {0};
    rig_trap(&r, in, MEMORY_BOUNDS, "fill", 131071, 7, 2);
    rig_trap(&r, in, MEMORY_BOUNDS, "fill", 0xFFFFFFFF, 7, 0xFFFFFFFF);
    rig_trap(&r, in, MEMORY_BOUNDS, "fill", 131073, 7, 0);
    rig_ok(&r, in, "fill", 131072, 7, 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "copy", 0, 131000, 73);
    rig_trap(&r, in, MEMORY_BOUNDS, "copy", 131000, 0, 73);
    rig_trap(&r, in, MEMORY_BOUNDS, "init", 0, 8, 3);
    rig_trap(&r, in, MEMORY_BOUNDS, "init", 131070, 0, 3);
    ck_assert_int_eq(memory_read(m, 131070, c, 2), HEMI_OK);
    ck_assert_int_eq(c[0] | c[1], 0);
    rig_ok(&r, in, "init", 1, 7, 3);
    ck_assert_int_eq(memory_read(m, 1, c, 3), HEMI_OK);
    ck_assert_str_eq(c, "789");
    rig_ok(&r, in, "drop", 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "init", 0, 0, 1);
    rig_ok(&r, in, "init", 0, 0, 0);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 2), 2);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 1), 0xFFFFFFFF);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 0), 4);
    rig_ok(&r, in, "fill", 4 * 65536 - 1, 7, 1);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_long_fill_yields_and_is_cancelled)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r,
                                       "(memory (export \"m\") 128) (func (export \"fill\") (memory.fill (i32.const 0)"
                                       " (i32.const 1) (i32.const 8388608)))",
                                       NULL);
    r.yields = 0;
    rig_ok(&r, in, "fill", 0);
    ck_assert_uint_ge(r.yields, 8388608 / BULK_STEP - 1);
    r.yields = 0;
    r.yield_at = 3;
    r.yield_after = HEMI_DEADLINE;
    union val out;
    ck_assert_int_eq(rig_call(&r, in, "fill", RIG_ARGS(0), &out), HEMI_DEADLINE);
    ck_assert_uint_eq(r.yields, 3);
    rig_deinit(&r);
}
END_TEST

/* ---- Tables */
static const char table_text[] =
    "(type $s (struct (field i32))) (table $t (export \"t\") 100 400 (ref null $s)) (table $u 10 funcref)"
    "(elem $e (ref null $s) (item (struct.new $s (i32.const 1000))) (item (struct.new $s (i32.const 1001))))"
    "(func (export \"set\") (param i32 i32) (table.set $t (local.get 0) (struct.new $s (local.get 1))))"
    "(func (export \"fill\") (param i32 i32 i32)"
    "  (table.fill $t (local.get 0) (struct.new $s (local.get 1)) (local.get 2)))"
    "(func (export \"copy\") (param i32 i32 i32) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))"
    "(func (export \"init\") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))"
    "(func (export \"drop\") (elem.drop $e))"
    "(func (export \"grow\") (param i32 i32) (result i32) (table.grow $t (struct.new $s (local.get 0)) (local.get 1)))"
    "(func (export \"get\") (param i32) (result i32) (local $r (ref null $s))"
    "  (local.set $r (table.get $t (local.get 0)))"
    "  (if (result i32) (ref.is_null (local.get $r)) (then (i32.const -1)) (else (struct.get $s 0 (local.get $r)))))"
    "(func (export \"junk\") (drop (struct.new $s (i32.const 0))))";

START_TEST(table_operations_agree_with_a_model_while_everything_moves)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 3});
    struct instance *in = rig_instance(&r, table_text, NULL);
    uint32_t model[400], size = 100;
    memset(model, 0xFF, sizeof model);
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t n = random_below(40), to = random_below(size - n), from = random_below(size - n);
        switch (random_below(5)) {
        case 0:
            rig_ok(&r, in, "fill", to, i, n);
            for (uint32_t k = 0; k < n; k++) model[to + k] = i;
            break;
        case 1:
            rig_ok(&r, in, "copy", to, from, n);
            memmove(model + to, model + from, n * sizeof *model);
            break;
        case 2:
            rig_ok(&r, in, "init", to, 0, 2 < n ? 2 : n);
            for (uint32_t k = 0; k < n && k < 2; k++) model[to + k] = 1000 + k;
            break;
        case 3:
            if (size + n > 400 || random_below(4) != 0) break;
            ck_assert_uint_eq(rig_ok(&r, in, "grow", i, n), size);
            for (uint32_t k = 0; k < n; k++) model[size + k] = i;
            size += n;
            break;
        default:
            rig_ok(&r, in, "set", to, i);
            model[to] = i;
        }
    }
    ck_assert_uint_eq(table_size(rig_export(in, "t").table), size);
    for (uint32_t i = 0; i < size; i++) ck_assert_uint_eq(rig_ok(&r, in, "get", i), model[i]);
    rig_deinit(&r);
}
END_TEST

START_TEST(table_operations_check_bounds)
{
    struct rig r;
    rig_init(&r);
    struct instance *in = rig_instance(&r, table_text, NULL);
    rig_trap(&r, in, TABLE_BOUNDS, "fill", 99, 1, 2);
    rig_trap(&r, in, TABLE_BOUNDS, "fill", 0xFFFFFFFF, 1, 0xFFFFFFFF);
    rig_ok(&r, in, "fill", 100, 1, 0);
    rig_trap(&r, in, TABLE_BOUNDS, "copy", 99, 0, 2);
    rig_trap(&r, in, TABLE_BOUNDS, "copy", 0, 99, 2);
    rig_trap(&r, in, TABLE_BOUNDS, "init", 0, 1, 2);
    rig_trap(&r, in, TABLE_BOUNDS, "init", 99, 0, 2);
    rig_trap(&r, in, TABLE_BOUNDS, "set", 100, 0);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 99), 0xFFFFFFFF);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 1, 301), 0xFFFFFFFF);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 1, 300), 100);
    rig_ok(&r, in, "drop", 0);
    rig_ok(&r, in, "init", 0, 0, 0);
    rig_deinit(&r);
}
END_TEST

/* ---- Arrays, of every element size */
static const char *array_text(const char *type, const char *wide, const char *to, const char *get, const char *from)
{
    static char text[4000];
    snprintf(
        text, sizeof text,
        "(type $a (array (mut %s))) (data $d \"\\01\\00\\00\\00\\00\\00\\00\\00\\02\\00\\00\\00\\00\\00\\00\\00\")"
        "(global $p (mut (ref null $a)) (ref.null $a)) (global $q (mut (ref null $a)) (ref.null $a))"
        "(func $v (param i32) (result %s) (%s (local.get 0)))"
        "(func (export \"new\") (param i32 i32)"
        "  (global.set $p (array.new $a (call $v (local.get 0)) (local.get 1)))"
        "  (global.set $q (array.new_default $a (local.get 1))))"
        "(func (export \"fill\") (param i32 i32 i32)"
        "  (array.fill $a (global.get $p) (local.get 0) (call $v (local.get 1)) (local.get 2)))"
        "(func (export \"copy\") (param i32 i32 i32)"
        "  (array.copy $a $a (global.get $p) (local.get 0) (global.get $p) (local.get 1) (local.get 2)))"
        "(func (export \"into\") (param i32 i32 i32)"
        "  (array.copy $a $a (global.get $q) (local.get 0) (global.get $p) (local.get 1) (local.get 2)))"
        "(func (export \"get\") (param i32) (result i32) (%s (array.get%s $a (global.get $p) (local.get 0))))"
        "(func (export \"qget\") (param i32) (result i32) (%s (array.get%s $a (global.get $q) (local.get 0))))"
        "(func (export \"data\") (param i32 i32) (global.set $p (array.new_data $a $d (local.get 0) (local.get 1))))"
        "(func (export \"idata\") (param i32 i32 i32)"
        "  (array.init_data $a $d (global.get $p) (local.get 0) (local.get 1) (local.get 2)))"
        "(func (export \"len\") (result i32) (array.len (global.get $p)))"
        "(func (export \"fixed\") (global.set $p (array.new_fixed $a 3 (call $v (i32.const 5))"
        "  (call $v (i32.const 6)) (call $v (i32.const 7)))))",
        type, wide, to, from, get, from, get);
    return text;
}

static const struct array_case {
    const char *type, *wide, *to, *get, *from;
    uint32_t size, mask;
} array_cases[] = {
    {"i8", "i32", "i32.add (i32.const 0)", "_u", "i32.add (i32.const 0)", 1, 0xFF},
    {"i16", "i32", "i32.add (i32.const 0)", "_u", "i32.add (i32.const 0)", 2, 0xFFFF},
    {"i32", "i32", "i32.add (i32.const 0)", "", "i32.add (i32.const 0)", 4, 0xFFFFFFFF},
    {"i64", "i64", "i64.extend_i32_u", "", "i32.wrap_i64", 8, 0xFFFFFFFF},
};

START_TEST(array_operations_agree_with_a_model)
{
    const struct array_case *c = &array_cases[_i];
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 2});
    struct instance *in = rig_instance(&r, array_text(c->type, c->wide, c->to, c->get, c->from), NULL);
    enum { N = 500 };
    uint32_t model[N], other[N] = {0};
    rig_ok(&r, in, "new", 0xABCDEF, N);
    for (uint32_t i = 0; i < N; i++) model[i] = 0xABCDEF & c->mask;
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t n = random_below(200), to = random_below(N - n + 1), from = random_below(N - n + 1);
        switch (random_below(4)) {
        case 0:
            rig_ok(&r, in, "fill", to, i * 77, n);
            for (uint32_t k = 0; k < n; k++) model[to + k] = i * 77 & c->mask;
            break;
        case 1:
            rig_ok(&r, in, "into", to, from, n);
            memcpy(other + to, model + from, n * 4);
            break;
        default:
            rig_ok(&r, in, "copy", to, from, n);
            memmove(model + to, model + from, n * 4);
        }
        if (i % 50 == 0) store_collect(r.store);
    }
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_uint_eq(rig_ok(&r, in, "get", i), model[i]);
        ck_assert_uint_eq(rig_ok(&r, in, "qget", i), other[i]);
    }
    rig_ok(&r, in, "fixed", 0);
    for (uint32_t i = 0; i < 3; i++) ck_assert_uint_eq(rig_ok(&r, in, "get", i), 5 + i);
    ck_assert_uint_eq(rig_ok(&r, in, "len", 0), 3);
    rig_ok(&r, in, "data", 8, 8 / c->size);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 0), 2);
    ck_assert_uint_eq(rig_ok(&r, in, "len", 0), 8 / c->size);
    rig_ok(&r, in, "new", 9, 4);
    rig_ok(&r, in, "idata", 1, 8, 1);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 0), 9);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 1), 2);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 2), 9);
    rig_deinit(&r);
}
END_TEST

START_TEST(array_operations_check_bounds)
{
    const struct array_case *c = &array_cases[_i];
    struct rig r;
    rig_init_with(&r, (struct store_options){.heap_limit = 1 << 20});
    struct instance *in = rig_instance(&r, array_text(c->type, c->wide, c->to, c->get, c->from), NULL);
    rig_trap(&r, in, NULL_ARRAY, "fill", 0, 0, 0);
    rig_trap(&r, in, NULL_ARRAY, "copy", 0, 0, 0);
    rig_trap(&r, in, NULL_ARRAY, "idata", 0, 0, 0);
    rig_ok(&r, in, "new", 1, 10);
    rig_ok(&r, in, "fill", 10, 1, 0);
    rig_trap(&r, in, ARRAY_BOUNDS, "fill", 9, 1, 2);
    rig_trap(&r, in, ARRAY_BOUNDS, "fill", 0xFFFFFFFF, 1, 0xFFFFFFFF);
    rig_trap(&r, in, ARRAY_BOUNDS, "copy", 0, 9, 2);
    rig_trap(&r, in, ARRAY_BOUNDS, "copy", 9, 0, 2);
    rig_trap(&r, in, ARRAY_BOUNDS, "get", 10);
    rig_trap(&r, in, ARRAY_BOUNDS, "idata", 10, 0, 1);
    rig_trap(&r, in, MEMORY_BOUNDS, "idata", 0, 16, 1);
    rig_trap(&r, in, MEMORY_BOUNDS, "idata", 0, 0xFFFFFFFF, 1);
    rig_trap(&r, in, MEMORY_BOUNDS, "data", 0, 16 / c->size + 1);
    rig_trap(&r, in, MEMORY_BOUNDS, "data", 17, 0);
    rig_ok(&r, in, "data", 16, 0);
    ck_assert_uint_eq(rig_ok(&r, in, "len", 0), 0);
    for (uint32_t n = 0xFFFFFFFF; n > 3000000; n /= 2) {
        union val out;
        ck_assert_int_eq(rig_call(&r, in, "new", RIG_ARGS(1, n), &out), HEMI_TRAP);
        ck_assert(r.err.trap == TRAP_ALLOCATION || r.err.trap == TRAP_HEAP_EXHAUSTED);
    }
    rig_deinit(&r);
}
END_TEST

START_TEST(arrays_of_references_from_segments)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(
        &r,
        "(type $s (struct (field i32))) (type $a (array (mut (ref null $s)))) (type $f (func (result i32)))"
        "(type $fa (array (mut (ref null $f)))) (global $p (mut (ref null $a)) (ref.null $a))"
        "(elem $e (ref null $s) (item (struct.new $s (i32.const 1))) (item (struct.new $s (i32.const 2)))"
        "  (item (struct.new $s (i32.const 3))))"
        "(elem $fe (ref null $f) (item (ref.func $one)) (item (ref.null $f)))"
        "(func $one (type $f) (i32.const 11))"
        "(func (export \"new\") (param i32 i32) (global.set $p (array.new_elem $a $e (local.get 0) (local.get 1))))"
        "(func (export \"init\") (param i32 i32 i32)"
        "  (array.init_elem $a $e (global.get $p) (local.get 0) (local.get 1) (local.get 2)))"
        "(func (export \"get\") (param i32) (result i32) (struct.get $s 0 (array.get $a (global.get $p) (local.get "
        "0))))"
        "(func (export \"f\") (result i32) (call_ref $f"
        "  (array.get $fa (array.new_elem $fa $fe (i32.const 0) (i32.const 2)) (i32.const 0))))"
        "(func (export \"drop\") (elem.drop $e))",
        NULL);
    rig_ok(&r, in, "new", 1, 2);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 0), 2);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 1), 3);
    rig_ok(&r, in, "init", 1, 0, 1);
    ck_assert_uint_eq(rig_ok(&r, in, "get", 1), 1);
    rig_trap(&r, in, TABLE_BOUNDS, "new", 2, 2);
    rig_trap(&r, in, TABLE_BOUNDS, "init", 0, 3, 1);
    rig_trap(&r, in, ARRAY_BOUNDS, "init", 2, 0, 1);
    ck_assert_uint_eq(rig_ok(&r, in, "f", 0), 11);
    rig_ok(&r, in, "drop", 0);
    rig_ok(&r, in, "init", 0, 0, 0);
    rig_trap(&r, in, TABLE_BOUNDS, "new", 0, 1);
    rig_deinit(&r);
}
END_TEST

START_TEST(structures_keep_fields_of_every_size)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(
        &r,
        "(type $s (struct (field (mut i8)) (field i16) (field i64) (field i8) (field (ref null $s)) (field f64)))"
        "(func $make (param i32 (ref null $s)) (result (ref $s)) (struct.new $s (local.get 0) (i32.const -2)"
        "  (i64.const 0x1122334455667788) (i32.const 0x1FF) (local.get 1) (f64.const 2.5)))"
        "(func (export \"run\") (param i32) (result i32) (local $r (ref null $s)) (local $n i32)"
        "  (loop $l (local.set $r (call $make (local.get $n) (local.get $r)))"
        "    (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (local.get 0))))"
        "  (local.set $n (i32.const 0))"
        "  (loop $l"
        "    (local.set $n (i32.add (local.get $n) (struct.get_u $s 0 (local.get $r))))"
        "    (local.set $n (i32.add (local.get $n) (struct.get_s $s 1 (local.get $r))))"
        "    (if (i64.ne (struct.get $s 2 (local.get $r)) (i64.const 0x1122334455667788)) (then unreachable))"
        "    (if (i32.ne (struct.get_u $s 3 (local.get $r)) (i32.const 255)) (then unreachable))"
        "    (if (f64.ne (struct.get $s 5 (local.get $r)) (f64.const 2.5)) (then unreachable))"
        "    (br_if $l (i32.eqz (ref.is_null (local.tee $r (struct.get $s 4 (local.get $r)))))))"
        "  (local.get $n))"
        "(func (export \"zero\") (result i32) (local $r (ref null $s)) (local.set $r (struct.new_default $s))"
        "  (i32.and (ref.is_null (struct.get $s 4 (local.get $r))) (i32.eqz (struct.get_u $s 0 (local.get $r)))))",
        NULL);
    ck_assert_uint_eq(rig_ok(&r, in, "run", 100), 99 * 100 / 2 - 200);
    ck_assert_uint_eq(rig_ok(&r, in, "zero", 0), 1);
    rig_deinit(&r);
}
END_TEST

/* ---- Exceptions */
static const char exception_text[] =
    "(type $s (struct (field i32))) (tag $e (param i32 i64 (ref null $s))) (tag $other) (global $g (mut exnref)"
    "  (ref.null exn))"
    "(func $throw (export \"raise\") (param i32) (throw $e (local.get 0) (i64.const 7) (struct.new $s (i32.mul "
    "(local.get 0)"
    "  (i32.const 2)))))"
    "(func (export \"throw\") (param i32) (call $throw (local.get 0)))"
    "(func (export \"catch\") (param i32) (result i32) (local $r (ref null $s)) (local $l i64)"
    "  (block $none (block $h (result i32 i64 (ref null $s))"
    "      (try_table (catch $other $none) (catch $e $h) (call $throw (local.get 0))) unreachable)"
    "    (local.set $r) (local.set $l) (drop (struct.new $s (i32.const 1)))"
    "    (i32.add (struct.get $s 0 (local.get $r)) (i32.wrap_i64 (local.get $l))) (i32.add) (return))"
    "  unreachable)"
    "(func (export \"keep\") (param i32) (block $h (result exnref) (try_table (catch_all_ref $h)"
    "    (call $throw (local.get 0))) unreachable) (global.set $g))"
    "(func (export \"again\") (throw_ref (global.get $g)))"
    "(func (export \"catch_again\") (result i32) (block $h (result i32 i64 (ref null $s))"
    "    (try_table (catch $e $h) (throw_ref (global.get $g))) unreachable)"
    "  (drop) (drop))";

START_TEST(exceptions_carry_their_payload_through_collections)
{
    struct rig r;
    rig_init_with(&r, (struct store_options){.gc_stress = 1});
    struct instance *in = rig_instance(&r, exception_text, NULL);
    union val out;
    rig_trap(&r, in, NULL_EXCEPTION, "again", 0);
    ck_assert_uint_eq(rig_ok(&r, in, "catch", 100), 100 + 7 + 200);
    ck_assert_int_eq(rig_call(&r, in, "throw", RIG_ARGS(5), &out), HEMI_EXCEPTION);
    ck_assert_msg(strncmp(r.err.message, "uncaught exception with tag type (func (param i32 i64 (ref null ", 62) == 0,
                  "%s", r.err.message);
    ck_assert_ptr_nonnull(strstr(r.err.message, ") in \"throw\" (function 0), called from \"throw\" (function 1)"));
    rig_ok(&r, in, "keep", 31);
    store_collect(r.store);
    ck_assert_uint_eq(rig_ok(&r, in, "catch_again", 0), 31);
    ck_assert_int_eq(rig_call(&r, in, "again", RIG_ARGS(0), &out), HEMI_EXCEPTION);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    seed_print();
    Suite *s = suite_create("ops");
    TCase *c = tcase_create("ops");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, memory_operations_agree_with_a_model);
    tcase_add_test(c, memory_operations_check_bounds_before_writing);
    tcase_add_test(c, a_long_fill_yields_and_is_cancelled);
    tcase_add_test(c, table_operations_agree_with_a_model_while_everything_moves);
    tcase_add_test(c, table_operations_check_bounds);
    tcase_add_loop_test(c, array_operations_agree_with_a_model, 0, 4);
    tcase_add_loop_test(c, array_operations_check_bounds, 0, 4);
    tcase_add_test(c, arrays_of_references_from_segments);
    tcase_add_test(c, structures_keep_fields_of_every_size);
    tcase_add_test(c, exceptions_carry_their_payload_through_collections);
    suite_add_tcase(s, c);
    return run_suite(s);
}
