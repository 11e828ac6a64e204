/* runtime/types/layout.c -- where fields are inside objects, and what the heap is told about it (types.h "Layout"). */
#include "runtime/types/impl.h"

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

enum heap_slot valtype_slot(const struct types *ts, valtype t)
{
    if (!vt_is_ref(t)) return HEAP_SLOT_DATA;
    return heaptype_top(ts, vt_heap(t)) == HT_FUNC ? HEAP_SLOT_FUNC : HEAP_SLOT_REF;
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

static uint32_t collect_offsets(const struct types *ts, const struct rtype *t, enum heap_slot slot, uint32_t *to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->nfields; i++)
        if (valtype_slot(ts, t->fields[i].type) == slot) to[n++] = t->fields[i].offset;
    return n;
}

void type_layout_desc(struct types *ts, uint32_t id, uint32_t size)
{
    const struct rtype *t = &ts->rtypes[id];
    struct heap_desc *d = &ts->descs[id];
    if (t->kind == TYPE_ARRAY) {
        *d = (struct heap_desc){
            .kind = HEAP_ARRAY, .elem = (uint8_t)valtype_slot(ts, t->fields[0].type), .elem_size = t->fields[0].size};
        return;
    }
    *d = (struct heap_desc){.kind = HEAP_FIXED, .size = size, .offsets = ts->links[id].parts};
    d->nrefs = collect_offsets(ts, t, HEAP_SLOT_REF, ts->links[id].parts);
    d->nfuncs = collect_offsets(ts, t, HEAP_SLOT_FUNC, ts->links[id].parts + d->nrefs);
}
