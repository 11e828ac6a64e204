/* client/wat/words.h -- what the assembler and the disassembler must spell and number alike. Pure data. */
#ifndef HEMI_WAT_WORDS_H
#define HEMI_WAT_WORDS_H

/* Index spaces: kind, word in fields and messages, subsection of the name section. */
#define WAT_SPACES(X)                                                                                                  \
    X(TYPE, "type", 4)                                                                                                 \
    X(FUNC, "func", 1)                                                                                                 \
    X(TABLE, "table", 5)                                                                                               \
    X(MEMORY, "memory", 6)                                                                                             \
    X(TAG, "tag", 11)                                                                                                  \
    X(GLOBAL, "global", 7)                                                                                             \
    X(ELEM, "elem", 8)                                                                                                 \
    X(DATA, "data", 9)                                                                                                 \
    X(LOCAL, "local", 2)                                                                                               \
    X(LABEL, "label", 3)

enum space_kind {
#define X(kind, word, names) SPACE_##kind,
    WAT_SPACES(X)
#undef X
        SPACE_COUNT
};

/* The other subsections of the name section. */
enum { NAMES_MODULE = 0, NAMES_FIELDS = 10, NAMES_END = 12 };

/* The sections in the order of the binary format: name, id, word in (@custom "..." (after word) ...). */
#define WAT_SECTIONS(X)                                                                                                \
    X(TYPE, 1, "type")                                                                                                 \
    X(IMPORT, 2, "import")                                                                                             \
    X(FUNC, 3, "func")                                                                                                 \
    X(TABLE, 4, "table")                                                                                               \
    X(MEMORY, 5, "memory")                                                                                             \
    X(TAG, 13, "tag")                                                                                                  \
    X(GLOBAL, 6, "global")                                                                                             \
    X(EXPORT, 7, "export")                                                                                             \
    X(START, 8, "start")                                                                                               \
    X(ELEM, 9, "elem")                                                                                                 \
    X(DATA_COUNT, 12, "datacount")                                                                                     \
    X(CODE, 10, "code")                                                                                                \
    X(DATA, 11, "data")

enum section {
#define X(name, id, word) SECTION_##name,
    WAT_SECTIONS(X)
#undef X
        SECTION_COUNT
};

/* Short for (ref null ht): word, heap type. */
#define WAT_REF_WORDS(X)                                                                                               \
    X("anyref", ANY)                                                                                                   \
    X("eqref", EQ)                                                                                                     \
    X("i31ref", I31)                                                                                                   \
    X("structref", STRUCT)                                                                                             \
    X("arrayref", ARRAY)                                                                                               \
    X("nullref", NONE)                                                                                                 \
    X("funcref", FUNC)                                                                                                 \
    X("nullfuncref", NOFUNC)                                                                                           \
    X("externref", EXTERN)                                                                                             \
    X("nullexternref", NOEXTERN)                                                                                       \
    X("exnref", EXN)                                                                                                   \
    X("nullexnref", NOEXN)

/* Catch clauses: word, code, whether a tag precedes the label. */
#define WAT_CATCHES(X)                                                                                                 \
    X("catch", 0, 1)                                                                                                   \
    X("catch_ref", 1, 1)                                                                                               \
    X("catch_all", 2, 0)                                                                                               \
    X("catch_all_ref", 3, 0)

#endif
