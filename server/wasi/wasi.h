/* server/wasi/wasi.h -- WASI preview 1 for guests, inside the worker: arguments, environment, clocks, randomness, and
 * three standard streams. No files.
 *
 * School of checking: everything a guest passes is untrusted: pointers are bounds-checked by the engine's memory_read
 * and memory_write (EFAULT), counts are capped (EINVAL). A function looks at what it was passed once, in a copy, and
 * checks every address before it has any effect: FAULT means that nothing was moved, read from a stream, or waited for.
 *
 * This room is built on the worker (streams, stores, accounts), which knows of it only what `struct inside` says.
 * Owners: the handle's object and each host function made from it hold a reference (wasi_unref).
 *
 * A WASI object belongs to a store. instance_new's imports from wasi_snapshot_preview1 become host functions that
 * refer to it and to the memory that the calling instance exports as "memory". What is not built of preview 1
 * (WASI_MISSING) resolves to a function that only returns an errno, for programs import more than they call: BADF where
 * it works from a directory, since there are none. What preview 1 does not have does not link.
 *
 * Numbers: `errno` values of the specification, see WASI_ERRNOS. */
#ifndef HEMI_SERVER_WASI_WASI_H
#define HEMI_SERVER_WASI_WASI_H

#include "runtime/runtime.h"
#include "server/worker/handles.h"
#include "server/worker/stream.h"

#define WASI_MODULE "wasi_snapshot_preview1"

/* The errnos that are used here. */
#define WASI_ERRNOS(X)                                                                                                 \
    X(SUCCESS, 0)                                                                                                      \
    X(BADF, 8)                                                                                                         \
    X(FAULT, 21)                                                                                                       \
    X(INVAL, 28)                                                                                                       \
    X(IO, 29)                                                                                                          \
    X(NOSYS, 52)                                                                                                       \
    X(NOTSOCK, 57)                                                                                                     \
    X(NOTSUP, 58)                                                                                                      \
    X(SPIPE, 70)
enum wasi_errno {
#define X(name, number) WASI_##name = number,
    WASI_ERRNOS(X)
#undef X
};

/* name, signature (i: i32, I: i64, in order; all but proc_exit return an errno) */
#define WASI_FUNCTIONS(X)                                                                                              \
    X(args_get, "ii")                                                                                                  \
    X(args_sizes_get, "ii")                                                                                            \
    X(environ_get, "ii")                                                                                               \
    X(environ_sizes_get, "ii")                                                                                         \
    X(clock_res_get, "ii")                                                                                             \
    X(clock_time_get, "iIi")                                                                                           \
    X(random_get, "ii")                                                                                                \
    X(fd_write, "iiii")                                                                                                \
    X(fd_read, "iiii")                                                                                                 \
    X(fd_close, "i")                                                                                                   \
    X(fd_seek, "iIii")                                                                                                 \
    X(fd_fdstat_get, "ii")                                                                                             \
    X(fd_fdstat_set_flags, "ii")                                                                                       \
    X(fd_filestat_get, "ii")                                                                                           \
    X(fd_prestat_get, "ii")                                                                                            \
    X(fd_prestat_dir_name, "iii")                                                                                      \
    X(sched_yield, "")                                                                                                 \
    X(poll_oneoff, "iiii")                                                                                             \
    X(sock_shutdown, "ii")                                                                                             \
    X(proc_exit, "i")

/* The rest of preview 1: name, signature, the errno that it returns */
#define WASI_MISSING(X)                                                                                                \
    X(fd_advise, "iIIi", NOSYS)                                                                                        \
    X(fd_allocate, "iII", NOSYS)                                                                                       \
    X(fd_datasync, "i", NOSYS)                                                                                         \
    X(fd_fdstat_set_rights, "iII", NOSYS)                                                                              \
    X(fd_filestat_set_size, "iI", NOSYS)                                                                               \
    X(fd_filestat_set_times, "iIIi", NOSYS)                                                                            \
    X(fd_pread, "iiiIi", NOSYS)                                                                                        \
    X(fd_pwrite, "iiiIi", NOSYS)                                                                                       \
    X(fd_readdir, "iiiIi", NOSYS)                                                                                      \
    X(fd_renumber, "ii", NOSYS)                                                                                        \
    X(fd_sync, "i", NOSYS)                                                                                             \
    X(fd_tell, "ii", NOSYS)                                                                                            \
    X(path_create_directory, "iii", BADF)                                                                              \
    X(path_filestat_get, "iiiii", BADF)                                                                                \
    X(path_filestat_set_times, "iiiiIIi", BADF)                                                                        \
    X(path_link, "iiiiiii", BADF)                                                                                      \
    X(path_open, "iiiiiIIii", BADF)                                                                                    \
    X(path_readlink, "iiiiii", BADF)                                                                                   \
    X(path_remove_directory, "iii", BADF)                                                                              \
    X(path_rename, "iiiiii", BADF)                                                                                     \
    X(path_symlink, "iiiii", BADF)                                                                                     \
    X(path_unlink_file, "iii", BADF)                                                                                   \
    X(proc_raise, "i", NOSYS)                                                                                          \
    X(sock_accept, "iii", NOSYS)                                                                                       \
    X(sock_recv, "iiiiii", NOSYS)                                                                                      \
    X(sock_send, "iiiii", NOSYS)

enum { WASI_FDS = 3, WASI_STRINGS_MAX = 1 << 20, WASI_IOVS_MAX = 1024, WASI_SUBSCRIPTIONS_MAX = 64 };

struct wasi_strings {
    uint32_t count, bytes; /* bytes: with the final zeros */
    const char *at;        /* one after the other */
};

struct wasi {
    struct inside inside; /* of its object; first (wasi_of) */
    uint32_t refs;        /* the handle's object, each host function */
    uint32_t charged;     /* bytes, to the worker's budget */
    struct wstore *store; /* borrowed */
    struct wasi_strings args, envs;
    struct wasi_fd {
        bool open;
        bool terminal;
        struct stream *stream; /* NULL: at end of file, or thrown away */
    } fds[WASI_FDS];
    char strings[]; /* what args and envs point into */
};

/* Makes one from WASI_NEW's raw part: nargs + nenvs strings, each ended by a zero. NULL: no memory, or not that
 * (*malformed). One reference for the caller. */
struct wasi *wasi_new(struct wstore *s, const uint8_t *raw, size_t n, uint32_t nargs, uint32_t nenvs, bool *malformed);
/* NULL of NULL. */
static inline struct wasi *wasi_of(struct inside *in) { return (struct wasi *)(void *)in; }
void wasi_unref(struct wasi *w);
/* Counts it against the worker's budget until it goes. False: refused. */
bool wasi_charge(struct wasi *w);

/* Can WASI give the import `name` of function type `type_id` (the module's)? LINK if not, with the one it has (err
 * may be NULL). */
enum hemi_status wasi_check(const struct wstore *s, struct name name, uint32_t type_id, struct rt_error *err);
/* A function for the import `name` of function type `type_id`, which wasi_check has passed. */
enum hemi_status wasi_import(struct wasi *w, struct name name, uint32_t type_id, uint32_t *func, struct rt_error *err);

/* ---- for the functions themselves (server/wasi/calls.c) and tests */
struct wasi_call {
    struct wasi *wasi;
    struct memory *memory; /* the caller's; NULL: it exports none */
    const union val *args;
    struct rt_error *err;
    uint32_t error; /* the errno to return */
};
/* Each returns OK with call->error set, or what the guest is to be unwound with. */
#define X(name, signature) enum hemi_status wasi_##name(struct wasi_call *call);
WASI_FUNCTIONS(X)
#undef X

/* Guest memory, bounds-checked; false: FAULT is set. Addresses have 64 bits so that sums of 32-bit ones do not wrap. */
bool wasi_within(struct wasi_call *call, uint64_t at, uint64_t n); /* moves nothing */
bool wasi_load(struct wasi_call *call, uint64_t at, void *to, size_t n);
bool wasi_store(struct wasi_call *call, uint64_t at, const void *from, size_t n);
bool wasi_store_u32(struct wasi_call *call, uint64_t at, uint32_t value);
bool wasi_store_u64(struct wasi_call *call, uint64_t at, uint64_t value);

#endif
