/* Canonical types over a worker's life: shared by all modules and stores, and gone with the last that names them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;

static void start(void)
{
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

/* A number of the worker's, out of INFO. */
static long worker_says(const char *key)
{
    char quoted[32], *json;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    ok(client, hemi_info(client, &json));
    const char *at = strstr(json, "\"worker\":{");
    at = at ? strstr(at, quoted) : NULL;
    ck_assert_msg(at != NULL, "no %s in %s", key, json);
    long n = strtol(at + strlen(quoted), NULL, 10);
    hemi_free_text(json);
    return n;
}

/* What has ended is freed in slices, so it may take some turns of the worker. */
static void worker_comes_to(const char *key, long wanted)
{
    double end = now_ms() + 10000 * slowness();
    long n;
    while ((n = worker_says(key)) != wanted && now_ms() < end) continue;
    ck_assert_msg(n == wanted, "%s: %ld, not %ld", key, n, wanted);
}

/* Two structures that refer to each other and a function type; which group it is depends on i. */
static void group_text(char *out, size_t size, unsigned i)
{
    char fields[512];
    int n = 0;
    for (unsigned k = 0; k < 14; k++)
        n += snprintf(fields + n, sizeof fields - (size_t)n, " (field %s)", (i >> k) & 1 ? "i64" : "i32");
    snprintf(out, size,
             "(rec (type $a (struct (field (ref null $b))%s)) (type $b (struct (field (ref null $a))))\n"
             "     (type $f (func (param (ref $a)) (result (ref null $b)))))",
             fields);
}

START_TEST(ten_thousand_modules_leave_no_types)
{
    const unsigned modules = slowness() > 1 ? 1000 : 10000;
    char group[1024], text[1200];
    hemi_module *kept[10] = {NULL};
    long before = worker_says("types"), ids = 0;
    for (unsigned i = 0; i < modules; i++) {
        group_text(group, sizeof group, i);
        snprintf(text, sizeof text, "(module %s (func (export \"f\") (type $f) (ref.null $b)))", group);
        if (kept[i % 10]) hemi_module_free(kept[i % 10]);
        kept[i % 10] = module_from(client, text);
        if (i == 100) ids = worker_says("type_ids");
        if (i % 1000 == 999) worker_comes_to("types", before + 30);
    }
    ck_assert_int_le(worker_says("type_ids"), ids);
    for (unsigned i = 0; i < 10; i++) hemi_module_free(kept[i]);
    worker_comes_to("modules", 0);
    worker_comes_to("types", before);
}
END_TEST

static hemi_instance *linked(hemi_store *store, const char *text, hemi_object *const *imports, size_t n)
{
    hemi_instance *in;
    hemi_module *m = module_from(client, text);
    ok(client, hemi_instance_new(store, m, imports, n, NULL, &in, NULL));
    hemi_module_free(m); /* the instance alone keeps it */
    return in;
}

/* A maker of one module, a user of another with an equal group, an alien with another group; all modules dropped. */
static void groups(char maker[1500], char user[2000], char alien[1500])
{
    char group[1024];
    group_text(group, sizeof group, 5);
    snprintf(maker, 1500,
             "(module %s (global (export \"g\") (mut (ref null $a)) (ref.null $a))\n"
             "  (func (export \"make\") (result (ref $a)) (struct.new_default $a))\n"
             "  (func (export \"f\") (type $f) (struct.get $a 0 (local.get 0))))",
             group);
    snprintf(user, 2000,
             "(module %s (import \"\" \"f\" (func $f (type $f))) (import \"\" \"g\" (global $g (mut (ref null $a))))\n"
             "  (func (export \"use\") (param anyref) (result i32)\n"
             "    (global.set $g (ref.cast (ref $a) (local.get 0)))\n"
             "    (ref.is_null (call $f (ref.cast (ref $a) (local.get 0)))))\n"
             "  (func (export \"is\") (param anyref) (result i32) (ref.test (ref $a) (local.get 0)))\n"
             "  (func (export \"call\") (param funcref) (result i32)\n"
             "    (ref.is_null (call_ref $f (struct.new_default $a) (ref.cast (ref $f) (local.get 0))))))",
             group);
    group_text(group, sizeof group, 6);
    snprintf(alien, 1500,
             "(module %s (func (export \"make\") (result (ref $a)) (struct.new_default $a))\n"
             "  (func (export \"f\") (type $f) (struct.get $a 0 (local.get 0))))",
             group);
}

START_TEST(equal_groups_of_two_modules_link_and_other_groups_do_not)
{
    char maker[1500], user[2000], alien[1500];
    hemi_store *store;
    hemi_instance *none;
    groups(maker, user, alien);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    hemi_instance *one = linked(store, maker, NULL, 0), *other = linked(store, alien, NULL, 0);
    hemi_object *imports[] = {export_of(one, "f"), export_of(one, "g")};
    linked(store, user, imports, 2);
    imports[0] = export_of(other, "f");
    expect(client, HEMI_LINK, hemi_instance_new(store, module_from(client, user), imports, 2, NULL, &none, NULL));
}
END_TEST

static int32_t says(hemi_object *function, const hemi_val *arg)
{
    hemi_val result;
    ok(client, hemi_call(function, arg, 1, &result, 1, NULL));
    return result.of.i32;
}

START_TEST(types_live_as_long_as_a_store_uses_a_dropped_module)
{
    char maker[1500], user[2000], alien[1500], group[1024], text[1200];
    hemi_store *store;
    hemi_val made, strange, f, g;
    long before = worker_says("types");
    groups(maker, user, alien);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    hemi_instance *one = linked(store, maker, NULL, 0), *other = linked(store, alien, NULL, 0);
    hemi_object *imports[] = {export_of(one, "f"), export_of(one, "g")};
    hemi_instance *in = linked(store, user, imports, 2);
    hemi_object *use = export_of(in, "use"), *is = export_of(in, "is"), *call = export_of(in, "call");
    worker_comes_to("modules", 3);
    long in_use = worker_says("types");
    ck_assert_int_ge(in_use, before + 6);
    ok(client, hemi_call(export_of(one, "make"), NULL, 0, &made, 1, NULL));
    ok(client, hemi_call(export_of(other, "make"), NULL, 0, &strange, 1, NULL));
    f = hemi_object_ref(export_of(one, "f"));
    g = hemi_object_ref(export_of(other, "f"));
    hemi_instance_free(one);
    hemi_instance_free(other);
    hemi_instance_free(in);
    for (unsigned i = 100; i < 140; i++) { /* others come and go meanwhile: ids are given again, but not those in use */
        group_text(group, sizeof group, i);
        snprintf(text, sizeof text, "(module %s)", group);
        hemi_module_free(module_from(client, text));
        ok(client, hemi_store_gc(store, NULL));
        ck_assert_int_eq(says(is, &made), 1);
        ck_assert_int_eq(says(is, &strange), 0);
        ck_assert_int_eq(says(use, &made), 1);
        ck_assert_int_eq(says(call, &f), 1);
    }
    expect(client, HEMI_TRAP, hemi_call(use, &strange, 1, &made, 1, NULL));
    expect(client, HEMI_TRAP, hemi_call(call, &g, 1, &made, 1, NULL));
    worker_comes_to("types", in_use);
    ok(client, hemi_store_close(store, NULL));
    worker_comes_to("modules", 0);
    worker_comes_to("types", before);
}
END_TEST

static hemi_status nothing(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)args, (void)env;
    results[0] = hemi_null(HEMI_CLASS_ANY);
    return HEMI_OK;
}

/* A host function that has its type from a module's import keeps that type until its store ends. */
START_TEST(host_functions_keep_the_types_of_a_dropped_module)
{
    char group[1024], text[1500];
    hemi_store *store;
    hemi_object *function;
    long before = worker_says("types");
    group_text(group, sizeof group, 7);
    snprintf(text, sizeof text,
             "(module %s (import \"\" \"f\" (func $f (type $f)))\n"
             "  (func (export \"go\") (result i32) (ref.is_null (call $f (struct.new_default $a)))))",
             group);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    hemi_module *m = module_from(client, text);
    ok(client, hemi_func_new(store, &(struct hemi_func_options){.module = m}, nothing, NULL, &function, NULL));
    hemi_module_free(m);
    worker_comes_to("types", before + 3);
    ck_assert_int_eq(call_i32(export_of(linked(store, text, &function, 1), "go"), 0), 1);
    ok(client, hemi_store_close(store, NULL));
    worker_comes_to("types", before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("types");
    TCase *t = tcase_create("types");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, ten_thousand_modules_leave_no_types);
    tcase_add_test(t, equal_groups_of_two_modules_link_and_other_groups_do_not);
    tcase_add_test(t, types_live_as_long_as_a_store_uses_a_dropped_module);
    tcase_add_test(t, host_functions_keep_the_types_of_a_dropped_module);
    suite_add_tcase(s, t);
    return run_suite(s);
}
