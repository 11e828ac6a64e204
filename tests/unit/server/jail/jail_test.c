/* tests/unit/server/jail/jail_test.c -- what works inside the jail, and what does not.
 *
 * Each test forks a child that jails itself: the filter could not be taken off again. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "server/jail/attack.h"
#include "server/jail/jail.h"
#include "server/jail/seccomp.h"
#include "tests/unit/suite.h"

#define MEMORY (64ull << 20)

static struct jail_report report;

/* Output goes into a pipe, as a worker's does: here it may be a file, which RLIMIT_FSIZE forbids to write. */
static int enter(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0 || dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0) return -1;
    struct jail_policy policy = {.memory = MEMORY, .files = 64, .keep_fds = 64};
    jail_probe(&report);
    return jail_enter(&policy, &report);
}

/* Runs `body` in a jailed child; returns its wait status. */
static int jailed(int (*body)(void))
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (enter() != 0) _exit(99);
        _exit(body());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

#define ASSERT_EXIT(status, code)                                                                                      \
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == (code), "wait status %#x, signal %d", status,            \
                  WIFSIGNALED(status) ? WTERMSIG(status) : 0)
#define ASSERT_SIGNAL(status, number)                                                                                  \
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == (number), "wait status %#x", status)

static int body_report(void)
{
    for (uint32_t i = 0; i < report.nsteps; i++) {
        char line[256];
        jail_step_line(&report, i, line, sizeof line);
        if (strstr(line, "wanted ") == NULL) return 4;
        if (report.steps[i].required && report.steps[i].error != 0) return 1;
        if (report.steps[i].got[0] == 0) return 2;
    }
    return report.nsteps >= 10 && report.nfeatures >= 8 ? 0 : 3;
}

START_TEST(every_step_is_reported) { ASSERT_EXIT(jailed(body_report), 0); }
END_TEST

static int body_memory(void)
{
    size_t window = 8ull << 30;
    char *at = mmap(NULL, window, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return 1;
    if (mprotect(at + 65536, 1 << 20, PROT_READ | PROT_WRITE) != 0) return 2;
    memset(at + 65536, 1, 1 << 20);
    if (madvise(at + 65536, 1 << 20, MADV_DONTNEED) != 0 || at[65536] != 0) return 3;
    if (munmap(at, window) != 0) return 4;
    /* The sanitizers' own allowance is on top of MEMORY, so ask for more than both. */
    at = mmap(NULL, MEMORY + (5ull << 30), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at != MAP_FAILED || errno != ENOMEM) return 5;
    char *block = malloc(1 << 20);
    for (size_t size = 2 << 20; size <= 16 << 20; size *= 2) {
        block = realloc(block, size);
        if (block == NULL) return 6;
        memset(block, 2, size);
    }
    free(block);
    return 0;
}

START_TEST(memory_works_up_to_its_limit) { ASSERT_EXIT(jailed(body_memory), 0); }
END_TEST

static int fired;

static void on_timer(uv_timer_t *timer)
{
    fired |= 1;
    uv_close((uv_handle_t *)timer, NULL);
}

static void on_async(uv_async_t *async)
{
    fired |= 2;
    uv_close((uv_handle_t *)async, NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    if (status == 0 && (events & UV_READABLE) != 0) fired |= 4;
    uv_close((uv_handle_t *)poll, NULL);
}

/* A worker's loop as it will be: made after the jail, with a timer, a wake-up and a socket. */
static int loop_with(int fd)
{
    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t async;
    uv_poll_t poll;
    if (uv_loop_init(&loop) != 0) return 1;
    if (uv_timer_init(&loop, &timer) != 0 || uv_timer_start(&timer, on_timer, 5, 0) != 0) return 2;
    if (uv_async_init(&loop, &async, on_async) != 0 || uv_async_send(&async) != 0) return 3;
    if (uv_poll_init(&loop, &poll, fd) != 0 || uv_poll_start(&poll, UV_READABLE, on_readable) != 0) return 4;
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 && fired == 7 ? 0 : 5;
}

START_TEST(a_loop_turns)
{
    int pair[2], status;
    pid_t child = fork();
    if (child == 0) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || write(pair[1], "x", 1) != 1) _exit(98);
        _exit(enter() != 0 ? 99 : loop_with(pair[0]));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ASSERT_EXIT(status, 0);
}
END_TEST

static int body_abort(void) { abort(); }

START_TEST(abort_is_abort) { ASSERT_SIGNAL(jailed(body_abort), SIGABRT); }
END_TEST

static int body_stdio(void)
{
    fprintf(stdout, "stdio inside the jail\n");
    fflush(stdout);
    return 0;
}

START_TEST(stdio_works) { ASSERT_EXIT(jailed(body_stdio), 0); }
END_TEST

static int body_unknown(void) { return syscall(SYS_lookup_dcookie, 0, NULL, 0) < 0 && errno == ENOSYS ? 0 : 1; }

START_TEST(unknown_calls)
{
    int status = jailed(body_unknown);
    if (strcmp(jail_seccomp_unknown(), "kill") == 0)
        ASSERT_SIGNAL(status, SIGSYS);
    else
        ASSERT_EXIT(status, 0);
}
END_TEST

static int body_open(void) { return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY); }

START_TEST(opening_kills)
{
    int status = jailed(body_open);
#ifdef JAIL_SANITIZER
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 255, "it is refused: %#x", status);
#else
    ASSERT_SIGNAL(status, SIGSYS);
#endif
}
END_TEST

static int body_exec_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

START_TEST(executable_memory_kills_in_every_build) { ASSERT_SIGNAL(jailed(body_exec_memory), SIGSYS); }
END_TEST

static int body_kill_parent(void) { return (int)syscall(SYS_tgkill, getppid(), getppid(), 0) == 0; }

START_TEST(signals_to_others_kill_in_every_build) { ASSERT_SIGNAL(jailed(body_kill_parent), SIGSYS); }
END_TEST

/* ---- rights */

#define OWN_UID 1900001234u

static struct jail_policy own_policy(void)
{
    return (struct jail_policy){.memory = MEMORY,
                                .files = 64,
                                .keep_fds = 64,
                                .own_user = true,
                                .uid = OWN_UID,
                                .gid = OWN_UID + 1,
                                .supervisor = getppid()};
}

/* Jails itself, says so, and holds still until `hold` closes. */
static void jail_and_hold(const struct jail_policy *policy, int ready, int hold)
{
    struct pollfd end = {.fd = hold, .events = POLLIN};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    jail_probe(&report);
    if (jail_enter(policy, &report) != 0 || write(ready, "r", 1) != 1) _exit(99);
    poll(&end, 1, -1);
    _exit(0);
}

/* The line of /proc/PID/status with this key, without it; "" if there is none. */
static const char *status_of(pid_t pid, const char *key)
{
    static char line[4][256];
    static unsigned next;
    char path[64], *out = line[next++ % 4];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    bool found = false;
    while (!found && fgets(out, sizeof line[0], file) != NULL) found = strncmp(out, key, strlen(key)) == 0;
    fclose(file);
    out[strcspn(out, "\n")] = 0;
    return found ? out + strlen(key) : "";
}

static void assert_no_capability(pid_t pid, const char *key)
{
    ck_assert_msg(strtoull(status_of(pid, key), NULL, 16) == 0, "%s%s", key, status_of(pid, key));
}

START_TEST(a_jailed_process_of_root_has_a_user_and_nothing_else)
{
    int ready[2], hold[2], status;
    char byte, wanted[64];
    gid_t groups[] = {4, 5};
    if (!jail_may_change_user()) return;
    ck_assert(pipe(ready) == 0 && pipe(hold) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct jail_policy policy = own_policy();
        if (setgroups(2, groups) != 0) _exit(98);
        close(hold[1]);
        jail_and_hold(&policy, ready[1], hold[0]);
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    snprintf(wanted, sizeof wanted, "\t%u\t%u\t%u\t%u", OWN_UID, OWN_UID, OWN_UID, OWN_UID);
    ck_assert_str_eq(status_of(child, "Uid:"), wanted);
    snprintf(wanted, sizeof wanted, "\t%u\t%u\t%u\t%u", OWN_UID + 1, OWN_UID + 1, OWN_UID + 1, OWN_UID + 1);
    ck_assert_str_eq(status_of(child, "Gid:"), wanted);
    ck_assert_uint_eq(strspn(status_of(child, "Groups:"), "\t "), strlen(status_of(child, "Groups:")));
    static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
    for (size_t i = 0; i < 5; i++) assert_no_capability(child, sets[i]);
    close(hold[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* .die-together: changing the user clears PDEATHSIG. The pipe to `alive` ends when all who hold it are gone. */
START_TEST(a_process_with_a_user_of_its_own_dies_with_its_parent)
{
    int ready[2], hold[2], alive[2], status;
    char byte;
    if (!jail_may_change_user()) return;
    ck_assert(pipe(ready) == 0 && pipe(hold) == 0 && pipe(alive) == 0);
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            struct jail_policy policy = own_policy();
            close(hold[1]);
            jail_and_hold(&policy, ready[1], hold[0]);
        }
        close(hold[0]);
        if (read(ready[0], &byte, 1) != 1) _exit(1);
        _exit(0);
    }
    close(ready[1]);
    close(alive[1]);
    ck_assert_int_eq(waitpid(middle, &status, 0), middle);
    ck_assert_int_eq(status, 0);
    struct pollfd end = {.fd = alive[0], .events = POLLIN};
    ck_assert_int_eq(poll(&end, 1, 10000), 1);
    ck_assert_int_eq(read(alive[0], &byte, 1), 0);
    close(hold[1]);
}
END_TEST

/* .die-together: it died before that was armed. */
START_TEST(a_process_whose_supervisor_has_died_does_not_begin)
{
    int status;
    if (!jail_may_change_user()) return;
    pid_t child = fork();
    if (child == 0) {
        struct jail_policy policy = own_policy();
        policy.supervisor = getpid();
        jail_probe(&report);
        _exit(jail_enter(&policy, &report) != 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

static const struct jail_step *step_of(const char *name)
{
    for (uint32_t i = 0; i < report.nsteps; i++)
        if (strcmp(report.steps[i].name, name) == 0) return &report.steps[i];
    return NULL;
}

/* Root without the capabilities for it, as in a container, or an ordinary user. Returns what went wrong, or 0. */
static int enter_unprivileged(bool need)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    struct jail_policy policy = own_policy();
    policy.need_rights = need;
    if (syscall(SYS_capset, &header, none) != 0) return 1;
    int status = jail_enter(&policy, &report);
    const struct jail_step *user = step_of("user"), *capabilities = step_of("capabilities");
    if (need) return status == -EPERM && (user == NULL || user->required) ? 0 : 2;
    if (status != 0 || user->error != EPERM || user->required || strstr(user->got, "not permitted") == NULL) return 3;
    return capabilities->error == 0 && strcmp(capabilities->got, "none") == 0 ? 0 : 4;
}

START_TEST(who_may_not_change_the_user_says_so_or_refuses)
{
    int status;
    pid_t child = fork();
    if (child == 0) _exit(enter_unprivileged(_i == 1));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ASSERT_EXIT(status, 0);
}
END_TEST

#ifdef JAIL_SANITIZER
static int body_overflow(void)
{
    char *volatile block = malloc(8);
    block[8] = 1;
    return 0;
}

/* A sanitizer's report must come out of the jail: its exit status, not SIGSYS. */
START_TEST(a_sanitizer_reports)
{
    int status = jailed(body_overflow);
    ck_assert_msg((WIFEXITED(status) && WEXITSTATUS(status) == 1) ||
                      (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT),
                  "wait status %#x", status);
}
END_TEST
#endif

#ifdef HEMI_JAIL_TEST
/* A sibling: jailed too, holds still until its pipe closes. */
static pid_t start_sibling(int hold[2], int ready[2])
{
    pid_t sibling = fork();
    ck_assert_int_ge(sibling, 0);
    if (sibling != 0) return sibling;
    close(hold[1]);
    struct pollfd end = {.fd = hold[0], .events = POLLIN};
    if (enter() != 0 || write(ready[1], "r", 1) != 1) _exit(99);
    poll(&end, 1, -1);
    _exit(0);
}

static int attack_in_jail(const struct attack *attack, pid_t target)
{
    int status;
    pid_t attacker = fork();
    ck_assert_int_ge(attacker, 0);
    if (attacker == 0) {
        attack_prepare();
        if (enter() != 0) _exit(99);
        _exit(attack->run(target) == ATTACK_SUCCEEDED ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(attacker, &status, 0), attacker);
    return status;
}

START_TEST(an_attack_is_denied)
{
    size_t count;
    const struct attack *attack = &attack_table(&count)[_i];
    int hold[2], ready[2], status;
    char byte;
    ck_assert(pipe(hold) == 0 && pipe(ready) == 0);
    pid_t sibling = start_sibling(hold, ready);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    int outcome = attack_in_jail(attack, sibling);
    close(hold[1]);
    ck_assert_int_eq(waitpid(sibling, &status, 0), sibling);
    ck_assert_msg(status == 0, "%s reached the sibling: %#x", attack->name, status);
    if (attack->expected == ATTACK_KILLED)
        ck_assert_msg(WIFSIGNALED(outcome) && WTERMSIG(outcome) == SIGSYS, "%s: %#x", attack->name, outcome);
    else
        ck_assert_msg(WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0, "%s: %#x", attack->name, outcome);
}
END_TEST

/* Without the jail the attacks that need no privilege work: so it is the jail that denies them. */
START_TEST(outside_the_jail_attacks_work)
{
    static const char *const names[] = {"openat",        "socket", "socket-unix", "mmap-exec",
                                        "mprotect-exec", "fork",   "pidfd-open",  "memfd-private-exec"};
    attack_prepare();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(attack_find(names[i])->run(getppid()) == ATTACK_SUCCEEDED, "%s", names[i]);
}
END_TEST

static void add_attacks(TCase *tests)
{
    size_t count;
    attack_table(&count);
    tcase_add_loop_test(tests, an_attack_is_denied, 0, (int)count);
    tcase_add_test(tests, outside_the_jail_attacks_work);
}
#else
static void add_attacks(TCase *tests) { (void)tests; }
#endif

int main(void)
{
    Suite *suite = suite_create("jail");
    TCase *tests = tcase_create("jail");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_step_is_reported);
    tcase_add_test(tests, memory_works_up_to_its_limit);
    tcase_add_test(tests, a_loop_turns);
    tcase_add_test(tests, abort_is_abort);
    tcase_add_test(tests, stdio_works);
    tcase_add_test(tests, unknown_calls);
    tcase_add_test(tests, opening_kills);
    tcase_add_test(tests, executable_memory_kills_in_every_build);
    tcase_add_test(tests, signals_to_others_kill_in_every_build);
    tcase_add_test(tests, a_jailed_process_of_root_has_a_user_and_nothing_else);
    tcase_add_test(tests, a_process_with_a_user_of_its_own_dies_with_its_parent);
    tcase_add_test(tests, a_process_whose_supervisor_has_died_does_not_begin);
    tcase_add_loop_test(tests, who_may_not_change_the_user_says_so_or_refuses, 0, 2);
#ifdef JAIL_SANITIZER
    tcase_add_test(tests, a_sanitizer_reports);
#endif
    add_attacks(tests);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
