/* runtime/code/bodies_unwanted.h -- rows of bodies.def that an includer with BODIES_OWN_ROWS has not defined say
 * nothing. No include guard: bodies.def undefines them all at its end. */
#ifndef HANDLER
#define HANDLER(...)
#endif
#ifndef UNARY
#define UNARY(...)
#endif
#ifndef BINARY
#define BINARY(...)
#endif
#ifndef COMPARE
#define COMPARE(...)
#endif
#ifndef TEST
#define TEST(...)
#endif
#ifndef STEP
#define STEP(...)
#endif
#ifndef SHIFTED
#define SHIFTED(...)
#endif
#ifndef LOAD
#define LOAD(...)
#endif
#ifndef STORE
#define STORE(...)
#endif
#ifndef UNARY_INNER
#define UNARY_INNER(...)
#endif
#ifndef NULLARY_INNER
#define NULLARY_INNER(...)
#endif
#ifndef BINARY_INNER
#define BINARY_INNER(...)
#endif
#ifndef TEST_INNER
#define TEST_INNER(...)
#endif
#ifndef SET_INNER
#define SET_INNER(...)
#endif
#ifndef SET3_INNER
#define SET3_INNER(...)
#endif
#ifndef USE_INNER
#define USE_INNER(...)
#endif
#ifndef SELECT_INNER
#define SELECT_INNER(...)
#endif
#ifndef PLAIN
#define PLAIN(...)
#endif
#ifndef CALL_INNER
#define CALL_INNER(...)
#endif
#ifndef CALL_PLAIN
#define CALL_PLAIN(...)
#endif
#ifndef TAIL_INNER
#define TAIL_INNER(...)
#endif
#ifndef TAIL_PLAIN
#define TAIL_PLAIN(...)
#endif
#ifndef SIMD
#define SIMD(...)
#endif
#ifndef SIMD_FORM
#define SIMD_FORM(...)
#endif
#ifndef HELPED
#define HELPED(...)
#endif
