/* proto/value.h -- values and types on the wire: 16 bytes a value, 4 bytes a type, little-endian.
 *
 * A number is its payload in the low bytes, the rest zero (v128: all 16). A reference is
 *   0 u8 kind (enum wire_ref)   1 u8 class (enum wire_class)   2 u16 zero   4 u32 handle   8 u64 payload
 * Which of the two it is, the function's (global's, table's) type says.
 *
 * From the client: NULL; I31 with the value in the payload's low 31 bits; HANDLE naming a handle of that store; EXTERN
 * with handle 0 and the client's id for its object in the payload. From the worker: as above, and the handle field is
 * the new handle that the value got, if any (also for NULL and I31 when one was set aside); EXTERN has handle and id
 * both.
 *
 * A wire type is a valtype (proto/tables/types.h) with, for references, the class of its hierarchy in bits 5-6. A
 * concrete heap type's number means nothing outside the frame's own context (module-local index) but equality.
 *
 * School of checking: decoding never trusts; errors are PROTO_VALUE. Threads: pure functions. */
#ifndef HEMI_PROTO_VALUE_H
#define HEMI_PROTO_VALUE_H

#include <string.h>

#include "proto/frame.h"
#include "proto/tables/types.h"

#define WIRE_VALUE_BYTES 16u

enum wire_ref { WIRE_NULL, WIRE_HANDLE, WIRE_I31, WIRE_EXTERN };
enum wire_class { WIRE_CLASS_ANY, WIRE_CLASS_FUNC, WIRE_CLASS_EXTERN, WIRE_CLASS_EXN };

struct wire_reference {
    uint8_t kind;   /* enum wire_ref */
    uint8_t class_; /* enum wire_class */
    uint32_t handle;
    uint64_t payload;
};

static inline void wire_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void wire_put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline void wire_put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline uint16_t wire_get_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t wire_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t wire_get_u64(const uint8_t *p) { return wire_get_u32(p) | (uint64_t)wire_get_u32(p + 4) << 32; }

/* Numbers. `size` is 4, 8 or 16: the bytes that the type has; `bits` points at that many little-endian bytes. */
static inline void wire_put_number(uint8_t out[WIRE_VALUE_BYTES], const void *bits, size_t size)
{
    memset(out, 0, WIRE_VALUE_BYTES);
    memcpy(out, bits, size);
}
static inline enum proto_error wire_get_number(const uint8_t in[WIRE_VALUE_BYTES], void *bits, size_t size)
{
    for (size_t i = size; i < WIRE_VALUE_BYTES; i++)
        if (in[i] != 0) return PROTO_VALUE;
    memcpy(bits, in, size);
    return PROTO_OK;
}

void wire_put_reference(uint8_t out[WIRE_VALUE_BYTES], const struct wire_reference *ref);
/* Checks kind, class, zero fields and the payload's range against the kind; whether handles exist is the caller's. */
enum proto_error wire_get_reference(const uint8_t in[WIRE_VALUE_BYTES], enum frame_sender from,
                                    struct wire_reference *out);

static inline uint32_t wire_type(valtype t, enum wire_class c) { return t | (vt_is_ref(t) ? (uint32_t)c << 5 : 0); }
static inline enum wire_class wire_type_class(uint32_t wire) { return (enum wire_class)(wire >> 5 & 3); }
static inline valtype wire_type_valtype(uint32_t wire) { return wire & ~0x60u; }
/* PROTO_VALUE unless `wire` is a number type or a reference type whose class agrees with an abstract heap type. */
enum proto_error wire_type_check(uint32_t wire);

#endif
