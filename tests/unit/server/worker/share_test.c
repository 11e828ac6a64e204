/* tests/unit/server/worker/share_test.c -- what a connection may count on of a pool, and what it may borrow. */
#include <check.h>
#include <stdlib.h>

#include "server/worker/share.h"
#include "tests/unit/suite.h"

enum { MEMBERS = 16, SIZE = 512, LEAST = SIZE / 2 / MEMBERS };

static struct pool pool;
static struct share shares[MEMBERS];

static void setup(void)
{
    pool_init(&pool, SIZE, SIZE / 2, MEMBERS);
    for (int i = 0; i < MEMBERS; i++) shares[i] = (struct share){0};
}

static uint64_t take_all(struct share *s)
{
    uint64_t before = s->used;
    while (share_allows(&pool, s, 1)) share_set(&pool, s, s->used + 1);
    return s->used - before;
}

START_TEST(each_can_count_on_its_part)
{
    for (int i = 0; i < MEMBERS - 1; i++) take_all(&shares[i]);
    ck_assert_uint_ge(take_all(&shares[MEMBERS - 1]), LEAST);
    uint64_t sum = 0;
    for (int i = 0; i < MEMBERS; i++) sum += shares[i].used;
    ck_assert_uint_le(sum, SIZE);
}
END_TEST

START_TEST(one_borrows_three_quarters_of_what_the_others_left)
{
    ck_assert_uint_eq(take_all(&shares[0]), LEAST + 192);
    ck_assert_uint_eq(take_all(&shares[1]), LEAST + 48);
    ck_assert_uint_eq(take_all(&shares[0]), 0);
    share_set(&pool, &shares[0], 0);
    ck_assert_uint_eq(pool.lent, 48);
    ck_assert_uint_eq(take_all(&shares[1]), 192 - 48);
    share_set(&pool, &shares[1], 0);
    ck_assert_uint_eq(pool.lent, 0);
}
END_TEST

START_TEST(several_at_once_are_asked_for_as_several)
{
    ck_assert(share_allows(&pool, &shares[0], LEAST + 192));
    ck_assert(!share_allows(&pool, &shares[0], LEAST + 193));
    share_set(&pool, &shares[0], SIZE); /* taken without asking */
    ck_assert(!share_allows(&pool, &shares[0], 1));
    ck_assert(share_allows(&pool, &shares[1], LEAST));
    ck_assert(!share_allows(&pool, &shares[1], LEAST + 1));
}
END_TEST

START_TEST(fewer_things_than_members_are_lent)
{
    pool_init(&pool, 4, 2, MEMBERS);
    ck_assert_uint_eq(take_all(&shares[0]), 3);
    ck_assert_uint_eq(take_all(&shares[1]), 1);
    ck_assert_uint_eq(take_all(&shares[2]), 0);
}
END_TEST

START_TEST(random_shares_add_up)
{
    unsigned seed = (unsigned)_i + 1;
    for (int step = 0; step < 5000; step++) {
        struct share *s = &shares[rand_r(&seed) % MEMBERS];
        uint64_t n = (uint64_t)rand_r(&seed) % 60, lent = 0;
        if (rand_r(&seed) % 2 && share_allows(&pool, s, n))
            share_set(&pool, s, s->used + n);
        else
            share_set(&pool, s, s->used - (n < s->used ? n : s->used));
        for (int i = 0; i < MEMBERS; i++) lent += shares[i].used > LEAST ? shares[i].used - LEAST : 0;
        ck_assert_uint_eq(pool.lent, lent);
        ck_assert_uint_le(lent, pool.lendable);
        for (int i = 0; i < MEMBERS; i++)
            ck_assert(shares[i].used >= LEAST || share_allows(&pool, &shares[i], LEAST - shares[i].used));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("share");
    TCase *tc = tcase_create("share");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, each_can_count_on_its_part);
    tcase_add_test(tc, one_borrows_three_quarters_of_what_the_others_left);
    tcase_add_test(tc, several_at_once_are_asked_for_as_several);
    tcase_add_test(tc, fewer_things_than_members_are_lent);
    tcase_add_loop_test(tc, random_shares_add_up, 0, 10);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
