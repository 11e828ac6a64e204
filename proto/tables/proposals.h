/* proto/tables/proposals.h -- what proposals beyond WebAssembly 3.0 add to both formats, so that a module that uses one
 * is refused with its name instead of as mere damage. What is here is no part of 3.0; the marks are those of the
 * proposals' drafts, and where two drafts took the same one, the row above wins. Custom sections and imports that
 * proposals give a meaning to are valid in 3.0 and have no rows. Pure data. */
#ifndef HEMI_TABLES_PROPOSALS_H
#define HEMI_TABLES_PROPOSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, text */
#define WASM_PROPOSALS(X)                                                                                              \
    X(THREADS, "threads")                                                                                              \
    X(SHARED_EVERYTHING, "shared-everything threads")                                                                  \
    X(LEGACY_EXCEPTIONS, "legacy exception handling")                                                                  \
    X(STACK_SWITCHING, "stack switching")                                                                              \
    X(PAGE_SIZES, "custom page sizes")                                                                                 \
    X(WIDE_ARITHMETIC, "wide arithmetic")                                                                              \
    X(DESCRIPTORS, "custom descriptors and exact types")                                                               \
    X(COMPACT_IMPORTS, "compact import section")                                                                       \
    X(TYPE_IMPORTS, "type imports")                                                                                    \
    X(HALF_PRECISION, "half precision")                                                                                \
    X(MEMORY_CONTROL, "memory control")                                                                                \
    X(ARRAY_ACCESS, "multibyte array access")                                                                          \
    X(ROUNDING, "rounding variants")                                                                                   \
    X(STRINGREF, "reference-typed strings")                                                                            \
    X(COMPONENTS, "component model")

enum wasm_proposal {
#define X(name, text) PROPOSAL_##name,
    WASM_PROPOSALS(X)
#undef X
};

/* Where the binary format has a mark. OPCODE is a byte, FB to FE the codes behind that prefix; TYPE the codes of value,
 * heap and composite types, which are one space; IMPORT the kind of an import, or what stands there in a compact form;
 * LAYER the second half of the version. From MEMORY_LIMITS on they hold bits. */
#define PROPOSAL_PLACES(X)                                                                                             \
    X(OPCODE)                                                                                                          \
    X(FB)                                                                                                              \
    X(FC)                                                                                                              \
    X(FD)                                                                                                              \
    X(FE)                                                                                                              \
    X(TYPE)                                                                                                            \
    X(IMPORT)                                                                                                          \
    X(SECTION)                                                                                                         \
    X(LAYER)                                                                                                           \
    X(MEMORY_LIMITS)                                                                                                   \
    X(TABLE_LIMITS)                                                                                                    \
    X(MUTABILITY)                                                                                                      \
    X(MEMARG)                                                                                                          \
    X(CAST)                                                                                                            \
    X(SEGMENT)

enum proposal_place {
#define X(name) MARK_##name,
    PROPOSAL_PLACES(X)
#undef X
};

/* proposal, place, first and last code; of bits: the lowest and all of them */
#define PROPOSAL_MARKS(X)                                                                                              \
    X(LEGACY_EXCEPTIONS, OPCODE, 0x06, 0x07)                                                                           \
    X(LEGACY_EXCEPTIONS, OPCODE, 0x09, 0x09)                                                                           \
    X(LEGACY_EXCEPTIONS, OPCODE, 0x18, 0x19)                                                                           \
    X(STACK_SWITCHING, OPCODE, 0xE0, 0xE6)                                                                             \
    X(STACK_SWITCHING, TYPE, 0x5D, 0x5D)                                                                               \
    X(STACK_SWITCHING, TYPE, 0x68, 0x68)                                                                               \
    X(STACK_SWITCHING, TYPE, 0x75, 0x75)                                                                               \
    X(THREADS, FE, 0x00, 0x03)                                                                                         \
    X(THREADS, FE, 0x10, 0x4E)                                                                                         \
    X(THREADS, MEMORY_LIMITS, 2, 2)                                                                                    \
    X(SHARED_EVERYTHING, FE, 0x04, 0x04)                                                                               \
    X(SHARED_EVERYTHING, FE, 0x4F, 0x71)                                                                               \
    X(SHARED_EVERYTHING, FB, 0x1F, 0x1F)                                                                               \
    X(SHARED_EVERYTHING, TYPE, 0x65, 0x65)                                                                             \
    X(SHARED_EVERYTHING, TABLE_LIMITS, 2, 2)                                                                           \
    X(SHARED_EVERYTHING, MUTABILITY, 2, 2)                                                                             \
    X(SHARED_EVERYTHING, SEGMENT, 8, 8)                                                                                \
    X(PAGE_SIZES, MEMORY_LIMITS, 8, 8)                                                                                 \
    X(WIDE_ARITHMETIC, FC, 0x13, 0x16)                                                                                 \
    X(DESCRIPTORS, FB, 0x20, 0x26)                                                                                     \
    X(DESCRIPTORS, TYPE, 0x4C, 0x4D)                                                                                   \
    X(DESCRIPTORS, TYPE, 0x62, 0x62)                                                                                   \
    X(DESCRIPTORS, IMPORT, 0x20, 0x20)                                                                                 \
    X(DESCRIPTORS, CAST, 4, 12)                                                                                        \
    X(COMPACT_IMPORTS, IMPORT, 0x7E, 0x7F)                                                                             \
    X(MEMORY_CONTROL, FC, 0x12, 0x12)                                                                                  \
    X(HALF_PRECISION, FC, 0x30, 0x31)                                                                                  \
    X(HALF_PRECISION, FD, 0x120, 0x14F)                                                                                \
    X(ROUNDING, FC, 0x1C, 0x7B)                                                                                        \
    X(ARRAY_ACCESS, MEMARG, 0x20, 0x20)                                                                                \
    X(STRINGREF, FB, 0x80, 0xB7)                                                                                       \
    X(STRINGREF, TYPE, 0x61, 0x61)                                                                                     \
    X(STRINGREF, TYPE, 0x66, 0x67)                                                                                     \
    X(STRINGREF, SECTION, 14, 14)                                                                                      \
    X(COMPONENTS, LAYER, 1, 1)

/* proposal, keyword of the text format (* stands for anything), only where the text said before it, or NULL: anywhere
 * that 3.0 does not have it */
#define PROPOSAL_WORDS(X)                                                                                              \
    X(SHARED_EVERYTHING, "global.atomic.*", NULL)                                                                      \
    X(SHARED_EVERYTHING, "table.atomic.*", NULL)                                                                       \
    X(SHARED_EVERYTHING, "struct.atomic.*", NULL)                                                                      \
    X(SHARED_EVERYTHING, "array.atomic.*", NULL)                                                                       \
    X(SHARED_EVERYTHING, "ref.i31_shared", NULL)                                                                       \
    X(SHARED_EVERYTHING, "waitqueue*", NULL)                                                                           \
    X(SHARED_EVERYTHING, "thread_local", NULL)                                                                         \
    X(SHARED_EVERYTHING, "pause", NULL)                                                                                \
    X(SHARED_EVERYTHING, "(shared", NULL)                                                                              \
    X(THREADS, "shared", NULL)                                                                                         \
    X(THREADS, "*.atomic.*", NULL)                                                                                     \
    X(THREADS, "atomic.fence", NULL)                                                                                   \
    X(LEGACY_EXCEPTIONS, "try", NULL)                                                                                  \
    X(LEGACY_EXCEPTIONS, "catch", NULL)                                                                                \
    X(LEGACY_EXCEPTIONS, "catch_all", NULL)                                                                            \
    X(LEGACY_EXCEPTIONS, "rethrow", NULL)                                                                              \
    X(LEGACY_EXCEPTIONS, "delegate", NULL)                                                                             \
    X(STACK_SWITCHING, "cont", NULL)                                                                                   \
    X(STACK_SWITCHING, "nocont", NULL)                                                                                 \
    X(STACK_SWITCHING, "contref", NULL)                                                                                \
    X(STACK_SWITCHING, "nullcontref", NULL)                                                                            \
    X(STACK_SWITCHING, "cont.*", NULL)                                                                                 \
    X(STACK_SWITCHING, "suspend", NULL)                                                                                \
    X(STACK_SWITCHING, "resume", NULL)                                                                                 \
    X(STACK_SWITCHING, "resume_throw", NULL)                                                                           \
    X(STACK_SWITCHING, "resume_throw_ref", NULL)                                                                       \
    X(STACK_SWITCHING, "switch", NULL)                                                                                 \
    X(PAGE_SIZES, "pagesize", NULL)                                                                                    \
    X(WIDE_ARITHMETIC, "i64.add128", NULL)                                                                             \
    X(WIDE_ARITHMETIC, "i64.sub128", NULL)                                                                             \
    X(WIDE_ARITHMETIC, "i64.mul_wide_*", NULL)                                                                         \
    X(DESCRIPTORS, "exact", NULL)                                                                                      \
    X(DESCRIPTORS, "descriptor", NULL)                                                                                 \
    X(DESCRIPTORS, "describes", NULL)                                                                                  \
    X(DESCRIPTORS, "struct.new_*desc", NULL)                                                                           \
    X(DESCRIPTORS, "ref.get_desc", NULL)                                                                               \
    X(DESCRIPTORS, "ref.cast_desc*", NULL)                                                                             \
    X(DESCRIPTORS, "br_on_cast_desc*", NULL)                                                                           \
    X(COMPACT_IMPORTS, "item", "import")                                                                               \
    X(TYPE_IMPORTS, "type", "import")                                                                                  \
    X(HALF_PRECISION, "f16x8*", NULL)                                                                                  \
    X(HALF_PRECISION, "*_f16", NULL)                                                                                   \
    X(HALF_PRECISION, "*_f16x8_*", NULL)                                                                               \
    X(MEMORY_CONTROL, "memory.discard", NULL)                                                                          \
    X(MEMORY_CONTROL, "memory.map", NULL)                                                                              \
    X(MEMORY_CONTROL, "memory.unmap", NULL)                                                                            \
    X(MEMORY_CONTROL, "memory.protect", NULL)                                                                          \
    X(MEMORY_CONTROL, "mappable", NULL)                                                                                \
    X(ARRAY_ACCESS, "type", "load or store")                                                                           \
    X(ROUNDING, "f??.*_ceil", NULL)                                                                                    \
    X(ROUNDING, "f??.*_floor", NULL)                                                                                   \
    X(ROUNDING, "f??.*_trunc", NULL)                                                                                   \
    X(ROUNDING, "i??.ceil_f??_?", NULL)                                                                                \
    X(ROUNDING, "i??.floor_f??_?", NULL)                                                                               \
    X(STRINGREF, "string", NULL)                                                                                       \
    X(STRINGREF, "string.*", NULL)                                                                                     \
    X(STRINGREF, "stringref", NULL)                                                                                    \
    X(STRINGREF, "stringview_*", NULL)                                                                                 \
    X(COMPONENTS, "component", NULL)

/* What a message says of a proposal, behind what is wrong without it. One %s: its text. */
#define PROPOSAL_REMARK " (it belongs to the proposal `%s`, which is not part of WebAssembly 3.0)"

static inline const char *proposal_text(enum wasm_proposal proposal)
{
    static const char *const texts[] = {
#define X(name, text) text,
        WASM_PROPOSALS(X)
#undef X
    };
    return texts[proposal];
}

/* The text of the proposal that has this code, or these bits, in this place; NULL: none has. */
static inline const char *proposal_of_mark(enum proposal_place place, uint32_t code)
{
    static const struct {
        uint16_t proposal, place, first, last;
    } marks[] = {
#define X(proposal, place, first, last) {PROPOSAL_##proposal, MARK_##place, first, last},
        PROPOSAL_MARKS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (marks[i].place != place) continue;
        bool here =
            place < MARK_MEMORY_LIMITS ? code >= marks[i].first && code <= marks[i].last : (code & marks[i].last) != 0;
        if (here) return proposal_text((enum wasm_proposal)marks[i].proposal);
    }
    return NULL;
}

#endif
