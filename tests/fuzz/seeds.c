/* tests/fuzz/seeds.c -- makes a seed corpus of the modules in .wast scripts: their binaries into one folder, their
 * texts into another; invalid and malformed ones too.
 *
 *   fuzz_seeds BINARIES TEXTS SCRIPT... */
#include "client/wat/wat.h"
#include "tests/wast/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 16384 }; /* larger seeds slow a fuzzer down */

static unsigned written;

static void write_seed(const char *folder, const void *bytes, size_t size)
{
    char path[4096];
    if (size == 0 || size > LARGEST) return;
    snprintf(path, sizeof path, "%s/seed-%05u", folder, written++);
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(bytes, 1, size, out) != size) fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (out != NULL) fclose(out);
}

static void write_module(const struct wast_module *m, const char *binaries, const char *texts)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct wat_error err;
    if (m->bytes.bytes == NULL) return;
    if (m->form == FORM_BINARY) {
        write_seed(binaries, m->bytes.bytes, m->bytes.length);
        return;
    }
    write_seed(texts, m->bytes.bytes, m->bytes.length);
    if (wat_assemble(m->bytes.bytes, m->bytes.length, NULL, &bytes, &len, &err) == 0) write_seed(binaries, bytes, len);
    free(bytes);
}

static bool read_script(const char *path, struct script *script)
{
    struct wat_error err;
    FILE *in = fopen(path, "rb");
    char *text = NULL;
    size_t len = 0;
    if (in == NULL || fseek(in, 0, SEEK_END) != 0) return false;
    long size = ftell(in);
    rewind(in);
    if (size >= 0) text = malloc((size_t)size + 1);
    if (text != NULL) len = fread(text, 1, (size_t)size, in);
    fclose(in);
    return text != NULL && script_read(script, text, len, &err);
}

int main(int argc, char **argv)
{
    for (int i = 3; i < argc; i++) {
        struct script script;
        if (!read_script(argv[i], &script)) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 1;
        }
        for (uint32_t k = 0; k < script.count; k++) write_module(&script.commands[k].module, argv[1], argv[2]);
        script_deinit(&script);
    }
    printf("%u seeds\n", written);
    return written > 0 ? 0 : 1;
}
