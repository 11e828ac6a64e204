/* server/worker/values.h -- values between the wire and the engine.
 *
 * School of checking: values from the wire are a PEER's: ARGUMENT, HANDLE or DEPENDENCY_FAILED with a message.
 *
 * Whether 16 bytes are a number or a reference only the type says, and the type may not be known yet when a frame is
 * read. So reading guesses: what looks like a handle that is bound is pinned (a number that looks so pins in vain), and
 * what looks like an extern is counted as received (a number cannot look like one, but for a v128, which is taken back
 * when the type is known; an extern with id 0 is refused, since the i64 515 does look like one). */
#ifndef HEMI_SERVER_WORKER_VALUES_H
#define HEMI_SERVER_WORKER_VALUES_H

#include "proto/value.h"
#include "server/worker/handles.h"
#include "server/worker/stores.h"

/* Pins and counts. *pins has n entries, to be freed by values_release. False: no memory. */
bool values_pin(const struct handle_table *t, struct wstore *s, const uint8_t *raw, uint32_t n, struct object ***pins);
/* Unpins, and settles the extern counts. `s` may be NULL. */
void values_release(struct wstore *s, const uint8_t *raw, uint32_t n, struct object **pins);

/* Values ready for the engine. Zero-initialise; values_deinit is idempotent. */
enum { VALUES_INLINE = 8 };
struct values {
    union val *vals;
    struct root *roots; /* of reference values, until values_deinit */
    uint32_t n;
    union val few_vals[VALUES_INLINE];
    struct root few_roots[VALUES_INLINE];
};
/* Reads n values of these types. May collect; the references in out->vals are right until something else does
 * (values_refresh). `raw` loses what turned out not to be an extern. */
enum hemi_status values_read(struct wstore *s, const valtype *types, uint32_t n, uint8_t *raw, struct object **pins,
                             struct values *out, struct rt_error *err);
void values_refresh(struct values *v);
void values_deinit(struct values *v);

/* Writes a value; `handle` is that of its new object, or 0. Does not allocate. */
void value_write(const struct wstore *s, valtype type, union val v, uint32_t handle, uint8_t out[WIRE_VALUE_BYTES]);
/* The class of a reference type. */
uint8_t value_class(const struct wstore *s, valtype type);
enum heap_slot class_slot(uint8_t class_);
/* A wire type from a request: ARGUMENT unless it is a number or an abstract reference type. */
enum hemi_status value_type_read(uint32_t wire, valtype *out, struct rt_error *err);

enum hemi_status rt_fail(struct rt_error *err, enum hemi_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
