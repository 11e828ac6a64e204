/* HELLO: writing and reading the first bytes of a connection. */
#include "proto/hello.h"

#include "base/check.h"
#include "proto/value.h"

static const uint8_t magic[4] = {'H', 'E', 'M', 'I'};

size_t hello_write(const struct hello *h, uint8_t *out)
{
    CHECK(h->token_length <= HELLO_TOKEN_MAX);
    memset(out, 0, HELLO_FIXED_BYTES);
    memcpy(out, magic, sizeof magic);
    wire_put_u16(out + 4, (uint16_t)(HELLO_FIXED_BYTES + h->token_length));
    wire_put_u16(out + 6, h->major);
    wire_put_u16(out + 8, h->minor);
    wire_put_u16(out + 10, h->token_length);
    wire_put_u32(out + 12, h->window_requests);
    wire_put_u32(out + 16, h->window_bytes);
    memcpy(out + HELLO_FIXED_BYTES, h->token, h->token_length);
    return HELLO_FIXED_BYTES + h->token_length;
}

enum proto_error hello_read(const uint8_t *bytes, size_t n, struct hello *out, size_t *need)
{
    *need = HELLO_FIXED_BYTES;
    if (memcmp(bytes, magic, n < sizeof magic ? n : sizeof magic) != 0) return PROTO_HELLO;
    if (n < HELLO_FIXED_BYTES) return PROTO_OK;
    *out = (struct hello){.major = wire_get_u16(bytes + 6),
                          .minor = wire_get_u16(bytes + 8),
                          .token_length = wire_get_u16(bytes + 10),
                          .window_requests = wire_get_u32(bytes + 12),
                          .window_bytes = wire_get_u32(bytes + 16)};
    if (out->major != PROTO_MAJOR) return PROTO_VERSION;
    if (out->token_length > HELLO_TOKEN_MAX) return PROTO_HELLO;
    if (wire_get_u16(bytes + 4) != HELLO_FIXED_BYTES + out->token_length) return PROTO_HELLO;
    if (wire_get_u32(bytes + 20) != 0 || wire_get_u64(bytes + 24) != 0) return PROTO_RESERVED;
    *need = HELLO_FIXED_BYTES + (size_t)out->token_length;
    if (n < *need) return PROTO_OK;
    memcpy(out->token, bytes + HELLO_FIXED_BYTES, out->token_length);
    return PROTO_OK;
}
