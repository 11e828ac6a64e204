/* client/wat/types.c -- value types, type definitions and type uses (specification 6.4 and 6.6.5). */
#include "client/wat/assembler.h"

#include <stdlib.h>
#include <string.h>

/* ---- value types */

static const struct {
    const char *text;
    uint32_t ht;
} heap_words[] = {
#define X(name, code, text, top, bottom) {text, HT_##name},
    WASM_HEAPTYPES(X)
#undef X
};

/* Short for (ref null ht). */
static const struct {
    const char *text;
    uint32_t ht;
} ref_words[] = {
#define X(word, ht) {word, HT_##ht},
    WAT_REF_WORDS(X)
#undef X
};

static const struct {
    const char *text;
    valtype type;
} number_words[] = {
    {"i32", VT_I32}, {"i64", VT_I64}, {"f32", VT_F32}, {"f64", VT_F64}, {"v128", VT_V128},
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

uint32_t wat_heaptype(struct wat *w)
{
    for (size_t i = 0; i < COUNT(heap_words); i++)
        if (wat_take_keyword(w, heap_words[i].text)) return heap_words[i].ht;
    const struct token *token = wat_peek(w);
    if (!wat_peek_index(w)) wat_expected(w, "a heap type");
    uint32_t index = wat_index(w, SPACE_TYPE);
    if (index >= HT_FIRST_ABSTRACT) wat_fail(w, HEMI_INVALID_MODULE, token, "unknown type %u", index);
    return index;
}

static bool short_reftype(const struct wat *w, const struct token *token, valtype *out)
{
    for (size_t i = 0; i < COUNT(ref_words); i++)
        if (wat_is(w, token, ref_words[i].text)) {
            *out = VT_REF(1, ref_words[i].ht);
            return true;
        }
    return false;
}

bool wat_peek_reftype(const struct wat *w)
{
    valtype type;
    return wat_peek_open(w, "ref") || short_reftype(w, wat_peek(w), &type);
}

valtype wat_reftype(struct wat *w)
{
    valtype type = VT_REF(1, HT_ANY);
    if (short_reftype(w, wat_peek(w), &type)) {
        w->at++;
        return type;
    }
    if (!wat_take_open(w, "ref")) wat_expected(w, "a reference type");
    bool nullable = wat_take_keyword(w, "null");
    uint32_t ht = wat_heaptype(w);
    wat_expect_close(w);
    return VT_REF(nullable, ht);
}

valtype wat_valtype(struct wat *w)
{
    for (size_t i = 0; i < COUNT(number_words); i++)
        if (wat_take_keyword(w, number_words[i].text)) return number_words[i].type;
    if (wat_peek_reftype(w)) return wat_reftype(w);
    wat_expected(w, "a value type");
    return VT_I32;
}

static valtype storage_type(struct wat *w)
{
    if (wat_take_keyword(w, "i8")) return VT_I8;
    if (wat_take_keyword(w, "i16")) return VT_I16;
    return wat_valtype(w);
}

/* ---- parameters, results, locals */

/* The type at the cursor. A local's name is entered first, so that a message about it points at the name. */
static void push_value(struct wat *w, enum param_names names, struct name name)
{
    if (names == PARAMS_LOCALS) names_add(w, &w->spaces[SPACE_LOCAL], name, wat_space_word(SPACE_LOCAL));
    valtype type = wat_valtype(w);
    if (wat_grow(w, &w->scratch, w->scratch_count, &w->scratch_capacity, sizeof *w->scratch))
        w->scratch[w->scratch_count++] = type;
}

uint32_t wat_value_lists(struct wat *w, const char *word, enum param_names names)
{
    uint32_t before = w->scratch_count;
    const struct name none = {NULL, 0};
    while (wat_take_open(w, word)) {
        if (names != PARAMS_UNNAMED && wat_peek(w)->kind == TOKEN_ID)
            push_value(w, names, wat_optional_id(w));
        else
            while (wat_peek(w)->kind != TOKEN_CLOSE && w->at < w->end) push_value(w, names, none);
        wat_expect_close(w);
    }
    return w->scratch_count - before;
}

static struct signature read_signature(struct wat *w, enum param_names names)
{
    w->scratch_count = 0;
    uint32_t params = wat_value_lists(w, "param", names);
    uint32_t results = wat_value_lists(w, "result", PARAMS_UNNAMED);
    return (struct signature){w->scratch, params, results};
}

/* ---- plain function types by signature */

/* As names are hashed: from a number that the text cannot know. */
static uint32_t signature_hash(const void *seed, const struct signature *s)
{
    uint64_t h = (uintptr_t)seed ^ (s->params * 31 + s->results);
    for (uint32_t i = 0; i < s->params + s->results; i++) {
        h = (h ^ s->values[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return (uint32_t)h;
}

static bool signature_equal(const struct signature *a, const struct signature *b)
{
    if (a->params != b->params || a->results != b->results) return false;
    size_t size = (a->params + a->results) * sizeof *a->values;
    return size == 0 || memcmp(a->values, b->values, size) == 0;
}

static struct signature signature_of(const struct wat_type *type)
{
    return (struct signature){type->values, type->params, type->results};
}

/* The slot of the type that has this signature, or the free one for it. The table is never full. */
static uint32_t *signature_slot(const struct wat *w, uint32_t *slots, uint32_t capacity, const struct signature *s)
{
    for (uint32_t i = signature_hash(slots, s);; i++) {
        uint32_t *slot = &slots[i & (capacity - 1)];
        struct signature there = *slot ? signature_of(&w->types[*slot - 1]) : *s;
        if (!*slot || signature_equal(&there, s)) return slot;
    }
}

static bool grow_signatures(struct wat *w)
{
    if (w->signature_used * 2 < w->signature_capacity) return true;
    uint32_t capacity = w->signature_capacity ? w->signature_capacity * 2 : 64;
    uint32_t *slots = calloc(capacity, sizeof *slots);
    if (!slots) {
        wat_no_memory(w);
        return false;
    }
    for (uint32_t i = 0; i < w->signature_capacity; i++) {
        if (!w->signatures[i]) continue;
        struct signature s = signature_of(&w->types[w->signatures[i] - 1]);
        *signature_slot(w, slots, capacity, &s) = w->signatures[i];
    }
    free(w->signatures);
    w->signatures = slots;
    w->signature_capacity = capacity;
    return true;
}

/* Makes a type that stands alone, is final and has no supertypes the meaning of its signature, unless there is one. */
static void remember_signature(struct wat *w, uint32_t index)
{
    const struct wat_type *type = &w->types[index];
    if (type->code != 0x60 || !type->final || type->supers || !grow_signatures(w)) return;
    struct signature s = signature_of(type);
    uint32_t *slot = signature_slot(w, w->signatures, w->signature_capacity, &s);
    if (*slot) return;
    *slot = index + 1;
    w->signature_used++;
}

/* ---- type definitions */

static struct wat_type *new_type(struct wat *w)
{
    if (!wat_grow(w, &w->types, w->type_count, &w->type_capacity, sizeof *w->types)) return NULL;
    struct wat_type *type = &w->types[w->type_count++];
    *type = (struct wat_type){.final = true, .text = w->field};
    return type;
}

static void new_group(struct wat *w, uint32_t first, bool is_rec)
{
    if (!wat_grow(w, &w->groups, w->group_count, &w->group_capacity, sizeof *w->groups)) return;
    uint32_t count = w->type_count - first;
    w->groups[w->group_count++] = (struct wat_group){first, count, is_rec};
    if (count == 1) remember_signature(w, first);
}

static void set_signature(struct wat *w, struct wat_type *type, struct signature s)
{
    type->code = 0x60;
    type->values = wat_keep(w, s.values, (s.params + s.results) * sizeof *s.values);
    type->params = type->values ? s.params : 0;
    type->results = type->values ? s.results : 0;
}

static uint32_t intern_signature(struct wat *w, const struct signature *s)
{
    if (!grow_signatures(w)) return 0;
    uint32_t *slot = signature_slot(w, w->signatures, w->signature_capacity, s);
    if (*slot) return *slot - 1;
    uint32_t index = w->type_count;
    struct wat_type *type = new_type(w);
    if (!type) return 0;
    set_signature(w, type, *s);
    new_group(w, index, false);
    return index;
}

static struct wat_field field_type(struct wat *w)
{
    bool mutable = wat_take_open(w, "mut");
    struct wat_field field = {storage_type(w), mutable};
    if (mutable) wat_expect_close(w);
    return field;
}

static void struct_fields(struct wat *w, struct wat_type *type)
{
    struct wat_field *list = NULL;
    uint32_t capacity = 0;
    while (wat_take_open(w, "field")) {
        struct name name = wat_optional_id(w);
        while ((name.bytes || wat_peek(w)->kind != TOKEN_CLOSE) && w->at < w->end) {
            uint32_t at = names_add(w, &type->field_names, name, "field");
            struct wat_field field = field_type(w);
            if (wat_grow(w, &list, at, &capacity, sizeof *list)) list[at] = field;
            if (name.bytes) break;
        }
        wat_expect_close(w);
    }
    bool whole = w->status == HEMI_OK; /* else there are fields that the list had no room for */
    type->field_list = whole ? wat_keep(w, list, type->field_names.count * sizeof *list) : NULL;
    type->fields = type->field_list ? type->field_names.count : 0;
    free(list);
}

static void composite_type(struct wat *w, struct wat_type *type)
{
    if (wat_take_open(w, "func")) {
        set_signature(w, type, read_signature(w, PARAMS_IGNORED));
    } else if (wat_take_open(w, "struct")) {
        type->code = 0x5F;
        struct_fields(w, type);
    } else {
        if (!wat_take_open(w, "array")) wat_expected(w, "(func, (struct or (array");
        struct wat_field element = field_type(w);
        type->code = 0x5E;
        type->field_list = wat_keep(w, &element, sizeof element);
        type->fields = type->field_list ? 1 : 0;
    }
    wat_expect_close(w);
}

static void supertypes(struct wat *w, struct wat_type *type)
{
    uint32_t *list = NULL, capacity = 0;
    type->final = wat_take_keyword(w, "final");
    while (wat_peek_index(w)) {
        if (!wat_grow(w, &list, type->supers, &capacity, sizeof *list)) break;
        list[type->supers++] = wat_index(w, SPACE_TYPE);
    }
    type->super_list = wat_keep(w, list, type->supers * sizeof *list);
    if (!type->super_list) type->supers = 0;
    free(list);
}

static void type_definition(struct wat *w)
{
    w->field = wat_peek(w)->offset;
    wat_expect_open(w, "type");
    wat_optional_id(w); /* pass 1 has named it */
    struct wat_type *type = new_type(w);
    if (!type) return;
    bool sub = wat_take_open(w, "sub");
    if (sub) supertypes(w, type);
    composite_type(w, type);
    if (sub) wat_expect_close(w);
    wat_expect_close(w);
}

void wat_type_field(struct wat *w)
{
    uint32_t first = w->type_count;
    type_definition(w);
    if (w->status == HEMI_OK) new_group(w, first, false);
}

void wat_rec_field(struct wat *w)
{
    uint32_t first = w->type_count;
    wat_expect_open(w, "rec");
    while (wat_peek_open(w, "type")) type_definition(w);
    wat_expect_close(w);
    if (w->status == HEMI_OK) new_group(w, first, true);
}

/* ---- type uses */

static struct type_use defined_type_use(struct wat *w, enum param_names names)
{
    const struct token *token = wat_peek(w);
    struct type_use use = {wat_index(w, SPACE_TYPE), {NULL, 0, 0}};
    wat_expect_close(w);
    struct signature written = read_signature(w, names);
    bool defined = use.index < w->type_count && w->types[use.index].code == 0x60;
    if (defined) use.signature = signature_of(&w->types[use.index]);
    bool early = use.index >= w->type_count && !w->is_settled;
    w->is_unsettled = w->is_unsettled || early;
    if (early) return use;
    if (written.params + written.results) {
        if (!defined)
            wat_fail(w, HEMI_INVALID_MODULE, token, "unknown type %u", use.index);
        else if (!signature_equal(&written, &use.signature))
            wat_fail(w, HEMI_INVALID_MODULE, token, "inline function type differs from type %u", use.index);
    } else if (names == PARAMS_LOCALS) {
        w->spaces[SPACE_LOCAL].count += use.signature.params;
    }
    return use;
}

struct type_use wat_type_use(struct wat *w, enum param_names names)
{
    if (wat_take_open(w, "type")) return defined_type_use(w, names);
    struct signature s = read_signature(w, names);
    struct type_use use = {0, {NULL, 0, 0}};
    if (w->status != HEMI_OK) return use;
    use.index = intern_signature(w, &s);
    if (use.index < w->type_count) use.signature = signature_of(&w->types[use.index]);
    return use;
}

void wat_block_type(struct wat *w, struct buffer *out)
{
    bool by_index = wat_peek_open(w, "type");
    if (by_index) {
        bin_signed(w, out, wat_type_use(w, PARAMS_UNNAMED).index);
        return;
    }
    struct signature s = read_signature(w, PARAMS_UNNAMED);
    if (w->status != HEMI_OK) return;
    if (s.params == 0 && s.results == 0)
        bin_byte(w, out, 0x40);
    else if (s.params == 0 && s.results == 1)
        bin_valtype(w, out, s.values[0]);
    else
        bin_signed(w, out, intern_signature(w, &s));
}
