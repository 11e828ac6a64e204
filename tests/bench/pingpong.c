/* The transport's yardstick: a round trip of SIZE bytes over a Unix socket pair between two processes, with nothing
 * around it. usage: pingpong SIZE COUNT; prints microseconds per round trip. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int read_all(int fd, char *to, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, to, n);
        if (got <= 0) return -1;
        to += got;
        n -= (size_t)got;
    }
    return 0;
}

static void echo(int fd, char *buf, size_t size)
{
    while (read_all(fd, buf, size) == 0)
        if (write(fd, buf, size) != (ssize_t)size) break;
    _exit(0);
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;
    int fds[2];
    char *buf = calloc(1, size);
    if (!buf || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return 1;
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        echo(fds[1], buf, size);
    }
    close(fds[1]);
    double start = now_us();
    for (long i = 0; i < count; i++)
        if (write(fds[0], buf, size) != (ssize_t)size || read_all(fds[0], buf, size) != 0) return 1;
    printf("%.2f\n", (now_us() - start) / (double)count);
    close(fds[0]);
    waitpid(child, NULL, 0);
    free(buf);
    return 0;
}
