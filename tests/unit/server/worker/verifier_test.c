/* tests/unit/server/worker/verifier_test.c -- a store is verified at its end in slices, one store at a time
 * (server/worker/verifier.h). In release there is no verification: then every store is done at once. */
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"
#include "server/worker/verifier.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

enum { ELEMENTS = 100000, SLICE = 4096 };
#ifdef HEMI_ASSERTS
enum { VERIFIED = 1 };
#else
enum { VERIFIED = 0 };
#endif

static struct engine *engine;
static struct verifier verifier;

static void setup(void)
{
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &engine), HEMI_OK);
    verifier_init(&verifier);
}

static void teardown(void)
{
    verifier_deinit(&verifier);
    engine_free(engine);
}

static struct store *store_with_table(struct table **t)
{
    struct store *s;
    struct limits limits = {.min = ELEMENTS, .max = UINT64_MAX};
    ck_assert_int_eq(store_new(engine, &(struct store_options){0}, &s), HEMI_OK);
    ck_assert_int_eq(table_new(s, VT_REF(true, HT_EXTERN), &limits, (union val){0}, t), HEMI_OK);
    return s;
}

/* How many slices it took. */
static uint32_t verify_all(struct store *s)
{
    uint32_t slices = 0, units;
    bool more;
    do {
        units = SLICE;
        more = verifier_some(&verifier, s, &units);
        ck_assert(!more || units == 0);
        slices++;
    } while (more);
    return slices;
}

START_TEST(a_large_store_is_verified_in_slices)
{
    struct table *t;
    struct store *s = store_with_table(&t);
    uint32_t slices = verify_all(s);
    ck_assert_uint_ge(slices, VERIFIED ? ELEMENTS / SLICE : 1);
    ck_assert_uint_le(slices, VERIFIED ? 4 * ELEMENTS / SLICE : 1); /* as a root, as an element, and little else */
    store_free(s);
}
END_TEST

START_TEST(a_store_waits_while_another_is_verified)
{
    struct table *t;
    struct store *first = store_with_table(&t), *second = store_with_table(&t);
    uint32_t units = SLICE;
    ck_assert_int_eq(verifier_some(&verifier, first, &units), VERIFIED);
    units = SLICE;
    ck_assert_int_eq(verifier_some(&verifier, second, &units), VERIFIED);
    ck_assert_uint_eq(units, SLICE - VERIFIED); /* the rest is for who is under way */
    units = 0;
    ck_assert_int_eq(verifier_some(&verifier, first, &units), VERIFIED);
    ck_assert_uint_ge(verify_all(first), 1);
    ck_assert_uint_ge(verify_all(second), VERIFIED ? ELEMENTS / SLICE : 1);
    store_free(first);
    store_free(second);
}
END_TEST

START_TEST(a_store_that_is_wrong_at_its_end_ends_the_process)
{
    struct table *t;
    struct store *s = store_with_table(&t);
    t->elems[ELEMENTS - 1] = 0x1000; /* no object */
    verify_all(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verifier");
    TCase *c = tcase_create("verifier");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_large_store_is_verified_in_slices);
    tcase_add_test(c, a_store_waits_while_another_is_verified);
    if (VERIFIED) tcase_add_test_raise_signal(c, a_store_that_is_wrong_at_its_end_ends_the_process, SIGABRT);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
