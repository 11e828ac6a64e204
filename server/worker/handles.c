#include "server/worker/handles.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/release.h"
#include "proto/limits.h"
#include "proto/value.h"
#include "server/worker/stores.h"
#include "server/worker/upload.h"

/* ---- outcomes */

struct outcome *outcome_new(struct request *r, uint32_t id)
{
    struct outcome *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    *o = (struct outcome){.refs = 1, .request = id, .root = id, .pending = r};
    return o;
}

struct outcome *outcome_ref(struct outcome *o)
{
    o->refs++;
    return o;
}

void outcome_unref(struct outcome *o)
{
    if (!o || --o->refs > 0) return;
    CHECK(LIST_EMPTY(&o->waiters));
    free(o);
}

/* ---- objects */

static const char *const kind_texts[] = {
#define X(name, text) [OBJECT_##name] = text,
    OBJECT_KINDS(X)
#undef X
};

const char *object_kind_text(enum object_kind kind) { return kind_texts[kind]; }

static void link_object(struct object *o)
{
    struct wstore *s = o->store;
    LIST_INSERT_HEAD(&s->objects, o, of_store);
    o->listed = true;
}

void object_unlink(struct object *o)
{
    if (!o->listed) return;
    o->listed = false;
    LIST_REMOVE(o, of_store);
}

struct object *object_new(enum object_kind kind, struct wstore *store, struct outcome *outcome)
{
    struct object *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->refs = 1;
    o->kind = (uint8_t)kind;
    o->outcome = outcome ? outcome_ref(outcome) : NULL;
    o->store = store ? wstore_ref(store) : NULL;
    if (store && kind != OBJECT_STORE) link_object(o);
    return o;
}

struct object *object_ref(struct object *o)
{
    o->refs++;
    return o;
}

void object_clear(struct object *o)
{
    if (o->upload) upload_bury(o->upload, o->bound ? o->u.module : NULL);
    o->upload = NULL;
    if (!o->bound) return;
    o->bound = false;
    switch (o->kind) {
    case OBJECT_REF:
        root_deinit(&o->u.root);
        break;
    case OBJECT_WASI:
        o->u.inside->ops->release(o->u.inside);
        break;
    default:
        break; /* borrowed from the store */
    }
}

uint32_t object_units(const struct object *o)
{
    return o->kind == OBJECT_WASI && o->bound ? o->u.inside->ops->units : 1;
}

void object_unref(struct object *o)
{
    if (!o || --o->refs > 0) return;
    object_clear(o);
    object_unlink(o);
    outcome_unref(o->outcome);
    if (o->store) wstore_unref(o->store);
    free(o);
}

void object_bind_ref(struct object *o, enum heap_slot slot, uint32_t bits, uint8_t class_)
{
    CHECK(!o->bound && o->store && o->store->store);
    o->kind = OBJECT_REF;
    o->class_ = class_;
    o->bound = true;
    root_init(o->store->store, &o->u.root, slot, bits);
}

void object_bind_extern(struct object *o, const struct rt_extern *x)
{
    if (x->kind == EXTERN_FUNC) {
        object_bind_ref(o, HEAP_SLOT_FUNC, x->func, WIRE_CLASS_FUNC);
        return;
    }
    CHECK(!o->bound);
    o->bound = true;
    switch (x->kind) {
    case EXTERN_TABLE:
        o->kind = OBJECT_TABLE, o->u.table = x->table;
        break;
    case EXTERN_MEMORY:
        o->kind = OBJECT_MEMORY, o->u.memory = x->memory;
        break;
    case EXTERN_GLOBAL:
        o->kind = OBJECT_GLOBAL, o->u.global = x->global;
        break;
    case EXTERN_TAG:
        o->kind = OBJECT_TAG, o->u.tag = x->tag;
        break;
    default:
        CHECK(false);
    }
}

/* ---- the table */

static void give_back(struct handle_table *t, int64_t n)
{
    if (t->account && n > 0) account_charge(t->account, -n * HANDLE_COST);
}

/* Of an id that is bound. */
static struct object *unbind(struct handle_table *t, uint32_t id)
{
    give_back(t, 1);
    return idmap_remove(&t->map, id);
}

/* It is charged. */
static enum handle_result bind(struct handle_table *t, uint32_t id, struct object *o)
{
    if (!idmap_put(&t->map, id, o)) {
        give_back(t, 1);
        return HANDLE_NO_MEMORY;
    }
    object_ref(o);
    return HANDLE_OK;
}

enum handle_result handles_bind(struct handle_table *t, uint32_t id, struct object *o)
{
    if (id == 0 || id >= HANDLE_WORKER || idmap_get(&t->map, id)) return HANDLE_TAKEN;
    if (t->map.used >= t->max) return HANDLE_LIMIT;
    bool refused = t->account && !account_charge(t->account, HANDLE_COST);
    if (refused) account_add(t->account, HANDLE_COST);
    enum handle_result result = bind(t, id, o);
    return result == HANDLE_OK && refused ? HANDLE_REFUSED : result;
}

void handles_begin(struct handle_table *t) { CHECK(getrandom(&t->next, sizeof t->next, 0) == (ssize_t)sizeof t->next); }

uint32_t handles_bind_new(struct handle_table *t, struct object *o)
{
    uint32_t id;
    do id = HANDLE_WORKER | t->next++;
    while (idmap_get(&t->map, id)); /* after 2^31 of them, old ones may still be there */
    if (t->map.used >= t->max || (t->account && !account_charge(t->account, HANDLE_COST))) return 0;
    return bind(t, id, o) == HANDLE_OK ? id : 0;
}

struct object *handles_get(const struct handle_table *t, uint32_t id) { return idmap_get(&t->map, id); }

bool handles_drop(struct handle_table *t, uint32_t id)
{
    struct object *o = idmap_get(&t->map, id);
    if (!o || (o->kind == OBJECT_STORE && !o->store->ended)) return false;
    object_unref(unbind(t, id));
    return true;
}

void handles_unbind(struct handle_table *t, uint32_t id, const struct object *o)
{
    if (idmap_get(&t->map, id) == o) object_unref(unbind(t, id));
}

bool handles_drop_some(struct handle_table *t, uint32_t *units)
{
    while (t->map.used > 0) {
        if (!release_unit(units)) return true;
        struct object *o = idmap_pop(&t->map);
        give_back(t, 1);
        release_units(units, object_units(o));
        object_unref(o);
    }
    return false;
}

void handles_deinit(struct handle_table *t)
{
    uint32_t units = UINT32_MAX;
    while (handles_drop_some(t, &units)) units = UINT32_MAX;
    idmap_deinit(&t->map);
}
