/* runtime/store/trace.c -- backtraces (store.h .trace): how unwinding collects them, and how the embedder reads them.
 */
#include "base/check.h"
#include "runtime/engine/engine.h"
#include "runtime/store/store.h"

#include <string.h>

enum { STEPS_PER_POLL = 4096 };

/* ---- Collecting */
void trace_begin(struct store *s) { s->trace.total = 0; }

void trace_step(struct store *s)
{
    if (++s->trace.unpolled < STEPS_PER_POLL) return;
    s->trace.unpolled = 0;
    (void)engine_poll(s->engine);
}

void trace_add(struct store *s, struct place p)
{
    struct trace *t = &s->trace;
    uint32_t i = t->total++;
    if (i < TRACE_INNERMOST)
        t->innermost[i] = p;
    else
        t->outermost[(i - TRACE_INNERMOST) % TRACE_OUTERMOST] = p;
    trace_step(s);
}

void trace_add_host(struct store *s, const struct instance *in) { trace_add(s, (struct place){.instance = in->id}); }

/* The frames of an activation that stands still, its innermost callee's frame being at fp. */
static void add_frames(struct store *s, const char *fp)
{
    struct {
        uint32_t site, instance;
    } header;
    while (memcpy(&header, fp - SLOT_BYTES, sizeof header), header.site != SITE_ENTRY) {
        CHECK_DEBUG(header.instance != 0 && header.instance < s->ninstances, ".exit");
        const struct module *m = s->vm.instances[header.instance]->module;
        CHECK_DEBUG(header.site < m->nsites && m->sites[header.site].delta > 0, ".frame");
        const struct site *at = &m->sites[header.site];
        trace_add(s, (struct place){header.instance, at->func, at->offset});
        fp -= at->delta * SLOT_BYTES;
    }
}

void trace_add_outer(struct store *s)
{
    const struct activation *a = s->activation;
    if (s->trace.total == 0) return; /* nothing of the innermost one ran: this is no failure of a guest's */
    for (; a != NULL && a->outer != NULL; a = a->outer) {
        CHECK(a->outer_exit_fp >= a->outer->fp, ".activation");
        if (a->outer->host != NULL) trace_add_host(s, a->outer->host);
        add_frames(s, a->outer_exit_fp);
    }
}

/* ---- Reading */
const struct place *trace_place(const struct trace *t, uint32_t i)
{
    if (i >= t->total) return NULL;
    if (i < TRACE_INNERMOST) return &t->innermost[i];
    uint32_t kept = t->total - TRACE_INNERMOST, first = kept > TRACE_OUTERMOST ? kept - TRACE_OUTERMOST : 0;
    i -= TRACE_INNERMOST;
    if (i >= kept - first) return NULL;
    return &t->outermost[(first + i) % TRACE_OUTERMOST];
}

static uint32_t left_out(const struct trace *t)
{
    uint32_t kept = TRACE_INNERMOST + TRACE_OUTERMOST;
    return t->total > kept ? t->total - kept : 0;
}

uint32_t store_trace_count(const struct store *s)
{
    return left_out(&s->trace) > 0 ? TRACE_ENTRIES_MAX : s->trace.total;
}

static void describe_host(const struct instance *in, struct trace_entry *out)
{
    const struct import *import = in->host->import;
    out->kind = TRACE_HOST;
    if (import == NULL) return;
    out->module = import->module;
    out->name = import->name;
}

static void describe(const struct instance *in, const struct place *p, struct trace_entry *out)
{
    *out = (struct trace_entry){.kind = TRACE_FUNC, .instance = in->id, .index = p->func, .offset = p->offset};
    if (in->host != NULL) {
        describe_host(in, out);
        return;
    }
    out->module = in->module->own_name;
    if (p->func & SITE_CONST) {
        out->kind = TRACE_CONST;
        out->index = p->func & ~SITE_CONST;
    } else {
        out->name = func_name(in->module, p->func);
    }
}

void store_trace_entry(const struct store *s, uint32_t i, struct trace_entry *out)
{
    uint32_t more = left_out(&s->trace);
    if (more > 0 && i == TRACE_INNERMOST) {
        *out = (struct trace_entry){.kind = TRACE_MORE, .index = more};
        return;
    }
    CHECK(i < store_trace_count(s), ".trace");
    const struct place *p = trace_place(&s->trace, more > 0 && i > TRACE_INNERMOST ? i - 1 : i);
    describe(s->vm.instances[p->instance], p, out);
}
