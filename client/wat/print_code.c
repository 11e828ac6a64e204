/* client/wat/print_code.c -- instructions, one a line and indented, or in a row for constant expressions. What follows
 * an opcode comes from proto/tables/opcodes.def; nothing recurses. */
#include "client/wat/disassembler.h"

#include <inttypes.h>

/* A block around the instruction being read. */
struct dis_frame {
    bool is_if;                     /* and its else has not come */
    const struct entry_name *label; /* NULL: it has none */
    uint32_t shadowed;              /* what `innermost` says of its label outside of it */
};

enum {
    PAGE = 512,
    PAGES = 4,
    FIRST_PREFIX = 0xFB,
    LAST_PREFIX = 0xFE, /* which 3.0 does not have */
    DEEPEST = 40, /* blocks that are indented further than the one around them: no line is long because it is deep */
};

/* The page of a prefix byte: 0 for none. */
#define OPCODE_PAGE(prefix) ((prefix) == 0 ? 0 : (prefix) - (FIRST_PREFIX - 1))
static const uint16_t opcode_of_code[PAGES * PAGE] = {
/* enum opcode + 1, or 0 */
#define OP(name, prefix, code, text, imm, sig) [OPCODE_PAGE(prefix) * PAGE + (code)] = OP_##name + 1,
#include "proto/tables/opcodes.def"
};

static enum opcode read_opcode(struct dis *d)
{
    const uint8_t *start = d->in.at;
    uint32_t page = 0, code = input_byte(&d->in);
    enum proposal_place place = MARK_OPCODE;
    if (code >= FIRST_PREFIX && code <= LAST_PREFIX) {
        place = (enum proposal_place)(MARK_FB + code - FIRST_PREFIX);
        page = OPCODE_PAGE(code);
        code = input_u32(&d->in);
    }
    uint16_t op = code < PAGE && page < PAGES ? opcode_of_code[page * PAGE + code] : 0;
    if (op) return (enum opcode)(op - 1);
    dis_foreign(d, start, place, code, "illegal opcode");
    return OP_NOP;
}

/* ---- indices */

void print_index(struct dis *d, enum space_kind space, uint32_t index)
{
    const struct entry_name *name = names_lookup(&d->names[space], index);
    if (!name) {
        print_format(&d->out, " %" PRIu32, index);
        return;
    }
    print_text(&d->out, " ");
    print_id(&d->out, name->bytes);
}

static uint32_t read_index(struct dis *d, enum space_kind space)
{
    uint32_t index = input_u32(&d->in);
    print_index(d, space, index);
    return index;
}

/* Index 0 may be left out. */
static void read_optional(struct dis *d, enum space_kind space)
{
    uint32_t index = input_u32(&d->in);
    if (index) print_index(d, space, index);
}

static void read_two(struct dis *d, enum space_kind first, enum space_kind second)
{
    read_index(d, first);
    read_index(d, second);
}

static void read_two_optional(struct dis *d, enum space_kind space)
{
    uint32_t to = input_u32(&d->in), from = input_u32(&d->in);
    if (to == 0 && from == 0) return;
    print_index(d, space, to);
    print_index(d, space, from);
}

/* The segment comes first in the binary, its target first in the text. */
static void read_segment(struct dis *d, enum space_kind segment, enum space_kind target)
{
    uint32_t from = input_u32(&d->in), into = input_u32(&d->in);
    if (into) print_index(d, target, into);
    print_index(d, segment, from);
}

static void read_field(struct dis *d)
{
    uint32_t type = read_index(d, SPACE_TYPE), field = input_u32(&d->in);
    const struct entry_name *name = names_of_field(d, type, field);
    print_text(&d->out, " ");
    if (name)
        print_id(&d->out, name->bytes);
    else
        print_format(&d->out, "%" PRIu32, field);
}

/* ---- labels */

static bool grow_innermost(struct dis *d)
{
    while (d->innermost_capacity < d->names[SPACE_LABEL].distinct)
        if (!dis_grow(d, &d->innermost, d->innermost_capacity, &d->innermost_capacity, sizeof *d->innermost))
            return false;
    for (uint32_t i = 0; i < d->names[SPACE_LABEL].distinct; i++) d->innermost[i] = 0;
    return true;
}

static void push_frame(struct dis *d, bool is_if)
{
    const struct entry_name *label = names_lookup(&d->names[SPACE_LABEL], d->blocks++);
    if (!dis_grow(d, &d->frames, d->frame_count, &d->frame_capacity, sizeof *d->frames)) return;
    struct dis_frame *frame = &d->frames[d->frame_count++];
    *frame = (struct dis_frame){.is_if = is_if, .label = label};
    if (!label) return;
    frame->shadowed = d->innermost[label->alike];
    d->innermost[label->alike] = d->frame_count;
}

static void pop_frame(struct dis *d)
{
    const struct dis_frame *frame = &d->frames[--d->frame_count];
    if (frame->label) d->innermost[frame->label->alike] = frame->shadowed;
}

/* By name, unless it has none or one of a block further inside. */
static void read_label(struct dis *d)
{
    uint32_t depth = input_u32(&d->in);
    uint32_t target = depth < d->frame_count ? d->frame_count - depth : 0;
    const struct entry_name *label = target ? d->frames[target - 1].label : NULL;
    print_text(&d->out, " ");
    if (label && d->innermost[label->alike] == target)
        print_id(&d->out, label->bytes);
    else
        print_format(&d->out, "%" PRIu32, depth);
}

static void read_labels(struct dis *d)
{
    for (uint32_t left = input_count(&d->in, 1); left > 0 && dis_ok(d); left--) read_label(d);
    read_label(d);
}

/* ---- other immediates */

static void read_memarg(struct dis *d, unsigned width)
{
    const uint8_t *start = d->in.at;
    uint32_t flags = input_u32(&d->in);
    if (flags >= 0x80) dis_fail(d, start, "malformed memop flags");
    if (flags & 0x40) read_optional(d, SPACE_MEMORY);
    uint64_t offset = input_u64(&d->in), align = (uint64_t)1 << (flags & 0x3F);
    if (offset) print_format(&d->out, " offset=%" PRIu64, offset);
    if (align != width) print_format(&d->out, " align=%" PRIu64, align);
}

static void read_lane(struct dis *d) { print_format(&d->out, " %u", input_byte(&d->in)); }

static void read_shuffle(struct dis *d)
{
    for (unsigned i = 0; i < 16; i++) read_lane(d);
}

static void read_v128(struct dis *d)
{
    print_text(&d->out, " i32x4");
    for (unsigned i = 0; i < 4; i++) print_format(&d->out, " 0x%08" PRIx32, (uint32_t)input_little(&d->in, 4));
}

static void read_float(struct dis *d, unsigned bits)
{
    print_text(&d->out, " ");
    print_float(&d->out, input_little(&d->in, bits / 8), bits);
}

static void read_call_indirect(struct dis *d)
{
    struct input type = d->in;
    input_u32(&d->in);
    read_optional(d, SPACE_TABLE);
    print_type_index(d, input_u32(&type));
}

static void read_select_types(struct dis *d)
{
    uint32_t count = input_count(&d->in, 1);
    if (count == 0) print_text(&d->out, " (result)");
    print_values(d, "result", count, false);
}

static void read_branch_on_cast(struct dis *d)
{
    const uint8_t *start = d->in.at;
    uint8_t flags = input_byte(&d->in);
    if (flags > 3) dis_foreign(d, start, MARK_CAST, flags, "malformed cast flags");
    read_label(d);
    print_valtype(d, VT_REF(flags & 1, dis_heaptype(d)));
    print_valtype(d, VT_REF(flags & 2, dis_heaptype(d)));
}

static void read_catch(struct dis *d)
{
    static const struct {
        const char *word;
        bool has_tag;
    } rows[] = {
#define X(word, code, has_tag) [code] = {word, has_tag},
        WAT_CATCHES(X)
#undef X
    };
    uint8_t code = input_byte(&d->in);
    if (code >= sizeof rows / sizeof *rows) {
        dis_fail(d, d->in.at - 1, "malformed catch clause");
        return;
    }
    print_format(&d->out, " (%s", rows[code].word);
    if (rows[code].has_tag) read_index(d, SPACE_TAG);
    read_label(d);
    print_text(&d->out, ")");
}

static void read_catches(struct dis *d)
{
    for (uint32_t left = input_count(&d->in, 2); left > 0 && dis_ok(d); left--) read_catch(d);
}

static void read_immediates(struct dis *d, const struct opcode_row *row)
{
    switch ((enum opcode_imm)row->imm) {
    case IMM_NONE:
        break;
    case IMM_BLOCK:
        print_block_type(d);
        break;
    case IMM_TRY_TABLE:
        print_block_type(d);
        read_catches(d);
        break;
    case IMM_LABEL:
        read_label(d);
        break;
    case IMM_LABELS:
        read_labels(d);
        break;
    case IMM_FUNC:
        read_index(d, SPACE_FUNC);
        break;
    case IMM_TYPE:
        read_index(d, SPACE_TYPE);
        break;
    case IMM_CALL_INDIRECT:
        read_call_indirect(d);
        break;
    case IMM_LOCAL:
        read_index(d, SPACE_LOCAL);
        break;
    case IMM_GLOBAL:
        read_index(d, SPACE_GLOBAL);
        break;
    case IMM_TAG:
        read_index(d, SPACE_TAG);
        break;
    case IMM_TABLE:
        read_optional(d, SPACE_TABLE);
        break;
    case IMM_TABLE_TABLE:
        read_two_optional(d, SPACE_TABLE);
        break;
    case IMM_ELEM_TABLE:
        read_segment(d, SPACE_ELEM, SPACE_TABLE);
        break;
    case IMM_ELEM:
        read_index(d, SPACE_ELEM);
        break;
    case IMM_MEM:
        read_optional(d, SPACE_MEMORY);
        break;
    case IMM_MEM_MEM:
        read_two_optional(d, SPACE_MEMORY);
        break;
    case IMM_DATA_MEM:
        read_segment(d, SPACE_DATA, SPACE_MEMORY);
        break;
    case IMM_DATA:
        read_index(d, SPACE_DATA);
        break;
    case IMM_MEMARG:
        read_memarg(d, row->width);
        break;
    case IMM_MEMARG_LANE:
        read_memarg(d, row->width);
        read_lane(d);
        break;
    case IMM_LANE:
        read_lane(d);
        break;
    case IMM_SHUFFLE:
        read_shuffle(d);
        break;
    case IMM_I32:
        print_format(&d->out, " %" PRId32, (int32_t)input_signed(&d->in, 32));
        break;
    case IMM_I64:
        print_format(&d->out, " %" PRId64, input_signed(&d->in, 64));
        break;
    case IMM_F32:
        read_float(d, 32);
        break;
    case IMM_F64:
        read_float(d, 64);
        break;
    case IMM_V128:
        read_v128(d);
        break;
    case IMM_HEAPTYPE:
        print_heaptype(d, dis_heaptype(d));
        break;
    case IMM_SELECT_TYPES:
        read_select_types(d);
        break;
    case IMM_TYPE_FIELD:
        read_field(d);
        break;
    case IMM_TYPE_N:
        read_index(d, SPACE_TYPE);
        print_format(&d->out, " %" PRIu32, input_u32(&d->in));
        break;
    case IMM_TYPE_DATA:
        read_two(d, SPACE_TYPE, SPACE_DATA);
        break;
    case IMM_TYPE_ELEM:
        read_two(d, SPACE_TYPE, SPACE_ELEM);
        break;
    case IMM_TYPE_TYPE:
        read_two(d, SPACE_TYPE, SPACE_TYPE);
        break;
    case IMM_BR_CAST:
        read_branch_on_cast(d);
        break;
    }
}

/* ---- instructions */

/* The rows whose text is not the keyword alone, or whose immediate is written as a whole type. */
static bool print_special(struct dis *d, enum opcode op)
{
    bool test = op == OP_REF_TEST || op == OP_REF_TEST_NULL,
         nullable = op == OP_REF_TEST_NULL || op == OP_REF_CAST_NULL;
    if (op == OP_SELECT_T) {
        print_text(&d->out, opcode_rows[OP_SELECT].text);
        read_select_types(d);
        return true;
    }
    if (!test && op != OP_REF_CAST && op != OP_REF_CAST_NULL) return false;
    print_text(&d->out, opcode_rows[test ? OP_REF_TEST : OP_REF_CAST].text);
    print_valtype(d, VT_REF(nullable, dis_heaptype(d)));
    return true;
}

static void print_instruction(struct dis *d, enum opcode op, const uint8_t *start)
{
    const struct opcode_row *row = &opcode_rows[op];
    bool names_data = row->imm == IMM_DATA || row->imm == IMM_DATA_MEM || row->imm == IMM_TYPE_DATA;
    if (names_data && !d->sections[SECTION_DATA_COUNT].bytes) dis_fail(d, start, "data count section required");
    bool block = row->imm == IMM_BLOCK || row->imm == IMM_TRY_TABLE;
    if (print_special(d, op)) return;
    print_text(&d->out, row->text);
    const struct entry_name *label = block ? names_lookup(&d->names[SPACE_LABEL], d->blocks) : NULL;
    if (label) {
        print_text(&d->out, " ");
        print_id(&d->out, label->bytes);
    }
    read_immediates(d, row); /* catch clauses are outside of the block that they belong to */
    if (block) push_frame(d, op == OP_IF);
}

static void take_else(struct dis *d, const uint8_t *start)
{
    struct dis_frame *frame = d->frame_count ? &d->frames[d->frame_count - 1] : NULL;
    if (!frame || !frame->is_if)
        dis_fail(d, start, "else without if");
    else
        frame->is_if = false;
}

static void separate(struct dis *d, bool lines, bool closes)
{
    uint32_t depth = d->frame_count - (closes && d->frame_count ? 1 : 0);
    if (lines)
        print_line(&d->out, 4 + 2 * (depth < DEEPEST ? depth : DEEPEST));
    else
        print_text(&d->out, " ");
}

/* To the end that matches no block, which is read and not printed. */
static void print_code(struct dis *d, bool lines)
{
    d->frame_count = d->blocks = 0;
    if (!grow_innermost(d)) return;
    while (dis_ok(d)) {
        const uint8_t *start = d->in.at;
        enum opcode op = read_opcode(d);
        if (op == OP_END && d->frame_count == 0) return;
        separate(d, lines, op == OP_END || op == OP_ELSE);
        if (op == OP_ELSE) take_else(d, start);
        if (op == OP_END) pop_frame(d);
        print_instruction(d, op, start);
    }
}

void print_expression(struct dis *d)
{
    d->names[SPACE_LOCAL].count = 0;
    d->names[SPACE_LABEL].count = d->names[SPACE_LABEL].distinct = 0;
    print_code(d, false);
}

void print_body(struct dis *d)
{
    print_code(d, true);
    dis_end_section(d);
}
