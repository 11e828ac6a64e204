/* server/supervisor_assert.c -- what a failed assertion does, in the supervisor and in workers. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/page.h"
#include "server/server.h"

#define READER_MS 1000 /* that who reads standard error may take; the end must not wait for ever */

static struct page *words_page;

void server_assert_page(struct page *page) { words_page = page; }

noreturn void server_assert_failed(const char *file, int line, const char *what)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%s:%d: assertion failed: %s\n", file, line, what);
    if (len > (int)sizeof text - 1) len = sizeof text - 1;
    if (words_page != NULL) page_last_words(words_page, text, (size_t)len - 1);
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&reader, 1, READER_MS) <= 0) abort();
    if (write(STDERR_FILENO, text, (size_t)len) < 0) abort(); /* nobody to tell; abort all the same */
    abort();
}
