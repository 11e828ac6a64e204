/* Memories and tables with 64-bit addresses through the socket: made by the client, imported, exported, described. */
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static const char TEXT[] = "(module\n"
                           "  (import \"\" \"m\" (memory $m i64 1 0x1000000000000))\n"
                           "  (import \"\" \"t\" (table $t i64 2 0x100000000 externref))\n"
                           "  (memory $m32 1)\n"
                           "  (export \"m\" (memory $m)) (export \"t\" (table $t)) (export \"m32\" (memory $m32))\n"
                           "  (func (export \"peek\") (param i32) (result i32)\n"
                           "    (i32.load8_u $m (i64.extend_i32_u (local.get 0))))\n"
                           "  (func (export \"grow\") (param i32) (result i32)\n"
                           "    (i32.wrap_i64 (memory.grow $m (i64.extend_i32_s (local.get 0)))))\n"
                           "  (func (export \"null\") (param i32) (result i32)\n"
                           "    (ref.is_null (table.get $t (i64.extend_i32_s (local.get 0))))))";

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

static void check_entry(const struct hemi_entry *e, hemi_object_kind kind, bool is64, uint64_t min, uint64_t max)
{
    ck_assert_int_eq(e->kind, kind);
    ck_assert_int_eq(e->is64, is64);
    ck_assert_uint_eq(e->min, min);
    ck_assert_int_eq(e->has_max, max != UINT64_MAX);
    if (e->has_max) ck_assert_uint_eq(e->max, max);
}

/* Imports of a module, exports of a module and of an instance: the first two describe what TEXT says. */
static void check_two(const struct hemi_entry *e, size_t count, size_t at_least)
{
    ck_assert_uint_ge(count, at_least);
    check_entry(&e[0], HEMI_MEMORY_OBJECT, true, 1, UINT64_C(1) << 48);
    check_entry(&e[1], HEMI_TABLE_OBJECT, true, 2, UINT64_C(1) << 32);
}

static hemi_val null_extern(void) { return hemi_null(HEMI_CLASS_EXTERN); }

START_TEST(made_here_and_used_there)
{
    hemi_val null = null_extern(), thing, got;
    static int something;
    hemi_object *imports[2];
    hemi_module *module = module_from(client, TEXT);
    ok(client, hemi_memory_new(store, 1, UINT64_C(1) << 48, true, &imports[0], NULL));
    ok(client, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 2, UINT64_C(1) << 32, true, &null, &imports[1], NULL));
    check_entry(hemi_object_entry(imports[0]), HEMI_MEMORY_OBJECT, true, 1, UINT64_C(1) << 48);
    check_entry(hemi_object_entry(imports[1]), HEMI_TABLE_OBJECT, true, 2, UINT64_C(1) << 32);
    hemi_instance *instance;
    ok(client, hemi_instance_new(store, module, imports, 2, NULL, &instance, NULL));

    const struct hemi_entry *entries;
    size_t count;
    ok(client, hemi_module_imports(module, &entries, &count));
    check_two(entries, count, 2);
    ok(client, hemi_module_exports(module, &entries, &count));
    check_two(entries, count, 3);
    ok(client, hemi_instance_exports(instance, &entries, &count));
    check_two(entries, count, 3);
    check_entry(&entries[2], HEMI_MEMORY_OBJECT, false, 1, UINT64_MAX);

    uint64_t pages, size;
    ok(client, hemi_memory_write(imports[0], 65535, "\x2A", 1, NULL));
    ck_assert_int_eq(call_i32(export_of(instance, "peek"), 1, 65535), 42);
    ck_assert_int_eq(call_i32(export_of(instance, "grow"), 1, 2), 1);
    ok(client, hemi_memory_size(export_of(instance, "m"), &pages, NULL));
    ck_assert_uint_eq(pages, 3);

    ok(client, hemi_extern_new(store, &something, NULL, &thing));
    ok(client, hemi_table_set(imports[1], 1, &thing, NULL));
    ck_assert_int_eq(call_i32(export_of(instance, "null"), 1, 1), 0);
    ck_assert_int_eq(call_i32(export_of(instance, "null"), 1, 0), 1);
    ok(client, hemi_table_grow(imports[1], 3, &thing, &size, NULL));
    ck_assert_uint_eq(size, 2);
    ok(client, hemi_table_get(imports[1], 4, &got, NULL));
    ck_assert(!hemi_is_null(&got));
}
END_TEST

START_TEST(values_beyond_32_bits_are_out_of_bounds_and_not_cut)
{
    const uint64_t beyond = UINT64_C(1) << 32;
    hemi_val null = null_extern(), got;
    hemi_object *m, *t;
    uint64_t previous;
    uint8_t byte;
    ok(client, hemi_memory_new(store, 1, UINT64_MAX, true, &m, NULL));
    ok(client, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 1, UINT64_MAX, true, &null, &t, NULL));
    expect(client, HEMI_ARGUMENT, hemi_memory_read(m, beyond, &byte, 1, NULL));
    expect(client, HEMI_ARGUMENT, hemi_memory_write(m, UINT64_MAX, "x", 1, NULL));
    expect(client, HEMI_LIMIT, hemi_memory_grow(m, beyond, &previous, NULL));
    expect(client, HEMI_LIMIT, hemi_memory_grow(m, UINT64_MAX, &previous, NULL));
    expect(client, HEMI_ARGUMENT, hemi_table_get(t, beyond, &got, NULL));
    expect(client, HEMI_ARGUMENT, hemi_table_set(t, beyond, &null, NULL));
    expect(client, HEMI_LIMIT, hemi_table_grow(t, beyond, &null, &previous, NULL));
    expect(client, HEMI_ARGUMENT, hemi_memory_new(store, 0, (UINT64_C(1) << 48) + 1, true, &m, NULL));
    expect(client, HEMI_ARGUMENT, hemi_memory_new(store, 0, 65537, false, &m, NULL));
    expect(client, HEMI_ARGUMENT, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 0, beyond, false, &null, &t, NULL));
    expect(client, HEMI_LIMIT, hemi_table_new(store, HEMI_TYPE_EXTERNREF, beyond, UINT64_MAX, true, &null, &t, NULL));
}
END_TEST

START_TEST(an_import_must_have_the_address_type)
{
    hemi_val null = null_extern();
    hemi_object *imports[2], *other;
    hemi_instance *instance;
    hemi_module *module = module_from(client, TEXT);
    ok(client, hemi_memory_new(store, 1, 65536, false, &other, NULL));
    ok(client, hemi_memory_new(store, 1, 65536, true, &imports[0], NULL));
    ok(client, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 2, 100, true, &null, &imports[1], NULL));
    hemi_object *wrong_memory[2] = {other, imports[1]};
    expect(client, HEMI_LINK, hemi_instance_new(store, module, wrong_memory, 2, NULL, &instance, NULL));
    ok(client, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 2, 100, false, &null, &other, NULL));
    hemi_object *wrong_table[2] = {imports[0], other};
    expect(client, HEMI_LINK, hemi_instance_new(store, module, wrong_table, 2, NULL, &instance, NULL));
    ok(client, hemi_instance_new(store, module, imports, 2, NULL, &instance, NULL));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("memory64");
    TCase *t = tcase_create("addresses");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, made_here_and_used_there);
    tcase_add_test(t, values_beyond_32_bits_are_out_of_bounds_and_not_cut);
    tcase_add_test(t, an_import_must_have_the_address_type);
    suite_add_tcase(s, t);
    return run_suite(s);
}
