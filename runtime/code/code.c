/* runtime/code/code.c -- tables over the handlers, and what can be asked of translated code. */
#include "runtime/code/bodies.h"
#include "runtime/code/vmops.h"
#include "runtime/translate/translate.h"
#include <stdlib.h>

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

uint32_t code_offset(const struct code *c, const uint8_t *pc)
{
    uint32_t at = (uint32_t)(pc - c->bytes), low = 0, high = c->nlines;
    while (low < high) { /* the last line at or before `at` */
        uint32_t middle = low + (high - low) / 2;
        if (c->lines[middle].pc <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? c->lines[low - 1].offset : 0;
}

void code_deinit(struct code *c)
{
    free(c->block);
    *c = (struct code){0};
}
