/* client/wat/names.c -- what every reader stands on: errors, memory, the cursor, operands, symbol spaces. */
#include "base/grow.h"
#include "client/wat/assembler.h"
#include "client/wat/number.h"
#include "proto/tables/printable.h"
#include "proto/tables/proposals.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

/* ---- errors */

void wat_fail(struct wat *w, int status, const struct token *where, const char *format, ...)
{
    if (w->status != HEMI_OK) return;
    w->status = status;
    if (where) lexer_place(w->text, where->offset, w->err);
    va_list args;
    va_start(args, format);
    vsnprintf(w->err->message, sizeof w->err->message, format, args);
    va_end(args);
    printable(w->err->message, sizeof w->err->message); /* it may show the text's own characters */
    w->at = w->end;
}

void wat_no_memory(struct wat *w) { wat_fail(w, HEMI_NO_MEMORY, NULL, "out of memory"); }

/* The bytes of a text to show in a message, which are not to end within a character. */
static int shown(struct name text)
{
    uint32_t length = text.length < 64 ? text.length : 64;
    while (length > 0 && length < text.length && ((unsigned char)text.bytes[length] & 0xC0) == 0x80) length--;
    return (int)length;
}

/* The token at the cursor; a parenthesis with the keyword that follows it at once. */
static struct name text_here(const struct wat *w)
{
    const struct token *token = wat_peek(w), *next = wat_peek_next(w);
    struct name text = wat_text_of(w, token);
    bool joined = token->kind == TOKEN_OPEN && next->kind == TOKEN_KEYWORD && next->offset == token->offset + 1;
    if (joined) text.length += next->length;
    return text;
}

void wat_expected_in(struct wat *w, const char *what, const char *before)
{
    const struct token *token = wat_peek(w);
    struct name text = text_here(w);
    const char *proposal = wat_proposal_here(w, before);
    if (token->kind == TOKEN_END)
        wat_fail(w, HEMI_INVALID_MODULE, token, "expected %s, got the end of the text", what);
    else if (proposal)
        wat_fail(w, HEMI_INVALID_MODULE, token, "expected %s, got \"%.*s\"" PROPOSAL_REMARK, what, shown(text),
                 text.bytes, proposal);
    else
        wat_fail(w, HEMI_INVALID_MODULE, token, "expected %s, got \"%.*s\"", what, shown(text), text.bytes);
}

void wat_expected(struct wat *w, const char *what) { wat_expected_in(w, what, NULL); }

void wat_fail_name(struct wat *w, const struct token *where, const char *problem, const char *word, struct name name)
{
    wat_fail(w, HEMI_INVALID_MODULE, where, "%s %s $%.*s", problem, word, shown(name), name.bytes);
}

/* ---- memory */

struct chunk {
    struct chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

static struct chunk *new_chunk(struct wat *w, size_t least)
{
    size_t size = least > 16384 ? least : 16384;
    struct chunk *chunk = calloc(1, sizeof *chunk + size);
    if (!chunk) {
        wat_no_memory(w);
        return NULL;
    }
    chunk->size = size;
    chunk->next = w->arena;
    w->arena = chunk;
    return chunk;
}

void *wat_alloc(struct wat *w, size_t size)
{
    size = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    struct chunk *chunk = w->arena;
    if (!chunk || chunk->size - chunk->used < size) chunk = new_chunk(w, size);
    if (!chunk) return NULL;
    void *result = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    return result;
}

void *wat_keep(struct wat *w, const void *list, size_t size)
{
    void *copy = wat_alloc(w, size);
    if (copy && size) memcpy(copy, list, size);
    return copy;
}

void wat_free_arena(struct wat *w)
{
    while (w->arena) {
        struct chunk *next = w->arena->next;
        free(w->arena);
        w->arena = next;
    }
}

bool wat_grow(struct wat *w, void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t room = *capacity;
    if (!grow_array(list, size, &room, room + 1, 16, UINT32_MAX)) {
        wat_no_memory(w);
        return false;
    }
    *capacity = (uint32_t)room;
    return true;
}

/* ---- the cursor */

struct name wat_text_of(const struct wat *w, const struct token *token)
{
    return (struct name){w->text + token->offset, token->length};
}

bool wat_is(const struct wat *w, const struct token *token, const char *keyword)
{
    return token->kind == TOKEN_KEYWORD && token->length == strlen(keyword) &&
           memcmp(w->text + token->offset, keyword, token->length) == 0;
}

bool wat_peek_open(const struct wat *w, const char *keyword)
{
    return wat_peek(w)->kind == TOKEN_OPEN && wat_is(w, wat_peek_next(w), keyword);
}

bool wat_take(struct wat *w, enum token_kind kind)
{
    if (wat_peek(w)->kind != kind || w->at == w->end) return false;
    w->at++;
    return true;
}

bool wat_take_keyword(struct wat *w, const char *keyword)
{
    bool found = wat_is(w, wat_peek(w), keyword);
    w->at += found;
    return found;
}

bool wat_take_open(struct wat *w, const char *keyword)
{
    bool found = wat_peek_open(w, keyword);
    if (found) w->at += 2;
    return found;
}

void wat_expect_open(struct wat *w, const char *keyword)
{
    char what[32];
    snprintf(what, sizeof what, "(%s", keyword);
    if (!wat_take_open(w, keyword)) wat_expected(w, what);
}

void wat_expect_close(struct wat *w)
{
    if (!wat_take(w, TOKEN_CLOSE)) wat_expected(w, "\")\"");
}

void wat_skip_group(struct wat *w)
{
    if (wat_peek(w)->kind == TOKEN_OPEN)
        w->at = wat_peek(w)->match + 1; /* [BALANCED] */
    else
        wat_expected(w, "a module field");
}

/* ---- operands */

static struct name unescaped(struct wat *w, const char *string, uint32_t length)
{
    char *bytes = wat_alloc(w, length);
    if (!bytes) return (struct name){"", 0};
    return (struct name){bytes, (uint32_t)lexer_unescape(string, length, bytes)};
}

struct name wat_name_of(struct wat *w, const struct token *id)
{
    struct name text = wat_text_of(w, id);
    if (text.length > 1 && text.bytes[1] == '"') return unescaped(w, text.bytes + 1, text.length - 1);
    return (struct name){text.bytes + 1, text.length - 1};
}

struct name wat_optional_id(struct wat *w)
{
    if (wat_peek(w)->kind != TOKEN_ID) return (struct name){NULL, 0};
    struct name name = wat_name_of(w, wat_peek(w));
    w->at++;
    return name;
}

struct name wat_string(struct wat *w)
{
    const struct token *token = wat_peek(w);
    if (!wat_take(w, TOKEN_STRING)) {
        wat_expected(w, "a string");
        return (struct name){"", 0};
    }
    return unescaped(w, w->text + token->offset, token->length);
}

void wat_strings(struct wat *w, struct buffer *out)
{
    while (wat_peek(w)->kind == TOKEN_STRING) {
        struct name part = wat_string(w);
        bin_bytes(w, out, part.bytes, part.length);
    }
}

struct name wat_utf8(struct wat *w)
{
    const struct token *token = wat_peek(w);
    struct name name = wat_string(w);
    if (u8_check((const uint8_t *)name.bytes, name.length))
        wat_fail(w, HEMI_INVALID_MODULE, token, "malformed UTF-8 encoding");
    return name;
}

bool wat_peek_index(const struct wat *w) { return wat_peek(w)->kind == TOKEN_ID || wat_peek(w)->kind == TOKEN_NUMBER; }

/* Takes the numeral that was just read, or reports what is wrong with it. */
static uint64_t numeral(struct wat *w, const struct token *token, enum number_status status, uint64_t value,
                        const char *what)
{
    struct name text = wat_text_of(w, token);
    switch (status) {
    case NUMBER_OK:
        w->at += w->at < w->end;
        return value;
    case NUMBER_RANGE:
        wat_fail(w, HEMI_INVALID_MODULE, token, "constant out of range: expected %s, got \"%.*s\"", what, shown(text),
                 text.bytes);
        break;
    case NUMBER_MALFORMED:
        wat_expected(w, what);
        break;
    case NUMBER_NO_MEMORY:
        wat_no_memory(w);
        break;
    }
    return 0;
}

uint64_t wat_unsigned(struct wat *w, uint64_t max, const char *what)
{
    uint64_t value = 0;
    const struct token *token = wat_peek(w);
    enum number_status status = NUMBER_MALFORMED;
    if (token->kind == TOKEN_NUMBER) status = number_unsigned(w->text + token->offset, token->length, max, &value);
    return numeral(w, token, status, value, what);
}

uint32_t wat_u32(struct wat *w, const char *what) { return (uint32_t)wat_unsigned(w, UINT32_MAX, what); }

uint64_t wat_integer(struct wat *w, unsigned bits)
{
    uint64_t value = 0;
    const struct token *token = wat_peek(w);
    enum number_status status = NUMBER_MALFORMED;
    if (token->kind == TOKEN_NUMBER) status = number_integer(w->text + token->offset, token->length, bits, &value);
    char what[32];
    snprintf(what, sizeof what, "a %u-bit integer", bits);
    return numeral(w, token, status, value, what);
}

uint64_t wat_float(struct wat *w, unsigned bits)
{
    uint64_t value = 0;
    const struct token *token = wat_peek(w);
    enum number_status status = NUMBER_MALFORMED;
    if (token->kind == TOKEN_NUMBER || token->kind == TOKEN_KEYWORD) /* inf and nan are spelt like keywords */
        status = number_float(w->text + token->offset, token->length, bits, &value);
    return numeral(w, token, status, value, bits == 32 ? "a 32-bit float" : "a 64-bit float");
}

/* ---- symbol spaces */

/* FNV-1a, begun at a number that a text cannot know (where the table is), so that it cannot be full of collisions. */
static uint32_t hash(const void *seed, struct name name)
{
    uint64_t h = 14695981039346656037u ^ (uintptr_t)seed;
    for (uint32_t i = 0; i < name.length; i++) h = (h ^ (unsigned char)name.bytes[i]) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

static bool same(struct name a, struct name b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* The slot that holds the name, or the free one where it belongs. The table is never full. */
static struct symbol *slot_of(struct symbol *slots, uint32_t capacity, struct name name)
{
    for (uint32_t i = hash(slots, name);; i++) {
        struct symbol *slot = &slots[i & (capacity - 1)];
        if (!slot->name.bytes || same(slot->name, name)) return slot;
    }
}

static bool make_room(struct wat *w, struct space *space)
{
    if (space->used * 2 < space->capacity) return true;
    uint32_t capacity = space->capacity ? space->capacity * 2 : 16;
    struct symbol *slots = calloc(capacity, sizeof *slots);
    if (!slots) {
        wat_no_memory(w);
        return false;
    }
    for (uint32_t i = 0; i < space->capacity; i++)
        if (space->slots[i].name.bytes) *slot_of(slots, capacity, space->slots[i].name) = space->slots[i];
    free(space->slots);
    space->slots = slots;
    space->capacity = capacity;
    return true;
}

struct symbol *names_symbol(struct wat *w, struct space *space, struct name name)
{
    if (!make_room(w, space)) return NULL;
    struct symbol *slot = slot_of(space->slots, space->capacity, name);
    space->used += slot->name.bytes == NULL;
    slot->name = name;
    return slot;
}

uint32_t names_add(struct wat *w, struct space *space, struct name name, const char *word)
{
    uint32_t index = space->count++;
    if (!name.bytes || !make_room(w, space)) return index;
    struct symbol *slot = slot_of(space->slots, space->capacity, name);
    if (slot->name.bytes) {
        wat_fail_name(w, &w->tokens.list[w->at ? w->at - 1 : 0], "duplicate", word, name);
        return index;
    }
    *slot = (struct symbol){name, index};
    space->used++;
    return index;
}

bool names_find(const struct space *space, struct name name, uint32_t *index)
{
    if (!space->capacity) return false;
    const struct symbol *slot = slot_of(space->slots, space->capacity, name);
    if (slot->name.bytes) *index = slot->index;
    return slot->name.bytes != NULL;
}

void names_deinit(struct space *space)
{
    free(space->slots);
    *space = (struct space){0};
}

const char *wat_space_word(enum space_kind kind)
{
    static const char *const words[] = {
#define X(kind, word, names) word,
        WAT_SPACES(X)
#undef X
    };
    return words[kind];
}

uint32_t wat_index_in(struct wat *w, const struct space *space, const char *word)
{
    const struct token *token = wat_peek(w);
    if (token->kind != TOKEN_ID) {
        char what[48];
        snprintf(what, sizeof what, "%s %s index or name", *word == 'e' ? "an" : "a", word);
        return wat_u32(w, what);
    }
    struct name name = wat_optional_id(w);
    uint32_t index = 0;
    if (!names_find(space, name, &index)) wat_fail_name(w, token, "unknown", word, name);
    return index;
}

uint32_t wat_index(struct wat *w, enum space_kind kind)
{
    return wat_index_in(w, &w->spaces[kind], wat_space_word(kind));
}
