/* tests/fuzz/text_fuzz.c -- libFuzzer target: any text is assembled, or refused with a line and a column inside it; what
 * comes out is a binary that the engine can take or refuse. */
#include "client/wat/wat.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t lines_of(const uint8_t *text, size_t size)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct wat_error err = {0};
    int status = wat_assemble((const char *)data, size, "fuzz", &bytes, &len, &err);
    if (status == 0)
        load(bytes, len);
    else
        check_refusal(&err, data, size);
    free(bytes);
    return 0;
}
