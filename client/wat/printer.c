/* client/wat/printer.c -- literals and names of the text format (specification 6.3). */
#include "client/wat/printer.h"
#include "base/grow.h"

#include "client/wat/lexer.h"
#include "client/wat/number.h"
#include "proto/tables/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <unistr.h>

enum { DATA_PER_LINE = 64 };

static bool grow(struct printer *p, size_t length)
{
    if (length > p->most - p->length) {
        p->status = HEMI_LIMIT;
        return false;
    }
    if (GROW(p->text, p->length, length, p->capacity, 256)) return true;
    p->status = HEMI_NO_MEMORY;
    return false;
}

void print_bytes(struct printer *p, const void *bytes, size_t length)
{
    if (p->status != HEMI_OK || length == 0 || !grow(p, length)) return;
    memcpy(p->text + p->length, bytes, length);
    p->length += length;
}

void print_text(struct printer *p, const char *text) { print_bytes(p, text, strlen(text)); }

void print_format(struct printer *p, const char *format, ...)
{
    char small[128]; /* numbers and keywords: nothing here is longer */
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length > 0) print_bytes(p, small, (size_t)length < sizeof small ? (size_t)length : sizeof small - 1);
}

void print_line(struct printer *p, unsigned indent) { print_format(p, "\n%*s", (int)indent, ""); }

/* ---- strings */

static void print_char(struct printer *p, uint8_t c)
{
    if (c == '"' || c == '\\')
        print_format(p, "\\%c", c);
    else if (c >= ' ' && c < 0x7F)
        print_bytes(p, &c, 1);
    else
        print_format(p, "\\%02x", c);
}

static void print_string(struct printer *p, struct slice bytes)
{
    print_text(p, "\"");
    for (size_t i = 0; i < bytes.length; i++) print_char(p, bytes.bytes[i]);
    print_text(p, "\"");
}

/* Characters that show nothing, or change the order in which others are shown: a text with them is not what it looks
 * like, and other tools refuse it. */
static bool invisible(ucs4_t c)
{
    bool line = c < 0xA0 || c == 0x2028 || c == 0x2029; /* controls, separators of lines and paragraphs */
    return line || uc_is_property_default_ignorable_code_point(c);
}

/* What is not ASCII stays as it is, if it is visible. */
void print_name(struct printer *p, struct slice name)
{
    print_text(p, "\"");
    for (size_t i = 0; i < name.length;) {
        ucs4_t c;
        int n = u8_mbtouc_unsafe(&c, name.bytes + i, name.length - i);
        if (c < 0x80)
            print_char(p, (uint8_t)c);
        else if (invisible(c))
            print_format(p, "\\u{%x}", (unsigned)c);
        else
            print_bytes(p, name.bytes + i, (size_t)n);
        i += (size_t)n;
    }
    print_text(p, "\"");
}

void print_id(struct printer *p, struct slice name)
{
    print_text(p, "$");
    for (size_t i = 0; i < name.length; i++) {
        if (lexer_is_idchar(name.bytes[i])) continue;
        print_name(p, name);
        return;
    }
    print_bytes(p, name.bytes, name.length);
}

void print_data(struct printer *p, struct slice bytes, unsigned indent)
{
    if (bytes.length <= DATA_PER_LINE) {
        print_text(p, " ");
        print_string(p, bytes);
        return;
    }
    for (size_t at = 0; at < bytes.length; at += DATA_PER_LINE) {
        size_t left = bytes.length - at;
        print_line(p, indent);
        print_string(p, (struct slice){bytes.bytes + at, left < DATA_PER_LINE ? left : DATA_PER_LINE});
    }
}

/* ---- floats */

/* The process's locale may write the point otherwise: whatever stands between the digits becomes a point. */
static void write_point(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (strchr("0123456789+-e", *in))
            *out++ = *in;
        else if (out == text || out[-1] != '.')
            *out++ = '.';
    }
    *out = 0;
}

/* Writes the value with so many digits; true if it reads back as `pattern`. */
static bool try_digits(char text[64], double value, int digits, uint64_t pattern, unsigned bits)
{
    uint64_t back;
    snprintf(text, 64, "%.*g", digits, value);
    write_point(text);
    return number_float(text, strlen(text), bits, &back) == NUMBER_OK && back == pattern;
}

static double value_of(uint64_t pattern, unsigned bits)
{
    double wide;
    float narrow;
    uint32_t pattern32 = (uint32_t)pattern;
    memcpy(&wide, &pattern, sizeof wide);
    memcpy(&narrow, &pattern32, sizeof narrow);
    return bits == 64 ? wide : (double)narrow;
}

void print_float(struct printer *p, uint64_t pattern, unsigned bits)
{
    unsigned mantissa = bits == 64 ? 52 : 23;
    uint64_t payload = pattern & (((uint64_t)1 << mantissa) - 1), magnitude = pattern & (UINT64_MAX >> (65 - bits));
    uint64_t infinity = (bits == 64 ? (uint64_t)0x7FF : (uint64_t)0xFF) << mantissa;
    char text[64];
    if (magnitude >= infinity) {
        if (pattern != magnitude) print_text(p, "-");
        if (magnitude == infinity)
            print_text(p, "inf");
        else if (payload == (uint64_t)1 << (mantissa - 1))
            print_text(p, "nan");
        else
            print_format(p, "nan:0x%" PRIx64, payload);
        return;
    }
    int most = bits == 64 ? 17 : 9; /* enough for every value */
    for (int digits = bits == 64 ? 15 : 6; digits <= most; digits++)
        if (try_digits(text, value_of(pattern, bits), digits, pattern, bits)) break;
    print_text(p, text);
}
