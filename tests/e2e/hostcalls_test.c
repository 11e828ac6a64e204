/* Host functions: calls out of the guest, calls back into it, answers that come later, cycles, runaway recursion. */
#include <stdio.h>
#include <string.h>

#include "tests/e2e/support.h"

/* deep(n): n == 0 ? 0 : 1 + host(n - 1); and the host calls deep again. */
static const char TEXT[] = "(module\n"
                           "  (import \"h\" \"f\" (func $f (param i32) (result i32)))\n"
                           "  (func (export \"deep\") (param i32) (result i32)\n"
                           "    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))\n"
                           "      (else (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))))\n"
                           "  (func (export \"plain\") (result i32) (i32.const 5)))";

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

struct guest {
    hemi_store *store;
    hemi_instance *instance;
    hemi_object *deep, *plain;
    struct guest *other;
    hemi_deferred *deferred;
    hemi_ticket ticket;
    hemi_val result;
    hemi_status inner;
    unsigned calls;
};

static void guest_init(struct guest *g, hemi_host_function function)
{
    const hemi_type i32 = HEMI_TYPE_I32;
    struct hemi_func_options type = {.params = &i32, .nparams = 1, .results = &i32, .nresults = 1};
    hemi_object *import;
    memset(g, 0, sizeof *g);
    ok(client, hemi_store_new(client, NULL, &g->store, NULL));
    ok(client, hemi_func_new(g->store, &type, function, g, &import, NULL));
    ok(client, hemi_instance_new(g->store, module_from(client, TEXT), &import, 1, NULL, &g->instance, NULL));
    g->deep = export_of(g->instance, "deep");
    g->plain = export_of(g->instance, "plain");
}

static hemi_status call_back(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct guest *g = env;
    (void)caller;
    g->calls++;
    hemi_status status = hemi_call(g->deep, args, 1, results, 1, NULL);
    if (status != HEMI_OK && g->inner == HEMI_OK) g->inner = status;
    return status;
}

START_TEST(a_host_function_that_calls_back_ten_deep)
{
    struct guest g;
    guest_init(&g, call_back);
    ck_assert_int_eq(call_i32(g.deep, 1, 10), 10);
    ck_assert_uint_eq(g.calls, 10);
    ck_assert_int_eq(call_i32(g.deep, 1, 10), 10);
}
END_TEST

START_TEST(runaway_recursion_through_host_functions_ends_with_a_limit)
{
    struct guest g;
    guest_init(&g, call_back);
    hemi_val arg = hemi_i32(1000000), result;
    hemi_status status = hemi_call(g.deep, &arg, 1, &result, 1, NULL);
    ck_assert_msg(status != HEMI_OK, "no limit");
    ck_assert_msg(g.inner == HEMI_LIMIT, "%s: %s", hemi_status_text(g.inner), hemi_client_error(client));
    ck_assert_uint_ge(g.calls, 16);
    ck_assert_int_eq(call_i32(g.plain, 0), 5);
    ck_assert_int_eq(call_i32(g.deep, 1, 3), 3);
}
END_TEST

static hemi_status call_other(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct guest *g = env;
    (void)caller;
    g->calls++;
    /* The other store's activation is further out and waits for this one: calling it is what nests. A ticket made
     * without nesting would wait for ever, which is the cycle. */
    hemi_status status = hemi_call(g->other->deep, args, 1, results, 1, NULL);
    if (g->inner == HEMI_OK) g->inner = status;
    return status;
}

/* A: deep -> host -> B: deep -> host -> A again. A's innermost host call is not the one that is outstanding innermost
 * in the chain, so the request would wait for an activation that waits for it. */
START_TEST(a_cycle_of_waits_through_two_stores_is_a_deadlock_not_a_hang)
{
    struct guest a, b;
    guest_init(&a, call_other);
    guest_init(&b, call_other);
    a.other = &b;
    b.other = &a;
    hemi_val arg = hemi_i32(5), result;
    hemi_client_set_deadline(client, 20000);
    hemi_status status = hemi_call(a.deep, &arg, 1, &result, 1, NULL);
    hemi_client_set_deadline(client, 0);
    ck_assert_msg(status != HEMI_OK && status != HEMI_DEADLINE, "%s", hemi_status_text(status));
    ck_assert_msg(b.inner == HEMI_DEADLOCK, "inner: %s", hemi_status_text(b.inner));
    ck_assert_int_eq(call_i32(a.plain, 0), 5);
    ck_assert_int_eq(call_i32(b.plain, 0), 5);
}
END_TEST

static hemi_status later(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct guest *g = env;
    (void)args;
    (void)results;
    g->calls++;
    return hemi_caller_defer(caller, &g->deferred);
}

START_TEST(a_host_function_that_answers_later)
{
    struct guest g, idle;
    guest_init(&g, later);
    guest_init(&idle, later);
    hemi_val arg = hemi_i32(3), result, answer = hemi_i32(41);
    hemi_ticket ticket;
    ok(client, hemi_call(g.deep, &arg, 1, &result, 1, &ticket));
    for (double end = now_ms() + 20000; !g.deferred && now_ms() < end;) {
        ok(client, hemi_ping(client, NULL));
        ok(client, hemi_client_dispatch(client));
    }
    ck_assert(g.deferred != NULL);
    ck_assert(!hemi_ready(client, ticket));
    ck_assert_int_eq(call_i32(idle.plain, 0), 5);
    ok(client, hemi_deferred_finish(g.deferred, HEMI_OK, &answer, 1, NULL));
    ok(client, hemi_wait(client, ticket));
    ck_assert_int_eq(result.of.i32, 42);
}
END_TEST

START_TEST(a_call_that_waits_for_a_late_answer_can_be_cancelled)
{
    struct guest g;
    guest_init(&g, later);
    hemi_val arg = hemi_i32(3), result, answer = hemi_i32(1);
    hemi_ticket ticket;
    ok(client, hemi_call(g.deep, &arg, 1, &result, 1, &ticket));
    for (double end = now_ms() + 20000; !g.deferred && now_ms() < end;) {
        ok(client, hemi_ping(client, NULL));
        ok(client, hemi_client_dispatch(client));
    }
    ok(client, hemi_cancel(client, ticket));
    expect(client, HEMI_CANCELLED, hemi_wait(client, ticket));
    hemi_deferred_finish(g.deferred, HEMI_OK, &answer, 1, NULL);
    ck_assert_int_eq(call_i32(g.plain, 0), 5);
}
END_TEST

static hemi_status failing(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)results;
    (void)env;
    if (args[0].of.i32 == 1) return hemi_caller_exit(caller, 3);
    return hemi_caller_fail(caller, "the printer is on fire");
}

START_TEST(a_host_function_that_fails_says_why_and_one_that_exits_says_with_what)
{
    struct guest g;
    guest_init(&g, failing);
    hemi_val arg = hemi_i32(5), result;
    expect(client, HEMI_HOST, hemi_call(g.deep, &arg, 1, &result, 1, NULL));
    ck_assert_uint_eq(hemi_client_trap(client), 21);
    ck_assert_msg(strstr(hemi_client_error(client), "the printer is on fire"), "%s", hemi_client_error(client));
    arg = hemi_i32(2);
    expect(client, HEMI_EXIT, hemi_call(g.deep, &arg, 1, &result, 1, NULL));
    ck_assert_int_eq(hemi_client_exit_code(client), 3);
    ck_assert_int_eq(call_i32(g.plain, 0), 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("host calls");
    TCase *t = tcase_create("nesting");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_host_function_that_calls_back_ten_deep);
    tcase_add_test(t, runaway_recursion_through_host_functions_ends_with_a_limit);
    tcase_add_test(t, a_cycle_of_waits_through_two_stores_is_a_deadlock_not_a_hang);
    tcase_add_test(t, a_host_function_that_answers_later);
    tcase_add_test(t, a_call_that_waits_for_a_late_answer_can_be_cancelled);
    tcase_add_test(t, a_host_function_that_fails_says_why_and_one_that_exits_says_with_what);
    suite_add_tcase(s, t);
    return run_suite(s);
}
