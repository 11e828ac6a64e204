/* tests/unit/session_rig.h -- what the tests of a worker's sessions share: the worker in this process, whose loop is
 * turned by hand, a client that is a socket pair's other end and speaks frames, and requests. */
#ifndef HEMI_TESTS_UNIT_SESSION_RIG_H
#define HEMI_TESTS_UNIT_SESSION_RIG_H

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/wat/wat.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "server/worker/connection.h"
#include "tests/unit/suite.h"

static struct worker worker;
static struct worker_boot boot;
static struct page *page;
static int page_fd;
static struct client {
    int fd;
    struct frame_writer w;
    struct frame_reader r;
} client;

/* ---- the worker */

static inline void setup(void)
{
    struct config config;
    config_set_defaults(&config);
    ck_assert_int_eq(page_new(&page_fd, &page), 0);
    boot = (struct worker_boot){.control_fd = -1, .page = page, .tenant = "test", .limits = config.limits};
    config_deinit(&config);
    ck_assert_int_eq(worker_init(&worker, &boot), 0);
}

static inline void turn(void) { uv_run(&worker.loop, UV_RUN_NOWAIT); }

/* Nothing may be left: no connection, store, fiber at work or byte of the budget. */
static inline void teardown(void)
{
    if (client.fd >= 0) close(client.fd);
    uint64_t began = clock_ms();
    while ((worker.nconnections > 0 || worker.grave.head) && clock_ms() - began < 10000) turn();
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

/* ---- the client */

static inline struct connection *connect_client(void)
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

static inline void put(uint16_t type, uint32_t id, uint32_t parent, uint16_t flags, const void *body, const void *raw,
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

static inline void flush(void)
{
    while (frame_writer_pending(&client.w) > 0) {
        if (frame_writer_send(&client.w, client.fd)) continue;
        ck_assert_int_eq(client.w.error, PROTO_OK);
        turn();
    }
}

/* The next frame, while the worker turns; false: none within the time, or the connection's end. */
static inline bool receive(struct frame *f, uint64_t ms)
{
    flush();
    for (uint64_t began = clock_ms();;) {
        switch (frame_reader_next(&client.r, f)) {
        case FRAME_READY:
            return true;
        case FRAME_FAILED:
            return false;
        default:
            break;
        }
        if (clock_ms() - began > ms) return false;
        turn();
        frame_reader_recv(&client.r, client.fd);
    }
}

static inline void must_receive(struct frame *f, uint16_t type)
{
    ck_assert_msg(receive(f, 10000), "no %s came", frame_type_name(type));
    ck_assert_msg(f->head.type == type, "%s came, %s was due", frame_type_name(f->head.type), frame_type_name(type));
}

static inline Hemi__V1__Reply reply_to(uint32_t id)
{
    struct frame f;
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(f.head.request, id);
    return *(const Hemi__V1__Reply *)f.body;
}

static inline void expect(uint32_t id, enum hemi_status status)
{
    Hemi__V1__Reply reply = reply_to(id);
    ck_assert_msg(reply.status == status, "request %u: status %u, not %d: %.*s", id, reply.status, status,
                  (int)reply.message.len, (const char *)reply.message.data);
}

static inline void expect_close(enum hemi_status status, enum proto_error error)
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

static inline struct connection *open_client(void)
{
    struct frame f;
    struct connection *c = connect_client();
    must_receive(&f, FRAME_WELCOME);
    return c;
}

/* ---- requests */

static inline void ping(uint32_t id) { put(FRAME_PING, id, 0, 0, NULL, "hello", 5); }

static inline void module_new_wat(uint32_t id, uint32_t module, const char *text)
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

static inline void store_new_handle(uint32_t id, uint32_t store)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = store;
    put(FRAME_STORE_NEW, id, 0, 0, &body, NULL, 0);
}

static inline void instantiate(uint32_t id, uint32_t instance, uint32_t module, uint32_t store, uint32_t wasi,
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

static inline void export_get(uint32_t id, uint32_t instance, const char *name, uint32_t handle)
{
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    body.instance = instance;
    body.handle = handle;
    put(FRAME_EXPORT_GET, id, 0, 0, &body, name, strlen(name));
}

static inline void call_raw(uint32_t id, uint32_t parent, uint16_t flags, uint32_t func, const void *raw, size_t n)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    put(FRAME_CALL, id, parent, flags, &body, raw, n);
}

static inline void call(uint32_t id, uint32_t parent, uint32_t func) { call_raw(id, parent, 0, func, NULL, 0); }

static inline void call_deadline(uint32_t id, uint32_t func, uint32_t ms)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    body.deadline_ms = ms;
    put(FRAME_CALL, id, 0, 0, &body, NULL, 0);
}

static inline void host_func(uint32_t id, uint32_t func, uint32_t store, uint64_t host)
{
    Hemi__V1__FuncNew body = HEMI__V1__FUNC_NEW__INIT;
    body.func = func;
    body.store = store;
    body.host = host;
    put(FRAME_FUNC_NEW, id, 0, 0, &body, NULL, 0);
}

static inline void host_reply(uint32_t id, enum hemi_status status)
{
    Hemi__V1__HostReply body = HEMI__V1__HOST_REPLY__INIT;
    body.status = status;
    put(FRAME_HOST_REPLY, id, 0, 0, &body, NULL, 0);
}

static inline void drop(uint32_t first, uint32_t count)
{
    uint8_t raw[8];
    wire_put_u32(raw, first);
    wire_put_u32(raw + 4, count);
    put(FRAME_DROP, 0, 0, 0, NULL, raw, 8);
}

static inline void cancel(uint32_t id)
{
    Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
    body.request = id;
    put(FRAME_CANCEL, 0, 0, 0, &body, NULL, 0);
}

static inline void store_close(uint32_t id, uint32_t store)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    body.store = store;
    put(FRAME_STORE_CLOSE, id, 0, 0, &body, NULL, 0);
}

static inline uint32_t must_receive_host_call(uint64_t host)
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
static inline uint32_t h(uint32_t k, uint32_t which) { return 100 * (k + 1) + 10 + which; }
static inline uint32_t store_of(uint32_t k) { return 100 * (k + 1); }

/* Stores 0 to n-1 with an instance each. Uses request ids from 1000 on. */
static inline void make_stores(uint32_t n)
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

/* main() of such a test program: a process, a worker and a client for each test. */
static inline TCase *session_case(Suite *suite)
{
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
