/* runtime/types_layout.c -- where fields are inside objects, and what the heap is told about it (types.h "Layout"). */
#include "runtime/types_impl.h"
#include <stdlib.h>

uint32_t valtype_size(valtype t)
{
    switch (vt_kind(t)) {
#define X(name, value, code, text, size)                                                                               \
    case VK_##name:                                                                                                    \
        return size;
        WASM_VALKINDS(X)
#undef X
    }
    return 0;
}

enum heap_slot valtype_slot(const struct engine *e, valtype t)
{
    if (!vt_is_ref(t)) return HEAP_SLOT_DATA;
    return heaptype_top(e, vt_heap(t)) == HT_FUNC ? HEAP_SLOT_FUNC : HEAP_SLOT_REF;
}

uint32_t valtypes_slots(const valtype *types, uint32_t n)
{
    uint32_t slots = 0;
    for (uint32_t i = 0; i < n; i++) slots += valtype_slots(types[i]);
    return slots;
}

bool valtype_defaultable(valtype t) { return !vt_is_ref(t) || vt_nullable(t); }

static uint32_t align_up(uint32_t at, uint32_t align) { return (at + align - 1) & ~(align - 1); }

uint32_t type_layout_fields(struct field *fields, uint32_t n, uint32_t start)
{
    uint32_t at = start;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t size = valtype_size(fields[i].type);
        at = align_up(at, size < 4 ? size : 4);
        fields[i].offset = at;
        fields[i].size = (uint8_t)size;
        at += size;
    }
    at = align_up(at, 4);
    return at < 8 ? 8 : at;
}

static uint32_t collect_offsets(const struct engine *e, const struct rtype *t, enum heap_slot slot, uint32_t *to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->nfields; i++) {
        if (valtype_slot(e, t->fields[i].type) != slot) continue;
        if (to) to[n] = t->fields[i].offset;
        n++;
    }
    return n;
}

static enum hemi_status fixed_desc(struct engine *e, uint32_t id, uint32_t size)
{
    const struct rtype *t = &e->rtypes[id];
    struct heap_desc *d = &e->descs[id];
    uint32_t nrefs = collect_offsets(e, t, HEAP_SLOT_REF, NULL);
    uint32_t nfuncs = collect_offsets(e, t, HEAP_SLOT_FUNC, NULL);
    uint32_t *offsets = NULL;
    if (nrefs + nfuncs > 0) {
        offsets = malloc((nrefs + nfuncs) * sizeof *offsets);
        if (!offsets) return HEMI_NO_MEMORY;
        collect_offsets(e, t, HEAP_SLOT_REF, offsets);
        collect_offsets(e, t, HEAP_SLOT_FUNC, offsets + nrefs);
    }
    e->links[id].offsets = offsets;
    *d = (struct heap_desc){.kind = HEAP_FIXED, .size = size, .nrefs = nrefs, .nfuncs = nfuncs, .offsets = offsets};
    return HEMI_OK;
}

enum hemi_status type_layout_desc(struct engine *e, uint32_t id, uint32_t size)
{
    const struct rtype *t = &e->rtypes[id];
    if (t->kind != TYPE_ARRAY) return fixed_desc(e, id, size);
    e->descs[id] = (struct heap_desc){
        .kind = HEAP_ARRAY, .elem = (uint8_t)valtype_slot(e, t->fields[0].type), .elem_size = t->fields[0].size};
    return HEMI_OK;
}
