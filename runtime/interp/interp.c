/* runtime/interp/interp.c -- the interpreter's exits (traps, faults, unwinding) and its entry. */
#include "runtime/interp/interp.h"
#include "base/check.h"
#include "runtime/engine/faults.h"

#define COLD __attribute__((noinline, cold))

const vm_entry *const vmop_handlers[SCHEME_COUNT] = {vmop_explicit, vmop_guarded};

/* Handlers are found by their distance from this one, so that code holds no addresses. Never run. */
VM_NONE uint32_t vmop_anchor(VM_PARAMS)
{
    (void)pc, (void)fp, (void)in, (void)vm, (void)mem, (void)r0;
    return VM_OK;
}

#define X(name, number, text)                                                                                          \
    COLD VM_NONE uint32_t vm_trap_##name(VM_PARAMS)                                                                    \
    {                                                                                                                  \
        (void)fp, (void)mem, (void)r0;                                                                                 \
        return vm_trap(vm, in, pc, TRAP_##name);                                                                       \
    }
WASM_TRAPS(X)
#undef X

#define X(name, from, bytes)                                                                                           \
    COLD VM_NONE uint32_t vm_fault_##name(VM_PARAMS)                                                                   \
    {                                                                                                                  \
        faults_expect(from, bytes);                                                                                    \
        TRAP(name);                                                                                                    \
    }
VM_FAULTS(X)
#undef X

static bool clause_catches(const struct catch_clause *c, const struct vm *vm, const struct instance *in)
{
    if (c->kind >= 2) return true;
    return in->tags[c->tag]->id == ld32(vm->heap.base + vm->pending.exn + EXN_TAG_OFFSET);
}

static const struct catch_clause *find_clause(const struct vm *vm, const struct instance *in, const struct code *code,
                                              uint32_t region)
{
    for (; region != REGION_NONE; region = code->regions[region].outer) {
        const struct region *r = &code->regions[region];
        trace_step(vm->store);
        for (uint32_t i = 0; i < r->count; i++, trace_step(vm->store))
            if (clause_catches(&code->clauses[r->first + i], vm, in)) return &code->clauses[r->first + i];
    }
    return NULL;
}

/* Puts what the clause asks for into the target's slots: the payload (catch, catch_ref), then the exnref (the _refs).
 */
static void deliver(struct vm *vm, const struct catch_clause *c, char *fp)
{
    char *slot = fp + (size_t)c->slot * SLOT_BYTES;
    uint32_t exn = vm->pending.exn;
    CHECK_DEBUG(exn != 0, ".pending");
    if (c->kind < 2) {
        const struct rtype *layout = &vm->rtypes[object_desc(vm, exn)];
        for (uint32_t i = 0; i < layout->nfields; i++, slot += SLOT_BYTES) {
            const uint8_t *at = HEAP(exn, layout->fields[i].offset);
            uint32_t size = layout->fields[i].size;
            st64(slot, size >= 8 ? ld64(at) : ld32(at));
            if (size == 16) st64(slot += SLOT_BYTES, ld64(at + 8));
        }
    }
    if (c->kind & 1) st64(slot, exn);
    vm->pending = (struct pending){0};
}

COLD VM_NONE uint32_t vm_unwind(VM_PARAMS)
{
    CHECK_DEBUG(vm->pending.status != HEMI_OK, ".pending");
    CHECK_DEBUG(r0 != SITE_ENTRY && r0 < in->module->nsites, ".safepoint");
    const struct site *site = &in->module->sites[r0];
    if (vm->pending.status != HEMI_EXCEPTION || site->region == REGION_NONE) return vm_leave(vm, in, (uint32_t)r0);
    const struct code *code = &in->code[site->func];
    const struct catch_clause *clause = find_clause(vm, in, code, site->region);
    if (clause == NULL) return vm_leave(vm, in, (uint32_t)r0);
    deliver(vm, clause, fp);
    pc = code->bytes + clause->pc;
    mem = in->mem0;
    DISPATCH();
}

uint32_t vm_enter(struct vm *vm, struct instance *in, const struct code *code, char *fp)
{
    CHECK_DEBUG(vm->exit_fp == fp, ".exit");
    uint32_t result = code->entry(code->bytes, fp, in, vm, in->mem0, 0);
    CHECK_DEBUG((result == VM_OK) == (vm->pending.status == HEMI_OK), ".pending");
    return result;
}

void code_init_host(struct code *c, uint32_t type, uint16_t nparams, uint16_t nresults)
{
    static const uint8_t no_bytes[1];
    *c = (struct code){.entry = vmop_handlers[SCHEME_EXPLICIT][VM_HOST_CALL],
                       .bytes = no_bytes,
                       .type = type,
                       .nparams = nparams,
                       .nresults = nresults};
    c->nlocals = nparams;
    c->frame_slots = (uint16_t)((nparams > nresults ? nparams : nresults) + 1);
}

#undef HELPER
vm_helper *const vm_helpers[HELPER_COUNT] = {
#define HELPER(name, file, what) rt_##name,
#include "runtime/code/helpers.def"
#undef HELPER
};
