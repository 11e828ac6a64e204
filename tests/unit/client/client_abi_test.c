/* What programs that were built against an older hemi.h rely on (docs/abi.md): the layout of what they allocate or
 * stride over, and options of any age. */
#include <stddef.h>
#include <sys/mman.h>

#include "tests/unit/client_peer.h"

/* ---- frozen layouts, of 64-bit systems */
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "frozen: " #type);
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), "frozen: " #type "." #member);

SIZE(hemi_ref, 32)
AT(hemi_ref, kind, 0)
AT(hemi_ref, class_, 1)
AT(hemi_ref, handle, 4)
AT(hemi_ref, i31, 8)
AT(hemi_ref, id, 16)
AT(hemi_ref, pointer, 24)
SIZE(hemi_val, 40)
AT(hemi_val, kind, 0)
AT(hemi_val, of, 8)
SIZE(struct hemi_trace_entry, 56)
AT(struct hemi_trace_entry, kind, 0)
AT(struct hemi_trace_entry, instance, 4)
AT(struct hemi_trace_entry, index, 8)
AT(struct hemi_trace_entry, offset, 16)
AT(struct hemi_trace_entry, module, 24)
AT(struct hemi_trace_entry, name, 32)
AT(struct hemi_trace_entry, module_length, 40)
AT(struct hemi_trace_entry, name_length, 48)
SIZE(struct hemi_entry, 104)
AT(struct hemi_entry, kind, 0)
AT(struct hemi_entry, module, 8)
AT(struct hemi_entry, name, 16)
AT(struct hemi_entry, module_length, 24)
AT(struct hemi_entry, name_length, 32)
AT(struct hemi_entry, params, 40)
AT(struct hemi_entry, results, 48)
AT(struct hemi_entry, nparams, 56)
AT(struct hemi_entry, nresults, 64)
AT(struct hemi_entry, type, 72)
AT(struct hemi_entry, min, 80)
AT(struct hemi_entry, max, 88)
AT(struct hemi_entry, has_max, 96)
AT(struct hemi_entry, is64, 97)
AT(struct hemi_entry, is_mutable, 98)
AT(struct hemi_entry, is_shared, 99)
SIZE(struct hemi_stats, 168)
AT(struct hemi_stats, instances, 0)
AT(struct hemi_stats, externs_made, 32)
AT(struct hemi_stats, collections, 56)
AT(struct hemi_stats, memory_bytes, 104)
AT(struct hemi_stats, pause_ns_total, 112)
AT(struct hemi_stats, stores, 128)
AT(struct hemi_stats, frames_out, 160)
SIZE(struct hemi_client_stats, 56)
AT(struct hemi_client_stats, requests, 0)
AT(struct hemi_client_stats, externs_made, 24)
AT(struct hemi_client_stats, writes, 48)
SIZE(struct hemi_wat_error, 248)
AT(struct hemi_wat_error, line, 0)
AT(struct hemi_wat_error, column, 4)
AT(struct hemi_wat_error, offset, 8)
AT(struct hemi_wat_error, message, 16)
SIZE(hemi_type, 4)
SIZE(hemi_ticket, 4)
SIZE(hemi_status, 4)
SIZE(hemi_kind, 4)
SIZE(hemi_class, 4)
SIZE(hemi_object_kind, 4)
SIZE(hemi_trace_kind, 4)

/* ---- options: what the first release had never moves */
AT(struct hemi_connect_options, size, 0)
AT(struct hemi_connect_options, socket, 8)
AT(struct hemi_connect_options, token, 16)
AT(struct hemi_connect_options, token_length, 24)
AT(struct hemi_connect_options, timeout_ms, 32)
AT(struct hemi_connect_options, window_requests, 36)
AT(struct hemi_connect_options, window_bytes, 40)
AT(struct hemi_connect_options, max_nesting, 44)
AT(struct hemi_connect_options, no_welcome, 48)
AT(struct hemi_connect_options, no_memfd, 49)
AT(struct hemi_store_options, size, 0)
AT(struct hemi_store_options, memory_bytes, 8)
AT(struct hemi_store_options, heap_bytes, 16)
AT(struct hemi_store_options, stack_bytes, 24)
AT(struct hemi_store_options, table_elements, 32)
AT(struct hemi_store_options, instances, 40)
AT(struct hemi_store_options, gc_growth_percent, 44)
AT(struct hemi_store_options, gc_stress_every, 48)
AT(struct hemi_wasi_options, size, 0)
AT(struct hemi_wasi_options, args, 8)
AT(struct hemi_wasi_options, nargs, 16)
AT(struct hemi_wasi_options, envs, 24)
AT(struct hemi_wasi_options, nenvs, 32)
AT(struct hemi_wasi_options, out, 40)
AT(struct hemi_wasi_options, err, 48)
AT(struct hemi_wasi_options, in, 56)
AT(struct hemi_wasi_options, env, 64)
AT(struct hemi_wasi_options, output_credit, 72)
AT(struct hemi_wasi_options, terminals, 80)
AT(struct hemi_func_options, size, 0)
AT(struct hemi_func_options, params, 8)
AT(struct hemi_func_options, results, 16)
AT(struct hemi_func_options, nparams, 24)
AT(struct hemi_func_options, nresults, 32)
AT(struct hemi_func_options, module, 40)
AT(struct hemi_func_options, import, 48)
AT(struct hemi_func_options, env_free, 56)
AT(struct hemi_wat_options, size, 0)
AT(struct hemi_wat_options, no_names, 8)

/* ---- options of any age */
enum { FIRST_STORE = 56 };

/* A structure of `bytes` whose end is the end of what may be read. */
static void *at_the_end(size_t bytes)
{
    uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + 4096, 4096, PROT_NONE), 0);
    return pages + 4096 - bytes;
}

static hemi_status store_with(struct peer *p, const struct hemi_store_options *o, uint64_t *heap)
{
    struct frame f;
    hemi_store *store;
    peer_ok(p);
    hemi_status status = hemi_store_new(p->client, o, &store, NULL);
    if (status == HEMI_OK)
        *heap = ((const Hemi__V1__StoreNew *)peer_expect(p, FRAME_STORE_NEW, &f))->heap_bytes;
    else
        p->request--; /* its answer is still to be asked for */
    return status;
}

START_TEST(options_of_the_first_release_are_taken)
{
    struct peer p;
    uint64_t heap = 0;
    peer_open(&p);
    struct hemi_store_options *o = at_the_end(FIRST_STORE);
    o->heap_bytes = 1234567;
    for (size_t size = 0; size <= FIRST_STORE; size += FIRST_STORE) {
        o->size = size;
        ck_assert_int_eq(store_with(&p, o, &heap), HEMI_OK);
        ck_assert_uint_eq(heap, 1234567);
    }
    peer_deinit(&p);
}
END_TEST

START_TEST(options_of_a_later_release_are_taken_while_they_are_zero)
{
    struct peer p;
    uint64_t heap = 0;
    hemi_store *store;
    peer_open(&p);
    uint8_t *bytes = at_the_end(FIRST_STORE + 24);
    struct hemi_store_options *o = (struct hemi_store_options *)(void *)bytes;
    o->size = FIRST_STORE + 24;
    o->heap_bytes = 7654321;
    ck_assert_int_eq(store_with(&p, o, &heap), HEMI_OK);
    ck_assert_uint_eq(heap, 7654321);
    for (size_t at = sizeof *o; at < sizeof *o + 24; at++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "hemi_store_options: byte %zu is set", at);
        bytes[at] = 1;
        ck_assert_int_eq(hemi_store_new(p.client, o, &store, NULL), HEMI_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), wanted));
        ck_assert_ptr_null(store);
        bytes[at] = 0;
    }
    peer_deinit(&p);
}
END_TEST

START_TEST(a_size_that_no_release_had_is_refused)
{
    static const size_t sizes[] = {1, 7, FIRST_STORE - 8, 4097, SIZE_MAX};
    struct peer p;
    uint64_t heap;
    hemi_store *store;
    peer_open(&p);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct hemi_store_options o = {.size = sizes[i]};
        ck_assert_int_eq(hemi_store_new(p.client, &o, &store, NULL), HEMI_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "struct hemi_store_options: size"));
    }
    struct hemi_store_options *largest = at_the_end(4096);
    largest->size = 4096;
    ck_assert_int_eq(store_with(&p, largest, &heap), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* Each structure says its name. */
START_TEST(every_structure_of_options_has_its_size)
{
    struct peer p;
    struct hemi_wat_error error;
    hemi_client *client;
    hemi_wasi *wasi;
    hemi_object *object;
    void *bytes;
    size_t count;
    peer_open(&p);
    peer_store(&p);
    struct hemi_connect_options connect = {.size = 1};
    ck_assert_int_eq(hemi_connect(&connect, &client), HEMI_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(client), "struct hemi_connect_options"));
    hemi_client_free(client);
    ck_assert_int_eq(hemi_connect_fd(-1, &connect, &client), HEMI_ARGUMENT);
    hemi_client_free(client);
    struct hemi_wasi_options streams = {.size = 1};
    ck_assert_int_eq(hemi_wasi_new(p.store, &streams, &wasi, NULL), HEMI_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "struct hemi_wasi_options"));
    struct hemi_func_options type = {.size = 1};
    ck_assert_int_eq(hemi_func_new(p.store, &type, NULL, NULL, &object, NULL), HEMI_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "struct hemi_func_options"));
    struct hemi_wat_options text = {.size = 1};
    ck_assert_int_eq(hemi_wat_assemble("", 0, &text, &bytes, &count, &error), HEMI_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "struct hemi_wat_options"));
    peer_deinit(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_abi");
    TCase *c = tcase_create("client_abi");
    tcase_add_test(c, options_of_the_first_release_are_taken);
    tcase_add_test(c, options_of_a_later_release_are_taken_while_they_are_zero);
    tcase_add_test(c, a_size_that_no_release_had_is_refused);
    tcase_add_test(c, every_structure_of_options_has_its_size);
    suite_add_tcase(s, c);
    return run_suite(s);
}
