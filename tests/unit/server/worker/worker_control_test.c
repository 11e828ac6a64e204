/* tests/unit/server/worker/worker_control_test.c -- a worker's side of the control socket: what it cannot adopt, what
 * it answers, what waits while its supervisor does not read. The test is the supervisor. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/hello.h"
#include "server/worker/control.h"
#include "server/worker/state.h"
#include "tests/unit/suite.h"

static struct worker w;
static struct worker_boot boot;
static int control; /* the supervisor's end */

static void setup(void)
{
    struct config config;
    config_set_defaults(&config);
    int end;
    struct page *page = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(handover_pair(&control, &end), 0);
    boot = (struct worker_boot){.control_fd = end, .page = page, .tenant = "test", .limits = config.limits};
    boot.limits.idle_exit = 0;
    config_deinit(&config);
    ck_assert_int_eq(worker_init(&w, &boot), 0);
    ck_assert_int_eq(control_start(&w), 0);
}

static void teardown(void)
{
    close(control);
    worker_stop(&w, HEMI_DRAINING, "the test ends");
    worker_run(&w);
    ck_assert_uint_eq(w.nconnections, 0);
    worker_deinit(&w);
    close(boot.control_fd);
    munmap(boot.page, PAGE_SIZE_BYTES);
}

static void turn(void)
{
    for (int i = 0; i < 3; i++) uv_run(&w.loop, UV_RUN_NOWAIT);
}

static struct handover_msg next_message(void)
{
    struct handover_msg msg = {0};
    turn();
    ck_assert_int_eq(handover_recv(control, HANDOVER_UP, &msg), 1);
    return msg;
}

static void expect_ready(void)
{
    struct handover_msg msg = next_message();
    ck_assert(msg.type == HANDOVER_STATUS && msg.u.status.phase == HANDOVER_READY);
}

/* Hands a connection over and returns the client's end. */
static int hand(uint64_t connection)
{
    int pair[2];
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    struct handover_msg msg = {.type = HANDOVER_ADOPT, .u.adopt.connection = connection};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    msg.fd = pair[1];
    msg.u.adopt.hello_len = (uint32_t)hello_write(&hello, msg.u.adopt.hello);
    ck_assert_int_eq(handover_send(control, &msg), 0);
    close(pair[1]);
    return pair[0];
}

static void ask(uint64_t nonce)
{
    struct handover_msg msg = {.type = HANDOVER_ASK, .fd = -1, .u.ask.nonce = nonce};
    ck_assert_int_eq(handover_send(control, &msg), 0);
}

/* The message that lost its descriptor was taken for the supervisor's end. */
START_TEST(a_full_table_declines_one_connection)
{
    struct rlimit before, none;
    expect_ready();
    int lost = hand(1);
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    turn();
    setrlimit(RLIMIT_NOFILE, &before);
    struct handover_msg msg = next_message();
    ck_assert(msg.type == HANDOVER_NOT_ADOPTED && msg.u.not_adopted.connection == 1);
    ck_assert_uint_eq(msg.u.not_adopted.reason, HANDOVER_NO_DESCRIPTOR);
    int kept = hand(2);
    msg = next_message();
    ck_assert(msg.type == HANDOVER_ADOPTED && msg.u.adopted.connection == 2);
    close(kept);
    msg = next_message();
    ck_assert(msg.type == HANDOVER_CLOSED && msg.u.closed.connection == 2);
    close(lost);
}
END_TEST

/* It was ended with "the daemon is shutting down", while the daemon was not. */
START_TEST(a_leaving_worker_declines)
{
    expect_ready();
    worker_drain(&w, 60000);
    int fd = hand(1);
    struct handover_msg msg = next_message();
    while (msg.type == HANDOVER_STATUS) msg = next_message();
    ck_assert(msg.type == HANDOVER_NOT_ADOPTED && msg.u.not_adopted.reason == HANDOVER_LEAVING);
    ck_assert_int_eq(recv(fd, &msg, 1, MSG_DONTWAIT | MSG_PEEK), 0); /* no frame: only our copy's end */
    close(fd);
}
END_TEST

START_TEST(a_question_is_answered_with_its_nonce)
{
    expect_ready();
    ask(4711);
    struct handover_msg msg = next_message();
    ck_assert(msg.type == HANDOVER_ANSWER && msg.u.answer.nonce == 4711);
}
END_TEST

/* Hundreds of connections come and go while the supervisor reads nothing: each of its messages comes, once, in order.
 */
START_TEST(nothing_is_lost_while_the_supervisor_does_not_read)
{
    enum { N = 200 };
    static int fds[N];
    unsigned adopted = 0, closed = 0, answers = 0;
    int least = 1;
    struct handover_msg msg;
    bool full = false;
    setsockopt(boot.control_fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    boot.limits.connections = N;
    for (unsigned i = 0; i < N && !full; i++) {
        fds[i] = hand(i + 1);
        turn();
        full = w.outbox.count > 0;
        adopted = i + 1;
    }
    ck_assert_msg(full, "the socket's queue holds more than %d messages", N);
    ask(7); /* not read before the supervisor reads */
    for (unsigned i = 0; i < adopted; i++) close(fds[i]);
    for (unsigned seen = 0; closed < adopted || answers == 0;) {
        turn();
        while (handover_recv(control, HANDOVER_UP, &msg) == 1) {
            if (msg.type == HANDOVER_ADOPTED) ck_assert_uint_eq(msg.u.adopted.connection, ++seen);
            closed += msg.type == HANDOVER_CLOSED;
            answers += msg.type == HANDOVER_ANSWER;
        }
        control_flush(&w); /* as each beat does */
    }
    ck_assert_uint_eq(closed, adopted);
}
END_TEST

START_TEST(the_supervisors_end_is_an_orderly_one_and_nonsense_is_not)
{
    expect_ready();
    if (_i == 0)
        shutdown(control, SHUT_RDWR);
    else
        ck_assert_int_eq(send(control, "nonsense", 8, 0), 8);
    turn();
    ck_assert_int_eq(w.exit_status, _i == 0 ? WORKER_EXIT_OK : WORKER_EXIT_ERROR);
    w.exit_status = 0;
}
END_TEST

/* Its connections are ended as by a stop: one that it only left was a leak where leaks are looked for. */
START_TEST(who_loses_the_supervisor_keeps_no_connection)
{
    char said[512];
    expect_ready();
    int client = hand(1);
    ck_assert_uint_eq(next_message().type, HANDOVER_ADOPTED);
    shutdown(control, SHUT_RDWR);
    ck_assert_int_eq(worker_run(&w), WORKER_EXIT_OK);
    ck_assert_uint_eq(w.nconnections, 0);
    ssize_t got = recv(client, said, sizeof said, 0);
    ck_assert_msg(got > 0 && memmem(said, (size_t)got, "the daemon has ended", 20) != NULL, "it got %zd bytes", got);
    ck_assert_int_eq(recv(client, said, sizeof said, 0), 0);
    close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worker_control");
    TCase *tests = tcase_create("worker_control");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_full_table_declines_one_connection);
    tcase_add_test(tests, a_leaving_worker_declines);
    tcase_add_test(tests, a_question_is_answered_with_its_nonce);
    tcase_add_test(tests, nothing_is_lost_while_the_supervisor_does_not_read);
    tcase_add_loop_test(tests, the_supervisors_end_is_an_orderly_one_and_nonsense_is_not, 0, 2);
    tcase_add_test(tests, who_loses_the_supervisor_keeps_no_connection);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
