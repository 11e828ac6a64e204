/* server/requests/link.c -- linking, in two passes: what is given is checked, then WASI's functions are made. */
#include "server/requests/link.h"

#include <stdio.h>
#include <string.h>

#include "proto/limits.h"
#include "server/wasi/wasi.h"
#include "server/worker/connection.h"
#include "server/worker/request.h"
#include "server/worker/state.h"
#include "server/worker/values.h"

enum {
    TAIL_BYTES = 48, /* for how many more there are */
    IMPORTS_PER_POLL = 256,
};

/* All that does not link, as one text; what it has no room for is counted. */
struct complaint {
    char text[PROTO_TEXT_MAX];
    size_t used;
    uint32_t count, shown;
    struct rt_error err; /* the last one */
};

static bool is_full(const struct complaint *c) { return c->shown < c->count; }

static void complain(struct complaint *c)
{
    size_t room = sizeof c->text - TAIL_BYTES - c->used, size = strlen(c->err.message) + strlen("; ");
    bool fits = !is_full(c) && size < room;
    c->count++;
    if (!fits) return;
    c->used += (size_t)snprintf(c->text + c->used, room, "%s%s", c->shown ? "; " : "", c->err.message);
    c->shown++;
}

static enum hemi_status tell_complaint(struct request *r, struct complaint *c)
{
    if (c->count == 0) return HEMI_OK;
    if (c->count > c->shown)
        snprintf(c->text + c->used, sizeof c->text - c->used, "; and %u more imports", c->count - c->shown);
    return request_fail_long(r, HEMI_LINK, c->text);
}

/* ---- what is given */

static bool import_of_object(const struct object *o, struct rt_extern *x)
{
    switch (o->kind) {
    case OBJECT_REF:
        *x = (struct rt_extern){.kind = EXTERN_FUNC, .func = o->u.root.bits};
        break;
    case OBJECT_TABLE:
        *x = (struct rt_extern){.kind = EXTERN_TABLE, .table = o->u.table};
        break;
    case OBJECT_MEMORY:
        *x = (struct rt_extern){.kind = EXTERN_MEMORY, .memory = o->u.memory};
        break;
    case OBJECT_GLOBAL:
        *x = (struct rt_extern){.kind = EXTERN_GLOBAL, .global = o->u.global};
        break;
    case OBJECT_TAG:
        *x = (struct rt_extern){.kind = EXTERN_TAG, .tag = o->u.tag};
        break;
    default:
        return false;
    }
    return o->bound && (o->kind != OBJECT_REF || (o->u.root.slot == HEAP_SLOT_FUNC && o->u.root.bits != 0));
}

static bool names_wasi(const struct import *im)
{
    return im->module.len == strlen(WASI_MODULE) && memcmp(im->module.at, WASI_MODULE, im->module.len) == 0;
}

static bool is_wasi(const struct request *r, const struct module *m, uint32_t i)
{
    bool given = i < r->npins && r->pins[i];
    return !given && r->uses[2] && m->imports[i].kind == EXTERN_FUNC && names_wasi(&m->imports[i]);
}

static enum hemi_status missing(const struct request *r, const struct module *m, uint32_t i, struct rt_error *err)
{
    if (!err) return HEMI_LINK;
    char import[sizeof err->message - 80];
    import_describe(m, i, import, sizeof import);
    return rt_fail(err, HEMI_LINK, "unknown %s, %s", import,
                   names_wasi(&m->imports[i]) && !r->uses[2] ? "no WASI was given" : "nothing was given for it");
}

/* Nothing is said without an err. */
static enum hemi_status check_import(struct request *r, const struct module *m, uint32_t i, struct rt_extern *x,
                                     struct rt_error *err)
{
    const struct import *im = &m->imports[i];
    const struct object *o = i < r->npins ? r->pins[i] : NULL;
    if (is_wasi(r, m, i)) return wasi_check(r->store, im->name, m->funcs[im->index].type, err);
    if (!o) return missing(r, m, i, err);
    if (import_of_object(o, x)) return import_check(r->store->store, m, i, x, err);
    return request_fail(r, HEMI_HANDLE, "import %u: what is given (%s) cannot be imported", i,
                        object_kind_text((enum object_kind)o->kind));
}

static enum hemi_status poll(struct request *r, uint32_t i)
{
    struct scheduler *s = &r->conn->worker->sched;
    return i % IMPORTS_PER_POLL == IMPORTS_PER_POLL - 1 && s->poll ? scheduler_yield(s) : HEMI_OK;
}

static enum hemi_status check_imports(struct request *r, const struct module *m, struct rt_extern *imports)
{
    struct complaint c = {.used = 0};
    for (uint32_t i = 0; i < m->nimports; i++) {
        enum hemi_status status = check_import(r, m, i, &imports[i], is_full(&c) ? NULL : &c.err);
        if (status == HEMI_LINK) complain(&c);
        if (status == HEMI_LINK || status == HEMI_OK) status = poll(r, i);
        if (status != HEMI_OK) return status;
    }
    return tell_complaint(r, &c);
}

enum hemi_status request_link(struct request *r, const struct module *m, struct rt_extern *imports)
{
    enum hemi_status status = check_imports(r, m, imports);
    for (uint32_t i = 0; i < m->nimports && status == HEMI_OK; i++) {
        const struct import *im = &m->imports[i];
        if (!is_wasi(r, m, i)) continue;
        imports[i].kind = EXTERN_FUNC;
        status = wasi_import(wasi_of(r->uses[2]->u.inside), im->name, m->funcs[im->index].type, &imports[i].func,
                             &r->reply.error);
    }
    return status;
}
