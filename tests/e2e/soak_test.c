/* tests/e2e/soak_test.c -- a daemon at work for long: tenants with ordinary clients, whose results are all checked, and
 * wild ones that hang up and are killed. Whenever they are gone, what the daemon holds is what it was; and from a
 * warm-up on, memory, descriptors and mappings of its processes stay where they are. HEMI_SOAK_MINUTES makes it longer;
 * HEMI_SEED repeats a run. */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/wild_pack.h"
#include "tests/e2e/witness.h"

enum {
    TENANTS = 3,
    PROCESSES = TENANTS + 1, /* the supervisor, then the workers */
    WILD_EACH = 3,           /* clients of a tenant */
    STEPS = 600,
    REST_MS = 1500, /* before a sample */
};

/* Of a run of less than as many minutes; a longer one takes one a minute. */
#define SAMPLES 4.0

static struct daemon d;
static struct witness witnesses[TENANTS];
static struct pack_sum sum;
static uint64_t state;

/* ---- ordinary work */

static const char text[] =
    "(module (type $s (struct (field (mut i32)) (field (mut (ref null $s)))))\n"
    " (import \"h\" \"twice\" (func $twice (param i32) (result i32)))\n"
    " (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"
    " (memory (export \"memory\") 2) (data (i32.const 16) \"soaking\")\n"
    " (table (export \"table\") 8 externref) (global $g (mut (ref null $s)) (ref.null $s))\n"
    " (func (export \"twice\") (param i32) (result i32) (call $twice (local.get 0)))\n"
    " (func (export \"put\") (param i32 externref) (table.set (local.get 0) (local.get 1)))\n"
    " (func (export \"list\") (param i32) (result i32) (local $r (ref null $s)) (local $n i32) (loop $l\n"
    "   (local.set $r (struct.new $s (local.get 0) (local.get $r)))\n"
    "   (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))\n"
    "   (global.set $g (local.get $r)) (loop $m (local.set $n (i32.add (local.get $n)\n"
    "     (struct.get $s 0 (local.get $r)))) (local.set $r (struct.get $s 1 (local.get $r)))\n"
    "     (br_if $m (i32.eqz (ref.is_null (local.get $r))))) (local.get $n))\n"
    " (func (export \"say\") (result i32) (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4)\n"
    "   (i32.const 7)) (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))";

static unsigned finalized;
static char said[64];
static size_t nsaid;

static void finalize(void *pointer) { finalized += (char *)pointer >= said && (char *)pointer < said + 8; }

static hemi_status listen_to(const void *bytes, size_t n, void *env)
{
    (void)env;
    ck_assert_uint_le(nsaid + n, sizeof said);
    memcpy(said + nsaid, bytes, n);
    nsaid += n;
    return HEMI_OK;
}

static hemi_status twice(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)env;
    results[0] = hemi_i32(2 * args[0].of.i32);
    return HEMI_OK;
}

static hemi_instance *instance_with_imports(hemi_store *store, hemi_module *module)
{
    hemi_client *client = hemi_store_client(store);
    hemi_type i32 = HEMI_TYPE_I32;
    struct hemi_func_options options = {.params = &i32, .results = &i32, .nparams = 1, .nresults = 1};
    struct hemi_wasi_options streams = {.out = listen_to};
    hemi_object *imports[2] = {NULL, NULL};
    hemi_wasi *wasi;
    hemi_instance *instance;
    ok(client, hemi_func_new(store, &options, twice, NULL, &imports[0], NULL));
    ok(client, hemi_wasi_new(store, &streams, &wasi, NULL));
    ok(client, hemi_instance_new(store, module, imports, 2, wasi, &instance, NULL));
    return instance;
}

static void work_in_store(hemi_store *store, hemi_module *module)
{
    hemi_client *client = hemi_store_client(store);
    hemi_instance *instance = instance_with_imports(store, module);
    hemi_object *put = export_of(instance, "put"), *memory = export_of(instance, "memory");
    uint8_t bytes[256], back[256];
    for (int32_t i = 0; i < 8; i++) {
        hemi_val args[2] = {hemi_i32(i % 4)};
        ok(client, hemi_extern_new(store, said + i, finalize, &args[1]));
        ok(client, hemi_call(put, args, 2, NULL, 0, NULL));
    }
    for (int32_t i = 0; i < 10; i++) ck_assert_int_eq(call_i32(export_of(instance, "twice"), 1, i), 2 * i);
    ck_assert_int_eq(call_i32(export_of(instance, "list"), 1, 1000), 500500);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)test_random(&state);
    ok(client, hemi_memory_write(memory, 70000, bytes, sizeof bytes, NULL));
    ok(client, hemi_memory_read(memory, 70000, back, sizeof back, NULL));
    ck_assert_mem_eq(bytes, back, sizeof back);
    nsaid = 0;
    ck_assert_int_eq(call_i32(export_of(instance, "say"), 0), 0);
    ck_assert_uint_eq(nsaid, 7);
    ck_assert_mem_eq(said, "soaking", 7);
    ok(client, hemi_store_gc(store, NULL));
}

static void work(unsigned tenant)
{
    hemi_client *client = client_open(daemon_socket(&d, tenant));
    const struct wild_module *padded = &wild_modules[WILD_GUEST_PADDED];
    hemi_module *module = module_from(client, text), *large;
    ok(client, hemi_module_new(client, padded->bytes, padded->size, &large, NULL));
    finalized = 0;
    for (int i = 0; i < 3; i++) {
        hemi_store *store;
        ok(client, hemi_store_new(client, NULL, &store, NULL));
        work_in_store(store, module);
        if (i > 0) ok(client, hemi_store_close(store, NULL));
    }
    hemi_client_free(client);
    ck_assert_uint_eq(finalized, 24);
}

/* ---- rounds */

static void run_round(void)
{
    static struct pack packs[TENANTS];
    int closing[TENANTS];
    unsigned left = 1, turn = 0;
    double end = now_ms() + 120000 * slowness();
    for (unsigned i = 0; i < TENANTS; i++) closing[i] = hemi_client_fd(witnesses[i].client);
    for (unsigned i = 0; i < TENANTS; i++)
        pack_start(&packs[i], &(struct pack_order){.socket = daemon_socket(&d, i),
                                                   .clients = WILD_EACH,
                                                   .seed = test_random(&state),
                                                   .steps = STEPS,
                                                   .fate = PACK_FATES_ANY,
                                                   .closing = closing,
                                                   .nclosing = TENANTS});
    while (left > 0) {
        left = 0;
        for (unsigned i = 0; i < TENANTS; i++) left += pack_tend(&packs[i]);
        witness_look(&witnesses[turn++ % TENANTS]);
        work(turn % TENANTS);
        ck_assert_msg(now_ms() < end, "the clients of a round do not end");
    }
    for (unsigned i = 0; i < TENANTS; i++) pack_finish(&packs[i], &sum);
    for (unsigned i = 0; i < TENANTS; i++) figures_await(&d, witnesses[i].client, &witnesses[i].base, "after a round");
}

/* ---- what must stay flat */

static pid_t process(unsigned i) { return i == 0 ? d.pid : (pid_t)witnesses[i - 1].base.pid; }

static const char *name_of(unsigned i) { return i == 0 ? "supervisor" : "worker"; }

static void take(struct footprint *out)
{
    for (unsigned i = 0; i < PROCESSES; i++) footprint_take(process(i), &out[i]);
}

static void print(const struct footprint *f, double seconds)
{
    for (unsigned i = 0; i < PROCESSES; i++)
        printf("%6.0f s  %-10s %8ld KiB resident, %8ld of it anonymous, %4ld descriptors, %5ld mappings\n", seconds,
               name_of(i), f[i].rss_kb, f[i].anon_kb, f[i].descriptors, f[i].mappings);
    fflush(stdout);
}

static long allowed(long figure, long slack) { return figure + figure / 10 + slack; }

/* What has grown, or NULL. A sanitizer keeps what was freed, so memory says nothing there. */
static const char *grown(const struct footprint *warm, const struct footprint *now)
{
    if (slowness() < 5 && now->anon_kb > allowed(warm->anon_kb, 4096)) return "memory";
    if (now->descriptors > warm->descriptors) return "descriptors";
    return now->mappings > allowed(warm->mappings, 300) ? "mappings" : NULL; /* as idle stacks have that are kept */
}

/* A worker at rest gives stacks and heaps back after some beats of its clock: until then more is no leak. */
static void compare(const struct footprint *warm, struct footprint *now)
{
    double end = now_ms() + 10000 * slowness();
    for (unsigned i = 0; i < PROCESSES; i++) {
        const char *what;
        while ((what = grown(&warm[i], &now[i])) && now_ms() < end) {
            poll(NULL, 0, 200);
            take(now);
        }
        ck_assert_msg(
            what == NULL,
            "the %s has more %s: %ld KiB, %ld descriptors, %ld mappings; after the warm-up it had %ld, %ld, %ld",
            name_of(i), what, now[i].anon_kb, now[i].descriptors, now[i].mappings, warm[i].anon_kb, warm[i].descriptors,
            warm[i].mappings);
    }
}

static double seconds_wanted(void)
{
    const char *given = getenv("HEMI_SOAK_MINUTES");
    return given ? 60 * strtod(given, NULL) : 4;
}

static void begin(void)
{
    state = test_seed();
    wild_modules_init();
    daemon_start_tenants(&d, TENANTS, "idle_exit = 0;");
    log_watch(&d);
    for (unsigned i = 0; i < TENANTS; i++) witness_come(&witnesses[i], &d, daemon_socket(&d, i));
    for (unsigned i = 0; i < TENANTS; i++) figures_take(&d, witnesses[i].client, &witnesses[i].base);
}

START_TEST(a_daemon_at_work_stays_flat)
{
    struct footprint warm[PROCESSES], now[PROCESSES];
    double began = now_ms(), length = 1000 * seconds_wanted(), step = fmin(length / SAMPLES, 60000);
    unsigned rounds = 0, samples = 0;
    bool is_warm = false;
    begin();
    while (now_ms() - began < length || !is_warm) {
        run_round();
        rounds++;
        if (now_ms() - began < step * (samples + 1)) continue;
        poll(NULL, 0, REST_MS);
        take(now);
        if (is_warm) compare(warm, now);
        print(now, (now_ms() - began) / 1000);
        samples++;
        if (is_warm || now_ms() - began < length / 3) continue;
        memcpy(warm, now, sizeof warm);
        is_warm = true;
    }
    ck_assert(!daemon_logged(&d, "worker-lost"));
    printf("%u rounds; ", rounds);
    pack_sum_check(&sum, false);
    for (unsigned i = 0; i < TENANTS; i++) witness_leave(&witnesses[i]);
    daemon_stop(&d);
    wild_modules_deinit();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("soak");
    TCase *t = tcase_create("soak");
    tcase_set_timeout(t, seconds_wanted() + 600);
    tcase_add_test(t, a_daemon_at_work_stays_flat);
    suite_add_tcase(s, t);
    log_watch(NULL);
    int status = run_suite(s);
    if (status != EXIT_SUCCESS) log_print_tail();
    return status;
}
