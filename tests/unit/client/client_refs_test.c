/* libhemi against a scripted worker: handles, scopes, externs and their death notices, host functions, streams. */
#include "tests/unit/client_peer.h"

static const hemi_type i32 = HEMI_TYPE_I32, anyref = HEMI_TYPE_ANYREF, externref = HEMI_TYPE_EXTERNREF;

static void ref_wire(uint8_t *raw, unsigned kind, unsigned class_, uint32_t handle, uint64_t payload)
{
    struct wire_reference w = {.kind = (uint8_t)kind, .class_ = (uint8_t)class_, .handle = handle, .payload = payload};
    wire_put_reference(raw, &w);
}

/* Ids that the client has dropped so far, told by a PING that pushes the batch out. */
static unsigned dropped(struct peer *p, uint32_t *ids, unsigned room)
{
    struct frame f;
    unsigned n = 0;
    peer_ok(p);
    ck_assert_int_eq(hemi_ping(p->client, NULL), HEMI_OK);
    while (peer_take(p, &f)) {
        if (f.head.type != FRAME_DROP) continue;
        for (uint32_t at = 0; at < f.raw_length; at += 8)
            for (uint32_t i = 0; i < wire_get_u32(f.raw + at + 4); i++) {
                ck_assert_uint_lt(n, room);
                ids[n++] = wire_get_u32(f.raw + at) + i;
            }
    }
    return n;
}

/* ---- handles */
static hemi_val call_for_ref(struct peer *p, hemi_object *func, uint32_t *next_handle)
{
    uint8_t raw[16];
    hemi_val out;
    ref_wire(raw, WIRE_HANDLE, WIRE_CLASS_ANY, (*next_handle)++, 0);
    peer_reply(p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_OK);
    return out;
}

START_TEST(references_have_handles)
{
    struct peer p;
    struct frame f;
    uint32_t ids[64], next = 5; /* after store, module, instance, function */
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, &anyref, 1);
    hemi_val a = call_for_ref(&p, func, &next), b = call_for_ref(&p, func, &next);
    ck_assert_uint_eq(a.of.ref.handle, 5);
    ck_assert_uint_eq(b.of.ref.handle, 6);
    const Hemi__V1__Call *call = (const Hemi__V1__Call *)peer_expect(&p, FRAME_CALL, &f);
    ck_assert_uint_eq(call->result_handle, 5);
    ck_assert_uint_eq(call->result_count, 1);
    hemi_drop(p.client, &a);
    hemi_drop(p.client, &b);
    hemi_drop(p.client, &b);
    ck_assert_uint_eq(dropped(&p, ids, 64), 2);
    ck_assert_uint_eq(ids[0], 5);
    bool equal;
    ck_assert_int_eq(hemi_ref_eq(p.client, &a, &b, &equal, NULL), HEMI_HANDLE);
    peer_deinit(&p);
}
END_TEST

START_TEST(handles_not_as_agreed)
{
    struct peer p;
    uint32_t wrong = 77;
    uint8_t raw[16];
    hemi_val out;
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, &anyref, 1);
    ref_wire(raw, WIRE_HANDLE, WIRE_CLASS_ANY, wrong, 0);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_PROTOCOL);
    peer_deinit(&p);
}
END_TEST

START_TEST(nulls_and_i31s_need_none)
{
    struct peer p;
    uint8_t raw[16];
    uint32_t ids[64];
    hemi_val out;
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, &anyref, 1);
    ref_wire(raw, WIRE_I31, WIRE_CLASS_ANY, 5, 0x7FFFFFFF);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_OK);
    ck_assert_int_eq(out.of.ref.i31, -1);
    ck_assert_uint_eq(out.of.ref.handle, 0);
    ref_wire(raw, WIRE_NULL, WIRE_CLASS_ANY, 6, 0);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_OK);
    ck_assert(hemi_is_null(&out));
    ck_assert_uint_eq(dropped(&p, ids, 64), 2);
    peer_fail(&p, HEMI_TRAP);
    ck_assert_int_eq(hemi_call(func, NULL, 0, &out, 1, NULL), HEMI_TRAP);
    ck_assert_msg(dropped(&p, ids, 64) == 1 && ids[0] == 7, "a poisoned handle is dropped, too");
    peer_deinit(&p);
}
END_TEST

START_TEST(promises_are_used_at_once)
{
    struct peer p;
    struct frame f;
    hemi_ticket a, b;
    hemi_val first, second;
    uint8_t raw[16];
    peer_open(&p);
    hemi_object *func = peer_func(&p, &anyref, 1, &anyref, 1);
    hemi_val null = hemi_null(HEMI_CLASS_ANY);
    ck_assert_int_eq(hemi_call(func, &null, 1, &first, 1, &a), HEMI_OK);
    ck_assert_int_eq(hemi_call(func, &first, 1, &second, 1, &b), HEMI_OK);
    ref_wire(raw, WIRE_HANDLE, WIRE_CLASS_ANY, 5, 0);
    peer_reply(&p, NULL, raw, 16);
    ref_wire(raw, WIRE_NULL, WIRE_CLASS_ANY, 6, 0);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_wait(p.client, b), HEMI_OK);
    ck_assert_int_eq(hemi_wait(p.client, a), HEMI_OK);
    ck_assert(first.of.ref.kind == HEMI_REF_HANDLE && hemi_is_null(&second));
    peer_expect(&p, FRAME_CALL, &f);
    peer_expect(&p, FRAME_CALL, &f);
    struct wire_reference w;
    ck_assert_int_eq(wire_get_reference(f.raw, FRAME_C2W, &w), PROTO_OK);
    ck_assert(w.kind == WIRE_HANDLE && w.handle == 5);
    peer_deinit(&p);
}
END_TEST

START_TEST(scopes_drop_at_once)
{
    struct peer p;
    struct frame f;
    hemi_scope *outer, *inner;
    uint32_t next = 5;
    static uint32_t ids[4096];
    peer_open(&p);
    hemi_object *func = peer_func(&p, NULL, 0, &anyref, 1);
    ck_assert_int_eq(hemi_scope_open(p.client, &outer), HEMI_OK);
    hemi_val kept = call_for_ref(&p, func, &next);
    hemi_keep(p.client, &kept);
    ck_assert_int_eq(hemi_scope_open(p.client, &inner), HEMI_OK);
    for (int i = 0; i < 200; i++) {
        call_for_ref(&p, func, &next);
        while (peer_take(&p, &f)) continue;
    }
    hemi_scope_close(outer);
    ck_assert_uint_eq(dropped(&p, ids, 4096), 200);
    hemi_val out;
    bool equal;
    Hemi__V1__Reply yes = HEMI__V1__REPLY__INIT;
    yes.value = 1;
    peer_reply(&p, &yes, NULL, 0);
    ck_assert_int_eq(hemi_ref_eq(p.client, &kept, &kept, &equal, NULL), HEMI_OK);
    ck_assert(equal);
    out = kept;
    hemi_drop(p.client, &out);
    ck_assert_uint_eq(dropped(&p, ids, 4096), 1);
    peer_deinit(&p);
}
END_TEST

/* ---- externs */
static int finalized;
static void count_up(void *pointer) { (*(int *)pointer)++, finalized++; }

static void death(struct peer *p, uint64_t id, uint32_t times)
{
    Hemi__V1__Death body = HEMI__V1__DEATH__INIT;
    uint8_t raw[16] = {0};
    body.store = 1;
    wire_put_u64(raw, id);
    wire_put_u32(raw + 8, times);
    peer_put(p, FRAME_DEATH, 0, &body.base, raw, 16);
}

static void ping(struct peer *p)
{
    peer_ok(p);
    ck_assert_int_eq(hemi_ping(p->client, NULL), HEMI_OK);
    peer_ok(p); /* finalizers run in a wait, before it sleeps */
    ck_assert_int_eq(hemi_ping(p->client, NULL), HEMI_OK);
}

START_TEST(externs_are_finalized_once)
{
    struct peer p;
    int object = 0;
    hemi_val v, same;
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, NULL, 0);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &v), HEMI_OK);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &same), HEMI_OK);
    ck_assert_uint_eq(v.of.ref.id, same.of.ref.id);
    for (int i = 0; i < 3; i++) {
        peer_ok(&p);
        ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_OK);
    }
    death(&p, v.of.ref.id, 2); /* one copy is still on the way */
    ping(&p);
    ck_assert_int_eq(object, 0);
    death(&p, v.of.ref.id, 1);
    ping(&p);
    ck_assert_int_eq(object, 1);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_HANDLE);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &same), HEMI_OK);
    ck_assert_uint_ne(v.of.ref.id, same.of.ref.id);
    peer_deinit(&p);
    ck_assert_msg(object == 2, "what is left ends with the client");
}
END_TEST

/* Nobody but the client ever had it, so no death is told of it: it stayed until its store ended. */
START_TEST(an_extern_that_was_dropped_and_never_sent_is_finalized)
{
    struct peer p;
    int object = 0, twice = 0;
    hemi_ticket ticket;
    hemi_val v, a, b;
    Hemi__V1__Reply unread = HEMI__V1__REPLY__INIT;
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, NULL, 0);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &v), HEMI_OK);
    ck_assert_int_eq(hemi_extern_new(p.store, &twice, count_up, &a), HEMI_OK);
    ck_assert_int_eq(hemi_extern_new(p.store, &twice, count_up, &b), HEMI_OK);
    hemi_drop(p.client, &v);
    hemi_drop(p.client, &v);
    hemi_drop(p.client, &a);
    ping(&p);
    ck_assert_int_eq(object, 1);
    ck_assert_int_eq(twice, 0);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_HANDLE);
    unread.status = HEMI_CANCELLED; /* sent, dropped, and never looked at */
    unread.values_unread = 1;
    peer_reply(&p, &unread, NULL, 0);
    ck_assert_int_eq(hemi_call(func, &b, 1, NULL, 0, NULL), HEMI_CANCELLED);
    ping(&p);
    ck_assert_int_eq(twice, 0);
    ck_assert_int_eq(hemi_call(func, &b, 1, NULL, 0, &ticket), HEMI_OK);
    hemi_drop(p.client, &b); /* a copy of it is on the way */
    hemi_drop(p.client, &b);
    ck_assert(!hemi_client_pending(p.client) || hemi_client_dispatch(p.client) == HEMI_OK);
    ck_assert_int_eq(twice, 0);
    peer_reply(&p, &unread, NULL, 0);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_CANCELLED);
    ping(&p);
    ck_assert_int_eq(twice, 1);
    peer_deinit(&p);
    ck_assert_int_eq(object, 1);
}
END_TEST

START_TEST(deaths_that_never_were)
{
    struct peer p;
    int object = 0;
    hemi_val v;
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, NULL, 0);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &v), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_OK);
    death(&p, v.of.ref.id, 2);
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_PROTOCOL);
    peer_deinit(&p);
    ck_assert_int_eq(object, 1);
}
END_TEST

START_TEST(externs_that_were_never_looked_at)
{
    struct peer p;
    int object = 0;
    hemi_val v;
    Hemi__V1__Reply unread = HEMI__V1__REPLY__INIT;
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, NULL, 0);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &v), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_OK);
    unread.status = HEMI_CANCELLED;
    unread.values_unread = 1;
    peer_reply(&p, &unread, NULL, 0);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_CANCELLED);
    death(&p, v.of.ref.id, 1);
    ping(&p);
    ck_assert_int_eq(object, 1);
    peer_deinit(&p);
}
END_TEST

/* The guest let go of the copy that it got; the other one it never saw. */
START_TEST(an_extern_that_died_before_its_last_copy_came_back_unread_is_finalized)
{
    struct peer p;
    int object = 0;
    hemi_ticket ticket;
    hemi_val v;
    Hemi__V1__Reply unread = HEMI__V1__REPLY__INIT;
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, NULL, 0);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &v), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_call(func, &v, 1, NULL, 0, &ticket), HEMI_OK);
    death(&p, v.of.ref.id, 1);
    unread.status = HEMI_CANCELLED;
    unread.values_unread = 1;
    peer_reply(&p, &unread, NULL, 0);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_CANCELLED);
    ping(&p);
    ck_assert_int_eq(object, 1);
    peer_deinit(&p);
}
END_TEST

START_TEST(externs_come_back)
{
    struct peer p;
    struct frame f;
    int object = 0;
    hemi_val v, out;
    uint8_t raw[16];
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, &externref, 1);
    ck_assert_int_eq(hemi_extern_new(p.store, &object, count_up, &v), HEMI_OK);
    ref_wire(raw, WIRE_EXTERN, WIRE_CLASS_EXTERN, 5, v.of.ref.id);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, &v, 1, &out, 1, NULL), HEMI_OK);
    ck_assert_ptr_eq(out.of.ref.pointer, &object);
    ref_wire(raw, WIRE_NULL, WIRE_CLASS_EXTERN, 6, 0);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, &out, 1, &v, 1, NULL), HEMI_OK);
    peer_expect(&p, FRAME_CALL, &f);
    peer_expect(&p, FRAME_CALL, &f);
    struct wire_reference w;
    ck_assert_int_eq(wire_get_reference(f.raw, FRAME_C2W, &w), PROTO_OK);
    ck_assert_msg(w.kind == WIRE_HANDLE && w.handle == 5, "by its handle, which does not count as sent");
    ref_wire(raw, WIRE_EXTERN, WIRE_CLASS_EXTERN, 7, 999);
    peer_reply(&p, NULL, raw, 16);
    ck_assert_int_eq(hemi_call(func, &v, 1, &out, 1, NULL), HEMI_PROTOCOL);
    peer_deinit(&p);
    ck_assert_int_eq(object, 1);
}
END_TEST

START_TEST(a_store_ends_its_externs)
{
    struct peer p;
    static int objects[10000];
    hemi_val v;
    peer_open(&p);
    peer_store(&p);
    for (int i = 0; i < 10000; i++) ck_assert_int_eq(hemi_extern_new(p.store, &objects[i], count_up, &v), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_store_close(p.store, NULL), HEMI_OK);
    ping(&p);
    ck_assert_int_eq(finalized, 10000);
    ck_assert_int_eq(hemi_extern_new(p.store, &objects[0], NULL, &v), HEMI_CLOSED);
    peer_deinit(&p);
    for (int i = 0; i < 10000; i++) ck_assert_int_eq(objects[i], 1);
}
END_TEST

/* One that is asked for again between its death and its finalizer lives on. */
static hemi_val again;
static struct peer *resurrecting;
static int other_object;
static void resurrect(void *pointer)
{
    ck_assert_ptr_eq(pointer, &other_object);
    ck_assert_int_eq(hemi_extern_new(resurrecting->store, &finalized, count_up, &again), HEMI_OK);
}

START_TEST(externs_come_back_to_life)
{
    struct peer p;
    hemi_val a, b;
    resurrecting = &p;
    peer_open(&p);
    hemi_object *func = peer_func(&p, &externref, 1, NULL, 0);
    ck_assert_int_eq(hemi_extern_new(p.store, &finalized, count_up, &a), HEMI_OK);
    ck_assert_int_eq(hemi_extern_new(p.store, &other_object, resurrect, &b), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_call(func, &a, 1, NULL, 0, NULL), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_call(func, &b, 1, NULL, 0, NULL), HEMI_OK);
    death(&p, a.of.ref.id, 1);
    death(&p, b.of.ref.id, 1); /* last in, first finalized */
    ping(&p);
    ck_assert_int_eq(finalized, 0);
    ck_assert_uint_eq(again.of.ref.id, a.of.ref.id);
    peer_ok(&p);
    ck_assert_int_eq(hemi_call(func, &again, 1, NULL, 0, NULL), HEMI_OK);
    death(&p, a.of.ref.id, 1);
    ping(&p);
    ck_assert_int_eq(finalized, 2); /* the object itself is the counter */
    peer_deinit(&p);
}
END_TEST

/* ---- host functions */
struct host_test {
    struct peer *p;
    int calls, depth, limit;
    uint32_t root; /* the request in which the next level is called */
    hemi_ticket tickets[3];
    hemi_status deepest;
    hemi_deferred *deferred;
    hemi_val kept;
    char order[16];
};

static hemi_object *host_func(struct peer *p, hemi_host_function function, const hemi_type *param,
                              const hemi_type *result, void *env)
{
    hemi_object *object;
    struct hemi_func_options o = {
        .params = param, .results = result, .nparams = param != NULL, .nresults = result != NULL};
    if (!p->store) peer_store(p);
    peer_ok(p);
    ck_assert_int_eq(hemi_func_new(p->store, &o, function, env, &object, NULL), HEMI_OK);
    return object;
}

static const Hemi__V1__HostReply *host_reply(struct peer *p, uint32_t id, struct frame *f)
{
    const ProtobufCMessage *body = peer_expect(p, FRAME_HOST_REPLY, f);
    ck_assert_uint_eq(f->head.request, id);
    return (const Hemi__V1__HostReply *)body;
}

static hemi_status add_one(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct host_test *t = env;
    ck_assert_uint_eq(hemi_caller_entry(caller)->nparams, 1);
    ck_assert_ptr_eq(hemi_caller_store(caller), t->p->store);
    t->calls++;
    if (args[0].of.i32 == 13) return hemi_caller_fail(caller, "unlucky");
    if (args[0].of.i32 == 14) return hemi_caller_exit(caller, 3);
    results[0] = args[0].of.i32 == 15 ? hemi_i64(1) : hemi_i32(args[0].of.i32 + 1);
    return HEMI_OK;
}

START_TEST(host_functions)
{
    static const struct {
        int32_t argument;
        hemi_status status;
    } cases[] = {{1, HEMI_OK}, {13, HEMI_HOST}, {14, HEMI_EXIT}, {15, HEMI_HOST}};
    struct peer p;
    struct frame f;
    struct host_test t = {.p = &p};
    uint8_t raw[16];
    peer_open(&p);
    host_func(&p, add_one, &i32, &i32, &t);
    for (unsigned i = 0; i < 4; i++) {
        hemi_ticket ticket;
        ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK); /* stands for a call of a guest */
        peer_i32(raw, cases[i].argument);
        peer_host_call(&p, i + 1, 1, p.request + 1, raw, 16);
        while (t.calls == (int)i) ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
        const Hemi__V1__HostReply *reply = host_reply(&p, i + 1, &f);
        ck_assert_int_eq(reply->status, cases[i].status);
        if (i == 1) ck_assert_int_eq(memcmp(reply->message.data, "unlucky", 7), 0);
        if (i == 2) ck_assert_int_eq(reply->exit_code, 3);
        int32_t result;
        if (i == 0) ck_assert(wire_get_number(f.raw, &result, 4) == PROTO_OK && result == 2);
        peer_ok(&p);
        ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_OK);
    }
    peer_host_call(&p, 9, 1, 9999, raw, 16); /* its request is answered: nothing runs */
    ping(&p);
    ck_assert_int_eq(host_reply(&p, 9, &f)->status, HEMI_HOST);
    ck_assert_int_eq(t.calls, 4);
    peer_deinit(&p);
}
END_TEST

static void reply_to(struct peer *p, uint32_t request)
{
    Hemi__V1__Reply ok = HEMI__V1__REPLY__INIT;
    peer_put(p, FRAME_REPLY, request, &ok.base, NULL, 0);
}

/* Makes a request, in which the worker calls the next level; the innermost level makes none. */
static hemi_status nest(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct host_test *t = env;
    hemi_ticket ticket;
    uint8_t raw[16];
    int32_t depth = args[0].of.i32;
    uint32_t root = t->root;
    results[0] = args[0];
    t->calls++;
    if (depth < t->depth) {
        /* a level that may not run will not answer its request */
        hemi_client_set_deadline(hemi_caller_client(caller), depth == t->limit ? 10 : 0);
        ck_assert_int_eq(hemi_ping(hemi_caller_client(caller), &ticket), HEMI_OK);
        t->root = ticket;
        peer_i32(raw, depth + 1);
        peer_host_call(t->p, (uint32_t)depth + 1, 1, ticket, raw, 16);
        hemi_status status = hemi_wait(hemi_caller_client(caller), ticket);
        if (status != HEMI_OK) t->deepest = status;
    }
    reply_to(t->p, root);
    return HEMI_OK;
}

static void run_nest(struct peer *p, struct host_test *t)
{
    uint8_t raw[16];
    hemi_ticket ticket;
    host_func(p, nest, &i32, &i32, t);
    ck_assert_int_eq(hemi_ping(p->client, &ticket), HEMI_OK);
    t->root = ticket;
    peer_i32(raw, 1);
    peer_host_call(p, 1, 1, ticket, raw, 16);
    ck_assert_int_eq(hemi_wait(p->client, ticket), HEMI_OK);
}

START_TEST(host_functions_nest)
{
    struct peer p;
    struct frame f;
    struct host_test t = {.p = &p, .depth = 10};
    uint32_t answered = 10, parent = 0;
    peer_open(&p);
    run_nest(&p, &t);
    ck_assert_int_eq(t.calls, 10);
    ck_assert_int_eq(hemi_flush(p.client), HEMI_OK);
    while (peer_take(&p, &f)) {
        if (f.head.type == FRAME_PING) ck_assert_uint_eq(f.head.parent, parent++);
        if (f.head.type == FRAME_HOST_REPLY) ck_assert_uint_eq(f.head.request, answered--);
    }
    ck_assert_uint_eq(answered, 0);
    ck_assert_uint_eq(parent, 10);
    peer_deinit(&p);
}
END_TEST

START_TEST(nesting_is_limited)
{
    struct peer p;
    struct frame f;
    struct host_test t = {.p = &p, .depth = 10, .limit = 3};
    struct hemi_connect_options o = {.max_nesting = 3};
    int fd = peer_init(&p);
    peer_welcome(&p, 64);
    ck_assert_int_eq(hemi_connect_fd(fd, &o, &p.client), HEMI_OK);
    peer_read_hello(&p);
    run_nest(&p, &t);
    ck_assert_int_eq(t.calls, 3);
    ck_assert_int_eq(t.deepest, HEMI_DEADLINE);
    const Hemi__V1__HostReply *reply = host_reply(&p, 4, &f);
    ck_assert_int_eq(reply->status, HEMI_HOST);
    ck_assert_int_eq(memcmp(reply->message.data, "host functions nest too deeply", 30), 0);
    peer_deinit(&p);
}
END_TEST

/* 'a' waits for a request of its own, in which 'c' is called; 'b' comes first, but from elsewhere. */
static hemi_status chained(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct host_test *t = env;
    hemi_client *c = hemi_caller_client(caller);
    hemi_ticket own;
    uint8_t raw[16];
    char name = (char)args[0].of.i32;
    results[0] = args[0];
    strncat(t->order, &name, 1);
    if (name == 'a') {
        ck_assert_int_eq(hemi_ping(c, &own), HEMI_OK);
        t->root = own;
        peer_i32(raw, 'b');
        peer_host_call(t->p, 2, 1, t->tickets[1], raw, 16);
        peer_i32(raw, 'c');
        peer_host_call(t->p, 3, 1, own, raw, 16);
        ck_assert_int_eq(hemi_client_dispatch(c), HEMI_BUSY);
        ck_assert_int_eq(hemi_wait(c, t->tickets[2]), HEMI_DEADLOCK);
        ck_assert_int_eq(hemi_wait(c, own), HEMI_OK);
        strcat(t->order, "A");
        reply_to(t->p, t->tickets[0]);
    } else {
        reply_to(t->p, name == 'b' ? t->tickets[1] : t->root);
    }
    return HEMI_OK;
}

START_TEST(only_its_own_chain_runs_inside)
{
    struct peer p;
    struct host_test t = {.p = &p};
    uint8_t raw[16];
    peer_open(&p);
    host_func(&p, chained, &i32, &i32, &t);
    ck_assert_int_eq(hemi_ping(p.client, &t.tickets[0]), HEMI_OK);
    ck_assert_int_eq(hemi_ping(p.client, &t.tickets[1]), HEMI_OK);
    ck_assert_int_eq(hemi_store_gc(p.store, &t.tickets[2]), HEMI_OK); /* behind the guest that calls 'a' */
    peer_i32(raw, 'a');
    peer_host_call(&p, 1, 1, t.tickets[0], raw, 16);
    ck_assert_int_eq(hemi_wait(p.client, t.tickets[0]), HEMI_OK);
    ck_assert_int_eq(hemi_wait(p.client, t.tickets[1]), HEMI_OK);
    ck_assert_str_eq(t.order, "acAb");
    reply_to(&p, t.tickets[2]);
    ck_assert_int_eq(hemi_wait(p.client, t.tickets[2]), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

static hemi_status later(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct host_test *t = env;
    (void)args;
    (void)results;
    t->calls++;
    ck_assert_int_eq(hemi_caller_defer(caller, &t->deferred), HEMI_OK);
    ck_assert_int_eq(hemi_deferred_finish(t->deferred, HEMI_OK, NULL, 0, NULL), HEMI_BUSY);
    return HEMI_OK;
}

START_TEST(host_functions_answer_later)
{
    struct peer p;
    struct frame f;
    struct host_test t = {.p = &p};
    hemi_ticket ticket;
    hemi_val result = hemi_i32(5);
    peer_open(&p);
    host_func(&p, later, NULL, &i32, &t);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    peer_host_call(&p, 1, 1, ticket, NULL, 0);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_eq(t.calls, 1);
    while (peer_take(&p, &f)) ck_assert_uint_ne(f.head.type, FRAME_HOST_REPLY);
    ck_assert_int_eq(hemi_deferred_finish(t.deferred, HEMI_OK, &result, 1, NULL), HEMI_OK);
    ck_assert_int_eq(host_reply(&p, 1, &f)->status, HEMI_OK);
    ck_assert_uint_eq(f.raw_length, 16);
    peer_host_call(&p, 2, 1, ticket, NULL, 0);
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    ck_assert_int_eq(hemi_deferred_finish(t.deferred, HEMI_HOST, NULL, 0, "no"), HEMI_OK);
    ck_assert_int_eq(host_reply(&p, 2, &f)->status, HEMI_HOST);
    peer_host_call(&p, 3, 1, ticket, NULL, 0); /* never answered: freed with the client */
    ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    peer_deinit(&p);
}
END_TEST

/* Also when they come late. */
START_TEST(results_that_are_not_those_of_the_type_fail_the_call)
{
    static const struct {
        size_t n;
        bool given;
        const char *text;
    } rows[] = {
        {0, true, "0 results where there are 1"}, {2, true, "2 results where there are 1"}, {1, false, "`results`"}};
    struct peer p;
    struct frame f;
    struct host_test t = {.p = &p};
    hemi_ticket ticket;
    hemi_val results[2] = {hemi_i32(5), hemi_i32(6)};
    peer_open(&p);
    host_func(&p, later, NULL, &i32, &t);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        peer_host_call(&p, i + 1, 1, ticket, NULL, 0);
        ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
        hemi_deferred_finish(t.deferred, HEMI_OK, rows[i].given ? results : NULL, rows[i].n, NULL);
        const Hemi__V1__HostReply *reply = host_reply(&p, i + 1, &f);
        ck_assert_int_eq(reply->status, HEMI_HOST);
        ck_assert_mem_eq(reply->message.data, rows[i].text, strlen(rows[i].text));
    }
    peer_deinit(&p);
}
END_TEST

START_TEST(a_host_functions_type_is_checked)
{
    struct peer p, other;
    hemi_module *module;
    hemi_object *object;
    peer_open(&p);
    peer_store(&p);
    peer_open(&other);
    peer_ok(&other);
    ck_assert_int_eq(hemi_module_new(other.client, "x", 1, &module, NULL), HEMI_OK);
    const struct {
        struct hemi_func_options options;
        hemi_status status;
        const char *text;
    } rows[] = {{{.module = module}, HEMI_HANDLE, "another client"},
                {{.nparams = 1}, HEMI_ARGUMENT, "`params`"},
                {{.nresults = 1}, HEMI_ARGUMENT, "`results`"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(hemi_func_new(p.store, &rows[i].options, later, NULL, &object, NULL), rows[i].status);
        ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), rows[i].text));
        ck_assert_ptr_null(object);
    }
    peer_deinit(&other);
    peer_deinit(&p);
}
END_TEST

START_TEST(what_is_of_others_makes_no_instance)
{
    struct peer p, other;
    hemi_module *module;
    hemi_store *second;
    hemi_wasi *w;
    hemi_instance *instance;
    hemi_object *object;
    peer_open(&p);
    peer_store(&p);
    peer_ok(&p);
    ck_assert_int_eq(hemi_store_new(p.client, NULL, &second, NULL), HEMI_OK);
    peer_ok(&p);
    ck_assert_int_eq(hemi_wasi_new(second, NULL, &w, NULL), HEMI_OK);
    instance = peer_instance(&p);
    ck_assert_int_eq(hemi_export_get_n(instance, NULL, 1, &object, NULL), HEMI_ARGUMENT);
    ck_assert_ptr_null(object);
    peer_ok(&p);
    ck_assert_int_eq(hemi_module_new(p.client, "x", 1, &module, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_instance_new(p.store, module, NULL, 0, w, &instance, NULL), HEMI_HANDLE);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "another store"));
    peer_open(&other);
    peer_ok(&other);
    ck_assert_int_eq(hemi_module_new(other.client, "x", 1, &module, NULL), HEMI_OK);
    ck_assert_int_eq(hemi_instance_new(p.store, module, NULL, 0, NULL, &instance, NULL), HEMI_HANDLE);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "another client"));
    ck_assert_ptr_null(instance);
    peer_deinit(&other);
    peer_deinit(&p);
}
END_TEST

START_TEST(arguments_and_variables_are_checked)
{
    static const char *const hole[] = {"a", NULL};
    static char large[(1 << 20) + 1];
    const char *const too_long[] = {large};
    struct peer p;
    hemi_wasi *w;
    memset(large, 'x', sizeof large - 1);
    peer_open(&p);
    peer_store(&p);
    const struct {
        struct hemi_wasi_options options;
        const char *text;
    } rows[] = {{{.args = hole, .nargs = 2}, "`args[1]` is NULL"},
                {{.envs = hole, .nenvs = 2}, "`envs[1]` is NULL"},
                {{.nargs = 1}, "`args` is NULL"},
                {{.nenvs = 1}, "`envs` is NULL"},
                {{.args = hole, .nargs = SIZE_MAX}, "more than 1 MiB"},
                {{.args = too_long, .nargs = 1}, "more than 1 MiB"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(hemi_wasi_new(p.store, &rows[i].options, &w, NULL), HEMI_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), rows[i].text));
        ck_assert_ptr_null(w);
    }
    peer_deinit(&p);
}
END_TEST

static hemi_status keep_some(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    struct host_test *t = env;
    (void)results;
    if (t->calls++ == 0) {
        hemi_keep(hemi_caller_client(caller), &args[0]);
        t->kept = args[0];
    }
    return HEMI_OK;
}

START_TEST(arguments_are_dropped_unless_kept)
{
    struct peer p;
    struct host_test t = {.p = &p};
    uint8_t raw[16];
    uint32_t ids[64];
    hemi_ticket ticket;
    peer_open(&p);
    host_func(&p, keep_some, &anyref, NULL, &t);
    ck_assert_int_eq(hemi_ping(p.client, &ticket), HEMI_OK);
    for (uint32_t i = 0; i < 2; i++) {
        ref_wire(raw, WIRE_HANDLE, WIRE_CLASS_ANY, HANDLE_WORKER + 10 + i, 0);
        peer_host_call(&p, i + 1, 1, ticket, raw, 16);
        ck_assert_int_eq(hemi_client_dispatch(p.client), HEMI_OK);
    }
    peer_ok(&p);
    ck_assert_int_eq(hemi_wait(p.client, ticket), HEMI_OK);
    ck_assert_msg(dropped(&p, ids, 64) == 1 && ids[0] == HANDLE_WORKER + 11, "only the second");
    hemi_drop(p.client, &t.kept);
    ck_assert_msg(dropped(&p, ids, 64) == 1 && ids[0] == HANDLE_WORKER + 10, "now the first");
    hemi_keep(p.client, &t.kept); /* nothing is kept of what was dropped */
    peer_deinit(&p);
}
END_TEST

/* ---- streams */
struct stream_test {
    hemi_client *client;
    char out[64];
    size_t n;
    const char *input;
    int asked;
};

static hemi_status on_out(const void *bytes, size_t n, void *env)
{
    struct stream_test *t = env;
    if (t->n + n < sizeof t->out) memcpy(t->out + t->n, bytes, n);
    t->n += n;
    ck_assert_int_eq(hemi_ping(t->client, NULL), HEMI_BUSY);
    return HEMI_OK;
}

static size_t on_in(void *bytes, size_t n, void *env)
{
    struct stream_test *t = env;
    t->asked++;
    if (!t->input) return HEMI_INPUT_LATER;
    size_t length = strlen(t->input) < n ? strlen(t->input) : n;
    memcpy(bytes, t->input, length);
    t->input += length;
    return length;
}

static hemi_wasi *wasi(struct peer *p, struct stream_test *t)
{
    hemi_wasi *w;
    const char *args[] = {"prog", "x"}, *envs[] = {"A=b"};
    struct hemi_wasi_options o = {.args = args,
                                  .nargs = 2,
                                  .envs = envs,
                                  .nenvs = 1,
                                  .out = on_out,
                                  .in = on_in,
                                  .env = t,
                                  .output_credit = 1000};
    t->client = p->client;
    if (!p->store) peer_store(p);
    peer_ok(p);
    ck_assert_int_eq(hemi_wasi_new(p->store, &o, &w, NULL), HEMI_OK);
    return w;
}

static void stream_data(struct peer *p, uint32_t stream, const char *bytes, size_t n)
{
    Hemi__V1__StreamData body = HEMI__V1__STREAM_DATA__INIT;
    body.stream = stream;
    peer_put(p, FRAME_STREAM_DATA, 0, &body.base, bytes, n);
}

START_TEST(output_streams)
{
    struct peer p;
    struct frame f;
    struct stream_test t = {0};
    char filler[1001] = {0};
    peer_open(&p);
    wasi(&p, &t); /* stream 1 is its input, 2 its output */
    const Hemi__V1__WasiNew *body = (const Hemi__V1__WasiNew *)peer_expect(&p, FRAME_WASI_NEW, &f);
    ck_assert(body->args == 2 && body->envs == 1 && body->stdin_stream == 1 && body->stdout_stream == 2);
    ck_assert_uint_eq(body->stderr_stream, 0);
    ck_assert_uint_eq(body->output_credit, 1000);
    ck_assert_uint_eq(f.raw_length, 11);
    ck_assert_int_eq(memcmp(f.raw, "prog\0x\0A=b", 11), 0);
    stream_data(&p, 2, "hello ", 6);
    stream_data(&p, 2, "world", 5);
    ping(&p);
    ck_assert_str_eq(t.out, "hello world");
    stream_data(&p, 2, filler, 600);
    ping(&p);
    ck_assert_uint_eq(((const Hemi__V1__StreamCredit *)peer_expect(&p, FRAME_STREAM_CREDIT, &f))->bytes, 611);
    stream_data(&p, 2, filler, 1001); /* one more than was granted */
    ck_assert_int_eq(hemi_ping(p.client, NULL), HEMI_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(hemi_client_error(p.client), "credit"));
    peer_deinit(&p);
}
END_TEST

START_TEST(input_streams)
{
    struct peer p;
    struct frame f;
    struct stream_test t = {0};
    Hemi__V1__StreamCredit credit = HEMI__V1__STREAM_CREDIT__INIT;
    peer_open(&p);
    wasi(&p, &t);
    ping(&p);
    ck_assert_msg(t.asked == 0, "nobody reads: nothing is asked for");
    credit.stream = 1;
    credit.bytes = 4;
    peer_put(&p, FRAME_STREAM_CREDIT, 0, &credit.base, NULL, 0);
    ping(&p);
    ck_assert_int_gt(t.asked, 0);
    t.input = "abcdef";
    ping(&p);
    peer_expect(&p, FRAME_STREAM_DATA, &f);
    ck_assert_uint_eq(f.raw_length, 4);
    int asked = t.asked;
    ping(&p);
    ck_assert_msg(t.asked == asked, "without credit nothing is asked for");
    credit.bytes = 100;
    peer_put(&p, FRAME_STREAM_CREDIT, 0, &credit.base, NULL, 0);
    ping(&p);
    ping(&p);
    peer_expect(&p, FRAME_STREAM_DATA, &f);
    ck_assert_int_eq(memcmp(f.raw, "ef", 2), 0);
    peer_expect(&p, FRAME_STREAM_EOF, &f);
    peer_deinit(&p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_refs");
    TCase *c = tcase_create("client_refs");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, references_have_handles);
    tcase_add_test(c, handles_not_as_agreed);
    tcase_add_test(c, nulls_and_i31s_need_none);
    tcase_add_test(c, promises_are_used_at_once);
    tcase_add_test(c, scopes_drop_at_once);
    tcase_add_test(c, externs_are_finalized_once);
    tcase_add_test(c, an_extern_that_was_dropped_and_never_sent_is_finalized);
    tcase_add_test(c, deaths_that_never_were);
    tcase_add_test(c, externs_that_were_never_looked_at);
    tcase_add_test(c, an_extern_that_died_before_its_last_copy_came_back_unread_is_finalized);
    tcase_add_test(c, externs_come_back);
    tcase_add_test(c, a_store_ends_its_externs);
    tcase_add_test(c, externs_come_back_to_life);
    tcase_add_test(c, host_functions);
    tcase_add_test(c, host_functions_nest);
    tcase_add_test(c, nesting_is_limited);
    tcase_add_test(c, only_its_own_chain_runs_inside);
    tcase_add_test(c, host_functions_answer_later);
    tcase_add_test(c, results_that_are_not_those_of_the_type_fail_the_call);
    tcase_add_test(c, a_host_functions_type_is_checked);
    tcase_add_test(c, what_is_of_others_makes_no_instance);
    tcase_add_test(c, arguments_and_variables_are_checked);
    tcase_add_test(c, arguments_are_dropped_unless_kept);
    tcase_add_test(c, output_streams);
    tcase_add_test(c, input_streams);
    suite_add_tcase(s, c);
    return run_suite(s);
}
