/* tests/fuzz/text_fuzz.c -- libFuzzer target: any text is assembled, or refused with a line and a column inside it;
 * what comes out is a binary that the engine can take or refuse. A binary module is disassembled. Either way, text made
 * from a binary is assembled to one that stays the same from then on. */
#include "client/wat/wat.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t lines_of(const uint8_t *text, size_t size)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n' || (text[i] == '\r' && (i + 1 == size || text[i + 1] != '\n'));
    return lines;
}

static void check_refusal(const struct wat_error *err, const uint8_t *text, size_t size)
{
    if (err->message[0] != 0 && memchr(err->message, 0, sizeof err->message) != NULL &&
        err->line <= lines_of(text, size) && err->column <= size + 1)
        return;
    fprintf(stderr, "%u:%u: \"%s\"\n", err->line, err->column, err->message);
    abort();
}

static void load(const uint8_t *bytes, size_t size)
{
    static struct engine *engine;
    struct module *m = NULL;
    struct rt_error err = {0};
    if (engine == NULL && engine_new(NULL, &engine) != HEMI_OK) abort();
    if (module_new(engine, bytes, size, &m, &err) == HEMI_OK) module_unref(m);
}

static void assemble_again(const char *text, size_t len, uint8_t **out, size_t *out_len)
{
    struct wat_error err = {0};
    int status = wat_assemble(text, len, "again", out, out_len, &err);
    if (status == 0 || status == HEMI_LIMIT) return;
    fprintf(stderr, "own text is refused: %u:%u: %s\n", err.line, err.column, err.message);
    abort();
}

/* Binary, text, binary, text, binary: the last two binaries are equal. */
static void round_trip(const uint8_t *bytes, size_t size)
{
    static const struct wat_options defaults;
    struct wat_error err = {0};
    char *text[2] = {NULL, NULL};
    uint8_t *binary[2] = {NULL, NULL};
    size_t text_len[2], len[2];
    const uint8_t *from = bytes;
    for (int i = 0; i < 2; i++) {
        if (wat_disassemble(&defaults, from, i == 0 ? size : len[0], "again", &text[i], &text_len[i], &err) != 0)
            goto done;
        assemble_again(text[i], text_len[i], &binary[i], &len[i]);
        if (binary[i] == NULL) goto done;
        from = binary[i];
    }
    if (len[0] != len[1] || memcmp(binary[0], binary[1], len[0]) != 0) {
        fprintf(stderr, "the second generation differs\n");
        abort();
    }
done:
    for (int i = 0; i < 2; i++) {
        free(text[i]);
        free(binary[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct wat_error err = {0};
    if (size >= 4 && memcmp(data, "\0asm", 4) == 0) {
        round_trip(data, size);
        return 0;
    }
    int status = wat_assemble((const char *)data, size, "fuzz", &bytes, &len, &err);
    if (status == 0) {
        load(bytes, len);
        round_trip(bytes, len);
    } else {
        check_refusal(&err, data, size);
    }
    free(bytes);
    return 0;
}
