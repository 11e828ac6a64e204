/* tests/wast/expected.h -- the list of known failures: how many commands of which file fail, and why. It is checked
 * both ways: a file that fails more, less or not at all needs its row changed. */
#ifndef HEMI_WAST_EXPECTED_H
#define HEMI_WAST_EXPECTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expected_row {
    char file[128]; /* its name without folders */
    uint32_t failures;
    bool seen;
};

struct expected {
    struct expected_row *rows; /* owned */
    uint32_t count;
};

/* Reads lines `FILE N reason`; empty lines and those that begin with # are comments. A row without a reason is an
 * error. False: `why` says what is wrong. */
bool expected_read(struct expected *e, const char *path, char *why, size_t size);
/* How many commands of the file should fail; marks the row as seen. */
uint32_t expected_of(struct expected *e, const char *file);
void expected_deinit(struct expected *e);

#endif
