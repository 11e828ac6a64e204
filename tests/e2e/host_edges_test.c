/* What libhemi's unit tests show with a scripted worker, with a true one: guests whose output nobody takes, and
 * references of all kinds. */
#include <string.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;

static void start(void)
{
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

/* ---- output */
static unsigned calls;
static hemi_status take_one_piece(const void *bytes, size_t n, void *env)
{
    (void)bytes, (void)n, (void)env;
    return ++calls > 1 ? HEMI_NO_MEMORY : HEMI_OK;
}

/* Writes for ever, then goes on for ever. */
static const char WRITER[] =
    "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))\n"
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\10\\00\\00\\00\\05\\00\\00\\00hello\")\n"
    "  (func (export \"f\") (loop $l (br_if $l (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) "
    "(i32.const 32))))) (loop $m (br $m)))\n"
    "  (func (export \"g\") (result i32) (i32.const 7)))";

START_TEST(an_endless_writer_ends_when_its_output_is_not_taken)
{
    hemi_store *store;
    hemi_wasi *wasi;
    hemi_instance *in;
    struct hemi_wasi_options o = {.size = sizeof o, .out = take_one_piece};
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_wasi_new(store, &o, &wasi, NULL));
    ok(client, hemi_instance_new(store, module_from(client, WRITER), NULL, 0, wasi, &in, NULL));
    expect(client, HEMI_NO_MEMORY, hemi_call(export_of(in, "f"), NULL, 0, NULL, 0, NULL));
    ck_assert_ptr_nonnull(strstr(hemi_client_error(client), "standard output was not taken"));
    ck_assert_int_eq(call_i32(export_of(in, "g"), 0), 7); /* the store is as good as before */
}
END_TEST

/* ---- references */
static const char IDENTITIES[] = "(module (type $s (struct))\n"
                                 "  (func (export \"any\") (param anyref) (result anyref) (local.get 0))\n"
                                 "  (func (export \"extern\") (param externref) (result externref) (local.get 0))\n"
                                 "  (func (export \"func\") (param funcref) (result funcref) (local.get 0))\n"
                                 "  (func (export \"new\") (result anyref) (struct.new $s)))";

static bool equal(const hemi_val *a, const hemi_val *b)
{
    bool same = false, turned = true;
    ok(client, hemi_ref_eq(client, a, b, &same, NULL));
    ok(client, hemi_ref_eq(client, b, a, &turned, NULL));
    ck_assert(same == turned);
    return same;
}

enum { N = 6 };

static bool same_value(int a, int b) { return a == b || (a < 2 && b < 2); }

/* Nothing is known of a result yet but its handle, whatever it will be. */
static void compare_results_ahead(const hemi_val *known, hemi_val *results)
{
    bool kept[N][N], both[N][N];
    hemi_ticket tickets[2 * N * N], *ticket = tickets;
    for (int a = 0; a < N; a++)
        for (int b = 0; b < N; b++) {
            ck_assert_int_eq(results[a].of.ref.kind, HEMI_REF_HANDLE);
            ok(client, hemi_ref_eq(client, &known[b], &results[a], &kept[a][b], ticket++));
            ok(client, hemi_ref_eq(client, &results[a], &results[b], &both[a][b], ticket++));
        }
    while (ticket > tickets) ok(client, hemi_wait(client, *--ticket));
    for (int a = 0; a < N; a++)
        for (int b = 0; b < N; b++)
            ck_assert_msg(kept[a][b] == same_value(a, b) && both[a][b] == same_value(a, b), "%d and %d", a, b);
}

START_TEST(any_two_references_of_a_store_can_be_compared)
{
    hemi_store *store;
    hemi_val known[N] = {hemi_null(HEMI_CLASS_ANY), hemi_null(HEMI_CLASS_FUNC), hemi_i31(5), hemi_i31(-5)};
    static const char *const through[N] = {"any", "func", "any", "any", "extern", "extern"};
    hemi_val results[N], object;
    hemi_object *functions[N];
    hemi_ticket tickets[N];
    int things[2];
    hemi_instance *in = instance_from(client, IDENTITIES, &store);
    ok(client, hemi_extern_new(store, &things[0], NULL, &known[4]));
    ok(client, hemi_extern_new(store, &things[1], NULL, &known[5]));
    for (int i = 0; i < N; i++) functions[i] = export_of(in, through[i]);
    for (int i = 0; i < N; i++) ok(client, hemi_call(functions[i], &known[i], 1, &results[i], 1, &tickets[i]));
    compare_results_ahead(known, results);
    for (int i = 0; i < N; i++) ok(client, hemi_wait(client, tickets[i]));
    for (int a = 0; a < N; a++)
        for (int b = 0; b < N; b++) {
            ck_assert_msg(equal(&known[a], &known[b]) == same_value(a, b), "%d and %d", a, b);
            ck_assert_msg(equal(&known[a], &results[b]) == same_value(a, b), "%d and result %d", a, b);
            ck_assert_msg(equal(&results[a], &results[b]) == same_value(a, b), "results %d and %d", a, b);
        }
    ok(client, hemi_call(export_of(in, "new"), NULL, 0, &object, 1, NULL));
    ck_assert(equal(&object, &object) && !equal(&object, NULL));
    ck_assert(!equal(&object, &known[2]) && !equal(&object, &known[4]) && equal(&results[0], NULL));
    ok(client, hemi_store_gc(store, NULL)); /* what was compared only did not count as sent */
    ok(client, hemi_store_close(store, NULL));
    ok(client, hemi_ping(client, NULL));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("host_edges");
    TCase *t = tcase_create("host_edges");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, an_endless_writer_ends_when_its_output_is_not_taken);
    tcase_add_test(t, any_two_references_of_a_store_can_be_compared);
    suite_add_tcase(s, t);
    return run_suite(s);
}
