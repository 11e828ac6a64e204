/* runtime/interp/ops_memory.c -- memory.grow, fill, copy and init, data.drop (helpers.def says their operands). Bounds
 * are checked once, before the first piece: sizes only grow. */
#include "runtime/interp/ops.h"

static uint32_t bounds(struct vm *vm, struct instance *in) { return vm_trap(vm, in, NULL, TRAP_MEMORY_BOUNDS); }

uint32_t rt_memory_grow(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)vm, (void)b;
    struct memory *m = in->memories[a];
    uint64_t old = 0;
    bool grown = memory_grow(m, slot_addr(slots, 0, m->type.is64), &old) == HEMI_OK;
    slot_put_grown(slots, grown, old, m->type.is64);
    return VM_OK;
}

uint32_t rt_memory_fill(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    struct memory *m = in->memories[a];
    uint64_t at = slot_addr(slots, 0, m->type.is64), n = slot_addr(slots, 2, m->type.is64);
    if (!memory_within(m, at, n)) return bounds(vm, in);
    return memory_set(m, at, (uint8_t)slot_u32(slots, 1), n);
}

uint32_t rt_memory_copy(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    struct memory *to = in->memories[a], *from = in->memories[b];
    uint64_t at = slot_addr(slots, 0, to->type.is64), from_at = slot_addr(slots, 1, from->type.is64);
    uint64_t n = slot_addr(slots, 2, to->type.is64 && from->type.is64);
    if (!memory_within(to, at, n) || !memory_within(from, from_at, n)) return bounds(vm, in);
    return memory_move(to, at, from, from_at, n);
}

uint32_t rt_memory_init(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    const struct data_inst *d = &in->datas[a];
    struct memory *m = in->memories[b];
    uint64_t at = slot_addr(slots, 0, m->type.is64);
    uint32_t from = slot_u32(slots, 1), n = slot_u32(slots, 2);
    if (!memory_within(m, at, n) || (uint64_t)from + n > d->size) return bounds(vm, in);
    return n == 0 ? VM_OK : memory_put(m, at, d->bytes + from, n); /* a dropped segment has no address */
}

uint32_t rt_data_drop(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)vm, (void)slots, (void)b;
    in->datas[a].size = 0;
    return VM_OK;
}
