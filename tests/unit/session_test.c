/* tests/unit/session_test.c -- a worker's sessions in this process: its loop is turned by hand, the client is a socket
 * pair's other end that speaks frames. What needs processes is in tests/e2e. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/wat/wat.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "server/server.h"
#include "server/session.h"

static struct worker worker;
static struct worker_boot boot;
static struct page *page;
static int page_fd;
static struct client {
    int fd;
    struct frame_writer w;
    struct frame_reader r;
} client;

/* ---- the worker ---- */

static void setup(void)
{
    struct config config;
    config_set_defaults(&config);
    ck_assert_int_eq(page_new(&page_fd, &page), 0);
    boot = (struct worker_boot){.control_fd = -1, .page = page, .tenant = "test", .limits = config.limits};
    config_deinit(&config);
    ck_assert_int_eq(worker_init(&worker, &boot), 0);
}

static void turn(void) { uv_run(&worker.loop, UV_RUN_NOWAIT); }

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Nothing may be left: no connection, store, fiber at work or byte of the budget. */
static void teardown(void)
{
    if (client.fd >= 0) close(client.fd);
    uint64_t began = now_ms();
    while (worker.nconnections > 0 && now_ms() - began < 10000) turn();
    ck_assert_uint_eq(worker.nconnections, 0);
    ck_assert_uint_eq(worker.nstores, 0);
    ck_assert_uint_eq(worker.sched.live, 0);
    ck_assert_uint_eq(worker.memory_used, 0);
    frame_writer_deinit(&client.w);
    frame_reader_deinit(&client.r);
    worker_deinit(&worker);
    page_free(page);
    close(page_fd);
}

/* ---- the client ---- */

static struct connection *connect_client(void)
{
    int fds[2];
    uint8_t bytes[HELLO_MAX];
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    client.fd = fds[0];
    frame_writer_init(&client.w);
    frame_reader_init(&client.r, FRAME_W2C, FRAME_ALWAYS);
    struct connection *c = connection_new(&worker, fds[1], 1, bytes, hello_write(&hello, bytes));
    ck_assert_ptr_nonnull(c);
    connection_start(c);
    return c;
}

static void put(uint16_t type, uint32_t id, uint32_t parent, uint16_t flags, const void *body, const void *raw,
                size_t n)
{
    struct frame_out f = {.type = type,
                          .flags = flags,
                          .request = id,
                          .parent = parent,
                          .body = body,
                          .raw = raw,
                          .raw_length = n,
                          .fd = -1};
    ck_assert_uint_gt(frame_writer_put(&client.w, &f), 0);
}

static void flush(void)
{
    while (frame_writer_pending(&client.w) > 0) {
        if (frame_writer_send(&client.w, client.fd)) continue;
        ck_assert_int_eq(client.w.error, PROTO_OK);
        turn();
    }
}

/* The next frame, while the worker turns; false: none within the time, or the connection's end. */
static bool receive(struct frame *f, uint64_t ms)
{
    flush();
    for (uint64_t began = now_ms();;) {
        switch (frame_reader_next(&client.r, f)) {
        case FRAME_READY:
            return true;
        case FRAME_FAILED:
            return false;
        default:
            break;
        }
        if (now_ms() - began > ms) return false;
        turn();
        frame_reader_recv(&client.r, client.fd);
    }
}

static void must_receive(struct frame *f, uint16_t type)
{
    ck_assert_msg(receive(f, 10000), "no %s came", frame_type_name(type));
    ck_assert_msg(f->head.type == type, "%s came, %s was due", frame_type_name(f->head.type), frame_type_name(type));
}

static Hemi__V1__Reply reply_to(uint32_t id)
{
    struct frame f;
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(f.head.request, id);
    return *(const Hemi__V1__Reply *)f.body;
}

static void expect(uint32_t id, enum hemi_status status)
{
    Hemi__V1__Reply reply = reply_to(id);
    ck_assert_msg(reply.status == status, "request %u: status %u, not %d: %.*s", id, reply.status, status,
                  (int)reply.message.len, (const char *)reply.message.data);
}

static void expect_close(enum hemi_status status, enum proto_error error)
{
    struct frame f;
    must_receive(&f, FRAME_CLOSE);
    const Hemi__V1__Close *body = (const Hemi__V1__Close *)f.body;
    ck_assert_uint_eq(body->status, status);
    ck_assert_msg(body->error == error, "error %u (%s), not %d", body->error,
                  proto_error_text((enum proto_error)body->error), error);
    ck_assert(!receive(&f, 5000));
    ck_assert_int_eq(client.r.error, PROTO_END);
}

static struct connection *open_client(void)
{
    struct frame f;
    struct connection *c = connect_client();
    must_receive(&f, FRAME_WELCOME);
    return c;
}

/* ---- requests ---- */

static void ping(uint32_t id) { put(FRAME_PING, id, 0, 0, NULL, "hello", 5); }

static void module_new_wat(uint32_t id, uint32_t module, const char *text)
{
    uint8_t *bytes;
    size_t n;
    struct wat_error error;
    ck_assert_msg(wat_assemble(text, strlen(text), "test", &bytes, &n, &error) == 0, "%s", error.message);
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = module;
    body.total = n;
    put(FRAME_MODULE_NEW, id, 0, 0, &body, bytes, n);
    free(bytes);
}

static void store_new_handle(uint32_t id, uint32_t store)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = store;
    put(FRAME_STORE_NEW, id, 0, 0, &body, NULL, 0);
}

static void instantiate(uint32_t id, uint32_t instance, uint32_t module, uint32_t store, uint32_t wasi,
                        const uint32_t *imports, size_t n)
{
    uint8_t raw[64];
    Hemi__V1__InstanceNew body = HEMI__V1__INSTANCE_NEW__INIT;
    body.instance = instance;
    body.module = module;
    body.store = store;
    body.wasi = wasi;
    for (size_t i = 0; i < n; i++) wire_put_u32(raw + 4 * i, imports[i]);
    put(FRAME_INSTANCE_NEW, id, 0, 0, &body, raw, 4 * n);
}

static void export_get(uint32_t id, uint32_t instance, const char *name, uint32_t handle)
{
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    body.instance = instance;
    body.handle = handle;
    put(FRAME_EXPORT_GET, id, 0, 0, &body, name, strlen(name));
}

static void call_raw(uint32_t id, uint32_t parent, uint16_t flags, uint32_t func, const void *raw, size_t n)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    put(FRAME_CALL, id, parent, flags, &body, raw, n);
}

static void call(uint32_t id, uint32_t parent, uint32_t func) { call_raw(id, parent, 0, func, NULL, 0); }

static void call_deadline(uint32_t id, uint32_t func, uint32_t ms)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    body.deadline_ms = ms;
    put(FRAME_CALL, id, 0, 0, &body, NULL, 0);
}

static void host_func(uint32_t id, uint32_t func, uint32_t store, uint64_t host)
{
    Hemi__V1__FuncNew body = HEMI__V1__FUNC_NEW__INIT;
    body.func = func;
    body.store = store;
    body.host = host;
    put(FRAME_FUNC_NEW, id, 0, 0, &body, NULL, 0);
}

static void host_reply(uint32_t id, enum hemi_status status)
{
    Hemi__V1__HostReply body = HEMI__V1__HOST_REPLY__INIT;
    body.status = status;
    put(FRAME_HOST_REPLY, id, 0, 0, &body, NULL, 0);
}

static void drop(uint32_t first, uint32_t count)
{
    uint8_t raw[8];
    wire_put_u32(raw, first);
    wire_put_u32(raw + 4, count);
    put(FRAME_DROP, 0, 0, 0, NULL, raw, 8);
}

static void cancel(uint32_t id)
{
    Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
    body.request = id;
    put(FRAME_CANCEL, 0, 0, 0, &body, NULL, 0);
}

static void store_close(uint32_t id, uint32_t store)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    body.store = store;
    put(FRAME_STORE_CLOSE, id, 0, 0, &body, NULL, 0);
}

static uint32_t must_receive_host_call(uint64_t host)
{
    struct frame f;
    must_receive(&f, FRAME_HOST_CALL);
    ck_assert_uint_eq(((const Hemi__V1__HostCall *)f.body)->host, host);
    return f.head.request;
}

static const char guest[] = "(module (import \"h\" \"f\" (func $f))"
                            "(func (export \"quick\"))"
                            "(func (export \"loop\") (loop $l (br $l)))"
                            "(func (export \"call\") (call $f))"
                            "(func (export \"take\") (param externref))"
                            "(func (export \"number\") (param i64))"
                            "(memory (export \"memory\") 64))";
enum { MODULE = 1, QUICK = 0, LOOP, CALL_OUT, TAKE, NUMBER, MEMORY };

/* Handles of store k (from 0): the store is 100k, its instance 100k + 1, host function 100k + 2, exports from 100k
 * + 10. */
static uint32_t h(uint32_t k, uint32_t which) { return 100 * (k + 1) + 10 + which; }
static uint32_t store_of(uint32_t k) { return 100 * (k + 1); }

/* Stores 0 to n-1 with an instance each. Uses request ids from 1000 on. */
static void make_stores(uint32_t n)
{
    static const char *const names[] = {"quick", "loop", "call", "take", "number", "memory"};
    uint32_t id = 1000, first = id;
    module_new_wat(id++, MODULE, guest);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t import = store_of(k) + 2;
        store_new_handle(id++, store_of(k));
        host_func(id++, import, store_of(k), k);
        instantiate(id++, store_of(k) + 1, MODULE, store_of(k), 0, &import, 1);
        for (uint32_t i = 0; i <= MEMORY; i++) export_get(id++, store_of(k) + 1, names[i], h(k, i));
    }
    for (uint32_t i = first; i < id; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    }
}

/* ---- form ---- */

START_TEST(greets_and_answers)
{
    struct connection *c = open_client();
    struct frame f;
    ping(1);
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(f.raw_length, 5);
    ck_assert_int_eq(memcmp(f.raw, "hello", 5), 0);
    ck_assert_uint_eq(c->window.requests, 0);
    ck_assert_uint_eq(c->window.bytes, 0);
    put(FRAME_INFO, 2, 0, 0, NULL, NULL, 0);
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_gt(f.raw_length, 100);
    ck_assert_int_eq(f.raw[0], '{');
}
END_TEST

/* Each of these ends the connection with its own error. */
START_TEST(errors_of_form_are_named)
{
    open_client();
    enum proto_error due = PROTO_OK;
    switch (_i) {
    case 0:
        ping(0);
        due = PROTO_REQUEST_ID;
        break;
    case 1:
        put(FRAME_PING, 1, 77, 0, NULL, NULL, 0);
        due = PROTO_PARENT;
        break;
    case 2:
        host_reply(5, HEMI_OK);
        due = PROTO_REQUEST_ID;
        break;
    case 3:
        put(FRAME_DROP, 0, 0, 0, NULL, "1234567", 7);
        due = PROTO_RAW;
        break;
    case 4:
        drop(1, DROP_IDS_MAX + 1);
        due = PROTO_RAW;
        break;
    case 5:
        drop(UINT32_MAX, 2);
        due = PROTO_RAW;
        break;
    case 6:
        store_new_handle(1, 0);
        due = PROTO_HANDLE;
        break;
    case 7:
        store_new_handle(1, HANDLE_WORKER);
        due = PROTO_HANDLE;
        break;
    case 8:
        store_new_handle(1, 5);
        store_new_handle(2, 5);
        due = PROTO_HANDLE;
        break;
    case 9: {
        Hemi__V1__StreamCredit body = HEMI__V1__STREAM_CREDIT__INIT;
        body.stream = 9;
        put(FRAME_STREAM_CREDIT, 0, 0, 0, &body, NULL, 0);
        due = PROTO_STREAM;
        break;
    }
    case 10:
        call_raw(1, 0, 0, 5, "12345", 5);
        due = PROTO_RAW;
        break;
    default:
        ck_abort();
    }
    expect_close(HEMI_PROTOCOL, due);
}
END_TEST

START_TEST(an_id_in_use_is_an_error)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, LOOP));
    ping(1);
    expect_close(HEMI_PROTOCOL, PROTO_REQUEST_ID);
}
END_TEST

START_TEST(the_window_is_enforced)
{
    struct connection *c = open_client();
    make_stores(1);
    c->window.requests_max = 64;
    call(1, 0, h(0, LOOP));
    for (uint32_t id = 2; id <= 64; id++) call(id, 0, h(0, QUICK));
    flush();
    for (int i = 0; i < 10; i++) turn();
    ck_assert(!c->ending);
    call(65, 0, h(0, QUICK));
    expect_close(HEMI_PROTOCOL, PROTO_WINDOW);
}
END_TEST

START_TEST(garbage_is_an_error)
{
    open_client();
    ck_assert(frame_writer_bytes(&client.w, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27));
    struct frame f;
    must_receive(&f, FRAME_CLOSE);
    ck_assert_uint_eq(((const Hemi__V1__Close *)f.body)->status, HEMI_PROTOCOL);
}
END_TEST

START_TEST(a_bad_hello_is_answered)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    client.fd = fds[0];
    frame_writer_init(&client.w);
    frame_reader_init(&client.r, FRAME_W2C, FRAME_ALWAYS);
    struct connection *c = connection_new(&worker, fds[1], 1, (const uint8_t *)"nonsense", 8);
    ck_assert_ptr_nonnull(c);
    connection_start(c);
    expect_close(HEMI_PROTOCOL, PROTO_HELLO);
}
END_TEST

/* ---- pipelining ---- */

START_TEST(one_read_one_write)
{
    struct connection *c = open_client();
    make_stores(1);
    uint64_t reads = c->reads, writes = c->writes;
    for (uint32_t id = 1; id <= 64; id++) call(id, 0, h(0, QUICK));
    for (uint32_t id = 1; id <= 64; id++) expect(id, HEMI_OK);
    ck_assert_uint_le(c->reads - reads, 4);
    ck_assert_uint_le(c->writes - writes, 4);
}
END_TEST

START_TEST(failures_poison_their_users_only)
{
    open_client();
    Hemi__V1__ModuleNew bad = HEMI__V1__MODULE_NEW__INIT;
    bad.module = 1;
    bad.total = 4;
    put(FRAME_MODULE_NEW, 1, 0, 0, &bad, "nope", 4);
    store_new_handle(2, 10);
    instantiate(3, 11, 1, 10, 0, NULL, 0);
    export_get(4, 11, "f", 12);
    call(5, 0, 12);
    ping(6);
    uint32_t seen = 0;
    for (int i = 0; i < 6; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        uint32_t id = f.head.request;
        seen |= 1u << id;
        enum hemi_status due = id == 1 ? HEMI_INVALID_MODULE : id == 2 || id == 6 ? HEMI_OK : HEMI_DEPENDENCY_FAILED;
        ck_assert_msg(reply->status == due, "request %u: %u", id, reply->status);
        if (due == HEMI_DEPENDENCY_FAILED) ck_assert_uint_eq(reply->failed_request, 1);
    }
    ck_assert_uint_eq(seen, 0x7e);
    drop(1, 1);
    drop(11, 2);
    call(7, 0, 12);
    expect(7, HEMI_HANDLE);
}
END_TEST

START_TEST(if_previous_ok)
{
    open_client();
    make_stores(1);
    call_raw(1, 0, FRAME_FLAG_IF_PREVIOUS_OK, h(0, QUICK), NULL, 0);
    expect(1, HEMI_OK);
    call(2, 0, 99999);
    call_raw(3, 0, FRAME_FLAG_IF_PREVIOUS_OK, h(0, QUICK), NULL, 0);
    call(4, 0, h(0, QUICK));
    expect(2, HEMI_HANDLE);
    bool seen3 = false;
    for (int i = 0; i < 2; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        if (f.head.request != 3) continue;
        seen3 = true;
        ck_assert_uint_eq(reply->status, HEMI_DEPENDENCY_FAILED);
        ck_assert_uint_eq(reply->failed_request, 2);
    }
    ck_assert(seen3);
}
END_TEST

START_TEST(a_drop_never_overtakes)
{
    open_client();
    make_stores(1);
    call_deadline(1, h(0, LOOP), 50);
    call(2, 0, h(0, QUICK));
    drop(h(0, QUICK), 1);
    call(3, 0, h(0, QUICK));
    expect(3, HEMI_HANDLE);
    expect(1, HEMI_DEADLINE);
    expect(2, HEMI_OK);
}
END_TEST

static void ref_type(uint32_t id, uint32_t handle, uint32_t copy)
{
    Hemi__V1__RefType body = HEMI__V1__REF_TYPE__INIT;
    body.handle = handle;
    body.copy = copy;
    put(FRAME_REF_TYPE, id, 0, 0, &body, NULL, 0);
}

static void memory_size(uint32_t id, uint32_t memory)
{
    Hemi__V1__MemorySize body = HEMI__V1__MEMORY_SIZE__INIT;
    body.memory = memory;
    put(FRAME_MEMORY_SIZE, id, 0, 0, &body, NULL, 0);
}

/* The statuses of requests 1 to n, whose replies come in any order. */
static void statuses_of(uint32_t n, enum hemi_status out[])
{
    struct frame f;
    for (uint32_t i = 0; i < n; i++) {
        must_receive(&f, FRAME_REPLY);
        ck_assert(f.head.request >= 1 && f.head.request <= n);
        out[f.head.request - 1] = (enum hemi_status)((const Hemi__V1__Reply *)f.body)->status;
    }
}

START_TEST(a_copy_of_a_handle_is_one_of_its_own)
{
    static const enum hemi_status wanted[] = {
        HEMI_OK, HEMI_OK, HEMI_OK, HEMI_OK, HEMI_HANDLE, HEMI_HANDLE, HEMI_DEPENDENCY_FAILED};
    enum hemi_status statuses[7];
    open_client();
    make_stores(1);
    ref_type(1, h(0, MEMORY), 900);
    ref_type(2, h(0, QUICK), 901);
    drop(h(0, QUICK), MEMORY - QUICK + 1);
    memory_size(3, 900);
    call(4, 0, 901);
    memory_size(5, h(0, MEMORY));
    ref_type(6, 950, 902); /* nothing has that handle: its copy is poisoned */
    memory_size(7, 902);
    statuses_of(7, statuses);
    for (int i = 0; i < 7; i++) ck_assert_msg(statuses[i] == wanted[i], "request %d: status %d", i + 1, statuses[i]);
    ref_type(8, 900, 901);
    expect_close(HEMI_PROTOCOL, PROTO_HANDLE);
}
END_TEST

START_TEST(an_exception_has_a_handle)
{
    struct frame f;
    struct wire_reference ref;
    enum hemi_status statuses[4];
    open_client();
    module_new_wat(1, 1, "(module (tag $t) (func (export \"f\") (throw $t)))");
    store_new_handle(2, 2);
    instantiate(3, 3, 1, 2, 0, NULL, 0);
    export_get(4, 3, "f", 4);
    statuses_of(4, statuses);
    ck_assert_int_eq(statuses[3], HEMI_OK);
    call(5, 0, 4);
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_EXCEPTION);
    ck_assert_uint_ge(f.raw_length, WIRE_VALUE_BYTES);
    ck_assert_int_eq(wire_get_reference(f.raw + f.raw_length - WIRE_VALUE_BYTES, FRAME_W2C, &ref), PROTO_OK);
    ck_assert_uint_eq(ref.class_, WIRE_CLASS_EXN);
    ck_assert_uint_ge(ref.handle, 1u << 31); /* of the worker's choice */
    ref_type(6, ref.handle, 0);
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    drop(ref.handle, 1);
    ref_type(7, ref.handle, 0);
    expect(7, HEMI_HANDLE);
}
END_TEST

START_TEST(stores_are_independent_and_ordered)
{
    open_client();
    make_stores(2);
    call_deadline(1, h(0, LOOP), 200);
    call(2, 0, h(0, QUICK)); /* behind the loop */
    call(3, 0, h(1, QUICK));
    expect(3, HEMI_OK);
    expect(1, HEMI_DEADLINE);
    expect(2, HEMI_OK);
}
END_TEST

/* ---- stopping ---- */

START_TEST(cancel_and_interrupt)
{
    open_client();
    make_stores(2);
    call(1, 0, h(0, LOOP));
    call(2, 0, h(0, QUICK));
    call(3, 0, h(1, LOOP));
    cancel(77); /* not in use: nothing */
    cancel(2);
    expect(2, HEMI_CANCELLED);
    cancel(1);
    expect(1, HEMI_CANCELLED);
    put(FRAME_INTERRUPT, 0, 0, 0, NULL, NULL, 0);
    expect(3, HEMI_INTERRUPTED);
    call(4, 0, h(0, QUICK));
    expect(4, HEMI_OK);
}
END_TEST

START_TEST(a_store_closes_under_a_running_guest)
{
    open_client();
    make_stores(2);
    call(1, 0, h(0, LOOP));
    call(2, 0, h(0, QUICK));
    store_close(3, store_of(0));
    expect(2, HEMI_CLOSED);
    expect(1, HEMI_CLOSED);
    expect(3, HEMI_OK);
    call(4, 0, h(0, QUICK));
    expect(4, HEMI_HANDLE);
    store_close(5, store_of(0));
    expect(5, HEMI_HANDLE);
    drop(store_of(0), 20);
    store_new_handle(6, store_of(0)); /* the id is free again */
    expect(6, HEMI_OK);
    call(7, 0, h(1, QUICK));
    expect(7, HEMI_OK);
}
END_TEST

START_TEST(a_client_that_goes_leaves_nothing) /* the rest is teardown's */
{
    open_client();
    make_stores(3);
    call(1, 0, h(0, LOOP));
    call(2, 0, h(0, QUICK));
    call(3, 0, h(1, LOOP));
    call(4, 0, h(2, CALL_OUT));
    must_receive_host_call(2);
}
END_TEST

/* ---- host calls ---- */

START_TEST(host_calls_nest)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, CALL_OUT));
    call(2, 0, h(0, QUICK)); /* waits for 1 */
    uint32_t a = must_receive_host_call(0);
    call(3, a, h(0, QUICK)); /* runs at once */
    expect(3, HEMI_OK);
    call(4, a, h(0, CALL_OUT));
    uint32_t b = must_receive_host_call(0);
    call(5, a, h(0, QUICK)); /* of the outer call: behind 4 */
    call(6, b, h(0, QUICK));
    expect(6, HEMI_OK);
    host_reply(a, HEMI_OK); /* takes effect when 4 and 5 are answered */
    host_reply(b, HEMI_OK);
    expect(4, HEMI_OK);
    expect(5, HEMI_OK);
    expect(1, HEMI_OK);
    expect(2, HEMI_OK);
    call(7, a, h(0, QUICK));
    expect_close(HEMI_PROTOCOL, PROTO_PARENT);
}
END_TEST

START_TEST(host_failures_trap_the_guest)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, CALL_OUT));
    host_reply(must_receive_host_call(0), HEMI_HOST);
    Hemi__V1__Reply reply = reply_to(1);
    ck_assert_uint_eq(reply.status, HEMI_TRAP);
    ck_assert_uint_eq(reply.trap, TRAP_HOST_TRAP);
    call(2, 0, h(0, CALL_OUT));
    host_reply(must_receive_host_call(0), HEMI_EXIT);
    expect(2, HEMI_EXIT);
}
END_TEST

START_TEST(late_answers_are_ignored)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, CALL_OUT));
    uint32_t a = must_receive_host_call(0);
    call(2, a, h(0, LOOP));  /* nested, running */
    call(3, a, h(0, QUICK)); /* nested, queued */
    flush();
    for (int i = 0; i < 5; i++) turn();
    cancel(1);
    expect(3, HEMI_CANCELLED);
    expect(2, HEMI_CANCELLED);
    expect(1, HEMI_CANCELLED);
    call(4, a, h(0, QUICK));
    expect(4, HEMI_CANCELLED);
    host_reply(a, HEMI_OK);
    call(5, 0, h(0, QUICK));
    expect(5, HEMI_OK);
    host_reply(a, HEMI_OK);
    expect_close(HEMI_PROTOCOL, PROTO_REQUEST_ID);
}
END_TEST

START_TEST(a_circle_in_one_chain_is_a_deadlock)
{
    open_client();
    make_stores(2);
    call(1, 0, h(0, CALL_OUT));
    uint32_t a = must_receive_host_call(0);
    call(2, a, h(1, CALL_OUT));
    uint32_t b = must_receive_host_call(1);
    call(3, b, h(0, QUICK)); /* store 0 is held by 1, which waits for a, for 2, for b, for this */
    expect(3, HEMI_DEADLOCK);
    call(4, b, h(1, QUICK));
    expect(4, HEMI_OK);
    host_reply(b, HEMI_OK);
    expect(2, HEMI_OK);
    host_reply(a, HEMI_OK);
    expect(1, HEMI_OK);
}
END_TEST

START_TEST(a_circle_of_two_chains_is_a_deadlock)
{
    open_client();
    make_stores(3);
    call(1, 0, h(0, CALL_OUT));
    call(2, 0, h(1, CALL_OUT));
    uint32_t a = must_receive_host_call(0), b = must_receive_host_call(1);
    call(3, a, h(1, QUICK)); /* waits for 2 */
    call(4, a, h(2, QUICK)); /* waits for nobody */
    expect(4, HEMI_OK);
    call(5, b, h(0, QUICK)); /* would wait for 1, which waits for 3, which waits for 2, inside which this is */
    expect(5, HEMI_DEADLOCK);
    host_reply(b, HEMI_OK);
    expect(2, HEMI_OK);
    expect(3, HEMI_OK);
    host_reply(a, HEMI_OK);
    expect(1, HEMI_OK);
}
END_TEST

START_TEST(nesting_is_limited)
{
    open_client();
    make_stores(1);
    uint32_t calls[PROTO_NESTING_MAX + 1], parent = 0, n = 0;
    struct frame f;
    for (;; n++) {
        ck_assert_uint_le(n, PROTO_NESTING_MAX);
        call(n + 1, parent, h(0, CALL_OUT));
        ck_assert(receive(&f, 10000));
        if (f.head.type == FRAME_REPLY) break;
        parent = calls[n] = f.head.request;
    }
    ck_assert_uint_eq(n, PROTO_NESTING_MAX);
    ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_LIMIT);
    while (n-- > 0) {
        host_reply(calls[n], HEMI_OK);
        expect(n + 1, HEMI_OK);
    }
}
END_TEST

/* ---- externs ---- */

static void take_extern(uint32_t id, uint64_t payload, uint32_t func)
{
    uint8_t raw[WIRE_VALUE_BYTES];
    wire_put_reference(raw,
                       &(struct wire_reference){.kind = WIRE_EXTERN, .class_ = WIRE_CLASS_EXTERN, .payload = payload});
    call_raw(id, 0, 0, func, raw, sizeof raw);
}

static void gc(uint32_t id, uint32_t store)
{
    Hemi__V1__StoreGc body = HEMI__V1__STORE_GC__INIT;
    body.store = store;
    put(FRAME_STORE_GC, id, 0, 0, &body, NULL, 0);
}

static void expect_death(uint64_t id, uint32_t times)
{
    struct frame f;
    must_receive(&f, FRAME_DEATH);
    ck_assert_uint_eq(f.raw_length, 16);
    ck_assert_uint_eq(wire_get_u64(f.raw), id);
    ck_assert_uint_eq(wire_get_u32(f.raw + 8), times);
}

START_TEST(deaths_count_what_was_received)
{
    open_client();
    make_stores(1);
    for (uint32_t id = 1; id <= 3; id++) take_extern(id, 42, h(0, TAKE));
    for (uint32_t id = 1; id <= 3; id++) expect(id, HEMI_OK);
    gc(4, store_of(0));
    expect(4, HEMI_OK);
    expect_death(42, 3);
    take_extern(5, 42, h(0, TAKE));
    expect(5, HEMI_OK);
    gc(6, store_of(0));
    expect(6, HEMI_OK);
    expect_death(42, 1);
}
END_TEST

START_TEST(externs_of_failed_requests_die_too)
{
    open_client();
    make_stores(1);
    uint8_t raw[2 * WIRE_VALUE_BYTES] = {0};
    wire_put_reference(raw, &(struct wire_reference){.kind = WIRE_EXTERN, .class_ = WIRE_CLASS_EXTERN, .payload = 7});
    call_raw(1, 0, 0, h(0, TAKE), raw, sizeof raw); /* one argument too many */
    expect(1, HEMI_ARGUMENT);
    expect_death(7, 1);
    call(2, 0, h(0, LOOP));
    take_extern(3, 8, h(0, TAKE));
    cancel(3); /* never began */
    expect(3, HEMI_CANCELLED);
    expect_death(8, 1);
    cancel(2);
    expect(2, HEMI_CANCELLED);
}
END_TEST

START_TEST(a_number_is_no_extern)
{
    open_client();
    make_stores(1);
    uint64_t looks_like = WIRE_EXTERN | WIRE_CLASS_EXTERN << 8;
    uint8_t raw[WIRE_VALUE_BYTES];
    wire_put_number(raw, &looks_like, 8);
    call_raw(1, 0, 0, h(0, NUMBER), raw, sizeof raw);
    expect(1, HEMI_OK);
    gc(2, store_of(0));
    expect(2, HEMI_OK);
    ping(3);
    expect(3, HEMI_OK); /* and no DEATH in between */
}
END_TEST

/* ---- output ---- */

START_TEST(output_is_capped)
{
    struct connection *c = open_client();
    enum { READS = 60, BYTES = 1 << 20 };
    make_stores(1);
    Hemi__V1__MemoryRead body = HEMI__V1__MEMORY_READ__INIT;
    body.memory = h(0, MEMORY);
    body.length = BYTES;
    for (uint32_t id = 1; id <= READS; id++) put(FRAME_MEMORY_READ, id, 0, 0, &body, NULL, 0);
    ck_assert(frame_writer_send(&client.w, client.fd));
    size_t most = 0;
    for (int i = 0; i < 500; i++) {
        turn();
        if (frame_writer_pending(&c->out) > most) most = frame_writer_pending(&c->out);
    }
    ck_assert_uint_ge(most, c->output_max / 2);
    ck_assert_uint_le(most, c->output_max + BYTES + 4096);
    for (uint32_t id = 1; id <= READS; id++) expect(id, HEMI_OK); /* reading makes it go on */
}
END_TEST

/* ---- streams ---- */

static const char echo[] =
    "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"sock_shutdown\" (func $p (param i32) (result i32)))"
    "(memory (export \"memory\") 2)"
    "(func (export \"write\") (param i32) (result i32)"
    "  (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (local.get 0))"
    "  (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"
    "(func (export \"read\") (result i32)"
    "  (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1000))"
    "  (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (i32.load (i32.const 8)))"
    "(func (export \"nosys\") (result i32) (call $p (i32.const 0))))";
enum { STDIN = 1, STDOUT = 2, CREDIT = 10, WRITE_FN = 20, READ_FN, NOSYS_FN };

static void open_streams(void)
{
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    open_client();
    module_new_wat(1, 1, echo);
    store_new_handle(2, 2);
    body.wasi = 3;
    body.store = 2;
    body.stdin_stream = STDIN;
    body.stdout_stream = STDOUT;
    body.stderr_stream = STDOUT;
    body.output_credit = CREDIT;
    put(FRAME_WASI_NEW, 3, 0, 0, &body, NULL, 0);
    instantiate(4, 4, 1, 2, 3, NULL, 0);
    export_get(5, 4, "write", WRITE_FN);
    export_get(6, 4, "read", READ_FN);
    export_get(7, 4, "nosys", NOSYS_FN);
    for (int i = 0; i < 7; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    }
}

static uint32_t i32_result(uint32_t id)
{
    struct frame f;
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(f.head.request, id);
    ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    ck_assert_uint_eq(f.raw_length, WIRE_VALUE_BYTES);
    return wire_get_u32(f.raw);
}

static void give_credit(uint32_t stream, uint64_t bytes)
{
    Hemi__V1__StreamCredit body = HEMI__V1__STREAM_CREDIT__INIT;
    body.stream = stream;
    body.bytes = bytes;
    put(FRAME_STREAM_CREDIT, 0, 0, 0, &body, NULL, 0);
}

START_TEST(output_waits_for_credit)
{
    struct frame f;
    uint8_t raw[WIRE_VALUE_BYTES];
    uint32_t n = 25;
    open_streams();
    wire_put_number(raw, &n, 4);
    call_raw(10, 0, 0, WRITE_FN, raw, sizeof raw);
    must_receive(&f, FRAME_STREAM_DATA);
    ck_assert_uint_eq(f.raw_length, CREDIT);
    ck_assert(!receive(&f, 100)); /* no more without credit, and no reply */
    give_credit(STDOUT, 100);
    must_receive(&f, FRAME_STREAM_DATA);
    ck_assert_uint_eq(f.raw_length, 15);
    ck_assert_uint_eq(i32_result(10), 0); /* after the data */
    call(11, 0, NOSYS_FN);
    ck_assert_uint_eq(i32_result(11), 52);
}
END_TEST

static void send_input(const char *text)
{
    Hemi__V1__StreamData body = HEMI__V1__STREAM_DATA__INIT;
    body.stream = STDIN;
    put(FRAME_STREAM_DATA, 0, 0, 0, &body, text, strlen(text));
}

START_TEST(input_is_granted_when_read)
{
    struct frame f;
    open_streams();
    call(10, 0, READ_FN);
    must_receive(&f, FRAME_STREAM_CREDIT);
    uint64_t granted = ((const Hemi__V1__StreamCredit *)f.body)->bytes;
    ck_assert_uint_gt(granted, 100);
    send_input("abc");
    ck_assert_uint_eq(i32_result(10), 3);
    Hemi__V1__StreamEof eof = HEMI__V1__STREAM_EOF__INIT;
    eof.stream = STDIN;
    put(FRAME_STREAM_EOF, 0, 0, 0, &eof, NULL, 0);
    call(11, 0, READ_FN);
    ck_assert_uint_eq(i32_result(11), 0);
    store_close(12, 2);
    expect(12, HEMI_OK);
    give_credit(STDOUT, 1); /* of a stream that has ended: ignored */
    ping(13);
    expect(13, HEMI_OK);
}
END_TEST

START_TEST(input_without_credit_is_an_error)
{
    open_streams();
    send_input("abc");
    expect_close(HEMI_PROTOCOL, PROTO_CREDIT);
}
END_TEST

START_TEST(draining_waits_for_work_and_tells_the_rest)
{
    struct connection *c = open_client();
    make_stores(1);
    call_deadline(1, h(0, LOOP), 100);
    flush();
    turn();
    worker_drain(&worker, 60000);
    turn();
    ck_assert(!c->ending);
    expect(1, HEMI_DEADLINE);
    expect_close(HEMI_DRAINING, PROTO_OK);
}
END_TEST

START_TEST(draining_ends_at_its_timeout)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, LOOP));
    worker_drain(&worker, 50);
    struct frame f;
    must_receive(&f, FRAME_CLOSE);
    ck_assert_uint_eq(((const Hemi__V1__Close *)f.body)->status, HEMI_DRAINING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tc = tcase_create("session");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, greets_and_answers);
    tcase_add_loop_test(tc, errors_of_form_are_named, 0, 11);
    tcase_add_test(tc, an_id_in_use_is_an_error);
    tcase_add_test(tc, the_window_is_enforced);
    tcase_add_test(tc, garbage_is_an_error);
    tcase_add_test(tc, a_bad_hello_is_answered);
    tcase_add_test(tc, one_read_one_write);
    tcase_add_test(tc, failures_poison_their_users_only);
    tcase_add_test(tc, if_previous_ok);
    tcase_add_test(tc, a_drop_never_overtakes);
    tcase_add_test(tc, a_copy_of_a_handle_is_one_of_its_own);
    tcase_add_test(tc, an_exception_has_a_handle);
    tcase_add_test(tc, stores_are_independent_and_ordered);
    tcase_add_test(tc, cancel_and_interrupt);
    tcase_add_test(tc, a_store_closes_under_a_running_guest);
    tcase_add_test(tc, a_client_that_goes_leaves_nothing);
    tcase_add_test(tc, host_calls_nest);
    tcase_add_test(tc, host_failures_trap_the_guest);
    tcase_add_test(tc, late_answers_are_ignored);
    tcase_add_test(tc, a_circle_in_one_chain_is_a_deadlock);
    tcase_add_test(tc, a_circle_of_two_chains_is_a_deadlock);
    tcase_add_test(tc, nesting_is_limited);
    tcase_add_test(tc, deaths_count_what_was_received);
    tcase_add_test(tc, externs_of_failed_requests_die_too);
    tcase_add_test(tc, a_number_is_no_extern);
    tcase_add_test(tc, output_is_capped);
    tcase_add_test(tc, output_waits_for_credit);
    tcase_add_test(tc, input_is_granted_when_read);
    tcase_add_test(tc, input_without_credit_is_an_error);
    tcase_add_test(tc, draining_waits_for_work_and_tells_the_rest);
    tcase_add_test(tc, draining_ends_at_its_timeout);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
