/* tests/unit/grave_test.c -- what is freed slowly is freed in slices, while a worker's loop goes on (server/grave.h,
 * server/stretch.h). Only units of work are looked at, never time. */
#include "runtime/vm.h"
#include "server/stretch.h"
#include "tests/unit/session_rig.h"

enum { FIRST = 1000, MANY = 20000, SLICE = 64 };

static int64_t charged;

static bool charge(void *ctx, int64_t delta)
{
    (void)ctx;
    charged += delta;
    return true;
}

/* How many calls it took; each may use up no more than a slice. */
static uint32_t free_store(struct store *s)
{
    uint32_t calls = 0, units;
    bool more;
    do {
        int64_t before = charged;
        units = SLICE;
        more = store_free_some(s, &units);
        ck_assert_uint_le(units, SLICE);
        ck_assert_int_le(charged, before);
        calls++;
    } while (more);
    return calls;
}

START_TEST(store_is_freed_in_slices)
{
    struct engine *e;
    struct store *s;
    struct memory *m;
    struct table *t;
    uint32_t old;
    charged = 0;
    ck_assert_int_eq(engine_new(&(struct engine_options){0}, &e), HEMI_OK);
    ck_assert_int_eq(store_new(e, &(struct store_options){.charge = charge}, &s), HEMI_OK);
    ck_assert_int_eq(memory_new(s, &(struct limits){.min = 64, .max = 64, .has_max = true}, &m), HEMI_OK); /* 4 MiB */
    memset(m->base, 1, m->size);
    struct limits limits = {.min = 1000000, .max = UINT64_MAX};
    ck_assert_int_eq(table_new(s, VT_REF(true, HT_EXTERN), &limits, (union val){0}, &t), HEMI_OK);
    ck_assert_int_eq(table_grow(t, 10, (union val){0}, &old), HEMI_OK);
    for (uint64_t id = 1; id <= MANY; id++) {
        struct root r;
        ck_assert_int_eq(store_extern(s, id, &r), HEMI_OK);
        root_deinit(&r);
    }
    ck_assert_uint_ge(free_store(s), (1024 + 976 + MANY) / SLICE); /* pages of memory and table, externrefs */
    ck_assert_int_eq(charged, 0);
    engine_free(e);
}
END_TEST

static void check_stretches(void)
{
    for (int kind = 0; kind < STRETCH_COUNT; kind++)
        ck_assert_msg(worker.stretches.longest[kind].units <= stretch_most((enum stretch_kind)kind),
                      "a stretch of %s took %u units", stretch_name((enum stretch_kind)kind),
                      worker.stretches.longest[kind].units);
}

static void make_store(uint32_t handle)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    body.store = handle;
    put(FRAME_STORE_NEW, handle, 0, 0, &body, NULL, 0);
    expect(handle, HEMI_OK);
}

START_TEST(connection_with_many_stores_ends_in_slices)
{
    enum { STORES = 200 };
    connect_client();
    struct frame f;
    must_receive(&f, FRAME_WELCOME);
    for (uint32_t i = 0; i < STORES; i++) make_store(FIRST + i);
    close(client.fd);
    client.fd = -1;
    for (int i = 0; i < 100000 && worker.nconnections > 0; i++) turn();
    ck_assert_uint_eq(worker.nstores, 0);
    check_stretches();
    ck_assert_uint_gt(worker.stretches.longest[STRETCH_grave].units, STORES);
}
END_TEST

/* The budget is full of what lies in the grave: who asks for it digs, and is not refused. */
START_TEST(closed_memory_is_there_for_the_next_store)
{
    boot.limits.memory = 64 << 20;
    connect_client();
    struct frame f;
    must_receive(&f, FRAME_WELCOME);
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t store = 100 + 2 * round;
        make_store(store);
        Hemi__V1__MemoryNew memory = HEMI__V1__MEMORY_NEW__INIT;
        memory.store = store;
        memory.memory = store + 1;
        memory.min = 640; /* 40 MiB: the budget has room for one */
        put(FRAME_MEMORY_NEW, store + 1, 0, 0, &memory, NULL, 0);
        expect(store + 1, HEMI_OK);
        Hemi__V1__StoreClose end = HEMI__V1__STORE_CLOSE__INIT;
        end.store = store;
        put(FRAME_STORE_CLOSE, 1, 0, 0, &end, NULL, 0);
        expect(1, HEMI_OK);
    }
    check_stretches();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grave");
    TCase *engine = tcase_create("engine"), *session = tcase_create("session");
    tcase_add_test(engine, store_is_freed_in_slices);
    suite_add_tcase(suite, engine);
    tcase_add_checked_fixture(session, setup, teardown);
    tcase_add_test(session, connection_with_many_stores_ends_in_slices);
    tcase_add_test(session, closed_memory_is_there_for_the_next_store);
    suite_add_tcase(suite, session);
    return run_suite_forked(suite);
}
