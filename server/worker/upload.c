#include "server/worker/upload.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/release.h"
#include "server/worker/connection.h"
#include "server/worker/state.h"

enum { CAPACITY_MIN = 65536 };

/* Makes the charge `bytes`. False: refused, and it stays as it was. */
static bool charge(struct upload *u, uint64_t bytes)
{
    if (!account_charge(u->account, (int64_t)(bytes - u->charged))) return false;
    u->charged = bytes;
    return true;
}

struct upload *upload_new(struct connection *c, uint64_t total)
{
    struct upload *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    *u = (struct upload){.worker = c->worker, .account = account_ref(c->account), .conn = c, .total = total};
    c->nmodules++;
    return u;
}

/* Doubles, but never beyond what was announced; moving is remapping (worker_init). */
static bool make_room(struct upload *u, uint64_t need)
{
    uint64_t capacity = 2 * u->capacity, before = u->charged;
    if (capacity < CAPACITY_MIN) capacity = CAPACITY_MIN;
    if (capacity > u->total) capacity = u->total;
    if (capacity < need) capacity = need;
    if (!charge(u, capacity)) return false;
    uint8_t *grown = realloc(u->bytes, capacity);
    if (!grown) {
        charge(u, before);
        return false;
    }
    u->bytes = grown;
    u->capacity = capacity;
    return true;
}

bool upload_append(struct upload *u, const uint8_t *bytes, size_t n)
{
    uint64_t need = u->have + n > 0 ? u->have + n : 1; /* an empty module has bytes, too */
    if (need > u->capacity && !make_room(u, need)) return false;
    if (n > 0) memcpy(u->bytes + u->have, bytes, n);
    u->have += n;
    return true;
}

struct upload *upload_map(struct connection *c, int fd, uint64_t total, const char **why)
{
    enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, PAGE_BYTES = 4096 };
    int seals = fcntl(fd, F_GET_SEALS);
    off_t size = lseek(fd, 0, SEEK_END);
    *why = "the descriptor is no memfd sealed against writing and resizing";
    if (seals < 0 || (seals & SEALS) != SEALS) return NULL;
    *why = "total: an empty module is none, and needs no memfd";
    if (total == 0) return NULL;
    *why = "the memfd is smaller than the module is said to be";
    if (size < 0 || (uint64_t)size < total) return NULL;
    *why = "the descriptor cannot be mapped (a memfd of huge pages takes whole ones)";
    void *at = mmap(NULL, total, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return NULL;
    *why = NULL;
    struct upload *u = upload_new(c, total);
    if (!u) {
        munmap(at, total);
        return NULL;
    }
    u->bytes = at;
    u->have = total;
    u->mapped = (total + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    return u;
}

uint8_t *upload_take_bytes(struct upload *u)
{
    CHECK(!u->mapped);
    uint8_t *bytes = u->bytes;
    u->bytes = NULL;
    charge(u, 0);
    return bytes;
}

bool upload_free_bytes(struct upload *u, uint32_t *units)
{
    if (!u->mapped) return release_block((void **)&u->bytes, &u->given, units);
    if (release_mapping((char *)u->bytes, &u->mapped, units)) return true;
    u->bytes = NULL;
    return false;
}

bool upload_claim_types(struct upload *u, uint64_t n)
{
    struct pool *pool = &u->worker->pools[POOL_TYPES];
    struct share *share = &u->conn->types;
    u->types_refused = share_allows(pool, share, n) ? 0 : n;
    if (u->types_refused) return false;
    share_set(pool, share, share->used + n);
    u->types += n;
    return true;
}

static bool free_some(struct corpse *corpse, uint32_t *units)
{
    struct upload *u = (struct upload *)(void *)((char *)corpse - offsetof(struct upload, corpse));
    if (upload_free_bytes(u, units) || module_free_some(u->module, units)) return true;
    account_charge(u->account, -(int64_t)u->charged);
    account_unref(u->account);
    free(u);
    return false;
}

void upload_bury(struct upload *u, struct module *m)
{
    struct connection *c = u->conn;
    c->nmodules--;
    share_set(&u->worker->pools[POOL_TYPES], &c->types, c->types.used - u->types);
    u->conn = NULL;
    u->module = m;
    grave_bury(&u->worker->grave, &u->corpse, free_some);
}

/* ---- the engine asks */

bool module_types_claim(void *ctx, uint32_t n)
{
    const struct scheduler *sched = ctx;
    return upload_claim_types(request_of(sched->running)->makes->upload, n);
}

/* Whatever outlives its handle, as modules of instances do, stays charged to its connection's account. */
bool module_charge_account(void *ctx, void **payer, int64_t delta)
{
    const struct scheduler *sched = ctx;
    struct account *a = *payer ? *payer : account_ref(request_of(sched->running)->conn->account);
    *payer = a;
    return account_charge(a, delta);
}

void module_gone_from_account(void *ctx, void *payer)
{
    (void)ctx;
    account_unref(payer);
}
