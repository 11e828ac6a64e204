/* tests/unit/server/worker/grave_test.c -- what is freed slowly is freed in slices, while a worker's loop goes on
 * (server/worker/grave.h, server/worker/stretch.h). Only units of work are looked at, never time. */
#include "runtime/code/vm.h"
#include "runtime/engine/engine.h"
#include "runtime/module/module.h"
#include "runtime/translate/translate.h"
#include "server/worker/account.h"
#include "server/worker/stretch.h"
#include "tests/unit/session_rig.h"

enum { FIRST = 1000, MANY = 20000, SLICE = 64 };

static int64_t charged;

static bool charge(void *ctx, int64_t delta)
{
    (void)ctx;
    charged += delta;
    return true;
}

/* How many calls it took; each may use up no more than a slice. */
static uint32_t free_store(struct store *s)
{
    uint32_t calls = 0, units;
    bool more;
    do {
        int64_t before = charged;
        units = SLICE;
        more = store_free_some(s, &units);
        ck_assert_uint_le(units, SLICE);
        ck_assert_int_le(charged, before);
        calls++;
    } while (more);
    return calls;
}

START_TEST(store_is_freed_in_slices)
{
    struct engine *e;
    struct store *s;
    struct memory *m;
    struct table *t;
    uint32_t old;
    charged = 0;
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    ck_assert_int_eq(store_new(e, &(struct store_options){.charge = charge}, &s), HEMI_OK);
    static struct root roots[MANY]; /* before the table, which the stress build's collections would all look through */
    for (uint64_t id = 1; id <= MANY; id++) ck_assert_int_eq(store_extern(s, id, &roots[id - 1]), HEMI_OK);
    for (size_t i = 0; i < MANY; i++) root_deinit(&roots[i]);
    ck_assert_int_eq(memory_new(s, &(struct limits){.min = 64, .max = 64, .has_max = true}, &m), HEMI_OK); /* 4 MiB */
    memset(m->base, 1, m->size);
    struct limits limits = {.min = 1000000, .max = UINT64_MAX};
    ck_assert_int_eq(table_new(s, VT_REF(true, HT_EXTERN), &limits, (union val){0}, &t), HEMI_OK);
    ck_assert_int_eq(table_grow(t, 10, (union val){0}, &old), HEMI_OK);
    ck_assert_uint_ge(free_store(s), (1024 + 976 + MANY) / SLICE); /* pages of memory and table, externrefs */
    ck_assert_int_eq(charged, 0);
    engine_free(e);
}
END_TEST

static uint32_t polls;

static enum hemi_status polled(void *ctx)
{
    (void)ctx;
    polls++;
    return HEMI_OK;
}

/* A million elements, in steps of a quarter of that; what it had goes along. */
START_TEST(table_grows_and_is_filled_with_polls)
{
    struct engine *e;
    struct store *s;
    struct table *t;
    struct root r;
    union val v;
    uint32_t old;
    ck_assert_int_eq(engine_new(&(struct engine_options){.yield = polled}, &e), HEMI_OK);
    ck_assert_int_eq(store_new(e, &(struct store_options){0}, &s), HEMI_OK);
    ck_assert_int_eq(store_extern(s, 7, &r), HEMI_OK);
    struct limits limits = {.min = 10, .max = UINT64_MAX};
    ck_assert_int_eq(table_new(s, VT_REF(true, HT_EXTERN), &limits, (union val){.ref = r.bits}, &t), HEMI_OK);
    for (uint32_t size = 10; size < 1000; size += 90)
        ck_assert_int_eq(table_grow(t, 90, (union val){0}, &old), HEMI_OK);
    polls = 0;
    ck_assert_int_eq(table_grow(t, 1 << 20, (union val){.ref = r.bits}, &old), HEMI_OK);
    ck_assert_uint_ge(polls, 3);
    ck_assert_int_eq(table_grow(t, 1 << 20, (union val){0}, &old), HEMI_OK);
    static const uint32_t full[] = {0, 9, 1000, 500000, 1000 + (1 << 20) - 1}, empty[] = {10, 999, 1000 + (1 << 20)};
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++) {
        ck_assert_int_eq(table_get(t, full[i], &v), HEMI_OK);
        ck_assert_uint_eq(v.ref, r.bits);
    }
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        ck_assert_int_eq(table_get(t, empty[i], &v), HEMI_OK);
        ck_assert_uint_eq(v.ref, 0);
    }
    root_deinit(&r);
    store_free(s);
    engine_free(e);
}
END_TEST

/* Its frames have no poll of their own: all polls are the unwinder's. */
START_TEST(deep_stack_is_unwound_with_polls)
{
    static const uint8_t recursion[] = {0, 'a', 's', 'm', 1, 0,   0, 0, 1,  4, 1, 0x60, 0, 0,    3, 2,   1,
                                        0, 7,   5,   1,   1, 'r', 0, 0, 10, 6, 1, 4,    0, 0x10, 0, 0x0b};
    enum { STACK_BYTES = 256 << 10 };
    static _Alignas(16) char stack[STACK_BYTES];
    struct engine *e;
    struct store *s;
    struct module *m;
    struct instance *in;
    struct rt_extern x;
    struct rt_error err;
    struct vm_stack on = {stack, sizeof stack};
    ck_assert_int_eq(engine_new(&(struct engine_options){.yield = polled}, &e), HEMI_OK);
    ck_assert_int_eq(store_new(e, &(struct store_options){0}, &s), HEMI_OK);
    ck_assert_int_eq(module_new(e, recursion, sizeof recursion, &m, &err), HEMI_OK);
    ck_assert_int_eq(instance_new(s, m, NULL, on, &in, &err), HEMI_OK);
    ck_assert(instance_export(in, "r", 1, &x));
    polls = 0;
    ck_assert_int_eq(rt_call(s, x.func, NULL, NULL, on, &err), HEMI_TRAP);
    ck_assert_uint_ge(polls, STACK_BYTES / (VM_DELTA_MIN * SLOT_BYTES) / 4096);
    store_free(s);
    module_unref(m);
    engine_free(e);
}
END_TEST

static uint8_t *leb3(uint8_t *at, uint32_t n)
{
    *at++ = (uint8_t)(n | 0x80), *at++ = (uint8_t)(n >> 7 | 0x80), *at++ = (uint8_t)(n >> 14);
    return at;
}

/* A module of n functions of seven sizes. */
static size_t many_functions(uint8_t *to, uint32_t n)
{
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0};
    uint8_t *at = to + sizeof head;
    memcpy(to, head, sizeof head);
    *at++ = 3;
    at = leb3(leb3(at, n + 3), n);
    memset(at, 0, n);
    at += n;
    *at++ = 10;
    uint8_t *size = at;
    at = leb3(at + 3, n);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t blocks = (uint8_t)(i % 7 * 5);
        *at++ = (uint8_t)(3 + 3 * blocks);
        *at++ = 0;
        for (uint8_t k = 0; k < blocks; k++) *at++ = 0x41, *at++ = k, *at++ = 0x1a;
        *at++ = 0;
        *at++ = 0x0b;
    }
    leb3(size, (uint32_t)(at - size - 3));
    return (size_t)(at - to);
}

static void check_freed_in_slices(struct module *m, uint32_t least)
{
    uint32_t calls = 0, units;
    bool more;
    do {
        units = SLICE;
        more = module_free_some(m, &units);
        ck_assert_uint_le(units, SLICE);
        calls++;
    } while (more);
    ck_assert_uint_ge(calls, least);
}

/* Segments without elements have nothing to free, and are looked at all the same. */
START_TEST(many_empty_segments_are_freed_in_slices)
{
    enum { SEGMENTS = 2 * MANY };
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 9};
    static uint8_t bytes[sizeof head + 6 + 3 * SEGMENTS];
    struct engine *e;
    struct module *m;
    struct rt_error err;
    memcpy(bytes, head, sizeof head);
    uint8_t *at = leb3(leb3(bytes + sizeof head, 3 + 3 * SEGMENTS), SEGMENTS);
    for (uint32_t i = 0; i < SEGMENTS; i++) *at++ = 5, *at++ = 0x70, *at++ = 0;
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    ck_assert_int_eq(module_new(e, bytes, (size_t)(at - bytes), &m, &err), HEMI_OK);
    check_freed_in_slices(m, SEGMENTS / SLICE);
    engine_free(e);
}
END_TEST

/* Whatever was there before. */
START_TEST(large_blocks_are_cleared_and_freed_with_polls)
{
    enum { STEPS = 8, BYTES = STEPS << 20 };
    struct engine *e;
    ck_assert_int_eq(engine_new(&(struct engine_options){.yield = polled}, &e), HEMI_OK);
    char *used = malloc(BYTES), *behind = malloc(1), set = 0;
    ck_assert(used && behind);
    memset(used, 1, BYTES);
    free(used);
    polls = 0;
    char *block = engine_zeroed(e, BYTES - 100);
    ck_assert_ptr_nonnull(block);
    for (size_t i = 0; i < BYTES - 100; i++) set |= block[i];
    ck_assert_int_eq(set, 0);
    ck_assert_uint_ge(polls, STEPS);
    polls = 0;
    engine_release(e, block);
    ck_assert_uint_ge(polls, 1);
    free(behind);
    engine_free(e);
}
END_TEST

/* In order of their addresses, each once: so looking takes halvings, and finds each. */
START_TEST(code_of_a_pc_is_found_among_many)
{
    enum { FUNCTIONS = 5000 };
    static uint8_t bytes[FUNCTIONS * 100];
    struct engine *e;
    struct module *m;
    struct rt_error err;
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    void *holes[64]; /* so that code does not come in order */
    for (size_t i = 0; i < 64; i++) holes[i] = malloc(100 + i * 8);
    for (size_t i = 0; i < 64; i += 2) free(holes[i]);
    ck_assert_int_eq(module_new(e, bytes, many_functions(bytes, FUNCTIONS), &m, &err), HEMI_OK);
    for (size_t i = 1; i < 64; i += 2) free(holes[i]);
    for (uint32_t i = 1; i < FUNCTIONS; i++)
        ck_assert(m->code_order[i - 1]->bytes + m->code_order[i - 1]->size <= m->code_order[i]->bytes);
    ck_assert_int_eq(module_explicit(m), HEMI_OK);
    const struct code *schemes[] = {m->code, m->explicit_code ? m->explicit_code : m->code};
    for (size_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < FUNCTIONS; i++) {
            const struct code *c = &schemes[k][i];
            ck_assert_ptr_eq(module_code_at(m, schemes[k], c->bytes), c);
            ck_assert_ptr_eq(module_code_at(m, schemes[k], c->bytes + c->size - 1), c);
        }
    ck_assert_ptr_null(module_code_at(m, m->code, bytes));
    module_unref(m);
    engine_free(e);
}
END_TEST

static void check_stretches(void)
{
    for (int kind = 0; kind < STRETCH_COUNT; kind++)
        ck_assert_msg(worker.stretches.longest[kind].units <= stretch_most((enum stretch_kind)kind),
                      "a stretch of %s took %u units", stretch_name((enum stretch_kind)kind),
                      worker.stretches.longest[kind].units);
}

static void make_store(uint32_t handle)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = handle;
    put(FRAME_STORE_NEW, handle, 0, 0, &body, NULL, 0);
    expect(handle, HEMI_OK);
}

START_TEST(connection_with_many_stores_ends_in_slices)
{
    enum { STORES = 200 };
    connect_client();
    struct frame f;
    must_receive(&f, FRAME_WELCOME);
    for (uint32_t i = 0; i < STORES; i++) make_store(FIRST + i);
    close(client.fd);
    client.fd = -1;
    for (int i = 0; i < 100000 && worker.nconnections > 0; i++) turn();
    ck_assert_uint_eq(worker.nstores, 0);
    check_stretches();
    ck_assert_uint_gt(worker.stretches.longest[STRETCH_grave].units, STORES);
}
END_TEST

/* The budget is full of what lies in the grave: who asks for it digs, and is not refused. */
START_TEST(closed_memory_is_there_for_the_next_store)
{
    boot.limits.memory = 64 << 20;
    connect_client();
    struct frame f;
    must_receive(&f, FRAME_WELCOME);
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t store = 100 + 2 * round;
        make_store(store);
        Hemi__V1__MemoryNew memory = HEMI__V1__MEMORY_NEW__INIT;
        memory.store = store;
        memory.memory = store + 1;
        memory.min = 640; /* 40 MiB: the budget has room for one */
        put(FRAME_MEMORY_NEW, store + 1, 0, 0, &memory, NULL, 0);
        expect(store + 1, HEMI_OK);
        Hemi__V1__StoreClose end = HEMI__V1__STORE_CLOSE__INIT;
        end.store = store;
        put(FRAME_STORE_CLOSE, 1, 0, 0, &end, NULL, 0);
        expect(1, HEMI_OK);
    }
    check_stretches();
}
END_TEST

/* ---- many requests, ids and deadlines at once */

enum { QUEUED = 900, FIRST_QUEUED = 10000 };

/* A call that does not end, and many behind it. */
static void queue_calls(uint32_t store, uint32_t deadline_ms)
{
    call(FIRST_QUEUED, 0, h(store, LOOP));
    for (uint32_t i = 1; i < QUEUED; i++) call_deadline(FIRST_QUEUED + i, h(store, QUICK), deadline_ms);
}

static void expect_many(uint32_t n, enum hemi_status status)
{
    for (uint32_t i = 0; i < n; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, status);
    }
    check_stretches();
}

START_TEST(interrupt_stops_many_in_slices)
{
    open_client();
    make_stores(1);
    queue_calls(0, 0);
    put(FRAME_INTERRUPT, 0, 0, 0, NULL, NULL, 0);
    expect_many(QUEUED, HEMI_INTERRUPTED);
    ck_assert_uint_eq(worker.stretches.longest[STRETCH_stop].units, STOP_UNITS);
}
END_TEST

START_TEST(an_interrupt_leaves_what_is_no_call)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, LOOP));
    host_func(2, 50000, store_of(0), 9); /* behind it */
    put(FRAME_INTERRUPT, 0, 0, 0, NULL, NULL, 0);
    expect(1, HEMI_INTERRUPTED);
    expect(2, HEMI_OK);
}
END_TEST

/* The walk stands at it when it ends. */
START_TEST(an_interrupt_goes_on_behind_what_is_cancelled)
{
    struct connection *c = open_client();
    make_stores(1);
    queue_calls(0, 0);
    put(FRAME_INTERRUPT, 0, 0, 0, NULL, NULL, 0);
    flush();
    while (!c->stopping.at) turn();
    uint32_t next = c->stopping.at->id;
    cancel(next);
    for (uint32_t i = 0; i < QUEUED; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status,
                          f.head.request == next ? HEMI_CANCELLED : HEMI_INTERRUPTED);
    }
}
END_TEST

START_TEST(interrupts_do_not_walk_again_and_again)
{
    open_client();
    make_stores(1);
    queue_calls(0, 0);
    for (int i = 0; i < 10000; i++) put(FRAME_INTERRUPT, 0, 0, 0, NULL, NULL, 0);
    expect_many(QUEUED, HEMI_INTERRUPTED);
}
END_TEST

START_TEST(closed_store_stops_its_many_requests_in_slices)
{
    open_client();
    make_stores(1);
    queue_calls(0, 0);
    store_close(2, store_of(0));
    expect_many(QUEUED, HEMI_CLOSED);
    expect(2, HEMI_OK);
}
END_TEST

START_TEST(deadlines_that_pass_at_once_fire_in_slices)
{
    open_client();
    make_stores(1);
    queue_calls(0, 30);
    expect_many(QUEUED - 1, HEMI_DEADLINE);
    cancel(FIRST_QUEUED);
    expect(FIRST_QUEUED, HEMI_CANCELLED);
    ck_assert_uint_gt(worker.stretches.longest[STRETCH_timeouts].units, 0);
}
END_TEST

START_TEST(drop_of_many_ids_is_sliced)
{
    open_client();
    drop(1, DROP_IDS_MAX);
    ping(1);
    expect(1, HEMI_OK);
    check_stretches();
    ck_assert_uint_ge(worker.stretches.longest[STRETCH_read].units, READ_UNITS_EACH);
}
END_TEST

/* Each of them looks at all that is before it. */
START_TEST(nested_requests_behind_many_are_read_in_slices)
{
    open_client();
    make_stores(2);
    queue_calls(1, 0);
    call(1, 0, h(0, CALL_OUT));
    uint32_t inside = must_receive_host_call(0);
    for (uint32_t i = 0; i < WINDOW_NESTED_REQUESTS; i++) call(100 + i, inside, h(1, QUICK));
    flush();
    for (int i = 0;
         i < 1000 && !idmap_get(&LIST_FIRST(&worker.connections)->requests, 100 + WINDOW_NESTED_REQUESTS - 1); i++)
        turn();
    ck_assert_uint_ge(worker.searched, 1000);
    ck_assert_uint_le(worker.searched, 8 * LIST_FIRST(&worker.connections)->nrequests); /* each is looked at once */
    ping(2);
    expect(2, HEMI_OK);
    check_stretches();
    ck_assert_uint_ge(worker.stretches.longest[STRETCH_read].units, READ_UNITS_EACH);
}
END_TEST

/* What calls set aside costs more than their frames. */
START_TEST(ids_set_aside_for_calls_are_sliced)
{
    enum { CALLS = 40, IDS = 1000 };
    boot.limits.handles = 2 * CALLS * IDS;
    open_client();
    make_stores(1);
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = h(0, QUICK);
    body.result_count = IDS;
    for (uint32_t i = 0; i < CALLS; i++) {
        body.result_handle = 0x100000 + i * IDS;
        put(FRAME_CALL, 100 + i, 0, 0, &body, NULL, 0);
    }
    uint32_t most = (READ_UNITS + START_UNITS + START_UNITS_MORE) * IDS_PER_UNIT + 2 * IDS, before = worker.ids,
             ids = 0;
    flush();
    for (int i = 0; i < 1000 && ids < CALLS * IDS; i++) {
        turn();
        ck_assert_uint_le(worker.ids - before - ids, most);
        ids = worker.ids - before;
    }
    ck_assert_uint_ge(ids, CALLS * IDS);
    check_stretches();
}
END_TEST

/* Each costs as much as a hundred PINGs: few are read, and few are answered, between two looks at the others. */
START_TEST(many_infos_are_read_and_answered_in_slices)
{
    enum { INFOS = 100, MOST = 16 };
    struct connection *c = open_client();
    for (uint32_t i = 0; i < INFOS; i++) put(FRAME_INFO, 100 + i, 0, 0, NULL, NULL, 0);
    flush();
    uint64_t read = c->frames_in, answered = c->frames_out;
    for (int i = 0; i < 1000 && c->frames_out - answered < INFOS; i++) {
        uint64_t in = c->frames_in, out = c->frames_out;
        turn();
        ck_assert_uint_le(c->frames_in - in, MOST);
        ck_assert_uint_le(c->frames_out - out, 2 * MOST);
    }
    ck_assert_uint_eq(c->frames_in - read, INFOS);
    expect_many(INFOS, HEMI_OK);
}
END_TEST

static struct object *begin_instance_of_many(struct connection *c)
{
    static uint8_t handles[4 * PROTO_IMPORTS_MAX];
    for (uint32_t i = 0; i < PROTO_IMPORTS_MAX; i++) wire_put_u32(handles + 4 * (size_t)i, h(0, QUICK));
    Hemi__V1__InstanceNew body = HEMI__V1__INSTANCE_NEW__INIT;
    body.store = store_of(0);
    body.module = 0x700000; /* there is none */
    body.instance = 0x700001;
    put(FRAME_INSTANCE_NEW, 100, 0, 0, &body, handles, sizeof handles);
    ping(101);
    flush();
    for (int i = 0; i < 1000 && !c->pinning; i++) turn();
    ck_assert_ptr_nonnull(c->pinning);
    return handles_get(&c->handles, h(0, QUICK));
}

START_TEST(a_frame_of_many_handles_is_read_and_forgotten_in_slices)
{
    struct connection *c = open_client();
    make_stores(1);
    const struct object *o = begin_instance_of_many(c);
    uint32_t turns = 0, before = o->refs;
    for (; c->pinning; turns++) {
        turn();
        ck_assert(c->pins_buried == 0 || !c->pinning);
    }
    ck_assert_uint_ge(turns, 4);
    ck_assert_uint_gt(before, 1);
    expect(100, HEMI_HANDLE);
    expect(101, HEMI_OK);
    for (turns = 0; c->pins_buried > 0; turns++) turn();
    ck_assert_uint_ge(turns, 4);
    ck_assert_uint_eq(o->refs, 1);
    check_stretches();
}
END_TEST

START_TEST(a_client_goes_while_its_many_handles_are_read)
{
    struct connection *c = open_client();
    make_stores(1);
    begin_instance_of_many(c);
    close(client.fd);
    client.fd = -1;
    for (int i = 0; i < 100000 && worker.nconnections > 0; i++) turn();
    ck_assert_uint_eq(worker.nconnections, 0);
    check_stretches();
}
END_TEST

START_TEST(a_store_is_closed_while_many_handles_for_it_are_read)
{
    struct connection *c = open_client();
    make_stores(1);
    store_close(2, store_of(0));
    begin_instance_of_many(c);
    bool closed = false;
    for (int i = 0; i < 3; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        if (f.head.request == 100) closed = reply->status == HEMI_CLOSED || reply->status == HEMI_HANDLE;
    }
    ck_assert(closed && !c->pinning);
}
END_TEST

/* Each holds three streams. */
START_TEST(wasi_objects_are_dropped_in_slices)
{
    enum { OBJECTS = 450 };
    open_client();
    make_stores(1);
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    body.store = store_of(0);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        body.wasi = 0x100000 + i;
        body.stdin_stream = 3 * i + 1, body.stdout_stream = 3 * i + 2, body.stderr_stream = 3 * i + 3;
        put(FRAME_WASI_NEW, 100, 0, 0, &body, NULL, 0);
        expect(100, HEMI_OK);
    }
    close(client.fd);
    client.fd = -1;
    for (int i = 0; i < 100000 && worker.nconnections > 0; i++) turn();
    check_stretches();
    ck_assert_uint_eq(worker.stretches.longest[STRETCH_grave].units, GRAVE_UNITS);
}
END_TEST

/* Its streams are ended later, and their ids are free at once. */
START_TEST(streams_of_a_closed_store_leave_their_ids)
{
    open_client();
    for (uint32_t round = 0; round < 3; round++) {
        make_store(1000);
        Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
        body.store = 1000;
        body.wasi = 2000 + round;
        body.stdin_stream = 1, body.stdout_stream = 2, body.stderr_stream = 3;
        put(FRAME_WASI_NEW, 100, 0, 0, &body, NULL, 0);
        store_close(101, 1000);
        expect(100, HEMI_OK);
        expect(101, HEMI_OK);
    }
}
END_TEST

static uint32_t nfired;
static uint64_t last_ms;

static void fired(struct timeout *t)
{
    ck_assert_uint_ge(t->at_ms, last_ms);
    last_ms = t->at_ms;
    nfired++;
}

/* In order whatever was set, moved and removed before, and no more than asked for. */
START_TEST(timeouts_fire_in_order_and_in_slices)
{
    enum { TIMEOUTS = 1000 };
    static struct timeout timeouts[TIMEOUTS];
    struct timeouts ts;
    timeouts_init(&ts);
    nfired = 0, last_ms = 0;
    uint64_t random = 1;
    for (int i = 0; i < 20 * TIMEOUTS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        struct timeout *t = &timeouts[(random >> 33) % TIMEOUTS];
        if ((random >> 20) % 4 == 0)
            timeout_remove(&ts, t);
        else
            timeout_set(&ts, t, (random >> 40) % 500, fired);
    }
    uint32_t left = ts.count;
    while (left > 0) {
        uint32_t n = timeouts_fire(&ts, 1000, 7);
        ck_assert_uint_eq(n, left < 7 ? left : 7);
        left -= n;
        ck_assert_uint_eq(ts.next_ms == UINT64_MAX, left == 0);
    }
    ck_assert_ptr_null(ts.root);
}
END_TEST

static uint32_t digs;

static bool take_a_slice(struct corpse *c, uint32_t *units)
{
    (void)c;
    *units = 0;
    return ++digs < 20;
}

/* What is refused for memory looks into the grave first; on the loop, not for long. */
START_TEST(the_loop_digs_a_little_before_it_refuses)
{
    struct corpse corpse;
    struct account *a = account_new(&worker);
    ck_assert_ptr_nonnull(a);
    digs = 0;
    grave_bury(&worker.grave, &corpse, take_a_slice);
    ck_assert(!account_charge(a, INT64_MAX / 2));
    ck_assert_uint_ge(digs, 1);
    ck_assert_uint_le(digs, 3);
    grave_empty(&worker.grave);
    account_unref(a);
}
END_TEST

/* Each nested request asks whether it closes a circle, and so follows all that is queued before it: that counts as
 * read. */
START_TEST(looking_for_circles_of_waits_is_sliced)
{
    enum { BEFORE = 1000, NESTED = 60, MOST = 16 * (READ_UNITS + READ_UNITS_MORE) / BEFORE + 1 };
    struct connection *c = open_client();
    make_stores(2);
    call(1, 0, h(0, CALL_OUT));
    call(2, 0, h(1, CALL_OUT));
    uint32_t a = must_receive_host_call(0), b = must_receive_host_call(1);
    for (uint32_t i = 0; i < BEFORE; i++) call(10000 + i, 0, h(1, QUICK));
    flush();
    for (int i = 0; i < 20; i++) turn();
    uint64_t before = c->frames_in, all = before + NESTED;
    for (uint32_t i = 0; i < NESTED; i++) call(20000 + i, a, h(1, QUICK));
    flush();
    while (c->frames_in < all) {
        turn();
        ck_assert_uint_le(c->frames_in - before, MOST);
        before = c->frames_in;
    }
    check_stretches();
    host_reply(b, HEMI_OK);
    host_reply(a, HEMI_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grave");
    TCase *alone = tcase_create("alone"), *session = session_case(suite);
    suite_add_tcase(suite, alone);
    tcase_add_test(alone, store_is_freed_in_slices);
    tcase_add_test(alone, table_grows_and_is_filled_with_polls);
    tcase_add_test(alone, timeouts_fire_in_order_and_in_slices);
    tcase_add_test(alone, deep_stack_is_unwound_with_polls);
    tcase_add_test(alone, many_empty_segments_are_freed_in_slices);
    tcase_add_test(alone, large_blocks_are_cleared_and_freed_with_polls);
    tcase_add_test(alone, code_of_a_pc_is_found_among_many);
    tcase_add_test(session, the_loop_digs_a_little_before_it_refuses);
    tcase_add_test(session, looking_for_circles_of_waits_is_sliced);
    tcase_add_test(session, ids_set_aside_for_calls_are_sliced);
    tcase_add_test(session, many_infos_are_read_and_answered_in_slices);
    tcase_add_test(session, a_frame_of_many_handles_is_read_and_forgotten_in_slices);
    tcase_add_test(session, a_client_goes_while_its_many_handles_are_read);
    tcase_add_test(session, a_store_is_closed_while_many_handles_for_it_are_read);
    tcase_add_test(session, wasi_objects_are_dropped_in_slices);
    tcase_add_test(session, streams_of_a_closed_store_leave_their_ids);
    tcase_add_test(session, connection_with_many_stores_ends_in_slices);
    tcase_add_test(session, closed_memory_is_there_for_the_next_store);
    tcase_add_test(session, interrupt_stops_many_in_slices);
    tcase_add_test(session, an_interrupt_leaves_what_is_no_call);
    tcase_add_test(session, an_interrupt_goes_on_behind_what_is_cancelled);
    tcase_add_test(session, interrupts_do_not_walk_again_and_again);
    tcase_add_test(session, closed_store_stops_its_many_requests_in_slices);
    tcase_add_test(session, deadlines_that_pass_at_once_fire_in_slices);
    tcase_add_test(session, drop_of_many_ids_is_sliced);
    tcase_add_test(session, nested_requests_behind_many_are_read_in_slices);
    return run_suite_forked(suite);
}
