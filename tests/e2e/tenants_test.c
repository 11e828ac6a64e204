/* Tenants, workers and the supervisor: isolation, handover, loss, draining. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static const char COUNTER[] = "(module (global $n (mut i32) (i32.const 0)) (memory (export \"memory\") 1)\n"
                              "  (func (export \"next\") (result i32)\n"
                              "    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))\n"
                              "  (func (export \"spin\") (loop (br 0))))";

static struct daemon d;

static void start_two(void) { daemon_start_tenants(&d, 2, NULL); }
static void start_one(void) { daemon_start_tenants(&d, 1, NULL); }
static void stop(void) { daemon_stop(&d); }

START_TEST(two_tenants_have_processes_of_their_own_and_see_nothing_of_each_other)
{
    hemi_client *a = client_open(daemon_socket(&d, 0)), *b = client_open(daemon_socket(&d, 1));
    hemi_store *sa, *sb;
    hemi_object *fa = export_of(instance_from(a, COUNTER, &sa), "next");
    hemi_object *fb = export_of(instance_from(b, COUNTER, &sb), "next");
    for (int i = 1; i <= 3; i++) ck_assert_int_eq(call_i32(fa, 0), i);
    ck_assert_int_eq(call_i32(fb, 0), 1);
    pid_t workers[4];
    ck_assert_uint_eq(daemon_workers(&d, workers, 4), 2);
    char *info_a, *info_b;
    ok(a, hemi_info(a, &info_a));
    ok(b, hemi_info(b, &info_b));
    ck_assert_msg(strstr(info_a, "\"a\"") && !strstr(info_a, "\"b\""), "%s", info_a);
    ck_assert_msg(strstr(info_b, "\"b\"") && !strstr(info_b, "\"a\""), "%s", info_b);
    hemi_free_text(info_a);
    hemi_free_text(info_b);
    hemi_client_free(a);
    hemi_client_free(b);
}
END_TEST

/* Two connections of one tenant share a worker and nothing else: handles of one mean nothing to the other. */
START_TEST(two_connections_of_a_tenant_share_a_worker_and_no_store)
{
    hemi_client *a = client_open(d.socket), *b = client_open(d.socket);
    hemi_store *sa, *sb;
    hemi_object *fa = export_of(instance_from(a, COUNTER, &sa), "next");
    hemi_object *fb = export_of(instance_from(b, COUNTER, &sb), "next");
    ck_assert_int_eq(call_i32(fa, 0), 1);
    ck_assert_int_eq(call_i32(fa, 0), 2);
    ck_assert_int_eq(call_i32(fb, 0), 1);
    daemon_wait_workers(&d, 1);
    hemi_client_free(a);
    ck_assert_int_eq(call_i32(fb, 0), 2);
    hemi_client_free(b);
}
END_TEST

START_TEST(calls_go_on_while_the_supervisor_is_stopped)
{
    hemi_client *client = client_open(d.socket);
    hemi_store *store;
    hemi_object *next = export_of(instance_from(client, COUNTER, &store), "next");
    ck_assert_int_eq(kill(d.pid, SIGSTOP), 0);
    for (int i = 1; i <= 100; i++) ck_assert_int_eq(call_i32(next, 0), i);
    ck_assert_int_eq(kill(d.pid, SIGCONT), 0);
    hemi_client_free(client);
}
END_TEST

START_TEST(a_worker_killed_with_calls_in_flight_is_lost_at_once_and_replaced)
{
    hemi_client *a = client_open(daemon_socket(&d, 0)), *b = client_open(daemon_socket(&d, 1));
    hemi_store *sa, *sb;
    hemi_object *fb = export_of(instance_from(b, COUNTER, &sb), "next");
    pid_t before[4], workers[4];
    ck_assert_uint_ge(daemon_workers(&d, before, 4), 1);
    hemi_object *spin = export_of(instance_from(a, COUNTER, &sa), "spin");
    char *info;
    ok(a, hemi_info(a, &info));
    hemi_ticket tickets[10];
    for (int i = 0; i < 10; i++) ok(a, hemi_call(spin, NULL, 0, NULL, 0, &tickets[i]));
    ok(a, hemi_flush(a));
    const char *pid = strstr(info, "\"pid\":");
    ck_assert_msg(pid != NULL, "%s", info);
    ck_assert_int_eq(kill((pid_t)strtol(pid + 6, NULL, 10), SIGKILL), 0);
    hemi_free_text(info);
    double start = now_ms();
    for (int i = 0; i < 10; i++) expect(a, HEMI_WORKER_LOST, hemi_wait(a, tickets[i]));
    ck_assert_msg(now_ms() - start < 1000 * slowness(), "%g ms", now_ms() - start);
    expect(a, HEMI_WORKER_LOST, hemi_ping(a, NULL));
    ck_assert_int_eq(call_i32(fb, 0), 1);
    hemi_client *again = client_open(daemon_socket(&d, 0));
    ok(again, hemi_ping(again, NULL));
    ck_assert_uint_ge(daemon_workers(&d, workers, 4), 2);
    hemi_client_free(a);
    hemi_client_free(b);
    hemi_client_free(again);
}
END_TEST

START_TEST(a_worker_that_crashes_is_lost_too)
{
    const int signals[] = {SIGSEGV, SIGSYS, SIGABRT};
    d.crashes = true;
    for (int i = 0; i < 3; i++) {
        hemi_client *client = client_open(d.socket);
        pid_t worker;
        daemon_wait_workers(&d, 1);
        daemon_workers(&d, &worker, 1);
        ck_assert_int_eq(kill(worker, signals[i]), 0);
        expect(client, HEMI_WORKER_LOST, hemi_ping(client, NULL));
        hemi_client_free(client);
    }
    hemi_client *client = client_open(d.socket);
    ok(client, hemi_ping(client, NULL));
    hemi_client_free(client);
}
END_TEST

/* The worker is stopped, so that it cannot adopt; the client sends HELLO and requests; the worker is killed. */
START_TEST(a_worker_killed_before_it_adopts_a_connection_loses_none_of_its_bytes)
{
    hemi_client *first = client_open(d.socket), *second = NULL;
    pid_t worker;
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    ck_assert_int_eq(kill(worker, SIGSTOP), 0);
    struct hemi_connect_options options = {.socket = d.socket, .no_welcome = true};
    hemi_status status = hemi_connect(&options, &second);
    ck_assert_msg(status == HEMI_OK, "%s", hemi_client_error(second));
    hemi_ticket ticket[20];
    for (int i = 0; i < 20; i++) ok(second, hemi_ping(second, &ticket[i]));
    ok(second, hemi_flush(second));
    usleep(300000);
    ck_assert_int_eq(kill(worker, SIGKILL), 0);
    for (int i = 0; i < 20; i++) ok(second, hemi_wait(second, ticket[i]));
    expect(first, HEMI_WORKER_LOST, hemi_ping(first, NULL));
    hemi_client_free(first);
    hemi_client_free(second);
}
END_TEST

START_TEST(a_worker_ends_when_its_supervisor_is_killed)
{
    struct daemon mine;
    daemon_start_tenants(&mine, 1, NULL);
    hemi_client *client = client_open(mine.socket);
    pid_t worker;
    ck_assert_uint_eq(daemon_workers(&mine, &worker, 1), 1);
    ck_assert_int_eq(kill(mine.pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(mine.pid, NULL, 0), mine.pid);
    hemi_status status = HEMI_OK;
    for (double end = now_ms() + 10000; status == HEMI_OK && now_ms() < end;) status = hemi_ping(client, NULL);
    ck_assert_msg(status != HEMI_OK, "the worker goes on without its supervisor");
    hemi_client_free(client);
    /* The stale socket file is in nobody's way. */
    char config[128], log[128];
    snprintf(config, sizeof config, "%s/hemid.conf", mine.dir);
    snprintf(log, sizeof log, "%s/log2", mine.dir);
    struct daemon next = mine;
    next.pid = fork();
    if (next.pid == 0) {
        ck_assert(freopen(log, "w", stderr) != NULL);
        execl(built("hemid"), "hemid", "--config", config, (char *)NULL);
        _exit(127);
    }
    hemi_client *again = NULL;
    struct hemi_connect_options options = {.socket = mine.socket};
    for (double end = now_ms() + 20000; now_ms() < end; usleep(20000)) {
        hemi_client_free(again);
        if (hemi_connect(&options, &again) == HEMI_OK) break;
    }
    ok(again, hemi_ping(again, NULL));
    hemi_client_free(again);
    daemon_stop(&next);
}
END_TEST

START_TEST(a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on)
{
    struct outcome o = run_program((const char *const[]){built("hemid"), "--socket", d.socket, NULL}, NULL);
    ck_assert_msg(o.status != 0 && strstr(o.err, d.socket), "status %d: %s", o.status, o.err);
    outcome_deinit(&o);
    hemi_client *client = client_open(d.socket);
    ok(client, hemi_ping(client, NULL));
    hemi_client_free(client);
}
END_TEST

START_TEST(sigterm_drains_running_calls_end_and_new_connections_are_refused)
{
    struct daemon mine;
    daemon_start(&mine,
                 "drain_timeout = \"8s\";\ntenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; });\n");
    hemi_client *client = client_open(mine.socket);
    hemi_store *store;
    const char *text = "(module (func (export \"work\") (param i32) (result i32)\n"
                       "  (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7)))";
    hemi_object *work = export_of(instance_from(client, text, &store), "work");
    hemi_val arg = hemi_i32(20000000), result;
    hemi_ticket ticket;
    ok(client, hemi_call(work, &arg, 1, &result, 1, &ticket));
    ok(client, hemi_flush(client));
    usleep(20000);
    ck_assert_int_eq(kill(mine.pid, SIGTERM), 0);
    ok(client, hemi_wait(client, ticket));
    ck_assert_int_eq(result.of.i32, 7);
    hemi_status status = HEMI_OK;
    for (double end = now_ms() + 20000; status == HEMI_OK && now_ms() < end; usleep(10000))
        status = hemi_ping(client, NULL);
    expect(client, HEMI_DRAINING, status);
    hemi_client_free(client);
    int exit_status;
    ck_assert_int_eq(waitpid(mine.pid, &exit_status, 0), mine.pid);
    ck_assert_int_eq(exit_status, 0);
    ck_assert_int_ne(access(mine.socket, F_OK), 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", mine.dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(a_drain_that_takes_too_long_ends_at_its_timeout)
{
    struct daemon mine;
    daemon_start(&mine,
                 "drain_timeout = \"500ms\";\ntenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; });\n");
    hemi_client *client = client_open(mine.socket);
    hemi_store *store;
    hemi_object *spin = export_of(instance_from(client, COUNTER, &store), "spin");
    hemi_ticket ticket;
    ok(client, hemi_call(spin, NULL, 0, NULL, 0, &ticket));
    ok(client, hemi_flush(client));
    double start = now_ms();
    daemon_stop(&mine);
    ck_assert_msg(now_ms() - start < 10000 * slowness(), "%g ms", now_ms() - start);
    hemi_status status = hemi_wait(client, ticket);
    ck_assert_msg(status == HEMI_DRAINING || status == HEMI_CANCELLED || status == HEMI_WORKER_LOST, "%s",
                  hemi_status_text(status));
    hemi_client_free(client);
}
END_TEST

START_TEST(an_idle_worker_ends_and_the_next_connection_gets_a_fresh_one)
{
    struct daemon mine;
    daemon_start_tenants(&mine, 1, "idle_exit = \"200ms\";");
    hemi_client *client = client_open(mine.socket);
    ok(client, hemi_ping(client, NULL));
    hemi_client_free(client);
    daemon_wait_workers(&mine, 0);
    client = client_open(mine.socket);
    ok(client, hemi_ping(client, NULL));
    hemi_client_free(client);
    daemon_stop(&mine);
}
END_TEST

START_TEST(tokens_tell_tenants_apart_and_a_wrong_one_is_denied)
{
    struct daemon mine;
    char path[128];
    FILE *f;
    memset(&mine, 0, sizeof mine);
    char tokens[] = "/tmp/hemi-token-XXXXXX";
    ck_assert(mkdtemp(tokens) != NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%c", tokens, 'a' + i);
        ck_assert((f = fopen(path, "w")) != NULL);
        fprintf(f, "token-of-tenant-%c-0123456789\n", 'a' + i);
        fclose(f);
        ck_assert_int_eq(chmod(path, 0600), 0);
    }
    char config[512];
    snprintf(config, sizeof config,
             "socket = { path = \"%%s/a.sock\"; };\n"
             "tenants = ({ name = \"a\"; token_file = \"%s/a\"; }, { name = \"b\"; token_file = \"%s/b\"; });\n",
             tokens, tokens);
    daemon_start(&mine, config);
    for (int i = 0; i < 3; i++) {
        char token[64];
        snprintf(token, sizeof token, "token-of-tenant-%c-0123456789", 'a' + i);
        hemi_client *client = NULL;
        struct hemi_connect_options options = {.socket = mine.socket, .token = token, .token_length = strlen(token)};
        hemi_status status = hemi_connect(&options, &client);
        ck_assert_msg(status == (i < 2 ? HEMI_OK : HEMI_DENIED), "%d: %s", i, hemi_status_text(status));
        hemi_client_free(client);
    }
    daemon_stop(&mine);
    snprintf(path, sizeof path, "rm -rf '%s'", tokens);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

START_TEST(a_bad_configuration_is_refused_with_file_line_and_key)
{
    char path[] = "/tmp/hemi-conf-XXXXXX";
    int fd = mkstemp(path);
    const char text[] =
        "tenants = (\n  { name = \"a\"; socket = { path = \"/tmp/x.sock\"; }; limits = { heap = \"lots\"; }; }\n);\n";
    ck_assert_int_eq(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    struct outcome o = run_program((const char *const[]){built("hemid"), "--config", path, NULL}, NULL);
    ck_assert_int_eq(o.status, 2);
    ck_assert_msg(strstr(o.err, path) && strstr(o.err, ":2:") && strstr(o.err, "heap"), "%s", o.err);
    outcome_deinit(&o);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tenants");
    TCase *two = tcase_create("two tenants"), *one = tcase_create("one tenant"), *own = tcase_create("own daemon");
    tcase_add_checked_fixture(two, start_two, stop);
    tcase_add_checked_fixture(one, start_one, stop);
    tcase_set_timeout(two, 120);
    tcase_set_timeout(one, 120);
    tcase_set_timeout(own, 120);
    tcase_add_test(two, two_tenants_have_processes_of_their_own_and_see_nothing_of_each_other);
    tcase_add_test(two, a_worker_killed_with_calls_in_flight_is_lost_at_once_and_replaced);
    tcase_add_test(one, two_connections_of_a_tenant_share_a_worker_and_no_store);
    tcase_add_test(one, calls_go_on_while_the_supervisor_is_stopped);
    tcase_add_test(one, a_worker_that_crashes_is_lost_too);
    tcase_add_test(one, a_worker_killed_before_it_adopts_a_connection_loses_none_of_its_bytes);
    tcase_add_test(one, a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on);
    tcase_add_test(own, a_worker_ends_when_its_supervisor_is_killed);
    tcase_add_test(own, sigterm_drains_running_calls_end_and_new_connections_are_refused);
    tcase_add_test(own, a_drain_that_takes_too_long_ends_at_its_timeout);
    tcase_add_test(own, an_idle_worker_ends_and_the_next_connection_gets_a_fresh_one);
    tcase_add_test(own, tokens_tell_tenants_apart_and_a_wrong_one_is_denied);
    tcase_add_test(own, a_bad_configuration_is_refused_with_file_line_and_key);
    suite_add_tcase(s, two);
    suite_add_tcase(s, one);
    suite_add_tcase(s, own);
    return run_suite(s);
}
