/* Module files, binary or text; hemi asm and hemi wat. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/tool/tool.h"

/* --- reading --- */
static bool cannot_read(struct module_file *m, int fd)
{
    snprintf(m->why, sizeof m->why, "%s: %s", m->path, strerror(errno));
    if (fd >= 0) close(fd);
    return false;
}

static bool read_file(struct module_file *m)
{
    struct stat info;
    int fd = open(m->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) return cannot_read(m, fd);
    size_t size = (size_t)info.st_size, done = 0;
    m->text = malloc(size + 1);
    if (!m->text) return cannot_read(m, fd);
    for (ssize_t n = 1; n > 0 && done < size; done += (size_t)n) {
        n = read(fd, m->text + done, size - done);
        if (n < 0) return cannot_read(m, fd);
    }
    m->text_size = done; /* less, if it shrank */
    close(fd);
    return true;
}

/* What does not begin like a binary module is taken for the text format. */
static bool assemble(struct module_file *m, const struct hemi_wat_options *options)
{
    struct hemi_wat_error e;
    if (m->text_size >= 4 && memcmp(m->text, "\0asm", 4) == 0) {
        m->bytes = m->text;
        m->size = m->text_size;
        m->text = NULL;
        return true;
    }
    hemi_status status = hemi_wat_assemble(m->text, m->text_size, options, &m->bytes, &m->size, &e);
    if (status == HEMI_OK) return true;
    m->malformed = status == HEMI_INVALID_MODULE;
    if (e.line)
        snprintf(m->why, sizeof m->why, "%s:%u:%u: %s", m->path, e.line, e.column, e.message);
    else
        snprintf(m->why, sizeof m->why, "%s: %s", m->path, e.message);
    return false;
}

bool module_read(const char *path, const struct hemi_wat_options *options, struct module_file *m)
{
    *m = (struct module_file){.path = path};
    if (read_file(m) && assemble(m, options)) return true;
    module_free(m);
    return false;
}

void module_free(struct module_file *m)
{
    free(m->bytes);
    free(m->text);
    m->bytes = m->text = NULL;
}

const char *module_place(const struct module_file *m, const hemi_client *client, char *out, size_t size)
{
    uint64_t offset;
    uint32_t line, column;
    bool located = hemi_client_offset(client, &offset);
    if (located && m->text && hemi_wat_locate(m->text, m->text_size, offset, &line, &column) == HEMI_OK)
        snprintf(out, size, "%s:%u:%u", m->path, line, column);
    else if (located)
        snprintf(out, size, "%s:0x%llx", m->path, (unsigned long long)offset);
    else
        snprintf(out, size, "%s", m->path);
    return out;
}

/* --- hemi asm, hemi wat --- */
static int write_file(const char *path, const void *bytes, size_t size)
{
    FILE *out = path ? fopen(path, "wb") : stdout;
    if (out && fwrite(bytes, 1, size, out) == size && fflush(out) == 0 && (out == stdout || fclose(out) == 0))
        return EXIT_OK;
    fprintf(stderr, "hemi: %s: %s\n", path ? path : "standard output", strerror(errno));
    return EXIT_HEMI;
}

/* The one file that the command is about. 0, or the exit status after telling why. */
static int read_operand(const struct tool_options *o, const char *command, struct module_file *m)
{
    const struct hemi_wat_options options = {.no_names = o->values[OPTION_NO_NAMES] != NULL};
    if (o->nrest != 1) {
        fprintf(stderr, "hemi: %s which file? Try: hemi %s --help\n", command, command);
        return EXIT_USAGE;
    }
    if (module_read(o->rest[0], &options, m)) return EXIT_OK;
    fprintf(stderr, "hemi: %s\n", m->why);
    return EXIT_HEMI;
}

int command_asm(const struct tool_options *o)
{
    struct module_file m;
    int status = read_operand(o, "asm", &m);
    if (status != EXIT_OK) return status;
    status = write_file(o->values[OPTION_OUTPUT], m.bytes, m.size);
    module_free(&m);
    return status;
}

int command_wat(const struct tool_options *o)
{
    const struct hemi_wat_options options = {.no_names = o->values[OPTION_NO_NAMES] != NULL};
    struct module_file m;
    struct hemi_wat_error e;
    char *text;
    size_t length;
    int status = read_operand(o, "wat", &m);
    if (status != EXIT_OK) return status;
    if (hemi_wat_disassemble(m.bytes, m.size, &options, &text, &length, &e) == HEMI_OK) {
        status = write_file(o->values[OPTION_OUTPUT], text, length);
    } else {
        fprintf(stderr, "hemi: %s:0x%llx: %s\n", m.path, (unsigned long long)e.offset, e.message);
        status = EXIT_HEMI;
    }
    hemi_wat_free(text);
    module_free(&m);
    return status;
}
