/* What messages say: whatever is wrong at once, by the name that the reader knows it by, with its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;

static void start_with(const char *limits)
{
    daemon_start_tenants(&d, 1, limits);
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static void ck_says(const char *wanted)
{
    ck_assert_msg(strstr(hemi_client_error(client), wanted) != NULL, "\"%s\" does not say \"%s\"",
                  hemi_client_error(client), wanted);
}

/* ---- imports ---- */

static void refused(const char *text, hemi_object *const *imports, size_t nimports, bool with_wasi)
{
    struct hemi_wasi_options nothing = {0};
    hemi_store *store;
    hemi_wasi *wasi = NULL;
    hemi_instance *instance;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    if (with_wasi) ok(client, hemi_wasi_new(store, &nothing, &wasi, NULL));
    expect(client, HEMI_LINK,
           hemi_instance_new(store, module_from(client, text), imports, nimports, wasi, &instance, NULL));
}

START_TEST(all_missing_imports_are_told_at_once_with_their_types)
{
    start_with("");
    refused("(module (import \"env\" \"a\" (func (param i32))) (import \"env\" \"b\" (global i32))\n"
            "  (import \"x\" \"t\" (table 1 funcref)) (import \"x\" \"m\" (memory 1 2)) (import \"x\" \"e\" (tag)))",
            NULL, 0, false);
    ck_assert_str_eq(
        hemi_client_error(client),
        "unknown import 0 \"env\" \"a\" (func): wanted (func (param i32)), nothing was given for it; "
        "unknown import 1 \"env\" \"b\" (global): wanted (global i32), nothing was given for it; "
        "unknown import 2 \"x\" \"t\" (table): wanted (table 1 (ref null func)), nothing was given for it; "
        "unknown import 3 \"x\" \"m\" (memory): wanted (memory 1 2), nothing was given for it; "
        "unknown import 4 \"x\" \"e\" (tag): wanted (tag (func)), nothing was given for it");
    stop();
}
END_TEST

START_TEST(imports_that_are_missing_and_of_other_types_are_told_together)
{
    hemi_store *store;
    start_with("");
    hemi_instance *owner = instance_from(client, "(module (func (export \"f\") (param i64)))", &store);
    hemi_object *imports[] = {export_of(owner, "f"), NULL, NULL};
    hemi_instance *instance;
    hemi_module *module =
        module_from(client, "(module (import \"a\" \"f\" (func (param i32))) (import \"a\" \"g\" (func))\n"
                            "  (import \"a\" \"m\" (memory 1)))");
    expect(client, HEMI_LINK, hemi_instance_new(store, module, imports, 3, NULL, &instance, NULL));
    ck_says("incompatible import type: import 0 \"a\" \"f\" (func): wanted (func (param i32)), got (func (param i64)); "
            "unknown import 1 \"a\" \"g\" (func): ");
    ck_says("; unknown import 2 \"a\" \"m\" (memory): ");
    stop();
}
END_TEST

START_TEST(imports_of_wasi_are_told_among_the_others)
{
    static const char text[] = "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32)))\n"
                               "  (import \"env\" \"a\" (func)))";
    start_with("");
    refused(text, NULL, 0, true);
    ck_says(
        "incompatible import type: \"wasi_snapshot_preview1\" \"fd_write\" is (func (param i32 i32 i32 i32) (result "
        "i32)); unknown import 1 \"env\" \"a\"");
    refused(text, NULL, 0, false);
    ck_says("unknown import 0 \"wasi_snapshot_preview1\" \"fd_write\" (func): wanted (func (param i32)), no WASI was "
            "given");
    stop();
}
END_TEST

START_TEST(missing_imports_beyond_the_first_are_counted)
{
    char *text = malloc(200000);
    size_t used = (size_t)sprintf(text, "(module");
    for (int i = 0; i < 1000; i++) used += (size_t)sprintf(text + used, "(import \"m\" \"%d\" (func))", i);
    strcpy(text + used, ")");
    start_with("");
    refused(text, NULL, 0, false);
    ck_says("unknown import 0 \"m\" \"0\"");
    ck_says("unknown import 7 \"m\" \"7\"");
    ck_says("; and 992 more imports");
    ck_assert_uint_lt(strlen(hemi_client_error(client)), 1024);
    free(text);
    stop();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("messages");
    TCase *imports = tcase_create("imports");
    tcase_set_timeout(imports, 60);
    tcase_add_test(imports, all_missing_imports_are_told_at_once_with_their_types);
    tcase_add_test(imports, imports_that_are_missing_and_of_other_types_are_told_together);
    tcase_add_test(imports, imports_of_wasi_are_told_among_the_others);
    tcase_add_test(imports, missing_imports_beyond_the_first_are_counted);
    suite_add_tcase(s, imports);
    return s;
}

int main(void) { return run_suite(suite()); }
