/* Beginnings and ends, many times over: whatever a client does last, the worker's memory, descriptors, stores and
 * handles come back, and libhemi runs what is owed exactly once. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static const char TEXT[] =
    "(module (type $b (struct (field i32 (ref null $b)))) (import \"h\" \"f\" (func $f (param i32) (result i32)))\n"
    "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))\n"
    "  (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))\n"
    "  (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))\n"
    "  (memory (export \"memory\") 4 2048) (data (i32.const 0) \"\\10\\00\\00\\00\\00\\10\\00\\00\")\n"
    "  (global $keep (mut (ref null $b)) (ref.null $b)) (global (export \"any\") (mut externref) (ref.null extern))\n"
    "  (func (export \"quick\") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))\n"
    "  (func (export \"loop\") (loop $l (br $l)))\n"
    "  (func (export \"call\") (param i32) (result i32) (call $f (local.get 0)))\n"
    "  (func (export \"read\") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))))\n"
    "  (func (export \"write\") (loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))\n"
    "    (br $l)))\n"
    "  (func (export \"sleep\") (i64.store (i32.const 88) (i64.const 3600000000000))\n"
    "    (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))))\n"
    "  (func (export \"fill\") (drop (memory.grow (i32.const 1000)))\n"
    "    (loop $l (memory.fill (i32.const 4096) (i32.const 7) (i32.const 60000000)) (br $l)))\n"
    "  (func (export \"churn\") (local $i i32) (loop $l\n"
    "    (global.set $keep (struct.new $b (local.get $i) (if (result (ref null $b))\n"
    "      (i32.and (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1023))\n"
    "      (then (global.get $keep)) (else (ref.null $b))))) (br $l))))";

static const char *const STAGES[] = {"loop", "call", "read", "write", "sleep", "fill", "churn", "nested", "start"};
enum { NSTAGES = sizeof STAGES / sizeof STAGES[0], QUICK = 7 };
enum ending { CANCEL, DEADLINE, INTERRUPT, STORE_CLOSE, HANG_UP, NENDINGS };

static struct daemon d;
static hemi_client *other;
static hemi_object *quick_of_other;
static pid_t worker;

static void start(void)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, "");
    other = client_open(d.socket);
    quick_of_other = export_of(instance_from(other, "(module (func (export \"f\")))", &store), "f");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
}

static void number_in_info(const char *key, long *out)
{
    char *json, wanted[64];
    ok(other, hemi_info(other, &json));
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *at = strstr(json, wanted);
    ck_assert_msg(at != NULL, "no %s", key);
    *out = strtol(at + strlen(wanted), NULL, 10);
    hemi_free_text(json);
}

/* The worker has what it had when only `other` was there. */
static void nothing_is_left(void)
{
    double end = now_ms() + 10000 * slowness();
    long connections, stores, live;
    do {
        number_in_info("connections", &connections);
        number_in_info("stores", &stores);
        number_in_info("activations", &live);
        if (connections == 1 && stores == 1 && live <= 1) return; /* INFO itself is one */
        poll(NULL, 0, 10);
    } while (now_ms() < end);
    ck_abort_msg("left: %ld connections, %ld stores, %ld activations", connections, stores, live);
}

static void stop(void)
{
    pid_t now;
    nothing_is_left();
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_int_eq(now, worker);
    hemi_client_free(other);
    daemon_stop(&d);
}

/* ---- a client with one call under way */

struct one {
    hemi_client *client;
    hemi_store *store;
    hemi_module *module;
    hemi_instance *instance;
    hemi_object *host;
    hemi_wasi *wasi;
    hemi_deferred *deferred;
    hemi_object *loop, *call;
    bool nested;
    unsigned freed, finalized;
    hemi_ticket inner;
};

static hemi_status host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct one *o = env;
    results[0] = hemi_i32(args[0].of.i32 + 1);
    if (args[0].of.i32 == QUICK) return HEMI_OK;
    if (o->nested) ok(o->client, hemi_call(o->loop, NULL, 0, NULL, 0, &o->inner));
    return hemi_caller_defer(caller, &o->deferred);
}

static void count_free(void *env) { ((struct one *)env)->freed++; }
static void count_final(void *pointer) { ((struct one *)pointer)->finalized++; }
static size_t input_later(void *bytes, size_t n, void *env)
{
    (void)bytes, (void)n, (void)env;
    return HEMI_INPUT_LATER;
}

static hemi_instance *instance_with(struct one *o, hemi_module *module, size_t nimports)
{
    hemi_object *imports[1] = {o->host};
    hemi_instance *in;
    ok(o->client, hemi_instance_new(o->store, module, imports, nimports, o->wasi, &in, NULL));
    return in;
}

static void open_one(struct one *o)
{
    static const hemi_type i32[] = {HEMI_TYPE_I32};
    struct hemi_func_options type = {
        .params = i32, .results = i32, .nparams = 1, .nresults = 1, .env_free = count_free};
    struct hemi_wasi_options wasi = {.in = input_later, .env = o};
    *o = (struct one){.client = client_open(d.socket)};
    o->module = module_from(o->client, TEXT);
    ok(o->client, hemi_store_new(o->client, NULL, &o->store, NULL));
    ok(o->client, hemi_func_new(o->store, &type, host, o, &o->host, NULL));
    ok(o->client, hemi_wasi_new(o->store, &wasi, &o->wasi, NULL));
    o->instance = instance_with(o, o->module, 1);
    o->loop = export_of(o->instance, "loop");
    o->call = export_of(o->instance, "call");
    hemi_val v;
    ok(o->client, hemi_extern_new(o->store, o, count_final, &v));
    ok(o->client, hemi_global_set(export_of(o->instance, "any"), &v, NULL));
}

static void close_one(struct one *o)
{
    hemi_client_free(o->client);
    ck_assert_uint_eq(o->freed, 1);
    ck_assert_uint_eq(o->finalized, 1);
}

static void begin(struct one *o, const char *stage, hemi_ticket *ticket)
{
    if (strcmp(stage, "start") == 0) {
        hemi_module *m = module_from(o->client, "(module (func $f (loop $l (br $l))) (start $f))");
        hemi_instance *in;
        ok(o->client, hemi_instance_new(o->store, m, NULL, 0, NULL, &in, ticket));
        return;
    }
    o->nested = strcmp(stage, "nested") == 0;
    bool calls = o->nested || strcmp(stage, "call") == 0;
    hemi_object *f = export_of(o->instance, calls ? "call" : stage);
    hemi_val arg = hemi_i32(1);
    static hemi_val result;
    ok(o->client, hemi_call(f, &arg, calls, &result, calls, ticket));
}

static void let_it_run(struct one *o, int ms)
{
    double end = now_ms() + ms;
    while (now_ms() < end) {
        struct pollfd p = {.fd = hemi_client_fd(o->client), .events = POLLIN};
        poll(&p, 1, 5);
        ok(o->client, hemi_client_dispatch(o->client));
    }
}

static void others_go_on(void)
{
    struct stopwatch watch = stopwatch_start(&d);
    ok(other, hemi_call(quick_of_other, NULL, 0, NULL, 0, NULL));
    double took = stopwatch_ms(&watch);
    ck_assert_msg(took < 100 * slowness(), "another client's call took %.0f ms", took);
}

/* A stage ended in one of the ways; the store goes on where it still is. */
static void end_stage(const char *stage, enum ending how)
{
    static const hemi_status due[] = {HEMI_CANCELLED, HEMI_DEADLINE, HEMI_INTERRUPTED, HEMI_CLOSED, HEMI_CLOSED};
    struct one o;
    hemi_ticket ticket, queued;
    hemi_val arg = hemi_i32(4), result;
    open_one(&o);
    if (how == DEADLINE) hemi_client_set_deadline(o.client, 60);
    begin(&o, stage, &ticket);
    hemi_client_set_deadline(o.client, 0);
    let_it_run(&o, 30);
    others_go_on();
    if (how == CANCEL) ok(o.client, hemi_cancel(o.client, ticket));
    if (how == INTERRUPT) hemi_client_interrupt(o.client);
    if (how == STORE_CLOSE) ok(o.client, hemi_store_close(o.store, &queued));
    if (how == HANG_UP) {
        close_one(&o);
        return;
    }
    expect(o.client, due[how], hemi_wait(o.client, ticket));
    if (o.inner) ck_assert_int_ne(hemi_wait(o.client, o.inner), HEMI_OK);
    if (o.deferred) hemi_deferred_finish(o.deferred, HEMI_OK, &arg, 1, NULL); /* late, and owed */
    if (how == STORE_CLOSE) {
        ok(o.client, hemi_wait(o.client, queued));
    } else {
        o.nested = false;
        arg = hemi_i32(QUICK);
        ok(o.client, hemi_call(o.call, &arg, 1, &result, 1, NULL));
        ck_assert_int_eq(result.of.i32, QUICK + 1);
    }
    close_one(&o);
}

START_TEST(every_stage_ends_in_every_way)
{
    for (int how = 0; how < NENDINGS; how++) end_stage(STAGES[_i], (enum ending)how);
    nothing_is_left();
}
END_TEST

/* ---- many times */

static long rss_kb(void)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)worker);
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) sscanf(line, "VmRSS: %ld", &kb);
    fclose(f);
    return kb;
}

/* A client that dies with SIGKILL in the middle of something. */
static void cycle(int i)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct one o;
        hemi_ticket ticket;
        open_one(&o);
        begin(&o, STAGES[i % NSTAGES], &ticket);
        hemi_flush(o.client);
        kill(getpid(), SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(a_thousand_killed_clients_leave_no_memory)
{
    int n = slowness() > 1 ? 200 : 1000;
    for (int i = 0; i < n / 5; i++) cycle(i);
    nothing_is_left();
    unsigned fds = open_fds(worker);
    long before = rss_kb();
    for (int i = 0; i < n; i++) cycle(i);
    nothing_is_left();
    long grown = rss_kb() - before, used;
    number_in_info("memory_bytes", &used);
    printf("%d killed clients: %ld KiB before, %+ld KiB\n", n, before, grown);
    ck_assert_uint_eq(open_fds(worker), fds);
    ck_assert_msg(slowness() > 2 || grown < 4096, "the worker grew by %ld KiB", grown); /* ASan keeps what is freed */
}
END_TEST

/* ---- libhemi */

struct nest {
    hemi_client *client;
    hemi_object *inc;
    hemi_ticket tickets[200];
    hemi_val results[200];
    int n;
};

static hemi_status leaves_requests_behind(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct nest *n = env;
    (void)caller;
    for (int i = 0; i < 10; i++, n->n++)
        ok(n->client, hemi_call(n->inc, args, 1, &n->results[n->n], 1, &n->tickets[n->n]));
    results[0] = args[0];
    return HEMI_OK;
}

/* Requests made inside a host function may be answered after it; their window went with it. */
START_TEST(a_host_function_may_leave_requests_behind)
{
    static const char text[] = "(module (import \"h\" \"f\" (func $f (param i32) (result i32)))\n"
                               "  (func (export \"inc\") (param i32) (result i32)\n"
                               "    (i32.add (local.get 0) (i32.const 1)))\n"
                               "  (func (export \"call\") (param i32) (result i32) (call $f (local.get 0))))";
    static const hemi_type i32[] = {HEMI_TYPE_I32};
    struct hemi_func_options type = {.params = i32, .results = i32, .nparams = 1, .nresults = 1};
    struct nest n = {.client = client_open(d.socket)};
    hemi_store *store;
    hemi_object *f;
    hemi_instance *in;
    hemi_module *m = module_from(n.client, text);
    ok(n.client, hemi_store_new(n.client, NULL, &store, NULL));
    ok(n.client, hemi_func_new(store, &type, leaves_requests_behind, &n, &f, NULL));
    ok(n.client, hemi_instance_new(store, m, &f, 1, NULL, &in, NULL));
    n.inc = export_of(in, "inc");
    hemi_object *call = export_of(in, "call");
    for (int i = 0; i < 20; i++) {
        hemi_val arg = hemi_i32(i), result;
        ok(n.client, hemi_call(call, &arg, 1, &result, 1, NULL));
        ck_assert(!hemi_would_block(n.client));
    }
    for (int i = 0; i < n.n; i++) {
        ok(n.client, hemi_wait(n.client, n.tickets[i]));
        ck_assert_int_eq(n.results[i].of.i32, i / 10 + 1);
    }
    ck_assert_int_eq(call_i32(n.inc, 1, 4), 5);
    hemi_client_free(n.client);
}
END_TEST

/* Everything fails, nothing crashes, after the worker was lost; deferred calls and callbacks end once. */
START_TEST(use_after_the_end)
{
    struct one o;
    hemi_ticket ticket, another;
    hemi_val arg = hemi_i32(1), result;
    open_one(&o);
    hemi_object *call = export_of(o.instance, "call");
    begin(&o, "call", &ticket);
    ok(o.client, hemi_call(call, &arg, 1, &result, 1, &another));
    let_it_run(&o, 30);
    ck_assert_ptr_nonnull(o.deferred);
    kill(worker, SIGKILL);
    expect(o.client, HEMI_WORKER_LOST, hemi_wait(o.client, ticket));
    hemi_forget(o.client, another);
    hemi_forget(o.client, 12345);
    expect(o.client, HEMI_ARGUMENT, hemi_wait(o.client, another));
    expect(o.client, HEMI_WORKER_LOST, hemi_deferred_finish(o.deferred, HEMI_OK, &arg, 1, NULL));
    expect(o.client, HEMI_WORKER_LOST, hemi_call(call, &arg, 1, &result, 1, NULL));
    expect(o.client, HEMI_WORKER_LOST, hemi_call(call, &arg, 1, &result, 1, &ticket));
    expect(o.client, HEMI_WORKER_LOST, hemi_flush(o.client));
    expect(o.client, HEMI_WORKER_LOST, hemi_client_dispatch(o.client));
    expect(o.client, HEMI_WORKER_LOST, hemi_client_ended(o.client));
    expect(o.client, HEMI_WORKER_LOST, hemi_store_close(o.store, NULL));
    hemi_client_interrupt(o.client);
    hemi_wasi_free(o.wasi);
    hemi_object_free(call);
    hemi_instance_free(o.instance);
    hemi_module_free(o.module);
    ck_assert(!hemi_client_pending(o.client));
    close_one(&o);
    /* A fresh worker, for stop() to look at. */
    hemi_client_free(other);
    hemi_store *store;
    other = client_open(d.socket);
    quick_of_other = export_of(instance_from(other, "(module (func (export \"f\")))", &store), "f");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
}
END_TEST

START_TEST(nulls_that_are_allowed)
{
    hemi_client *c = client_open(d.socket);
    hemi_client_free(NULL);
    hemi_module_free(NULL);
    hemi_instance_free(NULL);
    hemi_object_free(NULL);
    hemi_wasi_free(NULL);
    hemi_scope_close(NULL);
    hemi_free_text(NULL);
    hemi_val null = hemi_null(HEMI_CLASS_ANY), number = hemi_i32(1);
    hemi_drop(c, &null);
    hemi_drop(c, &number);
    hemi_store *store;
    hemi_object *memory;
    ok(c, hemi_store_new(c, NULL, &store, NULL));
    ok(c, hemi_memory_new(store, 1, UINT64_MAX, false, &memory, NULL));
    ok(c, hemi_memory_grow(memory, 1, NULL, NULL));
    ok(c, hemi_memory_read(memory, 0, NULL, 0, NULL));
    ok(c, hemi_memory_write(memory, 0, NULL, 0, NULL));
    hemi_wasi *wasi;
    ok(c, hemi_wasi_new(store, NULL, &wasi, NULL));
    hemi_client_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lifecycle");
    TCase *t = tcase_create("lifecycle");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_stage_ends_in_every_way, 0, NSTAGES);
    tcase_add_test(t, a_thousand_killed_clients_leave_no_memory);
    tcase_add_test(t, a_host_function_may_leave_requests_behind);
    tcase_add_test(t, use_after_the_end);
    tcase_add_test(t, nulls_that_are_allowed);
    suite_add_tcase(s, t);
    return run_suite(s);
}
