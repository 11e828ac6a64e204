/* runtime/code/vmops.h -- the handlers as an enum: VM_I32_ADD_SS_R... in the order of bodies.def. Internal to runtime/.
 */
#ifndef HEMI_RUNTIME_CODE_VMOPS_H
#define HEMI_RUNTIME_CODE_VMOPS_H

#include "runtime/module/code.h"

enum vmop {
#define HANDLER(id, size, ...) VM_##id,
#include "runtime/code/bodies.def"
    VMOP_COUNT
};

/* Bytes of an instruction; 0 for br_table, whose size depends on its count. */
extern const uint8_t vmop_sizes[VMOP_COUNT];
extern const char *const vmop_names[VMOP_COUNT];
/* The interpreter's handlers in each memory scheme, and what offsets in code are relative to. vmop_guarded is NULL
 * where faults_install says that there is no such scheme. */
extern const vm_entry vmop_explicit[VMOP_COUNT], vmop_guarded[VMOP_COUNT];
extern const vm_entry *const vmop_handlers[SCHEME_COUNT];
uint32_t vmop_anchor(const uint8_t *pc, char *fp, struct instance *in, struct vm *vm, struct memory *mem, uint64_t r0)
    __attribute__((preserve_none, visibility("hidden"))); /* so that its address is no load from the GOT */
static inline uint32_t vmop_distance(vm_entry handler)
{
    return (uint32_t)((const char *)(const void *)handler - (const char *)(const void *)vmop_anchor);
}
static inline uint32_t vmop_offset(enum scheme scheme, uint32_t op) { return vmop_distance(vmop_handlers[scheme][op]); }
/* The handler of the instruction at `at`. */
static inline vm_entry code_entry(const uint8_t *at)
{
    int32_t distance;
    __builtin_memcpy(&distance, at, sizeof distance);
    return (vm_entry)(void *)((char *)vmop_anchor + distance);
}
/* LOOP_POLL's size: a branch to a loop's head goes this far back to run the poll. */
enum { LOOP_BYTES = 12 };

/* Bytes of an instruction with this operation. */
uint32_t code_insn_size(const uint8_t *at, uint32_t op);

enum helper {
#define HELPER(name, file, what) HELPER_##name,
#include "runtime/code/helpers.def"
#undef HELPER
    HELPER_COUNT
};

#endif
