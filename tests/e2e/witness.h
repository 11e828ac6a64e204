/* tests/e2e/witness.h -- a client that does nothing wild, and must not notice those that do. */
#ifndef HEMI_TESTS_E2E_WITNESS_H
#define HEMI_TESTS_E2E_WITNESS_H

#include "tests/e2e/figures.h"

struct witness {
    const struct daemon *daemon;
    hemi_client *client;
    hemi_object *add;
    int32_t looks;
    double slowest;      /* ms */
    struct figures base; /* of its worker; whoever takes them fills them in */
};

/* Connects; each of its requests has a deadline. */
void witness_come(struct witness *w, const struct daemon *d, const char *socket);
/* A call: right, and within a generous time. */
void witness_look(struct witness *w);
void witness_leave(struct witness *w);

#endif
