/* server/worker/request_wait.c -- who waits for whom, and whether that goes in a circle (.no-cycle).
 *
 * Edges: a queued request waits for those before it in its lane and for what makes the things it uses; one that is
 * inside a host call waits for the requests made inside that call. Everything else makes progress by itself, or waits
 * for the client or a clock. New edges arise when a request is queued, and only one with a parent can close a circle
 * (nothing older waits for a request without one), so only those are checked. A search looks at no more than SEARCH_MAX
 * requests, and the edges that it follows count as read. */
#include "server/worker/connection.h"
#include "server/worker/hostcall.h"
#include "server/worker/request.h"
#include "server/worker/state.h"

struct search {
    struct request *todo; /* seen, not looked at; through visit_next */
    uint32_t visit;
    uint32_t seen;  /* requests */
    uint32_t steps; /* edges followed */
    bool found;
};

enum { SEARCH_MAX = 1 << 14 };

static void see(struct search *s, struct request *r)
{
    s->steps++;
    if (!r || r->visited == s->visit) return;
    r->visited = s->visit;
    r->visit_next = s->todo;
    s->todo = r;
    s->seen++;
    s->found = s->found || r->ancestor;
}

static void see_maker(struct search *s, const struct object *o)
{
    if (o && !o->bound && o->outcome) see(s, o->outcome->pending);
}

static void look_at_queued(struct search *s, struct request *r)
{
    see(s, r->lane->active);
    see(s, r->lane_prev); /* which in its turn shows those before it */
    if (r->previous) see(s, r->previous->pending);
    if (r->chunk) see(s, r->chunk->pending);
    for (size_t i = 0; i < sizeof r->uses / sizeof r->uses[0]; i++) see_maker(s, r->uses[i]);
    for (uint32_t i = 0; r->pins && i < r->npins; i++) see_maker(s, r->pins[i]);
}

static void look_at(struct search *s, struct request *r)
{
    if (!r->started) {
        if (r->lane) look_at_queued(s, r);
    } else if (r->calling) {
        for (struct request *child = LIST_FIRST(&r->calling->children); child; child = LIST_NEXT(child, sibling))
            see(s, child);
    }
}

static void mark_ancestors(struct request *r, bool mark)
{
    for (struct host_call *h = r->parent; h && h->request; h = h->request->parent) h->request->ancestor = mark;
}

enum hemi_status request_check_waiting(struct request *r)
{
    struct search s = {.visit = ++r->conn->worker->visit};
    mark_ancestors(r, true);
    see(&s, r);
    while (s.todo && !s.found && s.seen <= SEARCH_MAX) {
        struct request *q = s.todo;
        s.todo = q->visit_next;
        look_at(&s, q);
    }
    mark_ancestors(r, false);
    r->conn->worker->searched += s.steps;
    if (s.found)
        return request_fail(r, HEMI_DEADLOCK, "request %u would wait for the call inside which it is made", r->id);
    if (s.seen <= SEARCH_MAX) return HEMI_OK;
    return request_limit(r, "requests waited for", s.seen, "", SEARCH_MAX);
}
