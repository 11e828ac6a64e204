/* tests/unit/client/client_flat_test.c -- libhemi lets go of what is closed: stores, WASI objects, handle ids, externs.
 */
#include "client/lib/internal.h"
#include "tests/unit/client_peer.h"

static uint32_t nodes_of(const hemi_client *c)
{
    uint32_t n = 0;
    for (const struct node *at = c->nodes; at; at = at->next) n++;
    return n;
}

static void close_store(struct peer *p, hemi_store *store)
{
    peer_ok(p);
    ck_assert_int_eq(hemi_store_close(store, NULL), HEMI_OK);
}

START_TEST(closed_stores_are_forgotten)
{
    struct peer p;
    struct frame f;
    peer_open(&p);
    for (int i = 0; i < 20000; i++) {
        peer_store(&p);
        close_store(&p, p.store);
        while (peer_take(&p, &f)) ck_assert_uint_ne(f.head.type, FRAME_DROP); /* the handle went with the answer */
    }
    ck_assert_uint_eq(nodes_of(p.client), 0);
    ck_assert_uint_eq(p.client->requests.count, 0);
    ck_assert_uint_le(p.client->ours.blocks.count, 1);
    ck_assert_int_eq(hemi_store_close(p.store, NULL), HEMI_CLOSED); /* the last ones still say so */
    peer_deinit(&p);
}
END_TEST

START_TEST(what_is_of_a_store_may_be_freed_after_it)
{
    struct peer p;
    hemi_val v;
    static int object;
    peer_open(&p);
    for (int i = 0; i < 100; i++) {
        peer_store(&p);
        hemi_object *func = peer_func(&p, NULL, 0, NULL, 0);
        ck_assert_int_eq(hemi_extern_new(p.store, &object, NULL, &v), HEMI_OK);
        close_store(&p, p.store);
        peer_store(&p);
        close_store(&p, p.store);
        ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, NULL), HEMI_CLOSED);
        hemi_object_free(func);
    }
    peer_ok(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK); /* finalizers run in a wait */
    ck_assert_uint_eq(p.client->externs.capacity, 0);
    peer_deinit(&p); /* frees the instances and modules */
}
END_TEST

START_TEST(a_forgotten_close_ends_the_store_too)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    peer_store(&p);
    ck_assert_int_eq(hemi_store_close(p.store, &ticket), HEMI_OK);
    hemi_forget(p.client, ticket);
    peer_ok(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    ck_assert_uint_eq(nodes_of(p.client), 0);
    peer_deinit(&p);
}
END_TEST

START_TEST(a_store_that_came_to_nothing_is_forgotten)
{
    struct peer p;
    struct frame f;
    hemi_store *store;
    hemi_ticket ticket, closing;
    peer_open(&p);
    for (int i = 0; i < 1000; i++) {
        peer_fail(&p, HEMI_LIMIT);
        ck_assert_int_eq(hemi_store_new(p.client, NULL, &store, NULL), HEMI_LIMIT);
        ck_assert_ptr_null(store);
        ck_assert_int_eq(hemi_store_new(p.client, NULL, &store, &ticket), HEMI_OK);
        ck_assert_int_eq(hemi_store_close(store, &closing), HEMI_OK);
        peer_fail(&p, HEMI_LIMIT);
        peer_fail(&p, HEMI_DEPENDENCY_FAILED);
        ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_LIMIT);
        ck_assert_int_eq(hemi_wait(p.client, closing), HEMI_DEPENDENCY_FAILED);
        ck_assert_int_eq(hemi_flush(p.client), HEMI_OK);
        peer_expect(&p, FRAME_DROP, &f); /* the worker is told */
        while (peer_take(&p, &f)) continue;
    }
    ck_assert_uint_eq(nodes_of(p.client), 0);
    peer_deinit(&p);
}
END_TEST

/* The answer comes too late for the caller, but not for the library: it closes what was made. */
START_TEST(a_store_that_was_given_up_is_closed)
{
    struct peer p;
    struct frame f;
    hemi_store *store;
    peer_open(&p);
    hemi_client_set_deadline(p.client, 1);
    ck_assert_int_eq(hemi_store_new(p.client, NULL, &store, NULL), HEMI_DEADLINE); /* after a second */
    hemi_client_set_deadline(p.client, 0);
    ck_assert_ptr_null(store);
    peer_ok(&p);
    peer_ok(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    peer_expect(&p, FRAME_STORE_NEW, &f);
    peer_expect(&p, FRAME_STORE_CLOSE, &f);
    ck_assert_uint_eq(nodes_of(p.client), 0);
    peer_deinit(&p);
}
END_TEST

static hemi_status output(const void *bytes, size_t n, void *env)
{
    (void)bytes, (void)n, (void)env;
    return HEMI_OK;
}

static size_t input(void *bytes, size_t n, void *env)
{
    (void)bytes, (void)n, (void)env;
    return HEMI_INPUT_LATER;
}

static hemi_wasi *wasi_of(struct peer *p, hemi_status status)
{
    struct hemi_wasi_options o = {.out = output, .err = output, .in = input};
    hemi_wasi *w;
    peer_fail(p, status);
    ck_assert_int_eq(hemi_wasi_new(p->store, &o, &w, NULL), status);
    return w;
}

static void end_streams(struct peer *p, uint32_t first)
{
    Hemi__V1__StreamEof eof = HEMI__V1__STREAM_EOF__INIT;
    for (eof.stream = first; eof.stream < first + 3; eof.stream++) peer_put(p, FRAME_STREAM_EOF, 0, &eof.base, NULL, 0);
}

START_TEST(wasi_records_go_with_their_streams)
{
    struct peer p;
    peer_open(&p);
    peer_store(&p);
    uint32_t first = 1;
    for (int i = 0; i < 1000; i++, first += 9) {
        ck_assert_ptr_null(wasi_of(&p, HEMI_NO_MEMORY)); /* streams first to first + 2 */
        hemi_wasi *w = wasi_of(&p, HEMI_OK);
        Hemi__V1__StreamCredit credit = HEMI__V1__STREAM_CREDIT__INIT;
        credit.stream = first + 3; /* it waits for input, too */
        credit.bytes = 100;
        peer_put(&p, FRAME_STREAM_CREDIT, 0, &credit.base, NULL, 0);
        end_streams(&p, first + 3);
        peer_ok(&p);
        ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
        hemi_wasi_free(w); /* after its streams */
        hemi_wasi_free(wasi_of(&p, HEMI_OK));
        end_streams(&p, first + 6); /* before them */
        peer_ok(&p);
        ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    }
    ck_assert_uint_eq(p.client->streams.count, 0);
    ck_assert_ptr_null(p.client->inputs);
    ck_assert_uint_eq(nodes_of(p.client), 1);
    peer_deinit(&p);
}
END_TEST

START_TEST(a_closed_store_ends_its_streams)
{
    struct peer p;
    peer_open(&p);
    for (int i = 0; i < 100; i++) {
        peer_store(&p);
        hemi_wasi *w = wasi_of(&p, HEMI_OK);
        hemi_wasi_free(wasi_of(&p, HEMI_OK));
        close_store(&p, p.store);
        hemi_wasi_free(w);
    }
    ck_assert_uint_eq(p.client->streams.count, 0);
    ck_assert_uint_eq(nodes_of(p.client), 0);
    peer_deinit(&p);
}
END_TEST

/* When the cursor comes round, a block with an id in use is passed over. */
START_TEST(ids_come_round)
{
    struct peer p;
    struct frame f;
    peer_open(&p);
    peer_store(&p);
    uint32_t kept = p.store->node.handle, last = 0;
    ck_assert_uint_eq(kept, 1);
    p.client->ours.cursor = HANDLE_WORKER / 4096 - 2;
    for (int i = 0; i < 3 * 4096; i++) {
        peer_store(&p);
        uint32_t id = p.store->node.handle;
        ck_assert_uint_ne(id, 0);
        ck_assert_uint_lt(id, HANDLE_WORKER);
        ck_assert_uint_ne(id, kept);
        ck_assert_uint_ne(id, last);
        close_store(&p, p.store);
        while (peer_take(&p, &f)) continue;
        last = id;
    }
    ck_assert_uint_eq(last / 4096, 2); /* the last block but one, the last, past the first, and on */
    ck_assert_uint_le(p.client->ours.blocks.count, 2);
    peer_deinit(&p);
}
END_TEST

START_TEST(a_burst_of_tickets_leaves_no_table)
{
    enum { BURST = 20000 };
    static hemi_ticket tickets[BURST];
    struct peer p;
    struct frame f;
    peer_open(&p);
    p.client->window.requests_max = BURST;
    for (int i = 0; i < BURST; i++) {
        ck_assert_int_eq(hemi_ping(p.client, &tickets[i]), HEMI_OK);
        while (i % 100 == 0 && peer_take(&p, &f)) continue;
    }
    ck_assert_uint_ge(p.client->requests.capacity, BURST);
    for (int i = 0; i < BURST; i++) {
        peer_ok(&p);
        ck_assert_int_eq(hemi_wait(p.client, tickets[i]), HEMI_OK);
        while (peer_take(&p, &f)) continue;
    }
    ck_assert_uint_le(p.client->requests.capacity, 1024);
    peer_deinit(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_flat");
    TCase *c = tcase_create("flat");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, closed_stores_are_forgotten);
    tcase_add_test(c, what_is_of_a_store_may_be_freed_after_it);
    tcase_add_test(c, a_forgotten_close_ends_the_store_too);
    tcase_add_test(c, a_store_that_came_to_nothing_is_forgotten);
    tcase_add_test(c, a_store_that_was_given_up_is_closed);
    tcase_add_test(c, wasi_records_go_with_their_streams);
    tcase_add_test(c, a_closed_store_ends_its_streams);
    tcase_add_test(c, ids_come_round);
    tcase_add_test(c, a_burst_of_tickets_leaves_no_table);
    suite_add_tcase(s, c);
    return run_suite(s);
}
