/* libhemi: what is waited for ends, whatever the worker does; and so does a guest whose output nobody takes. */
#include <fcntl.h>

#include "tests/unit/client_peer.h"

static bool readable(int fd)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    return poll(&at, 1, 0) == 1;
}

/* ---- a worker that is stopped */
START_TEST(a_wait_after_a_cancel_ends_without_the_worker)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_cancel(p.client, ticket), HEMI_OK);
    ck_assert_int_ge(hemi_client_timeout(p.client), 0); /* nor does an event loop wait for ever */
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_CANCELLED);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_ARGUMENT); /* it is taken */
    ck_assert_int_eq(hemi_client_ended(p.client), HEMI_OK);
    peer_ok(&p); /* should it go on later */
    peer_ok(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* A cancellation puts off no deadline. */
START_TEST(a_wait_ends_at_the_first_of_two_ends)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    hemi_client_set_deadline(p.client, 1);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_flush(p.client), HEMI_OK);
    poll(NULL, 0, 50);
    ck_assert_int_eq(hemi_cancel(p.client, ticket), HEMI_OK);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_DEADLINE);
    peer_deinit(&p);
}
END_TEST

static uint64_t page[8192];

/* As much as the socket takes. */
enum { WRITES = 32 };
static void fill_socket(struct peer *p, hemi_object *memory)
{
    hemi_ticket ticket;
    for (int i = 0; i < WRITES; i++)
        ck_assert_int_eq(hemi_memory_write(memory, 0, page, sizeof page, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_client_dispatch(p->client), HEMI_OK);
    ck_assert(!hemi_client_pending(p->client)); /* the rest waits for room */
}

static hemi_object *memory_of(struct peer *p)
{
    hemi_object *memory;
    peer_open(p);
    peer_store(p);
    peer_ok(p);
    ck_assert_int_eq(hemi_memory_new(p->store, 1, 1, false, &memory, NULL), HEMI_OK);
    return memory;
}

START_TEST(an_interrupt_ends_a_wait_though_the_socket_is_full)
{
    struct peer p;
    hemi_ticket ticket;
    hemi_object *memory = memory_of(&p);
    fill_socket(&p, memory);
    ck_assert_int_eq(hemi_memory_write(memory, 0, page, 8, &ticket), HEMI_OK);
    hemi_client_interrupt(p.client);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_INTERRUPTED);
    ck_assert_int_eq(hemi_client_ended(p.client), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* Also when all that is still to be sent has its answer. */
START_TEST(an_interrupt_ends_a_flush_of_a_full_socket)
{
    struct peer p;
    fill_socket(&p, memory_of(&p));
    for (int i = 0; i < WRITES && _i == 1; i++) peer_ok(&p);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    hemi_client_interrupt(p.client);
    ck_assert_int_eq(hemi_flush(p.client), HEMI_INTERRUPTED);
    ck_assert(!readable(hemi_client_fd(p.client))); /* nor does it wake anybody later */
    ck_assert_int_eq(hemi_client_ended(p.client), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

START_TEST(an_interrupt_ends_one_wait)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    hemi_client_interrupt(p.client);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_INTERRUPTED);
    peer_ok(&p);
    for (int i = 0; i < 3; i++) {
        peer_ok(&p);
        ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    }
    peer_deinit(&p);
}
END_TEST

/* A request that there is no room for is not made, and what it would have made is not there. */
START_TEST(an_interrupt_ends_a_wait_for_the_window)
{
    struct peer p;
    hemi_module *module;
    hemi_ticket ticket;
    peer_open(&p);
    while (!hemi_would_block(p.client)) ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    hemi_client_interrupt(p.client);
    ck_assert_int_eq(hemi_module_new(p.client, "x", 1, &module, &ticket), HEMI_INTERRUPTED);
    ck_assert_ptr_null(module);
    ck_assert_int_eq(hemi_client_ended(p.client), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* It waits for the next request: meanwhile the loop sleeps. */
START_TEST(an_interrupt_of_nothing_keeps_no_loop_awake)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    int fd = hemi_client_fd(p.client);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    hemi_client_interrupt(p.client);
    ck_assert(readable(fd));
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert(!readable(fd));
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_INTERRUPTED);
    peer_deinit(&p);
}
END_TEST

START_TEST(an_event_loop_passes_an_interrupt_on)
{
    struct peer p;
    struct frame f;
    hemi_ticket ticket;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    hemi_client_interrupt(p.client);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    peer_expect(&p, FRAME_INTERRUPT, &f);
    peer_deinit(&p);
}
END_TEST

/* What took long in between was not the worker's fault. */
START_TEST(an_answer_that_is_here_is_not_given_up)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_cancel(p.client, ticket), HEMI_OK);
    poll(NULL, 0, 1100);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* ---- output that is not taken */
struct reader {
    hemi_status status;
    int calls;
};

static hemi_status on_out(const void *bytes, size_t n, void *env)
{
    struct reader *r = env;
    ck_assert(bytes && n > 0);
    r->calls++;
    return r->status;
}

static void say(struct peer *p, uint32_t stream)
{
    Hemi__V1__StreamData body = HEMI__V1__STREAM_DATA__INIT;
    body.stream = stream;
    peer_put(p, FRAME_STREAM_DATA, 0, &body.base, "hello", 5);
}

/* It was slept over: it comes when the wait has looked for one already. */
static size_t interrupt_input(void *bytes, size_t n, void *env)
{
    struct peer *p = env;
    (void)bytes, (void)n;
    hemi_client_interrupt(p->client);
    return HEMI_INPUT_LATER;
}

START_TEST(an_interrupt_by_an_input_callback_ends_the_wait)
{
    struct peer p;
    struct hemi_wasi_options o = {.size = sizeof o, .in = interrupt_input, .env = &p};
    Hemi__V1__StreamCredit credit = HEMI__V1__STREAM_CREDIT__INIT;
    hemi_wasi *wasi;
    hemi_ticket ticket;
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, NULL, 0);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wasi_new(p.store, &o, &wasi, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, &ticket), HEMI_OK);
    credit.stream = 1;
    credit.bytes = 8;
    peer_put(&p, FRAME_STREAM_CREDIT, 0, &credit.base, NULL, 0);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_INTERRUPTED);
    peer_deinit(&p);
}
END_TEST

static const struct refusal {
    hemi_status callback, worker, request;
} refusals[] = {
    {HEMI_NO_MEMORY, HEMI_CANCELLED, HEMI_NO_MEMORY},
    {HEMI_HOST, HEMI_CANCELLED, HEMI_HOST},
    {HEMI_EXIT, HEMI_EXIT, HEMI_HOST},
    {HEMI_TRAP, HEMI_TRAP, HEMI_HOST},
    {HEMI_EXCEPTION, HEMI_CANCELLED, HEMI_HOST},
    {HEMI_LIMIT, HEMI_OK, HEMI_LIMIT}, /* it had ended before it could be cancelled */
};

/* What else there is of this store and another: it has ended, it is no guest's, or it comes later. */
static void requests_around(struct peer *p, hemi_object *func, hemi_ticket *call)
{
    hemi_ticket ended, collection, elsewhere;
    hemi_store *store = p->store;
    p->store = NULL;
    hemi_object *other = peer_func(p, NULL, 0, NULL, 0);
    p->store = store;
    ck_assert_int_eq(hemi_call(other, NULL, 0, NULL, 0, &elsewhere), HEMI_OK);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, &ended), HEMI_OK);
    ck_assert_int_eq(hemi_store_gc(p->store, &collection), HEMI_OK);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, call), HEMI_OK);
    p->request++; /* nothing answers `elsewhere` */
    peer_ok(p);
    ck_assert_int_eq(hemi_client_dispatch(p->client), HEMI_OK);
    ck_assert(hemi_ready(p->client, ended));
}

static void answer_as(struct peer *p, hemi_status status)
{
    Hemi__V1__Reply body = HEMI__V1__REPLY__INIT;
    body.status = status;
    body.trap = status == HEMI_TRAP;
    peer_reply(p, &body, NULL, 0);
}

START_TEST(a_guest_whose_output_is_not_taken_ends)
{
    const struct refusal *row = &refusals[_i];
    struct peer p;
    struct frame f;
    struct reader r = {.status = row->callback};
    struct hemi_wasi_options o = {.size = sizeof o, .out = on_out, .env = &r};
    hemi_wasi *wasi;
    hemi_ticket first, second;
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, NULL, 0);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wasi_new(p.store, &o, &wasi, NULL), HEMI_OK);
    requests_around(&p, func, &first);
    ck_assert_int_eq(hemi_call(func, NULL, 0, NULL, 0, &second), HEMI_OK);
    say(&p, 1);
    say(&p, 1);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_eq(r.calls, 1); /* what comes behind it is thrown away */
    const Hemi__V1__Cancel *cancel = (const Hemi__V1__Cancel *)peer_expect(&p, FRAME_CANCEL, &f);
    ck_assert_uint_eq(cancel->request, first);
    peer_ok(&p); /* the collection */
    answer_as(&p, row->worker);
    r.status = HEMI_OK;
    say(&p, 1); /* the next program may write again, whether this one's end was looked at or not */
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_eq(r.calls, 2);
    ck_assert_int_eq(hemi_wait(p.client, first), row->request);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "standard output was not taken"));
    ck_assert_int_eq(hemi_client_status(p.client), row->request);
    ck_assert_uint_eq(hemi_client_trap(p.client), 0);
    say(&p, 1);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, second), HEMI_OK);
    ck_assert_int_eq(r.calls, 3);
    peer_deinit(&p);
}
END_TEST

/* A start function writes, too. */
START_TEST(an_instantiation_whose_output_is_not_taken_ends)
{
    struct peer p;
    struct frame f;
    struct reader r = {.status = HEMI_LIMIT};
    struct hemi_wasi_options o = {.size = sizeof o, .err = on_out, .env = &r};
    hemi_wasi *wasi;
    hemi_module *module;
    hemi_instance *instance;
    hemi_ticket ticket;
    peer_open(&p);
    peer_store(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wasi_new(p.store, &o, &wasi, NULL), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_module_new(p.client, "x", 1, &module, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_instance_new(p.store, module, NULL, 0, wasi, &instance, &ticket), HEMI_OK);
    say(&p, 1);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    const Hemi__V1__Cancel *cancel = (const Hemi__V1__Cancel *)peer_expect(&p, FRAME_CANCEL, &f);
    ck_assert_uint_eq(cancel->request, ticket);
    peer_fail(&p, HEMI_CANCELLED);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_LIMIT);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "standard error was not taken"));
    peer_deinit(&p);
}
END_TEST

/* ---- time */
START_TEST(a_deadline_runs_from_when_the_request_is_sent)
{
    struct peer p;
    hemi_ticket first, second;
    peer_open(&p);
    hemi_client_set_deadline(p.client, 1);
    ck_assert_int_eq(hemi_ping(p.client, &first), HEMI_OK);
    hemi_client_set_deadline(p.client, 0);
    ck_assert_int_eq(hemi_ping(p.client, &second), HEMI_OK);
    ck_assert_int_eq(hemi_client_timeout(p.client), -1);
    if (_i == 0) ck_assert_int_eq(hemi_flush(p.client), HEMI_OK);
    if (_i == 1) ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    if (_i < 2) ck_assert_int_ge(hemi_client_timeout(p.client), 0);
    ck_assert_int_eq(hemi_wait(p.client, first), HEMI_DEADLINE);
    peer_ok(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, second), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* ---- what is no connection */
static int unused_number(void)
{
    int fd = open("/dev/null", O_RDONLY);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

static hemi_status connect_to(int fd, const char *text)
{
    hemi_client *client;
    hemi_status status = hemi_connect_fd(fd, NULL, &client);
    ck_assert_msg(strstr(hemi_client_error(client), text), "%s", hemi_client_error(client));
    hemi_client_free(client);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    return status;
}

START_TEST(a_descriptor_that_is_no_stream_socket_is_an_argument)
{
    int unused = unused_number(); /* which the client's own next descriptor gets */
    ck_assert_int_eq(connect_to(-1, "Bad file descriptor"), HEMI_ARGUMENT);
    ck_assert_int_eq(connect_to(unused, "Bad file descriptor"), HEMI_ARGUMENT);
    ck_assert_int_eq(connect_to(open("/dev/null", O_RDWR), "non-socket"), HEMI_ARGUMENT);
    ck_assert_int_eq(connect_to(socket(AF_UNIX, SOCK_DGRAM, 0), "another kind"), HEMI_ARGUMENT);
    ck_assert_int_eq(connect_to(socket(AF_UNIX, SOCK_STREAM, 0), "not connected"), HEMI_CONNECT);
    ck_assert_int_eq(unused_number(), unused);
}
END_TEST

/* The program has put something else under the descriptor's number: no defect of Hemi's. */
START_TEST(a_socket_that_fails_is_a_worker_lost)
{
    struct peer p;
    hemi_ticket ticket;
    int fd = peer_init(&p), other = socket(AF_UNIX, SOCK_STREAM, 0);
    peer_welcome(&p, WINDOW_DEFAULT_REQUESTS);
    ck_assert_int_eq(hemi_connect_fd(fd, NULL, &p.client), HEMI_OK);
    ck_assert_int_eq(dup2(other, fd), fd);
    close(other);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_flush(p.client), HEMI_WORKER_LOST);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "not connected"));
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_WORKER_LOST);
    peer_deinit(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_ends");
    TCase *c = tcase_create("client_ends");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_wait_after_a_cancel_ends_without_the_worker);
    tcase_add_test(c, a_wait_ends_at_the_first_of_two_ends);
    tcase_add_test(c, an_interrupt_ends_a_wait_though_the_socket_is_full);
    tcase_add_loop_test(c, an_interrupt_ends_a_flush_of_a_full_socket, 0, 2);
    tcase_add_test(c, an_interrupt_ends_one_wait);
    tcase_add_test(c, an_interrupt_ends_a_wait_for_the_window);
    tcase_add_test(c, an_interrupt_of_nothing_keeps_no_loop_awake);
    tcase_add_test(c, an_event_loop_passes_an_interrupt_on);
    tcase_add_test(c, an_answer_that_is_here_is_not_given_up);
    tcase_add_test(c, an_interrupt_by_an_input_callback_ends_the_wait);
    tcase_add_loop_test(c, a_guest_whose_output_is_not_taken_ends, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(c, an_instantiation_whose_output_is_not_taken_ends);
    tcase_add_loop_test(c, a_deadline_runs_from_when_the_request_is_sent, 0, 3);
    tcase_add_test(c, a_descriptor_that_is_no_stream_socket_is_an_argument);
    tcase_add_test(c, a_socket_that_fails_is_a_worker_lost);
    suite_add_tcase(s, c);
    return run_suite(s);
}
