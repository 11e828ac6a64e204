/* Whose a client is: of one process, and of one thread at a time. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/lib/internal.h"

enum { MARK_BYTES = 4096 };

/* A page that fork empties tells a child without a system call; where there is none, the process id does. */
void origin_init(struct origin *o)
{
    o->pid = getpid();
    void *page = mmap(NULL, MARK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    if (madvise(page, MARK_BYTES, MADV_WIPEONFORK) == 0) {
        o->mark = page;
        *o->mark = 1;
    } else {
        munmap(page, MARK_BYTES);
    }
}

void origin_deinit(struct origin *o)
{
    if (o->mark) munmap(o->mark, MARK_BYTES);
    o->mark = NULL;
}

bool origin_is_here(const struct origin *o) { return o->mark ? *o->mark != 0 : getpid() == o->pid; }

hemi_status client_enter(const hemi_client *client)
{
    hemi_client *c = (hemi_client *)(uintptr_t)client; /* const is the caller's view: everyone enters */
    uintptr_t self = (uintptr_t)pthread_self(), nobody = 0;
    if (!c) return HEMI_ARGUMENT;
    if (!origin_is_here(&c->origin)) return HEMI_CLOSED;
    if (atomic_load_explicit(&c->owner, memory_order_relaxed) != self &&
        !atomic_compare_exchange_strong_explicit(&c->owner, &nobody, self, memory_order_acquire, memory_order_relaxed))
        return HEMI_BUSY;
    c->inside++;
    return HEMI_OK;
}

void client_leave(hemi_client *const *client)
{
    hemi_client *c = *client;
    if (--c->inside == 0) atomic_store_explicit(&c->owner, 0, memory_order_release);
}

static const char of_another_process[] = "the client is of the process that this one was forked from";

bool client_is_back(hemi_client *c)
{
    if (origin_is_here(&c->origin)) return true;
    c->forked = true;
    client_end(c, HEMI_CLOSED, "%s", of_another_process);
    return false;
}

const char *refusal_text(hemi_status refusal)
{
    switch (refusal) {
    case HEMI_ARGUMENT:
        return "there is no client";
    case HEMI_CLOSED:
        return of_another_process;
    default:
        return "another thread is inside a function of this client";
    }
}
