/* runtime/vmops.h -- the handlers as an enum: VM_I32_ADD_SS_R... in the order of bodies.def. Internal to runtime/. */
#ifndef HEMI_RUNTIME_VMOPS_H
#define HEMI_RUNTIME_VMOPS_H

#include "runtime/code.h"

enum vmop {
#define HANDLER(id, size, ...) VM_##id,
#include "runtime/bodies.def"
    VMOP_COUNT
};

/* Bytes of an instruction; 0 for br_table, whose size depends on its count. */
extern const uint8_t vmop_sizes[VMOP_COUNT];
extern const char *const vmop_names[VMOP_COUNT];
/* The interpreter's handlers, and what offsets in code are relative to. */
extern const vm_entry vmop_handlers[VMOP_COUNT];
uint32_t vmop_anchor(const uint8_t *pc, char *fp, struct instance *in, struct vm *vm, struct memory *mem, uint64_t r0)
    __attribute__((preserve_none));
/* LOOP_POLL's size: a branch to a loop's head goes this far back to run the poll. */
enum { LOOP_BYTES = 12 };

enum helper {
#define HELPER(name, file, what) HELPER_##name,
#include "runtime/helpers.def"
#undef HELPER
    HELPER_COUNT
};

#endif
