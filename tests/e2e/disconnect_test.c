/* Clients that go while calls of theirs run: the worker serves the others as if nothing had been. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static const char TEXT[] = "(module (func (export \"spin\") (loop (br 0)))\n"
                           "  (func (export \"work\") (param i32)\n"
                           "    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))";

static struct daemon d;
static hemi_client *other;
static hemi_object *work_of_other;
static pid_t worker;

static void start(void)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, "slice = \"1ms\";");
    other = client_open(d.socket);
    work_of_other = export_of(instance_from(other, TEXT, &store), "work");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
}

static void stop(void)
{
    pid_t now;
    struct hemi_stats stats;
    hemi_val one = hemi_i32(1);
    ok(other, hemi_call(work_of_other, &one, 1, NULL, 0, NULL));
    ok(other, hemi_stats_get(other, NULL, &stats));
    ck_assert_uint_eq(stats.stores, 1);
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_msg(now == worker, "the worker was lost");
    hemi_client_free(other);
    daemon_stop(&d);
}

/* An endless call and one of `laps`, sent together, are under way. */
static hemi_client *two_calls(int32_t laps)
{
    hemi_store *stores[2];
    hemi_client *c = client_open(d.socket);
    hemi_ticket tickets[2];
    hemi_val arg = hemi_i32(laps);
    hemi_object *spin = export_of(instance_from(c, TEXT, &stores[0]), "spin");
    hemi_object *work = export_of(instance_from(c, TEXT, &stores[1]), "work");
    ok(c, hemi_call(spin, NULL, 0, NULL, 0, &tickets[0]));
    ok(c, hemi_call(work, &arg, 1, NULL, 0, &tickets[1]));
    ok(c, hemi_flush(c));
    return c;
}

/* From a call that ends at once to one that takes some slices; and at different moments of it. */
START_TEST(a_disconnect_with_two_running_calls)
{
    for (int i = 0; i < 200; i++) {
        hemi_client *c = two_calls(1 + i * 2000);
        usleep((useconds_t)(i % 4) * 700);
        hemi_client_free(c);
    }
}
END_TEST

/* Killed, a client's socket is closed by the kernel with whatever was unread in it. */
START_TEST(a_kill_with_two_running_calls)
{
    for (int i = 0; i < 25; i++) {
        pid_t child = fork();
        if (child == 0) {
            two_calls(1 + i * 10000);
            kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("disconnect");
    TCase *t = tcase_create("disconnect");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_disconnect_with_two_running_calls);
    tcase_add_test(t, a_kill_with_two_running_calls);
    suite_add_tcase(s, t);
    return run_suite(s);
}
