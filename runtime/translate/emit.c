/* runtime/translate/emit.c -- bytes of code, sites, labels. */
#include "base/check.h"
#include "runtime/translate/impl.h"
#include <stdlib.h>

/* Far above what LIMIT_FUNCTION_BYTES can give, so that positions fit 31 bits. */
enum { BUF_MAX = 1 << 30 };

bool buf_grow(struct translator *t, struct buf *b, uint32_t size)
{
    uint64_t cap = b->cap ? 2 * (uint64_t)b->cap : 1024;
    while (cap < (uint64_t)b->len + size) cap *= 2;
    uint8_t *at = cap > BUF_MAX ? NULL : realloc(b->at, cap);
    if (at == NULL) {
        t->status = HEMI_NO_MEMORY;
        return false;
    }
    b->at = at;
    b->cap = (uint32_t)cap;
    return true;
}

void *buf_add(struct translator *t, struct buf *b, uint32_t size)
{
    if (!buf_room(t, b, size)) return NULL;
    void *at = b->at + b->len;
    memset(at, 0, size);
    b->len += size;
    return at;
}

void patch_u16(struct translator *t, uint32_t at, uint32_t v)
{
    uint16_t bits = (uint16_t)v;
    CHECK_DEBUG(bits == v, ".room");
    CHECK_DEBUG(t->status != HEMI_OK || at + sizeof bits <= t->code.len, ".patch");
    if (t->status == HEMI_OK) memcpy(t->code.at + at, &bits, sizeof bits);
}

void patch_u32(struct translator *t, uint32_t at, uint32_t v)
{
    CHECK_DEBUG(t->status != HEMI_OK || at + sizeof v <= t->code.len, ".patch");
    if (t->status == HEMI_OK) memcpy(t->code.at + at, &v, sizeof v);
}

static uint32_t code_u32(const struct translator *t, uint32_t at)
{
    uint32_t v;
    memcpy(&v, t->code.at + at, sizeof v);
    return v;
}

static uint32_t handler_offset(const struct translator *t, uint32_t op) { return vmop_distance(t->handlers[op]); }

/* Does the last instruction end here, if it is known? */
static bool is_last(const struct translator *t)
{
    return t->status != HEMI_OK || t->last.pos == NO_POS ||
           t->last.pos + code_insn_size(t->code.at + t->last.pos, t->last.op) == t->code.len;
}

uint32_t emit(struct translator *t, uint32_t op)
{
    uint32_t pos = t->code.len;
    CHECK_DEBUG(op < VMOP_COUNT && is_last(t), ".last");
    t->prev = t->last;
    t->last = (struct last){.pos = pos, .op = (uint16_t)op, .of = OP_COUNT};
    if (op < VM_MOV_S || op > VM_MOV_C64) t->mirror = NO_VALUE;
    if (!buf_room(t, &t->code, AT_OPERANDS)) return pos;
    t->code.len += AT_OPERANDS;
    uint32_t handler = handler_offset(t, op);
    memcpy(t->code.at + pos, &handler, sizeof handler);
    memset(t->code.at + pos + AT_DEST, 0, AT_OPERANDS - AT_DEST);
    return pos;
}

void set_dest(struct translator *t, uint32_t pos, uint32_t slot)
{
    patch_u16(t, pos + AT_DEST, slot);
    touch(t, slot, pos);
}

/* Makes the instruction at pos, which is in its R form, put its result into a slot. */
static void patch_dest(struct translator *t, uint32_t pos, uint32_t op, uint32_t slot)
{
    CHECK_DEBUG(pos >= t->block_start, ".patch");
    CHECK_DEBUG(t->status != HEMI_OK || code_u32(t, pos) == handler_offset(t, op), ".patch");
    patch_u32(t, pos, handler_offset(t, op + 1));
    set_dest(t, pos, slot);
    if (t->last.pos == pos) t->last.op = (uint16_t)(op + 1);
    if (t->last.pos == pos) t->last.branch = 0;
}

void emit_line(struct translator *t, uint32_t pos)
{
    struct line *line = buf_add(t, &t->lines, sizeof *line);
    if (line) *line = (struct line){pos, t->in ? t->in->offset : 0};
}

void extend_last(struct translator *t, uint32_t op)
{
    CHECK_DEBUG(t->last.pos != NO_POS && t->last.pos >= t->block_start, ".fused");
    t->last.op = (uint16_t)op;
    t->mirror = NO_VALUE;
    patch_u32(t, t->last.pos, handler_offset(t, op));
}

/* ---- Moves */

/* The number of moves that the instruction just emitted consists of, 0 if it is none or full. */
static uint32_t moves_before(const struct translator *t)
{
    if (t->last.pos == NO_POS || t->last.op < VM_MOV_S || t->last.op > VM_MOV_S3) return 0;
    return t->last.op - VM_MOV_S + 1u;
}

/* One more move at the end of the last instruction. The slots are touched after it, so that its own destination is not
 * patched past this move. */
static void add_move(struct translator *t, uint32_t from, uint32_t to)
{
    uint32_t mirror = t->mirror;
    extend_last(t, t->last.op + 1u);
    t->mirror = mirror == to ? NO_VALUE : mirror;
    emit_u16(t, to);
    emit_u16(t, from);
    touch(t, to, t->last.pos + 1);
    touch(t, from, t->last.pos + 1);
}

uint32_t mov(struct translator *t, const struct value *v, uint32_t slot)
{
    bool is_const = v->loc == LOC_CONST, is_wide = v->bits > UINT32_MAX,
         from_slot = v->loc == LOC_LOCAL || v->loc == LOC_SLOT;
    if (from_slot && moves_before(t) > 0) {
        add_move(t, v->at, slot);
        return NO_POS;
    }
    uint32_t pos = emit(t, v->loc == LOC_REG ? VM_MOV_R : !is_const ? VM_MOV_S : is_wide ? VM_MOV_C64 : VM_MOV_C32);
    set_dest(t, pos, slot);
    if (v->loc == LOC_REG || t->mirror == slot) t->mirror = v->loc == LOC_REG ? slot : NO_VALUE;
    if (from_slot) emit_slot(t, v->at);
    if (is_const && is_wide) emit_u64(t, v->bits);
    if (is_const && !is_wide) emit_u32(t, (uint32_t)v->bits);
    return pos;
}

void mov_range(struct translator *t, uint32_t from, uint32_t to, uint32_t n)
{
    CHECK_DEBUG(n > MOVES_MAX && (from > to ? from : to) + n <= 2 * VALUES_MAX, ".room");
    uint32_t pos = emit(t, VM_MOV_RANGE);
    patch_u16(t, pos + AT_DEST, to);
    emit_u16(t, from);
    emit_u16(t, n);
    uint32_t *read = t->touched + from, *written = t->touched + to;
    for (uint32_t i = 0; i < n; i++) read[i] = pos;
    for (uint32_t i = 0; i < n; i++) written[i] = pos;
    use_slots(t, (from > to ? from : to) + n);
    tr_charge(t, n);
}

static bool patchable(const struct translator *t, const struct value *v)
{
    return v->pos != NO_POS && v->pos >= t->block_start;
}

/* .patch: nothing may have touched the target slot since the producer, nor read where the value is now. */
bool repatch(struct translator *t, struct value *v, uint32_t slot)
{
    if (!patchable(t, v) || t->touched[slot] > v->pos || t->call_pos > v->pos) return false;
    CHECK_DEBUG(v->pos < t->code.len, ".patch");
    if (v->loc == LOC_REG) {
        patch_dest(t, v->pos, v->op, slot);
        t->mirror = slot;
        return true;
    }
    if (v->loc != LOC_SLOT || t->touched[v->at] != v->pos) return false;
    if (t->mirror == slot || t->mirror == v->at) t->mirror = NO_VALUE;
    set_dest(t, v->pos, slot);
    return true;
}

void put_in(struct translator *t, struct value *v, uint32_t slot)
{
    if (v->loc == LOC_SLOT && v->at == slot) return;
    if (!repatch(t, v, slot)) v->pos = mov(t, v, slot);
    v->loc = LOC_SLOT;
    v->at = (uint16_t)slot;
}

/* ---- Labels */

void bind_label(struct translator *t)
{
    t->block_start = t->code.len;
    t->mirror = NO_VALUE;
    t->last.pos = t->prev.pos = NO_POS;
}

uint32_t add_fixup(struct translator *t, uint32_t list, uint32_t field, uint32_t insn)
{
    uint32_t index = BUF_COUNT(t->fixups, struct fixup);
    struct fixup *f = buf_add(t, &t->fixups, sizeof *f);
    if (!f) return list;
    CHECK_DEBUG(t->status != HEMI_OK || insn == NO_POS || (insn < field && field < t->code.len), ".ahead");
    *f = (struct fixup){field, insn, list, NO_POS, t->last.op};
    bool moved = t->last.op == VM_BR_ALWAYS && t->prev.pos != NO_POS &&
                 (t->prev.op == VM_MOV_S || (t->prev.op >= VM_MOV_R && t->prev.op <= VM_MOV_C64));
    if (moved) f->move = t->prev.pos, f->op = t->prev.op;
    return index;
}

void resolve(struct translator *t, uint32_t list, uint32_t target)
{
    while (list != NO_FIXUP && t->status == HEMI_OK) {
        struct fixup f = *BUF_AT(t->fixups, struct fixup, list);
        CHECK_DEBUG(f.insn == NO_POS || f.insn < target, ".ahead");
        if (f.insn == NO_POS)
            BUF_AT(t->clauses, struct catch_clause, f.field)->pc = target;
        else
            patch_u32(t, f.field, target - f.insn);
        list = f.next;
    }
}

static void overwrite(struct translator *t, uint32_t pos, uint32_t op) { patch_u32(t, pos, handler_offset(t, op)); }

/* A return in place of a move into the slot returned and the branch behind it: there is room for both. */
static void return_moved(struct translator *t, uint32_t pos, uint32_t op)
{
    uint32_t bits;
    switch (op) {
    case VM_MOV_S:
        overwrite(t, pos, VM_RETURN_S);
        break;
    case VM_MOV_R:
        overwrite(t, pos, VM_RETURN_R);
        break;
    case VM_MOV_C64:
        overwrite(t, pos, VM_RETURN_C);
        break;
    default:
        memcpy(&bits, t->code.at + pos + AT_OPERANDS, sizeof bits);
        overwrite(t, pos, VM_RETURN_C);
        patch_u32(t, pos + AT_OPERANDS, bits);
        patch_u32(t, pos + AT_OPERANDS + 4, 0);
        overwrite(t, pos + vmop_sizes[VM_RETURN_C], VM_RETURN_0); /* what is left of the branch */
    }
}

void return_early(struct translator *t, uint32_t here, uint32_t slot)
{
    uint32_t n = t->status == HEMI_OK ? BUF_COUNT(t->fixups, struct fixup) : 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct fixup *f = BUF_AT(t->fixups, struct fixup, i);
        if (f->insn == NO_POS || code_u32(t, f->insn) != handler_offset(t, VM_BR_ALWAYS)) continue;
        if (f->insn + code_u32(t, f->field) != here) continue;
        uint16_t dest = f->move != NO_POS ? (uint16_t)code_u32(t, f->move + AT_DEST) : 0;
        overwrite(t, f->insn, slot == NO_POS ? VM_RETURN_0_WIDE : VM_RETURN_S_WIDE);
        if (slot != NO_POS) patch_u16(t, f->insn + AT_OPERANDS, slot);
        if (slot != NO_POS && f->move != NO_POS && dest == slot) return_moved(t, f->move, f->op);
    }
}

/* ---- Sites */

/* Of the operands below height n; `others` says how many are live references that are not of the kind wanted. */
static uint32_t add_live(struct translator *t, uint32_t n, enum heap_slot wanted, uint32_t *others)
{
    uint32_t found = 0;
    *others = 0;
    for (uint32_t i = 0; i < t->nrefs && t->refs[i] < n; i++) {
        const struct value *v = &t->vals[t->refs[i]];
        CHECK_DEBUG(v->loc != LOC_REG && v->slot != HEAP_SLOT_DATA, ".count");
        if (v->loc != LOC_SLOT) continue;
        CHECK_DEBUG(v->at == home_of(t, t->refs[i]), ".home");
        uint16_t *slot = v->slot == wanted ? buf_add(t, &t->live, sizeof *slot) : NULL;
        if (slot) *slot = v->at;
        *(v->slot == wanted ? &found : others) += 1;
    }
    return found;
}

static void count_live(struct translator *t)
{
    t->nlive += t->nrefs;
    tr_charge(t, t->nrefs);
    if (t->nlive > WASM_MAX_LIVE_REFS) tr_over(t, LIMIT_LIVE_REFS);
}

uint32_t add_site(struct translator *t, uint32_t delta, uint32_t except)
{
    uint32_t id = BUF_COUNT(t->sites, struct site), live = BUF_COUNT(t->live, uint16_t);
    CHECK_DEBUG(t->reg == NO_VALUE, ".reg");
    CHECK_DEBUG(except <= t->nvals && delta >= home_of(t, t->nvals - except), ".map");
    count_live(t);
    uint32_t nfuncs, nrefs = add_live(t, t->nvals - except, HEAP_SLOT_REF, &nfuncs), ignored;
    if (nfuncs > 0) add_live(t, t->nvals - except, HEAP_SLOT_FUNC, &ignored);
    use_slots(t, delta + 1);
    struct site *s = buf_add(t, &t->sites, sizeof *s);
    if (!s) return 0;
    *s = (struct site){.func = t->func,
                       .offset = t->in ? t->in->offset : 0,
                       .delta = (uint16_t)delta,
                       .live = live,
                       .nrefs = (uint16_t)nrefs,
                       .nfuncs = (uint16_t)nfuncs,
                       .region = t->region};
    t->call_pos = t->code.len;
    return id;
}
