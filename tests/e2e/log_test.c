/* The log under bad readers, full disks and floods: the daemon goes on, lines are whole, every lost one is counted. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/e2e/support.h"

#define TENANTS                                                                                                        \
    "tenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; },\n"                                              \
    "  { name = \"b\"; socket = { path = \"%s/b.sock\"; }; });\n"
#define REFUSED "\"event\":\"client-refused\",\"tenant\":\"a\""
#define REFUSED_B "\"event\":\"client-refused\",\"tenant\":\"b\""
#define DROPPED "\"event\":\"log-dropped\",\"tenant\":\"a\",\"message\":\""
#define PIPE_BYTES 4096

static struct daemon d;

/* A peer that is refused, which is one line in the log; it has seen the connection's end. */
static void misbehave(unsigned tenant)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char bytes[256];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", daemon_socket(&d, tenant));
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, "GET / HTTP/1.1\r\nHost: hemi\r\n\r\n     ", 36, MSG_NOSIGNAL), 36);
    while (recv(fd, bytes, sizeof bytes, 0) > 0) continue;
    close(fd);
}

static void misbehave_often(unsigned tenant, unsigned times)
{
    for (unsigned i = 0; i < times; i++) misbehave(tenant);
}

static void serves(unsigned tenant)
{
    hemi_client *client = client_open(daemon_socket(&d, tenant));
    ok(client, hemi_ping(client, NULL));
    hemi_client_free(client);
}

/* ---- what was logged */

static char *text;
static size_t text_len, text_size;

static void append(const char *bytes, size_t len)
{
    if (text_len + len + 1 > text_size) {
        text_size = (text_len + len + 1) * 2;
        char *larger = realloc(text, text_size);
        ck_assert_ptr_nonnull(larger);
        text = larger;
    }
    memcpy(text + text_len, bytes, len);
    text[text_len += len] = 0;
}

/* Reads what is there, until nothing comes for `ms`. */
static void read_for(int fd, int ms)
{
    char bytes[65536];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    while (poll(&readable, 1, ms) > 0) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0) return;
        append(bytes, (size_t)got);
    }
}

/* How many lines of tenant a were logged or told to be lost. Only a line that was torn, at most one, is not an object.
 */
static unsigned accounted(unsigned torn_max)
{
    unsigned sum = 0, torn = 0;
    for (char *line = text, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        const char *dropped = strstr(line, DROPPED);
        ck_assert_msg(strstr(line + 1, "{\"time\"") == NULL, "two lines in one: %s", line);
        if (line[0] != '{' || end[-1] != '}')
            torn++;
        else if (strstr(line, REFUSED))
            sum++;
        else if (dropped)
            sum += (unsigned)strtoul(dropped + strlen(DROPPED), NULL, 10);
        *end = '\n';
    }
    ck_assert_msg(torn <= torn_max, "%u torn lines in:\n%s", torn, text);
    return sum;
}

static void setup(void) { text_len = 0; }
static void teardown(void)
{
    free(text);
    text = NULL;
    text_size = 0;
}

/* Starts the daemon with a pipe of PIPE_BYTES as its log. Returns our end. */
static int start_with_pipe(const char *config, int flags)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, flags), 0);
    daemon_start_logging(&d, config, ends[1]);
    return ends[0];
}

/* ---- tests */

/* The log's reader sleeps: everybody is served, SIGTERM ends the daemon, and what it wrote are whole lines. */
START_TEST(a_reader_that_stalls_stops_nobody)
{
    int log = start_with_pipe("log_rate = 100000;\n" TENANTS, 0);
    misbehave_often(0, 400);
    serves(1);
    serves(0);
    daemon_stop(&d);
    read_for(log, 1000);
    ck_assert_uint_gt(accounted(0), 0);
    close(log);
}
END_TEST

/* The reader comes back: the sum of lines and of those told to be lost is what happened; another tenant's line, which
 * came when the queue was full, is there. O_NONBLOCK, which somebody else may have set, changes nothing. */
START_TEST(lines_that_a_reader_missed_are_counted)
{
    const unsigned count = 4000;
    int log = start_with_pipe("log_rate = 100000;\n" TENANTS, _i == 0 ? 0 : O_NONBLOCK);
    misbehave_often(0, count);
    misbehave(1);
    for (double end = now_ms() + 20000; accounted(0) < count && now_ms() < end;) read_for(log, 100);
    ck_assert_uint_eq(accounted(0), count);
    ck_assert_ptr_nonnull(strstr(text, DROPPED));
    ck_assert_ptr_nonnull(strstr(text, REFUSED_B));
    ck_assert_ptr_null(strstr(text, "\"event\":\"log-dropped\",\"tenant\":\"b\""));
    daemon_stop(&d);
    close(log);
}
END_TEST

/* The descriptor is shared with whoever started the daemon: its flags stay as they are. */
START_TEST(an_inherited_descriptor_stays_blocking)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    int mine = fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
    daemon_start_logging(&d, TENANTS, ends[1]);
    serves(0);
    ck_assert_int_eq(fcntl(mine, F_GETFL) & O_NONBLOCK, 0);
    daemon_stop(&d);
    close(mine);
    close(ends[0]);
}
END_TEST

static void read_file_again(void)
{
    int fd = open(d.log, O_RDONLY | O_CLOEXEC);
    text_len = 0;
    append("", 0);
    read_for(fd, 0);
    close(fd);
}

/* The disk is full in the middle of a line, and later is not: the torn line is ended, what is lost is told. */
START_TEST(a_torn_line_is_ended_before_the_next)
{
    struct stat st;
    struct rlimit full, before;
    const unsigned count = 50;
    daemon_start(&d, "log_rate = 100000; log_format = \"json\";\n" TENANTS);
    serves(1);
    ck_assert_int_eq(prlimit(d.pid, RLIMIT_FSIZE, NULL, &before), 0);
    ck_assert_int_eq(stat(d.log, &st), 0);
    full = (struct rlimit){(rlim_t)st.st_size + 1000, before.rlim_max};
    ck_assert_int_eq(prlimit(d.pid, RLIMIT_FSIZE, &full, NULL), 0);
    misbehave_often(0, count);
    while (stat(d.log, &st) == 0 && (rlim_t)st.st_size < full.rlim_cur) poll(NULL, 0, 1);
    misbehave(0);
    serves(1);
    ck_assert_int_eq(prlimit(d.pid, RLIMIT_FSIZE, &before, NULL), 0);
    for (double end = now_ms() + 20000; now_ms() < end; poll(NULL, 0, 20)) {
        read_file_again();
        if (accounted(1) == count + 1) break;
    }
    ck_assert_uint_eq(accounted(1), count + 1);
    daemon_stop(&d);
}
END_TEST

/* A full disk; a reader that has gone. */
START_TEST(a_log_that_takes_nothing_stops_nobody)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    if (_i == 0) ck_assert_int_eq(dup3(open("/dev/full", O_WRONLY | O_CLOEXEC), ends[1], O_CLOEXEC), ends[1]);
    daemon_start_logging(&d, TENANTS, ends[1]);
    misbehave_often(0, 50);
    serves(0);
    daemon_stop(&d);
}
END_TEST

/* RLIMIT_FSIZE: a write to a file that has reached it raises a signal that ends who does not ignore it. */
START_TEST(a_log_file_at_its_limit_stops_nobody)
{
    struct rlimit limit, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = (struct rlimit){.rlim_cur = 8192, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    daemon_start(&d, "log_rate = 100000; log_format = \"json\";\n" TENANTS);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    misbehave_often(0, 100);
    serves(0);
    daemon_stop(&d);
}
END_TEST

/* All that is shared is used up by one tenant's peers: another tenant's lines are written all the same. */
START_TEST(one_tenants_flood_leaves_others_their_lines)
{
    const unsigned count = 500;
    daemon_start(&d, "log_rate = 20; log_format = \"json\";\n" TENANTS);
    misbehave_often(0, count);
    misbehave(1);
    for (double end = now_ms() + 20000; now_ms() < end; poll(NULL, 0, 20)) {
        read_file_again();
        if (accounted(0) == count && strstr(text, REFUSED_B)) break;
    }
    ck_assert_uint_eq(accounted(0), count);
    ck_assert_ptr_nonnull(strstr(text, REFUSED_B));
    ck_assert_ptr_nonnull(strstr(text, DROPPED));
    daemon_stop(&d);
}
END_TEST

/* A lost worker is an error, said even when its tenant's peers have used up their rate. */
START_TEST(a_lost_worker_is_an_error_in_the_log)
{
    pid_t worker;
    daemon_start(&d, "log_rate = 1; log_format = \"json\";\n" TENANTS);
    hemi_client *client = client_open(daemon_socket(&d, 0));
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    misbehave_often(0, 50);
    ck_assert_int_eq(kill(worker, SIGKILL), 0);
    hemi_client_free(client);
    for (double end = now_ms() + 20000; now_ms() < end; poll(NULL, 0, 10))
        if (daemon_logged(&d, "\"level\":\"error\",\"event\":\"worker-lost\",\"tenant\":\"a\"")) break;
    ck_assert(daemon_logged(&d, "\"level\":\"error\",\"event\":\"worker-lost\",\"tenant\":\"a\""));
    daemon_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_reader_that_stalls_stops_nobody);
    tcase_add_loop_test(t, lines_that_a_reader_missed_are_counted, 0, 2);
    tcase_add_test(t, an_inherited_descriptor_stays_blocking);
    tcase_add_test(t, a_torn_line_is_ended_before_the_next);
    tcase_add_loop_test(t, a_log_that_takes_nothing_stops_nobody, 0, 2);
    tcase_add_test(t, a_log_file_at_its_limit_stops_nobody);
    tcase_add_test(t, one_tenants_flood_leaves_others_their_lines);
    tcase_add_test(t, a_lost_worker_is_an_error_in_the_log);
    suite_add_tcase(s, t);
    return run_suite(s);
}
