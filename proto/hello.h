/* proto/hello.h -- HELLO, the first bytes that a client sends: a fixed layout, so that the supervisor reads exactly it
 * and no protobuf. All numbers little-endian.
 *
 *   0  u8[4] magic "HEMI"        12  u32 unanswered requests wished for (0 = the default)
 *   4  u16 length of all of it   16  u32 unanswered bytes wished for (0 = the default)
 *   6  u16 major version         20  u32 flags, 0
 *   8  u16 minor version         24  u64 reserved, 0
 *  10  u16 token length T        32  u8[T] token
 *
 * School of checking: bytes from a peer; every defect is an error return. Threads: pure functions. */
#ifndef HEMI_PROTO_HELLO_H
#define HEMI_PROTO_HELLO_H

#include "proto/frame.h"

struct hello {
    uint16_t major, minor;
    uint16_t token_length;
    uint32_t window_requests, window_bytes;
    uint8_t token[HELLO_TOKEN_MAX];
};

/* Writes `h` to out (HELLO_MAX bytes of room); returns its length. h->token_length <= HELLO_TOKEN_MAX. */
size_t hello_write(const struct hello *h, uint8_t *out);

/* Looks at the first `n` bytes received. PROTO_OK and *need > n: that many bytes are needed in all (ask again with
 * them; never read more from the socket). PROTO_OK and *need == n: *out is filled in. PROTO_HELLO: these bytes are no
 * HELLO. PROTO_RESERVED: a reserved field is set. PROTO_VERSION: another major version; *out has its versions. */
enum proto_error hello_read(const uint8_t *bytes, size_t n, struct hello *out, size_t *need);

#endif
