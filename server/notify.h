/* server/notify.h -- tells a service manager how the daemon is (systemd's sd_notify protocol: a datagram to
 * $NOTIFY_SOCKET). Without that variable nothing is sent; what cannot be sent at once is lost, and nothing is waited
 * for. Twenty lines instead of a library, which would bring its own dependencies into a small image. */
#ifndef HEMI_SERVER_NOTIFY_H
#define HEMI_SERVER_NOTIFY_H

/* "READY=1", "STOPPING=1", and so on; lines are separated by newlines. */
__attribute__((format(printf, 1, 2))) void notify(const char *format, ...);

/* A reload begins; READY=1 ends it. */
void notify_reloading(void);

#endif
