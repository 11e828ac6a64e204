/* server/supervisor/closer.h -- closes what a peer may have made slow to close, on a thread of its own.
 *
 * The last close of a descriptor can wait as long as whoever made it likes: a TCP socket that lingers, for its peer. A
 * connection that is closed takes along the descriptors that were sent to it and never received. So a loop closes no
 * connection of a peer itself (.close-apart). The thread does, and a signal of its own interrupts each wait after
 * CLOSER_PATIENCE_MS: the rest of a close that was interrupted is the kernel's.
 *
 * School of checking: our own calls are asserted to be in order; what a descriptor is, is the peer's business.
 */
#ifndef HEMI_SERVER_SUPERVISOR_CLOSER_H
#define HEMI_SERVER_SUPERVISOR_CLOSER_H

#include <stdatomic.h>
#include <stdint.h>

#define CLOSER_PATIENCE_MS 1

/* Returns 0 or a negative errno. Once in a process's life, before closer_close. */
int closer_start(void);

/* Closes a connection, or a control socket: here if nothing is left in it that holds descriptors, else soon and apart,
 * and until then it counts in *unclosed, which outlives closer_stop. Here, too, where no thread runs or more than it
 * can be told of waits for it. */
void closer_close(int fd, _Atomic uint32_t *unclosed);

/* Waits a moment for what was given to it. The last call. */
void closer_stop(void);

#endif
