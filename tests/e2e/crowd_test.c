/* The supervisor with many at its door: connections that queue for a stopped worker, a daemon told to end while a
 * worker starts, and sockets as their mode says. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "tests/e2e/support.h"

static int say_hello(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    uint8_t bytes[HELLO_MAX];
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    size_t n = hello_write(&hello, bytes);
    ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    return fd;
}

/* The type of the first frame; a CLOSE's status goes to *status. 0: the end without one. */
static unsigned first_frame(int fd, unsigned *status)
{
    struct frame_reader r;
    struct frame f;
    enum frame_next next;
    unsigned type = 0;
    frame_reader_init(&r, FRAME_W2C, FRAME_ALWAYS);
    double end = now_ms() + 20000 * slowness();
    while ((next = frame_reader_next(&r, &f)) == FRAME_NONE) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ck_assert_msg(now_ms() < end, "neither a frame nor an end");
        if (poll(&p, 1, 1000) > 0) frame_reader_recv(&r, fd);
    }
    if (next == FRAME_READY) type = f.head.type;
    if (type == FRAME_CLOSE) *status = ((const Hemi__V1__Close *)f.body)->status;
    frame_reader_deinit(&r);
    return type;
}

START_TEST(a_thousand_connections_queue_for_a_stopped_worker)
{
    enum { N = 1000 };
    static int fds[N];
    struct rlimit files;
    struct daemon d;
    pid_t worker;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < N + 400) return;
    daemon_start_tenants(&d, 2, "connections = 2000;");
    hemi_client *first = client_open(d.socket);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    kill(worker, SIGSTOP);
    for (int i = 0; i < N; i++) fds[i] = say_hello(d.socket);
    hemi_client *other = client_open(daemon_socket(&d, 1)); /* another tenant notices nothing */
    struct stopwatch watch = stopwatch_start(&d);
    ok(other, hemi_ping(other, NULL));
    ck_assert(stopwatch_ms(&watch) < 100 * slowness());
    kill(worker, SIGCONT);
    for (int i = 0; i < N; i++) {
        unsigned status;
        ck_assert_uint_eq(first_frame(fds[i], &status), FRAME_WELCOME);
        close(fds[i]);
    }
    ok(first, hemi_ping(first, NULL));
    hemi_client_free(first);
    hemi_client_free(other);
    daemon_stop(&d);
}
END_TEST

/* Whoever came is told, whatever the worker was doing, and the daemon ends at once. */
START_TEST(sigterm_while_a_worker_starts)
{
    for (int round = 0; round < 8; round++) {
        struct daemon d;
        pid_t worker;
        unsigned status = 0;
        daemon_start_tenants(&d, 1, "");
        d.crashes = true;
        if (daemon_workers(&d, &worker, 1) == 1) kill(worker, SIGKILL);
        daemon_wait_workers(&d, 0);
        int fd = say_hello(d.socket);
        if (round > 0) usleep((useconds_t)(1000 << (round - 1)));
        kill(d.pid, SIGTERM);
        unsigned type = first_frame(fd, &status);
        ck_assert_msg(type == FRAME_WELCOME || (type == FRAME_CLOSE && status == HEMI_DRAINING), "type %u, status %u",
                      type, status);
        close(fd);
        double began = now_ms();
        daemon_stop(&d);
        ck_assert(now_ms() - began < 5000 * slowness());
    }
}
END_TEST

/* Signals that come while the process ends once took its exit status away. */
START_TEST(sigterm_again_and_again_still_exits_in_order)
{
    for (int round = 0; round < 8; round++) {
        struct daemon d;
        siginfo_t ended = {0};
        daemon_start_tenants(&d, 1, "");
        double end = now_ms() + 30000;
        while (waitid(P_PID, (id_t)d.pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0 &&
               now_ms() < end) {
            kill(d.pid, SIGTERM);
            usleep(1000); /* a flood of signals would only keep it from ending */
        }
        daemon_stop(&d);
    }
}
END_TEST

START_TEST(sockets_have_the_mode_that_was_asked_for)
{
    struct daemon d;
    struct stat st;
    mode_t mask = umask(0);
    daemon_start(&d, "tenants = ( { name = \"a\"; socket = { path = \"%s/a.sock\"; mode = \"0640\"; }; },\n"
                     "            { name = \"b\"; socket = { path = \"%s/b.sock\"; }; } );\n");
    umask(mask);
    ck_assert_int_eq(stat(daemon_socket(&d, 0), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    ck_assert_int_eq(stat(daemon_socket(&d, 1), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    daemon_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crowd");
    TCase *t = tcase_create("crowd");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_thousand_connections_queue_for_a_stopped_worker);
    tcase_add_test(t, sigterm_while_a_worker_starts);
    tcase_add_test(t, sigterm_again_and_again_still_exits_in_order);
    tcase_add_test(t, sockets_have_the_mode_that_was_asked_for);
    suite_add_tcase(s, t);
    return run_suite(s);
}
