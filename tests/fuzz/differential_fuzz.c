/* tests/fuzz/differential_fuzz.c -- libFuzzer target: all ways of running a module agree. An input that begins like a
 * binary module is one; any other input is a program for the generator, whose module must be valid. */
#include "tests/fuzz/generate.h"
#include "tests/fuzz/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes module;
    if (size >= 4 && memcmp(data, "\0asm", 4) == 0) {
        world_compare(data, size);
        return 0;
    }
    generate_module(data, size, &module);
    if (!world_compare(module.at, module.len)) {
        fprintf(stderr, "a generated module was refused\n");
        abort();
    }
    free(module.at);
    return 0;
}
