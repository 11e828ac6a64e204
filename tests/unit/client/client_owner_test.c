/* libhemi: whose a client is (one process's, one thread's at a time), what forgotten tickets leave, and that a worker
 * cannot choose ids that make the client slow. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/client_peer.h"

static const hemi_type i32 = HEMI_TYPE_I32;
static const hemi_type anyref = HEMI_TYPE_ANYREF;

/* ---- the kernel's part */
static bool cannot_wipe; /* a kernel that empties no page at fork */
static void *page;       /* what it was to empty, of the client that was made last */
HEMI_API int madvise(void *at, size_t length, int advice)
{
    if (advice == MADV_WIPEONFORK) page = at;
    if (advice != MADV_WIPEONFORK || !cannot_wipe) return (int)syscall(SYS_madvise, at, length, advice);
    errno = EINVAL;
    return -1;
}

static bool is_mapped(void *at)
{
    unsigned char resident;
    return mincore(at, 4096, &resident) == 0;
}

START_TEST(no_page_outlives_its_client)
{
    struct peer p;
    cannot_wipe = _i == 1;
    peer_open(&p);
    ck_assert_ptr_nonnull(page);
    ck_assert(is_mapped(page) != cannot_wipe);
    peer_deinit(&p);
    ck_assert(!is_mapped(page));
}
END_TEST

/* ---- children */
/* Runs `body` in a forked child; 0 is well. */
static void in_child(struct peer *p, int (*body)(struct peer *p))
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) _exit(body(p));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child: %x", status);
}

static int frees(struct peer *p)
{
    hemi_client_free(p->client);
    return 0;
}

static int finalized;
static void count_up(void *pointer)
{
    (void)pointer;
    finalized++;
}

static int frees_and_finalizes_nothing(struct peer *p)
{
    hemi_client_free(p->client);
    return finalized;
}

/* A client with all there is to send: a call, a drop, an extern. */
static hemi_ticket busy_client(struct peer *p, hemi_val *result)
{
    hemi_ticket ticket;
    hemi_val object;
    peer_open(p);
    hemi_object *func = peer_func(p, &anyref, 1, &i32, 1);
    ck_assert_int_eq(hemi_extern_new(p->store, &finalized, count_up, &object), HEMI_OK);
    hemi_object_free(peer_func(p, NULL, 0, &i32, 1));
    ck_assert_int_eq(hemi_call(func, &object, 1, result, 1, &ticket), HEMI_OK);
    return ticket;
}

/* How many frames of this type the peer finds. */
static unsigned frames(struct peer *p, unsigned type)
{
    struct frame f;
    unsigned n = 0;
    while (peer_take(p, &f)) n += f.head.type == type;
    return n;
}

START_TEST(a_child_that_frees_the_client_sends_nothing_and_finalizes_nothing)
{
    struct peer p;
    hemi_val result;
    uint8_t seven[WIRE_VALUE_BYTES] = {7};
    hemi_ticket ticket = busy_client(&p, &result);
    frames(&p, FRAME_CALL);
    in_child(&p, frees_and_finalizes_nothing);
    ck_assert_uint_eq(frames(&p, FRAME_CALL), 0);
    peer_reply(&p, NULL, seven, sizeof seven);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_OK);
    ck_assert_int_eq(result.of.i32, 7);
    ck_assert_uint_eq(frames(&p, FRAME_CALL), 1);
    ck_assert_int_eq(hemi_client_ended(p.client), HEMI_OK);
    peer_deinit(&p);
    ck_assert_int_eq(finalized, 1);
}
END_TEST

static int uses(struct peer *p)
{
    hemi_val v = hemi_null(HEMI_CLASS_ANY);
    hemi_store *store;
    bool all = hemi_ping(p->client, NULL) == HEMI_CLOSED && hemi_flush(p->client) == HEMI_CLOSED;
    all = all && hemi_client_dispatch(p->client) == HEMI_CLOSED && hemi_wait(p->client, 1) == HEMI_CLOSED;
    all = all && hemi_store_new(p->client, NULL, &store, NULL) == HEMI_CLOSED && !store;
    all = all && hemi_store_close(p->store, NULL) == HEMI_CLOSED && hemi_store_gc(p->store, NULL) == HEMI_CLOSED;
    all = all && hemi_client_ended(p->client) == HEMI_CLOSED && hemi_client_status(p->client) == HEMI_CLOSED;
    all = all && strstr(hemi_client_error(p->client), "forked") && hemi_client_fd(p->client) == -1;
    hemi_client_interrupt(p->client);
    hemi_drop(p->client, &v);
    hemi_client_free(p->client);
    return all ? 0 : 1;
}

START_TEST(a_child_can_use_nothing_of_the_client)
{
    struct peer p;
    hemi_val result;
    cannot_wipe = _i == 1;
    busy_client(&p, &result);
    int fd = hemi_client_fd(p.client);
    struct pollfd at = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    frames(&p, FRAME_CALL);
    in_child(&p, uses);
    struct frame f;
    ck_assert(!peer_take(&p, &f));
    ck_assert_int_eq(poll(&at, 1, 0), 0); /* nor was the parent interrupted */
    peer_deinit(&p);
}
END_TEST

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int frees_and_counts(struct peer *p)
{
    int before = open_descriptors();
    hemi_client_free(p->client);
    return before - open_descriptors() == 3 ? 0 : 1; /* the socket, the interrupt's, epoll's */
}

START_TEST(a_childs_descriptors_are_closed_and_none_outlives_exec)
{
    struct peer p;
    static bool others[1024];
    for (int fd = 0; fd < 1024; fd++) others[fd] = fcntl(fd, F_GETFD) >= 0;
    peer_open(&p);
    ck_assert_int_ge(hemi_client_fd(p.client), 0);
    for (int fd = 3; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        ck_assert_msg(flags < 0 || fd == p.fd || (flags & FD_CLOEXEC) || others[fd], "descriptor %d stays", fd);
    }
    in_child(&p, frees_and_counts);
    peer_deinit(&p);
}
END_TEST

/* The client is in the middle of something then, for ever. */
static void forks(hemi_client *client, hemi_ticket ticket, void *env)
{
    (void)client, (void)ticket;
    in_child(env, frees);
}

START_TEST(a_child_of_a_callback_may_free_the_client)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_then(p.client, ticket, forks, &p), HEMI_OK);
    peer_ok(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* ---- threads */
static void *use_it(void *arg)
{
    struct peer *p = arg;
    hemi_val v = hemi_null(HEMI_CLASS_ANY);
    hemi_store *store;
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(hemi_ping(p->client, NULL), HEMI_BUSY);
        ck_assert_int_eq(hemi_store_new(p->client, NULL, &store, NULL), HEMI_BUSY);
        ck_assert_int_eq(hemi_client_status(p->client), HEMI_BUSY);
        ck_assert_ptr_nonnull(strstr(hemi_client_error(p->client), "thread"));
        hemi_drop(p->client, &v);
        hemi_client_free(p->client); /* does nothing */
    }
    hemi_client_interrupt(p->client); /* the one that may */
    return NULL;
}

static void meets_another_thread(hemi_client *client, hemi_ticket ticket, void *env)
{
    pthread_t thread;
    (void)ticket;
    ck_assert_int_eq(hemi_client_ended(client), HEMI_OK); /* what is left here leaves the client to nobody */
    ck_assert_int_eq(pthread_create(&thread, NULL, use_it, env), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(hemi_client_error(client), ""); /* nothing of it was written */
    ck_assert_int_eq(hemi_wait(client, ticket), HEMI_OK);
}

/* However deep the first one is in it. */
START_TEST(a_second_thread_is_told_so)
{
    struct peer p;
    hemi_ticket ticket;
    peer_open(&p);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    ck_assert_int_eq(hemi_then(p.client, ticket, meets_another_thread, &p), HEMI_OK);
    peer_ok(&p);
    if (_i == 1) ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_INTERRUPTED);
    peer_ok(&p);
    peer_deinit(&p);
}
END_TEST

START_TEST(where_there_is_no_client_that_is_said)
{
    ck_assert_str_eq(hemi_client_error(NULL), "there is no client");
    ck_assert_int_eq(hemi_client_status(NULL), HEMI_ARGUMENT);
}
END_TEST

static void *use_it_alone(void *arg)
{
    struct peer *p = arg;
    peer_ok(p);
    ck_assert_int_eq(hemi_ping(p->client, NULL), HEMI_OK);
    return NULL;
}

START_TEST(a_client_may_move_to_another_thread)
{
    struct peer p;
    pthread_t thread;
    peer_open(&p);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, use_it_alone, &p), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        use_it_alone(&p);
    }
    peer_deinit(&p);
}
END_TEST

static uint64_t made[4];
static struct hammer {
    hemi_client *client;
    uint64_t *made;
} hammers[4];

static void *hammer(void *arg)
{
    const struct hammer *h = arg;
    hemi_ticket ticket;
    for (int i = 0; i < 250; i++) { /* four times that fits the window */
        hemi_status status = hemi_ping(h->client, &ticket);
        ck_assert(status == HEMI_OK || status == HEMI_BUSY);
        *h->made += status == HEMI_OK;
        hemi_client_pending(h->client);
        hemi_client_error(h->client);
    }
    return NULL;
}

START_TEST(threads_at_the_same_time_break_nothing)
{
    struct peer p;
    pthread_t threads[4];
    struct hemi_client_stats stats;
    memset(made, 0, sizeof made);
    peer_open(&p);
    for (size_t i = 0; i < 4; i++) {
        hammers[i] = (struct hammer){.client = p.client, .made = &made[i]};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    hemi_client_stats_get(p.client, &stats);
    ck_assert_uint_eq(stats.requests, made[0] + made[1] + made[2] + made[3]);
    peer_deinit(&p);
}
END_TEST

/* ---- forgotten tickets */
START_TEST(what_a_forgotten_ticket_made_can_be_called_ahead)
{
    struct peer p;
    hemi_module *module;
    hemi_instance *instance;
    hemi_object *func;
    hemi_ticket export, call;
    hemi_val arg = hemi_i32(5), result;
    uint8_t entry[256], five[WIRE_VALUE_BYTES] = {5};
    Hemi__V1__Reply one = HEMI__V1__REPLY__INIT;
    one.value = 1;
    peer_open(&p);
    peer_store(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_module_new(p.client, "x", 1, &module, NULL), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_instance_new(p.store, module, NULL, 0, NULL, &instance, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_export_get(instance, "f", &func, &export), HEMI_OK);
    if (_i == 0) hemi_forget(p.client, export);
    ck_assert_int_eq(hemi_call_ahead(func, &arg, 1, &result, 1, 0, &call), HEMI_OK);
    if (_i == 1) hemi_forget(p.client, export);
    peer_reply(&p, &one, entry, peer_func_entry(entry, &i32, 1, &i32, 1));
    peer_reply(&p, NULL, five, sizeof five);
    ck_assert_int_eq(hemi_wait(p.client, call), HEMI_OK);
    ck_assert_int_eq(result.of.i32, 5);
    ck_assert_ptr_nonnull(hemi_object_entry(func));
    peer_deinit(&p);
}
END_TEST

/* ---- NULL for references */
START_TEST(null_is_the_null_of_its_type)
{
    struct peer p;
    struct frame f;
    hemi_object *global;
    uint64_t zeros[2] = {0};
    peer_open(&p);
    peer_store(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_global_new(p.store, HEMI_TYPE_FUNCREF, true, NULL, &global, NULL), HEMI_OK);
    peer_expect(&p, FRAME_GLOBAL_NEW, &f);
    ck_assert_uint_eq(f.raw_length, 16);
    zeros[0] = 1u << 8; /* a null, of class func */
    ck_assert_int_eq(memcmp(f.raw, zeros, 16), 0);
    peer_ok(&p);
    ck_assert_int_eq(hemi_global_set(global, NULL, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_global_new(p.store, HEMI_TYPE_I64, true, NULL, &global, NULL), HEMI_ARGUMENT);
    ck_assert_ptr_null(global);
    peer_deinit(&p);
}
END_TEST

START_TEST(any_references_can_be_compared)
{
    struct peer p;
    int things[2];
    bool equal;
    hemi_ticket ticket;
    peer_open(&p);
    peer_store(&p);
    hemi_val v[7] = {hemi_null(HEMI_CLASS_ANY), hemi_null(HEMI_CLASS_FUNC), hemi_i31(7), hemi_i31(-7)};
    ck_assert_int_eq(hemi_extern_new(p.store, &things[0], NULL, &v[4]), HEMI_OK);
    ck_assert_int_eq(hemi_extern_new(p.store, &things[0], NULL, &v[5]), HEMI_OK);
    ck_assert_int_eq(hemi_extern_new(p.store, &things[1], NULL, &v[6]), HEMI_OK);
    for (int a = 0; a < 7; a++)
        for (int b = 0; b < 7; b++) {
            bool same = a == b || (a < 2 && b < 2) || (a + b == 9 && (a == 4 || a == 5));
            ck_assert_int_eq(hemi_ref_eq(p.client, &v[a], &v[b], &equal, NULL), HEMI_OK);
            ck_assert_msg(equal == same, "%d and %d", a, b);
        }
    ck_assert_int_eq(hemi_ref_eq(p.client, NULL, &v[1], &equal, &ticket), HEMI_OK);
    ck_assert(hemi_ready(p.client, ticket));
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_OK);
    ck_assert(equal);
    hemi_val number = hemi_i32(1);
    ck_assert_int_eq(hemi_ref_eq(p.client, NULL, &number, &equal, NULL), HEMI_ARGUMENT);
    v[0].of.ref.kind = 9;
    ck_assert_int_eq(hemi_ref_eq(p.client, &v[0], NULL, &equal, NULL), HEMI_ARGUMENT);
    v[4].of.ref.id += 1000;
    ck_assert_int_eq(hemi_ref_eq(p.client, &v[4], NULL, &equal, NULL), HEMI_HANDLE);
    peer_die(&p);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_WORKER_LOST);
    ck_assert_int_eq(hemi_ref_eq(p.client, &v[2], &v[3], &equal, NULL), HEMI_WORKER_LOST);
    peer_deinit(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_owner");
    TCase *c = tcase_create("client_owner");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, no_page_outlives_its_client, 0, 2);
    tcase_add_test(c, a_child_that_frees_the_client_sends_nothing_and_finalizes_nothing);
    tcase_add_loop_test(c, a_child_can_use_nothing_of_the_client, 0, 2);
    tcase_add_test(c, a_childs_descriptors_are_closed_and_none_outlives_exec);
    tcase_add_test(c, a_child_of_a_callback_may_free_the_client);
    tcase_add_loop_test(c, a_second_thread_is_told_so, 0, 2);
    tcase_add_test(c, where_there_is_no_client_that_is_said);
    tcase_add_test(c, a_client_may_move_to_another_thread);
    tcase_add_test(c, threads_at_the_same_time_break_nothing);
    tcase_add_loop_test(c, what_a_forgotten_ticket_made_can_be_called_ahead, 0, 2);
    tcase_add_test(c, null_is_the_null_of_its_type);
    tcase_add_test(c, any_references_can_be_compared);
    suite_add_tcase(s, c);
    return run_suite(s);
}
