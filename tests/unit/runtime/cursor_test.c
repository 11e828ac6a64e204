/* The cursor: LEB128 at its edges, lengths, UTF-8, and that the first error sticks. */
#include "runtime/binary/cursor.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <string.h>

static struct rt_error err;

static struct cursor over(const uint8_t *bytes, size_t n)
{
    memset(&err, 0, sizeof err);
    return (struct cursor){.base = bytes, .at = bytes, .end = bytes + n, .err = &err, .end_text = "unexpected end"};
}

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static void expect_leb(const uint8_t *bytes, size_t n, uint32_t bits, bool is_signed, uint64_t value)
{
    struct cursor c = over(bytes, n);
    ck_assert_uint_eq(cursor_leb(&c, bits, is_signed), value);
    ck_assert_msg(cursor_ok(&c), "%s", err.message);
    ck_assert_uint_eq(cursor_left(&c), 0);
}

static void expect_error(const uint8_t *bytes, size_t n, uint32_t bits, bool is_signed, const char *text)
{
    struct cursor c = over(bytes, n);
    ck_assert_uint_eq(cursor_leb(&c, bits, is_signed), 0);
    ck_assert_int_eq(err.status, HEMI_INVALID_MODULE);
    ck_assert_str_eq(err.message, text);
}

START_TEST(leb_values)
{
    expect_leb(BYTES(0x00), 32, false, 0);
    expect_leb(BYTES(0x7F), 32, false, 127);
    expect_leb(BYTES(0xE5, 0x8E, 0x26), 32, false, 624485);
    expect_leb(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0x0F), 32, false, UINT32_MAX);
    expect_leb(BYTES(0x80, 0x80, 0x80, 0x80, 0x00), 32, false, 0);
    expect_leb(BYTES(0x7F), 32, true, UINT64_MAX);
    expect_leb(BYTES(0xC0, 0xBB, 0x78), 32, true, (uint64_t)-123456);
    expect_leb(BYTES(0x80, 0x80, 0x80, 0x80, 0x78), 32, true, (uint64_t)INT32_MIN);
    expect_leb(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0x07), 32, true, INT32_MAX);
    expect_leb(BYTES(0x80, 0x80, 0x80, 0x80, 0x70), 33, true, (uint64_t)-((int64_t)1 << 32));
    expect_leb(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0x0F), 33, true, UINT32_MAX);
    expect_leb(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7F), 64, true, (uint64_t)INT64_MIN);
    expect_leb(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00), 64, true, INT64_MAX);
    expect_leb(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01), 64, false, UINT64_MAX);
}
END_TEST

START_TEST(leb_errors)
{
    static const char long_text[] = "integer representation too long", large_text[] = "integer too large";
    expect_error(BYTES(0x80), 32, false, "unexpected end");
    expect_error(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x00), 32, false, long_text);
    expect_error(BYTES(0x80, 0x80, 0x80, 0x80, 0x10), 32, false, large_text);
    expect_error(BYTES(0x80, 0x80, 0x80, 0x80, 0x70), 32, true, large_text);
    expect_error(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0x0F), 32, true, large_text);
    expect_error(BYTES(0xFF, 0xFF, 0xFF, 0xFF, 0x1F), 33, true, large_text);
    expect_error(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02), 64, false, large_text);
    expect_error(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7E), 64, true, large_text);
    expect_error(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00), 64, true, long_text);
}
END_TEST

START_TEST(first_error_sticks)
{
    struct cursor c = over(BYTES(1, 2, 3));
    cursor_u8(&c);
    cursor_fail(&c, HEMI_LIMIT, 1, "first %d", 1);
    ck_assert_uint_eq(cursor_u8(&c), 0);
    ck_assert_uint_eq(cursor_u32(&c), 0);
    ck_assert_ptr_null(cursor_bytes(&c, 1));
    cursor_fail(&c, HEMI_INVALID_MODULE, 2, "second");
    ck_assert_int_eq(err.status, HEMI_LIMIT);
    ck_assert_uint_eq(err.offset, 1);
    ck_assert_str_eq(err.message, "first 1");
}
END_TEST

START_TEST(lengths_are_checked)
{
    struct cursor c = over(BYTES(5, 1, 2, 3));
    cursor_count(&c, LIMIT_TYPES);
    ck_assert_int_eq(err.status, HEMI_INVALID_MODULE);
    c = over(BYTES(0xFF, 0xFF, 0xFF, 0x7F, 0));
    cursor_count(&c, LIMIT_PARAMS);
    ck_assert_int_eq(err.status, HEMI_LIMIT);
    c = over(BYTES(3, 1, 2, 3));
    ck_assert_uint_eq(cursor_count(&c, LIMIT_PARAMS), 3);
    struct cursor sub = cursor_sub(&c, 2);
    ck_assert_uint_eq(cursor_left(&sub), 2);
    ck_assert_uint_eq(cursor_left(&c), 1);
    ck_assert_uint_eq(cursor_fixed(&sub, 2), 0x0201);
    cursor_done(&sub, "rest");
    ck_assert(cursor_ok(&c));
    cursor_done(&c, "rest");
    ck_assert_str_eq(err.message, "rest");
    c = over(BYTES(1));
    sub = cursor_sub(&c, 2);
    ck_assert_uint_eq(cursor_left(&sub), 0);
    ck_assert_int_eq(strncmp(err.message, "length out of bounds", 20), 0);
}
END_TEST

START_TEST(names_are_utf8)
{
    struct cursor c = over(BYTES(3, 0xE2, 0x82, 0xAC));
    struct name name = cursor_name(&c);
    ck_assert(cursor_ok(&c));
    ck_assert_uint_eq(name.len, 3);
    c = over(BYTES(2, 0xC0, 0x80)); /* overlong */
    cursor_name(&c);
    ck_assert_str_eq(err.message, "malformed UTF-8 encoding");
    c = over(BYTES(3, 0xED, 0xA0, 0x80)); /* a surrogate */
    cursor_name(&c);
    ck_assert_str_eq(err.message, "malformed UTF-8 encoding");
    c = over(BYTES(2, 'a'));
    cursor_name(&c);
    ck_assert_int_eq(strncmp(err.message, "length out of bounds", 20), 0);
    c = over(BYTES(0));
    name = cursor_name(&c);
    ck_assert(cursor_ok(&c) && name.len == 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cursor");
    TCase *c = tcase_create("cursor");
    tcase_set_timeout(c, 10);
    tcase_add_test(c, leb_values);
    tcase_add_test(c, leb_errors);
    tcase_add_test(c, first_error_sticks);
    tcase_add_test(c, lengths_are_checked);
    tcase_add_test(c, names_are_utf8);
    suite_add_tcase(s, c);
    return run_suite(s);
}
