/* runtime/types/ids.c -- which ids of the type table are in use (engine.h .free). Constant time, whatever order modules
 * come and go in: a module may have a quarter of a million groups, and leave as many gaps. */
#include "runtime/types/impl.h"
#include <string.h>

enum { RUNS_TRIED = 8 }; /* of the class in which not every run is long enough */

static uint32_t class_of(uint32_t n) { return 31u - (uint32_t)__builtin_clz(n); }

static void run_add(struct engine *e, uint32_t first, uint32_t n)
{
    uint32_t *head = &e->free_runs[class_of(n)];
    struct rtype *run = &e->rtypes[first];
    run->group_size = n;
    run->group = *head;
    run->super = TYPE_NONE;
    if (*head != TYPE_NONE) e->rtypes[*head].super = first;
    *head = first;
    e->rtypes[first + n - 1].refs = first;
}

/* Its entries are zero afterwards. */
static uint32_t run_remove(struct engine *e, uint32_t first)
{
    struct rtype *run = &e->rtypes[first];
    uint32_t n = run->group_size, next = run->group, before = run->super;
    if (next != TYPE_NONE) e->rtypes[next].super = before;
    *(before != TYPE_NONE ? &e->rtypes[before].group : &e->free_runs[class_of(n)]) = next;
    *run = (struct rtype){.kind = TYPE_FREE};
    e->rtypes[first + n - 1].refs = 0;
    return n;
}

static uint32_t run_find(const struct engine *e, uint32_t n)
{
    uint32_t i = class_of(n), run = e->free_runs[i];
    for (uint32_t tried = 0; tried < RUNS_TRIED && run != TYPE_NONE; tried++, run = e->rtypes[run].group)
        if (e->rtypes[run].group_size >= n) return run;
    for (run = TYPE_NONE; run == TYPE_NONE && ++i < TYPE_RUN_CLASSES;) run = e->free_runs[i];
    return run;
}

static enum hemi_status take_fresh(struct engine *e, uint32_t n, uint32_t *first)
{
    if (n > TYPES_MAX - e->ntypes) return HEMI_LIMIT;
    enum hemi_status status = type_tables_commit(e, e->ntypes + n);
    if (status != HEMI_OK) return status;
    *first = e->ntypes;
    e->ntypes += n;
    return HEMI_OK;
}

enum hemi_status type_ids_take(struct engine *e, uint32_t n, uint32_t *first)
{
    enum hemi_status status = HEMI_OK;
    uint32_t run = run_find(e, n);
    if (run == TYPE_NONE) {
        status = take_fresh(e, n, first);
    } else {
        uint32_t length = run_remove(e, run);
        if (length > n) run_add(e, run + n, length - n);
        *first = run;
    }
    if (status != HEMI_OK) return status;
    e->rtypes[*first].kind = e->rtypes[*first + n - 1].kind = TYPE_EXN_LAYOUT;
    e->ntypes_used += n;
    return HEMI_OK;
}

void type_ids_give(struct engine *e, uint32_t first, uint32_t n)
{
    memset(&e->rtypes[first], 0, n * sizeof *e->rtypes);
    memset(&e->descs[first], 0, n * sizeof *e->descs);
    memset(&e->links[first], 0, n * sizeof *e->links);
    e->ntypes_used -= n;
    if (first + n < e->ntypes && e->rtypes[first + n].kind == TYPE_FREE) n += run_remove(e, first + n);
    if (first > ENGINE_FIRST_TYPE && e->rtypes[first - 1].kind == TYPE_FREE) {
        uint32_t before = e->rtypes[first - 1].refs;
        n += run_remove(e, before);
        first = before;
    }
    run_add(e, first, n);
}
