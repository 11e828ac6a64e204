/* base/grow.h -- arrays that grow: the capacity doubles, so that n entries added one by one are moved O(n) times.
 *
 * School: none: pure functions. Any thread. */
#ifndef HEMI_BASE_GROW_H
#define HEMI_BASE_GROW_H

#include <stdbool.h>
#include <stddef.h>

/* What GROW does when there is no room: *(void **)array, which is NULL or from malloc and has *capacity entries of
 * `size` bytes, gets room for `need` or more, at most `most`, and at least for `first`. False: no memory, or more than
 * `most`; nothing changed. */
bool grow_array(void *array, size_t size, size_t *capacity, size_t need, size_t first, size_t most);

/* Makes room for `more` entries behind the `used` ones of `array`, a pointer whose `capacity` is of any unsigned type.
 * New entries are not cleared. False: no memory, or the count would not fit that type; nothing changed. */
#define GROW(array, used, more, capacity, first)                                                                       \
    __extension__({                                                                                                    \
        size_t capacity_ = (capacity), need_ = (size_t)(used) + (more);                                                \
        bool done_ = need_ <= capacity_ && need_ >= (size_t)(more);                                                    \
        if (!done_)                                                                                                    \
            done_ = grow_array(&(array), sizeof *(array), &capacity_, need_, (first), (__typeof__(capacity))-1);       \
        (capacity) = (__typeof__(capacity))capacity_;                                                                  \
        done_;                                                                                                         \
    })

#endif
