/* runtime/code/access.h -- how bodies reach memory 0 and the fields of objects: the two memory schemes.
 *
 * Explicit: an address is compared with the memory's size, a reference with null. It works for every memory and on
 * every machine, and needs no signal.
 *
 * Guarded (BODIES_GUARDED; x86-64): nothing is compared; what lies outside faults. A guarded memory has so much address
 * space that any u32 + u32 lies in it (vm.h MEMORY_GUARDED_BYTES), and whatever is at most a structure's size away from
 * null lies in the heap's null page. The access is a single instruction in an `asm goto`, which leaves a row {address
 * of the instruction, address of the trap} in the section hemi_faults, both relative to their own places; a fault at
 * the one goes on at the other (faults.h). The trap looks at where the fault was before it believes it (FAULT).
 *
 *   LOAD_MEMORY(tr, ctype, to, address)            the ctype at address + the u32 at IMM, as a T_tr; or MEMORY_BOUNDS
 *   STORE_MEMORY(ctype, address, value)
 *   LOAD_OBJECT(tr, ctype, to, ref, offset, trap)  of the object `ref`, or traps if that is null
 *   STORE_OBJECT(ctype, ref, offset, value, trap)
 *
 * The effective address is computed in 64 bits, so it cannot wrap. `value` has at most 32 bits unless ctype has 64. */
#ifndef HEMI_RUNTIME_CODE_ACCESS_H
#define HEMI_RUNTIME_CODE_ACCESS_H

#include "runtime/code/bodies.h"

#define MEMORY_ADDRESS(address) ((uint64_t)(address) + FIELD_U32(IMM))

#ifndef BODIES_GUARDED

#define MEMORY_ACCESS(at, address, width)                                                                              \
    uint64_t ea_ = MEMORY_ADDRESS(address);                                                                            \
    if (UNLIKELY(ea_ + (width) > mem->size)) TRAP(MEMORY_BOUNDS);                                                      \
    uint8_t *at = mem->base + ea_
#define LOAD_MEMORY(tr, ctype, to, address)                                                                            \
    do {                                                                                                               \
        ctype v_;                                                                                                      \
        MEMORY_ACCESS(at_, address, sizeof v_);                                                                        \
        __builtin_memcpy(&v_, at_, sizeof v_);                                                                         \
        to = (T_##tr)v_;                                                                                               \
    } while (0)
#define STORE_MEMORY(ctype, address, value)                                                                            \
    do {                                                                                                               \
        ctype v_ = (ctype)(value);                                                                                     \
        MEMORY_ACCESS(at_, address, sizeof v_);                                                                        \
        __builtin_memcpy(at_, &v_, sizeof v_);                                                                         \
    } while (0)
#define LOAD_OBJECT(tr, ctype, to, ref, offset, trap)                                                                  \
    do {                                                                                                               \
        ctype v_;                                                                                                      \
        if (UNLIKELY((ref) == 0)) TRAP(trap);                                                                          \
        __builtin_memcpy(&v_, HEAP(ref, offset), sizeof v_);                                                           \
        to = (T_##tr)v_;                                                                                               \
    } while (0)
#define STORE_OBJECT(ctype, ref, offset, value, trap)                                                                  \
    do {                                                                                                               \
        ctype v_ = (ctype)(value);                                                                                     \
        if (UNLIKELY((ref) == 0)) TRAP(trap);                                                                          \
        __builtin_memcpy(HEAP(ref, offset), &v_, sizeof v_);                                                           \
    } while (0)

#else

/* What loads a ctype as a T_tr; the upper half of the register is zero for types of 32 bits. */
#define ASM_LOAD_i_uint8_t "movzbl %[at], %k[to]"
#define ASM_LOAD_i_int8_t "movsbl %[at], %k[to]"
#define ASM_LOAD_i_uint16_t "movzwl %[at], %k[to]"
#define ASM_LOAD_i_int16_t "movswl %[at], %k[to]"
#define ASM_LOAD_i_uint32_t "movl %[at], %k[to]"
#define ASM_LOAD_I_uint8_t "movzbl %[at], %k[to]"
#define ASM_LOAD_I_int8_t "movsbq %[at], %[to]"
#define ASM_LOAD_I_uint16_t "movzwl %[at], %k[to]"
#define ASM_LOAD_I_int16_t "movswq %[at], %[to]"
#define ASM_LOAD_I_uint32_t "movl %[at], %k[to]"
#define ASM_LOAD_I_int32_t "movslq %[at], %[to]"
#define ASM_LOAD_I_uint64_t "movq %[at], %[to]"
#define ASM_LOAD_D_uint64_t "movq %[at], %[to]"
#define ASM_LOAD_v_T_v "movups %[at], %[to]"
#define ASM_STORE_uint8_t "movb %b[from], %[at]"
#define ASM_STORE_uint16_t "movw %w[from], %[at]"
#define ASM_STORE_uint32_t "movl %k[from], %[at]"
#define ASM_STORE_uint64_t "movq %[from], %[at]"
#define ASM_STORE_T_v "movups %[from], %[at]"
/* The register that has it: what it is in C, its class in assembly, and what is known of its value. */
#define WORD_i uint64_t
#define WORD_I uint64_t
#define WORD_D uint64_t
#define WORD_v T_v
#define CLASS_i "r"
#define CLASS_I "r"
#define CLASS_D "r"
#define CLASS_v "x"
#define CLASS_uint8_t "r"
#define CLASS_uint16_t "r"
#define CLASS_uint32_t "r"
#define CLASS_uint64_t "r"
#define CLASS_T_v "x"
#define KNOWN_i(word) ((word) <= UINT32_MAX)
#define KNOWN_I(word) true
#define KNOWN_D(word) true
#define KNOWN_v(word) true

#define FAULTING(insn)                                                                                                 \
    "1: " insn "\n"                                                                                                    \
    ".pushsection hemi_faults,\"a\",@progbits\n"                                                                       \
    ".balign 4\n"                                                                                                      \
    ".long 1b - .\n"                                                                                                   \
    ".long %l[fault_] - .\n"                                                                                           \
    ".popsection"
/* An operand in memory: n bytes of any alignment. */
#define BYTES_AT(at, n) (*(uint8_t(*)[n])(void *)(at))
/* r0 is not wanted any more: so it is no reason to load into another register. */
#define FAULT_LABEL(trap)                                                                                              \
    if (0) {                                                                                                           \
    fault_:                                                                                                            \
        r0 = 0;                                                                                                        \
        FAULT(trap);                                                                                                   \
    }
#define GUARDED_LOAD(tr, ctype, result, address, trap)                                                                 \
    do {                                                                                                               \
        __label__ fault_;                                                                                              \
        WORD_##tr bits_;                                                                                               \
        asm goto(FAULTING(ASM_LOAD_##tr##_##ctype)                                                                     \
                 : [to] "=" CLASS_##tr(bits_)                                                                          \
                 : [at] "m"(BYTES_AT(address, sizeof(ctype)))                                                          \
                 :                                                                                                     \
                 : fault_);                                                                                            \
        __builtin_assume(KNOWN_##tr(bits_));                                                                           \
        result = (T_##tr)bits_;                                                                                        \
        FAULT_LABEL(trap);                                                                                             \
    } while (0)
#define GUARDED_STORE(ctype, address, value, trap)                                                                     \
    do {                                                                                                               \
        __label__ fault_;                                                                                              \
        ctype v_ = (ctype)(value);                                                                                     \
        asm goto(FAULTING(ASM_STORE_##ctype)                                                                           \
                 :                                                                                                     \
                 : [at] "m"(BYTES_AT(address, sizeof(ctype))), [from] CLASS_##ctype(v_)                                \
                 : "memory"                                                                                            \
                 : fault_);                                                                                            \
        FAULT_LABEL(trap);                                                                                             \
    } while (0)
#define LOAD_MEMORY(tr, ctype, to, address)                                                                            \
    GUARDED_LOAD(tr, ctype, to, mem->base + MEMORY_ADDRESS(address), MEMORY_BOUNDS)
#define STORE_MEMORY(ctype, address, value)                                                                            \
    GUARDED_STORE(ctype, mem->base + MEMORY_ADDRESS(address), value, MEMORY_BOUNDS)
#define LOAD_OBJECT(tr, ctype, to, ref, offset, trap) GUARDED_LOAD(tr, ctype, to, HEAP(ref, offset), trap)
#define STORE_OBJECT(ctype, ref, offset, value, trap) GUARDED_STORE(ctype, HEAP(ref, offset), value, trap)

#endif
#endif
