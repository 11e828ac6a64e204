/* runtime/store/ref.c -- references as the embedder sees them: externrefs, and the dynamic types of values.
 *
 * extern.convert_any and any.convert_extern change no bits: an externref of the host is an `any` that is neither eq nor
 * anything below it, and every object of the guest may be an extern. */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

enum hemi_status store_extern(struct store *s, uint64_t id, struct root *out)
{
    heap_ref r;
    if (heap_extern(s->heap, id, &r) != HEAP_OK) return HEMI_NO_MEMORY;
    root_init(s, out, HEAP_SLOT_REF, r.bits);
    return HEMI_OK;
}

static uint32_t object_type(const struct store *s, uint32_t bits)
{
    return heap_object_desc(s->vm.heap.base, (heap_ref){bits});
}

bool store_extern_id(const struct store *s, uint32_t ref_bits, uint64_t *id)
{
    heap_ref r = {ref_bits};
    if (!heap_is_object(r) || object_type(s, ref_bits) != TYPE_EXTERN_DESC) return false;
    *id = heap_extern_id(s->heap, r);
    return true;
}

/* The heap type of a non-null reference of the any hierarchy: a canonical id, HT_I31, or HT_ANY for the host's own. */
static uint32_t any_type(const struct store *s, uint32_t bits)
{
    if (heap_is_i31((heap_ref){bits})) return HT_I31;
    uint32_t id = object_type(s, bits);
    uint8_t kind = s->vm.rtypes[id].kind;
    return kind == TYPE_STRUCT || kind == TYPE_ARRAY ? id : HT_ANY;
}

bool store_ref_is(const struct store *s, union val v, valtype t)
{
    CHECK(vt_is_ref(t), ".rooted");
    uint32_t ht = vt_heap(t);
    if (v.ref == 0) return vt_nullable(t);
    switch (heaptype_top(s->engine->types, ht)) {
    case HT_FUNC:
        return heaptype_matches(s->engine->types, func_code(&s->vm, v.func)->type, ht);
    case HT_EXTERN:
        return ht == HT_EXTERN;
    case HT_EXN:
        return ht == HT_EXN;
    default:
        return heaptype_matches(s->engine->types, any_type(s, v.ref), ht);
    }
}

valtype store_ref_type(const struct store *s, union val v, enum heap_slot slot)
{
    if (slot == HEAP_SLOT_FUNC)
        return v.func == 0 ? VT_REF(true, HT_NOFUNC) : VT_REF(false, func_code(&s->vm, v.func)->type);
    if (v.ref == 0) return VT_REF(true, HT_NONE);
    uint32_t ht = any_type(s, v.ref);
    if (ht != HT_ANY) return VT_REF(false, ht);
    return VT_REF(false, object_type(s, v.ref) == TYPE_EXTERN_DESC ? HT_EXTERN : HT_EXN);
}
