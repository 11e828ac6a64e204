/* tests/e2e/kills_test.c -- clients killed while they are busy: however many, no worker ends, and what they had is
 * given back. HEMI_KILLS sets how many; HEMI_SEED repeats a run. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/e2e/wild_pack.h"
#include "tests/e2e/witness.h"

enum { KILLS = 100, AT_ONCE = 6, STEPS = 100000 };
#define LATEST_MS 60.0

static unsigned kills_wanted(void)
{
    const char *given = getenv("HEMI_KILLS");
    return given ? (unsigned)strtoul(given, NULL, 10) : KILLS;
}

/* A pack at work, each of which is killed at its own moment. */
static unsigned kill_a_pack(const char *socket, uint64_t *state, struct witness *witness, struct pack_sum *sum)
{
    static struct pack pack;
    double began = now_ms(), at[AT_ONCE], end = began + 60000 * slowness();
    int closing = hemi_client_fd(witness->client);
    pack_start(&pack, &(struct pack_order){.socket = socket,
                                           .clients = AT_ONCE,
                                           .seed = test_random(state),
                                           .steps = STEPS,
                                           .fate = WILD_VANISHES,
                                           .closing = &closing,
                                           .nclosing = 1});
    for (unsigned i = 0; i < AT_ONCE; i++) at[i] = (double)(test_random(state) % 1000) / 1000 * LATEST_MS * slowness();
    while (pack_tend(&pack) > 0) {
        for (unsigned i = 0; i < AT_ONCE; i++)
            if (now_ms() - began >= at[i]) pack_kill(&pack, i);
        poll(NULL, 0, 1);
        ck_assert_msg(now_ms() < end, "killed clients do not end");
    }
    witness_look(witness);
    pack_finish(&pack, sum);
    return AT_ONCE;
}

START_TEST(kills_of_busy_clients_lose_no_worker)
{
    struct daemon d;
    struct pack_sum sum = {0};
    struct witness witness = {0};
    uint64_t state = test_seed();
    unsigned killed = 0;
    wild_modules_init();
    daemon_start_tenants(&d, 1, "");
    log_watch(&d);
    witness_come(&witness, &d, d.socket);
    figures_take(&d, witness.client, &witness.base);
    while (killed < kills_wanted()) killed += kill_a_pack(d.socket, &state, &witness, &sum);
    figures_await(&d, witness.client, &witness.base, "after the kills");
    ck_assert_msg(!daemon_logged(&d, "worker-lost"), "a worker was lost");
    printf("%u kills; ", killed);
    pack_sum_check(&sum, false);
    witness_leave(&witness);
    daemon_stop(&d);
    wild_modules_deinit();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kills");
    TCase *t = tcase_create("kills");
    tcase_set_timeout(t, 120 + kills_wanted());
    tcase_add_test(t, kills_of_busy_clients_lose_no_worker);
    suite_add_tcase(s, t);
    log_watch(NULL);
    int status = run_suite(s);
    if (status != EXIT_SUCCESS) log_print_tail();
    return status;
}
