/* tests/unit/base/release_test.c -- giving back in pieces (base/release.h), and turns in the grave
 * (server/worker/grave.h).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/release.h"
#include "server/worker/grave.h"
#include "tests/unit/suite.h"

enum { MIB = 1 << 20, PAGES_PER_MIB = 256, FEW = 100 /* units */ };

/* No call gives back more than its units allow, and the last one says so. */
START_TEST(a_large_block_goes_in_pieces)
{
    enum { BLOCK_MIB = 8 };
    void *block = malloc(BLOCK_MIB * MIB);
    size_t given = 0, calls = 0;
    ck_assert_ptr_nonnull(block);
    memset(block, 1, BLOCK_MIB * MIB);
    for (bool more = true; more; calls++) {
        uint32_t units = FEW;
        size_t before = given;
        more = release_block(&block, &given, &units);
        if (more) ck_assert_uint_le(given - before, FEW * 4096);
        ck_assert_uint_le(units, FEW);
    }
    ck_assert_ptr_null(block);
    ck_assert_uint_eq(given, 0);
    ck_assert_uint_ge(calls, BLOCK_MIB * PAGES_PER_MIB / FEW);
}
END_TEST

START_TEST(a_small_block_takes_one_unit_and_waits_for_it)
{
    void *block = malloc(100);
    size_t given = 0;
    uint32_t units = 0;
    ck_assert(release_block(&block, &given, &units));
    ck_assert_ptr_nonnull(block);
    units = 1;
    ck_assert(!release_block(&block, &given, &units));
    ck_assert_ptr_null(block);
    ck_assert_uint_eq(units, 0);
    ck_assert(!release_block(&block, &given, &units)); /* there is none */
}
END_TEST

START_TEST(a_mapping_goes_from_its_end_in_pieces)
{
    enum { MAPPING_MIB = 4 };
    uint64_t size = MAPPING_MIB * MIB, calls = 0;
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    for (bool more = true; more; calls++) {
        uint32_t units = FEW;
        if (size > 0) base[size - 1] = 1; /* what is left is still there */
        more = release_mapping(base, &size, &units);
    }
    ck_assert_uint_eq(size, 0);
    ck_assert_uint_ge(calls, MAPPING_MIB * PAGES_PER_MIB / FEW);
}
END_TEST

/* ---- the grave */

struct buried {
    struct corpse corpse;
    uint32_t left, last; /* units that it takes; the dig in which the last one went */
};

static uint32_t dig;

static bool free_some(struct corpse *c, uint32_t *units)
{
    struct buried *b = (struct buried *)c;
    while (b->left > 0 && release_unit(units)) b->left--;
    b->last = dig;
    return b->left > 0;
}

/* A large one that came first does not delay the small ones behind it. */
START_TEST(they_take_turns_in_the_grave)
{
    struct grave g = {0};
    struct buried large = {.left = 10 * GRAVE_UNITS}, small[3] = {{.left = 10}, {.left = 10}, {.left = 10}};
    grave_bury(&g, &large.corpse, free_some);
    for (int i = 0; i < 3; i++) grave_bury(&g, &small[i].corpse, free_some);
    for (dig = 1; g.head; dig++) ck_assert_uint_le(grave_dig(&g), GRAVE_UNITS);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(small[i].left, 0);
        ck_assert_uint_eq(small[i].last, 2);
    }
    ck_assert_uint_eq(large.left, 0);
    ck_assert_uint_eq(large.last, 11);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("release");
    TCase *tc = tcase_create("release");
    tcase_add_test(tc, a_large_block_goes_in_pieces);
    tcase_add_test(tc, a_small_block_takes_one_unit_and_waits_for_it);
    tcase_add_test(tc, a_mapping_goes_from_its_end_in_pieces);
    tcase_add_test(tc, they_take_turns_in_the_grave);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
