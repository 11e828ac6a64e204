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

START_TEST(how_a_program_ended_is_said_once)
{
    struct outcome o =
        hemi(NULL, "run", "--deadline", "50ms", file("spin.wat", "(func (export \"_start\") (loop (br 0)))"));
    ck_in(o.err, "hemi: _start: deadline in \"_start\" (function 0), at ");
    outcome_deinit(&o);
}
END_TEST

START_TEST(an_invalid_text_is_refused_at_its_field_or_instruction)
{
    static const struct {
        const char *text, *place;
    } rows[] = {
        {"(module\n  (global i32\n    (i64.const 1)))", ":3:"},
        {"(module\n  (func)\n  (start 7))", ":3:3: unknown function 7"},
        {"(module\n  (export \"a\" (func 3)))", ":2:3: unknown function 3"},
        {"(module (memory 1)\n  (memory 2 1))", ":2:3: size minimum"},
        {"(module\n  (type (func))\n  (type $t (sub 0 (struct))))", ":3:3: sub type"},
        {"(module\n  (rec (type (func))\n    (type (func (param (ref 9))))))", ":3:5: unknown type 9"},
        {"(module (func)\n  (import \"a\" \"b\" (func (type 3))))", ":2:11: import after function"},
        {"(module\n  (import \"a\" \"b\" (func (type 3))))", ":2:3: unknown type 3"},
        {"(module\n  (table 1 (ref func)))", ":2:3: type mismatch"},
        {"(module\n  (elem (i32.const 0) func 0))", ":2:3: unknown table 0"},
        {"(module\n  (data (i32.const 0) \"\"))", ":2:3: unknown memory 0"},
        {"(module\n  (tag (result i32)))", ":2:3: non-empty tag result type"},
        {"(module\n  (func nop)\n  (func\n    (drop)))", ":4:6: type mismatch"},
    };
    char wanted[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = file("invalid.wat", rows[i].text);
        struct outcome o = hemi(NULL, "run", path);
        snprintf(wanted, sizeof wanted, "%s%s", path, rows[i].place);
        for (char *at = o.err; (at = strstr(at, "invalid module: ")) != NULL;)
            memmove(at, at + 16, strlen(at + 16) + 1);
        ck_in(o.err, wanted);
        outcome_deinit(&o);
    }
}
END_TEST

START_TEST(a_limit_that_a_flag_set_names_the_flag)
{
    static const char deep[] = "(func $f (export \"_start\") (call $f))";
    struct outcome o = hemi(NULL, "run", "--memory", "1MiB", file("memory.wat", "(memory 17)"));
    ck_in(o.err, "limit: memory_bytes: 1114112 bytes of all linear memories together asked for, at most 1048576 (the "
                 "limit is that of --memory)\n");
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--stack", "64KiB", file("deep.wat", deep));
    ck_in(o.err, "call stack exhausted (stack_bytes: at most 65536 bytes) in \"f\"");
    ck_in(o.err, "(the limit is that of --stack)\n");
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--heap", "1MiB",
             file("list.wat",
                  "(type $n (struct (field (ref null $n)))) (func (export \"_start\") (local (ref null $n))\n"
                  "  (loop $l (local.set 0 (struct.new $n (local.get 0))) (br $l)))"));
    ck_in(o.err, "heap exhausted (heap_bytes: at most 1048576 bytes) in ");
    ck_in(o.err, "(the limit is that of --heap)\n");
    outcome_deinit(&o);
    o = hemi(NULL, "run", file("deep.wat", deep));
    ck_in(o.err, "call stack exhausted (stack: at most ");
    ck_assert_msg(!strstr(o.err, "--stack"), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(a_component_is_told_by_its_proposal)
{
    static const char bytes[8] = "\0asm\x0D\0\1";
    char path[64];
    FILE *f = fopen(strcat(strcpy(path, dir), "/component"), "w");
    ck_assert(f != NULL && fwrite(bytes, 1, sizeof bytes, f) == sizeof bytes && fclose(f) == 0);
    struct outcome o = hemi(NULL, "asm", path);
    ck_in(o.err, "/component: a component, not a module (it belongs to the proposal `component model`, which is not");
    outcome_deinit(&o);
    o = hemi(NULL, "asm", file("component.wat", "(component)"));
    ck_in(o.err, "got \"(component\" (it belongs to the proposal `component model`, which is not");
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
    o = hemi(NULL, "ping", "--socket", "/nonexistent/socket");
    ck_assert_msg(strstr(o.err, "hemi: cannot connect: /nonexistent/socket: no daemon: ") == o.err, "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(the_place_of_an_invalid_text_is_in_the_outcome)
{
    static const char *const texts[] = {"(module\n  (func nop)\n  (func (drop)))",
                                        "(module (func)\n  (func\n     (bogus)))"};
    static const char *const places[] = {"\"line\":3,\"column\":10", "\"line\":3,\"column\":7"};
    struct daemon d;
    daemon_start(&d, NULL);
    for (size_t i = 0; i < 2; i++) {
        const char *path = file("invalid.wat", texts[i]);
        struct outcome o = hemi(NULL, "run", "--outcome-json", "1", path);
        ck_in(o.out, places[i]);
        outcome_deinit(&o);
        o = hemi(NULL, "validate", "--socket", d.socket, "--outcome-json", "1", path);
        ck_in(o.out, places[i]);
        outcome_deinit(&o);
    }
    daemon_stop(&d);
}
END_TEST

START_TEST(a_private_daemon_may_serve_without_a_word)
{
    struct outcome o = hemi(NULL, "run", "--quiet", file("hello.wat", HELLO));
    ck_assert_str_eq(o.out, "hello, world\n");
    ck_assert_str_eq(o.err, "");
    outcome_deinit(&o);
}
END_TEST

START_TEST(a_wrong_argument_is_told_how_its_type_is_written)
{
    static const char *const rows[][3] = {
        {"i32", "1_000", "which is a whole number in range, such as 10, -1 or 0x1f\n"},
        {"f64", "one", "which is a number such as 1.5, -1e3, 0x1p-3, inf or nan\n"},
        {"v128", "1", "which is 0x and 32 hexadecimal digits\n"},
        {"externref", "1", "which is null only\n"},
        {"anyref", "x", "which is null, or an i31's number\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[96];
        snprintf(text, sizeof text, "(func (export \"f\") (param %s))", rows[i][0]);
        struct outcome o = hemi(NULL, "run", "--quiet", "--invoke", "f", file("value.wat", text), rows[i][1]);
        ck_in(o.err, rows[i][2]);
        outcome_deinit(&o);
    }
}
END_TEST

START_TEST(a_deadline_that_is_the_tenants_is_told_as_its_limit)
{
    static const char spin[] = "(func (export \"_start\") (loop (br 0)))";
    static const char said[] = "the tenant's limit, deadline: 500 ms";
    struct daemon d;
    daemon_start_tenants(&d, 1, "deadline = \"500ms\";");
    struct outcome o = hemi(NULL, "run", "--socket", d.socket, "--deadline", "10m", file("spin.wat", spin));
    ck_assert_int_eq(o.status, 208);
    ck_in(o.err, said);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--socket", d.socket, file("spin.wat", spin));
    ck_in(o.err, said);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--socket", d.socket, "--deadline", "100ms", file("spin.wat", spin));
    ck_assert_int_eq(o.status, 208);
    ck_assert_msg(!strstr(o.err, said), "%s", o.err);
    outcome_deinit(&o);
    daemon_stop(&d);
}
END_TEST

#define TESTS(t)                                                                                                       \
    tcase_add_test(t, a_trap_in_a_text_shows_line_and_column_of_each_frame);                                           \
    tcase_add_test(t, a_trap_in_a_binary_shows_its_offset);                                                            \
    tcase_add_test(t, how_a_program_ended_is_said_once);                                                               \
    tcase_add_test(t, an_invalid_text_is_refused_at_its_field_or_instruction);                                         \
    tcase_add_test(t, a_limit_that_a_flag_set_names_the_flag);                                                         \
    tcase_add_test(t, a_component_is_told_by_its_proposal);                                                            \
    tcase_add_test(t, the_place_of_an_invalid_text_is_in_the_outcome);                                                 \
    tcase_add_test(t, a_private_daemon_may_serve_without_a_word);                                                      \
    tcase_add_test(t, a_wrong_argument_is_told_how_its_type_is_written);                                               \
    tcase_add_test(t, a_deadline_that_is_the_tenants_is_told_as_its_limit);                                            \
    tcase_add_test(t, a_refused_file_is_named_once)

TOOL_SUITE("tool_message", TESTS)
