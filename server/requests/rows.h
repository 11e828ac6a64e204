/* server/requests/rows.h -- the functions that the rows in server/requests/rows.c name, by file. `read_` at reading,
 * `promises_` before it begins, `run_` when it is the request's turn (proto/frames.h). */
#ifndef HEMI_SERVER_REQUESTS_ROWS_H
#define HEMI_SERVER_REQUESTS_ROWS_H

#include "server/worker/request.h"

#define REQUEST_READERS(X) X(module_data) X(module_new) X(store_new) X(store_close) X(call) X(wasi_new) X(func_new)
/* clang-format off */
#define REQUEST_RUNNERS(X)                                                                                             \
    X(ping) X(info) X(module_data) X(module_new) X(module_describe) X(store_new)                                       \
    X(store_close) X(store_gc) X(store_stats) X(instance_new) X(export_get) X(export_list)                             \
    X(func_new) X(call) X(memory_new) X(memory_read) X(memory_write) X(memory_size)                                    \
    X(memory_grow) X(global_new) X(global_get) X(global_set) X(table_new) X(table_get)                                 \
    X(table_set) X(table_size) X(table_grow) X(ref_eq) X(ref_type) X(wasi_new)
/* clang-format on */

#define REQUEST_PROMISES(X) X(ping) X(info) X(entries) X(memory_read)

#define X(name) uint64_t promises_##name(const struct request *r);
REQUEST_PROMISES(X)
#undef X
#define X(name) enum proto_error read_##name(struct request *r);
REQUEST_READERS(X)
#undef X
#define X(name) enum hemi_status run_##name(struct request *r);
REQUEST_RUNNERS(X)
#undef X

/* ---- server/requests/entries.c: entries of R_EXTERNS */
/* What an entry says, before it is on the wire. Types are engine types. */
struct entry {
    uint8_t kind, flags;
    struct name module, name;
    const valtype *types; /* params, results */
    uint32_t nparams, nresults;
    valtype type; /* of a table, global, other reference; 0: none */
    struct limits limits;
};
void entry_of_extern(struct wstore *s, const struct rt_extern *x, struct entry *out);
/* Writes entries [first, count), as many as fit a reply, as the reply's raw part; `value` is count. `get` fills one. */
enum hemi_status entries_reply(struct request *r, uint32_t first, uint32_t count,
                               void (*get)(void *ctx, uint32_t i, struct entry *out), void *ctx);

/* ---- Shared by several files. */
/* engine_options.types_claim: of the running request's module (share.h). */
bool module_types_claim(void *ctx, uint32_t n);
bool module_charge_account(void *ctx, void **payer, int64_t delta);
void module_gone_from_account(void *ctx, void *payer);
/* LIMIT, which names the pool of types. */
enum hemi_status request_types_limit(struct request *r, uint64_t more);
/* Makes a failure's raw part: the backtrace, if the error has one, then room for `after` bytes, to which it returns the
 * pointer. NULL: no memory, or nothing to say. */
uint8_t *request_trace(struct request *r, size_t after);
/* The VM stack of the running activation, as large as its store has it. */
struct vm_stack request_stack(struct request *r);
/* Binds the k-th promised result to a reference and returns its handle; 0: none was set aside. */
uint32_t request_bind_result(struct request *r, uint32_t k, valtype type, uint32_t bits);
/* A one-value reply of this type; a reference is bound to r->makes. */
enum hemi_status request_reply_value(struct request *r, valtype type, union val v);
/* The function, global or table type of a module's import: LINK-like ARGUMENT unless import `index` is of this kind. */
enum hemi_status request_import(struct request *r, const struct object *module, uint32_t index, uint8_t kind,
                                const struct import **out);

#endif
