/* server/common/log_writer.c -- the ring and its thread. */
#include "server/common/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

enum writer_state { WRITER_ABSENT, WRITER_RUNS, WRITER_STOPS, WRITER_ENDED };

struct source {
    size_t queued; /* bytes in the ring */
    struct writer_losses losses;
};

/* Before each line in the ring. */
struct entry {
    uint32_t len;
    uint32_t source;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t put, ended; /* something was put, or it is to stop; it has ended */
    pthread_t thread;
    enum writer_state state;
    int fd;
    writer_tell tell;
    struct source *sources;
    unsigned nsources;
    char *ring;
    size_t size, first, used; /* .ring-room */
    size_t borrowed;          /* bytes beyond the shares of their sources */
    bool losses;              /* some source has some */
    unsigned telling;         /* the source whose turn to be told it is */
    uint64_t told_ms;
    bool torn; /* the writer's own: the last line that was begun has no end */
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

static void wait_until(pthread_cond_t *condition, uint64_t at_ms)
{
    struct timespec at = {(time_t)(at_ms / 1000), (long)(at_ms % 1000) * 1000000};
    pthread_cond_timedwait(condition, &writer.lock, &at);
}

/* ---- the ring; under the lock */

static void copy_in(size_t at, const void *bytes, size_t len)
{
    size_t from = (writer.first + at) % writer.size, part = writer.size - from;
    if (part > len) part = len;
    memcpy(writer.ring + from, bytes, part);
    memcpy(writer.ring, (const char *)bytes + part, len - part);
}

static void copy_out(void *bytes, size_t len)
{
    size_t part = writer.size - writer.first;
    if (part > len) part = len;
    memcpy(bytes, writer.ring + writer.first, part);
    memcpy((char *)bytes + part, writer.ring, len - part);
    writer.first = (writer.first + len) % writer.size;
    writer.used -= len;
    if (writer.used == 0) writer.first = 0; /* a quiet log touches few pages */
}

static size_t beyond_share(const struct source *source)
{
    return source->queued > WRITER_SHARE ? source->queued - WRITER_SHARE : 0;
}

/* Whether the source may have so many more bytes in the ring; then they are its. */
static bool take_room(struct source *source, size_t bytes)
{
    size_t before = beyond_share(source);
    source->queued += bytes;
    size_t more = beyond_share(source) - before;
    if (more > WRITER_COMMON - writer.borrowed) return source->queued -= bytes, false;
    writer.borrowed += more;
    return true;
}

static void give_room(struct source *source, size_t bytes)
{
    size_t before = beyond_share(source);
    CHECK(source->queued >= bytes);
    source->queued -= bytes;
    writer.borrowed -= before - beyond_share(source);
}

/* Returns the length, 0 when there is no line. */
static size_t take_line(char *line, unsigned *source)
{
    struct entry entry;
    if (writer.used == 0) return 0;
    copy_out(&entry, sizeof entry);
    copy_out(line, entry.len);
    give_room(&writer.sources[entry.source], sizeof entry + entry.len);
    *source = entry.source;
    return entry.len;
}

/* ---- losses; under the lock */

static void lose(unsigned source, struct writer_losses losses)
{
    writer.sources[source].losses.limited += losses.limited;
    writer.sources[source].losses.unwritten += losses.unwritten;
    writer.losses = true;
}

/* The next source's losses, each once in WRITER_TELL_MS. Returns the length of the line, 0 for none now. */
static size_t take_losses(char *line, unsigned *source, struct writer_losses *losses)
{
    bool round_begins = writer.telling == 0;
    if (round_begins && !writer.losses) return 0;
    if (round_begins && clock_ms() < writer.told_ms + WRITER_TELL_MS) return 0;
    if (round_begins) writer.losses = false; /* what fails from now on is for the next round */
    for (; writer.telling < writer.nsources; writer.telling++) {
        struct source *from = &writer.sources[writer.telling];
        if (from->losses.limited == 0 && from->losses.unwritten == 0) continue;
        *losses = from->losses;
        from->losses = (struct writer_losses){0};
        *source = writer.telling++;
        return writer.tell(*source, losses, line);
    }
    writer.telling = 0;
    writer.told_ms = clock_ms();
    return 0;
}

/* ---- writing; without the lock */

/* .whole-lines: what was begun and not ended is ended first. Waits for as long as the reader does. */
static bool write_line(const char *line, size_t len)
{
    static char end[] = "\n";
    size_t written = 0;
    while (written < len) {
        struct iovec parts[] = {{end, writer.torn && written == 0},
                                {(void *)(uintptr_t)(line + written), len - written}};
        ssize_t got = writev(writer.fd, parts, 2);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = writer.fd, .events = POLLOUT};
            poll(&room, 1, -1);
            continue;
        }
        if (got <= 0) return false;
        written += (size_t)got - parts[0].iov_len;
        writer.torn = written > 0 && written < len;
    }
    return true;
}

/* Writes one line that there is. Returns false when there is none. */
static bool write_one(void)
{
    static char line[WRITER_LINE_MAX];
    struct writer_losses losses = {0};
    unsigned source = 0;
    size_t len = take_losses(line, &source, &losses);
    if (len == 0) len = take_line(line, &source), losses.unwritten = 1;
    if (len == 0) return false;
    pthread_mutex_unlock(&writer.lock);
    bool written = write_line(line, len);
    pthread_mutex_lock(&writer.lock);
    if (!written) lose(source, losses);
    return true;
}

/* What is queued, and then each source's losses once more, whether they can be written or not. */
static void write_rest(void)
{
    while (writer.used > 0 || writer.telling != 0) write_one();
    writer.told_ms = 0;
    do write_one();
    while (writer.telling != 0);
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&writer.lock);
    while (writer.state == WRITER_RUNS) {
        if (write_one()) continue;
        if (writer.losses)
            wait_until(&writer.put, writer.told_ms + WRITER_TELL_MS);
        else
            pthread_cond_wait(&writer.put, &writer.lock);
    }
    write_rest();
    writer.state = WRITER_ENDED;
    pthread_cond_signal(&writer.ended);
    pthread_mutex_unlock(&writer.lock);
    return NULL;
}

/* ---- from outside */

void writer_put(unsigned source, const char *line, size_t len)
{
    struct entry entry = {(uint32_t)len, source};
    if (writer.thread == 0) {
        (void)write_line(line, len);
        return;
    }
    CHECK(source < writer.nsources && len <= WRITER_LINE_MAX);
    pthread_mutex_lock(&writer.lock);
    if (take_room(&writer.sources[source], sizeof entry + len)) {
        copy_in(writer.used, &entry, sizeof entry);
        copy_in(writer.used + sizeof entry, line, len);
        writer.used += sizeof entry + len;
    } else {
        lose(source, (struct writer_losses){.unwritten = 1});
    }
    pthread_cond_signal(&writer.put);
    pthread_mutex_unlock(&writer.lock);
}

void writer_limited(unsigned source)
{
    if (writer.thread == 0) return;
    pthread_mutex_lock(&writer.lock);
    if (!writer.losses) pthread_cond_signal(&writer.put);
    lose(source, (struct writer_losses){.limited = 1});
    pthread_mutex_unlock(&writer.lock);
}

static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* .log-apart: the new thread inherits it */
    int error = pthread_create(&writer.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int writer_start(int fd, unsigned nsources, writer_tell tell)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&writer.put, &monotonic);
    pthread_cond_init(&writer.ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    writer.fd = fd;
    writer.tell = tell;
    writer.nsources = nsources;
    writer.size = WRITER_COMMON + (size_t)nsources * WRITER_SHARE;
    writer.ring = malloc(writer.size);
    writer.sources = calloc(nsources, sizeof *writer.sources);
    writer.state = WRITER_RUNS;
    int status = writer.ring != NULL && writer.sources != NULL ? start_thread() : -ENOMEM;
    if (status == 0) return 0;
    writer.thread = 0;
    free(writer.ring);
    free(writer.sources);
    return status;
}

bool writer_stop(void)
{
    if (writer.thread == 0) return true;
    pthread_mutex_lock(&writer.lock);
    writer.state = WRITER_STOPS;
    pthread_cond_signal(&writer.put);
    for (uint64_t end = clock_ms() + WRITER_FLUSH_MS; writer.state != WRITER_ENDED && clock_ms() < end;)
        wait_until(&writer.ended, end);
    bool ended = writer.state == WRITER_ENDED;
    pthread_mutex_unlock(&writer.lock);
    if (!ended) {
        pthread_detach(writer.thread); /* it hangs in a write; the process takes it along */
        return false;
    }
    pthread_join(writer.thread, NULL);
    free(writer.ring);
    free(writer.sources);
    writer.ring = NULL;
    writer.sources = NULL;
    writer.thread = 0;
    return true;
}
