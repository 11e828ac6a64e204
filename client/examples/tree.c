/* tree.c -- a client from beginning to end: it keeps its own objects in a search tree that lives in a sandboxed guest's
 * garbage-collected heap, is called back by the guest for each, and learns when the guest has let one go.
 * usage: tree tree.wasm [OBJECTS]   (the socket: $HEMI_SOCKET, or the usual places) */
#include <hemi.h>
#include <stdio.h>
#include <stdlib.h>

struct thing {
    int key;
    int finalized;
};

static hemi_client *client;

static void check(hemi_status status, const char *what)
{
    if (status == HEMI_OK) return;
    fprintf(stderr, "tree: %s: %s: %s\n", what, hemi_status_text(status), hemi_client_error(client));
    exit(1);
}

static void finalize(void *pointer) { ((struct thing *)pointer)->finalized++; }

static hemi_status visit(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    const struct thing *thing = args[1].of.ref.pointer;
    (void)results;
    if (thing->key != args[0].of.i32) return hemi_caller_fail(caller, "this is not the object that went in");
    ++*(int *)env;
    return HEMI_OK;
}

static uint8_t *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (f && fseek(f, 0, SEEK_END) == 0 && (*size = (size_t)ftell(f)) > 0 && fseek(f, 0, SEEK_SET) == 0)
        bytes = malloc(*size);
    if (bytes && fread(bytes, 1, *size, f) != *size) {
        free(bytes);
        bytes = NULL;
    }
    if (f) fclose(f);
    return bytes;
}

static hemi_object *export_of(hemi_instance *instance, const char *name)
{
    hemi_object *object;
    check(hemi_export_get(instance, name, &object, NULL), name);
    return object;
}

static hemi_instance *instantiate(hemi_store *store, hemi_module *module, int *visited)
{
    const hemi_type params[] = {HEMI_TYPE_I32, HEMI_TYPE_EXTERNREF};
    struct hemi_func_options type = {.params = params, .nparams = 2};
    hemi_object *import;
    hemi_instance *instance;
    check(hemi_func_new(store, &type, visit, visited, &import, NULL), "host function");
    check(hemi_instance_new(store, module, &import, 1, NULL, &instance, NULL), "instance");
    return instance;
}

/* All requests go out before the first answer is looked at. */
static void insert_all(hemi_store *store, hemi_object *insert, struct thing *things, int n)
{
    hemi_ticket *tickets = calloc((size_t)n, sizeof *tickets);
    for (int i = 0; i < n; i++) {
        hemi_val args[2] = {hemi_i32(things[i].key), hemi_i32(0)};
        check(hemi_extern_new(store, &things[i], finalize, &args[1]), "externref");
        check(hemi_call(insert, args, 2, NULL, 0, &tickets[i]), "insert");
    }
    for (int i = 0; i < n; i++) check(hemi_wait(client, tickets[i]), "insert");
    free(tickets);
}

static void report(hemi_store *store, int n, int visited)
{
    struct hemi_stats s;
    struct hemi_client_stats c;
    check(hemi_stats_get(client, store, &s), "statistics");
    hemi_client_stats_get(client, &c);
    printf("calls               %llu, pipelined\n", (unsigned long long)s.calls);
    printf("host calls          %llu (objects visited: %d)\n", (unsigned long long)s.host_calls, visited);
    printf("externrefs          %d made, %llu finalised, %llu live\n", n, (unsigned long long)c.externs_finalized,
           (unsigned long long)s.externs_live);
    printf("collections         %llu, %llu bytes copied\n", (unsigned long long)s.collections,
           (unsigned long long)s.bytes_copied);
    printf("heap                %llu bytes live, %llu allocated in all, %llu committed\n",
           (unsigned long long)s.bytes_live, (unsigned long long)s.bytes_allocated,
           (unsigned long long)s.bytes_committed);
    printf("round trips         %llu for %llu requests and the answers to %llu host calls\n",
           (unsigned long long)c.round_trips, (unsigned long long)c.requests, (unsigned long long)c.host_calls);
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[2]) : 2000, visited = 0;
    size_t size = 0;
    uint8_t *bytes = argc > 1 ? slurp(argv[1], &size) : NULL;
    if (!bytes || n <= 0) return free(bytes), fprintf(stderr, "usage: tree tree.wasm [OBJECTS]\n"), 2;
    struct thing *things = calloc((size_t)n, sizeof *things);
    hemi_module *module;
    hemi_store *store;
    check(hemi_connect(NULL, &client), "connect");
    check(hemi_module_new(client, bytes, size, &module, NULL), "module");
    check(hemi_store_new(client, NULL, &store, NULL), "store");
    hemi_instance *instance = instantiate(store, module, &visited);
    printf("module              %s, %zu bytes\ninstance            1, in a store of its own\n", argv[1], size);
    for (int i = 0; i < n; i++) things[i].key = (int)((uint32_t)i * 2654435761u % 1000000u);
    insert_all(store, export_of(instance, "insert"), things, n);

    hemi_val low = hemi_i32(0), seen = hemi_i32(0), middle = hemi_i32(500000);
    check(hemi_call(export_of(instance, "walk"), &low, 1, &seen, 1, NULL), "walk");
    check(hemi_call(export_of(instance, "prune"), &middle, 1, NULL, 0, NULL), "prune");
    check(hemi_store_gc(store, NULL), "collection");
    check(hemi_ping(client, NULL), "ping");
    report(store, n, visited);

    int twice = 0, wrong = visited != n || seen.of.i32 != n;
    for (int i = 0; i < n; i++) wrong += things[i].finalized != (things[i].key < 500000);
    hemi_client_free(client);
    for (int i = 0; i < n; i++) twice += things[i].finalized != 1;
    printf("at the end          %d objects not finalised exactly once\n", twice);
    free(things);
    free(bytes);
    return wrong || twice ? fprintf(stderr, "tree: %d surprises\n", wrong + twice), 1 : 0;
}
