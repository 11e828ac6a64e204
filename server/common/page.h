/* server/common/page.h -- the page a worker and its supervisor share: counters, last words.
 *
 * The supervisor makes it as a sealed memfd and maps it; the worker maps it too and is the only writer. Every field is
 * a relaxed atomic, so a reader may see values of different moments. The supervisor TRUSTS NOTHING in it: numbers are
 * only shown, text is copied, cut at PAGE_WORDS and escaped by the log.
 */
#ifndef HEMI_SERVER_COMMON_PAGE_H
#define HEMI_SERVER_COMMON_PAGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE_BYTES 4096u
#define PAGE_WORDS 1024u /* bytes of last words, with their final NUL */

/* name, meaning */
#define PAGE_COUNTERS(X)                                                                                               \
    X(connections, "connections open now")                                                                             \
    X(connections_total, "connections adopted since the worker started")                                               \
    X(stores, "stores open now")                                                                                       \
    X(stores_total, "stores made")                                                                                     \
    X(handles, "handles held for clients now")                                                                         \
    X(requests_total, "requests read")                                                                                 \
    X(calls_total, "guest calls started")                                                                              \
    X(host_calls_total, "host calls made")                                                                             \
    X(traps_total, "calls that trapped")                                                                               \
    X(collections_total, "collections")                                                                                \
    X(memory_bytes, "memory that the engine accounts for now")                                                         \
    X(reads_total, "recvmsg calls on client connections")                                                              \
    X(writes_total, "sendmsg calls on client connections")

struct page {
    _Atomic uint32_t magic;     /* PAGE_MAGIC */
    _Atomic uint32_t words_len; /* bytes in `words`, 0 when there are none */
#define X(name, meaning) _Atomic uint64_t name;
    PAGE_COUNTERS(X)
#undef X
    char words[PAGE_WORDS]; /* what the worker says about its own end: a failed assertion, a signal */
};

_Static_assert(sizeof(struct page) <= PAGE_SIZE_BYTES, "the shared page is one page");

#define PAGE_MAGIC 0x48504731u

/* Makes a page: a sealed memfd, close-on-exec, mapped. Returns 0 or -errno; the caller owns both. */
int page_new(int *fd, struct page **page);

/* Maps the page behind `fd`, after checking its size and seals. Returns 0 or -errno; unmap with page_free. */
int page_map(int fd, struct page **page);

void page_free(struct page *page);

/* Worker: one more of a counter. */
static inline void page_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Worker: leaves last words; async-signal-safe, and only the first call counts. `text` need not end in NUL. */
void page_last_words(struct page *page, const char *text, size_t len);

/* Supervisor: copies the last words out, always ended by NUL. Returns their length. */
size_t page_take_words(struct page *page, char out[PAGE_WORDS]);

#endif
