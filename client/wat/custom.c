/* client/wat/custom.c -- custom sections, written (@custom "name" (after func) "bytes") between module fields (appendix
 * "Custom Sections" of the specification). */
#include "client/wat/assembler.h"

static bool take_section(struct wat *w, unsigned *section)
{
    static const char *const words[] = {
#define X(name, id, word) word,
        WAT_SECTIONS(X)
#undef X
    };
    for (unsigned i = 0; i < SECTION_COUNT; i++) {
        *section = i;
        if (wat_take_keyword(w, words[i])) return true;
    }
    return false;
}

/* (before first), (before SECTION), (after SECTION), (after last), or nothing, which is the same as that. */
static struct buffer *place(struct wat *w)
{
    unsigned section = SECTION_COUNT - 1;
    bool before = wat_take_open(w, "before"), after = !before && wat_take_open(w, "after");
    if (before && wat_take_keyword(w, "first"))
        section = 0;
    else if ((before || !wat_take_keyword(w, "last")) && (before || after) && !take_section(w, &section))
        wat_expected(w, before ? "first or a section's name" : "last or a section's name");
    if (before || after) wat_expect_close(w);
    return &w->customs[section][!before];
}

/* The cursor is in tokens.customs, at the "(@" of one. */
static void custom(struct wat *w)
{
    struct buffer bytes = {0};
    w->at += 2;
    struct name name = wat_utf8(w);
    struct buffer *out = place(w);
    wat_strings(w, &bytes);
    wat_expect_close(w);
    bin_custom(w, out, name, bytes.data, bytes.length);
    bin_deinit(&bytes);
}

void wat_customs(struct wat *w)
{
    struct tokens *t = &w->tokens;
    struct token *fields = t->list;
    uint32_t at = w->at, end = w->end;
    if (w->custom_at == t->custom_count) return;
    t->list = t->customs;
    w->end = t->custom_count - 1;
    w->at = w->custom_at;
    while (w->at < w->end && wat_peek(w)->match == at) custom(w);
    if (w->at < w->end && (wat_peek(w)->match < at || at == w->fields_end))
        wat_fail(w, HEMI_INVALID_MODULE, wat_peek(w), "misplaced @custom annotation: expected it between fields");
    w->custom_at = w->at;
    t->list = fields;
    w->end = end;
    w->at = w->status == HEMI_OK ? at : end; /* [STICKY] */
}
