/* The `hemi` tool as a user types it. */
#include "tests/e2e/tool_rig.h"

START_TEST(run_prints_what_the_guest_prints)
{
    struct outcome o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    ck_assert_str_eq(o.out, "hello, world\n");
    ck_assert_msg(strstr(o.err, "private") && strchr(o.err, '\n') == o.err + strlen(o.err) - 1, "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(run_prints_where_a_guest_trapped)
{
    const char *text = "(module (func (unreachable)) (func (export \"_start\") (call 0) (nop)))";
    struct outcome o = hemi(NULL, "run", file("trap.wat", text));
    ck_assert_int_eq(o.status, 205);
    const char *innermost = strstr(o.err, "\n    func[0] at 0x"), *outermost = strstr(o.err, "\n    _start at 0x");
    ck_assert_msg(innermost && outermost && innermost < outermost, "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(run_exits_with_the_guests_status)
{
    const char *text = "(module " WASI "\"proc_exit\" (func $x (param i32)))\n"
                       "  (memory (export \"memory\") 1) (func (export \"_start\") (call $x (i32.const 42))))";
    struct outcome o = hemi(NULL, "run", file("exit.wat", text));
    ck_assert_int_eq(o.status, 42);
    outcome_deinit(&o);
}
END_TEST

START_TEST(paths_have_no_directory_to_start_from)
{
    const char *text =
        "(module " WASI "\"path_open\" (func $o (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))\n"
        "  " WASI "\"proc_exit\" (func $x (param i32)))\n"
        "  " WASI "\"sock_accept\" (func $s (param i32 i32 i32) (result i32)))\n"
        "  (memory (export \"memory\") 1) (func (export \"_start\")\n"
        "    (call $x (i32.add (call $s (i32.const 9) (i32.const 0) (i32.const 0))\n"
        "      (call $o (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)\n"
        "        (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))))))";
    struct outcome o = hemi(NULL, "run", file("open.wat", text));
    ck_assert_msg(o.status == 8 + 52, "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(run_tells_a_trap_with_its_place)
{
    const char *text = "(module (func $inner unreachable) (func (export \"_start\") (call $inner)))";
    struct outcome o = hemi(NULL, "run", file("trap.wat", text));
    ck_assert_msg(o.status == 205, "%d", o.status);
    ck_assert_msg(strstr(o.err, "unreachable") && strstr(o.err, "function 0"), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(invoke_calls_an_export_and_prints_its_results)
{
    const char *path = file("add.wat", "(module (func (export \"add\") (param i32 i64 f64) (result i64 f64)\n"
                                       "  (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))\n"
                                       "  (f64.mul (local.get 2) (f64.const 2))))");
    struct outcome o = hemi(NULL, "run", "--invoke", "add", path, "2", "40", "1.5");
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    ck_assert_msg(strstr(o.out, "42") && strstr(o.out, "3"), "%s", o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--invoke", "sub", path);
    ck_assert_msg(o.status != 0 && strstr(o.err, "sub"), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(invoke_reads_and_prints_a_v128_as_one_hexadecimal_number)
{
    const char *path = file("v128.wat", "(module (func (export \"not\") (param v128) (result v128 v128)\n"
                                        "  (local.get 0) (v128.not (local.get 0))))");
    struct outcome o = hemi(NULL, "run", "--invoke", "not", path, "0x000102030405060708090a0b0c0d0e0f");
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    ck_assert_str_eq(o.out, "0x000102030405060708090a0b0c0d0e0f\n0xfffefdfcfbfaf9f8f7f6f5f4f3f2f1f0\n");
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--invoke", "not", path, "0x0102");
    ck_assert_msg(o.status != 0 && strstr(o.err, "v128"), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(asm_writes_a_binary_module_that_runs)
{
    char out[64];
    snprintf(out, sizeof out, "%s/hello.wasm", dir);
    struct outcome o = hemi(NULL, "asm", "--output", out, file("hello.wat", HELLO));
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "run", out);
    ck_assert_str_eq(o.out, "hello, world\n");
    outcome_deinit(&o);
    o = hemi(NULL, "asm", file("bad.wat", "(module\n  (func (i32.const)))"));
    ck_assert_msg(o.status == 202 && strstr(o.err, "bad.wat:2:19: expected a 32-bit integer, got \")\""), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

/* A pipe tells no size: it once passed for an empty file, and an empty text was a module. */
START_TEST(modules_are_read_from_standard_input_and_pipes)
{
    char wasm[64], command[256];
    snprintf(wasm, sizeof wasm, "%s/out.wasm", dir);
    struct outcome o = hemi("(module (func $f\n foo))", "asm", "-");
    ck_assert_msg(o.status == 202, "%d: %s", o.status, o.err);
    ck_assert_str_eq(o.err, "hemi: -:2:2: expected an instruction, got \"foo\"\n");
    outcome_deinit(&o);
    const char *const sources[] = {"-", "/dev/stdin"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "cat '%s' | '%s' asm %s -o '%s'", file("hello.wat", HELLO), built("hemi"),
                 sources[i], wasm);
        ck_assert_int_eq(system(command), 0);
        o = hemi(NULL, "run", wasm);
        ck_assert_str_eq(o.out, "hello, world\n");
        outcome_deinit(&o);
    }
    o = hemi(NULL, "asm", dir);
    ck_assert_msg(o.status == 201 && strstr(o.err, "Is a directory"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

/* The client once asked for no more input than it had at first, unless the program wrote something in between. */
START_TEST(a_program_that_only_reads_gets_all_of_its_input)
{
    const char *count =
        file("count.wat",
             "(module\n"
             "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))\n"
             "  (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))\n"
             "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\40\\00\\00\\00\\08\\00\\00\\00\")\n"
             "  (func (export \"_start\") (local $all i32)\n"
             "    (loop $more\n"
             "      (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))\n"
             "      (local.set $all (i32.add (local.get $all) (i32.load (i32.const 16))))\n"
             "      (br_if $more (i32.load (i32.const 16))))\n"
             "    (call $exit (local.get $all))))\n");
    const char *const inputs[] = {"", "hello", "more than one buffer of eight bytes"};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct outcome o = hemi(inputs[i], "run", "--deadline", "20000", count);
        ck_assert_msg(o.status == (int)strlen(inputs[i]), "%d: %s", o.status, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

/* Polling a descriptor was refused (ENOTSUP). One event: reading is kind 1, writing 2; 25 is added at the end of input.
 */
START_TEST(programs_may_poll_the_standard_streams)
{
    static const struct {
        int kind, fd;
        const char *in;
        int status;
    } polls[] = {{1, 0, "hello", 55}, {1, 0, "", 75}, {2, 1, "", 100}, {2, 2, "", 100}};
    for (size_t i = 0; i < sizeof polls / sizeof *polls; i++) {
        char text[1024];
        snprintf(
            text, sizeof text,
            "(module\n"
            "  (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))\n"
            "  (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))\n"
            "  (memory (export \"memory\") 1)\n"
            "  (data (i32.const 8) \"\\0%d\") (data (i32.const 16) \"\\0%d\") ;; what is polled\n"
            "  (data (i32.const 64) \"\\01\") (data (i32.const 76) \"\\01\") ;; a clock, of some seconds\n"
            "  (func (export \"_start\")\n"
            "    (if (call $poll (i32.const 0) (i32.const 200) (i32.const 2) (i32.const 100)) (then unreachable))\n"
            "    (if (i32.ne (i32.load (i32.const 100)) (i32.const 1)) (then unreachable))\n"
            "    (if (i32.load16_u (i32.const 208)) (then unreachable))\n"
            "    (i32.mul (i32.load8_u (i32.const 210)) (i32.const 50))\n"
            "    (i32.add (i32.load (i32.const 216)))\n"
            "    (i32.add (i32.mul (i32.load16_u (i32.const 224)) (i32.const 25)))\n"
            "    call $exit))\n",
            polls[i].kind, polls[i].fd);
        struct outcome o = hemi(polls[i].in, "run", "--deadline", "20000", file("poll.wat", text));
        ck_assert_msg(o.status == polls[i].status, "%zu: %d: %s", i, o.status, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

/* Text, binary, text, binary: the two binaries are the same, and so is what they print. */
START_TEST(wat_and_asm_undo_each_other)
{
    char first[64], text[64], second[64], command[256];
    snprintf(first, sizeof first, "%s/1.wasm", dir);
    snprintf(text, sizeof text, "%s/1.wat", dir);
    snprintf(second, sizeof second, "%s/2.wasm", dir);
    const char *const steps[][5] = {
        {"asm", file("hello.wat", HELLO), "-o", first}, {"wat", first, "-o", text}, {"asm", text, "-o", second}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct outcome o = hemi(NULL, steps[i][0], steps[i][1], steps[i][2], steps[i][3]);
        ck_assert_msg(o.status == 0, "%s: %d: %s", steps[i][0], o.status, o.err);
        outcome_deinit(&o);
    }
    snprintf(command, sizeof command, "cmp '%s' '%s'", first, second);
    ck_assert_int_eq(system(command), 0);
    struct outcome o = hemi(NULL, "run", second);
    ck_assert_str_eq(o.out, "hello, world\n");
    outcome_deinit(&o);
    o = hemi(NULL, "wat", "--no-names", first);
    ck_assert_msg(o.status == 0 && strstr(o.out, "    call 0\n"), "%s", o.out);
    outcome_deinit(&o);
}
END_TEST

/* One line each on standard output; a module made from text is wrong at a line, a binary one at a byte. */
START_TEST(validate_says_where_modules_are_wrong)
{
    char good[128], wrong[128], malformed[128], wasm[128], line[300];
    struct daemon d;
    daemon_start_tenants(&d, 1, NULL);
    setenv("HEMI_SOCKET", d.socket, 1);
    snprintf(good, sizeof good, "%s", file("good.wat", HELLO));
    snprintf(wrong, sizeof wrong, "%s", file("wrong.wat", "(func)\n(func (result i32)\n  (i32.eqz (f32.const 1)))"));
    snprintf(malformed, sizeof malformed, "%s", file("malformed.wat", "(func\n x)"));
    snprintf(wasm, sizeof wasm, "%s/wrong.wasm", dir);
    struct outcome o = hemi(NULL, "validate", good, good);
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "asm", wrong, "-o", wasm);
    outcome_deinit(&o);
    o = hemi(NULL, "validate", good, wrong, malformed, wasm);
    ck_assert_int_eq(o.status, 202);
    snprintf(line, sizeof line, "%s: valid\n", good);
    ck_assert_msg(strncmp(o.out, line, strlen(line)) == 0, "%s", o.out);
    snprintf(line, sizeof line, "\n%s:3:4: type mismatch", wrong);
    ck_assert_msg(strstr(o.out, line) != NULL, "%s", o.out);
    snprintf(line, sizeof line, "\n%s:2:2: expected an instruction, got \"x\"\n", malformed);
    ck_assert_msg(strstr(o.out, line) != NULL, "%s", o.out);
    snprintf(line, sizeof line, "\n%s:0x", wasm);
    ck_assert_msg(strstr(o.out, line) != NULL, "%s", o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "validate", good, "/nonexistent.wat");
    ck_assert_msg(o.status == 201 && strstr(o.err, "nonexistent"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    daemon_stop(&d);
}
END_TEST

START_TEST(a_bad_module_is_named_with_its_offset)
{
    char path[128];
    snprintf(path, sizeof path, "%s", file("bad.wasm", ""));
    FILE *f = fopen(path, "w");
    fwrite("\0asm\1\0\0\0\143\0", 1, 10, f);
    fclose(f);
    struct outcome o = hemi(NULL, "run", path);
    ck_assert_msg(o.status != 0 && strstr(o.err, "bad.wasm") && strstr(o.err, "0x8"), "%s", o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "/nowhere/at.all");
    ck_assert_msg(o.status != 0 && strstr(o.err, "/nowhere/at.all"), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

/* cat: reads standard input to its end and writes it out. */
static const char CAT[] =
    "(module " WASI "\"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"
    "  " WASI "\"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))\n"
    "  (memory (export \"memory\") 2)\n"
    "  (func (export \"_start\")\n"
    "    (block $done (loop $l\n"
    "      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 4096))\n"
    "      (br_if $done (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))\n"
    "      (br_if $done (i32.eqz (i32.load (i32.const 8))))\n"
    "      (i32.store (i32.const 4) (i32.load (i32.const 8)))\n"
    "      (br_if $done (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))\n"
    "      (br $l)))))";

START_TEST(standard_input_and_output_pass_through_whole)
{
    size_t n = 1 << 20;
    char *big = malloc(n + 1);
    for (size_t i = 0; i < n; i++) big[i] = (char)('a' + i % 23);
    big[n] = 0;
    struct outcome o = hemi(big, "run", file("cat.wat", CAT));
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    ck_assert_uint_eq(strlen(o.out), n);
    ck_assert(strcmp(o.out, big) == 0);
    outcome_deinit(&o);
    free(big);
}
END_TEST

START_TEST(a_given_socket_without_a_daemon_is_an_error)
{
    char path[64];
    snprintf(path, sizeof path, "%s/none.sock", dir);
    struct outcome o = hemi(NULL, "--socket", path, "ping");
    ck_assert_msg(o.status != 0 && strstr(o.err, path), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(info_ping_and_stats_of_a_daemon)
{
    struct daemon d;
    daemon_start_tenants(&d, 1, NULL);
    struct outcome o = hemi(NULL, "--socket", d.socket, "ping");
    ck_assert_msg(o.status == 0, "%s", o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "--socket", d.socket, "info");
    ck_assert_msg(o.status == 0 && strstr(o.out, "seccomp") && strstr(o.out, "landlock") && strstr(o.out, "heap"),
                  "%s%s", o.out, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "--socket", d.socket, "stats", "--json");
    ck_assert_msg(o.status == 0 && o.out[0] == '{', "%s%s", o.out, o.err);
    outcome_deinit(&o);
    daemon_stop(&d);
}
END_TEST

static void shows(const char *const *argv, int status, const char *in_out, const char *in_err)
{
    struct outcome o = run_program(argv, NULL);
    ck_assert_msg(o.status == status && strstr(o.out, in_out) && strstr(o.err, in_err), "%d: %s%s", o.status, o.out,
                  o.err);
    outcome_deinit(&o);
}
#define SHOWS(status, in_out, in_err, ...)                                                                             \
    shows((const char *const[]){built("hemi"), "code", "--quiet", __VA_ARGS__, NULL}, status, in_out, in_err)

START_TEST(code_shows_what_runs_beside_the_text)
{
    char binary[128];
    const char *text = file("code.wat", "(module (import \"a\" \"b\" (func $b))\n"
                                        " (func $div (export \"quotient\") (param i32 i32) (result i32)\n"
                                        "  (i32.div_s (local.get 0) (local.get 1)))\n"
                                        " (func $call (call $b)))");
    SHOWS(0, "I32_DIV_S_SS_R           d0 s0, s1  ; @0x", "", text);
    SHOWS(0, "| 3: i32.div_s (local.get 0) (local.get 1)))\n", "", text, "quotient");
    SHOWS(0, "| 3: i32.div_s (local.get 0) (local.get 1)))\n", "", text, "$div");
    SHOWS(0, "\"call\" (function 2): ", "", text, "2");
    SHOWS(204, "", "code.wat: 0: function 0 is imported: its code is elsewhere\n", text, "0");
    SHOWS(204, "", "code.wat: 3: function 3: the module has 3\n", text, "3");
    SHOWS(204, "", "code.wat: $sum: no function is exported as that, or has that name\n", text, "$sum");
    snprintf(binary, sizeof binary, "%s/code.wasm", dir);
    struct outcome o = hemi(NULL, "asm", text, "-o", binary);
    ck_assert_int_eq(o.status, 0);
    outcome_deinit(&o);
    SHOWS(0, ": i32.div_s)\n", "", binary, "div"); /* beside the text that the tool makes of it */
    SHOWS(202, "", "bad.wat:1:19: ", file("bad.wat", "(module (func $f (i32.add)))"));
    SHOWS(200, "", "hemi code --help", text, "1", "2");
    SHOWS(201, "", "No such file", "/nonexistent/code.wat");
}
END_TEST

START_TEST(wrong_usage_is_status_200_and_says_what)
{
    struct outcome o = hemi(NULL, "frobnicate");
    ck_assert_msg(o.status == 200 && strstr(o.err, "frobnicate"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "asm", "--frobnicate");
    ck_assert_msg(o.status == 200 && strstr(o.err, "hemi: ") == o.err, "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "asm", "-x", "x");
    ck_assert_msg(o.status == 200 && strcmp(o.err, "hemi: no such option: -x\n") == 0, "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "asm", "x", "-o");
    ck_assert_msg(o.status == 200 && strcmp(o.err, "hemi: -o: an argument is missing\n") == 0, "%d: %s", o.status,
                  o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "--help");
    ck_assert_msg(o.status == 0 && strstr(o.out, "run"), "%s", o.out);
    outcome_deinit(&o);
    o = run_program((const char *const[]){built("hemid"), "frobnicate", NULL}, NULL);
    ck_assert_msg(o.status == 2 && strstr(o.err, "\"frobnicate\""), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tool");
    TCase *t = tcase_create("hemi");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, run_prints_what_the_guest_prints);
    tcase_add_test(t, run_prints_where_a_guest_trapped);
    tcase_add_test(t, run_exits_with_the_guests_status);
    tcase_add_test(t, paths_have_no_directory_to_start_from);
    tcase_add_test(t, run_tells_a_trap_with_its_place);
    tcase_add_test(t, invoke_calls_an_export_and_prints_its_results);
    tcase_add_test(t, invoke_reads_and_prints_a_v128_as_one_hexadecimal_number);
    tcase_add_test(t, asm_writes_a_binary_module_that_runs);
    tcase_add_test(t, modules_are_read_from_standard_input_and_pipes);
    tcase_add_test(t, a_program_that_only_reads_gets_all_of_its_input);
    tcase_add_test(t, programs_may_poll_the_standard_streams);
    tcase_add_test(t, wat_and_asm_undo_each_other);
    tcase_add_test(t, validate_says_where_modules_are_wrong);
    tcase_add_test(t, a_bad_module_is_named_with_its_offset);
    tcase_add_test(t, standard_input_and_output_pass_through_whole);
    tcase_add_test(t, a_given_socket_without_a_daemon_is_an_error);
    tcase_add_test(t, info_ping_and_stats_of_a_daemon);
    tcase_add_test(t, code_shows_what_runs_beside_the_text);
    tcase_add_test(t, wrong_usage_is_status_200_and_says_what);
    suite_add_tcase(s, t);
    return run_suite(s);
}
