/* runtime/runtime.h -- the engine's public interface, used by server/ and tests/. Never sees a socket.
 *
 * Schools: bytes of modules are UNTRUSTED (an error with an offset comes back); arguments of this interface come from
 * our own server, which has checked kinds and ownership: they are asserted. A call's values are checked against its
 * type by the caller (server) for number and kind; reference TYPES (a concrete type wanted) are checked here and give
 * ARGUMENT.
 *
 * Ownership: engine > modules (counted) ; engine > stores > instances, functions, tables, memories, globals, tags:
 * these are borrowed pointers that live until the store is freed. References to heap objects are never handed out bare:
 * a struct root holds each (store.h .rooted): collections update it in place.
 * Threads: everything of one engine on one thread. Native stacks may differ: a call into the guest runs on whichever
 * native stack calls rt_call, on the VM stack given; while it runs it may call `yield`, which may switch native
 * stacks, but nobody else may use that STORE meanwhile except nested inside a host call. */
#ifndef HEMI_RUNTIME_RUNTIME_H
#define HEMI_RUNTIME_RUNTIME_H

#include "proto/tables/status.h"
#include "proto/tables/traps.h"
#include "runtime/module/module.h"
#include "runtime/types/types.h"
#include "runtime/types/val.h"

struct engine;
struct module;
struct store;
struct memory;
struct table;
struct instance;

/* What went wrong, and where. Plain data, no ownership. */
struct rt_error {
    enum hemi_status status;
    enum wasm_trap trap;
    uint64_t offset; /* byte offset in the module, when has_offset */
    bool has_offset;
    uint32_t func; /* module function index, when has_func */
    bool has_func;
    bool malformed; /* INVALID_MODULE, because the binary format is broken, not because validation failed */
    bool traced;    /* store_trace_* tell the frames of this failure */
    int32_t exit_code;
    char message[240]; /* names what and where, terminated; includes function name when known */
};

/* ---- Engine: one per worker. */
struct engine_options {
    /* Called at poll points of long work (validation, bulk operations, guest loops and calls when *poll is set,
     * collections). May switch to another fiber. HEMI_OK: go on; anything else (CANCELLED, DEADLINE, INTERRUPTED):
     * the work is unwound with it. During collections the result is ignored. NULL: never. */
    enum hemi_status (*yield)(void *ctx);
    void *ctx;
    const volatile uint32_t *poll; /* NULL: a flag that is never set */
    bool explicit_checks; /* bounds and nulls are compared; no page fault is ever relied on. Otherwise the first
                           * engine of the process handles SIGSEGV (faults.h) */
    /* A module that is being decoded declares n more types, which may be new ones or not. False: it is refused with
     * LIMIT. NULL: it may. */
    bool (*types_claim)(void *ctx, uint32_t n);
    /* A module takes `delta` bytes more: its own, and what it is decoded and translated to; at its end it gives all of
     * them back, and is gone. *payer is NULL at its first bytes and then what this has put there. False: it is refused
     * with NO_MEMORY. May switch to another fiber. NULL: it may. */
    bool (*module_charge)(void *ctx, void **payer, int64_t delta);
    void (*module_gone)(void *ctx, void *payer);
    bool canonical_nans; /* every NaN that arithmetic makes is the canonical one with sign 0 */
    bool count_opcodes;  /* executed instructions are counted by opcode */
};
enum hemi_status engine_new(const struct engine_options *opt, struct engine **out);
void engine_free(struct engine *e); /* all modules and stores must be gone */
/* What an engine holds. `types`: canonical types in use; `type_ids`: the most there ever were at once, and gaps. */
struct engine_stats {
    uint32_t modules, stores, types, type_ids;
};
struct engine_stats engine_get_stats(const struct engine *e);
/* Its type registry, as long as it lives. */
struct types *engine_types(const struct engine *e);
/* Are memories and nulls guarded by page faults where they can be? (access.h) */
bool engine_guarded(const struct engine *e);
/* With count_opcodes: how often each instruction was executed since the engine was made, by enum opcode, constant
 * expressions included; of END and ELSE, those that were run into, not those that a branch jumped over. Else NULL. */
const uint64_t *engine_opcode_counts(const struct engine *e);

/* ---- Modules */
/* Decodes, validates and translates. Copies the bytes. INVALID_MODULE, LIMIT, NO_MEMORY or what yield
 * returned. */
enum hemi_status module_new(struct engine *e, const uint8_t *bytes, size_t size, struct module **out,
                            struct rt_error *err);
/* The same without copying: the bytes, which are from malloc, are the module's from now on, and freed if there is none.
 */
enum hemi_status module_take(struct engine *e, uint8_t *bytes, size_t size, struct module **out, struct rt_error *err);
struct module *module_ref(struct module *m);
void module_unref(struct module *m); /* NULL is allowed */
/* The same in pieces (release.h): frees as much as *units allow, which it uses up. True: more is left, and it must be
 * called again until there is not. */
bool module_free_some(struct module *m, uint32_t *units);

/* The translated code of a function, by its index among all, as text: a line for the function, one for each
 * instruction, one for each region of handlers. Writes whole lines to [to, to + room) and says in *used how many bytes.
 * *at is 0 at first; what comes out goes on there, 0: that was all. `room` of MODULE_LINE_MAX holds any line. ARGUMENT:
 * no function of the module's own has that index, or *at is none that came out; NO_MEMORY. */
enum { MODULE_LINE_MAX = 1024 };
enum hemi_status module_list(const struct module *m, uint32_t func, uint32_t *at, char *to, size_t room, size_t *used);

/* The function that is exported under this name, or has it in the name section. False: none. */
bool module_find_func(const struct module *m, const char *name, size_t len, uint32_t *func);

/* ---- Values with their type, and roots */
struct rt_val {
    valtype type;
    union val val;
};
/* A root: one reference kept alive and up to date. Embedded by its owner; linked into the store. */
struct root {
    struct root *prev, *next;
    uint32_t bits; /* heap reference, or function id when slot is HEAP_SLOT_FUNC */
    uint8_t slot;
};
void root_init(struct store *s, struct root *r, enum heap_slot slot, uint32_t bits);
void root_deinit(struct root *r); /* idempotent */

/* ---- Stores */
/* What messages call the limits of a store; NULL: as the specification does. */
struct store_limit_names {
    const char *heap, *stack, *memory, *table, *instances;
};
struct store_options {
    struct store_limit_names names;
    uint64_t heap_limit;     /* bytes; 0 = default 256 MiB */
    uint64_t memory_limit;   /* bytes of all linear memories together; 0 = default 4 GiB */
    uint64_t table_limit;    /* elements of all tables; 0 = default 10,000,000 */
    uint32_t instance_limit; /* 0 = default 10,000 */
    uint32_t gc_stress;      /* heap_options.stress_every */
    uint32_t gc_growth;      /* heap_options.growth_percent; 0 = default */
    void *ctx;
    void (*extern_dead)(void *ctx, uint64_t id);
    bool (*charge)(void *ctx, int64_t delta); /* memory budget wider than the store */
    /* The same for mappings of the kernel's, of which a process has a limited number. NULL: any number */
    bool (*map)(void *ctx, int32_t delta);
};
enum hemi_status store_new(struct engine *e, const struct store_options *opt, struct store **out);
void store_free(struct store *s); /* no activation may be running; reports remaining externrefs dead */
/* The same in pieces, as module_free_some. What is freed is returned to `charge` as it goes. */
bool store_free_some(struct store *s, uint32_t *units);
void store_collect(struct store *s);
void store_trim(struct store *s);
bool store_trim_some(struct store *s, uint32_t *units); /* in pieces; the store may be used between them */
/* heap_verify and our own tables. `walk` may be NULL. */
bool store_verify(struct store *s, struct heap_walk *walk, char *why, size_t len);
struct store_stats {
    struct heap_stats heap;
    uint64_t memory_bytes;
    uint32_t instances;
    uint64_t host_calls;
};
void store_get_stats(const struct store *s, struct store_stats *out);

/* Says which limit does not allow what failed with LIMIT: a new memory or table of `min` pages or elements (`old`
 * NULL), or growth by so many. HEMI_LIMIT. */
enum hemi_status memory_explain(const struct store *s, const struct memory *old, uint64_t pages, struct rt_error *err);
enum hemi_status table_explain(const struct store *s, const struct table *old, uint64_t elements, struct rt_error *err);

/* Makes or finds the externref with this host id (identity: same id, same live object). HEAP exhaustion: NO_MEMORY. */
enum hemi_status store_extern(struct store *s, uint64_t id, struct root *out /* initialised by this call */);
/* Is it an extern made by store_extern? Then its id. */
bool store_extern_id(const struct store *s, uint32_t ref_bits, uint64_t *id);
/* Dynamic type test of a reference value (nulls, i31, externs, objects, functions). */
bool store_ref_is(const struct store *s, union val v, valtype t);
/* The most precise static type of a reference value, for display and class. */
valtype store_ref_type(const struct store *s, union val v, enum heap_slot slot);

/* ---- What instances import and export */
struct rt_extern {
    uint8_t kind; /* enum extern_kind */
    union {
        uint32_t func; /* function id */
        struct table *table;
        struct memory *memory;
        struct global *global;
        struct tag *tag;
    };
};
/* A VM stack for one activation: `size` bytes at `base`, writable, 16-byte aligned. The caller owns it. */
struct vm_stack {
    char *base;
    size_t size;
};

/* Does what is offered match import i? LINK with module, name and both types if not. */
enum hemi_status import_check(struct store *s, const struct module *m, uint32_t i, const struct rt_extern *x,
                              struct rt_error *err);
/* "import 3 "env" "print" (func): wanted (func (param i32))", terminated, cut where it does not fit. */
void import_describe(const struct module *m, uint32_t i, char *out, size_t size);

/* Instantiates: checks imports (LINK names module, name and both types), evaluates initialisers (may collect), copies
 * segments, runs the start function. On failure after side effects the instance stays alive unreachable, as the
 * specification wants for what it has already written. imports: one per module->imports. */
enum hemi_status instance_new(struct store *s, struct module *m, const struct rt_extern *imports, struct vm_stack stack,
                              struct instance **out, struct rt_error *err);
bool instance_export(struct instance *in, const char *name, size_t len, struct rt_extern *out);
uint32_t instance_export_count(const struct instance *in);
void instance_export_at(struct instance *in, uint32_t i, struct name *name, struct rt_extern *out);
const struct module *instance_module(const struct instance *in);

/* ---- Functions */
const struct rtype *func_type(struct store *s, uint32_t func, uint32_t *type_id /* may be NULL */);
/* Calls. args/results are in the order of the function type; reference arguments must be kept alive by roots of the
 * caller until this call starts; reference results are valid until the next thing that may collect: root them at once.
 * TRAP, EXCEPTION (err->message names the tag), EXIT, LIMIT, or what yield or a host function returned.
 * Nesting: legal inside a host function of the same store, on another vm_stack. */
enum hemi_status rt_call(struct store *s, uint32_t func, const union val *args, union val *results,
                         struct vm_stack stack, struct rt_error *err);
/* A host function. `call` runs on the guest's native stack and may switch away from it. It reads args, writes results;
 * bits of references in args are valid until anything may collect, so root them first. Returns HEMI_OK, or a status
 * with which the guest is unwound: TRAP (HOST_TRAP), EXIT with *exit_code, CANCELLED, ... `drop` is called when the
 * store is freed. */
struct host_func_options {
    void *ctx;
    enum hemi_status (*call)(void *ctx, struct store *s, struct instance *caller, const union val *args,
                             union val *results, struct rt_error *err);
    void (*drop)(void *ctx);
};
/* The backtrace of the last failure of this store whose error is `traced`, innermost first; valid until guest code of
 * the store runs again. Where a tail call replaced a frame, that frame is missing. */
struct trace_entry {
    uint8_t kind;             /* enum trace_kind */
    uint32_t instance;        /* FUNC, CONST, HOST: a number of the instance, unique in the store */
    uint32_t index;           /* FUNC: module function index. CONST: of the expression. MORE: how many frames */
    uint64_t offset;          /* FUNC, CONST: byte offset of the instruction in the module */
    struct name module, name; /* borrowed; at == NULL: it has none */
};
uint32_t store_trace_count(const struct store *s); /* at most TRACE_ENTRIES_MAX */
void store_trace_entry(const struct store *s, uint32_t i, struct trace_entry *out);
/* The exception with which the last call that ended with EXCEPTION did so; 0: none. Root it at once: outside of calls
 * the next collection forgets it. */
uint32_t store_thrown(const struct store *s);
/* What a host function that is about to return EXCEPTION throws. */
void store_throw(struct store *s, uint32_t exn);
enum hemi_status host_func_new(struct store *s, const valtype *vals, uint32_t nparams, uint32_t nresults,
                               const struct host_func_options *opt, uint32_t *func);
/* How many different types its host functions have; a type stays until the store ends. */
uint32_t store_host_types(const struct store *s);
enum hemi_status host_func_new_typed(struct store *s, uint32_t type_id, const struct host_func_options *opt,
                                     uint32_t *func);

/* ---- Memories, globals, tables, tags. Offsets and counts are checked here: ARGUMENT with a message on failure. */
enum hemi_status memory_new(struct store *s, const struct limits *l, struct memory **out);
uint64_t memory_pages(const struct memory *m);
const struct limits *memory_type(const struct memory *m);
enum hemi_status memory_grow(struct memory *m, uint64_t delta, uint64_t *old_pages); /* LIMIT or NO_MEMORY: unchanged */
enum hemi_status memory_read(const struct memory *m, uint64_t at, void *to, size_t n);
enum hemi_status memory_write(struct memory *m, uint64_t at, const void *from, size_t n);
enum hemi_status global_new(struct store *s, valtype type, bool mut, union val init, struct global **out);
enum hemi_status global_set(struct global *g, union val v); /* ARGUMENT when immutable or of another type */
valtype global_type(const struct global *g, bool *mut);
union val global_get(const struct global *g);
enum hemi_status table_new(struct store *s, valtype type, const struct limits *l, union val init, struct table **out);
valtype table_type(const struct table *t, struct limits *l);
uint32_t table_size(const struct table *t);
enum hemi_status table_get(const struct table *t, uint64_t i, union val *out);
enum hemi_status table_set(struct table *t, uint64_t i, union val v);
enum hemi_status table_grow(struct table *t, uint64_t delta, union val init, uint32_t *old);
enum hemi_status tag_new(struct store *s, uint32_t func_type, struct tag **out);
uint32_t tag_type(const struct tag *t); /* canonical function type */

#endif
