/* runtime/interp/interp.h -- the bodies as handlers of a threaded interpreter: each ends by jumping to the next one's.
 *
 * For interp/ alone, so without a guard against anything but themselves. interp.c has what there is once;
 * runtime/interp/explicit.c and runtime/interp/guarded.c compile all bodies, each in one of the memory schemes of
 * access.h. */
#ifndef HEMI_RUNTIME_INTERP_INTERP_H
#define HEMI_RUNTIME_INTERP_INTERP_H

#include "runtime/code/access.h"
#include "runtime/code/simd.h"
#include "runtime/code/vmops.h"

#define FIELD_SLOT(off) ((size_t)ld16(pc + (off)) * SLOT_BYTES)
#define FIELD_U16(off) ((uint32_t)ld16(pc + (off)))
#define FIELD_U32(off) ld32(pc + (off))
#define FIELD_U64(off) ld64(pc + (off))
#define HELPER(name) rt_##name
#define HELPER_AT(index) vm_helpers[index]
#define DISPATCH()                                                                                                     \
    do {                                                                                                               \
        vm_entry next_ = (vm_entry)(void *)((char *)vmop_anchor + lds32(pc));                                          \
        VM_TAIL return next_(VM_ARGS);                                                                                 \
    } while (0)
#define NEXT(size)                                                                                                     \
    do {                                                                                                               \
        pc += (size);                                                                                                  \
        DISPATCH();                                                                                                    \
    } while (0)
#define BRANCH(off)                                                                                                    \
    do {                                                                                                               \
        pc += lds32(pc + (off));                                                                                       \
        DISPATCH();                                                                                                    \
    } while (0)
#define BRANCH_POLL(off)                                                                                               \
    do {                                                                                                               \
        pc += lds32(pc + (off));                                                                                       \
        if (UNLIKELY(*vm->poll)) pc -= LOOP_BYTES;                                                                     \
        DISPATCH();                                                                                                    \
    } while (0)
#define TABLE_BRANCH(off, index)                                                                                       \
    do {                                                                                                               \
        uint32_t i_ = (index), n_ = ld32(pc + (off));                                                                  \
        pc += lds32(pc + (off) + 4 + 4 * (size_t)(i_ < n_ ? i_ : n_));                                                 \
        DISPATCH();                                                                                                    \
    } while (0)
#define TAIL_CALL(to, instance)                                                                                        \
    do {                                                                                                               \
        in = (instance);                                                                                               \
        mem = in->mem0;                                                                                                \
        pc = (to)->bytes;                                                                                              \
        vm_entry entry_ = (to)->entry;                                                                                 \
        VM_TAIL return entry_(VM_ARGS);                                                                                \
    } while (0)
#define TRAP(name) VM_TAIL return vm_trap_##name(VM_ARGS)
#define FAULT(name) VM_TAIL return vm_fault_##name(VM_ARGS)
#define UNWIND(site)                                                                                                   \
    do {                                                                                                               \
        r0 = (site);                                                                                                   \
        VM_TAIL return vm_unwind(VM_ARGS);                                                                             \
    } while (0)

/* What a fault can mean: the trap, and the address space in which the fault must have been. */
#define VM_FAULTS(X)                                                                                                   \
    X(MEMORY_BOUNDS, mem->base + mem->size, mem->reserved - mem->size)                                                 \
    X(NULL_STRUCTURE, vm->heap.base, HEAP_NULL_BYTES)                                                                  \
    X(NULL_ARRAY, vm->heap.base, HEAP_NULL_BYTES)

/* One cold exit per trap, so that a handler's trap is a bare jump; one per trap that a fault can be. */
#define X(name, number, text) VM_NONE uint32_t vm_trap_##name(VM_PARAMS);
WASM_TRAPS(X)
#undef X
#define X(name, from, bytes) VM_NONE uint32_t vm_fault_##name(VM_PARAMS);
VM_FAULTS(X)
#undef X
/* A call or helper at the site in r0 has failed: goes on in this function if it catches, else unwinds further. */
VM_NONE uint32_t vm_unwind(VM_PARAMS);

#endif
