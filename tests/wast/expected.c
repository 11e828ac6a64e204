/* tests/wast/expected.c -- reads the list of known failures. */
#include "tests/wast/expected.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add(struct expected *e, const struct expected_row *row)
{
    struct expected_row *grown = reallocarray(e->rows, e->count + 1, sizeof *grown);
    if (!grown) return false;
    e->rows = grown;
    e->rows[e->count++] = *row;
    return true;
}

static bool parse(struct expected *e, const char *line)
{
    struct expected_row row = {0};
    char reason[8];
    if (*line == '#' || *line == '\n') return true;
    return sscanf(line, "%127s %u %7s", row.file, &row.failures, reason) == 3 && add(e, &row);
}

bool expected_read(struct expected *e, const char *path, char *why, size_t size)
{
    char line[512];
    bool ok = true;
    *e = (struct expected){0};
    FILE *in = fopen(path, "r");
    if (!in) {
        snprintf(why, size, "cannot open %s", path);
        return false;
    }
    for (unsigned number = 1; ok && fgets(line, sizeof line, in); number++) {
        ok = parse(e, line);
        if (!ok) snprintf(why, size, "%s:%u: not a file, a number and a reason", path, number);
    }
    fclose(in);
    return ok;
}

uint32_t expected_of(struct expected *e, const char *file)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (strcmp(e->rows[i].file, file) != 0) continue;
        e->rows[i].seen = true;
        return e->rows[i].failures;
    }
    return 0;
}

void expected_deinit(struct expected *e)
{
    free(e->rows);
    *e = (struct expected){0};
}
