/* proto/tables/limits.h: for each row, the module one beyond it is refused and says so, and, where that is cheap, one
 * exactly at it is not. A row without a builder here does not compile. */
#include "runtime/engine/engine.h"
#include "runtime/module/module.h"
#include "tests/unit/module_writer.h"
#include "tests/unit/suite.h"
#include <stdio.h>

static struct engine *e;
static struct rt_error err;

static void setup(void) { ck_assert_int_eq(engine_new(NULL, &e), HEMI_OK); }
static void teardown(void) { engine_free(e); }

/* ---- One builder for each row: a module with n of what the row limits */

static void build_MODULE_BYTES(struct out *o, uint32_t n)
{
    BYTES(o, "\0asm\1\0\0\0");
    o->claimed = n; /* never read */
}
static void build_TYPES(struct out *o, uint32_t n) { THINGS(o, TYPE_SECTION, n, "\x5E\x7F\0"); }
static void build_GROUP_TYPES(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    BYTES(o, "\1\x4E");
    counted(o, n);
    REPEAT(o, "\x5E\x7F\0", n);
    close_length(o, at);
}

/* Modules that fill the engine, but for what the last one has. */
static struct module *fillers[8];
static uint32_t nfillers;

/* A group of n types that differs from the others by its first one. */
static void distinct_group(struct out *o, uint32_t n, uint32_t which)
{
    size_t at = section(o, TYPE_SECTION);
    BYTES(o, "\1\x4E");
    leb(o, n);
    BYTES(o, "\x60");
    leb(o, which);
    REPEAT(o, "\x7F", which);
    BYTES(o, "\0");
    REPEAT(o, "\x5E\x7F\0", n - 1);
    close_length(o, at);
}
static void build_ENGINE_TYPES(struct out *o, uint32_t n)
{
    while (n - e->types->ntypes > WASM_MAX_GROUP_TYPES) {
        struct out filler = {0};
        distinct_group(&filler, WASM_MAX_GROUP_TYPES, nfillers);
        ck_assert_int_eq(module_new(e, filler.at, filler.n, &fillers[nfillers++], &err), HEMI_OK);
        free(filler.at);
    }
    distinct_group(o, n - e->types->ntypes, nfillers);
}
static void free_fillers(void)
{
    while (nfillers > 0) module_unref(fillers[--nfillers]);
}

static void build_PARAMS(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    BYTES(o, "\1\x60");
    counted(o, n);
    REPEAT(o, "\x7F", n);
    byte(o, 0);
    close_length(o, at);
}
static void build_RESULTS(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    BYTES(o, "\1\x60\0");
    counted(o, n);
    REPEAT(o, "\x7F", n);
    close_length(o, at);
}
static void build_FIELDS(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    BYTES(o, "\1\x5F");
    counted(o, n);
    REPEAT(o, "\x7F\0", n);
    close_length(o, at);
}
static void build_SUPERS(struct out *o, uint32_t n)
{
    size_t at = section(o, TYPE_SECTION);
    leb(o, n + 1);
    BYTES(o, "\x50\0\x5F\0");
    for (uint32_t i = 0; i < n; i++) {
        o->where = o->n;
        BYTES(o, "\x50\1");
        leb(o, i);
        BYTES(o, "\x5F\0");
    }
    close_length(o, at);
}
static void build_IMPORTS(struct out *o, uint32_t n) { THINGS(o, IMPORT_SECTION, n, "\0\0\3\x7F\0"); }
static void build_FUNCTIONS(struct out *o, uint32_t n)
{
    functions(o, NO_TYPES, sizeof NO_TYPES - 1, n);
    o->where = 8 + 6 + sizeof NO_TYPES - 1 + 6;
}
static void build_TABLES(struct out *o, uint32_t n) { THINGS(o, TABLE_SECTION, n, "\x70\0\0"); }
static void build_MEMORIES(struct out *o, uint32_t n) { THINGS(o, MEMORY_SECTION, n, "\0\0"); }
static void build_TAGS(struct out *o, uint32_t n) { announce(o, TAG_SECTION, n); }
static void build_GLOBALS(struct out *o, uint32_t n) { announce(o, GLOBAL_SECTION, n); }
static void build_EXPORTS(struct out *o, uint32_t n) { announce(o, EXPORT_SECTION, n); }
static void build_ELEM_SEGMENTS(struct out *o, uint32_t n) { announce(o, ELEM_SECTION, n); }
static void build_ELEM_ITEMS(struct out *o, uint32_t n)
{
    size_t at = section(o, ELEM_SECTION);
    BYTES(o, "\1\1\0"); /* one passive segment of functions */
    counted(o, n);
    close_length(o, at);
}
static void build_DATA_SEGMENTS(struct out *o, uint32_t n) { THINGS(o, DATA_SECTION, n, "\1\0"); }
static void build_NAME_BYTES(struct out *o, uint32_t n)
{
    size_t at = section(o, IMPORT_SECTION);
    byte(o, 1);
    counted(o, n);
    REPEAT(o, "a", n);
    BYTES(o, "\0\3\x7F\0");
    close_length(o, at);
}
static void build_FUNCTION_BYTES(struct out *o, uint32_t n)
{
    functions(o, NO_TYPES, sizeof NO_TYPES - 1, 1);
    size_t at = section(o, CODE_SECTION);
    byte(o, 1);
    counted(o, n);
    byte(o, 0);
    REPEAT(o, "\1", n - 2);
    byte(o, 0x0B);
    close_length(o, at);
}
static void build_LOCALS(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    counted(o, 1);
    leb(o, n);
    byte(o, 0x7F);
    close_code(o, c);
}
static void build_MODULE_LOCALS(struct out *o, uint32_t n)
{
    const uint32_t each = WASM_MAX_LOCALS, count = (n + each - 1) / each;
    functions(o, NO_TYPES, sizeof NO_TYPES - 1, count);
    size_t at = section(o, CODE_SECTION);
    leb(o, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t body = open_length(o);
        counted(o, 1);
        leb(o, i == count - 1 ? n - i * each : each);
        BYTES(o, "\x7F\x0B");
        close_length(o, body);
    }
    close_length(o, at);
}
/* n operands in live code. (Some slots are kept back for what an instruction needs besides.) */
static void build_FRAME_SLOTS(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    byte(o, 0);
    REPEAT(o, "\x41\0", n);
    byte(o, 0);
    close_code(o, c);
}
/* Conditional branches with sixteen operands that are not where the label wants them: a move of ten bytes each. */
static void build_CODE_BYTES(struct out *o, uint32_t n)
{
    struct out types = {0};
    BYTES(&types, "\2\x60\0\0\x60\0\x10");
    REPEAT(&types, "\x7F", 16);
    struct body c = open_code(o, (const char *)types.at, types.n);
    BYTES(o, "\0\2\1\x41\0");
    REPEAT(o, "\x41\1", 16);
    REPEAT(o, "\x41\1\x0D\0", n / 160 + 1);
    BYTES(o, "\0\x0B\0");
    close_code(o, c);
    free(types.at);
}
static void build_LIVE_REFS(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, "\2\x60\0\0\x5F\0");
    byte(o, 0);
    REPEAT(o, "\xFB\1\1", 4096);
    REPEAT(o, "\x10\0", n / 4096 + 1);
    byte(o, 0);
    close_code(o, c);
}
static void build_NESTING(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    byte(o, 0);
    REPEAT(o, "\2\x40", n);
    o->where = o->n - 2;
    REPEAT(o, "\x0B", n);
    close_code(o, c);
}
static void build_OPERANDS(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    BYTES(o, "\0\0");
    REPEAT(o, "\x41\0", n);
    o->where = o->n - 2;
    byte(o, 0);
    close_code(o, c);
}
static void build_BR_TABLE(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    BYTES(o, "\0\x41\0\x0E");
    counted(o, n);
    REPEAT(o, "\0", n + 1);
    close_code(o, c);
}
static void build_CATCHES(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, NO_TYPES);
    BYTES(o, "\0\x1F\x40");
    counted(o, n);
    REPEAT(o, "\2\0", n);
    byte(o, 0x0B);
    close_code(o, c);
}
static void build_NEW_FIXED(struct out *o, uint32_t n)
{
    struct body c = OPEN_CODE(o, "\2\x60\0\0\x5E\x7F\0");
    BYTES(o, "\0\0");
    o->where = o->n;
    BYTES(o, "\xFB\x08\1");
    leb(o, n);
    byte(o, 0x1A);
    close_code(o, c);
}

/* ---- The rows */

static const struct row {
    const char *name, *text;
    uint32_t value;
    void (*build)(struct out *o, uint32_t n);
} rows[LIMIT_COUNT] = {
#define X(name, value, text) {#name, text, value, build_##name},
    WASM_LIMITS(X)
#undef X
};

static enum hemi_status load(const struct out *o)
{
    struct module *m;
    enum hemi_status status = module_new(e, o->at, o->claimed ? o->claimed : o->n, &m, &err);
    module_unref(m);
    return status;
}

START_TEST(one_beyond_is_refused_with_name_value_and_place)
{
    const struct row *row = &rows[_i];
    struct out o = {0};
    char start[200], value[64];
    snprintf(start, sizeof start, "too many %s: ", row->text);
    snprintf(value, sizeof value, "at most %u are supported", row->value);
    row->build(&o, row->value + 1);
    enum hemi_status status = load(&o);
    ck_assert_msg(status == HEMI_LIMIT, "%s: %d: %s", row->name, status, err.message);
    ck_assert_msg(strncmp(err.message, start, strlen(start)) == 0 && strstr(err.message, value), "%s: %s", row->name,
                  err.message);
    ck_assert_msg(err.has_offset && (err.offset < o.n || o.claimed) && (o.where == 0 || err.offset == o.where),
                  "%s: offset %zu, not %zu", row->name, (size_t)err.offset, o.where);
    free(o.at);
    free_fillers();
}
END_TEST

/* Exactly at it, another check may refuse what a builder leaves out, but none as too much. Not tried: what reads a
 * gigabyte, and where the builder's count is not exact. */
START_TEST(exactly_at_it_is_not_too_much)
{
    const struct row *row = &rows[_i];
    struct out o = {0};
    if (_i == LIMIT_MODULE_BYTES || _i == LIMIT_FRAME_SLOTS || _i == LIMIT_CODE_BYTES || _i == LIMIT_LIVE_REFS) return;
    row->build(&o, row->value);
    enum hemi_status status = load(&o);
    ck_assert_msg(status == HEMI_OK || status == HEMI_INVALID_MODULE, "%s: %s", row->name, err.message);
    free(o.at);
    free_fillers();
}
END_TEST

START_TEST(an_index_space_counts_imports)
{
    struct out o = {0};
    THINGS(&o, IMPORT_SECTION, 60, "\0\0\2\0\0");
    THINGS(&o, MEMORY_SECTION, 41, "\0\0");
    ck_assert_int_eq(load(&o), HEMI_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.message, "too many memories: 101, at most 100 are supported"));
    free(o.at);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("limits");
    TCase *c = tcase_create("limits");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, one_beyond_is_refused_with_name_value_and_place, 0, LIMIT_COUNT);
    tcase_add_loop_test(c, exactly_at_it_is_not_too_much, 0, LIMIT_COUNT);
    tcase_add_test(c, an_index_space_counts_imports);
    suite_add_tcase(s, c);
    return run_suite(s);
}
