/* runtime/validate/call.c -- calls, tail calls and exceptions (3.0, 3.4.2). */
#include "runtime/validate/impl.h"

static void set_call(struct validator *v, const struct rtype *t)
{
    v->in.params = t->vals;
    v->in.nparams = t->nparams;
    v->in.results = type_results(t);
    v->in.nresults = t->nresults;
    v->in.param_slots = t->param_slots;
    v->in.result_slots = t->result_slots;
}

/* The callee's operands are on the stack, and what says which callee has been popped. */
static void finish_call(struct validator *v)
{
    pop_vals(v, v->in.params, v->in.nparams);
    push_vals(v, v->in.results, v->in.nresults);
}

static void finish_tail_call(struct validator *v)
{
    const struct ctrl_frame *f = v->ctrls;
    if (f->nresults != v->in.nresults)
        v_fail(v, "type mismatch: the function has %u results, the callee %u", f->nresults, v->in.nresults);
    else
        match_vals(v, v->in.results, frame_results(f), f->nresults);
    pop_vals(v, v->in.params, v->in.nparams);
    unreachable(v);
}

static void callee_direct(struct validator *v) { set_call(v, v_func_type(v, v->in.index)); }

static void callee_indirect(struct validator *v)
{
    const struct table_decl *t = &v->m->tables[v->in.index2];
    if (!valtype_matches(v->e->types, t->type, VT_REF(true, HT_FUNC))) v_mismatch(v, VT_REF(true, HT_FUNC), t->type);
    pop_expect(v, t->limits.is64 ? VT_I64 : VT_I32);
    set_call(v, v_type(v, v->in.index));
}

static void callee_ref(struct validator *v)
{
    const struct rtype *t = v_type(v, v->in.index);
    if (t->kind != TYPE_FUNC) {
        v_fail(v, "unknown type %u: not a function type", v->in.index);
        return;
    }
    pop_expect(v, VT_REF(true, v->m->types[v->in.index]));
    set_call(v, t);
}

typedef void callee_fn(struct validator *v);

static void check_call(struct validator *v, callee_fn *callee, bool is_tail)
{
    callee(v);
    if (!v_ok(v)) return;
    if (is_tail)
        finish_tail_call(v);
    else
        finish_call(v);
}

void validate_call(struct validator *v) { check_call(v, callee_direct, false); }
void validate_call_indirect(struct validator *v) { check_call(v, callee_indirect, false); }
void validate_call_ref(struct validator *v) { check_call(v, callee_ref, false); }
void validate_return_call(struct validator *v) { check_call(v, callee_direct, true); }
void validate_return_call_indirect(struct validator *v) { check_call(v, callee_indirect, true); }
void validate_return_call_ref(struct validator *v) { check_call(v, callee_ref, true); }

/* ---- Exceptions */

void validate_throw(struct validator *v)
{
    set_call(v, &v->e->types->rtypes[v->m->tags[v->in.index]]);
    pop_vals(v, v->in.params, v->in.nparams);
    unreachable(v);
}

void validate_throw_ref(struct validator *v)
{
    pop_expect(v, VT_REF(true, HT_EXN));
    unreachable(v);
}

enum { CATCH_REF = 1 };

/* Does the label take the tag's payload and then, if the clause asks for it, the exception? */
static void check_catch(struct validator *v, const struct insn_catch *clause)
{
    const struct ctrl_frame *f = label_frame(v, clause->label);
    const struct rtype *t = clause->kind & CATCH_ALL ? NULL : &v->e->types->rtypes[v->m->tags[clause->tag]];
    uint32_t npayload = t ? t->nparams : 0, n = npayload + (clause->kind & CATCH_REF);
    const valtype *want = label_types(f), exn = VT_REF(false, HT_EXN);
    if (n != label_arity(f)) {
        v_fail(v, "type mismatch: the catch clause gives %u values, its label takes %u", n, label_arity(f));
        return;
    }
    if (t) match_vals(v, t->vals, want, npayload);
    if (clause->kind & CATCH_REF) match_vals(v, &exn, want + npayload, 1);
}

/* Labels of clauses count from outside of the block. */
void validate_try_table(struct validator *v)
{
    pop_vals(v, v->in.params, v->in.nparams);
    for (uint32_t i = 0; i < v->in.ncatches && v_poll(v); i++) check_catch(v, &v->in.catches[i]);
    push_ctrl(v, OP_TRY_TABLE);
}
