/* runtime/module/code.c -- what can be asked of one function's translated code, and its end. */
#include "runtime/module/code.h"
#include <stdlib.h>

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
