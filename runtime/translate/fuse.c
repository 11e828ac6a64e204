/* runtime/translate/fuse.c -- two instructions made one: the last one emitted is extended instead of followed. */
#include "base/check.h"
#include "runtime/translate/impl.h"

/* Did the last instruction make this value, which is in r0? Then nothing else can want it once it is popped. */
static bool just_made(const struct translator *t, const struct value *v)
{
    return v->loc == LOC_REG && v->pos != NO_POS && v->pos == t->last.pos;
}

/* ---- Addresses that are sums */

static bool is_sum(const struct translator *t, const struct value *a)
{
    return just_made(t, a) && t->last.op >= VM_I32_ADD_SS_R && t->last.op <= VM_I32_ADD_RC_R;
}

/* Which of SS SC RS SR RC the sum is. */
static uint32_t sum_kind(const struct translator *t) { return (t->last.op - VM_I32_ADD_SS_R) / 2u; }

bool fuse_load(struct translator *t, const struct body_row *row, const struct value *a, uint32_t offset)
{
    if (!is_sum(t, a)) return false;
    uint32_t op = row->base + LOAD_SUM_FORM + 2 * sum_kind(t);
    extend_last(t, op);
    emit_line(t, t->last.pos);
    emit_u32(t, offset);
    push_reg(t, op, t->last.pos, HEAP_SLOT_DATA);
    return true;
}

bool fuse_store(struct translator *t, const struct body_row *row, const struct value *a, const struct value *b,
                uint32_t offset)
{
    if (!is_sum(t, a)) return false;
    CHECK_DEBUG(b->loc != LOC_REG, ".fused");
    extend_last(t, row->base + STORE_SUM_FORM + 2 * sum_kind(t) + (b->loc == LOC_CONST ? 1 : 0));
    emit_line(t, t->last.pos);
    emit_operand(t, b, row->tb);
    emit_u32(t, offset);
    return true;
}

bool fuse_simd_load(struct translator *t, const struct body_row *row, uint32_t offset)
{
    if (!is_sum(t, top(t, 0)) || sum_kind(t) > 1) return false; /* a form for slots only */
    uint32_t op = row->base + SIMD_SUM + sum_kind(t);
    pop(t);
    extend_last(t, op);
    emit_line(t, t->last.pos);
    emit_u32(t, offset);
    push_wide(t, t->last.pos);
    return true;
}

/* ---- Shifts by a constant */

/* The opcode after the shift, the shift's handlers with a slot and with r0, what both become: SS SC RS RC x R, S. */
static const struct shifted {
    uint16_t opcode, shift_s, shift_r, fused;
} shifted[] = {
    {OP_I32_ADD, VM_I32_SHL_SC_R, VM_I32_SHL_RC_R, VM_I32_SHL_ADD_SS_R},
    {OP_I32_XOR, VM_I32_SHL_SC_R, VM_I32_SHL_RC_R, VM_I32_SHL_XOR_SS_R},
    {OP_I32_XOR, VM_I32_SHR_U_SC_R, VM_I32_SHR_U_RC_R, VM_I32_SHR_U_XOR_SS_R},
    {OP_I64_ADD, VM_I64_SHL_SC_R, VM_I64_SHL_RC_R, VM_I64_SHL_ADD_SS_R},
    {OP_I64_XOR, VM_I64_SHL_SC_R, VM_I64_SHL_RC_R, VM_I64_SHL_XOR_SS_R},
    {OP_I64_XOR, VM_I64_SHR_U_SC_R, VM_I64_SHR_U_RC_R, VM_I64_SHR_U_XOR_SS_R},
};

static const struct shifted *find_shifted(const struct translator *t, uint32_t opcode)
{
    for (size_t i = 0; i < sizeof shifted / sizeof *shifted; i++) {
        const struct shifted *s = &shifted[i];
        if (s->opcode == opcode && (s->shift_s == t->last.op || s->shift_r == t->last.op)) return s;
    }
    return NULL;
}

bool fuse_shift(struct translator *t, uint32_t opcode)
{
    const struct value *a = top(t, 1), *b = top(t, 0);
    if (!just_made(t, a) && !just_made(t, b)) return false;
    const struct value other = just_made(t, a) ? *b : *a;
    const struct shifted *s = find_shifted(t, opcode);
    char type = body_rows[opcode].ta;
    if (!s || !const_fits(&other, type)) return false;
    CHECK_DEBUG(t->nvals >= 2 && other.loc != LOC_REG, ".fused");
    truncate_stack(t, t->nvals - 2);
    uint32_t op = s->fused + (t->last.op == s->shift_r ? 4u : 0u) + (other.loc == LOC_CONST ? 2u : 0u);
    extend_last(t, op);
    emit_operand(t, &other, type);
    push_reg(t, op, t->last.pos, HEAP_SLOT_DATA);
    return true;
}

/* ---- Constants of 64 bits */

static uint32_t c64_handler(uint32_t opcode)
{
    switch (opcode) {
#define X(name)                                                                                                        \
    case OP_##name:                                                                                                    \
        return VM_##name##_C64_S_R;
        X(I64_ADD)
        X(I64_SUB)
        X(I64_MUL)
        X(I64_AND)
        X(I64_OR)
        X(I64_XOR)
#undef X
    default:
        return 0;
    }
}

bool with_c64(struct translator *t, uint32_t opcode)
{
    bool second = !const_fits(top(t, 0), 'I');
    bool first = !const_fits(top(t, 1), 'I') && body_rows[opcode].flags & COMMUTES;
    uint32_t handler = first || second ? c64_handler(opcode) : 0;
    if (handler == 0) return false;
    struct value b = pop(t), a = pop(t);
    push(t, second ? a : b);
    uint16_t op;
    uint32_t pos = emit_unary(t, handler, 'I', 0, &op);
    emit_u64(t, second ? b.bits : a.bits);
    push_reg(t, op, pos, HEAP_SLOT_DATA);
    return true;
}

/* ---- Counting loops */

/* The slot of the local to which the last instruction adds, or NO_VALUE. */
static uint32_t stepped_local(const struct translator *t)
{
    if (t->status != HEMI_OK || t->last.pos == NO_POS || t->last.op != VM_I32_ADD_SC_S) return NO_VALUE;
    uint16_t slot;
    memcpy(&slot, t->code.at + t->last.pos + AT_DEST, sizeof slot);
    return slot < t->nlocals ? slot : NO_VALUE;
}

/* The branches of comparisons of a slot, and what they become. */
static const struct step {
    uint16_t branch, fused;
} steps[] = {
#define BODIES_OWN_ROWS
#define STEP(name, ...) {VM_##name##_SS_BT, VM_STEP_##name##_S_BT}, {VM_##name##_SC_BT, VM_STEP_##name##_C_BT},
#include "runtime/code/bodies.def"
    {VM_I32_EQZ_S_BT, VM_STEP_I32_EQ_C_BT},
};

bool fuse_step(struct translator *t, const struct cond *c, uint32_t form)
{
    uint32_t local = stepped_local(t), i = 0, n = sizeof steps / sizeof *steps;
    uint16_t slot;
    memcpy(&slot, c->bytes, sizeof slot);
    while (i < n && steps[i].branch != c->branch) i++;
    if (local == NO_VALUE || i == n || slot != local) return false;
    CHECK_DEBUG(form < 4 && t->reg == NO_VALUE, ".fused");
    extend_last(t, steps[i].fused + form);
    emit_pieces(t, c, sizeof slot);
    if (c->branch == VM_I32_EQZ_S_BT) emit_u32(t, 0);
    return true;
}

bool fuse_step_loop(struct translator *t)
{
    if (stepped_local(t) == NO_VALUE) return false;
    extend_last(t, VM_STEP_LOOP);
    return true;
}
