/* Arguments from the command line, results to standard output. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tool/tool.h"

/* Signed or unsigned, decimal or 0x..., within `bits`. */
static bool parse_integer(const char *text, int bits, uint64_t *out)
{
    char *end;
    bool negative = text[0] == '-';
    errno = 0;
    uint64_t magnitude = strtoull(negative ? text + 1 : text, &end, 0);
    uint64_t most = negative ? 1ull << (bits - 1) : bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
    if (errno != 0 || *end != 0 || !isdigit((unsigned char)text[negative]) || magnitude > most) return false;
    *out = negative ? -magnitude : magnitude;
    return true;
}

static bool parse_v128(const char *text, uint8_t out[16])
{
    if (strncmp(text, "0x", 2) == 0) text += 2;
    if (strlen(text) != 32 || strspn(text, "0123456789abcdefABCDEF") != 32) return false;
    for (int i = 0; i < 16; i++) { /* written as one number: the last two digits are byte 0 */
        char digits[3] = {text[30 - 2 * i], text[31 - 2 * i], 0};
        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static bool parse_reference(const char *text, hemi_type type, hemi_val *out)
{
    uint64_t integer;
    *out = hemi_null(hemi_type_class(type));
    if (strcmp(text, "null") == 0) return true;
    if (hemi_type_class(type) != HEMI_CLASS_ANY || !parse_integer(text, 31, &integer)) return false;
    *out = hemi_i31((int32_t)((uint32_t)integer << 1) >> 1);
    return true;
}

static bool parse_float(const char *text, hemi_type type, hemi_val *out)
{
    char *end;
    *out = type == HEMI_TYPE_F32 ? hemi_f32(strtof(text, &end)) : hemi_f64(strtod(text, &end));
    return *text != 0 && *end == 0;
}

bool parse_value(const char *text, hemi_type type, hemi_val *out)
{
    char name[64];
    uint64_t integer = 0;
    bool ok = false;
    switch (hemi_type_kind(type)) {
    case HEMI_I32:
        ok = parse_integer(text, 32, &integer);
        *out = hemi_i32((int32_t)integer);
        break;
    case HEMI_I64:
        ok = parse_integer(text, 64, &integer);
        *out = hemi_i64((int64_t)integer);
        break;
    case HEMI_F32:
    case HEMI_F64:
        ok = parse_float(text, type, out);
        break;
    case HEMI_V128:
        *out = hemi_v128((const uint8_t[16]){0});
        ok = parse_v128(text, out->of.v128);
        break;
    case HEMI_REF:
        ok = parse_reference(text, type, out);
        break;
    }
    hemi_type_text(type, name, sizeof name);
    if (!ok) fprintf(stderr, "hemi: '%s' is not a value of type %s\n", text, name);
    return ok;
}

static void print_reference(const hemi_ref *ref)
{
    static const char *const classes[] = {"any", "func", "extern", "exn"};
    switch (ref->kind) {
    case HEMI_REF_NULL:
        puts("null");
        break;
    case HEMI_REF_I31:
        printf("%" PRId32 "\n", ref->i31);
        break;
    default:
        printf("(%sref %u)\n", classes[ref->class_ & 3], ref->handle);
        break;
    }
}

/* The fewest digits that read back as the same number. */
static void print_float(double value, bool narrow)
{
    char text[40];
    for (int digits = narrow ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (narrow ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) break;
    }
    puts(text);
}

void print_value(const hemi_val *val)
{
    switch ((hemi_kind)val->kind) {
    case HEMI_I32:
        printf("%" PRId32 "\n", val->of.i32);
        break;
    case HEMI_I64:
        printf("%" PRId64 "\n", val->of.i64);
        break;
    case HEMI_F32:
        print_float((double)val->of.f32, true);
        break;
    case HEMI_F64:
        print_float(val->of.f64, false);
        break;
    case HEMI_V128:
        printf("0x");
        for (int i = 15; i >= 0; i--) printf("%02x", val->of.v128[i]);
        putchar('\n');
        break;
    case HEMI_REF:
        print_reference(&val->of.ref);
        break;
    }
}

bool parse_number(const char *option, const char *text, uint64_t max, uint64_t *out)
{
    if (text[0] != '-' && parse_integer(text, 64, out) && *out <= max) return true;
    fprintf(stderr, "hemi: --%s: '%s' is not a number from 0 to %" PRIu64 "\n", option, text, max);
    return false;
}
