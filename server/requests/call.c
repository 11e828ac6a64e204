/* server/requests/call.c -- functions: calls from the client, and functions whose bodies are in the client. */
#include <stdlib.h>
#include <string.h>

#include "proto/hemi.pb-c.h"
#include "proto/trace.h"
#include "runtime/runtime.h"
#include "server/requests/rows.h"
#include "server/worker/connection.h"
#include "server/worker/hostcall.h"
#include "server/worker/values.h"

/* ---- results */

uint32_t request_bind_result(struct request *r, uint32_t k, valtype type, uint32_t bits)
{
    if (k >= r->nresults) return 0;
    uint8_t class_ = value_class(r->store, type);
    object_bind_ref(r->results[k], class_slot(class_), bits, class_);
    return r->results_id + k;
}

enum hemi_status request_reply_value(struct request *r, valtype type, union val v)
{
    uint8_t *raw = request_raw(r, WIRE_VALUE_BYTES);
    if (!raw) return HEMI_NO_MEMORY;
    uint32_t handle = 0;
    if (vt_is_ref(type) && r->makes) {
        uint8_t class_ = value_class(r->store, type);
        object_bind_ref(r->makes, class_slot(class_), v.ref, class_);
        handle = r->makes_id;
    }
    value_write(r->store, type, v, handle, raw);
    return HEMI_OK;
}

static enum hemi_status reply_results(struct request *r, const struct rtype *t, const union val *results)
{
    uint8_t *raw = request_raw(r, t->nresults * (size_t)WIRE_VALUE_BYTES);
    uint32_t k = 0;
    if (!raw) return HEMI_NO_MEMORY;
    for (uint32_t i = 0; i < t->nresults; i++) {
        valtype type = t->vals[t->nparams + i];
        uint32_t handle = vt_is_ref(type) ? request_bind_result(r, k++, type, results[i].ref) : 0;
        value_write(r->store, type, results[i], handle, raw + i * (size_t)WIRE_VALUE_BYTES);
    }
    return HEMI_OK;
}

/* ---- failures */

static uint16_t shown(const struct name *n)
{
    size_t size = n->len;
    if (size > TRACE_NAME_MAX) size = TRACE_NAME_MAX;
    while (size > 0 && size < n->len && ((unsigned char)n->at[size] & 0xC0) == 0x80) size--; /* whole characters */
    return (uint16_t)size;
}

static struct trace_record record_of(const struct store *s, uint32_t i)
{
    struct trace_entry e;
    store_trace_entry(s, i, &e);
    return (struct trace_record){.kind = e.kind,
                                 .module_length = shown(&e.module),
                                 .name_length = shown(&e.name),
                                 .instance = e.instance,
                                 .index = e.index,
                                 .offset = e.offset,
                                 .module = (const uint8_t *)e.module.at,
                                 .name = (const uint8_t *)e.name.at};
}

uint8_t *request_trace(struct request *r, size_t after)
{
    const struct store *s = r->store->store;
    uint32_t n = r->reply.error.traced ? store_trace_count(s) : 0;
    size_t size = after;
    for (uint32_t i = 0; i < n; i++) {
        struct trace_record e = record_of(s, i);
        size += trace_record_size(&e);
    }
    uint8_t *at = size > 0 ? request_raw(r, size) : NULL;
    if (!at) return NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct trace_record e = record_of(s, i);
        at = trace_record_write(&e, at);
    }
    r->reply.trace_entries = n;
    return at;
}

/* The exception is bound to the first handle set aside, anew, for those who wait for the call's result are to fail; or,
 * when none was, to one of our choice. 0: that handle was dropped meanwhile, or there is no room. */
static uint32_t bind_exception(struct request *r, uint32_t exn)
{
    uint32_t handle = ((const Hemi__V1__Call *)r->body)->result_handle;
    struct handle_table *t = &r->conn->handles;
    const struct object *promised = r->nresults > 0 ? r->results[0] : r->makes;
    if (promised && handles_get(t, handle) != promised) return 0;
    struct object *o = object_new(OBJECT_REF, r->store, NULL);
    if (!o) return 0;
    object_bind_ref(o, HEAP_SLOT_REF, exn, WIRE_CLASS_EXN);
    if (promised) handles_unbind(t, handle, promised);
    if (!promised)
        handle = handles_bind_new(t, o);
    else if (handles_bind(t, handle, o) == HANDLE_NO_MEMORY) /* the others cannot be: it was just unbound */
        handle = 0;
    object_unref(o);
    return handle;
}

static void reply_exception(struct request *r)
{
    uint32_t exn = store_thrown(r->store->store), handle = bind_exception(r, exn);
    uint8_t *raw = request_trace(r, WIRE_VALUE_BYTES);
    if (raw) value_write(r->store, VT_REF(true, HT_EXN), (union val){.ref = exn}, handle, raw);
    store_throw(r->store->store, 0); /* from here on the handle alone keeps it */
}

/* ---- CALL */

enum proto_error read_call(struct request *r)
{
    const Hemi__V1__Call *b = (const Hemi__V1__Call *)r->body;
    if (b->result_count > PROTO_PARAMS_MAX) {
        request_fail(r, HEMI_ARGUMENT, "result_count: at most %u", PROTO_PARAMS_MAX);
        return PROTO_OK;
    }
    if (b->result_count == 0 && b->result_handle == 0) return PROTO_OK;
    if (b->result_count == 0) { /* for an exception only */
        r->makes_id = b->result_handle;
        return request_promise(r, b->result_handle, OBJECT_REF, &r->makes);
    }
    r->results = calloc(b->result_count, sizeof *r->results);
    if (!r->results) return PROTO_NO_MEMORY;
    r->results_id = b->result_handle;
    for (uint32_t i = 0; i < b->result_count; i++) {
        if (b->result_handle > UINT32_MAX - i) return PROTO_HANDLE;
        enum proto_error e = request_promise(r, b->result_handle + i, OBJECT_REF, &r->results[i]);
        if (r->results[i]) r->nresults++;
        r->conn->worker->ids++;
        if (e != PROTO_OK) return e;
    }
    return PROTO_OK;
}

static uint32_t reference_results(const struct rtype *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->nresults; i++) n += vt_is_ref(t->vals[t->nparams + i]);
    return n;
}

static enum hemi_status check_call(struct request *r, const struct rtype *t)
{
    const Hemi__V1__Call *b = (const Hemi__V1__Call *)r->body;
    uint32_t nrefs = reference_results(t);
    if (r->npins != t->nparams)
        return request_fail(r, HEMI_ARGUMENT, "%u arguments given, the function has %u parameters", r->npins,
                            t->nparams);
    if ((b->result_handle != 0 || b->result_count != 0) && b->result_count < nrefs)
        return request_fail(r, HEMI_ARGUMENT, "%u handles set aside for %u references", b->result_count, nrefs);
    return HEMI_OK;
}

static enum hemi_status call_with(struct request *r, uint32_t func, const struct rtype *t, struct values *args)
{
    union val few[VALUES_INLINE], *results = few;
    if (t->nresults > VALUES_INLINE && !(results = calloc(t->nresults, sizeof *results)))
        return request_fail(r, HEMI_NO_MEMORY, "no memory for results");
    memset(few, 0, sizeof few);
    r->store->calls++;
    page_count(&r->conn->worker->boot->page->calls_total);
    enum hemi_status status = rt_call(r->store->store, func, args->vals, results, request_stack(r), &r->reply.error);
    if (status == HEMI_OK)
        status = reply_results(r, t, results);
    else if (status == HEMI_EXCEPTION)
        reply_exception(r);
    else
        request_trace(r, 0);
    if (results != few) free(results);
    return status;
}

enum hemi_status run_call(struct request *r)
{
    const struct root *root = &r->uses[0]->u.root;
    if (root->slot != HEAP_SLOT_FUNC || root->bits == 0)
        return request_fail(r, HEMI_ARGUMENT, root->bits ? "the reference is no function" : "the function is null");
    const struct rtype *t = func_type(r->store->store, root->bits, NULL);
    enum hemi_status status = check_call(r, t);
    struct values args = {0};
    if (status == HEMI_OK)
        status = values_receive(r->store, t->vals, t->nparams, r->raw, r->pins, &args, &r->reply.values_counted,
                                &r->reply.error);
    if (status == HEMI_OK) status = call_with(r, root->bits, t, &args);
    values_deinit(&args);
    return status;
}

/* ---- FUNC_NEW */

enum hemi_status request_import(struct request *r, const struct object *module, uint32_t index, uint8_t kind,
                                const struct import **out)
{
    const struct module *m = module->u.module;
    if (index >= m->nimports)
        return request_fail(r, HEMI_ARGUMENT, "import_index %u: the module has %u imports", index, m->nimports);
    *out = &m->imports[index];
    if ((*out)->kind != kind) return request_fail(r, HEMI_ARGUMENT, "import %u is of another kind", index);
    return HEMI_OK;
}

enum proto_error read_func_new(struct request *r) { return r->raw_length % 4 == 0 ? PROTO_OK : PROTO_RAW; }

static enum hemi_status bind_func(struct request *r, enum hemi_status status, uint32_t func)
{
    bool share = share_allows(&r->conn->worker->pools[POOL_TYPES], &r->conn->types, 1);
    if (status == HEMI_LIMIT && !share) return request_types_limit(r, 1);
    if (status != HEMI_OK) return request_fail(r, status, "no room for a host function");
    object_bind_ref(r->makes, HEAP_SLOT_FUNC, func, WIRE_CLASS_FUNC);
    return HEMI_OK;
}

static enum hemi_status func_of_import(struct request *r, const Hemi__V1__FuncNew *b)
{
    const struct module *m = r->uses[1]->u.module;
    const struct import *im;
    uint32_t func = 0;
    enum hemi_status status = request_import(r, r->uses[1], b->import_index, EXTERN_FUNC, &im);
    if (status != HEMI_OK) return status;
    uint32_t type = m->funcs[im->index].type;
    const struct rtype *t = types_get(engine_types(m->engine), type);
    status = hostcall_func_new(r->store, b->host, type, t->vals, t->nparams, t->nresults, &func);
    return bind_func(r, status, func);
}

enum hemi_status run_func_new(struct request *r)
{
    const Hemi__V1__FuncNew *b = (const Hemi__V1__FuncNew *)r->body;
    valtype types[2 * PROTO_PARAMS_MAX];
    uint32_t n = (uint32_t)(r->raw_length / 4), func = 0;
    if (r->uses[1]) return func_of_import(r, b);
    if (b->params > n || b->params > PROTO_PARAMS_MAX || n - b->params > PROTO_PARAMS_MAX)
        return request_fail(r, HEMI_ARGUMENT, "%u parameters among %u types", b->params, n);
    for (uint32_t i = 0; i < n; i++) {
        enum hemi_status status = value_type_read(wire_get_u32(r->raw + 4 * (size_t)i), &types[i], &r->reply.error);
        if (status != HEMI_OK) return status;
    }
    enum hemi_status status = hostcall_func_new(r->store, b->host, TYPE_NONE, types, b->params, n - b->params, &func);
    return bind_func(r, status, func);
}
