/* client/wat/assembler.h -- what the assembler's files share: the state of one call, and who reads and writes what.
 *
 *   lexer.c   text to tokens            names.c   symbol spaces, the cursor, errors, memory
 *   number.c  numerals to values        types.c   types, type definitions, type uses
 *   instr.c   instructions              blocks.c  their sequences
 *   fields.c  module fields, two passes custom.c  (@custom ...)
 *   foreign.c what is not of 3.0
 *   emit.c    bytes, LEB128, sections   namesec.c the name section
 *   wat.c     the order of it all
 *
 * Pass 1 (fields.c, wat_declare) numbers and names every definition; then types.c reads all type definitions; pass 2
 * (wat_define) reads everything else and appends straight to the sections' buffers. Type uses in pass 2 add types;
 * where one was named before it was added, pass 2 is run again. */
#ifndef HEMI_WAT_ASSEMBLER_H
#define HEMI_WAT_ASSEMBLER_H

#include "client/wat/lexer.h"
#include "client/wat/words.h"
#include "proto/tables/opcodes.h"
#include "proto/tables/status.h"
#include "proto/tables/types.h"

/* ---- names.c: symbol spaces */

struct name {
    const char *bytes; /* a slice of the text, or in the arena */
    uint32_t length;
};

struct symbol {
    struct name name;
    uint32_t index; /* of the definition; of labels: how many were open when it was, itself included; 0: closed */
};

/* Names of one kind and how many indices are taken. All zeros is an empty space. */
struct space {
    struct symbol *slots; /* open addressing; a NULL name is free */
    uint32_t capacity;    /* a power of two, or 0 */
    uint32_t used;
    uint32_t count; /* indices given, with and without a name */
};

/* ---- emit.c: bytes */

struct buffer {
    uint8_t *data;
    size_t length, capacity;
};

/* Where an instruction's opcode is, and its keyword in the text; or an entry of a section, and its field. */
struct place {
    size_t at;
    uint32_t text;
};
struct places {
    struct place *list; /* owned; in order */
    uint32_t count, capacity;
};

/* Part of the name section: entries, and how many. */
struct name_map {
    struct buffer bytes;
    uint32_t count;
};

/* ---- types.c: type definitions */

struct wat_field {
    valtype type;
    bool mutable;
};

struct wat_type {
    uint8_t code;         /* of the binary format: 0x60 func, 0x5F struct, 0x5E array */
    bool final;           /* declared without sub, or sub final */
    uint32_t supers;      /* how many; their indices follow in super_list */
    uint32_t *super_list; /* owned by the arena, as all lists here */
    uint32_t params, results;
    valtype *values; /* params, then results */
    uint32_t fields;
    struct wat_field *field_list;
    struct space field_names;
    uint32_t text; /* where it is in the text, or what uses it first */
};

/* Consecutive types that are defined together. */
struct wat_group {
    uint32_t first, count;
    bool is_rec; /* written (rec ...), which may hold any number of types, none too */
};

/* A function type read from the text, before it is known which definition it is. */
struct signature {
    const valtype *values;
    uint32_t params, results;
};

struct type_use {
    uint32_t index;
    struct signature signature; /* of the definition; empty when there is none such */
};

/* ---- the state of one call */

struct chunk;

/* A block around the cursor. */
struct open_label {
    struct name name;
    uint32_t shadowed; /* what the name's symbol says outside of the block */
};

struct wat {
    const char *text;
    const struct wat_options *options; /* never NULL */
    struct tokens tokens;
    uint32_t at;           /* the cursor; [STICKY] */
    uint32_t end;          /* the end token */
    uint32_t fields_begin; /* the module's fields are the tokens from here */
    uint32_t fields_end;   /* to here */
    int status;
    bool is_quoted; /* the text comes from (module quote "...") */
    struct wat_error *err;
    struct chunk *arena;

    struct space spaces[SPACE_COUNT];

    struct wat_type *types;
    uint32_t type_count, type_capacity;
    struct wat_group *groups;
    uint32_t group_count, group_capacity;
    bool is_unsettled;    /* a type use named a type that is not there, but perhaps a later type use adds it */
    bool is_settled;      /* pass 2 runs once more: all types are there that will be */
    uint32_t *signatures; /* open addressing: 1 + the index of the first definition of each plain function type */
    uint32_t signature_capacity, signature_used;

    valtype *scratch; /* value types being read */
    uint32_t scratch_count, scratch_capacity;

    struct open_label *labels; /* outermost first */
    uint32_t label_count, label_capacity;
    uint32_t blocks; /* how many the function has had so far */

    struct name module_name;
    struct name_map local_names, label_names; /* their entries are functions */
    struct name_map labels_of_function;

    bool wants_places;
    struct places places[SECTION_COUNT]; /* as offsets in the sections' buffers */
    size_t starts[SECTION_COUNT];        /* where those are in the module; 0: nowhere */
    struct places body_places;           /* of the function being read, as offsets in `body` */
    uint32_t field;                      /* where the one being read is in the text */

    uint32_t custom_at;                      /* the next of tokens.customs */
    struct buffer customs[SECTION_COUNT][2]; /* whole sections, to be written before and after each */
    struct buffer sections[SECTION_COUNT];
    uint32_t entries[SECTION_COUNT]; /* how long each section's vector is */
    struct buffer body;              /* of the function being read */
    bool uses_data;                  /* an instruction names a data segment: the data count is needed */
    uint16_t *keywords;              /* open addressing: 1 + enum opcode, by text */
};

/* names.c: errors. wat_fail records the first one and ends the text for every reader [STICKY]. */
void wat_fail(struct wat *w, int status, const struct token *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void wat_no_memory(struct wat *w);
void wat_expected(struct wat *w, const char *what);                        /* ... but the cursor is at something else */
void wat_expected_in(struct wat *w, const char *what, const char *before); /* before: of PROPOSAL_WORDS */
void wat_fail_name(struct wat *w, const struct token *where, const char *problem, const char *word, struct name name);

/* names.c: memory. All return NULL or false, with the error recorded, when there is none. */
void *wat_alloc(struct wat *w, size_t size);                                               /* zeroed, until the end */
bool wat_grow(struct wat *w, void *list, uint32_t count, uint32_t *capacity, size_t size); /* room for one more */
void *wat_keep(struct wat *w, const void *list, size_t size);                              /* a copy in the arena */
void wat_free_arena(struct wat *w);

/* names.c: the cursor. */
static inline const struct token *wat_peek(const struct wat *w) { return &w->tokens.list[w->at]; }
static inline const struct token *wat_peek_next(const struct wat *w)
{
    return &w->tokens.list[w->at < w->end ? w->at + 1 : w->end];
}
bool wat_is(const struct wat *w, const struct token *token, const char *keyword);
bool wat_peek_open(const struct wat *w, const char *keyword); /* "(" keyword */
bool wat_take(struct wat *w, enum token_kind kind);
bool wat_take_keyword(struct wat *w, const char *keyword);
bool wat_take_open(struct wat *w, const char *keyword);
void wat_expect_open(struct wat *w, const char *keyword);
void wat_expect_close(struct wat *w);
void wat_skip_group(struct wat *w); /* from its "(" to behind its ")" */

/* names.c: operands. */
struct name wat_text_of(const struct wat *w, const struct token *token);
struct name wat_name_of(struct wat *w, const struct token *id);       /* an identifier without $ and quotes */
struct name wat_optional_id(struct wat *w);                           /* NULL bytes: there was none */
struct name wat_string(struct wat *w);                                /* any bytes */
void wat_strings(struct wat *w, struct buffer *out);                  /* zero or more, one after the other */
struct name wat_utf8(struct wat *w);                                  /* a name: valid UTF-8 */
bool wat_peek_index(const struct wat *w);                             /* an identifier or a numeral */
uint64_t wat_unsigned(struct wat *w, uint64_t max, const char *what); /* what: of it, in messages */
uint32_t wat_u32(struct wat *w, const char *what);
uint64_t wat_integer(struct wat *w, unsigned bits);
uint64_t wat_float(struct wat *w, unsigned bits);

/* names.c: symbol spaces. names_add takes the next index and names it, unless the name is NULL; wat_index reads an
 * identifier (refused when unknown) or a numeral (anything: whether it exists is for validation). */
uint32_t names_add(struct wat *w, struct space *space, struct name name, const char *word);
struct symbol *names_symbol(struct wat *w, struct space *space, struct name name); /* new ones have index 0 */
bool names_find(const struct space *space, struct name name, uint32_t *index);
void names_deinit(struct space *space);
const char *wat_space_word(enum space_kind kind);
uint32_t wat_index(struct wat *w, enum space_kind kind);
uint32_t wat_index_in(struct wat *w, const struct space *space, const char *word);

/* emit.c: bytes. They record an error when there is no memory. */
void bin_byte(struct wat *w, struct buffer *b, unsigned byte);
void bin_bytes(struct wat *w, struct buffer *b, const void *bytes, size_t length);
void bin_unsigned(struct wat *w, struct buffer *b, uint64_t value);
void bin_signed(struct wat *w, struct buffer *b, int64_t value);
void bin_little(struct wat *w, struct buffer *b, uint64_t value, unsigned bytes);
void bin_name(struct wat *w, struct buffer *b, struct name name);
void bin_heaptype(struct wat *w, struct buffer *b, uint32_t ht);
void bin_valtype(struct wat *w, struct buffer *b, valtype type);
void bin_opcode(struct wat *w, struct buffer *b, enum opcode op);
void bin_custom(struct wat *w, struct buffer *b, struct name name, const void *bytes, size_t length); /* a section */
struct buffer *bin_entry(struct wat *w, enum section section); /* one more entry: its buffer */
void bin_types(struct wat *w);
void bin_module(struct wat *w, struct buffer *out);
void bin_deinit(struct buffer *b);

/* namesec.c: the name section. The first two gather what is forgotten after a function, the third writes all. */
void names_of_label(struct wat *w, struct name name);
void names_of_function(struct wat *w, uint32_t function);
void bin_names(struct wat *w, struct buffer *out);

/* types.c. */
valtype wat_valtype(struct wat *w);
bool wat_peek_reftype(const struct wat *w);
valtype wat_reftype(struct wat *w);
uint32_t wat_heaptype(struct wat *w);
/* Reads one (type ...) or (rec ...) field; all of them must have been read before anything else uses a type. */
void wat_type_field(struct wat *w);
void wat_rec_field(struct wat *w);

/* How the parameters of a type use may be written. */
enum param_names {
    PARAMS_UNNAMED, /* blocks, indirect calls */
    PARAMS_IGNORED, /* imports, tags */
    PARAMS_LOCALS,  /* functions: they become the first locals, also those that only the definition lists */
};

/* (type x)? (param ...)* (result ...)*. Without (type x) it stands for the first such plain function type of the
 * module, which is added if there is none. */
struct type_use wat_type_use(struct wat *w, enum param_names names);
/* The type use of a block, as its binary form: empty, one value type, or an index. */
void wat_block_type(struct wat *w, struct buffer *out);
/* Zero or more (word t*), or (word $x t) if `names` allows, appended to scratch. Gives how many types it appended. */
uint32_t wat_value_lists(struct wat *w, const char *word, enum param_names names);

/* instr.c. */
bool wat_init_keywords(struct wat *w);
bool wat_take_opcode(struct wat *w, enum opcode *op); /* an instruction's keyword */
void wat_immediates(struct wat *w, struct buffer *b, const struct opcode_row *row);
void wat_plain(struct wat *w, struct buffer *b, enum opcode op); /* not a block, behind its keyword */
void wat_push_label(struct wat *w, struct name name);
void wat_pop_label(struct wat *w);
bool wat_names_equal(struct name a, struct name b); /* and there are names */

/* blocks.c. */
void wat_instructions(struct wat *w, struct buffer *out); /* up to the ")" around them, which is not taken */
void wat_one_folded(struct wat *w, struct buffer *out);   /* one (instruction ...) */
void wat_note_place(struct wat *w, const struct buffer *b, const struct token *token); /* of what comes next in b */
void wat_add_place(struct wat *w, struct places *places, size_t at, uint32_t text);    /* if they are wanted */
/* From number `first` on, of bytes that go `moved` bytes further on. */
void wat_move_places(struct wat *w, struct places *to, const struct places *from, uint32_t first, size_t moved);

/* custom.c: reads the (@custom ...) between the last field and the cursor, or the end of the fields. */
void wat_customs(struct wat *w);

/* foreign.c. The text of the proposal that has the keyword at the cursor, after `before` or anywhere; NULL: none has.
 */
const char *wat_proposal_here(const struct wat *w, const char *before);
/* Says more of an error if the text is no text of a module at all. */
void wat_explain_file(const char *text, size_t len, struct wat_error *err);

/* fields.c. */
void wat_declare(struct wat *w);
void wat_define(struct wat *w);

#endif
