/* runtime/load/load.h -- a module's sections, read in one pass: for load/ alone (module_new and module_take are in
 * runtime.h).
 *
 * School: UNTRUSTED bytes (decoder.h). The front end has four rooms: binary/ reads numbers, names and types; validate/
 * checks instructions and hands them to translate/; what is here reads the sections, and drives both. */
#ifndef HEMI_RUNTIME_LOAD_LOAD_H
#define HEMI_RUNTIME_LOAD_LOAD_H

#include "runtime/binary/decoder.h"
#include "runtime/translate/translate.h"
#include "runtime/validate/validate.h"

/* Reads all of d->module->bytes. False: *d->err says why. */
bool decode_module(struct decoder *d);

/* form.c: *d->err says that the module is invalid; if it is malformed, too, it says that instead. May poll, and then
 * says what a poll answered. */
void form_check(struct decoder *d);

/* The next section: its id, known and in order, and a cursor over its contents. False: there is none, or an error. */
bool decode_section_head(struct decoder *d, struct cursor *c, uint8_t *id, struct cursor *section);

/* One function per section, given a cursor over exactly its contents. */
void decode_imports(struct decoder *d, struct cursor *c);
void decode_functions(struct decoder *d, struct cursor *c);
void decode_tables(struct decoder *d, struct cursor *c);
void decode_memories(struct decoder *d, struct cursor *c);
void decode_tags(struct decoder *d, struct cursor *c);
void decode_globals(struct decoder *d, struct cursor *c);
void decode_exports(struct decoder *d, struct cursor *c);
void decode_start(struct decoder *d, struct cursor *c);
void decode_elems(struct decoder *d, struct cursor *c);
void decode_data_count(struct decoder *d, struct cursor *c);
void decode_code(struct decoder *d, struct cursor *c);
void decode_datas(struct decoder *d, struct cursor *c);

/* runtime/load/names.c: fills module->func_names from the name section, if there is one, as far as it is well-formed,
 * and from what exports have been decoded. Needs no decoded section but the number of functions, so it also names the
 * function in which an error was met. NO_MEMORY, or what a poll returned. */
enum hemi_status decode_names(struct engine *e, struct module *m);

/* const_expr.c: a constant expression of this type, up to and including its END. */
void decode_const_expr(struct decoder *d, struct cursor *c, valtype type, struct const_expr *out);
/* Makes the translator and the validator unless they are there. */
bool decoder_code_begin(struct decoder *d, struct cursor *c);

#endif
