/* server/supervisor/spawn.c -- makes a worker process: fork, fixed descriptors, exec.
 * .single-thread: between fork and exec only async-signal-safe calls. */
#include "server/supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/common/heritage.h"
#include "server/jail/jail.h"

#define FD_SAFE 16 /* above every fixed descriptor */

bool child_has_path(const char *self) { return self != NULL && strchr(self, '/') != NULL; }

int child_open_exe(const char *self)
{
    int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (fd < 0 && child_has_path(self)) fd = open(self, O_PATH | O_CLOEXEC);
    return fd;
}

/* Puts a descriptor where the worker expects it. */
static bool place(int from, int to)
{
    int safe = fcntl(from, F_DUPFD_CLOEXEC, FD_SAFE);
    return safe >= 0 && dup2(safe, to) == to;
}

static bool place_all(const struct spawn *spawn, int null)
{
    /* All of them out of the way first, since a source may be where another one goes. */
    int control = fcntl(spawn->control, F_DUPFD_CLOEXEC, FD_SAFE), log = fcntl(spawn->log, F_DUPFD_CLOEXEC, FD_SAFE);
    int page = fcntl(spawn->page, F_DUPFD_CLOEXEC, FD_SAFE);
    if (control < 0 || log < 0 || page < 0) return false;
    return place(null, STDIN_FILENO) && place(null, STDOUT_FILENO) && place(log, WORKER_FD_LOG) &&
           place(control, WORKER_FD_CONTROL) && place(page, WORKER_FD_PAGE);
}

/* Says what failed, and ends; strerror is not async-signal-safe. */
static noreturn void give_up(const struct spawn *spawn, const char *what)
{
    char text[128];
    const char *why = strerrordesc_np(errno);
    size_t len = strlen(what), more = why != NULL ? strlen(why) : 0;
    memcpy(text, what, len);
    if (more > sizeof text - len) more = sizeof text - len;
    if (why != NULL) memcpy(text + len, why, more);
    page_last_words(spawn->words, text, len + more);
    _exit(WORKER_EXIT_EXEC);
}

/* The child: never returns. A session of its own, so that a terminal's signals reach the supervisor only. */
static void become_worker(const struct spawn *spawn, char *const *arguments, char *const *environment)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int exe = spawn->exe >= 0 ? fcntl(spawn->exe, F_DUPFD_CLOEXEC, FD_SAFE) : -1;
    if (setsid() < 0) give_up(spawn, "setsid: ");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(spawn, "PR_SET_PDEATHSIG: ");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) give_up(spawn, "/dev/null: ");
    if (!place_all(spawn, null)) give_up(spawn, "its descriptors: ");
    if (chdir("/") != 0) give_up(spawn, "/: ");
    syscall(SYS_close_range, (unsigned)WORKER_FD_FIRST_FREE, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    if (exe >= 0) syscall(SYS_execveat, exe, "", arguments, environment, 0x1000 /* AT_EMPTY_PATH */);
    if (child_has_path(spawn->self)) execve(spawn->self, arguments, environment);
    give_up(spawn, "its own executable: ");
}

/* Nothing of our environment goes on to a worker, except a sanitizer's options: in the jail it can neither look for
 * symbols nor stop its own threads to look for leaks. */
static void fill_environment(char *const environment[2], size_t size)
{
#ifdef JAIL_SANITIZER
    const char *inherited = getenv("ASAN_OPTIONS");
    snprintf(environment[0], size, "ASAN_OPTIONS=%s:symbolize=0:detect_leaks=0", inherited != NULL ? inherited : "");
    inherited = getenv("UBSAN_OPTIONS");
    snprintf(environment[1], size, "UBSAN_OPTIONS=%s:symbolize=0:print_stacktrace=1",
             inherited != NULL ? inherited : "");
#else
    snprintf(environment[0], size, "LC_ALL=C");
    snprintf(environment[1], size, "TZ=UTC");
#endif
}

int child_spawn(const struct spawn *spawn, pid_t *pid, int *pidfd)
{
    char name[] = "hemid", flag[] = WORKER_FLAG, tenant[64], variables[2][1024];
    char *const arguments[] = {name, flag, tenant, NULL};
    char *const environment[] = {variables[0], variables[1], NULL};
    snprintf(tenant, sizeof tenant, "%s", spawn->tenant);
    fill_environment(environment, sizeof variables[0]);
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) become_worker(spawn, arguments, environment);
    /* Not reaped yet, so the pid is still this child's. */
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    if (fd < 0) {
        int error = errno;
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
        return -error;
    }
    *pid = child;
    *pidfd = fd;
    return 0;
}
