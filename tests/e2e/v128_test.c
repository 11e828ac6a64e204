/* v128 over the socket: arguments, results, host functions both ways, globals, exceptions; and values that look like
 * something else while their type is not known. */
#include <string.h>

#include "tests/e2e/support.h"

static const char TEXT[] =
    "(module\n"
    "  (import \"h\" \"f\" (func $f (param v128 i32 v128) (result f64 v128)))\n"
    "  (import \"h\" \"g\" (global $g (mut v128)))\n"
    "  (global (export \"own\") (mut v128) (v128.const i64x2 5 6))\n"
    "  (global (export \"const\") v128 (v128.const i64x2 7 8))\n"
    "  (func (export \"mix\") (param i32 v128 i64 v128) (result v128 i64 v128 i32)\n"
    "    (local.get 3) (local.get 2) (local.get 1) (local.get 0))\n"
    "  (func (export \"host\") (param v128 v128) (result f64 v128)\n"
    "    (call $f (local.get 0) (i32.const 9) (local.get 1)))\n"
    "  (func (export \"swap\") (param v128) (result v128)\n"
    "    (global.get $g) (global.set $g (local.get 0)))\n"
    "  (func (export \"many\") (param v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)\n"
    "    (result v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)\n"
    "    (local.get 9) (local.get 8) (local.get 7) (local.get 6) (local.get 5)\n"
    "    (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0))\n"
    "  (func (export \"ref\") (param v128 externref) (result externref v128) (local.get 1) (local.get 0)))";

static struct daemon d;
static hemi_client *client;
static hemi_store *store;
static hemi_instance *instance;
static hemi_object *global;
static unsigned host_calls;

static hemi_val wide(uint64_t low, uint64_t high)
{
    uint8_t bytes[16];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(low >> (8 * i));
        bytes[8 + i] = (uint8_t)(high >> (8 * i));
    }
    return hemi_v128(bytes);
}

static void is_wide(const hemi_val *v, uint64_t low, uint64_t high)
{
    hemi_val want = wide(low, high);
    ck_assert_uint_eq(v->kind, HEMI_V128);
    ck_assert_mem_eq(v->of.v128, want.of.v128, 16);
}

/* (a, i, b) -> (i, ~b) */
static hemi_status host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)env;
    host_calls++;
    ck_assert_uint_eq(args[0].kind, HEMI_V128);
    results[0] = hemi_f64(args[1].of.i32);
    results[1] = args[2];
    for (int i = 0; i < 16; i++) results[1].of.v128[i] = (uint8_t)~results[1].of.v128[i];
    return HEMI_OK;
}

static void start(void)
{
    static const hemi_type types[] = {HEMI_TYPE_V128, HEMI_TYPE_I32, HEMI_TYPE_V128, HEMI_TYPE_F64, HEMI_TYPE_V128};
    struct hemi_func_options type = {.params = types, .nparams = 3, .results = types + 3, .nresults = 2};
    hemi_object *imports[2];
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_func_new(store, &type, host, NULL, &imports[0], NULL));
    hemi_val init = wide(1, 2);
    ok(client, hemi_global_new(store, HEMI_TYPE_V128, true, &init, &global, NULL));
    imports[1] = global;
    ok(client, hemi_instance_new(store, module_from(client, TEXT), imports, 2, NULL, &instance, NULL));
    host_calls = 0;
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

START_TEST(arguments_and_results_among_other_types)
{
    hemi_val args[] = {hemi_i32(-1), wide(0x0123456789ABCDEF, 2), hemi_i64(-3), wide(4, UINT64_MAX)}, out[4];
    ok(client, hemi_call(export_of(instance, "mix"), args, 4, out, 4, NULL));
    is_wide(&out[0], 4, UINT64_MAX);
    ck_assert_int_eq(out[1].of.i64, -3);
    is_wide(&out[2], 0x0123456789ABCDEF, 2);
    ck_assert_int_eq(out[3].of.i32, -1);
    args[1] = hemi_i64(1);
    expect(client, HEMI_ARGUMENT, hemi_call(export_of(instance, "mix"), args, 4, out, 4, NULL));
}
END_TEST

START_TEST(more_than_fit_a_small_frame)
{
    hemi_val args[10], out[10];
    for (unsigned i = 0; i < 10; i++) args[i] = wide(i, ~(uint64_t)i);
    ok(client, hemi_call(export_of(instance, "many"), args, 10, out, 10, NULL));
    for (unsigned i = 0; i < 10; i++) is_wide(&out[i], 9 - i, ~(uint64_t)(9 - i));
}
END_TEST

START_TEST(a_host_function_takes_and_gives_them)
{
    hemi_val args[] = {wide(1, 2), wide(0xFF, 0)}, out[2];
    ok(client, hemi_call(export_of(instance, "host"), args, 2, out, 2, NULL));
    ck_assert_double_eq(out[0].of.f64, 9);
    is_wide(&out[1], ~(uint64_t)0xFF, UINT64_MAX);
    ck_assert_uint_eq(host_calls, 1);
}
END_TEST

START_TEST(globals_are_read_written_shared_and_described)
{
    hemi_val v = wide(30, 40), out;
    ok(client, hemi_global_get(global, &out, NULL));
    is_wide(&out, 1, 2);
    ok(client, hemi_global_set(global, &v, NULL));
    v = wide(50, 60);
    ok(client, hemi_call(export_of(instance, "swap"), &v, 1, &out, 1, NULL));
    is_wide(&out, 30, 40);
    ok(client, hemi_global_get(global, &out, NULL));
    is_wide(&out, 50, 60);
    hemi_object *own = export_of(instance, "own"), *fixed = export_of(instance, "const");
    ok(client, hemi_global_set(own, &v, NULL));
    ok(client, hemi_global_get(own, &out, NULL));
    is_wide(&out, 50, 60);
    ck_assert_uint_eq(hemi_object_entry(own)->type, HEMI_TYPE_V128);
    ok(client, hemi_global_get(fixed, &out, NULL));
    is_wide(&out, 7, 8);
    expect(client, HEMI_ARGUMENT, hemi_global_set(fixed, &v, NULL));
    hemi_val narrow = hemi_i64(1);
    expect(client, HEMI_ARGUMENT, hemi_global_set(own, &narrow, NULL));
}
END_TEST

static unsigned finalized;
static void finalize(void *pointer) { (void)pointer, finalized++; }

/* On the wire a reference is a kind, a class, a handle and a payload: here are numbers with just these bytes. The
 * object whose id is the payload is neither kept nor given away by them. */
START_TEST(a_number_that_looks_like_a_reference_stays_a_number)
{
    static int object;
    hemi_val args[2], out[2];
    ok(client, hemi_extern_new(store, &object, finalize, &args[1]));
    finalized = 0;
    for (uint64_t kind = 0; kind < 5; kind++) {
        for (uint64_t class_ = 0; class_ < 4; class_++) {
            for (uint64_t payload = 0; payload < 4; payload++) {
                uint64_t low = kind | class_ << 8 | (payload & 1) << 32;
                args[0] = wide(low, payload);
                ok(client, hemi_call(export_of(instance, "ref"), args, 2, out, 2, NULL));
                is_wide(&out[1], low, payload);
                ck_assert_ptr_eq(out[0].of.ref.pointer, &object);
                hemi_drop(client, &out[0]);
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        ok(client, hemi_store_gc(store, NULL));
        ok(client, hemi_ping(client, NULL));
    }
    ck_assert_uint_eq(finalized, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("v128");
    TCase *t = tcase_create("socket");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, arguments_and_results_among_other_types);
    tcase_add_test(t, more_than_fit_a_small_frame);
    tcase_add_test(t, a_host_function_takes_and_gives_them);
    tcase_add_test(t, globals_are_read_written_shared_and_described);
    tcase_add_test(t, a_number_that_looks_like_a_reference_stays_a_number);
    suite_add_tcase(s, t);
    return run_suite(s);
}
