/* server/worker/request_start.c -- when a request starts: what it waits for in its lane, and what it needs of the
 * pools. */
#include "base/release.h"
#include "server/worker/connection.h"
#include "server/worker/request.h"

enum { BYTES_PER_UNIT = 4096 };

/* ---- lists of lanes */

static void append(struct lane_list *list, struct lane *l)
{
    l->list = list;
    l->list_next = NULL;
    l->list_prev = list->tail;
    *(list->tail ? &list->tail->list_next : &list->head) = l;
    list->tail = l;
}

static void prepend(struct lane_list *list, struct lane *l)
{
    l->list = list;
    l->list_prev = NULL;
    l->list_next = list->head;
    *(list->head ? &list->head->list_prev : &list->tail) = l;
    list->head = l;
}

void lane_unmark(struct lane *l)
{
    struct lane_list *list = l->list;
    if (!list) return;
    *(l->list_prev ? &l->list_prev->list_next : &list->head) = l->list_next;
    *(l->list_next ? &l->list_next->list_prev : &list->tail) = l->list_prev;
    l->list_prev = l->list_next = NULL;
    l->list = NULL;
    l->turn = false;
}

void lane_mark(struct worker *w, struct lane *l)
{
    if (l->list == &w->pump) return;
    lane_unmark(l);
    append(&w->pump, l);
}

/* The first of those that wait for something of which there may be some again. */
static void mark_first(struct worker *w, struct lane_list *list)
{
    struct lane *l = list->head;
    if (!l) return;
    lane_mark(w, l);
    l->turn = true;
}

/* One that has waited stays the first. */
static void wait_in(struct connection *c, struct lane_list *list, struct lane *l, bool first)
{
    c->worker->feeds = true;
    if (first)
        prepend(list, l);
    else
        append(list, l);
}

/* ---- waiting for others */

static void wait_on(struct request *r, struct outcome *o)
{
    if (r->waiting_for) return;
    r->waiting_for = outcome_ref(o);
    LIST_INSERT_HEAD(&o->waiters, r, wait);
}

enum readiness { READY, WAITS, FAILED };

static enum readiness depends_on(struct request *r, const struct object *o)
{
    struct outcome *made = o ? o->outcome : NULL;
    if (!o || o->bound || !made || made == r->outcome) return READY;
    if (!made->done) {
        wait_on(r, made);
        return WAITS;
    }
    if (made->status == HEMI_OK) return READY; /* bound to nothing: whoever uses it says so */
    r->reply.failed_request = made->root;
    request_fail(r, HEMI_DEPENDENCY_FAILED, "request %u, which was to make the %s used here, failed", made->root,
                 object_kind_text((enum object_kind)o->kind));
    return FAILED;
}

/* `o` may be NULL. READY: it has succeeded; FAILED: it has not, which is not said yet. */
static enum readiness depends_on_outcome(struct request *r, struct outcome *o)
{
    if (!o) return READY;
    if (o->done) return o->status == HEMI_OK ? READY : FAILED;
    wait_on(r, o);
    return WAITS;
}

static enum readiness depends_on_previous(struct request *r)
{
    enum readiness is = depends_on_outcome(r, r->previous);
    if (is != FAILED) return is;
    r->reply.failed_request = r->previous->request;
    request_fail(r, HEMI_DEPENDENCY_FAILED, "the request before it, %u, failed", r->previous->request);
    return FAILED;
}

static enum readiness depends_on_chunk(struct request *r)
{
    enum readiness is = depends_on_outcome(r, r->chunk);
    if (is != FAILED) return is;
    r->reply.failed_request = r->chunk->root;
    request_fail(r, HEMI_DEPENDENCY_FAILED, "an earlier chunk of this module failed");
    return FAILED;
}

static enum readiness readiness(struct request *r)
{
    enum readiness is = depends_on_previous(r);
    if (is == READY) is = depends_on_chunk(r);
    for (size_t i = 0; i < sizeof r->uses / sizeof r->uses[0] && is == READY; i++) is = depends_on(r, r->uses[i]);
    while (is == READY && r->pins && r->ready < r->npins) {
        is = depends_on(r, r->pins[r->ready]);
        r->ready += is == READY;
    }
    return is;
}

/* Now that they are there: are the handles what the row says? */
static enum hemi_status check_kinds(struct request *r)
{
    for (size_t i = 0; i < sizeof r->uses / sizeof r->uses[0]; i++) {
        const struct object *o = r->uses[i];
        enum object_kind wanted = (enum object_kind)r->row->uses[i].kind;
        if (!o || (o->kind == OBJECT_STORE && wanted == OBJECT_STORE)) continue;
        if (!o->bound) return request_fail(r, HEMI_HANDLE, "the %s it names is not there", object_kind_text(wanted));
        if (wanted != OBJECT_ANY && o->kind != wanted)
            return request_fail(r, HEMI_HANDLE, "a handle of the wrong kind: %s is needed, this is %s",
                                object_kind_text(wanted), object_kind_text((enum object_kind)o->kind));
    }
    return HEMI_OK;
}

/* ---- output */

/* .output-cap; `turn`: it is the first of those that waited. */
static bool must_wait_for_output(const struct request *r, bool turn)
{
    const struct connection *c = r->conn;
    uint64_t bytes = r->row->promises ? r->row->promises(r) : r->row->fiber;
    return bytes > 0 && ((c->stalled.head && !turn) || !connection_output_room(c, bytes));
}

/* ---- stacks */

enum stack { STACK_GRANTED, STACK_LATER, STACK_REFUSED };

/* What stands outside host calls may wait for what is made inside them, however deep: so a connection claims a quarter
 * more than it has outside, which nobody else is lent. */
static uint64_t stacks_claimed(uint64_t outer, uint64_t inner)
{
    uint64_t aside = outer > 1 ? 1 + (outer - 1) / 4 : 0;
    return outer + (inner > aside ? inner : aside);
}

static uint64_t stacks_in_use(const struct connection *c) { return (uint64_t)c->stacks_outer + c->stacks_inner; }

/* Memory is for more than stacks, and for those of others. */
static bool may_have_stack(const struct connection *c, bool sheltered)
{
    const struct worker *w = c->worker;
    const struct pool *pool = &w->pools[POOL_STACKS];
    bool borrows = stacks_in_use(c) >= pool->least;
    if (borrows && !sheltered && w->sched.live >= w->stacks_borrowed_max) return false;
    uint64_t after = stacks_claimed(c->stacks_outer + !sheltered, c->stacks_inner + sheltered);
    return after <= c->stacks.used || share_allows(pool, &c->stacks, after - c->stacks.used);
}

static struct lane_list *list_for_stack(const struct lane *l, struct connection *c)
{
    return l->sheltered > 0 ? &c->sheltered : &c->starved;
}

/* A connection whose activations all wait (for its client, or for a clock) could wait for a stack for ever. */
static enum stack find_stack(const struct request *r, const struct lane *l, bool turn)
{
    struct connection *c = r->conn;
    bool others = list_for_stack(l, c)->head && !turn;
    if (!r->row->fiber) return STACK_GRANTED;
    if (may_have_stack(c, l->sheltered > 0)) return others ? STACK_LATER : STACK_GRANTED;
    return runqueue_empty(&c->runs) ? STACK_REFUSED : STACK_LATER;
}

static void claim_stacks(struct connection *c)
{
    share_set(&c->worker->pools[POOL_STACKS], &c->stacks, stacks_claimed(c->stacks_outer, c->stacks_inner));
}

/* Beyond those that are guaranteed they are part of what the connection borrows of the memory; inside host calls it may
 * borrow more, for what is outside waits. False: there is none for it, which there always is for one that is
 * guaranteed, or was claimed before. */
static bool take_stack(struct request *r)
{
    struct connection *c = r->conn;
    struct worker *w = c->worker;
    int64_t size = (int64_t)w->sched.fibers.vm_size;
    r->sheltered = r->parent || r->lane->sheltered > 0;
    uint64_t used = stacks_in_use(c);
    r->lent = used >= w->pools[POOL_STACKS].least;
    if (!r->lent)
        worker_account(w, size);
    else if (r->sheltered && used < c->stacks.used)
        account_add(c->account, size);
    else if (!(r->sheltered ? account_charge_beyond : account_charge)(c->account, size))
        return false;
    ++*(r->sheltered ? &c->stacks_inner : &c->stacks_outer);
    claim_stacks(c);
    return true;
}

static void give_stack(struct request *r)
{
    struct connection *c = r->conn;
    int64_t size = (int64_t)c->worker->sched.fibers.vm_size;
    if (r->lent)
        account_add(c->account, -size);
    else
        worker_account(c->worker, -size);
    --*(r->sheltered ? &c->stacks_inner : &c->stacks_outer);
    claim_stacks(c);
}

static void feed_from(struct worker *w, struct lane_list *list)
{
    const struct lane *l = list->head;
    if (l && find_stack(l->head, l, true) != STACK_LATER) mark_first(w, list);
}

/* There may be a stack again by the calls of others, too, or none for ever since all of its own have come to wait. */
void requests_feed(struct worker *w)
{
    if (!w->feeds) return;
    w->feeds = false;
    for (struct connection *c = LIST_FIRST(&w->connections); c; c = LIST_NEXT(c, link)) {
        const struct lane *stalled = c->stalled.head;
        feed_from(w, &c->sheltered);
        feed_from(w, &c->starved);
        if (stalled && !must_wait_for_output(stalled->head, true)) mark_first(w, &c->stalled);
        w->feeds |= c->stalled.head || c->starved.head || c->sheltered.head;
    }
}

/* ---- starting */

static void run_on_fiber(struct activation *a)
{
    struct request *r = request_of(a);
    r->result = a->stop != HEMI_OK ? a->stop : r->row->run(r);
}

static void fiber_done(struct activation *a)
{
    struct request *r = request_of(a);
    struct connection *c = r->conn;
    give_stack(r);
    mark_first(c->worker, &c->sheltered);
    mark_first(c->worker, &c->starved);
    request_finish(r, r->result);
}

static struct run_queue *run_queue_of(struct request *r) { return r->store ? &r->store->runs : &r->conn->runs; }

/* False: there is no memory for one. */
static bool start_on_fiber(struct request *r)
{
    r->act.run = run_on_fiber;
    r->act.done = fiber_done;
    if (!take_stack(r)) return false;
    if (scheduler_start(&r->conn->worker->sched, &r->act, run_queue_of(r))) return true;
    give_stack(r);
    return false;
}

void request_count_units(struct request *r)
{
    if (r->row->units) r->conn->worker->ids += r->row->units(r->conn) * IDS_PER_UNIT;
}

static void start(struct request *r, struct lane *l)
{
    request_count_units(r);
    lane_remove(l, r);
    r->lane = l;
    l->active = r;
    r->started = true;
    if (r->row->promises) connection_promise(r, r->row->promises(r));
    enum hemi_status status = check_kinds(r);
    if (status == HEMI_OK && r->row->fiber) {
        if (start_on_fiber(r)) return;
        status = request_fail(r, HEMI_NO_MEMORY, "no memory for another stack");
    } else if (status == HEMI_OK) {
        bool late = r->row->late; /* such a one may have been finished, and freed, when run returns */
        status = r->row->run(r);
        if (status == HEMI_OK && late) return;
    }
    request_finish(r, status);
}

static void refuse_stack(struct request *r)
{
    const struct connection *c = r->conn;
    const struct share used = {stacks_in_use(c)};
    request_share_limit(r, POOL_STACKS, &used, 1);
    request_finish(r, HEMI_LIMIT);
}

/* The request depends on nothing any more. The end of one may end the connection, the store and the lane with it, so
 * nothing is looked at after it; what is behind it has its turn when leave_lane marks the lane. */
static void start_if_room(struct request *r, struct lane *l, bool turn)
{
    struct connection *c = r->conn;
    if (must_wait_for_output(r, turn)) {
        wait_in(c, &c->stalled, l, turn);
        return;
    }
    switch (find_stack(r, l, turn)) {
    case STACK_GRANTED:
        mark_first(c->worker, &c->stalled);
        start(r, l);
        break;
    case STACK_LATER:
        wait_in(c, list_for_stack(l, c), l, turn);
        break;
    case STACK_REFUSED:
        mark_first(c->worker, list_for_stack(l, c)); /* that one, too */
        refuse_stack(r);
        break;
    }
}

static void lane_step(struct lane *l, bool turn)
{
    struct request *r = l->head;
    if (l->active || !r) return;
    if (r->store && r->store->stopping.listed) { /* it would be stopped in a later turn, and must not begin before */
        request_stop(r, r->store->stopping.why);
        return;
    }
    switch (readiness(r)) {
    case WAITS:
        return;
    case FAILED:
        request_finish(r, HEMI_DEPENDENCY_FAILED);
        return;
    default:
        start_if_room(r, l, turn);
    }
}

void requests_pump(struct worker *w)
{
    struct lane *l;
    while (w->started < START_UNITS && (l = w->pump.head)) {
        bool turn = l->turn;
        uint32_t units = START_UNITS + START_UNITS_MORE - w->started, ids = w->ids;
        release_units(&units, 1 + (l->head ? (uint32_t)(l->head->raw_length / BYTES_PER_UNIT) : 0));
        lane_unmark(l);
        lane_step(l, turn);
        release_units(&units, (w->ids - ids) / IDS_PER_UNIT);
        w->started = START_UNITS + START_UNITS_MORE - units;
    }
}
