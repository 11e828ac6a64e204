/* tests/unit/server/worker/session_random_test.c -- random requests of lawful form and plausible content, from two
 * clients at once, against a worker in this process: any order of making, using, dropping, nesting, cancelling,
 * answering and hanging up must leave nothing behind. HEMI_SEED repeats a run; HEMI_STEPS makes it longer. */
#include <check.h>
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
#include "server/worker/connection.h"
#include "tests/unit/suite.h"

enum { CLIENTS = 2, STEPS = 15000, IDS = 80, CALLS = 16, REFS = 41 };

static const char guest[] =
    "(module (type $s (struct (field (mut i32)) (field (mut (ref null $s))) (field (mut externref))))"
    "(import \"h\" \"f\" (func $f (param externref anyref) (result externref)))"
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))"
    "(memory (export \"memory\") 1 4) (table (export \"table\") 4 10 externref)"
    "(global (export \"global\") (mut externref) (ref.null extern)) (tag $t (param i32))"
    "(func (export \"loop\") (loop $l (br $l)))"
    "(func (export \"call\") (param externref) (result externref)"
    "  (call $f (local.get 0) (struct.new $s (i32.const 1) (ref.null $s) (local.get 0))))"
    "(func (export \"make\") (param externref) (result (ref $s))"
    "  (struct.new $s (i32.const 7) (ref.null $s) (local.get 0)))"
    "(func (export \"throw\") (throw $t (i32.const 1)))"
    "(func (export \"trap\") (unreachable))"
    "(func (export \"write\") (result i32) (i32.store (i32.const 4) (i32.const 9))"
    "  (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))"
    "(func (export \"churn\") (result anyref) (local $i i32) (local $r (ref null $s))"
    "  (loop $l (local.set $r (struct.new $s (local.get $i) (local.get $r) (ref.null extern)))"
    "    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3000)))) (local.get "
    "$r)))";
static const char *const names[] = {"memory", "table", "global", "loop",  "call", "make",
                                    "throw",  "trap",  "write",  "churn", "none"};

static struct worker worker;
static struct worker_boot boot;
static uint8_t *module;
static size_t module_size;
static uint64_t state;
static struct client {
    int fd;
    struct connection *conn; /* only while `open` */
    struct frame_writer w;
    struct frame_reader r;
    uint32_t next_id;
    uint32_t calls[CALLS]; /* host calls not answered */
    unsigned ncalls;
    uint32_t streams; /* ids used */
    uint64_t stores;  /* made, one bit each */
    bool open;
} clients[CLIENTS];

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
static uint32_t statuses[32], errors[32]; /* of replies, and of connections' ends */

static uint32_t below(uint32_t n) { return (uint32_t)(draw() % n); }

static void begin(struct client *c);

static void hang_up(struct client *c)
{
    if (!c->open) return;
    close(c->fd);
    frame_writer_deinit(&c->w);
    frame_reader_deinit(&c->r);
    c->open = false;
}

static void dial(struct client *c)
{
    int fds[2];
    uint8_t bytes[HELLO_MAX];
    struct hello hello = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    *c = (struct client){.fd = fds[0], .open = true, .next_id = 1};
    frame_writer_init(&c->w);
    frame_reader_init(&c->r, FRAME_W2C, FRAME_ALWAYS);
    connection_start(connection_new(&worker, fds[1], 1, bytes, hello_write(&hello, bytes)));
    begin(c);
}

/* What a handle is for: so that requests mostly meet what they need. */
static uint32_t pick(enum object_kind kind)
{
    if (kind == OBJECT_REF) return REFS + below(below(4) ? 16 : IDS - REFS);
    return 1 + (uint32_t)kind * 4 + below(kind == OBJECT_STORE || kind == OBJECT_MODULE ? 2 : 4);
}

/* ---- making frames up */

static void fill(const ProtobufCMessageDescriptor *type, void *body)
{
    protobuf_c_message_init(type, body);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        void *at = (char *)body + f->offset;
        uint64_t v = below(IDS);
        if (below(500) == 0) v = draw() >> below(64);
        if (strcmp(f->name, "deadline_ms") == 0) v = 1 + below(10);
        if (strcmp(f->name, "what") == 0) v = below(2);
        if (strcmp(f->name, "memory_bytes") == 0 || strcmp(f->name, "heap_bytes") == 0) v = 0;
        if (strcmp(f->name, "output_credit") == 0 || strcmp(f->name, "stack_bytes") == 0) v = below(2) * 100000;
        if (strcmp(f->name, "status") == 0) {
            static const uint8_t some[] = {HEMI_OK, HEMI_OK, HEMI_OK, HEMI_HOST, HEMI_EXCEPTION, HEMI_EXIT};
            v = some[below(sizeof some)];
        }
        switch (f->type) {
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_SINT32:
            memcpy(at, &v, 4);
            break;
        case PROTOBUF_C_TYPE_UINT64:
            memcpy(at, &v, 8);
            break;
        case PROTOBUF_C_TYPE_BOOL:
            *(protobuf_c_boolean *)at = (protobuf_c_boolean)(v & 1);
            break;
        default:
            break; /* text stays empty */
        }
    }
}

static size_t values(uint8_t *raw, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct wire_reference ref = {.kind = (uint8_t)below(4), .class_ = (uint8_t)below(4)};
        if (below(2)) ref.class_ = WIRE_CLASS_EXTERN;
        if (ref.kind == WIRE_HANDLE) ref.handle = 1 + below(IDS);
        if (ref.kind == WIRE_EXTERN) ref.payload = below(12);
        if (ref.kind == WIRE_I31) ref.payload = below(1u << 31);
        wire_put_reference(raw + i * WIRE_VALUE_BYTES, &ref);
    }
    return n * WIRE_VALUE_BYTES;
}

static size_t raw_part(const struct frame_info *info, uint8_t *raw)
{
    switch (info->type) {
    case FRAME_PING:
        return below(100);
    case FRAME_DROP:
        wire_put_u32(raw, below(IDS));
        wire_put_u32(raw + 4, 1 + below(2));
        return 8;
    case FRAME_EXPORT_GET: {
        const char *name = names[below(sizeof names / sizeof names[0])];
        memcpy(raw, name, strlen(name));
        return strlen(name);
    }
    case FRAME_INSTANCE_NEW:
        wire_put_u32(raw, pick(OBJECT_REF));
        return below(8) ? 4 : 0;
    case FRAME_FUNC_NEW: {
        uint32_t ext = wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN), any = VT_REF(true, HT_ANY);
        wire_put_u32(raw, ext);
        wire_put_u32(raw + 4, any);
        wire_put_u32(raw + 8, ext);
        return 12;
    }
    case FRAME_CALL:
        return values(raw, below(3));
    case FRAME_HOST_REPLY:
    case FRAME_GLOBAL_NEW:
    case FRAME_GLOBAL_SET:
    case FRAME_TABLE_NEW:
    case FRAME_TABLE_SET:
    case FRAME_TABLE_GROW:
        return values(raw, 1);
    case FRAME_WASI_NEW:
        memcpy(raw, "a\0b\0c\0", 6);
        return 0;
    case FRAME_MEMORY_WRITE:
        return below(200);
    case FRAME_STREAM_DATA:
        return 1 + below(10);
    default:
        return 0;
    }
}

static void repair(struct client *c, const struct frame_info *info, void *body, const uint8_t *name, uint8_t **raw,
                   size_t *n)
{
    if (info->type == FRAME_MODULE_NEW && below(20)) {
        ((Hemi__V1__ModuleNew *)body)->total = module_size;
        *raw = module;
        *n = module_size;
    }
    if (info->type == FRAME_FUNC_NEW) {
        ((Hemi__V1__FuncNew *)body)->params = 2;
        if (below(4)) ((Hemi__V1__FuncNew *)body)->module = 0;
    }
    if (info->type == FRAME_GLOBAL_NEW || info->type == FRAME_TABLE_NEW) {
        uint32_t ext = wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN);
        if (info->type == FRAME_GLOBAL_NEW)
            ((Hemi__V1__GlobalNew *)body)->type = ext;
        else
            ((Hemi__V1__TableNew *)body)->type = ext;
    }
    if (info->type == FRAME_WASI_NEW) {
        Hemi__V1__WasiNew *b = body;
        b->args = b->envs = 0;
        b->stdin_stream = ++c->streams;
        b->stdout_stream = b->stderr_stream = ++c->streams;
    }
    if (info->type == FRAME_EXPORT_GET)
        ((Hemi__V1__ExportGet *)body)->handle = pick(*name == 'm' && name[1] == 'e'   ? OBJECT_MEMORY
                                                     : *name == 't' && name[1] == 'a' ? OBJECT_TABLE
                                                     : *name == 'g'                   ? OBJECT_GLOBAL
                                                                                      : OBJECT_REF);
    if (info->type == FRAME_CALL) ((Hemi__V1__Call *)body)->result_count %= 3;
}

static void aim(const struct frame_info *info, void *body)
{
    static const struct {
        const char *field;
        enum object_kind kind;
    } fields[] = {{"module", OBJECT_MODULE},     {"store", OBJECT_STORE},   {"instance", OBJECT_INSTANCE},
                  {"func", OBJECT_REF},          {"a", OBJECT_REF},         {"b", OBJECT_REF},
                  {"result_handle", OBJECT_REF}, {"memory", OBJECT_MEMORY}, {"table", OBJECT_TABLE},
                  {"global", OBJECT_GLOBAL},     {"wasi", OBJECT_WASI}};
    if (below(300) == 0) return;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(info->body, fields[i].field);
        uint32_t id = pick(fields[i].kind);
        if (fields[i].kind == OBJECT_REF && fields[i].field[0] == 'r') id = IDS - 1 - below(8);
        if (f && f->type == PROTOBUF_C_TYPE_UINT32) memcpy((char *)body + f->offset, &id, sizeof id);
    }
}

static void drop(struct client *c, uint32_t first, uint32_t n)
{
    uint8_t raw[8];
    wire_put_u32(raw, first);
    wire_put_u32(raw + 4, n);
    struct frame_out f = {.type = FRAME_DROP, .raw = raw, .raw_length = 8, .fd = -1};
    frame_writer_put(&c->w, &f);
}

/* A handle that the request would bind and that is taken ends the connection: drop it first, mostly. */
static bool make_room(struct client *c, const struct frame_info *info, void *body)
{
    const struct request_row *row = request_row(info->type);
    uint32_t id;
    if (below(200) == 0) return true;
    if (row && row->makes.field != 0) {
        memcpy(&id, (const char *)body + row->makes.field, sizeof id);
        drop(c, id, 1);
    }
    if (info->type == FRAME_MODULE_NEW) drop(c, ((Hemi__V1__ModuleNew *)body)->module, 1);
    if (info->type == FRAME_MODULE_DATA) drop(c, ((Hemi__V1__ModuleData *)body)->module, 1);
    if (info->type == FRAME_CALL) drop(c, ((Hemi__V1__Call *)body)->result_handle, 2);
    if (info->type == FRAME_STORE_CLOSE) c->stores &= ~(1ull << ((Hemi__V1__StoreClose *)body)->store % 64);
    if (info->type == FRAME_STORE_NEW) { /* stores are dropped only when they are closed */
        id = ((Hemi__V1__StoreNew *)body)->store % 64;
        if (c->stores >> id & 1) return false;
        c->stores |= 1ull << id;
        drop(c, id, 1);
    }
    return true;
}

static void make_frame_of(struct client *c, const struct frame_info *info)
{
    static _Alignas(16) char body[512];
    static uint8_t bytes[4096];
    size_t n;
    uint8_t *raw = bytes;
    fill(info->body, body);
    aim(info, body);
    n = raw_part(info, raw);
    repair(c, info, body, bytes, &raw, &n);
    struct frame_out f = {
        .type = info->type, .body = (ProtobufCMessage *)(void *)body, .raw = raw, .raw_length = n, .fd = -1};
    if (info->type == FRAME_HOST_REPLY) {
        if (c->ncalls == 0) return;
        f.request = c->calls[--c->ncalls];
    } else if (frame_is_request(info)) {
        f.request = c->next_id++;
        if (below(20) == 0) f.flags = FRAME_FLAG_IF_PREVIOUS_OK;
        if (c->ncalls > 0 && below(2)) f.parent = c->calls[below(c->ncalls)];
    }
    if (info->type == FRAME_STORE_CLOSE && below(10)) return;
    if (make_room(c, info, body)) frame_writer_put(&c->w, &f);
}

static void make_frame(struct client *c)
{
    size_t count;
    const struct frame_info *table = frame_table(&count), *info = &table[below((uint32_t)count)];
    if (below(2)) info = frame_info(FRAME_CALL);
    if (!(info->sender & FRAME_C2W)) return;
    const struct request_row *row = request_row(info->type); /* makers undo what there is */
    if ((info->type == FRAME_DROP || (row && row->makes.field) || info->type <= FRAME_STORE_NEW) && below(12)) return;
    if (info->type >= FRAME_STREAM_DATA && below(200)) return; /* mostly ends the connection */
    make_frame_of(c, info);
}

static void send_body(struct client *c, uint16_t type, const void *body, const void *raw, size_t n)
{
    struct frame_out f = {.type = type, .request = c->next_id++, .body = body, .raw = raw, .raw_length = n, .fd = -1};
    frame_writer_put(&c->w, &f);
}

/* A store with a WASI object, a host function, an instance and its exports. */
static void begin_store(struct client *c, uint32_t k)
{
    uint8_t raw[16];
    Hemi__V1__StoreNew store = HEMI__V1__STORE_NEW__INIT;
    Hemi__V1__WasiNew wasi = HEMI__V1__WASI_NEW__INIT;
    Hemi__V1__FuncNew func = HEMI__V1__FUNC_NEW__INIT;
    Hemi__V1__InstanceNew instance = HEMI__V1__INSTANCE_NEW__INIT;
    store.store = wasi.store = func.store = instance.store = 1 + OBJECT_STORE * 4 + k;
    c->stores |= 1ull << store.store;
    wasi.wasi = instance.wasi = 1 + OBJECT_WASI * 4 + k;
    wasi.stdout_stream = ++c->streams;
    wasi.output_credit = 1000000;
    func.func = REFS + k;
    func.params = 2;
    instance.instance = 1 + OBJECT_INSTANCE * 4 + k;
    instance.module = 1 + OBJECT_MODULE * 4;
    send_body(c, FRAME_STORE_NEW, &store, NULL, 0);
    send_body(c, FRAME_WASI_NEW, &wasi, NULL, 0);
    send_body(c, FRAME_FUNC_NEW, &func, raw, raw_part(frame_info(FRAME_FUNC_NEW), raw));
    wire_put_u32(raw, func.func);
    send_body(c, FRAME_INSTANCE_NEW, &instance, raw, 4);
    for (uint32_t i = 3; i < 10; i++) {
        Hemi__V1__ExportGet get = HEMI__V1__EXPORT_GET__INIT;
        get.instance = instance.instance;
        get.handle = REFS + 2 + (i - 3) * 2 + k;
        send_body(c, FRAME_EXPORT_GET, &get, names[i], strlen(names[i]));
    }
}

static void begin(struct client *c)
{
    Hemi__V1__ModuleNew m = HEMI__V1__MODULE_NEW__INIT;
    m.module = 1 + OBJECT_MODULE * 4;
    m.total = module_size;
    send_body(c, FRAME_MODULE_NEW, &m, module, module_size);
    begin_store(c, 0);
    begin_store(c, 1);
}

/* ---- running */

static void take_frames(struct client *c)
{
    struct frame f;
    frame_reader_recv(&c->r, c->fd);
    for (;;) {
        enum frame_next is = frame_reader_next(&c->r, &f);
        if (is == FRAME_NONE) return;
        if (is == FRAME_READY && f.head.type == FRAME_REPLY) statuses[((const Hemi__V1__Reply *)f.body)->status % 32]++;
        if (is == FRAME_READY && f.head.type == FRAME_CLOSE) errors[((const Hemi__V1__Close *)f.body)->error % 32]++;
        if (is == FRAME_FAILED || f.head.type == FRAME_CLOSE) {
            hang_up(c);
            return;
        }
        if (f.head.type == FRAME_HOST_CALL && c->ncalls < CALLS) c->calls[c->ncalls++] = f.head.request;
    }
}

static void step(struct client *c)
{
    if (!c->open) dial(c);
    for (uint32_t n = below(12); n > 0; n--) make_frame(c);
    if (frame_writer_pending(&c->w) > 0) frame_writer_send(&c->w, c->fd);
    uv_run(&worker.loop, UV_RUN_NOWAIT);
    take_frames(c);
    if (c->open && below(2000) == 0) hang_up(c);
}

START_TEST(nothing_is_left_behind)
{
    struct config config;
    struct page *page;
    struct wat_error error;
    int page_fd;
    const char *seed = getenv("HEMI_SEED"), *steps = getenv("HEMI_STEPS");
    state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("HEMI_SEED=%llu\n", (unsigned long long)state);
    state = state * 0x9E3779B97F4A7C15u | 1;
    config_set_defaults(&config);
    config.limits.output = 64 << 10;
    ck_assert_int_eq(page_new(&page_fd, &page), 0);
    boot = (struct worker_boot){.control_fd = -1, .page = page, .tenant = "test", .limits = config.limits};
    ck_assert_int_eq(worker_init(&worker, &boot), 0);
    ck_assert_msg(wat_assemble(guest, strlen(guest), "guest", &module, &module_size, &error) == 0, "%u:%u: %s",
                  error.line, error.column, error.message);
    for (long i = 0; i < (steps ? atol(steps) : STEPS); i++) step(&clients[below(CLIENTS)]);
    for (int i = 0; i < CLIENTS; i++) hang_up(&clients[i]);
    time_t began = time(NULL);
    while ((worker.nconnections > 0 || worker.grave.head) && time(NULL) - began < 20)
        uv_run(&worker.loop, UV_RUN_NOWAIT);
    printf("%llu requests, %llu calls, %llu host calls, %llu traps, %llu connections\n",
           (unsigned long long)page->requests_total, (unsigned long long)page->calls_total,
           (unsigned long long)page->host_calls_total, (unsigned long long)page->traps_total,
           (unsigned long long)page->connections_total);
    for (int i = 0; i < 32; i++)
        if (statuses[i] || errors[i]) printf("%2d: %u replies, %u ends\n", i, statuses[i], errors[i]);
    ck_assert_uint_eq(worker.nconnections, 0);
    ck_assert_uint_eq(worker.nstores, 0);
    ck_assert_uint_eq(worker.sched.live, 0);
    ck_assert_uint_eq(worker.memory_used, 0);
    ck_assert_uint_gt(page->calls_total, 1000);
    ck_assert_uint_gt(page->host_calls_total, 100);
    worker_deinit(&worker);
    page_free(page);
    close(page_fd);
    free(module);
    config_deinit(&config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random sessions");
    TCase *tc = tcase_create("random sessions");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, nothing_is_left_behind);
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
