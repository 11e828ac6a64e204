/* Nothing that one store does stalls another: each load below is under way while another store's call is timed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/e2e/support.h"

#define LIMIT_MS 100.0

static const char QUICK[] = "(module (func (export \"add\") (param i32 i32) (result i32)\n"
                            "  (i32.add (local.get 0) (local.get 1))))";
static const char SPIN[] = "(module (func (export \"spin\") (loop (br 0))))";
static const char FILL[] = "(module (memory 16384) (func (export \"fill\") (param i32)\n"
                           "  (loop (memory.fill (i32.const 0) (local.get 0) (i32.const 0x40000000)) (br 0))))";
static const char CHURN[] = "(module (type $n (struct (field (ref null $n)) (field i32)))\n"
                            "  (func (export \"churn\") (local $keep (ref null $n)) (local $i i32)\n"
                            "    (loop $l\n"
                            "      (local.set $keep (struct.new $n (local.get $keep) (local.get $i)))\n"
                            "      (local.set $i (i32.add (local.get $i) (i32.const 1)))\n"
                            "      (if (i32.eqz (i32.and (local.get $i) (i32.const 0x7ffff)))\n"
                            "        (then (local.set $keep (ref.null $n))))\n"
                            "      (br $l))))";

static struct daemon d;
static hemi_client *loud, *quick;
static hemi_object *add;

static void start(void)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, "linear_memory = \"2GiB\"; memory = \"8GiB\";");
    loud = client_open(d.socket);
    quick = client_open(d.socket);
    add = export_of(instance_from(quick, QUICK, &store), "add");
}

static void stop(void)
{
    hemi_client_free(loud);
    hemi_client_free(quick);
    daemon_stop(&d);
}

/* Times 50 calls of the quick store, spread over a second and a half. */
static void calls_stay_quick(const char *load)
{
    double worst = 0;
    for (int i = 0; i < 50; i++) {
        struct stopwatch watch = stopwatch_start(&d);
        ck_assert_int_eq(call_i32(add, 2, i, 1), i + 1);
        double took = stopwatch_ms(&watch);
        if (took > worst) worst = took;
        struct timespec pause = {.tv_nsec = 30000000};
        nanosleep(&pause, NULL);
    }
    printf("beside %s: worst of 50 calls %.1f ms\n", load, worst);
    ck_assert_msg(worst <= LIMIT_MS * slowness(), "beside %s a call took %.1f ms", load, worst);
}

static void cancel_all(hemi_ticket *tickets, int n)
{
    for (int i = 0; i < n; i++) ok(loud, hemi_cancel(loud, tickets[i]));
    for (int i = 0; i < n; i++) expect(loud, HEMI_CANCELLED, hemi_wait(loud, tickets[i]));
    ok(loud, hemi_ping(loud, NULL));
}

START_TEST(beside_fifty_endless_loops)
{
    hemi_ticket tickets[50];
    hemi_module *module = module_from(loud, SPIN);
    for (int i = 0; i < 50; i++) {
        hemi_store *store;
        hemi_instance *instance;
        ok(loud, hemi_store_new(loud, NULL, &store, NULL));
        ok(loud, hemi_instance_new(store, module, NULL, 0, NULL, &instance, NULL));
        ok(loud, hemi_call(export_of(instance, "spin"), NULL, 0, NULL, 0, &tickets[i]));
    }
    ok(loud, hemi_flush(loud));
    calls_stay_quick("50 endless loops");
    cancel_all(tickets, 50);
}
END_TEST

/* Many functions of plain arithmetic, about 50 MB in all. */
static uint8_t *big_module(size_t *size)
{
    enum { FUNCS = 5000, PAIRS = 3300 };
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7F};
    size_t body = 2 + 2 + 3 * PAIRS + 1, cap = 64 + FUNCS * (body + 8);
    uint8_t *out = malloc(cap), *p = out;
    memcpy(p, head, sizeof head);
    p += sizeof head;
#define LEB(v)                                                                                                         \
    for (uint32_t n_ = (uint32_t)(v), k_ = 0; k_ < 5; k_++, n_ >>= 7) *p++ = (uint8_t)((n_ & 127) | (k_ < 4 ? 128 : 0))
    *p++ = 3;
    LEB(5 + FUNCS);
    LEB(FUNCS);
    memset(p, 0, FUNCS);
    p += FUNCS;
    *p++ = 10;
    LEB(5 + FUNCS * (5 + 1 + 2 + 3 * PAIRS + 1));
    LEB(FUNCS);
    for (int f = 0; f < FUNCS; f++) {
        LEB(1 + 2 + 3 * PAIRS + 1);
        *p++ = 0;
        *p++ = 0x41;
        *p++ = 1;
        for (int i = 0; i < PAIRS; i++) {
            *p++ = 0x41;
            *p++ = (uint8_t)(i & 63);
            *p++ = 0x6A;
        }
        *p++ = 0x0B;
    }
    *size = (size_t)(p - out);
    return out;
}

START_TEST(beside_a_fifty_megabyte_module_being_validated)
{
    size_t size;
    uint8_t *bytes = big_module(&size);
    hemi_module *modules[3];
    hemi_ticket tickets[3];
    for (int i = 0; i < 3; i++) ok(loud, hemi_module_new(loud, bytes, size, &modules[i], &tickets[i]));
    ok(loud, hemi_flush(loud));
    calls_stay_quick("50 MB modules");
    for (int i = 0; i < 3; i++) hemi_cancel(loud, tickets[i]);
    for (int i = 0; i < 3; i++) {
        hemi_status status = hemi_wait(loud, tickets[i]);
        ck_assert_msg(status == HEMI_OK || status == HEMI_CANCELLED, "%s: %s", hemi_status_text(status),
                      hemi_client_error(loud));
    }
    free(bytes);
}
END_TEST

START_TEST(beside_a_gigabyte_being_filled)
{
    hemi_store *store;
    hemi_object *fill = export_of(instance_from(loud, FILL, &store), "fill");
    hemi_val byte = hemi_i32(0);
    hemi_ticket ticket;
    ok(loud, hemi_call(fill, &byte, 1, NULL, 0, &ticket));
    ok(loud, hemi_flush(loud));
    calls_stay_quick("memory.fill of 1 GiB");
    cancel_all(&ticket, 1);
}
END_TEST

START_TEST(beside_a_store_that_allocates_at_full_speed)
{
    hemi_store *store;
    hemi_object *churn = export_of(instance_from(loud, CHURN, &store), "churn");
    hemi_ticket ticket;
    ok(loud, hemi_call(churn, NULL, 0, NULL, 0, &ticket));
    ok(loud, hemi_flush(loud));
    calls_stay_quick("allocation at full speed");
    cancel_all(&ticket, 1);
}
END_TEST

START_TEST(a_deadline_ends_a_loop_and_the_store_goes_on)
{
    hemi_store *store;
    hemi_instance *instance = instance_from(loud, SPIN, &store);
    hemi_object *spin = export_of(instance, "spin");
    hemi_client_set_deadline(loud, 100);
    double start_ms = now_ms();
    expect(loud, HEMI_DEADLINE, hemi_call(spin, NULL, 0, NULL, 0, NULL));
    double took = now_ms() - start_ms;
    ck_assert_msg(took >= 90 && took < 2000 * slowness(), "%g ms", took);
    expect(loud, HEMI_DEADLINE, hemi_call(spin, NULL, 0, NULL, 0, NULL));
    hemi_client_set_deadline(loud, 0);
    ok(loud, hemi_ping(loud, NULL));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fairness");
    TCase *t = tcase_create("loads");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, beside_fifty_endless_loops);
    tcase_add_test(t, beside_a_fifty_megabyte_module_being_validated);
    tcase_add_test(t, beside_a_gigabyte_being_filled);
    tcase_add_test(t, beside_a_store_that_allocates_at_full_speed);
    tcase_add_test(t, a_deadline_ends_a_loop_and_the_store_goes_on);
    suite_add_tcase(s, t);
    return run_suite(s);
}
