/* proto/tables/printable.h -- text that goes to terminals and logs although parts of it are a stranger's: names in
 * modules, file names, words of a command line. Pure data and what applies it. */
#ifndef HEMI_TABLES_PRINTABLE_H
#define HEMI_TABLES_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Characters that are not shown as they are: first, last. Controls, what ends a line, what shows nothing, what turns
 * the direction of writing, and what is no character of Unicode. */
#define UNPRINTABLE(X)                                                                                                 \
    X(0x00, 0x1F)                                                                                                      \
    X(0x7F, 0x9F)                                                                                                      \
    X(0xAD, 0xAD)                                                                                                      \
    X(0x34F, 0x34F)                                                                                                    \
    X(0x61C, 0x61C)                                                                                                    \
    X(0x115F, 0x1160)                                                                                                  \
    X(0x17B4, 0x17B5)                                                                                                  \
    X(0x180B, 0x180F)                                                                                                  \
    X(0x200B, 0x200F)                                                                                                  \
    X(0x2028, 0x202E)                                                                                                  \
    X(0x2060, 0x206F)                                                                                                  \
    X(0x3164, 0x3164)                                                                                                  \
    X(0xD800, 0xDFFF)                                                                                                  \
    X(0xFE00, 0xFE0F)                                                                                                  \
    X(0xFEFF, 0xFEFF)                                                                                                  \
    X(0xFFA0, 0xFFA0)                                                                                                  \
    X(0xFFF0, 0xFFFB)                                                                                                  \
    X(0xFFFE, 0xFFFF)                                                                                                  \
    X(0x1BCA0, 0x1BCA3)                                                                                                \
    X(0x1D173, 0x1D17A)                                                                                                \
    X(0xE0000, 0xE0FFF)                                                                                                \
    X(0x110000, 0x1FFFFF)

/* The longest escape of one character, with a 0 byte. */
enum { PRINTABLE_MAX = sizeof "\\u{10ffff}" };

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
    bool overlong = (n == 3 && *character < 0x800) || (n == 4 && *character < 0x10000);
    return overlong ? 0 : n;
}

/* Writes the character at `at` as it is shown: itself, \u{202e}, or \xff of a control or of a byte that is part of no
 * character. Returns how many bytes were read. */
static inline size_t printable_one(const char *at, char shown[PRINTABLE_MAX])
{
    unsigned c = 0;
    size_t n = printable_read((const unsigned char *)at, &c);
    bool whole = n > 0;
#define X(first, last) whole = whole && (c - (unsigned)(first) > (unsigned)((last) - (first)));
    UNPRINTABLE(X)
#undef X
    if (whole)
        snprintf(shown, PRINTABLE_MAX, "%.*s", (int)n, at);
    else if (n < 2 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        snprintf(shown, PRINTABLE_MAX, "\\x%02x", (unsigned)(unsigned char)*at);
    else
        snprintf(shown, PRINTABLE_MAX, "\\u{%x}", c);
    return whole || shown[1] == 'u' ? n : 1;
}

/* Escapes a terminated text in place, in `size` bytes; what does not fit is left out at the end. */
static inline void printable(char *text, size_t size)
{
    char one[PRINTABLE_MAX];
    size_t read = 0, all = 0, written = 0;
    while (text[read]) {
        size_t n = printable_one(text + read, one);
        if (all + strlen(one) >= size) break;
        read += n;
        all += strlen(one);
    }
    /* From the end of the room, the rest that is to be read never becomes less than what it will be. */
    char *at = text + size - 1 - read;
    memmove(at, text, read);
    text[size - 1] = 0;
    while (written < all) {
        at += printable_one(at, one);
        memcpy(text + written, one, strlen(one));
        written += strlen(one);
    }
    text[all] = 0;
}

#endif
