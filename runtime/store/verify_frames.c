/* runtime/store/verify_frames.c -- the frames of a store's activations, checked before anything relies on them: every
 * header's site and instance, every slot that a site or its code says holds a reference, and that each walk ends at
 * the bottom of its activation (store.h .bottom, code.h .frame and .map).
 *
 * Whether a reference is an object's is for the heap's own check, which visits the same slots as roots. */
#include "runtime/store/verify.h"

#include <string.h>

struct frame_header {
    uint32_t site, instance;
};

static uint64_t slot(const char *fp, uint32_t i)
{
    uint64_t v;
    memcpy(&v, fp + (size_t)i * SLOT_BYTES, sizeof v);
    return v;
}

/* The code that a site is in; NULL: there is none. */
static const struct code *code_of(const struct module *m, const struct site *site)
{
    uint32_t i = site->func & ~SITE_CONST;
    if (site->func & SITE_CONST) return i < m->nconst_code ? &m->const_code[i] : NULL;
    return i >= m->nimported_funcs && i < m->nfuncs ? &m->code[i] : NULL;
}

static void check_slots(struct check *k, const char *fp, uint32_t delta, const uint16_t *slots, uint32_t nrefs,
                        uint32_t nfuncs)
{
    for (uint32_t i = 0; i < nrefs + nfuncs && k->ok; i++) {
        heap_walk_step(k->walk);
        if (slots[i] >= delta)
            complain(k, "frame's slot is behind its end:", slots[i]);
        else if (slot(fp, slots[i]) > UINT32_MAX)
            complain(k, "frame's slot holds more than a reference:", slots[i]);
        else if (i >= nrefs && !func_valid(k->store, (uint32_t)slot(fp, slots[i])))
            complain(k, "frame's slot holds no function:", slots[i]);
    }
}

/* The site at which the frame below `fp` has stopped; NULL and a complaint: it is none. */
static const struct site *site_of(struct check *k, const struct frame_header *h, const struct module **m)
{
    const struct store *s = k->store;
    if (h->instance == 0 || h->instance >= s->ninstances) {
        complain(k, "frame of no instance:", h->instance);
        return NULL;
    }
    *m = s->vm.instances[h->instance]->module;
    if (h->site >= (*m)->nsites) {
        complain(k, "frame stopped at no site:", h->site);
        return NULL;
    }
    const struct site *site = &(*m)->sites[h->site];
    if (code_of(*m, site) == NULL || site->live + site->nrefs + site->nfuncs > (*m)->nlive_slots) {
        complain(k, "site out of its module:", h->site);
        return NULL;
    }
    return site;
}

/* Goes from the callee's *fp to the caller's. */
static void check_frame(struct check *k, const struct activation *a, const struct frame_header *h, char **fp)
{
    const struct module *m;
    const struct site *site = site_of(k, h, &m);
    if (site == NULL) return;
    if (site->delta == 0 || *fp - a->fp < site->delta * SLOT_BYTES) {
        complain(k, "frame is below its activation:", h->site);
        return;
    }
    const struct code *c = code_of(m, site);
    *fp -= site->delta * SLOT_BYTES;
    if (site->nrefs + site->nfuncs != 0)
        check_slots(k, *fp, site->delta, m->live_slots + site->live, site->nrefs, site->nfuncs);
    check_slots(k, *fp, site->delta, c->local_refs, c->nlocal_refs, c->nlocal_funcs);
}

void verify_frames(struct check *k)
{
    char *fp = k->store->vm.exit_fp;
    for (const struct activation *a = k->store->activation; a != NULL && k->ok; a = a->outer) {
        struct frame_header h;
        if (fp < a->fp) complain(k, "activation left below its first frame, calls around it:", a->depth);
        while (k->ok && (memcpy(&h, fp - SLOT_BYTES, sizeof h), h.site != SITE_ENTRY)) check_frame(k, a, &h, &fp);
        if (k->ok && fp != a->fp) complain(k, "activation ends above its first frame, calls around it:", a->depth);
        fp = a->outer_exit_fp;
    }
}
