/* keyed.h -- where ids go in hash tables. A peer chooses them: with a key that it cannot know it cannot choose such
 * that fall next to each other, where every look-up would be a walk through all of them. */
#ifndef HEMI_PROTO_KEYED_H
#define HEMI_PROTO_KEYED_H

#include <stdint.h>

/* The upper bits are the slot. Both steps mix with the key: one multiplication alone keeps neighbours near each other.
 */
static inline uint64_t keyed_hash(uint64_t id, uint64_t key)
{
    uint64_t x = (id ^ key) * 0x9E3779B97F4A7C15u;
    return (x ^ x >> 32 ^ key) * 0xD6E8FEB86659FD93u;
}

#endif
