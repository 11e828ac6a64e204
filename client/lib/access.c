/* Memories, globals, tables. */
#include <stdlib.h>

#include "client/lib/internal.h"

/* ---- making objects whose type the caller states */
static hemi_object *object_of(hemi_store *store, const struct hemi_entry *type)
{
    hemi_object *o = node_new(store->node.client, NODE_OBJECT, sizeof *o);
    if (!o) return NULL;
    o->store = store_hold(store);
    if (entries_add_func(&o->entry, NULL, 0, NULL, 0)) {
        const hemi_type *block = o->entry.at->params;
        *o->entry.at = *type;
        o->entry.at->params = o->entry.at->results = block;
        o->entry.at->module = o->entry.at->name = "";
        return o;
    }
    node_free(&o->node);
    return NULL;
}

/* Runs the request that makes *out, or undoes it. */
static hemi_status made(hemi_object **out, struct sending *s, hemi_ticket *ticket)
{
    s->store = (*out)->store;
    hemi_status status = request_run((*out)->node.client, s, ticket);
    if (status == HEMI_OK) return status;
    hemi_object_free(*out);
    *out = NULL;
    return status;
}

/* Usable, and of this kind? */
static hemi_status check(const hemi_object *o, hemi_object_kind kind, const char *what)
{
    hemi_client *c = o->node.client;
    hemi_status status = usable(c, o->store);
    if (status != HEMI_OK) return status;
    if (o->entry.count && o->entry.at->kind != kind) return fail(c, HEMI_ARGUMENT, "not a %s", what);
    return HEMI_OK;
}

/* The type of a global's content or a table's elements; NULL: not known yet. */
static const hemi_type *content_type(const hemi_object *o) { return o->entry.count ? &o->entry.at->type : NULL; }

/* ---- memories */
hemi_status hemi_memory_new(hemi_store *store, uint64_t min, uint64_t max, bool is64, hemi_object **out,
                            hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(store);
    const struct hemi_entry type = {
        .kind = HEMI_MEMORY_OBJECT, .min = min, .max = max, .has_max = max != UINT64_MAX, .is64 = is64};
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, store);
    if (status != HEMI_OK) return status;
    *out = object_of(store, &type);
    if (!*out) return fail(c, HEMI_NO_MEMORY, "out of memory");
    Hemi__V1__MemoryNew body = HEMI__V1__MEMORY_NEW__INIT;
    body.memory = (*out)->node.handle;
    body.store = store->node.handle;
    body.min = min;
    body.max_plus_1 = max + 1;
    body.is64 = is64;
    struct sending s = {.f = {.type = FRAME_MEMORY_NEW, .body = &body.base}};
    return made(out, &s, ticket);
}

static hemi_status take_bytes(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    (void)reply;
    if (f->raw_length != r->answer.count) return HEMI_PROTOCOL;
    memcpy(r->answer.to, f->raw, f->raw_length);
    return HEMI_OK;
}

static hemi_status read_piece(hemi_object *memory, uint64_t offset, void *bytes, size_t n, hemi_ticket *ticket)
{
    hemi_client *c = memory->node.client;
    Hemi__V1__MemoryRead body = HEMI__V1__MEMORY_READ__INIT;
    body.memory = memory->node.handle;
    body.offset = offset;
    body.length = (uint32_t)n;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_MEMORY_READ, .body = &body.base},
                        .store = memory->store,
                        .answer = {.take = take_bytes, .to = bytes, .count = n}};
    return request_run(c, &s, ticket);
}

static hemi_status write_piece(hemi_object *memory, uint64_t offset, const void *bytes, size_t n, hemi_ticket *ticket)
{
    hemi_client *c = memory->node.client;
    Hemi__V1__MemoryWrite body = HEMI__V1__MEMORY_WRITE__INIT;
    body.memory = memory->node.handle;
    body.offset = offset;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_MEMORY_WRITE, .body = &body.base, .raw = bytes, .raw_length = n},
                        .store = memory->store};
    return request_run(c, &s, ticket);
}

/* Pieces of at most 1 MiB, one after the other; exactly one if there is a ticket, or nothing to move. */
static hemi_status in_pieces(hemi_object *memory, uint64_t offset, uint8_t *to, const uint8_t *from, size_t n,
                             hemi_ticket *ticket)
{
    hemi_status status = check(memory, HEMI_MEMORY_OBJECT, "memory");
    if (status == HEMI_OK && ticket && n > FRAME_RAW_MAX)
        status = fail(memory->node.client, HEMI_ARGUMENT, "more than 1 MiB with a ticket");
    if (status == HEMI_OK && n > UINT64_MAX - offset)
        status = fail(memory->node.client, HEMI_ARGUMENT, "more bytes than any memory has there");
    if (status != HEMI_OK) return status;
    size_t done = 0;
    do {
        size_t piece = n - done < FRAME_RAW_MAX ? n - done : FRAME_RAW_MAX;
        status = to ? read_piece(memory, offset + done, to + done, piece, ticket)
                    : write_piece(memory, offset + done, from + done, piece, ticket);
        done += piece;
    } while (status == HEMI_OK && done < n);
    return status;
}

hemi_status hemi_memory_read(hemi_object *memory, uint64_t offset, void *bytes, size_t n, hemi_ticket *ticket)
{
    uint8_t none;
    ENTER_ASKING(CLIENT_OF(memory), ticket);
    if (n > 0 && !bytes) return fail_null(entered, "bytes");
    return in_pieces(memory, offset, n ? bytes : &none, NULL, n, ticket);
}

hemi_status hemi_memory_write(hemi_object *memory, uint64_t offset, const void *bytes, size_t n, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(memory), ticket);
    if (n > 0 && !bytes) return fail_null(entered, "bytes");
    return in_pieces(memory, offset, NULL, n ? bytes : (const uint8_t *)"", n, ticket);
}

hemi_status hemi_memory_size(hemi_object *memory, uint64_t *pages, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(memory);
    ENTER_ASKING(c, ticket);
    hemi_status status = check(memory, HEMI_MEMORY_OBJECT, "memory");
    if (status != HEMI_OK) return status;
    Hemi__V1__MemorySize body = HEMI__V1__MEMORY_SIZE__INIT;
    body.memory = memory->node.handle;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_MEMORY_SIZE, .body = &body.base},
                        .store = memory->store,
                        .answer = {.take = take_value, .to = pages}};
    return request_run(c, &s, ticket);
}

hemi_status hemi_memory_grow(hemi_object *memory, uint64_t delta, uint64_t *previous, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(memory);
    ENTER_ASKING(c, ticket);
    hemi_status status = check(memory, HEMI_MEMORY_OBJECT, "memory");
    if (status != HEMI_OK) return status;
    Hemi__V1__MemoryGrow body = HEMI__V1__MEMORY_GROW__INIT;
    body.memory = memory->node.handle;
    body.delta = delta;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_MEMORY_GROW, .body = &body.base},
                        .store = memory->store,
                        .answer = {.take = take_value, .to = previous}};
    return request_run(c, &s, ticket);
}

/* ---- one value: globals and table elements */
static hemi_status take_one(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)reply;
    const hemi_type *type = content_type((hemi_object *)r->answer.node);
    if (!type || f->raw_length != WIRE_VALUE_BYTES) return HEMI_PROTOCOL;
    return vals_read(c, r->store, r, type, 1, f->raw, r->answer.to);
}

/* Runs a request that gets one value, which *result_handle was set aside for. */
static hemi_status get_one(hemi_object *o, struct sending *s, uint32_t *result_handle, hemi_val *out,
                           hemi_ticket *ticket)
{
    hemi_client *c = o->node.client;
    const hemi_type *type = content_type(o);
    s->store = o->store;
    s->answer = (struct answer){.take = take_one, .to = out, .count = 1, .node = &o->node};
    if (!type || hemi_type_kind(*type) == HEMI_REF) {
        s->handles = 1;
        s->first_handle = *result_handle = handles_new(c, 1);
        if (s->first_handle == 0) return fail(c, HEMI_NO_MEMORY, "out of handles");
    }
    struct request *r;
    hemi_status status = request_new(c, s, &r);
    if (status != HEMI_OK) return status;
    if (ticket && type) vals_promise(r, type, 1, out);
    return request_finish(c, r, ticket);
}

hemi_status hemi_global_get(hemi_object *global, hemi_val *out, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(global), ticket);
    hemi_status status = check(global, HEMI_GLOBAL_OBJECT, "global");
    if (status == HEMI_OK && !out) status = fail_null(global->node.client, "out");
    if (status != HEMI_OK) return status;
    Hemi__V1__GlobalGet body = HEMI__V1__GLOBAL_GET__INIT;
    body.global = global->node.handle;
    body.deadline_ms = global->node.client->deadline_ms;
    struct sending s = {.f = {.type = FRAME_GLOBAL_GET, .body = &body.base}};
    return get_one(global, &s, &body.result_handle, out, ticket);
}

hemi_status hemi_table_get(hemi_object *table, uint64_t index, hemi_val *out, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(table), ticket);
    hemi_status status = check(table, HEMI_TABLE_OBJECT, "table");
    if (status == HEMI_OK && !out) status = fail_null(table->node.client, "out");
    if (status != HEMI_OK) return status;
    Hemi__V1__TableGet body = HEMI__V1__TABLE_GET__INIT;
    body.table = table->node.handle;
    body.index = index;
    body.deadline_ms = table->node.client->deadline_ms;
    struct sending s = {.f = {.type = FRAME_TABLE_GET, .body = &body.base}};
    return get_one(table, &s, &body.result_handle, out, ticket);
}

/* The value; for none, the null of its type; NULL: that has none, or is not known. */
static const hemi_val *value_or_null(const hemi_val *value, const hemi_type *type, hemi_val *null)
{
    if (value || !type || hemi_type_kind(*type) != HEMI_REF) return value;
    *null = val_zero(*type);
    return null;
}

/* Runs a request that carries one value of the object's content type. */
static hemi_status put_one(hemi_object *o, struct sending *s, const hemi_val *value, hemi_ticket *ticket)
{
    hemi_val null;
    struct values values = {.at = value_or_null(value, content_type(o), &null), .types = content_type(o), .count = 1};
    if (!values.at) return fail_null(o->node.client, "value");
    s->store = o->store;
    s->values = &values;
    return request_run(o->node.client, s, ticket);
}

hemi_status hemi_global_set(hemi_object *global, const hemi_val *value, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(global), ticket);
    hemi_status status = check(global, HEMI_GLOBAL_OBJECT, "global");
    if (status != HEMI_OK) return status;
    Hemi__V1__GlobalSet body = HEMI__V1__GLOBAL_SET__INIT;
    body.global = global->node.handle;
    body.deadline_ms = global->node.client->deadline_ms;
    struct sending s = {.f = {.type = FRAME_GLOBAL_SET, .body = &body.base}};
    return put_one(global, &s, value, ticket);
}

hemi_status hemi_table_set(hemi_object *table, uint64_t index, const hemi_val *value, hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(table), ticket);
    hemi_status status = check(table, HEMI_TABLE_OBJECT, "table");
    if (status != HEMI_OK) return status;
    Hemi__V1__TableSet body = HEMI__V1__TABLE_SET__INIT;
    body.table = table->node.handle;
    body.index = index;
    body.deadline_ms = table->node.client->deadline_ms;
    struct sending s = {.f = {.type = FRAME_TABLE_SET, .body = &body.base}};
    return put_one(table, &s, value, ticket);
}

hemi_status hemi_table_grow(hemi_object *table, uint64_t delta, const hemi_val *init, uint64_t *previous,
                            hemi_ticket *ticket)
{
    ENTER_ASKING(CLIENT_OF(table), ticket);
    hemi_status status = check(table, HEMI_TABLE_OBJECT, "table");
    if (status != HEMI_OK) return status;
    Hemi__V1__TableGrow body = HEMI__V1__TABLE_GROW__INIT;
    body.table = table->node.handle;
    body.delta = delta;
    body.deadline_ms = table->node.client->deadline_ms;
    struct sending s = {.f = {.type = FRAME_TABLE_GROW, .body = &body.base},
                        .answer = {.take = take_value, .to = previous}};
    return put_one(table, &s, init, ticket);
}

hemi_status hemi_table_size(hemi_object *table, uint64_t *elements, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(table);
    ENTER_ASKING(c, ticket);
    hemi_status status = check(table, HEMI_TABLE_OBJECT, "table");
    if (status != HEMI_OK) return status;
    Hemi__V1__TableSize body = HEMI__V1__TABLE_SIZE__INIT;
    body.table = table->node.handle;
    body.deadline_ms = c->deadline_ms;
    struct sending s = {.f = {.type = FRAME_TABLE_SIZE, .body = &body.base},
                        .store = table->store,
                        .answer = {.take = take_value, .to = elements}};
    return request_run(c, &s, ticket);
}

/* ---- making globals and tables */
/* As `made`, with one value. */
static hemi_status made_with(hemi_object **out, struct sending *s, const hemi_val *value, hemi_ticket *ticket)
{
    hemi_val null;
    struct values values = {
        .at = value_or_null(value, content_type(*out), &null), .types = content_type(*out), .count = 1};
    s->values = &values;
    if (values.at) return made(out, s, ticket);
    hemi_status status = fail_null((*out)->node.client, "value");
    hemi_object_free(*out);
    *out = NULL;
    return status;
}

hemi_status hemi_global_new(hemi_store *store, hemi_type type, bool is_mutable, const hemi_val *value,
                            hemi_object **out, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(store);
    const struct hemi_entry entry = {.kind = HEMI_GLOBAL_OBJECT, .type = type, .is_mutable = is_mutable};
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, store);
    if (status != HEMI_OK) return status;
    *out = object_of(store, &entry);
    if (!*out) return fail(c, HEMI_NO_MEMORY, "out of memory");
    Hemi__V1__GlobalNew body = HEMI__V1__GLOBAL_NEW__INIT;
    body.global = (*out)->node.handle;
    body.store = store->node.handle;
    body.type = type;
    body.mutable_ = is_mutable;
    struct sending s = {.f = {.type = FRAME_GLOBAL_NEW, .body = &body.base}};
    return made_with(out, &s, value, ticket);
}

hemi_status hemi_table_new(hemi_store *store, hemi_type type, uint64_t min, uint64_t max, bool is64,
                           const hemi_val *init, hemi_object **out, hemi_ticket *ticket)
{
    hemi_client *c = CLIENT_OF(store);
    const struct hemi_entry entry = {
        .kind = HEMI_TABLE_OBJECT, .type = type, .min = min, .max = max, .has_max = max != UINT64_MAX, .is64 = is64};
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, store);
    if (status != HEMI_OK) return status;
    *out = object_of(store, &entry);
    if (!*out) return fail(c, HEMI_NO_MEMORY, "out of memory");
    Hemi__V1__TableNew body = HEMI__V1__TABLE_NEW__INIT;
    body.table = (*out)->node.handle;
    body.store = store->node.handle;
    body.type = type;
    body.min = min;
    body.max_plus_1 = max + 1;
    body.is64 = is64;
    struct sending s = {.f = {.type = FRAME_TABLE_NEW, .body = &body.base}};
    return made_with(out, &s, init, ticket);
}
