/* server/common/log.c -- what a line says, and whether it may be said. */
#include "server/common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/tables/printable.h"
#include "server/common/log_writer.h"

#define MESSAGE_MAX 2048
#define BURST_SECONDS 4 /* what may come at once, in seconds of the rate: a whole sanitizer report */
#define SHARE_PART 10   /* of log_rate: what each source has of its own */

/* Sources without a tenant; tenants follow, sorted by name. */
enum { SOURCE_DAEMON, SOURCE_DOOR, SOURCE_TENANTS };

/* A token bucket: BURST_SECONDS of its rate may be taken at once. */
struct bucket {
    uint64_t spent_ms; /* lines x 1000 taken and not yet refilled */
    uint64_t at_ms;
};

struct log_source {
    char name[sizeof((struct tenant_config){0}.name)]; /* empty: no tenant */
    struct bucket own;
};

static struct {
    enum log_level level;
    _Atomic bool json; /* the writer asks too */
    uint64_t rate;
    struct bucket common;
    struct log_source *sources;
    unsigned nsources;
} sink = {.level = LOG_INFO, .rate = 50};

size_t log_escape(const char *text, size_t len, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len && used + 5 <= size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c < 0x7f)
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", c);
    }
    out[used] = 0;
    return used;
}

/* ---- may it be said */

static bool bucket_take(struct bucket *bucket, uint64_t rate)
{
    uint64_t now = clock_ms(), refilled = now - bucket->at_ms;
    if (refilled > BURST_SECONDS * 1000) refilled = BURST_SECONDS * 1000;
    refilled *= rate;
    bucket->at_ms = now;
    bucket->spent_ms = bucket->spent_ms > refilled ? bucket->spent_ms - refilled : 0;
    if (bucket->spent_ms + 1000 > rate * BURST_SECONDS * 1000) return false;
    bucket->spent_ms += 1000;
    return true;
}

/* First what is its own, then what all share. */
static bool may_say(unsigned source)
{
    uint64_t share = sink.rate / SHARE_PART > 0 ? sink.rate / SHARE_PART : 1;
    if (source < sink.nsources && bucket_take(&sink.sources[source].own, share)) return true;
    return bucket_take(&sink.common, sink.rate);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct log_source *)a)->name, ((const struct log_source *)b)->name);
}

static unsigned source_of(const struct log_about *about)
{
    struct log_source key;
    if (about->tenant == NULL || sink.nsources == 0) return about->limited ? SOURCE_DOOR : SOURCE_DAEMON;
    snprintf(key.name, sizeof key.name, "%s", about->tenant);
    const struct log_source *found =
        bsearch(&key, sink.sources + SOURCE_TENANTS, sink.nsources - SOURCE_TENANTS, sizeof key, compare_names);
    return found != NULL ? (unsigned)(found - sink.sources) : SOURCE_DOOR;
}

/* ---- what it says */

struct line {
    char text[WRITER_LINE_MAX];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list args;
    size_t room = sizeof line->text - line->len;
    va_start(args, format);
    int len = vsnprintf(line->text + line->len, room, format, args);
    va_end(args);
    if (len > 0) line->len += (size_t)len < room ? (size_t)len : room - 1;
}

/* `,"key":"text"` of printable ASCII. */
static void add_json(struct line *line, const char *key, const char *text)
{
    add(line, "%s\"%s\":\"", line->len > 1 ? "," : "", key);
    for (; *text != 0 && line->len + 64 < sizeof line->text; text++) {
        if (*text == '"' || *text == '\\') line->text[line->len++] = '\\';
        line->text[line->len++] = *text;
    }
    add(line, "\"");
}

static void format_time(char *out, size_t size)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static void format_plain(struct line *line, enum log_level level, const char *event, const struct log_about *about,
                         const char *message)
{
    char time[64];
    format_time(time, sizeof time);
    add(line, "%s %-7s %s", time, config_level_word(level), event);
    if (about->tenant != NULL) add(line, " tenant=%s", about->tenant);
    if (about->pid != 0) add(line, " pid=%d", about->pid);
    if (about->connection != 0) add(line, " connection=%" PRIu64, about->connection);
    if (about->status != NULL) add(line, " status=%s", about->status);
    add(line, ": %s", message);
}

/* By hand, since a line must not need memory that may be missing. */
static void format_json(struct line *line, enum log_level level, const char *event, const struct log_about *about,
                        const char *message)
{
    char time[64];
    format_time(time, sizeof time);
    add(line, "{");
    add_json(line, "time", time);
    add_json(line, "level", config_level_word(level));
    add_json(line, "event", event);
    if (about->tenant != NULL) add_json(line, "tenant", about->tenant);
    if (about->pid != 0) add(line, ",\"pid\":%d", about->pid);
    if (about->connection != 0) add(line, ",\"connection\":%" PRIu64, about->connection);
    if (about->status != NULL) add_json(line, "status", about->status);
    add_json(line, "message", message);
    add(line, "}");
}

static void format_line(struct line *line, enum log_level level, const char *event, const struct log_about *about,
                        const char *message)
{
    line->len = 0;
    (sink.json ? format_json : format_plain)(line, level, event, about, message);
    line->text[line->len++] = '\n'; /* where add() keeps room for a NUL */
}

/* writer_tell, in the writer's thread. */
static size_t tell_losses(unsigned source, const struct writer_losses *losses, char *out)
{
    static struct line line;
    char message[160];
    struct log_about about = {.tenant = source >= SOURCE_TENANTS ? sink.sources[source].name : NULL};
    snprintf(message, sizeof message,
             "%" PRIu64 " lines%s: %" PRIu64 " over the rate, %" PRIu64 " could not be written",
             losses->limited + losses->unwritten, source == SOURCE_DOOR ? " about peers of no tenant" : "",
             losses->limited, losses->unwritten);
    format_line(&line, LOG_WARNING, "log-dropped", &about, message);
    memcpy(out, line.text, line.len);
    return line.len;
}

/* ---- from outside */

void log_configure(const struct daemon_options *options)
{
    sink.level = (enum log_level)options->log_level;
    sink.json = options->log_format == FORMAT_JSON || (options->log_format == FORMAT_AUTO && !isatty(STDERR_FILENO));
    sink.rate = options->log_rate;
}

int log_start(const struct config *config)
{
    unsigned nsources = (unsigned)config->ntenants + SOURCE_TENANTS;
    sink.sources = calloc(nsources, sizeof *sink.sources);
    if (sink.sources == NULL) return -ENOMEM;
    for (size_t i = 0; i < config->ntenants; i++)
        memcpy(sink.sources[SOURCE_TENANTS + i].name, config->tenants[i].name, sizeof config->tenants[i].name);
    qsort(sink.sources + SOURCE_TENANTS, config->ntenants, sizeof *sink.sources, compare_names);
    sink.nsources = nsources;
    return writer_start(STDERR_FILENO, nsources, tell_losses);
}

void log_stop(void)
{
    if (!writer_stop()) return; /* it may still look at the sources */
    free(sink.sources);
    sink.sources = NULL;
    sink.nsources = 0;
}

void log_event(enum log_level level, const char *event, const struct log_about *about, const char *format, ...)
{
    static const struct log_about nothing;
    static struct line line;
    char raw[MESSAGE_MAX], message[4 * MESSAGE_MAX];
    va_list args;
    if (about == NULL) about = &nothing;
    if (level < sink.level) return;
    unsigned source = source_of(about);
    if (about->limited && !may_say(source)) return writer_limited(source);
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    log_escape(raw, strlen(raw), message, sizeof message);
    format_line(&line, level, event, about, message);
    writer_put(source, line.text, line.len);
}

void log_complain(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printable(text, sizeof text);
    fprintf(stderr, "hemid: %s\n", text);
}
