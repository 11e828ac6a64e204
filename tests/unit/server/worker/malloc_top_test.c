/* tests/unit/server/worker/malloc_top_test.c -- the end of malloc's heap goes back in steps, and never by itself
 * (server/worker/malloc_top.h). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/worker/malloc_top.h"
#include "tests/unit/suite.h"

enum { BLOCK = 1000, BLOCKS = 64 << 10, UNITS = 4096, MIB = 1 << 20 };

START_TEST(the_end_of_the_heap_goes_back_in_steps)
{
    static char *blocks[BLOCKS];
    malloc_top_init();
    const char *before = sbrk(0);
    for (size_t i = 0; i < BLOCKS; i++) {
        ck_assert_ptr_nonnull(blocks[i] = malloc(BLOCK));
        memset(blocks[i], 1, BLOCK);
    }
    const char *full = sbrk(0);
    if (full == before) {
        printf("SKIPPED: this build's malloc is not the C library's\n");
        return;
    }
    ck_assert_uint_ge((size_t)(full - before), 60 * MIB);
    for (size_t i = 0; i < BLOCKS; i++) free(blocks[i]);
    ck_assert_ptr_eq(sbrk(0), full); /* not by a free */
    unsigned steps = 0;
    for (bool more = true; more; steps++) {
        uint32_t units = UNITS;
        const char *end = sbrk(0);
        more = malloc_top_trim(&units);
        ck_assert_uint_le((size_t)(end - (const char *)sbrk(0)), 16 * MIB);
        ck_assert_uint_lt(steps, 100);
    }
    ck_assert_uint_ge(steps, 4);
    ck_assert_uint_le((size_t)((const char *)sbrk(0) - before), 2 * MIB);
}
END_TEST

START_TEST(a_block_at_the_end_keeps_what_is_below)
{
    malloc_top_init();
    static char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) ck_assert_ptr_nonnull(blocks[i] = malloc(BLOCK));
    for (size_t i = 0; i + 1 < BLOCKS; i++) free(blocks[i]);
    const char *end = sbrk(0);
    uint32_t units = UNITS;
    for (unsigned steps = 0; malloc_top_trim(&units); units = UNITS) ck_assert_uint_lt(++steps, 100);
    ck_assert_uint_le((size_t)(end - (const char *)sbrk(0)), MIB);
    free(blocks[BLOCKS - 1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("malloc_top");
    TCase *tc = tcase_create("malloc_top");
    tcase_add_test(tc, the_end_of_the_heap_goes_back_in_steps);
    tcase_add_test(tc, a_block_at_the_end_keeps_what_is_below);
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
