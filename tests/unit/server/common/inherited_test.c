/* tests/unit/server/common/inherited_test.c -- a process forgets what its parent ignored, blocked and timed. */
#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "server/common/inherited.h"
#include "tests/unit/suite.h"

static void handler(int number) { (void)number; }

static bool can_be_ignored(int number)
{
    struct sigaction action;
    return number != SIGKILL && number != SIGSTOP && sigaction(number, NULL, &action) == 0;
}

static bool stays_ignored(int number)
{
    return number == SIGQUIT || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU || number == SIGPIPE ||
           number == SIGXFSZ;
}

START_TEST(ignored_signals_are_not_ignored)
{
    struct sigaction action;
    for (int i = 1; i < NSIG; i++)
        if (can_be_ignored(i)) signal(i, SIG_IGN);
    inherited_reset();
    for (int i = 1; i < NSIG; i++) {
        if (!can_be_ignored(i)) continue;
        ck_assert_int_eq(sigaction(i, NULL, &action), 0);
        ck_assert_msg(action.sa_handler == (stays_ignored(i) ? SIG_IGN : SIG_DFL), "signal %d", i);
    }
}
END_TEST

START_TEST(a_handler_stays)
{
    struct sigaction action;
    signal(SIGSEGV, handler);
    inherited_reset();
    ck_assert_int_eq(sigaction(SIGSEGV, NULL, &action), 0);
    ck_assert(action.sa_handler == handler);
    ck_assert_int_eq(sigaction(SIGXFSZ, NULL, &action), 0);
    ck_assert(action.sa_handler == SIG_IGN);
}
END_TEST

static bool is_held(int number) { return number == SIGHUP || number == SIGINT || number == SIGTERM; }

START_TEST(blocked_signals_are_not_blocked_but_for_those_that_are_held)
{
    sigset_t set;
    sigfillset(&set);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &set, NULL), 0);
    inherited_reset();
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &set), 0);
    for (int i = 1; i < NSIG; i++) ck_assert_msg((sigismember(&set, i) == 1) == is_held(i), "signal %d", i);
    inherited_release();
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &set), 0);
    for (int i = 1; i < NSIG; i++) ck_assert_msg(sigismember(&set, i) != 1, "signal %d", i);
}
END_TEST

START_TEST(a_signal_that_is_held_is_seen)
{
    inherited_reset();
    raise(SIGHUP);
    ck_assert(!inherited_told_to_stop());
    raise(SIGTERM);
    ck_assert(inherited_told_to_stop());
}
END_TEST

START_TEST(timers_and_the_umask_are_put_back)
{
    struct itimerval timer = {.it_interval = {.tv_sec = 3600}, .it_value = {.tv_sec = 3600}};
    for (int i = ITIMER_REAL; i <= ITIMER_PROF; i++) ck_assert_int_eq(setitimer((__itimer_which_t)i, &timer, NULL), 0);
    umask(0777);
    inherited_reset();
    for (int i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
        ck_assert_int_eq(getitimer((__itimer_which_t)i, &timer), 0);
        ck_assert(timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0);
    }
    ck_assert_uint_eq(umask(022), 022);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inherited");
    TCase *tests = tcase_create("inherited");
    tcase_add_test(tests, ignored_signals_are_not_ignored);
    tcase_add_test(tests, a_handler_stays);
    tcase_add_test(tests, blocked_signals_are_not_blocked_but_for_those_that_are_held);
    tcase_add_test(tests, a_signal_that_is_held_is_seen);
    tcase_add_test(tests, timers_and_the_umask_are_put_back);
    suite_add_tcase(suite, tests);
    return run_suite_forked(suite);
}
