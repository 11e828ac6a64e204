/* server/jail/rights.c -- capabilities, groups, user. Raw system calls: libcap would be one more library for three. */
#include "server/jail/rights.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPABILITIES_MAX 63 /* what the kernel's sets have room for */

struct capabilities {
    uint64_t effective, permitted, inheritable;
};

static int get_capabilities(struct capabilities *out)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &header, data) != 0) return -errno;
    out->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    out->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    out->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static bool has_capability(unsigned capability)
{
    struct capabilities have;
    return get_capabilities(&have) == 0 && (have.effective >> capability & 1) != 0;
}

bool jail_may_change_user(void) { return geteuid() == 0 || (has_capability(CAP_SETUID) && has_capability(CAP_SETGID)); }

int enter_bounding_set(const struct jail_policy *policy, struct jail_step *row)
{
    unsigned kept = 0;
    int status = 0;
    snprintf(row->wanted, sizeof row->wanted, "%s", policy->own_user ? "empty" : "as it is");
    for (unsigned long i = 0; i <= CAPABILITIES_MAX; i++) {
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 1 || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0) continue;
        kept++;
        if (policy->own_user) status = -errno;
    }
    if (kept == 0)
        snprintf(row->got, sizeof row->got, "empty");
    else
        snprintf(row->got, sizeof row->got, "%u capabilities, of no use under no_new_privs", kept);
    return status;
}

int enter_groups(const struct jail_policy *policy, struct jail_step *row)
{
    row->required = policy->need_rights;
    snprintf(row->wanted, sizeof row->wanted, "%s", policy->own_user ? "none" : "the supervisor's");
    int status = policy->own_user && getgroups(0, NULL) > 0 && setgroups(0, NULL) != 0 ? -errno : 0;
    int count = getgroups(0, NULL);
    if (count > 0)
        snprintf(row->got, sizeof row->got, "%d", count);
    else
        snprintf(row->got, sizeof row->got, "none");
    return status;
}

/* Without CAP_KILL a supervisor could not kill a worker of another user; the worker has what its supervisor has. */
static int change_user(uid_t uid, gid_t gid)
{
    if (getuid() == uid && geteuid() == uid && getgid() == gid) return 0;
    if (!has_capability(CAP_KILL)) return -EPERM;
    return setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0 ? -errno : 0;
}

/* .die-together: changing the user has cleared PDEATHSIG; a supervisor that died in between is seen by its absence. */
static int arm_death(pid_t supervisor)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return -errno;
    return getppid() == supervisor ? 0 : -ESRCH;
}

int enter_user(const struct jail_policy *policy, struct jail_step *row)
{
    row->required = policy->need_rights;
    if (policy->own_user)
        snprintf(row->wanted, sizeof row->wanted, "%u:%u", policy->uid, policy->gid);
    else
        snprintf(row->wanted, sizeof row->wanted, "the supervisor's");
    int status = policy->own_user ? change_user(policy->uid, policy->gid) : 0;
    snprintf(row->got, sizeof row->got, "%u:%u", geteuid(), getegid());
    int armed = policy->own_user ? arm_death(policy->supervisor) : 0;
    if (armed == 0) return status;
    row->required = true;
    return armed;
}

int enter_capabilities(const struct jail_policy *policy, struct jail_step *row)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    struct capabilities have;
    (void)policy;
    snprintf(row->wanted, sizeof row->wanted, "none");
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* capset clears them as well */
    if (syscall(SYS_capset, &header, none) != 0) return -errno;
    int status = get_capabilities(&have);
    if (status != 0) return status;
    uint64_t left = have.effective | have.permitted | have.inheritable;
    if (left != 0)
        snprintf(row->got, sizeof row->got, "%#" PRIx64, left);
    else
        snprintf(row->got, sizeof row->got, "none");
    return left == 0 ? 0 : -EPERM;
}
