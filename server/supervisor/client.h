/* server/supervisor/client.h -- a connection that no worker has adopted yet: HELLO, who it is, how it is refused.
 *
 * Ownership: its door while it says HELLO, then its tenant while it waits, then the worker that it is handed to. It is
 * in exactly one list; its descriptor is closed when it leaves the last (.one-copy), and counts in one share of the
 * pool: its door's, then its tenant's. It is freed when the last of its handles is closed.
 *
 * School of checking: HELLO, and who connects, are a PEER's: whatever is wrong is a refusal. */
#ifndef HEMI_SERVER_SUPERVISOR_CLIENT_H
#define HEMI_SERVER_SUPERVISOR_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <uv.h>

#include "proto/hello.h"
#include "proto/tables/status.h"
#include "server/common/handover.h"

struct door;
struct fd_share;
struct greeter;
struct supervisor;
struct tenant;

_Static_assert(HANDOVER_HELLO_MAX >= HELLO_MAX, "ADOPT carries every HELLO");

TAILQ_HEAD(client_list, client);

struct client {
    TAILQ_ENTRY(client) link;
    struct supervisor *supervisor;
    struct tenant *tenant;   /* from its door, or once identified; NULL before */
    struct greeter *greeter; /* while HELLO is read */
    struct fd_share *share;  /* that its descriptor counts in; NULL: it is about to be refused */
    int fd;
    uint64_t id;
    struct ucred peer;
    unsigned tries;    /* workers that ended with it on the way */
    unsigned declined; /* workers that could not take it */
    unsigned turns;    /* of our loop, waited for HELLO, then for a worker, then for that one to adopt it */
    unsigned handles;
    bool gone;        /* freed when its handles are closed */
    uv_poll_t poll;   /* while HELLO is read */
    uv_timer_t timer; /* its deadline */
    size_t hello_len;
    uint8_t hello[HELLO_MAX];
};

/* Takes over a connected socket: reads HELLO, identifies, hands over. */
void client_accept(struct door *door, int fd);

/* Sends CLOSE(status), closes and forgets a client that is in no list. */
void client_refuse(struct client *client, enum hemi_status status, const char *why);

/* Refuses a connection that nothing is known of yet but where it came from. */
void client_refuse_fd(const struct door *door, int fd, enum hemi_status status, const char *why);

/* Closes and forgets a client that is in no list. */
void client_free(struct client *client);

/* The same for one whose HELLO is still read. */
void client_refuse_greeting(struct client *client, enum hemi_status status, const char *why);

#endif
