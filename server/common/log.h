/* server/common/log.h -- the log: one line per event, on standard error.
 *
 * Plain text on a terminal, else one JSON object per line: time (RFC 3339, UTC, milliseconds), level, event, message
 * and, where known, tenant, pid, connection, status. Bytes that are not printable ASCII are written as \xNN, so a
 * client or a guest cannot forge a line or drive a terminal.
 *
 * A line's SOURCE is its tenant; lines about nobody's come from the daemon, or, when peers cause them, from the shared
 * door. What clients, guests and workers cause is limited to a rate: each source has some lines a second of its own,
 * and all share log_rate, so that one tenant's flood does not silence another's lines. Room in the queue to the reader
 * is shared in the same way (log_writer.h). What is dropped is told, for each source, as soon as lines can be written.
 *
 * Supervisor only; a worker sends HANDOVER_LOG instead. Never fails and never waits for a reader.
 * Threads: one calls; log_writer.h's writes.
 */
#ifndef HEMI_SERVER_COMMON_LOG_H
#define HEMI_SERVER_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/config/config.h"

/* What an event is about; zero members are left out. */
struct log_about {
    const char *tenant;
    int pid;
    uint64_t connection;
    const char *status;
    bool limited; /* caused by a client, a guest or a worker: counts against the rate */
};

/* Sets level, format (FORMAT_AUTO looks at standard error) and rate. */
void log_configure(const struct daemon_options *options);

/* Starts the writer for these tenants, whose names stay the same until log_stop. Until then lines are written at once.
 * Returns 0 or -errno. */
int log_start(const struct config *config);

/* Gives the reader a moment for what is queued (WRITER_FLUSH_MS). The last call. */
void log_stop(void);

/* Writes an event. `event` is a short constant ("worker-lost"); `about` may be NULL. */
__attribute__((format(printf, 4, 5))) void log_event(enum log_level level, const char *event,
                                                     const struct log_about *about, const char *format, ...);

/* Copies `len` bytes of text with everything unprintable escaped, cut to fit, always ended by NUL. Returns its length.
 */
size_t log_escape(const char *text, size_t len, char *out, size_t size);

/* Before there is a log: "hemid: ...", a line on standard error, escaped as the `hemi` command's are. */
__attribute__((format(printf, 1, 2))) void log_complain(const char *format, ...);

#endif
