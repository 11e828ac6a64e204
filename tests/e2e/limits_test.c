/* What a tenant may have: each limit is reached with its own status, names itself, costs only the one who asked, and
 * is there again when something was given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *other;
static hemi_object *f_of_other;
static pid_t worker;

static void start_with(const char *limits)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, limits);
    other = client_open(d.socket);
    f_of_other = export_of(instance_from(other, "(module (func (export \"f\")))", &store), "f");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
}

static void stop(void)
{
    pid_t now;
    ok(other, hemi_call(f_of_other, NULL, 0, NULL, 0, NULL));
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_int_eq(now, worker);
    hemi_client_free(other);
    daemon_stop(&d);
}

static void expect_named(hemi_client *c, hemi_status wanted, const char *name, hemi_status got)
{
    expect(c, wanted, got);
    ck_assert_msg(strstr(hemi_client_error(c), name) != NULL, "\"%s\" does not name %s", hemi_client_error(c), name);
}

START_TEST(stores)
{
    hemi_store *s[8], *more;
    start_with("stores = 6;");
    hemi_client *c = client_open(d.socket);
    for (int i = 0; i < 4; i++) ok(c, hemi_store_new(c, NULL, &s[i], NULL)); /* a quarter of what is left stays */
    expect_named(c, HEMI_LIMIT, "stores", hemi_store_new(c, NULL, &more, NULL));
    ok(c, hemi_store_close(s[0], NULL));
    ok(c, hemi_store_new(c, NULL, &more, NULL));
    hemi_client_free(c);
    stop();
}
END_TEST

START_TEST(connections)
{
    hemi_client *c[4], *more;
    struct hemi_connect_options options = {.socket = d.socket};
    start_with("connections = 4;");
    for (int i = 0; i < 3; i++) c[i] = client_open(d.socket);
    ck_assert_int_eq(hemi_connect(&options, &more), HEMI_LIMIT);
    ck_assert(strstr(hemi_client_error(more), "connections") != NULL);
    hemi_client_free(more);
    for (int i = 0; i < 3; i++) hemi_client_free(c[i]);
    double end = now_ms() + 5000;
    while (hemi_connect(&options, &more) != HEMI_OK && now_ms() < end) hemi_client_free(more);
    ck_assert_int_eq(hemi_client_ended(more), HEMI_OK);
    hemi_client_free(more);
    stop();
}
END_TEST

static hemi_object *extern_global(hemi_client *c, hemi_store **store)
{
    return export_of(instance_from(c, "(module (global (export \"g\") (mut externref) (ref.null extern)))", store),
                     "g");
}

START_TEST(handles)
{
    hemi_store *store;
    hemi_val v[64];
    start_with("handles = 40;");
    hemi_client *c = client_open(d.socket);
    hemi_object *g = extern_global(c, &store);
    hemi_val e;
    ok(c, hemi_extern_new(store, &d, NULL, &e));
    ok(c, hemi_global_set(g, &e, NULL));
    int n = 0;
    hemi_status status = HEMI_OK;
    while (n < 64 && (status = hemi_global_get(g, &v[n], NULL)) == HEMI_OK) n++;
    expect_named(c, HEMI_LIMIT, "handles", status);
    ck_assert_int_gt(n, 30);
    for (int i = 0; i < n; i++) hemi_drop(c, &v[i]);
    ok(c, hemi_ping(c, NULL)); /* drops go out behind the next request */
    ok(c, hemi_global_get(g, &v[0], NULL));
    hemi_client_free(c);
    stop();
}
END_TEST

START_TEST(modules_and_their_size)
{
    hemi_module *m[4], *more;
    uint8_t *bytes, *large = calloc(1, 200000);
    size_t size;
    start_with("modules = 3; module_size = \"100KiB\";");
    hemi_client *c = client_open(d.socket);
    wat("(module)", &bytes, &size);
    for (int i = 0; i < 3; i++) ok(c, hemi_module_new(c, bytes, size, &m[i], NULL));
    expect_named(c, HEMI_LIMIT, "modules", hemi_module_new(c, bytes, size, &more, NULL));
    hemi_module_free(m[0]);
    expect_named(c, HEMI_LIMIT, "module_size", hemi_module_new(c, large, 200000, &more, NULL));
    ok(c, hemi_module_new(c, bytes, size, &more, NULL));
    hemi_client_free(c);
    free(bytes);
    free(large);
    stop();
}
END_TEST

/* The budget is the tenant's, over all stores and connections. */
START_TEST(the_budget_of_many_stores)
{
    enum { N = 64 };
    hemi_store *s[N];
    hemi_object *m;
    start_with("memory = \"64MiB\";");
    hemi_client *c = client_open(d.socket);
    int n = 0;
    hemi_status status = HEMI_OK;
    for (; n < N; n++) {
        ok(c, hemi_store_new(c, NULL, &s[n], NULL));
        status = hemi_memory_new(s[n], 64, UINT64_MAX, false, &m, NULL);
        if (status != HEMI_OK) break;
    }
    expect_named(c, HEMI_LIMIT, "memory: ", status);
    ck_assert_int_ge(n, 8);
    ck_assert_int_le(n, 16);
    ok(c, hemi_store_close(s[0], NULL));
    ok(c, hemi_memory_new(s[n], 64, UINT64_MAX, false, &m, NULL));
    hemi_client_free(c);
    stop();
}
END_TEST

/* What no budget counts, the kernel's limit does: the one who asked is told, and nobody dies of it. */
START_TEST(memory_that_the_kernel_refuses)
{
    enum { N = 400000, BATCH = 500 };
    start_with("memory = \"16MiB\"; stack = \"64KiB\";");
    hemi_client *c = client_open(d.socket);
    hemi_store *store;
    hemi_object *g = extern_global(c, &store);
    hemi_val e, *v = calloc(N, sizeof *v);
    hemi_ticket tickets[BATCH];
    ok(c, hemi_extern_new(store, &d, NULL, &e));
    ok(c, hemi_global_set(g, &e, NULL));
    hemi_status status = HEMI_OK;
    for (int i = 0; i < N && status == HEMI_OK; i += BATCH) {
        int sent = 0;
        while (sent < BATCH && (status = hemi_global_get(g, &v[i + sent], &tickets[sent])) == HEMI_OK) sent++;
        for (int k = 0; k < sent; k++) {
            hemi_status each = hemi_wait(c, tickets[k]);
            if (each != HEMI_OK) status = each;
        }
    }
    ck_assert_msg(status == HEMI_NO_MEMORY || status == HEMI_LIMIT || (status == HEMI_OK && slowness() > 1), "%s: %s",
                  hemi_status_text(status), hemi_client_error(c));
    ok(other, hemi_call(f_of_other, NULL, 0, NULL, 0, NULL));
    hemi_client_free(c);
    free(v);
    stop();
}
END_TEST

START_TEST(three_hundred_idle_connections)
{
    enum { N = 300 };
    hemi_client *c[N];
    start_with("connections = 400;");
    for (int i = 0; i < N; i++) c[i] = client_open(d.socket);
    unsigned fds = open_fds(worker);
    struct stopwatch watch = stopwatch_start(&d);
    for (int i = 0; i < 20; i++) ok(other, hemi_call(f_of_other, NULL, 0, NULL, 0, NULL));
    double took = stopwatch_ms(&watch);
    ck_assert_msg(took < 400 * slowness(), "20 calls took %.0f ms", took);
    for (int i = 0; i < N; i++) ok(c[i], hemi_ping(c[i], NULL));
    for (int i = 0; i < N; i++) hemi_client_free(c[i]);
    double end = now_ms() + 5000;
    while (fds > 0 && open_fds(worker) > fds - N && now_ms() < end) usleep(10000);
    if (fds > 0) ck_assert_uint_eq(open_fds(worker), fds - N);
    stop();
}
END_TEST

START_TEST(heap_and_stack)
{
    static const char text[] =
        "(module (type $b (struct (field i64 i64 (ref null $b)))) (func $f (export \"deep\") (call $f))\n"
        "  (func (export \"keep\") (local $r (ref null $b)) (loop $l\n"
        "    (local.set $r (struct.new $b (i64.const 1) (i64.const 2) (local.get $r))) (br $l))))";
    hemi_store *store;
    start_with("heap = \"4MiB\"; table_elements = 100; linear_memory = \"1MiB\"; instances = 2;");
    hemi_client *c = client_open(d.socket);
    hemi_instance *in = instance_from(c, text, &store);
    expect(c, HEMI_TRAP, hemi_call(export_of(in, "keep"), NULL, 0, NULL, 0, NULL));
    ck_assert_uint_eq(hemi_client_trap(c), 20);
    expect(c, HEMI_TRAP, hemi_call(export_of(in, "deep"), NULL, 0, NULL, 0, NULL));
    ck_assert_uint_eq(hemi_client_trap(c), 10);
    hemi_object *o;
    hemi_val null = hemi_null(HEMI_CLASS_EXTERN);
    expect(c, HEMI_LIMIT, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 101, UINT64_MAX, false, &null, &o, NULL));
    ok(c, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 100, UINT64_MAX, true, &null, &o, NULL));
    expect(c, HEMI_LIMIT, hemi_memory_new(store, 17, UINT64_MAX, false, &o, NULL));
    ok(c, hemi_memory_new(store, 16, UINT64_MAX, false, &o, NULL));
    hemi_module *m = module_from(c, "(module)");
    hemi_instance *more;
    ok(c, hemi_instance_new(store, m, NULL, 0, NULL, &more, NULL));
    expect_named(c, HEMI_LIMIT, "instance", hemi_instance_new(store, m, NULL, 0, NULL, &more, NULL));
    hemi_client_free(c);
    stop();
}
END_TEST

/* A store that said nothing of its heap's growth got a hundred times its live data, in place of the heap's default. */
START_TEST(the_default_growth_keeps_garbage_in_bounds)
{
    static const char text[] =
        "(module (type $n (struct (field (ref null $n)) (field i32))) (global $all (mut (ref null $n)) (ref.null $n))\n"
        "  (func (export \"keep\") (param i32) (loop $l\n"
        "    (global.set $all (struct.new $n (global.get $all) (local.get 0)))\n"
        "    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))\n"
        "  (func (export \"waste\") (param i32) (loop $l (drop (struct.new $n (global.get $all) (local.get 0)))\n"
        "    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))";
    start_with(NULL);
    hemi_client *c = client_open(d.socket);
    hemi_store *store;
    hemi_instance *instance = instance_from(c, text, &store);
    hemi_val keep = hemi_i32(50000), waste = hemi_i32(4000000);
    ok(c, hemi_call(export_of(instance, "keep"), &keep, 1, NULL, 0, NULL));
    ok(c, hemi_call(export_of(instance, "waste"), &waste, 1, NULL, 0, NULL));
    struct hemi_stats stats;
    ok(c, hemi_stats_get(c, store, &stats));
    ck_assert_msg(stats.bytes_peak < 8u << 20, "%llu bytes for 600,000 live", (unsigned long long)stats.bytes_peak);
    hemi_client_free(c);
    stop();
}
END_TEST

/* Fewer bytes than a stack is counted in were none, which means the tenant's whole. */
START_TEST(the_smallest_stack_is_not_the_largest)
{
    static const char text[] =
        "(module (func $f (export \"f\") (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) "
        "(i32.const 1)))))))";
    static const uint64_t sizes[] = {1, 15, 16, 17, 100};
    start_with("");
    hemi_client *c = client_open(d.socket);
    hemi_module *m = module_from(c, text);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct hemi_store_options o = {.stack_bytes = sizes[i]};
        hemi_store *store;
        hemi_instance *in;
        hemi_val depth = hemi_i32(100);
        ok(c, hemi_store_new(c, &o, &store, NULL));
        ok(c, hemi_instance_new(store, m, NULL, 0, NULL, &in, NULL));
        expect_named(c, HEMI_TRAP, "stack_bytes", hemi_call(export_of(in, "f"), &depth, 1, NULL, 0, NULL));
    }
    hemi_client_free(c);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("limits");
    TCase *t = tcase_create("limits");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, stores);
    tcase_add_test(t, connections);
    tcase_add_test(t, handles);
    tcase_add_test(t, modules_and_their_size);
    tcase_add_test(t, the_budget_of_many_stores);
    tcase_add_test(t, memory_that_the_kernel_refuses);
    tcase_add_test(t, three_hundred_idle_connections);
    tcase_add_test(t, heap_and_stack);
    tcase_add_test(t, the_smallest_stack_is_not_the_largest);
    tcase_add_test(t, the_default_growth_keeps_garbage_in_bounds);
    suite_add_tcase(s, t);
    return run_suite(s);
}
