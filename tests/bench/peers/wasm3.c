/* A benchmark peer: runs one export in wasm3. usage: peer-wasm3 FILE EXPORT [ARG]
 * Its result goes to standard output; processor seconds of loading (with translation) and of the call to standard
 * error. */
#include "wasm3.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

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

static void print_result(IM3Function f)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (m3_GetRetCount(f) == 1 && m3_GetRetType(f, 0) == c_m3Type_i64) {
        m3_GetResultsV(f, &wide);
        printf("%llu\n", (unsigned long long)wide);
    } else if (m3_GetRetCount(f) == 1) {
        m3_GetResultsV(f, &narrow);
        printf("%u\n", narrow);
    }
}

int main(int argc, char **argv)
{
    long size;
    IM3Function f;
    IM3Module module;
    if (argc < 3) return 2;
    uint8_t *bytes = slurp(argv[1], &size);
    const char *args[] = {argc > 3 ? argv[3] : NULL};
    double start = seconds();
    IM3Environment env = m3_NewEnvironment();
    IM3Runtime runtime = m3_NewRuntime(env, 1 << 20, NULL);
    M3Result r = m3_ParseModule(env, &module, bytes, (uint32_t)size);
    if (!r) r = m3_LoadModule(runtime, module);
    if (!r) r = m3_FindFunction(&f, runtime, argv[2]);
    double loaded = seconds();
    if (!r) r = m3_CallArgv(f, argc > 3, args);
    if (r) return fprintf(stderr, "wasm3: %s\n", r), 1;
    fprintf(stderr, "%.6f %.6f\n", loaded - start, seconds() - loaded);
    print_result(f);
    return 0;
}
