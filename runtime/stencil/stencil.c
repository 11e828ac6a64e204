/* runtime/stencil/stencil.c -- the bodies in their second form: one function each, in a section of its own, with a hole
 * (the address of a symbol that nobody defines) for each field. A copy-and-patch compiler copies the function's bytes
 * and fills in the holes. Never linked into anything; check.c says whether every body kept to the rules.
 *
 * Holes: hole_slot_N and hole_u32_N for the fields at offset N (a slot as a byte offset in the frame), hole_u16_N;
 * hole_next, hole_taken, hole_poll (a loop's LOOP_POLL), hole_table (jumps to entry number r0 of the br_table's
 * targets), hole_trap_NAME, hole_unwind: code. */
#include "runtime/code/access.h"
#include "runtime/code/simd.h"
#include "runtime/code/vmops.h"

/* Hidden and weak: the address may be anything, also 0, so no comparison with it is decided at compile time, and it is
 * an absolute 32-bit value all the same. */
#define HOLE extern __attribute__((weak, visibility("hidden")))
#define OFFSETS(X) X(4) X(6) X(8) X(10) X(12) X(14) X(16) X(18) X(20) X(22) X(24) X(26) X(28) X(30)
#define X(n) HOLE char hole_slot_##n[], hole_u16_##n[], hole_u32_##n[];
OFFSETS(X)
#undef X

/* Offsets are constants of an enum, so the switches vanish. */
#define FINDER(kind)                                                                                                   \
    ALWAYS uintptr_t hole_##kind(int offset)                                                                           \
    {                                                                                                                  \
        switch (offset) {                                                                                              \
            OFFSETS(X)                                                                                                 \
        default:                                                                                                       \
            __builtin_unreachable();                                                                                   \
        }                                                                                                              \
    }
#define X(n)                                                                                                           \
    case n:                                                                                                            \
        return (uintptr_t)hole_slot_##n;
FINDER(slot)
#undef X
#define X(n)                                                                                                           \
    case n:                                                                                                            \
        return (uintptr_t)hole_u16_##n;
FINDER(u16)
#undef X
#define X(n)                                                                                                           \
    case n:                                                                                                            \
        return (uintptr_t)hole_u32_##n;
FINDER(u32)
#undef X

#define CODE_HOLE(name) extern VM_NONE uint32_t name(VM_PARAMS);
CODE_HOLE(hole_next)
CODE_HOLE(hole_taken)
CODE_HOLE(hole_poll)
CODE_HOLE(hole_table)
CODE_HOLE(hole_unwind)
#define X(name, number, text) CODE_HOLE(hole_trap_##name)
WASM_TRAPS(X)
#undef X

#define FIELD_SLOT(off) hole_slot(off)
#define FIELD_U16(off) ((uint32_t)hole_u16(off))
#define FIELD_U32(off) ((uint32_t)hole_u32(off))
#define FIELD_U64(off) ((uint64_t)FIELD_U32(off) | (uint64_t)FIELD_U32((off) + 4) << 32)
#define HELPER(name) vm->helpers[HELPER_##name]
#define HELPER_AT(index) vm->helpers[index]
#define GO(hole) VM_TAIL return hole(VM_ARGS)
#define NEXT(size) GO(hole_next)
#define BRANCH(off) GO(hole_taken)
#define BRANCH_POLL(off)                                                                                               \
    do {                                                                                                               \
        if (UNLIKELY(*vm->poll)) GO(hole_poll);                                                                        \
        GO(hole_taken);                                                                                                \
    } while (0)
#define TABLE_BRANCH(off, index)                                                                                       \
    do {                                                                                                               \
        uint32_t i_ = (index), n_ = FIELD_U32(off);                                                                    \
        r0 = i_ < n_ ? i_ : n_;                                                                                        \
        GO(hole_table);                                                                                                \
    } while (0)
#define TAIL_CALL(to, instance)                                                                                        \
    do {                                                                                                               \
        in = (instance);                                                                                               \
        mem = in->mem0;                                                                                                \
        pc = (to)->bytes;                                                                                              \
        vm_entry entry_ = (to)->entry;                                                                                 \
        VM_TAIL return entry_(VM_ARGS);                                                                                \
    } while (0)
#define TRAP(name) GO(hole_trap_##name)
#define UNWIND(site)                                                                                                   \
    do {                                                                                                               \
        r0 = (site);                                                                                                   \
        GO(hole_unwind);                                                                                               \
    } while (0)

#pragma clang diagnostic ignored "-Wunused-parameter" /* a body uses what it needs of VM_PARAMS */
#pragma clang diagnostic ignored "-Wmissing-prototypes"
#define HANDLER(id, size, ...) VM_NONE uint32_t stencil_##id(VM_PARAMS) __VA_ARGS__
#include "runtime/code/bodies.def"
