/* Module files: reading them, and hemi assemble. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/tool/tool.h"
#include "client/wat/wat.h"

static bool read_file(const char *path, uint8_t **out, size_t *size)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) goto failed;
    *size = (size_t)info.st_size;
    *out = malloc(*size + 1);
    for (size_t done = 0; *out && done < *size;) {
        ssize_t n = read(fd, *out + done, *size - done);
        if (n < 0) goto failed;
        if (n == 0) *size = done; /* it shrank */
        done += (size_t)n;
    }
    close(fd);
    return *out != NULL;
failed:
    fprintf(stderr, "hemi: %s: %s\n", path, strerror(errno));
    if (fd >= 0) close(fd);
    return false;
}

/* What does not begin like a binary module is taken for the text format. */
static bool assemble(const char *path, uint8_t **bytes, size_t *size)
{
    struct wat_error error;
    uint8_t *binary;
    size_t length;
    if (*size >= 4 && memcmp(*bytes, "\0asm", 4) == 0) return true;
    if (wat_assemble((const char *)*bytes, *size, path, &binary, &length, &error) != 0) {
        fprintf(stderr, "hemi: %s:%u:%u: %s\n", path, error.line, error.column, error.message);
        return false;
    }
    free(*bytes);
    *bytes = binary;
    *size = length;
    return true;
}

bool module_read(const char *path, uint8_t **bytes, size_t *size)
{
    *bytes = NULL;
    if (read_file(path, bytes, size) && assemble(path, bytes, size)) return true;
    free(*bytes);
    *bytes = NULL;
    return false;
}

static int write_module(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *out = path ? fopen(path, "wb") : stdout;
    if (out && fwrite(bytes, 1, size, out) == size && fflush(out) == 0 && (out == stdout || fclose(out) == 0))
        return EXIT_OK;
    fprintf(stderr, "hemi: %s: %s\n", path ? path : "standard output", strerror(errno));
    return EXIT_HEMI;
}

int command_assemble(const struct tool_options *o)
{
    uint8_t *bytes;
    size_t size;
    if (o->nrest != 1) {
        fprintf(stderr, "hemi: assemble which file? Try: hemi assemble --help\n");
        return EXIT_USAGE;
    }
    if (!module_read(o->rest[0], &bytes, &size)) return EXIT_HEMI;
    int status = write_module(o->values[OPTION_OUTPUT], bytes, size);
    free(bytes);
    return status;
}
