/* runtime/store/roots.c -- struct root, and the visit of every root of a store (store.h .rooted).
 *
 * Frames are walked from the innermost outwards: the header below a callee's frame names the caller's site and
 * instance, the site says which temporaries are live there, the code which locals are references. A slot is updated in
 * place. Function ids are visited too; instances live as long as their store, so that marks nothing today. */
#include "base/check.h"
#include "runtime/store/store.h"

#include <string.h>

static void link_behind(struct root *r, struct root *prev)
{
    r->prev = prev;
    r->next = prev->next;
    r->next->prev = r;
    prev->next = r;
}

void root_init(struct store *s, struct root *r, enum heap_slot slot, uint32_t bits)
{
    CHECK(slot != HEAP_SLOT_DATA, ".rooted");
    CHECK(!heap_is_collecting(s->heap), ".alone"); /* nobody would visit it */
    *r = (struct root){.bits = bits, .slot = (uint8_t)slot};
    link_behind(r, &s->roots);
}

void root_deinit(struct root *r)
{
    if (r->next == NULL) return;
    CHECK_DEBUG(r->prev->next == r && r->next->prev == r, ".rooted");
    r->prev->next = r->next;
    r->next->prev = r->prev;
    r->prev = r->next = NULL;
}

static void visit_slot(struct heap_visitor *v, uint8_t slot, uint32_t *bits)
{
    if (slot == HEAP_SLOT_REF) heap_visit_ref(v, bits);
    if (slot == HEAP_SLOT_FUNC && *bits != 0) heap_visit_func(v, *bits);
}

static void visit_array(struct heap_visitor *v, uint8_t slot, uint32_t *bits, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) visit_slot(v, slot, &bits[i]);
}

/* ---- Frames */
struct frame_header {
    uint32_t site, instance;
};

/* A frame's slots: nrefs numbers of references, then nfuncs of functions. */
static void visit_frame_slots(struct heap_visitor *v, char *fp, const struct site *site, const uint16_t *slots,
                              uint32_t nrefs, uint32_t nfuncs)
{
    for (uint32_t i = 0; i < nrefs + nfuncs; i++) CHECK_DEBUG(slots[i] < site->delta, ".map"); /* of this frame */
    for (uint32_t i = 0; i < nrefs; i++) heap_visit_ref(v, (uint32_t *)(void *)(fp + slots[i] * SLOT_BYTES));
    for (uint32_t i = nrefs; i < nrefs + nfuncs; i++)
        visit_slot(v, HEAP_SLOT_FUNC, (uint32_t *)(void *)(fp + slots[i] * SLOT_BYTES));
}

/* Visits the frame that called the one at `fp` (or that has stopped with exit_fp there), and returns its fp. */
static char *visit_caller(struct store *s, struct heap_visitor *v, char *fp, const struct frame_header *h)
{
    CHECK_DEBUG(h->instance != 0 && h->instance < s->ninstances, ".exit");
    const struct module *m = s->vm.instances[h->instance]->module;
    CHECK_DEBUG(h->site < m->nsites, ".frame");
    const struct site *site = &m->sites[h->site];
    const struct code *c = site->func & SITE_CONST ? &m->const_code[site->func & ~SITE_CONST] : &m->code[site->func];
    CHECK_DEBUG(site->delta > 0 && site->live + site->nrefs + site->nfuncs <= m->nlive_slots, ".map");
    CHECK_DEBUG((site->func & SITE_CONST) || site->func >= m->nimported_funcs, ".frame");
    char *caller = fp - site->delta * SLOT_BYTES;
    if (site->nrefs + site->nfuncs != 0)
        visit_frame_slots(v, caller, site, m->live_slots + site->live, site->nrefs, site->nfuncs);
    visit_frame_slots(v, caller, site, c->local_refs, c->nlocal_refs, c->nlocal_funcs);
    return caller;
}

static void visit_frames(struct store *s, struct heap_visitor *v)
{
    char *fp = s->vm.exit_fp;
    CHECK((fp == NULL) == (s->activation == NULL), ".activation");
    for (const struct activation *a = s->activation; a != NULL; a = a->outer) {
        struct frame_header h;
        while (memcpy(&h, fp - SLOT_BYTES, sizeof h), h.site != SITE_ENTRY) fp = visit_caller(s, v, fp, &h);
        CHECK(fp == a->fp, ".bottom");
        fp = a->outer_exit_fp;
    }
}

/* ---- Everything */
static void visit_segments(struct heap_visitor *v, const struct instance *in)
{
    for (uint32_t i = 0; in->elems != NULL && i < in->module->nelems; i++)
        CHECK_DEBUG(in->elems[i].count <= in->elems[i].room, ".rooted");
    for (uint32_t i = 0; in->elems != NULL && i < in->module->nelems; i++)
        visit_array(v, in->elems[i].slot, in->elems[i].items, in->elems[i].count);
}

/* A visit may yield, and meanwhile any root may be deinitialised and freed with its owner, the visited one as well
 * (store.h .alone). So a cursor behind it holds its bits; who still is before the cursor gets them back. */
static void visit_linked(struct store *s, struct heap_visitor *v)
{
    for (struct root *r = s->roots.next; r != &s->roots;) {
        struct root cursor = {.bits = r->bits, .slot = r->slot};
        link_behind(&cursor, r);
        visit_slot(v, cursor.slot, &cursor.bits);
        if (cursor.prev == r) r->bits = cursor.bits;
        r = cursor.next;
        root_deinit(&cursor);
    }
}

void roots_visit(void *store, struct heap_visitor *v)
{
    struct store *s = store;
    CHECK(s->unfinished == NULL || s->activation != NULL, ".whole");
    CHECK(s->vm.pending.exn == 0 || s->vm.pending.status == HEMI_EXCEPTION, ".pending");
    visit_linked(s, v);
    for (struct global *g = s->globals; g != NULL; g = g->next) visit_slot(v, g->slot, &g->val.ref);
    for (struct table *t = s->tables; t != NULL; t = t->next) visit_array(v, t->slot, t->elems, t->size + t->filling);
    for (uint32_t id = 1; id < s->ninstances; id++) visit_segments(v, s->vm.instances[id]);
    heap_visit_ref(v, &s->vm.pending.exn);
    if (s->activation == NULL) s->thrown = 0; /* no host function is there to pass it on */
    heap_visit_ref(v, &s->thrown);
    visit_frames(s, v);
}
