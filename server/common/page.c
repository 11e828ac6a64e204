/* server/common/page.c -- makes, maps and reads the shared page. */
#include "server/common/page.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int page_mmap(int fd, struct page **page)
{
    void *at = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return -errno;
    *page = at;
    return 0;
}

int page_new(int *fd, struct page **page)
{
    int status, memfd = memfd_create("hemi-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0) return -errno;
    if (ftruncate(memfd, PAGE_SIZE_BYTES) != 0 || fcntl(memfd, F_ADD_SEALS, PAGE_SEALS) != 0) {
        status = -errno;
        goto fail;
    }
    if ((status = page_mmap(memfd, page)) != 0) goto fail;
    atomic_store_explicit(&(*page)->magic, PAGE_MAGIC, memory_order_relaxed);
    *fd = memfd;
    return 0;
fail:
    close(memfd);
    return status;
}

int page_map(int fd, struct page **page)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0) return -errno;
    if ((seals & PAGE_SEALS) != PAGE_SEALS || lseek(fd, 0, SEEK_END) != PAGE_SIZE_BYTES) return -EINVAL;
    int status = page_mmap(fd, page);
    if (status == 0 && atomic_load_explicit(&(*page)->magic, memory_order_relaxed) != PAGE_MAGIC) {
        page_free(*page);
        return -EINVAL;
    }
    return status;
}

void page_free(struct page *page)
{
    if (page != NULL) munmap(page, PAGE_SIZE_BYTES);
}

void page_last_words(struct page *page, const char *text, size_t len)
{
    if (atomic_load_explicit(&page->words_len, memory_order_relaxed) != 0) return;
    if (len > PAGE_WORDS - 1) len = PAGE_WORDS - 1;
    memcpy(page->words, text, len);
    atomic_store_explicit(&page->words_len, (uint32_t)len, memory_order_release);
}

size_t page_take_words(struct page *page, char out[PAGE_WORDS])
{
    size_t len = atomic_load_explicit(&page->words_len, memory_order_acquire);
    if (len > PAGE_WORDS - 1) len = PAGE_WORDS - 1;
    memcpy(out, page->words, len);
    out[len] = 0;
    return len;
}
