/* tests/unit/server/worker/session_test.c -- a worker's sessions: the form of frames, handles and their order,
 * stopping. What needs processes is in tests/e2e. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/unit/session_rig.h"

/* ---- form */

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

/* ---- pipelining */

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

/* ---- stopping */

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

/* The reply to the short one is written, and finds nobody, just before the long one would get another slice. */
START_TEST(a_client_goes_with_two_calls_running)
{
    struct connection *c = open_client();
    make_stores(2);
    call(1, 0, h(0, LOOP));
    flush();
    while (worker.sched.live == 0) turn();
    call(2, 0, h(1, QUICK));
    flush();
    close(client.fd);
    client.fd = -1;
    while (!c->ending) turn();
}
END_TEST

/* A turn of the loop is a slice, for whoever has used up one. */
static unsigned turns_until_reply(uint32_t id)
{
    struct frame f;
    unsigned turns = 0;
    for (;; turns++) {
        enum frame_next next = frame_reader_next(&client.r, &f);
        if (next == FRAME_READY) break;
        ck_assert_int_eq(next, FRAME_NONE);
        turn();
        frame_reader_recv(&client.r, client.fd);
    }
    ck_assert_uint_eq(f.head.request, id);
    return turns;
}

START_TEST(three_hundred_spinning_stores_of_one_client_are_one)
{
    enum { STORES = 300 };
    boot.limits.memory = 8 * GIB;
    worker_init_pools(&worker);
    struct connection *c = open_client();
    c->window.requests_max = 65536;
    make_stores(STORES);
    struct client loud = client;
    open_client();
    make_stores(2);
    struct client quick = client;
    client = loud;
    for (uint32_t k = 0; k < STORES; k++) call(1 + k, 0, h(k, LOOP));
    flush();
    client = quick;
    while (worker.sched.live < STORES) turn();
    for (int i = 0; i < 20; i++) { /* first they are new, then they have used up slices */
        for (int k = i; k > 0; k--) turn();
        call(1, 0, h(0, QUICK));
        flush();
        ck_assert_uint_le(turns_until_reply(1), 3);
    }
    call(2, 0, h(1, LOOP));
    flush();
    for (int i = 0; i < 20; i++) turn();
    const struct activation *loop = &((struct request *)idmap_get(&LIST_FIRST(&worker.connections)->requests, 2))->act;
    ck_assert_uint_ge(loop->slices, 8); /* every other one */
    frame_writer_deinit(&loud.w);
    frame_reader_deinit(&loud.r);
    close(loud.fd);
}
END_TEST

/* ---- modules on their way */

static int module_with_seals(size_t n, int seals)
{
    static const uint8_t empty[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    int fd = memfd_create("module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
    ck_assert_int_eq(pwrite(fd, empty, sizeof empty, 0), sizeof empty);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int sealed_module(size_t n) { return module_with_seals(n, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE); }

static void module_of(uint32_t id, uint32_t module, uint16_t flags, int fd, uint64_t total)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = module;
    body.total = total;
    struct frame_out f = {
        .type = FRAME_MODULE_NEW, .flags = flags | FRAME_FLAG_FD, .request = id, .body = &body.base, .fd = dup(fd)};
    ck_assert_uint_gt(frame_writer_put(&client.w, &f), 0);
}

static int next_free(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

/* Else its owner could change or cut it under the worker. */
START_TEST(a_module_that_can_change_is_refused)
{
    static const struct {
        int seals;
        uint64_t total;
    } cases[] = {{F_SEAL_SHRINK | F_SEAL_GROW, 8},
                 {F_SEAL_SHRINK | F_SEAL_WRITE, 8},
                 {F_SEAL_GROW | F_SEAL_WRITE, 8},
                 {F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, 9},
                 {F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, 0}};
    open_client();
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = module_with_seals(8, cases[i].seals);
        module_of(1 + i, 1000 + i, 0, fd, cases[i].total);
        expect(1 + i, HEMI_ARGUMENT);
        close(fd);
    }
}
END_TEST

START_TEST(the_last_handles_are_dropped)
{
    open_client();
    drop(UINT32_MAX, 1);
    drop(UINT32_MAX - 1, 2);
    ping(1);
    expect(1, HEMI_OK);
}
END_TEST

/* Hundreds of them used up the worker's table of descriptors. */
START_TEST(queued_modules_hold_no_descriptors)
{
    enum { QUEUED = 400 };
    open_client();
    make_stores(1);
    int fd = sealed_module(8), before = next_free();
    call(1, 0, h(0, CALL_OUT));
    uint32_t outstanding = must_receive_host_call(0);
    for (uint32_t i = 0; i < QUEUED; i++) { /* each waits for the one before it */
        module_of(2 + i, 1000 + i, FRAME_FLAG_IF_PREVIOUS_OK, fd, 8);
        flush();
        turn();
    }
    ck_assert_uint_eq(LIST_FIRST(&worker.connections)->nrequests, 1 + QUEUED);
    ck_assert_int_eq(next_free(), before);
    host_reply(outstanding, HEMI_OK);
    for (uint32_t i = 0; i <= QUEUED; i++) expect(1 + i, HEMI_OK);
    close(fd);
}
END_TEST

START_TEST(a_descriptor_lost_to_a_full_table_is_one_failed_request)
{
    struct rlimit was, full;
    open_client();
    make_stores(1);
    int fd = sealed_module(8);
    module_of(1, 1000, 0, fd, 8);
    ping(2);
    module_of(3, 1001, 0, fd, 8);
    ping(4);
    flush();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
    full = (struct rlimit){.rlim_cur = (rlim_t)next_free(), .rlim_max = was.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
    Hemi__V1__Reply reply = reply_to(1);
    ck_assert_uint_eq(reply.status, HEMI_LIMIT);
    ck_assert_int_eq(strncmp((const char *)reply.message.data, "descriptors", 11), 0);
    expect(2, HEMI_OK);
    expect(3, HEMI_LIMIT);
    expect(4, HEMI_OK);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
    instantiate(5, 2000, 1000, store_of(0), 0, NULL, 0);
    expect(5, HEMI_DEPENDENCY_FAILED);
    drop(1000, 1);
    module_of(6, 1000, 0, fd, 8);
    expect(6, HEMI_OK);
    close(fd);
}
END_TEST

static void chunk_if(uint32_t id, uint16_t flags, uint32_t module, uint64_t total, uint64_t offset, const void *raw,
                     size_t n)
{
    Hemi__V1__ModuleData body = HEMI__V1__MODULE_DATA__INIT;
    body.module = module;
    body.total = total;
    body.offset = offset;
    put(FRAME_MODULE_DATA, id, 0, flags, &body, raw, n);
}

static void chunk(uint32_t id, uint32_t module, uint64_t total, uint64_t offset, const void *raw, size_t n)
{
    chunk_if(id, 0, module, total, offset, raw, n);
}

static void describe(uint32_t id, uint32_t module)
{
    Hemi__V1__ModuleDescribe body = HEMI__V1__MODULE_DESCRIBE__INIT;
    body.module = module;
    put(FRAME_MODULE_DESCRIBE, id, 0, 0, &body, NULL, 0);
}

static void code(uint32_t id, uint32_t module, uint32_t function, const char *name, uint32_t at)
{
    Hemi__V1__ModuleCode body = HEMI__V1__MODULE_CODE__INIT;
    body.module = module;
    body.function = function;
    body.at = at;
    put(FRAME_MODULE_CODE, id, 0, 0, &body, name, name ? strlen(name) : 0);
}

/* A function of 4,000 instructions takes several pieces; nobody goes on where none ended. */
START_TEST(code_comes_in_pieces)
{
    char *text;
    size_t size, lines = 0;
    uint32_t at = 0, id = 2, pieces = 0;
    FILE *out = open_memstream(&text, &size);
    fputs("(module (import \"a\" \"b\" (func)) (func (export \"f\") (param i32)", out);
    for (int i = 0; i < 4000; i++) fputs("(local.set 0 (i32.rotl (local.get 0) (i32.const 1)))", out);
    fputs("))", out);
    fclose(out);
    open_client();
    module_new_wat(1, 7, text);
    expect(1, HEMI_OK);
    free(text);
    do {
        struct frame f;
        code(id++, 7, 0, "f", at);
        must_receive(&f, FRAME_REPLY);
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        ck_assert_uint_eq(reply->status, HEMI_OK);
        ck_assert(reply->value == 0 || reply->value > at);
        at = (uint32_t)reply->value;
        for (uint32_t i = 0; i < f.raw_length; i++) lines += f.raw[i] == '\n';
        pieces++;
    } while (at != 0);
    ck_assert_uint_gt(pieces, 1);
    ck_assert_uint_ge(lines, 4000);
    code(id, 7, 1, NULL, 3);
    expect(id++, HEMI_ARGUMENT);
    code(id, 7, 1, NULL, UINT32_MAX);
    expect(id++, HEMI_ARGUMENT);
    code(id, 7, 0, NULL, 0); /* imported */
    expect(id++, HEMI_ARGUMENT);
    code(id, 7, 2, NULL, 0);
    expect(id++, HEMI_NOT_FOUND);
    code(id, 7, 1, "g", 0);
    expect(id++, HEMI_NOT_FOUND);
    code(id, 8, 1, NULL, 0);
    expect(id, HEMI_HANDLE);
}
END_TEST

static void last_chunk(uint32_t id, uint32_t module, uint64_t total, const void *raw, size_t n)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = module;
    body.total = total;
    put(FRAME_MODULE_NEW, id, 0, 0, &body, raw, n);
}

static void expect_dependency(uint32_t id, uint32_t root)
{
    Hemi__V1__Reply reply = reply_to(id);
    ck_assert_uint_eq(reply.status, HEMI_DEPENDENCY_FAILED);
    ck_assert_uint_eq(reply.failed_request, root);
}

/* Its bytes were taken when it was read, so that a module was made of a chunk whose request had failed. */
START_TEST(a_module_needs_all_of_its_chunks_requests)
{
    open_client();
    chunk(1, 10, 8, 0, "\0as", 3);
    describe(2, 99); /* fails: there is no such handle */
    chunk_if(3, FRAME_FLAG_IF_PREVIOUS_OK, 10, 8, 3, "m", 1);
    chunk(4, 10, 8, 4, "\1", 1);
    last_chunk(5, 10, 8, "\0\0", 3);
    describe(6, 10);
    expect(2, HEMI_HANDLE); /* known when it is read */
    expect(1, HEMI_OK);
    expect_dependency(3, 2);
    expect_dependency(4, 2);
    expect_dependency(5, 2);
    expect_dependency(6, 2);
    drop(10, 1);
    chunk(7, 10, 8, 0, "\0asm\1", 5);
    last_chunk(8, 10, 8, "\0\0", 3);
    describe(9, 10);
    for (uint32_t id = 7; id <= 9; id++) expect(id, HEMI_OK);
}
END_TEST

/* The chunk before it waits for a call that runs for ever; the module for the chunk. */
START_TEST(a_chunk_that_is_cancelled_fails_its_module)
{
    open_client();
    make_stores(1);
    call(1, 0, h(0, LOOP));
    chunk_if(2, FRAME_FLAG_IF_PREVIOUS_OK, 10, 8, 0, "\0asm\1", 5);
    last_chunk(3, 10, 8, "\0\0", 3);
    cancel(2);
    expect(2, HEMI_CANCELLED);
    expect_dependency(3, 2);
    describe(4, 10);
    expect_dependency(4, 2);
    cancel(1);
    expect(1, HEMI_CANCELLED);
}
END_TEST

/* The first had succeeded when the second was read, and was answered after it: the handle was let go of. */
START_TEST(a_chunk_that_does_not_continue_poisons_its_module)
{
    open_client();
    chunk(1, 10, 8, 0, "\0asm", 4);
    chunk(2, 10, 8, 5, "\0", 1);
    describe(3, 10);
    expect(2, HEMI_ARGUMENT);
    expect(1, HEMI_OK);
    expect_dependency(3, 2);
}
END_TEST

START_TEST(a_small_heap_is_rounded_up)
{
    open_client();
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = 1;
    body.heap_bytes = 1;
    put(FRAME_STORE_NEW, 1, 0, 0, &body, NULL, 0);
    expect(1, HEMI_OK);
}
END_TEST

/* 128 MiB that were only announced took 128 MiB: eight of them were the whole budget. */
START_TEST(an_upload_costs_what_has_come_of_it)
{
    enum { UPLOADS = 900 };
    const uint64_t total = 128 << 20;
    static uint8_t megabyte[1 << 20];
    open_client();
    for (uint32_t i = 0; i < UPLOADS; i++) {
        chunk(1 + i, 1 + i, total, 0, "x", 1);
        expect(1 + i, HEMI_OK);
    }
    ck_assert_uint_le(worker.memory_used, UPLOADS * (65536ull + HANDLE_COST));
    uint64_t before = worker.memory_used;
    for (uint32_t i = 0; i < 10; i++) {
        chunk(2000 + i, 1, total, 1 + (uint64_t)i * sizeof megabyte, megabyte, sizeof megabyte);
        expect(2000 + i, HEMI_OK);
        uint64_t have = 1 + (uint64_t)(i + 1) * sizeof megabyte;
        ck_assert_uint_le(worker.memory_used - before, 2 * have + 2 * 65536);
    }
}
END_TEST

START_TEST(an_upload_beyond_the_budget_fails_alone)
{
    static uint8_t megabyte[1 << 20];
    boot.limits.memory = 16 << 20;
    worker_init_pools(&worker);
    open_client();
    uint32_t id = 1;
    enum hemi_status status = HEMI_OK;
    for (uint64_t at = 0; status == HEMI_OK && at < 32 << 20; at += sizeof megabyte, id++) {
        chunk(id, 1, 64 << 20, at, megabyte, sizeof megabyte);
        status = (enum hemi_status)reply_to(id).status;
    }
    ck_assert_int_eq(status, HEMI_LIMIT);
    chunk(id, 1, 64 << 20, 0, megabyte, 1);
    expect(id, HEMI_DEPENDENCY_FAILED);
    drop(1, 1);
    module_new_wat(id + 1, 1, guest);
    expect(id + 1, HEMI_OK);
}
END_TEST

START_TEST(an_empty_module_is_malformed_and_no_more)
{
    open_client();
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = 1;
    put(FRAME_MODULE_NEW, 1, 0, 0, &body, NULL, 0);
    expect(1, HEMI_INVALID_MODULE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tc = session_case(suite);
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
    tcase_add_test(tc, a_client_goes_with_two_calls_running);
    tcase_add_test(tc, three_hundred_spinning_stores_of_one_client_are_one);
    tcase_add_test(tc, a_module_that_can_change_is_refused);
    tcase_add_test(tc, the_last_handles_are_dropped);
    tcase_add_test(tc, queued_modules_hold_no_descriptors);
    tcase_add_test(tc, a_descriptor_lost_to_a_full_table_is_one_failed_request);
    tcase_add_test(tc, a_module_needs_all_of_its_chunks_requests);
    tcase_add_test(tc, a_chunk_that_is_cancelled_fails_its_module);
    tcase_add_test(tc, a_chunk_that_does_not_continue_poisons_its_module);
    tcase_add_test(tc, an_upload_costs_what_has_come_of_it);
    tcase_add_test(tc, an_upload_beyond_the_budget_fails_alone);
    tcase_add_test(tc, code_comes_in_pieces);
    tcase_add_test(tc, a_small_heap_is_rounded_up);
    tcase_add_test(tc, an_empty_module_is_malformed_and_no_more);
    return run_suite_forked(suite);
}
