/* tests/e2e/session_test.c -- rounds of wild clients (wild.h) against a daemon that is now and then told to read its
 * configuration, stopped, ended, or robbed of a worker. After each round a client that does nothing wild gets right
 * answers, and so does one of another tenant; no worker was lost but by our hand; what the wild clients had is given
 * back; and the log has no complaint. HEMI_SEED repeats a run; HEMI_FUZZ_SECONDS makes it longer. */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/e2e/wild_pack.h"
#include "tests/e2e/witness.h"

enum { TENANTS = 2, ROUNDS = 8, STEPS = 400 };

static struct daemon d;
static struct witness witnesses[TENANTS];
static uint64_t state; /* what the round draws from: begins anew with each, so that a round follows from its number */
static unsigned rounds, robbed; /* workers that we killed */
static bool tight;
static struct pack_sum sum;

static unsigned draw(unsigned n) { return (unsigned)(test_random(&state) % n); }

/* ---- who must not notice */

/* With every witness there, for the supervisor's figures are in it too. */
static void bases_take(void)
{
    for (unsigned i = 0; i < TENANTS; i++) figures_take(&d, witnesses[i].client, &witnesses[i].base);
}

static void witnesses_leave(void)
{
    for (unsigned i = 0; i < TENANTS; i++) witness_leave(&witnesses[i]);
}

/* What tenants may use: mostly enough; or so little that clients meet every limit. */
static const char *const profiles[] = {
    "memory = \"512MiB\";",
    "memory = \"512MiB\"; slice = \"1ms\"; fault_checks = \"off\"; canonical_nans = \"on\"; count_opcodes = \"on\";",
    "memory = \"512MiB\"; connections = 9; stores = 12; modules = 6; instances = 4; handles = 200; table_elements = "
    "300;\n"
    "window_requests = 64; window_bytes = \"2MiB\"; output = \"64KiB\"; nesting = 3; linear_memory = \"1MiB\";\n"
    "module_size = \"150KiB\"; stack = \"64KiB\"; slice = \"1ms\"; deadline = \"5s\";",
    "memory = \"48MiB\"; heap = \"1MiB\"; stack = \"64KiB\";",
};
enum { PROFILES = sizeof profiles / sizeof profiles[0], TIGHT = 2 /* from this one on they are */ };

static void daemon_up(void)
{
    static char config[1200];
    unsigned profile = draw(PROFILES);
    snprintf(config, sizeof config,
             "restart_delay = \"1ms\"; restart_delay_max = \"1ms\"; log_rate = 100000;\n"
             "drain_timeout = 1; limits = { idle_exit = 0; };\n"
             "tenants = ( { name = \"a\"; socket = { path = \"%%s/a.sock\"; }; limits = { %s }; },\n"
             "            { name = \"b\"; socket = { path = \"%%s/b.sock\"; }; } );\n",
             profiles[profile]);
    printf("the daemon starts, with limits %u\n", profile);
    tight = profile >= TIGHT;
    daemon_start(&d, config);
    robbed = 0;
    log_watch(&d);
    for (unsigned i = 0; i < TENANTS; i++) witness_come(&witnesses[i], &d, daemon_socket(&d, i));
    bases_take();
}

/* ---- what happens to the daemon meanwhile */

enum event {
    NOTHING,
    HANGUP_SIGNAL,
    STOPPED_SUPERVISOR,
    STOPPED_WORKER,
    SHORT_SUPERVISOR,
    SHORT_WORKER,
    ROBBED,
    ENDED,
    EVENTS
};
static const char *const event_names[EVENTS] = {"nothing",
                                                "SIGHUP",
                                                "the supervisor stopped",
                                                "a worker stopped",
                                                "the supervisor short of descriptors",
                                                "a worker short of descriptors",
                                                "a worker killed",
                                                "SIGTERM"};

/* Under tight limits no worker is robbed: whoever comes anew might find that wild clients have used them up. */
static enum event some_event(void)
{
    static const enum event events[] = {
        HANGUP_SIGNAL, STOPPED_SUPERVISOR, STOPPED_WORKER, SHORT_SUPERVISOR, SHORT_WORKER, ENDED, ROBBED};
    if (draw(2)) return NOTHING;
    return events[draw(tight ? 6 : 7)];
}

static void stop_for_a_while(pid_t pid)
{
    kill(pid, SIGSTOP);
    poll(NULL, 0, (int)(20 + draw(200)));
    kill(pid, SIGCONT);
}

/* Its table of descriptors is nearly full for a while, as if others had filled it; where we may do that, for a worker
 * may have a user of its own. */
static void fill_for_a_while(pid_t pid, struct pack *pack)
{
    struct rlimit was, less;
    pack_may_be_refused(pack);
    if (prlimit(pid, RLIMIT_NOFILE, NULL, &was) != 0) return;
    less = was;
    less.rlim_cur = 24 + draw(16);
    ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, &less, NULL), 0);
    poll(NULL, 0, (int)(20 + draw(300)));
    ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, &was, NULL), 0);
}

static void make_happen(enum event event, struct pack *pack)
{
    pid_t worker = (pid_t)witnesses[0].base.pid;
    struct figures now;
    switch (event) {
    case HANGUP_SIGNAL:
        kill(d.pid, SIGHUP);
        return;
    case STOPPED_SUPERVISOR:
        stop_for_a_while(d.pid);
        return;
    case STOPPED_WORKER:
        stop_for_a_while(worker);
        return;
    case SHORT_SUPERVISOR:
        fill_for_a_while(d.pid, pack);
        return;
    case SHORT_WORKER:
        fill_for_a_while(worker, pack);
        return;
    case ROBBED:
        pack_may_end(pack);
        kill(worker, SIGKILL);
        witness_leave(&witnesses[0]);
        robbed++;
        witness_come(&witnesses[0], &d, daemon_socket(&d, 0));
        figures_take(&d, witnesses[0].client, &now); /* the wild ones are in it; but for the pid all is as it was */
        witnesses[0].base.pid = now.pid;
        return;
    case ENDED:
        pack_may_end(pack);
        witnesses_leave();
        daemon_stop(&d);
        daemon_up();
        return;
    default:
        return;
    }
}

/* ---- rounds */

static unsigned times_logged(const char *text)
{
    static char line[4096];
    unsigned n = 0;
    FILE *f = fopen(d.log, "r");
    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) n += strstr(line, text) != NULL;
    fclose(f);
    return n;
}

static void check_log(void)
{
    static const char *const complaints[] = {"Sanitizer", "runtime error", "heap_verify", "assert", "INTERNAL"};
    for (unsigned i = 0; i < sizeof complaints / sizeof complaints[0]; i++)
        ck_assert_msg(!daemon_logged(&d, complaints[i]), "the log says %s: %s", complaints[i], d.log);
    unsigned lost = times_logged("worker-lost");
    ck_assert_msg(lost == robbed, "%u workers were lost and %u were killed", lost, robbed);
}

static void run_round(unsigned most_clients, unsigned steps)
{
    static struct pack pack;
    int closing[TENANTS] = {hemi_client_fd(witnesses[0].client), hemi_client_fd(witnesses[1].client)};
    state = (test_seed() * UINT64_C(0x9E3779B97F4A7C15) ^ rounds * UINT64_C(0xBF58476D1CE4E5B9)) | 1;
    enum event event = some_event();
    unsigned n = 1 + draw(most_clients), at = draw(300), looks = 0;
    double began = now_ms(), end = began + 120000 * slowness();
    uint64_t seed = test_random(&state);
    printf("round %u: %u clients, %s\n", rounds, n, event_names[event]);
    pack_start(&pack, &(struct pack_order){.socket = daemon_socket(&d, 0),
                                           .clients = n,
                                           .seed = seed,
                                           .steps = steps,
                                           .fate = PACK_FATES_ANY,
                                           .tight = tight,
                                           .closing = closing,
                                           .nclosing = TENANTS});
    while (pack_tend(&pack) > 0) {
        if (event != NOTHING && now_ms() - began >= at) {
            make_happen(event, &pack);
            event = NOTHING;
        }
        witness_look(&witnesses[looks++ % TENANTS]);
        poll(NULL, 0, 10);
        ck_assert_msg(now_ms() < end, "the clients of a round do not end");
    }
    pack_finish(&pack, &sum);
    for (unsigned i = 0; i < TENANTS; i++) witness_look(&witnesses[i]);
    check_log();
    for (unsigned i = 0; i < TENANTS; i++) figures_await(&d, witnesses[i].client, &witnesses[i].base, "after a round");
    rounds++;
}

static double seconds_wanted(void)
{
    const char *given = getenv("HEMI_FUZZ_SECONDS");
    return given ? strtod(given, NULL) : 0;
}

START_TEST(wild_clients_disturb_nobody)
{
    double seconds = seconds_wanted(), end = now_ms() + 1000 * seconds;
    wild_modules_init();
    state = test_seed();
    daemon_up();
    while (seconds > 0 ? now_ms() < end : rounds < ROUNDS) run_round(6, STEPS);
    printf("%u rounds; the slowest call of those who do nothing wild took %.0f ms\n", rounds,
           fmax(witnesses[0].slowest, witnesses[1].slowest));
    pack_sum_check(&sum, seconds > 0);
    witnesses_leave();
    daemon_stop(&d);
    wild_modules_deinit();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("session");
    TCase *t = tcase_create("session");
    tcase_set_timeout(t, seconds_wanted() + 600);
    tcase_add_test(t, wild_clients_disturb_nobody);
    suite_add_tcase(s, t);
    log_watch(NULL);
    int status = run_suite(s);
    if (status != EXIT_SUCCESS) log_print_tail();
    return status;
}
