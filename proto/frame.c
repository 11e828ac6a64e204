/* The table of frame types at run time, error texts, and the fixed header. */
#include "proto/frame.h"

#include "proto/hemi.pb-c.h"
#include "proto/value.h"

const char *proto_error_text(enum proto_error e)
{
    switch (e) {
#define X(name, number, text)                                                                                          \
    case PROTO_##name:                                                                                                 \
        return text;
        PROTO_ERRORS(X)
#undef X
    }
    return "unknown error";
}

static const struct frame_info rows[] = {
#define X(NAME, number, from, Body, snake, bodymax, rawmax, nfds, window, when, how, text)                             \
    {.type = number,                                                                                                   \
     .sender = FRAME_##from,                                                                                           \
     .fds = nfds,                                                                                                      \
     .credit = window,                                                                                                 \
     .states = FRAME_##when,                                                                                           \
     .answer = FRAME_##how,                                                                                            \
     .body_max = bodymax,                                                                                              \
     .raw_max = rawmax,                                                                                                \
     .body = &hemi__v1__##snake##__descriptor,                                                                         \
     .name = #NAME,                                                                                                    \
     .raw_text = text},
    HEMI_FRAMES(X)
#undef X
};

/* The caps of every row fit the limits that buffers are made for. */
#define X(NAME, number, from, Body, snake, bodymax, rawmax, ...)                                                       \
    _Static_assert((bodymax) <= FRAME_BODY_MAX && (rawmax) <= FRAME_RAW_MAX, #NAME);
HEMI_FRAMES(X)
#undef X

/* Row index by number; the switch is the compiler's to make fast. */
const struct frame_info *frame_info(unsigned type)
{
    enum {
#define X(NAME, ...) ROW_##NAME,
        HEMI_FRAMES(X)
#undef X
    };
    switch (type) {
#define X(NAME, number, ...)                                                                                           \
    case number:                                                                                                       \
        return &rows[ROW_##NAME];
        HEMI_FRAMES(X)
#undef X
    default:
        return NULL;
    }
}

const struct frame_info *frame_table(size_t *count)
{
    *count = sizeof rows / sizeof *rows;
    return rows;
}

const char *frame_type_name(unsigned type)
{
    const struct frame_info *info = frame_info(type);
    return info ? info->name : "?";
}

void frame_header_write(const struct frame_header *h, uint8_t out[FRAME_HEADER_BYTES])
{
    wire_put_u32(out, h->length);
    wire_put_u16(out + 4, h->type);
    wire_put_u16(out + 6, h->flags);
    wire_put_u32(out + 8, h->request);
    wire_put_u32(out + 12, h->parent);
    wire_put_u32(out + 16, h->body_length);
    wire_put_u32(out + 20, 0);
}

/* Flags, id and parent against what the row allows. */
static enum proto_error check_ids(const struct frame_header *h, const struct frame_info *info)
{
    unsigned allowed = (frame_is_request(info) ? FRAME_FLAG_IF_PREVIOUS_OK : 0) | (info->fds ? FRAME_FLAG_FD : 0);
    if (h->flags & ~allowed) return PROTO_FLAGS;
    if ((h->request == 0) != (info->answer == FRAME_ONEWAY)) return PROTO_REQUEST_ID;
    if (h->parent != 0 && !frame_is_request(info)) return PROTO_PARENT;
    return PROTO_OK;
}

enum proto_error frame_header_read(const uint8_t in[FRAME_HEADER_BYTES], enum frame_sender from, enum frame_state state,
                                   struct frame_header *h, const struct frame_info **info)
{
    *h = (struct frame_header){.length = wire_get_u32(in),
                               .type = wire_get_u16(in + 4),
                               .flags = wire_get_u16(in + 6),
                               .request = wire_get_u32(in + 8),
                               .parent = wire_get_u32(in + 12),
                               .body_length = wire_get_u32(in + 16)};
    *info = frame_info(h->type);
    if (!*info) return PROTO_TYPE;
    if (!((*info)->sender & from)) return PROTO_SENDER;
    if (!((*info)->states & state)) return PROTO_STATE;
    if (wire_get_u32(in + 20) != 0) return PROTO_RESERVED;
    if (h->body_length > h->length) return PROTO_LENGTH;
    if (h->body_length > (*info)->body_max) return PROTO_BODY_CAP;
    if (h->length - h->body_length > (*info)->raw_max) return PROTO_RAW_CAP;
    return check_ids(h, *info);
}
