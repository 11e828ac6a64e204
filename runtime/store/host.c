/* runtime/store/host.c -- host functions: functions of the embedder that guests call like any other.
 *
 * Each is an instance of a module of one function, so that calls, function ids and the frame walk need no special case.
 * Its arguments are copied out of the frame before the embedder sees them; the frame is not scanned after that. */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <stdlib.h>
#include <string.h>

enum { HOST_VALS_INLINE = 16, HOST_BUCKETS_MIN = 8 };

/* ---- Making */
static void add_to_bucket(struct store *s, struct host_type *t)
{
    struct host_type **bucket = &s->host_type_buckets[t->decl.type & s->host_type_mask];
    t->bucket_next = *bucket;
    *bucket = t;
}

/* As many buckets as types, or more; where there is no memory for them, fewer will do. */
static bool grow_buckets(struct store *s)
{
    uint32_t n = s->host_type_buckets != NULL ? s->host_type_mask + 1 : 0;
    if (s->nhost_types < n) return true;
    struct host_type **buckets = calloc(n != 0 ? 2 * n : HOST_BUCKETS_MIN, sizeof(struct host_type *));
    if (buckets == NULL) return n != 0;
    free(s->host_type_buckets);
    s->host_type_buckets = buckets;
    s->host_type_mask = (n != 0 ? 2 * n : HOST_BUCKETS_MIN) - 1;
    for (struct host_type *t = s->host_types; t != NULL; t = t->next) add_to_bucket(s, t);
    return true;
}

static struct host_type *find_type(const struct store *s, uint32_t type)
{
    if (s->host_type_buckets == NULL) return NULL;
    struct host_type *t = s->host_type_buckets[type & s->host_type_mask];
    while (t != NULL && t->decl.type != type) t = t->bucket_next;
    return t;
}

/* Takes over one reference on the type. */
static struct host_type *host_type_get(struct store *s, uint32_t type)
{
    struct host_type *known = find_type(s, type);
    if (known != NULL || !grow_buckets(s)) {
        types_unref(s->engine->types, type);
        return known;
    }
    struct host_type *t = store_alloc(s, sizeof *t);
    if (t == NULL) {
        types_unref(s->engine->types, type);
        return NULL;
    }
    const struct rtype *r = &s->vm.rtypes[type];
    code_init_host(&t->code, type, (uint16_t)r->param_slots, (uint16_t)r->result_slots);
    t->decl.type = type;
    t->module = (struct module){
        .refs = 1, .engine = s->engine, .nfuncs = 1, .funcs = &t->decl, .code = &t->code, .start = UINT32_MAX};
    t->next = s->host_types;
    s->host_types = t;
    s->nhost_types++;
    add_to_bucket(s, t);
    return t;
}

static enum hemi_status host_make(struct store *s, struct host_type *type, const struct host_func_options *opt,
                                  uint32_t *func)
{
    struct {
        struct instance in;
        struct host_func host;
    } *h = store_alloc(s, sizeof *h);
    if (h == NULL) return HEMI_NO_MEMORY;
    h->in = (struct instance){
        .vm = &s->vm, .mem0 = &s->nothing, .module = &type->module, .code = &type->code, .store = s, .host = &h->host};
    enum hemi_status status = store_register(s, &h->in, 1);
    if (status != HEMI_OK) return status;
    h->host = (struct host_func){.opt = *opt, .type = &s->vm.rtypes[type->decl.type], .next = s->host_funcs};
    s->host_funcs = &h->host;
    *func = h->in.func_base;
    return HEMI_OK;
}

uint32_t store_host_types(const struct store *s) { return s->nhost_types; }

enum hemi_status host_func_new(struct store *s, const valtype *vals, uint32_t nparams, uint32_t nresults,
                               const struct host_func_options *opt, uint32_t *func)
{
    uint32_t type;
    enum hemi_status status = types_func(s->engine->types, vals, nparams, nresults, &type);
    if (status != HEMI_OK) return status;
    struct host_type *t = host_type_get(s, type);
    return t == NULL ? HEMI_NO_MEMORY : host_make(s, t, opt, func);
}

enum hemi_status host_func_new_typed(struct store *s, uint32_t type_id, const struct host_func_options *opt,
                                     uint32_t *func)
{
    CHECK(s->vm.rtypes[type_id].kind == TYPE_FUNC, ".func");
    types_ref(s->engine->types, type_id);
    struct host_type *t = host_type_get(s, type_id);
    return t == NULL ? HEMI_NO_MEMORY : host_make(s, t, opt, func);
}

/* ---- Calling */
/* The instance whose frame called the one at fp; NULL when the embedder did. */
static struct instance *caller_of(const struct vm *vm, const char *fp)
{
    uint32_t header[2]; /* site, instance */
    memcpy(header, fp - SLOT_BYTES, sizeof header);
    CHECK(header[1] < vm->store->ninstances, ".frame");
    return header[0] == SITE_ENTRY ? NULL : vm->instances[header[1]];
}

/* The host function failed: what the guest is unwound with. */
static uint32_t host_failed(struct vm *vm, struct instance *in, enum hemi_status status, const struct rt_error *err)
{
    struct store *s = vm->store;
    struct pending *p = &vm->pending;
    if (status == HEMI_EXCEPTION && s->thrown == 0) status = HEMI_HOST;
    if (status == HEMI_TRAP)
        vm_trap(vm, in, NULL, err->trap != TRAP_NONE ? err->trap : TRAP_HOST_TRAP);
    else
        vm_stop(vm, status);
    p->from_host = true;
    p->exit_code = err->exit_code;
    if (status == HEMI_EXCEPTION) {
        p->exn = s->thrown;
        s->thrown = 0;
    }
    return VM_UNWIND;
}

static uint32_t host_run(struct vm *vm, struct instance *in, char *fp, union val *vals)
{
    struct store *s = vm->store;
    const struct rtype *t = in->host->type;
    const valtype *result_types = t->nresults > 0 ? t->vals + t->nparams : NULL;
    union val *results = vals + t->nparams;
    struct rt_error none, *err = s->activation->err != NULL ? s->activation->err : &none;
    *err = (struct rt_error){0};
    slots_to_vals(vals, fp, t->vals, t->nparams);
    memset(results, 0, t->nresults * sizeof *results);
    s->host_calls++;
    CHECK(s->activation->host == NULL && vm->exit_fp == fp, ".exit");
    CHECK(vm->pending.status == HEMI_OK && s->unfinished == NULL, ".pending");
    s->activation->host = in;
    enum hemi_status status = in->host->opt.call(in->host->opt.ctx, s, caller_of(vm, fp), vals, results, err);
    s->activation->host = NULL;
    CHECK(vm->exit_fp == fp, ".exit");
    CHECK(vm->pending.status == HEMI_OK && !heap_is_collecting(s->heap), ".pending");
    if (status == HEMI_OK) status = vals_check(s, results, result_types, t->nresults, "a host function's result", err);
    if (status != HEMI_OK) return host_failed(vm, in, status, err);
    slots_from_vals(fp, results, result_types, t->nresults);
    return VM_OK;
}

static uint32_t host_enter(struct vm *vm, struct instance *in, char *slots)
{
    const struct rtype *t = in->host->type;
    uint32_t nslots = in->code->nparams > in->code->nresults ? in->code->nparams : in->code->nresults;
    vm->exit_fp = slots;
    if (slots + nslots * SLOT_BYTES > vm->stack_limit) return vm_trap(vm, in, NULL, TRAP_STACK_OVERFLOW);
    union val some[HOST_VALS_INLINE], *vals = some;
    uint32_t n = t->nparams + t->nresults;
    if (n > HOST_VALS_INLINE && (vals = malloc(n * sizeof *vals)) == NULL) return vm_stop(vm, HEMI_NO_MEMORY);
    uint32_t result = host_run(vm, in, slots, vals);
    if (vals != some) free(vals);
    return result;
}

/* The host function has no site: it adds itself to the trace. */
uint32_t rt_host_call(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)a, (void)b;
    if (host_enter(vm, in, slots) == VM_OK) return VM_OK;
    trace_add_host(vm->store, in);
    return VM_UNWIND;
}
