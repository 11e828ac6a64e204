/* Pipelining by client-chosen handles: batches, poisoned handles, order, and what a batch costs the worker. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static const char TEXT[] = "(module\n"
                           "  (global $n (mut i32) (i32.const 0))\n"
                           "  (func (export \"next\") (result i32)\n"
                           "    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))\n"
                           "  (func (export \"trap\") (result i32) unreachable)\n"
                           "  (type $box (struct (field i32)))\n"
                           "  (func (export \"box\") (param i32) (result anyref)\n"
                           "    (if (i32.eqz (local.get 0)) (then unreachable)) (struct.new $box (local.get 0)))\n"
                           "  (func (export \"unbox\") (param anyref) (result i32)\n"
                           "    (struct.get $box 0 (ref.cast (ref $box) (local.get 0)))))";

static struct daemon d;
static hemi_client *client;
static hemi_store *store;
static hemi_instance *instance;

static void start(void)
{
    daemon_start_tenants(&d, 1, NULL);
    client = client_open(d.socket);
    instance = instance_from(client, TEXT, &store);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

START_TEST(sixty_four_requests_cost_at_most_four_reads_and_four_writes)
{
    hemi_object *next = export_of(instance, "next");
    unsigned good = 0;
    for (int round = 0; round < 10; round++) {
        struct hemi_stats before, after;
        hemi_ticket tickets[64];
        hemi_val results[64];
        ok(client, hemi_stats_get(client, NULL, &before));
        for (int i = 0; i < 64; i++) ok(client, hemi_call(next, NULL, 0, &results[i], 1, &tickets[i]));
        ok(client, hemi_flush(client));
        for (int i = 0; i < 64; i++) ok(client, hemi_wait(client, tickets[i]));
        ok(client, hemi_stats_get(client, NULL, &after));
        for (int i = 0; i < 64; i++) ck_assert_int_eq(results[i].of.i32, 64 * round + i + 1);
        /* Between the two: the first STATS reply's write, the 64 calls, the second STATS' read. */
        uint64_t reads = after.reads - before.reads - 1, writes = after.writes - before.writes - 1;
        printf("64 requests: %llu reads, %llu writes\n", (unsigned long long)reads, (unsigned long long)writes);
        good += reads <= 4 && writes <= 4;
    }
    ck_assert_uint_eq(good, 10);
}
END_TEST

START_TEST(a_whole_program_goes_out_in_one_batch)
{
    uint8_t *bytes;
    size_t size;
    wat(TEXT, &bytes, &size);
    hemi_module *module;
    hemi_store *another;
    hemi_instance *fresh;
    hemi_object *box, *unbox;
    hemi_ticket t[7];
    hemi_val arg = hemi_i32(41), boxed, result = hemi_i32(0);
    ok(client, hemi_module_new(client, bytes, size, &module, &t[0]));
    ok(client, hemi_store_new(client, NULL, &another, &t[1]));
    ok(client, hemi_instance_new(another, module, NULL, 0, NULL, &fresh, &t[2]));
    ok(client, hemi_export_get(fresh, "box", &box, &t[3]));
    ok(client, hemi_export_get(fresh, "unbox", &unbox, &t[4]));
    ok(client, hemi_call_ahead(box, &arg, 1, &boxed, 1, 1, &t[5]));
    ok(client, hemi_flush(client));
    for (int i = 0; i < 6; i++) ok(client, hemi_wait(client, t[i]));
    ok(client, hemi_call(unbox, &boxed, 1, &result, 1, NULL));
    ck_assert_int_eq(result.of.i32, 41);
    hemi_drop(client, &boxed);
    free(bytes);
}
END_TEST

START_TEST(a_failed_producer_poisons_its_users_only)
{
    uint8_t junk[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 99, 0};
    hemi_module *module;
    hemi_instance *bad;
    hemi_object *user, *next = export_of(instance, "next");
    hemi_ticket t[5];
    hemi_val result;
    ok(client, hemi_module_new(client, junk, sizeof junk, &module, &t[0]));
    ok(client, hemi_instance_new(store, module, NULL, 0, NULL, &bad, &t[1]));
    ok(client, hemi_export_get(bad, "f", &user, &t[2]));
    ok(client, hemi_call_ahead(user, NULL, 0, &result, 1, 0, &t[3]));
    ok(client, hemi_call(next, NULL, 0, &result, 1, &t[4]));
    expect(client, HEMI_INVALID_MODULE, hemi_wait(client, t[0]));
    uint64_t offset;
    ck_assert(hemi_client_offset(client, &offset));
    ck_assert_uint_eq(offset, 8);
    for (int i = 1; i < 4; i++) {
        expect(client, HEMI_DEPENDENCY_FAILED, hemi_wait(client, t[i]));
        ck_assert_uint_eq(hemi_client_failed_request(client), t[0]);
    }
    ok(client, hemi_wait(client, t[4]));
    ck_assert_int_eq(result.of.i32, 1);
}
END_TEST

/* Handles that stand in a request's raw part, as its values or imports, are waited for like those in its body. */
START_TEST(a_failed_producer_poisons_those_that_import_it)
{
    hemi_module *module = module_from(client, "(module (import \"a\" \"f\" (func)))");
    hemi_object *missing;
    hemi_instance *in;
    hemi_ticket t[2];
    ok(client, hemi_export_get(instance, "not there", &missing, &t[0]));
    ok(client, hemi_instance_new(store, module, &missing, 1, NULL, &in, &t[1]));
    expect(client, HEMI_NOT_FOUND, hemi_wait(client, t[0]));
    expect(client, HEMI_DEPENDENCY_FAILED, hemi_wait(client, t[1]));
    ck_assert_uint_eq(hemi_client_failed_request(client), t[0]);
}
END_TEST

START_TEST(a_chained_request_runs_only_after_success)
{
    hemi_object *next = export_of(instance, "next"), *trap = export_of(instance, "trap");
    hemi_val result;
    hemi_ticket t[4];
    ok(client, hemi_call(trap, NULL, 0, &result, 1, &t[0]));
    hemi_client_set_chained(client, true);
    ok(client, hemi_call(next, NULL, 0, &result, 1, &t[1]));
    ok(client, hemi_call(next, NULL, 0, &result, 1, &t[2]));
    hemi_client_set_chained(client, false);
    ok(client, hemi_call(next, NULL, 0, &result, 1, &t[3]));
    expect(client, HEMI_TRAP, hemi_wait(client, t[0]));
    expect(client, HEMI_DEPENDENCY_FAILED, hemi_wait(client, t[1]));
    expect(client, HEMI_DEPENDENCY_FAILED, hemi_wait(client, t[2]));
    ok(client, hemi_wait(client, t[3]));
    ck_assert_int_eq(result.of.i32, 1);
}
END_TEST

START_TEST(a_trap_names_what_and_where)
{
    hemi_object *trap = export_of(instance, "trap");
    hemi_val result;
    uint64_t offset;
    uint32_t function;
    expect(client, HEMI_TRAP, hemi_call(trap, NULL, 0, &result, 1, NULL));
    ck_assert_uint_eq(hemi_client_trap(client), 1);
    ck_assert(hemi_client_offset(client, &offset));
    ck_assert(hemi_client_function(client, &function));
    ck_assert_uint_eq(function, 1);
    ck_assert_msg(strstr(hemi_client_error(client), "unreachable"), "%s", hemi_client_error(client));
}
END_TEST

START_TEST(the_event_loop_mode_never_blocks_and_gets_everything)
{
    hemi_object *next = export_of(instance, "next");
    hemi_ticket tickets[32];
    hemi_val results[32];
    for (int i = 0; i < 32; i++) ok(client, hemi_call(next, NULL, 0, &results[i], 1, &tickets[i]));
    double end = now_ms() + 20000;
    for (int done = 0; done < 32;) {
        ck_assert(now_ms() < end);
        if (!hemi_client_pending(client)) {
            struct pollfd p = {.fd = hemi_client_fd(client), .events = (short)hemi_client_events(client)};
            int timeout = hemi_client_timeout(client);
            poll(&p, 1, timeout < 0 || timeout > 1000 ? 1000 : timeout);
        }
        ok(client, hemi_client_dispatch(client));
        while (done < 32 && hemi_ready(client, tickets[done])) {
            ok(client, hemi_wait(client, tickets[done]));
            ck_assert_int_eq(results[done].of.i32, done + 1);
            done++;
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pipeline");
    TCase *t = tcase_create("requests");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, sixty_four_requests_cost_at_most_four_reads_and_four_writes);
    tcase_add_test(t, a_whole_program_goes_out_in_one_batch);
    tcase_add_test(t, a_failed_producer_poisons_its_users_only);
    tcase_add_test(t, a_failed_producer_poisons_those_that_import_it);
    tcase_add_test(t, a_chained_request_runs_only_after_success);
    tcase_add_test(t, a_trap_names_what_and_where);
    tcase_add_test(t, the_event_loop_mode_never_blocks_and_gets_everything);
    suite_add_tcase(s, t);
    return run_suite(s);
}
