/* proto/frames.h -- every frame type, one row each. Numbers are on the wire: never renumber or reuse one.
 *
 * Columns: name; number; who sends it (C2W client to worker, W2C worker to client, ANY both); body message (CamelCase
 * and lower_case, as protobuf-c names it); cap on the body; cap on the raw part; descriptors it may carry; does it
 * draw on the window of unanswered requests; connection states in which it may be received; how it is answered; what
 * the raw part is.
 *
 * Answered: R_xxx means that this is a request: its id is nonzero and not in use, and exactly one REPLY with that id
 * answers it, whose raw part on success is what R_xxx says. ONEWAY: no id (0), no answer. ANSWER: the id is that of
 * the request or host call answered. HOSTCALL: the id is the host call's, answered by HOST_REPLY. */
#ifndef HEMI_PROTO_FRAMES_H
#define HEMI_PROTO_FRAMES_H

#include "proto/limits.h"

/* clang-format off */
#define HEMI_FRAMES(X)                                                                                                 \
/*  name             nr  sender body            body_           body  raw             fds credit states  answer     raw part */ \
  X(WELCOME,          1, W2C, Welcome,        welcome,         512, 0,                0, 0, GREETING, ONEWAY,     "none") \
  X(CLOSE,            2, W2C, Close,          close,          2048, 0,                0, 0, ALWAYS,   ONEWAY,     "none") \
  X(REPLY,            3, W2C, Reply,          reply,          2048, FRAME_RAW_MAX,    0, 0, OPEN,     ANSWER,     "by the request answered") \
  X(PING,             4, C2W, Empty,          empty,             0, 65536,            0, 1, ALWAYS,   R_BYTES,    "anything; comes back") \
  X(INFO,             5, C2W, Empty,          empty,             0, 0,                0, 1, ALWAYS,   R_JSON,     "none") \
  X(CANCEL,           6, C2W, Cancel,         cancel,           16, 0,                0, 0, ALWAYS,   ONEWAY,     "none") \
  X(INTERRUPT,        7, C2W, Empty,          empty,             0, 0,                0, 0, ALWAYS,   ONEWAY,     "none") \
  X(DROP,             8, C2W, Empty,          empty,             0, 65536,            0, 0, ALWAYS,   ONEWAY,     "ranges {u32 first, u32 count}") \
  X(MODULE_DATA,     16, C2W, ModuleData,     module_data,      64, FRAME_RAW_MAX,    0, 1, ALWAYS,   R_NONE,     "a chunk of the module") \
  X(MODULE_NEW,      17, C2W, ModuleNew,      module_new,       64, FRAME_RAW_MAX,    1, 1, ALWAYS,   R_NONE,     "the module's last (or only) chunk") \
  X(MODULE_DESCRIBE, 18, C2W, ModuleDescribe, module_describe,  64, 0,                0, 1, ALWAYS,   R_EXTERNS,  "none") \
  X(MODULE_CODE,     19, C2W, ModuleCode,     module_code,      64, PROTO_NAME_MAX,   0, 1, ALWAYS,   R_BYTES,    "the function's name, or none: `function` counts") \
  X(STORE_NEW,       24, C2W, StoreNew,       store_new,       128, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(STORE_CLOSE,     25, C2W, StoreClose,     store_close,      64, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(STORE_GC,        26, C2W, StoreGc,        store_gc,         64, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(STORE_STATS,     27, C2W, StoreStats,     store_stats,      64, 0,                0, 1, ALWAYS,   R_COUNTERS, "none") \
  X(DEATH,           28, W2C, Death,          death,            16, 65536,            0, 0, OPEN,     ONEWAY,     "notices {u64 id, u32 times, u32 0}") \
  X(INSTANCE_NEW,    32, C2W, InstanceNew,    instance_new,     64, 4 * PROTO_IMPORTS_MAX, 0, 1, ALWAYS, R_NONE,  "u32 handles, one per import") \
  X(EXPORT_GET,      33, C2W, ExportGet,      export_get,       64, PROTO_NAME_MAX,   0, 1, ALWAYS,   R_EXTERNS,  "the export's name") \
  X(EXPORT_LIST,     34, C2W, ExportList,     export_list,      64, 0,                0, 1, ALWAYS,   R_EXTERNS,  "none") \
  X(FUNC_NEW,        40, C2W, FuncNew,        func_new,         64, 8 * PROTO_PARAMS_MAX, 0, 1, ALWAYS, R_NONE,   "u32 wire types: parameters, results") \
  X(CALL,            41, C2W, Call,           call,             64, 16 * PROTO_PARAMS_MAX, 0, 1, ALWAYS, R_VALUES, "arguments: values") \
  X(HOST_CALL,       42, W2C, HostCall,       host_call,        64, 16 * PROTO_PARAMS_MAX, 0, 0, OPEN, HOSTCALL,  "arguments: values") \
  X(HOST_REPLY,      43, C2W, HostReply,      host_reply,     2048, 16 * PROTO_PARAMS_MAX, 0, 0, OPEN, ANSWER,    "results: values") \
  X(MEMORY_NEW,      48, C2W, MemoryNew,      memory_new,       64, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(MEMORY_READ,     49, C2W, MemoryRead,     memory_read,      64, 0,                0, 1, ALWAYS,   R_BYTES,    "none") \
  X(MEMORY_WRITE,    50, C2W, MemoryWrite,    memory_write,     64, FRAME_RAW_MAX,    0, 1, ALWAYS,   R_NONE,     "the bytes") \
  X(MEMORY_SIZE,     51, C2W, MemorySize,     memory_size,      64, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(MEMORY_GROW,     52, C2W, MemoryGrow,     memory_grow,      64, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(GLOBAL_NEW,      56, C2W, GlobalNew,      global_new,       64, 16,               0, 1, ALWAYS,   R_NONE,     "initial value") \
  X(GLOBAL_GET,      57, C2W, GlobalGet,      global_get,       64, 0,                0, 1, ALWAYS,   R_VALUES,   "none") \
  X(GLOBAL_SET,      58, C2W, GlobalSet,      global_set,       64, 16,               0, 1, ALWAYS,   R_NONE,     "the value") \
  X(TABLE_NEW,       64, C2W, TableNew,       table_new,        64, 16,               0, 1, ALWAYS,   R_NONE,     "initial value of the elements") \
  X(TABLE_GET,       65, C2W, TableGet,       table_get,        64, 0,                0, 1, ALWAYS,   R_VALUES,   "none") \
  X(TABLE_SET,       66, C2W, TableSet,       table_set,        64, 16,               0, 1, ALWAYS,   R_NONE,     "the value") \
  X(TABLE_SIZE,      67, C2W, TableSize,      table_size,       64, 0,                0, 1, ALWAYS,   R_NONE,     "none") \
  X(TABLE_GROW,      68, C2W, TableGrow,      table_grow,       64, 16,               0, 1, ALWAYS,   R_NONE,     "value of the new elements") \
  X(REF_EQ,          72, C2W, RefEq,          ref_eq,           64, 16,               0, 1, ALWAYS,   R_NONE,     "with `b` 0: a reference without a handle") \
  X(REF_TYPE,        73, C2W, RefType,        ref_type,         64, 0,                0, 1, ALWAYS,   R_EXTERNS,  "none") \
  X(WASI_NEW,        80, C2W, WasiNew,        wasi_new,        128, FRAME_RAW_MAX,    0, 1, ALWAYS,   R_NONE,     "arguments, then NAME=VALUEs, each ended by a 0 byte") \
  X(STREAM_DATA,     81, ANY, StreamData,     stream_data,      16, 65536,            0, 0, OPEN,     ONEWAY,     "the bytes, at least one") \
  X(STREAM_CREDIT,   82, ANY, StreamCredit,   stream_credit,    64, 0,                0, 0, OPEN,     ONEWAY,     "none") \
  X(STREAM_EOF,      83, ANY, StreamEof,      stream_eof,       16, 0,                0, 0, OPEN,     ONEWAY,     "none")
/* clang-format on */

enum frame_type {
#define X(name, number, ...) FRAME_##name = number,
    HEMI_FRAMES(X)
#undef X
};

enum frame_sender { FRAME_C2W = 1, FRAME_W2C = 2, FRAME_ANY = 3 };

/* Where a connection stands. GREETING: HELLO was sent, WELCOME was not (the client may already send requests within
 * the initial window). OPEN: WELCOME was sent. A side that has sent or received CLOSE accepts nothing. */
enum frame_state { FRAME_GREETING = 1, FRAME_OPEN = 2, FRAME_ALWAYS = 3 };

enum frame_answer {
    FRAME_R_NONE,     /* request; REPLY without a raw part; a scalar result is in `value` */
    FRAME_R_VALUES,   /* request; values of 16 bytes (proto/value.h) */
    FRAME_R_BYTES,    /* request; bytes */
    FRAME_R_EXTERNS,  /* request; entries (proto/externs.h); `value` is how many there are in all */
    FRAME_R_COUNTERS, /* request; u64s in the order of proto/counters.h */
    FRAME_R_JSON,     /* request; a JSON object in UTF-8 */
    FRAME_ONEWAY,
    FRAME_ANSWER,
    FRAME_HOSTCALL,
};

/* Flags of the frame header. Any other bit is an error. */
#define FRAME_FLAG_IF_PREVIOUS_OK                                                                                      \
    1u                   /* requests: runs only if the request sent before it succeeded, else fails like it */
#define FRAME_FLAG_FD 2u /* a descriptor comes with the frame's first byte */

#endif
