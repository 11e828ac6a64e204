/* Every function of hemi.h at its edges, against a daemon: NULL, zero, the greatest numbers, what was closed, another
 * client's, the wrong kind, a connection that has ended. Each gives a status, and the connection stays (or stays
 * ended). A function without a row fails the test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/support.h"

static struct daemon d;

/* What the calls are given. */
struct edge {
    const char *name;
    bool nulls; /* NULL for all pointers, also where results go */
    bool ended; /* of the client's connection */
    hemi_client *client;
    hemi_module *module;
    hemi_store *store;
    hemi_instance *instance;
    hemi_object *object;
    hemi_wasi *wasi;
    const hemi_val *val;
    const void *bytes;
    const char *text;
    size_t n;
    uint64_t wide;
    hemi_type type;
    hemi_ticket made; /* by the row */
};

#define ANY ((hemi_status) - 1) /* the function returns none */
#define TO(place) (e->nulls ? NULL : &(place))
#define TICKET TO(e->made)
#define VOID(call) ((call), ANY)

static char buffer[1 << 20];
static hemi_val vals[4];
static size_t count;
static const struct hemi_entry *entries;

static hemi_status on_host(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)args, (void)results, (void)env;
    return HEMI_OK;
}
static void on_done(hemi_client *client, hemi_ticket ticket, void *env) { (void)client, (void)ticket, (void)env; }

/* Rows that make what they end; NULL for none. */
static hemi_store *own_store(struct edge *e)
{
    hemi_store *store = NULL;
    if (!e->nulls) hemi_store_new(e->client, NULL, &store, NULL);
    return store;
}

static hemi_status connects(struct edge *e)
{
    hemi_client *client = NULL;
    struct hemi_connect_options o = {
        .socket = e->nulls ? "" : "/nonexistent", .token = e->bytes, .token_length = e->n, .max_nesting = UINT32_MAX};
    hemi_status status = hemi_connect(&o, TO(client));
    hemi_client_free(client);
    return status;
}

static hemi_status connects_fd(struct edge *e)
{
    hemi_client *client = NULL;
    struct hemi_connect_options o = {.timeout_ms = 1, .token = e->bytes, .token_length = e->n};
    hemi_status status = hemi_connect_fd(-1, &o, TO(client));
    hemi_client_free(client);
    return status;
}

static hemi_status makes_store(struct edge *e)
{
    hemi_store *store = NULL;
    struct hemi_store_options o = {.memory_bytes = e->wide,
                                   .heap_bytes = e->wide,
                                   .stack_bytes = e->wide,
                                   .table_elements = e->wide,
                                   .instances = (uint32_t)e->wide,
                                   .gc_growth_percent = (uint32_t)e->wide,
                                   .gc_stress_every = (uint32_t)e->wide};
    hemi_status status = hemi_store_new(e->client, &o, TO(store), NULL);
    if (status == HEMI_OK) hemi_store_close(store, NULL);
    return status;
}

static hemi_status makes_wasi(struct edge *e)
{
    static const char *const none[1];
    hemi_wasi *wasi = NULL;
    struct hemi_wasi_options o = {.args = e->n ? none : NULL, .nargs = e->n, .nenvs = e->n, .output_credit = e->wide};
    hemi_status status = hemi_wasi_new(e->store, &o, TO(wasi), TICKET);
    if (status == HEMI_OK) hemi_wasi_free(wasi);
    return status;
}

static hemi_status makes_func(struct edge *e)
{
    hemi_object *object = NULL;
    struct hemi_func_options o = {.params = &e->type,
                                  .nparams = e->n,
                                  .nresults = e->n,
                                  .module = e->n ? NULL : e->module,
                                  .import = (size_t)e->wide};
    hemi_status status = hemi_func_new(e->store, &o, e->nulls ? NULL : on_host, NULL, TO(object), TICKET);
    if (status == HEMI_OK) hemi_object_free(object);
    return status;
}

static hemi_status ends_store(struct edge *e) { return hemi_store_close(own_store(e), TICKET); }
static hemi_status ends_store_in_order(struct edge *e) { return hemi_store_close_in_order(own_store(e), TICKET); }

static hemi_status frees_object(struct edge *e)
{
    hemi_object *object = NULL;
    if (!e->nulls) hemi_memory_new(e->store, 1, 1, false, &object, NULL);
    return VOID(hemi_object_free(object));
}

static hemi_status frees_module(struct edge *e)
{
    hemi_module *module = NULL;
    hemi_ticket ticket;
    if (!e->nulls && hemi_module_new(e->client, "", 0, &module, &ticket) == HEMI_OK) hemi_forget(e->client, ticket);
    return VOID(hemi_module_free(module));
}

static hemi_status frees_instance(struct edge *e)
{
    hemi_instance *instance = NULL;
    hemi_instance_new(e->store, e->module, NULL, 0, NULL, &instance, NULL);
    return VOID(hemi_instance_free(instance));
}

static hemi_status frees_wasi(struct edge *e)
{
    hemi_wasi *wasi = NULL;
    hemi_wasi_new(e->store, NULL, &wasi, NULL);
    return VOID(hemi_wasi_free(wasi));
}

static hemi_status opens_scope(struct edge *e)
{
    hemi_scope *scope = NULL;
    hemi_status status = hemi_scope_open(e->client, TO(scope));
    hemi_scope_close(scope);
    return status;
}

static hemi_status drops(struct edge *e)
{
    hemi_val copy = e->val ? *e->val : hemi_i32(0);
    return VOID(hemi_drop(e->client, e->val ? &copy : NULL));
}

static hemi_status informs(struct edge *e)
{
    char *text = NULL;
    hemi_status status = hemi_info(e->client, TO(text));
    hemi_free_text(text);
    return status;
}

static hemi_status shows_code(struct edge *e)
{
    char *text = NULL;
    hemi_status status = hemi_module_code(e->module, (uint32_t)e->n, e->text, TO(text));
    hemi_free_text(text);
    return status;
}

static hemi_status asks_offset(struct edge *e)
{
    uint64_t offset;
    return VOID(hemi_client_offset(e->client, TO(offset)));
}

static hemi_status asks_function(struct edge *e)
{
    uint32_t function;
    return VOID(hemi_client_function(e->client, TO(function)));
}

static hemi_status asks_trace(struct edge *e)
{
    const struct hemi_trace_entry *trace = NULL;
    size_t n = hemi_client_trace(e->client, TO(trace));
    for (size_t i = 0; trace && i < n; i++) hemi_trace_text(&trace[i], buffer, sizeof buffer);
    return ANY;
}

static hemi_status writes_trace(struct edge *e)
{
    struct hemi_trace_entry entry = {.kind = (hemi_trace_kind)e->wide, .module = "", .name = ""};
    return VOID(hemi_trace_text(TO(entry), e->nulls ? NULL : buffer, e->nulls ? 9 : sizeof buffer));
}

static hemi_status asks_stats(struct edge *e)
{
    struct hemi_stats stats;
    return hemi_stats_get(e->client, e->store, TO(stats));
}

static hemi_status asks_client_stats(struct edge *e)
{
    struct hemi_client_stats stats;
    return VOID(hemi_client_stats_get(e->client, TO(stats)));
}

static hemi_status compares(struct edge *e)
{
    bool equal;
    return hemi_ref_eq(e->client, e->val, NULL, TO(equal), TICKET);
}

static hemi_status assembles(struct edge *e)
{
    void *bytes = NULL;
    hemi_status status = hemi_wat_assemble(e->text, e->text ? strlen(e->text) : 0, NULL, TO(bytes), TO(count), NULL);
    hemi_wat_free(bytes);
    return status;
}

static hemi_status disassembles(struct edge *e)
{
    char *text = NULL;
    hemi_status status = hemi_wat_disassemble(e->bytes, e->bytes ? 8 : 0, NULL, TO(text), TO(count), NULL);
    hemi_wat_free(text);
    return status;
}

static hemi_status locates(struct edge *e)
{
    uint32_t line, column;
    return hemi_wat_locate(e->text, e->text ? strlen(e->text) : 0, e->wide, TO(line), TO(column));
}

static hemi_status frees_client(struct edge *e)
{
    hemi_client *client = NULL;
    if (!e->nulls) hemi_connect(&(struct hemi_connect_options){.socket = d.socket}, &client);
    return VOID(hemi_client_free(client));
}

static hemi_object *made;
static hemi_instance *made_instance;
static hemi_module *made_module;
static hemi_type asked_type;
static uint64_t number;

/* name, what it returns */
#define FUNCTIONS(X)                                                                                                   \
    X(hemi_status_text, VOID(hemi_status_text((hemi_status)e->wide)))                                                  \
    X(hemi_trap_text, VOID(hemi_trap_text((unsigned)e->wide)))                                                         \
    X(hemi_version, VOID(hemi_version()))                                                                              \
    X(hemi_connect, connects(e))                                                                                       \
    X(hemi_connect_fd, connects_fd(e))                                                                                 \
    X(hemi_socket_path, VOID(hemi_socket_path(e->nulls ? NULL : buffer, e->nulls ? 9 : sizeof buffer)))                \
    X(hemi_client_free, frees_client(e))                                                                               \
    X(hemi_client_status, VOID(hemi_client_status(e->client)))                                                         \
    X(hemi_client_error, VOID(hemi_client_error(e->client)))                                                           \
    X(hemi_client_trap, VOID(hemi_client_trap(e->client)))                                                             \
    X(hemi_client_exit_code, VOID(hemi_client_exit_code(e->client)))                                                   \
    X(hemi_client_offset, asks_offset(e))                                                                              \
    X(hemi_client_function, asks_function(e))                                                                          \
    X(hemi_client_malformed, VOID(hemi_client_malformed(e->client)))                                                   \
    X(hemi_client_failed_request, VOID(hemi_client_failed_request(e->client)))                                         \
    X(hemi_client_trace, asks_trace(e))                                                                                \
    X(hemi_trace_text, writes_trace(e))                                                                                \
    X(hemi_client_ended, VOID(hemi_client_ended(e->client)))                                                           \
    X(hemi_client_set_deadline, VOID(hemi_client_set_deadline(e->client, 0)))                                          \
    X(hemi_client_set_chained, VOID(hemi_client_set_chained(e->client, false)))                                        \
    X(hemi_ping, hemi_ping(e->client, TICKET))                                                                         \
    X(hemi_info, informs(e))                                                                                           \
    X(hemi_free_text, VOID(hemi_free_text(NULL)))                                                                      \
    X(hemi_wait, hemi_wait(e->client, (hemi_ticket)e->wide))                                                           \
    X(hemi_ready, VOID(hemi_ready(e->client, (hemi_ticket)e->wide)))                                                   \
    X(hemi_forget, VOID(hemi_forget(e->client, (hemi_ticket)e->wide)))                                                 \
    X(hemi_cancel, hemi_cancel(e->client, (hemi_ticket)e->wide))                                                       \
    X(hemi_then, hemi_then(e->client, (hemi_ticket)e->wide, e->nulls ? NULL : on_done, NULL))                          \
    X(hemi_flush, hemi_flush(e->client))                                                                               \
    X(hemi_would_block, VOID(hemi_would_block(e->client)))                                                             \
    X(hemi_client_interrupt, VOID(hemi_client_interrupt(NULL)))                                                        \
    X(hemi_client_fd, VOID(hemi_client_fd(e->client)))                                                                 \
    X(hemi_client_events, VOID(hemi_client_events(e->client)))                                                         \
    X(hemi_client_timeout, VOID(hemi_client_timeout(e->client)))                                                       \
    X(hemi_client_pending, VOID(hemi_client_pending(e->client)))                                                       \
    X(hemi_client_dispatch, hemi_client_dispatch(e->client))                                                           \
    X(hemi_type_text, VOID(hemi_type_text(e->type, e->nulls ? NULL : buffer, e->nulls ? 9 : sizeof buffer)))           \
    X(hemi_drop, drops(e))                                                                                             \
    X(hemi_scope_open, opens_scope(e))                                                                                 \
    X(hemi_scope_close, VOID(hemi_scope_close(NULL)))                                                                  \
    X(hemi_keep, VOID(hemi_keep(e->client, e->val)))                                                                   \
    X(hemi_extern_new, hemi_extern_new(e->store, NULL, NULL, TO(vals[0])))                                             \
    X(hemi_ref_eq, compares(e))                                                                                        \
    X(hemi_ref_type, hemi_ref_type(e->client, e->val, TO(asked_type), TICKET))                                         \
    X(hemi_ref_abstract_type, hemi_ref_abstract_type(e->client, e->val, TO(asked_type), TICKET))                       \
    X(hemi_module_new, hemi_module_new(e->client, e->bytes, e->n, TO(made_module), TICKET))                            \
    X(hemi_module_free, frees_module(e))                                                                               \
    X(hemi_module_imports, hemi_module_imports(e->module, TO(entries), TO(count)))                                     \
    X(hemi_module_exports, hemi_module_exports(e->module, TO(entries), TO(count)))                                     \
    X(hemi_module_code, shows_code(e))                                                                                 \
    X(hemi_store_new, makes_store(e))                                                                                  \
    X(hemi_store_close, ends_store(e))                                                                                 \
    X(hemi_store_close_in_order, ends_store_in_order(e))                                                               \
    X(hemi_store_gc, hemi_store_gc(e->store, TICKET))                                                                  \
    X(hemi_store_client, VOID(hemi_store_client(e->store)))                                                            \
    X(hemi_stats_get, asks_stats(e))                                                                                   \
    X(hemi_client_stats_get, asks_client_stats(e))                                                                     \
    X(hemi_wasi_new, makes_wasi(e))                                                                                    \
    X(hemi_wasi_free, frees_wasi(e))                                                                                   \
    X(hemi_instance_new, hemi_instance_new(e->store, e->module, &e->object, e->n, e->wasi, TO(made_instance), TICKET)) \
    X(hemi_instance_free, frees_instance(e))                                                                           \
    X(hemi_export_get, hemi_export_get(e->instance, e->text, TO(made), TICKET))                                        \
    X(hemi_export_get_n, hemi_export_get_n(e->instance, e->text, e->n, TO(made), TICKET))                              \
    X(hemi_instance_exports, hemi_instance_exports(e->instance, TO(entries), TO(count)))                               \
    X(hemi_object_free, frees_object(e))                                                                               \
    X(hemi_object_entry, VOID(hemi_object_entry(e->object)))                                                           \
    X(hemi_object_ref, VOID(hemi_object_ref(e->object)))                                                               \
    X(hemi_object_from_ref, hemi_object_from_ref(e->store, e->val, TO(made), TICKET))                                  \
    X(hemi_call, hemi_call(e->object, e->val, e->n, TO(vals[0]), e->n, TICKET))                                        \
    X(hemi_call_ahead, hemi_call_ahead(e->object, e->val, e->n, TO(vals[0]), e->n, e->n, TICKET))                      \
    X(hemi_client_exception, VOID(hemi_client_exception(e->client)))                                                   \
    X(hemi_func_new, makes_func(e))                                                                                    \
    X(hemi_caller_client, VOID(hemi_caller_client(NULL)))                                                              \
    X(hemi_caller_store, VOID(hemi_caller_store(NULL)))                                                                \
    X(hemi_caller_entry, VOID(hemi_caller_entry(NULL)))                                                                \
    X(hemi_caller_fail, hemi_caller_fail(NULL, e->text))                                                               \
    X(hemi_caller_exit, hemi_caller_exit(NULL, (int32_t)e->wide))                                                      \
    X(hemi_caller_throw, hemi_caller_throw(NULL, e->val))                                                              \
    X(hemi_caller_defer, hemi_caller_defer(NULL, NULL))                                                                \
    X(hemi_deferred_finish, hemi_deferred_finish(NULL, HEMI_OK, e->val, e->n, e->text))                                \
    X(hemi_memory_new, hemi_memory_new(e->store, e->wide, e->wide, true, TO(made), TICKET))                            \
    X(hemi_memory_read, hemi_memory_read(e->object, e->wide, e->nulls ? NULL : buffer, e->n, NULL))                    \
    X(hemi_memory_write, hemi_memory_write(e->object, e->wide, e->bytes, e->n, NULL))                                  \
    X(hemi_memory_size, hemi_memory_size(e->object, TO(number), TICKET))                                               \
    X(hemi_memory_grow, hemi_memory_grow(e->object, e->wide, TO(number), TICKET))                                      \
    X(hemi_global_new, hemi_global_new(e->store, e->type, true, e->val, TO(made), TICKET))                             \
    X(hemi_global_get, hemi_global_get(e->object, TO(vals[0]), TICKET))                                                \
    X(hemi_global_set, hemi_global_set(e->object, e->val, TICKET))                                                     \
    X(hemi_table_new, hemi_table_new(e->store, e->type, e->wide, e->wide, true, e->val, TO(made), TICKET))             \
    X(hemi_table_get, hemi_table_get(e->object, e->wide, TO(vals[0]), TICKET))                                         \
    X(hemi_table_set, hemi_table_set(e->object, e->wide, e->val, TICKET))                                              \
    X(hemi_table_size, hemi_table_size(e->object, TO(number), TICKET))                                                 \
    X(hemi_table_grow, hemi_table_grow(e->object, e->wide, e->val, TO(number), TICKET))                                \
    X(hemi_wat_assemble, assembles(e))                                                                                 \
    X(hemi_wat_disassemble, disassembles(e))                                                                           \
    X(hemi_wat_locate, locates(e))                                                                                     \
    X(hemi_wat_free, VOID(hemi_wat_free(NULL)))

#define X(name, returned)                                                                                              \
    static hemi_status edge_##name(struct edge *e)                                                                     \
    {                                                                                                                  \
        (void)e;                                                                                                       \
        return (returned);                                                                                             \
    }
FUNCTIONS(X)
#undef X

static const struct row {
    const char *name;
    hemi_status (*call)(struct edge *e);
} rows[] = {
#define X(name, returned) {#name, edge_##name},
    FUNCTIONS(X)
#undef X
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- what they are given */
static const char TEXT[] = "(module (func (export \"f\") (param i32) (result i32) (local.get 0))\n"
                           "  (memory (export \"m\") 1) (table (export \"t\") 1 funcref)\n"
                           "  (global (export \"g\") (mut i64) (i64.const 1)) (tag (export \"e\")))";
static const char *const exports[] = {"f", "m", "t", "g", "e"};

struct set {
    hemi_client *client;
    hemi_module *module;
    hemi_store *store;
    hemi_instance *instance;
    hemi_wasi *wasi;
};

static void set_init(struct set *s)
{
    s->client = client_open(d.socket);
    s->module = module_from(s->client, TEXT);
    ok(s->client, hemi_store_new(s->client, NULL, &s->store, NULL));
    ok(s->client, hemi_instance_new(s->store, s->module, NULL, 0, NULL, &s->instance, NULL));
    ok(s->client, hemi_wasi_new(s->store, NULL, &s->wasi, NULL));
}

/* Runs all rows for each object. */
static void run(const struct edge *with, hemi_object *const *objects)
{
    for (size_t k = 0; k < sizeof exports / sizeof *exports; k++) {
        for (size_t i = 0; i < ROWS; i++) {
            struct edge e = *with;
            e.object = objects[k];
            hemi_status status = rows[i].call(&e);
            if (e.made && i % 2) hemi_forget(e.client, e.made);
            if (e.made && i % 2 == 0) hemi_wait(e.client, e.made);
            ck_assert_msg(with->client || status == ANY || status == HEMI_ARGUMENT, "%s of nothing: %s", rows[i].name,
                          hemi_status_text(status));
            if (!with->client) continue;
            status = hemi_client_ended(with->client);
            ck_assert_msg((status != HEMI_OK) == with->ended, "%s: %s ended the connection: %s", with->name,
                          rows[i].name, hemi_client_error(with->client));
        }
    }
}

static struct edge edge_of(const char *name, const struct set *s)
{
    static hemi_val val;
    val = hemi_i32(3);
    return (struct edge){.name = name,
                         .client = s->client,
                         .module = s->module,
                         .store = s->store,
                         .instance = s->instance,
                         .wasi = s->wasi,
                         .val = &val,
                         .bytes = "\0asm\1\0\0\0",
                         .text = "f",
                         .n = 1,
                         .type = HEMI_TYPE_I32};
}

static void take_exports(const struct set *s, hemi_object **out)
{
    for (size_t i = 0; i < sizeof exports / sizeof *exports; i++) out[i] = export_of(s->instance, exports[i]);
}

START_TEST(every_function_at_its_edges)
{
    struct set s, other;
    hemi_object *mine[5], *others[5], *const nothing[5] = {NULL};
    hemi_store *own;
    hemi_val extern_ref;
    daemon_start_tenants(&d, 1, NULL);
    set_init(&s);
    set_init(&other);
    take_exports(&s, mine);
    take_exports(&other, others);

    run(&(struct edge){.name = "nothing", .nulls = true}, nothing);
    run(&(struct edge){.name = "nothing of a client's", .nulls = true, .client = s.client, .n = 1, .wide = 1}, nothing);
    struct edge e = edge_of("zero", &s);
    e.n = 0, e.wide = 0, e.type = 0, e.val = NULL, e.bytes = NULL, e.text = "";
    run(&e, mine);
    e = edge_of("something", &s);
    run(&e, mine);
    e.name = "NULLs beside it", e.nulls = true;
    run(&e, mine);
    e = edge_of("the most", &s);
    e.n = SIZE_MAX, e.wide = UINT64_MAX, e.type = UINT32_MAX, e.text = exports[1];
    run(&e, mine);
    e = edge_of("references", &s);
    ok(s.client, hemi_extern_new(s.store, &s, NULL, &extern_ref));
    e.val = &extern_ref, e.type = HEMI_TYPE_EXTERNREF;
    run(&e, mine);
    e = edge_of("another client's module", &s);
    e.module = other.module, e.wasi = other.wasi, e.n = 0;
    run(&e, mine);
    e = edge_of("another client's objects", &s);
    run(&e, others);
    e = edge_of("another client's store", &s);
    e.store = other.store, e.val = &extern_ref;
    run(&e, mine);
    ok(other.client, hemi_ping(other.client, NULL));
    ok(s.client, hemi_store_new(s.client, NULL, &own, NULL));
    ok(s.client, hemi_store_close(s.store, NULL));
    e = edge_of("a closed store", &s);
    e.store = own; /* the closed one itself is gone; what was of it is not */
    run(&e, mine);
    ok(s.client, hemi_ping(s.client, NULL));

    daemon_stop(&d);
    ck_assert_int_ne(hemi_ping(other.client, NULL), HEMI_OK);
    e = edge_of("a connection that has ended", &other);
    e.ended = true;
    run(&e, others);
    hemi_client_free(s.client);
    hemi_client_free(other.client);
}
END_TEST

START_TEST(every_function_has_a_row)
{
    static char text[1 << 17];
    FILE *f = fopen(HEMI_SOURCE_DIR "/client/include/hemi.h", "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    size_t declared = 0;
    for (const char *at = text; (at = strstr(at, "\nHEMI_API ")) != NULL; at++, declared++) {
        const char *end = strchr(at, '('), *begin = end;
        bool found = false;
        while (begin[-1] != ' ' && begin[-1] != '*') begin--;
        for (size_t i = 0; i < ROWS && !found; i++)
            found = strlen(rows[i].name) == (size_t)(end - begin) && memcmp(rows[i].name, begin, end - begin) == 0;
        ck_assert_msg(found, "no row for %.*s", (int)(end - begin), begin);
    }
    ck_assert_uint_eq(declared, ROWS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("edges");
    TCase *c = tcase_create("edges");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, every_function_has_a_row);
    tcase_add_test(c, every_function_at_its_edges);
    suite_add_tcase(s, c);
    return run_suite(s);
}
