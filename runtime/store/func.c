/* runtime/store/func.c -- calls into the guest: activations, arguments and results. Host functions are in host.c. */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <string.h>

/* ---- Slots */
void slots_from_vals(char *slots, const union val *vals, const valtype *types, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t low = valtype_size(types[i]) == 4 ? vals[i].i32 : vals[i].i64;
        memcpy(slots, &low, SLOT_BYTES);
        if (types[i] == VT_V128) memcpy(slots + SLOT_BYTES, &vals[i].u64[1], SLOT_BYTES);
        slots += valtype_slots(types[i]) * SLOT_BYTES;
    }
}

void slots_to_vals(union val *vals, const char *slots, const valtype *types, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        vals[i] = (union val){.u64 = {0, 0}};
        memcpy(vals[i].bytes, slots, valtype_size(types[i]));
        slots += valtype_slots(types[i]) * SLOT_BYTES;
    }
}

/* ---- Activations */
enum hemi_status activation_enter(struct store *s, struct activation *a, struct vm_stack stack, uint32_t slots,
                                  struct rt_error *err)
{
    struct vm *vm = &s->vm;
    uint32_t depth = s->activation == NULL ? 1 : s->activation->depth + 1;
    if (depth > ACTIVATIONS_MAX)
        return error_limit(err, "nesting", depth, " calls inside one another's host functions", ACTIVATIONS_MAX);
    if (ENTRY_BYTES + (size_t)slots * SLOT_BYTES > stack.size) {
        error_set(err, HEMI_TRAP, "call stack exhausted (%s: at most %llu bytes)", s->opt.names.stack,
                  (unsigned long long)stack.size);
        if (err != NULL) err->trap = TRAP_STACK_OVERFLOW;
        return HEMI_TRAP;
    }
    CHECK(vm->pending.status == HEMI_OK, ".pending");
    CHECK(!heap_is_collecting(s->heap) && s->unfinished == NULL, ".alone");
    CHECK((vm->exit_fp == NULL) == (s->activation == NULL), ".activation");
    CHECK((uintptr_t)stack.base % ENTRY_BYTES == 0, ".bottom");
    *a = (struct activation){s->activation, vm->exit_fp, vm->stack_limit, stack.base + ENTRY_BYTES, depth, err, NULL};
    memset(a->fp - SLOT_BYTES, 0, SLOT_BYTES); /* {SITE_ENTRY, 0}: .bottom */
    s->activation = a;
    vm->exit_fp = a->fp;
    vm->stack_limit = stack.base + stack.size;
    return HEMI_OK;
}

void activation_leave(struct store *s, struct activation *a)
{
    CHECK(s->activation == a, ".activation");
    CHECK(s->vm.pending.status == HEMI_OK, ".pending");
    CHECK(s->unfinished == NULL && !heap_is_collecting(s->heap), ".whole");
    CHECK(a->host == NULL && (a->outer == NULL || a->outer->depth < a->depth), ".activation");
    s->vm.exit_fp = a->outer_exit_fp;
    s->vm.stack_limit = a->outer_stack_limit;
    s->activation = a->outer;
}

/* ---- Calls */
enum hemi_status vals_check(const struct store *s, const union val *vals, const valtype *types, uint32_t n,
                            const char *what, struct rt_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!vt_is_ref(types[i]) || store_ref_is(s, vals[i], types[i])) continue;
        char type[64];
        valtype_print(s->engine->types, types[i], type, sizeof type);
        return error_set(err, HEMI_ARGUMENT, "%s %u is not a %s", what, i, type);
    }
    return HEMI_OK;
}

const struct rtype *func_type(struct store *s, uint32_t func, uint32_t *type_id)
{
    CHECK(func >> FUNC_BLOCK_SHIFT < s->nfunc_blocks && func_instance(&s->vm, func) != NULL, ".func");
    uint32_t type = func_code(&s->vm, func)->type;
    if (type_id != NULL) *type_id = type;
    return &s->vm.rtypes[type];
}

enum hemi_status rt_call(struct store *s, uint32_t func, const union val *args, union val *results,
                         struct vm_stack stack, struct rt_error *err)
{
    if (func == 0) return error_set(err, HEMI_ARGUMENT, "a null function cannot be called");
    const struct rtype *t = func_type(s, func, NULL);
    const struct code *code = func_code(&s->vm, func);
    enum hemi_status status = vals_check(s, args, t->vals, t->nparams, "argument", err);
    if (status != HEMI_OK) return status;
    struct activation a;
    uint32_t slots = code->nparams > code->nresults ? code->nparams : code->nresults;
    status = activation_enter(s, &a, stack, slots, err);
    if (status != HEMI_OK) return status;
    slots_from_vals(a.fp, args, t->vals, t->nparams);
    if (vm_enter(&s->vm, func_instance(&s->vm, func), code, a.fp) == VM_OK)
        slots_to_vals(results, a.fp, t->nresults > 0 ? t->vals + t->nparams : NULL, t->nresults);
    else
        status = pending_take(s, err);
    activation_leave(s, &a);
    return status;
}
