/* A benchmark peer: runs one i32 -> i32 export in wasm3. usage: peer-wasm3 FILE EXPORT ARG */
#include "wasm3.h"
#include <stdio.h>
#include <stdlib.h>

static uint8_t *slurp(const char *path, long *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) exit(1);
    fseek(f, 0, SEEK_END);
    *size = ftell(f);
    rewind(f);
    uint8_t *bytes = malloc((size_t)*size);
    if (fread(bytes, 1, (size_t)*size, f) != (size_t)*size) exit(1);
    fclose(f);
    return bytes;
}

int main(int argc, char **argv)
{
    long size;
    IM3Function f;
    IM3Module module;
    if (argc < 4) return 2;
    uint8_t *bytes = slurp(argv[1], &size);
    IM3Environment env = m3_NewEnvironment();
    IM3Runtime runtime = m3_NewRuntime(env, 1 << 20, NULL);
    const char *args[] = {argv[3]};
    M3Result r = m3_ParseModule(env, &module, bytes, (uint32_t)size);
    if (!r) r = m3_LoadModule(runtime, module);
    if (!r) r = m3_FindFunction(&f, runtime, argv[2]);
    if (!r) r = m3_CallArgv(f, 1, args);
    if (r) return fprintf(stderr, "wasm3: %s\n", r), 1;
    int32_t result;
    m3_GetResultsV(f, &result);
    printf("%d\n", result);
    return 0;
}
