/* tests/unit/runtime/checks_test.c -- checks of runtime/ die with the tag of their invariant in the last words: one
 * plant for each, made by hand where nothing else could make it. */
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"
#include "runtime/translate/impl.h"
#include "tests/unit/rig.h"

#include <signal.h>

static struct rig rig;
static struct store *s;
static const char *wanted;

static void last_words(const char *line)
{
    if (strstr(line, wanted) != NULL) raise(SIGUSR1); /* what the test expects */
}

/* ---- The store */
static struct table *some_table(uint64_t size)
{
    struct table *t;
    struct limits l = {.min = size};
    ck_assert_int_eq(table_new(s, VT_REF(true, HT_FUNC), &l, (union val){0}, &t), HEMI_OK);
    return t;
}

static enum hemi_status opens(void *ctx)
{
    (void)ctx;
    s->vm.exit_fp = rig.stack.base;
    return HEMI_OK;
}
static void poll_that_runs_the_guest(void)
{
    rig.engine->options.yield = opens;
    store_poll(s);
}

static struct table *shrinking;
static enum hemi_status shrinks(void *ctx)
{
    (void)ctx;
    shrinking->size--;
    return HEMI_OK;
}
static void poll_that_shrinks(void)
{
    uint64_t n = BULK_STEP / 2; /* two pieces */
    uint32_t null = 0;
    shrinking = some_table(n);
    rig.engine->options.yield = shrinks;
    table_set_all(shrinking, 0, &null, n);
}

static void poll_while_unwinding(void)
{
    s->vm.pending.status = HEMI_TRAP;
    store_poll(s);
}
static void two_reasons(void)
{
    vm_stop(&s->vm, HEMI_CANCELLED);
    vm_stop(&s->vm, HEMI_CANCELLED);
}
static void no_reason(void) { pending_take(s, NULL); }
static void exception_of_nothing(void)
{
    s->vm.pending.exn = 8;
    store_collect(s);
}

static void leaving_another(void)
{
    struct activation a = {0};
    activation_leave(s, &a);
}
static void frames_of_nobody(void)
{
    s->vm.exit_fp = rig.stack.base;
    store_collect(s);
}
static void crooked_stack(void)
{
    struct activation a;
    activation_enter(s, &a, (struct vm_stack){rig.stack.base + 4, RIG_STACK - 4}, 0, NULL);
}
static void entering_while_unfinished(void)
{
    struct activation a;
    s->unfinished = &s->roots;
    activation_enter(s, &a, rig.stack, 0, NULL);
}

static void grow_in_a_grow(void)
{
    struct table *t = some_table(1);
    uint32_t null = 0;
    t->filling = 1;
    table_extend(t, 1, &null);
}
static void move_beyond(void)
{
    struct table *t = some_table(4);
    table_move(t, 3, t, 0, 2);
}
static void set_beyond(void)
{
    uint32_t null = 0;
    table_set_all(some_table(4), 4, &null, 1);
}
static struct memory *some_memory(void)
{
    struct memory *m;
    struct limits l = {.min = 1};
    ck_assert_int_eq(memory_new(s, &l, &m), HEMI_OK);
    return m;
}
static void fill_beyond(void) { memory_set(some_memory(), (1 << WASM_PAGE_SHIFT) - 1, 0, 2); }
static void put_beyond(void) { memory_put(some_memory(), 1 << WASM_PAGE_SHIFT, (const uint8_t *)"", 1); }

static void gives_back_too_much(void) { store_charge(s, -(int64_t)(s->charged + 1)); }
static void keeps_a_charge(void)
{
    store_charge(s, 1);
    store_free(s);
}
static void registered_twice(void) { store_register(s, rig_instance(&rig, "(module)", NULL), 0); }
static void no_such_export(void)
{
    struct name name;
    struct rt_extern x;
    instance_export_at(rig_instance(&rig, "(module)", NULL), 0, &name, &x);
}
static void no_such_function(void) { func_type(s, 1u << 20, NULL); }
static void root_of_a_number(void)
{
    struct root r;
    root_init(s, &r, HEAP_SLOT_DATA, 0);
}
static void number_as_reference(void) { store_ref_is(s, (union val){0}, VT_I32); }
static void no_such_place(void)
{
    struct trace_entry e;
    store_trace_entry(s, 0, &e);
}

/* A host function that leaves the store otherwise than it found it. */
static void (*spoil)(void);
static enum hemi_status spoils(void *ctx, struct store *of, struct instance *caller, const union val *args,
                               union val *results, struct rt_error *err)
{
    (void)ctx, (void)of, (void)caller, (void)args, (void)results, (void)err;
    spoil();
    return HEMI_OK;
}
static void call_host(void (*what)(void))
{
    struct host_func_options opt = {.call = spoils};
    uint32_t func;
    spoil = what;
    ck_assert_int_eq(host_func_new(s, NULL, 0, 0, &opt, &func), HEMI_OK);
    rt_call(s, func, NULL, NULL, rig.stack, &rig.err);
}
static void moves_exit_fp(void) { s->vm.exit_fp += SLOT_BYTES; }
static void leaves_a_reason(void) { s->vm.pending.status = HEMI_TRAP; }
static void host_moves_exit_fp(void) { call_host(moves_exit_fp); }
static void host_leaves_a_reason(void) { call_host(leaves_a_reason); }

static void engine_before_its_store(void) { engine_free(rig.engine); }
static void module_of_nobody(void)
{
    struct module m = {.engine = rig.engine};
    module_ref(&m);
}

/* ---- The translator, as it is at the beginning of a function with four locals */
static struct translator t;

static void one_operand(struct value v)
{
    t.vals[0] = v;
    t.nvals = 1;
}
static void pops_nothing(void) { pop(&t); }
static void forgotten_register(void)
{
    one_operand((struct value){.loc = LOC_REG});
    pop(&t);
}
static void two_in_the_register(void)
{
    push_reg(&t, 0, 0, HEAP_SLOT_DATA);
    push_reg(&t, 0, 0, HEAP_SLOT_DATA);
}
static void uncounted_local(void)
{
    one_operand((struct value){.loc = LOC_LOCAL});
    pop(&t);
}
static void uncounted_reference(void)
{
    one_operand((struct value){.loc = LOC_SLOT, .slot = HEAP_SLOT_REF});
    pop(&t);
}
static void register_at_a_site(void)
{
    push_reg(&t, 0, 0, HEAP_SLOT_DATA);
    add_site(&t, 8, 0);
}
static void callee_over_locals(void) { add_site(&t, 3, 0); }
static void reference_not_at_home(void)
{
    push(&t, (struct value){.loc = LOC_SLOT, .slot = HEAP_SLOT_REF, .at = 9});
    add_site(&t, 8, 0);
}
static void mirror_and_operand(void)
{
    t.mirror = 2;
    t.reg = 0;
    from_mirror(&t, &(struct value){.loc = LOC_SLOT, .at = 2});
}
static void slot_too_large(void) { emit_u16(&t, 1 << 16); }
static void patch_of_nothing(void) { patch_u32(&t, 0, 0); }
static void extends_nothing(void) { extend_last(&t, VM_MOV_S); }
static void behind_another(void)
{
    emit(&t, VM_MOV_S); /* and its operands are not emitted */
    emit(&t, VM_MOV_S);
}
static void label_behind(void)
{
    emit(&t, VM_BR_ALWAYS);
    emit_u32(&t, 0);
    resolve(&t, add_fixup(&t, NO_FIXUP, AT_OPERANDS, 0), 0);
}

static const struct plant {
    const char *tag;
    void (*make)(void);
    bool everywhere; /* a CHECK; else only where HEMI_ASSERTS is */
} plants[] = {
    {"(.poll)", poll_that_runs_the_guest, true},
    {"(.poll)", poll_that_shrinks, true},
    {"(.pending)", poll_while_unwinding, true},
    {"(.pending)", two_reasons, true},
    {"(.pending)", no_reason, true},
    {"(.pending)", exception_of_nothing, true},
    {"(.pending)", host_leaves_a_reason, true},
    {"(.activation)", leaving_another, true},
    {"(.activation)", frames_of_nobody, true},
    {"(.bottom)", crooked_stack, true},
    {"(.alone)", entering_while_unfinished, true},
    {"(.whole)", grow_in_a_grow, true},
    {"(.bulk)", move_beyond, true},
    {"(.bulk)", set_beyond, true},
    {"(.bulk)", fill_beyond, true},
    {"(.bulk)", put_beyond, true},
    {"(.accounted)", gives_back_too_much, true},
    {"(.accounted)", keeps_a_charge, true},
    {"(.numbered)", registered_twice, true},
    {"(.numbered)", no_such_export, true},
    {"(.func)", no_such_function, true},
    {"(.rooted)", root_of_a_number, true},
    {"(.rooted)", number_as_reference, true},
    {"(.trace)", no_such_place, true},
    {"(.exit)", host_moves_exit_fp, true},
    {"(.counted)", engine_before_its_store, true},
    {"(.counted)", module_of_nobody, true},
    {"(.step)", pops_nothing, false},
    {"(.reg)", forgotten_register, false},
    {"(.reg)", two_in_the_register, false},
    {"(.reg)", register_at_a_site, false},
    {"(.count)", uncounted_local, false},
    {"(.count)", uncounted_reference, false},
    {"(.map)", callee_over_locals, false},
    {"(.home)", reference_not_at_home, false},
    {"(.mirror)", mirror_and_operand, false},
    {"(.room)", slot_too_large, false},
    {"(.patch)", patch_of_nothing, false},
    {"(.fused)", extends_nothing, false},
    {"(.last)", behind_another, false},
    {"(.ahead)", label_behind, false},
};

START_TEST(a_broken_rule_is_told_by_its_tag)
{
    static int64_t budget = 1 << 20;
    const struct plant *p = &plants[_i];
#ifndef HEMI_ASSERTS
    if (!p->everywhere) raise(SIGUSR1);
#endif
    rig_init(&rig);
    s = rig.store;
    t = (struct translator){.e = rig.engine, .handlers = vmop_handlers[rig.engine->scheme], .budget = &budget};
    t.nlocals = 4;
    t.reg = t.mirror = NO_VALUE;
    t.last.pos = t.prev.pos = NO_POS;
    wanted = p->tag;
    check_set_last_words(last_words);
    p->make();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checks");
    TCase *c = tcase_create("checks");
    tcase_add_loop_test_raise_signal(c, a_broken_rule_is_told_by_its_tag, SIGUSR1, 0,
                                     (int)(sizeof plants / sizeof *plants));
    suite_add_tcase(suite, c);
    return run_suite_forked(suite);
}
