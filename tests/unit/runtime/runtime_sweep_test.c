/* tests/unit/runtime/runtime_sweep_test.c -- the engine without memory: the 1st, 2nd, ... allocation, mapping or
 * protection that it asks the system for, or charge to its budget, fails while a store does something of everything.
 * One step fails then, with a status; the store is whole, the same step works at the next try, what was made serves,
 * and all of it is given back. (Nothing is asserted on the way that holds: Check would allocate.) */
#include "runtime/store/store.h"
#include "tests/sweep/sweep.h"
#include "tests/unit/rig.h"

static const char guest_text[] =
    "(module $everything"
    " (type $n (struct (field (mut (ref null $n))) (field i64) (field funcref))) (type $a (array (mut i8)))"
    " (rec (type $x (sub (struct (field (ref null $y))))) (type $y (sub (struct (field (ref null $x)) (field $n1 "
    "i8)))))"
    " (type $z (sub final $x (struct (field (ref null $y)) (field i32)))) (type $ii (func (param i32) (result i32)))"
    " (type $links (array (ref null $n)))"
    " (import \"h\" \"f\" (func $h (type $ii))) (import \"h\" \"many\" (func $many (param i32 i32 i32 i32 i32 i32 i32 "
    "i32"
    "  i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"
    " (import \"h\" \"memory\" (memory $hm 1 3)) (import \"h\" \"table\" (table $ht 2 10 externref))"
    " (import \"h\" \"global\" (global $hg (mut anyref))) (import \"h\" \"tag\" (tag $he (param i32)))"
    " (memory $m (export \"memory\") 1 20) (memory $wide i64 1 100) (memory $none 0)"
    " (table $t (export \"table\") 4 10000 externref) (table $funcs 8 funcref) (table $huge 70000 200000 funcref)"
    " (table $nodes 64 (ref null $n) (struct.new $n (ref.null $n) (i64.const 9) (ref.func $add)))"
    " (tag $e (export \"tag\") (param i32)) (tag $big (param i64 i64 anyref))"
    " (global $k i64 (i64.const 40)) (global $list (export \"list\") (mut (ref null $n)) (ref.null $n))"
    " (global $pair (ref $links) (array.new_fixed $links 2 (struct.new $n (ref.null $n) (i64.add (i64.const 2)"
    "  (global.get $k)) (ref.null func)) (ref.null $n)))"
    " (global $f (export \"function\") funcref (ref.func $h))"
    " (elem (table $funcs) (i32.const 1) func $h $add $throw) (elem $passive func $add $add)"
    " (elem $evaluated (ref null $n) (struct.new_default $n) (struct.new $n (ref.null $n) (i64.sub (i64.const 2) "
    "(global.get $k)) (ref.func $add)))"
    " (elem (table $nodes) (offset (i32.const 3)) (ref null $n) (struct.new $n (ref.null $n) (i64.const 1) (ref.null "
    "func)))"
    " (elem declare func $add $out)"
    " (data (memory $m) (i32.const 8) \"hello\") (data (memory $wide) (i64.const 0) \"wide\") (data $d \"0123456789\")"
    " (start $begin)"
    " (func $begin (i32.store8 (i32.const 0) (i32.const 7)))"
    " (func $add (export \"add\") (type $ii) (i32.add (local.get 0) (i32.const 1)))"
    " (func $make (export \"make\") (param i32) (result anyref) (local $l (ref null $n))"
    "  (loop $more (local.set $l (struct.new $n (local.get $l) (i64.const 5) (ref.func $add)))"
    "   (drop (array.new_default $a (i32.const 100)))"
    "   (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
    "  (global.set $list (local.get $l)) (local.get $l))"
    " (func (export \"large\") (param i32) (result i32)"
    "  (array.len (array.new_default $a (local.get 0))))"
    " (func (export \"segments\") (param i32) (result i32)"
    "  (table.init $funcs $passive (i32.const 5) (i32.const 0) (i32.const 2)) (elem.drop $passive)"
    "  (table.init $nodes $evaluated (i32.const 0) (i32.const 0) (i32.const 2))"
    "  (drop (array.new_data $a $d (i32.const 0) (i32.const 10))) (memory.init $m $d (i32.const 100) (i32.const 0) "
    "(i32.const 5))"
    "  (array.len (array.new_elem $links $evaluated (i32.const 0) (i32.const 2))))"
    " (func $out (export \"out\") (type $ii) (call $h (local.get 0)))"
    " (func (export \"out_many\") (type $ii) (call $many (local.get 0) (i32.const 1) (i32.const 1) (i32.const 1)"
    "  (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1)"
    "  (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1)))"
    " (func $throw (export \"throw\") (type $ii) (throw $e (local.get 0)))"
    " (func (export \"catch\") (type $ii) (block $c (result i32 exnref)"
    "  (try_table (catch_ref $e $c) (drop (call_indirect $funcs (type $ii) (local.get 0) (i32.const 3)))) unreachable)"
    "  drop)"
    " (func (export \"bigger\") (param i32) (result i32) (try_table (throw $big (i64.const 1) (i64.const 2)"
    "  (struct.new $z (ref.null $y) (i32.const 1)))) (i32.const 0))"
    " (func (export \"grow\") (param i32) (result i32) (memory.grow $m (local.get 0)))"
    " (func (export \"grow_wide\") (param i32) (result i32)"
    "  (i32.wrap_i64 (memory.grow $wide (i64.extend_i32_u (local.get 0)))))"
    " (func (export \"grow_table\") (param i32) (result i32) (table.grow $t (ref.null extern) (local.get 0)))"
    " (func (export \"grow_huge\") (param i32) (result i32) (table.grow $huge (ref.func $add) (local.get 0)))"
    " (func $deep (export \"deep\") (type $ii) (if (result i32) (local.get 0)"
    "  (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))"
    " (func (export \"code\") (type $ii) (local v128 f64 i64) (local.set 1 (i8x16.splat (local.get 0)))"
    "  (block $0 (block $1 (block $2 (br_table $0 $1 $2 (local.get 0))) (local.set 0 (i32.const 3))) (nop))"
    "  (if (ref.test (ref $z) (global.get $list)) (then (return_call $add (i32.const 1))))"
    "  (block $no (result anyref) (br_on_cast_fail $no anyref (ref $n) (global.get $list))) drop (local.get 0)))";

/* ---- What fails */
static struct {
    long left; /* charges until the one that is refused; 0: none will */
    bool reached, stays;
} budget;

static bool charge(void *ctx, int64_t delta)
{
    if (delta > 0 && budget.left > 0 && --budget.left == 0) budget.reached = true;
    if (delta > 0 && budget.reached && budget.left == 0) {
        if (!budget.stays) budget.left = -1;
        return false;
    }
    return rig_charge(ctx, delta);
}

#ifdef HEMI_STRESS /* where each allocation collects, chunks are small */
enum { STRIDE = 11, LIST = 100, COLLECT_EVERY = 20 };
#else
enum { STRIDE = 5, LIST = 3000, COLLECT_EVERY = 0 };
#endif
enum lack { SYSTEM, BUDGET };

static void arm(enum lack lack, long n, bool stays)
{
    budget.left = lack == BUDGET ? n : -1;
    budget.reached = false;
    budget.stays = stays;
    sweep_arm(SWEEP_SELF, SWEEP_MEMORY, lack == SYSTEM ? n : 0, stays);
}

static bool disarm(void)
{
    budget.left = -1;
    return sweep_disarm(SWEEP_SELF) || budget.reached;
}

/* ---- One scenario */
struct run {
    struct rig rig;
    struct module *module;
    struct instance *in;
    struct rt_extern imports[6];
    struct root list;
    unsigned failed; /* steps */
};

static void must(bool holds, const char *what)
{
    if (holds) return;
    disarm();
    ck_abort_msg("not so: %s", what);
}
#define MUST(condition) must((condition), #condition)

static void whole(struct run *u, const char *what)
{
    char why[200] = "";
    if (u->rig.store != NULL)
        ck_assert_msg(store_verify(u->rig.store, NULL, why, sizeof why), "after %s: %s", what, why);
}

/* What has failed may do so only because something was refused, and only once. */
static bool again(struct run *u, enum hemi_status status, const char *what)
{
    const struct rt_error *err = &u->rig.err;
    if (status == HEMI_OK) return false;
    bool refused = disarm() && u->failed++ == 0;
    bool exhausted = status == HEMI_NO_MEMORY || (status == HEMI_TRAP && err->trap == TRAP_HEAP_EXHAUSTED);
    ck_assert_msg(refused && exhausted, "%s: status %d, %s", what, status, err->message);
    whole(u, what);
    return true;
}
#define STEP(u, call)                                                                                                  \
    while (again(u, (call), #call)) {                                                                                  \
    }

static enum hemi_status host_call(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    struct root r;
    (void)ctx, (void)caller, (void)err;
    enum hemi_status status = store_extern(s, 1000 + args[0].i32, &r);
    if (status != HEMI_OK) return status;
    root_deinit(&r);
    results[0] = (union val){.u64 = {args[0].i32, 0}};
    return HEMI_OK;
}

static enum hemi_status call_out(struct run *u, const char *name, uint32_t n, union val *out)
{
    struct rt_extern x;
    const union val in = {.u64 = {n, 0}};
    MUST(instance_export(u->in, name, strlen(name), &x));
    return rt_call(u->rig.store, x.func, &in, out, u->rig.stack, &u->rig.err);
}

static enum hemi_status call(struct run *u, const char *name, uint32_t n)
{
    union val out;
    return call_out(u, name, n, &out);
}

/* The instructions answer -1 for want of memory. */
static enum hemi_status grow(struct run *u, const char *name, uint32_t n)
{
    union val out;
    enum hemi_status status = call_out(u, name, n, &out);
    return status == HEMI_OK && out.i32 == UINT32_MAX ? HEMI_NO_MEMORY : status;
}

static enum hemi_status call_ending(struct run *u, const char *name, uint32_t n, enum hemi_status wanted)
{
    enum hemi_status status = call(u, name, n);
    if (status != wanted) return status == HEMI_OK ? HEMI_INTERNAL : status;
    MUST(store_trace_count(u->rig.store) > 0);
    return HEMI_OK;
}

static enum hemi_status make_list(struct run *u)
{
    union val out;
    enum hemi_status status = call_out(u, "make", LIST, &out);
    if (status == HEMI_OK) root_init(u->rig.store, &u->list, HEAP_SLOT_REF, out.ref);
    return status;
}

static void make_imports(struct run *u)
{
    static const uint8_t kinds[] = {EXTERN_FUNC, EXTERN_FUNC, EXTERN_MEMORY, EXTERN_TABLE, EXTERN_GLOBAL, EXTERN_TAG};
    static const struct limits one_to_three = {.min = 1, .max = 3, .has_max = true};
    static const struct limits two_to_ten = {.min = 2, .max = 10, .has_max = true};
    struct store *s = u->rig.store;
    struct rt_extern *x = u->imports;
    const struct host_func_options host = {.ctx = u, .call = host_call};
    const union val null = {.u64 = {0, 0}};
    valtype many[19];
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) many[i] = VT_I32;
    for (size_t i = 0; i < sizeof kinds; i++) x[i].kind = kinds[i];
    STEP(u, host_func_new(s, many, 1, 1, &host, &x[0].func));
    STEP(u, host_func_new(s, many, 18, 1, &host, &x[1].func));
    STEP(u, memory_new(s, &one_to_three, &x[2].memory));
    STEP(u, table_new(s, VT_REF(true, HT_EXTERN), &two_to_ten, null, &x[3].table));
    STEP(u, global_new(s, VT_REF(true, HT_ANY), true, null, &x[4].global));
    STEP(u, tag_new(s, u->module->tags[0], &x[5].tag));
}

static void call_all(struct run *u)
{
    union val out = {.i32 = 0};
    STEP(u, make_list(u));
    STEP(u, call(u, "large", 3 << 20));
    STEP(u, call(u, "segments", 0));
    STEP(u, call(u, "out", 5));
    STEP(u, call(u, "out_many", 5));
    STEP(u, call(u, "catch", 5));
    STEP(u, call_ending(u, "throw", 5, HEMI_EXCEPTION));
    STEP(u, call_ending(u, "bigger", 5, HEMI_EXCEPTION));
    STEP(u, call(u, "deep", 1000));
    STEP(u, call_ending(u, "deep", 1 << 30, HEMI_TRAP));
    STEP(u, call(u, "code", 1));
    MUST(call_out(u, "add", 4, &out) == HEMI_OK && out.i32 == 5);
}

static void grow_all(struct run *u)
{
    uint64_t pages;
    uint32_t size;
    struct memory *wide;
    char was;
    STEP(u, grow(u, "grow", 3));
    STEP(u, grow(u, "grow_wide", 3));
    STEP(u, grow(u, "grow_wide", 30));
    STEP(u, grow(u, "grow_table", 100));
    STEP(u, grow(u, "grow_huge", 100));
    STEP(u, grow(u, "grow_huge", 100000));
    STEP(u, memory_grow(u->imports[2].memory, 1, &pages));
    STEP(u, table_grow(u->imports[3].table, 5, (union val){.u64 = {0, 0}}, &size));
    STEP(u, memory_new(u->rig.store, &(struct limits){.min = 0, .max = UINT64_MAX, .is64 = true}, &wide));
    STEP(u, memory_grow(wide, 1, &pages));
    MUST(memory_write(wide, 65535, "x", 1) == HEMI_OK);
    STEP(u, memory_grow(wide, 100, &pages));
    MUST(memory_read(wide, 65535, &was, 1) == HEMI_OK && was == 'x');
}

/* Enough to make tables grow. */
static void many_of_each(struct run *u)
{
    const struct host_func_options host = {.ctx = u, .call = host_call};
    struct store *s = u->rig.store;
    struct root all[100];
    valtype vals[12];
    uint32_t func;
    struct tag *tag;
    for (uint32_t i = 0; i < 100; i++) STEP(u, store_extern(s, 1 + i, &all[i]));
    for (uint32_t i = 0; i < 100; i++) root_deinit(&all[i]);
    for (uint32_t n = 0; n < 11; n++) {
        vals[n] = vals[n + 1] = VT_I64;
        STEP(u, host_func_new(s, vals, n, 1, &host, &func));
        STEP(u, tag_new(s, u->module->tags[0], &tag));
    }
    store_collect(s);
    store_trim(s);
}

/* A module and a store that come and go in an engine. */
static void scenario(struct engine *engine, const uint8_t *bytes, size_t size, struct run *u)
{
    struct rig *r = &u->rig;
    const struct store_options options = {
        .gc_stress = COLLECT_EVERY, .ctx = r, .extern_dead = rig_dead, .charge = charge};
    struct instance *other;
    *u = (struct run){.rig = {.engine = engine, .stack = r->stack}};
    STEP(u, module_new(engine, bytes, size, &u->module, &r->err));
    STEP(u, store_new(engine, &options, &r->store));
    make_imports(u);
    STEP(u, instance_new(r->store, u->module, u->imports, r->stack, &u->in, &r->err));
    call_all(u);
    grow_all(u);
    many_of_each(u);
    STEP(u, instance_new(r->store, u->module, u->imports, r->stack, &other, &r->err));
    root_deinit(&u->list);
    disarm();
    whole(u, "everything");
    store_free(r->store);
    module_unref(u->module);
    ck_assert_int_eq(r->charged, 0);
}

/* ---- The sweep */

/* KiB of address space: a reservation that is not given back shows here, also to the sanitizers' builds. */
static long address_space(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert(f != NULL && fscanf(f, "%ld", &pages) == 1);
    fclose(f);
    return pages * 4;
}

static bool same(struct engine_stats a, struct engine_stats b)
{
    return a.modules == b.modules && a.stores == b.stores && a.types == b.types;
}

static void sweep_engine(bool explicit_checks, enum lack lack, bool stays, long stride)
{
    struct engine *engine;
    struct run u = {.rig.stack = {malloc(RIG_STACK), RIG_STACK}};
    uint8_t *bytes;
    size_t size;
    struct wat_error we;
    bool reached = true;
    ck_assert_msg(wat_assemble(guest_text, sizeof guest_text - 1, "guest", &bytes, &size, &we) == 0, "%u:%u: %s",
                  we.line, we.column, we.message);
    ck_assert_int_eq(engine_new(&(struct engine_options){.explicit_checks = explicit_checks}, &engine), HEMI_OK);
    disarm();
    scenario(engine, bytes, size, &u);
    const struct engine_stats before = engine_get_stats(engine);
    long space = address_space(), n;
    for (n = sweep_first(stride); reached; n = sweep_next(n, stride)) {
        arm(lack, n, stays);
        scenario(engine, bytes, size, &u);
        reached = disarm();
        ck_assert_msg(same(engine_get_stats(engine), before), "%ld left something in the engine", n);
    }
    ck_assert_int_gt(n, lack == SYSTEM ? 100 : 50);
    ck_assert_int_lt(address_space() - space, 3 << 20);
    engine_free(engine);
    free(bytes);
    free(u.rig.stack.base);
}

/* Valgrind needs the explicit scheme. */
static bool no_faults(void)
{
    const char *checks = getenv("HEMI_FAULT_CHECKS");
    return checks != NULL && strcmp(checks, "off") == 0;
}

START_TEST(an_engine_without_memory_fails_one_step) { sweep_engine(no_faults(), SYSTEM, _i, STRIDE); }
END_TEST

START_TEST(an_engine_without_memory_fails_one_step_in_the_explicit_scheme)
{
    sweep_engine(true, SYSTEM, _i, 2 * STRIDE);
}
END_TEST

START_TEST(an_engine_without_budget_fails_one_step) { sweep_engine(no_faults(), BUDGET, _i, STRIDE); }
END_TEST

START_TEST(an_engine_is_made_or_not)
{
    bool reached = true;
    for (long n = 1; reached; n++) {
        struct engine *engine;
        sweep_arm(SWEEP_SELF, SWEEP_MEMORY, n, _i);
        enum hemi_status status = engine_new(&(struct engine_options){.count_opcodes = true}, &engine);
        reached = sweep_disarm(SWEEP_SELF);
        ck_assert_int_eq(status, reached ? HEMI_NO_MEMORY : HEMI_OK);
        ck_assert_int_eq(engine != NULL, !reached);
        engine_free(engine);
    }
}
END_TEST

/* It kept its reservation until the store ended, and after some thousand no memory was guarded any more. */
START_TEST(a_memory_that_was_refused_keeps_no_address_space)
{
    static const struct limits one = {.min = 1, .max = 3, .has_max = true};
    struct rig r;
    struct memory *m;
    rig_init(&r);
    long before = address_space();
    r.charge_max = r.charged + 30000; /* the records fit, their pages do not */
    for (int i = 0; i < 50; i++) ck_assert_int_eq(memory_new(r.store, &one, &m), HEMI_NO_MEMORY);
    ck_assert_int_lt(address_space() - before, 4 << 20);
    r.charge_max = 0;
    ck_assert_int_eq(memory_new(r.store, &one, &m), HEMI_OK);
    ck_assert_int_eq(memory_write(m, 65535, "x", 1), HEMI_OK);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runtime_sweep");
    TCase *c = tcase_create("runtime_sweep");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, an_engine_without_memory_fails_one_step, 0, 2);
    tcase_add_loop_test(c, an_engine_without_memory_fails_one_step_in_the_explicit_scheme, 0, 2);
    tcase_add_loop_test(c, an_engine_without_budget_fails_one_step, 0, 2);
    tcase_add_loop_test(c, an_engine_is_made_or_not, 0, 2);
    tcase_add_test(c, a_memory_that_was_refused_keeps_no_address_space);
    suite_add_tcase(s, c);
    return run_suite(s);
}
