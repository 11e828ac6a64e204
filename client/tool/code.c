/* hemi code: what the daemon runs in place of a module's functions, beside their text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool/tool.h"

enum {
    TEXT_MAX = 256 << 10, /* a place in a text costs assembling it again: of longer ones none is shown */
    LISTING_COLUMNS = 90,
    SOURCE_COLUMNS = 60
};

/* The text that a binary module is made from again, byte by byte; without it there is nothing to show beside. */
static void find_text(struct module_file *m)
{
    struct hemi_wat_error e;
    char *text;
    void *bytes = NULL;
    size_t length, size;
    if (m->text || m->size > TEXT_MAX) return;
    if (hemi_wat_disassemble(m->bytes, m->size, NULL, &text, &length, &e) != HEMI_OK) return;
    if (hemi_wat_assemble(text, length, NULL, &bytes, &size, &e) == HEMI_OK && size == m->size &&
        memcmp(bytes, m->bytes, size) == 0) {
        m->text = text;
        m->text_size = length;
        text = NULL;
    }
    hemi_wat_free(bytes);
    hemi_wat_free(text);
}

/* The text from there to the line's end. */
static const char *source_at(const struct module_file *m, uint32_t number, uint32_t column, int *length)
{
    const char *at = m->text, *end = m->text + m->text_size;
    for (uint32_t i = 1; i < number; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        if (!next) break;
        at = next + 1;
    }
    at += column - 1 < (size_t)(end - at) ? column - 1 : 0;
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    ptrdiff_t n = (stop ? stop : end) - at;
    *length = n > SOURCE_COLUMNS ? SOURCE_COLUMNS : (int)n;
    return at;
}

/* One line of a listing, and the line of the text where its instruction stands. */
static void print_line(const struct module_file *m, const char *line)
{
    uint32_t number, column;
    const char *place = strstr(line, "; @0x");
    uint64_t offset = place ? strtoull(place + 3, NULL, 16) : 0;
    int length;
    if (!place || !m->text || m->text_size > TEXT_MAX || !module_locate(m, offset, &number, &column)) {
        say("%s", line);
        return;
    }
    const char *source = source_at(m, number, column, &length);
    say("%-*s | %" PRIu32 ": %.*s", LISTING_COLUMNS, line, number, length, source);
}

static void print_listing(const struct module_file *m, char *text)
{
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) && rest;) print_line(m, line);
}

/* A function by its index or, with or without $, its name. */
static hemi_status ask(hemi_module *module, const char *word, char **text)
{
    char *end;
    unsigned long long index = strtoull(word, &end, 10);
    if (*word >= '0' && *word <= '9' && *end == 0 && index < UINT32_MAX)
        return hemi_module_code(module, (uint32_t)index, NULL, text);
    return hemi_module_code(module, 0, word[0] == '$' ? word + 1 : word, text);
}

static int print_one(hemi_client *client, hemi_module *module, const struct module_file *m, const char *word)
{
    char *text;
    hemi_status status = ask(module, word, &text);
    if (status == HEMI_NOT_FOUND || status == HEMI_ARGUMENT)
        return fail_with(EXIT_EXPORT, "%s: %s: %s", m->path, word, hemi_client_error(client));
    if (status != HEMI_OK) return tell_failure(client, m->path);
    print_listing(m, text);
    hemi_free_text(text);
    return EXIT_OK;
}

/* Those of the module's own, one after the other, until there is none of that index. */
static int print_all(hemi_client *client, hemi_module *module, const struct module_file *m)
{
    hemi_status status = HEMI_OK;
    for (uint32_t i = 0; status == HEMI_OK || status == HEMI_ARGUMENT; i++) {
        char *text;
        status = hemi_module_code(module, i, NULL, &text);
        if (status != HEMI_OK) continue; /* imported, or none is left */
        print_listing(m, text);
        hemi_free_text(text);
    }
    return status == HEMI_NOT_FOUND ? EXIT_OK : tell_failure(client, m->path);
}

static int print_code(hemi_client *client, struct module_file *m, const char *word)
{
    hemi_module *module;
    char place[4200];
    hemi_status made = hemi_module_new(client, m->bytes, m->size, &module, NULL);
    if (made == HEMI_INVALID_MODULE)
        return fail_with(EXIT_INVALID, "%s: %s", module_place(m, client, place, sizeof place),
                         hemi_client_error(client));
    if (made != HEMI_OK) return tell_failure(client, m->path);
    find_text(m);
    int status = word ? print_one(client, module, m, word) : print_all(client, module, m);
    hemi_module_free(module);
    return status;
}

int command_code(const struct tool_options *o)
{
    struct session s;
    struct module_file m;
    if (o->nrest < 1 || o->nrest > 2)
        return fail_with(EXIT_USAGE, "code of which file, and of which function? Try: hemi code --help");
    if (!module_read(o->rest[0], NULL, &m)) return fail_file(&m);
    outcome_of(&m);
    int status = session_open(&s, o);
    if (status == 0) {
        status = print_code(s.client, &m, o->nrest == 2 ? o->rest[1] : NULL);
        session_close(&s);
    }
    outcome_of(NULL);
    module_free(&m);
    return status;
}
