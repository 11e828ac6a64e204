/* runtime/translate/gc.c -- structures, arrays, tests and casts. */
#include "runtime/code/bodies.h"
#include "runtime/translate/impl.h"

static const struct rtype *local_type(const struct translator *t, uint32_t local)
{
    return types_get(t->e->types, t->m->types[local]);
}
static uint8_t field_slot(const struct translator *t, const struct field *f)
{
    return (uint8_t)valtype_slot(t->e->types, f->type);
}
enum { WIDE = 16 }; /* the size of a v128 */
static uint32_t operands_of(const struct field *f) { return f->size == WIDE ? 2 : 1; }
static uint32_t log2_size(const struct field *f) { return (uint32_t)__builtin_ctz(f->size); }

/* ---- Access. The _GET_ rows are in the order U8 S8 U16 S16 32 64, `stride` handlers apart. */

static uint32_t getter(const struct field *f, bool is_signed)
{
    uint32_t size = log2_size(f);
    return size < 2 ? 2 * size + (is_signed ? 1u : 0u) : size + 2;
}

/* Of v128: the operands are in slots, and so is the result. */
static void get_wide_field(struct translator *t, const struct field *f)
{
    uint32_t a = pop_slot(t), pos = emit(t, VM_FIELD_GET_128);
    emit_line(t, pos);
    emit_slot(t, a);
    emit_u32(t, f->offset);
    push_wide(t, pos);
}

static void set_wide_field(struct translator *t, const struct field *f)
{
    uint32_t b = pop_wide(t), a = pop_slot(t), pos = emit(t, VM_FIELD_SET_128);
    emit_line(t, pos);
    emit_slot(t, a);
    emit_wide(t, b);
    emit_u32(t, f->offset);
}

static void get_wide_element(struct translator *t)
{
    uint32_t b = pop_slot(t), a = pop_slot(t), pos = emit(t, VM_ELEM_GET_128);
    emit_line(t, pos);
    emit_slot(t, a);
    emit_slot(t, b);
    push_wide(t, pos);
}

static void set_wide_element(struct translator *t)
{
    uint32_t c = pop_wide(t), b = pop_slot(t), a = pop_slot(t), pos = emit(t, VM_ELEM_SET_128);
    emit_line(t, pos);
    emit_slot(t, a);
    emit_slot(t, b);
    emit_wide(t, c);
}

void tr_struct_get(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[i->index2];
    if (f->size == WIDE) {
        get_wide_field(t, f);
        return;
    }
    uint32_t stride = VM_FIELD_GET_S8_S_R - VM_FIELD_GET_U8_S_R;
    uint32_t base = VM_FIELD_GET_U8_S_R + stride * getter(f, i->op == OP_STRUCT_GET_S);
    unary_imm(t, base, 'i', f->offset, field_slot(t, f));
}

void tr_struct_set(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[i->index2];
    if (f->size == WIDE) {
        set_wide_field(t, f);
        return;
    }
    uint32_t base = VM_FIELD_SET_1_SS + (VM_FIELD_SET_2_SS - VM_FIELD_SET_1_SS) * log2_size(f);
    struct value b = pop(t), a = pop(t);
    no_const(t, &a);
    free_reg(t);
    uint32_t pos = emit(t, base + pair_kind(&a, &b));
    emit_line(t, pos);
    emit_operand(t, &a, 'i');
    emit_operand(t, &b, f->size == 8 ? 'D' : 'i');
    emit_u32(t, f->offset);
}

void tr_array_get(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[0];
    if (f->size == WIDE) {
        get_wide_element(t);
        return;
    }
    uint32_t stride = VM_ELEM_GET_S8_SS_R - VM_ELEM_GET_U8_SS_R;
    uint16_t op;
    uint32_t base = VM_ELEM_GET_U8_SS_R + stride * getter(f, i->op == OP_ARRAY_GET_S);
    uint32_t pos = emit_binary(t, base, 'i', 'i', TRAPS, &op);
    push_reg(t, op, pos, field_slot(t, f));
}

void tr_array_set(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[0];
    if (f->size == WIDE) {
        set_wide_element(t);
        return;
    }
    uint32_t base = VM_ELEM_SET_1_SSS + (VM_ELEM_SET_2_SSS - VM_ELEM_SET_1_SSS) * log2_size(f);
    struct value c = pop(t), b = pop(t), a = pop(t);
    no_const(t, &a);
    free_reg(t);
    uint32_t pos = emit(t, base + triple_kind(&a, &b, &c));
    emit_line(t, pos);
    emit_operand(t, &a, 'i');
    emit_operand(t, &b, 'i');
    emit_operand(t, &c, f->size == 8 ? 'D' : 'i');
}

/* ---- Allocation. The operands stay where they are (in slots that the site lists, locals, constants); the object is
 * made, and then they are stored into it one by one. */

static uint32_t emit_new(struct translator *t, uint32_t op, uint32_t type)
{
    free_reg(t);
    uint32_t scratch = home_of(t, t->nvals), site = add_site(t, scratch + 2, 0);
    uint32_t pos = emit(t, op);
    emit_u16(t, scratch);
    emit_u16(t, scratch + 2);
    emit_u32(t, site);
    emit_u32(t, type);
    return pos;
}

static void emit_init(struct translator *t, const struct value *v, uint32_t size, uint32_t offset)
{
    bool is_const = v->loc == LOC_CONST, after_s = t->last.op == VM_INIT_4_S, after_c = t->last.op == VM_INIT_4_C;
    if (size == 4 && (after_s || after_c))
        extend_last(t, VM_INIT_4_SS + (after_c ? 2 : 0) + (is_const ? 1 : 0));
    else
        emit(t, VM_INIT_1_S + 2 * (uint32_t)__builtin_ctz(size) + (is_const ? 1 : 0));
    emit_operand(t, v, size == 8 ? 'D' : 'i');
    emit_u32(t, offset);
}

/* Stores the operand that is `*down` below the top, and counts down. */
static void init_field(struct translator *t, uint32_t *down, const struct field *f, uint32_t offset)
{
    uint32_t size = f->size == WIDE ? WIDE / 2 : f->size;
    for (uint32_t n = operands_of(f); n > 0; n--, offset += size) emit_init(t, top(t, (*down)--), size, offset);
}

static uint32_t struct_operands(const struct rtype *type)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < type->nfields; k++) n += operands_of(&type->fields[k]);
    return n;
}

/* Fields or elements that are stored by instructions of their own. More, which may well be results of one call, are
 * stored by a helper. */
enum { STORES_MAX = 32 };

/* The new object is in r0; stores read it from there, so its producer must not be patched any more. */
static void push_object(struct translator *t, uint32_t op, uint32_t pos, uint32_t noperands)
{
    truncate_stack(t, t->nvals - noperands);
    push_reg(t, op, noperands ? NO_POS : pos, HEAP_SLOT_REF);
}

void tr_struct_new(struct translator *t, const struct insn *i)
{
    const struct rtype *type = local_type(t, i->local_type);
    uint32_t n = struct_operands(type), down = n - 1;
    if (n > STORES_MAX) {
        help(t, HELPER_struct_new, n, 1, i->local_type, 0, HEAP_SLOT_REF);
        return;
    }
    uint32_t pos = emit_new(t, VM_NEW_STRUCT_R, i->local_type);
    emit_u32(t, t->e->types->descs[t->m->types[i->local_type]].size);
    for (uint32_t k = 0; k < type->nfields; k++) init_field(t, &down, &type->fields[k], type->fields[k].offset);
    push_object(t, VM_NEW_STRUCT_R, pos, n);
}

void tr_struct_new_default(struct translator *t, const struct insn *i)
{
    uint32_t pos = emit_new(t, VM_NEW_STRUCT_ZEROED_R, i->local_type);
    emit_u32(t, t->e->types->descs[t->m->types[i->local_type]].size);
    push_object(t, VM_NEW_STRUCT_ZEROED_R, pos, 0);
}

void tr_array_new_fixed(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[0];
    uint32_t n = i->index2, noperands = n * operands_of(f), down = noperands - 1;
    if (noperands > STORES_MAX) {
        help(t, HELPER_array_new_fixed, noperands, 1, i->local_type, n, HEAP_SLOT_REF);
        return;
    }
    uint32_t pos = emit_new(t, VM_NEW_ARRAY_R, i->local_type);
    emit_u32(t, array_bytes(n, f->size));
    emit_u32(t, n);
    for (uint32_t k = 0; k < n; k++) init_field(t, &down, f, HEAP_ARRAY_DATA + k * f->size);
    push_object(t, VM_NEW_ARRAY_R, pos, noperands);
}

void tr_array_new_default(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[0];
    struct value length = pop(t);
    no_const(t, &length);
    free_reg(t);
    uint32_t scratch = length.home, site = add_site(t, scratch + 2, 0);
    uint16_t op = length.loc == LOC_REG ? VM_NEW_ARRAY_ZEROED_R_R : VM_NEW_ARRAY_ZEROED_S_R;
    uint32_t pos = emit(t, op);
    emit_operand(t, &length, 'i');
    emit_u16(t, scratch);
    emit_u16(t, scratch + 2);
    emit_u32(t, site);
    emit_u32(t, i->local_type);
    emit_u32(t, log2_size(f));
    push_reg(t, op, pos, HEAP_SLOT_REF);
}

void tr_array_new(struct translator *t, const struct insn *i)
{
    const struct field *f = &local_type(t, i->local_type)->fields[0];
    if (f->size > 4) {
        help(t, HELPER_array_new, 1 + operands_of(f), 1, i->local_type, 0, HEAP_SLOT_REF);
        return;
    }
    free_reg(t);
    flush_top(t, 2);
    uint32_t first = home_of(t, t->nvals - 2), site = add_site(t, first + 3, 0);
    uint16_t op = (uint16_t)(VM_NEW_ARRAY_1_R + 2 * log2_size(f));
    uint32_t pos = emit(t, op);
    emit_u16(t, first);
    emit_u16(t, first + 3);
    emit_u32(t, site);
    emit_u32(t, i->local_type);
    truncate_stack(t, t->nvals - 2);
    push_reg(t, op, pos, HEAP_SLOT_REF);
}

/* ---- Tests and casts */

/* How to test for a type: always or never true of non-null references, or by handlers with one immediate. */
enum test_kind { TEST_NEVER, TEST_ALWAYS, TEST_BY };
struct test {
    enum test_kind kind;
    uint32_t imm;
    uint16_t test[2], cast[2]; /* [nullable], S_R variants */
};
#define BY(name)                                                                                                       \
    .kind = TEST_BY, .test = {VM_TEST_##name##_S_R, VM_TEST_##name##_OR_NULL_S_R},                                     \
    .cast = {VM_CAST_##name##_S_R, VM_CAST_##name##_OR_NULL_S_R}

static struct test test_of(const struct translator *t, const struct insn *i)
{
    uint32_t ht = vt_heap(i->type), kinds;
    if (!ht_is_abstract(ht)) {
        const struct rtype *type = types_get(t->e->types, ht);
        if (type->kind == TYPE_FUNC) return (struct test){BY(FUNC), .imm = i->cast_local_type};
        if (type->final) return (struct test){BY(EXACT), .imm = i->cast_local_type};
        return (struct test){BY(SUB), .imm = i->cast_local_type};
    }
    switch (ht) {
    case HT_EQ:
        kinds = KINDS_EQ;
        break;
    case HT_I31:
        kinds = KINDS_I31;
        break;
    case HT_STRUCT:
        kinds = KINDS_STRUCT;
        break;
    case HT_ARRAY:
        kinds = KINDS_ARRAY;
        break;
    case HT_NONE:
    case HT_NOFUNC:
    case HT_NOEXTERN:
    case HT_NOEXN:
        return (struct test){.kind = TEST_NEVER};
    default:
        return (struct test){.kind = TEST_ALWAYS};
    }
    return (struct test){BY(KIND), .imm = kinds};
}

void tr_ref_test(struct translator *t, const struct insn *i)
{
    struct test test = test_of(t, i);
    bool nullable = vt_nullable(i->type);
    if (test.kind == TEST_BY) {
        test_row(t, test.test[nullable], 'i', true, test.imm);
    } else if (nullable == (test.kind == TEST_ALWAYS)) {
        pop(t);
        push_const(t, nullable, HEAP_SLOT_DATA);
    } else { /* only null, or all but null */
        test_row(t, VM_I32_EQZ_S_R, 'i', false, 0);
        if (!nullable) test_row(t, VM_I32_EQZ_S_R, 'i', false, 0);
    }
}

static void check_null(struct translator *t, uint32_t base)
{
    uint16_t op;
    uint8_t slot = top(t, 0)->slot;
    uint32_t pos = emit_unary(t, base, 'i', TRAPS, &op);
    push_reg(t, op, pos, slot);
}

void tr_ref_cast(struct translator *t, const struct insn *i)
{
    struct test test = test_of(t, i);
    bool nullable = vt_nullable(i->type);
    if (test.kind == TEST_BY) {
        unary_imm(t, test.cast[nullable], 'i', test.imm, top(t, 0)->slot);
        return;
    }
    if (!nullable) check_null(t, VM_CAST_NOT_NULL_S_R);
    if (test.kind == TEST_NEVER) check_null(t, VM_CAST_NULL_S_R);
}

/* The test's branch on the S operand: BT form. */
static struct cond cast_cond(struct translator *t, const struct insn *i, const struct test *test)
{
    enum { TEST_VALUES = VM_I32_EQZ_S_BT - VM_I32_EQZ_S_R };
    bool nullable = vt_nullable(i->type);
    struct value *v = top(t, 0);
    if (test->kind == TEST_BY) return slot_cond((uint16_t)(test->test[nullable] + TEST_VALUES), v, 1, test->imm);
    struct cond c = slot_cond(VM_I32_EQZ_S_BT, v, 0, 0);
    c.negate = test->kind == TEST_ALWAYS;
    return c;
}

/* br_on_cast, br_on_cast_fail: the reference stays on the stack on both ways. */
void tr_br_on_cast(struct translator *t, const struct insn *i)
{
    struct test test = test_of(t, i);
    bool on_success = i->op == OP_BR_ON_CAST;
    struct value *v = top(t, 0);
    if (v->loc == LOC_CONST || v->loc == LOC_REG) to_home(t, t->nvals - 1);
    uint32_t n = label_slots(t, i->index);
    settle_values(t, i->index, n);
    if (test.kind != TEST_BY && vt_nullable(i->type) == (test.kind == TEST_ALWAYS)) { /* the outcome is known */
        struct cond known = slot_cond(VM_I32_EQZ_S_BT, top(t, 0), 0, 0);
        bool succeeds = vt_nullable(i->type);
        if (succeeds != on_success) return;
        branch_on(t, &known, true, i->index, n);
        known = slot_cond(VM_I32_EQZ_S_BT, top(t, 0), 0, 0);
        branch_on(t, &known, false, i->index, n);
        return;
    }
    struct cond c = cast_cond(t, i, &test);
    branch_on(t, &c, on_success, i->index, n);
}
