/* server/closer.c -- a pipe of descriptors' numbers, and the thread that reads it. */
#include "server/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define CLOSES_AT_ONCE 64
#define END_SECONDS 1 /* a close that no signal interrupts (a file system that does not answer) goes with the process  \
                       */

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
    int fds[CLOSES_AT_ONCE];
    timer_t timer;
    bool timed = make_timer(&timer);
    ssize_t got;
    (void)nothing;
    while ((got = read(closer.ends[0], fds, sizeof fds)) > 0 || (got < 0 && errno == EINTR)) {
        if (got < 0) continue;
        if (timed) set_timer(timer, CLOSER_PATIENCE_MS);
        for (size_t i = 0; i < (size_t)got / sizeof fds[0]; i++) close(fds[i]);
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

void closer_close(int fd)
{
    if (!closer.runs || write(closer.ends[1], &fd, sizeof fd) != sizeof fd) close(fd);
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
