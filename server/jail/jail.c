/* server/jail/jail.c -- the steps of the jail, in their order. */
#include "server/jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/jail/rights.h"
#include "server/jail/seccomp.h"

#define OOM_SCORE "500" /* of 1000: the kernel ends a worker before the programs beside the daemon */
/* What a sanitizer's runtime maps beside what the program asks for: shadow it has, quarantine and redzones to come. */
#ifdef JAIL_SANITIZER
#include <sanitizer/common_interface_defs.h>
#define SANITIZER_MEMORY UINT64_C(0x100000000)
#define SANITIZER_NAME "ASan"
#else
#define SANITIZER_MEMORY UINT64_C(0)
#define SANITIZER_NAME "none"
#endif

/* One step: what it does is in `got`, or 0/-errno says that it did not. `required` is its default. */
struct step {
    const char *name;
    bool required;
    int (*enter)(const struct jail_policy *policy, struct jail_step *row);
};

__attribute__((format(printf, 2, 3))) static void say(char out[64], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, 64, format, args);
    va_end(args);
}

/* Reads a small file of /proc or /sys into `out`. Returns false when it is not there. */
static bool read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, out, size - 1);
    close(fd);
    if (got <= 0) return false;
    out[got] = 0;
    out[strcspn(out, "\n")] = 0;
    return true;
}

/* ---- steps */

static int enter_oom_score(const struct jail_policy *policy, struct jail_step *row)
{
    (void)policy;
    say(row->wanted, "%s", OOM_SCORE);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int status = write(fd, OOM_SCORE, sizeof OOM_SCORE - 1) < 0 ? -errno : 0;
    close(fd);
    if (status == 0) say(row->got, "%s", OOM_SCORE);
    return status;
}

static int enter_close_range(const struct jail_policy *policy, struct jail_step *row)
{
    say(row->wanted, "closed from %d", policy->keep_fds);
    if (syscall(SYS_close_range, (unsigned)policy->keep_fds, ~0u, 0u) != 0) return -errno;
    say(row->got, "closed from %d", policy->keep_fds);
    return 0;
}

static int enter_no_new_privs(const struct jail_policy *policy, struct jail_step *row)
{
    (void)policy;
    say(row->wanted, "1");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
    say(row->got, "%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    return 0;
}

/* Also keeps siblings of the same user out of /proc/PID/mem and ptrace. */
static int enter_dumpable(const struct jail_policy *policy, struct jail_step *row)
{
    (void)policy;
    say(row->wanted, "0");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return -errno;
    say(row->got, "%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    return 0;
}

/* Lowers one limit, soft and hard, as far as the hard limit in force lets it. */
static int set_limit(int resource, uint64_t value, struct jail_step *row)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return -errno;
    if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max) value = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = value;
    if (setrlimit((__rlimit_resource_t)resource, &limit) != 0) return -errno;
    say(row->got, "%" PRIu64, value);
    return 0;
}

static int enter_core(const struct jail_policy *policy, struct jail_step *row)
{
    (void)policy;
    say(row->wanted, "0");
    return set_limit(RLIMIT_CORE, 0, row);
}

static int enter_fsize(const struct jail_policy *policy, struct jail_step *row)
{
    (void)policy;
    say(row->wanted, "0");
    return set_limit(RLIMIT_FSIZE, 0, row);
}

static int enter_nproc(const struct jail_policy *policy, struct jail_step *row)
{
    (void)policy;
    say(row->wanted, "0");
    return set_limit(RLIMIT_NPROC, 0, row);
}

static int enter_nofile(const struct jail_policy *policy, struct jail_step *row)
{
    say(row->wanted, "%u", policy->files);
    return set_limit(RLIMIT_NOFILE, policy->files, row);
}

/* Bytes of private writable memory that the kernel counts for this process now; in a sanitizer's process its shadow. */
static uint64_t data_in_use(void)
{
    char text[256];
    unsigned long long size, resident, shared, code, lib, data = 0;
    if (!read_small("/proc/self/statm", text, sizeof text)) return 0;
    if (sscanf(text, "%llu %llu %llu %llu %llu %llu", &size, &resident, &shared, &code, &lib, &data) != 6) return 0;
    return data * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* RLIMIT_DATA and not RLIMIT_AS, which would refuse the engine's reservations (PROT_NONE, not counted here). */
static int enter_data(const struct jail_policy *policy, struct jail_step *row)
{
    uint64_t base = data_in_use();
    say(row->wanted, "%" PRIu64 " and the %" PRIu64 " in use", policy->memory + SANITIZER_MEMORY, base);
    return set_limit(RLIMIT_DATA, base + policy->memory + SANITIZER_MEMORY, row);
}

/* What each version of Landlock added; asking for more than the kernel knows is an error. */
struct landlock_level {
    int abi;
    uint64_t fs, net, scoped;
};

/* Kernel numbers, since the C library's headers may be older than the kernel. */
static const struct landlock_level landlock_levels[] = {
    {1, 0x1fff, 0, 0}, {2, 0x3fff, 0, 0}, {3, 0x7fff, 0, 0}, {4, 0x7fff, 3, 0}, {5, 0xffff, 3, 0}, {6, 0xffff, 3, 3},
};

/* The kernel's struct landlock_ruleset_attr as of version 6; the size passed says how much of it there is. */
struct landlock_ruleset {
    uint64_t fs, net, scoped;
};

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? -errno : (int)abi;
}

static int landlock_restrict(const struct landlock_level *level)
{
    struct landlock_ruleset ruleset = {level->fs, level->net, level->scoped};
    size_t size = level->abi >= 6 ? 24 : level->abi >= 4 ? 16 : 8;
    long fd = syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0) return -errno;
    int status = syscall(SYS_landlock_restrict_self, fd, 0) != 0 ? -errno : 0;
    close((int)fd);
    return status;
}

/* An empty ruleset: no file, no TCP port, no signal or abstract socket outside. */
static int enter_landlock(const struct jail_policy *policy, struct jail_step *row)
{
    const size_t count = sizeof landlock_levels / sizeof landlock_levels[0];
    const struct landlock_level *level = &landlock_levels[0];
    row->required = policy->need_landlock;
    say(row->wanted, "no files, no TCP, no signals");
    int abi = landlock_abi();
    if (abi < 0) return abi;
    for (size_t i = 0; i < count && landlock_levels[i].abi <= abi; i++) level = &landlock_levels[i];
    int status = landlock_restrict(level);
    if (status == 0)
        say(row->got, "abi %d: no files%s%s", abi, level->net != 0 ? ", no TCP" : "",
            level->scoped != 0 ? ", no signals" : "");
    return status;
}

static int enter_seccomp(const struct jail_policy *policy, struct jail_step *row)
{
    unsigned nrules = 0;
    (void)policy;
#ifdef JAIL_SANITIZER
    __sanitizer_sandbox_on_notify(NULL); /* reads now what a report will want to know */
#endif
    say(row->wanted, "the table, unknown calls: %s", jail_seccomp_unknown());
    int status = jail_seccomp_install(&nrules);
    if (status == 0) say(row->got, "%u rules, unknown calls: %s", nrules, jail_seccomp_unknown());
    return status;
}

/* The order matters: /proc is read before the process is not dumpable, limits count what is there, the filter comes
 * last since it forbids all the rest. */
static const struct step steps[] = {
    {"oom_score_adj", false, enter_oom_score},
    {"close_range", true, enter_close_range},
    {"rlimit_data", true, enter_data},
    {"bounding_set", false, enter_bounding_set},
    {"groups", false, enter_groups},
    {"user", false, enter_user},
    {"capabilities", true, enter_capabilities},
    {"rlimit_nofile", true, enter_nofile},
    {"rlimit_core", true, enter_core},
    {"rlimit_fsize", true, enter_fsize},
    {"rlimit_nproc", true, enter_nproc},
    {"dumpable", true, enter_dumpable},
    {"no_new_privs", true, enter_no_new_privs},
    {"landlock", false, enter_landlock},
    {"seccomp", true, enter_seccomp},
};

_Static_assert(sizeof steps / sizeof steps[0] <= JAIL_STEPS_MAX, "the report has a row for every step");

int jail_enter(const struct jail_policy *policy, struct jail_report *report)
{
    report->nsteps = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct jail_step *row = &report->steps[report->nsteps++];
        *row = (struct jail_step){.required = steps[i].required};
        snprintf(row->name, sizeof row->name, "%s", steps[i].name);
        int status = steps[i].enter(policy, row);
        row->error = -status;
        if (status != 0 && row->got[0] == 0)
            say(row->got, "%s", strerrordesc_np(-status));
        else if (status != 0)
            snprintf(row->got + strlen(row->got), sizeof row->got - strlen(row->got), " (%s)",
                     strerrordesc_np(-status));
        if (status != 0 && row->required) return -EPERM;
    }
    return 0;
}

void jail_step_line(const struct jail_report *report, uint32_t index, char *out, size_t size)
{
    const struct jail_step *row = &report->steps[index];
    snprintf(out, size, "%s%s: wanted %s, got %s", row->name,
             row->error == 0 ? ""
             : row->required ? " FAILED"
                             : " missing",
             row->wanted, row->got);
}

/* ---- features */

__attribute__((format(printf, 3, 4))) static void note(struct jail_report *report, const char *key, const char *format,
                                                       ...)
{
    va_list args;
    if (report->nfeatures == JAIL_FEATURES_MAX) return;
    struct jail_feature *feature = &report->features[report->nfeatures++];
    snprintf(feature->key, sizeof feature->key, "%s", key);
    va_start(args, format);
    vsnprintf(feature->value, sizeof feature->value, format, args);
    va_end(args);
}

/* The first words of a file, or "unknown". */
static void note_file(struct jail_report *report, const char *key, const char *path)
{
    char text[64];
    note(report, key, "%s", read_small(path, text, sizeof text) ? text : "unknown");
}

static bool kernel_has(long status) { return status >= 0 || errno != ENOSYS; }

void jail_probe(struct jail_report *report)
{
    struct utsname name;
    int abi = landlock_abi();
    report->nfeatures = 0;
    if (uname(&name) == 0) note(report, "kernel", "%.40s %.16s", name.release, name.machine);
    note(report, "seccomp_api", "%u", seccomp_api_get());
    note(report, "landlock_abi", "%d", abi > 0 ? abi : 0);
    note(report, "pidfd", "%s", kernel_has(syscall(SYS_pidfd_open, 0, 0)) ? "yes" : "no");
    note(report, "close_range", "%s", kernel_has(syscall(SYS_close_range, ~0u, ~0u, ~0u)) ? "yes" : "no");
    note_file(report, "transparent_hugepage", "/sys/kernel/mm/transparent_hugepage/enabled");
    note_file(report, "overcommit_memory", "/proc/sys/vm/overcommit_memory");
    note(report, "page_size", "%ld", sysconf(_SC_PAGESIZE));
    note(report, "processors", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    note(report, "uid", "%u", geteuid());
    note(report, "sanitizer", "%s", SANITIZER_NAME);
}
