/* runtime/interp/ops_table.c -- table.grow, fill, copy and init, elem.drop (helpers.def says their operands). */
#include "runtime/interp/ops.h"

static uint32_t bounds(struct vm *vm, struct instance *in) { return vm_trap(vm, in, NULL, TRAP_TABLE_BOUNDS); }

uint32_t rt_table_grow(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    struct table *t = in->tables[a];
    uint32_t old = t->size;
    enum hemi_status status = table_extend(t, slot_addr(slots, 1, t->limits.is64), slot_bits(slots, 0));
    bool refused = status == HEMI_LIMIT || status == HEMI_NO_MEMORY;
    if (status != HEMI_OK && !refused) return vm_stop(vm, status);
    slot_put_grown(slots, !refused, old, t->limits.is64);
    return VM_OK;
}

uint32_t rt_table_fill(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    struct table *t = in->tables[a];
    uint64_t at = slot_addr(slots, 0, t->limits.is64), n = slot_addr(slots, 2, t->limits.is64);
    if (!table_within(t, at, n)) return bounds(vm, in);
    return table_set_all(t, at, slot_bits(slots, 1), n);
}

uint32_t rt_table_copy(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    struct table *to = in->tables[a], *from = in->tables[b];
    uint64_t at = slot_addr(slots, 0, to->limits.is64), from_at = slot_addr(slots, 1, from->limits.is64);
    uint64_t n = slot_addr(slots, 2, to->limits.is64 && from->limits.is64);
    if (!table_within(to, at, n) || !table_within(from, from_at, n)) return bounds(vm, in);
    return table_move(to, at, from, from_at, n);
}

uint32_t rt_table_init(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    const struct elem_inst *e = &in->elems[a];
    struct table *t = in->tables[b];
    uint64_t at = slot_addr(slots, 0, t->limits.is64);
    uint32_t from = slot_u32(slots, 1), n = slot_u32(slots, 2);
    if (!table_within(t, at, n) || (uint64_t)from + n > e->count) return bounds(vm, in);
    return table_put(t, at, e, from, n);
}

uint32_t rt_elem_drop(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)slots, (void)b;
    elem_inst_drop(vm->store, &in->elems[a]);
    return VM_OK;
}
