/* What breaks off a program of ours, and the writes it waits in: ^C, and the end of its time. */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "client/tool/tool.h"

static hemi_client *volatile interrupted_client; /* a signal handler can reach nothing else */
static volatile sig_atomic_t came, late;

static void on_sigint(int signal)
{
    (void)signal;
    hemi_client *client = interrupted_client;
    came = 1;
    if (client) hemi_client_interrupt(client);
}

void interrupts_catch(hemi_client *client)
{
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = (int)SA_RESETHAND}, before;
    interrupted_client = client;
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(SIGINT, &action, NULL);
}

void interrupts_release(void) { interrupted_client = NULL; }

bool interrupted(void) { return came; }

static void on_alarm(int signal)
{
    (void)signal;
    late = 1;
}

/* Again and again: the first may come just before the write that it is to break off. */
void clock_start(uint64_t ms)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval timer = {.it_value = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)},
                                    .it_interval = {.tv_usec = 50000}};
    if (ms > 0 && sigaction(SIGALRM, &action, NULL) == 0) setitimer(ITIMER_REAL, &timer, NULL);
}

void clock_stop(void)
{
    const struct itimerval none = {0};
    setitimer(ITIMER_REAL, &none, NULL);
    late = 0;
}

bool is_late(void) { return late; }

bool must_not_wait(void) { return came || late; }

void die_of_interrupt(void)
{
    sigset_t only;
    signal(SIGINT, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, SIGINT);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(SIGINT);
    abort(); /* not reached: it was unblocked, with its default */
}
