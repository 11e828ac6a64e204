/* runtime/store/store.h -- the inside of struct store, for runtime/ alone (others see runtime.h).
 *
 * School: TRUSTED, asserted: what comes from the guest has been validated, what comes from the server is checked where
 * runtime.h says so and comes back as a status.
 *
 * A store owns everything that its instances are made of until it is freed: instances, tables, memories, globals, tags,
 * host functions, and one reference on each module and type that they name. Small things come out of blocks that only
 * store_free gives back; table elements, element segments and linear memories have allocations of their own.
 *
 * Invariants:
 *   .activation  `activation` is the innermost call into the guest, NULL when there is none. vm.exit_fp and
 *                vm.stack_limit are its; those of the calls around it are kept in the activation records.
 *   .bottom      The frame at an activation's fp has the header {SITE_ENTRY, 0} below it, so a walk from any exit_fp
 *                ends.
 *   .rooted      Whatever holds a heap reference across something that may collect is reached from roots_visit: frames,
 *                struct root, globals, tables, element segments (from before their first element is evaluated), the
 *                pending and the last uncaught exception.
 *   .alone       While an activation yields, nobody else uses its store, except nested inside a host call. So a poll in
 *                the middle of a bulk operation changes no size; a heap base is still read again after it (vm.h .base).
 *                Only roots may be deinitialised meanwhile, in the middle of a collection, too: an owner drops them.
 *   .poll        What a poll point (store_poll, engine_poll, a collection's) may do: switch native stacks, collect this
 *                store, let go of roots, work on any other store. What it never does: run this store's guest, make or
 *                resize anything of it, open or close its activations, write vm.pending. So what is kept over a poll is
 *                a root or is read again (vm.h .base), and sizes, bounds and exit_fp need not be looked at again.
 *   .bulk        The pieces of a bulk operation lie one behind the other, from one end to the other; what they touch is
 *                within bounds when the first is done, and so (.poll) when the last is.
 *   .numbered    Instances, functions and tags are numbered from 1 on, without gaps, and stay where their number says.
 *   .whole       What a poll may interrupt is either whole or not there: a table's new elements and the first ones of
 *                an instance's tables count when all of them are there, and a new array is reached when it is filled.
 *                So a type without null never shows one. What overwrites elements that were there already (fill, copy
 *                and init of memories, tables and arrays; active segments) leaves, when it is stopped, each of them as
 *                it was or as it was to be.
 *   .accounted   All memory of a store is announced through store_options.charge before it is used, and given back
 *                as it is freed: what is charged when a store ends is the store itself.
 *   .trace       A backtrace is made by the unwinding itself: each frame adds its place as it is left, so that a trap
 *                costs nothing before it happens and an exception nothing beyond its handler. The frames of the
 *                activations around the one that failed still stand; they are walked when the failure leaves it. */
#ifndef HEMI_RUNTIME_STORE_STORE_H
#define HEMI_RUNTIME_STORE_STORE_H

#include "base/check.h"
#include "runtime/code/vm.h"
#include "runtime/module/describe.h"

enum { STORE_MAPPINGS = 4 /* the heap's, and of blocks */, MEMORY_MAPPINGS = 2, TABLE_MAPPINGS = 1 };
enum { WASM_PAGE_SHIFT = 16, MEMORY_PAGES_MAX = 65536, ACTIVATIONS_MAX = 256 };
/* Of a memory with 64-bit addresses: what may be declared, and what fits a process. */
#define MEMORY64_PAGES_VALID (UINT64_C(1) << 48)
#define MEMORY64_PAGES_MAX (UINT64_C(1) << 31)
/* Address space that a memory gets at first; in the stress build next to nothing, so that memories move. */
#ifdef HEMI_STRESS
#define MEMORY_RESERVED_FIRST (UINT64_C(1) << WASM_PAGE_SHIFT)
#else
#define MEMORY_RESERVED_FIRST (UINT64_C(1) << 32)
#endif

/* Address space that all memories of an engine may have beyond what they need. It is half of a process's, so that
 * heaps, stacks and other stores find room however many memories there are. For each that has any, 4 GiB are counted or
 * more: it takes two of the 65,530 mappings that Linux gives a process, and one that has none shares them with its
 * neighbours. */
#define MEMORY_AHEAD_MAX (UINT64_C(1) << 46)
#define MEMORY_AHEAD_LEAST (UINT64_C(1) << 32)
/* A memory that is not counted gets no more than it needs until it has grown to this. */
#define MEMORY_EXACT_MAX (UINT64_C(1) << 20)

/* The frames that an unwinding has left, innermost first: all of the first TRACE_INNERMOST, then the last
 * TRACE_OUTERMOST, in a ring. */
struct trace {
    uint32_t total;
    uint32_t unpolled; /* steps of unwinding */
    struct place innermost[TRACE_INNERMOST], outermost[TRACE_OUTERMOST];
};

/* One call into the guest. Lives in rt_call's or instance_new's native frame. */
enum { ENTRY_BYTES = 16 }; /* header of the first frame, which is 16-byte aligned like the stack */
struct activation {
    struct activation *outer;
    char *outer_exit_fp, *outer_stack_limit;
    char *fp; /* of its first frame: .bottom */
    uint32_t depth;
    struct rt_error *err;  /* where a host function leaves its message */
    struct instance *host; /* the host function that it is inside of, if any */
};

/* A host function: an instance of a module of one function. The module is shared by all of one type. */
struct host_type {
    struct module module;
    struct func_decl decl;
    struct code code;
    struct host_type *next, *bucket_next;
};
struct host_func {
    struct host_func_options opt;
    const struct rtype *type;
    const struct import *import; /* the first that it served, for traces; NULL: none yet */
    struct host_func *next;
};

/* An allocation that lives as long as the store. */
struct store_block {
    struct store_block *next;
    size_t size; /* with this */
    _Alignas(16) char bytes[];
};

struct store {
    struct vm vm;
    struct engine *engine;
    struct heap *heap;
    const struct heap_desc *descs; /* the engine's, by canonical type id */
    struct store_options opt;      /* with the defaults filled in */
    bool charge_refused;           /* the last time that `opt.charge` was asked for more */
    struct activation *activation; /* .activation */
    uint32_t thrown;               /* the last exception that left a call: a host function may pass it on; a root
                                       inside calls, forgotten by collections outside of them */
    struct trace trace;            /* .trace: of the failure under way, then of the last one */
    struct root roots;             /* head of the list of struct root */
    const struct root *unfinished; /* a new array that is being filled (.whole); NULL: there is none */
    struct memory nothing;         /* mem0 of instances without a memory; guarded, as their code has no access to it */
    struct memory *memories;
    struct table *tables;
    struct global *globals;       /* those that hold references or functions */
    struct tag **tags;            /* by tag id; nothing at 0 */
    struct host_type *host_types; /* all of them */
    struct host_type **host_type_buckets;
    uint32_t nhost_types, host_type_mask; /* buckets less one */
    struct host_func *host_funcs;
    struct store_block *blocks;
    uint32_t *types; /* canonical ids that the store holds a reference on */
    uint32_t ntypes, types_capacity;
    uint32_t ntags, tags_capacity;
    uint32_t ninstances, instances_capacity; /* ids given out so far; 0 is nobody's */
    uint32_t nfunc_blocks, func_blocks_capacity;
    uint32_t nguests; /* instances of modules, for the limit */
    uint64_t memory_bytes, table_elems;
    uint64_t charged; /* what this store itself has charged; the heap accounts for its own */
    uint64_t host_calls;
    struct { /* store_free_some: how far it is */
        uint32_t part, elem;
        size_t given;
    } ending;
};

/* Fills *err (may be NULL) and returns `status`. */
enum hemi_status error_set(struct rt_error *err, enum hemi_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- store.c */
/* Zeroed memory that lives as long as the store; NULL when the system or the budget refuses. */
void *store_alloc(struct store *s, size_t size);
/* Accounts for memory (.accounted); false changes nothing. */
bool store_charge(struct store *s, int64_t delta);
/* Accounts for mappings; false changes nothing. */
bool store_map(struct store *s, int32_t delta);
/* Makes room for one more entry in an array of the store's: doubles it, zeroing the new part. */
bool store_grow(struct store *s, void **array, size_t size, uint32_t used, uint32_t *capacity);
/* One more reference on the type that t names, if any, until the store is freed. */
enum hemi_status store_hold_type(struct store *s, valtype t);
/* Gives the instance an id, and function ids for ndefined functions. NO_MEMORY, LIMIT. */
enum hemi_status store_register(struct store *s, struct instance *in, uint32_t ndefined);
/* Asks the engine whether to go on; VM_UNWIND with pending set if not. */
uint32_t store_poll(struct store *s);

/* ---- func.c */
/* Opens an activation on `stack`. STACK_OVERFLOW as TRAP when `slots` do not fit, LIMIT when nested too deeply. */
enum hemi_status activation_enter(struct store *s, struct activation *a, struct vm_stack stack, uint32_t slots,
                                  struct rt_error *err);
void activation_leave(struct store *s, struct activation *a);
/* Are these values, where references, of these types? ARGUMENT naming the first that is not. */
enum hemi_status vals_check(const struct store *s, const union val *vals, const valtype *types, uint32_t n,
                            const char *what, struct rt_error *err);

/* ---- trap.c */
/* Turns vm.pending into *err, clears it, and returns its status. */
enum hemi_status pending_take(struct store *s, struct rt_error *err);

/* ---- trace.c (.trace) */
/* Forgets the last trace. */
void trace_begin(struct store *s);
void trace_add(struct store *s, struct place p);
void trace_add_host(struct store *s, const struct instance *in);
/* A step of unwinding: a frame left or a clause looked at. Polls now and then, for a stack may hold millions; what a
 * poll answers does not end what is ending. */
void trace_step(struct store *s);
/* Adds the activations around the running one, each with the host function that it is inside of. */
void trace_add_outer(struct store *s);
/* The i-th frame that was kept; NULL: there is none. */
const struct place *trace_place(const struct trace *t, uint32_t i);

/* ---- explain.c: messages of limits. */
/* HEMI_LIMIT, with LIMIT_MESSAGE. */
enum hemi_status error_limit(struct rt_error *err, const char *name, uint64_t asked, const char *what, uint64_t most);
/* Behind the text of a trap that a limit of the store's caused. */
void text_limit_of_trap(struct text *t, const struct store *s, enum wasm_trap trap);

/* ---- Slots of values, by type. */
void slots_from_vals(char *slots, const union val *vals, const valtype *types, uint32_t n);
void slots_to_vals(union val *vals, const char *slots, const valtype *types, uint32_t n);

/* ---- roots.c */
void roots_visit(void *store, struct heap_visitor *v);

/* ---- memory.c, table.c, global.c, tag.c: make one in place, for instances. The memory for it comes from the store. */
enum hemi_status memory_init(struct store *s, struct memory *m, const struct limits *l, struct rt_error *err);
bool memory_free_some(struct memory *m, uint32_t *units); /* as store_free_some */
static inline bool memory_within(const struct memory *m, uint64_t at, uint64_t n)
{
    return n <= m->size && at <= m->size - n;
}
/* Empty; table_start gives it its first elements, each *bits. */
void table_init(struct store *s, struct table *t, valtype type, const struct limits *l);
enum hemi_status table_start(struct table *t, const uint32_t *bits, struct rt_error *err);
bool table_free_some(struct table *t, size_t *given, uint32_t *units); /* *given: release_block */
bool table_within(const struct table *t, uint64_t at, uint64_t n);
void global_init(struct store *s, struct global *g, valtype type, bool mut, union val v);
enum hemi_status tag_init(struct store *s, struct tag *t, uint32_t func_type);

/* ---- Bulk operations: done in pieces with a poll between, so that a long one yields. All are within bounds. VM_OK or
 * VM_UNWIND with pending set; earlier pieces stay done. */
enum {
    BULK_STEP =
#ifdef HEMI_STRESS
        64
#else
        1 << 20
#endif
};
struct bulk {
    uint64_t left, at, len; /* bytes; the current piece is [at, at + len) */
    bool down, started;
};
/* `down`: from the end, for overlapping moves to a higher address. */
static inline struct bulk bulk_start(uint64_t bytes, bool down)
{
    return (struct bulk){.left = bytes, .at = down ? bytes : 0, .down = down};
}
/* Goes to the next piece, whose size is a multiple of 16 unless it touches the end. False: done, or pending is set. */
static inline bool bulk_next(struct bulk *b, struct store *s)
{
    if (b->left == 0) return false;
    if (b->started && store_poll(s) != VM_OK) return false;
    if (!b->down) b->at += b->len;
    CHECK_DEBUG(b->down ? b->at >= b->left : !b->started || b->len % 16 == 0, ".bulk");
    b->started = true;
    b->len = b->left < BULK_STEP ? b->left : BULK_STEP;
    b->left -= b->len;
    if (b->down) b->at = b->left;
    return true;
}
static inline uint32_t bulk_end(const struct store *s) { return s->vm.pending.status == HEMI_OK ? VM_OK : VM_UNWIND; }

uint32_t memory_move(struct memory *to, uint64_t at, const struct memory *from, uint64_t from_at, uint64_t n);
uint32_t memory_set(struct memory *m, uint64_t at, uint8_t byte, uint64_t n);
uint32_t memory_put(struct memory *m, uint64_t at, const uint8_t *bytes, uint64_t n);
uint32_t table_move(struct table *to, uint64_t at, const struct table *from, uint64_t from_at, uint64_t n);
/* Writes `bits`; a reference is read again from *bits after each poll. */
uint32_t table_set_all(struct table *t, uint64_t at, const uint32_t *bits, uint64_t n);
uint32_t table_put(struct table *t, uint64_t at, const struct elem_inst *e, uint64_t from, uint64_t n);
/* Grows by elements that are *bits, which is read again after each poll (.whole). LIMIT, NO_MEMORY or what a poll
 * answered: size and elements are as before. */
enum hemi_status table_extend(struct table *t, uint64_t delta, const uint32_t *bits);

/* ---- const_eval.c */
/* The value of a constant expression of `in`. TRAP... with *err filled in; may collect when it is CONST_CODE. Runs in
 * the current activation, which has no guest frame. */
enum hemi_status const_eval(struct instance *in, const struct const_expr *e, union val *out, struct rt_error *err);

/* ---- instance_init.c */
/* Runs everything that instantiation runs: globals, tables, segments, start function. */
enum hemi_status instance_initialise(struct instance *in, struct rt_error *err);
/* Empties a segment and gives its memory back. */
void elem_inst_drop(struct store *s, struct elem_inst *e);

#endif
