/* A client: what it is made of, what it owns, its settings and its small requests. */
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/internal.h"

/* --- what a client owns (.owned) --- */
void *node_new(hemi_client *c, enum node_kind kind, size_t size)
{
    struct node *n = calloc(1, size);
    if (!n) return NULL;
    n->client = c;
    n->kind = kind;
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

void node_free(struct node *n)
{
    *n->link = n->next;
    if (n->next) n->next->link = n->link;
    if (n->kind != NODE_FUNC) handle_drop(n->client, n->handle);
    switch (n->kind) {
    case NODE_MODULE:
        entries_deinit(&((hemi_module *)n)->imports);
        entries_deinit(&((hemi_module *)n)->exports);
        break;
    case NODE_INSTANCE:
        entries_deinit(&((hemi_instance *)n)->exports);
        break;
    case NODE_OBJECT:
        entries_deinit(&((hemi_object *)n)->entry);
        break;
    case NODE_FUNC:
        entries_deinit(&((struct host_func *)n)->entry);
        break;
    case NODE_STORE:
    case NODE_WASI:
        break;
    }
    free(n);
}

void object_count_down(hemi_object *o)
{
    if (--o->counts == 0) node_free(&o->node);
}

void hemi_object_free(hemi_object *o)
{
    if (!o) return;
    handle_drop(o->node.client, o->node.handle);
    o->node.handle = 0;
    object_count_down(o);
}

void hemi_module_free(hemi_module *m)
{
    if (m) node_free(&m->node);
}

void hemi_instance_free(hemi_instance *i)
{
    if (i) node_free(&i->node);
}

/* --- the end --- */
void hemi_client_free(hemi_client *c)
{
    if (!c || c->running || c->quiet || c->in_due) return;
    if (c->ended == HEMI_OK) send_queued(c);
    client_end(c, HEMI_CLOSED, "the client was closed");
    c->in_due = true;
    externs_run(c);
    host_funcs_run(c);
    host_calls_deinit(c); /* deferred ones that nobody finished: their functions end now */
    host_funcs_run(c);
    requests_deinit(c);
    while (c->nodes) node_free(c->nodes);
    handles_deinit(c);
    externs_deinit(c);
    idmap_deinit(&c->host_funcs);
    idmap_deinit(&c->streams);
    frame_reader_deinit(&c->reader);
    frame_writer_deinit(&c->writer);
    free(c->last.trace);
    if (c->wake >= 0) close(c->wake);
    if (c->poll_fd >= 0) close(c->poll_fd);
    free(c);
}

/* --- settings --- */
void hemi_client_set_deadline(hemi_client *c, uint32_t ms) { c->deadline_ms = ms; }
void hemi_client_set_chained(hemi_client *c, bool on) { c->chained = on; }
void hemi_client_stats_get(const hemi_client *c, struct hemi_client_stats *out) { *out = c->stats; }

/* --- small requests --- */
hemi_status hemi_ping(hemi_client *c, hemi_ticket *ticket)
{
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
    *json = NULL;
    struct sending s = {.f = {.type = FRAME_INFO}, .answer = {.take = take_text, .to = json}};
    return request_run(c, &s, NULL);
}

void hemi_free_text(char *text) { free(text); }

/* The counters that both sides know, in the table's order, beside the struct's. */
static const size_t counter_offsets[] = {
#define X(name, text) offsetof(struct hemi_stats, name),
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
    memset(out, 0, sizeof *out);
    Hemi__V1__StoreStats body = HEMI__V1__STORE_STATS__INIT;
    body.store = store ? store->node.handle : 0;
    struct sending s = {.f = {.type = FRAME_STORE_STATS, .body = &body.base},
                        .store = store,
                        .answer = {.take = take_counters, .to = out}};
    return request_run(c, &s, NULL);
}
