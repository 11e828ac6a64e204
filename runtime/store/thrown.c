/* runtime/store/thrown.c -- exceptions that cross the embedding interface (runtime.h). */
#include "runtime/store/store.h"

uint32_t store_thrown(const struct store *s) { return s->thrown; }

void store_throw(struct store *s, uint32_t exn) { s->thrown = exn; }
