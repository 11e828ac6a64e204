/* tests/unit/heap/heap_graph_test.c -- a random mutator, mirrored outside the heap: after many collections both graphs
 * have to be the same, object for object, and every externref must have died exactly when the mirror says so.
 * HEMI_SEED repeats a run.
 */
#include "tests/unit/heap_support.h"

enum { OBJECTS = 6000, SLOTS_MAX = 40, NROOTS = 64, EXTERN_IDS = 200, OWNERS = 1 << 15 };

/* An object of the mirror. A value (root or slot) is 0, an i31, or an object's index times 4, as in the heap. */
struct object {
    uint32_t desc, length; /* desc 0: this entry is unused */
    uint32_t seed;         /* what its data bytes are made of; an externref's id */
    uint32_t nslots;
    uint32_t slots[SLOTS_MAX]; /* the first nslots references */
    uint32_t stamp, seen_at;   /* comparison: where it is in the heap */
};

struct mirror {
    struct world *w;
    struct rng rng;
    struct object *objects; /* 1 .. OBJECTS - 1 */
    uint32_t roots[NROOTS];
    uint32_t externs[EXTERN_IDS]; /* object by id, or 0 */
    uint32_t stamp, next_free;
    uint32_t *stack;
    struct owner {
        uint32_t at, object, stamp;
    } *owners; /* by heap offset: two objects of the mirror must not be one in the heap */
    uint64_t nomem;
};

static uint32_t offset_of_slot(uint32_t desc, uint32_t i)
{
    return descs[desc].kind == HEAP_FIXED ? descs[desc].offsets[i] : HEAP_ARRAY_DATA + i * 4;
}

static bool is_object(uint32_t value) { return heap_is_object((heap_ref){value}); }

/* ---- The mirror's own collector */

static void mark_reachable(struct mirror *g)
{
    uint32_t n = 0, stamp = ++g->stamp;
    for (uint32_t i = 0; i < NROOTS; i++) {
        if (is_object(g->roots[i])) g->stack[n++] = g->roots[i] / 4;
    }
    while (n > 0) {
        struct object *o = &g->objects[g->stack[--n]];
        if (o->stamp == stamp) continue;
        o->stamp = stamp;
        for (uint32_t i = 0; i < o->nslots; i++) {
            if (is_object(o->slots[i]) && g->objects[o->slots[i] / 4].stamp != stamp) g->stack[n++] = o->slots[i] / 4;
        }
    }
}

static void free_unreachable(struct mirror *g)
{
    mark_reachable(g);
    for (uint32_t i = 1; i < OBJECTS; i++) {
        struct object *o = &g->objects[i];
        bool in_set = o->desc == D_EXTERN && g->externs[o->seed] == i; /* the heap decides when it dies */
        if (o->stamp != g->stamp && !in_set) o->desc = 0;
    }
}

static uint32_t new_object(struct mirror *g)
{
    for (uint32_t tries = 0; tries < 2 * OBJECTS; tries++) {
        if (++g->next_free >= OBJECTS) {
            g->next_free = 1;
            free_unreachable(g);
        }
        if (g->objects[g->next_free].desc == 0) return g->next_free;
    }
    for (uint32_t i = 0; i < NROOTS; i += 2) g->roots[i] = g->w->roots[i] = 0; /* everything is reachable: let go */
    return new_object(g);
}

/* ---- Comparing */

static void claim(struct mirror *g, uint32_t object, uint32_t bits)
{
    uint32_t i = bits * 0x9e3779b1u >> 17;
    while (g->owners[i].stamp == g->stamp && g->owners[i].at != bits) i = (i + 1) % OWNERS;
    if (g->owners[i].stamp == g->stamp) ck_abort_msg("%#x is two objects", bits);
    g->owners[i] = (struct owner){bits, object, g->stamp};
}

static uint8_t pattern(const struct object *o, uint32_t offset) { return (uint8_t)(o->seed * 31 + offset * 7); }

static bool is_data(const struct object *o, uint32_t offset)
{
    const struct heap_desc *d = &descs[o->desc];
    if (d->kind == HEAP_ARRAY) return d->elem != HEAP_SLOT_REF;
    for (uint32_t i = 0; i < d->nrefs; i++) {
        if (offset >= d->offsets[i] && offset < d->offsets[i] + 4) return false;
    }
    return true;
}

static uint32_t data_end(const struct object *o)
{
    const struct heap_desc *d = &descs[o->desc];
    return d->kind == HEAP_FIXED ? d->size : HEAP_ARRAY_DATA + o->length * d->elem_size;
}

static uint32_t data_begin(const struct object *o) { return descs[o->desc].kind == HEAP_ARRAY ? HEAP_ARRAY_DATA : 4; }

static void compare_contents(const struct mirror *g, const struct object *o, uint32_t bits)
{
    const struct world *w = g->w;
    if (heap_object_desc(w->m.base, (heap_ref){bits}) != o->desc) ck_abort_msg("%#x has another descriptor", bits);
    if (o->desc == D_EXTERN) {
        if (heap_extern_id(w->heap, (heap_ref){bits}) != o->seed) ck_abort_msg("%#x has another id", bits);
        return;
    }
    if (descs[o->desc].kind == HEAP_ARRAY && heap_array_length(w->m.base, (heap_ref){bits}) != o->length) {
        ck_abort_msg("%#x has another length", bits);
    }
    for (uint32_t i = data_begin(o); i < data_end(o); i++) {
        if (is_data(o, i) && at(w, bits)[i] != pattern(o, i)) ck_abort_msg("%#x: byte %u is wrong", bits, i);
    }
}

static uint32_t compare_value(struct mirror *g, uint32_t value, uint32_t bits, uint32_t n)
{
    if (!is_object(value)) {
        if (bits != value) ck_abort_msg("%#x instead of %#x", bits, value);
        return n;
    }
    struct object *o = &g->objects[value / 4];
    if (!is_object(bits)) ck_abort_msg("%#x is no object", bits);
    if (o->stamp == g->stamp) {
        if (o->seen_at != bits) ck_abort_msg("one object is at %#x and at %#x", bits, o->seen_at);
        return n;
    }
    o->stamp = g->stamp;
    o->seen_at = bits;
    claim(g, value / 4, bits);
    compare_contents(g, o, bits);
    g->stack[n] = value / 4;
    return n + 1;
}

static void compare(struct mirror *g)
{
    uint32_t n = 0;
    g->stamp++;
    for (uint32_t i = 0; i < NROOTS; i++) n = compare_value(g, g->roots[i], g->w->roots[i], n);
    while (n > 0) {
        const struct object *o = &g->objects[g->stack[--n]];
        for (uint32_t i = 0; i < o->nslots; i++) {
            n = compare_value(g, o->slots[i], get(g->w, o->seen_at, offset_of_slot(o->desc, i)), n);
        }
    }
}

/* After a full collection exactly the reachable externrefs live. */
static void compare_externs(struct mirror *g)
{
    uint64_t live = 0;
    mark_reachable(g);
    for (uint32_t id = 0; id < EXTERN_IDS; id++) {
        uint32_t i = g->externs[id];
        bool reachable = i != 0 && g->objects[i].stamp == g->stamp;
        if (reachable != (i != 0)) ck_abort_msg("externref %u outlived a collection", id);
        live += reachable;
    }
    ck_assert_uint_eq(stats_of(g->w).externs_live, live);
}

static struct mirror *dying; /* the mirror of the heap that is collecting: extern_dead needs it */

static void extern_died(void *ctx, uint64_t id)
{
    (void)ctx;
    struct mirror *g = dying;
    uint32_t i = g->externs[id];
    if (i == 0) ck_abort_msg("externref %u died twice", (unsigned)id);
    g->externs[id] = 0;
    mark_reachable(g);
    if (g->objects[i].stamp == g->stamp) ck_abort_msg("externref %u died while reachable", (unsigned)id);
}

/* ---- The mutator's steps */

static uint32_t any_root(struct mirror *g) { return rng_below(&g->rng, NROOTS); }

static void set_root(struct mirror *g, uint32_t i, uint32_t value, uint32_t bits)
{
    g->roots[i] = value;
    g->w->roots[i] = bits;
}

static void set_slot(struct mirror *g, uint32_t object, uint32_t bits, uint32_t slot, uint32_t from_root)
{
    struct object *o = &g->objects[object];
    o->slots[slot] = g->roots[from_root];
    set(g->w, bits, offset_of_slot(o->desc, slot), g->w->roots[from_root]);
}

static uint32_t random_length(struct mirror *g)
{
    static const uint32_t most[] = {4, 20, 200, HEAP_CHUNK / 8, HEAP_CHUNK / 2, HEAP_CHUNK * 3};
    uint32_t r = rng_below(&g->rng, 100);
    return rng_below(&g->rng, most[r < 50 ? 0 : r < 75 ? 1 : r < 90 ? 2 : r < 95 ? 3 : r < 98 ? 4 : 5]);
}

static void fill(struct mirror *g, uint32_t object, uint32_t bits)
{
    struct object *o = &g->objects[object];
    for (uint32_t i = data_begin(o); i < data_end(o); i++) {
        if (is_data(o, i)) at(g->w, bits)[i] = pattern(o, i);
    }
    uint32_t n = descs[o->desc].kind == HEAP_FIXED ? descs[o->desc].nrefs : o->desc == D_REFS ? o->length : 0;
    o->nslots = n < SLOTS_MAX ? n : SLOTS_MAX;
    for (uint32_t i = 0; i < o->nslots; i++) set_slot(g, object, bits, i, any_root(g));
}

static void step_allocate(struct mirror *g)
{
    uint32_t desc = 1 + rng_below(&g->rng, D_EXTERN - 1), r = rng_below(&g->rng, 100);
    if (r < 60) desc = D_LEAF + r % 3; /* most objects are small */
    uint32_t length = random_length(g), object = new_object(g);
    heap_ref ref = heap_null();
    enum heap_status status = HEAP_OK;
    if (descs[desc].kind == HEAP_ARRAY)
        status = heap_alloc_array(g->w->heap, desc, length, &ref);
    else
        ref = heap_bump(&g->w->m, desc, descs[desc].size);
    if (descs[desc].kind == HEAP_FIXED && heap_is_null(ref)) {
        status = heap_alloc(g->w->heap, desc, descs[desc].size, &ref);
    }
    if (status != HEAP_OK) {
        g->nomem++;
        return;
    }
    g->objects[object] = (struct object){.desc = desc, .length = length, .seed = (uint32_t)rng_next(&g->rng)};
    fill(g, object, ref.bits);
    set_root(g, any_root(g), object * 4, ref.bits);
}

static void step_extern(struct mirror *g)
{
    uint32_t id = rng_below(&g->rng, EXTERN_IDS), before = g->externs[id];
    uint32_t object = before == 0 ? new_object(g) : before;
    heap_ref ref;
    if (heap_extern(g->w->heap, id, &ref) != HEAP_OK) {
        g->nomem++;
        return;
    }
    if (g->externs[id] == 0) { /* there was none, or it died in the collection that this caused */
        g->objects[object] = (struct object){.desc = D_EXTERN, .seed = id};
        g->externs[id] = object;
    }
    set_root(g, any_root(g), object * 4, ref.bits);
}

static void step_mutate(struct mirror *g)
{
    uint32_t i = any_root(g);
    if (!is_object(g->roots[i])) return;
    struct object *o = &g->objects[g->roots[i] / 4];
    if (o->nslots > 0) set_slot(g, g->roots[i] / 4, g->w->roots[i], rng_below(&g->rng, o->nslots), any_root(g));
}

static void step_follow(struct mirror *g)
{
    uint32_t i = any_root(g);
    if (!is_object(g->roots[i])) return;
    struct object *o = &g->objects[g->roots[i] / 4];
    if (o->nslots == 0) return;
    uint32_t slot = rng_below(&g->rng, o->nslots);
    set_root(g, any_root(g), o->slots[slot], get(g->w, g->w->roots[i], offset_of_slot(o->desc, slot)));
}

static void step_forget(struct mirror *g)
{
    uint32_t value = rng_below(&g->rng, 2) == 0 ? 0 : heap_i31((uint32_t)rng_next(&g->rng)).bits;
    set_root(g, any_root(g), value, value);
}

static void step_collect(struct mirror *g)
{
    heap_collect(g->w->heap);
    compare(g);
    compare_externs(g);
}

static void step(struct mirror *g)
{
    uint32_t r = rng_below(&g->rng, 1000);
    if (r < 500)
        step_allocate(g);
    else if (r < 550)
        step_extern(g);
    else if (r < 700)
        step_mutate(g);
    else if (r < 850)
        step_follow(g);
    else if (r < 985)
        step_forget(g);
    else if (r < 990)
        step_collect(g);
    else if (r < 993)
        heap_trim(g->w->heap);
    else
        compare(g);
}

static struct mirror *mirror_new(uint64_t seed, struct heap_options opt)
{
    struct mirror *g = calloc(1, sizeof *g);
    g->rng = (struct rng){seed};
    g->w = world_new(opt);
    g->w->nroots = NROOTS;
    g->w->heap->emb.extern_dead = extern_died;
    g->objects = calloc(OBJECTS, sizeof *g->objects);
    g->owners = calloc(OWNERS, sizeof *g->owners);
    g->stack = calloc(OBJECTS * (SLOTS_MAX + 1) + NROOTS, sizeof *g->stack);
    return g;
}

static void mirror_free(struct mirror *g)
{
    dying = g;
    memset(g->roots, 0, sizeof g->roots); /* freeing reports every externref */
    world_free(g->w);
    for (uint32_t id = 0; id < EXTERN_IDS; id++) ck_assert_uint_eq(g->externs[id], 0);
    free(g->objects);
    free(g->owners);
    free(g->stack);
    free(g);
}

static void run(struct mirror *g, uint32_t steps, uint32_t verify_every)
{
    dying = g;
    for (uint32_t i = 0; i < steps; i++) {
        step(g);
        if (i % verify_every == 0) world_verify(g->w);
    }
    step_collect(g);
    world_verify(g->w);
}

START_TEST(random_mutator)
{
    struct rng seeds = rng_seeded("random_mutator");
    for (int round = 0; round < 4; round++) {
        struct mirror *g = mirror_new(rng_next(&seeds), (struct heap_options){.limit_bytes = 64 << 20});
        run(g, HEAP_STRESS ? 2500 : 20000, HEAP_STRESS ? 50 : 500);
        ck_assert_uint_eq(g->nomem, 0);
        mirror_free(g);
    }
}
END_TEST

START_TEST(random_mutator_collecting_often)
{
    struct rng seeds = rng_seeded("random_mutator_collecting_often");
    for (uint32_t every = 1; every < 60; every = every * 3 + 1) {
        struct mirror *g = mirror_new(rng_next(&seeds), (struct heap_options){.stress_every = every});
        run(g, every < 10 ? 1500 : 4000, 100);
        mirror_free(g);
    }
}
END_TEST

/* Limits so low that allocations fail: a failure changes nothing. */
START_TEST(random_mutator_without_room)
{
    struct rng seeds = rng_seeded("random_mutator_without_room");
    uint64_t failures = 0;
    for (uint32_t chunks = 2; chunks < 200; chunks += 1 + chunks / 2) {
        struct heap_options opt = {.limit_bytes = (uint64_t)chunks * HEAP_CHUNK,
                                   .stress_every = HEAP_STRESS ? UINT32_MAX : 0};
        struct mirror *g = mirror_new(rng_next(&seeds), opt);
        run(g, 3000, 100);
        failures += g->nomem;
        struct heap_stats s = stats_of(g->w);
        ck_assert_uint_le(s.bytes_peak, opt.limit_bytes);
        mirror_free(g);
    }
    ck_assert_uint_gt(failures, 0);
}
END_TEST

/* As little window as limit: runs meet holes, large objects are copied. */
START_TEST(random_mutator_in_a_narrow_window)
{
    struct rng seeds = rng_seeded("random_mutator_in_a_narrow_window");
    for (uint32_t chunks = 60; chunks < 1500; chunks *= 2) {
        struct heap_options opt = {.limit_bytes = (uint64_t)chunks * HEAP_CHUNK,
                                   .stress_every = HEAP_STRESS ? UINT32_MAX : 0};
        struct mirror *g = mirror_new(rng_next(&seeds), opt);
        g->w->heap->window_end = HEAP_FIRST + chunks;
        run(g, 6000, 100);
        mirror_free(g);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap_graph");
    TCase *c = tcase_create("random");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, random_mutator);
    tcase_add_test(c, random_mutator_collecting_often);
    tcase_add_test(c, random_mutator_without_room);
    tcase_add_test(c, random_mutator_in_a_narrow_window);
    suite_add_tcase(s, c);
    return run_suite(s);
}
