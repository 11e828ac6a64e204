/* tests/unit/server/common/loop_test.c -- a loop that needs to grow no more. */
#include <check.h>

#include "server/common/loop.h"
#include "tests/unit/suite.h"

START_TEST(a_presized_loop_has_room)
{
    uv_loop_t loop;
    uv_poll_t handle;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(loop_presize(&loop, &handle, 900), 0);
    ck_assert_uint_ge(loop.nwatchers, 900);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop");
    TCase *tests = tcase_create("loop");
    tcase_add_test(tests, a_presized_loop_has_room);
    suite_add_tcase(s, tests);
    return run_suite(s);
}
