#include "server/common/last_words.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "server/common/page.h"

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

void server_last_words(struct page *page)
{
    words_page = page;
    check_set_last_words(leave_words);
}
