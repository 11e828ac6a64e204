/* WASI objects and their streams: output arrives with credit that the client renews, input goes when the guest asks. */
#include <stdlib.h>

#include "client/lib/internal.h"

#define OUTPUT_WINDOW (256u << 10)
#define INPUT_PIECE 65536u

enum { STREAM_IN, STREAM_OUT, STREAM_ERR };

/* ---- making */
static hemi_status check_strings(hemi_client *c, const char *const *strings, size_t n, const char *what)
{
    if (n > FRAME_RAW_MAX) return fail(c, HEMI_ARGUMENT, "more than 1 MiB of arguments and environment");
    if (n > 0 && !strings) return fail_null(c, what);
    for (size_t i = 0; i < n; i++)
        if (!strings[i]) return fail(c, HEMI_ARGUMENT, "`%s[%zu]` is NULL", what, i);
    return HEMI_OK;
}

/* All strings, each with its 0 byte, one after the other. NULL: no memory, or *length is too much. */
static uint8_t *pack_strings(const struct hemi_wasi_options *o, size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < o->nargs; i++) *length += strlen(o->args[i]) + 1;
    for (size_t i = 0; i < o->nenvs; i++) *length += strlen(o->envs[i]) + 1;
    uint8_t *packed = *length <= FRAME_RAW_MAX ? malloc(*length + 1) : NULL;
    uint8_t *at = packed;
    for (size_t i = 0; packed && i < o->nargs + o->nenvs; i++) {
        const char *s = i < o->nargs ? o->args[i] : o->envs[i - o->nargs];
        size_t n = strlen(s) + 1;
        memcpy(at, s, n);
        at += n;
    }
    return packed;
}

static bool add_stream(hemi_client *c, struct hemi_wasi *w, int which)
{
    do {
        c->last_stream++;
    } while (c->last_stream == 0 || idmap_get(&c->streams, c->last_stream));
    if (!idmap_put(&c->streams, c->last_stream, w)) return false;
    w->streams[which] = c->last_stream;
    w->node.counts++;
    return true;
}

static void end_stream(struct hemi_wasi *w, int which)
{
    if (w->streams[which] == 0) return;
    if (which == STREAM_IN) w->in_ended = true;
    idmap_take(&w->node.client->streams, w->streams[which]);
    w->streams[which] = 0;
    node_count_down(&w->node);
}

void wasi_unlink(struct hemi_wasi *w)
{
    if (w->link_of_store) *w->link_of_store = w->next_of_store;
    if (w->link_of_store && w->next_of_store) w->next_of_store->link_of_store = w->link_of_store;
    w->link_of_store = NULL;
    if (!w->wants_input) return;
    struct hemi_wasi **at = &w->node.client->inputs;
    while (*at != w) at = &(*at)->next_input;
    *at = w->next_input;
    w->wants_input = false;
}

void wasi_end(struct hemi_wasi *w)
{
    w->node.counts++;
    wasi_unlink(w);
    for (int which = STREAM_IN; which <= STREAM_ERR; which++) end_stream(w, which);
    node_count_down(&w->node);
}

static void wasi_failed(struct node *node, hemi_ticket root)
{
    (void)root;
    wasi_end((struct hemi_wasi *)node);
}

static bool add_streams(hemi_client *c, struct hemi_wasi *w)
{
    const struct hemi_wasi_options *o = &w->options;
    w->window = o->output_credit ? o->output_credit : OUTPUT_WINDOW;
    w->credit[STREAM_OUT] = w->credit[STREAM_ERR] = w->window;
    return (!o->in || add_stream(c, w, STREAM_IN)) && (!o->out || add_stream(c, w, STREAM_OUT)) &&
           (!o->err || add_stream(c, w, STREAM_ERR));
}

static hemi_status wasi_request(struct hemi_wasi *w, const uint8_t *strings, size_t length, hemi_ticket *ticket)
{
    Hemi__V1__WasiNew body = HEMI__V1__WASI_NEW__INIT;
    body.wasi = w->node.handle;
    body.store = w->store->node.handle;
    body.args = (uint32_t)w->options.nargs;
    body.envs = (uint32_t)w->options.nenvs;
    body.stdin_stream = w->streams[STREAM_IN];
    body.stdout_stream = w->streams[STREAM_OUT];
    body.stderr_stream = w->streams[STREAM_ERR];
    body.output_credit = w->window;
    body.terminals = (uint32_t)w->options.terminals;
    struct sending s = {.f = {.type = FRAME_WASI_NEW, .body = &body.base, .raw = strings, .raw_length = length},
                        .store = w->store,
                        .answer = {.node = &w->node, .refused = wasi_failed}};
    return request_run(w->node.client, &s, ticket);
}

hemi_status hemi_wasi_new(hemi_store *store, const struct hemi_wasi_options *options, hemi_wasi **out,
                          hemi_ticket *ticket)
{
    struct hemi_wasi_options o;
    hemi_client *c = CLIENT_OF(store);
    ENTER_MAKING(c, out, ticket);
    hemi_status status = usable(c, store);
    if (status == HEMI_OK) status = options_take(c, OPTIONS_wasi, options, &o);
    if (status == HEMI_OK) status = check_strings(c, o.args, o.nargs, "args");
    if (status == HEMI_OK) status = check_strings(c, o.envs, o.nenvs, "envs");
    if (status != HEMI_OK) return status;
    size_t length;
    uint8_t *strings = pack_strings(&o, &length);
    if (length > FRAME_RAW_MAX) return fail(c, HEMI_ARGUMENT, "more than 1 MiB of arguments and environment");
    struct hemi_wasi *w = strings ? node_new(c, NODE_WASI, sizeof *w) : NULL;
    if (w) {
        w->store = store_hold(store);
        w->options = o;
        w->next_of_store = store->wasis;
        w->link_of_store = &store->wasis;
        if (w->next_of_store) w->next_of_store->link_of_store = &w->next_of_store;
        store->wasis = w;
    }
    if (w && add_streams(c, w))
        status = wasi_request(w, strings, length, ticket);
    else
        status = fail(c, HEMI_NO_MEMORY, "out of memory");
    free(strings);
    if (status == HEMI_OK) {
        *out = w;
    } else if (w) {
        wasi_end(w);
        hemi_wasi_free(w);
    }
    return status;
}

/* A guest may go on writing: until its streams have ended the record stays with the client, without its callbacks. */
void hemi_wasi_free(hemi_wasi *w)
{
    ENTER(CLIENT_OF(w), );
    w->options = (struct hemi_wasi_options){0};
    handle_drop(w->node.client, w->node.handle);
    w->node.handle = 0;
    node_count_down(&w->node);
}

/* ---- output */
static void put_stream(hemi_client *c, uint16_t type, const ProtobufCMessage *body, const void *raw, size_t n)
{
    struct frame_out f = {.type = type, .body = body, .raw = raw, .raw_length = n};
    if (frame_writer_put(&c->writer, &f) == 0) client_end(c, HEMI_NO_MEMORY, "out of memory while sending");
}

/* Gives back what was used once it is half of the window, so that the guest seldom waits. */
static void renew_credit(hemi_client *c, struct hemi_wasi *w, int which)
{
    if (w->used[which] < w->window / 2) return;
    Hemi__V1__StreamCredit body = HEMI__V1__STREAM_CREDIT__INIT;
    body.stream = w->streams[which];
    body.bytes = w->used[which];
    w->credit[which] += w->used[which];
    w->used[which] = 0;
    put_stream(c, FRAME_STREAM_CREDIT, &body.base, NULL, 0);
}

/* Hands it on. When the client cannot take it, the request whose guest wrote it is ended: the one that is running in
 * the store, from which these bytes come before its answer. What the guest writes until then finds nobody. */
static void output(hemi_client *c, struct hemi_wasi *w, int which, const struct frame *f)
{
    static const char *const names[] = {[STREAM_OUT] = "output", [STREAM_ERR] = "error"};
    hemi_status (*callback)(const void *, size_t, void *) = which == STREAM_OUT ? w->options.out : w->options.err;
    if (!callback || request_refused(c, w->refused)) return;
    c->quiet = true; /* .quiet */
    hemi_status status = callback(f->raw, f->raw_length, w->options.env);
    c->quiet = false;
    if (!client_is_back(c) || status == HEMI_OK) return;
    if (status == HEMI_TRAP || status == HEMI_EXCEPTION || status == HEMI_EXIT) status = HEMI_HOST;
    w->refused = program_refuse(c, w->store, status, names[which]);
}

static enum proto_error data(hemi_client *c, struct hemi_wasi *w, int which, const struct frame *f)
{
    if (which == STREAM_IN) return PROTO_STREAM;
    if (f->raw_length == 0) return PROTO_RAW;
    if (f->raw_length > w->credit[which]) return PROTO_CREDIT;
    w->credit[which] -= f->raw_length;
    w->used[which] += f->raw_length;
    output(c, w, which, f);
    if (!c->forked) renew_credit(c, w, which);
    return PROTO_OK;
}

static enum proto_error credit(hemi_client *c, struct hemi_wasi *w, int which, uint64_t bytes)
{
    if (which != STREAM_IN || bytes > UINT64_MAX - w->credit[STREAM_IN]) return PROTO_STREAM;
    w->credit[STREAM_IN] += bytes;
    if (w->in_ended || w->wants_input || bytes == 0) return PROTO_OK;
    w->wants_input = true;
    w->next_input = c->inputs;
    c->inputs = w;
    return PROTO_OK;
}

enum proto_error stream_received(hemi_client *c, const struct frame *f)
{
    const Hemi__V1__StreamCredit *as_credit = (const Hemi__V1__StreamCredit *)f->body;
    uint32_t stream = f->head.type == FRAME_STREAM_DATA     ? ((const Hemi__V1__StreamData *)f->body)->stream
                      : f->head.type == FRAME_STREAM_CREDIT ? as_credit->stream
                                                            : ((const Hemi__V1__StreamEof *)f->body)->stream;
    struct hemi_wasi *w = idmap_get(&c->streams, stream);
    if (!w) return PROTO_STREAM;
    int which = STREAM_IN;
    while (w->streams[which] != stream) which++;
    if (f->head.type == FRAME_STREAM_DATA) return data(c, w, which, f);
    if (f->head.type == FRAME_STREAM_CREDIT) return credit(c, w, which, as_credit->bytes);
    end_stream(w, which);
    return PROTO_OK;
}

/* ---- input */
static void send_eof(hemi_client *c, struct hemi_wasi *w)
{
    Hemi__V1__StreamEof body = HEMI__V1__STREAM_EOF__INIT;
    body.stream = w->streams[STREAM_IN];
    w->in_ended = true;
    put_stream(c, FRAME_STREAM_EOF, &body.base, NULL, 0);
}

/* Asks for input once. False: there is none now. */
static bool feed(hemi_client *c, struct hemi_wasi *w)
{
    uint8_t piece[INPUT_PIECE];
    size_t room = w->credit[STREAM_IN] < sizeof piece ? (size_t)w->credit[STREAM_IN] : sizeof piece, n = 0;
    c->quiet = true; /* .quiet */
    if (w->options.in) n = w->options.in(piece, room, w->options.env);
    c->quiet = false;
    if (!client_is_back(c) || n == HEMI_INPUT_LATER) return false;
    if (n > room) n = room;
    if (n == 0) {
        send_eof(c, w);
        return true;
    }
    Hemi__V1__StreamData body = HEMI__V1__STREAM_DATA__INIT;
    body.stream = w->streams[STREAM_IN];
    w->credit[STREAM_IN] -= n;
    put_stream(c, FRAME_STREAM_DATA, &body.base, piece, n);
    return true;
}

bool inputs_feed(hemi_client *c)
{
    bool any = false;
    for (struct hemi_wasi **at = &c->inputs; *at;) {
        struct hemi_wasi *w = *at;
        if (!w->in_ended && c->ended == HEMI_OK) any |= feed(c, w);
        w->wants_input = !w->in_ended && w->credit[STREAM_IN] > 0;
        if (w->wants_input)
            at = &w->next_input;
        else
            *at = w->next_input;
    }
    return any;
}
