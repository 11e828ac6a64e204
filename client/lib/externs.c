/* Externs: the client's objects that guests hold. A slot per object, found by id and by pointer; when the worker has
 * accounted for every copy that was sent, the object is dead and its finalizer is due. */
#include <stdlib.h>

#include "base/grow.h"
#include "client/lib/internal.h"

enum extern_state { EXTERN_FREE, EXTERN_LIVE, EXTERN_DUE };

struct extern_slot {
    void *pointer;
    void (*finalizer)(void *pointer);
    hemi_store *store; /* counted */
    uint64_t sent;     /* .sent */
    uint64_t held;     /* how often it was made, without what was dropped */
    uint32_t generation;
    uint32_t next; /* free list or due list: slot + 1 */
    uint8_t state; /* enum extern_state */
    bool died;     /* the worker reported it at least once */
    bool listed;   /* in the due list, whatever its state */
};

static uint64_t id_of(const struct extern_table *t, uint32_t slot)
{
    return (uint64_t)t->slots[slot].generation << 32 | (slot + 1);
}

static struct extern_slot *slot_of(const hemi_client *c, uint64_t id)
{
    uint32_t at = (uint32_t)id - 1;
    if ((uint32_t)id == 0 || at >= c->externs.count) return NULL;
    struct extern_slot *s = &c->externs.slots[at];
    return s->state != EXTERN_FREE && s->generation == id >> 32 ? s : NULL;
}

/* ---- the index by pointer */
static uint32_t home_of(const struct extern_table *t, const void *pointer, const hemi_store *store)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)pointer >> 3) * 0x9E3779B97F4A7C15ull + (uint64_t)(uintptr_t)store;
    return (uint32_t)(mixed * 0x9E3779B97F4A7C15ull >> 33) & (t->index_capacity - 1);
}

/* Where this pointer is in the index, or the free place where it belongs. */
static uint32_t index_find(const struct extern_table *t, const void *pointer, const hemi_store *store)
{
    uint32_t at = home_of(t, pointer, store);
    for (; t->index[at] != 0; at = (at + 1) & (t->index_capacity - 1)) {
        const struct extern_slot *s = &t->slots[t->index[at] - 1];
        if (s->pointer == pointer && s->store == store) break;
    }
    return at;
}

static bool index_grow(struct extern_table *t)
{
    if (2 * (uint64_t)(t->live + 1) <= t->index_capacity) return true;
    uint32_t old_capacity = t->index_capacity, *old = t->index;
    uint32_t *wider = calloc(old_capacity ? 2 * (size_t)old_capacity : 64, sizeof *wider);
    if (!wider) return false;
    t->index = wider;
    t->index_capacity = old_capacity ? 2 * old_capacity : 64;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i] == 0) continue;
        const struct extern_slot *s = &t->slots[old[i] - 1];
        t->index[index_find(t, s->pointer, s->store)] = old[i];
    }
    free(old);
    return true;
}

static void index_remove(struct extern_table *t, const struct extern_slot *s)
{
    uint32_t mask = t->index_capacity - 1, hole = index_find(t, s->pointer, s->store);
    for (uint32_t at = (hole + 1) & mask; t->index[at] != 0; at = (at + 1) & mask) {
        const struct extern_slot *other = &t->slots[t->index[at] - 1];
        if (((at - home_of(t, other->pointer, other->store)) & mask) < ((at - hole) & mask)) continue;
        t->index[hole] = t->index[at];
        hole = at;
    }
    t->index[hole] = 0;
}

/* ---- slots */
static uint32_t slot_take(struct extern_table *t)
{
    if (t->free_head != 0) {
        uint32_t slot = t->free_head - 1;
        t->free_head = t->slots[slot].next;
        return slot;
    }
    if (!GROW(t->slots, t->count, 1, t->capacity, 64)) return UINT32_MAX;
    t->slots[t->count] = (struct extern_slot){0};
    return t->count++;
}

/* The slot of this pointer, made if there is none; one whose finalizer is due comes back to life. */
static uint32_t slot_for(hemi_client *c, hemi_store *store, void *pointer, void (*finalizer)(void *))
{
    struct extern_table *t = &c->externs;
    if (!index_grow(t)) return UINT32_MAX;
    uint32_t at = index_find(t, pointer, store);
    if (t->index[at] != 0) {
        t->slots[t->index[at] - 1].state = EXTERN_LIVE;
        return t->index[at] - 1;
    }
    uint32_t slot = slot_take(t);
    if (slot == UINT32_MAX) return slot;
    t->slots[slot] = (struct extern_slot){.pointer = pointer,
                                          .finalizer = finalizer,
                                          .store = store_hold(store),
                                          .generation = ++t->generation,
                                          .state = EXTERN_LIVE};
    t->index[at] = slot + 1;
    t->live++;
    c->stats.externs_made++;
    return slot;
}

hemi_status hemi_extern_new(hemi_store *store, void *pointer, void (*finalizer)(void *pointer), hemi_val *out)
{
    hemi_client *c = CLIENT_OF(store);
    if (out) *out = hemi_null(HEMI_CLASS_EXTERN);
    ENTER(c, refusal);
    if (!out) return fail_null(c, "out");
    hemi_status status = usable(c, store);
    if (status != HEMI_OK) return status;
    uint32_t slot = slot_for(c, store, pointer, finalizer);
    if (slot == UINT32_MAX) return fail(c, HEMI_NO_MEMORY, "out of memory");
    c->externs.slots[slot].held++;
    out->of.ref.kind = HEMI_REF_EXTERN;
    out->of.ref.pointer = pointer;
    out->of.ref.id = id_of(&c->externs, slot);
    return HEMI_OK;
}

bool externs_live(const hemi_client *c, const hemi_store *store, uint64_t id)
{
    void *pointer;
    return externs_pointer(c, store, id, &pointer);
}

const hemi_store *externs_store(const hemi_client *c, uint64_t id)
{
    const struct extern_slot *s = slot_of(c, id);
    return s && s->state == EXTERN_LIVE ? s->store : NULL;
}

bool externs_pointer(const hemi_client *c, const hemi_store *store, uint64_t id, void **pointer)
{
    const struct extern_slot *s = slot_of(c, id);
    if (!s || s->state != EXTERN_LIVE || s->store != store) return false;
    *pointer = s->pointer;
    return true;
}

void externs_sent(hemi_client *c, uint64_t id) { slot_of(c, id)->sent++; }

/* All copies are accounted for. It stays in the due list, and in the index, until its finalizer runs. */
static void now_due(struct extern_table *t, struct extern_slot *s)
{
    s->died = false; /* should it come back to life */
    s->state = EXTERN_DUE;
    if (s->listed) return;
    s->listed = true;
    s->next = t->due_head;
    t->due_head = (uint32_t)(s - t->slots) + 1;
}

void externs_dropped(hemi_client *c, uint64_t id)
{
    struct extern_slot *s = slot_of(c, id);
    if (!s || s->held == 0 || --s->held > 0) return;
    if (s->sent == 0 && s->state == EXTERN_LIVE) now_due(&c->externs, s);
}

void externs_unsent(hemi_client *c, uint64_t id)
{
    struct extern_slot *s = slot_of(c, id);
    if (!s || s->sent == 0) return;
    bool unheld = s->died || s->held == 0;
    if (--s->sent == 0 && unheld && s->state == EXTERN_LIVE) now_due(&c->externs, s);
}

bool externs_died(hemi_client *c, uint32_t store, uint64_t id, uint32_t times)
{
    struct extern_slot *s = slot_of(c, id);
    if (!s || times == 0 || times > s->sent || s->store->node.handle != store) return false;
    s->sent -= times;
    s->died = true;
    if (s->sent == 0 && s->state == EXTERN_LIVE) now_due(&c->externs, s);
    return true;
}

void externs_end(hemi_client *c, const hemi_store *store)
{
    struct extern_table *t = &c->externs;
    for (uint32_t i = 0; i < t->count; i++) {
        struct extern_slot *s = &t->slots[i];
        if (s->state != EXTERN_LIVE || (store && s->store != store)) continue;
        s->sent = 0;
        now_due(t, s);
    }
}

bool externs_due(const hemi_client *c) { return c->externs.due_head != 0; }

/* Frees the slot, then calls (.once): the finalizer may use the client, and this pointer, again. False: it forked. */
static bool finalize(hemi_client *c, uint32_t slot)
{
    struct extern_table *t = &c->externs;
    struct extern_slot s = t->slots[slot];
    index_remove(t, &t->slots[slot]);
    t->slots[slot].state = EXTERN_FREE;
    t->slots[slot].next = t->free_head;
    t->free_head = slot + 1;
    t->live--;
    c->stats.externs_finalized++;
    store_let_go(s.store);
    if (!s.finalizer) return true;
    s.finalizer(s.pointer);
    return client_is_back(c);
}

/* None is left: what a burst of them took goes. The generation stays, so that old ids mean nothing. */
static void forget_slots(struct extern_table *t)
{
    uint32_t generation = t->generation;
    free(t->slots);
    free(t->index);
    *t = (struct extern_table){.generation = generation};
}

/* One that came back to life while it was in the list is only taken out of it. */
void externs_run(hemi_client *c)
{
    struct extern_table *t = &c->externs;
    while (t->due_head != 0) {
        uint32_t slot = t->due_head - 1;
        t->due_head = t->slots[slot].next;
        t->slots[slot].listed = false;
        if (t->slots[slot].state == EXTERN_DUE && !finalize(c, slot)) return;
    }
    if (t->live == 0) forget_slots(t);
}

void externs_deinit(hemi_client *c)
{
    free(c->externs.slots);
    free(c->externs.index);
}
