/* server/worker/values.h -- values between the wire and the engine.
 *
 * School of checking: values from the wire are a PEER's: ARGUMENT, HANDLE or DEPENDENCY_FAILED with a message.
 *
 * Whether 16 bytes are a number or a reference only the type says, which may not be known yet when a frame is read.
 * What could be a handle is pinned all the same, for it may be dropped before the request runs; a number that looks so
 * keeps an object a little longer, and means nothing else. Externs are looked at, and counted, when the types are
 * known. */
#ifndef HEMI_SERVER_WORKER_VALUES_H
#define HEMI_SERVER_WORKER_VALUES_H

#include "proto/value.h"
#include "server/worker/handles.h"
#include "server/worker/stores.h"

/* *pins has n entries, to be freed by values_unpin. False: no memory. */
bool values_pin(const struct handle_table *t, const uint8_t *raw, uint32_t n, struct object ***pins);
void values_unpin(uint32_t n, struct object **pins);

/* Counts the externs among these values as received, and as on their way (stores.h .extern-count). False: no memory,
 * and none is counted. */
bool values_count(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw);
/* They were counted, and their request is done with them. */
void values_settle(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw);

/* Values ready for the engine. Zero-initialise; values_deinit is idempotent. */
enum { VALUES_INLINE = 8 };
struct values {
    union val *vals;
    struct root *roots; /* of reference values, until values_deinit */
    uint32_t n;
    union val few_vals[VALUES_INLINE];
    struct root few_roots[VALUES_INLINE];
};
/* Reads n values of these types, whose externs are counted. May collect; the references in out->vals are right until
 * something else does (values_refresh). ARGUMENT or HANDLE, naming the first that is wrong; NO_MEMORY, LIMIT. */
enum hemi_status values_read(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw,
                             struct object *const *pins, struct values *out, struct rt_error *err);
/* The same, and counts their externs, once all values are known to be right; *counted: that happened. */
enum hemi_status values_receive(struct wstore *s, const valtype *types, uint32_t n, const uint8_t *raw,
                                struct object *const *pins, struct values *out, bool *counted, struct rt_error *err);
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
