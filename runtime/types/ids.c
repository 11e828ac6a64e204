/* runtime/types/ids.c -- which ids of the type table are in use (table.h .free). Constant time, whatever order modules
 * come and go in: a module may have a quarter of a million groups, and leave as many gaps. */
#include "runtime/types/impl.h"
#include <string.h>

enum { RUNS_TRIED = 8 }; /* of the class in which not every run is long enough */

static uint32_t class_of(uint32_t n) { return 31u - (uint32_t)__builtin_clz(n); }

static void run_add(struct types *ts, uint32_t first, uint32_t n)
{
    uint32_t *head = &ts->free_runs[class_of(n)];
    struct rtype *run = &ts->rtypes[first];
    run->group_size = n;
    run->group = *head;
    run->super = TYPE_NONE;
    if (*head != TYPE_NONE) ts->rtypes[*head].super = first;
    *head = first;
    ts->rtypes[first + n - 1].refs = first;
}

/* Its entries are zero afterwards. */
static uint32_t run_remove(struct types *ts, uint32_t first)
{
    struct rtype *run = &ts->rtypes[first];
    uint32_t n = run->group_size, next = run->group, before = run->super;
    if (next != TYPE_NONE) ts->rtypes[next].super = before;
    *(before != TYPE_NONE ? &ts->rtypes[before].group : &ts->free_runs[class_of(n)]) = next;
    *run = (struct rtype){.kind = TYPE_FREE};
    ts->rtypes[first + n - 1].refs = 0;
    return n;
}

static uint32_t run_find(const struct types *ts, uint32_t n)
{
    uint32_t i = class_of(n), run = ts->free_runs[i];
    for (uint32_t tried = 0; tried < RUNS_TRIED && run != TYPE_NONE; tried++, run = ts->rtypes[run].group)
        if (ts->rtypes[run].group_size >= n) return run;
    for (run = TYPE_NONE; run == TYPE_NONE && ++i < TYPE_RUN_CLASSES;) run = ts->free_runs[i];
    return run;
}

static enum hemi_status take_fresh(struct types *ts, uint32_t n, uint32_t *first)
{
    if (n > TYPES_MAX - ts->ntypes) return HEMI_LIMIT;
    enum hemi_status status = type_tables_commit(ts, ts->ntypes + n);
    if (status != HEMI_OK) return status;
    *first = ts->ntypes;
    ts->ntypes += n;
    return HEMI_OK;
}

enum hemi_status type_ids_take(struct types *ts, uint32_t n, uint32_t *first)
{
    enum hemi_status status = HEMI_OK;
    uint32_t run = run_find(ts, n);
    if (run == TYPE_NONE) {
        status = take_fresh(ts, n, first);
    } else {
        uint32_t length = run_remove(ts, run);
        if (length > n) run_add(ts, run + n, length - n);
        *first = run;
    }
    if (status != HEMI_OK) return status;
    ts->rtypes[*first].kind = ts->rtypes[*first + n - 1].kind = TYPE_EXN_LAYOUT;
    ts->ntypes_used += n;
    return HEMI_OK;
}

void type_ids_give(struct types *ts, uint32_t first, uint32_t n)
{
    memset(&ts->rtypes[first], 0, n * sizeof *ts->rtypes);
    memset(&ts->descs[first], 0, n * sizeof *ts->descs);
    memset(&ts->links[first], 0, n * sizeof *ts->links);
    ts->ntypes_used -= n;
    if (first + n < ts->ntypes && ts->rtypes[first + n].kind == TYPE_FREE) n += run_remove(ts, first + n);
    if (first > TYPE_FIRST_ID && ts->rtypes[first - 1].kind == TYPE_FREE) {
        uint32_t before = ts->rtypes[first - 1].refs;
        n += run_remove(ts, before);
        first = before;
    }
    run_add(ts, first, n);
}
