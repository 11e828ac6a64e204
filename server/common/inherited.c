/* server/common/inherited.c -- signals, timers and the umask of whoever started the process. */
#include "server/common/inherited.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/time.h>

/* What a shell lets its jobs in the background ignore is the terminal's, and stays so. */
static bool is_of_terminal(int number)
{
    return number == SIGQUIT || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

/* Only SIG_IGN outlives an exec; a handler is this process's own (a sanitizer's). Where SIGCHLD is ignored the kernel
 * reaps children itself, and a worker's end is never seen. */
static void stop_ignoring(void)
{
    struct sigaction action;
    for (int number = 1; number < NSIG; number++) {
        if (is_of_terminal(number) || sigaction(number, NULL, &action) != 0) continue;
        if (action.sa_handler == SIG_IGN) signal(number, SIG_DFL);
    }
}

static void stop_timers(void)
{
    static const int timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
        (void)setitimer((__itimer_which_t)timers[i], &(struct itimerval){{0, 0}, {0, 0}}, NULL);
}

static sigset_t held(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

void inherited_hold(void)
{
    sigset_t set = held();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void inherited_release(void)
{
    sigset_t set = held();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool inherited_told_to_stop(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGINT) == 1 || sigismember(&set, SIGTERM) == 1);
}

void inherited_reset(void)
{
    sigset_t only = held();
    inherited_hold();
    stop_timers();
    stop_ignoring();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* the log may be a file that has reached RLIMIT_FSIZE */
    sigprocmask(SIG_SETMASK, &only, NULL);
    umask(S_IWGRP | S_IWOTH);
}
