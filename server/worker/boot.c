/* server/worker/boot.c -- a worker's first steps. */
#include "server/worker/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/limits.h"
#include "server/common/last_words.h"
#include "server/jail/attack.h"
#ifdef JAIL_SANITIZER
#include <sanitizer/allocator_interface.h>
#endif

#define BOOT_TIMEOUT_MS 10000
#define SIGNAL_STACK_BYTES 65536
#define FDS_SPARE 64 /* beside two per connection: loop, control, log, page, memfds on their way */

/* The page, for last words; a signal handler has no other way to it. */
static struct page *last_words_page;

int boot_is_worker(int argc, char **argv) { return argc >= 2 && strcmp(argv[1], WORKER_FLAG) == 0; }

/* ---- last words */

/* Decimal or hexadecimal digits, async-signal-safe. Returns their number. */
static size_t put_number(char *out, uint64_t value, unsigned base)
{
    char digits[24];
    size_t n = 0;
    do digits[n++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    return n;
}

static size_t put_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

/* Says which signal and where, and dies of it. A worker that handles faults of its guests replaces these handlers and
 * calls the previous one for faults that are its own. */
static void on_fatal_signal(int number, siginfo_t *info, void *context)
{
    char text[128];
    size_t len = put_text(text, "signal ");
    (void)context;
    len += put_number(text + len, (uint64_t)number, 10);
    len += put_text(text + len, " code ");
    len += put_number(text + len, (uint64_t)(unsigned)info->si_code, 10);
    len += put_text(text + len, " address 0x");
    len += put_number(text + len, (uint64_t)(uintptr_t)info->si_addr, 16);
    page_last_words(last_words_page, text, len);
    signal(number, SIG_DFL);
    /* The instruction is run again and faults again, now for good; a signal that was sent is not, hence raise. */
    if (info->si_code <= 0) raise(number);
}

static int install_last_words(struct page *page)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_fatal_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_size = SIGNAL_STACK_BYTES};
    last_words_page = page;
    server_last_words(page);
#ifdef JAIL_SANITIZER
    return 0; /* the sanitizer's own handlers say more */
#endif
    stack.ss_sp = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0) return -errno;
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (sigaction(fatal[i], &action, NULL) != 0) return -errno;
    return 0;
}

/* ---- boot */

static int receive_boot(struct handover_msg *msg)
{
    struct pollfd control = {.fd = WORKER_FD_CONTROL, .events = POLLIN};
    if (poll(&control, 1, BOOT_TIMEOUT_MS) != 1) return -ETIMEDOUT;
    int status = handover_recv(WORKER_FD_CONTROL, HANDOVER_DOWN, msg);
    return status == 1 && msg->type == HANDOVER_BOOT ? 0 : -EPROTO;
}

/* .die-together, .single-thread: PDEATHSIG was set before exec; a supervisor that died before that is seen here. */
static bool supervisor_lives(const struct handover_boot *boot)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == boot->supervisor;
}

static void send_phase(enum handover_phase phase)
{
    struct handover_msg msg = {.type = HANDOVER_STATUS, .fd = -1, .u.status.phase = phase};
    (void)handover_send(WORKER_FD_CONTROL, &msg); /* the exit status says it too */
}

static void send_line(enum log_level level, const char *line)
{
    struct handover_msg msg = {.type = HANDOVER_LOG, .fd = -1, .u.log.level = level};
    size_t len = strlen(line);
    if (len > HANDOVER_LOG_MAX) len = HANDOVER_LOG_MAX;
    memcpy(msg.u.log.text, line, len);
    msg.u.log.len = (uint32_t)len;
    (void)handover_send(WORKER_FD_CONTROL, &msg);
}

/* A private daemon's log is the standard error of a program that may want none: there, who asks is told (INFO). */
static void report_jail(const struct jail_report *report, bool private)
{
    enum log_level missing = private ? LOG_INFO : LOG_WARNING;
    char line[256];
    for (uint32_t i = 0; i < report->nsteps; i++) {
        const struct jail_step *step = &report->steps[i];
        jail_step_line(report, i, line, sizeof line);
        send_line(step->error == 0 ? LOG_DEBUG : step->required ? LOG_ERROR : missing, line);
    }
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Two descriptors for each connection and some to spare, or as many connections as fit what there is. Returns the
 * number of descriptors, with room for a whole message's where there is any: those beyond it the kernel would close. */
static uint64_t fit_connections(struct handover_boot *boot)
{
    struct rlimit limit = {.rlim_max = RLIM_INFINITY};
    uint64_t fixed = boot->handovers + FDS_SPARE, wanted = 2 * boot->limits.connections + fixed;
    char line[128];
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (wanted <= limit.rlim_max) return least(wanted + FRAME_FDS_PASSED_MAX, limit.rlim_max);
    uint64_t fit = limit.rlim_max > fixed + 2 ? (limit.rlim_max - fixed) / 2 : 1;
    snprintf(line, sizeof line, "connections: %" PRIu64 " of %" PRIu64 ", for there are %" PRIu64 " descriptors", fit,
             boot->limits.connections, (uint64_t)limit.rlim_max);
    send_line(LOG_WARNING, line);
    boot->limits.connections = fit;
    return limit.rlim_max;
}

/* Of one process; 0: unknown. Read before the jail, which opens no file. */
static uint64_t mappings_max(void)
{
    char text[32] = "";
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) <= 0) text[0] = 0;
    close(fd);
    return strtoull(text, NULL, 10);
}

static int enter_jail(const struct handover_boot *boot, uint64_t descriptors, struct jail_report *report)
{
    struct jail_policy policy = {.memory = worker_data_max(&boot->limits),
                                 .files = (uint32_t)descriptors,
                                 .keep_fds = WORKER_FD_FIRST_FREE,
                                 .need_landlock = boot->need_landlock != 0,
                                 .own_user = boot->own_user != 0,
                                 .need_rights = boot->need_rights != 0,
                                 .uid = boot->uid,
                                 .gid = boot->gid,
                                 .supervisor = boot->supervisor};
#ifdef HEMI_JAIL_TEST
    if (boot->hook[0] != 0) {
        attack_prepare();
        policy.keep_fds = ATTACK_FD_KEEP;
    }
#endif
    jail_probe(report);
    int status = jail_enter(&policy, report);
    report_jail(report, boot->private_client != 0);
    if (status != 0) send_phase(HANDOVER_JAIL_FAILED);
    return status;
}

#ifdef HEMI_JAIL_TEST
/* Misbehaves as the test asks. "attack:NAME" tries an attack and exits; "lost:N" lets this tenant's first N workers die
 * with a connection on its way to them. Returns an exit status, or -1 to go on as a worker. */
static int run_hook(const struct handover_boot *boot)
{
    struct pollfd control = {.fd = WORKER_FD_CONTROL, .events = POLLIN};
    if (strncmp(boot->hook, "attack:", 7) == 0) {
        const struct attack *attack = attack_find(boot->hook + 7);
        int error = attack != NULL ? attack->run(boot->hook_target) : ENOENT;
        char line[128];
        snprintf(line, sizeof line, "attack %s: %s", boot->hook + 7, error == 0 ? "SUCCEEDED" : strerrorname_np(error));
        send_line(LOG_WARNING, line);
        return WORKER_EXIT_HOOK + (error == 0 ? 1 : 0);
    }
    if (strncmp(boot->hook, "lost:", 5) == 0 && boot->generation <= strtoull(boot->hook + 5, NULL, 10)) {
        poll(&control, 1, BOOT_TIMEOUT_MS);
        return WORKER_EXIT_HOOK;
    }
    return -1;
}
#endif

/* LeakSanitizer stops all threads with ptrace, which the jail forbids; so a sanitizer build compares what is allocated
 * before and after an orderly life instead. Says so and returns another status when something is left. */
static int run_worker(worker_function worker, const struct worker_boot *boot)
{
#ifdef JAIL_SANITIZER
    size_t before = __sanitizer_get_current_allocated_bytes();
    int status = worker(boot);
    size_t after = __sanitizer_get_current_allocated_bytes();
    if (status != WORKER_EXIT_OK || after <= before) return status;
    fprintf(stderr, "LeakSanitizer cannot run here, but %zu bytes leaked\n", after - before);
    return WORKER_EXIT_ERROR;
#else
    return worker(boot);
#endif
}

int boot_worker(worker_function worker)
{
    static struct handover_msg msg;
    static struct jail_report report;
    struct page *page;
    struct handover_boot *start = &msg.u.boot;
    if (receive_boot(&msg) != 0 || !supervisor_lives(start)) return WORKER_EXIT_BOOT;
    if (page_map(WORKER_FD_PAGE, &page) != 0 || install_last_words(page) != 0) return WORKER_EXIT_BOOT;
    close(WORKER_FD_PAGE);
    uint64_t descriptors = fit_connections(start), mappings = mappings_max();
    if (enter_jail(start, descriptors, &report) != 0) return WORKER_EXIT_JAIL;
#ifdef HEMI_JAIL_TEST
    int hooked = run_hook(start);
    if (hooked >= 0) return hooked;
#endif
    struct worker_boot boot = {.control_fd = WORKER_FD_CONTROL,
                               .page = page,
                               .log_fd = WORKER_FD_LOG,
                               .descriptors = descriptors,
                               .tenant = start->tenant,
                               .generation = start->generation,
                               .mappings = mappings,
                               .private_client = start->private_client != 0,
                               .limits = start->limits,
                               .jail = &report,
                               .hook = start->hook[0] != 0 ? start->hook : NULL};
    return run_worker(worker, &boot);
}
