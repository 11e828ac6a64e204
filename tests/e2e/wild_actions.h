/* tests/e2e/wild_actions.h -- the actions of wild clients (wild.h), one row each, and what they share. */
#ifndef HEMI_TESTS_E2E_WILD_ACTIONS_H
#define HEMI_TESTS_E2E_WILD_ACTIONS_H

#include "proto/value.h"
#include "tests/e2e/wild.h"

/* name, weight: each returns false if it could not be done now, having done nothing */
#define WILD_ACTIONS(X)                                                                                                \
    X(ping, 6)                                                                                                         \
    X(info, 1)                                                                                                         \
    X(module, 4)                                                                                                       \
    X(module_in_chunks, 1)                                                                                             \
    X(module_by_memfd, 2)                                                                                              \
    X(memfds, 1)                                                                                                       \
    X(bad_module, 1)                                                                                                   \
    X(describe, 2)                                                                                                     \
    X(code, 2)                                                                                                         \
    X(store, 4)                                                                                                        \
    X(close_store, 1)                                                                                                  \
    X(collect, 1)                                                                                                      \
    X(stats, 2)                                                                                                        \
    X(instance, 6)                                                                                                     \
    X(failing_instance, 1)                                                                                             \
    X(get_export, 20)                                                                                                  \
    X(list_exports, 2)                                                                                                 \
    X(call, 40)                                                                                                        \
    X(spin, 1)                                                                                                         \
    X(call_and_drop, 2)                                                                                                \
    X(memory, 2)                                                                                                       \
    X(write_and_read, 8)                                                                                               \
    X(memory_size, 2)                                                                                                  \
    X(memory_grow, 1)                                                                                                  \
    X(global, 2)                                                                                                       \
    X(set_and_get, 5)                                                                                                  \
    X(table, 2)                                                                                                        \
    X(table_set_and_get, 5)                                                                                            \
    X(table_grow, 1)                                                                                                   \
    X(compare, 3)                                                                                                      \
    X(type_of, 3)                                                                                                      \
    X(wasi, 2)                                                                                                         \
    X(feed, 4)                                                                                                         \
    X(grant, 4)                                                                                                        \
    X(answer, 12)                                                                                                      \
    X(refuse, 3)                                                                                                       \
    X(cancel, 1)                                                                                                       \
    X(cancel_flood, 1)                                                                                                 \
    X(interrupt, 1)                                                                                                    \
    X(drop, 6)                                                                                                         \
    X(chain, 2)                                                                                                        \
    X(go_deaf, 1)                                                                                                      \
    X(listen, 6)                                                                                                       \
    X(leave, 1)                                                                                                        \
    X(hang_up, 1)                                                                                                      \
    X(hang_up_in_a_frame, 1)                                                                                           \
    X(close_half, 1)

enum wild_action {
#define X(name, weight) WILD_ACTION_##name,
    WILD_ACTIONS(X)
#undef X
        WILD_ACTION_COUNT
};
_Static_assert(WILD_ACTION_COUNT <= WILD_ACTIONS_MAX, "a report counts each action");

#define X(name, weight) bool wild_act_##name(struct wild *c);
WILD_ACTIONS(X)
#undef X

/* A request that touches this store, perhaps from inside a host call. */
struct wild_asked wild_in_store(struct wild *c, uint32_t store);
bool wild_request(struct wild *c, unsigned type, const void *body, const void *raw, size_t n, struct wild_asked a);
/* A request that makes a thing, whose handle goes into the body's `field`. */
bool wild_make(struct wild *c, unsigned type, const void *body, uint32_t *field, const void *raw, size_t n,
               struct wild_asked a, enum wild_kind kind, unsigned sort);
void wild_cancel(struct wild *c, uint32_t id);
/* An extern, or null; once the request is on its way, wild_sent_extern counts it. */
void wild_put_extern(struct wild *c, uint8_t *raw, struct wild_asked *a);
void wild_sent_extern(struct wild *c, const struct wild_asked *a);
/* A store that is not closing; NULL: there is none. */
struct wild_thing *wild_pick_store(struct wild *c);
uint32_t wild_some_deadline(struct wild *c);

#endif
