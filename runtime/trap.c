/* runtime/trap.c -- why and where a guest stops: vm.pending, and its translation into an rt_error. */
#include "runtime/store.h"
#include "runtime/translate.h"

#include <string.h>

static const char *const trap_texts[] = {
#define X(name, number, text) [number] = text,
    WASM_TRAPS(X)
#undef X
};
static const char *const status_texts[] = {
#define X(name, number, text, meaning) [number] = text,
    HEMI_STATUSES(X)
#undef X
};

/* ---- Places */
static bool code_holds(const struct code *c, const uint8_t *pc)
{
    return c->bytes != NULL && pc >= c->bytes && pc < c->bytes + c->size;
}

/* The place of a pc in the module's code. Only a trap asks, so a linear search will do. */
static bool place_of_pc(const struct instance *in, const uint8_t *pc, struct place *p)
{
    const struct module *m = in->module;
    const struct code *found = NULL;
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs && found == NULL; i++)
        if (code_holds(&m->code[i], pc)) found = &m->code[i];
    for (uint32_t i = 0; i < m->nconst_code && found == NULL; i++)
        if (code_holds(&m->const_code[i], pc)) found = &m->const_code[i];
    if (found == NULL) return false;
    *p = (struct place){in->id, found->func, code_offset(found, pc)};
    return true;
}

/* The place of the frame whose callee's frame is at *fp, which then becomes the frame itself. False at the bottom. */
static bool place_of_caller(const struct store *s, char **fp, struct place *p)
{
    uint32_t header[2]; /* site, instance */
    memcpy(header, *fp - SLOT_BYTES, sizeof header);
    if (header[0] == SITE_ENTRY || header[1] >= s->ninstances) return false;
    const struct module *m = s->vm.instances[header[1]]->module;
    if (header[0] >= m->nsites) return false;
    const struct site *site = &m->sites[header[0]];
    *p = (struct place){header[1], site->func, site->offset};
    *fp -= site->delta * SLOT_BYTES;
    return true;
}

static void places_walk(struct vm *vm)
{
    struct pending *p = &vm->pending;
    char *fp = vm->exit_fp;
    if (vm->store->activation == NULL) return;
    while (p->nplaces < PENDING_PLACES && place_of_caller(vm->store, &fp, &p->places[p->nplaces])) p->nplaces++;
}

static uint32_t stop(struct vm *vm, enum hemi_status status, enum wasm_trap trap)
{
    struct pending *p = &vm->pending;
    p->status = status;
    p->trap = trap;
    p->exn = 0;
    p->exit_code = 0;
    p->from_host = false;
    p->nplaces = 0;
    return VM_UNWIND;
}

uint32_t vm_trap(struct vm *vm, struct instance *in, const uint8_t *pc, enum wasm_trap trap)
{
    stop(vm, HEMI_TRAP, trap);
    if (pc == NULL)
        places_walk(vm);
    else if (place_of_pc(in, pc, &vm->pending.places[0]))
        vm->pending.nplaces = 1;
    return VM_UNWIND;
}

uint32_t vm_stop(struct vm *vm, enum hemi_status status)
{
    stop(vm, status, TRAP_NONE);
    places_walk(vm);
    return VM_UNWIND;
}

/* ---- Messages */
static void text_exception(struct text *t, const struct store *s, uint32_t exn)
{
    uint32_t tag;
    memcpy(&tag, s->vm.heap.base + exn + EXN_TAG_OFFSET, sizeof tag);
    text_add(t, "uncaught exception with tag type ");
    text_functype(t, s->engine, s->tags[tag]->type);
}

static void text_what(struct text *t, const struct store *s, const struct pending *p)
{
    switch (p->status) {
    case HEMI_TRAP:
        text_add(t, "%s", trap_texts[p->trap]);
        break;
    case HEMI_EXCEPTION:
        text_exception(t, s, p->exn);
        break;
    case HEMI_EXIT:
        text_add(t, "exit with %d", p->exit_code);
        break;
    default:
        text_add(t, "%s", status_texts[p->status]);
        break;
    }
}

static void text_places(struct text *t, const struct store *s, const struct pending *p)
{
    for (uint32_t i = 0; i < p->nplaces; i++) {
        text_add(t, i == 0 ? " in " : ", called from ");
        text_func(t, s->vm.instances[p->places[i].instance]->module, p->places[i].func);
    }
}

enum hemi_status pending_take(struct store *s, struct rt_error *err)
{
    struct pending p = s->vm.pending;
    memset(&s->vm.pending, 0, sizeof s->vm.pending);
    if (p.status == HEMI_EXCEPTION) s->thrown = p.exn;
    if (err == NULL) return p.status;
    if (!p.from_host || err->message[0] == 0) {
        *err = (struct rt_error){0};
        struct text t = {err->message, sizeof err->message, 0};
        text_what(&t, s, &p);
        if (p.status != HEMI_EXIT) text_places(&t, s, &p);
    }
    err->status = p.status;
    err->trap = p.trap;
    err->exit_code = p.exit_code;
    err->has_offset = err->has_func = p.nplaces > 0;
    err->has_func = err->has_func && !(p.places[0].func & SITE_CONST);
    err->offset = p.nplaces > 0 ? p.places[0].offset : 0;
    err->func = err->has_func ? p.places[0].func : 0;
    return p.status;
}
