/* What printable.h shows of each character of Unicode, of what is none, and of what has no room. */
#include "proto/tables/printable.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <unictype.h>
#include <unistr.h>

/* Controls, ends of lines, halves of characters, what shows nothing, what turns the direction or marks notes. */
static bool gives_orders(ucs4_t c)
{
    return uc_is_cntrl(c) || uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp) ||
           uc_is_property_default_ignorable_code_point(c) || uc_is_property_bidi_control(c) ||
           (c >= 0xFFF9 && c <= 0xFFFB) || c == 0xFFFE || c == 0xFFFF;
}

START_TEST(what_gives_orders_is_escaped_and_nothing_else_is)
{
    for (ucs4_t c = 1; c <= 0x10FFFF; c++) {
        uint8_t bytes[8] = {0};
        char shown[PRINTABLE_MAX], wanted[PRINTABLE_MAX];
        int n = u8_uctomb(bytes, c, 6);
        if (n < 0) continue; /* a surrogate */
        size_t read = printable_one((const char *)bytes, shown);
        if (!gives_orders(c))
            snprintf(wanted, sizeof wanted, "%s", (const char *)bytes);
        else
            snprintf(wanted, sizeof wanted, c < 0x80 ? "\\x%02x" : "\\u{%x}", (unsigned)c);
        if (read != (size_t)n || strcmp(shown, wanted) != 0) ck_abort_msg("U+%04X: %s", (unsigned)c, shown);
    }
}
END_TEST

/* Each byte that is part of no character by itself; what follows is read anew. */
START_TEST(bytes_that_are_no_character_are_told_by_number)
{
    static const char *const rows[][2] = {
        {"\x80", "\\x80"},
        {"\xBF", "\\xbf"},
        {"\xC0\xAF", "\\xc0\\xaf"}, /* longer than it need be */
        {"\xC1\x81", "\\xc1\\x81"},
        {"\xE0\x80\xAF", "\\xe0\\x80\\xaf"},
        {"\xE0\x9F\xBF", "\\xe0\\x9f\\xbf"},
        {"\xF0\x80\x80\xAF", "\\xf0\\x80\\x80\\xaf"},
        {"\xF0\x8F\xBF\xBF", "\\xf0\\x8f\\xbf\\xbf"},
        {"\xED\xA0\x80", "\\xed\\xa0\\x80"}, /* halves of characters */
        {"\xED\xBF\xBF", "\\xed\\xbf\\xbf"},
        {"\xF4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond the last one */
        {"\xF5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
        {"\xFF", "\\xff"},
        {"\xC3", "\\xc3"}, /* cut short */
        {"\xE2\x82", "\\xe2\\x82"},
        {"\xE2\x82z", "\\xe2\\x82z"},
        {"\xE2z\x82", "\\xe2z\\x82"},
        {"\xF0\x9F\x98", "\\xf0\\x9f\\x98"},
        {"\xC3\xC3\xA9", "\\xc3\u00e9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        strcpy(text, rows[i][0]);
        printable(text, sizeof text);
        ck_assert_str_eq(text, rows[i][1]);
    }
}
END_TEST

/* What does not fit is left out from the first that does not fit on, and nothing of it is shown. */
START_TEST(no_part_of_an_escape_is_shown)
{
    static const char *const parts[] = {"a", "\\x07", "\u00e9", "\\u{202e}", "\\xff", "b", "\\u{e0001}"};
    static const char text[] = "a\a\xC3\xA9\xE2\x80\xAE\xFF"
                               "b\xF3\xA0\x80\x81";
    for (size_t size = sizeof text; size < 64; size++) {
        char *room = malloc(size), wanted[64] = "";
        for (size_t i = 0; i < sizeof parts / sizeof *parts && strlen(wanted) + strlen(parts[i]) < size; i++)
            strcat(wanted, parts[i]);
        memcpy(room, text, sizeof text);
        printable(room, size);
        ck_assert_str_eq(room, wanted);
        free(room);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("printable");
    TCase *c = tcase_create("printable");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, what_gives_orders_is_escaped_and_nothing_else_is);
    tcase_add_test(c, bytes_that_are_no_character_are_told_by_number);
    tcase_add_test(c, no_part_of_an_escape_is_shown);
    suite_add_tcase(s, c);
    return run_suite(s);
}
