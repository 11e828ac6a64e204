/* server/supervisor/closer.c -- a pipe of what is to be closed, and the thread that reads it. */
#include "server/supervisor/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLOSES_AT_ONCE 64
#define END_SECONDS                                                                                                    \
    1 /* a close that no signal interrupts (a file system that does not answer) goes with the process                  \
       */

struct closing {
    int fd;
    _Atomic uint32_t *unclosed;
};

static struct {
    pthread_t thread;
    int ends[2];
    bool runs;
} closer = {.ends = {-1, -1}};

static int wake_signal(void) { return SIGRTMIN; }

static void on_wake(int number) { (void)number; /* that it comes interrupts a wait */ }

/* Returns false where the kernel has no timer: then a close waits, but nobody waits for this thread. */
static bool make_timer(timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = wake_signal()};
    event._sigev_un._tid = gettid();
    return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

static void set_timer(timer_t timer, long ms)
{
    struct timespec turn = {.tv_nsec = ms * 1000000};
    (void)timer_settime(timer, 0, &(struct itimerspec){turn, turn}, NULL);
}

static void *run(void *nothing)
{
    struct closing these[CLOSES_AT_ONCE];
    timer_t timer;
    bool timed = make_timer(&timer);
    ssize_t got;
    (void)nothing;
    while ((got = read(closer.ends[0], these, sizeof these)) > 0 || (got < 0 && errno == EINTR)) {
        if (got < 0) continue;
        if (timed) set_timer(timer, CLOSER_PATIENCE_MS);
        for (size_t i = 0; i < (size_t)got / sizeof these[0]; i++) {
            close(these[i].fd);
            atomic_fetch_sub(these[i].unclosed, 1);
        }
        if (timed) set_timer(timer, 0);
    }
    if (timed) timer_delete(timer);
    return NULL;
}

static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, wake_signal());
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&closer.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int closer_start(void)
{
    if (pipe2(closer.ends, O_CLOEXEC) != 0) return -errno;
    fcntl(closer.ends[1], F_SETFL, O_NONBLOCK);
    sigaction(wake_signal(), &(struct sigaction){.sa_handler = on_wake}, NULL);
    int status = start_thread();
    closer.runs = status == 0;
    if (status == 0) return 0;
    close(closer.ends[0]);
    close(closer.ends[1]);
    return status;
}

/* A look at the first byte goes through all that waits, until it finds some. */
static bool holds_descriptors(int fd)
{
    char byte;
    struct iovec iov = {&byte, sizeof byte};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    return recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT) > 0 && (header.msg_flags & MSG_CTRUNC) != 0;
}

void closer_close(int fd, _Atomic uint32_t *unclosed)
{
    struct closing this = {fd, unclosed};
    bool apart = closer.runs && holds_descriptors(fd);
    if (apart) {
        atomic_fetch_add(unclosed, 1);
        apart = write(closer.ends[1], &this, sizeof this) == sizeof this;
        if (!apart) atomic_fetch_sub(unclosed, 1);
    }
    if (!apart) close(fd);
}

void closer_stop(void)
{
    struct timespec end;
    if (!closer.runs) return;
    closer.runs = false;
    close(closer.ends[1]);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += END_SECONDS;
    if (pthread_timedjoin_np(closer.thread, NULL, &end) == 0)
        close(closer.ends[0]);
    else
        pthread_detach(closer.thread);
}
