/* Handle ids: which are in use (a bitmap in blocks, so that ids are not reused soon and use after drop is seen),
 * scopes, and drops, which travel in batches. */
#include <stdlib.h>

#include "base/check.h"
#include "base/grow.h"
#include "client/lib/internal.h"

#define BLOCK_IDS 4096u
#define BLOCKS_MAX (HANDLE_WORKER / BLOCK_IDS)
#define DROP_RANGES_MAX 4096u
#define HANDLE_SPREAD 0x9e3779b1u /* between where two clients of a process begin */

struct handle_block {
    uint32_t live, next; /* next: ids below it were handed out in this pass */
    uint64_t used[BLOCK_IDS / 64];
    uint64_t kept[BLOCK_IDS / 64]; /* taken out of their scopes */
};

static bool bit(const uint64_t *map, uint32_t i) { return (map[i / 64] >> (i % 64) & 1) != 0; }
static void bit_set(uint64_t *map, uint32_t i) { map[i / 64] |= 1ull << (i % 64); }
static void bit_clear(uint64_t *map, uint32_t i) { map[i / 64] &= ~(1ull << (i % 64)); }

static struct handle_space *space_of(hemi_client *c, uint32_t handle)
{
    return handle < HANDLE_WORKER ? &c->ours : &c->theirs;
}

static uint32_t number_of(uint32_t handle) { return (handle & (HANDLE_WORKER - 1)) / BLOCK_IDS; }

static struct handle_block *block_get(const struct handle_space *s, uint32_t at)
{
    return idmap_get(&s->blocks, at + 1);
}

static struct handle_block *block_of(const hemi_client *c, uint32_t handle)
{
    return block_get(handle < HANDLE_WORKER ? &c->ours : &c->theirs, number_of(handle));
}

/* Makes block number `at`; it must not exist. */
static struct handle_block *block_new(struct handle_space *s, uint32_t at)
{
    struct handle_block *b = calloc(1, sizeof *b);
    if (b && idmap_put(&s->blocks, at + 1, b)) return b;
    free(b);
    return NULL;
}

static void block_free(struct handle_space *s, uint32_t at) { free(idmap_take(&s->blocks, at + 1)); }

/* Moves the cursor to a block that no id is in use of; at the end of the id space from the front again. */
static struct handle_block *next_block(struct handle_space *s)
{
    struct handle_block *left = block_get(s, s->cursor);
    if (left && left->live == 0) block_free(s, s->cursor);
    for (uint32_t tries = 0; tries < BLOCKS_MAX; tries++) {
        s->cursor = (s->cursor + 1) % BLOCKS_MAX;
        if (!block_get(s, s->cursor)) return block_new(s, s->cursor);
    }
    return NULL;
}

static struct handle_block *block_with_room(struct handle_space *s, uint32_t count)
{
    struct handle_block *b = block_get(s, s->cursor);
    if (b && b->next + count <= BLOCK_IDS) return b;
    b = b || s->cursor != 0 ? next_block(s) : block_new(s, 0);
    if (b && s->cursor == 0) b->next = 1; /* id 0 names nothing */
    return b;
}

void handles_init(hemi_client *c)
{
    static _Atomic uint32_t clients;
    c->ours.cursor = atomic_fetch_add(&clients, 1) * HANDLE_SPREAD / BLOCK_IDS % BLOCKS_MAX;
}

uint32_t handles_new(hemi_client *c, uint32_t count)
{
    CHECK(count > 0 && count < BLOCK_IDS);
    struct handle_block *b = block_with_room(&c->ours, count);
    if (!b) return 0;
    uint32_t first = b->next;
    for (uint32_t i = 0; i < count; i++) bit_set(b->used, first + i);
    b->next += count;
    b->live += count;
    return c->ours.cursor * BLOCK_IDS + first;
}

bool handle_live(const hemi_client *c, uint32_t handle)
{
    const struct handle_block *b = block_of(c, handle);
    return b && bit(b->used, handle % BLOCK_IDS);
}

hemi_status handle_adopt(hemi_client *c, uint32_t handle)
{
    if (handle < HANDLE_WORKER || handle_live(c, handle)) return HEMI_PROTOCOL;
    struct handle_block *b = block_of(c, handle);
    if (!b) b = block_new(&c->theirs, number_of(handle));
    if (!b) return HEMI_NO_MEMORY;
    bit_set(b->used, handle % BLOCK_IDS);
    b->live++;
    return HEMI_OK;
}

/* Takes the id out of use here. A block without any is freed, unless it is still allocated from. */
static void forget(hemi_client *c, uint32_t handle)
{
    struct handle_space *s = space_of(c, handle);
    struct handle_block *b = block_of(c, handle);
    bit_clear(b->used, handle % BLOCK_IDS);
    bit_clear(b->kept, handle % BLOCK_IDS);
    if (--b->live == 0 && !(s == &c->ours && number_of(handle) == s->cursor)) block_free(s, number_of(handle));
}

void handles_release(hemi_client *c, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (handle_live(c, first + i)) forget(c, first + i);
}

static bool extend_last(hemi_client *c, uint32_t handle)
{
    if (c->ndrops == 0) return false;
    struct drop_range *last = &c->drops[c->ndrops - 1];
    if (handle == last->first + last->count) {
        last->count++;
    } else if (handle + 1 == last->first) {
        last->first--;
        last->count++;
    } else {
        return false;
    }
    return true;
}

static void queue_drop(hemi_client *c, uint32_t handle)
{
    if (c->ended != HEMI_OK) return;
    if (!extend_last(c, handle)) {
        if (!GROW(c->drops, c->ndrops, 1, c->drops_capacity, 64))
            return; /* the worker keeps it until the connection ends */
        c->drops[c->ndrops++] = (struct drop_range){.first = handle, .count = 1};
    }
    if (++c->drop_ids >= DROP_IDS_MAX / 2 || c->ndrops >= DROP_RANGES_MAX) drops_flush(c);
}

void handle_drop(hemi_client *c, uint32_t handle)
{
    if (handle == 0 || !handle_live(c, handle)) return;
    forget(c, handle);
    queue_drop(c, handle);
}

void handle_refuse(hemi_client *c, uint32_t handle)
{
    if (handle_live(c, handle))
        handle_drop(c, handle);
    else if (handle >= HANDLE_WORKER)
        queue_drop(c, handle);
}

void drops_flush(hemi_client *c)
{
    if (c->ndrops == 0 || c->ended != HEMI_OK) return;
    struct frame_out f = {.type = FRAME_DROP, .raw_length = 8 * c->ndrops};
    uint8_t *raw;
    if (writer_try(c, &f, &raw) == 0) return; /* the next flush takes them */
    for (size_t i = 0; i < c->ndrops; i++) {
        wire_put_u32(raw + 8 * i, c->drops[i].first);
        wire_put_u32(raw + 8 * i + 4, c->drops[i].count);
    }
    c->ndrops = 0;
    c->drop_ids = 0;
}

bool scope_add(hemi_client *c, uint32_t handle)
{
    struct hemi_scope *s = c->scope;
    if (!s) return true;
    if (!GROW(s->ids, s->count, 1, s->capacity, 16)) return false;
    s->ids[s->count++] = handle;
    return true;
}

void scope_init(struct hemi_scope *s, hemi_client *c, bool of_host)
{
    *s = (struct hemi_scope){.client = c, .outer = c->scope, .of_host = of_host};
    c->scope = s;
}

static void drop_unless_kept(hemi_client *c, uint32_t handle)
{
    const struct handle_block *b = block_of(c, handle);
    if (b && !bit(b->kept, handle % BLOCK_IDS)) handle_drop(c, handle);
}

static void scope_empty(struct hemi_scope *s)
{
    for (size_t i = 0; i < s->count; i++) drop_unless_kept(s->client, s->ids[i]);
    s->count = 0;
}

void scope_end(struct hemi_scope *s)
{
    scope_empty(s);
    free(s->ids);
    s->client->scope = s->outer;
}

hemi_status hemi_scope_open(hemi_client *c, hemi_scope **out)
{
    ENTER_FOR(c, out);
    *out = malloc(sizeof **out);
    if (!*out) return fail(c, HEMI_NO_MEMORY, "out of memory");
    scope_init(*out, c, false);
    return HEMI_OK;
}

void hemi_scope_close(hemi_scope *scope)
{
    hemi_client *c = scope ? scope->client : NULL;
    ENTER(c, );
    struct hemi_scope **at = &c->scope;
    for (struct hemi_scope *s = NULL; s != scope && *at;) { /* those opened within it first */
        s = *at;
        scope_empty(s);
        if (s->of_host) { /* its function still runs, and adds to it */
            at = &s->outer;
            continue;
        }
        *at = s->outer;
        free(s->ids);
        free(s);
    }
}

void hemi_drop(hemi_client *c, hemi_val *val)
{
    ENTER(c, );
    if (!val || val->kind != HEMI_REF) return;
    if (val->of.ref.kind == HEMI_REF_EXTERN && val->of.ref.handle == 0)
        externs_dropped(c, val->of.ref.id);
    else
        handle_drop(c, val->of.ref.handle);
}

void hemi_keep(hemi_client *c, const hemi_val *val)
{
    ENTER(c, );
    if (!val || val->kind != HEMI_REF || val->of.ref.handle == 0 || !handle_live(c, val->of.ref.handle)) return;
    bit_set(block_of(c, val->of.ref.handle)->kept, val->of.ref.handle % BLOCK_IDS);
}

static void space_deinit(struct handle_space *s)
{
    for (uint32_t i = 0; i < s->blocks.capacity; i++) free(s->blocks.cells[i].value);
    idmap_deinit(&s->blocks);
}

void handles_deinit(hemi_client *c)
{
    while (c->scope) {
        struct hemi_scope *s = c->scope;
        c->scope = s->outer;
        free(s->ids);
        free(s);
    }
    space_deinit(&c->ours);
    space_deinit(&c->theirs);
    free(c->drops);
}
