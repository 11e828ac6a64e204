/* hemi.h -- drives WebAssembly stores that live in a sandboxed worker of hemid, over a Unix socket.
 *
 *   hemi_client *client;
 *   hemi_connect(NULL, &client);                                   (socket: $HEMI_SOCKET, or the usual places)
 *   hemi_module_new(client, bytes, size, &module, NULL);
 *   hemi_store_new(client, NULL, &store, NULL);
 *   hemi_instance_new(store, module, NULL, 0, NULL, &instance, NULL);
 *   hemi_export_get(instance, "add", &add, NULL);
 *   hemi_val args[2] = {hemi_i32(2), hemi_i32(3)}, result;
 *   hemi_call(add, args, 2, &result, 1, NULL);
 *   hemi_client_free(client);
 *
 * Statuses. Every function that can fail returns a hemi_status; hemi_client_error() and its companions then say more,
 * until the next failure on that client. What it was to make (`*out`) is NULL then. A failure of one request touches
 * nothing else. When the connection ends
 * (HEMI_WORKER_LOST, HEMI_PROTOCOL, HEMI_CLOSED, ...) that status comes back from everything, at once, from then on.
 *
 * Tickets. A function whose last parameter is `hemi_ticket *ticket` makes a request. With NULL it waits for the answer.
 * Otherwise it returns as soon as the request is queued, and hemi_wait() on the ticket gives its status. What it makes
 * (a module, an instance, ...) can be used in further requests at once, without waiting (an exported function: with
 * hemi_call_ahead); if it comes to nothing, they fail with HEMI_DEPENDENCY_FAILED. Buffers and results given to it must
 * stay until hemi_wait() or hemi_forget() of that ticket, and are filled in by then. Every ticket is waited for or
 * forgotten; there is none, and *ticket is 0, when the function itself does not return HEMI_OK. Requests to one store
 * run in order.
 *
 * Ownership. A client owns all that is made from it; hemi_client_free() frees what is left. Freeing something ends
 * the client's hold on it; what the guest still uses stays. All of a store dies with hemi_store_close().
 * References (hemi_val of kind HEMI_REF) are kept alive by handles: each reference that you are given has a handle of
 * its own until hemi_drop(), or until the scope ends in which it was got.
 *
 * NULL for a client, a store or another object is HEMI_ARGUMENT (nothing, for functions that return no status), NULL
 * for a `const hemi_val *` that is to be a reference is null; a buffer of no bytes, or an array without elements, may
 * be NULL.
 *
 * Threads and signals: a client belongs to one thread at a time, and may move to another between calls; only
 * hemi_client_interrupt() may be called from elsewhere. A second thread that calls while one is inside gets HEMI_BUSY
 * (or nothing, 0, false, NULL), and nothing happens. The library has no global state but a count of the clients that
 * were made, starts no threads, touches no signals, prints nothing.
 *
 * Processes: the client stays with the process that made it. In a child that was forked since, all of it is
 * HEMI_CLOSED, or does nothing; hemi_client_free() there frees the child's copy and closes its descriptors, sends
 * nothing and runs no finalizer. (That holds from inside a callback on, whose return in the child ends the copy of
 * the call around it with HEMI_CLOSED. Freed there, or forked while another thread was inside, the copy's memory
 * stays.) Descriptors are closed by exec.
 *
 * Binary compatibility (docs/abi.md). Fill in structures of options from zeros or by name: members are added at their
 * end. `size`, in front, is 0, for those of the first release, or the structure's sizeof; members that the library in
 * use does not know must be zero then (else HEMI_ARGUMENT). All other structures stay as they are, and types without a
 * definition here are the library's. Enumerations may get values: expect statuses and kinds that are not listed here.
 *
 * For C99 and later, and C++11 and later.
 */
#ifndef HEMI_H
#define HEMI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEMI_API __attribute__((visibility("default")))

typedef enum hemi_status {
    HEMI_OK = 0,
    HEMI_TRAP = 1,           /* the guest trapped: hemi_client_trap() */
    HEMI_EXCEPTION = 2,      /* the guest threw something that nothing caught: hemi_client_exception() */
    HEMI_EXIT = 3,           /* the guest called proc_exit: hemi_client_exit_code() */
    HEMI_INVALID_MODULE = 4, /* malformed, or does not validate: hemi_client_offset() */
    HEMI_UNSUPPORTED = 5,    /* a feature that this engine lacks: so far none */
    HEMI_LINK = 6,           /* an import is missing or has another type */
    HEMI_LIMIT = 7,          /* a configured limit was reached; the message names it */
    HEMI_NO_MEMORY = 8,      /* the system or the tenant's budget refused memory */
    HEMI_DEADLINE = 9,       /* the request's deadline passed */
    HEMI_CANCELLED = 10,     /* hemi_cancel() */
    HEMI_INTERRUPTED = 11,   /* hemi_client_interrupt() */
    HEMI_DEADLOCK = 12,      /* waiting would close a circle of waits */
    HEMI_DEPENDENCY_FAILED =
        13,                /* what the request uses was to be made by one that failed: hemi_client_failed_request() */
    HEMI_HANDLE = 14,      /* something used here was dropped, closed, or belongs to another store or client */
    HEMI_ARGUMENT = 15,    /* an argument is out of range or of the wrong type */
    HEMI_NOT_FOUND = 16,   /* no such export */
    HEMI_HOST = 17,        /* a host function reported a failure */
    HEMI_PROTOCOL = 18,    /* the peer broke the protocol; the connection has ended */
    HEMI_WORKER_LOST = 19, /* the worker died; everything it held is gone */
    HEMI_CONNECT = 20,     /* no daemon answered at the socket */
    HEMI_DENIED = 21,      /* the daemon does not know this peer, or refuses it */
    HEMI_DRAINING = 22,    /* the daemon is shutting down */
    HEMI_CLOSED = 23,      /* the connection or the store was closed in an orderly way */
    HEMI_BUSY = 24,        /* not allowed inside the callback that is running, or another thread is inside the client */
    HEMI_INTERNAL = 25,    /* a defect in Hemi */
    HEMI_VERSION_MISMATCH = 26, /* the daemon speaks another protocol version */
} hemi_status;

/* A static text, never NULL. */
HEMI_API const char *hemi_status_text(hemi_status status);
HEMI_API const char *hemi_trap_text(unsigned trap);
/* "0.1.0" */
HEMI_API const char *hemi_version(void);

typedef struct hemi_client hemi_client;
typedef struct hemi_module hemi_module;
typedef struct hemi_store hemi_store;
typedef struct hemi_instance hemi_instance;
typedef struct hemi_object hemi_object; /* a function, table, memory, global or tag of a store */
typedef struct hemi_wasi hemi_wasi;
typedef struct hemi_scope hemi_scope;
typedef struct hemi_caller hemi_caller;
typedef struct hemi_deferred hemi_deferred;
typedef uint32_t hemi_ticket; /* never 0 */

/* ---- Connecting */

struct hemi_connect_options {
    size_t size;        /* see above: 0 or sizeof, as in every structure of options */
    const char *socket; /* path; NULL: $HEMI_SOCKET, else the first of $XDG_RUNTIME_DIR/hemi/hemi.sock and
                           /run/hemi/hemi.sock that exists */
    const void *token;  /* up to 256 bytes that name a tenant; NULL: none */
    size_t token_length;
    uint32_t timeout_ms;      /* to connect and be welcomed; 0: 10 s */
    uint32_t window_requests; /* unanswered requests wished for; 0: the daemon's default */
    uint32_t window_bytes;    /* their bytes; 0: the daemon's default */
    uint32_t max_nesting;     /* host functions within host functions; 0: 64 */
    bool no_welcome;          /* return before the worker has answered: a refusal then comes from a later call */
    bool no_memfd;            /* send large modules in chunks, never as a sealed memfd; so it is before WELCOME, too */
};

/* Connects. *out is a client even on failure, so that hemi_client_error() can say why (NULL only with HEMI_NO_MEMORY);
 * free it in any case. `options` may be NULL. CONNECT, DENIED, DRAINING, VERSION_MISMATCH, DEADLINE, ARGUMENT, ... */
HEMI_API hemi_status hemi_connect(const struct hemi_connect_options *options, hemi_client **out);
/* As hemi_connect over a connected stream socket (ARGUMENT: it is none), which the client owns from now on, also on
 * failure. */
HEMI_API hemi_status hemi_connect_fd(int fd, const struct hemi_connect_options *options, hemi_client **out);
/* The path that hemi_connect(NULL) would use now. Returns its length; truncates like snprintf. */
HEMI_API size_t hemi_socket_path(char *out, size_t size);
/* Ends the connection and frees all that was made from it; runs the finalizers still due. NULL is allowed. Not from
 * inside a callback of this client, or while another thread is inside (does nothing then). */
HEMI_API void hemi_client_free(hemi_client *client);

/* Why the last function that failed on this client did. These texts, and the rest of what is told here, stay
 * until the next failure on this client; a success, or asking for them, ends none. */
HEMI_API hemi_status hemi_client_status(const hemi_client *client);
HEMI_API const char *hemi_client_error(const hemi_client *client);
HEMI_API unsigned hemi_client_trap(const hemi_client *client);
HEMI_API int32_t hemi_client_exit_code(const hemi_client *client);
HEMI_API bool hemi_client_offset(const hemi_client *client, uint64_t *offset);
HEMI_API bool hemi_client_function(const hemi_client *client, uint32_t *function);
/* After HEMI_INVALID_MODULE: are the bytes no module at all, rather than one that does not validate? */
HEMI_API bool hemi_client_malformed(const hemi_client *client);
HEMI_API hemi_ticket hemi_client_failed_request(const hemi_client *client);
/* An entry of a backtrace. Names are "" where there is none, and also end in a 0 byte. */
typedef enum hemi_trace_kind {
    HEMI_TRACE_FUNC,  /* a function of a module */
    HEMI_TRACE_CONST, /* a constant expression of a module */
    HEMI_TRACE_HOST,  /* a host function; its names are those of the first import that it served */
    HEMI_TRACE_MORE,  /* `index` frames are left out here */
} hemi_trace_kind;
struct hemi_trace_entry {
    hemi_trace_kind kind;
    uint32_t instance;         /* a number of its instance, unique in the store */
    uint32_t index;            /* of the function in the module, or of the expression */
    uint64_t offset;           /* byte offset of the instruction in the module */
    const char *module, *name; /* from the name section; a function's export name if it has none there */
    size_t module_length, name_length;
};
/* Where the guest was when the last function that failed did, innermost frame first: the 48 innermost frames and the 16
 * outermost. A frame that a tail call replaced is missing; inside host functions the frames around them follow. Returns
 * how many entries *out has; 0 when no guest was running. They live as long as the failure's text. */
HEMI_API size_t hemi_client_trace(const hemi_client *client, const struct hemi_trace_entry **out);
/* "module.name at 0x2f"; truncates like snprintf, returns the length. What shows nothing, or something else than it is,
 * is escaped: \x1b, \u{202e}. */
HEMI_API size_t hemi_trace_text(const struct hemi_trace_entry *entry, char *out, size_t size);

/* Is the connection over? HEMI_OK, or the status that everything returns now. */
HEMI_API hemi_status hemi_client_ended(const hemi_client *client);

/* Settings for the requests that follow. */
HEMI_API void hemi_client_set_deadline(hemi_client *client, uint32_t ms); /* each, from when it is sent; 0: none */
/* A request runs only if the one before it succeeded (else HEMI_DEPENDENCY_FAILED). */
HEMI_API void hemi_client_set_chained(hemi_client *client, bool on);

HEMI_API hemi_status hemi_ping(hemi_client *client, hemi_ticket *ticket);
/* A JSON object that says what is in force; free with hemi_free_text(). Waits. */
HEMI_API hemi_status hemi_info(hemi_client *client, char **json);
HEMI_API void hemi_free_text(char *text);

/* ---- Tickets, event loops */

/* Waits for the answer. Runs callbacks meanwhile (inside a host function: only those of its own chain). The
 * ticket is used up, unless HEMI_BUSY. The client gives a request up by itself when the worker does not answer within a
 * second after its deadline or its cancellation, or 0.2 s after an interrupt. */
HEMI_API hemi_status hemi_wait(hemi_client *client, hemi_ticket ticket);
/* Is the answer here, so that hemi_wait would not block? */
HEMI_API bool hemi_ready(const hemi_client *client, hemi_ticket ticket);
/* The answer will be ignored, and the buffers of the request are not touched any more. */
HEMI_API void hemi_forget(hemi_client *client, hemi_ticket ticket);
/* Asks that the request end early; it is still to be waited for (HEMI_CANCELLED, or its result if that was faster). */
HEMI_API hemi_status hemi_cancel(hemi_client *client, hemi_ticket ticket);
/* `done` is called from an outermost wait or dispatch when the answer is here; it may call hemi_wait on the ticket. */
HEMI_API hemi_status hemi_then(hemi_client *client, hemi_ticket ticket,
                               void (*done)(hemi_client *client, hemi_ticket ticket, void *env), void *env);
/* Sends what is queued without waiting for answers (blocks while the socket is full, reading meanwhile; INTERRUPTED).
 */
HEMI_API hemi_status hemi_flush(hemi_client *client);
/* Would another request (of up to 1 KiB) wait for the flow-control window? */
HEMI_API bool hemi_would_block(const hemi_client *client);
/* Interrupts whatever the client is waiting for, or waits for next: it ends with HEMI_INTERRUPTED, soon also when the
 * worker does nothing. All requests that are unanswered by then are. The one function for other threads and for signal
 * handlers. */
HEMI_API void hemi_client_interrupt(hemi_client *client);

/* For an event loop: poll hemi_client_fd for hemi_client_events (POLLIN/POLLOUT bits) for at most hemi_client_timeout
 * milliseconds (-1: no limit), or not at all while hemi_client_pending; then hemi_client_dispatch, which never blocks,
 * does all I/O that is due and runs host functions, stream callbacks, finalizers and `done` callbacks. The descriptor
 * is the client's; do nothing else with it. -1: none was to be had. */
HEMI_API int hemi_client_fd(hemi_client *client);
HEMI_API int hemi_client_events(const hemi_client *client);
HEMI_API int hemi_client_timeout(const hemi_client *client);
HEMI_API bool hemi_client_pending(const hemi_client *client);
HEMI_API hemi_status hemi_client_dispatch(hemi_client *client);

/* ---- Types and values */

typedef enum hemi_kind { HEMI_I32 = 1, HEMI_I64, HEMI_F32, HEMI_F64, HEMI_V128, HEMI_REF } hemi_kind;
typedef enum hemi_class { HEMI_CLASS_ANY, HEMI_CLASS_FUNC, HEMI_CLASS_EXTERN, HEMI_CLASS_EXN } hemi_class;

/* A value type. Concrete reference types (of one description) are equal when their numbers are. */
typedef uint32_t hemi_type;
#define HEMI_TYPE_I32 ((hemi_type)1)
#define HEMI_TYPE_I64 ((hemi_type)2)
#define HEMI_TYPE_F32 ((hemi_type)3)
#define HEMI_TYPE_F64 ((hemi_type)4)
#define HEMI_TYPE_V128 ((hemi_type)5)
/* A reference to abstract heap type `code` (its binary code, such as 0x6E for any) of a class. */
#define HEMI_TYPE_REF(nullable, class_, code)                                                                          \
    ((hemi_type)(6u | ((nullable) ? 16u : 0u) | (uint32_t)(class_) << 5 | (0xFFFF00u + (code)) << 8))
#define HEMI_TYPE_ANYREF HEMI_TYPE_REF(1, HEMI_CLASS_ANY, 0x6Eu)
#define HEMI_TYPE_EQREF HEMI_TYPE_REF(1, HEMI_CLASS_ANY, 0x6Du)
#define HEMI_TYPE_I31REF HEMI_TYPE_REF(1, HEMI_CLASS_ANY, 0x6Cu)
#define HEMI_TYPE_STRUCTREF HEMI_TYPE_REF(1, HEMI_CLASS_ANY, 0x6Bu)
#define HEMI_TYPE_ARRAYREF HEMI_TYPE_REF(1, HEMI_CLASS_ANY, 0x6Au)
#define HEMI_TYPE_FUNCREF HEMI_TYPE_REF(1, HEMI_CLASS_FUNC, 0x70u)
#define HEMI_TYPE_EXTERNREF HEMI_TYPE_REF(1, HEMI_CLASS_EXTERN, 0x6Fu)
#define HEMI_TYPE_EXNREF HEMI_TYPE_REF(1, HEMI_CLASS_EXN, 0x69u)

static inline hemi_kind hemi_type_kind(hemi_type t) { return (hemi_kind)(t & 15u); }
static inline hemi_class hemi_type_class(hemi_type t) { return (hemi_class)(t >> 5 & 3u); }
/* "i32", "(ref null any)", "(ref 3)"; truncates like snprintf, returns the length. */
HEMI_API size_t hemi_type_text(hemi_type type, char *out, size_t size);

enum hemi_ref_kind { HEMI_REF_NULL, HEMI_REF_HANDLE, HEMI_REF_I31, HEMI_REF_EXTERN };

typedef struct hemi_ref {
    uint8_t kind;    /* enum hemi_ref_kind */
    uint8_t class_;  /* hemi_class */
    uint32_t handle; /* what keeps the referent alive for this client; 0: nothing does */
    int32_t i31;     /* HEMI_REF_I31: -2^30 .. 2^30-1 */
    uint64_t id;     /* HEMI_REF_EXTERN: the library's */
    void *pointer;   /* HEMI_REF_EXTERN: the client's object */
} hemi_ref;

typedef struct hemi_val {
    uint8_t kind; /* hemi_kind */
    union {
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        uint8_t v128[16]; /* lane 0 first, little-endian */
        hemi_ref ref;
    } of;
} hemi_val;

static inline hemi_val hemi_i32(int32_t v)
{
    hemi_val r;
    memset(&r, 0, sizeof r);
    r.kind = HEMI_I32;
    r.of.i32 = v;
    return r;
}
static inline hemi_val hemi_i64(int64_t v)
{
    hemi_val r;
    memset(&r, 0, sizeof r);
    r.kind = HEMI_I64;
    r.of.i64 = v;
    return r;
}
static inline hemi_val hemi_f32(float v)
{
    hemi_val r;
    memset(&r, 0, sizeof r);
    r.kind = HEMI_F32;
    r.of.f32 = v;
    return r;
}
static inline hemi_val hemi_f64(double v)
{
    hemi_val r;
    memset(&r, 0, sizeof r);
    r.kind = HEMI_F64;
    r.of.f64 = v;
    return r;
}
static inline hemi_val hemi_v128(const uint8_t bytes[16])
{
    hemi_val r;
    memset(&r, 0, sizeof r);
    r.kind = HEMI_V128;
    memcpy(r.of.v128, bytes, 16);
    return r;
}
static inline hemi_val hemi_null(hemi_class class_)
{
    hemi_val r;
    memset(&r, 0, sizeof r);
    r.kind = HEMI_REF;
    r.of.ref.class_ = (uint8_t)class_;
    return r;
}
static inline hemi_val hemi_i31(int32_t v)
{
    hemi_val r = hemi_null(HEMI_CLASS_ANY);
    r.of.ref.kind = HEMI_REF_I31;
    r.of.ref.i31 = v;
    return r;
}
static inline bool hemi_is_null(const hemi_val *v) { return v->kind == HEMI_REF && v->of.ref.kind == HEMI_REF_NULL; }

/* Lets go of a reference's handle (numbers, nulls: nothing happens). Batched: costs no round trip. Using the reference
 * afterwards fails with HEMI_HANDLE. One from hemi_extern_new has no handle: it and its pointer can be used until it is
 * finalized, which a drop brings about only if it was never sent, and was dropped as often as it was made. */
HEMI_API void hemi_drop(hemi_client *client, hemi_val *val);
/* References got from here on belong to the scope, until it or an outer one is closed, which drops them all at once
 * and frees the scopes opened within it. Each host function runs in a scope of its own, which is closed when it
 * returns: keep what is to outlive it. Closed inside a host function, a scope from outside drops what that has got,
 * too. */
HEMI_API hemi_status hemi_scope_open(hemi_client *client, hemi_scope **out);
HEMI_API void hemi_scope_close(hemi_scope *scope);
/* Takes a reference out of its scope: it lives until hemi_drop(). */
HEMI_API void hemi_keep(hemi_client *client, const hemi_val *val);

/* An externref of this store that carries `pointer`. The same pointer gives the same reference as long as it lives (the
 * first call's finalizer counts). `finalizer` (may be NULL) is called exactly once, from an outermost wait, dispatch,
 * or free: when the guest cannot reach the reference any more and no copy of it is on the way, or when the store or the
 * connection has ended. No request is made. */
HEMI_API hemi_status hemi_extern_new(hemi_store *store, void *pointer, void (*finalizer)(void *pointer), hemi_val *out);
/* Are two references the same? Any two of one store: all nulls are (NULL is one, too), i31s by their value. */
HEMI_API hemi_status hemi_ref_eq(hemi_client *client, const hemi_val *a, const hemi_val *b, bool *equal,
                                 hemi_ticket *ticket);
/* The dynamic type of a reference that has a handle (ARGUMENT: nulls, i31s and what hemi_extern_new gave have none); of
 * any function, (ref func): hemi_object_from_ref() tells its parameters and results. */
HEMI_API hemi_status hemi_ref_type(hemi_client *client, const hemi_val *ref, hemi_type *out, hemi_ticket *ticket);
/* The narrowest abstract type of a reference that has a handle: structref, arrayref, funcref, exnref, externref or
 * anyref, not nullable. */
HEMI_API hemi_status hemi_ref_abstract_type(hemi_client *client, const hemi_val *ref, hemi_type *out,
                                            hemi_ticket *ticket);

/* ---- Modules, stores, instances */

typedef enum hemi_object_kind {
    HEMI_FUNC_OBJECT,
    HEMI_TABLE_OBJECT,
    HEMI_MEMORY_OBJECT,
    HEMI_GLOBAL_OBJECT,
    HEMI_TAG_OBJECT,
    HEMI_REF_OBJECT,
} hemi_object_kind;

/* What an import, an export or an object is. Names are not terminated by length alone: they also end in a 0 byte. */
struct hemi_entry {
    hemi_object_kind kind;
    const char *module, *name; /* module: imports only */
    size_t module_length, name_length;
    const hemi_type *params, *results; /* functions and tags */
    size_t nparams, nresults;
    hemi_type type;    /* element type, content of a global */
    uint64_t min, max; /* pages, elements */
    bool has_max, is64, is_mutable, is_shared;
};

HEMI_API hemi_status hemi_module_new(hemi_client *client, const void *bytes, size_t size, hemi_module **out,
                                     hemi_ticket *ticket);
HEMI_API void hemi_module_free(hemi_module *module);
/* Imports and exports, in the module's order; valid until the module is freed. The first call of each waits. */
HEMI_API hemi_status hemi_module_imports(hemi_module *module, const struct hemi_entry **out, size_t *count);
HEMI_API hemi_status hemi_module_exports(hemi_module *module, const struct hemi_entry **out, size_t *count);

/* What the daemon runs in place of a function, as text for people: a line for the function, one for each instruction;
 * "; @0x2d" names a place in the module. `name`: that of an export or of the name section; NULL: `function` is the
 * index, imports included. Waits. Free *text, NULL after a failure, with hemi_free_text(). NOT_FOUND: there is no such
 * function; ARGUMENT: it is imported. */
HEMI_API hemi_status hemi_module_code(hemi_module *module, uint32_t function, const char *name, char **text);

/* Limits of a store; 0 in any field, or more than the tenant may have: the tenant's. */
struct hemi_store_options {
    size_t size;
    uint64_t memory_bytes;   /* linear memories, together */
    uint64_t heap_bytes;     /* the garbage-collected heap; less than 64 KiB: 64 KiB */
    uint64_t stack_bytes;    /* of one activation */
    uint64_t table_elements; /* together */
    uint32_t instances;
    uint32_t gc_growth_percent;
    uint32_t gc_stress_every; /* collect at every Nth allocation */
};
HEMI_API hemi_status hemi_store_new(hemi_client *client, const struct hemi_store_options *options, hemi_store **out,
                                    hemi_ticket *ticket);
/* Ends the store and all in it, at once: what runs in it fails with HEMI_CLOSED. Finalizers of its externrefs run in
 * the next outermost wait or dispatch behind it, or when the client is freed. What was made from it stays valid until
 * it is freed, and fails with HEMI_CLOSED. The store itself is the client's again when this has succeeded (a ticket:
 * was waited for or forgotten), or when the store had come to nothing: do not use it any more. */
HEMI_API hemi_status hemi_store_close(hemi_store *store, hemi_ticket *ticket);
/* The same when all requests to the store are answered that were made before this one. Made inside a host call of that
 * store: DEADLOCK. */
HEMI_API hemi_status hemi_store_close_in_order(hemi_store *store, hemi_ticket *ticket);
HEMI_API hemi_status hemi_store_gc(hemi_store *store, hemi_ticket *ticket);
HEMI_API hemi_client *hemi_store_client(const hemi_store *store);

struct hemi_stats {
    uint64_t instances, calls, host_calls, handles;
    uint64_t externs_made, externs_dead, externs_live;
    uint64_t collections, bytes_allocated, bytes_copied, bytes_live, bytes_committed, bytes_peak, memory_bytes;
    uint64_t pause_ns_total, pause_ns_max;
    uint64_t stores, reads, writes, frames_in, frames_out; /* of the connection */
};
/* Of a store, or (NULL) of all stores of this client. Waits. */
HEMI_API hemi_status hemi_stats_get(hemi_client *client, hemi_store *store, struct hemi_stats *out);

struct hemi_client_stats {
    uint64_t requests, host_calls, round_trips; /* round trips: times it sent something and then slept for an answer */
    uint64_t externs_made, externs_finalized;
    uint64_t reads, writes;
};
HEMI_API void hemi_client_stats_get(const hemi_client *client, struct hemi_client_stats *out);

struct hemi_wasi_options {
    size_t size;
    const char *const *args; /* argv, args[0] the program's name */
    size_t nargs;
    const char *const *envs; /* NAME=VALUE */
    size_t nenvs;
    /* Called with what the guest writes. NULL: it is thrown away. Must not call functions of this client. HEMI_OK: the
     * bytes are taken. Anything else ends the guest's program: its request fails with that status (HEMI_HOST in place
     * of TRAP, EXCEPTION and EXIT, which are the guest's to give), and what it wrote meanwhile is thrown away. */
    hemi_status (*out)(const void *bytes, size_t n, void *env);
    hemi_status (*err)(const void *bytes, size_t n, void *env);
    /* Called when the guest reads standard input and none is left. Fills at most n bytes and returns how many; 0 at the
     * end of the input; HEMI_INPUT_LATER: nothing yet, ask again after the client next wakes. NULL: empty input. */
    size_t (*in)(void *bytes, size_t n, void *env);
    void *env;
    uint64_t output_credit; /* bytes of output in flight; 0: 256 KiB */
    uint64_t terminals;     /* what the guest's isatty() says: bit 0 of standard input, 1 of output, 2 of error */
};
#define HEMI_INPUT_LATER ((size_t)-1)
/* What serves imports from wasi_snapshot_preview1. */
HEMI_API hemi_status hemi_wasi_new(hemi_store *store, const struct hemi_wasi_options *options, hemi_wasi **out,
                                   hemi_ticket *ticket);
HEMI_API void hemi_wasi_free(hemi_wasi *wasi);

/* Makes an instance; its start function runs. imports[i] serves the module's i-th import; NULL or missing: `wasi` does
 * (may be NULL). LINK (the error names the imports that do not link, as many as it has room for, and counts the rest),
 * TRAP, EXIT, LIMIT, ... */
HEMI_API hemi_status hemi_instance_new(hemi_store *store, hemi_module *module, hemi_object *const *imports,
                                       size_t nimports, hemi_wasi *wasi, hemi_instance **out, hemi_ticket *ticket);
HEMI_API void hemi_instance_free(hemi_instance *instance);
/* The export of that name. hemi_export_get_n: the name may hold any byte. */
HEMI_API hemi_status hemi_export_get(hemi_instance *instance, const char *name, hemi_object **out, hemi_ticket *ticket);
HEMI_API hemi_status hemi_export_get_n(hemi_instance *instance, const char *name, size_t length, hemi_object **out,
                                       hemi_ticket *ticket);
/* All exports; valid until the instance is freed. The first call waits. */
HEMI_API hemi_status hemi_instance_exports(hemi_instance *instance, const struct hemi_entry **out, size_t *count);

HEMI_API void hemi_object_free(hemi_object *object);
/* What it is; NULL while the request that makes it is unanswered (after hemi_wait it is known). */
HEMI_API const struct hemi_entry *hemi_object_entry(const hemi_object *object);
/* A funcref value for a function object (valid as long as the object). */
HEMI_API hemi_val hemi_object_ref(const hemi_object *function);
/* A function object for a funcref that was got from the guest, so that it can be called. */
HEMI_API hemi_status hemi_object_from_ref(hemi_store *store, const hemi_val *ref, hemi_object **out,
                                          hemi_ticket *ticket);

/* ---- Functions */

/* Calls. nargs and the kinds of args must be the function's, and nresults at least its number of results; so its type
 * must be known: wait for its hemi_export_get (of which this then says DEPENDENCY_FAILED, if it failed), or use
 * hemi_call_ahead. Inside a host function this calls back into the guest. */
HEMI_API hemi_status hemi_call(hemi_object *function, const hemi_val *args, size_t nargs, hemi_val *results,
                               size_t nresults, hemi_ticket *ticket);
/* As hemi_call with a ticket, for a function whose type is not known yet (its hemi_export_get has not been waited
 * for): at most `nrefs` of its results may be references. The kinds of args are the caller's to get right: numbers
 * travel without one, and only their size is looked at. */
HEMI_API hemi_status hemi_call_ahead(hemi_object *function, const hemi_val *args, size_t nargs, hemi_val *results,
                                     size_t nresults, size_t nrefs, hemi_ticket *ticket);
/* After HEMI_EXCEPTION of a call: the exception, a reference that is yours to drop; or a null. One that nobody asked
 * for is dropped at the next failure. */
HEMI_API hemi_val hemi_client_exception(hemi_client *client);

/* What a host has no function for: making a tag or an exception of its own (a module that exports the tag and a
 * function that throws does both), and reading what is in an exception, a struct or an array (exported functions do).
 *
 * A host function: the guest calls it, it runs in the client, inside a wait or a dispatch. It fills in results (preset
 * to zeroes and nulls) and returns HEMI_OK; or any other status (but those that hemi_caller_exit and hemi_caller_throw
 * have just returned to it): the guest traps, and the call that it was in fails with HEMI_HOST and the text set by
 * hemi_caller_fail, or else that status's own text. References among args are dropped when it returns, unless kept. It
 * may use the client freely, also call back into the guest; requests it makes are answered before those of others. */
typedef hemi_status (*hemi_host_function)(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env);

struct hemi_func_options {
    size_t size;
    const hemi_type *params, *results; /* abstract types only */
    size_t nparams, nresults;
    hemi_module *module; /* not NULL: the type is that of this module's import number `import` instead */
    size_t import;
    void (*env_free)(void *env); /* called once when the store or the connection has ended; may be NULL. Not called
                                    if hemi_func_new itself fails */
};
/* Makes a function of the store that calls `function` with `env`. It lives as long as the store. */
HEMI_API hemi_status hemi_func_new(hemi_store *store, const struct hemi_func_options *options,
                                   hemi_host_function function, void *env, hemi_object **out, hemi_ticket *ticket);

HEMI_API hemi_client *hemi_caller_client(const hemi_caller *caller);
HEMI_API hemi_store *hemi_caller_store(const hemi_caller *caller);
/* Types and counts of what was called. */
HEMI_API const struct hemi_entry *hemi_caller_entry(const hemi_caller *caller);
/* Sets the text of the failure and returns HEMI_HOST, to be returned: the guest's caller gets both. */
HEMI_API hemi_status hemi_caller_fail(hemi_caller *caller, const char *text);
/* Ends the guest as proc_exit would; returns HEMI_EXIT, to be returned. */
HEMI_API hemi_status hemi_caller_exit(hemi_caller *caller, int32_t code);
/* Throws an exception reference; returns HEMI_EXCEPTION, to be returned. */
HEMI_API hemi_status hemi_caller_throw(hemi_caller *caller, const hemi_val *exception);
/* The answer will come later: return HEMI_OK, and call hemi_deferred_finish exactly once. (Returned anything else, that
 * is the answer; hemi_deferred_finish then only frees, and says HEMI_ARGUMENT.) */
HEMI_API hemi_status hemi_caller_defer(hemi_caller *caller, hemi_deferred **out);
/* status OK: nresults values. Otherwise the guest traps, its caller gets HEMI_HOST and `text` (NULL: the status's).
 * Frees `deferred`; before the client is freed. */
HEMI_API hemi_status hemi_deferred_finish(hemi_deferred *deferred, hemi_status status, const hemi_val *results,
                                          size_t nresults, const char *text);

/* ---- Memories, globals, tables */

/* max UINT64_MAX: none. Pages of 64 KiB. is64: guests address it with i64; an import must say the same. Offsets,
 * indices and sizes are 64 bits wide here in any case. */
HEMI_API hemi_status hemi_memory_new(hemi_store *store, uint64_t min, uint64_t max, bool is64, hemi_object **out,
                                     hemi_ticket *ticket);
/* Outside the memory: HEMI_ARGUMENT. More than 1 MiB goes in several requests, is not atomic, and cannot have a ticket
 * (HEMI_ARGUMENT). `bytes` of a write is copied before it returns. */
HEMI_API hemi_status hemi_memory_read(hemi_object *memory, uint64_t offset, void *bytes, size_t n, hemi_ticket *ticket);
HEMI_API hemi_status hemi_memory_write(hemi_object *memory, uint64_t offset, const void *bytes, size_t n,
                                       hemi_ticket *ticket);
HEMI_API hemi_status hemi_memory_size(hemi_object *memory, uint64_t *pages, hemi_ticket *ticket);
HEMI_API hemi_status hemi_memory_grow(hemi_object *memory, uint64_t delta, uint64_t *previous, hemi_ticket *ticket);

HEMI_API hemi_status hemi_global_new(hemi_store *store, hemi_type type, bool is_mutable, const hemi_val *value,
                                     hemi_object **out, hemi_ticket *ticket);
HEMI_API hemi_status hemi_global_get(hemi_object *global, hemi_val *out, hemi_ticket *ticket);
HEMI_API hemi_status hemi_global_set(hemi_object *global, const hemi_val *value, hemi_ticket *ticket);

HEMI_API hemi_status hemi_table_new(hemi_store *store, hemi_type type, uint64_t min, uint64_t max, bool is64,
                                    const hemi_val *init, hemi_object **out, hemi_ticket *ticket);
HEMI_API hemi_status hemi_table_get(hemi_object *table, uint64_t index, hemi_val *out, hemi_ticket *ticket);
HEMI_API hemi_status hemi_table_set(hemi_object *table, uint64_t index, const hemi_val *value, hemi_ticket *ticket);
HEMI_API hemi_status hemi_table_size(hemi_object *table, uint64_t *elements, hemi_ticket *ticket);
HEMI_API hemi_status hemi_table_grow(hemi_object *table, uint64_t delta, const hemi_val *init, uint64_t *previous,
                                     hemi_ticket *ticket);

/* ---------------------------------------------------------------------------------------------------------------- */
/* The text format (chapter 6 of the specification). These need no client and no daemon: pure functions of their
 * arguments, for any thread, of which none prints or recurses. Time and memory are in proportion to what they read and
 * write. */

/* All zeros: the defaults. Wherever options are taken, NULL means those. */
struct hemi_wat_options {
    size_t size;
    bool no_names; /* write no name section; disassembling: write indices instead of the name section's names */
};

/* Filled in by every function that takes one, unless it is NULL: all zeros after a success. */
struct hemi_wat_error {
    uint32_t line, column; /* from 1, columns in bytes; 0: the error has no place in a text */
    uint64_t offset;       /* of the byte, in the text or in the binary module */
    char message[232];     /* what is wrong and what was expected, without the place; UTF-8, one line */
};

/* Assembles one module, `(module ...)` or its fields alone, from `size` bytes of UTF-8, which need no 0 byte at their
 * end: WebAssembly 3.0, all of it. The module is well-formed then, not necessarily valid; hemi_module_new says.
 * Identifiers become its name section, and `(@custom ...)` custom sections; other annotations are skipped. *bytes is
 * yours: hemi_wat_free(). Failures, which set *bytes to NULL: INVALID_MODULE (the text is wrong), LIMIT (4 GiB of text
 * or of a section, blocks or parentheses nested deeper than 2^20), NO_MEMORY. */
HEMI_API hemi_status hemi_wat_assemble(const char *text, size_t size, const struct hemi_wat_options *options,
                                       void **bytes, size_t *count, struct hemi_wat_error *error);
/* Writes a well-formed binary module as text that assembles to the same module, one instruction a line. Names come from
 * its name section where they are unique; other custom sections become `(@custom ...)`. What has several encodings may
 * come back in another, but only once: after that, the bytes stay the same. *text ends in a 0 byte that *length does
 * not count, and is yours: hemi_wat_free(). Failures, which set *text to NULL: INVALID_MODULE (malformed, or a function
 * of more locals than the engine takes, at error->offset), LIMIT (the text would exceed 1 MiB and 256 times the
 * module), NO_MEMORY. */
HEMI_API hemi_status hemi_wat_disassemble(const void *bytes, size_t size, const struct hemi_wat_options *options,
                                          char **text, size_t *length, struct hemi_wat_error *error);
/* Where in the text the instruction stands, or else the field, that is at `offset` of the module that
 * hemi_wat_assemble() makes of it with the default options, as hemi_client_offset() and traces tell it. Assembles the
 * text again. Failures, which set *line and *column to 0: NOT_FOUND (nothing of the text is there), and those of
 * hemi_wat_assemble(). */
HEMI_API hemi_status hemi_wat_locate(const char *text, size_t size, uint64_t offset, uint32_t *line, uint32_t *column);
/* Frees what one of these gave. NULL is allowed. */
HEMI_API void hemi_wat_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
