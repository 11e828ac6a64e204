/* server/requests/rows.c -- the table of requests (proto/frames.h .default-deny), and the smallest of them. */
#include "server/requests/rows.h"

#include <stdlib.h>
#include <string.h>

#include "proto/hemi.pb-c.h"
#include "server/worker/connection.h"
#include "server/worker/info.h"

#define AT(body, field) ((uint16_t)offsetof(Hemi__V1__##body, field))
#define USES(body, handle, k) {AT(body, handle), OBJECT_##k, false}
#define MAY(body, handle, k) {AT(body, handle), OBJECT_##k, true}

enum { INFO_UNITS = 128, STORES_PER_UNIT = 4 };

static uint32_t info_units(const struct connection *c)
{
    (void)c;
    return INFO_UNITS;
}

static uint32_t stats_units(const struct connection *c) { return c->nstores / STORES_PER_UNIT; }

static const struct request_row rows[] = {
    {FRAME_PING, .promises = promises_ping, .run = run_ping},
    {FRAME_INFO, .units = info_units, .promises = promises_info, .run = run_info},
    {FRAME_MODULE_DATA, .read = read_module_data, .run = run_module_data},
    {FRAME_MODULE_NEW, .deadline = AT(ModuleNew, deadline_ms), .fiber = true, .read = read_module_new,
     .run = run_module_new},
    {FRAME_MODULE_DESCRIBE, .uses = {USES(ModuleDescribe, module, MODULE)}, .promises = promises_entries, .fiber = true,
     .run = run_module_describe},
    {FRAME_MODULE_CODE, .uses = {USES(ModuleCode, module, MODULE)}, .promises = promises_code, .fiber = true,
     .run = run_module_code},
    {FRAME_STORE_NEW, .read = read_store_new, .run = run_store_new},
    {FRAME_STORE_CLOSE, .uses = {USES(StoreClose, store, STORE)}, .ends_store = true, .late = true,
     .read = read_store_close, .run = run_store_close},
    {FRAME_STORE_GC, .uses = {USES(StoreGc, store, STORE)}, .deadline = AT(StoreGc, deadline_ms), .fiber = true,
     .interrupt = true, .run = run_store_gc},
    {FRAME_STORE_STATS, .uses = {MAY(StoreStats, store, STORE)}, .units = stats_units, .run = run_store_stats},
    {FRAME_INSTANCE_NEW,
     .uses = {USES(InstanceNew, store, STORE), USES(InstanceNew, module, MODULE), MAY(InstanceNew, wasi, WASI)},
     .makes = USES(InstanceNew, instance, INSTANCE), .raw = RAW_HANDLES, .deadline = AT(InstanceNew, deadline_ms),
     .fiber = true, .interrupt = true, .run = run_instance_new},
    {FRAME_EXPORT_GET, .uses = {USES(ExportGet, instance, INSTANCE)}, .makes = USES(ExportGet, handle, ANY),
     .run = run_export_get},
    {FRAME_EXPORT_LIST, .uses = {USES(ExportList, instance, INSTANCE)}, .promises = promises_entries, .fiber = true,
     .run = run_export_list},
    {FRAME_FUNC_NEW, .uses = {USES(FuncNew, store, STORE), MAY(FuncNew, module, MODULE)},
     .makes = USES(FuncNew, func, REF), .read = read_func_new, .run = run_func_new},
    {FRAME_CALL, .uses = {USES(Call, func, REF)}, .raw = RAW_VALUES, .deadline = AT(Call, deadline_ms), .fiber = true,
     .interrupt = true, .read = read_call, .run = run_call},
    {FRAME_MEMORY_NEW, .uses = {USES(MemoryNew, store, STORE)}, .makes = USES(MemoryNew, memory, MEMORY), .fiber = true,
     .run = run_memory_new},
    {FRAME_MEMORY_READ, .uses = {USES(MemoryRead, memory, MEMORY)}, .deadline = AT(MemoryRead, deadline_ms),
     .promises = promises_memory_read, .fiber = true, .run = run_memory_read},
    {FRAME_MEMORY_WRITE, .uses = {USES(MemoryWrite, memory, MEMORY)}, .deadline = AT(MemoryWrite, deadline_ms),
     .run = run_memory_write},
    {FRAME_MEMORY_SIZE, .uses = {USES(MemorySize, memory, MEMORY)}, .deadline = AT(MemorySize, deadline_ms),
     .run = run_memory_size},
    {FRAME_MEMORY_GROW, .uses = {USES(MemoryGrow, memory, MEMORY)}, .deadline = AT(MemoryGrow, deadline_ms),
     .fiber = true, .run = run_memory_grow},
    {FRAME_GLOBAL_NEW, .uses = {USES(GlobalNew, store, STORE), MAY(GlobalNew, module, MODULE)},
     .makes = USES(GlobalNew, global, GLOBAL), .raw = RAW_VALUES, .fiber = true, .run = run_global_new},
    {FRAME_GLOBAL_GET, .uses = {USES(GlobalGet, global, GLOBAL)}, .makes = MAY(GlobalGet, result_handle, REF),
     .deadline = AT(GlobalGet, deadline_ms), .run = run_global_get},
    {FRAME_GLOBAL_SET, .uses = {USES(GlobalSet, global, GLOBAL)}, .raw = RAW_VALUES,
     .deadline = AT(GlobalSet, deadline_ms), .fiber = true, .run = run_global_set},
    {FRAME_TABLE_NEW, .uses = {USES(TableNew, store, STORE), MAY(TableNew, module, MODULE)},
     .makes = USES(TableNew, table, TABLE), .raw = RAW_VALUES, .fiber = true, .run = run_table_new},
    {FRAME_TABLE_GET, .uses = {USES(TableGet, table, TABLE)}, .makes = MAY(TableGet, result_handle, REF),
     .deadline = AT(TableGet, deadline_ms), .run = run_table_get},
    {FRAME_TABLE_SET, .uses = {USES(TableSet, table, TABLE)}, .raw = RAW_VALUES, .deadline = AT(TableSet, deadline_ms),
     .fiber = true, .run = run_table_set},
    {FRAME_TABLE_SIZE, .uses = {USES(TableSize, table, TABLE)}, .deadline = AT(TableSize, deadline_ms),
     .run = run_table_size},
    {FRAME_TABLE_GROW, .uses = {USES(TableGrow, table, TABLE)}, .raw = RAW_VALUES,
     .deadline = AT(TableGrow, deadline_ms), .fiber = true, .run = run_table_grow},
    {FRAME_REF_EQ, .uses = {USES(RefEq, a, ANY), MAY(RefEq, b, ANY)}, .deadline = AT(RefEq, deadline_ms),
     .run = run_ref_eq},
    {FRAME_REF_TYPE, .uses = {USES(RefType, handle, ANY)}, .makes = MAY(RefType, copy, ANY),
     .deadline = AT(RefType, deadline_ms), .run = run_ref_type},
    {FRAME_WASI_NEW, .uses = {USES(WasiNew, store, STORE)}, .makes = USES(WasiNew, wasi, WASI), .read = read_wasi_new,
     .run = run_wasi_new},
};

const struct request_row *request_row(unsigned type)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].type == type) return &rows[i];
    return NULL;
}

uint64_t promises_ping(const struct request *r) { return r->raw_length; }

enum hemi_status run_ping(struct request *r)
{
    r->reply.raw = r->raw; /* part of the request, which outlives the reply's sending */
    r->reply.raw_length = r->raw_length;
    return HEMI_OK;
}

uint64_t promises_info(const struct request *r)
{
    (void)r;
    return INFO_BYTES_MAX;
}

enum hemi_status run_info(struct request *r)
{
    char *json = worker_info(r->conn);
    if (!json) return request_fail(r, HEMI_NO_MEMORY, "no memory for the description");
    r->reply.raw = (uint8_t *)json;
    r->reply.raw_owned = true;
    r->reply.raw_length = strlen(json);
    return HEMI_OK;
}

struct vm_stack request_stack(struct request *r)
{
    size_t all = r->conn->worker->sched.fibers.vm_size, own = r->store->stack;
    return (struct vm_stack){.base = r->act.fiber->vm, .size = own > 0 && own < all ? own : all};
}
