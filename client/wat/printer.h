/* client/wat/printer.h -- text being written: it grows up to a limit; the first failure sticks, and later writes do
 * nothing. */
#ifndef HEMI_WAT_PRINTER_H
#define HEMI_WAT_PRINTER_H

#include "client/wat/input.h"

struct printer {
    char *text; /* owned */
    size_t length, capacity;
    size_t most; /* bytes of text that it may grow to */
    int status;  /* HEMI_OK, HEMI_LIMIT, HEMI_NO_MEMORY */
};

void print_bytes(struct printer *p, const void *bytes, size_t length);
void print_text(struct printer *p, const char *text);
void print_format(struct printer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void print_line(struct printer *p, unsigned indent);   /* begins a line */
void print_id(struct printer *p, struct slice name);   /* $name or $"name"; not empty, valid UTF-8 */
void print_name(struct printer *p, struct slice name); /* a string literal of valid UTF-8 */
void print_data(struct printer *p, struct slice bytes,
                unsigned indent); /* string literals, on lines if they are long */
/* The float of 32 or 64 bits, exactly: few decimal digits that read back as it, inf, nan, or nan:0x... */
void print_float(struct printer *p, uint64_t pattern, unsigned bits);

#endif
