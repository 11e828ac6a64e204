/* runtime/binary/cursor.h -- reads a module's bytes.
 *
 * School: UNTRUSTED bytes; nothing here asserts on them. The first error sticks: it is written to *err (shared by all
 * cursors of one module) with its offset, this cursor jumps to its end, and every later read gives 0. So callers read
 * on, and ask cursor_ok() where a wrong value would matter: before it is used as an index or a size, and in loops.
 * LEB128 numbers are as the specification has them (3.0, 5.2.2): no more bytes than the type needs, unused bits
 * zero, or for signed types copies of the sign. */
#ifndef HEMI_RUNTIME_BINARY_CURSOR_H
#define HEMI_RUNTIME_BINARY_CURSOR_H

#include "proto/tables/limits.h"
#include "proto/tables/proposals.h"
#include "runtime/runtime.h"

struct cursor {
    const uint8_t *base;     /* the module's first byte: offsets count from here */
    const uint8_t *at, *end; /* what is left */
    struct rt_error *err;
    const char *end_text; /* the error when the bytes run out */
};

static inline bool cursor_ok(const struct cursor *c) { return c->err->status == HEMI_OK; }
static inline uint32_t cursor_offset(const struct cursor *c) { return (uint32_t)(c->at - c->base); }
static inline size_t cursor_left(const struct cursor *c) { return (size_t)(c->end - c->at); }

/* Records an error at `offset` unless there is one already, and ends the reading. */
void cursor_fail(struct cursor *c, enum hemi_status status, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for bytes that are no module at all: INVALID_MODULE, marked as malformed. */
void cursor_malformed(struct cursor *c, uint32_t offset, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for a code or bits that 3.0 does not have in this place; with the name of the proposal that does, if any. */
void cursor_foreign(struct cursor *c, uint32_t offset, enum proposal_place place, uint32_t code, const char *text);
/* Refuses `n`, which the module says at `offset`, with LIMIT when it is beyond the limit. */
bool cursor_limit(struct cursor *c, uint32_t offset, enum wasm_limit limit, uint64_t n);
/* The same when it has turned out to be beyond it. */
void cursor_beyond(struct cursor *c, uint32_t offset, enum wasm_limit limit);

/* The slow paths of the numbers below, which read those of one byte themselves: `bits` wide, 33 and odd widths only
 * when signed. */
uint64_t cursor_leb(struct cursor *c, uint32_t bits, bool is_signed);
uint8_t cursor_end(struct cursor *c); /* records that the bytes ran out; 0 */

static inline uint8_t cursor_u8(struct cursor *c) { return c->at < c->end ? *c->at++ : cursor_end(c); }
static inline uint32_t cursor_u32(struct cursor *c)
{
    if (c->at < c->end && *c->at < 0x80) return *c->at++;
    return (uint32_t)cursor_leb(c, 32, false);
}
static inline uint64_t cursor_u64(struct cursor *c)
{
    if (c->at < c->end && *c->at < 0x80) return *c->at++;
    return cursor_leb(c, 64, false);
}
static inline int64_t cursor_signed(struct cursor *c, uint32_t bits)
{
    if (c->at < c->end && *c->at < 0x80) {
        int64_t v = *c->at++;
        return v < 0x40 ? v : v - 0x80;
    }
    return (int64_t)cursor_leb(c, bits, true);
}
static inline int32_t cursor_s32(struct cursor *c) { return (int32_t)cursor_signed(c, 32); }
static inline int64_t cursor_s33(struct cursor *c) { return cursor_signed(c, 33); }
static inline int64_t cursor_s64(struct cursor *c) { return cursor_signed(c, 64); }

/* n bytes in place, or NULL. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);
/* `n` little-endian bytes, at most 8, as a number. */
uint64_t cursor_fixed(struct cursor *c, uint32_t n);
/* A vector's length: each element takes at least one byte, so it must not exceed the bytes left; and the limit. */
uint32_t cursor_count(struct cursor *c, enum wasm_limit limit);
/* A name: a vector of bytes in UTF-8. */
struct name cursor_name(struct cursor *c);
/* A cursor over the next n bytes, which this one skips. When there are fewer: "length out of bounds". */
struct cursor cursor_sub(struct cursor *c, uint32_t n);
/* Must be at its end, else `text`. */
void cursor_done(struct cursor *c, const char *text);

#endif
