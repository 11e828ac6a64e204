/* client/wat/input.c -- numbers, names and slices of the binary format (specification 5.2). */
#include "client/wat/input.h"

#include <unistr.h>

void input_fail(struct input *in, const uint8_t *where, const char *message)
{
    if (in->message) return;
    in->message = message;
    in->failed_at = where;
    in->at = in->end;
}

void input_foreign(struct input *in, const uint8_t *where, enum proposal_place place, uint32_t code,
                   const char *message)
{
    if (in->message) return;
    input_fail(in, where, message);
    in->proposal = proposal_of_mark(place, code);
}

uint8_t input_byte(struct input *in)
{
    if (in->at < in->end) return *in->at++;
    input_fail(in, in->at, "unexpected end");
    return 0;
}

uint8_t input_peek(const struct input *in) { return in->at < in->end ? *in->at : 0; }

/* The bytes of a LEB128 number of so many bits; *last is its last byte, *shift where that one's bits are. */
static uint64_t leb128(struct input *in, unsigned bits, uint8_t *last, unsigned *shift)
{
    const uint8_t *start = in->at;
    uint64_t value = 0;
    for (*shift = 0;; *shift += 7) {
        *last = input_byte(in);
        value |= (uint64_t)(*last & 0x7F) << *shift;
        if (!(*last & 0x80)) return value;
        if (*shift + 7 >= bits) {
            input_fail(in, start, "integer representation too long");
            *last = 0;
            return 0;
        }
    }
}

static uint64_t read_unsigned(struct input *in, unsigned bits)
{
    const uint8_t *start = in->at;
    uint8_t last;
    unsigned shift;
    uint64_t value = leb128(in, bits, &last, &shift);
    if (bits - shift < 7 && last >> (bits - shift)) input_fail(in, start, "integer too large");
    return input_ok(in) ? value : 0;
}

uint32_t input_u32(struct input *in) { return (uint32_t)read_unsigned(in, 32); }
uint64_t input_u64(struct input *in) { return read_unsigned(in, 64); }

int64_t input_signed(struct input *in, unsigned bits)
{
    const uint8_t *start = in->at;
    uint8_t last;
    unsigned shift;
    uint64_t value = leb128(in, bits, &last, &shift);
    bool negative = last & 0x40;
    if (bits - shift < 7) { /* what is beyond the type must repeat its sign */
        unsigned beyond = last >> (bits - shift - 1), ones = 0x7Fu >> (bits - shift - 1);
        if (beyond != 0 && beyond != ones) input_fail(in, start, "integer too large");
    }
    if (negative && shift + 7 < 64) value |= UINT64_MAX << (shift + 7);
    return input_ok(in) ? (int64_t)value : 0;
}

uint64_t input_little(struct input *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)input_byte(in) << 8 * i;
    return value;
}

struct slice input_take(struct input *in, size_t length)
{
    struct slice s = {in->at, length};
    if (length > input_left(in)) {
        input_fail(in, in->at, "length out of bounds");
        return (struct slice){0};
    }
    in->at += length;
    return s;
}

struct slice input_name(struct input *in)
{
    const uint8_t *start = in->at;
    struct slice name = input_take(in, input_u32(in));
    if (name.length && u8_check(name.bytes, name.length)) input_fail(in, start, "malformed UTF-8 encoding");
    return input_ok(in) ? name : (struct slice){0};
}

uint32_t input_count(struct input *in, size_t least)
{
    const uint8_t *start = in->at;
    uint32_t count = input_u32(in);
    if (count > input_left(in) / least) input_fail(in, start, "length out of bounds");
    return input_ok(in) ? count : 0;
}
