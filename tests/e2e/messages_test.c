/* What messages say: whatever is wrong at once, by the name that the reader knows it by, with its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;

static void start_with(const char *limits)
{
    daemon_start_tenants(&d, 1, limits);
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

static void ck_says(const char *wanted)
{
    ck_assert_msg(strstr(hemi_client_error(client), wanted) != NULL, "\"%s\" does not say \"%s\"",
                  hemi_client_error(client), wanted);
}

/* ---- imports */

static void refused(const char *text, hemi_object *const *imports, size_t nimports, bool with_wasi)
{
    struct hemi_wasi_options nothing = {0};
    hemi_store *store;
    hemi_wasi *wasi = NULL;
    hemi_instance *instance;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    if (with_wasi) ok(client, hemi_wasi_new(store, &nothing, &wasi, NULL));
    expect(client, HEMI_LINK,
           hemi_instance_new(store, module_from(client, text), imports, nimports, wasi, &instance, NULL));
}

START_TEST(all_missing_imports_are_told_at_once_with_their_types)
{
    start_with("");
    refused("(module (import \"env\" \"a\" (func (param i32))) (import \"env\" \"b\" (global i32))\n"
            "  (import \"x\" \"t\" (table 1 funcref)) (import \"x\" \"m\" (memory 1 2)) (import \"x\" \"e\" (tag)))",
            NULL, 0, false);
    ck_assert_str_eq(
        hemi_client_error(client),
        "unknown import 0 \"env\" \"a\" (func): wanted (func (param i32)), nothing was given for it; "
        "unknown import 1 \"env\" \"b\" (global): wanted (global i32), nothing was given for it; "
        "unknown import 2 \"x\" \"t\" (table): wanted (table 1 (ref null func)), nothing was given for it; "
        "unknown import 3 \"x\" \"m\" (memory): wanted (memory 1 2), nothing was given for it; "
        "unknown import 4 \"x\" \"e\" (tag): wanted (tag (func)), nothing was given for it");
    stop();
}
END_TEST

START_TEST(imports_that_are_missing_and_of_other_types_are_told_together)
{
    hemi_store *store;
    start_with("");
    hemi_instance *owner = instance_from(client, "(module (func (export \"f\") (param i64)))", &store);
    hemi_object *imports[] = {export_of(owner, "f"), NULL, NULL};
    hemi_instance *instance;
    struct hemi_wasi_options nothing = {0};
    hemi_wasi *wasi;
    hemi_module *module =
        module_from(client, "(module (import \"a\" \"f\" (func (param i32))) (import \"a\" \"g\" (func))\n"
                            "  (import \"a\" \"m\" (memory 1)))");
    expect(client, HEMI_LINK, hemi_instance_new(store, module, imports, 3, NULL, &instance, NULL));
    ck_says("incompatible import type: import 0 \"a\" \"f\" (func): wanted (func (param i32)), got (func (param i64)); "
            "unknown import 1 \"a\" \"g\" (func): ");
    ck_says("; unknown import 2 \"a\" \"m\" (memory): ");
    ok(client, hemi_wasi_new(store, &nothing, &wasi, NULL)); /* which is for what nothing else is given for */
    module = module_from(client, "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))))");
    expect(client, HEMI_LINK, hemi_instance_new(store, module, imports, 1, wasi, &instance, NULL));
    ck_says("(func): wanted (func (result i32)), got (func (param i64))");
    stop();
}
END_TEST

START_TEST(imports_of_wasi_are_told_among_the_others)
{
    static const char text[] = "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32)))\n"
                               "  (import \"env\" \"a\" (func)))";
    start_with("");
    refused(text, NULL, 0, true);
    ck_says(
        "incompatible import type: \"wasi_snapshot_preview1\" \"fd_write\" is (func (param i32 i32 i32 i32) (result "
        "i32)); unknown import 1 \"env\" \"a\"");
    refused(text, NULL, 0, false);
    ck_says("unknown import 0 \"wasi_snapshot_preview1\" \"fd_write\" (func): wanted (func (param i32)), no WASI was "
            "given");
    refused("(module (import \"wasi_snapshot\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32))))", NULL, 0,
            true);
    ck_says("unknown import 0 \"wasi_snapshot\" \"fd_write\" (func): ");
    ck_says(", nothing was given for it");
    refused("(module (import \"wasi_snapshot_preview1\" \"m\" (memory 1)))", NULL, 0, true);
    ck_says("unknown import 0 \"wasi_snapshot_preview1\" \"m\" (memory): wanted (memory 1), nothing was given for it");
    stop();
}
END_TEST

/* What has no room is counted, and so is what comes behind it, however short: of all lengths one leaves room for that.
 */
START_TEST(missing_imports_with_long_names_are_told_whole_or_counted)
{
    char text[4096], name[48], wanted[64];
    memset(name, 'x', sizeof name);
    start_with("");
    for (int length = 36; length <= 48; length += 2) {
        size_t used = (size_t)sprintf(text, "(module");
        for (int i = 0; i < 7; i++)
            used += (size_t)sprintf(text + used, "(import \"%.*s\" \"%d%.*s\" (func (param i32)))", length, name, i,
                                    length, name);
        strcpy(text + used, "(import \"m\" \"short\" (func)))");
        refused(text, NULL, 0, false);
        const char *said = hemi_client_error(client);
        unsigned whole = 0;
        for (const char *at = said; (at = strstr(at, "nothing was given for it")) != NULL; at++) whole++;
        snprintf(wanted, sizeof wanted, "nothing was given for it; and %u more imports", 8 - whole);
        ck_assert_msg(whole < 7 && strlen(said) > strlen(wanted) && !strstr(said, "short"), "%s", said);
        ck_assert_str_eq(said + strlen(said) - strlen(wanted), wanted);
    }
    stop();
}
END_TEST

/* As many as there is room for are named. */
START_TEST(missing_imports_beyond_the_first_are_counted)
{
    char wanted[64];
    char *text = malloc(200000);
    size_t used = (size_t)sprintf(text, "(module");
    for (int i = 0; i < 1000; i++) used += (size_t)sprintf(text + used, "(import \"m\" \"%d\" (func))", i);
    strcpy(text + used, ")");
    start_with("");
    refused(text, NULL, 0, false);
    ck_says("unknown import 0 \"m\" \"0\"");
    ck_says("unknown import 10 \"m\" \"10\"");
    unsigned named = 0;
    const char *said = hemi_client_error(client);
    for (const char *at = said; (at = strstr(at, "unknown import")) != NULL; at++) named++;
    snprintf(wanted, sizeof wanted, "; and %u more imports", 1000 - named);
    ck_says(wanted);
    ck_assert_uint_gt(strlen(said), 900);
    ck_assert_uint_lt(strlen(said), 1024);
    free(text);
    stop();
}
END_TEST

/* ---- limits */

static hemi_store *store_with(const struct hemi_store_options *options)
{
    hemi_store *store;
    ok(client, hemi_store_new(client, options, &store, NULL));
    return store;
}

static void ck_limit(const char *message, hemi_status got)
{
    expect(client, HEMI_LIMIT, got);
    ck_assert_str_eq(hemi_client_error(client), message);
}

static hemi_status instantiate(hemi_store *store, const char *text)
{
    hemi_instance *instance;
    return hemi_instance_new(store, module_from(client, text), NULL, 0, NULL, &instance, NULL);
}

START_TEST(a_limit_of_a_store_names_the_option_of_whoever_set_it)
{
    start_with("linear_memory = \"1MiB\"; table_elements = 100; instances = 1;");
    hemi_store *plain = store_with(NULL);
    ck_limit("linear_memory: 1114112 bytes of all linear memories together asked for, at most 1048576",
             instantiate(plain, "(module (memory 17))"));
    ck_limit("table_elements: 101 elements of all tables together asked for, at most 100",
             instantiate(store_with(NULL), "(module (table 101 funcref))"));
    hemi_store *full = store_with(NULL);
    ok(client, instantiate(full, "(module)"));
    ck_limit("instances: 2 asked for, at most 1", instantiate(full, "(module)"));
    const struct hemi_store_options options = {.memory_bytes = 1 << 17, .table_elements = 1000};
    ck_limit("memory_bytes: 196608 bytes of all linear memories together asked for, at most 131072",
             instantiate(store_with(&options), "(module (memory 3))"));
    ck_limit("table_elements: 101 elements of all tables together asked for, at most 100",
             instantiate(store_with(&options), "(module (table 101 funcref))"));
    stop();
}
END_TEST

START_TEST(growth_and_new_objects_beyond_a_limit_say_which)
{
    hemi_object *memory, *table, *more;
    hemi_val null = hemi_null(HEMI_CLASS_EXTERN);
    uint64_t old;
    start_with("linear_memory = \"1MiB\"; table_elements = 100;");
    hemi_store *store = store_with(NULL);
    ok(client, hemi_memory_new(store, 10, 12, false, &memory, NULL));
    ck_limit("size of a memory: 13 pages asked for, at most 12", hemi_memory_grow(memory, 3, &old, NULL));
    ck_limit("linear_memory: 1114112 bytes of all linear memories together asked for, at most 1048576",
             hemi_memory_new(store, 7, UINT64_MAX, false, &more, NULL));
    ok(client, hemi_table_new(store, HEMI_TYPE_EXTERNREF, 60, 80, false, &null, &table, NULL));
    ck_limit("size of a table: 81 elements asked for, at most 80", hemi_table_grow(table, 21, &null, &old, NULL));
    ck_limit("table_elements: 101 elements of all tables together asked for, at most 100",
             hemi_table_new(store, HEMI_TYPE_EXTERNREF, 41, UINT64_MAX, false, &null, &more, NULL));
    stop();
}
END_TEST

START_TEST(a_trap_that_a_limit_caused_names_it)
{
    static const char text[] =
        "(module (func $f (export \"deep\") (call $f)) (type $n (struct (field (ref null $n))))\n"
        "  (func (export \"keep\") (local $r (ref null $n)) (loop $l\n"
        "    (local.set $r (struct.new $n (local.get $r))) (br $l)))\n"
        "  (type $a (array i64)) (func (export \"array\") (drop (array.new_default $a (i32.const 1000000)))))";
    hemi_instance *instance;
    start_with("stack = \"256KiB\";");
    const struct hemi_store_options options = {.heap_bytes = 2 << 20};
    ok(client, hemi_instance_new(store_with(&options), module_from(client, text), NULL, 0, NULL, &instance, NULL));
    expect(client, HEMI_TRAP, hemi_call(export_of(instance, "deep"), NULL, 0, NULL, 0, NULL));
    ck_says("call stack exhausted (stack: at most 262144 bytes) in ");
    expect(client, HEMI_TRAP, hemi_call(export_of(instance, "keep"), NULL, 0, NULL, 0, NULL));
    ck_says("garbage-collected heap exhausted (heap_bytes: at most 2097152 bytes) in ");
    expect(client, HEMI_TRAP, hemi_call(export_of(instance, "array"), NULL, 0, NULL, 0, NULL)); /* had none */
    ck_says("allocation size too large (heap_bytes: at most 2097152 bytes) in ");
    stop();
}
END_TEST

START_TEST(limits_of_a_connection_have_the_same_form)
{
    hemi_store *store;
    hemi_module *module;
    static const char empty[8] = "\0asm\1\0\0";
    start_with("module_size = \"1KiB\"; modules = 1; stores = 6; connections = 2;");
    char *large = calloc(1, 1025);
    ck_limit("module_size: 1025 bytes asked for, at most 1024", hemi_module_new(client, large, 1025, &module, NULL));
    ok(client, hemi_module_new(client, empty, sizeof empty, &module, NULL));
    ck_limit("modules: 2 on this connection asked for, at most 1",
             hemi_module_new(client, empty, sizeof empty, &module, NULL));
    int stores = 0;
    while (hemi_store_new(client, NULL, &store, NULL) == HEMI_OK && stores < 6) stores++;
    char wanted[128];
    snprintf(wanted, sizeof wanted,
             "stores: %d asked for, at most %d for this connection, which has %d of the worker's 6", stores + 1, stores,
             stores);
    ck_says(wanted);
    hemi_client *second = client_open(d.socket), *third;
    struct hemi_connect_options options = {.socket = d.socket};
    ck_assert_int_eq(hemi_connect(&options, &third), HEMI_LIMIT);
    ck_assert_str_eq(hemi_client_error(third), "connections: 3 of this worker asked for, at most 2");
    hemi_client_free(third);
    hemi_client_free(second);
    free(large);
    stop();
}
END_TEST

/* ---- connecting */

static void ck_connects(const char *path, hemi_status wanted, const char *message)
{
    struct hemi_connect_options options = {.socket = path, .timeout_ms = 30000};
    hemi_client *c;
    ck_assert_int_eq(hemi_connect(&options, &c), wanted);
    ck_assert_msg(strstr(hemi_client_error(c), message) != NULL, "\"%s\" does not say \"%s\"", hemi_client_error(c),
                  message);
    hemi_client_free(c);
}

static int bound(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);
    strcpy(address.sun_path, path);
    ck_assert(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

START_TEST(what_is_wrong_with_a_socket_is_told_apart)
{
    char path[96], too_long[109];
    start_with("");
    snprintf(path, sizeof path, "%s/none", d.dir);
    ck_connects(path, HEMI_CONNECT, "/none: no daemon: there is no such socket; start hemid, or name the socket");
    ck_connects(d.log, HEMI_CONNECT, "no daemon: this is no socket");
    snprintf(path, sizeof path, "%s/left", d.dir);
    close(bound(path, SOCK_STREAM));
    ck_connects(path, HEMI_CONNECT, "/left: no daemon: nobody listens at this socket any more; start hemid again");
    snprintf(path, sizeof path, "%s/datagrams", d.dir);
    int other = bound(path, SOCK_DGRAM);
    ck_connects(path, HEMI_CONNECT, "no daemon: a socket of another kind");
    close(other);
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = 0;
    ck_connects(too_long, HEMI_ARGUMENT, "xxx...: a path of 108 bytes, a Unix socket's has at most 107");
    stop();
}
END_TEST

START_TEST(no_permission_is_not_no_daemon)
{
    start_with("");
    ck_assert_int_eq(chmod(d.dir, 0), 0);
    if (geteuid() == 0) ck_assert_int_eq(seteuid(65534), 0);
    ck_connects(d.socket, HEMI_CONNECT, "/a.sock: no permission: the modes and groups of the socket");
    if (getuid() == 0) ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(d.dir, 0700), 0);
    stop();
}
END_TEST

/* One connection, which gets these bytes and ends. */
static void answer_once(int listener, const char *bytes)
{
    char hello[512];
    int fd = accept(listener, NULL, NULL);
    bool done = read(fd, hello, sizeof hello) > 0 && write(fd, bytes, strlen(bytes)) >= 0;
    close(fd);
    _exit(done ? 0 : 1);
}

START_TEST(what_is_no_hemid_is_said_to_be_none)
{
    static const char *const answers[] = {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", ""};
    static const char *const says[] = {"/other0: what listens there is no hemid",
                                       "/other1: what listens there ended the connection without a WELCOME"};
    char path[96];
    int status;
    start_with("");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/other%d", d.dir, i);
        int listener = bound(path, SOCK_STREAM);
        ck_assert_int_eq(listen(listener, 1), 0);
        pid_t child = fork();
        if (child == 0) answer_once(listener, answers[i]);
        ck_connects(path, i == 0 ? HEMI_PROTOCOL : HEMI_CONNECT, says[i]);
        ck_assert(waitpid(child, &status, 0) == child && status == 0);
        close(listener);
    }
    snprintf(path, sizeof path, "%s/silent", d.dir);
    int listener = bound(path, SOCK_STREAM);
    ck_assert_int_eq(listen(listener, 1), 0);
    struct hemi_connect_options options = {.socket = path, .timeout_ms = 50};
    hemi_client *c;
    ck_assert_int_eq(hemi_connect(&options, &c), HEMI_DEADLINE);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(c), "/silent: connecting: no WELCOME came in time"));
    hemi_client_free(c);
    close(listener);
    stop();
}
END_TEST

START_TEST(a_wrong_token_and_a_missing_one_are_told_apart)
{
    char config[256], file[] = "/tmp/hemi-token-XXXXXX", wanted[64];
    int fd = mkstemp(file);
    ck_assert(fd >= 0 && write(fd, "the-token-of-a-0123456789\n", 26) == 26 && close(fd) == 0);
    snprintf(config, sizeof config,
             "socket = { path = \"%%s/a.sock\"; };\ntenants = ({ name = \"a\"; token_file = \"%s\"; });\n", file);
    daemon_start(&d, config);
    struct hemi_connect_options options = {.socket = d.socket, .token = "wrong", .token_length = 5};
    ck_assert_int_eq(hemi_connect(&options, &client), HEMI_DENIED);
    ck_assert_str_eq(hemi_client_error(client), "no tenant has this token: it is not what any token_file holds");
    hemi_client_free(client);
    snprintf(wanted, sizeof wanted, "no tenant has user id %u; clients of others need a token", (unsigned)getuid());
    ck_connects(d.socket, HEMI_DENIED, wanted);
    daemon_stop(&d);
    unlink(file);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("messages");
    TCase *imports = tcase_create("imports");
    tcase_set_timeout(imports, 60);
    tcase_add_test(imports, all_missing_imports_are_told_at_once_with_their_types);
    tcase_add_test(imports, imports_that_are_missing_and_of_other_types_are_told_together);
    tcase_add_test(imports, imports_of_wasi_are_told_among_the_others);
    tcase_add_test(imports, missing_imports_with_long_names_are_told_whole_or_counted);
    tcase_add_test(imports, missing_imports_beyond_the_first_are_counted);
    suite_add_tcase(s, imports);
    TCase *limits = tcase_create("limits");
    tcase_set_timeout(limits, 60);
    tcase_add_test(limits, a_limit_of_a_store_names_the_option_of_whoever_set_it);
    tcase_add_test(limits, growth_and_new_objects_beyond_a_limit_say_which);
    tcase_add_test(limits, a_trap_that_a_limit_caused_names_it);
    tcase_add_test(limits, limits_of_a_connection_have_the_same_form);
    suite_add_tcase(s, limits);
    TCase *connecting = tcase_create("connecting");
    tcase_set_timeout(connecting, 60);
    tcase_add_test(connecting, what_is_wrong_with_a_socket_is_told_apart);
    tcase_add_test(connecting, no_permission_is_not_no_daemon);
    tcase_add_test(connecting, what_is_no_hemid_is_said_to_be_none);
    tcase_add_test(connecting, a_wrong_token_and_a_missing_one_are_told_apart);
    suite_add_tcase(s, connecting);
    return s;
}

int main(void) { return run_suite(suite()); }
