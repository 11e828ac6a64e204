/* client/wat/input.h -- a cursor over bytes of the binary format. The first error sticks, with its place, and moves the
 * cursor to the end, where numbers read as 0; so code may go on until it is convenient to look. */
#ifndef HEMI_WAT_INPUT_H
#define HEMI_WAT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/tables/proposals.h"

struct input {
    const uint8_t *at, *end;
    const uint8_t *failed_at;
    const char *message;  /* NULL: no error */
    const char *proposal; /* of an error: its text, if the bytes there belong to one */
};

struct slice {
    const uint8_t *bytes; /* NULL: none */
    size_t length;
};

static inline struct input input_of(struct slice s)
{
    return (struct input){.at = s.bytes, .end = s.bytes ? s.bytes + s.length : NULL};
}
static inline bool input_ok(const struct input *in) { return in->message == NULL; }
static inline size_t input_left(const struct input *in) { return (size_t)(in->end - in->at); }

void input_fail(struct input *in, const uint8_t *where, const char *message); /* message: a literal */
/* The same for a code or bits that 3.0 does not have in this place. */
void input_foreign(struct input *in, const uint8_t *where, enum proposal_place place, uint32_t code,
                   const char *message);
uint8_t input_byte(struct input *in);
uint8_t input_peek(const struct input *in); /* 0 at the end */
/* LEB128 as the specification has it: no longer than the type needs, no bits beyond it. */
uint32_t input_u32(struct input *in);
uint64_t input_u64(struct input *in);
int64_t input_signed(struct input *in, unsigned bits); /* 32, 33 or 64 */
uint64_t input_little(struct input *in, unsigned bytes);
struct slice input_take(struct input *in, size_t length);
struct slice input_name(struct input *in); /* length, then valid UTF-8 */
/* How many elements follow, each at least `least` bytes long: more than there can be is an error. */
uint32_t input_count(struct input *in, size_t least);

#endif
