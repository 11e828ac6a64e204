/* server/config/config.c -- reads and checks the configuration. The file's grammar is libconfig's. */
#include "server/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libconfig.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/check.h"
#include "server/config/files.h"
#include "server/config/table.h"

#define TENANTS_MAX 4096

/* Where errors are said to be, while a file is read. */
struct reader {
    const char *file;
    struct config_error *error;
};

int config_fail(struct config_error *error, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

__attribute__((format(printf, 3, 4))) static int refuse_at(const struct reader *r, const config_setting_t *at,
                                                           const char *format, ...)
{
    const char *file = config_setting_source_file(at);
    const char *name = config_setting_name(at);
    char reason[320];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return config_fail(r->error, -EINVAL, "%s:%u: %s: %s", file != NULL ? file : r->file,
                       config_setting_source_line(at), name != NULL ? name : "(list entry)", reason);
}

/* ---- one option */

static const char *kind_form(enum option_kind kind)
{
    switch (kind) {
    case KIND_SIZE:
        return "a size such as \"64MiB\"";
    case KIND_DURATION:
        return "a time such as \"30s\" or \"250ms\"";
    case KIND_COUNT:
        return "a number";
    case KIND_LEVEL:
        return "one of debug, info, warning, error";
    case KIND_FORMAT:
        return "one of auto, plain, json";
    case KIND_NEED:
        return "one of report, require";
    case KIND_SWITCH:
        return "one of off, on";
    case KIND_TEXT:
        return "a string";
    case KIND_MODE:
        return "an octal file mode in quotes, such as \"0660\"";
    case KIND_UIDS:
        return "a list of user ids or names";
    }
    return "?";
}

/* A bare number in the file, which durations count in seconds. */
static int integer_value(enum option_kind kind, const config_setting_t *setting, uint64_t *out)
{
    long long number = config_setting_get_int64(setting);
    if (number < 0) return -ERANGE;
    if (kind == KIND_SIZE || kind == KIND_COUNT) return *out = (uint64_t)number, 0;
    if (kind == KIND_DURATION) return __builtin_mul_overflow((uint64_t)number, SECONDS, out) ? -ERANGE : 0;
    return -EINVAL;
}

static int read_number(const struct reader *r, const struct option_row *row, const config_setting_t *setting,
                       uint64_t *out)
{
    int type = config_setting_type(setting), status = -EINVAL;
    char min[32], max[32];
    if (type == CONFIG_TYPE_STRING)
        status = config_parse_number(row->kind, config_setting_get_string(setting), out);
    else if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
        status = integer_value(row->kind, setting, out);
    if (status == -EINVAL) return refuse_at(r, setting, "expected %s", kind_form(row->kind));
    if (status == 0 && *out >= row->min && *out <= row->max) return 0;
    config_format_number(row->kind, row->min, min, sizeof min);
    config_format_number(row->kind, row->max, max, sizeof max);
    return refuse_at(r, setting, "must be from %s to %s", min, max);
}

static int read_text(const struct reader *r, const struct option_row *row, const config_setting_t *setting, char *out)
{
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return refuse_at(r, setting, "expected %s", kind_form(row->kind));
    const char *text = config_setting_get_string(setting);
    size_t len = strlen(text);
    if (len < row->min || len > row->max)
        return refuse_at(r, setting, "is %zu bytes long; must be from %" PRIu64 " to %" PRIu64, len, row->min,
                         row->max);
    memcpy(out, text, len + 1);
    return 0;
}

static int read_uid(const struct reader *r, const config_setting_t *setting, uid_t *out)
{
    int type = config_setting_type(setting);
    if (type == CONFIG_TYPE_STRING) {
        const struct passwd *user = getpwnam(config_setting_get_string(setting));
        if (user == NULL) return refuse_at(r, setting, "no user \"%s\"", config_setting_get_string(setting));
        *out = user->pw_uid;
    } else {
        long long number = config_setting_get_int64(setting);
        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
            return refuse_at(r, setting, "expected a user id or name");
        if (number < 0 || number >= UINT32_MAX) return refuse_at(r, setting, "%lld is no user id", number);
        *out = (uid_t)number;
    }
    if (!config_uid_is_overflow(*out)) return 0;
    return refuse_at(r, setting, "user id %u stands for users the kernel cannot name, so it identifies nobody", *out);
}

static int read_uids(const struct reader *r, const config_setting_t *setting, struct config_uids *out)
{
    if (!config_setting_is_aggregate(setting) || config_setting_is_group(setting))
        return refuse_at(r, setting, "expected %s", kind_form(KIND_UIDS));
    int count = config_setting_length(setting);
    if (count < 1 || count > CONFIG_UIDS_MAX)
        return refuse_at(r, setting, "must have from 1 to %d entries", CONFIG_UIDS_MAX);
    for (int i = 0; i < count; i++) {
        int status = read_uid(r, config_setting_get_elem(setting, (unsigned)i), &out->at[i]);
        if (status != 0) return status;
    }
    out->count = (uint32_t)count;
    return 0;
}

static int read_option(const struct reader *r, const struct option_row *row, const config_setting_t *setting,
                       void *base)
{
    uint8_t *member = (uint8_t *)base + row->offset;
    uint64_t value = 0;
    if (row->kind == KIND_TEXT) return read_text(r, row, setting, (char *)member);
    if (row->kind == KIND_UIDS) return read_uids(r, setting, (struct config_uids *)(void *)member);
    int status = read_number(r, row, setting, &value);
    if (status == 0) memcpy(member, &value, sizeof value);
    return status;
}

/* ---- groups */

static bool is_subgroup(const char *name, const char *const *subgroups)
{
    for (size_t i = 0; subgroups[i] != NULL; i++)
        if (strcmp(subgroups[i], name) == 0) return true;
    return false;
}

/* Reads the rows of one group in braces; `subgroups` are names that the caller reads itself. */
static int read_group(const struct reader *r, const struct option_group *group, const config_setting_t *setting,
                      const char *const *subgroups, void *base)
{
    if (!config_setting_is_group(setting)) return refuse_at(r, setting, "expected a group in braces");
    for (int i = 0; i < config_setting_length(setting); i++) {
        const config_setting_t *child = config_setting_get_elem(setting, (unsigned)i);
        const char *name = config_setting_name(child);
        const struct option_row *row = config_group_find(group, name);
        if (row == NULL && is_subgroup(name, subgroups)) continue;
        if (row == NULL) return refuse_at(r, child, "unknown key");
        int status = read_option(r, row, child, base);
        if (status != 0) return status;
    }
    return 0;
}

static const char *const no_subgroups[] = {NULL};

static int read_socket(const struct reader *r, const config_setting_t *setting, struct socket_options *socket)
{
    uid_t uid;
    gid_t gid;
    int status = read_group(r, &config_socket_group, setting, no_subgroups, socket);
    if (status != 0) return status;
    if (socket->path[0] == 0) return refuse_at(r, setting, "needs a path");
    if (!config_find_user(socket->owner, &uid))
        return refuse_at(r, config_setting_get_member(setting, "owner"), "no user \"%s\"", socket->owner);
    if (!config_find_group(socket->group, &gid))
        return refuse_at(r, config_setting_get_member(setting, "group"), "no group \"%s\"", socket->group);
    return 0;
}

static int read_token(const struct reader *r, const config_setting_t *at, struct tenant_config *tenant)
{
    char why[128];
    int status = config_read_token(tenant->token_file, tenant->token, &tenant->token_len, why);
    return status == 0 ? 0 : refuse_at(r, at, "%s: %s", tenant->token_file, why);
}

static int read_tenant(const struct reader *r, const config_setting_t *setting, struct tenant_config *tenant)
{
    static const char *const subgroups[] = {"socket", "limits", NULL};
    config_setting_t *child;
    int status = read_group(r, &config_tenant_group, setting, subgroups, tenant);
    if (status != 0) return status;
    if ((child = config_setting_get_member(setting, "limits")) != NULL &&
        (status = read_group(r, &config_limits_group, child, no_subgroups, &tenant->limits)) != 0)
        return status;
    if ((child = config_setting_get_member(setting, "socket")) != NULL) {
        tenant->has_socket = true;
        if ((status = read_socket(r, child, &tenant->socket)) != 0) return status;
    }
    if (tenant->token_file[0] != 0)
        if ((status = read_token(r, config_setting_get_member(setting, "token_file"), tenant)) != 0) return status;
    if (tenant->name[0] == 0) return refuse_at(r, setting, "a tenant needs a name");
    int identities = tenant->has_socket + (tenant->token_len != 0) + (tenant->uids.count != 0);
    if (identities == 1) return 0;
    return refuse_at(r, setting, "tenant \"%s\" needs exactly one of socket, token_file and uids", tenant->name);
}

static void tenant_set_defaults(struct tenant_config *tenant, const struct tenant_limits *limits)
{
    memset(tenant, 0, sizeof *tenant);
    config_group_defaults(&config_tenant_group, tenant);
    config_group_defaults(&config_socket_group, &tenant->socket);
    tenant->limits = *limits;
}

static int read_tenants(const struct reader *r, const config_setting_t *setting, struct config *config)
{
    if (!config_setting_is_list(setting)) return refuse_at(r, setting, "expected a list of groups, ({...}, {...})");
    int count = config_setting_length(setting);
    if (count > TENANTS_MAX) return refuse_at(r, setting, "at most %d tenants", TENANTS_MAX);
    if (count == 0) return 0;
    config->tenants = calloc((size_t)count, sizeof *config->tenants);
    if (config->tenants == NULL) return -ENOMEM;
    for (int i = 0; i < count; i++) {
        struct tenant_config *tenant = &config->tenants[config->ntenants++];
        tenant_set_defaults(tenant, &config->limits);
        int status = read_tenant(r, config_setting_get_elem(setting, (unsigned)i), tenant);
        if (status != 0) return status;
    }
    return 0;
}

static int read_root(const struct reader *r, const config_t *parsed, struct config *config)
{
    static const char *const subgroups[] = {"limits", "socket", "tenants", NULL};
    config_setting_t *root = config_root_setting(parsed), *child;
    int status = read_group(r, &config_daemon_group, root, subgroups, &config->options);
    if (status != 0) return status;
    if ((child = config_setting_get_member(root, "limits")) != NULL &&
        (status = read_group(r, &config_limits_group, child, no_subgroups, &config->limits)) != 0)
        return status;
    if ((child = config_setting_get_member(root, "socket")) != NULL &&
        (status = read_socket(r, child, &config->socket)) != 0)
        return status;
    if ((child = config_setting_get_member(root, "tenants")) != NULL) return read_tenants(r, child, config);
    return 0;
}

/* ---- whole configurations */

void config_set_defaults(struct config *config)
{
    memset(config, 0, sizeof *config);
    config_group_defaults(&config_daemon_group, &config->options);
    config_group_defaults(&config_socket_group, &config->socket);
    config_group_defaults(&config_limits_group, &config->limits);
}

/* Says where in the file a fault between options is. */
static int refuse_fault(const struct reader *r, const config_t *parsed, const struct config_fault *fault)
{
    char path[64] = "";
    if (fault->tenant != CONFIG_TOP_LEVEL) snprintf(path, sizeof path, "tenants.[%zu].", fault->tenant);
    size_t used = strlen(path);
    snprintf(path + used, sizeof path - used, "%s", fault->key);
    const config_setting_t *at = config_lookup(parsed, path);
    if (at == NULL && fault->or_key != NULL) at = config_lookup(parsed, fault->or_key);
    if (at != NULL) return refuse_at(r, at, "%s", fault->reason);
    return config_fail(r->error, -EINVAL, "%s: %s: %s", r->file, fault->key, fault->reason);
}

static int read_parsed(const struct reader *r, const config_t *parsed, struct config *config)
{
    struct config_fault fault;
    int status = read_root(r, parsed, config);
    if (status != 0) return status;
    status = config_find_fault(config, &fault);
    return status == -EINVAL ? refuse_fault(r, parsed, &fault) : status;
}

int config_load(struct config *config, const char *file, struct config_error *error)
{
    struct reader r = {file, error};
    config_t parsed;
    int status = config_check_files(file, error);
    if (status != 0) return status;
    config_init(&parsed);
    if (config_read_file(&parsed, file) != CONFIG_TRUE) {
        const char *where = config_error_file(&parsed);
        status = config_fail(error, -EINVAL, "%s:%d: %s", where != NULL ? where : file, config_error_line(&parsed),
                             config_error_text(&parsed));
    } else {
        status = read_parsed(&r, &parsed, config);
    }
    config_destroy(&parsed);
    if (status == -ENOMEM) snprintf(error->text, sizeof error->text, "%s: out of memory", file);
    return status;
}

static int add_tenant(struct config *config, const char *name)
{
    config->tenants = calloc(1, sizeof *config->tenants);
    if (config->tenants == NULL) return -ENOMEM;
    config->ntenants = 1;
    tenant_set_defaults(&config->tenants[0], &config->limits);
    snprintf(config->tenants[0].name, sizeof config->tenants[0].name, "%s", name);
    return 0;
}

int config_raise(struct config *config, const char *text)
{
    char name[64];
    uint64_t wanted, now;
    const char *sign = strchr(text, '=');
    if (sign == NULL || sign - text >= (ptrdiff_t)sizeof name) return -EINVAL;
    snprintf(name, sizeof name, "%.*s", (int)(sign - text), text);
    const struct option_row *row = config_group_find(&config_limits_group, name);
    int status =
        row != NULL && config_words(row->kind) == NULL ? config_parse_number(row->kind, sign + 1, &wanted) : -EINVAL;
    if (status != 0) return status;
    uint8_t *member = (uint8_t *)&config->limits + row->offset;
    memcpy(&now, member, sizeof now);
    if (wanted > row->max) wanted = row->max;
    if (wanted > now) memcpy(member, &wanted, sizeof wanted);
    return 0;
}

int config_private(struct config *config)
{
    config->options.log_level = LOG_WARNING; /* its standard error is the program's that started it */
    return add_tenant(config, "private");
}

int config_default(struct config *config, const char *path, struct config_error *error)
{
    if (config_uid_is_overflow(geteuid()))
        return config_fail(error, -EINVAL,
                           "user id %u identifies nobody; give a configuration whose tenant has a socket of its own",
                           geteuid());
    if (add_tenant(config, "default") != 0) return -ENOMEM;
    config->tenants[0].uids = (struct config_uids){.count = 1, .at = {geteuid()}};
    if (strlen(path) >= sizeof config->socket.path)
        return config_fail(error, -EINVAL, "%s: a socket's path has at most %zu bytes", path,
                           sizeof config->socket.path - 1);
    memcpy(config->socket.path, path, strlen(path) + 1);
    return 0;
}

void config_deinit(struct config *config)
{
    if (config->tenants != NULL) explicit_bzero(config->tenants, config->ntenants * sizeof *config->tenants);
    free(config->tenants);
    config->tenants = NULL;
    config->ntenants = 0;
}

bool config_uid_is_overflow(uid_t uid)
{
    unsigned long overflow = 65534;
    char text[32] = "";
    int fd = open("/proc/sys/kernel/overflowuid", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t got = read(fd, text, sizeof text - 1);
        if (got > 0) overflow = strtoul(text, NULL, 10);
        close(fd);
    }
    return uid == 65534 || uid == overflow || uid == (uid_t)-1;
}

static bool same_socket(const struct socket_options *a, const struct socket_options *b)
{
    return strcmp(a->path, b->path) == 0 && a->mode == b->mode && strcmp(a->owner, b->owner) == 0 &&
           strcmp(a->group, b->group) == 0;
}

static bool same_identity(const struct tenant_config *a, const struct tenant_config *b)
{
    return strcmp(a->name, b->name) == 0 && a->has_socket == b->has_socket &&
           (!a->has_socket || same_socket(&a->socket, &b->socket)) && (a->token_len != 0) == (b->token_len != 0) &&
           a->uids.count == b->uids.count && memcmp(a->uids.at, b->uids.at, a->uids.count * sizeof a->uids.at[0]) == 0;
}

bool config_reloadable(const struct config *a, const struct config *b, struct config_error *error)
{
    if (a->ntenants != b->ntenants) return config_fail(error, -EINVAL, "tenants: their number changed"), false;
    if (!same_socket(&a->socket, &b->socket)) return config_fail(error, -EINVAL, "socket: it changed"), false;
    for (size_t i = 0; i < a->ntenants; i++)
        if (!same_identity(&a->tenants[i], &b->tenants[i]))
            return config_fail(error, -EINVAL, "tenants: \"%s\" changed its name, socket or user ids",
                               a->tenants[i].name),
                   false;
    return true;
}
