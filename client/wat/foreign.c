/* client/wat/foreign.c -- what is not of WebAssembly 3.0: keywords of proposals, and files that are something else. */
#include "client/wat/assembler.h"
#include "proto/tables/files.h"
#include "proto/tables/proposals.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_WORD = 63 };

/* A keyword, or behind "(", the "(" with it. */
static bool matches(const char *pattern, const char *word)
{
    return fnmatch(pattern, *pattern == '(' || *word != '(' ? word : word + 1, 0) == 0;
}

const char *wat_proposal_here(const struct wat *w, const char *before)
{
    static const struct {
        enum wasm_proposal proposal;
        const char *word, *before;
    } rows[] = {
#define X(proposal, word, before) {PROPOSAL_##proposal, word, before},
        PROPOSAL_WORDS(X)
#undef X
    };
    bool open = wat_peek(w)->kind == TOKEN_OPEN;
    const struct token *token = open ? wat_peek_next(w) : wat_peek(w);
    char word[1 + LONGEST_WORD + 1];
    if (token->kind != TOKEN_KEYWORD || token->length > LONGEST_WORD) return NULL;
    snprintf(word, sizeof word, "%s%.*s", open ? "(" : "", (int)token->length, w->text + token->offset);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool here = !rows[i].before || (before && strcmp(rows[i].before, before) == 0);
        if (here && matches(rows[i].word, word)) return proposal_text(rows[i].proposal);
    }
    return NULL;
}

/* The place of the first character that is not white space. */
static size_t first_mark(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && strchr(" \t\r\n", text[at]) && text[at]) at++;
    return at;
}

void wat_explain_file(const char *text, size_t len, struct wat_error *err)
{
    size_t at = first_mark(text, len), used = strlen(err->message);
    const char *foreign = file_foreign((const uint8_t *)text, len);
    if (!foreign) foreign = file_foreign((const uint8_t *)text + at, len - at);
    if (foreign) {
        lexer_place(text, 0, err);
        snprintf(err->message, sizeof err->message, "not WebAssembly, but %s", foreign);
    } else if (at < len && text[at] != '(' && text[at] != ';') {
        snprintf(err->message + used, sizeof err->message - used, ": neither a binary module nor in the text format");
    }
}
