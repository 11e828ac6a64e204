/* tests/unit/server/config/config_test.c -- the configuration: rows, units, files good and bad, dump and manual. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/common/inherited.h"
#include "server/supervisor/apart.h"
#include "tests/unit/suite.h"

/* libconfig 1.5 loses a string that the file does not end; the process that reads such a file then ends anyway. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:strbuf_append\nleak:libconfig\n"; }

static char directory[64];
static struct config config;
static struct config_error error;

static const char *path_of(const char *name)
{
    static char path[4][128];
    static int next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", directory, name);
    return out;
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static const char *write_token(const char *name, const char *text)
{
    const char *path = write_file(name, text);
    ck_assert_int_eq(chmod(path, 0600), 0);
    return path;
}

static void setup(void)
{
    strcpy(directory, "/tmp/hemi-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    config_set_defaults(&config);
    error.text[0] = 0;
}

static void teardown(void)
{
    char command[96];
    config_deinit(&config);
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static int load(const char *text) { return config_load(&config, write_file("c.conf", text), &error); }

static void forget(void)
{
    config_deinit(&config);
    config_set_defaults(&config);
}

/* `text` is refused, and the message has `where` (file:line) and `why`. */
static void refused(const char *text, const char *where, const char *why)
{
    forget();
    ck_assert_msg(load(text) == -EINVAL, "accepted: %s", text);
    ck_assert_msg(strstr(error.text, where) != NULL, "\"%s\" lacks \"%s\"", error.text, where);
    ck_assert_msg(strstr(error.text, why) != NULL, "\"%s\" lacks \"%s\"", error.text, why);
}

START_TEST(defaults_are_within_their_ranges)
{
#define IN_RANGE(name, kind, def, min, max, doc) RANGE_##kind(name, def, min, max)
#define RANGE_SIZE(name, def, min, max) ck_assert_msg((def) + 1ull > (min) && (def) <= (max), #name);
#define RANGE_DURATION RANGE_SIZE
#define RANGE_COUNT RANGE_SIZE
#define RANGE_LEVEL RANGE_SIZE
#define RANGE_FORMAT RANGE_SIZE
#define RANGE_NEED RANGE_SIZE
#define RANGE_SWITCH RANGE_SIZE
#define RANGE_TEXT(name, def, min, max)                                                                                \
    ck_assert_msg(sizeof(def) - 1 + 1ull > (min) && sizeof(def) - 1 <= (max), #name);
    LIMIT_OPTIONS(IN_RANGE)
    DAEMON_OPTIONS(IN_RANGE)
    ck_assert_uint_eq(config.limits.memory, GIB);
    ck_assert_uint_eq(config.socket.mode, 0600);
    ck_assert_uint_eq(config.options.log_level, LOG_INFO);
}
END_TEST

START_TEST(units)
{
    uint64_t v;
    ck_assert_int_eq(config_parse_size("64MiB", &v), 0);
    ck_assert_uint_eq(v, 64 * MIB);
    ck_assert_int_eq(config_parse_size("12", &v), 0);
    ck_assert_uint_eq(v, 12);
    ck_assert_int_eq(config_parse_size("17179869183GiB", &v), 0);
    ck_assert_int_eq(config_parse_size("17179869184GiB", &v), -ERANGE);
    ck_assert_int_eq(config_parse_size("99999999999999999999", &v), -ERANGE);
    const char *bad[] = {"", "-1", " 1", "1 MiB", "MiB", "1MB", "1.5GiB", "0x10", "1MiBx", "+1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ck_assert_int_eq(config_parse_size(bad[i], &v), -EINVAL);
    ck_assert_int_eq(config_parse_duration("250ms", &v), 0);
    ck_assert_uint_eq(v, 250);
    ck_assert_int_eq(config_parse_duration("2h", &v), 0);
    ck_assert_uint_eq(v, 7200000);
    ck_assert_int_eq(config_parse_duration("30", &v), 0);
    ck_assert_uint_eq(v, 30000);
    ck_assert_int_eq(config_parse_level("warning", &v), 0);
    ck_assert_uint_eq(v, LOG_WARNING);
    ck_assert_int_eq(config_parse_level("loud", &v), -EINVAL);
}
END_TEST

START_TEST(a_whole_file)
{
    char text[1024];
    snprintf(text, sizeof text,
             "log_level = \"debug\"; drain_timeout = 3;\n"
             "limits = { memory = \"128MiB\"; };\n"
             "socket = { path = \"/tmp/x.sock\"; mode = \"0666\"; };\n"
             "tenants = ({ name = \"alpha\"; socket = { path = \"/tmp/a.sock\"; }; },\n"
             "  { name = \"beta\"; token_file = \"%s\"; limits = { memory = 33554432; slice = \"5ms\"; }; },\n"
             "  { name = \"gamma\"; uids = [1000, 1001]; });\n",
             write_token("token", "0123456789abcdef\n"));
    ck_assert_msg(load(text) == 0, "%s", error.text);
    ck_assert_uint_eq(config.ntenants, 3);
    ck_assert_uint_eq(config.options.drain_timeout, 3000);
    ck_assert_uint_eq(config.tenants[0].limits.memory, 128 * MIB);
    ck_assert(config.tenants[0].has_socket);
    ck_assert_uint_eq(config.tenants[0].socket.mode, 0600);
    ck_assert_uint_eq(config.tenants[1].token_len, 16);
    ck_assert_uint_eq(config.tenants[1].limits.memory, 32 * MIB);
    ck_assert_uint_eq(config.tenants[1].limits.slice, 5);
    ck_assert_uint_eq(config.tenants[2].uids.count, 2);
    ck_assert_uint_eq(config.tenants[2].uids.at[1], 1001);
}
END_TEST

START_TEST(mistakes_are_named)
{
    refused("log_level = \"loud\";\n", "c.conf:1:", "log_level: expected one of debug");
    refused("\n\nnonsense = 3;\n", "c.conf:3:", "nonsense: unknown key");
    refused("limits = {\n memory = \"1\";\n};\n", "c.conf:2:", "memory: must be from 16MiB to 1024GiB");
    refused("limits = { memory = \"99999999999GiB\"; };", "c.conf:1:", "memory: must be");
    refused("limits = { memory = -5; };", "c.conf:1:", "memory: must be");
    refused("limits = { memory = 1.5; };", "c.conf:1:", "memory: expected a size");
    refused("limits = { memoryy = 1; };", "c.conf:1:", "memoryy: unknown key");
    refused("limits = 3;", "c.conf:1:", "expected a group");
    refused("socket = { };", "c.conf:1:", "needs a path");
    refused("socket = { path = \"/x\"; mode = 0660; };", "c.conf:1:", "mode: expected an octal");
    refused("socket = { path = \"/x\"; mode = \"1777\"; };", "c.conf:1:", "mode: must be");
    refused("tenants = ({ name = \"a\"; });", "c.conf:1:", "exactly one of");
    refused("tenants = ({ name = \"a\"; uids = [1]; socket = { path = \"/x\"; }; });", "c.conf:1:", "exactly one of");
    refused("tenants = ({ uids = [1]; });", "c.conf:1:", "needs a name");
    refused("tenants = ({ name = \"a b\"; uids = [1]; });", "c.conf:1: name: ", "is no name");
    refused("tenants = ({ name = \"a\"; uids = [65534]; });", "c.conf:1:", "identifies nobody");
    refused("tenants = ({ name = \"a\"; uids = [-1]; });", "c.conf:1:", "no user id");
    refused("tenants = ({ name = \"a\"; uids = (\"no-such-user-here\"); });", "c.conf:1:", "no user");
    refused("tenants = ({ name = \"a\"; uids = []; });", "c.conf:1:", "from 1 to 64");
    refused("tenants = ({ name = \"a\"; token_file = \"/nonexistent/t\"; });", "c.conf:1:", "/nonexistent/t: No such");
    refused("tenants = ({ name = \"a\"; uids = [1]; },\n { name = \"a\"; uids = [2]; });",
            "c.conf:2: name: ", "the same name");
    refused("tenants = ({ name = \"a\"; uids = [1]; },\n { name = \"b\"; uids = [2, 1]; });",
            "c.conf:2: uids: ", "same user id");
    refused("tenants = {};", "c.conf:1:", "expected a list");
    refused("tenants = (3);", "c.conf:1:", "expected a group");
    refused("log_level = ", "c.conf:1", "syntax error");
    refused("log_level = \"info\"; log_level = \"info\";", "c.conf:1", "duplicate");
    refused("restart_delay = \"10s\"; restart_delay_max = \"1s\";", "c.conf:1: restart_delay: ", "exceeds");
    refused("log_rate = 1;\nrestart_delay_max = \"1ms\";", "c.conf:2: restart_delay_max: ", "exceeds");
    refused("tenants = ({ name = \"a\"; socket = { path = \"/a\"; }; });\nsocket = { path = \"/x\"; };",
            "c.conf:2: socket: ", "nobody could use it");
}
END_TEST

START_TEST(tokens)
{
    char text[256];
    const char *bad[] = {"", "short\n", "0123456789abcdef\nsecond line\n"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "tenants = ({ name = \"a\"; token_file = \"%s\"; });", write_token("t", bad[i]));
        refused(text, "c.conf:1: token_file", "a token");
    }
    snprintf(text, sizeof text,
             "tenants = ({ name = \"a\"; token_file = \"%s\"; }, { name = \"b\"; token_file = \"%s\"; });",
             write_token("t1", "0123456789abcdef"), write_token("t2", "0123456789abcdef\n"));
    refused(text, "c.conf:1: token_file: ", "the same token");
}
END_TEST

static void token_refused(const char *file, const char *why)
{
    char text[256];
    snprintf(text, sizeof text, "tenants = ({ name = \"a\";\n token_file = \"%s\"; });", file);
    refused(text, "c.conf:2: token_file", why);
    ck_assert_ptr_nonnull(strstr(error.text, file));
}

/* As ssh judges keys: by what a link leads to, its owner and its mode. */
START_TEST(tokens_have_room)
{
    char token[CONFIG_TOKEN_MAX + 3] = "", text[256];
    memset(token, 'x', CONFIG_TOKEN_MAX + 1);
    token_refused(write_token("long", token), "a token has from");
    token[CONFIG_TOKEN_MAX + 1] = '\n';
    token_refused(write_token("longer", token), "a token has from");
    token[CONFIG_TOKEN_MAX] = '\n';
    token[CONFIG_TOKEN_MAX + 1] = 0;
    snprintf(text, sizeof text, "tenants = ({ name = \"a\"; token_file = \"%s\"; });", write_token("fits", token));
    forget();
    ck_assert_msg(load(text) == 0, "%s", error.text);
}
END_TEST

START_TEST(tokens_are_their_owners_only)
{
    static const mode_t modes[] = {0604, 0640, 0620, 0610, 0666};
    char text[256];
    char *file = strdup(write_token("mine", "0123456789abcdef\n")), *link = strdup(path_of("link"));
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        ck_assert_int_eq(chmod(file, modes[i]), 0);
        token_refused(file, "has mode 06");
    }
    ck_assert_int_eq(chmod(file, 0400), 0);
    ck_assert_int_eq(symlink(file, link), 0);
    snprintf(text, sizeof text, "tenants = ({ name = \"a\"; token_file = \"%s\"; });", link);
    forget();
    ck_assert_msg(load(text) == 0, "%s", error.text);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(file, 4242, 0), 0);
        token_refused(link, "is user 4242's");
    }
    free(file);
    free(link);
}
END_TEST

/* Such a file came from another system's editor: nobody would ever be let in. */
START_TEST(a_token_does_not_end_in_a_carriage_return)
{
    token_refused(write_token("crlf", "0123456789abcdef\r\n"), "ends in a carriage return");
}
END_TEST

static void users_refused(const char *users, const char *why)
{
    char text[256];
    snprintf(text, sizeof text, "worker_user = \"%s\"; tenants = ({ name = \"a\"; uids = [1]; }, %s;", users,
             "{ name = \"b\"; uids = [2]; })");
    forget();
    ck_assert_msg(load(text) == -EINVAL, "accepted: %s", users);
    ck_assert_msg(strstr(error.text, "c.conf:1: worker_user: ") && strstr(error.text, why), "%s", error.text);
}

START_TEST(users_of_workers)
{
    users_refused("0", "cannot be a worker's");
    users_refused("root", "cannot be a worker's");
    users_refused("65533-65535", "user 65534 cannot be");
    users_refused("5-4", "no FIRST-LAST");
    users_refused("5-", "no FIRST-LAST");
    users_refused("no-such-user", "is no user");
    users_refused("4294967295", "is no user");
    users_refused("99999999999999999999999", "is no user");
    users_refused("7000-7000", "fewer ids than the 2 tenants");
    forget();
    ck_assert_int_eq(load("worker_user = \"7000-7001\"; tenants = ({ name = \"a\"; uids = [1]; }, "
                          "{ name = \"b\"; uids = [2]; });"),
                     0);
    ck_assert_uint_eq(config.tenants[0].worker_uid, 7000);
    ck_assert_uint_eq(config.tenants[1].worker_uid, 7001);
    ck_assert_uint_eq(config.tenants[1].worker_gid, 7001);
    strcpy(config.options.worker_user, "7001");
    ck_assert_int_eq(config_check(&config, "c.conf", &error), 0);
    ck_assert_uint_eq(config.tenants[0].worker_uid, 7001);
    ck_assert_uint_eq(config.tenants[1].worker_uid, 7001);
    config.options.worker_user[0] = 0;
    ck_assert_int_eq(config_check(&config, "c.conf", &error), 0);
    ck_assert_uint_eq(config.tenants[1].worker_uid, 1900000001);
}
END_TEST

/* A rootless container's namespace, whose ids are few. */
START_TEST(users_of_workers_are_the_namespaces)
{
    int made[2], mapped[2], status;
    char byte = 0, command[128];
    ck_assert_int_eq(load("tenants = ({ name = \"a\"; uids = [1]; });"), 0);
    ck_assert(pipe(made) == 0 && pipe(mapped) == 0);
    pid_t child = fork();
    if (child == 0) {
        bool in = unshare(CLONE_NEWUSER) == 0;
        if (write(made[1], in ? "y" : "n", 1) != 1 || !in || read(mapped[0], &byte, 1) != 1) _exit(77);
        _exit(config_check(&config, "c", &error) == 0 && config.tenants[0].worker_uid == 61184 ? 0 : 1);
    }
    ck_assert_int_eq(read(made[0], &byte, 1), 1);
    snprintf(command, sizeof command, "echo 0 %u %u >/proc/%d/uid_map", geteuid(), geteuid() == 0 ? 65536 : 1, child);
    if (byte == 'y') ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(write(mapped[1], "m", 1), 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (byte == 'n') printf("SKIPPED users_of_workers_are_the_namespaces: no user namespaces\n");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == (byte == 'y' ? 0 : 77));
}
END_TEST

START_TEST(every_tenant_needs_a_user)
{
    forget();
    ck_assert_int_eq(load("worker_user = \"7000-7001\"; tenants = ({ name = \"a\"; uids = [1]; }, "
                          "{ name = \"b\"; uids = [2]; }, { name = \"c\"; uids = [3]; });"),
                     -EINVAL);
    ck_assert_msg(strstr(error.text, "fewer ids than the 3 tenants"), "%s", error.text);
}
END_TEST

/* What is no regular file is refused at once, by its name and the line that names it; nothing waits for a FIFO. */
START_TEST(only_regular_files_are_read)
{
    char text[256];
    char *fifo = strdup(path_of("fifo")), *plain = strdup(write_file("plain", "log_rate = 7;\n"));
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    const char *others[] = {fifo, directory, "/dev/zero", "/dev/tty", "/proc/self/status"};
    const char *whys[] = {"is a FIFO", "is a directory", "is a device", "is a device", "has no size"};
    for (size_t i = 0; i < 5; i++) {
        token_refused(others[i], whys[i]);
        snprintf(text, sizeof text, "log_rate = 8;\n\n \t@include\t\"%s\"\n", others[i]);
        refused(text, "c.conf:3: @include", whys[i]);
        ck_assert_ptr_nonnull(strstr(error.text, others[i]));
        forget();
        ck_assert_int_lt(config_load(&config, others[i], &error), 0);
        ck_assert_msg(strstr(error.text, others[i]) && strstr(error.text, whys[i]), "%s", error.text);
    }
    snprintf(text, sizeof text, "@include \"%s\"\n", fifo);
    snprintf(text, sizeof text, "@include \"%s\"\n", write_file("between.conf", text));
    refused(text, "between.conf:1: @include", "is a FIFO");
    snprintf(text, sizeof text, "@include \"%s\"\n", plain);
    forget();
    ck_assert_msg(load(text) == 0 && config.options.log_rate == 7, "%s", error.text);
    refused("log_rate = 1;\n@include \"/nonexistent/file\"\n", "c.conf:2: @include", "No such file");
    snprintf(text, sizeof text, "@include \"%s\"\n", path_of("c.conf"));
    refused(text, "c.conf:1: @include", "too deep");
    free(fifo);
    free(plain);
}
END_TEST

/* What is long takes long to read, and all of it counts, however it is included. */
START_TEST(a_configuration_has_a_size)
{
    char text[512];
    char *huge = strdup(write_file("huge", "")), *half = strdup(write_file("half", "#"));
    ck_assert_int_eq(truncate(huge, 17 << 20), 0);
    ck_assert_int_eq(config_load(&config, huge, &error), -EFBIG);
    ck_assert_msg(strstr(error.text, "at most 16 MiB"), "%s", error.text);
    ck_assert_int_eq(truncate(half, 9 << 20), 0);
    snprintf(text, sizeof text, "@include \"%s\"\n@include \"%s\"\n", half, half);
    refused(text, "c.conf:2: @include", "at most 16 MiB");
    free(huge);
    free(half);
}
END_TEST

START_TEST(owners_of_sockets_are_found)
{
    static const char *const absent[] = {"4294967295", "-1", "no-such-one", " 1", "1-2", "99999999999999999999"};
    char text[256];
    for (size_t i = 0; i < 6; i++) {
        snprintf(text, sizeof text, "socket = { path = \"/x\";\n owner = \"%s\"; };", absent[i]);
        refused(text, "c.conf:2: owner", "no user");
        snprintf(text, sizeof text, "tenants = ({ name = \"a\"; socket = { path = \"/x\";\n\n group = \"%s\"; }; });",
                 absent[i]);
        refused(text, "c.conf:3: group", "no group");
    }
    forget();
    ck_assert_msg(
        load("tenants = ({ name = \"a\"; socket = { path = \"/x\"; owner = \"root\"; group = \"4242\"; }; });") == 0,
        "%s", error.text);
}
END_TEST

/* However it is spelled: start would find another daemon there, itself. */
START_TEST(a_socket_has_one_tenant)
{
    static const char *const spellings[] = {"%s/a.sock", "%s//a.sock", "%s/./a.sock", "%s/link/a.sock"};
    char path[128], text[512], *link = strdup(path_of("link"));
    ck_assert_int_eq(symlink(".", link), 0);
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, spellings[i], directory);
        snprintf(text, sizeof text,
                 "tenants = ({ name = \"a\"; socket = { path = \"%s/a.sock\"; }; },\n"
                 " { name = \"b\"; socket = { path = \"%s\"; }; });",
                 directory, path);
        refused(text, "c.conf:2: path: ", "\"a\" and \"b\" have the same socket");
        snprintf(text, sizeof text,
                 "socket = { path = \"%s/a.sock\"; }; tenants = ({ name = \"u\"; uids = [1]; },\n"
                 " { name = \"b\"; socket = { path = \"%s\"; }; });",
                 directory, path);
        refused(text, "c.conf:2: path: ", "\"b\" has the shared socket as its own");
    }
    free(link);
}
END_TEST

/* ---- in a process of its own */

static int load_many(const void *what, struct config *out, struct config_error *why)
{
    (void)what;
    (void)why;
    out->ntenants = 4096;
    out->tenants = calloc(out->ntenants, sizeof *out->tenants);
    strcpy(out->tenants[4095].name, "last");
    return 0;
}

static int load_none(const void *what, struct config *out, struct config_error *why)
{
    (void)out;
    strcpy(why->text, what);
    return -EINVAL;
}

static int hang(const void *what, struct config *out, struct config_error *why)
{
    (void)what;
    (void)out;
    (void)why;
    for (;;) pause();
}

static int crash(const void *what, struct config *out, struct config_error *why)
{
    (void)what;
    (void)out;
    (void)why;
    return raise(SIGKILL);
}

static int give_up(const void *what, struct config *out, struct config_error *why)
{
    (void)what;
    (void)out;
    (void)why;
    _exit(2);
}

START_TEST(a_configuration_is_read_apart)
{
    ck_assert_int_eq(config_load_apart(load_many, NULL, "f", &config, &error), 0);
    ck_assert_uint_eq(config.ntenants, 4096);
    ck_assert_str_eq(config.tenants[4095].name, "last");
    forget();
    ck_assert_int_eq(config_load_apart(load_none, "f:3: why", "f", &config, &error), -EINVAL);
    ck_assert_str_eq(error.text, "f:3: why");
    ck_assert_int_eq(config_load_apart(crash, NULL, "f", &config, &error), -ENOMEM);
    ck_assert_msg(strstr(error.text, "f: its parser died of signal 9"), "%s", error.text);
    ck_assert_int_eq(config_load_apart(give_up, NULL, "f", &config, &error), -EINVAL);
    ck_assert_msg(strstr(error.text, "f: its parser gave up"), "%s", error.text);
}
END_TEST

/* The supervisor's loop looks at it now and then, and is never kept. */
START_TEST(one_that_hangs_is_not_waited_for)
{
    struct config_apart *apart;
    ck_assert_int_eq(config_apart_new(hang, NULL, "f", &apart, &error), 0);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(config_apart_read(apart, &config, &error), -EAGAIN);
    while (!config_apart_end(apart)) usleep(1000);
    ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    ck_assert_int_eq(config_apart_new(hang, NULL, "f", &apart, &error), 0);
    config_apart_free(apart);
}
END_TEST

/* SIGTERM is held while the daemon starts, and looked for. */
START_TEST(who_is_told_to_stop_reads_no_further)
{
    inherited_hold();
    raise(SIGTERM);
    ck_assert_int_eq(config_load_apart(hang, NULL, "f", &config, &error), -EINTR);
    ck_assert_str_eq(error.text, "f: told to stop while it was read");
}
END_TEST

START_TEST(unreadable_files)
{
    ck_assert_int_eq(config_load(&config, path_of("absent"), &error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, "absent: No such file"));
    ck_assert_int_eq(config_load(&config, directory, &error), -EISDIR);
}
END_TEST

/* Whatever bytes are in the file, reading it ends with a status. */
START_TEST(mutated_files)
{
    static const char good[] = "log_level = \"debug\"; limits = { memory = \"128MiB\"; heap = 1048576; };\n"
                               "socket = { path = \"/tmp/x.sock\"; mode = \"0666\"; };\n"
                               "tenants = ({ name = \"gamma\"; uids = [1000, 1001]; limits = { slice = 1; }; });\n";
    const char *seed_text = getenv("HEMI_SEED");
    unsigned seed = seed_text != NULL ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid();
    printf("mutated_files: HEMI_SEED=%u\n", seed);
    fflush(stdout);
    srandom(seed);
    for (int round = 0; round < 2000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (long n = 1 + random() % 4; n > 0; n--)
            text[(size_t)random() % (sizeof good - 1)] = (char)(1 + random() % 255);
        config_deinit(&config);
        config_set_defaults(&config);
        int status = load(text);
        ck_assert(status == 0 || (status == -EINVAL && error.text[0] != 0));
    }
}
END_TEST

START_TEST(the_dump_reads_back)
{
    char first[16384] = "", second[16384] = "";
    FILE *out = fmemopen(first, sizeof first, "w");
    ck_assert_int_eq(load("limits = { memory = \"96MiB\"; deadline = \"90s\"; };\n"
                          "tenants = ({ name = \"g\"; socket = { path = \"/tmp/a\\\"b.sock\"; mode = \"0660\"; }; });"),
                     0);
    config_dump(&config, out);
    fclose(out);
    config_deinit(&config);
    config_set_defaults(&config);
    ck_assert_msg(load(first) == 0, "%s\n%s", error.text, first);
    out = fmemopen(second, sizeof second, "w");
    config_dump(&config, out);
    fclose(out);
    ck_assert_str_eq(first, second);
    ck_assert_ptr_nonnull(strstr(first, "memory = \"96MiB\";"));
    ck_assert_uint_eq(config.tenants[0].limits.deadline, 90000);
}
END_TEST

START_TEST(without_a_file)
{
    ck_assert_int_eq(config_default(&config, "/tmp/h.sock", &error), config_uid_is_overflow(geteuid()) ? -EINVAL : 0);
    if (config.ntenants == 0) return;
    ck_assert_uint_eq(config.tenants[0].uids.at[0], geteuid());
    ck_assert_str_eq(config.socket.path, "/tmp/h.sock");
    ck_assert_int_eq(config_check(&config, "default", &error), 0);
}
END_TEST

START_TEST(reloads)
{
    struct config other;
    config_set_defaults(&other);
    ck_assert_int_eq(load("tenants = ({ name = \"a\"; uids = [1]; });"), 0);
    ck_assert_int_eq(config_load(&other,
                                 write_file("d", "limits = { memory = \"64MiB\"; };\n"
                                                 "tenants = ({ name = \"a\"; uids = [1]; });"),
                                 &error),
                     0);
    ck_assert(config_reloadable(&config, &other, &error));
    other.tenants[0].uids.at[0] = 2;
    ck_assert(!config_reloadable(&config, &other, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "\"a\""));
    config_deinit(&other);
}
END_TEST

START_TEST(the_examples_are_lawful)
{
    static const char *const files[] = {HEMI_SOURCE_DIR "/deploy/hemid.conf", HEMI_SOURCE_DIR "/deploy/container.conf"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        config_deinit(&config);
        config_set_defaults(&config);
        ck_assert_msg(config_load(&config, files[i], &error) == 0, "%s", error.text);
        ck_assert_uint_ge(config.ntenants, 1);
    }
}
END_TEST

START_TEST(the_manual_is_up_to_date)
{
    static char want[65536], have[65536];
    FILE *out = fmemopen(want, sizeof want, "w"), *in = fopen(HEMI_SOURCE_DIR "/docs/config.md", "r");
    ck_assert_ptr_nonnull(in);
    config_docs(out);
    fclose(out);
    size_t len = fread(have, 1, sizeof have - 1, in);
    fclose(in);
    have[len] = 0;
    ck_assert_msg(strcmp(want, have) == 0, "docs/config.md is not what `hemid --config-docs` prints");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, defaults_are_within_their_ranges);
    tcase_add_test(tests, units);
    tcase_add_test(tests, a_whole_file);
    tcase_add_test(tests, mistakes_are_named);
    tcase_add_test(tests, tokens);
    tcase_add_test(tests, users_of_workers);
    tcase_add_test(tests, users_of_workers_are_the_namespaces);
    tcase_add_test(tests, every_tenant_needs_a_user);
    tcase_add_test(tests, tokens_have_room);
    tcase_add_test(tests, tokens_are_their_owners_only);
    tcase_add_test(tests, a_token_does_not_end_in_a_carriage_return);
    tcase_add_test(tests, only_regular_files_are_read);
    tcase_add_test(tests, a_configuration_has_a_size);
    tcase_add_test(tests, owners_of_sockets_are_found);
    tcase_add_test(tests, a_socket_has_one_tenant);
    tcase_add_test(tests, a_configuration_is_read_apart);
    tcase_add_test(tests, one_that_hangs_is_not_waited_for);
    tcase_add_test(tests, who_is_told_to_stop_reads_no_further);
    tcase_add_test(tests, unreadable_files);
    tcase_add_test(tests, mutated_files);
    tcase_add_test(tests, the_dump_reads_back);
    tcase_add_test(tests, without_a_file);
    tcase_add_test(tests, reloads);
    tcase_add_test(tests, the_examples_are_lawful);
    tcase_add_test(tests, the_manual_is_up_to_date);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
