/* tests/unit/server/worker/worker_sweep_test.c -- a worker that serves without memory or descriptors: the 1st, 2nd, ...
 * that it asks for fails while a client does something of everything. That is one failed request, or one connection
 * that ends with a status; the worker lives, the next client has everything work, and the budget is what it was. */
#include "client/wat/wat.h"
#include "tests/unit/sweep_rig.h"

#ifdef HEMI_STRESS /* where each allocation collects, chunks are small */
enum { LIST = 100 };
#else
enum { LIST = 3000 };
#endif

static const char guest_text[] =
    "(module (import \"h\" \"f\" (func $f (param i32) (result i32)))"
    " (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    " (type $n (struct (field (mut (ref null $n))) (field i64))) (type $a (array (mut i8)))"
    " (memory (export \"memory\") 1 20) (table (export \"table\") 4 10000 externref)"
    " (global (export \"global\") (mut i64) (i64.const 7)) (tag $e (param i32))"
    " (global $list (mut (ref null $n)) (ref.null $n)) (elem $el func $f)"
    " (data (i32.const 0) \"\\08\\00\\00\\00\\00\\40\\00\\00\")"
    " (func (export \"list\") (param i32) (result anyref) (local $l (ref null $n))"
    "  (loop $more (local.set $l (struct.new $n (local.get $l) (i64.const 5)))"
    "   (drop (array.new_default $a (i32.const 100)))"
    "   (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
    "  (global.set $list (local.get $l)) (local.get $l))"
    " (func (export \"large\") (param i32) (result i32) (array.len (array.new_default $a (local.get 0))))"
    " (func (export \"out\") (param i32) (result i32) (call $f (local.get 0)))"
    " (func (export \"throw\") (throw $e (i32.const 1)))"
    " (func (export \"grow\") (result i32) (drop (table.grow 0 (ref.null extern) (i32.const 1000)))"
    "  (memory.grow (i32.const 3)))"
    " (func (export \"deep\") (param i32) (result i32) (if (result i32) (local.get 0)"
    "  (then (i32.add (i32.const 1) (call 7 (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))"
    " (func (export \"write\") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100))))";

static uint8_t *guest;
static size_t guest_size;

/* ---- the client */

static size_t written;
static hemi_status swallow(const void *bytes, size_t n, void *env)
{
    *(size_t *)env += bytes ? n : 0;
    return HEMI_OK;
}

static hemi_status host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    hemi_memory_size(env, &(uint64_t){0}, NULL);
    (void)caller;
    results[0] = hemi_i32(args[0].of.i32 + 1);
    return HEMI_OK;
}

/* One client: its objects, and the first failure. */
struct user {
    hemi_client *client;
    hemi_store *store;
    hemi_module *module;
    hemi_instance *instance;
    hemi_object *memory;
    hemi_status failed;
};

/* A step that may fail for lack of something, and must not fail otherwise. */
#define STEP(u, call) step((u), (call), #call)
static bool step(struct user *u, hemi_status status, const char *what)
{
    switch (status) {
    case HEMI_OK:
        return true;
    case HEMI_NO_MEMORY:
    case HEMI_LIMIT:
    case HEMI_DEPENDENCY_FAILED:
    case HEMI_CLOSED:
    case HEMI_TRAP: /* of the guest's heap */
        if (u->failed == HEMI_OK) u->failed = status;
        return false;
    default:
        ck_abort_msg("%s: %s (%s)\n%s", what, hemi_status_text(status), u->client ? hemi_client_error(u->client) : "",
                     log_end());
    }
}

static bool begin(struct user *u)
{
    const struct hemi_wasi_options streams = {.out = swallow, .env = &written};
    static const hemi_type i32 = HEMI_TYPE_I32;
    struct hemi_func_options type = {.params = &i32, .nparams = 1, .results = &i32, .nresults = 1};
    const struct hemi_entry *entries;
    hemi_wasi *wasi;
    hemi_object *imports[1];
    size_t n;
    return STEP(u, hemi_module_new(u->client, guest, guest_size, &u->module, NULL)) &&
           STEP(u, hemi_store_new(u->client, NULL, &u->store, NULL)) &&
           STEP(u, hemi_memory_new(u->store, 1, 2, false, &u->memory, NULL)) &&
           STEP(u, hemi_func_new(u->store, &type, host, u->memory, imports, NULL)) &&
           STEP(u, hemi_wasi_new(u->store, &streams, &wasi, NULL)) &&
           STEP(u, hemi_instance_new(u->store, u->module, imports, 1, wasi, &u->instance, NULL)) &&
           STEP(u, hemi_module_exports(u->module, &entries, &n)) &&
           STEP(u, hemi_instance_exports(u->instance, &entries, &n));
}

static void call_i32(struct user *u, const char *name, int32_t argument, size_t nargs)
{
    hemi_object *func;
    hemi_val in = hemi_i32(argument), out;
    if (STEP(u, hemi_export_get(u->instance, name, &func, NULL))) STEP(u, hemi_call(func, &in, nargs, &out, 1, NULL));
}

static void references(struct user *u)
{
    hemi_object *func, *table;
    hemi_val n = hemi_i32(LIST), list, null = hemi_null(HEMI_CLASS_EXTERN), x = null;
    hemi_type type;
    bool equal;
    uint64_t size;
    if (STEP(u, hemi_export_get(u->instance, "list", &func, NULL)) && STEP(u, hemi_call(func, &n, 1, &list, 1, NULL))) {
        STEP(u, hemi_ref_eq(u->client, &list, &list, &equal, NULL));
        STEP(u, hemi_ref_type(u->client, &list, &type, NULL));
    }
    if (!STEP(u, hemi_export_get(u->instance, "table", &table, NULL))) return;
    STEP(u, hemi_extern_new(u->store, &written, NULL, &x));
    STEP(u, hemi_table_set(table, 1, &x, NULL));
    STEP(u, hemi_table_get(table, 1, &x, NULL));
    STEP(u, hemi_table_grow(table, 500, &null, &size, NULL));
    STEP(u, hemi_table_new(u->store, HEMI_TYPE_EXTERNREF, 100, 200, false, &null, &table, NULL));
    STEP(u, hemi_store_gc(u->store, NULL));
}

static void memories(struct user *u)
{
    static uint8_t bytes[100000];
    uint64_t pages;
    hemi_object *memory, *global;
    hemi_val v = hemi_i64(3);
    STEP(u, hemi_memory_write(u->memory, 0, bytes, 60000, NULL));
    STEP(u, hemi_memory_read(u->memory, 5, bytes, 60000, NULL));
    if (STEP(u, hemi_export_get(u->instance, "memory", &memory, NULL)))
        STEP(u, hemi_memory_grow(memory, 1, &pages, NULL));
    STEP(u, hemi_memory_new(u->store, 1, UINT64_MAX, true, &memory, NULL));
    if (STEP(u, hemi_global_new(u->store, HEMI_TYPE_I64, true, &v, &global, NULL)))
        STEP(u, hemi_global_get(global, &v, NULL));
}

static void the_rest(struct user *u)
{
    hemi_object *func;
    hemi_status status = HEMI_OK;
    struct hemi_stats stats;
    char *json;
    if (STEP(u, hemi_export_get(u->instance, "throw", &func, NULL))) status = hemi_call(func, NULL, 0, NULL, 0, NULL);
    if (status != HEMI_EXCEPTION) STEP(u, status);
    STEP(u, hemi_ping(u->client, NULL));
    STEP(u, hemi_stats_get(u->client, u->store, &stats));
    if (STEP(u, hemi_info(u->client, &json))) {
        ck_assert_msg(strstr(json, "\"jail\"") && strstr(json, "\"limits\""), "INFO lacks something: %s", json);
        hemi_free_text(json);
    }
}

/* Something of everything. */
static hemi_status use(void)
{
    struct user u = {0};
    if (STEP(&u, dial(&u.client)) && begin(&u)) {
        call_i32(&u, "out", 5, 1);
        references(&u);
        call_i32(&u, "large", 3 << 20, 1);
        call_i32(&u, "deep", 3000, 1);
        call_i32(&u, "grow", 0, 0);
        call_i32(&u, "write", 0, 0);
        memories(&u);
        the_rest(&u);
        STEP(&u, hemi_store_close(u.store, NULL));
    }
    hemi_client_free(u.client);
    return u.failed;
}

static hemi_status ask(void)
{
    struct user u = {0};
    char *json;
    if (STEP(&u, dial(&u.client)) && STEP(&u, hemi_info(u.client, &json))) hemi_free_text(json);
    hemi_client_free(u.client);
    return u.failed;
}

/* ---- the sweep */

static void sweep_service(enum sweep_kind kind, hemi_status (*use_it)(void), bool stays, long stride)
{
    struct wat_error error;
    bool reached = true;
    ck_assert_msg(wat_assemble(guest_text, sizeof guest_text - 1, "guest", &guest, &guest_size, &error) == 0,
                  "%u:%u: %s", error.line, error.column, error.message);
    start_daemon();
    ck_assert_int_eq(use_it(), HEMI_OK);
    ck_assert_int_eq(use_it(), HEMI_OK);
    long memory = memory_at_rest();
    pid_t worker = a_worker();
    unsigned fds = count_fds(worker);
    for (long n = sweep_first(stride); reached; n = sweep_next(n, stride)) {
        sweep_arm(SWEEP_WORKER, kind, n, stays);
        use_it();
        reached = sweep_disarm(SWEEP_WORKER);
        ck_assert_msg(a_worker() == worker, "%s %ld ended the worker\n%s", kind_names[kind], n, log_end());
        hemi_status status = use_it();
        ck_assert_msg(status == HEMI_OK, "after %s %ld: %s", kind_names[kind], n, hemi_status_text(status));
        wait_for_memory(memory);
        wait_for_fds(worker, fds);
    }
    stop_daemon();
    free(guest);
}

START_TEST(a_worker_without_memory_fails_one_request) { sweep_service(SWEEP_MEMORY, use, _i, 7); }
END_TEST

START_TEST(a_worker_without_descriptors_fails_one_request) { sweep_service(SWEEP_DESCRIPTORS, use, _i, 1); }
END_TEST

/* INFO left the parts of its text behind that it had no whole for; the worker of a sanitizer's build tells at its end.
 */
START_TEST(info_without_memory_leaves_nothing) { sweep_service(SWEEP_MEMORY, ask, false, 1); }
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, a_worker_without_memory_fails_one_request, 0, 2);
    tcase_add_loop_test(tests, a_worker_without_descriptors_fails_one_request, 0, 2);
    tcase_add_test(tests, info_without_memory_leaves_nothing);
}

int main(int argc, char **argv) { return sweep_main(argc, argv, "worker_sweep", add); }
