/* runtime/stencil/stencils.h -- reads the object file made of stencil.c: what to copy for each handler and which holes
 * to fill.
 *
 * School: the file is our own build's; anything unexpected in it is an error with a message, which fails the build.
 * x86-64 ELF only, so far. Used by check.c at build time and by the test that runs code made of stencils. */
#ifndef HEMI_RUNTIME_STENCIL_STENCILS_H
#define HEMI_RUNTIME_STENCIL_STENCILS_H

#include "runtime/code/vmops.h"
#include <stddef.h>

enum hole_kind {
    HOLE_SLOT, /* n: offset of the u16 field; the value is 8 x the field */
    HOLE_U16,  /* n: offset of the field */
    HOLE_U32,
    HOLE_NEXT, /* code from here on: the target of a relative jump */
    HOLE_TAKEN,
    HOLE_POLL,
    HOLE_TABLE,
    HOLE_UNWIND,
    HOLE_TRAP,     /* n: enum wasm_trap */
    HOLE_CONSTANT, /* n: offset in stencils.constants; relative */
};

struct hole {
    uint8_t kind;  /* enum hole_kind */
    uint8_t bytes; /* always 4, so far */
    bool relative; /* the value minus the hole's own address */
    uint32_t at;   /* offset in the stencil */
    uint32_t n;
    int64_t addend;
};

struct stencil {
    const uint8_t *bytes; /* in the file */
    uint32_t size;
    uint32_t first, count; /* in stencils.holes, ordered by `at` as the compiler wrote them */
};

struct stencils {
    uint8_t *file;
    size_t size;
    struct stencil at[VMOP_COUNT];
    struct hole *holes;
    uint32_t nholes;
    uint8_t *constants; /* all read-only data that stencils refer to; 64-byte aligned parts */
    uint32_t nconstants;
    char error[200];
};

/* Reads and checks. False: `error` says what is wrong. stencils_close in either case. */
bool stencils_open(struct stencils *s, const char *path);
void stencils_close(struct stencils *s);

#endif
