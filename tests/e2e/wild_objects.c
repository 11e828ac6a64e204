/* tests/e2e/wild_objects.c -- what wild clients do in stores (wild_actions.h). */
#include <string.h>

#include "proto/hemi.pb-c.h"
#include "tests/e2e/wild_actions.h"

/* ---- stores, instances */

bool wild_act_store(struct wild *c)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    if (c->nstores == WILD_STORES || wild_draw(c, 1 + c->nstores) > 1) return false;
    body.heap_bytes = 2u << 20;
    if (wild_draw(c, 4) == 0) body.gc_stress_every = 1 + wild_draw(c, 100);
    struct wild_asked a = wild_in_store(c, 0);
    if (!wild_make(c, FRAME_STORE_NEW, &body, &body.store, NULL, 0, a, WILD_STORE, 0)) return false;
    c->stores[c->nstores++] = (struct wild_store){.handle = body.store};
    return true;
}

struct wild_thing *wild_pick_store(struct wild *c)
{
    struct wild_thing *t = wild_pick(c, WILD_STORE, -1);
    return t && wild_store_of(c, t->handle) && !wild_store_of(c, t->handle)->closing ? t : NULL;
}

bool wild_act_close_store(struct wild *c)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    struct wild_thing *t = wild_pick_store(c);
    if (!t || wild_draw(c, 3)) return false;
    uint32_t store = body.store = t->handle;
    body.in_order = wild_draw(c, 2);
    struct wild_asked a = wild_in_store(c, store);
    if (!wild_request(c, FRAME_STORE_CLOSE, &body, NULL, 0, a)) return false;
    wild_store_of(c, store)->closing = true;
    for (unsigned i = 0; i < c->nthings; i++)
        if (c->things[i].store == store) c->things[i].kind = WILD_SPENT;
    return true;
}

bool wild_act_collect(struct wild *c)
{
    Hemi__V1__StoreGc body = HEMI__V1__STORE_GC__INIT;
    struct wild_thing *t = wild_pick_store(c);
    if (!t) return false;
    body.store = t->handle;
    body.deadline_ms = wild_some_deadline(c);
    return wild_request(c, FRAME_STORE_GC, &body, NULL, 0, wild_in_store(c, t->handle));
}

bool wild_act_stats(struct wild *c)
{
    Hemi__V1__StoreStats body = HEMI__V1__STORE_STATS__INIT;
    struct wild_thing *t = wild_draw(c, 2) ? wild_pick_store(c) : NULL;
    body.store = t ? t->handle : 0;
    return wild_request(c, FRAME_STORE_STATS, &body, NULL, 0, wild_in_store(c, body.store));
}

static uint32_t host_function(struct wild *c, uint32_t store, unsigned sort)
{
    Hemi__V1__FuncNew body = HEMI__V1__FUNC_NEW__INIT;
    uint32_t type = sort == 0 ? wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN) : VT_I32;
    uint8_t raw[8];
    for (unsigned i = 0; i < c->nthings; i++)
        if (c->things[i].kind == WILD_HOST && c->things[i].sort == sort && c->things[i].store == store)
            return c->things[i].handle;
    body.store = store;
    body.host = sort;
    body.params = 1;
    wire_put_u32(raw, type);
    wire_put_u32(raw + 4, type);
    bool made =
        wild_make(c, FRAME_FUNC_NEW, &body, &body.func, raw, sizeof raw, wild_in_store(c, store), WILD_HOST, sort);
    return made ? body.func : 0;
}

bool wild_act_wasi(struct wild *c)
{
    static const char strings[] = "program\0argument\0NAME=value";
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    struct wild_thing *t = wild_pick_store(c);
    if (!t || c->nstreams + 2 > WILD_STREAMS) return false;
    body.store = t->handle;
    body.args = 2;
    body.envs = 1;
    body.output_credit = wild_draw(c, 3) * 100000;
    body.stdin_stream = wild_draw(c, 4) ? wild_stream_id(c) : 0;
    body.stdout_stream = body.stderr_stream = wild_stream_id(c);
    struct wild_asked a = wild_in_store(c, t->handle);
    if (!wild_make(c, FRAME_WASI_NEW, &body, &body.wasi, strings, sizeof strings, a, WILD_WASI, 0)) return false;
    if (body.stdin_stream)
        c->streams[c->nstreams++] = (struct wild_stream){.id = body.stdin_stream, .store = body.store, .input = true};
    c->streams[c->nstreams++] =
        (struct wild_stream){.id = body.stdout_stream, .store = body.store, .credit = body.output_credit};
    return true;
}

static struct wild_thing *wasi_in(struct wild *c, uint32_t store)
{
    for (unsigned i = 0; i < c->nthings; i++)
        if (c->things[i].kind == WILD_WASI && c->things[i].store == store) return &c->things[i];
    return NULL;
}

static bool instantiate(struct wild *c, struct wild_thing *module)
{
    Hemi__V1__InstanceNew body = HEMI__V1__INSTANCE_NEW__INIT;
    struct wild_thing *store = wild_pick_store(c);
    uint8_t raw[8];
    size_t n = 0;
    if (!module || !store) return false;
    enum wild_guest guest = module->sort;
    body.module = module->handle;
    body.store = store->handle;
    body.deadline_ms = wild_some_deadline(c);
    if (guest == WILD_GUEST_WASI) {
        struct wild_thing *wasi = wasi_in(c, body.store);
        if (!wasi) return false;
        body.wasi = wasi->handle;
    }
    for (unsigned sort = 0; guest == WILD_GUEST_MAIN && sort < 2; sort++, n += 4) {
        uint32_t host = host_function(c, body.store, sort);
        if (host == 0) return false;
        wire_put_u32(raw + n, host);
    }
    struct wild_asked a = wild_in_store(c, body.store);
    return wild_make(c, FRAME_INSTANCE_NEW, &body, &body.instance, raw, n, a,
                     guest == WILD_GUEST_FAILING ? WILD_SPENT : WILD_INSTANCE, guest);
}

bool wild_act_instance(struct wild *c)
{
    bool wasi = wild_draw(c, 3) == 0;
    return instantiate(c, wild_pick(c, WILD_MODULE, wasi ? WILD_GUEST_WASI : WILD_GUEST_MAIN));
}

bool wild_act_failing_instance(struct wild *c) { return instantiate(c, wild_pick(c, WILD_MODULE, WILD_GUEST_FAILING)); }

static enum wild_export some_export(struct wild *c, enum wild_guest guest)
{
    unsigned sum = 0, at;
    for (unsigned i = 0; i < WILD_EXPORT_COUNT; i++) sum += wild_exports[i].guest == guest ? wild_exports[i].weight : 0;
    at = wild_draw(c, sum);
    for (unsigned i = 0; i < WILD_EXPORT_COUNT; i++) {
        unsigned weight = wild_exports[i].guest == guest ? wild_exports[i].weight : 0;
        if (at < weight) return (enum wild_export)i;
        at -= weight;
    }
    return WILD_EXPORT_add;
}

bool wild_act_get_export(struct wild *c)
{
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    struct wild_thing *t = wild_pick(c, WILD_INSTANCE, -1);
    if (!t || t->sort > WILD_GUEST_WASI) return false;
    enum wild_export export = some_export(c, t->sort);
    const struct wild_export_row *row = &wild_exports[export];
    body.instance = t->handle;
    unsigned sort = row->kind == WILD_GLOBAL ? (unsigned char)row->results[0] : export;
    return wild_make(c, FRAME_EXPORT_GET, &body, &body.handle, row->name, strlen(row->name), wild_in_store(c, t->store),
                     row->kind, sort);
}

bool wild_act_list_exports(struct wild *c)
{
    Hemi__V1__ExportList body = HEMI__V1__EXPORT_LIST__INIT;
    struct wild_thing *t = wild_pick(c, WILD_INSTANCE, -1);
    if (!t) return false;
    body.instance = t->handle;
    return wild_request(c, FRAME_EXPORT_LIST, &body, NULL, 0, wild_in_store(c, t->store));
}

/* ---- calls */

static uint32_t argument_of(struct wild *c, enum wild_export export)
{
    switch (export) {
    case WILD_EXPORT_work:
        return 1 + wild_draw(c, 200000);
    case WILD_EXPORT_keep:
    case WILD_EXPORT_churn:
        return 1 + wild_draw(c, 3000);
    case WILD_EXPORT_write:
    case WILD_EXPORT_read:
    case WILD_EXPORT_chance:
        return 1 + wild_draw(c, 60000);
    default:
        return wild_draw(c, 1000);
    }
}

static bool call(struct wild *c, struct wild_thing *f, uint32_t deadline)
{
    Hemi__V1__Call body = HEMI__V1__CALL__INIT;
    const struct wild_export_row *row = &wild_exports[f->sort];
    struct wild_asked a = wild_in_store(c, f->store);
    uint8_t raw[2 * WIRE_VALUE_BYTES];
    size_t n = 0;
    uint32_t sum = 0;
    for (const char *p = row->params; *p; p++, n += WIRE_VALUE_BYTES) {
        uint32_t v = argument_of(c, f->sort);
        sum += v;
        if (*p == 'i')
            wire_put_number(raw + n, &v, 4);
        else
            wild_put_extern(c, raw + n, &a);
    }
    body.func = f->handle;
    body.deadline_ms = deadline;
    a.endless = f->sort == WILD_EXPORT_spin || f->sort == WILD_EXPORT_read || f->sort == WILD_EXPORT_write;
    if (f->sort == WILD_EXPORT_add) a.check = WILD_CHECK_I32, a.expected = sum;
    if (f->sort == WILD_EXPORT_work || f->sort == WILD_EXPORT_keep || f->sort == WILD_EXPORT_churn)
        a.check = WILD_CHECK_I32, a.expected = 7;
    if (f->sort == WILD_EXPORT_ask) a.check = WILD_CHECK_I32, a.expected = 4711;
    bool reference = row->results[0] == 'e' || row->results[0] == 'a';
    body.result_count = reference;
    bool done = reference ? wild_make(c, FRAME_CALL, &body, &body.result_handle, raw, n, a, WILD_REF, row->results[0])
                          : wild_request(c, FRAME_CALL, &body, raw, n, a);
    if (done) wild_sent_extern(c, &a);
    return done;
}

bool wild_act_call(struct wild *c)
{
    struct wild_thing *f = NULL;
    if (c->mood == WILD_SPINS && wild_draw(c, 8) == 0) return wild_act_spin(c);
    if (c->mood == WILD_HOARDS || c->mood == WILD_NESTS) f = wild_pick(c, WILD_FUNC, WILD_EXPORT_ask);
    if (!f) f = wild_pick(c, WILD_FUNC, -1);
    return f && f->sort != WILD_EXPORT_spin && call(c, f, wild_some_deadline(c));
}

/* With a deadline; or without, until it is cancelled or its store is closed. */
bool wild_act_spin(struct wild *c)
{
    struct wild_thing *f = wild_pick(c, WILD_FUNC, WILD_EXPORT_spin);
    bool often = c->mood == WILD_SPINS;
    if (!f || (!often && wild_draw(c, 4))) return false;
    if (!often && wild_draw(c, 3)) return call(c, f, 1 + wild_draw(c, 30));
    if (!call(c, f, 0)) return false;
    if (!often && wild_draw(c, 2)) wild_cancel(c, c->next_id);
    return true;
}

static void drop(struct wild *c, struct wild_thing *const *things, unsigned n)
{
    uint8_t raw[8 * 32];
    uint32_t handles[32];
    for (unsigned i = 0; i < n; i++) {
        handles[i] = things[i]->handle;
        wire_put_u32(raw + i * 8, handles[i]);
        wire_put_u32(raw + i * 8 + 4, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        struct wild_thing *t = wild_find(c, handles[i]);
        bool uploading = t->kind == WILD_MODULE || t->sort == WILD_GUEST_PADDED; /* more than one request binds it */
        bool bound = t->maker == 0 && t->handle < HANDLE_WORKER && !uploading;
        if (bound) wild_free(c, t->handle);
        wild_remove(c, t);
    }
    wild_say(c, "DROP %u handles, %u first", n, handles[0]);
    wild_tell(c, FRAME_DROP, 0, NULL, raw, n * 8);
}

bool wild_act_call_and_drop(struct wild *c)
{
    struct wild_thing *f = wild_pick(c, WILD_FUNC, -1);
    if (!f || f->sort == WILD_EXPORT_spin) return false;
    uint32_t handle = f->handle;
    if (!call(c, f, 0)) return false;
    f = wild_find(c, handle);
    drop(c, &f, 1);
    return true;
}

/* What is spent, and now and then something that is not. */
bool wild_act_drop(struct wild *c)
{
    struct wild_thing *things[32];
    unsigned n = 0;
    bool live = wild_draw(c, 6) == 0 || c->nthings > WILD_THINGS - 40;
    for (unsigned i = 0; i < c->nthings && n < 32; i++) {
        struct wild_thing *t = &c->things[i];
        bool store = t->kind == WILD_STORE || wild_store_of(c, t->handle) != NULL;
        bool dear = t->kind == WILD_STORE || t->kind == WILD_MODULE || t->kind == WILD_INSTANCE;
        if (!store && (t->kind == WILD_SPENT || (live && wild_draw(c, dear ? 200 : 12) == 0))) things[n++] = t;
    }
    if (n == 0) return false;
    drop(c, things, n);
    return true;
}

/* Each runs only if the one before it did well. */
bool wild_act_chain(struct wild *c)
{
    if (!wild_act_call(c)) return false;
    for (unsigned n = 1 + wild_draw(c, 6); n > 0; n--) {
        struct wild_asked a = {0};
        if (wild_ask(c, FRAME_PING, FRAME_FLAG_IF_PREVIOUS_OK, NULL, NULL, 0, -1, &a) == 0) break;
    }
    return true;
}

/* ---- memories, globals, tables, references */

bool wild_act_memory(struct wild *c)
{
    Hemi__V1__MemoryNew body = HEMI__V1__MEMORY_NEW__INIT;
    struct wild_thing *t = wild_pick_store(c);
    if (!t) return false;
    body.store = t->handle;
    body.min = 1 + wild_draw(c, wild_draw(c, 30) ? 3 : 600);
    body.max_plus_1 = 1 + body.min + wild_draw(c, 10);
    body.is64 = wild_draw(c, 3) == 0;
    return wild_make(c, FRAME_MEMORY_NEW, &body, &body.memory, NULL, 0, wild_in_store(c, body.store), WILD_MEMORY, 0);
}

/* What was written is read, when nothing runs between: both are of one store and one parent. */
bool wild_act_write_and_read(struct wild *c)
{
    Hemi__V1__MemoryWrite write = HEMI__V1__MEMORY_WRITE__INIT;
    Hemi__V1__MemoryRead read = HEMI__V1__MEMORY_READ__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MEMORY, -1);
    static uint8_t raw[65536];
    if (!t) return false;
    struct wild_asked a = wild_in_store(c, t->store);
    size_t n = wild_draw(c, 20) ? wild_draw(c, 500) : wild_draw(c, 60000);
    a.expected = wild_draw(c, 1000);
    for (size_t i = 0; i < n; i++) raw[i] = wild_pattern(a.expected, i);
    write.memory = read.memory = t->handle;
    write.offset = read.offset = wild_draw(c, 5000);
    read.length = (uint32_t)n;
    if (wild_draw(c, 20) == 0) write.offset = read.offset = UINT64_MAX - wild_draw(c, 1000);
    a.after = wild_ask(c, FRAME_MEMORY_WRITE, 0, &write, raw, n, -1, &a);
    if (a.after == 0) return false;
    a.check = WILD_CHECK_BYTES;
    a.length = (uint32_t)n;
    wild_request(c, FRAME_MEMORY_READ, &read, NULL, 0, a);
    return true;
}

bool wild_act_memory_size(struct wild *c)
{
    Hemi__V1__MemorySize body = HEMI__V1__MEMORY_SIZE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MEMORY, -1);
    if (!t) return false;
    body.memory = t->handle;
    return wild_request(c, FRAME_MEMORY_SIZE, &body, NULL, 0, wild_in_store(c, t->store));
}

bool wild_act_memory_grow(struct wild *c)
{
    Hemi__V1__MemoryGrow body = HEMI__V1__MEMORY_GROW__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MEMORY, -1);
    if (!t) return false;
    body.memory = t->handle;
    body.delta = wild_draw(c, 3);
    return wild_request(c, FRAME_MEMORY_GROW, &body, NULL, 0, wild_in_store(c, t->store));
}

bool wild_act_global(struct wild *c)
{
    Hemi__V1__GlobalNew body = HEMI__V1__GLOBAL_NEW__INIT;
    struct wild_thing *t = wild_pick_store(c);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = wild_in_store(c, t->handle);
    bool number = wild_draw(c, 2);
    body.store = t->handle;
    body.type = number ? VT_I32 : wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN);
    body.mutable_ = 1;
    if (number)
        wire_put_number(raw, &(uint32_t){5}, 4);
    else
        wild_put_extern(c, raw, &a);
    if (!wild_make(c, FRAME_GLOBAL_NEW, &body, &body.global, raw, sizeof raw, a, WILD_GLOBAL, number ? 'i' : 'e'))
        return false;
    wild_sent_extern(c, &a);
    return true;
}

bool wild_act_set_and_get(struct wild *c)
{
    Hemi__V1__GlobalSet set = HEMI__V1__GLOBAL_SET__INIT;
    Hemi__V1__GlobalGet get = HEMI__V1__GLOBAL_GET__INIT;
    struct wild_thing *t = wild_pick(c, WILD_GLOBAL, -1);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = wild_in_store(c, t->store), b = a;
    uint32_t value = wild_draw(c, 1000000);
    bool number = t->sort == 'i';
    set.global = get.global = t->handle;
    if (number)
        wire_put_number(raw, &value, 4);
    else
        wild_put_extern(c, raw, &a);
    b.after = wild_ask(c, FRAME_GLOBAL_SET, 0, &set, raw, sizeof raw, -1, &a);
    if (b.after == 0) return false;
    wild_sent_extern(c, &a);
    if (number) b.check = WILD_CHECK_I32, b.expected = value;
    if (number)
        wild_request(c, FRAME_GLOBAL_GET, &get, NULL, 0, b);
    else
        wild_make(c, FRAME_GLOBAL_GET, &get, &get.result_handle, NULL, 0, b, WILD_REF, 'e');
    return true;
}

bool wild_act_table(struct wild *c)
{
    Hemi__V1__TableNew body = HEMI__V1__TABLE_NEW__INIT;
    struct wild_thing *t = wild_pick_store(c);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = wild_in_store(c, t->handle);
    body.store = t->handle;
    body.type = wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN);
    body.min = 4 + wild_draw(c, 100);
    body.max_plus_1 = body.min + 100;
    wild_put_extern(c, raw, &a);
    if (!wild_make(c, FRAME_TABLE_NEW, &body, &body.table, raw, sizeof raw, a, WILD_TABLE, 0)) return false;
    wild_sent_extern(c, &a);
    return true;
}

bool wild_act_table_set_and_get(struct wild *c)
{
    Hemi__V1__TableSet set = HEMI__V1__TABLE_SET__INIT;
    Hemi__V1__TableGet get = HEMI__V1__TABLE_GET__INIT;
    struct wild_thing *t = wild_pick(c, WILD_TABLE, -1);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = wild_in_store(c, t->store), b = a;
    set.table = get.table = t->handle;
    set.index = get.index = wild_draw(c, 20) ? wild_draw(c, 4) : wild_draw(c, 1000);
    wild_put_extern(c, raw, &a);
    if (wild_ask(c, FRAME_TABLE_SET, 0, &set, raw, sizeof raw, -1, &a) == 0) return false;
    wild_sent_extern(c, &a);
    wild_make(c, FRAME_TABLE_GET, &get, &get.result_handle, NULL, 0, b, WILD_REF, 'e');
    return true;
}

bool wild_act_table_grow(struct wild *c)
{
    Hemi__V1__TableGrow body = HEMI__V1__TABLE_GROW__INIT;
    Hemi__V1__TableSize size = HEMI__V1__TABLE_SIZE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_TABLE, -1);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = wild_in_store(c, t->store), b = a;
    body.table = size.table = t->handle;
    body.delta = wild_draw(c, 8);
    wild_put_extern(c, raw, &a);
    if (!wild_request(c, FRAME_TABLE_GROW, &body, raw, sizeof raw, a)) return false;
    wild_sent_extern(c, &a);
    wild_request(c, FRAME_TABLE_SIZE, &size, NULL, 0, b);
    return true;
}

bool wild_act_compare(struct wild *c)
{
    Hemi__V1__RefEq body = HEMI__V1__REF_EQ__INIT;
    struct wild_thing *a = wild_pick(c, WILD_REF, -1), *b = wild_pick(c, WILD_REF, -1);
    if (!a || a->store != b->store) return false;
    body.a = a->handle;
    body.b = b->handle;
    return wild_request(c, FRAME_REF_EQ, &body, NULL, 0, wild_in_store(c, a->store));
}

bool wild_act_type_of(struct wild *c)
{
    static const uint8_t kinds[] = {WILD_REF,    WILD_FUNC, WILD_GLOBAL,   WILD_TABLE,
                                    WILD_MEMORY, WILD_TAG,  WILD_EXCEPTION};
    Hemi__V1__RefType body = HEMI__V1__REF_TYPE__INIT;
    struct wild_thing *t = wild_pick(c, kinds[wild_draw(c, sizeof kinds)], -1);
    if (!t) return false;
    body.handle = t->handle;
    struct wild_asked a = wild_in_store(c, t->store);
    if (wild_draw(c, 2)) return wild_request(c, FRAME_REF_TYPE, &body, NULL, 0, a);
    return wild_make(c, FRAME_REF_TYPE, &body, &body.copy, NULL, 0, a, t->kind, t->sort);
}

/* ---- streams */

bool wild_act_feed(struct wild *c)
{
    static const uint8_t bytes[5000];
    Hemi__V1__StreamData data = HEMI__V1__STREAM_DATA__INIT;
    Hemi__V1__StreamEof eof = HEMI__V1__STREAM_EOF__INIT;
    if (c->nstreams == 0 || !c->welcome) return false;
    struct wild_stream *s = &c->streams[wild_draw(c, c->nstreams)];
    if (!s->input || s->ended || s->credit == 0) return false;
    size_t n = 1 + wild_draw(c, sizeof bytes);
    if (n > s->credit) n = (size_t)s->credit;
    data.stream = eof.stream = s->id;
    s->ended = wild_draw(c, 10) == 0;
    wild_say(c, "STREAM_DATA %u: %zu bytes%s", s->id, n, s->ended ? " and the end" : "");
    wild_tell(c, FRAME_STREAM_DATA, 0, &data, bytes, n);
    s->credit -= n;
    if (s->ended) wild_tell(c, FRAME_STREAM_EOF, 0, &eof, NULL, 0);
    return true;
}

bool wild_act_grant(struct wild *c)
{
    Hemi__V1__StreamCredit body = HEMI__V1__STREAM_CREDIT__INIT;
    if (c->nstreams == 0 || !c->welcome) return false;
    struct wild_stream *s = &c->streams[wild_draw(c, c->nstreams)];
    if (s->input) return false;
    body.stream = s->id;
    body.bytes = 1 + wild_draw(c, 100000);
    s->credit += body.bytes;
    wild_say(c, "STREAM_CREDIT %u: %u", s->id, (unsigned)body.bytes);
    wild_tell(c, FRAME_STREAM_CREDIT, 0, &body, NULL, 0);
    return true;
}
