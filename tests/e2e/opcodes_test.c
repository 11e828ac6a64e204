/* The tenant option count_opcodes, as `hemi info` shows it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tables/opcodes.h"
#include "tests/e2e/support.h"

static const char TEXT[] =
    "(module (global (export \"g\") i32 (i32.add (i32.const 1) (i32.const 2))) (global i64 (i64.const 1))\n"
    "  (func (export \"sum\") (param i32) (result i32) (local i32)\n"
    "    (loop\n"
    "      (local.set 1 (i32.add (local.get 1) (local.get 0)))\n"
    "      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))\n"
    "      (br_if 0 (local.get 0)))\n"
    "    (block (br 0))\n"
    "    (if (result i32) (local.get 0) (then (i32.const 1)) (else (local.get 1)))))";

static struct daemon d;
static hemi_client *client;

static void start(const char *limits)
{
    daemon_start_tenants(&d, 1, limits);
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

/* How often it was executed; -1: nothing says. */
static long executed(const char *json, const char *opcode)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", opcode);
    const char *at = strstr(json, "\"opcodes\":{");
    at = at ? strstr(at, key) : NULL;
    return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

START_TEST(instructions_are_counted)
{
    static const struct {
        const char *opcode;
        long n;
    } rows[] = {{"loop", 1},       {"i32.add", 11},   {"i32.sub", 10},    {"br_if", 10}, {"local.get", 42},
                {"local.set", 20}, {"i32.const", 12}, {"i64.const", 1},   {"block", 1},  {"br", 1},
                {"if", 1},         {"else", 0},       {"unreachable", 0}, {"nop", 0}};
    hemi_store *store;
    char *json;
    start("count_opcodes = \"on\";");
    hemi_instance *in = instance_from(client, TEXT, &store);
    ck_assert_int_eq(call_i32(export_of(in, "sum"), 1, 10), 55);
    ok(client, hemi_info(client, &json));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(executed(json, rows[i].opcode) == rows[i].n, "%s: %ld, not %ld", rows[i].opcode,
                      executed(json, rows[i].opcode), rows[i].n);
    for (uint32_t op = 0; op < OP_COUNT; op++)
        ck_assert_msg(executed(json, opcode_rows[op].text) >= 0, "%s is missing", opcode_rows[op].text);
    hemi_free_text(json);
    stop();
}
END_TEST

START_TEST(nothing_is_counted_unless_asked_for)
{
    hemi_store *store;
    char *json;
    start(NULL);
    hemi_instance *in = instance_from(client, TEXT, &store);
    ck_assert_int_eq(call_i32(export_of(in, "sum"), 1, 10), 55);
    ok(client, hemi_info(client, &json));
    ck_assert_int_eq(executed(json, "i32.add"), -1);
    hemi_free_text(json);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("opcodes");
    TCase *t = tcase_create("opcodes");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, instructions_are_counted);
    tcase_add_test(t, nothing_is_counted_unless_asked_for);
    suite_add_tcase(s, t);
    return run_suite(s);
}
