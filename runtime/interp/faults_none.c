/* runtime/interp/faults_none.c -- machines without the guarded memory scheme: all code is explicit. */
#include "runtime/code/vmops.h"
#include "runtime/interp/faults.h"

#include <stdlib.h>

const vm_entry vmop_guarded[VMOP_COUNT];

bool faults_install(void) { return false; }

void faults_expect(const uint8_t *from, uint64_t bytes)
{
    (void)from, (void)bytes;
    abort();
}
