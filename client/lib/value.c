/* Values between the caller's form and the wire's. */
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

static size_t number_size(unsigned kind)
{
    switch (kind) {
    case HEMI_I32:
    case HEMI_F32:
        return 4;
    case HEMI_I64:
    case HEMI_F64:
        return 8;
    default:
        return 16;
    }
}

/* ---- text */
static const char *heap_text(uint32_t heap)
{
    switch (heap) {
#define X(name, code, text, top, bottom)                                                                               \
    case HT_##name:                                                                                                    \
        return text;
        WASM_HEAPTYPES(X)
#undef X
    default:
        return "?";
    }
}

static const char *kind_text(unsigned kind)
{
    switch (kind) {
#define X(name, value, code, text, size)                                                                               \
    case value:                                                                                                        \
        return text;
        WASM_VALKINDS(X)
#undef X
    default:
        return "?";
    }
}

size_t hemi_type_text(hemi_type type, char *out, size_t size)
{
    valtype t = wire_type_valtype(type);
    const char *null = vt_nullable(t) ? "null " : "";
    int n;
    if (!out) size = 0;
    if (!vt_is_ref(t))
        n = snprintf(out, size, "%s", kind_text(vt_kind(t)));
    else if (ht_is_abstract(vt_heap(t)))
        n = snprintf(out, size, "(ref %s%s)", null, heap_text(vt_heap(t)));
    else
        n = snprintf(out, size, "(ref %s%u)", null, vt_heap(t));
    return n < 0 ? 0 : (size_t)n;
}

/* ---- to the wire */
static hemi_status ref_check(hemi_client *c, const hemi_store *s, const hemi_ref *r, size_t i)
{
    if (r->handle != 0 && !handle_live(c, r->handle))
        return fail(c, HEMI_HANDLE, "value %zu: reference %u was dropped", i, r->handle);
    switch (r->kind) {
    case HEMI_REF_NULL:
        break;
    case HEMI_REF_HANDLE:
        if (r->handle == 0) return fail(c, HEMI_HANDLE, "value %zu: a reference without a handle", i);
        break;
    case HEMI_REF_I31:
        if (r->i31 < -(1 << 30) || r->i31 >= 1 << 30)
            return fail(c, HEMI_ARGUMENT, "value %zu: %d does not fit an i31", i, r->i31);
        break;
    case HEMI_REF_EXTERN:
        if (r->handle == 0 && !externs_live(c, s, r->id))
            return fail(c, HEMI_HANDLE, "value %zu: an externref that is finalized or of another store", i);
        break;
    default:
        return fail(c, HEMI_ARGUMENT, "value %zu: unknown kind of reference %u", i, r->kind);
    }
    if (r->class_ > HEMI_CLASS_EXN) return fail(c, HEMI_ARGUMENT, "value %zu: unknown class of reference", i);
    return HEMI_OK;
}

hemi_status vals_check(hemi_client *c, const hemi_store *s, const hemi_val *vals, const hemi_type *types, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (vals[i].kind < HEMI_I32 || vals[i].kind > HEMI_REF)
            return fail(c, HEMI_ARGUMENT, "value %zu: unknown kind %u", i, vals[i].kind);
        if (types && hemi_type_kind(types[i]) != (hemi_kind)vals[i].kind)
            return fail(c, HEMI_ARGUMENT, "value %zu is of type %s, not %s", i, kind_text(vals[i].kind),
                        kind_text(hemi_type_kind(types[i])));
        if (vals[i].kind != HEMI_REF) continue;
        hemi_status status = ref_check(c, s, &vals[i].of.ref, i);
        if (status != HEMI_OK) return status;
    }
    return HEMI_OK;
}

void ref_write(const hemi_ref *r, uint8_t *raw)
{
    struct wire_reference w = {.kind = r->kind, .class_ = r->class_};
    if (r->kind == HEMI_REF_I31) w.payload = (uint32_t)r->i31 & 0x7FFFFFFFu;
    if (r->kind == HEMI_REF_HANDLE || (r->kind == HEMI_REF_EXTERN && r->handle != 0)) {
        w.kind = WIRE_HANDLE;
        w.handle = r->handle;
    } else if (r->kind == HEMI_REF_EXTERN) {
        w.payload = r->id;
    }
    wire_put_reference(raw, &w);
}

static bool by_id(const hemi_val *v)
{
    return v->kind == HEMI_REF && v->of.ref.kind == HEMI_REF_EXTERN && v->of.ref.handle == 0;
}

bool vals_reserve(struct request *r, const hemi_val *vals, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += by_id(&vals[i]);
    if (count != 0) r->externs = malloc(count * sizeof *r->externs);
    return count == 0 || r->externs;
}

/* Counts the ids (.sent); r remembers them in case the worker never looks at them. */
static void count_externs(hemi_client *c, struct request *r, const hemi_val *vals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!by_id(&vals[i])) continue;
        externs_sent(c, vals[i].of.ref.id);
        if (r) r->externs[r->nexterns++] = vals[i].of.ref.id;
    }
}

void vals_write(hemi_client *c, struct request *r, const hemi_val *vals, size_t n, uint8_t *raw)
{
    for (size_t i = 0; i < n; i++, raw += WIRE_VALUE_BYTES) {
        if (vals[i].kind == HEMI_REF)
            ref_write(&vals[i].of.ref, raw);
        else
            wire_put_number(raw, &vals[i].of, number_size(vals[i].kind));
    }
    count_externs(c, r, vals, n);
}

/* ---- from the wire */
size_t vals_count_refs(const hemi_type *types, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += hemi_type_kind(types[i]) == HEMI_REF;
    return count;
}

hemi_val val_zero(hemi_type type)
{
    hemi_val v = hemi_null(hemi_type_class(type));
    v.kind = (uint8_t)hemi_type_kind(type);
    if (v.kind != HEMI_REF) memset(&v.of, 0, sizeof v.of);
    return v;
}

void vals_promise(const struct request *r, const hemi_type *types, size_t n, hemi_val *out)
{
    uint32_t k = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = val_zero(types[i]);
        if (out[i].kind != HEMI_REF || k >= r->handles) continue;
        out[i].of.ref.kind = HEMI_REF_HANDLE;
        out[i].of.ref.handle = r->first_handle + k++;
    }
}

static int32_t i31_of(uint64_t payload) { return (int32_t)((uint32_t)payload << 1) >> 1; }

/* A handle that came with a value: whose choice was it, and is it as agreed? */
static hemi_status handle_take(hemi_client *c, const struct request *r, uint32_t k, uint32_t handle)
{
    if (!r) return handle == 0 ? HEMI_OK : handle_adopt(c, handle);
    return handle == (k < r->handles ? r->first_handle + k : 0) ? HEMI_OK : HEMI_PROTOCOL;
}

/* Nulls and i31s need no handle: one that was set aside is given back. */
static hemi_status keep_handle(hemi_client *c, hemi_ref *ref)
{
    if (ref->kind == HEMI_REF_NULL || ref->kind == HEMI_REF_I31) {
        handle_drop(c, ref->handle);
        ref->handle = 0;
    }
    if (ref->handle != 0 && !scope_add(c, ref->handle)) return HEMI_NO_MEMORY;
    return HEMI_OK;
}

static hemi_status ref_read(hemi_client *c, const hemi_store *s, struct request *r, uint32_t k, const uint8_t *raw,
                            hemi_val *out)
{
    struct wire_reference w;
    if (wire_get_reference(raw, FRAME_W2C, &w) != PROTO_OK) return HEMI_PROTOCOL;
    hemi_status status = handle_take(c, r, k, w.handle);
    if (status != HEMI_OK) return status;
    *out = hemi_null((hemi_class)w.class_);
    hemi_ref *ref = &out->of.ref;
    ref->kind = w.kind;
    ref->handle = w.handle;
    if (w.kind == WIRE_I31) ref->i31 = i31_of(w.payload);
    if (w.kind == WIRE_EXTERN) {
        ref->id = w.payload;
        if (!externs_pointer(c, s, w.payload, &ref->pointer)) return HEMI_PROTOCOL;
    }
    return keep_handle(c, ref);
}

/* Nobody gets these values. */
static void refuse(hemi_client *c, const hemi_type *types, size_t n, const uint8_t *raw)
{
    struct wire_reference w;
    for (size_t i = 0; i < n; i++, raw += WIRE_VALUE_BYTES)
        if (hemi_type_kind(types[i]) == HEMI_REF && wire_get_reference(raw, FRAME_W2C, &w) == PROTO_OK)
            handle_refuse(c, w.handle);
}

hemi_status vals_read(hemi_client *c, const hemi_store *s, struct request *r, const hemi_type *types, size_t n,
                      const uint8_t *raw, hemi_val *out)
{
    uint32_t k = 0;
    for (size_t i = 0; i < n; i++, raw += WIRE_VALUE_BYTES) {
        unsigned kind = hemi_type_kind(types[i]);
        hemi_status status = HEMI_OK;
        if (kind == HEMI_REF) {
            status = ref_read(c, s, r, k++, raw, &out[i]);
        } else {
            out[i] = val_zero(types[i]);
            if (wire_get_number(raw, &out[i].of, number_size(kind)) != PROTO_OK) status = HEMI_PROTOCOL;
        }
        if (status == HEMI_NO_MEMORY && !r) refuse(c, types + i, n - i, raw);
        if (status != HEMI_OK) return status;
    }
    if (r && k < r->handles) handles_release(c, r->first_handle + k, r->handles - k);
    return HEMI_OK;
}
