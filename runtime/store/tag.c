/* runtime/store/tag.c -- tags. An exception object names its tag by the id that the store gave it. */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

enum hemi_status tag_init(struct store *s, struct tag *t, uint32_t func_type)
{
    enum hemi_status status = types_exn_desc(s->engine->types, func_type, &t->desc);
    if (status != HEMI_OK) return status;
    if (s->ntags == 0) s->ntags = 1; /* 0 is nobody's: an exception object in the making has it */
    if (!store_grow(s, (void **)&s->tags, sizeof *s->tags, s->ntags, &s->tags_capacity)) return HEMI_NO_MEMORY;
    CHECK(t->id == 0, ".numbered");
    t->id = s->ntags;
    t->type = func_type;
    t->store = s;
    s->tags[s->ntags++] = t;
    return HEMI_OK;
}

enum hemi_status tag_new(struct store *s, uint32_t func_type, struct tag **out)
{
    *out = NULL;
    enum hemi_status status = store_hold_type(s, VT_REF(false, func_type));
    if (status != HEMI_OK) return status;
    struct tag *t = store_alloc(s, sizeof *t);
    if (t == NULL) return HEMI_NO_MEMORY;
    status = tag_init(s, t, func_type);
    if (status == HEMI_OK) *out = t;
    return status;
}

uint32_t tag_type(const struct tag *t) { return t->type; }
