/* runtime/translate/impl.h -- shared by translate/ only: the translator's state and what emits code.
 *
 * The abstract operand stack says where each operand is: in a local (local.get emits nothing), in nothing (a constant),
 * in a slot of the frame, or in the register r0. An instruction is emitted with its result in r0; when r0 is wanted for
 * something else, that instruction is patched in place to put its result into a slot instead. Invariants:
 *   .home    The operand at stack height h has the slot nlocals + h, its home. One in a slot is at home, but for the
 *            instant in which a call's arguments are put one slot higher, above the callee's frame header.
 *   .reg     At most one operand is in r0: t->reg, or NO_VALUE. At labels, safepoints and calls none is.
 *   .patch   An instruction may be patched as long as nothing has used its result and no label lies behind it (then its
 *            place is >= t->block_start, and control that gets here has gone through it).
 *   .flushed Operands below the innermost block's parameters are at home or constants: so paths agree where they meet.
 *   .unused  No operand below t->flushed is LOC_LOCAL: what has been looked through need not be again.
 *   .mirror  What is in the slot t->mirror (if it is one) is also in r0, and no operand is.
 *   .last    t->last describes the instruction that ends at the current place, if no label is here.
 *   .step    There are as many operands as the validator has (a v128 two): an instruction finds all that it pops, and a
 *            block's end leaves the height of its type.
 *   .count   refs[0 .. nrefs) are the heights of the operands that are references, rising; local_uses and nlocal_uses
 *            count those that are LOC_LOCAL.
 *   .ahead   A fixup is in an instruction that is there, and its label is ahead of it; a loop's head is behind a poll.
 *   .room    Code names slots below frame_slots, which tr_insn has kept small enough for any one instruction.
 *   .fused   Instructions are fused only when the first is t->last and its result is used up by the second: an operand
 *            in r0 that has just been popped, or a local, which no operand can be patched away from. */
#ifndef HEMI_RUNTIME_TRANSLATE_IMPL_H
#define HEMI_RUNTIME_TRANSLATE_IMPL_H

#include "base/check.h"
#include "runtime/code/vmops.h"
#include "runtime/engine/engine.h"
#include "runtime/translate/translate.h"
#include <string.h>

/* Offsets in an instruction. */
enum { AT_DEST = 4, AT_OPERANDS = 6 };
enum { NO_POS = UINT32_MAX, NO_VALUE = UINT32_MAX, NO_FIXUP = UINT32_MAX };
/* One instruction may push so many values beyond the frame's limit before the limit is noticed. */
enum { VALUES_SLACK = 4096, VALUES_MAX = FRAME_SLOTS_MAX + VALUES_SLACK };
/* More operands than this that go somewhere together are first put home, and then moved by one instruction. So what
 * calls and branches take along costs code once, however often it is passed on. */
enum { MOVES_MAX = 16 };

enum loc { LOC_LOCAL, LOC_CONST, LOC_SLOT, LOC_REG };
struct value {
    uint8_t loc;
    uint8_t slot;  /* enum heap_slot */
    uint16_t op;   /* LOC_REG: the producer's handler */
    uint16_t at;   /* LOC_LOCAL, LOC_SLOT: the slot */
    uint16_t home; /* set when popped */
    uint32_t pos;  /* LOC_SLOT, LOC_REG: the instruction that made it, or NO_POS if it must not be patched */
    uint64_t bits; /* LOC_CONST */
};

struct buf {
    uint8_t *at;
    uint32_t len, cap;
};

/* An instruction as far as peepholes want to know. */
struct last {
    bool wide;    /* its result is a v128 in slots d and d + 1, and may go to others */
    uint32_t pos; /* NO_POS: unknown */
    uint16_t op;
    uint16_t branch; /* the BT form of a comparison or test, or 0 */
    uint16_t of;     /* the opcode it was made from */
};

/* A place that must learn where a label is: the s32 at `field`, relative to `insn`; or, with insn == NO_POS, the pc of
 * clause number `field`. `move` is the move right before an unconditional branch, with the operation `op`, or NO_POS.
 */
struct fixup {
    uint32_t field, insn, next, move;
    uint16_t op;
};

struct ctrl {
    uint16_t op;
    bool is_loop;
    uint32_t height;            /* operands below the parameters */
    uint32_t nparams, nresults; /* slots */
    uint32_t fixups;            /* of the label, unless it is a loop */
    uint32_t else_fixup;        /* IF before ELSE */
    uint32_t head;              /* loop: behind its poll */
    uint32_t region;            /* outside of the block */
    uint32_t table;             /* the last br_table with this label */
    uint32_t moves; /* the moves of its entry for it, 0 when they are still to be made; NO_POS: none needed */
};

/* A condition about to become a branch. */
struct cond {
    uint16_t branch; /* BT form */
    bool negate;
    uint8_t size;
    uint8_t bytes[24]; /* operands and immediates */
    uint16_t touched[2];
    uint8_t ntouched;
};

struct translator {
    struct engine *e;
    struct module *m;
    const vm_entry *handlers;                  /* of the engine's scheme */
    enum hemi_status status;                   /* sticky: NO_MEMORY, LIMIT */
    enum wasm_limit limit;                     /* of LIMIT */
    int64_t *budget;                           /* see translator_new */
    uint32_t func, nlocals, nparams, nresults; /* counts of slots */
    const struct insn *in;

    uint32_t nvals, reg;
    uint32_t mirror;       /* .mirror */
    uint32_t flushed;      /* .unused */
    uint32_t nrefs, nlive; /* nlive: references counted at sites */
    struct ctrl *ctrls;
    uint32_t nctrls, cap_ctrls;
    uint32_t nlocal_uses; /* LOC_LOCAL entries on the stack */

    struct buf code;
    struct last last, prev;
    uint32_t block_start; /* .patch */
    uint32_t call_pos;    /* the last instruction that has a site */
    uint32_t frame_slots;
    uint32_t region;
    struct buf regions, clauses, lines, fixups; /* of struct region, catch_clause, line, fixup */
    struct buf sites, live;                     /* module-wide: struct site, uint16_t */

    /* As long as the limits allow, and zero at first: what a function does not need costs no memory. */
    struct value vals[VALUES_MAX];
    uint16_t refs[VALUES_MAX];            /* heights of the operands that are references, of which there are nrefs */
    uint32_t touched[2 * VALUES_MAX];     /* by slot: the last instruction that read or wrote it */
    uint16_t local_at[FRAME_SLOTS_MAX];   /* by local index: its slot (v128: the first of its two) */
    uint16_t local_uses[FRAME_SLOTS_MAX]; /* by slot: its LOC_LOCAL entries on the stack */
    uint8_t local_slots[2 * FRAME_SLOTS_MAX]; /* by slot: enum heap_slot of what the local holds there */
};

/* ---- runtime/translate/emit.c: bytes */
bool buf_grow(struct translator *t, struct buf *b, uint32_t size);
/* Room for `size` more bytes; false (and t->status) without memory. */
static inline bool buf_room(struct translator *t, struct buf *b, uint32_t size)
{
    return b->cap - b->len >= size || buf_grow(t, b, size);
}
void *buf_add(struct translator *t, struct buf *b, uint32_t size); /* zeroed; NULL (and t->status) without memory */
#define BUF_COUNT(b, type) ((b).len / (uint32_t)sizeof(type))
#define BUF_AT(b, type, i) ((type *)(void *)(b).at + (i))

/* Counts steps beyond a constant number for each instruction. */
static inline void tr_charge(struct translator *t, uint32_t steps) { *t->budget -= steps; }
/* The function is beyond the limit. */
static inline void tr_over(struct translator *t, enum wasm_limit limit)
{
    if (t->status == HEMI_OK) t->status = HEMI_LIMIT, t->limit = limit;
}

/* Starts an instruction, and returns where it is. `op` is the R form if it has two. */
uint32_t emit(struct translator *t, uint32_t op);
/* The last instruction becomes `op`, which begins with the same fields; what follows is emitted next. */
void extend_last(struct translator *t, uint32_t op);
#define EMITTER(name, type)                                                                                            \
    static inline void name(struct translator *t, type v)                                                              \
    {                                                                                                                  \
        if (!buf_room(t, &t->code, sizeof v)) return;                                                                  \
        memcpy(t->code.at + t->code.len, &v, sizeof v);                                                                \
        t->code.len += (uint32_t)sizeof v;                                                                             \
    }
EMITTER(emit_half, uint16_t)
EMITTER(emit_u32, uint32_t)
EMITTER(emit_u64, uint64_t)
#undef EMITTER
static inline void emit_u16(struct translator *t, uint32_t v)
{
    CHECK_DEBUG(v <= UINT16_MAX, ".room");
    emit_half(t, (uint16_t)v);
}
/* The frame has at least `end` slots. */
static inline void use_slots(struct translator *t, uint32_t end)
{
    if (end > t->frame_slots) t->frame_slots = end;
    if (end > FRAME_SLOTS_MAX) tr_over(t, LIMIT_FRAME_SLOTS);
}
static inline void touch(struct translator *t, uint32_t slot, uint32_t pos)
{
    CHECK_DEBUG(slot < 2 * VALUES_MAX, ".room");
    if (t->touched[slot] < pos) t->touched[slot] = pos;
    use_slots(t, slot + 1);
}
/* A u16 operand; notes the use. */
static inline void emit_slot(struct translator *t, uint32_t slot)
{
    emit_u16(t, slot);
    touch(t, slot, t->last.pos);
}
void emit_line(struct translator *t, uint32_t pos);               /* the instruction at pos may trap */
void set_dest(struct translator *t, uint32_t pos, uint32_t slot); /* writes the field d */
/* A new site for the current instruction: all but the topmost `except` operands are live. Returns its id. */
uint32_t add_site(struct translator *t, uint32_t delta, uint32_t except);

/* Emits a move of the value, which stays as it is. Returns the instruction if its destination may be patched, or
 * NO_POS. */
uint32_t mov(struct translator *t, const struct value *v, uint32_t slot);
void mov_range(struct translator *t, uint32_t from, uint32_t to, uint32_t n); /* slots to slots */
void bind_label(struct translator *t);                                        /* control may join here */
uint32_t add_fixup(struct translator *t, uint32_t list, uint32_t field, uint32_t insn);
void resolve(struct translator *t, uint32_t list, uint32_t target);
/* Unconditional branches to `here`, where `slot` is about to be returned (NO_POS: nothing), return right away. */
void return_early(struct translator *t, uint32_t here, uint32_t slot);
void patch_u16(struct translator *t, uint32_t at, uint32_t v);
void patch_u32(struct translator *t, uint32_t at, uint32_t v);

/* ---- runtime/translate/stack.c: operands */
static inline uint32_t home_of(const struct translator *t, uint32_t height) { return t->nlocals + height; }
static inline struct value *top(struct translator *t, uint32_t down)
{
    CHECK_DEBUG(down < t->nvals, ".step");
    return &t->vals[t->nvals - 1 - down];
}
static inline struct value pop(struct translator *t)
{
    CHECK_DEBUG(t->nvals > 0, ".step");
    struct value v = t->vals[--t->nvals];
    v.home = (uint16_t)home_of(t, t->nvals); /* .home */
    CHECK_DEBUG((v.loc == LOC_REG) == (t->reg == t->nvals), ".reg");
    CHECK_DEBUG(v.loc != LOC_LOCAL || (t->local_uses[v.at] > 0 && t->nlocal_uses > 0), ".count");
    CHECK_DEBUG(v.slot == HEAP_SLOT_DATA || (t->nrefs > 0 && t->refs[t->nrefs - 1] == t->nvals), ".count");
    if (v.loc == LOC_LOCAL) t->local_uses[v.at]--, t->nlocal_uses--;
    if (v.loc == LOC_REG) t->reg = NO_VALUE;
    if (v.slot != HEAP_SLOT_DATA) t->nrefs--;
    if (t->flushed > t->nvals) t->flushed = t->nvals;
    return v;
}
static inline void push(struct translator *t, struct value v)
{
    CHECK_DEBUG(t->nvals < VALUES_MAX, ".step");
    CHECK_DEBUG(v.loc != LOC_LOCAL || v.at < t->nlocals, ".count");
    CHECK_DEBUG(v.loc != LOC_REG || t->reg == NO_VALUE, ".reg");
    if (v.loc == LOC_LOCAL) t->local_uses[v.at]++, t->nlocal_uses++;
    if (v.loc == LOC_REG) t->reg = t->nvals;
    if (v.slot != HEAP_SLOT_DATA) t->refs[t->nrefs++] = (uint16_t)t->nvals;
    t->vals[t->nvals++] = v;
}
static inline void push_const(struct translator *t, uint64_t bits, uint8_t slot)
{
    push(t, (struct value){.loc = LOC_CONST, .slot = slot, .pos = NO_POS, .bits = bits});
}
static inline void push_local(struct translator *t, uint32_t slot) /* of a local */
{
    push(t, (struct value){.loc = LOC_LOCAL, .slot = t->local_slots[slot], .at = (uint16_t)slot, .pos = NO_POS});
}
void push_home(struct translator *t, uint8_t slot);                           /* its value is at home already */
void push_types_home(struct translator *t, const valtype *types, uint32_t n); /* the same for values of these types */
/* The result of the instruction at pos, in r0. Patchable only if nothing after it uses r0. */
void push_reg(struct translator *t, uint32_t op, uint32_t pos, uint8_t slot);
void truncate_stack(struct translator *t, uint32_t height);
void to_home(struct translator *t, uint32_t i); /* the operand at height i */
void free_reg(struct translator *t);            /* nothing on the stack is in r0 afterwards */
void flush_top(struct translator *t, uint32_t n);
void flush_locals(struct translator *t, uint32_t end); /* of those below `end`, none is LOC_LOCAL afterwards */
void save_local(struct translator *t, uint32_t slot); /* operands that are its value do not change with it afterwards */
void put_local(struct translator *t, uint32_t slot, struct value v); /* local.set of a popped value */
/* A popped value that must not be a constant, or must be in a slot. */
void no_const(struct translator *t, struct value *v);
void in_slot(struct translator *t, struct value *v);
/* A popped operand of the next instruction is read from r0 if it is there, too. */
static inline void from_mirror(const struct translator *t, struct value *v)
{
    if ((v->loc != LOC_LOCAL && v->loc != LOC_SLOT) || v->at != t->mirror) return;
    CHECK_DEBUG(t->reg == NO_VALUE, ".mirror");
    v->loc = LOC_REG;
    v->pos = NO_POS;
}
/* A local just added to is compared in its slot: fuse_step wants it there. */
static inline void keep_step(struct translator *t)
{
    if (t->last.pos != NO_POS && t->last.op == VM_I32_ADD_SC_S) t->mirror = NO_VALUE;
}
/* Puts a popped or pushed value into `slot`, by patching its producer if that is still possible, else by a move. */
void put_in(struct translator *t, struct value *v, uint32_t slot);
bool repatch(struct translator *t, struct value *v, uint32_t slot);

/* ---- runtime/translate/ops.c: operands of instructions */
struct body_row {
    uint8_t class; /* enum body_class */
    char tr, ta, tb;
    uint8_t flags;
    uint16_t base; /* the first handler */
    uint16_t inverse, swapped;
};
enum body_class { BODY_NONE, BODY_UNARY, BODY_BINARY, BODY_COMPARE, BODY_TEST, BODY_LOAD, BODY_STORE, BODY_SIMD };
enum { COMMUTES = 1, TRAPS = 2, NAN32 = 4, NAN64 = 8, SHIFTS = 16 };
/* Handlers of a LOAD or STORE before the ones for any memory, and before those at sums. */
enum { LOAD_ANY_FORM = 6, LOAD_SUM_FORM = 8, STORE_ANY_FORM = 8, STORE_SUM_FORM = 9 };
/* Handlers of a SIMD row before its forms, which are those of bodies_simd.def. */
enum { SIMD_0 = 1, SIMD_SUM = 2, SIMD_C = 1, SIMD_32 = 1 };
extern const struct body_row body_rows[OP_COUNT];
/* Instructions that are only a call of a helper. */
enum helped_arg { ARG_zero, ARG_index, ARG_index2, ARG_local_type, ARG_local_type2 };
enum { VARIES = 255 };
struct helped_row {
    bool is;
    uint8_t helper, nparams, nresults, a, b;
};
extern const struct helped_row helped_rows[OP_COUNT];

static inline void emit_operand(struct translator *t, const struct value *v, char type)
{
    if (v->loc == LOC_REG) return;
    if (v->loc != LOC_CONST)
        emit_slot(t, v->at);
    else if (type == 'D' || type == 'F')
        emit_u64(t, v->bits);
    else
        emit_u32(t, (uint32_t)v->bits);
}
bool is_quick(const struct translator *t, const struct insn *i); /* may be access.h's: memory 0 with 32-bit addresses */
void emit_memarg(struct translator *t, const struct insn *i);    /* the immediates of MEMORY_ACCESS_ANY */
bool const_fits(const struct value *v, char type);
/* Index among SS SC RS SR RC. */
uint32_t pair_kind(const struct value *a, const struct value *b);
uint32_t triple_kind(const struct value *a, const struct value *b, const struct value *c); /* in SET3_KINDS */
/* Pops the operand(s), emits the handler for their kinds. The result is still to be pushed. */
uint32_t emit_unary(struct translator *t, uint32_t base, char ta, uint32_t flags, uint16_t *op);
uint32_t emit_binary(struct translator *t, uint32_t base, char ta, char tb, uint32_t flags, uint16_t *op);
void unary_imm(struct translator *t, uint32_t base, char ta, uint32_t imm, uint8_t slot); /* traps, u32 immediate */
void nullary_imm(struct translator *t, uint32_t op, uint32_t imm, uint8_t slot);
/* A test of one operand, with or without a u32 immediate; base is its S_R variant. */
void test_row(struct translator *t, uint32_t base, char ta, bool has_imm, uint32_t imm);
void help(struct translator *t, uint32_t helper, uint32_t nparams, uint32_t nresults, uint32_t a, uint32_t b,
          uint8_t slot);

/* ---- runtime/translate/simd.c: v128, and instructions whose operands and result are all in slots. */
/* Operands of such an instruction are popped into slots before it is emitted, the last one first. */
uint32_t pop_slot(struct translator *t);                  /* one slot */
uint32_t pop_wide(struct translator *t);                  /* a v128: the first of two adjacent slots */
void emit_wide(struct translator *t, uint32_t slot);      /* a u16 operand that is a v128 */
void push_wide(struct translator *t, uint32_t pos);       /* the v128 that the last instruction, at pos, makes */
void set_wide_local(struct translator *t, uint32_t slot); /* local.set of a v128 */
void select_wide(struct translator *t);
void get_wide_global(struct translator *t, uint32_t index);
void set_wide_global(struct translator *t, uint32_t index);
void tr_simd(struct translator *t, const struct insn *i);
/* Does a NaN that an instruction with these flags makes have to be replaced by the canonical one? */
static inline bool wants_canonical(const struct translator *t, uint32_t flags)
{
    return (flags & (NAN32 | NAN64)) != 0 && t->e->options.canonical_nans;
}

/* ---- runtime/translate/fuse.c: the last instruction and what would follow it in one (.fused). Each says whether it
 * was. */
/* A load from, or a store of b to, a popped address that the last instruction has added up. */
bool fuse_load(struct translator *t, const struct body_row *row, const struct value *a, uint32_t offset);
bool fuse_store(struct translator *t, const struct body_row *row, const struct value *a, const struct value *b,
                uint32_t offset);
bool fuse_simd_load(struct translator *t, const struct body_row *row, uint32_t offset); /* from the topmost operand */
/* An operation on the two topmost operands, of which the last instruction has shifted one by a constant. */
bool fuse_shift(struct translator *t, uint32_t opcode);
/* An operation on the two topmost operands, of which one is a constant that takes 64 bits. */
bool with_c64(struct translator *t, uint32_t opcode);
/* A branch on a local to which the last instruction has added a constant, without its target; form: 0 BT, 1 BF, 2 BTL,
 * 3 BFL. */
bool fuse_step(struct translator *t, const struct cond *c, uint32_t form);
/* After such an addition, a branch to a loop, without its target. */
bool fuse_step_loop(struct translator *t);

/* ---- runtime/translate/control.c */
uint32_t label_slots(struct translator *t, uint32_t label); /* what a branch to it takes along */
/* The operands that a conditional branch takes along, before its condition is emitted. */
void settle_values(struct translator *t, uint32_t label, uint32_t n);
struct cond take_cond(struct translator *t);
void emit_pieces(struct translator *t, const struct cond *c, uint32_t from); /* the bytes of a condition */
void branch_on(struct translator *t, struct cond *c, bool sense, uint32_t label, uint32_t nvalues);
void branch_to(struct translator *t, uint32_t label, uint32_t nvalues);
/* A condition on a value in a slot: the test `branch` (BT form) with `n` u32 immediates. */
struct cond slot_cond(uint16_t branch, const struct value *v, uint32_t n, uint32_t imm);
void finish_body(struct translator *t);
void begin_body(struct translator *t, const valtype *results, uint32_t nresults);

/* ---- Irregular instructions: opcode, function. */
/* clang-format off */
#define TRANSLATE_HANDLERS(X)                                                                                          \
    X(UNREACHABLE, tr_unreachable)                                                                                     \
    X(NOP, tr_nop)                                                                                                     \
    X(BLOCK, tr_block)                                                                                                 \
    X(LOOP, tr_loop)                                                                                                   \
    X(IF, tr_if)                                                                                                       \
    X(ELSE, tr_else)                                                                                                   \
    X(END, tr_end)                                                                                                     \
    X(BR, tr_br)                                                                                                       \
    X(BR_IF, tr_br_if)                                                                                                 \
    X(BR_TABLE, tr_br_table)                                                                                           \
    X(RETURN, tr_return)                                                                                               \
    X(CALL, tr_call)                                                                                                   \
    X(CALL_INDIRECT, tr_call_indirect)                                                                                 \
    X(CALL_REF, tr_call_ref)                                                                                           \
    X(RETURN_CALL, tr_return_call)                                                                                     \
    X(RETURN_CALL_INDIRECT, tr_return_call_indirect)                                                                   \
    X(RETURN_CALL_REF, tr_return_call_ref)                                                                             \
    X(TRY_TABLE, tr_try_table)                                                                                         \
    X(BR_ON_NULL, tr_br_on_null)                                                                                       \
    X(BR_ON_NON_NULL, tr_br_on_non_null)                                                                               \
    X(BR_ON_CAST, tr_br_on_cast)                                                                                       \
    X(BR_ON_CAST_FAIL, tr_br_on_cast)                                                                                  \
    X(DROP, tr_drop)                                                                                                   \
    X(SELECT, tr_select)                                                                                               \
    X(SELECT_T, tr_select)                                                                                             \
    X(LOCAL_GET, tr_local_get)                                                                                         \
    X(LOCAL_SET, tr_local_set)                                                                                         \
    X(LOCAL_TEE, tr_local_tee)                                                                                         \
    X(GLOBAL_GET, tr_global_get)                                                                                       \
    X(GLOBAL_SET, tr_global_set)                                                                                       \
    X(TABLE_GET, tr_table_get)                                                                                         \
    X(TABLE_SET, tr_table_set)                                                                                         \
    X(TABLE_SIZE, tr_table_size)                                                                                       \
    X(MEMORY_COPY, tr_memory_copy)                                                                                     \
    X(MEMORY_FILL, tr_memory_fill)                                                                                     \
    X(MEMORY_SIZE, tr_memory_size)                                                                                     \
    X(I32_CONST, tr_const)                                                                                             \
    X(I64_CONST, tr_const)                                                                                             \
    X(F32_CONST, tr_const)                                                                                             \
    X(V128_CONST, tr_v128_const)                                                                                       \
    X(F64_CONST, tr_const)                                                                                             \
    X(I32_EQZ, tr_eqz)                                                                                                 \
    X(I64_EXTEND_I32_U, tr_nop)                                                                                        \
    X(I32_REINTERPRET_F32, tr_nop)                                                                                     \
    X(I64_REINTERPRET_F64, tr_nop)                                                                                     \
    X(F32_REINTERPRET_I32, tr_nop)                                                                                     \
    X(F64_REINTERPRET_I64, tr_nop)                                                                                     \
    X(ANY_CONVERT_EXTERN, tr_nop)                                                                                      \
    X(EXTERN_CONVERT_ANY, tr_nop)                                                                                      \
    X(REF_NULL, tr_ref_null)                                                                                           \
    X(REF_IS_NULL, tr_ref_is_null)                                                                                     \
    X(REF_FUNC, tr_ref_func)                                                                                           \
    X(REF_EQ, tr_ref_eq)                                                                                               \
    X(REF_AS_NON_NULL, tr_ref_as_non_null)                                                                             \
    X(REF_I31, tr_ref_i31)                                                                                             \
    X(REF_TEST, tr_ref_test)                                                                                           \
    X(REF_TEST_NULL, tr_ref_test)                                                                                      \
    X(REF_CAST, tr_ref_cast)                                                                                           \
    X(REF_CAST_NULL, tr_ref_cast)                                                                                      \
    X(STRUCT_NEW, tr_struct_new)                                                                                       \
    X(STRUCT_NEW_DEFAULT, tr_struct_new_default)                                                                       \
    X(STRUCT_GET, tr_struct_get)                                                                                       \
    X(STRUCT_GET_S, tr_struct_get)                                                                                     \
    X(STRUCT_GET_U, tr_struct_get)                                                                                     \
    X(STRUCT_SET, tr_struct_set)                                                                                       \
    X(ARRAY_NEW, tr_array_new)                                                                                         \
    X(ARRAY_NEW_DEFAULT, tr_array_new_default)                                                                         \
    X(ARRAY_NEW_FIXED, tr_array_new_fixed)                                                                             \
    X(ARRAY_GET, tr_array_get)                                                                                         \
    X(ARRAY_GET_S, tr_array_get)                                                                                       \
    X(ARRAY_GET_U, tr_array_get)                                                                                       \
    X(ARRAY_SET, tr_array_set)
/* clang-format on */
#define X(op, function) void function(struct translator *t, const struct insn *i);
TRANSLATE_HANDLERS(X)
#undef X
#endif
