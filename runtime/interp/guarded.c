/* runtime/interp/guarded.c -- all handlers in the guarded memory scheme. */
#define BODIES_GUARDED
#include "runtime/interp/interp.h"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-parameter" /* a body uses what it needs of VM_PARAMS */
#define HANDLER(id, size, ...) static VM_NONE uint32_t op_##id(VM_PARAMS) __VA_ARGS__
#include "runtime/code/bodies.def"
#pragma clang diagnostic pop

const vm_entry vmop_guarded[VMOP_COUNT] = {
#define HANDLER(id, size, ...) op_##id,
#include "runtime/code/bodies.def"
};
