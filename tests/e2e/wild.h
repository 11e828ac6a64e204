/* tests/e2e/wild.h -- a client that does everything a client may, at random: lawful in form, so that whatever ends its
 * connection but itself is a finding; and with a model of what it has made, so that most of what it asks succeeds.
 *
 * A wild client is a process of its own (wild_pack.h), so that it can be killed and stopped at any moment, with a few
 * connections. What it does follows from its seed: the model changes when a request is sent, as if that succeeded, and
 * is put right when the reply comes; what it does because something came draws from a second generator (.two-draws).
 *
 * School of checking: everything that comes from the daemon is checked against the model and the protocol; what does
 * not fit is a finding, said in the report, and ends the process. The report lies in memory shared with who started
 * it, and outlives the process. */
#ifndef HEMI_TESTS_E2E_WILD_H
#define HEMI_TESTS_E2E_WILD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/frame.h"
#include "proto/window.h"

enum {
    WILD_CONNECTIONS = 3,
    WILD_THINGS = 384,
    WILD_ASKED = 600,
    WILD_STORES = 12,
    WILD_STREAMS = 48,
    WILD_CALLS = 200,
    WILD_EXTERNS = 16, /* ids of externs, per store */
    WILD_FREE = 32,    /* handles that may be chosen again */
    WILD_ACTIONS_MAX = 64,
    WILD_LINES = 48, /* of its last actions */
};

/* What a handle names. SPENT: of no more use, to be dropped. */
enum wild_kind {
    WILD_MODULE,
    WILD_STORE,
    WILD_INSTANCE,
    WILD_FUNC,
    WILD_HOST,
    WILD_MEMORY,
    WILD_TABLE,
    WILD_GLOBAL,
    WILD_TAG,
    WILD_WASI,
    WILD_REF,
    WILD_EXCEPTION,
    WILD_SPENT,
};

enum wild_guest { WILD_GUEST_MAIN, WILD_GUEST_WASI, WILD_GUEST_FAILING, WILD_GUEST_PADDED, WILD_GUEST_COUNT };

struct wild_module {
    uint8_t *bytes;
    size_t size;
};
/* The guests' bytes. Made once, before any client is forked. */
extern struct wild_module wild_modules[WILD_GUEST_COUNT];
void wild_modules_init(void);
void wild_modules_deinit(void);

/* name, guest, kind, parameters, results (i: i32, e: externref, a: anyref; of a global its content), weight */
#define WILD_EXPORTS(X)                                                                                                \
    X(memory, MAIN, MEMORY, "", "", 4)                                                                                 \
    X(table, MAIN, TABLE, "", "", 3)                                                                                   \
    X(number, MAIN, GLOBAL, "", "i", 2)                                                                                \
    X(thing, MAIN, GLOBAL, "", "e", 2)                                                                                 \
    X(tag, MAIN, TAG, "", "", 1)                                                                                       \
    X(add, MAIN, FUNC, "ii", "i", 8)                                                                                   \
    X(work, MAIN, FUNC, "i", "i", 4)                                                                                   \
    X(spin, MAIN, FUNC, "", "", 1)                                                                                     \
    X(make, MAIN, FUNC, "e", "a", 3)                                                                                   \
    X(keep, MAIN, FUNC, "i", "i", 2)                                                                                   \
    X(churn, MAIN, FUNC, "i", "i", 3)                                                                                  \
    X(hoard, MAIN, FUNC, "", "", 1)                                                                                    \
    X(out, MAIN, FUNC, "e", "e", 9)                                                                                    \
    X(ask, MAIN, FUNC, "i", "i", 9)                                                                                    \
    X(throw, MAIN, FUNC, "i", "", 1)                                                                                   \
    X(trap, MAIN, FUNC, "", "", 1)                                                                                     \
    X(deep, MAIN, FUNC, "i", "i", 1)                                                                                   \
    X(fill, MAIN, FUNC, "i", "", 1)                                                                                    \
    X(write, WASI, FUNC, "i", "i", 4)                                                                                  \
    X(read, WASI, FUNC, "i", "i", 3)                                                                                   \
    X(chance, WASI, FUNC, "i", "i", 2)                                                                                 \
    X(sleep, WASI, FUNC, "i", "i", 2)                                                                                  \
    X(exit, WASI, FUNC, "i", "", 1)

enum wild_export {
#define X(name, guest, kind, params, results, weight) WILD_EXPORT_##name,
    WILD_EXPORTS(X)
#undef X
        WILD_EXPORT_COUNT
};

struct wild_export_row {
    const char *name;
    enum wild_guest guest;
    enum wild_kind kind;
    const char *params, *results;
    unsigned weight;
};
extern const struct wild_export_row wild_exports[WILD_EXPORT_COUNT];

struct wild_thing {
    uint32_t handle;
    uint32_t store; /* its handle; 0: belongs to none */
    uint32_t maker; /* the request that is to bind it and is not answered yet, or 0 */
    uint8_t kind;   /* enum wild_kind */
    uint8_t sort;   /* of a module, an instance: enum wild_guest; a function: enum wild_export; a host function: 0 as
                       `out` wants it, 1 as `ask` does; a global: its content's letter */
};

/* What a connection has a bent for. */
enum wild_mood {
    WILD_PLAIN,
    WILD_HOARDS, /* calls out, and leaves host calls unanswered */
    WILD_NESTS,  /* the same, each from inside the last */
    WILD_SPINS,  /* has loops that do not end in all its stores */
    WILD_MOODS,
};

/* What the reply to a request must bear out. */
enum wild_check {
    WILD_CHECK_NONE,
    WILD_CHECK_I32,   /* one value, the i32 `expected` */
    WILD_CHECK_BYTES, /* wild_pattern(expected), `length` of them */
};
uint8_t wild_pattern(uint64_t of, size_t i);

struct wild_asked {
    uint32_t id, parent, bytes;
    uint32_t makes;     /* the handle, or 0 */
    uint32_t store;     /* what it touches, or 0 */
    uint32_t extern_id; /* one that it carries, or 0 */
    uint32_t after;     /* the request before it, if the check holds only when that succeeds, or 0 */
    uint64_t expected;
    uint32_t length; /* BYTES: how many */
    uint16_t type;
    uint8_t check; /* enum wild_check */
    bool endless;  /* ends only when it is made to */
    bool cancelled;
    uint8_t action;
};

struct wild_store {
    uint32_t handle;
    bool closing;
    uint32_t sent[WILD_EXTERNS]; /* how often each extern id may be on its way, or there */
};

struct wild_stream {
    uint32_t id, store;
    bool input, ended; /* ended: we said so, the worker has not yet */
    uint64_t credit;   /* output: what may still come; input: what may still be sent */
};

struct wild_call { /* a host call that is not answered */
    uint32_t id, request, store;
    uint64_t host;
    struct window window;
};

struct wild_report {
    char finding[600]; /* empty: none */
    uint64_t asked, answered, succeeded, host_calls, connections, deaths, streamed;
    uint64_t statuses[32];
    uint64_t actions[WILD_ACTIONS_MAX][2]; /* answered, succeeded */
    unsigned lines;                        /* written so far */
    char line[WILD_LINES][112];
    bool tight;   /* the tenant's limits are: a connection may be ended for one, by name */
    bool may_end; /* set by who started it: the daemon or a worker is being ended; connections may end without a word */
};

struct wild_process;

struct wild {
    struct wild_process *process;
    unsigned number;
    int fd; /* -1: not connected */
    bool welcome, deaf, closing;
    enum wild_mood mood;
    uint32_t next_id, next_handle, next_stream;
    unsigned restraint; /* most requests it leaves unanswered */
    struct window window, nested;
    struct frame_writer w;
    struct frame_reader r;
    unsigned nthings, nasked, nstores, nstreams, ncalls, nfree;
    unsigned nfree_streams;
    uint32_t free[WILD_FREE]; /* bound once, and dropped */
    uint32_t free_streams[WILD_FREE];
    struct wild_thing things[WILD_THINGS];
    struct wild_asked asked[WILD_ASKED];
    struct wild_store stores[WILD_STORES];
    struct wild_stream streams[WILD_STREAMS];
    struct wild_call calls[WILD_CALLS];
};

struct wild_process {
    const char *socket;
    struct wild_report *report;
    uint64_t draws, late_draws; /* .two-draws */
    bool late;                  /* what runs was caused by a frame that came */
    uint8_t action;             /* what runs: enum of wild_actions.c */
    struct wild connections[WILD_CONNECTIONS];
};

/* ---- wild.c: the connection */

uint32_t wild_draw(struct wild *c, uint32_t below);
void wild_say(struct wild *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Records it and ends the process. */
_Noreturn void wild_found(struct wild *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Connects and says the first `hello` bytes of HELLO (at most all). False: nobody is there, which may be. */
bool wild_dial(struct wild *c, size_t hello);
/* Closes our end, whatever is outstanding. */
void wild_hang_up(struct wild *c);
/* One look at the socket, waiting at most so long: reads unless `deaf`, writes what is queued. */
void wild_pump(struct wild *c, int ms);
/* Answers all that is outstanding, cancels what does not come to its end, and waits for every reply; what stays
 * unanswered is a finding. */
void wild_settle(struct wild *c);

/* A request; the fields of `asked` that are given are kept until its reply. 0: the window or the model is full. */
uint32_t wild_ask(struct wild *c, unsigned type, unsigned flags, const void *body, const void *raw, size_t n, int fd,
                  const struct wild_asked *asked);
void wild_tell(struct wild *c, unsigned type, uint32_t id, const void *body, const void *raw, size_t n);
/* Answers the host call at this place in `calls`, which is forgotten then. */
void wild_answer(struct wild *c, unsigned at, bool orderly);

/* A thing of this kind (and sort, unless it is -1), chosen by draw; NULL: there is none. */
struct wild_thing *wild_pick(struct wild *c, enum wild_kind kind, int sort);
struct wild_thing *wild_find(struct wild *c, uint32_t handle);
/* Adds one; handle 0: it is chosen. NULL: no room. */
struct wild_thing *wild_add(struct wild *c, uint32_t handle, enum wild_kind kind, unsigned sort, uint32_t store);
struct wild_store *wild_store_of(struct wild *c, uint32_t handle);
void wild_remove(struct wild *c, struct wild_thing *t);
/* This handle may be chosen again. */
void wild_free(struct wild *c, uint32_t handle);
uint32_t wild_stream_id(struct wild *c);
struct wild_stream *wild_stream_of(struct wild *c, uint32_t id);

/* ---- wild_actions.c */

/* Something at random. */
void wild_act(struct wild *c);
/* The process: so many steps, then `fate`. Returns when it has left in order. */
enum wild_fate { WILD_LEAVES, WILD_VANISHES, WILD_DIES, WILD_STOPS, WILD_FATES };
void wild_live(struct wild_process *p, unsigned steps, enum wild_fate fate);
const char *wild_action_name(unsigned action);

#endif
