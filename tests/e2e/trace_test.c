/* Backtraces as a client sees them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static struct daemon d;
static hemi_client *client;

static void start(void)
{
    daemon_start_tenants(&d, 1, "stack = 16777216;");
    client = client_open(d.socket);
}

static void stop(void)
{
    hemi_client_free(client);
    daemon_stop(&d);
}

/* ---- Name sections, made by hand */
struct bytes {
    uint8_t at[4096];
    size_t n;
};

static void put(struct bytes *b, const void *from, size_t n)
{
    ck_assert_uint_le(b->n + n, sizeof b->at);
    memcpy(b->at + b->n, from, n);
    b->n += n;
}

static void put_byte(struct bytes *b, size_t byte)
{
    ck_assert_uint_lt(byte, 128); /* one LEB128 byte */
    put(b, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_name(struct bytes *b, const char *name)
{
    put_byte(b, strlen(name));
    put(b, name, strlen(name));
}

static void put_section(struct bytes *b, uint8_t id, const struct bytes *content)
{
    put_byte(b, id);
    put_byte(b, content->n);
    put(b, content->at, content->n);
}

static void put_module_name(struct bytes *b, const char *name)
{
    struct bytes content = {.n = 0};
    put_name(&content, name);
    put_section(b, 0, &content);
}

struct function_name {
    size_t index;
    const char *name;
};

static void put_function_names(struct bytes *b, const struct function_name *names, size_t n)
{
    struct bytes content = {.n = 0};
    put_byte(&content, n);
    for (size_t i = 0; i < n; i++) {
        put_byte(&content, names[i].index);
        put_name(&content, names[i].name);
    }
    put_section(b, 1, &content);
}

/* The module of this text with a name section of these subsections behind it. */
static hemi_module *module_named(const char *text, const struct bytes *subsections)
{
    struct bytes section = {.n = 0}, content = {.n = 0};
    uint8_t *bytes;
    size_t size;
    hemi_module *m;
    put_name(&content, "name");
    put(&content, subsections->at, subsections->n);
    put_section(&section, 0, &content);
    wat(text, &bytes, &size);
    uint8_t *whole = malloc(size + section.n);
    ck_assert_ptr_nonnull(whole);
    memcpy(whole, bytes, size);
    memcpy(whole + size, section.at, section.n);
    ok(client, hemi_module_new(client, whole, size + section.n, &m, NULL));
    free(whole);
    free(bytes);
    return m;
}

/* ---- Looking */
static const struct hemi_trace_entry *entry(size_t i)
{
    const struct hemi_trace_entry *at;
    size_t n = hemi_client_trace(client, &at);
    ck_assert_msg(i < n, "entry %zu of %zu: %s", i, n, hemi_client_error(client));
    return &at[i];
}

static size_t count(void)
{
    const struct hemi_trace_entry *at;
    return hemi_client_trace(client, &at);
}

/* What the entry says, up to its offset. */
static void expect_entry(size_t i, const char *text)
{
    char got[640];
    hemi_trace_text(entry(i), got, sizeof got);
    char *offset = strstr(got, " at 0x");
    if (offset) *offset = 0;
    ck_assert_str_eq(got, text);
}

static void expect_failure(hemi_status status, hemi_object *function, const char *message)
{
    hemi_val result;
    expect(client, status, hemi_call(function, NULL, 0, &result, 0, NULL));
    ck_assert_msg(strncmp(hemi_client_error(client), message, strlen(message)) == 0, "%s", hemi_client_error(client));
}

static void expect_trap(hemi_object *function, const char *message) { expect_failure(HEMI_TRAP, function, message); }

/* ---- One instance */
static const char NESTED[] = "(module (func (param i32) (drop (i32.div_s (i32.const 1) (local.get 0))))\n"
                             "  (func (nop) (call 0 (i32.const 0)))\n"
                             "  (func (export \"outer\") (call 1) (nop)))";

START_TEST(a_trap_in_nested_calls_tells_each_place)
{
    struct bytes none = {.n = 0}, names = {.n = 0};
    put_module_name(&names, "m");
    put_function_names(&names, (struct function_name[]){{0, "inner"}, {1, "middle"}}, 2);
    hemi_store *store;
    hemi_instance *bare, *named;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_instance_new(store, module_named(NESTED, &none), NULL, 0, NULL, &bare, NULL));
    ok(client, hemi_instance_new(store, module_named(NESTED, &names), NULL, 0, NULL, &named, NULL));
    expect_trap(export_of(bare, "outer"), "integer divide by zero");
    ck_assert_uint_eq(count(), 3);
    expect_entry(0, "func[0]");
    expect_entry(1, "func[1]");
    expect_entry(2, "outer");
    uint32_t instance = entry(0)->instance;
    uint64_t offset;
    ck_assert(hemi_client_offset(client, &offset));
    ck_assert_uint_eq(entry(0)->offset, offset);
    ck_assert_uint_lt(entry(0)->offset, entry(1)->offset);
    ck_assert_uint_lt(entry(1)->offset, entry(2)->offset);
    ck_assert_uint_eq(entry(2)->index, 2);
    expect_trap(export_of(named, "outer"), "integer divide by zero");
    ck_assert_uint_eq(count(), 3);
    expect_entry(0, "m.inner");
    expect_entry(1, "m.middle");
    expect_entry(2, "m.outer");
    ck_assert_uint_ne(entry(0)->instance, instance);
    ck_assert_int_eq(hemi_client_status(client), HEMI_TRAP);
    expect(client, HEMI_NOT_FOUND, hemi_export_get(named, "none", &(hemi_object *){NULL}, NULL));
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(names_of_the_text_format_are_shown)
{
    hemi_store *store;
    hemi_instance *in = instance_from(
        client, "(module $m (func $inner (unreachable)) (func $outer (export \"f\") (call $inner) (nop)))", &store);
    expect_trap(export_of(in, "f"), "unreachable in \"inner\"");
    expect_entry(0, "m.inner");
    expect_entry(1, "m.outer");
}
END_TEST

/* The bytes at an entry's offset are the instruction's. */
START_TEST(offsets_are_those_of_the_instructions)
{
    uint8_t *bytes;
    size_t size;
    hemi_store *store;
    wat("(module (func (export \"f\") (nop) (call 1)) (func (nop) (unreachable)))", &bytes, &size);
    hemi_instance *in =
        instance_from(client, "(module (func (export \"f\") (nop) (call 1)) (func (nop) (unreachable)))", &store);
    expect_trap(export_of(in, "f"), "unreachable");
    ck_assert_uint_eq(count(), 2);
    ck_assert_uint_eq(bytes[entry(0)->offset], 0x00);
    ck_assert_uint_eq(bytes[entry(0)->offset - 1], 0x01);
    ck_assert_uint_eq(bytes[entry(1)->offset], 0x10);
    ck_assert_uint_eq(bytes[entry(1)->offset + 1], 1);
    free(bytes);
}
END_TEST

/* Every way to trap tells its own instruction, by page faults and by comparing. */
static const struct {
    uint8_t opcode; /* the byte at the place */
    const char *message, *body;
} traps[] = {
    {0x00, "unreachable", "(unreachable)"},
    {0x6D, "integer divide by zero", "(drop (i32.div_s (i32.const 1) (local.get 0)))"},
    {0x7F, "integer overflow", "(drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))"},
    {0xA8, "invalid conversion", "(drop (i32.trunc_f32_s (f32.const nan)))"},
    {0x28, "out of bounds memory", "(drop (i32.load (i32.const 65533)))"},
    {0x28, "out of bounds memory", "(drop (i32.load offset=4294967295 (i32.const -1)))"},
    {0x37, "out of bounds memory", "(i64.store (i32.const -1) (i64.const 5))"},
    {0x2D, "out of bounds memory", "(drop (i32.load8_u 1 (i32.const 65536)))"},
    {0x29, "out of bounds memory", "(drop (i64.load 2 (i64.const -9)))"},
    {0xFD, "out of bounds memory", "(drop (v128.load (i32.const 65521)))"},
    {0xFC, "out of bounds memory", "(memory.fill (i32.const 65536) (i32.const 0) (i32.const 1))"},
    {0xFC, "out of bounds memory", "(memory.init 0 (i32.const 0) (i32.const 0) (i32.const 5))"},
    {0x25, "out of bounds table", "(drop (table.get 0 (i32.const 2)))"},
    {0x26, "out of bounds table", "(table.set 0 (i32.const 2) (ref.null func))"},
    {0x11, "undefined element", "(call_indirect (i32.const 2))"},
    {0x11, "uninitialized element", "(call_indirect (i32.const 0))"},
    {0x11, "indirect call type mismatch", "(call_indirect (result i32) (i32.const 1)) (drop)"},
    {0x13, "undefined element", "(return_call_indirect (i32.const 2))"},
    {0x14, "null function reference", "(call_ref $v (ref.null $v))"},
    {0x15, "null function reference", "(return_call_ref $v (ref.null $v))"},
    {0x0A, "null exception reference", "(throw_ref (ref.null exn))"},
    {0xD4, "null reference", "(drop (ref.as_non_null (ref.null any)))"},
    {0xFB, "null structure reference", "(drop (struct.get $s 0 (ref.null $s)))"},
    {0xFB, "null structure reference", "(struct.set $s 0 (ref.null $s) (i64.const 1))"},
    {0xFB, "null array reference", "(drop (array.len (ref.null $a)))"},
    {0xFB, "null array reference", "(drop (array.get $a (ref.null $a) (i32.const 0)))"},
    {0xFB, "out of bounds array", "(drop (array.get $a (array.new_default $a (i32.const 3)) (i32.const 3)))"},
    {0xFB, "null i31 reference", "(drop (i31.get_s (ref.null i31)))"},
    {0xFB, "cast failure", "(drop (ref.cast (ref $s) (ref.null any)))"},
    {0xFB, "allocation size too large", "(drop (array.new_default $a (i32.const -1)))"},
};

START_TEST(every_trap_tells_its_instruction)
{
    daemon_start_tenants(&d, 1, _i ? "fault_checks = \"off\";" : NULL);
    client = client_open(d.socket);
    for (size_t i = 0; i < sizeof traps / sizeof *traps; i++) {
        char text[800];
        uint8_t *bytes;
        size_t size;
        hemi_store *store;
        snprintf(
            text, sizeof text,
            "(module (type $v (func)) (type $s (struct (field (mut i64)))) (type $a (array (mut i64)))\n"
            "  (memory 1) (memory 1) (memory i64 1) (data \"four\") (table 2 funcref) (elem (i32.const 1) func 0)\n"
            "  (func (export \"f\") (call 1 (i32.const 0)) (nop)) (func (param i32) (nop) %s (nop)))",
            traps[i].body);
        wat(text, &bytes, &size);
        hemi_instance *in = instance_from(client, text, &store);
        expect_trap(export_of(in, "f"), traps[i].message);
        ck_assert_msg(count() == 2, "%s: %zu frames", traps[i].body, count());
        ck_assert_msg(bytes[entry(0)->offset] == traps[i].opcode, "%s: at 0x%llx: %02X", traps[i].body,
                      (unsigned long long)entry(0)->offset, bytes[entry(0)->offset]);
        ck_assert_uint_eq(bytes[entry(1)->offset], 0x10);
        ok(client, hemi_store_close(store, NULL));
        free(bytes);
    }
    stop();
}
END_TEST

START_TEST(frames_that_a_tail_call_replaced_are_missing)
{
    hemi_store *store;
    hemi_instance *in = instance_from(client,
                                      "(module (func (export \"f\") (unreachable))\n"
                                      "  (func (export \"g\") (return_call 0)) (func (export \"h\") (call 1)))",
                                      &store);
    expect_trap(export_of(in, "h"), "unreachable");
    ck_assert_uint_eq(count(), 2);
    expect_entry(0, "f");
    expect_entry(1, "h");
}
END_TEST

START_TEST(deep_recursion_keeps_both_ends)
{
    hemi_store *store;
    hemi_instance *in = instance_from(client,
                                      "(module (func (param i32) (if (i32.eqz (local.get 0)) (then (unreachable)))\n"
                                      "    (call 0 (i32.sub (local.get 0) (i32.const 1))) (nop))\n"
                                      "  (func (export \"go\") (call 0 (i32.const 100000)) (nop)))",
                                      &store);
    expect_trap(export_of(in, "go"), "unreachable");
    ck_assert_uint_eq(count(), 65);
    for (size_t i = 0; i < 64; i++) expect_entry(i, i == 48 ? "... 99938 more ..." : "func[0]");
    expect_entry(64, "go");
    ck_assert_uint_lt(entry(0)->offset, entry(1)->offset);
}
END_TEST

START_TEST(an_exhausted_stack_has_a_trace)
{
    hemi_store *store;
    hemi_instance *in = instance_from(client, "(module (func (export \"f\") (call 0) (nop)))", &store);
    expect_trap(export_of(in, "f"), "call stack exhausted");
    ck_assert_uint_eq(count(), 65);
    ck_assert_int_eq(entry(48)->kind, HEMI_TRACE_MORE);
    ck_assert_uint_gt(entry(48)->index, 10000);
    expect_entry(0, "f");
    expect_entry(64, "f");
}
END_TEST

START_TEST(an_exception_has_a_trace_of_where_it_was_thrown_last)
{
    static const char text[] = "(module (tag $t (param i32))\n"
                               "  (func (export \"throw\") (throw $t (i32.const 5)))\n"
                               "  (func (export \"again\") (throw_ref (block $h (result exnref)\n"
                               "    (try_table (catch_all_ref $h) (call 0)) (unreachable)))))";
    hemi_store *store;
    hemi_instance *in = instance_from(client, text, &store);
    hemi_object *again = export_of(in, "again"), *throw = export_of(in, "throw");
    expect(client, HEMI_EXCEPTION, hemi_call(throw, NULL, 0, NULL, 0, NULL));
    ck_assert_uint_eq(count(), 1);
    expect_entry(0, "throw");
    expect(client, HEMI_EXCEPTION, hemi_call(again, NULL, 0, NULL, 0, NULL));
    ck_assert_uint_eq(count(), 1);
    expect_entry(0, "again");
}
END_TEST

START_TEST(an_exception_comes_with_its_value_and_its_trace)
{
    hemi_store *store;
    hemi_instance *in =
        instance_from(client, "(module (tag $t) (func (export \"f\") (result anyref) (throw $t)))", &store);
    hemi_val result;
    expect(client, HEMI_EXCEPTION, hemi_call(export_of(in, "f"), NULL, 0, &result, 1, NULL));
    ck_assert_uint_eq(count(), 1);
    ck_assert_int_eq(hemi_client_exception(client).of.ref.kind, HEMI_REF_HANDLE);
}
END_TEST

START_TEST(a_deadline_tells_where_the_guest_was)
{
    hemi_store *store;
    hemi_instance *in = instance_from(client,
                                      "(module (func (loop (br 0)))\n"
                                      "  (func (export \"f\") (call 0) (nop)))",
                                      &store);
    hemi_object *f = export_of(in, "f");
    hemi_client_set_deadline(client, 50);
    expect(client, HEMI_DEADLINE, hemi_call(f, NULL, 0, NULL, 0, NULL));
    hemi_client_set_deadline(client, 0);
    ck_assert_uint_eq(count(), 2);
    expect_entry(0, "func[0]");
    expect_entry(1, "f");
}
END_TEST

START_TEST(instantiation_traces_start_functions_and_constant_expressions)
{
    hemi_store *store;
    hemi_instance *in;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    hemi_module *start = module_from(client, "(module (func (unreachable)) (func (call 0) (nop)) (start 1))");
    expect(client, HEMI_TRAP, hemi_instance_new(store, start, NULL, 0, NULL, &in, NULL));
    ck_assert_uint_eq(count(), 2);
    expect_entry(0, "func[0]");
    expect_entry(1, "func[1]");
    hemi_module *constant = module_from(client, "(module (type $a (array i64))\n"
                                                "  (global (ref $a) (array.new $a (i64.const 0) (i32.const -1))))");
    expect(client, HEMI_TRAP, hemi_instance_new(store, constant, NULL, 0, NULL, &in, NULL));
    ck_assert_uint_eq(count(), 1);
    expect_entry(0, "const[0]");
}
END_TEST

/* ---- Two instances, host functions */
START_TEST(frames_of_two_instances_have_the_names_of_their_modules)
{
    struct bytes a = {.n = 0}, b = {.n = 0};
    put_module_name(&a, "first");
    put_module_name(&b, "second");
    put_function_names(&b, (struct function_name[]){{0, "imported"}, {1, "local"}}, 2);
    hemi_store *store;
    hemi_instance *one, *two;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_instance_new(store, module_named("(module (func (export \"f\") (unreachable)))", &a), NULL, 0, NULL,
                                 &one, NULL));
    hemi_object *f = export_of(one, "f");
    ok(client, hemi_instance_new(store,
                                 module_named("(module (import \"x\" \"y\" (func))\n"
                                              "  (func (export \"g\") (call 0) (nop)))",
                                              &b),
                                 &f, 1, NULL, &two, NULL));
    expect_trap(export_of(two, "g"), "unreachable");
    ck_assert_uint_eq(count(), 2);
    expect_entry(0, "first.f");
    expect_entry(1, "second.local");
    ck_assert_uint_ne(entry(0)->instance, entry(1)->instance);
}
END_TEST

static hemi_status fails(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)args, (void)results, (void)env;
    return hemi_caller_fail(caller, "no such luck");
}

struct inner {
    hemi_object *inner;
    size_t entries;
    char texts[8][64];
};

static hemi_status calls_inner(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct inner *i = env;
    (void)caller, (void)args, (void)results;
    hemi_status status = hemi_call(i->inner, NULL, 0, NULL, 0, NULL);
    ck_assert_int_eq(status, HEMI_TRAP);
    i->entries = count();
    for (size_t k = 0; k < i->entries && k < 8; k++) hemi_trace_text(entry(k), i->texts[k], sizeof i->texts[k]);
    return status;
}

static const char HOSTED[] = "(module (import \"env\" \"h\" (func))\n"
                             "  (func (export \"inner\") (unreachable))\n"
                             "  (func (call 0) (nop)) (func (export \"outer\") (call 2) (nop)))";

static hemi_instance *hosted(hemi_host_function function, void *env)
{
    hemi_store *store;
    hemi_object *h;
    hemi_instance *in;
    struct hemi_func_options type = {.nparams = 0};
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_func_new(store, &type, function, env, &h, NULL));
    ok(client, hemi_instance_new(store, module_from(client, HOSTED), &h, 1, NULL, &in, NULL));
    return in;
}

START_TEST(a_host_function_that_fails_is_the_innermost_frame)
{
    hemi_instance *in = hosted(fails, NULL);
    expect_failure(HEMI_HOST, export_of(in, "outer"), "no such luck");
    ck_assert_uint_eq(count(), 3);
    expect_entry(0, "env.h (host)");
    expect_entry(1, "func[2]");
    expect_entry(2, "outer");
}
END_TEST

START_TEST(a_call_inside_a_host_function_shows_the_frames_around_it)
{
    struct inner i = {.inner = NULL};
    hemi_instance *in = hosted(calls_inner, &i);
    i.inner = export_of(in, "inner");
    expect(client, HEMI_HOST, hemi_call(export_of(in, "outer"), NULL, 0, NULL, 0, NULL));
    ck_assert_uint_eq(i.entries, 4);
    ck_assert(strncmp(i.texts[0], "inner at 0x", 11) == 0);
    ck_assert_str_eq(i.texts[1], "env.h (host)");
    ck_assert(strncmp(i.texts[2], "func[2] at 0x", 13) == 0);
    ck_assert(strncmp(i.texts[3], "outer at 0x", 11) == 0);
    ck_assert_uint_eq(count(), 3); /* and the outer call fails in the host function */
    expect_entry(0, "env.h (host)");
}
END_TEST

/* ---- Hostile names */
static void expect_names(const struct bytes *subsections, const char *inner, const char *middle)
{
    hemi_store *store;
    hemi_instance *in;
    ok(client, hemi_store_new(client, NULL, &store, NULL));
    ok(client, hemi_instance_new(store, module_named(NESTED, subsections), NULL, 0, NULL, &in, NULL));
    expect_trap(export_of(in, "outer"), "integer divide by zero");
    expect_entry(0, inner);
    expect_entry(1, middle);
    ok(client, hemi_store_close(store, NULL));
}

START_TEST(malformed_name_sections_are_no_errors)
{
    struct bytes b = {.n = 0};
    put_function_names(&b, (struct function_name[]){{0, "a"}, {1, "\xFF"}}, 2); /* not UTF-8: what was before counts */
    expect_names(&b, "a", "func[1]");
    b.n = 0;
    put_function_names(&b, (struct function_name[]){{99, "far"}, {1, "b"}}, 2);
    expect_names(&b, "func[0]", "b");
    b.n = 0;
    put_function_names(&b, (struct function_name[]){{0, "a"}, {0, "b"}}, 2);
    expect_names(&b, "b", "func[1]");
    b.n = 0;
    put_module_name(&b, "\xC0\x80"); /* the next subsection counts nevertheless */
    put_function_names(&b, (struct function_name[]){{0, "a"}}, 1);
    expect_names(&b, "a", "func[1]");
    b.n = 0;
    put_function_names(&b, (struct function_name[]){{0, "a"}}, 1);
    put_module_name(&b, "late");
    put_function_names(&b, (struct function_name[]){{1, "twice"}}, 1);
    expect_names(&b, "a", "func[1]");
    b.n = 0;
    put(&b, "\x01\x7F\x05", 3); /* longer than the section */
    expect_names(&b, "func[0]", "func[1]");
    b.n = 0;
    put(&b, "\x01\x06\xFF\xFF\xFF\xFF\x0F\x00", 8); /* 2^32 - 1 names */
    expect_names(&b, "func[0]", "func[1]");
    b.n = 0;
    put_function_names(&b, (struct function_name[]){{0, "\x1B[31m"}, {1, ""}}, 2);
    expect_names(&b, "\\x1b[31m", "func[1]");
}
END_TEST

/* The trace had no controls of ASCII, but those above it (U+009B begins sequences as ESC [ does) and what turns the
 * direction of writing; the message had them all. */
START_TEST(names_give_no_orders_to_terminals)
{
    struct bytes b = {.n = 0};
    put_function_names(&b,
                       (struct function_name[]){{0, "\x1B[2J\xC2\x9B"
                                                    "31m\xE2\x80\xAEx\xC3\xA9"},
                                                {1, "\n\x7F"}},
                       2);
    expect_names(&b, "\\x1b[2J\\u{9b}31m\\u{202e}x\xC3\xA9", "\\x0a\\x7f");
    const char *message = hemi_client_error(client);
    ck_assert_msg(strstr(message, "\"\\x1b[2J\\u{9b}31m\\u{202e}x\xC3\xA9\"") && strstr(message, "\"\\x0a\\x7f\""),
                  "%s", message);
    b.n = 0;
    struct outcome o = run_program((const char *[]){built("hemi"), "--socket", d.socket, "validate", "-", NULL},
                                   "(module (func (export \"\\1b[2J\\c2\\9b\") (result i32)))");
    ck_assert_msg(strstr(o.out, "\"\\x1b[2J\\u{9b}\""), "%s%s", o.out, o.err);
    outcome_deinit(&o);
}
END_TEST

START_TEST(long_names_are_cut_between_characters)
{
    char text[2048], name[601];
    memset(name, 0, sizeof name);
    for (int i = 0; i < 200; i++) memcpy(name + 3 * i, "\xE2\x82\xAC", 3); /* 200 characters of three bytes */
    snprintf(text, sizeof text, "(module (func (export \"%s\") (unreachable)))", name);
    hemi_store *store;
    hemi_instance *in = instance_from(client, text, &store);
    expect_trap(export_of(in, name), "unreachable");
    ck_assert_uint_eq(entry(0)->name_length, 255);
    ck_assert(memcmp(entry(0)->name, name, 255) == 0);
}
END_TEST

/* The sanitizers see a leak when this test's process ends. */
START_TEST(a_trap_that_came_last_is_freed_with_its_client)
{
    hemi_store *store;
    hemi_client *other = client_open(d.socket);
    hemi_instance *in = instance_from(other, "(module (func (export \"f\") (unreachable)))", &store);
    expect(other, HEMI_TRAP, hemi_call(export_of(in, "f"), NULL, 0, NULL, 0, NULL));
    hemi_client_free(other);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace");
    TCase *t = tcase_create("trace");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_trap_in_nested_calls_tells_each_place);
    tcase_add_test(t, names_of_the_text_format_are_shown);
    tcase_add_test(t, a_trap_that_came_last_is_freed_with_its_client);
    tcase_add_test(t, offsets_are_those_of_the_instructions);
    tcase_add_test(t, frames_that_a_tail_call_replaced_are_missing);
    tcase_add_test(t, deep_recursion_keeps_both_ends);
    tcase_add_test(t, an_exhausted_stack_has_a_trace);
    tcase_add_test(t, an_exception_has_a_trace_of_where_it_was_thrown_last);
    tcase_add_test(t, an_exception_comes_with_its_value_and_its_trace);
    tcase_add_test(t, a_deadline_tells_where_the_guest_was);
    tcase_add_test(t, instantiation_traces_start_functions_and_constant_expressions);
    tcase_add_test(t, frames_of_two_instances_have_the_names_of_their_modules);
    tcase_add_test(t, a_host_function_that_fails_is_the_innermost_frame);
    tcase_add_test(t, a_call_inside_a_host_function_shows_the_frames_around_it);
    tcase_add_test(t, malformed_name_sections_are_no_errors);
    tcase_add_test(t, names_give_no_orders_to_terminals);
    tcase_add_test(t, long_names_are_cut_between_characters);
    suite_add_tcase(s, t);
    t = tcase_create("traps"); /* with daemons of their own */
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_trap_tells_its_instruction, 0, 2);
    suite_add_tcase(s, t);
    return run_suite(s);
}
