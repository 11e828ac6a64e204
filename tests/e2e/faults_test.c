/* The tenant option fault_checks: guests trap alike in a jailed worker, on fibers' stacks, whether page faults are
 * taken for it or not. */
#include <string.h>

#include "proto/tables/traps.h"
#include "tests/e2e/support.h"

static const char TEXT[] = "(module (import \"\" \"back\" (func $back (param i32) (result i32))) (memory 1 2)"
                           " (type $s (struct (field (mut i32))))"
                           " (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0)))"
                           " (func (export \"store\") (param i32) (result i32)"
                           "  (i64.store (local.get 0) (i64.const 1)) (i32.const 0))"
                           " (func (export \"null\") (param i32) (result i32) (struct.get $s 0 (ref.null $s)))"
                           " (func (export \"nest\") (param i32) (result i32)"
                           "  (i32.load offset=65533 (call $back (local.get 0)))))";

static struct daemon d;
static hemi_client *client;
static hemi_store *store;
static hemi_instance *instance;
static pid_t worker;

static void trap(const char *name, int32_t arg, unsigned wanted)
{
    hemi_object *function = export_of(instance, name);
    hemi_val in = hemi_i32(arg), out;
    expect(client, HEMI_TRAP, hemi_call(function, &in, 1, &out, 1, NULL));
    ck_assert_uint_eq(hemi_client_trap(client), wanted);
}

/* Called by the guest: traps in the same store, and goes on. */
static hemi_status back(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)env;
    trap("load", args[0].of.i32, TRAP_MEMORY_BOUNDS);
    results[0] = hemi_i32(0);
    return HEMI_OK;
}

static void start(const char *limits, const char *scheme)
{
    char *json;
    daemon_start_tenants(&d, 1, limits);
    client = client_open(d.socket);
    ok(client, hemi_info(client, &json));
    ck_assert_msg(strstr(json, scheme), "%s", json);
    hemi_free_text(json);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    const hemi_type i32 = HEMI_TYPE_I32;
    struct hemi_func_options type = {.params = &i32, .nparams = 1, .results = &i32, .nresults = 1};
    hemi_object *import;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_func_new(store, &type, back, NULL, &import, NULL));
    ok(client, hemi_instance_new(store, module_from(client, TEXT), &import, 1, NULL, &instance, NULL));
}

static void stop(void)
{
    pid_t now = 0;
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_int_eq(now, worker);
    hemi_client_free(client);
    daemon_stop(&d);
}

/* _i: 0 guarded, 1 explicit. */
START_TEST(traps_cost_no_worker)
{
    if (_i == 0)
        start(NULL, "\"memory_scheme\":\"guarded\"");
    else
        start("fault_checks = \"off\";", "\"memory_scheme\":\"explicit\"");
    for (int32_t i = 0; i < 50; i++) {
        trap("load", 65533 + i * 4099, TRAP_MEMORY_BOUNDS);
        trap("store", -1 - i, TRAP_MEMORY_BOUNDS);
        trap("null", i, TRAP_NULL_STRUCTURE);
        trap("nest", 65536 + i, TRAP_MEMORY_BOUNDS);
        ck_assert_int_eq(call_i32(export_of(instance, "load"), 1, 65532), 0);
    }
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("faults");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, traps_cost_no_worker, 0, 2);
    suite_add_tcase(s, t);
    return run_suite(s);
}
