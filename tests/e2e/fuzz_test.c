/* Mutated frames of every request type, after a valid handshake and a valid set-up, and mutated modules through the
 * daemon: nothing crashes, every connection either goes on or is told why it ended, and nobody else notices.
 * HEMI_SEED repeats a run; HEMI_FUZZ_FRAMES sets the number of mutated frames per type. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/hello.h"
#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "tests/e2e/support.h"

static const char TEXT[] =
    "(module (memory (export \"memory\") 1) (table (export \"table\") 4 externref)\n"
    "  (global (export \"global\") (mut i32) (i32.const 0))\n"
    "  (type $b (struct (field i32)))\n"
    "  (func (export \"f\") (param i32 externref) (result anyref) (struct.new $b (local.get 0))))";

enum handles { MODULE = 1, STORE, INSTANCE, FUNC, TABLE, MEMORY, GLOBAL, RESULT, FRESH = 100, PING_ID = 0x7777 };

static struct daemon d;
static hemi_client *other;
static hemi_object *f_of_other;
static uint64_t random_state;
static pid_t worker;
static uint8_t *module_bytes;
static size_t module_size;

static void start(void)
{
    hemi_store *store;
    daemon_start_tenants(&d, 1, "deadline = \"20s\";");
    other = client_open(d.socket);
    f_of_other = export_of(instance_from(other, TEXT, &store), "f");
    ck_assert_uint_eq(daemon_workers(&d, &worker, 1), 1);
    random_state = test_seed();
    wat(TEXT, &module_bytes, &module_size);
}

static void others_go_on(void)
{
    hemi_val args[2] = {hemi_i32(1), hemi_null(HEMI_CLASS_EXTERN)}, result;
    ok(other, hemi_call(f_of_other, args, 2, &result, 1, NULL));
    hemi_drop(other, &result);
}

static void stop(void)
{
    pid_t now;
    others_go_on();
    ck_assert_uint_eq(daemon_workers(&d, &now, 1), 1);
    ck_assert_int_eq(now, worker);
    hemi_client_free(other);
    free(module_bytes);
    daemon_stop(&d);
}

static unsigned pick(unsigned n) { return (unsigned)(test_random(&random_state) % n); }

/* ---- valid frames */

static void put(struct frame_writer *w, unsigned type, uint32_t id, const void *body, const void *raw, size_t n)
{
    struct frame_out f = {.type = (uint16_t)type, .request = id, .body = body, .raw = raw, .raw_length = n, .fd = -1};
    ck_assert_uint_ne(frame_writer_put(w, &f), 0);
}

static void put_export(struct frame_writer *w, uint32_t id, uint32_t handle, const char *name)
{
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    body.instance = INSTANCE;
    body.handle = handle;
    put(w, FRAME_EXPORT_GET, id, &body, name, strlen(name));
}

static void put_setup(struct frame_writer *w)
{
    Hemi__V1__ModuleNew module = HEMI__V1__MODULE_NEW__INIT;
    Hemi__V1__StoreNew store = HEMI__V1__STORE_NEW__INIT;
    Hemi__V1__InstanceNew instance = HEMI__V1__INSTANCE_NEW__INIT;
    module.module = MODULE;
    module.total = module_size;
    put(w, FRAME_MODULE_NEW, 1, &module, module_bytes, module_size);
    store.store = STORE;
    put(w, FRAME_STORE_NEW, 2, &store, NULL, 0);
    instance.instance = INSTANCE;
    instance.module = MODULE;
    instance.store = STORE;
    put(w, FRAME_INSTANCE_NEW, 3, &instance, NULL, 0);
    put_export(w, 4, FUNC, "f");
    put_export(w, 5, TABLE, "table");
    put_export(w, 6, MEMORY, "memory");
    put_export(w, 7, GLOBAL, "global");
}

/* A plausible body of any type: every 32-bit field a handle of the set-up, or a small number. The set-up's handles are
 * numbered so that field 1 can be any of them; the descriptor tells where the fields are. */
static void put_plausible(struct frame_writer *w, const struct frame_info *info, uint32_t id)
{
    uint8_t raw[256];
    uint8_t body[512] = {0};
    protobuf_c_message_init(info->body, (ProtobufCMessage *)(void *)body);
    for (unsigned i = 0; i < info->body->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &info->body->fields[i];
        uint32_t v = pick(4) == 0 ? FRESH + pick(8) : i == 0 ? pick(12) : pick(10);
        if (strstr(f->name, "deadline")) v = 1000;
        if (f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_SINT32 || f->type == PROTOBUF_C_TYPE_BOOL)
            memcpy(body + f->offset, &(uint32_t){f->type == PROTOBUF_C_TYPE_BOOL ? v & 1 : v}, 4);
        else if (f->type == PROTOBUF_C_TYPE_UINT64)
            memcpy(body + f->offset, &(uint64_t){v}, 8);
    }
    size_t n = info->raw_max == 0 || pick(3) == 0 ? 0 : pick(3) == 0 ? pick(64) : 16u * pick(4);
    if (n > info->raw_max) n = info->raw_max;
    for (size_t i = 0; i < n; i++) raw[i] = (uint8_t)(pick(3) ? pick(4) : pick(256));
    put(w, info->type, frame_is_request(info) ? id : 0, body, raw, n);
}

/* ---- mutation and exchange */

static void mutate(uint8_t *bytes, size_t n)
{
    unsigned times = 1 + pick(3);
    for (unsigned i = 0; i < times; i++) {
        /* Mostly what follows the header: a broken header hardly gets anywhere. */
        size_t at = n > FRAME_HEADER_BYTES && pick(4) ? FRAME_HEADER_BYTES + pick((unsigned)(n - FRAME_HEADER_BYTES))
                                                      : pick((unsigned)n);
        switch (pick(4)) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << pick(8));
            break;
        case 1:
            bytes[at] = (uint8_t)pick(256);
            break;
        case 2:
            bytes[at] = pick(2) ? 0xFF : 0;
            break;
        default:
            bytes[at] = (uint8_t)(bytes[at] + (pick(2) ? 1 : -1));
        }
    }
}

static int raw_open(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", d.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

enum ending { PONG, CLOSED, SILENT_END };

/* Reads until the PING is answered or the connection ends; what comes must be well formed. A mutated length may have
 * swallowed the PING: after a while without an answer our side is closed. */
static enum ending listen_to(int fd)
{
    struct frame_reader r;
    struct frame f;
    enum ending how = SILENT_END;
    frame_reader_init(&r, FRAME_W2C, FRAME_GREETING);
    double end = now_ms() + 30000;
    for (;;) {
        enum frame_next next;
        while ((next = frame_reader_next(&r, &f)) == FRAME_READY) {
            if (f.head.type == FRAME_WELCOME) r.state = FRAME_OPEN;
            if (f.head.type == FRAME_CLOSE) how = CLOSED;
            if (f.head.type == FRAME_REPLY && f.head.request == PING_ID) how = PONG;
        }
        if (how != SILENT_END || next == FRAME_FAILED) break;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 500) == 0) shutdown(fd, SHUT_WR);
        ck_assert_msg(now_ms() < end, "neither an answer nor an end");
        frame_reader_recv(&r, fd);
    }
    ck_assert_msg(how != SILENT_END || r.error == PROTO_END || r.error == PROTO_IO, "the worker sent %s",
                  proto_error_text(r.error));
    frame_reader_deinit(&r);
    return how;
}

static void send_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return; /* the worker has closed already: listen_to sees how */
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* Does the stream end between two frames, as their headers have it? If not the worker waits for more. */
static bool ends_whole(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= (ptrdiff_t)FRAME_HEADER_BYTES) {
        uint32_t length = wire_get_u32(at);
        if ((size_t)(end - at) - FRAME_HEADER_BYTES < length) return false;
        at += FRAME_HEADER_BYTES + length;
    }
    return at == end;
}

static enum ending exchange(const struct frame_info *info)
{
    struct frame_writer w;
    uint8_t hello[HELLO_MAX];
    frame_writer_init(&w);
    put_setup(&w);
    size_t from = w.end;
    put_plausible(&w, info, 50);
    size_t to = w.end;
    Hemi__V1__Empty empty = HEMI__V1__EMPTY__INIT;
    put(&w, FRAME_PING, PING_ID, &empty, NULL, 0);
    mutate(w.buffer + from, to - from);
    int fd = raw_open();
    struct hello h = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    send_all(fd, hello, hello_write(&h, hello));
    send_all(fd, w.buffer + w.begin, w.end - w.begin);
    if (!ends_whole(w.buffer + from, w.buffer + w.end)) shutdown(fd, SHUT_WR);
    enum ending how = listen_to(fd);
    close(fd);
    frame_writer_deinit(&w);
    return how;
}

static unsigned frames_per_type(void)
{
    const char *given = getenv("HEMI_FUZZ_FRAMES");
    if (given) return (unsigned)strtoul(given, NULL, 10);
    return slowness() > 1 ? 400 : 10000;
}

START_TEST(mutated_frames_of_every_request_type)
{
    size_t count;
    const struct frame_info *table = frame_table(&count);
    const struct frame_info *info = &table[_i];
    if (!(info->sender & FRAME_C2W)) return;
    unsigned endings[3] = {0}, n = frames_per_type();
    for (unsigned i = 0; i < n; i++) {
        endings[exchange(info)]++;
        if (i % 500 == 0) others_go_on();
    }
    printf("%-16s %u mutated: %u answered, %u told why, %u ended\n", info->name, n, endings[PONG], endings[CLOSED],
           endings[SILENT_END]);
    ck_assert_msg(endings[PONG] + endings[CLOSED] > n / 2, "hardly any connection was answered or told why");
}
END_TEST

START_TEST(a_hello_of_any_shape_is_answered_or_refused)
{
    uint8_t hello[HELLO_MAX];
    struct hello h = {.major = PROTO_MAJOR, .minor = PROTO_MINOR};
    for (unsigned i = 0; i < 1000; i++) {
        size_t n = hello_write(&h, hello);
        mutate(hello, n);
        int fd = raw_open();
        send_all(fd, hello, pick(4) ? n : pick((unsigned)n));
        shutdown(fd, SHUT_WR);
        listen_to(fd);
        close(fd);
    }
    others_go_on();
}
END_TEST

START_TEST(mutated_modules_through_the_daemon)
{
    unsigned accepted = 0, n = 10000;
    hemi_client *client = client_open(d.socket);
    uint8_t *copy = malloc(module_size);
    for (unsigned i = 0; i < n; i++) {
        hemi_module *module;
        memcpy(copy, module_bytes, module_size);
        for (unsigned k = 1 + pick(3); k > 0; k--) copy[8 + pick((unsigned)module_size - 8)] = (uint8_t)pick(256);
        hemi_status status = hemi_module_new(client, copy, module_size, &module, NULL);
        if (status == HEMI_OK) {
            hemi_store *store;
            hemi_instance *instance;
            accepted++;
            hemi_client_set_deadline(client, 200);
            ok(client, hemi_store_new(client, NULL, &store, NULL));
            if (hemi_instance_new(store, module, NULL, 0, NULL, &instance, NULL) == HEMI_OK)
                hemi_instance_free(instance);
            hemi_client_set_deadline(client, 0);
            ok(client, hemi_store_close(store, NULL));
        } else {
            ck_assert_msg(status == HEMI_INVALID_MODULE || status == HEMI_LIMIT, "%s: %s", hemi_status_text(status),
                          hemi_client_error(client));
        }
        hemi_module_free(module);
    }
    printf("%u mutated modules, %u still valid\n", n, accepted);
    free(copy);
    hemi_client_free(client);
}
END_TEST

int main(void)
{
    size_t count;
    frame_table(&count);
    Suite *s = suite_create("fuzz");
    TCase *t = tcase_create("mutations");
    tcase_add_checked_fixture(t, start, stop);
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, mutated_frames_of_every_request_type, 0, (int)count);
    tcase_add_test(t, a_hello_of_any_shape_is_answered_or_refused);
    tcase_add_test(t, mutated_modules_through_the_daemon);
    suite_add_tcase(s, t);
    return run_suite(s);
}
