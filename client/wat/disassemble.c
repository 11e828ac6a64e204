/* client/wat/disassemble.c -- one call of the disassembler, from the module's bytes to its text. */
#include "client/wat/disassembler.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT_FLOOR = 1 << 20, TEXT_PER_BYTE = 256 };

static void disassemble(struct dis *d)
{
    dis_find_sections(d);
    print_text(&d->out, "(module");
    if (d->module_name.length) {
        print_text(&d->out, " ");
        print_id(&d->out, d->module_name);
    }
    if (dis_ok(d)) print_module_fields(d);
    print_bytes(&d->out, ")\n", sizeof ")\n"); /* and the 0 byte */
}

static int outcome(const struct dis *d, struct wat_error *err)
{
    /* Without memory or room, what is read after that means nothing. */
    int status = d->status != HEMI_OK ? d->status : d->out.status;
    if (status == HEMI_OK && !input_ok(&d->in)) {
        status = HEMI_INVALID_MODULE;
        err->offset = (uint64_t)(d->in.failed_at - d->bytes);
        snprintf(err->message, sizeof err->message, d->in.proposal ? "%s" PROPOSAL_REMARK : "%s", d->in.message,
                 d->in.proposal);
    } else if (status != HEMI_OK) {
        snprintf(err->message, sizeof err->message,
                 status == HEMI_LIMIT ? "the text would be too much longer than the module" : "out of memory");
    }
    return status;
}

static void dis_deinit(struct dis *d)
{
    for (unsigned i = 0; i < SPACE_COUNT; i++) names_free(&d->names[i]);
    names_free_maps(&d->locals);
    names_free_maps(&d->labels);
    names_free_maps(&d->fields);
    free(d->customs);
    free(d->types);
    free(d->frames);
    free(d->innermost);
}

int wat_disassemble(const struct wat_options *options, const uint8_t *bytes, size_t len, const char *filename,
                    char **out, size_t *out_len, struct wat_error *err)
{
    struct dis d = {.bytes = bytes, .size = len, .no_names = options->no_names};
    d.out.most = len < (SIZE_MAX - TEXT_FLOOR) / TEXT_PER_BYTE ? TEXT_FLOOR + TEXT_PER_BYTE * len : SIZE_MAX;
    *err = (struct wat_error){.file = filename};
    disassemble(&d);
    int status = outcome(&d, err);
    *out = status == HEMI_OK ? d.out.text : NULL;
    *out_len = status == HEMI_OK ? d.out.length - 1 : 0;
    if (status != HEMI_OK) free(d.out.text);
    dis_deinit(&d);
    return status;
}
