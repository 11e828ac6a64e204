/* tests/unit/server/wasi/wasi_test.c -- WASI functions on a real linear memory: layouts, and every access at the
 * memory's edge. What streams do is in session_calls_test. */
#include "proto/value.h"
#include "server/wasi/wasi.h"
#include "server/worker/connection.h"
#include "server/worker/state.h"
#include "server/worker/stores.h"
#include "tests/unit/rig.h"

enum { PAGE = 65536, NARGS = 3 };

static struct rig rig;
static struct memory *memory;
static struct wasi *wasi;

static void setup(void)
{
    static const char strings[] = "prog\0\0third\0HOME=/x\0";
    bool malformed;
    rig_init(&rig);
    struct limits one = {.min = 1, .max = 1, .has_max = true};
    ck_assert_int_eq(memory_new(rig.store, &one, &memory), HEMI_OK);
    wasi = wasi_new(NULL, (const uint8_t *)strings, sizeof strings - 1, NARGS, 1, &malformed);
    ck_assert_ptr_nonnull(wasi);
}

static void teardown(void)
{
    wasi_unref(wasi);
    rig_deinit(&rig);
}

/* Calls with up to four i32 arguments; the errno, with the status expected to be OK. */
static uint32_t call(enum hemi_status (*f)(struct wasi_call *), uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    union val args[4] = {{.i32 = a}, {.i32 = b}, {.i32 = c}, {.i32 = d}};
    struct rt_error err = {0};
    struct wasi_call at = {.wasi = wasi, .memory = memory, .args = args, .err = &err};
    ck_assert_int_eq(f(&at), HEMI_OK);
    return at.error;
}

static uint32_t get32(uint32_t at)
{
    uint8_t bytes[4];
    ck_assert_int_eq(memory_read(memory, at, bytes, 4), HEMI_OK);
    return wire_get_u32(bytes);
}

static void put32(uint32_t at, uint32_t v)
{
    uint8_t bytes[4];
    wire_put_u32(bytes, v);
    ck_assert_int_eq(memory_write(memory, at, bytes, 4), HEMI_OK);
}

START_TEST(arguments_are_laid_out)
{
    char text[32];
    ck_assert_uint_eq(call(wasi_args_sizes_get, 0, 4, 0, 0), WASI_SUCCESS);
    ck_assert_uint_eq(get32(0), NARGS);
    ck_assert_uint_eq(get32(4), 12);
    ck_assert_uint_eq(call(wasi_args_get, 100, 200, 0, 0), WASI_SUCCESS);
    ck_assert_uint_eq(get32(100), 200);
    ck_assert_uint_eq(get32(104), 205);
    ck_assert_uint_eq(get32(108), 206);
    memory_read(memory, 206, text, 6);
    ck_assert_str_eq(text, "third");
    ck_assert_uint_eq(call(wasi_environ_sizes_get, 0, 4, 0, 0), WASI_SUCCESS);
    ck_assert_uint_eq(get32(0), 1);
    ck_assert_uint_eq(get32(4), 8);
}
END_TEST

START_TEST(strings_must_be_exact)
{
    bool malformed;
    ck_assert_ptr_null(wasi_new(NULL, (const uint8_t *)"a\0b", 3, 2, 0, &malformed)); /* not ended */
    ck_assert(malformed);
    ck_assert_ptr_null(wasi_new(NULL, (const uint8_t *)"a\0b\0", 4, 1, 0, &malformed)); /* something left */
    ck_assert(malformed);
    ck_assert_ptr_null(wasi_new(NULL, (const uint8_t *)"a\0b\0", 4, 1, 0xFFFFFFFF, &malformed));
    ck_assert(malformed);
    struct wasi *none = wasi_new(NULL, NULL, 0, 0, 0, &malformed);
    ck_assert_ptr_nonnull(none);
    wasi_unref(none);
}
END_TEST

/* Every function that writes: the last place where it fits, one byte further, and where 32 bits would wrap. */
START_TEST(every_pointer_is_checked)
{
    static const struct {
        const char *name;
        enum hemi_status (*f)(struct wasi_call *);
        int pointer; /* which argument */
        uint32_t size;
        uint32_t args[4];
    } rows[] = {
        {"args_sizes_get 0", wasi_args_sizes_get, 0, 4, {0, 0}},
        {"args_sizes_get 1", wasi_args_sizes_get, 1, 4, {0, 0}},
        {"args_get 0", wasi_args_get, 0, 12, {0, 0}},
        {"args_get 1", wasi_args_get, 1, 12, {0, 0}},
        {"environ_sizes_get", wasi_environ_sizes_get, 1, 4, {0, 0}},
        {"environ_get", wasi_environ_get, 0, 4, {0, 0}},
        {"clock_res_get", wasi_clock_res_get, 1, 8, {1, 0}},
        {"clock_time_get", wasi_clock_time_get, 2, 8, {1, 0, 0}},
        {"fd_write iovs", wasi_fd_write, 1, 16, {1, 0, 2, 0}},
        {"fd_write nwritten", wasi_fd_write, 3, 4, {1, 0, 0, 0}},
        {"fd_read iovs", wasi_fd_read, 1, 8, {0, 0, 1, 0}},
        {"fd_read nread", wasi_fd_read, 3, 4, {0, 0, 0, 0}},
        {"fd_fdstat_get", wasi_fd_fdstat_get, 1, 24, {1, 0}},
        {"fd_filestat_get", wasi_fd_filestat_get, 1, 64, {1, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const uint8_t zeros[128];
        uint32_t a[4];
        memcpy(a, rows[i].args, sizeof a);
        memory_write(memory, PAGE - sizeof zeros, zeros, sizeof zeros); /* iovs there are empty */
        a[rows[i].pointer] = PAGE - rows[i].size;
        ck_assert_msg(call(rows[i].f, a[0], a[1], a[2], a[3]) == WASI_SUCCESS, "%s: fits", rows[i].name);
        a[rows[i].pointer]++;
        ck_assert_msg(call(rows[i].f, a[0], a[1], a[2], a[3]) == WASI_FAULT, "%s: one too far", rows[i].name);
        a[rows[i].pointer] = UINT32_MAX;
        ck_assert_msg(call(rows[i].f, a[0], a[1], a[2], a[3]) == WASI_FAULT, "%s: wraps", rows[i].name);
    }
}
END_TEST

START_TEST(buffers_of_iovs_are_checked)
{
    put32(0, PAGE - 10);
    put32(4, 10);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 1, 100), WASI_SUCCESS);
    ck_assert_uint_eq(get32(100), 10);
    put32(4, 11);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 1, 100), WASI_FAULT);
    put32(0, UINT32_MAX);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 1, 100), WASI_FAULT);
    put32(4, UINT32_MAX);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 1, 100), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_fd_write, 1, PAGE / 2, WASI_IOVS_MAX, 100), WASI_SUCCESS); /* empty ones */
    ck_assert_uint_eq(call(wasi_fd_write, 1, PAGE / 2, WASI_IOVS_MAX + 1, 100), WASI_INVAL);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, UINT32_MAX, 100), WASI_INVAL);
}
END_TEST

/* The second of two vectors, the result's address, the second of two results: whatever is wrong, nothing was done. */
START_TEST(a_fault_means_that_nothing_was_moved)
{
    static uint8_t before[PAGE], after[PAGE];
    struct worker worker = {0};
    struct connection conn = {.worker = &worker};
    struct wstore store = {.conn = &conn};
    struct stream in = {.data = malloc(8), .end = 8, .credit = 8, .input = true};
    memcpy(in.data, "unread!", 8);
    wasi->store = &store;
    wasi->fds[0].stream = &in;
    put32(0, 300);
    put32(4, 3);
    put32(8, PAGE - 4);
    put32(12, 5);
    put32(1000, 77); /* a subscription's user data, which its event has */
    memory_read(memory, 0, before, PAGE);
    ck_assert_uint_eq(call(wasi_fd_read, 0, 0, 2, 100), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_fd_read, 0, 0, 1, PAGE - 3), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 2, 100), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 1, PAGE - 3), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_args_sizes_get, 200, PAGE - 3, 0, 0), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_args_get, PAGE - 4, 200, 0, 0), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_random_get, PAGE - 2000, 2001, 0, 0), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_poll_oneoff, 1000, PAGE - 31, 1, 200), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_poll_oneoff, 1000, PAGE - 63, 2, 200), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_poll_oneoff, 1000, 2000, 1, PAGE - 3), WASI_FAULT);
    memory_read(memory, 0, after, PAGE);
    ck_assert_mem_eq(before, after, PAGE);
    ck_assert_uint_eq(in.begin, 0);
    wasi->fds[0].stream = NULL;
    free(in.data);
}
END_TEST

START_TEST(descriptors_are_checked)
{
    ck_assert_uint_eq(call(wasi_fd_write, 0, 0, 0, 100), WASI_BADF); /* standard input */
    ck_assert_uint_eq(call(wasi_fd_read, 1, 0, 0, 100), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_write, 3, 0, 0, 100), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_seek, UINT32_MAX, 0, 0, 0), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_seek, 1, 0, 0, 0), WASI_SPIPE);
    ck_assert_uint_eq(call(wasi_fd_prestat_get, 3, 0, 0, 0), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_prestat_dir_name, 3, 0, 0, 0), WASI_BADF);
    ck_assert_uint_eq(call(wasi_sock_shutdown, 1, 0, 0, 0), WASI_NOTSOCK);
    ck_assert_uint_eq(call(wasi_sock_shutdown, 3, 0, 0, 0), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_close, 2, 0, 0, 0), WASI_SUCCESS);
    ck_assert_uint_eq(call(wasi_fd_close, 2, 0, 0, 0), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_write, 2, 0, 0, 100), WASI_BADF);
    ck_assert_uint_eq(call(wasi_fd_fdstat_set_flags, 1, 4, 0, 0), WASI_NOTSUP);
}
END_TEST

START_TEST(clocks_and_polls_are_checked)
{
    ck_assert_uint_eq(call(wasi_clock_time_get, 4, 0, 0, 0), WASI_INVAL);
    ck_assert_uint_eq(call(wasi_clock_res_get, UINT32_MAX, 0, 0, 0), WASI_INVAL);
    ck_assert_uint_eq(call(wasi_poll_oneoff, 0, 100, 0, 200), WASI_INVAL);
    ck_assert_uint_eq(call(wasi_poll_oneoff, 0, 100, WASI_SUBSCRIPTIONS_MAX + 1, 200), WASI_INVAL);
    ck_assert_uint_eq(call(wasi_poll_oneoff, PAGE - 47, 100, 1, 200), WASI_FAULT);
}
END_TEST

START_TEST(no_memory_is_a_fault)
{
    memory = NULL;
    ck_assert_uint_eq(call(wasi_args_sizes_get, 0, 4, 0, 0), WASI_FAULT);
    ck_assert_uint_eq(call(wasi_fd_write, 1, 0, 1, 0), WASI_FAULT);
}
END_TEST

START_TEST(exit_unwinds)
{
    union val code = {.i32 = 42};
    struct rt_error err = {0};
    struct wasi_call at = {.wasi = wasi, .memory = memory, .args = &code, .err = &err};
    ck_assert_int_eq(wasi_proc_exit(&at), HEMI_EXIT);
    ck_assert_int_eq(err.exit_code, 42);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wasi");
    TCase *tc = tcase_create("wasi");
    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, arguments_are_laid_out);
    tcase_add_test(tc, strings_must_be_exact);
    tcase_add_test(tc, every_pointer_is_checked);
    tcase_add_test(tc, buffers_of_iovs_are_checked);
    tcase_add_test(tc, a_fault_means_that_nothing_was_moved);
    tcase_add_test(tc, descriptors_are_checked);
    tcase_add_test(tc, clocks_and_polls_are_checked);
    tcase_add_test(tc, no_memory_is_a_fault);
    tcase_add_test(tc, exit_unwinds);
    suite_add_tcase(suite, tc);
    return run_suite_forked(suite);
}
