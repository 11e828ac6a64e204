/* base/release.h -- giving large memory back a piece at a time, so that whoever frees it can do other things
 * between.
 *
 * School: TRUSTED. Who frees in pieces counts UNITS: one is a page given back, a small block freed, or an entry looked
 * at, each well below a microsecond. A function that takes `units` uses up some of them and stops when none are left;
 * what it had left to do it remembers by itself. */
#ifndef HEMI_BASE_RELEASE_H
#define HEMI_BASE_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RELEASE_CALL_UNITS = 16 /* what one call of the kernel counts as, besides its pages */ };

/* Takes what is left of `n` units. */
static inline void release_units(uint32_t *units, uint32_t n) { *units -= n < *units ? n : *units; }

/* Takes one unit; false: there is none. */
static inline bool release_unit(uint32_t *units)
{
    if (*units == 0) return false;
    --*units;
    return true;
}

/* Unmaps [base, base + *size) from its end on; *size is what is still there. True: something is. */
bool release_mapping(char *base, uint64_t *size, uint32_t *units);

/* The same, but gives back the pages only. */
bool release_pages(char *base, size_t *size, uint32_t *units);

/* Frees *block, which is from malloc, and sets it to NULL. *given counts what went back to the system so far; it is 0
 * before a block and after it. True: more is left. */
bool release_block(void **block, size_t *given, uint32_t *units);

#endif
