/* runtime/store/trap.c -- why and where a guest stops: vm.pending, and its translation into an rt_error. */
#include "base/check.h"
#include "runtime/store/store.h"

#include <string.h>

enum { PLACES_SHOWN = 4 }; /* in a message; the trace has more */

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

static uint32_t stop(struct vm *vm, enum hemi_status status, enum wasm_trap trap)
{
    struct pending *p = &vm->pending;
    CHECK(status != HEMI_OK && (status == HEMI_TRAP) == (trap != TRAP_NONE), ".pending");
    CHECK(p->status == HEMI_OK, ".pending"); /* nothing goes on once a guest is being unwound */
    p->status = status;
    p->trap = trap;
    p->exn = 0;
    p->exit_code = 0;
    p->from_host = false;
    trace_begin(vm->store);
    return VM_UNWIND;
}

/* Adds the place of a pc in the module's code. */
static void add_pc(struct store *s, const struct instance *in, const uint8_t *pc)
{
    const struct code *found = module_code_at(in->module, in->code, pc);
    if (found != NULL) trace_add(s, (struct place){in->id, found->func, code_offset(found, pc)});
}

uint32_t vm_trap(struct vm *vm, struct instance *in, const uint8_t *pc, enum wasm_trap trap)
{
    stop(vm, HEMI_TRAP, trap);
    if (pc != NULL && in->host != NULL)
        trace_add_host(vm->store, in);
    else if (pc != NULL)
        add_pc(vm->store, in, pc);
    return VM_UNWIND;
}

uint32_t vm_stop(struct vm *vm, enum hemi_status status) { return stop(vm, status, TRAP_NONE); }

uint32_t vm_leave(struct vm *vm, struct instance *in, uint32_t site)
{
    CHECK_DEBUG(vm->pending.status != HEMI_OK, ".pending");
    CHECK_DEBUG(site != SITE_ENTRY && site < in->module->nsites, ".frame");
    const struct site *at = &in->module->sites[site];
    trace_add(vm->store, (struct place){in->id, at->func, at->offset});
    return VM_UNWIND;
}

/* ---- Messages */
static void text_exception(struct text *t, const struct store *s, uint32_t exn)
{
    uint32_t tag;
    memcpy(&tag, s->vm.heap.base + exn + EXN_TAG_OFFSET, sizeof tag);
    CHECK(tag != 0 && tag < s->ntags, ".numbered");
    text_add(t, "uncaught exception with tag type ");
    text_functype(t, s->engine, s->tags[tag]->type);
}

static void text_what(struct text *t, const struct store *s, const struct pending *p)
{
    switch (p->status) {
    case HEMI_TRAP:
        text_add(t, "%s", trap_texts[p->trap]);
        text_limit_of_trap(t, s, p->trap);
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

/* The innermost frame of a module's; NULL: none is among those kept. */
static const struct place *guest_place(const struct store *s)
{
    const struct place *p;
    for (uint32_t i = 0; (p = trace_place(&s->trace, i)) != NULL; i++)
        if (s->vm.instances[p->instance]->host == NULL) return p;
    return NULL;
}

static void text_places(struct text *t, const struct store *s)
{
    const struct place *p;
    uint32_t shown = 0;
    for (uint32_t i = 0; shown < PLACES_SHOWN && (p = trace_place(&s->trace, i)) != NULL; i++) {
        const struct instance *in = s->vm.instances[p->instance];
        if (in->host != NULL) continue;
        text_add(t, shown++ == 0 ? " in " : ", called from ");
        text_func(t, in->module, p->func);
    }
}

static void say_where(const struct store *s, struct rt_error *err)
{
    const struct place *p = guest_place(s);
    err->traced = err->status != HEMI_EXIT && store_trace_count(s) > 0;
    err->has_offset = p != NULL;
    err->has_func = p != NULL && !(p->func & SITE_CONST);
    err->offset = p != NULL ? p->offset : 0;
    err->func = err->has_func ? p->func : 0;
}

enum hemi_status pending_take(struct store *s, struct rt_error *err)
{
    struct pending p = s->vm.pending;
    CHECK(p.status != HEMI_OK && (p.status == HEMI_EXCEPTION) == (p.exn != 0), ".pending");
    memset(&s->vm.pending, 0, sizeof s->vm.pending);
    if (p.status == HEMI_EXCEPTION) s->thrown = p.exn;
    if (err == NULL) return p.status;
    if (!p.from_host || err->message[0] == 0) {
        *err = (struct rt_error){0};
        struct text t = {err->message, sizeof err->message, 0};
        text_what(&t, s, &p);
        if (p.status != HEMI_EXIT) text_places(&t, s);
    }
    err->status = p.status;
    err->trap = p.trap;
    err->exit_code = p.exit_code;
    say_where(s, err);
    trace_add_outer(s);
    return p.status;
}
