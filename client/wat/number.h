/* client/wat/number.h -- numerals of the text format to values, exactly rounded. Pure functions, any thread. */
#ifndef HEMI_WAT_NUMBER_H
#define HEMI_WAT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum number_status {
    NUMBER_OK,
    NUMBER_MALFORMED, /* not a numeral of this kind */
    NUMBER_RANGE,     /* a numeral that does not fit */
    NUMBER_NO_MEMORY,
};

/* Digits without a sign, decimal or 0x..., single underscores between digits; at most `max`. */
enum number_status number_unsigned(const char *text, size_t len, uint64_t max, uint64_t *out);

/* A `bits`-bit integer (8 to 64) written unsigned or signed: -2^(bits-1) to 2^bits - 1. Gives its two's complement in
 * the low `bits` bits, zero-extended. */
enum number_status number_integer(const char *text, size_t len, unsigned bits, uint64_t *out);

/* A float of 32 or 64 bits: decimal, hexadecimal, inf, nan, nan:0x...; gives its bit pattern. A literal that rounds to
 * infinity is out of range. */
enum number_status number_float(const char *text, size_t len, unsigned bits, uint64_t *out);

#endif
