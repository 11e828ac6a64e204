/* server/supervisor/notify.h -- tells a service manager how the daemon is (systemd's sd_notify protocol: a datagram to
 * $NOTIFY_SOCKET). Without that variable nothing is sent; what cannot be sent at once is lost, and nothing is waited
 * for. Twenty lines instead of a library, which would bring its own dependencies into a small image. */
#ifndef HEMI_SERVER_SUPERVISOR_NOTIFY_H
#define HEMI_SERVER_SUPERVISOR_NOTIFY_H

#include <stddef.h>

/* "READY=1", "STOPPING=1", and so on; lines are separated by newlines. */
__attribute__((format(printf, 1, 2))) void notify(const char *format, ...);

/* It serves: the start or a reload is over. */
void notify_ready(size_t tenants);

/* A reload begins; notify_ready ends it. */
void notify_reloading(void);

#endif
