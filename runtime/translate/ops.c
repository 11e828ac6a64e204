/* runtime/translate/ops.c -- numbers, memory, locals, globals, tables and helpers: instructions without control flow.
 */
#include "base/check.h"
#include "runtime/translate/impl.h"

/* ---- Operands */

bool const_fits(const struct value *v, char type)
{
    return v->loc != LOC_CONST || type != 'I' || (uint64_t)(int64_t)(int32_t)(uint32_t)v->bits == v->bits;
}

static bool is_slot(const struct value *v) { return v->loc == LOC_LOCAL || v->loc == LOC_SLOT; }

uint32_t pair_kind(const struct value *a, const struct value *b)
{
    if (is_slot(a)) return is_slot(b) ? 0 : b->loc == LOC_CONST ? 1 : 3;
    CHECK_DEBUG(a->loc == LOC_REG && b->loc != LOC_REG, ".reg");
    return is_slot(b) ? 2 : 4;
}

static char kind_letter(const struct value *v) { return v->loc == LOC_REG ? 'R' : v->loc == LOC_CONST ? 'C' : 'S'; }

uint32_t triple_kind(const struct value *a, const struct value *b, const struct value *c)
{
    static const char kinds[][4] = {"SSS", "SSR", "SSC", "SCS", "SCR", "SCC", "SRS", "SRC", "RSS", "RSC", "RCS", "RCC"};
    uint32_t k = 0;
    while (kinds[k][0] != kind_letter(a) || kinds[k][1] != kind_letter(b) || kinds[k][2] != kind_letter(c)) k++;
    return k;
}

uint32_t emit_unary(struct translator *t, uint32_t base, char ta, uint32_t flags, uint16_t *op)
{
    struct value a = pop(t);
    no_const(t, &a);
    from_mirror(t, &a);
    free_reg(t);
    *op = (uint16_t)(base + (a.loc == LOC_REG ? 2 : 0));
    uint32_t pos = emit(t, *op);
    if (flags & TRAPS) emit_line(t, pos);
    emit_operand(t, &a, ta);
    return pos;
}

static uint32_t emit_pair(struct translator *t, uint32_t op, const struct value *a, const struct value *b, char ta,
                          char tb, uint32_t flags)
{
    uint32_t pos = emit(t, op);
    if (flags & TRAPS) emit_line(t, pos);
    emit_operand(t, a, ta);
    emit_operand(t, b, tb);
    return pos;
}

/* Pops b and a, of which a is not a constant afterwards, and b only one that fits. */
static void pop_pair(struct translator *t, struct value *a, struct value *b, char tb, bool swap)
{
    *b = pop(t);
    *a = pop(t);
    if (a->loc == LOC_CONST && swap && b->loc != LOC_CONST) {
        struct value c = *a;
        *a = *b;
        *b = c;
    }
    no_const(t, a);
    if (!const_fits(b, tb)) no_const(t, b);
    from_mirror(t, a);
    if (a->loc != LOC_REG) from_mirror(t, b);
    free_reg(t);
}

uint32_t emit_binary(struct translator *t, uint32_t base, char ta, char tb, uint32_t flags, uint16_t *op)
{
    struct value a, b;
    pop_pair(t, &a, &b, tb, flags & COMMUTES);
    *op = (uint16_t)(base + 2 * pair_kind(&a, &b));
    return emit_pair(t, *op, &a, &b, ta, tb, flags);
}

void unary_imm(struct translator *t, uint32_t base, char ta, uint32_t imm, uint8_t slot)
{
    uint16_t op;
    uint32_t pos = emit_unary(t, base, ta, TRAPS, &op);
    emit_u32(t, imm);
    push_reg(t, op, pos, slot);
}

void nullary_imm(struct translator *t, uint32_t op, uint32_t imm, uint8_t slot)
{
    free_reg(t);
    uint32_t pos = emit(t, op);
    emit_u32(t, imm);
    push_reg(t, op, pos, slot);
}

/* ---- Regular rows */

static void canonical_nan(struct translator *t, uint32_t base, char type)
{
    uint16_t op;
    uint32_t pos = emit_unary(t, base, type, 0, &op);
    push_reg(t, op, pos, HEAP_SLOT_DATA);
}

static void push_number(struct translator *t, const struct body_row *row, uint16_t op, uint32_t pos)
{
    push_reg(t, op, pos, HEAP_SLOT_DATA);
    if (wants_canonical(t, row->flags))
        canonical_nan(t, row->flags & NAN32 ? VM_CANONICAL_F32_S_R : VM_CANONICAL_F64_S_R, row->tr);
}

static void tr_unary(struct translator *t, const struct body_row *row)
{
    uint16_t op;
    uint32_t pos = emit_unary(t, row->base, row->ta, row->flags, &op);
    push_number(t, row, op, pos);
}

static void tr_binary(struct translator *t, uint32_t opcode)
{
    const struct body_row *row = &body_rows[opcode];
    uint16_t op;
    if (fuse_shift(t, opcode) || (row->ta == 'I' && with_c64(t, opcode))) return;
    uint32_t pos = emit_binary(t, row->base, row->ta, row->tb, row->flags, &op);
    push_number(t, row, op, pos);
}

enum { PAIR_VALUES = 10, TEST_VALUES = 4, BRANCH_FORMS = 4 }; /* handlers of a COMPARE or TEST before its branches */

static void tr_compare(struct translator *t, uint32_t opcode)
{
    const struct body_row *row = &body_rows[opcode];
    struct value a, b;
    if (top(t, 1)->loc == LOC_CONST && top(t, 0)->loc != LOC_CONST) {
        opcode = row->swapped;
        row = &body_rows[opcode];
    }
    keep_step(t);
    pop_pair(t, &a, &b, row->tb, true);
    uint32_t kind = pair_kind(&a, &b);
    uint16_t op = (uint16_t)(row->base + 2 * kind);
    uint32_t pos = emit_pair(t, op, &a, &b, row->ta, row->tb, 0);
    t->last.branch = (uint16_t)(row->base + PAIR_VALUES + BRANCH_FORMS * kind);
    t->last.of = (uint16_t)opcode;
    push_reg(t, op, pos, HEAP_SLOT_DATA);
}

void test_row(struct translator *t, uint32_t base, char ta, bool has_imm, uint32_t imm)
{
    uint16_t op;
    uint32_t pos = emit_unary(t, base, ta, 0, &op);
    if (has_imm) emit_u32(t, imm);
    t->last.branch = (uint16_t)(base + TEST_VALUES + (op != base ? BRANCH_FORMS : 0));
    push_reg(t, op, pos, HEAP_SLOT_DATA);
}

bool is_quick(const struct translator *t, const struct insn *i)
{
    return i->index == 0 && !t->m->memories[0].limits.is64;
}

void emit_memarg(struct translator *t, const struct insn *i)
{
    emit_u32(t, i->index);
    emit_u64(t, i->imm);
}

static void tr_load_any(struct translator *t, const struct body_row *row, const struct insn *i)
{
    struct value a = pop(t);
    in_slot(t, &a);
    free_reg(t);
    uint16_t op = (uint16_t)(row->base + LOAD_ANY_FORM);
    uint32_t pos = emit(t, op);
    emit_line(t, pos);
    emit_operand(t, &a, 'I');
    emit_memarg(t, i);
    push_reg(t, op, pos, HEAP_SLOT_DATA);
}

static void tr_load(struct translator *t, const struct body_row *row, const struct insn *i)
{
    struct value a = pop(t);
    if (fuse_load(t, row, &a, (uint32_t)i->imm)) return;
    from_mirror(t, &a);
    free_reg(t);
    uint16_t op = (uint16_t)(row->base + (a.loc == LOC_REG ? 2 : a.loc == LOC_CONST ? 4 : 0));
    uint32_t pos = emit(t, op);
    emit_line(t, pos);
    emit_operand(t, &a, 'i');
    emit_u32(t, (uint32_t)i->imm);
    push_reg(t, op, pos, HEAP_SLOT_DATA);
}

static void tr_store_any(struct translator *t, const struct body_row *row, const struct insn *i)
{
    struct value b = pop(t), a = pop(t);
    in_slot(t, &a);
    in_slot(t, &b);
    free_reg(t);
    emit_pair(t, row->base + STORE_ANY_FORM, &a, &b, 'I', row->tb, TRAPS);
    emit_memarg(t, i);
}

static void tr_store(struct translator *t, const struct body_row *row, const struct insn *i)
{
    struct value b = pop(t), a = pop(t);
    if (fuse_store(t, row, &a, &b, (uint32_t)i->imm)) return;
    from_mirror(t, &a);
    if (a.loc != LOC_REG) from_mirror(t, &b);
    free_reg(t);
    uint32_t const_a = is_slot(&b) ? 5 : b.loc == LOC_REG ? 6 : 7; /* CS CR CC */
    uint32_t kind = a.loc == LOC_CONST ? const_a : pair_kind(&a, &b);
    uint32_t mirror = t->mirror;
    emit_pair(t, row->base + kind, &a, &b, 'i', row->tb, TRAPS);
    emit_u32(t, (uint32_t)i->imm);
    t->mirror = mirror; /* a store leaves r0 alone */
}

/* ---- Helpers */

void help(struct translator *t, uint32_t helper, uint32_t nparams, uint32_t nresults, uint32_t a, uint32_t b,
          uint8_t slot)
{
    free_reg(t);
    flush_top(t, nparams);
    uint32_t first = home_of(t, t->nvals - nparams), end = home_of(t, t->nvals) + nresults;
    uint32_t site = add_site(t, end + 1, 0);
    emit(t, VM_HELP);
    emit_u16(t, first);
    emit_u16(t, end + 1);
    emit_u32(t, site);
    emit_u32(t, helper);
    emit_u32(t, a);
    emit_u32(t, b);
    truncate_stack(t, t->nvals - nparams);
    if (nresults > 0) push_home(t, slot);
}

static uint32_t helped_arg(const struct insn *i, uint32_t arg)
{
    switch (arg) {
    case ARG_index:
        return i->index;
    case ARG_index2:
        return i->index2;
    case ARG_local_type:
        return i->local_type;
    case ARG_local_type2:
        return i->local_type2;
    default:
        return 0;
    }
}

static void tr_helped(struct translator *t, const struct insn *i)
{
    const struct helped_row *row = &helped_rows[i->op];
    bool is_ref = i->op == OP_ARRAY_NEW_DATA || i->op == OP_ARRAY_NEW_ELEM;
    uint32_t nparams = row->nparams;
    if (i->op == OP_ARRAY_FILL) nparams += valtype_slots(i->type) - 1;
    if (nparams == VARIES) nparams = types_get(t->e->types, t->m->tags[i->index])->param_slots; /* throw */
    help(t, row->helper, nparams, row->nresults, helped_arg(i, row->a), helped_arg(i, row->b),
         is_ref ? HEAP_SLOT_REF : HEAP_SLOT_DATA);
}

/* The operands are wherever they are; should the helper have to be called, the instruction puts them home. */
static void bulk(struct translator *t, uint32_t base)
{
    struct value c = pop(t), b = pop(t), a = pop(t);
    no_const(t, &a);
    free_reg(t);
    uint32_t scratch = a.home, delta = scratch + 3u + 1u, site = add_site(t, delta, 0);
    uint32_t pos = emit(t, base + triple_kind(&a, &b, &c));
    emit_line(t, pos);
    emit_operand(t, &a, 'i');
    emit_operand(t, &b, 'i');
    emit_operand(t, &c, 'i');
    emit_u16(t, scratch);
    emit_u16(t, delta);
    emit_u32(t, site);
}

void tr_memory_copy(struct translator *t, const struct insn *i)
{
    if (is_quick(t, i) && i->index2 == 0)
        bulk(t, VM_MEMORY_COPY_0_SSS);
    else
        tr_helped(t, i);
}

void tr_memory_fill(struct translator *t, const struct insn *i)
{
    if (is_quick(t, i))
        bulk(t, VM_MEMORY_FILL_0_SSS);
    else
        tr_helped(t, i);
}

/* ---- Constants, locals, globals */

void tr_nop(struct translator *t, const struct insn *i) { (void)t, (void)i; }
void tr_const(struct translator *t, const struct insn *i) { push_const(t, i->imm, HEAP_SLOT_DATA); }

void tr_local_get(struct translator *t, const struct insn *i)
{
    uint32_t slot = t->local_at[i->index];
    push_local(t, slot);
    if (i->type == VT_V128) push_local(t, slot + 1);
}

void tr_local_set(struct translator *t, const struct insn *i)
{
    uint32_t slot = t->local_at[i->index];
    if (i->type == VT_V128)
        set_wide_local(t, slot);
    else
        put_local(t, slot, pop(t));
}

void tr_local_tee(struct translator *t, const struct insn *i)
{
    tr_local_set(t, i);
    tr_local_get(t, i);
}

void tr_drop(struct translator *t, const struct insn *i)
{
    if (i->type == VT_V128) pop(t);
    pop(t);
}

/* Kinds of a and b: SS SC CS CC; of the condition: S R. */
static void select_one(struct translator *t)
{
    struct value c = pop(t), b = pop(t), a = pop(t);
    uint8_t slot = a.slot != HEAP_SLOT_DATA ? a.slot : b.slot;
    no_const(t, &c);
    if (a.loc == LOC_REG) in_slot(t, &a);
    if (b.loc == LOC_REG) in_slot(t, &b);
    from_mirror(t, &c);
    free_reg(t);
    uint32_t kind = (a.loc == LOC_CONST ? 2u : 0u) + (b.loc == LOC_CONST ? 1u : 0u);
    uint16_t op = (uint16_t)(VM_SELECT_ANY_SSS_R + 4 * kind + (c.loc == LOC_REG ? 2 : 0));
    uint32_t pos = emit(t, op);
    emit_operand(t, &a, 'D');
    emit_operand(t, &b, 'D');
    emit_operand(t, &c, 'i');
    push_reg(t, op, pos, slot);
}

void tr_select(struct translator *t, const struct insn *i)
{
    if (i->type == VT_V128)
        select_wide(t);
    else
        select_one(t);
}

void tr_global_get(struct translator *t, const struct insn *i)
{
    if (i->type == VT_V128) {
        get_wide_global(t, i->index);
        return;
    }
    nullary_imm(t, VM_GLOBAL_GET_64_R, i->index, (uint8_t)valtype_slot(t->e->types, t->m->globals[i->index].type));
}

void tr_global_set(struct translator *t, const struct insn *i)
{
    if (i->type == VT_V128) {
        set_wide_global(t, i->index);
        return;
    }
    struct value v = pop(t);
    uint32_t op = v.loc == LOC_REG ? VM_GLOBAL_SET_64_R : v.loc == LOC_CONST ? VM_GLOBAL_SET_64_C : VM_GLOBAL_SET_64_S;
    emit(t, op);
    emit_operand(t, &v, 'D');
    emit_u32(t, i->index);
}

/* ---- Tables and memories */

static uint8_t table_slot(const struct translator *t, uint32_t table)
{
    return (uint8_t)valtype_slot(t->e->types, t->m->tables[table].type);
}

void tr_table_get(struct translator *t, const struct insn *i)
{
    unary_imm(t, VM_TABLE_GET_X_S_R, 'I', i->index, table_slot(t, i->index));
}

void tr_table_set(struct translator *t, const struct insn *i)
{
    struct value a, b;
    pop_pair(t, &a, &b, 'i', false);
    emit_pair(t, VM_TABLE_SET_X_SS + pair_kind(&a, &b), &a, &b, 'I', 'i', TRAPS);
    emit_u32(t, i->index);
}

void tr_table_size(struct translator *t, const struct insn *i)
{
    nullary_imm(t, VM_TABLE_SIZE_X_R, i->index, HEAP_SLOT_DATA);
}

void tr_memory_size(struct translator *t, const struct insn *i)
{
    nullary_imm(t, VM_MEMORY_SIZE_X_R, i->index, HEAP_SLOT_DATA);
}

/* ---- Comparisons with zero, references as numbers */

/* A comparison of integers just made is turned round instead of compared with zero. */
void tr_eqz(struct translator *t, const struct insn *i)
{
    (void)i;
    struct value *v = top(t, 0);
    const struct last *last = &t->last;
    uint32_t inverse = last->of != OP_COUNT ? body_rows[last->of].inverse : OP_COUNT;
    bool just_made = v->loc == LOC_REG && v->pos == last->pos && last->branch != 0;
    if (!just_made || inverse == OP_COUNT) {
        test_row(t, VM_I32_EQZ_S_R, 'i', false, 0);
        return;
    }
    uint32_t kind = (v->op - body_rows[last->of].base) / 2u;
    struct value old = pop(t);
    uint32_t len = t->code.len;
    t->code.len = old.pos;
    t->last = t->prev;
    emit(t, body_rows[inverse].base + 2 * kind);
    t->code.len = len; /* the operands stay as they are */
    t->last.branch = (uint16_t)(body_rows[inverse].base + PAIR_VALUES + BRANCH_FORMS * kind);
    t->last.of = (uint16_t)inverse;
    push_reg(t, t->last.op, old.pos, HEAP_SLOT_DATA);
}

void tr_ref_is_null(struct translator *t, const struct insn *i)
{
    (void)i;
    test_row(t, VM_I32_EQZ_S_R, 'i', false, 0);
}

void tr_ref_eq(struct translator *t, const struct insn *i)
{
    (void)i;
    tr_compare(t, OP_I32_EQ);
}

void tr_ref_null(struct translator *t, const struct insn *i)
{
    push_const(t, 0, (uint8_t)valtype_slot(t->e->types, i->type));
}

void tr_ref_func(struct translator *t, const struct insn *i)
{
    uint32_t imports = t->m->nimported_funcs;
    if (i->index < imports)
        nullary_imm(t, VM_REF_FUNC_IMPORTED_R, i->index, HEAP_SLOT_FUNC);
    else
        nullary_imm(t, VM_REF_FUNC_DEFINED_R, i->index - imports, HEAP_SLOT_FUNC);
}

static void unary_of_slot(struct translator *t, uint32_t base, uint32_t flags, uint8_t slot)
{
    uint16_t op;
    uint32_t pos = emit_unary(t, base, 'i', flags, &op);
    push_reg(t, op, pos, slot);
}

void tr_ref_as_non_null(struct translator *t, const struct insn *i)
{
    (void)i;
    unary_of_slot(t, VM_REF_AS_NON_NULL_S_R, TRAPS, top(t, 0)->slot);
}

void tr_ref_i31(struct translator *t, const struct insn *i)
{
    (void)i;
    unary_of_slot(t, VM_REF_I31_S_R, 0, HEAP_SLOT_REF);
}

/* ---- All of them */

typedef void tr_handler(struct translator *t, const struct insn *i);
static tr_handler *const handlers[OP_COUNT] = {
#define X(op, function) [OP_##op] = function,
    TRANSLATE_HANDLERS(X)
#undef X
};

static void tr_regular(struct translator *t, const struct insn *i)
{
    const struct body_row *row = &body_rows[i->op];
    switch (row->class) {
    case BODY_UNARY:
        tr_unary(t, row);
        break;
    case BODY_BINARY:
        tr_binary(t, i->op);
        break;
    case BODY_COMPARE:
        tr_compare(t, i->op);
        break;
    case BODY_TEST:
        test_row(t, row->base, row->ta, false, 0);
        break;
    case BODY_SIMD:
        tr_simd(t, i);
        break;
    case BODY_LOAD:
        (is_quick(t, i) ? tr_load : tr_load_any)(t, row, i);
        break;
    case BODY_STORE:
        (is_quick(t, i) ? tr_store : tr_store_any)(t, row, i);
        break;
    default:
        CHECK_DEBUG(helped_rows[i->op].is && i->op < OP_COUNT, ".step");
        tr_helped(t, i);
    }
}

/* Is the topmost operand where .home, .reg and .unused say? */
static bool top_is_well(const struct translator *t)
{
    if (t->nvals == 0) return t->nrefs == 0 && t->nlocal_uses == 0;
    uint32_t i = t->nvals - 1;
    const struct value *v = &t->vals[i];
    if (v->loc == LOC_LOCAL) return i >= t->flushed && v->at < t->nlocals;
    return v->loc == LOC_CONST || (v->loc == LOC_REG ? t->reg == i : v->at == home_of(t, i));
}

/* What holds between two instructions. */
static void check_rules(const struct translator *t)
{
    CHECK_DEBUG(t->status != HEMI_OK || top_is_well(t), ".home");
    CHECK_DEBUG(t->reg == NO_VALUE || (t->reg < t->nvals && t->vals[t->reg].loc == LOC_REG), ".reg");
    CHECK_DEBUG(t->mirror == NO_VALUE || t->reg == NO_VALUE, ".mirror");
    CHECK_DEBUG(t->flushed <= t->nvals, ".unused");
    CHECK_DEBUG(t->nrefs <= t->nvals && t->nlocal_uses <= t->nvals, ".count");
    CHECK_DEBUG(t->block_start <= t->code.len && t->call_pos <= t->code.len, ".patch");
}

/* An END or ELSE that nothing runs into is no place for code. */
static void count(struct translator *t, const struct insn *i)
{
    if ((i->op == OP_END || i->op == OP_ELSE) && !i->reachable) return;
    emit(t, VM_COUNT);
    emit_u32(t, i->op);
}

enum hemi_status tr_insn(struct translator *t, const struct insn *i)
{
    if (t->nlocals + t->nvals > FRAME_SLOTS_MAX - 8) tr_over(t, LIMIT_FRAME_SLOTS);
    if (t->code.len > WASM_MAX_CODE_BYTES) tr_over(t, LIMIT_CODE_BYTES);
    if (t->status != HEMI_OK) return t->status;
    t->in = i;
    if (t->e->options.count_opcodes) count(t, i);
    if (handlers[i->op])
        handlers[i->op](t, i);
    else
        tr_regular(t, i);
    check_rules(t);
    return t->status;
}
