/* tests/unit/base/grow_test.c -- arrays that grow (base/grow.h). */
#include "base/grow.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/unit/suite.h"

START_TEST(capacity_doubles_and_entries_stay)
{
    uint64_t *at = NULL;
    uint32_t used = 0, capacity = 0, moves = 0;
    for (uint32_t before = 0; used < 100000; used++, before = capacity) {
        ck_assert(GROW(at, used, 1, capacity, 16));
        ck_assert_uint_ge(capacity, used + 1);
        moves += capacity != before;
        at[used] = used;
    }
    ck_assert_uint_eq(moves, 14); /* 16 << 13 is the first that holds them */
    for (uint32_t i = 0; i < used; i++) ck_assert_uint_eq(at[i], i);
    free(at);
}
END_TEST

START_TEST(much_at_once_gets_what_it_needs)
{
    char *at = NULL;
    size_t capacity = 0;
    ck_assert(GROW(at, 0, 1000, capacity, 16));
    ck_assert_uint_eq(capacity, 1000);
    ck_assert(GROW(at, 1000, 0, capacity, 16));
    ck_assert_uint_eq(capacity, 1000);
    ck_assert(GROW(at, 1000, 1, capacity, 16));
    ck_assert_uint_eq(capacity, 2000);
    free(at);
}
END_TEST

START_TEST(what_does_not_fit_changes_nothing)
{
    char *at = malloc(1), *was = at;
    size_t capacity = 1;
    ck_assert(!GROW(at, SIZE_MAX, 2, capacity, 16)); /* goes round */
    ck_assert(at == was && capacity == 1);
    uint64_t *wide = NULL;
    uint8_t few = 0; /* the count's type is its limit */
    ck_assert(GROW(wide, 0, 200, few, 16));
    ck_assert(GROW(wide, 200, 1, few, 16));
    ck_assert_uint_eq(few, UINT8_MAX);
    ck_assert(!GROW(wide, UINT8_MAX, 1, few, 16));
    ck_assert_uint_eq(few, UINT8_MAX);
    free(at), free(wide);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grow");
    TCase *tc = tcase_create("grow");
    tcase_add_test(tc, capacity_doubles_and_entries_stay);
    tcase_add_test(tc, much_at_once_gets_what_it_needs);
    tcase_add_test(tc, what_does_not_fit_changes_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
