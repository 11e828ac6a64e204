/* server/jail/seccomp.h -- what a jailed worker may call, one row per rule.
 *
 * X(call, action, argument, mask, value, why)
 *   action    ALLOW; KILL the process; DENY with EACCES; NOTTY with ENOTTY (what libc asks of a pipe).
 *   argument  -1: any arguments. Else the rule holds when (argument & mask) == value.
 * A call with no row, or whose rows do not hold, is "unknown": ENOSYS in release; killed where HEMI_JAIL_TEST is set,
 * so that CI finds what a worker calls and this table lacks. KILL rows say what no worker ever needs and an attacker
 * would; they kill in every build.
 *
 * `SELF` stands for the pid of the process that installs the filter (.jail-self).
 */
#ifndef HEMI_SERVER_JAIL_SECCOMP_H
#define HEMI_SERVER_JAIL_SECCOMP_H

#include <stdint.h>

#include "server/jail/jail.h"

#define JAIL_ANY (-1), 0, 0
#define JAIL_SELF UINT64_MAX /* as a value: the caller's pid */
#define JAIL_WORD 0xffffffffull

/* What everybody calls. */
#define JAIL_PLAIN_SYSCALLS(X)                                                                                         \
    X(read, ALLOW, JAIL_ANY, "descriptors it was given")                                                               \
    X(readv, ALLOW, JAIL_ANY, "the same")                                                                              \
    X(pread64, ALLOW, JAIL_ANY, "sealed memfds from clients")                                                          \
    X(write, ALLOW, JAIL_ANY, "log pipe, wake-ups of the loop")                                                        \
    X(writev, ALLOW, JAIL_ANY, "libc's last message before abort")                                                     \
    X(close, ALLOW, JAIL_ANY, "connections, memfds")                                                                   \
    X(lseek, ALLOW, JAIL_ANY, "size of a memfd")                                                                       \
    X(fstat, ALLOW, JAIL_ANY, "size of a memfd")                                                                       \
    X(recvmsg, ALLOW, JAIL_ANY, "connections, control")                                                                \
    X(recvfrom, ALLOW, JAIL_ANY, "connections")                                                                        \
    X(sendmsg, ALLOW, JAIL_ANY, "connections, control")                                                                \
    X(sendto, ALLOW, 4, UINT64_MAX, 0, "send() on connections; never to an address")                                   \
    X(shutdown, ALLOW, JAIL_ANY, "connections")                                                                        \
    X(getsockopt, ALLOW, JAIL_ANY, "SO_ERROR of connections")                                                          \
    X(setsockopt, ALLOW, 2, JAIL_WORD, 7, "SO_SNDBUF of connections")                                                  \
    X(setsockopt, ALLOW, 2, JAIL_WORD, 8, "SO_RCVBUF of connections")                                                  \
    X(setsockopt, ALLOW, 2, JAIL_WORD, 13, "SO_LINGER of what is closed")                                              \
    X(epoll_create1, ALLOW, JAIL_ANY, "the loop")                                                                      \
    X(epoll_ctl, ALLOW, JAIL_ANY, "the loop")                                                                          \
    X(epoll_wait, ALLOW, JAIL_ANY, "the loop")                                                                         \
    X(epoll_pwait, ALLOW, JAIL_ANY, "the loop")                                                                        \
    X(poll, ALLOW, JAIL_ANY, "waiting for the control socket before the loop runs")                                    \
    X(ppoll, ALLOW, JAIL_ANY, "the same")                                                                              \
    X(eventfd2, ALLOW, JAIL_ANY, "the loop's wake-ups")                                                                \
    X(pipe2, ALLOW, JAIL_ANY, "the loop's signals")                                                                    \
    X(timerfd_create, ALLOW, JAIL_ANY, "slices")                                                                       \
    X(timerfd_settime, ALLOW, JAIL_ANY, "slices")                                                                      \
    X(timer_create, ALLOW, JAIL_ANY, "slices")                                                                         \
    X(timer_settime, ALLOW, JAIL_ANY, "slices")                                                                        \
    X(timer_gettime, ALLOW, JAIL_ANY, "slices")                                                                        \
    X(timer_delete, ALLOW, JAIL_ANY, "slices")                                                                         \
    X(setitimer, ALLOW, JAIL_ANY, "slices")                                                                            \
    X(getitimer, ALLOW, JAIL_ANY, "slices")                                                                            \
    X(clock_gettime, ALLOW, JAIL_ANY, "time, where the vDSO has none")                                                 \
    X(clock_getres, ALLOW, JAIL_ANY, "the same")                                                                       \
    X(clock_nanosleep, ALLOW, JAIL_ANY, "sleep")                                                                       \
    X(nanosleep, ALLOW, JAIL_ANY, "sleep")                                                                             \
    X(gettimeofday, ALLOW, JAIL_ANY, "time")                                                                           \
    X(time, ALLOW, JAIL_ANY, "time")                                                                                   \
    X(getrandom, ALLOW, JAIL_ANY, "random_get of guests, hash seeds")                                                  \
    X(brk, ALLOW, JAIL_ANY, "malloc")                                                                                  \
    X(munmap, ALLOW, JAIL_ANY, "memory")                                                                               \
    X(mremap, ALLOW, JAIL_ANY, "realloc; keeps a mapping's protection")                                                \
    X(mincore, ALLOW, JAIL_ANY, "what of a heap is resident")                                                          \
    X(rt_sigaction, ALLOW, JAIL_ANY, "faults of guests")                                                               \
    X(rt_sigprocmask, ALLOW, JAIL_ANY, "faults of guests")                                                             \
    X(rt_sigreturn, ALLOW, JAIL_ANY, "faults of guests")                                                               \
    X(sigaltstack, ALLOW, JAIL_ANY, "faults of guests")                                                                \
    X(restart_syscall, ALLOW, JAIL_ANY, "after a stop")                                                                \
    X(sched_yield, ALLOW, JAIL_ANY, "harmless")                                                                        \
    X(getpid, ALLOW, JAIL_ANY, "abort")                                                                                \
    X(gettid, ALLOW, JAIL_ANY, "abort")                                                                                \
    X(getppid, ALLOW, JAIL_ANY, "is the supervisor alive")                                                             \
    X(getuid, ALLOW, JAIL_ANY, "harmless")                                                                             \
    X(geteuid, ALLOW, JAIL_ANY, "harmless")                                                                            \
    X(getrusage, ALLOW, JAIL_ANY, "statistics")                                                                        \
    X(sysinfo, ALLOW, JAIL_ANY, "glibc's qsort asks for the memory's size")                                            \
    X(exit, ALLOW, JAIL_ANY, "the end")                                                                                \
    X(exit_group, ALLOW, JAIL_ANY, "the end")

/* What is allowed with some arguments only. */
#define JAIL_FILTERED_SYSCALLS(X)                                                                                      \
    X(mmap, ALLOW, 2, 4, 0, "memory, never executable")                                                                \
    X(mmap, KILL, 2, 4, 4, "executable memory")                                                                        \
    X(mprotect, ALLOW, 2, 4, 0, "memory, never executable")                                                            \
    X(mprotect, KILL, 2, 4, 4, "executable memory")                                                                    \
    X(madvise, ALLOW, 2, JAIL_WORD, 4, "MADV_DONTNEED: memory goes back")                                              \
    X(madvise, ALLOW, 2, JAIL_WORD, 8, "MADV_FREE")                                                                    \
    X(madvise, ALLOW, 2, JAIL_WORD, 14, "MADV_HUGEPAGE")                                                               \
    X(madvise, ALLOW, 2, JAIL_WORD, 15, "MADV_NOHUGEPAGE")                                                             \
    X(madvise, ALLOW, 2, JAIL_WORD, 16, "MADV_DONTDUMP")                                                               \
    X(madvise, ALLOW, 2, JAIL_WORD, 22, "MADV_POPULATE_READ")                                                          \
    X(madvise, ALLOW, 2, JAIL_WORD, 23, "MADV_POPULATE_WRITE")                                                         \
    X(futex, ALLOW, 1, 0x7f, 0, "FUTEX_WAIT: locks of libc")                                                           \
    X(futex, ALLOW, 1, 0x7f, 1, "FUTEX_WAKE")                                                                          \
    X(futex, ALLOW, 1, 0x7f, 9, "FUTEX_WAIT_BITSET")                                                                   \
    X(futex, ALLOW, 1, 0x7f, 10, "FUTEX_WAKE_BITSET")                                                                  \
    X(fcntl, ALLOW, 1, JAIL_WORD, 1, "F_GETFD")                                                                        \
    X(fcntl, ALLOW, 1, JAIL_WORD, 2, "F_SETFD")                                                                        \
    X(fcntl, ALLOW, 1, JAIL_WORD, 3, "F_GETFL")                                                                        \
    X(fcntl, ALLOW, 1, JAIL_WORD, 4, "F_SETFL")                                                                        \
    X(fcntl, ALLOW, 1, JAIL_WORD, 1030, "F_DUPFD_CLOEXEC: the loop's table at its full size")                          \
    X(fcntl, ALLOW, 1, JAIL_WORD, 1034, "F_GET_SEALS of memfds from clients")                                          \
    X(ioctl, ALLOW, 1, JAIL_WORD, 0x5421, "FIONBIO: libuv's uv_poll")                                                  \
    X(ioctl, ALLOW, 1, JAIL_WORD, 0x541b, "FIONREAD")                                                                  \
    X(ioctl, NOTTY, 1, JAIL_WORD, 0x5401, "TCGETS: is the log a terminal; it is not")                                  \
    X(prctl, ALLOW, 0, JAIL_WORD, 0x53564d41, "PR_SET_VMA: names of mappings")                                         \
    X(tgkill, ALLOW, 0, JAIL_WORD, JAIL_SELF, "abort, raise")                                                          \
    X(newfstatat, DENY, JAIL_ANY, "stdio's fstat; paths are none of its business")                                     \
    X(readlink, DENY, JAIL_ANY, "libc's own name in a message")                                                        \
    X(set_robust_list, DENY, JAIL_ANY, "threads")                                                                      \
    X(rseq, DENY, JAIL_ANY, "threads")

/* A sanitizer's runtime, in builds that have one: named rows, so that the jail stays what it is (.jail-always). */
#ifdef JAIL_SANITIZER
#define JAIL_KILL_UNLESS_SANITIZED(X)
#define JAIL_SANITIZER_SYSCALLS(X)                                                                                     \
    X(openat, DENY, JAIL_ANY, "a report asks for /proc/self/maps, and goes on without")                                \
    X(getcwd, DENY, JAIL_ANY, "ASan's module list in a report")                                                        \
    X(readlinkat, DENY, JAIL_ANY, "the same")                                                                          \
    X(dup, DENY, JAIL_ANY, "ASan's report file")                                                                       \
    X(sched_getaffinity, DENY, JAIL_ANY, "ASan's count of processors")
#else
#define JAIL_KILL_UNLESS_SANITIZED(X) X(openat)
#define JAIL_SANITIZER_SYSCALLS(X)
#endif

/* What only an attacker calls. */
/* clang-format off */
#define JAIL_KILL_SYSCALLS(X)                                                                                          \
    JAIL_KILL_UNLESS_SANITIZED(X)                                                                                      \
    X(open) X(openat2) X(creat) X(open_by_handle_at) X(name_to_handle_at)                                              \
    X(socket) X(socketpair) X(connect) X(bind) X(listen) X(accept) X(accept4)                                          \
    X(kill) X(tkill) X(rt_sigqueueinfo) X(rt_tgsigqueueinfo) X(pidfd_send_signal) X(pidfd_open) X(pidfd_getfd)         \
    X(ptrace) X(process_vm_readv) X(process_vm_writev) X(process_madvise) X(process_mrelease) X(kcmp)                  \
    X(execve) X(execveat) X(clone) X(clone3) X(fork) X(vfork) X(unshare) X(setns)                                      \
    X(pkey_mprotect) X(remap_file_pages) X(shmat) X(shmget) X(personality) X(uselib)                                   \
    X(userfaultfd) X(bpf) X(perf_event_open) X(io_uring_setup) X(io_uring_enter) X(io_uring_register)                  \
    X(seccomp) X(keyctl) X(add_key) X(request_key) X(memfd_create) X(memfd_secret) X(modify_ldt) X(arch_prctl)         \
    X(chdir) X(fchdir) X(chroot) X(pivot_root) X(mount) X(umount2) X(statx) X(access) X(faccessat) X(faccessat2)       \
    X(unlink) X(unlinkat) X(rename) X(renameat) X(renameat2) X(link) X(linkat) X(symlink) X(symlinkat)                 \
    X(mkdir) X(mkdirat) X(rmdir) X(mknod) X(mknodat) X(chmod) X(fchmod) X(fchmodat) X(chown) X(fchown) X(fchownat)     \
    X(truncate) X(ftruncate) X(fallocate) X(getdents64) X(inotify_init1) X(fanotify_init)                              \
    X(setuid) X(setgid) X(setresuid) X(setresgid) X(setgroups) X(capset) X(setrlimit) X(prlimit64)                     \
    X(init_module) X(finit_module) X(delete_module) X(kexec_load) X(reboot) X(swapon) X(ioperm) X(iopl)
/* clang-format on */

#define JAIL_SYSCALLS(X) JAIL_PLAIN_SYSCALLS(X) JAIL_FILTERED_SYSCALLS(X) JAIL_SANITIZER_SYSCALLS(X)

/* Installs the filter for the calling process. Returns 0 and the number of rules, or -errno. Sets no_new_privs if it is
 * not set yet. */
int jail_seccomp_install(unsigned *nrules);

/* What an unknown call gets, for the report: "ENOSYS" or "kill". */
const char *jail_seccomp_unknown(void);

#endif
