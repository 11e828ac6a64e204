/* References and types on the wire. */
#include "proto/value.h"
#include "base/check.h"

void wire_put_reference(uint8_t out[WIRE_VALUE_BYTES], const struct wire_reference *ref)
{
    CHECK(ref->kind <= WIRE_EXTERN && ref->class_ <= WIRE_CLASS_EXN);
    out[0] = ref->kind;
    out[1] = ref->class_;
    wire_put_u16(out + 2, 0);
    wire_put_u32(out + 4, ref->handle);
    wire_put_u64(out + 8, ref->payload);
}

static bool payload_fits(const struct wire_reference *ref)
{
    switch (ref->kind) {
    case WIRE_I31:
        return ref->payload < (1u << 31);
    case WIRE_EXTERN:
        return ref->class_ == WIRE_CLASS_EXTERN || ref->class_ == WIRE_CLASS_ANY;
    default:
        return ref->payload == 0;
    }
}

enum proto_error wire_get_reference(const uint8_t in[WIRE_VALUE_BYTES], enum frame_sender from,
                                    struct wire_reference *out)
{
    *out = (struct wire_reference){
        .kind = in[0], .class_ = in[1], .handle = wire_get_u32(in + 4), .payload = wire_get_u64(in + 8)};
    if (out->kind > WIRE_EXTERN || out->class_ > WIRE_CLASS_EXN || wire_get_u16(in + 2) != 0) return PROTO_VALUE;
    if (!payload_fits(out)) return PROTO_VALUE;
    if (from == FRAME_C2W && (out->kind == WIRE_HANDLE) != (out->handle != 0)) return PROTO_VALUE;
    return PROTO_OK;
}

/* The class that each hierarchy of WASM_HEAPTYPES has. */
enum { TOP_ANY = WIRE_CLASS_ANY, TOP_FUNC = WIRE_CLASS_FUNC, TOP_EXTERN = WIRE_CLASS_EXTERN, TOP_EXN = WIRE_CLASS_EXN };

static bool abstract_class(uint32_t heap, enum wire_class *out)
{
    switch (heap) {
#define X(name, code, text, top, bottom)                                                                               \
    case HT_##name:                                                                                                    \
        *out = (enum wire_class)TOP_##top;                                                                             \
        return true;
        WASM_HEAPTYPES(X)
#undef X
    default:
        return false;
    }
}

enum proto_error wire_type_check(uint32_t wire)
{
    enum valkind kind = vt_kind(wire);
    if (kind != VK_REF) return kind >= VK_I32 && kind <= VK_V128 && wire == (uint32_t)kind ? PROTO_OK : PROTO_VALUE;
    enum wire_class c;
    if (wire & 0x80u) return PROTO_VALUE;
    if (!ht_is_abstract(vt_heap(wire))) return PROTO_OK;
    return abstract_class(vt_heap(wire), &c) && c == wire_type_class(wire) ? PROTO_OK : PROTO_VALUE;
}
