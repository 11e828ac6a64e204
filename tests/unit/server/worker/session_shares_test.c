/* tests/unit/server/worker/session_shares_test.c -- one client uses up what it can of a worker's pools: others are
 * served, and it is told which pool it was. */
#include "tests/unit/session_rig.h"

enum { MANY = 500 };

/* What parks a guest, without any use of the processor. */
static const char parking[] =
    "(module (import \"h\" \"f\" (func $f))"
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $r (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $p (param i32 i32 i32 i32) (result i32)))"
    "(memory (export \"memory\") 1)"
    "(func (export \"quick\"))"
    "(func (export \"loop\") (loop $l (br $l)))"
    "(func (export \"call\") (call $f))"
    "(func (export \"write\") (i32.store (i32.const 4) (i32.const 100))"
    "  (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"
    "(func (export \"read\") (i32.store (i32.const 4) (i32.const 100))"
    "  (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))))"
    "(func (export \"sleep\") (i32.store (i32.const 116) (i32.const 1)) (i64.store (i32.const 124) (i64.const -1))"
    "  (drop (call $p (i32.const 100) (i32.const 200) (i32.const 1) (i32.const 300)))))";
static const char *const exports[] = {"quick", "loop", "call", "write", "read", "sleep", "memory"};
enum { P_QUICK, P_LOOP, P_CALL, P_WRITE, P_READ, P_SLEEP, P_MEMORY, P_EXPORTS };

static struct client others[4];

/* The next one to speak and be spoken to. */
static void be(struct client *c)
{
    static struct client *present;
    if (present) *present = client;
    present = c;
    client = *c;
}

static void wasi(uint32_t id, uint32_t handle, uint32_t store, uint32_t stream)
{
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    body.wasi = handle;
    body.store = store;
    body.stdin_stream = stream;
    body.stdout_stream = stream + 1;
    put(FRAME_WASI_NEW, id, 0, 0, &body, NULL, 0);
}

static void all_ok(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_OK);
    }
}

/* n stores with an instance each, handles as in the rig. */
static void make_parking(uint32_t n)
{
    uint32_t id = 1000000;
    module_new_wat(id++, MODULE, parking);
    all_ok(1);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t imports[4] = {store_of(k) + 2}, wasi_handle = store_of(k) + 3;
        store_new_handle(id++, store_of(k));
        host_func(id++, imports[0], store_of(k), k);
        wasi(id++, wasi_handle, store_of(k), 1 + 2 * k);
        instantiate(id++, store_of(k) + 1, MODULE, store_of(k), wasi_handle, imports, 4);
        for (uint32_t i = 0; i < P_EXPORTS; i++) export_get(id++, store_of(k) + 1, exports[i], h(k, i));
        all_ok(4 + P_EXPORTS);
    }
}

static struct connection *enter(struct client *c, uint32_t nstores)
{
    be(c);
    struct connection *conn = open_client();
    conn->window.requests_max = 65536;
    make_parking(nstores);
    return conn;
}

static void setup_two(void)
{
    setup();
    enter(&others[1], 3);
    enter(&others[0], MANY);
}

static void teardown_all(void)
{
    be(&others[0]);
    for (size_t i = 1; i < sizeof others / sizeof others[0]; i++) {
        if (!others[i].r.buffer) continue;
        close(others[i].fd);
        frame_writer_deinit(&others[i].w);
        frame_reader_deinit(&others[i].r);
    }
    teardown();
}

static void settle(void)
{
    flush();
    for (int i = 0; i < 50; i++) turn();
}

/* The other client's requests of all kinds, and those of a third that comes now. */
static void others_go_on(void)
{
    be(&others[1]);
    call(1, 0, h(0, P_QUICK));
    expect(1, HEMI_OK);
    call(2, 0, h(1, P_CALL));
    uint32_t outer = must_receive_host_call(1);
    call(3, outer, h(1, P_QUICK)); /* inside it */
    expect(3, HEMI_OK);
    host_reply(outer, HEMI_OK);
    expect(2, HEMI_OK);
    struct connection *third = enter(&others[2], 1);
    call(4, 0, h(0, P_QUICK));
    expect(4, HEMI_OK);
    ck_assert(!third->ending);
}

static bool names_stacks(const Hemi__V1__Reply *reply)
{
    return reply->status == HEMI_LIMIT && reply->message.len > 7 && memcmp(reply->message.data, "stacks:", 7) == 0;
}

/* How many of the calls 1 to MANY were refused; each of those that were answered was. */
static uint32_t count_refused(void)
{
    struct frame f;
    uint32_t n = 0;
    while (receive(&f, 300)) {
        if (f.head.type != FRAME_REPLY) continue;
        ck_assert(names_stacks((const Hemi__V1__Reply *)f.body));
        n++;
    }
    return n;
}

static const uint32_t ways[] = {P_CALL, P_WRITE, P_READ, P_SLEEP};

START_TEST(parked_calls_of_one_client_stop_nobody_else)
{
    be(&others[0]);
    for (uint32_t k = 0; k < MANY; k++) call(1 + k, 0, h(k, ways[_i]));
    settle();
    others_go_on();
    be(&others[0]);
    uint32_t refused = count_refused();
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_lt(refused, MANY / 2);
    ck_assert_uint_eq(worker.sched.live, MANY - refused);
    ping(1000); /* these need no activation */
    expect(1000, HEMI_OK);
    put(FRAME_INFO, 1001, 0, 0, NULL, NULL, 0);
    expect(1001, HEMI_OK);
    cancel(1);
    expect(1, HEMI_CANCELLED);
    call(1002, 0, h(MANY - 1, P_QUICK)); /* in the place of that one */
    expect(1002, HEMI_OK);
}
END_TEST

/* Stacks that are parked leave memory for everything else, however small the tenant is. */
START_TEST(parked_calls_take_half_of_the_memory)
{
    boot.limits.memory = worker.memory_used + 64 * MIB;
    worker.stacks_borrowed_max = 32;
    be(&others[0]);
    for (uint32_t k = 0; k < MANY; k++) call(1 + k, 0, h(k, P_CALL));
    settle();
    ck_assert_uint_eq(worker.sched.live, 32);
    others_go_on();
    be(&others[0]);
    ck_assert_uint_eq(count_refused(), MANY - 32);
}
END_TEST

/* Host functions that call back need stacks beyond those of all the calls that wait for them. */
/* Host calls that came, in whatever order the slices gave them. */
struct parked {
    uint32_t id, store;
};

static uint32_t must_receive_any_host_call(void)
{
    struct frame f;
    must_receive(&f, FRAME_HOST_CALL);
    return f.head.request;
}

/* Calls the host function of each store; how many came to it. */
static uint32_t park_each(struct parked *parked)
{
    struct frame f;
    uint32_t n = 0;
    for (uint32_t k = 0; k < MANY; k++) call(1 + k, 0, h(k, P_CALL));
    while (receive(&f, 300)) {
        if (f.head.type != FRAME_HOST_CALL) continue;
        parked[n++] = (struct parked){f.head.request, (uint32_t)((const Hemi__V1__HostCall *)f.body)->host};
    }
    return n;
}

START_TEST(calls_inside_host_calls_find_stacks)
{
    struct parked parked[MANY];
    be(&others[0]);
    uint32_t n = park_each(parked);
    ck_assert_uint_gt(n, 100);
    for (uint32_t i = 0; i < n; i++) call(10000 + i, parked[i].id, h(parked[i].store, P_QUICK));
    all_ok(n);
}
END_TEST

START_TEST(what_others_park_leaves_stacks_inside_host_calls)
{
    struct parked parked[MANY];
    struct frame f;
    be(&others[0]);
    uint32_t n = park_each(parked);
    enter(&others[2], 150);
    for (uint32_t k = 0; k < 150; k++) call(1 + k, 0, h(k, P_CALL));
    while (receive(&f, 300)) continue;
    be(&others[0]);
    for (uint32_t i = 0; i < n; i++) call(10000 + i, parked[i].id, h(parked[i].store, P_QUICK));
    all_ok(n);
}
END_TEST

START_TEST(a_call_waits_for_a_stack_while_one_of_its_own_client_s_runs)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    be(&others[0]);
    worker.pools[POOL_STACKS].lendable = 0; /* others have borrowed everything */
    call(1, 0, h(0, P_LOOP));
    call(2, 0, h(1, P_QUICK));
    settle();
    ck_assert_ptr_nonnull(c->starved.head);
    worker.pools[POOL_STACKS].lendable = 100; /* and given back */
    expect(2, HEMI_OK);
    worker.pools[POOL_STACKS].lendable = 0;
    call(3, 0, h(1, P_QUICK));
    settle();
    ck_assert_ptr_nonnull(c->starved.head);
    cancel(1);
    expect(1, HEMI_CANCELLED);
    expect(3, HEMI_OK);
    call(4, 0, h(0, P_CALL)); /* it runs, when the other comes, and then waits for the client */
    call(5, 0, h(1, P_QUICK));
    uint32_t parked = must_receive_host_call(0);
    expect(5, HEMI_LIMIT);
    host_reply(parked, HEMI_OK);
    expect(4, HEMI_OK);
}
END_TEST

static void read_memory(uint32_t id, uint32_t k, uint32_t n)
{
    Hemi__V1__MemoryRead body = HEMI__V1__MEMORY_READ__INIT;
    body.memory = h(k, P_MEMORY);
    body.length = n;
    put(FRAME_MEMORY_READ, id, 0, 0, &body, NULL, 0);
}

START_TEST(reads_by_one_that_never_reads_hold_no_stack)
{
    enum { BYTES = 65536 };
    struct connection *c = LIST_FIRST(&worker.connections);
    be(&others[0]);
    for (uint32_t k = 0; k < MANY; k++) read_memory(1 + k, k, BYTES);
    settle();
    ck_assert_uint_eq(worker.sched.live, 0);
    ck_assert_ptr_nonnull(c->stalled.head);
    ck_assert_uint_le(frame_writer_pending(&c->out), c->output_max + 2 * BYTES);
    ck_assert_uint_ge(worker.memory_used, frame_writer_pending(&c->out));
    others_go_on();
    be(&others[0]);
    cancel(MANY); /* one that has not begun */
    for (uint32_t k = 0; k < MANY; k++) {
        struct frame f;
        must_receive(&f, FRAME_REPLY);
        ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, f.head.request == MANY ? HEMI_CANCELLED : HEMI_OK);
    }
    ck_assert_uint_eq(c->output.used, 0);
}
END_TEST

START_TEST(a_reply_that_finds_no_room_holds_no_stack)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    be(&others[0]);
    call(1, 0, h(0, P_CALL));
    uint32_t parked = must_receive_host_call(0);
    for (uint32_t k = 1; k < MANY; k++) read_memory(1 + k, k, 65536);
    host_reply(parked, HEMI_OK);
    settle();
    ck_assert_ptr_nonnull(c->stalled.head);
    ck_assert_uint_eq(worker.sched.live, 0);
    all_ok(MANY);
}
END_TEST

START_TEST(a_stack_that_could_not_be_made_is_not_counted)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    uint64_t used = worker.memory_used;
    uint32_t max = worker.sched.fibers.max;
    while (fiber_pool_shrink(&worker.sched.fibers)) continue;
    for (uint32_t units = UINT32_MAX; fiber_pool_free_some(&worker.sched.fibers, &units);) units = UINT32_MAX;
    worker.sched.fibers.max = worker.sched.fibers.nlive;
    be(&others[0]);
    call(1, 0, h(0, P_QUICK));
    expect(1, HEMI_NO_MEMORY);
    ck_assert_uint_eq(c->stacks.used, 0);
    ck_assert_uint_eq(worker.memory_used, used);
    worker.sched.fibers.max = max;
}
END_TEST

/* Several that do not read have less than `output` each, and one that does has its part. */
START_TEST(output_is_shared)
{
    boot.limits.memory = worker.memory_used + 64 * MIB;
    pool_init(&worker.pools[POOL_OUTPUT], 8 * MIB, 4 * MIB, boot.limits.connections);
    uint64_t least = worker.pools[POOL_OUTPUT].least, sum = 0;
    for (int i = 3; i >= 0; i--) {
        const struct connection *entered = others[i].r.buffer ? NULL : enter(&others[i], 1);
        be(&others[i]);
        for (uint32_t k = 0; k < 200; k++) read_memory(1 + k, 0, 65536);
        settle();
        if (!entered) continue; /* else nobody has taken anything of it since */
        struct share before = {.used = entered->output.used - 4096};
        ck_assert(share_allows(&worker.pools[POOL_OUTPUT], &before, 1));
    }
    for (struct connection *c = LIST_FIRST(&worker.connections); c; c = LIST_NEXT(c, link)) sum += c->output.used;
    ck_assert_uint_le(sum, 8 * MIB + 4 * 65536);
    ck_assert_uint_ge(sum, 4 * MIB);
    be(&others[0]);
    ping(1000); /* bounded by its window */
    struct frame f;
    uint32_t replies = 0;
    while (replies < 201) {
        must_receive(&f, FRAME_REPLY);
        replies++;
    }
    ck_assert_uint_gt(least, 0);
}
END_TEST

/* After a deep nesting, say: what its stacks took is there for whatever needs memory. */
START_TEST(idle_stacks_are_given_back_before_memory_fails)
{
    const struct fiber_pool *stacks = &worker.sched.fibers;
    uint32_t parked[MANY], n = 0;
    be(&others[0]);
    for (uint32_t k = 0; k < 60; k++) call(1 + k, 0, h(k, P_CALL));
    for (; n < 60; n++) parked[n] = must_receive_any_host_call();
    uint64_t with = worker.memory_used;
    for (uint32_t i = 0; i < n; i++) host_reply(parked[i], HEMI_OK);
    all_ok(n);
    ck_assert_uint_ge(with - worker.memory_used, 60 * (uint64_t)stacks->vm_size); /* they are counted */
    ck_assert_uint_ge(stacks->nidle, 60);
    boot.limits.memory = worker.memory_used + 62 * (uint64_t)stacks->vm_size;
    struct account *account = account_new(&worker);
    ck_assert(account_charge(account, 10 * (int64_t)stacks->vm_size));
    ck_assert_uint_le(stacks->nidle, 52);
    ck_assert_uint_ge(stacks->nidle, 51); /* no more than were needed */
    call(100, 0, h(0, P_QUICK));
    expect(100, HEMI_OK);
    ck_assert(!account_charge(account, 53 * (int64_t)stacks->vm_size));
    call(101, 0, h(0, P_QUICK));
    expect(101, HEMI_OK);
    ck_assert(account_charge(account, 52 * (int64_t)stacks->vm_size));
    for (uint32_t k = 0; k < 2; k++) call(102 + k, 0, h(k, P_CALL)); /* these are guaranteed */
    for (uint32_t k = 0; k < 2; k++) parked[k] = must_receive_any_host_call();
    call(104, 0, h(2, P_QUICK));
    expect(104, HEMI_LIMIT);
    for (uint32_t k = 0; k < 2; k++) host_reply(parked[k], HEMI_OK);
    all_ok(2);
    account_add(account, -62 * (int64_t)stacks->vm_size);
    account_unref(account);
}
END_TEST

/* A module of n function types, each different from all others' and from those of another `kind`. */
static void declare_types(uint32_t id, uint32_t handle, uint32_t kind, uint32_t n)
{
    static char text[64 << 20];
    char *at = text + sprintf(text, "(module");
    for (uint32_t i = 0; i < n; i++) {
        at += sprintf(at, "(type (func (param");
        for (uint32_t bits = i + (kind << 20) + (1u << 28); bits > 1; bits >>= 1)
            at += sprintf(at, bits & 1 ? " i32" : " i64");
        at += sprintf(at, ")))");
    }
    sprintf(at, ")");
    module_new_wat(id, handle, text);
}

static bool declares(uint32_t id, uint32_t kind, uint32_t n)
{
    struct frame f;
    declare_types(id, id, kind, n);
    must_receive(&f, FRAME_REPLY);
    const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
    if (reply->status == HEMI_OK) return true;
    ck_assert_uint_eq(reply->status, HEMI_LIMIT);
    ck_assert_int_eq(memcmp(reply->message.data, "types:", 6), 0);
    return false;
}

START_TEST(types_of_one_client_leave_some_to_others)
{
    enum { N = 8000, SIZE = 40000 };
    pool_init(&worker.pools[POOL_TYPES], SIZE, SIZE / 2, 4);
    const struct connection *c = LIST_FIRST(&worker.connections);
    uint64_t other = LIST_NEXT(c, link)->types.used;
    share_set(&worker.pools[POOL_TYPES], &LIST_FIRST(&worker.connections)->types,
              c->types.used); /* as the pool is new */
    uint32_t id = 200000, made = 0;
    be(&others[0]);
    while (declares(id++, made, N)) made++;
    ck_assert_uint_ge(made, 1);
    ck_assert_uint_le(c->types.used, SIZE / 8 + SIZE / 2);
    uint64_t used = c->types.used;
    ck_assert(!declares(id++, 9, N)); /* what was refused does not count */
    ck_assert_uint_eq(c->types.used, used);
    be(&others[1]);
    ck_assert(declares(id++, 10, SIZE / 8 - (uint32_t)other - 1)); /* what it may count on */
    be(&others[0]);
    drop(200000, 1);
    ck_assert(declares(id++, 11, N)); /* in the place of the other one */
}
END_TEST

START_TEST(host_functions_count_their_types)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    be(&others[0]);
    uint64_t used = c->types.used;
    for (uint32_t i = 0; i < 100; i++)
        host_func(1 + i, 90000000 + i, store_of(0), i); /* of a type that the store has */
    all_ok(100);
    ck_assert_uint_eq(c->types.used, used);
    pool_init(&worker.pools[POOL_TYPES], 4, 2, 4);
    worker.pools[POOL_TYPES].lent = used;
    host_func(200, 90001000, store_of(1), 0);
    struct frame f;
    must_receive(&f, FRAME_REPLY);
    const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
    ck_assert_uint_eq(reply->status, HEMI_LIMIT);
    ck_assert_int_eq(memcmp(reply->message.data, "types:", 6), 0);
    pool_init(&worker.pools[POOL_TYPES], 1 << 20, 1 << 19, 4);
}
END_TEST

static bool names(const Hemi__V1__Reply *reply, enum share_pool pool)
{
    size_t n = strlen(pool_name(pool));
    return reply->status == HEMI_LIMIT && reply->message.len > n &&
           memcmp(reply->message.data, pool_name(pool), n) == 0;
}

static void new_memory(uint32_t id, uint32_t memory, uint32_t store, uint64_t pages)
{
    Hemi__V1__MemoryNew body = HEMI__V1__MEMORY_NEW__INIT;
    body.memory = memory;
    body.store = store;
    body.min = pages;
    put(FRAME_MEMORY_NEW, id, 0, 0, &body, NULL, 0);
}

/* Memories of so many pages, until one is refused; which was for `pool`. */
static uint32_t make_memories(uint32_t store, uint64_t pages, enum share_pool pool)
{
    uint32_t n = 0;
    for (;; n++) {
        struct frame f;
        ck_assert_uint_lt(n, 20000);
        new_memory(100000 + n, 100000 + n, store, pages);
        must_receive(&f, FRAME_REPLY);
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        if (reply->status == HEMI_OK) continue;
        ck_assert(names(reply, pool));
        return n;
    }
}

START_TEST(memory_is_shared)
{
    const struct pool *pool = &worker.pools[POOL_MEMORY];
    be(&others[0]);
    ck_assert_uint_gt(make_memories(store_of(0), 256, POOL_MEMORY), 10);
    ck_assert_uint_le(LIST_FIRST(&worker.connections)->account->memory.used, pool->size * 3 / 4);
    others_go_on();
    be(&others[2]);
    ck_assert_uint_gt(make_memories(store_of(0), 16, POOL_MEMORY), 10); /* what they leave is lent, too */
    worker.pools[POOL_MEMORY].lendable = 0;
    worker.memory_used += 8 * GIB; /* by what counts in the sum only */
    be(&others[1]);
    new_memory(500, 90000, store_of(0), 4); /* guaranteed */
    expect(500, HEMI_OK);
    worker.memory_used -= 8 * GIB;
}
END_TEST

/* Of 64 MiB: a quarter is set aside, a quarter of the rest stays for others. */
START_TEST(stacks_and_memory_of_one_client_are_one_share)
{
    struct pool *pool = &worker.pools[POOL_MEMORY];
    struct connection *c = LIST_FIRST(&worker.connections);
    struct frame f;
    uint32_t parked = 0;
    pool->lendable = pool->lent + 48 * MIB;
    boot.limits.memory = worker.memory_used + 64 * MIB;
    worker.stacks_borrowed_max = 64;
    uint64_t before = c->account->memory.used;
    be(&others[0]);
    for (uint32_t k = 0; k < MANY; k++) call(1 + k, 0, h(k, P_CALL));
    while (receive(&f, 300)) {
        if (f.head.type == FRAME_HOST_CALL)
            parked++;
        else
            ck_assert(names((const Hemi__V1__Reply *)f.body, POOL_MEMORY));
    }
    ck_assert_uint_ge(parked, 10); /* its stores have a part of it */
    ck_assert_uint_le(parked, 2 + 36);
    make_memories(store_of(MANY - 1), 16, POOL_MEMORY);
    ck_assert_uint_le(c->account->memory.used - before, 36 * MIB);
    others_go_on();
    be(&others[1]);
    new_memory(500, 90000, store_of(0), 64); /* of what is left, beyond what it may count on */
    expect(500, HEMI_OK);
    be(&others[0]);
    for (uint32_t k = 0; k < MANY; k++) cancel(1 + k);
    settle();
    ck_assert_uint_eq(worker.sched.live, 0);
}
END_TEST

static void ping_bytes(uint32_t id)
{
    static const uint8_t bytes[60000];
    put(FRAME_PING, id, 0, 0, NULL, bytes, sizeof bytes);
}

START_TEST(unread_pings_count_as_output_and_memory)
{
    enum { PINGS = 300, BYTES = 60000 };
    struct connection *c = LIST_FIRST(&worker.connections);
    struct frame f;
    uint64_t before = c->account->memory.used, sum = worker.memory_used;
    be(&others[0]);
    c->window.bytes_max = 64 * MIB;
    for (uint32_t i = 0; i < PINGS; i++) ping_bytes(1 + i);
    settle();
    ck_assert_ptr_nonnull(c->stalled.head);
    ck_assert_uint_le(c->output.used, c->output_max + BYTES + 1000);
    ck_assert_uint_ge(c->account->memory.used, before + PINGS / 2 * BYTES);
    ck_assert_uint_eq(worker.sched.live, 0);
    worker.pools[POOL_MEMORY].lendable = 0; /* nothing is left */
    ping_bytes(1000);
    store_close(1001, store_of(0)); /* small ones need nothing */
    settle();
    others_go_on();
    be(&others[0]);
    for (uint32_t i = 0; i < PINGS + 2; i++) {
        must_receive(&f, FRAME_REPLY);
        const Hemi__V1__Reply *reply = (const Hemi__V1__Reply *)f.body;
        if (f.head.request == 1000)
            ck_assert(names(reply, POOL_MEMORY));
        else
            ck_assert_uint_eq(reply->status, HEMI_OK);
        ck_assert_uint_eq(f.raw_length, f.head.request < 1000 ? BYTES : 0);
    }
    ck_assert_uint_le(c->account->memory.used, before);
    ck_assert_uint_le(worker.memory_used, sum + 4 * MIB); /* the third client's */
}
END_TEST

START_TEST(mappings_are_shared)
{
    struct pool *pool = &worker.pools[POOL_MAPPINGS];
    pool->lendable = pool->lent + 4000;
    struct connection *c = enter(&others[2], 1);
    uint32_t n = make_memories(store_of(0), 0, POOL_MAPPINGS);
    ck_assert_uint_gt(n, 500);
    ck_assert_uint_eq(c->account->mappings.used / 2, n + 2 + 1); /* the store has four, the instance one memory */
    enter(&others[3], 1);
    ck_assert_uint_gt(make_memories(store_of(0), 0, POOL_MAPPINGS), 100);
}
END_TEST

START_TEST(stores_are_shared)
{
    struct frame f;
    uint32_t n = 0;
    be(&others[0]);
    do {
        store_new_handle(200000 + n, 200000 + n);
        must_receive(&f, FRAME_REPLY);
    } while (((const Hemi__V1__Reply *)f.body)->status == HEMI_OK && ++n < 1000);
    ck_assert(names((const Hemi__V1__Reply *)f.body, POOL_STORES));
    others_go_on();
}
END_TEST

START_TEST(handles_count_as_memory)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    be(&others[0]);
    uint64_t before = c->account->memory.used;
    for (uint32_t i = 0; i < 100; i++) export_get(700 + i, store_of(0) + 1, "quick", 300000 + i);
    all_ok(100);
    ck_assert_uint_eq(c->account->memory.used, before + 100 * HANDLE_COST);
    drop(300000, 100);
    ping(900);
    expect(900, HEMI_OK);
    ck_assert_uint_eq(c->account->memory.used, before);
}
END_TEST

START_TEST(a_handle_that_finds_no_memory_is_poisoned)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    struct pool *pool = &worker.pools[POOL_MEMORY];
    be(&others[0]);
    uint64_t before = c->account->memory.used, least = pool->least, lendable = pool->lendable, lent = pool->lent;
    pool->least = before;
    pool->lendable = pool->lent = 0; /* others have borrowed everything */
    export_get(700, store_of(0) + 1, "quick", 300000);
    call(701, 0, 300000);
    struct frame f;
    must_receive(&f, FRAME_REPLY);
    ck_assert_uint_eq(((const Hemi__V1__Reply *)f.body)->status, HEMI_LIMIT);
    expect(701, HEMI_DEPENDENCY_FAILED);
    drop(300000, 1);
    ping(900);
    expect(900, HEMI_OK);
    ck_assert_uint_eq(c->account->memory.used, before);
    pool->least = least;
    pool->lendable = lendable;
    pool->lent = lent;
}
END_TEST

/* A module of passive data segments of no bytes: of two bytes each, which become many more. */
enum { SEGMENTS = 15000 };

static void module_of_segments(uint32_t id, uint32_t module)
{
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 11};
    static uint8_t bytes[sizeof head + 6 + 2 * SEGMENTS];
    const uint32_t numbers[] = {3 + 2 * SEGMENTS, SEGMENTS};
    memcpy(bytes, head, sizeof head);
    uint8_t *at = bytes + sizeof head;
    for (size_t i = 0; i < 2; i++, at += 3)
        at[0] = (uint8_t)(numbers[i] | 0x80), at[1] = (uint8_t)(numbers[i] >> 7 | 0x80),
        at[2] = (uint8_t)(numbers[i] >> 14);
    for (uint32_t i = 0; i < SEGMENTS; i++) *at++ = 1, *at++ = 0;
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    body.module = module;
    body.total = (uint64_t)(at - bytes);
    put(FRAME_MODULE_NEW, id, 0, 0, &body, bytes, (size_t)(at - bytes));
}

static void until_dug(void)
{
    for (int i = 0; i < 100000 && worker.grave.head; i++) turn();
}

START_TEST(a_module_counts_as_what_it_takes_as_long_as_it_is_used)
{
    const struct connection *c = LIST_FIRST(&worker.connections);
    be(&others[0]);
    uint64_t before = c->account->memory.used, taken = SEGMENTS * sizeof(struct data_seg);
    module_of_segments(700, 300000);
    expect(700, HEMI_OK);
    ck_assert_uint_ge(c->account->memory.used, before + taken);
    ck_assert_uint_le(c->account->memory.used, before + 2 * taken);
    store_new_handle(701, 300001);
    expect(701, HEMI_OK);
    instantiate(702, 300002, 300000, 300001, 0, NULL, 0);
    expect(702, HEMI_OK);
    drop(300000, 1);
    ping(703);
    expect(703, HEMI_OK);
    until_dug();
    ck_assert_uint_ge(c->account->memory.used, before + taken); /* the instance's */
    store_close(704, 300001);
    expect(704, HEMI_OK);
    drop(300002, 1);
    ping(705);
    expect(705, HEMI_OK);
    until_dug();
    ck_assert_uint_eq(c->account->memory.used, before);
}
END_TEST

START_TEST(a_module_that_takes_too_much_is_refused)
{
    struct connection *c = LIST_FIRST(&worker.connections);
    struct pool *pool = &worker.pools[POOL_MEMORY];
    be(&others[0]);
    uint64_t before = c->account->memory.used;
    const struct pool was = *pool;
    pool->least = before + SEGMENTS * sizeof(struct data_seg) / 2; /* there is room for its bytes, and for half of it */
    pool->lendable = pool->lent = 0;
    module_of_segments(700, 300000);
    struct frame f;
    must_receive(&f, FRAME_REPLY);
    ck_assert(names((const Hemi__V1__Reply *)f.body, POOL_MEMORY));
    drop(300000, 1);
    ping(701);
    expect(701, HEMI_OK);
    until_dug();
    ck_assert_uint_eq(c->account->memory.used, before);
    *pool = was;
    others_go_on();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_shares");
    TCase *tc = tcase_create("session_shares");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup_two, teardown_all);
    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, parked_calls_of_one_client_stop_nobody_else, 0, 4);
    tcase_add_test(tc, parked_calls_take_half_of_the_memory);
    tcase_add_test(tc, calls_inside_host_calls_find_stacks);
    tcase_add_test(tc, what_others_park_leaves_stacks_inside_host_calls);
    tcase_add_test(tc, a_call_waits_for_a_stack_while_one_of_its_own_client_s_runs);
    tcase_add_test(tc, reads_by_one_that_never_reads_hold_no_stack);
    tcase_add_test(tc, a_reply_that_finds_no_room_holds_no_stack);
    tcase_add_test(tc, a_stack_that_could_not_be_made_is_not_counted);
    tcase_add_test(tc, output_is_shared);
    tcase_add_test(tc, idle_stacks_are_given_back_before_memory_fails);
    tcase_add_test(tc, types_of_one_client_leave_some_to_others);
    tcase_add_test(tc, host_functions_count_their_types);
    tcase_add_test(tc, memory_is_shared);
    tcase_add_test(tc, stacks_and_memory_of_one_client_are_one_share);
    tcase_add_test(tc, unread_pings_count_as_output_and_memory);
    tcase_add_test(tc, mappings_are_shared);
    tcase_add_test(tc, stores_are_shared);
    tcase_add_test(tc, handles_count_as_memory);
    tcase_add_test(tc, a_module_counts_as_what_it_takes_as_long_as_it_is_used);
    tcase_add_test(tc, a_module_that_takes_too_much_is_refused);
    tcase_add_test(tc, a_handle_that_finds_no_memory_is_poisoned);
    return run_suite_forked(suite);
}
