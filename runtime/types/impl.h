/* runtime/types/impl.h -- shared by types/ only: a type's parts, its layout, and ids. */
#ifndef HEMI_RUNTIME_TYPES_IMPL_H
#define HEMI_RUNTIME_TYPES_IMPL_H

#include "runtime/types/table.h"

/* Does this heap type (or super) name a canonical type? */
static inline bool type_is_id(uint32_t heap) { return heap < TYPE_REC_BASE; }

/* Makes the first n entries of all tables accessible. NO_MEMORY, LIMIT. */
enum hemi_status type_tables_commit(struct types *ts, uint32_t n);
/* n consecutive unused, zeroed ids; the first and the last are given a kind, so that no neighbour takes them for free.
 * LIMIT when there are none, NO_MEMORY. */
enum hemi_status type_ids_take(struct types *ts, uint32_t n, uint32_t *first);
void type_ids_give(struct types *ts, uint32_t first, uint32_t n);

/* Gives every field its size and offset, the first at `start`; returns the object's size. */
uint32_t type_layout_fields(struct field *fields, uint32_t n, uint32_t start);
/* Fills descs[id] from the fields of a struct or exception layout of `size` bytes, or of an array; and the offsets at
 * the beginning of links[id].parts, which has room for one for each reference. */
void type_layout_desc(struct types *ts, uint32_t id, uint32_t size);

#endif
