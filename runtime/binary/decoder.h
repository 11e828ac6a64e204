/* runtime/binary/decoder.h -- a module while it is decoded, and what its readers share: for binary/, validate/ and
 * load/ alone.
 *
 * School: UNTRUSTED bytes. Each check lives in one place: what the binary format alone says (numbers, lengths, order,
 * UTF-8) in binary/, indices of instructions in validate/imm.c, types of instructions in validate/.
 * One pass decodes and validates; what it finds invalid is read once more for its form alone (load/form.c).
 * The module is built in place, so an index space holds at any time what the module has declared so far; what is
 * there when decoding fails is freed with the module. */
#ifndef HEMI_RUNTIME_BINARY_DECODER_H
#define HEMI_RUNTIME_BINARY_DECODER_H

#include "proto/tables/opcodes.h"
#include "runtime/binary/cursor.h"
#include "runtime/engine/engine.h"
#include "runtime/module/module.h"

/* How many bytes of a module, or steps of work in it, lie between two polls: less than a millisecond of work. */
#ifdef HEMI_STRESS
enum { DECODE_POLL_BYTES = 64 };
#else
enum { DECODE_POLL_BYTES = 8192 };
#endif

struct translator;
struct validator;

struct decoder {
    struct engine *engine;
    struct module *module;
    struct rt_error *err;
    struct translator *translator; /* made with the first code; NULL before */
    struct validator *validator;   /* likewise */
    /* Capacities of the module's arrays, which grow while sections are read. */
    uint32_t cap_types, cap_funcs, cap_tables, cap_memories, cap_globals, cap_tags, cap_const_code;
    /* The recursion group being read: its first type's index and its length, 0 outside. */
    uint32_t rec_start, rec_count;
    uint8_t *declared; /* a bit per function: named outside of code, so ref.func may name it */
    uint64_t nlocals;  /* of the functions so far, without parameters */
    uint32_t ndata;    /* what the data count section says, when has_data_count */
    bool has_data_count, has_code, has_data;
    uint32_t last_rank; /* order of the last section that was not custom */
    int64_t poll_at;    /* offset at which to poll next */
};

/* ---- The format's codes that more than one reader knows */
enum { SECTION_CUSTOM, SECTION_START = 8, SECTION_CODE = 10, SECTION_DATA_COUNT = 12, SECTION_IDS = 14 };
enum {
    BYTE_REF = 0x64,
    BYTE_REF_NULL = 0x63,
    BYTE_I8 = 0x78,
    BYTE_I16 = 0x77,
    BYTE_EMPTY = 0x40,
    BYTE_TABLE_INIT = 0x40
};
enum { BYTE_REC = 0x4E, BYTE_SUB_FINAL = 0x4F, BYTE_SUB = 0x50, BYTE_ARRAY = 0x5E, BYTE_STRUCT, BYTE_FUNC };
enum { LIMITS_MAX = 1, LIMITS_64 = 4, MEMARG_MEMORY = 0x40, CATCH_ALL = 2, CATCH_KINDS = 4 };
enum { CAST_FROM_NULL = 1, CAST_TO_NULL = 2, DATA_ACTIVE = 0, DATA_PASSIVE, DATA_EXPLICIT };
enum { ELEM_NOT_ACTIVE = 1, ELEM_EXPLICIT = 2, ELEM_EXPRESSIONS = 4 }; /* bits of an element segment's flags */

/* ---- Used by the readers of sections. All report through the cursor. */
/* Makes room for `more` further elements of an array, which the caller fills; NO_MEMORY fails the cursor. */
bool decoder_grow(struct cursor *c, void **array, uint32_t *cap, uint32_t n, uint32_t more, size_t size);
static inline bool decoder_reserve(struct cursor *c, void **array, uint32_t *cap, uint32_t n, uint32_t more,
                                   size_t size)
{
    return more <= *cap - n ? cursor_ok(c) : decoder_grow(c, array, cap, n, more, size);
}
/* Bytes that a module takes as far as it is decoded. */
uint64_t module_bytes(const struct module *m);
/* Charges for what has come since the last time. NO_MEMORY: refused. */
enum hemi_status decoder_charge(struct decoder *d);
/* Polls, and charges, once for each DECODE_POLL_BYTES of work since the last time (so polls measure it); false when the
 * work is to be given up. */
bool decoder_poll(struct decoder *d, struct cursor *c);
/* Fails the cursor with what the translator answered; with the limit's name if it is one. */
void decoder_refused(struct decoder *d, struct cursor *c, enum hemi_status status, uint32_t offset);
static inline bool decoder_translated(struct decoder *d, struct cursor *c, enum hemi_status status, uint32_t offset)
{
    if (status == HEMI_OK) return true;
    decoder_refused(d, c, status, offset);
    return false;
}
static inline void invalid_at(struct cursor *c, uint32_t offset, const char *text)
{
    cursor_fail(c, HEMI_INVALID_MODULE, offset, "%s", text);
}
static inline void malformed_at(struct cursor *c, uint32_t offset, const char *text)
{
    cursor_malformed(c, offset, "%s", text);
}

static inline bool func_is_declared(const struct decoder *d, uint32_t f)
{
    return d->declared && (d->declared[f / 8] >> (f % 8) & 1);
}
/* Marks a function that exists as one that ref.func may name in code. No function is declared after the first mark. */
void func_declare(struct decoder *d, struct cursor *c, uint32_t f);

/* runtime/binary/types.c. Types come out with canonical ids, or TYPE_REC inside the group being read. */
valtype decode_valtype(struct decoder *d, struct cursor *c);
valtype decode_reftype(struct decoder *d, struct cursor *c);
/* A heap type; *local is its module-local index, or UINT32_MAX. */
uint32_t decode_heaptype(struct decoder *d, struct cursor *c, uint32_t *local);
/* A type index that must name a type of this kind: "unknown type" otherwise. Canonical id, 0 on failure. */
uint32_t decode_typeidx(struct decoder *d, struct cursor *c, enum type_kind kind);
/* The canonical id of a module-local index, or an error at `offset`. */
uint32_t decode_type_id(struct decoder *d, struct cursor *c, uint64_t local, uint32_t offset);
/* The type section, given a cursor over exactly its contents. */
void decode_types(struct decoder *d, struct cursor *c);
/* A value type by its first byte alone, VT_BOT when the byte starts none of one byte. */
valtype valtype_of_byte(uint8_t byte);

#endif
