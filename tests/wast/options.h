/* tests/wast/options.h -- the runner's command line. */
#ifndef HEMI_WAST_OPTIONS_H
#define HEMI_WAST_OPTIONS_H

#include "tests/wast/session.h"

struct options {
    struct session_options session;
    const char *junit; /* NULL: none */
    unsigned workers;
    bool quiet, list, no_fault_checks, canonical_nans, opcodes;
    char **files; /* owned */
    uint32_t file_count;
};

/* False: wrong use, or a path that is not there; a message was printed. options_deinit is due only on success. */
bool options_read(struct options *o, int argc, char **argv);
void options_deinit(struct options *o);

#endif
