/* tests/unit/server/scheduler/fiber_stack_test.c -- fiber.h .derived, measured: whatever recursion fills the VM stack,
 * it ends with the VM stack's trap, and leaves a margin of the native stack. */
#include "server/scheduler/fiber.h"
#include "tests/unit/rig.h"

enum { VM_BYTES = 1 << 20, MARK = 0xA5, SPARE = 32 << 10 };

static struct rig rig;
static struct fiber *fiber;
static uint32_t callee;
static enum hemi_status ended;

static void run(void *arg)
{
    union val args[4] = {{.i32 = 1}}, results[4];
    (void)arg;
    struct vm_stack stack = {fiber->vm, VM_BYTES};
    ended = rt_call(rig.store, callee, args, results, stack, &rig.err);
}

/* Bytes at the native stack's deep end that nothing has touched. Sanitizers forbid looking, so there it is only run. */
static size_t untouched(void)
{
    size_t n = 0;
    while (n < fiber->native_size && (unsigned char)fiber->native[n] == MARK) n++;
    return n;
}

static void mark(void)
{
    /* The top holds what the first switch needs. */
    if (!FIBER_ASAN) memset(fiber->native, MARK, fiber->native_size - 4096);
}

static const char text[] =
    "(module (memory 1) (type $t (func (result i32))) (table $tab 1 funcref) (elem (table $tab) (i32.const 0) func "
    "$indirect)"
    "(elem declare func $ref $deep)"
    "(func $plain (export \"plain\") (call $plain))"
    "(func $value (export \"value\") (param i32) (result i32) (i32.add (i32.const 1) (call $value (local.get 0))))"
    "(func $indirect (export \"indirect\") (result i32) (i32.add (i32.const 1) (call_indirect (type $t) (i32.const "
    "0))))"
    "(func $ref (export \"ref\") (result i32) (i32.add (i32.const 1) (call_ref $t (ref.func $ref))))"
    "(func $caught (export \"caught\") (block $b (try_table (catch_all $b) (call $caught))) (call $caught))"
    "(func $deep (export \"deep\") (param i32) (result i32) (local i64 i64 i64 f64)"
    "  (if (result i32) (local.get 0) (then (i32.add (call $deep (local.get 0)) (call $deep (i32.const 0))))"
    "    (else (i32.const 0)))))";

START_TEST(recursion_meets_the_vm_stack_first)
{
    static const char *const names[] = {"plain", "value", "indirect", "ref", "caught", "deep"};
    struct fiber_pool pool;
    struct rt_extern x;
    struct instance *in;
    rig_init_engine(&rig, (struct engine_options){.explicit_checks = _i != 0}, (struct store_options){0});
    struct module *m = rig_module(&rig, text);
    ck_assert_int_eq(instance_new(rig.store, m, NULL, rig.stack, &in, &rig.err), HEMI_OK);
    fiber_pool_init(&pool, VM_BYTES, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert(instance_export(in, names[i], strlen(names[i]), &x));
        callee = x.func;
        fiber = fiber_take(&pool, run, NULL);
        ck_assert_ptr_nonnull(fiber);
        mark();
        ck_assert(fiber_resume(fiber));
        ck_assert_msg(ended == HEMI_TRAP && rig.err.trap == TRAP_STACK_OVERFLOW, "%s: status %d", names[i], ended);
        if (!FIBER_ASAN) {
            size_t left = untouched();
            printf("%-9s %zu of %zu KiB of native stack used\n", names[i], (fiber->native_size - left) >> 10,
                   fiber->native_size >> 10);
            ck_assert_msg(left >= SPARE, "%s: only %zu bytes of native stack were left", names[i], left);
        }
        fiber_give(fiber);
    }
    fiber_pool_deinit(&pool);
    module_unref(m);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("native stack");
    TCase *tc = tcase_create("native stack");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, recursion_meets_the_vm_stack_first, 0, 2); /* in both memory schemes */
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
