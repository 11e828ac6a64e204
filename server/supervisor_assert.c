/* server/supervisor_assert.c -- what a failed assertion does, of the server, the engine or a heap, in the supervisor
 * and in workers. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/heap.h"
#include "server/page.h"
#include "server/server.h"

#define READER_MS 1000 /* that who reads standard error may take; the end must not wait for ever */

static struct page *words_page;

/* To the page and to standard error; `line` ends with a newline. */
static void leave_words(const char *line)
{
    size_t len = strlen(line);
    if (len == 0) return;
    if (words_page != NULL) page_last_words(words_page, line, len - 1);
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&reader, 1, READER_MS) <= 0) return;
    if (write(STDERR_FILENO, line, len) < 0) return; /* nobody to tell */
}

void server_assert_page(struct page *page)
{
    words_page = page;
    heap_set_panic_hook(leave_words);
}

noreturn void server_assert_failed(const char *file, int line, const char *what)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%s:%d: assertion failed: %s\n", file, line, what);
    if (len >= (int)sizeof text) text[sizeof text - 2] = '\n';
    leave_words(text);
    abort();
}

/* The engine's assertions are libc's, which would tell standard error only: in the daemon's processes they end here. */
noreturn void __assert_fail(const char *what, const char *file, unsigned line, const char *function);
noreturn void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    (void)function;
    server_assert_failed(file, (int)line, what);
}
