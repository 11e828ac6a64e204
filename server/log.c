/* server/log.c -- writes log lines. */
#include "server/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 2048
#define LINE_MAX_BYTES 20000 /* the message escaped twice over, and the rest */
#define BURST_SECONDS 4      /* what may come at once, in seconds of the rate: a whole sanitizer report */

static struct {
    int fd;
    enum log_level level;
    bool json;
    uint64_t rate;
    uint64_t tokens_ms; /* lines x 1000 that may be written now */
    uint64_t refilled_ms;
    uint64_t dropped;
} sink = {.fd = STDERR_FILENO, .level = LOG_INFO, .rate = 50, .tokens_ms = 50 * BURST_SECONDS * 1000};

void log_open(int fd, enum log_level level, enum log_format format, uint64_t rate)
{
    sink.fd = fd;
    sink.level = level;
    sink.json = format == FORMAT_JSON || (format == FORMAT_AUTO && !isatty(fd));
    sink.rate = rate;
    sink.tokens_ms = rate * BURST_SECONDS * 1000;
}

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

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A token bucket: `rate` lines per second, BURST_SECONDS of them at once. */
static bool take_token(void)
{
    uint64_t now = now_ms(), full = sink.rate * BURST_SECONDS * 1000;
    uint64_t passed = now - sink.refilled_ms;
    sink.refilled_ms = now;
    if (passed > BURST_SECONDS * 1000) passed = BURST_SECONDS * 1000;
    sink.tokens_ms += passed * sink.rate;
    if (sink.tokens_ms > full) sink.tokens_ms = full;
    if (sink.tokens_ms < 1000) return false;
    sink.tokens_ms -= 1000;
    return true;
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

static void write_line(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(sink.fd, line, len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return;
        line += wrote;
        len -= (size_t)wrote;
    }
}

static void write_plain(enum log_level level, const char *event, const struct log_about *about, const char *message)
{
    char time[64], line[LINE_MAX_BYTES];
    format_time(time, sizeof time);
    int used = snprintf(line, sizeof line, "%s %-7s %s", time, config_level_word(level), event);
    if (about->tenant != NULL) used += snprintf(line + used, sizeof line - (size_t)used, " tenant=%s", about->tenant);
    if (about->pid != 0) used += snprintf(line + used, sizeof line - (size_t)used, " pid=%d", about->pid);
    if (about->connection != 0)
        used += snprintf(line + used, sizeof line - (size_t)used, " connection=%" PRIu64, about->connection);
    if (about->status != NULL) used += snprintf(line + used, sizeof line - (size_t)used, " status=%s", about->status);
    used += snprintf(line + used, sizeof line - (size_t)used, ": %s\n", message);
    write_line(line, (size_t)used);
}

/* cJSON's memory while it writes a line, so that a line needs none of the system's. */
static struct {
    _Alignas(max_align_t) unsigned char bytes[LINE_MAX_BYTES];
    size_t used;
} arena;

static void *arena_take(size_t n)
{
    n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (n > sizeof arena.bytes - arena.used) return NULL;
    arena.used += n;
    return arena.bytes + arena.used - n;
}

static void arena_give(void *p) { (void)p; }

static void fill_json(cJSON *object, enum log_level level, const char *event, const struct log_about *about,
                      const char *message)
{
    char time[64];
    format_time(time, sizeof time);
    cJSON_AddStringToObject(object, "time", time);
    cJSON_AddStringToObject(object, "level", config_level_word(level));
    cJSON_AddStringToObject(object, "event", event);
    if (about->tenant != NULL) cJSON_AddStringToObject(object, "tenant", about->tenant);
    if (about->pid != 0) cJSON_AddNumberToObject(object, "pid", about->pid);
    if (about->connection != 0) cJSON_AddNumberToObject(object, "connection", (double)about->connection);
    if (about->status != NULL) cJSON_AddStringToObject(object, "status", about->status);
    cJSON_AddStringToObject(object, "message", message);
}

static void write_json(enum log_level level, const char *event, const struct log_about *about, const char *message)
{
    char line[LINE_MAX_BYTES];
    cJSON_InitHooks(&(cJSON_Hooks){arena_take, arena_give});
    arena.used = 0;
    cJSON *object = cJSON_CreateObject();
    fill_json(object, level, event, about, message);
    if (cJSON_PrintPreallocated(object, line, (int)sizeof line - 8, 0)) {
        size_t len = strlen(line);
        line[len] = '\n';
        write_line(line, len + 1);
    }
    cJSON_InitHooks(NULL);
}

static void write_event(enum log_level level, const char *event, const struct log_about *about, const char *message)
{
    (sink.json ? write_json : write_plain)(level, event, about, message);
}

/* Says how many lines were dropped, before the next one that is written. */
static void tell_dropped(void)
{
    char message[64];
    snprintf(message, sizeof message, "%" PRIu64 " lines", sink.dropped);
    sink.dropped = 0;
    write_event(LOG_WARNING, "log-dropped", &(struct log_about){0}, message);
}

void log_event(enum log_level level, const char *event, const struct log_about *about, const char *format, ...)
{
    static const struct log_about nothing;
    char raw[MESSAGE_MAX], message[4 * MESSAGE_MAX];
    va_list args;
    if (about == NULL) about = &nothing;
    if (level < sink.level) return;
    if (about->limited && !take_token()) {
        sink.dropped++;
        return;
    }
    if (sink.dropped > 0) tell_dropped();
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    log_escape(raw, strlen(raw), message, sizeof message);
    write_event(level, event, about, message);
}
