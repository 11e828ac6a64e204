/* The daemon as a service manager runs it: under the system call filter of deploy/hemid.service.in, telling when it is
 * ready, not saying so when no worker can start. */
#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/jail/seccomp.h"
#include "tests/e2e/support.h"

#define UNIT HEMI_SOURCE_DIR "/deploy/hemid.service.in"
#define TENANT_A "tenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; });\n"

static struct daemon d;

/* ---- the unit's filter */

static char *groups; /* what `systemd-analyze syscall-filter` prints: @group, then its calls and groups, indented */
static char calls[1024][48];
static size_t ncalls;

static void learn_call(const char *name)
{
    for (size_t i = 0; i < ncalls; i++)
        if (strcmp(calls[i], name) == 0) return;
    ck_assert_uint_lt(ncalls, sizeof calls / sizeof calls[0]);
    snprintf(calls[ncalls++], sizeof calls[0], "%s", name);
}

/* A call, or a group of them. */
static void learn(const char *word)
{
    char heading[64], item[64];
    if (word[0] != '@') return learn_call(word);
    snprintf(heading, sizeof heading, "\n%s\n", word);
    const char *at = strstr(groups, heading);
    ck_assert_msg(at != NULL, "this systemd has no group %s", word);
    at += strlen(heading);
    for (; *at == ' '; at = strchr(at, '\n') + 1)
        if (sscanf(at, " %63s", item) == 1 && item[0] != '#') learn(item);
}

static char *read_all(FILE *file)
{
    size_t len = 0, size = 1 << 18;
    char *text = malloc(size);
    text[len++] = '\n';
    len += fread(text + len, 1, size - len - 1, file);
    text[len] = 0;
    return text;
}

/* Reads the unit's list of calls; false where systemd cannot be asked. */
static bool learn_filter(void)
{
    char line[512];
    FILE *file = popen("systemd-analyze syscall-filter 2>/dev/null", "r");
    groups = read_all(file);
    if (pclose(file) != 0) {
        printf("SKIPPED the unit's filter: no systemd-analyze\n");
        free(groups);
        return false;
    }
    file = fopen(UNIT, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *at = line, *word;
        if (strncmp(line, "SystemCallFilter=", 17) != 0) continue;
        for (at += 17; (word = strtok(at, " \n")) != NULL; at = NULL) learn(word);
    }
    fclose(file);
    free(groups);
    ck_assert_uint_gt(ncalls, 100);
    return true;
}

static bool allows(const char *call)
{
    for (size_t i = 0; i < ncalls; i++)
        if (strcmp(calls[i], call) == 0) return true;
    return false;
}

/* What a jailed worker may call, and what its jail itself needs. */
START_TEST(the_units_filter_has_what_workers_call)
{
    static const char *const wanted[] = {
#define ROW(call, ...) #call,
        JAIL_SYSCALLS(ROW)
#undef ROW
            "seccomp",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "capget",
        "capset",
        "setgroups",
        "setresuid",
        "setresgid",
        "prctl",
        "close_range",
        "execveat",
        "prlimit64"};
    if (!learn_filter()) return;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        ck_assert_msg(allows(wanted[i]), "SystemCallFilter= lacks %s", wanted[i]);
}
END_TEST

/* As systemd does it: everything else kills. */
static void enter_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    ck_assert_ptr_nonnull(filter);
    for (size_t i = 0; i < ncalls; i++) {
        int call = seccomp_syscall_resolve_name(calls[i]);
        if (call != __NR_SCMP_ERROR) (void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    }
    ck_assert_int_eq(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static void use(const char *socket)
{
    hemi_store *store;
    hemi_client *client = client_open(socket);
    hemi_object *add =
        export_of(instance_from(client,
                                "(module (memory 1) (func (export \"add\") (param i32 i32) (result i32)\n"
                                "  (i32.add (local.get 0) (local.get 1))))",
                                &store),
                  "add");
    ck_assert_int_eq(call_i32(add, 2, 40, 2), 42);
    hemi_client_free(client);
}

/* This process, and the daemon that it starts, live under the filter from here on. */
START_TEST(the_daemon_lives_under_the_units_filter)
{
    pid_t worker;
    if (slowness() > 4) return; /* a sanitizer stops threads with ptrace, which no service has */
    if (!learn_filter()) return;
    enter_filter();
    daemon_start(&d, "log_format = \"json\";\n" TENANT_A);
    use(d.socket);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    ck_assert_int_eq(kill(worker, SIGKILL), 0);
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    for (double end = now_ms() + 20000; !daemon_logged(&d, "reloaded") && now_ms() < end;) poll(NULL, 0, 10);
    ck_assert(daemon_logged(&d, "reloaded"));
    use(d.socket);
    daemon_stop(&d);
}
END_TEST

/* ---- what it tells */

static int manager; /* the manager's socket */

static void listen_as_manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 20};
    size_t len = strlen(name);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') address.sun_path[0] = 0;
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(
        bind(manager, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
    ck_assert_int_eq(setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void expect_told(const char *what)
{
    char text[512];
    ssize_t got = recv(manager, text, sizeof text - 1, 0);
    ck_assert_msg(got > 0, "nothing is told instead of %s", what);
    text[got] = 0;
    ck_assert_msg(strncmp(text, what, strlen(what)) == 0, "\"%s\" is told, not %s", text, what);
    ck_assert_ptr_nonnull(strstr(text, "\nSTATUS="));
}

START_TEST(a_service_manager_is_told)
{
    char name[64];
    snprintf(name, sizeof name, "%s%d", _i == 0 ? "@hemi-test-" : "/tmp/hemi-test-notify-", getpid());
    listen_as_manager(name);
    daemon_start(&d, TENANT_A);
    expect_told("READY=1");
    ck_assert_int_eq(kill(d.pid, SIGHUP), 0);
    expect_told("RELOADING=1\nMONOTONIC_USEC=");
    expect_told("READY=1");
    daemon_stop(&d);
    expect_told("STOPPING=1");
    if (_i == 1) ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* ---- the trial */

static char dir[64];

/* What hemid ends with and says where `spoil` was called before its execution. */
static int start_fails(const char *config, void (*spoil)(void), char *said, size_t size)
{
    char path[128];
    int status, ends[2];
    snprintf(path, sizeof path, "%s/conf", dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, config, dir);
    fclose(file);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        spoil();
        execl(built("hemid"), "hemid", "--config", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; used < size - 1 && (got = read(ends[0], said + used, size - 1 - used)) > 0;) used += (size_t)got;
    said[used] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    snprintf(path, sizeof path, "%s/a.sock", dir);
    ck_assert_int_ne(access(path, F_OK), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void make_dir(void)
{
    strcpy(dir, "/tmp/hemi-service-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* A service manager's filter that lacks what the jail needs: Landlock that is required, or the filter itself. */
static void forbid(const char *call)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(call), 0) != 0) _exit(98);
    if (seccomp_load(filter) != 0) _exit(98);
}

static void forbid_landlock(void) { forbid("landlock_create_ruleset"); }
static void forbid_limits(void) { forbid("close_range"); }

/* Root without what it needs to change users; an ordinary user has it in no case. */
static void forbid_users(void) { (void)prctl(PR_CAPBSET_DROP, 7 /* CAP_SETUID */, 0, 0, 0); }

START_TEST(a_start_without_workers_fails_and_names_the_step)
{
    static const struct {
        const char *config, *step;
        void (*spoil)(void);
    } cases[] = {
        {"landlock = \"require\";\n" TENANT_A, "landlock FAILED", forbid_landlock},
        {TENANT_A, "close_range FAILED", forbid_limits},
        {"worker_user = \"4242\"; rights = \"require\";\n" TENANT_A, "user FAILED: wanted 4242:4242", forbid_users},
    };
    char said[16384];
    make_dir();
    ck_assert_int_eq(start_fails(cases[_i].config, cases[_i].spoil, said, sizeof said), 1);
    const char *error = strstr(said, "\"event\":\"cannot-start\"");
    ck_assert_msg(error != NULL && strstr(error, "no worker can start: its jail failed: "), "%s", said);
    ck_assert_msg(strstr(error, cases[_i].step) != NULL, "no %s in: %s", cases[_i].step, error);
    ck_assert_ptr_null(strstr(said, "\"event\":\"ready\""));
    remove_dir();
}
END_TEST

/* A worker's page is a file of 4 KiB in memory: making it raised a signal that ended the daemon. */
static void limit_files(void) { (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){2048, 2048}); }

START_TEST(a_start_with_too_small_files_fails_and_says_so)
{
    char said[16384];
    make_dir();
    ck_assert_int_eq(start_fails(TENANT_A, limit_files, said, sizeof said), 1);
    ck_assert_msg(strstr(said, "no worker can start: File too large (RLIMIT_FSIZE") != NULL, "%s", said);
    remove_dir();
}
END_TEST

/* ---- signals in the middle of a start */

/* A signal that waits when a process begins comes at the first moment at which it may: so it stands for one that is
 * sent at any moment of the start. */
static pid_t start_with_signal(int number, int *log)
{
    int ends[2];
    char path[96];
    sigset_t set;
    snprintf(path, sizeof path, "%s/a.sock", dir);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        sigemptyset(&set);
        sigaddset(&set, number);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(number);
        close(ends[0]);
        execl(built("hemid"), "hemid", "--socket", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *log = ends[0];
    return pid;
}

/* Until it has said `wanted`; NULL: all. Returns false when it ends before. */
static bool read_log(int log, char *said, size_t size, const char *wanted)
{
    size_t used = strlen(said);
    ssize_t got = 1;
    while (got > 0 && used < size - 1 && (wanted == NULL || strstr(said, wanted) == NULL)) {
        got = read(log, said + used, size - 1 - used);
        if (got > 0) said[used += (size_t)got] = 0;
    }
    return wanted == NULL || strstr(said, wanted) != NULL;
}

START_TEST(a_signal_during_the_start_is_obeyed_when_it_can_be)
{
    static const struct {
        int number;
        const char *first, *other;
    } cases[] = {{SIGTERM, "\"draining\"", "\"ready\""},
                 {SIGINT, "\"draining\"", "\"ready\""},
                 {SIGHUP, "\"reload-refused\"", "\"draining\""}};
    char said[16384] = "", path[96];
    int log, status;
    make_dir();
    pid_t pid = start_with_signal(cases[_i].number, &log);
    ck_assert_msg(read_log(log, said, sizeof said, cases[_i].first), "%s", said);
    ck_assert_msg(strstr(said, cases[_i].other) == NULL, "%s", said);
    kill(pid, SIGTERM); /* once more, or first of all */
    ck_assert(read_log(log, said, sizeof said, NULL));
    close(log);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", said);
    ck_assert_msg(strstr(said, "\"stopped\"") != NULL, "%s", said);
    snprintf(path, sizeof path, "%s/a.sock", dir);
    ck_assert_int_ne(access(path, F_OK), 0);
    remove_dir();
}
END_TEST

/* ---- users of workers */

static unsigned uid_of(pid_t pid)
{
    char path[64];
    unsigned uid = 0;
    char line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Uid: %u", &uid) == 1) break;
    fclose(file);
    return uid;
}

START_TEST(each_tenants_worker_has_a_user_of_its_own)
{
    pid_t workers[2];
    daemon_start_tenants(&d, 2, NULL);
    hemi_client *a = client_open(daemon_socket(&d, 0)), *b = client_open(daemon_socket(&d, 1));
    ck_assert_uint_eq(daemon_workers(&d, workers, 2), 2);
    char *info;
    ok(a, hemi_info(a, &info));
    if (geteuid() == 0) {
        ck_assert_uint_eq(uid_of(workers[0]), 1900000000);
        ck_assert_uint_eq(uid_of(workers[1]), 1900000001);
        ck_assert_msg(strstr(info, "\"got\":\"1900000000:1900000000\"") != NULL, "%s", info);
    } else {
        ck_assert_uint_eq(uid_of(workers[0]), geteuid());
        ck_assert_msg(strstr(info, "\"wanted\":\"the supervisor's\"") != NULL, "%s", info);
    }
    hemi_free_text(info);
    hemi_client_free(a);
    hemi_client_free(b);
    daemon_stop(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("service");
    TCase *t = tcase_create("service");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_units_filter_has_what_workers_call);
    tcase_add_test(t, the_daemon_lives_under_the_units_filter);
    tcase_add_loop_test(t, a_service_manager_is_told, 0, 2);
    tcase_add_loop_test(t, a_start_without_workers_fails_and_names_the_step, 0, 3);
    tcase_add_test(t, a_start_with_too_small_files_fails_and_says_so);
    tcase_add_loop_test(t, a_signal_during_the_start_is_obeyed_when_it_can_be, 0, 3);
    tcase_add_test(t, each_tenants_worker_has_a_user_of_its_own);
    suite_add_tcase(s, t);
    return run_suite(s);
}
