/* runtime/store/instance_link.c -- do the things offered match what a module imports? (WebAssembly 3.0, 4.5.3 "External
 * Typing") */
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

static const char *const kind_names[] = {"func", "table", "memory", "global", "tag"};

/* ---- Text of types */
static void text_limits(struct text *t, const struct limits *l)
{
    text_add(t, "%s %llu", l->is64 ? " i64" : "", (unsigned long long)l->min);
    if (l->has_max) text_add(t, " %llu", (unsigned long long)l->max);
    if (l->shared) text_add(t, " shared");
}

static void text_val(struct text *t, const struct engine *e, valtype v, bool mut)
{
    char type[64];
    valtype_print(e->types, v, type, sizeof type);
    text_add(t, mut ? " (mut %s)" : " %s", type);
}

static void text_table(struct text *t, const struct engine *e, valtype v, const struct limits *l)
{
    text_add(t, "(table");
    text_limits(t, l);
    text_val(t, e, v, false);
    text_add(t, ")");
}

static void text_memory(struct text *t, const struct limits *l)
{
    text_add(t, "(memory");
    text_limits(t, l);
    text_add(t, ")");
}

static void text_global(struct text *t, const struct engine *e, valtype v, bool mut)
{
    text_add(t, "(global");
    text_val(t, e, v, mut);
    text_add(t, ")");
}

static void text_tag(struct text *t, const struct engine *e, uint32_t type)
{
    text_add(t, "(tag ");
    text_functype(t, e, type);
    text_add(t, ")");
}

static void text_wanted(struct text *t, const struct module *m, const struct import *i)
{
    const struct engine *e = m->engine;
    switch (i->kind) {
    case EXTERN_FUNC:
        text_functype(t, e, m->funcs[i->index].type);
        break;
    case EXTERN_TABLE:
        text_table(t, e, m->tables[i->index].type, &m->tables[i->index].limits);
        break;
    case EXTERN_MEMORY:
        text_memory(t, &m->memories[i->index].limits);
        break;
    case EXTERN_GLOBAL:
        text_global(t, e, m->globals[i->index].type, m->globals[i->index].mut);
        break;
    default:
        text_tag(t, e, m->tags[i->index]);
        break;
    }
}

/* ---- What is offered, as its type is now: a table's or memory's minimum is its size. */
static struct limits memory_limits(const struct memory *m)
{
    struct limits l = m->type;
    l.min = memory_pages(m);
    return l;
}

static struct limits table_limits(const struct table *t)
{
    struct limits l = t->limits;
    l.min = t->size;
    return l;
}

static void text_given(struct text *t, const struct store *s, const struct rt_extern *x)
{
    const struct engine *e = s->engine;
    struct limits l;
    switch (x->kind) {
    case EXTERN_FUNC:
        text_functype(t, e, func_code(&s->vm, x->func)->type);
        break;
    case EXTERN_TABLE:
        l = table_limits(x->table), text_table(t, e, x->table->type, &l);
        break;
    case EXTERN_MEMORY:
        l = memory_limits(x->memory), text_memory(t, &l);
        break;
    case EXTERN_GLOBAL:
        text_global(t, e, x->global->type, x->global->mut);
        break;
    default:
        text_tag(t, e, x->tag->type);
        break;
    }
}

/* ---- Matching */
static bool limits_match(const struct limits *given, const struct limits *wanted)
{
    if (given->is64 != wanted->is64 || given->shared != wanted->shared || given->min < wanted->min) return false;
    return !wanted->has_max || (given->has_max && given->max <= wanted->max);
}

static bool same_type(const struct engine *e, valtype a, valtype b)
{
    return valtype_matches(e->types, a, b) && valtype_matches(e->types, b, a);
}

static bool table_matches(const struct engine *e, const struct table *t, const struct table_decl *wanted)
{
    struct limits l = table_limits(t);
    return limits_match(&l, &wanted->limits) && same_type(e, t->type, wanted->type);
}

static bool memory_matches(const struct memory *m, const struct memory_decl *wanted)
{
    struct limits l = memory_limits(m);
    return limits_match(&l, &wanted->limits);
}

static bool global_matches(const struct engine *e, const struct global *g, const struct global_decl *wanted)
{
    if (g->mut != wanted->mut) return false;
    return g->mut ? same_type(e, g->type, wanted->type) : valtype_matches(e->types, g->type, wanted->type);
}

static bool matches(const struct store *s, const struct module *m, const struct import *i, const struct rt_extern *x)
{
    const struct engine *e = s->engine;
    if (x->kind != i->kind) return false;
    switch (i->kind) {
    case EXTERN_FUNC:
        return types_is_sub(e->types, func_code(&s->vm, x->func)->type, m->funcs[i->index].type);
    case EXTERN_TABLE:
        return table_matches(e, x->table, &m->tables[i->index]);
    case EXTERN_MEMORY:
        return memory_matches(x->memory, &m->memories[i->index]);
    case EXTERN_GLOBAL:
        return global_matches(e, x->global, &m->globals[i->index]);
    default:
        return x->tag->type == m->tags[i->index];
    }
}

static void text_import(struct text *t, const struct module *m, uint32_t i)
{
    const struct import *want = &m->imports[i];
    text_add(t, "import %u ", i);
    text_name(t, want->module);
    text_add(t, " ");
    text_name(t, want->name);
    text_add(t, " (%s): wanted ", kind_names[want->kind]);
    text_wanted(t, m, want);
}

void import_describe(const struct module *m, uint32_t i, char *out, size_t size)
{
    struct text t = {out, size, 0};
    text_import(&t, m, i);
}

enum hemi_status import_check(struct store *s, const struct module *m, uint32_t i, const struct rt_extern *x,
                              struct rt_error *err)
{
    const struct import *want = &m->imports[i];
    if (matches(s, m, want, x)) return HEMI_OK;
    error_set(err, HEMI_LINK, "%s", "");
    if (err == NULL) return HEMI_LINK;
    struct text t = {err->message, sizeof err->message, 0};
    text_add(&t, "incompatible import type: ");
    text_import(&t, m, i);
    text_add(&t, ", got ");
    text_given(&t, s, x);
    return HEMI_LINK;
}
