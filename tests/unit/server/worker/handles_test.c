/* tests/unit/server/worker/handles_test.c -- the id map against a plain array, and the life of objects behind handles.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/limits.h"
#include "server/worker/handles.h"
#include "server/worker/values.h"
#include "tests/unit/suite.h"

static uint64_t seed(void)
{
    const char *given = getenv("HEMI_SEED");
    uint64_t s = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("HEMI_SEED=%llu\n", (unsigned long long)s);
    return s;
}

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

START_TEST(map_behaves_like_an_array)
{
    enum { IDS = 4096, STEPS = 400000 };
    static char cells[IDS];
    static void *model[IDS];
    uint64_t state = seed() | 1;
    struct idmap m = {0};
    uint32_t used = 0;
    memset(model, 0, sizeof model);
    for (int i = 0; i < STEPS; i++) {
        uint32_t k = (uint32_t)(next(&state) % IDS);
        uint64_t id = (uint64_t)k * 0x100000001u; /* both halves count; 0 is an id too */
        switch (next(&state) % 3) {
        case 0:
            ck_assert(idmap_put(&m, id, &cells[k]));
            used += model[k] == NULL;
            model[k] = &cells[k];
            break;
        case 1:
            ck_assert_ptr_eq(idmap_remove(&m, id), model[k]);
            used -= model[k] != NULL;
            model[k] = NULL;
            break;
        default:
            ck_assert_ptr_eq(idmap_get(&m, id), model[k]);
        }
        ck_assert_uint_eq(m.used, used);
    }
    for (uint32_t k = 0; k < IDS; k++) ck_assert_ptr_eq(idmap_get(&m, (uint64_t)k * 0x100000001u), model[k]);
    while (idmap_pop(&m)) used--;
    ck_assert_uint_eq(used, 0);
    ck_assert_uint_eq(m.used, 0);
    idmap_deinit(&m);
}
END_TEST

static size_t slots(const struct idmap_table *t) { return t->entries ? (size_t)1 << t->bits : 0; }

/* Growing and shrinking go in steps, and what grew comes back. */
START_TEST(a_map_grows_and_shrinks_in_small_steps)
{
    enum { IDS = 100000 };
    static char cell;
    struct idmap m = {0};
    uint32_t most = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        uint32_t before = m.now.used;
        struct idmap_entry *table = m.now.entries;
        ck_assert(idmap_put(&m, id, &cell));
        uint32_t moved = m.now.used - (table == m.now.entries ? before : 0);
        if (moved > most) most = moved;
    }
    ck_assert_uint_le(most, 16);
    ck_assert_uint_ge(slots(&m.now), IDS);
    for (uint32_t id = 0; id < IDS; id++) ck_assert_ptr_eq(idmap_remove(&m, id), &cell);
    ck_assert_uint_eq(m.used, 0);
    ck_assert_uint_le(slots(&m.now) + slots(&m.old), 1024);
    for (uint32_t i = 0; i < 1000; i++) {
        ck_assert(idmap_put(&m, i, &cell));
        ck_assert_ptr_eq(idmap_remove(&m, i), &cell);
    }
    ck_assert_uint_le(slots(&m.now) + slots(&m.old), 1024);
    idmap_deinit(&m);
}
END_TEST

START_TEST(binding_refuses_what_is_taken)
{
    struct handle_table t = {.max = 3};
    struct object *o = object_new(OBJECT_MODULE, NULL, NULL);
    ck_assert_int_eq(handles_bind(&t, 0, o), HANDLE_TAKEN);
    ck_assert_int_eq(handles_bind(&t, HANDLE_WORKER, o), HANDLE_TAKEN); /* the worker's own range */
    ck_assert_int_eq(handles_bind(&t, 7, o), HANDLE_OK);
    ck_assert_int_eq(handles_bind(&t, 7, o), HANDLE_TAKEN);
    ck_assert_int_eq(handles_bind(&t, HANDLE_WORKER - 1, o), HANDLE_OK);
    uint32_t chosen = handles_bind_new(&t, o);
    ck_assert_uint_ge(chosen, HANDLE_WORKER);
    ck_assert_int_eq(handles_bind(&t, 8, o), HANDLE_LIMIT);
    ck_assert_uint_eq(handles_bind_new(&t, o), 0);
    ck_assert_uint_eq(o->refs, 4);
    ck_assert(handles_drop(&t, 7));
    ck_assert(!handles_drop(&t, 7));
    ck_assert_ptr_null(handles_get(&t, 7));
    ck_assert_int_eq(handles_bind(&t, 7, o), HANDLE_OK); /* an id may be used again */
    handles_deinit(&t);
    ck_assert_uint_eq(o->refs, 1);
    object_unref(o);
}
END_TEST

START_TEST(unbinding_spares_a_new_owner_of_the_id)
{
    struct handle_table t = {.max = 10};
    struct object *a = object_new(OBJECT_MODULE, NULL, NULL), *b = object_new(OBJECT_MODULE, NULL, NULL);
    handles_bind(&t, 5, a);
    handles_drop(&t, 5);
    handles_bind(&t, 5, b);
    handles_unbind(&t, 5, a);
    ck_assert_ptr_eq(handles_get(&t, 5), b);
    handles_unbind(&t, 5, b);
    ck_assert_ptr_null(handles_get(&t, 5));
    handles_deinit(&t);
    object_unref(a);
    object_unref(b);
}
END_TEST

START_TEST(a_pinned_object_outlives_its_handle)
{
    struct handle_table t = {.max = 10};
    struct outcome *out = outcome_new(NULL, 12);
    struct object *o = object_new(OBJECT_ANY, NULL, out);
    handles_bind(&t, 5, o);
    object_unref(o); /* the table's is the last but the pin's */
    struct object *pin = object_ref(handles_get(&t, 5));
    handles_drop(&t, 5);
    ck_assert_uint_eq(pin->refs, 1);
    ck_assert_uint_eq(pin->outcome->request, 12);
    ck_assert_uint_eq(out->refs, 2);
    object_unref(pin);
    ck_assert_uint_eq(out->refs, 1);
    outcome_unref(out);
    handles_deinit(&t);
}
END_TEST

/* When a frame is read no type is known: nothing bound, nothing pinned; a number may pin in vain. */
START_TEST(values_pin_what_could_be_a_handle)
{
    struct handle_table t = {.max = 10};
    struct object *o = object_new(OBJECT_MODULE, NULL, NULL);
    uint8_t raw[3 * WIRE_VALUE_BYTES];
    struct object **pins;
    handles_bind(&t, 5, o);
    wire_put_reference(raw, &(struct wire_reference){.kind = WIRE_HANDLE, .handle = 5});
    wire_put_reference(raw + 16, &(struct wire_reference){.kind = WIRE_HANDLE, .handle = 6});
    uint64_t number = 5ull << 32 | WIRE_HANDLE; /* an i64 with the same bytes as the first */
    wire_put_number(raw + 32, &number, 8);
    ck_assert(values_pin(&t, raw, 3, &pins));
    ck_assert_ptr_eq(pins[0], o);
    ck_assert_ptr_null(pins[1]);
    ck_assert_ptr_eq(pins[2], o);
    ck_assert_uint_eq(o->refs, 4);
    values_unpin(3, pins);
    ck_assert_uint_eq(o->refs, 2);
    handles_deinit(&t);
    object_unref(o);
}
END_TEST

START_TEST(types_from_requests_are_abstract)
{
    valtype t;
    struct rt_error err = {0};
    ck_assert_int_eq(value_type_read(VT_I64, &t, &err), HEMI_OK);
    ck_assert_uint_eq(t, VT_I64);
    ck_assert_int_eq(value_type_read(wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN), &t, &err), HEMI_OK);
    ck_assert_uint_eq(t, VT_REF(true, HT_EXTERN));
    ck_assert_int_eq(value_type_read(wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_FUNC), &t, &err), HEMI_ARGUMENT);
    ck_assert_int_eq(value_type_read(wire_type(VT_REF(true, 3), WIRE_CLASS_ANY), &t, &err), HEMI_ARGUMENT);
    ck_assert_int_eq(value_type_read(VT_I8, &t, &err), HEMI_ARGUMENT);
    ck_assert_int_eq(value_type_read(0, &t, &err), HEMI_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handles");
    TCase *tc = tcase_create("handles");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, map_behaves_like_an_array);
    tcase_add_test(tc, a_map_grows_and_shrinks_in_small_steps);
    tcase_add_test(tc, binding_refuses_what_is_taken);
    tcase_add_test(tc, unbinding_spares_a_new_owner_of_the_id);
    tcase_add_test(tc, a_pinned_object_outlives_its_handle);
    tcase_add_test(tc, values_pin_what_could_be_a_handle);
    tcase_add_test(tc, types_from_requests_are_abstract);
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
