/* server/jail/seccomp.c -- turns the rows of server/jail/seccomp.h into a filter. */
#include "server/jail/seccomp.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <unistd.h>

enum rule_action { ALLOW, KILL, DENY, NOTTY };

struct rule {
    const char *call;
    enum rule_action action;
    int argument;
    uint64_t mask, value;
};

/* By name, because libseccomp knows calls that the C library's headers do not. */
static const struct rule rules[] = {
#define KILL_ROW(call) {#call, KILL, -1, 0, 0},
#define ROW(call, action, ...) ROW_OF(call, action, __VA_ARGS__)
#define ROW_OF(call, action, argument, mask, value, why) {#call, action, argument, mask, value},
    JAIL_SYSCALLS(ROW) JAIL_KILL_SYSCALLS(KILL_ROW)
#undef ROW_OF
#undef ROW
#undef KILL_ROW
};

/* tgkill at somebody else kills; that has no row of its own, since "not equal" is no masked comparison. */
#define UNKNOWN_TGKILL "tgkill"

#ifdef HEMI_JAIL_TEST
#define UNKNOWN_ACTION SCMP_ACT_KILL_PROCESS
#else
#define UNKNOWN_ACTION SCMP_ACT_ERRNO(ENOSYS)
#endif

const char *jail_seccomp_unknown(void) { return UNKNOWN_ACTION == SCMP_ACT_KILL_PROCESS ? "kill" : "ENOSYS"; }

static uint32_t action_of(enum rule_action action)
{
    switch (action) {
    case ALLOW:
        return SCMP_ACT_ALLOW;
    case KILL:
        return SCMP_ACT_KILL_PROCESS;
    case DENY:
        return SCMP_ACT_ERRNO(EACCES);
    case NOTTY:
        return SCMP_ACT_ERRNO(ENOTTY);
    }
    return SCMP_ACT_KILL_PROCESS;
}

/* A call that this libseccomp or this machine does not have is unknown to the filter, which is as good as its row
 * unless the row allows it. */
static int add_rule(scmp_filter_ctx filter, const struct rule *rule)
{
    uint32_t action = action_of(rule->action);
    int call = seccomp_syscall_resolve_name(rule->call);
    if (call == __NR_SCMP_ERROR) return rule->action == ALLOW ? -ENOSYS : 0;
    if (action == UNKNOWN_ACTION) return 0; /* libseccomp refuses rules that say what the default says */
    if (rule->argument < 0) return seccomp_rule_add(filter, action, call, 0);
    uint64_t value = rule->value == JAIL_SELF ? (uint64_t)getpid() : rule->value;
    return seccomp_rule_add(filter, action, call, 1,
                            SCMP_CMP((unsigned)rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, value));
}

/* The complement of the rule that allows tgkill at the process itself. */
static int add_tgkill_others(scmp_filter_ctx filter)
{
    if (SCMP_ACT_KILL_PROCESS == UNKNOWN_ACTION) return 0;
    return seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, seccomp_syscall_resolve_name(UNKNOWN_TGKILL), 1,
                            SCMP_A0(SCMP_CMP_NE, (uint64_t)getpid(), 0));
}

int jail_seccomp_install(unsigned *nrules)
{
    const unsigned count = sizeof rules / sizeof rules[0];
    int status;
    scmp_filter_ctx filter = seccomp_init(UNKNOWN_ACTION);
    if (filter == NULL) return -ENOMEM;
    if ((status = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) != 0) goto out;
    /* A tree instead of a list: calls far down the table do not pay for those above. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (unsigned i = 0; i < count; i++)
        if ((status = add_rule(filter, &rules[i])) != 0) goto out;
    if ((status = add_tgkill_others(filter)) != 0) goto out;
    status = seccomp_load(filter);
    *nrules = count;
out:
    seccomp_release(filter);
    return status;
}
