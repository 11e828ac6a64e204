/* Loading a module takes work linear in its size: modules whose parts could make each other expensive, at a size and at
 * twice the size. Work is counted, not timed: in polls, of which there is one for each DECODE_POLL_BYTES steps. */
#include "runtime/binary/decoder.h"
#include "tests/unit/module_writer.h"
#include "tests/unit/suite.h"
#include <stdio.h>

static struct engine *e;
static struct rt_error err;
static uint64_t polls;

static enum hemi_status count_poll(void *ctx)
{
    (void)ctx;
    polls++;
    return HEMI_OK;
}

static void setup(void)
{
    const struct engine_options options = {.yield = count_poll};
    ck_assert_int_eq(engine_new(&options, &e), HEMI_OK);
}
static void teardown(void) { engine_free(e); }

static enum hemi_status load(const struct out *o)
{
    struct module *m;
    enum hemi_status status = module_new(e, o->at, o->n, &m, &err);
    module_unref(m);
    return status;
}

static void chain_types(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    leb(o, n);
    for (uint32_t i = 0; i < n; i++) { /* chains of the greatest depth, side by side */
        uint32_t depth = i % (WASM_MAX_SUPERS + 1);
        BYTES(o, "\x50");
        byte(o, depth > 0);
        if (depth > 0) leb(o, i - 1);
        BYTES(o, "\x5F\1\x7F\0");
    }
    close_length(o, at);
}
/* One group whose types all refer to its last and to themselves. */
static void self_referring_group(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    BYTES(o, "\1\x4E");
    leb(o, n);
    for (uint32_t i = 0; i < n; i++) {
        BYTES(o, "\x5F\2\x63");
        heap_index(o, i);
        BYTES(o, "\0\x63");
        heap_index(o, n - 1);
        byte(o, 0);
    }
    close_length(o, at);
}
static void equal_groups(struct out *o, uint32_t n) { THINGS(o, TYPE_SECTION, n, "\x4E\2\x60\1\x63\0\0\x5E\x63\1\0"); }
static void exports(struct out *o, uint32_t n)
{
    THINGS(o, MEMORY_SECTION, 1, "\0\0");
    size_t at = section(o, EXPORT_SECTION);
    leb(o, n);
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        byte(o, (unsigned)snprintf(name, sizeof name, "%010u", i == n - 1 ? 0 : i)); /* the last is a duplicate */
        bytes(o, name, 10);
        BYTES(o, "\2\0");
    }
    close_length(o, at);
}
static void nested_labels(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    byte(o, 0);
    REPEAT(o, "\2\x40", n);
    BYTES(o, "\x41\0\x0E");
    leb(o, n);
    for (uint32_t i = 0; i <= n; i++) leb(o, i);
    REPEAT(o, "\x0B", n);
    close_code(o, c);
}
/* Repeats one of two labels that want a hundred operands elsewhere. */
static void repeated_labels(struct out *o, uint32_t n)
{
    struct out types = {0};
    BYTES(&types, "\2\x60\0\0\x60\0\x64");
    REPEAT(&types, "\x7F", 100);
    struct body c = open_code(o, (const char *)types.at, types.n);
    BYTES(o, "\0\2\1\2\1\x41\0");
    REPEAT(o, "\x41\1", 101);
    BYTES(o, "\x0E");
    leb(o, n);
    REPEAT(o, "\0\1", (n + 1) / 2);
    if (n % 2 == 0) byte(o, 0);
    BYTES(o, "\x0B\0\x0B\0");
    close_code(o, c);
    free(types.at);
}
/* The old values of n locals under n other operands, then each local gets a new one. */
static void saved_locals(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    byte(o, 1);
    leb(o, n);
    byte(o, 0x7F);
    for (uint32_t i = 0; i < n; i++) {
        byte(o, 0x20);
        leb(o, i);
    }
    REPEAT(o, "\x41\0", n);
    for (uint32_t i = 0; i < n; i++) {
        BYTES(o, "\x41\0\x21");
        leb(o, i);
    }
    byte(o, 0);
    close_code(o, c);
}
static void blocks_on_a_deep_stack(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    BYTES(o, "\1\1\x7F");
    REPEAT(o, "\x41\0", n);
    REPEAT(o, "\x20\0\2\x40\x0B\x1A", n);
    byte(o, 0);
    close_code(o, c);
}
static void calls_on_a_deep_stack(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    byte(o, 0);
    REPEAT(o, "\x41\0", n);
    REPEAT(o, "\x10\0", n);
    byte(o, 0);
    close_code(o, c);
}
/* struct.new of a hundred fields, and array.new_fixed, where nothing is live. */
static void unreachable_pops(struct out *o, uint32_t n)
{
    struct out types = {0};
    BYTES(&types, "\3\x60\0\0\x5E\x7F\0\x5F\x64");
    REPEAT(&types, "\x7F\0", 100);
    struct body c = open_code(o, (const char *)types.at, types.n);
    BYTES(o, "\0\0");
    REPEAT(o, "\xFB\0\2\x1A\xFB\x08\1\x90\x4E\x1A\xFB\1\2\x1A", n);
    close_code(o, c);
    free(types.at);
}
static void local_groups(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    leb(o, n);
    for (uint32_t i = 0; i < n; i++) BYTES(o, "\1\x7F");
    close_code(o, c);
}
static void function_names(struct out *o, uint32_t n)
{
    functions(o, NO_TYPES, sizeof NO_TYPES - 1, n);
    THINGS(o, CODE_SECTION, n, "\2\0\x0B");
    size_t at = section(o, 0);
    BYTES(o, "\4name\1");
    size_t sub = open_length(o);
    leb(o, n);
    for (uint32_t i = 0; i < n; i++) {
        leb(o, i);
        BYTES(o, "\1f");
    }
    close_length(o, sub);
    close_length(o, at);
}

static const struct shape {
    const char *name;
    void (*build)(struct out *o, uint32_t n);
    uint32_t n;
} shapes[] = {
#define SHAPE(name, n) {#name, name, n}
    SHAPE(chain_types, 50000),      SHAPE(self_referring_group, 50000),   SHAPE(equal_groups, 50000),
    SHAPE(exports, 50000),          SHAPE(nested_labels, 24000),          SHAPE(repeated_labels, 30000),
    SHAPE(saved_locals, 9000),      SHAPE(blocks_on_a_deep_stack, 24000), SHAPE(calls_on_a_deep_stack, 24000),
    SHAPE(unreachable_pops, 24000), SHAPE(local_groups, 24000),           SHAPE(function_names, 50000),
#undef SHAPE
};

enum { STEPS_PER_BYTE = 3 };
static uint64_t work_of(const struct shape *s, uint32_t n)
{
    struct out o = {0};
    s->build(&o, n);
    polls = 0;
    enum hemi_status status = load(&o);
    bool refused = status == HEMI_INVALID_MODULE && strstr(err.message, "duplicate export name");
    ck_assert_msg(status == HEMI_OK || refused, "%s: %s", s->name, err.message);
    ck_assert_msg(polls * DECODE_POLL_BYTES < STEPS_PER_BYTE * o.n, "%s: %llu polls for %zu bytes", s->name,
                  (unsigned long long)polls, o.n);
    free(o.at);
    return polls;
}

START_TEST(work_is_linear_in_a_modules_size)
{
    const struct shape *s = &shapes[_i];
    uint64_t once = work_of(s, s->n), twice = work_of(s, 2 * s->n);
    ck_assert_msg(once > 0, "%s: too small to be counted", s->name);
    ck_assert_msg(twice <= 2 * once + once / 4 + 8, "%s: %llu polls, then %llu", s->name, (unsigned long long)once,
                  (unsigned long long)twice);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("linear");
    TCase *c = tcase_create("work");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, work_is_linear_in_a_modules_size, 0, sizeof shapes / sizeof *shapes);
    suite_add_tcase(s, c);
    return run_suite(s);
}
