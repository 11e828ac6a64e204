/* runtime/binary/decoder.c -- what all readers of a module's bytes share: arrays that grow, charges, polls. */
#include "runtime/binary/decoder.h"
#include "runtime/translate/translate.h"
#include <stdlib.h>

/* Of a module's arrays and small blocks, what is counted beside their entries. */
enum { MODULE_LEAST = 1024, BLOCK_LEAST = 32 };

bool decoder_grow(struct cursor *c, void **array, uint32_t *cap, uint32_t n, uint32_t more, size_t size)
{
    if (!cursor_ok(c)) return false;
    uint64_t want = (uint64_t)n + more;
    if (want < (uint64_t)*cap + *cap / 2) want = (uint64_t)*cap + *cap / 2;
    if (want < 8) want = 8;
    /* Not cleared: there may be 300 MB of it between two polls. */
    void *to = want > UINT32_MAX ? NULL : realloc(*array, (size_t)want * size);
    if (!to) {
        cursor_fail(c, HEMI_NO_MEMORY, cursor_offset(c), "out of memory while decoding a module");
        return false;
    }
    *array = to;
    *cap = (uint32_t)want;
    return true;
}

uint64_t module_bytes(const struct module *m)
{
    uint64_t n = sizeof *m + MODULE_LEAST + m->size + m->types_bytes + m->code_bytes;
    n += m->ntypes * sizeof *m->types + m->nimports * sizeof *m->imports + m->nexports * sizeof *m->exports;
    n += m->nfuncs * (sizeof *m->funcs + sizeof *m->code + sizeof *m->code_order);
    n += m->nconst_code * (sizeof *m->const_code + sizeof *m->code_order);
    n += m->ntables * sizeof *m->tables + m->nmemories * sizeof *m->memories + m->nglobals * sizeof *m->globals;
    n += m->ntags * sizeof *m->tags + m->nelems * (sizeof *m->elems + BLOCK_LEAST) + m->ndatas * sizeof *m->datas;
    n += m->items * sizeof(struct const_expr) + m->nsites * sizeof *m->sites + m->nlive_slots * sizeof *m->live_slots;
    if (m->export_names.slots) n += (m->export_names.mask + UINT64_C(1)) * sizeof *m->export_names.slots;
    return m->func_names ? n + m->nfuncs * sizeof *m->func_names : n;
}

enum hemi_status decoder_charge(struct decoder *d)
{
    return module_charge(d->module, module_bytes(d->module) + (d->translator ? tr_bytes(d->translator) : 0));
}

bool decoder_poll(struct decoder *d, struct cursor *c)
{
    while (cursor_ok(c) && cursor_offset(c) >= d->poll_at) {
        d->poll_at += DECODE_POLL_BYTES;
        enum hemi_status status = engine_poll(d->engine);
        if (status != HEMI_OK) cursor_fail(c, status, cursor_offset(c), "decoding a module was stopped");
        if (status == HEMI_OK && decoder_charge(d) != HEMI_OK)
            cursor_fail(c, HEMI_NO_MEMORY, cursor_offset(c), "no memory for a module");
    }
    return cursor_ok(c);
}

void decoder_refused(struct decoder *d, struct cursor *c, enum hemi_status status, uint32_t offset)
{
    if (status == HEMI_LIMIT)
        cursor_beyond(c, offset, tr_limit(d->translator));
    else
        cursor_fail(c, status, offset, "translating code");
}

void func_declare(struct decoder *d, struct cursor *c, uint32_t f)
{
    if (!d->declared) d->declared = calloc(d->module->nfuncs / 8 + 1, 1);
    if (d->declared)
        d->declared[f / 8] |= (uint8_t)(1u << (f % 8));
    else
        cursor_fail(c, HEMI_NO_MEMORY, cursor_offset(c), "declaring functions");
}
