/* server/config/check.c -- what holds between options. */
#include "server/config/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where a socket will be, however its path is spelled. */
struct place {
    bool known; /* whether the directory is there already */
    dev_t dev;
    ino_t ino;
    const char *path, *name; /* borrowed from the options */
};

int config_fault_at(struct config_fault *fault, size_t tenant, const char *key, const char *format, ...)
{
    va_list args;
    fault->tenant = tenant;
    fault->key = key;
    va_start(args, format);
    vsnprintf(fault->reason, sizeof fault->reason, format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- where sockets are */

static struct place place_of(const char *path)
{
    struct place place = {.path = path, .name = path};
    char directory[sizeof((struct socket_options *)NULL)->path] = ".";
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        place.name = slash + 1;
        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    }
    place.known = path[0] != 0 && stat(directory, &st) == 0;
    if (place.known) place.dev = st.st_dev, place.ino = st.st_ino;
    return place;
}

static bool same_place(const struct place *a, const struct place *b)
{
    if (strcmp(a->path, b->path) == 0) return true;
    return a->known && b->known && a->dev == b->dev && a->ino == b->ino && strcmp(a->name, b->name) == 0;
}

/* ---- two tenants */

static bool share_uid(const struct config_uids *a, const struct config_uids *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t j = 0; j < b->count; j++)
            if (a->at[i] == b->at[j]) return true;
    return false;
}

/* What tenants may not have in common: its option, and what that is called. */
struct identity {
    const char *key, *what;
};

static const struct identity *common_identity(const struct tenant_config *a, const struct place *at,
                                              const struct tenant_config *b, const struct place *bt)
{
    static const struct identity name = {"name", "name"}, socket = {"socket.path", "socket"},
                                 token = {"token_file", "token"}, uid = {"uids", "user id"};
    if (strcmp(a->name, b->name) == 0) return &name;
    if (a->has_socket && b->has_socket && same_place(at, bt)) return &socket;
    if (a->token_len != 0 && a->token_len == b->token_len && memcmp(a->token, b->token, a->token_len) == 0)
        return &token;
    return share_uid(&a->uids, &b->uids) ? &uid : NULL;
}

static int check_pairs(const struct config *config, const struct place *places, struct config_fault *fault)
{
    const struct tenant_config *tenants = config->tenants;
    for (size_t j = 1; j < config->ntenants; j++)
        for (size_t i = 0; i < j; i++) {
            const struct identity *same = common_identity(&tenants[i], &places[i], &tenants[j], &places[j]);
            if (same == NULL) continue;
            return config_fault_at(fault, j, same->key, "tenants \"%s\" and \"%s\" have the same %s", tenants[i].name,
                                   tenants[j].name, same->what);
        }
    return 0;
}

/* ---- all */

static bool name_is_plain(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return name[0] != '.' && name[0] != '-' && name[strspn(name, letters)] == 0;
}

static int check_tenants(const struct config *config, const struct place *places, struct config_fault *fault)
{
    struct place shared = place_of(config->socket.path);
    size_t sharing = 0;
    for (size_t i = 0; i < config->ntenants; i++) {
        const struct tenant_config *tenant = &config->tenants[i];
        if (!name_is_plain(tenant->name)) return config_fault_at(fault, i, "name", "\"%s\" is no name", tenant->name);
        if (!tenant->has_socket) sharing++;
        if (tenant->has_socket && same_place(&places[i], &shared))
            return config_fault_at(fault, i, "socket.path", "tenant \"%s\" has the shared socket as its own",
                                   tenant->name);
    }
    if (sharing == 0 && config->ntenants > 0 && config->socket.path[0] != 0)
        return config_fault_at(fault, CONFIG_TOP_LEVEL, "socket",
                               "no tenant has a token or user ids, so nobody could use it");
    return check_pairs(config, places, fault);
}

static int check_places(const struct config *config, struct config_fault *fault)
{
    struct place *places = calloc(config->ntenants + 1, sizeof *places);
    if (places == NULL) return -ENOMEM;
    for (size_t i = 0; i < config->ntenants; i++) places[i] = place_of(config->tenants[i].socket.path);
    int status = check_tenants(config, places, fault);
    free(places);
    return status;
}

int config_find_fault(struct config *config, struct config_fault *fault)
{
    *fault = (struct config_fault){.tenant = CONFIG_TOP_LEVEL};
    if (config->options.restart_delay > config->options.restart_delay_max) {
        fault->or_key = "restart_delay_max";
        return config_fault_at(fault, CONFIG_TOP_LEVEL, "restart_delay", "restart_delay exceeds restart_delay_max");
    }
    int status = check_places(config, fault);
    return status != 0 ? status : config_assign_users(config, fault);
}

int config_check(struct config *config, const char *source, struct config_error *error)
{
    struct config_fault fault;
    int status = config_find_fault(config, &fault);
    if (status == -EINVAL) snprintf(error->text, sizeof error->text, "%s: %s: %s", source, fault.key, fault.reason);
    return status;
}
