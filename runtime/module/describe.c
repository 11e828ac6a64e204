/* runtime/module/describe.c -- the text of error messages: names, types, functions. */
#include "runtime/module/describe.h"
#include "proto/tables/printable.h"
#include "runtime/engine/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SHOWN_MAX = 48 };

/* The longest prefix of at most n bytes that does not end within a character. */
static size_t utf8_cut(const char *at, size_t n, size_t size)
{
    while (n > 0 && n < size && ((unsigned char)at[n] & 0xC0u) == 0x80u) n--;
    return n;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char part[256];
    int n = vsnprintf(part, sizeof part, format, args);
    va_end(args);
    if (n <= 0 || t->used + 1 >= t->len) return;
    size_t size = (size_t)n < sizeof part ? (size_t)n : sizeof part - 1, room = t->len - 1 - t->used;
    size_t fits = size <= room ? size : utf8_cut(part, room, size);
    memcpy(t->at + t->used, part, fits);
    t->used += fits;
    t->at[t->used] = 0;
    if (fits < size) t->len = t->used + 1; /* nothing more after a cut */
}

void text_name(struct text *t, struct name n)
{
    char raw[NAME_SHOWN_MAX + 1] = {0}, shown[4 * NAME_SHOWN_MAX + PRINTABLE_MAX] = {0};
    size_t size = n.len <= NAME_SHOWN_MAX ? n.len : utf8_cut(n.at, NAME_SHOWN_MAX, n.len);
    if (size > 0) memcpy(raw, n.at, size);
    for (size_t i = 0, used = 0; i < size; used += strlen(shown + used)) i += printable_one(raw + i, shown + used);
    text_add(t, size < n.len ? "\"%s...\"" : "\"%s\"", shown);
}

static void text_types(struct text *t, const struct engine *e, const char *what, const valtype *types, uint32_t n)
{
    if (n == 0) return;
    text_add(t, " (%s", what);
    for (uint32_t i = 0; i < n; i++) {
        char type[64];
        valtype_print(e->types, types[i], type, sizeof type);
        text_add(t, " %s", type);
    }
    text_add(t, ")");
}

void text_functype(struct text *t, const struct engine *e, uint32_t type)
{
    const struct rtype *r = types_get(e->types, type);
    text_add(t, "(func");
    text_types(t, e, "param", r->vals, r->nparams);
    text_types(t, e, "result", r->vals + r->nparams, r->nresults);
    text_add(t, ")");
}

struct name func_name(const struct module *m, uint32_t func)
{
    return m->func_names != NULL ? m->func_names[func] : (struct name){NULL, 0};
}

void text_func(struct text *t, const struct module *m, uint32_t func)
{
    if (func & SITE_CONST) {
        text_add(t, "a constant expression");
        return;
    }
    struct name n = func_name(m, func);
    if (n.at == NULL) {
        text_add(t, "function %u", func);
        return;
    }
    text_name(t, n);
    text_add(t, " (function %u)", func);
}

static bool is_named(struct name n, const char *name, size_t len)
{
    return n.at != NULL && n.len == len && memcmp(n.at, name, len) == 0;
}

bool module_find_func(const struct module *m, const char *name, size_t len, uint32_t *func)
{
    for (uint32_t i = 0; i < m->nexports; i++) {
        if (m->exports[i].kind != EXTERN_FUNC || !is_named(m->exports[i].name, name, len)) continue;
        *func = m->exports[i].index;
        return true;
    }
    for (uint32_t i = 0; m->func_names != NULL && i < m->nfuncs; i++) {
        if (!is_named(m->func_names[i], name, len)) continue;
        *func = i;
        return true;
    }
    return false;
}
