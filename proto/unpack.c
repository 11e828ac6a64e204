/* Unpacking bodies into a bounded arena (.arena): protobuf-c asks for memory 50 times a hostile body's size. */
#include "proto/frame.h"

static void *arena_alloc(void *data, size_t size)
{
    struct proto_arena *arena = data;
    size_t at = (arena->used + 15) & ~(size_t)15;
    if (at > sizeof arena->bytes || size > sizeof arena->bytes - at) return NULL;
    arena->used = at + size;
    return arena->bytes + at;
}

static void arena_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

enum proto_error proto_unpack(struct proto_arena *arena, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                              size_t length, const ProtobufCMessage **out)
{
    ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    arena->used = 0;
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, length, bytes);
    if (!message) return PROTO_BODY;
    if (message->n_unknown_fields != 0) return PROTO_FIELD;
    *out = message;
    return PROTO_OK;
}
