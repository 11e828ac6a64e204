/* tests/unit/sweep_rig.h -- a daemon for the tests of tests/sweep: the program is its own daemon, its own worker
 * (--worker) and, with libhemi, its own client. */
#ifndef HEMI_TESTS_UNIT_SWEEP_RIG_H
#define HEMI_TESTS_UNIT_SWEEP_RIG_H

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

#include "server/supervisor/supervisor.h"
#include "server/worker/boot.h"
#include "server/worker/worker.h"
#include "tests/sweep/sweep.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#define WAIT_MS 20000

static pid_t daemon_pid;
static bool workers_crash; /* in libseccomp, or in a sanitizer's own start: of which there are reports in the log */
static const char *self;

/* What a failed test shows of it. */
static inline const char *log_end(void)
{
    const char *text = log_text();
    size_t len = strlen(text);
    return len > 2000 ? text + len - 2000 : text;
}

static inline bool log_has(const char *text) { return strstr(log_text(), text) != NULL; }

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- the daemon */

static const char config_text[] =
    "log_rate = 100000;\nrestart_delay = \"1ms\";\nrestart_delay_max = \"1ms\";\nstart_timeout = "
    "\"1s\";\nhandover_tries = 100;\nlimits = { memory = \"64MiB\"; };\n"
    "socket = { path = \"@/shared\"; mode = \"0600\"; };\n"
    "tenants = ({ name = \"a\"; socket = { path = \"@/a\"; }; },\n"
    "           { name = \"b\"; uids = [ 12345 ]; },\n"
    "           { name = \"c\"; token_file = \"@/token\"; limits = { workers = 2; }; });\n";

/* The daemon is a copy of this process, so its plan is armed before it begins. */
static inline void spawn(long n, enum sweep_kind kind, bool stays)
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
static inline bool came_up(int *status)
{
    for (double end = now_ms() + WAIT_MS; now_ms() < end; poll(NULL, 0, 1)) {
        if (waitpid(daemon_pid, status, WNOHANG) == daemon_pid) return false;
        if (log_has("\"ready\"")) return true;
    }
    ck_abort_msg("neither ready nor ended:\n%s", log_end());
}

static inline void stop_daemon(void)
{
    int status = 0;
    kill(daemon_pid, SIGTERM);
    double end = now_ms() + WAIT_MS;
    while (waitpid(daemon_pid, &status, WNOHANG) == 0) {
        ck_assert_msg(now_ms() < end, "it does not end:\n%s", log_end());
        poll(NULL, 0, 1);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x\n%s", status, log_end());
    ck_assert_msg(workers_crash || !log_has("Sanitizer"), "%s", log_end());
    ck_assert_msg(!log_has("LeakSanitizer") && !log_has("runtime error"), "%s", log_end());
    daemon_pid = 0;
}

static inline hemi_status dial(hemi_client **client)
{
    struct hemi_connect_options options = {.socket = in_directory("a"), .timeout_ms = WAIT_MS};
    return hemi_connect(&options, client);
}

/* Who comes while the tenant rests after failed starts is told so, and comes again. */
static inline void must_serve(long n)
{
    hemi_client *client;
    hemi_store *store;
    hemi_status status;
    for (double end = now_ms() + WAIT_MS; (status = dial(&client)) == HEMI_WORKER_LOST && now_ms() < end;) {
        hemi_client_free(client);
        poll(NULL, 0, 1);
    }
    ck_assert_msg(status == HEMI_OK, "%ld: %s\n%s", n, client ? hemi_client_error(client) : "", log_end());
    ck_assert_int_eq(hemi_store_new(client, NULL, &store, NULL), HEMI_OK);
    hemi_client_free(client);
}

static inline void setup(void)
{
    strcpy(directory, "/tmp/hemi-sweep-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert(sweep_share(in_directory("plans")));
    ck_assert_int_eq(chmod(write_file("token", "0123456789abcdef\n"), 0600), 0);
    write_file("conf", config_text);
}

static inline void teardown(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *const kind_names[] = {"allocation", "descriptor"};

static inline unsigned count_fds(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (dir == NULL && errno == EACCES) return 0; /* of a worker only root may know */
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

static inline void wait_for_fds(pid_t pid, unsigned wanted)
{
    for (double end = now_ms() + WAIT_MS; count_fds(pid) > wanted; poll(NULL, 0, 1))
        ck_assert_msg(now_ms() < end, "%u descriptors, not %u", count_fds(pid), wanted);
}

/* A worker of the daemon; 0: there is none. */
static inline pid_t a_worker(void)
{
    char path[96];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", daemon_pid, daemon_pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    if (fscanf(file, "%d", &pid) != 1) pid = 0;
    fclose(file);
    return pid;
}

static inline void no_worker(void)
{
    pid_t pid;
    for (double end = now_ms() + WAIT_MS; (pid = a_worker()) != 0; poll(NULL, 0, 1)) {
        kill(pid, SIGKILL);
        ck_assert_double_lt(now_ms(), end);
    }
}

static inline void must_live(long n)
{
    int status;
    ck_assert_msg(waitpid(daemon_pid, &status, WNOHANG) == 0, "%ld: it ended with %x\n%s", n, status, log_end());
}

static inline void start_daemon(void)
{
    int status;
    spawn(0, SWEEP_MEMORY, false);
    ck_assert(came_up(&status));
}

/* What the worker's budget has when nobody else is there; something may still be buried. */
static inline long memory_alone(void)
{
    hemi_client *client;
    char *json;
    long bytes = -1;
    for (double end = now_ms() + WAIT_MS; now_ms() < end && bytes < 0; poll(NULL, 0, 1)) {
        ck_assert_int_eq(dial(&client), HEMI_OK);
        ck_assert_int_eq(hemi_info(client, &json), HEMI_OK);
        const char *connections = strstr(json, "\"connections\":"), *memory = strstr(json, "\"memory_bytes\":");
        ck_assert(connections && memory);
        if (strtol(connections + 14, NULL, 10) == 1) bytes = strtol(memory + 15, NULL, 10);
        hemi_free_text(json);
        hemi_client_free(client);
    }
    return bytes;
}

/* The same when nothing is buried any more: the grave is emptied turn by turn without a pause, so what stays as it is
 * for a while stays. */
static inline long memory_at_rest(void)
{
    enum { LOOKS = 10, BETWEEN_MS = 20 };
    long bytes = memory_alone(), now;
    double end = now_ms() + WAIT_MS;
    for (int same = 0; same < LOOKS; same = now == bytes ? same + 1 : 0, bytes = now) {
        ck_assert_msg(now_ms() < end, "it does not come to rest: %ld bytes", bytes);
        poll(NULL, 0, BETWEEN_MS);
        now = memory_alone();
    }
    return bytes;
}

/* What is closed may be given back in pieces. */
static inline void wait_for_memory(long wanted)
{
    long bytes;
    for (double end = now_ms() + WAIT_MS; (bytes = memory_alone()) != wanted; poll(NULL, 0, 1))
        ck_assert_msg(now_ms() < end, "%ld bytes, not %ld", bytes, wanted);
}

/* main() of such a program. */
static inline int sweep_main(int argc, char **argv, const char *name, void (*add)(TCase *tests))
{
    if (boot_is_worker(argc, argv)) return boot_worker(worker_main);
    self = argv[0];
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 600);
    add(tests);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}

#endif
