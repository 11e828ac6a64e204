/* runtime/engine/faults.c -- SIGSEGV on x86-64 Linux. The handler touches nothing but its arguments, the table in
 * read-only data and one thread-local word. */
#include "runtime/engine/faults.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

/* What access.h leaves for each access: distances from the fields themselves. */
struct fault_row {
    int32_t insn, trap;
};
#define HIDDEN __attribute__((weak, visibility("hidden"))) /* a program without the interpreter has no rows */
extern const struct fault_row __start_hemi_faults[] HIDDEN, __stop_hemi_faults[] HIDDEN;

enum { STACK_BYTES = 64 * 1024 }; /* room for a report of whoever handles foreign faults */
#define INITIAL_EXEC __attribute__((tls_model("initial-exec")))

static struct sigaction previous;
static bool installed;
static _Thread_local INITIAL_EXEC const volatile void *fault_address;

static uintptr_t resolve(const int32_t *field) { return (uintptr_t)field + (uintptr_t)(intptr_t)*field; }

/* Where to go on after a fault of this instruction; 0: it is none of ours. Some hundred rows, read once per trap. */
static uintptr_t trap_of(uintptr_t insn)
{
    for (const struct fault_row *row = __start_hemi_faults; row < __stop_hemi_faults; row++)
        if (resolve(&row->insn) == insn) return resolve(&row->trap);
    return 0;
}

/* The default action ends the process, with the signal that it should end with. */
static void take_default(int sig, const siginfo_t *info)
{
    const struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(sig, &none, NULL);
    if (info->si_code <= 0) raise(sig); /* else the instruction is run, and faults, again */
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(sig, info, context);
    else if (previous.sa_handler == SIG_DFL || (previous.sa_handler == SIG_IGN && info->si_code > 0))
        take_default(sig, info);
    else if (previous.sa_handler != SIG_IGN)
        previous.sa_handler(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    greg_t *pc = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    uintptr_t trap = info->si_code > 0 ? trap_of((uintptr_t)*pc) : 0; /* not what kill() sent */
    if (trap == 0) {
        pass_on(sig, info, context);
        return;
    }
    fault_address = info->si_addr;
    *pc = (greg_t)trap;
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    installed = sigaction(SIGSEGV, NULL, &previous) == 0 && sigaction(SIGSEGV, &action, NULL) == 0;
}

/* Guests run on small stacks, where no signal's frame has been reckoned with. */
static bool give_stack(void)
{
    static _Thread_local INITIAL_EXEC char bytes[STACK_BYTES];
    stack_t now, own = {.ss_sp = bytes, .ss_size = sizeof bytes};
    if (sigaltstack(NULL, &now) != 0) return false;
    return !(now.ss_flags & SS_DISABLE) || sigaltstack(&own, NULL) == 0;
}

bool faults_install(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!give_stack()) return false;
    pthread_once(&once, install);
    return installed;
}

void faults_expect(const uint8_t *from, uint64_t bytes)
{
    uint64_t at = (uint64_t)((uintptr_t)fault_address - (uintptr_t)from);
    if (at >= bytes) abort();
}
