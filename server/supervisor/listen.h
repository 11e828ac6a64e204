/* server/supervisor/listen.h -- listening sockets in the file system.
 *
 * Beside a socket PATH there is PATH.lock, held (flock) by the daemon that serves it. With the lock in hand a socket
 * file that nobody answers at is stale and is replaced; one that somebody answers at, or any other kind of file, is not
 * touched (.own-socket). Mode and owner are set by descriptor, never by path, where the directory's owner could put
 * something else in between (.by-descriptor): the mode before bind, which takes it from the socket, the owner before
 * listen, when nobody can connect yet. Neither depends on the umask.
 * Threads: umask is process-wide; one thread at a time.
 */
#ifndef HEMI_SERVER_SUPERVISOR_LISTEN_H
#define HEMI_SERVER_SUPERVISOR_LISTEN_H

#include "server/config/config.h"

struct listener {
    int fd; /* nonblocking, close-on-exec */
    int lock_fd;
    dev_t dev; /* of the socket file, so that only our own is unlinked */
    ino_t ino;
    char path[108];
};

/* Binds and listens. Returns 0; -EADDRINUSE when another daemon serves the path; -EEXIST when something that is no
 * socket is there; -ENAMETOOLONG; -EINVAL for an unknown owner or group; another -errno. `error` says it in words. */
int listen_open(const struct socket_options *socket, int backlog, struct listener *out, struct config_error *error);

/* Closes, unlinks the socket file if it is still ours, and gives up the lock. */
void listen_close(struct listener *listener);

/* The socket's path by the rules: `given` (--socket), $HEMI_SOCKET, $XDG_RUNTIME_DIR/hemi/hemi.sock,
 * /run/hemi/hemi.sock; *is_default tells of the last two. Returns 0 or -ENAMETOOLONG. */
int listen_path(const char *given, char out[108], bool *is_default);

/* Makes the directory of a default path, if it is missing. */
void listen_make_directory(const char *path);

#endif
