/* The text format as users of libhemi see it. What assembles to what is tested in wat_test.c and its companions. */
#include <check.h>
#include <string.h>

#include "hemi.h"
#include "tests/unit/suite.h"

static const char text[] = "(module\n"
                           "  (func $f (export \"f\") (param $x i32) (result i32)\n"
                           "    (i32.add (local.get $x)\n"
                           "      (i32.const 7))))\n";

START_TEST(there_and_back)
{
    void *bytes, *again;
    char *printed;
    size_t size, length, again_size;
    ck_assert_int_eq(hemi_wat_assemble(text, strlen(text), NULL, &bytes, &size, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_wat_disassemble(bytes, size, NULL, &printed, &length, NULL), HEMI_OK);
    ck_assert_uint_eq(strlen(printed), length);
    ck_assert_ptr_nonnull(strstr(printed, "local.get $x"));
    ck_assert_int_eq(hemi_wat_assemble(printed, length, NULL, &again, &again_size, NULL), HEMI_OK);
    ck_assert(again_size == size && memcmp(again, bytes, size) == 0);
    hemi_wat_free(again);
    hemi_wat_free(printed);
    hemi_wat_free(bytes);
    hemi_wat_free(NULL);
}
END_TEST

START_TEST(without_names)
{
    const struct hemi_wat_options options = {.no_names = true};
    void *bytes, *longer;
    char *printed;
    size_t size, length, longer_size;
    ck_assert_int_eq(hemi_wat_assemble(text, strlen(text), &options, &bytes, &size, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_wat_assemble(text, strlen(text), NULL, &longer, &longer_size, NULL), HEMI_OK);
    ck_assert_uint_lt(size, longer_size);
    ck_assert_int_eq(hemi_wat_disassemble(longer, longer_size, &options, &printed, &length, NULL), HEMI_OK);
    ck_assert_ptr_nonnull(strstr(printed, "local.get 0"));
    hemi_wat_free(printed);
    hemi_wat_free(longer);
    hemi_wat_free(bytes);
}
END_TEST

START_TEST(errors_have_places)
{
    struct hemi_wat_error error;
    void *bytes = &error;
    char *printed = (char *)&error;
    size_t size;
    ck_assert_int_eq(hemi_wat_assemble("(func\n i32)", 11, NULL, &bytes, &size, &error), HEMI_INVALID_MODULE);
    ck_assert_ptr_null(bytes);
    ck_assert(error.line == 2 && error.column == 2 && error.offset == 7);
    ck_assert_str_eq(error.message, "expected an instruction, got \"i32\"");
    ck_assert_int_eq(hemi_wat_disassemble("\0asm\1\0\0\0\x63", 9, NULL, &printed, &size, &error), HEMI_INVALID_MODULE);
    ck_assert_ptr_null(printed);
    ck_assert(error.line == 0 && error.offset == 9);
}
END_TEST

/* Offset, line, column. */
static void ck_located(const char *module, uint64_t offset, unsigned line, unsigned column)
{
    uint32_t l, c;
    ck_assert_int_eq(hemi_wat_locate(module, strlen(module), offset, &l, &c), line ? HEMI_OK : HEMI_NOT_FOUND);
    ck_assert_msg(l == line && c == column, "offset 0x%llx is at %u:%u", (unsigned long long)offset, l, c);
}

/* An offset in code is where its instruction's keyword stands, also where folding turned the order around. */
START_TEST(offsets_are_located)
{
    void *bytes;
    size_t size;
    ck_assert_int_eq(hemi_wat_assemble(text, strlen(text), NULL, &bytes, &size, NULL), HEMI_OK);
    const uint8_t *code = memmem(bytes, size, "\x20\0\x41\7\x6a\x0b", 6);
    ck_assert_ptr_nonnull(code);
    uint64_t at = (uint64_t)(code - (const uint8_t *)bytes);
    ck_located(text, at, 3, 15);
    ck_located(text, at + 1, 3, 15);
    ck_located(text, at + 2, 4, 8);
    ck_located(text, at + 4, 3, 6);
    ck_located(text, at + 5, 4, 21);
    ck_located(text, at + 6, 0, 0);
    ck_located(text, 9, 0, 0);
    uint32_t line, column;
    ck_assert_int_eq(hemi_wat_locate("(", 1, 9, &line, &column), HEMI_INVALID_MODULE);
    hemi_wat_free(bytes);
}
END_TEST

/* Flat blocks, folded ifs and a second function, whose places are its own. */
START_TEST(blocks_are_located)
{
    static const char blocks[] =
        "(func nop)\n(func\n block\n nop\n end\n (if\n (i32.const 1)\n (then\n unreachable)\n (else\n"
        " return)\n)\n)";
    static const struct {
        unsigned byte, line;
    } rows[] = {{0, 3}, {2, 4}, {3, 5}, {4, 7}, {6, 6}, {8, 9}, {9, 10}, {10, 11}, {11, 12}, {12, 13}};
    void *bytes;
    size_t size;
    ck_assert_int_eq(hemi_wat_assemble(blocks, strlen(blocks), NULL, &bytes, &size, NULL), HEMI_OK);
    const uint8_t *code = memmem(bytes, size, "\2\x40\1\x0b\x41\1\4\x40\0\5\x0f\x0b\x0b", 13);
    ck_assert_ptr_nonnull(code);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t line, column;
        uint64_t at = (uint64_t)(code - (const uint8_t *)bytes) + rows[i].byte;
        ck_assert_int_eq(hemi_wat_locate(blocks, strlen(blocks), at, &line, &column), HEMI_OK);
        ck_assert_msg(line == rows[i].line, "byte %u is in line %u", rows[i].byte, line);
    }
    hemi_wat_free(bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_wat");
    TCase *c = tcase_create("client_wat");
    tcase_add_test(c, there_and_back);
    tcase_add_test(c, without_names);
    tcase_add_test(c, errors_have_places);
    tcase_add_test(c, offsets_are_located);
    tcase_add_test(c, blocks_are_located);
    suite_add_tcase(s, c);
    return run_suite(s);
}
