/* base/grow.c -- the slow path of GROW. */
#include "base/grow.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool grow_array(void *array, size_t size, size_t *capacity, size_t need, size_t first, size_t most)
{
    size_t wanted = *capacity > most / 2 ? most : 2 * *capacity;
    if (wanted < first) wanted = first < most ? first : most;
    if (wanted < need) wanted = need;
    if (need <= *capacity || wanted > most) return false; /* the sum went round, or is too large */
    void *at;
    memcpy(&at, array, sizeof at);
    at = reallocarray(at, wanted, size);
    if (at == NULL) return false;
    memcpy(array, &at, sizeof at);
    *capacity = wanted;
    return true;
}
