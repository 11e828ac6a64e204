/* server/supervisor_assert.c -- what a failed assertion does, in the supervisor and in workers. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/page.h"
#include "server/server.h"

static struct page *words_page;

void server_assert_page(struct page *page) { words_page = page; }

noreturn void server_assert_failed(const char *file, int line, const char *what)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%s:%d: assertion failed: %s\n", file, line, what);
    if (len > (int)sizeof text - 1) len = sizeof text - 1;
    if (words_page != NULL) page_last_words(words_page, text, (size_t)len - 1);
    if (write(STDERR_FILENO, text, (size_t)len) < 0) abort(); /* nobody to tell; abort all the same */
    abort();
}
