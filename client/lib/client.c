/* A client: what it is made of, what it owns, its settings and its small requests. */
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/internal.h"

/* ---- what a client owns (.owned) */
void *node_new(hemi_client *c, enum node_kind kind, size_t size)
{
    struct node *n = calloc(1, size);
    if (!n) return NULL;
    n->client = c;
    n->kind = kind;
    n->counts = 1;
    if (kind != NODE_FUNC) {
        n->handle = handles_new(c, 1);
        if (n->handle == 0) {
            free(n);
            return NULL;
        }
    }
    n->next = c->nodes;
    n->link = &c->nodes;
    if (n->next) n->next->link = &n->next;
    c->nodes = n;
    return n;
}

/* The store whose memory goes now was closed CLOSED_STORES stores ago. */
static void store_retire(hemi_store *s)
{
    hemi_client *c = s->node.client;
    hemi_store **place = &c->closed_stores[c->next_closed++ % CLOSED_STORES];
    free(*place);
    *place = s;
}

/* Frees what belongs to it. Returns the store it is of, or NULL. */
static hemi_store *parts_free(struct node *n)
{
    switch (n->kind) {
    case NODE_MODULE:
        entries_deinit(&((hemi_module *)n)->imports);
        entries_deinit(&((hemi_module *)n)->exports);
        return NULL;
    case NODE_INSTANCE:
        entries_deinit(&((hemi_instance *)n)->exports);
        return ((hemi_instance *)n)->store;
    case NODE_OBJECT:
        entries_deinit(&((hemi_object *)n)->entry);
        return ((hemi_object *)n)->store;
    case NODE_FUNC:
        entries_deinit(&((struct host_func *)n)->entry);
        return ((struct host_func *)n)->store;
    case NODE_WASI:
        wasi_unlink((hemi_wasi *)n);
        return ((hemi_wasi *)n)->store;
    case NODE_STORE:
        break;
    }
    return NULL;
}

void node_free(struct node *n)
{
    *n->link = n->next;
    if (n->next) n->next->link = n->link;
    if (n->kind != NODE_FUNC) handle_drop(n->client, n->handle);
    hemi_store *store = parts_free(n);
    if (n->kind == NODE_STORE && ((hemi_store *)n)->closed)
        store_retire((hemi_store *)n);
    else
        free(n);
    store_let_go(store);
}

void node_count_down(struct node *n)
{
    if (--n->counts == 0) node_free(n);
}

hemi_store *store_hold(hemi_store *s)
{
    if (s) s->node.counts++;
    return s;
}

void store_let_go(hemi_store *s)
{
    if (s) node_count_down(&s->node);
}

void hemi_object_free(hemi_object *o)
{
    ENTER(CLIENT_OF(o), );
    handle_drop(o->node.client, o->node.handle);
    o->node.handle = 0;
    node_count_down(&o->node);
}

void hemi_module_free(hemi_module *m)
{
    ENTER(CLIENT_OF(m), );
    node_free(&m->node);
}

void hemi_instance_free(hemi_instance *i)
{
    ENTER(CLIENT_OF(i), );
    node_free(&i->node);
}

/* ---- the end */
static void close_descriptor(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* All memory, and no callback. */
static void client_deinit(hemi_client *c)
{
    requests_deinit(c);
    while (c->nodes) node_free(c->nodes); /* a store comes after all that is of it */
    for (uint32_t i = 0; i < CLOSED_STORES; i++) free(c->closed_stores[i]);
    handles_deinit(c);
    externs_deinit(c);
    idmap_deinit(&c->host_funcs);
    idmap_deinit(&c->streams);
    frame_reader_deinit(&c->reader);
    frame_writer_deinit(&c->writer);
    free(c->last.trace);
    close_descriptor(&c->wake);
    close_descriptor(&c->poll_fd);
    origin_deinit(&c->origin);
    free(c);
}

/* In a child: the connection, and what finalizers would end, are the parent's. Where fork came upon a function of the
 * client (a callback forked, or another thread was inside) its memory is as it was in the middle of that: it stays. */
static void free_copy(hemi_client *c)
{
    close_descriptor(&c->socket);
    if (atomic_load_explicit(&c->owner, memory_order_relaxed) != 0) {
        close_descriptor(&c->wake);
        close_descriptor(&c->poll_fd);
        return; /* client_is_back ends what the callback was called in */
    }
    c->ended = HEMI_CLOSED;
    host_calls_deinit(c);
    client_deinit(c);
}

void hemi_client_free(hemi_client *c)
{
    if (c && !origin_is_here(&c->origin)) {
        free_copy(c);
        return;
    }
    if (client_enter(c) != HEMI_OK) return;
    if (c->running || c->quiet || c->in_due) {
        client_leave(&c);
        return;
    }
    if (c->ended == HEMI_OK) send_queued(c);
    client_end(c, HEMI_CLOSED, "the client was closed");
    c->in_due = true;
    externs_run(c);
    host_funcs_run(c);
    host_calls_deinit(c); /* deferred ones that nobody finished: their functions end now */
    host_funcs_run(c);
    client_deinit(c);
}

/* ---- settings */
void hemi_client_set_deadline(hemi_client *c, uint32_t ms)
{
    ENTER(c, );
    c->deadline_ms = ms;
}

void hemi_client_set_chained(hemi_client *c, bool on)
{
    ENTER(c, );
    c->chained = on;
}

void hemi_client_stats_get(const hemi_client *c, struct hemi_client_stats *out)
{
    if (out) memset(out, 0, sizeof *out);
    ENTER(c, );
    if (out) *out = c->stats;
}

/* ---- small requests */
hemi_status hemi_ping(hemi_client *c, hemi_ticket *ticket)
{
    ENTER_ASKING(c, ticket);
    struct sending s = {.f = {.type = FRAME_PING}};
    return request_run(c, &s, ticket);
}

static hemi_status take_text(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    (void)reply;
    char *text = malloc((size_t)f->raw_length + 1);
    if (!text) return HEMI_NO_MEMORY;
    memcpy(text, f->raw, f->raw_length);
    text[f->raw_length] = 0;
    memcpy(r->answer.to, &text, sizeof text);
    return HEMI_OK;
}

hemi_status hemi_info(hemi_client *c, char **json)
{
    ENTER_FOR(c, json);
    struct sending s = {.f = {.type = FRAME_INFO}, .answer = {.take = take_text, .to = json}};
    return request_run(c, &s, NULL);
}

void hemi_free_text(char *text) { free(text); }

/* The counters that both sides know, in the table's order, beside the struct's. */
static const size_t counter_offsets[] = {
#define X(name, kind, text) offsetof(struct hemi_stats, name),
    HEMI_COUNTERS(X)
#undef X
};

static hemi_status take_counters(hemi_client *c, struct request *r, const Hemi__V1__Reply *reply, const struct frame *f)
{
    (void)c;
    (void)reply;
    if (f->raw_length % 8 != 0) return HEMI_PROTOCOL;
    for (size_t i = 0; i < COUNTERS && 8 * i < f->raw_length; i++) {
        uint64_t value = wire_get_u64(f->raw + 8 * i);
        memcpy((char *)r->answer.to + counter_offsets[i], &value, sizeof value);
    }
    return HEMI_OK;
}

hemi_status hemi_stats_get(hemi_client *c, hemi_store *store, struct hemi_stats *out)
{
    if (out) memset(out, 0, sizeof *out);
    ENTER(c, refusal);
    if (!out) return fail_null(c, "out");
    if (store && store->node.client != c) return fail(c, HEMI_HANDLE, "the store is of another client");
    Hemi__V1__StoreStats body = HEMI__V1__STORE_STATS__INIT;
    body.store = store ? store->node.handle : 0;
    struct sending s = {.f = {.type = FRAME_STORE_STATS, .body = &body.base},
                        .store = store,
                        .answer = {.take = take_counters, .to = out}};
    return request_run(c, &s, NULL);
}
