/* What the `hemi` command writes, and what becomes of what it cannot write; what it takes for a module and a variable.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/e2e/tool_rig.h"

/* Writes "err\n", or what else has that length, so many times; and for ever with 0. */
#define WRITER(fd, times) WRITER_OF("\\04\\00", fd, times)
#define WRITER_OF(length, fd, times)                                                                                   \
    "(module " WASI "\"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"                                   \
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\64\\00\\00\\00" length "\\00\\00\")\n"                   \
    "  (data (i32.const 100) \"err\\n\")\n"                                                                            \
    "  (func (export \"_start\") (local $n i32) (local.set $n (i32.const " times "))\n"                                \
    "    (loop $l (drop (call $w (i32.const " fd ") (i32.const 0) (i32.const 1) (i32.const 64)))\n"                    \
    "      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"

static struct outcome shell(const char *script, const char *argument)
{
    return run_program((const char *const[]){"/bin/sh", "-c", script, built("hemi"), argument, NULL}, NULL);
}

/* Half of it was lost: EAGAIN was taken for an end. 50,000 bytes are written in parts. */
START_TEST(output_that_does_not_block_loses_nothing)
{
    static const char *const writers[] = {WRITER_OF("\\50\\c3", "1", "8"), WRITER("1", "100000"),
                                          WRITER("2", "100000")};
    static const int fds[] = {STDOUT_FILENO, STDOUT_FILENO, STDERR_FILENO};
    for (int i = 0; i < 3; i++) {
        int ends[2], status;
        char path[128], some[4096];
        size_t all = 0;
        snprintf(path, sizeof path, "%s", file("writer.wat", writers[i]));
        ck_assert_int_eq(pipe(ends), 0);
        fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
        pid_t pid = fork();
        if (pid == 0) {
            dup2(ends[1], fds[i]);
            execl(built("hemi"), "hemi", "run", path, (char *)NULL);
            _exit(127);
        }
        close(ends[1]);
        usleep(100000); /* it is full when we begin to read */
        for (ssize_t n; (n = read(ends[0], some, sizeof some)) > 0; usleep(100)) all += (size_t)n;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0 && (fds[i] == STDERR_FILENO ? all > 400000 : all == 400000), "%x, %zu",
                      (unsigned)status, all);
        close(ends[0]);
    }
}
END_TEST

/* All of these were 0. What the command itself prints is output, too. */
START_TEST(output_that_cannot_be_written_is_an_error)
{
    static const char *const scripts[] = {"\"$0\" run \"$1\" >/dev/full",
                                          "\"$0\" run \"$1\" >&-",
                                          "\"$0\" asm \"$1\" >/dev/full",
                                          "\"$0\" asm \"$1\" >&-",
                                          "\"$0\" wat \"$1\" >/dev/full",
                                          "\"$0\" --help >/dev/full",
                                          "\"$0\" run --invoke _start \"$1\" >/dev/full",
                                          "\"$0\" --version >&-"};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct outcome o = shell(scripts[i], file("hello.wat", HELLO));
        ck_assert_msg(o.status == 210 && strstr(o.err, "hemi: standard output: "), "%zu: %d: %s", i, o.status, o.err);
        outcome_deinit(&o);
    }
    struct outcome o = shell("\"$0\" run --outcome-json 1 \"$1\" 2>/dev/full", file("err.wat", WRITER("2", "1")));
    ck_assert_msg(o.status == 210 && strstr(o.out, "\"message\":\"standard error: "), "%d: %s", o.status, o.out);
    outcome_deinit(&o);
    o = shell("\"$0\" run \"$1\" >&-", file("quiet.wat", "(module (func (export \"_start\")))"));
    ck_assert_msg(o.status == 0, "nothing was written: %d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = shell("\"$0\" run --invoke f \"$1\" >/dev/full", /* nor does another function run behind the one that wrote */
              file("init.wat",
                   "(module " WASI "\"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"
                   "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\08\\00\\00\\00\\01\\00\\00\\00!\")\n"
                   "  (func (export \"_initialize\")\n"
                   "    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))))\n"
                   "  (func (export \"f\") (loop $l (br $l))))"));
    ck_assert_msg(o.status == 210 && strstr(o.err, "hemi: standard output: "), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    static const char *const silent[] = {"\"$0\" run \"$1\" 2>/dev/full", "\"$0\" run \"$1\" 2>&-"};
    for (size_t i = 0; i < 2; i++) {
        o = shell(silent[i], file("hello.wat", HELLO));
        ck_assert_msg(o.status == 0 && strcmp(o.out, "hello, world\n") == 0, "messages are no output: %d", o.status);
        outcome_deinit(&o);
    }
    o = shell("\"$0\" run --quiet --stats \"$1\" 2>/dev/full", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 210, "but counters that are asked for are: %d", o.status);
    outcome_deinit(&o);
}
END_TEST

/* Until it is in that call. Where the kernel does not say, it probably is. */
static void await_call(pid_t pid, long call)
{
    char path[64], line[32] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    while (strtol(line, NULL, 10) != call) {
        FILE *f = fopen(path, "r");
        bool told = f && fgets(line, sizeof line, f);
        if (f) fclose(f);
        usleep(told ? 1000 : 300000);
        if (!told) return;
    }
}

/* Until no more goes in. A pipe has room for so many pages, which not all writes fill. */
static void await_full(int in, int out)
{
    int there = 0, before = -1, full = fcntl(out, F_GETPIPE_SZ);
    while (there < full / 2 || there != before) {
        before = there;
        usleep(20000);
        ck_assert_int_eq(ioctl(in, FIONREAD, &there), 0);
    }
}

/* `hemi run` with a deadline of that program, which writes into a pipe that nobody reads. */
static void expect_late(const char *path, int fd, bool blocks)
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    if (!blocks) fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], fd);
        execl(built("hemi"), "hemi", "run", "--quiet", "--deadline", "500ms", path, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 208, "%x", (unsigned)status);
    close(ends[0]);
    close(ends[1]);
}

/* It did not before somebody read. What is written in parts is broken off in the middle. */
START_TEST(a_deadline_ends_a_program_whose_output_nobody_reads)
{
    expect_late(file("endless.wat", WRITER("1", "0")), STDOUT_FILENO, true);
    expect_late(file("endless.wat", WRITER_OF("\\50\\c3", "1", "0")), STDOUT_FILENO, true);
    expect_late(file("endless.wat", WRITER("1", "0")), STDOUT_FILENO, false);
    expect_late(file("endless.wat", WRITER("2", "0")), STDERR_FILENO, true);
}
END_TEST

/* `hemi run` of that program ends by SIGINT, with standard output or error in a full pipe that nobody reads. */
static void expect_interrupted(const char *path, int fd, bool blocks)
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    if (!blocks) fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], fd);
        execl(built("hemi"), "hemi", "run", "--quiet", path, (char *)NULL);
        _exit(127);
    }
    await_full(ends[0], ends[1]);
    await_call(pid, blocks ? SYS_write : SYS_poll);
    kill(pid, SIGINT);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "%x", (unsigned)status);
    close(ends[0]);
    close(ends[1]);
}

/* It exited with 0. */
START_TEST(an_interrupt_ends_a_program_whose_output_nobody_reads)
{
    expect_interrupted(file("endless.wat", WRITER("1", "0")), STDOUT_FILENO, true);
    expect_interrupted(file("endless.wat", WRITER("1", "0")), STDOUT_FILENO, false);
    expect_interrupted(file("endless.wat", WRITER("2", "0")), STDERR_FILENO, true);
    expect_interrupted(file("endless.wat", WRITER("2", "0")), STDERR_FILENO, false);
}
END_TEST

/* 50,000 bytes: the second write goes in by a part, and a signal then ends it without an error. It went on to wait. */
START_TEST(an_interrupt_ends_a_write_of_which_a_part_is_done)
{
    expect_interrupted(file("endless.wat", WRITER_OF("\\50\\c3", "1", "0")), STDOUT_FILENO, true);
    expect_interrupted(file("endless.wat", WRITER_OF("\\50\\c3", "1", "0")), STDOUT_FILENO, false);
}
END_TEST

/* It never ended. */
START_TEST(an_endless_writer_ends_with_its_reader)
{
    struct outcome o = shell("{ \"$0\" run \"$1\"; echo $? >&2; } | head -n 1", file("endless.wat", WRITER("1", "0")));
    ck_assert_msg(strstr(o.err, "141\n") && !strstr(o.err, "Broken pipe"), "%s", o.err); /* SIGPIPE, as other tools */
    outcome_deinit(&o);
    o = shell("trap '' PIPE; { \"$0\" run \"$1\"; echo $? >&2; } | head -n 1", file("endless.wat", WRITER("1", "0")));
    ck_assert_msg(strstr(o.err, "hemi: standard output: Broken pipe\n210\n") != NULL, "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(input_that_cannot_be_read_is_an_error)
{
#define READER(then)                                                                                                   \
    "(module " WASI "\"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))\n"                                    \
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\40\\00\\00\\00\\08\\00\\00\\00\")\n"                     \
    "  (func (export \"_start\") (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))" then "))"
    static const char *const readers[] = {READER(""), READER("(loop $l (br $l))")}; /* nor does it go on for ever */
    struct outcome o;
    for (int i = 0; i < 2; i++) {
        o = shell("\"$0\" run \"$1\" </", file("reader.wat", readers[i]));
        ck_assert_msg(o.status == 210 && strstr(o.err, "standard input: Is a directory"), "%d: %s", o.status, o.err);
        outcome_deinit(&o);
    }
    o = shell("\"$0\" run \"$1\" <&-", file("reader.wat", readers[0]));
    ck_assert_msg(o.status == 0, "a closed one is empty: %d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

/* ESC, BEL, newlines, U+202E, U+009B and bytes that are no UTF-8: in words of the command line, names of files, text.
 */
#define EVIL "\x1B[31m\a\n\xE2\x80\xAE\xC2\x9B\xFF"
#define EXIT_126                                                                                                       \
    "(module " WASI "\"proc_exit\" (func $x (param i32)))"                                                             \
    " (memory (export \"memory\") 1) (func (export \"_start\") (call $x (i32.const 126))))"
#define SHOWN "\\x1b[31m\\x07\\x0a\\u{202e}\\u{9b}\\xff"
START_TEST(messages_give_no_orders_to_terminals)
{
    static const char *const words[][5] = {
        {EVIL},
        {"--" EVIL},
        {"run", "/nowhere/" EVIL},
        {"asm", "/nowhere/" EVIL, "-o", "x"},
        {"run", "--heap", EVIL, "x"},
        {"run", "--env", EVIL, "x"},
        {"ping", "--socket", "/nowhere/" EVIL},
        {"ping", "--token-file", "/nowhere/" EVIL},
        {"ping", "--count", EVIL},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct outcome o = hemi(NULL, words[i][0], words[i][1], words[i][2], words[i][3], words[i][4]);
        ck_assert_msg(o.status >= 200 && strstr(o.err, SHOWN), "%zu: %s", i, o.err);
        ck_assert_msg(strpbrk(o.err, "\x1B\a\xFF") == NULL && strchr(o.err, '\n') == o.err + strlen(o.err) - 1,
                      "%zu: %s", i, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

/* The same in lines that are no errors, and in JSON. */
START_TEST(lines_about_files_give_no_orders_to_terminals)
{
    struct daemon d;
    char path[128];
    struct outcome o = hemi(NULL, "run", "--stats", file(EVIL, HELLO));
    ck_assert_msg(o.status == 0 && strstr(o.err, SHOWN ", ") && !strpbrk(o.err, "\x1B\a\xFF"), "%d: %s", o.status,
                  o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--outcome-json", "1", file(EVIL, EXIT_126));
    ck_assert_msg(o.status == 209 && strstr(o.out, "\\\\x1b[31m\\\\x07\\\\x0a\\\\u{202e}"), "%d: %s", o.status, o.out);
    outcome_deinit(&o);
    daemon_start_tenants(&d, 1, NULL);
    setenv("HEMI_SOCKET", daemon_socket(&d, 0), 1);
    snprintf(path, sizeof path, "%s", file(EVIL, "(module)"));
    o = hemi(NULL, "validate", path);
    ck_assert_msg(o.status == 0 && strstr(o.out, SHOWN ": valid\n") && !strpbrk(o.out, "\x1B\a\xFF"), "%d: %s",
                  o.status, o.out);
    outcome_deinit(&o);
    daemon_stop(&d);
}
END_TEST

/* An escape takes up to four times the room of what it shows. */
START_TEST(no_escape_is_left_out)
{
    char bells[101] = "", wanted[402] = "";
    for (int i = 0; i < 100; i++) strcat(bells, "\a"), strcat(wanted, "\\x07");
    struct outcome o = hemi(NULL, bells);
    ck_assert_msg(o.status == 200 && strstr(o.err, strcat(wanted, "\n")), "%s", o.err);
    outcome_deinit(&o);
}
END_TEST

/* A status of ours stays what it is, whether it can be told or not; the first of two reasons counts. */
START_TEST(what_cannot_be_written_hides_no_status)
{
    struct daemon d;
    daemon_start_tenants(&d, 1, NULL);
    setenv("HEMI_SOCKET", daemon_socket(&d, 0), 1);
    file("first", "(first");
    const char *path = file("second", "(second");
    struct outcome o = shell("\"$0\" validate --outcome-json 3 \"${1%/*}/first\" \"$1\" 3>&1 >/dev/full", path);
    ck_assert_msg(o.status == 202 && strstr(o.out, "\"status\":202") && strstr(o.out, "first:1:"), "%d: %s", o.status,
                  o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "validate", "--outcome-json", "1", path, "/nowhere/at.all");
    ck_assert_msg(o.status == 201 && strstr(o.out, "{\"outcome\":\"file\",\"status\":201}"), "%d: %s", o.status, o.out);
    outcome_deinit(&o);
    daemon_stop(&d);
}
END_TEST

/* Of the daemon, before it has a log. */
START_TEST(complaints_of_hemid_give_no_orders_to_terminals)
{
    const char *const words[][2] = {{EVIL, NULL},
                                    {"--" EVIL, NULL},
                                    {"--log-level", EVIL},
                                    {"--config", "/nowhere/" EVIL},
                                    {"--raise", "stack=" EVIL},
                                    {"--check-config", "/nowhere/" EVIL}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct outcome o = run_program((const char *const[]){built("hemid"), words[i][0], words[i][1], NULL}, NULL);
        ck_assert_msg(o.status == 2 && strstr(o.err, "hemid: ") == o.err && strstr(o.err, "\\x1b"), "%zu: %d: %s", i,
                      o.status, o.err);
        ck_assert_msg(strpbrk(o.err, "\x1B\a\xFF") == NULL && strchr(o.err, '\n') == o.err + strlen(o.err) - 1,
                      "%zu: %s", i, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

START_TEST(errors_of_a_text_give_no_orders_to_terminals)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {
        {"(module (func (result \"\xE2\x80\xAE\")))", "\\u{202e}"},
        {"(module \"\x7F\")", "U+007F"},
        {"(module (func (call $\"a\\n\\1b\")))", "$a\\x0a\\x1b"},
        {"(module \"\x1B[31m\")", ""},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct outcome o = hemi(NULL, "asm", file("evil.wat", texts[i].text));
        ck_assert_msg(o.status == 202 && strstr(o.err, texts[i].shown), "%zu: %d: %s", i, o.status, o.err);
        ck_assert_msg(strpbrk(o.err, "\x1B\x7F\xE2") == NULL && strchr(o.err, '\n') == o.err + strlen(o.err) - 1,
                      "%zu: %s", i, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

/* An empty file passed for a module that is all defaults. asm copied a component. */
START_TEST(an_empty_file_and_a_component_are_no_modules)
{
    char path[128];
    static const char *const commands[] = {"run", "asm", "wat"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct outcome o = hemi(NULL, commands[i], file("empty.wasm", ""));
        ck_assert_msg(o.status == 202 && strstr(o.err, "empty"), "%d: %s", o.status, o.err);
        outcome_deinit(&o);
        snprintf(path, sizeof path, "%s", file("component.wasm", ""));
        FILE *f = fopen(path, "w");
        fwrite("\0asm\x0D\0\1\0", 1, 8, f);
        fclose(f);
        o = hemi(NULL, commands[i], path);
        ck_assert_msg(o.status == 202 && strstr(o.err, "component") && *o.out == 0, "%d: %s", o.status, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

/* asm copied all of these, with status 0. The last one is text. */
START_TEST(what_is_no_module_is_not_copied)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *said;
    } rows[] = {
        {"\0asm", 4, "not a binary module of version 1"},
        {"\0asm\2\0\0\0", 8, "not a binary module of version 1"},
        {"\0asm\1\0\0\0\1\5", 10, ""},
        {"\xFF\xFE\0\0(\0\0\0", 8, "UTF-32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s", file("none.wasm", ""));
        FILE *f = fopen(path, "w");
        fwrite(rows[i].bytes, 1, rows[i].size, f);
        fclose(f);
        struct outcome o = hemi(NULL, "asm", path);
        ck_assert_msg(o.status == 202 && strstr(o.err, rows[i].said) && *o.out == 0, "%zu: %d: %s", i, o.status, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

START_TEST(a_variable_has_a_name_and_a_value)
{
    static const char *const wrong[] = {"NAME", "", "=value"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct outcome o = hemi(NULL, "run", "--env", wrong[i], file("hello.wat", HELLO));
        ck_assert_msg(o.status == 200 && strstr(o.err, "NAME=VALUE"), "%d: %s", o.status, o.err);
        outcome_deinit(&o);
    }
    struct outcome o = hemi(NULL, "run", "--env", "NAME=", "--env", "A=b=c", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 0, "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

static void tests(TCase *t)
{
    tcase_add_test(t, output_that_does_not_block_loses_nothing);
    tcase_add_test(t, output_that_cannot_be_written_is_an_error);
    tcase_add_test(t, an_interrupt_ends_a_program_whose_output_nobody_reads);
    tcase_add_test(t, an_interrupt_ends_a_write_of_which_a_part_is_done);
    tcase_add_test(t, a_deadline_ends_a_program_whose_output_nobody_reads);
    tcase_add_test(t, an_endless_writer_ends_with_its_reader);
    tcase_add_test(t, input_that_cannot_be_read_is_an_error);
    tcase_add_test(t, messages_give_no_orders_to_terminals);
    tcase_add_test(t, lines_about_files_give_no_orders_to_terminals);
    tcase_add_test(t, no_escape_is_left_out);
    tcase_add_test(t, what_cannot_be_written_hides_no_status);
    tcase_add_test(t, complaints_of_hemid_give_no_orders_to_terminals);
    tcase_add_test(t, errors_of_a_text_give_no_orders_to_terminals);
    tcase_add_test(t, an_empty_file_and_a_component_are_no_modules);
    tcase_add_test(t, what_is_no_module_is_not_copied);
    tcase_add_test(t, a_variable_has_a_name_and_a_value);
}

TOOL_SUITE("tool_output", tests)
