/* runtime/store/verify.h -- what the checks of store_verify share; for verify*.c alone. */
#ifndef HEMI_RUNTIME_STORE_VERIFY_H
#define HEMI_RUNTIME_STORE_VERIFY_H

#include "runtime/store/store.h"

struct check {
    const struct store *store;
    struct heap_walk *walk;
    char *why;
    size_t len;
    bool ok; /* else the first finding is kept */
    /* The last reference that was looked at: neighbours are often the same. */
    uint32_t last;
    valtype last_type;
};

/* Keeps the first finding. */
void complain(struct check *k, const char *what, uint32_t which);
/* Null counts. */
bool func_valid(const struct store *s, uint32_t id);

void verify_frames(struct check *k);

#endif
