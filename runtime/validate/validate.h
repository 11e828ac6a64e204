/* runtime/validate/validate.h -- the validator, as load/ sees it: checks code while decoding it (3.0, appendix A.3)
 * and hands each reachable instruction to the translator.
 *
 * School: UNTRUSTED bytes. Errors go to the decoder's rt_error, with the offset of the instruction.
 * One validator serves all functions of a module; its stacks grow and are reused. */
#ifndef HEMI_RUNTIME_VALIDATE_VALIDATE_H
#define HEMI_RUNTIME_VALIDATE_VALIDATE_H

#include "runtime/binary/decoder.h"

struct validator;

/* NO_MEMORY. The decoder is borrowed. */
enum hemi_status validator_new(struct decoder *d, struct validator **out);
void validator_free(struct validator *v); /* NULL is allowed */

/* A function's locals and body; `last` when no function follows. Translates it into module->code[func]. */
void validate_function(struct validator *v, uint32_t func, struct cursor body, bool last);
/* A constant expression up to its END, leaving *c behind it. With `translate`, tr_begin has been called and tr_finish
 * is to follow. */
void validate_const(struct validator *v, struct cursor *c, valtype type, bool translate);

/* One instruction's opcode; false with an error if there is none. */
bool opcode_read(struct cursor *c, uint16_t *op);

#endif
