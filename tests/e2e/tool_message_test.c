/* What the `hemi` command says of a module: each thing once, and where in the text. */
#include "tests/e2e/tool_rig.h"

static void ck_in(const char *text, const char *wanted)
{
    ck_assert_msg(strstr(text, wanted) != NULL, "\"%s\" is not in \"%s\"", wanted, text);
}

static unsigned occurrences(const char *text, const char *of)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, of)) != NULL; at += strlen(of)) n++;
    return n;
}

START_TEST(a_trap_in_a_text_shows_line_and_column_of_each_frame)
{
    const char *path = file("trap.wat", "(module\n  (func $f (param i32)\n"
                                        "    (drop (i32.div_u (i32.const 1) (local.get 0))))\n"
                                        "  (func (export \"_start\")\n    (call $f (i32.const 0))))");
    char wanted[512];
    struct outcome o = hemi(NULL, "run", path);
    snprintf(wanted, sizeof wanted, ", at %s:3:12\n    f at 0x2c, %s:3:12\n    _start at 0x33, %s:5:6\n", path, path,
             path);
    ck_in(o.err,
          "_start: trap: integer divide by zero in \"f\" (function 0), called from \"_start\" (function 1), at ");
    ck_in(o.err, wanted);
    outcome_deinit(&o);
}
END_TEST

START_TEST(a_trap_in_a_binary_shows_its_offset)
{
    char binary[64];
    struct outcome o = hemi(NULL, "asm", file("trap.wat", "(func (export \"_start\") unreachable)"), "-o",
                            strcat(strcpy(binary, dir), "/trap.wasm"));
    outcome_deinit(&o);
    o = hemi(NULL, "run", binary);
    ck_in(o.err, ", at byte 0x23\n    _start at 0x23\n");
    outcome_deinit(&o);
}
END_TEST

START_TEST(a_refused_file_is_named_once)
{
    static const char *const texts[] = {"\x7F\x45LF and so on", "(func try)", "(func (drop))",
                                        "(import \"a\" \"b\" (func))", "(memory 60000)"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *path = file("refused", texts[i]);
        struct outcome o = hemi(NULL, "run", path);
        ck_assert_int_ne(o.status, 0);
        ck_assert_msg(occurrences(o.err, path) == 1, "%s", o.err);
        outcome_deinit(&o);
    }
    struct outcome o = hemi(NULL, "run", "/nonexistent/file");
    ck_assert_str_eq(o.err, "hemi: /nonexistent/file: No such file or directory\n");
    outcome_deinit(&o);
}
END_TEST

#define TESTS(t)                                                                                                       \
    tcase_add_test(t, a_trap_in_a_text_shows_line_and_column_of_each_frame);                                           \
    tcase_add_test(t, a_trap_in_a_binary_shows_its_offset);                                                            \
    tcase_add_test(t, a_refused_file_is_named_once)

TOOL_SUITE("tool_message", TESTS)
