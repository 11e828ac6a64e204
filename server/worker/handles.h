/* server/worker/handles.h -- what a connection's handles name, and whether it is there yet.
 *
 * School of checking: ids come from a PEER (status returns); objects are our own (asserted).
 *
 * An OBJECT is what a handle names: a module, a store, an instance, a reference... It is counted: the handle table
 * holds one reference, and every request that names it takes another when its frame is read (.pinned). A handle is
 * bound to its object at that moment, before the request that makes it has run: until then the object is PROMISED, by
 * an OUTCOME that it shares with that request. A promised object whose outcome failed is poisoned.
 *
 * Invariants:
 *   .pinned    Nothing that a request names goes away before the request is answered, DROP or not.
 *   .of-store  An object of a store is on its store's list, and is emptied (not freed) and taken off it after the store
 *              ended; its root is deinitialised before anything of the store is freed.
 *   .moving    A map has an `old` table only until its entries have moved to `now`, a few with each change of the map:
 *              at most a quarter of the changes after which `now` could need another size. */
#ifndef HEMI_SERVER_WORKER_HANDLES_H
#define HEMI_SERVER_WORKER_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "runtime/runtime.h"
#include "server/worker/account.h"

struct request;
struct wstore;
struct upload;

/* ---- A map from nonzero-or-zero u64 ids to pointers (never NULL). Open addressing, no tombstones. Its tables grow and
 * shrink with what is in it. */
struct idmap {
    struct idmap_table {
        struct idmap_entry {
            uint64_t id;
            void *value; /* NULL: free */
        } *entries;
        uint32_t used, bits; /* capacity is 1 << bits, or nothing when entries is NULL */
        uint32_t popped;     /* where the next is taken from, when all are */
    } now, old;              /* .moving */
    uint32_t used;           /* of both */
};
void idmap_deinit(struct idmap *m); /* the values are the caller's */
void *idmap_get(const struct idmap *m, uint64_t id);
/* Adds or replaces. False: no memory, nothing changed. */
bool idmap_put(struct idmap *m, uint64_t id, void *value);
/* Returns what was there, or NULL. */
void *idmap_remove(struct idmap *m, uint64_t id);
/* Takes any one entry out; NULL when empty. For tearing down. */
void *idmap_pop(struct idmap *m);

/* ---- How a request ends, for those that depend on it. */
struct outcome {
    uint32_t refs;
    uint32_t request; /* its id */
    uint32_t root;    /* when it failed: the request at the root of that */
    enum hemi_status status;
    bool done;
    struct request *pending;      /* while not done; borrowed */
    LIST_HEAD(, request) waiters; /* by request.wait */
};
struct outcome *outcome_new(struct request *r, uint32_t id); /* NULL: no memory */
struct outcome *outcome_ref(struct outcome *o);
void outcome_unref(struct outcome *o); /* NULL is allowed */

/* ---- Objects */
/* kind, text for messages */
#define OBJECT_KINDS(X)                                                                                                \
    X(ANY, "object") /* promised, and not known yet what it will be */                                                 \
    X(MODULE, "module")                                                                                                \
    X(STORE, "store")                                                                                                  \
    X(INSTANCE, "instance")                                                                                            \
    X(REF, "reference") /* functions too */                                                                            \
    X(MEMORY, "memory")                                                                                                \
    X(TABLE, "table")                                                                                                  \
    X(GLOBAL, "global")                                                                                                \
    X(TAG, "tag")                                                                                                      \
    X(WASI, "WASI object")
enum object_kind {
#define X(name, text) OBJECT_##name,
    OBJECT_KINDS(X)
#undef X
};
const char *object_kind_text(enum object_kind kind);

/* What an object holds that a room above the worker makes: wasi/ embeds it in what is its own. */
struct inside {
    const struct inside_ops {
        void (*release)(struct inside *in); /* gives up a reference, which may be the last */
        void (*abandon)(struct inside *in); /* the same, when the request that was to make the object has failed:
                                               nothing of it ever was, so its client hears of no end */
        uint32_t units;                     /* what that may cost beside the look at the object (base/release.h) */
    } *ops;
};

struct object {
    uint32_t refs;
    uint8_t kind;                /* enum object_kind */
    uint8_t class_;              /* REF: enum wire_class */
    bool bound, listed;          /* listed: on its store's list */
    struct outcome *outcome;     /* who promised it; NULL: made at once */
    struct wstore *store;        /* counted; NULL: of no store */
    LIST_ENTRY(object) of_store; /* .of-store */
    union {
        struct module *module; /* counted */
        struct instance *instance;
        struct root root;
        struct memory *memory;
        struct table *table;
        struct global *global;
        struct tag *tag;
        struct inside *inside; /* WASI: one reference */
    } u;
    struct upload *upload; /* MODULE: the bytes so far; owned */
};

/* A promised object with one reference; NULL: no memory. Takes references on the store and the outcome (may be NULL).
 */
struct object *object_new(enum object_kind kind, struct wstore *store, struct outcome *outcome);
struct object *object_ref(struct object *o);
void object_unref(struct object *o); /* NULL is allowed */
/* Takes away what the object holds, as when its store ends. Idempotent. */
void object_clear(struct object *o);
/* What its end costs beside the look at it, in units of base/release.h. */
uint32_t object_units(const struct object *o);
/* Takes it off its store's list. Idempotent. */
void object_unlink(struct object *o);
/* Binds a promised object to a reference of its store, which it roots. `class_`: enum wire_class. */
void object_bind_ref(struct object *o, enum heap_slot slot, uint32_t bits, uint8_t class_);
/* Binds to anything an instance may export. */
void object_bind_extern(struct object *o, const struct rt_extern *x);

/* ---- The table of one connection */
enum { HANDLE_COST = 256 /* bytes of memory, about: an object, its outcome, its entry */ };
struct handle_table {
    struct idmap map;
    struct account *account; /* charged for each; NULL: nobody */
    uint32_t max;
    uint32_t next; /* of the ids that the worker chooses */
};
enum handle_result {
    HANDLE_OK,
    HANDLE_TAKEN /* zero, in use, or not the client's to choose */,
    HANDLE_LIMIT,
    HANDLE_REFUSED /* by the account; bound all the same, to be poisoned: requests behind it name it */,
    HANDLE_NO_MEMORY
};

/* Binds a client's id to `o`; the table takes its own reference. */
enum handle_result handles_bind(struct handle_table *t, uint32_t id, struct object *o);
/* Ids that are chosen from now on begin anywhere. */
void handles_begin(struct handle_table *t);
/* Chooses an id from HANDLE_WORKER on. 0: limit or no memory. */
uint32_t handles_bind_new(struct handle_table *t, struct object *o);
struct object *handles_get(const struct handle_table *t, uint32_t id); /* borrowed; NULL: none */
/* Forgets an id; true if it was bound. Stores stay (docs/protocol.md). */
bool handles_drop(struct handle_table *t, uint32_t id);
/* The same, only while the id still names `o`. */
void handles_unbind(struct handle_table *t, uint32_t id, const struct object *o);
/* Forgets all, stores too. True: no units were left for some. */
bool handles_drop_some(struct handle_table *t, uint32_t *units);
void handles_deinit(struct handle_table *t);

#endif
