/* Module files, binary or text; hemi asm and hemi wat. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/tool/tool.h"
#include "proto/tables/proposals.h"

/* ---- reading */
/* Neither form of a module is longer. */
static const size_t longest_file = UINT32_MAX;

static bool cannot_read(struct module_file *m, int why)
{
    snprintf(m->why, sizeof m->why, "%s: %s", *m->path ? m->path : "''", strerror(why));
    m->exit = why == ENOMEM ? EXIT_LIMIT : EXIT_FILE;
    return false;
}

static bool no_module(struct module_file *m, const char *what)
{
    snprintf(m->why, sizeof m->why, "%s: %s", m->path, what);
    m->exit = EXIT_INVALID;
    return false;
}

/* Room for one byte more than the file has by now, so that its end is seen. */
static bool grow_text(struct module_file *m, size_t *room, size_t expected)
{
    if (m->text_size < *room) return true;
    if (m->text_size > longest_file) return cannot_read(m, EFBIG);
    size_t wanted = *room ? *room * 2 : expected + 1;
    char *grown = realloc(m->text, wanted);
    if (!grown) return cannot_read(m, ENOMEM);
    m->text = grown;
    *room = wanted;
    return true;
}

/* To the end: what is no regular file, such as a pipe, does not know its size before. */
static bool read_to_end(struct module_file *m, int fd)
{
    struct stat info;
    size_t room = 0;
    if (fstat(fd, &info) != 0) return cannot_read(m, errno);
    size_t expected = S_ISREG(info.st_mode) && info.st_size > 0 ? (size_t)info.st_size : 1 << 16;
    if (expected > longest_file) return cannot_read(m, EFBIG);
    while (grow_text(m, &room, expected)) {
        ssize_t n = read(fd, m->text + m->text_size, room - m->text_size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot_read(m, errno);
        if (n == 0) return true;
        m->text_size += (size_t)n;
    }
    return false;
}

static bool read_file(struct module_file *m)
{
    bool standard = strcmp(m->path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(m->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cannot_read(m, errno);
    bool done = read_to_end(m, fd);
    if (!standard) close(fd);
    return done;
}

/* "\0asm", then a version and a layer, of which a component's is 1. */
static bool is_component(const struct module_file *m)
{
    return m->size >= 8 && memcmp((const char *)m->bytes + 6, "\1\0", 2) == 0;
}

static const char *component_text(void)
{
    static char text[160];
    snprintf(text, sizeof text, "a component, not a module" PROPOSAL_REMARK, proposal_text(PROPOSAL_COMPONENTS));
    return text;
}

/* What does not begin like a binary module is taken for the text format. */
static bool assemble(struct module_file *m, const struct hemi_wat_options *options)
{
    struct hemi_wat_error e;
    if (m->text_size == 0) return no_module(m, "empty, no module");
    if (m->text_size >= 4 && memcmp(m->text, "\0asm", 4) == 0) {
        m->bytes = m->text;
        m->size = m->text_size;
        m->text = NULL;
        return !is_component(m) || no_module(m, component_text());
    }
    hemi_status status = hemi_wat_assemble(m->text, m->text_size, options, &m->bytes, &m->size, &e);
    if (status == HEMI_OK) return true;
    m->exit = status == HEMI_INVALID_MODULE ? EXIT_INVALID : EXIT_LIMIT;
    m->line = e.line;
    m->column = e.column;
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

bool module_locate(const struct module_file *m, uint64_t offset, uint32_t *line, uint32_t *column)
{
    return m->text && hemi_wat_locate(m->text, m->text_size, offset, line, column) == HEMI_OK;
}

const char *module_place(const struct module_file *m, const hemi_client *client, char *out, size_t size)
{
    uint64_t offset;
    uint32_t line, column;
    bool located = hemi_client_offset(client, &offset);
    if (located && module_locate(m, offset, &line, &column))
        snprintf(out, size, "%s:%u:%u", m->path, line, column);
    else if (located)
        snprintf(out, size, "%s:0x%llx", m->path, (unsigned long long)offset);
    else
        snprintf(out, size, "%s", m->path);
    return out;
}

/* ---- hemi asm, hemi wat */
static int write_stdout(const void *bytes, size_t size)
{
    fwrite(bytes, 1, size, stdout); /* .written: output_finish() tells */
    return EXIT_OK;
}

static int write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0 && output_write(fd, bytes, size) && close(fd) == 0) return EXIT_OK;
    return fail_with(EXIT_FILE, "%s: %s", path, strerror(errno));
}

static int write_result(const struct tool_options *o, const void *bytes, size_t size)
{
    const char *path = o->values[OPTION_OUTPUT];
    return path ? write_file(path, bytes, size) : write_stdout(bytes, size);
}

/* The one file that the command is about. 0, or the exit status after telling why. */
static int read_operand(const struct tool_options *o, const char *command, struct module_file *m)
{
    const struct hemi_wat_options options = {.no_names = o->values[OPTION_NO_NAMES] != NULL};
    if (o->nrest == 0) return fail_with(EXIT_USAGE, "%s which file? Try: hemi %s --help", command, command);
    if (o->nrest > 1) return fail_with(EXIT_USAGE, "%s takes one file; '%s' is one more", command, o->rest[1]);
    if (module_read(o->rest[0], &options, m)) return EXIT_OK;
    return fail_file(m);
}

/* 0, or the exit status after telling why. */
static int disassemble(const struct tool_options *o, const struct module_file *m, char **text, size_t *length)
{
    const struct hemi_wat_options options = {.no_names = o->values[OPTION_NO_NAMES] != NULL};
    struct hemi_wat_error e;
    hemi_status failed = hemi_wat_disassemble(m->bytes, m->size, &options, text, length, &e);
    if (failed == HEMI_OK) return EXIT_OK;
    return fail_with(failed == HEMI_INVALID_MODULE ? EXIT_INVALID : EXIT_LIMIT, "%s:0x%llx: %s", m->path,
                     (unsigned long long)e.offset, e.message);
}

/* A file that is binary already is copied, if it is a module. */
int command_asm(const struct tool_options *o)
{
    struct module_file m;
    char *text = NULL;
    size_t length;
    int status = read_operand(o, "asm", &m);
    if (status != EXIT_OK) return status;
    if (!m.text) status = disassemble(o, &m, &text, &length);
    if (status == EXIT_OK) status = write_result(o, m.bytes, m.size);
    hemi_wat_free(text);
    module_free(&m);
    return status;
}

int command_wat(const struct tool_options *o)
{
    struct module_file m;
    char *text;
    size_t length;
    int status = read_operand(o, "wat", &m);
    if (status != EXIT_OK) return status;
    status = disassemble(o, &m, &text, &length);
    if (status == EXIT_OK) status = write_result(o, text, length);
    hemi_wat_free(text);
    module_free(&m);
    return status;
}
