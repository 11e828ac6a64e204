/* tests/fuzz/modules_fuzz.c -- libFuzzer target: any bytes are decoded, validated and translated, or refused with a
 * reason and a place; either way nothing is left behind. */
#include "runtime/engine/engine.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>

static void check(enum hemi_status status, const struct rt_error *err, size_t size)
{
    bool known = status == HEMI_OK || status == HEMI_INVALID_MODULE || status == HEMI_LIMIT || status == HEMI_NO_MEMORY;
    bool told = status == HEMI_OK || err->message[0] != 0;
    if (known && told && (!err->has_offset || err->offset <= size)) return;
    fprintf(stderr, "status %d, \"%s\" at %llu of %zu\n", status, err->message, (unsigned long long)err->offset, size);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct engine *engine;
    struct module *m = NULL;
    struct rt_error err = {0};
    if (engine == NULL && engine_new(NULL, &engine) != HEMI_OK) abort();
    enum hemi_status status = module_new(engine, data, size, &m, &err);
    check(status, &err, size);
    if (status == HEMI_OK) module_unref(m);
    if (engine->types->ngroups != 0 || engine->nmodules != 0) {
        fprintf(stderr, "left behind: %u groups of types, %u modules\n", engine->types->ngroups, engine->nmodules);
        abort();
    }
    return 0;
}
