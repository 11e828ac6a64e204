/* client/wat/print_fields.c -- the module and its fields, but for types and instructions. */
#include "client/wat/disassembler.h"

#include "proto/tables/limits.h"

#include <inttypes.h>

enum { ITEMS_PER_LINE = 16 };

/* "(word $name (;3;)" */
void print_definition(struct dis *d, const char *word, enum space_kind space, uint32_t index)
{
    const struct entry_name *name = names_lookup(&d->names[space], index);
    print_format(&d->out, "(%s", word);
    if (name) print_index(d, space, index);
    print_format(&d->out, " (;%" PRIu32 ";)", index);
}

static const struct external {
    const char *word;
    enum space_kind space;
} externals[] = {
    /* by enum extern_kind */
    {"func", SPACE_FUNC},     {"table", SPACE_TABLE}, {"memory", SPACE_MEMORY},
    {"global", SPACE_GLOBAL}, {"tag", SPACE_TAG},
};

/* ---- types of what is imported or defined */

static void print_limits(struct dis *d, enum proposal_place place)
{
    const uint8_t *start = d->in.at;
    uint8_t flags = input_byte(&d->in);
    if (flags & ~5) dis_foreign(d, start, place, flags, "malformed limits flags");
    print_format(&d->out, flags & 4 ? " i64 %" PRIu64 : " %" PRIu64, input_u64(&d->in));
    if (flags & 1) print_format(&d->out, " %" PRIu64, input_u64(&d->in));
}

static void print_table_type(struct dis *d)
{
    valtype type = dis_reftype(d);
    print_limits(d, MARK_TABLE_LIMITS);
    print_valtype(d, type);
}

static void print_global_type(struct dis *d)
{
    valtype type = dis_valtype(d);
    uint8_t mutable = input_byte(&d->in);
    if (mutable > 1) dis_foreign(d, d->in.at - 1, MARK_MUTABILITY, mutable, "malformed mutability");
    if (mutable) print_text(&d->out, " (mut");
    print_valtype(d, type);
    if (mutable) print_text(&d->out, ")");
}

static void print_tag_type(struct dis *d)
{
    if (input_byte(&d->in) != 0) dis_fail(d, d->in.at - 1, "malformed tag attribute");
    print_type_use(d, input_u32(&d->in), false);
}

static void print_external_type(struct dis *d, enum space_kind space)
{
    if (space == SPACE_FUNC)
        print_type_use(d, input_u32(&d->in), false);
    else if (space == SPACE_TABLE)
        print_table_type(d);
    else if (space == SPACE_MEMORY)
        print_limits(d, MARK_MEMORY_LIMITS);
    else if (space == SPACE_GLOBAL)
        print_global_type(d);
    else
        print_tag_type(d);
}

/* ---- imports, exports, definitions of one line */

static void print_import(struct dis *d, uint32_t next[SPACE_COUNT])
{
    print_text(&d->out, "(import ");
    print_name(&d->out, input_name(&d->in));
    print_text(&d->out, " ");
    print_name(&d->out, input_name(&d->in));
    uint8_t kind = input_byte(&d->in);
    if (!input_ok(&d->in)) return;
    const struct external *row = &externals[kind]; /* pass 1 has checked it */
    print_text(&d->out, " ");
    print_definition(d, row->word, row->space, next[row->space]++);
    print_external_type(d, row->space);
    print_text(&d->out, "))");
}

static void print_imports(struct dis *d)
{
    uint32_t next[SPACE_COUNT] = {0};
    if (!dis_begin_section(d, SECTION_IMPORT)) return;
    for (uint32_t left = input_count(&d->in, 1); left > 0 && dis_ok(d); left--) {
        print_line(&d->out, 2);
        print_import(d, next);
    }
    dis_end_section(d);
}

static void print_export(struct dis *d, uint32_t index)
{
    (void)index;
    print_text(&d->out, "(export ");
    print_name(&d->out, input_name(&d->in));
    uint8_t kind = input_byte(&d->in);
    if (kind > EXTERN_TAG) {
        dis_fail(d, d->in.at - 1, "malformed export kind");
        return;
    }
    print_format(&d->out, " (%s", externals[kind].word);
    print_index(d, externals[kind].space, input_u32(&d->in));
    print_text(&d->out, "))");
}

static void print_table(struct dis *d, uint32_t index)
{
    bool initialised = input_peek(&d->in) == 0x40;
    print_definition(d, "table", SPACE_TABLE, index);
    if (initialised) {
        input_byte(&d->in);
        if (input_byte(&d->in) != 0) dis_fail(d, d->in.at - 1, "malformed table");
    }
    print_table_type(d);
    if (initialised && input_peek(&d->in) == 0x0B) dis_fail(d, d->in.at, "an empty initialiser has no text");
    if (initialised) print_expression(d);
    print_text(&d->out, ")");
}

static void print_memory(struct dis *d, uint32_t index)
{
    print_definition(d, "memory", SPACE_MEMORY, index);
    print_limits(d, MARK_MEMORY_LIMITS);
    print_text(&d->out, ")");
}

static void print_tag(struct dis *d, uint32_t index)
{
    print_definition(d, "tag", SPACE_TAG, index);
    print_tag_type(d);
    print_text(&d->out, ")");
}

static void print_global(struct dis *d, uint32_t index)
{
    print_definition(d, "global", SPACE_GLOBAL, index);
    print_global_type(d);
    print_expression(d);
    print_text(&d->out, ")");
}

/* ---- segments */

static void print_offset(struct dis *d)
{
    print_text(&d->out, " (offset");
    print_expression(d);
    print_text(&d->out, ")");
}

static void print_item(struct dis *d, bool expression)
{
    if (!expression) {
        print_index(d, SPACE_FUNC, input_u32(&d->in));
        return;
    }
    print_text(&d->out, " (item");
    print_expression(d);
    print_text(&d->out, ")");
}

/* A kind or a type, unless it goes without saying, then the items. */
static void print_items(struct dis *d, bool expressions, bool implied)
{
    valtype type = VT_REF(1, HT_FUNC);
    if (expressions) {
        if (!implied) type = dis_reftype(d);
        print_valtype(d, type);
    } else {
        if (!implied && input_byte(&d->in) != 0) dis_fail(d, d->in.at - 1, "malformed element kind");
        print_text(&d->out, " func");
    }
    uint32_t count = input_count(&d->in, 1);
    for (uint32_t i = 0; i < count && dis_ok(d); i++) {
        if (i % ITEMS_PER_LINE == 0 && count > ITEMS_PER_LINE) print_line(&d->out, 3);
        print_item(d, expressions);
    }
}

static void print_elem(struct dis *d, uint32_t index)
{
    const uint8_t *start = d->in.at;
    uint32_t flags = input_u32(&d->in), table = 0;
    bool active = !(flags & 1);
    if (flags > 7) dis_foreign(d, start, MARK_SEGMENT, flags, "malformed elements segment kind");
    print_definition(d, "elem", SPACE_ELEM, index);
    if (active && (flags & 2)) table = input_u32(&d->in);
    if (table) {
        print_text(&d->out, " (table");
        print_index(d, SPACE_TABLE, table);
        print_text(&d->out, ")");
    }
    if (active)
        print_offset(d);
    else if (flags & 2)
        print_text(&d->out, " declare");
    print_items(d, flags & 4, !(flags & 3));
    print_text(&d->out, ")");
}

static void print_data_segment(struct dis *d, uint32_t index)
{
    const uint8_t *start = d->in.at;
    uint32_t flags = input_u32(&d->in), memory = flags == 2 ? input_u32(&d->in) : 0;
    if (flags > 2) dis_foreign(d, start, MARK_SEGMENT, flags, "malformed data segment kind");
    print_definition(d, "data", SPACE_DATA, index);
    if (memory) {
        print_text(&d->out, " (memory");
        print_index(d, SPACE_MEMORY, memory);
        print_text(&d->out, ")");
    }
    if (flags != 1) print_offset(d);
    print_data(&d->out, input_take(&d->in, input_u32(&d->in)), 4);
    print_text(&d->out, ")");
}

/* ---- functions */

/* How many locals a body declares, at most LIMIT_LOCALS: more is an error. */
static uint32_t count_locals(struct dis *d, struct slice body)
{
    static const uint32_t limits[] = {
#define X(name, value, text) [LIMIT_##name] = value,
        WASM_LIMITS(X)
#undef X
    };
    uint32_t total = 0;
    d->in = input_of(body);
    for (uint32_t left = input_count(&d->in, 2); left > 0 && dis_ok(d); left--) {
        const uint8_t *start = d->in.at;
        uint32_t count = input_u32(&d->in);
        dis_valtype(d);
        if (count > limits[LIMIT_LOCALS] - total)
            dis_fail(d, start, "too many locals");
        else
            total += count;
    }
    return total;
}

static void print_local_runs(struct dis *d, uint32_t first)
{
    for (uint32_t left = input_count(&d->in, 2); left > 0 && dis_ok(d); left--) {
        uint32_t count = input_u32(&d->in);
        valtype type = dis_valtype(d);
        if (count) print_line(&d->out, 3); /* a value begins with a space */
        print_locals(d, first, count, type);
        first += count;
    }
}

static void print_function(struct dis *d, uint32_t index, uint32_t type)
{
    struct input section = d->in;
    struct slice body = input_take(&section, input_u32(&section));
    if (!input_ok(&section)) {
        d->in = section;
        return;
    }
    bool typed = type < d->type_count && d->types[type].code == 0x60;
    uint32_t params = typed ? d->types[type].count : 0;
    names_of_entry(d, &d->locals, index, params + count_locals(d, body), &d->names[SPACE_LOCAL]);
    names_of_entry(d, &d->labels, index, UINT32_MAX, &d->names[SPACE_LABEL]);
    print_line(&d->out, 2);
    print_definition(d, "func", SPACE_FUNC, index);
    print_type_use(d, type, true);
    if (dis_ok(d)) d->in = input_of(body);
    print_local_runs(d, params);
    print_body(d);
    print_text(&d->out, ")");
    if (dis_ok(d)) d->in = section;
}

/* Types in one section, bodies in another. */
static void print_functions(struct dis *d)
{
    if (!dis_begin_section(d, SECTION_FUNC)) return;
    uint32_t count = input_count(&d->in, 1), index = d->imported[SPACE_FUNC];
    struct input types = d->in;
    if (!dis_begin_section(d, SECTION_CODE)) return;
    input_u32(&d->in);
    for (; count > 0 && dis_ok(d); count--) {
        uint32_t type = input_u32(&types);
        if (!input_ok(&types)) d->in = types;
        if (dis_ok(d)) print_function(d, index++, type);
    }
    if (dis_ok(d)) dis_end_section(d);
    if (dis_ok(d) && input_left(&types)) dis_fail(d, types.at, "section size mismatch");
}

/* ---- the module */

static void print_section(struct dis *d, enum section section, uint32_t first, void (*print)(struct dis *, uint32_t))
{
    if (!dis_begin_section(d, section)) return;
    for (uint32_t left = input_count(&d->in, 1); left > 0 && dis_ok(d); left--) {
        print_line(&d->out, 2);
        print(d, first++);
    }
    dis_end_section(d);
}

static void print_start(struct dis *d)
{
    if (!dis_begin_section(d, SECTION_START)) return;
    print_line(&d->out, 2);
    print_text(&d->out, "(start");
    print_index(d, SPACE_FUNC, input_u32(&d->in));
    print_text(&d->out, ")");
    dis_end_section(d);
}

static void print_customs(struct dis *d)
{
    static const char *const words[] = {
#define X(name, id, word) word,
        WAT_SECTIONS(X)
#undef X
    };
    for (uint32_t i = 0; i < d->custom_count && dis_ok(d); i++) {
        const struct dis_custom *custom = &d->customs[i];
        if (dis_is_name_section(custom)) continue;
        print_line(&d->out, 2);
        print_text(&d->out, "(@custom ");
        print_name(&d->out, custom->name);
        print_format(&d->out, " (%s %s)", custom->after < 0 ? "before" : "after",
                     custom->after < 0 ? "first" : words[custom->after]);
        print_data(&d->out, custom->bytes, 4);
        print_text(&d->out, ")");
    }
}

void print_module_fields(struct dis *d)
{
    print_types(d);
    print_imports(d);
    print_section(d, SECTION_TABLE, d->imported[SPACE_TABLE], print_table);
    print_section(d, SECTION_MEMORY, d->imported[SPACE_MEMORY], print_memory);
    print_section(d, SECTION_TAG, d->imported[SPACE_TAG], print_tag);
    print_section(d, SECTION_GLOBAL, d->imported[SPACE_GLOBAL], print_global);
    print_section(d, SECTION_EXPORT, 0, print_export);
    print_start(d);
    print_section(d, SECTION_ELEM, 0, print_elem);
    print_functions(d);
    print_section(d, SECTION_DATA, 0, print_data_segment);
    print_customs(d);
}
