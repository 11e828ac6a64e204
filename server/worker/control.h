/* server/worker/control.h -- a worker's end of the control socket: what its supervisor says, and is told.
 *
 * What is to be said is queued in the worker's outbox, whose memory is there before it is needed (.reserved), and goes
 * out as there is room: nothing waits for the supervisor (.control-nonblock). Without a control socket, as in tests,
 * nothing is said.
 *
 * School of checking: the supervisor's messages are trusted to be such (handover.h checks their form); end of file is
 * its end. */
#ifndef HEMI_SERVER_WORKER_CONTROL_H
#define HEMI_SERVER_WORKER_CONTROL_H

#include <stdint.h>

#include "proto/tables/status.h"
#include "server/common/handover.h"

struct worker;

/* To the supervisor: small, so that there can be room before it is needed (.reserved). */
struct control_message {
    uint16_t type;  /* enum handover_type */
    uint32_t code;  /* a phase, reason or status */
    uint64_t about; /* a connection, a nonce */
};

/* Watches the socket. 0, or an exit status. */
int control_start(struct worker *w);
/* These queue. */
void control_closed(struct worker *w, uint64_t connection, enum hemi_status status);
void control_phase(struct worker *w, enum handover_phase phase);
void control_flush(struct worker *w);
void control_deinit(struct worker *w);

#endif
