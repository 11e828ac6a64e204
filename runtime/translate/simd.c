/* runtime/translate/simd.c -- v128 values, and the instructions that take operands in slots and leave their result in
 * one.
 *
 * A v128 is two operands, the low half and then the high half, each an ordinary 64-bit value: so blocks, branches,
 * calls and moves know nothing of it. Instructions on it want both halves in adjacent slots and do not touch r0; they
 * read all their operands before they write a result, which may so be put anywhere. */
#include "runtime/translate/impl.h"
#include <string.h>

/* ---- Operands and results */

static bool is_slot(const struct value *v) { return v->loc == LOC_LOCAL || v->loc == LOC_SLOT; }

uint32_t pop_slot(struct translator *t)
{
    struct value v = pop(t);
    in_slot(t, &v);
    return v.at;
}

static void set_wide_dest(struct translator *t, uint32_t pos, uint32_t slot)
{
    set_dest(t, pos, slot);
    touch(t, slot + 1, pos);
}

static bool is_adjacent(const struct value *low, const struct value *high)
{
    return is_slot(low) && is_slot(high) && high->at == low->at + 1;
}
static bool is_constant(const struct value *low, const struct value *high)
{
    return low->loc == LOC_CONST && high->loc == LOC_CONST;
}

static void mov_wide_constant(struct translator *t, uint64_t low, uint64_t high, uint32_t slot)
{
    uint32_t pos = emit(t, VM_MOV_C128);
    set_wide_dest(t, pos, slot);
    emit_u64(t, low);
    emit_u64(t, high);
}

uint32_t pop_wide(struct translator *t)
{
    struct value high = pop(t), low = pop(t);
    if (is_adjacent(&low, &high)) return low.at;
    if (is_constant(&low, &high)) {
        mov_wide_constant(t, low.bits, high.bits, low.home);
        return low.home;
    }
    put_in(t, &low, low.home);
    put_in(t, &high, high.home);
    return low.at;
}

void emit_wide(struct translator *t, uint32_t slot)
{
    emit_slot(t, slot);
    touch(t, slot + 1, t->last.pos);
}

void push_wide(struct translator *t, uint32_t pos)
{
    set_wide_dest(t, pos, home_of(t, t->nvals));
    push_home(t, HEAP_SLOT_DATA);
    push_home(t, HEAP_SLOT_DATA);
    t->last.wide = true;
}

static void push_narrow(struct translator *t, uint32_t pos)
{
    set_dest(t, pos, home_of(t, t->nvals));
    push_home(t, HEAP_SLOT_DATA);
    top(t, 0)->pos = pos;
}

/* ---- Locals, constants, select, globals */

/* Is it the last instruction's result, where that instruction has put it? */
static bool just_made(const struct translator *t, const struct value *low)
{
    if (t->last.pos == NO_POS || !t->last.wide || low->loc != LOC_SLOT || t->status != HEMI_OK) return false;
    uint16_t dest;
    memcpy(&dest, t->code.at + t->last.pos + AT_DEST, sizeof dest);
    return dest == low->at;
}

void set_wide_local(struct translator *t, uint32_t slot)
{
    struct value high = pop(t), low = pop(t);
    if (low.loc == LOC_LOCAL && low.at == slot) return;
    if (t->local_uses[slot] == 0 && just_made(t, &low)) { /* both halves of the old value are on the stack, or none */
        set_wide_dest(t, t->last.pos, slot);
        return;
    }
    save_local(t, slot);
    save_local(t, slot + 1);
    if (is_constant(&low, &high)) {
        mov_wide_constant(t, low.bits, high.bits, slot);
    } else if (is_adjacent(&low, &high)) {
        uint32_t pos = emit(t, VM_MOV_128);
        set_wide_dest(t, pos, slot);
        emit_wide(t, low.at);
    } else {
        put_local(t, slot, low);
        put_local(t, slot + 1, high);
    }
}

void tr_v128_const(struct translator *t, const struct insn *i)
{
    uint64_t halves[2];
    memcpy(halves, i->bytes, sizeof halves);
    push_const(t, halves[0], HEAP_SLOT_DATA);
    push_const(t, halves[1], HEAP_SLOT_DATA);
}

void select_wide(struct translator *t)
{
    uint32_t c = pop_slot(t), b = pop_wide(t), a = pop_wide(t), pos = emit(t, VM_SELECT_128);
    emit_wide(t, a);
    emit_wide(t, b);
    emit_slot(t, c);
    push_wide(t, pos);
}

void get_wide_global(struct translator *t, uint32_t index)
{
    uint32_t pos = emit(t, VM_GLOBAL_GET_128);
    emit_u32(t, index);
    push_wide(t, pos);
}

void set_wide_global(struct translator *t, uint32_t index)
{
    uint32_t v = pop_wide(t);
    emit(t, VM_GLOBAL_SET_128);
    emit_wide(t, v);
    emit_u32(t, index);
}

/* ---- SIMD rows: all that is to be known of one is its signature and its immediates */

static void emit_shuffle(struct translator *t, const uint8_t *lanes)
{
    uint64_t halves[2];
    memcpy(halves, lanes, sizeof halves);
    emit_u64(t, halves[0]);
    emit_u64(t, halves[1]);
}

/* Do the bytes move in groups of four, each from a place divisible by four? */
static bool moves_words(const uint8_t *lanes)
{
    for (uint32_t k = 0; k < 16; k++)
        if (lanes[k] != (lanes[k & ~3u] & ~3u) + (k & 3u)) return false;
    return true;
}

static void shuffle_words(struct translator *t, const struct insn *i)
{
    uint32_t b = pop_wide(t), a = pop_wide(t), pos = emit(t, body_rows[i->op].base + SIMD_32);
    for (uint32_t k = 0; k < 16; k += 4) {
        uint32_t byte = i->bytes[k];
        emit_slot(t, (byte < 16 ? a : b) + byte % 16 / SLOT_BYTES);
        emit_u16(t, byte % SLOT_BYTES);
    }
    push_wide(t, pos);
}

static void shift_by_constant(struct translator *t, const struct insn *i)
{
    struct value count = pop(t);
    uint32_t a = pop_wide(t), pos = emit(t, body_rows[i->op].base + SIMD_C);
    emit_wide(t, a);
    emit_u32(t, (uint32_t)count.bits);
    push_wide(t, pos);
}

static void emit_access(struct translator *t, const struct insn *i, bool quick)
{
    if (quick)
        emit_u32(t, (uint32_t)i->imm);
    else
        emit_memarg(t, i);
}

static void emit_immediates(struct translator *t, const struct insn *i, bool quick)
{
    switch ((enum opcode_imm)opcode_rows[i->op].imm) {
    case IMM_LANE:
        emit_u16(t, i->index);
        break;
    case IMM_SHUFFLE:
        emit_shuffle(t, i->bytes);
        break;
    case IMM_MEMARG:
        emit_access(t, i, quick);
        break;
    case IMM_MEMARG_LANE:
        emit_access(t, i, quick);
        emit_u16(t, i->index2);
        break;
    default:
        break;
    }
}

static void canonical_lanes(struct translator *t, uint32_t op)
{
    uint32_t a = pop_wide(t), pos = emit(t, op);
    emit_wide(t, a);
    push_wide(t, pos);
}

static void simd_row(struct translator *t, const struct insn *i, bool quick)
{
    const char *sig = opcode_rows[i->op].sig;
    uint32_t n = (uint32_t)strcspn(sig, "_"), slots[3];
    for (uint32_t k = n; k > 0; k--) slots[k - 1] = sig[k - 1] == 'v' ? pop_wide(t) : pop_slot(t);
    const struct body_row *row = &body_rows[i->op];
    uint32_t pos = emit(t, row->base + (quick ? SIMD_0 : 0));
    if (row->flags & TRAPS) emit_line(t, pos);
    for (uint32_t k = 0; k < n; k++) sig[k] == 'v' ? emit_wide(t, slots[k]) : emit_slot(t, slots[k]);
    emit_immediates(t, i, quick);
    char result = sig[n + 1];
    if (result == 'v')
        push_wide(t, pos);
    else if (result != 0)
        push_narrow(t, pos);
    if (wants_canonical(t, row->flags))
        canonical_lanes(t, row->flags & NAN32 ? VM_CANONICAL_F32X4 : VM_CANONICAL_F64X2);
}

void tr_simd(struct translator *t, const struct insn *i)
{
    const struct body_row *row = &body_rows[i->op];
    bool quick = (row->flags & TRAPS) != 0 && is_quick(t, i), loads = strcmp(opcode_rows[i->op].sig, "i_v") == 0;
    if (quick && loads && fuse_simd_load(t, row, (uint32_t)i->imm)) return;
    if ((row->flags & SHIFTS) != 0 && top(t, 0)->loc == LOC_CONST)
        shift_by_constant(t, i);
    else if (i->op == OP_I8X16_SHUFFLE && moves_words(i->bytes))
        shuffle_words(t, i);
    else
        simd_row(t, i, quick);
}
