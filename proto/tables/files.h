/* proto/tables/files.h -- what a file that is no WebAssembly module is known by, so that it is refused as what it is.
 * Pure data. */
#ifndef HEMI_TABLES_FILES_H
#define HEMI_TABLES_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* first bytes, text */
#define FOREIGN_FILES(X)                                                                                               \
    X("\x7F\x45LF", "an ELF program or library")                                                                       \
    X("MZ", "a Windows program or library")                                                                            \
    X("\xFE\xED\xFA\xCE", "a Mach-O program or library")                                                               \
    X("\xFE\xED\xFA\xCF", "a Mach-O program or library")                                                               \
    X("\xCE\xFA\xED\xFE", "a Mach-O program or library")                                                               \
    X("\xCF\xFA\xED\xFE", "a Mach-O program or library")                                                               \
    X("\xCA\xFE\xBA\xBE", "a Mach-O universal file or a Java class")                                                   \
    X("BC\xC0\xDE", "LLVM bitcode")                                                                                    \
    X("\xDE\xC0\x17\x0B", "LLVM bitcode")                                                                              \
    X("!<arch>\n", "an archive of object files")                                                                       \
    X("\x1F\x8B", "a gzip file")                                                                                       \
    X("PK\3\4", "a zip archive")                                                                                       \
    X("\x28\xB5\x2F\xFD", "a zstd file")                                                                               \
    X("\xFD\x37zXZ", "an xz file")                                                                                     \
    X("BZh", "a bzip2 file")                                                                                           \
    X("#!", "a script")                                                                                                \
    X("<", "HTML, XML or the like")                                                                                    \
    X("{", "JSON or the like")                                                                                         \
    X("version https://git-lfs", "a pointer of Git LFS, not the file itself")                                          \
    X("\xFF\xFE\0\0", "text in UTF-32, where UTF-8 is wanted")                                                         \
    X("\0\0\xFE\xFF", "text in UTF-32, where UTF-8 is wanted")                                                         \
    X("\xFF\xFE", "text in UTF-16, where UTF-8 is wanted")                                                             \
    X("\xFE\xFF", "text in UTF-16, where UTF-8 is wanted")                                                             \
    X("\xEF\xBB\xBF", "text with a byte order mark, which the text format does not allow")                             \
    X("\0as", "a binary module that was cut short")

/* The rows of what can be turned into a binary module: where text is wanted, it is no foreign file. */
#define TEXT_FILES(X)                                                                                                  \
    X("(", "text, which must be assembled first")                                                                      \
    X(";;", "text, which must be assembled first")

struct file_row {
    const char *bytes, *text;
    size_t length;
};

static inline const char *file_find(const struct file_row *rows, size_t count, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (size >= rows[i].length && memcmp(bytes, rows[i].bytes, rows[i].length) == 0) return rows[i].text;
    return NULL;
}

#define X(bytes, text) {bytes, text, sizeof(bytes) - 1},

/* What a file is that is neither a binary module nor text for one; NULL: not known. */
static inline const char *file_foreign(const uint8_t *bytes, size_t size)
{
    static const struct file_row rows[] = {FOREIGN_FILES(X)};
    return file_find(rows, sizeof rows / sizeof *rows, bytes, size);
}

/* What it is if it is no binary module. */
static inline const char *file_not_binary(const uint8_t *bytes, size_t size)
{
    static const struct file_row rows[] = {TEXT_FILES(X)};
    const char *foreign = file_foreign(bytes, size);
    return foreign ? foreign : file_find(rows, sizeof rows / sizeof *rows, bytes, size);
}
#undef X

#endif
