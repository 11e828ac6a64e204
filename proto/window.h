/* proto/window.h -- the window of unanswered requests, kept alike on both sides: the client waits until it may send,
 * the worker ends a connection that did not wait. One for the connection, one for each outstanding host call (for
 * requests that name it as parent). A request counts with its whole frame, from sending until its REPLY. */
#ifndef HEMI_PROTO_WINDOW_H
#define HEMI_PROTO_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
    uint64_t bytes_max, bytes;
    uint32_t requests_max, requests;
};

static inline bool window_fits(const struct window *w, uint64_t bytes)
{
    return w->requests < w->requests_max && bytes <= w->bytes_max - w->bytes;
}
/* False: it does not fit; nothing changed. */
static inline bool window_take(struct window *w, uint64_t bytes)
{
    if (!window_fits(w, bytes)) return false;
    w->requests++;
    w->bytes += bytes;
    return true;
}
static inline void window_give(struct window *w, uint64_t bytes)
{
    w->requests--;
    w->bytes -= bytes;
}

#endif
