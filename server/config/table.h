/* server/config/table.h -- config.h's rows as data, for config/ only.
 * Pure data and text conversion; nothing here fails except the parsers, which return 0, -EINVAL or -ERANGE. */
#ifndef HEMI_SERVER_CONFIG_TABLE_H
#define HEMI_SERVER_CONFIG_TABLE_H

#include "server/config/config.h"

enum option_kind {
    KIND_SIZE,
    KIND_DURATION,
    KIND_COUNT,
    KIND_LEVEL,
    KIND_FORMAT,
    KIND_NEED,
    KIND_SWITCH,
    KIND_TEXT,
    KIND_MODE,
    KIND_UIDS
};

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset; /* of the member in the group's struct */
    uint64_t def, min, max;
    const char *doc;
};

/* A group in braces: what it is called in the file, where its rows are. */
struct option_group {
    const char *title;
    const struct option_row *rows;
    size_t nrows;
};

extern const struct option_group config_daemon_group, config_limits_group, config_socket_group, config_tenant_group;

/* Sets every row's member of `base` to its default. */
void config_group_defaults(const struct option_group *group, void *base);

/* The row called `name`, or NULL. */
const struct option_row *config_group_find(const struct option_group *group, const char *name);

/* The words of a LEVEL, FORMAT, NEED or SWITCH option, ended by NULL; NULL for other kinds. */
const char *const *config_words(enum option_kind kind);

/* The row's value in `base` as the file would say it, quoted where the file quotes. */
void config_format_value(const struct option_row *row, const void *base, char *out, size_t size);

/* The row's number as text with the largest unit that divides it ("64MiB", "30s", "0660", "info", "12"). */
void config_format_number(enum option_kind kind, uint64_t value, char *out, size_t size);

/* Text of a row of any kind that is one number. Returns 0, -EINVAL, -ERANGE (not within 64 bits). */
int config_parse_number(enum option_kind kind, const char *text, uint64_t *out);

#endif
