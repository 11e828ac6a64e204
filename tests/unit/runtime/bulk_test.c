/* tests/unit/runtime/bulk_test.c -- operations on many elements, by instructions, by the embedder and of an
 * instantiation, that are stopped at each of their polls, without a collection and with one at each poll.
 *
 * What was there before is '7', what the operation writes is '9'; a null is neither. Each row is a module that has its
 * state in the exports "t" (a table), "a" (a global with an array) and "m" (a memory), as far as it has them, and a
 * function "run". PIECES steps and a bit make at least PIECES polls. */
#include "heap/internal.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"
#include "tests/unit/rig.h"

enum { OLD = '7', NEW = '9', NEVER = 1 << 30 };
#ifdef HEMI_STRESS
enum { PIECES = 5 };
#else
enum { PIECES = 1 };
#endif
/* Memories and arrays of bytes are beyond what an instruction does by itself, without polls. */
enum {
    INLINE = 4096,
    BYTES = (PIECES * BULK_STEP > INLINE ? PIECES * BULK_STEP : INLINE) + 5,
    REFS = PIECES * (BULK_STEP / 4) + 5
};
enum { WHOLE, PARTIAL, ATOMIC };
enum { PAGE = 65536 };

#define S "(type $s (struct (field i32)))"
#define MAKE(n) "(struct.new $s (i32.const " #n "))"
#define TABLE S "(table $t (export \"t\") %refs (ref $s) " MAKE(55) ")"
#define ARRAY                                                                                                          \
    S "(type $a (array (mut (ref $s)))) (global $a (export \"a\") (mut (ref $a)) (array.new $a " MAKE(                 \
        55) " (i32.const %refs)))"
#define FUNCS                                                                                                          \
    "(type $a (array (mut (ref func)))) (func $old) (func $new) (elem $e func %items)"                                 \
    "(global $a (export \"a\") (mut (ref $a)) (array.new $a (ref.func $old) (i32.const %refs)))"                       \
    "(table $t (export \"t\") %refs (ref func) (ref.func $old))"
#define INTS                                                                                                           \
    "(type $i (array (mut i8))) (data $d \"%data\") (global $a (export \"a\") (mut (ref $i)) (array.new $i "           \
    "(i32.const 55) (i32.const %bytes)))"
#define MEMORY "(memory (export \"m\") %pages) (data $d \"%data\")"
#define RUN(body) "(func (export \"run\") " body ")"

static const struct op {
    const char *name;
    int kind; /* WHOLE: done or not there at all. PARTIAL: each element old or new. ATOMIC: no poll */
    const char *text;
} ops[] = {
    {"table.grow", WHOLE, TABLE RUN("(drop (table.grow $t " MAKE(57) " (i32.const %refs)))")},
    {"table.grow of null", ATOMIC,
     S "(table $t (export \"t\") 5 (ref null $s))" RUN("(drop (table.grow $t (ref.null $s) (i32.const %refs)))")},
    {"table.fill", PARTIAL, TABLE RUN("(table.fill $t (i32.const 0) " MAKE(57) " (i32.const %refs))")},
    {"table.copy", PARTIAL,
     TABLE
     "(table $u %refs (ref $s) " MAKE(57) ")" RUN("(table.copy $t $u (i32.const 0) (i32.const 0) (i32.const %refs))")},
    {"table.copy up", PARTIAL,
     TABLE RUN("(table.set $t (i32.const 0) " MAKE(
         57) ") (table.copy $t $t (i32.const 1) (i32.const 0) (i32.sub (i32.const %refs) (i32.const 1)))")},
    {"table.copy down", PARTIAL,
     TABLE RUN("(table.set $t (i32.const 3) " MAKE(
         57) ") (table.copy $t $t (i32.const 0) (i32.const 1) (i32.sub (i32.const %refs) (i32.const 1)))")},
    {"table.init", PARTIAL, FUNCS RUN("(table.init $t $e (i32.const 0) (i32.const 0) (i32.const %refs))")},
    {"memory.grow", ATOMIC, MEMORY RUN("(drop (memory.grow (i32.const 100)))")},
    {"memory.fill", PARTIAL, MEMORY RUN("(memory.fill (i32.const 1) (i32.const 57) (i32.const %bytes))")},
    {"memory.copy up", PARTIAL,
     MEMORY RUN(
         "(i32.store8 (i32.const 0) (i32.const 57)) (memory.copy (i32.const 1) (i32.const 0) (i32.const %bytes))")},
    {"memory.copy down", PARTIAL,
     MEMORY RUN(
         "(i32.store8 (i32.const 9) (i32.const 57)) (memory.copy (i32.const 0) (i32.const 7) (i32.const %bytes))")},
    {"memory.init", PARTIAL, MEMORY RUN("(memory.init $d (i32.const 3) (i32.const 0) (i32.const %bytes))")},
    {"array.new", WHOLE, ARRAY RUN("(global.set $a (array.new $a " MAKE(57) " (i32.const %refs)))")},
    {"array.new_default", ATOMIC, INTS RUN("(global.set $a (array.new_default $i (i32.const %bytes)))")},
    {"array.new_fixed", ATOMIC, ARRAY RUN("(global.set $a (array.new_fixed $a 2 " MAKE(57) MAKE(57) "))")},
    {"array.new_data", WHOLE, INTS RUN("(global.set $a (array.new_data $i $d (i32.const 0) (i32.const %bytes)))")},
    {"array.new_elem", WHOLE, FUNCS RUN("(global.set $a (array.new_elem $a $e (i32.const 0) (i32.const %refs)))")},
    {"array.fill", PARTIAL, ARRAY RUN("(array.fill $a (global.get $a) (i32.const 0) " MAKE(57) " (i32.const %refs))")},
    {"array.copy", PARTIAL,
     ARRAY RUN("(array.copy $a $a (global.get $a) (i32.const 0) (array.new $a " MAKE(
         57) " (i32.const %refs)) (i32.const 0) (i32.const %refs))")},
    {"array.copy up", PARTIAL,
     ARRAY RUN("(array.set $a (global.get $a) (i32.const 0) " MAKE(
         57) ") (array.copy $a $a (global.get $a) (i32.const 1) (global.get $a) (i32.const 0) (i32.sub (i32.const "
             "%refs) (i32.const 1)))")},
    {"array.copy down", PARTIAL,
     ARRAY RUN("(array.set $a (global.get $a) (i32.const 3) " MAKE(
         57) ") (array.copy $a $a (global.get $a) (i32.const 0) (global.get $a) (i32.const 1) (i32.sub (i32.const "
             "%refs) (i32.const 1)))")},
    {"array.init_data", PARTIAL,
     INTS RUN("(array.init_data $i $d (global.get $a) (i32.const 0) (i32.const 0) (i32.const %bytes))")},
    {"array.init_elem", PARTIAL,
     FUNCS RUN("(array.init_elem $a $e (global.get $a) (i32.const 0) (i32.const 0) (i32.const %refs))")},
};
enum { OPS = sizeof ops / sizeof ops[0] };

/* ---- Modules */
/* Appends `text`, with what %refs, %bytes, %pages, %items and %data stand for. */
static void expand(FILE *out, const char *text)
{
    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            putc(*at, out);
        } else if (at[1] == 'r' || at[1] == 'b' || at[1] == 'p') {
            fprintf(out, "%d", at[1] == 'r' ? REFS : at[1] == 'b' ? BYTES : BYTES / PAGE + 1);
            at += at[1] == 'r' ? strlen("refs") : strlen("bytes"); /* as long as "pages" */
        } else {
            for (int i = 0; i < (at[1] == 'i' ? REFS : BYTES); i++) fputs(at[1] == 'i' ? " 1" : "9", out);
            at += at[1] == 'i' ? strlen("items") : strlen("data");
        }
    }
}

/* One store with one instance of the module, and what its polls do. */
struct world {
    struct rig rig;
    struct module *module;
    struct instance *in;
    int polls, stop_at;
    bool collect, hidden; /* hidden: at a poll, everything looks as it did before */
    int every;            /* poll is looked at, and where it is stopped */
};

static struct module *make_module(struct rig *r, const char *text)
{
    char *whole;
    size_t n;
    FILE *out = open_memstream(&whole, &n);
    expand(out, text);
    fclose(out);
    struct module *m = rig_module(r, whole);
    free(whole);
    return m;
}

/* ---- What is there */
struct seen {
    uint64_t n, old, new;
};

static void see(struct seen *c, uint32_t value)
{
    c->n++;
    c->old += value == OLD;
    c->new += value == NEW;
}

static void see_ref(const struct world *w, struct seen *c, uint8_t slot, uint32_t bits)
{
    uint32_t value = 0;
    if (slot == HEAP_SLOT_FUNC)
        value = bits == func_id(w->in, 0) ? OLD : bits == func_id(w->in, 1) ? NEW : 0;
    else if (bits != 0)
        memcpy(&value, w->rig.store->vm.heap.base + bits + 4, sizeof value);
    see(c, value);
}

static void see_array(const struct world *w, struct seen *c, uint32_t array)
{
    const uint8_t *base = w->rig.store->vm.heap.base, *at = base + array + HEAP_ARRAY_DATA;
    uint32_t desc = heap_object_desc(base, (heap_ref){array}), n = heap_array_length(base, (heap_ref){array});
    const struct heap_desc *d = &w->rig.store->descs[desc];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        if (d->elem == HEAP_SLOT_DATA) {
            see(c, at[i]);
        } else {
            memcpy(&bits, at + i * 4, sizeof bits);
            see_ref(w, c, d->elem, bits);
        }
    }
}

static struct seen look(const struct world *w)
{
    struct seen c = {0};
    struct rt_extern x;
    if (instance_export(w->in, "t", 1, &x))
        for (uint32_t i = 0; i < x.table->size; i++) see_ref(w, &c, x.table->slot, x.table->elems[i]);
    if (instance_export(w->in, "a", 1, &x)) see_array(w, &c, x.global->val.ref);
    if (instance_export(w->in, "m", 1, &x))
        for (uint64_t i = 0; i < x.memory->size; i++) see(&c, x.memory->base[i]);
    return c;
}

static void verify(const struct world *w)
{
    char why[200] = "";
    ck_assert_msg(store_verify(w->rig.store, NULL, why, sizeof why), "poll %d: %s", w->polls, why);
}

static enum hemi_status on_poll(void *ctx)
{
    struct world *w = ctx;
    w->polls++;
    if (w->polls % w->every != 0 && w->polls < w->stop_at) return HEMI_OK;
    if (w->collect) store_collect(w->rig.store);
    verify(w);
    if (w->hidden) ck_assert_uint_eq(look(w).new, 0);
    return w->polls >= w->stop_at ? HEMI_CANCELLED : HEMI_OK;
}

/* ---- Runs */
/* The heap's own polls end nothing, and are no place to collect at: there are none here. */
static void world_init(struct world *w, bool collect)
{
    *w = (struct world){.stop_at = NEVER, .collect = collect, .every = 1};
    rig_init(&w->rig);
    w->rig.engine->options.yield = on_poll;
    w->rig.engine->options.ctx = w;
    w->rig.store->heap->emb.poll = NULL;
}

static void world_instance(struct world *w, const char *text)
{
    struct rt_extern x;
    w->rig.engine->options.yield = NULL;
    w->module = make_module(&w->rig, text);
    ck_assert_int_eq(instance_new(w->rig.store, w->module, NULL, w->rig.stack, &w->in, &w->rig.err), HEMI_OK);
    module_unref(w->module);
    if (instance_export(w->in, "m", 1, &x)) memset(x.memory->base, OLD, x.memory->size);
    w->rig.engine->options.yield = on_poll;
}

/* Runs it until poll number `stop_at`, if it comes so far, then to its end. Returns how many polls there are. */
static int try(const struct op *op, int stop_at, bool collect)
{
    struct world w;
    union val none;
    world_init(&w, collect);
    world_instance(&w, op->text);
    struct seen before = look(&w);
    w.stop_at = stop_at;
    w.hidden = op->kind == WHOLE;
    bool stopped = rig_call(&w.rig, w.in, "run", RIG_ARGS(0), &none) != HEMI_OK;
    ck_assert_int_eq(stopped, stop_at <= w.polls);
    verify(&w);
    struct seen after = look(&w);
    if (stopped) {
        ck_assert_int_eq(w.rig.err.status, HEMI_CANCELLED);
        ck_assert_uint_eq(after.n, before.n);
        ck_assert_uint_eq(after.old + after.new, after.n);
        if (op->kind == WHOLE) ck_assert_uint_eq(after.new, 0);
        w.stop_at = NEVER;
        w.polls = 0;
        rig_ok(&w.rig, w.in, "run", 0);
        after = look(&w);
    }
    if (op->kind != ATOMIC) ck_assert_msg(after.new > 0 && after.old + after.new == after.n, "%s", op->name);
    int polls = w.polls;
    rig_deinit(&w.rig);
    return polls;
}

START_TEST(an_operation_stopped_at_any_poll_is_whole_or_leaves_old_and_new)
{
    const struct op *op = &ops[_i];
    int polls = try(op, NEVER, false);
    ck_assert_msg(op->kind == ATOMIC ? polls == 0 : polls >= PIECES, "%s: %d polls", op->name, polls);
    for (int at = 1; at <= polls; at++) try(op, at, at % 2 == 0);
    for (int at = 1; at <= polls; at++) try(op, at, at % 2 == 1);
    if (polls > 0) try(op, NEVER, true);
}
END_TEST

/* ---- By the embedder */
#define FIVE                                                                                                           \
    S "(table $t (export \"t\") 5 (ref $s) " MAKE(55) ")(func (export \"make\") (result (ref $s)) " MAKE(57) ")"

/* Grows the table, or makes another of its type, until poll number `stop_at`. Returns how many polls there are. */
static int try_api(bool grow, int stop_at, bool collect)
{
    struct world w;
    struct rt_extern x;
    struct root root;
    struct table *made = NULL;
    union val nine;
    uint32_t old;
    world_init(&w, collect);
    world_instance(&w, FIVE);
    ck_assert_int_eq(rig_call(&w.rig, w.in, "make", RIG_ARGS(0), &nine), HEMI_OK);
    root_init(w.rig.store, &root, HEAP_SLOT_REF, nine.ref);
    ck_assert(instance_export(w.in, "t", 1, &x));
    w.polls = 0;
    w.stop_at = stop_at;
    w.hidden = true;
    struct limits limits = {.min = REFS, .max = UINT64_MAX};
    enum hemi_status status =
        grow ? table_grow(x.table, REFS, (union val){.ref = root.bits}, &old)
             : table_new(w.rig.store, x.table->type, &limits, (union val){.ref = root.bits}, &made);
    int polls = w.polls;
    verify(&w);
    ck_assert_int_eq(status, stop_at <= polls ? HEMI_CANCELLED : HEMI_OK);
    ck_assert_uint_eq(look(&w).n, status == HEMI_OK && grow ? 5 + REFS : 5);
    ck_assert(status == HEMI_OK || made == NULL);
    root_deinit(&root);
    rig_deinit(&w.rig);
    return polls;
}

START_TEST(a_table_that_the_embedder_makes_or_grows_is_whole_or_not_there)
{
    int polls = try_api(_i, NEVER, false);
    ck_assert_int_ge(polls, PIECES);
    for (int at = 1; at <= polls; at++) {
        try_api(_i, at, false);
        try_api(_i, at, true);
    }
    try_api(_i, NEVER, true);
}
END_TEST

/* Each kept its elements until the store ended. */
START_TEST(tables_that_were_stopped_keep_no_elements)
{
    struct world w;
    struct rt_extern x;
    struct table *made;
    world_init(&w, false);
    world_instance(&w, TABLE);
    ck_assert(instance_export(w.in, "t", 1, &x));
    union val value = {.ref = x.table->elems[0]};
    int64_t before = w.rig.charged;
    for (int i = 0; i < 10; i++) {
        w.polls = 0;
        w.stop_at = 1 + i % PIECES;
        ck_assert_int_eq(table_new(w.rig.store, x.table->type, &(struct limits){.min = REFS}, value, &made),
                         HEMI_CANCELLED);
        verify(&w);
    }
    ck_assert_int_lt(w.rig.charged - before, REFS * 4 + 10 * 1024 /* what a table is without elements */);
    rig_deinit(&w.rig);
}
END_TEST

/* What was filled and not to be is emptied, with polls: nulls are not written, but are what is there already. */
START_TEST(a_table_that_was_stopped_grows_by_nulls)
{
    enum { STEPS = 3, MORE = STEPS * (BULK_STEP / 4) + 5 };
    struct world w;
    struct rt_extern x;
    uint32_t old;
    world_init(&w, false);
    world_instance(&w, S "(table $t (export \"t\") 5 (ref null $s) " MAKE(55) ")");
    ck_assert(instance_export(w.in, "t", 1, &x));
    union val value = {.ref = x.table->elems[0]};
    w.stop_at = STEPS;
    ck_assert_int_eq(table_grow(x.table, MORE, value, &old), HEMI_CANCELLED);
    ck_assert_int_ge(w.polls, STEPS + STEPS - 1);
    ck_assert_uint_eq(x.table->size, 5);
    w.stop_at = NEVER;
    ck_assert_int_eq(table_grow(x.table, MORE, (union val){.ref = 0}, &old), HEMI_OK);
    for (uint32_t i = 5; i < x.table->size; i++) ck_assert_uint_eq(x.table->elems[i], 0);
    rig_deinit(&w.rig);
}
END_TEST

/* ---- Instantiation */
static const char large[] = S "(type $a (array (mut (ref $s)))) (func $new) (table $t %refs (ref $s) " MAKE(
    57) ") (table $f %refs (ref null func)) (elem (table $f) (i32.const 0) func %items)"
        "(func $old) (memory %pages) (data (i32.const 0) \"%data\")"
        "(global $a (ref $a) (array.new $a " MAKE(57) " (i32.const %refs)))";

enum { FEW = 16 }; /* of its polls, some hundreds: each is a look through everything */

/* The store goes on after an instantiation that was stopped: the next one succeeds. */
static int try_instance(int stop_at, bool collect)
{
    struct world w;
    world_init(&w, collect);
    w.rig.engine->options.yield = NULL;
    w.module = make_module(&w.rig, large);
    w.rig.engine->options.yield = on_poll;
    w.stop_at = stop_at;
    w.every = 32;
    enum hemi_status status = instance_new(w.rig.store, w.module, NULL, w.rig.stack, &w.in, &w.rig.err);
    int polls = w.polls;
    verify(&w);
    ck_assert_int_eq(status, stop_at <= polls ? HEMI_CANCELLED : HEMI_OK);
    if (status != HEMI_OK) ck_assert_int_eq(w.rig.err.status, status);
    w.stop_at = NEVER;
    if (status != HEMI_OK)
        ck_assert_int_eq(instance_new(w.rig.store, w.module, NULL, w.rig.stack, &w.in, &w.rig.err), HEMI_OK);
    verify(&w);
    module_unref(w.module);
    rig_deinit(&w.rig);
    return polls;
}

START_TEST(an_instantiation_stopped_at_any_poll_leaves_a_store_that_goes_on)
{
    int polls = try_instance(NEVER, false);
    ck_assert_int_ge(polls, PIECES);
    for (int at = 1; at <= polls; at += 1 + polls / FEW) try_instance(at, at % 2 == 0);
    try_instance(NEVER, true);
}
END_TEST

/* ---- What the looks above rely on */
static void must_find(const struct world *w, uint32_t *slot, uint32_t planted, const char *what)
{
    char why[200] = "";
    uint32_t there = *slot;
    verify(w);
    *slot = planted;
    ck_assert_msg(!store_verify(w->rig.store, NULL, why, sizeof why) && why[0] != 0, "%s %u was not found", what,
                  planted);
    *slot = there;
    verify(w);
}

/* A null, and a reference to an object of another type, where the type has neither. */
START_TEST(the_verifier_finds_what_is_of_no_such_type)
{
    struct world w;
    struct rt_extern t, a, g, other;
    world_init(&w, false);
    world_instance(&w, S
                   "(type $a (array (mut (ref $s)))) (type $o (struct (field f64)))"
                   "(table (export \"t\") 5 (ref $s) " MAKE(
                       55) ")"
                           "(global (export \"g\") (mut (ref $s)) " MAKE(
                               55) ")"
                                   "(global (export \"o\") (ref $o) (struct.new $o (f64.const 1)))"
                                   "(global (export \"a\") (mut (ref $a)) (array.new $a " MAKE(55) " (i32.const 5)))");
    ck_assert(instance_export(w.in, "t", 1, &t) && instance_export(w.in, "a", 1, &a) &&
              instance_export(w.in, "g", 1, &g) && instance_export(w.in, "o", 1, &other));
    uint32_t wrong[] = {0, other.global->val.ref};
    uint32_t *element = (uint32_t *)(void *)(w.rig.store->vm.heap.base + a.global->val.ref + HEAP_ARRAY_DATA + 8);
    for (int i = 0; i < 2; i++) {
        must_find(&w, &t.table->elems[2], wrong[i], "a table's");
        must_find(&w, &g.global->val.ref, wrong[i], "a global's");
        must_find(&w, element, wrong[i], "an array's");
    }
    rig_deinit(&w.rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bulk");
    TCase *tc = tcase_create("bulk");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, an_operation_stopped_at_any_poll_is_whole_or_leaves_old_and_new, 0, OPS);
    tcase_add_loop_test(tc, a_table_that_the_embedder_makes_or_grows_is_whole_or_not_there, 0, 2);
    tcase_add_test(tc, tables_that_were_stopped_keep_no_elements);
    tcase_add_test(tc, a_table_that_was_stopped_grows_by_nulls);
    tcase_add_test(tc, an_instantiation_stopped_at_any_poll_leaves_a_store_that_goes_on);
    tcase_add_test(tc, the_verifier_finds_what_is_of_no_such_type);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
