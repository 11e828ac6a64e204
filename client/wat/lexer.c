/* client/wat/lexer.c -- text to tokens, one pass, no recursion (specification 6.3). */
#include "client/wat/lexer.h"
#include "base/grow.h"

#include "proto/tables/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

struct lexer {
    const char *text;
    size_t len;
    size_t at;
    struct tokens tokens;
    uint32_t *open; /* a stack of the OPEN tokens not yet closed */
    uint32_t depth, open_capacity;
    uint32_t annotation; /* parentheses open inside an annotation; 0 outside */
    size_t annotation_start;
    bool custom; /* the annotation is a (@custom ...) */
    struct wat_error *err;
    int status;
};

enum char_class { C_ILLEGAL, C_SPACE, C_IDCHAR, C_OTHER, C_QUOTE, C_OPEN, C_CLOSE, C_SEMICOLON };

static enum char_class class_of(unsigned char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return C_SPACE;
    if (c < ' ' || c >= 0x7F) return C_ILLEGAL;
    switch (c) {
    case '"':
        return C_QUOTE;
    case '(':
        return C_OPEN;
    case ')':
        return C_CLOSE;
    case ';':
        return C_SEMICOLON;
    case ',':
    case '[':
    case ']':
    case '{':
    case '}':
        return C_OTHER;
    default:
        return C_IDCHAR;
    }
}

bool lexer_is_idchar(unsigned char c) { return class_of(c) == C_IDCHAR; }

void lexer_place(const char *text, size_t offset, struct wat_error *err)
{
    err->offset = offset;
    err->line = 1;
    err->column = 1;
    for (size_t i = 0; i < offset; i++) {
        err->column++;
        bool newline = text[i] == '\n' || (text[i] == '\r' && (i + 1 == offset || text[i + 1] != '\n'));
        if (newline) err->line++, err->column = 1;
    }
}

static bool fail(struct lexer *l, int status, size_t at, const char *message)
{
    l->status = status;
    if (status != HEMI_NO_MEMORY) lexer_place(l->text, at, l->err);
    snprintf(l->err->message, sizeof l->err->message, "%s", message);
    return false;
}

static bool malformed(struct lexer *l, size_t at, const char *message)
{
    return fail(l, HEMI_INVALID_MODULE, at, message);
}

/* The text is valid UTF-8: that was checked first. */
static bool illegal_character(struct lexer *l, const char *where)
{
    ucs4_t c = 0;
    char message[96];
    u8_mbtouc_unsafe(&c, (const uint8_t *)l->text + l->at, l->len - l->at);
    snprintf(message, sizeof message, "illegal character U+%04X%s", (unsigned)c, where);
    return malformed(l, l->at, message);
}

static bool illegal_escape(struct lexer *l, size_t at)
{
    return malformed(l, at, "illegal escape: expected \\t \\n \\r \\\" \\' \\\\ \\XX or \\u{X...} with hexadecimal X");
}

/* Makes room for one more element. */
static bool reserve(struct lexer *l, void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    if (count > UINT32_MAX / 2) return fail(l, HEMI_LIMIT, 0, "too many tokens");
    size_t room = *capacity;
    if (!grow_array(list, size, &room, room + 1, 64, UINT32_MAX)) return fail(l, HEMI_NO_MEMORY, 0, "out of memory");
    *capacity = (uint32_t)room;
    return true;
}

static bool add_custom_token(struct lexer *l, const struct token *token)
{
    struct tokens *t = &l->tokens;
    if (!reserve(l, &t->customs, t->custom_count, &t->custom_capacity, sizeof *t->customs)) return false;
    t->customs[t->custom_count] = *token;
    t->customs[t->custom_count++].match = t->count;
    return true;
}

static bool add_token(struct lexer *l, enum token_kind kind, size_t start)
{
    struct tokens *t = &l->tokens;
    struct token token = {(uint32_t)start, (uint32_t)(l->at - start), 0, (uint8_t)kind};
    if (l->annotation) return !l->custom || add_custom_token(l, &token);
    if (!reserve(l, &t->list, t->count, &t->capacity, sizeof *t->list)) return false;
    t->list[t->count++] = token;
    return true;
}

static int peek(const struct lexer *l, size_t ahead)
{
    return l->at + ahead < l->len ? (unsigned char)l->text[l->at + ahead] : -1;
}

static bool block_comment(struct lexer *l)
{
    size_t start = l->at, depth = 0;
    do {
        int a = peek(l, 0), b = peek(l, 1);
        if (a < 0) return malformed(l, start, "unclosed comment");
        if (a == '(' && b == ';')
            depth++, l->at++;
        else if (a == ';' && b == ')')
            depth--, l->at++;
        l->at++;
    } while (depth > 0);
    return true;
}

static void line_comment(struct lexer *l)
{
    while (l->at < l->len && l->text[l->at] != '\n' && l->text[l->at] != '\r') l->at++;
}

static int hex_value(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* At the character after "\u"; leaves the cursor behind the brace. */
static bool unicode_escape(struct lexer *l, size_t start)
{
    uint32_t value = 0;
    bool digits = false, after_digit = false;
    if (peek(l, 0) != '{') return illegal_escape(l, start);
    for (l->at++;; l->at++) {
        int c = peek(l, 0);
        if (c == '}' && after_digit) break;
        if (c == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        int digit = hex_value(c);
        if (digit < 0) return illegal_escape(l, start);
        value = value * 16 + (uint32_t)digit;
        digits = after_digit = true;
        if (value > 0x10FFFF) break;
    }
    if (!digits || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return illegal_escape(l, start);
    l->at++;
    return true;
}

static bool escape(struct lexer *l)
{
    size_t start = l->at++;
    int c = peek(l, 0);
    l->at++;
    if (c > 0 && strchr("tnr\"'\\", c)) return true;
    if (c == 'u') return unicode_escape(l, start);
    if (hex_value(c) < 0 || hex_value(peek(l, 0)) < 0) return illegal_escape(l, start);
    l->at++;
    return true;
}

/* At the opening quote; leaves the cursor behind the closing one. */
static bool string(struct lexer *l)
{
    size_t start = l->at++;
    for (;;) {
        int c = peek(l, 0);
        if (c < 0 || c == '\n') return malformed(l, start, "unclosed string");
        if (c == '"') break;
        if (c < ' ' || c == 0x7F) return illegal_character(l, " in a string: expected an escape");
        if (c != '\\')
            l->at++;
        else if (!escape(l))
            return false;
    }
    l->at++;
    return true;
}

/* What a run is: `strings` of its parts are strings, the first at `first`, the last ending at `last_end`. */
static enum token_kind kind_of_run(const struct lexer *l, size_t start, size_t strings, size_t first, size_t last_end)
{
    char c = l->text[start];
    if (strings == 1 && first == start && last_end == l->at) return TOKEN_STRING;
    if (strings == 1 && c == '$' && first == start + 1 && last_end == l->at) return TOKEN_ID;
    if (strings) return TOKEN_RESERVED;
    if (c == '$') return TOKEN_ID;
    if (c >= 'a' && c <= 'z') return TOKEN_KEYWORD;
    if ((c >= '0' && c <= '9') || c == '+' || c == '-') return TOKEN_NUMBER;
    return TOKEN_RESERVED;
}

/* Checks the string from `start` to the cursor: an identifier or annotation may be written so. */
static bool check_quoted_name(struct lexer *l, size_t start, const char *if_empty)
{
    if (l->at - start == 2) return malformed(l, start, if_empty);
    char *name = malloc(l->at - start);
    if (!name) return fail(l, HEMI_NO_MEMORY, 0, "out of memory");
    bool ok = !u8_check((const uint8_t *)name, lexer_unescape(l->text + start, l->at - start, name));
    free(name);
    return ok || malformed(l, start, "malformed UTF-8 encoding");
}

static bool check_id(struct lexer *l, size_t start)
{
    if (l->at == start + 1) return malformed(l, start, "empty identifier");
    return l->text[start + 1] != '"' || check_quoted_name(l, start + 1, "empty identifier");
}

/* A maximal run of name characters and strings. */
static bool run(struct lexer *l)
{
    size_t start = l->at, strings = 0, first = 0, last_end = 0;
    bool others = false; /* brackets, braces, commas: no token but reserved ones has them */
    for (int c; (c = peek(l, 0)) >= 0;) {
        enum char_class class = class_of((unsigned char)c);
        if (class == C_QUOTE) {
            if (!strings++) first = l->at;
            if (!string(l)) return false;
            last_end = l->at;
        } else if (class == C_IDCHAR || (class == C_OTHER && !l->annotation)) {
            others = others || class == C_OTHER;
            l->at++;
        } else {
            break;
        }
    }
    enum token_kind kind = others ? TOKEN_RESERVED : kind_of_run(l, start, strings, first, last_end);
    if (kind == TOKEN_ID && !l->annotation && !check_id(l, start)) return false;
    return add_token(l, kind, start);
}

/* At the annotation's id. */
static bool is_custom(const struct lexer *l)
{
    static const char id[] = "custom";
    size_t length = sizeof id - 1;
    if (l->len - l->at < length || memcmp(l->text + l->at, id, length) != 0) return false;
    int c = peek(l, length);
    return c < 0 || class_of((unsigned char)c) != C_IDCHAR;
}

/* At "(@" outside an annotation, or at "(" inside one. */
static bool open_annotation(struct lexer *l)
{
    size_t start = l->at;
    bool outer = !l->annotation;
    l->at++;
    l->annotation++;
    if (!outer) return add_token(l, TOKEN_OPEN, start);
    l->annotation_start = start;
    l->at++;
    int c = peek(l, 0);
    l->custom = is_custom(l);
    if (!add_token(l, TOKEN_OPEN, start)) return false;
    if (c == '"') {
        size_t id = l->at;
        return string(l) && check_quoted_name(l, id, "empty annotation id");
    }
    if (c < 0 || class_of((unsigned char)c) != C_IDCHAR) return malformed(l, start, "empty annotation id");
    return true;
}

static bool open_paren(struct lexer *l)
{
    if (peek(l, 1) == ';') return block_comment(l);
    if (l->annotation || peek(l, 1) == '@') return open_annotation(l);
    l->at++;
    if (l->depth == WAT_NESTING) return fail(l, HEMI_LIMIT, l->at - 1, "parentheses nested too deep");
    if (!reserve(l, &l->open, l->depth, &l->open_capacity, sizeof *l->open)) return false;
    l->open[l->depth++] = l->tokens.count;
    return add_token(l, TOKEN_OPEN, l->at - 1);
}

static bool close_paren(struct lexer *l)
{
    l->at++;
    if (l->annotation) {
        bool added = add_token(l, TOKEN_CLOSE, l->at - 1);
        l->annotation--;
        return added;
    }
    if (l->depth == 0) return malformed(l, l->at - 1, "expected the end of the text, got \")\"");
    l->tokens.list[l->open[--l->depth]].match = l->tokens.count;
    return add_token(l, TOKEN_CLOSE, l->at - 1);
}

static bool semicolon(struct lexer *l)
{
    if (peek(l, 1) == ';') {
        line_comment(l);
        return true;
    }
    size_t start = l->at++;
    return add_token(l, TOKEN_RESERVED, start);
}

static bool next(struct lexer *l)
{
    switch (class_of((unsigned char)l->text[l->at])) {
    case C_SPACE:
        l->at++;
        return true;
    case C_OPEN:
        return open_paren(l);
    case C_CLOSE:
        return close_paren(l);
    case C_SEMICOLON:
        return semicolon(l);
    case C_OTHER:
        if (l->annotation) {
            l->at++;
            return add_token(l, TOKEN_RESERVED, l->at - 1);
        }
        return run(l);
    case C_IDCHAR:
    case C_QUOTE:
        return run(l);
    case C_ILLEGAL:
        break;
    }
    return illegal_character(l, " outside strings and comments");
}

static bool finish(struct lexer *l)
{
    if (l->annotation) return malformed(l, l->annotation_start, "unclosed annotation");
    if (l->depth) return malformed(l, l->tokens.list[l->open[l->depth - 1]].offset, "unclosed parenthesis");
    struct token end = {(uint32_t)l->len, 0, 0, TOKEN_END};
    return add_token(l, TOKEN_END, l->len) && (!l->tokens.custom_count || add_custom_token(l, &end));
}

int lexer_run(const char *text, size_t len, struct tokens *out, struct wat_error *err)
{
    struct lexer l = {.text = text, .len = len, .err = err, .status = HEMI_OK};
    *out = (struct tokens){0};
    const uint8_t *bad = len < UINT32_MAX ? u8_check((const uint8_t *)text, len) : NULL;
    if (len >= UINT32_MAX)
        fail(&l, HEMI_LIMIT, 0, "the text has 4 GiB or more");
    else if (bad)
        malformed(&l, (size_t)(bad - (const uint8_t *)text), "malformed UTF-8 encoding");
    while (l.status == HEMI_OK && l.at < l.len)
        if (!next(&l)) break;
    if (l.status == HEMI_OK) finish(&l);
    free(l.open);
    if (l.status == HEMI_OK)
        *out = l.tokens;
    else
        tokens_deinit(&l.tokens);
    return l.status;
}

void tokens_deinit(struct tokens *tokens)
{
    free(tokens->list);
    free(tokens->customs);
    *tokens = (struct tokens){0};
}

static size_t unescape_unicode(const char *in, size_t *at, char *out)
{
    ucs4_t value = 0;
    for (*at += 1; in[*at] != '}'; *at += 1)
        if (in[*at] != '_') value = value * 16 + (ucs4_t)hex_value((unsigned char)in[*at]);
    *at += 1;
    int written = u8_uctomb((uint8_t *)out, value, 4);
    return written > 0 ? (size_t)written : 0;
}

/* One escape, at the character after the backslash. It never gets longer: "\u{X}" has five characters or more. */
static size_t unescape_one(const char *in, size_t *at, char *out)
{
    unsigned char c = (unsigned char)in[(*at)++];
    switch (c) {
    case 't':
        *out = '\t';
        return 1;
    case 'n':
        *out = '\n';
        return 1;
    case 'r':
        *out = '\r';
        return 1;
    case '"':
    case '\'':
    case '\\':
        *out = (char)c;
        return 1;
    case 'u':
        return unescape_unicode(in, at, out);
    default:
        *out = (char)(hex_value(c) * 16 + hex_value((unsigned char)in[(*at)++]));
        return 1;
    }
}

size_t lexer_unescape(const char *string, size_t len, char *out)
{
    size_t written = 0;
    for (size_t at = 1; at + 1 < len;) {
        if (string[at] != '\\')
            out[written++] = string[at++];
        else
            at++, written += unescape_one(string, &at, out + written);
    }
    return written;
}
