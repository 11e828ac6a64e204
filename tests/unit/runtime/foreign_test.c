/* What is not of WebAssembly 3.0 is refused by its name: all rows of proposals.h and files.h, in both formats. */
#include "client/wat/wat.h"
#include "proto/tables/files.h"
#include "proto/tables/proposals.h"
#include "runtime/runtime.h"
#include "tests/unit/module_writer.h"
#include "tests/unit/suite.h"
#include <stdio.h>

static struct engine *e;
static struct rt_error err;
static struct wat_error text_error;

static void setup(void)
{
    struct engine_options opt = {0};
    ck_assert_int_eq(engine_new(&opt, &e), HEMI_OK);
}
static void teardown(void) { engine_free(e); }

static void decode(const struct out *o)
{
    struct module *m;
    ck_assert_int_eq(module_new(e, o->at, o->n, &m, &err), HEMI_INVALID_MODULE);
    ck_assert_ptr_null(m);
}

static void disassemble(const struct out *o)
{
    static const struct wat_options defaults;
    char *text;
    size_t length;
    ck_assert_int_eq(wat_disassemble(&defaults, o->at, o->n, NULL, &text, &length, &text_error), HEMI_INVALID_MODULE);
}

static void assemble(const char *text, size_t size)
{
    uint8_t *bytes;
    size_t n;
    int status = wat_assemble(text, size, NULL, &bytes, &n, &text_error);
    ck_assert_msg(status == HEMI_INVALID_MODULE, "%s: %d", text, status);
}

static void ck_names(const char *message, const char *proposal, const char *what)
{
    char remark[160];
    snprintf(remark, sizeof remark, PROPOSAL_REMARK, proposal);
    ck_assert_msg(strstr(message, remark) != NULL, "%s: \"%s\" does not say \"%s\"", what, message, remark);
}

/* ---- the binary format */

static const char *const places[] = {
#define X(name) #name,
    PROPOSAL_PLACES(X)
#undef X
};

static const struct mark {
    enum wasm_proposal proposal;
    enum proposal_place place;
    uint32_t first, last;
} marks[] = {
#define X(proposal, place, first, last) {PROPOSAL_##proposal, MARK_##place, first, last},
    PROPOSAL_MARKS(X)
#undef X
};

/* A section whose only entry these bytes begin; the rest of it is zeros. */
static void entry(struct out *o, unsigned section, const char *data, size_t n, uint32_t code)
{
    byte(o, section);
    size_t length = open_length(o);
    byte(o, 1);
    bytes(o, data, n);
    leb(o, code);
    REPEAT(o, "\0", 8);
    close_length(o, length);
}
#define ENTRY(o, section, literal, code) entry(o, section, literal, sizeof(literal) - 1, code)

static void body(struct out *o, const char *data, size_t n, uint32_t code)
{
    BYTES(o, "\1\4\1\x60\0\0\3\2\1\0\5\3\1\0\1");
    byte(o, 10);
    size_t section = open_length(o);
    byte(o, 1);
    size_t length = open_length(o);
    byte(o, 0);
    bytes(o, data, n);
    leb(o, code);
    REPEAT(o, "\0", 8);
    byte(o, 0x0B);
    close_length(o, length);
    close_length(o, section);
}
#define CODE(o, literal, code) body(o, literal, sizeof(literal) - 1, code)

static void module_with(struct out *o, const struct mark *mark, uint32_t code)
{
    bool layered = mark->place == MARK_LAYER;
    BYTES(o, "\0asm\1\0");
    byte(o, layered ? code : 0);
    byte(o, 0);
    switch (mark->place) {
    case MARK_OPCODE: {
        const char opcode = (char)code;
        body(o, &opcode, 1, 0);
        break;
    }
    case MARK_FB:
    case MARK_FC:
    case MARK_FD:
    case MARK_FE: {
        const char prefix = (char)(0xFB + (mark->place - MARK_FB));
        body(o, &prefix, 1, code);
        break;
    }
    case MARK_TYPE:
        ENTRY(o, 6, "", code);
        break;
    case MARK_IMPORT:
        ENTRY(o, 2, "\0\0", code);
        break;
    case MARK_SECTION:
        ENTRY(o, code, "", 0);
        break;
    case MARK_LAYER:
        break;
    case MARK_MEMORY_LIMITS:
        ENTRY(o, 5, "", code);
        break;
    case MARK_TABLE_LIMITS:
        ENTRY(o, 4, "\x70", code);
        break;
    case MARK_MUTABILITY:
        ENTRY(o, 6, "\x7F", code);
        break;
    case MARK_MEMARG:
        CODE(o, "\x41\0\x28", code | 2);
        break;
    case MARK_CAST:
        CODE(o, "\x41\0\xFB\x18", code);
        break;
    case MARK_SEGMENT:
        ENTRY(o, 9, "", code);
        break;
    }
}

/* An exponent of an alignment may be written, though no module is valid with it. */
static bool has_text(const struct mark *mark) { return mark->place != MARK_MEMARG; }

static void ck_mark(const struct mark *mark, uint32_t code)
{
    struct out o = {0};
    const char *proposal = proposal_of_mark(mark->place, code);
    char what[40];
    snprintf(what, sizeof what, "%s %x", places[mark->place], code);
    module_with(&o, mark, code);
    decode(&o);
    ck_names(err.message, proposal, what);
    if (has_text(mark)) disassemble(&o);
    if (has_text(mark)) ck_names(text_error.message, proposal, what);
    free(o.at);
}

START_TEST(a_binary_module_of_a_proposal_is_told_its_name)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        ck_assert_ptr_nonnull(proposal_of_mark(marks[i].place, marks[i].first));
        ck_mark(&marks[i], marks[i].first);
        ck_mark(&marks[i], marks[i].last);
    }
}
END_TEST

START_TEST(an_earlier_row_wins_and_other_codes_have_no_proposal)
{
    ck_assert_str_eq(proposal_of_mark(MARK_FC, 0x30), "half precision");
    ck_assert_str_eq(proposal_of_mark(MARK_FC, 0x32), "rounding variants");
    ck_assert_str_eq(proposal_of_mark(MARK_MEMORY_LIMITS, 3), "threads");
    ck_assert_str_eq(proposal_of_mark(MARK_MEMORY_LIMITS, 9), "custom page sizes");
    ck_assert_ptr_null(proposal_of_mark(MARK_MEMORY_LIMITS, 0x10));
    ck_assert_ptr_null(proposal_of_mark(MARK_OPCODE, 0xFF));
    ck_assert_ptr_null(proposal_of_mark(MARK_FE, 0x0B + 0x100));
}
END_TEST

START_TEST(a_mark_in_any_place_is_told_with_its_offset)
{
    static const struct {
        const char *bytes;
        size_t size, offset;
        const char *message;
    } rows[] = {
#define MODULE(body, offset, message) {"\0asm\1\0\0\0" body, sizeof("\0asm\1\0\0\0" body) - 1, offset, message}
        MODULE("\2\16\1\1a\0\x7E\0\0\3\1b\1c\1d", 14,
               "malformed import kind (it belongs to the proposal `compact import"),
        MODULE("\1\4\1\x5D\0\0", 11, "malformed composite type (it belongs to the proposal `stack switching`"),
        MODULE("\1\4\1\x65\x5F\0", 11, "malformed composite type (it belongs to the proposal `shared-everything"),
        MODULE("\6\10\1\x63\x62\0\0\xD0\x71\13", 12, "malformed heap type (it belongs to the proposal `custom desc"),
        MODULE("\5\4\1\10\1\0", 11, "malformed limits flags (it belongs to the proposal `custom page sizes`"),
        MODULE("\1\4\1\x60\0\0\3\2\1\0\12\6\1\4\0\xFC\x13\13", 23,
               "illegal opcode fc 13 (it belongs to the proposal `wide"),
#undef MODULE
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct out o = {0};
        bytes(&o, rows[i].bytes, rows[i].size);
        decode(&o);
        ck_assert(err.malformed);
        ck_assert_uint_eq(err.offset, rows[i].offset);
        ck_assert_msg(strncmp(err.message, rows[i].message, strlen(rows[i].message)) == 0, "%s", err.message);
        free(o.at);
    }
}
END_TEST

/* Its form is of 3.0, what it says is not. */
START_TEST(a_tag_with_results_is_told_its_proposal)
{
    static const char module[] = "\0asm\1\0\0\0\1\5\1\x60\0\1\x7F\15\3\1\0";
    struct out o = {0};
    bytes(&o, module, sizeof module);
    decode(&o);
    ck_assert(!err.malformed);
    ck_names(err.message, proposal_text(PROPOSAL_STACK_SWITCHING), "tag");
    free(o.at);
}
END_TEST

/* ---- the text format */

static void ck_word(const char *pattern, enum wasm_proposal proposal, const char *before)
{
    char word[64], text[160];
    size_t n = 0;
    for (const char *at = pattern + (*pattern == '('); *at; at++) word[n++] = *at == '*' || *at == '?' ? 'x' : *at;
    word[n] = 0;
    const char *format = *pattern == '('                     ? "(type (%s (struct)))"
                         : !before                           ? "(func %s)"
                         : strcmp(before, "import") != 0     ? "(func i32.load (%s 0))"
                         : proposal == PROPOSAL_TYPE_IMPORTS ? "(import \"m\" \"n\" (%s 0))"
                                                             : "(import \"m\" (%s 0))";
    sprintf(text, format, word);
    assemble(text, strlen(text));
    ck_names(text_error.message, proposal_text(proposal), text);
}

START_TEST(a_text_of_a_proposal_is_told_its_name){
#define X(proposal, word, before) ck_word(word, PROPOSAL_##proposal, before);
    PROPOSAL_WORDS(X)
#undef X
} END_TEST

    START_TEST(a_text_of_a_proposal_is_told_where)
{
    static const struct {
        const char *text;
        unsigned column;
        const char *message;
    } rows[] = {
        {"(module (memory 1 2 shared))", 21,
         "expected \")\", got \"shared\" (it belongs to the proposal `threads`, which"},
        {"(type $c (cont $f))", 10,
         "expected (func, (struct or (array, got \"(cont\" (it belongs to the proposal `stack"},
        {"(memory 1 (pagesize 1))", 11, "expected \")\", got \"(pagesize\" (it belongs to the proposal `custom page"},
        {"(func (i64.add128))", 8, "expected an instruction, got \"i64.add128\" (it belongs to the proposal `wide"},
        {"(global (ref null ( exact 0)))", 19,
         "expected a heap type, got \"(\" (it belongs to the proposal `custom desc"},
        {"(func try nop end)", 7, "expected an instruction, got \"try\" (it belongs to the proposal `legacy exception"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assemble(rows[i].text, strlen(rows[i].text));
        ck_assert_uint_eq(text_error.line, 1);
        ck_assert_uint_eq(text_error.column, rows[i].column);
        ck_assert_msg(strncmp(text_error.message, rows[i].message, strlen(rows[i].message)) == 0, "%s",
                      text_error.message);
    }
}
END_TEST

START_TEST(words_of_3_0_in_the_wrong_place_are_of_no_proposal)
{
    static const char *const texts[] = {"(func (type))", "(table 1 (item))", "(module (nothing))", "(func i32.store9)"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assemble(texts[i], strlen(texts[i]));
        ck_assert_msg(!strstr(text_error.message, "proposal"), "%s: %s", texts[i], text_error.message);
    }
}
END_TEST

/* ---- files */

static void ck_file(const char *data, size_t n, const char *what, bool is_text)
{
    struct out o = {0};
    bytes(&o, data, n);
    REPEAT(&o, " \n", 4);
    decode(&o);
    ck_assert_msg(strstr(err.message, what) != NULL && err.offset == 0 && err.malformed, "%s: %s", what, err.message);
    if (!is_text) {
        assemble((const char *)o.at, o.n);
        ck_assert_msg(strncmp(text_error.message, "not WebAssembly, but ", 21) == 0, "%s", text_error.message);
        ck_assert_str_eq(text_error.message + 21, what);
        ck_assert_msg(text_error.line == 1 && text_error.column == 1, "%s", what);
    }
    free(o.at);
}

START_TEST(a_file_that_is_no_module_is_told_what_it_is){
#define X(data, text) ck_file(data, sizeof(data) - 1, text, false);
    FOREIGN_FILES(X)
#undef X
#define X(data, text) ck_file(data, sizeof(data) - 1, text, true);
        TEXT_FILES(X)
#undef X
} END_TEST

    START_TEST(other_text_and_bytes_are_said_to_be_neither_form)
{
    static const char *const texts[] = {"// x\nconst a = 1;", "hello", "\n  int main(void)", "\x80\x81\x82"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assemble(texts[i], strlen(texts[i]));
        ck_assert_msg(strstr(text_error.message, "neither a binary module nor in the text format"), "%s: %s", texts[i],
                      text_error.message);
    }
    assemble("  (modul)", 9);
    ck_assert_msg(!strstr(text_error.message, "neither"), "%s", text_error.message);
}
END_TEST

START_TEST(components_other_versions_and_nothing_are_told_apart)
{
    struct out o = {0};
    BYTES(&o, "\0asm\x0D\0\1\0");
    decode(&o);
    ck_assert_str_eq(err.message, "unknown binary version 13, layer 1: no module (it belongs to the proposal "
                                  "`component model`, which is not part of WebAssembly 3.0) at offset 0x4");
    o.at[4] = 2;
    o.at[6] = 0;
    decode(&o);
    ck_assert_str_eq(err.message, "unknown binary version 2 at offset 0x4");
    o.n = 0;
    decode(&o);
    ck_assert_str_eq(err.message, "unexpected end: not WebAssembly, but empty at offset 0x0");
    free(o.at);
    assemble("(component)", 11);
    ck_names(text_error.message, "component model", "(component)");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("foreign");
    TCase *t = tcase_create("foreign");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_binary_module_of_a_proposal_is_told_its_name);
    tcase_add_test(t, an_earlier_row_wins_and_other_codes_have_no_proposal);
    tcase_add_test(t, a_mark_in_any_place_is_told_with_its_offset);
    tcase_add_test(t, a_tag_with_results_is_told_its_proposal);
    tcase_add_test(t, a_text_of_a_proposal_is_told_its_name);
    tcase_add_test(t, a_text_of_a_proposal_is_told_where);
    tcase_add_test(t, words_of_3_0_in_the_wrong_place_are_of_no_proposal);
    tcase_add_test(t, a_file_that_is_no_module_is_told_what_it_is);
    tcase_add_test(t, other_text_and_bytes_are_said_to_be_neither_form);
    tcase_add_test(t, components_other_versions_and_nothing_are_told_apart);
    suite_add_tcase(s, t);
    return run_suite(s);
}
