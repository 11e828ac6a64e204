/* tests/wast/reader.h -- the cursor over a script's tokens, shared by script.c and values.c. The first error sticks and
 * moves the cursor to the end. */
#ifndef HEMI_WAST_READER_H
#define HEMI_WAST_READER_H

#include "client/wat/lexer.h"
#include "tests/wast/script.h"

struct reader {
    struct script *script;
    struct tokens tokens;
    uint32_t at;
    struct wat_error *err;
    bool failed;
};

void reader_fail(struct reader *r, const char *message);
void *reader_alloc(struct reader *r, size_t size); /* zeroed, owned by the script; NULL with an error */

const struct token *reader_peek(const struct reader *r);
bool reader_is(const struct reader *r, const struct token *token, const char *keyword);
bool reader_take_open(struct reader *r, const char *keyword);
bool reader_take_keyword(struct reader *r, const char *keyword);
void reader_close(struct reader *r);
struct wast_text reader_id(struct reader *r);     /* absent if there is none */
struct wast_text reader_string(struct reader *r); /* one string, its escapes replaced */

/* values.c: values up to the next ")". */
void reader_values(struct reader *r, struct wast_value **values, uint32_t *count);

#endif
