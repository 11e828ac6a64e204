/* Externrefs: identity, crossing death notices, finalizers exactly once, use after drop; references and scopes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static const char TEXT[] =
    "(module\n"
    "  (table $t (export \"table\") 16 externref)\n"
    "  (type $n (struct (field i32)))\n"
    "  (func (export \"id\") (param externref) (result externref) (local.get 0))\n"
    "  (func (export \"eat\") (param externref))\n"
    "  (func (export \"keep\") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))\n"
    "  (func (export \"kept\") (param i32) (result externref) (table.get $t (local.get 0)))\n"
    "  (func (export \"any\") (param externref) (result anyref)\n"
    "    (any.convert_extern (local.get 0)))\n"
    "  (func (export \"make\") (param i32) (result anyref) (struct.new $n (local.get 0)))\n"
    "  (func (export \"read\") (param anyref) (result i32)\n"
    "    (struct.get $n 0 (ref.cast (ref $n) (local.get 0))))\n"
    "  (func (export \"churn\") (param i32)\n"
    "    (loop $l (drop (struct.new $n (local.get 0)))\n"
    "      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))";

enum { MANY = 100000 };

static struct daemon d;
static hemi_client *client;
static hemi_store *store;
static hemi_instance *instance;
static hemi_object *id, *eat, *keep, *kept;

struct thing {
    unsigned finalized;
};
static struct thing things[MANY];

static void finalize(void *pointer) { ((struct thing *)pointer)->finalized++; }

static void start(void)
{
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    instance = instance_from(client, TEXT, &store);
    id = export_of(instance, "id");
    eat = export_of(instance, "eat");
    keep = export_of(instance, "keep");
    kept = export_of(instance, "kept");
    memset(things, 0, sizeof things);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static hemi_val extern_of(struct thing *t)
{
    hemi_val v;
    ok(client, hemi_extern_new(store, t, finalize, &v));
    return v;
}

static void settle(void)
{
    for (int i = 0; i < 3; i++) {
        ok(client, hemi_store_gc(store, NULL));
        ok(client, hemi_ping(client, NULL));
    }
}

static void count_finalized(unsigned from, unsigned to, unsigned wanted)
{
    for (unsigned i = from; i < to; i++)
        ck_assert_msg(things[i].finalized == wanted, "thing %u: finalised %u times, not %u", i, things[i].finalized,
                      wanted);
}

START_TEST(the_same_pointer_is_the_same_reference)
{
    hemi_val a = extern_of(&things[0]), out[2];
    bool equal = false;
    for (int i = 0; i < 2; i++) {
        ok(client, hemi_call(id, &a, 1, &out[i], 1, NULL));
        ck_assert_ptr_eq(out[i].of.ref.pointer, &things[0]);
    }
    ok(client, hemi_ref_eq(client, &out[0], &out[1], &equal, NULL));
    ck_assert(equal);
    hemi_val b = extern_of(&things[1]), other;
    ok(client, hemi_call(id, &b, 1, &other, 1, NULL));
    ok(client, hemi_ref_eq(client, &out[0], &other, &equal, NULL));
    ck_assert(!equal);
}
END_TEST

/* Batches are pipelined; ids are passed again while the death notices of earlier collections are on their way. */
START_TEST(a_hundred_thousand_externrefs_are_each_finalised_exactly_once)
{
    enum { BATCH = 500 };
    static hemi_ticket tickets[2 * BATCH + 2];
    for (unsigned base = 0; base < MANY; base += BATCH) {
        unsigned n = 0;
        for (unsigned i = 0; i < BATCH; i++) {
            hemi_val v = extern_of(&things[base + i]);
            ok(client, hemi_call(eat, &v, 1, NULL, 0, &tickets[n++]));
        }
        ok(client, hemi_store_gc(store, &tickets[n++]));
        for (unsigned i = 0; i < BATCH; i += 2) { /* half of them again, before any notice can have been read */
            hemi_val v = extern_of(&things[base + i]);
            ok(client, hemi_call(eat, &v, 1, NULL, 0, &tickets[n++]));
        }
        for (unsigned i = 0; i < n; i++) ok(client, hemi_wait(client, tickets[i]));
    }
    settle();
    count_finalized(0, MANY, 1);
    struct hemi_client_stats stats;
    hemi_client_stats_get(client, &stats);
    ck_assert_uint_eq(stats.externs_finalized, MANY);
    struct hemi_stats worker;
    ok(client, hemi_stats_get(client, store, &worker));
    ck_assert_uint_eq(worker.externs_live, 0);
}
END_TEST

START_TEST(what_the_guest_keeps_lives_and_what_it_lets_go_is_finalised)
{
    hemi_val args[2] = {hemi_i32(3), extern_of(&things[7])}, out;
    ok(client, hemi_call(keep, args, 2, NULL, 0, NULL));
    settle();
    count_finalized(7, 8, 0);
    ok(client, hemi_call(kept, args, 1, &out, 1, NULL));
    ck_assert_ptr_eq(out.of.ref.pointer, &things[7]);
    args[1] = hemi_null(HEMI_CLASS_EXTERN);
    ok(client, hemi_call(keep, args, 2, NULL, 0, NULL));
    settle();
    count_finalized(7, 8, 0); /* the handle in `out` still holds it */
    hemi_drop(client, &out);
    settle();
    count_finalized(7, 8, 1);
}
END_TEST

START_TEST(the_end_of_a_store_finalises_the_rest_once)
{
    for (int i = 0; i < 16; i++) {
        hemi_val args[2] = {hemi_i32(i), extern_of(&things[i])};
        ok(client, hemi_call(keep, args, 2, NULL, 0, NULL));
    }
    ok(client, hemi_store_close(store, NULL));
    ok(client, hemi_ping(client, NULL));
    count_finalized(0, 16, 1);
}
END_TEST

START_TEST(the_end_of_the_connection_finalises_the_rest_once)
{
    for (int i = 0; i < 16; i++) {
        hemi_val args[2] = {hemi_i32(i), extern_of(&things[i])};
        ok(client, hemi_call(keep, args, 2, NULL, 0, NULL));
    }
    hemi_client_free(client);
    client = NULL;
    count_finalized(0, 16, 1);
}
END_TEST

START_TEST(use_after_drop_is_an_error)
{
    hemi_object *make = export_of(instance, "make"), *read = export_of(instance, "read");
    hemi_val arg = hemi_i32(99), ref, result;
    ok(client, hemi_call(make, &arg, 1, &ref, 1, NULL));
    ok(client, hemi_call(read, &ref, 1, &result, 1, NULL));
    ck_assert_int_eq(result.of.i32, 99);
    hemi_val stale = ref;
    hemi_drop(client, &ref);
    expect(client, HEMI_HANDLE, hemi_call(read, &stale, 1, &result, 1, NULL));
    ok(client, hemi_ping(client, NULL));
}
END_TEST

START_TEST(references_survive_collections_and_scopes_drop_them_together)
{
    hemi_object *make = export_of(instance, "make"), *read = export_of(instance, "read");
    hemi_object *churn = export_of(instance, "churn");
    enum { N = 200 };
    hemi_val refs[N], result;
    hemi_scope *scope;
    ok(client, hemi_scope_open(client, &scope));
    for (int i = 0; i < N; i++) {
        hemi_val arg = hemi_i32(i);
        ok(client, hemi_call(make, &arg, 1, &refs[i], 1, NULL));
    }
    hemi_keep(client, &refs[N - 1]);
    hemi_val count = hemi_i32(50000);
    ok(client, hemi_call(churn, &count, 1, NULL, 0, NULL));
    ok(client, hemi_store_gc(store, NULL));
    for (int i = 0; i < N; i++) {
        ok(client, hemi_call(read, &refs[i], 1, &result, 1, NULL));
        ck_assert_int_eq(result.of.i32, i);
    }
    struct hemi_stats before, after;
    ok(client, hemi_stats_get(client, store, &before));
    hemi_scope_close(scope);
    ok(client, hemi_ping(client, NULL));
    ok(client, hemi_stats_get(client, store, &after));
    ck_assert_uint_eq(before.handles - after.handles, N - 1);
    expect(client, HEMI_HANDLE, hemi_call(read, &refs[0], 1, &result, 1, NULL));
    ok(client, hemi_call(read, &refs[N - 1], 1, &result, 1, NULL));
}
END_TEST

/* A reference of one store is no argument for another. */
START_TEST(a_reference_of_another_store_is_refused)
{
    hemi_store *other;
    hemi_object *read = export_of(instance_from(client, TEXT, &other), "read");
    hemi_object *make = export_of(instance, "make");
    hemi_val arg = hemi_i32(1), ref, result;
    ok(client, hemi_call(make, &arg, 1, &ref, 1, NULL));
    expect(client, HEMI_HANDLE, hemi_call(read, &ref, 1, &result, 1, NULL));
}
END_TEST

START_TEST(an_extern_goes_through_any_and_back)
{
    hemi_object *any = export_of(instance, "any");
    hemi_val v = extern_of(&things[5]), out;
    ok(client, hemi_call(any, &v, 1, &out, 1, NULL));
    ck_assert_int_eq(out.of.ref.class_, HEMI_CLASS_ANY);
    ck_assert_ptr_eq(out.of.ref.pointer, &things[5]);
}
END_TEST

START_TEST(the_abstract_type_of_a_reference_tells_structs_arrays_functions_and_exceptions_apart)
{
    static const struct {
        const char *name;
        hemi_type type;
    } rows[] = {{"struct", HEMI_TYPE_STRUCTREF}, {"array", HEMI_TYPE_ARRAYREF}, {"func", HEMI_TYPE_FUNCREF}};
    hemi_store *other;
    hemi_instance *of = instance_from(client,
                                      "(module (type $s (struct)) (type $a (array i8))"
                                      "  (func (export \"struct\") (result anyref) (struct.new $s))"
                                      "  (func (export \"array\") (result externref)"
                                      "    (extern.convert_any (array.new_fixed $a 0)))"
                                      "  (elem declare func 0)"
                                      "  (func (export \"func\") (result funcref) (ref.func 0))"
                                      "  (tag $t) (func (export \"throw\") (result exnref) (throw $t)))",
                                      &other);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hemi_val ref;
        hemi_type type = 0;
        ok(client, hemi_call(export_of(of, rows[i].name), NULL, 0, &ref, 1, NULL));
        ok(client, hemi_ref_abstract_type(client, &ref, &type, NULL));
        ck_assert_uint_eq(type, rows[i].type & ~16u); /* never nullable */
    }
    hemi_val exception;
    expect(client, HEMI_EXCEPTION, hemi_call(export_of(of, "throw"), NULL, 0, &exception, 1, NULL));
    hemi_type type = 0;
    exception = hemi_client_exception(client);
    ok(client, hemi_ref_abstract_type(client, &exception, &type, NULL));
    ck_assert_uint_eq(type, HEMI_TYPE_EXNREF & ~16u);
}
END_TEST

START_TEST(a_malformed_module_is_told_from_an_invalid_one)
{
    static const uint8_t malformed[] = {0, 'a', 's', 'm', 2, 0, 0, 0};
    uint8_t *bytes;
    size_t size;
    hemi_module *module;
    expect(client, HEMI_INVALID_MODULE, hemi_module_new(client, malformed, sizeof malformed, &module, NULL));
    ck_assert(hemi_client_malformed(client));
    wat("(module (func (result i32)))", &bytes, &size);
    expect(client, HEMI_INVALID_MODULE, hemi_module_new(client, bytes, size, &module, NULL));
    ck_assert(!hemi_client_malformed(client));
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("externs");
    TCase *t = tcase_create("references");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 400);
    tcase_add_test(t, the_same_pointer_is_the_same_reference);
    tcase_add_test(t, a_hundred_thousand_externrefs_are_each_finalised_exactly_once);
    tcase_add_test(t, what_the_guest_keeps_lives_and_what_it_lets_go_is_finalised);
    tcase_add_test(t, the_end_of_a_store_finalises_the_rest_once);
    tcase_add_test(t, the_end_of_the_connection_finalises_the_rest_once);
    tcase_add_test(t, use_after_drop_is_an_error);
    tcase_add_test(t, references_survive_collections_and_scopes_drop_them_together);
    tcase_add_test(t, a_reference_of_another_store_is_refused);
    tcase_add_test(t, an_extern_goes_through_any_and_back);
    tcase_add_test(t, the_abstract_type_of_a_reference_tells_structs_arrays_functions_and_exceptions_apart);
    tcase_add_test(t, a_malformed_module_is_told_from_an_invalid_one);
    suite_add_tcase(s, t);
    return run_suite(s);
}
