/* server/supervisor/notify.c -- datagrams to the service manager. */
#include "server/supervisor/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

/* A path, or a name in the abstract namespace, which begins with '@'. */
static socklen_t address_of(const char *name, struct sockaddr_un *out)
{
    size_t len = strlen(name);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((name[0] != '/' && name[0] != '@') || len >= sizeof out->sun_path) return 0;
    memcpy(out->sun_path, name, len);
    if (name[0] == '@') out->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void notify(const char *format, ...)
{
    struct sockaddr_un address;
    char text[512];
    va_list args;
    const char *name = getenv("NOTIFY_SOCKET");
    socklen_t len = name != NULL ? address_of(name, &address) : 0;
    int fd = len > 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
    close(fd);
}

void notify_ready(size_t tenants) { notify("READY=1\nSTATUS=serving %zu tenants", tenants); }

void notify_reloading(void)
{
    notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration",
           clock_ns(CLOCK_MONOTONIC) / 1000);
}
