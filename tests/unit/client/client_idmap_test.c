/* The library's tables of ids, of which a worker chooses some: none that it can choose make long chains. */
#include "client/lib/idmap.c" /* before check.h, which has a macro named as a function of the library's */

#include <check.h>

#include "tests/unit/suite.h"

enum { IDS = 10000, LONG_CHAIN = 2000 /* at this load they are of some dozens */ };

/* The longest walk that a look-up may have to take. */
static uint32_t longest_chain(const struct idmap *m)
{
    uint32_t longest = 0, now = 0;
    for (uint32_t i = 0; i < 2 * m->capacity; i++) {
        now = m->cells[i & (m->capacity - 1)].id != 0 ? now + 1 : 0;
        if (now > longest) longest = now;
    }
    return longest;
}

static uint32_t inverse(uint32_t odd)
{
    uint32_t x = odd;
    for (int i = 0; i < 5; i++) x *= 2 - odd * x;
    return x;
}

/* Multiples of a power of two, and what one multiplication brings next to each other. */
static uint32_t chosen(int how, uint32_t i)
{
    switch (how) {
    case 0:
        return i;
    case 1:
        return i << 16 | i >> 16;
    default:
        return i * inverse(0x9E3779B1u);
    }
}

START_TEST(chosen_ids_make_no_long_chains)
{
    struct idmap m = {0};
    int thing;
    for (uint32_t i = 1; i <= IDS; i++) ck_assert(idmap_put(&m, chosen(_i, i), &thing));
    ck_assert_uint_lt(longest_chain(&m), LONG_CHAIN);
    for (uint32_t i = 1; i <= IDS; i += 2) ck_assert_ptr_eq(idmap_take(&m, chosen(_i, i)), &thing);
    for (uint32_t i = 1; i <= IDS; i++) ck_assert((idmap_get(&m, chosen(_i, i)) != NULL) == (i % 2 == 0));
    idmap_deinit(&m);
}
END_TEST

START_TEST(each_table_has_its_own_key)
{
    struct idmap a = {0}, b = {0};
    int thing;
    ck_assert(idmap_put(&a, 1, &thing) && idmap_put(&b, 1, &thing));
    ck_assert_uint_ne(a.key, b.key);
    idmap_deinit(&a);
    idmap_deinit(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_idmap");
    TCase *c = tcase_create("client_idmap");
    tcase_add_loop_test(c, chosen_ids_make_no_long_chains, 0, 3);
    tcase_add_test(c, each_table_has_its_own_key);
    suite_add_tcase(s, c);
    return run_suite(s);
}
