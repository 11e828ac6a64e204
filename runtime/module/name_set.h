/* runtime/module/name_set.h -- a module's exports by name: none twice, and found without looking at the others.
 *
 * School: the names are UNTRUSTED, so the hash is seeded. Owned by its module. */
#ifndef HEMI_RUNTIME_MODULE_NAME_SET_H
#define HEMI_RUNTIME_MODULE_NAME_SET_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct export;
struct name;

/* Open addressing, at most half full; a slot holds an export's index + 1. */
struct name_set {
    uint32_t *slots; /* NULL: empty */
    uint32_t mask;
    uint64_t seed;
};

/* Room for n names. Polls. False: no memory. */
bool name_set_init(struct name_set *s, uint32_t n, struct engine *e);
/* False when an export before `index` has the same name. */
bool name_set_add(struct name_set *s, const struct export *exports, uint32_t index);
/* NULL: there is none. */
const struct export *name_set_find(const struct name_set *s, const struct export *exports, struct name name);

#endif
