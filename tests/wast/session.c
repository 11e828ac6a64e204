/* tests/wast/session.c -- makes the requests of a script's commands: stores, modules, instances, actions. */
#include "tests/wast/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wat/wat.h"

/* A command that could not be run as it is written. */
static void broken(struct pending *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void broken(struct pending *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->outcome.text, sizeof p->outcome.text, format, args);
    va_end(args);
    p->broken = true;
}

static void *allocate(size_t count, size_t size)
{
    void *made = calloc(count ? count : 1, size);
    if (!made) abort(); /* a test program has nothing better to do */
    return made;
}

void *session_append(void *list, uint32_t *count, size_t size)
{
    bool full = (*count & (*count - 1)) == 0;
    void *grown = full ? reallocarray(list, *count ? *count * 2 : 1, size) : list;
    if (!grown) abort();
    ++*count;
    return grown;
}

/* ---- names */

static bool same(struct wast_text a, const char *bytes, size_t length)
{
    return a.bytes && a.length == length && memcmp(a.bytes, bytes, length) == 0;
}

/* The instance that a command means: by name, or the last one. */
static struct instance *instance_of(struct session *s, struct wast_text name)
{
    if (!name.bytes) return s->last;
    for (uint32_t i = s->instance_count; i-- > 0;)
        if (same(s->instances[i]->name, name.bytes, name.length)) return s->instances[i];
    return NULL;
}

static struct instance *registered_as(const struct session *s, const char *bytes, size_t length)
{
    for (uint32_t i = s->registered_count; i-- > 0;)
        if (same(s->registered[i].name, bytes, length)) return s->registered[i].instance;
    return NULL;
}

static struct wast_text instance_name(const struct wast_command *c)
{
    return c->kind == COMMAND_INSTANCE ? c->name : c->module.name;
}

/* Which commands make an instance that is registered later on. */
static void find_registered(struct session *s)
{
    const struct script *script = s->script;
    s->is_registered = allocate(script->count, sizeof *s->is_registered);
    for (uint32_t i = 0; i < script->count; i++) {
        const struct wast_command *c = &script->commands[i];
        if (c->kind != COMMAND_REGISTER) continue;
        for (uint32_t j = i; j-- > 0;) {
            const struct wast_command *made = &script->commands[j];
            if (made->kind != COMMAND_MODULE && made->kind != COMMAND_INSTANCE) continue;
            if (c->name.bytes && !same(instance_name(made), c->name.bytes, c->name.length)) continue;
            s->is_registered[j] = true;
            break;
        }
    }
}

/* ---- stores */

static struct world *world_new(struct session *s, struct pending *p)
{
    const struct hemi_store_options opt = {.gc_stress_every = s->opt.gc_stress};
    hemi_store *store;
    if (hemi_store_new(s->client, &opt, &store, NULL) != HEMI_OK) {
        outcome_of_failure(s, &p->outcome);
        return NULL;
    }
    struct world *world = allocate(1, sizeof *world);
    world->store = store;
    s->worlds = session_append(s->worlds, &s->world_count, sizeof *s->worlds);
    s->worlds[s->world_count - 1] = world;
    return world;
}

static bool imports_registered(const struct session *s, const struct hemi_entry *imports, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (registered_as(s, imports[i].module, imports[i].module_length)) return true;
    return false;
}

/* Where a module is instantiated. NULL: p->outcome says why. */
static struct world *world_for(struct session *s, struct pending *p, const struct hemi_entry *imports, size_t count)
{
    bool shared = !s->opt.store_per_module || s->is_registered[p->command - s->script->commands] ||
                  imports_registered(s, imports, count);
    if (!shared) return world_new(s, p);
    if (!s->shared) s->shared = world_new(s, p);
    return s->shared;
}

/* ---- modules */

/* Assembles where there is text. False: p->outcome says why not. */
static bool assemble(struct pending *p, uint8_t **binary, const uint8_t **bytes, size_t *size)
{
    const struct wast_module *module = &p->command->module;
    struct wat_error wrong;
    *binary = NULL;
    *bytes = (const uint8_t *)module->bytes.bytes;
    *size = module->bytes.length;
    p->outcome.assembled = true;
    if (module->form == FORM_BINARY) return true;
    p->outcome.status = (hemi_status)wat_assemble(module->bytes.bytes, *size, NULL, binary, size, &wrong);
    *bytes = *binary;
    if (p->outcome.status == HEMI_OK) return true;
    p->outcome.assembled = false;
    snprintf(p->outcome.text, sizeof p->outcome.text, "line %u+%u: %s", wrong.line - 1, wrong.column, wrong.message);
    return false;
}

/* Puts asm(wat(module)) in the module's place; one that is malformed stays as it is. False: p->outcome says why not. */
static bool round_trip(struct pending *p, uint8_t **binary, const uint8_t **bytes, size_t *size)
{
    static const struct wat_options defaults;
    struct wat_error wrong;
    char *text;
    size_t length;
    uint8_t *again = NULL;
    if (p->command->kind == COMMAND_MALFORMED || p->command->kind == COMMAND_MALFORMED_CUSTOM) return true;
    int status = wat_disassemble(&defaults, *bytes, *size, NULL, &text, &length, &wrong);
    if (status == HEMI_OK) status = wat_assemble(text, length, NULL, &again, size, &wrong);
    free(text);
    free(*binary);
    *binary = again;
    *bytes = again;
    p->outcome.status = (hemi_status)status;
    if (status != HEMI_OK)
        snprintf(p->outcome.text, sizeof p->outcome.text, "the round trip fails: %u:%u (byte %llu): %s", wrong.line,
                 wrong.column, (unsigned long long)wrong.offset, wrong.message);
    return status == HEMI_OK;
}

/* Sends the command's module, without waiting. NULL: p->outcome says why not. */
static hemi_module *compile(struct session *s, struct pending *p)
{
    uint8_t *binary;
    const uint8_t *bytes;
    size_t size;
    hemi_module *module = NULL;
    if (!assemble(p, &binary, &bytes, &size)) return NULL;
    if (s->opt.round_trip && !round_trip(p, &binary, &bytes, &size)) return NULL;
    if (hemi_module_new(s->client, bytes, size, &module, &p->ticket) != HEMI_OK) {
        outcome_of_failure(s, &p->outcome);
        p->ticket = 0;
    }
    free(binary);
    return module;
}

/* ---- instances */

static struct export *export_of(struct instance *instance, struct wast_text name)
{
    for (uint32_t i = 0; i < instance->export_count; i++)
        if (same(instance->exports[i]->name, name.bytes, name.length)) return instance->exports[i];
    struct export *e = allocate(1, sizeof *e);
    e->name = name;
    e->status = hemi_export_get_n(instance->handle, name.bytes, name.length, &e->object, &e->ticket);
    if (e->status != HEMI_OK) e->ticket = 0;
    instance->exports = session_append(instance->exports, &instance->export_count, sizeof *instance->exports);
    return instance->exports[instance->export_count - 1] = e;
}

/* What a registered instance exports by this name; NULL: nothing. */
static const struct hemi_entry *exported(const struct instance *instance, const char *name, size_t length)
{
    const struct hemi_entry *exports;
    size_t count;
    if (!instance->handle || hemi_instance_exports(instance->handle, &exports, &count) != HEMI_OK) return NULL;
    for (size_t i = 0; i < count; i++)
        if (exports[i].name_length == length && memcmp(exports[i].name, name, length) == 0) return &exports[i];
    return NULL;
}

/* NULL: nothing of that name is there, which is for the daemon to refuse. */
static hemi_object *find_import(struct session *s, struct world *world, const struct hemi_entry *import)
{
    struct instance *from = registered_as(s, import->module, import->module_length);
    if (from) {
        const struct hemi_entry *entry = exported(from, import->name, import->name_length);
        return entry ? export_of(from, (struct wast_text){entry->name, entry->name_length})->object : NULL;
    }
    if (import->module_length != strlen("spectest") || memcmp(import->module, "spectest", 8) != 0) return NULL;
    if (world->spectest.count == 0 && !spectest_init(s, world)) return NULL;
    return spectest_find(&world->spectest, import->name, import->name_length);
}

static void instantiate(struct session *s, struct pending *p, hemi_module *module, struct instance *out)
{
    const struct hemi_entry *imports;
    size_t count;
    if (hemi_module_imports(module, &imports, &count) != HEMI_OK) {
        outcome_of_failure(s, &p->outcome);
        return;
    }
    struct world *world = world_for(s, p, imports, count);
    if (!world) return;
    hemi_object **given = allocate(count, sizeof *given);
    for (size_t i = 0; i < count; i++) given[i] = find_import(s, world, &imports[i]);
    out->world = world;
    if (hemi_instance_new(world->store, module, given, count, NULL, &out->handle, &p->ticket) != HEMI_OK) {
        outcome_of_failure(s, &p->outcome);
        p->ticket = 0;
        out->handle = NULL;
    }
    free(given);
}

/* Compiles, waits for that (instantiating needs to know the imports), and instantiates. */
static void load(struct session *s, struct pending *p, struct instance *out)
{
    hemi_module *module = compile(s, p);
    if (!module) return;
    p->module = module;
    hemi_ticket ticket = p->ticket;
    p->ticket = 0;
    if (hemi_wait(s->client, ticket) == HEMI_OK)
        instantiate(s, p, module, out);
    else
        outcome_of_failure(s, &p->outcome);
}

static void settle_all(struct session *s)
{
    while (s->waiting > 0) session_settle(s);
}

static void instance_free(struct instance *in)
{
    for (uint32_t i = 0; i < in->export_count; i++) free(in->exports[i]);
    free(in->exports);
    free(in);
}

/* The last instance is about to be another: does nothing mean this one any more, nor its store? */
static void abandon_last(struct session *s)
{
    struct instance *last = s->last;
    s->last = NULL;
    if (!last || last->name.bytes || !last->world || last->world == s->shared || last->world->closed) return;
    settle_all(s);
    hemi_store_close(last->world->store, NULL);
    last->world->closed = true;
}

static struct instance *add_instance(struct session *s, struct wast_text name)
{
    abandon_last(s);
    struct instance *in = allocate(1, sizeof *in);
    in->name = name;
    s->instances = session_append(s->instances, &s->instance_count, sizeof *s->instances);
    return s->instances[s->instance_count - 1] = in;
}

/* A name that failed must not go on meaning an older instance, so it is added in any case. */
static void run_module(struct session *s, struct pending *p)
{
    struct instance *in = add_instance(s, p->command->module.name);
    load(s, p, in);
    s->last = in->handle ? in : NULL;
}

static void run_definition(struct session *s, struct pending *p)
{
    hemi_module *module = compile(s, p);
    s->last_definition = module;
    s->modules = session_append(s->modules, &s->module_count, sizeof *s->modules);
    s->modules[s->module_count - 1] = (struct named_module){p->command->module.name, module};
}

static void instantiate_definition(struct session *s, struct pending *p, struct instance *out)
{
    struct wast_text of = p->command->of;
    hemi_module *module = of.bytes ? NULL : s->last_definition;
    for (uint32_t i = 0; of.bytes && i < s->module_count; i++)
        if (same(s->modules[i].name, of.bytes, of.length)) module = s->modules[i].module;
    if (module)
        instantiate(s, p, module, out);
    else
        broken(p, "there is no such definition");
}

static void run_instance(struct session *s, struct pending *p)
{
    struct instance *in = add_instance(s, p->command->name);
    instantiate_definition(s, p, in);
    s->last = in->handle ? in : NULL;
}

static void run_register(struct session *s, struct pending *p)
{
    struct instance *in = instance_of(s, p->command->name);
    s->registered = session_append(s->registered, &s->registered_count, sizeof *s->registered);
    s->registered[s->registered_count - 1] = (struct registration){p->command->text, in};
    if (!in) broken(p, "there is no such instance");
}

/* A module or instance that an assertion is about: nothing can mean the instance later on. */
static void run_load(struct session *s, struct pending *p)
{
    struct instance *in = allocate(1, sizeof *in);
    if (p->command->has_instance)
        instantiate_definition(s, p, in);
    else
        load(s, p, in);
    if (in->world != s->shared) p->world = in->world;
    if (in->handle) hemi_instance_free(in->handle);
    instance_free(in);
}

/* ---- actions */

/* Ids start at 1: a NULL pointer would be no object. */
static bool host_reference(struct instance *in, const struct wast_value *value, hemi_val *out)
{
    void *pointer = (void *)(uintptr_t)(value->id + 1); // NOLINT(performance-no-int-to-ptr): an id, not an address
    if (hemi_extern_new(in->world->store, pointer, NULL, out) != HEMI_OK) return false;
    out->of.ref.class_ = (uint8_t)match_class(value->type);
    return true;
}

static bool argument(struct instance *in, const struct wast_value *value, hemi_val *out)
{
    memset(out, 0, sizeof *out);
    switch (value->kind) {
    case VALUE_NUMBER:
        out->kind = (uint8_t)vt_kind(value->type);
        memcpy(&out->of, value->bytes, sizeof value->bytes);
        return true;
    case VALUE_NULL:
        *out = hemi_null(match_class(value->type));
        return value->type != VT_BOT;
    case VALUE_EXTERN:
    case VALUE_HOST:
        return host_reference(in, value, out);
    default:
        return false; /* a pattern */
    }
}

/* Room for what is expected, or, where nothing is, for what a function may well return. */
static void make_room(struct pending *p)
{
    enum { UNKNOWN = 64 };
    bool known = p->command->kind == COMMAND_RETURN;
    p->capacity = known ? p->command->value_count : UNKNOWN;
    p->results = p->capacity <= FEW_VALUES ? p->few : allocate(p->capacity, sizeof *p->results);
}

static uint32_t references(const struct pending *p)
{
    uint32_t n = 0;
    if (p->command->kind != COMMAND_RETURN) return p->capacity;
    for (uint32_t i = 0; i < p->capacity; i++) n += p->command->values[i].kind != VALUE_NUMBER;
    return n;
}

static void call(struct session *s, struct pending *p, struct instance *in)
{
    const struct wast_action *action = &p->command->action;
    hemi_val *args = allocate(action->arg_count, sizeof *args);
    for (uint32_t i = 0; i < action->arg_count && !p->broken; i++)
        if (!argument(in, &action->args[i], &args[i])) broken(p, "argument %u cannot be given", i);
    make_room(p);
    if (!p->broken && hemi_call_ahead(p->export->object, args, action->arg_count, p->results, p->capacity,
                                      references(p), &p->ticket) != HEMI_OK) {
        outcome_of_failure(s, &p->outcome);
        p->ticket = 0;
    }
    free(args);
}

static void get(struct session *s, struct pending *p)
{
    make_room(p);
    if (p->capacity == 0)
        broken(p, "a global has one value");
    else if (!export_wait(s, p->export))
        broken(p, "no export %.*s", (int)p->export->name.length, p->export->name.bytes);
    else if (hemi_global_get(p->export->object, p->results, &p->ticket) != HEMI_OK) {
        outcome_of_failure(s, &p->outcome);
        p->ticket = 0;
    }
}

static void run_action(struct session *s, struct pending *p)
{
    const struct wast_action *action = &p->command->action;
    struct instance *in = instance_of(s, action->module);
    if (!in || !in->handle) {
        broken(p, "there is no such instance");
        return;
    }
    p->export = export_of(in, action->name);
    if (!p->export->object)
        broken(p, "no export %.*s", (int)action->name.length, action->name.bytes);
    else if (action->get)
        get(s, p);
    else
        call(s, p, in);
}

/* ---- commands */

static void run_command(struct session *s, struct pending *p)
{
    switch (p->command->kind) {
    case COMMAND_MODULE:
        run_module(s, p);
        break;
    case COMMAND_DEFINITION:
        run_definition(s, p);
        break;
    case COMMAND_INSTANCE:
        run_instance(s, p);
        break;
    case COMMAND_REGISTER:
        run_register(s, p);
        break;
    case COMMAND_INVALID:
    case COMMAND_MALFORMED:
        p->module = compile(s, p);
        break;
    case COMMAND_UNLINKABLE:
        run_load(s, p);
        break;
    case COMMAND_MALFORMED_CUSTOM:
    case COMMAND_INVALID_CUSTOM:
        break;
    case COMMAND_TRAP:
        if (p->command->has_module || p->command->has_instance) {
            run_load(s, p);
            break;
        }
        run_action(s, p);
        break;
    case COMMAND_ACTION:
    case COMMAND_RETURN:
    case COMMAND_EXHAUSTION:
    case COMMAND_EXCEPTION:
        run_action(s, p);
        break;
    }
}

/* While its requests are made, a command may settle those before it: that leaves its place in the ring the same. */
static void enqueue(struct session *s, const struct wast_command *command)
{
    if (s->waiting == QUEUE_MAX)
        while (s->waiting > QUEUE_MAX / 2) session_settle(s);
    struct pending *p = &s->queue[(s->first + s->waiting) % QUEUE_MAX];
    *p = (struct pending){.command = command};
    if (!s->lost) run_command(s, p);
    s->waiting++;
}

/* A last collection of each store, which in some builds also verifies the heap, and an orderly end. */
static void end_worlds(struct session *s)
{
    uint32_t line = s->script->count ? s->script->commands[s->script->count - 1].line : 0;
    for (uint32_t i = 0; i < s->world_count; i++) {
        struct world *world = s->worlds[i];
        if (!s->lost && !world->closed &&
            (hemi_store_gc(world->store, NULL) != HEMI_OK || hemi_store_close(world->store, NULL) != HEMI_OK))
            report_add(s->report, line, "end", VERDICT_FAILED, hemi_client_error(s->client));
        free(world);
    }
    free(s->worlds);
}

void session_run(struct session *s, const struct session_options *opt, hemi_client *client, const struct script *script,
                 struct report *report)
{
    *s = (struct session){.opt = *opt, .client = client, .script = script, .report = report};
    s->queue = allocate(QUEUE_MAX, sizeof *s->queue);
    find_registered(s);
    hemi_client_set_deadline(client, opt->seconds * 1000);
    for (uint32_t i = 0; i < script->count; i++) enqueue(s, &script->commands[i]);
    settle_all(s);
    end_worlds(s);
    for (uint32_t i = 0; i < s->instance_count; i++) instance_free(s->instances[i]);
    free(s->instances);
    free(s->registered);
    free(s->modules);
    free(s->is_registered);
    free(s->queue);
}
