#include "server/worker/values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "runtime/runtime.h"
#include "server/worker/connection.h"

enum hemi_status rt_fail(struct rt_error *err, enum hemi_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    err->status = status;
    return status;
}

/* ---- pins */

bool values_pin(const struct handle_table *t, const uint8_t *raw, uint32_t n, struct object ***pins)
{
    struct wire_reference ref;
    *pins = n > 0 ? calloc(n, sizeof **pins) : NULL;
    if (n > 0 && !*pins) return false;
    for (uint32_t i = 0; i < n; i++, raw += WIRE_VALUE_BYTES) {
        if (raw[0] != WIRE_HANDLE || wire_get_reference(raw, FRAME_C2W, &ref) != PROTO_OK) continue;
        struct object *o = handles_get(t, ref.handle);
        if (o) (*pins)[i] = object_ref(o);
    }
    return true;
}

void values_unpin(uint32_t n, struct object **pins)
{
    for (uint32_t i = 0; pins && i < n; i++) object_unref(pins[i]);
    free(pins);
}

/* ---- types */

uint8_t value_class(const struct wstore *s, valtype type)
{
    switch (heaptype_top(engine_types(s->conn->worker->engine), vt_heap(type))) {
    case HT_FUNC:
        return WIRE_CLASS_FUNC;
    case HT_EXTERN:
        return WIRE_CLASS_EXTERN;
    case HT_EXN:
        return WIRE_CLASS_EXN;
    default:
        return WIRE_CLASS_ANY;
    }
}

enum heap_slot class_slot(uint8_t class_) { return class_ == WIRE_CLASS_FUNC ? HEAP_SLOT_FUNC : HEAP_SLOT_REF; }

enum hemi_status value_type_read(uint32_t wire, valtype *out, struct rt_error *err)
{
    *out = wire_type_valtype(wire);
    if (wire_type_check(wire) != PROTO_OK || vt_kind(*out) == VK_I8 || vt_kind(*out) == VK_I16)
        return rt_fail(err, HEMI_ARGUMENT, "0x%08X is not a value type", wire);
    if (vt_is_ref(*out) && !ht_is_abstract(vt_heap(*out)))
        return rt_fail(err, HEMI_ARGUMENT, "type 0x%08X is concrete: name a module's import instead", wire);
    return HEMI_OK;
}

/* ---- externs */

/* Is it one, by its type? */
static bool is_extern(const struct wstore *s, valtype type, const uint8_t *raw, struct wire_reference *ref)
{
    return vt_is_ref(type) && raw[0] == WIRE_EXTERN && wire_get_reference(raw, FRAME_C2W, ref) == PROTO_OK &&
           ref->class_ == value_class(s, type);
}

bool values_count(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw)
{
    struct wire_reference ref;
    for (uint32_t i = 0; i < n; i++) {
        if (!is_extern(s, types[i], raw + (size_t)i * WIRE_VALUE_BYTES, &ref)) continue;
        if (wstore_extern_received(s, ref.payload)) continue;
        values_settle(s, types, i, raw); /* those before this one */
        return false;
    }
    return true;
}

void values_settle(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw)
{
    struct wire_reference ref;
    for (uint32_t i = 0; i < n; i++, raw += WIRE_VALUE_BYTES)
        if (is_extern(s, types[i], raw, &ref)) wstore_extern_settled(s, ref.payload);
}

/* ---- reading */

static enum hemi_status check_handle(const struct wstore *s, uint32_t i, const struct wire_reference *ref,
                                     const struct object *o, struct rt_error *err)
{
    if (!o || !o->bound) return rt_fail(err, HEMI_HANDLE, "value %u: no reference has handle %u", i, ref->handle);
    if (o->store != s) return rt_fail(err, HEMI_HANDLE, "value %u: handle %u is of another store", i, ref->handle);
    if (o->kind != OBJECT_REF || o->class_ != ref->class_)
        return rt_fail(err, HEMI_ARGUMENT, "value %u: handle %u (%s) is of another class", i, ref->handle,
                       object_kind_text((enum object_kind)o->kind));
    return HEMI_OK;
}

static enum hemi_status check_reference(const struct wstore *s, uint32_t i, valtype type, const uint8_t *raw,
                                        const struct object *pin, struct rt_error *err)
{
    struct wire_reference ref;
    if (wire_get_reference(raw, FRAME_C2W, &ref) != PROTO_OK)
        return rt_fail(err, HEMI_ARGUMENT, "value %u is not a reference", i);
    uint8_t class_ = value_class(s, type);
    if (ref.class_ != class_) return rt_fail(err, HEMI_ARGUMENT, "value %u is a reference of another class", i);
    if (ref.kind == WIRE_HANDLE) return check_handle(s, i, &ref, pin, err);
    if (ref.kind == WIRE_I31 && class_ != WIRE_CLASS_ANY && class_ != WIRE_CLASS_EXTERN)
        return rt_fail(err, HEMI_ARGUMENT, "value %u: an i31 is neither a function nor an exception", i);
    return HEMI_OK;
}

static enum hemi_status check_value(const struct wstore *s, uint32_t i, valtype type, const uint8_t *raw,
                                    const struct object *pin, union val *out, struct rt_error *err)
{
    if (vt_is_ref(type)) return check_reference(s, i, type, raw, pin, err);
    if (wire_get_number(raw, out->bytes, valtype_size(type)) == PROTO_OK) return HEMI_OK;
    return rt_fail(err, HEMI_ARGUMENT, "value %u has more bytes than its type", i);
}

/* The value has been checked; an extern has been counted. */
static enum hemi_status make_reference(struct wstore *s, valtype type, const uint8_t *raw, const struct object *pin,
                                       struct root *out, struct rt_error *err)
{
    struct wire_reference ref;
    enum proto_error e = wire_get_reference(raw, FRAME_C2W, &ref);
    CHECK(e == PROTO_OK);
    enum hemi_status status = HEMI_OK;
    if (ref.kind == WIRE_EXTERN)
        status = wstore_extern(s, ref.payload, out);
    else if (ref.kind == WIRE_HANDLE)
        root_init(s->store, out, class_slot(pin->class_), pin->u.root.bits);
    else
        root_init(s->store, out, class_slot(value_class(s, type)),
                  ref.kind == WIRE_I31 ? heap_i31((uint32_t)ref.payload).bits : 0);
    return status == HEMI_OK ? status : rt_fail(err, status, "no room in the heap for an extern");
}

static bool values_alloc(struct values *v, uint32_t n)
{
    v->n = n;
    v->vals = v->few_vals;
    v->roots = v->few_roots;
    if (n <= VALUES_INLINE) {
        memset(v->few_vals, 0, sizeof v->few_vals);
        memset(v->few_roots, 0, sizeof v->few_roots);
        return true;
    }
    v->vals = calloc(n, sizeof *v->vals);
    v->roots = calloc(n, sizeof *v->roots);
    if (v->vals && v->roots) return true;
    free(v->vals);
    free(v->roots);
    *v = (struct values){0};
    return false;
}

void values_refresh(struct values *v)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->roots[i].next) v->vals[i].ref = v->roots[i].bits; /* .func is the same bytes */
}

static enum hemi_status check_values(const struct wstore *s, const valtype *types, const uint8_t *raw,
                                     struct object *const *pins, struct values *v, struct rt_error *err)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < v->n && status == HEMI_OK; i++, raw += WIRE_VALUE_BYTES)
        status = check_value(s, i, types[i], raw, pins ? pins[i] : NULL, &v->vals[i], err);
    return status;
}

static enum hemi_status make_references(struct wstore *s, const valtype *types, const uint8_t *raw,
                                        struct object *const *pins, struct values *v, struct rt_error *err)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < v->n && status == HEMI_OK; i++, raw += WIRE_VALUE_BYTES)
        if (vt_is_ref(types[i])) status = make_reference(s, types[i], raw, pins ? pins[i] : NULL, &v->roots[i], err);
    values_refresh(v); /* making an extern may have moved the others */
    return status;
}

enum hemi_status values_read(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw,
                             struct object *const *pins, struct values *out, struct rt_error *err)
{
    if (!values_alloc(out, n)) return rt_fail(err, HEMI_NO_MEMORY, "no memory for %u values", n);
    enum hemi_status status = check_values(s, types, raw, pins, out, err);
    return status == HEMI_OK ? make_references(s, types, raw, pins, out, err) : status;
}

enum hemi_status values_receive(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw,
                                struct object *const *pins, struct values *out, bool *counted, struct rt_error *err)
{
    if (!values_alloc(out, n)) return rt_fail(err, HEMI_NO_MEMORY, "no memory for %u values", n);
    enum hemi_status status = check_values(s, types, raw, pins, out, err);
    if (status != HEMI_OK) return status;
    *counted = values_count(s, types, n, raw);
    if (!*counted) return rt_fail(err, HEMI_NO_MEMORY, "no memory for externs");
    status = make_references(s, types, raw, pins, out, err);
    values_settle(s, types, n, raw);
    return status;
}

void values_deinit(struct values *v)
{
    for (uint32_t i = 0; i < v->n; i++) root_deinit(&v->roots[i]);
    if (v->vals != v->few_vals) {
        free(v->vals);
        free(v->roots);
    }
    v->n = 0;
    v->vals = NULL;
    v->roots = NULL;
}

/* ---- writing */

void value_write(const struct wstore *s, valtype type, union val v, uint32_t handle, uint8_t out[WIRE_VALUE_BYTES])
{
    if (!vt_is_ref(type)) {
        wire_put_number(out, v.bytes, valtype_size(type));
        return;
    }
    struct wire_reference ref = {.kind = WIRE_HANDLE, .class_ = value_class(s, type), .handle = handle};
    if (v.ref == 0) {
        ref.kind = WIRE_NULL;
    } else if (ref.class_ != WIRE_CLASS_FUNC && heap_is_i31((heap_ref){v.ref})) {
        ref.kind = WIRE_I31;
        ref.payload = heap_i31_u((heap_ref){v.ref});
    } else if (ref.class_ != WIRE_CLASS_FUNC && store_extern_id(s->store, v.ref, &ref.payload)) {
        ref.kind = WIRE_EXTERN;
    }
    wire_put_reference(out, &ref);
}
