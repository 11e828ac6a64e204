/* server/supervisor/listen.c -- makes and removes listening sockets. */
#include "server/supervisor/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SIOCUNIXFILE 0x89e0 /* linux/un.h, which the C library's sys/un.h excludes */
#define LOCK_TRIES 16       /* times the lock file may vanish between opening and locking it */

static int set_path(struct sockaddr_un *address, const char *path, struct config_error *error)
{
    size_t len = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len >= sizeof address->sun_path)
        return config_fail(error, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
                           sizeof address->sun_path - 1);
    memcpy(address->sun_path, path, len);
    return 0;
}

static bool is_same_file(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

static int no_lock(const char *path, const char *name, int why, struct config_error *error)
{
    const char *slash = strrchr(path, '/');
    if (why == ENOENT && slash != NULL && slash > path)
        return config_fail(error, -why, "%s: the directory %.*s does not exist", path, (int)(slash - path), path);
    return config_fail(error, -why, "%s: its lock file, %s: %s", path, name, strerror(why));
}

/* Holds PATH.lock. The daemon that leaves unlinks it, so what was locked must still be what is named. */
static int take_lock(const char *path, int *out, struct config_error *error)
{
    char name[128];
    snprintf(name, sizeof name, "%s.lock", path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0) return no_lock(path, name, errno, error);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close(fd);
            return config_fail(error, -EADDRINUSE, "%s: another hemid serves it", path);
        }
        if (is_same_file(fd, name)) return *out = fd, 0;
        close(fd);
    }
    return config_fail(error, -EADDRINUSE, "%s: another hemid starts or stops", path);
}

static void drop_lock(const char *path, int fd)
{
    char name[128];
    snprintf(name, sizeof name, "%s.lock", path);
    if (is_same_file(fd, name)) unlink(name);
    close(fd);
}

/* Unlinks a socket file that nobody answers at. The lock is held. */
static int clear_stale(const struct sockaddr_un *address, struct config_error *error)
{
    const char *path = address->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? 0 : config_fail(error, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode)) return config_fail(error, -EEXIST, "%s: is there and is no socket", path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return config_fail(error, -errno, "socket: %s", strerror(errno));
    int refused = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(probe);
    if (refused != ECONNREFUSED) return config_fail(error, -EADDRINUSE, "%s: somebody else serves it", path);
    if (unlink(path) != 0 && errno != ENOENT) return config_fail(error, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int find_ids(const struct socket_options *socket, uid_t *uid, gid_t *gid, struct config_error *error)
{
    if (!config_find_user(socket->owner, uid))
        return config_fail(error, -EINVAL, "%s: no user \"%s\"", socket->path, socket->owner);
    if (!config_find_group(socket->group, gid))
        return config_fail(error, -EINVAL, "%s: no group \"%s\"", socket->path, socket->group);
    return 0;
}

/* .own-socket */
static void unlink_own(const char *path, const struct stat *own)
{
    struct stat st;
    if (lstat(path, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino) unlink(path);
}

/* The file that the socket is bound to, as a descriptor (O_PATH). The kernel hands it out to who has CAP_NET_ADMIN;
 * anybody else finds a socket at the path that is this user's and has one name: who can put another one there can do to
 * both whatever is done to this one. */
static int open_bound(int fd, const char *path, struct stat *st)
{
    int file = ioctl(fd, SIOCUNIXFILE);
    if (file < 0) file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) return -errno;
    fcntl(file, F_SETFD, FD_CLOEXEC);
    if (fstat(file, st) == 0 && S_ISSOCK(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1) return file;
    close(file);
    return -EBUSY;
}

/* .by-descriptor: what bind() makes gets the mode of the unbound socket. */
static int bind_with_mode(int fd, const struct sockaddr_un *address, mode_t mode)
{
    if (fchmod(fd, mode) != 0) return -errno;
    mode_t mask = umask(0);
    int status = bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ? -errno : 0;
    umask(mask);
    return status;
}

/* .by-descriptor: bind() makes the file this user's whatever the socket's owner is, so that is given to the file, while
 * nobody can connect. A directory's default ACL may have taken from the mode. */
static int set_rights(int file, const struct stat *st, uid_t uid, gid_t gid, mode_t mode)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    bool owned = uid != (uid_t)-1 || gid != (gid_t)-1;
    if (owned && fchownat(file, "", uid, gid, AT_EMPTY_PATH) != 0) return -errno;
    return (st->st_mode & 0777) != mode && chmod(link, mode) != 0 ? -errno : 0;
}

static int bind_and_listen(int fd, const struct socket_options *options, const struct sockaddr_un *address, int backlog,
                           struct stat *st, struct config_error *error)
{
    uid_t uid;
    gid_t gid;
    mode_t mode = (mode_t)options->mode;
    int status = find_ids(options, &uid, &gid, error);
    if (status != 0) return status;
    if ((status = bind_with_mode(fd, address, mode)) != 0)
        return config_fail(error, status, "%s: bind: %s", options->path, strerror(-status));
    int file = open_bound(fd, options->path, st);
    if (file < 0)
        return config_fail(error, file, "%s: was replaced while it was made: %s", options->path, strerror(-file));
    status = set_rights(file, st, uid, gid, mode);
    close(file);
    if (status != 0)
        config_fail(error, status, "%s: owner or mode: %s", options->path, strerror(-status));
    else if (listen(fd, backlog) != 0)
        status = config_fail(error, -errno, "%s: listen: %s", options->path, strerror(errno));
    if (status != 0) unlink_own(options->path, st);
    return status;
}

int listen_open(const struct socket_options *options, int backlog, struct listener *out, struct config_error *error)
{
    struct sockaddr_un address;
    struct stat st;
    int fd = -1, lock = -1;
    int status = set_path(&address, options->path, error);
    if (status != 0) return status;
    if ((status = take_lock(options->path, &lock, error)) != 0) return status;
    if ((status = clear_stale(&address, error)) != 0) goto fail;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        status = config_fail(error, -errno, "socket: %s", strerror(errno));
        goto fail;
    }
    if ((status = bind_and_listen(fd, options, &address, backlog, &st, error)) != 0) goto fail;
    *out = (struct listener){.fd = fd, .lock_fd = lock, .dev = st.st_dev, .ino = st.st_ino};
    memcpy(out->path, options->path, strlen(options->path) + 1);
    return 0;
fail:
    if (fd >= 0) close(fd);
    drop_lock(options->path, lock);
    return status;
}

void listen_close(struct listener *listener)
{
    struct stat own = {.st_dev = listener->dev, .st_ino = listener->ino};
    unlink_own(listener->path, &own);
    close(listener->fd);
    drop_lock(listener->path, listener->lock_fd);
    listener->fd = listener->lock_fd = -1;
}

int listen_path(const char *given, char out[108], bool *is_default)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (given == NULL || *given == 0) given = getenv("HEMI_SOCKET");
    *is_default = given == NULL || *given == 0;
    if (!*is_default) return snprintf(out, 108, "%s", given) >= 108 ? -ENAMETOOLONG : 0;
    if (runtime == NULL || *runtime == 0) runtime = "/run";
    return snprintf(out, 108, "%s/hemi/hemi.sock", runtime) >= 108 ? -ENAMETOOLONG : 0;
}

void listen_make_directory(const char *path)
{
    char parent[108];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent) return;
    *slash = 0;
    (void)mkdir(parent, 0755); /* if this fails, bind says why */
}
