#include "server/worker/malloc_top.h"

#include <limits.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/release.h"

enum {
    PAGE_BYTES = 4096,
    STEP_BYTES = 8 << 20,
    KEPT_BYTES = 1 << 20,    /* for the next one who asks */
    PAD_BYTES = 128 << 10,   /* malloc's own default: what it asks the system for beyond what it needs */
    TRIGGER_BYTES = 96 << 10 /* only a free of 64 KiB or more looks at the last block */
};

static const char *start;

void malloc_top_init(void)
{
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    if (start == NULL) start = sbrk(0);
}

/* What of the last block lies behind its first `kept` bytes goes back. */
static void give_behind(size_t kept)
{
    /* Before the pad is set, by which it might grow the heap; a compiler may leave out a pair that nobody sees. */
    void *volatile trigger = malloc(TRIGGER_BYTES);
    mallopt(M_TOP_PAD, kept < INT_MAX ? (int)kept : INT_MAX);
    mallopt(M_TRIM_THRESHOLD, 0);
    free(trigger);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_TOP_PAD, PAD_BYTES);
}

/* How large the last block is malloc does not tell; so it is asked to keep all of the heap but a step, but two... until
 * something goes. */
bool malloc_top_trim(uint32_t *units)
{
    const char *end = sbrk(0);
    size_t size = (size_t)(end - start);
    while (size > KEPT_BYTES && *units > 0) {
        size -= size > STEP_BYTES + KEPT_BYTES ? STEP_BYTES : size - KEPT_BYTES;
        give_behind(size);
        size_t given = (size_t)(end - (const char *)sbrk(0));
        release_units(units, (uint32_t)(given / PAGE_BYTES) + RELEASE_CALL_UNITS);
        if (given > 0) return true;
    }
    return false;
}
