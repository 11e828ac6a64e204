/* Host functions: the guest calls, the client's function runs inside a wait or a dispatch, its results go back. */
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/internal.h"

static const struct hemi_entry *type_of(const struct host_call *call) { return call->func->entry.at; }

/* ---- receiving */
static void call_free(struct host_call *call)
{
    free(call->args);
    free(call);
}

static enum proto_error call_new(hemi_client *c, const struct frame *f, struct host_func *func)
{
    const Hemi__V1__HostCall *body = (const Hemi__V1__HostCall *)f->body;
    struct host_call *call = calloc(1, sizeof *call);
    if (!call) return PROTO_NO_MEMORY;
    call->args = malloc(f->raw_length + 1);
    if (!call->args || !idmap_put(&c->host_calls, f->head.request, call)) {
        call_free(call);
        return PROTO_NO_MEMORY;
    }
    memcpy(call->args, f->raw, f->raw_length);
    call->id = f->head.request;
    call->request = body->request;
    call->store = body->store;
    call->func = func;
    call->window = (struct window){.requests_max = c->nested_requests, .bytes_max = c->nested_bytes};
    *c->calls_last = call;
    c->calls_last = &call->next;
    return PROTO_OK;
}

enum proto_error host_call_received(hemi_client *c, const struct frame *f)
{
    const Hemi__V1__HostCall *body = (const Hemi__V1__HostCall *)f->body;
    struct host_func *func = body->host <= UINT32_MAX ? idmap_get(&c->host_funcs, (uint32_t)body->host) : NULL;
    if (!func || func->store->closed || func->store->node.handle != body->store) return PROTO_HANDLE;
    if (idmap_get(&c->host_calls, f->head.request)) return PROTO_REQUEST_ID;
    if (f->raw_length != func->entry.at->nparams * WIRE_VALUE_BYTES) return PROTO_RAW;
    return call_new(c, f, func);
}

/* ---- answering */
static void answer(hemi_client *c, struct host_call *call, hemi_status status, int32_t exit_code, const char *text,
                   const hemi_val *vals, size_t n)
{
    idmap_take(&c->host_calls, call->id);
    if (call->func->store->closed) c->funcs_due = true; /* the function may have waited for this */
    if (c->ended == HEMI_OK) {
        Hemi__V1__HostReply body = HEMI__V1__HOST_REPLY__INIT;
        size_t length = strnlen(text, PROTO_TEXT_MAX);
        uint8_t copy[PROTO_TEXT_MAX];
        memcpy(copy, text, length);
        body.status = status;
        body.exit_code = exit_code;
        body.message = (ProtobufCBinaryData){.data = copy, .len = length};
        struct frame_out f = {
            .type = FRAME_HOST_REPLY, .request = call->id, .body = &body.base, .raw_length = n * WIRE_VALUE_BYTES};
        uint8_t *raw;
        if (frame_writer_reserve(&c->writer, &f, &raw) == 0)
            client_end(c, HEMI_NO_MEMORY, "out of memory while answering a host call");
        else
            vals_write(c, NULL, vals, n, raw);
    }
    call_free(call);
}

static void answer_failed(hemi_client *c, struct host_call *call, const char *text)
{
    answer(c, call, HEMI_HOST, 0, text, NULL, 0);
}

/* The results, if they are what the type says. */
static void answer_ok(hemi_client *c, struct host_call *call, const hemi_val *results, size_t n)
{
    const struct hemi_entry *type = type_of(call);
    hemi_status status = n != type->nresults
                             ? fail(c, HEMI_ARGUMENT, "%zu results where there are %zu", n, type->nresults)
                         : n > 0 && !results ? fail_null(c, "results")
                                             : vals_check(c, call->func->store, results, type->results, n);
    if (status == HEMI_OK)
        answer(c, call, HEMI_OK, 0, "", results, n);
    else
        answer_failed(c, call, c->last.text);
}

static void answer_exception(hemi_client *c, struct host_call *call, const hemi_val *exception)
{
    if (vals_check(c, call->func->store, exception, NULL, 1) == HEMI_OK)
        answer(c, call, HEMI_EXCEPTION, 0, "", exception, 1);
    else
        answer_failed(c, call, c->last.text);
}

/* What a host function returned, and what it said through its caller. */
static void answer_returned(hemi_client *c, struct hemi_caller *caller, hemi_status status, const hemi_val *results)
{
    struct host_call *call = caller->call;
    if (status == HEMI_OK)
        answer_ok(c, call, results, type_of(call)->nresults);
    else if (status == HEMI_EXIT && caller->exits)
        answer(c, call, HEMI_EXIT, caller->exit_code, "", NULL, 0);
    else if (status == HEMI_EXCEPTION && caller->exception.kind != 0)
        answer_exception(c, call, &caller->exception);
    else
        answer_failed(c, call, caller->text[0] ? caller->text : hemi_status_text(status));
}

/* ---- running */
static void end_inner_scopes(hemi_client *c, struct hemi_scope *own)
{
    while (c->scope != own) {
        struct hemi_scope *inner = c->scope;
        scope_end(inner);
        free(inner);
    }
}

static hemi_status call_function(hemi_client *c, struct hemi_caller *caller, const hemi_val *args, hemi_val *results)
{
    struct host_func *func = caller->call->func;
    caller->outer = c->running;
    c->running = caller;
    c->depth++;
    hemi_status status = func->function(caller, args, results, func->env);
    client_is_back(c);
    c->depth--;
    c->running = caller->outer;
    return status;
}

/* The call has its answer; who has the deferred one still finishes it. */
static void spoil(struct hemi_caller *caller)
{
    hemi_deferred *d = caller->deferred;
    if (!d) return;
    d->call = NULL;
    caller->call->deferred = NULL;
    d->next = caller->client->spoilt;
    caller->client->spoilt = d;
    caller->deferred = NULL;
}

static void run_with(hemi_client *c, struct host_call *call, hemi_val *args, hemi_val *results)
{
    const struct hemi_entry *type = type_of(call);
    struct hemi_caller caller = {.client = c, .call = call};
    struct hemi_scope scope;
    scope_init(&scope, c, true);
    for (size_t i = 0; i < type->nresults; i++) results[i] = val_zero(type->results[i]);
    hemi_status status = vals_read(c, call->func->store, NULL, type->params, type->nparams, call->args, args);
    if (status == HEMI_NO_MEMORY) {
        answer_failed(c, call, "the client is out of memory");
    } else if (status != HEMI_OK) {
        client_end(c, HEMI_PROTOCOL, "the worker broke the protocol: the arguments of a host call are malformed");
        answer_failed(c, call, "");
    } else {
        c->stats.host_calls++;
        status = call_function(c, &caller, args, results);
        end_inner_scopes(c, &scope);
        if (status != HEMI_OK) spoil(&caller);
        if (!caller.deferred) answer_returned(c, &caller, status, results);
    }
    scope_end(&scope);
}

static void run(hemi_client *c, struct host_call *call)
{
    const struct hemi_entry *type = type_of(call);
    const struct request *r = idmap_get(&c->requests, call->request);
    hemi_val *vals = malloc((type->nparams + type->nresults + 1) * sizeof *vals);
    if (!vals)
        answer_failed(c, call, "the client is out of memory");
    else if (c->depth >= c->max_nesting)
        answer_failed(c, call, "host functions nest too deeply in the client");
    else if (!r || r->answered)
        answer_failed(c, call, "the call was abandoned");
    else
        run_with(c, call, vals, vals + type->nparams);
    free(vals);
}

/* .chain: does it descend from the innermost running host call, or from what is waited for? */
static bool in_chain(const hemi_client *c, const struct host_call *call, const struct request *waited)
{
    while (call) {
        const struct request *r = idmap_get(&c->requests, call->request);
        if (!r || r->answered) return true; /* abandoned: answering it runs nothing */
        if (r == waited || r->parent == c->running->call->id) return true;
        call = idmap_get(&c->host_calls, r->parent);
    }
    return false;
}

bool host_call_run_one(hemi_client *c, const struct request *waited)
{
    for (struct host_call **at = &c->calls; *at; at = &(*at)->next) {
        struct host_call *call = *at;
        if (c->running && !in_chain(c, call, waited)) continue;
        *at = call->next;
        if (!*at) c->calls_last = at;
        run(c, call);
        return true;
    }
    return false;
}

void host_calls_end(hemi_client *c)
{
    while (c->calls) {
        struct host_call *call = c->calls;
        c->calls = call->next;
        idmap_take(&c->host_calls, call->id);
        call_free(call);
    }
    c->calls_last = &c->calls;
}

void host_calls_deinit(hemi_client *c)
{
    for (uint32_t i = 0; i < c->host_calls.capacity; i++) {
        if (c->host_calls.cells[i].id == 0) continue;
        struct host_call *call = c->host_calls.cells[i].value;
        free(call->deferred);
        call_free(call);
    }
    for (struct hemi_deferred *d; (d = c->spoilt) != NULL; free(d)) c->spoilt = d->next;
    idmap_deinit(&c->host_calls);
}

/* ---- the caller's side */
static hemi_client *client_of(const hemi_caller *caller) { return caller ? caller->client : NULL; }

hemi_client *hemi_caller_client(const hemi_caller *caller) { return client_of(caller); }

hemi_store *hemi_caller_store(const hemi_caller *caller)
{
    ENTER(client_of(caller), NULL);
    return caller->call->func->store;
}

const struct hemi_entry *hemi_caller_entry(const hemi_caller *caller)
{
    ENTER(client_of(caller), NULL);
    return type_of(caller->call);
}

hemi_status hemi_caller_fail(hemi_caller *caller, const char *text)
{
    ENTER(client_of(caller), refusal);
    snprintf(caller->text, sizeof caller->text, "%s", text ? text : "");
    return HEMI_HOST;
}

hemi_status hemi_caller_exit(hemi_caller *caller, int32_t code)
{
    ENTER(client_of(caller), refusal);
    caller->exits = true;
    caller->exit_code = code;
    return HEMI_EXIT;
}

hemi_status hemi_caller_throw(hemi_caller *caller, const hemi_val *exception)
{
    ENTER(client_of(caller), refusal);
    caller->exception = exception ? *exception : hemi_null(HEMI_CLASS_EXN);
    return HEMI_EXCEPTION;
}

hemi_status hemi_caller_defer(hemi_caller *caller, hemi_deferred **out)
{
    ENTER_FOR(client_of(caller), out);
    if (caller->deferred) return fail(caller->client, HEMI_ARGUMENT, "this call is deferred already");
    hemi_deferred *d = malloc(sizeof *d);
    if (!d) return fail(caller->client, HEMI_NO_MEMORY, "out of memory");
    *d = (hemi_deferred){.client = caller->client, .call = caller->call};
    *out = caller->deferred = caller->call->deferred = d;
    return HEMI_OK;
}

static hemi_status spoilt_free(hemi_client *c, hemi_deferred *d)
{
    struct hemi_deferred **at = &c->spoilt;
    while (*at != d) at = &(*at)->next;
    *at = d->next;
    free(d);
    return fail(c, HEMI_ARGUMENT, "the call was answered already: its host function deferred it, and then failed");
}

hemi_status hemi_deferred_finish(hemi_deferred *d, hemi_status status, const hemi_val *results, size_t nresults,
                                 const char *text)
{
    hemi_client *c = d ? d->client : NULL;
    ENTER(c, refusal);
    struct host_call *call = d->call;
    if (!call) return spoilt_free(c, d);
    for (const struct hemi_caller *at = c->running; at; at = at->outer)
        if (at->call == call) return fail(c, HEMI_BUSY, "a call is finished only after its host function returned");
    if (c->quiet) return fail(c, HEMI_BUSY, "not inside a stream callback");
    free(d);
    if (status == HEMI_OK)
        answer_ok(c, call, results, nresults);
    else
        answer_failed(c, call, text ? text : hemi_status_text(status));
    send_queued(c);
    return c->ended == HEMI_OK ? HEMI_OK : usable(c, NULL);
}

/* ---- making functions */
static hemi_status type_from_import(hemi_client *c, const struct hemi_func_options *o, struct entries *out)
{
    const struct hemi_entry *imports;
    size_t n;
    hemi_status status = hemi_module_imports(o->module, &imports, &n);
    if (status != HEMI_OK) return status;
    if (o->import >= n || imports[o->import].kind != HEMI_FUNC_OBJECT)
        return fail(c, HEMI_ARGUMENT, "import %zu of the module is not a function", o->import);
    const struct hemi_entry *e = &imports[o->import];
    if (!entries_add_func(out, e->params, e->nparams, e->results, e->nresults))
        return fail(c, HEMI_NO_MEMORY, "out of memory");
    return HEMI_OK;
}

static bool types_lawful(const hemi_type *types, size_t n)
{
    for (size_t i = 0; i < n && n <= PROTO_PARAMS_MAX; i++)
        if (wire_type_check(types[i]) != PROTO_OK || (vt_is_ref(types[i]) && !ht_is_abstract(vt_heap(types[i]))))
            return false;
    return n <= PROTO_PARAMS_MAX;
}

static hemi_status type_from_options(hemi_client *c, const struct hemi_func_options *o, struct entries *out)
{
    if (o->module && o->module->node.client != c) return fail(c, HEMI_HANDLE, "the module is of another client");
    if (o->module) return type_from_import(c, o, out);
    if (o->nparams > 0 && !o->params) return fail_null(c, "params");
    if (o->nresults > 0 && !o->results) return fail_null(c, "results");
    if (!types_lawful(o->params, o->nparams) || !types_lawful(o->results, o->nresults))
        return fail(c, HEMI_ARGUMENT, "a host function's types are numbers and abstract references, at most %u each",
                    PROTO_PARAMS_MAX);
    if (!entries_add_func(out, o->params, o->nparams, o->results, o->nresults))
        return fail(c, HEMI_NO_MEMORY, "out of memory");
    return HEMI_OK;
}

static struct host_func *func_new(hemi_store *store, struct entries *type, hemi_host_function function, void *env)
{
    hemi_client *c = store->node.client;
    struct host_func *func = node_new(c, NODE_FUNC, sizeof *func);
    if (!func) return NULL;
    do {
        c->last_host_func++;
    } while (c->last_host_func == 0 || idmap_get(&c->host_funcs, c->last_host_func));
    func->node.handle = c->last_host_func; /* a host id, not a handle */
    func->store = store_hold(store);
    func->function = function;
    func->env = env;
    if (!idmap_put(&c->host_funcs, func->node.handle, func)) {
        node_free(&func->node);
        return NULL;
    }
    func->entry = *type;
    *type = (struct entries){0};
    return func;
}

static hemi_status func_request(struct host_func *func, const struct hemi_func_options *o, hemi_object *object,
                                hemi_ticket *ticket)
{
    const struct hemi_entry *type = func->entry.at;
    size_t n = o->module ? 0 : type->nparams + type->nresults;
    uint8_t raw[8 * PROTO_PARAMS_MAX];
    for (size_t i = 0; i < n; i++) wire_put_u32(raw + 4 * i, type->params[i]);
    Hemi__V1__FuncNew body = HEMI__V1__FUNC_NEW__INIT;
    body.func = object->node.handle;
    body.store = func->store->node.handle;
    body.host = func->node.handle;
    body.module = o->module ? o->module->node.handle : 0;
    body.import_index = (uint32_t)o->import;
    body.params = o->module ? 0 : (uint32_t)type->nparams;
    struct sending s = {.f = {.type = FRAME_FUNC_NEW, .body = &body.base, .raw = raw, .raw_length = 4 * n},
                        .store = func->store};
    return request_run(func->node.client, &s, ticket);
}

/* Not made after all: it is as if it had never been. */
static void func_undo(struct host_func *func)
{
    func->env_free = NULL;
    idmap_take(&func->node.client->host_funcs, func->node.handle);
    node_free(&func->node);
}

hemi_status hemi_func_new(hemi_store *store, const struct hemi_func_options *options, hemi_host_function function,
                          void *env, hemi_object **out, hemi_ticket *ticket)
{
    struct hemi_func_options o;
    hemi_client *c = CLIENT_OF(store);
    ENTER_MAKING(c, out, ticket);
    struct entries type = {0}, copy = {0};
    struct host_func *func = NULL;
    uint32_t id = 0;
    hemi_status status = usable(c, store);
    if (status == HEMI_OK) status = options_take(c, OPTIONS_func, options, &o);
    if (status == HEMI_OK && !function) status = fail_null(c, "function");
    if (status == HEMI_OK) status = type_from_options(c, &o, &type);
    if (status != HEMI_OK) goto failed;
    const struct hemi_entry *e = type.at;
    if (!entries_add_func(&copy, e->params, e->nparams, e->results, e->nresults)) goto no_memory;
    func = func_new(store, &type, function, env);
    id = func ? func->node.handle : 0;
    *out = func ? node_new(c, NODE_OBJECT, sizeof **out) : NULL;
    if (!*out) goto no_memory;
    (*out)->store = store_hold(store);
    (*out)->entry = copy;
    copy = (struct entries){0};
    func->env_free = o.env_free;
    status = func_request(func, &o, *out, ticket);
    func = idmap_get(&c->host_funcs, id); /* a callback may have closed the store */
    if (status != HEMI_OK) goto failed;
    return HEMI_OK;

no_memory:
    status = fail(c, HEMI_NO_MEMORY, "out of memory");
failed:
    if (*out) hemi_object_free(*out);
    *out = NULL;
    if (func) func_undo(func);
    entries_deinit(&copy);
    entries_deinit(&type);
    return status;
}

/* ---- the end of functions */
bool host_funcs_due(const hemi_client *c) { return c->funcs_due; }

static bool has_calls(const hemi_client *c, const struct host_func *f)
{
    for (uint32_t i = 0; i < c->host_calls.capacity; i++) {
        const struct host_call *call = c->host_calls.cells[i].value;
        if (c->host_calls.cells[i].id != 0 && call->func == f) return true;
    }
    return false;
}

/* The first function whose store, or connection, has ended, and whose calls are all answered. */
static struct host_func *ended_func(const hemi_client *c)
{
    for (struct node *n = c->nodes; n; n = n->next) {
        struct host_func *f = (struct host_func *)n;
        if (n->kind != NODE_FUNC || (c->ended == HEMI_OK && !f->store->closed)) continue;
        if (!has_calls(c, f)) return f;
    }
    return NULL;
}

void host_funcs_run(hemi_client *c)
{
    c->funcs_due = false;
    for (struct host_func *f; (f = ended_func(c)) != NULL;) {
        void (*env_free)(void *) = f->env_free;
        void *env = f->env;
        func_undo(f);
        if (env_free) env_free(env);
        if (!client_is_back(c)) return;
    }
}
