/* tests/unit/client/wat_roundtrip_test.c -- binary to text and back, for every module of the official suite (in
 * $HEMI_TESTSUITE) and of our own scripts and programs. */
#include "client/wat/wat.h"
#include "proto/tables/status.h"
#include "tests/unit/suite.h"
#include "tests/wast/script.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct binary {
    uint8_t *bytes;
    size_t size;
};

static struct {
    const char *file;
    uint32_t line;
    unsigned modules, invalid, malformed;
} at;

static const struct wat_options defaults;

static char *read_file(const char *path, size_t *length)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = malloc((size_t)size + 1);
    *length = fread(text, 1, (size_t)size, f);
    fclose(f);
    return text;
}

static struct binary assemble(const char *text, size_t length)
{
    struct wat_error err;
    struct binary b;
    int status = wat_assemble(text, length, NULL, &b.bytes, &b.size, &err);
    ck_assert_msg(status == HEMI_OK, "%s:%u: %u:%u: %s in\n%.2000s", at.file, at.line, err.line, err.column,
                  err.message, text);
    return b;
}

static int disassemble(struct binary b, char **text, size_t *length, struct wat_error *err)
{
    /* exactly as large as the module, so that a sanitizer sees what is read behind it */
    uint8_t *exact = malloc(b.size ? b.size : 1);
    memcpy(exact, b.bytes, b.size);
    int status = wat_disassemble(&defaults, exact, b.size, NULL, text, length, err);
    free(exact);
    return status;
}

static struct binary again(struct binary b)
{
    char *text;
    size_t length;
    struct wat_error err;
    int status = disassemble(b, &text, &length, &err);
    ck_assert_msg(status == HEMI_OK, "%s:%u: at byte 0x%llx: %s", at.file, at.line, (unsigned long long)err.offset,
                  err.message);
    ck_assert_uint_eq(strlen(text), length);
    struct binary result = assemble(text, length);
    free(text);
    return result;
}

static bool equal(struct binary a, struct binary b)
{
    return a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0;
}

/* Text of ours is in the form that comes back at once; other modules' second generation is. */
static void round_trip(struct binary first, bool ours)
{
    struct binary second = again(first), third = again(second);
    ck_assert_msg(equal(second, third), "%s:%u: the second generation differs", at.file, at.line);
    ck_assert_msg(!ours || equal(first, second), "%s:%u: the first generation differs", at.file, at.line);
    free(second.bytes);
    free(third.bytes);
    at.modules++;
}

static struct binary module_of(const struct wast_module *module)
{
    if (module->form != FORM_BINARY) return assemble(module->bytes.bytes, module->bytes.length);
    struct binary b = {malloc(module->bytes.length + 1), module->bytes.length};
    memcpy(b.bytes, module->bytes.bytes, b.size);
    return b;
}

/* What is malformed is refused, with a place. */
static void malformed(struct binary b)
{
    char *text;
    size_t length;
    struct wat_error err;
    int status = disassemble(b, &text, &length, &err);
    at.malformed++;
    ck_assert_msg(status == HEMI_INVALID_MODULE && err.offset <= b.size, "%s:%u: %d", at.file, at.line, status);
}

static void run_command(const struct wast_command *c)
{
    if (!c->has_module) return;
    at.line = c->line;
    bool text = c->module.form != FORM_BINARY, refused = c->kind == COMMAND_MALFORMED;
    if (text && (refused || c->kind == COMMAND_MALFORMED_CUSTOM)) return;
    struct binary b = module_of(&c->module);
    if (refused)
        malformed(b);
    else
        round_trip(b, text);
    at.invalid += c->kind == COMMAND_INVALID || c->kind == COMMAND_INVALID_CUSTOM;
    free(b.bytes);
}

static void run_script(const char *path)
{
    struct script script;
    struct wat_error err;
    size_t length;
    char *text = read_file(path, &length);
    at.file = path;
    ck_assert_msg(script_read(&script, text, length, &err), "%s:%u: %s", path, err.line, err.message);
    for (uint32_t i = 0; i < script.count; i++) run_command(&script.commands[i]);
    script_deinit(&script);
}

static void run_module(const char *path)
{
    size_t length;
    char *text = read_file(path, &length);
    at.file = path;
    struct binary b = assemble(text, length);
    round_trip(b, true);
    free(b.bytes);
    free(text);
}

static void run_folder(const char *folder, const char *suffix, void (*run)(const char *path))
{
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "%s", folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[4200];
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, suffix) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        run(path);
    }
    closedir(dir);
}

START_TEST(suite_modules)
{
    const char *suite = getenv("HEMI_TESTSUITE");
    if (!suite) {
        printf("SKIPPED: HEMI_TESTSUITE does not say where the official suite is\n");
        return;
    }
    run_folder(suite, ".wast", run_script);
    printf("suite: %u modules came back, %u of them invalid; %u malformed ones were refused\n", at.modules, at.invalid,
           at.malformed);
    ck_assert_uint_gt(at.modules, 1000);
    ck_assert_uint_gt(at.malformed, 500);
}
END_TEST

START_TEST(our_modules)
{
    run_folder(HEMI_MODULES_DIR "/../wast/scripts", ".wast", run_script);
    run_folder(HEMI_MODULES_DIR, ".wat", run_module);
    printf("ours: %u modules came back\n", at.modules);
    ck_assert_uint_gt(at.modules, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wat_roundtrip");
    TCase *tests = tcase_create("round trips");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, our_modules);
    tcase_add_test(tests, suite_modules);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
