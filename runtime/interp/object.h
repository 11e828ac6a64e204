/* runtime/interp/object.h -- making and filling heap objects from frame slots, for ops_gc.c and ops_exn.c.
 *
 * A new object comes back as a bare reference: the caller puts it where the collector finds it before anything else may
 * collect. Operands are read from their slots after the allocation, which may have moved them (vm.h .base). */
#ifndef HEMI_RUNTIME_INTERP_OBJECT_H
#define HEMI_RUNTIME_INTERP_OBJECT_H

#include "runtime/interp/ops.h"

/* The heap refused: traps. */
uint32_t object_refused(struct vm *vm, struct instance *in, enum heap_status status);

/* A field or element of `size` bytes from the slot (or two) at `from`, or to it, zero-extended. */
static inline void field_store(uint8_t *at, const char *from, uint32_t size)
{
    switch (size) {
    case 1:
        memcpy(at, from, 1);
        break;
    case 2:
        memcpy(at, from, 2);
        break;
    case 4:
        memcpy(at, from, 4);
        break;
    case 8:
        memcpy(at, from, 8);
        break;
    default:
        memcpy(at, from, 16);
        break;
    }
}

/* A fixed-size object, zeroed after its header. VM_UNWIND when the heap refuses. */
static inline uint32_t object_new(struct vm *vm, struct instance *in, uint32_t desc, heap_ref *out)
{
    uint32_t size = vm->store->descs[desc].size;
    *out = heap_bump(&vm->heap, desc, size);
    if (!heap_is_null(*out)) {
        memset(vm->heap.base + out->bits + 4, 0, size - 4);
        return VM_OK;
    }
    enum heap_status status = heap_alloc(vm->store->heap, desc, size, out);
    return status == HEAP_OK ? VM_OK : object_refused(vm, in, status);
}

/* Stores the fields of `layout` from consecutive slots. */
static inline void object_fill(uint8_t *at, const struct rtype *layout, const char *slots)
{
    for (uint32_t i = 0; i < layout->nfields; i++) {
        const struct field *f = &layout->fields[i];
        field_store(at + f->offset, slots, f->size);
        slots += f->size == 16 ? 2 * SLOT_BYTES : SLOT_BYTES;
    }
}

#endif
