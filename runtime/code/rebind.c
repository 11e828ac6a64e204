/* runtime/code/rebind.c -- a module's code in the explicit scheme, made from that in the guarded one: a copy in which
 * each instruction names the other handler of its operation. All else is the same (code.h enum scheme), so sites,
 * regions and lines are shared. */
#include "base/check.h"
#include "runtime/code/vm.h"
#include "runtime/code/vmops.h"
#include "runtime/engine/engine.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_SHIFT = 14, ROWS = 1 << ROWS_SHIFT };
_Static_assert(ROWS > 2 * VMOP_COUNT, "half of the table stays empty");

/* Guarded handlers by their offset: open addressing, `to` 0 in an empty row. (No handler is the anchor.) */
struct rebinder {
    struct {
        uint32_t from, to;
        uint16_t op;
    } rows[ROWS];
};

static uint32_t row_of(const struct rebinder *r, uint32_t from)
{
    uint32_t i = from * 0x9E3779B1u >> (32 - ROWS_SHIFT);
    while (r->rows[i].to != 0 && r->rows[i].from != from) i = (i + 1) % ROWS;
    return i;
}

static struct rebinder *rebinder_new(void)
{
    struct rebinder *r = calloc(1, sizeof *r);
    for (uint32_t op = 0; r != NULL && op < VMOP_COUNT; op++) {
        uint32_t from = vmop_offset(SCHEME_GUARDED, op), i = row_of(r, from);
        CHECK_DEBUG(r->rows[i].to == 0 && from != 0, ".schemes");
        r->rows[i].from = from;
        r->rows[i].to = vmop_offset(SCHEME_EXPLICIT, op);
        r->rows[i].op = (uint16_t)op;
    }
    return r;
}

static void rebind(const struct rebinder *r, uint8_t *at, uint32_t size)
{
    for (const uint8_t *end = at + size; at < end;) {
        uint32_t from;
        memcpy(&from, at, sizeof from);
        uint32_t i = row_of(r, from);
        CHECK_DEBUG(r->rows[i].to != 0, ".schemes");
        memcpy(at, &r->rows[i].to, sizeof r->rows[i].to);
        at += code_insn_size(at, r->rows[i].op);
        CHECK_DEBUG(at <= end, ".schemes");
    }
}

static enum hemi_status rebind_all(struct engine *e, const struct rebinder *r, const struct code *from, uint32_t n,
                                   struct code *to, uint8_t **bytes)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0; i < n && status == HEMI_OK; i++) {
        to[i] = from[i];
        if (from[i].bytes == NULL) continue; /* imported */
        memcpy(*bytes, from[i].bytes, from[i].size);
        rebind(r, *bytes, from[i].size);
        to[i].bytes = *bytes;
        to[i].entry = code_entry(*bytes);
        *bytes += from[i].size;
        status = engine_poll(e);
    }
    return status;
}

enum { SIZES_PER_POLL = 4096 };

static size_t sizes(struct engine *e, const struct code *code, uint32_t n)
{
    size_t size = 0;
    for (uint32_t i = 0; i < n; i++) {
        size += code[i].size;
        if (i % SIZES_PER_POLL == SIZES_PER_POLL - 1) (void)engine_poll(e);
    }
    return size;
}

/* Without a code section there is no table: all functions are imported. */
static uint32_t functions(const struct module *m) { return m->code != NULL ? m->nfuncs : 0; }

static enum hemi_status make(struct module *m, const struct rebinder *r, struct code *code)
{
    uint8_t *bytes = (uint8_t *)(code + m->nfuncs + m->nconst_code);
    enum hemi_status status = rebind_all(m->engine, r, m->code, functions(m), code, &bytes);
    if (status != HEMI_OK) return status;
    return rebind_all(m->engine, r, m->const_code, m->nconst_code, code + m->nfuncs, &bytes);
}

/* Nothing of it stays unless it becomes the module's. */
static enum hemi_status make_charged(struct module *m, size_t bytes)
{
    struct code *code = engine_zeroed(m->engine, bytes);
    struct rebinder *r = rebinder_new();
    enum hemi_status status = code != NULL && r != NULL ? make(m, r, code) : HEMI_NO_MEMORY;
    free(r);
    /* While this fiber waited at a poll point, another may have done the same. */
    if (status == HEMI_OK && m->explicit_code == NULL) {
        m->explicit_code = code;
        return HEMI_OK;
    }
    engine_release(m->engine, code);
    module_give_back(m, bytes);
    return status;
}

enum hemi_status module_explicit(struct module *m)
{
    if (m->explicit_code != NULL || m->engine->scheme == SCHEME_EXPLICIT) return HEMI_OK;
    size_t bytes = sizes(m->engine, m->code, functions(m)) + sizes(m->engine, m->const_code, m->nconst_code);
    bytes += ((size_t)m->nfuncs + m->nconst_code + 1) * sizeof(struct code);
    if (module_charge(m, m->charged + bytes) != HEMI_OK) return HEMI_NO_MEMORY;
    return make_charged(m, bytes);
}
