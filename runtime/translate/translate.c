/* runtime/translate/translate.c -- the translator's life, and that of a function's code. */
#include "base/check.h"
#include "runtime/translate/impl.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { BLOCK_BYTES = 16 /* of malloc's, about */ };

static void free_tables(struct translator *t)
{
    struct buf *bufs[] = {&t->code, &t->regions, &t->clauses, &t->lines, &t->fixups, &t->sites, &t->live};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) engine_release(t->e, bufs[i]->at);
    free(t->ctrls);
}

void translator_free(struct translator *t)
{
    if (t == NULL) return;
    free_tables(t);
    munmap(t, sizeof *t);
}

enum hemi_status translator_new(struct engine *e, struct module *m, int64_t *budget, struct translator **out)
{
    /* Not malloc: it would clear megabytes of which a few pages are used. */
    struct translator *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = NULL;
    if (t == MAP_FAILED) return HEMI_NO_MEMORY;
    t->e = e;
    t->m = m;
    t->budget = budget;
    t->handlers = vmop_handlers[e->scheme];
    struct site *entry = buf_add(t, &t->sites, sizeof *entry); /* SITE_ENTRY */
    if (!entry) {
        translator_free(t);
        return HEMI_NO_MEMORY;
    }
    entry->region = REGION_NONE;
    *out = t;
    return HEMI_OK;
}

enum wasm_limit tr_limit(const struct translator *t)
{
    CHECK(t->status == HEMI_LIMIT);
    return t->limit;
}

uint64_t tr_bytes(const struct translator *t) { return (uint64_t)t->sites.len + t->live.len; }

/* ---- A function */

static void reset(struct translator *t)
{
    memset(t->touched, 0, t->frame_slots * sizeof *t->touched);
    memset(t->local_uses, 0, t->nlocals * sizeof *t->local_uses);
    t->nvals = t->nrefs = t->nlive = t->flushed = t->nctrls = t->nlocal_uses = t->frame_slots = t->block_start =
        t->call_pos = 0;
    t->code.len = t->regions.len = t->clauses.len = t->lines.len = t->fixups.len = 0;
    t->reg = t->mirror = NO_VALUE;
    t->region = REGION_NONE;
    t->last.pos = t->prev.pos = NO_POS;
    t->in = NULL;
}

enum { ENTRY_FRAME = 6 }; /* where an entry's frame size goes */

/* Zeroes what is not a parameter (and a few temporaries, where that is faster), checks the stack, polls. */
static void emit_entry(struct translator *t)
{
    uint32_t zeroed = t->nlocals - t->nparams, delta = t->nlocals + 1, eights = (zeroed + 7) / 8;
    uint32_t op = zeroed == 0 ? VM_ENTER_0 : zeroed == 1 ? VM_ENTER_1 : zeroed <= 4 ? VM_ENTER_4 : VM_ENTER_8;
    if (zeroed > 8) op = VM_ENTER_N;
    uint32_t site = add_site(t, delta, 0), pos = emit(t, op);
    emit_line(t, pos);
    if (zeroed > 0) set_dest(t, pos, t->nparams);
    emit_u16(t, 0);
    emit_u16(t, delta);
    emit_u32(t, site);
    if (zeroed > 8) emit_u16(t, eights);
    use_slots(t, t->nparams + 8 * eights);
    bind_label(t);
}

/* Returns how many slots they take. */
static uint32_t lay_out_locals(struct translator *t, const valtype *locals, uint32_t n)
{
    uint32_t slots = 0;
    for (uint32_t i = 0; i < n; i++) {
        t->local_at[i] = (uint16_t)slots;
        if (locals[i] == VT_V128) t->local_slots[slots++] = HEAP_SLOT_DATA;
        t->local_slots[slots++] = (uint8_t)valtype_slot(t->e->types, locals[i]);
    }
    return slots;
}

enum hemi_status tr_begin(struct translator *t, uint32_t func, const valtype *locals, uint32_t nlocals,
                          uint32_t nparams, const valtype *results, uint32_t nresults)
{
    reset(t);
    if (nlocals > FRAME_SLOTS_MAX - 64) tr_over(t, LIMIT_FRAME_SLOTS);
    if (t->status != HEMI_OK) return t->status;
    t->func = func;
    t->nlocals = 0;
    uint32_t slots = lay_out_locals(t, locals, nlocals);
    if (slots > FRAME_SLOTS_MAX - 64) tr_over(t, LIMIT_FRAME_SLOTS);
    if (t->status != HEMI_OK) return t->status;
    t->nlocals = slots;
    t->nparams = nparams < nlocals ? t->local_at[nparams] : slots;
    t->nresults = valtypes_slots(results, nresults);
    struct insn at = {.offset = func & SITE_CONST ? 0 : t->m->funcs[func].body_offset};
    t->in = &at;
    emit_entry(t);
    t->in = NULL;
    CHECK_DEBUG(t->nvals == 0 && t->reg == NO_VALUE && t->nctrls == 0, ".step");
    begin_body(t, results, nresults);
    use_slots(t, t->nresults > t->nparams ? t->nresults : t->nparams);
    return t->status;
}

static uint32_t count_locals(const struct translator *t, enum heap_slot slot)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->nlocals; i++) n += t->local_slots[i] == slot;
    return n;
}

static uint16_t *list_locals(const struct translator *t, enum heap_slot slot, uint16_t *to)
{
    for (uint32_t i = 0; i < t->nlocals; i++)
        if (t->local_slots[i] == slot) *to++ = (uint16_t)i;
    return to;
}

static void *take(uint8_t **at, const struct buf *b)
{
    void *to = *at;
    if (b->len) memcpy(to, b->at, b->len);
    *at += b->len;
    return to;
}

/* One block: regions, clauses, lines, slots of locals, bytes. */
static bool fill_code(struct translator *t, struct code *c)
{
    c->nlocal_refs = (uint16_t)count_locals(t, HEAP_SLOT_REF);
    c->nlocal_funcs = (uint16_t)count_locals(t, HEAP_SLOT_FUNC);
    CHECK_DEBUG(c->nlocal_refs + c->nlocal_funcs <= t->nlocals, ".map");
    size_t slots = (size_t)(c->nlocal_refs + c->nlocal_funcs) * sizeof(uint16_t);
    size_t size = (size_t)t->regions.len + t->clauses.len + t->lines.len + slots + t->code.len;
    uint8_t *at = malloc(size);
    if (at == NULL) return false;
    t->m->code_bytes += BLOCK_BYTES + size;
    c->block = at;
    c->regions = take(&at, &t->regions);
    c->clauses = take(&at, &t->clauses);
    c->lines = take(&at, &t->lines);
    c->local_refs = (uint16_t *)(void *)at;
    uint16_t *funcs = list_locals(t, HEAP_SLOT_REF, (uint16_t *)(void *)at);
    at = (uint8_t *)list_locals(t, HEAP_SLOT_FUNC, funcs);
    c->bytes = take(&at, &t->code);
    return true;
}

enum hemi_status tr_finish(struct translator *t, struct code *out)
{
    if (t->status != HEMI_OK) return t->status;
    CHECK(t->nctrls == 0, ".step");
    CHECK(t->frame_slots <= FRAME_SLOTS_MAX && t->nparams <= t->nlocals, ".room");
    CHECK(t->call_pos <= t->code.len && t->code.len > ENTRY_FRAME, ".last");
    patch_u16(t, ENTRY_FRAME, t->frame_slots);
    *out = (struct code){.size = t->code.len,
                         .func = t->func,
                         .nparams = (uint16_t)t->nparams,
                         .nresults = (uint16_t)t->nresults,
                         .nlocals = (uint16_t)t->nlocals,
                         .frame_slots = (uint16_t)t->frame_slots};
    if (!(t->func & SITE_CONST)) out->type = t->m->funcs[t->func].type;
    if (!fill_code(t, out)) return HEMI_NO_MEMORY;
    out->nregions = BUF_COUNT(t->regions, struct region);
    out->nclauses = BUF_COUNT(t->clauses, struct catch_clause);
    out->nlines = BUF_COUNT(t->lines, struct line);
    out->entry = code_entry(out->bytes);
    return HEMI_OK;
}

enum hemi_status translator_finish(struct translator *t)
{
    if (t->status != HEMI_OK) return t->status;
    CHECK(t->sites.len >= sizeof(struct site) && t->m->sites == NULL, ".safepoint");
    t->m->sites = (struct site *)(void *)t->sites.at;
    t->m->nsites = BUF_COUNT(t->sites, struct site);
    t->m->live_slots = (uint16_t *)(void *)t->live.at;
    t->m->nlive_slots = BUF_COUNT(t->live, uint16_t);
    t->sites = t->live = (struct buf){0};
    return HEMI_OK;
}
