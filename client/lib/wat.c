/* The text format, as the public header has it. */
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/internal.h"
#include "client/wat/wat.h"

static void tell(struct hemi_wat_error *out, const struct wat_error *error)
{
    if (!out) return;
    *out = (struct hemi_wat_error){.line = error->line, .column = error->column, .offset = error->offset};
    snprintf(out->message, sizeof out->message, "%s", error->message);
}

static struct wat_options options_of(const struct hemi_wat_options *options)
{
    return (struct wat_options){.no_names = options && options->no_names};
}

hemi_status hemi_wat_assemble(const char *text, size_t size, const struct hemi_wat_options *options, void **bytes,
                              size_t *count, struct hemi_wat_error *error)
{
    const struct wat_options with = options_of(options);
    struct wat_error wrong;
    uint8_t *out;
    hemi_status status = (hemi_status)wat_assemble_with(&with, text, size, NULL, &out, count, &wrong);
    *bytes = out;
    tell(error, &wrong);
    return status;
}

hemi_status hemi_wat_disassemble(const void *bytes, size_t size, const struct hemi_wat_options *options, char **text,
                                 size_t *length, struct hemi_wat_error *error)
{
    const struct wat_options with = options_of(options);
    struct wat_error wrong;
    hemi_status status = (hemi_status)wat_disassemble(&with, bytes, size, NULL, text, length, &wrong);
    tell(error, &wrong);
    return status;
}

hemi_status hemi_wat_locate(const char *text, size_t size, uint64_t offset, uint32_t *line, uint32_t *column)
{
    return (hemi_status)wat_locate(text, size, offset, line, column);
}

void hemi_wat_free(void *memory) { free(memory); }
