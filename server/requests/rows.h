/* server/requests/rows.h -- what each request does: the functions that the rows in rows.c name, by file. `read_` at
 * reading, `promises_` before it begins, `run_` when it is the request's turn (proto/frames.h).
 *
 * What befalls any request, from its frame to its reply, is the worker's (worker/request.h); this room says, by its
 * table, what one asks for. The worker reaches it by request_row alone, and it calls whatever the worker offers.
 *
 * School of checking: a body and a raw part are a PEER's. What only the row's own `read_` can tell to be malformed is
 * an enum proto_error; content that cannot be is a status with a message (request_fail). Neither is ever checked.
 * Owners: a request and all that it names are the worker's (.pinned); what a function here makes belongs to r->makes,
 * to the reply, or is gone when it returns. Threads: a row with `fiber` runs on a fiber and may yield wherever the
 * engine may; the others run on the loop. */
#ifndef HEMI_SERVER_REQUESTS_ROWS_H
#define HEMI_SERVER_REQUESTS_ROWS_H

#include "server/worker/request.h"

#define REQUEST_READERS(X) X(module_data) X(module_new) X(store_new) X(store_close) X(call) X(wasi_new) X(func_new)
/* clang-format off */
#define REQUEST_RUNNERS(X)                                                                                             \
    X(ping) X(info) X(module_data) X(module_new) X(module_describe) X(module_code) X(store_new)                                       \
    X(store_close) X(store_gc) X(store_stats) X(instance_new) X(export_get) X(export_list)                             \
    X(func_new) X(call) X(memory_new) X(memory_read) X(memory_write) X(memory_size)                                    \
    X(memory_grow) X(global_new) X(global_get) X(global_set) X(table_new) X(table_get)                                 \
    X(table_set) X(table_size) X(table_grow) X(ref_eq) X(ref_type) X(wasi_new)
/* clang-format on */

#define REQUEST_PROMISES(X) X(ping) X(info) X(entries) X(code) X(memory_read)

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
