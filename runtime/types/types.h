/* runtime/types/types.h -- the engine's type registry: canonical types, subtyping, object layout.
 *
 * Every recursion group that a module declares is made canonical here (WebAssembly 3.0, 3.1.4 "Type equivalence"):
 * two types are equal exactly if their ids are equal. Ids are engine-wide, small and reused when the last module that
 * names them is gone. A canonical id is also the heap descriptor index of objects of that struct or array type; the
 * payload of an exception whose tag has function type F is laid out by a descriptor of its own (rtype.exn_desc).
 *
 * Layout (design: Heap): header 4 bytes, fields in order, each at its own size with at most 4-byte alignment (also
 * v128, which is read and written by unaligned accesses); a subtype's fields are a prefix extension, so an inherited
 * field keeps its offset. Arrays: header, u32 length, elements. Threads: one engine, one thread. */
#ifndef HEMI_RUNTIME_TYPES_TYPES_H
#define HEMI_RUNTIME_TYPES_TYPES_H

#include "heap/heap.h"
#include "proto/tables/limits.h"
#include "proto/tables/status.h"
#include "proto/tables/types.h"
#include <stdbool.h>
#include <stddef.h>

enum {
    TYPE_NONE = 0xFFFFFF,
    TYPE_DISPLAY_INLINE = 8,
    TYPE_DEPTH_MAX = WASM_MAX_SUPERS,
    TYPES_MAX = WASM_MAX_ENGINE_TYPES
};

enum type_kind { TYPE_FREE, TYPE_FUNC, TYPE_STRUCT, TYPE_ARRAY, TYPE_EXN_LAYOUT, TYPE_EXTERN_LAYOUT };

struct field {
    valtype type;    /* may be the packed VT_I8 / VT_I16 */
    uint32_t offset; /* bytes from the start of the object; arrays: 8 */
    uint8_t size;    /* 1, 2, 4, 8 or 16 */
    bool mut;
};

/* A canonical type. Borrowed pointers are valid while a module that names the type is alive; the table never moves. */
struct rtype {
    uint8_t kind; /* enum type_kind */
    bool final;
    uint8_t depth;    /* number of proper supertypes */
    bool defaultable; /* all fields have default values */
    uint32_t super;   /* canonical id, or TYPE_NONE */
    uint32_t group;   /* first id of its recursion group */
    uint32_t group_size;
    uint32_t refs;              /* modules naming the group; kept on the group's first type */
    uint32_t nparams, nresults; /* TYPE_FUNC: valtypes in `vals`, params first */
    uint32_t param_slots, result_slots;
    valtype *vals;
    uint32_t nfields; /* TYPE_STRUCT, TYPE_EXN_LAYOUT; TYPE_ARRAY has one */
    struct field *fields;
    uint32_t exn_desc; /* TYPE_FUNC: descriptor of exceptions with this payload, or TYPE_NONE */
    /* display[d] is the id of the ancestor of depth d (display[depth] is the type itself). Always at least
     * TYPE_DISPLAY_INLINE entries, the unused ones TYPE_NONE, so a cast to depth < 8 needs no length check. */
    uint32_t *display;
};

struct types; /* table.h */

struct types_options {
    uint64_t seed; /* of the hash of groups, random: a module cannot aim at one bucket */
    /* A poll point of long work. HEMI_OK: go on. Anything else: the work is given up with it. May do anything but end
     * the registry, so others may intern and free types meanwhile. */
    enum hemi_status (*poll)(void *ctx);
    void *ctx;
};
/* The tables are reserved, not committed. NO_MEMORY. */
enum hemi_status types_new(const struct types_options *opt, struct types **out);
/* Nobody may hold a reference on a group any more. NULL is allowed. */
void types_free(struct types *ts);

/* The heap type below all others, which validation gives to operands of unreachable code. No module can write it. */
#define HT_BOT HT_FIRST_ABSTRACT

/* A type as a module declares it, before it has an id. References inside to types of the same group are valtypes whose
 * heap type is TYPE_REC(i); all others already hold canonical ids. */
#define TYPE_REC_BASE 0xF00000u
#define TYPE_REC(i) (TYPE_REC_BASE + (i))
static inline bool type_is_rec(uint32_t heap) { return heap >= TYPE_REC_BASE && !ht_is_abstract(heap); }
struct type_def {
    uint8_t kind;
    bool final;
    uint32_t super; /* canonical id, TYPE_REC(i), or TYPE_NONE */
    uint32_t nparams, nresults;
    const valtype *vals; /* owned by the caller */
    uint32_t nfields;
    const struct field *fields; /* offset and size are ignored */
};

/* Interns a group of n definitions; ids[0..n) receive the canonical ids. Adds one reference (types_unref drops it).
 * Subtype declarations are NOT checked here (the decoder does, with types_matches_decl). NO_MEMORY, LIMIT, or what a
 * poll returned (large groups yield). */
enum hemi_status types_intern(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t *ids);
void types_ref(struct types *ts, uint32_t id);   /* one more reference to the id's group */
void types_unref(struct types *ts, uint32_t id); /* drops one; frees the group with the last */
/* The same in pieces (release.h): who drops one calls the latter until it returns false. True: more is left, of this or
 * of another group that nothing names any more. */
void types_drop(struct types *ts, uint32_t id);
bool types_free_some(struct types *ts, uint32_t *units);
const struct rtype *types_get(const struct types *ts, uint32_t id);
/* A stand-alone function type (host functions). Adds a reference. */
enum hemi_status types_func(struct types *ts, const valtype *vals, uint32_t nparams, uint32_t nresults, uint32_t *id);
/* The descriptor index for exceptions with payload type `func`. Made on first use. */
enum hemi_status types_exn_desc(struct types *ts, uint32_t func, uint32_t *desc);

/* Subtyping (3.0, 3.3). All take canonical ids inside valtypes. */
bool types_is_sub(const struct types *ts, uint32_t sub, uint32_t super); /* ids */
bool heaptype_matches(const struct types *ts, uint32_t sub, uint32_t super);
bool valtype_matches(const struct types *ts, valtype sub, valtype super);
uint32_t heaptype_top(const struct types *ts, uint32_t ht); /* HT_ANY, HT_FUNC, HT_EXTERN or HT_EXN */
/* Is `sub`'s definition a legal subtype of its declared super? (fields, params, finality) */
bool types_matches_decl(const struct types *ts, uint32_t sub);

/* What a slot of this type holds: HEAP_SLOT_REF for any/extern/exn hierarchies, HEAP_SLOT_FUNC for func, else DATA. */
enum heap_slot valtype_slot(const struct types *ts, valtype t);
uint32_t valtype_size(valtype t); /* bytes in memory */
/* Slots of a frame that values of these types take. */
static inline uint32_t valtype_slots(valtype t) { return t == VT_V128 ? 2 : 1; }
uint32_t valtypes_slots(const valtype *types, uint32_t n);
bool valtype_defaultable(valtype t);
/* Writes the text form, e.g. "(ref null 12)" or "i32"; always terminated. */
void valtype_print(const struct types *ts, valtype t, char *buf, size_t len);

#endif
