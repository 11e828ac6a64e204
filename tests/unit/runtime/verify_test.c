/* store_verify must be able to fail: one wrong value is planted in each kind of place that holds references, and in
 * what is counted and linked. */
#include "heap/internal.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"
#include "tests/unit/rig.h"

/* Whatever holds references here has none that may be null, but for $x, the exception. */
static const char TEXT[] =
    "(type $s (struct (field i32))) (type $w (struct (field i64))) (type $f (func)) (type $g (func (param i32)))"
    "(type $h (struct (field i32) (field (ref $s)) (field (ref $f))))"
    "(type $a (array (ref $s))) (type $b (array (ref $f))) (tag $e (param i32 (ref $s)))"
    "(func $f (type $f)) (func $g (type $g))"
    "(table (export \"t\") 5 (ref $s) (struct.new $s (i32.const 1)))"
    "(table (export \"u\") 5 (ref $f) (ref.func $f))"
    "(global (export \"c\") (ref $s) (struct.new $s (i32.const 2)))"
    "(global (export \"d\") (ref $f) (ref.func $f))"
    "(global (export \"h\") (ref $h) (struct.new $h (i32.const 0) (struct.new $s (i32.const 3)) (ref.func $f)))"
    "(global (export \"a\") (ref $a) (array.new $a (struct.new $s (i32.const 4)) (i32.const 5)))"
    "(global (export \"b\") (ref $b) (array.new $b (ref.func $f) (i32.const 5)))"
    "(global (export \"w\") (ref $w) (struct.new $w (i64.const 0)))"
    "(global $x (export \"x\") (mut exnref) (ref.null exn))"
    "(elem (ref $s) (item (struct.new $s (i32.const 5))) (item (struct.new $s (i32.const 6))))"
    "(elem (ref $f) (item (ref.func $f)) (item (ref.func $f)))"
    "(func (export \"throw\") (block $out (result exnref)"
    "  (try_table (catch_all_ref $out) (throw $e (i32.const 0) (struct.new $s (i32.const 7)))) (unreachable))"
    "  (global.set $x))";

struct spot {
    const char *name, *says;
    bool is_func;
    uint32_t *at;
};

static uint32_t *in_object(struct rig *r, struct instance *in, const char *global, uint32_t field)
{
    uint8_t *base = r->store->vm.heap.base;
    heap_ref object = {rig_export(in, global).global->val.ref};
    const struct rtype *t = &r->store->vm.rtypes[heap_object_desc(base, object)];
    uint32_t offset = t->kind == TYPE_ARRAY ? t->fields[0].offset + field * 4 : t->fields[field].offset;
    return (uint32_t *)(void *)(base + object.bits + offset);
}

enum { SPOTS = 11 };

/* The last of several, always. */
static void spots_of(struct rig *r, struct instance *in, struct spot out[SPOTS])
{
    const char *const in_table = "table holds", *const in_global = "global holds", *const in_segment = "segment holds",
                      *const in_array = "array holds", *const in_struct = "struct or exception holds";
    const struct spot all[SPOTS] = {
        {"table", in_table, false, &rig_export(in, "t").table->elems[4]},
        {"table of functions", in_table, true, &rig_export(in, "u").table->elems[4]},
        {"global", in_global, false, &rig_export(in, "c").global->val.ref},
        {"global of a function", in_global, true, &rig_export(in, "d").global->val.ref},
        {"struct", in_struct, false, in_object(r, in, "h", 1)},
        {"struct's function", in_struct, true, in_object(r, in, "h", 2)},
        {"array", in_array, false, in_object(r, in, "a", 4)},
        {"array of functions", in_array, true, in_object(r, in, "b", 4)},
        {"exception", in_struct, false, in_object(r, in, "x", 1)},
        {"segment", in_segment, false, &in->elems[0].items[1]},
        {"segment of functions", in_segment, true, &in->elems[1].items[1]},
    };
    memcpy(out, all, sizeof all);
}

static struct instance *start(struct rig *r)
{
    rig_init(r);
    struct instance *in = rig_instance(r, TEXT, NULL);
    union val none;
    ck_assert_int_eq(rig_call(r, in, "throw", RIG_ARGS(0), &none), HEMI_OK);
    return in;
}

static void finds(struct rig *r, const char *name, const char *says)
{
    char why[200] = "";
    ck_assert_msg(!store_verify(r->store, NULL, why, sizeof why), "%s: nothing was found", name);
    ck_assert_msg(strstr(why, says) == why, "%s: %s", name, why);
}

static void holds(struct rig *r)
{
    char why[200] = "";
    ck_assert_msg(store_verify(r->store, NULL, why, sizeof why), "%s", why);
}

static void plant(struct rig *r, const struct spot *p, uint32_t wrong)
{
    uint32_t right = *p->at;
    *p->at = wrong;
    finds(r, p->name, p->says);
    *p->at = right;
    holds(r);
}

START_TEST(a_null_where_there_is_none_is_found)
{
    struct rig r;
    struct spot spots[SPOTS];
    spots_of(&r, start(&r), spots);
    for (int i = 0; i < SPOTS; i++) plant(&r, &spots[i], 0);
    rig_deinit(&r);
}
END_TEST

/* Another struct, a number; a function of another type, none at all. */
START_TEST(a_value_of_another_type_is_found)
{
    struct rig r;
    struct instance *in = start(&r);
    struct spot spots[SPOTS];
    spots_of(&r, in, spots);
    uint32_t other = rig_export(in, "w").global->val.ref, other_func = func_id(in, 1);
    for (int i = 0; i < SPOTS; i++) {
        plant(&r, &spots[i], spots[i].is_func ? other_func : other);
        plant(&r, &spots[i], spots[i].is_func ? func_id(in, in->module->nfuncs) : heap_i31(7).bits);
        if (spots[i].is_func) plant(&r, &spots[i], UINT32_MAX);
    }
    rig_deinit(&r);
}
END_TEST

/* A grow under way has filled these: they count as the table's. */
START_TEST(a_null_that_a_grow_has_filled_in_is_found)
{
    struct rig r;
    struct table *t = rig_export(start(&r), "t").table;
    uint32_t old;
    ck_assert_int_eq(table_grow(t, 1, (union val){.ref = t->elems[0]}, &old), HEMI_OK);
    ck_assert_uint_gt(t->capacity, t->size);
    holds(&r);
    t->filling = 1;
    finds(&r, "filling", "table holds");
    t->filling = 0;
    rig_deinit(&r);
}
END_TEST

START_TEST(what_is_miscounted_or_has_lost_its_id_is_found)
{
    struct rig r;
    struct instance *in = start(&r);
    struct table *t = rig_export(in, "t").table;
    struct root root;
    t->filling = t->capacity - t->size + 1;
    finds(&r, "capacity", "table larger than its capacity");
    t->filling = 0;
    r.store->table_elems++;
    finds(&r, "elements", "tables' elements miscounted");
    r.store->table_elems--;
    in->id++;
    finds(&r, "instance", "instance without its id");
    in->id--;
    root_init(r.store, &root, HEAP_SLOT_FUNC, func_id(in, in->module->nfuncs));
    finds(&r, "root", "root holds no function");
    root.bits = func_id(in, 0);
    holds(&r);
    root.next->prev = root.next;
    finds(&r, "roots", "root list broken");
    root.next->prev = &root;
    root_deinit(&root);
    rig_deinit(&r);
}
END_TEST

/* ---- Frames: looked at from a host function that their innermost one calls. */

static const char FRAMES[] =
    "(import \"h\" \"look\" (func $look)) (type $s (struct (field i32))) (type $f (func)) (func $f (type $f))"
    "(func $inner (param $s (ref $s)) (param $f (ref $f)) (result i32)"
    "  (struct.new $s (i32.const 2)) (ref.func $f) (call $look) (drop) (struct.get $s 0))"
    "(func (export \"run\") (result i32) (i32.add (i32.const 1)"
    "  (call $inner (struct.new $s (i32.const 1)) (ref.func $f))))"
    "(elem declare func $f)";

static void plant_in_frame(struct rig *r, uint32_t *at, uint32_t wrong, const char *says)
{
    uint32_t right = *at;
    *at = wrong;
    finds(r, says, says);
    *at = right;
    holds(r);
}

static enum hemi_status look(void *ctx, struct store *s, struct instance *caller, const union val *args,
                             union val *results, struct rt_error *err)
{
    struct rig *r = ctx;
    (void)args, (void)results, (void)err;
    uint32_t *header = (uint32_t *)(void *)(s->vm.exit_fp - SLOT_BYTES);
    const struct site *site = &caller->module->sites[header[0]];
    const struct code *code = &caller->module->code[site->func];
    char *fp = s->vm.exit_fp - site->delta * SLOT_BYTES;
    const uint16_t *live = caller->module->live_slots + site->live;
    ck_assert(site->nrefs == 1 && site->nfuncs == 1 && code->nlocal_refs == 1 && code->nlocal_funcs == 1);
    holds(r);
    const uint16_t slots[] = {live[0], live[1], code->local_refs[0], code->local_refs[1]};
    for (int i = 0; i < 4; i++) {
        uint32_t *at = (uint32_t *)(void *)(fp + slots[i] * SLOT_BYTES);
        plant_in_frame(r, at, i % 2 ? func_id(caller, caller->module->nfuncs) : 12,
                       i % 2 ? "frame's slot holds no function" : "root ");
        plant_in_frame(r, at + 1, 1, "frame's slot holds more than a reference");
    }
    plant_in_frame(r, &header[0], caller->module->nsites, "frame stopped at no site");
    plant_in_frame(r, &header[0], SITE_ENTRY, "activation ends above its first frame");
    plant_in_frame(r, &header[1], 0, "frame of no instance");
    plant_in_frame(r, &header[1], s->ninstances, "frame of no instance");
    s->vm.exit_fp = s->activation->fp - SLOT_BYTES;
    finds(r, "exit", "activation left below its first frame");
    s->vm.exit_fp = (char *)(void *)(header + 2);
    struct site *to = (struct site *)(uintptr_t)site, right = *site; /* the module is the test's own */
    to->delta = UINT16_MAX;
    finds(r, "delta", "frame is below its activation");
    *to = right;
    to->live = caller->module->nlive_slots;
    finds(r, "live", "site out of its module");
    *to = right;
    uint16_t *slot = &caller->module->live_slots[site->live], was = *slot;
    *slot = site->delta;
    finds(r, "slot", "frame's slot is behind its end");
    *slot = was;
    to->func = caller->module->nfuncs;
    finds(r, "func", "site out of its module");
    *to = right;
    holds(r);
    return HEMI_OK;
}

START_TEST(what_is_wrong_with_a_frame_is_found)
{
    struct rig r;
    rig_init(&r);
    struct host_func_options opt = {.ctx = &r, .call = look};
    struct rt_extern host = {.kind = EXTERN_FUNC};
    ck_assert_int_eq(host_func_new(r.store, NULL, 0, 0, &opt, &host.func), HEMI_OK);
    ck_assert_uint_eq(rig_ok(&r, rig_instance(&r, FRAMES, &host), "run", 0), 3);
    rig_deinit(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tc = tcase_create("verify");
    tcase_add_test(tc, a_null_where_there_is_none_is_found);
    tcase_add_test(tc, a_value_of_another_type_is_found);
    tcase_add_test(tc, a_null_that_a_grow_has_filled_in_is_found);
    tcase_add_test(tc, what_is_miscounted_or_has_lost_its_id_is_found);
    tcase_add_test(tc, what_is_wrong_with_a_frame_is_found);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
