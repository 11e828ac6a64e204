/* server/log.h -- the log: one line per event, on standard error.
 *
 * Plain text on a terminal, else one JSON object per line: time (RFC 3339, UTC, milliseconds), level, event, message
 * and, where known, tenant, pid, connection, status. Bytes that are not printable ASCII are written as \xNN, so a
 * client or a guest cannot forge a line or drive a terminal. Lines that clients or guests cause are limited to a rate;
 * the number dropped is said once they can be written again.
 *
 * Supervisor only; a worker sends HANDOVER_LOG instead. Never fails: a line that cannot be written is lost.
 * Threads: not thread-safe.
 */
#ifndef HEMI_SERVER_LOG_H
#define HEMI_SERVER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/config.h"

/* What an event is about; zero members are left out. */
struct log_about {
    const char *tenant;
    int pid;
    uint64_t connection;
    const char *status;
    bool limited; /* caused by a client or guest: counts against the rate */
};

/* Sets level, format (FORMAT_AUTO looks at fd) and rate, and where lines go. */
void log_open(int fd, enum log_level level, enum log_format format, uint64_t rate);

/* Writes an event. `event` is a short constant ("worker-lost"); `about` may be NULL. */
__attribute__((format(printf, 4, 5))) void log_event(enum log_level level, const char *event,
                                                     const struct log_about *about, const char *format, ...);

/* Copies `len` bytes of text with everything unprintable escaped, cut to fit, always ended by NUL. Returns its length.
 */
size_t log_escape(const char *text, size_t len, char *out, size_t size);

#endif
