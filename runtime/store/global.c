/* runtime/store/global.c -- globals. */
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

void global_init(struct store *s, struct global *g, valtype type, bool mut, union val v)
{
    g->val = v;
    g->type = type;
    g->mut = mut;
    g->store = s;
    g->slot = (uint8_t)valtype_slot(s->engine->types, type);
    if (g->slot == HEAP_SLOT_DATA) return;
    g->next = s->globals;
    s->globals = g;
}

static bool fits(struct store *s, union val v, valtype type) { return !vt_is_ref(type) || store_ref_is(s, v, type); }

enum hemi_status global_new(struct store *s, valtype type, bool mut, union val init, struct global **out)
{
    *out = NULL;
    if (!fits(s, init, type)) return HEMI_ARGUMENT;
    enum hemi_status status = store_hold_type(s, type);
    if (status != HEMI_OK) return status;
    struct global *g = store_alloc(s, sizeof *g);
    if (g == NULL) return HEMI_NO_MEMORY;
    global_init(s, g, type, mut, init);
    *out = g;
    return HEMI_OK;
}

enum hemi_status global_set(struct global *g, union val v)
{
    if (!g->mut || !fits(g->store, v, g->type)) return HEMI_ARGUMENT;
    g->val = v;
    return HEMI_OK;
}

valtype global_type(const struct global *g, bool *mut)
{
    if (mut != NULL) *mut = g->mut;
    return g->type;
}

union val global_get(const struct global *g) { return g->val; }
