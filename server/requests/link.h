/* server/requests/link.h -- what a module imports, out of what an INSTANCE_NEW gives for it. */
#ifndef HEMI_SERVER_REQUESTS_LINK_H
#define HEMI_SERVER_REQUESTS_LINK_H

#include "proto/tables/status.h"

struct module;
struct request;
struct rt_extern;

/* Fills `imports`, one for each that the module has. LINK tells all that are missing or of another type, the first of
 * them with both types; nothing was made then. */
enum hemi_status request_link(struct request *r, const struct module *m, struct rt_extern *imports);

#endif
