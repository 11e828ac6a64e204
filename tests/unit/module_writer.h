/* tests/unit/module_writer.h -- binary modules, byte by byte: for modules that no text would be written for, and for
 * knowing where in a module something is. */
#ifndef HEMI_TESTS_MODULE_WRITER_H
#define HEMI_TESTS_MODULE_WRITER_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WRITES static inline __attribute__((unused))

struct out {
    uint8_t *at;
    size_t n, cap;
    size_t claimed; /* the size to give, if it is not n */
    size_t where;   /* the offset that the error must have; 0: any */
};

WRITES void byte(struct out *o, unsigned v)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 4096;
        o->at = realloc(o->at, o->cap);
        ck_assert_ptr_nonnull(o->at);
    }
    o->at[o->n++] = (uint8_t)v;
}
WRITES void bytes(struct out *o, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) byte(o, (uint8_t)data[i]);
}
#define BYTES(o, literal) bytes(o, literal, sizeof(literal) - 1)
WRITES void repeat(struct out *o, const char *data, size_t size, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) bytes(o, data, size);
}
#define REPEAT(o, literal, n) repeat(o, literal, sizeof(literal) - 1, n)

WRITES void leb(struct out *o, uint32_t v)
{
    for (; v >= 0x80; v >>= 7) byte(o, (v & 0x7F) | 0x80);
    byte(o, v);
}
/* A type index as a heap type, which is signed. */
WRITES void heap_index(struct out *o, uint32_t v)
{
    for (; v >= 0x40; v >>= 7) byte(o, (v & 0x7F) | 0x80);
    byte(o, v);
}
/* A number that is refused: the error's offset is that of its first byte. */
WRITES void counted(struct out *o, uint32_t v)
{
    o->where = o->n;
    leb(o, v);
}

/* Room for a length of five bytes, filled in when what it measures ends. */
WRITES size_t open_length(struct out *o)
{
    BYTES(o, "\x80\x80\x80\x80\0");
    return o->n;
}
WRITES void close_length(struct out *o, size_t start)
{
    uint32_t v = (uint32_t)(o->n - start);
    for (int i = 0; i < 5; i++, v >>= 7) o->at[start - 5 + (size_t)i] = (uint8_t)((v & 0x7F) | (i < 4 ? 0x80 : 0));
}
WRITES size_t section(struct out *o, unsigned id)
{
    if (o->n == 0) BYTES(o, "\0asm\1\0\0\0");
    byte(o, id);
    return open_length(o);
}

enum { TYPE_SECTION = 1, IMPORT_SECTION, FUNC_SECTION, TABLE_SECTION, MEMORY_SECTION, GLOBAL_SECTION, EXPORT_SECTION };
enum { ELEM_SECTION = 9, CODE_SECTION, DATA_SECTION, DATA_COUNT_SECTION, TAG_SECTION };

/* A section that only says how many things it has: the number alone must be refused. */
WRITES void announce(struct out *o, unsigned id, uint32_t n)
{
    size_t at = section(o, id);
    counted(o, n);
    close_length(o, at);
}
/* A section of n equal things. */
WRITES void things(struct out *o, unsigned id, uint32_t n, const char *thing, size_t size)
{
    size_t at = section(o, id);
    counted(o, n);
    repeat(o, thing, size, n);
    close_length(o, at);
}
#define THINGS(o, id, n, literal) things(o, id, n, literal, sizeof(literal) - 1)

/* Sections up to the code of a module of nfuncs functions of type 0. `types` is the type section's contents. */
WRITES void functions(struct out *o, const char *types, size_t size, uint32_t nfuncs)
{
    size_t at = section(o, TYPE_SECTION);
    bytes(o, types, size);
    close_length(o, at);
    things(o, FUNC_SECTION, nfuncs, "", 1);
    o->where = 0;
}
#define NO_TYPES "\1\x60\0\0" /* one: [] -> [] */

struct body {
    size_t section, body;
};
WRITES struct body open_code(struct out *o, const char *types, size_t size)
{
    functions(o, types, size, 1);
    struct body c = {.section = section(o, CODE_SECTION)};
    byte(o, 1);
    c.body = open_length(o);
    return c;
}
#define OPEN_CODE(o, types) open_code(o, types, sizeof(types) - 1)
WRITES void close_code(struct out *o, struct body c)
{
    byte(o, 0x0B);
    close_length(o, c.body);
    close_length(o, c.section);
}

#endif
