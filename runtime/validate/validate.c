/* runtime/validate/validate.c -- the validator's operand and control stacks, its errors, and its life (3.0, A.3). */
#include "runtime/validate/impl.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Errors */

void v_fail(struct validator *v, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cursor_fail(&v->c, HEMI_INVALID_MODULE, v->in.offset, "%s in %s", text, opcode_rows[v->in.op].text);
}

void v_malformed(struct validator *v, const char *text)
{
    cursor_malformed(&v->c, v->in.offset, "%s in %s", text, opcode_rows[v->in.op].text);
}

void v_foreign(struct validator *v, enum proposal_place place, uint32_t code, const char *text)
{
    char whole[96];
    snprintf(whole, sizeof whole, "%s in %s", text, opcode_rows[v->in.op].text);
    cursor_foreign(&v->c, v->in.offset, place, code, whole);
}

const char *v_type_text(const struct validator *v, valtype t, char *buf, size_t len)
{
    if (vt_is_ref(t) && !ht_is_abstract(vt_heap(t))) {
        uint32_t i = 0;
        while (i < v->m->ntypes && v->m->types[i] != vt_heap(t)) i++;
        t = VT_REF(vt_nullable(t), i);
    }
    valtype_print(v->e->types, t, buf, len);
    return buf;
}

void v_mismatch(struct validator *v, valtype expected, valtype found)
{
    char want[40], have[40];
    if (!v_ok(v)) return;
    v_type_text(v, expected, want, sizeof want);
    if (found == VT_BOT)
        v_fail(v, "type mismatch: expected %s, found nothing", want);
    else
        v_fail(v, "type mismatch: expected %s, found %s", want, v_type_text(v, found, have, sizeof have));
}

/* ---- Operands */

void push_val_slow(struct validator *v, valtype t)
{
    if (!cursor_limit(&v->c, v->in.offset, LIMIT_OPERANDS, v->nvals + 1)) return;
    if (!decoder_reserve(&v->c, (void **)&v->vals, &v->cap_vals, v->nvals, 64, sizeof *v->vals)) return;
    if (v->cap_vals > WASM_MAX_OPERANDS) v->cap_vals = WASM_MAX_OPERANDS;
    v->vals[v->nvals++] = t;
}

/* An operand, or VT_BOT out of unreachable code; VT_BOT, too, and no error yet, when there is none. */
static bool pop_any(struct validator *v, valtype *t)
{
    *t = VT_BOT;
    if (v->nvals == v->top->height) return v->top->unreachable; /* .height */
    *t = v->vals[--v->nvals];
    return true;
}

valtype pop_val(struct validator *v)
{
    valtype t;
    if (!pop_any(v, &t)) v_fail(v, "type mismatch: expected an operand, found nothing");
    return t;
}

valtype pop_expect_slow(struct validator *v, valtype want)
{
    valtype t;
    if (!pop_any(v, &t))
        v_mismatch(v, want, VT_BOT);
    else if (!valtype_matches(v->e->types, t, want))
        v_mismatch(v, want, t);
    return t;
}

valtype pop_ref(struct validator *v)
{
    valtype t = pop_val(v);
    if (vt_is_ref(t)) return t;
    char have[40];
    if (t != VT_BOT) v_fail(v, "type mismatch: expected a reference, found %s", v_type_text(v, t, have, sizeof have));
    return VT_REF(false, HT_BOT);
}

/* From how many operands on it pays to look for them as a whole. */
enum { MANY = 16 };

void push_vals(struct validator *v, const valtype *types, uint32_t n)
{
    v_charge(v, n);
    if (n >= MANY && n <= v->cap_vals - v->nvals) {
        memcpy(v->vals + v->nvals, types, n * sizeof *types);
        v->nvals += n;
        return;
    }
    for (uint32_t i = 0; i < n; i++) push_val(v, types[i]);
}

/* Are the topmost n operands exactly of these types? (If not, they may still match them.) */
static bool are_same(const struct validator *v, const valtype *types, uint32_t n)
{
    return n <= v->nvals - v->top->height && memcmp(v->vals + v->nvals - n, types, n * sizeof *types) == 0;
}

void pop_vals(struct validator *v, const valtype *types, uint32_t n)
{
    uint32_t left = n;
    valtype have = VT_BOT, want = VT_BOT; /* popped last: often the next are the same */
    if (n >= MANY && are_same(v, types, n)) {
        v->nvals -= n;
        left = 0;
    }
    for (; left > 0 && !pops_nothing(v); left--) {
        bool again = v->nvals > v->top->height && v->vals[v->nvals - 1] == have && types[left - 1] == want;
        if (again)
            v->nvals--;
        else
            have = pop_expect(v, want = types[left - 1]);
    }
    v_charge(v, n - left);
}

void expect_vals(struct validator *v, const valtype *types, uint32_t n)
{
    uint32_t have = v->nvals - v->top->height;
    v_charge(v, n);
    if (n >= MANY && are_same(v, types, n)) return;
    for (uint32_t i = 0; i < n && v_ok(v); i++) {
        valtype want = types[n - 1 - i];
        valtype t = i < have ? v->vals[v->nvals - 1 - i] : VT_BOT;
        if (i >= have && !v->top->unreachable)
            v_mismatch(v, want, VT_BOT);
        else if (!valtype_matches(v->e->types, t, want))
            v_mismatch(v, want, t);
    }
}

void match_vals(struct validator *v, const valtype *have, const valtype *want, uint32_t n)
{
    v_charge(v, n);
    if (n == 0 || memcmp(have, want, n * sizeof *have) == 0) return;
    for (uint32_t i = 0; i < n && v_ok(v); i++)
        if (!valtype_matches(v->e->types, have[i], want[i])) v_mismatch(v, want[i], have[i]);
}

/* ---- Frames */

void push_ctrl(struct validator *v, uint16_t op)
{
    const struct insn *in = &v->in;
    if (!cursor_limit(&v->c, v->in.offset, LIMIT_NESTING, v->nctrls)) return;
    if (!decoder_reserve(&v->c, (void **)&v->ctrls, &v->cap_ctrls, v->nctrls, 1, sizeof *v->ctrls)) return;
    v->top = &v->ctrls[v->nctrls++];
    bool single = in->results == &v->block_type;
    *v->top = (struct ctrl_frame){.op = op,
                                  .shown = v->live,
                                  .height = v->nvals,
                                  .init_height = v->ninited,
                                  .nparams = in->nparams,
                                  .nresults = in->nresults,
                                  .params = in->params,
                                  .results = single ? NULL : in->results,
                                  .single = single ? v->block_type : VT_BOT};
    push_vals(v, in->params, in->nparams);
}

void pop_ctrl(struct validator *v)
{
    struct ctrl_frame *f = v->top;
    pop_vals(v, frame_results(f), f->nresults);
    if (v->nvals != f->height && v_ok(v)) v_fail(v, "type mismatch: values remaining on stack at end of block");
    while (v->ninited > f->init_height) v->inits[v->inited[--v->ninited]] = 0;
    v->nvals = f->height;
    v->ended = *f;
    v->live = f->shown;
    v->nctrls--;
    v->top = v->nctrls > 0 ? v->top - 1 : NULL;
}

void unreachable(struct validator *v)
{
    v->nvals = v->top->height;
    v->top->unreachable = true;
    v->live = false;
}

/* ---- Life */

enum hemi_status validator_new(struct decoder *d, struct validator **out)
{
    struct validator *v = *out = calloc(1, sizeof *v);
    if (!v) return HEMI_NO_MEMORY;
    v->d = d;
    v->e = d->engine;
    v->m = d->module;
    return HEMI_OK;
}

void validator_free(struct validator *v)
{
    if (!v) return;
    free(v->vals);
    free(v->ctrls);
    free(v->locals);
    free(v->inits);
    free(v->inited);
    free(v->labels);
    free(v->catches);
    free(v);
}
