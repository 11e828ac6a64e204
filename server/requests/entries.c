/* server/requests/entries.c -- describing imports, exports and objects with their types. */
#include "proto/externs.h"
#include "proto/hemi.pb-c.h"
#include "runtime/runtime.h"
#include "server/requests/rows.h"
#include "server/worker/connection.h"
#include "server/worker/values.h"

static void limits_entry(struct entry *out, const struct limits *l)
{
    out->limits = *l;
    if (l->has_max) out->flags |= EXTERN_HAS_MAX;
    if (l->is64) out->flags |= EXTERN_64;
    if (l->shared) out->flags |= EXTERN_SHARED;
}

static void func_entry(struct entry *out, const struct rtype *t)
{
    out->types = t->vals;
    out->nparams = t->nparams;
    out->nresults = t->nresults;
}

void entry_of_extern(struct wstore *s, const struct rt_extern *x, struct entry *out)
{
    bool mut;
    struct limits limits;
    *out = (struct entry){.kind = x->kind};
    switch (x->kind) {
    case EXTERN_FUNC:
        func_entry(out, func_type(s->store, x->func, NULL));
        break;
    case EXTERN_TABLE:
        out->type = table_type(x->table, &limits);
        limits_entry(out, &limits);
        break;
    case EXTERN_MEMORY:
        limits_entry(out, memory_type(x->memory));
        break;
    case EXTERN_GLOBAL:
        out->type = global_type(x->global, &mut);
        if (mut) out->flags |= EXTERN_MUTABLE;
        break;
    default:
        func_entry(out, types_get(engine_types(wstore_engine(s)), tag_type(x->tag)));
        break;
    }
}

/* An entry of a module's: described by index, since nothing is instantiated. */
struct module_entries {
    const struct module *module;
    bool exports;
};

static void declared(const struct module *m, uint8_t kind, uint32_t index, struct entry *out)
{
    *out = (struct entry){.kind = kind};
    switch (kind) {
    case EXTERN_FUNC:
        func_entry(out, types_get(engine_types(m->engine), m->funcs[index].type));
        break;
    case EXTERN_TABLE:
        out->type = m->tables[index].type;
        limits_entry(out, &m->tables[index].limits);
        break;
    case EXTERN_MEMORY:
        limits_entry(out, &m->memories[index].limits);
        break;
    case EXTERN_GLOBAL:
        out->type = m->globals[index].type;
        if (m->globals[index].mut) out->flags |= EXTERN_MUTABLE;
        break;
    default:
        func_entry(out, types_get(engine_types(m->engine), m->tags[index]));
        break;
    }
}

static void module_entry(void *ctx, uint32_t i, struct entry *out)
{
    const struct module_entries *of = ctx;
    const struct module *m = of->module;
    if (of->exports) {
        declared(m, m->exports[i].kind, m->exports[i].index, out);
        out->name = m->exports[i].name;
    } else {
        declared(m, m->imports[i].kind, m->imports[i].index, out);
        out->module = m->imports[i].module;
        out->name = m->imports[i].name;
    }
}

static uint32_t wire_type_of(const struct engine *e, valtype t)
{
    if (!vt_is_ref(t)) return t;
    switch (heaptype_top(engine_types(e), vt_heap(t))) {
    case HT_FUNC:
        return wire_type(t, WIRE_CLASS_FUNC);
    case HT_EXTERN:
        return wire_type(t, WIRE_CLASS_EXTERN);
    case HT_EXN:
        return wire_type(t, WIRE_CLASS_EXN);
    default:
        return wire_type(t, WIRE_CLASS_ANY);
    }
}

/* Names longer than the wire's fields cannot be described: they are left out. */
static uint16_t name_length(const struct name *n) { return n->len > PROTO_NAME_MAX ? 0 : (uint16_t)n->len; }

static struct extern_entry wire_entry(const struct engine *e, const struct entry *in)
{
    return (struct extern_entry){.kind = in->kind,
                                 .flags = in->flags,
                                 .module_length = name_length(&in->module),
                                 .name_length = name_length(&in->name),
                                 .nparams = (uint16_t)in->nparams,
                                 .nresults = (uint16_t)in->nresults,
                                 .type = in->type ? wire_type_of(e, in->type) : 0,
                                 .min = in->limits.min,
                                 .max = in->limits.has_max ? in->limits.max : 0,
                                 .module = (const uint8_t *)in->module.at,
                                 .name = (const uint8_t *)in->name.at};
}

static size_t put(const struct engine *e, const struct entry *in, uint8_t *out)
{
    struct extern_entry x = wire_entry(e, in);
    uint8_t *types;
    size_t size = extern_entry_write(&x, out, &types);
    for (uint32_t i = 0; i < in->nparams + in->nresults; i++)
        wire_put_u32(types + 4 * (size_t)i, wire_type_of(e, in->types[i]));
    return size;
}

enum hemi_status entries_reply(struct request *r, uint32_t first, uint32_t count,
                               void (*get)(void *ctx, uint32_t i, struct entry *out), void *ctx)
{
    const struct engine *e = r->conn->worker->engine;
    struct entry entry;
    size_t size = 0;
    uint32_t end = first;
    for (; end < count; end++) {
        get(ctx, end, &entry);
        struct extern_entry x = wire_entry(e, &entry);
        if (size + extern_entry_size(&x) > FRAME_RAW_MAX) break;
        size += extern_entry_size(&x);
    }
    r->reply.value = count;
    uint8_t *at = request_raw(r, size);
    if (!at) return HEMI_NO_MEMORY;
    for (uint32_t i = first; i < end; i++) {
        get(ctx, i, &entry);
        at += put(e, &entry, at);
    }
    return HEMI_OK;
}

uint64_t promises_entries(const struct request *r)
{
    (void)r;
    return FRAME_RAW_MAX;
}

enum hemi_status run_module_describe(struct request *r)
{
    const Hemi__V1__ModuleDescribe *b = (const Hemi__V1__ModuleDescribe *)r->body;
    const struct module *m = r->uses[0]->u.module;
    struct module_entries of = {m, b->what == 1};
    if (b->what > 1) return request_fail(r, HEMI_ARGUMENT, "what: 0 imports, 1 exports, not %u", b->what);
    return entries_reply(r, b->first, of.exports ? m->nexports : m->nimports, module_entry, &of);
}

static void instance_entry(void *ctx, uint32_t i, struct entry *out)
{
    const struct object *o = ctx;
    struct rt_extern x;
    struct name name;
    instance_export_at(o->u.instance, i, &name, &x);
    entry_of_extern(o->store, &x, out);
    out->name = name;
}

enum hemi_status run_export_list(struct request *r)
{
    const Hemi__V1__ExportList *b = (const Hemi__V1__ExportList *)r->body;
    struct object *o = r->uses[0];
    return entries_reply(r, b->first, instance_export_count(o->u.instance), instance_entry, o);
}

static void one_entry(void *ctx, uint32_t i, struct entry *out)
{
    (void)i;
    *out = *(const struct entry *)ctx;
}

enum hemi_status run_export_get(struct request *r)
{
    struct instance *in = r->uses[0]->u.instance;
    struct rt_extern x;
    if (!instance_export(in, (const char *)r->raw, r->raw_length, &x))
        return request_fail(r, HEMI_NOT_FOUND, "no export is named \"%.*s\"",
                            (int)(r->raw_length < 128 ? r->raw_length : 128), (const char *)r->raw);
    struct entry entry;
    object_bind_extern(r->makes, &x);
    entry_of_extern(r->store, &x, &entry);
    return entries_reply(r, 0, 1, one_entry, &entry);
}

/* A reference's entry: a function's type, or kind EXTERN_REF with the dynamic type. */
static void ref_entry(const struct object *o, struct entry *out)
{
    struct store *s = o->store->store;
    uint32_t bits = o->u.root.bits;
    enum heap_slot slot = (enum heap_slot)o->u.root.slot;
    *out = (struct entry){.kind = EXTERN_REF};
    if (slot == HEAP_SLOT_FUNC && bits != 0) {
        entry_of_extern(o->store, &(struct rt_extern){.kind = EXTERN_FUNC, .func = bits}, out);
        return;
    }
    out->type = store_ref_type(s, (union val){.ref = bits}, slot);
}

/* The wire type of the narrowest abstract type of a reference, so that a client can tell a struct from an array. */
static uint32_t abstract_type(const struct object *o)
{
    const struct engine *e = wstore_engine(o->store);
    uint32_t heap = vt_heap(store_ref_type(o->store->store, (union val){.ref = o->u.root.bits}, o->u.root.slot));
    if (!ht_is_abstract(heap)) {
        uint8_t kind = types_get(engine_types(e), heap)->kind;
        heap = kind == TYPE_FUNC ? HT_FUNC : kind == TYPE_STRUCT ? HT_STRUCT : HT_ARRAY;
    }
    return wire_type_of(e, VT_REF(false, heap));
}

static enum hemi_status reply_ref_type(struct request *r, const struct object *o)
{
    struct entry entry;
    ref_entry(o, &entry);
    if (r->makes) object_bind_ref(r->makes, (enum heap_slot)o->u.root.slot, o->u.root.bits, o->class_);
    enum hemi_status status = entries_reply(r, 0, 1, one_entry, &entry);
    r->reply.value = abstract_type(o);
    return status;
}

static enum hemi_status reply_extern_type(struct request *r, const struct object *o, const struct rt_extern *x)
{
    struct entry entry;
    entry_of_extern(o->store, x, &entry);
    if (r->makes) object_bind_extern(r->makes, x);
    enum hemi_status status = entries_reply(r, 0, 1, one_entry, &entry);
    r->reply.value = 0;
    return status;
}

enum hemi_status run_ref_type(struct request *r)
{
    const struct object *o = r->uses[0];
    struct rt_extern x = {0};
    switch (o->kind) {
    case OBJECT_REF:
        return reply_ref_type(r, o);
    case OBJECT_TABLE:
        x = (struct rt_extern){.kind = EXTERN_TABLE, .table = o->u.table};
        break;
    case OBJECT_MEMORY:
        x = (struct rt_extern){.kind = EXTERN_MEMORY, .memory = o->u.memory};
        break;
    case OBJECT_GLOBAL:
        x = (struct rt_extern){.kind = EXTERN_GLOBAL, .global = o->u.global};
        break;
    case OBJECT_TAG:
        x = (struct rt_extern){.kind = EXTERN_TAG, .tag = o->u.tag};
        break;
    default:
        return request_fail(r, HEMI_HANDLE, "what it names (%s) has no type",
                            object_kind_text((enum object_kind)o->kind));
    }
    return reply_extern_type(r, o, &x);
}
