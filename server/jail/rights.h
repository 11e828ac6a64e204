/* server/jail/rights.h -- the steps of the jail by which a worker stops being who its supervisor is; for jail.c.
 *
 * They run before the filter and after what needs /proc. Each fills its row and returns 0 or -errno, as the others do.
 *   bounding_set  nothing that this process would execute could get a capability
 *   groups        no supplementary groups
 *   user          a user and group of its own; PDEATHSIG, which that clears, is armed again (.die-together)
 *   capabilities  none, in any set
 * Where the supervisor is privileged, all four are wanted. Where it is not (an ordinary user), there is nothing to give
 * up but what capabilities it has. */
#ifndef HEMI_SERVER_JAIL_RIGHTS_H
#define HEMI_SERVER_JAIL_RIGHTS_H

#include "server/jail/jail.h"

int enter_bounding_set(const struct jail_policy *policy, struct jail_step *row);
int enter_groups(const struct jail_policy *policy, struct jail_step *row);
int enter_user(const struct jail_policy *policy, struct jail_step *row);
int enter_capabilities(const struct jail_policy *policy, struct jail_step *row);

#endif
