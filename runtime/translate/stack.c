/* runtime/translate/stack.c -- the abstract operand stack. */
#include "base/check.h"
#include "runtime/translate/impl.h"

void push_home(struct translator *t, uint8_t slot)
{
    uint32_t home = home_of(t, t->nvals);
    use_slots(t, home + 1);
    push(t, (struct value){.loc = LOC_SLOT, .slot = slot, .at = (uint16_t)home, .pos = NO_POS});
}

void push_reg(struct translator *t, uint32_t op, uint32_t pos, uint8_t slot)
{
    CHECK_DEBUG(t->reg == NO_VALUE, ".reg");
    use_slots(t, home_of(t, t->nvals) + 1);
    push(t, (struct value){.loc = LOC_REG, .slot = slot, .op = (uint16_t)op, .pos = pos});
}

/* Made for speed: there may be a thousand of them for each call. */
void push_types_home(struct translator *t, const valtype *types, uint32_t n)
{
    valtype type = VT_I32;
    struct value v = {.loc = LOC_SLOT, .slot = HEAP_SLOT_DATA, .at = (uint16_t)home_of(t, t->nvals), .pos = NO_POS};
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] != type) type = types[i], v.slot = (uint8_t)valtype_slot(t->e->types, type);
        if (v.slot != HEAP_SLOT_DATA) t->refs[t->nrefs++] = (uint16_t)t->nvals;
        for (uint32_t k = valtype_slots(type); k > 0; k--, v.at++) t->vals[t->nvals++] = v;
    }
    CHECK_DEBUG(t->nvals <= VALUES_MAX, ".step");
    use_slots(t, home_of(t, t->nvals));
}

void truncate_stack(struct translator *t, uint32_t height)
{
    for (uint32_t i = height; i < t->nvals && t->nlocal_uses > 0; i++)
        if (t->vals[i].loc == LOC_LOCAL) t->local_uses[t->vals[i].at]--, t->nlocal_uses--;
    while (t->nrefs > 0 && t->refs[t->nrefs - 1] >= height) t->nrefs--;
    if (t->reg != NO_VALUE && t->reg >= height) t->reg = NO_VALUE;
    if (t->nvals > height) t->nvals = height;
    if (t->flushed > t->nvals) t->flushed = t->nvals;
    CHECK_DEBUG(t->nrefs <= t->nvals && t->nlocal_uses <= t->nvals, ".count");
}

void to_home(struct translator *t, uint32_t i)
{
    struct value *v = &t->vals[i];
    CHECK_DEBUG(i < t->nvals, ".step");
    CHECK_DEBUG((v->loc == LOC_REG) == (t->reg == i), ".reg");
    if (v->loc == LOC_LOCAL) t->local_uses[v->at]--, t->nlocal_uses--;
    if (v->loc == LOC_REG) t->reg = NO_VALUE;
    put_in(t, v, home_of(t, i));
    CHECK_DEBUG(v->loc == LOC_SLOT && v->at == home_of(t, i), ".home");
}

void free_reg(struct translator *t)
{
    if (t->reg != NO_VALUE) to_home(t, t->reg);
}

void flush_top(struct translator *t, uint32_t n)
{
    CHECK_DEBUG(n <= t->nvals, ".step");
    for (uint32_t i = t->nvals - n; i < t->nvals; i++)
        if (t->vals[i].loc != LOC_SLOT) to_home(t, i);
    CHECK_DEBUG(n == 0 || t->reg == NO_VALUE || t->reg < t->nvals - n, ".reg");
}

void no_const(struct translator *t, struct value *v)
{
    if (v->loc == LOC_CONST) put_in(t, v, v->home);
}

void in_slot(struct translator *t, struct value *v)
{
    if (v->loc == LOC_CONST || v->loc == LOC_REG) put_in(t, v, v->home);
}

void flush_locals(struct translator *t, uint32_t end)
{
    CHECK_DEBUG(end <= t->nvals, ".step");
    if (t->nlocal_uses > 0) {
        for (uint32_t i = t->flushed; i < end; i++)
            if (t->vals[i].loc == LOC_LOCAL) to_home(t, i);
        if (end > t->flushed) tr_charge(t, end - t->flushed);
    }
    if (end > t->flushed) t->flushed = end;
}

/* Operands that are the old value get it now. How far below the top uses of a local are looked for one by one; those
 * farther down are saved all together, so that no part of the stack is looked through twice. */
enum { SAVE_NEAR = 32 };

void save_local(struct translator *t, uint32_t slot)
{
    if (t->local_uses[slot] == 0) return;
    uint32_t near = t->nvals - t->flushed > SAVE_NEAR ? t->nvals - SAVE_NEAR : t->flushed;
    uint32_t i = t->nvals;
    for (; i > near && t->local_uses[slot] > 0; i--)
        if (t->vals[i - 1].loc == LOC_LOCAL && t->vals[i - 1].at == slot) to_home(t, i - 1);
    tr_charge(t, t->nvals - i);
    if (t->local_uses[slot] > 0) flush_locals(t, t->nvals);
    CHECK_DEBUG(t->local_uses[slot] == 0, ".unused");
}

void put_local(struct translator *t, uint32_t slot, struct value v)
{
    CHECK_DEBUG(slot < t->nlocals, ".room");
    if (v.loc == LOC_LOCAL && v.at == slot) return;
    save_local(t, slot);
    /* Only the very last instruction may write a local in place of its result: others in between may use the local. */
    if ((v.loc == LOC_REG || v.loc == LOC_SLOT) && v.pos == t->last.pos && v.pos != NO_POS)
        put_in(t, &v, slot);
    else
        mov(t, &v, slot);
}
