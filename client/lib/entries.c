/* Entries that describe imports, exports and objects, as the caller sees them. */
#include <stdlib.h>

#include "base/grow.h"
#include "client/lib/internal.h"

/* An entry's types and names live in one block, which `params` points at (also when there are none). */
static void *entry_new(struct entries *list, size_t bytes)
{
    if (!GROW(list->at, list->count, 1, list->capacity, 1)) return NULL;
    void *block = malloc(bytes + 1);
    if (block) list->at[list->count++] = (struct hemi_entry){.params = block};
    return block;
}

void entries_deinit(struct entries *list)
{
    for (size_t i = 0; i < list->count; i++) {
        void *block;
        memcpy(&block, &list->at[i].params, sizeof block); /* made by entry_new; const only for the caller */
        free(block);
    }
    free(list->at);
    *list = (struct entries){0};
}

static const char *put_name(char **at, const uint8_t *bytes, size_t n)
{
    char *name = *at;
    memcpy(name, bytes, n);
    name[n] = 0;
    *at += n + 1;
    return name;
}

static hemi_status entry_add(struct entries *list, const struct extern_entry *e)
{
    size_t ntypes = (size_t)e->nparams + e->nresults;
    hemi_type *types = entry_new(list, 4 * ntypes + e->module_length + e->name_length + 2);
    if (!types) return HEMI_NO_MEMORY;
    char *names = (char *)(types + ntypes);
    struct hemi_entry *out = &list->at[list->count - 1];
    for (size_t i = 0; i < ntypes; i++) types[i] = extern_type(e, (unsigned)i);
    out->kind = (hemi_object_kind)e->kind;
    out->results = types + e->nparams;
    out->nparams = e->nparams;
    out->nresults = e->nresults;
    out->module = put_name(&names, e->module, e->module_length);
    out->module_length = e->module_length;
    out->name = put_name(&names, e->name, e->name_length);
    out->name_length = e->name_length;
    out->type = e->type;
    out->min = e->min;
    out->max = e->max;
    out->has_max = (e->flags & EXTERN_HAS_MAX) != 0;
    out->is64 = (e->flags & EXTERN_64) != 0;
    out->is_mutable = (e->flags & EXTERN_MUTABLE) != 0;
    out->is_shared = (e->flags & EXTERN_SHARED) != 0;
    return HEMI_OK;
}

hemi_status entries_read(struct entries *list, const uint8_t *raw, size_t n)
{
    hemi_status status = HEMI_OK;
    for (size_t used; n > 0 && status == HEMI_OK; raw += used, n -= used) {
        struct extern_entry entry;
        if (extern_entry_read(raw, n, &entry, &used) != PROTO_OK) return HEMI_PROTOCOL;
        status = entry_add(list, &entry);
    }
    return status;
}

bool entries_add_func(struct entries *list, const hemi_type *params, size_t nparams, const hemi_type *results,
                      size_t nresults)
{
    hemi_type *types = entry_new(list, 4 * (nparams + nresults));
    if (!types) return false;
    struct hemi_entry *out = &list->at[list->count - 1];
    if (nparams) memcpy(types, params, 4 * nparams);
    if (nresults) memcpy(types + nparams, results, 4 * nresults);
    out->kind = HEMI_FUNC_OBJECT;
    out->module = out->name = "";
    out->results = types + nparams;
    out->nparams = nparams;
    out->nresults = nresults;
    return true;
}
