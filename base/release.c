#include "base/release.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

/* One unmapping of 256 MiB takes 18 ms. In blocks, what is smaller than BLOCK_MIN is freed at once. */
enum { PAGE_BYTES = 4096, STEP_BYTES = 16 << 20, BLOCK_MIN = 1 << 20 };

/* How many of `left` bytes come next, in whole pages as long as they fill one; takes their units. */
static uint64_t step(uint64_t left, uint32_t *units)
{
    uint64_t bytes = left < STEP_BYTES ? left : STEP_BYTES, most = (uint64_t)*units * PAGE_BYTES;
    if (bytes > most) bytes = most;
    *units -= (uint32_t)((bytes + PAGE_BYTES - 1) / PAGE_BYTES);
    return bytes;
}

bool release_mapping(char *base, uint64_t *size, uint32_t *units)
{
    while (*size > 0 && *units > 0) {
        uint64_t bytes = step(*size, units);
        *size -= bytes;
        munmap(base + *size, bytes);
        release_units(units, RELEASE_CALL_UNITS);
    }
    return *size > 0;
}

bool release_pages(char *base, size_t *size, uint32_t *units)
{
    while (*size > 0 && *units > 0) {
        size_t bytes = (size_t)step(*size, units);
        *size -= bytes;
        madvise(base + *size, bytes, MADV_DONTNEED);
        release_units(units, RELEASE_CALL_UNITS);
    }
    return *size > 0;
}

/* The pages of [at, end) that nothing else shares. */
static void give_pages(char *at, char *end)
{
    uintptr_t first = ((uintptr_t)at + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
    uintptr_t last = (uintptr_t)end & ~(uintptr_t)(PAGE_BYTES - 1);
    if (first < last) madvise(at + (first - (uintptr_t)at), last - first, MADV_DONTNEED);
}

bool release_block(void **block, size_t *given, uint32_t *units)
{
    if (*block == NULL) return false;
    size_t size = malloc_usable_size(*block);
    while (size >= BLOCK_MIN && *given < size) {
        if (*units == 0) return true;
        size_t bytes = (size_t)step(size - *given, units);
        char *end = (char *)*block + (size - *given);
        give_pages(end - bytes, end);
        *given += bytes;
    }
    if (!release_unit(units)) return true;
    free(*block);
    *block = NULL;
    *given = 0;
    return false;
}
