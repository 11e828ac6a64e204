/* runtime/code/vm.h -- the state that bodies, helpers, the collector and the store share while guest code runs.
 *
 * School: TRUSTED (our own state): asserted.
 * Invariants:
 *   .base    No heap base, memory base or table base is kept over a call, a yield or an allocation; all are reloaded
 *            through `vm`, `mem` or the instance.
 *   .exit    While C code that may allocate, call out or yield runs on behalf of a guest, vm->exit_fp is the callee fp
 *            of the innermost guest frame and the header below it names that frame's {site, instance}.
 *   .func    A function id is its instance's func_base plus the function's index among those it DEFINES; ids are handed
 *            out in blocks of FUNC_BLOCK, and 0 is null. An imported function keeps the id it has where it is defined.
 *   .pending VM_UNWIND is returned if and only if vm->pending.status is not HEMI_OK. */
#ifndef HEMI_RUNTIME_CODE_VM_H
#define HEMI_RUNTIME_CODE_VM_H

#include "proto/tables/status.h"
#include "proto/tables/traps.h"
#include "runtime/module/module.h"
#include "runtime/runtime.h"

enum { FUNC_BLOCK_SHIFT = 6, FUNC_BLOCK = 1 << FUNC_BLOCK_SHIFT };

/* A place in guest code: instance id, module function index (or SITE_CONST | n), byte offset in the module. */
struct place {
    uint32_t instance, func, offset;
};

/* Why a guest is being unwound. */
struct pending {
    enum hemi_status status; /* TRAP, EXCEPTION, EXIT, CANCELLED, ... */
    enum wasm_trap trap;
    uint32_t exn;      /* EXCEPTION: the exception object; a root */
    int32_t exit_code; /* EXIT */
    bool from_host;    /* a host function asked for it: its message stands */
};

/* A linear memory: `size` accessible bytes at the beginning of `reserved` bytes of address space. `base` changes when
 * it grows out of them (.base). A guarded one has MEMORY_GUARDED_BYTES and stays: an access of up to 64 KiB at any u32
 * + u32 that is not within `size` faults. */
#define MEMORY_GUARDED_BYTES ((UINT64_C(1) << 33) + (UINT64_C(1) << 16))
struct memory {
    uint8_t *base;
    uint64_t size;     /* bytes */
    uint64_t reserved; /* bytes of address space */
    uint64_t ahead;    /* of which the engine counts this (MEMORY_AHEAD_MAX) */
    uint64_t max_pages;
    struct limits type;
    bool guarded;
    struct store *store;
    struct memory *next; /* all of the store's */
};

struct table {
    uint32_t *elems; /* function ids or heap references, by `slot` */
    uint32_t size;
    uint32_t filling; /* elements behind the size that a grow under way has filled; those behind them are null */
    uint8_t slot;     /* enum heap_slot: HEAP_SLOT_REF or HEAP_SLOT_FUNC */
    valtype type;
    struct limits limits;
    uint32_t capacity;
    uint64_t mapped; /* bytes of the mapping at `elems`; 0: it is from malloc */
    struct store *store;
    struct table *next;
};

/* A global's cell. Bodies use `val` alone, at offset 0. */
struct global {
    union val val;
    valtype type;
    uint8_t slot; /* enum heap_slot */
    bool mut;
    struct store *store;
    struct global *next;
};

struct tag {
    uint32_t id;   /* index in store->tags: an exception object stores it */
    uint32_t type; /* canonical function type */
    uint32_t desc; /* descriptor of its exception objects */
    struct store *store;
    struct tag *next;
};

/* Exception object: header, u32 tag id, then the payload fields of its descriptor's layout. */
enum { EXN_TAG_OFFSET = 4 };

/* A segment's run-time state. Dropped: count 0. */
struct elem_inst {
    uint32_t *items;
    uint32_t count, room; /* items there are, and that there is memory for */
    uint8_t slot;
};
struct data_inst {
    const uint8_t *bytes;
    uint32_t size;
};

/* The functions of helpers.def have this type; vm_helpers (interp.c) lists them in its order. */
typedef uint32_t vm_helper(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b);

/* Hot part of a store; the first thing a body reaches for. */
struct vm {
    struct heap_mutator heap;
    char *stack_limit;             /* highest address a frame may end at, in the running activation */
    const volatile uint32_t *poll; /* non-zero: a slice ended or someone wants attention (shared by all stores) */
    char *exit_fp;                 /* .exit */
    struct store *store;
    const struct rtype *rtypes;    /* the engine's type table: rtypes[canonical id] */
    struct instance **func_blocks; /* func id >> FUNC_BLOCK_SHIFT -> instance */
    struct instance **instances;   /* instance id -> instance */
    struct pending pending;
    uint64_t *opcode_counts;   /* the engine's: opcode_counts[enum opcode]; NULL: not counted */
    vm_helper *const *helpers; /* vm_helpers: how stencils, which refer to nothing by address, reach them */
    void *(*move)(void *to, const void *from, size_t n); /* memmove and memset, for the same reason */
    void *(*set)(void *at, int byte, size_t n);
};
extern vm_helper *const vm_helpers[];

/* A module's instance, or a host function (then `module` is the pseudo-module of one function, `host` is set, and
 * defined function 0 is it). */
struct instance {
    struct vm *vm;
    struct memory *mem0; /* memory 0, or the store's empty memory when there is none */
    const struct module *module;
    const struct code *code;       /* by module function index (defined functions only): the module's in one scheme */
    const struct code *const_code; /* by index of constant expression, likewise */
    const uint32_t *types;         /* module->types */
    struct global **globals;
    struct table **tables;
    struct memory **memories;
    struct tag **tags;
    uint32_t *imported_funcs; /* function ids, nimported_funcs of them */
    struct elem_inst *elems;
    struct data_inst *datas;
    uint32_t id;        /* index in vm->instances */
    uint32_t func_base; /* .func */
    struct store *store;
    struct host_func *host; /* non-NULL: a host function */
};

static inline uint32_t func_id(const struct instance *in, uint32_t index)
{
    uint32_t n = in->module->nimported_funcs;
    return index < n ? in->imported_funcs[index] : in->func_base + (index - n);
}
static inline struct instance *func_instance(const struct vm *vm, uint32_t id)
{
    return vm->func_blocks[id >> FUNC_BLOCK_SHIFT];
}
/* The module function index, inside func_instance(vm, id), of the function with this id. */
static inline uint32_t func_index(const struct instance *in, uint32_t id)
{
    return id - in->func_base + in->module->nimported_funcs;
}
static inline const struct code *func_code(const struct vm *vm, uint32_t id)
{
    const struct instance *in = func_instance(vm, id);
    return &in->code[func_index(in, id)];
}

/* ---- Helpers that bodies call: see helpers.def. */
#define HELPER(name, file, what)                                                                                       \
    uint32_t rt_##name(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b);
#include "runtime/code/helpers.def"
#undef HELPER

/* Sets pending to a trap, begins a new trace (store.h .trace), and returns VM_UNWIND. With pc != NULL its first frame
 * is `in`'s function whose code holds pc, or the host function `in`; else the body that called the helper unwinds next,
 * and its site is the first frame. */
uint32_t vm_trap(struct vm *vm, struct instance *in, const uint8_t *pc, enum wasm_trap trap);
/* Sets pending to another status (LIMIT, CANCELLED, EXIT...), begins a new trace, and returns VM_UNWIND. */
uint32_t vm_stop(struct vm *vm, enum hemi_status status);
/* The frame of `in` that had stopped at `site` is being left: adds it to the trace and returns VM_UNWIND. */
uint32_t vm_leave(struct vm *vm, struct instance *in, uint32_t site);

/* ---- rebind.c */
/* Makes m->explicit_code, unless it is there or the module's code is explicit anyway. Polls. NO_MEMORY, or what a poll
 * returned. */
enum hemi_status module_explicit(struct module *m);

/* ---- Running: what interp/ implements. */
/* Runs `code` of instance `in` with its frame at fp (arguments in place, header below written by the caller). */
uint32_t vm_enter(struct vm *vm, struct instance *in, const struct code *code, char *fp);
/* The one-function code of host functions: calls rt_host_call and returns. Shared, immutable. */
void code_init_host(struct code *c, uint32_t type, uint16_t nparams, uint16_t nresults);

#endif
