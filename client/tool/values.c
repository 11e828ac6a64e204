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

static const char *form_of(hemi_type type)
{
    switch (hemi_type_kind(type)) {
    case HEMI_F32:
    case HEMI_F64:
        return "a number such as 1.5, -1e3, 0x1p-3, inf or nan";
    case HEMI_V128:
        return "0x and 32 hexadecimal digits";
    case HEMI_REF:
        return hemi_type_class(type) == HEMI_CLASS_ANY ? "null, or an i31's number" : "null only";
    default:
        return "a whole number in range, such as 10, -1 or 0x1f";
    }
}

int parse_value(const char *text, hemi_type type, hemi_val *out)
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
    return ok ? 0 : fail_with(EXIT_USAGE, "'%s' is not a value of type %s, which is %s", text, name, form_of(type));
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

/* ---- options */
int take_number(const struct tool_options *o, enum tool_option option, uint64_t max, uint64_t *out)
{
    const char *text = o->values[option];
    if (!text || (text[0] != '-' && parse_integer(text, 64, out) && *out <= max)) return 0;
    return fail_with(EXIT_USAGE, "--%s: '%s' is not a number from 0 to %" PRIu64, option_name(option), text, max);
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* As the daemon's configuration has them; the first is that of a bare number. */
static const struct unit size_units[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
static const struct unit time_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
enum { UNITS = 4 };

/* From 1 to max: 0 would be no limit, or the tenant's. */
static bool parse_units(const struct unit *units, const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10), factor = *end ? 0 : units[0].factor;
    for (int i = 0; i < UNITS; i++)
        if (strcmp(end, units[i].name) == 0) factor = units[i].factor;
    return isdigit((unsigned char)*text) && errno == 0 && factor > 0 && !__builtin_mul_overflow(number, factor, out) &&
           *out > 0 && *out <= max;
}

int take_size(const struct tool_options *o, enum tool_option option, uint64_t *bytes)
{
    const char *text = o->values[option];
    if (!text || parse_units(size_units, text, UINT64_MAX, bytes)) return 0;
    return fail_with(EXIT_USAGE, "--%s: '%s' is no size, such as 65536, 64KiB, 64MiB or 1GiB", option_name(option),
                     text);
}

int take_time(const struct tool_options *o, enum tool_option option, uint64_t max, uint64_t *ms)
{
    const char *text = o->values[option];
    if (!text || parse_units(time_units, text, max, ms)) return 0;
    return fail_with(EXIT_USAGE, "--%s: '%s' is no time from 1ms to %" PRIu64 "h, such as 500, 500ms, 30s or 5m",
                     option_name(option), text, max / 3600000);
}
