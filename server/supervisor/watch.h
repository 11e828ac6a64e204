/* server/supervisor/watch.h -- who hangs: questions to workers, and patience that is counted in turns of our own loop.
 */
#ifndef HEMI_SERVER_SUPERVISOR_WATCH_H
#define HEMI_SERVER_SUPERVISOR_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child;
struct supervisor;

/* .own-turns: a timer that waits fires this often until patience is over. */
#define PATIENCE_TURNS 4u

/* How long one turn is; at least 1 ms. */
uint64_t patience_turn_ms(uint64_t ms, unsigned turns);

/* Counts a turn. */
bool patience_over(unsigned *turns);

/* Asks workers whether they are alive, and counts how long connections wait; start again after a reload. */
void watch_init(struct supervisor *s);
void watch_start(struct supervisor *s);
void watch_close(struct supervisor *s);

/* What the kernel says that a process does, in words. */
const char *process_state(pid_t pid);

/* Returns false when that was not what it was asked. */
bool child_answered(struct child *worker, uint64_t nonce);

#endif
