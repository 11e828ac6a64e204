/* client/wat/lexer.h -- the text as an array of tokens. Comments, white space and annotations leave no token; those of
 * (@custom ...) are kept aside.
 * The .wast runner uses it too: scripts have the same tokens. */
#ifndef HEMI_WAT_LEXER_H
#define HEMI_WAT_LEXER_H

#include "client/wat/wat.h"

#include <stdbool.h>

enum token_kind {
    TOKEN_END,      /* the last token of every array */
    TOKEN_OPEN,     /* "(" */
    TOKEN_CLOSE,    /* ")" */
    TOKEN_KEYWORD,  /* starts with a lower-case letter; "nan" and "offset=4" too */
    TOKEN_NUMBER,   /* starts with a digit or sign; not yet known to be a well-formed number */
    TOKEN_STRING,   /* with its quotes, escapes checked but not replaced */
    TOKEN_ID,       /* $name or $"name" */
    TOKEN_RESERVED, /* anything else made of name characters and strings */
};

struct token {
    uint32_t offset; /* of its first byte in the text */
    uint32_t length; /* bytes */
    uint32_t match;  /* OPEN: the index of the token that closes it; of a custom: of the token in `list` behind it */
    uint8_t kind;    /* enum token_kind */
};

struct tokens {
    struct token *list; /* owned */
    uint32_t count;     /* including the end token */
    uint32_t capacity;
    struct token *customs; /* owned; each custom's OPEN ("(@"), what is in it, its CLOSE, then the end token */
    uint32_t custom_count, custom_capacity;
};

/* Splits `text`. Returns HEMI_OK, or a status with *err filled (place and message; `file` is left alone) and nothing to
 * free: malformed UTF-8, illegal characters, unclosed strings, comments, annotations and parentheses. */
int lexer_run(const char *text, size_t len, struct tokens *out, struct wat_error *err);
void tokens_deinit(struct tokens *tokens);

bool lexer_is_idchar(unsigned char c); /* may an identifier be written with it, without quotes? */

/* Line and column of a byte of the text. */
void lexer_place(const char *text, size_t offset, struct wat_error *err);

/* The bytes that a string literal (quotes included) or part of one stands for, written to `out`, which has room for
 * `len` bytes. Returns their number. The lexer has checked the escapes. */
size_t lexer_unescape(const char *string, size_t len, char *out);

#endif
