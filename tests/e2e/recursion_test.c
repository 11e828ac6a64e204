/* Calls without end: in tail position they need no room, otherwise the VM stack's trap ends them, never a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

#define EXHAUSTED "call stack exhausted"

static struct daemon d;
static hemi_client *client;
static hemi_store *store;

static void start_with(const char *limits)
{
    daemon_start_tenants(&d, 1, limits);
    client = client_open(d.socket);
    ok(client, hemi_store_new(client, NULL, &store, NULL));
}

static void start(void) { start_with(NULL); }
static void start_explicit(void) { start_with("fault_checks = \"off\";"); }

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static hemi_instance *instance(const char *text, hemi_object *const *imports, size_t n)
{
    hemi_instance *in;
    hemi_module *m = module_from(client, text);
    ok(client, hemi_instance_new(store, m, imports, n, NULL, &in, NULL));
    hemi_module_free(m);
    return in;
}

/* Of the only worker: "VmHWM", the most memory it ever had resident, in KiB. */
static long resident_most(void)
{
    char path[64], line[128];
    pid_t worker;
    long kib = 0;
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    snprintf(path, sizeof path, "/proc/%d/status", (int)worker);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtol(line + 6, NULL, 10);
    fclose(f);
    ck_assert_int_gt(kib, 0);
    return kib;
}

/* ---- Tail calls */

/* Three instances hand a count around: the first to the second through a table, the second to the third as an import,
 * the third to the first by reference. Frames differ in size, and so do numbers of parameters. */
#define COUNTS "(type $n (func (param i64) (result i64))) (type $r (func (param i64 (ref null $n)) (result i64))) "
static const char FIRST[] = "(module " COUNTS "(table (export \"table\") 2 funcref) (elem declare func $f)\n"
                            "  (func $f (export \"f\") (type $n) (local i64 i64 i64 i64 i64)\n"
                            "    (if (i64.eqz (local.get 0)) (then (return (i64.const 42))))\n"
                            "    (return_call_indirect (type $r) (i64.sub (local.get 0) (i64.const 1)) (ref.func $f)\n"
                            "      (i32.const 1))))";
static const char SECOND[] = "(module " COUNTS "(import \"\" \"table\" (table 2 funcref))\n"
                             "  (import \"\" \"third\" (func $third (param (ref null $n) i64 i32 i32) (result i64)))\n"
                             "  (elem (i32.const 1) func $g)\n"
                             "  (func $g (type $r) (if (i64.eqz (local.get 0)) (then (return (i64.const 43))))\n"
                             "    (return_call $third (local.get 1) (i64.sub (local.get 0) (i64.const 1))\n"
                             "      (i32.const 5) (i32.const 6))))";
static const char THIRD[] = "(module " COUNTS "\n"
                            "  (func (export \"h\") (param (ref null $n) i64 i32 i32) (result i64)\n"
                            "    (if (i64.eqz (local.get 1)) (then (return (i64.const 44))))\n"
                            "    (return_call_ref $n (i64.sub (local.get 1) (i64.const 1)) (local.get 0))))";

START_TEST(a_hundred_million_tail_calls_between_instances_take_no_room)
{
    int64_t n = slowness() > 1 ? 2000000 : 100000000;
    hemi_instance *first = instance(FIRST, NULL, 0), *third = instance(THIRD, NULL, 0);
    hemi_object *imports[] = {export_of(first, "table"), export_of(third, "h")}, *f = export_of(first, "f");
    instance(SECOND, imports, 2);
    for (int64_t k = 0; k < 3; k++) {
        hemi_val arg = hemi_i64(k), result;
        ok(client, hemi_call(f, &arg, 1, &result, 1, NULL));
        ck_assert_int_eq(result.of.i64, 42 + k);
    }
    long before = resident_most();
    hemi_val arg = hemi_i64(n), result;
    double began = now_ms();
    ok(client, hemi_call(f, &arg, 1, &result, 1, NULL));
    long grown = resident_most() - before;
    printf("%lld tail calls in %.0f ms, %ld KiB more\n", (long long)n, now_ms() - began, grown);
    ck_assert_int_eq(result.of.i64, 42 + n % 3);
    ck_assert_msg(grown < 256, "%ld KiB", grown); /* a slot for each would be megabytes, and the VM stack has one */
}
END_TEST

static hemi_status next(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)env;
    results[0] = hemi_i32(args[0].of.i32 + 1);
    return HEMI_OK;
}

/* WASI's functions and a client's, called last: 20,000 times and 1,000 times. */
START_TEST(host_functions_in_tail_position_leave_no_frames)
{
    const hemi_type i32 = HEMI_TYPE_I32;
    struct hemi_func_options type = {.params = &i32, .nparams = 1, .results = &i32, .nresults = 1};
    hemi_object *function;
    hemi_wasi *wasi;
    hemi_instance *in;
    ok(client, hemi_wasi_new(store, &(struct hemi_wasi_options){.nargs = 0}, &wasi, NULL));
    ok(client, hemi_func_new(store, &type, next, NULL, &function, NULL));
    hemi_module *m = module_from(
        client,
        "(module (import \"wasi_snapshot_preview1\" \"clock_time_get\" (func $w (param i32 i64 i32) (result i32)))\n"
        "  (import \"\" \"next\" (func $next (param i32) (result i32))) (memory (export \"memory\") 1)\n"
        "  (type $next (func (param i32) (result i32))) (table funcref (elem $next)) (elem declare func $next)\n"
        "  (func $clock (result i32) (return_call $w (i32.const 1) (i64.const 0) (i32.const 8)))\n"
        "  (func $direct (param i32) (result i32) (local i64 i64) (return_call $next (local.get 0)))\n"
        "  (func $indirect (type $next) (return_call_indirect (type $next) (local.get 0) (i32.const 0)))\n"
        "  (func $ref (type $next) (return_call_ref $next (local.get 0) (ref.func $next)))\n"
        "  (func (export \"clocks\") (param i32) (result i32) (local i32)\n"
        "    (loop (local.set 1 (i32.add (local.get 1) (call $clock)))\n"
        "      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))\n"
        "  (func (export \"steps\") (param i32) (result i32) (local i32)\n"
        "    (loop (local.set 1 (call $direct (call $indirect (call $ref (local.get 1)))))\n"
        "      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1)))");
    hemi_object *imports[] = {NULL, function};
    ok(client, hemi_instance_new(store, m, imports, 2, wasi, &in, NULL));
    ck_assert_int_eq(call_i32(export_of(in, "clocks"), 1, 20000), 0);
    ck_assert_int_eq(call_i32(export_of(in, "steps"), 1, 300), 900);
}
END_TEST

/* ---- Recursion */
static const struct {
    const char *name, *text; /* exports f without parameters, or it is the start function that recurses */
} rows[] = {
    {"direct", "(module (func $f (export \"f\") (call $f) (nop)))"},
    {"with a result", "(module (func $f (export \"f\") (result i64) (i64.add (call $f) (i64.const 1))))"},
    {"indirect", "(module (table funcref (elem $f)) (func $f (export \"f\") (call_indirect (i32.const 0)) (nop)))"},
    {"by reference", "(module (type $t (func)) (elem declare func $f)\n"
                     "  (func $f (export \"f\") (type $t) (call_ref $t (ref.func $f)) (nop)))"},
    {"of two", "(module (func $f (export \"f\") (call $g) (nop)) (func $g (call $f) (nop)))"},
    {"then tail calls", "(module (func $f (export \"f\") (call $g) (nop)) (func $g (return_call $f)))"},
    {"that catches all", "(module (func $f (export \"f\") (block (try_table (catch_all 0) (call $f)))))"},
    {"with wide frames",
     "(module (func $f (export \"f\") (local v128 v128 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)\n"
     "  (call $f) (local.set 0 (local.get 1)) (nop)))"},
    {"that allocates", "(module (type $s (struct (field i64)))\n"
                       "  (func $f (export \"f\") (result (ref $s)) (drop (call $f)) (struct.new_default $s)))"},
    {"of many results", "(module (func $f (export \"f\") (result i32 i32 i32 i32 i32 i32 i32 i32) (call $f)))"},
    {"started", "(module (func $f (call $f) (nop)) (start $f))"},
};

START_TEST(recursion_ends_with_the_trap)
{
    hemi_module *m = module_from(client, rows[_i].text);
    hemi_instance *in;
    hemi_val results[8];
    hemi_status status = hemi_instance_new(store, m, NULL, 0, NULL, &in, NULL);
    if (status == HEMI_OK) {
        hemi_object *f = export_of(in, "f");
        status = hemi_call(f, NULL, 0, results, hemi_object_entry(f)->nresults, NULL);
    }
    ck_assert_msg(status == HEMI_TRAP, "%s: %s", rows[_i].name, hemi_client_error(client));
    ck_assert_msg(strncmp(hemi_client_error(client), EXHAUSTED, strlen(EXHAUSTED)) == 0, "%s: %s", rows[_i].name,
                  hemi_client_error(client));
    const struct hemi_trace_entry *trace;
    ck_assert_uint_eq(hemi_client_trace(client, &trace), 65);
    ck_assert_uint_gt(trace[48].index, 1000);
    ck_assert_int_eq(
        call_i32(export_of(instance("(module (func (export \"f\") (result i32) (i32.const 7)))", NULL, 0), "f"), 0),
        7); /* the worker lives, and the store */
}
END_TEST

/* Two instances that call each other, one as an import, the other through the first one's table. */
START_TEST(recursion_between_instances_ends_with_the_trap)
{
    hemi_instance *one = instance("(module (table (export \"t\") 1 funcref)\n"
                                  "  (func (export \"f\") (call_indirect (i32.const 0)) (nop)))",
                                  NULL, 0);
    hemi_object *imports[] = {export_of(one, "t"), export_of(one, "f")};
    instance(
        "(module (import \"\" \"t\" (table 1 funcref)) (import \"\" \"f\" (func $f)) (elem (i32.const 0) func $g)\n"
        "  (func $g (call $f) (nop)))",
        imports, 2);
    expect(client, HEMI_TRAP, hemi_call(imports[1], NULL, 0, NULL, 0, NULL));
    ck_assert(strncmp(hemi_client_error(client), EXHAUSTED, strlen(EXHAUSTED)) == 0);
}
END_TEST

/* An expression whose operands are more than the smallest stack has room for. */
START_TEST(a_constant_expression_ends_with_the_trap)
{
    enum { OPERANDS = 9000 };
    struct hemi_store_options small = {.stack_bytes = 65536};
    static char text[32 * OPERANDS];
    int n = snprintf(text, sizeof text, "(module (type $a (array i64)) (global (ref $a)");
    for (int i = 0; i < OPERANDS; i++) n += snprintf(text + n, sizeof text - (size_t)n, " i64.const 1");
    snprintf(text + n, sizeof text - (size_t)n, " array.new_fixed $a %d))", OPERANDS);
    hemi_store *cramped;
    hemi_instance *in;
    hemi_module *m = module_from(client, text);
    ok(client, hemi_store_new(client, &small, &cramped, NULL));
    expect(client, HEMI_TRAP, hemi_instance_new(cramped, m, NULL, 0, NULL, &in, NULL));
    ck_assert(strncmp(hemi_client_error(client), EXHAUSTED, strlen(EXHAUSTED)) == 0);
    ok(client, hemi_instance_new(store, m, NULL, 0, NULL, &in, NULL)); /* the usual stack has it */
}
END_TEST

struct recursion {
    hemi_object *fill;
    int32_t depth;
    hemi_status innermost;
    char text[64];
};

static hemi_status into_the_guest(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct recursion *r = env;
    hemi_val more = hemi_i32(args[0].of.i32 - 1);
    (void)results;
    r->depth++;
    hemi_status status = hemi_call(r->fill, &more, 1, NULL, 0, NULL);
    if (r->innermost == HEMI_OK) {
        r->innermost = status;
        snprintf(r->text, sizeof r->text, "%s", hemi_client_error(hemi_caller_client(caller)));
    }
    return status;
}

/* Each activation nearly fills a VM stack of its own before it calls the host function; the last one fills it quite. */
START_TEST(recursion_through_host_functions_ends_with_the_trap)
{
    const hemi_type i32 = HEMI_TYPE_I32;
    struct recursion r = {.depth = 0};
    struct hemi_func_options type = {.params = &i32, .nparams = 1};
    hemi_object *host;
    ok(client, hemi_func_new(store, &type, into_the_guest, &r, &host, NULL));
    hemi_instance *in = instance("(module (import \"\" \"h\" (func $h (param i32)))\n"
                                 "  (func $fill (param i32 i32)\n"
                                 "    (if (local.get 1)\n"
                                 "      (then (call $fill (local.get 0) (i32.sub (local.get 1) (i32.const 1))))\n"
                                 "      (else (if (local.get 0) (then (call $h (local.get 0)))\n"
                                 "        (else (call $fill (local.get 0) (i32.const -1)))))))\n"
                                 "  (func (export \"fill\") (param i32) (call $fill (local.get 0) (i32.const 10000))))",
                                 &host, 1);
    r.fill = export_of(in, "fill");
    hemi_val arg = hemi_i32(10);
    expect(client, HEMI_HOST, hemi_call(r.fill, &arg, 1, NULL, 0, NULL));
    ck_assert_int_eq(r.depth, 10);
    ck_assert_int_eq(r.innermost, HEMI_TRAP);
    ck_assert_msg(strncmp(r.text, EXHAUSTED, strlen(EXHAUSTED)) == 0, "%s", r.text);
}
END_TEST

/* In one of the two memory schemes, each of which has handlers of its own. */
static TCase *in_scheme(const char *name, void (*begin)(void))
{
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, begin, stop);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, a_hundred_million_tail_calls_between_instances_take_no_room);
    tcase_add_test(t, host_functions_in_tail_position_leave_no_frames);
    tcase_add_loop_test(t, recursion_ends_with_the_trap, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(t, recursion_between_instances_ends_with_the_trap);
    tcase_add_test(t, a_constant_expression_ends_with_the_trap);
    tcase_add_test(t, recursion_through_host_functions_ends_with_the_trap);
    return t;
}

int main(void)
{
    Suite *s = suite_create("recursion");
    suite_add_tcase(s, in_scheme("guarded", start));
    suite_add_tcase(s, in_scheme("explicit", start_explicit));
    return run_suite(s);
}
