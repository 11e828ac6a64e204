/* heap/bits.c -- one bit for each place where an object may start: what the walks of verify.c and reach.c have met. */
#include "heap/internal.h"

#include <stdlib.h>

enum { CHUNK_BYTES = HEAP_CHUNK / 32 };

bool heap_bits_init(struct heap_bits *b, uint32_t chunks)
{
    b->chunks = chunks;
    b->of = calloc(chunks + 1, sizeof *b->of);
    return b->of != NULL;
}

void heap_bits_deinit(struct heap_bits *b, struct heap_walk *walk)
{
    for (uint32_t c = 0; b->of != NULL && c < b->chunks; c++) {
        free(b->of[c]);
        heap_walk_step(walk);
    }
    free(b->of);
}

bool heap_bits_set(struct heap_bits *b, uint32_t at)
{
    uint8_t **bytes = &b->of[heap_chunk_of(at)];
    if (*bytes == NULL) *bytes = calloc(1, CHUNK_BYTES);
    if (*bytes == NULL) return false;
    (*bytes)[at % HEAP_CHUNK / 32] |= (uint8_t)(1u << (at / 4 % 8));
    return true;
}

bool heap_bits_has(const struct heap_bits *b, uint32_t at)
{
    if (at % 4 != 0 || heap_chunk_of(at) >= b->chunks) return false;
    const uint8_t *bytes = b->of[heap_chunk_of(at)];
    return bytes != NULL && (bytes[at % HEAP_CHUNK / 32] >> (at / 4 % 8) & 1) != 0;
}

static void each_of_chunk(const uint8_t *bytes, uint32_t start, void (*seen)(void *ctx, heap_ref object), void *ctx)
{
    for (uint32_t i = 0; i < CHUNK_BYTES; i++)
        for (uint32_t bits = bytes[i]; bits != 0; bits &= bits - 1)
            seen(ctx, (heap_ref){start + 32 * i + 4 * (uint32_t)__builtin_ctz(bits)});
}

void heap_bits_each(const struct heap_bits *b, struct heap_walk *walk, void (*seen)(void *ctx, heap_ref object),
                    void *ctx)
{
    for (uint32_t c = 0; c < b->chunks; c++) {
        heap_walk_step(walk);
        if (b->of[c] != NULL) each_of_chunk(b->of[c], heap_chunk_start(c), seen, ctx);
    }
}
