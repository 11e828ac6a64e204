/* client/wat/wat.h -- the text format: an assembler (text in, binary out) and a disassembler (the way back).
 *
 * All of WebAssembly 3.0's text format (specification, chapter 6): flat and folded instructions, every abbreviation,
 * symbolic names; of annotations, (@custom ...) is read and others are skipped. A text is assembled as soon as it is
 * well-formed; whether the module is valid is the engine's business, so that invalid modules can be written down and
 * tested. Identifiers become the name section, from which traces and the disassembler name things.
 *
 * Checking school: the text is a stranger's. Everything wrong with it is an error return with line and column; nothing
 * in here asserts on it, prints, or recurses as deep as the text nests (instructions use a stack of frames of their
 * own). Own state is asserted.
 * Ownership: one `struct wat` per call owns everything, in an arena and growable buffers that are freed at the end;
 * only the binary outlives the call. Tokens and plain names are slices of the caller's text.
 * Invariants, cited where code relies on them:
 *   [STICKY]   the first error wins, and moves the cursor to the end token for good; every loop ends at that token, so
 *              code between an error and its report may go on, on harmless values (index 0, empty names).
 *   [ORDER]    the n-th definition of a kind in the text, imports included, has index n; so pass 1 can number and name
 *              all definitions before anything refers to them. Imports after definitions are refused, as specified.
 *   [BALANCED] the lexer has matched all parentheses; skipping a group is one assignment. */
#ifndef HEMI_WAT_H
#define HEMI_WAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wat_error {
    uint32_t line;     /* 1-based; 0 when the error has no place in the text (out of memory, disassembling) */
    uint32_t column;   /* 1-based, in bytes */
    uint64_t offset;   /* of the byte, in the text or in the binary */
    const char *file;  /* the caller's `filename`, borrowed */
    char message[232]; /* what is wrong, without the place; UTF-8, cut if long */
};

/* How deep parentheses, and blocks, may nest. Nothing recurses; this bounds memory per byte of text. */
enum { WAT_NESTING = 1 << 20 };

/* All zeros: the defaults. */
struct wat_options {
    bool no_names; /* leave out the name section; disassembling: do not look at it */
};

/* Assembles one module: `(module ...)`, `(module binary "...")`, `(module quote "...")`, or its fields alone. `text`
 * has `len` bytes, needs no terminator and must be UTF-8; `filename` (may be NULL) is only repeated in the error.
 * Returns HEMI_OK (0) and gives `*out`, `*out_len`, which the caller frees; or HEMI_INVALID_MODULE, HEMI_LIMIT (4 GiB
 * of text or of a section, WAT_NESTING) or HEMI_NO_MEMORY, fills `*err` and sets `*out` to NULL.
 * Any thread; no global state. */
int wat_assemble_with(const struct wat_options *options, const char *text, size_t len, const char *filename,
                      uint8_t **out, size_t *out_len, struct wat_error *err);
/* Where the instruction stands, or else the field, that is at `offset` of the module that wat_assemble makes of the
 * text. HEMI_NOT_FOUND: nothing of the text is there; or what wat_assemble returns. */
int wat_locate(const char *text, size_t len, uint64_t offset, uint32_t *line, uint32_t *column);
/* With the default options. */
int wat_assemble(const char *text, size_t len, const char *filename, uint8_t **out, size_t *out_len,
                 struct wat_error *err);

/* Writes a binary module as text, one instruction a line, that assembles to the same module: what it means, all names
 * that are unique in their space, and all custom sections but "name" in their places. What has two encodings (numbers
 * of more bytes than needed, runs of locals, a data count that nothing needs) may come back in the other, once:
 * assembling and disassembling again changes nothing any more. The module needs to be well-formed, not valid. Returns
 * HEMI_OK and gives `*out`, `*out_len` (a 0 byte follows it), which the caller frees; or HEMI_INVALID_MODULE with
 * err->offset, HEMI_LIMIT (text of more than 1 MiB and 256 times the module) or HEMI_NO_MEMORY, fills `*err` and sets
 * `*out` to NULL. `filename` as above. Memory is in proportion to `len`. Any thread. */
int wat_disassemble(const struct wat_options *options, const uint8_t *bytes, size_t len, const char *filename,
                    char **out, size_t *out_len, struct wat_error *err);

#endif
