/* server/requests/memory.c -- memories, globals, tables, and the equality of references. */
#include <string.h>

#include "base/check.h"
#include "proto/hemi.pb-c.h"
#include "server/requests/rows.h"
#include "server/worker/connection.h"
#include "server/worker/values.h"

enum { PAGE_SHIFT = 16 };

static struct limits limits_of(uint64_t min, uint64_t max_plus_1, bool is64)
{
    return (struct limits){
        .min = min, .max = max_plus_1 ? max_plus_1 - 1 : UINT64_MAX, .has_max = max_plus_1 != 0, .is64 = is64};
}

/* ---- memories */

enum hemi_status run_memory_new(struct request *r)
{
    const Hemi__V1__MemoryNew *b = (const Hemi__V1__MemoryNew *)r->body;
    struct limits l = limits_of(b->min, b->max_plus_1, b->is64);
    enum hemi_status status = memory_new(r->store->store, &l, &r->makes->u.memory);
    if (status == HEMI_LIMIT) return memory_explain(r->store->store, NULL, b->min, &r->reply.error);
    if (status == HEMI_ARGUMENT)
        return request_fail(r, status, "pages: min %llu, max %llu%s: min is at most max, both at most 2^%d",
                            (unsigned long long)l.min, (unsigned long long)l.max, l.has_max ? "" : " (none)",
                            l.is64 ? 48 : 16);
    if (status != HEMI_OK) return request_fail(r, status, "a memory of %llu pages", (unsigned long long)b->min);
    r->makes->bound = true;
    return HEMI_OK;
}

static enum hemi_status outside(struct request *r, uint64_t at, uint64_t n)
{
    uint64_t size = memory_pages(r->uses[0]->u.memory) << PAGE_SHIFT;
    return request_fail(r, HEMI_ARGUMENT, "%llu bytes at %llu are outside the memory's %llu", (unsigned long long)n,
                        (unsigned long long)at, (unsigned long long)size);
}

uint64_t promises_memory_read(const struct request *r)
{
    uint32_t n = ((const Hemi__V1__MemoryRead *)r->body)->length;
    return n < FRAME_RAW_MAX ? n : FRAME_RAW_MAX;
}

enum hemi_status run_memory_read(struct request *r)
{
    const Hemi__V1__MemoryRead *b = (const Hemi__V1__MemoryRead *)r->body;
    if (b->length > FRAME_RAW_MAX) return request_fail(r, HEMI_ARGUMENT, "length: at most %u", FRAME_RAW_MAX);
    uint8_t *raw = request_raw(r, b->length);
    if (!raw) return HEMI_NO_MEMORY;
    if (memory_read(r->uses[0]->u.memory, b->offset, raw, b->length) != HEMI_OK)
        return outside(r, b->offset, b->length);
    return HEMI_OK;
}

enum hemi_status run_memory_write(struct request *r)
{
    const Hemi__V1__MemoryWrite *b = (const Hemi__V1__MemoryWrite *)r->body;
    if (memory_write(r->uses[0]->u.memory, b->offset, r->raw, r->raw_length) == HEMI_OK) return HEMI_OK;
    return outside(r, b->offset, r->raw_length);
}

enum hemi_status run_memory_size(struct request *r)
{
    r->reply.value = memory_pages(r->uses[0]->u.memory);
    return HEMI_OK;
}

enum hemi_status run_memory_grow(struct request *r)
{
    const Hemi__V1__MemoryGrow *b = (const Hemi__V1__MemoryGrow *)r->body;
    enum hemi_status status = memory_grow(r->uses[0]->u.memory, b->delta, &r->reply.value);
    if (status == HEMI_OK) return status;
    if (status == HEMI_LIMIT) return memory_explain(r->store->store, r->uses[0]->u.memory, b->delta, &r->reply.error);
    return request_fail(r, status, "the memory cannot grow by %llu pages", (unsigned long long)b->delta);
}

/* ---- one value in the raw part */

static enum hemi_status one_value(struct request *r, valtype type, struct values *v)
{
    if (r->npins != 1) return request_fail(r, HEMI_ARGUMENT, "one value is needed, %u were given", r->npins);
    return values_receive(r->store, &type, 1, r->raw, r->pins, v, &r->reply.values_counted, &r->reply.error);
}

/* ---- globals */

static enum hemi_status global_decl(struct request *r, const Hemi__V1__GlobalNew *b, valtype *type, bool *mut)
{
    const struct import *im;
    if (!r->uses[1]) {
        *mut = b->mutable_;
        return value_type_read(b->type, type, &r->reply.error);
    }
    enum hemi_status status = request_import(r, r->uses[1], b->import_index, EXTERN_GLOBAL, &im);
    if (status != HEMI_OK) return status;
    *type = r->uses[1]->u.module->globals[im->index].type;
    *mut = r->uses[1]->u.module->globals[im->index].mut;
    return HEMI_OK;
}

enum hemi_status run_global_new(struct request *r)
{
    struct values v = {0};
    valtype type;
    bool mut;
    enum hemi_status status = global_decl(r, (const Hemi__V1__GlobalNew *)r->body, &type, &mut);
    if (status == HEMI_OK) status = one_value(r, type, &v);
    if (status == HEMI_OK) {
        status = global_new(r->store->store, type, mut, v.vals[0], &r->makes->u.global);
        if (status == HEMI_OK)
            r->makes->bound = true;
        else
            request_fail(r, status, "the value is not of the global's type, or there is no memory for it");
    }
    values_deinit(&v);
    return status;
}

enum hemi_status run_global_get(struct request *r)
{
    struct global *g = r->uses[0]->u.global;
    bool mut;
    return request_reply_value(r, global_type(g, &mut), global_get(g));
}

enum hemi_status run_global_set(struct request *r)
{
    struct global *g = r->uses[0]->u.global;
    struct values v = {0};
    bool mut;
    enum hemi_status status = one_value(r, global_type(g, &mut), &v);
    if (status == HEMI_OK) {
        status = global_set(g, v.vals[0]);
        if (status != HEMI_OK)
            request_fail(r, status, mut ? "the value is not of the global's type" : "the global is immutable");
    }
    values_deinit(&v);
    return status;
}

/* ---- tables */

/* `refusal` is about `n` elements, of a new table or by which `old` was to grow; anything but a refusal is an end that
 * somebody asked for. */
static __attribute__((format(printf, 4, 0))) void
table_refused(struct request *r, enum hemi_status status, const struct table *old, const char *refusal, uint64_t n)
{
    if (status == HEMI_LIMIT)
        table_explain(r->store->store, old, n, &r->reply.error);
    else if (status == HEMI_ARGUMENT || status == HEMI_NO_MEMORY)
        request_fail(r, status, refusal, (unsigned long long)n);
    else
        request_fail(r, status, "stopped before all of %llu elements were there", (unsigned long long)n);
}

static enum hemi_status table_decl_type(struct request *r, const Hemi__V1__TableNew *b, valtype *type)
{
    const struct import *im;
    if (!r->uses[1]) return value_type_read(b->type, type, &r->reply.error);
    enum hemi_status status = request_import(r, r->uses[1], b->import_index, EXTERN_TABLE, &im);
    if (status == HEMI_OK) *type = r->uses[1]->u.module->tables[im->index].type;
    return status;
}

enum hemi_status run_table_new(struct request *r)
{
    const Hemi__V1__TableNew *b = (const Hemi__V1__TableNew *)r->body;
    struct limits l = limits_of(b->min, b->max_plus_1, b->is64);
    struct values v = {0};
    valtype type;
    enum hemi_status status = table_decl_type(r, b, &type);
    if (status == HEMI_OK && !vt_is_ref(type)) status = request_fail(r, HEMI_ARGUMENT, "elements are references");
    if (status == HEMI_OK) status = one_value(r, type, &v);
    if (status == HEMI_OK) {
        status = table_new(r->store->store, type, &l, v.vals[0], &r->makes->u.table);
        r->makes->bound = status == HEMI_OK;
        if (status != HEMI_OK) table_refused(r, status, NULL, "a table of %llu elements, or with such a value", b->min);
    }
    values_deinit(&v);
    return status;
}

static valtype elem_type(struct request *r)
{
    struct limits l;
    return table_type(r->uses[0]->u.table, &l);
}

static enum hemi_status table_failed(struct request *r, enum hemi_status status, uint64_t index)
{
    return request_fail(r, status, "element %llu of %u", (unsigned long long)index, table_size(r->uses[0]->u.table));
}

enum hemi_status run_table_get(struct request *r)
{
    const Hemi__V1__TableGet *b = (const Hemi__V1__TableGet *)r->body;
    union val v = {.u64 = {0, 0}};
    enum hemi_status status = table_get(r->uses[0]->u.table, b->index, &v);
    return status == HEMI_OK ? request_reply_value(r, elem_type(r), v) : table_failed(r, status, b->index);
}

enum hemi_status run_table_set(struct request *r)
{
    const Hemi__V1__TableSet *b = (const Hemi__V1__TableSet *)r->body;
    struct values v = {0};
    enum hemi_status status = one_value(r, elem_type(r), &v);
    if (status == HEMI_OK) {
        status = table_set(r->uses[0]->u.table, b->index, v.vals[0]);
        if (status != HEMI_OK) table_failed(r, status, b->index);
    }
    values_deinit(&v);
    return status;
}

enum hemi_status run_table_size(struct request *r)
{
    r->reply.value = table_size(r->uses[0]->u.table);
    return HEMI_OK;
}

enum hemi_status run_table_grow(struct request *r)
{
    const Hemi__V1__TableGrow *b = (const Hemi__V1__TableGrow *)r->body;
    struct values v = {0};
    uint32_t old = 0;
    enum hemi_status status = one_value(r, elem_type(r), &v);
    if (status == HEMI_OK) {
        status = table_grow(r->uses[0]->u.table, b->delta, v.vals[0], &old);
        if (status != HEMI_OK)
            table_refused(r, status, r->uses[0]->u.table, "the table cannot grow by %llu, or not with such a value",
                          b->delta);
    }
    values_deinit(&v);
    r->reply.value = old;
    return status;
}

/* ---- references */

/* As it would travel: what has no handle is all in there. */
static struct wire_reference reference_of(const struct object *o)
{
    struct wire_reference ref;
    uint8_t raw[WIRE_VALUE_BYTES];
    valtype type = o->u.root.slot == HEAP_SLOT_FUNC ? VT_REF(true, HT_FUNC) : VT_REF(true, HT_ANY);
    value_write(o->store, type, (union val){.ref = o->u.root.bits}, 0, raw);
    CHECK(wire_get_reference(raw, FRAME_W2C, &ref) == PROTO_OK);
    return ref;
}

static enum hemi_status equals_value(struct request *r, const struct object *a)
{
    struct wire_reference b;
    if (a->kind != OBJECT_REF || r->raw_length != WIRE_VALUE_BYTES)
        return request_fail(r, HEMI_ARGUMENT, "two references are needed");
    if (wire_get_reference(r->raw, FRAME_C2W, &b) != PROTO_OK || b.kind == WIRE_HANDLE)
        return request_fail(r, HEMI_ARGUMENT, "the second one is no reference without a handle");
    struct wire_reference of_a = reference_of(a);
    r->reply.value = of_a.kind == b.kind && of_a.payload == b.payload;
    return HEMI_OK;
}

enum hemi_status run_ref_eq(struct request *r)
{
    const struct object *a = r->uses[0], *b = r->uses[1];
    if (!b) return equals_value(r, a);
    if (a->kind != OBJECT_REF || b->kind != OBJECT_REF)
        r->reply.value = a->kind == b->kind && a->u.instance == b->u.instance; /* all are pointers */
    else if (a->u.root.bits == 0 || b->u.root.bits == 0)
        r->reply.value = a->u.root.bits == b->u.root.bits;
    else
        r->reply.value = a->store == b->store && a->u.root.slot == b->u.root.slot && a->u.root.bits == b->u.root.bits;
    return HEMI_OK;
}
