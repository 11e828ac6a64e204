/* What `hemi run` calls, with which limits, and what its WASI says. */
#include <fcntl.h>
#include <sys/wait.h>

#include "tests/e2e/tool_rig.h"

static void expect_run(int status, const char *out, const char *err, struct outcome o)
{
    ck_assert_msg(o.status == status && strcmp(o.out, out) == 0 && strstr(o.err, err), "%d: %s%s", o.status, o.out,
                  o.err);
    outcome_deinit(&o);
}

/* It was refused: "room for 0 results". */
START_TEST(start_may_have_results)
{
    const char *path =
        file("start.wat", "(module (func (export \"_start\") (result i32 i64) (i32.const 7) (i64.const 8)))");
    expect_run(0, "", "", hemi(NULL, "run", path));
    expect_run(0, "7\n8\n", "", hemi(NULL, "run", "--invoke", "_start", path));
    path = file("start.wat", "(module (func (export \"_start\") (param i32)))");
    expect_run(204, "", "_start takes 1 arguments", hemi(NULL, "run", path));
    path = file("start.wat", "(module (global (export \"_start\") i32 (i32.const 1)))");
    expect_run(204, "", "'_start', but it is no function", hemi(NULL, "run", path));
}
END_TEST

/* Invoked by name, it ran twice. */
START_TEST(initialize_runs_once)
{
    const char *path = file("reactor.wat", "(module (global $n (mut i32) (i32.const 0))\n"
                                           "  (func (export \"_initialize\") (if (global.get $n) (then unreachable))"
                                           " (global.set $n (i32.const 1)))\n"
                                           "  (func (export \"count\") (result i32) (global.get $n)))");
    expect_run(0, "", "", hemi(NULL, "run", path));
    expect_run(0, "", "", hemi(NULL, "run", "--invoke", "_initialize", path));
    expect_run(0, "1\n", "", hemi(NULL, "run", "--invoke", "count", path));
    expect_run(0, "1\n", "", hemi(NULL, "run", path, "--invoke", "count"));
    expect_run(200, "", "count: arguments: 0 are needed, 1 given", hemi(NULL, "run", "--invoke", "count", path, "1"));
    path = file("failing.wat", "(module (func (export \"_initialize\") unreachable)\n"
                               "  (func (export \"count\") (result i32) (i32.const 1)))");
    expect_run(205, "", "_initialize: trap: unreachable", hemi(NULL, "run", "--invoke", "count", path));
}
END_TEST

START_TEST(limits_are_given_with_units)
{
    char depth[128], grow[128], trees[128];
    snprintf(depth, sizeof depth, "%s",
             file("depth.wat", "(module (func $d (export \"depth\") (param i32) (result i32)\n"
                               "  (if (result i32) (local.get 0) (then (i32.add (i32.const 1)"
                               " (call $d (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0)))))"));
    snprintf(grow, sizeof grow, "%s",
             file("grow.wat", "(module (memory 1) (func (export \"grow\") (param i32) (result i32)"
                              " (memory.grow (local.get 0))))"));
    snprintf(trees, sizeof trees, "%s",
             file("list.wat",
                  "(module (type $n (struct (field (ref null $n)))) (global $l (mut (ref null $n)) (ref.null $n))\n"
                  "  (func (export \"list\") (param i32) (loop $l (global.set $l (struct.new $n (global.get $l)))"
                  " (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"));
    expect_run(205, "", "call stack exhausted", hemi(NULL, "run", "--invoke", "depth", depth, "100000"));
    expect_run(0, "100000\n", "", hemi(NULL, "run", "--stack", "16MiB", "--invoke", "depth", depth, "100000"));
    expect_run(0, "1\n", "",
               hemi(NULL, "run", "--memory", "1100MiB", "--heap", "600MiB", "--invoke", "grow", grow, "17000"));
    expect_run(207, "", "--stack: stack: 1073741824 bytes asked for, at most 67108864",
               hemi(NULL, "run", "--stack", "1GiB", depth));
    expect_run(0, "1\n", "", hemi(NULL, "run", "--invoke", "grow", "--memory", "128KiB", grow, "1"));
    expect_run(0, "-1\n", "", hemi(NULL, "run", "--invoke", "grow", "--memory", "131072B", grow, "2"));
    expect_run(205, "", "heap exhausted", hemi(NULL, "run", "--invoke", "list", "--heap", "1MiB", trees, "200000"));
    expect_run(0, "", "", hemi(NULL, "run", "--invoke", "list", "--heap", "64MiB", trees, "200000"));
    static const char *const longest[] = {"4294967295", "4294967s", "71582m", "1193h"};
    for (size_t i = 0; i < sizeof longest / sizeof *longest; i++)
        expect_run(0, "0\n", "", hemi(NULL, "run", "--invoke", "depth", "--deadline", longest[i], depth, "0"));
    static const char *const wrong[][2] = {{"--stack", "1MB"},
                                           {"--heap", "1 MiB"},
                                           {"--memory", "-1"},
                                           {"--heap", "0"},
                                           {"--deadline", "1.5s"},
                                           {"--stack", "17179869184GiB"},
                                           {"--heap", ""},
                                           {"--deadline", "2000h"},
                                           {"--stack", "17179869185GiB"},
                                           {"--heap", "99999999999999999999"},
                                           {"--deadline", "4294967296ms"},
                                           {"--deadline", "4294968s"},
                                           {"--deadline", "71583m"},
                                           {"--deadline", "1194h"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_run(200, "", wrong[i][0], hemi(NULL, "run", wrong[i][0], wrong[i][1], depth));
}
END_TEST

/* What `hemi`, copied beside a program that writes its arguments down (and 9, if it has that descriptor), tells that.
 */
static void ck_raises(const char *wanted, const char *option, const char *size)
{
    char script[1024], said[256] = "";
    snprintf(script, sizeof script,
             "cd '%s' && cp '%s' . && cat >hemid <<'END' && chmod +x hemid\n"
             "#!/bin/sh\n[ ! -e /proc/self/fd/9 ] || set -- 9 \"$@\"\necho \"$@\" >\"$0.said\"\nEND\n"
             "./hemi run --outcome-json 9 --stack 1MiB %s %s hello.wat 9>/dev/null >/dev/null 2>&1",
             dir, built("hemi"), option, size);
    (void)!system(script);
    snprintf(script, sizeof script, "%s/hemid.said", dir);
    FILE *f = fopen(script, "r");
    ck_assert(f && fgets(said, sizeof said, f));
    fclose(f);
    ck_assert_str_eq(said, wanted);
}

/* The heap has two halves, and a call may have more than one stack; what has no end is told as such. */
START_TEST(a_private_daemon_has_room_for_the_limits_asked_for)
{
    file("hello.wat", HELLO);
    ck_raises("--private-fd 3 --raise stack=1048576 --raise heap=3145728 --raise memory=1082130432\n", "--heap",
              "3MiB");
    ck_raises("--private-fd 3 --raise stack=1048576 --raise linear_memory=9223372036854775808 --raise "
              "memory=18446744073709551615\n",
              "--memory", "9223372036854775808");
    ck_raises("--private-fd 3 --raise stack=1048576 --raise heap=9223372036854775807 --raise "
              "memory=18446744073709551615\n",
              "--heap", "9223372036854775807");
}
END_TEST

/* It was given less than it asked for, without a word. */
START_TEST(more_than_the_tenant_may_have_is_refused)
{
    static const char *const asked[][2] = {{"--stack", "2MiB"}, {"--heap", "65MiB"}, {"--memory", "17MiB"}};
    struct daemon d;
    daemon_start_tenants(&d, 1, "heap = \"64MiB\"; linear_memory = \"16MiB\"; stack = \"1MiB\";");
    setenv("HEMI_SOCKET", daemon_socket(&d, 0), 1);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        expect_run(207, "", asked[i][0], hemi(NULL, "run", asked[i][0], asked[i][1], file("hello.wat", HELLO)));
    expect_run(0, "hello, world\n", "",
               hemi(NULL, "run", "--stack", "1MiB", "--heap", "64MiB", "--memory", "16MiB", file("hello.wat", HELLO)));
    daemon_stop(&d);
}
END_TEST

/* It linked, and returned ENOSYS or trapped when it was called. */
START_TEST(an_unknown_function_of_wasi_does_not_link)
{
    const char *path = file("unknown.wat", "(module " WASI "\"fd_frobnicate\" (func (param i32) (result i32)))\n"
                                           "  (func (export \"_start\")))");
    expect_run(203, "", "\"fd_frobnicate\"", hemi(NULL, "run", path));
    path = file("known.wat", "(module " WASI "\"fd_readdir\" (func (param i32 i32 i32 i64 i32) (result i32)))\n"
                             "  (func (export \"_start\")))");
    expect_run(0, "", "", hemi(NULL, "run", path));
    path = file("typed.wat", "(module " WASI "\"fd_readdir\" (func (param i32) (result i32)))\n"
                             "  (func (export \"_start\")))");
    expect_run(203, "", "\"fd_readdir\" is (func (param i32 i32 i32 i64 i32) (result i32))", hemi(NULL, "run", path));
}
END_TEST

/* The end of a pseudo terminal, and not the one that controls this test. */
static int open_terminal(int *other)
{
    *other = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(*other >= 0 && grantpt(*other) == 0 && unlockpt(*other) == 0);
    int fd = open(ptsname(*other), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* Everything was a terminal. The guest exits with the sum of 1, 2 and 4 for those of its streams that are. */
START_TEST(only_terminals_are_terminals)
{
    char path[128];
    int other, terminal = open_terminal(&other), null = open("/dev/null", O_RDWR);
    snprintf(
        path, sizeof path, "%s",
        file("isatty.wat",
             "(module " WASI "\"fd_fdstat_get\" (func $stat (param i32 i32) (result i32)))\n"
             "  " WASI "\"fd_filestat_get\" (func $file (param i32 i32) (result i32)))\n"
             "  " WASI "\"proc_exit\" (func $x (param i32))) (memory (export \"memory\") 1)\n"
             "  (func $one (param i32) (result i32)\n"
             "    (drop (call $stat (local.get 0) (i32.const 0))) (drop (call $file (local.get 0) (i32.const 64)))\n"
             "    (if (i32.ne (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 80))) (then unreachable))\n"
             "    (i32.shl (i32.eq (i32.load8_u (i32.const 0)) (i32.const 2)) (local.get 0)))\n"
             "  (func (export \"_start\") (call $x (i32.add (call $one (i32.const 0))\n"
             "    (i32.add (call $one (i32.const 1)) (call $one (i32.const 2)))))))"));
    for (int which = 0; which < 8; which++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            for (int fd = 0; fd < 3; fd++) dup2(which >> fd & 1 ? terminal : null, fd);
            execl(built("hemi"), "hemi", "run", path, (char *)NULL);
            _exit(127);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == which, "%d: %x", which, (unsigned)status);
    }
    close(terminal);
    close(other);
    close(null);
}
END_TEST

static void tests(TCase *t)
{
    tcase_add_test(t, start_may_have_results);
    tcase_add_test(t, initialize_runs_once);
    tcase_add_test(t, limits_are_given_with_units);
    tcase_add_test(t, a_private_daemon_has_room_for_the_limits_asked_for);
    tcase_add_test(t, more_than_the_tenant_may_have_is_refused);
    tcase_add_test(t, an_unknown_function_of_wasi_does_not_link);
    tcase_add_test(t, only_terminals_are_terminals);
}

TOOL_SUITE("tool_run", tests)
