/* runtime/interp/explicit.c -- all handlers in the explicit memory scheme. */
#include "runtime/interp/interp.h"

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-parameter" /* a body uses what it needs of VM_PARAMS */
#define HANDLER(id, size, ...) static VM_NONE uint32_t op_##id(VM_PARAMS) __VA_ARGS__
#include "runtime/code/bodies.def"
#pragma clang diagnostic pop

const vm_entry vmop_explicit[VMOP_COUNT] = {
#define HANDLER(id, size, ...) op_##id,
#include "runtime/code/bodies.def"
};
