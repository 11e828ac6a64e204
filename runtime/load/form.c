/* runtime/load/form.c -- is a module that is invalid malformed, too? The specification decodes a whole module before
 * it validates any of it, so one that is both is malformed. The decoder validates as it goes, and stops where it is
 * refused; only then is all of it read once more, here, for its form alone (3.0, 5).
 *
 * Nothing is kept of what is read, and no index is looked up: so nothing here depends on what was valid. */
#include "runtime/load/load.h"
#include <stdlib.h>

enum { HEADER_BYTES = 8 };

struct form {
    struct decoder *d;
    struct cursor c;
    uint64_t nfuncs, nbodies, ndatas, data_count;
    bool has_data_count, uses_data; /* by an instruction in a function */
    uint8_t *blocks;                /* open ones of an expression: may an ELSE come? */
    uint32_t nblocks, cap_blocks;
};

static uint8_t next(const struct form *f) { return f->c.at < f->c.end ? *f->c.at : 0; }
static bool go_on(struct form *f) { return decoder_poll(f->d, &f->c); }

static uint32_t vector(struct form *f)
{
    uint32_t start = cursor_offset(&f->c), n = cursor_u32(&f->c);
    if (n > cursor_left(&f->c)) malformed_at(&f->c, start, "length out of bounds");
    return cursor_ok(&f->c) ? n : 0;
}

/* ---- Types */
static void heap_type(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c);
    int64_t code = cursor_s33(&f->c);
    bool known = code >= 0 || (code >= -64 && vt_is_ref(valtype_of_byte((uint8_t)(code & 0x7F))));
    if (!known) cursor_foreign(&f->c, offset, MARK_TYPE, (uint32_t)code & 0x7F, "malformed heap type");
}

static void val_type(struct form *f, bool ref, const char *text)
{
    uint32_t offset = cursor_offset(&f->c);
    uint8_t byte = cursor_u8(&f->c);
    valtype t = valtype_of_byte(byte);
    if (byte == BYTE_REF || byte == BYTE_REF_NULL)
        heap_type(f);
    else if (t == VT_BOT || (ref && !vt_is_ref(t)))
        cursor_foreign(&f->c, offset, MARK_TYPE, byte, text);
}

static void val_types(struct form *f)
{
    for (uint32_t n = vector(f); n > 0 && go_on(f); n--) val_type(f, false, "malformed value type");
}

static void mutability(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c);
    uint8_t mut = cursor_u8(&f->c);
    if (mut > 1) cursor_foreign(&f->c, offset, MARK_MUTABILITY, mut, "malformed mutability");
}

static void field(struct form *f)
{
    if (next(f) == BYTE_I8 || next(f) == BYTE_I16)
        f->c.at++;
    else
        val_type(f, false, "malformed value type");
    mutability(f);
}

static void sub_type(struct form *f)
{
    if (next(f) == BYTE_SUB || next(f) == BYTE_SUB_FINAL) {
        f->c.at++;
        for (uint32_t n = vector(f); n > 0 && go_on(f); n--) cursor_u32(&f->c);
    }
    uint32_t offset = cursor_offset(&f->c);
    uint8_t code = cursor_u8(&f->c);
    switch (code) {
    case BYTE_FUNC:
        val_types(f);
        val_types(f);
        break;
    case BYTE_STRUCT:
        for (uint32_t n = vector(f); n > 0 && go_on(f); n--) field(f);
        break;
    case BYTE_ARRAY:
        field(f);
        break;
    default:
        cursor_foreign(&f->c, offset, MARK_TYPE, code, "malformed composite type");
    }
}

static void type(struct form *f)
{
    uint32_t n = 1;
    if (next(f) == BYTE_REC) {
        f->c.at++;
        n = vector(f);
    }
    for (; n > 0 && go_on(f); n--) sub_type(f);
}

static void limits(struct form *f, enum proposal_place place)
{
    uint32_t offset = cursor_offset(&f->c);
    uint8_t flags = cursor_u8(&f->c);
    if (flags & ~(LIMITS_MAX | LIMITS_64)) cursor_foreign(&f->c, offset, place, flags, "malformed limits flags");
    cursor_u64(&f->c);
    if (flags & LIMITS_MAX) cursor_u64(&f->c);
}

/* ---- Instructions */
static void block_type(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c);
    uint8_t byte = next(f);
    if (byte == BYTE_EMPTY)
        f->c.at++;
    else if (byte == BYTE_REF || byte == BYTE_REF_NULL || valtype_of_byte(byte) != VT_BOT)
        val_type(f, false, "malformed value type");
    else if (cursor_s33(&f->c) < 0)
        cursor_foreign(&f->c, offset, MARK_TYPE, byte, "malformed block type");
}

static void memarg(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c), flags = cursor_u32(&f->c);
    if (flags >= 2 * MEMARG_MEMORY) malformed_at(&f->c, offset, "malformed memop flags");
    if (flags & MEMARG_MEMORY) cursor_u32(&f->c);
    cursor_u64(&f->c);
}

static void catches(struct form *f)
{
    for (uint32_t n = vector(f); n > 0 && go_on(f); n--) {
        uint32_t offset = cursor_offset(&f->c);
        uint8_t kind = cursor_u8(&f->c);
        if (kind >= CATCH_KINDS) malformed_at(&f->c, offset, "malformed catch clause");
        if (kind < CATCH_ALL) cursor_u32(&f->c);
        cursor_u32(&f->c);
    }
}

static void br_cast(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c);
    uint8_t flags = cursor_u8(&f->c);
    if (flags > (CAST_FROM_NULL | CAST_TO_NULL))
        cursor_foreign(&f->c, offset, MARK_CAST, flags, "malformed br_on_cast flags");
    cursor_u32(&f->c);
    heap_type(f);
    heap_type(f);
}

static void numbers(struct form *f, uint32_t n)
{
    for (; n > 0; n--) cursor_u32(&f->c);
}

static void immediates(struct form *f, enum opcode_imm imm)
{
    f->uses_data |= imm == IMM_DATA || imm == IMM_DATA_MEM || imm == IMM_TYPE_DATA;
    switch (imm) {
    case IMM_NONE:
        break;
    case IMM_BLOCK:
        block_type(f);
        break;
    case IMM_TRY_TABLE:
        block_type(f);
        catches(f);
        break;
    case IMM_LABELS:
        for (uint32_t n = vector(f); n > 0 && go_on(f); n--) cursor_u32(&f->c);
        cursor_u32(&f->c);
        break;
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_TYPE:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_ELEM:
    case IMM_MEM:
    case IMM_DATA:
    case IMM_TAG:
        numbers(f, 1);
        break;
    case IMM_CALL_INDIRECT:
    case IMM_TABLE_TABLE:
    case IMM_ELEM_TABLE:
    case IMM_MEM_MEM:
    case IMM_DATA_MEM:
    case IMM_TYPE_FIELD:
    case IMM_TYPE_N:
    case IMM_TYPE_DATA:
    case IMM_TYPE_ELEM:
    case IMM_TYPE_TYPE:
        numbers(f, 2);
        break;
    case IMM_MEMARG:
        memarg(f);
        break;
    case IMM_MEMARG_LANE:
        memarg(f);
        cursor_u8(&f->c);
        break;
    case IMM_LANE:
        cursor_u8(&f->c);
        break;
    case IMM_SHUFFLE:
    case IMM_V128:
        cursor_bytes(&f->c, 16);
        break;
    case IMM_I32:
        cursor_s32(&f->c);
        break;
    case IMM_I64:
        cursor_s64(&f->c);
        break;
    case IMM_F32:
        cursor_bytes(&f->c, 4);
        break;
    case IMM_F64:
        cursor_bytes(&f->c, 8);
        break;
    case IMM_HEAPTYPE:
        heap_type(f);
        break;
    case IMM_SELECT_TYPES:
        val_types(f);
        break;
    case IMM_BR_CAST:
        br_cast(f);
        break;
    }
}

static void open_block(struct form *f, bool may_else)
{
    if (!decoder_reserve(&f->c, (void **)&f->blocks, &f->cap_blocks, f->nblocks, 1, 1)) return;
    f->blocks[f->nblocks++] = may_else;
}

/* Up to the END that closes it. */
static void expression(struct form *f)
{
    f->nblocks = 0;
    open_block(f, false);
    while (f->nblocks > 0 && go_on(f)) {
        uint32_t offset = cursor_offset(&f->c);
        uint16_t op;
        if (!opcode_read(&f->c, &op)) return;
        immediates(f, (enum opcode_imm)opcode_rows[op].imm);
        if (op == OP_BLOCK || op == OP_LOOP || op == OP_IF || op == OP_TRY_TABLE) open_block(f, op == OP_IF);
        if (op == OP_ELSE && !f->blocks[f->nblocks - 1]) malformed_at(&f->c, offset, "misplaced ELSE opcode");
        if (op == OP_ELSE) f->blocks[f->nblocks - 1] = false;
        if (op == OP_END) f->nblocks--;
    }
}

/* ---- Sections */
static void read_table_type(struct form *f)
{
    val_type(f, true, "malformed reference type");
    limits(f, MARK_TABLE_LIMITS);
}

static void read_global_type(struct form *f)
{
    val_type(f, false, "malformed value type");
    mutability(f);
}

static void memory(struct form *f) { limits(f, MARK_MEMORY_LIMITS); }

static void tag(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c);
    if (cursor_u8(&f->c) != 0) malformed_at(&f->c, offset, "malformed tag attribute");
    cursor_u32(&f->c);
}

static void import(struct form *f)
{
    cursor_name(&f->c);
    cursor_name(&f->c);
    uint32_t offset = cursor_offset(&f->c);
    uint8_t kind = cursor_u8(&f->c);
    switch (kind) {
    case EXTERN_FUNC:
        cursor_u32(&f->c);
        break;
    case EXTERN_TABLE:
        read_table_type(f);
        break;
    case EXTERN_MEMORY:
        memory(f);
        break;
    case EXTERN_GLOBAL:
        read_global_type(f);
        break;
    case EXTERN_TAG:
        tag(f);
        break;
    default:
        cursor_foreign(&f->c, offset, MARK_IMPORT, kind, "malformed import kind");
    }
}

static void function(struct form *f)
{
    cursor_u32(&f->c);
    f->nfuncs++;
}

static void table(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c);
    bool has_init = next(f) == BYTE_TABLE_INIT;
    if (has_init) {
        f->c.at++;
        if (cursor_u8(&f->c) != 0) malformed_at(&f->c, offset, "malformed table: zero byte expected");
    }
    read_table_type(f);
    if (has_init) expression(f);
}

static void global(struct form *f)
{
    read_global_type(f);
    expression(f);
}

static void export(struct form *f)
{
    cursor_name(&f->c);
    uint32_t offset = cursor_offset(&f->c);
    if (cursor_u8(&f->c) > EXTERN_TAG) malformed_at(&f->c, offset, "malformed export kind");
    cursor_u32(&f->c);
}

static void elem(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c), flags = cursor_u32(&f->c);
    if (flags > 7) cursor_foreign(&f->c, offset, MARK_SEGMENT, flags, "malformed elements segment kind");
    if (!(flags & ELEM_NOT_ACTIVE)) {
        if (flags & ELEM_EXPLICIT) cursor_u32(&f->c);
        expression(f);
    }
    offset = cursor_offset(&f->c);
    bool typed = flags & (ELEM_NOT_ACTIVE | ELEM_EXPLICIT), expressions = flags & ELEM_EXPRESSIONS;
    if (typed && expressions)
        val_type(f, true, "malformed reference type");
    else if (typed && cursor_u8(&f->c) != 0)
        malformed_at(&f->c, offset, "malformed element kind");
    for (uint32_t n = vector(f); n > 0 && go_on(f); n--) {
        if (expressions)
            expression(f);
        else
            cursor_u32(&f->c);
    }
}

static void code(struct form *f)
{
    struct cursor outer = f->c;
    uint32_t size = cursor_u32(&outer);
    uint64_t locals = 0;
    f->c = cursor_sub(&outer, size);
    for (uint32_t n = vector(f); n > 0 && go_on(f); n--) {
        uint32_t offset = cursor_offset(&f->c);
        locals += cursor_u32(&f->c);
        if (locals > UINT32_MAX) malformed_at(&f->c, offset, "too many locals");
        val_type(f, false, "malformed value type");
    }
    expression(f);
    cursor_done(&f->c, "section size mismatch: bytes after the function's END");
    f->c = outer;
    f->nbodies++;
}

static void data(struct form *f)
{
    uint32_t offset = cursor_offset(&f->c), flags = cursor_u32(&f->c);
    if (flags > DATA_EXPLICIT) cursor_foreign(&f->c, offset, MARK_SEGMENT, flags, "malformed data segment kind");
    if (flags == DATA_EXPLICIT) cursor_u32(&f->c);
    if (flags != DATA_PASSIVE) expression(f);
    uint32_t size = cursor_u32(&f->c);
    cursor_bytes(&f->c, size);
    f->ndatas++;
}

/* By id: what a section is a vector of. */
static void (*const items[SECTION_IDS])(struct form *f) = {
    [1] = type,   [2] = import, [3] = function, [4] = table, [5] = memory, [6] = global,
    [7] = export, [9] = elem,   [10] = code,    [11] = data, [13] = tag,
};

static void section(struct form *f, uint8_t id)
{
    if (id == SECTION_CUSTOM) {
        cursor_name(&f->c);
        return;
    }
    if (id == SECTION_START) {
        cursor_u32(&f->c);
    } else if (id == SECTION_DATA_COUNT) {
        f->has_data_count = true;
        f->data_count = cursor_u32(&f->c);
    } else {
        bool in_code = id == SECTION_CODE, used = f->uses_data;
        for (uint32_t n = vector(f); n > 0 && go_on(f); n--) items[id](f);
        if (!in_code) f->uses_data = used;
    }
    cursor_done(&f->c, "section size mismatch");
}

static void finish(struct form *f)
{
    uint32_t end = cursor_offset(&f->c);
    if (f->nfuncs != f->nbodies) malformed_at(&f->c, end, "function and code section have inconsistent lengths");
    if (f->has_data_count && f->data_count != f->ndatas)
        malformed_at(&f->c, end, "data count and data section have inconsistent lengths");
    if (f->uses_data && !f->has_data_count) malformed_at(&f->c, end, "data count section required");
}

void form_check(struct decoder *d)
{
    const struct module *m = d->module;
    struct rt_error err = {.status = HEMI_OK};
    struct form f = {.d = d};
    struct cursor whole = {
        .base = m->bytes, .at = m->bytes, .end = m->bytes + m->size, .err = &err, .end_text = "unexpected end"};
    uint8_t id;
    d->poll_at = DECODE_POLL_BYTES;
    d->last_rank = 0;
    whole.at += HEADER_BYTES; /* which was right */
    while (decode_section_head(d, &whole, &id, &f.c)) {
        section(&f, id);
        decoder_poll(d, &whole);
    }
    f.c = whole;
    finish(&f);
    free(f.blocks);
    bool other = err.status == HEMI_INVALID_MODULE ? err.malformed : err.status != HEMI_OK && err.status != HEMI_LIMIT;
    if (other) *d->err = err;
}
