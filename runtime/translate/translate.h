/* runtime/translate/translate.h -- the seam between the validator (drives) and the translator (emits).
 *
 * The validator decodes an instruction, checks it, and then, if the code is reachable, hands it over as a struct insn.
 * So the translator sees only valid, reachable code; its own operand stack (of locations) moves in step with the
 * validator's, but that a v128 is two of its operands: the low half, then the high half. A block that STARTS in
 * unreachable code is not shown at all; END and ELSE of every shown block are shown, with `reachable` telling whether
 * the code just before them was. After a shown END the code is reachable again. School: the validator has checked
 * everything: the translator asserts, except that frames and code may become too large (LIMIT).
 * Its work is linear in that of the function's size, with factors that limits bound. */
#ifndef HEMI_RUNTIME_TRANSLATE_TRANSLATE_H
#define HEMI_RUNTIME_TRANSLATE_TRANSLATE_H

#include "proto/tables/limits.h"
#include "proto/tables/opcodes.h"
#include "runtime/module/module.h"
#include "runtime/runtime.h"

struct insn_catch {
    uint8_t kind;
    uint32_t tag, label;
};

/* One decoded instruction. Which fields mean something follows from the opcode row's IMM kind. Borrowed pointers are
 * valid during the call only. */
struct insn {
    uint16_t op;     /* enum opcode */
    bool reachable;  /* END and ELSE */
    uint32_t offset; /* of the opcode byte, in the module */
    uint32_t index;  /* first index: local, global, func, table, type, elem, data, tag, memory, label depth */
    uint32_t index2; /* second index: field, table of call_indirect, source table/memory/type, segment, array.new_fixed
                        count */
    uint64_t imm;    /* constants' bits; memarg offset */
    const uint8_t *bytes; /* v128.const: its 16 bytes; i8x16.shuffle: its 16 lanes */
    uint32_t align;
    uint32_t nparams, nresults;         /* blocks and calls: their type; br*: nresults = number of label values */
    uint32_t param_slots, result_slots; /* blocks and calls: the frame slots that these take, a v128 two */
    const valtype *params, *results;
    const uint32_t *labels; /* br_table: nlabels targets, then the default */
    uint32_t nlabels;
    valtype type; /* select, ref.null, ref.test/cast, br_on_cast: target type; otherwise the type pushed if irregular */
    valtype type2; /* br_on_cast: the source type */
    const struct insn_catch *catches;
    uint32_t ncatches;
    uint32_t
        local_type; /* TYPE immediates: the module-local type index as written (code holds this, not canonical ids) */
    uint32_t local_type2;
    /* ref.test/cast and br_on_cast to a concrete type: the module-local index of the target (else UINT32_MAX) */
    uint32_t cast_local_type;
};

struct translator;
/* One translator serves all functions and constant expressions of a module, which it borrows. Steps beyond a constant
 * number for each instruction are taken from *budget. */
enum hemi_status translator_new(struct engine *e, struct module *m, int64_t *budget, struct translator **out);
void translator_free(struct translator *t);
/* Starts a function (or, with func = SITE_CONST | n, a constant expression: no params, one result). `locals` holds the
 * parameters' types first. */
enum hemi_status tr_begin(struct translator *t, uint32_t func, const valtype *locals, uint32_t nlocals,
                          uint32_t nparams, const valtype *results, uint32_t nresults);
/* NO_MEMORY, LIMIT. The function's final END is shown too. */
enum hemi_status tr_insn(struct translator *t, const struct insn *i);
/* After LIMIT: which one. */
enum wasm_limit tr_limit(const struct translator *t);
/* Bytes of what translator_finish will hand over. */
uint64_t tr_bytes(const struct translator *t);
/* Ends the function: moves its code to *out (owned by the module from now on; code_deinit frees it). */
enum hemi_status tr_finish(struct translator *t, struct code *out);
/* Hands sites and live slots over to the module, after the last function. */
enum hemi_status translator_finish(struct translator *t);
/* Is there a way to translate this opcode? There is for every one, as a test says. */
bool tr_covers(enum opcode op);

#endif
