/* A tenant whose memory is as much as the stacks of one deep nesting: when that has ended, there is room for others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

enum { DEPTH = 60, FUNCS = 3000 };

static const char NEST[] = "(module (import \"h\" \"f\" (func $h (param i32)))\n"
                           "  (func (export \"f\") (param i32) (call $h (local.get 0))))";
static struct daemon d;
static hemi_client *client;
static hemi_object *nest;
static int32_t deepest;

static void start(void)
{
    daemon_start_tenants(&d, 1, "memory = \"64MiB\"; stack = \"1MiB\";");
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static hemi_status call_again(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    hemi_val next = hemi_i32(args[0].of.i32 + 1);
    (void)results, (void)env;
    deepest = args[0].of.i32;
    if (deepest >= DEPTH) return HEMI_OK;
    hemi_status status = hemi_call(nest, &next, 1, NULL, 0, NULL);
    return status == HEMI_OK ? HEMI_OK : hemi_caller_fail(caller, hemi_client_error(client));
}

static void nest_deeply(void)
{
    hemi_store *store;
    hemi_instance *instance;
    hemi_object *host;
    hemi_type param = HEMI_TYPE_I32;
    hemi_module *module = module_from(client, NEST);
    struct hemi_func_options opt = {.params = &param, .nparams = 1};
    hemi_val one = hemi_i32(1);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_func_new(store, &opt, call_again, NULL, &host, NULL));
    ok(client, hemi_instance_new(store, module, &host, 1, NULL, &instance, NULL));
    nest = export_of(instance, "f");
    ok(client, hemi_call(nest, &one, 1, NULL, 0, NULL));
    ck_assert_int_eq(deepest, DEPTH);
    ok(client, hemi_store_close(store, NULL));
}

static void make_a_large_module(hemi_client *c)
{
    static const char func[] = "(func (param i32) (drop (i32.add (local.get 0) (i32.const 1))))";
    char *text = malloc(64 + FUNCS * sizeof func), *at = text + sprintf(text, "(module");
    for (int i = 0; i < FUNCS; i++) at += sprintf(at, "%s", func);
    strcpy(at, ")");
    hemi_module_free(module_from(c, text));
    free(text);
}

START_TEST(stacks_of_a_deep_nesting_are_not_retained)
{
    make_a_large_module(client);
    nest_deeply();
    make_a_large_module(client);
    hemi_client *another = client_open(d.socket);
    make_a_large_module(another);
    hemi_client_free(another);
    nest_deeply();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stacks");
    TCase *t = tcase_create("stacks");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, stacks_of_a_deep_nesting_are_not_retained);
    suite_add_tcase(s, t);
    return run_suite(s);
}
