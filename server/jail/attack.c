/* server/jail/attack.c -- the attacks. Raw system calls, so that no library gets in the way. */
#include "server/jail/attack.h"

#ifdef HEMI_JAIL_TEST

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/jail/seccomp.h"

#define ATTACK_FD_MEMFD 6

static char victim[64] = "what a sibling keeps to itself";

void attack_prepare(void)
{
    int fd = memfd_create("attack", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, 4096) == 0) dup2(fd, ATTACK_FD_MEMFD);
    if (fd >= 0 && fd != ATTACK_FD_MEMFD) close(fd);
}

static int outcome(long result) { return result < 0 ? errno : ATTACK_SUCCEEDED; }

static int run_open(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static int run_openat(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

/* Another process's memory as a file. */
static int run_proc_mem(pid_t target)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", target);
    return outcome(syscall(SYS_openat, AT_FDCWD, path, O_RDWR));
}

static int run_socket(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static int run_socket_unix(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}

static int run_connect(pid_t target)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/hemi/hemi.sock"};
    (void)target;
    return outcome(syscall(SYS_connect, 3, &address, sizeof address));
}

static int run_kill(pid_t target) { return outcome(syscall(SYS_kill, target, SIGKILL)); }
static int run_kill_parent(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_kill, getppid(), SIGKILL));
}
static int run_tgkill(pid_t target) { return outcome(syscall(SYS_tgkill, target, target, SIGKILL)); }
static int run_pidfd_open(pid_t target) { return outcome(syscall(SYS_pidfd_open, target, 0)); }
static int run_ptrace(pid_t target) { return outcome(syscall(SYS_ptrace, PTRACE_ATTACH, target, 0, 0)); }

static int run_vm_readv(pid_t target)
{
    char out[sizeof victim];
    struct iovec local = {out, sizeof out}, remote = {victim, sizeof victim};
    return outcome(syscall(SYS_process_vm_readv, target, &local, 1, &remote, 1, 0));
}

static int run_vm_writev(pid_t target)
{
    char in[sizeof victim] = "overwritten";
    struct iovec local = {in, sizeof in}, remote = {victim, sizeof victim};
    return outcome(syscall(SYS_process_vm_writev, target, &local, 1, &remote, 1, 0));
}

static int run_mmap_exec(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int run_mmap_rwx(pid_t target)
{
    const long all = PROT_READ | PROT_WRITE | PROT_EXEC;
    (void)target;
    return outcome(syscall(SYS_mmap, NULL, 4096, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* Data written through the descriptor, mapped as code. */
static int run_memfd_exec(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, ATTACK_FD_MEMFD, 0));
}

static int run_memfd_shared_exec(pid_t target)
{
    (void)target;
    return outcome(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, ATTACK_FD_MEMFD, 0));
}

static int run_mprotect_exec(pid_t target)
{
    (void)target;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return outcome(syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC));
}

static int run_pkey_mprotect_exec(pid_t target)
{
    (void)target;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return outcome(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
}

static int run_execve(pid_t target)
{
    char name[] = "/bin/true";
    char *const arguments[] = {name, NULL};
    (void)target;
    return outcome(syscall(SYS_execve, name, arguments, NULL));
}

static int run_fork(pid_t target)
{
    (void)target;
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) syscall(SYS_exit_group, 0);
    return outcome(child);
}

static int run_bpf(pid_t target)
{
    union bpf_attr attr = {0};
    (void)target;
    return outcome(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr));
}

static int run_io_uring(pid_t target)
{
    char params[256] = {0};
    (void)target;
    return outcome(syscall(SYS_io_uring_setup, 4, params));
}

static int run_seccomp(pid_t target)
{
    uint32_t action = 0x7fff0000;
    (void)target;
    return outcome(syscall(SYS_seccomp, 2, 0, &action));
}

static int run_prlimit(pid_t target)
{
    uint64_t limit[2] = {UINT64_MAX, UINT64_MAX};
    return outcome(syscall(SYS_prlimit64, target, 2, limit, NULL));
}

/* Where the arguments are looked at by nobody but the kernel: a path that names nothing of the worker's. */
static int run_fstatat(pid_t target)
{
    char st[256];
    (void)target;
    return outcome(syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", st, 0));
}

static int run_sendto_address(pid_t target)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/notify"};
    (void)target;
    return outcome(syscall(SYS_sendto, 3, "x", 1, MSG_NOSIGNAL, &address, sizeof address));
}

/* What a sanitizer's row of the filter refuses instead of killing. */
#ifdef JAIL_SANITIZER
#define ATTACK_OPENAT ATTACK_DENIED
#else
#define ATTACK_OPENAT ATTACK_KILLED
#endif

static const struct attack attacks[] = {
    {"open", ATTACK_KILLED, run_open},
    {"openat", ATTACK_OPENAT, run_openat},
    {"proc-mem", ATTACK_OPENAT, run_proc_mem},
    {"socket", ATTACK_KILLED, run_socket},
    {"socket-unix", ATTACK_KILLED, run_socket_unix},
    {"connect", ATTACK_KILLED, run_connect},
    {"kill", ATTACK_KILLED, run_kill},
    {"kill-parent", ATTACK_KILLED, run_kill_parent},
    {"tgkill", ATTACK_KILLED, run_tgkill},
    {"pidfd-open", ATTACK_KILLED, run_pidfd_open},
    {"ptrace", ATTACK_KILLED, run_ptrace},
    {"process-vm-readv", ATTACK_KILLED, run_vm_readv},
    {"process-vm-writev", ATTACK_KILLED, run_vm_writev},
    {"mmap-exec", ATTACK_KILLED, run_mmap_exec},
    {"mmap-rwx", ATTACK_KILLED, run_mmap_rwx},
    {"memfd-private-exec", ATTACK_KILLED, run_memfd_exec},
    {"memfd-shared-exec", ATTACK_KILLED, run_memfd_shared_exec},
    {"mprotect-exec", ATTACK_KILLED, run_mprotect_exec},
    {"pkey-mprotect-exec", ATTACK_KILLED, run_pkey_mprotect_exec},
    {"execve", ATTACK_KILLED, run_execve},
    {"fork", ATTACK_KILLED, run_fork},
    {"bpf", ATTACK_KILLED, run_bpf},
    {"io-uring", ATTACK_KILLED, run_io_uring},
    {"seccomp", ATTACK_KILLED, run_seccomp},
    {"prlimit", ATTACK_KILLED, run_prlimit},
    {"fstatat", ATTACK_DENIED, run_fstatat},
    {"sendto-address", ATTACK_KILLED, run_sendto_address},
};

const struct attack *attack_table(size_t *count)
{
    *count = sizeof attacks / sizeof attacks[0];
    return attacks;
}

const struct attack *attack_find(const char *name)
{
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        if (strcmp(attacks[i].name, name) == 0) return &attacks[i];
    return NULL;
}

#else

/* A build without attacks has nothing here, and ISO C wants a translation unit to declare something. */
extern int jail_attack_not_built;

#endif
