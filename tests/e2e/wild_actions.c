/* tests/e2e/wild_actions.c -- what a wild client does (wild.h): one row per action, and the life that is made of them.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/hemi.pb-c.h"
#include "proto/value.h"
#include "tests/e2e/support.h"
#include "tests/e2e/wild.h"

/* name, weight: each returns false if it could not be done now, having done nothing */
#define ACTIONS(X)                                                                                                     \
    X(ping, 6)                                                                                                         \
    X(info, 1)                                                                                                         \
    X(module, 4)                                                                                                       \
    X(module_in_chunks, 1)                                                                                             \
    X(module_by_memfd, 2)                                                                                              \
    X(memfds, 1)                                                                                                       \
    X(bad_module, 1)                                                                                                   \
    X(describe, 2)                                                                                                     \
    X(store, 4)                                                                                                        \
    X(close_store, 1)                                                                                                  \
    X(collect, 1)                                                                                                      \
    X(stats, 2)                                                                                                        \
    X(instance, 6)                                                                                                     \
    X(failing_instance, 1)                                                                                             \
    X(get_export, 20)                                                                                                  \
    X(list_exports, 2)                                                                                                 \
    X(call, 40)                                                                                                        \
    X(spin, 1)                                                                                                         \
    X(call_and_drop, 2)                                                                                                \
    X(memory, 2)                                                                                                       \
    X(write_and_read, 8)                                                                                               \
    X(memory_size, 2)                                                                                                  \
    X(memory_grow, 1)                                                                                                  \
    X(global, 2)                                                                                                       \
    X(set_and_get, 5)                                                                                                  \
    X(table, 2)                                                                                                        \
    X(table_set_and_get, 5)                                                                                            \
    X(table_grow, 1)                                                                                                   \
    X(compare, 3)                                                                                                      \
    X(type_of, 3)                                                                                                      \
    X(wasi, 2)                                                                                                         \
    X(feed, 4)                                                                                                         \
    X(grant, 4)                                                                                                        \
    X(answer, 12)                                                                                                      \
    X(refuse, 3)                                                                                                       \
    X(cancel, 1)                                                                                                       \
    X(cancel_flood, 1)                                                                                                 \
    X(interrupt, 1)                                                                                                    \
    X(drop, 6)                                                                                                         \
    X(chain, 2)                                                                                                        \
    X(go_deaf, 1)                                                                                                      \
    X(listen, 6)                                                                                                       \
    X(leave, 1)                                                                                                        \
    X(hang_up, 1)                                                                                                      \
    X(hang_up_in_a_frame, 1)                                                                                           \
    X(close_half, 1)

enum action {
#define X(name, weight) ACTION_##name,
    ACTIONS(X)
#undef X
        ACTION_COUNT
};
_Static_assert(ACTION_COUNT <= WILD_ACTIONS_MAX, "a report counts each action");

/* ---- making frames */

/* A request that touches this store, perhaps from inside a host call. */
static struct wild_asked in_store(struct wild *c, uint32_t store)
{
    struct wild_asked a = {.store = store};
    if (c->ncalls > 0 && wild_draw(c, 3) == 0) a.parent = c->calls[wild_draw(c, c->ncalls)].id;
    return a;
}

static bool ask(struct wild *c, unsigned type, const void *body, const void *raw, size_t n, struct wild_asked a)
{
    return wild_ask(c, type, 0, body, raw, n, -1, &a) != 0;
}

/* A request that makes a thing, whose handle goes into the body's `field`. */
static bool make(struct wild *c, unsigned type, const void *body, uint32_t *field, const void *raw, size_t n,
                 struct wild_asked a, enum wild_kind kind, unsigned sort)
{
    struct wild_thing *t = wild_add(c, 0, kind, sort, a.store);
    if (!t) return false;
    *field = a.makes = t->handle;
    t->maker = wild_ask(c, type, 0, body, raw, n, -1, &a);
    if (t->maker) return true;
    wild_remove(c, t);
    return false;
}

static uint32_t some_deadline(struct wild *c) { return wild_draw(c, 12) ? 0 : 1 + wild_draw(c, 50); }

/* An extern that is counted as sent; null half the time. */
static void put_extern(struct wild *c, uint8_t *raw, struct wild_asked *a)
{
    struct wire_reference ref = {.kind = WIRE_NULL, .class_ = WIRE_CLASS_EXTERN};
    if (a->store && wild_draw(c, 2)) {
        ref.kind = WIRE_EXTERN;
        ref.payload = a->extern_id = 1 + wild_draw(c, WILD_EXTERNS - 1);
    }
    wire_put_reference(raw, &ref);
}

static void sent_extern(struct wild *c, const struct wild_asked *a)
{
    if (a->extern_id && wild_store_of(c, a->store)) wild_store_of(c, a->store)->sent[a->extern_id]++;
}

/* ---- the connection */

static bool act_ping(struct wild *c)
{
    static uint8_t raw[60000];
    struct wild_asked a = in_store(c, 0);
    size_t n = wild_draw(c, 20) ? wild_draw(c, 200) : wild_draw(c, sizeof raw);
    a.check = WILD_CHECK_BYTES;
    a.length = (uint32_t)n;
    a.expected = wild_draw(c, 1000);
    for (size_t i = 0; i < n; i++) raw[i] = wild_pattern(a.expected, i);
    return ask(c, FRAME_PING, NULL, raw, n, a);
}

static bool act_info(struct wild *c) { return ask(c, FRAME_INFO, NULL, NULL, 0, in_store(c, 0)); }

static void cancel(struct wild *c, uint32_t id)
{
    Hemi__V1__Cancel body = HEMI__V1__CANCEL__INIT;
    body.request = id;
    wild_tell(c, FRAME_CANCEL, 0, &body, NULL, 0);
}

static bool act_cancel(struct wild *c)
{
    if (c->nasked == 0) return false;
    cancel(c, c->asked[wild_draw(c, c->nasked)].id);
    return true;
}

static bool act_cancel_flood(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    for (int i = 0; i < 200; i++) cancel(c, c->next_id + 1000 - wild_draw(c, 1010));
    return true;
}

static bool act_interrupt(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    for (unsigned n = 1 + wild_draw(c, 3); n > 0; n--) wild_tell(c, FRAME_INTERRUPT, 0, NULL, NULL, 0);
    return true;
}

/* ---- modules */

static bool upload(struct wild *c, enum wild_guest guest, int fd)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    const struct wild_module *m = &wild_modules[guest];
    struct wild_thing *t = wild_add(c, 0, WILD_MODULE, guest, 0);
    struct wild_asked a = {0};
    if (!t) {
        if (fd >= 0) close(fd);
        return false;
    }
    body.module = a.makes = t->handle;
    body.total = m->size;
    t->maker = fd >= 0 ? wild_ask(c, FRAME_MODULE_NEW, FRAME_FLAG_FD, &body, NULL, 0, fd, &a)
                       : wild_ask(c, FRAME_MODULE_NEW, 0, &body, m->bytes, m->size, -1, &a);
    if (t->maker) return true;
    wild_remove(c, t);
    return false;
}

static enum wild_guest some_guest(struct wild *c)
{
    static const uint8_t guests[] = {WILD_GUEST_MAIN, WILD_GUEST_MAIN, WILD_GUEST_MAIN,   WILD_GUEST_MAIN,
                                     WILD_GUEST_WASI, WILD_GUEST_WASI, WILD_GUEST_FAILING};
    return guests[wild_draw(c, sizeof guests)];
}

static bool act_module(struct wild *c) { return upload(c, some_guest(c), -1); }

static int sealed(enum wild_guest guest)
{
    const struct wild_module *m = &wild_modules[guest];
    int fd = memfd_create("module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, m->bytes, m->size) != (ssize_t)m->size) return fd;
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return fd;
}

static bool act_module_by_memfd(struct wild *c)
{
    enum wild_guest guest = some_guest(c);
    int fd = sealed(guest);
    return fd >= 0 && upload(c, guest, fd);
}

/* Many on their way at once. */
static bool act_memfds(struct wild *c)
{
    if (wild_draw(c, 8)) return false;
    unsigned n = 1 + wild_draw(c, 40);
    while (n > 0 && act_module_by_memfd(c)) n--;
    return true;
}

/* Perhaps never finished. */
static bool act_module_in_chunks(struct wild *c)
{
    const struct wild_module *m = &wild_modules[WILD_GUEST_PADDED];
    Hemi__V1__ModuleData data = HEMI__V1__MODULE_DATA__INIT;
    Hemi__V1__ModuleNew last = HEMI__V1__MODULE_NEW__INIT;
    struct wild_thing *t = wild_add(c, 0, WILD_MODULE, WILD_GUEST_PADDED, 0);
    struct wild_asked a = {0};
    size_t chunk = m->size / (2 + wild_draw(c, 3)), at = 0;
    if (!t) return false;
    data.module = last.module = a.makes = t->handle;
    data.total = last.total = m->size;
    bool whole = wild_draw(c, 5) > 0;
    for (; at + chunk < m->size; at += chunk) {
        data.offset = at;
        uint32_t id = wild_ask(c, FRAME_MODULE_DATA, 0, &data, m->bytes + at, chunk, -1, &a);
        if (id == 0) break;
        t->maker = id;
    }
    if (t->maker == 0) {
        wild_remove(c, t);
        return false;
    }
    whole = whole && at + chunk >= m->size &&
            wild_ask(c, FRAME_MODULE_NEW, 0, &last, m->bytes + at, m->size - at, -1, &a) != 0;
    if (!whole) t->kind = WILD_SPENT;
    return true;
}

static bool act_bad_module(struct wild *c)
{
    Hemi__V1__ModuleNew body = HEMI__V1__MODULE_NEW__INIT;
    const struct wild_module *m = &wild_modules[WILD_GUEST_MAIN];
    uint8_t bytes[4096];
    size_t n = m->size < sizeof bytes ? m->size : sizeof bytes;
    memcpy(bytes, m->bytes, n);
    for (unsigned i = 0; i < 3; i++) bytes[8 + wild_draw(c, (uint32_t)n - 8)] = (uint8_t)wild_draw(c, 256);
    body.total = n;
    return make(c, FRAME_MODULE_NEW, &body, &body.module, bytes, n, in_store(c, 0), WILD_MODULE, WILD_GUEST_PADDED);
}

static bool act_describe(struct wild *c)
{
    Hemi__V1__ModuleDescribe body = HEMI__V1__MODULE_DESCRIBE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MODULE, -1);
    if (!t) return false;
    body.module = t->handle;
    body.what = wild_draw(c, 2);
    return ask(c, FRAME_MODULE_DESCRIBE, &body, NULL, 0, in_store(c, 0));
}

/* ---- stores, instances */

static bool act_store(struct wild *c)
{
    Hemi__V1__StoreNew body = HEMI__V1__STORE_NEW__INIT;
    if (c->nstores == WILD_STORES || wild_draw(c, 1 + c->nstores) > 1) return false;
    body.heap_bytes = 2u << 20;
    if (wild_draw(c, 4) == 0) body.gc_stress_every = 1 + wild_draw(c, 100);
    struct wild_asked a = in_store(c, 0);
    if (!make(c, FRAME_STORE_NEW, &body, &body.store, NULL, 0, a, WILD_STORE, 0)) return false;
    c->stores[c->nstores++] = (struct wild_store){.handle = body.store};
    return true;
}

/* A store that is not closing. */
static struct wild_thing *pick_store(struct wild *c)
{
    struct wild_thing *t = wild_pick(c, WILD_STORE, -1);
    return t && wild_store_of(c, t->handle) && !wild_store_of(c, t->handle)->closing ? t : NULL;
}

static bool act_close_store(struct wild *c)
{
    Hemi__V1__StoreClose body = HEMI__V1__STORE_CLOSE__INIT;
    struct wild_thing *t = pick_store(c);
    if (!t || wild_draw(c, 3)) return false;
    body.store = t->handle;
    uint32_t store = t->handle;
    struct wild_asked a = in_store(c, store);
    if (!ask(c, FRAME_STORE_CLOSE, &body, NULL, 0, a)) return false;
    wild_store_of(c, store)->closing = true;
    for (unsigned i = 0; i < c->nthings; i++)
        if (c->things[i].store == store) c->things[i].kind = WILD_SPENT;
    return true;
}

static bool act_collect(struct wild *c)
{
    Hemi__V1__StoreGc body = HEMI__V1__STORE_GC__INIT;
    struct wild_thing *t = pick_store(c);
    if (!t) return false;
    body.store = t->handle;
    body.deadline_ms = some_deadline(c);
    return ask(c, FRAME_STORE_GC, &body, NULL, 0, in_store(c, t->handle));
}

static bool act_stats(struct wild *c)
{
    Hemi__V1__StoreStats body = HEMI__V1__STORE_STATS__INIT;
    struct wild_thing *t = wild_draw(c, 2) ? pick_store(c) : NULL;
    body.store = t ? t->handle : 0;
    return ask(c, FRAME_STORE_STATS, &body, NULL, 0, in_store(c, body.store));
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
    bool made = make(c, FRAME_FUNC_NEW, &body, &body.func, raw, sizeof raw, in_store(c, store), WILD_HOST, sort);
    return made ? body.func : 0;
}

static bool act_wasi(struct wild *c)
{
    static const char strings[] = "program\0argument\0NAME=value";
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    struct wild_thing *t = pick_store(c);
    if (!t || c->nstreams + 2 > WILD_STREAMS) return false;
    body.store = t->handle;
    body.args = 2;
    body.envs = 1;
    body.output_credit = wild_draw(c, 3) * 100000;
    body.stdin_stream = wild_draw(c, 4) ? ++c->next_stream : 0;
    body.stdout_stream = body.stderr_stream = ++c->next_stream;
    struct wild_asked a = in_store(c, t->handle);
    if (!make(c, FRAME_WASI_NEW, &body, &body.wasi, strings, sizeof strings, a, WILD_WASI, 0)) return false;
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
    struct wild_thing *store = pick_store(c);
    uint8_t raw[8];
    size_t n = 0;
    if (!module || !store) return false;
    enum wild_guest guest = module->sort;
    body.module = module->handle;
    body.store = store->handle;
    body.deadline_ms = some_deadline(c);
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
    struct wild_asked a = in_store(c, body.store);
    return make(c, FRAME_INSTANCE_NEW, &body, &body.instance, raw, n, a,
                guest == WILD_GUEST_FAILING ? WILD_SPENT : WILD_INSTANCE, guest);
}

static bool act_instance(struct wild *c)
{
    bool wasi = wild_draw(c, 3) == 0;
    return instantiate(c, wild_pick(c, WILD_MODULE, wasi ? WILD_GUEST_WASI : WILD_GUEST_MAIN));
}

static bool act_failing_instance(struct wild *c)
{
    return instantiate(c, wild_pick(c, WILD_MODULE, WILD_GUEST_FAILING));
}

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

static bool act_get_export(struct wild *c)
{
    Hemi__V1__ExportGet body = HEMI__V1__EXPORT_GET__INIT;
    struct wild_thing *t = wild_pick(c, WILD_INSTANCE, -1);
    if (!t || t->sort > WILD_GUEST_WASI) return false;
    enum wild_export export = some_export(c, t->sort);
    const struct wild_export_row *row = &wild_exports[export];
    body.instance = t->handle;
    unsigned sort = row->kind == WILD_GLOBAL ? (unsigned char)row->results[0] : export;
    return make(c, FRAME_EXPORT_GET, &body, &body.handle, row->name, strlen(row->name), in_store(c, t->store),
                row->kind, sort);
}

static bool act_list_exports(struct wild *c)
{
    Hemi__V1__ExportList body = HEMI__V1__EXPORT_LIST__INIT;
    struct wild_thing *t = wild_pick(c, WILD_INSTANCE, -1);
    if (!t) return false;
    body.instance = t->handle;
    return ask(c, FRAME_EXPORT_LIST, &body, NULL, 0, in_store(c, t->store));
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
    struct wild_asked a = in_store(c, f->store);
    uint8_t raw[2 * WIRE_VALUE_BYTES];
    size_t n = 0;
    uint32_t sum = 0;
    for (const char *p = row->params; *p; p++, n += WIRE_VALUE_BYTES) {
        uint32_t v = argument_of(c, f->sort);
        sum += v;
        if (*p == 'i')
            wire_put_number(raw + n, &v, 4);
        else
            put_extern(c, raw + n, &a);
    }
    body.func = f->handle;
    body.deadline_ms = deadline;
    if (f->sort == WILD_EXPORT_add) a.check = WILD_CHECK_I32, a.expected = sum;
    if (f->sort == WILD_EXPORT_work || f->sort == WILD_EXPORT_keep || f->sort == WILD_EXPORT_churn)
        a.check = WILD_CHECK_I32, a.expected = 7;
    if (f->sort == WILD_EXPORT_ask) a.check = WILD_CHECK_I32, a.expected = 4711;
    bool reference = row->results[0] == 'e' || row->results[0] == 'a';
    body.result_count = reference;
    bool done = reference ? make(c, FRAME_CALL, &body, &body.result_handle, raw, n, a, WILD_REF, row->results[0])
                          : ask(c, FRAME_CALL, &body, raw, n, a);
    if (done) sent_extern(c, &a);
    return done;
}

static bool act_call(struct wild *c)
{
    struct wild_thing *f = wild_pick(c, WILD_FUNC, -1);
    return f && f->sort != WILD_EXPORT_spin && call(c, f, some_deadline(c));
}

/* With a deadline; or without, until it is cancelled or its store is closed. */
static bool act_spin(struct wild *c)
{
    struct wild_thing *f = wild_pick(c, WILD_FUNC, WILD_EXPORT_spin);
    if (!f || wild_draw(c, 4)) return false;
    if (wild_draw(c, 3)) return call(c, f, 1 + wild_draw(c, 30));
    if (!call(c, f, 0)) return false;
    if (wild_draw(c, 2)) cancel(c, c->next_id);
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
    for (unsigned i = 0; i < n; i++) wild_remove(c, wild_find(c, handles[i]));
    wild_say(c, "DROP %u handles, %u first", n, handles[0]);
    wild_tell(c, FRAME_DROP, 0, NULL, raw, n * 8);
}

static bool act_call_and_drop(struct wild *c)
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
static bool act_drop(struct wild *c)
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
static bool act_chain(struct wild *c)
{
    if (!act_call(c)) return false;
    for (unsigned n = 1 + wild_draw(c, 6); n > 0; n--) {
        struct wild_asked a = {0};
        if (wild_ask(c, FRAME_PING, FRAME_FLAG_IF_PREVIOUS_OK, NULL, NULL, 0, -1, &a) == 0) break;
    }
    return true;
}

/* ---- memories, globals, tables, references */

static bool act_memory(struct wild *c)
{
    Hemi__V1__MemoryNew body = HEMI__V1__MEMORY_NEW__INIT;
    struct wild_thing *t = pick_store(c);
    if (!t) return false;
    body.store = t->handle;
    body.min = 1 + wild_draw(c, 3);
    body.max_plus_1 = 1 + body.min + wild_draw(c, 10);
    body.is64 = wild_draw(c, 3) == 0;
    return make(c, FRAME_MEMORY_NEW, &body, &body.memory, NULL, 0, in_store(c, body.store), WILD_MEMORY, 0);
}

/* What was written is read, when nothing runs between: both are of one store and one parent. */
static bool act_write_and_read(struct wild *c)
{
    Hemi__V1__MemoryWrite write = HEMI__V1__MEMORY_WRITE__INIT;
    Hemi__V1__MemoryRead read = HEMI__V1__MEMORY_READ__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MEMORY, -1);
    static uint8_t raw[65536];
    if (!t) return false;
    struct wild_asked a = in_store(c, t->store);
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
    ask(c, FRAME_MEMORY_READ, &read, NULL, 0, a);
    return true;
}

static bool act_memory_size(struct wild *c)
{
    Hemi__V1__MemorySize body = HEMI__V1__MEMORY_SIZE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MEMORY, -1);
    if (!t) return false;
    body.memory = t->handle;
    return ask(c, FRAME_MEMORY_SIZE, &body, NULL, 0, in_store(c, t->store));
}

static bool act_memory_grow(struct wild *c)
{
    Hemi__V1__MemoryGrow body = HEMI__V1__MEMORY_GROW__INIT;
    struct wild_thing *t = wild_pick(c, WILD_MEMORY, -1);
    if (!t) return false;
    body.memory = t->handle;
    body.delta = wild_draw(c, 3);
    return ask(c, FRAME_MEMORY_GROW, &body, NULL, 0, in_store(c, t->store));
}

static bool act_global(struct wild *c)
{
    Hemi__V1__GlobalNew body = HEMI__V1__GLOBAL_NEW__INIT;
    struct wild_thing *t = pick_store(c);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = in_store(c, t->handle);
    bool number = wild_draw(c, 2);
    body.store = t->handle;
    body.type = number ? VT_I32 : wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN);
    body.mutable_ = 1;
    if (number)
        wire_put_number(raw, &(uint32_t){5}, 4);
    else
        put_extern(c, raw, &a);
    if (!make(c, FRAME_GLOBAL_NEW, &body, &body.global, raw, sizeof raw, a, WILD_GLOBAL, number ? 'i' : 'e'))
        return false;
    sent_extern(c, &a);
    return true;
}

static bool act_set_and_get(struct wild *c)
{
    Hemi__V1__GlobalSet set = HEMI__V1__GLOBAL_SET__INIT;
    Hemi__V1__GlobalGet get = HEMI__V1__GLOBAL_GET__INIT;
    struct wild_thing *t = wild_pick(c, WILD_GLOBAL, -1);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = in_store(c, t->store), b = a;
    uint32_t value = wild_draw(c, 1000000);
    bool number = t->sort == 'i';
    set.global = get.global = t->handle;
    if (number)
        wire_put_number(raw, &value, 4);
    else
        put_extern(c, raw, &a);
    b.after = wild_ask(c, FRAME_GLOBAL_SET, 0, &set, raw, sizeof raw, -1, &a);
    if (b.after == 0) return false;
    sent_extern(c, &a);
    if (number) b.check = WILD_CHECK_I32, b.expected = value;
    if (number)
        ask(c, FRAME_GLOBAL_GET, &get, NULL, 0, b);
    else
        make(c, FRAME_GLOBAL_GET, &get, &get.result_handle, NULL, 0, b, WILD_REF, 'e');
    return true;
}

static bool act_table(struct wild *c)
{
    Hemi__V1__TableNew body = HEMI__V1__TABLE_NEW__INIT;
    struct wild_thing *t = pick_store(c);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = in_store(c, t->handle);
    body.store = t->handle;
    body.type = wire_type(VT_REF(true, HT_EXTERN), WIRE_CLASS_EXTERN);
    body.min = 4 + wild_draw(c, 100);
    body.max_plus_1 = body.min + 100;
    put_extern(c, raw, &a);
    if (!make(c, FRAME_TABLE_NEW, &body, &body.table, raw, sizeof raw, a, WILD_TABLE, 0)) return false;
    sent_extern(c, &a);
    return true;
}

static bool act_table_set_and_get(struct wild *c)
{
    Hemi__V1__TableSet set = HEMI__V1__TABLE_SET__INIT;
    Hemi__V1__TableGet get = HEMI__V1__TABLE_GET__INIT;
    struct wild_thing *t = wild_pick(c, WILD_TABLE, -1);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = in_store(c, t->store), b = a;
    set.table = get.table = t->handle;
    set.index = get.index = wild_draw(c, 20) ? wild_draw(c, 4) : wild_draw(c, 1000);
    put_extern(c, raw, &a);
    if (wild_ask(c, FRAME_TABLE_SET, 0, &set, raw, sizeof raw, -1, &a) == 0) return false;
    sent_extern(c, &a);
    make(c, FRAME_TABLE_GET, &get, &get.result_handle, NULL, 0, b, WILD_REF, 'e');
    return true;
}

static bool act_table_grow(struct wild *c)
{
    Hemi__V1__TableGrow body = HEMI__V1__TABLE_GROW__INIT;
    Hemi__V1__TableSize size = HEMI__V1__TABLE_SIZE__INIT;
    struct wild_thing *t = wild_pick(c, WILD_TABLE, -1);
    uint8_t raw[WIRE_VALUE_BYTES];
    if (!t) return false;
    struct wild_asked a = in_store(c, t->store), b = a;
    body.table = size.table = t->handle;
    body.delta = wild_draw(c, 8);
    put_extern(c, raw, &a);
    if (!ask(c, FRAME_TABLE_GROW, &body, raw, sizeof raw, a)) return false;
    sent_extern(c, &a);
    ask(c, FRAME_TABLE_SIZE, &size, NULL, 0, b);
    return true;
}

static bool act_compare(struct wild *c)
{
    Hemi__V1__RefEq body = HEMI__V1__REF_EQ__INIT;
    struct wild_thing *a = wild_pick(c, WILD_REF, -1), *b = wild_pick(c, WILD_REF, -1);
    if (!a || a->store != b->store) return false;
    body.a = a->handle;
    body.b = b->handle;
    return ask(c, FRAME_REF_EQ, &body, NULL, 0, in_store(c, a->store));
}

static bool act_type_of(struct wild *c)
{
    static const uint8_t kinds[] = {WILD_REF,    WILD_FUNC, WILD_GLOBAL,   WILD_TABLE,
                                    WILD_MEMORY, WILD_TAG,  WILD_EXCEPTION};
    Hemi__V1__RefType body = HEMI__V1__REF_TYPE__INIT;
    struct wild_thing *t = wild_pick(c, kinds[wild_draw(c, sizeof kinds)], -1);
    if (!t) return false;
    body.handle = t->handle;
    struct wild_asked a = in_store(c, t->store);
    if (wild_draw(c, 2)) return ask(c, FRAME_REF_TYPE, &body, NULL, 0, a);
    return make(c, FRAME_REF_TYPE, &body, &body.copy, NULL, 0, a, t->kind, t->sort);
}

/* ---- streams */

static bool act_feed(struct wild *c)
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

static bool act_grant(struct wild *c)
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

/* ---- host calls; manners */

static bool act_answer(struct wild *c)
{
    if (c->ncalls == 0) return false;
    wild_answer(c, wild_draw(c, c->ncalls), true);
    return true;
}

static bool act_refuse(struct wild *c)
{
    if (c->ncalls == 0) return false;
    wild_answer(c, wild_draw(c, c->ncalls), false);
    return true;
}

static bool act_go_deaf(struct wild *c)
{
    if (c->deaf || wild_draw(c, 3)) return false;
    wild_say(c, "reads no more");
    return c->deaf = true;
}

static bool act_listen(struct wild *c)
{
    if (c->deaf) wild_say(c, "reads again");
    c->deaf = false;
    wild_pump(c, (int)wild_draw(c, 3));
    return true;
}

static bool act_leave(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    wild_settle(c);
    wild_say(c, "leaves");
    wild_hang_up(c);
    return true;
}

static bool act_hang_up(struct wild *c)
{
    if (wild_draw(c, 4)) return false;
    wild_say(c, "hangs up: %u requests, %u host calls", c->nasked, c->ncalls);
    wild_hang_up(c);
    return true;
}

static bool act_hang_up_in_a_frame(struct wild *c)
{
    if (wild_draw(c, 4) || !act_ping(c)) return false;
    size_t n = frame_writer_pending(&c->w);
    ssize_t sent = send(c->fd, c->w.buffer + c->w.begin, wild_draw(c, (uint32_t)n), MSG_NOSIGNAL | MSG_DONTWAIT);
    wild_say(c, "hangs up after %zd of %zu bytes", sent, n);
    wild_hang_up(c);
    return true;
}

static bool act_close_half(struct wild *c)
{
    if (wild_draw(c, 6)) return false;
    wild_say(c, "closes its half");
    double end = now_ms() + 30000 * slowness();
    shutdown(c->fd, SHUT_WR);
    c->closing = true;
    c->deaf = false;
    while (c->fd >= 0) {
        c->w.begin = c->w.end; /* nothing more can be said */
        wild_pump(c, 100);
        if (now_ms() > end) wild_found(c, "the connection does not end after our half did");
    }
    return true;
}

/* ---- lives */

static const struct {
    const char *name;
    unsigned weight;
    bool (*run)(struct wild *c);
} actions[ACTION_COUNT] = {
#define X(name, weight) {#name, weight, act_##name},
    ACTIONS(X)
#undef X
};

const char *wild_action_name(unsigned action) { return action < ACTION_COUNT ? actions[action].name : NULL; }

static unsigned some_action(struct wild *c)
{
    unsigned sum = 0, i = 0;
    for (unsigned k = 0; k < ACTION_COUNT; k++) sum += actions[k].weight;
    for (unsigned at = wild_draw(c, sum); at >= actions[i].weight; i++) at -= actions[i].weight;
    return i;
}

void wild_act(struct wild *c)
{
    for (int tries = 0; tries < 8; tries++) {
        c->process->action = (uint8_t)some_action(c);
        if (actions[c->process->action].run(c)) return;
    }
}

/* What most clients begin with, all of it ahead of the answers. */
static void begin(struct wild *c)
{
    static bool (*const run[])(struct wild *c) = {act_module, act_module, act_module, act_store, act_wasi};
    c->process->action = ACTION_instance;
    wild_say(c, "dials");
    if (wild_draw(c, 8) == 0) return;
    for (unsigned i = 0; i < sizeof run / sizeof run[0]; i++) run[i](c);
    for (int i = 0; i < 3; i++) act_instance(c);
    for (int i = 0; i < 12; i++) act_get_export(c);
}

static void step(struct wild *c)
{
    if (c->fd < 0) {
        bool whole = wild_draw(c, 12) > 0;
        if (wild_dial(c, whole ? HELLO_MAX : wild_draw(c, HELLO_FIXED_BYTES)) && whole) begin(c);
        if (!whole && wild_draw(c, 4)) wild_hang_up(c);
        if (!whole) c->closing = true; /* nothing that follows is heard */
        return;
    }
    if (c->closing)
        wild_hang_up(c);
    else
        wild_act(c);
}

static void end_of(struct wild_process *p, enum wild_fate fate)
{
    switch (fate) {
    case WILD_LEAVES:
    case WILD_STOPS:
        for (unsigned i = 0; i < WILD_CONNECTIONS; i++) {
            if (p->connections[i].fd >= 0 && !p->connections[i].closing) wild_settle(&p->connections[i]);
            wild_hang_up(&p->connections[i]);
        }
        return;
    case WILD_DIES:
        raise(SIGKILL);
        return;
    default:
        _exit(0);
    }
}

void wild_live(struct wild_process *p, unsigned steps, enum wild_fate fate)
{
    for (unsigned i = 0; i < WILD_CONNECTIONS; i++)
        p->connections[i] = (struct wild){.process = p, .number = i, .fd = -1};
    unsigned used = 1 + wild_draw(&p->connections[0], WILD_CONNECTIONS);
    unsigned stop = wild_draw(&p->connections[0], steps);
    for (unsigned n = 0; n < steps; n++) {
        struct wild *c = &p->connections[wild_draw(&p->connections[0], used)];
        step(c);
        if (fate == WILD_STOPS && n == stop) {
            wild_say(c, "stops");
            raise(SIGSTOP);
        }
        bool waits = wild_draw(c, 4) == 0;
        for (unsigned i = 0; i < used; i++) wild_pump(&p->connections[i], waits ? 1 : 0);
    }
    end_of(p, fate);
}
