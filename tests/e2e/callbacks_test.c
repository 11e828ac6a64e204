/* What the program's own functions may do while libhemi calls them: fork and return in the child, fail after they
 * deferred, return another call's status, close a scope from outside. Each once in each kind of function. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;
static hemi_store *store;
static hemi_instance *instance;
static pid_t parent, child;
static bool frees_at_once; /* the child, inside the callback that has forked it */

/* Once: forks, and goes on in both processes. */
static void go_on_twice(void)
{
    if (child != 0 || getpid() != parent) return;
    child = fork();
    if (child != 0) return;
    alarm(20);
    if (frees_at_once) hemi_client_free(client);
}

static bool is_child(void) { return getpid() != parent; }

enum { IN_HOST, IN_OUT, IN_IN, IN_DONE, IN_FINALIZER, IN_ENV_FREE, PLACES };
static int place;

static hemi_status (*host_body)(hemi_caller *caller, hemi_val *results);

static hemi_status host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)args, (void)env;
    results[0].of.i32 = 42;
    return host_body(caller, results);
}

static hemi_status fork_here(hemi_caller *caller, hemi_val *results)
{
    (void)caller, (void)results;
    if (place == IN_HOST) go_on_twice();
    return HEMI_OK;
}

static hemi_status out(const void *bytes, size_t n, void *env)
{
    (void)bytes, (void)n, (void)env;
    if (place == IN_OUT) go_on_twice();
    return HEMI_OK;
}

static size_t in(void *bytes, size_t room, void *env)
{
    (void)env;
    if (place == IN_IN) go_on_twice();
    memset(bytes, 'x', room < 3 ? room : 3);
    return room < 3 ? room : 3;
}

static void done(hemi_client *c, hemi_ticket ticket, void *env)
{
    (void)c, (void)ticket, (void)env;
    if (place == IN_DONE) go_on_twice();
}

static unsigned ends; /* finalizers and functions' ends that ran here */
static void ended(void *env)
{
    ends++;
    if (place == *(int *)env) go_on_twice();
}

static const char GUEST[] =
    "(module (import \"h\" \"f\" (func $h (result i32)))\n"
    "  (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))\n"
    "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))\n"
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\10\\00\\00\\00\\03\\00\\00\\00\")\n"
    "  (global $n (mut i32) (i32.const 0)) (type $s (struct))\n"
    "  (func (export \"host\") (result i32) (call $h))\n"
    "  (func (export \"out\") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))\n"
    "  (func (export \"in\") (result i32) (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))\n"
    "  (func (export \"count\") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))\n"
    "  (func (export \"exit\") (result i32) (call $h))\n"
    "  (func (export \"new\") (result anyref) (struct.new $s))\n"
    "  (func (export \"any\") (param anyref) (result i32) (ref.is_null (local.get 0))))";

static int env_place = IN_ENV_FREE, finalizer_place = IN_FINALIZER;

static void start(void)
{
    static const hemi_type i32 = HEMI_TYPE_I32;
    struct hemi_wasi_options w = {.size = sizeof w, .out = out, .in = in};
    struct hemi_func_options f = {.size = sizeof f, .results = &i32, .nresults = 1, .env_free = ended};
    hemi_object *function;
    hemi_wasi *wasi;
    parent = getpid();
    child = 0;
    ends = 0;
    host_body = fork_here;
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_wasi_new(store, &w, &wasi, NULL));
    ok(client, hemi_func_new(store, &f, host, &env_place, &function, NULL));
    hemi_object *const imports[] = {function, NULL, NULL};
    ok(client, hemi_instance_new(store, module_from(client, GUEST), imports, 3, wasi, &instance, NULL));
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

/* ---- fork */
static hemi_status finalizes(void)
{
    hemi_val v;
    ok(client, hemi_extern_new(store, &finalizer_place, ended, &v));
    hemi_drop(client, &v);
    return hemi_ping(client, NULL);
}

static hemi_status notifies(void)
{
    hemi_ticket ticket;
    ok(client, hemi_ping(client, &ticket));
    ok(client, hemi_then(client, ticket, done, NULL));
    hemi_status status = hemi_ping(client, NULL);
    return status == HEMI_OK ? hemi_ping(client, NULL) : status; /* the outermost wait of one of them */
}

static hemi_status calls(const char *name)
{
    hemi_val result;
    return hemi_call(export_of(instance, name), NULL, 0, &result, 1, NULL);
}

static hemi_status ends_store(void)
{
    hemi_status status = hemi_store_close(store, NULL);
    return status == HEMI_OK ? hemi_ping(client, NULL) : status;
}

static hemi_status reach(void)
{
    static const char *const names[] = {[IN_HOST] = "host", [IN_OUT] = "out", [IN_IN] = "in"};
    switch (place) {
    case IN_DONE:
        return notifies();
    case IN_FINALIZER:
        return finalizes();
    case IN_ENV_FREE:
        return ends_store();
    default:
        return calls(names[place]);
    }
}

/* Exit status of the child: 0 is well. */
static int look_in_child(hemi_status status)
{
    unsigned before = ends;
    if (status != HEMI_CLOSED) return 1;
    if (frees_at_once) return 0;
    if (hemi_ping(client, NULL) != HEMI_CLOSED || hemi_client_dispatch(client) != HEMI_CLOSED) return 2;
    if (!strstr(hemi_client_error(client), "forked")) return 3;
    hemi_client_free(client);
    return ends == before ? 0 : 4;
}

/* The copy went on with its parent's connection: it answered host calls, took replies, and renewed credit. Freed in the
 * callback, it waited for ever. */
START_TEST(a_child_that_returns_from_a_callback_has_no_client)
{
    place = _i % PLACES;
    frees_at_once = _i >= PLACES;
    hemi_status status = reach();
    if (is_child()) _exit(look_in_child(status));
    ck_assert_int_eq(status, HEMI_OK);
    ck_assert_int_gt(child, 0);
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "the child: %x", how);
    if (place != IN_ENV_FREE) ck_assert_int_eq(call_i32(export_of(instance, "count"), 0), 1);
    ok(client, hemi_ping(client, NULL));
}
END_TEST

/* ---- deferred */
static hemi_deferred *deferred;
static hemi_status defer_and_fail(hemi_caller *caller, hemi_val *results)
{
    (void)results;
    ok(client, hemi_caller_defer(caller, &deferred));
    return hemi_caller_fail(caller, "changed my mind");
}

/* It was freed with the failure, and whoever finished it, as the header told him to, used it after that. */
START_TEST(what_was_deferred_and_failed_may_still_be_finished)
{
    host_body = defer_and_fail;
    for (int i = 0; i < 3; i++) {
        expect(client, HEMI_HOST, calls("host"));
        ck_assert_str_eq(hemi_client_error(client), "changed my mind");
        if (i == 2) break; /* never finished: it goes with the client */
        expect(client, HEMI_ARGUMENT, hemi_deferred_finish(deferred, HEMI_OK, NULL, 0, NULL));
        ck_assert_ptr_nonnull(strstr(hemi_client_error(client), "answered already"));
    }
    ck_assert_int_eq(call_i32(export_of(instance, "count"), 0), 1);
}
END_TEST

/* ---- statuses */
static hemi_status return_exit(hemi_caller *caller, hemi_val *results)
{
    (void)caller, (void)results;
    return HEMI_EXIT; /* as a nested call may have returned it */
}

static hemi_status exit_with_7(hemi_caller *caller, hemi_val *results)
{
    (void)results;
    return hemi_caller_exit(caller, 7);
}

/* The guest ended with exit code 0, whatever the other one's was. */
START_TEST(exit_of_another_call_is_no_exit_of_this_one)
{
    host_body = return_exit;
    expect(client, HEMI_HOST, calls("host"));
    host_body = exit_with_7;
    expect(client, HEMI_EXIT, calls("host"));
    ck_assert_int_eq(hemi_client_exit_code(client), 7);
}
END_TEST

/* ---- scopes */
static hemi_scope *outer;
static hemi_val kept, inner;
static hemi_status close_outer(hemi_caller *caller, hemi_val *results)
{
    (void)caller, (void)results;
    hemi_scope *within;
    ok(client, hemi_call(export_of(instance, "new"), NULL, 0, &inner, 1, NULL));
    ok(client, hemi_scope_open(client, &within));
    hemi_scope_close(outer); /* and `within` */
    hemi_val later;
    ok(client, hemi_call(export_of(instance, "new"), NULL, 0, &later, 1, NULL)); /* the function's own goes on */
    return HEMI_OK;
}

static hemi_status is_null(const hemi_val *v)
{
    hemi_val result;
    return hemi_call(export_of(instance, "any"), v, 1, &result, 1, NULL);
}

/* The running function's own scope, which is on its stack, was freed with them. */
START_TEST(an_outer_scope_may_be_closed_in_a_host_function)
{
    hemi_val of_outer;
    host_body = close_outer;
    ok(client, hemi_call(export_of(instance, "new"), NULL, 0, &kept, 1, NULL));
    ok(client, hemi_scope_open(client, &outer));
    ok(client, hemi_call(export_of(instance, "new"), NULL, 0, &of_outer, 1, NULL));
    ok(client, calls("host"));
    expect(client, HEMI_HANDLE, is_null(&of_outer));
    expect(client, HEMI_HANDLE, is_null(&inner));
    ok(client, is_null(&kept));
    hemi_drop(client, &kept);
}
END_TEST

/* ---- references of others */
/* Both clients called theirs by the same number. */
START_TEST(a_reference_of_another_client_is_none_here)
{
    bool same = true;
    hemi_store *theirs;
    hemi_val mine, other;
    hemi_client *second = client_open(d.socket);
    hemi_instance *there = instance_from(second,
                                         "(module (type $s (struct)) (func (export \"f\") (result anyref) "
                                         "(struct.new $s)))",
                                         &theirs);
    ok(client, hemi_call(export_of(instance, "new"), NULL, 0, &mine, 1, NULL));
    for (int i = 0; i < 20; i++) {
        ok(second, hemi_call(export_of(there, "f"), NULL, 0, &other, 1, NULL));
        expect(client, HEMI_HANDLE, is_null(&other));
        expect(client, HEMI_HANDLE, hemi_ref_eq(client, &mine, &other, &same, NULL));
        hemi_drop(client, &other);
    }
    ok(client, is_null(&mine));
    hemi_client_free(second);
}
END_TEST

static const char SHOWS[] = "(module (type $s (struct)) (import \"h\" \"f\" (func $h (param anyref) (result i32)))\n"
                            "  (func (export \"show\") (result i32) (call $h (struct.new $s))))";

static hemi_status keep_argument(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)results;
    hemi_keep(hemi_caller_client(caller), &args[0]);
    *(hemi_val *)env = args[0];
    return HEMI_OK;
}

/* A reference that a worker has chosen the number of. */
static hemi_val shown(hemi_client *c)
{
    static const hemi_type i32 = HEMI_TYPE_I32, anyref = HEMI_TYPE_ANYREF;
    struct hemi_func_options f = {.size = sizeof f, .params = &anyref, .nparams = 1, .results = &i32, .nresults = 1};
    static hemi_val v;
    hemi_val result;
    hemi_store *s;
    hemi_object *function;
    hemi_instance *there;
    ok(c, hemi_store_new(c, NULL, &s, NULL));
    ok(c, hemi_func_new(s, &f, keep_argument, &v, &function, NULL));
    ok(c, hemi_instance_new(s, module_from(c, SHOWS), &function, 1, NULL, &there, NULL));
    ok(c, hemi_call(export_of(there, "show"), NULL, 0, &result, 1, NULL));
    return v;
}

/* Its worker's first, as this one's worker's first is: they were the same. */
START_TEST(a_reference_of_another_daemon_is_none_here)
{
    struct daemon another;
    bool same = true;
    daemon_start_tenants(&another, 1, NULL);
    hemi_client *second = client_open(another.socket);
    hemi_val other = shown(second), mine = shown(client);
    expect(client, HEMI_HANDLE, hemi_ref_eq(client, &mine, &other, &same, NULL));
    ok(client, hemi_ref_eq(client, &mine, &mine, &same, NULL));
    hemi_client_free(second);
    daemon_stop(&another);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("callbacks");
    TCase *c = tcase_create("callbacks");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, a_child_that_returns_from_a_callback_has_no_client, 0, 2 * PLACES);
    tcase_add_test(c, what_was_deferred_and_failed_may_still_be_finished);
    tcase_add_test(c, exit_of_another_call_is_no_exit_of_this_one);
    tcase_add_test(c, an_outer_scope_may_be_closed_in_a_host_function);
    tcase_add_test(c, a_reference_of_another_client_is_none_here);
    tcase_add_test(c, a_reference_of_another_daemon_is_none_here);
    suite_add_tcase(s, c);
    return run_suite(s);
}
