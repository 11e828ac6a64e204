/* server/config/files.h -- the files that a configuration consists of: itself, what it includes, tokens. For config/.
 *
 * Only regular files are read, and nothing is waited for: a FIFO or a device is an error, not a start that hangs.
 * School of checking: as config.h. */
#ifndef HEMI_SERVER_CONFIG_FILES_H
#define HEMI_SERVER_CONFIG_FILES_H

#include "server/config/config.h"

/* Whether FILE, and all that it includes, can be read by libconfig, which waits for a FIFO and ends the process for a
 * directory. Returns 0, or -errno (-EINVAL for what is wrong further down); `error` names file and line. */
int config_check_files(const char *file, struct config_error *error);

/* Reads a token: the only line of a file that is nobody's but its owner's, who is root or this process's user (as ssh
 * asks of keys). Symbolic links are followed, and what they lead to is judged. Returns 0, or -EINVAL and why. */
int config_read_token(const char *file, uint8_t token[CONFIG_TOKEN_MAX], size_t *len, char why[128]);

#endif
