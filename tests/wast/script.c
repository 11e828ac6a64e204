/* tests/wast/script.c -- reads a script's commands. */
#include "tests/wast/script.h"

#include "proto/tables/status.h"
#include "tests/wast/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the cursor */

void reader_fail(struct reader *r, const char *message)
{
    if (r->failed) return;
    r->failed = true;
    lexer_place(r->script->text, reader_peek(r)->offset, r->err);
    snprintf(r->err->message, sizeof r->err->message, "%s", message);
    r->at = r->tokens.count - 1;
}

/* Remembers an allocation for script_deinit. */
static void *own(struct reader *r, void *allocation)
{
    struct script *s = r->script;
    if (allocation && s->owned_count == s->owned_capacity) {
        uint32_t capacity = s->owned_capacity ? s->owned_capacity * 2 : 64;
        void **grown = reallocarray(s->owned, capacity, sizeof *grown);
        if (!grown) {
            free(allocation);
            allocation = NULL;
        } else {
            s->owned = grown;
            s->owned_capacity = capacity;
        }
    }
    if (allocation)
        s->owned[s->owned_count++] = allocation;
    else
        reader_fail(r, "out of memory");
    return allocation;
}

void *reader_alloc(struct reader *r, size_t size) { return own(r, calloc(1, size ? size : 1)); }

const struct token *reader_peek(const struct reader *r) { return &r->tokens.list[r->at]; }

bool reader_is(const struct reader *r, const struct token *token, const char *keyword)
{
    return token->kind == TOKEN_KEYWORD && token->length == strlen(keyword) &&
           memcmp(r->script->text + token->offset, keyword, token->length) == 0;
}

static bool peek_open(const struct reader *r, const char *keyword)
{
    return reader_peek(r)->kind == TOKEN_OPEN && reader_is(r, reader_peek(r) + 1, keyword);
}

bool reader_take_open(struct reader *r, const char *keyword)
{
    bool found = peek_open(r, keyword);
    if (found) r->at += 2;
    return found;
}

bool reader_take_keyword(struct reader *r, const char *keyword)
{
    bool found = reader_is(r, reader_peek(r), keyword);
    r->at += found;
    return found;
}

void reader_close(struct reader *r)
{
    if (reader_peek(r)->kind == TOKEN_CLOSE)
        r->at++;
    else
        reader_fail(r, "expected a closing parenthesis");
}

static struct wast_text unescaped(struct reader *r, const char *string, uint32_t length)
{
    char *bytes = reader_alloc(r, length);
    if (!bytes) return (struct wast_text){0};
    return (struct wast_text){bytes, lexer_unescape(string, length, bytes)};
}

struct wast_text reader_id(struct reader *r)
{
    const struct token *token = reader_peek(r);
    if (token->kind != TOKEN_ID) return (struct wast_text){0};
    r->at++;
    const char *bytes = r->script->text + token->offset + 1;
    if (*bytes == '"') return unescaped(r, bytes, token->length - 1);
    return (struct wast_text){bytes, token->length - 1};
}

struct wast_text reader_string(struct reader *r)
{
    const struct token *token = reader_peek(r);
    if (token->kind != TOKEN_STRING) {
        reader_fail(r, "expected a string");
        return (struct wast_text){0};
    }
    r->at++;
    return unescaped(r, r->script->text + token->offset, token->length);
}

/* ---- modules */

/* All strings up to ")", one after the other; those of a quoted module are lines. */
static struct wast_text strings(struct reader *r, bool lines)
{
    size_t size = 0;
    for (uint32_t at = r->at; r->tokens.list[at].kind == TOKEN_STRING; at++) size += r->tokens.list[at].length + 1;
    char *bytes = reader_alloc(r, size);
    struct wast_text all = {bytes, 0};
    while (bytes && reader_peek(r)->kind == TOKEN_STRING) {
        const struct token *token = reader_peek(r);
        all.length += lexer_unescape(r->script->text + token->offset, token->length, bytes + all.length);
        if (lines) bytes[all.length++] = '\n';
        r->at++;
    }
    return all;
}

/* The text of a module from its "(module" on. The assembler knows no definitions: the word is blanked. */
static struct wast_text module_text(struct reader *r, uint32_t open, bool definition)
{
    const struct token *first = &r->tokens.list[open], *last = &r->tokens.list[first->match];
    size_t length = last->offset + 1 - first->offset;
    char *bytes = reader_alloc(r, length);
    if (!bytes) return (struct wast_text){0};
    memcpy(bytes, r->script->text + first->offset, length);
    if (definition) memset(bytes + (first[2].offset - first->offset), ' ', first[2].length);
    return (struct wast_text){bytes, length};
}

/* At "(module", or behind "(module definition". */
static struct wast_module module_at(struct reader *r, uint32_t open)
{
    struct wast_module module = {.form = FORM_TEXT};
    bool definition = r->at > open;
    if (!definition) r->at += 2;
    module.name = reader_id(r);
    if (reader_take_keyword(r, "binary")) {
        module.form = FORM_BINARY;
        module.bytes = strings(r, false);
    } else if (reader_take_keyword(r, "quote")) {
        module.form = FORM_QUOTE;
        module.bytes = strings(r, true);
    } else {
        module.bytes = module_text(r, open, definition);
        if (!r->failed) r->at = r->tokens.list[open].match;
    }
    reader_close(r);
    return module;
}

/* At "(module instance". */
static void instance_at(struct reader *r, struct wast_command *command)
{
    r->at += 3;
    command->name = reader_id(r);
    command->of = reader_id(r);
    reader_close(r);
}

static void module_command(struct reader *r, struct wast_command *command)
{
    uint32_t open = r->at;
    if (reader_is(r, reader_peek(r) + 2, "instance")) {
        command->kind = COMMAND_INSTANCE;
        instance_at(r, command);
        return;
    }
    bool definition = reader_is(r, reader_peek(r) + 2, "definition");
    if (definition) r->at += 3;
    command->kind = definition ? COMMAND_DEFINITION : COMMAND_MODULE;
    command->has_module = true;
    command->module = module_at(r, open);
}

/* ---- actions and assertions */

static struct wast_action action(struct reader *r)
{
    struct wast_action a = {.get = reader_take_open(r, "get")};
    if (!a.get && !reader_take_open(r, "invoke")) reader_fail(r, "expected (invoke ...) or (get ...)");
    a.module = reader_id(r);
    a.name = reader_string(r);
    if (!a.get) reader_values(r, &a.args, &a.arg_count);
    reader_close(r);
    return a;
}

/* OF_INSTANCE: a module, or "(module instance ...)" of a definition, whose instance nothing can mean later: of two
 * names the second is the definition's, and one alone is, too. */
enum operands { OF_ACTION = 1, OF_MODULE = 2, WITH_VALUES = 4, WITH_TEXT = 8, OF_INSTANCE = 16 };

static const struct assertion {
    const char *word;
    enum wast_command_kind kind;
    unsigned operands;
} assertions[] = {
    {"assert_return", COMMAND_RETURN, OF_ACTION | WITH_VALUES},
    {"assert_trap", COMMAND_TRAP, OF_ACTION | OF_MODULE | OF_INSTANCE | WITH_TEXT},
    {"assert_exhaustion", COMMAND_EXHAUSTION, OF_ACTION | WITH_TEXT},
    {"assert_exception", COMMAND_EXCEPTION, OF_ACTION},
    {"assert_invalid", COMMAND_INVALID, OF_MODULE | WITH_TEXT},
    {"assert_malformed", COMMAND_MALFORMED, OF_MODULE | WITH_TEXT},
    {"assert_unlinkable", COMMAND_UNLINKABLE, OF_MODULE | OF_INSTANCE | WITH_TEXT},
    {"assert_malformed_custom", COMMAND_MALFORMED_CUSTOM, OF_MODULE | WITH_TEXT},
    {"assert_invalid_custom", COMMAND_INVALID_CUSTOM, OF_MODULE | WITH_TEXT},
};

static void subject(struct reader *r, unsigned operands, struct wast_command *command)
{
    bool module = (operands & OF_MODULE) && peek_open(r, "module");
    command->has_instance = module && (operands & OF_INSTANCE) && reader_is(r, reader_peek(r) + 2, "instance");
    command->has_module = module && !command->has_instance;
    if (command->has_instance) {
        instance_at(r, command);
        if (!command->of.bytes) command->of = command->name;
    } else if (command->has_module) {
        command->module = module_at(r, r->at);
    } else {
        command->action = action(r);
    }
}

static bool assertion(struct reader *r, struct wast_command *command)
{
    for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++) {
        const struct assertion *row = &assertions[i];
        if (!reader_take_open(r, row->word)) continue;
        command->kind = row->kind;
        subject(r, row->operands, command);
        if (row->operands & WITH_VALUES) reader_values(r, &command->values, &command->value_count);
        if (row->operands & WITH_TEXT) command->text = reader_string(r);
        reader_close(r);
        return true;
    }
    return false;
}

static void command(struct reader *r, struct wast_command *c)
{
    if (peek_open(r, "module")) {
        module_command(r, c);
    } else if (reader_take_open(r, "register")) {
        c->kind = COMMAND_REGISTER;
        c->text = reader_string(r);
        c->name = reader_id(r);
        reader_close(r);
    } else if (peek_open(r, "invoke") || peek_open(r, "get")) {
        c->kind = COMMAND_ACTION;
        c->action = action(r);
    } else if (!assertion(r, c)) {
        reader_fail(r, "unknown command");
    }
}

static struct wast_command *new_command(struct reader *r)
{
    struct script *s = r->script;
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : 256;
        struct wast_command *grown = reallocarray(s->commands, capacity, sizeof *grown);
        if (!grown) {
            reader_fail(r, "out of memory");
            return NULL;
        }
        s->commands = grown;
        s->capacity = capacity;
    }
    struct wast_command *c = &s->commands[s->count++];
    *c = (struct wast_command){0};
    return c;
}

/* Lines are counted once, along the way: lexer_place would start over for each command. */
static uint32_t line_of(struct reader *r, uint32_t line, size_t *from)
{
    for (size_t to = reader_peek(r)->offset; *from < to; ++*from) line += r->script->text[*from] == '\n';
    return line;
}

static void commands(struct reader *r)
{
    uint32_t line = 1;
    size_t from = 0;
    while (reader_peek(r)->kind != TOKEN_END && !r->failed) {
        struct wast_command *c = new_command(r);
        if (!c) return;
        c->line = line = line_of(r, line, &from);
        command(r, c);
    }
}

/* A file may be nothing but the fields of one module. */
static bool is_inline_module(const struct reader *r)
{
    static const char *const fields[] = {"type", "rec",    "import", "func",  "table", "memory",
                                         "tag",  "global", "export", "start", "elem",  "data"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (peek_open(r, fields[i])) return true;
    return false;
}

static void inline_module(struct reader *r)
{
    struct wast_command *c = new_command(r);
    if (!c) return;
    *c = (struct wast_command){.kind = COMMAND_MODULE, .line = 1, .has_module = true};
    c->module.bytes = (struct wast_text){r->script->text, r->script->length};
}

bool script_read(struct script *script, char *text, size_t length, struct wat_error *err)
{
    struct reader r = {.script = script, .err = err};
    *script = (struct script){.text = text, .length = length};
    r.failed = lexer_run(text, length, &r.tokens, err) != HEMI_OK;
    if (!r.failed) {
        if (is_inline_module(&r))
            inline_module(&r);
        else
            commands(&r);
        tokens_deinit(&r.tokens);
    }
    if (r.failed) script_deinit(script);
    return !r.failed;
}

void script_deinit(struct script *script)
{
    for (uint32_t i = 0; i < script->owned_count; i++) free(script->owned[i]);
    free(script->owned);
    free(script->commands);
    free(script->text);
    *script = (struct script){0};
}
