/* runtime/interp/ops_exn.c -- throw and throw_ref. An exception is an object: header, tag id, payload laid out as its
 * type says. */
#include "runtime/interp/object.h"
#include "runtime/interp/ops.h"

uint32_t rt_throw(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    const struct tag *tag = in->tags[a];
    const struct rtype *layout = &vm->rtypes[tag->desc];
    heap_ref exn;
    if (object_new(vm, in, tag->desc, &exn) != VM_OK) return VM_UNWIND;
    uint8_t *at = vm->heap.base + exn.bits;
    memcpy(at + EXN_TAG_OFFSET, &tag->id, sizeof tag->id);
    object_fill(at, layout, slots);
    vm_stop(vm, HEMI_EXCEPTION);
    vm->pending.exn = exn.bits;
    return VM_UNWIND;
}

uint32_t rt_throw_ref(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)a, (void)b;
    uint32_t exn = slot_u32(slots, 0);
    if (exn == 0) return vm_trap(vm, in, NULL, TRAP_NULL_EXCEPTION);
    vm_stop(vm, HEMI_EXCEPTION);
    vm->pending.exn = exn;
    return VM_UNWIND;
}
