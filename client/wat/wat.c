/* client/wat/wat.c -- the order of it all: tokens, declarations, definitions, sections. */
#include "client/wat/assembler.h"

#include <stdlib.h>

/* Finds the module's fields: those of (module definition? $name? ...), or the whole text. */
static void find_fields(struct wat *w)
{
    w->fields_end = w->end;
    if (wat_peek_open(w, "module")) {
        w->fields_end = wat_peek(w)->match;
        if (w->fields_end + 1 != w->end) {
            w->at = w->fields_end + 1;
            wat_expected(w, "the end of the text");
            return;
        }
        w->at += 2;
        wat_take_keyword(w, "definition");
        w->module_name = wat_optional_id(w);
    }
    w->fields_begin = w->at;
}

static int run(struct wat *w, size_t len, struct buffer *module);
static void wat_deinit(struct wat *w);

/* (module quote "..."...): the strings are lines of a text, which may not quote another. */
static void assemble_quoted(struct wat *w, const struct token *where, const struct buffer *text, struct buffer *out)
{
    struct wat_error err = {0};
    struct wat quoted = {
        .text = (const char *)text->data, .options = w->options, .err = &err, .status = HEMI_OK, .is_quoted = true};
    if (run(&quoted, text->length, out) == HEMI_NO_MEMORY)
        wat_no_memory(w);
    else if (quoted.status != HEMI_OK)
        wat_fail(w, quoted.status, where, "in the quoted text, at %u:%u: %.180s", err.line, err.column, err.message);
    wat_deinit(&quoted);
}

/* (module binary "..."...) or (module quote "..."...). False: it is neither. */
static bool assemble_strings(struct wat *w, struct buffer *out)
{
    const struct token *where = wat_peek(w);
    struct buffer text = {0};
    bool quote = wat_take_keyword(w, "quote");
    if (!quote && !wat_take_keyword(w, "binary")) return false;
    while (wat_peek(w)->kind == TOKEN_STRING) {
        struct name line = wat_string(w);
        bin_bytes(w, quote ? &text : out, line.bytes, line.length);
        if (quote) bin_byte(w, &text, '\n');
    }
    if (w->at != w->fields_end) wat_expected(w, "a string or \")\"");
    if (quote && w->status == HEMI_OK) assemble_quoted(w, where, &text, out);
    bin_deinit(&text);
    return true;
}

static void assemble(struct wat *w, struct buffer *out)
{
    w->end = w->tokens.count - 1;
    if (!wat_init_keywords(w)) return;
    find_fields(w);
    if (w->fields_end < w->end && !w->is_quoted && assemble_strings(w, out)) return;
    wat_declare(w);
    if (w->status != HEMI_OK) return;
    w->at = w->fields_begin;
    wat_define(w);
    if (w->status == HEMI_OK) bin_module(w, out);
    if (w->status == HEMI_OK && !w->options->no_names) bin_names(w, out);
}

static void wat_deinit(struct wat *w)
{
    for (uint32_t i = 0; i < w->type_count; i++) names_deinit(&w->types[i].field_names);
    for (unsigned i = 0; i < SPACE_COUNT; i++) names_deinit(&w->spaces[i]);
    for (unsigned i = 0; i < SECTION_COUNT; i++) {
        bin_deinit(&w->sections[i]);
        bin_deinit(&w->customs[i][0]);
        bin_deinit(&w->customs[i][1]);
        free(w->places[i].list);
    }
    bin_deinit(&w->body);
    bin_deinit(&w->local_names.bytes);
    bin_deinit(&w->label_names.bytes);
    bin_deinit(&w->labels_of_function.bytes);
    free(w->types);
    free(w->groups);
    free(w->signatures);
    free(w->scratch);
    free(w->labels);
    free(w->body_places.list);
    wat_free_arena(w);
    tokens_deinit(&w->tokens);
}

/* Everything but freeing `w`. */
static int run(struct wat *w, size_t len, struct buffer *module)
{
    w->status = lexer_run(w->text, len, &w->tokens, w->err);
    if (w->status == HEMI_OK) assemble(w, module);
    return w->status;
}

int wat_assemble_with(const struct wat_options *options, const char *text, size_t len, const char *filename,
                      uint8_t **out, size_t *out_len, struct wat_error *err)
{
    struct wat w = {.text = text, .options = options, .err = err, .status = HEMI_OK};
    struct buffer module = {0};
    *err = (struct wat_error){.file = filename};
    *out = NULL;
    *out_len = 0;
    if (run(&w, len, &module) == HEMI_OK) {
        *out = module.data;
        *out_len = module.length;
    } else {
        bin_deinit(&module);
        if (w.status == HEMI_INVALID_MODULE) wat_explain_file(text, len, err);
    }
    wat_deinit(&w);
    return w.status;
}

static const struct wat_options defaults;

int wat_assemble(const char *text, size_t len, const char *filename, uint8_t **out, size_t *out_len,
                 struct wat_error *err)
{
    return wat_assemble_with(&defaults, text, len, filename, out, out_len, err);
}

/* The last place at or before `at`, or NULL. */
static const struct place *place_of(const struct places *places, uint64_t at)
{
    uint32_t low = 0, high = places->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (places->list[middle].at <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &places->list[low - 1] : NULL;
}

/* In the sections as they are in the module. */
static const struct place *place_at(const struct wat *w, uint64_t offset)
{
    for (unsigned i = 0; i < SECTION_COUNT; i++) {
        uint64_t from = w->starts[i];
        bool here = from > 0 && offset >= from && offset - from < w->sections[i].length;
        if (here) return place_of(&w->places[i], offset - from);
    }
    return NULL;
}

int wat_locate(const char *text, size_t len, uint64_t offset, uint32_t *line, uint32_t *column)
{
    struct wat_error err;
    struct wat w = {.text = text, .options = &defaults, .err = &err, .status = HEMI_OK, .wants_places = true};
    struct buffer module = {0};
    int status = run(&w, len, &module);
    const struct place *place = status == HEMI_OK ? place_at(&w, offset) : NULL;
    if (place) lexer_place(text, place->text, &err);
    *line = place ? err.line : 0;
    *column = place ? err.column : 0;
    bin_deinit(&module);
    wat_deinit(&w);
    return status == HEMI_OK && !place ? HEMI_NOT_FOUND : status;
}
