/* Operations on many elements, of guests and of clients, that are stopped at random moments in every way that there is:
 * then the table, the array and the memory are looked at, by the client and by the guest. A table grows by whole steps
 * or not at all, and none of its elements, which are not null, is one. */
#include <unistd.h>

#include "tests/e2e/support.h"

enum { FEW = 1000, STEP = 300007, STEPS = 3, PAGES = 33, PAGE = 65536, ROUNDS = 2, DELAY_US = 4000 };

/* Each operation goes on for ever, with one value and the other in turns: '7' and '9'. The last table.grow of each turn
 * finds the table full. */
static const char TEXT[] =
    "(module (type $s (struct (field i32))) (type $a (array (mut (ref $s))))\n"
    "  (table $t (export \"t\") 1000 901021 (ref $s) (struct.new $s (i32.const 55)))\n"
    "  (table $u 901021 (ref $s) (struct.new $s (i32.const 57)))\n"
    "  (memory (export \"m\") 33) (global $v (mut i32) (i32.const 55))\n"
    "  (global $a (mut (ref $a)) (array.new $a (struct.new $s (i32.const 55)) (i32.const 300007)))\n"
    "  (func $new (export \"new\") (result (ref $s))\n"
    "    (global.set $v (i32.xor (global.get $v) (i32.const 14))) (struct.new $s (global.get $v)))\n"
    "  (func (export \"grow\") (loop (drop (table.grow $t (call $new) (i32.const 300007))) (br 0)))\n"
    "  (func (export \"fill\") (drop (table.grow $t (call $new) (i32.const 900021)))\n"
    "    (loop (table.fill $t (i32.const 0) (call $new) (table.size $t)) (br 0)))\n"
    "  (func (export \"copy\") (drop (table.grow $t (call $new) (i32.const 900021)))\n"
    "    (loop (table.copy $t $u (i32.const 7) (i32.const 0) (i32.const 900000))\n"
    "      (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 901020)) (br 0)))\n"
    "  (func (export \"array\") (loop (global.set $a (array.new $a (call $new) (i32.const 300007)))\n"
    "      (array.fill $a (global.get $a) (i32.const 0) (call $new) (i32.const 300007)) (br 0)))\n"
    "  (func (export \"bytes\") (loop (drop (call $new))\n"
    "      (memory.fill (i32.const 1) (global.get $v) (i32.const 2162687)) (br 0)))\n"
    "  (func $wrong (param (ref $s)) (result i32)\n"
    "    (i32.and (i32.ne (struct.get $s 0 (local.get 0)) (i32.const 55))\n"
    "             (i32.ne (struct.get $s 0 (local.get 0)) (i32.const 57))))\n"
    "  (func (export \"wrong\") (result i32) (local $i i32) (local $n i32)\n"
    "    (loop (local.set $n (i32.add (local.get $n) (call $wrong (table.get $t (local.get $i)))))\n"
    "      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (table.size $t))))\n"
    "    (local.set $i (i32.const 0))\n"
    "    (loop (local.set $n (i32.add (local.get $n)\n"
    "        (call $wrong (array.get $a (global.get $a) (local.get $i)))))\n"
    "      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))\n"
    "        (array.len (global.get $a)))))\n"
    "    (local.get $n)))";

static struct daemon d;
static hemi_client *client;
static pid_t worker;
static uint64_t seed;

/* One store, and what goes on in it. */
struct target {
    hemi_client *client;
    hemi_store *store;
    hemi_instance *instance;
    hemi_ticket tickets[STEPS + 1];
    int n;
};

/* Exports of TEXT; NULL: the client itself grows the table, STEPS times and once too often. */
static const char *const ops[] = {"grow", "fill", "copy", "array", "bytes", NULL};
enum { OPS = sizeof ops / sizeof ops[0] };

static void start(void)
{
    daemon_start_tenants(&d, 1, "slice = \"1ms\";");
    client = client_open(d.socket);
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    seed = test_seed();
}

static void stop(void)
{
    pid_t now;
    ok(client, hemi_ping(client, NULL));
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_msg(now == worker, "the worker was lost");
    hemi_client_free(client);
    daemon_stop(&d);
}

static void random_pause(void) { usleep((useconds_t)((double)(test_random(&seed) % DELAY_US) * slowness())); }

static struct target target_new(hemi_client *c)
{
    struct target t = {.client = c};
    t.instance = instance_from(c, TEXT, &t.store);
    return t;
}

static void send_grows(struct target *t, uint32_t deadline)
{
    static uint64_t previous[STEPS + 1];
    hemi_val value;
    hemi_object *table = export_of(t->instance, "t");
    ok(t->client, hemi_call(export_of(t->instance, "new"), NULL, 0, &value, 1, NULL));
    hemi_client_set_deadline(t->client, deadline);
    for (t->n = 0; t->n <= STEPS; t->n++)
        ok(t->client, hemi_table_grow(table, STEP, &value, &previous[t->n], &t->tickets[t->n]));
}

static void send_call(struct target *t, const char *op, uint32_t deadline)
{
    hemi_object *function = export_of(t->instance, op);
    hemi_client_set_deadline(t->client, deadline);
    ok(t->client, hemi_call(function, NULL, 0, NULL, 0, &t->tickets[0]));
    t->n = 1;
}

/* Is under way then. Deadlines count for this alone. */
static void begin(struct target *t, const char *op, uint32_t deadline)
{
    if (op == NULL)
        send_grows(t, deadline);
    else
        send_call(t, op, deadline);
    hemi_client_set_deadline(t->client, 0);
    ok(t->client, hemi_flush(t->client));
}

/* All that was begun ends as it was told to, or, of the client's own grows, as if it had not been told. Returns how
 * many did grow. */
static int end(struct target *t, const char *op, hemi_status wanted)
{
    int grown = 0;
    for (int i = 0; i < t->n; i++) {
        hemi_status status = hemi_wait(t->client, t->tickets[i]);
        grown += status == HEMI_OK;
        bool is_right = status == wanted || (op == NULL && (status == HEMI_OK || status == HEMI_LIMIT));
        ck_assert_msg(is_right, "%s: %s", op != NULL ? op : "the client's grow", hemi_status_text(status));
    }
    ck_assert_int_le(grown, STEPS);
    return grown;
}

static void check_table(const struct target *t, int grown)
{
    uint64_t size;
    hemi_val last;
    hemi_object *table = export_of(t->instance, "t");
    ok(t->client, hemi_table_size(table, &size, NULL));
    ck_assert_msg((size - FEW) % STEP == 0, "%llu elements", (unsigned long long)size);
    ck_assert_uint_ge(size, FEW + (uint64_t)grown * STEP);
    ck_assert_uint_le(size, FEW + STEPS * STEP);
    ok(t->client, hemi_table_get(table, size - 1, &last, NULL));
    ck_assert(!hemi_is_null(&last));
}

static void check_memory(const struct target *t)
{
    static char bytes[PAGES * PAGE];
    hemi_object *memory = export_of(t->instance, "m");
    ok(t->client, hemi_memory_read(memory, 0, bytes, sizeof bytes, NULL));
    size_t good = bytes[0] == 0;
    for (size_t i = 1; i < sizeof bytes; i++) good += bytes[i] == 0 || bytes[i] == '7' || bytes[i] == '9';
    ck_assert_uint_eq(good, sizeof bytes);
}

static void check(struct target *t, int grown)
{
    check_table(t, grown);
    check_memory(t);
    ck_assert_int_eq(call_i32(export_of(t->instance, "wrong"), 0), 0);
    ok(t->client, hemi_store_close(t->store, NULL));
}

static uint32_t no_deadline(void) { return 0; }
static uint32_t some_deadline(void) { return 1 + (uint32_t)(test_random(&seed) % 20); }

static void cancel(struct target *t)
{
    random_pause();
    for (int i = 0; i < t->n; i++) ok(t->client, hemi_cancel(t->client, t->tickets[i]));
}

static void interrupt(struct target *t)
{
    random_pause();
    hemi_client_interrupt(t->client);
}

static void wait_only(struct target *t) { (void)t; }

static const struct {
    uint32_t (*deadline)(void);
    void (*stop)(struct target *t);
    hemi_status status;
} ways[] = {{no_deadline, cancel, HEMI_CANCELLED},
            {some_deadline, wait_only, HEMI_DEADLINE},
            {no_deadline, interrupt, HEMI_INTERRUPTED}};
enum { WAYS = sizeof ways / sizeof ways[0] };

START_TEST(an_operation_that_is_stopped_leaves_whole_tables_without_nulls)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OPS; i++) {
            struct target t = target_new(client);
            begin(&t, ops[i], ways[_i].deadline());
            ways[_i].stop(&t);
            check(&t, end(&t, ops[i], ways[_i].status));
        }
    }
}
END_TEST

START_TEST(an_operation_whose_store_is_closed_harms_no_other_store)
{
    struct target other = target_new(client);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OPS; i++) {
            hemi_ticket close;
            struct target t = target_new(client);
            begin(&t, ops[i], 0);
            random_pause();
            ok(client, hemi_store_close(t.store, &close));
            end(&t, ops[i], HEMI_CLOSED);
            ok(client, hemi_wait(client, close));
        }
    }
    check(&other, 0);
}
END_TEST

START_TEST(an_operation_whose_client_is_gone_harms_no_other_client)
{
    struct target other = target_new(client);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OPS; i++) {
            struct target t = target_new(client_open(d.socket));
            begin(&t, ops[i], 0);
            random_pause();
            hemi_client_free(t.client);
        }
    }
    check(&other, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stops");
    TCase *t = tcase_create("stops");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, an_operation_that_is_stopped_leaves_whole_tables_without_nulls, 0, WAYS);
    tcase_add_test(t, an_operation_whose_store_is_closed_harms_no_other_store);
    tcase_add_test(t, an_operation_whose_client_is_gone_harms_no_other_client);
    suite_add_tcase(s, t);
    return run_suite(s);
}
