/* proto/counters.h -- the counters that STORE_STATS returns: u64s, little-endian, in this order. New ones are added at
 * the end only; a reader takes as many as it knows and is sent. */
#ifndef HEMI_PROTO_COUNTERS_H
#define HEMI_PROTO_COUNTERS_H

/* name, text */
#define HEMI_COUNTERS(X)                                                                                               \
    X(instances, "instances alive")                                                                                    \
    X(calls, "calls from the client")                                                                                  \
    X(host_calls, "calls of host functions")                                                                           \
    X(handles, "handles in use")                                                                                       \
    X(externs_made, "externref objects made")                                                                          \
    X(externs_dead, "externref objects found dead")                                                                    \
    X(externs_live, "externref objects alive")                                                                         \
    X(collections, "garbage collections")                                                                              \
    X(bytes_allocated, "bytes allocated in the heap, in all")                                                          \
    X(bytes_copied, "bytes copied by collections, in all")                                                             \
    X(bytes_live, "bytes in use in the heap")                                                                          \
    X(bytes_committed, "bytes of memory that the heap holds")                                                          \
    X(bytes_peak, "most bytes the heap ever held")                                                                     \
    X(memory_bytes, "bytes of linear memories")                                                                        \
    X(pause_ns_total, "nanoseconds spent collecting")                                                                  \
    X(pause_ns_max, "longest collection, nanoseconds")                                                                 \
    X(stores, "stores alive")                                                                                          \
    X(reads, "reads from this connection's socket")                                                                    \
    X(writes, "writes to this connection's socket")                                                                    \
    X(frames_in, "frames received on this connection")                                                                 \
    X(frames_out, "frames sent on this connection")

enum hemi_counter {
#define X(name, text) COUNTER_##name,
    HEMI_COUNTERS(X)
#undef X
        COUNTERS
};

#endif
