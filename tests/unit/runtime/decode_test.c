/* Decoding: sections, limits, names, constant expressions, what is not built; from bytes, as a module arrives. */
#include "proto/tables/opcodes.h"
#include "runtime/runtime.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct engine *e;
static struct rt_error err;
static uint32_t yields, stop_at;

static enum hemi_status yield(void *ctx)
{
    (void)ctx;
    return ++yields == stop_at ? HEMI_CANCELLED : HEMI_OK;
}

static void setup(void)
{
    struct engine_options opt = {.yield = yield};
    ck_assert_int_eq(engine_new(&opt, &e), HEMI_OK);
}
static void teardown(void) { engine_free(e); }

/* A module's bytes after the header, as a string literal. */
#define HEADER "\0asm\1\0\0\0"
#define MODULE(body) (const uint8_t *)(HEADER body), sizeof(HEADER body) - 1

static struct module *accept(const uint8_t *bytes, size_t n)
{
    struct module *m;
    enum hemi_status status = module_new(e, bytes, n, &m, &err);
    ck_assert_msg(status == HEMI_OK, "%s", err.message);
    return m;
}

static void refuse_as(enum hemi_status want, const uint8_t *bytes, size_t n, const char *text)
{
    struct module *m;
    enum hemi_status status = module_new(e, bytes, n, &m, &err);
    ck_assert_msg(status == want, "%d %s, wanted %s", status, err.message, text);
    ck_assert_ptr_null(m);
    ck_assert_msg(strncmp(err.message, text, strlen(text)) == 0, "\"%s\", wanted \"%s\"", err.message, text);
}

static void refuse(const uint8_t *bytes, size_t n, const char *text) { refuse_as(HEMI_INVALID_MODULE, bytes, n, text); }

/* Each begins with a type that is invalid. */
START_TEST(a_module_that_is_invalid_and_malformed_later_is_malformed)
{
#define INVALID "\1\7\1\x50\1\0\x60\0\0"
    static const struct {
        const char *text, *rest;
        size_t n;
    } rows[] = {
#define ROW(text, rest) {text, HEADER INVALID rest, sizeof(HEADER INVALID rest) - 1}
        ROW("unexpected end", "\17"),
        ROW("malformed section id", "\17\0"),
        ROW("unexpected content after last section", "\3\1\0\2\1\0"),
        ROW("malformed import kind", "\2\6\1\1m\1f\5"),
        ROW("function and code section have inconsistent lengths", "\3\2\1\0"),
        ROW("malformed reference type", "\4\4\1\x7F\0\0"),
        ROW("malformed limits flags", "\5\3\1\2\0"),
        ROW("malformed mutability", "\6\6\1\x7F\2\x41\0\13"),
        ROW("malformed export kind", "\7\5\1\1x\5\0"),
        ROW("malformed elements segment kind", "\11\2\1\10"),
        ROW("data count and data section have inconsistent lengths", "\14\1\1"),
        ROW("malformed data segment kind", "\13\2\1\3"),
        ROW("illegal opcode ff", "\3\2\1\0\12\4\1\2\0\xFF"),
        ROW("misplaced ELSE opcode", "\3\2\1\0\12\5\1\3\0\5\13"),
        ROW("section size mismatch", "\3\2\1\0\12\5\1\3\0\13\1"),
        ROW("data count section required", "\3\2\1\0\12\7\1\5\0\xFC\x09\0\13"),
        ROW("data count section required", "\3\2\1\0\12\x08\1\6\0\xFC\x08\0\0\13"),
        ROW("data count section required", "\3\2\1\0\12\x08\1\6\0\xFB\x09\0\0\13"),
        ROW("malformed memop flags", "\3\2\1\0\12\x09\1\7\0\x28\x80\1\0\0\13"),
        ROW("too many locals", "\3\2\1\0\12\x0C\1\x0A\2\xFF\xFF\xFF\xFF\xF\x7F\1\x7F\13"),
        ROW("length out of bounds", "\3\2\5\0"),
        ROW("section size mismatch", "\10\2\0\0"),
    };
    static const struct {
        const char *bytes;
        size_t n;
    } well_formed[] = {
#define WELL(rest) {HEADER INVALID rest, sizeof(HEADER INVALID rest) - 1}
        WELL(""), WELL("\3\2\1\0\12\x0A\1\x08\1\xFF\xFF\xFF\xFF\xF\x7F\13"), /* as many locals as can be counted */
        WELL("\6\x08\1\x7F\0\xFB\x09\0\0\13"), /* outside of functions no count is required */
    };
    for (size_t i = 0; i < sizeof well_formed / sizeof well_formed[0]; i++) {
        refuse((const uint8_t *)well_formed[i].bytes, well_formed[i].n, "unknown type 0");
        ck_assert(!err.malformed);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        refuse((const uint8_t *)rows[i].rest, rows[i].n, rows[i].text);
        ck_assert_msg(err.malformed, "%s", rows[i].text);
    }
}
END_TEST

START_TEST(taken_bytes_are_the_modules_or_freed)
{
    struct module *m;
    uint8_t *whole = malloc(8), *broken = calloc(1, 8), *long_one = malloc(8);
    ck_assert(whole && broken && long_one);
    memcpy(whole, HEADER, 8);
    ck_assert_int_eq(module_take(e, whole, 8, &m, &err), HEMI_OK);
    ck_assert_ptr_eq(m->bytes, whole);
    module_unref(m);
    ck_assert_int_eq(module_take(e, broken, 8, &m, &err), HEMI_INVALID_MODULE);
    ck_assert_ptr_null(m);
    ck_assert_int_eq(module_take(e, long_one, (size_t)WASM_MAX_MODULE_BYTES + 1, &m, &err), HEMI_LIMIT);
    ck_assert_ptr_null(m);
}
END_TEST

START_TEST(headers)
{
    static const uint8_t bytes[] = "\0asm\1\0\0\0";
    module_unref(accept(bytes, 8));
    for (size_t n = 0; n < 8; n++) refuse(bytes, n, "unexpected end");
    refuse((const uint8_t *)"\0asn\1\0\0\0", 8, "magic header not detected");
    refuse((const uint8_t *)"\0asm\2\0\0\0", 8, "unknown binary version");
}
END_TEST

START_TEST(sections_come_in_order)
{
    refuse(MODULE("\3\1\0"
                  "\1\1\0"),
           "unexpected content after last section");
    refuse(MODULE("\1\1\0"
                  "\1\1\0"),
           "unexpected content after last section");
    refuse(MODULE("\16\1\0"), "malformed section id");
    refuse(MODULE("\1\2\0\0"), "section size mismatch");
    refuse(MODULE("\1\5\0"), "length out of bounds");
    refuse(MODULE("\0\2\1\xFF"), "malformed UTF-8 encoding");
    module_unref(accept(MODULE("\1\1\0"
                               "\0\1\0"
                               "\15\1\0"
                               "\6\1\0"
                               "\14\1\0"
                               "\12\1\0"
                               "\13\1\0")));
}
END_TEST

START_TEST(lengths_belong_together)
{
    refuse(MODULE("\1\4\1\x60\0\0"
                  "\3\2\1\0"),
           "function and code section have inconsistent lengths");
    refuse(MODULE("\12\4\1\2\0\13"), "function and code section have inconsistent lengths");
    refuse(MODULE("\14\1\1"), "data count and data section have inconsistent lengths");
    refuse(MODULE("\14\1\1"
                  "\13\1\0"),
           "data count and data section have inconsistent lengths");
    refuse(MODULE("\1\4\1\x60\0\0"
                  "\3\2\1\0"
                  "\12\6\1\4\0\1\1\1"),
           "unexpected end of section or function");
    refuse(MODULE("\1\4\1\x60\0\0"
                  "\3\2\1\0"
                  "\12\5\1\3\0\13\13"),
           "section size mismatch");
}
END_TEST

START_TEST(counts_are_limited)
{
    refuse_as(HEMI_LIMIT, MODULE("\3\5\xFF\xFF\xFF\xFF\xF"), "too many functions");
    refuse(MODULE("\3\2\xF\0"), "unexpected end of section or function");
    /* 60,000 locals; then as many as cannot be counted */
    refuse_as(HEMI_LIMIT,
              MODULE("\1\4\1\x60\0\0"
                     "\3\2\1\0"
                     "\12\10\1\6\1\xE0\xD4\3\x7F\13"),
              "too many locals");
    refuse(MODULE("\1\4\1\x60\0\0"
                  "\3\2\1\0"
                  "\12\14\1\12\2\1\x7F\xFF\xFF\xFF\xFF\xF\x7F\13"),
           "too many locals");
}
END_TEST

START_TEST(spaces_are_filled)
{
    struct module *m = accept(MODULE("\1\10\2\x60\1\x7F\0\x60\0\0"     /* [i32] -> [], [] -> [] */
                                     "\2\16\2\1m\1f\0\0\1m\1g\3\x7E\0" /* function, i64 */
                                     "\3\2\1\1"                        /* one function */
                                     "\4\4\1\x70\0\5"                  /* table */
                                     "\5\4\1\1\1\2"                    /* memory 1 2 */
                                     "\15\3\1\0\0"                     /* tag */
                                     "\6\6\1\x7E\1\x23\0\13"           /* a copy of the import */
                                     "\7\12\2\1a\0\1\2mm\2\0"          /* exports */
                                     "\10\1\1"                         /* start */
                                     "\11\10\1\0\x41\1\13\2\0\1"       /* elements */
                                     "\12\4\1\2\0\13"                  /* code */
                                     "\13\11\1\0\x41\2\13\3xyz"        /* data */
                                     "\0\16\4name\1\7\1\1\4main"));
    ck_assert_uint_eq(m->nimports, 2);
    ck_assert_uint_eq(m->nfuncs, 2);
    ck_assert_uint_eq(m->nimported_funcs, 1);
    ck_assert_int_eq(memcmp(m->imports[1].name.at, "g", 1), 0);
    ck_assert_uint_eq(m->globals[1].init.kind, CONST_GLOBAL);
    ck_assert(m->globals[1].mut && !m->globals[0].mut);
    ck_assert_uint_eq(m->memories[0].limits.max, 2);
    ck_assert_uint_eq(m->tables[0].limits.min, 5);
    ck_assert_uint_eq(m->tables[0].limits.max, UINT64_MAX);
    ck_assert_uint_eq(m->exports[1].kind, EXTERN_MEMORY);
    ck_assert_uint_eq(m->start, 1);
    ck_assert(m->elems[0].plain);
    ck_assert_uint_eq(m->elems[0].items[1].kind, CONST_FUNC);
    ck_assert_uint_eq(m->elems[0].offset.val.i32, 1);
    ck_assert_int_eq(memcmp(m->datas[0].bytes, "xyz", 3), 0);
    ck_assert_uint_eq(m->func_names[1].len, 4);
    ck_assert_ptr_null(m->func_names[0].at);
    ck_assert_uint_eq(m->tags[0], m->types[0]);
    ck_assert_ptr_eq(module_ref(m), m);
    module_unref(m);
    module_unref(m);
}
END_TEST

/* A function that the name section does not name has the name of its first export. */
START_TEST(exports_name_functions)
{
    struct module *m = accept(MODULE("\1\4\1\x60\0\0\3\4\3\0\0\0"    /* three functions */
                                     "\7\15\3\1a\0\1\1b\0\1\1c\0\2"  /* 1 as a and b, 2 as c */
                                     "\12\12\3\2\0\13\2\0\13\2\0\13" /* code */
                                     "\0\14\4name\1\5\1\2\2me"));    /* 2 is me */
    ck_assert_ptr_null(m->func_names[0].at);
    ck_assert_int_eq(memcmp(m->func_names[1].at, "a", 1), 0);
    ck_assert_int_eq(memcmp(m->func_names[2].at, "me", 2), 0);
    module_unref(m);
}
END_TEST

/* Names are also read for a module that is refused: of its exports, only the ones that were found good. */
START_TEST(an_export_of_no_function_names_none)
{
    refuse(MODULE("\1\4\1\x60\0\0\3\2\1\0\7\14\2\1a\0\0\1b\0\xff\xff\xff\7\12\4\1\2\0\13"),
           "unknown function 16777215");
}
END_TEST

START_TEST(declarations_are_checked)
{
    refuse(MODULE("\3\2\1\0\12\4\1\2\0\13"), "unknown type 0");
    refuse(MODULE("\2\6\1\1m\1f\5"), "malformed import kind");
    refuse(MODULE("\5\4\1\1\2\1"), "size minimum must not be greater than maximum");
    refuse(MODULE("\5\3\1\2\0"), "malformed limits flags");
    refuse(MODULE("\5\5\1\0\x81\x80\4"), "memory size");
    refuse(MODULE("\4\4\1\x7F\0\0"), "malformed reference type");
    refuse(MODULE("\4\5\1\x64\x70\0\1"), "type mismatch: a table of non-nullable");
    refuse(MODULE("\6\6\1\x7F\2\x41\0\13"), "malformed mutability");
    refuse(MODULE("\6\6\1\x7F\0\x42\0\13"), "type mismatch");
    refuse(MODULE("\6\6\1\x7F\0\x23\0\13"), "unknown global 0");
    refuse(MODULE("\6\7\1\x7F\0\x41\0\1\13"), "constant expression required");
    refuse(MODULE("\7\5\1\1a\2\0"), "unknown memory 0: export \"a\"");
    refuse(MODULE("\5\3\1\0\0"
                  "\7\11\2\1a\2\0\1a\2\0"),
           "duplicate export name \"a\"");
    refuse(MODULE("\10\1\0"), "unknown function 0");
    refuse(MODULE("\1\5\1\x60\0\1\x7F"
                  "\2\7\1\1m\1f\0\0"
                  "\10\1\0"),
           "start function");
    refuse(MODULE("\1\5\1\x60\0\1\x7F"
                  "\15\3\1\0\0"),
           "non-empty tag result type");
    refuse(MODULE("\13\6\1\0\x41\0\13\0"), "unknown memory 0");
    refuse(MODULE("\1\7\1\x50\1\0\x60\0\0"), "unknown type 0: a supertype must come first");
    refuse(MODULE("\1\12\2\x60\0\0\x50\1\0\x60\0\0"), "sub type");
}
END_TEST

/* What a constant expression becomes: global 0 of this type and initialiser. */
static struct const_expr const_of(const uint8_t *bytes, size_t n)
{
    struct module *m = accept(bytes, n);
    struct const_expr init = m->globals[0].init;
    module_unref(m);
    return init;
}

START_TEST(programs_for_other_versions_are_told_so)
{
#define BODY(code) MODULE("\1\4\1\x60\0\0\3\2\1\0\12\5\1\3\0" code)
    refuse(MODULE("\5\4\1\3\1\1"), "malformed limits flags (it belongs to the proposal `threads`, which");
    refuse(MODULE("\5\3\1\20\1"), "malformed limits flags at");
    refuse(BODY("\6\13"), "illegal opcode 06 (it belongs to the proposal `legacy exception handling`, which");
    refuse(BODY("\xFE\13"), "illegal opcode fe 0b at");
    refuse(BODY("\xFE\x80"), "illegal opcode fe at");
    refuse(BODY("\xFF\13"), "illegal opcode ff at");
}
END_TEST

START_TEST(plain_constants_are_values)
{
    ck_assert_uint_eq(const_of(MODULE("\6\6\1\x7F\0\x41\x7F\13")).val.i32, UINT32_MAX);
    ck_assert_uint_eq(const_of(MODULE("\6\6\1\x7E\0\x42\x7F\13")).val.i64, UINT64_MAX);
    ck_assert_float_eq(const_of(MODULE("\6\11\1\x7D\0\x43\0\0\x80\x3F\13")).val.f32, 1.0f);
    ck_assert_double_eq(const_of(MODULE("\6\15\1\x7C\0\x44\0\0\0\0\0\0\xF0\x3F\13")).val.f64, 1.0);
    union val v128 = const_of(MODULE("\6\26\1\x7B\0\xFD\x0C\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\13")).val;
    ck_assert(v128.u64[0] == 1 && v128.u64[1] == 2);
    ck_assert_uint_eq(const_of(MODULE("\6\6\1\x6E\0\xD0\x6E\13")).val.ref, 0);
    struct const_expr i31 = const_of(MODULE("\6\10\1\x6E\0\x41\7\xFB\x1C\13"));
    ck_assert_uint_eq(i31.kind, CONST_VAL);
    ck_assert_uint_eq(i31.val.ref, heap_i31(7).bits);
    ck_assert_uint_eq(const_of(MODULE("\6\11\1\x7F\0\x41\1\x41\2\x6A\13")).kind, CONST_CODE);
}
END_TEST

START_TEST(v128_is_a_type_like_others)
{
    refuse(MODULE("\1\4\1\x60\0\0"
                  "\3\2\1\0"
                  "\12\11\1\7\0\x42\0\xFD\17\x1A\13"),
           "type mismatch");
    module_unref(accept(MODULE("\1\5\1\x5F\1\x7B\0")));
    module_unref(accept(MODULE("\1\4\1\x60\0\0"
                               "\3\2\1\0"
                               "\12\6\1\4\1\1\x7B\13")));
}
END_TEST

START_TEST(errors_name_the_function)
{
    refuse(MODULE("\1\4\1\x60\0\0"
                  "\3\2\1\0"
                  "\12\5\1\3\0\x6A\13"
                  "\0\15\4name\1\6\1\0\3add"),
           "type mismatch: expected i32, found nothing in i32.add at offset 0x17 in function 0 \"add\"");
    ck_assert_uint_eq(err.offset, 0x17);
}
END_TEST

/* One large function: a poll at least every 16 KiB, and its answer ends the work. */
START_TEST(long_work_yields)
{
    enum { NOPS = 1 << 20, HEAD = 8 + 6 + 4 };
    uint8_t *bytes = malloc(HEAD + 16 + NOPS), *at = bytes;
    memcpy(at,
           HEADER "\1\4\1\x60\0\0"
                  "\3\2\1\0"
                  "\12",
           HEAD + 1);
    at += HEAD + 1;
    uint32_t size = NOPS + 2, section = size + 4 + 1 - 1;
    for (uint32_t i = 0, v = section + 1; i < 4; i++, v >>= 7) *at++ = (uint8_t)((v & 0x7F) | (i < 3 ? 0x80 : 0));
    *at++ = 1;
    for (uint32_t i = 0, v = size; i < 4; i++, v >>= 7) *at++ = (uint8_t)((v & 0x7F) | (i < 3 ? 0x80 : 0));
    *at++ = 0;
    memset(at, 1, NOPS);
    at += NOPS;
    *at++ = 0x0B;
    yields = 0;
    module_unref(accept(bytes, (size_t)(at - bytes)));
    ck_assert_uint_ge(yields, NOPS / 16384);
    uint32_t all = yields;
    for (stop_at = 1; stop_at < all; stop_at += all / 4 + 1) {
        yields = 0;
        refuse_as(HEMI_CANCELLED, bytes, (size_t)(at - bytes), "");
        ck_assert_uint_eq(yields, stop_at);
    }
    stop_at = 0;
    at[-2] = 0xFF; /* no instruction: what is malformed is read once */
    yields = 0;
    refuse(bytes, (size_t)(at - bytes), "illegal opcode");
    uint32_t once = yields;
    at[-2] = 0x1A; /* a DROP of nothing: all of it is read again for its form */
    yields = 0;
    refuse(bytes, (size_t)(at - bytes), "type mismatch");
    ck_assert_uint_ge(yields, once + NOPS / 16384);
    stop_at = yields;
    yields = 0;
    refuse_as(HEMI_CANCELLED, bytes, (size_t)(at - bytes), "");
    stop_at = 0;
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("decode");
    TCase *c = tcase_create("decode");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, a_module_that_is_invalid_and_malformed_later_is_malformed);
    tcase_add_test(c, taken_bytes_are_the_modules_or_freed);
    tcase_add_test(c, headers);
    tcase_add_test(c, sections_come_in_order);
    tcase_add_test(c, lengths_belong_together);
    tcase_add_test(c, counts_are_limited);
    tcase_add_test(c, spaces_are_filled);
    tcase_add_test(c, exports_name_functions);
    tcase_add_test(c, an_export_of_no_function_names_none);
    tcase_add_test(c, declarations_are_checked);
    tcase_add_test(c, programs_for_other_versions_are_told_so);
    tcase_add_test(c, plain_constants_are_values);
    tcase_add_test(c, v128_is_a_type_like_others);
    tcase_add_test(c, errors_name_the_function);
    tcase_add_test(c, long_work_yields);
    suite_add_tcase(s, c);
    return run_suite(s);
}
