/* A benchmark contestant: one program in the worker's engine, without daemon and protocol.
 * usage: bench_engine FILE.wasm [EXPORT [ARGUMENT]]
 * Loads the module, makes an instance, with the two WASI imports of the programs that we measure, and calls the export
 * (none named: _initialize or _start). The guest's output and the result go to standard output; the processor seconds
 * of loading and of the rest to standard error. With the export "-" it only loads, twice: a first time, as a new worker
 * does, and once more, as one that runs; and it tells the seconds of each and the bytes of code. */
#include "runtime/runtime.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 8 << 20 };

static _Noreturn void fail(const char *what, const struct rt_error *err)
{
    fprintf(stderr, "bench_engine: %s: %s\n", what, err->message);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END)) fail(path, &(struct rt_error){.message = "cannot be read"});
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*size + 1);
    if (!bytes || fread(bytes, 1, *size, f) != *size) fail(path, &(struct rt_error){.message = "cannot be read"});
    fclose(f);
    return bytes;
}

/* ---- WASI, as far as our programs go: values that do not vary, output to standard output. */

static struct memory *memory_of(struct instance *in)
{
    struct rt_extern e;
    return instance_export(in, "memory", 6, &e) ? e.memory : NULL;
}

static enum hemi_status write_vector(struct memory *m, uint64_t at, uint32_t *total)
{
    uint32_t part[2];
    enum hemi_status status = memory_read(m, at, part, sizeof part);
    char *bytes = status ? NULL : malloc(part[1] + 1u);
    if (!bytes) return HEMI_NO_MEMORY;
    status = memory_read(m, part[0], bytes, part[1]);
    if (!status) fwrite(bytes, 1, part[1], stdout);
    free(bytes);
    *total += part[1];
    return status;
}

static enum hemi_status fd_write(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                 union val *results, struct rt_error *err)
{
    (void)ctx, (void)s, (void)err;
    struct memory *m = memory_of(caller);
    uint32_t total = 0;
    enum hemi_status status = m ? HEMI_OK : HEMI_LINK;
    for (uint32_t i = 0; i < args[2].i32 && !status; i++)
        status = write_vector(m, args[1].i32 + 8 * (uint64_t)i, &total);
    results[0] = (union val){0};
    return status ? status : memory_write(m, args[3].i32, &total, sizeof total);
}

static enum hemi_status random_get(void *ctx, struct store *s, struct instance *caller, const union val *args,
                                   union val *results, struct rt_error *err)
{
    (void)ctx, (void)s, (void)err;
    struct memory *m = memory_of(caller);
    enum hemi_status status = m ? HEMI_OK : HEMI_LINK;
    for (uint32_t i = 0; i < args[1].i32 && !status; i++) status = memory_write(m, args[0].i32 + (uint64_t)i, "\a", 1);
    results[0] = (union val){0};
    return status;
}

static void resolve_imports(struct store *s, const struct module *m, struct rt_extern *imports)
{
    static const valtype words[] = {VT_I32, VT_I32, VT_I32, VT_I32, VT_I32};
    for (uint32_t i = 0; i < m->nimports; i++) {
        bool writes = m->imports[i].name.len == strlen("fd_write");
        const struct host_func_options opt = {.call = writes ? fd_write : random_get};
        if (host_func_new(s, words, writes ? 4 : 2, 1, &opt, &imports[i].func))
            fail("import", &(struct rt_error){.message = "no memory"});
    }
}

/* ---- */

static struct module *load(struct engine *e, const char *path)
{
    struct rt_error err;
    struct module *m;
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    double start = seconds();
    if (module_take(e, bytes, size, &m, &err)) fail(path, &err);
    fprintf(stderr, "%.6f ", seconds() - start);
    return m;
}

static void only_load(struct engine *e, const char *path)
{
    uint64_t code = 0;
    module_unref(load(e, path));
    struct module *m = load(e, path);
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) code += m->funcs[i].body_size;
    fprintf(stderr, "%llu\n", (unsigned long long)code);
    module_unref(m);
}

static uint32_t find(struct instance *in, const char *name)
{
    struct rt_extern e;
    if (name && instance_export(in, name, strlen(name), &e)) return e.func;
    if (!name && (instance_export(in, "_initialize", 11, &e) || instance_export(in, "_start", 6, &e))) return e.func;
    fail(name ? name : "_start", &(struct rt_error){.message = "no such export"});
}

static void print_result(const struct rtype *type, const union val *v)
{
    if (type->nresults == 1 && type->vals[type->nparams] == VT_I64) printf("%llu\n", (unsigned long long)v->i64);
    if (type->nresults == 1 && type->vals[type->nparams] == VT_I32) printf("%u\n", v->i32);
}

static void run(struct store *s, struct module *m, const char *export, const char *argument)
{
    struct vm_stack stack = {mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                             STACK_BYTES};
    struct rt_extern imports[2] = {0};
    struct rt_error err;
    struct instance *in;
    union val result, arg = {.i32 = argument ? (uint32_t)strtoul(argument, NULL, 10) : 0};
    double start = seconds();
    if (m->nimports > 2) fail("imports", &(struct rt_error){.message = "too many"});
    resolve_imports(s, m, imports);
    if (instance_new(s, m, imports, stack, &in, &err)) fail("instance", &err);
    uint32_t func = find(in, export);
    if (rt_call(s, func, &arg, &result, stack, &err)) fail("call", &err);
    fflush(stdout);
    fprintf(stderr, "%.6f ", seconds() - start);
    print_result(func_type(s, func, NULL), &result);
    munmap(stack.base, stack.size);
}

static void load_and_run(struct engine *e, const char *path, const char *export, const char *argument)
{
    struct store *s;
    if (store_new(e, &(struct store_options){0}, &s)) fail("store", &(struct rt_error){.message = "no memory"});
    struct module *m = load(e, path);
    run(s, m, export, argument);
    store_free(s);
    module_unref(m);
}

int main(int argc, char **argv)
{
    struct engine *e;
    if (argc < 2) return 2;
    if (engine_new(&(struct engine_options){0}, &e)) fail("engine", &(struct rt_error){.message = "no memory"});
    if (argc > 2 && strcmp(argv[2], "-") == 0)
        only_load(e, argv[1]);
    else
        load_and_run(e, argv[1], argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
    engine_free(e);
    return 0;
}
