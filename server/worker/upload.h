/* server/worker/upload.h -- the bytes of a module while they come. */
#ifndef HEMI_SERVER_WORKER_UPLOAD_H
#define HEMI_SERVER_WORKER_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/worker/grave.h"

struct connection;
struct module;
struct worker;

/* What was announced costs nothing until it comes. It stays with the module's object for as long as that lives: the
 * module, which pays for its bytes itself, is one of the connection's modules. A mapping is the client's memory. */
struct upload {
    struct worker *worker;
    struct account *account; /* counted; what `charged` is charged to */
    struct connection *conn; /* one of whose modules it is; NULL: in the grave */
    uint64_t types;          /* of the connection's share: those that the module declares */
    uint64_t types_refused;  /* the last time; 0: they were not */
    uint8_t *bytes;          /* NULL once the module is made */
    uint64_t total, have, capacity, charged;
    struct module *module; /* counted; in the grave */
    struct corpse corpse;
    uint64_t mapped; /* bytes of a memfd's mapping at `bytes`; 0: they are from malloc */
    size_t given;    /* release_block */
    bool complete;   /* MODULE_NEW was read: no more chunks */
};

/* NULL: no memory. */
struct upload *upload_new(struct connection *c, uint64_t total);
/* The next `n` bytes, within `total`. False: refused or no memory; nothing was taken. */
bool upload_append(struct upload *u, const uint8_t *bytes, size_t n);
/* A sealed memfd of at least `total` bytes; the descriptor stays the caller's. NULL: *why says what is wrong with
 * it; there NULL, no memory. */
struct upload *upload_map(struct connection *c, int fd, uint64_t total, const char **why);
/* The module has n more types. False: its connection has its share. */
bool upload_claim_types(struct upload *u, uint64_t n);
uint8_t *upload_take_bytes(struct upload *u); /* the caller frees and pays for them; not if mapped */
/* In pieces (base/release.h). True: more is left. */
bool upload_free_bytes(struct upload *u, uint32_t *units);
/* Gives it up, with a reference on the module made of it (or NULL): the grave frees both. */
void upload_bury(struct upload *u, struct module *m);

/* For engine_options, with the scheduler as `ctx`: the running request's module has n more types (upload_claim_types);
 * whose account pays for a module, until it is gone. */
bool module_types_claim(void *ctx, uint32_t n);
bool module_charge_account(void *ctx, void **payer, int64_t delta);
void module_gone_from_account(void *ctx, void *payer);

#endif
