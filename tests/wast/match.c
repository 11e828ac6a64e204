/* tests/wast/match.c -- compares results with what a script expects, and prints both. */
#include "tests/wast/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- numbers */

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

static bool match_number(const struct wast_value *expected, const hemi_val *actual)
{
    static const uint8_t sizes[] = {[HEMI_I32] = 4, [HEMI_I64] = 8, [HEMI_F32] = 4, [HEMI_F64] = 8, [HEMI_V128] = 16};
    if (actual->kind == HEMI_REF || actual->kind != vt_kind(expected->type)) return false;
    unsigned size = sizes[actual->kind], width = expected->lane ? expected->lane : size;
    const uint8_t *bytes = (const uint8_t *)&actual->of;
    for (unsigned at = 0; at < size; at += width) {
        enum wast_nan nan = expected->lane ? (enum wast_nan)expected->nans[at / width] : NAN_NONE;
        bool same = nan ? is_nan_lane(nan, bytes + at, width) : memcmp(bytes + at, expected->bytes + at, width) == 0;
        if (!same) return false;
    }
    return true;
}

/* ---- references */

static const struct heap_row {
    const char *text;
    uint32_t heap, top;
} heap_rows[] = {
#define X(name, code, text, top, bottom) {text, HT_##name, HT_##top},
    WASM_HEAPTYPES(X)
#undef X
};

/* Scripts name abstract types only. */
static const struct heap_row *heap_row(valtype type)
{
    const struct heap_row *row = heap_rows;
    while (row->heap != vt_heap(type)) row++;
    return row;
}

hemi_class match_class(valtype type)
{
    switch (heap_row(type)->top) {
    case HT_FUNC:
        return HEMI_CLASS_FUNC;
    case HT_EXTERN:
        return HEMI_CLASS_EXTERN;
    case HT_EXN:
        return HEMI_CLASS_EXN;
    default:
        return HEMI_CLASS_ANY;
    }
}

static bool match_null(const struct wast_value *expected, const hemi_val *actual)
{
    if (!hemi_is_null(actual)) return false;
    return expected->type == VT_BOT || actual->of.ref.class_ == match_class(expected->type);
}

static bool match_host(const struct wast_value *expected, const hemi_val *actual)
{
    return actual->of.ref.kind == HEMI_REF_EXTERN && actual->of.ref.class_ == match_class(expected->type) &&
           (uintptr_t)actual->of.ref.pointer == expected->id + 1;
}

/* Structs and arrays look alike from here: the daemon is asked. */
static bool match_aggregate(struct session *s, hemi_type wanted, const hemi_val *actual)
{
    hemi_type type;
    return actual->of.ref.kind == HEMI_REF_HANDLE &&
           hemi_ref_abstract_type(s->client, actual, &type, NULL) == HEMI_OK && type == wanted;
}

/* Of the hierarchy any, those with handles are structs and arrays; the host's have none. */
static bool match_kind(struct session *s, const struct wast_value *expected, const hemi_val *actual)
{
    const hemi_ref *ref = &actual->of.ref;
    if (hemi_is_null(actual) || ref->class_ != match_class(expected->type)) return false;
    switch (vt_heap(expected->type)) {
    case HT_EQ:
        return ref->kind == HEMI_REF_I31 || ref->kind == HEMI_REF_HANDLE;
    case HT_I31:
        return ref->kind == HEMI_REF_I31;
    case HT_STRUCT:
        return match_aggregate(s, HEMI_TYPE_REF(0, HEMI_CLASS_ANY, 0x6Bu), actual);
    case HT_ARRAY:
        return match_aggregate(s, HEMI_TYPE_REF(0, HEMI_CLASS_ANY, 0x6Au), actual);
    default:
        return true;
    }
}

bool match_value(struct session *s, const struct wast_value *expected, const hemi_val *actual)
{
    if (expected->kind == VALUE_NUMBER) return match_number(expected, actual);
    for (uint32_t i = 0; i < expected->choice_count; i++)
        if (match_value(s, &expected->choices[i], actual)) return true;
    if (actual->kind != HEMI_REF) return false;
    switch (expected->kind) {
    case VALUE_NULL:
        return match_null(expected, actual);
    case VALUE_EXTERN:
    case VALUE_HOST:
        return match_host(expected, actual);
    case VALUE_CLASS:
        return match_kind(s, expected, actual);
    default:
        return false;
    }
}

/* ---- text */

static void print_number(const uint8_t *bytes, unsigned kind, char *buf, size_t size)
{
    hemi_val v;
    memcpy(&v.of, bytes, sizeof v.of.v128);
    switch (kind) {
    case HEMI_I32:
        snprintf(buf, size, "i32 %" PRId32 " (0x%" PRIx32 ")", v.of.i32, (uint32_t)v.of.i32);
        break;
    case HEMI_I64:
        snprintf(buf, size, "i64 %" PRId64 " (0x%" PRIx64 ")", v.of.i64, (uint64_t)v.of.i64);
        break;
    case HEMI_F32:
        snprintf(buf, size, "f32 %a (0x%" PRIx32 ")", (double)v.of.f32, (uint32_t)v.of.i32);
        break;
    case HEMI_F64:
        snprintf(buf, size, "f64 %a (0x%" PRIx64 ")", v.of.f64, (uint64_t)v.of.i64);
        break;
    default:
        for (unsigned i = 0, at = 0; i < 16; i++)
            at += (unsigned)snprintf(buf + at, size - at, "%s%02x", i ? " " : "v128 ", v.of.v128[i]);
        break;
    }
}

void match_print(const hemi_val *value, char *buf, size_t size)
{
    static const char *const classes[] = {"any", "func", "extern", "exn"};
    static const char *const kinds[] = {"a null", "a reference", "an i31"};
    const hemi_ref *ref = &value->of.ref;
    if (value->kind != HEMI_REF)
        print_number((const uint8_t *)&value->of, value->kind, buf, size);
    else if (ref->kind == HEMI_REF_EXTERN)
        snprintf(buf, size, "host reference %zu of %s", (size_t)(uintptr_t)ref->pointer - 1, classes[ref->class_]);
    else
        snprintf(buf, size, "%s of %s", kinds[ref->kind], classes[ref->class_]);
}

void match_print_expected(const struct wast_value *value, char *buf, size_t size)
{
    switch (value->kind) {
    case VALUE_NUMBER:
        if (value->nans[0] || value->nans[1] || value->nans[2] || value->nans[3])
            snprintf(buf, size, "nan:%s", value->nans[0] == NAN_CANONICAL ? "canonical" : "arithmetic");
        else
            print_number(value->bytes, vt_kind(value->type), buf, size);
        break;
    case VALUE_NULL:
        snprintf(buf, size, "ref.null %s", value->type == VT_BOT ? "of any kind" : heap_row(value->type)->text);
        break;
    case VALUE_EXTERN:
        snprintf(buf, size, "ref.extern %" PRIu64, value->id);
        break;
    case VALUE_HOST:
        snprintf(buf, size, "ref.host %" PRIu64, value->id);
        break;
    case VALUE_CLASS:
        snprintf(buf, size, "ref.%s", heap_row(value->type)->text);
        break;
    case VALUE_EITHER:
        snprintf(buf, size, "either of %" PRIu32, value->choice_count);
        break;
    }
}
