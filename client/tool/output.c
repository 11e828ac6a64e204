/* Everything that this program writes: messages, standard output, a guest's streams. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/tool/tool.h"
#include "proto/tables/printable.h"

static struct {
    const char *stream; /* NULL: all went well */
    int why;
} failure; /* the first */

static void note_failure(const char *stream, int why)
{
    if (!failure.stream) {
        failure.stream = stream;
        failure.why = why;
    }
}

/* Until it may be written to. False: there is no time to wait. */
static bool wait_for_room(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return !must_not_wait() && (poll(&p, 1, -1) >= 0 || errno == EINTR);
}

/* All of it. A blocking write that a signal ended in its middle is not begun again: nothing would end that one. */
static bool write_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t written = write(fd, at, n);
        bool again = written < 0 && ((errno == EINTR && !must_not_wait()) || (errno == EAGAIN && wait_for_room(fd)));
        if (written < 0 && !again) return false;
        if (written < 0) continue;
        at += written;
        n -= (size_t)written;
        if (n > 0 && must_not_wait()) {
            errno = EINTR;
            return false;
        }
    }
    return true;
}

bool output_write(int fd, const void *bytes, size_t n)
{
    if (write_all(fd, bytes, n)) return true;
    bool broken_off = is_late() && (errno == EINTR || errno == EAGAIN);
    if (fd <= STDERR_FILENO && !broken_off)
        note_failure(fd == STDOUT_FILENO ? "standard output" : "standard error", errno);
    return false;
}

void input_failed(int why) { note_failure("standard input", why); }

bool output_failed(void) { return failure.stream != NULL; }

static ssize_t write_stdout(void *cookie, const char *bytes, size_t n)
{
    (void)cookie;
    return output_write(STDOUT_FILENO, bytes, n) ? (ssize_t)n : 0; /* 0: an error, says fopencookie */
}

void output_start(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) abort();
    FILE *ours = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_stdout});
    if (ours) stdout = ours;
}

/* What we are interrupted in is no failure: the signal says all. */
int output_finish(int status)
{
    fflush(stdout);
    if (!failure.stream || status > EXIT_GUEST_MAX) return status;
    if (interrupted()) return 128 + SIGINT;
    return fail_with(EXIT_OUTPUT, "%s: %s", failure.stream, strerror(failure.why));
}

/* ---- lines */
char *escaped(const char *format, va_list args)
{
    char *text;
    int n = vasprintf(&text, format, args);
    if (n < 0) return NULL;
    size_t size = 4 * (size_t)n + PRINTABLE_MAX; /* no escape is longer than four times its character */
    char *grown = realloc(text, size);
    if (grown)
        printable(grown, size);
    else
        free(text);
    return grown;
}

/* By one write, so that lines of several programs do not mix. */
static void put_line(bool (*put)(int fd, const void *bytes, size_t n), const char *before, const char *format,
                     va_list args) __attribute__((format(printf, 3, 0)));
static void put_line(bool (*put)(int fd, const void *bytes, size_t n), const char *before, const char *format,
                     va_list args)
{
    static const char none[] = "hemi: out of memory\n";
    char *line = NULL, *text = escaped(format, args);
    int n = text ? asprintf(&line, "%s%s\n", before, text) : -1;
    put(STDERR_FILENO, n >= 0 ? line : none, n >= 0 ? (size_t)n : strlen(none));
    if (n >= 0) free(line);
    free(text);
}

/* Where it cannot be told, the exit status says it. */
static void tell_line(const char *before, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void tell_line(const char *before, const char *format, va_list args)
{
    put_line(write_all, before, format, args);
}

void report(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_line(output_write, "", format, args);
    va_end(args);
}

void tell(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell_line("hemi: ", format, args);
    va_end(args);
}

void tell_more(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell_line("", format, args);
    va_end(args);
}

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = escaped(format, args);
    va_end(args);
    puts(text ? text : "out of memory");
    free(text);
}
