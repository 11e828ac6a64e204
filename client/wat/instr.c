/* client/wat/instr.c -- keywords, labels and immediates of instructions (specification 6.5). What immediates an
 * instruction has comes from proto/tables/opcodes.def; only instructions whose text differs in shape from their binary
 * form have code of their own. */
#include "client/wat/assembler.h"
#include "client/wat/number.h"

#include <stdlib.h>
#include <string.h>

/* ---- keywords */

#define KEYWORD_SLOTS 2048u /* a power of two, some four times OP_COUNT */
_Static_assert(OP_COUNT * 2 < KEYWORD_SLOTS, "the keyword table must stay sparse");

static uint32_t keyword_hash(const char *bytes, uint32_t length)
{
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < length; i++) h = (h ^ (unsigned char)bytes[i]) * 16777619u;
    return h ^ h >> 13;
}

static uint16_t *keyword_slot(const struct wat *w, const char *bytes, uint32_t length)
{
    for (uint32_t i = keyword_hash(bytes, length);; i++) {
        uint16_t *slot = &w->keywords[i & (KEYWORD_SLOTS - 1)];
        if (!*slot) return slot;
        const char *text = opcode_rows[*slot - 1].text;
        if (strlen(text) == length && memcmp(text, bytes, length) == 0) return slot;
    }
}

bool wat_init_keywords(struct wat *w)
{
    w->keywords = wat_alloc(w, KEYWORD_SLOTS * sizeof *w->keywords);
    if (!w->keywords) return false;
    for (int op = 0; op < OP_COUNT; op++) {
        const char *text = opcode_rows[op].text;
        *keyword_slot(w, text, (uint32_t)strlen(text)) = (uint16_t)(op + 1);
    }
    return true;
}

/* Takes an instruction's keyword. Rows with a space in their text never match: no token has one. */
bool wat_take_opcode(struct wat *w, enum opcode *op)
{
    const struct token *token = wat_peek(w);
    uint16_t slot = token->kind == TOKEN_KEYWORD ? *keyword_slot(w, w->text + token->offset, token->length) : 0;
    if (slot) {
        *op = (enum opcode)(slot - 1);
        w->at++;
        return true;
    }
    wat_expected(w, token->kind == TOKEN_KEYWORD ? "an instruction" : "an instruction's keyword");
    return false;
}

/* ---- labels */

void wat_push_label(struct wat *w, struct name name)
{
    if (!wat_grow(w, &w->labels, w->label_count, &w->label_capacity, sizeof *w->labels)) return;
    struct open_label *opened = &w->labels[w->label_count++];
    *opened = (struct open_label){name, 0};
    names_of_label(w, name);
    struct symbol *symbol = name.bytes ? names_symbol(w, &w->spaces[SPACE_LABEL], name) : NULL;
    if (!symbol) return;
    opened->shadowed = symbol->index;
    symbol->index = w->label_count;
}

void wat_pop_label(struct wat *w)
{
    if (!w->label_count) return;
    const struct open_label *closed = &w->labels[--w->label_count];
    if (closed->name.bytes) names_symbol(w, &w->spaces[SPACE_LABEL], closed->name)->index = closed->shadowed;
}

bool wat_names_equal(struct name a, struct name b)
{
    return a.bytes && b.bytes && a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static uint32_t label(struct wat *w)
{
    const struct token *token = wat_peek(w);
    struct name name = wat_optional_id(w);
    if (!name.bytes) return wat_u32(w, "a label index or name");
    uint32_t opened = 0;
    if (names_find(&w->spaces[SPACE_LABEL], name, &opened) && opened) return w->label_count - opened;
    wat_fail_name(w, token, "unknown", "label", name);
    return 0;
}

/* ---- immediates */

static bool is_index(const struct token *token) { return token->kind == TOKEN_ID || token->kind == TOKEN_NUMBER; }

static uint32_t optional_index(struct wat *w, enum space_kind space)
{
    return wat_peek_index(w) ? wat_index(w, space) : 0;
}

static void index_immediate(struct wat *w, struct buffer *b, enum space_kind space)
{
    bin_unsigned(w, b, wat_index(w, space));
}

static void optional_index_immediate(struct wat *w, struct buffer *b, enum space_kind space)
{
    bin_unsigned(w, b, optional_index(w, space));
}

/* Destination and source: both or neither. */
static void two_optional(struct wat *w, struct buffer *b, enum space_kind space)
{
    bool given = wat_peek_index(w);
    bin_unsigned(w, b, given ? wat_index(w, space) : 0);
    bin_unsigned(w, b, given ? wat_index(w, space) : 0);
}

/* A segment and where it goes: the target may be left out and comes first in the text, second in the binary. */
static void segment_and_target(struct wat *w, struct buffer *b, enum space_kind segment, enum space_kind target)
{
    uint32_t into = is_index(wat_peek_next(w)) ? optional_index(w, target) : 0;
    bin_unsigned(w, b, wat_index(w, segment));
    bin_unsigned(w, b, into);
}

/* "offset=4": gives whether it is there; takes it and its value. */
static bool take_assignment(struct wat *w, const char *key, uint64_t *value)
{
    const struct token *token = wat_peek(w);
    size_t length = strlen(key);
    const char *text = w->text + token->offset;
    if (token->kind != TOKEN_KEYWORD || token->length < length || memcmp(text, key, length) != 0) return false;
    enum number_status status = number_unsigned(text + length, token->length - length, UINT64_MAX, value);
    if (status == NUMBER_OK)
        w->at++;
    else if (status == NUMBER_RANGE)
        wat_fail(w, HEMI_INVALID_MODULE, token, "i64 constant out of range");
    else
        wat_expected(w, *key == 'o' ? "offset=N" : "align=N");
    return true;
}

static void memarg(struct wat *w, struct buffer *b, unsigned width, uint32_t memory)
{
    uint64_t offset = 0, align = width;
    unsigned exponent = 0;
    take_assignment(w, "offset=", &offset);
    const struct token *token = wat_peek(w);
    take_assignment(w, "align=", &align);
    if (wat_peek_open(w, "type")) wat_expected_in(w, "an operand", "load or store");
    if (align == 0 || (align & (align - 1)))
        wat_fail(w, HEMI_INVALID_MODULE, token, "alignment must be a power of two");
    while (exponent < 63 && (align >> exponent) > 1) exponent++;
    bin_unsigned(w, b, exponent | (memory ? 0x40u : 0u));
    if (memory) bin_unsigned(w, b, memory);
    bin_unsigned(w, b, offset);
}

static unsigned lane_index(struct wat *w) { return (unsigned)wat_unsigned(w, UINT8_MAX, "a lane index"); }

/* A single numeral is the lane; a numeral before it is the memory. */
static void memarg_lane(struct wat *w, struct buffer *b, unsigned width)
{
    const struct token *after = wat_peek_next(w);
    bool memory_given = wat_peek_index(w) && (after->kind == TOKEN_NUMBER || after->kind == TOKEN_KEYWORD) &&
                        (after->kind == TOKEN_NUMBER || memchr(w->text + after->offset, '=', after->length));
    memarg(w, b, width, memory_given ? wat_index(w, SPACE_MEMORY) : 0);
    bin_byte(w, b, lane_index(w));
}

static void lane_literal(struct wat *w, struct buffer *b, unsigned width, bool is_float)
{
    enum token_kind kind = (enum token_kind)wat_peek(w)->kind;
    bool numeral = kind == TOKEN_NUMBER || (is_float && kind == TOKEN_KEYWORD);
    if (!numeral)
        wat_expected(w, "another lane's literal");
    else
        bin_little(w, b, is_float ? wat_float(w, width * 8) : wat_integer(w, width * 8), width);
}

static void v128(struct wat *w, struct buffer *b)
{
    static const struct {
        const char *text;
        uint8_t width;
        bool is_float;
    } shapes[] = {{"i8x16", 1, 0}, {"i16x8", 2, 0}, {"i32x4", 4, 0}, {"i64x2", 8, 0}, {"f32x4", 4, 1}, {"f64x2", 8, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (!wat_take_keyword(w, shapes[i].text)) continue;
        for (unsigned lane = 0; lane < 16u / shapes[i].width; lane++)
            lane_literal(w, b, shapes[i].width, shapes[i].is_float);
        return;
    }
    wat_expected(w, "a vector's shape");
}

static void shuffle(struct wat *w, struct buffer *b)
{
    for (unsigned lane = 0; lane < 16; lane++) {
        if (wat_peek(w)->kind != TOKEN_NUMBER)
            wat_expected(w, "another of 16 lane indices");
        else
            bin_byte(w, b, lane_index(w));
    }
}

static void labels(struct wat *w, struct buffer *b)
{
    struct buffer list = {0};
    uint32_t count = 0;
    do {
        bin_unsigned(w, &list, label(w));
        count++;
    } while (wat_peek_index(w));
    bin_unsigned(w, b, count - 1); /* the last one is the default */
    bin_bytes(w, b, list.data, list.length);
    bin_deinit(&list);
}

static void call_indirect(struct wat *w, struct buffer *b)
{
    uint32_t table = optional_index(w, SPACE_TABLE);
    bin_unsigned(w, b, wat_type_use(w, PARAMS_UNNAMED).index);
    bin_unsigned(w, b, table);
}

static void type_and_field(struct wat *w, struct buffer *b)
{
    static const struct space no_names;
    uint32_t type = wat_index(w, SPACE_TYPE);
    bin_unsigned(w, b, type);
    bin_unsigned(w, b, wat_index_in(w, type < w->type_count ? &w->types[type].field_names : &no_names, "field"));
}

static void select_types(struct wat *w, struct buffer *b)
{
    w->scratch_count = 0;
    uint32_t count = wat_value_lists(w, "result", PARAMS_UNNAMED);
    bin_unsigned(w, b, count);
    for (uint32_t i = 0; i < count; i++) bin_valtype(w, b, w->scratch[i]);
}

static void branch_on_cast(struct wat *w, struct buffer *b)
{
    uint32_t target = label(w);
    valtype from = wat_reftype(w), to = wat_reftype(w);
    bin_byte(w, b, (vt_nullable(from) ? 1u : 0u) | (vt_nullable(to) ? 2u : 0u));
    bin_unsigned(w, b, target);
    bin_heaptype(w, b, vt_heap(from));
    bin_heaptype(w, b, vt_heap(to));
}

/* The clauses are outside the block: they do not see its label. */
static void catches(struct wat *w, struct buffer *b)
{
    static const struct {
        const char *word;
        bool has_tag;
    } rows[] = {
#define X(word, code, has_tag) [code] = {word, has_tag},
        WAT_CATCHES(X)
#undef X
    };
    struct buffer list = {0};
    uint32_t count = 0;
    for (unsigned code = 0; code < sizeof rows / sizeof *rows;) {
        if (!wat_take_open(w, rows[code].word)) {
            code++;
            continue;
        }
        bin_byte(w, &list, code);
        if (rows[code].has_tag) index_immediate(w, &list, SPACE_TAG);
        bin_unsigned(w, &list, label(w));
        wat_expect_close(w);
        count++;
        code = 0; /* the next clause may be of any kind */
    }
    bin_unsigned(w, b, count);
    bin_bytes(w, b, list.data, list.length);
    bin_deinit(&list);
}

void wat_immediates(struct wat *w, struct buffer *b, const struct opcode_row *row)
{
    switch ((enum opcode_imm)row->imm) {
    case IMM_NONE:
        break;
    case IMM_BLOCK:
        wat_block_type(w, b);
        break;
    case IMM_TRY_TABLE:
        wat_block_type(w, b);
        catches(w, b);
        break;
    case IMM_LABEL:
        bin_unsigned(w, b, label(w));
        break;
    case IMM_LABELS:
        labels(w, b);
        break;
    case IMM_FUNC:
        index_immediate(w, b, SPACE_FUNC);
        break;
    case IMM_TYPE:
        index_immediate(w, b, SPACE_TYPE);
        break;
    case IMM_CALL_INDIRECT:
        call_indirect(w, b);
        break;
    case IMM_LOCAL:
        index_immediate(w, b, SPACE_LOCAL);
        break;
    case IMM_GLOBAL:
        index_immediate(w, b, SPACE_GLOBAL);
        break;
    case IMM_TAG:
        index_immediate(w, b, SPACE_TAG);
        break;
    case IMM_TABLE:
        optional_index_immediate(w, b, SPACE_TABLE);
        break;
    case IMM_TABLE_TABLE:
        two_optional(w, b, SPACE_TABLE);
        break;
    case IMM_ELEM_TABLE:
        segment_and_target(w, b, SPACE_ELEM, SPACE_TABLE);
        break;
    case IMM_ELEM:
        index_immediate(w, b, SPACE_ELEM);
        break;
    case IMM_MEM:
        optional_index_immediate(w, b, SPACE_MEMORY);
        break;
    case IMM_MEM_MEM:
        two_optional(w, b, SPACE_MEMORY);
        break;
    case IMM_DATA_MEM:
        segment_and_target(w, b, SPACE_DATA, SPACE_MEMORY);
        break;
    case IMM_DATA:
        index_immediate(w, b, SPACE_DATA);
        break;
    case IMM_MEMARG:
        memarg(w, b, row->width, optional_index(w, SPACE_MEMORY));
        break;
    case IMM_MEMARG_LANE:
        memarg_lane(w, b, row->width);
        break;
    case IMM_LANE:
        bin_byte(w, b, lane_index(w));
        break;
    case IMM_SHUFFLE:
        shuffle(w, b);
        break;
    case IMM_I32:
        bin_signed(w, b, (int32_t)(uint32_t)wat_integer(w, 32));
        break;
    case IMM_I64:
        bin_signed(w, b, (int64_t)wat_integer(w, 64));
        break;
    case IMM_F32:
        bin_little(w, b, wat_float(w, 32), 4);
        break;
    case IMM_F64:
        bin_little(w, b, wat_float(w, 64), 8);
        break;
    case IMM_V128:
        v128(w, b);
        break;
    case IMM_HEAPTYPE:
        bin_heaptype(w, b, wat_heaptype(w));
        break;
    case IMM_SELECT_TYPES:
        select_types(w, b);
        break;
    case IMM_TYPE_FIELD:
        type_and_field(w, b);
        break;
    case IMM_TYPE_N:
        index_immediate(w, b, SPACE_TYPE);
        bin_unsigned(w, b, wat_u32(w, "a number of operands"));
        break;
    case IMM_TYPE_DATA:
        index_immediate(w, b, SPACE_TYPE);
        index_immediate(w, b, SPACE_DATA);
        break;
    case IMM_TYPE_ELEM:
        index_immediate(w, b, SPACE_TYPE);
        index_immediate(w, b, SPACE_ELEM);
        break;
    case IMM_TYPE_TYPE:
        index_immediate(w, b, SPACE_TYPE);
        index_immediate(w, b, SPACE_TYPE);
        break;
    case IMM_BR_CAST:
        branch_on_cast(w, b);
        break;
    }
}

/* An instruction that is not a block, behind its keyword. */
void wat_plain(struct wat *w, struct buffer *b, enum opcode op)
{
    if (op == OP_REF_TEST || op == OP_REF_CAST) { /* one keyword, two opcodes, and the type is written in full */
        valtype type = wat_reftype(w);
        _Static_assert(OP_REF_TEST + 1 == OP_REF_TEST_NULL && OP_REF_CAST + 1 == OP_REF_CAST_NULL, "rows in order");
        bin_opcode(w, b, (enum opcode)(op + vt_nullable(type)));
        bin_heaptype(w, b, vt_heap(type));
        return;
    }
    if (op == OP_SELECT && wat_peek_open(w, "result")) op = OP_SELECT_T;
    const struct opcode_row *row = &opcode_rows[op];
    w->uses_data |= row->imm == IMM_DATA || row->imm == IMM_DATA_MEM || row->imm == IMM_TYPE_DATA;
    bin_opcode(w, b, op);
    wat_immediates(w, b, row);
}
