/* server/common/log_writer.h -- lines on their way to a descriptor that may stall, fill up or fail.
 *
 * A thread of its own writes them (.log-apart), so whoever puts a line never waits for its reader. Between the two is a
 * bounded ring. Each source of lines has WRITER_SHARE bytes of it that nobody else can take, and borrows from the rest
 * while that lasts; a line without room is lost, counted, and its source's count is told once lines can be written
 * again. A line that could not be written as a whole is ended before the next one begins (.whole-lines).
 *
 * Invariants:
 *   .log-apart    The writer blocks every signal, holds no lock while it writes, and calls nothing of the daemon's but
 *                 `tell`. It never sets O_NONBLOCK: the descriptor was inherited, and others write to it too.
 *   .whole-lines  What is written begins at the start of a line and ends with one's end.
 *   .ring-room    Shares and common room add up to the ring, so a line that its source may put has a place.
 *
 * School of checking: what the descriptor does is a PEER's business; the rest is asserted.
 * Threads: one puts, the writer takes. There is one writer in a process.
 */
#ifndef HEMI_SERVER_COMMON_LOG_WRITER_H
#define HEMI_SERVER_COMMON_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_LINE_MAX 16384u      /* bytes of a line with its end */
#define WRITER_SHARE 8192u          /* bytes of the ring that are one source's own */
#define WRITER_COMMON (256u * 1024) /* bytes that all share */
#define WRITER_TELL_MS 1000u        /* at most so often losses are told */
#define WRITER_FLUSH_MS 1000u       /* what writer_stop waits for a reader */

/* Lines of one source that nobody will read. */
struct writer_losses {
    uint64_t limited;   /* over its rate */
    uint64_t unwritten; /* no room in the ring, or the descriptor failed */
};

/* Makes the line that tells losses, at most WRITER_LINE_MAX bytes, and returns its length. Called by the writer. */
typedef size_t (*writer_tell)(unsigned source, const struct writer_losses *losses, char *line);

/* Starts the thread. Returns 0 or -errno; then lines are written at once, as before a start. */
int writer_start(int fd, unsigned nsources, writer_tell tell);

/* Queues a line, or counts it as lost. Before writer_start it is written, by the caller's thread. */
void writer_put(unsigned source, const char *line, size_t len);

/* Counts a line that was not to be written. */
void writer_limited(unsigned source);

/* Lets the reader have what is queued, for at most WRITER_FLUSH_MS. Returns whether the thread has ended; one that
 * still hangs in a write stays until the process ends, and nothing more is written. */
bool writer_stop(void);

#endif
