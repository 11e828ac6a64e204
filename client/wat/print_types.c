/* client/wat/print_types.c -- value types, type definitions and type uses, from binary to text. */
#include "client/wat/disassembler.h"

/* ---- value types */

static const struct {
    uint8_t code;
    uint32_t ht;
    const char *text;
} heap_rows[] = {
#define X(name, code, text, top, bottom) {code, HT_##name, text},
    WASM_HEAPTYPES(X)
#undef X
};

static bool abstract_heaptype(uint8_t code, uint32_t *ht)
{
    for (size_t i = 0; i < sizeof heap_rows / sizeof *heap_rows; i++) {
        *ht = heap_rows[i].ht;
        if (heap_rows[i].code == code) return true;
    }
    return false;
}

uint32_t dis_heaptype(struct dis *d)
{
    const uint8_t *start = d->in.at;
    uint32_t ht;
    if (abstract_heaptype(input_peek(&d->in), &ht)) {
        input_byte(&d->in);
        return ht;
    }
    int64_t index = input_signed(&d->in, 33);
    if (index >= 0 && index < HT_FIRST_ABSTRACT) return (uint32_t)index;
    if (index < 0)
        dis_foreign(d, start, MARK_TYPE, (uint32_t)index & 0x7F, "malformed heap type");
    else
        dis_fail(d, start, "type index out of range");
    return HT_ANY;
}

static bool number_type(uint8_t code, valtype *type)
{
    static const struct {
        uint8_t code;
        valtype type;
    } rows[] = {
#define X(name, value, code, text, size) {code, VT_MAKE(value)},
        WASM_VALKINDS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *type = rows[i].type;
        if (rows[i].code == code && code != 0) return true;
    }
    return false;
}

valtype dis_reftype(struct dis *d)
{
    const uint8_t *start = d->in.at;
    uint8_t code = input_byte(&d->in);
    uint32_t ht;
    if (code == 0x63 || code == 0x64) return VT_REF(code == 0x63, dis_heaptype(d));
    if (abstract_heaptype(code, &ht)) return VT_REF(1, ht);
    dis_foreign(d, start, MARK_TYPE, code, "malformed reference type");
    return VT_REF(1, HT_ANY);
}

valtype dis_storage_type(struct dis *d)
{
    valtype type;
    if (!number_type(input_peek(&d->in), &type)) return dis_reftype(d);
    input_byte(&d->in);
    return type;
}

valtype dis_valtype(struct dis *d)
{
    const uint8_t *start = d->in.at;
    valtype type = dis_storage_type(d);
    if (type == VT_I8 || type == VT_I16) dis_fail(d, start, "malformed value type");
    return type;
}

void print_heaptype(struct dis *d, uint32_t ht)
{
    if (!ht_is_abstract(ht)) {
        print_index(d, SPACE_TYPE, ht);
        return;
    }
    for (size_t i = 0; i < sizeof heap_rows / sizeof *heap_rows; i++)
        if (heap_rows[i].ht == ht) print_format(&d->out, " %s", heap_rows[i].text);
}

void print_valtype(struct dis *d, valtype type)
{
    static const char *const numbers[] = {
#define X(name, value, code, text, size) [value] = text,
        WASM_VALKINDS(X)
#undef X
    };
    static const struct {
        const char *word;
        uint32_t ht;
    } words[] = {
#define X(word, ht) {word, HT_##ht},
        WAT_REF_WORDS(X)
#undef X
    };
    if (!vt_is_ref(type)) {
        print_format(&d->out, " %s", numbers[vt_kind(type)]);
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (type != VT_REF(1, words[i].ht)) continue;
        print_format(&d->out, " %s", words[i].word);
        return;
    }
    print_text(&d->out, vt_nullable(type) ? " (ref null" : " (ref");
    print_heaptype(d, vt_heap(type));
    print_text(&d->out, ")");
}

/* ---- lists of values */

/* Those without a name share parentheses: *open says whether such are open. */
static void print_value(struct dis *d, const char *word, valtype type, const struct entry_name *name, bool *open)
{
    if (*open && name) print_text(&d->out, ")");
    if (!*open || name) print_format(&d->out, " (%s", word);
    if (name) {
        print_text(&d->out, " ");
        print_id(&d->out, name->bytes);
    }
    print_valtype(d, type);
    if (name) print_text(&d->out, ")");
    *open = !name;
}

void print_values(struct dis *d, const char *word, uint32_t count, bool with_names)
{
    bool open = false;
    for (uint32_t i = 0; i < count && dis_ok(d); i++)
        print_value(d, word, dis_valtype(d), with_names ? names_lookup(&d->names[SPACE_LOCAL], i) : NULL, &open);
    if (open) print_text(&d->out, ")");
}

void print_locals(struct dis *d, uint32_t first, uint32_t count, valtype type)
{
    bool open = false;
    for (uint32_t i = 0; i < count && dis_ok(d); i++)
        print_value(d, "local", type, names_lookup(&d->names[SPACE_LOCAL], first + i), &open);
    if (open) print_text(&d->out, ")");
}

static void print_signature(struct dis *d, bool with_local_names)
{
    print_values(d, "param", input_count(&d->in, 1), with_local_names);
    print_values(d, "result", input_count(&d->in, 1), false);
}

void print_type_index(struct dis *d, uint32_t index)
{
    print_text(&d->out, " (type");
    print_index(d, SPACE_TYPE, index);
    print_text(&d->out, ")");
}

void print_type_use(struct dis *d, uint32_t index, bool with_local_names)
{
    print_type_index(d, index);
    const struct dis_type *type = index < d->type_count ? &d->types[index] : NULL;
    if (!type || type->code != 0x60 || !dis_ok(d)) return;
    struct input behind = d->in;
    d->in = (struct input){.at = type->params, .end = type->end};
    print_signature(d, with_local_names);
    d->in = behind;
}

void print_block_type(struct dis *d)
{
    const uint8_t *start = d->in.at;
    uint8_t code = input_peek(&d->in);
    if (code == 0x40) {
        input_byte(&d->in);
    } else if ((code & 0xC0) == 0x40) { /* a negative number of one byte */
        print_text(&d->out, " (result");
        print_valtype(d, dis_valtype(d));
        print_text(&d->out, ")");
    } else {
        int64_t index = input_signed(&d->in, 33);
        if (index < 0)
            dis_foreign(d, start, MARK_TYPE, code, "malformed block type");
        else
            print_type_use(d, (uint32_t)index, false);
    }
}

/* ---- type definitions */

static void print_field_type(struct dis *d)
{
    valtype type = dis_storage_type(d);
    bool mutable = input_byte(&d->in) & 1; /* pass 1 has checked it */
    if (mutable) print_text(&d->out, " (mut");
    print_valtype(d, type);
    if (mutable) print_text(&d->out, ")");
}

static void print_struct(struct dis *d, uint32_t index)
{
    uint32_t count = input_count(&d->in, 2);
    for (uint32_t i = 0; i < count && dis_ok(d); i++) {
        const struct entry_name *name = names_of_field(d, index, i);
        print_text(&d->out, " (field");
        if (name) print_text(&d->out, " ");
        if (name) print_id(&d->out, name->bytes);
        print_field_type(d);
        print_text(&d->out, ")");
    }
}

static void print_comptype(struct dis *d, uint32_t index)
{
    uint8_t code = input_byte(&d->in);
    print_text(&d->out, code == 0x60 ? " (func" : code == 0x5F ? " (struct" : " (array");
    if (code == 0x60)
        print_signature(d, false);
    else if (code == 0x5F)
        print_struct(d, index);
    else
        print_field_type(d);
    print_text(&d->out, ")");
}

static void print_subtype(struct dis *d, uint32_t index, unsigned indent)
{
    uint8_t code = input_peek(&d->in);
    uint32_t supers = 0;
    bool sub = code == 0x50 || code == 0x4F;
    print_line(&d->out, indent);
    print_definition(d, "type", SPACE_TYPE, index);
    if (sub) {
        input_byte(&d->in);
        supers = input_count(&d->in, 1);
        print_text(&d->out, code == 0x50 ? " (sub" : " (sub final");
    }
    for (; supers > 0 && dis_ok(d); supers--) print_index(d, SPACE_TYPE, input_u32(&d->in));
    print_comptype(d, index);
    print_text(&d->out, sub ? "))" : ")");
}

void print_types(struct dis *d)
{
    if (!dis_begin_section(d, SECTION_TYPE)) return;
    uint32_t index = 0;
    for (uint32_t left = input_count(&d->in, 2); left > 0 && dis_ok(d); left--) {
        if (input_peek(&d->in) != 0x4E) {
            print_subtype(d, index++, 2);
            continue;
        }
        input_byte(&d->in);
        print_line(&d->out, 2);
        print_text(&d->out, "(rec");
        for (uint32_t members = input_count(&d->in, 2); members > 0 && dis_ok(d); members--)
            print_subtype(d, index++, 4);
        print_text(&d->out, ")");
    }
}
