/* proto/limits.h -- the protocol's fixed numbers. Both sides rely on them; changing one is a new major version. */
#ifndef HEMI_PROTO_LIMITS_H
#define HEMI_PROTO_LIMITS_H

#define PROTO_MAJOR 1
#define PROTO_MINOR 0

#define FRAME_HEADER_BYTES 24u
#define FRAME_RAW_MAX (1u << 20)                                        /* raw part of any frame */
#define FRAME_BODY_MAX 2048u                                            /* body of any frame */
#define FRAME_MAX (FRAME_HEADER_BYTES + FRAME_BODY_MAX + FRAME_RAW_MAX) /* a whole frame */
#define FRAME_FDS_PASSED_MAX 253u                                       /* the kernel's, of one message */
#define FRAME_FDS_MAX 4u                                                /* descriptors received, not yet claimed */

#define PROTO_TEXT_MAX 1024u     /* message and text fields, bytes */
#define PROTO_NAME_MAX 65535u    /* import and export names, bytes */
#define PROTO_ARENA_BYTES 16384u /* enough for every lawful body unpacked; more is refused */

#define HELLO_FIXED_BYTES 32u
#define HELLO_TOKEN_MAX 256u
#define HELLO_MAX (HELLO_FIXED_BYTES + HELLO_TOKEN_MAX)

/* Before WELCOME the client may already send this much (it waits in the socket until a worker adopts it). */
#define WINDOW_INITIAL_REQUESTS 64u
#define WINDOW_INITIAL_BYTES 65536u
/* What WELCOME grants at least: one frame of the largest size always fits. */
#define WINDOW_MIN_REQUESTS 64u
#define WINDOW_MIN_BYTES ((unsigned long long)FRAME_MAX)
/* What a client gets that asks for nothing. */
#define WINDOW_DEFAULT_REQUESTS 1024u
#define WINDOW_DEFAULT_BYTES (8ull << 20)
/* Each outstanding host call's own window, for requests that name it as parent. */
#define WINDOW_NESTED_REQUESTS 64u
#define WINDOW_NESTED_BYTES ((unsigned long long)FRAME_MAX)

#define PROTO_NESTING_MAX 64u /* host calls within host calls, counted along parents */

/* Handles: 0 names nothing; the client chooses below HANDLE_WORKER, the worker (arguments of host calls) from it. */
#define HANDLE_WORKER 0x80000000u
#define DROP_IDS_MAX 65536u /* sum of the counts of one DROP's ranges */

#define PROTO_PARAMS_MAX 1000u   /* parameters, and results, of a function */
#define PROTO_IMPORTS_MAX 65536u /* handles in one INSTANCE_NEW */

#endif
