/* tests/unit/server/worker/session_calls_test.c -- a worker's sessions: host calls, externs, output, streams, draining.
 */
#include "tests/unit/session_rig.h"

/* ---- host calls */

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
    static const enum hemi_status statuses[] = {HEMI_HOST, HEMI_TRAP};
    open_client();
    make_stores(1);
    for (uint32_t id = 3; id < 5; id++) {
        call(id, 0, h(0, CALL_OUT));
        host_reply(must_receive_host_call(0), statuses[id - 3]);
        Hemi__V1__Reply reply = reply_to(id);
        ck_assert_uint_eq(reply.status, statuses[id - 3]);
        ck_assert_uint_eq(reply.trap, TRAP_HOST_TRAP);
    }
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

/* ---- externs */

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

static void expect_unread(uint32_t id, enum hemi_status status)
{
    Hemi__V1__Reply reply = reply_to(id);
    ck_assert_uint_eq(reply.status, status);
    ck_assert(reply.values_unread);
}

/* The client takes back what it counted: no DEATH follows. */
START_TEST(externs_of_failed_requests_do_not_count)
{
    open_client();
    make_stores(1);
    uint8_t raw[2 * WIRE_VALUE_BYTES] = {0};
    wire_put_reference(raw, &(struct wire_reference){.kind = WIRE_EXTERN, .class_ = WIRE_CLASS_EXTERN, .payload = 7});
    call_raw(1, 0, 0, h(0, TAKE), raw, sizeof raw); /* one argument too many */
    expect_unread(1, HEMI_ARGUMENT);
    call(2, 0, h(0, LOOP));
    take_extern(3, 8, h(0, TAKE));
    cancel(3); /* never began */
    expect_unread(3, HEMI_CANCELLED);
    cancel(2);
    expect(2, HEMI_CANCELLED);
    gc(4, store_of(0));
    expect(4, HEMI_OK);
    ping(5);
    expect(5, HEMI_OK); /* and no DEATH in between */
    take_extern(6, 8, h(0, TAKE));
    expect(6, HEMI_OK);
    gc(7, store_of(0));
    expect(7, HEMI_OK);
    expect_death(8, 1);
}
END_TEST

/* A store, its host function of type [] -> [externref], and what calls it; a function that takes two v128. */
enum { WIDE_STORE = 500, GIVE, WIDE_INSTANCE, GET, WIDE };
static void make_wide_store(void)
{
    uint8_t result[4];
    Hemi__V1__FuncNew body = HEMI__V1__FUNC_NEW__INIT;
    const uint32_t import = body.func = GIVE;
    body.store = WIDE_STORE;
    wire_put_u32(result, wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN));
    module_new_wat(900, MODULE,
                   "(module (import \"h\" \"g\" (func $g (result externref)))"
                   "(func (export \"get\") (result externref) (call $g))"
                   "(func (export \"wide\") (param v128 v128)))");
    store_new_handle(901, WIDE_STORE);
    put(FRAME_FUNC_NEW, 902, 0, 0, &body, result, sizeof result);
    instantiate(903, WIDE_INSTANCE, MODULE, WIDE_STORE, 0, &import, 1);
    export_get(904, WIDE_INSTANCE, "get", GET);
    export_get(905, WIDE_INSTANCE, "wide", WIDE);
    for (int i = 0; i < 6; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    }
}

static void give_extern(uint32_t host_call, enum wire_class class_, uint64_t payload)
{
    uint8_t raw[WIRE_VALUE_BYTES];
    Hemi__V1__HostReply body = HEMI__V1__HOST_REPLY__INIT;
    wire_put_reference(raw,
                       &(struct wire_reference){.kind = WIRE_EXTERN, .class_ = (uint8_t)class_, .payload = payload});
    put(FRAME_HOST_REPLY, host_call, 0, 0, &body, raw, sizeof raw);
}

/* There is no answer to it that could say otherwise. */
START_TEST(externs_of_host_replies_count_also_when_they_come_too_late)
{
    open_client();
    make_wide_store();
    call(1, 0, GET);
    uint32_t late = must_receive_host_call(0);
    cancel(1);
    expect(1, HEMI_CANCELLED);
    give_extern(late, WIRE_CLASS_EXTERN, 5);
    expect_death(5, 1);
    call(2, 0, GET);
    give_extern(must_receive_host_call(0), WIRE_CLASS_ANY, 6); /* of no such type: it is no extern of the store's */
    expect(2, HEMI_HOST);
    call(3, 0, GET);
    give_extern(must_receive_host_call(0), WIRE_CLASS_EXTERN, 6);
    expect(3, HEMI_OK);
    gc(4, WIDE_STORE);
    expect(4, HEMI_OK);
    expect_death(6, 1);
}
END_TEST

START_TEST(a_vector_is_no_extern)
{
    open_client();
    make_wide_store();
    uint8_t raw[2 * WIRE_VALUE_BYTES];
    const struct wire_reference ref = {.kind = WIRE_EXTERN, .class_ = WIRE_CLASS_EXTERN, .payload = 9};
    for (int i = 0; i < 2; i++) wire_put_reference(raw + i * WIRE_VALUE_BYTES, &ref);
    call_raw(1, 0, 0, WIDE, raw, sizeof raw);
    expect(1, HEMI_OK);
    call_raw(2, 0, 0, WIDE, raw, WIRE_VALUE_BYTES); /* one is missing */
    expect_unread(2, HEMI_ARGUMENT);
    gc(3, WIDE_STORE);
    expect(3, HEMI_OK);
    ping(4);
    expect(4, HEMI_OK); /* and no DEATH in between */
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

/* ---- output */

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

/* ---- streams */

static const char echo[] =
    "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"fd_sync\" (func $p (param i32) (result i32)))"
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
    Suite *suite = suite_create("session_calls");
    TCase *tc = session_case(suite);
    tcase_add_test(tc, host_calls_nest);
    tcase_add_test(tc, host_failures_trap_the_guest);
    tcase_add_test(tc, late_answers_are_ignored);
    tcase_add_test(tc, a_circle_in_one_chain_is_a_deadlock);
    tcase_add_test(tc, a_circle_of_two_chains_is_a_deadlock);
    tcase_add_test(tc, nesting_is_limited);
    tcase_add_test(tc, deaths_count_what_was_received);
    tcase_add_test(tc, externs_of_failed_requests_do_not_count);
    tcase_add_test(tc, externs_of_host_replies_count_also_when_they_come_too_late);
    tcase_add_test(tc, a_vector_is_no_extern);
    tcase_add_test(tc, a_number_is_no_extern);
    tcase_add_test(tc, output_is_capped);
    tcase_add_test(tc, output_waits_for_credit);
    tcase_add_test(tc, input_is_granted_when_read);
    tcase_add_test(tc, input_without_credit_is_an_error);
    tcase_add_test(tc, draining_waits_for_work_and_tells_the_rest);
    tcase_add_test(tc, draining_ends_at_its_timeout);
    return run_suite_forked(suite);
}
