/* tests/unit/supervisor_sweep_test.c -- the daemon without memory or descriptors: the 1st, 2nd, ... that supervisor or
 * worker asks for fails, at the start and while they serve. A start that fails says why and exits with 1 or 2; else it
 * is one connection that fails, with a status, and the next one works.
 *
 * The program is its own daemon, its own worker (--worker) and, with libhemi, its own client. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hemi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/supervisor.h"
#include "server/supervisor_boot.h"
#include "server/worker.h"
#include "tests/sweep/sweep.h"
#include "tests/unit/suite.h"

#define WAIT_MS 20000

static char directory[64];
static pid_t daemon_pid;
static const char *self;

static const char *in_directory(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *out = paths[next++ % 4];
    snprintf(out, sizeof paths[0], "%s/%s", directory, name);
    return out;
}

/* Writes DIRECTORY/NAME; '@' stands for the directory. */
static const char *write_file(const char *name, const char *text)
{
    const char *path = in_directory(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (; *text != 0; text++)
        if (*text == '@')
            fputs(directory, file);
        else
            fputc(*text, file);
    fclose(file);
    return path;
}

static const char *log_text(void)
{
    static char log[1 << 20];
    FILE *file = fopen(in_directory("log"), "r");
    if (file == NULL) return "";
    log[fread(log, 1, sizeof log - 1, file)] = 0;
    fclose(file);
    return log;
}

static bool log_has(const char *text) { return strstr(log_text(), text) != NULL; }

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- the daemon */

static const char config_text[] =
    "log_rate = 100000;\nrestart_delay = \"1ms\";\nrestart_delay_max = \"1ms\";\nlimits = { memory = \"64MiB\"; };\n"
    "socket = { path = \"@/shared\"; mode = \"0600\"; };\n"
    "tenants = ({ name = \"a\"; socket = { path = \"@/a\"; }; },\n"
    "           { name = \"b\"; uids = [ 12345 ]; },\n"
    "           { name = \"c\"; token_file = \"@/token\"; limits = { workers = 2; }; });\n";

/* The daemon is a copy of this process, so its plan is armed before it begins. */
static void spawn(long n, enum sweep_kind kind, bool stays)
{
    struct supervisor_options options = {
        .config_file = in_directory("conf"), .self = self, .private_fd = -1, .log_level = -1};
    unlink(in_directory("log"));
    fflush(NULL);
    daemon_pid = fork();
    ck_assert_int_ge(daemon_pid, 0);
    if (daemon_pid != 0) return;
    int log = open(in_directory("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    close(log);
    sweep_become_daemon();
    if (n > 0) sweep_arm(SWEEP_DAEMON, kind, n, stays);
    int status = supervisor_run(&options);
    sweep_disarm(SWEEP_DAEMON);
    exit(status);
}

/* Until it is ready (true), or has ended. */
static bool came_up(int *status)
{
    for (double end = now_ms() + WAIT_MS; now_ms() < end; poll(NULL, 0, 1)) {
        if (waitpid(daemon_pid, status, WNOHANG) == daemon_pid) return false;
        if (log_has("\"ready\"")) return true;
    }
    ck_abort_msg("neither ready nor ended:\n%s", log_text());
}

static void stop_daemon(void)
{
    int status = 0;
    kill(daemon_pid, SIGTERM);
    double end = now_ms() + WAIT_MS;
    while (waitpid(daemon_pid, &status, WNOHANG) == 0) {
        ck_assert_msg(now_ms() < end, "it does not end:\n%s", log_text());
        poll(NULL, 0, 1);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x\n%s", status, log_text());
    ck_assert_msg(!log_has("Sanitizer") && !log_has("runtime error"), "%s", log_text());
    daemon_pid = 0;
}

static hemi_status dial(hemi_client **client)
{
    struct hemi_connect_options options = {.socket = in_directory("a"), .timeout_ms = WAIT_MS};
    return hemi_connect(&options, client);
}

static void must_serve(long n)
{
    hemi_client *client;
    hemi_store *store;
    ck_assert_msg(dial(&client) == HEMI_OK, "%ld: %s\n%s", n, client ? hemi_client_error(client) : "", log_text());
    ck_assert_int_eq(hemi_store_new(client, NULL, &store, NULL), HEMI_OK);
    hemi_client_free(client);
}

static void setup(void)
{
    strcpy(directory, "/tmp/hemi-sweep-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert(sweep_share(in_directory("plans")));
    ck_assert_int_eq(chmod(write_file("token", "0123456789abcdef\n"), 0600), 0);
    write_file("conf", config_text);
}

static void teardown(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* ---- the start */

static const char *const kind_names[] = {"allocation", "descriptor"};

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
                      log_text());
    }
}
END_TEST

int main(int argc, char **argv)
{
    if (supervisor_is_worker(argc, argv)) return supervisor_boot(worker_main);
    self = argv[0];
    Suite *suite = suite_create("supervisor_sweep");
    TCase *tests = tcase_create("supervisor_sweep");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, a_start_without_it_fails_in_order, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
