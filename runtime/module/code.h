/* runtime/module/code.h -- translated code: what translate/ writes, interp/ runs, and the collector's frame walk reads.
 *
 * Code is linear register code. It is immutable, belongs to its module, and holds module-local indices only: it is
 * independent of store, worker and machine run. An instruction is a 32-bit handler offset (from one anchor in the
 * handlers' text, so position-independent) followed by 16-bit operands and 32/64-bit immediates, all little-endian.
 *
 * Frames (.frame): 8-byte slots on the activation's VM stack, growing upwards.
 *     fp[-8]  {u32 site, u32 instance id} of the CALLER, written by the caller just before the call
 *     fp[0..) params, then other locals, then temporaries (the operand at stack height h lives in slot nlocals + h)
 * A call at a site with delta D makes the callee's fp = fp + D slots; the callee's slot 0.. are the caller's outgoing
 * arguments, and results come back in the same place. Slot D-1 (the 8 bytes below) is the callee's header.
 * References are u32, zero-extended, in slots known from the site's map (.map): the interpreter's r0 never holds one
 * over a safepoint. A v128 takes 2 slots.
 *
 * In the two memory schemes (.schemes) code differs in nothing but the handlers' offsets.
 *
 * Safepoints (.safepoint): every call, throw, allocation and loop head poll. Before one, the running body writes the
 * header {site, instance} at fp + D - 1 slot and sets vm->exit_fp = fp + D. */
#ifndef HEMI_RUNTIME_MODULE_CODE_H
#define HEMI_RUNTIME_MODULE_CODE_H

#include "proto/tables/limits.h"
#include <stdbool.h>
#include <stdint.h>

enum { SITE_ENTRY = 0, REGION_NONE = 0xFFFFFFFFu, SLOT_BYTES = 8, FRAME_SLOTS_MAX = WASM_MAX_FRAME_SLOTS };
/* No call's delta is smaller, in slots: it bounds the native stack that a full VM stack can use (a call handler's frame
 * for every VM_DELTA_MIN slots). */
enum { VM_DELTA_MIN = 4 };

/* One catch clause of a try_table, already resolved to code of the same function. */
struct catch_clause {
    uint8_t kind;  /* 0 catch, 1 catch_ref, 2 catch_all, 3 catch_all_ref (binary format) */
    uint32_t tag;  /* module-local tag index (catch, catch_ref) */
    uint32_t slot; /* first slot that receives the payload (and then the exnref) */
    uint32_t pc;   /* byte offset of the target in code->bytes */
};
/* A try_table's body: its clauses in order, and the region around it. */
struct region {
    uint32_t outer;        /* index into code->regions, or REGION_NONE */
    uint32_t first, count; /* clauses in code->clauses */
};

/* A safepoint. Site ids are module-wide (module->sites); 0 is SITE_ENTRY, the bottom of an activation. */
struct site {
    uint32_t func;   /* module function index (imports included) or SITE_CONST | n for constant expressions */
    uint32_t offset; /* byte offset of the instruction in the module */
    uint16_t delta;  /* slots from this frame's fp to the callee's fp */
    uint16_t nrefs;  /* live temporaries that are heap references ... */
    uint16_t nfuncs; /* ... and those that are function ids */
    uint32_t live;   /* index into module->live_slots: nrefs slot numbers, then nfuncs */
    uint32_t region; /* innermost try_table region, or REGION_NONE */
};
#define SITE_CONST 0x80000000u

struct vm;
struct instance;
struct memory;

/* The memory schemes (access.h): a set of handlers each (.schemes). */
enum scheme { SCHEME_EXPLICIT, SCHEME_GUARDED, SCHEME_COUNT };

/* The universal signature: every body, function entry and tier has it, so `musttail` is always legal.
 * Returns VM_OK, or VM_UNWIND with vm->pending saying why (trap, exception, cancellation...). */
#define VM_PARAMS const uint8_t *pc, char *fp, struct instance *in, struct vm *vm, struct memory *mem, uint64_t r0
#define VM_ARGS pc, fp, in, vm, mem, r0
enum vm_result { VM_OK = 0, VM_UNWIND = 1 };
typedef uint32_t (*vm_entry)(VM_PARAMS) __attribute__((preserve_none));

/* One function, translated. Frame maps of locals are here, of temporaries at each site. */
struct code {
    vm_entry entry;       /* how to start it; T0: runs from `bytes` */
    const uint8_t *bytes; /* NULL until translated */
    uint32_t size;
    uint32_t func;              /* module function index, or SITE_CONST | n */
    uint32_t type;              /* canonical id of its function type */
    uint16_t nparams, nresults; /* slots */
    uint16_t nlocals;           /* slots, params included */
    uint16_t frame_slots; /* locals + temporaries + room for outgoing headers; checked on entry against the limit */
    uint16_t nlocal_refs, nlocal_funcs;
    const uint16_t *local_refs; /* slots of locals that hold heap references, then those that hold function ids */
    const struct region *regions;
    const struct catch_clause *clauses;
    uint32_t nregions, nclauses;
    /* pc -> module byte offset, for traps: sorted by pc, one entry per instruction that can trap */
    const struct line {
        uint32_t pc, offset;
    } *lines;
    uint32_t nlines;
    void *block; /* what code_deinit frees: bytes and all tables are in one piece; NULL for host functions */
};

/* Where a pc in code is, in the module's bytes. */
uint32_t code_offset(const struct code *c, const uint8_t *pc);
void code_deinit(struct code *c);

#endif
