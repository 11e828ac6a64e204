/* What is closed is gone, on both sides: one connection opens and closes stores, modules, instances, WASI objects, host
 * functions, externrefs, references, scopes and tickets, and ends with what it had after the first hundred of each.
 * $HEMI_FLAT_CYCLES says how many. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define now_ms library_now_ms /* support.h has one of its own */
#include "client/lib/internal.h"
#undef now_ms
#include "tests/e2e/support.h"

enum { WARM_UP = 100, CYCLES = 500, HEAP_SLACK = 64 << 10, DATA_SLACK_KB = 2048, MAPPINGS_SLACK = 16 };

static const char TEXT[] =
    "(module (import \"h\" \"f\" (func $f (param externref)))\n"
    "  (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"
    "  (memory (export \"memory\") 1) (type $pair (struct (field externref)))\n"
    "  (tag $e (param externref))\n"
    "  (func (export \"write\") (result i32) (i32.store (i32.const 4) (i32.const 5))\n"
    "    (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))\n"
    "  (func (export \"take\") (param externref) (call $f (local.get 0)))\n"
    "  (func (export \"make\") (param externref) (result (ref $pair)) (struct.new $pair (local.get 0)))\n"
    "  (func (export \"fail\") (param externref) (throw $e (local.get 0))))";

static struct daemon d;
static hemi_client *client;
static uint8_t *bytes;
static size_t size;
static uint64_t finalized, written, freed;

static void start(void)
{
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    wat(TEXT, &bytes, &size);
}

static void stop(void)
{
    hemi_client_free(client);
    free(bytes);
    daemon_stop(&d);
}

/* ---- what there is */

struct measure {
    uint64_t handles, stores, worker_fds, fds;
    uint64_t worker_data_kb, worker_mappings; /* 0 in sanitizer builds */
    uint64_t nodes, requests, streams, host_funcs, host_calls, externs, blocks, cells, heap;
};

static uint64_t data_kb(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %llu", &kb) == 1) break;
    fclose(f);
    return kb;
}

static uint64_t mappings(pid_t pid)
{
    char path[64];
    uint64_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    for (int c; (c = fgetc(f)) != EOF;) n += c == '\n';
    fclose(f);
    return n;
}

static struct measure measure(void)
{
    pid_t worker;
    struct hemi_stats s;
    ok(client, hemi_stats_get(client, NULL, &s));
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    struct measure m = {.handles = s.handles,
                        .stores = s.stores,
                        .worker_fds = open_fds(worker),
                        .fds = open_fds(getpid()),
                        .worker_data_kb = slowness() > 1 ? 0 : data_kb(worker),
                        .worker_mappings = slowness() > 1 ? 0 : mappings(worker),
                        .requests = client->requests.count,
                        .streams = client->streams.count,
                        .host_funcs = client->host_funcs.count,
                        .host_calls = client->host_calls.count,
                        .externs = client->externs.capacity,
                        .blocks = client->ours.blocks.count + client->theirs.blocks.count,
                        .cells = client->requests.capacity + client->streams.capacity + client->host_funcs.capacity +
                                 client->host_calls.capacity + client->ours.blocks.capacity +
                                 client->theirs.blocks.capacity,
                        .heap = mallinfo2().uordblks};
    for (const struct node *n = client->nodes; n; n = n->next) m.nodes++;
    return m;
}

static void expect_within(const char *what, uint64_t first, uint64_t last, uint64_t slack)
{
    ck_assert_msg(last <= first + slack, "%s: %llu after %d, %llu in the end", what, (unsigned long long)first, WARM_UP,
                  (unsigned long long)last);
}
#define FLAT(field, slack) expect_within(#field, a->field, b->field, slack)
static void expect_flat(const struct measure *a, const struct measure *b)
{
    FLAT(handles, 0);
    FLAT(stores, 0);
    FLAT(worker_fds, 0);
    FLAT(fds, 0);
    FLAT(worker_data_kb, DATA_SLACK_KB);
    FLAT(worker_mappings, MAPPINGS_SLACK);
    FLAT(nodes, 0);
    FLAT(requests, 0);
    FLAT(streams, 0);
    FLAT(host_funcs, 0);
    FLAT(host_calls, 0);
    FLAT(externs, 0);
    FLAT(blocks, 2); /* the cursors' */
    FLAT(cells, 0);
    FLAT(heap, HEAP_SLACK);
}

/* ---- a cycle */

static void finalize(void *pointer)
{
    (void)pointer;
    finalized++;
}

static hemi_status output(const void *at, size_t n, void *env)
{
    (void)at, (void)env;
    written += n;
    return HEMI_OK;
}

static hemi_status host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)args, (void)results, (void)env;
    return HEMI_OK;
}

static void env_free(void *env)
{
    free(env);
    freed++;
}

/* The store's functions are used, and what they give is dropped one way or another. */
static void use(hemi_store *store, hemi_instance *in)
{
    static const char *const names[] = {"write", "take", "make", "fail"};
    hemi_object *f[4];
    hemi_scope *scope;
    hemi_ticket ticket, forgotten;
    hemi_val thing, result;
    for (int i = 0; i < 4; i++) f[i] = export_of(in, names[i]);
    ok(client, hemi_extern_new(store, &finalized, finalize, &thing));
    ok(client, hemi_call(f[0], NULL, 0, &result, 1, NULL));
    ok(client, hemi_call(f[1], &thing, 1, NULL, 0, NULL));
    ok(client, hemi_scope_open(client, &scope));
    ok(client, hemi_call(f[2], &thing, 1, &result, 1, &ticket));
    ok(client, hemi_call(f[1], &thing, 1, NULL, 0, &forgotten));
    ok(client, hemi_wait(client, ticket));
    hemi_forget(client, forgotten);
    hemi_scope_close(scope);
    ok(client, hemi_call(f[2], &thing, 1, &result, 1, NULL));
    hemi_drop(client, &result);
    expect(client, HEMI_EXCEPTION, hemi_call(f[3], &thing, 1, NULL, 0, NULL));
    for (int i = 0; i < 4; i++) hemi_object_free(f[i]);
}

static void cycle(bool in_order)
{
    static const hemi_type externref = HEMI_TYPE_EXTERNREF;
    struct hemi_wasi_options wasi = {.out = output, .err = output};
    struct hemi_func_options type = {.params = &externref, .nparams = 1, .env_free = env_free};
    hemi_module *module;
    hemi_store *store;
    hemi_wasi *w;
    hemi_object *f;
    hemi_instance *in;
    ok(client, hemi_module_new(client, bytes, size, &module, NULL));
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_wasi_new(store, &wasi, &w, NULL));
    ok(client, hemi_func_new(store, &type, host, malloc(1), &f, NULL));
    ok(client, hemi_instance_new(store, module, &f, 1, w, &in, NULL));
    use(store, in);
    hemi_object_free(f);
    if (in_order) hemi_instance_free(in);
    ok(client, in_order ? hemi_store_close_in_order(store, NULL) : hemi_store_close(store, NULL));
    if (!in_order) hemi_instance_free(in);
    hemi_wasi_free(w);
    hemi_module_free(module);
}

START_TEST(everything_that_is_closed_is_gone_on_both_sides)
{
    const char *given = getenv("HEMI_FLAT_CYCLES");
    uint64_t n = given ? strtoull(given, NULL, 0) : CYCLES;
    struct measure warm = {0};
    for (uint64_t i = 0; i < n; i++) {
        if (i == WARM_UP) warm = measure();
        cycle(i % 2);
    }
    ok(client, hemi_ping(client, NULL));
    struct measure end = measure();
    expect_flat(&warm, &end);
    ck_assert_uint_eq(finalized, n);
    ck_assert_uint_eq(freed, n);
    ck_assert_uint_eq(written, 5 * n);
}
END_TEST

int main(void)
{
    const char *given = getenv("HEMI_FLAT_CYCLES");
    Suite *s = suite_create("flat");
    TCase *c = tcase_create("flat");
    tcase_set_timeout(c, given ? 7200 : 300);
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_test(c, everything_that_is_closed_is_gone_on_both_sides);
    suite_add_tcase(s, c);
    return run_suite(s);
}
