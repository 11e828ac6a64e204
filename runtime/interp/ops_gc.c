/* runtime/interp/ops_gc.c -- the instructions that make structs and arrays or work on many elements (helpers.def says
 * their operands). Bounds are checked before anything is written; an array's base is read again after each poll. */
#include "base/check.h"
#include "runtime/interp/object.h"

uint32_t object_refused(struct vm *vm, struct instance *in, enum heap_status status)
{
    return vm_trap(vm, in, NULL, status == HEAP_TOO_LARGE ? TRAP_ALLOCATION : TRAP_HEAP_EXHAUSTED);
}

/* ---- Structs */
uint32_t rt_struct_new(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    uint32_t id = in->types[a];
    heap_ref r;
    if (object_new(vm, in, id, &r) != VM_OK) return VM_UNWIND;
    object_fill(vm->heap.base + r.bits, &vm->rtypes[id], slots);
    slot_put(slots, 0, r.bits);
    return VM_OK;
}

uint32_t rt_struct_new_default(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    heap_ref r;
    if (object_new(vm, in, in->types[a], &r) != VM_OK) return VM_UNWIND;
    slot_put(slots, 0, r.bits);
    return VM_OK;
}

/* ---- Arrays: making */
static uint32_t elem_size(const struct vm *vm, uint32_t id) { return vm->rtypes[id].fields[0].size; }
static uint32_t elem_slots(uint32_t size) { return size == 16 ? 2 : 1; }
static uint8_t *array_data(const struct vm *vm, uint32_t array) { return vm->heap.base + array + HEAP_ARRAY_DATA; }

enum { BUMPED_ARRAY_MAX = 1 << 16 }; /* bytes; larger ones go the heap's own way */

/* An array of zeros. VM_UNWIND when the heap refuses. */
static uint32_t array_make(struct vm *vm, struct instance *in, uint32_t id, uint32_t length, heap_ref *out)
{
    uint64_t bytes = (HEAP_ARRAY_DATA + (uint64_t)length * elem_size(vm, id) + 3) & ~(uint64_t)3;
    *out = bytes <= BUMPED_ARRAY_MAX ? heap_bump(&vm->heap, id, (uint32_t)bytes) : heap_null();
    if (!heap_is_null(*out)) {
        memcpy(vm->heap.base + out->bits + 4, &length, sizeof length);
        memset(array_data(vm, out->bits), 0, bytes - HEAP_ARRAY_DATA);
        return VM_OK;
    }
    enum heap_status status = heap_alloc_array(vm->store->heap, id, length, out);
    return status == HEAP_OK ? VM_OK : object_refused(vm, in, status);
}

static void fill_piece(uint8_t *at, uint64_t bytes, const char *value, uint32_t size)
{
    if (size == 1) {
        memset(at, value[0], bytes);
        return;
    }
    for (uint64_t i = 0; i < bytes; i += size) field_store(at + i, value, size);
}

/* Stores n copies of the slot at `value` from element `at` on. *array and the slot are read again after each poll. */
static uint32_t array_fill(struct vm *vm, const uint32_t *array, uint32_t at, const char *value, uint32_t n,
                           uint32_t size)
{
    CHECK_DEBUG((uint64_t)at + n <= heap_array_length(vm->heap.base, (heap_ref){*array}), ".bulk");
    struct bulk b = bulk_start((uint64_t)n * size, false);
    while (bulk_next(&b, vm->store))
        fill_piece(array_data(vm, *array) + (uint64_t)at * size + b.at, b.len, value, size);
    return bulk_end(vm->store);
}

/* As array_fill for elements that come from outside the heap: the bytes of a segment from `from` on. A segment that was
 * dropped has none, and no address either. */
static uint32_t array_put(struct vm *vm, const uint32_t *array, uint32_t at, const void *bytes, uint64_t from,
                          uint64_t n, uint32_t size)
{
    CHECK_DEBUG((uint64_t)at + n <= heap_array_length(vm->heap.base, (heap_ref){*array}), ".bulk");
    struct bulk b = bulk_start(n * size, false);
    while (bulk_next(&b, vm->store))
        memcpy(array_data(vm, *array) + (uint64_t)at * size + b.at, (const char *)bytes + from + b.at, b.len);
    return bulk_end(vm->store);
}

/* A new array while it is filled: a root, in case a poll lets something collect, and nobody's before it is whole. */
static void array_begin(struct store *s, struct root *r, heap_ref array)
{
    CHECK(s->unfinished == NULL, ".whole");
    root_init(s, r, HEAP_SLOT_REF, array.bits);
    s->unfinished = r;
}

static uint32_t array_finish(struct store *s, struct root *r, uint32_t result, char *slots)
{
    CHECK(s->unfinished == r && (result == VM_OK) == (s->vm.pending.status == HEMI_OK), ".whole");
    if (result == VM_OK) slot_put(slots, 0, r->bits);
    s->unfinished = NULL;
    root_deinit(r);
    return result;
}

uint32_t rt_array_new(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    uint32_t id = in->types[a], size = elem_size(vm, id), length = slot_u32(slots, elem_slots(size));
    heap_ref array;
    if (array_make(vm, in, id, length, &array) != VM_OK) return VM_UNWIND;
    struct root r;
    array_begin(vm->store, &r, array);
    return array_finish(vm->store, &r, array_fill(vm, &r.bits, 0, slots, length, size), slots);
}

uint32_t rt_array_new_default(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    heap_ref array;
    if (array_make(vm, in, in->types[a], slot_u32(slots, 0), &array) != VM_OK) return VM_UNWIND;
    slot_put(slots, 0, array.bits);
    return VM_OK;
}

uint32_t rt_array_new_fixed(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    uint32_t id = in->types[a], size = elem_size(vm, id), step = elem_slots(size) * SLOT_BYTES;
    heap_ref array;
    if (array_make(vm, in, id, b, &array) != VM_OK) return VM_UNWIND;
    uint8_t *at = array_data(vm, array.bits);
    for (uint32_t i = 0; i < b; i++) field_store(at + i * size, slots + i * step, size);
    slot_put(slots, 0, array.bits);
    return VM_OK;
}

static bool data_within(const struct data_inst *d, uint32_t from, uint32_t n, uint32_t size)
{
    return from + (uint64_t)n * size <= d->size;
}

static bool elem_within(const struct elem_inst *e, uint32_t from, uint32_t n) { return (uint64_t)from + n <= e->count; }

/* [from, length] -> [ref], of the bytes of a segment, which no collection moves. */
static uint32_t array_new_from(struct vm *vm, struct instance *in, char *slots, uint32_t id, const void *bytes,
                               uint64_t from)
{
    uint32_t length = slot_u32(slots, 1);
    heap_ref array;
    if (array_make(vm, in, id, length, &array) != VM_OK) return VM_UNWIND;
    struct root r;
    array_begin(vm->store, &r, array);
    return array_finish(vm->store, &r, array_put(vm, &r.bits, 0, bytes, from, length, elem_size(vm, id)), slots);
}

uint32_t rt_array_new_data(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    uint32_t id = in->types[a], from = slot_u32(slots, 0);
    if (!data_within(&in->datas[b], from, slot_u32(slots, 1), elem_size(vm, id)))
        return vm_trap(vm, in, NULL, TRAP_MEMORY_BOUNDS);
    return array_new_from(vm, in, slots, id, in->datas[b].bytes, from);
}

uint32_t rt_array_new_elem(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    uint32_t from = slot_u32(slots, 0);
    if (!elem_within(&in->elems[b], from, slot_u32(slots, 1))) return vm_trap(vm, in, NULL, TRAP_TABLE_BOUNDS);
    return array_new_from(vm, in, slots, in->types[a], in->elems[b].items, (uint64_t)from * sizeof(uint32_t));
}

/* ---- Arrays: many elements */
/* Checks elements [at, at + n) of a possibly null array. */
static uint32_t array_check(struct vm *vm, struct instance *in, uint32_t array, uint32_t at, uint32_t n)
{
    if (array == 0) return vm_trap(vm, in, NULL, TRAP_NULL_ARRAY);
    if ((uint64_t)at + n > heap_array_length(vm->heap.base, (heap_ref){array}))
        return vm_trap(vm, in, NULL, TRAP_ARRAY_BOUNDS);
    return VM_OK;
}

uint32_t rt_array_fill(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    uint32_t size = elem_size(vm, in->types[a]), at = slot_u32(slots, 1), n = slot_u32(slots, 2 + elem_slots(size));
    if (array_check(vm, in, slot_u32(slots, 0), at, n) != VM_OK) return VM_UNWIND;
    return array_fill(vm, slot_bits(slots, 0), at, slots + 2 * SLOT_BYTES, n, size);
}

uint32_t rt_array_copy(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    (void)b;
    uint32_t size = elem_size(vm, in->types[a]), n = slot_u32(slots, 4);
    uint64_t at = slot_u32(slots, 1), from = slot_u32(slots, 3);
    if (array_check(vm, in, slot_u32(slots, 0), (uint32_t)at, n) != VM_OK) return VM_UNWIND;
    if (array_check(vm, in, slot_u32(slots, 2), (uint32_t)from, n) != VM_OK) return VM_UNWIND;
    struct bulk p = bulk_start((uint64_t)n * size, slot_u32(slots, 0) == slot_u32(slots, 2) && at > from);
    while (bulk_next(&p, vm->store))
        memmove(array_data(vm, slot_u32(slots, 0)) + at * size + p.at,
                array_data(vm, slot_u32(slots, 2)) + from * size + p.at, p.len);
    return bulk_end(vm->store);
}

uint32_t rt_array_init_data(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    uint32_t size = elem_size(vm, in->types[a]);
    uint32_t at = slot_u32(slots, 1), from = slot_u32(slots, 2), n = slot_u32(slots, 3);
    if (array_check(vm, in, slot_u32(slots, 0), at, n) != VM_OK) return VM_UNWIND;
    if (!data_within(&in->datas[b], from, n, size)) return vm_trap(vm, in, NULL, TRAP_MEMORY_BOUNDS);
    return array_put(vm, slot_bits(slots, 0), at, in->datas[b].bytes, from, n, size);
}

uint32_t rt_array_init_elem(struct vm *vm, struct instance *in, char *slots, uint32_t a, uint32_t b)
{
    uint32_t size = elem_size(vm, in->types[a]);
    uint32_t at = slot_u32(slots, 1), from = slot_u32(slots, 2), n = slot_u32(slots, 3);
    if (array_check(vm, in, slot_u32(slots, 0), at, n) != VM_OK) return VM_UNWIND;
    if (!elem_within(&in->elems[b], from, n)) return vm_trap(vm, in, NULL, TRAP_TABLE_BOUNDS);
    return array_put(vm, slot_bits(slots, 0), at, in->elems[b].items, (uint64_t)from * size, n, size);
}
