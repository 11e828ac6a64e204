/* Types: canonical groups, reuse of ids, layout, descriptors, subtyping. */
#include "runtime/engine/engine.h"
#include "tests/unit/suite.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct engine *e;

static void setup(void) { ck_assert_int_eq(engine_new(NULL, &e), HEMI_OK); }
static void teardown(void) { engine_free(e); }

static struct type_def struct_def(const struct field *fields, uint32_t n)
{
    return (struct type_def){.kind = TYPE_STRUCT, .super = TYPE_NONE, .fields = fields, .nfields = n};
}

static uint32_t intern_one(struct type_def def)
{
    uint32_t id = 0;
    ck_assert_int_eq(types_intern(e->types, &def, 1, &id), HEMI_OK);
    return id;
}

START_TEST(equal_groups_share_ids)
{
    struct field list[] = {{.type = VT_I32, .mut = true}, {.type = VT_REF(true, TYPE_REC(0))}};
    uint32_t a = intern_one(struct_def(list, 2)), b = intern_one(struct_def(list, 2));
    ck_assert_uint_eq(a, b);
    ck_assert_uint_eq(types_get(e->types, a)->fields[1].type, VT_REF(true, a));
    /* The same fields, but naming that type from outside: another type. */
    struct field outside[] = {{.type = VT_I32, .mut = true}, {.type = VT_REF(true, a)}};
    uint32_t c = intern_one(struct_def(outside, 2));
    ck_assert_uint_ne(a, c);
    list[0].mut = false;
    uint32_t d = intern_one(struct_def(list, 2));
    ck_assert_uint_ne(a, d);
    types_unref(e->types, a);
    types_unref(e->types, b);
    types_unref(e->types, d);
    ck_assert_int_eq(types_get(e->types, a)->kind, TYPE_STRUCT); /* c names it */
    types_unref(e->types, c);
    ck_assert_uint_eq(e->types->ngroups, 0);
}
END_TEST

START_TEST(position_in_group_matters)
{
    struct field none[1];
    struct type_def two[] = {struct_def(none, 0), struct_def(none, 0)};
    uint32_t ids[2], one = intern_one(struct_def(none, 0));
    ck_assert_int_eq(types_intern(e->types, two, 2, ids), HEMI_OK);
    ck_assert_uint_eq(ids[1], ids[0] + 1);
    ck_assert_uint_ne(ids[0], one);
    ck_assert_uint_eq(types_get(e->types, ids[1])->group, ids[0]);
    ck_assert(!types_is_sub(e->types, ids[0], ids[1]));
    types_unref(e->types, ids[0]);
    types_unref(e->types, one);
}
END_TEST

START_TEST(ids_are_reused)
{
    uint32_t high = e->types->ntypes;
    for (uint32_t round = 0; round < 50; round++) {
        uint32_t ids[40];
        for (uint32_t i = 0; i < 40; i++) {
            valtype vals[40];
            for (uint32_t k = 0; k < i; k++) vals[k] = VT_I32;
            ck_assert_int_eq(types_func(e->types, vals, i, 0, &ids[i]), HEMI_OK);
        }
        for (uint32_t i = 0; i < 40; i++) types_unref(e->types, ids[(i * 7 + round) % 40]);
    }
    ck_assert_uint_eq(e->types->ngroups, 0);
    ck_assert_uint_eq(e->types->ntypes, high + 40);
    ck_assert_uint_eq(e->types->rtypes[e->types->free_runs[5]].group_size, 40);
    ck_assert_uint_eq(e->types->rtypes[e->types->free_runs[5]].group, TYPE_NONE);
    for (uint32_t i = 0; i < TYPE_RUN_CLASSES; i++) ck_assert(i == 5 || e->types->free_runs[i] == TYPE_NONE);
}
END_TEST

/* A chain of mentions as long as this would overflow the stack if it were freed recursively. */
/* The free runs against what is in use, after every step of a random life. */
static void check_ids(const uint8_t *used)
{
    uint32_t nused = 0, nfree = 0, nruns = 0;
    for (uint32_t i = TYPE_FIRST_ID; i < e->types->ntypes; i++) {
        ck_assert_int_eq(e->types->rtypes[i].kind == TYPE_FREE, !used[i]);
        nused += used[i];
        nruns += !used[i] && used[i - 1];
    }
    ck_assert_uint_eq(nused, e->types->ntypes_used);
    for (uint32_t k = 0; k < TYPE_RUN_CLASSES; k++) {
        for (uint32_t run = e->types->free_runs[k]; run != TYPE_NONE; run = e->types->rtypes[run].group) {
            uint32_t n = e->types->rtypes[run].group_size;
            ck_assert(n >> k == 1 && used[run - 1] && (run + n == e->types->ntypes || used[run + n]));
            ck_assert_uint_eq(e->types->rtypes[run + n - 1].refs, run);
            nfree += n;
            nruns--;
        }
    }
    ck_assert_uint_eq(nfree + nused, e->types->ntypes - TYPE_FIRST_ID);
    ck_assert_uint_eq(nruns, 0);
}

START_TEST(free_ids_are_found_again)
{
    enum { GROUPS = 200, LARGEST = 37, STEPS = 20000 };
    static uint8_t used[GROUPS * LARGEST + TYPE_FIRST_ID] = {1, 1};
    static const valtype vals[GROUPS];
    struct {
        uint32_t first, n;
    } groups[GROUPS] = {{0, 0}};
    uint64_t x = 88172645463325252u;
    for (uint32_t step = 0; step < STEPS; step++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t g = (uint32_t)(x % GROUPS), n = (uint32_t)(x >> 32) % LARGEST + 1, ids[LARGEST];
        struct type_def defs[LARGEST]; /* no other group has as many parameters */
        for (uint32_t i = 0; i < n; i++)
            defs[i] = (struct type_def){.kind = TYPE_FUNC, .super = TYPE_NONE, .nparams = g, .vals = vals};
        if (groups[g].n > 0) {
            memset(used + groups[g].first, 0, groups[g].n);
            types_unref(e->types, groups[g].first);
            groups[g].n = 0;
        } else {
            ck_assert_int_eq(types_intern(e->types, defs, n, ids), HEMI_OK);
            memset(used + ids[0], 1, n);
            groups[g].first = ids[0];
            groups[g].n = n;
        }
        ck_assert_uint_le(e->types->ntypes, sizeof used);
        if (step % 16 == 0) check_ids(used);
    }
    for (uint32_t g = 0; g < GROUPS; g++)
        if (groups[g].n > 0) types_unref(e->types, groups[g].first);
    ck_assert_uint_eq(e->types->ntypes_used, 0);
    ck_assert_uint_lt(e->types->ntypes,
                      GROUPS * LARGEST * 3 / 4); /* half of them live at a time, half as large as they can be */
}
END_TEST

/* Freed one by one between others that stay, a list in order of ids would be walked to its end each time. */
START_TEST(many_gaps_cost_nothing)
{
    enum { GROUPS = 200000 };
    uint32_t *ids = calloc(GROUPS, sizeof *ids);
    struct field fields[18];
    ck_assert_ptr_nonnull(ids);
    for (uint32_t i = 0; i < GROUPS; i++) {
        for (uint32_t k = 0; k < 18; k++) fields[k] = (struct field){.type = (i >> k) & 1 ? VT_I32 : VT_I64};
        ids[i] = intern_one(struct_def(fields, 18));
    }
    for (uint32_t i = 0; i < GROUPS; i += 2) types_unref(e->types, ids[i]);
    ck_assert_uint_eq(e->types->ntypes_used, GROUPS / 2);
    for (uint32_t i = 1; i < GROUPS; i += 2) types_unref(e->types, ids[i]);
    ck_assert_uint_eq(e->types->ntypes_used, 0);
    ck_assert_uint_eq(e->types->ntypes, GROUPS + TYPE_FIRST_ID);
    free(ids);
}
END_TEST

START_TEST(long_chains_are_freed)
{
    uint32_t last = intern_one((struct type_def){.kind = TYPE_FUNC, .super = TYPE_NONE});
    for (uint32_t i = 0; i < 200000; i++) {
        valtype v = VT_REF(true, last);
        uint32_t id;
        ck_assert_int_eq(types_func(e->types, &v, 1, 0, &id), HEMI_OK);
        types_unref(e->types, last);
        last = id;
    }
    ck_assert_uint_eq(e->types->ngroups, 200001);
    types_unref(e->types, last);
    ck_assert_uint_eq(e->types->ngroups, 0);
}
END_TEST

/* ---- large groups: made, compared and freed in pieces, while other types come and go */

enum { LARGE = 5000, NEVER = 1000000 };

static struct type_def large[LARGE];
static uint32_t large_ids[LARGE];

/* Each names the one behind it, and a group outside. */
static void define_large(uint32_t outside)
{
    static struct field fields[LARGE][3];
    for (uint32_t i = 0; i < LARGE; i++) {
        fields[i][0] = (struct field){.type = VT_I32, .mut = true};
        fields[i][1] = (struct field){.type = VT_REF(true, TYPE_REC((i + 1) % LARGE)), .mut = true};
        fields[i][2] = (struct field){.type = VT_REF(true, outside)};
        large[i] = struct_def(fields[i], 3);
        large[i].super = i > 0 && i % 50 != 0 ? TYPE_REC(i - 1) : TYPE_NONE;
    }
}

static struct {
    uint32_t polls, at; /* when so many have come: */
    enum hemi_status status;
    bool makes_the_same, makes_others;
    uint32_t same;
} hook;

static enum hemi_status on_poll(void *ctx)
{
    static uint32_t ids[LARGE];
    (void)ctx;
    uint32_t nth = hook.polls++;
    if (nth < hook.at || (nth > hook.at && !hook.makes_others)) return HEMI_OK;
    uint32_t at = hook.at, other;
    hook.at = NEVER; /* not while it polls itself */
    if (hook.makes_the_same) ck_assert_int_eq(types_intern(e->types, large, LARGE, ids), HEMI_OK);
    hook.same = ids[0];
    for (uint32_t i = 0; i < 3 && hook.makes_others; i++) {
        const valtype vals[] = {VT_I32, VT_I64, VT_F32};
        ck_assert_int_eq(types_func(e->types, vals, i, 0, &other), HEMI_OK);
        types_unref(e->types, other);
    }
    hook.at = at;
    return hook.status;
}

/* With an engine that polls; the type outside, which keeps one reference. */
static uint32_t begin_large(void)
{
    engine_free(e);
    ck_assert_int_eq(engine_new(&(struct engine_options){.yield = on_poll}, &e), HEMI_OK);
    memset(&hook, 0, sizeof hook);
    hook.at = NEVER;
    uint32_t outside = intern_one((struct type_def){
        .kind = TYPE_ARRAY, .super = TYPE_NONE, .final = true, .nfields = 1, .fields = &(struct field){.type = VT_I8}});
    define_large(outside);
    return outside;
}

static void expect_nothing_left(uint32_t outside)
{
    static uint8_t used[4 * LARGE] = {1, 1};
    ck_assert_uint_eq(e->types->ngroups, 1);
    ck_assert_uint_eq(e->types->ntypes_used, 1);
    ck_assert_uint_eq(types_get(e->types, outside)->refs, 1);
    ck_assert_uint_le(e->types->ntypes, sizeof used);
    used[outside] = 1;
    check_ids(used);
    used[outside] = 0;
}

START_TEST(a_large_group_is_freed_in_slices)
{
    enum { SLICE = 16 };
    uint32_t outside = begin_large(), calls = 0, other;
    ck_assert_int_eq(types_intern(e->types, large, LARGE, large_ids), HEMI_OK);
    types_drop(e->types, large_ids[7]);
    for (bool more = true; more; calls++) {
        uint32_t units = SLICE;
        more = types_free_some(e->types, &units);
        ck_assert_int_eq(types_func(e->types, (valtype[]){VT_REF(true, outside)}, 1, 0, &other), HEMI_OK);
        types_drop(e->types, other); /* joins the dead */
    }
    ck_assert_uint_ge(calls, LARGE / SLICE);
    for (uint32_t units = NEVER; types_free_some(e->types, &units);) units = NEVER;
    expect_nothing_left(outside);
    types_unref(e->types, outside);
}
END_TEST

START_TEST(a_large_group_is_made_and_compared_with_polls)
{
    uint32_t outside = begin_large(), again[LARGE];
    ck_assert_int_eq(types_intern(e->types, large, LARGE, large_ids), HEMI_OK);
    uint32_t made = hook.polls;
    ck_assert_uint_ge(made, 4); /* hash, kinds, types, layouts */
    ck_assert_int_eq(types_intern(e->types, large, LARGE, again), HEMI_OK);
    ck_assert_uint_ge(hook.polls - made, 2); /* hash, comparison */
    ck_assert_mem_eq(again, large_ids, sizeof again);
    types_unref(e->types, again[0]);
    types_unref(e->types, again[0]);
    expect_nothing_left(outside);
    types_unref(e->types, outside);
}
END_TEST

static uint32_t polls_of_making(void)
{
    uint32_t before = hook.polls;
    ck_assert_int_eq(types_intern(e->types, large, LARGE, large_ids), HEMI_OK);
    types_unref(e->types, large_ids[0]);
    return hook.polls - before;
}

START_TEST(a_large_group_stopped_half_way_leaves_nothing)
{
    uint32_t outside = begin_large(), n = polls_of_making(), step = n / 16 + 1;
    for (uint32_t at = 0; at < n; at += step) {
        hook.polls = 0, hook.at = at, hook.status = HEMI_CANCELLED;
        enum hemi_status status = types_intern(e->types, large, LARGE, large_ids);
        if (status == HEMI_OK)
            types_unref(e->types, large_ids[0]); /* the kinds: the next poll would have said it again */
        expect_nothing_left(outside);
    }
    types_unref(e->types, outside);
}
END_TEST

/* One of the two is given up, whichever was first. */
START_TEST(a_large_group_made_twice_at_once_is_one)
{
    uint32_t outside = begin_large(), n = polls_of_making(), step = n / 16 + 1;
    for (uint32_t at = 0; at < n; at += step) {
        hook.polls = 0, hook.at = at, hook.makes_the_same = true;
        ck_assert_int_eq(types_intern(e->types, large, LARGE, large_ids), HEMI_OK);
        ck_assert_uint_eq(large_ids[0], hook.same);
        ck_assert_uint_eq(types_get(e->types, large_ids[0])->refs, 2);
        types_unref(e->types, large_ids[0]);
        types_unref(e->types, large_ids[0]);
        expect_nothing_left(outside);
    }
    types_unref(e->types, outside);
}
END_TEST

START_TEST(types_come_and_go_while_a_large_group_is_made)
{
    uint32_t outside = begin_large();
    hook.at = 0, hook.makes_others = true;
    ck_assert_int_eq(types_intern(e->types, large, LARGE, large_ids), HEMI_OK);
    for (uint32_t i = 0; i < LARGE; i++) {
        const struct rtype *t = types_get(e->types, large_ids[i]);
        ck_assert_uint_eq(t->fields[1].type, VT_REF(true, large_ids[(i + 1) % LARGE]));
        ck_assert_uint_eq(t->fields[2].type, VT_REF(true, outside));
        ck_assert_uint_eq(e->types->descs[large_ids[i]].nrefs, 2);
    }
    types_unref(e->types, large_ids[0]);
    expect_nothing_left(outside);
    types_unref(e->types, outside);
}
END_TEST

START_TEST(layout_packs_fields)
{
    struct field f[] = {{.type = VT_I8},
                        {.type = VT_I16},
                        {.type = VT_I8},
                        {.type = VT_I64},
                        {.type = VT_REF(true, HT_FUNC)},
                        {.type = VT_REF(true, HT_ANY)},
                        {.type = VT_I8},
                        {.type = VT_REF(true, HT_EXN)}};
    static const uint32_t offsets[] = {4, 6, 8, 12, 20, 24, 28, 32};
    uint32_t id = intern_one(struct_def(f, 8));
    for (uint32_t i = 0; i < 8; i++) ck_assert_uint_eq(types_get(e->types, id)->fields[i].offset, offsets[i]);
    const struct heap_desc *d = &e->types->descs[id];
    ck_assert_uint_eq(d->kind, HEAP_FIXED);
    ck_assert_uint_eq(d->size, 36);
    ck_assert_uint_eq(d->nrefs, 2);
    ck_assert_uint_eq(d->nfuncs, 1);
    ck_assert_uint_eq(d->offsets[0], 24);
    ck_assert_uint_eq(d->offsets[1], 32);
    ck_assert_uint_eq(d->offsets[2], 20);
    types_unref(e->types, id);
    id = intern_one(struct_def(f, 0));
    ck_assert_uint_eq(e->types->descs[id].size, 8);
    types_unref(e->types, id);
}
END_TEST

START_TEST(arrays_describe_their_element)
{
    struct field f = {.type = VT_REF(true, HT_FUNC)};
    struct type_def def = {.kind = TYPE_ARRAY, .super = TYPE_NONE, .fields = &f, .nfields = 1};
    uint32_t id = intern_one(def);
    ck_assert_uint_eq(e->types->descs[id].kind, HEAP_ARRAY);
    ck_assert_uint_eq(e->types->descs[id].elem, HEAP_SLOT_FUNC);
    ck_assert_uint_eq(e->types->descs[id].elem_size, 4);
    ck_assert_uint_eq(types_get(e->types, id)->fields[0].offset, 8);
    types_unref(e->types, id);
}
END_TEST

START_TEST(exceptions_have_a_layout)
{
    valtype vals[] = {VT_REF(true, HT_ANY), VT_F64};
    uint32_t id, desc, again;
    ck_assert_int_eq(types_func(e->types, vals, 2, 0, &id), HEMI_OK);
    ck_assert_int_eq(types_exn_desc(e->types, id, &desc), HEMI_OK);
    ck_assert_int_eq(types_exn_desc(e->types, id, &again), HEMI_OK);
    ck_assert_uint_eq(desc, again);
    ck_assert_int_eq(types_get(e->types, desc)->kind, TYPE_EXN_LAYOUT);
    ck_assert_uint_eq(types_get(e->types, desc)->fields[0].offset, 8);
    ck_assert_uint_eq(types_get(e->types, desc)->fields[1].offset, 12);
    ck_assert_uint_eq(e->types->descs[desc].size, 20);
    ck_assert_uint_eq(e->types->descs[desc].nrefs, 1);
    types_unref(e->types, id);
    ck_assert_int_eq(e->types->rtypes[desc].kind, TYPE_FREE);
}
END_TEST

/* A chain of subtypes, one field more each, deeper than the inline part of the display. */
START_TEST(displays_answer_subtyping)
{
    enum { DEPTH = 20 };
    struct field f[DEPTH];
    struct type_def defs[DEPTH];
    uint32_t ids[DEPTH];
    for (uint32_t i = 0; i < DEPTH; i++) {
        f[i] = (struct field){.type = VT_I32};
        defs[i] = struct_def(f, i);
        if (i > 0) defs[i].super = TYPE_REC(i - 1);
    }
    ck_assert_int_eq(types_intern(e->types, defs, DEPTH, ids), HEMI_OK);
    for (uint32_t a = 0; a < DEPTH; a++) {
        ck_assert(types_matches_decl(e->types, ids[a]));
        ck_assert_uint_eq(types_get(e->types, ids[a])->depth, a);
        for (uint32_t b = 0; b < DEPTH; b++) ck_assert_int_eq(types_is_sub(e->types, ids[a], ids[b]), a >= b);
    }
    ck_assert_uint_eq(types_get(e->types, ids[2])->display[3], TYPE_NONE);
    ck_assert_uint_eq(types_get(e->types, ids[2])->display[TYPE_DISPLAY_INLINE - 1], TYPE_NONE);
    types_unref(e->types, ids[0]);
}
END_TEST

START_TEST(too_deep_is_refused)
{
    struct type_def defs[TYPE_DEPTH_MAX + 2];
    uint32_t ids[TYPE_DEPTH_MAX + 2];
    for (uint32_t i = 0; i < TYPE_DEPTH_MAX + 2; i++) {
        defs[i] = struct_def(NULL, 0);
        if (i > 0) defs[i].super = TYPE_REC(i - 1);
    }
    ck_assert_int_eq(types_intern(e->types, defs, TYPE_DEPTH_MAX + 2, ids), HEMI_LIMIT);
    ck_assert_int_eq(types_intern(e->types, defs, TYPE_DEPTH_MAX + 1, ids), HEMI_OK);
    types_unref(e->types, ids[0]);
}
END_TEST

START_TEST(declared_subtypes_are_checked)
{
    struct field f[] = {{.type = VT_REF(true, HT_EQ)}, {.type = VT_I32, .mut = true}};
    struct field sub[] = {{.type = VT_REF(false, HT_I31)}, {.type = VT_I32, .mut = true}};
    uint32_t super = intern_one(struct_def(f, 2));
    struct type_def def = struct_def(sub, 2);
    def.super = super;
    uint32_t good = intern_one(def);
    ck_assert(types_matches_decl(e->types, good));
    sub[1].mut = false;
    uint32_t bad = intern_one(def);
    ck_assert(!types_matches_decl(e->types, bad));
    def.nfields = 1;
    uint32_t shorter = intern_one(def);
    ck_assert(!types_matches_decl(e->types, shorter));
    types_unref(e->types, super);
    types_unref(e->types, good);
    types_unref(e->types, bad);
    types_unref(e->types, shorter);
    ck_assert_uint_eq(e->types->ngroups, 0);
}
END_TEST

START_TEST(abstract_types_match_as_specified)
{
    static const uint32_t any_chain[] = {HT_NONE, HT_STRUCT, HT_EQ, HT_ANY};
    for (uint32_t a = 0; a < 4; a++)
        for (uint32_t b = 0; b < 4; b++)
            ck_assert_int_eq(heaptype_matches(e->types, any_chain[a], any_chain[b]), a <= b);
    ck_assert(!heaptype_matches(e->types, HT_I31, HT_STRUCT));
    ck_assert(!heaptype_matches(e->types, HT_FUNC, HT_ANY));
    ck_assert(!heaptype_matches(e->types, HT_NONE, HT_FUNC));
    ck_assert(heaptype_matches(e->types, HT_NOFUNC, HT_FUNC));
    ck_assert(heaptype_matches(e->types, HT_NOEXN, HT_EXN));
    ck_assert(heaptype_matches(e->types, HT_NOEXTERN, HT_EXTERN));
    uint32_t s = intern_one(struct_def(NULL, 0));
    ck_assert(heaptype_matches(e->types, s, HT_STRUCT) && heaptype_matches(e->types, s, HT_EQ) &&
              heaptype_matches(e->types, s, HT_ANY));
    ck_assert(heaptype_matches(e->types, HT_NONE, s) && !heaptype_matches(e->types, HT_STRUCT, s) &&
              !heaptype_matches(e->types, s, HT_ARRAY));
    ck_assert(!heaptype_matches(e->types, HT_NOFUNC, s));
    ck_assert(valtype_matches(e->types, VT_REF(false, s), VT_REF(true, s)));
    ck_assert(!valtype_matches(e->types, VT_REF(true, s), VT_REF(false, s)));
    ck_assert(valtype_matches(e->types, VT_BOT, VT_F64) && !valtype_matches(e->types, VT_I32, VT_I64));
    char text[32];
    valtype_print(e->types, VT_REF(true, HT_ANY), text, sizeof text);
    ck_assert_str_eq(text, "(ref null any)");
    valtype_print(e->types, VT_F64, text, sizeof text);
    ck_assert_str_eq(text, "f64");
    types_unref(e->types, s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("types");
    TCase *c = tcase_create("types");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, equal_groups_share_ids);
    tcase_add_test(c, position_in_group_matters);
    tcase_add_test(c, ids_are_reused);
    tcase_add_test(c, free_ids_are_found_again);
    tcase_add_test(c, many_gaps_cost_nothing);
    tcase_add_test(c, long_chains_are_freed);
    tcase_add_test(c, a_large_group_is_freed_in_slices);
    tcase_add_test(c, a_large_group_is_made_and_compared_with_polls);
    tcase_add_test(c, a_large_group_stopped_half_way_leaves_nothing);
    tcase_add_test(c, a_large_group_made_twice_at_once_is_one);
    tcase_add_test(c, types_come_and_go_while_a_large_group_is_made);
    tcase_add_test(c, layout_packs_fields);
    tcase_add_test(c, arrays_describe_their_element);
    tcase_add_test(c, exceptions_have_a_layout);
    tcase_add_test(c, displays_answer_subtyping);
    tcase_add_test(c, too_deep_is_refused);
    tcase_add_test(c, declared_subtypes_are_checked);
    tcase_add_test(c, abstract_types_match_as_specified);
    suite_add_tcase(s, c);
    return run_suite(s);
}
