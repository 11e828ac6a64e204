/* runtime/translate/control.c -- blocks, branches, calls, exceptions. */
#include "base/check.h"
#include "runtime/translate/impl.h"

static struct ctrl *label_ctrl(struct translator *t, uint32_t label)
{
    CHECK_DEBUG(label < t->nctrls, ".step");
    return &t->ctrls[t->nctrls - 1 - label];
}
static uint32_t label_arity(const struct ctrl *c) { return c->is_loop ? c->nparams : c->nresults; }
uint32_t label_slots(struct translator *t, uint32_t label) { return label_arity(label_ctrl(t, label)); }

/* ---- Blocks */

static void cut_last(struct translator *t)
{
    CHECK_DEBUG(t->last.pos != NO_POS && t->last.pos >= t->block_start, ".last");
    t->code.len = t->last.pos;
    t->last = t->prev;
    t->prev.pos = NO_POS;
}

static struct ctrl *push_ctrl(struct translator *t, const struct insn *i)
{
    if (t->nctrls == t->cap_ctrls) {
        struct buf grown = {(uint8_t *)t->ctrls, t->nctrls * (uint32_t)sizeof *t->ctrls,
                            t->cap_ctrls * (uint32_t)sizeof *t->ctrls};
        if (!buf_add(t, &grown, sizeof *t->ctrls)) return NULL;
        t->ctrls = (struct ctrl *)(void *)grown.at;
        t->cap_ctrls = grown.cap / (uint32_t)sizeof *t->ctrls;
    }
    CHECK_DEBUG(i->param_slots <= t->nvals, ".step");
    struct ctrl *c = &t->ctrls[t->nctrls++];
    *c = (struct ctrl){.op = i->op,
                       .height = t->nvals - i->param_slots,
                       .nparams = i->param_slots,
                       .nresults = i->result_slots,
                       .fixups = NO_FIXUP,
                       .else_fixup = NO_FIXUP,
                       .region = t->region,
                       .table = NO_POS};
    return c;
}

/* .flushed: everything that a path through the block might leave elsewhere goes home now; parameters always do. */
static void flush_entry(struct translator *t, uint32_t nparams)
{
    free_reg(t);
    flush_locals(t, t->nvals - nparams);
    flush_top(t, nparams);
    CHECK_DEBUG(t->reg == NO_VALUE && t->flushed >= t->nvals - nparams, ".flushed");
}

/* .patch: a conditional branch takes the topmost n operands along from where they are, and what follows still has them:
 * their producers must not be patched to put them elsewhere. */
static void pin_values(struct translator *t, uint32_t n)
{
    CHECK_DEBUG(n <= t->nvals, ".step");
    for (uint32_t i = 0; i < n; i++) top(t, i)->pos = NO_POS;
}

void tr_block(struct translator *t, const struct insn *i)
{
    flush_entry(t, i->param_slots);
    push_ctrl(t, i);
}

void tr_loop(struct translator *t, const struct insn *i)
{
    flush_entry(t, i->param_slots);
    uint32_t delta = home_of(t, t->nvals) + 1, site = add_site(t, delta, 0);
    emit(t, VM_LOOP_POLL);
    emit_u16(t, delta);
    emit_u32(t, site);
    struct ctrl *c = push_ctrl(t, i);
    if (!c) return;
    c->is_loop = true;
    c->head = t->code.len;
    CHECK_DEBUG(t->status != HEMI_OK || c->head - LOOP_BYTES == t->last.pos, ".ahead");
    bind_label(t);
}

void tr_if(struct translator *t, const struct insn *i)
{
    struct cond cond = take_cond(t);
    flush_entry(t, i->param_slots);
    pin_values(t, i->param_slots); /* the else wants them too */
    struct ctrl *c = push_ctrl(t, i);
    if (c) branch_on(t, &cond, false, NO_POS, 0);
}

/* Puts the block's operands away and its parameters or results on the stack, at home. */
static void push_block_values(struct translator *t, const struct ctrl *c, const valtype *types, uint32_t n)
{
    CHECK_DEBUG(t->nvals >= c->height, ".step");
    truncate_stack(t, c->height);
    push_types_home(t, types, n);
    CHECK_DEBUG(t->reg == NO_VALUE, ".reg");
}

void tr_else(struct translator *t, const struct insn *i)
{
    struct ctrl *c = label_ctrl(t, 0);
    if (i->reachable) branch_to(t, 0, c->nresults);
    resolve(t, c->else_fixup, t->code.len);
    c->else_fixup = NO_FIXUP;
    bind_label(t);
    push_block_values(t, c, i->params, i->nparams);
}

/* The function's end is reached from above. */
static void fall_off(struct translator *t, const struct ctrl *c)
{
    bool is_label = t->block_start == t->code.len, in_slot_or_none = c->nresults == 0 || top(t, 0)->loc == LOC_SLOT;
    if (is_label && c->nresults <= 1 && in_slot_or_none)
        return_early(t, t->code.len, c->nresults == 0 ? NO_POS : top(t, 0)->at);
    if (c->fixups == NO_FIXUP || c->nresults > 0) branch_to(t, 0, c->nresults);
}

/* A branch to what follows it is taken back. */
static void drop_last_jump(struct translator *t, struct ctrl *c)
{
    if (c->fixups == NO_FIXUP || t->last.pos == NO_POS || t->last.op != VM_BR_ALWAYS || t->status != HEMI_OK) return;
    const struct fixup *f = BUF_AT(t->fixups, struct fixup, c->fixups);
    if (f->insn != t->last.pos || f->field + 4 != t->code.len) return;
    uint32_t next = f->next;
    if (c->fixups == BUF_COUNT(t->fixups, struct fixup) - 1) t->fixups.len -= (uint32_t)sizeof *f;
    c->fixups = next;
    cut_last(t);
}

void tr_end(struct translator *t, const struct insn *i)
{
    struct ctrl *c = label_ctrl(t, 0);
    if (!i->reachable) drop_last_jump(t, c);
    if (t->nctrls == 1 && i->reachable) fall_off(t, c);
    bool are_home = t->nctrls > 1 && i->reachable;
    if (are_home) flush_top(t, c->nresults);
    resolve(t, c->fixups, t->code.len);
    resolve(t, c->else_fixup, t->code.len);
    bind_label(t);
    if (!are_home) push_block_values(t, c, i->results, i->nresults);
    CHECK(t->nvals == c->height + c->nresults, ".step");
    t->region = c->region;
    if (t->nctrls == 1 && c->fixups != NO_FIXUP) branch_to(t, 0, c->nresults);
    t->nctrls--;
}

void begin_body(struct translator *t, const valtype *results, uint32_t nresults)
{
    struct insn body = {.op = OP_BLOCK, .results = results, .nresults = nresults, .result_slots = t->nresults};
    push_ctrl(t, &body);
}

/* ---- Conditions */

/* Takes the comparison or test that has just been emitted back. */
static struct cond take_last(struct translator *t)
{
    struct cond c = {.branch = t->last.branch, .size = (uint8_t)(t->code.len - t->last.pos - 6)};
    CHECK(c.size <= sizeof c.bytes, ".last");
    if (t->status == HEMI_OK) memcpy(c.bytes, t->code.at + t->last.pos + 6, c.size);
    cut_last(t);
    return c;
}

struct cond slot_cond(uint16_t branch, const struct value *v, uint32_t n, uint32_t imm)
{
    struct cond c = {.branch = branch, .size = (uint8_t)(2 + 4 * n), .touched = {v->at}, .ntouched = 1};
    memcpy(c.bytes, &v->at, 2);
    memcpy(c.bytes + 2, &imm, 4);
    return c;
}

static bool is_eqz_of_r0(const struct cond *c) { return c->branch == VM_I32_EQZ_R_BT; }

/* Pops the condition of an if or br_if. Nothing but moves into homes may be emitted before it becomes a branch. */
struct cond take_cond(struct translator *t)
{
    struct value v = pop(t);
    if (v.loc != LOC_REG || v.pos == NO_POS || v.pos != t->last.pos || t->last.branch == 0) {
        no_const(t, &v);
        keep_step(t);
        from_mirror(t, &v);
        if (v.loc == LOC_REG) return (struct cond){.branch = VM_I32_EQZ_R_BT, .negate = true};
        struct cond plain = slot_cond(VM_I32_EQZ_S_BT, &v, 0, 0);
        plain.negate = true;
        return plain;
    }
    uint32_t pos = t->last.pos;
    struct cond c = take_last(t);
    /* eqz of a comparison (of floats: those of integers have been turned round) or of another test */
    bool from_test = is_eqz_of_r0(&c) && t->last.pos != NO_POS && t->last.branch != 0 && t->last.pos < pos;
    if (!from_test) return c;
    bool negate = !c.negate;
    c = take_last(t);
    c.negate = negate;
    return c;
}

void emit_pieces(struct translator *t, const struct cond *c, uint32_t from)
{
    for (uint32_t i = from; i < c->size; i += 2) {
        uint16_t piece;
        memcpy(&piece, c->bytes + i, 2);
        emit_u16(t, piece);
    }
}

/* Emits the branch without its target. Returns where the target goes. */
static uint32_t emit_cond(struct translator *t, const struct cond *c, bool sense, bool to_loop)
{
    uint32_t form = (sense == c->negate ? 1u : 0u) + (to_loop ? 2u : 0u);
    if (!fuse_step(t, c, form)) {
        uint32_t mirror = t->mirror;
        emit(t, c->branch + form);
        t->mirror = mirror; /* a branch leaves r0 alone */
        t->last.branch = 0;
        emit_pieces(t, c, 0);
    }
    for (uint32_t i = 0; i < c->ntouched; i++) touch(t, c->touched[i], t->last.pos);
    uint32_t field = t->code.len;
    emit_u32(t, 0);
    return field;
}

/* ---- Branches */

/* Are the topmost n operands where the label wants them? */
static bool values_in_place(struct translator *t, const struct ctrl *c, uint32_t n)
{
    if (n > 0 && t->nvals != c->height + n) return false;
    for (uint32_t i = 0; i < n; i++)
        if (top(t, i)->loc != LOC_SLOT) return false;
    return true;
}

/* Upwards: a source is never below its target. The stack is left as it is, but that many values go home. */
static void move_values(struct translator *t, const struct ctrl *c, uint32_t n)
{
    CHECK_DEBUG(t->nvals >= c->height + n, ".step");
    use_slots(t, home_of(t, c->height + n));
    if (n > MOVES_MAX) {
        flush_top(t, n);
        if (t->nvals != c->height + n) mov_range(t, home_of(t, t->nvals - n), home_of(t, c->height), n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct value *v = top(t, n - 1 - i);
        uint32_t target = home_of(t, c->height + i);
        CHECK_DEBUG(v->loc != LOC_SLOT || v->at >= target, ".home");
        if (v->loc != LOC_SLOT || v->at != target) mov(t, v, target);
    }
}

static void emit_return(struct translator *t, uint32_t n)
{
    if (n > 1) {
        flush_top(t, n);
        emit(t, VM_RETURN_N);
        emit_u16(t, home_of(t, t->nvals - n));
        emit_u16(t, n);
        return;
    }
    const struct value *v = n == 1 ? top(t, 0) : NULL;
    emit(t, !v ? VM_RETURN_0 : v->loc == LOC_REG ? VM_RETURN_R : v->loc == LOC_CONST ? VM_RETURN_C : VM_RETURN_S);
    if (v) emit_operand(t, v, 'D');
}

static void emit_jump(struct translator *t, struct ctrl *c)
{
    if (!c->is_loop || !fuse_step_loop(t)) emit(t, c->is_loop ? VM_BR_LOOP : VM_BR_ALWAYS);
    uint32_t pos = t->last.pos, field = t->code.len;
    emit_u32(t, c->is_loop ? c->head - pos : 0);
    if (!c->is_loop) c->fixups = add_fixup(t, c->fixups, field, pos);
}

/* An unconditional branch; what it leaves on the stack is not used any more. */
void branch_to(struct translator *t, uint32_t label, uint32_t nvalues)
{
    struct ctrl *c = label_ctrl(t, label);
    if (label == t->nctrls - 1) {
        emit_return(t, nvalues);
        return;
    }
    if (nvalues == 1 && top(t, 0)->loc == LOC_REG) {
        struct value v = pop(t);
        put_in(t, &v, home_of(t, c->height));
    } else {
        move_values(t, c, nvalues);
    }
    emit_jump(t, c);
}

/* A branch over what follows, or (label == NO_POS) to the else of the innermost if. */
static uint32_t branch_over(struct translator *t, const struct cond *c, bool sense)
{
    uint32_t field = emit_cond(t, c, sense, false);
    return add_fixup(t, NO_FIXUP, field, t->last.pos);
}

/* Branches to the label with the topmost operands, which stay on the stack, if the condition's truth is `sense`. */
void branch_on(struct translator *t, struct cond *c, bool sense, uint32_t label, uint32_t nvalues)
{
    if (label == NO_POS) {
        label_ctrl(t, 0)->else_fixup = branch_over(t, c, sense);
        return;
    }
    struct ctrl *to = label_ctrl(t, label);
    bool is_return = label == t->nctrls - 1;
    if (values_in_place(t, to, nvalues)) {
        pin_values(t, nvalues);
        uint32_t field = emit_cond(t, c, sense, to->is_loop);
        if (to->is_loop)
            patch_u32(t, field, to->head - t->last.pos);
        else
            to->fixups = add_fixup(t, to->fixups, field, t->last.pos);
        return;
    }
    uint32_t over = branch_over(t, c, !sense);
    pin_values(t, nvalues);
    if (is_return) {
        emit_return(t, nvalues);
    } else {
        move_values(t, to, nvalues);
        emit_jump(t, to);
    }
    resolve(t, over, t->code.len);
    t->last.pos = t->prev.pos = NO_POS; /* a label, but control reaches it only from the branch above */
}

/* They must not be in r0 at their home, nor (several results of a return are collected at home, and so are many
 * operands) anywhere but home. */
void settle_values(struct translator *t, uint32_t label, uint32_t n)
{
    if (t->reg != NO_VALUE && t->reg >= t->nvals - n && n > 0 && (n > 1 || label_ctrl(t, label)->height == t->reg))
        free_reg(t);
    if (n > MOVES_MAX || (label == t->nctrls - 1 && n > 1)) flush_top(t, n);
}

void tr_br(struct translator *t, const struct insn *i) { branch_to(t, i->index, label_slots(t, i->index)); }

void tr_return(struct translator *t, const struct insn *i)
{
    (void)i;
    branch_to(t, t->nctrls - 1, t->nresults);
}

void tr_br_if(struct translator *t, const struct insn *i)
{
    struct cond c = take_cond(t);
    uint32_t n = label_slots(t, i->index);
    settle_values(t, i->index, n);
    branch_on(t, &c, true, i->index, n);
}

/* What br_table's entries for a label have in common: each label is looked at once. */
static struct ctrl *table_label(struct translator *t, uint32_t label, uint32_t n, uint32_t pos)
{
    struct ctrl *c = label_ctrl(t, label);
    if (c->table == pos) return c;
    c->table = pos;
    c->moves = values_in_place(t, c, n) ? NO_POS : 0;
    tr_charge(t, n);
    return c;
}

/* An entry for a label: straight to it, or by way of moves behind the table. */
static void table_entry(struct translator *t, uint32_t label, uint32_t n, uint32_t pos)
{
    struct ctrl *c = table_label(t, label, n, pos);
    uint32_t field = t->code.len;
    emit_u32(t, 0);
    if (c->moves != NO_POS) return;
    if (c->is_loop)
        patch_u32(t, field, c->head - LOOP_BYTES - pos);
    else
        c->fixups = add_fixup(t, c->fixups, field, pos);
}

static void table_moves(struct translator *t, uint32_t label, uint32_t n, uint32_t field, uint32_t pos)
{
    struct ctrl *c = label_ctrl(t, label);
    if (c->moves == NO_POS) return;
    bool made = c->moves != 0;
    if (!made) c->moves = t->code.len;
    patch_u32(t, field, c->moves - pos);
    if (made) return;
    tr_charge(t, n);
    if (label == t->nctrls - 1) {
        emit_return(t, n);
    } else {
        move_values(t, c, n);
        emit_jump(t, c);
    }
}

void tr_br_table(struct translator *t, const struct insn *i)
{
    struct value v = pop(t);
    no_const(t, &v);
    uint32_t n = label_slots(t, i->labels[i->nlabels]);
    flush_top(t, n);
    uint32_t pos = emit(t, v.loc == LOC_REG ? VM_BR_TABLE_R : VM_BR_TABLE_S);
    emit_operand(t, &v, 'i');
    emit_u32(t, i->nlabels);
    uint32_t entries = t->code.len;
    tr_charge(t, i->nlabels);
    for (uint32_t k = 0; k <= i->nlabels; k++) table_entry(t, i->labels[k], n, pos);
    for (uint32_t k = 0; k <= i->nlabels; k++) table_moves(t, i->labels[k], n, entries + 4 * k, pos);
}

void tr_unreachable(struct translator *t, const struct insn *i)
{
    (void)i;
    uint32_t pos = emit(t, VM_TRAP_UNREACHABLE);
    emit_line(t, pos);
}

/* ---- Branches on null. The reference is put into a slot: both ways go on with it. */

static struct cond null_cond(struct translator *t)
{
    struct value *v = top(t, 0);
    if (v->loc == LOC_CONST || v->loc == LOC_REG) to_home(t, t->nvals - 1);
    return slot_cond(VM_I32_EQZ_S_BT, top(t, 0), 0, 0);
}

void tr_br_on_null(struct translator *t, const struct insn *i)
{
    struct cond c = null_cond(t);
    struct value v = pop(t);
    uint32_t n = label_slots(t, i->index);
    settle_values(t, i->index, n);
    branch_on(t, &c, true, i->index, n);
    push(t, v);
}

void tr_br_on_non_null(struct translator *t, const struct insn *i)
{
    struct cond c = null_cond(t);
    uint32_t n = label_slots(t, i->index);
    settle_values(t, i->index, n);
    branch_on(t, &c, false, i->index, n);
    pop(t);
}

/* ---- Calls */

/* The callee's frame begins at least one slot above the operands that stay: its header goes in between. */
static uint32_t call_delta(const struct translator *t, uint32_t n)
{
    uint32_t delta = home_of(t, t->nvals - n) + 1;
    return delta < VM_DELTA_MIN ? VM_DELTA_MIN : delta;
}

/* Puts the topmost n operands where the callee's frame will have them, which is above their homes. Downwards, so that
 * none is overwritten before it has moved. Returns the delta. */
static uint32_t stage_args(struct translator *t, uint32_t n)
{
    if (t->reg != NO_VALUE && t->reg < t->nvals - n) free_reg(t);
    uint32_t delta = call_delta(t, n);
    CHECK_DEBUG(delta > home_of(t, t->nvals - n) && delta >= VM_DELTA_MIN, ".frame");
    use_slots(t, delta + n);
    if (n > MOVES_MAX) {
        flush_top(t, n);
        mov_range(t, home_of(t, t->nvals - n), delta, n);
        truncate_stack(t, t->nvals - n);
        return delta;
    }
    for (uint32_t i = n; i > 0; i--) {
        struct value v = pop(t);
        put_in(t, &v, delta + i - 1);
    }
    return delta;
}

/* The operand that says what to call goes above where stage_args puts the arguments. */
static struct value pop_callee(struct translator *t, uint32_t nargs)
{
    struct value f = pop(t);
    if (f.loc == LOC_CONST || (f.loc == LOC_SLOT && nargs > 0)) put_in(t, &f, call_delta(t, nargs) + nargs);
    return f;
}

/* Several results lie where the arguments were, above their homes. */
static void push_results(struct translator *t, const struct insn *i, uint32_t op, uint32_t pos, uint32_t delta)
{
    uint32_t n = i->result_slots, home = home_of(t, t->nvals);
    CHECK_DEBUG(delta > home && t->reg == NO_VALUE, ".frame");
    use_slots(t, delta + n);
    if (n == 1) {
        push_reg(t, op, pos, (uint8_t)valtype_slot(t->e->types, i->results[0]));
        return;
    }
    push_types_home(t, i->results, i->nresults);
    if (n > MOVES_MAX) {
        mov_range(t, delta, home, n);
        return;
    }
    for (uint32_t k = 0; k < n; k++)
        mov(t, &(struct value){.loc = LOC_SLOT, .at = (uint16_t)(delta + k), .pos = NO_POS}, home + k);
}

/* What a call's instruction has besides {delta, site}: the callee operand, if any, and immediates. */
struct call {
    uint32_t op; /* the V form; R follows it */
    const struct value *f;
    uint32_t n, more[4];
};

/* One or two moves just emitted become part of the call. What they moved must not be patched to go elsewhere any more:
 * the call stands where the first of them stood. */
static void take_moves(struct translator *t, struct call *c)
{
    uint32_t n = t->last.pos != NO_POS && t->last.op >= VM_MOV_S ? t->last.op - VM_MOV_S + 1u : 0;
    if (n < 1 || n > 2 || t->status != HEMI_OK) return;
    memcpy(&c->more[c->n], t->code.at + t->last.pos + AT_DEST, n * sizeof *c->more);
    for (uint32_t i = 0; i < n; i++) touch(t, c->more[c->n + i] & UINT16_MAX, t->last.pos + 1);
    c->n += n;
    c->op = n == 1 ? VM_CALL_DEFINED_MOV1_V : VM_CALL_DEFINED_MOV2_V;
    cut_last(t);
}

static void emit_call(struct translator *t, const struct insn *i, struct call c)
{
    uint32_t delta = stage_args(t, i->param_slots);
    if (c.op == VM_CALL_DEFINED_V) take_moves(t, &c);
    uint32_t site = add_site(t, delta, 0);
    if (c.f && c.f->loc == LOC_REG) c.op += 3;
    if (i->result_slots == 1) c.op++;
    uint32_t pos = emit(t, c.op);
    emit_line(t, pos);
    if (c.f) emit_operand(t, c.f, 'i');
    emit_u16(t, delta);
    emit_u32(t, site);
    for (uint32_t k = 0; k < c.n; k++) emit_u32(t, c.more[k]);
    push_results(t, i, c.op, pos, delta);
}

static uint32_t code_distance(uint32_t func) { return func * (uint32_t)sizeof(struct code); }

void tr_call(struct translator *t, const struct insn *i)
{
    bool imported = i->index < t->m->nimported_funcs;
    uint32_t callee = imported ? i->index : code_distance(i->index);
    emit_call(t, i, (struct call){imported ? VM_CALL_IMPORTED_V : VM_CALL_DEFINED_V, .n = 1, .more = {callee}});
}

void tr_call_indirect(struct translator *t, const struct insn *i)
{
    struct value f = pop_callee(t, i->param_slots);
    emit_call(t, i, (struct call){VM_CALL_TABLE_S_V, .f = &f, .n = 2, .more = {i->index2, i->local_type}});
}

void tr_call_ref(struct translator *t, const struct insn *i)
{
    struct value f = pop_callee(t, i->param_slots);
    emit_call(t, i, (struct call){VM_CALL_BY_REF_S_V, .f = &f});
}

static void emit_tail(struct translator *t, const struct insn *i, uint32_t op, const struct value *f,
                      const uint32_t *more, uint32_t nmore)
{
    flush_top(t, i->param_slots);
    if (f && f->loc == LOC_REG) op++;
    uint32_t pos = emit(t, op);
    emit_line(t, pos);
    if (f) emit_operand(t, f, 'i');
    emit_u16(t, home_of(t, t->nvals - i->param_slots));
    emit_u16(t, i->param_slots);
    for (uint32_t k = 0; k < nmore; k++) emit_u32(t, more[k]);
    use_slots(t, i->param_slots);
}

void tr_return_call(struct translator *t, const struct insn *i)
{
    bool imported = i->index < t->m->nimported_funcs;
    uint32_t more = imported ? i->index : code_distance(i->index);
    emit_tail(t, i, imported ? VM_TAIL_IMPORTED : VM_TAIL_DEFINED, NULL, &more, 1);
}

void tr_return_call_indirect(struct translator *t, const struct insn *i)
{
    struct value f = pop(t);
    no_const(t, &f);
    emit_tail(t, i, VM_TAIL_TABLE_S, &f, (uint32_t[]){i->index2, i->local_type}, 2);
}

void tr_return_call_ref(struct translator *t, const struct insn *i)
{
    struct value f = pop(t);
    no_const(t, &f);
    emit_tail(t, i, VM_TAIL_BY_REF_S, &f, NULL, 0);
}

/* ---- Exceptions */

static void add_clause(struct translator *t, const struct insn_catch *catch)
{
    struct ctrl *to = label_ctrl(t, catch->label);
    uint32_t index = BUF_COUNT(t->clauses, struct catch_clause);
    struct catch_clause *c = buf_add(t, &t->clauses, sizeof *c);
    if (!c) return;
    *c = (struct catch_clause){.kind = catch->kind, .tag = catch->tag, .slot = home_of(t, to->height)};
    use_slots(t, home_of(t, to->height + label_arity(to)));
    if (to->is_loop)
        c->pc = to->head - LOOP_BYTES;
    else
        to->fixups = add_fixup(t, to->fixups, index, NO_POS);
}

/* Labels of clauses count from outside of the block. */
void tr_try_table(struct translator *t, const struct insn *i)
{
    flush_entry(t, i->param_slots);
    uint32_t first = BUF_COUNT(t->clauses, struct catch_clause);
    for (uint32_t k = 0; k < i->ncatches; k++) add_clause(t, &i->catches[k]);
    if (!push_ctrl(t, i)) return;
    struct region *r = buf_add(t, &t->regions, sizeof *r);
    if (!r) return;
    *r = (struct region){.outer = t->region, .first = first, .count = i->ncatches};
    t->region = BUF_COUNT(t->regions, struct region) - 1;
    CHECK_DEBUG(r->outer == REGION_NONE || r->outer < t->region, ".frame");
}
