/* server/supervisor/prove.h -- one worker is started and ended before the daemon says that it is ready. */
#ifndef HEMI_SERVER_SUPERVISOR_PROVE_H
#define HEMI_SERVER_SUPERVISOR_PROVE_H

struct supervisor;

/* Starts a worker and ends it. Returns 0, or -errno when it did not become ready, which is in the log then. */
int supervisor_prove(struct supervisor *s);

#endif
