/* server/supervisor/door.h -- where connections come in, and who is about to say HELLO there.
 *
 * Ownership: the supervisor's; it owns the clients whose HELLO is still read. */
#ifndef HEMI_SERVER_SUPERVISOR_DOOR_H
#define HEMI_SERVER_SUPERVISOR_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "server/supervisor/client.h"
#include "server/supervisor/fd_pool.h"
#include "server/supervisor/listen.h"

/* The peers of one user that are about to say HELLO at one door, oldest first; there is at least one. */
struct greeter {
    LIST_ENTRY(greeter) link;
    struct door *door;
    uid_t uid;
    uint64_t count;
    struct client_list clients;
};

/* A listening socket; or, not open, where the private client came from. */
struct door {
    struct listener listener;
    struct supervisor *supervisor;
    struct tenant *tenant; /* whose it is; NULL: the shared one */
    uv_poll_t poll;
    bool open;
    LIST_HEAD(greeter_list, greeter) greeters;
    uint64_t ngreeting;
    struct fd_share share; /* of those that say HELLO */
};

#define FDS_REFUSED "nofile: others have the supervisor's descriptors, and this socket or tenant its share of them"

/* Room for every door that the configuration can have. Returns 0 or -ENOMEM. */
int doors_init(struct supervisor *s);

/* A door that is not open. */
struct door *door_new(struct supervisor *s, struct tenant *tenant);

/* Opens all. Returns 0 or a negative errno, which is logged. */
int doors_open(struct supervisor *s);
void doors_close(struct supervisor *s);

/* A client is about to say HELLO; another one may have to go for it. Returns false when it was refused instead. */
bool door_join(struct door *door, struct client *client);

/* Its HELLO has come, or will not. It keeps its share. */
void door_leave(struct client *client);

/* Refuses everybody whose HELLO is still read. */
void doors_refuse_greeting(struct supervisor *s, enum hemi_status status, const char *why);

#endif
