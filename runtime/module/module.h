/* runtime/module/module.h -- a decoded, validated and translated module. Immutable once made; shared by its instances.
 *
 * School: UNTRUSTED bytes. Decoding and validating never assert on them: the first error sticks, with its byte offset.
 * Ownership: a module owns its bytes (names and segments point into it), its code, and one reference on each
 * type group it names. Instances hold references on their module. */
#ifndef HEMI_RUNTIME_MODULE_MODULE_H
#define HEMI_RUNTIME_MODULE_MODULE_H

#include "runtime/module/code.h"
#include "runtime/module/name_set.h"
#include "runtime/types/types.h"
#include "runtime/types/val.h"

struct name { /* borrowed from module->bytes; valid UTF-8, not terminated */
    const char *at;
    uint32_t len;
};

struct limits {
    uint64_t min, max; /* max = UINT64_MAX when absent */
    bool has_max, is64, shared;
};

/* A constant expression. Plain ones cost nothing at run time; others are translated code with no parameters and one
 * result, run by the interpreter like a function, so that every intermediate is rooted in its frame. */
enum const_kind { CONST_VAL, CONST_GLOBAL, CONST_FUNC, CONST_CODE };
struct const_expr {
    uint8_t kind;
    valtype type;
    union val val;   /* CONST_VAL: a number, a null or an i31 */
    uint32_t index;  /* CONST_GLOBAL, CONST_FUNC: module-local index; CONST_CODE: into module->const_code */
    uint32_t offset; /* byte offset in the module */
};

struct global_decl {
    valtype type;
    bool mut;
    struct const_expr init;
};
struct table_decl {
    valtype type;
    struct limits limits;
    bool has_init;
    struct const_expr init;
};
struct memory_decl {
    struct limits limits;
};
struct func_decl {
    uint32_t type;                   /* canonical id */
    uint32_t body_offset, body_size; /* in module->bytes; 0 for imports */
};
struct import {
    struct name module, name;
    uint8_t kind;
    uint32_t index; /* in its own index space: funcs[index], tables[index], ... */
};
struct export
{
    struct name name;
    uint8_t kind;
    uint32_t index;
};

enum seg_mode { SEG_ACTIVE, SEG_PASSIVE, SEG_DECLARED };
struct elem_seg {
    uint8_t mode;
    uint32_t table;
    struct const_expr offset;
    valtype type;
    uint32_t count;
    bool plain; /* all items are CONST_VAL or CONST_FUNC: needs no evaluation */
    struct const_expr *items;
};
struct data_seg {
    uint8_t mode;
    uint32_t memory;
    struct const_expr offset;
    const uint8_t *bytes;
    uint32_t size;
};

struct module {
    uint32_t refs;
    struct engine *engine;
    uint8_t *bytes;
    size_t size;

    uint32_t ntypes, nimports, nfuncs, ntables, nmemories, nglobals, ntags, nexports, nelems, ndatas;
    uint32_t nimported_funcs, nimported_tables, nimported_memories, nimported_globals, nimported_tags;
    uint32_t *types; /* module-local index -> canonical id */
    struct import *imports;
    struct func_decl *funcs;
    struct table_decl *tables;
    struct memory_decl *memories;
    struct global_decl *globals;
    uint32_t *tags;         /* canonical function type ids */
    struct export *exports; /* in declaration order; names are unique */
    struct name_set export_names;
    struct elem_seg *elems;
    struct data_seg *datas;
    uint32_t start; /* function index, or UINT32_MAX */

    /* In the engine's scheme, and again in the explicit one if an instance has needed that (module_explicit). */
    struct code *code;          /* nfuncs entries, imports' unused: code[funcidx] */
    struct code *const_code;    /* one per CONST_CODE */
    struct code *explicit_code; /* of functions, then of constant expressions; NULL: not needed so far */
    uint32_t nconst_code;
    const struct code **code_order; /* the first two's own, by where their bytes are */
    struct site *sites;             /* module-wide; sites[0] is SITE_ENTRY */
    uint32_t nsites;
    uint16_t *live_slots;
    uint32_t nlive_slots;
    struct name own_name; /* from the name section; at == NULL: none */
    /* module_free_some: how far it is. */
    uint32_t part, ended;
    size_t given;
    uint64_t charged; /* bytes: engine_options.module_charge */
    void *payer;
    uint64_t types_bytes, code_bytes, items; /* of its types, of its code blocks; elements of its segments */
    struct name *func_names; /* from there, else of the first export; nfuncs entries or NULL; at == NULL: none */
};

/* From now on it has been charged for so many bytes in all, or more. NO_MEMORY: that is refused. */
enum hemi_status module_charge(struct module *m, uint64_t bytes);
void module_give_back(struct module *m, uint64_t bytes);

/* ---- code_at.c */
/* When all code is made: what module_code_at needs. Polls. */
enum hemi_status module_order_code(struct module *m);
/* The function or constant expression whose code, of `among` (an instance's `code`), holds the pc; or NULL. */
const struct code *module_code_at(const struct module *m, const struct code *among, const uint8_t *pc);

#endif
