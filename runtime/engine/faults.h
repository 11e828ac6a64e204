/* runtime/engine/faults.h -- page faults of guests become traps: what the guarded memory scheme (access.h) rests on.
 *
 * An instruction of a guarded body that faults goes on at its trap instead; any other fault belongs to whoever handled
 * SIGSEGV before. Each body's row in the table of such instructions was written by the assembler, so nobody but a
 * guarded body is ever resumed, and the trap looks at the faulting address once more: a fault outside of the memory's
 * own address space, or the heap's null page, is our corruption and not the guest's error.
 *
 * Process-wide: one handler, installed at first use and never taken away. */
#ifndef HEMI_RUNTIME_ENGINE_FAULTS_H
#define HEMI_RUNTIME_ENGINE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* Makes faults of guests traps, on the calling thread too, to which it gives a signal stack if it has none. False:
 * there is no guarded scheme on this machine, or the system refuses. */
bool faults_install(void);

/* The fault just now was at one of the `bytes` bytes from `from` on. If not, ends the process. */
void faults_expect(const uint8_t *from, uint64_t bytes);

#endif
