/* Flow control and clients that misbehave without breaking the protocol: who floods, who never reads, who dies. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static const char TEXT[] = "(module (memory (export \"memory\") 64)\n"
                           "  (func (export \"next\") (param i32) (result i32)\n"
                           "    (i32.add (local.get 0) (i32.const 1)))\n"
                           "  (func (export \"spin\") (loop (br 0))))";

static struct daemon d;
static pid_t worker;
static unsigned fds_before;

static hemi_client *other;
static hemi_object *next_of_other;

static void start(void)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, NULL);
    other = client_open(d.socket);
    next_of_other = export_of(instance_from(other, TEXT, &store), "next");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    fds_before = open_fds(worker);
}

static void stop(void)
{
    ck_assert_int_eq(call_i32(next_of_other, 1, 4), 5);
    hemi_client_free(other);
    daemon_stop(&d);
}

/* Waits until the worker has no descriptor, store or handle but those of `other`. */
static void nothing_is_left(void)
{
    struct hemi_stats mine;
    double end = now_ms() + 10000 * slowness();
    while (open_fds(worker) != fds_before && now_ms() < end) usleep(5000);
    ck_assert_uint_eq(open_fds(worker), fds_before);
    ok(other, hemi_stats_get(other, NULL, &mine));
    char *info;
    ok(other, hemi_info(other, &info));
    const char *stores = strstr(info, "\"stores\":");
    ck_assert_msg(stores != NULL, "%s", info);
    ck_assert_msg(strtol(stores + 9, NULL, 10) == 1, "%s", info);
    hemi_free_text(info);
    daemon_wait_workers(&d, 1);
}

START_TEST(a_client_that_sends_a_hundred_thousand_requests_before_it_looks_at_an_answer)
{
    enum { N = 100000 };
    hemi_client *client = client_open(d.socket);
    hemi_store *store;
    hemi_object *next = export_of(instance_from(client, TEXT, &store), "next");
    hemi_ticket *tickets = calloc(N, sizeof *tickets);
    hemi_val *results = calloc(N, sizeof *results);
    for (int i = 0; i < N; i++) {
        hemi_val arg = hemi_i32(i);
        ok(client, hemi_call(next, &arg, 1, &results[i], 1, &tickets[i]));
    }
    for (int i = 0; i < N; i++) {
        ok(client, hemi_wait(client, tickets[i]));
        ck_assert_int_eq(results[i].of.i32, i + 1);
    }
    free(tickets);
    free(results);
    hemi_client_free(client);
    nothing_is_left();
}
END_TEST

/* The same on the wire, by a client without libhemi's manners: frames of PING written until the socket takes no more,
 * nothing read. The worker may end it (window) but must not grow or stall. */
static int raw_connect(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    static const uint8_t hello[32] = {'H', 'E', 'M', 'I', 32, 0, 1, 0};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", d.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    ck_assert_int_eq(send(fd, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
    return fd;
}

static long peak_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kb);
    fclose(f);
    return kb;
}

START_TEST(a_client_that_never_reads_costs_a_bounded_amount)
{
    uint8_t *frame = calloc(1, 24 + 65536);
    long before = peak_kb(worker);
    int fd = raw_connect();
    frame[2] = 1;                        /* length 65536 */
    frame[4] = 4;                        /* PING */
    size_t sent = 0, whole = 24 + 65536; /* a frame that went half is finished first */
    for (uint32_t i = 1, id = 1; i <= 100000 && i < 2000 + id; i++) {
        memcpy(frame + 8, &id, 4);
        ssize_t n = send(fd, frame + sent, whole - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) usleep(1000);
        sent += n > 0 ? (size_t)n : 0;
        if (sent < whole) continue;
        sent = 0;
        id++;
    }
    ck_assert_int_eq(call_i32(next_of_other, 1, 8), 9);
    long grown = peak_kb(worker) - before;
    ck_assert_msg(grown < (long)(64 * 1024 * slowness()), "the worker grew by %ld KB", grown);
    close(fd);
    free(frame);
    nothing_is_left();
}
END_TEST

START_TEST(a_client_that_never_reads_large_answers_suspends_only_itself)
{
    hemi_client *client = client_open(d.socket);
    hemi_store *store;
    hemi_object *memory = export_of(instance_from(client, TEXT, &store), "memory");
    enum { N = 60, SIZE = 1 << 20 };
    static uint8_t sink[N][SIZE];
    hemi_ticket tickets[N];
    for (int i = 0; i < N; i++) ok(client, hemi_memory_read(memory, 0, sink[i], SIZE, &tickets[i]));
    ok(client, hemi_flush(client));
    for (int i = 0; i < 20; i++) ck_assert_int_eq(call_i32(next_of_other, 1, i), i + 1);
    for (int i = 0; i < N; i++) ok(client, hemi_wait(client, tickets[i]));
    hemi_client_free(client);
    nothing_is_left();
}
END_TEST

START_TEST(a_client_killed_in_the_middle_of_calls_leaves_nothing)
{
    for (int round = 0; round < 5; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            hemi_client *client = client_open(d.socket);
            hemi_store *store;
            hemi_ticket ticket;
            for (int i = 0; i < 3; i++) {
                hemi_object *spin = export_of(instance_from(client, TEXT, &store), "spin");
                ok(client, hemi_call(spin, NULL, 0, NULL, 0, &ticket));
            }
            ok(client, hemi_flush(client));
            kill(getpid(), SIGKILL);
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    nothing_is_left();
}
END_TEST

static hemi_client *to_interrupt;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    hemi_client_interrupt(to_interrupt);
}

START_TEST(interrupt_from_a_signal_handler_ends_the_wait)
{
    to_interrupt = client_open(d.socket);
    hemi_store *store;
    hemi_instance *instance = instance_from(to_interrupt, TEXT, &store);
    hemi_object *spin = export_of(instance, "spin"), *next = export_of(instance, "next");
    struct sigaction action = {.sa_handler = on_alarm}, old;
    ck_assert_int_eq(sigaction(SIGALRM, &action, &old), 0);
    ualarm(100000, 0);
    expect(to_interrupt, HEMI_INTERRUPTED, hemi_call(spin, NULL, 0, NULL, 0, NULL));
    sigaction(SIGALRM, &old, NULL);
    ck_assert_int_eq(call_i32(next, 1, 1), 2);
    hemi_client_free(to_interrupt);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flow");
    TCase *t = tcase_create("clients");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_client_that_sends_a_hundred_thousand_requests_before_it_looks_at_an_answer);
    tcase_add_test(t, a_client_that_never_reads_costs_a_bounded_amount);
    tcase_add_test(t, a_client_that_never_reads_large_answers_suspends_only_itself);
    tcase_add_test(t, a_client_killed_in_the_middle_of_calls_leaves_nothing);
    tcase_add_test(t, interrupt_from_a_signal_handler_ends_the_wait);
    suite_add_tcase(s, t);
    return run_suite(s);
}
