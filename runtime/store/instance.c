/* runtime/store/instance.c -- making an instance: what it is made of, its imports and exports. What runs then is in
 * instance_init.c, and what may be imported in instance_link.c. */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <string.h>

enum { CARVE_ALIGN = 16, ITEMS_PER_POLL = 1024, TABLES_PER_POLL = 16 /* their pages are new */ };

/* An instance is one allocation. It is carved twice by the same code: from NULL, to learn its size, and in earnest. */
struct carve {
    char *base;
    size_t used;
};

static void *carve(struct carve *c, uint32_t n, size_t size)
{
    void *at = c->base == NULL || n == 0 ? NULL : c->base + c->used;
    c->used += (n * size + CARVE_ALIGN - 1) & ~(size_t)(CARVE_ALIGN - 1);
    return at;
}

/* Things that the instance defines itself, in the order of their index spaces. */
struct own {
    struct global *globals;
    struct table *tables;
    struct memory *memories;
    struct tag *tags;
};

static struct instance *carve_all(struct carve *c, const struct module *m, struct own *own)
{
    struct instance fields = {0}, *in = carve(c, 1, sizeof *in);
    fields.globals = carve(c, m->nglobals, sizeof *fields.globals);
    fields.tables = carve(c, m->ntables, sizeof *fields.tables);
    fields.memories = carve(c, m->nmemories, sizeof *fields.memories);
    fields.tags = carve(c, m->ntags, sizeof *fields.tags);
    fields.imported_funcs = carve(c, m->nimported_funcs, sizeof *fields.imported_funcs);
    fields.elems = carve(c, m->nelems, sizeof *fields.elems);
    fields.datas = carve(c, m->ndatas, sizeof *fields.datas);
    own->globals = carve(c, m->nglobals - m->nimported_globals, sizeof *own->globals);
    own->tables = carve(c, m->ntables - m->nimported_tables, sizeof *own->tables);
    own->memories = carve(c, m->nmemories - m->nimported_memories, sizeof *own->memories);
    own->tags = carve(c, m->ntags - m->nimported_tags, sizeof *own->tags);
    if (in != NULL) *in = fields;
    return in;
}

static struct instance *allocate(struct store *s, struct module *m, struct own *own)
{
    struct carve measured = {NULL, 0};
    carve_all(&measured, m, own);
    struct carve c = {store_alloc(s, measured.used), 0};
    if (c.base == NULL) return NULL;
    const size_t size = measured.used;
    struct instance *in = carve_all(&c, m, own);
    CHECK(c.used == size, ".accounted");
    in->vm = &s->vm;
    in->store = s;
    in->module = m;
    in->code = m->code;
    in->const_code = m->const_code;
    in->types = m->types;
    in->mem0 = &s->nothing;
    return in;
}

/* ---- Filling the index spaces */
static void import_func(struct instance *in, const struct import *import, uint32_t func)
{
    CHECK_DEBUG(func != 0 && func >> FUNC_BLOCK_SHIFT < in->store->nfunc_blocks, ".func");
    in->imported_funcs[import->index] = func;
    struct host_func *host = func_instance(in->vm, func)->host;
    if (host != NULL && host->import == NULL) host->import = import;
}

static void import_all(struct instance *in, const struct rt_extern *imports)
{
    const struct module *m = in->module;
    for (uint32_t i = 0; i < m->nimports; i++) {
        const struct rt_extern *x = &imports[i];
        uint32_t index = m->imports[i].index;
        switch (x->kind) {
        case EXTERN_FUNC:
            import_func(in, &m->imports[i], x->func);
            break;
        case EXTERN_TABLE:
            in->tables[index] = x->table;
            break;
        case EXTERN_MEMORY:
            in->memories[index] = x->memory;
            break;
        case EXTERN_GLOBAL:
            in->globals[index] = x->global;
            break;
        default:
            in->tags[index] = x->tag;
            break;
        }
    }
}

static enum hemi_status make_memories(struct instance *in, struct memory *own, struct rt_error *err)
{
    const struct module *m = in->module;
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = m->nimported_memories; i < m->nmemories && status == HEMI_OK; i++) {
        in->memories[i] = own++;
        status = memory_init(in->store, in->memories[i], &m->memories[i].limits, err);
    }
    if (m->nmemories > 0) in->mem0 = in->memories[0];
    return status;
}

/* Guarded bodies believe that memory 0 is guarded, if they access it at all: one with 64-bit addresses they do not. */
static enum hemi_status choose_code(struct instance *in, struct module *m, struct rt_error *err)
{
    if (in->mem0->guarded || in->mem0->type.is64 || m->engine->scheme == SCHEME_EXPLICIT) return HEMI_OK;
    enum hemi_status status = module_explicit(m);
    if (status != HEMI_OK) return error_set(err, status, "explicit bounds checks for a module");
    CHECK(m->explicit_code != NULL, ".base");
    in->code = m->explicit_code;
    in->const_code = m->explicit_code + m->nfuncs;
    return HEMI_OK;
}

/* After item i of many. */
static enum hemi_status poll(struct store *s, uint32_t i, uint32_t per_poll, struct rt_error *err)
{
    bool is_due = i % per_poll == per_poll - 1;
    return !is_due || store_poll(s) == VM_OK ? HEMI_OK : pending_take(s, err);
}

static enum hemi_status make_tables(struct instance *in, struct table *own, struct rt_error *err)
{
    const struct module *m = in->module;
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = m->nimported_tables; i < m->ntables && status == HEMI_OK; i++) {
        static const uint32_t null;
        in->tables[i] = own++;
        table_init(in->store, in->tables[i], m->tables[i].type, &m->tables[i].limits);
        if (!m->tables[i].has_init) status = table_start(in->tables[i], &null, err);
        if (status == HEMI_OK) status = poll(in->store, i, TABLES_PER_POLL, err);
    }
    return status;
}

static enum hemi_status make_tags(struct instance *in, struct tag *own, struct rt_error *err)
{
    const struct module *m = in->module;
    for (uint32_t i = m->nimported_tags; i < m->ntags; i++) {
        in->tags[i] = own++;
        enum hemi_status status = tag_init(in->store, in->tags[i], m->tags[i]);
        if (status != HEMI_OK) return error_set(err, status, "no memory for a tag");
        status = poll(in->store, i, ITEMS_PER_POLL, err);
        if (status != HEMI_OK) return status;
    }
    return HEMI_OK;
}

/* A global's value comes later, and until then nobody can look at it. */
static void make_globals(struct instance *in, struct global *own)
{
    const struct module *m = in->module;
    for (uint32_t i = m->nimported_globals; i < m->nglobals; i++) in->globals[i] = own++;
}

static enum hemi_status imports_check(struct store *s, const struct module *m, const struct rt_extern *imports,
                                      struct rt_error *err)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < m->nimports && status == HEMI_OK; i++) {
        status = import_check(s, m, i, &imports[i], err);
        if (status != HEMI_OK || i % ITEMS_PER_POLL != ITEMS_PER_POLL - 1) continue;
        status = engine_poll(s->engine);
        if (status != HEMI_OK) error_set(err, status, "checking imports was stopped");
    }
    return status;
}

/* Everything up to where guest code may run. On failure the store still owns what was made. */
static enum hemi_status prepare(struct store *s, struct module *m, const struct rt_extern *imports,
                                struct instance **out, struct rt_error *err)
{
    struct own own;
    struct instance *in = allocate(s, m, &own);
    if (in == NULL) return error_set(err, HEMI_NO_MEMORY, "no memory for an instance");
    enum hemi_status status = store_register(s, in, m->nfuncs - m->nimported_funcs);
    if (in->id != 0) module_ref(m); /* it is in the store's list now, and store_free lets go of it */
    if (status != HEMI_OK) return error_set(err, status, "no function ids left for an instance");
    s->nguests++;
    import_all(in, imports);
    make_globals(in, own.globals);
    status = make_tags(in, own.tags, err);
    if (status == HEMI_OK) status = make_tables(in, own.tables, err);
    if (status == HEMI_OK) status = make_memories(in, own.memories, err);
    if (status == HEMI_OK) status = choose_code(in, m, err);
    *out = in;
    return status;
}

enum hemi_status instance_new(struct store *s, struct module *m, const struct rt_extern *imports, struct vm_stack stack,
                              struct instance **out, struct rt_error *err)
{
    *out = NULL;
    if (s->nguests >= s->opt.instance_limit)
        return error_limit(err, s->opt.names.instances, (uint64_t)s->nguests + 1, "", s->opt.instance_limit);
    enum hemi_status status = imports_check(s, m, imports, err);
    if (status != HEMI_OK) return status;
    struct activation a;
    status = activation_enter(s, &a, stack, 0, err);
    if (status != HEMI_OK) return status;
    struct instance *in;
    status = prepare(s, m, imports, &in, err);
    if (status == HEMI_OK) status = instance_initialise(in, err);
    activation_leave(s, &a);
    if (status == HEMI_OK) *out = in;
    return status;
}

/* ---- Exports */
static void export_get(const struct instance *in, const struct export *e, struct rt_extern *out)
{
    out->kind = e->kind;
    switch (e->kind) {
    case EXTERN_FUNC:
        out->func = func_id(in, e->index);
        break;
    case EXTERN_TABLE:
        out->table = in->tables[e->index];
        break;
    case EXTERN_MEMORY:
        out->memory = in->memories[e->index];
        break;
    case EXTERN_GLOBAL:
        out->global = in->globals[e->index];
        break;
    default:
        out->tag = in->tags[e->index];
        break;
    }
}

bool instance_export(struct instance *in, const char *name, size_t len, struct rt_extern *out)
{
    const struct module *m = in->module;
    struct name wanted = {.at = name, .len = (uint32_t)len};
    const struct export *e = len <= UINT32_MAX ? name_set_find(&m->export_names, m->exports, wanted) : NULL;
    if (e == NULL) return false;
    export_get(in, e, out);
    return true;
}

uint32_t instance_export_count(const struct instance *in) { return in->module->nexports; }

void instance_export_at(struct instance *in, uint32_t i, struct name *name, struct rt_extern *out)
{
    CHECK(i < in->module->nexports, ".numbered");
    *name = in->module->exports[i].name;
    export_get(in, &in->module->exports[i], out);
}

const struct module *instance_module(const struct instance *in) { return in->module; }
