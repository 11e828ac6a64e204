/* tests/e2e/wild_pack.h -- wild clients as processes: started from a seed, killed, stopped and continued, and what they
 * found. A finding fails the running test, with the tail of what the client did and how to repeat it. */
#ifndef HEMI_TESTS_E2E_WILD_PACK_H
#define HEMI_TESTS_E2E_WILD_PACK_H

#include <sys/types.h>

#include "tests/e2e/support.h"
#include "tests/e2e/wild.h"

enum { PACK_MAX = 12, PACK_FATES_ANY = -1 };

struct pack_member {
    pid_t pid; /* 0: has ended */
    enum wild_fate fate;
    uint64_t seed;
    unsigned steps;
    double stopped; /* when it was seen stopped; 0: it runs */
    bool killed;    /* by pack_kill */
    struct wild_report *report;
};

struct pack {
    struct pack_member members[PACK_MAX];
    unsigned n;
    char socket[128];
};

/* What many clients did, added up. */
struct pack_sum {
    uint64_t clients, killed, asked, answered, succeeded, host_calls, connections, deaths, streamed;
    uint64_t statuses[32], actions[WILD_ACTIONS_MAX][2];
};

/* Starts clients that draw what they do from `order->seed`. */
struct pack_order {
    const char *socket;
    unsigned clients, steps; /* most steps of each */
    uint64_t seed;
    int fate;           /* what each ends like, or PACK_FATES_ANY */
    bool tight;         /* wild_report.tight */
    const int *closing; /* descriptors of ours that a client must not keep open */
    unsigned nclosing;
};
void pack_start(struct pack *p, const struct pack_order *order);
/* Reaps who has ended and continues who has stopped; never waits. Returns how many are left. */
unsigned pack_tend(struct pack *p);
/* From now on connections may end without a word. */
void pack_may_end(struct pack *p);
/* Or be ended for a limit, by name. */
void pack_may_be_refused(struct pack *p);
void pack_kill(struct pack *p, unsigned member);
/* When all have ended. */
void pack_finish(struct pack *p, struct pack_sum *sum);
/* Prints it; fails the test when less than 60 % of the answered requests succeeded. */
void pack_sum_check(const struct pack_sum *sum, bool actions);

#endif
