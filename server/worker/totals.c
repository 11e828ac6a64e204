#include "server/worker/totals.h"

#include "server/worker/connection.h"
#include "server/worker/state.h"
#include "server/worker/stores.h"

enum counter_kind { COUNTER_NOW, COUNTER_EVER, COUNTER_MOST };

static const enum counter_kind kinds[COUNTERS] = {
#define X(name, kind, text) COUNTER_##kind,
    HEMI_COUNTERS(X)
#undef X
};

static void add(uint64_t *to, int counter, uint64_t n)
{
    if (kinds[counter] != COUNTER_MOST)
        to[counter] += n;
    else if (n > to[counter])
        to[counter] = n;
}

void totals_of_store(uint64_t n[COUNTERS], const struct wstore *s)
{
    struct store_stats st;
    if (!s->store) return;
    store_get_stats(s->store, &st);
    add(n, COUNTER_instances, st.instances);
    add(n, COUNTER_calls, s->calls);
    add(n, COUNTER_host_calls, st.host_calls);
    add(n, COUNTER_externs_made, st.heap.externs_made);
    add(n, COUNTER_externs_dead, st.heap.externs_dead);
    add(n, COUNTER_externs_live, st.heap.externs_live);
    add(n, COUNTER_collections, st.heap.collections);
    add(n, COUNTER_bytes_allocated, st.heap.bytes_allocated);
    add(n, COUNTER_bytes_copied, st.heap.bytes_copied);
    add(n, COUNTER_bytes_live, st.heap.bytes_live);
    add(n, COUNTER_bytes_committed, st.heap.bytes_committed);
    add(n, COUNTER_bytes_peak, st.heap.bytes_peak);
    add(n, COUNTER_memory_bytes, st.memory_bytes);
    add(n, COUNTER_pause_ns_total, st.heap.pause_ns_total);
    add(n, COUNTER_pause_ns_max, st.heap.pause_ns_max);
    add(n, COUNTER_stores, 1);
}

void totals_of_connection(uint64_t n[COUNTERS], const struct connection *c)
{
    add(n, COUNTER_handles, c->handles.map.used);
    add(n, COUNTER_reads, c->reads);
    add(n, COUNTER_writes, c->writes);
    add(n, COUNTER_frames_in, c->frames_in);
    add(n, COUNTER_frames_out, c->frames_out);
}

void totals_of_worker(uint64_t n[COUNTERS], const struct worker *w)
{
    for (int i = 0; i < COUNTERS; i++) n[i] = w->ended[i];
    for (const struct connection *c = LIST_FIRST(&w->connections); c; c = LIST_NEXT(c, link)) {
        totals_of_connection(n, c);
        for (const struct wstore *s = LIST_FIRST(&c->stores); s; s = LIST_NEXT(s, of_conn)) totals_of_store(n, s);
    }
}

static void keep(struct worker *w, const uint64_t n[COUNTERS])
{
    for (int i = 0; i < COUNTERS; i++)
        if (kinds[i] != COUNTER_NOW) add(w->ended, i, n[i]);
}

void totals_keep_store(const struct wstore *s)
{
    uint64_t n[COUNTERS] = {0};
    totals_of_store(n, s);
    keep(s->worker, n);
}

void totals_keep_connection(const struct connection *c)
{
    uint64_t n[COUNTERS] = {0};
    totals_of_connection(n, c);
    keep(c->worker, n);
}
