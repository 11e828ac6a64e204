/* runtime/engine/faults_none.c -- machines without the guarded memory scheme: all code is explicit. */
#include "runtime/engine/faults.h"

#include <stdlib.h>

bool faults_install(void) { return false; }

void faults_expect(const uint8_t *from, uint64_t bytes)
{
    (void)from, (void)bytes;
    abort();
}
