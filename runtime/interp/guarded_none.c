/* runtime/interp/guarded_none.c -- machines without the guarded memory scheme: it has no handlers. */
#include "runtime/code/vmops.h"

const vm_entry vmop_guarded[VMOP_COUNT];
