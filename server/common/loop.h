/* server/common/loop.h -- what libuv leaves to us, in the supervisor and in workers.
 *
 * School of checking: TRUSTED; what the kernel has no room for is a status. Threads: the loop's. */
#ifndef HEMI_SERVER_COMMON_LOOP_H
#define HEMI_SERVER_COMMON_LOOP_H

#include <stdint.h>
#include <uv.h>

/* Makes the loop's table of watchers as large as it can ever become with descriptors below `limit`, since libuv aborts
 * where it cannot be grown later. `handle` is used for that and closed; the caller runs the loop before it goes.
 * Returns 0 or a negative errno. */
int loop_presize(uv_loop_t *loop, uv_poll_t *handle, uint64_t limit);

#endif
