/* One client takes all that it can of what a worker's connections share: others are served, and it is told. */
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

enum { CALLS = 500 };

static const char TEXT[] = "(module (import \"h\" \"f\" (func $f)) (func (export \"out\") (call $f))\n"
                           "  (func (export \"quick\") (param i32) (result i32) (local.get 0)))";

static struct daemon d;
static hemi_client *loud, *other;
static hemi_object *quick;
static hemi_deferred *deferred[CALLS];
static unsigned ndeferred;

static hemi_status later(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)args, (void)results, (void)env;
    return hemi_caller_defer(caller, &deferred[ndeferred++]);
}

static hemi_object *function_of(hemi_client *c, hemi_module *module, const char *name)
{
    hemi_store *store;
    hemi_instance *instance;
    hemi_object *host;
    struct hemi_func_options opt = {0};
    ok(c, hemi_store_new(c, NULL, &store, NULL));
    ok(c, hemi_func_new(store, &opt, later, NULL, &host, NULL));
    ok(c, hemi_instance_new(store, module, &host, 1, NULL, &instance, NULL));
    return export_of(instance, name);
}

static void start(void)
{
    daemon_start_tenants(&d, 1, "");
    loud = client_open(d.socket);
    other = client_open(d.socket);
    quick = function_of(other, module_from(other, TEXT), "quick");
    ndeferred = 0;
}

static void stop(void)
{
    hemi_client_free(loud);
    hemi_client_free(other);
    daemon_stop(&d);
}

/* None of them is answered. */
static void park(hemi_ticket *tickets)
{
    hemi_module *module = module_from(loud, TEXT);
    hemi_object *out[CALLS];
    for (int i = 0; i < CALLS; i++) out[i] = function_of(loud, module, "out");
    for (int i = 0; i < CALLS; i++) ok(loud, hemi_call(out[i], NULL, 0, NULL, 0, &tickets[i]));
    for (int quiet = 0; quiet < 20; quiet++) {
        unsigned before = ndeferred;
        ok(loud, hemi_ping(loud, NULL));
        ok(loud, hemi_client_dispatch(loud));
        if (ndeferred != before) quiet = 0;
    }
}

static unsigned count_refused(const hemi_ticket *tickets)
{
    unsigned n = 0;
    for (int i = 0; i < CALLS; i++) {
        if (!hemi_ready(loud, tickets[i])) continue;
        expect(loud, HEMI_LIMIT, hemi_wait(loud, tickets[i]));
        ck_assert_ptr_nonnull(strstr(hemi_client_error(loud), "stacks"));
        n++;
    }
    return n;
}

START_TEST(parked_host_calls_of_one_client_stop_nobody)
{
    hemi_ticket tickets[CALLS];
    park(tickets);
    ck_assert_int_eq(call_i32(quick, 1, 7), 7);
    hemi_client *third = client_open(d.socket);
    hemi_object *f = function_of(third, module_from(third, TEXT), "quick");
    ck_assert_int_eq(call_i32(f, 1, 8), 8);
    unsigned refused = count_refused(tickets);
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_eq(refused + ndeferred, CALLS);
    for (unsigned i = 0; i < ndeferred; i++) ok(loud, hemi_deferred_finish(deferred[i], HEMI_OK, NULL, 0, NULL));
    for (int i = 0; i < CALLS; i++) hemi_wait(loud, tickets[i]);
    ok(loud, hemi_ping(loud, NULL));
    hemi_client_free(third);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("starvation");
    TCase *t = tcase_create("starvation");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, parked_host_calls_of_one_client_stop_nobody);
    suite_add_tcase(s, t);
    return run_suite(s);
}
