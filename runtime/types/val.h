/* runtime/types/val.h -- a WebAssembly value inside the engine. The type travels beside it, never inside. */
#ifndef HEMI_RUNTIME_TYPES_VAL_H
#define HEMI_RUNTIME_TYPES_VAL_H

#include "heap/heap.h"
#include <stdint.h>

/* 16 bytes, little-endian; unused bytes are zero. Function ids: 0 is null (store.h .func). */
union val {
    uint32_t i32;
    uint64_t i64;
    float f32;
    double f64;
    uint32_t ref;  /* heap_ref.bits: any, extern and exn hierarchies */
    uint32_t func; /* function id in the store */
    uint64_t u64[2];
    uint8_t bytes[16];
};

#endif
