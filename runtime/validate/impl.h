/* runtime/validate/impl.h -- shared by validate/ only. Names are those of the specification's algorithm (A.3).
 *
 * A failed check records the error in v->c, which then is at its end: so the loop over instructions stops, and what
 * the rest of the instruction still does is harmless. Operand types of value VT_BOT come from unreachable code.
 * Invariants:
 *   .top    v->top is the innermost frame, v->ctrls + v->nctrls - 1. It is NULL only outside of code.
 *   .height v->nvals >= v->top->height.
 *   .live   v->live is: the frame's start was reachable, and so is this place. Only live code is translated.
 *   .index  When a handler runs, v->in holds the instruction's immediates, and every index in it exists. */
#ifndef HEMI_RUNTIME_VALIDATE_IMPL_H
#define HEMI_RUNTIME_VALIDATE_IMPL_H

#include "runtime/translate/translate.h"
#include "runtime/validate/validate.h"

struct ctrl_frame {
    uint16_t op; /* OP_BLOCK, OP_LOOP, OP_IF, OP_ELSE or OP_TRY_TABLE */
    bool unreachable;
    bool shown;           /* its start was live: the translator has seen it */
    uint32_t height;      /* operands below it */
    uint32_t init_height; /* locals initialised before it */
    uint32_t table;       /* offset of the last br_table that its label was checked for */
    uint32_t nparams, nresults;
    const valtype *params, *results; /* results NULL: the one in `single` */
    valtype single;
};

struct validator {
    struct decoder *d;
    struct engine *e;
    struct module *m;
    struct cursor c;
    struct insn in; /* the current instruction; what the translator gets */
    valtype *vals;
    uint32_t nvals, cap_vals;
    struct ctrl_frame *ctrls, *top; /* .top */
    uint32_t nctrls, cap_ctrls;
    bool live;               /* .live */
    bool show;               /* is the translator to see the current instruction? */
    valtype block_type;      /* of the current block, when it has one result and no type index */
    struct ctrl_frame ended; /* the frame that the current END closes */
    bool constant;           /* in a constant expression */
    bool translate;          /* the translator has begun */
    valtype *locals;         /* parameters first */
    uint8_t *inits;          /* is locals[i] initialised? */
    uint32_t *inited;        /* those initialised by the code so far, in order, to be undone at the end of blocks */
    uint32_t nlocals, cap_locals, cap_inits, ninited, cap_inited;
    uint32_t *labels;           /* of the current br_table */
    struct insn_catch *catches; /* of the current try_table */
    uint32_t cap_labels, cap_catches;
    uint32_t func; /* module function index */
};

/* ---- validate.c: errors and the two stacks */
/* Refuses the current instruction; the text goes first, then the instruction's name. */
void v_fail(struct validator *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same where the bytes are no instruction: malformed, not invalid. */
void v_malformed(struct validator *v, const char *text);
/* The same for a code or bits that 3.0 does not have in this place (cursor_foreign). */
void v_foreign(struct validator *v, enum proposal_place place, uint32_t code, const char *text);
void v_mismatch(struct validator *v, valtype expected, valtype found); /* VT_BOT: nothing */
static inline bool v_ok(const struct validator *v) { return cursor_ok(&v->c); }
/* Counts work that costs more than its bytes, for the next poll. */
static inline void v_charge(struct validator *v, uint32_t work) { v->d->poll_at -= work; }
/* A poll point, also inside instructions that can be much work; false when the work is to be given up. */
static inline bool v_poll(struct validator *v)
{
    return cursor_offset(&v->c) < v->d->poll_at ? v_ok(v) : decoder_poll(v->d, &v->c);
}
/* "i32", "(ref null 3)": with the module's own indices. Borrowed from buf. */
const char *v_type_text(const struct validator *v, valtype t, char *buf, size_t len);

void push_val_slow(struct validator *v, valtype t);
static inline void push_val(struct validator *v, valtype t)
{
    if (v->nvals < v->cap_vals)
        v->vals[v->nvals++] = t;
    else
        push_val_slow(v, t);
}
valtype pop_val(struct validator *v);
valtype pop_expect_slow(struct validator *v, valtype t);
static inline valtype pop_expect(struct validator *v, valtype t)
{
    if (v->nvals > v->top->height && v->vals[v->nvals - 1] == t) {
        v->nvals--;
        return t;
    }
    return pop_expect_slow(v, t);
}
/* Would any number of further pops succeed and change nothing? */
static inline bool pops_nothing(const struct validator *v) { return v->nvals == v->top->height && v->top->unreachable; }
/* A reference of any type, or VT_REF(false, HT_BOT) out of unreachable code. */
valtype pop_ref(struct validator *v);
void push_vals(struct validator *v, const valtype *types, uint32_t n);
void pop_vals(struct validator *v, const valtype *types, uint32_t n);
/* Are the topmost operands of these types? Pops nothing. */
void expect_vals(struct validator *v, const valtype *types, uint32_t n);
/* Does each of n types match the one that is wanted in its place? */
void match_vals(struct validator *v, const valtype *have, const valtype *want, uint32_t n);

/* Opens a frame with the type that v->in has: its params and results must outlive it, but for &v->block_type. */
void push_ctrl(struct validator *v, uint16_t op);
/* Checks the results, closes the innermost frame and leaves it in v->ended. */
void pop_ctrl(struct validator *v);
void unreachable(struct validator *v);
static inline const valtype *frame_results(const struct ctrl_frame *f) { return f->results ? f->results : &f->single; }
/* The frame that a label names; the index has been checked. */
static inline const struct ctrl_frame *label_frame(const struct validator *v, uint32_t label) { return v->top - label; }
static inline uint32_t label_arity(const struct ctrl_frame *f) { return f->op == OP_LOOP ? f->nparams : f->nresults; }
static inline const valtype *label_types(const struct ctrl_frame *f)
{
    return f->op == OP_LOOP ? f->params : frame_results(f);
}
static inline const struct rtype *v_type(const struct validator *v, uint32_t local)
{
    return &v->e->types->rtypes[v->m->types[local]];
}
static inline const struct rtype *v_func_type(const struct validator *v, uint32_t func)
{
    return &v->e->types->rtypes[v->m->funcs[func].type];
}

static inline const valtype *type_results(const struct rtype *t)
{
    return t->nresults > 0 ? t->vals + t->nparams : NULL;
}

/* ---- runtime/validate/imm.c: reads the immediates of v->in.op into v->in and checks every index (.index). */
void read_immediates(struct validator *v, enum opcode_imm imm);

/* ---- Irregular instructions: opcode, function. Rows whose signature is X must be here, exactly once. */
#define VALIDATE_HANDLERS(X)                                                                                           \
    X(UNREACHABLE, validate_unreachable)                                                                               \
    X(BLOCK, validate_block)                                                                                           \
    X(LOOP, validate_block)                                                                                            \
    X(IF, validate_if)                                                                                                 \
    X(ELSE, validate_else)                                                                                             \
    X(END, validate_end)                                                                                               \
    X(BR, validate_br)                                                                                                 \
    X(BR_IF, validate_br_if)                                                                                           \
    X(BR_TABLE, validate_br_table)                                                                                     \
    X(RETURN, validate_return)                                                                                         \
    X(CALL, validate_call)                                                                                             \
    X(CALL_INDIRECT, validate_call_indirect)                                                                           \
    X(CALL_REF, validate_call_ref)                                                                                     \
    X(RETURN_CALL, validate_return_call)                                                                               \
    X(RETURN_CALL_INDIRECT, validate_return_call_indirect)                                                             \
    X(RETURN_CALL_REF, validate_return_call_ref)                                                                       \
    X(THROW, validate_throw)                                                                                           \
    X(THROW_REF, validate_throw_ref)                                                                                   \
    X(TRY_TABLE, validate_try_table)                                                                                   \
    X(BR_ON_NULL, validate_br_on_null)                                                                                 \
    X(BR_ON_NON_NULL, validate_br_on_non_null)                                                                         \
    X(BR_ON_CAST, validate_br_on_cast)                                                                                 \
    X(BR_ON_CAST_FAIL, validate_br_on_cast)                                                                            \
    X(DROP, validate_drop)                                                                                             \
    X(SELECT, validate_select)                                                                                         \
    X(SELECT_T, validate_select_t)                                                                                     \
    X(LOCAL_GET, validate_local_get)                                                                                   \
    X(LOCAL_SET, validate_local_set)                                                                                   \
    X(LOCAL_TEE, validate_local_tee)                                                                                   \
    X(GLOBAL_GET, validate_global_get)                                                                                 \
    X(GLOBAL_SET, validate_global_set)                                                                                 \
    X(TABLE_GET, validate_table_get)                                                                                   \
    X(TABLE_SET, validate_table_set)                                                                                   \
    X(TABLE_INIT, validate_table_init)                                                                                 \
    X(TABLE_COPY, validate_table_copy)                                                                                 \
    X(TABLE_GROW, validate_table_grow)                                                                                 \
    X(TABLE_SIZE, validate_table_size)                                                                                 \
    X(TABLE_FILL, validate_table_fill)                                                                                 \
    X(REF_NULL, validate_ref_null)                                                                                     \
    X(REF_IS_NULL, validate_ref_is_null)                                                                               \
    X(REF_FUNC, validate_ref_func)                                                                                     \
    X(REF_EQ, validate_ref_eq)                                                                                         \
    X(REF_AS_NON_NULL, validate_ref_as_non_null)                                                                       \
    X(REF_TEST, validate_ref_test)                                                                                     \
    X(REF_TEST_NULL, validate_ref_test)                                                                                \
    X(REF_CAST, validate_ref_test)                                                                                     \
    X(REF_CAST_NULL, validate_ref_test)                                                                                \
    X(REF_I31, validate_ref_i31)                                                                                       \
    X(I31_GET_S, validate_i31_get)                                                                                     \
    X(I31_GET_U, validate_i31_get)                                                                                     \
    X(ANY_CONVERT_EXTERN, validate_convert)                                                                            \
    X(EXTERN_CONVERT_ANY, validate_convert)                                                                            \
    X(STRUCT_NEW, validate_struct_new)                                                                                 \
    X(STRUCT_NEW_DEFAULT, validate_struct_new)                                                                         \
    X(STRUCT_GET, validate_struct_get)                                                                                 \
    X(STRUCT_GET_S, validate_struct_get)                                                                               \
    X(STRUCT_GET_U, validate_struct_get)                                                                               \
    X(STRUCT_SET, validate_struct_set)                                                                                 \
    X(ARRAY_NEW, validate_array_new)                                                                                   \
    X(ARRAY_NEW_DEFAULT, validate_array_new)                                                                           \
    X(ARRAY_NEW_FIXED, validate_array_new_fixed)                                                                       \
    X(ARRAY_NEW_DATA, validate_array_new_data)                                                                         \
    X(ARRAY_NEW_ELEM, validate_array_new_elem)                                                                         \
    X(ARRAY_GET, validate_array_get)                                                                                   \
    X(ARRAY_GET_S, validate_array_get)                                                                                 \
    X(ARRAY_GET_U, validate_array_get)                                                                                 \
    X(ARRAY_SET, validate_array_set)                                                                                   \
    X(ARRAY_LEN, validate_array_len)                                                                                   \
    X(ARRAY_FILL, validate_array_fill)                                                                                 \
    X(ARRAY_COPY, validate_array_copy)                                                                                 \
    X(ARRAY_INIT_DATA, validate_array_init_data)                                                                       \
    X(ARRAY_INIT_ELEM, validate_array_init_elem)

/* Several rows share a function, so it may be declared more than once. */
#define X(op, function) void function(struct validator *v);
VALIDATE_HANDLERS(X)
#undef X
/* Regular rows on memories: as their signature says, with the memory's address type for addresses and sizes. */
void validate_memory(struct validator *v);

#endif
