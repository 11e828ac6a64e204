/* tests/unit/server/supervisor/supervisor_sweep_test.c -- the daemon without memory or descriptors: the 1st, 2nd, ...
 * that supervisor or worker asks for fails, at the start and while they serve. A start that fails says why and exits
 * with 1 or 2; else it is one connection that fails, with a status, and the next one works. */
#include "tests/unit/sweep_rig.h"

/* ---- the start */

/* Whatever is refused to it: it is up and serves, or it has ended and said why. */
START_TEST(a_start_without_it_fails_in_order)
{
    enum sweep_kind kind = (enum sweep_kind)(_i / 2);
    bool reached = true, stays = _i % 2;
    for (long n = sweep_first(1); reached; n = sweep_next(n, 1)) {
        int status = 0;
        spawn(n, kind, stays);
        bool up = came_up(&status);
        reached = sweep_disarm(SWEEP_DAEMON);
        if (up) {
            if (reached) must_serve(n);
            stop_daemon();
            continue;
        }
        bool orderly = WIFEXITED(status) && (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2);
        ck_assert_msg(orderly && log_text()[0] != 0, "%s %ld: status %x, log: %s", kind_names[kind], n, status,
                      log_end());
    }
}
END_TEST

/* ---- serving */

/* One connection, for which a worker is started. It may fail. */
static void one_try(enum sweep_who who, enum sweep_kind kind, long n, bool stays)
{
    hemi_client *client;
    hemi_store *store;
    no_worker();
    sweep_arm(who, kind, n, stays);
    hemi_status status = dial(&client);
    if (status == HEMI_OK) status = hemi_store_new(client, NULL, &store, NULL);
    ck_assert_msg(status != HEMI_DEADLINE, "%s %ld: %s\n%s", kind_names[kind], n, hemi_client_error(client), log_end());
    hemi_client_free(client);
}

/* One connection fails, the next one works; nothing stays behind. */
static void sweep_connections(enum sweep_who who, enum sweep_kind kind, bool stays, long stride)
{
    bool reached = true;
    start_daemon();
    must_serve(0);
    unsigned fds = count_fds(daemon_pid);
    for (long n = sweep_first(stride); reached; n = sweep_next(n, stride)) {
        one_try(who, kind, n, stays);
        must_live(n);
        reached = sweep_disarm(who);
        must_serve(n);
    }
    no_worker();
    must_serve(-1);
    wait_for_fds(daemon_pid, fds);
    stop_daemon();
}

START_TEST(a_supervisor_without_it_loses_one_connection)
{
    sweep_connections(SWEEP_DAEMON, (enum sweep_kind)(_i / 2), _i % 2, 1);
}
END_TEST

/* libseccomp asks for memory 1,500 times to make the jail, and runs in a circle when it does not get some of it: such a
 * worker is killed by start_timeout. */
START_TEST(a_worker_that_starts_without_it_is_replaced)
{
    workers_crash = true;
    sweep_connections(SWEEP_WORKER, (enum sweep_kind)_i, false, _i == SWEEP_MEMORY ? 89 : 1);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, a_start_without_it_fails_in_order, 0, 4);
    tcase_add_loop_test(tests, a_supervisor_without_it_loses_one_connection, 0, 3);
    tcase_add_loop_test(tests, a_worker_that_starts_without_it_is_replaced, SWEEP_MEMORY, SWEEP_DESCRIPTORS + 1);
}

int main(int argc, char **argv) { return sweep_main(argc, argv, "supervisor_sweep", add); }
