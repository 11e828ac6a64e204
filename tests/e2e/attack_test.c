/* Clients that keep the frames' form and nothing else: they never read, write byte by byte, feed calls that are to end,
 * fill every table there is, and send descriptors that are not what they seem. The worker must bound, refuse or stop
 * each of them; other clients of the same worker notice nothing; and all memory comes back. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "tests/e2e/support.h"

static const char TEXT[] = "(module (import \"h\" \"f\" (func $f)) (memory (export \"memory\") 1)\n"
                           "  (global (export \"global\") (mut externref) (ref.null extern))\n"
                           "  (func (export \"quick\")) (func (export \"loop\") (loop $l (br $l)))\n"
                           "  (func (export \"out\") (call $f)))";

enum handles { MODULE = 1, STORE, HOST, INSTANCE, QUICK, LOOP, OUT, GLOBAL, FRESH = 100 };

static struct daemon d;
static hemi_client *other;
static hemi_object *f_of_other;
static pid_t worker;
static uint8_t *module_bytes;
static size_t module_size;

static void start_with(const char *limits)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, limits);
    other = client_open(d.socket);
    f_of_other = export_of(instance_from(other, "(module (func (export \"f\")))", &store), "f");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    wat(TEXT, &module_bytes, &module_size);
}

static void start(void) { start_with(""); }

static void others_go_on(void)
{
    struct stopwatch watch = stopwatch_start(&d);
    ok(other, hemi_call(f_of_other, NULL, 0, NULL, 0, NULL));
    double took = stopwatch_ms(&watch);
    ck_assert_msg(took < 100 * slowness(), "another client's call took %.0f ms", took);
}

/* The attackers are gone: the worker is the same, and nothing of theirs is left. */
static void stop(void)
{
    pid_t now;
    struct hemi_stats stats;
    others_go_on();
    ok(other, hemi_stats_get(other, NULL, &stats));
    ck_assert_uint_eq(stats.stores, 1);
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_int_eq(now, worker);
    hemi_client_free(other);
    free(module_bytes);
    daemon_stop(&d);
}

static long status_kb(const char *format)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)worker);
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    while (kb < 0 && fgets(line, sizeof line, f)) sscanf(line, format, &kb);
    fclose(f);
    return kb;
}

/* ---- a client of frames */

struct raw {
    int fd;
    struct frame_writer w;
    struct frame_reader r;
    uint32_t id; /* of the last request */
};

static void raw_open(struct raw *c)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    uint8_t bytes[HELLO_MAX];
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", d.socket);
    *c = (struct raw){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&addr, sizeof addr), 0);
    size_t n = hello_write(&hello, bytes);
    ck_assert_int_eq(send(c->fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    frame_writer_init(&c->w);
    frame_reader_init(&c->r, FRAME_W2C, FRAME_ALWAYS);
}

static void raw_close(struct raw *c)
{
    if (c->fd >= 0) close(c->fd);
    frame_writer_deinit(&c->w);
    frame_reader_deinit(&c->r);
}

static uint32_t put_in(struct raw *c, unsigned type, uint32_t parent, unsigned flags, const void *body, const void *raw,
                       size_t n)
{
    bool request = frame_is_request(frame_info(type));
    struct frame_out f = {.type = (uint16_t)type,
                          .flags = (uint16_t)flags,
                          .request = request ? ++c->id : 0,
                          .parent = parent,
                          .body = body,
                          .raw = raw,
                          .raw_length = n,
                          .fd = -1};
    ck_assert_uint_ne(frame_writer_put(&c->w, &f), 0);
    return f.request;
}

static uint32_t put(struct raw *c, unsigned type, const void *body, const void *raw, size_t n)
{
    return put_in(c, type, 0, 0, body, raw, n);
}

/* Writes what is queued; false: the peer has closed. Never reads. */
static bool flush_within(struct raw *c, int ms)
{
    while (frame_writer_pending(&c->w) > 0) {
        if (frame_writer_send(&c->w, c->fd)) continue;
        if (c->w.error != PROTO_OK) return false;
        struct pollfd p = {.fd = c->fd, .events = POLLOUT};
        if (poll(&p, 1, ms) <= 0) return true;
    }
    return true;
}

static bool receive(struct raw *c, struct frame *f)
{
    double end = now_ms() + 20000;
    flush_within(c, 20000);
    for (;;) {
        enum frame_next next = frame_reader_next(&c->r, f);
        if (next == FRAME_READY && f->head.type != FRAME_WELCOME) return true;
        if (next == FRAME_FAILED) return false;
        if (next == FRAME_READY) continue; /* WELCOME */
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        ck_assert_msg(now_ms() < end, "nothing came");
        poll(&p, 1, 1000);
        frame_reader_recv(&c->r, c->fd);
    }
}

/* The status of the next reply, which must be that request's. */
static Hemi__V1__Reply reply_of(struct raw *c, uint32_t id)
{
    struct frame f;
    ck_assert_msg(receive(c, &f), "the connection ended: %s", proto_error_text(c->r.error));
    if (f.head.type == FRAME_CLOSE) {
        const Hemi__V1__Close *body = (const Hemi__V1__Close *)f.body;
        ck_abort_msg("CLOSE: %.*s", (int)body->text.len, (const char *)body->text.data);
    }
    ck_assert_msg(f.head.type == FRAME_REPLY && f.head.request == id, "%s %u came, not the reply to %u",
                  frame_type_name(f.head.type), f.head.request, id);
    return *(const Hemi__V1__Reply *)f.body;
}

static void expect_reply(struct raw *c, uint32_t id, hemi_status status)
{
    Hemi__V1__Reply r = reply_of(c, id);
    ck_assert_msg(r.status == (uint32_t)status, "request %u: status %u, not %d: %.*s", id, r.status, status,
                  (int)r.message.len, (const char *)r.message.data);
}

/* Whatever came before, the connection ends with this error of form. */
static void expect_close(struct raw *c, enum proto_error error)
{
    struct frame f;
    while (receive(c, &f)) {
        if (f.head.type != FRAME_CLOSE) continue;
        const Hemi__V1__Close *body = (const Hemi__V1__Close *)f.body;
        ck_assert_msg(body->error == (uint32_t)error, "%s, not %s", proto_error_text((enum proto_error)body->error),
                      proto_error_text(error));
        return;
    }
    ck_abort_msg("no CLOSE came");
}

/* ---- requests */

static uint32_t put_module(struct raw *c, uint32_t handle, unsigned flags)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = handle;
    body.total = module_size;
    return put_in(c, FRAME_MODULE_NEW, 0, flags, &body, module_bytes, module_size);
}

static uint32_t put_store(struct raw *c, uint32_t handle, unsigned flags)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = handle;
    return put_in(c, FRAME_STORE_NEW, 0, flags, &body, NULL, 0);
}

static uint32_t put_store_close(struct raw *c, uint32_t handle)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    body.store = handle;
    return put(c, FRAME_STORE_CLOSE, &body, NULL, 0);
}

static uint32_t put_call(struct raw *c, uint32_t parent, uint32_t func)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    body.func = func;
    return put_in(c, FRAME_CALL, parent, 0, &body, NULL, 0);
}

static void put_cancel(struct raw *c, uint32_t id)
{
    Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
    body.request = id;
    put(c, FRAME_CANCEL, &body, NULL, 0);
}

static void put_host_reply(struct raw *c, uint32_t id, hemi_status status, const void *raw, size_t n)
{
    Hemi__V1__HostReply body = HEMI__V1__HOST_REPLY__INIT;
    body.status = status;
    struct frame_out f = {
        .type = FRAME_HOST_REPLY, .request = id, .body = &body.base, .raw = raw, .raw_length = n, .fd = -1};
    ck_assert_uint_ne(frame_writer_put(&c->w, &f), 0);
}

static uint32_t put_export(struct raw *c, uint32_t handle, const char *name)
{
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    body.instance = INSTANCE;
    body.handle = handle;
    return put(c, FRAME_EXPORT_GET, &body, name, strlen(name));
}

/* A store with an instance of TEXT. */
static void set_up(struct raw *c)
{
    Hemi__V1__FuncNew func = HEMI__V1__FUNC_NEW__INIT;
    Hemi__V1__InstanceNew instance = HEMI__V1__INSTANCE_NEW__INIT;
    uint8_t import[4];
    raw_open(c);
    uint32_t first = put_module(c, MODULE, 0);
    put_store(c, STORE, 0);
    func.func = HOST;
    func.store = STORE;
    put(c, FRAME_FUNC_NEW, &func, NULL, 0);
    instance.instance = INSTANCE;
    instance.module = MODULE;
    instance.store = STORE;
    wire_put_u32(import, HOST);
    put(c, FRAME_INSTANCE_NEW, &instance, import, 4);
    put_export(c, QUICK, "quick");
    put_export(c, LOOP, "loop");
    put_export(c, OUT, "out");
    put_export(c, GLOBAL, "global");
    for (uint32_t left = c->id - first + 1; left > 0; left--) {
        struct frame f;
        ck_assert(receive(c, &f) && f.head.type == FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    }
}

static uint32_t host_call_of(struct raw *c)
{
    struct frame f;
    ck_assert(receive(c, &f));
    ck_assert_uint_eq(f.head.type, FRAME_HOST_CALL);
    return f.head.request;
}

/* ---- never reading */

/* Writes requests of one kind for ever: the worker must end that before its memory does. */
static void flood(void (*request)(struct raw *c))
{
    struct raw c;
    set_up(&c);
    long before = status_kb("VmHWM: %ld");
    size_t bytes = 0;
    double end = now_ms() + 10000;
    bool open = true;
    while (open && now_ms() < end && bytes < (200u << 20)) {
        while (frame_writer_pending(&c.w) < 60000) request(&c);
        size_t pending = frame_writer_pending(&c.w);
        open = flush_within(&c, 500);
        bytes += pending - frame_writer_pending(&c.w);
        if (frame_writer_pending(&c.w) > 0) break; /* the worker reads no more, or waits */
    }
    others_go_on();
    long grown = status_kb("VmHWM: %ld") - before;
    ck_assert_msg(grown < (long)(48 * 1024 * slowness()), "after %zu MiB, never reading: the worker grew by %ld KiB",
                  bytes >> 20, grown);
    raw_close(&c);
}

static void request_ping(struct raw *c)
{
    static const uint8_t bytes[16384];
    put(c, FRAME_PING, NULL, bytes, sizeof bytes);
}
static void request_info(struct raw *c) { put(c, FRAME_INFO, NULL, NULL, 0); }
static void request_unknown(struct raw *c) { put_call(c, 0, 0x7fffffff); }
static void request_quick(struct raw *c) { put_call(c, 0, QUICK); }
static void request_describe(struct raw *c)
{
    Hemi__V1__ExportList body = HEMI__V1__EXPORT_LIST__INIT;
    body.instance = INSTANCE;
    put(c, FRAME_EXPORT_LIST, &body, NULL, 0);
}

START_TEST(a_client_that_never_reads_is_bounded)
{
    static void (*const requests[])(struct raw *c) = {request_ping, request_info, request_unknown, request_quick,
                                                      request_describe};
    flood(requests[_i]);
}
END_TEST

/* ---- many of everything */

/* More requests in flight than there are stacks: they wait for one. */
START_TEST(a_window_full_of_modules_is_made)
{
    struct raw c;
    enum { N = 1000 };
    raw_open(&c);
    for (uint32_t i = 0; i < N; i++) put_module(&c, FRESH + i, 0);
    for (uint32_t i = 0; i < N; i++) {
        struct frame f;
        ck_assert(receive(&c, &f));
        ck_assert_uint_eq(f.head.type, FRAME_REPLY);
        const Hemi__V1__Reply *r = (const Hemi__V1__Reply *)f.body;
        ck_assert_msg(r->status == HEMI_OK, "module %u: status %u: %.*s", i, r->status, (int)r->message.len,
                      (const char *)r->message.data);
    }
    raw_close(&c);
}
END_TEST

static void put_get(struct raw *c, uint32_t handle)
{
    Hemi__V1__GlobalGet body = HEMI__V1__GLOBAL_GET__INIT;
    body.global = GLOBAL;
    body.result_handle = handle;
    put(c, FRAME_GLOBAL_GET, &body, NULL, 0);
}

/* Handles whose ids a well-known hash function puts next to each other. */
static uint32_t id_in_a_heap(uint64_t *x)
{
    for (;;) {
        uint32_t id = (uint32_t)++*x;
        if (id > FRESH && id < HANDLE_WORKER && (id * UINT64_C(0x9E3779B97F4A7C15)) >> 58 == 0) return id;
    }
}

START_TEST(a_connection_with_many_handles_ends_at_once)
{
    struct raw c;
    enum { N = 150000, BATCH = 500 };
    uint64_t x = 0;
    set_up(&c);
    for (uint32_t i = 0; i < N; i += BATCH) {
        struct frame f;
        for (uint32_t k = 0; k < BATCH; k++) put_get(&c, _i ? id_in_a_heap(&x) : FRESH + i + k);
        for (uint32_t k = 0; k < BATCH; k++) {
            ck_assert(receive(&c, &f));
            ck_assert_uint_eq(f.head.type, FRAME_REPLY);
            ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
        }
        if (i % (20 * BATCH) == 0) others_go_on();
    }
    raw_close(&c);
    for (int i = 0; i < 20; i++) others_go_on();
}
END_TEST

/* ---- calls that are to end */

/* A call that was cancelled ends, whatever its client goes on to send into it. */
START_TEST(a_cancelled_call_cannot_be_fed)
{
    struct raw c;
    set_up(&c);
    uint32_t outer = put_call(&c, 0, OUT);
    uint32_t host = host_call_of(&c);
    uint32_t loops[2] = {put_call(&c, host, LOOP), put_call(&c, host, LOOP)};
    flush_within(&c, 1000);
    usleep(20000);
    put_cancel(&c, outer);
    uint32_t late[3];
    for (int i = 0; i < 3; i++) late[i] = put_call(&c, host, LOOP);
    unsigned answered = 0;
    for (int i = 0; i < 6; i++) {
        struct frame f;
        ck_assert(receive(&c, &f));
        ck_assert_uint_eq(f.head.type, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_CANCELLED);
        for (int k = 0; k < 3; k++) answered += f.head.request == late[k];
        answered += f.head.request == outer || f.head.request == loops[0] || f.head.request == loops[1];
    }
    ck_assert_uint_eq(answered, 6);
    expect_reply(&c, put_call(&c, 0, QUICK), HEMI_OK);
    expect_reply(&c, put_call(&c, host, QUICK), HEMI_CANCELLED);
    put_host_reply(&c, host, HEMI_OK, NULL, 0);
    expect_reply(&c, put_call(&c, 0, QUICK), HEMI_OK);
    raw_close(&c);
}
END_TEST

/* Host calls answered from the outside in: the outer answer waits for the inner call. */
START_TEST(host_replies_out_of_order)
{
    struct raw c;
    set_up(&c);
    uint32_t outer = put_call(&c, 0, OUT), first = host_call_of(&c);
    uint32_t inner = put_call(&c, first, OUT), second = host_call_of(&c);
    uint32_t third = put_call(&c, second, LOOP);
    put_host_reply(&c, first, HEMI_OK, NULL, 0);
    put_host_reply(&c, second, HEMI_OK, NULL, 0);
    flush_within(&c, 1000);
    others_go_on();
    put_cancel(&c, third);
    expect_reply(&c, third, HEMI_CANCELLED);
    expect_reply(&c, inner, HEMI_OK);
    expect_reply(&c, outer, HEMI_OK);
    raw_close(&c);
}
END_TEST

/* A request that names an outer host call while an inner one is outstanding waits until that is over. */
START_TEST(a_request_in_an_outer_host_call_waits)
{
    struct raw c;
    set_up(&c);
    uint32_t outer = put_call(&c, 0, OUT), first = host_call_of(&c);
    uint32_t inner = put_call(&c, first, OUT), second = host_call_of(&c);
    uint32_t waits = put_call(&c, first, QUICK);
    expect_reply(&c, put_call(&c, second, QUICK), HEMI_OK);
    put_host_reply(&c, second, HEMI_OK, NULL, 0);
    expect_reply(&c, inner, HEMI_OK);
    expect_reply(&c, waits, HEMI_OK);
    put_host_reply(&c, first, HEMI_OK, NULL, 0);
    expect_reply(&c, outer, HEMI_OK);
    raw_close(&c);
}
END_TEST

/* A closing store, a connection that goes, an interrupt: with calls nested three deep and more of them queued. */
START_TEST(everything_unwinds_at_once)
{
    struct raw c;
    set_up(&c);
    put_call(&c, 0, OUT);
    uint32_t host = 0;
    for (int i = 0; i < 3; i++) {
        host = host_call_of(&c);
        put_call(&c, host, i < 2 ? OUT : LOOP);
    }
    for (int i = 0; i < 10; i++) put_call(&c, host, LOOP);
    for (int i = 0; i < 10; i++) put_call(&c, 0, QUICK);
    unsigned due = 24;
    flush_within(&c, 1000);
    usleep(10000);
    struct frame f;
    switch (_i) {
    case 0:
        put_store_close(&c, STORE);
        break;
    case 1:
        put(&c, FRAME_INTERRUPT, NULL, NULL, 0);
        break;
    default:
        raw_close(&c);
        return; /* stop() looks at what is left */
    }
    for (unsigned i = 0; i < due + (_i == 0); i++) {
        ck_assert(receive(&c, &f));
        ck_assert_uint_eq(f.head.type, FRAME_REPLY);
        uint32_t status = ((const Hemi__V1__Reply *)f.body)->status;
        ck_assert_msg(status == HEMI_CLOSED || status == HEMI_CANCELLED || status == HEMI_INTERRUPTED ||
                          (status == HEMI_OK && i >= due),
                      "status %u", status);
    }
    for (uint32_t i = 1; i <= 3; i++) put_host_reply(&c, i, HEMI_OK, NULL, 0); /* late, and owed */
    expect_reply(&c, put(&c, FRAME_PING, NULL, NULL, 0), HEMI_OK);
    raw_close(&c);
}
END_TEST

/* ---- what a client answers */

START_TEST(host_replies_of_the_wrong_form_trap_or_end)
{
    struct raw c;
    uint8_t raw[32] = {0};
    set_up(&c);
    uint32_t call = put_call(&c, 0, OUT), host = host_call_of(&c);
    switch (_i) {
    case 0: /* a value too many */
        put_host_reply(&c, host, HEMI_OK, raw, 16);
        expect_reply(&c, call, HEMI_HOST);
        break;
    case 1: /* an exception that is null */
        raw[1] = WIRE_CLASS_EXN;
        put_host_reply(&c, host, HEMI_EXCEPTION, raw, 16);
        expect_reply(&c, call, HEMI_HOST);
        break;
    case 2: /* an exception that is a number */
        raw[0] = 9;
        put_host_reply(&c, host, HEMI_EXCEPTION, raw, 16);
        expect_reply(&c, call, HEMI_HOST);
        break;
    case 3: /* a status that means nothing here */
        put_host_reply(&c, host, HEMI_DEADLOCK, NULL, 0);
        expect_close(&c, PROTO_BODY);
        break;
    case 4: /* twice */
        put_host_reply(&c, host, HEMI_OK, NULL, 0);
        put_host_reply(&c, host, HEMI_OK, NULL, 0);
        expect_close(&c, PROTO_REQUEST_ID);
        break;
    case 5: /* no whole values */
        put_host_reply(&c, host, HEMI_OK, raw, 17);
        expect_close(&c, PROTO_RAW);
        break;
    default: /* an exception reference of a handle that is none */
        raw[0] = WIRE_HANDLE;
        raw[1] = WIRE_CLASS_EXN;
        wire_put_u32(raw + 4, QUICK);
        put_host_reply(&c, host, HEMI_EXCEPTION, raw, 16);
        expect_reply(&c, call, HEMI_HOST);
    }
    raw_close(&c);
}
END_TEST

/* Whether or not the request has a store: an id in one that failed does not count, and the reply says so. */
START_TEST(externs_of_failed_requests_are_accounted_for)
{
    struct raw c;
    struct frame f;
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    uint8_t raw[WIRE_VALUE_BYTES] = {WIRE_EXTERN, WIRE_CLASS_EXTERN};
    wire_put_u64(raw + 8, 4711);
    set_up(&c);
    body.func = _i ? GLOBAL : 77;
    uint32_t id = put(&c, FRAME_CALL, &body, raw, sizeof raw);
    Hemi__V1__Reply r = reply_of(&c, id);
    ck_assert_uint_eq(r.status, HEMI_HANDLE);
    ck_assert(r.values_unread);
    put(&c, FRAME_PING, NULL, NULL, 0);
    ck_assert(receive(&c, &f));
    ck_assert_uint_eq(f.head.type, FRAME_REPLY); /* no DEATH */
    raw_close(&c);
}
END_TEST

/* ---- failures that spread */

START_TEST(failures_name_their_root_through_many_levels)
{
    struct raw c;
    raw_open(&c);
    Hemi__V1__InstanceNew instance = HEMI__V1__INSTANCE_NEW__INIT;
    Hemi__V1__ModuleNew bad = HEMI__V1__MODULE_NEW__INIT;
    bad.module = MODULE;
    bad.total = 4;
    uint32_t root = put(&c, FRAME_MODULE_NEW, &bad, "junk", 4);
    put_store(&c, STORE, 0);
    instance.instance = INSTANCE;
    instance.module = MODULE;
    instance.store = STORE;
    uint32_t second = put(&c, FRAME_INSTANCE_NEW, &instance, NULL, 0);
    uint32_t third = put_export(&c, QUICK, "quick"), fourth = put_call(&c, 0, QUICK);
    uint32_t chained = put_in(&c, FRAME_PING, 0, FRAME_FLAG_IF_PREVIOUS_OK, NULL, NULL, 0);
    uint32_t again = put_in(&c, FRAME_PING, 0, FRAME_FLAG_IF_PREVIOUS_OK, NULL, NULL, 0);
    for (int i = 0; i < 7; i++) {
        struct frame f;
        ck_assert(receive(&c, &f));
        const Hemi__V1__Reply *r = (const Hemi__V1__Reply *)f.body;
        uint32_t id = f.head.request;
        if (id == root)
            ck_assert_uint_eq(r->status, HEMI_INVALID_MODULE);
        else if (id == root + 1)
            ck_assert_uint_eq(r->status, HEMI_OK);
        else
            ck_assert_uint_eq(r->status, HEMI_DEPENDENCY_FAILED);
        if (id == second || id == third || id == fourth) ck_assert_uint_eq(r->failed_request, root);
        if (id == chained) ck_assert_uint_eq(r->failed_request, fourth);
        if (id == again) ck_assert_uint_eq(r->failed_request, chained);
    }
    raw_close(&c);
}
END_TEST

/* Stores that never came to be can be dropped, and do not count. */
START_TEST(stores_that_were_not_made_do_not_count)
{
    struct raw c;
    struct hemi_stats stats;
    raw_open(&c);
    for (uint32_t i = 0; i < 1200; i++) {
        uint32_t bad = put_call(&c, 0, 77), store = put_store(&c, FRESH + i, FRAME_FLAG_IF_PREVIOUS_OK);
        expect_reply(&c, bad, HEMI_HANDLE);
        expect_reply(&c, store, HEMI_DEPENDENCY_FAILED);
    }
    expect_reply(&c, put_store(&c, STORE, 0), HEMI_OK);
    uint8_t range[8];
    wire_put_u32(range, FRESH);
    wire_put_u32(range + 4, 1200);
    put(&c, FRAME_DROP, NULL, range, sizeof range);
    Hemi__V1__StoreStats all = HEMI__V1__STORE_STATS__INIT;
    uint32_t id = put(&c, FRAME_STORE_STATS, &all, NULL, 0);
    struct frame f;
    ck_assert(receive(&c, &f));
    ck_assert_uint_eq(f.head.request, id);
    ck_assert_uint_eq(wire_get_u64(f.raw + (size_t)8 * 3), 1); /* handles: the store's */
    ok(other, hemi_stats_get(other, NULL, &stats));
    raw_close(&c);
}
END_TEST

/* ---- descriptors */

static int memfd_of(size_t size, unsigned seals)
{
    int fd = memfd_create("module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    if (size > 0)
        ck_assert_int_eq(write(fd, module_bytes, size < module_size ? size : module_size),
                         (ssize_t)(size < module_size ? size : module_size));
    if (size > module_size) ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    if (seals) ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static uint32_t put_module_fd(struct raw *c, uint32_t handle, int fd, uint64_t total)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = handle;
    body.total = total;
    struct frame_out f = {
        .type = FRAME_MODULE_NEW, .flags = FRAME_FLAG_FD, .request = ++c->id, .body = &body.base, .fd = fd};
    ck_assert_uint_ne(frame_writer_put(&c->w, &f), 0);
    return f.request;
}

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

START_TEST(descriptors_that_are_no_module)
{
    struct raw c;
    int pipes[2];
    unsigned fds = open_fds(worker);
    raw_open(&c);
    expect_reply(&c, put(&c, FRAME_PING, NULL, NULL, 0), HEMI_OK); /* none comes before WELCOME */
    expect_reply(&c, put_module_fd(&c, 1, memfd_of(module_size, SEALS), module_size), HEMI_OK);
    expect_reply(&c, put_module_fd(&c, 2, memfd_of(module_size, 0), module_size), HEMI_ARGUMENT);
    expect_reply(&c, put_module_fd(&c, 3, memfd_of(module_size, F_SEAL_SHRINK | F_SEAL_GROW), module_size),
                 HEMI_ARGUMENT);
    expect_reply(&c, put_module_fd(&c, 4, memfd_of(module_size, F_SEAL_WRITE), module_size), HEMI_ARGUMENT);
    expect_reply(&c, put_module_fd(&c, 5, memfd_of(module_size - 1, SEALS), module_size), HEMI_ARGUMENT);
    expect_reply(&c, put_module_fd(&c, 6, memfd_of(0, SEALS), 0), HEMI_ARGUMENT);
    expect_reply(&c, put_module_fd(&c, 7, memfd_of(module_size, SEALS), UINT64_MAX), HEMI_LIMIT);
    expect_reply(&c, put_module_fd(&c, 8, memfd_of(module_size + 9, SEALS), module_size), HEMI_OK);
    expect_reply(&c, put_module_fd(&c, 9, open("/dev/zero", O_RDONLY | O_CLOEXEC), 4096), HEMI_ARGUMENT);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    expect_reply(&c, put_module_fd(&c, 10, pipes[0], 4096), HEMI_ARGUMENT);
    close(pipes[1]);
    expect_reply(&c, put_module_fd(&c, 11, memfd_of(module_size, SEALS), module_size), HEMI_OK);
    raw_close(&c);
    double end = now_ms() + 5000;
    while (open_fds(worker) > fds && now_ms() < end) usleep(10000);
    ck_assert_uint_eq(open_fds(worker), fds);
}
END_TEST

static void send_with_fds(struct raw *c, unsigned count)
{
    struct iovec io = {c->w.buffer + c->w.begin, frame_writer_pending(&c->w)};
    char control[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (unsigned i = 0; i < count; i++) memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &c->fd, sizeof(int));
    ck_assert_int_eq(sendmsg(c->fd, &m, MSG_NOSIGNAL), (ssize_t)io.iov_len);
    c->w.begin = c->w.end = 0;
}

START_TEST(descriptors_that_nobody_asked_for)
{
    struct raw c;
    unsigned fds = open_fds(worker);
    raw_open(&c);
    expect_reply(&c, put(&c, FRAME_PING, NULL, NULL, 0), HEMI_OK);
    enum proto_error due = PROTO_FD_UNEXPECTED;
    if (_i == 0) { /* with a frame that declares none */
        put(&c, FRAME_PING, NULL, NULL, 0);
        send_with_fds(&c, 1);
    } else if (_i == 1) { /* more than a reader keeps */
        put(&c, FRAME_PING, NULL, NULL, 0);
        send_with_fds(&c, 8);
    } else if (_i == 2) { /* one too many */
        Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
        body.module = 1;
        body.total = 8;
        put_in(&c, FRAME_MODULE_NEW, 0, 0, &body, NULL, 0);
        c.w.buffer[c.w.begin + 6] = FRAME_FLAG_FD;
        send_with_fds(&c, 2);
    } else { /* none where one is declared */
        Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
        body.module = 1;
        body.total = 8;
        put_in(&c, FRAME_MODULE_NEW, 0, 0, &body, NULL, 0);
        c.w.buffer[c.w.begin + 6] = FRAME_FLAG_FD;
        due = PROTO_FD_MISSING;
    }
    expect_close(&c, due);
    raw_close(&c);
    double end = now_ms() + 5000;
    while (open_fds(worker) > fds && now_ms() < end) usleep(10000);
    ck_assert_uint_eq(open_fds(worker), fds);
}
END_TEST

/* ---- frames in pieces; streams */

START_TEST(frames_split_byte_by_byte)
{
    struct raw c;
    raw_open(&c);
    put_module(&c, MODULE, 0);
    put_store(&c, STORE, 0);
    put(&c, FRAME_PING, NULL, "hello", 5);
    for (size_t i = c.w.begin; i < c.w.end; i++) ck_assert_int_eq(send(c.fd, c.w.buffer + i, 1, MSG_NOSIGNAL), 1);
    c.w.begin = c.w.end = 0;
    uint32_t seen = 0;
    for (int i = 0; i < 3; i++) {
        struct frame f;
        ck_assert(receive(&c, &f) && f.head.type == FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
        seen |= 1u << f.head.request;
    }
    ck_assert_uint_eq(seen, 14);
    raw_close(&c);
}
END_TEST

static uint32_t put_wasi(struct raw *c, uint32_t handle, uint32_t in, uint32_t out, uint64_t credit)
{
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    body.wasi = handle;
    body.store = STORE;
    body.stdin_stream = in;
    body.stdout_stream = out;
    body.output_credit = credit;
    return put(c, FRAME_WASI_NEW, &body, NULL, 0);
}

START_TEST(streams_keep_their_credit)
{
    struct raw c;
    set_up(&c);
    expect_reply(&c, put_wasi(&c, FRESH, 1, 2, UINT64_MAX), HEMI_OK);
    Hemi__V1__StreamCredit credit = HEMI__V1__STREAM_CREDIT__INIT;
    Hemi__V1__StreamData data = HEMI__V1__STREAM_DATA__INIT;
    Hemi__V1__StreamEof eof = HEMI__V1__STREAM_EOF__INIT;
    enum proto_error due = PROTO_STREAM;
    switch (_i) {
    case 0: /* more than 2^64 - 1 */
        credit.stream = 2;
        credit.bytes = 1;
        put(&c, FRAME_STREAM_CREDIT, &credit, NULL, 0);
        due = PROTO_CREDIT;
        break;
    case 1: /* data that was not asked for */
        data.stream = 1;
        put(&c, FRAME_STREAM_DATA, &data, "x", 1);
        due = PROTO_CREDIT;
        break;
    case 2: /* data on the guest's output */
        data.stream = 2;
        put(&c, FRAME_STREAM_DATA, &data, "x", 1);
        break;
    case 3: /* two ends */
        eof.stream = 1;
        put(&c, FRAME_STREAM_EOF, &eof, NULL, 0);
        put(&c, FRAME_STREAM_EOF, &eof, NULL, 0);
        break;
    case 4: /* an id in use */
        put_wasi(&c, FRESH + 1, 0, 2, 0);
        break;
    case 5: /* the same id for input and output */
        put_wasi(&c, FRESH + 1, 5, 5, 0);
        break;
    default: /* strings that are fewer than said */ {
        Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
        body.wasi = FRESH + 1;
        body.store = STORE;
        body.args = UINT32_MAX;
        put(&c, FRAME_WASI_NEW, &body, "a\0b", 4);
        due = PROTO_RAW;
    }
    }
    expect_close(&c, due);
    raw_close(&c);
}
END_TEST

START_TEST(the_windows_are_enforced)
{
    struct raw c;
    set_up(&c);
    uint32_t outer = put_call(&c, 0, OUT), host = host_call_of(&c);
    if (_i == 0) { /* the nested one: one call that loops, and 64 behind it */
        for (int i = 0; i < 65; i++) put_call(&c, host, LOOP);
    } else if (_i == 1) { /* the connection's, which has one unanswered */
        for (int i = 0; i < 1024; i++) put_call(&c, 0, LOOP);
    } else { /* a full one keeps neither nested requests nor host replies from coming */
        for (int i = 0; i < 1023; i++) put_call(&c, 0, QUICK);
        expect_reply(&c, put_call(&c, host, QUICK), HEMI_OK);
        put_host_reply(&c, host, HEMI_OK, NULL, 0);
        for (uint32_t i = 0; i < 1024; i++) expect_reply(&c, outer + i, HEMI_OK);
        raw_close(&c);
        return;
    }
    expect_close(&c, PROTO_WINDOW);
    raw_close(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("attack");
    TCase *t = tcase_create("attack");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_client_that_never_reads_is_bounded, 0, 5);
    tcase_add_test(t, a_window_full_of_modules_is_made);
    tcase_add_loop_test(t, a_connection_with_many_handles_ends_at_once, 0, 2);
    tcase_add_test(t, a_cancelled_call_cannot_be_fed);
    tcase_add_test(t, host_replies_out_of_order);
    tcase_add_test(t, a_request_in_an_outer_host_call_waits);
    tcase_add_loop_test(t, everything_unwinds_at_once, 0, 3);
    tcase_add_loop_test(t, host_replies_of_the_wrong_form_trap_or_end, 0, 7);
    tcase_add_loop_test(t, externs_of_failed_requests_are_accounted_for, 0, 2);
    tcase_add_test(t, failures_name_their_root_through_many_levels);
    tcase_add_test(t, stores_that_were_not_made_do_not_count);
    tcase_add_test(t, descriptors_that_are_no_module);
    tcase_add_loop_test(t, descriptors_that_nobody_asked_for, 0, 4);
    tcase_add_test(t, frames_split_byte_by_byte);
    tcase_add_loop_test(t, streams_keep_their_credit, 0, 7);
    tcase_add_loop_test(t, the_windows_are_enforced, 0, 3);
    suite_add_tcase(s, t);
    return run_suite(s);
}
