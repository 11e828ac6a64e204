/* client/wat/disassembler.h -- what the disassembler's files share: the state of one call, and who prints what.
 *
 *   input.c    bytes to numbers     printer.c    literals, lines          read_names.c  the name section
 *   sections.c where everything is  print_types.c types and type uses     print_code.c  instructions
 *   print_fields.c  all other fields    disassemble.c the module
 *
 * Pass 1 (sections.c) finds the sections, counts every index space and finds types and names; pass 2 prints as it
 * reads. What pass 1 remembers takes memory in proportion to the module's bytes, never to a number written in them. */
#ifndef HEMI_WAT_DISASSEMBLER_H
#define HEMI_WAT_DISASSEMBLER_H

#include "client/wat/input.h"
#include "client/wat/printer.h"
#include "client/wat/wat.h"
#include "client/wat/words.h"
#include "proto/tables/opcodes.h"
#include "proto/tables/status.h"
#include "proto/tables/types.h"

/* ---- read_names.c */

struct entry_name {
    uint32_t index;
    uint32_t alike;     /* labels: the same number for the same name, dense from 0 */
    struct slice bytes; /* never empty; valid UTF-8 */
};

/* Names by index, ascending. All zeros is none. */
struct name_list {
    struct entry_name *list; /* owned */
    uint32_t count, capacity;
    uint32_t distinct; /* labels: how many different ones */
};

/* A subsection of maps: where the map of each index is, ascending. */
struct name_maps {
    struct entry_map {
        uint32_t index;
        const uint8_t *at;
        bool read;
        struct name_list names; /* of fields, once they were asked for: code names types in any order */
    } *list;                    /* owned */
    uint32_t count, capacity;
    const uint8_t *end;
};

/* ---- sections.c */

struct dis_type {
    uint8_t code;          /* 0x60 func, 0x5F struct, 0x5E array */
    const uint8_t *params; /* functions: their vectors of value types */
    const uint8_t *end;    /* behind the results */
    uint32_t count;        /* parameters, fields */
};

struct dis_custom {
    struct slice name, bytes;
    int after; /* enum section, or -1: before the first */
};

struct dis {
    const uint8_t *bytes;
    size_t size;
    struct input in;
    struct printer out;
    int status; /* HEMI_OK or HEMI_NO_MEMORY; other failures are in `in` and `out` */
    bool no_names;

    struct slice sections[SECTION_COUNT]; /* without id and size */
    struct dis_custom *customs;
    uint32_t custom_count, custom_capacity;
    uint32_t counts[SPACE_COUNT]; /* definitions and imports; LOCAL and LABEL are not counted */
    uint32_t imported[SPACE_COUNT];
    struct dis_type *types;
    uint32_t type_count, type_capacity;

    struct slice module_name;
    struct name_list names[SPACE_COUNT]; /* LOCAL and LABEL: of the function being printed */
    struct name_maps locals, labels, fields;
    struct dis_frame *frames; /* print_code.c */
    uint32_t frame_count, frame_capacity;
    uint32_t *innermost; /* by `alike`: 1 + the frame that has the label and is not shadowed */
    uint32_t innermost_capacity;
    uint32_t blocks; /* how many the function has had so far */
};

bool dis_ok(const struct dis *d);
void dis_fail(struct dis *d, const uint8_t *where, const char *message); /* a literal */
void dis_foreign(struct dis *d, const uint8_t *where, enum proposal_place place, uint32_t code, const char *message);
/* Room for one more element of a list; false with the failure recorded. */
bool dis_grow(struct dis *d, void *list, uint32_t count, uint32_t *capacity, size_t size);

void dis_find_sections(struct dis *d);
bool dis_is_name_section(const struct dis_custom *custom);
/* Positions the input at a section; false if it is empty or not there. Sections end where dis_end_section says. */
bool dis_begin_section(struct dis *d, enum section section);
void dis_end_section(struct dis *d);
void dis_skip_limits(struct dis *d);

/* read_names.c: whatever is wrong with names makes them unknown, never the module. */
void names_read(struct dis *d, struct slice section);
/* The names in the map of `index`, for indices below `limit`. */
void names_of_entry(struct dis *d, const struct name_maps *maps, uint32_t index, uint32_t limit, struct name_list *out);
/* NULL: it has none. */
const struct entry_name *names_of_field(struct dis *d, uint32_t type, uint32_t field);
const struct entry_name *names_lookup(const struct name_list *names, uint32_t index);
void names_free(struct name_list *names);
void names_free_maps(struct name_maps *maps);

/* print_types.c. */
valtype dis_valtype(struct dis *d);
valtype dis_storage_type(struct dis *d);
valtype dis_reftype(struct dis *d);
uint32_t dis_heaptype(struct dis *d);
void print_valtype(struct dis *d, valtype type);
void print_heaptype(struct dis *d, uint32_t ht);
void print_types(struct dis *d);
void print_type_index(struct dis *d, uint32_t type);
void print_type_use(struct dis *d, uint32_t type, bool with_local_names);
void print_block_type(struct dis *d);
/* " (word t t)" of value types read from the input; or, if they are locals from 0 on, each with its name. */
void print_values(struct dis *d, const char *word, uint32_t count, bool with_names);
void print_locals(struct dis *d, uint32_t first, uint32_t count, valtype type);

/* print_code.c. */
void print_index(struct dis *d, enum space_kind space, uint32_t index); /* " $name" or " 3" */
void print_expression(struct dis *d);                                   /* on the line, without its end */
void print_body(struct dis *d);                                         /* on lines, to the end of the input */

/* print_fields.c. */
void print_definition(struct dis *d, const char *word, enum space_kind space, uint32_t index); /* (word $name (;3;) */
void print_module_fields(struct dis *d);

#endif
