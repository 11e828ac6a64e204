/* runtime/binary/cursor.c -- numbers, names and lengths out of a module's bytes. */
#include "runtime/binary/cursor.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

static void fail(struct cursor *c, enum hemi_status status, uint32_t offset, const char *format, va_list args)
{
    struct rt_error *err = c->err;
    err->status = status;
    err->offset = offset;
    err->has_offset = true;
    vsnprintf(err->message, sizeof err->message, format, args);
}

void cursor_fail(struct cursor *c, enum hemi_status status, uint32_t offset, const char *format, ...)
{
    c->at = c->end;
    if (!cursor_ok(c)) return;
    va_list args;
    va_start(args, format);
    fail(c, status, offset, format, args);
    va_end(args);
}

void cursor_malformed(struct cursor *c, uint32_t offset, const char *format, ...)
{
    c->at = c->end;
    if (!cursor_ok(c)) return;
    va_list args;
    va_start(args, format);
    fail(c, HEMI_INVALID_MODULE, offset, format, args);
    va_end(args);
    c->err->malformed = true;
}

void cursor_foreign(struct cursor *c, uint32_t offset, enum proposal_place place, uint32_t code, const char *text)
{
    const char *proposal = proposal_of_mark(place, code);
    if (proposal)
        cursor_malformed(c, offset, "%s" PROPOSAL_REMARK, text, proposal);
    else
        cursor_malformed(c, offset, "%s", text);
}

static const struct {
    uint32_t value;
    const char *text;
} limits[LIMIT_COUNT] = {
#define X(name, value, text) {value, text},
    WASM_LIMITS(X)
#undef X
};

bool cursor_limit(struct cursor *c, uint32_t offset, enum wasm_limit limit, uint64_t n)
{
    if (n <= limits[limit].value) return true;
    cursor_fail(c, HEMI_LIMIT, offset, "too many %s: %llu, at most %u are supported", limits[limit].text,
                (unsigned long long)n, limits[limit].value);
    return false;
}

void cursor_beyond(struct cursor *c, uint32_t offset, enum wasm_limit limit)
{
    cursor_fail(c, HEMI_LIMIT, offset, "too many %s: at most %u are supported", limits[limit].text,
                limits[limit].value);
}

uint8_t cursor_end(struct cursor *c)
{
    cursor_malformed(c, cursor_offset(c), "%s", c->end_text);
    return 0;
}

/* Checks the bits of the last possible byte that the number has no room for. `room` bits of it are used. */
static bool spare_bits_ok(uint8_t byte, uint32_t room, bool is_signed)
{
    if (!is_signed) return byte >> room == 0;
    uint8_t spare = (uint8_t)((byte & 0x7F) >> (room - 1)), ones = (uint8_t)(0x7F >> (room - 1));
    return spare == 0 || spare == ones;
}

uint64_t cursor_leb(struct cursor *c, uint32_t bits, bool is_signed)
{
    if (cursor_left(c) >= 2 && c->at[1] < 0x80) { /* two bytes: most numbers that have more than one */
        uint64_t value = (uint64_t)(c->at[0] & 0x7F) | (uint64_t)c->at[1] << 7;
        if (c->at[0] >= 0x80) return c->at += 2, is_signed && value & 0x2000 ? value | ~(uint64_t)0 << 14 : value;
    }
    uint32_t start = cursor_offset(c);
    uint64_t value = 0;
    for (uint32_t shift = 0;; shift += 7) {
        if (c->at == c->end) return cursor_end(c);
        uint8_t byte = *c->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (shift + 7 >= bits) {
            if (byte & 0x80) {
                cursor_malformed(c, start, "integer representation too long");
                return 0;
            }
            if (!spare_bits_ok(byte, bits - shift, is_signed)) {
                cursor_malformed(c, start, "integer too large");
                return 0;
            }
        }
        if (byte & 0x80) continue;
        if (is_signed && (byte & 0x40) && shift + 7 < 64) value |= ~(uint64_t)0 << (shift + 7);
        return value;
    }
}

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
    if (n > cursor_left(c)) {
        cursor_end(c);
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += n;
    return at;
}

uint64_t cursor_fixed(struct cursor *c, uint32_t n)
{
    const uint8_t *bytes = cursor_bytes(c, n);
    uint64_t value = 0;
    for (uint32_t i = 0; bytes && i < n; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint32_t cursor_count(struct cursor *c, enum wasm_limit limit)
{
    uint32_t start = cursor_offset(c), n = cursor_u32(c);
    if (!cursor_limit(c, start, limit, n)) return 0;
    if (n > cursor_left(c) && cursor_ok(c)) cursor_malformed(c, start, "%s: length out of bounds", c->end_text);
    return cursor_ok(c) ? n : 0;
}

struct name cursor_name(struct cursor *c)
{
    uint32_t start = cursor_offset(c), n = cursor_u32(c);
    if (cursor_ok(c) && n > cursor_left(c)) cursor_malformed(c, start, "length out of bounds: %s", c->end_text);
    if (!cursor_limit(c, start, LIMIT_NAME_BYTES, n)) n = 0;
    start = cursor_offset(c);
    const uint8_t *bytes = cursor_ok(c) ? cursor_bytes(c, n) : NULL;
    if (bytes && u8_check(bytes, n)) {
        cursor_malformed(c, start, "malformed UTF-8 encoding");
        bytes = NULL;
    }
    return (struct name){.at = (const char *)bytes, .len = bytes ? n : 0};
}

struct cursor cursor_sub(struct cursor *c, uint32_t n)
{
    struct cursor sub = *c;
    sub.end_text = "unexpected end of section or function";
    if (n > cursor_left(c)) {
        cursor_malformed(c, cursor_offset(c), "length out of bounds: %u bytes wanted, %zu left", n, cursor_left(c));
        sub.at = sub.end;
        return sub;
    }
    sub.end = sub.at + n;
    c->at += n;
    return sub;
}

void cursor_done(struct cursor *c, const char *text)
{
    if (c->at != c->end && cursor_ok(c)) cursor_malformed(c, cursor_offset(c), "%s", text);
}
