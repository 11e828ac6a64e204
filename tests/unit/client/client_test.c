/* libhemi against a scripted worker: connecting, requests, windows, failures, malformed frames, event loops. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "proto/trace.h"
#include "tests/unit/client_peer.h"

static const hemi_type i32 = HEMI_TYPE_I32;

/* ---- connecting */
START_TEST(says_hello)
{
    struct peer p;
    int fd = peer_init(&p);
    struct hemi_connect_options o = {
        .token = "secret", .token_length = 6, .window_requests = 70, .window_bytes = 1 << 21};
    peer_welcome(&p, 64);
    ck_assert_int_eq(hemi_connect_fd(fd, &o, &p.client), HEMI_OK);
    peer_read_hello(&p);
    ck_assert_uint_eq(p.hello.token_length, 6);
    ck_assert_int_eq(memcmp(p.hello.token, "secret", 6), 0);
    ck_assert_uint_eq(p.hello.window_requests, 70);
    ck_assert_uint_eq(p.hello.window_bytes, 1 << 21);
    peer_deinit(&p);
}
END_TEST

/* And what is given to be connected is closed. */
START_TEST(a_token_is_checked)
{
    static char token[HELLO_TOKEN_MAX + 1];
    const struct hemi_connect_options wrong[] = {{.token = token, .token_length = sizeof token}, {.token_length = 1}};
    struct peer p;
    struct hemi_connect_options o = {.token = token, .token_length = HELLO_TOKEN_MAX};
    for (size_t i = 0; i < 2; i++) {
        int fd = peer_init(&p);
        ck_assert_int_eq(hemi_connect_fd(fd, &wrong[i], &p.client), HEMI_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "the token: "));
        ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
        peer_deinit(&p);
    }
    int fd = peer_init(&p);
    peer_welcome(&p, 64);
    ck_assert_int_eq(hemi_connect_fd(fd, &o, &p.client), HEMI_OK);
    peer_read_hello(&p);
    ck_assert_uint_eq(p.hello.token_length, HELLO_TOKEN_MAX);
    peer_deinit(&p);
}
END_TEST

START_TEST(is_refused)
{
    struct peer p;
    int fd = peer_init(&p);
    peer_close(&p, HEMI_DENIED, "not you");
    ck_assert_int_eq(hemi_connect_fd(fd, NULL, &p.client), HEMI_DENIED);
    ck_assert_str_eq(hemi_client_error(p.client), "not you");
    ck_assert_int_eq(hemi_client_ended(p.client), HEMI_DENIED);
    peer_deinit(&p);
}
END_TEST

START_TEST(is_not_welcomed)
{
    struct peer p;
    int fd = peer_init(&p);
    struct hemi_connect_options o = {.timeout_ms = 50};
    ck_assert_int_eq(hemi_connect_fd(fd, &o, &p.client), HEMI_DEADLINE);
    peer_deinit(&p);
    fd = peer_init(&p);
    peer_die(&p);
    ck_assert_int_eq(hemi_connect_fd(fd, NULL, &p.client), HEMI_CONNECT);
    peer_deinit(&p);
    o = (struct hemi_connect_options){.socket = "/nonexistent/hemi.sock"};
    ck_assert_int_eq(hemi_connect(&o, &p.client), HEMI_CONNECT);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "/nonexistent/hemi.sock"));
    hemi_client_free(p.client);
}
END_TEST

START_TEST(sends_before_welcome)
{
    struct peer p;
    struct frame f;
    hemi_ticket ticket;
    int fd = peer_init(&p);
    struct hemi_connect_options o = {.no_welcome = true};
    ck_assert_int_eq(hemi_connect_fd(fd, &o, &p.client), HEMI_OK);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_flush(p.client), HEMI_OK);
    peer_read_hello(&p);
    peer_expect(&p, FRAME_PING, &f);
    peer_welcome(&p, 64);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

START_TEST(worker_is_lost)
{
    struct peer p;
    hemi_ticket a, b;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &a), HEMI_OK);
    ck_assert_int_eq(hemi_ping(p.client, &b), HEMI_OK);
    peer_ok(&p);
    peer_die(&p);
    ck_assert_int_eq(hemi_wait(p.client, a), HEMI_OK);
    ck_assert_int_eq(hemi_wait(p.client, b), HEMI_WORKER_LOST);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_WORKER_LOST);
    peer_deinit(&p);
}
END_TEST

START_TEST(is_closed_in_order)
{
    struct peer p;
    peer_open(&p);
    peer_close(&p, HEMI_DRAINING, "");
    peer_die(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_DRAINING);
    peer_deinit(&p);
}
END_TEST

/* ---- requests */
START_TEST(calls)
{
    struct peer p;
    struct frame f;
    uint8_t raw[32];
    const hemi_type params[] = {HEMI_TYPE_I32, HEMI_TYPE_F64}, results[] = {HEMI_TYPE_I64, HEMI_TYPE_F32};
    peer_open(&p);
    hemi_object *func = peer_func(&p, params, 2, results, 2);
    int64_t wide = -7;
    float narrow = 0.5f;
    wire_put_number(raw, &wide, 8);
    wire_put_number(raw + 16, &narrow, 4);
    peer_reply(&p, NULL, raw, 32);
    hemi_val args[] = {hemi_i32(-3), hemi_f64(2.5)}, out[2];
    hemi_client_set_deadline(p.client, 5000);
    ck_assert_int_eq(hemi_call(func, args, 2, out, 2, NULL), HEMI_OK);
    ck_assert_int_eq(out[0].of.i64, -7);
    ck_assert_float_eq(out[1].of.f32, 0.5f);
    const Hemi__V1__Call *call = (const Hemi__V1__Call *)peer_expect(&p, FRAME_CALL, &f);
    ck_assert_uint_eq(call->deadline_ms, 5000);
    ck_assert_uint_eq(call->result_count, 0);
    int32_t x;
    ck_assert_int_eq(wire_get_number(f.raw, &x, 4), PROTO_OK);
    ck_assert_int_eq(x, -3);
    peer_deinit(&p);
}
END_TEST

START_TEST(refuses_wrong_arguments)
{
    struct peer p;
    hemi_val args[] = {hemi_i64(1), hemi_i32(2)}, out[1];
    peer_open(&p);
    hemi_object *func = peer_func(&p, &i32, 1, &i32, 1);
    ck_assert_int_eq(hemi_call(func, args, 1, out, 1, NULL), HEMI_ARGUMENT);
    ck_assert_int_eq(hemi_call(func, args, 2, out, 1, NULL), HEMI_ARGUMENT);
    ck_assert_int_eq(hemi_call(func, args + 1, 1, out, 0, NULL), HEMI_ARGUMENT);
    ck_assert_int_eq(hemi_memory_size(func, NULL, NULL), HEMI_ARGUMENT);
    ck_assert_int_eq(hemi_wait(p.client, 99), HEMI_ARGUMENT);
    peer_deinit(&p);
}
END_TEST

START_TEST(failures_say_what)
{
    struct peer p;
    hemi_val out;
    uint8_t text[] = "in the middle";
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, &i32, 1);
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.status = HEMI_TRAP;
    body.trap = 5;
    body.offset_plus_1 = 101;
    body.function_plus_1 = 8;
    body.message = (ProtobufCBinaryData){.data = text, .len = 13};
    peer_reply(&p, &body, NULL, 0);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_TRAP);
    uint64_t offset;
    uint32_t function;
    ck_assert_uint_eq(hemi_client_trap(p.client), 5);
    ck_assert_str_eq(hemi_trap_text(5), "out of bounds memory access");
    ck_assert(hemi_client_offset(p.client, &offset) && offset == 100);
    ck_assert(hemi_client_function(p.client, &function) && function == 7);
    ck_assert_str_eq(hemi_client_error(p.client), "in the middle");
    body = (Hemi__V1__Reply)HEMI__V1__REPLY__INIT;
    body.status = HEMI_EXIT;
    body.exit_code = -3;
    peer_reply(&p, &body, NULL, 0);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_EXIT);
    ck_assert_int_eq(hemi_client_exit_code(p.client), -3);
    ck_assert(!hemi_client_offset(p.client, &offset));
    body.status = HEMI_DEPENDENCY_FAILED;
    body.failed_request = 2;
    peer_reply(&p, &body, NULL, 0);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_DEPENDENCY_FAILED);
    ck_assert_uint_eq(hemi_client_failed_request(p.client), 2);
    peer_deinit(&p);
}
END_TEST

/* It went on with whatever number the variable had held. */
START_TEST(what_was_not_asked_has_no_ticket)
{
    struct peer p;
    hemi_val arg = hemi_i32(1);
    hemi_object *made;
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, NULL, 0);
    hemi_ticket t = 9999;
    ck_assert_int_eq(hemi_wait(p.client, t), HEMI_ARGUMENT);
    ck_assert_str_eq(hemi_client_error(p.client), "ticket 9999 was waited for or forgotten before, or never made");
    ck_assert_int_eq(hemi_call(func, &arg, 1, NULL, 0, &t), HEMI_ARGUMENT);
    ck_assert_uint_eq(t, 0);
    t = 9999;
    ck_assert_int_eq(hemi_export_get(NULL, "f", &made, &t), HEMI_ARGUMENT);
    ck_assert_uint_eq(t, 0);
    t = 9999;
    ck_assert_int_eq(hemi_memory_size(func, NULL, &t), HEMI_ARGUMENT);
    ck_assert_uint_eq(t, 0);
    peer_deinit(&p);
}
END_TEST

/* It was ARGUMENT, and the advice to wait for what had been waited for. */
START_TEST(calling_what_was_not_exported_is_a_failed_dependency)
{
    struct peer p;
    hemi_module *module;
    hemi_instance *instance;
    hemi_object *func;
    hemi_ticket t;
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    peer_open(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_store_new(p.client, NULL, &p.store, NULL), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_module_new(p.client, "x", 1, &module, NULL), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_instance_new(p.store, module, NULL, 0, NULL, &instance, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_export_get(instance, "f", &func, &t), HEMI_OK);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_ARGUMENT);
    peer_fail(&p, HEMI_NOT_FOUND);
    ck_assert_int_eq(hemi_wait(p.client, t), HEMI_NOT_FOUND);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_DEPENDENCY_FAILED);
    ck_assert_uint_eq(hemi_client_failed_request(p.client), t);
    ck_assert_int_eq(hemi_export_get(instance, "g", &func, &t), HEMI_OK);
    body.status = HEMI_DEPENDENCY_FAILED;
    body.failed_request = 2; /* where it began is told on */
    peer_reply(&p, &body, NULL, 0);
    ck_assert_int_eq(hemi_wait(p.client, t), HEMI_DEPENDENCY_FAILED);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_DEPENDENCY_FAILED);
    ck_assert_uint_eq(hemi_client_failed_request(p.client), 2);
    peer_deinit(&p);
}
END_TEST

START_TEST(pipelines)
{
    struct peer p;
    struct frame f;
    hemi_ticket tickets[64];
    struct hemi_client_stats before, after;
    peer_open(&p);
    hemi_client_stats_get(p.client, &before);
    for (int i = 0; i < 64; i++) ck_assert_int_eq(hemi_ping(p.client, &tickets[i]), HEMI_OK);
    for (int i = 0; i < 64; i++) peer_ok(&p);
    ck_assert(!hemi_ready(p.client, tickets[0]));
    for (int i = 63; i >= 0; i--) ck_assert_int_eq(hemi_wait(p.client, tickets[i]), HEMI_OK);
    hemi_client_stats_get(p.client, &after);
    ck_assert_uint_eq(after.writes - before.writes, 1);
    ck_assert_uint_le(after.reads - before.reads, 4);
    ck_assert_uint_eq(after.round_trips - before.round_trips, 1);
    for (int i = 0; i < 64; i++) peer_expect(&p, FRAME_PING, &f);
    peer_deinit(&p);
}
END_TEST

START_TEST(answers_in_any_order)
{
    struct peer p;
    hemi_ticket a, b;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &a), HEMI_OK);
    ck_assert_int_eq(hemi_ping(p.client, &b), HEMI_OK);
    p.request = 1;
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, b), HEMI_OK);
    ck_assert(!hemi_ready(p.client, a));
    p.request = 0;
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, a), HEMI_OK);
    ck_assert_int_eq(hemi_wait(p.client, a), HEMI_ARGUMENT);
    peer_deinit(&p);
}
END_TEST

START_TEST(keeps_the_window)
{
    struct peer p;
    struct frame f;
    hemi_ticket tickets[200];
    int fd = peer_init(&p);
    peer_welcome(&p, 64);
    ck_assert_int_eq(hemi_connect_fd(fd, NULL, &p.client), HEMI_OK);
    peer_read_hello(&p);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(hemi_would_block(p.client), i > 0 && i % 64 == 0);
        for (int answers = 0; i > 0 && i % 64 == 0 && answers < 64; answers++) peer_ok(&p);
        ck_assert_int_eq(hemi_ping(p.client, &tickets[i]), HEMI_OK);
    }
    ck_assert_int_eq(hemi_flush(p.client), HEMI_OK);
    for (int i = 0; i < 200; i++) peer_expect(&p, FRAME_PING, &f);
    while (p.request < 200) peer_ok(&p);
    for (int i = 0; i < 200; i++) ck_assert_int_eq(hemi_wait(p.client, tickets[i]), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

START_TEST(chains_and_cancels)
{
    struct peer p;
    struct frame f;
    hemi_ticket a, b;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &a), HEMI_OK);
    hemi_client_set_chained(p.client, true);
    ck_assert_int_eq(hemi_ping(p.client, &b), HEMI_OK);
    ck_assert_int_eq(hemi_cancel(p.client, a), HEMI_OK);
    peer_expect(&p, FRAME_PING, &f);
    ck_assert_uint_eq(f.head.flags, 0);
    peer_expect(&p, FRAME_PING, &f);
    ck_assert_uint_eq(f.head.flags, FRAME_FLAG_IF_PREVIOUS_OK);
    ck_assert_uint_eq(((const Hemi__V1__Cancel *)peer_expect(&p, FRAME_CANCEL, &f))->request, a);
    peer_fail(&p, HEMI_CANCELLED);
    peer_fail(&p, HEMI_DEPENDENCY_FAILED);
    ck_assert_int_eq(hemi_wait(p.client, a), HEMI_CANCELLED);
    ck_assert_int_eq(hemi_wait(p.client, b), HEMI_DEPENDENCY_FAILED);
    peer_deinit(&p);
}
END_TEST

START_TEST(forgets)
{
    struct peer p;
    hemi_ticket a;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &a), HEMI_OK);
    hemi_forget(p.client, a);
    ck_assert_int_eq(hemi_wait(p.client, a), HEMI_ARGUMENT);
    peer_ok(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* A worker that is stopped keeps no deadline: the client gives up by itself. */
START_TEST(gives_up)
{
    struct peer p;
    struct frame f;
    peer_open(&p);
    hemi_client_set_deadline(p.client, 20);
    uint64_t start = clock_ms();
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_DEADLINE);
    ck_assert_uint_ge(clock_ms() - start, 1000);
    peer_expect(&p, FRAME_CANCEL, &f);
    peer_ok(&p); /* the late answer is taken and thrown away */
    peer_ok(&p);
    hemi_client_set_deadline(p.client, 0);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

static void *interrupt_soon(void *arg)
{
    struct peer *p = arg;
    struct frame f;
    poll(NULL, 0, 50);
    hemi_client_interrupt(p->client);
    while (!peer_take(p, &f) || f.head.type != FRAME_INTERRUPT) poll(NULL, 0, 1);
    peer_fail(p, HEMI_INTERRUPTED);
    return NULL;
}

START_TEST(is_interrupted_from_elsewhere)
{
    struct peer p;
    pthread_t thread;
    hemi_val out;
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, &i32, 1);
    pthread_create(&thread, NULL, interrupt_soon, &p);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_INTERRUPTED);
    pthread_join(thread, NULL);
    peer_deinit(&p);
}
END_TEST

/* ---- modules and memories */
START_TEST(large_modules_are_sealed_memfds)
{
    struct peer p;
    struct frame f;
    hemi_module *module;
    size_t size = (1 << 20) + 5;
    uint8_t *bytes = calloc(1, size), *seen;
    bytes[size - 1] = 9;
    peer_open(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_module_new(p.client, bytes, size, &module, NULL), HEMI_OK);
    const Hemi__V1__ModuleNew *body = (const Hemi__V1__ModuleNew *)peer_expect(&p, FRAME_MODULE_NEW, &f);
    ck_assert_uint_eq(body->total, size);
    ck_assert_int_ge(f.fd, 0);
    ck_assert_int_eq(fcntl(f.fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    seen = mmap(NULL, size, PROT_READ, MAP_PRIVATE, f.fd, 0);
    ck_assert_uint_eq(seen[size - 1], 9);
    munmap(seen, size);
    close(f.fd);
    peer_deinit(&p);
    free(bytes);
}
END_TEST

/* Both sides move more than the socket holds: the reading end is a thread. */
static void *read_chunks(void *arg)
{
    struct peer *p = arg;
    struct frame f;
    size_t got = 0;
    do {
        while (!peer_take(p, &f)) poll(&(struct pollfd){.fd = p->fd, .events = POLLIN}, 1, 1000);
        if (f.head.type == FRAME_MODULE_DATA) ck_assert_uint_eq(((const Hemi__V1__ModuleData *)f.body)->offset, got);
        got += f.raw_length;
        peer_ok(p);
    } while (f.head.type != FRAME_MODULE_NEW);
    ck_assert_uint_eq(got, ((const Hemi__V1__ModuleNew *)f.body)->total);
    return NULL;
}

START_TEST(large_modules_go_in_chunks)
{
    struct peer p;
    pthread_t thread;
    hemi_module *module;
    size_t size = (3u << 20) + 1;
    uint8_t *bytes = calloc(1, size);
    int fd = peer_init(&p);
    struct hemi_connect_options o = {.no_memfd = true};
    peer_welcome(&p, 64);
    ck_assert_int_eq(hemi_connect_fd(fd, &o, &p.client), HEMI_OK);
    peer_read_hello(&p);
    pthread_create(&thread, NULL, read_chunks, &p);
    ck_assert_int_eq(hemi_module_new(p.client, bytes, size, &module, NULL), HEMI_OK);
    pthread_join(thread, NULL);
    peer_deinit(&p);
    free(bytes);
}
END_TEST

/* The first two of three entries, then the third. */
static void *answer_describe(void *arg)
{
    struct peer *p = arg;
    struct frame f;
    uint8_t raw[512];
    struct extern_entry e = {.kind = EXTERN_MEMORY,
                             .flags = EXTERN_HAS_MAX,
                             .module_length = 3,
                             .name_length = 2,
                             .module = (const uint8_t *)"env",
                             .min = 1,
                             .max = 2};
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.value = 3;
    for (int piece = 0; piece < 2; piece++) {
        while (!peer_take(p, &f) || f.head.type != FRAME_MODULE_DESCRIBE) poll(NULL, 0, 1);
        ck_assert_uint_eq(((const Hemi__V1__ModuleDescribe *)f.body)->first, 2 * piece);
        e.name = (const uint8_t *)(piece ? "m3" : "m1");
        size_t n = extern_entry_write(&e, raw, NULL);
        if (piece == 0) n += extern_entry_write(&e, raw + n, NULL);
        peer_reply(p, &body, raw, n);
    }
    return NULL;
}

START_TEST(describes_in_pieces)
{
    struct peer p;
    pthread_t thread;
    hemi_module *module;
    const struct hemi_entry *imports;
    size_t count;
    peer_open(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_module_new(p.client, "x", 1, &module, NULL), HEMI_OK);
    pthread_create(&thread, NULL, answer_describe, &p);
    ck_assert_int_eq(hemi_module_imports(module, &imports, &count), HEMI_OK);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(imports[0].module, "env");
    ck_assert_str_eq(imports[2].name, "m3");
    ck_assert(imports[1].has_max && imports[1].max == 2 && imports[1].kind == HEMI_MEMORY_OBJECT);
    ck_assert_int_eq(hemi_module_imports(module, &imports, &count), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

START_TEST(reads_and_writes_memories)
{
    struct peer p;
    struct frame f;
    hemi_object *memory;
    uint8_t bytes[8] = {0};
    uint64_t pages;
    peer_open(&p);
    peer_store(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_memory_new(p.store, 1, UINT64_MAX, false, &memory, NULL), HEMI_OK);
    peer_reply(&p, NULL, "abcdefgh", 8);
    ck_assert_int_eq(hemi_memory_read(memory, 16, bytes, 8, NULL), HEMI_OK);
    ck_assert_int_eq(memcmp(bytes, "abcdefgh", 8), 0);
    peer_ok(&p);
    ck_assert_int_eq(hemi_memory_write(memory, 32, bytes, 8, NULL), HEMI_OK);
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.value = 17;
    peer_reply(&p, &body, NULL, 0);
    ck_assert_int_eq(hemi_memory_size(memory, &pages, NULL), HEMI_OK);
    ck_assert_uint_eq(pages, 17);
    ck_assert_uint_eq(((const Hemi__V1__MemoryNew *)peer_expect(&p, FRAME_MEMORY_NEW, &f))->max_plus_1, 0);
    ck_assert_uint_eq(((const Hemi__V1__MemoryRead *)peer_expect(&p, FRAME_MEMORY_READ, &f))->length, 8);
    ck_assert_uint_eq(((const Hemi__V1__MemoryWrite *)peer_expect(&p, FRAME_MEMORY_WRITE, &f))->offset, 32);
    peer_reply(&p, NULL, "short", 5);
    ck_assert_int_eq(hemi_memory_read(memory, 16, bytes, 8, NULL), HEMI_PROTOCOL);
    peer_deinit(&p);
}
END_TEST

/* ---- what a worker must not send */
static void expect_protocol_error(struct peer *p, const char *text)
{
    ck_assert_int_eq(hemi_ping(p->client, NULL), HEMI_PROTOCOL);
    ck_assert_msg(strstr(hemi_client_error(p->client), text) != NULL, "%s", hemi_client_error(p->client));
    ck_assert_int_eq(hemi_client_ended(p->client), HEMI_PROTOCOL);
    peer_deinit(p);
}

START_TEST(worker_breaks_the_protocol)
{
    struct peer p;
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    Hemi__V1__Death death = HEMI__V1__DEATH__INIT;
    Hemi__V1__StreamData data = HEMI__V1__STREAM_DATA__INIT;
    uint8_t notice[16] = {1};
    peer_open(&p); /* an answer to nothing */
    p.request = 41;
    peer_ok(&p);
    expect_protocol_error(&p, "REPLY: a request id");
    peer_open(&p); /* a raw part on a failure */
    body.status = HEMI_LIMIT;
    peer_reply(&p, &body, "x", 1);
    expect_protocol_error(&p, "raw part");
    peer_open(&p); /* a second WELCOME */
    p.w.error = PROTO_OK;
    peer_welcome(&p, 64);
    expect_protocol_error(&p, "not allowed now");
    peer_open(&p); /* a host call to nothing */
    peer_host_call(&p, 1, 77, 1, NULL, 0);
    expect_protocol_error(&p, "HOST_CALL");
    peer_open(&p); /* the death of nothing */
    peer_put(&p, FRAME_DEATH, 0, &death.base, notice, 16);
    expect_protocol_error(&p, "DEATH");
    peer_open(&p); /* data of no stream */
    data.stream = 3;
    peer_put(&p, FRAME_STREAM_DATA, 0, &data.base, "x", 1);
    expect_protocol_error(&p, "no such stream");
    peer_open(&p); /* not a frame at all */
    ck_assert_int_gt(write(p.fd, "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", 31), 0);
    expect_protocol_error(&p, "unknown frame type");
}
END_TEST

START_TEST(answers_of_the_wrong_form)
{
    struct peer p;
    uint8_t raw[32] = {0};
    hemi_val out;
    peer_open(&p); /* too many results */
    hemi_object *func = peer_func(&p, NULL, 0, &i32, 1);
    peer_reply(&p, NULL, raw, 32);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_PROTOCOL);
    peer_deinit(&p);
    peer_open(&p); /* a number with more bytes than its type has */
    func = peer_func(&p, NULL, 0, &i32, 1);
    raw[9] = 1;
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "CALL"));
    peer_deinit(&p);
}
END_TEST

/* A failure with two entries of a trace, and `more` bytes behind them. */
static void peer_trap(struct peer *p, hemi_status status, uint32_t entries, size_t more)
{
    uint8_t raw[256] = {0};
    struct trace_record e = {.kind = TRACE_FUNC,
                             .name_length = 3,
                             .index = 4,
                             .offset = 0x2F,
                             .name = (const uint8_t *)"a\x1B"
                                                      "b"};
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.status = status;
    body.trace_entries = entries;
    uint8_t *end = trace_record_write(&e, raw);
    e = (struct trace_record){.kind = TRACE_MORE, .index = 99};
    end = trace_record_write(&e, end);
    peer_reply(p, &body, raw, (size_t)(end - raw) + more);
}

START_TEST(failures_have_traces)
{
    struct peer p;
    const struct hemi_trace_entry *trace;
    char text[64];
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, NULL, 0);
    peer_trap(&p, HEMI_TRAP, 2, 0);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_TRAP);
    ck_assert_uint_eq(hemi_client_trace(p.client, &trace), 2);
    ck_assert_uint_eq(hemi_trace_text(&trace[0], text, sizeof text), strlen("a\\x1bb at 0x2f"));
    ck_assert_str_eq(text, "a\\x1bb at 0x2f"); /* nothing that a terminal obeys */
    ck_assert_int_eq(memcmp(trace[0].name,
                            "a\x1B"
                            "b",
                            4),
                     0);
    ck_assert_uint_eq(trace[0].index, 4);
    ck_assert_str_eq(trace[0].module, "");
    hemi_trace_text(&trace[1], text, 9);
    ck_assert_str_eq(text, "... 99 m");
    peer_fail(&p, HEMI_TRAP);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_TRAP);
    ck_assert_uint_eq(hemi_client_trace(p.client, &trace), 0);
    peer_trap(&p, HEMI_EXCEPTION, 2, 0); /* an exception that nobody keeps */
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_EXCEPTION);
    ck_assert_uint_eq(hemi_client_trace(p.client, &trace), 2);
    ck_assert(hemi_client_ended(p.client) == HEMI_OK);
    peer_deinit(&p);
}
END_TEST

START_TEST(malformed_traces_end_the_connection)
{
    static const struct {
        hemi_status status;
        uint32_t entries, more;
    } rows[] = {{HEMI_TRAP, 3, 0},          {HEMI_TRAP, 1, 0},      {HEMI_TRAP, 2, 1},     {HEMI_TRAP, 0, 0},
                {HEMI_TRAP, UINT32_MAX, 0}, {HEMI_EXCEPTION, 2, 8}, {HEMI_EXCEPTION, 1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer p;
        const struct hemi_trace_entry *trace;
        peer_open(&p);
        hemi_object *func = peer_func(&p, NULL, 0, NULL, 0);
        peer_trap(&p, rows[i].status, rows[i].entries, rows[i].more);
        ck_assert_msg(hemi_call(func, NULL, 0, NULL, 0, NULL) == HEMI_PROTOCOL, "row %zu", i);
        ck_assert_int_eq(hemi_client_ended(p.client), HEMI_PROTOCOL);
        ck_assert_uint_eq(hemi_client_trace(p.client, &trace), 0);
        peer_deinit(&p);
    }
}
END_TEST

/* ---- event loops */
static int done_calls;

static void on_done(hemi_client *c, hemi_ticket ticket, void *env)
{
    ck_assert(hemi_ready(c, ticket));
    ck_assert_int_eq(hemi_wait(c, ticket), HEMI_OK);
    ck_assert_ptr_eq(env, &done_calls);
    done_calls++;
}

START_TEST(event_loop)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    struct pollfd fd = {.fd = hemi_client_fd(p.client), .events = (short)hemi_client_events(p.client)};
    ck_assert_int_ge(fd.fd, 0);
    ck_assert_int_eq(hemi_client_timeout(p.client), -1);
    ck_assert(!hemi_client_pending(p.client));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
        ck_assert_int_eq(hemi_then(p.client, ticket, on_done, &done_calls), HEMI_OK);
    }
    ck_assert_msg(hemi_client_pending(p.client), "something is to be sent");
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert(!hemi_client_pending(p.client));
    ck_assert_int_eq(poll(&fd, 1, 0), 0);
    for (int i = 0; i < 3; i++) peer_ok(&p);
    ck_assert_int_eq(poll(&fd, 1, 1000), 1);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_eq(done_calls, 3);
    hemi_client_set_deadline(p.client, 500);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_gt(hemi_client_timeout(p.client), 500);
    peer_die(&p);
    ck_assert_int_eq(poll(&fd, 1, 1000), 1);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_WORKER_LOST);
    peer_deinit(&p);
}
END_TEST

/* ---- mutations */
static uint64_t seed;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static hemi_status add(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller;
    (void)env;
    results[0] = hemi_i32(args[0].of.i32 + 1);
    return HEMI_OK;
}

static hemi_status swallow(const void *bytes, size_t n, void *env)
{
    *(size_t *)env += n + (n ? *(const uint8_t *)bytes : 0);
    return HEMI_OK;
}

/* What a worker would say to the requests of run_mutated, as bytes. */
static size_t script(uint8_t *out, size_t room)
{
    struct peer p;
    uint8_t raw[64], entry[128];
    const hemi_type anyref = HEMI_TYPE_ANYREF;
    Hemi__V1__Reply one = HEMI__V1__REPLY__INIT;
    Hemi__V1__StreamData data = HEMI__V1__STREAM_DATA__INIT;
    int fd = peer_init(&p);
    peer_welcome(&p, 64);
    for (int i = 0; i < 5; i++) peer_ok(&p); /* store, module, wasi, host function, instance */
    one.value = 1;
    peer_reply(&p, &one, entry, peer_func_entry(entry, &i32, 1, &anyref, 1));
    peer_i32(raw, 41);
    peer_host_call(&p, 1, 1, 7, raw, 16);
    data.stream = 1;
    peer_put(&p, FRAME_STREAM_DATA, 0, &data.base, "hello", 5);
    struct wire_reference ref = {.kind = WIRE_HANDLE, .handle = 7};
    wire_put_reference(raw, &ref);
    peer_reply(&p, NULL, raw, 16);
    peer_ok(&p);
    ssize_t n = recv(fd, out, room, 0);
    ck_assert_int_gt(n, 0);
    close(fd);
    peer_deinit(&p);
    return (size_t)n;
}

static hemi_status run_mutated(const uint8_t *bytes, size_t n)
{
    struct peer p;
    size_t written = 0;
    hemi_module *module;
    hemi_store *store;
    hemi_wasi *wasi;
    hemi_object *host, *func;
    hemi_instance *instance;
    hemi_ticket t[8];
    hemi_val arg = hemi_i32(1), result;
    struct hemi_func_options type = {.params = &i32, .results = &i32, .nparams = 1, .nresults = 1};
    struct hemi_wasi_options streams = {.out = swallow, .env = &written};
    int fd = peer_init(&p);
    ck_assert_int_eq(write(p.fd, bytes, n), (ssize_t)n);
    shutdown(p.fd, SHUT_WR);
    struct hemi_connect_options o = {.no_welcome = true};
    hemi_status s = hemi_connect_fd(fd, &o, &p.client);
    if (s == HEMI_OK) s = hemi_store_new(p.client, NULL, &store, &t[0]);
    if (s == HEMI_OK) s = hemi_module_new(p.client, "x", 1, &module, &t[1]);
    if (s == HEMI_OK) s = hemi_wasi_new(store, &streams, &wasi, &t[2]);
    if (s == HEMI_OK) s = hemi_func_new(store, &type, add, NULL, &host, &t[3]);
    if (s == HEMI_OK) s = hemi_instance_new(store, module, &host, 1, wasi, &instance, &t[4]);
    if (s == HEMI_OK) s = hemi_export_get(instance, "f", &func, &t[5]);
    if (s == HEMI_OK) s = hemi_call_ahead(func, &arg, 1, &result, 1, 1, &t[6]);
    if (s == HEMI_OK) s = hemi_ping(p.client, &t[7]);
    for (int i = 0; i < 8 && s == HEMI_OK; i++) s = hemi_wait(p.client, t[i]);
    peer_deinit(&p);
    return s;
}

START_TEST(mutated_workers)
{
    const char *given = getenv("HEMI_SEED");
    uint8_t bytes[2048], copy[2048];
    size_t n = script(bytes, sizeof bytes);
    unsigned fine = 0;
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    printf("client_test: HEMI_SEED=%llu\n", (unsigned long long)seed);
    ck_assert_int_eq(run_mutated(bytes, n), HEMI_OK);
    for (unsigned round = 0; round < 10000; round++) {
        size_t length = n;
        memcpy(copy, bytes, n);
        for (unsigned i = 1 + next_random() % 3; i-- > 0;) {
            if (next_random() % 8 == 0) length = 1 + next_random() % length;
            copy[next_random() % length] ^= (uint8_t)(1u << next_random() % 8);
        }
        fine += run_mutated(copy, length) == HEMI_OK;
    }
    ck_assert_uint_lt(fine, 10000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client");
    TCase *c = tcase_create("client");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, says_hello);
    tcase_add_test(c, a_token_is_checked);
    tcase_add_test(c, is_refused);
    tcase_add_test(c, is_not_welcomed);
    tcase_add_test(c, sends_before_welcome);
    tcase_add_test(c, worker_is_lost);
    tcase_add_test(c, is_closed_in_order);
    tcase_add_test(c, calls);
    tcase_add_test(c, refuses_wrong_arguments);
    tcase_add_test(c, failures_say_what);
    tcase_add_test(c, pipelines);
    tcase_add_test(c, answers_in_any_order);
    tcase_add_test(c, keeps_the_window);
    tcase_add_test(c, chains_and_cancels);
    tcase_add_test(c, forgets);
    tcase_add_test(c, gives_up);
    tcase_add_test(c, is_interrupted_from_elsewhere);
    tcase_add_test(c, large_modules_are_sealed_memfds);
    tcase_add_test(c, large_modules_go_in_chunks);
    tcase_add_test(c, describes_in_pieces);
    tcase_add_test(c, reads_and_writes_memories);
    tcase_add_test(c, worker_breaks_the_protocol);
    tcase_add_test(c, answers_of_the_wrong_form);
    tcase_add_test(c, failures_have_traces);
    tcase_add_test(c, malformed_traces_end_the_connection);
    tcase_add_test(c, event_loop);
    tcase_add_test(c, what_was_not_asked_has_no_ticket);
    tcase_add_test(c, calling_what_was_not_exported_is_a_failed_dependency);
    tcase_add_test(c, mutated_workers);
    suite_add_tcase(s, c);
    return run_suite(s);
}
