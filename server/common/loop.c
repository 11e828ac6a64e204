#include "server/common/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

int loop_presize(uv_loop_t *loop, uv_poll_t *handle, uint64_t limit)
{
    int status = 0, event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0) return -errno;
    int highest = fcntl(event, F_DUPFD_CLOEXEC, (int)limit - 1);
    if (highest < 0) status = -errno;
    if (status == 0) status = uv_poll_init(loop, handle, highest);
    if (status == 0) {
        uv_poll_start(handle, UV_READABLE, NULL);
        uv_close((uv_handle_t *)handle, NULL);
    }
    if (highest >= 0) close(highest);
    close(event);
    return status;
}
