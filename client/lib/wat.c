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

static hemi_status options_of(const struct hemi_wat_options *from, struct wat_options *out,
                              struct hemi_wat_error *error)
{
    struct hemi_wat_options options;
    char wrong[OPTIONS_WRONG_MAX];
    bool fine = options_copy(OPTIONS_wat, from, &options, wrong);
    *out = (struct wat_options){.no_names = options.no_names};
    if (fine) return HEMI_OK;
    if (error) {
        memset(error, 0, sizeof *error);
        snprintf(error->message, sizeof error->message, "%s", wrong);
    }
    return HEMI_ARGUMENT;
}

static hemi_status missing(const char *what, struct hemi_wat_error *error)
{
    if (error) {
        memset(error, 0, sizeof *error);
        snprintf(error->message, sizeof error->message, "%s: NULL", what);
    }
    return HEMI_ARGUMENT;
}

hemi_status hemi_wat_assemble(const char *text, size_t size, const struct hemi_wat_options *options, void **bytes,
                              size_t *count, struct hemi_wat_error *error)
{
    struct wat_options with;
    struct wat_error wrong;
    uint8_t *out;
    if (bytes) *bytes = NULL;
    if (!bytes || !count) return missing("where to put the module", error);
    *count = 0;
    if (!text && size > 0) return missing("the text", error);
    hemi_status status = options_of(options, &with, error);
    if (status != HEMI_OK) return status;
    status = (hemi_status)wat_assemble_with(&with, text ? text : "", size, NULL, &out, count, &wrong);
    *bytes = out;
    tell(error, &wrong);
    return status;
}

hemi_status hemi_wat_disassemble(const void *bytes, size_t size, const struct hemi_wat_options *options, char **text,
                                 size_t *length, struct hemi_wat_error *error)
{
    struct wat_options with;
    struct wat_error wrong;
    if (text) *text = NULL;
    if (!text || !length) return missing("where to put the text", error);
    *length = 0;
    if (!bytes && size > 0) return missing("the module", error);
    hemi_status status = options_of(options, &with, error);
    if (status != HEMI_OK) return status;
    status = (hemi_status)wat_disassemble(&with, bytes ? bytes : "", size, NULL, text, length, &wrong);
    tell(error, &wrong);
    return status;
}

hemi_status hemi_wat_locate(const char *text, size_t size, uint64_t offset, uint32_t *line, uint32_t *column)
{
    if (line) *line = 0;
    if (column) *column = 0;
    if (!line || !column || (!text && size > 0)) return HEMI_ARGUMENT;
    return (hemi_status)wat_locate(text ? text : "", size, offset, line, column);
}

void hemi_wat_free(void *memory) { free(memory); }
