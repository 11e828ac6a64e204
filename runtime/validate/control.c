/* runtime/validate/control.c -- blocks and branches (3.0, 3.4.2). */
#include "runtime/validate/impl.h"

void validate_unreachable(struct validator *v) { unreachable(v); }

/* ---- Blocks */

void validate_block(struct validator *v)
{
    pop_vals(v, v->in.params, v->in.nparams);
    push_ctrl(v, v->in.op);
}

void validate_if(struct validator *v)
{
    pop_expect(v, VT_I32);
    validate_block(v);
}

/* What the translator sees of an ELSE or END: whether its block was shown, the block's type, and whether control gets
 * here from just above. */
static void show_ended(struct validator *v, bool reachable)
{
    const struct ctrl_frame *f = &v->ended;
    v->show = f->shown;
    v->in.reachable = reachable;
    v->in.params = f->params;
    v->in.nparams = f->nparams;
    v->in.results = frame_results(f);
    v->in.nresults = f->nresults;
}

void validate_else(struct validator *v)
{
    bool reachable = v->live;
    if (v->top->op != OP_IF) {
        v_malformed(v, "END opcode expected: no if is open");
        return;
    }
    pop_ctrl(v);
    show_ended(v, reachable);
    if (!v->ended.results) {
        v->block_type = v->ended.single;
        v->in.results = &v->block_type;
    }
    push_ctrl(v, OP_ELSE);
}

/* An if without else passes its parameters on as its results. */
static void check_no_else(struct validator *v)
{
    const struct ctrl_frame *f = &v->ended;
    if (f->nparams != f->nresults) {
        v_fail(v, "type mismatch: an if without else has %u parameters and %u results", f->nparams, f->nresults);
        return;
    }
    match_vals(v, f->params, frame_results(f), f->nparams);
}

void validate_end(struct validator *v)
{
    bool reachable = v->live;
    pop_ctrl(v);
    show_ended(v, reachable);
    if (v->ended.op == OP_IF) check_no_else(v);
    if (v->top) push_vals(v, v->in.results, v->in.nresults);
}

/* ---- Branches */

static const struct ctrl_frame *set_label(struct validator *v)
{
    const struct ctrl_frame *f = label_frame(v, v->in.index);
    v->in.results = label_types(f);
    v->in.nresults = label_arity(f);
    return f;
}

static void pop_label(struct validator *v) { pop_vals(v, v->in.results, v->in.nresults); }
static void push_label(struct validator *v) { push_vals(v, v->in.results, v->in.nresults); }

void validate_br(struct validator *v)
{
    set_label(v);
    pop_label(v);
    unreachable(v);
}

void validate_br_if(struct validator *v)
{
    set_label(v);
    pop_expect(v, VT_I32);
    pop_label(v);
    push_label(v);
}

/* Are the operands those of this label of br_table, too? Once for each label, however often it is repeated. */
static void check_table_label(struct validator *v, uint32_t label)
{
    struct ctrl_frame *f = v->top - label;
    if (f->table == v->in.offset) return;
    f->table = v->in.offset;
    if (label_arity(f) == v->in.nresults)
        expect_vals(v, label_types(f), v->in.nresults);
    else
        v_fail(v, "type mismatch: label %u has %u operands, the default label %u", label, label_arity(f),
               v->in.nresults);
}

void validate_br_table(struct validator *v)
{
    const struct insn *in = &v->in;
    pop_expect(v, VT_I32);
    v->in.index = in->labels[in->nlabels];
    set_label(v);
    for (uint32_t i = 0; i < in->nlabels && v_poll(v); i++) check_table_label(v, in->labels[i]);
    pop_label(v);
    unreachable(v);
}

void validate_return(struct validator *v)
{
    v->in.index = v->nctrls - 1;
    validate_br(v);
}

/* ---- Branches on references */

void validate_br_on_null(struct validator *v)
{
    set_label(v);
    valtype t = pop_ref(v);
    pop_label(v);
    push_label(v);
    v->in.type = VT_REF(false, vt_heap(t));
    push_val(v, v->in.type);
}

/* The reference that a branch takes along is the last of the label's operands. Pops and pushes those before it. */
static void label_with_ref(struct validator *v, valtype ref)
{
    uint32_t n = v->in.nresults;
    if (n == 0) {
        v_fail(v, "type mismatch: the label takes no reference");
        return;
    }
    if (!valtype_matches(v->e->types, ref, v->in.results[n - 1])) v_mismatch(v, v->in.results[n - 1], ref);
    pop_vals(v, v->in.results, n - 1);
    push_vals(v, v->in.results, n - 1);
}

void validate_br_on_non_null(struct validator *v)
{
    set_label(v);
    v->in.type = VT_REF(false, vt_heap(pop_ref(v)));
    label_with_ref(v, v->in.type);
}

/* The source type without what the target takes out of it. */
static valtype difference(valtype source, valtype target)
{
    return VT_REF(vt_nullable(source) && !vt_nullable(target), vt_heap(source));
}

/* br_on_cast, br_on_cast_fail: in.type2 is the source, in.type the target. */
void validate_br_on_cast(struct validator *v)
{
    valtype source = v->in.type2, target = v->in.type, rest = difference(source, target);
    bool on_fail = v->in.op == OP_BR_ON_CAST_FAIL;
    set_label(v);
    if (!valtype_matches(v->e->types, target, source)) v_mismatch(v, source, target);
    pop_expect(v, source);
    label_with_ref(v, on_fail ? rest : target);
    push_val(v, on_fail ? target : rest);
}
