/* runtime/types/match.c -- subtyping (WebAssembly 3.0, 3.3 "Matching") and the text form of types. */
#include "runtime/types/impl.h"
#include <stdio.h>

bool types_is_sub(const struct types *ts, uint32_t sub, uint32_t super)
{
    if (sub == super) return true;
    const struct rtype *a = &ts->rtypes[sub], *b = &ts->rtypes[super];
    return a->depth > b->depth && a->display[b->depth] == super;
}

uint32_t heaptype_top(const struct types *ts, uint32_t ht)
{
    switch (ht) {
#define X(name, code, text, top, bottom)                                                                               \
    case HT_##name:                                                                                                    \
        return HT_##top;
        WASM_HEAPTYPES(X)
#undef X
    case HT_BOT:
        return HT_ANY;
    default:
        return ts->rtypes[ht].kind == TYPE_FUNC ? HT_FUNC : HT_ANY;
    }
}

static bool is_bottom(uint32_t ht)
{
    switch (ht) {
#define X(name, code, text, top, bottom)                                                                               \
    case HT_##name:                                                                                                    \
        return bottom;
        WASM_HEAPTYPES(X)
#undef X
    default:
        return ht == HT_BOT;
    }
}

/* The least abstract type above a defined one. */
static uint32_t abstract_of(const struct types *ts, uint32_t id)
{
    switch (ts->rtypes[id].kind) {
    case TYPE_FUNC:
        return HT_FUNC;
    case TYPE_STRUCT:
        return HT_STRUCT;
    default:
        return HT_ARRAY;
    }
}

bool heaptype_matches(const struct types *ts, uint32_t sub, uint32_t super)
{
    if (sub == super || sub == HT_BOT) return true;
    if (super == HT_BOT) return false;
    if (is_bottom(sub)) return heaptype_top(ts, sub) == heaptype_top(ts, super);
    if (!ht_is_abstract(super)) return !ht_is_abstract(sub) && types_is_sub(ts, sub, super);
    if (!ht_is_abstract(sub)) sub = abstract_of(ts, sub);
    if (sub == super) return true;
    switch (super) {
    case HT_ANY:
        return heaptype_top(ts, sub) == HT_ANY;
    case HT_EQ:
        return sub == HT_I31 || sub == HT_STRUCT || sub == HT_ARRAY;
    default:
        return false;
    }
}

bool valtype_matches(const struct types *ts, valtype sub, valtype super)
{
    if (sub == super || sub == VT_BOT) return true;
    if (!vt_is_ref(sub) || !vt_is_ref(super)) return false;
    if (vt_nullable(sub) && !vt_nullable(super)) return false;
    return heaptype_matches(ts, vt_heap(sub), vt_heap(super));
}

static bool field_matches(const struct types *ts, const struct field *sub, const struct field *super)
{
    if (sub->mut != super->mut) return false;
    return sub->mut ? sub->type == super->type : valtype_matches(ts, sub->type, super->type);
}

static bool func_matches(const struct types *ts, const struct rtype *sub, const struct rtype *super)
{
    if (sub->nparams != super->nparams || sub->nresults != super->nresults) return false;
    uint32_t n = sub->nparams;
    for (uint32_t i = 0; i < n; i++)
        if (!valtype_matches(ts, super->vals[i], sub->vals[i])) return false;
    for (uint32_t i = n; i < n + sub->nresults; i++)
        if (!valtype_matches(ts, sub->vals[i], super->vals[i])) return false;
    return true;
}

bool types_matches_decl(const struct types *ts, uint32_t sub)
{
    const struct rtype *t = &ts->rtypes[sub];
    if (t->super == TYPE_NONE) return true;
    const struct rtype *super = &ts->rtypes[t->super];
    if (super->final || super->kind != t->kind) return false;
    if (t->kind == TYPE_FUNC) return func_matches(ts, t, super);
    if (t->nfields < super->nfields) return false;
    for (uint32_t i = 0; i < super->nfields; i++)
        if (!field_matches(ts, &t->fields[i], &super->fields[i])) return false;
    return true;
}

static const char *heaptype_text(uint32_t ht)
{
    switch (ht) {
#define X(name, code, text, top, bottom)                                                                               \
    case HT_##name:                                                                                                    \
        return text;
        WASM_HEAPTYPES(X)
#undef X
    default:
        return "bot";
    }
}

void valtype_print(const struct types *ts, valtype t, char *buf, size_t len)
{
    (void)ts;
    static const char *const kinds[16] = {
#define X(name, value, code, text, size) [value] = text,
        WASM_VALKINDS(X)
#undef X
    };
    const char *null = vt_nullable(t) ? "null " : "";
    if (!vt_is_ref(t)) {
        snprintf(buf, len, "%s", kinds[vt_kind(t)] ? kinds[vt_kind(t)] : "?");
    } else if (ht_is_abstract(vt_heap(t))) {
        snprintf(buf, len, "(ref %s%s)", null, heaptype_text(vt_heap(t)));
    } else {
        snprintf(buf, len, "(ref %s%u)", null, vt_heap(t));
    }
}
