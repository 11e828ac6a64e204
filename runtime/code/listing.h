/* runtime/code/listing.h -- translated code as text: what `hemi code` prints. module_list is in runtime.h.
 *
 * School: TRUSTED: the code is the translator's. */
#ifndef HEMI_RUNTIME_CODE_LISTING_H
#define HEMI_RUNTIME_CODE_LISTING_H

#include "runtime/code/vmops.h"

/* What an instruction of this operation is made of, behind its field d. `operands`: one letter each, in their order: S
 * a slot, R r0, c and C constants of 4 and 8 bytes. `fields`: letters of immediates.def. False: no pattern is for it,
 * or the sizes do not add up to the instruction's; a test asks it of all but br_table. */
enum { LISTING_OPERANDS_MAX = 4 };
struct vmop_layout {
    char operands[LISTING_OPERANDS_MAX];
    const char *fields;
};
bool vmop_layout(uint32_t op, struct vmop_layout *out);

#endif
