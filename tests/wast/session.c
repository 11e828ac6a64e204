/* tests/wast/session.c -- commands: modules, instances, actions, assertions. */
#include "tests/wast/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STACK_BYTES = 1 << 20, VALUES_MAX = 64 };

static bool fail(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct session *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->why, sizeof s->why, format, args);
    va_end(args);
    return false;
}

static const char *status_text(enum hemi_status status)
{
    static const char *const texts[] = {
#define X(name, number, text, meaning) [number] = text,
        HEMI_STATUSES(X)
#undef X
    };
    return texts[status];
}

static const char *trap_text(enum wasm_trap trap)
{
    static const char *const texts[] = {
#define X(name, number, text) [number] = text,
        WASM_TRAPS(X)
#undef X
    };
    return texts[trap];
}

/* What happened instead of what was wanted. */
static bool fail_outcome(struct session *s, const char *wanted, enum hemi_status status, const struct rt_error *err)
{
    return fail(s, "wanted %s, got %s%s%s: %s", wanted, status_text(status), status == HEMI_TRAP ? " " : "",
                status == HEMI_TRAP ? trap_text(err->trap) : "", status ? err->message : "");
}

/* ---- set-up ---- */

static enum hemi_status yield(void *ctx)
{
    struct session *s = ctx;
    return s->opt.stop && *s->opt.stop ? HEMI_DEADLINE : HEMI_OK;
}

bool session_init(struct session *s, const struct session_options *opt)
{
    *s = (struct session){.opt = *opt};
    const struct engine_options engine = {.yield = yield, .ctx = s, .poll = opt->stop};
    const struct store_options store = {.gc_stress = opt->gc_stress};
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return fail(s, "no memory for the stack");
    s->stack = (struct vm_stack){stack, STACK_BYTES};
    enum hemi_status status = engine_new(&engine, &s->engine);
    if (!status) status = store_new(s->engine, &store, &s->store);
    if (status) return fail(s, "cannot make an engine: %s", status_text(status));
    return spectest_init(s) || fail(s, "cannot make the module spectest");
}

bool session_deinit(struct session *s)
{
    bool sound = true;
    if (s->store) {
        char why[256];
        store_collect(s->store);
        sound = store_verify(s->store, why, sizeof why) || fail(s, "the heap is not sound: %s", why);
        store_free(s->store);
    }
    for (uint32_t i = 0; i < s->module_count; i++) module_unref(s->modules[i].module);
    if (s->engine) engine_free(s->engine);
    if (s->stack.base) munmap(s->stack.base, s->stack.size);
    free(s->modules);
    free(s->instances);
    free(s->registered);
    return sound;
}

/* ---- names ---- */

static bool same(struct wast_text a, const char *bytes, size_t length)
{
    return a.bytes && a.length == length && memcmp(a.bytes, bytes, length) == 0;
}

/* Appends to a list that doubles at powers of two. */
static void *append(void *list, uint32_t *count, size_t size)
{
    bool full = (*count & (*count - 1)) == 0;
    void *grown = full ? reallocarray(list, *count ? *count * 2 : 1, size) : list;
    if (!grown) abort(); /* a test program has nothing better to do */
    ++*count;
    return grown;
}

static struct instance *find_instance(const struct named_instance *list, uint32_t count, const char *bytes,
                                      size_t length)
{
    while (count-- > 0)
        if (same(list[count].name, bytes, length)) return list[count].instance;
    return NULL;
}

/* The instance that a command means: by name, or the last one. */
static struct instance *instance_of(struct session *s, struct wast_text name)
{
    if (!name.bytes) return s->last;
    return find_instance(s->instances, s->instance_count, name.bytes, name.length);
}

static void name_instance(struct session *s, struct wast_text name, struct instance *instance)
{
    s->last = instance;
    s->instances = append(s->instances, &s->instance_count, sizeof *s->instances);
    s->instances[s->instance_count - 1] = (struct named_instance){name, instance};
}

/* ---- modules ---- */

/* Assembles where there is text, and compiles. INVALID_MODULE comes from either; *err says what. */
static enum hemi_status compile(struct session *s, const struct wast_module *module, struct module **out,
                                struct rt_error *err, bool *assembled)
{
    uint8_t *binary = NULL;
    size_t size = module->bytes.length;
    struct wat_error wrong;
    *err = (struct rt_error){0};
    if (module->form != FORM_BINARY) {
        int status = wat_assemble(module->bytes.bytes, module->bytes.length, NULL, &binary, &size, &wrong);
        *assembled = status == HEMI_OK;
        if (status) {
            snprintf(err->message, sizeof err->message, "line %u+%u: %s", wrong.line - 1, wrong.column, wrong.message);
            return (enum hemi_status)status;
        }
    }
    const uint8_t *bytes = binary ? binary : (const uint8_t *)module->bytes.bytes;
    enum hemi_status status = module_new(s->engine, bytes, size, out, err);
    free(binary);
    if (status) return status;
    s->modules = append(s->modules, &s->module_count, sizeof *s->modules);
    s->modules[s->module_count - 1] = (struct named_module){module->name, *out};
    return HEMI_OK;
}

static bool find_spectest(const struct session *s, struct name name, struct rt_extern *out)
{
    for (uint32_t i = 0; i < s->spectest_count; i++) {
        const struct spectest_export *e = &s->spectest[i];
        if (strlen(e->name) != name.len || memcmp(e->name, name.at, name.len) != 0) continue;
        *out = e->ext;
        return true;
    }
    return false;
}

static bool find_import(struct session *s, const struct import *import, struct rt_extern *out)
{
    struct instance *from = find_instance(s->registered, s->registered_count, import->module.at, import->module.len);
    if (from) return instance_export(from, import->name.at, import->name.len, out);
    bool spectest = import->module.len == strlen("spectest") && memcmp(import->module.at, "spectest", 8) == 0;
    return spectest && find_spectest(s, import->name, out);
}

static enum hemi_status instantiate(struct session *s, struct module *module, struct instance **out,
                                    struct rt_error *err)
{
    struct rt_extern *imports = calloc(module->nimports + 1, sizeof *imports);
    enum hemi_status status = HEMI_OK;
    *err = (struct rt_error){0};
    for (uint32_t i = 0; i < module->nimports && !status; i++) {
        const struct import *import = &module->imports[i];
        if (find_import(s, import, &imports[i])) continue;
        status = HEMI_LINK;
        snprintf(err->message, sizeof err->message, "unknown import %.*s", (int)import->name.len, import->name.at);
    }
    if (!status) status = instance_new(s->store, module, imports, s->stack, out, err);
    free(imports);
    return status;
}

static enum hemi_status load(struct session *s, const struct wast_module *module, struct instance **out,
                             struct rt_error *err)
{
    struct module *compiled;
    bool assembled;
    enum hemi_status status = compile(s, module, &compiled, err, &assembled);
    return status ? status : instantiate(s, compiled, out, err);
}

static bool run_module(struct session *s, const struct wast_command *c)
{
    struct instance *instance;
    struct rt_error err;
    s->last = NULL;
    enum hemi_status status = load(s, &c->module, &instance, &err);
    /* A name that failed must not go on meaning an older instance. */
    name_instance(s, c->module.name, status ? NULL : instance);
    return !status || fail_outcome(s, "an instance", status, &err);
}

static bool run_definition(struct session *s, const struct wast_command *c)
{
    struct rt_error err;
    bool assembled;
    s->last_definition = NULL;
    enum hemi_status status = compile(s, &c->module, &s->last_definition, &err, &assembled);
    return !status || fail_outcome(s, "a module", status, &err);
}

static bool run_instance(struct session *s, const struct wast_command *c)
{
    struct module *module = c->of.bytes ? NULL : s->last_definition;
    for (uint32_t i = 0; c->of.bytes && i < s->module_count; i++)
        if (same(s->modules[i].name, c->of.bytes, c->of.length)) module = s->modules[i].module;
    struct instance *instance;
    struct rt_error err;
    s->last = NULL;
    if (!module) return fail(s, "there is no such definition");
    enum hemi_status status = instantiate(s, module, &instance, &err);
    name_instance(s, c->name, status ? NULL : instance);
    return !status || fail_outcome(s, "an instance", status, &err);
}

static bool run_register(struct session *s, const struct wast_command *c)
{
    struct instance *instance = instance_of(s, c->name);
    s->registered = append(s->registered, &s->registered_count, sizeof *s->registered);
    s->registered[s->registered_count - 1] = (struct named_instance){c->text, instance};
    return instance || fail(s, "there is no such instance");
}

/* ---- actions ---- */

struct outcome {
    enum hemi_status status;
    struct rt_error err;
    uint32_t count;
    valtype types[VALUES_MAX];
    union val values[VALUES_MAX]; /* references hold until the next allocation */
};

/* Host references are rooted while the others are made. Ids start at 1: 0 is not one to the engine. */
static bool arguments(struct session *s, const struct wast_action *action, union val *args, struct root *roots)
{
    for (uint32_t i = 0; i < action->arg_count; i++) {
        const struct wast_value *value = &action->args[i];
        bool host = value->kind == VALUE_EXTERN || value->kind == VALUE_HOST;
        memcpy(args[i].bytes, value->bytes, sizeof value->bytes);
        if (host && store_extern(s->store, value->id + 1, &roots[i]) != HEMI_OK) return fail(s, "no host reference");
        if (!host) root_init(s->store, &roots[i], HEAP_SLOT_REF, 0);
    }
    for (uint32_t i = 0; i < action->arg_count; i++)
        if (roots[i].bits) args[i].ref = roots[i].bits;
    return true;
}

static bool call(struct session *s, const struct wast_action *action, uint32_t func, struct outcome *o)
{
    const struct rtype *type = func_type(s->store, func, NULL);
    union val args[VALUES_MAX] = {0};
    struct root roots[VALUES_MAX];
    if (type->nparams != action->arg_count) return fail(s, "the function takes %u arguments", type->nparams);
    if (type->nparams > VALUES_MAX || type->nresults > VALUES_MAX) return fail(s, "too many values for this runner");
    bool ok = arguments(s, action, args, roots);
    o->count = type->nresults;
    for (uint32_t i = 0; i < o->count; i++) o->types[i] = type->vals[type->nparams + i];
    if (ok) o->status = rt_call(s->store, func, args, o->values, s->stack, &o->err);
    for (uint32_t i = 0; ok && i < action->arg_count; i++) root_deinit(&roots[i]);
    return ok;
}

static bool act(struct session *s, const struct wast_action *action, struct outcome *o)
{
    struct instance *instance = instance_of(s, action->module);
    struct rt_extern ext;
    *o = (struct outcome){.status = HEMI_OK};
    if (!instance) return fail(s, "there is no such instance");
    if (!instance_export(instance, action->name.bytes, action->name.length, &ext))
        return fail(s, "no export %.*s", (int)action->name.length, action->name.bytes);
    if (ext.kind != (action->get ? EXTERN_GLOBAL : EXTERN_FUNC)) return fail(s, "the export is of another kind");
    if (!action->get) return call(s, action, ext.func, o);
    bool mutable;
    o->count = 1;
    o->types[0] = global_type(ext.global, &mutable);
    o->values[0] = global_get(ext.global);
    return true;
}

static bool run_action(struct session *s, const struct wast_command *c)
{
    struct outcome o;
    return act(s, &c->action, &o) && (!o.status || fail_outcome(s, "a return", o.status, &o.err));
}

/* ---- assertions ---- */

static bool assert_return(struct session *s, const struct wast_command *c)
{
    struct outcome o;
    if (!act(s, &c->action, &o)) return false;
    if (o.status) return fail_outcome(s, "a return", o.status, &o.err);
    if (o.count != c->value_count) return fail(s, "wanted %u results, got %u", c->value_count, o.count);
    for (uint32_t i = 0; i < o.count; i++) {
        if (match_value(s, &c->values[i], o.values[i], o.types[i])) continue;
        char expected[80], actual[80];
        match_print_expected(&c->values[i], expected, sizeof expected);
        match_print(s, o.values[i], o.types[i], actual, sizeof actual);
        return fail(s, "result %u: wanted %s, got %s", i, expected, actual);
    }
    return true;
}

/* The suite's texts and ours agree up to the shorter one's end: "uninitialized element 2", "null structure". */
static bool is_trap(struct wast_text wanted, enum wasm_trap trap)
{
    const char *text = trap_text(trap);
    size_t length = strlen(text) < wanted.length ? strlen(text) : wanted.length;
    return memcmp(text, wanted.bytes, length) == 0;
}

static bool assert_trap(struct session *s, const struct wast_command *c)
{
    struct outcome o = {.status = HEMI_OK};
    struct instance *instance;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "trap %.*s", (int)c->text.length, c->text.bytes);
    if (c->has_module)
        o.status = load(s, &c->module, &instance, &o.err);
    else if (!act(s, &c->action, &o))
        return false;
    return (o.status == HEMI_TRAP && is_trap(c->text, o.err.trap)) || fail_outcome(s, wanted, o.status, &o.err);
}

static bool assert_exception(struct session *s, const struct wast_command *c)
{
    struct outcome o;
    if (!act(s, &c->action, &o)) return false;
    return o.status == HEMI_EXCEPTION || fail_outcome(s, "an exception", o.status, &o.err);
}

/* Malformed text must be refused by the assembler, everything else by the engine. A module may also be beyond one of
 * the engine's limits before it gets to what is wrong with it. */
static bool assert_refused(struct session *s, const struct wast_command *c)
{
    struct module *module;
    struct rt_error err;
    bool assembled = true;
    enum hemi_status status = compile(s, &c->module, &module, &err, &assembled);
    if (c->kind == COMMAND_INVALID && !assembled) return fail(s, "does not assemble: %s", err.message);
    if (c->kind == COMMAND_MALFORMED && c->module.form == FORM_QUOTE && assembled) return fail(s, "assembles");
    if (status == HEMI_INVALID_MODULE || status == HEMI_LIMIT) return true;
    char wanted[80];
    snprintf(wanted, sizeof wanted, "a refusal: %.*s", (int)c->text.length, c->text.bytes);
    return fail_outcome(s, wanted, status, &err);
}

static bool assert_unlinkable(struct session *s, const struct wast_command *c)
{
    struct instance *instance;
    struct rt_error err;
    enum hemi_status status = load(s, &c->module, &instance, &err);
    return status == HEMI_LINK || fail_outcome(s, "a link error", status, &err);
}

bool session_run(struct session *s, const struct wast_command *c)
{
    s->why[0] = 0;
    switch (c->kind) {
    case COMMAND_MODULE:
        return run_module(s, c);
    case COMMAND_DEFINITION:
        return run_definition(s, c);
    case COMMAND_INSTANCE:
        return run_instance(s, c);
    case COMMAND_REGISTER:
        return run_register(s, c);
    case COMMAND_ACTION:
        return run_action(s, c);
    case COMMAND_RETURN:
        return assert_return(s, c);
    case COMMAND_TRAP:
    case COMMAND_EXHAUSTION:
        return assert_trap(s, c);
    case COMMAND_EXCEPTION:
        return assert_exception(s, c);
    case COMMAND_INVALID:
    case COMMAND_MALFORMED:
    case COMMAND_MALFORMED_CUSTOM:
    case COMMAND_INVALID_CUSTOM:
        return assert_refused(s, c);
    case COMMAND_UNLINKABLE:
        return assert_unlinkable(s, c);
    }
    return fail(s, "unknown command");
}
