/* tests/unit/client/library_sweep_test.c -- libhemi without memory or descriptors, against a daemon: the 1st, 2nd, ...
 * that it asks for fails while a program calls each of its functions. One call fails then and the next try works, or
 * the connection ends with NO_MEMORY; every callback that is owed runs, and the worker is left with nothing. (Nothing
 * is asserted on the way that holds: Check would allocate.) */
#include <sys/socket.h>
#include <sys/un.h>

#include "client/wat/wat.h"
#include "tests/unit/sweep_rig.h"

static const char guest_text[] =
    "(module (import \"h\" \"f\" (func $f (param externref) (result externref)))"
    " (import \"h\" \"g\" (func $g (param i32) (result i32)))"
    " (import \"h\" \"t\" (func $t (param exnref) (result i32)))"
    " (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    " (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
    " (type $n (struct (field (mut (ref null $n)))))"
    " (memory (export \"memory\") 1 20) (table (export \"table\") 4 100 externref)"
    " (global (export \"global\") (mut anyref) (ref.i31 (i32.const 5))) (tag $e (param i32)) (elem declare func $g)"
    " (data (i32.const 0) \"\\08\\00\\00\\00\\00\\02\\00\\00\")"
    " (func (export \"pair\") (result anyref funcref) (struct.new $n (ref.null $n)) (ref.func $g))"
    " (func (export \"out\") (param externref) (result externref) (call $f (local.get 0)))"
    " (func (export \"count\") (param i32) (result i32) (call $g (local.get 0)))"
    " (func $throw (export \"throw\") (throw $e (i32.const 1)))"
    " (func (export \"rethrow\") (result i32) (block $c (result exnref) (try_table (catch_all_ref $c) (call $throw))"
    "  unreachable) (call $t))"
    " (func (export \"write\") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 4)))"
    " (func (export \"read\") (result i32) (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))"
    " (func (export \"spin\") (loop $l (br $l))))";

enum { LARGE = 1200000 };
static uint8_t *guest, *large; /* large: the same with a custom section of more than a frame */
static size_t guest_size;

/* ---- What the program did, and what it is owed */
struct user {
    hemi_client *client;
    hemi_store *store;
    hemi_module *module;
    hemi_instance *instance;
    hemi_wasi *wasi;
    enum sweep_kind kind;
    unsigned failed; /* calls */
    hemi_status told;
    unsigned externs, finalized, envs, freed, done;
    hemi_deferred *deferred;
};
static struct user *now;

static void must(bool holds, const char *what)
{
    if (holds) return;
    bool reached = sweep_disarm(SWEEP_SELF);
    ck_abort_msg("not so (%d, %u failed): %s: %s", reached, now->failed, what,
                 now->client ? hemi_client_error(now->client) : "?");
}
#define MUST(condition) must((condition), #condition)

/* What a call may end with when something was refused: the guest may have met it in a host function. */
static bool expected(const struct user *u, hemi_status status)
{
    if (u->kind == SWEEP_DESCRIPTORS && status == HEMI_CONNECT) return true;
    return status == HEMI_NO_MEMORY || status == HEMI_HOST;
}

static bool again(struct user *u, hemi_status status, const char *what)
{
    if (status == HEMI_OK) return false;
    bool reached = sweep_disarm(SWEEP_SELF);
    u->told = status;
    if (u->client && hemi_client_ended(u->client) != HEMI_OK) { /* from then on everything says so */
        ck_assert_msg(reached && (status == HEMI_NO_MEMORY || status == hemi_client_ended(u->client)), "%s: %s (%s)",
                      what, hemi_status_text(status), hemi_client_error(u->client));
        ck_assert_msg(hemi_client_ended(u->client) == HEMI_NO_MEMORY, "%s: the connection ended with %s (%s)", what,
                      hemi_status_text(hemi_client_ended(u->client)), hemi_client_error(u->client));
        return false;
    }
    ck_assert_msg(reached && u->failed++ == 0 && expected(u, status), "%s: %s (%s)", what, hemi_status_text(status),
                  u->client ? hemi_client_error(u->client) : "?");
    return true;
}
/* False: the connection has ended. */
#define TRY(u, call)                                                                                                   \
    __extension__({                                                                                                    \
        while (again((u), (call), #call)) {                                                                            \
        }                                                                                                              \
        hemi_client_ended((u)->client) == HEMI_OK;                                                                     \
    })
#define STEP(u, call)                                                                                                  \
    do {                                                                                                               \
        if (!TRY(u, call)) return false;                                                                               \
    } while (0)

/* ---- Callbacks */
static void on_final(void *pointer) { ((struct user *)pointer)->finalized++; }
static void on_free(void *env) { ((struct user *)env)->freed++; }
static void on_done(hemi_client *client, hemi_ticket ticket, void *env)
{
    struct user *u = env;
    u->done++;
    hemi_status status = hemi_wait(client, ticket);
    if (status != HEMI_OK) u->told = status;
}
static hemi_status swallow(const void *bytes, size_t n, void *env)
{
    *(size_t *)env += bytes ? n : 0;
    return HEMI_OK;
}
static size_t give(void *bytes, size_t n, void *env)
{
    (void)env;
    memset(bytes, 'x', n < 100 ? n : 100);
    return n < 100 ? n : 100;
}

/* Gives back what it got, after a call of its own and with scopes left open. */
static hemi_status echo(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct user *u = env;
    hemi_client *c = hemi_caller_client(caller);
    hemi_scope *scope;
    hemi_object *count;
    hemi_val n = hemi_i32(3), out;
    hemi_status status = hemi_scope_open(c, &scope);
    if (status == HEMI_OK) status = hemi_export_get(u->instance, "count", &count, NULL);
    if (status == HEMI_OK) {
        status = hemi_call(count, &n, 1, &out, 1, NULL);
        hemi_object_free(count);
    }
    results[0] = args[0];
    return status == HEMI_OK ? HEMI_OK : hemi_caller_fail(caller, hemi_status_text(status));
}

static hemi_status count(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct user *u = env;
    results[0] = hemi_i32(args[0].of.i32 + 1);
    if (args[0].of.i32 == 99) return hemi_caller_exit(caller, 7);
    if (args[0].of.i32 != 98) return HEMI_OK;
    hemi_status status = hemi_caller_defer(caller, &u->deferred);
    return status == HEMI_OK ? HEMI_OK : hemi_caller_fail(caller, hemi_status_text(status));
}

static hemi_status throws(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)results, (void)env;
    return hemi_caller_throw(caller, args);
}

/* ---- The program */
static hemi_status connect_fd(struct user *u)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    hemi_client *other;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_directory("a"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return HEMI_NO_MEMORY;
    MUST(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    hemi_status status = hemi_connect_fd(fd, NULL, &other);
    if (status == HEMI_OK) status = hemi_ping(other, NULL);
    hemi_client_free(other);
    (void)u;
    return status;
}

static bool connects(struct user *u)
{
    hemi_status status;
    do {
        hemi_client_free(u->client);
        status = dial(&u->client);
        bool reached = status != HEMI_OK && sweep_disarm(SWEEP_SELF);
        must(status == HEMI_OK || (reached && u->failed++ == 0 && expected(u, status)), hemi_status_text(status));
    } while (status != HEMI_OK);
    STEP(u, connect_fd(u));
    return true;
}

static bool modules(struct user *u)
{
    hemi_module *other;
    const struct hemi_entry *entries;
    size_t n;
    char *json;
    hemi_ticket ticket;
    STEP(u, hemi_module_new(u->client, guest, guest_size, &u->module, NULL));
    STEP(u, hemi_module_imports(u->module, &entries, &n));
    MUST(n == 5);
    STEP(u, hemi_module_exports(u->module, &entries, &n));
    STEP(u, hemi_module_new(u->client, large, guest_size + LARGE, &other, NULL));
    hemi_module_free(other);
    STEP(u, hemi_module_new(u->client, guest, guest_size, &other, &ticket));
    STEP(u, hemi_wait(u->client, ticket));
    hemi_module_free(other);
    STEP(u, hemi_info(u->client, &json));
    hemi_free_text(json);
    return true;
}

static bool instances(struct user *u, size_t *written)
{
    static const char *const strings[] = {"guest", "A=1"};
    const struct hemi_wasi_options streams = {.args = strings,
                                              .nargs = 1,
                                              .envs = strings + 1,
                                              .nenvs = 1,
                                              .out = swallow,
                                              .err = swallow,
                                              .in = give,
                                              .env = written};
    static const hemi_type externref = HEMI_TYPE_EXTERNREF;
    const struct hemi_func_options echoes = {
        .params = &externref, .nparams = 1, .results = &externref, .nresults = 1, .env_free = on_free};
    const struct hemi_entry *entries;
    hemi_object *imports[3];
    size_t n;
    STEP(u, hemi_store_new(u->client, NULL, &u->store, NULL));
    STEP(u, hemi_func_new(u->store, &echoes, echo, u, &imports[0], NULL));
    u->envs++;
    STEP(u, hemi_func_new(u->store, &(struct hemi_func_options){.module = u->module, .import = 1, .env_free = on_free},
                          count, u, &imports[1], NULL));
    u->envs++;
    STEP(u, hemi_func_new(u->store, &(struct hemi_func_options){.module = u->module, .import = 2, .env_free = on_free},
                          throws, u, &imports[2], NULL));
    u->envs++;
    STEP(u, hemi_wasi_new(u->store, &streams, &u->wasi, NULL));
    STEP(u, hemi_instance_new(u->store, u->module, imports, 3, u->wasi, &u->instance, NULL));
    STEP(u, hemi_instance_exports(u->instance, &entries, &n));
    MUST(n == 11);
    for (int i = 0; i < 3; i++) hemi_object_free(imports[i]);
    return true;
}

static bool references(struct user *u)
{
    hemi_object *pair, *func;
    hemi_val out[2], n = hemi_i32(4), r, x;
    hemi_type type;
    hemi_scope *scope;
    hemi_ticket get, call;
    bool equal;
    STEP(u, hemi_export_get(u->instance, "pair", &pair, NULL));
    STEP(u, hemi_scope_open(u->client, &scope));
    STEP(u, hemi_call(pair, NULL, 0, out, 2, NULL));
    STEP(u, hemi_ref_eq(u->client, &out[0], &out[1], &equal, NULL));
    STEP(u, hemi_ref_type(u->client, &out[0], &type, NULL));
    STEP(u, hemi_ref_abstract_type(u->client, &out[0], &type, NULL));
    STEP(u, hemi_object_from_ref(u->store, &out[1], &func, NULL));
    STEP(u, hemi_call(func, &n, 1, &r, 1, NULL));
    hemi_object_free(func);
    hemi_keep(u->client, &out[0]);
    hemi_scope_close(scope);
    hemi_drop(u->client, &out[0]);
    hemi_object_free(pair);
    STEP(u, hemi_export_get(u->instance, "pair", &pair, &get));
    STEP(u, hemi_call_ahead(pair, NULL, 0, out, 2, 2, &call));
    STEP(u, hemi_wait(u->client, get));
    STEP(u, hemi_wait(u->client, call));
    hemi_drop(u->client, &out[0]);
    hemi_drop(u->client, &out[1]);
    STEP(u, hemi_export_get(u->instance, "out", &func, NULL));
    STEP(u, hemi_extern_new(u->store, u, on_final, &x));
    u->externs++;
    STEP(u, hemi_call(func, &x, 1, &r, 1, NULL));
    MUST(r.of.ref.pointer == u);
    return true;
}

static bool objects(struct user *u)
{
    static uint8_t bytes[LARGE];
    hemi_object *memory, *table, *global;
    hemi_val x, v, null = hemi_null(HEMI_CLASS_EXTERN), seven = hemi_i64(7);
    uint64_t size;
    STEP(u, hemi_export_get(u->instance, "memory", &memory, NULL));
    STEP(u, hemi_memory_grow(memory, 19, &size, NULL));
    STEP(u, hemi_memory_write(memory, 1000, bytes, sizeof bytes, NULL));
    STEP(u, hemi_memory_read(memory, 1000, bytes, sizeof bytes, NULL));
    STEP(u, hemi_memory_size(memory, &size, NULL));
    STEP(u, hemi_export_get(u->instance, "table", &table, NULL));
    STEP(u, hemi_extern_new(u->store, &u->externs, NULL, &x));
    STEP(u, hemi_table_set(table, 1, &x, NULL));
    STEP(u, hemi_table_get(table, 1, &v, NULL));
    STEP(u, hemi_table_grow(table, 5, &x, &size, NULL));
    STEP(u, hemi_table_size(table, &size, NULL));
    STEP(u, hemi_export_get(u->instance, "global", &global, NULL));
    STEP(u, hemi_global_get(global, &v, NULL));
    STEP(u, hemi_global_set(global, &v, NULL));
    STEP(u, hemi_memory_new(u->store, 1, 2, false, &memory, NULL));
    STEP(u, hemi_table_new(u->store, HEMI_TYPE_EXTERNREF, 3, 9, false, &null, &table, NULL));
    STEP(u, hemi_global_new(u->store, HEMI_TYPE_I64, true, &seven, &global, NULL));
    return true;
}

/* A call that is to end with `wanted`. */
static hemi_status ending(hemi_object *func, const hemi_val *args, size_t n, hemi_status wanted)
{
    hemi_val out;
    hemi_status status = hemi_call(func, args, n, &out, 1, NULL);
    return status == wanted ? HEMI_OK : status == HEMI_OK ? HEMI_INTERNAL : status;
}

static bool failures(struct user *u)
{
    hemi_object *func;
    const struct hemi_trace_entry *trace;
    char text[100];
    hemi_val n = hemi_i32(99), e;
    STEP(u, hemi_export_get(u->instance, "throw", &func, NULL));
    STEP(u, ending(func, NULL, 0, HEMI_EXCEPTION));
    if (hemi_client_trace(u->client, &trace) > 0) hemi_trace_text(trace, text, sizeof text);
    e = hemi_client_exception(u->client);
    hemi_drop(u->client, &e);
    STEP(u, hemi_export_get(u->instance, "rethrow", &func, NULL));
    STEP(u, ending(func, NULL, 0, HEMI_EXCEPTION));
    STEP(u, hemi_export_get(u->instance, "count", &func, NULL));
    STEP(u, ending(func, &n, 1, HEMI_EXIT));
    return true;
}

static hemi_status dispatch(struct user *u)
{
    struct pollfd p = {.fd = hemi_client_fd(u->client), .events = (short)hemi_client_events(u->client)};
    if (p.fd < 0) return HEMI_NO_MEMORY;
    if (!hemi_client_pending(u->client)) poll(&p, 1, 50);
    return hemi_client_dispatch(u->client);
}

static bool streams(struct user *u, const size_t *written)
{
    hemi_object *func;
    hemi_val v;
    STEP(u, hemi_export_get(u->instance, "write", &func, NULL));
    STEP(u, hemi_call(func, NULL, 0, &v, 1, NULL));
    MUST(v.of.i32 == 0);
    while (*written < 512) STEP(u, dispatch(u)); /* output does not wait for results, nor they for it */
    STEP(u, hemi_export_get(u->instance, "read", &func, NULL));
    STEP(u, hemi_call(func, NULL, 0, &v, 1, NULL));
    MUST(v.of.i32 == 0);
    return true;
}

static hemi_status finish(struct user *u)
{
    hemi_val n = hemi_i32(98);
    hemi_deferred *deferred = u->deferred;
    u->deferred = NULL;
    return hemi_deferred_finish(deferred, HEMI_OK, &n, 1, NULL);
}

static hemi_status deferred_call(struct user *u, hemi_object *func)
{
    hemi_val n = hemi_i32(98), out;
    hemi_ticket ticket;
    hemi_status status = hemi_call(func, &n, 1, &out, 1, &ticket);
    if (status != HEMI_OK) return status;
    while (!hemi_ready(u->client, ticket)) {
        status = u->deferred ? finish(u) : dispatch(u);
        if (status != HEMI_OK && !again(u, status, "a deferred answer")) break;
    }
    return hemi_wait(u->client, ticket);
}

/* A call that never ends, ended. */
static hemi_status stopped(struct user *u, hemi_object *func, bool interrupted)
{
    hemi_ticket ticket;
    hemi_status status = hemi_call(func, NULL, 0, NULL, 0, &ticket);
    if (status != HEMI_OK) return status;
    if (interrupted) hemi_client_interrupt(u->client);
    status = interrupted ? HEMI_OK : hemi_cancel(u->client, ticket);
    while (status != HEMI_OK && hemi_client_ended(u->client) == HEMI_OK && again(u, status, "cancel"))
        status = hemi_cancel(u->client, ticket);
    status = hemi_wait(u->client, ticket);
    return status == (interrupted ? HEMI_INTERRUPTED : HEMI_CANCELLED) ? HEMI_OK : status;
}

static bool tickets(struct user *u)
{
    hemi_object *func;
    struct hemi_stats stats;
    struct hemi_client_stats own;
    hemi_ticket ticket;
    STEP(u, hemi_export_get(u->instance, "count", &func, NULL));
    STEP(u, deferred_call(u, func));
    STEP(u, hemi_export_get(u->instance, "spin", &func, NULL));
    STEP(u, stopped(u, func, false));
    STEP(u, stopped(u, func, true));
    u->done = 0;
    STEP(u, hemi_ping(u->client, &ticket));
    STEP(u, hemi_then(u->client, ticket, on_done, u));
    while (u->done == 0) STEP(u, dispatch(u));
    STEP(u, hemi_ping(u->client, &ticket));
    hemi_forget(u->client, ticket);
    STEP(u, hemi_flush(u->client));
    STEP(u, hemi_store_gc(u->store, NULL));
    STEP(u, hemi_stats_get(u->client, u->store, &stats));
    hemi_client_stats_get(u->client, &own);
    return true;
}

static bool ends(struct user *u)
{
    hemi_store *other;
    hemi_instance_free(u->instance);
    hemi_wasi_free(u->wasi);
    hemi_module_free(u->module);
    STEP(u, hemi_store_new(u->client, NULL, &other, NULL));
    STEP(u, hemi_store_close_in_order(other, NULL));
    STEP(u, hemi_store_close(u->store, NULL));
    return true;
}

/* Something of everything; what the connection ended with, or HEMI_OK. */
static void use(enum sweep_kind kind, struct user *u)
{
    size_t written = 0;
    *u = (struct user){.kind = kind};
    now = u;
    bool whole = connects(u) && modules(u) && instances(u, &written) && references(u) && objects(u) && failures(u) &&
                 streams(u, &written) && tickets(u) && ends(u);
    MUST(whole || u->told == HEMI_NO_MEMORY);
    hemi_client_free(u->client);
    MUST(u->finalized == u->externs && u->freed == u->envs);
}

/* ---- The sweep */
static void make_guests(void)
{
    struct wat_error error;
    ck_assert_msg(wat_assemble(guest_text, sizeof guest_text - 1, "guest", &guest, &guest_size, &error) == 0,
                  "%u:%u: %s", error.line, error.column, error.message);
    const uint8_t head[] = {0, 0xFC, 0x9E, 0x49, 1, 'x'}; /* a custom section of LARGE - 4 bytes */
    large = calloc(1, guest_size + LARGE);
    memcpy(large, guest, guest_size);
    memcpy(large + guest_size, head, sizeof head);
}

static void sweep_library(enum sweep_kind kind, bool stays, long stride)
{
    struct user u;
    bool reached = true;
    make_guests();
    start_daemon();
    use(kind, &u);
    use(kind, &u);
    long memory = memory_at_rest();
    unsigned fds = count_fds(getpid()), worker_fds = count_fds(a_worker());
    for (long n = sweep_first(stride); reached; n = sweep_next(n, stride)) {
        sweep_arm(SWEEP_SELF, kind, n, stays);
        use(kind, &u);
        reached = sweep_disarm(SWEEP_SELF);
        wait_for_memory(memory);
        ck_assert_uint_eq(count_fds(getpid()), fds);
        wait_for_fds(a_worker(), worker_fds);
    }
    stop_daemon();
    free(guest);
    free(large);
}

START_TEST(a_library_without_memory_fails_one_call) { sweep_library(SWEEP_MEMORY, _i, 5); }
END_TEST

START_TEST(a_library_without_descriptors_fails_one_call) { sweep_library(SWEEP_DESCRIPTORS, _i, 1); }
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, a_library_without_memory_fails_one_call, 0, 2);
    tcase_add_loop_test(tests, a_library_without_descriptors_fails_one_call, 0, 2);
}

int main(int argc, char **argv) { return sweep_main(argc, argv, "library_sweep", add); }
