/* What a client does with references that the guest gave it: calls functions, asks for types, throws exceptions on. */
#include <string.h>

#include "tests/e2e/support.h"

static const char TEXT[] = "(module\n"
                           "  (import \"h\" \"throw\" (func $throw (param exnref)))\n"
                           "  (type $pair (struct (field i32) (field i32)))\n"
                           "  (type $other (struct (field i64)))\n"
                           "  (type $binary (func (param i32 i32) (result i32)))\n"
                           "  (tag $error (param i32))\n"
                           "  (table (export \"table\") i64 3 7 funcref)\n"
                           "  (elem declare func $add)\n"
                           "  (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))\n"
                           "  (func (export \"adder\") (result funcref) (ref.func $add))\n"
                           "  (func (export \"no_function\") (result funcref) (ref.null func))\n"
                           "  (func (export \"pair\") (result anyref) (struct.new $pair (i32.const 1) (i32.const 2)))\n"
                           "  (func (export \"other\") (result anyref) (struct.new $other (i64.const 1)))\n"
                           "  (func (export \"small\") (result anyref) (ref.i31 (i32.const 1)))\n"
                           "  (func $fail (param i32) (throw $error (local.get 0)))\n"
                           "  (func (export \"fail_for_two\") (result anyref anyref) (throw $error (i32.const 1)))\n"
                           "  (func (export \"fail\") (param i32) (call $fail (local.get 0)))\n"
                           "  (func (export \"thrown_on\") (param i32) (result i32)\n"
                           "    (block $caught (result i32)\n"
                           "      (try_table (catch $error $caught)\n"
                           "        (block $thrown (result exnref)\n"
                           "          (try_table (catch_all_ref $thrown) (call $fail (local.get 0)))\n"
                           "          (return (i32.const -1)))\n"
                           "        (call $throw))\n"
                           "      (i32.const -2))))";

static struct daemon d;
static hemi_client *client;
static hemi_store *store;
static hemi_instance *instance;

/* Throws what it is given, once more. */
static hemi_status throw_on(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    hemi_val *other = env;
    (void)results;
    ck_assert_ptr_eq(hemi_caller_client(caller), client);
    ck_assert_ptr_eq(hemi_caller_store(caller), store);
    return hemi_caller_throw(caller, other->kind ? other : &args[0]);
}

static hemi_val instead; /* what throw_on throws, if it is anything */

static void start(void)
{
    const hemi_type exn = HEMI_TYPE_EXNREF;
    const struct hemi_func_options type = {.params = &exn, .nparams = 1};
    hemi_object *host;
    memset(&instead, 0, sizeof instead);
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_func_new(store, &type, throw_on, &instead, &host, NULL));
    ok(client, hemi_instance_new(store, module_from(client, TEXT), &host, 1, NULL, &instance, NULL));
    ck_assert_ptr_eq(hemi_store_client(store), client);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static hemi_val reference_of(const char *function)
{
    hemi_val result;
    ok(client, hemi_call(export_of(instance, function), NULL, 0, &result, 1, NULL));
    ck_assert_int_eq(result.kind, HEMI_REF);
    return result;
}

START_TEST(a_function_reference_can_be_called)
{
    hemi_val ref = reference_of("adder");
    hemi_object *add;
    ok(client, hemi_object_from_ref(store, &ref, &add, NULL));
    const struct hemi_entry *entry = hemi_object_entry(add);
    ck_assert_int_eq(entry->kind, HEMI_FUNC_OBJECT);
    ck_assert_uint_eq(entry->nparams, 2);
    ck_assert_uint_eq(entry->nresults, 1);
    hemi_drop(client, &ref);
    ck_assert_int_eq(call_i32(add, 2, 40, 2), 42); /* the object holds it by itself */
    expect(client, HEMI_HANDLE, hemi_object_from_ref(store, &ref, &add, NULL));
    ck_assert_ptr_null(add);
}
END_TEST

START_TEST(nothing_else_becomes_a_function)
{
    const hemi_val number = hemi_i32(1), null = reference_of("no_function"), pair = reference_of("pair");
    hemi_object *object;
    expect(client, HEMI_ARGUMENT, hemi_object_from_ref(store, &number, &object, NULL));
    expect(client, HEMI_ARGUMENT, hemi_object_from_ref(store, &null, &object, NULL));
    expect(client, HEMI_ARGUMENT, hemi_object_from_ref(store, &pair, &object, NULL));
    ck_assert_ptr_null(object);
}
END_TEST

/* What turns out to be null, and what is only said to be a function. */
START_TEST(nothing_else_is_linked_as_a_function)
{
    hemi_module *taker = module_from(client, "(module (import \"a\" \"f\" (func)))");
    hemi_val null, pair = reference_of("pair");
    hemi_ticket call, made;
    hemi_object *objects[2];
    hemi_instance *in;
    hemi_object *no_function = export_of(instance, "no_function");
    ok(client, hemi_call(no_function, NULL, 0, &null, 1, &call));
    ok(client, hemi_object_from_ref(store, &null, &objects[0], &made));
    ok(client, hemi_wait(client, made));
    pair.of.ref.class_ = HEMI_CLASS_FUNC;
    ok(client, hemi_object_from_ref(store, &pair, &objects[1], NULL));
    for (int i = 0; i < 2; i++)
        expect(client, HEMI_HANDLE, hemi_instance_new(store, taker, &objects[i], 1, NULL, &in, NULL));
}
END_TEST

START_TEST(the_dynamic_type_tells_structures_apart)
{
    const hemi_val one = reference_of("pair"), two = reference_of("pair"), other = reference_of("other");
    const hemi_val function = reference_of("adder"), small = reference_of("small"), number = hemi_i32(1);
    hemi_type of_one, of_two, of_other, of_function;
    ok(client, hemi_ref_type(client, &one, &of_one, NULL));
    ok(client, hemi_ref_type(client, &two, &of_two, NULL));
    ok(client, hemi_ref_type(client, &other, &of_other, NULL));
    ok(client, hemi_ref_type(client, &function, &of_function, NULL));
    ck_assert_int_eq(hemi_type_kind(of_one), HEMI_REF);
    ck_assert_int_eq(hemi_type_class(of_one), HEMI_CLASS_ANY);
    ck_assert_uint_eq(of_one, of_two);
    ck_assert_uint_ne(of_one, of_other);
    ck_assert_uint_eq(of_function, HEMI_TYPE_REF(0, HEMI_CLASS_FUNC, 0x70u));
    if (small.of.ref.handle == 0) expect(client, HEMI_ARGUMENT, hemi_ref_type(client, &small, &of_one, NULL));
    expect(client, HEMI_ARGUMENT, hemi_ref_type(client, &number, &of_one, NULL));
}
END_TEST

START_TEST(a_host_function_throws_what_the_guest_catches)
{
    ck_assert_int_eq(call_i32(export_of(instance, "thrown_on"), 1, 77), 77);
}
END_TEST

START_TEST(an_exception_of_one_call_is_thrown_in_another)
{
    hemi_val argument = hemi_i32(5);
    expect(client, HEMI_EXCEPTION, hemi_call(export_of(instance, "fail"), &argument, 1, NULL, 0, NULL));
    instead = hemi_client_exception(client);
    ck_assert_int_eq(instead.of.ref.class_, HEMI_CLASS_EXN);
    ok(client, hemi_store_gc(store, NULL));
    ck_assert_int_eq(call_i32(export_of(instance, "thrown_on"), 1, 77), 5);
}
END_TEST

static uint64_t handles(void)
{
    struct hemi_stats stats;
    ok(client, hemi_ping(client, NULL)); /* what was forgotten is answered now */
    ok(client, hemi_stats_get(client, store, &stats));
    return stats.handles;
}

START_TEST(exceptions_that_nobody_asks_for_are_dropped)
{
    hemi_object *fail = export_of(instance, "fail"), *two = export_of(instance, "fail_for_two");
    hemi_val argument = hemi_i32(5), results[2];
    hemi_ticket ticket;
    uint64_t before = handles();
    for (int i = 0; i < 20; i++) {
        expect(client, HEMI_EXCEPTION, hemi_call(fail, &argument, 1, NULL, 0, NULL));
        expect(client, HEMI_EXCEPTION, hemi_call(two, NULL, 0, results, 2, NULL));
        ok(client, hemi_call(fail, &argument, 1, NULL, 0, &ticket));
        hemi_forget(client, ticket);
        ok(client, hemi_call(two, NULL, 0, results, 2, &ticket));
        hemi_forget(client, ticket);
    }
    ck_assert_uint_le(handles(), before + 1); /* that of the last failure */
}
END_TEST

START_TEST(an_exception_in_place_of_a_result_that_was_dropped)
{
    hemi_val results[2];
    hemi_ticket ticket;
    ok(client, hemi_call(export_of(instance, "fail_for_two"), NULL, 0, results, 2, &ticket));
    hemi_drop(client, &results[0]);
    expect(client, HEMI_EXCEPTION, hemi_wait(client, ticket));
    hemi_val exception = hemi_client_exception(client);
    ck_assert(hemi_is_null(&exception) || exception.of.ref.handle != 0);
    ok(client, hemi_ping(client, NULL));
}
END_TEST

START_TEST(only_exceptions_are_thrown)
{
    hemi_val dropped = reference_of("pair");
    hemi_drop(client, &dropped);
    const struct {
        hemi_val wrong;
        const char *text;
    } rows[] = {{hemi_null(HEMI_CLASS_EXN), "threw null"},
                {hemi_i32(1), "not a reference"},
                {reference_of("pair"), "another class"},
                {reference_of("adder"), "another class"},
                {dropped, "dropped"}};
    hemi_val argument = hemi_i32(77), result;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        instead = rows[i].wrong;
        expect(client, HEMI_HOST, hemi_call(export_of(instance, "thrown_on"), &argument, 1, &result, 1, NULL));
        ck_assert_msg(strstr(hemi_client_error(client), rows[i].text) != NULL, "%s", hemi_client_error(client));
    }
}
END_TEST

START_TEST(tables_have_a_size)
{
    hemi_object *table = export_of(instance, "table");
    const hemi_val null = hemi_null(HEMI_CLASS_FUNC);
    uint64_t size = 0, before = 0;
    ok(client, hemi_table_size(table, &size, NULL));
    ck_assert_uint_eq(size, 3);
    ok(client, hemi_table_grow(table, 4, &null, &before, NULL));
    ck_assert_uint_eq(before, 3);
    ok(client, hemi_table_size(table, &size, NULL));
    ck_assert_uint_eq(size, 7);
    expect(client, HEMI_LIMIT, hemi_table_grow(table, 1, &null, &before, NULL));
    expect(client, HEMI_ARGUMENT, hemi_table_size(export_of(instance, "fail"), &size, NULL));
    ck_assert_uint_eq(size, 7);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("references");
    TCase *tests = tcase_create("references");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, a_function_reference_can_be_called);
    tcase_add_test(tests, nothing_else_becomes_a_function);
    tcase_add_test(tests, nothing_else_is_linked_as_a_function);
    tcase_add_test(tests, the_dynamic_type_tells_structures_apart);
    tcase_add_test(tests, a_host_function_throws_what_the_guest_catches);
    tcase_add_test(tests, an_exception_of_one_call_is_thrown_in_another);
    tcase_add_test(tests, exceptions_that_nobody_asks_for_are_dropped);
    tcase_add_test(tests, an_exception_in_place_of_a_result_that_was_dropped);
    tcase_add_test(tests, only_exceptions_are_thrown);
    tcase_add_test(tests, tables_have_a_size);
    suite_add_tcase(s, tests);
    return run_suite(s);
}
