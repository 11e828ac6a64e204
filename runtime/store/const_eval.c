/* runtime/store/const_eval.c -- constant expressions, at instantiation. A plain one is a value that the decoder has
 * left; any other is a piece of code that runs like a function, so that whatever it has made so far is rooted in its
 * frame when it allocates more. */
#include "base/check.h"
#include "runtime/store/store.h"

static enum hemi_status run(struct instance *in, const struct const_expr *e, union val *out, struct rt_error *err)
{
    struct store *s = in->store;
    char *fp = s->activation->fp;
    CHECK(s->vm.exit_fp == fp, ".exit");
    CHECK(e->index < in->module->nconst_code, ".numbered");
    uint32_t result = vm_enter(&s->vm, in, &in->const_code[e->index], fp);
    enum hemi_status status = result == VM_OK ? HEMI_OK : pending_take(s, err);
    CHECK((result == VM_OK) == (status == HEMI_OK), ".pending");
    if (status == HEMI_OK) slots_to_vals(out, fp, &e->type, 1);
    s->vm.exit_fp = fp;
    return status;
}

enum hemi_status const_eval(struct instance *in, const struct const_expr *e, union val *out, struct rt_error *err)
{
    switch (e->kind) {
    case CONST_VAL:
        *out = e->val;
        return HEMI_OK;
    case CONST_GLOBAL:
        *out = in->globals[e->index]->val;
        return HEMI_OK;
    case CONST_FUNC:
        *out = (union val){.u64 = {func_id(in, e->index), 0}};
        return HEMI_OK;
    default:
        CHECK(e->kind == CONST_CODE, ".numbered");
        return run(in, e, out, err);
    }
}
