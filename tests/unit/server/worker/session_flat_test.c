/* tests/unit/server/worker/session_flat_test.c -- what is closed is gone: after thousands of stores, modules, WASI
 * objects, host functions, externrefs, exceptions and streams a connection has what it had after the first hundred.
 * $HEMI_FLAT_CYCLES says how many (a million takes a few minutes). And: closing a store in order. */
#include <malloc.h>

#include "tests/unit/session_rig.h"

enum { WARM_UP = 100, CYCLES = 1500, HEAP_SLACK = 64 << 10 };

static uint32_t cycles(void)
{
    const char *given = getenv("HEMI_FLAT_CYCLES");
    return given ? (uint32_t)strtoul(given, NULL, 0) : CYCLES;
}

/* ---- what there is */

static size_t map_bytes(const struct idmap *m)
{
    size_t n = m->now.entries ? (size_t)1 << m->now.bits : 0;
    if (m->old.entries) n += (size_t)1 << m->old.bits;
    return n * sizeof *m->now.entries;
}

struct measure {
    uint64_t handles, streams, requests, calls, stores, modules; /* of the connection */
    uint64_t maps, unread;                                       /* bytes, entries */
    uint64_t charged, engine_modules, types, type_ids;           /* of the worker */
    uint64_t heap;                                               /* of malloc; 0 in sanitizer builds */
};

static struct measure measure(const struct connection *c)
{
    while (worker.grave.head) turn();
    struct engine_stats e = engine_get_stats(worker.engine);
    return (struct measure){
        .handles = c->handles.map.used,
        .streams = c->streams.used,
        .requests = c->requests.used,
        .calls = c->calls.used,
        .stores = c->nstores,
        .modules = c->nmodules,
        .maps = map_bytes(&c->handles.map) + map_bytes(&c->streams) + map_bytes(&c->requests) + map_bytes(&c->calls),
        .unread = c->unread_capacity,
        .charged = worker.memory_used,
        .engine_modules = e.modules,
        .types = e.types,
        .type_ids = e.type_ids,
        .heap = mallinfo2().uordblks,
    };
}

#define SAME(field)                                                                                                    \
    ck_assert_msg(a->field == b->field, #field ": %llu, then %llu", (unsigned long long)a->field,                      \
                  (unsigned long long)b->field)
static void expect_flat(const struct measure *a, const struct measure *b)
{
    SAME(handles);
    SAME(streams);
    SAME(requests);
    SAME(calls);
    SAME(stores);
    SAME(modules);
    SAME(maps);
    SAME(unread);
    SAME(charged);
    SAME(engine_modules);
    SAME(types);
    SAME(type_ids);
    ck_assert_msg(b->heap <= a->heap + HEAP_SLACK, "malloc: %llu bytes, then %llu", (unsigned long long)a->heap,
                  (unsigned long long)b->heap);
}

/* ---- a cycle */

static const char job[] =
    "(module (import \"h\" \"f\" (func $f (param externref)))"
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))"
    "(memory (export \"memory\") 1) (type $pair (struct (field externref) (field (mut i32))))"
    "(tag $e (param externref))"
    "(func (export \"write\") (result i32) (i32.store (i32.const 4) (i32.const 5))"
    " (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"
    "(func (export \"take\") (param externref) (call $f (local.get 0)))"
    "(func (export \"make\") (param externref) (result (ref $pair)) (struct.new $pair (local.get 0) (i32.const 1)))"
    "(func (export \"fail\") (param externref) (throw $e (local.get 0))))";
enum { JOB = 1, STORE, WASI, HOST, INSTANCE, WRITE, TAKE_EXTERN, MAKE, FAIL, PAIR, LAST };
enum { MOST_STREAMS = 3 };

static uint32_t next_id, next_stream, deaths;

static void send_extern_call(uint32_t func, uint32_t result, uint64_t extern_id)
{
    uint8_t raw[WIRE_VALUE_BYTES];
    struct wire_reference ref = {.kind = WIRE_EXTERN, .class_ = WIRE_CLASS_EXTERN, .payload = extern_id};
    wire_put_reference(raw, &ref);
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    body.result_handle = result;
    body.result_count = result ? 1 : 0;
    put(FRAME_CALL, ++next_id, 0, 0, &body, raw, sizeof raw);
}

static void send_wasi(uint32_t handle, uint32_t store)
{
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    body.wasi = handle;
    body.store = store;
    body.stdin_stream = ++next_stream;
    body.stdout_stream = ++next_stream;
    body.stderr_stream = ++next_stream;
    body.output_credit = 1000;
    put(FRAME_WASI_NEW, ++next_id, 0, 0, &body, NULL, 0);
}

static void send_host_func(uint32_t handle, uint32_t store)
{
    uint8_t type[4];
    Hemi__V1__FuncNew body = HEMI__V1__FUNC_NEW__INIT;
    body.func = handle;
    body.store = store;
    body.host = 7;
    body.params = 1;
    wire_put_u32(type, 6 | 1 << 4 | WIRE_CLASS_EXTERN << 5 | 0xFFFF6Fu << 8);
    put(FRAME_FUNC_NEW, ++next_id, 0, 0, &body, type, sizeof type);
}

static void drop_value(const uint8_t *value)
{
    struct wire_reference ref;
    ck_assert_int_eq(wire_get_reference(value, FRAME_W2C, &ref), PROTO_OK);
    drop(ref.handle, 1);
}

/* Reads until request `last` is answered; host calls are answered, what the worker chose a handle for is dropped. */
static void settle(uint32_t last)
{
    struct frame f;
    for (;;) {
        ck_assert(receive(&f, 10000));
        if (f.head.type == FRAME_HOST_CALL) {
            host_reply(f.head.request, HEMI_OK);
            drop_value(f.raw);
        }
        if (f.head.type == FRAME_DEATH) deaths += f.raw_length / 16;
        if (f.head.type != FRAME_REPLY) continue;
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        if (reply->status == HEMI_EXCEPTION)
            drop_value(f.raw + f.raw_length - WIRE_VALUE_BYTES);
        else
            ck_assert_msg(reply->status == HEMI_OK, "%.*s", (int)reply->message.len, (char *)reply->message.data);
        if (f.head.request == last) return;
    }
}

/* Everything that a client can open, used once and closed again. */
static void cycle(uint64_t extern_id)
{
    uint32_t import = HOST;
    module_new_wat(++next_id, JOB, job);
    store_new_handle(++next_id, STORE);
    send_wasi(WASI, STORE);
    send_host_func(HOST, STORE);
    instantiate(++next_id, INSTANCE, JOB, STORE, WASI, &import, 1);
    static const char *const names[] = {"write", "take", "make", "fail"};
    for (uint32_t i = 0; i < 4; i++) export_get(++next_id, INSTANCE, names[i], WRITE + i);
    call(++next_id, 0, WRITE);
    send_extern_call(TAKE_EXTERN, 0, extern_id);
    send_extern_call(MAKE, PAIR, extern_id);
    send_extern_call(FAIL, 0, extern_id);
    settle(next_id);
    drop(WASI, LAST - WASI);
    store_close(++next_id, STORE);
    drop(JOB, 1);
    ping(++next_id);
    settle(next_id);
}

START_TEST(what_is_closed_is_gone)
{
    struct connection *c = open_client();
    struct measure warm = {0}, end;
    for (uint32_t i = 0; i < cycles(); i++) {
        if (i == WARM_UP) warm = measure(c);
        cycle(i + 1);
    }
    end = measure(c);
    expect_flat(&warm, &end);
    ck_assert_uint_eq(end.handles, 0);
    ck_assert_uint_eq(end.streams, 0);
}
END_TEST

START_TEST(a_failed_store_is_gone_once_dropped)
{
    boot.limits.stores = 0;
    worker_init_pools(&worker);
    struct connection *c = open_client();
    for (uint32_t i = 0; i < 2000; i++) {
        store_new_handle(++next_id, STORE);
        send_wasi(WASI, STORE);
        drop(STORE, 2);
        expect(next_id - 1, HEMI_LIMIT);
        expect(next_id, HEMI_DEPENDENCY_FAILED);
    }
    ping(++next_id);
    settle(next_id);
    ck_assert_uint_eq(c->handles.map.used, 0);
    ck_assert_uint_eq(c->streams.used, 0);
    ck_assert_uint_eq(c->nstores, 0);
}
END_TEST

/* ---- inside a living store */

START_TEST(a_wasi_object_takes_its_streams_along)
{
    struct connection *c = open_client();
    struct frame f;
    store_new_handle(++next_id, STORE);
    settle(next_id);
    for (uint32_t i = 0; i < cycles(); i++) {
        send_wasi(WASI, STORE);
        settle(next_id);
        ck_assert_uint_eq(c->streams.used, MOST_STREAMS);
        drop(WASI, 1);
        for (uint32_t k = MOST_STREAMS; k > 0; k--) { /* each, input too, ends with the worker's word */
            must_receive(&f, FRAME_STREAM_EOF);
            uint32_t ended = ((const Hemi__V1__StreamEof *)f.body)->stream;
            ck_assert_uint_le(ended, next_stream);
            ck_assert_uint_gt(ended, next_stream - MOST_STREAMS);
        }
        ck_assert_uint_eq(c->streams.used, 0);
    }
    ck_assert_uint_le(map_bytes(&c->streams), 16 * sizeof(struct idmap_entry));
}
END_TEST

/* Their strings and buffers were nobody's, and a connection ended where they found no memory. */
START_TEST(wasi_objects_count_against_the_budget)
{
    struct frame f;
    boot.limits.memory = 16 << 20;
    worker_init_pools(&worker);
    open_client();
    store_new_handle(++next_id, STORE);
    settle(next_id);
    uint64_t before = worker.memory_used;
    enum hemi_status status = HEMI_OK;
    uint32_t made = 0;
    for (; status == HEMI_OK && made < 1000; made++) {
        send_wasi(1000 + made, STORE);
        do ck_assert(receive(&f, 10000));
        while (f.head.type != FRAME_REPLY);
        status = (enum hemi_status)((const Hemi__V1__Reply *)f.body)->status;
    }
    ck_assert_int_eq(status, HEMI_LIMIT);
    drop(1000, made);
    ping(++next_id);
    settle(next_id);
    ck_assert_uint_eq(worker.memory_used, before);
    send_wasi(1000, STORE);
    settle(next_id);
}
END_TEST

START_TEST(streams_are_limited_as_handles_are)
{
    enum { HANDLES = 3 * MOST_STREAMS };
    boot.limits.handles = HANDLES;
    struct connection *c = open_client();
    struct frame f;
    store_new_handle(++next_id, STORE);
    settle(next_id);
    for (uint32_t i = 0; i < HANDLES / MOST_STREAMS; i++) {
        send_wasi(WASI + i, STORE);
        settle(next_id);
    }
    ck_assert_uint_eq(c->streams.used, HANDLES);
    send_wasi(LAST, STORE);
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_LIMIT);
    ck_assert_uint_eq(c->streams.used, HANDLES);
}
END_TEST

static void send_credit(uint32_t stream)
{
    Hemi__V1__StreamCredit body = HEMI__V1__STREAM_CREDIT__INIT;
    body.stream = stream;
    body.bytes = 1;
    put(FRAME_STREAM_CREDIT, 0, 0, 0, &body, NULL, 0);
}

START_TEST(frames_for_ended_streams_are_ignored_without_remembering_them)
{
    open_client();
    store_new_handle(++next_id, STORE);
    next_stream = 1000;
    send_wasi(WASI, STORE);
    settle(next_id);
    drop(WASI, 1);
    for (uint32_t i = 1; i <= next_stream; i++) send_credit(i);
    ping(++next_id);
    settle(next_id);
    send_credit(next_stream + 1); /* was never there */
    expect_close(HEMI_PROTOCOL, PROTO_STREAM);
}
END_TEST

START_TEST(exceptions_and_externs_die_in_a_living_store)
{
    struct connection *c = open_client();
    uint32_t import = HOST;
    module_new_wat(++next_id, JOB, job);
    store_new_handle(++next_id, STORE);
    send_wasi(WASI, STORE);
    send_host_func(HOST, STORE);
    instantiate(++next_id, INSTANCE, JOB, STORE, WASI, &import, 1);
    export_get(++next_id, INSTANCE, "fail", FAIL);
    settle(next_id);
    for (uint32_t i = 1; i <= 300; i++) {
        send_extern_call(FAIL, 0, i);
        settle(next_id);
    }
    Hemi__V1__StoreGc body = HEMI__V1__STORE_GC__INIT;
    body.store = STORE;
    put(FRAME_STORE_GC, ++next_id, 0, 0, &body, NULL, 0);
    settle(next_id);
    ping(++next_id);
    settle(next_id);
    ck_assert_uint_eq(deaths, 300); /* the last one too: nothing roots an exception that the client has dropped */
    ck_assert_uint_eq(LIST_FIRST(&c->stores)->externs.used, 0);
    ck_assert_ptr_null(LIST_FIRST(&c->stores)->deaths);
}
END_TEST

/* ---- closing */

START_TEST(a_stores_handle_ends_with_the_answer)
{
    struct connection *c = open_client();
    for (uint32_t i = 0; i < 100; i++) {
        store_new_handle(++next_id, STORE);
        drop(STORE, 1); /* a living store stays */
        store_close(++next_id, STORE);
        settle(next_id);
        ck_assert_uint_eq(c->handles.map.used, 0);
    }
    drop(STORE, 1);
    store_close(++next_id, STORE);
    expect(next_id, HEMI_HANDLE);
}
END_TEST

static void close_in_order(uint32_t id, uint32_t parent, uint32_t store)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    body.store = store;
    body.in_order = true;
    put(FRAME_STORE_CLOSE, id, parent, 0, &body, NULL, 0);
}

START_TEST(a_store_closes_in_order)
{
    struct connection *c = open_client();
    make_stores(2);
    call(1, 0, h(0, CALL_OUT));
    call(2, 0, h(0, QUICK));
    close_in_order(3, 0, store_of(0));
    call(4, 0, h(0, QUICK)); /* too late, but of a store that is there */
    uint32_t a = must_receive_host_call(0);
    call(5, a, h(0, QUICK)); /* what was sent before may still need it */
    expect(5, HEMI_OK);
    call(6, 0, h(1, QUICK)); /* nobody else waits */
    expect(6, HEMI_OK);
    host_reply(a, HEMI_OK);
    expect(1, HEMI_OK);
    expect(2, HEMI_OK);
    expect(4, HEMI_CLOSED);
    expect(3, HEMI_OK);
    ck_assert_uint_eq(c->nstores, 1);
    call(7, 0, h(0, QUICK));
    expect(7, HEMI_HANDLE);
}
END_TEST

START_TEST(a_close_at_once_overtakes_one_in_order)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, LOOP));
    close_in_order(2, 0, store_of(0));
    store_close(3, store_of(0));
    expect(2, HEMI_CLOSED);
    expect(1, HEMI_CLOSED);
    expect(3, HEMI_OK);
}
END_TEST

START_TEST(a_close_in_order_is_cancelled_and_nothing_is_closed)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, LOOP));
    close_in_order(2, 0, store_of(0));
    call(3, 0, h(0, QUICK));
    flush();
    turn();
    cancel(2);
    expect(2, HEMI_CANCELLED);
    cancel(1);
    expect(1, HEMI_CANCELLED);
    expect(3, HEMI_OK);
    close_in_order(4, 0, store_of(0));
    expect(4, HEMI_OK);
}
END_TEST

START_TEST(a_close_in_order_inside_a_call_of_that_store_is_a_deadlock)
{
    open_client();
    make_stores(2);
    call(1, 0, h(0, CALL_OUT));
    uint32_t a = must_receive_host_call(0);
    close_in_order(2, a, store_of(0));
    expect(2, HEMI_DEADLOCK);
    close_in_order(3, a, store_of(1));
    expect(3, HEMI_OK);
    host_reply(a, HEMI_OK);
    expect(1, HEMI_OK);
}
END_TEST

/* ---- after a burst */

START_TEST(a_burst_leaves_no_buffers)
{
    struct connection *c = open_client();
    boot.limits.window_requests = 65536;
    c->window.requests_max = 20000;
    for (uint32_t i = 0; i < 10000; i++) ping(++next_id);
    settle(next_id);
    static uint8_t megabyte[1 << 20];
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = JOB;
    body.total = sizeof megabyte;
    put(FRAME_MODULE_NEW, ++next_id, 0, 0, &body, megabyte, sizeof megabyte);
    expect(next_id, HEMI_INVALID_MODULE);
    drop(JOB, 1);
    ck_assert_uint_ge(c->in.capacity, sizeof megabyte);
    for (uint32_t i = 0; i < 50; i++) {
        ping(++next_id);
        settle(next_id);
    }
    ck_assert_uint_le(c->in.capacity, 128 << 10);
    ck_assert_uint_le(c->out.capacity, 256 << 10);
    ck_assert_uint_le(c->unread_capacity, 1024);
    ck_assert_uint_le(map_bytes(&c->requests), 1024 * sizeof(struct idmap_entry));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_flat");
    TCase *tc = session_case(suite);
    tcase_set_timeout(tc, cycles() > CYCLES ? 3600 : 120);
    tcase_add_test(tc, what_is_closed_is_gone);
    tcase_add_test(tc, a_failed_store_is_gone_once_dropped);
    tcase_add_test(tc, a_wasi_object_takes_its_streams_along);
    tcase_add_test(tc, streams_are_limited_as_handles_are);
    tcase_add_test(tc, wasi_objects_count_against_the_budget);
    tcase_add_test(tc, frames_for_ended_streams_are_ignored_without_remembering_them);
    tcase_add_test(tc, exceptions_and_externs_die_in_a_living_store);
    tcase_add_test(tc, a_stores_handle_ends_with_the_answer);
    tcase_add_test(tc, a_store_closes_in_order);
    tcase_add_test(tc, a_close_at_once_overtakes_one_in_order);
    tcase_add_test(tc, a_close_in_order_is_cancelled_and_nothing_is_closed);
    tcase_add_test(tc, a_close_in_order_inside_a_call_of_that_store_is_a_deadlock);
    tcase_add_test(tc, a_burst_leaves_no_buffers);
    return run_suite_forked(suite);
}
