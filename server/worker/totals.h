/* server/worker/totals.h -- the counters of proto/counters.h, of stores, of connections, and summed over a worker.
 *
 * School of checking: TRUSTED.
 *
 * A worker keeps of what has ended the counters that say what ever happened; the rest is looked up where it is. */
#ifndef HEMI_SERVER_WORKER_TOTALS_H
#define HEMI_SERVER_WORKER_TOTALS_H

#include "proto/counters.h"

#include <stdint.h>

struct connection;
struct worker;
struct wstore;

/* Adds what belongs to it alone. */
void totals_of_store(uint64_t n[COUNTERS], const struct wstore *s);
void totals_of_connection(uint64_t n[COUNTERS], const struct connection *c);
/* Of the worker: all that is, and that was. Sets n. */
void totals_of_worker(uint64_t n[COUNTERS], const struct worker *w);
/* It ends, and is still whole. */
void totals_keep_store(const struct wstore *s);
void totals_keep_connection(const struct connection *c);

#endif
