/* proto/counters.h -- the counters that STORE_STATS returns, of a store or a connection: u64s, little-endian, in this
 * order. New ones are added at the end only; a reader takes as many as it knows and is sent. INFO has the same by name,
 * of the whole worker. */
#ifndef HEMI_PROTO_COUNTERS_H
#define HEMI_PROTO_COUNTERS_H

/* name, what remains of it in a sum when what it is of has ended (NOW: nothing, EVER: all of it, MOST: it is not
 * summed, the largest counts), text */
#define HEMI_COUNTERS(X)                                                                                               \
    X(instances, NOW, "instances alive")                                                                               \
    X(calls, EVER, "calls from the client")                                                                            \
    X(host_calls, EVER, "calls of host functions")                                                                     \
    X(handles, NOW, "handles in use")                                                                                  \
    X(externs_made, EVER, "externref objects made")                                                                    \
    X(externs_dead, EVER, "externref objects found dead")                                                              \
    X(externs_live, NOW, "externref objects alive")                                                                    \
    X(collections, EVER, "garbage collections")                                                                        \
    X(bytes_allocated, EVER, "bytes allocated in the heap, in all")                                                    \
    X(bytes_copied, EVER, "bytes copied by collections, in all")                                                       \
    X(bytes_live, NOW, "bytes in use in the heap")                                                                     \
    X(bytes_committed, NOW, "bytes of memory that the heap holds")                                                     \
    X(bytes_peak, NOW, "most bytes the heap ever held")                                                                \
    X(memory_bytes, NOW, "bytes of linear memories")                                                                   \
    X(pause_ns_total, EVER, "nanoseconds spent collecting")                                                            \
    X(pause_ns_max, MOST, "longest collection, nanoseconds")                                                           \
    X(stores, NOW, "stores alive")                                                                                     \
    X(reads, EVER, "reads from sockets")                                                                               \
    X(writes, EVER, "writes to sockets")                                                                               \
    X(frames_in, EVER, "frames received")                                                                              \
    X(frames_out, EVER, "frames sent")

enum hemi_counter {
#define X(name, kind, text) COUNTER_##name,
    HEMI_COUNTERS(X)
#undef X
        COUNTERS
};

#endif
