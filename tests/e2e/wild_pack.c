/* tests/e2e/wild_pack.c -- see wild_pack.h. */
#include "tests/e2e/wild_pack.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void be_wild(const struct pack *p, const struct pack_member *m)
{
    static struct wild_process process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    process = (struct wild_process){
        .socket = p->socket, .report = m->report, .draws = m->seed, .late_draws = m->seed ^ 0x9E3779B97F4A7C15};
    wild_live(&process, m->steps, m->fate);
    _exit(0);
}

static void member_start(struct pack *p, struct pack_member *m, const struct pack_order *order)
{
    m->report = mmap(NULL, sizeof *m->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(m->report != MAP_FAILED);
    m->report->tight = order->tight;
    fflush(NULL);
    m->pid = fork();
    ck_assert_int_ge(m->pid, 0);
    if (m->pid != 0) return;
    for (unsigned i = 0; i < order->nclosing; i++) close(order->closing[i]);
    be_wild(p, m);
}

void pack_start(struct pack *p, const struct pack_order *order)
{
    uint64_t seed = order->seed;
    ck_assert_uint_le(order->clients, PACK_MAX);
    *p = (struct pack){.n = order->clients};
    snprintf(p->socket, sizeof p->socket, "%s", order->socket);
    for (unsigned i = 0; i < p->n; i++) {
        struct pack_member *m = &p->members[i];
        m->seed = test_random(&seed);
        m->fate = (enum wild_fate)(test_random(&seed) % WILD_FATES);
        if (order->fate != PACK_FATES_ANY) m->fate = (enum wild_fate)order->fate;
        m->steps = 1 + (unsigned)(test_random(&seed) % order->steps);
        member_start(p, m, order);
    }
}

static void print_tail(const struct pack_member *m)
{
    const struct wild_report *r = m->report;
    unsigned from = r->lines > WILD_LINES ? r->lines - WILD_LINES : 0;
    for (unsigned i = from; i < r->lines; i++) fprintf(stderr, "  %s\n", r->line[i % WILD_LINES]);
}

static void member_ended(struct pack_member *m, int status)
{
    m->pid = 0;
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && (m->killed || m->fate == WILD_DIES);
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (well || killed) return;
    fprintf(stderr, "the last actions of client %llu (%u steps):\n", (unsigned long long)m->seed, m->steps);
    print_tail(m);
    ck_abort_msg("a client ended with %x: %s", status, m->report->finding);
}

unsigned pack_tend(struct pack *p)
{
    unsigned left = 0;
    for (unsigned i = 0; i < p->n; i++) {
        struct pack_member *m = &p->members[i];
        int status;
        if (m->pid != 0 && waitpid(m->pid, &status, WNOHANG | WUNTRACED) == m->pid) {
            if (WIFSTOPPED(status))
                m->stopped = now_ms();
            else
                member_ended(m, status);
        }
        if (m->pid != 0 && m->stopped > 0 && now_ms() - m->stopped > 50) {
            m->stopped = 0;
            kill(m->pid, SIGCONT);
        }
        left += m->pid != 0;
    }
    return left;
}

void pack_may_end(struct pack *p)
{
    for (unsigned i = 0; i < p->n; i++) p->members[i].report->may_end = true;
}

void pack_may_be_refused(struct pack *p)
{
    for (unsigned i = 0; i < p->n; i++) p->members[i].report->tight = true;
}

void pack_kill(struct pack *p, unsigned member)
{
    struct pack_member *m = &p->members[member];
    if (m->pid == 0) return;
    m->killed = true;
    kill(m->pid, SIGKILL);
}

void pack_finish(struct pack *p, struct pack_sum *sum)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct wild_report *r = p->members[i].report;
        sum->clients++;
        sum->killed += p->members[i].killed || p->members[i].fate == WILD_DIES;
        sum->asked += r->asked;
        sum->answered += r->answered;
        sum->succeeded += r->succeeded;
        sum->host_calls += r->host_calls;
        sum->connections += r->connections;
        sum->deaths += r->deaths;
        sum->streamed += r->streamed;
        for (unsigned k = 0; k < 32; k++) sum->statuses[k] += r->statuses[k];
        for (unsigned k = 0; k < WILD_ACTIONS_MAX; k++)
            for (unsigned j = 0; j < 2; j++) sum->actions[k][j] += r->actions[k][j];
        munmap(r, sizeof *r);
    }
    p->n = 0;
}

static void print_actions(const struct pack_sum *sum)
{
    for (unsigned k = 0; k < WILD_ACTIONS_MAX && wild_action_name(k); k++)
        if (sum->actions[k][0])
            printf("  %-20s %8llu answered, %3llu %% succeeded\n", wild_action_name(k),
                   (unsigned long long)sum->actions[k][0],
                   (unsigned long long)(100 * sum->actions[k][1] / sum->actions[k][0]));
    for (int k = 0; k < 32; k++)
        if (sum->statuses[k])
            printf("  %-20s %8llu\n", hemi_status_text((hemi_status)k), (unsigned long long)sum->statuses[k]);
}

void pack_sum_check(const struct pack_sum *sum, bool actions)
{
    double share = sum->answered ? 100.0 * (double)sum->succeeded / (double)sum->answered : 0;
    if (actions) print_actions(sum);
    printf("%llu clients (%llu killed), %llu connections, %llu requests, %llu answered, %.1f %% of them well, "
           "%llu host calls, %llu notices of death, %llu bytes of output\n",
           (unsigned long long)sum->clients, (unsigned long long)sum->killed, (unsigned long long)sum->connections,
           (unsigned long long)sum->asked, (unsigned long long)sum->answered, share,
           (unsigned long long)sum->host_calls, (unsigned long long)sum->deaths, (unsigned long long)sum->streamed);
    ck_assert_msg(share >= 60, "%.1f %% of the requests succeeded: the model is wrong, or the daemon", share);
}
