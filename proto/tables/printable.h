/* proto/tables/printable.h -- text that goes to terminals and logs although parts of it are names of a guest's. Pure
 * data and what applies it. */
#ifndef HEMI_TABLES_PRINTABLE_H
#define HEMI_TABLES_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Characters that are not shown: first, last. Controls, and what ends a line or turns the direction of writing. */
#define UNPRINTABLE(X)                                                                                                 \
    X(0x00, 0x1F)                                                                                                      \
    X(0x7F, 0x9F)                                                                                                      \
    X(0x200E, 0x200F)                                                                                                  \
    X(0x2028, 0x202E)                                                                                                  \
    X(0x2066, 0x2069)

/* Reads the character at a terminated text. Returns how many bytes it has; 0: it is no character of UTF-8. */
static inline size_t printable_read(const unsigned char *at, unsigned *character)
{
    size_t n = *at < 0x80 ? 1 : *at >= 0xC2 && *at < 0xE0 ? 2 : *at >= 0xE0 && *at < 0xF0 ? 3 : *at < 0xF5 ? 4 : 0;
    if (*at >= 0x80 && *at < 0xC2) return 0;
    *character = n > 1 ? *at & (0x7Fu >> n) : *at;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xC0u) != 0x80) return 0;
        *character = *character << 6 | (at[i] & 0x3Fu);
    }
    return n;
}

/* Replaces each such character of a terminated text, and each byte that is part of none, by a question mark. */
static inline void printable(char *text)
{
    char *to = text;
    for (const char *at = text; *at;) {
        unsigned c = 0;
        size_t n = printable_read((const unsigned char *)at, &c);
        bool shown = n > 0;
#define X(first, last) shown = shown && (c - (unsigned)(first) > (unsigned)((last) - (first)));
        UNPRINTABLE(X)
#undef X
        if (!shown) *to++ = '?';
        for (size_t i = 0; i < n && shown; i++) *to++ = at[i];
        at += n > 0 ? n : 1;
    }
    *to = 0;
}

#endif
