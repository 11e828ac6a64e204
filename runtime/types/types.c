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
enum hemi_status type_tables_commit(struct types *ts, uint32_t n)
{
    if (n <= ts->committed) return HEMI_OK;
    uint32_t want = (n + COMMIT_STEP - 1) / COMMIT_STEP * COMMIT_STEP;
    if (want > TYPES_MAX) return HEMI_LIMIT;
    if (!commit(ts->rtypes, sizeof *ts->rtypes, want) || !commit(ts->descs, sizeof *ts->descs, want) ||
        !commit(ts->links, sizeof *ts->links, want))
        return HEMI_NO_MEMORY;
    ts->committed = want;
    return HEMI_OK;
}

static uint32_t *buckets_new(uint32_t n)
{
    uint32_t *to = malloc(n * sizeof *to);
    for (uint32_t i = 0; to && i < n; i++) to[i] = TYPE_NONE;
    return to;
}

static void begin(struct types *ts)
{
    for (uint32_t i = 0; i < TYPE_RUN_CLASSES; i++) ts->free_runs[i] = TYPE_NONE;
    ts->nbuckets = BUCKETS_MIN;
    ts->dead = TYPE_NONE;
    ts->rtypes = reserve(sizeof *ts->rtypes);
    ts->descs = reserve(sizeof *ts->descs);
    ts->links = reserve(sizeof *ts->links);
    ts->buckets = buckets_new(BUCKETS_MIN);
}

static void add_extern(struct types *ts)
{
    ts->rtypes[TYPE_EXTERN_DESC] = (struct rtype){.kind = TYPE_EXTERN_LAYOUT,
                                                  .final = true,
                                                  .super = TYPE_NONE,
                                                  .group = TYPE_EXTERN_DESC,
                                                  .group_size = 1,
                                                  .refs = 1,
                                                  .exn_desc = TYPE_NONE};
    ts->descs[TYPE_EXTERN_DESC] = (struct heap_desc){.kind = HEAP_EXTERN, .size = HEAP_EXTERN_SIZE};
    ts->ntypes = TYPE_FIRST_ID;
}

enum hemi_status types_new(const struct types_options *opt, struct types **out)
{
    struct types *ts = *out = calloc(1, sizeof *ts);
    if (!ts) return HEMI_NO_MEMORY;
    ts->options = *opt;
    begin(ts);
    if (!ts->rtypes || !ts->descs || !ts->links || !ts->buckets || type_tables_commit(ts, TYPE_FIRST_ID) != HEMI_OK) {
        types_free(ts);
        *out = NULL;
        return HEMI_NO_MEMORY;
    }
    add_extern(ts);
    return HEMI_OK;
}

void types_free(struct types *ts)
{
    uint32_t units = UINT32_MAX;
    if (!ts) return;
    CHECK(ts->ngroups == 0);
    while (types_free_some(ts, &units)) units = UINT32_MAX;
    if (ts->rtypes) munmap(ts->rtypes, sizeof *ts->rtypes * TYPES_MAX);
    if (ts->descs) munmap(ts->descs, sizeof *ts->descs * TYPES_MAX);
    if (ts->links) munmap(ts->links, sizeof *ts->links * TYPES_MAX);
    free(ts->buckets);
    free(ts);
}

static enum hemi_status poll(struct types *ts) { return ts->options.poll(ts->options.ctx); }

/* ---- Hash and equality of groups: references inside a group count by their position, others by their id. */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}

/* Polls once per PARTS_PER_POLL parts of types: a group may be as large as a module. */
static enum hemi_status poll_parts(struct types *ts, uint32_t *parts, const struct type_def *d)
{
    *parts += 1 + d->nparams + d->nresults + d->nfields;
    if (*parts < PARTS_PER_POLL) return HEMI_OK;
    *parts = 0;
    return poll(ts);
}

static enum hemi_status group_hash(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t *out)
{
    uint64_t h = mix(ts->options.seed, n);
    for (uint32_t i = 0, parts = 0; i < n; i++) {
        enum hemi_status status = poll_parts(ts, &parts, &defs[i]);
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

static enum hemi_status group_same(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t group,
                                   bool *same)
{
    enum hemi_status status = HEMI_OK;
    *same = true;
    for (uint32_t i = 0, parts = 0; i < n && *same && status == HEMI_OK; i++) {
        *same = same_def(&defs[i], &ts->rtypes[group + i], group, n);
        status = poll_parts(ts, &parts, &defs[i]);
    }
    return status;
}

/* ---- Buckets */

static uint32_t *bucket_of(struct types *ts, uint32_t hash) { return &ts->buckets[hash & (ts->nbuckets - 1)]; }

static void bucket_add(struct types *ts, uint32_t group)
{
    uint32_t *head = bucket_of(ts, ts->links[group].hash);
    ts->links[group].next = *head;
    *head = group;
    ts->groups_changed++;
}

static void bucket_remove(struct types *ts, uint32_t group)
{
    uint32_t *link = bucket_of(ts, ts->links[group].hash);
    while (*link != group) link = &ts->links[*link].next;
    *link = ts->links[group].next;
    ts->groups_changed++;
}

/* Doubles the buckets; when memory is short the old ones just become fuller. */
static void buckets_grow(struct types *ts)
{
    uint32_t nold = ts->nbuckets, *old = ts->buckets;
    uint32_t *to = buckets_new(nold * 2);
    if (!to) return;
    ts->buckets = to;
    ts->nbuckets = nold * 2;
    for (uint32_t i = 0; i < nold; i++) {
        for (uint32_t g = old[i], next; g != TYPE_NONE; g = next) {
            next = ts->links[g].next;
            bucket_add(ts, g);
        }
    }
    free(old);
}

/* ---- Mentions of other groups (.refs) */

typedef void mention_fn(struct types *ts, uint32_t other);

/* In type `t` of the group. */
static void mention(struct types *ts, const struct rtype *t, uint32_t heap, mention_fn *fn)
{
    if (type_is_id(heap) && (heap < t->group || heap - t->group >= t->group_size)) fn(ts, ts->rtypes[heap].group);
}

static void mention_val(struct types *ts, const struct rtype *t, valtype v, mention_fn *fn)
{
    if (vt_is_ref(v)) mention(ts, t, vt_heap(v), fn);
}

static void type_mentions(struct types *ts, const struct rtype *t, mention_fn *fn)
{
    mention(ts, t, t->super, fn);
    for (uint32_t k = 0; t->vals && k < t->nparams + t->nresults; k++) mention_val(ts, t, t->vals[k], fn);
    for (uint32_t k = 0; t->fields && k < t->nfields; k++) mention_val(ts, t, t->fields[k].type, fn);
}

static void mention_take(struct types *ts, uint32_t other) { ts->rtypes[other].refs++; }

/* The first of the dead is being freed, and stays the first. */
static void bury(struct types *ts, uint32_t group)
{
    uint32_t *link = ts->dead != TYPE_NONE ? &ts->links[ts->dead].next : &ts->dead;
    if (ts->dead == TYPE_NONE) ts->dead_left = ts->rtypes[group].group_size;
    ts->links[group].next = *link;
    *link = group;
}

static void mention_drop(struct types *ts, uint32_t other)
{
    if (--ts->rtypes[other].refs > 0) return;
    bucket_remove(ts, other);
    ts->ngroups--;
    bury(ts, other);
}

/* ---- Freeing the dead (.dead) */

static void type_clear(struct types *ts, uint32_t id)
{
    struct rtype *t = &ts->rtypes[id];
    uint32_t desc = t->kind == TYPE_FUNC ? t->exn_desc : (uint32_t)TYPE_NONE;
    free(ts->links[id].parts);
    if (desc == TYPE_NONE) return;
    type_clear(ts, desc);
    type_ids_give(ts, desc, 1);
}

static uint32_t type_units(const struct rtype *t) { return (t->nparams + t->nresults + t->nfields) / PARTS_PER_UNIT; }

/* From its end on: the first of a group's types says what is known of the group. */
bool types_free_some(struct types *ts, uint32_t *units)
{
    while (ts->dead != TYPE_NONE) {
        uint32_t group = ts->dead, next = TYPE_NONE;
        for (; ts->dead_left > 0; ts->dead_left--) {
            uint32_t id = group + ts->dead_left - 1;
            if (!release_unit(units)) return true;
            release_units(units, type_units(&ts->rtypes[id]));
            type_mentions(ts, &ts->rtypes[id], mention_drop);
            if (id == group) next = ts->links[group].next; /* those have joined it */
            type_clear(ts, id);
            type_ids_give(ts, id, 1);
        }
        ts->dead = next;
        if (next != TYPE_NONE) ts->dead_left = ts->rtypes[next].group_size;
    }
    return false;
}

/* For what is making a group: the status that a poll returns shows again at the next one. */
static void free_dead(struct types *ts)
{
    uint32_t units = UNITS_PER_POLL;
    while (types_free_some(ts, &units)) {
        (void)poll(ts);
        units = UNITS_PER_POLL;
    }
}

/* Is there an equal group now? Then it has one reference more; else *found is TYPE_NONE. What is looked at has one,
 * too, for a large one takes polls; when groups came or went meanwhile, all is looked at again. */
static enum hemi_status group_find(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t hash,
                                   uint32_t *found)
{
    uint64_t before;
    *found = TYPE_NONE;
    do {
        before = ts->groups_changed;
        for (uint32_t g = *bucket_of(ts, hash); g != TYPE_NONE; g = ts->links[g].next) {
            bool same;
            if (ts->links[g].hash != hash || ts->rtypes[g].group_size != n) continue;
            ts->rtypes[g].refs++;
            enum hemi_status status = group_same(ts, defs, n, g, &same);
            if (status == HEMI_OK && same) {
                *found = g;
                return HEMI_OK;
            }
            mention_drop(ts, g);
            free_dead(ts);
            if (status != HEMI_OK) return status;
            if (before != ts->groups_changed) break;
        }
    } while (before != ts->groups_changed);
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
static bool parts_new(struct types *ts, uint32_t id, uint32_t nrefs, uint32_t ndisplay, uint32_t nvals)
{
    struct rtype *t = &ts->rtypes[id];
    size_t words = (size_t)nrefs + ndisplay + nvals + 1; /* never nothing */
    uint32_t *at = malloc(words * sizeof *at + t->nfields * sizeof *t->fields);
    if (!at) return false;
    ts->links[id].parts = at;
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
static enum hemi_status type_make(struct types *ts, const struct type_def *d, uint32_t id, uint32_t base)
{
    struct rtype *t = &ts->rtypes[id];
    uint32_t super_id = absolute(d->super, base);
    CHECK_DEBUG(super_id < id || super_id >= base + t->group_size);
    t->nparams = d->nparams;
    t->nresults = d->nresults;
    t->nfields = d->nfields;
    const struct rtype *super = super_id == TYPE_NONE ? NULL : &ts->rtypes[super_id];
    if (super && super->depth >= TYPE_DEPTH_MAX) return HEMI_LIMIT;
    t->depth = super ? (uint8_t)(super->depth + 1) : 0;
    uint32_t n = t->depth < TYPE_DISPLAY_INLINE ? (uint32_t)TYPE_DISPLAY_INLINE : t->depth + 1u;
    if (!parts_new(ts, id, count_refs(d), n, d->nparams + d->nresults)) return HEMI_NO_MEMORY;
    t->super = super_id;
    parts_copy(t, d, base);
    type_mentions(ts, t, mention_take);
    for (uint32_t k = 0; k < n; k++) t->display[k] = k < t->depth ? super->display[k] : (uint32_t)TYPE_NONE;
    t->display[t->depth] = id;
    return HEMI_OK;
}

/* Kinds first: what a field's slot is depends on the kind of the type it refers to, which may come later. */
static void group_begin(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t base)
{
    for (uint32_t i = 0; i < n; i++) {
        ts->rtypes[base + i] = (struct rtype){.kind = defs[i].kind,
                                              .final = defs[i].final,
                                              .super = TYPE_NONE,
                                              .group = base,
                                              .group_size = n,
                                              .exn_desc = TYPE_NONE};
        if (i % KINDS_PER_POLL == KINDS_PER_POLL - 1) (void)poll(ts); /* before all have one, none can be freed */
    }
}

static enum hemi_status group_fill(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t base)
{
    enum hemi_status status = HEMI_OK;
    for (uint32_t i = 0, parts = 0; i < n && status == HEMI_OK; i++) {
        status = type_make(ts, &defs[i], base + i, base);
        if (status == HEMI_OK) status = poll_parts(ts, &parts, &defs[i]);
    }
    for (uint32_t i = 0, parts = 0; i < n && status == HEMI_OK; i++) {
        struct rtype *t = &ts->rtypes[base + i];
        if (t->kind == TYPE_FUNC) continue;
        uint32_t size = type_layout_fields(t->fields, t->nfields, t->kind == TYPE_ARRAY ? HEAP_ARRAY_DATA : 4);
        type_layout_desc(ts, base + i, size);
        status = poll_parts(ts, &parts, &defs[i]);
    }
    return status;
}

/* With one reference. */
static enum hemi_status group_make(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t hash,
                                   uint32_t *out)
{
    uint32_t base, other = TYPE_NONE;
    enum hemi_status status = type_ids_take(ts, n, &base);
    if (status != HEMI_OK) return status;
    group_begin(ts, defs, n, base);
    status = group_fill(ts, defs, n, base);
    /* While this fiber waited at a poll point, another may have made the same group: then that one counts. */
    if (status == HEMI_OK) status = group_find(ts, defs, n, hash, &other);
    if (status != HEMI_OK || other != TYPE_NONE) {
        bury(ts, base);
        free_dead(ts);
        *out = other;
        return status;
    }
    if (ts->ngroups >= ts->nbuckets) buckets_grow(ts);
    ts->links[base].hash = hash;
    bucket_add(ts, base);
    ts->ngroups++;
    ts->rtypes[base].refs = 1;
    *out = base;
    return HEMI_OK;
}

enum hemi_status types_intern(struct types *ts, const struct type_def *defs, uint32_t n, uint32_t *ids)
{
    if (n == 0) return HEMI_OK;
    uint32_t hash;
    enum hemi_status status = group_hash(ts, defs, n, &hash);
    if (status != HEMI_OK) return status;
    uint32_t group;
    status = group_find(ts, defs, n, hash, &group);
    if (status == HEMI_OK && group == TYPE_NONE) status = group_make(ts, defs, n, hash, &group);
    if (status != HEMI_OK) return status;
    for (uint32_t i = 0; i < n; i++) ids[i] = group + i;
    return HEMI_OK;
}

/* ---- Life */

void types_ref(struct types *ts, uint32_t id) { ts->rtypes[ts->rtypes[id].group].refs++; }

void types_drop(struct types *ts, uint32_t id) { mention_drop(ts, ts->rtypes[id].group); }

void types_unref(struct types *ts, uint32_t id)
{
    uint32_t units = UINT32_MAX;
    types_drop(ts, id);
    while (types_free_some(ts, &units)) units = UINT32_MAX;
}

const struct rtype *types_get(const struct types *ts, uint32_t id)
{
    CHECK_DEBUG(id != 0 && id < ts->ntypes, ".ids");
    return &ts->rtypes[id];
}

enum hemi_status types_func(struct types *ts, const valtype *vals, uint32_t nparams, uint32_t nresults, uint32_t *id)
{
    struct type_def def = {
        .kind = TYPE_FUNC, .final = true, .super = TYPE_NONE, .nparams = nparams, .nresults = nresults, .vals = vals};
    return types_intern(ts, &def, 1, id);
}

/* ---- Exceptions */

static enum hemi_status exn_make(struct types *ts, const struct rtype *func, uint32_t id)
{
    uint32_t nrefs = 0;
    struct rtype *t = &ts->rtypes[id];
    *t = (struct rtype){.kind = TYPE_EXN_LAYOUT,
                        .final = true,
                        .super = TYPE_NONE,
                        .group = id,
                        .group_size = 1,
                        .nfields = func->nparams,
                        .exn_desc = TYPE_NONE};
    for (uint32_t k = 0; k < t->nfields; k++) nrefs += vt_is_ref(func->vals[k]);
    if (!parts_new(ts, id, nrefs, 0, 0)) return HEMI_NO_MEMORY;
    for (uint32_t k = 0; k < t->nfields; k++) t->fields[k] = (struct field){.type = func->vals[k]};
    type_layout_desc(ts, id, type_layout_fields(t->fields, t->nfields, 8));
    return HEMI_OK;
}

enum hemi_status types_exn_desc(struct types *ts, uint32_t func, uint32_t *desc)
{
    struct rtype *t = &ts->rtypes[func];
    CHECK_DEBUG(t->kind == TYPE_FUNC);
    if (t->exn_desc == TYPE_NONE) {
        uint32_t id;
        enum hemi_status status = type_ids_take(ts, 1, &id);
        if (status != HEMI_OK) return status;
        status = exn_make(ts, t, id);
        if (status != HEMI_OK) {
            type_clear(ts, id);
            type_ids_give(ts, id, 1);
            return status;
        }
        t->exn_desc = id;
    }
    *desc = t->exn_desc;
    return HEMI_OK;
}
