/* runtime/code/bodies_rows.h -- turns the rows of bodies.def into HANDLER(id, size, body): one per variant of a row.
 *
 * Included by bodies.def alone, so without a guard. The includer of that defines HANDLER and, unless it drops the body,
 * the accessors below: the interpreter reads the fields of the instruction at pc, a stencil has a hole for each. So a
 * body is written once and compiled in both forms.
 *
 *   FIELD_SLOT(off)  byte offset in the frame of the slot that the u16 at pc + off names
 *   FIELD_U16(off), FIELD_U32(off), FIELD_U64(off)
 *   NEXT(size)       go on behind this instruction
 *   BRANCH(off)      go where the s32 at pc + off says, relative to pc
 *   BRANCH_POLL(off) the same, to a loop's head: through its poll if one is due
 *   TABLE_BRANCH(n, i) go where the i-th of the n s32 at the end of the instruction says
 *   TAIL_CALL(code, instance)
 *   TRAP(name), UNWIND(site); FAULT(name): a trap because of a fault (access.h)
 *   HELPER(name)     the function rt_name
 *
 * An instruction is {s32 handler, u16 d, operands, immediates}. Operands are S (u16: a slot), R (nothing: the register
 * r0) or C (a constant; 4 bytes, or 8 for the types F and D). Types: i u32, I u64, f float, F double, D raw 64 bits. A
 * result goes to R or S (slot d); the S variant of a handler directly follows its R variant, which is what lets the
 * translator change its mind about an instruction already emitted, and leaves the result in r0, too. Every instruction
 * has the field d.
 *
 * In bodies: a, b, c are the operands, r the result, IMM the offset of the immediates, and the names of VM_PARAMS. */

/* UNARY(name, tr, ta, flags, body): r of type tr from a. Variants S, R x R, S. _INNER: not named after an opcode, and
 * with `imm` bytes of immediates. */
#define UNARY(name, tr, ta, flags, ...) UNARY_INNER(name, tr, ta, 0, __VA_ARGS__)
#define UNARY_INNER(name, tr, ta, imm, ...)                                                                            \
    UNARY_DESTS(name, S, tr, ta, imm, __VA_ARGS__)                                                                     \
    UNARY_DESTS(name, R, tr, ta, imm, __VA_ARGS__)
#define UNARY_DESTS(name, ka, tr, ta, imm, ...)                                                                        \
    UNARY_ONE(name, ka, R, tr, ta, imm, __VA_ARGS__)                                                                   \
    UNARY_ONE(name, ka, S, tr, ta, imm, __VA_ARGS__)
#define UNARY_ONE(name, ka, kd, tr, ta, imm, ...)                                                                      \
    HANDLER(name##_##ka##_##kd, AT_A + SZ_##ka##_##ta + (imm), {                                                       \
        enum { IMM = AT_A + SZ_##ka##_##ta };                                                                          \
        T_##ta a = READ_##ka##_##ta(AT_A);                                                                             \
        T_##tr r;                                                                                                      \
        __VA_ARGS__;                                                                                                   \
        RESULT_##kd(BITS_##tr(r));                                                                                     \
        NEXT(IMM + (imm));                                                                                             \
    })

/* NULLARY_INNER(name, tr, imm, body): a result from nothing but immediates. Variants R, S. */
#define NULLARY_INNER(name, tr, imm, ...)                                                                              \
    NULLARY_ONE(name, R, tr, imm, __VA_ARGS__)                                                                         \
    NULLARY_ONE(name, S, tr, imm, __VA_ARGS__)
#define NULLARY_ONE(name, kd, tr, imm, ...)                                                                            \
    HANDLER(name##_##kd, AT_A + (imm), {                                                                               \
        enum { IMM = AT_A };                                                                                           \
        T_##tr r;                                                                                                      \
        __VA_ARGS__;                                                                                                   \
        RESULT_##kd(BITS_##tr(r));                                                                                     \
        NEXT(IMM + (imm));                                                                                             \
    })

/* BINARY(name, tr, ta, tb, flags, body): r from a and b. Variants SS SC RS SR RC x R, S. */
#define BINARY(name, tr, ta, tb, flags, ...) BINARY_INNER(name, tr, ta, tb, 0, __VA_ARGS__)
#define BINARY_INNER(name, tr, ta, tb, imm, ...)                                                                       \
    BINARY_DESTS(name, S, S, tr, ta, tb, imm, __VA_ARGS__)                                                             \
    BINARY_DESTS(name, S, C, tr, ta, tb, imm, __VA_ARGS__)                                                             \
    BINARY_DESTS(name, R, S, tr, ta, tb, imm, __VA_ARGS__)                                                             \
    BINARY_DESTS(name, S, R, tr, ta, tb, imm, __VA_ARGS__)                                                             \
    BINARY_DESTS(name, R, C, tr, ta, tb, imm, __VA_ARGS__)
#define BINARY_DESTS(name, ka, kb, tr, ta, tb, imm, ...)                                                               \
    BINARY_ONE(name, ka, kb, R, tr, ta, tb, imm, __VA_ARGS__)                                                          \
    BINARY_ONE(name, ka, kb, S, tr, ta, tb, imm, __VA_ARGS__)
#define BINARY_ONE(name, ka, kb, kd, tr, ta, tb, imm, ...)                                                             \
    HANDLER(name##_##ka##kb##_##kd, AT_A + SZ_##ka##_##ta + SZ_##kb##_##tb + (imm), {                                  \
        enum { AT_B = AT_A + SZ_##ka##_##ta, IMM = AT_B + SZ_##kb##_##tb };                                            \
        T_##ta a = READ_##ka##_##ta(AT_A);                                                                             \
        T_##tb b = READ_##kb##_##tb(AT_B);                                                                             \
        T_##tr r;                                                                                                      \
        __VA_ARGS__;                                                                                                   \
        RESULT_##kd(BITS_##tr(r));                                                                                     \
        NEXT(IMM + (imm));                                                                                             \
    })

/* COMPARE(name, t, inverse, swapped, condition): as BINARY with result i32, then for each of the five kinds the
 * branches taken if it holds (BT), if it does not (BF), and both to the head of a loop (BTL, BFL). `inverse` is the
 * comparison that holds when this one does not, `swapped` the one for exchanged operands, or OP_COUNT. */
#define COMPARE(name, t, inverse, swapped, ...)                                                                        \
    BINARY_INNER(name, i, t, t, 0, r = (__VA_ARGS__))                                                                  \
    COMPARE_BRANCHES(name, S, S, t, __VA_ARGS__)                                                                       \
    COMPARE_BRANCHES(name, S, C, t, __VA_ARGS__)                                                                       \
    COMPARE_BRANCHES(name, R, S, t, __VA_ARGS__)                                                                       \
    COMPARE_BRANCHES(name, S, R, t, __VA_ARGS__)                                                                       \
    COMPARE_BRANCHES(name, R, C, t, __VA_ARGS__)
#define COMPARE_BRANCHES(name, ka, kb, t, ...)                                                                         \
    COMPARE_BRANCH(name##_##ka##kb##_BT, ka, kb, t, BRANCH, (__VA_ARGS__))                                             \
    COMPARE_BRANCH(name##_##ka##kb##_BF, ka, kb, t, BRANCH, !(__VA_ARGS__))                                            \
    COMPARE_BRANCH(name##_##ka##kb##_BTL, ka, kb, t, BRANCH_POLL, (__VA_ARGS__))                                       \
    COMPARE_BRANCH(name##_##ka##kb##_BFL, ka, kb, t, BRANCH_POLL, !(__VA_ARGS__))
#define COMPARE_BRANCH(id, ka, kb, t, branch, ...)                                                                     \
    HANDLER(id, AT_A + SZ_##ka##_##t + SZ_##kb##_##t + 4, {                                                            \
        enum { AT_B = AT_A + SZ_##ka##_##t, IMM = AT_B + SZ_##kb##_##t };                                              \
        T_##t a = READ_##ka##_##t(AT_A);                                                                               \
        T_##t b = READ_##kb##_##t(AT_B);                                                                               \
        if (__VA_ARGS__) branch(IMM);                                                                                  \
        NEXT(IMM + 4);                                                                                                 \
    })

/* TEST(name, t, condition): as UNARY with result i32, then for each of S, R the four branches. */
#define TEST(name, t, ...) TEST_INNER(name, t, 0, __VA_ARGS__)
#define TEST_INNER(name, t, imm, ...)                                                                                  \
    UNARY_INNER(name, i, t, imm, r = (__VA_ARGS__))                                                                    \
    TEST_BRANCHES(name, S, t, imm, __VA_ARGS__)                                                                        \
    TEST_BRANCHES(name, R, t, imm, __VA_ARGS__)
#define TEST_BRANCHES(name, ka, t, imm, ...)                                                                           \
    TEST_BRANCH(name##_##ka##_BT, ka, t, imm, BRANCH, (__VA_ARGS__))                                                   \
    TEST_BRANCH(name##_##ka##_BF, ka, t, imm, BRANCH, !(__VA_ARGS__))                                                  \
    TEST_BRANCH(name##_##ka##_BTL, ka, t, imm, BRANCH_POLL, (__VA_ARGS__))                                             \
    TEST_BRANCH(name##_##ka##_BFL, ka, t, imm, BRANCH_POLL, !(__VA_ARGS__))
#define TEST_BRANCH(id, ka, t, imm, branch, ...)                                                                       \
    HANDLER(id, AT_A + SZ_##ka##_##t + (imm) + 4, {                                                                    \
        enum { IMM = AT_A + SZ_##ka##_##t };                                                                           \
        T_##t a = READ_##ka##_##t(AT_A);                                                                               \
        if (__VA_ARGS__) branch(IMM + (imm));                                                                          \
        NEXT(IMM + (imm) + 4);                                                                                         \
    })

/* STEP(name, condition): an I32_ADD_SC_S, then the branches of the comparison `name`, whose first operand is the sum:
 * with a slot or a constant b. The sum is stored before b is read. */
#define STEP(name, ...)                                                                                                \
    STEP_BRANCHES(STEP_##name##_S, S, __VA_ARGS__)                                                                     \
    STEP_BRANCHES(STEP_##name##_C, C, __VA_ARGS__)
#define STEP_BRANCHES(id, kb, ...)                                                                                     \
    STEP_BRANCH(id##_BT, kb, BRANCH, (__VA_ARGS__))                                                                    \
    STEP_BRANCH(id##_BF, kb, BRANCH, !(__VA_ARGS__))                                                                   \
    STEP_BRANCH(id##_BTL, kb, BRANCH_POLL, (__VA_ARGS__))                                                              \
    STEP_BRANCH(id##_BFL, kb, BRANCH_POLL, !(__VA_ARGS__))
#define STEP_BRANCH(id, kb, branch, ...)                                                                               \
    HANDLER(id, AT_A + SZ_S_i + SZ_C_i + SZ_##kb##_i + 4, {                                                            \
        enum { AT_STEP = AT_A + SZ_S_i, AT_B = AT_STEP + SZ_C_i, IMM = AT_B + SZ_##kb##_i };                           \
        uint32_t a = READ_S_i(AT_A) + READ_C_i(AT_STEP);                                                               \
        PUT_S(BITS_i(a));                                                                                              \
        uint32_t b = READ_##kb##_i(AT_B);                                                                              \
        if (__VA_ARGS__) branch(IMM);                                                                                  \
        NEXT(IMM + 4);                                                                                                 \
    })

/* SHIFTED(name, t, body): r from a, shifted by the constant n, and b, in place of a shift and a commuting operation.
 * Variants a S, R x b S, C x R, S. */
#define SHIFTED(name, t, ...)                                                                                          \
    SHIFTED_DESTS(name, S, S, t, __VA_ARGS__)                                                                          \
    SHIFTED_DESTS(name, S, C, t, __VA_ARGS__)                                                                          \
    SHIFTED_DESTS(name, R, S, t, __VA_ARGS__)                                                                          \
    SHIFTED_DESTS(name, R, C, t, __VA_ARGS__)
#define SHIFTED_DESTS(name, ka, kb, t, ...)                                                                            \
    SHIFTED_ONE(name, ka, kb, R, t, __VA_ARGS__)                                                                       \
    SHIFTED_ONE(name, ka, kb, S, t, __VA_ARGS__)
#define SHIFTED_ONE(name, ka, kb, kd, t, ...)                                                                          \
    HANDLER(name##_##ka##kb##_##kd, AT_A + SZ_##ka##_##t + SZ_C_i + SZ_##kb##_##t, {                                   \
        enum { AT_N = AT_A + SZ_##ka##_##t, AT_B = AT_N + SZ_C_i, IMM = AT_B + SZ_##kb##_##t };                        \
        uint32_t n = READ_C_i(AT_N);                                                                                   \
        T_##t a = READ_##ka##_##t(AT_A), b = READ_##kb##_##t(AT_B), r;                                                 \
        __VA_ARGS__;                                                                                                   \
        RESULT_##kd(BITS_##t(r));                                                                                      \
        NEXT(IMM);                                                                                                     \
    })

/* LOAD(name, tr, ctype): of memory 0, with 32-bit addresses, at a + u32. Variants S, R, C x R, S. (3.0: 4.4.10.)
 * Then ANY x R, S: of any memory, a being a slot. Then SUM x the kinds of BINARY: at a + b modulo 2^32, plus u32, in
 * place of an I32_ADD and a load. */
#define LOAD(name, tr, ctype)                                                                                          \
    LOAD_DESTS(name, S, tr, ctype)                                                                                     \
    LOAD_DESTS(name, R, tr, ctype)                                                                                     \
    LOAD_DESTS(name, C, tr, ctype)                                                                                     \
    LOAD_ANY(name, R, tr, ctype)                                                                                       \
    LOAD_ANY(name, S, tr, ctype)                                                                                       \
    BINARY_INNER(name##_SUM, tr, i, i, 4, LOAD_MEMORY(tr, ctype, r, a + b))
#define LOAD_DESTS(name, ka, tr, ctype)                                                                                \
    LOAD_ONE(name, ka, R, tr, ctype)                                                                                   \
    LOAD_ONE(name, ka, S, tr, ctype)
#define LOAD_ONE(name, ka, kd, tr, ctype) UNARY_ONE(name, ka, kd, tr, i, 4, LOAD_MEMORY(tr, ctype, r, a))
#define LOAD_ANY(name, kd, tr, ctype)                                                                                  \
    UNARY_ONE(name##_ANY, S, kd, tr, I, 12, {                                                                          \
        ctype v;                                                                                                       \
        MEMORY_ACCESS_ANY(at, a, sizeof v);                                                                            \
        __builtin_memcpy(&v, at, sizeof v);                                                                            \
        r = (T_##tr)v;                                                                                                 \
    })
/* The general access, explicit in both schemes of access.h: immediates u32 memory, u64 offset; the address is 64 bits
 * wide (an i32 in a slot is zero-extended). */
#define MEMORY_ACCESS_ANY(at, address, width)                                                                          \
    const struct memory *any_ = in->memories[FIELD_U32(IMM)];                                                          \
    uint64_t ea_;                                                                                                      \
    bool wraps_ = __builtin_add_overflow(address, FIELD_U64(IMM + 4), &ea_);                                           \
    if (UNLIKELY(wraps_ || any_->size < (width) || ea_ > any_->size - (width))) TRAP(MEMORY_BOUNDS);                   \
    uint8_t *at = any_->base + ea_

/* STORE(name, tb, ctype): b to memory 0 at a + u32. Variants SS SC RS SR RC CS CR CC; ANY: to any memory, from slots.
 * Then SUM x SS SC RS SR RC x S, C: c to a + b modulo 2^32, plus u32, in place of an I32_ADD and a store. */
#define STORE(name, tb, ctype)                                                                                         \
    STORE_ONE(name, S, S, tb, ctype)                                                                                   \
    STORE_ONE(name, S, C, tb, ctype)                                                                                   \
    STORE_ONE(name, R, S, tb, ctype)                                                                                   \
    STORE_ONE(name, S, R, tb, ctype)                                                                                   \
    STORE_ONE(name, R, C, tb, ctype)                                                                                   \
    STORE_ONE(name, C, S, tb, ctype)                                                                                   \
    STORE_ONE(name, C, R, tb, ctype)                                                                                   \
    STORE_ONE(name, C, C, tb, ctype)                                                                                   \
    STORE_ANY(name, tb, ctype)                                                                                         \
    STORE_SUMS(name, S, S, tb, ctype)                                                                                  \
    STORE_SUMS(name, S, C, tb, ctype)                                                                                  \
    STORE_SUMS(name, R, S, tb, ctype)                                                                                  \
    STORE_SUMS(name, S, R, tb, ctype)                                                                                  \
    STORE_SUMS(name, R, C, tb, ctype)
#define STORE_ONE(name, ka, kb, tb, ctype) SET_ONE(name, ka, kb, i, tb, 4, STORE_MEMORY(ctype, a, b))
#define STORE_SUMS(name, ka, kb, tc, ctype)                                                                            \
    STORE_SUM(name, ka, kb, S, tc, ctype)                                                                              \
    STORE_SUM(name, ka, kb, C, tc, ctype)
#define STORE_SUM(name, ka, kb, kc, tc, ctype)                                                                         \
    HANDLER(name##_SUM_##ka##kb##kc, AT_A + SZ_##ka##_i + SZ_##kb##_i + SZ_##kc##_##tc + 4, {                          \
        enum { AT_B = AT_A + SZ_##ka##_i, AT_C = AT_B + SZ_##kb##_i, IMM = AT_C + SZ_##kc##_##tc };                    \
        uint32_t a = READ_##ka##_i(AT_A) + READ_##kb##_i(AT_B);                                                        \
        T_##tc b = READ_##kc##_##tc(AT_C);                                                                             \
        STORE_MEMORY(ctype, a, b);                                                                                     \
        NEXT(IMM + 4);                                                                                                 \
    })
#define STORE_ANY(name, tb, ctype)                                                                                     \
    SET_ONE(name##_ANY, S, S, I, tb, 12, {                                                                             \
        ctype v = (ctype)b;                                                                                            \
        MEMORY_ACCESS_ANY(at, a, sizeof v);                                                                            \
        __builtin_memcpy(at, &v, sizeof v);                                                                            \
    })

/* SET_INNER(name, ta, tb, imm, body): uses a and b up, no result. Variants SS SC RS SR RC. */
#define SET_INNER(name, ta, tb, imm, ...)                                                                              \
    SET_ONE(name, S, S, ta, tb, imm, __VA_ARGS__)                                                                      \
    SET_ONE(name, S, C, ta, tb, imm, __VA_ARGS__)                                                                      \
    SET_ONE(name, R, S, ta, tb, imm, __VA_ARGS__)                                                                      \
    SET_ONE(name, S, R, ta, tb, imm, __VA_ARGS__)                                                                      \
    SET_ONE(name, R, C, ta, tb, imm, __VA_ARGS__)
#define SET_ONE(name, ka, kb, ta, tb, imm, ...)                                                                        \
    HANDLER(name##_##ka##kb, AT_A + SZ_##ka##_##ta + SZ_##kb##_##tb + (imm), {                                         \
        enum { AT_B = AT_A + SZ_##ka##_##ta, IMM = AT_B + SZ_##kb##_##tb };                                            \
        T_##ta a = READ_##ka##_##ta(AT_A);                                                                             \
        T_##tb b = READ_##kb##_##tb(AT_B);                                                                             \
        __VA_ARGS__;                                                                                                   \
        NEXT(IMM + (imm));                                                                                             \
    })

/* SET3_INNER(name, tc, imm, body): uses a and b, both u32, and c up. Variants in the order of SET3_KINDS. */
#define SET3_KINDS(X)                                                                                                  \
    X(S, S, S)                                                                                                         \
    X(S, S, R)                                                                                                         \
    X(S, S, C) X(S, C, S) X(S, C, R) X(S, C, C) X(S, R, S) X(S, R, C) X(R, S, S) X(R, S, C) X(R, C, S) X(R, C, C)
#define SET3_INNER(name, tc, imm, ...)                                                                                 \
    SET3_ONE(name, S, S, S, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, S, R, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, S, C, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, C, S, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, C, R, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, C, C, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, R, S, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, S, R, C, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, R, S, S, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, R, S, C, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, R, C, S, tc, imm, __VA_ARGS__)                                                                      \
    SET3_ONE(name, R, C, C, tc, imm, __VA_ARGS__)
#define SET3_ONE(name, ka, kb, kc, tc, imm, ...)                                                                       \
    HANDLER(name##_##ka##kb##kc, AT_A + SZ_##ka##_i + SZ_##kb##_i + SZ_##kc##_##tc + (imm), {                          \
        enum { AT_B = AT_A + SZ_##ka##_i, AT_C = AT_B + SZ_##kb##_i, IMM = AT_C + SZ_##kc##_##tc };                    \
        uint32_t a = READ_##ka##_i(AT_A), b = READ_##kb##_i(AT_B);                                                     \
        T_##tc c = READ_##kc##_##tc(AT_C);                                                                             \
        __VA_ARGS__;                                                                                                   \
        NEXT(IMM + (imm));                                                                                             \
    })

/* USE_INNER(name, ta, imm, body): uses a up, no result. Variants S, R, C. */
#define USE_INNER(name, ta, imm, ...)                                                                                  \
    USE_ONE(name, S, ta, imm, __VA_ARGS__)                                                                             \
    USE_ONE(name, R, ta, imm, __VA_ARGS__)                                                                             \
    USE_ONE(name, C, ta, imm, __VA_ARGS__)
#define USE_ONE(name, ka, ta, imm, ...)                                                                                \
    HANDLER(name##_##ka, AT_A + SZ_##ka##_##ta + (imm), {                                                              \
        enum { IMM = AT_A + SZ_##ka##_##ta };                                                                          \
        T_##ta a = READ_##ka##_##ta(AT_A);                                                                             \
        __VA_ARGS__;                                                                                                   \
        NEXT(IMM + (imm));                                                                                             \
    })

/* SELECT_INNER(name): a if c is not zero, else b. Variants (SS SC CS CC) x condition S, R x R, S. */
#define SELECT_INNER(name)                                                                                             \
    SELECT_CONDITIONS(name, S, S)                                                                                      \
    SELECT_CONDITIONS(name, S, C)                                                                                      \
    SELECT_CONDITIONS(name, C, S)                                                                                      \
    SELECT_CONDITIONS(name, C, C)
#define SELECT_CONDITIONS(name, ka, kb)                                                                                \
    SELECT_DESTS(name, ka, kb, S)                                                                                      \
    SELECT_DESTS(name, ka, kb, R)
#define SELECT_DESTS(name, ka, kb, kc)                                                                                 \
    SELECT_ONE(name, ka, kb, kc, R)                                                                                    \
    SELECT_ONE(name, ka, kb, kc, S)
#define SELECT_ONE(name, ka, kb, kc, kd)                                                                               \
    HANDLER(name##_##ka##kb##kc##_##kd, AT_A + SZ_##ka##_D + SZ_##kb##_D + SZ_##kc##_i, {                              \
        enum { AT_B = AT_A + SZ_##ka##_D, AT_C = AT_B + SZ_##kb##_D };                                                 \
        uint64_t a = READ_##ka##_D(AT_A), b = READ_##kb##_D(AT_B);                                                     \
        RESULT_##kd(READ_##kc##_i(AT_C) ? a : b);                                                                      \
        NEXT(AT_C + SZ_##kc##_i);                                                                                      \
    })

/* PLAIN(id, imm, body): a body that has no operands of a kind; it does everything but NEXT. */
#define PLAIN(id, imm, ...)                                                                                            \
    HANDLER(id, AT_A + (imm), {                                                                                        \
        enum { IMM = AT_A };                                                                                           \
        __VA_ARGS__;                                                                                                   \
        NEXT(IMM + (imm));                                                                                             \
    })

/* CALL_INNER(name, ta, imm, body): a call; the body names `callee` and its instance `target`. a is S or R (X: no
 * operand). Variants by result: V none or several (they stay where the callee put them), R, S. The immediates start
 * with {u16 delta, u32 site}. */
#define CALL_INNER(name, imm, ...)                                                                                     \
    CALL_KINDS(name, S, imm, __VA_ARGS__)                                                                              \
    CALL_KINDS(name, R, imm, __VA_ARGS__)
#define CALL_KINDS(name, ka, imm, ...)                                                                                 \
    CALL_ONE(name##_##ka##_V, SZ_##ka##_I, READ_##ka##_I, (void)0, imm, __VA_ARGS__)                                   \
    CALL_ONE(name##_##ka##_R, SZ_##ka##_I, READ_##ka##_I, RESULT_R(ld64(SLOT(IMM))), imm, __VA_ARGS__)                 \
    CALL_ONE(name##_##ka##_S, SZ_##ka##_I, READ_##ka##_I, RESULT_S(ld64(SLOT(IMM))), imm, __VA_ARGS__)
#define CALL_PLAIN(name, imm, ...)                                                                                     \
    CALL_ONE(name##_V, 0, NO_OPERAND, (void)0, imm, __VA_ARGS__)                                                       \
    CALL_ONE(name##_R, 0, NO_OPERAND, RESULT_R(ld64(SLOT(IMM))), imm, __VA_ARGS__)                                     \
    CALL_ONE(name##_S, 0, NO_OPERAND, RESULT_S(ld64(SLOT(IMM))), imm, __VA_ARGS__)
#define NO_OPERAND(off) 0
#define CALL_ONE(id, asize, read_a, put, imm, ...)                                                                     \
    HANDLER(id, AT_A + (asize) + 6 + (imm), {                                                                          \
        enum { IMM = AT_A + (asize), MORE = IMM + 6 };                                                                 \
        uint64_t a = read_a(AT_A);                                                                                     \
        const struct code *callee;                                                                                     \
        struct instance *target;                                                                                       \
        (void)a;                                                                                                       \
        __VA_ARGS__;                                                                                                   \
        WRITE_SITE(SLOT(IMM), IMM + 2);                                                                                \
        if (UNLIKELY(callee->entry(callee->bytes, SLOT(IMM), target, vm, target->mem0, r0)))                           \
            UNWIND(FIELD_U32(IMM + 2));                                                                                \
        mem = in->mem0;                                                                                                \
        put;                                                                                                           \
        NEXT(MORE + (imm));                                                                                            \
    })

/* A tail call; variants S, R, or no operand. The immediates start with {u16 first, u16 count}: the arguments, moved to
 * the frame's beginning. The header below stays: it names this frame's caller. */
#define TAIL_INNER(name, imm, ...)                                                                                     \
    TAIL_ONE(name##_S, SZ_S_I, READ_S_I, imm, __VA_ARGS__)                                                             \
    TAIL_ONE(name##_R, SZ_R_I, READ_R_I, imm, __VA_ARGS__)
#define TAIL_PLAIN(name, imm, ...) TAIL_ONE(name, 0, NO_OPERAND, imm, __VA_ARGS__)
#define TAIL_ONE(id, asize, read_a, imm, ...)                                                                          \
    HANDLER(id, AT_A + (asize) + 4 + (imm), {                                                                          \
        enum { IMM = AT_A + (asize), MORE = IMM + 4 };                                                                 \
        uint64_t a = read_a(AT_A);                                                                                     \
        const struct code *callee;                                                                                     \
        struct instance *target;                                                                                       \
        (void)a;                                                                                                       \
        __VA_ARGS__;                                                                                                   \
        const char *from_ = SLOT(IMM);                                                                                 \
        uint32_t n_ = FIELD_U16(IMM + 2);                                                                              \
        MOVE_SLOTS(fp, from_, n_);                                                                                     \
        TAIL_CALL(callee, target);                                                                                     \
    })
/* Upwards: the destination is below the source. Volatile keeps it a loop; as memmove it would be a foreign reference.
 */
#define MOVE_SLOTS(to, from, n)                                                                                        \
    for (uint32_t i_ = 0; i_ < (n); i_++) MOVE_SLOT(to, from, i_)
/* Downwards: the destination is above the source. */
#define MOVE_SLOTS_DOWN(to, from, n)                                                                                   \
    for (uint32_t i_ = (n); i_ > 0; i_--) MOVE_SLOT(to, from, i_ - 1)
#define MOVE_SLOT(to, from, i)                                                                                         \
    *(volatile uint64_t *)(void *)((to) + 8 * (size_t)(i)) =                                                           \
        *(const volatile uint64_t *)(const void *)((from) + 8 * (size_t)(i))

/* SIMD(name, size, flags, body): a row of bodies_simd.def. SIMD_FORM(name, form, size, body): another handler of it. An
 * includer may define them otherwise, or as nothing. */
#ifndef SIMD
#define SIMD(name, size, flags, ...) HANDLER(name, size, __VA_ARGS__)
#endif
#define SIMD_FORM(name, form, size, ...) HANDLER(name##_##form, size, __VA_ARGS__)

/* HELPED(name, helper, params, results, a, b): nothing but a call of a helper (all through one body, HELP); a and b
 * are fields of struct insn, the counts those of operands and results. Only the translator expands these. */
#define HELPED(name, helper, params, results, a, b)
