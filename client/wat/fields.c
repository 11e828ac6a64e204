/* client/wat/fields.c -- module fields (specification 6.6), in two passes: the first numbers and names definitions, the
 * second reads them. */
#include "client/wat/assembler.h"

#include <stdlib.h>
#include <string.h>

/* What can be imported and exported: keyword, space, code in imports and exports. */
static const struct {
    const char *word;
    enum space_kind space;
} externals[] = {
    {"func", SPACE_FUNC},     {"table", SPACE_TABLE}, {"memory", SPACE_MEMORY},
    {"global", SPACE_GLOBAL}, {"tag", SPACE_TAG},
};
#define EXTERNALS (sizeof externals / sizeof *externals)

/* The position in `externals` of "(" word at the cursor, taken; EXTERNALS if there is none. */
static unsigned take_external(struct wat *w)
{
    for (unsigned i = 0; i < EXTERNALS; i++)
        if (wat_take_open(w, externals[i].word)) return i;
    return EXTERNALS;
}

/* ---- pass 1 */

static void declare(struct wat *w, enum space_kind space)
{
    struct name name = wat_optional_id(w);
    names_add(w, &w->spaces[space], name, wat_space_word(space));
}

static void declare_types(struct wat *w)
{
    while (wat_peek_open(w, "type")) {
        const struct token *open = wat_peek(w);
        w->at += 2;
        declare(w, SPACE_TYPE);
        if (w->status == HEMI_OK) w->at = open->match + 1;
    }
}

static void refuse_late_import(struct wat *w, const char *after)
{
    if (after) wat_fail(w, HEMI_INVALID_MODULE, wat_peek(w), "import after %s", after);
}

static void declare_import(struct wat *w, const char *after)
{
    refuse_late_import(w, after);
    wat_string(w);
    if (wat_peek(w)->kind != TOKEN_STRING) wat_expected_in(w, "a string", "import");
    wat_string(w);
    unsigned kind = take_external(w);
    if (kind == EXTERNALS)
        wat_expected_in(w, "(func, (table, (memory, (global or (tag", "import");
    else
        declare(w, externals[kind].space);
}

/* Behind the keyword of a definition. Gives whether it defines, rather than imports by an inline (import). */
static bool declare_definition(struct wat *w, enum space_kind space, uint32_t end, const char *after)
{
    bool import = false;
    declare(w, space);
    while (w->at < end && w->status == HEMI_OK) {
        if (wat_peek(w)->kind != TOKEN_OPEN) {
            w->at++;
            continue;
        }
        import = import || wat_peek_open(w, "import");
        if (space == SPACE_TABLE && wat_peek_open(w, "elem"))
            names_add(w, &w->spaces[SPACE_ELEM], (struct name){0}, "");
        if (space == SPACE_MEMORY && wat_peek_open(w, "data"))
            names_add(w, &w->spaces[SPACE_DATA], (struct name){0}, "");
        if (space == SPACE_FUNC && !wat_peek_open(w, "export") && !wat_peek_open(w, "import")) break;
        wat_skip_group(w);
    }
    if (import) refuse_late_import(w, after);
    return !import;
}

/* One field; `after` is the kind of the last definition, which later imports may not follow. [ORDER] */
static void declare_field(struct wat *w, const char **after)
{
    const struct token *open = wat_peek(w);
    if (wat_peek_open(w, "type")) {
        declare_types(w);
        return;
    }
    if (wat_take_open(w, "rec"))
        declare_types(w);
    else if (wat_take_open(w, "import"))
        declare_import(w, *after);
    else if (wat_take_open(w, "elem"))
        declare(w, SPACE_ELEM);
    else if (wat_take_open(w, "data"))
        declare(w, SPACE_DATA);
    else if (!wat_peek_open(w, "export") && !wat_peek_open(w, "start")) {
        unsigned kind = take_external(w);
        if (kind == EXTERNALS)
            wat_expected(w, "a module field");
        else if (declare_definition(w, externals[kind].space, open->match, *after))
            *after = kind == 0 ? "function" : externals[kind].word;
    }
    if (w->status == HEMI_OK) w->at = open->match + 1;
}

void wat_declare(struct wat *w)
{
    const char *after = NULL;
    for (; w->at < w->fields_end && w->status == HEMI_OK; declare_field(w, &after)) wat_customs(w);
    if (w->status == HEMI_OK) wat_customs(w);
}

/* ---- pass 2: what fields are made of */

static void emit_export(struct wat *w, struct name name, unsigned kind, uint32_t index)
{
    struct buffer *b = bin_entry(w, SECTION_EXPORT);
    bin_name(w, b, name);
    bin_byte(w, b, kind);
    bin_unsigned(w, b, index);
}

/* The limits of a table or memory, with its address type. */
struct limits {
    bool is64, has_max;
    uint64_t min, max;
};

static bool address_type(struct wat *w)
{
    bool is64 = wat_take_keyword(w, "i64");
    if (!is64) wat_take_keyword(w, "i32");
    return is64;
}

static struct limits limits(struct wat *w)
{
    struct limits l = {.is64 = address_type(w)};
    l.min = wat_unsigned(w, UINT64_MAX, "a minimum size");
    l.has_max = wat_peek(w)->kind == TOKEN_NUMBER;
    if (l.has_max) l.max = wat_unsigned(w, UINT64_MAX, "a maximum size");
    return l;
}

static void emit_limits(struct wat *w, struct buffer *b, const struct limits *l)
{
    bin_byte(w, b, (l->has_max ? 1u : 0u) | (l->is64 ? 4u : 0u));
    bin_unsigned(w, b, l->min);
    if (l->has_max) bin_unsigned(w, b, l->max);
}

static void emit_table_type(struct wat *w, struct buffer *b, valtype type, const struct limits *l)
{
    bin_valtype(w, b, type);
    emit_limits(w, b, l);
}

static void global_type(struct wat *w, struct buffer *b)
{
    bool mutable = wat_take_open(w, "mut");
    bin_valtype(w, b, wat_valtype(w));
    if (mutable) wat_expect_close(w);
    bin_byte(w, b, mutable);
}

static void expression(struct wat *w, struct buffer *b)
{
    wat_instructions(w, b);
    wat_note_place(w, b, wat_peek(w));
    bin_opcode(w, b, OP_END);
}

/* (word expression), or one folded instruction. */
static void short_expression(struct wat *w, struct buffer *b, const char *word)
{
    if (wat_take_open(w, word)) {
        wat_instructions(w, b);
        wat_expect_close(w);
    } else {
        wat_one_folded(w, b);
    }
    bin_opcode(w, b, OP_END);
}

static void import_type(struct wat *w, struct buffer *b, unsigned kind)
{
    bin_byte(w, b, kind);
    switch (externals[kind].space) {
    case SPACE_TAG:
        bin_byte(w, b, 0); /* fall through */
    case SPACE_FUNC:
        bin_unsigned(w, b, wat_type_use(w, PARAMS_IGNORED).index);
        break;
    case SPACE_TABLE: {
        struct limits l = limits(w);
        emit_table_type(w, b, wat_reftype(w), &l);
        break;
    }
    case SPACE_MEMORY: {
        struct limits l = limits(w);
        emit_limits(w, b, &l);
        break;
    }
    default:
        global_type(w, b);
        break;
    }
}

/* (export "n")* and perhaps (import "m" "n"), inside a definition of `index`. Gives whether it is an import, which is
 * then complete. */
static bool inline_external(struct wat *w, unsigned kind, uint32_t index)
{
    while (wat_take_open(w, "export")) {
        emit_export(w, wat_utf8(w), kind, index);
        wat_expect_close(w);
    }
    if (!wat_take_open(w, "import")) return false;
    struct buffer *b = bin_entry(w, SECTION_IMPORT);
    bin_name(w, b, wat_utf8(w));
    bin_name(w, b, wat_utf8(w));
    wat_expect_close(w);
    import_type(w, b, kind);
    return true;
}

/* ---- pass 2: functions */

static void emit_locals(struct wat *w, struct buffer *b, uint32_t count)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < count; i++) runs += i == 0 || w->scratch[i] != w->scratch[i - 1];
    bin_unsigned(w, b, runs);
    for (uint32_t i = 0, from = 0; i < count; i++) {
        if (i + 1 < count && w->scratch[i + 1] == w->scratch[i]) continue;
        bin_unsigned(w, b, i + 1 - from);
        bin_valtype(w, b, w->scratch[i]);
        from = i + 1;
    }
}

static void forget_locals(struct wat *w)
{
    names_deinit(&w->spaces[SPACE_LOCAL]);
    names_deinit(&w->spaces[SPACE_LABEL]);
}

/* Leaves no locals: constant expressions have none. */
static void define_func(struct wat *w, uint32_t index)
{
    struct type_use use = wat_type_use(w, PARAMS_LOCALS);
    bin_unsigned(w, bin_entry(w, SECTION_FUNC), use.index);
    w->scratch_count = 0;
    uint32_t locals = wat_value_lists(w, "local", PARAMS_LOCALS);
    w->body.length = 0;
    if (w->status != HEMI_OK) return;
    w->body_places.count = 0;
    wat_add_place(w, &w->body_places, 0, w->field);
    emit_locals(w, &w->body, locals);
    w->label_count = w->blocks = w->labels_of_function.count = 0;
    w->labels_of_function.bytes.length = 0;
    expression(w, &w->body);
    names_of_function(w, index);
    forget_locals(w);
    struct buffer *code = bin_entry(w, SECTION_CODE);
    bin_unsigned(w, code, w->body.length);
    wat_move_places(w, &w->places[SECTION_CODE], &w->body_places, 0, code->length);
    bin_bytes(w, code, w->body.data, w->body.length);
}

static void define_tag(struct wat *w)
{
    struct buffer *b = bin_entry(w, SECTION_TAG);
    bin_byte(w, b, 0);
    bin_unsigned(w, b, wat_type_use(w, PARAMS_IGNORED).index);
}

static void define_global(struct wat *w)
{
    struct buffer *b = bin_entry(w, SECTION_GLOBAL);
    global_type(w, b);
    expression(w, b);
}

/* ---- pass 2: element segments and tables */

struct items {
    struct buffer bytes;
    uint32_t count;
    bool expressions; /* else function indices */
    valtype type;     /* of expressions */
};

static void item_expressions(struct wat *w, struct items *items)
{
    for (; wat_peek(w)->kind == TOKEN_OPEN; items->count++) short_expression(w, &items->bytes, "item");
}

/* Function indices, as such or as expressions. */
static void item_functions(struct wat *w, struct items *items)
{
    for (; wat_peek_index(w); items->count++) {
        if (items->expressions) bin_opcode(w, &items->bytes, OP_REF_FUNC);
        bin_unsigned(w, &items->bytes, wat_index(w, SPACE_FUNC));
        if (items->expressions) bin_opcode(w, &items->bytes, OP_END);
    }
}

/* reftype expression*, or func index*; `bare` allows to leave out the word func. */
static struct items element_list(struct wat *w, bool bare)
{
    struct items items = {.expressions = wat_peek_reftype(w)};
    if (items.expressions) {
        items.type = wat_reftype(w);
        item_expressions(w, &items);
    } else {
        if (!wat_take_keyword(w, "func") && !bare) wat_expected(w, "func or a reference type");
        item_functions(w, &items);
    }
    return items;
}

enum segment_mode { MODE_ACTIVE = 0, MODE_PASSIVE = 1, MODE_DECLARED = 3 };

/* Mode, table, offset and items as one of the eight forms of the binary format. Frees the items. */
static void emit_segment(struct wat *w, enum segment_mode mode, uint32_t table, const struct buffer *offset,
                         struct items *items)
{
    struct buffer *b = bin_entry(w, SECTION_ELEM);
    bool implied = mode == MODE_ACTIVE && table == 0 && (!items->expressions || items->type == VT_REF(1, HT_FUNC));
    bool explicit_table = mode == MODE_ACTIVE && !implied;
    bin_byte(w, b, (unsigned)mode | (explicit_table ? 2u : 0u) | (items->expressions ? 4u : 0u));
    if (explicit_table) bin_unsigned(w, b, table);
    if (mode == MODE_ACTIVE) bin_bytes(w, b, offset->data, offset->length);
    if (!implied && items->expressions) bin_valtype(w, b, items->type);
    if (!implied && !items->expressions) bin_byte(w, b, 0);
    bin_unsigned(w, b, items->count);
    bin_bytes(w, b, items->bytes.data, items->bytes.length);
    bin_deinit(&items->bytes);
}

static void define_elem(struct wat *w)
{
    struct buffer offset = {0};
    enum segment_mode mode = MODE_PASSIVE;
    uint32_t table = 0;
    wat_optional_id(w);
    bool table_given = wat_take_open(w, "table");
    if (table_given) {
        table = wat_index(w, SPACE_TABLE);
        wat_expect_close(w);
    }
    if (table_given || (wat_peek(w)->kind == TOKEN_OPEN && !wat_peek_reftype(w)))
        mode = MODE_ACTIVE;
    else if (wat_take_keyword(w, "declare"))
        mode = MODE_DECLARED;
    if (mode == MODE_ACTIVE) short_expression(w, &offset, "offset");
    struct items items = element_list(w, mode == MODE_ACTIVE && !table_given);
    emit_segment(w, mode, table, &offset, &items);
    bin_deinit(&offset);
}

static void emit_zero_offset(struct wat *w, struct buffer *b, bool is64)
{
    bin_opcode(w, b, is64 ? OP_I64_CONST : OP_I32_CONST);
    bin_signed(w, b, 0);
    bin_opcode(w, b, OP_END);
}

/* The abbreviation (table reftype (elem ...)), behind the reftype: as long as its elements. */
static void table_of_elements(struct wat *w, uint32_t index, valtype type, bool is64)
{
    /* Function indices have type (ref func), which tables of a more special type do not take. */
    struct items items = {.type = type, .expressions = type != VT_REF(1, HT_FUNC)};
    struct buffer offset = {0};
    wat_expect_open(w, "elem");
    if (wat_peek(w)->kind == TOKEN_OPEN) {
        items.expressions = true;
        item_expressions(w, &items);
    } else {
        item_functions(w, &items);
    }
    wat_expect_close(w);
    struct limits l = {is64, true, items.count, items.count};
    emit_table_type(w, bin_entry(w, SECTION_TABLE), type, &l);
    emit_zero_offset(w, &offset, is64);
    emit_segment(w, MODE_ACTIVE, index, &offset, &items);
    bin_deinit(&offset);
}

static void define_table(struct wat *w, uint32_t index)
{
    bool sized = wat_peek(w)->kind == TOKEN_NUMBER || wat_peek_next(w)->kind == TOKEN_NUMBER;
    if (!sized) {
        bool is64 = address_type(w);
        if (!wat_peek_reftype(w)) wat_expected(w, "a minimum size or a reference type");
        table_of_elements(w, index, wat_reftype(w), is64);
        return;
    }
    struct limits l = limits(w);
    valtype type = wat_reftype(w);
    struct buffer *b = bin_entry(w, SECTION_TABLE);
    bool initialised = wat_peek(w)->kind != TOKEN_CLOSE;
    if (initialised) bin_bytes(w, b, "\x40\0", 2);
    emit_table_type(w, b, type, &l);
    if (initialised) expression(w, b);
}

/* ---- pass 2: data segments and memories */

/* Zero or more strings as one vector of bytes. Gives its length. */
static size_t emit_strings(struct wat *w, struct buffer *b)
{
    struct buffer bytes = {0};
    wat_strings(w, &bytes);
    size_t bytes_length = bytes.length;
    bin_unsigned(w, b, bytes_length);
    bin_bytes(w, b, bytes.data, bytes_length);
    bin_deinit(&bytes);
    return bytes_length;
}

static void emit_active_data(struct wat *w, struct buffer *b, uint32_t memory)
{
    bin_byte(w, b, memory ? 2 : 0);
    if (memory) bin_unsigned(w, b, memory);
}

static void define_data(struct wat *w)
{
    struct buffer *b = bin_entry(w, SECTION_DATA);
    wat_optional_id(w);
    if (wat_peek(w)->kind == TOKEN_OPEN) {
        uint32_t memory = 0;
        if (wat_take_open(w, "memory")) {
            memory = wat_index(w, SPACE_MEMORY);
            wat_expect_close(w);
        }
        emit_active_data(w, b, memory);
        short_expression(w, b, "offset");
    } else {
        bin_byte(w, b, 1);
    }
    emit_strings(w, b);
}

/* The abbreviation (memory (data ...)), behind the address type: as many pages as its bytes need. */
static void memory_of_data(struct wat *w, uint32_t index, struct limits *l)
{
    struct buffer *b = bin_entry(w, SECTION_DATA);
    emit_active_data(w, b, index);
    emit_zero_offset(w, b, l->is64);
    wat_expect_open(w, "data");
    l->min = l->max = (emit_strings(w, b) + 0xFFFF) / 0x10000;
    l->has_max = true;
    wat_expect_close(w);
}

static void define_memory(struct wat *w, uint32_t index)
{
    bool sized = wat_peek(w)->kind == TOKEN_NUMBER || wat_peek_next(w)->kind == TOKEN_NUMBER;
    struct limits l = {0};
    if (sized) {
        l = limits(w);
    } else {
        l.is64 = address_type(w);
        if (!wat_peek_open(w, "data")) wat_expected(w, "a minimum size or (data");
        memory_of_data(w, index, &l);
    }
    emit_limits(w, bin_entry(w, SECTION_MEMORY), &l);
}

/* ---- pass 2: fields */

static void define_import(struct wat *w, uint32_t next[SPACE_COUNT])
{
    struct buffer *b = bin_entry(w, SECTION_IMPORT);
    bin_name(w, b, wat_utf8(w));
    bin_name(w, b, wat_utf8(w));
    unsigned kind = take_external(w);
    if (kind == EXTERNALS) return; /* pass 1 has refused it */
    wat_optional_id(w);
    next[externals[kind].space]++;
    import_type(w, b, kind);
    wat_expect_close(w);
}

static void define_export(struct wat *w)
{
    struct name name = wat_utf8(w);
    unsigned kind = take_external(w);
    if (kind == EXTERNALS) {
        wat_expected(w, "(func, (table, (memory, (global or (tag");
        return;
    }
    emit_export(w, name, kind, wat_index(w, externals[kind].space));
    wat_expect_close(w);
}

static void define_start(struct wat *w)
{
    if (w->entries[SECTION_START]) wat_fail(w, HEMI_INVALID_MODULE, wat_peek(w), "multiple start sections");
    bin_unsigned(w, bin_entry(w, SECTION_START), wat_index(w, SPACE_FUNC));
}

static void define_external(struct wat *w, uint32_t next[SPACE_COUNT])
{
    unsigned kind = take_external(w);
    if (kind == EXTERNALS) {
        wat_expected(w, "a module field");
        return;
    }
    uint32_t index = next[externals[kind].space]++;
    wat_optional_id(w);
    if (inline_external(w, kind, index)) return;
    switch (externals[kind].space) {
    case SPACE_FUNC:
        define_func(w, index);
        break;
    case SPACE_TABLE:
        define_table(w, index);
        break;
    case SPACE_MEMORY:
        define_memory(w, index);
        break;
    case SPACE_TAG:
        define_tag(w);
        break;
    default:
        define_global(w);
        break;
    }
}

static void define_field(struct wat *w, uint32_t next[SPACE_COUNT])
{
    w->field = wat_peek(w)->offset;
    if (wat_take_open(w, "import"))
        define_import(w, next);
    else if (wat_take_open(w, "export"))
        define_export(w);
    else if (wat_take_open(w, "start"))
        define_start(w);
    else if (wat_take_open(w, "elem"))
        define_elem(w);
    else if (wat_take_open(w, "data"))
        define_data(w);
    else
        define_external(w, next);
    wat_expect_close(w);
}

static void define_types(struct wat *w)
{
    while (w->at < w->fields_end && w->status == HEMI_OK) {
        if (wat_peek_open(w, "type"))
            wat_type_field(w);
        else if (wat_peek_open(w, "rec"))
            wat_rec_field(w);
        else
            wat_skip_group(w);
    }
}

static void define_fields(struct wat *w)
{
    uint32_t next[SPACE_COUNT] = {0};
    if (w->status == HEMI_OK) w->at = w->fields_begin;
    while (w->at < w->fields_end && w->status == HEMI_OK) {
        if (wat_peek_open(w, "type") || wat_peek_open(w, "rec"))
            wat_skip_group(w);
        else
            define_field(w, next);
    }
}

/* All but the types. */
static void forget_fields(struct wat *w)
{
    for (unsigned i = 0; i < SECTION_COUNT; i++) w->sections[i].length = w->entries[i] = w->places[i].count = 0;
    w->local_names.bytes.length = w->local_names.count = 0;
    w->label_names.bytes.length = w->label_names.count = 0;
}

void wat_define(struct wat *w)
{
    define_types(w);
    define_fields(w);
    if (w->is_unsettled && w->status == HEMI_OK) {
        forget_fields(w);
        w->is_settled = true;
        define_fields(w);
    }
    if (w->uses_data) bin_unsigned(w, bin_entry(w, SECTION_DATA_COUNT), w->spaces[SPACE_DATA].count);
    if (w->status == HEMI_OK) bin_types(w);
}
