/* tests/e2e/tool_rig.h -- what the tests of the `hemi` command share: a folder for each test, files in it, the command.
 * A test finds no daemon at the usual place, which is in that folder (the system has none,
 * either). */
#ifndef HEMI_TESTS_E2E_TOOL_RIG_H
#define HEMI_TESTS_E2E_TOOL_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/support.h"

static char dir[] = "/tmp/hemi-tool-XXXXXX";

static inline void start(void)
{
    strcpy(dir, "/tmp/hemi-tool-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
    unsetenv("HEMI_SOCKET");
    setenv("XDG_RUNTIME_DIR", dir, 1); /* no daemon there: the tool starts a private one */
}

static inline void stop(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* The path of a new file with that text. Borrowed, until the next call. */
static inline const char *file(const char *name, const char *text)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL);
    fputs(text, f);
    fclose(f);
    return path;
}

#define hemi(input, ...) run_program((const char *const[]){built("hemi"), __VA_ARGS__, NULL}, input)

#define WASI "(import \"wasi_snapshot_preview1\" "

/* A module that prints a line. */
#define HELLO                                                                                                          \
    "(module " WASI "\"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))\n"                                   \
    "  (memory (export \"memory\") 1)\n"                                                                               \
    "  (data (i32.const 8) \"hello, world\\n\") (data (i32.const 0) \"\\08\\00\\00\\00\\0d\\00\\00\\00\")\n"           \
    "  (func (export \"_start\") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))))"

/* A suite of one case. */
#define TOOL_SUITE(name, tests)                                                                                        \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        Suite *s = suite_create(name);                                                                                 \
        TCase *t = tcase_create("hemi");                                                                               \
        tcase_add_checked_fixture(t, start, stop);                                                                     \
        tcase_set_timeout(t, 120);                                                                                     \
        tests(t);                                                                                                      \
        suite_add_tcase(s, t);                                                                                         \
        return run_suite(s);                                                                                           \
    }

#endif
