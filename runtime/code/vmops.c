/* runtime/code/vmops.c -- tables over the handlers. */
#include "runtime/code/vmops.h"
#include "runtime/code/bodies.h"

const uint8_t vmop_sizes[VMOP_COUNT] = {
#define HANDLER(id, size, ...) (size),
#include "runtime/code/bodies.def"
};
const char *const vmop_names[VMOP_COUNT] = {
#define HANDLER(id, size, ...) #id,
#include "runtime/code/bodies.def"
};

uint32_t code_insn_size(const uint8_t *at, uint32_t op)
{
    if (vmop_sizes[op] != 0) return vmop_sizes[op];
    uint32_t count = op == VM_BR_TABLE_S ? AT_A + SZ_S_i : AT_A + SZ_R_i; /* where a br_table's count is */
    return count + 4 + 4 * (ld32(at + count) + 1);
}
