/* The programs of tests/modules, through the daemon, with their results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;
static hemi_store *store;

static void start(void)
{
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static hemi_module *module_of(const char *name)
{
    char path[512];
    static char text[1 << 16];
    snprintf(path, sizeof path, "%s/%s.wat", HEMI_MODULES_DIR, name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    return module_from(client, text);
}

static const struct program {
    const char *name;
    int32_t argument, result;
} programs[] = {{"fib", 20, 6765}, {"trees", 8, 25774}, {"arrays", 20, 9990000}, {"constants", 0, 3}, {"table", 0, 7}};

START_TEST(gives_its_result)
{
    const struct program *p = &programs[_i];
    hemi_instance *instance;
    ok(client, hemi_instance_new(store, module_of(p->name), NULL, 0, NULL, &instance, NULL));
    ck_assert_int_eq(call_i32(export_of(instance, "run"), 1, p->argument), p->result);
}
END_TEST

static hemi_status host_id(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller;
    (void)env;
    results[0] = args[0];
    return HEMI_OK;
}

static hemi_status host_add(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller;
    ++*(int *)env;
    results[0] = hemi_i32(args[0].of.i32 + args[1].of.i32);
    return HEMI_OK;
}

START_TEST(calls_in_both_directions_and_an_externref_through)
{
    const hemi_type ext = HEMI_TYPE_EXTERNREF, ints[2] = {HEMI_TYPE_I32, HEMI_TYPE_I32};
    struct hemi_func_options id = {.params = &ext, .nparams = 1, .results = &ext, .nresults = 1};
    struct hemi_func_options add = {.params = ints, .nparams = 2, .results = ints, .nresults = 1};
    hemi_object *imports[2];
    hemi_instance *instance;
    int calls = 0, thing = 0;
    ok(client, hemi_func_new(store, &id, host_id, NULL, &imports[0], NULL));
    ok(client, hemi_func_new(store, &add, host_add, &calls, &imports[1], NULL));
    ok(client, hemi_instance_new(store, module_of("host"), imports, 2, NULL, &instance, NULL));
    ck_assert_int_eq(call_i32(export_of(instance, "add"), 2, 40, 2), 42);
    ck_assert_int_eq(call_i32(export_of(instance, "loop"), 1, 100), 5050);
    ck_assert_int_eq(calls, 100);
    hemi_val in, out;
    const char *names[] = {"ext", "through"};
    for (int i = 0; i < 2; i++) {
        ok(client, hemi_extern_new(store, &thing, NULL, &in));
        ok(client, hemi_call(export_of(instance, names[i]), &in, 1, &out, 1, NULL));
        ck_assert_ptr_eq(out.of.ref.pointer, &thing);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("programs");
    TCase *t = tcase_create("programs");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, gives_its_result, 0, sizeof programs / sizeof *programs);
    tcase_add_test(t, calls_in_both_directions_and_an_externref_through);
    suite_add_tcase(s, t);
    return run_suite(s);
}
