#include "server/wasi/wasi.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/value.h"
#include "server/worker/state.h"
#include "server/worker/stores.h"
#include "server/worker/values.h"

/* ---- the object */

/* Cuts `count` strings off the front of [*at, end); false when there are fewer. */
static bool take_strings(const char **at, const char *end, uint32_t count, struct wasi_strings *out)
{
    *out = (struct wasi_strings){.count = count, .at = *at};
    for (uint32_t i = 0; i < count; i++) {
        const char *zero = *at < end ? memchr(*at, 0, (size_t)(end - *at)) : NULL;
        if (!zero) return false;
        *at = zero + 1;
    }
    out->bytes = (uint32_t)(*at - out->at);
    return true;
}

static void release(struct inside *in) { wasi_unref(wasi_of(in)); }

static void abandon(struct inside *in)
{
    struct wasi *w = wasi_of(in);
    for (int fd = 0; fd < WASI_FDS; fd++)
        if (w->fds[fd].stream) stream_end(w->fds[fd].stream);
    wasi_unref(w);
}

_Static_assert(offsetof(struct wasi, inside) == 0, "wasi_of");
static const struct inside_ops ops = {.release = release, .abandon = abandon, .units = WASI_FDS * STREAM_UNITS};

struct wasi *wasi_new(struct wstore *s, const uint8_t *raw, size_t n, uint32_t nargs, uint32_t nenvs, bool *malformed)
{
    struct wasi *w = calloc(1, sizeof *w + n);
    *malformed = false;
    if (!w) return NULL;
    w->inside.ops = &ops;
    w->refs = 1;
    w->store = s;
    if (n > 0) memcpy(w->strings, raw, n);
    const char *at = w->strings, *end = at + n;
    *malformed = n > WASI_STRINGS_MAX || !take_strings(&at, end, nargs, &w->args) ||
                 !take_strings(&at, end, nenvs, &w->envs) || at != end;
    if (*malformed) {
        free(w);
        return NULL;
    }
    for (int fd = 0; fd < WASI_FDS; fd++) w->fds[fd].open = true;
    return w;
}

bool wasi_charge(struct wasi *w)
{
    uint32_t bytes = (uint32_t)sizeof *w + w->args.bytes + w->envs.bytes;
    if (!account_charge(w->store->account, bytes)) return false;
    w->charged = bytes;
    return true;
}

void wasi_unref(struct wasi *w)
{
    if (--w->refs > 0) return;
    for (int fd = 0; fd < WASI_FDS; fd++) {
        if (w->fds[fd].stream) stream_close(w->fds[fd].stream);
        stream_unref(w->fds[fd].stream);
    }
    if (w->charged > 0) account_charge(w->store->account, -(int64_t)w->charged);
    free(w);
}

/* ---- guest memory */

bool wasi_within(struct wasi_call *call, uint64_t at, uint64_t n)
{
    uint64_t size = call->memory ? memory_pages(call->memory) << 16 : 0;
    if (call->memory && at <= size && n <= size - at) return true;
    call->error = WASI_FAULT;
    return false;
}

bool wasi_load(struct wasi_call *call, uint64_t at, void *to, size_t n)
{
    if (call->memory && memory_read(call->memory, at, to, n) == HEMI_OK) return true;
    call->error = WASI_FAULT;
    return false;
}

bool wasi_store(struct wasi_call *call, uint64_t at, const void *from, size_t n)
{
    if (call->memory && memory_write(call->memory, at, from, n) == HEMI_OK) return true;
    call->error = WASI_FAULT;
    return false;
}

bool wasi_store_u32(struct wasi_call *call, uint64_t at, uint32_t value)
{
    uint8_t bytes[4];
    wire_put_u32(bytes, value);
    return wasi_store(call, at, bytes, sizeof bytes);
}

bool wasi_store_u64(struct wasi_call *call, uint64_t at, uint64_t value)
{
    uint8_t bytes[8];
    wire_put_u64(bytes, value);
    return wasi_store(call, at, bytes, sizeof bytes);
}

/* ---- functions */

static const struct wasi_function {
    const char *name, *signature;
    enum hemi_status (*call)(struct wasi_call *call); /* NULL: not built */
    uint32_t error;                                   /* then: what it returns */
} functions[] = {
#define X(name, signature) {#name, signature, wasi_##name, WASI_SUCCESS},
    WASI_FUNCTIONS(X)
#undef X
#define X(name, signature, error) {#name, signature, NULL, WASI_##error},
        WASI_MISSING(X)
#undef X
};

/* A host function's context. */
struct wasi_ctx {
    struct wasi *wasi; /* counted */
    const struct wasi_function *function;
};

static bool returns_errno(const struct wasi_function *f) { return f->call != wasi_proc_exit; }

static enum hemi_status run(void *ctx, struct store *store, struct instance *caller, const union val *args,
                            union val *results, struct rt_error *err)
{
    const struct wasi_ctx *c = ctx;
    struct wasi_call call = {.wasi = c->wasi, .args = args, .err = err, .error = c->function->error};
    struct rt_extern x;
    (void)store;
    if (caller && instance_export(caller, "memory", strlen("memory"), &x) && x.kind == EXTERN_MEMORY)
        call.memory = x.memory;
    enum hemi_status status = c->function->call ? c->function->call(&call) : HEMI_OK;
    if (returns_errno(c->function)) results[0].i32 = call.error;
    return status;
}

static void drop(void *ctx)
{
    wasi_unref(((struct wasi_ctx *)ctx)->wasi);
    free(ctx);
}

static const struct wasi_function *find(struct name name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strlen(functions[i].name) == name.len && memcmp(functions[i].name, name.at, name.len) == 0)
            return &functions[i];
    return NULL;
}

static bool has_signature(const struct rtype *t, const struct wasi_function *f)
{
    if (t->nparams != strlen(f->signature) || t->nresults != (returns_errno(f) ? 1u : 0u)) return false;
    for (uint32_t i = 0; i < t->nparams; i++)
        if (t->vals[i] != (f->signature[i] == 'I' ? VT_I64 : VT_I32)) return false;
    return t->nresults == 0 || t->vals[t->nparams] == VT_I32;
}

/* As the text format has it. */
static void text_signature(const struct wasi_function *f, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "(func%s", *f->signature ? " (param" : "");
    for (const char *at = f->signature; *at; at++)
        used += (size_t)snprintf(out + used, size - used, *at == 'I' ? " i64" : " i32");
    snprintf(out + used, size - used, "%s%s)", *f->signature ? ")" : "", returns_errno(f) ? " (result i32)" : "");
}

enum hemi_status wasi_check(const struct wstore *s, struct name name, uint32_t type_id, struct rt_error *err)
{
    char is[160];
    const struct wasi_function *f = find(name);
    const struct rtype *t = types_get(engine_types(wstore_engine(s)), type_id);
    if (f && has_signature(t, f)) return HEMI_OK;
    if (!err) return HEMI_LINK;
    if (!f)
        return rt_fail(err, HEMI_LINK,
                       "unknown import \"" WASI_MODULE "\" \"%.*s\": WASI preview 1 has no such function",
                       (int)(name.len < 64 ? name.len : 64), name.at);
    text_signature(f, is, sizeof is);
    return rt_fail(err, HEMI_LINK, "incompatible import type: \"" WASI_MODULE "\" \"%s\" is %s", f->name, is);
}

enum hemi_status wasi_import(struct wasi *w, struct name name, uint32_t type_id, uint32_t *func, struct rt_error *err)
{
    struct store *s = w->store->store;
    const struct wasi_function *f = find(name);
    CHECK(f != NULL); /* wasi_check */
    struct wasi_ctx *c = malloc(sizeof *c);
    if (!c) return rt_fail(err, HEMI_NO_MEMORY, "no memory for a WASI function");
    *c = (struct wasi_ctx){.wasi = w, .function = f};
    struct host_func_options opt = {.ctx = c, .call = run, .drop = drop};
    w->refs++;
    enum hemi_status status = host_func_new_typed(s, type_id, &opt, func);
    wstore_count_types(w->store);
    if (status != HEMI_OK) drop(c);
    return status == HEMI_OK ? status : rt_fail(err, status, "no room for a WASI function");
}
