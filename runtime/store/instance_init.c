/* runtime/store/instance_init.c -- what runs when a module is instantiated (WebAssembly 3.0, 4.5.4 "Instantiation"):
 * globals, tables' initial values, element segments, then active segments and the start function.
 *
 * Evaluating an expression may collect, so nothing here keeps a reference or a pointer to an element over one: a value
 * goes straight to where the collector finds it (store.h .rooted). Plain expressions and plain segments evaluate
 * nothing. */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <stdlib.h>

enum { ITEMS_PER_POLL = 1024 };

/* After item i of many. */
static enum hemi_status poll(struct store *s, uint32_t i, struct rt_error *err)
{
    bool is_due = i % ITEMS_PER_POLL == ITEMS_PER_POLL - 1;
    return !is_due || store_poll(s) == VM_OK ? HEMI_OK : pending_take(s, err);
}

static enum hemi_status finish(struct store *s, uint32_t result, struct rt_error *err)
{
    return result == VM_OK ? HEMI_OK : pending_take(s, err);
}

/* ---- Globals and tables */
static enum hemi_status run_globals(struct instance *in, struct rt_error *err)
{
    const struct module *m = in->module;
    for (uint32_t i = m->nimported_globals; i < m->nglobals; i++) {
        const struct global_decl *d = &m->globals[i];
        union val v;
        enum hemi_status status = const_eval(in, &d->init, &v, err);
        if (status != HEMI_OK) return status;
        global_init(in->store, in->globals[i], d->type, d->mut, v);
        status = poll(in->store, i, err);
        if (status != HEMI_OK) return status;
    }
    return HEMI_OK;
}

/* The value is a root, in case a poll lets something collect. */
static enum hemi_status start_table(struct table *t, union val v, struct rt_error *err)
{
    struct root r;
    root_init(t->store, &r, t->slot, v.ref);
    enum hemi_status status = table_start(t, &r.bits, err);
    root_deinit(&r);
    return status;
}

static enum hemi_status run_tables(struct instance *in, struct rt_error *err)
{
    const struct module *m = in->module;
    for (uint32_t i = m->nimported_tables; i < m->ntables; i++) {
        if (!m->tables[i].has_init) continue;
        union val v;
        enum hemi_status status = const_eval(in, &m->tables[i].init, &v, err);
        if (status == HEMI_OK) status = start_table(in->tables[i], v, err);
        if (status != HEMI_OK) return status;
    }
    return HEMI_OK;
}

/* ---- Element segments */
void elem_inst_drop(struct store *s, struct elem_inst *e)
{
    free(e->items);
    e->items = NULL;
    store_charge(s, -(int64_t)e->room * 4);
    e->count = e->room = 0;
}

/* A plain active segment goes from the module straight into its table; a declared one holds nothing at run time. */
static bool needs_items(const struct elem_seg *seg)
{
    return seg->count != 0 && (seg->mode == SEG_PASSIVE || (seg->mode == SEG_ACTIVE && !seg->plain));
}

/* Its items are counted as they are made: so the collector, and who verifies, sees no others. */
static enum hemi_status items_make(struct store *s, struct elem_inst *e, const struct elem_seg *seg,
                                   struct rt_error *err)
{
    if (!store_charge(s, (int64_t)seg->count * 4)) return error_set(err, HEMI_NO_MEMORY, "no memory for a segment");
    CHECK(e->items == NULL && e->count == 0, ".rooted");
    e->items = malloc(seg->count * sizeof *e->items);
    if (e->items == NULL) {
        store_charge(s, -(int64_t)seg->count * 4);
        return error_set(err, HEMI_NO_MEMORY, "no memory for a segment");
    }
    e->room = seg->count;
    return HEMI_OK;
}

static enum hemi_status run_items(struct instance *in, uint32_t index, struct rt_error *err)
{
    const struct elem_seg *seg = &in->module->elems[index];
    struct elem_inst *e = &in->elems[index];
    enum hemi_status status = items_make(in->store, e, seg, err);
    for (uint32_t i = 0; i < seg->count && status == HEMI_OK; i++) {
        union val v;
        status = const_eval(in, &seg->items[i], &v, err);
        if (status != HEMI_OK) return status;
        CHECK_DEBUG(e->count < e->room, ".rooted");
        e->items[e->count++] = v.ref;
        status = poll(in->store, i, err);
    }
    return status;
}

static enum hemi_status run_segments(struct instance *in, struct rt_error *err)
{
    const struct module *m = in->module;
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < m->nelems && status == HEMI_OK; i++) {
        in->elems[i].slot = (uint8_t)valtype_slot(in->store->engine->types, m->elems[i].type);
        if (needs_items(&m->elems[i])) status = run_items(in, i, err);
        if (status == HEMI_OK) status = poll(in->store, i, err);
    }
    return status;
}

/* ---- Active segments */
static enum hemi_status segment_trap(struct rt_error *err, enum wasm_trap trap, const struct const_expr *offset,
                                     const char *text, uint32_t index)
{
    error_set(err, HEMI_TRAP, "%s segment %u", text, index);
    if (err == NULL) return HEMI_TRAP;
    err->trap = trap;
    err->has_offset = true;
    err->offset = offset->offset;
    return HEMI_TRAP;
}

static enum hemi_status offset_eval(struct instance *in, const struct const_expr *e, uint64_t *at, struct rt_error *err)
{
    union val v;
    enum hemi_status status = const_eval(in, e, &v, err);
    if (status == HEMI_OK) *at = e->type == VT_I64 ? v.i64 : v.i32;
    return status;
}

static enum hemi_status put_plain(struct instance *in, const struct elem_seg *seg, uint64_t at, struct rt_error *err)
{
    struct table *t = in->tables[seg->table];
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < seg->count && status == HEMI_OK; i++) {
        const struct const_expr *item = &seg->items[i];
        t->elems[at + i] = item->kind == CONST_FUNC ? func_id(in, item->index) : item->val.ref;
        status = poll(in->store, i, err);
    }
    return status;
}

static enum hemi_status run_active_elem(struct instance *in, uint32_t i, struct rt_error *err)
{
    const struct elem_seg *seg = &in->module->elems[i];
    struct table *t = in->tables[seg->table];
    uint64_t at;
    enum hemi_status status = offset_eval(in, &seg->offset, &at, err);
    if (status != HEMI_OK) return status;
    if (!table_within(t, at, seg->count))
        return segment_trap(err, TRAP_TABLE_BOUNDS, &seg->offset, "out of bounds table access in element", i);
    if (!needs_items(seg)) return put_plain(in, seg, at, err);
    CHECK(in->elems[i].count == seg->count, ".whole");
    status = finish(in->store, table_put(t, at, &in->elems[i], 0, seg->count), err);
    elem_inst_drop(in->store, &in->elems[i]);
    return status;
}

static enum hemi_status run_active_data(struct instance *in, uint32_t i, struct rt_error *err)
{
    const struct data_seg *seg = &in->module->datas[i];
    struct memory *m = in->memories[seg->memory];
    uint64_t at;
    enum hemi_status status = offset_eval(in, &seg->offset, &at, err);
    if (status != HEMI_OK) return status;
    if (!memory_within(m, at, seg->size))
        return segment_trap(err, TRAP_MEMORY_BOUNDS, &seg->offset, "out of bounds memory access in data", i);
    return finish(in->store, memory_put(m, at, seg->bytes, seg->size), err);
}

static enum hemi_status run_active(struct instance *in, struct rt_error *err)
{
    const struct module *m = in->module;
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < m->ndatas; i++)
        if (m->datas[i].mode == SEG_PASSIVE) in->datas[i] = (struct data_inst){m->datas[i].bytes, m->datas[i].size};
    for (uint32_t i = 0; i < m->nelems && status == HEMI_OK; i++) {
        if (m->elems[i].mode == SEG_ACTIVE) status = run_active_elem(in, i, err);
        if (status == HEMI_OK) status = poll(in->store, i, err);
    }
    for (uint32_t i = 0; i < m->ndatas && status == HEMI_OK; i++) {
        if (m->datas[i].mode == SEG_ACTIVE) status = run_active_data(in, i, err);
        if (status == HEMI_OK) status = poll(in->store, i, err);
    }
    return status;
}

static enum hemi_status run_start(struct instance *in, struct rt_error *err)
{
    struct store *s = in->store;
    CHECK(s->vm.exit_fp == s->activation->fp, ".exit");
    uint32_t id = func_id(in, in->module->start);
    char *fp = s->activation->fp;
    return finish(s, vm_enter(&s->vm, func_instance(&s->vm, id), func_code(&s->vm, id), fp), err);
}

enum hemi_status instance_initialise(struct instance *in, struct rt_error *err)
{
    enum hemi_status status = run_globals(in, err);
    if (status == HEMI_OK) status = run_tables(in, err);
    if (status == HEMI_OK) status = run_segments(in, err);
    if (status == HEMI_OK) status = run_active(in, err);
    if (status == HEMI_OK && in->module->start != UINT32_MAX) status = run_start(in, err);
    return status;
}
