/* libhemi without memory: the same scenario again and again, its 1st, 2nd, ... allocation failing, until none does.
 * Every failure is a status; nothing crashes. (The sanitizers bring their own allocator: there only the rest runs.) */
#include "tests/unit/client_peer.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR 1
#endif

static bool armed;     /* the library is running, not the peer */
static long countdown; /* allocations until the one that fails */

#if OWN_ALLOCATOR
static bool fails(void) { return armed && --countdown == 0; }

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
HEMI_API void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }
HEMI_API void *calloc(size_t count, size_t n) { return fails() ? NULL : __libc_calloc(count, n); }
HEMI_API void *realloc(void *p, size_t n) { return fails() ? NULL : __libc_realloc(p, n); }
#endif

/* One call of the library's. */
#define CLIENT(call) (armed = true, last = (call), armed = false, last)
static hemi_status last;

static const hemi_type externref = HEMI_TYPE_EXTERNREF, anyref = HEMI_TYPE_ANYREF;
static int finalized, freed;
static void on_final(void *pointer) { finalized += pointer != NULL; }
static void on_free(void *env) { freed += env != NULL; }
static hemi_status swallow(const void *bytes, size_t n, void *env)
{
    *(size_t *)env += bytes ? n : 0;
    return HEMI_OK;
}

static hemi_status host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    hemi_scope *scope;
    (void)args;
    (void)env;
    (void)results;
    return hemi_scope_open(hemi_caller_client(caller), &scope); /* closed for it */
}

static hemi_status connect_peer(struct peer *p)
{
    int fd = peer_init(p);
    peer_welcome(p, 64);
    return CLIENT(hemi_connect_fd(fd, NULL, &p->client));
}

static hemi_status make(struct peer *p, hemi_object **func, hemi_ticket *ticket)
{
    uint8_t entry[128];
    hemi_module *module;
    hemi_instance *instance;
    hemi_wasi *wasi;
    hemi_object *imported;
    static size_t written;
    struct hemi_wasi_options streams = {.out = swallow, .env = &written};
    struct hemi_func_options type = {.params = &anyref, .nparams = 1, .env_free = on_free};
    Hemi__V1__Reply one = HEMI__V1__REPLY__INIT;
    one.value = 1;
    peer_ok(p);
    if (CLIENT(hemi_store_new(p->client, NULL, &p->store, NULL)) != HEMI_OK) return last;
    if (CLIENT(hemi_module_new(p->client, "x", 1, &module, &ticket[0])) != HEMI_OK) return last;
    if (CLIENT(hemi_wasi_new(p->store, &streams, &wasi, &ticket[1])) != HEMI_OK) return last;
    if (CLIENT(hemi_func_new(p->store, &type, host, &freed, &imported, &ticket[2])) != HEMI_OK) return last;
    if (CLIENT(hemi_instance_new(p->store, module, &imported, 1, wasi, &instance, &ticket[3])) != HEMI_OK) return last;
    for (int i = 0; i < 4; i++) peer_ok(p);
    peer_reply(p, &one, entry, peer_func_entry(entry, &externref, 1, &anyref, 1));
    return CLIENT(hemi_export_get(instance, "f", func, NULL));
}

/* Ids of handles begin elsewhere for each client of a process. */
static void read_store_id(struct peer *p)
{
    struct frame f;
    while (peer_take(p, &f))
        if (f.head.type == FRAME_STORE_NEW) p->store_id = ((const Hemi__V1__StoreNew *)f.body)->store;
}

/* A call with an externref, which calls the host function, and gives a reference. */
static hemi_status call(struct peer *p, hemi_object *func)
{
    hemi_scope *scope;
    hemi_val v, out;
    uint8_t raw[16];
    struct wire_reference w = {.kind = WIRE_HANDLE, .handle = HANDLE_WORKER + 1};
    if (CLIENT(hemi_scope_open(p->client, &scope)) != HEMI_OK) return last;
    if (CLIENT(hemi_extern_new(p->store, p, on_final, &v)) != HEMI_OK) return last;
    wire_put_reference(raw, &w);
    read_store_id(p);
    peer_host_call(p, 1, 1, p->request + 1, raw, 16);
    w.handle = p->store_id + 6; /* after store, module, wasi, host function, instance, function */
    wire_put_reference(raw, &w);
    peer_reply(p, NULL, raw, 16);
    if (CLIENT(hemi_call(func, &v, 1, &out, 1, NULL)) != HEMI_OK) return last;
    armed = true;
    hemi_scope_close(scope);
    armed = false;
    return HEMI_OK;
}

static hemi_status scenario(struct peer *p)
{
    hemi_object *func;
    hemi_ticket tickets[4];
    hemi_status status = connect_peer(p);
    if (status == HEMI_OK) peer_read_hello(p);
    if (status == HEMI_OK) status = make(p, &func, tickets);
    if (status == HEMI_OK) status = call(p, func);
    for (int i = 0; i < 4 && status == HEMI_OK; i++) status = CLIENT(hemi_wait(p->client, tickets[i]));
    if (status == HEMI_OK) CLIENT(hemi_client_fd(p->client) >= 0 ? HEMI_OK : HEMI_INTERNAL);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    struct peer p;
    long n = 0;
    hemi_status status;
    bool reached;
    do {
        int before = finalized;
        countdown = ++n;
        status = scenario(&p);
        reached = countdown <= 0;
        if (status != HEMI_OK)
            ck_assert_msg(status == HEMI_NO_MEMORY, "%ld: %s", n, p.client ? hemi_client_error(p.client) : "?");
        if (p.client) ck_assert_int_eq(hemi_client_ended(p.client) == HEMI_PROTOCOL, 0);
        armed = true;
        hemi_client_free(p.client);
        armed = false;
        p.client = NULL;
        peer_deinit(&p);
        ck_assert_int_le(finalized - before, 1);
    } while (reached);
    ck_assert_int_eq(status, HEMI_OK);
    ck_assert_int_eq(freed > 0 && finalized > 0, 1);
    ck_assert_int_gt(n, (OWN_ALLOCATOR) ? 20 : 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_memory");
    TCase *c = tcase_create("client_memory");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, every_allocation_may_fail);
    suite_add_tcase(s, c);
    return run_suite(s);
}
