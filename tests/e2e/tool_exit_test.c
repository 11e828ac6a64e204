/* How the `hemi` command ends: exit statuses, --outcome-json, which commands start a daemon. */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "proto/frame.h"
#include "proto/hemi.pb-c.h"
#include "tests/e2e/tool_rig.h"

#define EXIT_WITH(code)                                                                                                \
    "(module " WASI "\"proc_exit\" (func $x (param i32)))"                                                             \
    " (memory (export \"memory\") 1) (func (export \"_start\") (call $x (i32.const " code "))))"
#define SPIN "(module (func (export \"_start\") (loop (br 0))))"

static void expect_end(struct outcome *o, int status, const char *word)
{
    char wanted[80];
    snprintf(wanted, sizeof wanted, "{\"outcome\":\"%s\",\"status\":%d", word, status);
    ck_assert_msg(o->status == status, "%s: %d: %s", word, o->status, o->err);
    ck_assert_msg(strstr(o->out, wanted) && o->out[strlen(o->out) - 1] == '\n', "%s: %s", word, o->out);
    if (status > 125)
        ck_assert_msg(strstr(o->out, "\"message\":\"") && strstr(o->err, "hemi: "), "%s%s", o->out, o->err);
    outcome_deinit(o);
}

/* Traps were 128 + n, as if a signal had ended the program; all else was 125. */
START_TEST(each_end_of_a_run_has_its_exit_status_and_its_word)
{
    static const struct {
        const char *text, *option, *argument;
        int status;
        const char *word;
    } ends[] = {
        {"(module (func (export \"_start\")))", "--gc-stress", "1000", 0, "ok"},
        {EXIT_WITH("125"), "--gc-stress", "1000", 125, "exit"},
        {EXIT_WITH("126"), "--gc-stress", "1000", 209, "exit-code"},
        {EXIT_WITH("-1"), "--gc-stress", "1000", 209, "exit-code"},
        {EXIT_WITH("256"), "--gc-stress", "1000", 209, "exit-code"},
        {"(module", "--gc-stress", "1000", 202, "invalid"},
        {"(module (func (result i32)))", "--gc-stress", "1000", 202, "invalid"},
        {"(module (import \"a\" \"b\" (func)))", "--gc-stress", "1000", 203, "link"},
        {"(module)", "--invoke", "nothing", 204, "export"},
        {"(module (memory (export \"m\") 1))", "--invoke", "m", 204, "export"},
        {"(module (func (export \"_start\") unreachable))", "--gc-stress", "1000", 205, "trap"},
        {"(module (tag $t) (func (export \"_start\") (throw $t)))", "--gc-stress", "1000", 206, "exception"},
        {"(module (memory 64))", "--memory", "1MiB", 207, "limit"},
        {SPIN, "--deadline", "50ms", 208, "deadline"},
        {"(module (func (export \"f\") (param i32)))", "--invoke", "f", 200, "usage"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct outcome o =
            hemi(NULL, "run", "--outcome-json", "1", ends[i].option, ends[i].argument, file("end.wat", ends[i].text));
        expect_end(&o, ends[i].status, ends[i].word);
    }
}
END_TEST

START_TEST(other_commands_have_the_same_exit_statuses)
{
    struct outcome o = hemi(NULL, "asm", "--outcome-json", "1", "/nowhere/at.all");
    expect_end(&o, 201, "file");
    o = hemi(NULL, "asm", "--outcome-json", "1", file("hello.wat", HELLO), "-o", "/nowhere/at.all");
    expect_end(&o, 201, "file");
    o = hemi(NULL, "--outcome-json", "1", "asm", file("wrong.wat", "(module"));
    expect_end(&o, 202, "invalid");
    o = hemi(NULL, "stats", "--outcome-json", "1", "and more");
    expect_end(&o, 200, "usage");
    o = hemi(NULL, "ping", "--outcome-json", "1", "--socket", "/nowhere/hemi.sock");
    expect_end(&o, 211, "no-daemon");
    o = hemi(NULL, "ping", "--outcome-json", "1", "--token-file", "/nowhere/token");
    expect_end(&o, 201, "file");
}
END_TEST

/* Nothing was written where something wrong stood before --outcome-json. */
START_TEST(what_is_wrong_before_outcome_json_is_in_it)
{
    struct outcome o = hemi(NULL, "run", "--env", "X", "--outcome-json", "1", "x");
    expect_end(&o, 200, "usage");
    o = hemi(NULL, "asm", "--nosuch", "x", "--outcome-json", "1");
    expect_end(&o, 200, "usage");
    o = hemi(NULL, "nosuch", "--outcome-json", "1");
    expect_end(&o, 200, "usage");
    o = hemi(NULL, "--socket", "", "--outcome-json", "1", "ping");
    expect_end(&o, 200, "usage");
    o = hemi(NULL, "run", "/nowhere/at.all", "--outcome-json", "1"); /* the program's */
    ck_assert_msg(o.status == 201 && *o.out == 0, "%d: %s", o.status, o.out);
    outcome_deinit(&o);
}
END_TEST

/* "cannot connect: : no daemon", and an empty token named the tenant of the user. */
START_TEST(an_empty_name_and_an_empty_token_are_errors)
{
    static const char *const words[][4] = {
        {"ping", "--socket", ""}, {"ping", "--token-file", ""}, {"asm", "-o", "", "x"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct outcome o = hemi(NULL, words[i][0], words[i][1], words[i][2], words[i][3]);
        ck_assert_msg(o.status == 200 && strstr(o.err, "empty"), "%zu: %d: %s", i, o.status, o.err);
        outcome_deinit(&o);
    }
    struct outcome o = hemi(NULL, "run", "");
    ck_assert_msg(o.status == 201 && strstr(o.err, "hemi: '': "), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    o = hemi(NULL, "ping", "--token-file", file("empty", "\n"));
    ck_assert_msg(o.status == 201 && strstr(o.err, "no token"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

/* One connection, which is told that and ends. With PROTOCOL it is told something else, with DEADLINE nothing. */
static void close_once(int listener, hemi_status status)
{
    static const char noise[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static uint8_t text[] = "for a reason";
    char hello[512];
    int fd = accept(listener, NULL, NULL);
    Hemi__V1__Close body = HEMI__V1__CLOSE__INIT;
    struct frame_writer w;
    body.status = status;
    body.text = (ProtobufCBinaryData){.data = text, .len = sizeof text - 1};
    frame_writer_init(&w);
    frame_writer_put(&w, &(struct frame_out){.type = FRAME_CLOSE, .body = &body.base});
    bool done = read(fd, hello, sizeof hello) > 0;
    if (status == HEMI_DEADLINE) _exit(done && read(fd, hello, sizeof hello) == 0 ? 0 : 1);
    done = done && (status == HEMI_PROTOCOL ? write(fd, noise, strlen(noise)) > 0 : frame_writer_send(&w, fd));
    close(fd);
    _exit(done ? 0 : 1);
}

START_TEST(what_a_daemon_says_has_its_exit_status)
{
    static const struct {
        hemi_status status;
        int exit;
        const char *word;
    } rows[] = {
        {HEMI_LIMIT, 207, "limit"},        {HEMI_NO_MEMORY, 207, "limit"},
        {HEMI_DRAINING, 211, "no-daemon"}, {HEMI_VERSION_MISMATCH, 211, "no-daemon"},
        {HEMI_DENIED, 212, "denied"},      {HEMI_CLOSED, 213, "lost"},
        {HEMI_PROTOCOL, 211, "no-daemon"}, {HEMI_DEADLINE, 211, "no-daemon"},
        {HEMI_WORKER_LOST, 213, "lost"},   {HEMI_INTERNAL, 214, "internal"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int status, listener = socket(AF_UNIX, SOCK_STREAM, 0);
        snprintf(address.sun_path, sizeof address.sun_path, "%s/%zu", dir, i);
        ck_assert(bind(listener, (const struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0);
        pid_t pid = fork();
        if (pid == 0) close_once(listener, rows[i].status);
        struct outcome o = hemi(NULL, "ping", "--outcome-json", "1", "--socket", address.sun_path);
        expect_end(&o, rows[i].exit, rows[i].word);
        ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
        close(listener);
    }
}
END_TEST

START_TEST(a_wrong_token_is_denied)
{
    struct daemon d;
    char token[128], key[128], config[1024];
    snprintf(token, sizeof token, "%s", file("wrong", "not this one, but another"));
    snprintf(key, sizeof key, "%s", file("key", "0123456789abcdef0123456789abcdef"));
    chmod(key, 0600);
    snprintf(config, sizeof config,
             "socket = { path = \"%%s/a.sock\"; };\ntenants = ({ name = \"a\"; token_file = \"%s\"; });\n", key);
    daemon_start(&d, config);
    struct outcome o =
        hemi(NULL, "--outcome-json", "1", "ping", "--socket", daemon_socket(&d, 0), "--token-file", token);
    expect_end(&o, 212, "denied");
    daemon_stop(&d);
}
END_TEST

START_TEST(outcome_json_says_which_trap_and_where)
{
    char path[128];
    snprintf(path, sizeof path, "%s",
             file("trap.wat", "(module $m (func $deep (drop (i32.div_s (i32.const 1) (i32.const 0))))\n"
                              "  (func (export \"_start\") (call $deep) (nop)))"));
    struct outcome o = hemi(NULL, "run", "--outcome-json", "1", path);
    const char *const parts[] = {"\"trap\":{\"kind\":\"DIV_ZERO\",\"number\":2}",
                                 "\"hemi_status\":\"TRAP\"",
                                 "\"function\":0,\"offset\":",
                                 "\"backtrace\":[{\"kind\":\"FUNC\",\"index\":0,\"offset\":",
                                 "\"line\":1,\"column\":31,\"module\":\"m\",\"name\":\"deep\"}",
                                 "\"line\":2,\"column\":28,\"module\":\"m\",\"name\":\"_start\"}"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(o.out, parts[i]) != NULL, "%s: %s", parts[i], o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--outcome-json", "1",
             file("constant.wat", "(module (type $a (array i64)) (global (ref $a)\n"
                                  " (array.new $a (i64.const 1) (i32.const 0x7FFFFFFF))))"));
    ck_assert_msg(strstr(o.out, "\"backtrace\":[{\"kind\":\"CONST\",\"index\":0,\"offset\":"), "%s", o.out);
    ck_assert_msg(!strstr(o.out, "\"module\":\"\"") && !strstr(o.out, "\"name\":\"\""), "%s", o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--outcome-json", "1", "--stack", "1GiB", path);
    ck_assert_msg(o.status == 207 && strstr(o.out, "\"limit\":\"stack\""), "%s", o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--outcome-json", "1", "--memory", "1MiB", file("large.wat", "(module (memory 64))"));
    ck_assert_msg(o.status == 207 && strstr(o.out, "\"limit\":\"memory_bytes\""), "%s", o.out);
    outcome_deinit(&o);
    o = hemi(NULL, "run", "--outcome-json", "1", file("exit.wat", EXIT_WITH("-7")));
    ck_assert_msg(strstr(o.out, "\"exit_code\":-7") != NULL, "%s", o.out);
    outcome_deinit(&o);
    const char *const wrong[] = {"0x", "97", "-1", "0"}; /* closed; standard input is read */
    for (size_t i = 0; i < 3; i++) {
        o = hemi(NULL, "run", "--outcome-json", wrong[i], "x");
        ck_assert_msg(o.status == 200 && strstr(o.err, "outcome-json"), "%d: %s", o.status, o.err);
        outcome_deinit(&o);
    }
    o = run_program(
        (const char *const[]){"/bin/sh", "-c", "\"$0\" ping --outcome-json 0 </dev/null", built("hemi"), NULL}, NULL);
    ck_assert_msg(o.status == 200 && strstr(o.err, "writing"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(an_outcome_that_cannot_be_written_is_an_error)
{
    static const struct {
        const char *text;
        int status;
    } ends[] = {{"(module (func (export \"_start\")))", 210}, {"(module (func (export \"_start\") unreachable))", 205}};
    for (int i = 0; i < 2; i++) {
        struct outcome o =
            run_program((const char *const[]){"/bin/sh", "-c", "\"$0\" run --outcome-json 3 \"$1\" 3>/dev/full",
                                              built("hemi"), file("end.wat", ends[i].text), NULL},
                        NULL);
        ck_assert_msg(o.status == ends[i].status && strstr(o.err, "hemi: --outcome-json 3: No space left"), "%d: %s",
                      o.status, o.err);
        outcome_deinit(&o);
    }
}
END_TEST

/* Its status was 130, and it had not been ended by a signal. */
START_TEST(an_interrupt_from_the_keyboard_ends_the_program_by_that_signal)
{
    int out[2], status;
    char path[128], word[64] = {0};
    snprintf(
        path, sizeof path, "%s",
        file("spin.wat",
             "(module " WASI "\"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"
             "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\08\\00\\00\\00\\01\\00\\00\\00!\")\n"
             "  (func (export \"_start\") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))\n"
             "    (loop (br 0))))"));
    ck_assert_int_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl(built("hemi"), "hemi", "run", "--outcome-json", "1", path, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    ck_assert_int_eq(read(out[0], word, 1), 1); /* it runs */
    kill(pid, SIGINT);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "%x", (unsigned)status);
    ck_assert_int_gt(read(out[0], word, sizeof word - 1), 0);
    ck_assert_msg(strstr(word, "{\"outcome\":\"interrupted\"") != NULL, "%s", word);
    close(out[0]);
}
END_TEST

/* Writes one byte when it is called first, then reads what its export `name` is to read. */
#define PASSING(name, and)                                                                                             \
    "(module " WASI "\"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"                                   \
    "  " WASI "\"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))\n"                                          \
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\08\\00\\00\\00\\01\\00\\00\\00!\")\n"                    \
    "  (func $write (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))))\n"                      \
    "  (func $read (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64))))\n"                       \
    "  (func (export \"" name "\") (call $write) (call $read)) " and                                                   \
        ")"

struct passing {
    pid_t pid;
    int in, out; /* our ends of its standard streams */
};

/* `hemi run` of the file, with these words before it, when it has written its byte. */
static struct passing passing_start(const char *path, void (*ignored)(int), const char *option, const char *value)
{
    int out[2], in[2];
    char byte;
    ck_assert(pipe(out) == 0 && pipe(in) == 0);
    struct passing p = {.pid = fork(), .in = in[1], .out = out[0]};
    if (p.pid == 0) {
        signal(SIGINT, ignored);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) close(in[i]), close(out[i]);
        execl(built("hemi"), "hemi", "run", option, value, path, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    close(in[0]);
    ck_assert_int_eq(read(p.out, &byte, 1), 1); /* it runs */
    return p;
}

static int passing_end(struct passing *p)
{
    int status;
    ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
    close(p->in);
    close(p->out);
    return status;
}

/* As nohup and `trap ''` ask for. */
START_TEST(an_interrupt_that_is_ignored_stays_so)
{
    struct passing p = passing_start(file("pass.wat", PASSING("_start", "")), SIG_IGN, "--gc-stress", "1000");
    kill(p.pid, SIGINT);
    usleep(300000); /* in which one that is not ignored ends it */
    ck_assert_int_eq(write(p.in, "?", 1), 1);
    ck_assert_int_eq(passing_end(&p), 0);
}
END_TEST

/* The interrupt was not even sent before there was input. */
START_TEST(an_interrupt_ends_a_program_that_waits_for_input)
{
    char word[64] = {0};
    struct passing p = passing_start(file("pass.wat", PASSING("_start", "")), SIG_DFL, "--outcome-json", "1");
    usleep(100000); /* by now it probably waits */
    kill(p.pid, SIGINT);
    ck_assert_int_gt(read(p.out, word, sizeof word - 1), 0);
    ck_assert_msg(strstr(word, "{\"outcome\":\"interrupted\"") != NULL, "%s", word);
    int status = passing_end(&p);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "%x", (unsigned)status);
}
END_TEST

/* The call was not sent before there was input, which the function before it had asked for. */
START_TEST(a_function_that_reads_nothing_waits_for_no_input)
{
    const char *path = file("init.wat", PASSING("_initialize", "(export \"f\" (func $write))"));
    char byte;
    struct passing p = passing_start(path, SIG_DFL, "--invoke", "f");
    ck_assert_int_eq(write(p.in, "?", 1), 1);
    ck_assert_int_eq(read(p.out, &byte, 1), 1);
    ck_assert_int_eq(passing_end(&p), 0);
}
END_TEST

/* Only run has a daemon of its own, and only where nobody named one and there is none. */
START_TEST(only_run_starts_a_daemon_and_says_so)
{
    static const char *const others[] = {"ping", "stats", "info", "validate"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct outcome o = hemi(NULL, others[i], i == 3 ? "-" : NULL);
        ck_assert_msg(o.status == 211 && !strstr(o.err, "private") && strstr(o.err, dir), "%d: %s", o.status, o.err);
        outcome_deinit(&o);
    }
    struct outcome o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 0 && strstr(o.err, "private") && strstr(o.err, dir), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    setenv("HEMI_SOCKET", "/nowhere/hemi.sock", 1);
    o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 211 && !strstr(o.err, "private"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    unsetenv("HEMI_SOCKET");
    o = hemi(NULL, "run", "--socket", "/nowhere/hemi.sock", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 211 && !strstr(o.err, "private"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    setenv("HEMI_SOCKET", "", 1); /* names none */
    o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 0 && strstr(o.err, "private"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    unsetenv("HEMI_SOCKET");
    char place[128], loop[128];
    snprintf(loop, sizeof loop, "%s/loop", dir);
    ck_assert_int_eq(symlink(loop, loop), 0);
    setenv("XDG_RUNTIME_DIR", loop, 1); /* what is there cannot be told */
    o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 211 && !strstr(o.err, "private"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    setenv("XDG_RUNTIME_DIR", file("hello.wat", HELLO), 1); /* there can be none */
    o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 0 && strstr(o.err, "private"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
    setenv("XDG_RUNTIME_DIR", dir, 1);
    snprintf(place, sizeof place, "%s/hemi", dir);
    ck_assert_int_eq(mkdir(place, 0700), 0);
    file("hemi/hemi.sock", "what was left by a daemon that nobody runs");
    o = hemi(NULL, "run", file("hello.wat", HELLO));
    ck_assert_msg(o.status == 211 && !strstr(o.err, "private"), "%d: %s", o.status, o.err);
    outcome_deinit(&o);
}
END_TEST

/* A /run of our own, with that socket at the system's place. */
static bool enter_system(const char *socket)
{
    return unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", "/run", "tmpfs", 0, NULL) == 0 &&
           mkdir("/run/hemi", 0755) == 0 && symlink(socket, "/run/hemi/hemi.sock") == 0;
}

/* XDG_RUNTIME_DIR hid it. */
START_TEST(a_session_finds_the_daemon_of_the_system)
{
    struct daemon d;
    daemon_start_tenants(&d, 1, NULL);
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            if (!enter_system(daemon_socket(&d, 0))) _exit(77);
            execl(built("hemi"), "hemi", "ping", (char *)NULL);
            _exit(127);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == 77;
        if (skipped) printf("SKIPPED a_session_finds_the_daemon_of_the_system: no namespaces\n");
        if (!skipped)
            ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == (i == 0 ? 0 : 211), "%x", (unsigned)status);
        char place[64];
        snprintf(place, sizeof place, "%s/hemi", dir); /* the session's own comes first */
        if (i == 0) ck_assert_int_eq(mkdir(place, 0700), 0);
        if (i == 0) file("hemi/hemi.sock", "what was left by a daemon that nobody runs");
    }
    daemon_stop(&d);
}
END_TEST

/* What `hemi stats` printed were the counters of its own connection: zeros. */
static double counter(const struct daemon *d, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    struct outcome o = hemi(NULL, "--socket", daemon_socket(d, 0), "stats", "--json");
    const char *at = strstr(o.out, key);
    ck_assert_msg(o.status == 0 && at, "%s%s", o.out, o.err);
    double n = strtod(at + strlen(key), NULL);
    outcome_deinit(&o);
    return n;
}

START_TEST(stats_are_of_the_tenant_and_keep_what_has_ended)
{
    struct daemon d;
    hemi_store *store;
    daemon_start_tenants(&d, 1, NULL);
    hemi_client *client = client_open(daemon_socket(&d, 0)), *watcher = client_open(daemon_socket(&d, 0));
    hemi_object *f =
        export_of(instance_from(client,
                                "(module (type $s (struct (field i64))) (memory 2) (func (export \"f\") (param i32)"
                                " (result i32) (loop $l (drop (struct.new $s (i64.const 1)))"
                                " (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7)))",
                                &store),
                  "f");
    for (int i = 0; i < 10; i++) call_i32(f, 1, 1000);
    ok(client, hemi_store_gc(store, NULL));
    ck_assert(counter(&d, "calls") == 10);
    ck_assert(counter(&d, "stores") == 1);
    ck_assert(counter(&d, "memory_bytes") == 2 * 65536);
    double made = counter(&d, "bytes_allocated"), collections = counter(&d, "collections"),
           frames = counter(&d, "frames_in");
    ck_assert(made >= 10 * 1000 * 8 && collections >= 1 && frames >= 10);
    ok(client, hemi_store_close(store, NULL));
    hemi_client_free(client);
    double stores = 1;
    for (int i = 0; i < 1000 && stores > 0; i++)
        stores = counter(&d, "stores"); /* its end is not this client's to see */
    ck_assert(stores == 0);
    ck_assert(counter(&d, "calls") == 10);
    ck_assert(counter(&d, "instances") == 0);
    ck_assert(counter(&d, "bytes_allocated") == made);
    ck_assert(counter(&d, "collections") >= collections);
    ck_assert(counter(&d, "frames_in") > frames);
    hemi_client_free(watcher);
    daemon_stop(&d);
}
END_TEST

START_TEST(the_page_about_the_command_is_what_it_prints)
{
    char script[512];
    snprintf(script, sizeof script, "'%s' --help-page | diff - '%s/docs/tool.md'", built("hemi"), HEMI_SOURCE_DIR);
    ck_assert_msg(system(script) == 0, "docs/tool.md is not what `hemi --help-page` prints");
}
END_TEST

static void tests(TCase *t)
{
    tcase_add_test(t, each_end_of_a_run_has_its_exit_status_and_its_word);
    tcase_add_test(t, other_commands_have_the_same_exit_statuses);
    tcase_add_test(t, what_is_wrong_before_outcome_json_is_in_it);
    tcase_add_test(t, an_empty_name_and_an_empty_token_are_errors);
    tcase_add_test(t, what_a_daemon_says_has_its_exit_status);
    tcase_add_test(t, a_wrong_token_is_denied);
    tcase_add_test(t, outcome_json_says_which_trap_and_where);
    tcase_add_test(t, an_outcome_that_cannot_be_written_is_an_error);
    tcase_add_test(t, an_interrupt_from_the_keyboard_ends_the_program_by_that_signal);
    tcase_add_test(t, an_interrupt_that_is_ignored_stays_so);
    tcase_add_test(t, an_interrupt_ends_a_program_that_waits_for_input);
    tcase_add_test(t, a_function_that_reads_nothing_waits_for_no_input);
    tcase_add_test(t, only_run_starts_a_daemon_and_says_so);
    tcase_add_test(t, a_session_finds_the_daemon_of_the_system);
    tcase_add_test(t, stats_are_of_the_tenant_and_keep_what_has_ended);
    tcase_add_test(t, the_page_about_the_command_is_what_it_prints);
}

TOOL_SUITE("tool_exit", tests)
