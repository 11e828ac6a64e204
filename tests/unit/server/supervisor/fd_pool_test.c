/* tests/unit/server/supervisor/fd_pool_test.c -- shares of the supervisor's descriptors: what is guaranteed is there,
 * whoever takes what.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/supervisor/fd_pool.h"
#include "tests/unit/suite.h"

#define DOORS 3u
#define TENANTS 4u
#define SHARES (DOORS + TENANTS)

static const struct fd_needs needs = {
    .limit = 1024, .own = 12, .doors = DOORS, .tenants = TENANTS, .workers = 8, .connections = 100000};

START_TEST(the_fixed_minimum_decides)
{
    struct fd_pool pool;
    struct fd_needs tight = needs;
    tight.limit = fd_pool_least(&needs);
    ck_assert(fd_pool_init(&pool, &tight));
    ck_assert_uint_eq(pool.guaranteed, 1);
    ck_assert_uint_eq(pool.lendable, 0);
    tight.limit--;
    ck_assert(!fd_pool_init(&pool, &tight));
}
END_TEST

START_TEST(no_more_than_connections_can_be_is_divided)
{
    struct fd_pool pool;
    struct fd_needs roomy = needs;
    roomy.limit = 1 << 20;
    roomy.connections = 500;
    ck_assert(fd_pool_init(&pool, &roomy));
    ck_assert_uint_eq(pool.total, 500);
    ck_assert_uint_eq(pool.guaranteed, 500 / 2 / SHARES);
    ck_assert_uint_lt(fd_pool_most(&pool), 700);
    roomy.connections = 100000;
    ck_assert(fd_pool_init(&pool, &roomy));
    ck_assert_uint_eq(pool.guaranteed, FDS_GUARANTEED_MAX);
    ck_assert_uint_eq(pool.lendable, 100000 - FDS_GUARANTEED_MAX * SHARES);
}
END_TEST

/* .guaranteed: shares take and give at random; afterwards each can still fill up to what is its own. */
START_TEST(what_is_guaranteed_is_there)
{
    const char *text = getenv("HEMI_SEED");
    unsigned seed = text != NULL ? (unsigned)strtoul(text, NULL, 0) : (unsigned)getpid();
    printf("what_is_guaranteed_is_there: HEMI_SEED=%u\n", seed);
    fflush(stdout);
    srandom(seed);
    for (int round = 0; round < 50; round++) {
        struct fd_pool pool;
        struct fd_share shares[SHARES] = {0};
        uint64_t used = 0;
        ck_assert(fd_pool_init(&pool, &needs));
        for (int i = 0; i < 5000; i++) {
            struct fd_share *share = &shares[random() % (1 + random() % SHARES)];
            if (random() % 3 != 0)
                used += fd_pool_take(&pool, share);
            else if (share->used > 0)
                fd_pool_give(&pool, share), used--;
            ck_assert_uint_le(used, pool.total);
        }
        for (unsigned i = 0; i < SHARES; i++)
            while (shares[i].used < pool.guaranteed) ck_assert(fd_pool_take(&pool, &shares[i]));
        for (unsigned i = 0; i < SHARES; i++)
            while (shares[i].used > 0) fd_pool_give(&pool, &shares[i]);
        ck_assert_uint_eq(pool.lent, 0);
    }
}
END_TEST

/* .can-start */
START_TEST(workers_beyond_the_replacements_borrow)
{
    struct fd_pool pool;
    struct fd_share share = {0};
    uint64_t borrowed;
    ck_assert(fd_pool_init(&pool, &needs));
    while (fd_pool_take(&pool, &share)) continue;
    ck_assert(fd_pool_admit_worker(&pool, needs.workers + FDS_REPLACEMENTS - 1, &borrowed));
    ck_assert_uint_eq(borrowed, 0);
    ck_assert(!fd_pool_admit_worker(&pool, needs.workers + FDS_REPLACEMENTS, &borrowed));
    while (share.used > 0) fd_pool_give(&pool, &share);
    ck_assert(fd_pool_admit_worker(&pool, needs.workers + FDS_REPLACEMENTS, &borrowed));
    ck_assert_uint_eq(borrowed, FDS_PER_WORKER);
    fd_pool_return(&pool, borrowed);
}
END_TEST

START_TEST(a_reload_may_allow_as_many_workers_as_fit)
{
    struct fd_pool pool;
    ck_assert(fd_pool_init(&pool, &needs));
    uint64_t total = pool.total;
    ck_assert(!fd_pool_set_workers(&pool, 1000));
    ck_assert_uint_eq(pool.total, total);
    ck_assert(fd_pool_set_workers(&pool, needs.workers + 10));
    ck_assert_uint_eq(pool.total, total - 10 * FDS_PER_WORKER);
    ck_assert_uint_eq(pool.lendable, pool.total - pool.guaranteed * SHARES);
}
END_TEST

START_TEST(open_descriptors_are_counted)
{
    uint64_t before = fd_count_open(4096);
    int fd = fcntl(STDIN_FILENO, F_DUPFD, 700);
    ck_assert_uint_eq(fd_count_open(4096), before + (fd >= 0));
    if (fd >= 0) close(fd);
}
END_TEST

/* What is given back counts until its descriptor is closed: with its share, or, when it is nobody's, with what is lent.
 */
START_TEST(what_is_not_closed_yet_is_not_there)
{
    struct fd_pool pool;
    struct fd_share one = {0}, other = {0};
    ck_assert(fd_pool_init(&pool, &needs));
    atomic_store(fd_pool_unclosed(&pool, &one), 1);
    for (uint64_t i = 1; i < pool.guaranteed; i++) ck_assert(fd_pool_take(&pool, &one));
    ck_assert(!fd_pool_take(&pool, &one));
    atomic_store(fd_pool_unclosed(&pool, &one), 0);
    ck_assert(fd_pool_take(&pool, &one));
    for (uint64_t i = 0; i < pool.guaranteed; i++) ck_assert(fd_pool_take(&pool, &other));
    atomic_store(fd_pool_unclosed(&pool, NULL), 2);
    while (fd_pool_take(&pool, &one)) continue;
    ck_assert_uint_eq(pool.lent + 2, pool.lendable);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fd_pool");
    TCase *tests = tcase_create("fd_pool");
    tcase_add_test(tests, the_fixed_minimum_decides);
    tcase_add_test(tests, no_more_than_connections_can_be_is_divided);
    tcase_add_test(tests, what_is_guaranteed_is_there);
    tcase_add_test(tests, what_is_not_closed_yet_is_not_there);
    tcase_add_test(tests, workers_beyond_the_replacements_borrow);
    tcase_add_test(tests, a_reload_may_allow_as_many_workers_as_fit);
    tcase_add_test(tests, open_descriptors_are_counted);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
