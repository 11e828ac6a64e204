/* tests/unit/runtime/listing_test.c -- translated code as text: every handler has a layout, and one function per idea
 * (tests/listings/NAME.wat) is translated as NAME.txt beside it says. HEMI_BLESS=1 writes those anew: read the diff. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wat/wat.h"
#include "runtime/code/listing.h"
#include "runtime/engine/engine.h"
#include "tests/unit/suite.h"

START_TEST(every_handler_has_a_layout)
{
    struct vmop_layout layout;
    for (uint32_t op = 0; op < VMOP_COUNT; op++) {
        if (op == VM_BR_TABLE_S || op == VM_BR_TABLE_R) continue;
        ck_assert_msg(vmop_layout(op, &layout), "%s", vmop_names[op]);
        bool vector = strpbrk(vmop_names[op], "X") != NULL || strstr(vmop_names[op], "V128") != NULL;
        ck_assert_msg(layout.fields[0] != 'w' || vector, "%s: its immediates have no names", vmop_names[op]);
    }
}
END_TEST

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return NULL;
    char *text = malloc(1 << 20);
    *size = fread(text, 1, (1 << 20) - 1, f);
    text[*size] = 0;
    fclose(f);
    return text;
}

static struct module *module_of(struct engine *e, const char *text, size_t size)
{
    uint8_t *bytes;
    size_t n;
    struct wat_error wat;
    struct rt_error err;
    struct module *m;
    ck_assert_msg(wat_assemble(text, size, NULL, &bytes, &n, &wat) == 0, "%s", wat.message);
    ck_assert_msg(module_take(e, bytes, n, &m, &err) == HEMI_OK, "%s", err.message);
    return m;
}

/* All of a function's lines, in pieces of at most `room`. */
static void list(const struct module *m, uint32_t func, size_t room, FILE *out)
{
    char *piece = malloc(room);
    uint32_t at = 0;
    do {
        size_t used;
        ck_assert_int_eq(module_list(m, func, &at, piece, room, &used), HEMI_OK);
        ck_assert(used > 0 && used <= room && piece[used - 1] == '\n');
        fwrite(piece, 1, used, out);
    } while (at != 0);
    free(piece);
}

static char *listing_of(const struct module *m, size_t room)
{
    char *all;
    size_t size;
    FILE *out = open_memstream(&all, &size);
    for (uint32_t f = m->nimported_funcs; f < m->nfuncs; f++) list(m, f, room, out);
    fclose(out);
    return all;
}

static const char *const names[] = {"allocation", "calls", "casts", "compares", "exceptions", "loops", "vectors"};

START_TEST(ideas_are_translated_as_written_down)
{
    char path[512];
    size_t size;
    struct engine *e;
    snprintf(path, sizeof path, HEMI_SOURCE_DIR "/tests/listings/%s.wat", names[_i]);
    char *text = read_file(path, &size);
    ck_assert_msg(text != NULL, "%s", path);
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    struct module *m = module_of(e, text, size);
    char *is = listing_of(m, 1 << 16);
    memcpy(strrchr(path, '.'), ".txt", 5);
    if (getenv("HEMI_BLESS") != NULL) {
        FILE *out = fopen(path, "wb");
        ck_assert_ptr_nonnull(out);
        fputs(is, out);
        fclose(out);
    }
    char *was = read_file(path, &size);
    ck_assert_msg(was != NULL && strcmp(is, was) == 0, "%s; now:\n%s", path, is);
    free(was), free(is), free(text);
    module_unref(m);
    engine_free(e);
}
END_TEST

START_TEST(a_listing_comes_in_pieces_from_places_that_are_some)
{
    static const char text[] = "(module (import \"a\" \"b\" (func)) (tag $t) (func (param i32) (result i32)"
                               " (block $b (try_table (catch $t $b) (call 0)) (try_table (catch_all $b) (call 0)))"
                               " (i32.add (local.get 0) (i32.const 1))))";
    struct engine *e;
    size_t used;
    char line[MODULE_LINE_MAX];
    uint32_t at = 0, places = 0;
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    struct module *m = module_of(e, text, sizeof text - 1);
    char *whole = listing_of(m, 1 << 16), *pieces = listing_of(m, MODULE_LINE_MAX);
    ck_assert_str_eq(whole, pieces);
    ck_assert_int_eq(module_list(m, 0, &at, line, sizeof line, &used), HEMI_ARGUMENT); /* imported */
    ck_assert_int_eq(module_list(m, 2, &at, line, sizeof line, &used), HEMI_ARGUMENT);
    for (uint32_t from = 0; from < m->code[1].size + 10; from++) {
        at = from;
        enum hemi_status status = module_list(m, 1, &at, line, sizeof line, &used);
        ck_assert(status == HEMI_OK || (status == HEMI_ARGUMENT && used == 0));
        places += status == HEMI_OK;
    }
    uint32_t lines = 0;
    for (const char *p = whole; *p != 0; p++) lines += *p == '\n';
    ck_assert_uint_eq(places, lines); /* each line begins at one, and nothing else does */
    free(whole), free(pieces);
    module_unref(m);
    engine_free(e);
}
END_TEST

/* 500 locals that are references, and a region of 300 clauses. */
START_TEST(a_line_that_is_too_long_ends_in_dots)
{
    struct engine *e;
    char *text, *is;
    size_t size, dotted = 0;
    FILE *out = open_memstream(&text, &size);
    fputs("(module (tag $t) (func (local", out);
    for (int i = 0; i < 500; i++) fputs(" anyref", out);
    fputs(") (block $b (try_table", out);
    for (int i = 0; i < 300; i++) fputs(" (catch $t $b)", out);
    fputs(" (throw $t)))))", out);
    fclose(out);
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    struct module *m = module_of(e, text, size);
    is = listing_of(m, MODULE_LINE_MAX);
    for (const char *line = is, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        ck_assert_int_lt(end - line, MODULE_LINE_MAX);
        dotted += end - line > 3 && memcmp(end - 3, "...", 3) == 0;
    }
    ck_assert_uint_eq(dotted, 2);
    free(is), free(text);
    module_unref(m);
    engine_free(e);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listing");
    TCase *tc = tcase_create("listing");
    tcase_add_test(tc, every_handler_has_a_layout);
    tcase_add_loop_test(tc, ideas_are_translated_as_written_down, 0, sizeof names / sizeof names[0]);
    tcase_add_test(tc, a_listing_comes_in_pieces_from_places_that_are_some);
    tcase_add_test(tc, a_line_that_is_too_long_ends_in_dots);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
