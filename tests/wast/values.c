/* tests/wast/values.c -- reads arguments and expected results. */
#include "client/wat/number.h"
#include "tests/wast/reader.h"

#include <stdlib.h>
#include <string.h>

static const struct shape {
    const char *word;
    uint8_t width;
    bool is_float;
} shapes[] = {{"i8x16", 1, false}, {"i16x8", 2, false}, {"i32x4", 4, false},
              {"i64x2", 8, false}, {"f32x4", 4, true},  {"f64x2", 8, true}};

static const struct scalar {
    const char *word;
    valtype type;
    uint8_t width;
    bool is_float;
} scalars[] = {{"i32.const", VT_I32, 4, false},
               {"i64.const", VT_I64, 8, false},
               {"f32.const", VT_F32, 4, true},
               {"f64.const", VT_F64, 8, true}};

/* Patterns for references that are not null: keyword, heap type. */
static const struct pattern {
    const char *word;
    uint32_t ht;
} patterns[] = {{"ref.func", HT_FUNC},     {"ref.any", HT_ANY},     {"ref.eq", HT_EQ},  {"ref.i31", HT_I31},
                {"ref.struct", HT_STRUCT}, {"ref.array", HT_ARRAY}, {"ref.exn", HT_EXN}};

static const struct null_type {
    const char *word;
    uint32_t ht;
} null_types[] = {
#define X(name, code, text, top, bottom) {text, HT_##name},
    WASM_HEAPTYPES(X)
#undef X
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* One numeral of `width` bytes, little-endian, into `to`; gives the pattern instead if it is one. */
static enum wast_nan numeral(struct reader *r, unsigned width, bool is_float, uint8_t *to)
{
    const struct token *token = reader_peek(r);
    const char *text = r->script->text + token->offset;
    uint64_t value = 0;
    if (is_float && reader_take_keyword(r, "nan:canonical")) return NAN_CANONICAL;
    if (is_float && reader_take_keyword(r, "nan:arithmetic")) return NAN_ARITHMETIC;
    enum number_status status = is_float ? number_float(text, token->length, width * 8, &value)
                                         : number_integer(text, token->length, width * 8, &value);
    if (status == NUMBER_OK)
        r->at++;
    else
        reader_fail(r, "not a number of this type");
    for (unsigned i = 0; i < width; i++) to[i] = (uint8_t)(value >> 8 * i);
    return NAN_NONE;
}

static void lanes(struct reader *r, struct wast_value *value)
{
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const struct shape *shape = &shapes[i];
        if (!reader_take_keyword(r, shape->word)) continue;
        value->lane = shape->is_float ? shape->width : 0;
        for (unsigned lane = 0; lane < 16u / shape->width; lane++) {
            enum wast_nan nan = numeral(r, shape->width, shape->is_float, value->bytes + lane * shape->width);
            if (nan) value->nans[lane] = (uint8_t)nan;
        }
        return;
    }
    reader_fail(r, "unknown shape");
}

static bool number(struct reader *r, struct wast_value *value)
{
    for (size_t i = 0; i < COUNT(scalars); i++) {
        const struct scalar *scalar = &scalars[i];
        if (!reader_take_open(r, scalar->word)) continue;
        value->type = scalar->type;
        value->lane = scalar->is_float ? scalar->width : 0;
        value->nans[0] = (uint8_t)numeral(r, scalar->width, scalar->is_float, value->bytes);
        return true;
    }
    if (!reader_take_open(r, "v128.const")) return false;
    value->type = VT_V128;
    lanes(r, value);
    return true;
}

static void null(struct reader *r, struct wast_value *value)
{
    value->kind = VALUE_NULL;
    value->type = VT_BOT;
    for (size_t i = 0; i < COUNT(null_types); i++)
        if (reader_take_keyword(r, null_types[i].word)) value->type = VT_REF(1, null_types[i].ht);
}

/* The host's number behind ref.extern and ref.host; without one it is a pattern. */
static void host(struct reader *r, struct wast_value *value, enum wast_value_kind kind, uint32_t ht)
{
    const struct token *token = reader_peek(r);
    value->type = VT_REF(0, ht);
    value->kind = token->kind == TOKEN_NUMBER ? kind : VALUE_CLASS;
    if (token->kind != TOKEN_NUMBER) return;
    if (number_unsigned(r->script->text + token->offset, token->length, UINT32_MAX, &value->id) == NUMBER_OK)
        r->at++;
    else
        reader_fail(r, "not a host reference");
}

static bool reference(struct reader *r, struct wast_value *value)
{
    if (reader_take_open(r, "ref.null")) {
        null(r, value);
        return true;
    }
    bool is_extern = reader_take_open(r, "ref.extern");
    if (is_extern || reader_take_open(r, "ref.host")) {
        host(r, value, is_extern ? VALUE_EXTERN : VALUE_HOST, is_extern ? HT_EXTERN : HT_ANY);
        return true;
    }
    for (size_t i = 0; i < COUNT(patterns); i++) {
        if (!reader_take_open(r, patterns[i].word)) continue;
        *value = (struct wast_value){.kind = VALUE_CLASS, .type = VT_REF(0, patterns[i].ht)};
        return true;
    }
    return false;
}

static void one(struct reader *r, struct wast_value *value)
{
    if (number(r, value) || reference(r, value))
        reader_close(r);
    else
        reader_fail(r, "unknown value");
}

static void list(struct reader *r, struct wast_value **values, uint32_t *count, bool inside_either)
{
    uint32_t capacity = 0;
    for (uint32_t at = r->at; r->tokens.list[at].kind == TOKEN_OPEN; at = r->tokens.list[at].match + 1) capacity++;
    *values = reader_alloc(r, capacity * sizeof **values);
    for (*count = 0; *count < capacity && !r->failed; ++*count) {
        struct wast_value *value = &(*values)[*count];
        if (inside_either || !reader_take_open(r, "either")) {
            one(r, value);
        } else {
            value->kind = VALUE_EITHER;
            list(r, &value->choices, &value->choice_count, true);
            reader_close(r);
        }
    }
}

void reader_values(struct reader *r, struct wast_value **values, uint32_t *count) { list(r, values, count, false); }
