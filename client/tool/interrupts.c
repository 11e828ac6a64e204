/* ^C. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/tool/tool.h"

static hemi_client *volatile interrupted_client; /* a signal handler can reach nothing else */
static volatile sig_atomic_t came;

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
