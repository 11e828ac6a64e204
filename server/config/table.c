/* server/config/table.c -- the option rows as tables, and numbers with units to and from text. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/table.h"

/* A TEXT or UIDS row's default is empty, whatever its column says. */
#define NUMBER_SIZE(v) (v)
#define NUMBER_DURATION(v) (v)
#define NUMBER_COUNT(v) (v)
#define NUMBER_LEVEL(v) (v)
#define NUMBER_FORMAT(v) (v)
#define NUMBER_NEED(v) (v)
#define NUMBER_SWITCH(v) (v)
#define NUMBER_MODE(v) (v)
#define NUMBER_UIDS(v) (0)
#define NUMBER_TEXT(v) (0)

#define ROW(type, name, kind, def, min, max, doc)                                                                      \
    {#name, KIND_##kind, offsetof(struct type, name), NUMBER_##kind(def), (min), (max), doc},
#define DAEMON_ROW(name, kind, def, min, max, doc) ROW(daemon_options, name, kind, def, min, max, doc)
#define LIMITS_ROW(name, kind, def, min, max, doc) ROW(tenant_limits, name, kind, def, min, max, doc)
#define SOCKET_ROW(name, kind, def, min, max, doc) ROW(socket_options, name, kind, def, min, max, doc)
#define TENANT_ROW(name, kind, def, min, max, doc) ROW(tenant_config, name, kind, def, min, max, doc)

static const struct option_row daemon_rows[] = {DAEMON_OPTIONS(DAEMON_ROW)};
static const struct option_row limits_rows[] = {LIMIT_OPTIONS(LIMITS_ROW)};
static const struct option_row socket_rows[] = {SOCKET_OPTIONS(SOCKET_ROW)};
static const struct option_row tenant_rows[] = {TENANT_OPTIONS(TENANT_ROW)};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

const struct option_group config_daemon_group = {"daemon", daemon_rows, COUNT_OF(daemon_rows)};
const struct option_group config_limits_group = {"limits", limits_rows, COUNT_OF(limits_rows)};
const struct option_group config_socket_group = {"socket", socket_rows, COUNT_OF(socket_rows)};
const struct option_group config_tenant_group = {"tenant", tenant_rows, COUNT_OF(tenant_rows)};

static const char *const level_words[] = {"debug", "info", "warning", "error", NULL};
static const char *const format_words[] = {"auto", "plain", "json", NULL};
static const char *const need_words[] = {"report", "require", NULL};
static const char *const switch_words[] = {"off", "on", NULL};

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the first that divides a value writes it. */
static const struct unit size_units[] = {{"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"B", 1}};
static const struct unit duration_units[] = {{"h", 3600 * SECONDS}, {"m", 60 * SECONDS}, {"s", SECONDS}, {"ms", 1}};

const char *const *config_words(enum option_kind kind)
{
    switch (kind) {
    case KIND_LEVEL:
        return level_words;
    case KIND_FORMAT:
        return format_words;
    case KIND_NEED:
        return need_words;
    case KIND_SWITCH:
        return switch_words;
    default:
        return NULL;
    }
}

void config_group_defaults(const struct option_group *group, void *base)
{
    for (size_t i = 0; i < group->nrows; i++) {
        const struct option_row *row = &group->rows[i];
        uint8_t *member = (uint8_t *)base + row->offset;
        if (row->kind == KIND_TEXT)
            *member = 0;
        else if (row->kind == KIND_UIDS)
            memset(member, 0, sizeof(struct config_uids));
        else
            memcpy(member, &row->def, sizeof row->def);
    }
}

const struct option_row *config_group_find(const struct option_group *group, const char *name)
{
    for (size_t i = 0; i < group->nrows; i++)
        if (strcmp(group->rows[i].name, name) == 0) return &group->rows[i];
    return NULL;
}

static void format_units(const struct unit *units, size_t nunits, uint64_t value, char *out, size_t size)
{
    size_t i = 0;
    while (i + 1 < nunits && (value == 0 || value % units[i].factor != 0)) i++;
    snprintf(out, size, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

void config_format_number(enum option_kind kind, uint64_t value, char *out, size_t size)
{
    if (kind == KIND_SIZE)
        format_units(size_units, COUNT_OF(size_units), value, out, size);
    else if (kind == KIND_DURATION)
        format_units(duration_units, COUNT_OF(duration_units), value, out, size);
    else if (kind == KIND_MODE)
        snprintf(out, size, "0%03" PRIo64, value);
    else if (config_words(kind) != NULL)
        snprintf(out, size, "%s", config_words(kind)[value]);
    else
        snprintf(out, size, "%" PRIu64, value);
}

static void format_uids(const struct config_uids *uids, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < uids->count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%u", i == 0 ? "" : ", ", uids->at[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

/* A string as the file quotes it. */
static void format_text(const char *text, char *out, size_t size)
{
    size_t used = 0;
    if (size < 8) return;
    out[used++] = '"';
    for (; *text != 0 && used + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            used += (size_t)snprintf(out + used, size - used, "\\%c", c);
        else if (c < 0x20)
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", c);
        else
            out[used++] = (char)c;
    }
    out[used++] = '"';
    out[used] = 0;
}

void config_format_value(const struct option_row *row, const void *base, char *out, size_t size)
{
    const uint8_t *member = (const uint8_t *)base + row->offset;
    char number[64];
    uint64_t value;
    switch (row->kind) {
    case KIND_TEXT:
        format_text((const char *)member, out, size);
        return;
    case KIND_UIDS:
        format_uids((const struct config_uids *)(const void *)member, out, size);
        return;
    default:
        break;
    }
    memcpy(&value, member, sizeof value);
    config_format_number(row->kind, value, number, sizeof number);
    snprintf(out, size, row->kind == KIND_COUNT ? "%s" : "\"%s\"", number);
}

/* Digits, then one of the units (or nothing, which means `bare`). No sign, no space, no fraction. */
static int parse_units(const struct unit *units, size_t nunits, uint64_t bare, const char *text, uint64_t *out)
{
    char *end;
    uint64_t factor = 0;
    if (*text < '0' || *text > '9') return -EINVAL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno == ERANGE) return -ERANGE;
    if (*end == 0) factor = bare;
    for (size_t i = 0; i < nunits; i++)
        if (strcmp(end, units[i].name) == 0) factor = units[i].factor;
    if (factor == 0) return -EINVAL;
    return __builtin_mul_overflow(number, factor, out) ? -ERANGE : 0;
}

int config_parse_size(const char *text, uint64_t *bytes)
{
    return parse_units(size_units, COUNT_OF(size_units), 1, text, bytes);
}

int config_parse_duration(const char *text, uint64_t *ms)
{
    return parse_units(duration_units, COUNT_OF(duration_units), SECONDS, text, ms);
}

static int parse_word(const char *const *words, const char *text, uint64_t *out)
{
    for (uint64_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return 0;
        }
    return -EINVAL;
}

static int parse_mode(const char *text, uint64_t *out)
{
    size_t len = strlen(text);
    if (len < 3 || len > 5 || strspn(text, "01234567") != len) return -EINVAL;
    *out = strtoull(text, NULL, 8);
    return 0;
}

int config_parse_number(enum option_kind kind, const char *text, uint64_t *out)
{
    switch (kind) {
    case KIND_SIZE:
        return config_parse_size(text, out);
    case KIND_DURATION:
        return config_parse_duration(text, out);
    case KIND_COUNT:
        return parse_units(NULL, 0, 1, text, out);
    case KIND_MODE:
        return parse_mode(text, out);
    default:
        return parse_word(config_words(kind), text, out);
    }
}

int config_parse_level(const char *word, uint64_t *out) { return parse_word(level_words, word, out); }

const char *config_level_word(uint64_t level) { return level <= LOG_ERROR ? level_words[level] : "?"; }
