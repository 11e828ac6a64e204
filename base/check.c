/* base/check.c -- what a failed check does. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The only state of a process that is not in an object: whoever owns the process says where its last words go. */
static void (*last_words)(const char *line);

void check_set_last_words(void (*hook)(const char *line)) { last_words = hook; }

_Noreturn void check_failed(const char *file, int line, const char *condition, const char *tag)
{
    char words[256];
    const char *open = *tag != 0 ? " (" : "", *close = *tag != 0 ? ")" : "";
    int n = snprintf(words, sizeof words, "%s:%d: check failed: %s%s%s%s\n", file, line, condition, open, tag, close);
    if (n >= (int)sizeof words) words[sizeof words - 2] = '\n';
    if (last_words != NULL) {
        last_words(words);
    } else {
        ssize_t ignored = write(STDERR_FILENO, words, strlen(words));
        (void)ignored;
    }
    abort();
}
