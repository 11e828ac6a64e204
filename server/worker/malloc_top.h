/* server/worker/malloc_top.h -- gives the end of malloc's heap back in steps.
 *
 * malloc does that itself in the middle of whichever free makes its last block large, and all at once: a module's
 * million small blocks, freed in slices, ended in one free of 10 ms. So it is told never to, and a worker does it, a
 * step at a time, when the grave is empty and at each beat. What lies below a block that is in use stays.
 *
 * School of checking: TRUSTED. The heap is the process's, so this has no object. */
#ifndef HEMI_SERVER_WORKER_MALLOC_TOP_H
#define HEMI_SERVER_WORKER_MALLOC_TOP_H

#include <stdbool.h>
#include <stdint.h>

/* Once, before the process has a large heap: from here on malloc gives nothing of its last block back. */
void malloc_top_init(void);

/* Gives back one step, of pages that are counted in *units (base/release.h). True: something went, and there may be
 * more. */
bool malloc_top_trim(uint32_t *units);

#endif
