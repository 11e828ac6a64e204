/* client/wat/number.c -- numerals (specification 6.3.1 and 6.3.2): their grammar, range and rounding. Decimal floats
 * are rounded by the C library, whose strtod and strtof do it correctly; hexadecimal ones here, because glibc's strtof
 * does not see all digits of those below the least normal number. */
#include "client/wat/number.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int digit_value(char c, unsigned base)
{
    int value = 16;
    if (c >= '0' && c <= '9')
        value = c - '0';
    else if (c >= 'a' && c <= 'f')
        value = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
        value = c - 'A' + 10;
    return value < (int)base ? value : -1;
}

static bool take_hex_prefix(const char **text, size_t *len)
{
    if (*len < 2 || (*text)[0] != '0' || (*text)[1] != 'x') return false;
    *text += 2;
    *len -= 2;
    return true;
}

enum number_status number_unsigned(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    unsigned base = take_hex_prefix(&text, &len) ? 16 : 10;
    uint64_t value = 0;
    bool after_digit = false, over = false;
    for (size_t i = 0; i < len; i++) {
        int digit = digit_value(text[i], base);
        if (digit < 0 && !(text[i] == '_' && after_digit)) return NUMBER_MALFORMED;
        after_digit = digit >= 0;
        if (digit < 0) continue;
        over = over || value > (max - (uint64_t)digit) / base || (uint64_t)digit > max;
        if (!over) value = value * base + (uint64_t)digit;
    }
    if (!after_digit) return NUMBER_MALFORMED;
    *out = value;
    return over ? NUMBER_RANGE : NUMBER_OK;
}

static bool take_sign(const char **text, size_t *len, bool *negative)
{
    *negative = *len > 0 && **text == '-';
    if (*len == 0 || (**text != '-' && **text != '+')) return false;
    ++*text;
    --*len;
    return true;
}

enum number_status number_integer(const char *text, size_t len, unsigned bits, uint64_t *out)
{
    uint64_t mask = UINT64_MAX >> (64 - bits), half = (uint64_t)1 << (bits - 1);
    bool negative, sign = take_sign(&text, &len, &negative);
    enum number_status status = number_unsigned(text, len, !sign ? mask : negative ? half : half - 1, out);
    if (status == NUMBER_OK && negative) *out = (0 - *out) & mask;
    return status;
}

/* Copies digits without their underscores; true if there is at least one and each underscore is between two. */
static bool copy_digits(const char **in, const char *end, unsigned base, char **out)
{
    bool after_digit = false;
    for (; *in < end; ++*in) {
        bool digit = digit_value(**in, base) >= 0;
        if (!digit && !(**in == '_' && after_digit)) break;
        if (digit) *(*out)++ = **in;
        after_digit = digit;
    }
    return after_digit;
}

/* Copies an unsigned float in the format's grammar, without underscores. */
static bool clean(const char *in, const char *end, char *out)
{
    bool hex = end - in >= 2 && in[0] == '0' && in[1] == 'x';
    if (hex) *out++ = *in++, *out++ = *in++;
    if (!copy_digits(&in, end, hex ? 16 : 10, &out)) return false;
    if (in < end && *in == '.') {
        *out++ = *in++;
        bool digit = in < end && digit_value(*in, hex ? 16 : 10) >= 0;
        if (digit && !copy_digits(&in, end, hex ? 16 : 10, &out)) return false;
    }
    bool exponent = in < end && (hex ? *in == 'p' || *in == 'P' : *in == 'e' || *in == 'E');
    if (exponent) {
        *out++ = *in++;
        if (in < end && (*in == '+' || *in == '-')) *out++ = *in++;
        if (!copy_digits(&in, end, 10, &out)) return false;
    }
    *out = 0;
    return in == end;
}

static uint64_t float_bits(double wide, float narrow, unsigned bits)
{
    uint64_t pattern = 0;
    uint32_t pattern32;
    if (bits == 64) {
        memcpy(&pattern, &wide, sizeof wide);
        return pattern;
    }
    memcpy(&pattern32, &narrow, sizeof narrow);
    return pattern32;
}

static enum number_status round_decimal(const char *cleaned, unsigned bits, uint64_t *out)
{
    /* The process's locale may write the point otherwise. */
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return NUMBER_NO_MEMORY;
    double wide = bits == 64 ? strtod_l(cleaned, NULL, c) : 0;
    float narrow = bits == 32 ? strtof_l(cleaned, NULL, c) : 0;
    freelocale(c);
    *out = float_bits(wide, narrow, bits);
    return isinf(wide) || isinf(narrow) ? NUMBER_RANGE : NUMBER_OK;
}

/* Reads a cleaned hexadecimal float as mantissa * 2^exponent. The mantissa has the first 61 bits or more; its last bit
 * is also set if one is that is left out. */
static uint64_t read_hex(const char *cleaned, int64_t *exponent)
{
    static const int64_t beyond = (int64_t)1 << 40; /* larger than four times the digits of any text */
    uint64_t mantissa = 0;
    int64_t scale = 0;
    bool fraction = false;
    for (cleaned += 2; *cleaned && *cleaned != 'p' && *cleaned != 'P'; cleaned++) {
        int digit = digit_value(*cleaned, 16);
        bool full = mantissa >> 60 != 0;
        if (*cleaned == '.')
            fraction = true;
        else if (full)
            mantissa |= digit != 0;
        else
            mantissa = mantissa << 4 | (unsigned)digit;
        if (*cleaned != '.') scale += full ? (fraction ? 0 : 4) : (fraction ? -4 : 0);
    }
    long long written = *cleaned ? strtoll(cleaned + 1, NULL, 10) : 0;
    *exponent = scale + (written > beyond ? beyond : written < -beyond ? -beyond : written);
    return mantissa;
}

/* mantissa >> drop, to the nearest, and to the even one of two. */
static uint64_t shift_rounding(uint64_t mantissa, int64_t drop)
{
    if (drop > 64) return 0;
    uint64_t kept = drop < 64 ? mantissa >> drop : 0;
    uint64_t rest = mantissa << (64 - drop), half = (uint64_t)1 << 63;
    return kept + (rest > half || (rest == half && (kept & 1)));
}

static enum number_status round_hex(const char *cleaned, unsigned bits, uint64_t *out)
{
    const int fraction = bits == 64 ? 52 : 23, bias = bits == 64 ? 1023 : 127;
    const uint64_t infinity = (uint64_t)(2 * bias + 1) << fraction;
    int64_t exponent, drop = 63 - fraction;
    uint64_t mantissa = read_hex(cleaned, &exponent);
    *out = 0;
    if (mantissa == 0) return NUMBER_OK;
    int shift = __builtin_clzll(mantissa);
    int64_t biased = exponent - shift + 63 + bias; /* 1 for the least normal numbers */
    if (biased > 2 * bias) return NUMBER_RANGE;
    if (biased < 1) {
        drop += 1 - biased;
        biased = 1;
    }
    /* The bit before the point counts as one in the exponent, and so does a carry into it. */
    *out = ((uint64_t)(biased - 1) << fraction) + shift_rounding(mantissa << shift, drop);
    return *out < infinity ? NUMBER_OK : NUMBER_RANGE;
}

static enum number_status round_finite(const char *cleaned, unsigned bits, uint64_t *out)
{
    bool hex = cleaned[0] == '0' && cleaned[1] == 'x';
    return hex ? round_hex(cleaned, bits, out) : round_decimal(cleaned, bits, out);
}

static bool is(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* inf, nan, nan:0x...; *found says whether it was one of them. */
static enum number_status special(const char *text, size_t len, unsigned bits, uint64_t *out, bool *found)
{
    unsigned mantissa = bits == 64 ? 52 : 23;
    uint64_t infinity = (bits == 64 ? (uint64_t)0x7FF : (uint64_t)0xFF) << mantissa, payload;
    *found = true;
    *out = infinity;
    if (is(text, len, "inf")) return NUMBER_OK;
    *out = infinity | (uint64_t)1 << (mantissa - 1);
    if (is(text, len, "nan")) return NUMBER_OK;
    *found = len > 6 && memcmp(text, "nan:0x", 6) == 0;
    if (!*found) return NUMBER_OK;
    enum number_status status = number_unsigned(text + 4, len - 4, ((uint64_t)1 << mantissa) - 1, &payload);
    *out = infinity | payload;
    return status == NUMBER_OK && payload == 0 ? NUMBER_RANGE : status;
}

enum number_status number_float(const char *text, size_t len, unsigned bits, uint64_t *out)
{
    bool negative, found;
    take_sign(&text, &len, &negative);
    enum number_status status = special(text, len, bits, out, &found);
    if (!found) {
        char small[64], *cleaned = len < sizeof small ? small : malloc(len + 1);
        if (!cleaned) return NUMBER_NO_MEMORY;
        status = clean(text, text + len, cleaned) ? round_finite(cleaned, bits, out) : NUMBER_MALFORMED;
        if (cleaned != small) free(cleaned);
    }
    if (status == NUMBER_OK && negative) *out |= (uint64_t)1 << (bits - 1);
    return status;
}
