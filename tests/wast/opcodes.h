/* tests/wast/opcodes.h -- which instructions were executed, over all workers: a worker that counts says so in its INFO,
 * in an object "opcodes" with a number for each row's text. */
#ifndef HEMI_WAST_OPCODES_H
#define HEMI_WAST_OPCODES_H

#include <hemi.h>

#include "proto/tables/opcodes.h"

/* Zero: nothing was executed. */
struct opcode_counts {
    bool executed[OP_COUNT];
};

/* Adds what the client's worker has executed since it started. The caller locks. */
void opcodes_collect(struct opcode_counts *o, hemi_client *client);
/* Prints each row that was never executed, and returns how many. */
uint32_t opcodes_missing(const struct opcode_counts *o);

#endif
