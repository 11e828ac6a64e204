/* runtime/module/module.c -- a module's life once it is begun: its charge, its references, and its end. */
#include "runtime/module/module.h"
#include "base/check.h"
#include "base/release.h"
#include "runtime/engine/engine.h"
#include <stdlib.h>

enum hemi_status module_charge(struct module *m, uint64_t bytes)
{
    const struct engine_options *opt = &m->engine->options;
    if (bytes <= m->charged || !opt->module_charge) return HEMI_OK;
    uint64_t delta = bytes - m->charged;
    if (!opt->module_charge(opt->ctx, &m->payer, (int64_t)delta)) return HEMI_NO_MEMORY;
    m->charged += delta;
    return HEMI_OK;
}

void module_give_back(struct module *m, uint64_t bytes)
{
    const struct engine_options *opt = &m->engine->options;
    if (bytes == 0 || !opt->module_charge) return;
    CHECK(m->charged >= bytes, ".counted");
    m->charged -= bytes;
    opt->module_charge(opt->ctx, &m->payer, -(int64_t)bytes);
}

struct module *module_ref(struct module *m)
{
    CHECK(m->refs > 0, ".counted");
    m->refs++;
    return m;
}

/* The next of n steps of one unit each; false: there is none. *at counts them. */
static bool next_step(uint32_t *at, uint32_t n, uint32_t *units, uint32_t *i)
{
    if (*at >= n || !release_unit(units)) return false;
    *i = (*at)++;
    return true;
}

static bool code_some(struct module *m, uint32_t *units)
{
    uint32_t n = m->code ? m->nfuncs : 0, i;
    while (next_step(&m->ended, n, units, &i)) code_deinit(&m->code[i]);
    return m->ended < n;
}

static bool const_code_some(struct module *m, uint32_t *units)
{
    uint32_t n = m->const_code ? m->nconst_code : 0, i;
    while (next_step(&m->ended, n, units, &i)) code_deinit(&m->const_code[i]);
    return m->ended < n;
}

static bool elems_some(struct module *m, uint32_t *units)
{
    for (; m->elems && m->ended < m->nelems; m->ended++) {
        struct elem_seg *e = &m->elems[m->ended];
        if (!release_unit(units) || release_block((void **)&e->items, &m->given, units)) return true;
    }
    return false;
}

/* Each declared group holds a reference, and its types are consecutive. */
static bool types_some(struct module *m, uint32_t *units)
{
    while (m->ended < m->ntypes) {
        if (types_free_some(m->engine->types, units) || !release_unit(units)) return true;
        uint32_t type = m->types[m->ended];
        m->ended += types_get(m->engine->types, type)->group_size;
        types_drop(m->engine->types, type);
    }
    return types_free_some(m->engine->types, units);
}

static bool arrays_some(struct module *m, uint32_t *units)
{
    void *const arrays[] = {&m->code,
                            &m->const_code,
                            &m->explicit_code,
                            &m->code_order,
                            &m->types,
                            &m->imports,
                            &m->funcs,
                            &m->tables,
                            &m->memories,
                            &m->globals,
                            &m->tags,
                            &m->exports,
                            &m->elems,
                            &m->datas,
                            &m->sites,
                            &m->live_slots,
                            &m->func_names,
                            &m->bytes,
                            &m->export_names.slots};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        if (release_block(arrays[i], &m->given, units)) return true;
    return false;
}

bool module_free_some(struct module *m, uint32_t *units)
{
    static bool (*const parts[])(struct module *m, uint32_t *units) = {code_some, const_code_some, elems_some,
                                                                       types_some, arrays_some};
    enum { PARTS = sizeof parts / sizeof parts[0] };
    if (!m || (m->refs > 0 && --m->refs > 0)) return false;
    for (; m->part < PARTS; m->part++, m->ended = 0)
        if (parts[m->part](m, units)) return true;
    const struct engine_options *opt = &m->engine->options;
    module_give_back(m, m->charged);
    if (m->payer) opt->module_gone(opt->ctx, m->payer);
    CHECK(m->engine->nmodules > 0 && m->refs == 0, ".counted");
    m->engine->nmodules--;
    free(m);
    return false;
}

void module_unref(struct module *m)
{
    uint32_t units = UINT32_MAX;
    while (module_free_some(m, &units)) units = UINT32_MAX;
}
