/* tests/unit/client/wat_memory_test.c -- the assembler and the disassembler when memory runs out: the first, the
 * second, ... allocation fails, until all goes well. Each failure is an error return, and nothing leaks (the sanitize
 * build sees). The linker sends client/wat's calls of malloc and its kin here (tests/CMakeLists.txt). */
#include "client/wat/wat.h"
#include "proto/tables/status.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long left = (unsigned long)-1; /* allocations that still succeed */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static bool allowed(void) { return left > 0 && left--; }

void *__wrap_malloc(size_t size) { return allowed() ? __real_malloc(size) : NULL; }
void *__wrap_calloc(size_t count, size_t size) { return allowed() ? __real_calloc(count, size) : NULL; }
void *__wrap_realloc(void *old, size_t size) { return allowed() ? __real_realloc(old, size) : NULL; }
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return allowed() ? __real_reallocarray(old, count, size) : NULL;
}

/* Something of everything, each list longer than its first allocation. */
static const char part[] =
    "(rec (type (sub (struct (field $x%u (mut i8)) (field f64)))) (type $a%u (array (ref null func))))"
    "(type $f%u (func (param i32 i64 f32 f64) (result v128))) (@custom \"c\" (after func) \"abc\")"
    "(memory 1) (data $d%u \"\\80\") (table $t%u 1 (ref null func) ref.null func) (tag $e%u (param i64))"
    "(global $g%u (mut f32) f32.const 1.00000000000000000000000000000000000000000000000000000000000000000000000000001)"
    "(func $\"f %u\" (param $p i32) (result i32) (local $v v128) (local i64 i64)"
    " block $out (result i32) loop $in (try_table (catch $e0 0) (catch_all $in)) br $out end unreachable end"
    " (block (param i32) (result i32 i64) unreachable) (br_table 0 0 0) (drop (struct.get_u 0 $x0 (unreachable))))"
    "(elem $el%u func 0 0) (elem externref (item ref.null extern))";

static char *many_parts(void)
{
    enum { PARTS = 40 };
    char *text = __real_malloc(PARTS * (sizeof part + 64)), *at = text;
    for (unsigned i = 0; i < PARTS; i++) at += sprintf(at, part, i, i, i, i, i, i, i, i, i);
    return text;
}

START_TEST(every_allocation_of_the_assembler_fails_once)
{
    static const char *const others[] = {"(module binary \"abc\" \"def\")", "(module quote \"(func)\" \"(func)\")",
                                         "(func ("};
    char *texts[4] = {many_parts()};
    for (unsigned i = 0; i < 3; i++) texts[i + 1] = strdup(others[i]);
    for (unsigned i = 0; i < 4; i++) {
        int status = HEMI_NO_MEMORY;
        for (unsigned long n = 0; status == HEMI_NO_MEMORY; n++) {
            struct wat_error err;
            uint8_t *out;
            size_t size;
            left = n;
            status = wat_assemble(texts[i], strlen(texts[i]), NULL, &out, &size, &err);
            left = (unsigned long)-1;
            ck_assert_msg(status == HEMI_OK || out == NULL, "%lu", n);
            ck_assert_msg(status != HEMI_NO_MEMORY || strcmp(err.message, "out of memory") == 0, "%lu", n);
            ck_assert_msg(i > 0 || n > 100 || status == HEMI_NO_MEMORY, "%lu: %u:%u %s", n, err.line, err.column,
                          err.message);
            free(out);
        }
        ck_assert_int_eq(status, i == 3 ? HEMI_INVALID_MODULE : HEMI_OK);
        free(texts[i]);
    }
}
END_TEST

START_TEST(every_allocation_of_the_disassembler_fails_once)
{
    static const struct wat_options options;
    struct wat_error err;
    uint8_t *bytes;
    size_t size, length;
    char *text = many_parts(), *out;
    ck_assert_int_eq(wat_assemble(text, strlen(text), NULL, &bytes, &size, &err), HEMI_OK);
    int status = HEMI_NO_MEMORY;
    unsigned long n = 0;
    for (; status == HEMI_NO_MEMORY; n++) {
        left = n;
        status = wat_disassemble(&options, bytes, size, NULL, &out, &length, &err);
        left = (unsigned long)-1;
        ck_assert_msg(status == HEMI_OK || out == NULL, "%lu", n);
        free(out);
    }
    ck_assert_int_eq(status, HEMI_OK);
    ck_assert_uint_gt(n, 20);
    free(bytes);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wat_memory");
    TCase *tests = tcase_create("allocations");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_allocation_of_the_assembler_fails_once);
    tcase_add_test(tests, every_allocation_of_the_disassembler_fails_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
