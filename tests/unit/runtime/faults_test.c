/* tests/unit/runtime/faults_test.c -- the memory schemes: the same traps at the same places, whether a fault or a
 * comparison finds them. Loop tests: scheme 0 is guarded, 1 is explicit by option, 2 is explicit because no memory
 * could be guarded (a limit on address space). */
#include "proto/tables/limits.h"
#include "runtime/code/vm.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/faults.h"
#include "tests/unit/rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GUARDED, EXPLICIT, REFUSED, SCHEMES };

/* Room for the engine's and a heap's reservations and small memories, none for a guarded one. */
static void limit_address_space(void)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit now = {0, 0};
    char line[256];
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    fclose(f);
    now.rlim_cur = strtoull(line, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + (UINT64_C(6) << 30);
    now.rlim_max = all.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &now), 0);
}

static void scheme_init(struct rig *r, int scheme)
{
    rig_init_engine(r, (struct engine_options){.explicit_checks = scheme == EXPLICIT}, (struct store_options){0});
    if (scheme == REFUSED) limit_address_space();
}

static void scheme_check(const struct instance *in, int scheme)
{
    if (!faults_install()) return; /* there is but one */
    ck_assert_int_eq(in->mem0->guarded, scheme == GUARDED || in->module->nmemories == 0);
    ck_assert_int_eq(in->code == in->module->code, scheme != REFUSED || in->module->nmemories == 0);
}

#define ACCESSES                                                                                                       \
    "(func (export \"load8\") (param i32) (result i32) (i32.load8_s (local.get 0)))"                                   \
    "(func (export \"load16\") (param i32) (result i32) (i32.load16_u offset=3 (local.get 0)))"                        \
    "(func (export \"load\") (param i32) (result i32) (i32.add (i32.load (local.get 0)) (i32.const 0)))"               \
    "(func (export \"load64\") (param i32) (result i64) (i64.load offset=16 (local.get 0)))"                           \
    "(func (export \"far\") (param i32) (result f64) (f64.load offset=0xffffffff (local.get 0)))"                      \
    "(func (export \"store8\") (param i32) (i32.store8 (local.get 0) (i32.const -1)))"                                 \
    "(func (export \"store\") (param i32) (i32.store offset=4 (local.get 0) (local.get 0)))"                           \
    "(func (export \"store64\") (param i32) (i64.store (local.get 0) (i64.const -1)))"                                 \
    "(func (export \"storef\") (param i32) (f32.store offset=0xfffffffc (local.get 0) (f32.const 1)))"                 \
    "(func (export \"load128\") (param i32) (result i64) (i64x2.extract_lane 1 (v128.load offset=2 (local.get 0))))"   \
    "(func (export \"sum128\") (param i32) (result v128)"                                                              \
    " (v128.load offset=2 (i32.add (local.get 0) (i32.const -3))))"                                                    \
    "(func (export \"load8x8\") (param i32) (result v128) (v128.load8x8_s (local.get 0)))"                             \
    "(func (export \"splat\") (param i32) (result v128) (v128.load16_splat offset=1 (local.get 0)))"                   \
    "(func (export \"zero\") (param i32) (result v128) (v128.load32_zero offset=1 (local.get 0)))"                     \
    "(func (export \"lane\") (param i32) (result v128) (v128.load64_lane 1 (local.get 0) (v128.const i64x2 1 2)))"     \
    "(func (export \"store128\") (param i32) (v128.store offset=2 (local.get 0) (v128.const i64x2 -1 -1)))"            \
    "(func (export \"storel\") (param i32) (v128.store32_lane offset=2 3 (local.get 0) (v128.const i64x2 -1 -1)))"     \
    "(func (export \"far128\") (param i32) (v128.store offset=0xffffffff (local.get 0) (v128.const i64x2 -1 -1)))"     \
    "(func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"                                    \
    "(func (export \"fixed\") (result i32) (i32.load offset=65533 (i32.const 0)))"

static void at_the_end(struct rig *r, struct instance *in, uint32_t end)
{
    static const struct {
        const char *name;
        uint32_t bytes; /* offset and width */
    } access[] = {{"load8", 1}, {"load16", 5},  {"load", 4},     {"load64", 24},   {"store8", 1},
                  {"store", 8}, {"store64", 8}, {"load128", 18}, {"sum128", 15},   {"load8x8", 8},
                  {"splat", 3}, {"zero", 5},    {"lane", 8},     {"store128", 18}, {"storel", 6}};
    for (size_t i = 0; i < sizeof access / sizeof *access; i++) {
        rig_ok(r, in, access[i].name, end - access[i].bytes);
        for (uint32_t beyond = 1; beyond <= access[i].bytes; beyond++)
            rig_trap(r, in, MEMORY_BOUNDS, access[i].name, end - access[i].bytes + beyond);
        rig_trap(r, in, MEMORY_BOUNDS, access[i].name, end + 4096);
        rig_trap(r, in, MEMORY_BOUNDS, access[i].name, 0x7FFFFFFF);
        rig_trap(r, in, MEMORY_BOUNDS, access[i].name, UINT32_MAX);
    }
}

START_TEST(the_last_byte_is_in_and_the_next_is_not)
{
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in = rig_instance(&r, "(module (memory 1 3)" ACCESSES ")", NULL);
    scheme_check(in, _i);
    at_the_end(&r, in, 65536);
    rig_trap(&r, in, MEMORY_BOUNDS, "fixed", 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "far", 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "far", UINT32_MAX);
    rig_trap(&r, in, MEMORY_BOUNDS, "storef", 4); /* 2^32 does not wrap */
    rig_trap(&r, in, MEMORY_BOUNDS, "storef", UINT32_MAX);
    rig_trap(&r, in, MEMORY_BOUNDS, "far128", 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "far128", UINT32_MAX);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 2), 1);
    at_the_end(&r, in, 3 * 65536);
    rig_ok(&r, in, "fixed", 0);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 1), UINT32_MAX);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_store_across_the_end_writes_nothing)
{
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in = rig_instance(&r, "(module (memory 1 1)" ACCESSES ")", NULL);
    scheme_check(in, _i);
    rig_trap(&r, in, MEMORY_BOUNDS, "store64", 65532);
    ck_assert_uint_eq(rig_ok(&r, in, "load", 65532), 0);
    for (uint32_t beyond = 1; beyond < 16; beyond++) rig_trap(&r, in, MEMORY_BOUNDS, "store128", 65536 - 18 + beyond);
    for (uint32_t beyond = 1; beyond < 4; beyond++) rig_trap(&r, in, MEMORY_BOUNDS, "storel", 65536 - 6 + beyond);
    for (uint32_t at = 65520; at < 65536; at += 4) ck_assert_uint_eq(rig_ok(&r, in, "load", at), 0);
    rig_deinit(&r);
}
END_TEST

START_TEST(an_empty_memory_has_no_byte)
{
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in = rig_instance(&r, "(module (memory 0 2)" ACCESSES ")", NULL);
    scheme_check(in, _i);
    rig_trap(&r, in, MEMORY_BOUNDS, "load8", 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "store8", 0);
    ck_assert_uint_eq(rig_ok(&r, in, "grow", 1), 0);
    at_the_end(&r, in, 65536);
    rig_deinit(&r);
    if (_i == REFUSED) return;
    scheme_init(&r, _i);
    in = rig_instance(&r, "(module (memory 0 0)" ACCESSES ")", NULL);
    rig_trap(&r, in, MEMORY_BOUNDS, "load8", 0);
    rig_trap(&r, in, MEMORY_BOUNDS, "load8", UINT32_MAX);
    rig_deinit(&r);
}
END_TEST

/* All kinds of fields and elements. */
#define OBJECTS                                                                                                        \
    "(type $s (struct (field $a (mut i8)) (field $b (mut i16)) (field $c (mut i32)) (field $d (mut i64))"              \
    "  (field $e (mut anyref))))"                                                                                      \
    "(type $b (array (mut i8))) (type $w (array (mut i64)))"                                                           \
    "(func $s (result (ref null $s)) (ref.null $s)) (func $b (result (ref null $b)) (ref.null $b))"                    \
    "(func $w (result (ref null $w)) (ref.null $w))"                                                                   \
    "(func (export \"s0\") (result i32) (struct.get_s $s $a (call $s)))"                                               \
    "(func (export \"s1\") (result i32) (struct.get_u $s $b (call $s)))"                                               \
    "(func (export \"s2\") (result i32) (struct.get $s $c (call $s)))"                                                 \
    "(func (export \"s3\") (result i64) (struct.get $s $d (call $s)))"                                                 \
    "(func (export \"s4\") (result i32) (ref.is_null (struct.get $s $e (call $s))))"                                   \
    "(func (export \"s5\") (struct.set $s $a (call $s) (i32.const 1)))"                                                \
    "(func (export \"s6\") (struct.set $s $b (call $s) (i32.const 1)))"                                                \
    "(func (export \"s7\") (struct.set $s $c (call $s) (i32.const 1)))"                                                \
    "(func (export \"s8\") (struct.set $s $d (call $s) (i64.const 1)))"                                                \
    "(func (export \"s9\") (struct.set $s $e (call $s) (ref.i31 (i32.const 1))))"                                      \
    "(func (export \"a0\") (result i32) (array.get_u $b (call $b) (i32.const 0)))"                                     \
    "(func (export \"a1\") (result i64) (array.get $w (call $w) (i32.const -1)))"                                      \
    "(func (export \"a2\") (array.set $b (call $b) (i32.const 7) (i32.const 1)))"                                      \
    "(func (export \"a3\") (array.set $w (call $w) (i32.const 7) (i64.const 1)))"                                      \
    "(func (export \"a4\") (result i32) (array.len (call $w)))"

START_TEST(null_objects)
{
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in = rig_instance(&r, "(module (memory 1 1)" OBJECTS ")", NULL);
    scheme_check(in, _i);
    for (char name[] = "s0"; name[1] <= '9'; name[1]++) rig_trap(&r, in, NULL_STRUCTURE, name, 0);
    for (char name[] = "a0"; name[1] <= '4'; name[1]++) rig_trap(&r, in, NULL_ARRAY, name, 0);
    rig_deinit(&r);
}
END_TEST

/* A structure as large as they come: its last field is still within the null page. */
START_TEST(the_last_field_of_the_largest_structure)
{
    struct rig r;
    scheme_init(&r, _i);
    char *text = malloc(LIMIT_FIELDS * 4 + 400);
    size_t n = (size_t)sprintf(text, "(module (memory 1 1) (type $s (struct (field");
    for (int i = 0; i < LIMIT_FIELDS - 1; i++) n += (size_t)sprintf(text + n, " i64");
    sprintf(text + n,
            ") (field (mut i64))))"
            "(func (export \"get\") (result i64) (struct.get $s %d (ref.null $s)))"
            "(func (export \"set\") (struct.set $s %d (ref.null $s) (i64.const 1))))",
            LIMIT_FIELDS - 1, LIMIT_FIELDS - 1);
    struct instance *in = rig_instance(&r, text, NULL);
    scheme_check(in, _i);
    rig_trap(&r, in, NULL_STRUCTURE, "get", 0);
    rig_trap(&r, in, NULL_STRUCTURE, "set", 0);
    free(text);
    rig_deinit(&r);
}
END_TEST

/* ---- Places and catching */

START_TEST(a_trap_says_where)
{
    static const char text[] = "(module (memory 1 1) (func nop)"
                               " (func (export \"f\") (param i32) (result i32) (local i64)"
                               "  (drop (i32.load8_u (i32.const 1))) (i32.load offset=1 (local.get 0))))";
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in = rig_instance(&r, text, NULL);
    scheme_check(in, _i);
    rig_trap(&r, in, MEMORY_BOUNDS, "f", 65535);
    ck_assert_uint_eq(r.err.func, 1);
    ck_assert(r.err.has_offset);
    const uint8_t *at = in->module->bytes + r.err.offset;
    ck_assert_uint_eq(at[0], 0x28); /* i32.load, align, offset */
    ck_assert_uint_eq(at[2], 1);
    rig_deinit(&r);
}
END_TEST

/* A trap is no exception: a try_table does not catch it; one below a caught exception does its work. */
START_TEST(regions_and_constants_survive_a_change_of_scheme)
{
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in =
        rig_instance(&r,
                     "(module (memory 1 1) (tag $t (param i32))"
                     " (type $p (struct (field i32) (field anyref)))"
                     " (global $g (ref $p) (struct.new $p (i32.const 40) (ref.i31 (i32.const 2))))"
                     " (func $thrower (param i32) (throw $t (local.get 0)))"
                     " (func (export \"caught\") (param i32) (result i32)"
                     "  (block $h (result i32) (try_table (catch $t $h) (call $thrower (i32.const 7))) (i32.const 0)))"
                     " (func (export \"trapped\") (param i32) (result i32)"
                     "  (block $h (try_table (catch_all $h) (return (i32.load (local.get 0))))) (i32.const 1))"
                     " (func (export \"global\") (result i32) (i32.add (struct.get $p 0 (global.get $g))"
                     "  (i31.get_s (ref.cast (ref i31) (struct.get $p 1 (global.get $g))))))"
                     " (func (export \"table\") (param i32) (result i32)"
                     "  (block (block (block (br_table 0 1 2 0 1 (local.get 0))) (return (i32.const 10)))"
                     "   (return (i32.const 20))) (i32.const 30)))",
                     NULL);
    scheme_check(in, _i);
    ck_assert_uint_eq(rig_ok(&r, in, "caught", 0), 7);
    rig_trap(&r, in, MEMORY_BOUNDS, "trapped", UINT32_MAX);
    ck_assert_uint_eq(rig_ok(&r, in, "global", 0), 42);
    static const uint32_t ways[] = {10, 20, 30, 10, 20, 20};
    for (uint32_t i = 0; i < 6; i++) ck_assert_uint_eq(rig_ok(&r, in, "table", i), ways[i]);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_module_of_imported_functions_has_no_code)
{
    struct rig r;
    scheme_init(&r, _i);
    struct instance *in = rig_instance(&r, "(module (func (export \"f\") (result i32) (i32.const 3)))", NULL);
    struct rt_extern f = rig_export(in, "f");
    in = rig_instance(&r,
                      "(module (import \"\" \"f\" (func (result i32))) (export \"f\" (func 0)) (memory 1 1)"
                      " (global (ref any) (array.new_default $a (i32.const 1))) (type $a (array i8)))",
                      &f);
    ck_assert_uint_eq(rig_ok(&r, in, "f", 0), 3);
    rig_deinit(&r);
}
END_TEST

/* ---- Both schemes in one store */

static uint64_t address_space(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    fclose(f);
    return strtoull(line, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

START_TEST(instances_of_both_schemes_call_each_other)
{
    if (!faults_install()) return;
    static const char text[] =
        "(module (memory (export \"m\") 1 2) (type $t (func (param i32) (result i32)))"
        " (table (export \"t\") 1 funcref)"
        " (func (export \"load\") (type $t) (i32.load (local.get 0)))"
        " (func (export \"set\") (param funcref) (table.set (i32.const 0) (local.get 0)))"
        " (func (export \"other\") (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0)))"
        " (func (export \"both\") (type $t) (i32.add (i32.load8_u (local.get 0))"
        "   (call_indirect (type $t) (local.get 0) (i32.const 0))))"
        " (func (export \"tail\") (type $t) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))"
        " (data (i32.const 8) \"\\05\"))";
    struct rig r;
    scheme_init(&r, GUARDED);
    struct module *m = rig_module(&r, text);
    struct instance *in[2];
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in[0], &r.err), HEMI_OK);
    struct rlimit old, tight;
    getrlimit(RLIMIT_AS, &old);
    tight = (struct rlimit){address_space() + (1u << 30), old.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in[1], &r.err), HEMI_OK);
    setrlimit(RLIMIT_AS, &old);
    ck_assert(in[0]->mem0->guarded && !in[1]->mem0->guarded);
    ck_assert_ptr_ne(in[0]->code, in[1]->code);
    for (int i = 0; i < 2; i++) {
        union val f = {.u64 = {rig_export(in[1 - i], "load").func, 0}}, none[1];
        ck_assert_int_eq(rt_call(r.store, rig_export(in[i], "set").func, &f, none, r.stack, &r.err), HEMI_OK);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(rig_ok(&r, in[i], "both", 8), 10);
        ck_assert_uint_eq(rig_ok(&r, in[i], "tail", 8), 5);
        rig_trap(&r, in[i], MEMORY_BOUNDS, "other", 65533);
        ck_assert_uint_eq(r.err.func, 0);
        rig_trap(&r, in[i], MEMORY_BOUNDS, "tail", 65533);
        rig_trap(&r, in[i], MEMORY_BOUNDS, "both", 65536);
        ck_assert_uint_eq(r.err.func, 3);
    }
    /* A guarded module over an imported memory that is not, and the other way round. */
    for (int i = 0; i < 2; i++) {
        struct rt_extern memory = rig_export(in[i], "m");
        struct instance *user =
            rig_instance(&r,
                         "(module (import \"\" \"m\" (memory 1)) (func (export \"load\") (param i32) (result i32)"
                         " (i32.load offset=4 (local.get 0))))",
                         &memory);
        ck_assert_uint_eq(rig_ok(&r, user, "load", 4), 5);
        rig_trap(&r, user, MEMORY_BOUNDS, "load", 65532);
        ck_assert_int_eq(user->code == user->module->code, i == 0);
    }
    module_unref(m);
    rig_deinit(&r);
}
END_TEST

/* The same module twice, while polls of its second translation are answered with another status. */
START_TEST(a_second_translation_can_be_cancelled)
{
    if (!faults_install()) return;
    struct rig r;
    scheme_init(&r, REFUSED);
    struct module *m = rig_module(&r, "(module (memory 1 1)" ACCESSES OBJECTS ")");
    struct instance *in;
    r.yield_after = HEMI_CANCELLED;
    r.yield_at = r.yields + 3;
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in, &r.err), HEMI_CANCELLED);
    ck_assert_ptr_null(m->explicit_code);
    r.yield_at = 0;
    ck_assert_int_eq(instance_new(r.store, m, NULL, r.stack, &in, &r.err), HEMI_OK);
    rig_trap(&r, in, MEMORY_BOUNDS, "load8", 65536);
    module_unref(m);
    rig_deinit(&r);
}
END_TEST

/* ---- Callbacks */

struct nested {
    struct rig *r;
    struct instance *in;
    struct vm_stack stack;
    uint32_t faults;
};

static enum hemi_status call_back(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                  union val *results, struct rt_error *err)
{
    (void)caller, (void)err;
    struct nested *n = ctx;
    struct rt_error inner = {0};
    union val out[1];
    uint32_t load = rig_export(n->in, "load").func;
    ck_assert_int_eq(rt_call(s, load, args, out, n->stack, &inner), HEMI_TRAP);
    ck_assert_int_eq(inner.trap, TRAP_MEMORY_BOUNDS);
    n->faults++;
    results[0] = (union val){.i32 = 5};
    return HEMI_OK;
}

START_TEST(faults_inside_a_host_callback)
{
    struct rig r;
    scheme_init(&r, _i);
    struct nested n = {.r = &r, .stack = {malloc(RIG_STACK), RIG_STACK}};
    struct host_func_options opt = {.ctx = &n, .call = call_back};
    const valtype types[] = {VT_I32, VT_I32};
    struct rt_extern host = {.kind = EXTERN_FUNC};
    ck_assert_int_eq(host_func_new(r.store, types, 1, 1, &opt, &host.func), HEMI_OK);
    n.in = rig_instance(&r,
                        "(module (import \"\" \"h\" (func $h (param i32) (result i32))) (memory 1 1)"
                        " (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0)))"
                        " (func (export \"f\") (param i32) (result i32)"
                        "  (i32.load (i32.add (call $h (local.get 0)) (local.get 0)))))",
                        &host);
    for (uint32_t i = 1; i < 100; i++) {
        rig_trap(&r, n.in, MEMORY_BOUNDS, "f", 65536 + i);
        ck_assert_uint_eq(n.faults, i);
    }
    rig_deinit(&r);
    free(n.stack.base);
}
END_TEST

/* ---- Faults that are not a guest's */

static volatile sig_atomic_t seen;
static void *wanted;
static void on_foreign(int sig, siginfo_t *info, void *context)
{
    (void)context;
    seen = sig == SIGSEGV && info->si_addr == wanted;
    mprotect(wanted, 4096, PROT_READ);
}

static void handle_foreign(void)
{
    struct sigaction action = {.sa_sigaction = on_foreign, .sa_flags = SA_SIGINFO};
    wanted = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
}

START_TEST(a_foreign_fault_reaches_the_previous_handler)
{
    struct rig r;
    handle_foreign();
    scheme_init(&r, GUARDED); /* the first engine of this process */
    struct instance *in = rig_instance(&r, "(module (memory 1 1)" ACCESSES ")", NULL);
    rig_trap(&r, in, MEMORY_BOUNDS, "load", 65536);
    ck_assert_int_eq(seen, 0);
    ck_assert_int_eq(*(volatile char *)wanted, 0);
    ck_assert_int_eq(seen, 1);
    rig_trap(&r, in, MEMORY_BOUNDS, "load", 65536);
    munmap(wanted, 4096);
    rig_deinit(&r);
}
END_TEST

START_TEST(explicit_checks_install_nothing)
{
    struct rig r;
    handle_foreign();
    scheme_init(&r, EXPLICIT);
    struct sigaction now;
    ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
    ck_assert(now.sa_sigaction == on_foreign);
    munmap(wanted, 4096);
    rig_deinit(&r);
}
END_TEST

START_TEST(a_fault_of_ours_ends_the_process) /* expects SIGSEGV */
{
    struct rig r;
    signal(SIGSEGV, SIG_DFL);
    scheme_init(&r, GUARDED);
    char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)none = 1;
}
END_TEST

/* A guarded body whose memory's base is not what it was. */
START_TEST(a_fault_elsewhere_is_no_trap) /* expects SIGABRT */
{
    struct rig r;
    scheme_init(&r, GUARDED);
    struct instance *in = rig_instance(&r, "(module (memory 1 1)" ACCESSES ")", NULL);
    if (!faults_install()) abort();
    in->mem0->size += 1 << 20; /* so what lies beyond the real end is not beyond this one */
    rig_call(&r, in, "load", RIG_ARGS(65536), &(union val){0});
}
END_TEST

int main(void)
{
    Suite *s = suite_create("faults");
    TCase *tc = tcase_create("faults");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_last_byte_is_in_and_the_next_is_not, 0, SCHEMES);
    tcase_add_loop_test(tc, a_store_across_the_end_writes_nothing, 0, SCHEMES);
    tcase_add_loop_test(tc, an_empty_memory_has_no_byte, 0, SCHEMES);
    tcase_add_loop_test(tc, null_objects, 0, SCHEMES);
    tcase_add_loop_test(tc, the_last_field_of_the_largest_structure, 0, SCHEMES);
    tcase_add_loop_test(tc, a_trap_says_where, 0, SCHEMES);
    tcase_add_loop_test(tc, regions_and_constants_survive_a_change_of_scheme, 0, SCHEMES);
    tcase_add_loop_test(tc, a_module_of_imported_functions_has_no_code, 0, SCHEMES);
    tcase_add_loop_test(tc, faults_inside_a_host_callback, 0, SCHEMES);
    tcase_add_test(tc, instances_of_both_schemes_call_each_other);
    tcase_add_test(tc, a_second_translation_can_be_cancelled);
    tcase_add_test(tc, a_foreign_fault_reaches_the_previous_handler);
    tcase_add_test(tc, explicit_checks_install_nothing);
    tcase_add_test_raise_signal(tc, a_fault_of_ours_ends_the_process, SIGSEGV);
    tcase_add_test_raise_signal(tc, a_fault_elsewhere_is_no_trap, SIGABRT);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
