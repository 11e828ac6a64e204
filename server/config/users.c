/* server/config/users.c -- whose sockets are, and which users workers are. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/check.h"

/* Of no account, no container and no dynamic user of systemd (its list of user ids calls them unused). In a user
 * namespace that does not have them: ids for dynamic users, of which a container has none. */
#define USERS_DEFAULT (struct id_range){.first = 1900000000, .last = 1900004095}
#define USERS_OF_NAMESPACE (struct id_range){.first = 61184, .last = 65279}

struct id_range {
    uint64_t first, last;
    gid_t gid; /* of a single user that has an account */
    bool has_gid;
    bool shared; /* a single user, all tenants' */
};

/* Digits up to `end`, which is left after them. */
static bool parse_id(const char **text, uint64_t *out)
{
    char *end;
    if (**text < '0' || **text > '9') return false;
    *out = strtoull(*text, &end, 10);
    *text = end;
    return *out < UINT32_MAX;
}

static bool parse_range(const char *text, struct id_range *out)
{
    if (!parse_id(&text, &out->first)) return false;
    out->last = out->first;
    out->shared = *text == 0;
    if (*text == '-' && (text++, !parse_id(&text, &out->last))) return false;
    return *text == 0 && out->first <= out->last;
}

/* One id and nothing else. */
static bool parse_one(const char *text, uint64_t *out) { return parse_id(&text, out) && *text == 0; }

bool config_find_user(const char *text, uid_t *out)
{
    uint64_t id = (uid_t)-1;
    const struct passwd *user = *text != 0 ? getpwnam(text) : NULL;
    if (*text != 0 && user == NULL && !parse_one(text, &id)) return false;
    *out = user != NULL ? user->pw_uid : (uid_t)id;
    return true;
}

bool config_find_group(const char *text, gid_t *out)
{
    uint64_t id = (gid_t)-1;
    const struct group *group = *text != 0 ? getgrnam(text) : NULL;
    if (*text != 0 && group == NULL && !parse_one(text, &id)) return false;
    *out = group != NULL ? group->gr_gid : (gid_t)id;
    return true;
}

/* Whether this user namespace has the id. Where the kernel does not say, there are no namespaces. */
static bool is_mapped(uint64_t id)
{
    unsigned long long first, outside, count;
    bool found = false;
    FILE *map = fopen("/proc/self/uid_map", "re");
    if (map == NULL) return true;
    while (!found && fscanf(map, "%llu %llu %llu", &first, &outside, &count) == 3)
        found = id >= first && id - first < count;
    fclose(map);
    return found;
}

/* A name first, since a name may begin with a digit. */
static bool parse_users(const char *text, struct id_range *out)
{
    if (*text == 0) {
        *out = is_mapped(USERS_DEFAULT.last) ? USERS_DEFAULT : USERS_OF_NAMESPACE;
        return true;
    }
    const struct passwd *user = getpwnam(text);
    if (user == NULL && !parse_range(text, out)) return false;
    if (user == NULL && out->shared) user = getpwuid((uid_t)out->first);
    if (user != NULL) *out = (struct id_range){user->pw_uid, user->pw_uid, user->pw_gid, true, true};
    return true;
}

int config_assign_users(struct config *config, struct config_fault *fault)
{
    struct id_range users = {0};
    const char *text = config->options.worker_user, *key = "worker_user";
    if (!parse_users(text, &users))
        return config_fault_at(fault, CONFIG_TOP_LEVEL, key, "\"%s\" is no user, no id and no FIRST-LAST", text);
    if (!users.shared && users.last - users.first + 1 < config->ntenants)
        return config_fault_at(fault, CONFIG_TOP_LEVEL, key, "%s are fewer ids than the %zu tenants", text,
                               config->ntenants);
    for (size_t i = 0; i < config->ntenants; i++) {
        struct tenant_config *tenant = &config->tenants[i];
        tenant->worker_uid = (uid_t)(users.first + (users.shared ? 0 : i));
        tenant->worker_gid = users.has_gid ? users.gid : (gid_t)tenant->worker_uid;
        if (tenant->worker_uid == 0 || tenant->worker_gid == 0 || config_uid_is_overflow(tenant->worker_uid))
            return config_fault_at(fault, CONFIG_TOP_LEVEL, key, "user %u cannot be a worker's", tenant->worker_uid);
    }
    return 0;
}
