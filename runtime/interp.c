/* runtime/interp.c -- the bodies as the handlers of a threaded interpreter: each ends by jumping to the next one's. */
#include "runtime/simd.h"
#include "runtime/translate.h"
#include "runtime/vmops.h"

#define COLD __attribute__((noinline, cold, unused))

vm_helper *const vm_helpers[HELPER_COUNT] = {
#define HELPER(name, file, what) rt_##name,
#include "runtime/helpers.def"
#undef HELPER
};

/* Handlers are found by their distance from this one, so that code holds no addresses. Never run. */
VM_NONE uint32_t vmop_anchor(VM_PARAMS)
{
    (void)pc, (void)fp, (void)in, (void)vm, (void)mem, (void)r0;
    return VM_OK;
}

#define FIELD_SLOT(off) ((size_t)ld16(pc + (off)) * SLOT_BYTES)
#define FIELD_U16(off) ((uint32_t)ld16(pc + (off)))
#define FIELD_U32(off) ld32(pc + (off))
#define FIELD_U64(off) ld64(pc + (off))
#define HELPER(name) rt_##name
#define HELPER_AT(index) vm_helpers[index]
#define DISPATCH()                                                                                                     \
    do {                                                                                                               \
        vm_entry next_ = (vm_entry)(void *)((char *)vmop_anchor + lds32(pc));                                          \
        VM_TAIL return next_(VM_ARGS);                                                                                 \
    } while (0)
#define NEXT(size)                                                                                                     \
    do {                                                                                                               \
        pc += (size);                                                                                                  \
        DISPATCH();                                                                                                    \
    } while (0)
#define BRANCH(off)                                                                                                    \
    do {                                                                                                               \
        pc += lds32(pc + (off));                                                                                       \
        DISPATCH();                                                                                                    \
    } while (0)
#define BRANCH_POLL(off)                                                                                               \
    do {                                                                                                               \
        pc += lds32(pc + (off));                                                                                       \
        if (UNLIKELY(*vm->poll)) pc -= LOOP_BYTES;                                                                     \
        DISPATCH();                                                                                                    \
    } while (0)
#define TABLE_BRANCH(off, index)                                                                                       \
    do {                                                                                                               \
        uint32_t i_ = (index), n_ = ld32(pc + (off));                                                                  \
        pc += lds32(pc + (off) + 4 + 4 * (size_t)(i_ < n_ ? i_ : n_));                                                 \
        DISPATCH();                                                                                                    \
    } while (0)
#define TAIL_CALL(to, instance)                                                                                        \
    do {                                                                                                               \
        in = (instance);                                                                                               \
        mem = in->mem0;                                                                                                \
        pc = (to)->bytes;                                                                                              \
        vm_entry entry_ = (to)->entry;                                                                                 \
        VM_TAIL return entry_(VM_ARGS);                                                                                \
    } while (0)
#define TRAP(name) VM_TAIL return trap_##name(VM_ARGS)
#define UNWIND(site)                                                                                                   \
    do {                                                                                                               \
        r0 = (site);                                                                                                   \
        VM_TAIL return unwind(VM_ARGS);                                                                                \
    } while (0)

/* One cold exit per trap, so that a handler's trap is a bare jump. */
#define X(name, number, text)                                                                                          \
    COLD static VM_NONE uint32_t trap_##name(VM_PARAMS)                                                                \
    {                                                                                                                  \
        (void)fp, (void)mem, (void)r0;                                                                                 \
        return vm_trap(vm, in, pc, TRAP_##name);                                                                       \
    }
WASM_TRAPS(X)
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
        for (uint32_t i = 0; i < r->count; i++)
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

/* A call or helper at the site in r0 has failed: goes on in this function if it catches, else unwinds further. */
COLD static VM_NONE uint32_t unwind(VM_PARAMS)
{
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

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-parameter" /* a body uses what it needs of VM_PARAMS */
#define HANDLER(id, size, ...) static VM_NONE uint32_t op_##id(VM_PARAMS) __VA_ARGS__
#include "runtime/bodies.def"
#pragma clang diagnostic pop

const vm_entry vmop_handlers[VMOP_COUNT] = {
#define HANDLER(id, size, ...) op_##id,
#include "runtime/bodies.def"
};

uint32_t vm_enter(struct vm *vm, struct instance *in, const struct code *code, char *fp)
{
    return code->entry(code->bytes, fp, in, vm, in->mem0, 0);
}

void code_init_host(struct code *c, uint32_t type, uint16_t nparams, uint16_t nresults)
{
    static const uint8_t no_bytes[1];
    *c =
        (struct code){.entry = op_HOST_CALL, .bytes = no_bytes, .type = type, .nparams = nparams, .nresults = nresults};
    c->nlocals = nparams;
    c->frame_slots = (uint16_t)((nparams > nresults ? nparams : nresults) + 1);
}
