/* What keeps one connection, worker or tenant from costing another anything: descriptors that run out, doors that are
 * crowded, workers that hang. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static hemi_status status_of_connect(const char *socket)
{
    hemi_client *client = NULL;
    struct hemi_connect_options options = {.socket = socket, .timeout_ms = 20000};
    hemi_status status = hemi_connect(&options, &client);
    hemi_client_free(client);
    return status;
}

/* Its table was full, so recvmsg lost the connection's socket: the worker took that for its supervisor's end. */
START_TEST(a_full_table_of_a_worker_costs_one_handover)
{
    struct daemon d;
    struct rlimit before, full;
    pid_t worker, after;
    daemon_start_tenants(&d, 1, "");
    hemi_client *client = client_open(d.socket);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    bool may =
        prlimit(worker, RLIMIT_NOFILE, NULL, &before) == 0; /* it may be another user's; worker_control_test may */
    full = (struct rlimit){0, before.rlim_max};
    if (may) ck_assert_int_eq(prlimit(worker, RLIMIT_NOFILE, &full, NULL), 0);
    for (int i = 0; may && i < 3; i++) ck_assert_int_eq(status_of_connect(d.socket), HEMI_LIMIT);
    ok(client, hemi_ping(client, NULL));
    if (may) ck_assert_int_eq(prlimit(worker, RLIMIT_NOFILE, &before, NULL), 0);
    ck_assert_int_eq(status_of_connect(d.socket), HEMI_OK);
    ok(client, hemi_ping(client, NULL));
    ck_assert_uint_eq(daemon_workers(&d, &after, 1), 1);
    ck_assert_int_eq(after, worker);
    hemi_client_free(client);
    daemon_stop(&d);
}
END_TEST

/* What a real worker answers, and what its clients see. */
START_TEST(a_stopped_worker_is_lost_and_replaced)
{
    struct daemon d;
    pid_t worker, after[2];
    hemi_client *client;
    daemon_start(&d, "watchdog = \"3s\"; tenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; });");
    client = client_open(daemon_socket(&d, 0));
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    kill(worker, SIGSTOP);
    hemi_client *late = client_open(daemon_socket(&d, 0)); /* on its way to the stopped one, then to another */
    expect(client, HEMI_WORKER_LOST, hemi_ping(client, NULL));
    ok(late, hemi_ping(late, NULL));
    ck_assert(daemon_logged(&d, "worker-hung") && daemon_logged(&d, "it is stopped"));
    ck_assert_uint_eq(daemon_workers(&d, after, 2), 1);
    ck_assert_int_ne(after[0], worker);
    hemi_client_free(client);
    hemi_client_free(late);
    daemon_stop(&d);
}
END_TEST

/* Nothing of what a parent left of its own (SIGCHLD ignored, everything blocked) is left in the daemon. */
START_TEST(a_workers_end_is_seen_whatever_the_parent_ignores_and_blocks)
{
    struct daemon d;
    pid_t worker;
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGCHLD, SIG_IGN);
    sigprocmask(SIG_SETMASK, &all, &before);
    daemon_start_tenants(&d, 1, "");
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGCHLD, SIG_DFL);
    hemi_client *client = client_open(d.socket);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    ck_assert_int_eq(kill(worker, SIGKILL), 0);
    expect(client, HEMI_WORKER_LOST, hemi_ping(client, NULL));
    hemi_client *next = client_open(d.socket);
    ok(next, hemi_ping(next, NULL));
    ck_assert(daemon_logged(&d, "worker-lost"));
    hemi_client_free(client);
    hemi_client_free(next);
    daemon_stop(&d); /* it sees SIGTERM, and that the worker has ended */
}
END_TEST

#define LONG_BYTES (15 << 20)

/* A process that reads the configuration for long, stopped as it does so; 0 when it was too quick. */
static pid_t stop_a_reader(const struct daemon *d, pid_t worker)
{
    pid_t children[2];
    ck_assert_int_eq(kill(d->pid, SIGHUP), 0);
    for (double end = now_ms() + 10000; now_ms() < end;) {
        unsigned n = daemon_workers(d, children, 2);
        pid_t reader = n == 2 ? (children[0] == worker ? children[1] : children[0]) : 0;
        if (reader != 0 && kill(reader, SIGSTOP) == 0) return reader;
        if (daemon_logged(d, "reloaded")) return 0;
    }
    return 0;
}

/* It is read by another process, which the loop does not wait for. */
START_TEST(a_reload_that_hangs_stops_nobody)
{
    struct daemon d;
    pid_t worker, reader = 0;
    char path[128];
    static char text[LONG_BYTES];
    daemon_start_tenants(&d, 1, "");
    hemi_client *client = client_open(d.socket), *next;
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    snprintf(path, sizeof path, "%s/hemid.conf", d.dir);
    FILE *file = fopen(path, "a");
    ck_assert_ptr_nonnull(file);
    memset(text, '#', sizeof text);
    ck_assert_uint_eq(fwrite(text, 1, sizeof text, file), sizeof text);
    ck_assert_int_eq(fclose(file), 0);
    for (int i = 0; i < 20 && reader == 0; i++) reader = stop_a_reader(&d, worker);
    if (reader == 0) printf("SKIPPED a_reload_that_hangs_stops_nobody: it was always too quick\n");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    for (int i = 0; i < 3; i++) {
        next = client_open(d.socket);
        ok(next, hemi_ping(next, NULL));
        hemi_client_free(next);
    }
    hemi_client_free(client);
    daemon_stop(&d); /* SIGTERM is seen, and no reader outlives the daemon */
}
END_TEST

/* Its end belongs to this process first, which traces it and does not look: for the daemon it never ends. */
START_TEST(a_worker_that_never_ends_does_not_keep_the_daemon)
{
    struct daemon d;
    pid_t worker;
    int status;
    char command[96];
    daemon_start(&d, "drain_timeout = \"100ms\"; tenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; });");
    hemi_client *client = client_open(d.socket);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    if (ptrace(PTRACE_SEIZE, worker, NULL, NULL) != 0) {
        printf("SKIPPED a_worker_that_never_ends_does_not_keep_the_daemon: may not trace\n");
        hemi_client_free(client);
        daemon_stop(&d);
        return;
    }
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(d.pid, &status, 0), d.pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%x", status);
    ck_assert(daemon_logged(&d, "worker-left"));
    hemi_client_free(client);
    ck_assert_int_eq(waitpid(worker, &status, __WALL), worker);
    snprintf(command, sizeof command, "rm -r '%s'", d.dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("supervision");
    TCase *t = tcase_create("supervision");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_full_table_of_a_worker_costs_one_handover);
    tcase_add_test(t, a_stopped_worker_is_lost_and_replaced);
    tcase_add_test(t, a_workers_end_is_seen_whatever_the_parent_ignores_and_blocks);
    tcase_add_test(t, a_reload_that_hangs_stops_nobody);
    tcase_add_test(t, a_worker_that_never_ends_does_not_keep_the_daemon);
    suite_add_tcase(s, t);
    return run_suite(s);
}
