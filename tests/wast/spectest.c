/* tests/wast/spectest.c -- the host module that the scripts import from: a few printers, globals, tables, a memory, all
 * made through the public interface. */
#include "tests/wast/session.h"

#include <string.h>

/* Printers print nothing: what they are given is not part of any assertion. */
static hemi_status ignore(hemi_caller *caller, const hemi_val *args, hemi_val *results, void *env)
{
    (void)caller, (void)args, (void)results, (void)env;
    return HEMI_OK;
}

static const struct printer {
    const char *name;
    hemi_type params[2];
    size_t count;
} printers[] = {
    {"print", {0, 0}, 0},
    {"print_i32", {HEMI_TYPE_I32, 0}, 1},
    {"print_i64", {HEMI_TYPE_I64, 0}, 1},
    {"print_f32", {HEMI_TYPE_F32, 0}, 1},
    {"print_f64", {HEMI_TYPE_F64, 0}, 1},
    {"print_i32_f32", {HEMI_TYPE_I32, HEMI_TYPE_F32}, 2},
    {"print_f64_f64", {HEMI_TYPE_F64, HEMI_TYPE_F64}, 2},
};

/* The requests' answers are waited for at the end, together. */
struct making {
    struct session *session;
    struct world *world;
    hemi_ticket tickets[SPECTEST_MAX];
    hemi_status status;
};

/* Where the next export goes. */
static hemi_object **export(struct making *m, const char *name)
{
    struct spectest *spectest = &m->world->spectest;
    spectest->names[spectest->count] = name;
    return &spectest->objects[spectest->count];
}

/* The request for it was made, or not. */
static void made(struct making *m, hemi_status status)
{
    if (status == HEMI_OK)
        m->world->spectest.count++;
    else if (m->status == HEMI_OK)
        m->status = status;
}

static hemi_ticket *ticket(struct making *m) { return &m->tickets[m->world->spectest.count]; }

static void functions(struct making *m)
{
    for (size_t i = 0; i < sizeof printers / sizeof *printers; i++) {
        const struct hemi_func_options type = {.params = printers[i].params, .nparams = printers[i].count};
        hemi_object **to = export(m, printers[i].name);
        made(m, hemi_func_new(m->world->store, &type, ignore, NULL, to, ticket(m)));
    }
}

static void global(struct making *m, const char *name, hemi_type type, hemi_val value)
{
    hemi_object **to = export(m, name);
    made(m, hemi_global_new(m->world->store, type, false, &value, to, ticket(m)));
}

static void table(struct making *m, const char *name, bool is64)
{
    const hemi_val null = hemi_null(HEMI_CLASS_FUNC);
    hemi_object **to = export(m, name);
    made(m, hemi_table_new(m->world->store, HEMI_TYPE_FUNCREF, 10, 20, is64, &null, to, ticket(m)));
}

bool spectest_init(struct session *s, struct world *world)
{
    struct making m = {.session = s, .world = world, .status = HEMI_OK};
    functions(&m);
    global(&m, "global_i32", HEMI_TYPE_I32, hemi_i32(666));
    global(&m, "global_i64", HEMI_TYPE_I64, hemi_i64(666));
    global(&m, "global_f32", HEMI_TYPE_F32, hemi_f32(666.6f));
    global(&m, "global_f64", HEMI_TYPE_F64, hemi_f64(666.6));
    table(&m, "table", false);
    table(&m, "table64", true);
    hemi_object **memory = export(&m, "memory");
    made(&m, hemi_memory_new(world->store, 1, 2, false, memory, ticket(&m)));
    for (uint32_t i = 0; i < world->spectest.count; i++) {
        hemi_status status = hemi_wait(s->client, m.tickets[i]);
        if (m.status == HEMI_OK) m.status = status;
    }
    return m.status == HEMI_OK;
}

hemi_object *spectest_find(const struct spectest *spectest, const char *name, size_t length)
{
    for (uint32_t i = 0; i < spectest->count; i++)
        if (strlen(spectest->names[i]) == length && memcmp(spectest->names[i], name, length) == 0)
            return spectest->objects[i];
    return NULL;
}
