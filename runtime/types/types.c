/* runtime/types/types.c -- canonical types: interning of recursion groups, and their life. Ids are in
 * runtime/types/ids.c, layout in runtime/types/layout.c, subtyping in runtime/types/match.c. */
#include "base/check.h"
#include "base/release.h"
#include "runtime/types/impl.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { COMMIT_STEP = 1024, BUCKETS_MIN = 64, PARTS_PER_UNIT = 32, UNITS_PER_POLL = 1024 };
#ifdef HEMI_STRESS
enum { PARTS_PER_POLL = 64, KINDS_PER_POLL = 64 };
#else
enum { PARTS_PER_POLL = 16384, KINDS_PER_POLL = 4096 };
#endif

/* ---- The tables */

static void *reserve(size_t entry)
{
    void *at = mmap(NULL, entry * TYPES_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static bool commit(void *table, size_t entry, uint32_t n)
{
    return mprotect(table, (entry * n + 4095) & ~(size_t)4095, PROT_READ | PROT_WRITE) == 0;
}

/* Makes the first n entries of all tables accessible. Protecting what already is changes nothing. */
enum hemi_status type_tables_commit(struct engine *e, uint32_t n)
{
    if (n <= e->committed) return HEMI_OK;
    uint32_t want = (n + COMMIT_STEP - 1) / COMMIT_STEP * COMMIT_STEP;
    if (want > TYPES_MAX) return HEMI_LIMIT;
    if (!commit(e->rtypes, sizeof *e->rtypes, want) || !commit(e->descs, sizeof *e->descs, want) ||
        !commit(e->links, sizeof *e->links, want))
        return HEMI_NO_MEMORY;
    e->committed = want;
    return HEMI_OK;
}

static uint32_t *buckets_new(uint32_t n)
{
    uint32_t *to = malloc(n * sizeof *to);
    for (uint32_t i = 0; to && i < n; i++) to[i] = TYPE_NONE;
    return to;
}

enum hemi_status types_init(struct engine *e)
{
    for (uint32_t i = 0; i < TYPE_RUN_CLASSES; i++) e->free_runs[i] = TYPE_NONE;
    e->nbuckets = BUCKETS_MIN;
    e->dead = TYPE_NONE;
    e->rtypes = reserve(sizeof *e->rtypes);
    e->descs = reserve(sizeof *e->descs);
    e->links = reserve(sizeof *e->links);
    e->buckets = buckets_new(BUCKETS_MIN);
    if (!e->rtypes || !e->descs || !e->links || !e->buckets || type_tables_commit(e, ENGINE_FIRST_TYPE) != HEMI_OK) {
        types_deinit(e);
        return HEMI_NO_MEMORY;
    }
    e->rtypes[ENGINE_EXTERN_DESC] = (struct rtype){.kind = TYPE_EXTERN_LAYOUT,
                                                   .final = true,
                                                   .super = TYPE_NONE,
                                                   .group = ENGINE_EXTERN_DESC,
                                                   .group_size = 1,
                                                   .refs = 1,
                                                   .exn_desc = TYPE_NONE};
    e->descs[ENGINE_EXTERN_DESC] = (struct heap_desc){.kind = HEAP_EXTERN, .size = HEAP_EXTERN_SIZE};
    e->ntypes = ENGINE_FIRST_TYPE;
    return HEMI_OK;
}

void types_deinit(struct engine *e)
{
    uint32_t units = UINT32_MAX;
    CHECK(e->ngroups == 0);
    while (types_free_some(e, &units)) units = UINT32_MAX;
    if (e->rtypes) munmap(e->rtypes, sizeof *e->rtypes * TYPES_MAX);
    if (e->descs) munmap(e->descs, sizeof *e->descs * TYPES_MAX);
    if (e->links) munmap(e->links, sizeof *e->links * TYPES_MAX);
    free(e->buckets);
}

/* ---- Hash and equality of groups: references inside a group count by their position, others by their id. */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}

/* Polls once per PARTS_PER_POLL parts of types: a group may be as large as a module. */
static enum hemi_status poll_parts(struct engine *e, uint32_t *parts, const struct type_def *d)
{
    *parts += 1 + d->nparams + d->nresults + d->nfields;
    if (*parts < PARTS_PER_POLL) return HEMI_OK;
    *parts = 0;
    return engine_poll(e);
}

static enum hemi_status group_hash(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t *out)
{
    uint64_t h = mix(e->seed, n);
    for (uint32_t i = 0, parts = 0; i < n; i++) {
        enum hemi_status status = poll_parts(e, &parts, &defs[i]);
        if (status != HEMI_OK) return status;
        const struct type_def *d = &defs[i];
        h = mix(h, ((uint64_t)d->super << 16) | (d->kind << 1) | d->final);
        h = mix(h, ((uint64_t)d->nparams << 32) | d->nresults);
        for (uint32_t k = 0; k < d->nparams + d->nresults; k++) h = mix(h, d->vals[k]);
        for (uint32_t k = 0; k < d->nfields; k++) h = mix(h, ((uint64_t)d->fields[k].mut << 32) | d->fields[k].type);
    }
    *out = (uint32_t)(h ^ (h >> 32));
    return HEMI_OK;
}

/* Is `a`, of a definition, what the group of n types at `base` holds as the canonical heap type `b`? */
static bool same_heap(uint32_t a, uint32_t b, uint32_t base, uint32_t n)
{
    if (type_is_rec(a)) return b == base + (a - TYPE_REC_BASE);
    return a == b && (b < base || b >= base + n);
}

static bool same_val(valtype a, valtype b, uint32_t base, uint32_t n)
{
    if (!vt_is_ref(a) || !vt_is_ref(b)) return a == b;
    return vt_nullable(a) == vt_nullable(b) && same_heap(vt_heap(a), vt_heap(b), base, n);
}

static bool same_def(const struct type_def *d, const struct rtype *t, uint32_t base, uint32_t n)
{
    if (d->kind != t->kind || d->final != t->final || d->nparams != t->nparams || d->nresults != t->nresults ||
        d->nfields != t->nfields || !same_heap(d->super, t->super, base, n))
        return false;
    for (uint32_t k = 0; k < d->nparams + d->nresults; k++)
        if (!same_val(d->vals[k], t->vals[k], base, n)) return false;
    for (uint32_t k = 0; k < d->nfields; k++)
        if (d->fields[k].mut != t->fields[k].mut || !same_val(d->fields[k].type, t->fields[k].type, base, n))
            return false;
    return true;
}

static enum hemi_status group_same(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t group,
                                   bool *same)
{
    enum hemi_status status = HEMI_OK;
    *same = true;
    for (uint32_t i = 0, parts = 0; i < n && *same && status == HEMI_OK; i++) {
        *same = same_def(&defs[i], &e->rtypes[group + i], group, n);
        status = poll_parts(e, &parts, &defs[i]);
    }
    return status;
}

/* ---- Buckets */

static uint32_t *bucket_of(struct engine *e, uint32_t hash) { return &e->buckets[hash & (e->nbuckets - 1)]; }

static void bucket_add(struct engine *e, uint32_t group)
{
    uint32_t *head = bucket_of(e, e->links[group].hash);
    e->links[group].next = *head;
    *head = group;
    e->groups_changed++;
}

static void bucket_remove(struct engine *e, uint32_t group)
{
    uint32_t *link = bucket_of(e, e->links[group].hash);
    while (*link != group) link = &e->links[*link].next;
    *link = e->links[group].next;
    e->groups_changed++;
}

/* Doubles the buckets; when memory is short the old ones just become fuller. */
static void buckets_grow(struct engine *e)
{
    uint32_t nold = e->nbuckets, *old = e->buckets;
    uint32_t *to = buckets_new(nold * 2);
    if (!to) return;
    e->buckets = to;
    e->nbuckets = nold * 2;
    for (uint32_t i = 0; i < nold; i++) {
        for (uint32_t g = old[i], next; g != TYPE_NONE; g = next) {
            next = e->links[g].next;
            bucket_add(e, g);
        }
    }
    free(old);
}

/* ---- Mentions of other groups (.refs) */

typedef void mention_fn(struct engine *e, uint32_t other);

/* In type `t` of the group. */
static void mention(struct engine *e, const struct rtype *t, uint32_t heap, mention_fn *fn)
{
    if (type_is_id(heap) && (heap < t->group || heap - t->group >= t->group_size)) fn(e, e->rtypes[heap].group);
}

static void mention_val(struct engine *e, const struct rtype *t, valtype v, mention_fn *fn)
{
    if (vt_is_ref(v)) mention(e, t, vt_heap(v), fn);
}

static void type_mentions(struct engine *e, const struct rtype *t, mention_fn *fn)
{
    mention(e, t, t->super, fn);
    for (uint32_t k = 0; t->vals && k < t->nparams + t->nresults; k++) mention_val(e, t, t->vals[k], fn);
    for (uint32_t k = 0; t->fields && k < t->nfields; k++) mention_val(e, t, t->fields[k].type, fn);
}

static void mention_take(struct engine *e, uint32_t other) { e->rtypes[other].refs++; }

/* The first of the dead is being freed, and stays the first. */
static void bury(struct engine *e, uint32_t group)
{
    uint32_t *link = e->dead != TYPE_NONE ? &e->links[e->dead].next : &e->dead;
    if (e->dead == TYPE_NONE) e->dead_left = e->rtypes[group].group_size;
    e->links[group].next = *link;
    *link = group;
}

static void mention_drop(struct engine *e, uint32_t other)
{
    if (--e->rtypes[other].refs > 0) return;
    bucket_remove(e, other);
    e->ngroups--;
    bury(e, other);
}

/* ---- Freeing the dead (.dead) */

static void type_clear(struct engine *e, uint32_t id)
{
    struct rtype *t = &e->rtypes[id];
    uint32_t desc = t->kind == TYPE_FUNC ? t->exn_desc : (uint32_t)TYPE_NONE;
    free(e->links[id].parts);
    if (desc == TYPE_NONE) return;
    type_clear(e, desc);
    type_ids_give(e, desc, 1);
}

static uint32_t type_units(const struct rtype *t) { return (t->nparams + t->nresults + t->nfields) / PARTS_PER_UNIT; }

/* From its end on: the first of a group's types says what is known of the group. */
bool types_free_some(struct engine *e, uint32_t *units)
{
    while (e->dead != TYPE_NONE) {
        uint32_t group = e->dead, next = TYPE_NONE;
        for (; e->dead_left > 0; e->dead_left--) {
            uint32_t id = group + e->dead_left - 1;
            if (!release_unit(units)) return true;
            release_units(units, type_units(&e->rtypes[id]));
            type_mentions(e, &e->rtypes[id], mention_drop);
            if (id == group) next = e->links[group].next; /* those have joined it */
            type_clear(e, id);
            type_ids_give(e, id, 1);
        }
        e->dead = next;
        if (next != TYPE_NONE) e->dead_left = e->rtypes[next].group_size;
    }
    return false;
}

/* For what is making a group: the status that a poll returns shows again at the next one. */
static void free_dead(struct engine *e)
{
    uint32_t units = UNITS_PER_POLL;
    while (types_free_some(e, &units)) {
        (void)engine_poll(e);
        units = UNITS_PER_POLL;
    }
}

/* Is there an equal group now? Then it has one reference more; else *found is TYPE_NONE. What is looked at has one,
 * too, for a large one takes polls; when groups came or went meanwhile, all is looked at again. */
static enum hemi_status group_find(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t hash,
                                   uint32_t *found)
{
    uint64_t before;
    *found = TYPE_NONE;
    do {
        before = e->groups_changed;
        for (uint32_t g = *bucket_of(e, hash); g != TYPE_NONE; g = e->links[g].next) {
            bool same;
            if (e->links[g].hash != hash || e->rtypes[g].group_size != n) continue;
            e->rtypes[g].refs++;
            enum hemi_status status = group_same(e, defs, n, g, &same);
            if (status == HEMI_OK && same) {
                *found = g;
                return HEMI_OK;
            }
            mention_drop(e, g);
            free_dead(e);
            if (status != HEMI_OK) return status;
            if (before != e->groups_changed) break;
        }
    } while (before != e->groups_changed);
    return HEMI_OK;
}

/* ---- Making a group */

static uint32_t absolute(uint32_t heap, uint32_t base)
{
    return type_is_rec(heap) ? base + (heap - TYPE_REC_BASE) : heap;
}

static valtype absolute_val(valtype v, uint32_t base)
{
    return vt_is_ref(v) ? VT_REF(vt_nullable(v), absolute(vt_heap(v), base)) : v;
}

/* Makes room for the type's arrays: so many offsets of references, entries of the display, and values. */
static bool parts_new(struct engine *e, uint32_t id, uint32_t nrefs, uint32_t ndisplay, uint32_t nvals)
{
    struct rtype *t = &e->rtypes[id];
    size_t words = (size_t)nrefs + ndisplay + nvals + 1; /* never nothing */
    uint32_t *at = malloc(words * sizeof *at + t->nfields * sizeof *t->fields);
    if (!at) return false;
    e->links[id].parts = at;
    t->display = at + nrefs;
    t->vals = t->display + ndisplay;
    t->fields = (struct field *)(void *)(t->vals + nvals);
    return true;
}

static uint32_t count_refs(const struct type_def *d)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < d->nfields; k++) n += vt_is_ref(d->fields[k].type);
    return n;
}

static void parts_copy(struct rtype *t, const struct type_def *d, uint32_t base)
{
    for (uint32_t k = 0; k < d->nparams + d->nresults; k++) t->vals[k] = absolute_val(d->vals[k], base);
    t->param_slots = valtypes_slots(t->vals, d->nparams);
    t->result_slots = valtypes_slots(t->vals + d->nparams, d->nresults);
    t->defaultable = true;
    for (uint32_t k = 0; k < d->nfields; k++) {
        t->fields[k] = (struct field){.type = absolute_val(d->fields[k].type, base), .mut = d->fields[k].mut};
        if (!valtype_defaultable(t->fields[k].type)) t->defaultable = false;
    }
}

/* Inherits the ancestors. The super is complete: it comes from an older group or earlier in this one. */
static enum hemi_status type_make(struct engine *e, const struct type_def *d, uint32_t id, uint32_t base)
{
    struct rtype *t = &e->rtypes[id];
    uint32_t super_id = absolute(d->super, base);
    CHECK_DEBUG(super_id < id || super_id >= base + t->group_size);
    t->nparams = d->nparams;
    t->nresults = d->nresults;
    t->nfields = d->nfields;
    const struct rtype *super = super_id == TYPE_NONE ? NULL : &e->rtypes[super_id];
    if (super && super->depth >= TYPE_DEPTH_MAX) return HEMI_LIMIT;
    t->depth = super ? (uint8_t)(super->depth + 1) : 0;
    uint32_t n = t->depth < TYPE_DISPLAY_INLINE ? (uint32_t)TYPE_DISPLAY_INLINE : t->depth + 1u;
    if (!parts_new(e, id, count_refs(d), n, d->nparams + d->nresults)) return HEMI_NO_MEMORY;
    t->super = super_id;
    parts_copy(t, d, base);
    type_mentions(e, t, mention_take);
    for (uint32_t k = 0; k < n; k++) t->display[k] = k < t->depth ? super->display[k] : (uint32_t)TYPE_NONE;
    t->display[t->depth] = id;
    return HEMI_OK;
}

/* Kinds first: what a field's slot is depends on the kind of the type it refers to, which may come later. */
static void group_begin(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t base)
{
    for (uint32_t i = 0; i < n; i++) {
        e->rtypes[base + i] = (struct rtype){.kind = defs[i].kind,
                                             .final = defs[i].final,
                                             .super = TYPE_NONE,
                                             .group = base,
                                             .group_size = n,
                                             .exn_desc = TYPE_NONE};
        if (i % KINDS_PER_POLL == KINDS_PER_POLL - 1) (void)engine_poll(e); /* before all have one, none can be freed */
    }
}

static enum hemi_status group_fill(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t base)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0, parts = 0; i < n && status == HEMI_OK; i++) {
        status = type_make(e, &defs[i], base + i, base);
        if (status == HEMI_OK) status = poll_parts(e, &parts, &defs[i]);
    }
    for (uint32_t i = 0, parts = 0; i < n && status == HEMI_OK; i++) {
        struct rtype *t = &e->rtypes[base + i];
        if (t->kind == TYPE_FUNC) continue;
        uint32_t size = type_layout_fields(t->fields, t->nfields, t->kind == TYPE_ARRAY ? HEAP_ARRAY_DATA : 4);
        type_layout_desc(e, base + i, size);
        status = poll_parts(e, &parts, &defs[i]);
    }
    return status;
}

/* With one reference. */
static enum hemi_status group_make(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t hash,
                                   uint32_t *out)
{
    uint32_t base, other = TYPE_NONE;
    enum hemi_status status = type_ids_take(e, n, &base);
    if (status != HEMI_OK) return status;
    group_begin(e, defs, n, base);
    status = group_fill(e, defs, n, base);
    /* While this fiber waited at a poll point, another may have made the same group: then that one counts. */
    if (status == HEMI_OK) status = group_find(e, defs, n, hash, &other);
    if (status != HEMI_OK || other != TYPE_NONE) {
        bury(e, base);
        free_dead(e);
        *out = other;
        return status;
    }
    if (e->ngroups >= e->nbuckets) buckets_grow(e);
    e->links[base].hash = hash;
    bucket_add(e, base);
    e->ngroups++;
    e->rtypes[base].refs = 1;
    *out = base;
    return HEMI_OK;
}

enum hemi_status types_intern(struct engine *e, const struct type_def *defs, uint32_t n, uint32_t *ids)
{
    if (n == 0) return HEMI_OK;
    uint32_t hash;
    enum hemi_status status = group_hash(e, defs, n, &hash);
    if (status != HEMI_OK) return status;
    uint32_t group;
    status = group_find(e, defs, n, hash, &group);
    if (status == HEMI_OK && group == TYPE_NONE) status = group_make(e, defs, n, hash, &group);
    if (status != HEMI_OK) return status;
    for (uint32_t i = 0; i < n; i++) ids[i] = group + i;
    return HEMI_OK;
}

/* ---- Life */

void types_ref(struct engine *e, uint32_t id) { e->rtypes[e->rtypes[id].group].refs++; }

void types_drop(struct engine *e, uint32_t id) { mention_drop(e, e->rtypes[id].group); }

void types_unref(struct engine *e, uint32_t id)
{
    uint32_t units = UINT32_MAX;
    types_drop(e, id);
    while (types_free_some(e, &units)) units = UINT32_MAX;
}

const struct rtype *types_get(const struct engine *e, uint32_t id)
{
    CHECK_DEBUG(id != 0 && id < e->ntypes, ".ids");
    return &e->rtypes[id];
}

enum hemi_status types_func(struct engine *e, const valtype *vals, uint32_t nparams, uint32_t nresults, uint32_t *id)
{
    struct type_def def = {
        .kind = TYPE_FUNC, .final = true, .super = TYPE_NONE, .nparams = nparams, .nresults = nresults, .vals = vals};
    return types_intern(e, &def, 1, id);
}

/* ---- Exceptions */

static enum hemi_status exn_make(struct engine *e, const struct rtype *func, uint32_t id)
{
    uint32_t nrefs = 0;
    struct rtype *t = &e->rtypes[id];
    *t = (struct rtype){.kind = TYPE_EXN_LAYOUT,
                        .final = true,
                        .super = TYPE_NONE,
                        .group = id,
                        .group_size = 1,
                        .nfields = func->nparams,
                        .exn_desc = TYPE_NONE};
    for (uint32_t k = 0; k < t->nfields; k++) nrefs += vt_is_ref(func->vals[k]);
    if (!parts_new(e, id, nrefs, 0, 0)) return HEMI_NO_MEMORY;
    for (uint32_t k = 0; k < t->nfields; k++) t->fields[k] = (struct field){.type = func->vals[k]};
    type_layout_desc(e, id, type_layout_fields(t->fields, t->nfields, 8));
    return HEMI_OK;
}

enum hemi_status types_exn_desc(struct engine *e, uint32_t func, uint32_t *desc)
{
    struct rtype *t = &e->rtypes[func];
    CHECK_DEBUG(t->kind == TYPE_FUNC);
    if (t->exn_desc == TYPE_NONE) {
        uint32_t id;
        enum hemi_status status = type_ids_take(e, 1, &id);
        if (status != HEMI_OK) return status;
        status = exn_make(e, t, id);
        if (status != HEMI_OK) {
            type_clear(e, id);
            type_ids_give(e, id, 1);
            return status;
        }
        t->exn_desc = id;
    }
    *desc = t->exn_desc;
    return HEMI_OK;
}
