#include "server/worker/share.h"

#include <stdio.h>

#include "base/check.h"
#include "proto/tables/limits.h"

void pool_init(struct pool *p, uint64_t size, uint64_t aside, uint64_t members)
{
    uint64_t least = members > 1 ? aside / members : size;
    *p = (struct pool){.size = size, .least = least, .lendable = size - least * members};
}

const char *pool_name(enum share_pool pool)
{
    static const char *const names[] = {
#define X(name, text, ...) text,
        SHARE_POOLS(X)
#undef X
    };
    return names[pool];
}

static uint64_t borrowed(const struct pool *p, uint64_t used) { return used > p->least ? used - p->least : 0; }

/* How many it may borrow. */
static uint64_t borrows_most(const struct pool *p, const struct share *s)
{
    uint64_t others = p->lent - borrowed(p, s->used);
    uint64_t left = p->lendable > others ? p->lendable - others : 0;
    return left - left / 4;
}

bool share_allows(const struct pool *p, const struct share *s, uint64_t n)
{
    uint64_t after = borrowed(p, s->used + n);
    return n == 0 || after == 0 || after <= borrows_most(p, s);
}

void share_explain(enum share_pool which, const struct pool *p, const struct share *s, uint64_t n, char *out,
                   size_t size)
{
    snprintf(out, size, LIMIT_MESSAGE " for this connection, which has %llu of the worker's %llu", pool_name(which),
             (unsigned long long)(s->used + n), "", (unsigned long long)(p->least + borrows_most(p, s)),
             (unsigned long long)s->used, (unsigned long long)p->size);
}

void share_set(struct pool *p, struct share *s, uint64_t used)
{
    CHECK(p->lent >= borrowed(p, s->used), ".lent");
    p->lent += borrowed(p, used) - borrowed(p, s->used);
    s->used = used;
}
