/* Stores, instances, and the objects that instances export. */
#include <stdlib.h>

#include "client/lib/internal.h"

/* ---- stores */
hemi_client *hemi_store_client(const hemi_store *store) { return CLIENT_OF(store); }

static void store_failed(struct node *node, hemi_ticket root)
{
    (void)root;
    ((hemi_store *)node)->failed = true;
}

static hemi_status store_request(hemi_store *store, const struct hemi_store_options *o, hemi_ticket *ticket)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = store->node.handle;
    body.memory_bytes = o->memory_bytes;
    body.heap_bytes = o->heap_bytes;
    body.stack_bytes = o->stack_bytes;
    body.table_elements = o->table_elements;
    body.instances = o->instances;
    body.gc_growth_percent = o->gc_growth_percent;
    body.gc_stress_every = o->gc_stress_every;
    struct sending s = {.f = {.type = FRAME_STORE_NEW, .body = &body.base},
                        .store = store,
                        .answer = {.node = &store->node, .refused = store_failed}};
    return request_run(store->node.client, &s, ticket);
}

/* Nothing is to come for it any more. */
static void store_end(hemi_store *store)
{
    hemi_client *c = store->node.client;
    if (store->closed) return;
    store->closed = true;
    while (store->wasis) wasi_end(store->wasis);
    externs_end(c, store);
    c->funcs_due = true;
    store_let_go(store); /* its own */
}

static hemi_status take_store_end(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply,
                                  const struct frame *f)
{
    (void)reply;
    hemi_store *store = (hemi_store *)r->answer.node;
    if (f->raw_length != 0) return HEMI_PROTOCOL;
    handles_release(c, store->node.handle, 1); /* the worker has let go of it */
    store->node.handle = 0;
    store_end(store);
    return HEMI_OK;
}

/* A store that never came to be cannot be closed, but the client is done with it. */
static void close_refused(struct node *node, hemi_ticket root)
{
    (void)root;
    hemi_store *store = (hemi_store *)node;
    if (store->failed) store_end(store);
}

static hemi_status close_store(hemi_store *store, bool in_order, hemi_ticket *ticket)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    body.store = store->node.handle;
    body.in_order = in_order;
    struct sending s = {
        .f = {.type = FRAME_STORE_CLOSE, .body = &body.base},
        .store = store,
        .answer = {.take = take_store_end, .node = &store->node, .refused = close_refused, .ours = true}};
    return request_run(store->node.client, &s, ticket);
}

hemi_status hemi_store_close(hemi_store *store, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(store), ticket);
    return close_store(store, false, ticket);
}

hemi_status hemi_store_close_in_order(hemi_store *store, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(store), ticket);
    return close_store(store, true, ticket);
}

/* The answer was waited for in vain, and may still come: then it is a store that nobody knows. */
static void give_up(hemi_store *store)
{
    hemi_ticket ticket;
    if (close_store(store, false, &ticket) == HEMI_OK) hemi_forget(store->node.client, ticket);
}

hemi_status hemi_store_new(hemi_client *c, const struct hemi_store_options *options, hemi_store **out,
                           hemi_ticket *ticket)
{
    struct hemi_store_options o;
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, NULL);
    if (status == HEMI_OK) status = options_take(c, OPTIONS_store, options, &o);
    if (status != HEMI_OK) return status;
    hemi_store *store = node_new(c, NODE_STORE, sizeof *store);
    if (!store) return fail(c, HEMI_NO_MEMORY, "out of memory");
    status = store_request(store, &o, ticket);
    if (status == HEMI_OK)
        *out = store;
    else if (store->node.counts == 1)
        node_count_down(&store->node);
    else
        give_up(store);
    return status;
}

hemi_status hemi_store_gc(hemi_store *store, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(store), ticket);
    Hemi__V1__StoreGc body = HEMI__V1__STORE_GC__INIT;
    body.store = store->node.handle;
    body.deadline_ms = store->node.client->deadline_ms;
    struct sending s = {.f = {.type = FRAME_STORE_GC, .body = &body.base}, .store = store};
    return request_run(store->node.client, &s, ticket);
}

/* ---- instances */
/* The handles of the imports, as they travel. NULL: no memory. */
static uint8_t *pack_imports(hemi_object *const *imports, size_t n)
{
    uint8_t *packed = malloc(4 * n + 1);
    for (size_t i = 0; packed && i < n; i++) wire_put_u32(packed + 4 * i, imports[i] ? imports[i]->node.handle : 0);
    return packed;
}

static hemi_status check_imports(hemi_client *c, const hemi_store *store, hemi_object *const *imports, size_t n)
{
    if (n > PROTO_IMPORTS_MAX) return fail(c, HEMI_ARGUMENT, "more than %u imports", PROTO_IMPORTS_MAX);
    if (n > 0 && !imports) return fail_null(c, "imports");
    for (size_t i = 0; i < n; i++)
        if (imports[i] && imports[i]->store != store) return fail(c, HEMI_HANDLE, "import %zu is of another store", i);
    return HEMI_OK;
}

static hemi_status instance_request(hemi_instance *instance, const hemi_module *module, const hemi_wasi *wasi,
                                    const uint8_t *imports, size_t n, hemi_ticket *ticket)
{
    hemi_client *c = instance->node.client;
    Hemi__V1__InstanceNew body = HEMI__V1__INSTANCE_NEW__INIT;
    body.instance = instance->node.handle;
    body.module = module->node.handle;
    body.store = instance->store->node.handle;
    body.wasi = wasi ? wasi->node.handle : 0;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_INSTANCE_NEW, .body = &body.base, .raw = imports, .raw_length = 4 * n},
                        .store = instance->store};
    return request_run(c, &s, ticket);
}

hemi_status hemi_instance_new(hemi_store *store, hemi_module *module, hemi_object *const *imports, size_t nimports,
                              hemi_wasi *wasi, hemi_instance **out, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(store);
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, store);
    if (status == HEMI_OK && !module) status = fail_null(c, "module");
    if (status == HEMI_OK && module->node.client != c) status = fail(c, HEMI_HANDLE, "the module is of another client");
    if (status == HEMI_OK && wasi && wasi->store != store) status = fail(c, HEMI_HANDLE, "`wasi` is of another store");
    if (status == HEMI_OK) status = check_imports(c, store, imports, nimports);
    if (status != HEMI_OK) return status;
    uint8_t *packed = pack_imports(imports, nimports);
    hemi_instance *instance = packed ? node_new(c, NODE_INSTANCE, sizeof *instance) : NULL;
    if (instance) {
        instance->store = store_hold(store);
        status = instance_request(instance, module, wasi, packed, nimports, ticket);
    } else {
        status = fail(c, HEMI_NO_MEMORY, "out of memory");
    }
    free(packed);
    if (status == HEMI_OK)
        *out = instance;
    else
        hemi_instance_free(instance);
    return status;
}

/* ---- objects */
const struct hemi_entry *hemi_object_entry(const hemi_object *o)
{
    ENTER(CLIENT_OF(o), NULL);
    return o->entry.count ? o->entry.at : NULL;
}

hemi_val hemi_object_ref(const hemi_object *function)
{
    hemi_val v = hemi_null(HEMI_CLASS_FUNC);
    ENTER(CLIENT_OF(function), v);
    v.of.ref.kind = HEMI_REF_HANDLE;
    v.of.ref.handle = function->node.handle;
    return v;
}

static hemi_status take_object(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    (void)reply;
    hemi_object *o = (hemi_object *)r->answer.node;
    hemi_status status = entries_read(&o->entry, f->raw, f->raw_length);
    return status != HEMI_OK || o->entry.count == 1 ? status : HEMI_PROTOCOL;
}

static void object_failed(struct node *node, hemi_ticket root) { ((hemi_object *)node)->failed = root; }

/* Runs the request that makes or describes *out; frees it when that fails. */
static hemi_status object_request(hemi_object **out, struct sending *s, hemi_ticket *ticket)
{
    hemi_object *o = *out;
    s->store = o->store;
    s->answer = (struct answer){.take = take_object, .node = &o->node, .refused = object_failed, .ours = true};
    hemi_status status = request_run(o->node.client, s, ticket);
    if (status == HEMI_OK) return status;
    hemi_object_free(o);
    *out = NULL;
    return status;
}

static hemi_object *object_new(hemi_store *store)
{
    hemi_object *o = node_new(store->node.client, NODE_OBJECT, sizeof *o);
    if (!o) return NULL;
    o->store = store_hold(store);
    return o;
}

hemi_status hemi_export_get_n(hemi_instance *instance, const char *name, size_t length, hemi_object **out,
                              hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(instance);
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, instance->store);
    if (status == HEMI_OK && length > 0 && !name) status = fail_null(c, "name");
    if (status != HEMI_OK) return status;
    if (length > PROTO_NAME_MAX) return fail(c, HEMI_ARGUMENT, "a name of more than %u bytes", PROTO_NAME_MAX);
    *out = object_new(instance->store);
    if (!*out) return fail(c, HEMI_NO_MEMORY, "out of memory");
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    body.instance = instance->node.handle;
    body.handle = (*out)->node.handle;
    struct sending s = {.f = {.type = FRAME_EXPORT_GET, .body = &body.base, .raw = name, .raw_length = length}};
    return object_request(out, &s, ticket);
}

hemi_status hemi_export_get(hemi_instance *instance, const char *name, hemi_object **out, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(instance);
    ENTER_MAKING(c, out, ticket);
    return name ? hemi_export_get_n(instance, name, strlen(name), out, ticket) : fail_null(c, "name");
}

/* The object takes the reference's handle over a copy: the reference keeps its own. */
hemi_status hemi_object_from_ref(hemi_store *store, const hemi_val *ref, hemi_object **out, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(store);
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, store);
    if (status != HEMI_OK) return status;
    if (!ref || ref->kind != HEMI_REF || ref->of.ref.kind != HEMI_REF_HANDLE || ref->of.ref.class_ != HEMI_CLASS_FUNC)
        return fail(c, HEMI_ARGUMENT, "not a function reference");
    if (!handle_live(c, ref->of.ref.handle)) return fail(c, HEMI_HANDLE, "the reference was dropped");
    *out = object_new(store);
    if (!*out) return fail(c, HEMI_NO_MEMORY, "out of memory");
    Hemi__V1__RefType body = HEMI__V1__REF_TYPE__INIT;
    body.handle = ref->of.ref.handle;
    body.copy = (*out)->node.handle;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_REF_TYPE, .body = &body.base}};
    return object_request(out, &s, ticket);
}

/* ---- questions about references */
static hemi_status take_type(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    (void)reply;
    struct extern_entry e;
    size_t used;
    if (extern_entry_read(f->raw, f->raw_length, &e, &used) != PROTO_OK || used != f->raw_length) return HEMI_PROTOCOL;
    hemi_type type = e.kind == EXTERN_FUNC ? HEMI_TYPE_FUNCREF & ~16u : e.type;
    memcpy(r->answer.to, &type, sizeof type);
    return HEMI_OK;
}

static hemi_status take_abstract_type(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply,
                                      const struct frame *f)
{
    (void)c;
    (void)f;
    hemi_type type = (hemi_type)reply->value;
    if (reply->value > UINT32_MAX || hemi_type_kind(type) != HEMI_REF) return HEMI_PROTOCOL;
    memcpy(r->answer.to, &type, sizeof type);
    return HEMI_OK;
}

static hemi_status check_handle(hemi_client *c, const hemi_val *v)
{
    if (!v || v->kind != HEMI_REF || v->of.ref.handle == 0)
        return fail(c, HEMI_ARGUMENT, "not a reference with a handle");
    if (!handle_live(c, v->of.ref.handle)) return fail(c, HEMI_HANDLE, "the reference was dropped");
    return HEMI_OK;
}

static hemi_status ask_type(hemi_client *c, const hemi_val *ref, struct answer answer, hemi_ticket *ticket)
{
    ENTER_ASKING(c, ticket);
    hemi_status status = answer.to ? check_handle(c, ref) : fail_null(c, "out");
    if (status != HEMI_OK) return status;
    Hemi__V1__RefType body = HEMI__V1__REF_TYPE__INIT;
    body.handle = ref->of.ref.handle;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_REF_TYPE, .body = &body.base}, .answer = answer};
    return request_run(c, &s, ticket);
}

hemi_status hemi_ref_type(hemi_client *c, const hemi_val *ref, hemi_type *out, hemi_ticket *ticket)
{
    return ask_type(c, ref, (struct answer){.take = take_type, .to = out}, ticket);
}

hemi_status hemi_ref_abstract_type(hemi_client *c, const hemi_val *ref, hemi_type *out, hemi_ticket *ticket)
{
    return ask_type(c, ref, (struct answer){.take = take_abstract_type, .to = out}, ticket);
}

static hemi_status take_truth(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    bool *to = r->answer.to;
    *to = reply->value != 0;
    return f->raw_length == 0 ? HEMI_OK : HEMI_PROTOCOL;
}

/* The handle by which a reference must be asked about; 0: what it is is all here. */
static uint32_t asked_by(const hemi_ref *r)
{
    return r->kind == HEMI_REF_HANDLE || r->kind == HEMI_REF_EXTERN ? r->handle : 0;
}

static bool same_here(const hemi_ref *a, const hemi_ref *b)
{
    if (a->kind != b->kind) return false;
    return a->kind == HEMI_REF_NULL || (a->kind == HEMI_REF_I31 ? a->i31 == b->i31 : a->id == b->id);
}

/* Any reference that lives; no store is asked, since the worker takes no extern from this. */
static hemi_status check_reference(hemi_client *c, const hemi_val *v)
{
    if (v->kind != HEMI_REF) return fail(c, HEMI_ARGUMENT, "not a reference");
    const hemi_ref *r = &v->of.ref;
    return vals_check(c, r->kind == HEMI_REF_EXTERN ? externs_store(c, r->id) : NULL, v, NULL, 1);
}

/* By a, which has a handle, and b, which may. */
static hemi_status ask_equal(hemi_client *c, const hemi_val *a, const hemi_val *b, bool *equal, hemi_ticket *ticket)
{
    uint8_t raw[WIRE_VALUE_BYTES];
    Hemi__V1__RefEq body = HEMI__V1__REF_EQ__INIT;
    body.a = asked_by(&a->of.ref);
    body.b = asked_by(&b->of.ref);
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_REF_EQ, .body = &body.base}, .answer = {.take = take_truth, .to = equal}};
    if (body.b == 0) {
        ref_write(&b->of.ref, raw);
        s.f.raw = raw;
        s.f.raw_length = sizeof raw;
    }
    return request_run(c, &s, ticket);
}

hemi_status hemi_ref_eq(hemi_client *c, const hemi_val *a, const hemi_val *b, bool *equal, hemi_ticket *ticket)
{
    const hemi_val null = hemi_null(HEMI_CLASS_ANY);
    ENTER_ASKING(c, ticket);
    if (!equal) return fail_null(c, "equal");
    if (!a) a = &null;
    if (!b) b = &null;
    hemi_status status = check_reference(c, a);
    if (status == HEMI_OK) status = check_reference(c, b);
    if (status == HEMI_OK) status = usable(c, NULL);
    if (status != HEMI_OK) return status;
    if (asked_by(&a->of.ref)) return ask_equal(c, a, b, equal, ticket);
    if (asked_by(&b->of.ref)) return ask_equal(c, b, a, equal, ticket);
    *equal = same_here(&a->of.ref, &b->of.ref);
    return ticket ? request_answered_here(c, ticket) : HEMI_OK;
}
