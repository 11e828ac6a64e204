/* libhemi exports the functions of hemi.h, all of them, and nothing else; and hemi.h is for C and C++ of any age. */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hemi.h"
#include "tests/unit/suite.h"

static char *read_all(FILE *f)
{
    char *text = calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    ck_assert_uint_gt(n, 0);
    return text;
}

/* What the library defines for others, one name a line. */
static char *exported(void)
{
    Dl_info library;
    char command[4200];
    ck_assert_int_ne(dladdr((void *)(uintptr_t)hemi_version, &library), 0);
    snprintf(command, sizeof command, "nm -D --defined-only --extern-only '%s' | cut -d' ' -f3", library.dli_fname);
    FILE *pipe = popen(command, "r");
    char *names = read_all(pipe);
    ck_assert_int_eq(pclose(pipe), 0);
    return names;
}

static char *header(void)
{
    FILE *f = fopen(HEMI_SOURCE_DIR "/client/include/hemi.h", "r");
    char *text = read_all(f);
    fclose(f);
    return text;
}

START_TEST(exports_are_declared)
{
    char *names = exported(), *text = header(), *rest = names, call[256];
    unsigned count = 0;
    for (char *name; (name = strsep(&rest, "\n")) && *name; count++) {
        snprintf(call, sizeof call, "%s(", name);
        ck_assert_msg(strncmp(name, "hemi_", 5) == 0 && strstr(text, call), "%s is exported, not declared", name);
    }
    ck_assert_uint_gt(count, 50);
    free(names);
    free(text);
}
END_TEST

START_TEST(declarations_are_exported)
{
    char *names = exported(), *text = header(), line[256];
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, "\nHEMI_API ")) != NULL; at++, count++) {
        const char *end = strchr(at, '(');
        const char *begin = end;
        while (begin[-1] != ' ' && begin[-1] != '*') begin--;
        snprintf(line, sizeof line, "\n%.*s\n", (int)(end - begin), begin);
        ck_assert_msg(strstr(names, line) || strncmp(names, line + 1, strlen(line) - 1) == 0, "no %s", line + 1);
    }
    ck_assert_uint_gt(count, 50);
    free(names);
    free(text);
}
END_TEST

START_TEST(the_header_is_c99_and_cpp11)
{
    static const char *const languages[] = {"c -std=c99", "c -std=c17", "c++ -std=c++11", "c++ -std=c++20"};
    char command[4400];
    snprintf(command, sizeof command,
             "clang-19 -Wall -Wextra -pedantic -Wconversion -Wshadow -Werror -fsyntax-only -include %s -x %s /dev/null",
             HEMI_SOURCE_DIR "/client/include/hemi.h", languages[_i]);
    ck_assert_msg(system(command) == 0, "%s", command);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_symbols");
    TCase *c = tcase_create("client_symbols");
    tcase_add_test(c, exports_are_declared);
    tcase_add_test(c, declarations_are_exported);
    tcase_add_loop_test(c, the_header_is_c99_and_cpp11, 0, 4);
    suite_add_tcase(s, c);
    return run_suite(s);
}
