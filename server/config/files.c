/* server/config/files.c -- opens, checks and reads the files of a configuration. */
#include "server/config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MIN 16         /* bytes; shorter ones can be guessed */
#define INCLUDE_DEPTH_MAX 10 /* libconfig's */
#define FILES_MAX (16 * MIB) /* bytes of a configuration with all it includes: thousands of tenants need a few */

/* ---- regular files */

/* What a file is that is not regular. */
static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "is a directory";
    case S_IFIFO:
        return "is a FIFO";
    case S_IFSOCK:
        return "is a socket";
    default:
        return "is a device";
    }
}

static int refuse_kind(const struct stat *st, const char **why)
{
    if (S_ISREG(st->st_mode)) return 0;
    *why = kind_of(st->st_mode);
    return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
}

/* The kernel's own files call themselves regular and empty; what reads them may wait for more for ever. */
static int refuse_endless(int fd, const struct stat *st, const char **why)
{
    char byte;
    if (st->st_size != 0 || read(fd, &byte, 1) == 0) return 0;
    *why = "has no size, as a regular file has";
    return -EINVAL;
}

/* Opens a regular file. Asked before it is opened, since opening may do something to a device; asked again, since it
 * may be another by then. Returns the descriptor, or -errno and `why`. */
static int open_regular(const char *file, struct stat *st, const char **why)
{
    int fd = -1, status = stat(file, st) == 0 ? 0 : -errno;
    if (status != 0) return *why = strerror(-status), status;
    if ((status = refuse_kind(st, why)) != 0) return status;
    fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) != 0) {
        status = -errno;
        *why = strerror(-status);
    } else if ((status = refuse_kind(st, why)) == 0 && (status = refuse_endless(fd, st, why)) == 0) {
        return fd;
    }
    if (fd >= 0) close(fd);
    return status;
}

/* ---- the configuration and its includes */

/* What is looked at, on the way down. */
struct including {
    const char *file;
    unsigned depth;
    uint64_t *left; /* of FILES_MAX */
    struct config_error *error;
};

static int check_file(const struct including *up, unsigned line, const char *file);

/* The file that `@include "FILE"` names, which begins a line; false when the line is another. */
static bool included_file(const char *line, char *out, size_t size)
{
    size_t used = 0;
    line += strspn(line, " \t");
    if (strncmp(line, "@include", 8) != 0) return false;
    line += 8 + strspn(line + 8, " \t");
    if (*line++ != '"') return false;
    for (; *line != 0 && *line != '"' && used + 1 < size; line++) {
        if (*line == '\\' && (line[1] == '\\' || line[1] == '"')) line++;
        out[used++] = *line;
    }
    out[used] = 0;
    return *line == '"';
}

/* Line by line; one in a block comment counts, too. */
static int check_includes(FILE *text, const struct including *here)
{
    char *line = NULL, included[1024];
    size_t size = 0;
    int status = 0;
    for (unsigned number = 1; status == 0 && getline(&line, &size, text) >= 0; number++)
        if (included_file(line, included, sizeof included))
            status = check_file(here, number, included) != 0 ? -EINVAL : 0;
    free(line);
    return status;
}

static int open_next(const struct including *up, const char *file, const char **why)
{
    struct stat st;
    *why = "includes nest too deep";
    int fd = up->depth > INCLUDE_DEPTH_MAX ? -ELOOP : open_regular(file, &st, why);
    if (fd < 0) return fd;
    if ((uint64_t)st.st_size <= *up->left) return *up->left -= (uint64_t)st.st_size, fd;
    *why = "a configuration has at most 16 MiB with all that it includes";
    close(fd);
    return -EFBIG;
}

/* Which `line` of `up` includes; the first has none. */
static int check_file(const struct including *up, unsigned line, const char *file)
{
    struct including here = {file, up->depth + 1, up->left, up->error};
    const char *why;
    char *out = up->error->text;
    size_t size = sizeof up->error->text;
    int fd = open_next(up, file, &why);
    if (fd < 0 && line == 0) return snprintf(out, size, "%s: %s", file, why), fd;
    if (fd < 0) return snprintf(out, size, "%s:%u: @include: %s: %s", up->file, line, file, why), fd;
    FILE *text = fdopen(fd, "r");
    if (text == NULL) return close(fd), -ENOMEM;
    int status = check_includes(text, &here);
    fclose(text);
    return status;
}

int config_check_files(const char *file, struct config_error *error)
{
    uint64_t left = FILES_MAX;
    return check_file(&(struct including){.left = &left, .error = error}, 0, file);
}

/* ---- tokens */

__attribute__((format(printf, 2, 3))) static int refuse(char why[128], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, 128, format, args);
    va_end(args);
    return -EINVAL;
}

static int check_owner(const struct stat *st, char why[128])
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return refuse(why, "is user %u's; a token file is root's or the daemon's (user %u)", st->st_uid, geteuid());
    if ((st->st_mode & 077) != 0)
        return refuse(why, "has mode 0%03o; a token file is its owner's only (chmod go= FILE)", st->st_mode & 0777);
    return 0;
}

static int check_token(const uint8_t *bytes, size_t len, char why[128])
{
    if (len < TOKEN_MIN || len > CONFIG_TOKEN_MAX)
        return refuse(why, "a token has from %d to %d bytes", TOKEN_MIN, CONFIG_TOKEN_MAX);
    if (bytes[len - 1] == '\r') return refuse(why, "ends in a carriage return, which would be of the token");
    return memchr(bytes, '\n', len) != NULL ? refuse(why, "a token is one line") : 0;
}

int config_read_token(const char *file, uint8_t token[CONFIG_TOKEN_MAX], size_t *len, char why[128])
{
    uint8_t bytes[CONFIG_TOKEN_MAX + 2];
    struct stat st;
    const char *kind = "";
    int fd = open_regular(file, &st, &kind);
    if (fd < 0) return refuse(why, "%s", kind);
    int status = check_owner(&st, why);
    ssize_t got = status == 0 ? read(fd, bytes, sizeof bytes) : 0;
    if (got < 0) status = refuse(why, "%s", strerror(errno));
    close(fd);
    if (status != 0) return status;
    *len = (size_t)got - (got > 0 && bytes[got - 1] == '\n');
    if ((status = check_token(bytes, *len, why)) == 0) memcpy(token, bytes, *len);
    explicit_bzero(bytes, sizeof bytes);
    return status;
}
