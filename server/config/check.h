/* server/config/check.h -- what holds between options, for config/ only. */
#ifndef HEMI_SERVER_CONFIG_CHECK_H
#define HEMI_SERVER_CONFIG_CHECK_H

#include "server/config/config.h"

#define CONFIG_TOP_LEVEL SIZE_MAX

/* Which option is wrong in view of others: for who knows the lines. */
struct config_fault {
    size_t tenant;      /* its place in the list, or CONFIG_TOP_LEVEL */
    const char *key;    /* "socket.path" for what is in a group */
    const char *or_key; /* the option it disagrees with, if the file has only that one */
    char reason[320];
};

/* Finds the first one, and gives each tenant its worker's user. Returns 0, -EINVAL and the fault, or -ENOMEM. */
int config_find_fault(struct config *config, struct config_fault *fault);

/* Gives each tenant its worker_uid and worker_gid, as worker_user says. Returns 0 or -EINVAL and the fault. */
int config_assign_users(struct config *config, struct config_fault *fault);

/* Says what the fault is. Returns -EINVAL. */
__attribute__((format(printf, 4, 5))) int config_fault_at(struct config_fault *fault, size_t tenant, const char *key,
                                                          const char *format, ...);

#endif
