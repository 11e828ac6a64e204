/* tests/unit/scratch.h -- the folder that a test of a daemon makes for itself: its files, and the daemon's log in it.
 * `directory` is the test's to make (mkdtemp) and to remove. */
#ifndef HEMI_TESTS_SCRATCH_H
#define HEMI_TESTS_SCRATCH_H

#include <check.h>
#include <stdio.h>

static char directory[64];

/* Borrowed, until the eighth call from here. */
static inline const char *in_directory(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *out = paths[next++ % 8];
    snprintf(out, sizeof paths[0], "%s/%s", directory, name);
    return out;
}

/* Writes DIRECTORY/NAME; '@' stands for the directory. */
static inline const char *write_file(const char *name, const char *text)
{
    const char *path = in_directory(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (; *text != 0; text++)
        if (*text == '@')
            fputs(directory, file);
        else
            fputc(*text, file);
    fclose(file);
    return path;
}

/* "" before there is one; borrowed, until the next call. */
static inline const char *log_text(void)
{
    static char log[1 << 20];
    FILE *file = fopen(in_directory("log"), "r");
    if (file == NULL) return "";
    log[fread(log, 1, sizeof log - 1, file)] = 0;
    fclose(file);
    return log;
}

#endif
