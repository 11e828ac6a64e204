/* tests/wast/match.c -- compares results with what a script expects, and prints both. */
#include "tests/wast/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- numbers ---- */

static bool is_nan_lane(enum wast_nan pattern, const uint8_t *lane, unsigned width)
{
    uint64_t bits = 0;
    memcpy(&bits, lane, width);
    unsigned mantissa = width == 8 ? 52 : 23;
    uint64_t quiet = (uint64_t)1 << (mantissa - 1), exponent = (width == 8 ? (uint64_t)0x7FF : 0xFF) << mantissa;
    uint64_t magnitude = bits & ~((uint64_t)1 << (width * 8 - 1));
    if (pattern == NAN_CANONICAL) return magnitude == (exponent | quiet);
    return (magnitude & (exponent | quiet)) == (exponent | quiet);
}

static bool match_number(const struct wast_value *expected, union val actual, valtype type)
{
    static const uint8_t sizes[] = {
#define X(name, value, code, text, size) [value] = size,
        WASM_VALKINDS(X)
#undef X
    };
    unsigned size = sizes[vt_kind(type)], width = expected->lane ? expected->lane : size;
    if (type != expected->type) return false;
    for (unsigned at = 0; at < size; at += width) {
        enum wast_nan nan = expected->lane ? (enum wast_nan)expected->nans[at / width] : NAN_NONE;
        bool same = nan ? is_nan_lane(nan, actual.bytes + at, width)
                        : memcmp(actual.bytes + at, expected->bytes + at, width) == 0;
        if (!same) return false;
    }
    return true;
}

/* ---- references ---- */

static bool is_null(union val value, valtype type, struct session *s)
{
    return valtype_slot(s->engine, type) == HEAP_SLOT_FUNC ? value.func == 0 : value.ref == 0;
}

static bool match_null(struct session *s, const struct wast_value *expected, union val actual, valtype type)
{
    if (!vt_is_ref(type) || !is_null(actual, type, s)) return false;
    return expected->type == VT_BOT ||
           heaptype_top(s->engine, vt_heap(type)) == heaptype_top(s->engine, vt_heap(expected->type));
}

static bool match_host(struct session *s, const struct wast_value *expected, union val actual, valtype type)
{
    uint64_t id;
    return vt_is_ref(type) && heaptype_top(s->engine, vt_heap(type)) == vt_heap(expected->type) &&
           store_extern_id(s->store, actual.ref, &id) && id == expected->id + 1;
}

static bool match_class(struct session *s, const struct wast_value *expected, union val actual, valtype type)
{
    if (!vt_is_ref(type) || is_null(actual, type, s)) return false;
    uint32_t top = heaptype_top(s->engine, vt_heap(expected->type));
    return heaptype_top(s->engine, vt_heap(type)) == top && store_ref_is(s->store, actual, expected->type);
}

bool match_value(struct session *s, const struct wast_value *expected, union val actual, valtype type)
{
    switch (expected->kind) {
    case VALUE_NUMBER:
        return match_number(expected, actual, type);
    case VALUE_NULL:
        return match_null(s, expected, actual, type);
    case VALUE_EXTERN:
    case VALUE_HOST:
        return match_host(s, expected, actual, type);
    case VALUE_CLASS:
        return match_class(s, expected, actual, type);
    case VALUE_EITHER:
        break;
    }
    for (uint32_t i = 0; i < expected->choice_count; i++)
        if (match_value(s, &expected->choices[i], actual, type)) return true;
    return false;
}

/* ---- text ---- */

static void print_number(const uint8_t *bytes, valtype type, char *buf, size_t size)
{
    union val v;
    memcpy(v.bytes, bytes, sizeof v.bytes);
    switch (vt_kind(type)) {
    case VK_I32:
        snprintf(buf, size, "i32 %" PRId32 " (0x%" PRIx32 ")", (int32_t)v.i32, v.i32);
        break;
    case VK_I64:
        snprintf(buf, size, "i64 %" PRId64 " (0x%" PRIx64 ")", (int64_t)v.i64, v.i64);
        break;
    case VK_F32:
        snprintf(buf, size, "f32 %a (0x%" PRIx32 ")", (double)v.f32, v.i32);
        break;
    case VK_F64:
        snprintf(buf, size, "f64 %a (0x%" PRIx64 ")", v.f64, v.i64);
        break;
    default:
        snprintf(buf, size, "v128 0x%016" PRIx64 "%016" PRIx64, v.u64[1], v.u64[0]);
        break;
    }
}

void match_print(const struct session *s, union val value, valtype type, char *buf, size_t size)
{
    char name[64];
    if (!vt_is_ref(type)) {
        print_number(value.bytes, type, buf, size);
        return;
    }
    valtype_print(s->engine, type, name, sizeof name);
    snprintf(buf, size, "%s 0x%" PRIx32, name, value.ref);
}

void match_print_expected(const struct wast_value *value, char *buf, size_t size)
{
    switch (value->kind) {
    case VALUE_NUMBER:
        if (value->nans[0] || value->nans[1])
            snprintf(buf, size, "nan:%s", value->nans[0] == NAN_CANONICAL ? "canonical" : "arithmetic");
        else
            print_number(value->bytes, value->type, buf, size);
        break;
    case VALUE_NULL:
        snprintf(buf, size, "ref.null");
        break;
    case VALUE_EXTERN:
        snprintf(buf, size, "ref.extern %" PRIu64, value->id);
        break;
    case VALUE_HOST:
        snprintf(buf, size, "ref.host %" PRIu64, value->id);
        break;
    case VALUE_CLASS:
        snprintf(buf, size, "a reference of heap type 0x%" PRIx32, vt_heap(value->type));
        break;
    case VALUE_EITHER:
        snprintf(buf, size, "either of %" PRIu32, value->choice_count);
        break;
    }
}
